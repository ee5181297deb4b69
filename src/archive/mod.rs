//! Backups and unfinished writes of chips: from jobs to the store and back. Both front ends keep and find them through
//! this module, so that one chip is known by the same key everywhere.

pub mod clocks;
pub mod protection;
mod shelf;
pub mod unfinished;

pub use shelf::shelf;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::nor::StatusBytes;
use crate::image::plausible::Rule;
use crate::job::ownership::may_be_of;
use crate::job::{
    BYPASS_PHRASE, BackupRead, BackupSpec, Backups, BackupsHandle, ConnectSpec, Earlier, Identity, Keeper,
    KeeperHandle, NOT_PROVEN, ProvenBackup, Refusal,
};
use crate::problem::{Class, Explain, Problem};
use crate::store::part::Part;
use crate::store::paths::Folders;
use crate::store::{self, Manifest, Provenance, Saved, Settings, backup};
use crate::units::Verdict;

/// The proven backup of a chip, if there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The backup, read and checked against its manifest.
    pub backup: Option<Arc<ProvenBackup>>,
    /// The status registers it recorded.
    pub status: Option<StatusBytes>,
    /// Files that look like backups and do not count, with the reason.
    pub skipped: Vec<String>,
}

/// A connection that knows what was kept from earlier ones: the clocks of its link, and the backups of chips. A link that is
/// written down or played back does not look at backups, so that what goes over it is the same on every computer.
pub fn remembering(settings: &Settings, wanted: ConnectSpec) -> ConnectSpec {
    let taped = wanted.link.scheme == "replay" || wanted.link.get("record").is_some();
    let folder = settings.backups_folder().ok().filter(|_| !taped);
    let backups = folder.map(|folder| BackupsHandle::new(Folder(folder)));
    ConnectSpec { clocks: clocks::memory(wanted.link.name()), backups, ..wanted }
}

struct Folder(PathBuf);

impl Backups for Folder {
    fn newest(&self, chip_key: &str) -> Option<Arc<[u8]>> {
        Some(store::find_backup(&self.0, chip_key)?.bytes)
    }
}

/// Writes a backup with its manifest: to `place`, or to the folder of backups under a dated name. What a chip holds in the
/// middle of an unfinished write is half old and half new: such a backup is kept and never counts as proven. The second
/// value is the backup as it counts.
///
/// # Errors
/// The store's problem: the file exists, the disk is full, no permission.
pub fn keep(settings: &Settings, place: Option<&Path>, read: &BackupRead) -> Result<(Saved, BackupRead), Problem> {
    let mut read = read.clone();
    if let Some(what) = half_written(settings, &read)? {
        let name = "no unfinished write".to_owned();
        read.rules.push(Rule { name, verdict: Verdict::Unsure, what });
    }
    let saved = store::save_backup(&settings.backups_folder()?, place, &read.bytes, manifest(&read))?;
    Ok((saved, read))
}

/// The unfinished write that left the chip as it was read, in a sentence.
fn half_written(settings: &Settings, read: &BackupRead) -> Result<Option<String>, Problem> {
    match unfinished::all(&settings.journal_folder()?, &read.identity) {
        Ok(records) => {
            let touched = |record: &crate::job::Unfinished| record.touched && record.is_of(&read.identity, &read.bytes);
            Ok(records.into_iter().find(touched).map(|record| record.sentence))
        }
        Err(problem) => Ok(Some(problem.what)),
    }
}

/// A backup that was just kept, as a write uses it.
pub fn just_made(saved: &Saved, read: &BackupRead) -> ProvenBackup {
    ProvenBackup {
        path: saved.path.clone(),
        sha256: saved.sha256.clone(),
        chip_key: read.identity.chip_key.clone(),
        jedec: read.identity.flash.jedec.clone(),
        unique_hash: read.identity.flash.unique_hash.clone(),
        bytes: Arc::clone(&read.bytes),
    }
}

