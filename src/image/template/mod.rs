//! OpenBeken templates from the pin map of a Tuya device (formats.md §11 and §13): as the two public importers make
//! them, and as the device's own active levels ask for. Every line carries its reason.

pub mod boards;
pub mod importers;
pub mod keys;
pub mod limits;
pub mod lint;
pub mod public;
pub mod qr;
pub mod roles;
pub mod tuyamcu;
pub mod wires;

mod configured;
mod device;
mod json;
mod recommend;

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use self::tuyamcu::Script;
use super::family::Family;
use super::tuya::Tuya;
use super::tuya::param::{UserParam, Value};

/// GPIO numbers above this one do not exist in OpenBeken's tables.
const HIGHEST_PIN: i64 = 31;

/// Whose rules to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// The device's active levels, where OpenBeken has a role for them.
    #[default]
    Recommended,
    /// The desktop flasher BK7231GUIFlashTool.
    Gui,
    /// The web importer of OpenBeken.
    Web,
}

impl Mapping {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recommended => "recommended",
            Self::Gui => "gui",
            Self::Web => "web",
        }
    }
}

/// One pin of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// GPIO number.
    pub pin: u8,
    /// Role of OpenBeken.
    pub role: &'static str,
    /// Channel.
    pub channel: u8,
    /// Key of the pin map.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl Line {
    /// `Rel;1`
    pub fn value(&self) -> String {
        format!("{};{}", self.role, self.channel)
    }
}

/// A template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Chip, as OpenBeken names it.
    pub chip: Option<String>,
    /// Module.
    pub board: Option<String>,
    /// Pins in the order of their numbers.
    pub lines: Vec<Line>,
    /// Start-up commands.
    pub commands: Vec<String>,
    /// OpenBeken's flags, all of them as an import sets them; 0 where the device needs none beyond the firmware's own.
    pub flags: u64,
    /// Whether a second processor has the pins.
    pub tuyamcu: bool,
    /// What to look at by hand: pins without a role, settings without a command.
    pub notes: Vec<String>,
}

impl Template {
    /// The start-up commands as one text.
    pub fn command(&self) -> String {
        self.commands.join(" ; ")
    }

    /// GPIO number as text to `Role;channel`.
    pub fn pins(&self) -> serde_json::Map<String, serde_json::Value> {
        self.lines.iter().map(|line| (line.pin.to_string(), line.value().into())).collect()
    }

    /// The line of a pin.
    pub fn line(&self, pin: u8) -> Option<&Line> {
        self.lines.iter().find(|line| line.pin == pin)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Template", 6)?;
        fields.serialize_field("chip", &self.chip)?;
        fields.serialize_field("board", &self.board)?;
        fields.serialize_field("pins", &self.pins())?;
        fields.serialize_field("command", &self.command())?;
        fields.serialize_field("lines", &self.lines)?;
        fields.serialize_field("notes", &self.notes)?;
        fields.end()
    }
}

/// A line of the recommended template that an importer makes differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// GPIO number.
    pub pin: u8,
    /// What is recommended.
    pub recommended: Option<String>,
    /// What the desktop flasher makes of it.
    pub gui: Option<String>,
    /// What the web importer makes of it.
    pub web: Option<String>,
    /// Why the recommendation is what it is.
    pub reason: String,
}

/// The three templates of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    /// The desktop flasher's.
    pub gui: Template,
    /// The web importer's.
    pub web: Template,
    /// The one to use.
    pub recommended: Template,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

impl Templates {
    /// One of the three.
    pub const fn by(&self, mapping: Mapping) -> &Template {
        match mapping {
            Mapping::Recommended => &self.recommended,
            Mapping::Gui => &self.gui,
            Mapping::Web => &self.web,
        }
    }
}

/// The active level of a pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActiveLevel {
    /// Key of the pin.
    pub key: String,
    /// 1 for active high, 0 for active low.
    pub lv: i64,
}

/// Every pin whose active level the pin map tells; of two keys for one pin the later counts.
pub fn active_levels(param: &UserParam) -> BTreeMap<u8, ActiveLevel> {
    let levels = param.pairs.iter().filter_map(|(key, value)| {
        let level = level_of(param, key)?;
        Some((pin_number(value)?, ActiveLevel { key: key.clone(), lv: level }))
    });
    levels.collect()
}

/// The active level of a key, where it is one.
fn level_of(param: &UserParam, key: &str) -> Option<i64> {
    raw_level(param, key).filter(|level| matches!(level, 0 | 1))
}

