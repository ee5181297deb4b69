//! Backups of chips: from a job's result to the store and back. Both front ends keep and find backups through this
//! file, so that one chip is known by the same key everywhere.

use std::path::Path;
use std::sync::Arc;

use crate::codec::nor::StatusBytes;
use crate::job::{BackupRead, Identity, ProvenBackup};
use crate::problem::{Class, Problem};
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

/// Writes a backup with its manifest: to `place`, or to the folder of backups under a dated name.
///
/// # Errors
/// The store's problem: the file exists, the disk is full, no permission.
pub fn keep(settings: &Settings, place: Option<&Path>, read: &BackupRead) -> Result<Saved, Problem> {
    Ok(store::save_backup(&settings.backups_folder()?, place, &read.bytes, manifest(read))?)
}

/// Looks for the newest proven backup of this very chip.
///
/// # Errors
/// The store's problem when the folder cannot be read.
pub fn find(settings: &Settings, identity: &Identity) -> Result<Found, Problem> {
    let found = backup::look_for_backup(&settings.backups_folder()?, &identity.chip_key)?;
    let skipped =
        found.skipped.into_iter().map(|skipped| format!("{}: {}", skipped.path.display(), skipped.why)).collect();
    let Some(stored) = found.backup else { return Ok(Found { skipped, ..Found::default() }) };
    let status = stored.manifest.status().and_then(|[sr1, sr2, sr3]| Some(StatusBytes { sr1: sr1?, sr2, sr3 }));
    let backup = ProvenBackup {
        sha256: stored.manifest.sha256().to_owned(),
        chip_key: stored.manifest.provenance.chip_key,
        path: stored.path,
        bytes: stored.bytes,
    };
    Ok(Found { backup: Some(Arc::new(backup)), status, skipped })
}

fn manifest(read: &BackupRead) -> Manifest {
    let identity = &read.identity;
    Manifest::new(Provenance {
        chip: identity.chip,
        verdict: identity.verdict,
        chip_key: identity.chip_key.clone(),
        jedec: identity.flash.jedec.clone(),
        part: identity.flash.part.clone(),
        status: read.status.map(|status| [Some(status.sr1), status.sr2, status.sr3]),
        link: identity.link.clone(),
        simulated: identity.simulated,
        speeds: read.speeds,
        retries: read.retries,
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
        "E520",
        format!("the backup is not proven: {}", weak.chain(unstable).collect::<Vec<_>>().join("; ")),
        "the wires, the clock or the supply are not good enough, or the chip holds no firmware",
        "lower the speed, check ground and supply, and read again; the file was kept for a look",
    )
}
