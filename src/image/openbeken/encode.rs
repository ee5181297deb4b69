//! Makes the sector of OpenBeken's configuration: a new one with the firmware's own defaults, or the one that is there
//! with some fields changed (formats.md §12). What is made is read back by the decoder before it leaves this file.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Config, LEN, MAC, MAGIC, PINS, START_UP, TEXTS, crc8};
use crate::image::family::Family;
use crate::image::template::Template;
use crate::image::template::roles::ROLES;
use crate::problem::{Class, Explain, Problem};
use crate::units::SECTOR;

/// Version of the layout that is written.
const VERSION: u32 = 5;
/// Versions that have this layout; their fields are the same.
const KNOWN: [u32; 2] = [4, 5];
/// "Tell my state when MQTT connects", the one flag that the firmware sets by itself.
const DEFAULT_FLAGS: u64 = 1 << 10;
/// Longest network name, in bytes (IEEE 802.11).
const LONGEST_SSID: usize = 32;

const FLAGS: usize = 8;
const COUNTER: Range<usize> = 0x10..0x12;
const MQTT_PORT: usize = 0x294;
const ROLES_AT: usize = 0x33E;
const CHANNELS_AT: usize = 0x35E;
const CHANNELS_2_AT: usize = 0x37E;
/// Short, long and repeated press of a button, in 0.1 s.
const BUTTONS: (usize, [u8; 3]) = (0x4B8, [3, 10, 5]);
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
    #[error("{field} has {len} bytes, and {most} fit")]
    TooLong {
        /// JSON name of the field.
        field: &'static str,
        /// Bytes of the text.
        len: usize,
        /// Bytes that fit.
        most: usize,
    },
    /// A text holds a byte that ends it or confuses the firmware.
    #[error("{field} holds a control character")]
    ControlCharacter {
        /// JSON name of the field.
        field: &'static str,
    },
    /// No network takes a password of this length.
    #[error("{field} has fewer than 8 characters")]
    ShortPassword {
        /// JSON name of the field.
        field: &'static str,
    },
    /// A pin that does not exist.
    #[error("pin {0} does not exist")]
    NoSuchPin(u8),
    /// The chip has no such sector.
    #[error("where this chip keeps OpenBeken's configuration is not known")]
    UnknownChip,
    /// The configuration that is there has another layout.
    #[error("the configuration on the chip has version {0}, whose layout is not known")]
    UnknownLayout(u32),
    /// The decoder does not find again what was written: a fault of the program.
    #[error("the configuration does not read back")]
    NotReadBack,
}

