//! Texts in a file: runs of printable letters in the encodings that are wanted. A byte belongs to one text only.

use serde::{Serialize, Serializer};

use super::bytes::Address;

/// How a text stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Encoding {
    /// One byte a letter, ASCII only.
    #[serde(rename = "ASCII")]
    Ascii,
    /// One to four bytes a letter.
    #[serde(rename = "UTF-8")]
    Utf8,
    /// One byte a letter, with those of Western Europe.
    #[serde(rename = "Latin-1")]
    Latin1,
    /// Two bytes a letter, low byte first, letters of ASCII only.
    #[serde(rename = "UTF-16")]
    Utf16,
    /// Two bytes a letter, high byte first, letters of ASCII only.
    #[serde(rename = "UTF-16BE")]
    Utf16Be,
}

impl Encoding {
    /// The name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ASCII",
            Self::Utf8 => "UTF-8",
            Self::Latin1 => "Latin-1",
            Self::Utf16 => "UTF-16",
            Self::Utf16Be => "UTF-16BE",
        }
    }

    /// What is looked for where nothing else is wished.
    pub const USUAL: [Self; 2] = [Self::Ascii, Self::Utf16];

    /// The letter at the start of `bytes` and the bytes that it takes.
    fn letter(self, bytes: &[u8]) -> Option<(char, usize)> {
        let ascii = |byte: u8| (0x20..0x7F).contains(&byte).then(|| char::from(byte));
        match (self, bytes) {
            (Self::Ascii, [byte, ..]) => Some((ascii(*byte)?, 1)),
            (Self::Latin1, [byte, ..]) => {
                let letter = ascii(*byte).or_else(|| (*byte >= 0xA0).then(|| char::from(*byte)))?;
                Some((letter, 1))
            }
            (Self::Utf16, [byte, 0, ..]) | (Self::Utf16Be, [0, byte, ..]) => Some((ascii(*byte)?, 2)),
            (Self::Utf8, _) => utf8(bytes),
            _ => None,
        }
    }
}

/// A printable letter of UTF-8: no control signs, none of the marks that turn the direction of a line.
fn utf8(bytes: &[u8]) -> Option<(char, usize)> {
    let len = match bytes.first()? {
        0x20..=0x7E => 1,
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return None,
    };
    let letter = std::str::from_utf8(bytes.get(..len)?).ok()?.chars().next()?;
    let hidden = matches!(letter, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E000}'..='\u{F8FF}' | '\u{FFF0}'..='\u{FFFF}');
    (!letter.is_control() && !hidden).then_some((letter, len))
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// File offset of its first byte.
    #[serde(serialize_with = "as_address")]
    pub offset: usize,
    /// How it stands there.
    pub encoding: Encoding,
    /// The letters, all of them printable.
    pub text: String,
}

fn as_address<S: Serializer>(offset: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    Address(*offset as u32).serialize(serializer)
}

/// Every text of at least `shortest` letters in one of the encodings, in file order. Where several fit, the one that reaches
/// furthest counts; of equals the one named first.
pub fn find(bytes: &[u8], shortest: usize, encodings: &[Encoding]) -> Vec<Text> {
    let shortest = shortest.max(1);
    let mut found = Vec::new();
    let mut at = 0;
    // How far each encoding was tried already: inside a run that was too short there is no longer one.
    let mut tried = vec![0; encodings.len()];
    while at < bytes.len() {
        let mut best: Option<(Text, usize)> = None;
        for (tried, encoding) in tried.iter_mut().zip(encodings) {
            // Two bytes a letter can begin at every byte, so only runs of one-byte letters are passed over.
            let wide = matches!(encoding, Encoding::Utf16 | Encoding::Utf16Be);
            if !wide && at < *tried {
                continue;
            }
            let (text, len) = run(&bytes[at..], *encoding);
            *tried = at + len;
            let letters = text.chars().count();
            if letters >= shortest && best.as_ref().is_none_or(|(_, longest)| len > *longest) {
                best = Some((Text { offset: at, encoding: *encoding, text }, len));
            }
        }
        match best {
            Some((text, len)) => {
                found.push(text);
                at += len;
            }
            None => at += 1,
        }
    }
    found
}

/// The letters from the first byte on, and the bytes that they take.
fn run(bytes: &[u8], encoding: Encoding) -> (String, usize) {
    let (mut text, mut at) = (String::new(), 0);
    while let Some((letter, len)) = bytes.get(at..).and_then(|rest| encoding.letter(rest)) {
        text.push(letter);
        at += len;
    }
    (text, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8], encodings: &[Encoding]) -> Vec<(usize, Encoding, String)> {
        find(bytes, 4, encodings).into_iter().map(|text| (text.offset, text.encoding, text.text)).collect()
    }

    #[test]
    fn the_usual_encodings_are_found_with_their_offsets() {
        let bytes = [&b"\x01\x02plain text\0\0ab\0\x01"[..], b"w\0i\0d\0e\0", b"\xFF\xFFend!"].concat();
        let expected = [
            (2, Encoding::Ascii, "plain text".to_owned()),
            (18, Encoding::Utf16, "wide".to_owned()),
            (28, Encoding::Ascii, "end!".to_owned()),
        ];
        assert_eq!(shown(&bytes, &Encoding::USUAL), expected);
    }

    #[test]
    fn every_encoding_reads_its_own_letters_and_no_control_signs() {
        let bytes = ["Küche 台所".as_bytes(), b"\0\x80", b"\0w\0i\0d\0e", b"\x01", b"K\xFCche", b"\x9F"].concat();
        let of = |encoding| shown(&bytes, &[encoding]).into_iter().map(|(_, _, text)| text).collect::<Vec<_>>();
        assert_eq!(of(Encoding::Utf8)[0], "Küche 台所");
        assert_eq!(of(Encoding::Utf16Be), ["wide"]);
        assert!(of(Encoding::Latin1).contains(&"Küche".to_owned()));
        let hidden = "ab\u{202E}cd\u{200B}ef".as_bytes();
        assert_eq!(shown(hidden, &[Encoding::Utf8]), [], "marks that turn the line end a text");
    }

    #[test]
    fn of_two_encodings_the_one_that_reaches_further_counts() {
        let found = shown("plain, then Küche".as_bytes(), &[Encoding::Ascii, Encoding::Utf8]);
        assert_eq!(found, [(0, Encoding::Utf8, "plain, then Küche".to_owned())]);
        let found = shown(b"only plain", &[Encoding::Ascii, Encoding::Utf8]);
        assert_eq!(found[0].1, Encoding::Ascii);
    }

    proptest! {
        #[test]
        fn texts_are_the_printable_runs(bytes in prop::collection::vec(prop::sample::select(b"ab \x01\xFF".to_vec()), 0..60)) {
            let found: Vec<String> = find(&bytes, 3, &Encoding::USUAL).into_iter().map(|text| text.text).collect();
            let naive: Vec<String> = bytes
                .split(|byte| !(0x20..0x7F).contains(byte))
                .filter(|run| run.len() >= 3)
                .map(|run| String::from_utf8_lossy(run).into_owned())
                .collect();
            prop_assert_eq!(found, naive);
        }
    }
}
