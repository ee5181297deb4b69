//! Drawing the Config tab.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Config, Found, Given};
use crate::image::finding::Severity;
use crate::image::inspect::Choice;
use crate::image::template::lint::{self, Checked};
use crate::image::template::{Difference, Line, Mapping, Template};
use crate::tui::glyph;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::sheet::{Sheet, column_rule, cut, split_columns, split_rows, wrap};

/// From this width on the template stands beside the pins.
const SIDE_BY_SIDE: u16 = 70;
/// Columns of the template beside the pins.
const TEMPLATE: u16 = 30;
/// From this width of the list on every row has its reason in it.
const WITH_REASON: u16 = 70;
/// Columns of the key, of the mark of a difference, of the role and, in a wide list, of the reason.
const KEY: u16 = 7;
const MARK: u16 = 20;
const ROLE: u16 = 22;
const REASON: u16 = 38;

/// What a choice is called.
const fn rules(choice: Choice) -> &'static str {
    match choice {
        Choice::By(Mapping::Recommended) => "recommended: as the device's own levels say",
        Choice::By(Mapping::Gui) => "as the desktop flasher makes it",
        Choice::By(Mapping::Web) => "as the web importer makes it",
        Choice::Configured => "as OpenBeken is configured now",
        Choice::Given => "as the template says",
    }
}

/// Draws the tab.
pub fn draw(tab: &Config, area: Rect, buf: &mut Buffer, cx: &Shared) {
    if let Some(given) = &tab.checked {
        return result(given, area, buf, cx);
    }
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    let pasted = tab.pasted.as_ref().map(|found| &found.file);
    let Some(file) = pasted.or(cx.dump.as_ref()) else {
        sheet.end().line(Role::Strong, "No dump is open.").end();
        sheet
            .put(Role::Key, "o")
            .line(Role::Text, " opens one; 2 connects a chip, and b there makes its backup.")
            .end();
        sheet.paragraph(
            Role::Dim,
            0,
            "Here stand the pins of the device, what each does and why, and the template for OpenBeken made of it.",
        );
        return;
    };
    let Some(found) = tab.current(cx) else {
        sheet.line(Role::Dim, format!("looking through {} …", file.name));
        return;
    };
    sheet.put(Role::Strong, cut(&file.name, area.width / 2)).put(Role::Dim, "  from ");
    sheet.line(Role::Text, found.inspection.source_of(found.choice));
    match found.template() {
        None => nothing(found, &mut sheet),
        Some(_) => {
            sheet.put(Role::Dim, "mapping  ").line(Role::Text, rules(found.choice));
            let rest = sheet.rest();
            let side = if area.width >= SIDE_BY_SIDE { TEMPLATE.max(area.width / 3) } else { 0 };
            let (left, right) = split_columns(rest, rest.width - side);
            pins(tab, found, left, buf, cx);
            if side > 0 {
                column_rule(right, buf, &cx.theme);
                template(found, Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right }, buf, cx);
            }
        }
    }
}

/// A file that names no pins: what it holds instead.
fn nothing(found: &Found, sheet: &mut Sheet<'_>) {
    let inspection = &found.inspection;
    sheet.end().line(Role::Warn, "This file names no pins.").end();
    match &inspection.tuya {
        Some(tuya) => {
            let text = format!("Its Tuya data holds {} keys, and no pin map is among them.", tuya.keys.len());
            sheet.paragraph(Role::Text, 0, text);
        }
        None => {
            sheet.paragraph(
                Role::Text,
                0,
                "It holds no Tuya data: store, file area, application and plain text were searched.",
            );
        }
    }
    sheet.end();
    let next = format!("Next: {}.", inspection.without_pins());
    sheet.paragraph(Role::Text, 0, next).end();
    for problem in &inspection.problems {
        sheet.paragraph(Role::Warn, 0, format!("{} {}", problem.code, problem.what));
    }
}

