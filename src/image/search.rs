//! Searching bytes for text, UTF-16, hex with wildcards and regular expressions. Every start offset counts, also
//! where hits overlap; all are counted, the first ones kept.

mod masked;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

use super::bytes::grow;
use crate::problem::{Class, Explain, Problem};
use crate::units::Span;

/// What to search for.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes of which only the bits set in the mask beside them count.
    Masked(Vec<(u8, u8)>),
    /// A regular expression over bytes.
    Regex(Regex),
}

/// Why a pattern cannot be searched for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing to search for.
    #[error("the pattern is empty")]
    Empty,
    /// Neither two hex digits nor a wildcard.
    #[error("{0:?} is not a byte in hex")]
    NotHex(String),
    /// The regular expression does not parse, or is too large.
    #[error("{0}")]
    NotRegex(String),
}

impl Explain for PatternError {
    fn explain(&self) -> Problem {
        let (cause, remedy) = match self {
            Self::Empty => ("nothing was typed", "type what to search for"),
            Self::NotHex(_) => {
                ("a hex pattern is pairs of hex digits, each digit or pair may be ?", "write it like 55 AA ?? 1?")
            }
            Self::NotRegex(_) => (
                "the regular expression is not understood",
                r"escape special characters: \. \( \[ \\, or search for text",
            ),
        };
        Problem::new(Class::Usage, "E720", format!("cannot search: {self}"), cause, remedy)
    }
}

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Text as it stands, upper and lower case told apart.
    Text,
    /// Bytes in hex, with wildcards.
    Hex,
    /// Text with two bytes a letter, low byte first.
    Utf16,
    /// A regular expression over bytes.
    Regex,
}

impl How {
    /// Every way, in the order they are offered.
    pub const ALL: [Self; 4] = [Self::Text, Self::Hex, Self::Utf16, Self::Regex];

    /// The word people see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Hex => "hex",
            Self::Utf16 => "UTF-16",
            Self::Regex => "regex",
        }
    }

    /// What to search for, as `text` says it.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn pattern(self, text: &str) -> Result<Pattern, PatternError> {
        match self {
            Self::Text => Pattern::text(text),
            Self::Hex => Pattern::hex(text),
            Self::Utf16 => Pattern::utf16(text),
            Self::Regex => Pattern::regex(text),
        }
    }
}

impl Pattern {
    /// The UTF-8 bytes of `text`, upper and lower case told apart.
    ///
    /// # Errors
    /// [`PatternError::Empty`].
    pub fn text(text: &str) -> Result<Self, PatternError> {
        Self::bytes(text.as_bytes().to_vec())
    }

