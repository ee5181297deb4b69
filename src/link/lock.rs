//! Who uses which link, told to the other processes of this user: what a refusal names and `attach` finds. It keeps them
//! off the link, too; what keeps everybody off is the lock on the device itself ([`super::claim`]).

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::contract::LinkError;
use super::spec::LinkSpec;
use crate::disk::{self, DiskError, unseen};

/// How often a lock file is opened again that its last holder removed in between.
const ATTEMPTS: u32 = 20;
/// No description of a holder is as large as this, in bytes.
const LARGEST: u64 = 64 * 1024;

/// Who holds a lock, as others are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Since when it has been doing that, in local time: `2026-02-03 14:05:06`.
    pub since: String,
    /// The job that runs; `None` while the link is only kept open.
    pub job: Option<String>,
    /// The user it belongs to, where its job is not told to this one.
    #[serde(skip)]
    pub user: Option<String>,
}

impl Holder {
    /// A process of which only the kernel tells: of another user, or with another folder for what lives as long as it.
    pub(super) fn elsewhere(pid: u32, user: String) -> Self {
        Self { pid, since: String::new(), job: None, user: Some(user) }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(user) = &self.user {
            return write!(f, "bkbench in process {} of user {user}", self.pid);
        }
        let job = self.job.as_deref().unwrap_or("no job, the link is only kept open");
        write!(f, "process {} ({job}, since {})", self.pid, self.since)
    }
}

/// A lock on a link, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// The lock is on this open file.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a link; `None` for a link that everybody has for himself, such as `sim:wb2s`.
    ///
    /// # Errors
    /// [`LinkError::Held`] while another process, or this one, has the link open; [`LinkError::NoLock`] when the
    /// folder of locks cannot be used.
    pub fn take(spec: &LinkSpec, job: &str) -> Result<Option<Self>, LinkError> {
        let Some(bus) = bus(spec) else { return Ok(None) };
        let folder = runtime_folder()?;
        Self::take_in(&folder, &bus, job).map_err(|error| match error {
            Refused::Held(holder) => LinkError::Held { name: spec.name(), holder },
            Refused::Disk(error) => no_lock(&folder, &error),
        })
    }

    /// Whether this is the lock that a link needs now: a port may have another real name after it was plugged in again.
    pub fn is_for(&self, spec: &LinkSpec) -> bool {
        bus(spec).is_some_and(|bus| self.path.file_name().is_some_and(|name| name == lock_name(&bus).as_str()))
    }

    fn take_in(folder: &Path, bus: &str, job: &str) -> Result<Option<Self>, Refused> {
        let path = folder.join(lock_name(bus));
        let Some(file) = grab(&path)? else { return Err(Refused::Held(holder(&path))) };
        let lock = Self { _file: file, path };
        lock.write_holder(Some(job))?;
        Ok(Some(lock))
    }

    /// Tells others what the link is used for from now on; `None` when no job runs.
    pub fn set_job(&self, job: Option<&str>) {
        // The lock holds all the same; only its description would be old.
        let _ = self.write_holder(job);
    }

    fn write_holder(&self, job: Option<&str>) -> Result<(), DiskError> {
        let since = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let holder = Holder { pid: std::process::id(), since, job: job.map(str::to_owned), user: None };
        let path = holder_file(&self.path);
        if !may_describe(&self.path) {
            return Err(not_ours(&path));
        }
        let mut file = unseen::part_file(disk::folder_of(&path))?;
        file.write_all(&serde_json::to_vec(&holder).map_err(io::Error::from)?)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if may_describe(&self.path) {
            let _ = fs::remove_file(holder_file(&self.path));
        }
        // While the lock is still held, so that nobody else's file is removed. Other systems keep an open file.
        let _ = fs::remove_file(&self.path);
    }
}

/// Why a lock was not given.
#[derive(Debug)]
enum Refused {
    Held(Option<Holder>),
    Disk(DiskError),
}

impl<E: Into<DiskError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Disk(error.into())
    }
}

/// The file that the lock of a bus is on.
fn lock_name(bus: &str) -> String {
    let sum = Sha256::digest(bus.as_bytes());
    let name: String = sum.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("bus-{name}.lock")
}

/// What only one process may use at a time: a bus, a device node by its real path, or the file of a simulated chip.
fn bus(spec: &LinkSpec) -> Option<String> {
    match spec.scheme.as_str() {
        "sim" => spec.get("chip").map(|file| real_path(Path::new(file))),
        "replay" => None,
        "spi" => Some(format!("spi:{}", spec.target.split('.').next().unwrap_or_default())),
        _ if Path::new(&spec.target).is_absolute() => Some(real_path(Path::new(&spec.target))),
        _ => Some(spec.name()),
    }
}

/// The path behind links; of a file that does not exist yet, that of its folder with its name.
fn real_path(path: &Path) -> String {
    let in_folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(fs::canonicalize(folder).ok()?.join(path.file_name()?))
    };
    let real = fs::canonicalize(path).ok().or_else(in_folder).unwrap_or_else(|| path.to_path_buf());
    real.to_string_lossy().into_owned()
}

