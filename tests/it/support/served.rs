//! A module at a pseudo terminal as a process of its own, for whatever opens serial ports: `bkbench sim uart`, or another
//! program that prints the port's path first and ends on SIGTERM.

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_bkbench"));
        command.args(["sim", "uart"]).args(options).stderr(Stdio::null());
        command.env("BKBENCH_DATA_DIR", folder.join("data")).env("BKBENCH_CONFIG_DIR", folder.join("config"));
        Self::run(command, folder)
    }

    /// Starts a program in a folder and waits for the path that it prints.
    pub fn run(mut command: Command, folder: &Path) -> Self {
        let mut child = command.current_dir(folder).stdout(Stdio::piped()).spawn().expect("the program runs");
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
