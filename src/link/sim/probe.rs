//! The host's pins one by one: what [`ProbeLines`] does to the lines of a simulated module.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, Hold, Line, LinkError, ProbeLines};

use super::board::Board;
use super::wires::{Held, HostPins, Pad};

/// What touching a pin costs.
const TOUCH: Duration = Duration::from_nanos(500);
/// Lines driven high lift a supply that is not connected within this time.
const LIFT: Duration = Duration::from_millis(30);
/// How long a lifted supply stays up when nothing feeds it any more.
const SAG: Duration = Duration::from_millis(150);

/// The host's pins.
pub(super) struct SimProbe {
    pub(super) board: Rc<RefCell<Board>>,
}

/// What the host does with its pins while it has taken them from the controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pins: HostPins,
    cen: Held,
}

/// The supply of a module whose 3V3 wire is open, fed through its lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rail {
    up: bool,
    fed: bool,
    since: Duration,
}

impl SimProbe {
    fn touch(&self) -> Result<Duration, LinkError> {
        let board = self.board.borrow();
        board.check()?;
        let clock = board.clock.clone();
        drop(board);
        clock.sleep(TOUCH);
        Ok(clock.now())
    }
}

impl ProbeLines for SimProbe {
    fn hold(&mut self, line: Line, how: Hold) -> Result<(), LinkError> {
        let now = self.touch()?;
        self.board.borrow_mut().take_line(line, how, now);
        Ok(())
    }

    fn level(&mut self, line: Line) -> Result<bool, LinkError> {
        let now = self.touch()?;
        Ok(self.board.borrow_mut().line_level(line, now))
    }

    fn release(&mut self) -> Result<(), LinkError> {
        let now = self.touch()?;
        self.board.borrow_mut().release_lines(now);
        Ok(())
    }
}

impl Drop for SimProbe {
    fn drop(&mut self) {
        if let Ok(mut board) = self.board.try_borrow_mut() {
            let now = board.clock.now();
            board.release_lines(now);
        }
    }
}

impl Board {
    /// The pins of an idle controller.
    pub(super) fn idle_pins(&self) -> HostPins {
        HostPins::controller(false, true, false, self.knobs.floating & 1 == 1)
    }

    fn take_line(&mut self, line: Line, how: Hold, now: Duration) {
        self.run(now);
        let idle = Taken { pins: self.idle_pins(), cen: if self.held { Held::Low } else { Held::Up } };
        let mut taken = self.taken.unwrap_or(idle);
        let held = match how {
            Hold::Low => Held::Low,
            Hold::High => Held::High,
            Hold::PullUp => Held::Up,
            Hold::PullDown => Held::Down,
        };
        match line {
            Line::Cen => taken.cen = if held == Held::High { Held::Up } else { held },
            Line::Sck => taken.pins.sck = held,
            Line::Csn => taken.pins.csn = held,
            Line::Si => taken.pins.si = held,
            Line::So => taken.pins.so = held,
        }
        self.taken = Some(taken);
        if line == Line::Cen {
            self.hold(taken.cen == Held::Low);
        } else {
            self.feed_rail(&taken.pins, now);
            self.levels(&taken.pins, now);
        }
    }

    fn line_level(&mut self, line: Line, now: Duration) -> bool {
        self.run(now);
        let pins = self.taken.map_or_else(|| self.idle_pins(), |taken| taken.pins);
        let dead = self.is_dead(now);
        let pin = match line {
            Line::Sck => Pad::Sck,
            Line::Csn => Pad::Csn,
            Line::Si => Pad::Si,
            Line::So => Pad::So,
            Line::Cen => {
                let held = self.taken.map_or(Held::Up, |taken| taken.cen);
                let level = held != Held::Low && self.wires.cen_at_host(held == Held::Up, !dead);
                return level ^ (held != Held::Low && self.misread());
            }
        };
        let module = self.so_level(&pins, now);
        let level = self.wires.at_host(pin, module, &pins, dead);
        level ^ self.misread()
    }

    /// The controller has its pins again.
    fn release_lines(&mut self, now: Duration) {
        if self.taken.take().is_some() {
            self.run(now);
            let idle = self.idle_pins();
            self.feed_rail(&idle, now);
            self.levels(&idle, now);
            self.hold(false);
        }
    }

    /// Lines driven high may feed a module that has no supply of its own.
    pub(super) fn feed_rail(&mut self, pins: &HostPins, now: Duration) {
        let fed = self.knobs.electrics.parasitic && self.wires.feeds(pins);
        if fed != self.rail.fed {
            self.rail = Rail { up: self.rail_is_up(now), fed, since: now };
        }
    }

    /// Whether the module has no supply at this moment.
    pub(super) fn is_dead(&self, now: Duration) -> bool {
        self.flash.dead || self.wires.supply_open() && !self.rail_is_up(now)
    }

    fn rail_is_up(&self, now: Duration) -> bool {
        let Rail { up, fed, since } = self.rail;
        if fed { up || now >= since + LIFT } else { up && now < since + SAG }
    }
}
