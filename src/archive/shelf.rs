//! What was kept of chips, for the jobs that prepare a write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{backup_spec, keep, proven, unfinished, unproven};
use crate::job::{BackupRead, BackupSpec, Identity, JournalHandle, ProvenBackup, Shelf, ShelfHandle, Unfinished};
use crate::problem::Problem;
use crate::store::paths::Folders;
use crate::store::{Settings, backup};

/// Backups of one chip that are looked at, newest first: each is read from disk.
const MOST: usize = 8;

/// The shelf of this user.
///
/// # Errors
/// The user has no folder for data.
pub fn shelf(settings: &Settings) -> Result<ShelfHandle, Problem> {
    let folders = Folders::find()?;
    Ok(ShelfHandle::new(Kept {
        settings: settings.clone(),
        backups: settings.backups_folder()?,
        journal: settings.journal_folder()?,
        history: folders.history(),
    }))
}

struct Kept {
    settings: Settings,
    backups: PathBuf,
    journal: PathBuf,
    history: PathBuf,
}

impl Shelf for Kept {
    fn unfinished(&self, identity: &Identity) -> Result<Vec<Unfinished>, Problem> {
        unfinished::all(&self.journal, identity)
    }

    fn backups(&self, identity: &Identity) -> Result<Vec<PathBuf>, Problem> {
        named(&self.backups, identity)
    }

    fn open(&self, path: &Path) -> Option<Arc<ProvenBackup>> {
        Some(Arc::new(proven(backup::read_backup(path).ok()?)))
    }

    fn history(&self, backup: &str) -> Vec<Vec<u32>> {
        unfinished::history(&self.history, backup)
    }

    fn backup_spec(&self, identity: &Identity) -> Result<BackupSpec, Problem> {
        backup_spec(&self.settings, None, identity)
    }

    fn keep(&self, read: &BackupRead) -> Result<Arc<ProvenBackup>, Problem> {
        let (saved, read) = keep(&self.settings, None, read)?;
        if !read.proven() {
            return Err(unproven(&read));
        }
        Ok(Arc::new(super::just_made(&saved, &read)))
    }

    fn journal(&self, chip_key: &str) -> JournalHandle {
        unfinished::journal(&self.journal, &self.history, chip_key)
    }
}

/// Proven backups in a folder that may be the chip's by their manifests, newest first. A chip without a MAC of its own
/// cannot be found by it: then all of its kind of flash are named.
pub(super) fn named(folder: &Path, identity: &Identity) -> Result<Vec<PathBuf>, Problem> {
    let flash = &identity.flash;
    let may_be = |entry: &backup::Entry| {
        let from = &entry.manifest.provenance;
        let other_flash = from.jedec.as_ref().zip(flash.jedec.as_ref()).is_some_and(|(then, now)| then != now);
        let name = from.chip_key == identity.chip_key || !identity.has_own_mac();
        from.proven && name && !other_flash && entry.manifest.size == u64::from(flash.size)
    };
    let entries = backup::list(folder)?.entries;
    Ok(entries.into_iter().filter(may_be).map(|entry| entry.path).take(MOST).collect())
}
