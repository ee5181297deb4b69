//! The end of a write: what was written, what was verified, what was not checked, and where to go from here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::image::Family;
use crate::job::{Advice, Outcome, Reader, SectorState, WriteReport, after_failure};
use crate::problem::Problem;
use crate::session::Ended;
use crate::tui::glyph;
use crate::tui::shared::{Shared, Step};
use crate::tui::theme::Role;
use crate::tui::widgets::gauge::time_text;
use crate::tui::widgets::sector_map;
use crate::tui::widgets::sheet::{Sheet, cut_front};
use crate::units::SECTOR;

/// Column of the values.
const VALUE: u16 = 12;

/// The report as text, for the reader.
pub fn text(ended: &Ended, cx: &Shared) -> Vec<String> {
    match &ended.result {
        Ok(Outcome::Written(report)) => {
            let mut lines = vec![
                format!("{} → {}", report.plan.name, report.plan.span),
                report.plan.summary(),
                format!("hash {}", report.plan.hash),
                String::new(),
                format!("verified: {}", if report.verified { "yes" } else { "no" }),
                format!("kept sectors proven kept: {}", if report.kept_proven { "yes" } else { "no" }),
                format!("protection: {}", report.protection),
                format!("{} retries, {}", report.retries, time_text(report.took)),
                format!("supply: {}", report.supply.map_or_else(|| "not known".to_owned(), |record| record.words())),
                format!("interruptions: {}", report.interruptions.len()),
                format!("SHA-256 of the whole chip {}", report.sha256),
                format!("backup: {}", report.backup),
                String::new(),
                "not checked:".to_owned(),
            ];
            lines.extend(report.not_checked.iter().map(|what| format!("· {what}")));
            let repaired = |at: &u32| format!("repaired: 0x{at:06X}, hit by a damaged request, put back");
            lines.extend(report.repaired.iter().map(repaired));
            if !report.interruptions.is_empty() {
                lines.extend([String::new(), "the link was lost:".to_owned()]);
                lines.extend(report.interruptions.iter().map(|gone| format!("· {}", gone.words())));
            }
            lines
        }
        Ok(_) => vec!["done".to_owned()],
        Err(problem) => {
            let advice = advice(problem, ended, cx);
            let mut lines = vec![problem.to_string(), String::new(), format!("the chip now: {}", advice.state)];
            lines.extend([format!("next: {}", advice.next), String::new(), "where it stopped:".to_owned()]);
            lines.extend(left_lines(ended));
            lines
        }
    }
}

/// What the chip holds after a write that ended early, and the next step.
fn advice(problem: &Problem, ended: &Ended, cx: &Shared) -> Advice {
    after_failure(&ended.left, problem, ended.job.wire, Reader::Workbench(cx.backup.proven().is_some()))
}

fn left_lines(ended: &Ended) -> Vec<String> {
    if ended.left.is_empty() {
        return vec!["no sector was changed".to_owned()];
    }
    let line = |(span, state): &(crate::units::Span, SectorState)| {
        format!("{span}  {:>4} sectors  {}", span.len / SECTOR, state.word())
    };
    ended.left.iter().map(line).collect()
}

/// Draws the end screen.
pub fn draw(ended: &Ended, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    match &ended.result {
        Ok(Outcome::Written(report)) => written(report, &mut sheet, cx),
        Ok(_) => {
            sheet.line(Role::Strong, "The job has ended.");
        }
        Err(problem) => stopped(problem, ended, &mut sheet, cx),
    }
    if sheet.rows_left() >= 6 {
        sheet.end();
        let rest = sheet.rest();
        let theme = sheet.theme();
        sector_map::render(&ended.job.sectors, false, rest, sheet.buffer(), theme);
    }
}

fn light(sheet: &mut Sheet<'_>, on: Option<bool>, word: &str, text: impl AsRef<str>) {
    let (symbol, role) = match on {
        Some(true) => (glyph::PROVEN, Role::Ok),
        Some(false) => (glyph::FAILED, Role::Danger),
        None => ("·", Role::Dim),
    };
    sheet.put(role, symbol).put(role, format!(" {word}")).paragraph(Role::Text, VALUE, text);
}

