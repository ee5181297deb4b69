//! What a freshly flashed module is set to, as a TOML or JSON file. What the file omits stays as it is on the chip.
//!
//! ```toml
//! name = "kitchen-plug"              # a new configuration without it: OpenBK7231T_ and the end of the MAC address
//! template = "plug.json"             # pins and start-up command of a template
//! command = "startDriver BL0937"     # instead of the template's own
//! flags = 1024
//! files = ["autoexec.bat"]           # into OpenBeken's file area, beside the files that it has
//!
//! [wifi]                             # also [wifi2], where OpenBeken goes when the first one is out of reach
//! ssid = "network"
//! password_file = "wifi.txt"         # its first line; without it bkbench asks, and does not show it
//!
//! [mqtt]
//! host = "192.168.1.2"
//! port = 1883
//! user = "plug"
//! password_file = "mqtt.txt"
//!
//! [pins]                             # instead of a template; or, above the tables: pins = "factory"
//! 26 = "Rel;1"
//! ```
//!
//! `password = "…"` may stand in place of `password_file` where nobody else may read the file.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::encode::{PinSetting, Settings};
use crate::image::finding::Severity;
use crate::image::template::lint;
use crate::image::template::roles::{Spelling, by_name, number_of};
use crate::problem::{Class, Explain, Problem};

/// The file.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProvisioningFile {
    /// Name of the device: in its web page and as host name.
    pub name: Option<String>,
    /// Short name. The MQTT client id is a setting of its own.
    pub short_name: Option<String>,
    /// Path of a template's text.
    pub template: Option<String>,
    /// The start-up command.
    pub command: Option<String>,
    /// The 64 flags.
    pub flags: Option<u64>,
    /// Paths of files for OpenBeken's file area, where each gets its own name.
    pub files: Vec<String>,
    /// The network.
    pub wifi: Option<Wifi>,
    /// The second network.
    pub wifi2: Option<Wifi>,
    /// The MQTT server.
    pub mqtt: Option<Mqtt>,
    /// The pins.
    pub pins: Option<Pins>,
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

/// Where the pins come from.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Pins {
    /// A word: `"factory"`.
    Source(PinWord),
    /// Roles and channels by GPIO number.
    Table(PinTable),
}

/// GPIO numbers with `Role;channel`, as they stand in the file: a pin that is named twice is there twice.
#[derive(Clone)]
pub struct PinTable(Vec<(String, String)>);

impl<'de> Deserialize<'de> for PinTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = PinTable;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table of pins")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PinTable, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(PinTable(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// A source of pins that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinWord {
    /// Pins and start-up command made from the factory firmware in the backup.
    Factory,
}

/// Passwords as they came out of their files, or as a person typed them.
#[derive(Clone, Default)]
pub struct Passwords {
    /// Of the network.
    pub wifi: Option<String>,
    /// Of the second network.
    pub wifi2: Option<String>,
    /// Of the MQTT user.
    pub mqtt: Option<String>,
}

/// A provisioning file with everything that it refers to: what a module is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// Everything but pins that come from elsewhere.
    pub settings: Settings,
    /// Where the pins come from.
    pub pins: PinSource,
    /// Files for OpenBeken's file area: name and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Where the pins of a [`Provisioning`] come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PinSource {
    /// Not named: those of the configuration on the chip stay; a new configuration takes the factory firmware's.
    #[default]
    Unnamed,
    /// The factory firmware's, whatever is on the chip.
    Factory,
    /// Named in the file.
    File,
    /// Out of a template, by its name.
    Template(String),
}

/// Why a file cannot be used. It holds no value of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisioningError {
    /// The file itself.
    #[error("{0}")]
    File(String),
    /// The template that it names.
    #[error("the template {name} cannot be used: {why}")]
    Template {
        /// Its path.
        name: String,
        /// The first mistake.
        why: String,
    },
}

impl Explain for ProvisioningError {
    fn explain(&self) -> Problem {
        match self {
            Self::File(why) => Problem::new(
                Class::Usage,
                "E148",
                format!("the file given with --config is not usable: {why}"),
                "a key, a value or a bracket is wrong",
                "correct it; the README has an example and names the keys",
            ),
            Self::Template { .. } => Problem::new(
                Class::Usage,
                "E772",
                self.to_string(),
                "pins of a broken template would be set wrongly",
                "`bkbench template FILE` names every mistake and its remedy",
            ),
        }
    }
}

