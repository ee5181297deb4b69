//! What several tests need.

pub mod bench;
pub mod cuts;
#[cfg(unix)]
pub mod hosts;
pub mod model;
#[cfg(unix)]
pub mod public;
pub mod samples;
#[cfg(unix)]
pub mod served;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub use samples::sample;

/// The root of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the binary in a folder of its own; data and settings stay in it.
pub fn bkbench(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bkbench"))
        .args(args)
        .current_dir(folder)
        .env("BKBENCH_DATA_DIR", folder.join("data"))
        .env("BKBENCH_CONFIG_DIR", folder.join("config"))
        .env_remove("BKBENCH_LINK")
        .output()
        .expect("the binary runs")
}

/// The exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

/// The document on stdout.
pub fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}\n{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

/// The document of a command that ended well.
pub fn succeed(output: &Output) -> Value {
    assert_eq!(code(output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    document(output)
}

/// An empty folder.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A small, repeatable source of numbers.
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below the limit.
    pub fn below(&mut self, limit: u32) -> u32 {
        (self.next() % u64::from(limit)) as u32
    }

    /// Content as real data has it.
    pub fn bytes(&mut self, len: u32) -> Vec<u8> {
        // Runs of equal bytes, erased stretches and noise, as real data has them.
        let mut bytes = Vec::with_capacity(len as usize);
        while bytes.len() < len as usize {
            let run = 1 + self.below(700) as usize;
            match self.below(4) {
                0 => bytes.extend(std::iter::repeat_n(0xFF, run)),
                1 => bytes.extend(std::iter::repeat_n(self.next() as u8, run)),
                _ => bytes.extend((0..run).map(|_| self.next() as u8)),
            }
        }
        bytes.truncate(len as usize);
        bytes
    }
}

/// How many cases of a long property are tried: all of them with `BKBENCH_LONG=1`.
pub fn cases(usual: u32, all: u32) -> u32 {
    if std::env::var_os("BKBENCH_LONG").is_some() { all } else { usual }
}
