//! Drawing the Dump tab.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::Dump;
use super::pane;
use super::place::Drawn;
use crate::tui::glyph;
use crate::tui::look::{Lens, Pair, Seen};
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::hex_grid::{HexGrid, bytes_per_row};
use crate::tui::widgets::scroll_bar::ScrollBar;
use crate::tui::widgets::sheet::{Sheet, column_rule, cut, split_columns, split_rows};
use crate::tui::widgets::{chip_bar, entropy_bar};
use crate::units::size_text;

/// From this many rows on the entropy has one of its own.
const ENTROPY_FROM: u16 = 16;
/// From this width on two files stand side by side.
const SIDE_BY_SIDE: u16 = 115;
/// Rows of bytes that no pane takes away.
const LEAST_BYTES: u16 = 5;

/// Draws the whole tab.
pub fn draw(tab: &Dump, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let Some(seen) = tab.seen.as_deref() else {
        empty(area, buf, cx);
        return;
    };
    let entropy_rows = u16::from(area.height >= ENTROPY_FROM);
    let (head, body) = split_rows(area, 2 + entropy_rows);
    let row = |number: u16| Rect {
        y: head.y + number.min(head.height),
        height: 1.min(head.height.saturating_sub(number)),
        ..head
    };
    title(tab, seen, row(0), buf, cx);
    chip_bar::regions(&seen.regions, tab.place.cursor, row(1), buf, &cx.theme);
    if entropy_rows > 0 && head.height > 2 {
        let len = seen.bytes.len() as u32;
        entropy_bar::render(&seen.entropy, len, tab.place.cursor, row(2), buf, &cx.theme);
    }
    let (body, prompt) = split_rows(body, body.height.saturating_sub(u16::from(tab.prompt.is_some())));
    let most = (body.height / 2).max(body.height.saturating_sub(LEAST_BYTES).min(11));
    let lines = pane::lines(tab, seen, &cx.structures, body.width, most.max(1));
    let below = (lines.len() as u16).min(most).min(body.height);
    let (grid, below) = split_rows(body, body.height - below);
    bytes(tab, seen, Rect { width: grid.width.saturating_sub(1), ..grid }, area.height, buf, cx);
    let mut sheet = Sheet::new(below, buf, &cx.theme);
    for line in &lines {
        for (role, text) in line {
            sheet.put(*role, text);
        }
        sheet.end();
    }
    if tab.prompt.is_some() {
        draw_prompt(tab, prompt, buf, cx);
    }
}

/// The bytes, and the scroll bar in the column behind them.
fn bytes(tab: &Dump, seen: &Seen, whole: Rect, rows: u16, buf: &mut Buffer, cx: &Shared) {
    let (grid, second_grid) = match &seen.pair {
        None => (whole, whole),
        Some(pair) => halves(seen, pair, whole, buf, cx),
    };
    let per_row = bytes_per_row(grid.width);
    let top = tab.place.visible_top(grid.height, per_row);
    tab.place.drawn.set(Drawn { grid, per_row, top, rows });
    let hits = tab.found.as_ref().map_or(&[][..], |found| &found.hits.offsets);
    let view = HexGrid {
        bytes: &seen.bytes,
        base: seen.base,
        top,
        cursor: tab.place.cursor,
        hits,
        here: tab.on_hit(),
        selected: tab.selection.map(|selection| selection.span()),
        marks: &tab.marks,
        other: seen.pair.as_ref().map(|pair| &*pair.bytes),
    };
    view.render(grid, buf, &cx.theme);
    if let Some(pair) = &seen.pair {
        let second = HexGrid { bytes: &pair.bytes, other: Some(&seen.bytes), hits: &[], here: None, ..view };
        second.render(second_grid, buf, &cx.theme);
    }
    let hits = match &seen.pair {
        Some(pair) if tab.found.is_none() => &pair.ranges,
        _ => hits,
    };
    let shown = u32::from(grid.height) * per_row;
    let bar = ScrollBar { len: seen.bytes.len() as u32, top, shown, hits, marks: &tab.marks };
    bar.render(Rect { x: whole.right(), width: 1, ..whole }, buf, &cx.theme);
}

