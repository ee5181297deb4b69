//! What stands on the whole chip now. A single look is not believed: bytes that are kept beside new ones are written
//! back, so a misread would be written into the chip.

use super::backup::{read_into, settle};
use super::patience::Quiet;
use super::report::{JobError, Phase, Reporter};
use crate::device::ReadFlash;
use crate::units::SECTOR;

/// How often a sector that reads differently is looked at again before it counts as different.
const LOOKS: u32 = 3;

/// Returns the content of the whole chip, every sector seen twice: once read, and once more by an independent look or
/// in `known`, the proven content of an earlier time. A link whose chip can compute CRCs only reads the sectors that
/// differ from `known`.
///
/// # Errors
/// [`JobError::Unsettled`] when a sector never reads the same twice, [`JobError::Device`].
pub fn survey(device: &mut dyn ReadFlash, known: Option<&[u8]>, run: &mut dyn Reporter) -> Result<Vec<u8>, JobError> {
    let size = device.facts().size as usize;
    let known = known.filter(|known| known.len() == size);
    // Without a known content every sector is seen twice on the way.
    run.phase(Phase::Survey, if known.is_some() { size as u64 } else { 2 * size as u64 });
    let mut bytes = vec![0; size];
    let doubtful: Vec<u32> = match known {
        Some(known) if device.abilities().prefer_crc => {
            bytes.copy_from_slice(known);
            let differing = device.compare(0, known, run)?;
            for &at in &differing {
                run.checkpoint()?;
                device.read(at, sector(&mut bytes, at), &mut Quiet(run))?;
            }
            differing
        }
        Some(known) => {
            read_into(device, &mut bytes, run)?;
            differing(&bytes, known)
        }
        None => {
            read_into(device, &mut bytes, run)?;
            (0..size as u32).step_by(SECTOR as usize).collect()
        }
    };
    // Runs of neighbours are compared at once; what disagrees is read until two looks agree.
    let mut rest = doubtful.as_slice();
    while let Some(&start) = rest.first() {
        let run_len = rest.iter().zip((start..).step_by(SECTOR as usize)).take_while(|(is, next)| *is == next).count();
        let end = start as usize + run_len * SECTOR as usize;
        let seen = bytes.get(start as usize..end).unwrap_or_default();
        let disagreeing = match known {
            Some(_) => device.compare(start, seen, &mut Quiet(run))?,
            None => device.compare(start, seen, run)?,
        };
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

fn sector(bytes: &mut [u8], at: u32) -> &mut [u8] {
    bytes.get_mut(at as usize..(at + SECTOR) as usize).unwrap_or_default()
}

/// The offsets of the sectors in which two contents differ.
fn differing(one: &[u8], other: &[u8]) -> Vec<u32> {
    let sectors = one.chunks(SECTOR as usize).zip(other.chunks(SECTOR as usize)).zip((0..).step_by(SECTOR as usize));
    sectors.filter(|((one, other), _)| one != other).map(|(_, at)| at).collect()
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
            if device.compare(at, expected, &mut Quiet(run))?.is_empty() {
                run.retried(format!("sector 0x{at:06X} was misread once"));
                continue 'sectors;
            }
        }
        real.push(at);
    }
    Ok(real)
}
