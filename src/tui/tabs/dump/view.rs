//! Drawing the Dump tab.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::Dump;
use crate::image::search::{self, Text};
use crate::tui::glyph;
use crate::tui::shared::{OpenFile, Shared};
use crate::tui::theme::Role;
use crate::tui::widgets::chip_bar;
use crate::tui::widgets::hex_grid::{HexGrid, bytes_per_row};
use crate::tui::widgets::sheet::{Sheet, cut, split_rows};
use crate::units::size_text;

/// Longest text shown around a hit, in bytes.
const LONGEST_TEXT: usize = 8192;

/// The text at an offset, for the reader.
pub fn whole_text(file: &OpenFile, at: u32) -> Vec<String> {
    let text = search::text_around(&file.bytes, at, LONGEST_TEXT);
    if text.text.is_empty() {
        return vec![format!("There is no text at 0x{at:06X}.")];
    }
    vec![place(file, &text), String::new(), text.text]
}

/// Where a text stands: offset, length, region.
fn place(file: &OpenFile, text: &Text) -> String {
    let region = file.regions.iter().find(|region| region.span.contains(text.span.start));
    let name = region.map_or("", |region| region.name.as_str());
    format!("0x{:06X}, {} bytes, {name}", text.span.start, text.span.len)
}

/// Draws the whole tab.
pub fn draw(tab: &Dump, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let Some(file) = cx.dump.as_deref() else {
        empty(area, buf, cx);
        return;
    };
    let (head, body) = split_rows(area, 2);
    title(tab, file, Rect { height: 1.min(head.height), ..head }, buf, cx);
    let strip = Rect { y: head.y + 1, height: 1.min(head.height.saturating_sub(1)), ..head };
    chip_bar::regions(&file.regions, tab.cursor, strip, buf, &cx.theme);

    let prompt_rows = u16::from(tab.prompt.is_some());
    let (body, prompt) = split_rows(body, body.height.saturating_sub(prompt_rows));
    let text = around(tab, file);
    let wanted =
        if text.text.is_empty() { 1 } else { 1 + (text.span.len as u16).div_ceil(area.width.saturating_sub(2).max(1)) };
    let below = wanted.min(body.height / 2);
    let (grid, pane) = split_rows(body, body.height - below);
    let per_row = bytes_per_row(grid.width);
    tab.drawn.set((u32::from(grid.height), per_row));
    let here =
        tab.found.as_ref().and_then(super::Found::here).filter(|(at, len)| tab.cursor >= *at && tab.cursor < at + len);
    let hits = tab.found.as_ref().map_or(&[][..], |found| &found.hits.offsets);
    let top = visible_top(tab, grid.height, per_row);
    HexGrid { bytes: &file.bytes, top, cursor: tab.cursor, hits, here }.render(grid, buf, &cx.theme);
    around_pane(tab, file, &text, here, pane, buf, cx);
    if tab.prompt.is_some() {
        draw_prompt(tab, prompt, buf, cx);
    }
}

