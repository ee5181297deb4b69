//! The measured side of the Wiring tab: starting a check, and what it found.

use crate::chip::WireRow;
use crate::device::Level;
use crate::device::wiring::Finding;
use crate::job::{ConnectSpec, JobSpec, WiringReport, WiringRow, WiringSpec, link_over};
use crate::link::{LinkSpec, WireKind};
use crate::problem::Explain;
use crate::session::{Event, JobId, What};
use crate::tui::effect::{Act, Effect};
use crate::tui::glyph;
use crate::tui::overlay::{Choose, ProblemBox};
use crate::tui::shared::{Shared, Step, usual};
use crate::tui::theme::Role;
use crate::tui::widgets::big;
use crate::tui::widgets::sheet::{Sheet, cut};
use crate::units::clock_text;

/// What was measured last on this module and wire.
pub(super) fn report(cx: &Shared) -> Option<&WiringReport> {
    cx.session.wiring.as_deref().filter(|report| report.module == cx.module && report.wire == cx.wire)
}

/// The check that runs.
pub(super) fn running(cx: &Shared) -> Option<JobId> {
    cx.session.job.as_ref().filter(|job| job.title == CHECK).map(|job| job.id)
}

/// The job's title, by which it is known while it runs.
const CHECK: &str = "check wires";

/// Starts a check, or stops the one that runs. Without a link to measure over, asks for one.
pub(super) fn start(cx: &Shared, live: bool) -> Act {
    if let Some(id) = running(cx) {
        return Act::Effect(Effect::Cancel(id));
    }
    match cx.link().filter(|link| link_over(link.clone(), cx.wire).is_ok()) {
        Some(link) => over(&link.to_string(), cx, live),
        None => choose(cx, live),
    }
}

/// Whether a link could lead to these wires.
fn fits(link: &str, wire: WireKind) -> bool {
    LinkSpec::parse(link).is_ok_and(|link| link_over(link, wire).is_ok())
}

fn choose(cx: &Shared, live: bool) -> Act {
    let links: Vec<String> = cx
        .links
        .iter()
        .flatten()
        .filter(|endpoint| fits(&endpoint.link, cx.wire))
        .map(|endpoint| endpoint.link.clone())
        .collect();
    if links.is_empty() {
        return Act::Say("no link was found to measure over: t on the Connect tab types one".to_owned());
    }
    let jobs: Vec<Result<JobSpec, String>> = links.iter().map(|link| job(link, cx, live)).collect();
    Act::Open(Box::new(Choose::new("Measure over", links, 0, move |index| match jobs.get(index) {
        Some(Ok(job)) => Act::start(job.clone()),
        Some(Err(why)) => Act::Say(why.clone()),
        None => Act::Close,
    })))
}

fn over(link: &str, cx: &Shared, live: bool) -> Act {
    match job(link, cx, live) {
        Ok(JobSpec::Wiring(spec)) => match spec.module() {
            Ok(_) => Act::start(JobSpec::Wiring(spec)),
            Err(error) => Act::Open(Box::new(ProblemBox::new(CHECK, error.explain()))),
        },
        Ok(other) => Act::start(other),
        Err(why) => Act::Say(why),
    }
}

fn job(link: &str, cx: &Shared, live: bool) -> Result<JobSpec, String> {
    let link = ConnectSpec::new(link, None, &usual(&cx.settings)).map_err(|error| error.to_string())?.link;
    let link = link_over(link, cx.wire).map_err(|error| error.to_string())?;
    // Wires that nothing can be measured on one by one are tried without the module.
    let loop_back = live && cx.wire == WireKind::Uart;
    let live = live && !loop_back;
    Ok(JobSpec::Wiring(WiringSpec { link, module: cx.module.to_owned(), wire: cx.wire, live, loop_back }))
}

