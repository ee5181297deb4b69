//! The prompt of the Dump tab, and the hits of a search.

use std::sync::Arc;

use crossterm::event::KeyEvent;

use crate::image::search::{Hits, Pattern};
use crate::problem::Explain;
use crate::tui::keys;
use crate::tui::msg::Search;
use crate::tui::widgets::field::Field;
use crate::units::parse_size;

/// What a first search looks for: the pin map of Tuya firmware.
const FIRST: &str = "pin";

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Text as it stands.
    Text,
    /// Bytes in hex with wildcards.
    Hex,
    /// Text with two bytes a character.
    Utf16,
    /// A regular expression over bytes.
    Regex,
}

impl How {
    /// The word before the field.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Hex => "hex",
            Self::Utf16 => "UTF-16",
            Self::Regex => "regex",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Text => Self::Hex,
            Self::Hex => Self::Utf16,
            Self::Utf16 => Self::Regex,
            Self::Regex => Self::Text,
        }
    }

    fn pattern(self, text: &str) -> Result<Pattern, String> {
        let pattern = match self {
            Self::Text => Pattern::text(text),
            Self::Utf16 => Pattern::utf16(text),
            Self::Hex => Pattern::hex(text),
            Self::Regex => Pattern::regex(text),
        };
        pattern.map_err(|error| {
            let problem = error.explain();
            format!("{}: {}", problem.what.lines().next().unwrap_or_default(), problem.remedy)
        })
    }
}

/// A line that is being typed.
pub struct Prompt {
    /// The text.
    pub field: Field,
    /// `None` for an address.
    pub how: Option<How>,
    /// What is wrong with what was entered.
    pub wrong: Option<String>,
}

/// What became of a key.
pub enum Answer {
    /// The line goes on.
    Editing,
    /// It was given up.
    Closed,
    /// An address was entered.
    Goto(u32),
    /// A search was entered.
    Search {
        /// As typed.
        text: String,
        /// How it is written.
        how: How,
        /// What to search for.
        pattern: Pattern,
    },
}

impl Prompt {
    /// A prompt for a search, with the last one in it.
    pub fn search(last: Option<&(String, How)>) -> Self {
        let (text, how) = last.map_or((FIRST, How::Text), |(text, how)| (text.as_str(), *how));
        Self { field: Field::prefilled(text), how: Some(how), wrong: None }
    }

    /// A prompt for an address.
    pub fn goto() -> Self {
        Self { field: Field::default(), how: None, wrong: None }
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        self.field.paste(text);
    }

    /// Takes a key.
    pub fn key(&mut self, key: &KeyEvent) -> Answer {
        if keys::is(key, "esc") {
            return Answer::Closed;
        }
        if keys::is(key, "tab")
            && let Some(how) = self.how
        {
            self.how = Some(how.next());
            self.wrong = None;
            return Answer::Editing;
        }
        if !keys::is(key, "enter") {
            if self.field.key(key) {
                self.wrong = None;
            }
            return Answer::Editing;
        }
        let text = self.field.text().to_owned();
        if text.is_empty() {
            return Answer::Closed;
        }
        let entered = match self.how {
            None => address(&text).map(Answer::Goto),
            Some(how) => how.pattern(&text).map(|pattern| Answer::Search { text, how, pattern }),
        };
        entered.unwrap_or_else(|why| {
            self.wrong = Some(why);
            Answer::Editing
        })
    }
}

/// An address as a hex view takes it: hex with or without 0x, or with K or M behind it.
fn address(text: &str) -> Result<u32, String> {
    let text = text.trim();
    u32::from_str_radix(text.trim_start_matches("0x").trim_start_matches("0X"), 16)
        .or_else(|_| parse_size(text))
        .map_err(|_| format!("{text:?} is no address; write 1EE000, 0x1EE000, 4K or 2M"))
}

/// The hits of a search, and which one is current.
pub struct Found {
    /// As typed.
    pub text: String,
    /// The hits.
    pub hits: Hits,
    /// The current one.
    index: usize,
}

impl Found {
    /// Hits with the first one at or behind `cursor` as the current one.
    pub fn new(search: &Arc<Search>, hits: Hits, cursor: u32) -> Self {
        let index = hits.offsets.partition_point(|(at, _)| *at < cursor);
        let index = if index == hits.offsets.len() { 0 } else { index };
        Self { text: search.text.clone(), hits, index }
    }

    /// Offset and length of the current hit.
    pub fn here(&self) -> Option<(u32, u32)> {
        self.hits.offsets.get(self.index).copied()
    }

    /// Its number, from 1.
    pub const fn number(&self) -> usize {
        self.index + 1
    }

    /// Goes on by `step` hits and around the end. From a place that is no hit, the next one in that direction counts.
    pub fn step(&mut self, step: i64, cursor: u32) {
        let count = self.hits.offsets.len() as i64;
        if count == 0 || step == 0 {
            return;
        }
        let at = self.hits.offsets.partition_point(|(at, _)| *at < cursor) as i64;
        let on_hit = self.here().is_some_and(|(at, _)| at == cursor);
        let next = match (on_hit, step > 0) {
            (true, _) => self.index as i64 + step,
            (false, true) => at,
            (false, false) => at - 1,
        };
        self.index = next.rem_euclid(count) as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::press;

    fn found(offsets: &[u32]) -> Found {
        let hits = Hits { offsets: offsets.iter().map(|at| (*at, 3)).collect(), total: offsets.len() };
        Found { text: "pin".to_owned(), hits, index: 0 }
    }

    #[test]
    fn the_next_hit_after_the_last_is_the_first() {
        let mut found = found(&[10, 20, 30]);
        found.step(-1, 10);
        assert_eq!(found.here(), Some((30, 3)));
        found.step(1, 30);
        assert_eq!(found.here(), Some((10, 3)));
    }

    #[test]
    fn from_between_two_hits_the_nearest_in_that_direction_is_taken() {
        let mut found = found(&[10, 20, 30]);
        found.step(1, 15);
        assert_eq!(found.here(), Some((20, 3)));
        found.step(-1, 15);
        assert_eq!(found.here(), Some((10, 3)));
    }

    #[test]
    fn the_first_prompt_holds_pin_and_enter_searches_it() {
        let mut prompt = Prompt::search(None);
        assert!(matches!(prompt.key(&press("enter")), Answer::Search { text, how: How::Text, .. } if text == "pin"));
    }

    #[test]
    fn tab_changes_how_the_pattern_is_written_and_mistakes_keep_the_prompt() {
        let mut prompt = Prompt::search(Some(&("zz".to_owned(), How::Text)));
        prompt.key(&press("tab"));
        assert!(matches!(prompt.key(&press("enter")), Answer::Editing));
        assert!(prompt.wrong.as_ref().is_some_and(|why| why.contains("hex")), "{:?}", prompt.wrong);
    }

    #[test]
    fn addresses_are_hex_unless_they_say_otherwise() {
        assert_eq!(address("1EE000"), Ok(0x1E_E000));
        assert_eq!(address(" 0x10 "), Ok(0x10));
        assert_eq!(address("2M"), Ok(0x20_0000));
        assert!(address("xyz").is_err());
    }
}
