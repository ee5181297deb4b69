//! The symbols of the screen, each one cell wide, and what stands in for them where the terminal cannot show them.
//! Everything is drawn with the rich symbols; [`to_ascii`] then translates a finished frame, so that no symbol can
//! slip through.

use ratatui::buffer::Buffer;

use super::theme::Role;
use crate::units::Verdict;
pub use crate::units::is_utf8;

/// The current row.
pub const HERE: &str = "▶";
/// Proven, done, ticked.
pub const PROVEN: &str = "✔";
/// Said by a person, not measured.
pub const SAID: &str = "•";
/// Failed.
pub const FAILED: &str = "✘";
/// The importers disagree.
pub const DIFFERS: &str = "≠";
/// A finished step of the journey.
pub const STEP_DONE: &str = "●";
/// A step of the journey that lies ahead.
pub const STEP_AHEAD: &str = "○";

/// Symbol and role of a verdict word.
pub const fn verdict(verdict: Verdict) -> (&'static str, Role) {
    match verdict {
        Verdict::Proven => (PROVEN, Role::Ok),
        Verdict::Likely => ("~", Role::Likely),
        Verdict::Unsure => ("?", Role::Warn),
        Verdict::NotChecked => ("·", Role::Dim),
    }
}

const STAND_INS: &[(&str, &str)] = &[
    ("≠", "!"),
    ("▀", "\""),
    ("▄", "_"),
    ("✔", "+"),
    ("✘", "x"),
    ("•", "*"),
    ("·", "."),
    ("▶", ">"),
    ("●", "*"),
    ("○", "o"),
    ("◉", "@"),
    ("▣", "#"),
    ("─", "-"),
    ("│", "|"),
    ("┌", "+"),
    ("┐", "+"),
    ("└", "+"),
    ("┘", "+"),
    ("├", "+"),
    ("┤", "+"),
    ("┬", "+"),
    ("┴", "+"),
    ("█", "#"),
    ("▂", "."),
    ("▃", ":"),
    ("▄", "-"),
    ("▅", "="),
    ("▆", "+"),
    ("▇", "*"),
    ("▓", "%"),
    ("▒", "="),
    ("░", "_"),
    ("▁", "_"),
    ("▲", "^"),
    ("▾", "v"),
    ("→", ">"),
    ("←", "<"),
    ("↑", "^"),
    ("↓", "v"),
    ("…", "~"),
    ("–", "-"),
    ("—", "-"),
    ("×", "x"),
    ("§", "S"),
    ("µ", "u"),
    ("°", "'"),
    ("¬", "~"),
];

/// Translates a finished frame to ASCII; a symbol without a stand-in becomes a question mark.
pub fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let stand_in = STAND_INS.iter().find(|(rich, _)| *rich == symbol).map_or("?", |(_, plain)| plain);
        cell.set_symbol(stand_in);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn every_symbol_is_one_cell_wide_and_has_an_ascii_stand_in() {
        for (rich, plain) in STAND_INS {
            assert_eq!(rich.width(), 1, "{rich}");
            assert!(plain.is_ascii() && plain.len() == 1, "{plain}");
        }
    }

    #[test]
    fn a_translated_frame_holds_nothing_but_ascii() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 12, 1));
        buf.set_string(0, 0, "✔ é日→▶ok", Style::new());
        to_ascii(&mut buf);
        assert!(buf.content.iter().all(|cell| cell.symbol().is_ascii()));
        assert_eq!(buf.content[0].symbol(), "+");
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let set = |text: &str| Some(text.to_owned());
        assert!(is_utf8([None, None, set("de_DE.UTF-8")]));
        assert!(is_utf8([set("C.utf8"), None, set("C")]));
        if !cfg!(windows) {
            assert!(!is_utf8([set("C"), None, set("de_DE.UTF-8")]));
            assert!(!is_utf8([None, None, None]));
        }
    }
}