/// What follows from a look: the bell when a live check turns good, and the step of the journey.
pub(super) fn heard(event: &Event, good: &mut bool) -> Vec<Act> {
    match &event.what {
        What::Wiring(report) => {
            let turned = report.all_good() && !*good;
            *good = report.all_good();
            let bell = (turned && report.stability.is_some()).then_some(Act::Effect(Effect::Bell));
            bell.into_iter().chain([Act::Journey(Step::Wired, report.usable)]).collect()
        }
        What::Started { title, .. } if *title == CHECK => {
            *good = false;
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// A wire with what was measured on it.
pub(super) fn row(sheet: &mut Sheet<'_>, role: Role, wire: &WireRow, width: usize, report: &WiringReport) {
    sheet.put(role, if role == Role::Selected { glyph::HERE } else { " " }).put(Role::Text, " ");
    let Some(found) = report.rows.iter().find(|found| found.signal == wire.signal) else {
        sheet.line(Role::Dim, format!("· {}", wire.signal));
        return;
    };
    let (symbol, colour) = mark(found);
    sheet.put(colour, symbol).put(role, format!(" {:<4}  {:<width$}  ", wire.signal, place(wire)));
    let room = sheet.width().saturating_sub(sheet.column());
    sheet.line(colour, cut(&found.measured, room));
}

/// The host's end of a wire, as short as it goes: `pin 15`, `D2`.
pub(super) fn place(wire: &WireRow) -> String {
    wire.pin.map_or_else(|| wire.host.clone(), |pin| format!("pin {pin}"))
}

/// Symbol and role of what was found on a wire.
const fn mark(row: &WiringRow) -> (&'static str, Role) {
    match row.finding {
        Finding::Pass => glyph::verdict(row.verdict),
        Finding::Fail => (glyph::FAILED, Role::Danger),
        Finding::Unsure => ("?", Role::Warn),
        Finding::NotMeasurable => ("·", Role::Dim),
    }
}

/// How a check stands, behind the title of the table: `live 98 % of 60 s`.
pub(super) fn state(sheet: &mut Sheet<'_>, report: Option<&WiringReport>, cx: &Shared) {
    let stability = report.and_then(|report| report.stability);
    match (running(cx), stability) {
        (Some(_), Some(figure)) => {
            let role = if figure.good == figure.looks { Role::Ok } else { Role::Warn };
            sheet.put(Role::Strong, "   live ").put(role, format!("{} %/{} s", figure.percent(), figure.seconds));
        }
        (Some(_), None) => {
            sheet.put(Role::Strong, "   measuring …");
        }
        (None, Some(figure)) => {
            sheet.put(Role::Dim, format!("   was {} %", figure.percent()));
        }
        (None, None) => {}
    }
}

/// What a person has to do with their hands while a check runs.
pub(super) fn asked(sheet: &mut Sheet<'_>, cx: &Shared) {
    let asked = cx.session.log.back().filter(|line| running(cx).is_some() && line.level == Level::Ask);
    if let Some(line) = asked {
        sheet.paragraph(Role::Strong, 0, &line.text);
    }
}

/// The result under the table: the big word, or the first suspect in a sentence.
pub(super) fn verdict(sheet: &mut Sheet<'_>, report: &WiringReport) {
    if report.usable && !report.all_good() {
        sheet.line(Role::Warn, "The chip answers, and one of its wires is not right.");
    }
    if report.all_good() {
        if sheet.rows_left() >= big::ROWS && sheet.width() >= big::width(ALL_GOOD) {
            big::word(sheet, Role::Ok, ALL_GOOD);
        } else {
            sheet.line(Role::Ok, "✔ ALL GOOD");
        }
        if report.loop_back {
            sheet.paragraph(
                Role::Text,
                0,
                "Adapter and both wires give back what is sent: look at the module's end next.",
            );
        }
        if let Some(id) = &report.id {
            sheet.put(Role::Text, format!("id {id}"));
            if report.rows.iter().any(|row| row.signal == "CEN" && row.finding != Finding::Pass) {
                sheet.put(Role::Dim, "   CEN not measured");
            }
            if let Some(pace) = report.pace {
                sheet.put(Role::Dim, format!("   reads right up to {}", clock_text(pace.works)));
            }
            sheet.end();
        }
    }
    match report.remark() {
        Some(suspect) => {
            let (role, first) = if report.usable { (Role::Text, "") } else { (Role::Warn, "First suspect: ") };
            sheet.paragraph(role, 0, format!("{first}{}", suspect.sentence)).paragraph(Role::Text, 0, &suspect.remedy);
        }
        None if !report.usable => {
            sheet.paragraph(
                Role::Warn,
                0,
                "No wire is under suspicion, and the chip does not come back: check again (c).",
            );
        }
        None => {}
    }
    if report.simulated {
        sheet.line(Role::Dim, "a simulated module: says nothing about a real harness");
    }
}

const ALL_GOOD: &str = "ALL GOOD";
