//! The settings file, `config.toml`, and where each value in force came from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::StoreError;
use super::files;
use super::paths::Folders;

/// Environment variables and the settings they override.
pub const VARIABLES: [(&str, &str); 2] = [("BKBENCH_THEME", "theme"), ("BKBENCH_LINK", "link")];
/// No settings file is as large as this, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Every setting. `config.example.toml` has each one with its default and a comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name of the theme.
    #[serde(deserialize_with = "not_empty")]
    pub theme: String,
    /// The link used when none is named; empty for none.
    pub link: String,
    /// GPIO (BCM number, 0..=27) that the chip's CEN is wired to.
    #[serde(deserialize_with = "gpio")]
    pub cen: u8,
    /// Whether the screen listens to the mouse.
    pub mouse: bool,
    /// `[spi]`
    pub spi: Spi,
    /// `[uart]`
    pub uart: Uart,
    /// `[write]`
    pub write: Write,
    /// `[paths]`
    pub paths: Paths,
}

/// SPI clocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spi {
    /// Clock for reading and writing in Hz, 1 kHz to 50 MHz; 0 finds the fastest that proves right.
    #[serde(deserialize_with = "clock_or_none")]
    pub clock_hz: u32,
    /// Clock while the chip is brought into its flash mode, in Hz, 1 kHz to 50 MHz.
    #[serde(deserialize_with = "clock")]
    pub entry_clock_hz: u32,
}

/// UART rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uart {
    /// Rate for reading and writing in baud, 9600 to 6 Mbaud; 0 finds the highest that shows no error.
    #[serde(deserialize_with = "baud_or_none")]
    pub baud: u32,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Write {
    /// Whether the write protection found before a write is put back after it, also after a failure.
    pub protect_after: bool,
}

/// Folders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Folder of backups; empty for the usual one.
    pub backups: String,
    /// List of public devices, `devices.json` of OpenBeken's web app; empty for the one in the data folder, if there is one.
    pub devices: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: "dark".to_owned(),
            link: String::new(),
            cen: 22,
            mouse: true,
            spi: Spi::default(),
            uart: Uart::default(),
            write: Write::default(),
            paths: Paths::default(),
        }
    }
}

impl Default for Spi {
    /// The entry clock is one that public tools use with success (spi-flash.md §2).
    fn default() -> Self {
        Self { clock_hz: 0, entry_clock_hz: 50_000 }
    }
}

impl Spi {
    /// The clock asked for; `None` when it is to be found.
    pub const fn fixed_clock(&self) -> Option<u32> {
        if self.clock_hz == 0 { None } else { Some(self.clock_hz) }
    }
}

impl Default for Write {
    fn default() -> Self {
        Self { protect_after: true }
    }
}

impl Uart {
    /// The rate asked for; `None` when it is to be found.
    pub const fn fixed_baud(&self) -> Option<u32> {
        if self.baud == 0 { None } else { Some(self.baud) }
    }
}

fn not_empty<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let text = String::deserialize(value)?;
    if text.is_empty() { Err(D::Error::custom("must not be empty")) } else { Ok(text) }
}

fn within<'de, D: Deserializer<'de>>(value: D, least: u32, most: u32, unit: &str) -> Result<u32, D::Error> {
    let number = i64::deserialize(value)?;
    let inside = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
    inside.ok_or_else(|| D::Error::custom(format!("{number} is outside {least} to {most} {unit}")))
}

fn gpio<'de, D: Deserializer<'de>>(value: D) -> Result<u8, D::Error> {
    within(value, 0, 27, "(BCM number of a GPIO on the 40-pin header)").map(|number| number as u8)
}

fn clock<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, 1_000, 50_000_000, "Hz")
}

fn clock_or_none<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, 0, 50_000_000, "Hz").and_then(|hz| match hz {
        1..1_000 => Err(D::Error::custom(format!("{hz} is neither 0 nor 1000 to 50000000 Hz"))),
        hz => Ok(hz),
    })
}

fn baud_or_none<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, 0, 6_000_000, "baud").and_then(|baud| match baud {
        1..9_600 => Err(D::Error::custom(format!("{baud} is neither 0 nor 9600 to 6000000 baud"))),
        baud => Ok(baud),
    })
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A settings file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A flag on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Key with its table, such as `spi.clock_hz`.
    pub key: String,
    /// Value as in the settings file.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// Settings, and where each came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The values in force.
    pub settings: Settings,
    /// One line per setting, in the order of `config.example.toml`.
    pub origins: Vec<Setting>,
}

impl Settings {
    /// The settings of this user: defaults, then the settings file when there is one, then the environment.
    ///
    /// # Errors
    /// [`StoreError::NoHome`]; [`StoreError::Settings`] for a file that is not usable; [`StoreError::Setting`] for
    /// a variable that is not.
    pub fn load() -> Result<Loaded, StoreError> {
        Self::load_from(&Folders::find()?.settings_file(), |name| std::env::var(name).ok())
    }

    /// The folder of backups.
    ///
    /// # Errors
    /// [`StoreError::NoHome`].
    pub fn backups_folder(&self) -> Result<PathBuf, StoreError> {
        Ok(Folders::find()?.backups(&self.paths.backups))
    }

