//! The one road into a write: from what a person wants to a plan that can be agreed to. Screen and commands take it alike.
//! It finds what an earlier write left, by content; a backup that is this chip's, by content, or makes one; lays the
//! configuration over the image; and plans. Nothing on the chip changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::already::{AlreadyThere, already_there};
use super::backup::{BackupSpec, Passes, back_up};
use super::identify::Identity;
use super::journal::{Handed, JournalHandle};
use super::ownership::{RfMatch, may_be_of, ownership};
use super::patience::meanwhile;
use super::plan::{self, Plan, Situation, overlay};
use super::policy::check_openbeken;
use super::protect;
use super::refusal::Refusal;
use super::report::{JobError, Reporter};
use super::spec::{BackupProof, BackupRead, Change, Overlay, ProvenBackup, WriteSpec, said_chip};
use super::survey::survey;
use super::unfinished::Unfinished;
use crate::device::{Level, WriteFlash};
use crate::image::openbeken::Config;
use crate::image::openbeken::encode::EncodeError;
use crate::image::openbeken::provision;
use crate::image::openbeken::provisioning::Provisioning;
use crate::image::{Family, firmware, littlefs, rf};
use crate::link::LinkInfo;
use crate::problem::Problem;
use crate::units::Span;

/// What a person wants to happen to the chip.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Put an image there.
    Image {
        /// What people call it.
        name: String,
        /// Flash offset of the first byte; `None` lets the content decide.
        at: Option<u32>,
        /// The bytes.
        image: Arc<[u8]>,
        /// What OpenBeken shall be set to, in the same plan.
        settings: Option<Arc<Provisioning>>,
    },
    /// Set OpenBeken, which is on the chip already.
    Configure(Arc<Provisioning>),
    /// Leave a range erased.
    Erase(Span),
    /// Put a backup back, whole.
    Restore {
        /// The backup.
        backup: Arc<ProvenBackup>,
        /// The person says that it is of this chip, which shows no MAC of its own.
        mac_lost: bool,
    },
    /// Put the sector with RF calibration and MAC back.
    RfBlock {
        /// The backup; `None` takes the newest of this chip.
        backup: Option<Arc<ProvenBackup>>,
        /// As for [`Intent::Restore`].
        mac_lost: bool,
    },
    /// Go on with the write that was cut off.
    Resume,
}

/// Code of the failure of a backup that may not stand behind a write.
pub const NOT_PROVEN: &str = "E520";

/// A wish to change the chip, with all that a person decides beforehand.
#[derive(Clone, Debug, PartialEq)]
pub struct PrepareSpec {
    /// What shall happen.
    pub intent: Intent,
    /// Put the protection found before back at the end; `None` as the write that is gone on with had it, else yes.
    pub protect_after: Option<bool>,
    /// The phrase typed in place of a backup.
    pub phrase: Option<String>,
    /// The phrase typed because content does not show that the backup is this chip's.
    pub consent: Option<String>,
    /// The phrase typed because nothing on an erased chip tells which it is ([`super::spec::chip_phrase`]).
    pub chip_phrase: Option<String>,
    /// Make the plan even where the chip holds the image already.
    pub always_plan: bool,
    /// What was kept of chips.
    pub shelf: ShelfHandle,
}

/// What was kept of chips: backups, unfinished writes, what finished ones left. Jobs open no file: the front end hands it in.
pub trait Shelf: Send {
    /// Every unfinished write.
    ///
    /// # Errors
    /// The record of this very chip is there and cannot be read.
    fn unfinished(&self, identity: &Identity) -> Result<Vec<Unfinished>, Problem>;

    /// Proven backups that may be the chip's, by name: newest first.
    ///
    /// # Errors
    /// The folder cannot be read.
    fn backups(&self, identity: &Identity) -> Result<Vec<PathBuf>, Problem>;

    /// The backup at this path, where it is unchanged.
    fn open(&self, path: &Path) -> Option<Arc<ProvenBackup>>;

    /// What recorded writes left on chips with the backup of this SHA-256: sector CRCs after each.
    fn history(&self, backup: &str) -> Vec<Vec<u32>>;

    /// How a new backup is made.
    ///
    /// # Errors
    /// There is no place or no room for it.
    fn backup_spec(&self, identity: &Identity) -> Result<BackupSpec, Problem>;

