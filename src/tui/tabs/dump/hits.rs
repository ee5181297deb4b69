//! The hits of a search, and which one is current.

use crate::image::search::Hits;
use crate::tui::look::{self, Lens};

/// The hits of a search, and which one is current.
pub struct Found {
    /// As typed.
    pub text: String,
    /// The hits.
    pub hits: Hits,
    /// How many more another way of seeing the file shows.
    pub behind: Vec<(Lens, usize)>,
    /// The current one.
    index: usize,
}

impl Found {
    /// Hits with the first one at or behind `cursor` as the current one.
    pub fn new(text: &str, found: &look::Found, cursor: u32) -> Self {
        let hits = found.hits.clone();
        let index = hits.offsets.partition_point(|(at, _)| *at < cursor);
        let index = if index == hits.offsets.len() { 0 } else { index };
        Self { text: text.to_owned(), hits, behind: found.behind.clone(), index }
    }

    /// Offset and length of the current hit.
    pub fn here(&self) -> Option<(u32, u32)> {
        self.hits.offsets.get(self.index).copied()
    }

    /// Its number, from 1.
    pub const fn number(&self) -> usize {
        self.index + 1
    }

    /// Takes the hit at `cursor` as the current one, when there is one.
    pub fn catch_up(&mut self, cursor: u32) {
        if let Ok(index) = self.hits.offsets.binary_search_by_key(&cursor, |(at, _)| *at) {
            self.index = index;
        }
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

    fn found(offsets: &[u32]) -> Found {
        let hits = Hits { offsets: offsets.iter().map(|at| (*at, 3)).collect(), total: offsets.len() };
        Found { text: "pin".to_owned(), hits, behind: Vec::new(), index: 0 }
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
}
