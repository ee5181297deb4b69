//! Writing text row by row into a rectangle, clipped at its edges.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::tui::keys::KeyLine;
use crate::tui::theme::{Role, Theme};

/// A place to write text. Rows below the rectangle are silently dropped.
pub struct Sheet<'a> {
    buf: &'a mut Buffer,
    area: Rect,
    theme: &'a Theme,
    row: u16,
    column: u16,
}

impl<'a> Sheet<'a> {
    /// A sheet over `area`, at its first cell.
    pub fn new(area: Rect, buf: &'a mut Buffer, theme: &'a Theme) -> Self {
        let area = area.intersection(buf.area);
        Self { buf, area, theme, row: 0, column: 0 }
    }

    /// Columns of the sheet.
    pub const fn width(&self) -> u16 {
        self.area.width
    }

    /// Rows from the present one to the end.
    pub const fn rows_left(&self) -> u16 {
        self.area.height.saturating_sub(self.row)
    }

    /// The present row, 0 at the top.
    pub const fn row(&self) -> u16 {
        self.row
    }

    /// The present column, 0 at the left.
    pub const fn column(&self) -> u16 {
        self.column
    }

    /// What is left below the present row, for a widget.
    pub fn rest(&self) -> Rect {
        let row = self.row.min(self.area.height);
        Rect { y: self.area.y + row, height: self.area.height - row, ..self.area }
    }

    /// The theme.
    pub const fn theme(&self) -> &'a Theme {
        self.theme
    }

    /// The buffer, for a widget that draws into [`Sheet::rest`].
    pub fn buffer(&mut self) -> &mut Buffer {
        self.buf
    }

    /// Writes text at the present place and moves behind it; what does not fit ends in an ellipsis.
    pub fn put(&mut self, role: Role, text: impl AsRef<str>) -> &mut Self {
        let room = self.area.width.saturating_sub(self.column);
        if self.row < self.area.height && room > 0 {
            let text = cut(text.as_ref(), room);
            let (x, y) = (self.area.x + self.column, self.area.y + self.row);
            let (end, _) = self.buf.set_stringn(x, y, &text, room.into(), self.theme.style(role));
            self.column = end - self.area.x;
        }
        self
    }

    /// Moves right to a column; a text that already reaches it is followed by one blank.
    pub fn to(&mut self, column: u16) -> &mut Self {
        self.column = if self.column < column || self.column == 0 { column } else { self.column + 1 };
        self
    }

    /// Goes to the next row.
    pub fn end(&mut self) -> &mut Self {
        self.row += 1;
        self.column = 0;
        self
    }

    /// Goes to a row, never up.
    pub fn down_to(&mut self, row: u16) -> &mut Self {
        if row > self.row {
            self.row = row;
            self.column = 0;
        }
        self
    }

    /// Writes one row.
    pub fn line(&mut self, role: Role, text: impl AsRef<str>) -> &mut Self {
        self.put(role, text).end()
    }

    /// Writes a label and a value: one row of a table with two columns.
    pub fn pair(&mut self, label: &str, column: u16, role: Role, value: impl AsRef<str>) -> &mut Self {
        self.put(Role::Dim, label).to(column).put(role, value).end()
    }

    /// Writes a text over as many rows as it takes, from `indent` on; the first line stays on the present row.
    pub fn paragraph(&mut self, role: Role, indent: u16, text: impl AsRef<str>) -> &mut Self {
        for line in wrap(text.as_ref(), self.area.width.saturating_sub(indent)) {
            self.column = indent;
            self.line(role, line);
        }
        self
    }

    /// Gives the whole present row the style of a role, whatever is written in it later.
    pub fn mark(&mut self, role: Role) -> &mut Self {
        if self.row < self.area.height {
            let row = Rect { y: self.area.y + self.row, height: 1, ..self.area };
            self.buf.set_style(row, self.theme.style(role));
        }
        self
    }

    /// Draws a rule over the whole width.
    pub fn rule(&mut self) -> &mut Self {
        let line = "─".repeat(self.area.width.into());
        self.column = 0;
        self.line(Role::Rule, line)
    }

    /// Writes keys with their names, as many as fit.
    pub fn hints(&mut self, hints: &[KeyLine]) -> &mut Self {
        for hint in hints {
            let width = (hint.keys.width() + 1 + hint.name.width()) as u16;
            if self.column + width > self.area.width {
                break;
            }
            self.put(Role::Key, &hint.keys).put(Role::Text, " ").put(Role::Text, hint.name);
            self.column += 3;
        }
        self
    }
}

/// The text, or its beginning and an ellipsis, in at most `width` columns.
pub fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used < width
        })
        .collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// The end of a text behind an ellipsis, in at most `width` columns: for paths.
pub fn cut_front(text: &str, width: u16) -> String {
    let width = usize::from(width);
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let kept: Vec<char> = text
        .chars()
        .rev()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used < width
        })
        .collect();
    std::iter::once('…').take(width).chain(kept.into_iter().rev()).collect()
}

/// Breaks a text into lines of at most `width` columns, between words where it can; longer words are cut.
pub fn wrap(text: &str, width: u16) -> Vec<String> {
    let width = usize::from(width.max(1));
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let gap = usize::from(!line.is_empty());
            if line.width() + gap + word.width() <= width {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for c in word.chars() {
                if line.width() + c.width().unwrap_or(0) > width {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line);
    }
    lines
}

/// Cuts a rectangle at a column: left of it, and from the column behind it on.
pub fn split_columns(area: Rect, left: u16) -> (Rect, Rect) {
    let left = left.min(area.width);
    let gap = 1.min(area.width - left);
    (Rect { width: left, ..area }, Rect { x: area.x + left + gap, width: area.width - left - gap, ..area })
}

/// Cuts a rectangle at a row.
pub fn split_rows(area: Rect, upper: u16) -> (Rect, Rect) {
    let upper = upper.min(area.height);
    (Rect { height: upper, ..area }, Rect { y: area.y + upper, height: area.height - upper, ..area })
}

/// Draws the rule between two panes in the column left of `right`.
pub fn column_rule(right: Rect, buf: &mut Buffer, theme: &Theme) {
    for y in right.top()..right.bottom() {
        if let Some(x) = right.x.checked_sub(1) {
            buf.set_string(x, y, "│", theme.style(Role::Rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a\nb", 7), ["a", "b"]);
    }

    #[test]
    fn a_word_that_is_too_long_is_cut_and_nothing_is_lost() {
        let lines = wrap("ab 0123456789 cd", 4);
        assert_eq!(lines, ["ab", "0123", "4567", "89", "cd"]);
    }

    #[test]
    fn cut_texts_show_that_they_are_cut() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("abcd", 0), "");
        assert_eq!(cut_front("/home/somebody/file.bin", 9), "…file.bin");
    }

    #[test]
    fn nothing_is_written_outside_the_sheet() {
        let theme = Theme::mono();
        let mut buf = Buffer::empty(Rect::new(0, 0, 10, 3));
        let mut sheet = Sheet::new(Rect::new(2, 1, 4, 1), &mut buf, &theme);
        sheet.line(Role::Text, "too long").line(Role::Text, "too low");
        let rows: Vec<String> = (0..3).map(|y| (0..10).map(|x| buf[(x, y)].symbol()).collect()).collect();
        assert_eq!(rows, ["          ", "  too…    ", "          "]);
    }
}
