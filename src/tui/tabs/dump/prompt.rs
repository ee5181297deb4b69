//! The line at the bottom of the Dump tab that is typed into: what to search, where to go.

use std::sync::Arc;

use crossterm::event::KeyEvent;

use super::place;
use crate::image::search::{How, Pattern};
use crate::problem::Explain;
use crate::tui::keys;
use crate::tui::look::Seen;
use crate::tui::widgets::field::Field;

/// What a first search looks for: the pin map of Tuya firmware.
const FIRST: &str = "pin";

/// What a line is typed for.
pub enum Asking {
    /// A search, written in this way.
    Search(How),
    /// A place to go to.
    Goto {
        /// In what.
        seen: Arc<Seen>,
        /// Names and their places.
        names: Vec<(String, u32)>,
        /// Where the cursor is.
        cursor: u32,
    },
    /// A note for a bookmark at this file offset; there may be one already.
    Note(u32, bool),
}

/// A line that is being typed.
pub struct Prompt {
    /// What for.
    pub asking: Asking,
    /// The text.
    pub field: Field,
    /// What is wrong with what was entered.
    pub wrong: Option<String>,
    /// What was typed before it was completed, and how often it was.
    completed: Option<(String, usize)>,
}

/// What became of a key.
pub enum Answer {
    /// The line goes on.
    Editing,
    /// It was given up.
    Closed,
    /// A place was entered.
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
    /// A note was entered for a bookmark at this file offset; `None` takes it away.
    Note(u32, Option<String>),
}

impl Prompt {
    fn new(asking: Asking, field: Field) -> Self {
        Self { asking, field, wrong: None, completed: None }
    }

    /// A prompt for a search, with the last one in it.
    pub fn search(last: Option<&(String, How)>) -> Self {
        let (text, how) = last.map_or((FIRST, How::Text), |(text, how)| (text.as_str(), *how));
        Self::new(Asking::Search(how), Field::prefilled(text))
    }

    /// A prompt for a place.
    pub fn goto(seen: &Arc<Seen>, names: Vec<(String, u32)>, cursor: u32) -> Self {
        Self::new(Asking::Goto { seen: Arc::clone(seen), names, cursor }, Field::default())
    }

    /// A prompt for the note of a bookmark at a file offset, with the note it has.
    pub fn note(at: u32, note: Option<&str>) -> Self {
        Self::new(Asking::Note(at, note.is_some()), Field::prefilled(note.unwrap_or_default()))
    }

    /// What stands before the field.
    pub const fn label(&self) -> &'static str {
        match &self.asking {
            Asking::Search(how) => how.word(),
            Asking::Goto { .. } => "go to",
            Asking::Note(..) => "note",
        }
    }

    /// What stands behind the field while nothing is wrong.
    pub fn help(&self) -> String {
        match &self.asking {
            Asking::Search(_) => "Enter search   Tab text/hex/UTF-16/regex   Esc back".to_owned(),
            Asking::Note(_, true) => "Enter keep   Tab take it away   Esc back".to_owned(),
            Asking::Note(_, false) => "Enter keep, also without words   Esc back".to_owned(),
            Asking::Goto { names, .. } => match place::fitting(self.typed(), names).first() {
                Some((name, _)) => format!("Enter go   Tab {name}"),
                None => "Enter go   an address, +100, c:code or a name".to_owned(),
            },
        }
    }

    fn typed(&self) -> &str {
        self.completed.as_ref().map_or(self.field.text(), |(typed, _)| typed)
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
        if keys::is(key, "tab") {
            if let Asking::Note(at, true) = self.asking {
                return Answer::Note(at, None);
            }
            self.tab();
            return Answer::Editing;
        }
        if !keys::is(key, "enter") {
            if self.field.key(key) {
                self.wrong = None;
                self.completed = None;
            }
            return Answer::Editing;
        }
        let text = self.field.text().to_owned();
        if let Asking::Note(at, _) = self.asking {
            return Answer::Note(at, Some(text));
        }
        if text.is_empty() {
            return Answer::Closed;
        }
        let entered = match &self.asking {
            Asking::Note(..) => Ok(Answer::Closed),
            Asking::Goto { seen, names, cursor } => place::resolve(&text, seen, names, *cursor).map(Answer::Goto),
            Asking::Search(how) => match how.pattern(&text) {
                Ok(pattern) => Ok(Answer::Search { text, how: *how, pattern }),
                Err(error) => {
                    let problem = error.explain();
                    Err(format!("{}: {}", problem.what.lines().next().unwrap_or_default(), problem.remedy))
                }
            },
        };
        entered.unwrap_or_else(|why| {
            self.wrong = Some(why);
            Answer::Editing
        })
    }

    /// The next way of writing a pattern; the next name that fits what was typed.
    fn tab(&mut self) {
        self.wrong = None;
        match &mut self.asking {
            Asking::Search(how) => {
                let place = How::ALL.iter().position(|known| known == how).unwrap_or(0);
                *how = How::ALL[(place + 1) % How::ALL.len()];
            }
            Asking::Note(..) => {}
            Asking::Goto { names, .. } => {
                let (typed, times) = self.completed.take().unwrap_or_else(|| (self.field.text().to_owned(), 0));
                let fitting = place::fitting(&typed, names);
                if let Some((name, _)) = fitting.get(times % fitting.len().max(1)) {
                    self.field = Field::prefilled(name);
                }
                self.completed = Some((typed, times + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tui::keys::press;
    use crate::tui::shared::OpenFile;

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
    fn tab_completes_names_one_after_the_other() {
        let seen = Arc::new(Seen::file(&Arc::new(OpenFile::new(Path::new("a"), vec![1; 100].into(), None))));
        let names = vec![("app".to_owned(), 1), ("application data".to_owned(), 2), ("RF".to_owned(), 3)];
        let mut prompt = Prompt::goto(&seen, names, 0);
        for key in ["a", "p", "tab"] {
            prompt.key(&press(key));
        }
        assert_eq!(prompt.field.text(), "app");
        prompt.key(&press("tab"));
        assert_eq!(prompt.field.text(), "application data");
        assert!(matches!(prompt.key(&press("enter")), Answer::Goto(2)));
    }
}
