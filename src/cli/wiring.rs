//! `wiring`: which pad goes to which pin of a link, the measured wires, and the first suspect.

use serde_json::{Value, json};

use super::client::Client;
use super::device::unexpected;
use super::{Context, Failure, link_text};
use crate::chip::{self, Module, WireRow};
use crate::device::wiring::Finding;
use crate::job::{JobSpec, Outcome, WiringError, WiringReport, WiringSpec, link_over};
use crate::link::{LinkSpec, Pins, WireKind};
use crate::problem::{Class, Explain, Problem};
use crate::units::{Verdict, clock_text};

/// The module that is meant: the named one, else the simulated one that the link leads to, else any.
fn module_of(name: Option<&str>, link: Option<&LinkSpec>) -> Result<&'static Module, WiringError> {
    let simulated = || link.filter(|link| link.scheme == "sim").and_then(|link| chip::module(&link.target));
    let Some(name) = name else { return Ok(simulated().unwrap_or_else(chip::any_module)) };
    chip::module(name).ok_or_else(|| WiringError::UnknownModule { name: name.to_owned() })
}

/// The wires that are meant: those asked for, else those the link leads over, else the module's favourite.
fn wire_of(asked: Option<WireKind>, link: Option<&LinkSpec>, module: &Module) -> WireKind {
    let of_link = |link: &LinkSpec| (link.scheme != "sim" || link.get("wire").is_some()).then(|| Pins::here(link).wire);
    asked.or_else(|| link.and_then(of_link)).unwrap_or_else(|| module.default_wire())
}

/// `wiring`
pub(super) fn show(context: &Context, name: Option<&str>, asked: Option<WireKind>) -> Result<(), Problem> {
    let link = match link_text(&context.args, &context.settings) {
        Some(_) => Some(context.link()?.link),
        None => None,
    };
    let module = module_of(name, link.as_ref()).map_err(|error| Problem { code: "E104", ..error.explain() })?;
    let wire = wire_of(asked, link.as_ref(), module);
    let of_link = link.and_then(|link| link_over(link, wire).ok());
    let pins = of_link.as_ref().map_or_else(|| Pins::usual(wire, context.settings.cen), Pins::here);
    let rows = chip::wiring(module, &pins);
    let missing = if wire == WireKind::Spi { module.spi_missing_words() } else { Vec::new() };
    let rows_json: Vec<Value> = rows
        .iter()
        .map(|row| json!({"signal": row.signal, "pad": row.pad, "raspberry_pi": row.host, "pin": row.pin, "note": row.note}))
        .collect();
    let document = json!({
        "module": module.name, "chip": module.chip, "wire": wire, "host": pins.host,
        "link": of_link.as_ref().map(ToString::to_string), "rows": rows_json, "missing": missing, "notes": module.notes,
        "source": module.source, "confidence": module.confidence, "datasheet": module.datasheet,
    });
    context.out.result(document, || table(module, &pins, of_link.as_ref(), &rows, &missing));
    Ok(())
}

fn table(module: &Module, pins: &Pins, link: Option<&LinkSpec>, rows: &[WireRow], missing: &[String]) -> String {
    let widest = rows.iter().map(|row| row.pad.len()).max().unwrap_or(0);
    let over = link.map(|link| format!(", pins of {link}")).unwrap_or_default();
    let title = if module.is_any() { "Any module".to_owned() } else { format!("{} ({})", module.name, module.chip) };
    let mut lines = vec![
        format!("{title} over {}{over}", pins.wire),
        "Unplug the plug from the mains first. Everything is 3.3 V, never 5 V.".to_owned(),
        String::new(),
        format!("  {:<6}  {:<widest$}  {}", "signal", "module pad", pins.host),
    ];
    lines.extend(rows.iter().map(|row| format!("  {:<6}  {:<widest$}  {}", row.signal, row.pad, row.host)));
    if module.is_any() {
        lines.push(String::new());
        lines.push("Where these pads usually are:".to_owned());
        lines.extend(rows.iter().map(|row| format!("  {:<6}  {}", row.signal, row.note)));
    }
    if !missing.is_empty() {
        lines.push(String::new());
        lines.push(format!("This module does not bring out {}: use UART (--wire uart).", missing.join(", ")));
    }
    lines.push(String::new());
    lines.extend(module.notes.iter().map(|note| format!("  note: {note}")));
    lines.push(format!("  source of the pads: {} (confidence {})", module.source, module.confidence));
    lines.extend(module.datasheet.iter().map(|link| format!("  data sheet: {link}")));
    lines.join("\n")
}

