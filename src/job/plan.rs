//! The plan of a write: a pure function from what shall stand on the chip, what stands there and who the chip is to
//! steps per sector, or to a refusal that names the rule and the facts (product.md rules 1 to 4).

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::identify::Identity;
use super::policy;
use super::protect::{self, Protection, Range};
use super::refusal::Refusal;
use super::spec::{BackupProof, Change, Interrupted, SectorState, WriteSpec};
use super::stray;
use crate::codec::nor::StatusBytes;
use crate::device::{Abilities, EraseUnit};
use crate::image::Family;
use crate::image::littlefs;
use crate::image::openbeken::{self, changes::FieldChange};
use crate::link::WireKind;
use crate::units::{BLOCK, SECTOR, Span, size_text};

/// What happens to one sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It already holds what it shall hold.
    Keep,
    /// Programming alone is enough: every changed bit goes from 1 to 0.
    Program,
    /// It shall be empty.
    Erase,
    /// Some bit has to go from 0 to 1, so it is erased first.
    EraseProgram,
}

impl Action {
    /// Why, in words for the plan on the screen.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Keep => "already equal",
            Self::Program => "empty, or only bits to clear",
            Self::Erase => "shall be empty",
            Self::EraseProgram => "holds other content",
        }
    }

    /// Whether the sector has to be erased.
    pub const fn erases(self) -> bool {
        matches!(self, Self::Erase | Self::EraseProgram)
    }

    /// Whether the sector has to be programmed.
    pub const fn programs(self) -> bool {
        matches!(self, Self::Program | Self::EraseProgram)
    }
}

/// A run of neighbouring sectors with the same action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Which sectors.
    pub span: Span,
    /// What happens to them.
    pub action: Action,
}

/// Sectors that are erased, programmed and verified together before the next ones are touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The erase commands, in order.
    pub erases: Vec<(EraseUnit, u32)>,
    /// The sectors to program afterwards, in order.
    pub programs: Vec<u32>,
    /// Every sector that this group changes: what is verified at its end.
    pub span: Span,
}

/// Everything a write will do. What is not in here is not done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What is written: the image's name.
    pub name: String,
    /// What that is, in words: `QIO for BK7231T, OpenBK7231T_1.18.300`.
    pub about: String,
    /// Image or erase.
    pub change: Change,
    /// The range asked for.
    pub span: Span,
    /// The chip's size in bytes.
    pub chip_size: u32,
    /// The sectors of the range, and those outside it that are put back, as runs of the same action.
    pub runs: Vec<Run>,
    /// The work, in order.
    #[serde(skip)]
    pub groups: Vec<Group>,
    /// Protected range that has to be opened first.
    pub unlock: Option<Span>,
    /// Whether the protection is put back at the end.
    pub protect_after: bool,
    /// The status registers it is put back to; `None` where it is not, or cannot be.
    pub lock: Option<StatusBytes>,
    /// Estimated time.
    #[serde(serialize_with = "whole_seconds")]
    pub time: Duration,
    /// Every field of OpenBeken's configuration that changes; secrets masked.
    pub settings: Vec<FieldChange>,
    /// Things the person should know before agreeing.
    pub notes: Vec<String>,
    /// SHA-256 over chip, steps, content and protection, lower-case hex: what is agreed to.
    pub hash: String,
    /// The whole chip as the survey saw it.
    #[serde(skip)]
    pub before: Arc<[u8]>,
    /// The whole chip as it shall be afterwards.
    #[serde(skip)]
    pub wanted: Arc<[u8]>,
}

/// What a plan is made from, besides the wish itself.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// Who the chip is.
    pub identity: &'a Identity,
    /// What is protected.
    pub protection: &'a Protection,
    /// What the link can do.
    pub abilities: Abilities,
    /// What stands on the whole chip now.
    pub current: &'a [u8],
}

impl Group {
    /// Whether this group changes the sector at `at`.
    pub fn touches(&self, at: u32) -> bool {
        self.sectors().iter().any(|span| span.contains(at))
    }

