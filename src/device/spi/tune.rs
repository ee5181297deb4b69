//! The bit clock that works: the one asked for, or the fastest that proves right, less a margin (spi-flash.md §11).
//!
//! A read job may tune too, so nothing in here sends a write enable: the write direction is proven where a write begins
//! ([`super::SpiFlash::prove_write_path`]).

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::watch::{Level, Watch};
use super::bus::NorBus;
use crate::units::{SECTOR, clock_text, time_text};

/// Clocks in Hz go up in these steps, twenty to a decade (the preferred numbers R20), from 1 kHz on.
const STEPS: [u32; 20] =
    [100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900];
/// The step of 10 kHz; below it nothing is worth working at.
const SLOWEST: u32 = 20;
/// Steps climbed at once: twice the clock.
const STRIDE: u32 = 6;
/// Steps between the highest clock that reads right and the one that is worked at: a fifth less.
const MARGIN: u32 = 2;
/// Where a sector of mixed content is likely: boot loader, application, RF data.
const SAMPLES: [u32; 4] = [0x00_0000, 0x01_1000, 0x04_0000, 0x1E_0000];
/// Steps down from a clock that was asked for and misreads, and from one that fails while it is worked at, in Hz.
const LADDER: [u32; 11] =
    [25_000_000, 16_000_000, 12_500_000, 8_000_000, 4_000_000, 2_000_000, 1_000_000, 500_000, 250_000, 100_000, 50_000];
/// What a message costs besides its bits, for estimates (spi-flash.md §11).
const MESSAGE: Duration = Duration::from_micros(100);
/// How long the sectors spread over the chip may take.
const SPREAD_TIME: u64 = 1;
/// Sectors spread over the chip that are read twice.
const SPREAD: u32 = 64;

/// How much is read at a clock before it counts as right.
#[derive(Clone, Copy)]
struct Effort {
    ids: u32,
    reads: u32,
}

/// While climbing.
const GLANCE: Effort = Effort { ids: 16, reads: 1 };
/// Of a clock that was asked for.
const LOOK: Effort = Effort { ids: 16, reads: 2 };
/// Of the highest clock (spi-flash.md §11).
const THOROUGH: Effort = Effort { ids: 64, reads: 16 };

/// The clock that is wished for.
#[derive(Clone, Copy)]
pub(super) enum Wish {
    /// This one in Hz, or the next lower that reads right.
    Fixed(u32),
    /// The fastest with a margin; what was worked at with a flash of this kind before, in Hz.
    Fastest(Option<u32>),
}

/// The flash at its entry clock, against which other clocks are measured.
pub(super) struct Tuner<'t> {
    bus: &'t mut NorBus,
    watch: &'t mut dyn Watch,
    id: [u8; 3],
    size: u32,
    entry_clock: u32,
    /// Flash offset of the sample.
    at: u32,
    sample: Vec<u8>,
}

/// What was read wrong.
#[derive(Clone, Copy, Default)]
struct Damage {
    ids: u32,
    bytes: u32,
    of: u32,
}

impl Damage {
    const fn none(self) -> bool {
        self.ids == 0 && self.bytes == 0
    }

    /// Less than a thousandth of the bytes: as noise does it, not a clock.
    const fn slight(self) -> bool {
        self.ids == 0 && self.bytes.saturating_mul(1000) < self.of
    }
}

/// What is known about the steps while climbing.
struct Bounds {
    /// The highest step that reads right.
    good: u32,
    /// The clock in Hz that the driver made of it.
    clock: u32,
    /// The lowest step that does not.
    bad: Option<u32>,
}

impl<'t> Tuner<'t> {
    /// Reads the sample twice at the present clock, at which the chip was entered.
    ///
    /// # Errors
    /// [`DeviceError::UnstableRead`] when the two differ.
    pub(super) fn new(
        bus: &'t mut NorBus,
        id: [u8; 3],
        size: u32,
        watch: &'t mut dyn Watch,
    ) -> Result<Self, DeviceError> {
        let entry_clock = bus.clock_hz();
        let mut tuner = Self { bus, watch, id, size, entry_clock, at: 0, sample: Vec::new() };
        tuner.choose_sample()?;
        if tuner.sector(tuner.at)? != tuner.sample {
            return Err(DeviceError::UnstableRead { at: tuner.at, speed: clock_text(entry_clock) });
        }
        Ok(tuner)
    }

    /// Finds the clock, not above `highest`, and leaves the bus at it.
    pub(super) fn find(mut self, wish: Wish, highest: u32, evidence: &mut Vec<String>) -> Result<u32, DeviceError> {
        match wish {
            Wish::Fixed(asked) => self.at_most(asked.min(highest), evidence),
            Wish::Fastest(known) => self.fastest(known, highest, evidence),
        }
    }

