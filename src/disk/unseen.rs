//! Files that are to appear under their names all at once, and until then have none, or one that is nobody's.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// What the name of a file begins with that is not complete yet and has to have one.
const UNFINISHED: &str = ".bkbench-";
/// What it ends with.
const PART: &str = ".part";

/// A file that nobody sees yet. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Unseen(Inner);

#[derive(Debug)]
enum Inner {
    /// Without any name: gone with the process, however that ends.
    #[cfg(target_os = "linux")]
    Nameless(File),
    /// Where the file system has no such files.
    Named(NamedTempFile),
}

impl Unseen {
    /// A new file in `folder` that only this user can read.
    ///
    /// # Errors
    /// The system's.
    pub fn open(folder: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(file) = nameless(folder) {
            return Ok(Self(Inner::Nameless(file)));
        }
        Self::named_in(folder)
    }

    /// The same with a name, as every file system has them.
    ///
    /// # Errors
    /// The system's.
    pub fn named_in(folder: &Path) -> io::Result<Self> {
        part_file(folder).map(|file| Self(Inner::Named(file)))
    }

    /// The open file.
    pub fn file(&self) -> &File {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Inner::Nameless(file) => file,
            Inner::Named(file) => file.as_file(),
        }
    }

    /// Gives it a name that nothing has.
    ///
    /// # Errors
    /// The system's; [`ErrorKind::AlreadyExists`] when anything has that name.
    pub fn appear(self, path: &Path) -> io::Result<File> {
        match self.0 {
            #[cfg(target_os = "linux")]
            Inner::Nameless(file) => {
                use rustix::fs::{AtFlags, CWD, linkat};
                linkat(CWD, own_handle(&file), CWD, path, AtFlags::SYMLINK_FOLLOW)?;
                Ok(file)
            }
            Inner::Named(file) => {
                let (file, now) = file.into_parts();
                super::rename_new(&now, path)?;
                Ok(file)
            }
        }
    }
}

/// A file in `folder` that has no name; `None` where the file system has none, or the system shows no way to name it.
#[cfg(target_os = "linux")]
fn nameless(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).ok()?);
    own_handle(&file).exists().then_some(file)
}

#[cfg(target_os = "linux")]
fn own_handle(file: &File) -> std::path::PathBuf {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// A file of the program's own that is not complete: its name begins with a dot and is nobody's. A lock on it tells that
/// its process is at work yet, so that nobody sweeps it away.
///
/// # Errors
/// The system's.
pub fn part_file(folder: &Path) -> io::Result<NamedTempFile> {
    const ATTEMPTS: u32 = 20;
    for _ in 0..ATTEMPTS {
        let part = Builder::new().prefix(UNFINISHED).suffix(PART).tempfile_in(folder)?;
        // A sweeper may have come between: then it is gone, or about to be. Without locks there is no sweeper either.
        let swept = matches!(part.as_file().try_lock(), Err(TryLockError::WouldBlock));
        if !swept && super::is_at(part.as_file(), part.path()) {
            return Ok(part);
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

/// Whether a file of this name is one that was not complete.
pub fn is_named_so(name: &str) -> bool {
    name.starts_with(UNFINISHED) && name.ends_with(PART)
}
