//! After a failure: what the chip holds now, in one sentence, and the one next step.

use serde::Serialize;

use super::policy::APPLICATION;
use super::report::KEPT_CHANGED;
use super::spec::SectorState;
use crate::problem::{Class, Problem};
use crate::units::{SECTOR, Span};

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

    fn words(self) -> String {
        if !self.touched() {
            return "no sector was changed".to_owned();
        }
        let Self { new, old, erased, unknown } = self;
        format!("{new} sectors hold the new content, {old} the old, {erased} are erased, {unknown} are unknown")
    }
}

/// The advice for a write that ended with `problem` and left the sectors of its plan as `left` says. `recorded` tells
/// whether a journal of it is kept, `backup` where the chip's proven backup lies.
pub fn after_failure(left: &[(Span, SectorState)], problem: &Problem, recorded: bool, backup: Option<&str>) -> Advice {
    let holds = Holds::count(left);
    let restore = backup.map_or_else(
        || "write a whole image for this chip over SPI".to_owned(),
        |path| format!("put the backup back: `bkbench restore {path}`"),
    );
    let resume = if recorded { "`bkbench resume`" } else { "the same command again" };
    let boot_loader_open = left.iter().any(|(span, state)| {
        span.start < APPLICATION && !matches!(state, SectorState::Kept | SectorState::Waiting | SectorState::Verified)
    });
    let powered = if boot_loader_open {
        "leave the module powered, its boot loader is not whole and only SPI reaches it after a restart; then "
    } else {
        ""
    };
    let next = if !holds.touched() {
        format!("{}; then give the same command again", problem.remedy)
    } else if problem.code == KEPT_CHANGED {
        restore
    } else {
        match problem.class {
            Class::Cancelled => format!("{powered}go on with {resume}, or {restore}"),
            Class::NoDevice => format!("{powered}connect again ({}), then {resume}", problem.remedy),
            Class::Verification => format!("{powered}{}; then {resume}", problem.remedy),
            Class::Host | Class::Usage => format!("{powered}{}; then {resume}", problem.remedy),
            Class::Refused | Class::Internal => format!("{powered}connect again, then {resume}"),
        }
    };
    Advice { holds, state: holds.words(), next }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(class: Class, code: &'static str) -> Problem {
        Problem::new(class, code, "it failed", "a cause", "check the wires")
    }

    fn left(states: &[(u32, SectorState)]) -> Vec<(Span, SectorState)> {
        states.iter().map(|(at, state)| (Span::new(*at, SECTOR), *state)).collect()
    }

    #[test]
    fn where_nothing_was_changed_nothing_has_to_be_finished() {
        let left = left(&[(0x2_0000, SectorState::Waiting)]);
        let advice = after_failure(&left, &problem(Class::NoDevice, "E314"), true, None);
        assert_eq!(advice.state, "no sector was changed");
        assert_eq!(advice.next, "check the wires; then give the same command again");
    }

    #[test]
    fn a_write_that_was_cut_off_is_resumed() {
        let left = left(&[(0x2_0000, SectorState::Verified), (0x2_1000, SectorState::Unknown)]);
        let advice = after_failure(&left, &problem(Class::NoDevice, "E314"), true, Some("b.bin"));
        assert!(advice.state.contains("1 sectors hold the new content"));
        assert!(advice.next.contains("bkbench resume") && !advice.next.contains("powered"), "{}", advice.next);
    }

    #[test]
    fn an_open_boot_loader_asks_for_power() {
        let left = left(&[(0x1000, SectorState::Erased)]);
        let advice = after_failure(&left, &problem(Class::Cancelled, "E501"), true, Some("b.bin"));
        assert!(advice.next.contains("leave the module powered"), "{}", advice.next);
        assert!(advice.next.contains("bkbench restore b.bin"), "{}", advice.next);
    }

    #[test]
    fn damage_outside_the_plan_is_put_back_from_the_backup() {
        let left = left(&[(0x2_0000, SectorState::Verified)]);
        let advice = after_failure(&left, &problem(Class::Verification, KEPT_CHANGED), true, Some("b.bin"));
        assert_eq!(advice.next, "put the backup back: `bkbench restore b.bin`");
    }
}
