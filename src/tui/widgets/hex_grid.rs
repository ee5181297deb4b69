//! Bytes as rows of offset, hex and text. Writes cells directly: thousands of them change with every page.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::theme::{Role, Theme};

const DIGITS: &str = "0123456789ABCDEF";
/// The printable part of ASCII, from the blank on.
const PRINTABLE: &str =
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
/// Columns of an offset and the gap behind it.
const OFFSET: u16 = 10;

/// What is shown.
pub struct HexGrid<'a> {
    /// The file.
    pub bytes: &'a [u8],
    /// Offset of the first row.
    pub top: u32,
    /// The byte under the cursor.
    pub cursor: u32,
    /// Search hits in file order, offset and length; only those near the view matter.
    pub hits: &'a [(u32, u32)],
    /// The current hit.
    pub here: Option<(u32, u32)>,
}

/// How many bytes a row of this width takes: 4, 8, 16, 32 or 64.
pub fn bytes_per_row(width: u16) -> u32 {
    [64, 32, 16, 8].into_iter().find(|count| row_width(*count) <= u32::from(width)).unwrap_or(4)
}

/// Offset, pairs with a wider gap after each eight, text.
const fn row_width(count: u32) -> u32 {
    OFFSET as u32 + count * 3 + count / 8 + 1 + count
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Blank,
    Text,
    Other,
    Hit,
    Here,
}

struct Styles {
    address: Style,
    blank: Style,
    text: Style,
    other: Style,
    hit: Style,
    here: Style,
}

impl Styles {
    fn of(&self, class: Class) -> Style {
        match class {
            Class::Blank => self.blank,
            Class::Text => self.text,
            Class::Other => self.other,
            Class::Hit => self.hit,
            Class::Here => self.here,
        }
    }
}

impl HexGrid<'_> {
    /// Draws as many rows as fit.
    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buf.area);
        let count = bytes_per_row(area.width);
        let styles = Styles {
            address: theme.style(Role::Address),
            blank: theme.style(Role::ByteBlank),
            text: theme.style(Role::ByteText),
            other: theme.style(Role::Byte),
            hit: theme.style(Role::ByteHit),
            here: theme.style(Role::ByteHere),
        };
        let shown = u64::from(self.top)..u64::from(self.top) + u64::from(count) * u64::from(area.height);
        let hits = self.hits_within(&shown);
        for row in 0..area.height {
            let start = u64::from(self.top) + u64::from(row) * u64::from(count);
            if start >= self.bytes.len() as u64 {
                break;
            }
            self.row(start as u32, count, area.x, area.y + row, area.width, hits, buf, &styles);
        }
    }

    fn hits_within(&self, shown: &Range<u64>) -> &[(u32, u32)] {
        let first = self.hits.partition_point(|(at, len)| u64::from(*at) + u64::from(*len) <= shown.start);
        let last = self.hits.partition_point(|(at, _)| u64::from(*at) < shown.end);
        self.hits.get(first..last.max(first)).unwrap_or_default()
    }

    #[expect(clippy::too_many_arguments, reason = "one row of a tight loop; a struct would only rename them")]
    fn row(
        &self,
        start: u32,
        count: u32,
        x: u16,
        y: u16,
        width: u16,
        hits: &[(u32, u32)],
        buf: &mut Buffer,
        styles: &Styles,
    ) {
        let right = x + width;
        for digit in 0..8_u16 {
            let nibble = (start >> (28 - 4 * digit)) as usize & 0xF;
            set(buf, x + digit, y, right, &DIGITS[nibble..=nibble], styles.address);
        }
        let text_x = x + OFFSET + (count * 3 + count / 8) as u16;
        for column in 0..count {
            let offset = start + column;
            let Some(&byte) = self.bytes.get(offset as usize) else { break };
            let class = self.class(offset, byte, hits);
            let style = styles.of(class);
            let at = x + OFFSET + (column * 3 + column / 8) as u16;
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0xF));
            set(buf, at, y, right, &DIGITS[high..=high], style);
            set(buf, at + 1, y, right, &DIGITS[low..=low], style);
            // The gap takes the style of the byte before it, so that a run of one class is one run on the wire too.
            if matches!(class, Class::Blank | Class::Text | Class::Other) && column + 1 < count {
                set(buf, at + 2, y, right, " ", style);
            } else if class == Class::Hit && self.is_hit(offset + 1, hits) && column % 8 != 7 {
                set(buf, at + 2, y, right, " ", styles.hit);
            }
            let symbol = match byte {
                0x20..0x7F => {
                    let index = usize::from(byte - 0x20);
                    &PRINTABLE[index..=index]
                }
                _ => "·",
            };
            set(buf, text_x + column as u16, y, right, symbol, style);
        }
    }

    fn class(&self, offset: u32, byte: u8, hits: &[(u32, u32)]) -> Class {
        let inside = |(at, len): (u32, u32)| offset >= at && offset - at < len;
        if offset == self.cursor || self.here.is_some_and(inside) {
            return Class::Here;
        }
        if !hits.is_empty() && self.is_hit(offset, hits) {
            return Class::Hit;
        }
        match byte {
            0x00 | 0xFF => Class::Blank,
            0x20..0x7F => Class::Text,
            _ => Class::Other,
        }
    }

    fn is_hit(&self, offset: u32, hits: &[(u32, u32)]) -> bool {
        let before = hits.partition_point(|(at, _)| *at <= offset);
        // Hits of one pattern have one length, or do not overlap: the nearest one before decides.
        before.checked_sub(1).and_then(|index| hits.get(index)).is_some_and(|(at, len)| offset - at < *len)
    }
}

fn set(buf: &mut Buffer, x: u16, y: u16, right: u16, symbol: &str, style: Style) {
    if x < right
        && let Some(cell) = buf.cell_mut((x, y))
    {
        cell.set_symbol(symbol).set_style(style);
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
        HexGrid { bytes, top: 0, cursor: u32::MAX, hits: &[], here: None }
    }

    #[test]
    fn a_row_is_offset_hex_and_text() {
        let bytes: Vec<u8> = (0x2B..0x3B).chain([0x00, 0xFF]).collect();
        assert_eq!(
            rows(&grid(&bytes), 80, 3),
            [
                "00000000  2B 2C 2D 2E 2F 30 31 32  33 34 35 36 37 38 39 3A  +,-./0123456789:",
                "00000010  00 FF                                             ··",
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
}