    /// Keeps a backup.
    ///
    /// # Errors
    /// It cannot be written, or is not proven.
    fn keep(&self, read: &BackupRead) -> Result<Arc<ProvenBackup>, Problem>;

    /// The journal of a chip.
    fn journal(&self, chip_key: &str) -> JournalHandle;
}

/// A shelf on its way into a job.
pub type ShelfHandle = Handed<dyn Shelf>;

/// What came of a wish.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// The chip holds the image already.
    AlreadyThere(Arc<AlreadyThere>),
    /// No write of this chip is unfinished.
    NothingUnfinished,
    /// The plan can be agreed to.
    Ready(Box<Ready>),
}

/// A plan that can be agreed to, with what carrying it out takes.
#[derive(Clone, Debug)]
pub struct Ready {
    /// What will be written.
    pub spec: WriteSpec,
    /// The plan.
    pub plan: Arc<Plan>,
    /// Where the write records itself.
    pub journal: JournalHandle,
    /// What the person should hear: what is gone on with, which backup stands behind it.
    pub said: Vec<String>,
    /// The backup that was made for this.
    pub backup_made: Option<Arc<ProvenBackup>>,
    /// Where the configuration's values come from, line by line; `None` where none is written.
    pub configured: Option<Vec<String>>,
}

/// Makes a wish ready.
///
/// # Errors
/// [`JobError::Refused`] with the rule; [`JobError::Shelf`] with what is unfinished or cannot be kept;
/// [`JobError::Device`].
pub fn prepare(
    device: &mut dyn WriteFlash,
    link: &LinkInfo,
    known: &Identity,
    spec: &PrepareSpec,
    passes: &mut Passes,
    run: &mut dyn Reporter,
) -> Result<Prepared, JobError> {
    device.identify_again()?;
    // What will be refused anyway is refused before minutes of reading.
    if let Some(refusal) = known.unfit_for_writing() {
        return Err(refusal.into());
    }
    let records = on_shelf(device, spec, |shelf| shelf.unfinished(known))?;
    let records: Vec<Unfinished> = records.into_iter().filter(|record| record.may_be_of(known)).collect();
    if let Intent::Image { name, at, image, settings: None } = &spec.intent
        && records.is_empty()
        && !spec.always_plan
    {
        let wish = WriteSpec::new(Change::Image, name, *at, Arc::clone(image));
        if let Some(there) = already_there(device, &wish, known, run)? {
            // A write that was killed right behind its proof may have left a copy of the image.
            on_shelf(device, spec, |shelf| shelf.journal(&known.chip_key).get().finished())?;
            return Ok(Prepared::AlreadyThere(Arc::new(there)));
        }
    }
    let mut road = Road { device, link, spec, run, said: Vec::new(), made: None };
    let (current, candidates) = road.look(known, &records, passes)?;
    let (facts, abilities) = (road.device.facts().clone(), road.device.abilities());
    let (identity, record) = meanwhile(road.device, || {
        let identity = Identity::from_flash(&facts, abilities, link, &current);
        let record = records.into_iter().find(|record| record.is_of(&identity, &current));
        (identity, record)
    });
    road.run.identity(Arc::new(identity.clone()));
    let seen = Seen { identity, current, record, candidates };
    let Some(mut wish) = road.wish(&seen)? else { return Ok(Prepared::NothingUnfinished) };
    road.stand_behind(&mut wish, &seen, passes)?;
    let configured = road.configure(&mut wish, &seen)?;
    road.plan(wish, seen, configured)
}

/// What was found on the chip and on the shelf.
struct Seen {
    identity: Identity,
    current: Vec<u8>,
    record: Option<Unfinished>,
    candidates: Vec<Arc<ProvenBackup>>,
}

struct Road<'a> {
    device: &'a mut dyn WriteFlash,
    link: &'a LinkInfo,
    spec: &'a PrepareSpec,
    run: &'a mut dyn Reporter,
    said: Vec<String>,
    /// A backup that was made on the way.
    made: Option<Arc<ProvenBackup>>,
}

