//! What differs between two sectors of OpenBeken's configuration, field by field and in words; secrets are masked.

use std::ops::Range;

use serde::Serialize;

use super::{Config, LEN, MAC, MAGIC, PINS, START_UP, TEXTS, flags, in_one_line};
use crate::image::bytes::{all, cut, u32_le};
use crate::image::family::Family;
use crate::image::template::roles;

/// A field of the configuration that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// The field, in words.
    pub field: String,
    /// What it is now; a secret as `set` or `empty`.
    pub before: String,
    /// What it becomes; a secret as `set`, `changed` or `empty`.
    pub after: String,
}

impl std::fmt::Display for FieldChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} → {}", self.field, self.before, self.after)
    }
}

/// Every field that differs between two configuration sectors of `chip`, in the order of the layout. A sector may be
/// erased, damaged or hold something else. The checksum counts only as right or wrong.
pub fn changes(before: &[u8], after: &[u8], chip: Family) -> Vec<FieldChange> {
    if chip.config_sector().is_none() {
        return Vec::new();
    }
    let (before, after) = (Sector::of(before), Sector::of(after));
    let mut changes = Vec::new();
    if before.state != after.state {
        let (before, after) = (before.state.words(), after.state.words());
        changes.push(FieldChange { field: "configuration".to_owned(), before, after });
    }
    let (old, new) = (before.fields(&after), after.fields(&before));
    for (old, new) in old.iter().zip(&new).filter(|(old, new)| old.raw != new.raw) {
        let (before, mut after) = (before.shown(old), after.shown(new));
        // Two secrets, or two texts that differ in the masked part.
        if before == after {
            "changed".clone_into(&mut after);
        }
        changes.push(FieldChange { field: new.name.clone(), before, after });
    }
    changes.extend(before.rest(&after, &old, &new));
    changes
}

/// What a sector holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Erased,
    Other,
    Damaged,
    Good,
}

impl State {
    fn words(self) -> String {
        let words = match self {
            Self::Erased => "none",
            Self::Other => "none; the sector holds other data",
            Self::Damaged => "damaged (wrong checksum)",
            Self::Good => "intact",
        };
        words.to_owned()
    }
}

/// A sector as far as it is a configuration; its bytes are padded to the length of one.
struct Sector {
    state: State,
    config: Config,
}

struct Field {
    name: String,
    /// What is compared: zero or empty where nothing is set.
    raw: Vec<u8>,
    shown: String,
    /// Offsets of its bytes.
    place: Vec<usize>,
}

impl Sector {
    fn of(bytes: &[u8]) -> Self {
        let read = Config::read(bytes, 0);
        let state = match &read {
            Some(config) if config.good => State::Good,
            None if all(bytes, 0xFF) => State::Erased,
            None if !bytes.starts_with(MAGIC) => State::Other,
            _ => State::Damaged,
        };
        let mut config = read.unwrap_or_else(|| Config { offset: 0, version: 0, good: false, bytes: Vec::new() });
        config.bytes.resize(LEN, 0);
        Self { state, config }
    }

    fn is_there(&self) -> bool {
        matches!(self.state, State::Good | State::Damaged)
    }

    fn shown(&self, field: &Field) -> String {
        if self.is_there() { field.shown.clone() } else { "none".to_owned() }
    }

    fn bytes(&self, place: &Range<usize>) -> &[u8] {
        cut(&self.config.bytes, place.start, place.end)
    }

    /// All fields, always the same ones in the same order.
    fn fields(&self, other: &Self) -> Vec<Field> {
        let mut fields = self.numbers(&HEAD);
        fields.extend((0..64).map(|flag| self.flag(flag)));
        fields.extend(TEXTS.iter().map(|text| {
            let shown = |raw: &[u8]| if text.secret { "set".to_owned() } else { self.masked(raw, other) };
            self.text(text.label, &text.place, shown)
        }));
        let hidden = self.config.start_up_is_secret() || other.config.start_up_is_secret();
        let command = |raw: &[u8]| if hidden { "set, not shown".to_owned() } else { self.masked(raw, other) };
        fields.push(self.text("start-up command", &START_UP, command));
        fields.push(self.text("MQTT certificate file", &(0xCA7..0xCBB), |raw| self.masked(raw, other)));
        fields.push(self.mac());
        fields.extend((0..PINS).map(|pin| self.pin(pin)));
        fields.extend((0..64).map(|channel| {
            let at = 0x39E + channel;
            self.number(&format!("type of channel {channel}"), at, Kind::U8)
        }));
        fields.extend((0..64).map(|channel| {
            let at = 0x3DE + 2 * channel;
            self.number(&format!("start value of channel {channel}"), at, Kind::I16)
        }));
        fields.extend(self.numbers(&TAIL));
        fields
    }

