//! The one way into a file. Whatever path a user, a setting or the program itself names is opened here, and nowhere else
//! (`tests/it/rules.rs`): only a regular file is read or written, nothing waits for the other end of a pipe, no node of a
//! device is touched by reading it, and what the program makes appears under a name that nobody had.

pub mod unseen;

use std::fmt;
use std::fs::{self, DirBuilder, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use rustix::fs::OFlags;

/// What stands under a name where a file is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A symbolic link, where none is followed.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// The node of a device.
    Device,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "a folder",
            Self::Link => "a symbolic link",
            Self::Pipe => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
        })
    }
}

/// Why a file was not opened or not read.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Something else has that name.
    #[error("it is {0}")]
    NotAFile(Kind),
    /// It holds more than was asked for, in bytes.
    #[error("it holds {0} bytes")]
    TooLarge(u64),
    /// The system's word.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DiskError {
    /// Whether nothing has that name.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == ErrorKind::NotFound)
    }
}

/// Whose name a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The user named it, so the user's symbolic links are followed.
    ByUser,
    /// The program chose it, so nobody else's link stands there by right.
    ByProgram,
}

/// Opens a file that the user named, for reading.
///
/// # Errors
/// [`DiskError::NotAFile`], [`DiskError::Io`].
pub fn open(path: &Path) -> Result<File, DiskError> {
    open_as(path, Named::ByUser, OpenOptions::new().read(true))
}

/// Opens a file of the program's own, for reading.
///
/// # Errors
/// As [`open`]; a symbolic link is not followed.
pub fn open_own(path: &Path) -> Result<File, DiskError> {
    open_as(path, Named::ByProgram, OpenOptions::new().read(true))
}

/// Opens a file that the user named, to be changed in its place.
///
/// # Errors
/// As [`open`].
pub fn change(path: &Path) -> Result<File, DiskError> {
    open_as(path, Named::ByUser, OpenOptions::new().read(true).write(true))
}

/// Opens a file of the program's own, to be changed in its place.
///
/// # Errors
/// As [`open_own`].
pub fn change_own(path: &Path) -> Result<File, DiskError> {
    open_as(path, Named::ByProgram, OpenOptions::new().read(true).write(true))
}

/// Opens a file of the program's own, to be added to at its end.
///
/// # Errors
/// As [`open_own`].
pub fn append_own(path: &Path) -> Result<File, DiskError> {
    open_as(path, Named::ByProgram, OpenOptions::new().append(true))
}

/// Makes a file that only this user can read, under a name that nothing has.
///
/// # Errors
/// The system's; [`ErrorKind::AlreadyExists`] when anything has that name, a link that leads nowhere too.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file of the program's own whose content does not count, made where it is missing: locks are on such files.
///
/// # Errors
/// As [`change_own`].
pub fn create_or_open_own(path: &Path) -> Result<File, DiskError> {
    match create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => change_own(path),
        made => Ok(made?),
    }
}