impl ProvisioningFile {
    /// Reads a file, JSON when it begins with a bracket, else TOML. A byte order mark is skipped.
    ///
    /// # Errors
    /// [`ProvisioningError::File`] with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProvisioningError> {
        let text = text_of(bytes).ok_or_else(|| ProvisioningError::File("it is not UTF-8 text".to_owned()))?;
        // The parsers' own messages show the line with its value; only what names a key is passed on.
        let told = |line: usize, message: &str| {
            let named = ["unknown field", "missing field", "duplicate"].iter().any(|start| message.starts_with(start));
            let why = match message.lines().next() {
                Some(first) if named => first,
                _ if message.contains("untagged enum Pins") => "pins is neither a table nor \"factory\"",
                _ => "it cannot be understood",
            };
            ProvisioningError::File(format!("line {line}: {why}"))
        };
        if text.trim_start().starts_with('{') {
            return serde_json::from_str(text).map_err(|error| told(error.line(), &error.to_string()));
        }
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            told(before.matches('\n').count() + 1, error.message())
        })
    }

    /// Whether a password stands in the file itself.
    pub fn holds_a_password(&self) -> bool {
        let wifi = [&self.wifi, &self.wifi2].into_iter().flatten().map(|wifi| &wifi.password);
        let mut all = wifi.chain(self.mqtt.as_ref().map(|mqtt| &mqtt.password)).flatten();
        all.any(|password| !password.is_empty())
    }

    /// Two keys for one thing.
    fn contradiction(&self) -> Option<String> {
        let twice = |password: &Option<String>, file: &Option<String>| password.is_some() && file.is_some();
        let wifi = |wifi: &Option<Wifi>| wifi.as_ref().is_some_and(|wifi| twice(&wifi.password, &wifi.password_file));
        let mqtt = self.mqtt.as_ref().is_some_and(|mqtt| twice(&mqtt.password, &mqtt.password_file));
        let twice = [
            (self.pins.is_some() && self.template.is_some(), "pins and template"),
            (wifi(&self.wifi), "password and password_file under [wifi]"),
            (wifi(&self.wifi2), "password and password_file under [wifi2]"),
            (mqtt, "password and password_file under [mqtt]"),
        ];
        let (_, both) = twice.into_iter().find(|(twice, _)| *twice)?;
        Some(format!("it has both {both}; keep one of them"))
    }

    /// Joins the file with the passwords and the template that it refers to (name and content).
    ///
    /// # Errors
    /// [`ProvisioningError`] when the file contradicts itself, names a role or channel that does not exist, or when
    /// the template has a mistake.
    pub fn resolve(
        &self,
        passwords: &Passwords,
        template: Option<(&str, &[u8])>,
    ) -> Result<Provisioning, ProvisioningError> {
        self.contradiction().map_or(Ok(()), |why| Err(ProvisioningError::File(why)))?;
        let mut settings = self.settings(passwords);
        let pins = match (&self.pins, template) {
            (Some(Pins::Table(table)), _) => {
                settings.pins = Some(pin_settings(&table.0)?);
                PinSource::File
            }
            (Some(Pins::Source(PinWord::Factory)), _) => PinSource::Factory,
            (None, Some((name, content))) => {
                let (pins, command) = template_settings(name, content)?;
                settings.pins = Some(pins);
                settings.start_up = settings.start_up.or(command);
                PinSource::Template(name.to_owned())
            }
            (None, None) => PinSource::Unnamed,
        };
        Ok(Provisioning { settings, pins, files: Vec::new() })
    }

    /// Everything but the pins.
    fn settings(&self, passwords: &Passwords) -> Settings {
        let mqtt = self.mqtt.clone().unwrap_or_default();
        let ssid = |wifi: &Option<Wifi>| wifi.as_ref().map(|wifi| wifi.ssid.clone());
        let texts = [
            ("long_name", self.name.clone()),
            ("short_name", self.short_name.clone()),
            ("wifi_ssid", ssid(&self.wifi)),
            ("wifi_ssid2", ssid(&self.wifi2)),
            ("wifi_password", passwords.wifi.clone()),
            ("wifi_password2", passwords.wifi2.clone()),
            ("mqtt_host", mqtt.host),
            ("mqtt_user", mqtt.user),
            ("mqtt_password", passwords.mqtt.clone()),
            ("mqtt_client_id", mqtt.client_id),
            ("mqtt_group", mqtt.group),
        ];
        Settings {
            texts: texts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect(),
            mqtt_port: mqtt.port,
            flags: self.flags,
            pins: None,
            start_up: self.command.clone(),
        }
    }
}

