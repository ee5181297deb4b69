//! The SPI clocks that modules were worked at. Jobs open no file: the front end hands the memory in.

use super::identify::Identity;
use super::journal::Handed;
use super::patience::meanwhile;
use crate::device::{KnownClock, Level, ReadFlash, Watch};
use crate::link::WireKind;
use crate::problem::Problem;

/// Remembers which clock worked with which module on one link.
pub trait ClockMemory: Send {
    /// What is remembered of the link, the latest last. A memory that cannot be read is empty: every clock is proven
    /// again anyway.
    fn known(&self) -> Vec<KnownClock>;

    /// Remembers the clock of the module with this key ([`Identity::chip_key`]), in place of an earlier one.
    ///
    /// # Errors
    /// The problem of the disk.
    fn keep(&mut self, chip_key: &str, clock: KnownClock) -> Result<(), Problem>;
}

/// A memory on its way into the session.
pub type ClocksHandle = Handed<dyn ClockMemory>;

/// The memory together with what was last told to it.
pub struct Remembered {
    memory: ClocksHandle,
    chip_key: String,
    last: Option<u32>,
}

impl Remembered {
    /// The memory for the chip that was just identified.
    pub fn new(memory: ClocksHandle, identity: &Identity) -> Self {
        Self { memory, chip_key: identity.chip_key.clone(), last: None }
    }

    /// Tells the memory the device's present clock, if that is news. A disk that does not take it is worth a note only.
    pub fn update(&mut self, device: &mut (impl ReadFlash + ?Sized), watch: &mut dyn Watch) {
        let facts = device.facts();
        let worked_with = match facts.wire {
            WireKind::Spi => facts.jedec,
            WireKind::Uart => Some(KnownClock::ADAPTER),
        };
        let Some(jedec) = worked_with.filter(|_| self.last != Some(facts.speed)) else { return };
        self.last = Some(facts.speed);
        let clock = KnownClock { jedec, hz: facts.speed };
        let kept = meanwhile(device, || self.memory.get().keep(&self.chip_key, clock));
        if let Err(problem) = kept {
            watch.note(Level::Warning, format!("the clock is not remembered: {}", problem.what));
        }
    }
}