fn written(report: &WriteReport, sheet: &mut Sheet<'_>, cx: &Shared) {
    let counts = report.sectors;
    let roomy = sheet.rows_left() >= 16;
    sheet.put(Role::Strong, &report.plan.name).line(Role::Text, format!(" → {}", report.plan.span));
    if roomy {
        sheet.end();
    }
    let done = format!(
        "{} sectors programmed, {} erased, {} kept, in {}, {} retries",
        counts.programmed,
        counts.erased,
        counts.kept,
        time_text(report.took),
        report.retries
    );
    light(sheet, Some(true), "written", done);
    let proof = match (report.verified, report.kept_proven) {
        (true, true) => "every written sector was read back; every kept sector is as it was",
        (true, false) => "every written sector was read back; the kept sectors were not compared",
        (false, _) => "not every written sector was read back",
    };
    light(sheet, Some(report.verified), "verified", proof);
    let boots = if cx.journey.reached(Step::Booted) {
        "started; whether the firmware runs was not checked"
    } else {
        "not checked: S lets the new firmware start"
    };
    light(sheet, None, "boots", boots);
    if roomy {
        sheet.end();
    }
    for (number, what) in report.not_checked.iter().enumerate() {
        sheet.put(Role::Dim, if number == 0 { "not checked" } else { "" }).paragraph(Role::Text, VALUE, what);
    }
    sheet.put(Role::Strong, "next").paragraph(Role::Strong, VALUE, next(cx));
    sheet.put(Role::Dim, "lock").paragraph(Role::Text, VALUE, &report.protection);
    let width = sheet.width().saturating_sub(VALUE);
    sheet.put(Role::Dim, "SHA-256").paragraph(Role::Text, VALUE, &report.sha256);
    sheet.put(Role::Dim, "backup").to(VALUE).line(Role::Dim, cut_front(&report.backup, width));
}

/// What a person does now.
fn next(cx: &Shared) -> String {
    let firmware = cx.image.as_deref().map(|image| &image.firmware);
    let open = firmware.is_some_and(|firmware| firmware.openbeken().is_some());
    let first = if cx.journey.reached(Step::Booted) { "" } else { "S starts the chip. Then " };
    match firmware.and_then(|firmware| firmware.family) {
        Some(family @ (Family::Bk7231T | Family::Bk7231N)) if open => {
            let name = family.name();
            format!("{first}look for the Wi-Fi access point Open{name}_XXXXXXXX and open 192.168.4.1")
        }
        _ => format!("{first}take the wires off, supply first."),
    }
}

fn stopped(problem: &Problem, ended: &Ended, sheet: &mut Sheet<'_>, cx: &Shared) {
    let advice = advice(problem, ended, cx);
    let head = if ended.cancelled() { "Stopped as you asked" } else { "The write did not end well" };
    sheet.put(Role::Danger, format!("{} {head}", glyph::FAILED)).line(Role::Dim, format!("   {}", problem.code));
    if !ended.cancelled() {
        sheet.paragraph(Role::Strong, 0, &problem.what).paragraph(Role::Text, 0, &problem.cause);
    }
    sheet.put(Role::Strong, "next ").paragraph(Role::Strong, 5, &advice.next).end();
    sheet.put(Role::Dim, "The chip now: ").line(Role::Text, &advice.state);
    let lines = left_lines(ended);
    let rows = usize::from(sheet.rows_left().saturating_sub(7).max(2));
    let shown = if lines.len() > rows { rows - 1 } else { lines.len() };
    for line in lines.iter().take(shown) {
        sheet.line(Role::Text, format!("  {line}"));
    }
    if shown < lines.len() {
        sheet.put(Role::Dim, format!("  … {} more: ", lines.len() - shown)).line(Role::Key, "i");
    }
}
