//! Sectors outside the image that a write over UART has hit with a damaged request before it was cut off. Nobody may have
//! noticed: then only their CRCs of before the write tell (product.md rules 3, 7 and 9).

use super::plan::Situation;
use super::policy;
use super::refusal::Refusal;
use super::spec::{BackupProof, WriteSpec};
use crate::codec::beken::chip_crc;
use crate::units::{SECTOR, Span};

/// What every write over UART does besides its plan, in the words of the plan.
pub(super) const POLICY: &str =
    "a damaged request may hit another sector; such a sector is put back to what the survey proved, and reported";

/// What has to be done to sectors outside the image.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// Sectors that are put back, by offset, with what stood there before the write.
    pub mended: Vec<(u32, Vec<u8>)>,
    /// Sectors that changed, and what stood there is not known.
    pub lost: Vec<u32>,
    /// Guarded sectors under suspicion that hold what they held.
    settled: Vec<u32>,
}

impl Strays {
    /// Whether a sector under suspicion outside the image is taken care of.
    pub fn settles(&self, at: u32) -> bool {
        self.settled.contains(&at) || self.mended.iter().any(|(mended, _)| *mended == at)
    }

    /// For the person who agrees to the plan.
    pub fn notes(&self) -> Vec<String> {
        let list = |sectors: &mut dyn Iterator<Item = u32>| {
            sectors.map(|at| format!("0x{at:06X}")).collect::<Vec<_>>().join(", ")
        };
        let mut notes = Vec::new();
        if !self.mended.is_empty() {
            notes.push(format!(
                "outside the image {} changed since the write began (a damaged request hit it, or the firmware ran): put back to \
                 what stood there",
                list(&mut self.mended.iter().map(|(at, _)| *at))
            ));
        }
        if !self.lost.is_empty() {
            notes.push(format!(
                "outside the image {} changed since the write began, and what stood there is not in the backup: left as it is",
                list(&mut self.lost.iter().copied())
            ));
        }
        notes
    }
}

/// The CRC of every sector: what a journal keeps of the chip before a write.
pub fn sector_crcs(flash: &[u8]) -> Vec<u32> {
    flash.chunks(SECTOR as usize).map(chip_crc).collect()
}

/// Looks at every sector outside what is `written` anyway, whole sectors, where the write that was cut off has recorded how the chip was before.
///
/// # Errors
/// [`Refusal::HitGuarded`] for a sector that this link may not write.
pub(super) fn strays(spec: &WriteSpec, situation: &Situation<'_>, written: &[Span]) -> Result<Strays, Refusal> {
    let mut strays = Strays::default();
    let Some(left) = spec.interrupted.as_ref().filter(|left| left.astray && !left.before.is_empty()) else {
        return Ok(strays);
    };
    let rf = policy::guarded(spec, situation).filter(|_| !spec.change.from_backup());
    for ((index, sector), was) in situation.current.chunks(SECTOR as usize).enumerate().zip(&left.before) {
        let span = Span::new(index as u32 * SECTOR, SECTOR);
        let (changed, suspected) = (chip_crc(sector) != *was, left.distrusts(span.start));
        if written.iter().any(|written| written.covers(span)) || !(changed || suspected) {
            continue;
        }
        let guarded = span.start < situation.abilities.first_writable || rf.is_some_and(|rf| rf.overlaps(span));
        let range = span.start as usize..span.end() as usize;
        let kept = match &spec.backup {
            BackupProof::Proven(backup) => backup.bytes.get(range).filter(|kept| chip_crc(kept) == *was),
            _ => None,
        };
        match (guarded, changed, kept) {
            (true, true, _) => return Err(Refusal::HitGuarded { at: span.start }),
            // What changed it was a whole request, which the chip ended by itself: what it reads counts.
            (true, false, _) => strays.settled.push(span.start),
            (false, false, _) => strays.mended.push((span.start, sector.to_vec())),
            (false, true, Some(kept)) => strays.mended.push((span.start, kept.to_vec())),
            (false, true, None) => strays.lost.push(span.start),
        }
    }
    Ok(strays)
}
