//! Files read and written as a whole.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::StoreError;

/// The largest file that is read, in bytes: four times the largest flash of these modules.
pub const LARGEST: u64 = 64 * 1024 * 1024;

/// Reads a whole file.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Denied`], [`StoreError::NotAFile`], [`StoreError::TooLarge`] above
/// [`LARGEST`], [`StoreError::Io`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, StoreError> {
    read_up_to(path, LARGEST)
}

/// That nobody but its owner may read or change a file, for files with passwords in them. Where the system has no such
/// rights, every file passes.
///
/// # Errors
/// [`StoreError::NotPrivate`], [`StoreError::Missing`], [`StoreError::Denied`].
pub fn must_be_private(path: &Path) -> Result<(), StoreError> {
    let kind = fs::metadata(path).map_err(|source| StoreError::from_io(path, "read", source))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&kind.permissions()) & 0o077 != 0 {
        return Err(StoreError::NotPrivate { path: path.to_path_buf() });
    }
    let _ = kind;
    Ok(())
}

pub(super) fn read_up_to(path: &Path, largest: u64) -> Result<Vec<u8>, StoreError> {
    let failed = |source| StoreError::from_io(path, "read", source);
    // Asked by path first: opening a named pipe would wait for a writer.
    let kind = fs::metadata(path).map_err(failed)?;
    if !kind.is_file() {
        return Err(StoreError::NotAFile { path: path.to_path_buf() });
    }
    let mut bytes = Vec::with_capacity(kind.len().min(largest) as usize);
    let file = File::open(path).map_err(failed)?;
    // Not by the size just seen: the file may grow while it is read.
    file.take(largest + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > largest {
        return Err(StoreError::TooLarge { path: path.to_path_buf(), size: kind.len().max(bytes.len() as u64) });
    }
    Ok(bytes)
}

/// Writes a new file that only this user can read. It appears under its name when all of it is on the disk, or not
/// at all; until then the bytes are in `NAME.part` beside it. An existing file is never replaced.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Missing`] for the folder, [`StoreError::Denied`], [`StoreError::Full`],
/// [`StoreError::Io`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |source| StoreError::from_io(path, "write", source);
    let folder = folder_of(path);
    let Some(name) = path.file_name() else { return Err(StoreError::NotAFile { path: path.to_path_buf() }) };
    must_be_new(path)?;
    let mut part = part_file(folder, name).map_err(failed)?;
    part.write_all(bytes).map_err(failed)?;
    part.as_file().sync_all().map_err(failed)?;
    part.persist_noclobber(path).map_err(|error| failed(error.error))?;
    sync_folder(folder);
    Ok(())
}

/// Writes a file of the program's own, in place of an earlier one: all of it is on the disk under its name, or the
/// earlier one still is. Only for files that no user named.
///
/// # Errors
/// As [`write_new`], without [`StoreError::Exists`].
pub(super) fn replace_own(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |source| StoreError::from_io(path, "write", source);
    let folder = folder_of(path);
    let Some(name) = path.file_name() else { return Err(StoreError::NotAFile { path: path.to_path_buf() }) };
    let mut part = part_file(folder, name).map_err(failed)?;
    part.write_all(bytes).map_err(failed)?;
    part.as_file().sync_all().map_err(failed)?;
    part.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder);
    Ok(())
}

/// Removes a file of the program's own; one that is not there is as good as removed.
///
/// # Errors
/// [`StoreError::Denied`], [`StoreError::Io`].
pub(super) fn remove_own(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => {
            sync_folder(folder_of(path));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::from_io(path, "write", error)),
    }
}

/// Whether [`write_new`] could write there, asked before something that takes long.
///
/// # Errors
/// [`StoreError::Exists`]; [`StoreError::Missing`] when there is no such folder.
pub fn must_be_new(path: &Path) -> Result<(), StoreError> {
    // A link that leads nowhere is there all the same.
    if fs::symlink_metadata(path).is_ok() {
        return Err(StoreError::Exists { path: path.to_path_buf() });
    }
    let folder = folder_of(path);
    if folder.is_dir() { Ok(()) } else { Err(StoreError::Missing { path: folder.to_path_buf() }) }
}

/// Makes a folder and those above it, readable by this user only.
///
/// # Errors
/// [`StoreError::Denied`], [`StoreError::Exists`] when a file is in the way, [`StoreError::Io`].
pub fn make_folder(path: &Path) -> Result<(), StoreError> {
    let mut maker = fs::DirBuilder::new();
    maker.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
    maker.create(path).map_err(|source| StoreError::from_io(path, "write", source))
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `NAME.part`; with a few letters more when a killed run left one behind, or another one is at work.
fn part_file(folder: &Path, name: &std::ffi::OsStr) -> std::io::Result<NamedTempFile> {
    let with = |random| Builder::new().prefix(name).suffix(".part").rand_bytes(random).tempfile_in(folder);
    match with(0) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => with(6),
        made => made,
    }
}

/// Makes the new name last through a power cut. Not every file system can; the file itself is on the disk already.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// `path` with `suffix` appended to its name: `plug.bin` and `.json` make `plug.bin.json`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_complete_private_and_alone() {
        let folder = folder();
        let path = folder.path().join("dump.bin");
        write_new(&path, b"flash").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"flash");
        assert_eq!(names(folder.path()), ["dump.bin"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn an_existing_file_is_never_replaced() {
        let folder = folder();
        let path = folder.path().join("dump.bin");
        write_new(&path, b"first").unwrap();
        assert!(matches!(write_new(&path, b"second"), Err(StoreError::Exists { .. })));
        assert_eq!(read_file(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["dump.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_not_written_through() {
        let folder = folder();
        let path = folder.path().join("link.bin");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(write_new(&path, b"x"), Err(StoreError::Exists { .. })));
        assert_eq!(names(folder.path()), ["link.bin"]);
    }

    #[test]
    fn a_left_over_part_file_does_not_stand_in_the_way() {
        let folder = folder();
        let path = folder.path().join("dump.bin");
        fs::write(folder.path().join("dump.bin.part"), b"half").unwrap();
        write_new(&path, b"whole").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"whole");
        assert_eq!(fs::read(folder.path().join("dump.bin.part")).unwrap(), b"half");
    }

    #[test]
    fn unreadable_things_are_named() {
        let folder = folder();
        assert!(matches!(read_file(&folder.path().join("none")), Err(StoreError::Missing { .. })));
        assert!(matches!(read_file(folder.path()), Err(StoreError::NotAFile { .. })));
        assert!(matches!(write_new(&folder.path().join("no/where"), b""), Err(StoreError::Missing { .. })));
        assert!(matches!(write_new(Path::new("/"), b""), Err(StoreError::NotAFile { .. })));
    }

    #[test]
    fn a_file_above_the_limit_is_not_read() {
        let folder = folder();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(matches!(read_file(&path), Err(StoreError::TooLarge { size, .. }) if size == LARGEST + 1));
        File::create(&path).unwrap().set_len(4).unwrap();
        assert_eq!(read_up_to(&path, 4).unwrap().len(), 4);
    }

    #[test]
    fn a_folder_is_made_with_those_above_it() {
        let folder = folder();
        let deep = folder.path().join("a/b");
        make_folder(&deep).unwrap();
        make_folder(&deep).unwrap();
        assert!(deep.is_dir());
    }
}
