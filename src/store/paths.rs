//! Where settings and backups are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::StoreError;

/// Environment variable that moves the data folder.
pub const DATA_VAR: &str = "BKBENCH_DATA_DIR";
/// Environment variable that moves the folder of the settings file.
pub const CONFIG_VAR: &str = "BKBENCH_CONFIG_DIR";

/// The two folders of this program. Neither need exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Backups and whatever else the program makes.
    pub data: PathBuf,
    /// The settings file.
    pub config: PathBuf,
}

impl Folders {
    /// The folders of this user: from the environment, else where the system keeps such things.
    ///
    /// # Errors
    /// [`StoreError::NoHome`] when the user has no home folder and the environment does not name both.
    pub fn find() -> Result<Self, StoreError> {
        Self::from_env(|name| std::env::var_os(name))
    }

    /// [`Folders::find`] with any environment.
    pub(super) fn from_env(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        let named = |name| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = ProjectDirs::from("", "", "bkbench");
        let usual = |pick: fn(&ProjectDirs) -> &Path| usual.as_ref().map(|found| pick(found).to_path_buf());
        Ok(Self {
            data: named(DATA_VAR).or_else(|| usual(ProjectDirs::data_dir)).ok_or(StoreError::NoHome)?,
            config: named(CONFIG_VAR).or_else(|| usual(ProjectDirs::config_dir)).ok_or(StoreError::NoHome)?,
        })
    }

    /// The settings file.
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The user's own names of firmware parts.
    pub fn known(&self) -> PathBuf {
        self.config.join("known.toml")
    }

    /// The user's own structures for the hex inspector.
    pub fn structures(&self) -> PathBuf {
        self.config.join("structures.toml")
    }

    /// The folder with the records of unfinished writes.
    pub fn journal(&self) -> PathBuf {
        self.data.join("journal")
    }

    /// The folder with what finished writes left on chips.
    pub fn history(&self) -> PathBuf {
        self.data.join("writes")
    }

    /// The folder of backups: `setting` (`paths.backups`) unless it is empty, else `backups` in the data folder.
    pub fn backups(&self, setting: &str) -> PathBuf {
        if setting.is_empty() { self.data.join("backups") } else { PathBuf::from(setting) }
    }

    /// The folder of bookmarks, one file for each dump that has any.
    pub fn notes(&self) -> PathBuf {
        self.data.join("notes")
    }

    /// The file with the SPI clocks that worked.
    pub fn clocks(&self) -> PathBuf {
        self.data.join("clocks.toml")
    }

    /// The list of public devices, where the user put one.
    pub fn devices(&self) -> PathBuf {
        self.data.join("devices.json")
    }

    /// The folder with the status registers of chips before they were changed.
    pub fn protection(&self) -> PathBuf {
        self.data.join("protection")
    }

    /// The folder of reports about jobs that changed a chip.
    pub fn reports(&self) -> PathBuf {
        self.data.join("reports")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_moves_both_folders() {
        let folders = Folders::from_env(|name| Some(OsString::from(format!("/tmp/{name}")))).unwrap();
        assert_eq!(folders.backups(""), Path::new("/tmp/BKBENCH_DATA_DIR/backups"));
        assert_eq!(folders.backups("/mnt/stick"), Path::new("/mnt/stick"));
        assert_eq!(folders.settings_file(), Path::new("/tmp/BKBENCH_CONFIG_DIR/config.toml"));
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let named = Folders::from_env(|_| Some(OsString::new()));
        let unset = Folders::from_env(|_| None);
        assert_eq!(named.ok(), unset.ok());
    }
}
