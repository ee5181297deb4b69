//! Links that go away in the middle of a job and come back: what is told of it, and what a job needs to go on.
//!
//! A lost cable takes the same road as a killed process: the device is let go, and the job begins again with what it had
//! proven, every piece of which the chip has to confirm. No request is simply repeated over a new link, because nobody
//! knows what the chip did meanwhile: a boot loader that hears nothing starts the firmware after a second
//! (uart-protocol.md §3.1), and that may write.

use std::time::Duration;

use serde::Serialize;

use crate::units::{seconds, time_text};

/// A time that the link was gone in the middle of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interruption {
    /// When, on the clock of the job's events.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// How long it took until the same chip answered again.
    #[serde(serialize_with = "seconds")]
    pub away: Duration,
    /// What was seen of the loss, in words.
    pub why: String,
    /// What the job found and did again after it, in words.
    pub redone: String,
}

impl Interruption {
    /// The whole in one line.
    pub fn words(&self) -> String {
        let redone = if self.redone.is_empty() { "begun again" } else { &self.redone };
        format!("{}; back after {}: {redone}", self.why, time_text(self.away))
    }
}
