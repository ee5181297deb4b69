//! One bus, one job, for all users of the computer: a lock on the node of the device itself, or on the file of a simulated
//! chip. The system lets go of it when the process ends, however it ends, and whoever it refuses can say who holds it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::contract::LinkError;
use super::host::Host;
use super::host::owners::{Kind, Owner};
use super::lock::Holder;

/// Locks kept for as long as a link is open.
pub(super) type Claims = Vec<File>;

/// Locks the file of a simulated chip for the process.
///
/// # Errors
/// [`LinkError::Held`], [`LinkError::Busy`]. A file system without locks keeps nobody out.
pub(super) fn file(file: &File, path: &Path) -> Result<(), LinkError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(refused(path, path.display().to_string())),
        _ => Ok(()),
    }
}

/// Locks nodes of devices, all or none. What cannot be opened is left to the driver, which can say why.
///
/// # Errors
/// As [`file`].
#[cfg(unix)]
pub(super) fn nodes(paths: &[PathBuf]) -> Result<Claims, LinkError> {
    let mut claims = Vec::new();
    for path in paths {
        let Ok(node) = crate::disk::node(path) else { continue };
        file(&node, path)?;
        claims.push(node);
    }
    Ok(claims)
}

/// The refusal of something that another process has locked, with that process where the system tells it.
pub(super) fn refused(path: &Path, name: String) -> LinkError {
    let host = Host::here();
    match holder_pid(&host, path) {
        Some(pid) => by_process(&host, pid, name),
        None => LinkError::Held { name, holder: None },
    }
}

/// The refusal of something that a process of this program has; `None` when it is another program.
pub(super) fn by_own_program(host: &Host, pid: u32, name: &str) -> Option<LinkError> {
    let ours = host.text(&format!("proc/{pid}/comm")).is_some_and(|program| program == env!("CARGO_PKG_NAME"));
    let holder = || Some(Holder::elsewhere(pid, user_of(host, pid)));
    ours.then(|| LinkError::Held { name: name.to_owned(), holder: holder() })
}

/// The refusal of something that a process has.
pub(super) fn by_process(host: &Host, pid: u32, name: String) -> LinkError {
    if let Some(ours) = by_own_program(host, pid, &name) {
        return ours;
    }
    let program = host.text(&format!("proc/{pid}/comm")).unwrap_or_else(|| "a program".to_owned());
    let user = user_of(host, pid);
    let who = format!("{program} (process {pid} of user {user})");
    let remedy = format!("end it: `kill {pid}`, or close its window");
    LinkError::Busy { name, by: Some(Box::new(Owner { kind: Kind::Process, who, pid: Some(pid), remedy })) }
}

