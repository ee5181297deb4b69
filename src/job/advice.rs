//! After a failure: what the chip holds now, in one sentence, and the one next step. The sentence is true over the link in
//! use, and what a person must not do stands first in it.

use serde::Serialize;

use super::policy::APPLICATION;
use super::refusal::Refusal;
use super::report::{KEPT_CHANGED, OUT_OF_REACH};
use super::spec::SectorState;
use crate::link::WireKind;
use crate::problem::{Class, Problem};
use crate::units::{SECTOR, Span};

/// Codes of the failures in which a damaged request has hit the boot loader, RF calibration or MAC, out of reach of the link.
const HIT: [&str; 2] = [OUT_OF_REACH, Refusal::HIT_GUARDED];
/// What to do then. SPI mode is entered through a reset, so the wires come first.
pub(super) const LOADER_HIT: &str = "keep the module powered and do not reset it, it may not start again: solder the SPI wires \
                                     first, then connect over SPI and restore the backup";

/// What to know and to do after a write that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// How many sectors hold what.
    pub holds: Holds,
    /// The same in words.
    pub state: String,
    /// The one next step.
    pub next: String,
}

/// Sectors of the plan by what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holds {
    /// The new content, read back.
    pub new: u32,
    /// The old content.
    pub old: u32,
    /// Nothing: erased.
    pub erased: u32,
    /// Nobody knows: programmed and not read back, or torn.
    pub unknown: u32,
}

/// Who reads the advice, and so how the next step is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader<'a> {
    /// Somebody at a command line; with the path of the chip's proven backup.
    CommandLine(Option<&'a str>),
    /// Somebody at the workbench; whether there is a proven backup of the chip.
    Workbench(bool),
}

impl Reader<'_> {
    fn resume(self) -> &'static str {
        match self {
            Self::CommandLine(_) => "`bkbench resume`",
            Self::Workbench(_) => "p, which plans what is missing",
        }
    }

    fn again(self) -> &'static str {
        match self {
            Self::CommandLine(_) => "give the same command again",
            Self::Workbench(_) => "make the plan again: p",
        }
    }

    fn restore(self) -> String {
        match self {
            Self::CommandLine(Some(path)) => format!("put the backup back: `bkbench restore {path}`"),
            Self::Workbench(true) => "put the backup back: R".to_owned(),
            Self::CommandLine(None) | Self::Workbench(false) => "write a whole image for this chip over SPI".to_owned(),
        }
    }
}

impl Holds {
    fn count(left: &[(Span, SectorState)]) -> Self {
        let mut holds = Self::default();
        for (span, state) in left {
            let place = match state {
                SectorState::Kept => continue,
                SectorState::Verified => &mut holds.new,
                SectorState::Waiting => &mut holds.old,
                SectorState::Erased => &mut holds.erased,
                SectorState::Written | SectorState::Unknown => &mut holds.unknown,
            };
            *place += span.len / SECTOR;
        }
        holds
    }

    const fn touched(self) -> bool {
        self.new + self.erased + self.unknown > 0
    }

