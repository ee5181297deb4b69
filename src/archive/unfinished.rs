//! Writes that were cut off: the journal that a job records into, and what the next start makes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{status_bytes, status_registers};
use crate::image::sha256_hex;
use crate::job::{
    self, Action, BackupProof, Change, Identity, Interrupted, Journal, JournalHandle, Overlay, Plan, Start, WriteSpec,
    sector_crcs,
};
use crate::problem::{Explain, Problem};
use crate::store::history::{self, Line};
use crate::store::journal::{self, Head, Unfinished};
use crate::store::{StoreError, backup};
use crate::units::{SECTOR, Span, Verdict, parse_hex};

/// The journal for a write of the chip `chip_key`, kept in `folder`; what it leaves is recorded in `history`.
pub fn journal(folder: &Path, history: &Path, chip_key: &str) -> JournalHandle {
    JournalHandle::new(Record {
        chip_key: chip_key.to_owned(),
        file: journal::Journal::new(folder, chip_key),
        history: history.to_path_buf(),
        backup: None,
    })
}

/// The unfinished write that may be the connected chip's, by what identifying it has read.
///
/// # Errors
/// The store's problem when there is a record of the chip and it cannot be read.
pub fn find(folder: &Path, identity: &Identity) -> Result<Option<job::Unfinished>, Problem> {
    Ok(all(folder, identity)?.into_iter().find(|record| record.may_be_of(identity)))
}

/// Every unfinished write, one that is filed under the chip's own name first.
///
/// # Errors
/// The store's problem when there is a record of that name and it cannot be read.
pub fn all(folder: &Path, identity: &Identity) -> Result<Vec<job::Unfinished>, Problem> {
    let own = journal::unfinished(folder, &identity.chip_key).map_err(|error| error.explain())?;
    let others = journal::all(folder).into_iter().filter(|left| left.head.chip_key != identity.chip_key);
    own.into_iter().chain(others).map(|left| resumable(&left)).collect()
}

/// The unfinished write as a job knows it.
///
/// # Errors
/// The record is of a kind that this version does not know.
fn resumable(left: &Unfinished) -> Result<job::Unfinished, Problem> {
    let head = &left.head;
    let Some(change) = Change::from_word(&head.change) else {
        let text = format!("{:?} is not a known kind of write", head.change);
        return Err(StoreError::Journal { path: left.path.clone(), text }.explain());
    };
    let backup = proof(left);
    let spec = WriteSpec {
        protect_after: head.protect_after,
        overlays: overlays(head),
        interrupted: Some(interrupted(left, &backup)),
        mac_lost: head.mac_lost,
        consent: head.consent.clone(),
        backup,
        ..WriteSpec::new(change, head.name.clone(), head.at, Arc::clone(&left.image))
    };
    Ok(job::Unfinished {
        spec,
        chip_key: head.chip_key.clone(),
        jedec: head.jedec.clone(),
        size: head.size,
        unique_hash: head.unique_hash.clone(),
        touched: left.touched,
        backup: head.backup.as_ref().map(|path| path.display().to_string()),
        sentence: sentence(left),
    })
}

/// What the write that was cut off left on the chip. A record from before CRCs were kept is completed from its backup and
/// its image.
fn interrupted(left: &Unfinished, backup: &BackupProof) -> Interrupted {
    let head = &left.head;
    let (mut before, mut after) = (crcs(&head.before), crcs(&head.after));
    let astray = head.astray.unwrap_or(!before.is_empty());
    if let (BackupProof::Proven(backup), true) = (backup, after.is_empty()) {
        if before.is_empty() {
            before = sector_crcs(&backup.bytes);
        }
        after = sector_crcs(&job::overlay(backup.bytes.to_vec(), head.range.0, written_part(left)));
    }
    Interrupted {
        distrusted: left.torn.clone(),
        edges: head.edges.iter().filter_map(|(at, content)| Some((*at, parse_hex(content)?))).collect(),
        before,
        after,
        astray,
        overlays: overlays(head),
        status: status_bytes(head.status),
        chip: head.chip,
    }
}

/// The part of the image that goes to the recorded range: over UART the boot loader's part is left out.
fn written_part(left: &Unfinished) -> &[u8] {
    let len = (left.head.range.1.saturating_sub(left.head.range.0)) as usize;
    left.image.get(left.image.len().saturating_sub(len)..).unwrap_or_default()
}

fn overlays(head: &Head) -> Vec<Overlay> {
    let overlay = |(at, content): &(u32, String)| Some(Overlay { at: *at, bytes: parse_hex(content)?.into() });
    head.overlays.iter().filter_map(overlay).collect()
}

