//! The socket that watchers connect to: one line of JSON per event, to everybody, never waiting for anybody.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::link::lock::runtime_folder;

/// Lines that may wait for one watcher. One that falls behind further is let go; it may come back for a snapshot.
const LINES: usize = 4096;
/// A watcher that takes nothing for this long is let go.
const PATIENCE: Duration = Duration::from_secs(2);
/// No more watchers at a time than this.
const WATCHERS: usize = 16;

/// A bound socket with its watchers. Its file is removed when it is dropped.
pub(super) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    watchers: Mutex<Vec<Watcher>>,
    closed: AtomicBool,
}

struct Watcher {
    /// `None` for one that fell behind.
    lines: Option<SyncSender<Arc<str>>>,
    thread: JoinHandle<()>,
}

impl Socket {
    /// Binds this process's socket in the runtime folder; only this user can reach it.
    pub fn bind() -> io::Result<Self> {
        let folder = runtime_folder().map_err(io::Error::other)?;
        sweep(&folder);
        let path = folder.join(format!("{}.sock", std::process::id()));
        // Left behind by a killed process that had the same number.
        remove(&path);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { path, listener, shared: Arc::new(Shared::default()) })
    }

    /// Accepts watchers on a thread. `greet` is called for each of them and hands its first line to `join`, which makes
    /// it one of those that are told.
    pub fn serve(&self, greet: impl Fn(&mut dyn FnMut(String)) + Send + 'static) {
        let Ok(listener) = self.listener.try_clone() else { return };
        let shared = Arc::clone(&self.shared);
        // Without a thread nobody can watch; the job itself does not depend on it.
        let _ = thread::Builder::new().name("watchers".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if shared.closed.load(Ordering::Relaxed) {
                    return;
                }
                match stream {
                    Ok(stream) => greet(&mut |first| shared.join(&stream, first)),
                    // Out of file handles, or a watcher that left at once: a pause instead of a busy loop.
                    Err(_) => thread::sleep(Duration::from_millis(50)),
                }
            }
        });
    }

    /// Hands a line to every watcher; makes it only when there is one.
    pub fn tell(&self, line: impl FnOnce() -> Option<Value>) {
        let mut watchers = self.shared.watchers();
        watchers.retain(|watcher| !watcher.thread.is_finished());
        if watchers.is_empty() {
            return;
        }
        let Some(line) = line().map(|line| Arc::<str>::from(line.to_string())) else { return };
        for watcher in watchers.iter_mut() {
            watcher.lines = watcher.lines.take().filter(|lines| lines.try_send(Arc::clone(&line)).is_ok());
        }
    }

    /// Ends serving: lets watchers take what waits for them, but not for long.
    pub fn close(&self) {
        if self.shared.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        // Wakes the accepting thread.
        let _ = UnixStream::connect(&self.path);
        remove(&self.path);
        let threads: Vec<JoinHandle<()>> = self.shared.watchers().drain(..).map(|watcher| watcher.thread).collect();
        let until = Instant::now() + PATIENCE;
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Removes the sockets of processes that were killed. Who only starts is alive by its number.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.strip_suffix(".sock")?.parse().ok());
        let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else { continue };
        if rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            remove(&entry.path());
        }
    }
}

/// Removes a socket that nobody serves; anything else of that name stays.
pub(super) fn remove(path: &Path) {
    use std::os::unix::fs::FileTypeExt;
    if fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        // Tidying up may fail.
        let _ = fs::remove_file(path);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn watchers(&self) -> std::sync::MutexGuard<'_, Vec<Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, stream: &UnixStream, first: String) {
        let mut watchers = self.watchers();
        watchers.retain(|watcher| !watcher.thread.is_finished());
        if watchers.len() >= WATCHERS || stream.set_write_timeout(Some(PATIENCE)).is_err() {
            return;
        }
        let Ok(stream) = stream.try_clone() else { return };
        let (lines, waiting) = sync_channel(LINES);
        let _ = lines.try_send(Arc::from(first));
        if let Ok(thread) = thread::Builder::new().name("watcher".to_owned()).spawn(move || write(stream, &waiting)) {
            watchers.push(Watcher { lines: Some(lines), thread });
        }
    }
}

/// Writes lines until there are no more, or nobody takes them.
fn write(mut stream: UnixStream, lines: &Receiver<Arc<str>>) {
    for line in lines {
        if stream.write_all(line.as_bytes()).and_then(|()| stream.write_all(b"\n")).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_socket_of_a_killed_process_goes_and_that_of_a_living_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        let (dead, alive) = (gone.id(), std::process::id());
        gone.wait().unwrap();
        let path = |pid: u32| folder.path().join(format!("{pid}.sock"));
        for pid in [dead, alive] {
            drop(std::os::unix::net::UnixListener::bind(path(pid)).unwrap());
        }
        super::sweep(folder.path());
        assert!(!path(dead).exists() && path(alive).exists());
    }

    #[test]
    fn only_a_socket_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, file) = (folder.path().join("1.sock"), folder.path().join("2.sock"));
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        std::fs::write(&file, b"theirs").unwrap();
        std::os::unix::fs::symlink(&file, folder.path().join("3.sock")).unwrap();
        for path in [&socket, &file, &folder.path().join("3.sock")] {
            super::remove(path);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(std::fs::read(&file).unwrap(), b"theirs");
    }
}
