//! After entry: the part, its size by independent sources, and the clock to work at.

use std::time::Duration;

use super::super::attach::AttachOptions;
use super::super::contract::Facts;
use super::super::error::DeviceError;
use super::super::unique::UniqueId;
use super::super::watch::{Level, Watch};
use super::bus::{Busy, NorBus};
use super::entry::Entered;
use super::tune::{Tuner, Wish};
use crate::chip::{Limits, Part, part};
use crate::codec::nor::opcode::{self, Addressing};
use crate::codec::nor::sfdp;
use crate::link::{LinkInfo, WireKind};
use crate::units::{hex_text, size_text};

/// What three address bytes reach.
const REACH: u32 = 1 << 24;
/// Bytes compared to find out where addresses wrap.
const WRAP_SAMPLE: usize = 256;
/// How long a part takes for a software reset (flash-chips.toml `[defaults]`).
const RESET_TIME: Duration = Duration::from_millis(1);
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
    let Entered { id, tie, mut evidence, tries } = entered;
    let part = part(id);
    let limits = part.map_or_else(Limits::of_any_part, |part| part.limits());
    // A part that was left in the middle of an erase finishes it even through a reset of the chip.
    bus.wait_idle(Busy { request: "attach", at: 0, limit: limits.block_erase, poll: Duration::from_millis(10) })?;
    evidence.push(match part {
        Some(part) => format!("the table knows {} as {} by {}", hex_text(&id), part.name, part.vendor),
        None => format!("{} is not in the table: read only", hex_text(&id)),
    });
    let unique_id = unique_id(bus, part, &mut evidence)?;
    bus.plain_read_limit = part.map_or(33_000_000, |part| part.max_clock_03_hz);
    let (size, size_sources) = find_size(bus, id, &mut evidence, watch)?;
    let highest = part.map_or(50_000_000, |part| part.max_clock_0b_hz);
    let known = options.known.iter().rev().find(|known| known.jedec == id).map(|known| known.hz);
    let wish = options.speed.map_or(Wish::Fastest(known), Wish::Fixed);
    let speed = Tuner::new(bus, id, size, watch)?.find(wish, highest, &mut evidence)?;
    if info.simulated {
        evidence.push("embedded module: nothing here is a statement about silicon".to_owned());
    }
    let facts = Facts {
        wire: WireKind::Spi,
        jedec: Some(id),
        unique_id,
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
        tries,
    };
    Ok(Setup { facts })
}

/// The unique id at the clock of the entry, which is slow enough for any wires: two reads have to agree on it.
/// A part that nobody knows is not asked, since the opcode may mean something else to it.
fn unique_id(
    bus: &mut NorBus,
    part: Option<&Part>,
    evidence: &mut Vec<String>,
) -> Result<Option<UniqueId>, DeviceError> {
    if !part.is_some_and(|part| part.unique_id) {
        return Ok(None);
    }
    let found = UniqueId::agreed(&bus.unique_id(UniqueId::LONGEST)?, &bus.unique_id(UniqueId::LONGEST)?);
    evidence.extend(found.as_ref().map(UniqueId::words));
    Ok(found)
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
        return Ok((if four_bytes(bus, id, evidence)? { by_id } else { REACH }, sources));
    }
    if let Some(text) = wraps_at(bus, by_id)? {
        sources.push("address wrap".to_owned());
        evidence.push(text);
    }
    Ok((by_id, sources))
}

/// Whether a part above 16 MiB is addressed with four bytes from now on: the table has to say that it knows the opcodes, and
/// they have to read what three bytes read.
fn four_bytes(bus: &mut NorBus, id: [u8; 3], evidence: &mut Vec<String>) -> Result<bool, DeviceError> {
    if !part(id).is_some_and(|part| part.four_byte_opcodes) {
        evidence.push("only the first 16 MiB can be reached: no four-byte opcodes are known of this part".to_owned());
        return Ok(false);
    }
    for try_again in [true, false] {
        let (mut three, mut four) = ([0_u8; 32], [0_u8; 32]);
        bus.addressing = Addressing::Three;
        bus.read(0, &mut three)?;
        bus.addressing = Addressing::Four;
        bus.read(0, &mut four)?;
        if three == four {
            let blank = three.iter().all(|byte| *byte == three[0]);
            let how = if blank {
                "by the table; the first bytes are blank and prove nothing"
            } else {
                "0 reads the same with three"
            };
            evidence.push(format!("addressed with four bytes ({how})"));
            return Ok(true);
        }
        if try_again {
            // Another program may have left the part in its four-byte mode, where three are too few.
            bus.send(&[opcode::RESET_ENABLE])?;
            bus.send(&[opcode::RESET])?;
            bus.pause(RESET_TIME);
        }
    }
    bus.addressing = Addressing::Three;
    evidence.push("only the first 16 MiB can be reached: with four address bytes the part reads otherwise".to_owned());
    Ok(false)
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
