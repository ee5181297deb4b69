//! What stands on the whole chip now: read, or compared with a known content where reading is the slow way.

use super::backup::read_into;
use super::report::{JobError, Phase, Reporter};
use crate::device::ReadFlash;
use crate::units::SECTOR;

/// Returns the content of the whole chip. With `known`, a content that the chip may still hold, a link whose chip can
/// compute CRCs only reads the sectors that differ from it.
///
/// # Errors
/// [`JobError::Device`].
pub fn survey(device: &mut dyn ReadFlash, known: Option<&[u8]>, run: &mut dyn Reporter) -> Result<Vec<u8>, JobError> {
    let size = device.facts().size as usize;
    run.phase(Phase::Survey, size as u64);
    match known.filter(|known| known.len() == size && device.abilities().prefer_crc) {
        None => {
            let mut bytes = vec![0; size];
            read_into(device, &mut bytes, run)?;
            Ok(bytes)
        }
        Some(known) => {
            let mut bytes = known.to_vec();
            for at in device.compare(0, known, run)? {
                if let Some(place) = bytes.get_mut(at as usize..(at + SECTOR) as usize) {
                    run.checkpoint()?;
                    device.read(at, place, run)?;
                }
            }
            Ok(bytes)
        }
    }
}
