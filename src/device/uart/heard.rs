//! What came over the line while no loader was linked: every piece with its time, its rate and what the program was doing.

use std::collections::VecDeque;
use std::time::Duration;

use super::link_up::START_BAUD;
use crate::codec::beken::{Decoder, Request};

/// Bytes kept of the beginning, and of what came last.
const KEPT: usize = 16 * 1024;
/// Bytes closer together than this are one piece.
const TOGETHER: Duration = Duration::from_millis(50);

/// Bytes that came together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// When the first of them came.
    pub at: Duration,
    /// When the last of them came.
    pub until: Duration,
    /// The host's rate, in baud.
    pub baud: u32,
    /// CEN held the chip in reset.
    pub in_reset: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Everything that was heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// When listening began, by the link's clock; all times in here count from then.
    began: Duration,
    first: Vec<Piece>,
    last: VecDeque<Piece>,
    kept: usize,
    kept_last: usize,
    /// When this program reset the chip, or asked for it.
    resets: Vec<Duration>,
    /// Those of them that a reset line did.
    pub by_line: usize,
    /// A link check was answered at least once.
    pub answered: bool,
}

impl Heard {
    /// Nothing yet; listening begins at this time of the link's clock.
    pub fn since(began: Duration) -> Self {
        Self { began, ..Self::default() }
    }

    /// How long it has been listened for at a time of the link's clock.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began)
    }

    /// The program resets the chip, over the reset line (`by_line`) or with a request.
    pub fn reset(&mut self, now: Duration, by_line: bool) {
        self.resets.push(self.age(now));
        self.by_line += usize::from(by_line);
    }

    /// Bytes that came, by the link's clock `now`.
    pub fn take(&mut self, now: Duration, baud: u32, in_reset: bool, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = self.age(now);
        let early = self.kept < KEPT;
        let before = if early { self.first.last_mut() } else { self.last.back_mut() };
        if let Some(before) = before.filter(|it| it.baud == baud && it.in_reset == in_reset && at < it.until + TOGETHER)
        {
            before.bytes.extend_from_slice(bytes);
            before.until = at;
        } else {
            let piece = Piece { at, until: at, baud, in_reset, bytes: bytes.to_vec() };
            if early { self.first.push(piece) } else { self.last.push_back(piece) }
        }
        if early {
            self.kept += bytes.len();
        } else {
            self.kept_last += bytes.len();
        }
        while self.kept_last > KEPT && self.last.len() > 1 {
            self.kept_last -= self.last.pop_front().map_or(0, |piece| piece.bytes.len());
        }
    }

    /// The pieces in the order they came.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.first.iter().chain(&self.last)
    }

    /// What was heard at a rate while the chip ran, from a time on.
    pub fn at_rate(&self, baud: u32, since: Duration) -> Vec<u8> {
        let pieces = self.pieces().filter(|piece| piece.baud == baud && !piece.in_reset && piece.until >= since);
        pieces.flat_map(|piece| piece.bytes.iter().copied()).collect()
    }

    /// What was heard while CEN held the chip in reset.
    pub fn in_reset(&self) -> Vec<u8> {
        self.pieces().filter(|piece| piece.in_reset).flat_map(|piece| piece.bytes.iter().copied()).collect()
    }

    /// The rates that anything was heard at, the first one first.
    pub fn rates(&self) -> Vec<u32> {
        self.pieces().fold(Vec::new(), |mut rates, piece| {
            if !rates.contains(&piece.baud) {
                rates.push(piece.baud);
            }
            rates
        })
    }

    /// The number of bytes heard.
    pub fn count(&self) -> usize {
        self.pieces().map(|piece| piece.bytes.len()).sum()
    }

    /// When the last byte came; `None` when none did.
    pub fn last_at(&self) -> Option<Duration> {
        self.pieces().map(|piece| piece.until).max()
    }

    /// When each text that begins with `mark` was heard at a rate.
    pub fn times_of(&self, mark: &[u8], baud: u32) -> Vec<Duration> {
        let pieces = self.pieces().filter(|piece| piece.baud == baud && !piece.in_reset);
        pieces
            .flat_map(|piece| {
                // The bytes of a piece come one after the other at the line's pace.
                let starts = piece.bytes.windows(mark.len()).enumerate().filter(|(_, window)| *window == mark);
                let apart = piece.until.saturating_sub(piece.at).as_secs_f64() / piece.bytes.len().max(1) as f64;
                starts.map(move |(place, _)| piece.at + Duration::from_secs_f64(apart * place as f64))
            })
            .collect()
    }

    /// Whether this program reset the chip between two moments.
    pub fn was_reset_between(&self, from: Duration, to: Duration) -> bool {
        self.resets.iter().any(|at| *at > from && *at <= to)
    }

    /// How many of the program's own resets were followed by one of these moments within a second.
    pub fn answered_resets(&self, moments: &[Duration]) -> usize {
        let follows =
            |reset: &&Duration| moments.iter().any(|at| *at >= **reset && *at < **reset + Duration::from_secs(1));
        self.resets.iter().filter(follows).count()
    }

    /// What came at the first rate besides the answers to link checks: the bytes, and how many of the frames among them are
    /// a loader's answers to somebody else.
    pub fn besides_answers(&self) -> (Vec<u8>, usize) {
        let bytes = self.at_rate(START_BAUD, Duration::ZERO);
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        let mut others = 0;
        while let Some(reply) = decoder.next() {
            others += usize::from(Request::LinkCheck.accepts(&reply).is_none());
        }
        (without(&bytes, &LINKED), others)
    }
}