/// Locks the file; `None` while somebody else has.
fn grab(path: &Path) -> Result<Option<File>, DiskError> {
    for _ in 0..ATTEMPTS {
        let file = match disk::create_or_open_own(path) {
            // Its holder removed it between the two looks.
            Err(error) if error.is_missing() => continue,
            opened => opened?,
        };
        if file.metadata()?.len() > 0 {
            return Err(not_ours(path));
        }
        match file.try_lock() {
            // The holder before may have removed the file after it was opened here: a lock on it keeps nobody out.
            Ok(()) if disk::is_at(&file, path) => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn not_ours(path: &Path) -> DiskError {
    io::Error::other(format!("{} holds something that is not of bkbench", path.display())).into()
}

fn holder(path: &Path) -> Option<Holder> {
    serde_json::from_slice(&disk::read_own(&holder_file(path), LARGEST).ok()?).ok()
}

/// Whether nothing describes the holder of the lock at `path`, or something that this program wrote.
fn may_describe(path: &Path) -> bool {
    fs::symlink_metadata(holder_file(path)).is_err() || holder(path).is_some()
}

/// Beside the lock file, because some systems let nobody read a locked file.
fn holder_file(path: &Path) -> PathBuf {
    path.with_extension("json")
}

/// The folder of what lives as long as a process, made when needed and readable by this user only:
/// `$XDG_RUNTIME_DIR/bkbench`, else `run` in the folder of this user's program states. It does not move with the data
/// folder: two processes with different data folders still share one bus.
///
/// # Errors
/// [`LinkError::NoLock`] when there is no such folder and it cannot be made.
pub fn runtime_folder() -> Result<PathBuf, LinkError> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let usual = || {
        let dirs = ProjectDirs::from("", "", "bkbench")?;
        Some(dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).join("run"))
    };
    let folder = named
        .map(|folder| folder.join("bkbench"))
        .or_else(usual)
        .ok_or_else(|| LinkError::NoLock { folder: "~".to_owned(), why: "this user has no home folder".to_owned() })?;
    disk::make_folder(&folder).map_err(|error| no_lock(&folder, &error.into()))?;
    Ok(folder)
}

fn no_lock(folder: &Path, error: &DiskError) -> LinkError {
    LinkError::NoLock { folder: folder.display().to_string(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(folder: &Path, bus: &str) -> Result<Option<Lock>, Refused> {
        Lock::take_in(folder, bus, "write")
    }

    #[test]
    fn a_second_taker_is_told_who_holds_it_and_gets_it_after_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = take(folder.path(), "spi:0").unwrap().unwrap();
        let Err(Refused::Held(Some(holder))) = take(folder.path(), "spi:0") else { panic!("taken twice") };
        assert_eq!((holder.pid, holder.job.as_deref()), (std::process::id(), Some("write")));
        let taken = |bus: &str| first.path.file_name().is_some_and(|name| name == lock_name(bus).as_str());
        assert!(taken("spi:0") && !taken("spi:1"));
        first.set_job(None);
        let Err(Refused::Held(Some(holder))) = take(folder.path(), "spi:0") else { panic!("taken twice") };
        assert_eq!(holder.job, None);
        assert!(take(folder.path(), "spi:1").is_ok(), "another bus");
        drop(first);
        assert!(take(folder.path(), "spi:0").is_ok());
    }

    #[test]
    fn what_a_killed_process_left_behind_stands_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let lock = take(folder.path(), "spi:0").unwrap().unwrap();
        let (path, left) = (lock.path.clone(), holder_file(&lock.path));
        let text = fs::read(&left).unwrap();
        drop(lock);
        fs::write(&path, b"").unwrap();
        fs::write(&left, text).unwrap();
        assert!(take(folder.path(), "spi:0").is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn many_takers_at_once_never_hold_it_together() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let (inside, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let Ok(lock) = take(folder.path(), "spi:0") else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }

    #[test]
    fn one_device_has_one_name_however_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("ttyUSB0");
        let spec = |text: String| LinkSpec::parse(&text).unwrap();
        let chip = bus(&spec(format!("sim:wb2s?chip={}", real.display())));
        assert!(chip.is_some(), "a file that does not exist yet");
        fs::write(&real, b"").unwrap();
        assert_eq!(bus(&spec(format!("uart:{}?baud=9600", real.display()))), chip);
        #[cfg(unix)]
        {
            let alias = folder.path().join("by-id");
            std::os::unix::fs::symlink(&real, &alias).unwrap();
            assert_eq!(bus(&spec(format!("uart:{}", alias.display()))), chip);
        }
        assert_eq!(bus(&spec("spi:0.0?cen=22".to_owned())), bus(&spec("spi:0.1".to_owned())));
        assert_eq!(bus(&spec("sim:wb2s".to_owned())), None);
    }
}