/// The list of pins, and below it what there is to say about the current one.
fn pins(tab: &Config, found: &Found, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let Some(template) = found.template() else { return };
    let about = about(tab, found, area.width);
    let below = (about.len() as u16 + 1).min(area.height / 2);
    let points = if template.lines.is_empty() { found.inspection.data_point_lines() } else { Vec::new() };
    let rows = template.lines.len().max(points.len() + 1) as u16;
    let (list, below) = split_rows(area, area.height.saturating_sub(below).min(rows));
    tab.page.set(list.height.into());
    let row = tab.row.min(template.lines.len().saturating_sub(1));
    let first = row.saturating_sub(usize::from(list.height).saturating_sub(1));
    let mut sheet = Sheet::new(list, buf, &cx.theme);
    for (number, line) in template.lines.iter().enumerate().skip(first).take(list.height.into()) {
        pin(&mut sheet, line, number == row, found.difference(line.pin).is_some());
    }
    if template.lines.is_empty() {
        sheet.line(Role::Warn, "no pins: a second processor has them");
        let room = usize::from(list.height).saturating_sub(1);
        let shown = if points.len() > room { room.saturating_sub(1) } else { points.len() };
        for point in points.iter().take(shown) {
            sheet.line(Role::Text, cut(point, list.width));
        }
        if shown < points.len() {
            sheet.put(Role::Dim, format!("… {} more: ", points.len() - shown)).put(Role::Key, "d");
        }
    }
    let mut sheet = Sheet::new(below, buf, &cx.theme);
    sheet.rule();
    for (role, text) in about {
        sheet.line(role, text);
    }
}

fn pin(sheet: &mut Sheet<'_>, line: &Line, here: bool, differs: bool) {
    let role = |usual| if here { Role::Selected } else { usual };
    if here {
        sheet.mark(Role::Selected);
    }
    sheet.put(role(Role::Text), if here { glyph::HERE } else { " " });
    sheet.put(role(Role::Text), format!(" P{}", line.pin));
    sheet.to(KEY).put(role(Role::Text), cut(&line.key, MARK - KEY - 1));
    if differs {
        sheet.to(MARK).put(role(Role::Warn), glyph::DIFFERS);
    }
    sheet.to(ROLE).put(role(Role::Strong), line.value());
    if sheet.width() >= WITH_REASON {
        sheet.to(REASON).put(role(Role::Dim), reason(line));
    }
    sheet.end();
}

/// The reason without the key, which stands beside it.
fn reason(line: &Line) -> &str {
    line.reason.strip_prefix(&line.key).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&line.reason)
}

/// What the importers make of a pin.
fn importers(difference: &Difference) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("desktop flasher {}, web importer {}", shown(&difference.gui), shown(&difference.web))
}

/// What there is to say about the current pin, and about the whole template.
fn about(tab: &Config, found: &Found, width: u16) -> Vec<(Role, String)> {
    let Some(template) = found.template() else { return Vec::new() };
    let mut lines = Vec::new();
    let mut add = |role: Role, text: &str| lines.extend(wrap(text, width).into_iter().map(|line| (role, line)));
    if let Some(line) = template.lines.get(tab.row.min(template.lines.len().saturating_sub(1))) {
        add(Role::Text, &format!("P{} {}", line.pin, line.reason));
        if let Some(difference) = found.difference(line.pin) {
            add(Role::Warn, &format!("{} the importers: {}", glyph::DIFFERS, importers(difference)));
        }
    }
    let command = template.command();
    if !command.is_empty() {
        add(Role::Text, &format!("at start: {command}"));
    }
    let (role, verdict) = lint_line(found, template);
    add(role, &verdict);
    for note in &template.notes {
        add(Role::Dim, &format!("note: {note}"));
    }
    for problem in &found.inspection.problems {
        add(Role::Warn, &format!("{} {}", problem.code, problem.what));
    }
    add(Role::Dim, "set up in one go with the image: bkbench write IMAGE --config FILE");
    lines
}

/// What the linter says of the template itself.
fn lint_line(found: &Found, template: &Template) -> (Role, String) {
    let checked = lint::check(&found.text().unwrap_or_default(), Some(template));
    match checked.lints.first() {
        None => (Role::Ok, format!("lint {}", glyph::PROVEN)),
        Some(lint) => (Role::Warn, format!("lint: {}; {}", lint.what, lint.remedy)),
    }
}

