//! Bytes as rows of offset, hex and text. What is no letter has a sign of its kind: `·` for 00, `░` for FF, `°` for other
//! control characters, `¬` from 80 on. Writes cells directly: thousands of them change with every page.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::glyph;
use crate::tui::theme::{Role, Theme};
use crate::units::Span;

const DIGITS: &str = "0123456789ABCDEF";
/// The printable part of ASCII, from the blank on.
const PRINTABLE: &str =
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
/// Columns of an offset and the gap behind it.
const OFFSET: usize = 10;
/// The column of that gap in which a bookmark shows.
const MARK: u16 = 8;

/// What is shown.
pub struct HexGrid<'a> {
    /// What is seen.
    pub bytes: &'a [u8],
    /// Address of its first byte.
    pub base: u32,
    /// Offset of the first row.
    pub top: u32,
    /// The byte under the cursor.
    pub cursor: u32,
    /// Search hits in file order, offset and length; only those near the view matter.
    pub hits: &'a [(u32, u32)],
    /// The current hit.
    pub here: Option<(u32, u32)>,
    /// What is selected.
    pub selected: Option<Span>,
    /// Bookmarks in file order; their rows carry a sign.
    pub marks: &'a [u32],
    /// The bytes these are compared with.
    pub other: Option<&'a [u8]>,
}

/// How many bytes a row of this width takes: 4, 8, 16, 32 or 64.
pub fn bytes_per_row(width: u16) -> u32 {
    [64, 32, 16, 8].into_iter().find(|count| row_width(*count) <= usize::from(width)).unwrap_or(4) as u32
}

/// Offset, pairs with a wider gap after each eight, text.
const fn row_width(count: usize) -> usize {
    OFFSET + count * 3 + count / 8 + 1 + count
}

/// Which byte of a row a column belongs to, in a grid of `count` bytes a row; `None` in the offset and in gaps.
pub fn byte_at(column: u16, count: u32) -> Option<u32> {
    let (column, count) = (usize::from(column), count as usize);
    let text = OFFSET + count * 3 + count / 8;
    let byte = match column.checked_sub(text) {
        Some(letter) => Some(letter).filter(|letter| *letter < count),
        None => (0..count).find(|byte| (0..2).contains(&column.wrapping_sub(OFFSET + byte * 3 + byte / 8))),
    };
    byte.map(|byte| byte as u32)
}

/// What a byte is drawn as. Single bytes of a kind say little and would change the colour at every other cell, which
/// costs more on the wire than the bytes themselves: only runs count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// Part of at least [`RUN`] bytes 00 or FF.
    Blank,
    /// Part of at least [`RUN`] printable bytes.
    Text,
    Other,
    Differs,
    Hit,
    Selected,
    Here,
}

/// Shortest run that is drawn as text or as blank.
const RUN: usize = 4;

impl Class {
    const fn of(byte: u8) -> Self {
        match byte {
            0x00 | 0xFF => Self::Blank,
            0x20..0x7F => Self::Text,
            _ => Self::Other,
        }
    }

    const fn role(self) -> Role {
        match self {
            Self::Blank => Role::ByteBlank,
            Self::Text => Role::ByteText,
            Self::Other => Role::Byte,
            Self::Differs => Role::ByteDiffers,
            Self::Hit => Role::ByteHit,
            Self::Selected => Role::Selected,
            Self::Here => Role::ByteHere,
        }
    }
}

