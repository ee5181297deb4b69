//! What goes wrong with a transcript.

use std::time::Duration;

use crate::problem::{Class, Problem};

/// A transcript that cannot be made, read or followed.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The program did something else than what was recorded.
    #[error("{file}, line {line} ({at:.3?}): {recorded} was recorded, {instead} came")]
    Deviation {
        /// The transcript.
        file: String,
        /// Its line, counted from 1.
        line: usize,
        /// The recorded time.
        at: Duration,
        /// What stands there.
        recorded: String,
        /// What the program did.
        instead: String,
    },
    /// The transcript cannot be read or played back.
    #[error("{file}, line {line}: {why}")]
    Unreadable {
        /// The transcript.
        file: String,
        /// Its line, counted from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A recording that does not hold all that went over its link.
    #[error("the recording in {file} is not complete: {why}")]
    CutShort {
        /// The file.
        file: String,
        /// The system's words.
        why: String,
    },
    /// The file of a recording cannot be made.
    #[error("{file} cannot be recorded to: {why}")]
    NotRecorded {
        /// The file.
        file: String,
        /// The system's words.
        why: String,
    },
}

impl TapeError {
    /// The problem as people see it.
    pub(in crate::link) fn explain(&self) -> Problem {
        let what = self.to_string();
        match self {
            Self::Deviation { .. } => Problem::new(
                Class::Host,
                "E233",
                what,
                "another command, other settings or another version of the program made the recording",
                "repeat the command of the recording, with the same --speed; this is the first difference",
            ),
            Self::Unreadable { .. } => Problem::new(
                Class::Usage,
                "E234",
                what,
                "the file is no transcript, or one that leaves bytes out",
                "make one with --record FILE; the crate documentation of link::tape describes the format",
            ),
            Self::CutShort { .. } => Problem::new(
                Class::Host,
                "E238",
                what,
                "the disk or the quota is full",
                "make room or name another disk with --record, then run the command again; the chip is not affected",
            ),
            Self::NotRecorded { .. } => Problem::new(
                Class::Host,
                "E235",
                what,
                "the folder is missing, full or not yours",
                "choose another file for --record",
            ),
        }
    }
}
