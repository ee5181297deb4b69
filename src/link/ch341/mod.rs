//! `ch341:` links: a CH341A adapter in SPI mode, CEN at its line D2 (spi-flash.md §13).

mod packets;
#[cfg(test)]
mod tests;
mod usb;

use std::cell::RefCell;
use std::rc::Rc;

use self::packets::PAYLOAD;
use self::usb::Endpoints;
use super::cen::Cen;
use super::clock::SystemClock;
use super::contract::{Endpoint, Link, LinkError, LinkInfo, ResetLine, SpiLink, Wire, WireKind};
use super::pins::Pins;
use super::spec::LinkSpec;

/// The one clock the adapter has, in Hz (measured by the authors of its Linux driver, spi-flash.md §3).
const CLOCK: u32 = 1_400_000;
/// Longest frame, in bytes: long enough that chip select costs nothing beside it.
const LONGEST: usize = 4096;

/// Opens `ch341:`, or `ch341:N` for the N-th of several, counted from 0. `cen` is `d2` (as without the key), `hand` or
/// `none`.
pub(super) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&["cen", "clock"])?;
    let cen = Cen::of(spec, Cen::Line(None))?;
    if let Cen::Line(Some(line)) = &cen
        && !line.eq_ignore_ascii_case("d2")
    {
        return Err(spec.bad(format!("cen={line:?} is none of d2, hand, none: the adapter has CEN at D2")));
    }
    let number = match spec.target.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| spec.bad("write ch341: or, for the second of several, ch341:1"))?),
    };
    link(spec, &cen, usb::open(spec, number)?)
}

/// The adapters that are plugged in.
pub(super) fn endpoints(_: u8) -> Vec<Endpoint> {
    usb::endpoints()
}

fn link(spec: &LinkSpec, cen: &Cen, usb: Box<dyn Endpoints>) -> Result<Link, LinkError> {
    let mut adapter = Adapter { usb, name: spec.name(), held: false };
    for packet in packets::begin() {
        adapter.usb.send(&packet)?;
    }
    let adapter = Rc::new(RefCell::new(adapter));
    let wire = Box::new(Bus(Rc::clone(&adapter)));
    let line = matches!(cen, Cen::Line(_));
    let how = if line { "D2 → CEN" } else { cen.words() };
    Ok(Link {
        wire: if *cen == Cen::Bare { Wire::Nor(wire) } else { Wire::Spi(wire) },
        reset: line.then(|| Box::new(CenLine(adapter)) as Box<dyn ResetLine>),
        probe: None,
        clock: Rc::new(SystemClock::new()),
        record: None,
        info: LinkInfo {
            name: spec.name(),
            wire: WireKind::Spi,
            detail: format!("CH341A, {how}; check that its lines carry 3.3 V, many boards carry 5 V"),
            pins: Pins::here(spec),
            simulated: false,
        },
    })
}

/// What bus and CEN line share.
struct Adapter {
    usb: Box<dyn Endpoints>,
    name: String,
    /// CEN is low.
    held: bool,
}

impl Adapter {
    fn hold(&mut self, held: bool) -> Result<(), LinkError> {
        self.usb.send(&packets::cen(held))?;
        self.held = held;
        Ok(())
    }

    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        let [out, end] = packets::frame(frame, self.held);
        let moved = self.usb.exchange(&out, frame, PAYLOAD);
        // Chip select rises whatever happened.
        self.usb.send(&end)?;
        moved?;
        for byte in frame {
            *byte = byte.reverse_bits();
        }
        Ok(())
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        // An adapter that was pulled holds nothing any more.
        let _ = self.usb.send(&packets::let_go());
    }
}

struct Bus(Rc<RefCell<Adapter>>);

impl SpiLink for Bus {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.0.borrow_mut().exchange(frame)
    }

    fn set_clock(&mut self, _: u32) -> Result<u32, LinkError> {
        // There is one clock and no way to change it.
        Ok(CLOCK)
    }

    fn clock(&self) -> u32 {
        CLOCK
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        if mode == 0 {
            return Ok(());
        }
        Err(LinkError::Unsupported { name: self.0.borrow().name.clone(), what: format!("SPI mode {mode}") })
    }

    fn longest_frame(&self) -> usize {
        LONGEST
    }
}

struct CenLine(Rc<RefCell<Adapter>>);

impl ResetLine for CenLine {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        self.0.borrow_mut().hold(reset)
    }

    fn describe(&self) -> String {
        "D2 of the CH341A → CEN".to_owned()
    }
}

impl Drop for CenLine {
    fn drop(&mut self) {
        if let Ok(mut adapter) = self.0.try_borrow_mut() {
            let _ = adapter.hold(false);
        }
    }
}