impl Explain for EncodeError {
    fn explain(&self) -> Problem {
        let (class, code, cause, remedy) = match self {
            Self::UnknownLayout(_) | Self::UnknownChip => (
                Class::Refused,
                "E149",
                "writing fields at guessed places would leave the module with wrong settings",
                "leave --config out and set the module up over its access point, 192.168.4.1",
            ),
            Self::NotReadBack => (Class::Internal, "E149", "a fault of the program", "please report this"),
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
    let number = |role: &str| ROLES.iter().position(|known| *known == role).and_then(|role| u8::try_from(role).ok());
    let setting = |line: &crate::image::template::Line| {
        Some(PinSetting { pin: line.pin, role: number(line.role)?, channel: line.channel })
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

/// The whole sector, 4096 bytes, from the one that is there. `mac` names a new configuration and is put into it.
///
/// # Errors
/// [`EncodeError`].
pub fn sector(before: &[u8], chip: Family, mac: Option<[u8; 6]>, wanted: &Settings) -> Result<Vec<u8>, EncodeError> {
    let base = base_of(before)?;
    let mut bytes = match &base {
        Some(config) => config.bytes.clone(),
        None => defaults(chip, mac)?,
    };
    for (name, text) in &wanted.texts {
        put_text(&mut bytes, name, text)?;
    }
    if let Some(text) = &wanted.start_up {
        put(&mut bytes, "start_up_command", START_UP, text, 1)?;
    }
    if let Some(port) = wanted.mqtt_port {
        put_bytes(&mut bytes, MQTT_PORT, &u32::from(port).to_le_bytes());
    }
    if let Some(flags) = wanted.flags {
        put_bytes(&mut bytes, FLAGS, &flags.to_le_bytes());
    }
    if let Some(pins) = &wanted.pins {
        put_bytes(&mut bytes, ROLES_AT, &[0; 3 * PINS]);
        for set in pins {
            let pin = usize::from(set.pin);
            if pin >= PINS {
                return Err(EncodeError::NoSuchPin(set.pin));
            }
            put_bytes(&mut bytes, ROLES_AT + pin, &[set.role]);
            put_bytes(&mut bytes, CHANNELS_AT + pin, &[set.channel]);
            put_bytes(&mut bytes, CHANNELS_2_AT + pin, &[0]);
        }
    }
    let changed = base.as_ref().is_none_or(|config| config.bytes != bytes);
    if changed {
        let counter = u16::from_le_bytes([bytes[COUNTER.start], bytes[COUNTER.start + 1]]).wrapping_add(1);
        put_bytes(&mut bytes, COUNTER.start, &counter.to_le_bytes());
        bytes[3] = crc8(&bytes[4..]);
    }
    // Behind the configuration nothing is read; erased bytes need no programming.
    bytes.resize(SECTOR as usize, 0xFF);
    if changed { proven(&bytes, wanted) } else { Ok(before.get(..SECTOR as usize).map_or(bytes, <[u8]>::to_vec)) }
}

/// What the decoder makes of it has to be what was wanted.
fn proven(bytes: &[u8], wanted: &Settings) -> Result<Vec<u8>, EncodeError> {
    let read = base_of(bytes)?.ok_or(EncodeError::NotReadBack)?;
    let shown = read.inside(true);
    let texts = wanted.texts.iter().all(|(name, text)| shown[*name] == text.as_str());
    let start_up = wanted.start_up.as_ref().is_none_or(|text| read.start_up() == *text);
    let flags = wanted.flags.is_none_or(|flags| read.flags() == flags);
    let pins = wanted.pins.as_ref().is_none_or(|pins| {
        let mut wanted: Vec<_> = pins.iter().map(|set| (set.pin, set.role, set.channel)).collect();
        wanted.sort_unstable();
        wanted.retain(|(_, role, _)| *role != 0);
        let found = read.pins().into_iter().map(|pin| (pin.pin, pin.role_number, pin.channel));
        found.eq(wanted)
    });
    if texts && start_up && flags && pins { Ok(bytes.to_vec()) } else { Err(EncodeError::NotReadBack) }
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
    let mut texts = vec![
        ("mqtt_group", group.to_owned()),
        ("mqtt_user", "homeassistant".to_owned()),
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
    let Some((_, place, _)) = TEXTS.iter().find(|(known, ..)| *known == name) else {
        return Err(EncodeError::NotReadBack);
    };
    let network = matches!(name, "wifi_ssid" | "wifi_ssid2");
    let password = matches!(name, "wifi_password" | "wifi_password2");
    if network && text.len() > LONGEST_SSID {
        return Err(EncodeError::TooLong { field: name, len: text.len(), most: LONGEST_SSID });
    }
    // An open network has no password; a key of 64 hex digits fills the first password's field to its end.
    if password && (1..8).contains(&text.len()) {
        return Err(EncodeError::ShortPassword { field: name });
    }
    put(bytes, name, place.clone(), text, usize::from(!password))
}

/// Puts a text into its field, and zeros behind it; `terminator` bytes at least.
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
    if text.bytes().any(|byte| byte < b' ' && byte != b'\r' && byte != b'\n') {
        return Err(EncodeError::ControlCharacter { field });
    }
    if let Some(slice) = bytes.get_mut(place) {
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