/// The first offset drawn: where the tab scrolled to, unless the window was changed so that the cursor left it.
fn visible_top(tab: &Dump, rows: u16, per_row: u32) -> u32 {
    let (first, row, rows) = (tab.top / per_row, tab.cursor / per_row, u32::from(rows.max(1)));
    let first = if (first..first + rows).contains(&row) { first } else { row.saturating_sub(rows / 3) };
    first * per_row
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

fn title(tab: &Dump, file: &OpenFile, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let state = match (&tab.found, tab.searching) {
        (_, true) => "searching …".to_owned(),
        (Some(found), _) if found.here().is_some() => {
            let kept = found.hits.offsets.len();
            let more = if kept < found.hits.total { format!(" (first {kept})") } else { String::new() };
            format!("hit {} of {}{more}  \"{}\"", found.number(), found.hits.total, found.text)
        }
        (Some(found), _) => format!("no hit  \"{}\"", found.text),
        (None, _) => String::new(),
    };
    let state = cut(&state, area.width / 2);
    let room = area.width.saturating_sub(state.width() as u16 + 1);
    let mut left = Sheet::new(Rect { width: room, ..area }, buf, &cx.theme);
    left.put(Role::Strong, &file.name).put(Role::Dim, "  ").put(Role::Text, size_text(file.bytes.len() as u64));
    if let Some(verdict) = file.proven {
        let (symbol, role) = glyph::verdict(verdict);
        left.put(Role::Dim, "  ").put(role, format!("{symbol} {verdict}"));
    }
    left.put(Role::Dim, "  ").put(Role::Dim, &file.about);
    let right = Rect { x: area.x + room + 1, width: area.width.saturating_sub(room + 1), ..area };
    Sheet::new(right, buf, &cx.theme).put(Role::Strong, state);
}

/// The text at the cursor when it is on a hit.
fn around(tab: &Dump, file: &OpenFile) -> Text {
    let on_hit = tab.found.as_ref().and_then(super::Found::here).is_some_and(|(at, _)| at == tab.cursor);
    if on_hit { search::text_around(&file.bytes, tab.cursor, LONGEST_TEXT) } else { Text::default() }
}

/// The pane below the bytes: where the cursor is, and the string around the hit with the hit marked.
fn around_pane(
    tab: &Dump,
    file: &OpenFile,
    text: &Text,
    here: Option<(u32, u32)>,
    area: Rect,
    buf: &mut Buffer,
    cx: &Shared,
) {
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    if text.text.is_empty() {
        let region = file.regions.iter().find(|region| region.span.contains(tab.cursor));
        sheet.put(Role::Dim, "at ").put(Role::Address, format!("0x{:06X}", tab.cursor));
        if let Some(region) = region {
            let inside = tab.cursor - region.span.start;
            sheet
                .put(Role::Text, format!("  {}", region.name))
                .put(Role::Dim, format!("  0x{inside:X} from its start"));
        }
        return;
    }
    let width = area.width.saturating_sub(2).max(1);
    let rows = area.height.saturating_sub(1);
    let lines = (text.span.len as u16).div_ceil(width);
    sheet.put(Role::Dim, "The text around this hit: ").put(Role::Text, place(file, text));
    if lines > rows {
        sheet.put(Role::Dim, "  ").put(Role::Key, "t").put(Role::Dim, " shows all");
    }
    sheet.end();
    let (at, len) = here.unwrap_or((tab.cursor, 1));
    let hit = at.saturating_sub(text.span.start) as usize;
    let hit = hit..hit + len as usize;
    // Where not all of it fits, the rows around the hit are the ones to show.
    let hit_line = (hit.start / usize::from(width)) as u16;
    let first = hit_line.saturating_sub(rows / 2).min(lines.saturating_sub(rows));
    for line in first..(first + rows).min(lines) {
        let start = usize::from(line) * usize::from(width);
        let end = (start + usize::from(width)).min(text.text.len());
        sheet.to(2);
        let a = hit.start.clamp(start, end);
        let b = hit.end.clamp(start, end);
        for (role, from, to) in [(Role::ByteText, start, a), (Role::ByteHere, a, b), (Role::ByteText, b, end)] {
            // The text is ASCII, so every index is a border of characters.
            sheet.put(role, text.text.get(from..to).unwrap_or_default());
        }
        sheet.end();
    }
}

fn draw_prompt(tab: &Dump, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let Some(prompt) = &tab.prompt else { return };
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    let label = prompt.how.map_or("go to address", super::search::How::word);
    sheet.put(Role::Key, label).put(Role::Text, " ");
    let start = sheet.column();
    let help = match (&prompt.wrong, prompt.how) {
        (Some(why), _) => why.clone(),
        (None, Some(_)) => "Enter search   Tab text/hex/UTF-16/regex   Esc back".to_owned(),
        (None, None) => "Enter go   Esc back".to_owned(),
    };
    let role = if prompt.wrong.is_some() { Role::Danger } else { Role::Dim };
    let help = cut(&help, area.width.saturating_sub(start + 14));
    let field_width = area.width.saturating_sub(start + help.width() as u16 + 2);
    let place = Rect { x: area.x + start, width: field_width, ..area };
    prompt.field.render(place, sheet.buffer(), &cx.theme);
    sheet.to(start + field_width + 2).put(role, help);
}
