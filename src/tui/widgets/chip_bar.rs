//! The chip as one bar: what is protected, or which region is where.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::sheet::{Sheet, cut};
use crate::image::{Region, RegionKind};
use crate::tui::theme::{Role, Theme};
use crate::units::Span;

/// Draws the whole chip with the protected part filled.
pub fn protection(locked: Option<Span>, size: u32, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let width = u64::from(area.width);
    let mut sheet = Sheet::new(area, buf, theme);
    for cell in 0..width {
        let from = (u64::from(size) * cell / width.max(1)) as u32;
        let to = (u64::from(size) * (cell + 1) / width.max(1)) as u32;
        let middle = Span::new(from + (to - from) / 2, 1);
        if locked.is_some_and(|span| span.overlaps(middle)) {
            sheet.put(Role::BarLocked, "█");
        } else {
            sheet.put(Role::BarOpen, "▁");
        }
    }
}

/// The short name of a region on a strip.
fn label(region: &Region) -> &str {
    match region.kind {
        RegionKind::BootLoader => "boot loader",
        RegionKind::Application => "app",
        RegionKind::Download => "download",
        RegionKind::Files => "files",
        RegionKind::Rf => "RF",
        RegionKind::Network => "net",
        RegionKind::Store => "store",
        RegionKind::Empty => "",
        RegionKind::Unknown => "?",
    }
}

/// Columns for each region: its name fits first, the rest is shared by size. Regions that find no room get none.
fn columns(regions: &[Region], width: u16) -> Vec<u16> {
    let total: u64 = regions.iter().map(|region| u64::from(region.span.len)).sum::<u64>().max(1);
    let mut columns: Vec<u16> = regions.iter().map(|region| label(region).width().max(1) as u16).collect();
    let rules = regions.len().saturating_sub(1) as u16;
    let mut free = i32::from(width) - i32::from(rules) - columns.iter().map(|c| i32::from(*c)).sum::<i32>();
    // Too narrow for all names: the longest ones give.
    while free < 0 {
        let Some(longest) = columns.iter_mut().max() else { break };
        if *longest <= 1 {
            break;
        }
        *longest -= 1;
        free += 1;
    }
    let spare = free.max(0) as u64;
    let mut given = 0;
    for (region, column) in regions.iter().zip(&mut columns) {
        let share = spare * u64::from(region.span.len) / total;
        given += share;
        *column += share as u16;
    }
    if let Some(last) = columns.iter_mut().max() {
        *last += spare.saturating_sub(given) as u16;
    }
    columns
}

/// Draws the regions of a file side by side, the one at `cursor` between brackets or in its own style.
pub fn regions(regions: &[Region], cursor: u32, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut sheet = Sheet::new(area, buf, theme);
    for (index, (region, width)) in regions.iter().zip(columns(regions, area.width)).enumerate() {
        if index > 0 {
            sheet.put(Role::Rule, "│");
        }
        let here = region.span.contains(cursor);
        let name = label(region);
        let text = match (here, width) {
            (true, 3..) => format!("[{}]", cut(name, width - 2)),
            _ => cut(name, width),
        };
        let blanks = " ".repeat(usize::from(width).saturating_sub(text.width()));
        sheet.put(if here { Role::RegionHere } else { Role::Region }, text + &blanks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(list: &[Region], cursor: u32, width: u16) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buf = Buffer::empty(area);
        regions(list, cursor, area, &mut buf, &Theme::mono());
        (0..width).map(|x| buf[(x, 0)].symbol()).collect()
    }

    fn map() -> Vec<Region> {
        vec![
            Region::new("boot loader", Span::between(0, 0x11000), RegionKind::BootLoader),
            Region::new("application", Span::between(0x11000, 0x132000), RegionKind::Application),
            Region::new("RF", Span::between(0x1E0000, 0x1E1000), RegionKind::Rf),
        ]
    }

    #[test]
    fn the_strip_fills_its_width_and_brackets_the_region_of_the_cursor() {
        let shown = strip(&map(), 0x1E0004, 40);
        assert_eq!(shown.chars().count(), 40);
        assert!(shown.starts_with("boot loader"), "{shown}");
        assert!(shown.contains("│app"), "{shown}");
        assert!(strip(&map(), 0x20000, 40).contains("[app]"));
    }

    #[test]
    fn a_narrow_strip_shortens_names_before_it_drops_any() {
        let shown = strip(&map(), 0x1E0004, 12);
        assert_eq!(shown.chars().count(), 12);
        assert_eq!(shown.matches('│').count(), 2, "{shown}");
    }

    #[test]
    fn the_bar_is_filled_where_the_chip_is_protected() {
        let area = Rect::new(0, 0, 32, 1);
        let mut buf = Buffer::empty(area);
        protection(Some(Span::new(0, 0x1F0000)), 0x200000, area, &mut buf, &Theme::mono());
        let bar: String = (0..32).map(|x| buf[(x, 0)].symbol()).collect();
        assert_eq!(bar, format!("{}▁", "█".repeat(31)));
    }
}
