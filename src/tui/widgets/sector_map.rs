//! The chip as a field of sectors, one glyph for each state.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::sheet::Sheet;
use crate::job::SectorState;
use crate::tui::theme::{Role, Theme};
use crate::units::SECTOR;

/// Columns of the offset before each row.
const OFFSET: u16 = 9;

/// Glyph and role of a state.
const fn look(state: SectorState) -> (&'static str, Role) {
    match state {
        SectorState::Kept => ("·", Role::Sector),
        SectorState::Waiting => ("▒", Role::SectorWaiting),
        SectorState::Erased => ("░", Role::SectorErased),
        SectorState::Written => ("▓", Role::SectorWritten),
        SectorState::Verified => ("█", Role::SectorVerified),
        SectorState::Unknown => ("✘", Role::SectorUnknown),
    }
}

/// States in the order of the legend.
const LEGEND: [SectorState; 6] = [
    SectorState::Verified,
    SectorState::Written,
    SectorState::Erased,
    SectorState::Waiting,
    SectorState::Kept,
    SectorState::Unknown,
];

/// Which of several sectors in one cell is the one to show: the one a person has to know of.
const fn weight(state: SectorState) -> u8 {
    match state {
        SectorState::Kept => 0,
        SectorState::Verified => 1,
        SectorState::Waiting => 2,
        SectorState::Written => 3,
        SectorState::Erased => 4,
        SectorState::Unknown => 5,
    }
}

/// Cells in a row: a power of two, so that every row begins at a round offset.
fn cells_per_row(width: u16) -> u16 {
    [128, 64, 32, 16].into_iter().find(|cells| OFFSET + cells <= width).unwrap_or(8)
}

/// Rows and sectors per cell for a chip of `sectors` in this width, in at most `most` rows.
fn shape(sectors: usize, width: u16, most: u16) -> (u16, usize) {
    let row = usize::from(cells_per_row(width));
    let mut per_cell = 1;
    while sectors.div_ceil(row * per_cell) > usize::from(most.max(1)) {
        per_cell *= 2;
    }
    (sectors.div_ceil(row * per_cell) as u16, per_cell)
}

/// Glyph, role and word of a state, with what the present says about it: while a job runs, a sector that holds neither
/// old nor new content is being worked on; afterwards it is a sector to worry about.
const fn told(state: SectorState, live: bool) -> (&'static str, Role, &'static str) {
    let (glyph, role) = look(state);
    match state {
        SectorState::Unknown if live => ("◉", Role::SectorWritten, "in work"),
        SectorState::Waiting => (glyph, role, "to do"),
        _ => (glyph, role, state.word()),
    }
}

/// Draws the map with its legend below; returns the rows used. `live` says that a job is at it now.
pub fn render(states: &[SectorState], live: bool, area: Rect, buf: &mut Buffer, theme: &Theme) -> u16 {
    if states.is_empty() || area.height < 2 {
        return 0;
    }
    let (rows, per_cell) = shape(states.len(), area.width, area.height - 1);
    let row_sectors = usize::from(cells_per_row(area.width)) * per_cell;
    let mut sheet = Sheet::new(area, buf, theme);
    for (number, row) in states.chunks(row_sectors).enumerate() {
        sheet.put(Role::Address, format!("{:06X}", number * row_sectors * SECTOR as usize)).to(OFFSET);
        for cell in row.chunks(per_cell) {
            let state = cell.iter().copied().max_by_key(|state| weight(*state)).unwrap_or(SectorState::Kept);
            let (glyph, role, _) = told(state, live);
            sheet.put(role, glyph);
        }
        sheet.end();
    }
    for state in LEGEND {
        let (glyph, role, word) = told(state, live);
        sheet.put(role, glyph).put(Role::Dim, format!(" {word}  "));
    }
    if per_cell > 1 {
        sheet.put(Role::Dim, format!("{per_cell} sectors a cell"));
    }
    rows + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(states: &[SectorState], width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        render(states, false, area, &mut buf, &Theme::mono());
        (0..height)
            .map(|y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn a_two_mebibyte_chip_is_eight_rows_of_64() {
        let mut states = vec![SectorState::Kept; 512];
        states[64..70].fill(SectorState::Verified);
        states[70] = SectorState::Erased;
        let rows = map(&states, 78, 10);
        assert_eq!(rows[0], format!("000000   {}", "·".repeat(64)));
        assert_eq!(rows[1], format!("040000   ██████░{}", "·".repeat(57)));
        assert!(rows[8].contains("█ verified") && rows[8].contains("· kept"));
        assert_eq!(rows[9], "");
    }

    #[test]
    fn with_less_room_a_cell_stands_for_several_sectors_and_shows_the_worst() {
        let mut states = vec![SectorState::Verified; 512];
        states[3] = SectorState::Unknown;
        let rows = map(&states, 60, 6);
        assert_eq!(rows[0], format!("000000   ✘{}", "█".repeat(31)));
        assert!(rows[4].ends_with("sectors a cell") || rows[4].contains("unknown"));
    }
}
