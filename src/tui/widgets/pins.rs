//! Drawings: the 40-pin header of the Raspberry Pi and the pads of a module, with the current wire marked.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::sheet::{Sheet, cut};
use crate::chip::{HEADER, Module, Pad, PadKind};
use crate::tui::theme::{Role, Theme};

/// Columns of the header's drawing.
pub const HEADER_WIDTH: u16 = 24;
/// Rows of the header's drawing, without its title.
pub const HEADER_ROWS: u16 = 20;

/// Columns of the edge pads beside the back.
const EDGE_WIDTH: u16 = 14;

/// What a pin or pad is to the wiring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing.
    Free,
    /// A wire ends here.
    Wired,
    /// The current wire ends here.
    Here,
}

const fn role(used: Use) -> Role {
    match used {
        Use::Free => Role::Dim,
        Use::Wired => Role::Strong,
        Use::Here => Role::Selected,
    }
}

const fn dot(used: Use) -> &'static str {
    match used {
        Use::Free => "○",
        Use::Wired => "◉",
        Use::Here => "▣",
    }
}

/// Draws the header, pin 1 upper left as on the board with the pins towards you. Where the rows do not all fit, the first
/// ones are drawn, or, when a wire ends below them, only the rows where one does.
pub fn header(used: impl Fn(u8) -> Use, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut sheet = Sheet::new(area, buf, theme);
    let rows = HEADER_ROWS.min(area.height);
    let wired = |row: &u16| [row * 2 + 1, row * 2 + 2].into_iter().any(|pin| used(pin as u8) != Use::Free);
    let beyond = (rows..HEADER_ROWS).any(|row| wired(&row));
    let shown: Vec<u16> = if beyond { (0..HEADER_ROWS).filter(wired).collect() } else { (0..rows).collect() };
    for row in shown {
        let (left, right) = (row * 2 + 1, row * 2 + 2);
        let name = |pin: u16| HEADER.get(usize::from(pin) - 1).copied().unwrap_or_default();
        let (a, b) = (used(left as u8), used(right as u8));
        sheet.put(role(a), format!("{:>6} {left:>3}", name(left))).put(Role::Text, " ");
        sheet.put(role(a), dot(a)).put(Role::Text, " ").put(role(b), dot(b)).put(Role::Text, " ");
        sheet.put(role(b), format!("{right:<2} {}", name(right))).end();
    }
    if rows < HEADER_ROWS {
        sheet.line(Role::Dim, "");
    }
}

/// Draws a module: its edge pads in the order of their numbers, and below the test pads where they sit on the back.
pub fn module(module: &Module, used: impl Fn(&Pad) -> Use, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut sheet = Sheet::new(area, buf, theme);
    let edge = module.pads.iter().filter(|pad| pad.kind == PadKind::Edge);
    flow(&mut sheet, "edge ", edge.map(|pad| (format!("{} {}", pad.pin, pad.name), used(pad))));
    let (placed, unplaced) = test_pads(module);
    if sheet.rows_left() < 4 {
        let all = placed.into_iter().chain(unplaced);
        flow(&mut sheet, "back ", all.map(|pad| (pad.name.clone(), used(pad))));
        return;
    }
    if !placed.is_empty() {
        let below = u16::from(!unplaced.is_empty());
        let rest = sheet.rest();
        let plan = Rect { height: rest.height - below, ..rest };
        let rows = back_view(&placed, &used, 5, plan, sheet.buffer(), theme);
        sheet.down_to(sheet.row() + rows);
    }
    let label = if placed.is_empty() { "back " } else { "also " };
    flow(&mut sheet, label, unplaced.into_iter().map(|pad| (pad.name.clone(), used(pad))));
}

/// Draws a module where there is room: the edge pads one below the other, the back beside them.
pub fn module_with_edge(module: &Module, used: impl Fn(&Pad) -> Use, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut sheet = Sheet::new(area, buf, theme);
    sheet.put(Role::Strong, &module.name).line(Role::Dim, format!("   {}", module.chip));
    sheet.put(Role::Dim, "  edge").to(EDGE_WIDTH).line(Role::Dim, "back, the shield away from you");
    let top = sheet.row();
    for pad in module.pads.iter().filter(|pad| pad.kind == PadKind::Edge) {
        let here = used(pad);
        let text = format!("{:>2} {}", pad.pin, pad.name);
        sheet.put(role(here), if here == Use::Here { format!("[{text}]") } else { format!(" {text} ") }).end();
    }
    let beside = Rect {
        x: area.x + EDGE_WIDTH,
        y: area.y + top,
        width: area.width.saturating_sub(EDGE_WIDTH),
        height: area.height.saturating_sub(top),
    };
    let (placed, unplaced): (Vec<&Pad>, Vec<&Pad>) = test_pads(module);
    if placed.is_empty() && unplaced.is_empty() {
        Sheet::new(beside, buf, theme).line(Role::Dim, "no test pads");
        return;
    }
    let rows = back_view(&placed, &used, 0, beside, buf, theme);
    let below = Rect { y: beside.y + rows + 1, height: beside.height.saturating_sub(rows + 1), ..beside };
    let label = if placed.is_empty() { "" } else { "also " };
    flow(&mut Sheet::new(below, buf, theme), label, unplaced.into_iter().map(|pad| (pad.name.clone(), used(pad))));
}