/// The text of a file without its byte order mark; `None` where it is not UTF-8.
pub fn text_of(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Pins and start-up command of a template's text.
fn template_settings(name: &str, content: &[u8]) -> Result<(Vec<PinSetting>, Option<String>), ProvisioningError> {
    let unusable = |why: String| ProvisioningError::Template { name: name.to_owned(), why };
    let text = text_of(content).ok_or_else(|| unusable("it is not UTF-8 text".to_owned()))?;
    let checked = lint::check(text, None);
    if let Some(lint) = checked.lints.iter().find(|lint| lint.severity == Severity::Error) {
        return Err(unusable(format!("line {}, column {}: {}", lint.line, lint.column, lint.what)));
    }
    let table: Vec<_> = checked.pins.into_iter().map(|(pin, value)| (pin.to_string(), value)).collect();
    let pins = pin_settings(&table).map_err(|error| unusable(error.to_string()))?;
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| unusable(format!("line {}: it is not JSON", error.line())))?;
    let command = match &json["command"] {
        serde_json::Value::Null => None,
        serde_json::Value::String(command) => Some(command.clone()).filter(|command| !command.is_empty()),
        _ => return Err(unusable("command is not a text".to_owned())),
    };
    Ok((pins, command))
}

/// Pins from GPIO numbers and `Role;channel` or `Role;channel;second channel`.
fn pin_settings(table: &[(String, String)]) -> Result<Vec<PinSetting>, ProvisioningError> {
    let mut pins: Vec<PinSetting> = Vec::new();
    for (number, value) in table {
        let bad = |why: String| ProvisioningError::File(format!("pin {number}: {why}"));
        let pin = number.trim().parse().map_err(|_| bad("this is not a GPIO number".to_owned()))?;
        if pins.iter().any(|earlier| earlier.pin == pin) {
            return Err(bad("it is named twice".to_owned()));
        }
        let (role, channel, channel2) = role_and_channels(value).map_err(bad)?;
        pins.push(PinSetting { pin, role, channel, channel2 });
    }
    Ok(pins)
}

