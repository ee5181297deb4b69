//! The proven backup: the whole chip in two independent passes (product.md rule 2). Holds a device that cannot
//! express a write.

use std::sync::Arc;
use std::time::Duration;

use super::identify::Identity;
use super::journal::Handed;
use super::patience::{back_off, meanwhile};
use super::report::{JobError, Phase, Reporter};
use super::spec::BackupRead;
use crate::device::{Level, ReadFlash, Seen, Unwatched};
use crate::image::plausible;
use crate::link::LinkInfo;
use crate::problem::Problem;
use crate::units::{BLOCK, SECTOR, Span};

/// How often a sector that differs between two passes is read again before it counts as unstable.
const SETTLE_ATTEMPTS: u32 = 5;
/// From here on the firmware of both chips keeps what it changes while it runs: RF data, network records, files, store
/// (formats.md §1).
const DATA: u32 = 0x1D_0000;
/// Bytes of a sector that tell whether it was written to since.
const SAMPLE: usize = 64;

/// Where a backup is kept while it is made, so that one that is cut off is not lost. Jobs open no file: the front end
/// hands it in.
pub trait Keeper: Send {
    /// Keeps what was read from `at` on, whole sectors; `twice` when a second, independent look agreed with it.
    ///
    /// # Errors
    /// The problem of the disk; the backup goes on without being kept.
    fn keep(&mut self, at: u32, bytes: &[u8], twice: bool) -> Result<(), Problem>;
}

/// A keeper on its way into a job.
pub type KeeperHandle = Handed<dyn Keeper>;

/// A backup before it is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackupSpec {
    /// Where it is kept meanwhile.
    pub keeper: Option<KeeperHandle>,
    /// What an earlier backup of this very chip, cut off, has read already.
    pub earlier: Option<Arc<Earlier>>,
    /// The bytes of an earlier proven backup of this very chip. Blocks that still have their CRC, by the chip's own
    /// reckoning, are not read again: the bytes of then and the CRC of now are the two pieces of evidence.
    pub known: Option<Arc<[u8]>>,
}

/// What a backup that was cut off has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The whole chip; only what the two lists name counts.
    pub bytes: Vec<u8>,
    /// Sectors read once.
    pub once: Vec<Span>,
    /// Sectors read twice, with the same result.
    pub twice: Vec<Span>,
}

/// Reads the whole chip twice, but for what an earlier backup has read. Sectors that disagree are read again until two
/// independent readings agree. What was read is left in `passes`, so that the same job goes on from there after its link
/// has gone and come back.
///
/// # Errors
/// [`JobError::Device`], cancelled included.
pub fn back_up(
    device: &mut dyn ReadFlash,
    link: &LinkInfo,
    spec: &BackupSpec,
    passes: &mut Passes,
    run: &mut dyn Reporter,
) -> Result<BackupRead, JobError> {
    let (began, retries_before) = (passes.began.unwrap_or(run.now()), passes.retries.unwrap_or(run.retries()));
    let size = device.facts().size;
    let own = passes.begin(size, spec);
    let earlier = own.as_ref().or(spec.earlier.as_deref());
    (passes.began, passes.retries) = (Some(began), Some(retries_before));
    if let Some(earlier) = earlier.filter(|earlier| earlier.bytes.len() == size as usize) {
        let taken = match (take_over(device, earlier, passes, run), &own) {
            // Gone again before all of it was confirmed: it still has to be.
            (Err(error), Some(own)) => {
                passes.remember(own);
                return Err(error);
            }
            (taken, _) => taken?,
        };
        if own.is_some() {
            let words = format!("{taken} sectors that were read before were compared again, and the rest was read");
            run.redone(words);
        }
    }

    let missing = passes.below(1);
    let left = total(&missing);
    run.phase_from(Phase::Read, u64::from(size) - left, size.into());
    for piece in missing.into_iter().flat_map(|span| span.pieces(BLOCK)) {
        let range = piece.start as usize..piece.end() as usize;
        let known = spec.known.as_deref().and_then(|known| known.get(range.clone()));
        let Some(place) = passes.bytes.get_mut(range) else { continue };
        let known: Vec<&[u8]> = known.into_iter().collect();
        let seen = fetch(device, piece.start, &known, place, run)?;
        passes.made(piece, if seen == Seen::Proven { 2 } else { 1 }, device, run);
    }
    let first_speed = device.facts().speed;

    let missing = passes.below(2);
    if !missing.is_empty() {
        run.phase(Phase::SecondPass, total(&missing));
    }
    let mut unstable = Vec::new();
    for piece in missing.into_iter().flat_map(|span| span.pieces(BLOCK)) {
        let Some(place) = passes.bytes.get(piece.start as usize..piece.end() as usize) else { continue };
        let differing = device.compare(piece.start, place, run)?;
        for &at in &differing {
            run.retried(format!("sector 0x{at:06X} read differently the second time"));
            if !settle(device, at, &mut passes.bytes, run)? {
                run.note(Level::Error, format!("sector 0x{at:06X} never reads the same twice"));
                unstable.push(at);
            }
        }
        for run_of_good in without(piece, &unstable) {
            passes.made(run_of_good, 2, device, run);
        }
    }

    let identity = Identity::from_flash(device.facts(), device.abilities(), link, &passes.bytes);
    let second_speed = if device.abilities().prefer_crc { 0 } else { device.facts().speed / 2 };
    Ok(BackupRead {
        rules: plausible::check(&passes.bytes),
        bytes: std::mem::take(&mut passes.bytes).into(),
        identity: Arc::new(identity),
        status: device.read_status()?,
        speeds: (first_speed, second_speed),
        retries: run.retries().saturating_sub(retries_before),
        supply: run.supply(),
        interruptions: run.interruptions(),
        unstable,
        took: run.now().saturating_sub(began),
    })
}