    /// The clock asked for, or the next step below it that reads right.
    fn at_most(&mut self, asked: u32, evidence: &mut Vec<String>) -> Result<u32, DeviceError> {
        let steps = std::iter::once(asked).chain(LADDER.into_iter().filter(|step| *step < asked));
        let entry_clock = self.entry_clock;
        for step in steps.filter(|step| *step > entry_clock) {
            let clock = self.bus.set_clock(step)?;
            if self.measure(LOOK)?.none() {
                evidence.push(format!(
                    "id and 0x{:06X} read the same at {} and {}",
                    self.at,
                    clock_text(self.entry_clock),
                    clock_text(clock)
                ));
                return Ok(clock);
            }
            self.watch.retried(format!("clock: misreads at {}", clock_text(clock)));
            evidence.push(format!("misreads at {}", clock_text(clock)));
        }
        // The entry clock is the one everything was compared with. A slower one was asked for on purpose.
        let clock = self.bus.set_clock(asked.min(self.entry_clock))?;
        evidence.push(format!("working at {}", clock_text(clock)));
        Ok(clock)
    }

    fn fastest(&mut self, known: Option<u32>, highest: u32, evidence: &mut Vec<String>) -> Result<u32, DeviceError> {
        let Bounds { mut good, bad, .. } = self.climb(known, highest)?;
        while !self.holds(good)? {
            self.say(format!("{} does not read right every time", clock_text(hertz(good))));
            good = self.below(good, 1)?;
        }
        let top = self.bus.clock_hz();
        let mut work = good.saturating_sub(MARGIN).max(SLOWEST);
        let mut clock = self.bus.set_clock(hertz(work))?;
        while !self.spread_agrees()? {
            self.say(format!("two reads differ at {}", clock_text(clock)));
            work = self.below(work, MARGIN)?;
            clock = self.bus.set_clock(hertz(work))?;
        }
        let above = bad.map_or_else(String::new, |bad| format!(", misreads at {}", clock_text(hertz(bad))));
        let bounds = format!("reads right up to {}{above}", clock_text(top));
        let time = self.backup_time(clock);
        self.say(format!("working at {}, a proven backup takes {time} ({bounds})", clock_text(clock)));
        evidence.push(format!("{bounds}; working at {}", clock_text(clock)));
        Ok(clock)
    }

    /// The highest step that reads right at a glance, and the lowest that does not, if there is one.
    fn climb(&mut self, known: Option<u32>, highest: u32) -> Result<Bounds, DeviceError> {
        let top = step(highest);
        let mut bounds = Bounds { good: step(self.entry_clock).max(SLOWEST), clock: self.entry_clock, bad: None };
        // Where it was last time, the climb is over after two looks.
        let before = known.map(|known| (step(known) + MARGIN).min(top)).filter(|before| *before > bounds.good);
        if let Some(before) = before {
            self.glance(before, &mut bounds)?;
        }
        let mut stride = if before.is_some() { 1 } else { STRIDE };
        while bounds.good < top && bounds.bad.is_none() {
            let was = bounds.clock;
            self.glance((bounds.good + stride).min(top), &mut bounds)?;
            if bounds.bad.is_none() && bounds.clock <= was {
                // The driver has no higher clock.
                break;
            }
            stride = STRIDE;
        }
        while let Some(bad) = bounds.bad.filter(|bad| bad - bounds.good > 1) {
            self.glance(bounds.good.midpoint(bad), &mut bounds)?;
        }
        Ok(bounds)
    }

    /// Looks at a step and moves the bound it belongs to.
    fn glance(&mut self, step: u32, bounds: &mut Bounds) -> Result<(), DeviceError> {
        self.watch.checkpoint()?;
        let clock = self.bus.set_clock(hertz(step))?;
        // A driver that rounds down to a clock seen already needs no second look.
        if clock <= bounds.clock {
            bounds.good = step;
            return Ok(());
        }
        let damage = self.measure(GLANCE)?;
        if damage.none() || (damage.slight() && self.measure(GLANCE)?.none()) {
            (bounds.good, bounds.clock) = (step, clock);
            let time = self.backup_time(clock);
            self.say(format!("{} reads right: a proven backup would take {time}", clock_text(clock)));
        } else {
            bounds.bad = Some(step);
            self.say(format!("{} misreads", clock_text(clock)));
        }
        Ok(())
    }

    /// Whether the step stands a long look. Damage that half the clock does not cure is not the clock's.
    fn holds(&mut self, step: u32) -> Result<bool, DeviceError> {
        let clock = self.bus.set_clock(hertz(step))?;
        let damage = self.measure(THOROUGH)?;
        if damage.none() || !damage.slight() {
            return Ok(damage.none());
        }
        self.bus.set_clock(clock / 2)?;
        let slower = self.measure(THOROUGH)?;
        self.bus.set_clock(clock)?;
        let noise = slower.slight() && slower.bytes.saturating_mul(2) >= damage.bytes;
        if noise {
            self.watch.note(
                Level::Warning,
                format!(
                    "{} of {} bytes were misread, and a slower clock does not help: check ground and contacts",
                    damage.bytes, damage.of
                ),
            );
        }
        Ok(noise)
    }