fn crcs(text: &str) -> Vec<u32> {
    let numbers = text.as_bytes().chunks(8).map(|digits| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
    numbers.collect::<Option<_>>().unwrap_or_default()
}

/// What stood behind the write that was cut off, if it still does. Whose the backup is, its content tells.
fn proof(left: &Unfinished) -> BackupProof {
    if let Some(phrase) = &left.head.phrase {
        return BackupProof::Bypassed(phrase.clone());
    }
    let stored = left.head.backup.as_deref().and_then(|path| backup::read_backup(path).ok());
    let usable = stored.filter(|stored| stored.manifest.provenance.proven);
    usable.map_or(BackupProof::None, |stored| BackupProof::Proven(Arc::new(super::proven(stored))))
}

/// The unfinished write in one sentence.
fn sentence(left: &Unfinished) -> String {
    let head = &left.head;
    let range = Span::between(head.range.0, head.range.1);
    let torn: u32 = left.torn.iter().map(|span| span.len / SECTOR).sum();
    let what = match Change::from_word(&head.change) {
        Some(Change::Erase) => format!("the erase of {range}"),
        Some(Change::Restore) => format!("the restore of {}", head.name),
        Some(Change::RfBlock) => format!("the rebuild of the RF block from {}", head.name),
        Some(Change::Config) => format!("the configuration of OpenBeken at {range}"),
        _ => format!("the write of {} to {range}", head.name),
    };
    format!(
        "{what}, begun {}: {} of {} sectors done, {torn} in between",
        head.time.strftime("%Y-%m-%d %H:%M UTC"),
        left.done.min(head.sectors),
        head.sectors
    )
}

/// What recorded writes left on chips with the backup of this SHA-256.
pub(super) fn history(folder: &Path, sha256: &str) -> Vec<Vec<u32>> {
    history::of_backup(folder, sha256).iter().map(|line| crcs(&line.sectors)).collect()
}

/// Records a write on the disk.
struct Record {
    chip_key: String,
    file: journal::Journal,
    history: PathBuf,
    /// SHA-256 of the backup that stands behind the write.
    backup: Option<String>,
}

impl Journal for Record {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), Problem> {
        let Start { spec, plan, identity, status } = start;
        let left = spec.interrupted.as_ref();
        let sure = identity.chip.filter(|_| identity.verdict >= Verdict::Likely);
        let (backup, phrase) = match &spec.backup {
            BackupProof::Proven(backup) => {
                self.backup = Some(backup.sha256.clone());
                (Some(std::path::absolute(&backup.path).unwrap_or(backup.path.clone())), None)
            }
            BackupProof::Bypassed(phrase) => (None, Some(phrase.clone())),
            BackupProof::None => (None, None),
        };
        let fresh = || sector_crcs(&plan.before);
        let before = left.map(|left| left.before.clone()).filter(|known| !known.is_empty()).unwrap_or_else(fresh);
        let head = Head {
            schema: journal::SCHEMA,
            program: concat!("bkbench ", env!("CARGO_PKG_VERSION")).to_owned(),
            time: Timestamp::now(),
            chip_key: self.chip_key.clone(),
            jedec: identity.flash.jedec.clone(),
            size: Some(identity.flash.size),
            unique_hash: identity.flash.unique_hash.clone(),
            chip: left.and_then(|left| left.chip).or(sure).or(spec.said_chip),
            plan: plan.hash.clone(),
            change: spec.change.word().to_owned(),
            name: spec.name.clone(),
            about: plan.about.clone(),
            at: spec.at,
            range: (plan.span.start, plan.span.end()),
            image_sha256: sha256_hex(&spec.image),
            protect_after: spec.protect_after,
            status: status_registers(*status),
            backup,
            phrase,
            mac_lost: spec.mac_lost,
            consent: spec.consent.clone(),
            edges: edges(plan),
            overlays: spec.overlays.iter().map(|over| (over.at, job::hex(&over.bytes))).collect(),
            torn_before: left.iter().flat_map(|left| &left.distrusted).map(|span| (span.start, span.end())).collect(),
            before: hex_crcs(&before),
            after: hex_crcs(&sector_crcs(&plan.wanted)),
            astray: Some(identity.abilities.chip_crc.is_some() || left.is_some_and(|left| left.astray)),
            sectors: plan.count(|action| action != Action::Keep),
        };
        Ok(self.file.begin(&head, &spec.image)?)
    }

    fn group_started(&mut self, sectors: &[Span]) -> Result<(), Problem> {
        Ok(self.file.start(sectors)?)
    }

    fn group_done(&mut self, sectors: &[Span]) -> Result<(), Problem> {
        Ok(self.file.done(sectors)?)
    }

    fn proven(&mut self, plan: &Plan) -> Result<(), Problem> {
        let Some(backup) = &self.backup else { return Ok(()) };
        let line = Line {
            schema: history::SCHEMA,
            time: Timestamp::now(),
            change: plan.change.word().to_owned(),
            name: plan.name.clone(),
            plan: plan.hash.clone(),
            sectors: hex_crcs(&sector_crcs(&plan.wanted)),
        };
        Ok(history::add(&self.history, backup, line)?)
    }

    fn finished(&mut self) -> Result<(), Problem> {
        Ok(self.file.remove()?)
    }
}

fn hex_crcs(crcs: &[u32]) -> String {
    crcs.iter().map(|crc| format!("{crc:08x}")).collect()
}

/// The sectors that the plan's range covers only in part, with all that they shall hold.
fn edges(plan: &Plan) -> Vec<(u32, String)> {
    let whole = plan.span.to_sectors();
    let ends = [whole.start, whole.end().saturating_sub(SECTOR)];
    let partly = ends.into_iter().filter(|at| !plan.span.covers(Span::new(*at, SECTOR)));
    let mut edges: Vec<(u32, String)> =
        partly.filter_map(|at| Some((at, job::hex(plan.wanted.get(at as usize..(at + SECTOR) as usize)?)))).collect();
    edges.dedup();
    edges
}
