//! Files read and written as a whole.

use std::fs;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::paths::Folders;
use crate::disk;
use crate::disk::unseen::{self, Unseen};
pub(super) use crate::disk::{beside, folder_of};

/// The largest file that is read, in bytes: four times the largest flash of these modules.
pub const LARGEST: u64 = 64 * 1024 * 1024;

/// The largest text of a user's own that is read, in bytes.
const LARGEST_TEXT: u64 = 1024 * 1024;

/// Reads a whole file that the user named.
///
/// # Errors
/// [`StoreError::Missing`], [`StoreError::Denied`], [`StoreError::NotAFile`], [`StoreError::TooLarge`] above
/// [`LARGEST`], [`StoreError::Io`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, StoreError> {
    read_up_to(path, LARGEST)
}

/// A text file of the folder of the settings, with its path; `None` where there is none. Letters that are not UTF-8 are
/// replaced.
///
/// # Errors
/// As [`read_file`], without [`StoreError::Missing`].
pub fn own_text(place: fn(&Folders) -> PathBuf) -> Result<Option<(PathBuf, String)>, StoreError> {
    let path = place(&Folders::find()?);
    match read_up_to(&path, LARGEST_TEXT) {
        Ok(bytes) => Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned()))),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
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
    disk::read(path, largest).map_err(|error| StoreError::from_disk(path, "read", error))
}

/// As [`read_up_to`] for a file that the program chose the name of: no link is followed.
pub(super) fn read_own(path: &Path, largest: u64) -> Result<Vec<u8>, StoreError> {
    disk::read_own(path, largest).map_err(|error| StoreError::from_disk(path, "read", error))
}

/// Writes a new file that only this user can read. It appears under its name when all of it is on the disk, or not
/// at all. An existing file is never replaced.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Missing`] for the folder, [`StoreError::Denied`], [`StoreError::Full`],
/// [`StoreError::Io`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    NewFile::reserve(path, bytes.len() as u64)?.appear(bytes)
}

/// A file that is to appear under its name all at once. Its room on the disk is taken, and nothing is seen of it yet.
/// Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: Unseen,
}

impl NewFile {
    /// Makes sure that a file of `size` bytes can appear at `path`, and keeps the room for it.
    ///
    /// # Errors
    /// As [`write_new`].
    pub fn reserve(path: &Path, size: u64) -> Result<Self, StoreError> {
        let failed = |source| StoreError::from_io(path, "write", source);
        if path.file_name().is_none() {
            return Err(StoreError::NotAFile { path: path.to_path_buf(), is: disk::Kind::Folder });
        }
        must_be_new(path)?;
        let new = Self { path: path.to_path_buf(), file: Unseen::open(folder_of(path)).map_err(failed)? };
        disk::allocate(new.file.file(), size).map_err(failed)?;
        Ok(new)
    }

    /// Lets it appear with this content.
    ///
    /// # Errors
    /// As [`write_new`].
    pub fn appear(self, bytes: &[u8]) -> Result<(), StoreError> {
        self.filled(bytes)?.appear()
    }

    /// Puts the content on the disk: from then on only the name can fail.
    ///
    /// # Errors
    /// As [`write_new`].
    pub(super) fn filled(self, bytes: &[u8]) -> Result<Filled, StoreError> {
        let mut file = self.file.file();
        let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(bytes));
        let written = written.and_then(|()| file.set_len(bytes.len() as u64)).and_then(|()| file.sync_all());
        written.map_err(|source| StoreError::from_io(&self.path, "write", source))?;
        Ok(Filled(self))
    }
}

/// A [`NewFile`] whose content is on the disk.
#[derive(Debug)]
pub(super) struct Filled(NewFile);

impl Filled {
    pub(super) fn appear(self) -> Result<(), StoreError> {
        let NewFile { path, file } = self.0;
        file.appear(&path).map_err(|source| StoreError::from_io(&path, "write", source))?;
        sync_folder(folder_of(&path));
        Ok(())
    }
}

