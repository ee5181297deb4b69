//! Whether the chip holds an image already. Then nothing is written, so that neither a backup nor a look at the rest of the
//! chip is needed (product.md rules 2 and 7 are about writes): every byte of the image is compared, and that is all.

use std::time::Duration;

use serde::Serialize;

use super::identify::Identity;
use super::plan::Situation;
use super::report::{JobError, Phase, Reporter};
use super::spec::{Change, WriteSpec};
use super::verify::filled_up;
use super::{policy, protect};
use crate::device::{ReadFlash, Uncounted, Watch};
use crate::image::sha256_hex;
use crate::link::WireKind;
use crate::units::{BLOCK, SECTOR, Span, seconds};

/// An image that stood on the chip when it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlreadyThere {
    /// The image's name.
    pub name: String,
    /// What that is, in words.
    pub about: String,
    /// Where it stands.
    pub span: Span,
    /// SHA-256 of what was compared, lower-case hex.
    pub sha256: String,
    /// How every byte was compared, in words.
    pub compared: &'static str,
    /// Bit clock in Hz or rate in baud.
    pub speed: u32,
    /// What had to be done again.
    pub retries: u32,
    /// Time taken on the link's clock.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// What was not checked, in words.
    pub not_checked: Vec<&'static str>,
}

/// Compares the chip with the image of `spec`, in its place, and stops at the first difference. `None` when it differs, and
/// where this is not for a comparison to say: another change than an image, an earlier write that was cut off, or a rule
/// that forbids the image on this chip; the plan then says what there is to say. Reads only. `identity` is what
/// connecting has found; whether it is that chip still is asked first.
///
/// # Errors
/// [`JobError::Device`].
pub fn already_there(
    device: &mut dyn ReadFlash,
    spec: &WriteSpec,
    identity: &Identity,
    run: &mut dyn Reporter,
) -> Result<Option<AlreadyThere>, JobError> {
    let (began, retries) = (run.now(), run.retries());
    if spec.change != Change::Image || spec.interrupted.is_some() {
        return Ok(None);
    }
    device.identify_again()?;
    let protection = protect::read(device)?;
    let abilities = device.abilities();
    let situation = Situation { identity, protection: &protection, abilities, current: &[] };
    let Ok(placed) = policy::place(spec, &situation) else { return Ok(None) };

    let whole = placed.span.to_sectors();
    run.phase(Phase::Verify, whole.len.into());
    let wanted = filled_up(device, placed.span, &placed.image, &mut Uncounted(run))?;
    let mut holds = |piece: Span, watch: &mut dyn Watch| -> Result<bool, JobError> {
        let from = (piece.start - whole.start) as usize;
        let wanted = wanted.get(from..from + piece.len as usize).unwrap_or_default();
        Ok(device.compare(piece.start, wanted, watch)?.is_empty())
    };
    for sample in samples(whole) {
        if !holds(sample, &mut Uncounted(run))? {
            return Ok(None);
        }
    }
    for block in whole.pieces(BLOCK) {
        if !holds(block, run)? {
            return Ok(None);
        }
    }
    Ok(Some(AlreadyThere {
        name: spec.name.clone(),
        about: placed.about,
        span: placed.span,
        sha256: sha256_hex(&placed.image),
        compared: match device.facts().wire {
            WireKind::Uart => "by the chip's own CRC, block by block",
            WireKind::Spi => "by reading it at half the clock",
        },
        speed: device.facts().speed,
        retries: run.retries().saturating_sub(retries),
        took: run.now().saturating_sub(began),
        not_checked: vec!["the rest of the chip", "whether the firmware boots"],
    }))
}

/// Sectors in which other firmware, or another version of it, differs as a rule: the last, one in the middle and the first.
/// They are asked for before whole blocks are, so that a write with work to do loses next to nothing.
fn samples(whole: Span) -> [Span; 3] {
    let sectors = whole.len / SECTOR;
    [sectors.saturating_sub(1), sectors / 2, 0].map(|sector| Span::new(whole.start + sector * SECTOR, SECTOR))
}
