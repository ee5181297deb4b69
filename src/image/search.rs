//! Searching bytes for text, UTF-16, hex with wildcards and regular expressions. Every start offset counts, also
//! where hits overlap; all are counted, the first ones kept.

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
        Pattern::Bytes(needle) => each_run(bytes, needle, |run| {
            let kept = run.count.min(keep.saturating_sub(hits.offsets.len()));
            hits.offsets.extend((0..kept).map(|number| (run.offset(number) as u32, needle.len() as u32)));
            hits.total += run.count;
        }),
        Pattern::Masked(needle) => find_masked(bytes, needle, keep, &mut hits),
        Pattern::Regex(regex) => {
            for found in regex.find_iter(bytes).filter(|found| !found.is_empty()) {
                hits.add(found.start(), found.len(), keep);
            }
        }
    }
    hits
}

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

/// Searches for the longest run of bytes without wildcard and compares the rest there.
fn find_masked(bytes: &[u8], needle: &[(u8, u8)], keep: usize, hits: &mut Hits) {
    let Some(last) = bytes.len().checked_sub(needle.len()).filter(|_| !needle.is_empty()) else { return };
    let fits = |at: usize| needle.iter().zip(&bytes[at..]).all(|((value, mask), byte)| byte & mask == value & mask);
    let (start, len) = longest_fixed(needle);
    if len == 0 {
        (0..=last).filter(|at| fits(*at)).for_each(|at| hits.add(at, needle.len(), keep));
        return;
    }
    let fixed: Vec<u8> = needle[start..start + len].iter().map(|(value, _)| *value).collect();
    each_run(bytes, &fixed, |run| {
        for place in (0..run.count).map(|number| run.offset(number)) {
            if let Some(at) = place.checked_sub(start).filter(|at| *at <= last && fits(*at)) {
                hits.add(at, needle.len(), keep);
            }
        }
    });
}

