//! What every try to get a flash to answer looked like, kept one by one for reports (spi-flash.md §2).

use serde::Serialize;

use crate::units::clock_text;

/// How one try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryOutcome {
    /// Nothing that can be an id came.
    NoId,
    /// An id came, and did not stay the same.
    Unsteady,
    /// Five reads of the same id.
    Answered,
}

/// One try: how it was made, and all that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryTry {
    /// Which try, from 1.
    pub number: u32,
    /// How often it was made in a row with the very same result.
    pub times: u32,
    /// Bit clock in Hz.
    pub clock: u32,
    /// SPI mode.
    pub mode: u8,
    /// How long CEN was held low, in ms; `None` where the program does not hold it.
    pub low_ms: Option<u64>,
    /// Pause between CEN rising and the first D2, in ms; `None` where that is not the program's to say.
    pub delay_ms: Option<u64>,
    /// How the D2 bytes were packed; `None` for a bare chip, which gets none.
    pub pattern: Option<String>,
    /// The first bytes that came back to D2, in hex.
    pub answer: Option<String>,
    /// The ids read, in order; the same one after itself is there once.
    pub ids: Vec<String>,
    /// How it ended.
    pub outcome: EntryOutcome,
}

impl EntryTry {
    /// The whole try in one line, what came back first.
    pub fn words(&self) -> String {
        let ids = if self.ids.is_empty() { "none".to_owned() } else { self.ids.join(", ") };
        let mut parts = vec![format!("id {ids}")];
        parts.extend(self.answer.as_ref().map(|answer| format!("answer to D2 {answer}")));
        if self.outcome == EntryOutcome::Unsteady {
            parts.push("not the same each time".to_owned());
        }
        let mut how = vec![clock_text(self.clock), format!("mode {}", self.mode)];
        how.extend(self.low_ms.map(|time| format!("CEN low {time} ms")));
        how.extend(
            self.delay_ms.map(|time| if time == 0 { "D2 at once".to_owned() } else { format!("D2 after {time} ms") }),
        );
        how.extend(self.pattern.clone());
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        format!("{} ({}{times})", parts.join(", "), how.join(", "))
    }

    /// Notes an id that was read.
    pub(super) fn saw(&mut self, id: String) {
        if self.ids.last() != Some(&id) {
            self.ids.push(id);
        }
    }

    /// The same result in the same way, whatever the number.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let plain = |one: &Self| Self { number: 0, times: 0, ..one.clone() };
        plain(self) == plain(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_in_words_names_what_came_back_and_how_it_was_made() {
        let one = EntryTry {
            number: 3,
            times: 1,
            clock: 500_000,
            mode: 0,
            low_ms: Some(250),
            delay_ms: Some(20),
            pattern: Some("150 × D2 and zeros".to_owned()),
            answer: Some("D2 00".to_owned()),
            ids: vec!["00 00 00".to_owned(), "EB 60 15".to_owned()],
            outcome: EntryOutcome::Unsteady,
        };
        assert_eq!(
            one.words(),
            "id 00 00 00, EB 60 15, answer to D2 D2 00, not the same each time (500 kHz, mode 0, CEN low 250 ms, D2 after \
             20 ms, 150 × D2 and zeros)"
        );
        let bare =
            EntryTry { low_ms: None, delay_ms: None, pattern: None, answer: None, ids: Vec::new(), times: 7, ..one };
        assert!(bare.words().ends_with("(500 kHz, mode 0, 7 times)"), "{}", bare.words());
    }
}
