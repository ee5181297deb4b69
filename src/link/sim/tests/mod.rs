//! Whole modules, looked at from the host's side of the link.

mod dialects;
mod entry;
mod frames;
mod keeping;
mod line;
mod nor;
mod probing;
mod served;
mod transcripts;
mod wide;

use std::time::Duration;

use crate::link::contract::{Clock, Link, ResetLine, SerialLink, SpiLink, Wire};

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

/// A sample file, or `None` with a word about it when the samples are not on this machine.
pub(super) fn sample(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var("BKBENCH_SAMPLES").unwrap_or_else(|_| "../shared".to_owned());
    let path = std::path::Path::new(&root).join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: no sample {}; set BKBENCH_SAMPLES", path.display());
    }
    bytes
}

/// The host's end of a UART link.
struct Port {
    serial: Box<dyn SerialLink>,
    reset: Box<dyn ResetLine>,
    clock: std::rc::Rc<dyn Clock>,
}

impl Port {
    fn at(link: Link) -> Self {
        let Wire::Serial(serial) = link.wire else { panic!("not a UART link") };
        Self { serial, reset: link.reset.unwrap(), clock: link.clock }
    }

    /// All that comes until the line has been quiet for 50 ms, waiting `first` for the first byte.
    fn hear(&mut self, first: Duration) -> Vec<u8> {
        let mut all = Vec::new();
        let mut wait = first;
        loop {
            let mut piece = [0; 512];
            match self.serial.receive(&mut piece, wait).unwrap() {
                0 => return all,
                len => all.extend(&piece[..len]),
            }
            wait = Duration::from_millis(50);
        }
    }

    /// Sends, and returns all that comes back.
    fn ask(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.serial.send(bytes).unwrap();
        self.hear(Duration::from_secs(1))
    }

    fn pulse(&mut self) {
        self.reset.hold(true).unwrap();
        self.clock.sleep(Duration::from_millis(100));
        self.reset.hold(false).unwrap();
    }

    /// Resets the chip and links.
    fn link(&mut self) {
        self.pulse();
        assert_eq!(self.ask(LINK_CHECK), LINKED);
    }
}

const LINK_CHECK: &[u8] = &[0x01, 0xE0, 0xFC, 0x01, 0x00];
const LINKED: &[u8] = &[0x04, 0x0E, 0x05, 0x01, 0xE0, 0xFC, 0x01, 0x00];

/// An unlocked, erased module in SPI mode, its flash of the given part.
fn bench(part: &str) -> (Module, Host) {
    bench_with(part, Vec::new())
}

fn bench_with(part: &str, image: Vec<u8>) -> (Module, Host) {
    let module = Module::new(Setup::new("wb2s").unwrap().part(part).unwrap().locked(false).image(image)).unwrap();
    let mut host = Host::at(module.link());
    host.spi.set_clock(8_000_000).unwrap();
    host.enter();
    module.clear_operations();
    (module, host)
}