impl HexGrid<'_> {
    /// Draws as many rows as fit.
    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buf.area);
        let count = bytes_per_row(area.width) as usize;
        let start = (self.top as usize).min(self.bytes.len());
        let end = (start + count * usize::from(area.height)).min(self.bytes.len());
        let classes = self.classes(start..end);
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        for (number, (row, classes)) in bytes.chunks(count).zip(classes.chunks(count)).enumerate() {
            let place = Rect { y: area.y + number as u16, height: 1, ..area };
            let offset = start + number * count;
            let address = (self.base as usize).saturating_add(offset);
            draw_row(address, row, classes, count, place, buf, theme);
            if self.is_marked(offset, row.len())
                && let Some(cell) = buf.cell_mut((area.x + MARK, place.y))
            {
                cell.set_symbol(glyph::STEP_DONE).set_style(theme.style(Role::Key));
            }
        }
    }

    /// The class of every byte in a range. Runs are measured past its ends, so that scrolling changes no colour.
    fn classes(&self, shown: Range<usize>) -> Vec<Class> {
        let from = shown.start.saturating_sub(RUN - 1);
        let to = (shown.end + RUN - 1).min(self.bytes.len());
        let mut classes = Vec::with_capacity(to - from);
        let around = self.bytes.get(from..to).unwrap_or_default();
        for run in around.chunk_by(|a, b| Class::of(*a) == Class::of(*b)) {
            let class = run.first().filter(|_| run.len() >= RUN).map_or(Class::Other, |byte| Class::of(*byte));
            classes.resize(classes.len() + run.len(), class);
        }
        classes.drain(..(shown.start - from).min(classes.len()));
        classes.truncate(shown.len());
        if let Some(other) = self.other {
            let other = other.get(shown.start.min(other.len())..).unwrap_or_default();
            let shown = self.bytes.get(shown.clone()).unwrap_or_default();
            for (at, class) in classes.iter_mut().enumerate() {
                if shown.get(at) != other.get(at) {
                    *class = Class::Differs;
                }
            }
        }
        let mut mark = |at: u32, len: u32, class: Class| {
            let first = (at as usize).max(shown.start);
            let last = (at as usize).saturating_add(len as usize).min(shown.end);
            if let Some(place) =
                (first < last).then(|| classes.get_mut(first - shown.start..last - shown.start)).flatten()
            {
                place.fill(class);
            }
        };
        for (at, len) in self.hits_within(&shown) {
            mark(*at, *len, Class::Hit);
        }
        if let Some(span) = self.selected {
            mark(span.start, span.len, Class::Selected);
        }
        if let Some((at, len)) = self.here {
            mark(at, len, Class::Here);
        }
        mark(self.cursor, 1, Class::Here);
        classes
    }

    fn is_marked(&self, offset: usize, len: usize) -> bool {
        let first = self.marks.partition_point(|at| (*at as usize) < offset);
        self.marks.get(first).is_some_and(|at| (*at as usize) < offset + len)
    }

    fn hits_within(&self, shown: &Range<usize>) -> &[(u32, u32)] {
        let first = self.hits.partition_point(|(at, len)| *at as usize + *len as usize <= shown.start);
        let last = self.hits.partition_point(|(at, _)| (*at as usize) < shown.end);
        self.hits.get(first..last.max(first)).unwrap_or_default()
    }
}

