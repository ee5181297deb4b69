//! Backups of chips: from a job's result to the store and back. Both front ends keep and find backups through this
//! file, so that one chip is known by the same key everywhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::nor::StatusBytes;
use crate::device::Level;
use crate::job::{BackupRead, Identity, ProvenBackup};
use crate::problem::{Class, Explain, Problem};
use crate::store::backup::{self, FlashFacts, Manifest};
use crate::store::paths::Folders;
use crate::store::{Settings, files};
use crate::units::Verdict;

/// A backup that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest_path: PathBuf,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// The same content of the same chip was there already.
    pub already_had: bool,
}

/// The proven backup of a chip, if there is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The backup, read and checked against its manifest.
    pub backup: Option<Arc<ProvenBackup>>,
    /// The status registers it recorded.
    pub status: Option<StatusBytes>,
    /// Files that look like backups and do not count, with the reason.
    pub skipped: Vec<(Level, String)>,
}

/// The folder of backups that the settings name, or the usual one.
///
/// # Errors
/// A host problem when the system names no data folder.
pub fn folder(settings: &Settings) -> Result<PathBuf, Problem> {
    Ok(Folders::find().map_err(|error| error.explain())?.backups(&settings.paths.backups))
}

/// Writes a backup with its manifest: to `place`, or to the folder of backups under a dated name.
///
/// # Errors
/// The store's problem: the file exists, the disk is full, no permission.
pub fn keep(settings: &Settings, place: Option<&Path>, read: &BackupRead) -> Result<Kept, Problem> {
    let place = match place {
        Some(path) => path.to_owned(),
        None => {
            let folder = folder(settings)?;
            files::make_folder(&folder).map_err(|error| error.explain())?;
            folder
        }
    };
    let saved = backup::save_backup(&place, &read.bytes, manifest(read)).map_err(|error| error.explain())?;
    Ok(Kept {
        path: saved.path,
        manifest_path: saved.manifest_path,
        sha256: crate::image::sha256_hex(&read.bytes),
        already_had: saved.already_had,
    })
}

/// Looks for the newest proven backup of this very chip.
///
/// # Errors
/// The store's problem when the folder cannot be read.
pub fn find(settings: &Settings, identity: &Identity) -> Result<Found, Problem> {
    let found = backup::find_backup(&folder(settings)?, &identity.chip_key).map_err(|error| error.explain())?;
    let skipped = found
        .skipped
        .into_iter()
        .map(|skipped| (Level::Warning, format!("{}: {}", skipped.path.display(), skipped.why)))
        .collect();
    let Some(stored) = found.backup else { return Ok(Found { skipped, ..Found::default() }) };
    let registers = &stored.manifest.status_registers;
    let status = registers.first().map(|sr1| StatusBytes {
        sr1: *sr1,
        sr2: registers.get(1).copied(),
        sr3: registers.get(2).copied(),
    });
    let backup = ProvenBackup {
        path: stored.path,
        sha256: stored.manifest.sha256,
        chip_key: stored.manifest.chip_key,
        bytes: stored.bytes.into(),
    };
    Ok(Found { backup: Some(Arc::new(backup)), status, skipped })
}

fn manifest(read: &BackupRead) -> Manifest {
    let identity = &read.identity;
    let registers = read.status.map(|status| [Some(status.sr1), status.sr2, status.sr3]);
    Manifest {
        schema: backup::SCHEMA,
        chip: identity.chip,
        chip_verdict: identity.verdict,
        chip_key: identity.chip_key.clone(),
        flash: FlashFacts {
            jedec_id: identity.flash.jedec.clone(),
            part: identity.flash.part.clone(),
            size: identity.flash.size,
        },
        status_registers: registers.into_iter().flatten().map_while(|register| register).collect(),
        sha256: String::new(),
        block_sha256: Vec::new(),
        link: identity.link.clone(),
        speed: identity.speed,
        retries: read.retries,
        program: concat!("bkbench ", env!("CARGO_PKG_VERSION")).to_owned(),
        time: jiff::Timestamp::now(),
        plausibility: read.rules.clone(),
        proven: read.proven(),
        simulated: identity.simulated,
    }
}

/// The failure of a backup that may not stand behind a write.
pub fn unproven(read: &BackupRead) -> Problem {
    let weak = read.rules.iter().filter(|rule| rule.verdict < Verdict::Likely).map(|rule| rule.what.clone());
    let unstable = read.unstable.iter().map(|at| format!("sector 0x{at:06X} never reads the same twice"));
    Problem::new(
        Class::Verification,
        "E520",
        format!("the backup is not proven: {}", weak.chain(unstable).collect::<Vec<_>>().join("; ")),
        "the wires, the clock or the supply are not good enough, or the chip holds no firmware",
        "lower the speed, check ground and supply, and read again; the file was kept for a look",
    )
}