/// Measures, prints every wire, and fails with the first suspect where the chip cannot be worked with.
pub(super) fn check(
    context: &Context,
    name: Option<&str>,
    asked: Option<WireKind>,
    loop_back: bool,
) -> Result<(), Failure> {
    let link = context.link()?.link;
    let module = module_of(name, Some(&link)).map_err(|error| error.explain())?;
    // Only a serial link can be looped back.
    let asked = if loop_back { Some(WireKind::Uart) } else { asked };
    let wire = wire_of(asked, Some(&link), module);
    let link = link_over(link, wire).map_err(|error| error.explain())?;
    let spec = WiringSpec { link, module: module.name.clone(), wire, live: false, loop_back };
    let mut client = Client::new(context.out, context.server())?;
    let report = match client.run(JobSpec::Wiring(spec))? {
        Outcome::Wired(report) => report,
        other => return Err(unexpected("check wires", &other).into()),
    };
    let document = json!(&*report);
    if report.usable {
        context.out.result(document, || measured(&report));
        return Ok(());
    }
    if !context.out.json {
        context.out.result(document.clone(), || measured(&report));
    }
    let aside = Some(Box::new(document));
    let problem = match &report.suspect {
        Some(suspect) => Problem::new(
            Class::NoDevice,
            "E750",
            format!("the chip cannot be worked with over these wires; first suspect ({})", suspect.verdict),
            &suspect.sentence,
            &suspect.remedy,
        ),
        None => Problem::new(
            Class::NoDevice,
            "E751",
            "the chip cannot be worked with, and no wire is under suspicion",
            "the id did not come back after a second reset",
            "check again; if it stays, take the supply off the module for ten seconds",
        ),
    };
    Err(Failure { problem, aside })
}

fn title(report: &WiringReport) -> &str {
    if report.module == chip::ANY { "a module of any kind" } else { &report.module }
}

/// A mark with the word behind it, so that neither colour nor font is needed.
fn mark(finding: Finding, verdict: Verdict) -> String {
    match finding {
        Finding::Pass => format!("ok ({verdict})"),
        Finding::Fail => format!("BAD ({verdict})"),
        Finding::Unsure => "unsure".to_owned(),
        Finding::NotMeasurable => "not measurable".to_owned(),
    }
}

fn measured(report: &WiringReport) -> String {
    let mut lines = vec![format!("{} over {}, measured over {}", title(report), report.wire, report.link)];
    if report.simulated {
        lines.push("a simulated module: says nothing about a real harness".to_owned());
    }
    lines.push(String::new());
    let widest = report.rows.iter().map(|row| row.host.len()).max().unwrap_or(0);
    for row in &report.rows {
        let state = mark(row.finding, row.verdict);
        lines.push(format!("  {:<4} {:<widest$}  {state:<14}  {}", row.signal, row.host, row.measured));
    }
    lines.push(String::new());
    if report.usable {
        let unmeasured = report.rows.iter().any(|row| row.finding == Finding::NotMeasurable);
        let good = if unmeasured { "All that could be measured is good" } else { "All good" };
        lines.push(match &report.id {
            _ if !report.all_good() => "The chip answers, and one of its wires is not right:".to_owned(),
            Some(id) => format!("{good}: id {id} is steady, {}.", report.cen_words()),
            None if report.loop_back => {
                "Adapter and both wires give back what is sent. What is still wrong is at the module.".to_owned()
            }
            None => format!("{good}: the module answers."),
        });
        if let Some(pace) = report.pace {
            let plenty = if report.plenty() { ", which is plenty" } else { "" };
            lines.push(format!("The wires carry {}{plenty}.", clock_text(pace.works)));
        }
        if let Some(remark) = report.remark() {
            lines.push(format!("{} {}", remark.sentence, remark.remedy));
        }
    }
    lines.push("measured".to_owned());
    lines.extend(report.evidence.iter().map(|line| format!("  {line}")));
    lines.join("\n")
}
