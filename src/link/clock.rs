//! The system's clock, for links to real hardware.

use std::time::{Duration, Instant};

use super::contract::Clock;

/// Real time since the link was opened.
pub struct SystemClock {
    opened: Instant,
}

impl SystemClock {
    /// A clock that starts at zero now.
    pub fn new() -> Self {
        Self { opened: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}
