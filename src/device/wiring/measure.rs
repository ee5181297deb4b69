//! The measurements, in the order in which each one makes sense of the next: lines at rest in reset, CEN, SO in the entry
//! window, the entry by hand, and, when that fails, every other order of the wires.

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::guard::wait;
use super::super::spi::plausible;
use super::super::watch::Watch;
use super::Pace;
use super::RESET;
use super::lines::{BUS, Follow, Lines, Order};
use crate::codec::nor::opcode;
use crate::link::{Hold, Line, LinkError};

/// The byte that selects SPI mode. No rotation of its bits is a command that changes a flash, nor is one of 9F; what a
/// wrong order makes of them has no write enable before it, so that a flash drops it.
const KNOCK: u8 = 0xD2;
/// With every line low this long, a module without supply has lost what it was fed through its lines (spi-flash.md §9).
const QUIET: Duration = Duration::from_millis(300);
/// The same for a live display, which looks again soon.
const SHORT_QUIET: Duration = Duration::from_millis(200);
/// How long the entry window is waited for: no source gives its place, 50 ms after CEN was still right on one chip.
const SCAN: Duration = Duration::from_millis(600);
/// The same in a search over orders and for a live display.
const SHORT_SCAN: Duration = Duration::from_millis(15);
/// Pause between two knocks of a scan.
const SCAN_STEP: Duration = Duration::from_millis(2);
/// How long a silent flash is asked after the chip took the D2 (spi-flash.md §2).
const WAKE: Duration = Duration::from_millis(2500);
const SHORT_WAKE: Duration = Duration::from_millis(200);
/// Id reads without an answer before a chip that echoed is given up.
const DEAF_READS: u32 = 3;
const WAKE_STEP: Duration = Duration::from_millis(50);
/// Id reads that have to agree (spi-flash.md §2).
const ID_READS: usize = 5;
/// Further entries in which an id may come back after it vanished in reset.
const RETURNS: usize = 3;
/// Further id reads of a whole check.
const MORE_READS: usize = 32;

/// What came back to the D2 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing of them.
    #[default]
    Nothing,
    /// They were copied and never taken.
    Copied,
    /// They were copied, and then the line went low: the chip took them.
    Taken,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// Each bus line with the chip held in reset.
    pub at_rest: Vec<(Line, Follow)>,
    /// CEN, listened to.
    pub cen: Option<Follow>,
    /// Lines that copy each other with the chip held in reset.
    pub bridges: Vec<(Line, Line)>,
    /// SO in the entry window, before any clock.
    pub before_clock: Option<Follow>,
    /// Whether SO copied SI in the window without any clock.
    pub copies_unclocked: bool,
    /// SO in the entry window, after the clocks of a D2 frame that was not taken.
    pub after_clock: Option<Follow>,
    /// What came back to D2.
    pub heard: Heard,
    /// The first answer to D2.
    pub answer: Vec<u8>,
    /// How long after CEN rose the D2 were taken.
    pub taken_after: Duration,
    /// Different ids read, in order.
    pub ids: Vec<[u8; 3]>,
    /// The id that agreed five times.
    pub id: Option<[u8; 3]>,
    /// Ids read that agreed with it.
    pub agreed: usize,
    /// The order of the wires in which it did; `None` as long as there is none.
    pub order: Option<Order>,
    /// Orders that were tried besides the straight one.
    pub searched: usize,
    /// The id still came while CEN was held low.
    pub stays_in_reset: bool,
    /// The id was right and then gone, without CEN having moved.
    pub dropped: bool,
    /// The id agrees in the straight order, vanishes in reset and comes back after it.
    pub settled: bool,
    /// How fast the wires are.
    pub pace: Option<Pace>,
}

impl Measured {
    /// What a bus line did with the chip in reset.
    pub fn rest_of(&self, line: Line) -> Option<Follow> {
        self.at_rest.iter().find(|(known, _)| *known == line).map(|(_, follow)| *follow)
    }

    /// Every pad draws its line down: the module has no supply.
    pub fn dead(&self) -> bool {
        self.at_rest.len() == BUS.len() && self.at_rest.iter().all(|(_, follow)| *follow == Follow::Low)
    }