    /// `1 sector new, 221 old, 2 unknown`.
    fn words(self) -> String {
        if !self.touched() {
            return "no sector was changed".to_owned();
        }
        let Self { new, old, erased, unknown } = self;
        let counts = [(new, "new"), (old, "old"), (erased, "erased"), (unknown, "unknown")];
        let mut noun = true;
        let words = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| {
            let sectors = if std::mem::take(&mut noun) { if count == 1 { " sector" } else { " sectors" } } else { "" };
            format!("{count}{sectors} {what}")
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The advice for a write over `wire` that ended with `problem` and left the sectors of its plan as `left` says.
pub fn after_failure(left: &[(Span, SectorState)], problem: &Problem, wire: WireKind, reader: Reader<'_>) -> Advice {
    let holds = Holds::count(left);
    Advice { holds, state: holds.words(), next: next(left, holds, problem, wire, reader) }
}

fn next(left: &[(Span, SectorState)], holds: Holds, problem: &Problem, wire: WireKind, reader: Reader<'_>) -> String {
    if HIT.contains(&problem.code) {
        return LOADER_HIT.to_owned();
    }
    if !holds.touched() {
        return match problem.class {
            Class::Cancelled => reader.again().to_owned(),
            _ => format!("{}; then {}", problem.remedy, reader.again()),
        };
    }
    if problem.code == KEPT_CHANGED {
        return reader.restore();
    }
    let resume = reader.resume();
    let step = match problem.class {
        Class::Cancelled => format!("go on with {resume}, or {}", reader.restore()),
        Class::Verification | Class::Host | Class::Usage => format!("{}; then {resume}", problem.remedy),
        // Their remedies say how to begin; what has begun already is gone on with.
        Class::NoDevice | Class::Refused | Class::Internal => format!("connect again, then {resume}"),
    };
    if loader_is_open(left) { format!("{}; {step}", keep(wire)) } else { step }
}

/// Whether the boot loader is not whole.
fn loader_is_open(left: &[(Span, SectorState)]) -> bool {
    let whole = |state: &SectorState| matches!(state, SectorState::Kept | SectorState::Waiting | SectorState::Verified);
    left.iter().any(|(span, state)| span.start < APPLICATION && !whole(state))
}

/// What must not be done while the boot loader is not whole. Over UART only a chip with a ROM lets it be written.
const fn keep(wire: WireKind) -> &'static str {
    match wire {
        WireKind::Spi => {
            "keep the module powered and do not take its SPI wires off, its boot loader is incomplete and only SPI reaches \
             it now"
        }
        WireKind::Uart => {
            "keep the module powered and do not take its UART wires off, its boot loader is incomplete and it starts no \
             firmware; its ROM still answers here"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Reader<'_> = Reader::CommandLine(Some("b.bin"));

    fn problem(class: Class, code: &'static str) -> Problem {
        Problem::new(class, code, "it failed", "a cause", "check the wires and connect again")
    }

    fn left(states: &[(u32, SectorState)]) -> Vec<(Span, SectorState)> {
        states.iter().map(|(at, state)| (Span::new(*at, SECTOR), *state)).collect()
    }

    fn advice(states: &[(u32, SectorState)], class: Class, wire: WireKind, reader: Reader<'_>) -> Advice {
        after_failure(&left(states), &problem(class, "E999"), wire, reader)
    }

    #[test]
    fn where_nothing_was_changed_nothing_has_to_be_finished() {
        let waiting = [(0x2_0000, SectorState::Waiting)];
        let lost = advice(&waiting, Class::NoDevice, WireKind::Uart, SHELL);
        assert_eq!(lost.state, "no sector was changed");
        assert_eq!(lost.next, "check the wires and connect again; then give the same command again");
        let stopped = advice(&waiting, Class::Cancelled, WireKind::Uart, Reader::Workbench(true));
        assert_eq!(stopped.next, "make the plan again: p");
    }

    #[test]
    fn a_write_that_was_cut_off_is_resumed() {
        let states =
            [(0x2_0000, SectorState::Verified), (0x2_1000, SectorState::Unknown), (0x2_2000, SectorState::Unknown)];
        let advice = advice(&states, Class::NoDevice, WireKind::Spi, SHELL);
        assert_eq!(advice.state, "1 sector new, 2 unknown");
        assert_eq!(advice.next, "connect again, then `bkbench resume`");
    }

    #[test]
    fn an_incomplete_boot_loader_is_said_first_and_truly_over_each_link() {
        let torn = [(0x1000, SectorState::Erased), (0x2000, SectorState::Waiting)];
        let classes =
            [Class::Cancelled, Class::NoDevice, Class::Verification, Class::Host, Class::Refused, Class::Internal];
        for class in classes {
            for reader in [SHELL, Reader::CommandLine(None), Reader::Workbench(true), Reader::Workbench(false)] {
                let spi = advice(&torn, class, WireKind::Spi, reader).next;
                assert!(spi.starts_with("keep the module powered") && spi.contains("only SPI reaches it"), "{spi}");
                let uart = advice(&torn, class, WireKind::Uart, reader).next;
                assert!(uart.starts_with("keep the module powered") && uart.contains("ROM still answers"), "{uart}");
                for next in [spi, uart] {
                    assert_eq!(next.contains("bkbench"), !matches!(reader, Reader::Workbench(_)), "{next}");
                    assert_eq!(next.matches("connect again").count(), usize::from(class != Class::Cancelled), "{next}");
                }
            }
        }
    }

    #[test]
    fn a_boot_loader_that_is_whole_again_needs_no_care() {
        let whole = [(0x1000, SectorState::Verified), (0x2_0000, SectorState::Erased)];
        let next = advice(&whole, Class::Cancelled, WireKind::Spi, SHELL).next;
        assert_eq!(next, "go on with `bkbench resume`, or put the backup back: `bkbench restore b.bin`");
    }

    #[test]
    fn what_no_link_reaches_is_not_reset_before_there_are_spi_wires() {
        for code in HIT {
            for states in [left(&[(0x2_0000, SectorState::Waiting)]), left(&[(0x1000, SectorState::Unknown)])] {
                let next = after_failure(&states, &problem(Class::Verification, code), WireKind::Uart, SHELL).next;
                assert_eq!(next, LOADER_HIT);
            }
        }
        let (powered, wires) = (LOADER_HIT.find("do not reset"), LOADER_HIT.find("then connect over SPI"));
        assert!(powered < wires, "SPI is entered through a reset: {LOADER_HIT}");
    }

    #[test]
    fn damage_outside_the_plan_is_put_back_from_the_backup() {
        let states = left(&[(0x2_0000, SectorState::Verified)]);
        let changed = problem(Class::Verification, KEPT_CHANGED);
        let next = |reader| after_failure(&states, &changed, WireKind::Spi, reader).next;
        assert_eq!(next(SHELL), "put the backup back: `bkbench restore b.bin`");
        assert_eq!(next(Reader::Workbench(true)), "put the backup back: R");
    }
}
