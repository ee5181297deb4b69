//! What a person wants a freshly flashed module to be set to, as a TOML or JSON file.
//!
//! ```toml
//! name = "kitchen-plug"              # left out: OpenBK7231T_ and the end of the MAC
//! template = "plug.json"             # left out: made from the factory firmware in the backup
//! command = "startDriver BL0937"     # left out: the template's own
//! flags = 1024                       # left out: OpenBeken's default
//!
//! [wifi]                             # also [wifi2], where OpenBeken goes when the first one is out of reach
//! ssid = "network"
//! password_file = "wifi.txt"         # its first line; left out: asked for, without showing it
//!
//! [mqtt]
//! host = "192.168.1.2"
//! port = 1883
//! user = "plug"
//! password_file = "mqtt.txt"
//!
//! [pins]                             # instead of a template
//! 26 = "Rel;1"
//! ```
//!
//! `password = "…"` may stand in place of `password_file` where nobody else may read the file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::encode::{PinSetting, Settings};
use crate::image::template::roles::{ROLES, Spelling, by_name};
use crate::problem::{Class, Explain, Problem};

/// The file.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// Name of the device: in its web page and as host name.
    pub name: Option<String>,
    /// Short name, which is also the MQTT client id.
    pub short_name: Option<String>,
    /// Path of a template's text.
    pub template: Option<String>,
    /// The start-up command.
    pub command: Option<String>,
    /// The 64 flags.
    pub flags: Option<u64>,
    /// The network.
    pub wifi: Option<Wifi>,
    /// The second network.
    pub wifi2: Option<Wifi>,
    /// The MQTT server.
    pub mqtt: Option<Mqtt>,
    /// Roles and channels by GPIO number.
    pub pins: Option<BTreeMap<String, String>>,
}

/// A network.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    /// Its name.
    pub ssid: String,
    /// Its password; empty for an open network.
    pub password: Option<String>,
    /// Path of a file with the password.
    pub password_file: Option<String>,
}

/// An MQTT server.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// Host name or address.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// User.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// Path of a file with the password.
    pub password_file: Option<String>,
    /// Client id, which the topics begin with.
    pub client_id: Option<String>,
    /// Topic of the group.
    pub group: Option<String>,
}

/// Why a file is no such wish. No value of the file is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WishError(String);

impl Explain for WishError {
    fn explain(&self) -> Problem {
        Problem::new(
            Class::Usage,
            "E148",
            format!("the file given with --config is not usable: {self}"),
            "a key, a value or a bracket is wrong",
            "the README has an example; README and `bkbench write --help` name the keys",
        )
    }
}

impl Wish {
    /// Reads the text of a file, JSON when it begins with a bracket, else TOML.
    ///
    /// # Errors
    /// [`WishError`] with the line.
    pub fn parse(text: &str) -> Result<Self, WishError> {
        // The parsers' own messages show the line with its value; only what names a key is passed on.
        let told = |line: usize, message: &str| {
            let named = ["unknown field", "missing field", "duplicate"].iter().any(|start| message.starts_with(start));
            let why = if named { message.lines().next().unwrap_or_default() } else { "it cannot be understood" };
            WishError(format!("line {line}: {why}"))
        };
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| told(error.line(), &error.to_string()));
        }
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            told(before.matches('\n').count() + 1, error.message())
        })
    }

    /// The pins that the file itself names.
    ///
    /// # Errors
    /// [`WishError`] with the pin.
    pub fn own_pins(&self) -> Result<Option<Vec<PinSetting>>, WishError> {
        self.pins.as_ref().map(pin_settings).transpose()
    }

    /// Everything but pins, start-up command and passwords.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings { flags: self.flags, ..Settings::default() };
        let mut text = |name: &'static str, value: Option<&String>| {
            settings.texts.extend(value.map(|value| (name, value.clone())));
        };
        text("long_name", self.name.as_ref());
        text("short_name", self.short_name.as_ref());
        text("mqtt_client_id", self.short_name.as_ref());
        text("wifi_ssid", self.wifi.as_ref().map(|wifi| &wifi.ssid));
        text("wifi_ssid2", self.wifi2.as_ref().map(|wifi| &wifi.ssid));
        if let Some(mqtt) = &self.mqtt {
            text("mqtt_host", mqtt.host.as_ref());
            text("mqtt_user", mqtt.user.as_ref());
            text("mqtt_client_id", mqtt.client_id.as_ref());
            text("mqtt_group", mqtt.group.as_ref());
            settings.mqtt_port = mqtt.port;
        }
        settings
    }
}