/// What a backup has read so far: the content, and how often each sector was read with the same result.
#[derive(Default)]
pub struct Passes {
    bytes: Vec<u8>,
    state: Vec<u8>,
    keeper: Option<KeeperHandle>,
    began: Option<Duration>,
    retries: Option<u32>,
}

impl Passes {
    /// Gets ready for a chip of this size. Returns what was read before the link went away, all of which has to be
    /// confirmed.
    fn begin(&mut self, size: u32, spec: &BackupSpec) -> Option<Earlier> {
        let fresh = Self { bytes: vec![0; size as usize], state: vec![0; (size / SECTOR) as usize], ..Self::default() };
        let before = std::mem::replace(self, Self { keeper: spec.keeper.clone(), ..fresh });
        let with = |passes: u8| {
            let sectors = before.state.iter().enumerate().filter(move |(_, state)| **state == passes);
            sectors.map(|(index, _)| Span::new(index as u32 * SECTOR, SECTOR)).collect()
        };
        let (once, twice): (Vec<Span>, Vec<Span>) = (with(1), with(2));
        let none = once.is_empty() && twice.is_empty();
        (!none).then_some(Earlier { bytes: before.bytes, once, twice })
    }

    /// Takes back what was read before.
    fn remember(&mut self, earlier: &Earlier) {
        self.bytes.clone_from(&earlier.bytes);
        earlier.once.iter().for_each(|span| self.set(*span, 1));
        earlier.twice.iter().for_each(|span| self.set(*span, 2));
    }

    /// The sectors with fewer passes, as runs.
    fn below(&self, passes: u8) -> Vec<Span> {
        let mut runs: Vec<Span> = Vec::new();
        for (index, _) in self.state.iter().enumerate().filter(|(_, state)| **state < passes) {
            let at = index as u32 * SECTOR;
            match runs.last_mut() {
                Some(last) if last.end() == at => last.len += SECTOR,
                _ => runs.push(Span::new(at, SECTOR)),
            }
        }
        runs
    }

    fn set(&mut self, span: Span, passes: u8) {
        let range = (span.start / SECTOR) as usize..(span.end() / SECTOR) as usize;
        if let Some(state) = self.state.get_mut(range) {
            state.fill(passes);
        }
    }

    /// The sectors of a span were read so often.
    fn made(&mut self, span: Span, passes: u8, device: &mut dyn ReadFlash, run: &mut dyn Reporter) {
        self.set(span, passes);
        let bytes = self.bytes.get(span.start as usize..span.end() as usize).unwrap_or_default();
        let keep = |keeper: &KeeperHandle| keeper.get().keep(span.start, bytes, passes == 2);
        let kept = self.keeper.as_ref().map(|keeper| meanwhile(device, || keep(keeper)));
        if let Some(Err(problem)) = kept {
            run.note(Level::Warning, format!("this backup is not kept while it is made: {}", problem.what));
            self.keeper = None;
        }
    }
}

