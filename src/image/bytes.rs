//! Reading numbers out of bytes that may end too early, and the notations numbers have in JSON.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A flash or file offset; people and JSON see it as `0x12A000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub u32);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:06X}", self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A 32-bit word whose value has no arithmetic meaning, such as a checksum; people and JSON see it as `96B50943`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word(pub u32);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The SHA-256 of `bytes` as 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The little-endian word at `at`.
pub(super) fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// The big-endian word at `at`.
pub(super) fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// The part of `bytes` inside `start..end`, cut where the bytes end; empty when they end before `start`.
pub(super) fn cut(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    let end = end.min(bytes.len());
    bytes.get(start..end).unwrap_or(&[])
}

/// Whether every byte is `value`; false for no bytes at all.
pub(super) fn all(bytes: &[u8], value: u8) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| *byte == value)
}

/// The text up to the first NUL, other unprintable bytes as `?`.
pub(super) fn text_to_nul(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or(&[]);
    text.iter().map(|byte| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '?' }).collect()
}

/// Grows the range `at..at` in both directions over bytes that satisfy `wanted`, at most `limit` bytes each way.
pub(super) fn grow(bytes: &[u8], at: usize, limit: usize, wanted: impl Fn(u8) -> bool) -> std::ops::Range<usize> {
    let at = at.min(bytes.len());
    let start = bytes[..at].iter().rev().take(limit).take_while(|byte| wanted(**byte)).count();
    let end = bytes[at..].iter().take(limit).take_while(|byte| wanted(**byte)).count();
    at - start..at + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end_of_the_bytes() {
        assert_eq!(u32_le(&[1, 2, 3, 4], 0), Some(0x0403_0201));
        assert_eq!(u32_be(&[1, 2, 3, 4], 0), Some(0x0102_0304));
        assert_eq!(u32_le(&[1, 2, 3, 4], 1), None);
        assert_eq!(u32_le(&[], usize::MAX), None);
        assert_eq!(cut(&[1, 2, 3], 1, 99), &[2, 3]);
        assert_eq!(cut(&[1, 2, 3], 5, 99), &[] as &[u8]);
    }

    #[test]
    fn numbers_have_one_notation_each() {
        assert_eq!(
            serde_json::to_string(&(Address(0x10F9A), Word(0x96B5_0943))).unwrap(),
            r#"["0x010F9A","96B50943"]"#
        );
    }

    #[test]
    fn unprintable_bytes_never_get_into_a_text() {
        assert_eq!(text_to_nul(b"1.00\x1B[2J\0rest"), "1.00?[2J");
    }
}
