//! `bkbench sim uart` as a process of its own, for whatever opens serial ports.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A served module; ends with the value.
pub struct SimUart {
    child: Child,
    /// The port to open.
    pub port: String,
}

impl SimUart {
    /// Serves a module from a folder, with the options of `sim uart`.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bkbench"))
            .args(["sim", "uart"])
            .args(options)
            .current_dir(folder)
            .env("BKBENCH_DATA_DIR", folder.join("data"))
            .env("BKBENCH_CONFIG_DIR", folder.join("config"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
        let port = folder.join(PathBuf::from(first.trim())).display().to_string();
        assert!(!first.trim().is_empty(), "no port was named: {:?}", child.try_wait());
        Self { child, port }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits for that.
    pub fn stop(mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        self.child.wait().expect("it ends")
    }
}

impl Drop for SimUart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
