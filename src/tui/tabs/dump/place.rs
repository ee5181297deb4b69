//! Where the cursor is, what is on the screen, and how places are named.

use std::cell::Cell;

use ratatui::layout::Rect;

use crate::image::plain;
use crate::tui::look::Seen;
use crate::tui::widgets::hex_grid;
use crate::units::parse_size;

/// What was drawn last.
#[derive(Clone, Copy, Default)]
pub struct Drawn {
    /// Where the bytes are on the screen.
    pub grid: Rect,
    /// Bytes in a row.
    pub per_row: u32,
    /// First byte.
    pub top: u32,
    /// Rows of the whole tab.
    pub rows: u16,
}

/// The cursor and the part of the file around it.
#[derive(Default)]
pub struct Place {
    /// The byte under the cursor.
    pub cursor: u32,
    /// The first byte of the first row.
    pub top: u32,
    /// What was drawn last.
    pub drawn: Cell<Drawn>,
}

impl Place {
    /// Rows on the screen and bytes in a row, at least one each.
    pub fn page(&self) -> (u32, u32) {
        let drawn = self.drawn.get();
        (u32::from(drawn.grid.height).max(1), drawn.per_row.max(1))
    }

    /// Moves the cursor and scrolls as little as needed.
    pub fn move_to(&mut self, at: i64, last: u32) {
        self.cursor = at.clamp(0, i64::from(last)) as u32;
        let (rows, per_row) = self.page();
        let row = self.cursor / per_row;
        let first = self.top / per_row;
        let first = if row < first {
            row
        } else if row >= first + rows {
            row + 1 - rows
        } else {
            first
        };
        self.top = first * per_row;
    }

    /// Moves the cursor to a place that was jumped to, with some rows above it.
    pub fn jump(&mut self, at: u32, last: u32) {
        let (rows, per_row) = self.page();
        self.cursor = at.min(last);
        let row = self.cursor / per_row;
        let first = self.top / per_row;
        if row < first || row >= first + rows {
            self.top = row.saturating_sub(rows / 3) * per_row;
        }
    }

    /// The byte drawn in a cell of the screen.
    pub fn at_cell(&self, column: u16, row: u16) -> Option<u32> {
        let drawn = self.drawn.get();
        if !drawn.grid.contains((column, row).into()) {
            return None;
        }
        let byte = hex_grid::byte_at(column - drawn.grid.x, drawn.per_row)?;
        Some(drawn.top + u32::from(row - drawn.grid.y) * drawn.per_row + byte)
    }

    /// The first byte to draw: where it was scrolled to, unless the window was changed so that the cursor left it.
    pub fn visible_top(&self, rows: u16, per_row: u32) -> u32 {
        let (first, row, rows) = (self.top / per_row, self.cursor / per_row, u32::from(rows.max(1)));
        let first = if (first..first + rows).contains(&row) { first } else { row.saturating_sub(rows / 3) };
        first * per_row
    }
}

/// The place that an address or a name means. Addresses are hex unless they say otherwise; `+` and `-` count from
/// `cursor`, `c:` is an address of the code and `f:` an offset of the file.
///
/// # Errors
/// What is wrong with it, in words.
pub fn resolve(text: &str, seen: &Seen, names: &[(String, u32)], cursor: u32) -> Result<u32, String> {
    let text = text.trim();
    let outside = |what: &str| format!("{what} is not in {}", seen.lens.name());
    if let Some(code) = text.strip_prefix("c:") {
        let address = number(code)?;
        let at = plain::offset_of(&seen.parts, address).and_then(|offset| seen.at_offset(offset));
        return at.ok_or_else(|| outside(&format!("code address 0x{address:06X}")));
    }
    if let Some(offset) = text.strip_prefix("f:") {
        let offset = number(offset)?;
        return seen.at_offset(offset).ok_or_else(|| outside(&format!("file offset 0x{offset:06X}")));
    }
    let relative = |rest: &str, sign: i64| {
        let at = i64::from(cursor) + sign * i64::from(number(rest)?);
        Ok(at.clamp(0, i64::from(seen.last())) as u32)
    };
    if let Some(rest) = text.strip_prefix('+') {
        return relative(rest, 1);
    }
    if let Some(rest) = text.strip_prefix('-') {
        return relative(rest, -1);
    }
    match number(text) {
        Ok(address) => seen.at(address).ok_or_else(|| outside(&format!("0x{address:06X}"))),
        Err(why) => fitting(text, names).first().map(|(_, at)| *at).ok_or(why),
    }
}