/// Whether a process runs.
#[cfg(unix)]
pub(super) fn runs(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // A process of another user may not be signalled, and is there all the same.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// Who has the file or node locked, by the kernel's list of locks: `1: FLOCK ADVISORY WRITE 713 00:05:1234 0 EOF`.
#[cfg(unix)]
fn holder_pid(host: &Host, path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let is = std::fs::metadata(path).ok()?;
    let place = format!("{:02x}:{:02x}:{}", rustix::fs::major(is.dev()), rustix::fs::minor(is.dev()), is.ino());
    let locks = host.text("proc/locks")?;
    let line = locks.lines().find(|line| line.contains("FLOCK") && line.split(' ').any(|word| word == place))?;
    let before = line.split_whitespace().take_while(|word| *word != place).last()?;
    before.parse().ok().filter(|pid| *pid != 0)
}

#[cfg(not(unix))]
fn holder_pid(_: &Host, _: &Path) -> Option<u32> {
    None
}

/// The name of the user whose process it is, else the number.
fn user_of(host: &Host, pid: u32) -> String {
    let Some(node) = host.node(&format!("proc/{pid}")) else { return "unknown".to_owned() };
    let number = node.user.to_string();
    let users = host.text("etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or(number)
}

/// The file that programs for serial ports tell each other by that one has a port: `/run/lock/LCK..ttyUSB0`, with the
/// number of the process in it. Removed when dropped.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct PortFile {
    path: PathBuf,
}

/// Where such files are, by the system's habit.
#[cfg(unix)]
const PORT_FOLDERS: [&str; 2] = ["/run/lock", "/var/lock"];

#[cfg(unix)]
impl PortFile {
    /// Takes the port; `None` where this user may not write such files: then the lock on the node has to do.
    ///
    /// # Errors
    /// [`LinkError::Held`], [`LinkError::Busy`] while the process that is named there runs. One that has ended counts no
    /// more.
    pub(super) fn take(port: &Path) -> Result<Option<Self>, LinkError> {
        let real = std::fs::canonicalize(port).unwrap_or_else(|_| port.to_owned());
        let folder = PORT_FOLDERS.iter().map(Path::new).find(|folder| folder.is_dir());
        folder.map_or(Ok(None), |folder| Self::take_in(folder, &real))
    }

    fn take_in(folder: &Path, port: &Path) -> Result<Option<Self>, LinkError> {
        const ATTEMPTS: u32 = 5;
        let name = port.strip_prefix("/dev").unwrap_or(port).to_string_lossy().replace('/', "_");
        let path = folder.join(format!("LCK..{name}"));
        for _ in 0..ATTEMPTS {
            match crate::disk::create(&path) {
                Ok(file) => return Ok(Self::write(path, file)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(_) => return Ok(None),
            }
            match named_in(&path) {
                Some(pid) if runs(pid) => {
                    return Err(by_process(&Host::here(), pid, port.display().to_string()));
                }
                // Left behind by a process that was killed.
                Some(_) if std::fs::remove_file(&path).is_ok() => {}
                // Somebody else's to remove, or something else altogether.
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Ten columns and a line break, as the file hierarchy standard says, readable by everybody.
    fn write(path: PathBuf, mut file: File) -> Option<Self> {
        use std::io::Write;
        let own = Self { path };
        let all = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR | rustix::fs::Mode::RGRP | rustix::fs::Mode::ROTH;
        let written = file.write_all(format!("{:>10}\n", std::process::id()).as_bytes());
        (written.is_ok() && rustix::fs::fchmod(&file, all).is_ok()).then_some(own)
    }
}

#[cfg(unix)]
impl Drop for PortFile {
    fn drop(&mut self) {
        if named_in(&self.path) == Some(std::process::id()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The process that such a file names, in digits or, by an older habit, as four bytes.
#[cfg(unix)]
fn named_in(path: &Path) -> Option<u32> {
    let bytes = crate::disk::read_own(path, 256).ok()?;
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(number) if !number.iter().all(u8::is_ascii_digit) => Some(u32::from_ne_bytes(number)),
        _ => String::from_utf8_lossy(&bytes).split_whitespace().next()?.parse().ok(),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk;
    use crate::problem::Explain;

    fn spare_pid() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        pid
    }

    #[test]
    fn a_second_opener_of_a_node_is_refused_and_told_which_process_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spidev0.0");
        fs::write(&path, b"").unwrap();
        let first = disk::open(&path).unwrap();
        file(&first, &path).unwrap();
        let refused = file(&disk::open(&path).unwrap(), &path).unwrap_err();
        if cfg!(target_os = "linux") {
            let words = refused.to_string();
            assert!(words.contains(&format!("process {}", std::process::id())), "{words}");
        }
        assert!(["E204", "E212"].contains(&refused.explain().code), "{refused}");
        drop(first);
        file(&disk::open(&path).unwrap(), &path).unwrap();
    }

    #[test]
    fn of_several_nodes_all_are_locked_or_none_and_only_devices_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        fs::write(&file, b"").unwrap();
        let (null, zero) = (PathBuf::from("/dev/null"), PathBuf::from("/dev/zero"));
        assert!(nodes(&[file, folder.path().join("missing")]).unwrap().is_empty());
        let claims = nodes(std::slice::from_ref(&zero)).unwrap();
        assert_eq!(claims.len(), 1);
        assert!(nodes(&[null.clone(), zero]).is_err());
        assert_eq!(nodes(&[null]).unwrap().len(), 1, "what was locked before the refusal is free again");
    }

    #[test]
    fn a_port_file_names_its_process_and_keeps_others_out_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/pts/7");
        let path = folder.path().join("LCK..pts_7");
        let first = PortFile::take_in(folder.path(), port).unwrap().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{:>10}\n", std::process::id()));
        let refused = PortFile::take_in(folder.path(), port).unwrap_err().explain();
        assert!(refused.what.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn a_port_file_of_a_process_that_ended_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/ttyUSB0");
        let path = folder.path().join("LCK..ttyUSB0");
        for left in [format!("{:>10}\n", spare_pid()).into_bytes(), spare_pid().to_ne_bytes().to_vec()] {
            fs::write(&path, left).unwrap();
            assert!(PortFile::take_in(folder.path(), port).unwrap().is_some());
            assert!(!path.exists());
        }
        for live in [format!("{} minicom root", std::process::id()).into_bytes(), 1u32.to_ne_bytes().to_vec()] {
            fs::write(&path, &live).unwrap();
            assert!(PortFile::take_in(folder.path(), port).is_err());
            assert_eq!(fs::read(&path).unwrap(), live);
        }
    }

    #[test]
    fn what_is_not_a_port_file_is_neither_followed_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (port, path) = (Path::new("/dev/ttyUSB0"), folder.path().join("LCK..ttyUSB0"));
        let victim = folder.path().join("victim");
        fs::write(&victim, format!("{:>10}\n", spare_pid())).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(PortFile::take_in(folder.path(), port).unwrap().is_none());
        assert!(path.is_symlink() && victim.exists());
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"my notes").unwrap();
        assert!(PortFile::take_in(folder.path(), port).unwrap().is_none());
        assert_eq!(fs::read(&path).unwrap(), b"my notes");
    }
}
