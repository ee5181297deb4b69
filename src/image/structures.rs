//! Structures that a user describes in TOML, for the hex inspector: fields at the cursor, read as they say.
//!
//! ```toml
//! [[structure]]
//! name = "RBL header"
//! magic = "52 42 4C 00"          # the structure is shown where these bytes stand; without it, everywhere
//!
//! [[structure.field]]
//! name = "encryption"
//! at = 4                         # without it: behind the field before
//! type = "u8"                    # u8 u16 u32 u64 i8 i16 i32 i64 f32 f64, with le (usual) or be: "u32be"
//!
//! [[structure.field]]
//! name = "version"
//! at = 28
//! type = "text"                  # text, hex or skip, with the length in bytes
//! len = 24
//! ```

use serde::Deserialize;

use super::bytes::cut;

/// Structures and fields of a file at most.
const MOST: usize = 200;
/// Bytes of one field at most.
const LONGEST: usize = 4096;
/// Bytes of a hex field that are shown.
const SHOWN: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, rename = "structure")]
    structures: Vec<WrittenStructure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStructure {
    name: String,
    magic: Option<String>,
    #[serde(default, rename = "field")]
    fields: Vec<WrittenField>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenField {
    name: String,
    at: Option<usize>,
    r#type: String,
    len: Option<usize>,
}

/// How a field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Unsigned(usize, bool),
    Signed(usize, bool),
    Float(usize, bool),
    Text(usize),
    Hex(usize),
    Skip(usize),
}

impl Type {
    fn parse(text: &str, len: Option<usize>) -> Option<Self> {
        let with_len = || len.filter(|len| (1..=LONGEST).contains(len));
        match text {
            "text" => return with_len().map(Self::Text),
            "hex" => return with_len().map(Self::Hex),
            "skip" => return with_len().map(Self::Skip),
            _ => {}
        }
        let (number, big) = match text.strip_suffix("be") {
            Some(number) => (number, true),
            None => (text.strip_suffix("le").unwrap_or(text), false),
        };
        Some(match number {
            "u8" => Self::Unsigned(1, big),
            "u16" => Self::Unsigned(2, big),
            "u32" => Self::Unsigned(4, big),
            "u64" => Self::Unsigned(8, big),
            "i8" => Self::Signed(1, big),
            "i16" => Self::Signed(2, big),
            "i32" => Self::Signed(4, big),
            "i64" => Self::Signed(8, big),
            "f32" => Self::Float(4, big),
            "f64" => Self::Float(8, big),
            _ => return None,
        })
    }

    const fn len(self) -> usize {
        match self {
            Self::Unsigned(len, _) | Self::Signed(len, _) | Self::Float(len, _) => len,
            Self::Text(len) | Self::Hex(len) | Self::Skip(len) => len,
        }
    }

    /// The value; `None` where the file ends before.
    fn read(self, bytes: &[u8]) -> Option<String> {
        let bytes = bytes.get(..self.len())?;
        let word = |big: bool| {
            let fold = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
            if big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
        };
        Some(match self {
            Self::Unsigned(len, big) => format!("{}  0x{:0width$X}", word(big), word(big), width = len * 2),
            Self::Signed(len, big) => {
                let unused = 64 - len as u32 * 8;
                ((word(big) << unused).cast_signed() >> unused).to_string()
            }
            Self::Float(4, big) => f32::from_bits(word(big) as u32).to_string(),
            Self::Float(_, big) => f64::from_bits(word(big)).to_string(),
            Self::Text(_) => {
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                let letters = String::from_utf8_lossy(text);
                format!("\"{}\"", letters.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>())
            }
            Self::Hex(len) => {
                let shown: Vec<String> = cut(bytes, 0, SHOWN).iter().map(|byte| format!("{byte:02X}")).collect();
                format!("{}{}", shown.join(" "), if len > SHOWN { " …" } else { "" })
            }
            Self::Skip(_) => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    at: usize,
    kind: Type,
}

/// A structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// What the user calls it.
    pub name: String,
    magic: Vec<u8>,
    fields: Vec<Field>,
}

/// The structures of a file, or what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Structures {
    list: Vec<Structure>,
    /// What is wrong with the file.
    pub fault: Option<String>,
}

/// A field as it reads: offset in the structure, name and value.
pub type FieldValue<'a> = (usize, &'a str, String);

