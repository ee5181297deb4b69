//! What stands on the whole chip now. A single look is not believed: bytes that are kept beside new ones are written
//! back, so a misread would be written into the chip. What was proven on this very connection, and cannot have changed
//! since, is not asked for again ([`ReadFlash::still`]): a plan right behind a backup or another plan costs nothing.

use super::backup::{fetch, settle};
use super::report::{JobError, Phase, Reporter};
use crate::device::{ReadFlash, Seen, Uncounted};
use crate::units::{BLOCK, SECTOR, Span};

/// How often a sector that reads differently is looked at again before it counts as different.
const LOOKS: u32 = 3;

/// Returns the content of the whole chip, every sector seen twice: once read, and once more by an independent look or
/// in `known`, the proven content of an earlier time. A link whose chip can compute CRCs only reads the blocks that
/// differ from `known`, from `likely`, which is what may stand there by now, and from erased flash.
///
/// # Errors
/// [`JobError::Unsettled`] when a sector never reads the same twice, [`JobError::Device`].
pub fn survey(
    device: &mut dyn ReadFlash,
    known: Option<&[u8]>,
    likely: Option<&[u8]>,
    run: &mut dyn Reporter,
) -> Result<Vec<u8>, JobError> {
    let size = device.facts().size as usize;
    let known = known.filter(|known| known.len() == size);
    // Where nothing is known and the chip computes no CRC, every sector is seen twice on the way.
    let twice = known.is_none() && device.abilities().chip_crc.is_none();
    run.phase(Phase::Survey, if twice { 2 * size as u64 } else { size as u64 });
    let mut bytes = vec![0; size];
    let mut doubtful: Vec<u32> = Vec::new();
    for block in Span::new(0, size as u32).pieces(BLOCK) {
        let range = block.start as usize..block.end() as usize;
        let known = known.and_then(|known| known.get(range.clone()));
        let Some(place) = bytes.get_mut(range.clone()) else { continue };
        if let Some(content) = device.still(block.start, block.len) {
            place.copy_from_slice(content);
            run.checkpoint()?;
            run.advance(block.len.into());
            continue;
        }
        let likely = likely.and_then(|likely| likely.get(range));
        let candidates: Vec<&[u8]> = known.into_iter().chain(likely).collect();
        if fetch(device, block.start, &candidates, place, run)? == Seen::Proven {
            continue;
        }
        let sectors = (block.start..).step_by(SECTOR as usize).zip(place.chunks(SECTOR as usize).enumerate());
        doubtful.extend(sectors.filter_map(|(at, (index, is))| {
            let was = known.and_then(|known| known.chunks(SECTOR as usize).nth(index));
            (was != Some(is)).then_some(at)
        }));
    }
    // Runs of neighbours are compared at once; what disagrees is read until two looks agree.
    let mut rest = doubtful.as_slice();
    while let Some(&start) = rest.first() {
        let run_len = rest.iter().zip((start..).step_by(SECTOR as usize)).take_while(|(is, next)| *is == next).count();
        let end = start as usize + run_len * SECTOR as usize;
        let seen = bytes.get(start as usize..end).unwrap_or_default();
        let disagreeing =
            if twice { device.compare(start, seen, run)? } else { device.compare(start, seen, &mut Uncounted(run))? };
        for at in disagreeing {
            run.retried(format!("sector 0x{at:06X} read differently the second time"));
            if !settle(device, at, &mut bytes, run)? {
                return Err(JobError::Unsettled { at });
            }
        }
        rest = rest.get(run_len..).unwrap_or_default();
    }
    Ok(bytes)
}

/// Looks again at sectors that seemed to differ from `wanted`, the whole chip; returns those that really do. A
/// misread on the way is not a change of the chip.
///
/// # Errors
/// [`JobError::Device`].
pub(super) fn confirmed(
    device: &mut dyn ReadFlash,
    seemed: Vec<u32>,
    wanted: &[u8],
    run: &mut dyn Reporter,
) -> Result<Vec<u32>, JobError> {
    let mut real = Vec::new();
    'sectors: for at in seemed {
        let expected = wanted.get(at as usize..(at + SECTOR) as usize).unwrap_or_default();
        for _ in 0..LOOKS {
            run.checkpoint()?;
            if device.compare(at, expected, &mut Uncounted(run))?.is_empty() {
                run.retried(format!("sector 0x{at:06X} was misread once"));
                continue 'sectors;
            }
        }
        real.push(at);
    }
    Ok(real)
}