/// The names that hold `text`, those that start with it first.
pub fn fitting<'a>(text: &str, names: &'a [(String, u32)]) -> Vec<&'a (String, u32)> {
    let wanted = text.trim().to_lowercase();
    let mut found: Vec<_> = names.iter().filter(|(name, _)| name.to_lowercase().contains(&wanted)).collect();
    found.sort_by_key(|(name, _)| !name.to_lowercase().starts_with(&wanted));
    found
}

fn number(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text.trim_start_matches("0x").trim_start_matches("0X"), 16)
        .or_else(|_| parse_size(text))
        .map_err(|_| format!("{text:?} is neither an address nor a region; write 1EE000, 4K, +100, c:10000 or a name"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::image::code;
    use crate::tui::look::Lens;
    use crate::tui::shared::OpenFile;

    /// A UA: code and nothing else.
    fn file() -> Arc<OpenFile> {
        let mut program = code::VECTOR.to_le_bytes().repeat(64);
        code::CodeKey::TUYA.apply(&mut program, code::APP_LOGICAL);
        Arc::new(OpenFile::new(Path::new("a.bin"), code::pack(&program).into(), None))
    }

    #[test]
    fn addresses_are_hex_unless_they_say_otherwise() {
        let seen = Seen::file(&Arc::new(OpenFile::new(Path::new("a"), vec![0x12; 0x20_0000].into(), None)));
        let go = |text| resolve(text, &seen, &[], 0x100);
        assert_eq!(go("1EE000"), Ok(0x1E_E000));
        assert_eq!(go(" 0x10 "), Ok(0x10));
        assert_eq!(go("1M"), Ok(0x10_0000));
        assert_eq!((go("+10"), go("-10"), go("-200")), (Ok(0x110), Ok(0xF0), Ok(0)));
        assert!(go("2M").is_err_and(|why| why.contains("0x200000 is not in")));
        assert!(go("xyz").is_err_and(|why| why.contains("neither")));
        assert!(go("c:10000").is_err(), "there is no code");
    }

    #[test]
    fn names_are_found_by_their_beginning_first() {
        let names = [("unknown (RF)".to_owned(), 1), ("RF calibration".to_owned(), 2), ("app".to_owned(), 3)];
        let seen = Seen::file(&file());
        assert_eq!(resolve("rf", &seen, &names, 0), Ok(2));
        assert_eq!(resolve("known", &seen, &names, 0), Ok(1));
        assert_eq!(fitting("", &names).len(), 3);
    }

    #[test]
    fn code_addresses_and_file_offsets_work_whatever_is_seen() {
        let file = file();
        let plain = Seen::file(&file);
        let code = Seen::through(&file, Lens::Code).expect("code");
        assert_eq!(resolve("c:10020", &plain, &[], 0), Ok(34));
        assert_eq!(resolve("10020", &code, &[], 0), Ok(0x20));
        assert_eq!(resolve("f:22", &code, &[], 0), Ok(0x20));
        assert!(resolve("f:9999", &code, &[], 0).is_err());
    }

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let mut place = Place::default();
        place.drawn.set(Drawn { grid: Rect::new(0, 0, 77, 10), per_row: 16, ..Drawn::default() });
        place.move_to(16 * 10, 9999);
        assert_eq!((place.cursor, place.top), (160, 16));
        place.jump(5000, 9999);
        assert_eq!(place.top, (5000 / 16 - 3) * 16);
        place.move_to(-5, 9999);
        assert_eq!((place.cursor, place.top), (0, 0));
    }
}