    /// The sectors that this group touches, as runs.
    pub fn sectors(&self) -> Vec<Span> {
        let erased = self.erases.iter().flat_map(|(unit, at)| Span::new(*at, unit.bytes()).pieces(SECTOR));
        let mut all: Vec<u32> = erased.map(|sector| sector.start).chain(self.programs.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        let mut runs: Vec<Span> = Vec::new();
        for at in all {
            match runs.last_mut() {
                Some(last) if last.end() == at => last.len += SECTOR,
                _ => runs.push(Span::new(at, SECTOR)),
            }
        }
        runs
    }
}

impl Plan {
    /// How many sectors have each action.
    pub fn count(&self, action: impl Fn(Action) -> bool) -> u32 {
        self.runs.iter().filter(|run| action(run.action)).map(|run| run.span.len / SECTOR).sum()
    }

    /// Whether nothing has to be done at all.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Number of 64 KiB and of 4 KiB erase commands.
    pub fn erase_commands(&self) -> (u32, u32) {
        let all = self.groups.iter().flat_map(|group| &group.erases);
        all.fold((0, 0), |(blocks, sectors), (unit, _)| match unit {
            EraseUnit::Block => (blocks + 1, sectors),
            EraseUnit::Sector => (blocks, sectors + 1),
        })
    }

    /// The last four characters of the hash: what a person types to agree.
    pub fn short_hash(&self) -> &str {
        self.hash.get(self.hash.len().saturating_sub(4)..).unwrap_or("")
    }

    /// One state per sector of the chip, before the first step.
    pub fn sector_states(&self) -> Vec<SectorState> {
        let mut states = vec![SectorState::Kept; (self.chip_size / SECTOR) as usize];
        for run in self.runs.iter().filter(|run| run.action != Action::Keep) {
            let first = (run.span.start / SECTOR) as usize;
            let last = (run.span.end() / SECTOR) as usize;
            if let Some(slice) = states.get_mut(first..last) {
                slice.fill(SectorState::Waiting);
            }
        }
        states
    }

    /// What the survey saw in the sector at `at`.
    pub fn surveyed(&self, at: u32) -> Option<&[u8]> {
        self.before.get(at as usize..(at + SECTOR) as usize)
    }