/// Pins from GPIO numbers and `Role;channel`.
///
/// # Errors
/// [`WishError`] with the pin.
pub fn pin_settings(pins: &BTreeMap<String, String>) -> Result<Vec<PinSetting>, WishError> {
    let setting = |(number, value): (&String, &String)| {
        let bad = |why: String| WishError(format!("pin {number}: {why}"));
        let pin = number
            .trim()
            .parse()
            .ok()
            .filter(|pin: &u8| *pin < 32)
            .ok_or_else(|| bad("there is no such pin".to_owned()))?;
        let (name, channel) = value.split_once(';').unwrap_or((value, "0"));
        let role = match by_name(name) {
            Spelling::Right(role) | Spelling::Odd(role) => role,
            Spelling::Unknown(alike) => return Err(bad(format!("{name:?} is no role; did you mean {alike}?"))),
        };
        let role = ROLES.iter().position(|known| *known == role).and_then(|role| u8::try_from(role).ok()).unwrap_or(0);
        let channel = channel.trim().parse().map_err(|_| bad(format!("{channel:?} is no channel")))?;
        Ok(PinSetting { pin, role, channel })
    };
    pins.iter().map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "name = \"plug\"\nflags = 1024\n[wifi]\nssid = \"net\"\n[mqtt]\nhost = \"h\"\nport = 1884\n[pins]\n26 = \"Rel;1\"\n10 = \"Button\"\n";
        let json = r#"{"name": "plug", "flags": 1024, "wifi": {"ssid": "net"}, "mqtt": {"host": "h", "port": 1884},
            "pins": {"26": "Rel;1", "10": "Button"}}"#;
        let (one, other) = (Wish::parse(toml).unwrap(), Wish::parse(json).unwrap());
        assert_eq!(one.settings(), other.settings());
        assert_eq!(one.settings().texts["long_name"], "plug");
        let pins = one.own_pins().unwrap().unwrap();
        assert_eq!(pins, other.own_pins().unwrap().unwrap());
        assert_eq!((pins[0].pin, pins[0].role, pins[1].pin, pins[1].channel), (10, 3, 26, 1));
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_never_with_a_value() {
        for (text, what) in [
            ("[wifi]\nssid = \"net\"\npasword = \"hunter22\"", "unknown field `pasword`"),
            ("[wifi]\npassword = \"hunter22\"", "missing field `ssid`"),
            ("[mqtt]\nport = \"hunter22\"", "line 2: it cannot be understood"),
            ("[wifi]\nssid = hunter22", "line 2: it cannot be understood"),
            ("{\"mqtt\": {\"port\": \"hunter22\"}}", "line 1: it cannot be understood"),
        ] {
            let error = Wish::parse(text).err().unwrap().explain();
            assert!(error.what.contains(what), "{}", error.what);
            assert!(!error.to_string().contains("hunter22"), "{error}");
        }
        let wrong = Wish::parse("[pins]\n26 = \"Reley;1\"").unwrap().own_pins().unwrap_err();
        assert!(wrong.to_string().contains("did you mean Rel"), "{wrong}");
        assert!(Wish::parse("[pins]\n40 = \"Rel;1\"").unwrap().own_pins().is_err());
    }
}