/// The backup job of the connected chip, for a backup to `place` or to the folder of backups. What is read is kept beside
/// that place while the job runs; the next backup to that place continues one that was cut off.
///
/// # Errors
/// The store's problem: the name is taken, the disk is full, or the user lacks permission.
pub fn backup_spec(settings: &Settings, place: Option<&Path>, identity: &Identity) -> Result<BackupSpec, Problem> {
    let folder = settings.backups_folder()?;
    let (part, kept) = store::start_backup(&folder, place, &identity.chip_key, identity.flash.size)?;
    let store::part::Kept { bytes, once, twice } = kept;
    let earlier = (!bytes.is_empty()).then(|| Arc::new(Earlier { bytes, once, twice }));
    // Only a chip that computes CRCs can tell whether an earlier backup still holds.
    let known = if identity.abilities.chip_crc.is_some() { find(settings, identity)?.backup } else { None };
    let known = known.map(|backup| Arc::clone(&backup.bytes));
    Ok(BackupSpec { keeper: Some(KeeperHandle::new(Keep(part))), earlier, known })
}

struct Keep(Part);

impl Keeper for Keep {
    fn keep(&mut self, at: u32, bytes: &[u8], twice: bool) -> Result<(), Problem> {
        Ok(self.0.keep(at, bytes, twice)?)
    }
}

/// Looks for the newest proven backup that may be this chip's, by what identifying it has read. Whether it is, a look at the
/// whole chip tells before anything is written.
///
/// # Errors
/// The store's problem when the folder cannot be read.
pub fn find(settings: &Settings, identity: &Identity) -> Result<Found, Problem> {
    let folder = settings.backups_folder()?;
    let history = Folders::find()?.history();
    let mut found = Found { skipped: skipped(&folder)?, ..Found::default() };
    for path in shelf::named(&folder, identity)? {
        let stored = match backup::read_backup(&path) {
            Ok(stored) => stored,
            Err(why) => {
                found.skipped.push(format!("{}: {why}", path.display()));
                continue;
            }
        };
        let status = status_bytes(stored.manifest.status());
        let backup = proven(stored);
        let after = unfinished::history(&history, &backup.sha256);
        if may_be_of(&backup, identity, &after) {
            (found.backup, found.status) = (Some(Arc::new(backup)), status);
            return Ok(found);
        }
        found.skipped.push(format!("{}: the chip does not hold what it should by it", path.display()));
    }
    Ok(found)
}

fn skipped(folder: &Path) -> Result<Vec<String>, Problem> {
    let skipped = backup::list(folder)?.skipped.into_iter();
    Ok(skipped.map(|skipped| format!("{}: {}", skipped.path.display(), skipped.why)).collect())
}

/// Reads the backup at `path`, to be put back onto the connected chip.
///
/// # Errors
/// What keeps it from being that chip's proven backup: no manifest, changed bytes, not proven, another flash. Whether
/// the MAC is the same is the plan's matter ([`crate::job::Refusal::ForeignBackup`]).
pub fn open(path: &Path, identity: &Identity) -> Result<Arc<ProvenBackup>, Problem> {
    let stored = backup::read_backup(path).map_err(|why| not_a_backup(path, &why))?;
    let provenance = &stored.manifest.provenance;
    if !provenance.proven {
        return Err(Problem::new(
            Class::Refused,
            "E421",
            format!("{} is not a proven backup", path.display()),
            "its two passes did not agree everywhere, or its content is not that of a chip with firmware",
            "name a proven one; `bkbench info` shows the newest of the connected chip",
        ));
    }
    if let (Some(then), Some(now)) = (&provenance.jedec, &identity.flash.jedec)
        && then != now
    {
        return Err(Refusal::OtherFlash { path: path.display().to_string() }.explain());
    }
    Ok(Arc::new(proven(stored)))
}

/// The failure of a file that does not count as a backup.
pub fn not_a_backup(path: &Path, why: &str) -> Problem {
    Problem::new(
        Class::Usage,
        "E124",
        format!("{} does not count as a backup: {why}", path.display()),
        "a backup counts only when it is, byte by byte, what was read from the chip",
        "name a .bin file that `bkbench read` made, with its .json beside it",
    )
}