/// Opens the node of a device for no other end than a lock on it. Nothing is set, sent or received.
///
/// # Errors
/// The system's; [`ErrorKind::InvalidInput`] when it is no such node.
#[cfg(unix)]
pub fn node(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    let is_node = |kind: FileType| if kind.is_char_device() { Ok(()) } else { Err(ErrorKind::InvalidInput) };
    is_node(fs::metadata(path)?.file_type())?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    is_node(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens a folder: to lock it, or to make what happened in it last.
///
/// # Errors
/// The system's.
pub fn folder(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_dir() { File::open(path) } else { Err(ErrorKind::NotADirectory.into()) }
}

/// All of a file that the user named, up to `largest` bytes.
///
/// # Errors
/// As [`open`]; [`DiskError::TooLarge`].
pub fn read(path: &Path, largest: u64) -> Result<Vec<u8>, DiskError> {
    all_of(&open(path)?, largest)
}

/// All of a file of the program's own, up to `largest` bytes.
///
/// # Errors
/// As [`open_own`]; [`DiskError::TooLarge`].
pub fn read_own(path: &Path, largest: u64) -> Result<Vec<u8>, DiskError> {
    all_of(&open_own(path)?, largest)
}

/// The text of a file that the user named, up to `largest` bytes.
///
/// # Errors
/// As [`read`]; [`ErrorKind::InvalidData`] when it is not UTF-8.
pub fn text(path: &Path, largest: u64) -> Result<String, DiskError> {
    let bytes = read(path, largest)?;
    Ok(String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?)
}

/// All of an open file from its place on, up to `largest` bytes. Not by the size that it has now: it may grow meanwhile.
///
/// # Errors
/// [`DiskError::TooLarge`], [`DiskError::Io`].
pub fn all_of(file: &File, largest: u64) -> Result<Vec<u8>, DiskError> {
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(size.min(largest) as usize);
    file.take(largest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest { Err(DiskError::TooLarge(size.max(bytes.len() as u64))) } else { Ok(bytes) }
}

/// Makes a folder and those above it, readable by this user only.
///
/// # Errors
/// The system's.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let mut maker = DirBuilder::new();
    maker.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
    maker.create(path)
}

/// Gives a file a name that nothing has.
///
/// # Errors
/// The system's; [`ErrorKind::AlreadyExists`] when anything has the new name.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // A file system without second names: nobody can be kept from making the file between the look and the name.
        Err(_) if fs::symlink_metadata(to).is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

/// Takes room for a file of `size` bytes, so that writing them cannot fail for want of it.
///
/// # Errors
/// [`ErrorKind::StorageFull`], [`ErrorKind::QuotaExceeded`], [`ErrorKind::FileTooLarge`], else the system's.
pub fn allocate(file: &File, size: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::empty(), 0, size.max(1)) {
            Ok(()) => return file.set_len(size),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    room(file, size)?;
    file.set_len(size)
}

/// That the file system of an open file has room for `size` bytes more.
///
/// # Errors
/// [`ErrorKind::StorageFull`]; none where the system does not tell.
pub fn room(file: &File, size: u64) -> io::Result<()> {
    #[cfg(unix)]
    if let Ok(is) = rustix::fs::fstatvfs(file)
        && is.f_bavail.saturating_mul(is.f_frsize) < size
    {
        return Err(ErrorKind::StorageFull.into());
    }
    let _ = (file, size);
    Ok(())
}

/// Whether an open file still has this name.
#[cfg(unix)]
pub fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().is_ok_and(|open| fs::symlink_metadata(path).is_ok_and(|there| same(open, there)))
}

/// Whether a file has this name: elsewhere an open file cannot lose it.
#[cfg(not(unix))]
pub fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// That a file stands there or nothing, and no link: what may be replaced or removed under a name of the program's own.
///
/// # Errors
/// [`DiskError::NotAFile`]; [`DiskError::Io`] when that cannot be seen.
pub fn must_be_file_or_nothing(path: &Path) -> Result<(), DiskError> {
    match fs::symlink_metadata(path) {
        Ok(there) => must_be_file(there.file_type()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Locks an open file against other processes, not against this one: `false` while another has it. The lock goes when this
/// process closes the file, any of its handles. A file system without locks keeps nobody out.
pub fn lock_for_process(file: &File) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{FlockOperation, fcntl_lock};
        use rustix::io::Errno;
        !matches!(fcntl_lock(file, FlockOperation::NonBlockingLockExclusive), Err(Errno::AGAIN | Errno::ACCESS))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        true
    }
}

/// Whether an open file belongs to this user and has one name only, so that changing it in its place changes nothing else.
///
/// # Errors
/// The system's.
pub fn is_ours_alone(file: &File) -> io::Result<bool> {
    let is = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok(is.uid() == rustix::process::geteuid().as_raw() && is.nlink() == 1)
    }
    #[cfg(not(unix))]
    Ok(is.is_file())
}

/// `path` with `suffix` appended to its name: `plug.bin` and `.json` make `plug.bin.json`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn open_as(path: &Path, named: Named, options: &mut OpenOptions) -> Result<File, DiskError> {
    // Asked by path first: opening the node of a device may do something to the device, and waits for a pipe.
    let look = if named == Named::ByUser { fs::metadata(path) } else { fs::symlink_metadata(path) };
    must_be_file(look?.file_type())?;
    #[cfg(unix)]
    {
        let flags = if named == Named::ByUser { OFlags::NONBLOCK } else { OFlags::NONBLOCK | OFlags::NOFOLLOW };
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    let file = options.open(path)?;
    // And again: it may have been exchanged in between.
    must_be_file(file.metadata()?.file_type())?;
    Ok(file)
}

fn must_be_file(is: FileType) -> Result<(), DiskError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let special = [
            (is.is_fifo(), Kind::Pipe),
            (is.is_socket(), Kind::Socket),
            (is.is_char_device() || is.is_block_device(), Kind::Device),
        ];
        if let Some((_, kind)) = special.into_iter().find(|(is, _)| *is) {
            return Err(DiskError::NotAFile(kind));
        }
    }
    match (is.is_dir(), is.is_symlink()) {
        (true, _) => Err(DiskError::NotAFile(Kind::Folder)),
        (_, true) => Err(DiskError::NotAFile(Kind::Link)),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn pipe(path: &Path) {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
    }

    fn kind_of(result: Result<File, DiskError>) -> Option<Kind> {
        match result {
            Err(DiskError::NotAFile(kind)) => Some(kind),
            Ok(_) | Err(_) => None,
        }
    }

    #[test]
    fn nothing_but_a_file_is_opened_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        pipe(&at("pipe"));
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (path, kind) in [
            (at("pipe"), Kind::Pipe),
            (at("socket"), Kind::Socket),
            (PathBuf::from("/dev/zero"), Kind::Device),
            (folder.path().to_owned(), Kind::Folder),
        ] {
            for opened in [open(&path), open_own(&path), change(&path), change_own(&path), append_own(&path)] {
                assert_eq!(kind_of(opened), Some(kind), "{}", path.display());
            }
            assert!(create(&path).is_err() && create_or_open_own(&path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn a_link_is_followed_where_the_user_named_it_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), b"theirs").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        assert_eq!(read(&at("link"), 10).unwrap(), b"theirs");
        assert_eq!(kind_of(open_own(&at("link"))), Some(Kind::Link));
        assert_eq!(kind_of(change_own(&at("link"))), Some(Kind::Link));
        for name in ["file", "link", "dangling"] {
            assert_eq!(create(&at(name)).unwrap_err().kind(), ErrorKind::AlreadyExists, "{name}");
            assert_eq!(rename_new(&at("file"), &at(name)).unwrap_err().kind(), ErrorKind::AlreadyExists, "{name}");
        }
        assert!(!at("nowhere").exists());
    }

    #[test]
    fn a_file_with_a_second_name_is_not_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("theirs"), b"x").unwrap();
        assert!(is_ours_alone(&open(&at("theirs")).unwrap()).unwrap());
        fs::hard_link(at("theirs"), at("second")).unwrap();
        assert!(!is_ours_alone(&change_own(&at("second")).unwrap()).unwrap());
    }

    #[test]
    fn more_than_was_asked_for_is_an_error_and_room_is_taken_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let file = create(&path).unwrap();
        allocate(&file, 5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5);
        assert!(matches!(read(&path, 4), Err(DiskError::TooLarge(5))));
        assert_eq!(read(&path, 5).unwrap(), [0; 5]);
        assert_eq!(room(&file, u64::MAX).unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(allocate(&file, 1 << 60).is_err());
    }
}
