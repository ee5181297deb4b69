//! A word in letters two rows high, for eyes that are busy with a soldering iron.

use super::sheet::Sheet;
use crate::tui::theme::Role;

/// Rows of a word.
pub const ROWS: u16 = 2;

/// Four lines of four dots, the uppermost line first, the leftmost dot in the highest bit.
const LETTERS: &[(char, [u8; 4])] = &[
    ('A', [0b0110, 0b1001, 0b1111, 0b1001]),
    ('D', [0b1110, 0b1001, 0b1001, 0b1110]),
    ('G', [0b0111, 0b1000, 0b1011, 0b0110]),
    ('L', [0b1000, 0b1000, 0b1000, 0b1111]),
    ('O', [0b0110, 0b1001, 0b1001, 0b0110]),
];

/// Columns of a word.
pub const fn width(word: &str) -> u16 {
    word.len() as u16 * 5
}

/// Draws a word. A letter that is not in the table is left blank.
pub fn word(sheet: &mut Sheet<'_>, role: Role, word: &str) {
    for upper in [0, 2] {
        let mut line = String::new();
        for letter in word.chars() {
            let dots = LETTERS.iter().find(|(known, _)| *known == letter).map_or([0; 4], |(_, dots)| *dots);
            let pair = dots.get(upper..upper + 2).unwrap_or_default();
            for column in (0..4).rev() {
                let dot = |index: usize| pair.get(index).is_some_and(|dots| dots >> column & 1 == 1);
                line.push(match (dot(0), dot(1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            line.push(' ');
        }
        sheet.line(role, line);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::tui::theme::Theme;

    #[test]
    fn letters_are_two_rows_high() {
        let area = Rect::new(0, 0, width("ALL GOOD"), ROWS);
        let mut buf = Buffer::empty(area);
        word(&mut Sheet::new(area, &mut buf, &Theme::mono()), Role::Ok, "ALL GOOD");
        let row = |y| (0..area.width).map(|x| buf[(x, y)].symbol()).collect::<String>();
        assert_eq!(row(0), "▄▀▀▄ █    █         ▄▀▀▀ ▄▀▀▄ ▄▀▀▄ █▀▀▄ ");
        assert_eq!(row(1), "█▀▀█ █▄▄▄ █▄▄▄      ▀▄█▀ ▀▄▄▀ ▀▄▄▀ █▄▄▀ ");
    }
}
