//! Drawing the Flash tab up to the end of a write.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Flash, Stage};
use crate::job::{Action, AlreadyThere, Plan, Range};
use crate::session::JobView;
use crate::tui::glyph;
use crate::tui::shared::{BackupState, OpenFile, Shared};
use crate::tui::theme::Role;
use crate::tui::widgets::away;
use crate::tui::widgets::gauge::{self, time_text};
use crate::tui::widgets::sector_map;
use crate::tui::widgets::sheet::{Sheet, cut_front};
use crate::units::{SECTOR, Verdict, size_text};

/// Column of the values.
const VALUE: u16 = 9;

/// The word of an action in a plan.
const fn word(action: Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Program => "program",
        Action::Erase => "erase",
        Action::EraseProgram => "erase, program",
    }
}

/// One line for each run of sectors.
fn run_lines(plan: &Plan) -> Vec<String> {
    let line = |run: &crate::job::plan::Run| {
        format!("{}  {:>4} sectors  {:<14}  {}", run.span, run.span.len / SECTOR, word(run.action), run.action.why())
    };
    plan.runs.iter().map(line).collect()
}

/// The whole plan, for the reader.
pub fn plan_text(plan: &Plan) -> Vec<String> {
    let mut lines =
        vec![format!("{} → {}", plan.name, plan.span), plan.summary(), format!("about {}", time_text(plan.time))];
    if let Some(span) = plan.unlock {
        lines.push(format!("{span} is protected now and is unlocked first"));
    }
    lines.push(String::new());
    lines.extend(run_lines(plan));
    lines.push(format!("everything else of the chip ({}) is kept, and proven kept", size_text(plan.chip_size.into())));
    lines.extend(plan.settings.iter().map(|change| format!("sets {change}")));
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    lines.push(String::new());
    lines.push(format!("hash {}", plan.hash));
    lines
}

/// That the chip holds the image already, in lines.
pub fn there_text(there: &AlreadyThere) -> Vec<String> {
    let mut lines = vec![
        format!("{} holds {} ({})", there.span, there.name, there.about),
        format!("proven: every byte of it was compared {}, {}", there.compared, time_text(there.took)),
        format!("SHA-256 {}", there.sha256),
    ];
    lines.extend(there.not_checked.iter().map(|what| format!("not checked: {what}")));
    lines
}

/// Draws the tab.
pub fn draw(tab: &Flash, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    let another = |plan: &Plan| cx.image.as_deref().is_none_or(|image| image.name != plan.name);
    match (&tab.stage, cx.session.job.as_ref().and_then(|job| job.plan.as_deref())) {
        // Another image may have been chosen meanwhile, and a write that is gone on with has its own.
        (Stage::Writing, Some(plan)) => written_row(&mut sheet, plan),
        (Stage::Planned(ready), _) if another(&ready.plan) => written_row(&mut sheet, &ready.plan),
        _ => image_row(&mut sheet, cx.image.as_deref()),
    }
    backup_row(&mut sheet, cx);
    match (&tab.stage, cx.session.job.as_ref()) {
        (Stage::Writing, Some(job)) => {
            sheet.rule();
            progress(&mut sheet, job, cx);
            map(&mut sheet, job);
        }
        (Stage::Planned(ready), job) => {
            plan_rows(&mut sheet, &ready.plan, tab.protect_after(cx), cx);
            if let Some(job) = job {
                progress(&mut sheet, job, cx);
            }
        }
        (_, Some(job)) => {
            sheet.rule();
            progress(&mut sheet, job, cx);
        }
        (Stage::Refused(problem), None) => {
            sheet.rule();
            sheet.put(Role::Danger, format!("✘ {} ", problem.code)).end();
            sheet.paragraph(Role::Strong, 0, &problem.what);
            sheet.paragraph(Role::Text, 0, &problem.cause).paragraph(Role::Text, 0, &problem.remedy);
        }
        (Stage::There(there), None) => {
            sheet.rule();
            sheet
                .put(Role::Ok, glyph::PROVEN)
                .line(Role::Strong, " already there; nothing was written, and no backup was made");
            for line in there_text(there) {
                sheet.paragraph(Role::Text, 2, line);
            }
        }
        (_, None) => {
            sheet.rule();
            next_step(&mut sheet, tab, cx);
        }
    }
}

/// What is being written.
fn written_row(sheet: &mut Sheet<'_>, plan: &Plan) {
    sheet.put(Role::Dim, "image").to(VALUE).put(Role::Strong, &plan.name);
    sheet.line(Role::Dim, format!("  {}", size_text(plan.span.len.into())));
    sheet.to(VALUE).line(Role::Text, format!("{} → {}", plan.about, plan.span));
}

fn image_row(sheet: &mut Sheet<'_>, image: Option<&OpenFile>) {
    sheet.put(Role::Dim, "image").to(VALUE);
    let Some(image) = image else {
        sheet.put(Role::Warn, "none chosen: ").put(Role::Key, "o").line(Role::Text, " chooses one");
        return;
    };
    sheet.put(Role::Strong, &image.name).put(Role::Dim, format!("  {}", size_text(image.bytes.len() as u64))).end();
    sheet.to(VALUE).put(Role::Text, &image.about);
    let firmware = &image.firmware;
    if firmware.has_errors() {
        sheet.put(Role::Danger, format!("  {} damaged", glyph::FAILED));
    } else if firmware.family.is_some() {
        let (symbol, role) = glyph::verdict(firmware.verdict);
        sheet.put(role, format!("  {symbol} chip {}", firmware.verdict));
    }
    sheet.end();
}

