//! Whole modules, looked at from the host's side of the link.

mod entry;
mod keeping;
mod nor;

use std::time::Duration;

use crate::link::contract::{Clock, Link, ResetLine, SpiLink, Wire};

use super::{Knobs, Module, Setup};

/// The host's end of an SPI link, with the words a test needs.
struct Host {
    spi: Box<dyn SpiLink>,
    reset: Box<dyn ResetLine>,
    clock: std::rc::Rc<dyn Clock>,
}

impl Host {
    fn at(link: Link) -> Self {
        let Wire::Spi(spi) = link.wire else { panic!("not an SPI link") };
        Self { spi, reset: link.reset.unwrap(), clock: link.clock }
    }

    /// Sends a frame and returns all that came back.
    fn frame(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut frame = bytes.to_vec();
        self.spi.exchange(&mut frame).unwrap();
        frame
    }

    /// Sends a command and returns the `len` bytes after it.
    fn ask(&mut self, command: &[u8], len: usize) -> Vec<u8> {
        let mut frame = command.to_vec();
        frame.resize(command.len() + len, 0);
        self.frame(&frame).split_off(command.len())
    }

    fn id(&mut self) -> Vec<u8> {
        self.ask(&[0x9F], 3)
    }

    fn status(&mut self) -> u8 {
        self.ask(&[0x05], 1)[0]
    }

    fn pulse(&mut self, wait: Duration) {
        self.reset.hold(true).unwrap();
        self.clock.sleep(Duration::from_millis(150));
        self.reset.hold(false).unwrap();
        self.clock.sleep(wait);
    }

    /// Resets the chip, sends D2 and waits until the flash talks.
    fn enter(&mut self) -> Vec<u8> {
        self.pulse(Duration::ZERO);
        let echo = self.frame(&[0xD2; 250]);
        self.clock.sleep(Duration::from_millis(20));
        echo
    }

    fn wait_idle(&mut self) {
        for _ in 0..200_000 {
            if self.status() & 1 == 0 {
                return;
            }
            self.clock.sleep(Duration::from_micros(100));
        }
        panic!("busy for ever");
    }

    /// Write enable, the frame, and the wait until the flash is free.
    fn write(&mut self, frame: &[u8]) {
        self.frame(&[0x06]);
        self.frame(frame);
        self.wait_idle();
    }

    fn read(&mut self, address: u32, len: usize) -> Vec<u8> {
        let [_, high, middle, low] = address.to_be_bytes();
        self.ask(&[0x03, high, middle, low], len)
    }
}

/// An unlocked, erased module in SPI mode, its flash of the given part.
fn bench(part: &str) -> (Module, Host) {
    let module = Module::new(Setup::new("wb2s").unwrap().part(part).unwrap().locked(false).image(Vec::new())).unwrap();
    let mut host = Host::at(module.link());
    host.spi.set_clock(8_000_000).unwrap();
    host.enter();
    module.clear_operations();
    (module, host)
}
