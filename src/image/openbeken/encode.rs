//! Makes the sector of OpenBeken's configuration: a new one with the firmware's own defaults, or the one that is there
//! with some fields changed (formats.md §12). What is made is read back by the decoder before it leaves this file.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Config, LEN, MAC, MAGIC, PINS, START_UP, TEXTS, crc8, is_blank};
use crate::image::family::Family;
use crate::image::template::Template;
use crate::image::template::limits::{self, PinMisfit};
use crate::image::template::roles::number_of;
use crate::problem::{Class, Explain, Problem};
use crate::units::SECTOR;

/// Version of the layout that is written.
const VERSION: u32 = 5;
/// Versions that have this layout; their fields are the same.
const KNOWN: [u32; 2] = [4, 5];
/// "Tell my state when MQTT connects", the one flag that the firmware sets by itself.
pub const DEFAULT_FLAGS: u64 = 1 << 10;
/// Longest network name, in bytes (IEEE 802.11).
const LONGEST_SSID: usize = 32;
/// Longest Wi-Fi passphrase, in bytes; one byte more is a key of hex digits (IEEE 802.11).
const LONGEST_PASSPHRASE: usize = 63;
/// Texts that the firmware cannot do without.
const NEVER_EMPTY: [&str; 3] = ["mqtt_client_id", "short_name", "long_name"];

const FLAGS: usize = 8;
const COUNTER: Range<usize> = 0x10..0x12;
const MQTT_PORT: usize = 0x294;
const ROLES_AT: usize = 0x33E;
const CHANNELS_AT: usize = 0x35E;
const CHANNELS_2_AT: usize = 0x37E;
/// Short, long and repeated press of a button, in 0.1 s.
const BUTTONS: (usize, [u8; 3]) = (0x4B8, [3, 10, 5]);
/// Correction of red, green and blue, gamma, lowest brightness of RGB and of white. Without it the firmware saves its
/// configuration at the first start, where the supply may be cut.
const LED_CORRECTION: (usize, [f32; 6]) = (0x53C, [1.0, 1.0, 1.0, 2.2, 0.1, 0.1]);
/// Seconds until a start counts as good.
const BOOT_GOOD: (usize, u8) = (0x597, 5);

/// A pin as it shall be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinSetting {
    /// GPIO number, below 32.
    pub pin: u8,
    /// Number of the role.
    pub role: u8,
    /// Channel.
    pub channel: u8,
    /// Second channel; `None` leaves it where the pin has the role already, else it is 0.
    pub channel2: Option<u8>,
}

/// What shall be set. What is left out stays as it is, or as the firmware has it by default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Texts by their JSON name: `wifi_ssid`, `wifi_password`, `mqtt_host`, `long_name` …
    pub texts: BTreeMap<&'static str, String>,
    /// Port of the MQTT server.
    pub mqtt_port: Option<u16>,
    /// The 64 flags.
    pub flags: Option<u64>,
    /// All pins; those not named lose their role.
    pub pins: Option<Vec<PinSetting>>,
    /// The start-up command.
    pub start_up: Option<String>,
}

impl std::fmt::Debug for Settings {
    /// Names what is set, and never a value: most of them are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("texts", &self.texts.keys()).field("pins", &self.pins).finish_non_exhaustive()
    }
}

