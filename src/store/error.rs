//! Why something on disk could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{DiskError, Kind};
use crate::problem::{Class, Explain, Problem};
use crate::units::size_text;

/// A failure of this layer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such file or folder.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The user may not do that there.
    #[error("no permission to {action} {}", .path.display())]
    Denied {
        /// The path asked for.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
    },
    /// Something else where a file is needed, or a file of the user where one of the program's own is.
    #[error("{} is {is}", .path.display())]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
        /// What stands there.
        is: Kind,
    },
    /// Larger than any flash or firmware.
    #[error("{} holds {}, more than any flash chip", .path.display(), size_text(*.size))]
    TooLarge {
        /// The path asked for.
        path: PathBuf,
        /// Its size in bytes, or how much was read before giving up.
        size: u64,
    },
    /// A file with a password that others may read too.
    #[error("{} holds a password, and others may read it", .path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// The file to be written is there already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The path asked for.
        path: PathBuf,
    },
    /// No room left.
    #[error("no space left to write {}", .path.display())]
    Full {
        /// The path asked for.
        path: PathBuf,
    },
    /// Anything else the system reports.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// The path asked for.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The system's word for it.
        source: io::Error,
    },
    /// The user has no home folder to keep settings and backups in.
    #[error("no home folder to keep settings and backups in")]
    NoHome,
    /// A settings file that does not parse, or holds a wrong key or value.
    #[error("the settings in {} are not usable\n{text}", .path.display())]
    Settings {
        /// The settings file.
        path: PathBuf,
        /// The parser's text, with the line and a caret under the place.
        text: String,
    },
    /// A setting from the environment or the command line that is not usable.
    #[error("{from} = {value:?} is not usable: {text}")]
    Setting {
        /// Name of the environment variable or flag.
        from: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        text: String,
    },
    /// The record of an unfinished write that cannot be read.
    #[error("the record of an unfinished write in {} cannot be read: {text}", .path.display())]
    Journal {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// Bookmarks that cannot be read.
    #[error("the bookmarks in {} cannot be read: {text}", .path.display())]
    Notes {
        /// The file with the bookmarks.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
    /// A started backup that is not one of the connected chip.
    #[error("{} is not a started backup of this chip", .path.display())]
    OtherPart {
        /// The file.
        path: PathBuf,
    },
    /// A backup's manifest that cannot be written as JSON.
    #[error("the manifest of {} cannot be written: {text}", .path.display())]
    Manifest {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        text: String,
    },
}

impl StoreError {
    /// Turns what the system reported about `path` into the error with the best remedy; `action` is `read` or
    /// `write`.
    pub(super) fn from_io(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { path, action },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path }
            }
            io::ErrorKind::IsADirectory => Self::NotAFile { path, is: Kind::Folder },
            _ => Self::Io { path, action, source },
        }
    }
}

impl StoreError {
    /// The same for what [`crate::disk`] says.
    pub(super) fn from_disk(path: &Path, action: &'static str, error: DiskError) -> Self {
        match error {
            DiskError::NotAFile(is) => Self::NotAFile { path: path.to_path_buf(), is },
            DiskError::TooLarge(size) => Self::TooLarge { path: path.to_path_buf(), size },
            DiskError::Io(source) => Self::from_io(path, action, source),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        error.explain()
    }
}

impl Explain for StoreError {
    fn explain(&self) -> Problem {
        let (class, code, cause, remedy) = match self {
            Self::Missing { .. } => (
                Class::Usage,
                "E110",
                "there is no file or folder of that name",
                "check the path; relative paths start at the current folder",
            ),
            Self::Denied { .. } => (
                Class::Host,
                "E111",
                "the file or its folder belongs to somebody else, or the disk is mounted read only",
                "choose a folder of your own, or change the owner; do not run as root for this",
            ),
            Self::NotAFile { is: Kind::Link, .. } => (
                Class::Usage,
                "E112",
                "under a name of its own bkbench follows no links",
                "move it away yourself, then try again",
            ),
            Self::NotAFile { .. } => {
                (Class::Usage, "E112", "only regular files are read and written", "name a regular file")
            }
            Self::TooLarge { .. } => (
                Class::Usage,
                "E113",
                "flash chips of these modules hold 1 to 16 MiB",
                "name a flash dump or a firmware image",
            ),
            Self::Exists { .. } => (
                Class::Usage,
                "E114",
                "existing files are never replaced",
                "choose another name, or move the file away yourself",
            ),
            Self::NotPrivate { .. } => (
                Class::Refused,
                "E615",
                "its rights let the group or everybody read it",
                "take those rights away: chmod 600 FILE",
            ),
            Self::Full { .. } => {
                (Class::Host, "E115", "the disk or the quota is full", "make room, or name another place with -o")
            }
            Self::Io { .. } => {
                (Class::Host, "E116", "the system refused, see the text", "check the disk and the path, then try again")
            }
            Self::NoHome => (
                Class::Host,
                "E117",
                "neither HOME nor the XDG folders are set",
                "set BKBENCH_DATA_DIR and BKBENCH_CONFIG_DIR to folders of your own",
            ),
            Self::Settings { .. } => (
                Class::Usage,
                "E120",
                "a key is unknown, or a value has the wrong type or range",
                "correct the marked place; config.example.toml shows every key",
            ),
            Self::Setting { .. } => (
                Class::Usage,
                "E121",
                "a setting from outside the settings file has a wrong value",
                "correct or remove it",
            ),
            Self::Journal { .. } => (
                Class::Host,
                "E123",
                "the file was changed, or the disk lost a part of it",
                "compare the chip with its backup (`bkbench verify BACKUP --at 0`); to write again, move that file away \
                 and put the whole backup back",
            ),
            Self::Notes { .. } => (
                Class::Host,
                "E612",
                "the file was changed by hand, or the disk lost a part of it",
                "mend it or move it away; it is not written to as it is, and the dump itself is untouched",
            ),
            Self::OtherPart { .. } => (
                Class::Usage,
                "E126",
                "a backup of another chip was cut off there, or the file is of another program",
                "choose another name, or move the file away yourself",
            ),
            Self::Manifest { .. } => {
                (Class::Internal, "E122", "a fault of this program", "report it; the backup itself is on disk")
            }
        };
        Problem::new(class, code, self.to_string(), cause, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_get_the_fitting_remedy() {
        let code = |kind: io::ErrorKind| StoreError::from_io(Path::new("b.bin"), "write", kind.into()).explain().code;
        assert_eq!(code(io::ErrorKind::NotFound), "E110");
        assert_eq!(code(io::ErrorKind::PermissionDenied), "E111");
        assert_eq!(code(io::ErrorKind::AlreadyExists), "E114");
        assert_eq!(code(io::ErrorKind::StorageFull), "E115");
        assert_eq!(code(io::ErrorKind::TimedOut), "E116");
    }

    #[test]
    fn every_failure_names_its_path() {
        let error = StoreError::Exists { path: PathBuf::from("backups/plug.bin") };
        assert_eq!(error.explain().what, "backups/plug.bin exists already");
        assert_eq!(error.explain().class.exit_code(), 2);
    }
}