fn role_and_channels(value: &str) -> Result<(u8, u8, Option<u8>), String> {
    let mut parts = value.split(';');
    let name = parts.next().unwrap_or_default();
    let role = match by_name(name) {
        Spelling::Right(role) | Spelling::Odd(role) => number_of(role).unwrap_or(0),
        Spelling::Unknown(alike) => return Err(format!("{name:?} is not a role; did you mean {alike}?")),
    };
    let channels = parts.map(|part| part.trim().parse().map_err(|_| format!("{part:?} is not a channel")));
    match channels.collect::<Result<Vec<u8>, String>>()?[..] {
        [] => Ok((role, 0, None)),
        [channel] => Ok((role, channel, None)),
        [channel, channel2] => Ok((role, channel, Some(channel2))),
        _ => Err("more than two channels".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ProvisioningFile {
        ProvisioningFile::parse(text.as_bytes()).unwrap()
    }

    fn resolved(text: &str) -> Result<Provisioning, ProvisioningError> {
        parsed(text).resolve(&Passwords::default(), None)
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = "name = \"plug\"\nflags = 1024\n[wifi]\nssid = \"net\"\n[mqtt]\nhost = \"h\"\nport = 1884\n[pins]\n26 = \"Rel;1\"\n10 = \"Button\"\n6 = \"Btn;2;3\"\n";
        let json = r#"{"name": "plug", "flags": 1024, "wifi": {"ssid": "net"}, "mqtt": {"host": "h", "port": 1884},
            "pins": {"26": "Rel;1", "10": "Button", "6": "Btn;2;3"}}"#;
        let sorted = |text: &str| {
            let mut made = resolved(text).unwrap();
            made.settings.pins.as_mut().unwrap().sort_by_key(|set| set.pin);
            made
        };
        let (one, other) = (sorted(toml), sorted(json));
        assert_eq!(one, other);
        assert_eq!(sorted(&format!("\u{feff}{toml}")), one, "a byte order mark is skipped");
        assert_eq!(one.settings.texts["long_name"], "plug");
        let set = |pin, role, channel, channel2| PinSetting { pin, role, channel, channel2 };
        assert_eq!(one.settings.pins.unwrap(), [set(6, 3, 2, Some(3)), set(10, 3, 0, None), set(26, 1, 1, None)]);
    }

    #[test]
    fn a_short_name_alone_is_not_a_client_id() {
        let short = resolved("short_name = \"kplug\"").unwrap().settings;
        assert_eq!(short.texts.keys().copied().collect::<Vec<_>>(), ["short_name"]);
    }

    #[test]
    fn pins_are_a_table_or_the_word_factory() {
        assert_eq!(resolved("pins = \"factory\"").unwrap().pins, PinSource::Factory);
        assert_eq!(resolved("{\"pins\": \"factory\"}").unwrap().pins, PinSource::Factory);
        assert_eq!(resolved("[pins]\n26 = \"Rel;1\"").unwrap().pins, PinSource::File);
        assert_eq!(resolved("name = \"x\"").unwrap().pins, PinSource::Unnamed);
        for text in ["name = \"x\"\npins = \"factroy\"", "{\n\"pins\": 5}"] {
            let error = ProvisioningFile::parse(text.as_bytes()).err().unwrap().to_string();
            assert_eq!(error, "line 2: pins is neither a table nor \"factory\"");
        }
    }

    #[test]
    fn two_keys_for_one_thing_are_refused() {
        for (text, both) in [
            ("template = \"a.json\"\npins = \"factory\"", "both pins and template"),
            ("[wifi]\nssid = \"a\"\npassword = \"\"\npassword_file = \"b\"", "under [wifi]"),
            ("[wifi2]\nssid = \"a\"\npassword = \"\"\npassword_file = \"b\"", "under [wifi2]"),
            ("[mqtt]\npassword = \"\"\npassword_file = \"b\"", "under [mqtt]"),
            ("{\"pins\": {\"26\": \"Rel;1\", \"26\": \"Rel;2\"}}", "pin 26: it is named twice"),
        ] {
            let refused = resolved(text).unwrap_err().to_string();
            assert!(refused.contains(both), "{refused}");
        }
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
            let error = ProvisioningFile::parse(text.as_bytes()).err().unwrap().explain();
            assert!(error.what.contains(what), "{}", error.what);
            assert!(!error.to_string().contains("hunter22"), "{error}");
        }
        let latin = ProvisioningFile::parse(b"name = \"caf\xE9\"").err().unwrap();
        assert!(latin.to_string().contains("not UTF-8"), "{latin}");
    }

    #[test]
    fn a_wrong_pin_is_told_with_the_reason() {
        for (pins, why) in [
            ("26 = \"Reley;1\"", "pin 26: \"Reley\" is not a role; did you mean Rel?"),
            ("x = \"Rel;1\"", "pin x: this is not a GPIO number"),
            ("300 = \"Rel;1\"", "pin 300: this is not a GPIO number"),
            ("06 = \"Rel;2\"\n6 = \"Rel;1\"", "pin 6: it is named twice"),
            ("6 = \"Rel;one\"", "pin 6: \"one\" is not a channel"),
            ("6 = \"Rel;1;2;3\"", "pin 6: more than two channels"),
        ] {
            assert_eq!(resolved(&format!("[pins]\n{pins}")).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn a_template_gives_pins_and_command_unless_the_file_has_a_command() {
        let template =
            "\u{feff}{\"pins\": {\"26\": \"Rel;1\", \"10\": \"Btn;1;2\"}, \"command\": \"startDriver BL0937\"}";
        let with = |file: &str, template: &str| {
            parsed(file).resolve(&Passwords::default(), Some(("plug.json", template.as_bytes())))
        };
        let made = with("template = \"plug.json\"", template).unwrap();
        assert_eq!(made.pins, PinSource::Template("plug.json".to_owned()));
        assert_eq!(made.settings.start_up.as_deref(), Some("startDriver BL0937"));
        let second = PinSetting { pin: 10, role: 3, channel: 1, channel2: Some(2) };
        assert_eq!(made.settings.pins.unwrap()[0], second);
        let own = with("template = \"plug.json\"\ncommand = \"echo\"", template).unwrap();
        assert_eq!(own.settings.start_up.as_deref(), Some("echo"));
        let without = with("template = \"plug.json\"", "{\"pins\": {}, \"command\": \"\"}").unwrap();
        assert_eq!(without.settings.start_up, None, "an empty command leaves what is there");
        for broken in [
            "{\"pins\": {\"6\": \"Rel;1\" \"7\": \"Btn;1\"}}",
            "{\"pins\": {\"6\": \"Reley;1\"}}",
            "{\"pins\": {}, \"command\": 5}",
        ] {
            let error = with("template = \"plug.json\"", broken).unwrap_err();
            assert_eq!(error.explain().code, "E772", "{error}");
        }
    }
}