/// Why a configuration cannot be made. No value is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text does not fit its field.
    #[error("{field} has {len} bytes, and {most} bytes fit")]
    TooLong {
        /// The field, in words.
        field: &'static str,
        /// Bytes of the text.
        len: usize,
        /// Bytes that fit.
        most: usize,
    },
    /// A text holds a byte that ends it or confuses the firmware.
    #[error("{field} holds a control character")]
    ControlCharacter {
        /// The field, in words.
        field: &'static str,
    },
    /// No network takes a password of this length.
    #[error("{field} has {len} bytes; a Wi-Fi password has 8 to {LONGEST_PASSPHRASE} bytes, an open network none")]
    ShortPassword {
        /// The field, in words.
        field: &'static str,
        /// Bytes of the text.
        len: usize,
    },
    /// 64 bytes that are not a key.
    #[error("{field} has 64 bytes, but they are not hex digits; a Wi-Fi password has up to {LONGEST_PASSPHRASE} bytes")]
    NotAKey {
        /// The field, in words.
        field: &'static str,
    },
    /// A text that must not be empty.
    #[error("{field} is empty")]
    Empty {
        /// The field, in words.
        field: &'static str,
    },
    /// Port 0.
    #[error("the MQTT port is 0")]
    PortZero,
    /// A pin, role or channel that the chip or the firmware does not have.
    #[error("{0}")]
    Pin(#[from] PinMisfit),
    /// The factory firmware's pins are asked for, and it names none.
    #[error("pins = \"factory\": {0}")]
    NoFactoryPins(&'static str),
    /// The chip has no such sector.
    #[error("where this chip keeps OpenBeken's configuration is not known")]
    UnknownChip,
    /// The configuration that is there has another layout.
    #[error("the configuration on the chip has version {0}, whose layout is not known")]
    UnknownLayout(u32),
    /// The decoder does not find again what was written: a bug.
    #[error("the configuration does not read back")]
    NotReadBack,
}

impl Explain for EncodeError {
    fn explain(&self) -> Problem {
        let (class, code, cause, remedy) = match self {
            Self::UnknownLayout(_) | Self::UnknownChip => (
                Class::Refused,
                "E149",
                "fields written at guessed places would leave the module with wrong settings",
                "omit --config and set the module up over its access point, 192.168.4.1",
            ),
            Self::NotReadBack => (Class::Internal, "E149", "a bug in bkbench", "please report it"),
            Self::NoFactoryPins(_) => (
                Class::Usage,
                "E150",
                "only a dump of the factory firmware holds its pin map",
                "name the pins under [pins], or a template: template = \"plug.json\"",
            ),
            Self::Pin(_) => (
                Class::Usage,
                "E147",
                "OpenBeken would ignore the role or use a wrong channel",
                "correct the pin in the file given with --config, or in its template",
            ),
            Self::Empty { .. } | Self::PortZero => (
                Class::Usage,
                "E147",
                "OpenBeken does not work without a value there",
                "correct it in the file given with --config, or omit it to keep what the module has",
            ),
            _ => (
                Class::Usage,
                "E147",
                "OpenBeken keeps every setting in a field of fixed size",
                "correct it in the file given with --config",
            ),
        };
        Problem::new(class, code, format!("OpenBeken configuration: {self}"), cause, remedy)
    }
}

/// The pins of a template.
pub fn pins_of(template: &Template) -> Vec<PinSetting> {
    let setting = |line: &crate::image::template::Line| {
        Some(PinSetting { pin: line.pin, role: number_of(line.role)?, channel: line.channel, channel2: None })
    };
    template.lines.iter().filter_map(setting).collect()
}

/// The configuration of a sector that can be changed field by field; `None` where there is none, or a damaged one,
/// which the firmware throws away too.
///
/// # Errors
/// [`EncodeError::UnknownLayout`] for an intact one of another version.
pub fn base_of(sector: &[u8]) -> Result<Option<Config>, EncodeError> {
    match Config::read(sector, 0).filter(|config| config.good) {
        Some(config) if !KNOWN.contains(&config.version) => Err(EncodeError::UnknownLayout(config.version)),
        found => Ok(found),
    }
}

/// Whether a sector holds an intact configuration of a layout that is written here.
pub fn is_known(sector: &[u8]) -> bool {
    matches!(base_of(sector), Ok(Some(_)))
}

/// The whole sector, 4096 bytes, from the one that is there. `mac` names a new configuration and is put into it. Where
/// nothing would change, the sector stays as it is, byte for byte.
///
/// # Errors
/// [`EncodeError`].
pub fn sector(before: &[u8], chip: Family, mac: Option<[u8; 6]>, wanted: &Settings) -> Result<Vec<u8>, EncodeError> {
    let base = base_of(before)?;
    let mut bytes = match &base {
        Some(config) => config.bytes.clone(),
        None => defaults(chip, mac)?,
    };
    set(&mut bytes, chip, wanted)?;
    let changed = base.as_ref().is_none_or(|config| config.bytes != bytes);
    if changed {
        let counter = u16::from_le_bytes([bytes[COUNTER.start], bytes[COUNTER.start + 1]]).wrapping_add(1);
        put_bytes(&mut bytes, COUNTER.start, &counter.to_le_bytes());
        bytes[3] = crc8(&bytes[4..]);
    }
    // Nothing is read behind the configuration; erased bytes need no programming.
    bytes.extend_from_slice(base.and_then(|_| before.get(LEN..SECTOR as usize)).unwrap_or_default());
    bytes.resize(SECTOR as usize, 0xFF);
    proven(bytes, wanted)
}

/// Sets the fields that differ from what is wanted, and touches no other.
fn set(bytes: &mut [u8], chip: Family, wanted: &Settings) -> Result<(), EncodeError> {
    for (name, text) in &wanted.texts {
        put_text(bytes, name, text)?;
    }
    if let Some(text) = &wanted.start_up {
        put(bytes, "start-up command", START_UP, text, 1)?;
    }
    match wanted.mqtt_port {
        Some(0) => return Err(EncodeError::PortZero),
        Some(port) => put_bytes(bytes, MQTT_PORT, &u32::from(port).to_le_bytes()),
        None => {}
    }
    if let Some(flags) = wanted.flags {
        put_bytes(bytes, FLAGS, &flags.to_le_bytes());
    }
    if let Some(pins) = &wanted.pins {
        put_pins(bytes, chip, pins)?;
    }
    Ok(())
}

/// Sets all pins; those not named lose role and channels.
fn put_pins(bytes: &mut [u8], chip: Family, pins: &[PinSetting]) -> Result<(), EncodeError> {
    for set in pins {
        limits::check(chip, set.pin, set.role, [set.channel, set.channel2.unwrap_or(0)])?;
    }
    for pin in 0..PINS {
        let role = bytes[ROLES_AT + pin];
        let wanted = pins.iter().rfind(|set| usize::from(set.pin) == pin && set.role != 0);
        let (new, channel, channel2) = match wanted {
            Some(set) if set.role == role => (role, set.channel, set.channel2.unwrap_or(bytes[CHANNELS_2_AT + pin])),
            Some(set) => (set.role, set.channel, set.channel2.unwrap_or(0)),
            // The channels of a pin that has no role anyway mean nothing.
            None if role == 0 => continue,
            None => (0, 0, 0),
        };
        put_bytes(bytes, ROLES_AT + pin, &[new]);
        put_bytes(bytes, CHANNELS_AT + pin, &[channel]);
        put_bytes(bytes, CHANNELS_2_AT + pin, &[channel2]);
    }
    Ok(())
}

/// What the decoder makes of it has to be what was wanted, byte for byte.
fn proven(bytes: Vec<u8>, wanted: &Settings) -> Result<Vec<u8>, EncodeError> {
    let read = base_of(&bytes)?.ok_or(EncodeError::NotReadBack)?;
    let place_of = |name: &str| TEXTS.iter().find(|field| field.name == name).map(|field| &field.place);
    let is_there = |place: &Range<usize>, text: &str| read.raw_text(place) == text.as_bytes();
    let texts = wanted.texts.iter().all(|(name, text)| place_of(name).is_some_and(|place| is_there(place, text)));
    let start_up = wanted.start_up.as_ref().is_none_or(|text| is_there(&START_UP, text));
    let flags = wanted.flags.is_none_or(|flags| read.flags() == flags);
    let pins = wanted.pins.as_ref().is_none_or(|pins| {
        let mut wanted: Vec<_> = pins.iter().map(|set| (set.pin, set.role, set.channel)).collect();
        wanted.sort_unstable();
        wanted.retain(|(_, role, _)| *role != 0);
        let found = read.pins().into_iter().map(|pin| (pin.pin, pin.role_number, pin.channel));
        found.eq(wanted)
    });
    if texts && start_up && flags && pins { Ok(bytes) } else { Err(EncodeError::NotReadBack) }
}

/// What the firmware itself starts with, where it finds no configuration.
fn defaults(chip: Family, mac: Option<[u8; 6]>) -> Result<Vec<u8>, EncodeError> {
    let group = match chip {
        Family::Bk7231T => "bekens_t",
        Family::Bk7231N => "bekens_n",
        Family::Other => return Err(EncodeError::UnknownChip),
    };
    let mut bytes = vec![0; LEN];
    put_bytes(&mut bytes, 0, MAGIC);
    put_bytes(&mut bytes, 4, &VERSION.to_le_bytes());
    put_bytes(&mut bytes, FLAGS, &DEFAULT_FLAGS.to_le_bytes());
    put_bytes(&mut bytes, MQTT_PORT, &1883_u32.to_le_bytes());
    put_bytes(&mut bytes, BUTTONS.0, &BUTTONS.1);
    put_bytes(&mut bytes, BOOT_GOOD.0, &[BOOT_GOOD.1]);
    put_bytes(&mut bytes, LED_CORRECTION.0, &LED_CORRECTION.1.map(f32::to_le_bytes).concat());
    let mut texts = vec![
        ("mqtt_group", group.to_owned()),
        ("mqtt_user", "homeassistant".to_owned()),
        ("mqtt_password", "q".repeat(10)),
        ("ping_host", "192.168.0.1".to_owned()),
        ("ntp_server", "217.147.223.78".to_owned()),
        ("web_app_root", "https://openbekeniot.github.io/webapp/".to_owned()),
    ];
    // Without a MAC, and so without its end, the names are those of any module.
    let tail: String = mac.iter().flat_map(|mac| &mac[2..]).map(|byte| format!("{byte:02X}")).collect();
    put_bytes(&mut bytes, MAC.start, &mac.unwrap_or_default());
    texts.extend([
        ("short_name", format!("obk{tail}")),
        ("mqtt_client_id", format!("obk{tail}")),
        ("long_name", format!("Open{}_{tail}", chip.name()).trim_end_matches('_').to_owned()),
    ]);
    for (name, text) in texts {
        put_text(&mut bytes, name, &text)?;
    }
    Ok(bytes)
}

fn put_text(bytes: &mut [u8], name: &'static str, text: &str) -> Result<(), EncodeError> {
    let Some(field) = TEXTS.iter().find(|field| field.name == name) else {
        return Err(EncodeError::NotReadBack);
    };
    let label = field.label;
    let network = matches!(name, "wifi_ssid" | "wifi_ssid2");
    if network && text.len() > LONGEST_SSID {
        return Err(EncodeError::TooLong { field: label, len: text.len(), most: LONGEST_SSID });
    }
    if text.is_empty() && NEVER_EMPTY.contains(&name) {
        return Err(EncodeError::Empty { field: label });
    }
    if text.contains(is_blank) {
        return Err(EncodeError::ControlCharacter { field: label });
    }
    let password = matches!(name, "wifi_password" | "wifi_password2");
    if password {
        check_password(label, text)?;
    }
    // A key of 64 hex digits fills the first password's field to its end, and the firmware reads it so.
    put(bytes, label, field.place.clone(), text, usize::from(!password))
}

/// A Wi-Fi password: none for an open network, a passphrase, or a key.
fn check_password(field: &'static str, text: &str) -> Result<(), EncodeError> {
    match text.len() {
        0 | 8..=LONGEST_PASSPHRASE => Ok(()),
        len @ 1..8 => Err(EncodeError::ShortPassword { field, len }),
        64 if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(()),
        64 => Err(EncodeError::NotAKey { field }),
        len => Err(EncodeError::TooLong { field, len, most: LONGEST_PASSPHRASE }),
    }
}

/// Puts a text into its field, and zeros behind it; `terminator` bytes at least. A field that holds the text already
/// is left alone.
fn put(
    bytes: &mut [u8],
    field: &'static str,
    place: Range<usize>,
    text: &str,
    terminator: usize,
) -> Result<(), EncodeError> {
    let most = place.len() - terminator;
    if text.len() > most {
        return Err(EncodeError::TooLong { field, len: text.len(), most });
    }
    if text.chars().any(|letter| letter.is_control() && !is_blank(letter)) {
        return Err(EncodeError::ControlCharacter { field });
    }
    if let Some(slice) = bytes.get_mut(place)
        && slice.split(|byte| *byte == 0).next() != Some(text.as_bytes())
    {
        slice.fill(0);
        slice[..text.len()].copy_from_slice(text.as_bytes());
    }
    Ok(())
}

fn put_bytes(bytes: &mut [u8], at: usize, content: &[u8]) {
    if let Some(slice) = bytes.get_mut(at..at + content.len()) {
        slice.copy_from_slice(content);
    }
}

#[cfg(test)]
mod tests;