    /// Takes the list of public devices in the data folder, where the settings name none and it is there.
    pub fn find_devices(&mut self) {
        let usual = || Some(Folders::find().ok()?.devices()).filter(|list| list.is_file());
        if self.paths.devices.is_empty()
            && let Some(list) = usual()
        {
            self.paths.devices = list.display().to_string();
        }
    }

    /// The folder of bookmarks.
    ///
    /// # Errors
    /// [`StoreError::NoHome`].
    pub fn notes_folder(&self) -> Result<PathBuf, StoreError> {
        Ok(Folders::find()?.notes())
    }

    /// The folder with the records of unfinished writes.
    ///
    /// # Errors
    /// [`StoreError::NoHome`].
    pub fn journal_folder(&self) -> Result<PathBuf, StoreError> {
        Ok(Folders::find()?.journal())
    }

    /// Clock in Hz or rate in baud for links of this scheme; `None` for those without a wire of their own.
    pub fn speed_for(&self, scheme: &str) -> Option<u32> {
        match scheme {
            "spi" | "ch341" | "serprog" => self.spi.fixed_clock(),
            "uart" | "tcp" | "rfc2217" => self.uart.fixed_baud(),
            _ => None,
        }
    }

    /// [`Settings::load`] with any file and environment.
    ///
    /// # Errors
    /// As there.
    pub fn load_from(file: &Path, var: impl Fn(&str) -> Option<String>) -> Result<Loaded, StoreError> {
        let mut loaded = match files::read_up_to(file, LARGEST) {
            Ok(bytes) => Loaded::parse(&bytes, file)?,
            Err(StoreError::Missing { .. }) => Loaded::defaults(),
            Err(error) => return Err(error),
        };
        for (name, key) in VARIABLES {
            if let Some(value) = var(name).filter(|value| !value.is_empty()) {
                loaded.set(key, &value, Origin::Env(name.to_owned()))?;
            }
        }
        Ok(loaded)
    }
}

impl Loaded {
    /// Nothing but defaults.
    pub fn defaults() -> Self {
        let settings = Settings::default();
        let setting =
            |(key, value): (String, Value)| Setting { key, value: value.to_string(), origin: Origin::Default };
        Self { origins: leaves(&settings).into_iter().map(setting).collect(), settings }
    }

    fn parse(bytes: &[u8], file: &Path) -> Result<Self, StoreError> {
        let unusable = |text: String| StoreError::Settings { path: file.to_path_buf(), text };
        let text = std::str::from_utf8(bytes).map_err(|error| unusable(error.to_string()))?;
        let settings: Settings = toml::from_str(text).map_err(|error| unusable(error.to_string()))?;
        let written: Table = toml::from_str(text).map_err(|error| unusable(error.to_string()))?;
        let setting = |(key, value): (String, Value)| {
            let origin = if holds(&written, &key) { Origin::File(file.to_path_buf()) } else { Origin::Default };
            Setting { value: value.to_string(), key, origin }
        };
        Ok(Self { origins: leaves(&settings).into_iter().map(setting).collect(), settings })
    }

    /// Overrides one setting, as a variable or a flag does; `text` is the value without quotes.
    ///
    /// # Errors
    /// [`StoreError::Setting`] when there is no such setting or the value is not usable.
    pub fn set(&mut self, key: &str, text: &str, origin: Origin) -> Result<(), StoreError> {
        let unusable =
            |why: String| StoreError::Setting { from: origin.to_string(), value: text.to_owned(), text: why };
        let mut table = to_table(&self.settings);
        let Some(place) = find(&mut table, key) else { return Err(unusable(format!("there is no setting {key}"))) };
        *place = match place {
            Value::Integer(_) => Value::Integer(text.parse().map_err(|_| unusable("not a number".to_owned()))?),
            Value::Boolean(_) => {
                Value::Boolean(text.parse().map_err(|_| unusable("neither true nor false".to_owned()))?)
            }
            _ => Value::String(text.to_owned()),
        };
        let value = place.to_string();
        self.settings = table.try_into().map_err(|error: toml::de::Error| unusable(error.message().to_owned()))?;
        if let Some(setting) = self.origins.iter_mut().find(|setting| setting.key == key) {
            (setting.value, setting.origin) = (value, origin);
        }
        Ok(())
    }
}

fn to_table(settings: &Settings) -> Table {
    // Cannot fail: every field is a plain value or a table of such.
    Table::try_from(settings).unwrap_or_default()
}

/// Every setting with its full key: those without a table first, as TOML wants it.
fn leaves(settings: &Settings) -> Vec<(String, Value)> {
    let (tables, plain): (Vec<_>, Vec<_>) = to_table(settings).into_iter().partition(|(_, value)| value.is_table());
    let inside = tables.into_iter().flat_map(|(name, value)| match value {
        Value::Table(table) => table.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect(),
        _ => Vec::new(),
    });
    plain.into_iter().chain(inside).collect()
}

fn find<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    match key.split_once('.') {
        Some((name, key)) => table.get_mut(name)?.as_table_mut()?.get_mut(key),
        None => table.get_mut(key).filter(|value| !value.is_table()),
    }
}

fn holds(table: &Table, key: &str) -> bool {
    match key.split_once('.') {
        Some((name, key)) => table.get(name).and_then(Value::as_table).is_some_and(|inner| inner.contains_key(key)),
        None => table.contains_key(key),
    }
}

#[cfg(test)]
mod tests;