fn longest_fixed(needle: &[(u8, u8)]) -> (usize, usize) {
    let mut best = (0, 0);
    let mut at = 0;
    for run in needle.split(|(_, mask)| *mask != 0xFF) {
        if run.len() > best.1 {
            best = (at, run.len());
        }
        at += run.len() + 1;
    }
    best
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::samples;

    fn naive(bytes: &[u8], needle: &[(u8, u8)]) -> Vec<(u32, u32)> {
        if needle.is_empty() {
            return Vec::new();
        }
        let fits = |window: &[u8]| window.iter().zip(needle).all(|(byte, (value, mask))| byte & mask == value & mask);
        let starts = bytes.windows(needle.len()).enumerate().filter(|(_, window)| fits(window));
        starts.map(|(at, _)| (at as u32, needle.len() as u32)).collect()
    }

    fn plain(needle: &[u8]) -> Vec<(u8, u8)> {
        needle.iter().map(|byte| (*byte, 0xFF)).collect()
    }

    proptest! {
        #[test]
        fn byte_search_equals_a_naive_search(
            bytes in prop::collection::vec(0u8..3, 0..400),
            needle in prop::collection::vec(0u8..3, 0..7),
            keep in 0usize..50,
        ) {
            let expected = naive(&bytes, &plain(&needle));
            let found = find_all(&bytes, &Pattern::Bytes(needle), keep);
            prop_assert_eq!(found.total, expected.len());
            prop_assert_eq!(&found.offsets[..], &expected[..keep.min(expected.len())]);
        }

        #[test]
        fn masked_search_equals_a_naive_search(
            bytes in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x10, 0x11]), 0..300),
            needle in prop::collection::vec(
                (prop::sample::select(vec![0u8, 1, 0x10, 0x11]), prop::sample::select(vec![0u8, 0x0F, 0xF0, 0xFF])), 0..6),
        ) {
            let expected = naive(&bytes, &needle);
            let found = find_all(&bytes, &Pattern::Masked(needle.clone()), usize::MAX);
            prop_assert_eq!(found.total, expected.len());
            prop_assert_eq!(found.offsets, expected);
        }

        #[test]
        fn text_around_holds_the_offset_and_never_more_than_asked(
            bytes in prop::collection::vec(0x1Eu8..0x22, 0..100), offset in 0u32..120, max in 0usize..40,
        ) {
            let text = text_around(&bytes, offset, max);
            prop_assert!(text.text.len() <= max);
            prop_assert_eq!(text.span.len as usize, text.text.len());
            prop_assert!(text.span.is_empty() || text.span.contains(offset));
        }
    }

    #[test]
    fn long_repetitive_stretches_are_counted_exactly() {
        let mut bytes = vec![0xFF; 1000];
        bytes[500] = 0;
        for needle in [&[0xFF][..], &[0xFF, 0xFF], &[0xFF; 65], &[0xFF, 0, 0xFF]] {
            let found = find_all(&bytes, &Pattern::Bytes(needle.to_vec()), usize::MAX);
            assert_eq!(found.offsets, naive(&bytes, &plain(needle)));
        }
        let pairs = b"abababab".repeat(50);
        let found = find_all(&pairs, &Pattern::text("aba").unwrap(), usize::MAX);
        assert_eq!(found.offsets, naive(&pairs, &plain(b"aba")));
    }

    #[test]
    fn sample_searches_equal_a_naive_search() {
        for sample in samples::all() {
            for text in ["pin", "rl1", "ÿ"] {
                let found = find_all(&sample.bytes, &Pattern::text(text).unwrap(), usize::MAX);
                assert_eq!(found.offsets, naive(&sample.bytes, &plain(text.as_bytes())), "{} {text}", sample.name);
            }
        }
    }

    #[test]
    fn hex_patterns_take_wildcards_and_optional_blanks() {
        let bytes = [0x55, 0xAA, 0x00, 0x17, 0x55, 0x12, 0x34, 0x1F];
        let offsets = |pattern: &str| find_all(&bytes, &Pattern::hex(pattern).unwrap(), 9).offsets;
        assert_eq!(offsets("55 ?? ?? 1?"), [(0, 4), (4, 4)]);
        assert_eq!(offsets("55AA"), [(0, 2)]);
        assert_eq!(offsets("?7"), [(3, 1)]);
        for (pattern, culprit) in [("5", "5"), ("55 4G", "4G"), ("zz", "zz"), ("55 é1", "é1")] {
            let error = Pattern::hex(pattern).unwrap_err();
            assert_eq!(error, PatternError::NotHex(culprit.into()));
            assert_eq!(error.explain().class, Class::Usage);
        }
    }

    #[test]
    fn an_empty_pattern_is_refused() {
        for empty in [Pattern::text(""), Pattern::utf16(""), Pattern::hex(" "), Pattern::regex("")] {
            assert_eq!(empty.unwrap_err(), PatternError::Empty);
        }
        assert_eq!(find_all(b"abc", &Pattern::Bytes(Vec::new()), 9), Hits::default());
        assert_eq!(find_all(b"abc", &Pattern::Masked(Vec::new()), 9), Hits::default());
    }

    #[test]
    fn utf16_text_is_found_as_little_endian_pairs() {
        let found = find_all(b"..p\0i\0n\0", &Pattern::utf16("pin").unwrap(), 9);
        assert_eq!(found.offsets, [(2, 6)]);
    }

    #[test]
    fn regular_expressions_work_on_raw_bytes() {
        let found = find_all(b"rl1_pin:6,\xFF\xFErl22_pin:26", &Pattern::regex(r"rl\d+_pin:[0-9]+").unwrap(), 1);
        assert_eq!((found.total, found.offsets), (2, vec![(0, 9)]));
        assert_eq!(find_all(&[0, 0xFF, 0], &Pattern::regex(r"\xFF").unwrap(), 9).offsets, [(1, 1)]);
        assert_eq!(find_all(b"aaa", &Pattern::regex("b*").unwrap(), 9).total, 0);
        assert!(matches!(Pattern::regex("(").unwrap_err(), PatternError::NotRegex(_)));
    }

    #[test]
    fn the_text_around_a_hit_is_shown_whole() {
        let bytes = b"\0\0{rl1_pin:6,crc:5}\0";
        let text = text_around(bytes, 7, 100);
        assert_eq!((text.text.as_str(), text.span), ("{rl1_pin:6,crc:5}", Span::new(2, 17)));
        assert_eq!(text_around(bytes, 0, 100).text, "");
        assert_eq!(text_around(bytes, 99, 100).text, "");
        assert_eq!(text_around(bytes, 7, 6).span, Span::new(4, 6));
    }
}
