//! Measuring a harness wire by wire (spi-flash.md §10): pulls on SO, the level of CEN, bridges, the echo of D2, the id
//! and whether it vanishes in reset, every order of the four bus wires by hand, and the clock that the wires carry.
//!
//! What cannot be told apart is named as a pair. Two pairs are alike from the host's end, because nobody wrote down what
//! SO does in the entry window before the first clock: *SO or SCK* when the line follows the pulls all the time, and
//! *SI or SCK* when it is held low before and after the clocks.

mod echo;
mod judge;
mod lines;
mod measure;
mod pace;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::attach::AttachOptions;
use super::error::DeviceError;
use super::spi::{Access, NorBus, bring_up};
use super::tried::EntryTry;
use super::watch::Watch;
use crate::link::{Clock, Line, Link, LinkInfo, ProbeLines, Wire};
use crate::units::{Verdict, hex_text};

pub use self::echo::loop_back;
pub use crate::link::WireName;

use self::lines::Lines;
use self::measure::Measured;

/// What a check says about one wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It does what it should.
    Pass,
    /// It does not.
    Fail,
    /// The measurements allow both.
    Unsure,
    /// Nothing could be measured that tells.
    NotMeasurable,
}

/// One wire with what was measured on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WireFinding {
    /// Which.
    pub wire: WireName,
    /// How it did.
    pub finding: Finding,
    /// How sure that is.
    pub verdict: Verdict,
    /// The measurement behind it, in words.
    pub measured: String,
}

/// What is wrong with the wires under suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Not connected.
    Open,
    /// Two wires exchanged, or more of them mixed up.
    Swapped,
    /// Held at ground.
    ShortToGround,
    /// Held at the supply.
    ShortToSupply,
    /// Two lines touch.
    Bridged,
    /// Levels change from look to look: no common ground, or a loose contact.
    Noise,
    /// The chip starts anew by itself.
    WeakSupply,
    /// The wires are right and carry a slow clock only.
    Clock,
    /// The wires are right and the entry window opens late.
    Late,
    /// No measurement points at one wire.
    Unclear,
}

/// The first suspect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// What is wrong.
    pub fault: Fault,
    /// With which wires: at most a pair that looks the same from the host's end, or those that are mixed up. Empty where
    /// no wire is to blame.
    pub wires: Vec<WireName>,
    /// How sure.
    pub verdict: Verdict,
    /// What speaks for it, as the end of a sentence.
    pub why: String,
    /// What to do, where it is more than looking after the wires.
    pub remedy: Option<String>,
}

/// How fast the wires are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pace {
    /// The highest clock tried that read right, in Hz; 0 when not even the lowest did.
    pub works: u32,
    /// The first clock that did not, in Hz; `None` when all did.
    pub fails: Option<u32>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Every wire, in the order of the wiring table.
    pub wires: Vec<WireFinding>,
    /// What to look at first; `None` when there is nothing to look at.
    pub suspect: Option<Suspect>,
    /// Whether the chip can be worked with as it is wired.
    pub usable: bool,
    /// The JEDEC id, where five reads agreed.
    pub id: Option<String>,
    /// How fast the wires are, where that was tried.
    pub pace: Option<Pace>,
    /// All measurements, one a line.
    pub evidence: Vec<String>,
    /// Every try to get the flash to answer, where the entry itself was the measurement.
    pub entry: Vec<EntryTry>,
}

/// An SPI harness under test. Dropping it lets the chip go.
pub struct Harness {
    bus: NorBus,
    access: Access,
    probe: Option<Box<dyn ProbeLines>>,
    clock: Rc<dyn Clock>,
    info: LinkInfo,
    /// The id that was read last time all was well.
    known: Option<[u8; 3]>,
}

impl Harness {
    /// Takes an SPI link to be measured; a UART link comes back as it is.
    ///
    /// # Errors
    /// The link, when it is none over SPI.
    pub fn new(link: Link) -> Result<Self, Box<Link>> {
        match link {
            Link { wire: Wire::Spi(wire), reset, probe, clock, info, .. } => {
                let access = reset.map_or(Access::Hand, Access::Line);
                Ok(Self { bus: NorBus::new(wire, Rc::clone(&clock)), access, probe, clock, info, known: None })
            }
            Link { wire: Wire::Nor(wire), clock, info, .. } => {
                let bus = NorBus::new(wire, Rc::clone(&clock));
                Ok(Self { bus, access: Access::Bare, probe: None, clock, info, known: None })
            }
            link => Err(Box::new(link)),
        }
    }