/// Everything about one pin, for the reader.
pub fn why(found: &Found, row: usize) -> Vec<String> {
    let Some(template) = found.template() else { return Vec::new() };
    let mut text = Vec::new();
    if let Some(line) = template.lines.get(row.min(template.lines.len().saturating_sub(1))) {
        text.extend([format!("P{}  {}", line.pin, line.value()), line.reason.clone()]);
        if let Some(level) = found.inspection.active_levels.get(&line.pin) {
            let words = if level.lv == 1 { "high" } else { "low" };
            text.push(format!("the factory configuration says {} is active {words}", level.key));
        }
        match found.difference(line.pin) {
            Some(difference) => text.push(format!("the importers make it otherwise: {}", importers(difference))),
            None if matches!(found.choice, Choice::By(_)) => text.push("both importers make the same of it".to_owned()),
            None => {}
        }
    }
    let missing: Vec<String> = found
        .inspection
        .template_differences
        .iter()
        .filter(|difference| template.line(difference.pin).is_none())
        .map(|difference| format!("P{}: {}; {}", difference.pin, importers(difference), difference.reason))
        .collect();
    if !missing.is_empty() {
        text.extend([String::new(), "Pins that only others give a role:".to_owned()]);
        text.extend(missing);
    }
    if !template.notes.is_empty() {
        text.push(String::new());
        text.extend(template.notes.iter().map(|note| format!("note: {note}")));
    }
    text
}

/// The template as text, as much of it as there is room for.
fn template(found: &Found, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let text = found.text().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    let cuts = lines.len() > usize::from(area.height);
    let shown = if cuts { usize::from(area.height).saturating_sub(1) } else { lines.len() };
    for line in lines.iter().take(shown) {
        sheet.line(if line.contains(';') { Role::Text } else { Role::Dim }, line);
    }
    if cuts {
        sheet.put(Role::Dim, format!("… {} more: ", lines.len() - shown)).put(Role::Key, "t");
    }
}

/// What a check of a text found, from the row that it was scrolled to.
fn result(given: &Given, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    let what = if given.result.is_ok() { "  checked" } else { "  not checked" };
    sheet.put(Role::Strong, cut(&given.name, area.width.saturating_sub(24))).put(Role::Dim, what).end().end();
    let rows = match &given.result {
        Ok(checked) => result_rows(checked, area.width),
        Err(why) => wrap(why, area.width).into_iter().map(|row| (Role::Warn, row)).collect(),
    };
    let room = usize::from(area.height.saturating_sub(2));
    let cuts = rows.len() > room;
    let shown = if cuts { room.saturating_sub(1) } else { room };
    given.drawn.set((rows.len(), shown.max(1)));
    for (role, row) in rows.iter().skip(given.top).take(shown) {
        sheet.line(*role, row);
    }
    if cuts {
        let below = rows.len().saturating_sub(given.top + shown);
        let text = if below > 0 { format!("… {below} more: ↓") } else { "the end: ↑".to_owned() };
        sheet.line(Role::Dim, text);
    }
}

/// The complaints row by row, and the verdict first: it is what one looks for.
fn result_rows(checked: &Checked, width: u16) -> Vec<(Role, String)> {
    let pins = checked.pins.len();
    let verdict = match (checked.lints.is_empty(), checked.is_usable()) {
        (true, _) => (Role::Ok, format!("{} {pins} pins, nothing to complain about", glyph::PROVEN)),
        (_, true) => (Role::Warn, format!("{pins} pins; usable, look at the warnings")),
        (_, false) => (Role::Danger, format!("{pins} pins read; not usable as it stands")),
    };
    let mut rows = vec![verdict];
    for lint in &checked.lints {
        let (role, symbol) =
            if lint.severity == Severity::Error { (Role::Danger, glyph::FAILED) } else { (Role::Warn, "?") };
        let what = format!("{symbol} line {}, column {}: {}", lint.line, lint.column, lint.what);
        rows.push((Role::Dim, String::new()));
        rows.extend(wrap(&what, width).into_iter().map(|row| (role, row)));
        let remedy = format!("→ {}", lint.remedy);
        rows.extend(wrap(&remedy, width.saturating_sub(2)).into_iter().map(|row| (Role::Text, format!("  {row}"))));
    }
    rows
}
