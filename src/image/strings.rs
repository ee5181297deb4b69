//! Texts in a file: runs of printable ASCII, and of the same as UTF-16 with the low byte first.

use serde::{Serialize, Serializer};

use super::bytes::Address;

/// How a text stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Encoding {
    /// One byte a letter.
    #[serde(rename = "ASCII")]
    Ascii,
    /// Two bytes a letter, low byte first.
    #[serde(rename = "UTF-16")]
    Utf16,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// File offset of its first byte.
    #[serde(serialize_with = "as_address")]
    pub offset: usize,
    /// How it stands there.
    pub encoding: Encoding,
    /// The letters, all of them printable ASCII.
    pub text: String,
}

fn as_address<S: Serializer>(offset: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    Address(*offset as u32).serialize(serializer)
}

/// Every text of at least `shortest` letters, in file order. A letter belongs to one text only.
pub fn find(bytes: &[u8], shortest: usize) -> Vec<Text> {
    let shortest = shortest.max(1);
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let ascii = bytes[at..].iter().take_while(|byte| is_letter(**byte)).count();
        let wide = bytes[at..].chunks_exact(2).take_while(|pair| is_letter(pair[0]) && pair[1] == 0).count();
        if ascii >= shortest {
            found.push(text(at, Encoding::Ascii, bytes[at..at + ascii].iter()));
            at += ascii;
        } else if wide >= shortest {
            found.push(text(at, Encoding::Utf16, bytes[at..at + wide * 2].iter().step_by(2)));
            at += wide * 2;
        } else {
            // The last letter of a short run may be the first of a wide text.
            at += ascii.max(2) - 1;
        }
    }
    found
}

fn is_letter(byte: u8) -> bool {
    (0x20..0x7F).contains(&byte)
}

fn text<'a>(offset: usize, encoding: Encoding, letters: impl Iterator<Item = &'a u8>) -> Text {
    Text { offset, encoding, text: letters.map(|byte| char::from(*byte)).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_encodings_are_found_with_their_offsets() {
        let bytes = [&b"\x01\x02plain text\0\0ab\0\x01"[..], b"w\0i\0d\0e\0", b"\xFF\xFFend!"].concat();
        let found = find(&bytes, 4);
        let shown: Vec<(usize, Encoding, &str)> =
            found.iter().map(|text| (text.offset, text.encoding, text.text.as_str())).collect();
        let expected =
            [(2, Encoding::Ascii, "plain text"), (18, Encoding::Utf16, "wide"), (28, Encoding::Ascii, "end!")];
        assert_eq!(shown, expected);
    }

    proptest! {
        #[test]
        fn texts_are_the_printable_runs(bytes in prop::collection::vec(prop::sample::select(b"ab \x01\xFF".to_vec()), 0..60)) {
            let found: Vec<String> = find(&bytes, 3).into_iter().map(|text| text.text).collect();
            let naive: Vec<String> = bytes
                .split(|byte| !is_letter(*byte))
                .filter(|run| run.len() >= 3)
                .map(|run| String::from_utf8_lossy(run).into_owned())
                .collect();
            prop_assert_eq!(found, naive);
        }
    }
}
