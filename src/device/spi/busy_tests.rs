//! A computer so busy that its kernel gives transfers up (ETIMEDOUT): what may go out twice does, what may not is decided by
//! the chip.

use std::cell::Cell;
use std::rc::Rc;

use crate::device::testing::{Recorder, image, sector};
use crate::device::{AttachOptions, DeviceError, EraseUnit, WriteFlash, attach};
use crate::link::sim::{Module, Setup};
use crate::link::{Link, LinkError, SpiLink, Wire};
use crate::problem::Explain;

/// Gives up one in so many transfers, at times that look random, after so many of their frames went out.
struct Overloaded {
    wire: Box<dyn SpiLink>,
    one_in: u32,
    sent: usize,
    dice: u32,
    /// Changes of the flash that were given up.
    changes: Rc<Cell<u32>>,
}

impl Overloaded {
    fn gives_up(&mut self, frames: &mut [&mut [u8]]) -> Option<LinkError> {
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if !(self.dice >> 16).is_multiple_of(self.one_in) {
            return None;
        }
        self.changes.set(self.changes.get() + u32::from(frames.len() == 3));
        let went_out = self.sent.min(frames.len());
        self.wire.exchange_all(&mut frames[..went_out]).unwrap();
        // What came back is not to be used.
        frames.iter_mut().for_each(|frame| frame.fill(0xAA));
        Some(LinkError::TimedOut { name: "/dev/spidev0.0".to_owned(), why: "Connection timed out".to_owned() })
    }
}

impl SpiLink for Overloaded {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.exchange_all(&mut [frame])
    }

    fn exchange_all(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        match self.gives_up(frames) {
            Some(error) => Err(error),
            None => self.wire.exchange_all(frames),
        }
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        self.wire.set_clock(hz)
    }

    fn clock(&self) -> u32 {
        self.wire.clock()
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        self.wire.set_mode(mode)
    }

    fn longest_frame(&self) -> usize {
        self.wire.longest_frame()
    }
}

/// A module behind such a computer.
fn overloaded(one_in: u32, sent: usize) -> (Module, Rc<Cell<u32>>, Link) {
    let module = Module::new(Setup::new("wb2s").unwrap().image(image()).locked(false)).unwrap();
    let mut link = module.link();
    let Wire::Spi(wire) = link.wire else { panic!("SPI") };
    let changes = Rc::new(Cell::new(0));
    link.wire = Wire::Spi(Box::new(Overloaded { wire, one_in, sent, dice: 1, changes: Rc::clone(&changes) }));
    (module, changes, link)
}

fn try_attach(link: Link) -> Result<Box<dyn WriteFlash>, DeviceError> {
    attach(link, &AttachOptions::default(), &mut Recorder::default())
}

#[test]
fn reads_are_made_again() {
    for sent in [0, 1] {
        let (_module, _, link) = overloaded(20, sent);
        let mut flash = try_attach(link).unwrap();
        let mut content = vec![0; 0x4_0000];
        let mut watch = Recorder::default();
        flash.read(0, &mut content, &mut watch).unwrap();
        assert!(content == image()[..0x4_0000]);
        assert!(watch.retries.iter().any(|what| what.contains("too busy")), "{:?}", watch.retries);
    }
}

#[test]
fn a_change_whose_transfer_was_given_up_is_made_once_and_right() {
    // Of write enable, look and command nothing, one, two or all went out.
    for sent in 0..=3 {
        for one_in in [15, 20] {
            let (module, changes, link) = overloaded(one_in, sent);
            let mut flash = try_attach(link).unwrap();
            let data = sector(9);
            for at in (0x10_0000..0x10_8000).step_by(0x2000) {
                flash.erase(EraseUnit::Sector, at).unwrap();
                flash.program(at, &data).unwrap();
                assert!(module.bytes(at, 4096) == data[..], "one in {one_in}, {sent} frames, at 0x{at:06X}");
            }
            let beside = (0x10_1000..0x10_8000).step_by(0x2000);
            assert!(beside.into_iter().all(|at| module.bytes(at as u32, 4096) == image()[at..at + 4096]));
            assert!(changes.get() > 0, "one in {one_in}, {sent} frames: nothing was given up");
        }
    }
}

#[test]
fn a_computer_that_never_gets_it_done_ends_the_job_with_the_reason() {
    let (_module, _, link) = overloaded(1, 0);
    let problem = try_attach(link).err().expect("no transfer ever works").explain();
    assert_eq!(problem.code, "E211");
    assert!(problem.cause.contains("too busy"), "{problem}");
}
