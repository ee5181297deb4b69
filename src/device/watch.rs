//! How work on a flash tells how far it is, and is told to stop.

/// The user, or the end of the program, asked to stop. Seen only where stopping is safe for the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Something was overcome, or deserves a look.
    Warning,
    /// Something failed.
    Error,
    /// A person has to do something with their hands, now.
    Ask,
}

/// What a device tells while it works, and where it asks whether to go on.
pub trait Watch {
    /// So many more bytes of the present phase are done.
    fn advance(&mut self, bytes: u64);
    /// A line for the log.
    fn note(&mut self, level: Level, text: String);
    /// Something had to be done again.
    fn retried(&mut self, what: String);
    /// Called only where the chip may be left alone: between frames of a read, between sectors of a write.
    ///
    /// # Errors
    /// [`Cancelled`] when the job shall stop here.
    fn checkpoint(&mut self) -> Result<(), Cancelled>;
}

/// Hands everything on but the byte counts, for looks inside something that counts by itself: reading back must
/// not move the gauge of a write.
pub struct Uncounted<'a>(pub &'a mut dyn Watch);

impl Watch for Uncounted<'_> {
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, level: Level, text: String) {
        self.0.note(level, text);
    }
    fn retried(&mut self, what: String) {
        self.0.retried(what);
    }
    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        self.0.checkpoint()
    }
}

/// A watch that hears nothing and never stops a job.
pub struct Unwatched;

impl Watch for Unwatched {
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, _: Level, _: String) {}
    fn retried(&mut self, _: String) {}
    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        Ok(())
    }
}
