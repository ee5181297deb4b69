//! Files that stand in a dump, put into a folder: each under its own path below it. No link is followed, nothing that is
//! there already is written to, and no path leaves the folder.

use std::path::{Component, Path, PathBuf};

use super::StoreError;

/// Whether a path from a dump names a file below a folder, and nothing else.
pub fn is_inside(path: &str) -> bool {
    let parts = Path::new(path).components();
    let plain = !path.is_empty() && !path.contains(['\0', '\\']) && !path.chars().any(char::is_control);
    plain && parts.clone().all(|part| matches!(part, Component::Normal(_))) && parts.count() == path.split('/').count()
}

/// Writes files below `folder`, which is made when it is missing. Paths have to be [inside](is_inside) it. When one of them
/// is there already, none is written.
///
/// # Errors
/// [`StoreError::Exists`] with the path, also for a link in place of a folder; [`StoreError::Denied`],
/// [`StoreError::Full`], [`StoreError::Io`].
pub fn extract(folder: &Path, files: &[(&str, &[u8])]) -> Result<Vec<PathBuf>, StoreError> {
    let inside: Vec<&(&str, &[u8])> = files.iter().filter(|(path, _)| is_inside(path)).collect();
    for (path, _) in &inside {
        nothing_there(folder, path)?;
    }
    let target = below::Folder::open(folder)?;
    let mut written = Vec::new();
    for (path, content) in inside {
        target.write(path, content)?;
        written.push(folder.join(path));
    }
    Ok(written)
}

/// That every part of a path but the last is a true folder or missing, and that the last is missing.
fn nothing_there(folder: &Path, path: &str) -> Result<(), StoreError> {
    let mut at = folder.to_path_buf();
    let parts: Vec<&str> = path.split('/').collect();
    for (number, part) in std::iter::once("").chain(parts.iter().copied()).enumerate() {
        if number > 0 {
            at.push(part);
        }
        let last = number == parts.len();
        match std::fs::symlink_metadata(&at) {
            Ok(kind) if last || !kind.is_dir() => return Err(StoreError::Exists { path: at }),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::from_io(&at, "write", error)),
        }
    }
    Ok(())
}

#[cfg(unix)]
mod below {
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};

    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    use rustix::io::Errno;

    use super::super::StoreError;

    /// A folder that is held open, so that nobody can put a link in its place meanwhile.
    pub(super) struct Folder {
        held: OwnedFd,
        path: PathBuf,
    }

    const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    const FILE: OFlags =
        OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    fn failed(path: &Path, error: Errno) -> StoreError {
        match error {
            // A link, or a file, in place of a folder.
            Errno::LOOP | Errno::NOTDIR => StoreError::Exists { path: path.to_path_buf() },
            error => StoreError::from_io(path, "write", error.into()),
        }
    }

    impl Folder {
        pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
            match std::fs::DirBuilder::new().create(path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::from_io(path, "write", error));
                }
                _ => {}
            }
            let held = open(path, FOLDER, Mode::empty()).map_err(|error| failed(path, error))?;
            Ok(Self { held, path: path.to_path_buf() })
        }

        pub(super) fn write(&self, path: &str, content: &[u8]) -> Result<(), StoreError> {
            let whole = self.path.join(path);
            let parts: Vec<&str> = path.split('/').collect();
            let Some((name, folders)) = parts.split_last() else { return Ok(()) };
            let mut at = self.held.try_clone().map_err(|error| StoreError::from_io(&whole, "write", error))?;
            for folder in folders {
                match mkdirat(&at, *folder, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(&whole, error)),
                }
                at = openat(&at, *folder, FOLDER, Mode::empty()).map_err(|error| failed(&whole, error))?;
            }
            let file = openat(&at, *name, FILE, Mode::RUSR | Mode::WUSR).map_err(|error| failed(&whole, error))?;
            let mut file = File::from(file);
            let done = file.write_all(content).and_then(|()| file.sync_all());
            done.map_err(|error| StoreError::from_io(&whole, "write", error))
        }
    }
}

#[cfg(not(unix))]
mod below {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use super::super::StoreError;

    /// A folder.
    pub(super) struct Folder(PathBuf);

    impl Folder {
        pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
            fs::create_dir_all(path).map_err(|error| StoreError::from_io(path, "write", error))?;
            Ok(Self(path.to_path_buf()))
        }

        pub(super) fn write(&self, path: &str, content: &[u8]) -> Result<(), StoreError> {
            let whole = self.0.join(path);
            let failed = |error| StoreError::from_io(&whole, "write", error);
            fs::create_dir_all(whole.parent().unwrap_or(&self.0)).map_err(failed)?;
            let mut file = crate::disk::create(&whole).map_err(failed)?;
            file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_folder_count() {
        for path in ["autoexec.bat", "web/index.htm", "a b", "..x"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "a\0b", "a\\b", "a\nb", "."] {
            assert!(!is_inside(path), "{path:?}");
        }
    }

    #[test]
    fn one_file_that_is_there_keeps_all_from_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let files: [(&str, &[u8]); 2] = [("a", b"1"), ("b/c", b"2")];
        std::fs::create_dir_all(target.join("b")).unwrap();
        std::fs::write(target.join("b/c"), b"mine").unwrap();
        assert!(matches!(extract(&target, &files), Err(StoreError::Exists { .. })));
        assert!(!target.join("a").exists());
        std::fs::remove_file(target.join("b/c")).unwrap();
        assert_eq!(extract(&target, &files).unwrap().len(), 2);
        assert_eq!(std::fs::read(target.join("b/c")).unwrap(), b"2");
    }
}