    /// The plan in one sentence.
    pub fn summary(&self) -> String {
        if self.is_empty() {
            return format!("nothing to do: {} already holds it", self.span);
        }
        let (blocks, sectors) = self.erase_commands();
        let unlock = if self.unlock.is_some() { "unlock · " } else { "" };
        let program = size_text(u64::from(self.count(Action::programs)) * u64::from(SECTOR));
        let lock = if self.protect_after { " · lock again" } else { "" };
        format!(
            "{unlock}erase {blocks} blocks + {sectors} sectors · program {program} · verify{lock} · {} sectors equal",
            self.count(|action| action == Action::Keep)
        )
    }
}

/// Makes the plan, or says which rule forbids it.
///
/// # Errors
/// [`Refusal`] with the rule and the facts that contradict each other.
pub fn plan(spec: &WriteSpec, situation: &Situation<'_>) -> Result<Plan, Refusal> {
    let placed = policy::place(spec, situation)?;
    let written = written(spec, placed.span);
    let strays = stray::strays(spec, situation, &written)?;
    let interrupted = spec.interrupted.as_ref();
    let mut wanted = overlay(base(situation.current, interrupted), placed.span.start, &placed.image);
    for over in &spec.overlays {
        wanted = overlay(wanted, over.at, &over.bytes);
    }
    let distrusted = |at| interrupted.is_some_and(|interrupted| interrupted.distrusts(at));
    let mut runs: Vec<Run> =
        written.iter().flat_map(|span| runs(situation.current, &wanted, *span, distrusted)).collect();
    for (at, content) in &strays.mended {
        wanted = overlay(wanted, *at, content);
        runs.push(Run { span: Span::new(*at, SECTOR), action: afresh(content) });
    }
    runs.sort_by_key(|run| run.span.start);
    policy::check(spec, situation, &written, &runs, &strays)?;

    let groups = groups(&runs);
    let changes = |span: Span| runs.iter().any(|run| run.action != Action::Keep && run.span.overlaps(span));
    let unlock = match situation.protection.range {
        Range::Protected(span) if changes(span) => Some(span),
        _ => None,
    };
    // What the first of several interrupted writes found is what the protection goes back to.
    let status = situation.protection.status;
    let found = interrupted.and_then(|interrupted| interrupted.status).filter(|_| status.is_some()).or(status);
    let lock = found.filter(|found| {
        spec.protect_after && (unlock.is_some() || !status.is_some_and(|status| protect::same(*found, status)))
    });
    let mut notes = placed.notes;
    let again = runs_of(&runs, &distrusted);
    if again > 0 {
        notes.push(format!(
            "{again} sectors were being changed when an earlier write was cut off; they are erased again whatever they read"
        ));
    }
    notes.extend(strays.notes());
    notes.extend(files_that_go(situation, &wanted));
    let works = changes(Span::new(0, situation.identity.flash.size));
    if works && status.is_none() {
        notes.push(situation.protection.sentence.clone());
    }
    if works && situation.identity.wire == WireKind::Uart {
        notes.push(stray::POLICY.to_owned());
    }
    let mut plan = Plan {
        name: spec.name.clone(),
        about: placed.about,
        change: spec.change,
        span: placed.span,
        chip_size: situation.identity.flash.size,
        runs,
        groups,
        unlock,
        protect_after: lock.is_some(),
        lock,
        time: Duration::ZERO,
        settings: settings(spec, situation, &wanted),
        notes,
        hash: String::new(),
        before: situation.current.into(),
        wanted: wanted.into(),
    };
    plan.time = super::estimate::write_time(&plan, situation);
    plan.hash = hash(&plan, spec, situation);
    Ok(plan)
}

/// What changes in OpenBeken's configuration.
fn settings(spec: &WriteSpec, situation: &Situation<'_>, wanted: &[u8]) -> Vec<FieldChange> {
    let before = spec.interrupted.as_ref().and_then(|left| left.chip);
    let Some(chip) = situation.identity.chip.or(before) else { return Vec::new() };
    let Some(place) = chip.config_sector() else { return Vec::new() };
    let range = place.start as usize..place.end() as usize;
    let (Some(is), Some(shall)) = (situation.current.get(range.clone()), wanted.get(range)) else { return Vec::new() };
    let configured = [is, shall].iter().any(|sector| sector.starts_with(openbeken::MAGIC));
    if configured && is != shall { openbeken::changes::changes(is, shall, chip) } else { Vec::new() }
}

/// OpenBeken's files that will not be there any more, or not as they are.
fn files_that_go(situation: &Situation<'_>, wanted: &[u8]) -> Option<String> {
    let chip = situation.identity.chip?;
    let before = littlefs::read_area(situation.current, chip)?;
    let after = littlefs::read_area(wanted, chip);
    let stays = |file: &littlefs::File| {
        after.as_ref().and_then(|after| after.files.file(&file.path)).is_some_and(|kept| kept.content == file.content)
    };
    let gone: Vec<&str> =
        before.files.files.iter().filter(|file| !stays(file)).map(|file| file.path.as_str()).collect();
    (!gone.is_empty())
        .then(|| format!("OpenBeken's files at 0x{:06X} go or change: {}", before.address, gone.join(", ")))
}

/// The sectors that the image and what is laid over it decide, as runs in order, each sector once.
pub(super) fn written(spec: &WriteSpec, image: Span) -> Vec<Span> {
    let image = image.to_sectors();
    let over = spec.overlays.iter().flat_map(|over| over.span().to_sectors().pieces(SECTOR));
    let mut outside: Vec<Span> = over.filter(|sector| !image.covers(*sector)).collect();
    outside.push(image);
    outside.sort_by_key(|span| span.start);
    outside.dedup();
    outside
}

/// How many sectors of the runs are distrusted.
fn runs_of(runs: &[Run], distrusted: &impl Fn(u32) -> bool) -> usize {
    runs.iter().flat_map(|run| run.span.pieces(SECTOR)).filter(|sector| distrusted(sector.start)).count()
}

/// What the sectors hold as far as it can be trusted: a sector that was torn holds, beside the image, what its journal
/// recorded and not what it reads.
fn base(current: &[u8], interrupted: Option<&Interrupted>) -> Vec<u8> {
    let mut base = current.to_vec();
    for (at, content) in
        interrupted.iter().flat_map(|interrupted| interrupted.edges.iter().filter(|(at, _)| interrupted.distrusts(*at)))
    {
        if let Some(place) = base.get_mut(*at as usize..*at as usize + content.len()) {
            place.copy_from_slice(content);
        }
    }
    base
}

/// Lays an image over what stands there, from flash offset `at`; what would cross the end changes nothing.
pub fn overlay(mut wanted: Vec<u8>, at: u32, image: &[u8]) -> Vec<u8> {
    if let Some(place) = wanted.get_mut(at as usize..at as usize + image.len()) {
        place.copy_from_slice(image);
    }
    wanted
}

/// Decides every sector of `span` by its present and its wanted content. What a distrusted sector reads does not count.
pub(super) fn runs(current: &[u8], wanted: &[u8], span: Span, distrusted: impl Fn(u32) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for sector in span.pieces(SECTOR) {
        let range = sector.start as usize..sector.end() as usize;
        let (Some(is), Some(shall)) = (current.get(range.clone()), wanted.get(range)) else { break };
        let action = if distrusted(sector.start) { afresh(shall) } else { action(is, shall) };
        match runs.last_mut() {
            Some(last) if last.action == action && last.span.end() == sector.start => last.span.len += SECTOR,
            _ => runs.push(Run { span: sector, action }),
        }
    }
    runs
}

fn action(is: &[u8], shall: &[u8]) -> Action {
    if is == shall {
        Action::Keep
    } else if is.iter().zip(shall).all(|(is, shall)| is & shall == *shall) {
        Action::Program
    } else {
        afresh(shall)
    }
}

/// What makes a sector right whatever it holds.
fn afresh(shall: &[u8]) -> Action {
    if shall.iter().all(|&byte| byte == 0xFF) { Action::Erase } else { Action::EraseProgram }
}

/// Cuts the work at 64 KiB borders. A whole block is erased at once where every one of its sectors changes and at
/// least half of them have to be erased anyway.
pub(super) fn groups(runs: &[Run]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let sectors = runs.iter().flat_map(|run| run.span.pieces(SECTOR).map(|sector| (sector.start, run.action)));
    let mut block: Vec<(u32, Action)> = Vec::new();
    let mut flush = |block: &mut Vec<(u32, Action)>| {
        let changed: Vec<(u32, Action)> = block.drain(..).filter(|(_, action)| *action != Action::Keep).collect();
        let (Some((first, _)), Some((last, _))) = (changed.first(), changed.last()) else { return };
        let span = Span::between(*first, last + SECTOR);
        let to_erase: Vec<u32> = changed.iter().filter(|(_, action)| action.erases()).map(|(at, _)| *at).collect();
        let whole = changed.len() as u32 * SECTOR == BLOCK && to_erase.len() * 2 >= changed.len();
        let erases = if whole {
            vec![(EraseUnit::Block, *first)]
        } else {
            to_erase.into_iter().map(|at| (EraseUnit::Sector, at)).collect()
        };
        let programs = changed.iter().filter(|(_, action)| action.programs()).map(|(at, _)| *at).collect();
        groups.push(Group { erases, programs, span });
    };
    for (at, action) in sectors {
        if block.first().is_some_and(|(first, _)| first / BLOCK != at / BLOCK) {
            flush(&mut block);
        }
        block.push((at, action));
    }
    flush(&mut block);
    groups
}

fn hash(plan: &Plan, spec: &WriteSpec, situation: &Situation<'_>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"bkbench plan 2\0");
    if situation.identity.wire == WireKind::Uart {
        hasher.update(stray::POLICY);
    }
    hasher.update(situation.identity.chip_key.as_bytes());
    for run in &plan.runs {
        hasher.update(run.span.start.to_le_bytes());
        hasher.update(run.span.len.to_le_bytes());
        hasher.update([run.action as u8]);
        if run.action.programs()
            && let Some(content) = plan.wanted.get(run.span.start as usize..run.span.end() as usize)
        {
            hasher.update(content);
        }
    }
    for (unit, at) in plan.groups.iter().flat_map(|group| &group.erases) {
        hasher.update(unit.bytes().to_le_bytes());
        hasher.update(at.to_le_bytes());
    }
    let unlock = plan.unlock.unwrap_or_default();
    hasher.update(unlock.start.to_le_bytes());
    hasher.update(unlock.len.to_le_bytes());
    hasher.update(plan.lock.map(|status| status.to_string()).unwrap_or_default());
    for span in spec.interrupted.iter().flat_map(|interrupted| &interrupted.distrusted) {
        hasher.update(span.start.to_le_bytes());
        hasher.update(span.len.to_le_bytes());
    }
    hasher.update(spec.change.word());
    hasher.update([u8::from(spec.mac_lost)]);
    hasher.update(spec.said_chip.map_or("", Family::name));
    hasher.update(spec.consent.as_deref().unwrap_or_default());
    hasher.update(match &spec.backup {
        BackupProof::Proven(backup) => backup.sha256.as_bytes(),
        BackupProof::Bypassed(phrase) => phrase.as_bytes(),
        BackupProof::None => b"",
    });
    hex(&hasher.finalize())
}

/// Lower-case hex without blanks, as hashes are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn whole_seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(time.as_secs_f64().ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(current: &[u8], wanted: &[u8]) -> Vec<Action> {
        runs(current, wanted, Span::new(0, current.len() as u32), |_| false).iter().map(|run| run.action).collect()
    }

    #[test]
    fn a_sector_that_is_already_right_is_kept() {
        assert_eq!(acts(&[0x55; 4096], &[0x55; 4096]), [Action::Keep]);
    }

    #[test]
    fn clearing_bits_needs_no_erase() {
        assert_eq!(acts(&[0xFF; 4096], &[0x12; 4096]), [Action::Program]);
        assert_eq!(acts(&[0x13; 4096], &[0x12; 4096]), [Action::Program]);
    }

    #[test]
    fn raising_one_bit_needs_an_erase() {
        let mut wanted = [0x12; 4096];
        wanted[4095] = 0x13;
        assert_eq!(acts(&[0x12; 4096], &wanted), [Action::EraseProgram]);
        assert_eq!(acts(&[0x12; 4096], &[0xFF; 4096]), [Action::Erase]);
    }

    #[test]
    fn a_distrusted_sector_is_erased_again_whatever_it_reads() {
        let content = [0x55; 2 * 4096];
        let runs = runs(&content, &content, Span::new(0, 2 * SECTOR), |at| at == SECTOR);
        let actions: Vec<Action> = runs.iter().map(|run| run.action).collect();
        assert_eq!(actions, [Action::Keep, Action::EraseProgram]);
        assert_eq!(afresh(&[0xFF; 4096]), Action::Erase);
    }

    #[test]
    fn a_torn_sector_that_the_image_covers_in_part_gets_its_other_part_from_the_journal() {
        let torn = vec![0xFF; 3 * 4096];
        let edge = (SECTOR, vec![7; 4096]);
        let distrusted = vec![Span::new(SECTOR, SECTOR)];
        let interrupted =
            Interrupted { distrusted, edges: vec![edge.clone(), (0, vec![9; 4096])], ..Interrupted::default() };
        let base = base(&torn, Some(&interrupted));
        assert_eq!(base[4096..8192], edge.1);
        assert!(base[..4096].iter().all(|byte| *byte == 0xFF), "a sector that was proven done is taken as it reads");
    }

    #[test]
    fn a_group_names_the_sectors_it_touches_and_no_others() {
        let erases = vec![(EraseUnit::Sector, 0x3000), (EraseUnit::Sector, 0x1000)];
        let group = Group { erases, programs: vec![0x2000, 0x6000], span: Span::between(0x1000, 0x7000) };
        assert_eq!(group.sectors(), [Span::between(0x1000, 0x4000), Span::between(0x6000, 0x7000)]);
    }

    #[test]
    fn a_block_that_changes_as_a_whole_is_erased_at_once() {
        let current = vec![0; 2 * BLOCK as usize];
        let mut wanted = vec![0x80; 2 * BLOCK as usize];
        wanted[BLOCK as usize + 5] = 0x80;
        wanted[BLOCK as usize..][..4096].fill(0);
        let groups = groups(&runs(&current, &wanted, Span::new(0, 2 * BLOCK), |_| false));
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].erases, [(EraseUnit::Block, 0)]);
        assert_eq!(groups[0].programs.len(), 16);
        assert_eq!(groups[1].erases.len(), 15, "the kept sector forbids the block erase");
        assert!(groups[1].erases.iter().all(|(unit, _)| *unit == EraseUnit::Sector));
    }
}