fn proven(stored: store::StoredBackup) -> ProvenBackup {
    ProvenBackup {
        sha256: stored.manifest.sha256().to_owned(),
        jedec: stored.manifest.provenance.jedec.clone(),
        unique_hash: stored.manifest.provenance.unique_hash.clone(),
        chip_key: stored.manifest.provenance.chip_key,
        path: stored.path,
        bytes: stored.bytes,
    }
}

fn status_bytes(registers: Option<[Option<u8>; 3]>) -> Option<StatusBytes> {
    registers.and_then(|[sr1, sr2, sr3]| Some(StatusBytes { sr1: sr1?, sr2, sr3 }))
}

fn status_registers(status: Option<StatusBytes>) -> Option<[Option<u8>; 3]> {
    status.map(|status| [Some(status.sr1), status.sr2, status.sr3])
}

fn manifest(read: &BackupRead) -> Manifest {
    let identity = &read.identity;
    Manifest::new(Provenance {
        chip: identity.chip,
        verdict: identity.verdict,
        chip_key: identity.chip_key.clone(),
        jedec: identity.flash.jedec.clone(),
        unique_hash: identity.flash.unique_hash.clone(),
        part: identity.flash.part.clone(),
        status: status_registers(read.status),
        link: identity.link.clone(),
        simulated: identity.simulated,
        speeds: read.speeds,
        retries: read.retries,
        supply: read.supply.map(|record| record.words()),
        interruptions: read.interruptions.iter().map(|gone| gone.words()).collect(),
        unstable: read.unstable.clone(),
        rules: read.rules.clone(),
        proven: read.proven(),
    })
}

/// The failure of a backup that may not stand behind a write.
pub fn unproven(read: &BackupRead) -> Problem {
    let weak = read.rules.iter().filter(|rule| rule.verdict < Verdict::Likely).map(|rule| rule.what.clone());
    let unstable = read.unstable.iter().map(|at| format!("sector 0x{at:06X} never reads the same twice"));
    Problem::new(
        Class::Verification,
        NOT_PROVEN,
        format!("the backup is not proven: {}", weak.chain(unstable).collect::<Vec<_>>().join("; ")),
        match read.supply.filter(|record| record.dipped()) {
            Some(record) => format!("{}; or the wires, the clock, or a chip without firmware", record.words()),
            None => "the wires, the clock or the supply are not good enough, or the chip holds no firmware".to_owned(),
        },
        if read.unstable.is_empty() {
            // The wires are good: what is read is what the chip holds, and there is nothing to lose but that.
            format!(
                "the file was kept for a look. If the chip is bricked or erased, go without a proven backup: \
                 `--no-backup \"{BYPASS_PHRASE}\"`, or X on the Flash tab"
            )
        } else {
            "lower the speed, check ground and supply, and read again; the file was kept for a look".to_owned()
        },
    )
}

/// What a link takes by the settings, where neither the link nor the command line says anything.
pub const fn usual(settings: &Settings) -> crate::job::Usual {
    crate::job::Usual {
        spi_clock: settings.spi.fixed_clock(),
        spi_entry_clock: settings.spi.entry_clock_hz,
        uart_baud: settings.uart.fixed_baud(),
        cen: settings.cen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks_at_backups(link: &str) -> bool {
        let settings = Settings::default();
        let wanted = ConnectSpec::new(link, None, &usual(&settings)).unwrap();
        remembering(&settings, wanted).backups.is_some()
    }

    #[test]
    fn a_link_that_is_written_down_sees_the_same_bytes_with_and_without_backups() {
        assert!(looks_at_backups("uart:/dev/ttyUSB0?baud=921600"));
        assert!(!looks_at_backups("uart:/dev/ttyUSB0?record=/tmp/bkbench.transcript"));
    }
}