    fn below(&self, step: u32, by: u32) -> Result<u32, DeviceError> {
        let lower = step.checked_sub(by).filter(|lower| *lower >= SLOWEST);
        lower.ok_or_else(|| DeviceError::UnstableRead { at: self.at, speed: clock_text(hertz(step)) })
    }

    /// Reads ids and the sample at the present clock; counts what is wrong. Stops early when it is plain.
    fn measure(&mut self, effort: Effort) -> Result<Damage, DeviceError> {
        let mut damage = Damage::default();
        for _ in 0..effort.ids {
            damage.ids += u32::from(self.bus.id()? != self.id);
        }
        for _ in 0..effort.reads {
            if damage.ids > 0 {
                break;
            }
            let seen = self.sector(self.at)?;
            damage.bytes += seen.iter().zip(&self.sample).filter(|(seen, right)| seen != right).count() as u32;
            damage.of += SECTOR;
            if !damage.slight() && !damage.none() {
                break;
            }
        }
        Ok(damage)
    }

    /// Whether sectors from all over the chip read the same twice, or differ in no more than noise would explain. As many
    /// of them as a second holds.
    fn spread_agrees(&mut self) -> Result<bool, DeviceError> {
        let room = u64::from(self.bus.clock_hz()) / 8 * SPREAD_TIME / u64::from(2 * SECTOR);
        let count = SPREAD.min(room as u32).clamp(2, (self.size / SECTOR).max(2));
        let mut damage = Damage::default();
        for index in 0..count {
            let at = (u64::from(self.size / SECTOR) * u64::from(index) / u64::from(count)) as u32 * SECTOR;
            let (one, other) = (self.sector(at)?, self.sector(at)?);
            damage.bytes += one.iter().zip(&other).filter(|(one, other)| one != other).count() as u32;
            damage.of += SECTOR;
        }
        Ok(damage.none() || damage.slight())
    }

    /// A sector whose content is worth comparing: not one byte value all over, where there is such a sector.
    fn choose_sample(&mut self) -> Result<(), DeviceError> {
        let size = self.size;
        for at in SAMPLES.into_iter().filter(|at| at + SECTOR <= size) {
            let sector = self.sector(at)?;
            if sector.iter().any(|byte| Some(byte) != sector.first()) {
                (self.at, self.sample) = (at, sector);
                return Ok(());
            }
        }
        self.sample = self.sector(0)?;
        Ok(())
    }

    fn sector(&mut self, at: u32) -> Result<Vec<u8>, DeviceError> {
        let mut sector = vec![0; SECTOR as usize];
        let room = self.bus.read_room();
        for (offset, piece) in (at..).step_by(room).zip(sector.chunks_mut(room)) {
            self.watch.checkpoint()?;
            self.bus.read(offset, piece)?;
        }
        Ok(sector)
    }

    fn say(&mut self, text: String) {
        self.watch.note(Level::Info, format!("clock: {text}"));
    }

    /// Both passes of a backup, the second at half the clock.
    fn backup_time(&self, clock: u32) -> String {
        let bits = f64::from(self.size) * 8.0 * 3.0 / f64::from(clock.max(1));
        let messages = 2 * self.size / SECTOR;
        time_text(Duration::from_secs_f64(bits) + MESSAGE * messages)
    }
}

/// The clock of a step in Hz.
fn hertz(step: u32) -> u32 {
    let decade = 10_u32.saturating_pow(step / 20 + 1);
    STEPS.get((step % 20) as usize).map_or(0, |digits| digits.saturating_mul(decade))
}

/// The highest step that is not above a clock; the lowest of all below 1 kHz.
fn step(hz: u32) -> u32 {
    (1..100).take_while(|step| hertz(*step) <= hz).last().unwrap_or(0)
}

/// The next lower working clock; `None` below all of them.
pub(super) fn step_below(clock: u32) -> Option<u32> {
    LADDER.into_iter().find(|step| *step < clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_preferred_numbers() {
        assert_eq!(
            [0, 20, 34, 40, 74, 78, 80, 90].map(hertz),
            [1_000, 10_000, 50_000, 100_000, 5_000_000, 8_000_000, 10_000_000, 31_500_000]
        );
        for (hz, expected) in [(8_000_000, 8_000_000), (7_999_999, 7_100_000), (50_000_000, 50_000_000), (500, 1_000)] {
            assert_eq!(hertz(step(hz)), expected, "{hz}");
        }
        assert!((1..95).all(|step| hertz(step) > hertz(step - 1)));
    }

    #[test]
    fn the_way_down_ends() {
        let mut clock = 40_000_000;
        let mut falls = 0;
        while let Some(lower) = step_below(clock) {
            assert!(lower < clock);
            clock = lower;
            falls += 1;
        }
        assert_eq!((clock, falls), (50_000, LADDER.len()));
    }
}
