//! After entry: the part, its size by independent sources, and a clock at which it reads right.

use std::time::Duration;

use super::super::attach::AttachOptions;
use super::super::contract::{DeviceError, Facts, Level, Watch};
use super::bus::{Busy, NorBus};
use super::entry::Entered;
use crate::chip::{Limits, part};
use crate::codec::nor::sfdp;
use crate::link::{LinkInfo, WireKind};
use crate::units::{SECTOR, clock_text, hex_text, size_text};

/// Working clock when nobody asks for another one: in use by a published tool, and kind to jumper wires.
const DEFAULT_CLOCK: u32 = 8_000_000;
/// Steps down when a clock misreads, in Hz.
const LADDER: [u32; 6] = [8_000_000, 4_000_000, 2_000_000, 1_000_000, 500_000, 100_000];
/// Id reads that have to be right at a clock.
const CLOCK_IDS: usize = 16;
/// Reads of the sample sector that have to be right at a clock.
const CLOCK_READS: usize = 2;
/// Addresses are three bytes long.
const REACH: u32 = 1 << 24;
/// Bytes compared to find out where addresses wrap.
const WRAP_SAMPLE: usize = 256;
/// Where a sector of mixed content is likely: boot loader, application, RF data.
const SAMPLES: [u32; 4] = [0x00_0000, 0x01_1000, 0x04_0000, 0x1E_0000];

/// What was found out.
pub(super) struct Setup {
    pub facts: Facts,
}

/// Finds part, size and working clock of a flash that answers.
pub(super) fn set_up(
    bus: &mut NorBus,
    entered: Entered,
    options: &AttachOptions,
    info: &LinkInfo,
    watch: &mut dyn Watch,
) -> Result<Setup, DeviceError> {
    let Entered { id, tie, mut evidence } = entered;
    let part = part(id);
    let limits = part.map_or_else(Limits::of_any_part, |part| part.limits());
    // A part that was left in the middle of an erase finishes it even through a reset of the chip.
    bus.wait_idle(Busy { request: "attach", at: 0, limit: limits.block_erase, poll: Duration::from_millis(10) })?;
    evidence.push(match part {
        Some(part) => format!("the table knows {} as {} by {}", hex_text(&id), part.name, part.vendor),
        None => format!("{} is not in the table: read only", hex_text(&id)),
    });
    bus.plain_read_limit = part.map_or(33_000_000, |part| part.max_clock_03_hz);
    let (size, size_sources) = find_size(bus, id, &mut evidence, watch)?;
    let highest = part.map_or(50_000_000, |part| part.max_clock_0b_hz);
    let asked = options.speed.unwrap_or(DEFAULT_CLOCK).min(highest);
    let speed = find_clock(bus, id, asked, size, &mut evidence, watch)?;
    if info.simulated {
        evidence.push("embedded module: nothing here is a statement about silicon".to_owned());
    }
    let facts = Facts {
        wire: WireKind::Spi,
        jedec: Some(id),
        part,
        size,
        size_sources,
        boot_version: None,
        chip_id: None,
        dialect: None,
        code_key: None,
        speed,
        tie,
        evidence,
    };
    Ok(Setup { facts })
}

fn find_size(
    bus: &mut NorBus,
    id: [u8; 3],
    evidence: &mut Vec<String>,
    watch: &mut dyn Watch,
) -> Result<(u32, Vec<String>), DeviceError> {
    let [_, _, exponent] = id;
    let by_id = part(id).map_or(1 << exponent, |part| part.size);
    let mut sources = vec!["JEDEC id".to_owned()];
    evidence.push(format!("JEDEC id: {}", size_text(u64::from(by_id))));
    let by_sfdp = match sfdp::basic_table(&bus.sfdp(0, sfdp::HEADER_LEN)?) {
        Some((at, len)) => sfdp::size(&bus.sfdp(at, len.min(64))?),
        None => None,
    };
    match by_sfdp {
        Some(size) if size == by_id => {
            sources.push("SFDP".to_owned());
            evidence.push(format!("SFDP: {}", size_text(u64::from(size))));
        }
        Some(size) => {
            let text =
                format!("SFDP says {}, the JEDEC id {}", size_text(u64::from(size)), size_text(u64::from(by_id)));
            watch.note(Level::Warning, text.clone());
            evidence.push(text);
        }
        None => evidence.push("the part shows no SFDP".to_owned()),
    }
    if by_id > REACH {
        evidence.push("only the first 16 MiB can be reached with three address bytes".to_owned());
        return Ok((REACH, sources));
    }
    if let Some(text) = wraps_at(bus, by_id)? {
        sources.push("address wrap".to_owned());
        evidence.push(text);
    }
    Ok((by_id, sources))
}