    /// The whole check: a few seconds at most, and nothing on the chip changes.
    ///
    /// # Errors
    /// [`DeviceError::Cancelled`]; [`DeviceError::Link`].
    pub fn check(&mut self, watch: &mut dyn Watch) -> Result<Checked, DeviceError> {
        if self.probe.is_none() || !matches!(self.access, Access::Line(_)) {
            return self.without_lines(watch);
        }
        let mut measured = self.look(true, watch)?;
        if measured.settled {
            measured.pace = Some(self.find_pace(&mut measured, watch)?);
        }
        self.known = measured.id.filter(|_| measured.settled && !measured.dropped);
        Ok(judge::judge(&measured))
    }

    /// One look of a live display: the id again while all is well, else the quick part of the check. A fifth of a second
    /// to a second.
    ///
    /// # Errors
    /// As [`Harness::check`].
    pub fn glance(&mut self, watch: &mut dyn Watch) -> Result<Checked, DeviceError> {
        if self.probe.is_none() || !matches!(self.access, Access::Line(_)) {
            return self.without_lines(watch);
        }
        if let Some(id) = self.known
            && self.still_there(id)?
        {
            return Ok(judge::all_well(id));
        }
        let measured = self.look(false, watch)?;
        self.known = measured.id.filter(|_| measured.settled);
        Ok(judge::judge(&measured))
    }

    /// Measures line by line, and gives the pins back to the controller.
    fn look(&mut self, whole: bool, watch: &mut dyn Watch) -> Result<Measured, DeviceError> {
        let Some(probe) = self.probe.as_deref_mut() else { return Ok(Measured::default()) };
        let mut lines = Lines { probe, clock: self.clock.as_ref() };
        let measured = measure::measure(&mut lines, whole, watch);
        // Whatever happened, the pins go back.
        let released = lines.probe.release();
        let measured = measured?;
        released?;
        Ok(measured)
    }

    /// Whether the id still reads right, and CEN is still pulled up at its far end.
    fn still_there(&mut self, id: [u8; 3]) -> Result<bool, DeviceError> {
        pace::slow(&mut self.bus)?;
        for _ in 0..8 {
            if self.bus.id()? != id {
                return Ok(false);
            }
        }
        let Some(probe) = self.probe.as_deref_mut() else { return Ok(true) };
        let mut lines = Lines { probe, clock: self.clock.as_ref() };
        let pulled_up = lines.follow(Line::Cen);
        lines.probe.release()?;
        Ok(pulled_up? == lines::Follow::High)
    }

    /// The clocks that read right; notes in `measured` when the chip fell out of SPI mode on the way.
    fn find_pace(&mut self, measured: &mut Measured, watch: &mut dyn Watch) -> Result<Pace, DeviceError> {
        let id = measured.id.unwrap_or_default();
        let (pace, dropped) = pace::find(&mut self.bus, id, watch)?;
        measured.dropped |= dropped;
        Ok(pace)
    }

    /// Where single lines cannot be reached, the entry itself is the measurement.
    fn without_lines(&mut self, watch: &mut dyn Watch) -> Result<Checked, DeviceError> {
        let options = AttachOptions::default();
        match bring_up(&mut self.bus, &mut self.access, self.clock.as_ref(), &self.info.pins, &options, watch) {
            Ok(entered) => {
                let (pace, dropped) = pace::find(&mut self.bus, entered.id, watch)?;
                Ok(judge::by_entry(entered, pace, dropped, &self.info))
            }
            Err(error @ (DeviceError::NoEntry { .. } | DeviceError::UnstableId { .. })) => {
                Ok(judge::no_entry(&error, &self.info))
            }
            Err(other) => Err(other),
        }
    }
}

/// How long a chip is held in reset before an attempt (spi-flash.md §2: 100 ms is enough).
const RESET: Duration = Duration::from_millis(120);

fn id_words(id: [u8; 3]) -> String {
    hex_text(&id)
}
