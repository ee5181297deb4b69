//! The running jobs of this user, seen from another process.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::link::lock::runtime_folder;

/// How long a process may take to answer, before it counts as not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// A process of this program, with a line to it.
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Where it stood when it was asked: link, identity, running job, phase, progress.
    pub snapshot: Value,
    lines: BufReader<UnixStream>,
}

impl Process {
    /// Connects to a process and takes its snapshot.
    ///
    /// # Errors
    /// The system's: no such process, or it does not answer.
    pub fn connect(pid: u32) -> io::Result<Self> {
        let path = runtime_folder().map_err(io::Error::other)?.join(format!("{pid}.sock"));
        let stream = UnixStream::connect(&path).inspect_err(|error| {
            if error.kind() == ErrorKind::ConnectionRefused {
                // Left behind by a killed process.
                super::socket::remove(&path);
            }
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(stream);
        let snapshot = read_line(&mut lines)?.ok_or(ErrorKind::UnexpectedEof)?;
        lines.get_ref().set_read_timeout(None)?;
        Ok(Self { pid, snapshot, lines })
    }

    /// Waits for the next event; `None` when the process tells no more.
    ///
    /// # Errors
    /// The system's.
    pub fn next_event(&mut self) -> io::Result<Option<Value>> {
        read_line(&mut self.lines)
    }

    /// The headless command it exists for; `None` for the workbench.
    pub fn command(&self) -> Option<&str> {
        self.snapshot["command"].as_str()
    }

    /// Whether there is something to watch: a headless command, or a job of the workbench.
    pub fn works(&self) -> bool {
        self.command().is_some() || !self.snapshot["job"].is_null()
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let job = self.snapshot["job"]["title"].as_str();
        let name = self.command().or(job).unwrap_or("no job");
        write!(f, "process {}: {name}", self.pid)?;
        if let Some(link) = self.snapshot["link"]["name"].as_str() {
            write!(f, " on {link}")?;
        }
        write!(f, ", since {}", self.snapshot["since"].as_str().unwrap_or("an unknown time"))
    }
}

fn read_line(lines: &mut BufReader<UnixStream>) -> io::Result<Option<Value>> {
    let mut line = String::new();
    // A line that was cut off by the process's end is no event.
    if lines.read_line(&mut line)? == 0 || !line.ends_with('\n') {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

/// Every other process of this user that works, oldest number first.
pub fn running() -> Vec<Process> {
    let Ok(entries) = runtime_folder().and_then(|folder| {
        fs::read_dir(&folder).map_err(|error| crate::link::LinkError::NoLock {
            folder: folder.display().to_string(),
            why: error.to_string(),
        })
    }) else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".sock")?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| Process::connect(pid).ok()).filter(Process::works).collect()
}