    /// The little-endian UTF-16 bytes of `text`.
    ///
    /// # Errors
    /// [`PatternError::Empty`].
    pub fn utf16(text: &str) -> Result<Self, PatternError> {
        Self::bytes(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
    }

    fn bytes(bytes: Vec<u8>) -> Result<Self, PatternError> {
        if bytes.is_empty() { Err(PatternError::Empty) } else { Ok(Self::Bytes(bytes)) }
    }

    /// Bytes in hex; `?` stands for any digit, `??` for any byte, blanks between bytes are optional.
    ///
    /// # Errors
    /// [`PatternError::NotHex`] names the first byte that is none; [`PatternError::Empty`].
    pub fn hex(text: &str) -> Result<Self, PatternError> {
        let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
        let mut bytes = Vec::with_capacity(digits.len() / 2);
        for pair in digits.chunks(2) {
            let not_hex = || PatternError::NotHex(pair.iter().collect());
            let &[high, low] = pair else { return Err(not_hex()) };
            let nibble = |digit: char| match digit {
                '?' => Some((0, 0)),
                digit => digit.to_digit(16).map(|value| (value as u8, 0xF)),
            };
            let (high, low) = nibble(high).zip(nibble(low)).ok_or_else(not_hex)?;
            bytes.push((high.0 << 4 | low.0, high.1 << 4 | low.1));
        }
        if bytes.iter().all(|(_, mask)| *mask == 0xFF) {
            return Self::bytes(bytes.into_iter().map(|(byte, _)| byte).collect());
        }
        Ok(Self::Masked(bytes))
    }

    /// A regular expression over bytes: `.` is any byte but a line feed, `\xFF` a byte. Hits do not overlap, and an
    /// empty match is no hit.
    ///
    /// # Errors
    /// [`PatternError::NotRegex`] with the reason and the place; [`PatternError::Empty`].
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let regex = RegexBuilder::new(text).unicode(false).size_limit(1 << 20).build();
        regex.map(Self::Regex).map_err(|error| PatternError::NotRegex(error.to_string()))
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Offset and length in bytes of the first hits, in file order, as many as were to be kept.
    pub offsets: Vec<(u32, u32)>,
    /// How many hits there are in all.
    pub total: usize,
}

impl Hits {
    fn add(&mut self, at: usize, len: usize, keep: usize) {
        self.total += 1;
        if self.offsets.len() < keep {
            self.offsets.push((at as u32, len as u32));
        }
    }
}

/// Finds every hit in `bytes` and keeps the first `keep` of them. An empty pattern has no hits.
pub fn find_all(bytes: &[u8], pattern: &Pattern, keep: usize) -> Hits {
    let mut hits = Hits::default();
    match pattern {
        // A short needle may hit at every other byte, where starting a search anew for each hit is slow.
        Pattern::Bytes(needle) if needle.len() <= SHORT => {
            masked::find(bytes, &needle.iter().map(|byte| (*byte, 0xFF)).collect::<Vec<_>>(), keep, &mut hits);
        }
        Pattern::Bytes(needle) => each_run(bytes, needle, |run| {
            let kept = run.count.min(keep.saturating_sub(hits.offsets.len()));
            hits.offsets.extend((0..kept).map(|number| (run.offset(number) as u32, needle.len() as u32)));
            hits.total += run.count;
        }),
        Pattern::Masked(needle) => masked::find(bytes, needle, keep, &mut hits),
        Pattern::Regex(regex) => {
            for found in regex.find_iter(bytes).filter(|found| !found.is_empty()) {
                hits.add(found.start(), found.len(), keep);
            }
        }
    }
    hits
}

/// Longest needle that is compared place by place, in bytes.
const SHORT: usize = 4;

/// Hits at `start`, `start + step`, and so on.
struct Run {
    start: usize,
    step: usize,
    count: usize,
}

impl Run {
    fn offset(&self, number: usize) -> usize {
        self.start + number * self.step
    }
}

/// Reports every hit once. In erased flash each byte may start a hit; such repetitive stretches are measured as a
/// whole instead of being searched byte by byte: after a hit the next one cannot be nearer than the needle's period,
/// and it stands there exactly as long as the bytes go on repeating.
fn each_run(bytes: &[u8], needle: &[u8], mut report: impl FnMut(Run)) {
    if needle.is_empty() || needle.len() > bytes.len() {
        return;
    }
    let finder = Finder::new(needle);
    let step = period(needle);
    let mut from = 0;
    while let Some(found) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
        let start = from + found;
        let count = 1 + repeating(bytes, start + needle.len(), step) / step;
        report(Run { start, step, count });
        from = start + (count - 1) * step + 1;
    }
}

/// The smallest shift at which `needle` matches itself; its length when there is none.
fn period(needle: &[u8]) -> usize {
    // The failure function of Knuth, Morris and Pratt: length of the longest border of every prefix.
    let mut borders = vec![0; needle.len()];
    let mut border = 0;
    for at in 1..needle.len() {
        while border > 0 && needle[at] != needle[border] {
            border = borders[border - 1];
        }
        if needle[at] == needle[border] {
            border += 1;
        }
        borders[at] = border;
    }
    needle.len() - borders.last().copied().unwrap_or(0)
}

/// How many bytes from `at` on equal the byte `step` before them.
fn repeating(bytes: &[u8], at: usize, step: usize) -> usize {
    const STRIDE: usize = 64;
    let later = &bytes[at..];
    let earlier = &bytes[at - step..];
    let whole =
        later.chunks_exact(STRIDE).zip(earlier.chunks_exact(STRIDE)).take_while(|(a, b)| a == b).count() * STRIDE;
    whole + later[whole..].iter().zip(&earlier[whole..]).take_while(|(a, b)| a == b).count()
}

/// A piece of printable text in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Where it stands, in file offsets.
    pub span: Span,
    /// The text: printable ASCII only.
    pub text: String,
}

/// The whole printable text that `offset` lies in, at most `max` bytes of it around the offset; empty when the byte
/// there is not printable.
pub fn text_around(bytes: &[u8], offset: u32, max: usize) -> Text {
    let at = offset as usize;
    let printable = |byte: u8| (0x20..0x7F).contains(&byte);
    if !bytes.get(at).is_some_and(|byte| printable(*byte)) {
        return Text { span: Span::new(offset, 0), text: String::new() };
    }
    let whole = grow(bytes, at, max, printable);
    let before = (at - whole.start).min((max / 2).max(max.saturating_sub(whole.end - at)));
    let start = at - before;
    let end = whole.end.min(start + max);
    Text {
        span: Span::new(start as u32, (end - start) as u32),
        text: bytes[start..end].iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests;