impl Road<'_> {
    /// What the whole chip holds, and the backups that may be its own. A chip without any is backed up at once: that is
    /// the look.
    fn look(
        &mut self,
        known: &Identity,
        records: &[Unfinished],
        passes: &mut Passes,
    ) -> Result<(Vec<u8>, Vec<Arc<ProvenBackup>>), JobError> {
        let shelf = &self.spec.shelf;
        let candidates = meanwhile(self.device, || {
            let shelf = shelf.get();
            let open = |path: PathBuf| shelf.open(&path);
            // Half-written, a chip differs from its backup anywhere.
            let fits = |backup: &Arc<ProvenBackup>| {
                !records.is_empty() || may_be_of(backup, known, &shelf.history(&backup.sha256))
            };
            shelf.backups(known).map(|paths| paths.into_iter().filter_map(open).filter(fits).collect::<Vec<_>>())
        });
        let mut candidates = candidates.map_err(JobError::Shelf)?;
        let needs_backup = self.spec.phrase.is_none() && !self.is_put_back();
        if candidates.is_empty() && records.is_empty() && needs_backup {
            let backup = self.back_up(known, passes)?;
            let current = backup.bytes.to_vec();
            candidates.push(backup);
            return Ok((current, candidates));
        }
        let of_record = records.iter().find_map(|record| proven(&record.spec.backup));
        let behind = self.named().or(of_record).or(candidates.first().cloned());
        let behind = behind.filter(|backup| backup.bytes.len() == known.flash.size as usize);
        let likely = behind.as_deref().and_then(|backup| self.likely(backup));
        let known = behind.as_deref().map(|backup| &*backup.bytes);
        Ok((survey(self.device, known, likely.as_deref(), self.run)?, candidates))
    }

    /// What the chip may hold by now: the backup with the image over it.
    fn likely(&self, backup: &ProvenBackup) -> Option<Vec<u8>> {
        let Intent::Image { at, image, .. } = &self.spec.intent else { return None };
        let at = at.or_else(|| firmware::identify(image).natural_address)?;
        Some(overlay(backup.bytes.to_vec(), at, image))
    }

    /// Whether this is about putting back what was there: then what the chip holds now need not be kept.
    fn is_put_back(&self) -> bool {
        matches!(self.spec.intent, Intent::Restore { .. } | Intent::RfBlock { .. } | Intent::Resume)
    }

    /// The backup that a person named.
    fn named(&self) -> Option<Arc<ProvenBackup>> {
        match &self.spec.intent {
            Intent::Restore { backup, .. } | Intent::RfBlock { backup: Some(backup), .. } => Some(Arc::clone(backup)),
            _ => None,
        }
    }

    /// Makes a backup of the chip as it is, and keeps it.
    fn back_up(&mut self, identity: &Identity, passes: &mut Passes) -> Result<Arc<ProvenBackup>, JobError> {
        let (_, kept) = self.read_and_keep(identity, passes)?;
        kept.map_err(JobError::Shelf)
    }

    /// Reads the whole chip and keeps what was read, proven or not.
    fn read_and_keep(
        &mut self,
        identity: &Identity,
        passes: &mut Passes,
    ) -> Result<(BackupRead, Result<Arc<ProvenBackup>, Problem>), JobError> {
        self.run.note(Level::Warning, "no proven backup of this chip as it is now: making one first".to_owned());
        let backup = on_shelf(self.device, self.spec, |shelf| shelf.backup_spec(identity))?;
        let read = back_up(self.device, self.link, &backup, passes, self.run)?;
        let shelf = &self.spec.shelf;
        let kept = meanwhile(self.device, || shelf.get().keep(&read));
        if let Ok(kept) = &kept {
            self.said.push(format!("backup: {}", kept.path.display()));
            self.made = Some(Arc::clone(kept));
        }
        Ok((read, kept))
    }

    /// The write, with what an earlier one left; `None` where nothing is there to go on with.
    fn wish(&mut self, seen: &Seen) -> Result<Option<WriteSpec>, JobError> {
        let record = seen.record.as_ref();
        let mut wish = match &self.spec.intent {
            Intent::Resume => match record {
                Some(record) => record.spec.clone(),
                None => return Ok(None),
            },
            Intent::Image { name, at, image, settings } => {
                if settings.is_some() {
                    check_openbeken(name, image)?;
                }
                WriteSpec::new(Change::Image, name, *at, Arc::clone(image))
            }
            Intent::Configure(_) => configuration(seen)?,
            Intent::Erase(span) => {
                WriteSpec::new(Change::Erase, "erase", Some(span.start), vec![0xFF; span.len as usize].into())
            }
            Intent::Restore { backup, mac_lost } => {
                let name = name_of(backup);
                let image = Arc::clone(&backup.bytes);
                WriteSpec { mac_lost: *mac_lost, ..WriteSpec::new(Change::Restore, name, Some(0), image) }
            }
            Intent::RfBlock { backup, mac_lost } => {
                let known = seen.candidates.first().filter(|_| *mac_lost || seen.identity.has_own_mac());
                let backup = backup.as_ref().or(known).ok_or(Refusal::NoneOfThisChip)?;
                let no_block = || Refusal::NoRfBlock { path: backup.path.display().to_string() };
                let (span, sector) = rf_sector(&backup.bytes).ok_or_else(no_block)?;
                let wish = WriteSpec::new(Change::RfBlock, name_of(backup), Some(span.start), sector.into());
                WriteSpec { mac_lost: *mac_lost, backup: BackupProof::Proven(Arc::clone(backup)), ..wish }
            }
        };
        if let Some(record) = record {
            let resumed = matches!(self.spec.intent, Intent::Resume);
            let same = resumed || record.is_same(wish.change, wish.at, &wish.image, self.settings().is_some());
            if !same && record.touched && !wish.change.from_backup() {
                let backup = record.backup.clone();
                return Err(Refusal::Unfinished { sentence: record.sentence.clone(), backup }.into());
            }
            let verb = if same { "going on with" } else { "this ends" };
            self.said.push(format!("{verb} {}", record.sentence));
            if same {
                wish = WriteSpec {
                    name: wish.name,
                    mac_lost: wish.mac_lost || record.spec.mac_lost,
                    ..record.spec.clone()
                };
            }
            wish.interrupted = record.spec.interrupted.clone();
        }
        let as_recorded =
            record.filter(|_| matches!(self.spec.intent, Intent::Resume)).map(|left| left.spec.protect_after);
        wish.protect_after = self.spec.protect_after.or(as_recorded).unwrap_or(true);
        wish.consent.clone_from(&self.spec.consent);
        wish.said_chip = self.spec.chip_phrase.as_deref().and_then(said_chip);
        Ok(Some(wish))
    }

    /// Finds what stands behind the write, or makes it (product.md rule 2).
    fn stand_behind(&mut self, wish: &mut WriteSpec, seen: &Seen, passes: &mut Passes) -> Result<(), JobError> {
        let left = wish.interrupted.clone();
        if let Some(named) = self.named() {
            wish.backup = BackupProof::Proven(named);
        }
        if let Some(backup) = proven(&wish.backup) {
            wish.history = self.history(&backup);
            if wish.change.from_backup() && left.is_none() {
                self.keep_what_is_there(wish, &backup, seen, passes)?;
            }
            return Ok(());
        }
        if matches!(wish.backup, BackupProof::Bypassed(_)) && self.spec.phrase.is_none() {
            return Ok(());
        }
        if let Some(phrase) = &self.spec.phrase {
            wish.backup = BackupProof::Bypassed(phrase.clone());
            return Ok(());
        }
        for backup in self.made.iter().chain(&seen.candidates) {
            let history = on_shelf(self.device, self.spec, |shelf| Ok(shelf.history(&backup.sha256)))?;
            let owner =
                meanwhile(self.device, || ownership(backup, &seen.current, &seen.identity, &history, left.as_ref()));
            if owner.is_proven() {
                if self.made.is_none() {
                    self.said.push(format!("backup of this chip: {}", backup.path.display()));
                }
                (wish.backup, wish.history) = (BackupProof::Proven(Arc::clone(backup)), Arc::new(history));
                return Ok(());
            }
            let words = owner.words();
            self.said.push(format!("{} does not count for this chip as it is now: {words}", backup.path.display()));
        }
        // What a half-written chip holds is no backup of it.
        if seen.record.as_ref().is_some_and(|record| record.touched) {
            return Ok(());
        }
        wish.backup = BackupProof::Proven(self.back_up(&seen.identity, passes)?);
        Ok(())
    }

    /// Before a backup goes back onto a chip that went on living, what is there is kept, unless that is refused anyway.
    fn keep_what_is_there(
        &mut self,
        wish: &WriteSpec,
        backup: &ProvenBackup,
        seen: &Seen,
        passes: &mut Passes,
    ) -> Result<(), JobError> {
        let owner = meanwhile(self.device, || ownership(backup, &seen.current, &seen.identity, &wish.history, None));
        let fits = backup.bytes.len() == seen.current.len();
        let lost = owner.rf == RfMatch::Lost && !wish.mac_lost;
        let other = owner.rf == RfMatch::Other || owner.same_flash == Some(false);
        if !fits || lost || owner.is_explained() || other {
            return Ok(());
        }
        let whole = seen.candidates.iter().any(|kept| *kept.bytes == *seen.current);
        if !whole && self.made.is_none() && self.spec.phrase.is_none() {
            let (read, kept) = self.read_and_keep(&seen.identity, passes)?;
            match kept {
                Ok(_) => {}
                // Without its RF block a chip holds nothing that could count as proven; both passes read the same, and that is kept.
                Err(problem) if owner.rf == RfMatch::Lost && read.unstable.is_empty() && problem.code == NOT_PROVEN => {
                    let words = format!("what was there is kept, and does not count as a backup: {}", problem.what);
                    self.run.note(Level::Warning, words);
                }
                Err(problem) => return Err(JobError::Shelf(problem)),
            }
        }
        Ok(())
    }

    /// What OpenBeken shall be set to.
    fn settings(&self) -> Option<&Arc<Provisioning>> {
        match &self.spec.intent {
            Intent::Image { settings, .. } => settings.as_ref(),
            Intent::Configure(settings) => Some(settings),
            _ => None,
        }
    }

    /// Lays the configuration over what is written. It starts from what will stand there before: the image's own, what an
    /// earlier write was to leave there, or the chip's. Returns where its values come from.
    fn configure(&mut self, wish: &mut WriteSpec, seen: &Seen) -> Result<Option<Vec<String>>, JobError> {
        let Some(settings) = self.settings().cloned() else { return Ok(None) };
        let left = wish.interrupted.as_ref();
        let chip = seen.identity.chip.or(left.and_then(|left| left.chip)).or(wish.said_chip);
        let chip = chip.ok_or(EncodeError::UnknownChip)?;
        let place = chip.config_sector().ok_or(EncodeError::UnknownChip)?;
        let recorded = wish.overlays.iter().find(|over| over.at == place.start).map(|over| &*over.bytes);
        let at = wish.at.or_else(|| firmware::identify(&wish.image).natural_address).unwrap_or(0);
        let own = place.start.checked_sub(at).and_then(|from| {
            wish.image.get(from as usize..(from + place.len) as usize).filter(|_| wish.change == Change::Image)
        });
        let current = seen.current.get(place.start as usize..place.end() as usize).unwrap_or_default();
        let base = recorded.or(own).unwrap_or(current);
        let mac = chip.rf_block().and_then(|rf| rf::find(&seen.current, rf.start)).and_then(|block| block.mac);
        let factory = proven(&wish.backup);
        let made = meanwhile(self.device, || {
            provision::sector(base, chip, mac, &settings, factory.as_deref().map(|backup| &*backup.bytes))
        })?;
        let sector: Arc<[u8]> = made.sector.into();
        let mut reasons = made.reasons;
        let files = files(chip, &sector, &settings, wish, &seen.current)?;
        if wish.change == Change::Config {
            wish.image = sector;
            wish.overlays.clear();
        } else {
            wish.overlays = vec![Overlay { at: place.start, bytes: sector }];
        }
        if let Some((over, more)) = files {
            wish.overlays.push(over);
            reasons.extend(more);
        }
        Ok(Some(reasons))
    }

    fn history(&mut self, backup: &ProvenBackup) -> Arc<Vec<Vec<u32>>> {
        let shelf = &self.spec.shelf;
        Arc::new(meanwhile(self.device, || shelf.get().history(&backup.sha256)))
    }

    fn plan(mut self, wish: WriteSpec, seen: Seen, configured: Option<Vec<String>>) -> Result<Prepared, JobError> {
        let protection = protect::read(self.device)?;
        self.run.protection(Arc::new(protection.clone()));
        let abilities = self.device.abilities();
        let situation =
            Situation { identity: &seen.identity, protection: &protection, abilities, current: &seen.current };
        let plan = meanwhile(self.device, || plan::plan(&wish, &situation))?;
        let key = seen.record.map_or_else(|| seen.identity.chip_key.clone(), |record| record.chip_key);
        let journal = meanwhile(self.device, || self.spec.shelf.get().journal(&key));
        let said = std::mem::take(&mut self.said);
        let (plan, backup_made) = (Arc::new(plan), self.made.take());
        Ok(Prepared::Ready(Box::new(Ready { spec: wish, plan, journal, said, backup_made, configured })))
    }
}

