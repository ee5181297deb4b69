//! The signals that ask a process to end, as flags. None of them ends it in the middle of anything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register;

/// What was asked since [`Signals::register`].
#[derive(Clone, Debug, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    hung_up: Arc<AtomicBool>,
}

impl Signals {
    /// Catches SIGINT, SIGTERM and, where there is one, SIGHUP.
    ///
    /// # Errors
    /// The system's error when it takes no handler.
    pub fn register() -> io::Result<Self> {
        let signals = Self::default();
        register(SIGINT, Arc::clone(&signals.stop))?;
        register(SIGTERM, Arc::clone(&signals.stop))?;
        #[cfg(unix)]
        register(signal_hook::consts::SIGHUP, Arc::clone(&signals.hung_up))?;
        Ok(signals)
    }

    /// SIGINT or SIGTERM came: whatever runs shall stop at its next safe point.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// SIGHUP came: the terminal is gone. A job that changes the chip goes on.
    pub fn hung_up(&self) -> bool {
        self.hung_up.load(Ordering::Relaxed)
    }
}
