//! The configuration OpenBeken keeps in one sector of its own, and the store beside it (formats.md §12).

pub mod changes;
pub mod encode;
pub mod flags;
pub mod provision;
pub mod provisioning;

use std::ops::Range;

use memchr::memmem;
use serde::Serialize;

use super::bytes::{Address, cut, u32_le};
use super::family::Family;
use super::kind::Kind;
use super::template::roles;
use super::tuya::FlashMap;
use crate::units::{SECTOR, Span};

/// First bytes of a configuration.
pub const MAGIC: &[u8; 3] = b"CFG";
/// OpenBeken's EasyFlash store, in flash addresses.
pub const EASY_FLASH: Span = Span::new(0x1E_5000, 0x8000);

/// Bytes of a configuration from version 4 on.
const LEN: usize = 3584;
/// Bytes of a configuration up to version 3.
const OLD_LEN: usize = 2016;
const PINS: usize = 32;
const CHANNELS: usize = 64;
const START_UP: Range<usize> = 0x5E0..0xC00;
const MAC: Range<usize> = 0x2D8..0x2DE;

/// A text of a configuration.
struct TextField {
    /// JSON name.
    name: &'static str,
    /// Name in words.
    label: &'static str,
    place: Range<usize>,
    secret: bool,
}

const fn public(name: &'static str, label: &'static str, place: Range<usize>) -> TextField {
    TextField { name, label, place, secret: false }
}

const fn secret(name: &'static str, label: &'static str, place: Range<usize>) -> TextField {
    TextField { name, label, place, secret: true }
}

const TEXTS: [TextField; 16] = [
    secret("wifi_ssid", "Wi-Fi name", 0x14..0x54),
    secret("wifi_password", "Wi-Fi password", 0x54..0x94),
    secret("wifi_ssid2", "second Wi-Fi name", 0xC00..0xC40),
    secret("wifi_password2", "second Wi-Fi password", 0xC40..0xC84),
    secret("web_password", "web page password", 0xC84..0xCA5),
    secret("mqtt_host", "MQTT server", 0x94..0x194),
    secret("mqtt_client_id", "MQTT client id", 0x194..0x1D4),
    secret("mqtt_user", "MQTT user", 0x1D4..0x214),
    secret("mqtt_password", "MQTT password", 0x214..0x294),
    public("mqtt_group", "MQTT group topic", 0x554..0x594),
    public("web_app_root", "web app", 0x298..0x2D8),
    public("short_name", "short name", 0x2DE..0x2FE),
    public("long_name", "name", 0x2FE..0x33E),
    public("device_group", "device group", 0x468..0x478),
    public("ntp_server", "time server", 0x478..0x498),
    public("ping_host", "host that is pinged", 0x5A0..0x5E0),
];

/// A pin with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PinRole {
    /// GPIO number.
    pub pin: u8,
    /// Name of the role; its number where the name is not known.
    pub role: String,
    /// Number of the role.
    pub role_number: u8,
    /// Channel.
    pub channel: u8,
    /// Second channel.
    pub channel2: u8,
}

/// A channel that is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelSet {
    /// Its number.
    pub channel: u8,
    /// Number of its type; 0 is the usual one.
    pub type_number: u8,
    /// Its value after a start; -1 is the one before.
    pub start: i16,
}

impl ChannelSet {
    fn words(&self) -> String {
        let start = if self.start == -1 { "its value before".to_owned() } else { self.start.to_string() };
        format!("channel {}: type {}, starts with {start}", self.channel, self.type_number)
    }
}

/// A configuration that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// File offset.
    pub offset: usize,
    /// Version of its layout.
    pub version: u32,
    /// Whether the checksum matches.
    pub good: bool,
    bytes: Vec<u8>,
}

impl Config {
    /// The configuration at the start of `sector`.
    pub fn read(sector: &[u8], offset: usize) -> Option<Self> {
        let version = u32_le(sector, 4)?;
        let bytes = sector.get(..len_of(version))?.to_vec();
        let good = bytes.get(3) == Some(&crc8(&bytes[4..]));
        bytes.starts_with(MAGIC).then_some(Self { offset, version, good, bytes })
    }