/// OpenBeken's file area with the files of the provisioning file added to those that stand there before: the image's own,
/// what an earlier write was to leave there, or the chip's. Where it lies follows from the configuration that will be there.
fn files(
    chip: Family,
    sector: &[u8],
    settings: &Provisioning,
    wish: &WriteSpec,
    current: &[u8],
) -> Result<Option<(Overlay, Vec<String>)>, JobError> {
    if settings.files.is_empty() {
        return Ok(None);
    }
    let area = littlefs::area_of(chip, Config::read(sector, 0).as_ref()).ok_or(EncodeError::UnknownChip)?;
    let mut before = current.to_vec();
    if wish.change == Change::Image {
        let at = wish.at.or_else(|| firmware::identify(&wish.image).natural_address).unwrap_or(0);
        before = overlay(before, at, &wish.image);
    }
    for over in &wish.overlays {
        before = overlay(before, over.at, &over.bytes);
    }
    let old = before.get(area.start as usize..area.end() as usize).unwrap_or_default();
    let bytes = littlefs::image_with(old, area.len as usize, &settings.files)?;
    let mut reasons = vec![format!("file area: {area}, as the configuration says")];
    reasons.extend(settings.files.iter().map(|(name, content)| format!("file {name}: {} bytes, added", content.len())));
    let old = littlefs::FileSystem::read(old);
    let kept =
        old.iter().flat_map(|old| &old.files).filter(|file| settings.files.iter().all(|(name, _)| *name != file.path));
    reasons.extend(kept.map(|file| match &file.content {
        Some(content) => format!("file {}: {} bytes, kept", file.path, content.len()),
        None => format!("file {}: cannot be read and is lost", file.path),
    }));
    Ok(Some((Overlay { at: area.start, bytes: bytes.into() }, reasons)))
}