fn backup_row(sheet: &mut Sheet<'_>, cx: &Shared) {
    sheet.put(Role::Dim, "backup").to(VALUE);
    let width = sheet.width();
    match (&cx.backup, &cx.bypass) {
        (BackupState::Proven(known), _) => {
            let path = known.proof.path.display().to_string();
            sheet.put(Role::Ok, "✔ proven  ").line(Role::Dim, cut_front(&path, width.saturating_sub(VALUE + 10)));
        }
        (_, Some(_)) => {
            sheet.line(Role::Danger, "✘ NONE: the phrase was typed; there is no way back");
        }
        (BackupState::None, None) => {
            sheet.put(Role::Warn, "✘ none of this chip: ").put(Role::Key, "b").line(Role::Text, " makes one");
        }
        (BackupState::Unproven { why, .. }, None) => {
            sheet.put(Role::Warn, "✘ ").line(Role::Warn, why);
        }
        (BackupState::Unknown, None) => {
            sheet.line(Role::Dim, "unknown: connect first");
        }
    }
}

fn plan_rows(sheet: &mut Sheet<'_>, plan: &Plan, protect_after: bool, cx: &Shared) {
    sheet.put(Role::Dim, "goes to").to(VALUE).put(Role::Strong, plan.span.to_string());
    sheet.line(Role::Dim, "   everything else is kept, and proven kept");
    sheet.put(Role::Dim, "plan").paragraph(Role::Strong, VALUE, plan.summary());
    let range = cx.session.protection.as_deref().map(|protection| &protection.range);
    let after = match (plan.unlock, protect_after) {
        (None, _) if range == Some(&Range::Unreadable) => "not readable here; the boot loader lifts it while it writes",
        (None, _) if range == Some(&Range::Unknown) => "not known for this part; every sector is read back",
        (None, _) => "not in the way",
        (Some(_), true) => "lifted, and put back at the end (a changes that)",
        (Some(_), false) => "lifted, and left open (a changes that)",
    };
    sheet.pair("lock", VALUE, Role::Text, after);
    sheet.put(Role::Dim, "time").to(VALUE).put(Role::Text, format!("about {}", time_text(plan.time)));
    sheet.put(Role::Dim, "   hash …").put(Role::Strong, plan.short_hash());
    if !plan.is_empty() {
        sheet.put(Role::Text, "   ").put(Role::Key, "f").put(Role::Text, " asks for it and writes");
    }
    sheet.end().rule();
    for note in &plan.notes {
        sheet.put(Role::Warn, "! ").paragraph(Role::Text, 2, note);
    }
    // Each kind of row gets what the other leaves: the runs are the plan, the map is its picture.
    let lines = run_lines(plan);
    let map_rows = if sheet.rows_left() >= 8 { (sheet.rows_left() / 2).min(10) } else { 0 };
    let rows = usize::from(sheet.rows_left() - map_rows);
    let shown = if lines.len() > rows { rows.saturating_sub(1) } else { lines.len() };
    for line in lines.iter().take(shown) {
        sheet.line(Role::Text, line);
    }
    if shown < lines.len() {
        sheet.put(Role::Dim, format!("… {} more runs: ", lines.len() - shown)).line(Role::Key, "i");
    }
    if map_rows > 0 {
        let rest = sheet.rest();
        let theme = sheet.theme();
        sector_map::render(&plan.sector_states(), false, rest, sheet.buffer(), theme);
    }
}

fn progress(sheet: &mut Sheet<'_>, job: &JobView, cx: &Shared) {
    for (phase, took) in &job.finished {
        sheet
            .put(Role::Text, phase.word())
            .to(12)
            .put(Role::Ok, glyph::PROVEN)
            .line(Role::Dim, format!(" {}", time_text(*took)));
    }
    match &job.phase {
        Some(phase) => gauge::row(sheet, job, phase, cx.quiet),
        None => {
            sheet.line(Role::Strong, job.title);
        }
    }
    away::notice(sheet, &cx.session);
}

fn map(sheet: &mut Sheet<'_>, job: &JobView) {
    if let Some(at) = job.at
        && !job.sectors.is_empty()
    {
        sheet.line(Role::Dim, format!("at 0x{at:06X}, sector {} of {}", at / SECTOR, job.sectors.len()));
    }
    let rest = sheet.rest();
    let theme = sheet.theme();
    let rows = sector_map::render(&job.sectors, true, rest, sheet.buffer(), theme);
    sheet.down_to(sheet.row() + rows);
}

fn next_step(sheet: &mut Sheet<'_>, tab: &Flash, cx: &Shared) {
    let steps: [(bool, &str, &str); 4] = [
        (cx.image.is_some(), "o", "choose the image, for example an OpenBeken QIO file"),
        (cx.session.identity.is_some(), "2", "connect to the chip"),
        (cx.backup.proven().is_some() || cx.bypass.is_some(), "b", "make a proven backup of this chip"),
        (matches!(tab.stage, Stage::Planned(..)), "p", "see the plan: what is erased, programmed and kept"),
    ];
    let next = steps.iter().position(|(done, ..)| !done);
    for (number, (done, key, text)) in steps.into_iter().enumerate() {
        let here = next == Some(number);
        let (mark, role) = if done { glyph::verdict(Verdict::Proven) } else { glyph::verdict(Verdict::NotChecked) };
        sheet.put(Role::Strong, if here { glyph::HERE } else { " " }).put(role, format!(" {mark} "));
        sheet.put(Role::Key, key).line(if here { Role::Strong } else { Role::Text }, format!("  {text}"));
    }
    sheet
        .put(Role::Text, "  ")
        .put(Role::Dim, "· ")
        .put(Role::Key, "f")
        .line(Role::Text, "  agree by typing four characters of the plan's hash");
    sheet.end();
    sheet.paragraph(
        Role::Dim,
        0,
        "Nothing is written before the plan was shown and agreed to. Enter does the next step, and never writes.",
    );
}
