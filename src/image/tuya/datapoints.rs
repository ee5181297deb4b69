//! The data points of a device: what it exchanges with Tuya's cloud and, where a second processor (TuyaMCU) has the
//! pins, with that processor. They stand in the store as JSON, under a key named like the schema id that `gw_di` tells.
//! A device that was never paired has none. Names are not among them: what a point means is a guess
//! ([`super::meaning`]).

use serde::{Deserialize, Serialize, Serializer};

use super::Tuya;
use super::kv::Entry;

/// Points that one list can hold: their numbers are bytes.
const MOST: usize = 255;
/// Longest text of one value of an enumeration that is kept, in letters.
const LONGEST: usize = 64;

/// Who may change a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Mode {
    /// Both sides.
    #[serde(rename = "rw")]
    Both,
    /// Only the device.
    #[serde(rename = "ro")]
    Report,
    /// Only the cloud, or the firmware in its place.
    #[serde(rename = "wr")]
    Order,
}

/// What a point holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// On or off.
    Bool,
    /// A number: what is sent is the value times ten to the power of `scale`.
    Value {
        /// Smallest number sent.
        min: i64,
        /// Largest number sent.
        max: i64,
        /// Decimal places.
        scale: u8,
        /// Distance of two numbers.
        step: i64,
    },
    /// One of these, sent as its place in the list, from 0.
    Enum(Vec<String>),
    /// A text.
    Text(Option<u32>),
    /// Bits; their number.
    Bitmap(Option<u32>),
    /// Bytes that only the maker knows.
    Raw(Option<u32>),
    /// A type that is not known here.
    Other(String),
}

impl Content {
    /// The word that the store uses.
    pub fn name(&self) -> &str {
        match self {
            Self::Bool => "bool",
            Self::Value { .. } => "value",
            Self::Enum(_) => "enum",
            Self::Text(_) => "string",
            Self::Bitmap(_) => "bitmap",
            Self::Raw(_) => "raw",
            Self::Other(name) => name,
        }
    }
}

/// A data point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPoint {
    /// Its number.
    pub id: u8,
    /// Who may change it.
    pub mode: Mode,
    /// `obj` or `raw`.
    pub kind: String,
    /// What it holds.
    pub content: Content,
}

impl DataPoint {
    /// Whether the firmware may change it.
    pub const fn is_writable(&self) -> bool {
        !matches!(self.mode, Mode::Report)
    }

    /// Type and range in words: `value 0 to 500.0, 1 decimal place`.
    pub fn range_text(&self) -> String {
        match &self.content {
            Content::Value { min, max, scale, .. } => {
                let decimals = match scale {
                    0 => String::new(),
                    1 => ", 1 decimal place".to_owned(),
                    places => format!(", {places} decimal places"),
                };
                format!("value {} to {}{decimals}", scaled(*min, *scale), scaled(*max, *scale))
            }
            Content::Enum(range) => format!("enum {}", range.join(", ")),
            Content::Bitmap(Some(bits)) => format!("bitmap of {bits} bits"),
            content => content.name().to_owned(),
        }
    }

    /// `ro`, `rw` or `wr` in words.
    pub const fn mode_text(&self) -> &'static str {
        match self.mode {
            Mode::Both => "read and write",
            Mode::Report => "read only",
            Mode::Order => "write only",
        }
    }
}

/// A number with its decimal places: 5000 with one is `500.0`.
pub fn scaled(number: i64, scale: u8) -> String {
    let digits = usize::from(scale);
    if digits == 0 {
        return number.to_string();
    }
    let sign = if number < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", number.unsigned_abs(), width = digits + 1);
    let (whole, decimals) = text.split_at(text.len() - digits);
    format!("{sign}{whole}.{decimals}")
}

#[derive(Serialize)]
struct Shown<'a> {
    id: u8,
    mode: Mode,
    kind: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxlen: Option<u32>,
}

impl Serialize for DataPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = Shown {
            id: self.id,
            mode: self.mode,
            kind: &self.kind,
            r#type: self.content.name(),
            min: None,
            max: None,
            scale: None,
            step: None,
            range: None,
            maxlen: None,
        };
        match &self.content {
            Content::Value { min, max, scale, step } => {
                (shown.min, shown.max, shown.scale, shown.step) = (Some(*min), Some(*max), Some(*scale), Some(*step));
            }
            Content::Enum(range) => shown.range = Some(range),
            Content::Text(len) | Content::Bitmap(len) | Content::Raw(len) => shown.maxlen = *len,
            Content::Bool | Content::Other(_) => {}
        }
        shown.serialize(serializer)
    }
}

/// The data points of a device, with the place they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Key of the store, which is the schema id.
    pub key: String,
    /// Whether the store still names the value; a deleted one may be of another device or firmware.
    pub live: bool,
    /// Whether `gw_di` names this schema id.
    pub named: bool,
    /// The points, by number.
    pub points: Vec<DataPoint>,
    /// Entries of the list that could not be read.
    pub unreadable: usize,
}

