//! Flash addresses, spans, sizes as people type them, and the four verdict words.

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize};

/// Bytes in a NOR page, the largest unit one program command takes (data sheet).
pub const PAGE: u32 = 256;
/// Bytes in a sector, the smallest unit an erase command takes (data sheet).
pub const SECTOR: u32 = 4096;
/// Bytes in a 64 KiB block, the largest unit short of the chip (data sheet).
pub const BLOCK: u32 = 65536;

/// A range of flash offsets in bytes: `start` is the first byte, `len` may be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Flash offset of the first byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// The span of `len` bytes from `start`.
    pub const fn new(start: u32, len: u32) -> Self {
        Self { start, len }
    }

    /// The span from `start` up to, and without, `end`; empty when `end` is not above `start`.
    pub const fn between(start: u32, end: u32) -> Self {
        Self { start, len: end.saturating_sub(start) }
    }

    /// The first offset after the span; saturates at the top of the address space.
    pub const fn end(&self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// Whether the span holds no byte.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `offset` lies inside.
    pub const fn contains(&self, offset: u32) -> bool {
        offset >= self.start && offset < self.end()
    }

    /// Whether every byte of `other` lies inside; an empty `other` always does.
    pub const fn covers(&self, other: Span) -> bool {
        other.is_empty() || (other.start >= self.start && other.end() <= self.end())
    }

    /// The bytes both spans hold; empty when they do not meet.
    pub fn intersection(&self, other: Span) -> Span {
        let start = self.start.max(other.start);
        Span::between(start, self.end().min(other.end()))
    }

    /// Whether the spans share at least one byte.
    pub fn overlaps(&self, other: Span) -> bool {
        !self.intersection(other).is_empty()
    }

    /// The smallest run of whole sectors that holds the span.
    pub const fn to_sectors(&self) -> Span {
        let start = self.start / SECTOR * SECTOR;
        let end = self.end().div_ceil(SECTOR) * SECTOR;
        Span::between(start, end)
    }

    /// Cuts the span into pieces of at most `size` bytes, each ending on a multiple of `size`.
    pub fn pieces(self, size: u32) -> impl Iterator<Item = Span> {
        let mut at = self.start;
        std::iter::from_fn(move || {
            if at >= self.end() {
                return None;
            }
            let next = (at / size + 1).saturating_mul(size).min(self.end());
            let piece = Span::between(at, next);
            at = next;
            Some(piece)
        })
    }
}

impl Serialize for Span {
    /// Writes `{"start": "0x11000", "end": "0x12000"}` with six hex digits; `end` is the first offset after the span.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Span", 2)?;
        fields.serialize_field("start", &format!("0x{:06X}", self.start))?;
        fields.serialize_field("end", &format!("0x{:06X}", self.end()))?;
        fields.end()
    }
}

impl fmt::Display for Span {
    /// Writes the first and the last offset, the way the screens and the log name a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            write!(f, "nothing")
        } else {
            write!(f, "0x{:06X}–0x{:06X}", self.start, self.end() - 1)
        }
    }
}

/// Reads an address or size as people write it: `0x12A000`, `1220608`, `4K`, `2M`.
///
/// # Errors
/// A text that names the value and the accepted forms.
pub fn parse_size(text: &str) -> Result<u32, String> {
    let plain = text.trim().replace('_', "");
    let bad = || format!("{text:?} is not an address or size; write 0x12A000, 1220608, 4K or 2M");
    let (digits, factor) = match plain.strip_suffix(['K', 'k']) {
        Some(rest) => (rest, 1024),
        None => match plain.strip_suffix(['M', 'm']) {
            Some(rest) => (rest, 1024 * 1024),
            None => (plain.as_str(), 1),
        },
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse::<u32>(),
    }
    .map_err(|_| bad())?;
    value.checked_mul(factor).ok_or_else(bad)
}

/// A number of things in words: `1 sector`, `2 sectors`. `word` is the thing in the singular; one that ends in a hiss takes
/// `es`.
pub fn counted(count: u64, word: &str) -> String {
    let ending = match word {
        _ if count == 1 => "",
        _ if word.ends_with('s') || word.ends_with("ch") || word.ends_with('x') => "es",
        _ => "s",
    };
    format!("{count} {word}{ending}")
}

/// Writes a byte count for people: `512 B`, `44 KiB`, `2 MiB`, `1.2 MiB`.
pub fn size_text(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = KIB * 1024;
    if bytes >= MIB && bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else if bytes >= MIB {
        format!("{:.1} MiB", bytes as f64 / MIB as f64)
    } else if bytes >= KIB && bytes.is_multiple_of(KIB) {
        format!("{} KiB", bytes / KIB)
    } else if bytes >= KIB {
        format!("{:.1} KiB", bytes as f64 / KIB as f64)
    } else {
        format!("{bytes} B")
    }
}

/// Writes a frequency for people: `30 kHz`, `8 MHz`, `7.8 MHz`.
pub fn clock_text(hz: u32) -> String {
    if hz >= 1_000_000 {
        let mhz = f64::from(hz) / 1e6;
        if (mhz - mhz.round()).abs() < 0.05 { format!("{mhz:.0} MHz") } else { format!("{mhz:.1} MHz") }
    } else {
        format!("{} kHz", hz / 1000)
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn time_text(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..100 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// A duration that is only estimated, rounded up to whole seconds: `7 s`, `3 min 05 s`.
pub fn whole_time_text(time: Duration) -> String {
    match time.as_secs_f64().ceil() as u64 {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => time_text(Duration::from_secs(seconds)),
    }
}

/// Writes bytes as upper-case hex pairs with a blank between them.
pub fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

/// Reads hex digits without anything in between; `None` for anything else.
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Whether a locale takes UTF-8, from the values of `LC_ALL`, `LC_CTYPE` and `LANG`: the first that is set counts.
pub fn is_utf8(locale: [Option<String>; 3]) -> bool {
    let named = locale.into_iter().flatten().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    cfg!(windows) || named.contains("utf-8") || named.contains("utf8")
}

/// How sure a statement is. There are no other words for it anywhere in the program (product.md rule 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nobody looked.
    #[default]
    #[serde(rename = "not checked")]
    NotChecked,
    /// The evidence contradicts itself or is too thin.
    Unsure,
    /// The evidence agrees, yet one independent proof is missing.
    Likely,
    /// Independent evidence agrees.
    Proven,
}

impl Verdict {
    /// The word shown to people and written to JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotChecked => "not checked",
            Self::Unsure => "unsure",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
/// Serialises a time as seconds with three decimals.
pub(crate) fn seconds<S: serde::Serializer>(time: &std::time::Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}