/// What stands in the place of a key's active level, whatever it is.
fn raw_level(param: &UserParam, key: &str) -> Option<i64> {
    keys::level_keys(key).into_iter().flatten().find_map(|level| param.number(&level))
}

fn pin_number(value: &Value) -> Option<u8> {
    value.number().filter(|pin| (0..=HIGHEST_PIN).contains(pin)).and_then(|pin| u8::try_from(pin).ok())
}

/// The three templates of what was found in a file; `None` when there is nothing to make them of.
pub fn templates(tuya: &Tuya, family: Option<Family>) -> Option<Templates> {
    let empty = UserParam::default();
    let found = tuya.param.as_ref().map(|found| &found.param);
    if found.is_none() && !tuya.is_tuyamcu() {
        return None;
    }
    let param = found.unwrap_or(&empty);
    let make = |mapping| {
        let mut template = map(param, mapping, family);
        if tuya.is_tuyamcu() {
            add_tuyamcu(&mut template, mapping, tuya);
        }
        if mapping == Mapping::Recommended {
            template.notes.extend(tuya.is_tuyamcu().then(|| device::LOW_POWER.to_owned()));
            in_one_line(&mut template.commands);
        }
        template
    };
    let (gui, web, recommended) = (make(Mapping::Gui), make(Mapping::Web), make(Mapping::Recommended));
    let differences = differences(&recommended, &gui, &web);
    Some(Templates { gui, web, recommended, differences })
}

/// OpenBeken runs several commands of one line only behind `backlog`; what the importers write is left as it is.
fn in_one_line(commands: &mut Vec<String>) {
    if commands.len() > 1 {
        *commands = vec![format!("backlog {}", commands.join("; "))];
    }
}

fn add_tuyamcu(template: &mut Template, mapping: Mapping, tuya: &Tuya) {
    template.tuyamcu = true;
    let Some(script) = Script::new(tuya).filter(|_| mapping == Mapping::Recommended) else { return };
    let (commands, cut) = script.start_up();
    template.commands.extend(commands);
    template.notes.extend(script.lines.into_iter().map(|line| line.reason));
    template.notes.extend(cut.map(str::to_owned));
    template.notes.push(match &tuya.schema {
        None => "no data points in the store: the device was never paired; OpenBeken's log shows what the second \
                 processor sends"
            .to_owned(),
        Some(schema) if !schema.live => {
            format!("the data points stand in a deleted value ({}): they may be of another firmware", schema.key)
        }
        Some(schema) => format!("the data points are those of schema {}; what they mean is likely at most", schema.key),
    });
}

/// Maps a pin map.
pub fn map(param: &UserParam, mapping: Mapping, family: Option<Family>) -> Template {
    match mapping {
        Mapping::Gui => importers::gui(param, family),
        Mapping::Web => importers::web(param, family),
        Mapping::Recommended => recommend::map(param, family),
    }
}

fn chip(board: Option<&str>, mapping: Mapping, family: Option<Family>) -> Option<String> {
    let known = family.filter(|family| *family != Family::Other).map(Family::name);
    let by_module = board.and_then(|board| match (board.as_bytes(), mapping) {
        ([b'W' | b'C', b'R', ..], _) => None,
        ([b'W', ..], _) => Some("BK7231T"),
        ([b'C' | b'T', ..], Mapping::Web) | ([b'C', b'B', ..] | [b'T', b'3', b'4', ..] | [b'T', b'2', ..], _) => {
            Some("BK7231N")
        }
        _ => None,
    });
    known.or(by_module).map(str::to_owned)
}

fn differences(recommended: &Template, gui: &Template, web: &Template) -> Vec<Difference> {
    let lines = [recommended, gui, web].into_iter().flat_map(|template| &template.lines);
    let pins: std::collections::BTreeSet<u8> = lines.map(|line| line.pin).collect();
    let differing = pins.into_iter().filter_map(|pin| {
        let [best, by_gui, by_web] = [recommended, gui, web].map(|template| template.line(pin).map(Line::value));
        let reason = recommended.line(pin).map_or("no role is recommended", |line| &line.reason).to_owned();
        let same = best == by_gui && best == by_web;
        (!same).then_some(Difference { pin, recommended: best, gui: by_gui, web: by_web, reason })
    });
    differing.collect()
}

#[cfg(test)]
mod tests;