fn draw_row(offset: usize, row: &[u8], classes: &[Class], count: usize, place: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut set = |x: usize, symbol: &str, style: Style| {
        if x < usize::from(place.width)
            && let Some(cell) = buf.cell_mut((place.x + x as u16, place.y))
        {
            cell.set_symbol(symbol).set_style(style);
        }
    };
    let address = theme.style(Role::Address);
    for digit in 0..8 {
        let nibble = (offset >> (28 - 4 * digit)) & 0xF;
        set(digit, &DIGITS[nibble..=nibble], address);
    }
    let text = OFFSET + count * 3 + count / 8;
    for (column, (byte, class)) in row.iter().zip(classes).enumerate() {
        let style = theme.style(class.role());
        let at = OFFSET + column * 3 + column / 8;
        let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0xF));
        set(at, &DIGITS[high..=high], style);
        set(at + 1, &DIGITS[low..=low], style);
        // The gap belongs to a run that goes on, so that the run is one on the wire too.
        if classes.get(column + 1) == Some(class) {
            set(at + 2, " ", style);
            if column % 8 == 7 {
                set(at + 3, " ", style);
            }
        }
        let symbol = match byte {
            0x20..=0x7E => {
                let index = usize::from(byte - 0x20);
                &PRINTABLE[index..=index]
            }
            0x00 => "·",
            0xFF => "░",
            0x80.. => "¬",
            _ => "°",
        };
        set(text + column, symbol, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(grid: &HexGrid<'_>, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        grid.render(area, &mut buf, &Theme::mono());
        (0..height)
            .map(|y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
            .collect()
    }

    const fn grid(bytes: &[u8]) -> HexGrid<'_> {
        HexGrid {
            bytes,
            base: 0,
            top: 0,
            cursor: u32::MAX,
            hits: &[],
            here: None,
            selected: None,
            marks: &[],
            other: None,
        }
    }

    #[test]
    fn a_row_is_offset_hex_and_text() {
        let bytes: Vec<u8> = (0x2B..0x3B).chain([0x00, 0xFF]).collect();
        assert_eq!(
            rows(&grid(&bytes), 80, 3),
            [
                "00000000  2B 2C 2D 2E 2F 30 31 32  33 34 35 36 37 38 39 3A  +,-./0123456789:",
                "00000010  00 FF                                             ·░",
                ""
            ]
        );
    }

    #[test]
    fn rows_get_wider_with_the_room() {
        assert_eq!([60, 79, 80, 142, 160, 200].map(bytes_per_row), [8, 16, 16, 16, 32, 32]);
        assert_eq!(bytes_per_row(30), 4, "even a narrow window shows something");
    }

    #[test]
    fn the_page_starts_where_the_top_is_and_ends_with_the_file() {
        let bytes = [0x41; 40];
        let shown = rows(&HexGrid { top: 32, ..grid(&bytes) }, 80, 2);
        assert!(shown[0].starts_with("00000020  41 41 41 41 41 41 41 41 "), "{}", shown[0]);
        assert_eq!(shown[1], "");
    }

    #[test]
    fn only_runs_count_as_text_or_blank_also_across_the_edges_of_the_page() {
        let bytes = *b"abcdeff\x01ab\x00\x00\x00\x00\x00\x80";
        let classes = |range| grid(&bytes).classes(range);
        let all = classes(0..16);
        assert_eq!(all[..7], [Class::Text; 7]);
        assert_eq!(all[7..10], [Class::Other; 3], "two letters are no text");
        assert_eq!(all[10..15], [Class::Blank; 5]);
        assert_eq!(classes(5..12), all[5..12], "the same bytes look the same on every page");
    }

    #[test]
    fn hits_and_the_current_hit_are_styled() {
        let bytes = [0x41; 64];
        let theme = Theme::load("dark").expect("dark");
        let area = Rect::new(0, 0, 80, 2);
        let mut buf = Buffer::empty(area);
        let hits = [(2, 3), (16, 3)];
        HexGrid { hits: &hits, here: Some((2, 3)), ..grid(&bytes) }.render(area, &mut buf, &theme);
        let bg = |x, y| buf[(x, y)].bg;
        assert_eq!(Some(bg(16, 0)), theme.style(Role::ByteHere).bg);
        assert_eq!(Some(bg(10, 1)), theme.style(Role::ByteHit).bg);
        assert_eq!(Some(bg(10, 0)), theme.style(Role::ByteText).bg);
        assert_eq!(Some(bg(19, 1)), theme.style(Role::ByteText).bg, "the byte after the hit is none");
    }

    #[test]
    fn a_column_belongs_to_the_byte_that_is_drawn_there() {
        let bytes: Vec<u8> = (0x41..0x51).collect();
        let row: Vec<char> = rows(&grid(&bytes), 80, 1)[0].chars().collect();
        for (number, byte) in bytes.iter().enumerate() {
            let hex: Vec<char> = format!("{byte:02X}").chars().collect();
            let here: Vec<usize> = (0..row.len()).filter(|x| byte_at(*x as u16, 16) == Some(number as u32)).collect();
            assert_eq!([row[here[0]], row[here[1]], row[here[2]]], [hex[0], hex[1], char::from(*byte)]);
        }
        assert_eq!([0, 9, 12, 34, 76, 99].map(|x| byte_at(x, 16)), [None; 6]);
    }

    #[test]
    fn selection_differences_and_bookmarks_are_seen() {
        let bytes = [0x41; 64];
        let mut other = bytes;
        other[20] = 0;
        let theme = Theme::load("dark").expect("dark");
        let area = Rect::new(0, 0, 80, 4);
        let mut buf = Buffer::empty(area);
        HexGrid { selected: Some(Span::new(2, 2)), marks: &[17, 40], other: Some(&other[..62]), ..grid(&bytes) }
            .render(area, &mut buf, &theme);
        assert_eq!(Some(buf[(16, 0)].bg), theme.style(Role::Selected).bg);
        assert_eq!(Some(buf[(22, 0)].fg), theme.style(Role::ByteText).fg, "behind the selection");
        assert_eq!(Some(buf[(22, 1)].fg), theme.style(Role::ByteDiffers).fg);
        assert_eq!(Some(buf[(73, 3)].fg), theme.style(Role::ByteText).fg);
        assert_eq!(Some(buf[(74, 3)].fg), theme.style(Role::ByteDiffers).fg, "the other one ends before");
        let marks: Vec<&str> = (0..4).map(|y| buf[(8, y)].symbol()).collect();
        assert_eq!(marks, [" ", "●", "●", " "]);
    }

    #[test]
    fn offsets_start_at_the_address_of_the_first_byte() {
        assert!(rows(&HexGrid { base: 0x10000, ..grid(&[1, 2]) }, 80, 1)[0].starts_with("00010000  01 02"));
    }

    #[test]
    fn each_kind_of_byte_has_its_sign() {
        assert!(rows(&grid(&[0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF, 0x41]), 80, 1)[0].ends_with("·°°¬¬░A"));
    }
}
