//! The proven backup: the whole chip in two independent passes (product.md rule 2). Holds a device that cannot
//! express a write.

use std::sync::Arc;

use super::identify::Identity;
use super::report::{JobError, Phase, Reporter};
use super::spec::BackupRead;
use crate::device::{Level, ReadFlash};
use crate::image::plausible;
use crate::link::LinkInfo;
use crate::units::{BLOCK, SECTOR, Span};

/// How often a sector that differs between two passes is read again before it counts as unstable.
const SETTLE_ATTEMPTS: u32 = 5;

/// Reads the whole chip twice. Sectors that disagree are read again until two independent readings agree.
///
/// # Errors
/// [`JobError::Device`], cancelled included.
pub fn back_up(device: &mut dyn ReadFlash, link: &LinkInfo, run: &mut dyn Reporter) -> Result<BackupRead, JobError> {
    let began = run.now();
    let size = device.facts().size;
    let mut bytes = vec![0; size as usize];

    run.phase(Phase::Read, size.into());
    read_into(device, &mut bytes, run)?;
    let first_speed = device.facts().speed;

    run.phase(Phase::SecondPass, size.into());
    let differing = device.compare(0, &bytes, run)?;
    let mut unstable = Vec::new();
    for &at in &differing {
        run.retried(format!("sector 0x{at:06X} read differently the second time"));
        if !settle(device, at, &mut bytes, run)? {
            run.note(Level::Error, format!("sector 0x{at:06X} never reads the same twice"));
            unstable.push(at);
        }
    }

    let identity = Identity::from_flash(device.facts(), device.abilities(), link, &bytes);
    let second_speed = if device.abilities().prefer_crc { 0 } else { first_speed / 2 };
    Ok(BackupRead {
        rules: plausible::check(&bytes),
        bytes: bytes.into(),
        identity: Arc::new(identity),
        status: device.read_status()?,
        speeds: (first_speed, second_speed),
        retries: differing.len() as u32,
        unstable,
        took: run.now().saturating_sub(began),
    })
}

/// Reads the whole chip into `bytes`, in blocks.
pub(super) fn read_into(device: &mut dyn ReadFlash, bytes: &mut [u8], run: &mut dyn Reporter) -> Result<(), JobError> {
    for piece in Span::new(0, bytes.len() as u32).pieces(BLOCK) {
        if let Some(place) = bytes.get_mut(piece.start as usize..piece.end() as usize) {
            device.read(piece.start, place, run)?;
        }
    }
    Ok(())
}

/// Reads one sector until a second, independent look agrees with it.
pub(super) fn settle(
    device: &mut dyn ReadFlash,
    at: u32,
    bytes: &mut [u8],
    run: &mut dyn Reporter,
) -> Result<bool, JobError> {
    let Some(place) = bytes.get_mut(at as usize..(at + SECTOR) as usize) else { return Ok(false) };
    for _ in 0..SETTLE_ATTEMPTS {
        run.checkpoint()?;
        device.read(at, place, run)?;
        if device.compare(at, place, run)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