    fn numbers(&self, table: &[(&str, usize, Kind)]) -> Vec<Field> {
        table.iter().map(|(name, at, kind)| self.number(name, *at, *kind)).collect()
    }

    fn number(&self, name: &str, at: usize, kind: Kind) -> Field {
        let place = at..at + kind.len();
        let raw = self.bytes(&place).to_vec();
        Field { name: name.to_owned(), shown: kind.shown(&raw), raw, place: place.collect() }
    }

    fn flag(&self, number: u8) -> Field {
        let on = self.config.flags() >> number & 1 == 1;
        let at = 8 + usize::from(number) / 8;
        Field {
            name: format!("flag {number} ({})", flags::meaning(number)),
            raw: vec![u8::from(on)],
            shown: if on { "on" } else { "off" }.to_owned(),
            place: vec![at],
        }
    }

    fn text(&self, name: &str, place: &Range<usize>, shown: impl Fn(&[u8]) -> String) -> Field {
        let raw = self.config.raw_text(place);
        let shown = if raw.is_empty() { "empty".to_owned() } else { shown(raw) };
        Field { name: name.to_owned(), raw: raw.to_vec(), shown, place: place.clone().take(raw.len()).collect() }
    }

    /// A text in one line, without the end of either MAC address.
    fn masked(&self, raw: &[u8], other: &Self) -> String {
        let text = in_one_line(&String::from_utf8_lossy(raw)).replace(char::is_control, "?");
        let mask = |text: &str, config: &Config| {
            if cut(&config.bytes, MAC.start, MAC.end) == [0; 6] { text.to_owned() } else { config.without_mac(text) }
        };
        mask(&mask(&text, &self.config), &other.config)
    }

    fn mac(&self) -> Field {
        let raw = self.bytes(&MAC).to_vec();
        let shown = if all(&raw, 0) { "empty" } else { "set" }.to_owned();
        Field { name: "MAC address".to_owned(), raw, shown, place: MAC.collect() }
    }

    fn pin(&self, pin: usize) -> Field {
        let places = [0x33E + pin, 0x35E + pin, 0x37E + pin];
        let [role, channel, channel2] = places.map(|at| self.config.byte(at));
        let (raw, shown) = match (role, channel2) {
            (0, _) => (vec![0; 3], "none".to_owned()),
            (_, 0) => (vec![role, channel, 0], format!("{};{channel}", roles::name_of(role))),
            _ => (vec![role, channel, channel2], format!("{};{channel};{channel2}", roles::name_of(role))),
        };
        // The channels of a pin without a role mean nothing.
        Field { name: format!("P{pin}"), place: places[..if role == 0 { 1 } else { 3 }].to_vec(), raw, shown }
    }

    /// Bytes that differ outside all fields.
    fn rest(&self, after: &Self, old: &[Field], new: &[Field]) -> Option<FieldChange> {
        let mut known = vec![false; LEN];
        known[..4].fill(true);
        for at in old.iter().chain(new).flat_map(|field| &field.place) {
            known[*at] = true;
        }
        let (before, after) = (&self.config.bytes, &after.config.bytes);
        let count = (0..LEN).filter(|at| !known[*at] && before.get(*at) != after.get(*at)).count();
        (count > 0).then(|| FieldChange {
            field: "bytes without a setting".to_owned(),
            before: "present".to_owned(),
            after: format!("{count} changed"),
        })
    }
}

