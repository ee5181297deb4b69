//! The doctor: what is missing on this computer before a wire can be used, each with one remedy to copy.

mod adapter;
mod common;
mod spi;
mod uart;

use std::path::PathBuf;

use serde::Serialize;

use super::Host;
use super::board::Board;
use super::system::System;
use crate::link::contract::WireKind;
use crate::link::gpio::bcm_number;
use crate::link::spec::LinkSpec;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All is well.
    Pass,
    /// It stands in the way.
    Fail,
    /// It may stand in the way.
    Unsure,
    /// Nothing could be found out.
    NotChecked,
}

impl State {
    /// The word for people; the same as the serialised form but for the blank.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsure => "unsure",
            Self::NotChecked => "not checked",
        }
    }
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its lasting name: `spi.bufsiz`.
    pub id: &'static str,
    /// The wire it is about; `None` when it is about all.
    pub wire: Option<WireKind>,
    /// Whether the wire cannot be used unless this passes.
    pub needed: bool,
    /// What was looked at, for people.
    pub title: &'static str,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it: a command to copy where there is one.
    pub remedy: Option<String>,
}

/// What the files of a computer do not tell.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The terminal.
    pub terminal: Terminal,
    /// Where backups go, and the bytes free there; `None` when the system does not say.
    pub disk: Option<(PathBuf, u64)>,
    /// What is to be worked with.
    pub wanted: Wanted,
}

/// The bus and the CEN line in question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Bus and chip select of the link; `None` for the first that is here.
    pub bus: Option<(u32, u8)>,
    /// The GPIO line (BCM number) that CEN is wired to; `None` when the link works none, or names one that is no number
    /// of a header.
    pub cen: Option<u8>,
}

impl Wanted {
    /// What a link means; `usual` is the line of the settings, which counts where the link names none.
    pub fn of(link: Option<&LinkSpec>, usual: u8) -> Self {
        let Some(spec) = link.filter(|link| link.scheme == "spi") else { return Self { bus: None, cen: Some(usual) } };
        let bus = spec.target.split_once('.').and_then(|(bus, select)| Some((bus.parse().ok()?, select.parse().ok()?)));
        let cen = match spec.get("cen") {
            None => Some(usual),
            Some(line) => bcm_number(line),
        };
        Self { bus, cen }
    }
}

/// The terminal the program runs in.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    /// Columns and rows; `None` when standard output is no terminal.
    pub size: Option<(u16, u16)>,
    /// `TERM`.
    pub term: Option<String>,
    /// `COLORTERM`.
    pub colour: Option<String>,
    /// `NO_COLOR` is set.
    pub no_colour: bool,
    /// The locale in force: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set.
    pub locale: Option<String>,
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The computer.
    pub board: Board,
    /// The checks, in the order they are shown.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether nothing that the wire needs is known to be missing, or an adapter stands ready for it.
    pub fn ready(&self, wire: WireKind) -> bool {
        self.ready_by_itself(wire) || self.adapter_ready(wire)
    }

    /// Whether an adapter brings the wire that the computer does not have by itself.
    pub fn only_by_adapter(&self, wire: WireKind) -> bool {
        !self.ready_by_itself(wire) && self.adapter_ready(wire)
    }

    fn adapter_ready(&self, wire: WireKind) -> bool {
        let adapters = |check: &&Check| check.id == adapter::ID && check.wire == Some(wire);
        self.checks.iter().filter(adapters).any(|check| check.state == State::Pass)
    }

    fn ready_by_itself(&self, wire: WireKind) -> bool {
        let needed = |check: &&Check| check.needed && check.wire == Some(wire);
        self.checks.iter().filter(needed).all(|check| matches!(check.state, State::Pass | State::Unsure))
    }

    /// Whether at least one wire is ready.
    pub fn ready_for_one(&self) -> bool {
        self.ready(WireKind::Spi) || self.ready(WireKind::Uart)
    }
}

/// Looks at a computer. Opens no port and no bus.
pub fn examine(host: &Host, around: &Surroundings) -> Diagnosis {
    let (board, system) = (Board::of(host), System::of(host));
    let mut checks = common::checks(host, &board, around);
    checks.extend(spi::checks(host, &board, &around.wanted));
    checks.extend(adapter::checks(host, &system));
    checks.extend(uart::checks(host, &board, &system));
    Diagnosis { board, checks }
}

impl Check {
    fn new(id: &'static str, title: &'static str, wire: Option<WireKind>) -> Self {
        Self { id, wire, needed: false, title, state: State::NotChecked, found: String::new(), remedy: None }
    }

    fn spi(id: &'static str, title: &'static str) -> Self {
        Self::new(id, title, Some(WireKind::Spi))
    }

    fn uart(id: &'static str, title: &'static str) -> Self {
        Self::new(id, title, Some(WireKind::Uart))
    }

    /// The wire cannot be used without it.
    fn needed(self) -> Self {
        Self { needed: true, ..self }
    }

    fn pass(self, found: impl Into<String>) -> Self {
        Self { state: State::Pass, found: found.into(), ..self }
    }

    fn fail(self, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Fail, found: found.into(), remedy: Some(remedy.into()), ..self }
    }

    fn unsure(self, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Unsure, found: found.into(), remedy: Some(remedy.into()), ..self }
    }

    fn not_checked(self, found: impl Into<String>) -> Self {
        Self { state: State::NotChecked, found: found.into(), ..self }
    }
}