impl Structures {
    /// Reads the text of a file. What is wrong is told as [`Structures::fault`], and then there are none.
    pub fn parse(text: &str) -> Self {
        match parse(text) {
            Ok(list) => Self { list, fault: None },
            Err(fault) => Self { list: Vec::new(), fault: Some(fault) },
        }
    }

    /// None, for a file that cannot be read.
    pub fn unreadable(fault: String) -> Self {
        Self { list: Vec::new(), fault: Some(fault) }
    }

    /// The structures that fit at a place, each with its fields.
    pub fn at(&self, bytes: &[u8], at: usize) -> Vec<(&str, Vec<FieldValue<'_>>)> {
        let rest = bytes.get(at..).unwrap_or_default();
        let fitting = self.list.iter().filter(|structure| rest.starts_with(&structure.magic));
        fitting.map(|structure| (structure.name.as_str(), structure.read(rest))).collect()
    }
}

impl Structure {
    fn read(&self, bytes: &[u8]) -> Vec<FieldValue<'_>> {
        let values = self.fields.iter().filter_map(|field| {
            let value = field.kind.read(bytes.get(field.at..)?)?;
            Some((field.at, field.name.as_str(), value))
        });
        values.collect()
    }
}

fn parse(text: &str) -> Result<Vec<Structure>, String> {
    let written: Written = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, error.message().lines().next().unwrap_or_default())
    })?;
    written.structures.into_iter().take(MOST).map(structure).collect()
}

fn structure(written: WrittenStructure) -> Result<Structure, String> {
    let name = plain(&written.name);
    let magic = match &written.magic {
        None => Vec::new(),
        Some(text) => hex(text).ok_or_else(|| format!("{name}: magic is not a list of hex bytes"))?,
    };
    let (mut fields, mut next) = (Vec::new(), 0);
    for field in written.fields.into_iter().take(MOST) {
        let kind = Type::parse(&field.r#type, field.len).ok_or_else(|| {
            format!("{name}: {}: type {:?} is not known, or len is missing", field.name, field.r#type)
        })?;
        let at = field.at.unwrap_or(next);
        next = at.saturating_add(kind.len());
        fields.push(Field { name: plain(&field.name), at, kind });
    }
    Ok(Structure { name, magic, fields })
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let even = digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    even.then(|| digits.as_bytes().chunks(2))?
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[structure]]
        name = "record"
        magic = "55 AA"
        [[structure.field]]
        name = "kind"
        at = 2
        type = "u16be"
        [[structure.field]]
        name = "delta"
        type = "i16"
        [[structure.field]]
        name = "name"
        type = "text"
        len = 4
        [[structure]]
        name = "anywhere"
        [[structure.field]]
        name = "raw"
        type = "hex"
        len = 3
    "#;

    #[test]
    fn fields_are_read_where_the_magic_stands() {
        let structures = Structures::parse(TEXT);
        assert_eq!(structures.fault, None);
        let bytes = b"\x55\xAA\x01\x02\xFE\xFFab\0\x1B";
        let found = structures.at(bytes, 0);
        assert_eq!(found[0].0, "record");
        let expected =
            [(2, "kind", "258  0x0102".to_owned()), (4, "delta", "-2".to_owned()), (6, "name", "\"ab\"".to_owned())];
        assert_eq!(found[0].1, expected);
        assert_eq!(found[1].1, [(0, "raw", "55 AA 01".to_owned())]);
        assert_eq!(structures.at(bytes, 1).len(), 1, "no magic here");
        assert_eq!(structures.at(bytes, 9)[0].1, [], "the file ends before");
        assert_eq!(structures.at(bytes, 99).len(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_or_name() {
        for (text, what) in [
            ("[[structure]]\nname = 1", "line 2"),
            ("[[structure]]\nname = \"a\"\nmagic = \"5\"", "a: magic"),
            ("[[structure]]\nname = \"a\"\n[[structure.field]]\nname = \"b\"\ntype = \"u24\"", "type \"u24\""),
            ("[[structure]]\nname = \"a\"\n[[structure.field]]\nname = \"b\"\ntype = \"text\"", "len is missing"),
        ] {
            let fault = Structures::parse(text).fault.unwrap_or_default();
            assert!(fault.contains(what), "{fault}");
        }
    }
}