/// How a number is shown.
#[derive(Clone, Copy)]
enum Kind {
    U8,
    /// 0 is on: the field says what is off.
    Off,
    Switch,
    U16,
    I16,
    U32,
    Hex,
    /// 0.1 s.
    Tenths,
    Seconds,
    Float,
    Address,
    Bytes(usize),
}

impl Kind {
    const fn len(self) -> usize {
        match self {
            Self::U8 | Self::Off | Self::Switch | Self::Tenths | Self::Seconds => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::Hex | Self::Float | Self::Address => 4,
            Self::Bytes(len) => len,
        }
    }

    fn shown(self, raw: &[u8]) -> String {
        let first = raw.first().copied().unwrap_or(0);
        let half = u16::from_le_bytes([first, raw.get(1).copied().unwrap_or(0)]);
        let word = u32_le(raw, 0).unwrap_or(0);
        let listed = |between: &str| raw.iter().map(u8::to_string).collect::<Vec<_>>().join(between);
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        match self {
            Self::U8 => first.to_string(),
            Self::Off => switch(first == 0),
            Self::Switch => switch(first != 0),
            Self::U16 => half.to_string(),
            Self::I16 => half.cast_signed().to_string(),
            Self::U32 => word.to_string(),
            Self::Hex => format!("0x{word:X}"),
            Self::Tenths => format!("{}.{} s", first / 10, first % 10),
            Self::Seconds => format!("{first} s"),
            Self::Float => float(f32::from_bits(word)),
            Self::Address => listed("."),
            Self::Bytes(_) => listed(" "),
        }
    }
}

/// A number of usual size in full, any other in powers of ten.
fn float(number: f32) -> String {
    let usual = number == 0.0 || (1e-4..1e7).contains(&number.abs());
    if usual { number.to_string() } else { format!("{number:e}") }
}

/// Numbers in front of the texts.
const HEAD: [(&str, usize, Kind); 4] = [
    ("version", 4, Kind::U32),
    ("change counter", 0x10, Kind::U16),
    ("OTA counter", 0x12, Kind::U16),
    ("MQTT port", 0x294, Kind::U32),
];

/// Numbers behind the channels.
const TAIL: [(&str, usize, Kind); 33] = [
    ("log at start-up", 0x45E, Kind::U8),
    ("device group, sent", 0x460, Kind::Hex),
    ("device group, received", 0x464, Kind::Hex),
    ("calibration of voltage", 0x498, Kind::Float),
    ("calibration of current", 0x49C, Kind::Float),
    ("calibration of power", 0x4A0, Kind::Float),
    ("highest power", 0x4A4, Kind::Float),
    ("meter clock", 0x4A8, Kind::Hex),
    ("meter voltage factor", 0x4AC, Kind::Hex),
    ("meter current factor A", 0x4B0, Kind::Hex),
    ("meter current factor B", 0x4B4, Kind::Hex),
    ("button, short press", 0x4B8, Kind::Tenths),
    ("button, long press", 0x4B9, Kind::Tenths),
    ("button, repeat", 0x4BA, Kind::Tenths),
    ("LittleFS size", 0x4BC, Kind::Hex),
    ("log flags", 0x4C0, Kind::Hex),
    ("static IP address", 0x527, Kind::Address),
    ("static IP mask", 0x52B, Kind::Address),
    ("static IP gateway", 0x52F, Kind::Address),
    ("static IP DNS server", 0x533, Kind::Address),
    ("LED order", 0x537, Kind::Bytes(5)),
    ("LED correction, red", 0x53C, Kind::Float),
    ("LED correction, green", 0x540, Kind::Float),
    ("LED correction, blue", 0x544, Kind::Float),
    ("LED gamma", 0x548, Kind::Float),
    ("LED lowest RGB brightness", 0x54C, Kind::Float),
    ("LED lowest white brightness", 0x550, Kind::Float),
    ("time until a start counts as good", 0x597, Kind::Seconds),
    ("ping interval", 0x598, Kind::U32),
    ("ping time", 0x59C, Kind::U32),
    ("MQTT over TLS", 0xCA5, Kind::Switch),
    ("MQTT certificate check", 0xCA6, Kind::Switch),
    ("web server", 0xCBB, Kind::Off),
];

#[cfg(test)]
mod tests;