/// Writes a file of the program's own, in place of an earlier one: all of it is on the disk under its name, or the
/// earlier one still is. Only for files that no user named; what the program did not make there stays.
///
/// # Errors
/// As [`write_new`], without [`StoreError::Exists`]; [`StoreError::NotAFile`] for a link, a pipe and the like.
pub(super) fn replace_own(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |source| StoreError::from_io(path, "write", source);
    must_be_own(path)?;
    let folder = folder_of(path);
    let mut part = unseen::part_file(folder).map_err(failed)?;
    part.write_all(bytes).map_err(failed)?;
    part.as_file().sync_all().map_err(failed)?;
    part.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder);
    Ok(())
}

/// Removes a file of the program's own; one that is not there is as good as removed.
///
/// # Errors
/// [`StoreError::NotAFile`] for a link, a pipe and the like, [`StoreError::Denied`], [`StoreError::Io`].
pub(super) fn remove_own(path: &Path) -> Result<(), StoreError> {
    must_be_own(path)?;
    match fs::remove_file(path) {
        Ok(()) => {
            sync_folder(folder_of(path));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::from_io(path, "write", error)),
    }
}

/// That nothing stands there, or a file: no link, no pipe.
fn must_be_own(path: &Path) -> Result<(), StoreError> {
    disk::must_be_file_or_nothing(path).map_err(|error| StoreError::from_disk(path, "write", error))
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
    disk::make_folder(path).map_err(|source| StoreError::from_io(path, "write", source))
}

/// Removes what killed processes left unfinished in a folder of the program's own.
pub(super) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(unseen::is_named_so);
        let Some(file) = ours.then(|| disk::change_own(&entry.path()).ok()).flatten() else { continue };
        if file.try_lock().is_ok() {
            // Tidying up may fail.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes the new name last through a power cut. Not every file system can; the file itself is on the disk already.
pub(super) fn sync_folder(folder: &Path) {
    if let Ok(folder) = disk::folder(folder) {
        let _ = folder.sync_all();
    }
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
    fn what_a_killed_process_left_unfinished_is_swept_and_what_others_work_at_is_not() {
        let folder = folder();
        let at_work = unseen::part_file(folder.path()).unwrap();
        let name = at_work.path().file_name().unwrap().to_str().unwrap().to_owned();
        fs::write(folder.path().join(".bkbench-killed.part"), b"a password").unwrap();
        fs::write(folder.path().join("mine.part"), b"of the user").unwrap();
        sweep(folder.path());
        assert_eq!(names(folder.path()), [name, "mine.part".to_owned()]);
    }

    #[test]
    fn a_file_that_has_not_appeared_yet_leaves_nothing_behind() {
        let folder = folder();
        let path = folder.path().join("dump.bin");
        drop(NewFile::reserve(&path, 4096).unwrap());
        assert!(names(folder.path()).is_empty());
        assert!(matches!(NewFile::reserve(&path, 1 << 60), Err(StoreError::Full { .. })));
        let new = NewFile::reserve(&path, 4096).unwrap();
        fs::write(&path, b"theirs").unwrap();
        assert!(matches!(new.appear(b"ours"), Err(StoreError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(names(folder.path()), ["dump.bin"]);
    }

    #[test]
    fn where_files_have_to_have_a_name_one_still_appears_whole_and_alone() {
        let folder = folder();
        let path = folder.path().join("dump.bin");
        let named = || Unseen::named_in(folder.path()).unwrap();
        NewFile { path: path.clone(), file: named() }.appear(b"whole").unwrap();
        assert!(NewFile { path: path.clone(), file: named() }.appear(b"other").is_err());
        assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["dump.bin".to_owned()], b"whole".to_vec()));
    }

    #[cfg(unix)]
    #[test]
    fn what_the_program_did_not_make_is_neither_replaced_nor_removed() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("theirs"), b"theirs").unwrap();
        std::os::unix::fs::symlink(at("theirs"), at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["link", "socket"] {
            assert!(matches!(replace_own(&at(name), b"x"), Err(StoreError::NotAFile { .. })), "{name}");
            assert!(matches!(remove_own(&at(name)), Err(StoreError::NotAFile { .. })), "{name}");
        }
        assert_eq!(names(folder.path()), ["link", "socket", "theirs"]);
        assert_eq!(fs::read(at("theirs")).unwrap(), b"theirs");
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
        fs::File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(matches!(read_file(&path), Err(StoreError::TooLarge { size, .. }) if size == LARGEST + 1));
        fs::File::create(&path).unwrap().set_len(4).unwrap();
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
