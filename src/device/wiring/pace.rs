//! How fast the wires are, measured by ids and a little content at rising clocks.

use super::super::error::DeviceError;
use super::super::spi::NorBus;
use super::super::watch::Watch;
use super::Pace;
use crate::link::LinkError;
use crate::units::clock_text;

/// The clock that everything is compared with, in Hz (spi-flash.md §11).
const SLOW: u32 = 100_000;
/// Clocks tried, in Hz; 8 MHz is what the program works at unless told otherwise.
const STEPS: [u32; 8] = [250_000, 500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 12_000_000, 16_000_000];
/// Id reads that have to be right at a clock.
const IDS: usize = 24;
/// Where content is read to compare: boot loader and application.
const SAMPLES: [u32; 2] = [0x00_0000, 0x01_1000];
/// Bytes of each.
const SAMPLE: usize = 32;

/// Goes to the clock that everything is compared with.
pub(super) fn slow(bus: &mut NorBus) -> Result<(), LinkError> {
    match bus.set_mode(0) {
        Ok(()) | Err(LinkError::Unsupported { .. }) => {}
        Err(other) => return Err(other),
    }
    bus.set_clock(SLOW).map(drop)
}

/// The highest clock that reads right and the first that does not, and whether the chip was lost on the way.
pub(super) fn find(bus: &mut NorBus, id: [u8; 3], watch: &mut dyn Watch) -> Result<(Pace, bool), DeviceError> {
    slow(bus)?;
    let content = sample(bus)?;
    let mut pace = Pace { works: 0, fails: None };
    for step in std::iter::once(SLOW).chain(STEPS) {
        watch.checkpoint()?;
        let clock = bus.set_clock(step)?;
        let right = reads_right(bus, id, &content)?;
        slow(bus)?;
        if !id_comes(bus, id)? {
            return Ok((pace, true));
        }
        if !right {
            watch.retried(format!("misreads at {}", clock_text(clock)));
            pace.fails = Some(clock);
            return Ok((pace, false));
        }
        pace.works = clock;
    }
    Ok((pace, false))
}

fn sample(bus: &mut NorBus) -> Result<Vec<u8>, LinkError> {
    let mut all = vec![0; SAMPLE * SAMPLES.len()];
    for (at, piece) in SAMPLES.into_iter().zip(all.chunks_mut(SAMPLE)) {
        bus.read(at, piece)?;
    }
    Ok(all)
}

fn reads_right(bus: &mut NorBus, id: [u8; 3], content: &[u8]) -> Result<bool, LinkError> {
    for _ in 0..IDS {
        if bus.id()? != id {
            return Ok(false);
        }
    }
    Ok(sample(bus)? == content)
}

/// Whether the id comes at least once in a few reads.
fn id_comes(bus: &mut NorBus, id: [u8; 3]) -> Result<bool, LinkError> {
    for _ in 0..4 {
        if bus.id()? == id {
            return Ok(true);
        }
    }
    Ok(false)
}
