//! Writes that were cut off: the journal that a job records into, and what the next start makes of it.

use std::path::Path;

use jiff::Timestamp;

use super::{status_bytes, status_registers};
use crate::image::rf;
use crate::image::{Family, sha256_hex};
use crate::job::{BackupProof, Change, Identity, Interrupted, Journal, JournalHandle, Start, WriteSpec, sector_crcs};
use crate::problem::{Class, Explain, Problem};
use crate::store::journal::{self, Head, Unfinished};
use crate::store::{StoreError, backup};
use crate::units::{SECTOR, Span, Verdict, parse_hex};

/// The journal for a write of the chip `chip_key`, kept in `folder`.
pub fn journal(folder: &Path, chip_key: &str) -> JournalHandle {
    JournalHandle::new(Record { chip_key: chip_key.to_owned(), file: journal::Journal::new(folder, chip_key) })
}

/// The unfinished write of the connected chip.
///
/// # Errors
/// The store's problem when there is a record and it cannot be read.
pub fn find(folder: &Path, identity: &Identity) -> Result<Option<Unfinished>, Problem> {
    if let Some(found) = journal::unfinished(folder, &identity.chip_key).map_err(|error| error.explain())? {
        return Ok(Some(found));
    }
    if identity.mac_hash.is_some() {
        return Ok(None);
    }
    // A restore that was cut off inside the RF block leaves a chip without MAC, and so does a damaged request that hit it:
    // then the torn block is the evidence.
    let rf_torn = |left: &Unfinished| {
        let mut places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
        let restored =
            change(left).is_some_and(Change::from_backup) && rf::find(&left.image, rf_offset(left)).is_some();
        let hit = !change(left).is_some_and(Change::from_backup) && !left.head.before.is_empty();
        (restored || hit)
            && left.head.jedec == identity.flash.jedec
            && places.any(|rf| left.torn.iter().any(|torn| torn.overlaps(rf)))
    };
    let mut found: Vec<Unfinished> = journal::all(folder).into_iter().filter(rf_torn).collect();
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// Where the RF block of a restore's image lies inside it.
fn rf_offset(left: &Unfinished) -> u32 {
    let start = left.head.at.unwrap_or(0);
    let places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
    let offsets = places.filter_map(|rf| rf.start.checked_sub(start));
    offsets.into_iter().find(|offset| rf::find(&left.image, *offset).is_some()).unwrap_or(u32::MAX)
}

fn change(left: &Unfinished) -> Option<Change> {
    Change::from_word(&left.head.change)
}

/// Whether the write asked for is the one that was cut off.
pub fn is_same(left: &Unfinished, wish: Change, at: Option<u32>, image: &[u8]) -> bool {
    let place = at.is_none() || left.head.at.is_none() || at == left.head.at;
    change(left) == Some(wish) && place && sha256_hex(image) == left.head.image_sha256
}

/// What the write that was cut off left on the chip.
pub fn interrupted(left: &Unfinished, identity: &Identity) -> Interrupted {
    Interrupted {
        // A chip that lost its MAC in the middle of a restore was matched by `find`.
        chip_key: identity.chip_key.clone(),
        distrusted: left.torn.clone(),
        edges: left.head.edges.iter().filter_map(|(at, content)| Some((*at, parse_hex(content)?))).collect(),
        before: crcs(&left.head.before),
        status: status_bytes(left.head.status),
        chip: left.head.chip,
    }
}

fn crcs(text: &str) -> Vec<u32> {
    let numbers = text.as_bytes().chunks(8).map(|digits| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
    numbers.collect::<Option<_>>().unwrap_or_default()
}

/// The write that was cut off, to be gone on with. `fallback` stands behind it when the backup it was begun with is
/// gone.
///
/// # Errors
/// The record is of a kind that this version does not know.
pub fn resume(left: &Unfinished, identity: &Identity, fallback: BackupProof) -> Result<WriteSpec, Problem> {
    let Some(change) = change(left) else {
        let text = format!("{:?} is no known kind of write", left.head.change);
        return Err(StoreError::Journal { path: left.path.clone(), text }.explain());
    };
    Ok(WriteSpec {
        change,
        name: left.head.name.clone(),
        at: left.head.at,
        image: left.image.clone(),
        backup: proof(left).unwrap_or(fallback),
        protect_after: left.head.protect_after,
        interrupted: Some(interrupted(left, identity)),
        mac_lost: left.head.mac_lost || (change.from_backup() && identity.mac_hash.is_none()),
    })
}

/// Makes a wish to write ready: with what an earlier write of the same image left on this chip, and with a journal.
///
/// # Errors
/// The unfinished write of another image, which has to be ended first; the store's problem.
pub fn prepare(folder: &Path, identity: &Identity, wish: WriteSpec) -> Result<(WriteSpec, JournalHandle), Problem> {
    let left = find(folder, identity)?;
    let chip_key = left.as_ref().map_or(&identity.chip_key, |left| &left.head.chip_key).clone();
    let spec = match &left {
        Some(left) if is_same(left, wish.change, wish.at, &wish.image) => {
            let fallback = wish.backup.clone();
            WriteSpec { name: wish.name, protect_after: wish.protect_after, ..resume(left, identity, fallback)? }
        }
        Some(left) if left.touched && !wish.change.from_backup() => return Err(blocked(left)),
        // Nothing was touched but perhaps the protection, or the backup is put back over what was torn.
        _ => WriteSpec { interrupted: left.as_ref().map(|left| interrupted(left, identity)), ..wish },
    };
    Ok((spec, journal(folder, &chip_key)))
}

/// What stood behind the write that was cut off, if it still does.
pub fn proof(left: &Unfinished) -> Option<BackupProof> {
    if let Some(phrase) = &left.head.phrase {
        return Some(BackupProof::Bypassed(phrase.clone()));
    }
    let stored = backup::read_backup(left.head.backup.as_deref()?).ok()?;
    let usable = stored.manifest.provenance.proven && stored.manifest.provenance.chip_key == left.head.chip_key;
    usable.then(|| BackupProof::Proven(std::sync::Arc::new(super::proven(stored))))
}

/// The unfinished write in one sentence.
pub fn sentence(left: &Unfinished) -> String {
    let head = &left.head;
    let range = Span::between(head.range.0, head.range.1);
    let torn: u32 = left.torn.iter().map(|span| span.len / SECTOR).sum();
    format!(
        "the {} of {} to {range}, begun {}: {} of {} sectors done, {torn} in between",
        head.change,
        head.name,
        head.time.strftime("%Y-%m-%d %H:%M UTC"),
        left.done.min(head.sectors),
        head.sectors
    )
}

/// The refusal of another change while a write is unfinished.
pub fn blocked(left: &Unfinished) -> Problem {
    let backup = left.head.backup.as_ref().map_or_else(|| "BACKUP".to_owned(), |path| path.display().to_string());
    Problem::new(
        Class::Refused,
        "E420",
        format!("an earlier write of this chip is not finished: {}", sentence(left)),
        "sectors that were being changed when it was cut off cannot be trusted until they are written again (rule 9)",
        format!("finish it with `bkbench resume`, or put the backup back with `bkbench restore {backup}`"),
    )
}

/// Records a write on the disk.
struct Record {
    chip_key: String,
    file: journal::Journal,
}

impl Journal for Record {
    fn begin(&mut self, start: &Start<'_>) -> Result<(), Problem> {
        let Start { spec, plan, identity, status } = start;
        let left = spec.interrupted.as_ref();
        let sure = identity.chip.filter(|_| identity.verdict >= Verdict::Likely);
        let (backup, phrase) = match &spec.backup {
            BackupProof::Proven(backup) => {
                (Some(std::path::absolute(&backup.path).unwrap_or(backup.path.clone())), None)
            }
            BackupProof::Bypassed(phrase) => (None, Some(phrase.clone())),
            BackupProof::None => (None, None),
        };
        let head = Head {
            schema: journal::SCHEMA,
            program: concat!("bkbench ", env!("CARGO_PKG_VERSION")).to_owned(),
            time: Timestamp::now(),
            chip_key: self.chip_key.clone(),
            jedec: identity.flash.jedec.clone(),
            chip: left.and_then(|left| left.chip).or(sure),
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
            edges: edges(plan),
            torn_before: left.iter().flat_map(|left| &left.distrusted).map(|span| (span.start, span.end())).collect(),
            before: before(plan, identity, left),
            sectors: plan.count(|action| action != crate::job::Action::Keep),
        };
        Ok(self.file.begin(&head, &spec.image)?)
    }

    fn group_started(&mut self, sectors: &[Span]) -> Result<(), Problem> {
        Ok(self.file.start(sectors)?)
    }

    fn group_done(&mut self, sectors: &[Span]) -> Result<(), Problem> {
        Ok(self.file.done(sectors)?)
    }

    fn finished(&mut self) -> Result<(), Problem> {
        Ok(self.file.remove()?)
    }
}

/// The CRC of every sector before the first of the writes. Over SPI no request goes astray.
fn before(plan: &crate::job::Plan, identity: &Identity, left: Option<&Interrupted>) -> String {
    let known = left.map(|left| left.before.clone()).filter(|known| !known.is_empty());
    let fresh = || if identity.abilities.chip_crc.is_some() { sector_crcs(&plan.before) } else { Vec::new() };
    known.unwrap_or_else(fresh).iter().map(|crc| format!("{crc:08x}")).collect()
}

/// The sectors that the plan's range covers only in part, with all that they shall hold.
fn edges(plan: &crate::job::Plan) -> Vec<(u32, String)> {
    let whole = plan.span.to_sectors();
    let ends = [whole.start, whole.end().saturating_sub(SECTOR)];
    let partly = ends.into_iter().filter(|at| !plan.span.covers(Span::new(*at, SECTOR)));
    let mut edges: Vec<(u32, String)> = partly
        .filter_map(|at| {
            let content = plan.wanted.get(at as usize..(at + SECTOR) as usize)?;
            Some((at, content.iter().map(|byte| format!("{byte:02x}")).collect()))
        })
        .collect();
    edges.dedup();
    edges
}