/// Asks the shelf, and keeps the link awake meanwhile.
fn on_shelf<T: Send>(
    device: &mut dyn WriteFlash,
    spec: &PrepareSpec,
    ask: impl FnOnce(&dyn Shelf) -> Result<T, Problem> + Send,
) -> Result<T, JobError> {
    meanwhile(device, || ask(&*spec.shelf.get())).map_err(JobError::Shelf)
}

/// The configuration of the OpenBeken that is on the chip, before it is set.
fn configuration(seen: &Seen) -> Result<WriteSpec, JobError> {
    check_openbeken("the firmware on the chip", &seen.current)?;
    let place = seen.identity.chip.and_then(Family::config_sector).ok_or(EncodeError::UnknownChip)?;
    let current = seen.current.get(place.start as usize..place.end() as usize).unwrap_or_default();
    Ok(WriteSpec::new(Change::Config, "OpenBeken configuration", Some(place.start), current.into()))
}

fn proven(proof: &BackupProof) -> Option<Arc<ProvenBackup>> {
    match proof {
        BackupProof::Proven(backup) => Some(Arc::clone(backup)),
        _ => None,
    }
}

fn name_of(backup: &ProvenBackup) -> String {
    backup
        .path
        .file_name()
        .map_or_else(|| backup.path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The sector with RF calibration and MAC that a flash holds.
pub fn rf_sector(flash: &[u8]) -> Option<(Span, &[u8])> {
    let places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
    let span = places.into_iter().find(|place| rf::find(flash, place.start).is_some())?;
    Some((span, flash.get(span.start as usize..span.end() as usize)?))
}
