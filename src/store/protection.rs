//! `protection/KEY.toml` in the data folder: the status registers of a chip before this program changed them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files;

/// No such file is as large as this, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The registers of a chip before they were changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// JEDEC id of its flash, `EB 60 15`, where the link showed it.
    pub jedec: Option<String>,
    /// Register 1.
    pub sr1: u8,
    /// Register 2, where the part has one.
    pub sr2: Option<u8>,
    /// Register 3, where the part has one.
    pub sr3: Option<u8>,
}

/// What was recorded of a chip; `None` also for a file that is damaged.
pub fn load(folder: &Path, chip_key: &str) -> Option<Found> {
    let bytes = files::read_up_to(&file(folder, chip_key), LARGEST).ok()?;
    toml::from_str(str::from_utf8(&bytes).ok()?).ok()
}

/// Records the registers of a chip in place of earlier ones.
///
/// # Errors
/// [`StoreError`] of the folder or the disk.
pub fn keep(folder: &Path, chip_key: &str, found: &Found) -> Result<(), StoreError> {
    let path = file(folder, chip_key);
    let text =
        toml::to_string(found).map_err(|error| StoreError::from_io(&path, "write", std::io::Error::other(error)))?;
    files::make_folder(folder)?;
    files::replace_own(&path, text.as_bytes())
}

/// Forgets a chip's record.
///
/// # Errors
/// [`StoreError`] of the disk.
pub fn forget(folder: &Path, chip_key: &str) -> Result<(), StoreError> {
    files::remove_own(&file(folder, chip_key))
}

fn file(folder: &Path, chip_key: &str) -> PathBuf {
    folder.join(format!("{chip_key}.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_found_again_and_forgotten_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("data/protection");
        let found = Found { jedec: Some("EB 60 15".to_owned()), sr1: 0x7C, sr2: Some(2), sr3: None };
        assert_eq!(load(&at, "mac-1"), None);
        keep(&at, "mac-1", &found).unwrap();
        assert_eq!((load(&at, "mac-1"), load(&at, "mac-2")), (Some(found), None));
        forget(&at, "mac-1").unwrap();
        forget(&at, "mac-1").unwrap();
        assert_eq!(load(&at, "mac-1"), None);
    }

    #[test]
    fn a_damaged_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mac-1.toml"), "sr1 = 700").unwrap();
        assert_eq!(load(folder.path(), "mac-1"), None);
    }
}
