//! The module's time: its own clock that jumps, or the machine's.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::link::contract::Clock;

/// How time passes on a simulated link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// A clock of its own: waiting costs nothing, so a test of ten minutes takes as long as its computing.
    #[default]
    Virtual,
    /// The machine's clock: every byte and every busy flash takes as long as on a bench.
    Line,
}

/// The clock that the link, the chip and the flash share.
#[derive(Debug)]
pub struct SimClock {
    pace: Pace,
    jumped: Cell<Duration>,
    opened: Instant,
}

impl SimClock {
    /// A clock that stands at zero.
    pub fn new(pace: Pace) -> Self {
        Self { pace, jumped: Cell::new(Duration::ZERO), opened: Instant::now() }
    }

    /// How time passes.
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Lets time pass until `then`; does nothing when it is already later.
    pub fn advance_to(&self, then: Duration) {
        match self.pace {
            Pace::Virtual => self.jumped.set(self.jumped.get().max(then)),
            Pace::Line => std::thread::sleep(then.saturating_sub(self.opened.elapsed())),
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        match self.pace {
            Pace::Virtual => self.jumped.get(),
            Pace::Line => self.opened.elapsed(),
        }
    }

    fn sleep(&self, time: Duration) {
        self.advance_to(self.now().saturating_add(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_jumps_and_never_goes_back() {
        let clock = SimClock::new(Pace::Virtual);
        clock.sleep(Duration::from_secs(3600));
        clock.advance_to(Duration::from_secs(5));
        assert_eq!(clock.now(), Duration::from_secs(3600));
    }

    #[test]
    fn a_line_clock_really_waits() {
        let clock = SimClock::new(Pace::Line);
        let before = Instant::now();
        clock.sleep(Duration::from_millis(5));
        assert!(before.elapsed() >= Duration::from_millis(5));
    }
}