/// The answer to a link check (uart-protocol.md §3.3).
const LINKED: [u8; 8] = [0x04, 0x0E, 0x05, 0x01, 0xE0, 0xFC, 0x01, 0x00];

/// The bytes without every place where `part` stands.
fn without(bytes: &[u8], part: &[u8]) -> Vec<u8> {
    let (mut rest, mut kept) = (bytes, Vec::new());
    while let [first, after @ ..] = rest {
        if let Some(after) = rest.strip_prefix(part) {
            rest = after;
        } else {
            kept.push(*first);
            rest = after;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn bytes_that_come_together_are_one_piece() {
        let mut heard = Heard::default();
        heard.take(ms(0), START_BAUD, false, b"V:BK");
        heard.take(ms(10), START_BAUD, false, b"7231N");
        heard.take(ms(500), START_BAUD, false, b"V:BK7231N");
        heard.take(ms(505), 9600, false, &[1]);
        assert_eq!(heard.pieces().count(), 3);
        assert_eq!(heard.times_of(b"V:BK", START_BAUD), [ms(0), ms(500)]);
        assert_eq!((heard.rates(), heard.count()), (vec![START_BAUD, 9600], 19));
    }

    #[test]
    fn the_beginning_and_the_end_of_a_long_log_are_kept() {
        let mut heard = Heard::default();
        for second in 0..1000 {
            heard.take(Duration::from_secs(second), START_BAUD, false, &[second as u8; 100]);
        }
        assert!(heard.count() <= 2 * KEPT + 100);
        assert_eq!(heard.pieces().next().map(|piece| piece.at), Some(Duration::ZERO));
        assert_eq!(heard.last_at(), Some(Duration::from_secs(999)));
    }

    #[test]
    fn answers_to_link_checks_are_told_from_everything_else() {
        let mut heard = Heard::default();
        heard.take(ms(0), START_BAUD, false, &LINKED);
        heard.take(ms(200), START_BAUD, false, &[0x55, 0xAA, 3, 0, 0, 1, 1, 4]);
        assert_eq!(heard.besides_answers(), (vec![0x55, 0xAA, 3, 0, 0, 1, 1, 4], 0));
        heard.take(ms(400), START_BAUD, false, &[0x04, 0x0E, 0x08, 0x01, 0xE0, 0xFC, 0x10, 1, 2, 3, 4]);
        assert_eq!(heard.besides_answers().1, 1, "the answer to a CRC that nobody here asked for");
    }
}
