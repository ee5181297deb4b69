//! What is not about one wire: board, supply, disk, terminal.

use super::{Check, Surroundings, Terminal};
use crate::link::host::Host;
use crate::link::host::board::Board;
use crate::link::supply::Supply;
use crate::units::size_text;

/// Enough for many backups of a module, in bytes.
const DISK_GOOD: u64 = 64 * 1024 * 1024;
/// One backup of the largest module, twice, with its manifest, in bytes.
const DISK_LEAST: u64 = 10 * 1024 * 1024;
/// The size every screen is made for.
const HOME: (u16, u16) = (80, 24);

pub(super) fn checks(host: &Host, board: &Board, around: &Surroundings) -> Vec<Check> {
    vec![
        computer(board),
        supply(host, board),
        disk(around),
        size(&around.terminal),
        colour(&around.terminal),
        utf8(&around.terminal),
    ]
}

fn computer(board: &Board) -> Check {
    let check = Check::new("board", "computer", None);
    match board.model {
        Some(_) => check.pass(board.words()),
        None => check.not_checked(board.words()),
    }
}

fn supply(host: &Host, board: &Board) -> Check {
    let check = Check::new("supply", "supply of the Pi", None);
    let remedy = "use the Pi's own supply and a short thick cable; give the module a 3.3 V regulator of its own";
    match Supply::of(host).map(|supply| supply.sample()) {
        None if board.pi.is_some() => check.not_checked("the kernel does not tell"),
        None => check.not_checked("only a Raspberry Pi measures its supply"),
        Some(flags) if flags.low_now => check.fail("too low right now", remedy),
        Some(flags) if flags.low_before => check.unsure("was too low since the Pi started", remedy),
        Some(_) => check.pass("no under-voltage"),
    }
}

fn disk(around: &Surroundings) -> Check {
    let check = Check::new("disk", "disk space", None);
    let Some((folder, free)) = &around.disk else { return check.not_checked("the system does not tell") };
    let found = format!("{} free in {}", room(*free), folder.display());
    let remedy = "make room, or let BKBENCH_DATA_DIR name a folder on another disk";
    match *free {
        DISK_GOOD.. => check.pass(found),
        DISK_LEAST.. => check.unsure(found, remedy),
        _ => check.fail(found, remedy),
    }
}

/// A disk's size as people say it.
fn room(bytes: u64) -> String {
    match bytes >> 30 {
        0..10 => size_text(bytes),
        gibibytes => format!("{gibibytes} GiB"),
    }
}

fn size(terminal: &Terminal) -> Check {
    let check = Check::new("terminal.size", "terminal size", None);
    let Some((columns, rows)) = terminal.size else { return check.not_checked("no terminal: output goes elsewhere") };
    let found = format!("{columns} columns, {rows} rows");
    if columns >= HOME.0 && rows >= HOME.1 {
        check.pass(found)
    } else {
        check.unsure(found, format!("make the window at least {} columns wide and {} rows high", HOME.0, HOME.1))
    }
}

fn colour(terminal: &Terminal) -> Check {
    let check = Check::new("terminal.colour", "terminal colours", None);
    let term = terminal.term.clone().unwrap_or_default();
    let colour = terminal.colour.as_deref().unwrap_or_default();
    if terminal.no_colour {
        return check.pass("switched off by NO_COLOR");
    }
    match term.as_str() {
        "" => check.not_checked("TERM is not set"),
        "dumb" => check.fail("TERM=dumb: no full screen", "export TERM=xterm-256color, if the terminal can do it"),
        _ if matches!(colour, "truecolor" | "24bit") || term.ends_with("-direct") => {
            check.pass(format!("16 million (TERM={term})"))
        }
        _ if term.contains("256color") => check.pass(format!("256 (TERM={term})")),
        _ => check.pass(format!("16 (TERM={term})")),
    }
}

fn utf8(terminal: &Terminal) -> Check {
    let check = Check::new("terminal.utf8", "characters", None);
    let Some(locale) = &terminal.locale else {
        return check.unsure("no locale is set: drawn in plain ASCII", "export LANG=C.UTF-8");
    };
    let small = locale.to_ascii_lowercase();
    if small.contains("utf-8") || small.contains("utf8") {
        check.pass(format!("UTF-8 ({locale})"))
    } else {
        check.unsure(format!("{locale} is not UTF-8: drawn in plain ASCII"), "export LANG=C.UTF-8")
    }
}
