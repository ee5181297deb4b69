//! `doctor`: what is missing on this computer before a wire can be used.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, Failure};
use crate::link::host::Host;
use crate::link::host::doctor::{self, Check, Diagnosis, State, Surroundings, Terminal, Wanted};
use crate::link::{LinkSpec, WireKind};
use crate::problem::{Class, Explain, Problem};

/// `doctor`: looks at this computer, or at copies of another one's files. Ends well only when at least one wire is
/// ready.
pub(super) fn doctor(context: &Context, root: Option<&Path>) -> Result<(), Failure> {
    let host = match root {
        None => Host::here(),
        Some(folder) => super::host::copied(folder)?,
    };
    let link = super::link_text(&context.args, &context.settings);
    let link = link.map(|text| LinkSpec::parse(&text)).transpose().map_err(|error| error.explain())?;
    let wanted = Wanted::of(link.as_ref(), context.settings.cen);
    let around = Surroundings { terminal: terminal(), disk: disk(context), wanted };
    let found = doctor::examine(&host, &around);
    let document = document(&found);
    if found.ready_for_one() {
        context.out.result(document, || text(&found));
        return Ok(());
    }
    if !context.out.json {
        context.out.result(Value::Null, || text(&found));
    }
    // SPI is for boards with a header; on any other computer a serial adapter is nearer.
    let nearest = if found.board.pi.is_some() { WireKind::Spi } else { WireKind::Uart };
    let faults = || found.checks.iter().filter(|check| check.needed && check.state == State::Fail);
    // An adapter that is plugged in is nearer than one that is not.
    let adapter = found.checks.iter().find(|check| check.id == "spi.adapter" && check.state == State::Fail);
    let adapter = adapter.filter(|_| found.board.pi.is_none());
    let first = adapter.or_else(|| faults().find(|check| check.wire == Some(nearest))).or_else(|| faults().next());
    let problem = Problem::new(
        Class::Host,
        "E758",
        "this computer is ready neither for SPI nor for UART",
        first.map_or_else(
            || "what a wire needs could not be checked".to_owned(),
            |check| format!("{}: {}", check.title, check.found),
        ),
        first.and_then(|check| check.remedy.clone()).unwrap_or_else(|| "plug in a USB serial adapter".to_owned()),
    );
    Err(Failure { problem, aside: Some(Box::new(document)) })
}

fn document(found: &Diagnosis) -> Value {
    json!({
        "ready": {"spi": found.ready(WireKind::Spi), "uart": found.ready(WireKind::Uart)},
        "board": &found.board,
        "checks": &found.checks,
    })
}

fn text(found: &Diagnosis) -> String {
    let mut lines = Vec::new();
    for (title, wire) in [("This computer", None), ("SPI", Some(WireKind::Spi)), ("UART", Some(WireKind::Uart))] {
        let state = match wire {
            None => "",
            Some(wire) if found.only_by_adapter(wire) => ": ready, through an adapter",
            Some(wire) if found.ready(wire) => ": ready",
            Some(_) => ": NOT ready",
        };
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("{title}{state}"));
        found.checks.iter().filter(|check| check.wire == wire).for_each(|check| lines.extend(check_lines(check)));
    }
    lines.join("\n")
}

fn check_lines(check: &Check) -> impl Iterator<Item = String> {
    let line = format!("  {:<11}  {}: {}", check.state.word(), check.title, check.found);
    let remedy = check.remedy.iter().map(|remedy| format!("               → {remedy}"));
    std::iter::once(line).chain(remedy.collect::<Vec<_>>())
}

fn terminal() -> Terminal {
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let on_terminal = std::io::stdout().is_terminal();
    Terminal {
        size: on_terminal.then(crossterm::terminal::size).and_then(Result::ok),
        term: var("TERM"),
        colour: var("COLORTERM"),
        no_colour: var("NO_COLOR").is_some(),
        locale: var("LC_ALL").or_else(|| var("LC_CTYPE")).or_else(|| var("LANG")),
    }
}

/// The folder that backups go to, and the bytes free there.
fn disk(context: &Context) -> Option<(PathBuf, u64)> {
    let folder = context.settings.backups_folder().ok()?;
    // It is made with the first backup; until then the disk of its nearest folder counts.
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let free = free_bytes(there)?;
    Some((folder, free))
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}