/// Room for two files: side by side where it is wide, else one above the other; each under its name.
fn halves(seen: &Seen, pair: &Pair, whole: Rect, buf: &mut Buffer, cx: &Shared) -> (Rect, Rect) {
    let (first, second) = if whole.width >= SIDE_BY_SIDE {
        let (first, second) = split_columns(whole, whole.width / 2);
        column_rule(second, buf, &cx.theme);
        (first, second)
    } else {
        let (first, second) = split_rows(whole, whole.height.div_ceil(2));
        // Both show the same number of rows.
        (first, Rect { height: first.height.min(second.height), ..second })
    };
    let named = |area: Rect, name: &str, buf: &mut Buffer| {
        let (head, body) = split_rows(area, 1);
        Sheet::new(head, buf, &cx.theme).put(Role::Strong, name);
        body
    };
    let first = named(first, &seen.file.name, buf);
    let second = named(second, &pair.name, buf);
    (Rect { height: first.height.min(second.height), ..first }, second)
}

fn empty(area: Rect, buf: &mut Buffer, cx: &Shared) {
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    sheet.end().line(Role::Strong, "No file is open").end();
    sheet.put(Role::Key, "o").line(Role::Text, "  opens any dump or firmware image");
    let backup = match cx.backup.proven() {
        Some(known) => format!("  shows the backup of the connected chip ({})", known.when),
        None => "  shows the backup of the connected chip; there is none yet: 2, then b".to_owned(),
    };
    sheet.put(Role::Key, "b").line(Role::Text, backup);
    sheet.end().paragraph(
        Role::Dim,
        0,
        "A dump of a factory plug tells which pin does what: open it and press / to search for pin.",
    );
}

fn title(tab: &Dump, seen: &Seen, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let state = state(tab);
    let state = cut(&state, area.width / 2);
    let room = area.width.saturating_sub(state.width() as u16 + 1);
    let file = &seen.file;
    let mut left = Sheet::new(Rect { width: room, ..area }, buf, &cx.theme);
    if let Some(pair) = &seen.pair {
        left.put(Role::Strong, &file.name).put(Role::Warn, " compared with ").put(Role::Strong, &pair.name);
        let right = Rect { x: area.x + room + 1, width: area.width.saturating_sub(room + 1), ..area };
        Sheet::new(right, buf, &cx.theme).put(Role::Strong, state);
        return;
    }
    if seen.lens != Lens::File {
        left.put(Role::Warn, seen.lens.name());
        if let (Lens::Code, Some(part)) = (seen.lens, seen.parts.first()) {
            let key = part.key.name();
            left.put(Role::Text, format!(" ({} key)", key.split(" coeff").next().unwrap_or_default()));
        }
        left.put(Role::Dim, " of ");
    }
    left.put(Role::Strong, &file.name).put(Role::Dim, "  ").put(Role::Text, size_text(file.bytes.len() as u64));
    if let Some(verdict) = file.proven {
        let (symbol, role) = glyph::verdict(verdict);
        left.put(Role::Dim, "  ").put(role, format!("{symbol} {verdict}"));
    }
    left.put(Role::Dim, "  ").put(Role::Dim, &file.about);
    let right = Rect { x: area.x + room + 1, width: area.width.saturating_sub(room + 1), ..area };
    Sheet::new(right, buf, &cx.theme).put(Role::Strong, state);
}

/// How the search stands.
fn state(tab: &Dump) -> String {
    match (&tab.found, tab.searching) {
        (_, true) => "searching …".to_owned(),
        (Some(found), _) if found.here().is_some() => {
            let kept = found.hits.offsets.len();
            let more = if kept < found.hits.total { format!(" (first {kept})") } else { String::new() };
            let behind: String = found.behind.iter().map(|(lens, count)| format!(" +{count} {}", lens.key())).collect();
            format!("hit {} of {}{more}  \"{}\"{behind}", found.number(), found.hits.total, found.text)
        }
        (Some(found), _) => format!("no hit  \"{}\"", found.text),
        (None, _) => String::new(),
    }
}

fn draw_prompt(tab: &Dump, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let Some(prompt) = &tab.prompt else { return };
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    sheet.put(Role::Key, prompt.label()).put(Role::Text, " ");
    let start = sheet.column();
    let (role, help) = match &prompt.wrong {
        Some(why) => (Role::Danger, why.clone()),
        None => (Role::Dim, prompt.help()),
    };
    let help = cut(&help, area.width.saturating_sub(start + 14));
    let field_width = area.width.saturating_sub(start + help.width() as u16 + 2);
    let place = Rect { x: area.x + start, width: field_width, ..area };
    prompt.field.render(place, sheet.buffer(), &cx.theme);
    sheet.to(start + field_width + 2).put(role, help);
}