    /// The bytes of a text, without the NUL that ends it.
    fn raw_text(&self, place: &Range<usize>) -> &[u8] {
        cut(&self.bytes, place.start, place.end).split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// A text; what is not UTF-8 in it becomes U+FFFD.
    fn text(&self, place: &Range<usize>) -> String {
        String::from_utf8_lossy(self.raw_text(place)).replace(char::is_control, "?")
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn word(&self, at: usize) -> u32 {
        u32_le(&self.bytes, at).unwrap_or(0)
    }

    /// The pins that have a role.
    pub fn pins(&self) -> Vec<PinRole> {
        let pins = (0..PINS).map(|pin| PinRole {
            pin: pin as u8,
            role: roles::name_of(self.byte(0x33E + pin)).into_owned(),
            role_number: self.byte(0x33E + pin),
            channel: self.byte(0x35E + pin),
            channel2: self.byte(0x37E + pin),
        });
        pins.filter(|pin| pin.role_number != 0).collect()
    }

    /// The channels with a type or a start value of their own.
    pub fn channels(&self) -> Vec<ChannelSet> {
        let start =
            |channel: usize| i16::from_le_bytes([self.byte(0x3DE + 2 * channel), self.byte(0x3DF + 2 * channel)]);
        let channels = (0..CHANNELS).map(|channel| ChannelSet {
            channel: channel as u8,
            type_number: self.byte(0x39E + channel),
            start: start(channel),
        });
        channels.filter(|set| set.type_number != 0 || set.start != 0).collect()
    }

    /// The start-up command, with its line ends.
    pub fn start_up(&self) -> String {
        // Up to version 3 the text ended with the sector.
        String::from_utf8_lossy(self.raw_text(&START_UP))
            .replace(|letter: char| letter.is_control() && !is_blank(letter), "?")
    }

    /// A text with the end of the MAC blotted out.
    fn without_mac(&self, text: &str) -> String {
        let tail: String = cut(&self.bytes, MAC.start + 2, MAC.end).iter().map(|byte| format!("{byte:02X}")).collect();
        text.replace(&tail, "…").replace(&tail.to_lowercase(), "…")
    }

    /// What is set, in lines; secrets only when `show`.
    pub fn summary(&self, show: bool) -> Vec<String> {
        let shown = self.inside(show);
        let value = |name: &str| shown[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let words = |text: String| if text == "***" { "set, not shown".to_owned() } else { in_one_line(&text) };
        let told = TEXTS.iter().filter_map(|field| Some(format!("{}: {}", field.label, words(value(field.name)?))));
        let mut lines: Vec<String> = told.collect();
        lines.push(format!("MQTT port: {}", self.word(0x294)));
        let pins: Vec<String> =
            self.pins().iter().map(|pin| format!("P{} {};{}", pin.pin, pin.role, pin.channel)).collect();
        lines.push(format!("pins: {}", if pins.is_empty() { "none".to_owned() } else { pins.join(", ") }));
        lines.extend(value("start_up_command").map(|command| format!("start-up command: {}", words(command))));
        lines
    }

    /// The configuration as `inspect` shows it to people: whether it is intact, flags in words, and what is set.
    pub fn lines(&self, show: bool) -> Vec<String> {
        let state = if self.good { "intact" } else { "damaged: wrong checksum, OpenBeken ignores it" };
        let mut lines =
            vec![format!("configuration version {} at {}, {state}", self.version, Address(self.offset as u32))];
        let flags = (0..64_u8).filter(|flag| self.flags() >> flag & 1 == 1);
        lines.extend(flags.map(|flag| format!("flag {flag}: {}", flags::meaning(flag))));
        lines.extend(self.channels().iter().map(ChannelSet::words));
        lines.extend(self.summary(show));
        lines
    }

    /// Whether a Wi-Fi password is set.
    pub fn has_wifi_password(&self) -> bool {
        ["wifi_password", "wifi_password2"].iter().any(|wanted| self.secrets().iter().any(|(name, _)| name == wanted))
    }

    /// Whether the start-up command sets a password, a network name or a token.
    pub fn start_up_is_secret(&self) -> bool {
        names_a_secret(&self.start_up())
    }

    /// The 64 flags.
    pub fn flags(&self) -> u64 {
        u64::from(self.word(8)) | u64::from(self.word(0xC)) << 32
    }

    /// Size of the file area that it names, in bytes; 0 where it names none.
    pub fn littlefs_size(&self) -> u32 {
        self.word(0x4BC)
    }

    /// A configuration that names nothing but the size of the file area.
    #[cfg(test)]
    pub(crate) fn with_littlefs_size(size: u32) -> Self {
        let mut bytes = vec![0; LEN];
        bytes[0x4BC..0x4C0].copy_from_slice(&size.to_le_bytes());
        Self { offset: 0, version: 5, good: true, bytes }
    }

    /// Places and names of its secrets, from the start of the sector; empty ones left out. The start-up command may
    /// hold passwords too.
    pub fn secrets(&self) -> Vec<(&'static str, Range<usize>)> {
        let texts = TEXTS.iter().filter(|field| field.secret).map(|field| (field.name, field.place.clone()));
        let all = texts.chain([("mac", MAC), ("start_up_command", START_UP)]);
        all.filter(|(_, place)| cut(&self.bytes, place.start, place.end).iter().any(|byte| *byte != 0)).collect()
    }

    /// The configuration as `inspect` shows it; secrets only when `show`.
    pub fn inside(&self, show: bool) -> serde_json::Value {
        let mut shown = serde_json::json!({
            "offset": Address(self.offset as u32),
            "version": self.version,
            "crc_ok": self.good,
            "flags": self.flags(),
            "change_counter": self.word(0x10) & 0xFFFF,
            "ota_counter": self.word(0x10) >> 16,
            "mqtt_port": self.word(0x294),
            "pins": self.pins(),
            "channels": self.channels(),
        });
        for TextField { name, place, secret, .. } in &TEXTS {
            let text = self.text(place);
            // The firmware names a module by the end of its MAC.
            let text = if show { text } else { self.without_mac(&text) };
            let hidden = *secret && !show && !text.is_empty();
            shown[*name] = serde_json::json!(if hidden { "***".to_owned() } else { text });
        }
        let start_up = self.start_up();
        let hidden = !show && self.start_up_is_secret();
        shown["start_up_command"] = serde_json::json!(if hidden { "***".to_owned() } else { start_up });
        shown
    }
}

/// Whether a configuration as [`Config::inside`] shows it holds a secret of its owner.
pub fn hides_something(shown: &serde_json::Value) -> bool {
    let of_owner = TEXTS.iter().filter(|field| field.secret);
    let texts = of_owner.filter_map(|field| shown[field.name].as_str());
    texts
        .chain(shown["start_up_command"].as_str().filter(|text| names_a_secret(text) || *text == "***"))
        .any(|text| !text.is_empty())
}

/// White space that a start-up command may hold.
const fn is_blank(letter: char) -> bool {
    matches!(letter, '\t' | '\r' | '\n')
}

/// A text of several lines in one, with its line ends written out.
fn in_one_line(text: &str) -> String {
    text.replace('\r', "\\r").replace('\n', "\\n").replace('\t', "\\t")
}

/// Whether a start-up command sets a password.
fn names_a_secret(command: &str) -> bool {
    let command = command.to_lowercase();
    ["password", "passwd", "ssid", "token", "psk"].iter().any(|word| command.contains(word))
}

const fn len_of(version: u32) -> usize {
    if version <= 3 { OLD_LEN } else { LEN }
}

/// The configuration of a file: at the places of T and N, or at the start of a file that holds nothing else.
pub fn find(bytes: &[u8], kind: Kind, map: FlashMap) -> Option<Config> {
    let at = |offset: usize| Config::read(bytes.get(offset..)?, offset);
    if kind == Kind::ObkConfig {
        return at(0);
    }
    let places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::config_sector);
    let found: Vec<Config> = places.filter_map(|sector| at(map.offset(sector.start)?)).collect();
    found.into_iter().max_by_key(|config| config.good)
}

/// Whether OpenBeken's own store keeps what it needs to connect to the network again: its name and key.
pub fn keeps_fast_connect(bytes: &[u8], map: FlashMap) -> bool {
    let Some(start) = map.offset(EASY_FLASH.start) else { return false };
    let store = cut(bytes, start, start.saturating_add(EASY_FLASH.len as usize));
    let marked = (0..store.len()).step_by(SECTOR as usize).any(|at| cut(store, at + 4, at + 8) == b"EF40");
    let value = |at: usize| cut(store, at + b"fcdata".len(), at + b"fcdata".len() + 32);
    marked && memmem::find_iter(store, b"fcdata").any(|at| value(at).iter().any(|byte| !matches!(byte, 0 | 0xFF)))
}

/// Blanks places of a configuration that starts at `sector[0]`, and puts the right checksum in. A configuration with
/// a wrong checksum keeps it.
pub fn blank(sector: &mut [u8], places: &[Range<usize>]) {
    let Some(config) = Config::read(sector, 0) else { return };
    let len = len_of(config.version);
    for place in places {
        let end = place.end.min(len);
        if let Some(bytes) = sector.get_mut(place.start.min(end)..end) {
            bytes.fill(0);
        }
    }
    if config.good {
        sector[3] = crc8(&sector[4..len]);
    }
}

/// The checksum: polynomial 0x8C, lowest bit first, in a signed byte whose right shift keeps the sign.
pub fn crc8(bytes: &[u8]) -> u8 {
    let mut crc = 0_i8;
    for byte in bytes {
        let mut left = byte.cast_signed();
        for _ in 0..8 {
            let differ = (crc ^ left) & 1 != 0;
            crc >>= 1;
            if differ {
                crc ^= 0x8C_u8.cast_signed();
            }
            left >>= 1;
        }
    }
    crc.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(version: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        bytes[..3].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        bytes[0x14..0x1B].copy_from_slice(b"network");
        bytes[0x54..0x5C].copy_from_slice(b"password");
        bytes[0x33E + 26] = 1;
        bytes[0x35E + 26] = 1;
        bytes[0x33E + 6] = 200;
        bytes[0x5E0..0x5F2].copy_from_slice(b"startDriver BL0937");
        bytes[3] = crc8(&bytes[4..len_of(version)]);
        bytes
    }

    #[test]
    fn the_checksum_is_the_signed_one() {
        assert_eq!(crc8(b"123456789"), 0x63);
        assert_eq!(crc8(&[0x80, 0xFF, 0x01, 0x00]), 0x6E);
        assert_eq!(crc8(&[0; 3580]), 0);
    }

    #[test]
    fn a_configuration_is_decoded_with_its_secrets_hidden() {
        for version in [3, 5] {
            let config = Config::read(&sector(version), 0x1E_1000).unwrap();
            assert!(config.good);
            assert_eq!(config.start_up(), "startDriver BL0937");
            let pins = config.pins();
            assert_eq!((pins[0].pin, pins[0].role.as_str()), (6, "200"), "an unknown role stays a number");
            assert_eq!((pins[1].pin, pins[1].role.as_str(), pins[1].channel), (26, "Rel", 1));
            let hidden = config.inside(false).to_string();
            assert!(!hidden.contains("network") && !hidden.contains("\"password\""), "{hidden}");
            assert!(config.inside(true).to_string().contains("network"));
        }
    }

    #[test]
    fn channels_with_a_type_or_a_start_value_show() {
        let mut bytes = sector(5);
        bytes[0x39E + 4] = 7;
        bytes[0x3DE + 2..0x3DE + 4].copy_from_slice(&(-1_i16).to_le_bytes());
        let config = Config::read(&bytes, 0).unwrap();
        let of = |channel, type_number, start| ChannelSet { channel, type_number, start };
        assert_eq!(config.channels(), [of(1, 0, -1), of(4, 7, 0)]);
        let lines = config.lines(false).join("\n");
        assert!(lines.contains("channel 1: type 0, starts with its value before\nchannel 4: type 7"), "{lines}");
    }

    #[test]
    fn a_start_up_command_that_sets_a_password_is_hidden() {
        assert!(names_a_secret("backlog startDriver X; WiFiPassword abc"));
        assert!(!names_a_secret("startDriver BL0937"));
    }

    #[test]
    fn texts_are_utf_8_and_a_start_up_command_keeps_its_lines() {
        let mut bytes = sector(5);
        let name = "Kuchyňský spínač 台所 🍳";
        bytes[0x2FE..0x2FE + name.len()].copy_from_slice(name.as_bytes());
        bytes[0x2DE..0x2E3].copy_from_slice(b"caf\xE9\x1B");
        bytes[0x5E0..0x5F0].copy_from_slice(b"echo 1\r\n\x07echo 2\0");
        let config = Config::read(&bytes, 0).unwrap();
        assert_eq!(config.inside(false)["long_name"], name);
        assert_eq!(config.inside(false)["short_name"], "caf\u{FFFD}?", "neither UTF-8 nor printable");
        assert_eq!(config.start_up(), "echo 1\r\n?echo 2");
        assert!(
            config.summary(false).contains(&"start-up command: echo 1\\r\\n?echo 2".to_owned()),
            "{:?}",
            config.summary(false)
        );
    }

    #[test]
    fn blanking_keeps_the_checksum_right_and_the_pins_in_place() {
        let mut bytes = sector(5);
        let places: Vec<_> = Config::read(&bytes, 0).unwrap().secrets().into_iter().map(|(_, place)| place).collect();
        assert_eq!(places.len(), 3, "name, password and start-up command");
        blank(&mut bytes, &places);
        let config = Config::read(&bytes, 0).unwrap();
        assert!(config.good && config.secrets().is_empty());
        assert_eq!(config.pins().len(), 2);
    }

    #[test]
    fn damage_shows_in_the_checksum_and_a_cut_is_no_configuration() {
        let mut bytes = sector(5);
        bytes[0x20] ^= 1;
        assert!(!Config::read(&bytes, 0).unwrap().good);
        assert!(Config::read(&bytes[..3583], 0).is_none());
    }
}
