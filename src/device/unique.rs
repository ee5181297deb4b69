//! The unique id of a flash part: opcode 4B, eight or sixteen bytes by maker (spi-flash.md §4).

use std::fmt;

use crate::image::sha256_hex;

/// Bytes of the shorter form.
const SHORT: usize = 8;
/// Hex digits of the hash that are shown to people.
const SHOWN: usize = 16;

/// An id that no other part has. It is a secret like the MAC: only its hash goes out.
#[derive(Clone, PartialEq, Eq)]
pub struct UniqueId(Vec<u8>);

impl UniqueId {
    /// Bytes of the longer form.
    pub const LONGEST: usize = 16;

    /// The id that two reads of [`UniqueId::LONGEST`] bytes agree on; `None` where they do not, or where nobody answered:
    /// one byte over and over. Behind the eight bytes of the shorter form a part repeats them, or answers with nothing.
    pub fn agreed(first: &[u8], second: &[u8]) -> Option<Self> {
        let (head, tail) = first.split_at_checked(SHORT)?;
        if second.get(..SHORT) != Some(head) || is_one_byte(head) {
            return None;
        }
        let long = first == second && tail != head && !is_one_byte(tail);
        Some(Self(if long { first } else { head }.to_vec()))
    }

    /// SHA-256 in hex: tells a part from all others without giving its id away.
    pub fn hash(&self) -> String {
        sha256_hex(&self.0)
    }

    /// As evidence.
    pub fn words(&self) -> String {
        format!("the part has a unique id (hash {})", self.hash().get(..SHOWN).unwrap_or_default())
    }
}

impl fmt::Debug for UniqueId {
    /// Leaves the id out: Debug text ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UniqueId").field(&self.hash()).finish()
    }
}

fn is_one_byte(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| Some(byte) == bytes.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 8] = [0xDE, 0x61, 0x38, 0x31, 0x5F, 0x12, 0x34, 0x56];

    fn answer(tail: [u8; 8]) -> Vec<u8> {
        [HEAD, tail].concat()
    }

    #[test]
    fn what_two_reads_agree_on_is_the_id() {
        let long = answer([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(UniqueId::agreed(&long, &long), Some(UniqueId(long.clone())));
        let other = answer([1, 2, 3, 4, 5, 6, 7, 9]);
        assert_ne!(UniqueId::agreed(&other, &other), UniqueId::agreed(&long, &long), "same lot, another die");
        let torn = [&[0x12][..], &long[1..]].concat();
        assert_eq!(UniqueId::agreed(&long, &torn), None);
    }

    #[test]
    fn what_follows_an_id_of_eight_bytes_is_no_part_of_it() {
        let short = UniqueId(HEAD.to_vec());
        for (first, second) in [(HEAD, HEAD), ([0; 8], [0; 8]), ([0xFF; 8], [0xFF; 8]), ([1; 8], [2; 8])] {
            assert_eq!(UniqueId::agreed(&answer(first), &answer(second)), Some(short.clone()));
        }
    }

    #[test]
    fn a_silent_line_is_no_id() {
        for byte in [0x00, 0xFF, 0x4B] {
            assert_eq!(UniqueId::agreed(&[byte; 16], &[byte; 16]), None);
        }
        assert_eq!(UniqueId::agreed(&[1, 2], &[1, 2]), None);
    }

    #[test]
    fn debug_text_does_not_show_the_id() {
        let id = UniqueId(HEAD.to_vec());
        let text = format!("{id:?} {}", id.words());
        assert!(!text.contains("222") && !text.to_lowercase().contains("de6138"), "{text}");
    }
}