#[derive(Deserialize)]
struct Written {
    id: i64,
    mode: String,
    r#type: Option<String>,
    property: Option<Property>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Property {
    r#type: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    scale: Option<i64>,
    step: Option<i64>,
    range: Option<Vec<String>>,
    maxlen: Option<i64>,
}

fn point(value: &serde_json::Value) -> Option<DataPoint> {
    let written = Written::deserialize(value).ok()?;
    let mode = match written.mode.as_str() {
        "rw" => Mode::Both,
        "ro" => Mode::Report,
        "wr" | "wo" => Mode::Order,
        _ => return None,
    };
    let kind = written.r#type.filter(|kind| !kind.is_empty()).unwrap_or_else(|| "obj".to_owned());
    let property = written.property.unwrap_or_default();
    let len = property.maxlen.and_then(|len| u32::try_from(len).ok());
    let content = match property.r#type.as_deref().unwrap_or(&kind) {
        "bool" => Content::Bool,
        "value" => Content::Value {
            min: property.min.unwrap_or(0),
            max: property.max.unwrap_or(i32::MAX.into()),
            scale: property.scale.and_then(|scale| u8::try_from(scale).ok()).filter(|scale| *scale < 19).unwrap_or(0),
            step: property.step.unwrap_or(1),
        },
        "enum" => {
            let range = property.range.unwrap_or_default().into_iter();
            Content::Enum(range.map(|text| text.chars().take(LONGEST).collect()).collect())
        }
        "string" => Content::Text(len),
        "bitmap" => Content::Bitmap(len),
        "raw" => Content::Raw(len),
        other => Content::Other(other.chars().take(LONGEST).collect()),
    };
    Some(DataPoint { id: u8::try_from(written.id).ok()?, mode, kind, content })
}

/// Reads a list of data points; `None` when the text is none, or holds no point at all.
fn read(text: &[u8]) -> Option<(Vec<DataPoint>, usize)> {
    let text = text.split(|byte| *byte == 0).next()?;
    if !text.starts_with(b"[") {
        return None;
    }
    let list: Vec<serde_json::Value> = serde_json::from_slice(text).ok()?;
    let mut points: Vec<DataPoint> = list.iter().take(MOST).filter_map(point).collect();
    let unreadable = list.len() - points.len();
    points.sort_by_key(|point| point.id);
    points.dedup_by_key(|point| point.id);
    (!points.is_empty()).then_some((points, unreadable))
}

/// The data points of the store. The live value that `gw_di` names comes first, then another live one, then deleted ones.
pub fn find(tuya: &Tuya) -> Option<Schema> {
    let store = tuya.store.as_ref()?;
    let named = tuya.schema_id();
    let rank = |entry: &Entry| (named.as_deref() == Some(entry.name.as_str()), entry.live);
    let schemas = store.entries.iter().filter(|entry| entry.good).filter_map(|entry| {
        let (points, unreadable) = read(entry.text())?;
        let (named, live) = rank(entry);
        Some(Schema { key: entry.name.clone(), live, named, points, unreadable })
    });
    // Of equals the first: the store's entries are sorted newest first.
    schemas.reduce(|best, next| if (next.named, next.live) > (best.named, best.live) { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"[{"mode":"ro","property":{"min":-5,"max":5000,"scale":1,"step":1,"type":"value"},"id":101,"type":"obj"},
        {"mode":"rw","property":{"type":"bool"},"id":1,"type":"obj"},
        {"mode":"rw","property":{"range":["off","on"],"type":"enum"},"id":14,"type":"obj"},
        {"mode":"ro","id":6,"type":"raw"},
        {"mode":"ro","property":{"type":"bitmap","maxlen":17},"id":137,"type":"obj"},
        {"mode":"rw","property":{"type":"string","maxlen":255},"id":24,"type":"obj"},
        {"mode":"rw","property":{"type":"bool"},"id":1000,"type":"obj"}, {"id":"x"}, 7]"#;

    #[test]
    fn every_type_is_read_and_what_cannot_be_is_counted() {
        let (points, unreadable) = read(LIST.as_bytes()).unwrap();
        assert_eq!(unreadable, 3);
        let shown: Vec<String> = points.iter().map(|point| serde_json::to_string(point).unwrap()).collect();
        assert_eq!(
            shown,
            [
                r#"{"id":1,"mode":"rw","kind":"obj","type":"bool"}"#,
                r#"{"id":6,"mode":"ro","kind":"raw","type":"raw"}"#,
                r#"{"id":14,"mode":"rw","kind":"obj","type":"enum","range":["off","on"]}"#,
                r#"{"id":24,"mode":"rw","kind":"obj","type":"string","maxlen":255}"#,
                r#"{"id":101,"mode":"ro","kind":"obj","type":"value","min":-5,"max":5000,"scale":1,"step":1}"#,
                r#"{"id":137,"mode":"ro","kind":"obj","type":"bitmap","maxlen":17}"#,
            ]
        );
        let texts: Vec<String> = points.iter().map(DataPoint::range_text).collect();
        assert_eq!(
            texts,
            ["bool", "raw", "enum off, on", "string", "value -0.5 to 500.0, 1 decimal place", "bitmap of 17 bits"]
        );
    }

    #[test]
    fn a_text_that_is_no_list_of_points_is_none() {
        for text in ["", "[", "[]", "{}", "[1,2]", "[{\"id\":1}]", "[{\"id\":1,\"mode\":\"xx\"}]"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_number_is_shown_with_its_decimal_places() {
        for (number, scale, text) in [
            (5000, 1, "500.0"),
            (7, 3, "0.007"),
            (-66, 2, "-0.66"),
            (12, 0, "12"),
            (i64::MIN, 0, "-9223372036854775808"),
        ] {
            assert_eq!(scaled(number, scale), text);
        }
    }
}
