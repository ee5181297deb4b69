//! `wiring --check`: the measured wires, and the first suspect.

use serde_json::json;

use super::client::Client;
use super::device::unexpected;
use super::{Context, Failure};
use crate::chip;
use crate::device::wiring::Finding;
use crate::job::{JobSpec, Outcome, WiringReport, WiringSpec};
use crate::link::WireKind;
use crate::problem::{Class, Problem};
use crate::units::{Verdict, clock_text};

/// Measures, prints every wire, and fails with the first suspect where the chip cannot be worked with.
pub(super) fn check(context: &Context, module: &str, wire: Option<WireKind>, loop_back: bool) -> Result<(), Failure> {
    let usual = chip::module(module).map_or(WireKind::Spi, |module| module.default_wire());
    // Only a serial link can be looped back.
    let wire = if loop_back { WireKind::Uart } else { wire.unwrap_or(usual) };
    let spec = WiringSpec { link: context.link()?.link, module: module.to_owned(), wire, live: false, loop_back };
    let mut client = Client::new(context.out, context.server())?;
    let report = match client.run(JobSpec::Wiring(spec))? {
        Outcome::Wired(report) => report,
        other => return Err(unexpected("check wires", &other).into()),
    };
    let document = json!(&*report);
    if report.usable {
        context.out.result(document, || text(&report));
        return Ok(());
    }
    if !context.out.json {
        context.out.result(document.clone(), || text(&report));
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

/// A mark with the word behind it, so that neither colour nor font is needed.
fn mark(finding: Finding, verdict: Verdict) -> String {
    match finding {
        Finding::Pass => format!("ok ({verdict})"),
        Finding::Fail => format!("BAD ({verdict})"),
        Finding::Unsure => "unsure".to_owned(),
        Finding::NotMeasurable => "not measurable".to_owned(),
    }
}

fn text(report: &WiringReport) -> String {
    let mut lines = vec![format!("{} over {}, measured over {}", report.module, report.wire, report.link)];
    if report.simulated {
        lines.push("a simulated module: says nothing about a real harness".to_owned());
    }
    lines.push(String::new());
    let widest = report.rows.iter().map(|row| row.raspberry_pi.len()).max().unwrap_or(0);
    for row in &report.rows {
        let state = mark(row.finding, row.verdict);
        lines.push(format!("  {:<4} {:<widest$}  {state:<14}  {}", row.signal, row.raspberry_pi, row.measured));
    }
    lines.push(String::new());
    if report.usable {
        lines.push(match &report.id {
            Some(id) => format!("All good: id {id} is steady, and it goes away with CEN held low."),
            None if report.loop_back => {
                "All good: adapter and both wires give back what is sent. What is still wrong is at the module."
                    .to_owned()
            }
            None => "All good: the module answers.".to_owned(),
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
