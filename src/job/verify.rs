//! Reading a part of the flash, and comparing a part of it with a file.

use std::sync::Arc;

use super::report::{JobError, Phase, Reporter};
use super::spec::{Extract, Outcome};
use crate::device::{DeviceError, ReadFlash, Uncounted, Watch};
use crate::units::{BLOCK, SECTOR, Span, hex_text};

/// Reads a range and compares it once, independently.
///
/// # Errors
/// [`JobError::OutsideChip`], [`JobError::Differs`] when two looks at the range disagree, [`JobError::Device`].
pub fn extract(device: &mut dyn ReadFlash, span: Span, run: &mut dyn Reporter) -> Result<Extract, JobError> {
    inside(device, span)?;
    let whole = span.to_sectors();
    let mut bytes = vec![0; whole.len as usize];
    run.phase(Phase::Read, whole.len.into());
    for piece in whole.pieces(BLOCK) {
        let from = (piece.start - whole.start) as usize;
        if let Some(place) = bytes.get_mut(from..from + piece.len as usize) {
            device.read(piece.start, place, run)?;
        }
    }
    run.phase(Phase::SecondPass, whole.len.into());
    let differing = device.compare(whole.start, &bytes, run)?;
    if let Some(&at) = differing.first() {
        return Err(JobError::Differs { count: differing.len(), of: (whole.len / SECTOR) as usize, at });
    }
    let from = (span.start - whole.start) as usize;
    let bytes: Arc<[u8]> = bytes.get(from..from + span.len as usize).unwrap_or_default().into();
    Ok(Extract { span, bytes })
}

/// Compares the flash from `at` with `expected`.
///
/// # Errors
/// [`JobError::OutsideChip`], [`JobError::Differs`], [`JobError::Device`].
pub fn verify(
    device: &mut dyn ReadFlash,
    at: u32,
    expected: &[u8],
    run: &mut dyn Reporter,
) -> Result<Outcome, JobError> {
    let span = Span::new(at, expected.len() as u32);
    inside(device, span)?;
    let whole = span.to_sectors();
    run.phase(Phase::Verify, whole.len.into());
    let wanted = filled_up(device, span, expected, &mut Uncounted(run))?;
    let differing = device.compare(whole.start, &wanted, run)?;
    match differing.first() {
        None => Ok(Outcome::Verified(span)),
        Some(&first) => Err(JobError::Differs { count: differing.len(), of: (whole.len / SECTOR) as usize, at: first }),
    }
}

/// Content as whole sectors: those that it covers only in part are filled up with what stands there.
pub(super) fn filled_up(
    device: &mut dyn ReadFlash,
    span: Span,
    content: &[u8],
    watch: &mut dyn Watch,
) -> Result<Vec<u8>, DeviceError> {
    let whole = span.to_sectors();
    let mut filled = vec![0; whole.len as usize];
    for edge in [whole.start, whole.end().saturating_sub(SECTOR)] {
        let sector = Span::new(edge, SECTOR);
        if !span.covers(sector)
            && let Some(place) = filled.get_mut((edge - whole.start) as usize..(edge - whole.start + SECTOR) as usize)
        {
            device.read(edge, place, watch)?;
        }
    }
    let from = (span.start - whole.start) as usize;
    if let Some(place) = filled.get_mut(from..from + content.len()) {
        place.copy_from_slice(content);
    }
    Ok(filled)
}

fn inside(device: &dyn ReadFlash, span: Span) -> Result<(), JobError> {
    let size = device.facts().size;
    let end = u64::from(span.start) + u64::from(span.len);
    if span.is_empty() || end > u64::from(size) { Err(JobError::OutsideChip { span, size }) } else { Ok(()) }
}

/// The first bytes at which a sector differs from what it should hold: offset, expected bytes, read bytes.
///
/// # Errors
/// [`DeviceError`] while reading the sector.
pub(super) fn first_difference(
    device: &mut dyn ReadFlash,
    at: u32,
    wanted: &[u8],
    watch: &mut dyn Watch,
) -> Result<Difference, DeviceError> {
    let mut is = vec![0; SECTOR as usize];
    device.read(at, &mut is, watch)?;
    let offset = is.iter().zip(wanted).position(|(is, wanted)| is != wanted).unwrap_or(0);
    let end = (offset + 8).min(is.len());
    let text = |bytes: &[u8]| bytes.get(offset..end).map(hex_text).unwrap_or_default();
    Ok(Difference { at: at + offset as u32, expected: text(wanted), read: text(&is), content: is })
}

/// Where and how a sector is wrong.
pub(super) struct Difference {
    pub at: u32,
    pub expected: String,
    pub read: String,
    pub content: Vec<u8>,
}