/// Reads behind the end give the beginning again, and half-way through they do not: then the size is right.
/// `None` where that cannot be told, such as on a blank chip.
fn wraps_at(bus: &mut NorBus, size: u32) -> Result<Option<String>, DeviceError> {
    if size >= REACH {
        return Ok(None);
    }
    let mut samples = [[0_u8; WRAP_SAMPLE]; 3];
    for (at, sample) in [0, size / 2, size].into_iter().zip(&mut samples) {
        for (offset, piece) in (at..).step_by(32).zip(sample.chunks_mut(32)) {
            bus.read(offset, piece)?;
        }
    }
    let [start, half, end] = samples;
    let mixed = start.iter().any(|byte| *byte != start[0]);
    Ok((mixed && start == end && start != half)
        .then(|| format!("address wrap: 0x{size:06X} reads as 0x000000, 0x{:06X} does not", size / 2)))
}

/// The next lower working clock; `None` below all of them.
pub(super) fn step_below(clock: u32) -> Option<u32> {
    LADDER.into_iter().find(|step| *step < clock)
}

/// The highest clock, not above `asked`, at which ids and a sector read like at the entry clock.
fn find_clock(
    bus: &mut NorBus,
    id: [u8; 3],
    asked: u32,
    size: u32,
    evidence: &mut Vec<String>,
    watch: &mut dyn Watch,
) -> Result<u32, DeviceError> {
    let entry_clock = bus.clock_hz();
    let (at, sample) = sample_sector(bus, size, watch)?;
    if read_sector(bus, at, watch)? != sample {
        return Err(DeviceError::UnstableRead { at, speed: clock_text(entry_clock) });
    }
    let steps = std::iter::once(asked).chain(LADDER.into_iter().filter(|step| *step < asked));
    for step in steps.filter(|step| *step > entry_clock) {
        let clock = bus.set_clock(step)?;
        if reads_right(bus, id, at, &sample, watch)? {
            evidence.push(format!(
                "id and 0x{at:06X} read the same at {} and {}",
                clock_text(entry_clock),
                clock_text(clock)
            ));
            return Ok(clock);
        }
        watch.retried(format!("clock: misreads at {}", clock_text(clock)));
        evidence.push(format!("misreads at {}", clock_text(clock)));
    }
    // The entry clock is the one everything was compared with. A slower one was asked for on purpose.
    let clock = bus.set_clock(asked.min(entry_clock))?;
    evidence.push(format!("working at {}", clock_text(clock)));
    Ok(clock)
}

fn reads_right(
    bus: &mut NorBus,
    id: [u8; 3],
    at: u32,
    sample: &[u8],
    watch: &mut dyn Watch,
) -> Result<bool, DeviceError> {
    for _ in 0..CLOCK_IDS {
        if bus.id()? != id {
            return Ok(false);
        }
    }
    for _ in 0..CLOCK_READS {
        if read_sector(bus, at, watch)? != sample {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A sector whose content is worth comparing: not one byte value all over, where there is such a sector.
fn sample_sector(bus: &mut NorBus, size: u32, watch: &mut dyn Watch) -> Result<(u32, Vec<u8>), DeviceError> {
    for at in SAMPLES.into_iter().filter(|at| at + SECTOR <= size) {
        let sector = read_sector(bus, at, watch)?;
        if sector.iter().any(|byte| Some(byte) != sector.first()) {
            return Ok((at, sector));
        }
    }
    Ok((0, read_sector(bus, 0, watch)?))
}

fn read_sector(bus: &mut NorBus, at: u32, watch: &mut dyn Watch) -> Result<Vec<u8>, DeviceError> {
    let mut sector = vec![0; SECTOR as usize];
    let room = bus.read_room();
    for (offset, piece) in (at..).step_by(room).zip(sector.chunks_mut(room)) {
        watch.checkpoint()?;
        bus.read(offset, piece)?;
    }
    Ok(sector)
}