/// The sectors of `piece` that are not in `unstable`, as runs.
fn without(piece: Span, unstable: &[u32]) -> Vec<Span> {
    let mut runs = vec![piece];
    for &at in unstable.iter().filter(|at| piece.contains(**at)) {
        if let Some(last) = runs.pop() {
            runs.push(Span::between(last.start, at));
            runs.push(Span::between(at + SECTOR, last.end()));
        }
    }
    runs.retain(|span| !span.is_empty());
    runs
}

fn total(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.len)).sum()
}

/// Takes over what an earlier backup has read, where the chip still holds it. Where the firmware keeps its data every
/// sector is compared; elsewhere a sample of each sector tells whether something was written in between, and if so,
/// nothing counts. Returns how many sectors were taken over.
fn take_over(
    device: &mut dyn ReadFlash,
    earlier: &Earlier,
    passes: &mut Passes,
    run: &mut dyn Reporter,
) -> Result<usize, JobError> {
    let mut kept = Passes { state: vec![0; passes.state.len()], ..Passes::default() };
    kept.remember(earlier);
    let sectors: Vec<(u32, u8)> =
        kept.state.iter().enumerate().map(|(at, state)| (at as u32 * SECTOR, *state)).collect();
    let sectors: Vec<(u32, u8)> = sectors.into_iter().filter(|(_, state)| *state > 0).collect();
    run.phase(Phase::Survey, sectors.len() as u64 * u64::from(SECTOR));
    let mut counting = Vec::new();
    for (at, state) in sectors {
        let range = at as usize..(at + SECTOR) as usize;
        let was = earlier.bytes.get(range.clone()).unwrap_or_default();
        let (same, state) = if at >= DATA || device.abilities().prefer_crc {
            // A whole look that agrees is the second pass of a sector that was read once.
            (device.compare(at, was, run)?.is_empty(), 2)
        } else {
            run.checkpoint()?;
            run.advance(SECTOR.into());
            (sample_is_same(device, at, was)?, state)
        };
        if same {
            counting.push((at, state));
        } else if at < DATA {
            run.note(Level::Warning, format!("the chip was written to since (0x{at:06X}); reading it afresh"));
            return Ok(0);
        }
    }
    for (at, state) in &counting {
        let range = *at as usize..(*at + SECTOR) as usize;
        if let (Some(place), Some(was)) = (passes.bytes.get_mut(range.clone()), earlier.bytes.get(range)) {
            place.copy_from_slice(was);
            passes.made(Span::new(*at, SECTOR), *state, device, run);
        }
    }
    run.note(Level::Info, format!("{} sectors are taken over from a backup that was cut off", counting.len()));
    Ok(counting.len())
}

fn sample_is_same(device: &mut dyn ReadFlash, at: u32, was: &[u8]) -> Result<bool, JobError> {
    let mut sample = [0; SAMPLE];
    // The first bytes that are not blank tell most.
    let from = was.iter().position(|byte| *byte != 0xFF).unwrap_or(0).min(was.len().saturating_sub(SAMPLE));
    device.read(at + from as u32, &mut sample, &mut Unwatched)?;
    Ok(was.get(from..from + SAMPLE) == Some(&sample))
}

/// [`ReadFlash::fetch`], with a word when the link became slower over it.
pub(super) fn fetch(
    device: &mut dyn ReadFlash,
    at: u32,
    known: &[&[u8]],
    place: &mut [u8],
    run: &mut dyn Reporter,
) -> Result<Seen, JobError> {
    let before = device.facts().speed;
    let seen = device.fetch(at, known, place, run)?;
    let speed = device.facts().speed;
    if speed != before {
        run.slowed(speed);
    }
    Ok(seen)
}

/// Reads one sector until a second, independent look agrees with it.
pub(super) fn settle(
    device: &mut dyn ReadFlash,
    at: u32,
    bytes: &mut [u8],
    run: &mut dyn Reporter,
) -> Result<bool, JobError> {
    let Some(place) = bytes.get_mut(at as usize..(at + SECTOR) as usize) else { return Ok(false) };
    for attempt in 0..SETTLE_ATTEMPTS {
        run.checkpoint()?;
        if attempt > 0 {
            back_off(device, attempt, run)?;
        }
        device.read(at, place, &mut Unwatched)?;
        if device.compare(at, place, &mut Unwatched)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
