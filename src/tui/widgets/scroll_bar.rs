//! A column that stands for a whole file: which part is on the screen, and where hits and bookmarks are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::glyph;
use crate::tui::theme::{Role, Theme};

/// What the bar shows; places are byte offsets.
pub struct ScrollBar<'a> {
    /// Bytes of the file.
    pub len: u32,
    /// First byte on the screen.
    pub top: u32,
    /// Bytes on the screen.
    pub shown: u32,
    /// Search hits, or differing ranges, in file order.
    pub hits: &'a [(u32, u32)],
    /// Bookmarks in file order.
    pub marks: &'a [u32],
}

impl ScrollBar<'_> {
    /// Draws into the first column of `area`.
    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let rows = u64::from(area.height.max(1));
        let place = |row: u64| (u64::from(self.len) * row / rows) as u32;
        for row in 0..area.height {
            let (from, to) = (place(row.into()), place(u64::from(row) + 1));
            let first = self.hits.partition_point(|(at, len)| at.saturating_add(*len) <= from);
            let hit = self.hits.get(first).is_some_and(|(at, _)| *at < to);
            let first = self.marks.partition_point(|at| *at < from);
            let marked = self.marks.get(first).is_some_and(|at| *at < to);
            let visible = from < self.top.saturating_add(self.shown) && to > self.top;
            let (symbol, role) = match (marked, hit, visible) {
                (true, _, _) => (glyph::STEP_DONE, Role::Key),
                (_, true, true) => ("▓", Role::Warn),
                (_, true, false) => ("▒", Role::Warn),
                (_, _, true) => ("█", Role::Dim),
                (_, _, false) => ("│", Role::Rule),
            };
            if let Some(cell) = buf.cell_mut((area.x, area.y + row)) {
                cell.set_symbol(symbol).set_style(theme.style(role));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bar: &ScrollBar<'_>, rows: u16) -> String {
        let area = Rect::new(0, 0, 1, rows);
        let mut buf = Buffer::empty(area);
        bar.render(area, &mut buf, &Theme::mono());
        (0..rows).map(|y| buf[(0, y)].symbol()).collect()
    }

    #[test]
    fn hits_bookmarks_and_what_is_on_the_screen_have_signs_of_their_own() {
        let bar = ScrollBar { len: 1000, top: 200, shown: 200, hits: &[(0, 3), (250, 3), (895, 10)], marks: &[550] };
        assert_eq!(drawn(&bar, 10), "▒│▓█│●││▒▒", "a hit over a border shows on both sides");
    }

    #[test]
    fn an_empty_file_is_no_fault() {
        assert_eq!(drawn(&ScrollBar { len: 0, top: 0, shown: 0, hits: &[], marks: &[] }, 2), "││");
    }
}