    /// Lines that read differently from look to look.
    pub fn flickering(&self) -> Vec<Line> {
        let bus = self.at_rest.iter().filter(|(_, follow)| *follow == Follow::Flickers).map(|(line, _)| *line);
        let cen = (self.cen == Some(Follow::Flickers)).then_some(Line::Cen);
        let window = [self.before_clock, self.after_clock].contains(&Some(Follow::Flickers)).then_some(Line::So);
        let mut all: Vec<Line> = bus.chain(cen).chain(window).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Lines that something holds at a level, with that level.
    pub fn stuck(&self) -> Vec<(Line, bool)> {
        if self.dead() {
            return Vec::new();
        }
        let bridged = |line: Line| self.bridges.iter().any(|(one, other)| [*one, *other].contains(&line));
        let bus = self.at_rest.iter().filter(|(line, _)| !bridged(*line)).filter_map(|(line, follow)| match follow {
            Follow::Low => Some((*line, false)),
            Follow::High => Some((*line, true)),
            _ => None,
        });
        bus.chain((self.cen == Some(Follow::Low)).then_some((Line::Cen, false))).collect()
    }

    /// Whether other orders of the wires could explain what was seen.
    fn order_in_question(&self) -> bool {
        let works = self.id.is_some() || self.dropped || self.heard == Heard::Taken;
        let explained = self.dead() || !self.stuck().is_empty() || !self.bridges.is_empty();
        !works && !explained && self.flickering().is_empty() && self.cen == Some(Follow::High)
    }
}

/// Measures. `whole` also waits for a late window and a slow flash, and searches the other orders.
pub(super) fn measure(lines: &mut Lines<'_>, whole: bool, watch: &mut dyn Watch) -> Result<Measured, DeviceError> {
    let mut seen = Measured::default();
    at_rest(lines, &mut seen, whole, watch)?;
    if seen.dead() {
        return Ok(seen);
    }
    enter(lines, &Order::STRAIGHT, if whole { PATIENT } else { HASTY }, true, &mut seen, watch)?;
    if seen.id.is_some() {
        prove(lines, &Order::STRAIGHT, whole, &mut seen, watch)?;
    } else if whole && seen.order_in_question() {
        search(lines, &mut seen, watch)?;
    }
    if !seen.settled {
        // The controller moves its pins in the straight order: a flash that listens in another one must not hear it.
        lines.hold(Line::Cen, Hold::Low)?;
        lines.rest(&Order::STRAIGHT)?;
        wait(lines.clock, RESET, watch)?;
    }
    Ok(seen)
}

/// The lines with the chip held in reset, where its pads are high-Z, and CEN itself.
fn at_rest(lines: &mut Lines<'_>, seen: &mut Measured, whole: bool, watch: &mut dyn Watch) -> Result<(), DeviceError> {
    lines.hold(Line::Cen, Hold::Low)?;
    for line in BUS {
        lines.hold(line, if line == Line::So { Hold::PullDown } else { Hold::Low })?;
    }
    wait(lines.clock, if whole { QUIET } else { SHORT_QUIET }, watch)?;
    for line in BUS {
        let follow = lines.follow(line)?;
        seen.at_rest.push((line, follow));
    }
    // A module that starts with CSN low goes into its test mode (CB2S data sheet).
    lines.hold(Line::Csn, Hold::High)?;
    seen.cen = Some(lines.follow(Line::Cen)?);
    lines.hold(Line::Cen, Hold::Low)?;
    lines.hold(Line::Csn, Hold::PullDown)?;
    Ok(bridges(lines, seen)?)
}

/// Lines that copy each other. One that seemed to stay low was perhaps held by a neighbour that was low as well: it counts as
/// held by something else only where it copies none.
fn bridges(lines: &mut Lines<'_>, seen: &mut Measured) -> Result<(), LinkError> {
    for (index, one) in BUS.into_iter().enumerate() {
        for other in BUS.into_iter().skip(index + 1) {
            let rest = (seen.rest_of(one), seen.rest_of(other));
            let copies = match rest {
                (Some(Follow::Follows), Some(Follow::Follows | Follow::Low)) => lines.copies(one, other)?,
                (Some(Follow::Low), Some(Follow::Follows)) => lines.copies(other, one)?,
                // Nothing is driven against what may be a short.
                _ => false,
            };
            if copies {
                seen.bridges.push((one, other));
            }
            lines.hold(other, Hold::PullDown)?;
            lines.hold(one, Hold::PullDown)?;
        }
    }
    Ok(())
}

/// How long an entry is tried.
#[derive(Clone, Copy)]
struct Patience {
    /// For the window.
    scan: Duration,
    /// For the flash, once the chip echoed.
    wake: Duration,
}

const PATIENT: Patience = Patience { scan: SCAN, wake: WAKE };
const SEARCHING: Patience = Patience { scan: SHORT_SCAN, wake: WAKE };
const HASTY: Patience = Patience { scan: SHORT_SCAN, wake: SHORT_WAKE };

/// One entry by hand, with the id if it comes. `note` also looks at SO in the window, and keeps what came back.
fn enter(
    lines: &mut Lines<'_>,
    order: &Order,
    patience: Patience,
    note: bool,
    seen: &mut Measured,
    watch: &mut dyn Watch,
) -> Result<Heard, DeviceError> {
    lines.hold(Line::Cen, Hold::Low)?;
    lines.rest(order)?;
    wait(lines.clock, RESET, watch)?;
    lines.hold(Line::Cen, Hold::PullUp)?;
    let began = lines.clock.now();
    if note {
        lines.hold(order.csn, Hold::Low)?;
        seen.before_clock = Some(lines.follow(order.so)?);
        seen.copies_unclocked = lines.copies(order.si, order.so)?;
        lines.rest(order)?;
    }
    let until = began + patience.scan;
    let mut answer = lines.frame(order, &[KNOCK; 64])?;
    let mut heard = hear(&answer);
    if note {
        seen.answer = answer.iter().copied().take(8).collect();
        if heard == Heard::Nothing {
            lines.hold(order.csn, Hold::Low)?;
            seen.after_clock = Some(lines.follow(order.so)?);
            lines.rest(order)?;
        }
    }
    while heard != Heard::Taken && lines.clock.now() < until {
        watch.checkpoint()?;
        lines.clock.sleep(SCAN_STEP);
        answer = lines.frame(order, &[KNOCK; 8])?;
        heard = heard.max(hear(&answer));
        if note && hear(&answer) != Heard::Nothing {
            seen.answer.clone_from(&answer);
        }
    }
    if note {
        seen.heard = heard;
        seen.taken_after = lines.clock.now().saturating_sub(began);
    }
    if heard != Heard::Nothing || note {
        wake_and_ask(lines, order, patience.wake, heard, seen, watch)?;
    }
    Ok(heard)
}

/// D2, or D2 without its first bit, and then zeros to the end: the chip took it (spi-flash.md §2).
fn hear(answer: &[u8]) -> Heard {
    let echoed = answer.iter().any(|byte| matches!(byte, 0xD2 | 0x52 | 0x69 | 0xE9 | 0xA4 | 0xA5));
    match (echoed, answer.last()) {
        (true, Some(0)) => Heard::Taken,
        (true, _) => Heard::Copied,
        (false, _) => Heard::Nothing,
    }
}

impl Heard {
    fn max(self, other: Self) -> Self {
        match (self, other) {
            (Self::Taken, _) | (_, Self::Taken) => Self::Taken,
            (Self::Copied, _) | (_, Self::Copied) => Self::Copied,
            _ => Self::Nothing,
        }
    }
}

/// The frames that end continuous read and deep power-down, and the id.
fn wake_and_ask(
    lines: &mut Lines<'_>,
    order: &Order,
    wake: Duration,
    heard: Heard,
    seen: &mut Measured,
    watch: &mut dyn Watch,
) -> Result<(), DeviceError> {
    let until = lines.clock.now() + wake;
    let mut deaf = 0;
    loop {
        // Each time: while the flash is not on the pins yet, these frames do not reach it.
        lines.frame(order, &[0xFF; 4])?;
        lines.frame(order, &[opcode::RELEASE])?;
        lines.clock.sleep(Duration::from_millis(1));
        let id = lines.id(order)?;
        seen.note_id(id);
        if plausible(id) {
            return agree(lines, order, id, ID_READS, seen);
        }
        // Zeros against the pull-up are driven: a flash that is silent, or the end of an echo. Otherwise it sleeps, or
        // it is not there.
        deaf += u32::from(id != [0; 3]);
        if heard == Heard::Nothing || deaf > DEAF_READS || lines.clock.now() >= until {
            return Ok(());
        }
        lines.frame(order, &[0; 32])?;
        wait(lines.clock, WAKE_STEP, watch)?;
    }
}

/// Reads the id again and again. One that goes and does not come back was dropped, one that comes back was misread.
fn agree(
    lines: &mut Lines<'_>,
    order: &Order,
    id: [u8; 3],
    reads: usize,
    seen: &mut Measured,
) -> Result<(), DeviceError> {
    for _ in 0..reads {
        let again = lines.id(order)?;
        if again != id {
            seen.note_id(again);
            let mut back = false;
            for _ in 0..ID_READS {
                lines.clock.sleep(Duration::from_millis(1));
                let later = lines.id(order)?;
                back |= later == id;
            }
            seen.dropped |= !back;
            seen.id = None;
            return Ok(());
        }
        seen.agreed += 1;
    }
    seen.id = Some(id);
    seen.order = Some(*order);
    Ok(())
}

/// An id is believed when it vanishes with CEN held low and comes back after another entry.
fn prove(
    lines: &mut Lines<'_>,
    order: &Order,
    whole: bool,
    seen: &mut Measured,
    watch: &mut dyn Watch,
) -> Result<(), DeviceError> {
    let Some(id) = seen.id else { return Ok(()) };
    if whole {
        agree(lines, order, id, MORE_READS, seen)?;
        if seen.id.is_none() {
            return Ok(());
        }
    }
    lines.hold(Line::Cen, Hold::Low)?;
    wait(lines.clock, Duration::from_millis(10), watch)?;
    seen.stays_in_reset = lines.id(order)? == id;
    let patience = if whole { PATIENT } else { SEARCHING };
    for _ in 0..RETURNS {
        seen.id = None;
        enter(lines, order, patience, false, seen, watch)?;
        if seen.id.is_some() {
            break;
        }
    }
    seen.settled =
        !seen.stays_in_reset && seen.id == Some(id) && *order == Order::STRAIGHT && seen.flickering().is_empty();
    Ok(())
}

/// Every other order, until the chip takes the D2 in one.
fn search(lines: &mut Lines<'_>, seen: &mut Measured, watch: &mut dyn Watch) -> Result<(), DeviceError> {
    for order in Order::others() {
        watch.checkpoint()?;
        seen.searched += 1;
        let mut found = Measured::default();
        enter(lines, &order, SEARCHING, false, &mut found, watch)?;
        if found.id.is_some() {
            prove(lines, &order, false, &mut found, watch)?;
        }
        if found.id.is_some() && !found.stays_in_reset {
            seen.id = found.id;
            seen.order = Some(order);
            seen.agreed = found.agreed;
            return Ok(());
        }
    }
    Ok(())
}

impl Measured {
    fn note_id(&mut self, id: [u8; 3]) {
        if self.ids.last() != Some(&id) {
            self.ids.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_took_the_knock_when_the_echo_ends_in_zeros() {
        assert_eq!(hear(&[0xD2, 0, 0, 0]), Heard::Taken);
        assert_eq!(hear(&[0xFF, 0xFF, 0x52, 0xD2, 0]), Heard::Taken);
        assert_eq!(hear(&[0xD2; 8]), Heard::Copied);
        assert_eq!(hear(&[0; 8]), Heard::Nothing);
        assert_eq!(hear(&[0xFF; 8]), Heard::Nothing);
        assert_eq!(hear(&[]), Heard::Nothing);
    }
}
