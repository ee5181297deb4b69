//! Who works CEN of a simulated module, and a simulated person with a wire in hand.

use std::time::Duration;

use crate::link::contract::Clock;

use super::board::Board;

/// Who works CEN (`cen=` of a link).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cen {
    /// The host, by a line.
    #[default]
    Line,
    /// A person, who is a little slow: CEN is low from 2.0 s to 3.4 s after the start, and not again.
    Hand,
    /// Nobody.
    Nobody,
}

/// When the person touches GND with the wire.
const TOUCH: Duration = Duration::from_millis(2000);
/// When the person lets go.
const LET_GO: Duration = Duration::from_millis(3400);

impl Board {
    /// What the person has done by now.
    pub(super) fn work_hand(&mut self) {
        if self.cen == Cen::Hand {
            let now = self.clock.now();
            let touching = (TOUCH..LET_GO).contains(&now);
            if touching != self.held {
                self.hold(touching);
            }
        }
    }
}