/// The test pads whose place on the back is known, and the others.
fn test_pads(module: &Module) -> (Vec<&Pad>, Vec<&Pad>) {
    let pads = module.pads.iter().filter(|pad| pad.kind == PadKind::TestPad);
    pads.partition(|pad| pad.x_mm.is_some() && pad.y_mm.is_some())
}

/// Writes pads one behind the other, the current one in brackets.
fn flow(sheet: &mut Sheet<'_>, label: &str, pads: impl Iterator<Item = (String, Use)>) {
    let indent = label.width() as u16;
    let mut first = true;
    for (name, used) in pads {
        let text = if used == Use::Here { format!("[{name}]") } else { format!(" {name} ") };
        if first {
            sheet.put(Role::Dim, label);
        } else if sheet.column() + text.width() as u16 > sheet.width() {
            sheet.end().to(indent);
        }
        first = false;
        sheet.put(role(used), text);
    }
    if !first {
        sheet.end();
    }
}

/// Test pads at their places on the back, scaled to the room; returns the rows used. Rows are pads of about the same
/// height; a name that would cover another one moves right.
fn back_view(
    pads: &[&Pad],
    used: &impl Fn(&Pad) -> Use,
    indent: u16,
    area: Rect,
    buf: &mut Buffer,
    theme: &Theme,
) -> u16 {
    let mut sorted: Vec<(f64, f64, &Pad)> = pads.iter().filter_map(|pad| Some((pad.y_mm?, pad.x_mm?, *pad))).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut rows: Vec<Vec<(f64, &Pad)>> = Vec::new();
    let mut height = f64::NEG_INFINITY;
    for (y, x, pad) in sorted {
        if y - height > 1.0 {
            rows.push(Vec::new());
            height = y;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, pad));
        }
    }
    let widest = pads.iter().filter_map(|pad| pad.x_mm).fold(1.0_f64, f64::max);
    let inner = area.width.min(46).saturating_sub(12);
    let mut sheet = Sheet::new(area, buf, theme);
    for (index, mut row) in rows.into_iter().enumerate() {
        if sheet.rows_left() == 0 {
            break;
        }
        row.sort_by(|a, b| a.0.total_cmp(&b.0));
        if index == 0 && indent > 0 {
            sheet.put(Role::Dim, "back ");
        }
        for (x, pad) in row {
            let at = indent + (x / widest * f64::from(inner)) as u16;
            let here = used(pad);
            let text = if here == Use::Here { format!("[{}]", pad.name) } else { format!(" {} ", pad.name) };
            if sheet.column() < at {
                sheet.to(at);
            }
            let room = sheet.width().saturating_sub(sheet.column());
            sheet.put(role(here), cut(&text, room));
        }
        sheet.end();
    }
    sheet.row()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip;

    fn drawn(width: u16, height: u16, draw: impl FnOnce(Rect, &mut Buffer)) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        draw(area, &mut buf);
        (0..height)
            .map(|y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn the_header_marks_the_pin_of_the_current_wire() {
        let used = |pin| match pin {
            15 => Use::Here,
            1 | 25 => Use::Wired,
            _ => Use::Free,
        };
        let rows = drawn(HEADER_WIDTH, 20, |area, buf| header(used, area, buf, &Theme::mono()));
        assert_eq!(rows[0], "   3V3   1 ◉ ○ 2  5V");
        assert_eq!(rows[7], "GPIO22  15 ▣ ○ 16 GPIO23");
        assert_eq!(rows[19], "   GND  39 ○ ○ 40 GPIO21");
    }

    #[test]
    fn every_pad_of_every_module_is_drawn_and_the_current_one_is_in_brackets() {
        for module_of_table in chip::modules() {
            for pad in &module_of_table.pads {
                let used = |other: &Pad| if std::ptr::eq(other, pad) { Use::Here } else { Use::Free };
                let rows = drawn(60, 12, |area, buf| module(module_of_table, used, area, buf, &Theme::mono()));
                let text = rows.join("\n");
                assert!(
                    text.contains(&format!("{}]", pad.name)),
                    "{} {} is not marked:\n{text}",
                    module_of_table.name,
                    pad.name
                );
            }
        }
    }
}
