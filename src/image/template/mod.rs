//! OpenBeken templates from the pin map of a Tuya device (formats.md §11 and §13): as the two public importers make
//! them, and as the device's own active levels ask for. Every line carries its reason.

pub mod limits;
pub mod lint;
pub mod mapping;
pub mod public;
pub mod qr;
pub mod roles;

mod configured;
mod json;

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use self::mapping::{Channel, NO_ROLE, RULES, Rule, TWO_WIRE, TwoWire};
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
    /// OpenBeken's flags; 0 where the factory configuration is the source, which knows none.
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

/// `X_lv` for the key `X_pin`.
fn level_of(param: &UserParam, key: &str) -> Option<i64> {
    param.number(&format!("{}_lv", key.strip_suffix("_pin")?)).filter(|level| matches!(level, 0 | 1))
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
            add_tuyamcu(&mut template, mapping, tuya.baud());
        }
        if mapping == Mapping::Recommended {
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

fn add_tuyamcu(template: &mut Template, mapping: Mapping, baud: Option<i64>) {
    template.tuyamcu = true;
    if mapping == Mapping::Recommended {
        template.commands.push("startDriver TuyaMCU".to_owned());
        template.commands.extend(baud.map(|baud| format!("tuyaMcu_setBaudRate {baud}")));
        template.notes.push("a second processor has the pins; its data points are mapped by commands".to_owned());
    }
}

/// Maps a pin map.
pub fn map(param: &UserParam, mapping: Mapping, family: Option<Family>) -> Template {
    let board = param.text("module").map(str::to_owned);
    let mut template = Template { chip: chip(board.as_deref(), mapping, family), board, ..Template::default() };
    let mut lines: BTreeMap<u8, Line> = BTreeMap::new();
    let mut add = |line: Line| drop(lines.insert(line.pin, line));
    let matched = |rule: &'static Rule| {
        param.pairs.iter().filter_map(move |(key, value)| {
            let number = mapping::matches(rule.key, key)?;
            line_of(param, rule, key, number, pin_number(value)?, mapping)
        })
    };
    match mapping {
        // In the order of its own rules.
        Mapping::Web => RULES.iter().flat_map(matched).for_each(&mut add),
        // In the order of the text.
        Mapping::Gui | Mapping::Recommended => {
            for (key, value) in &param.pairs {
                let rule = RULES.iter().find_map(|rule| Some((rule, mapping::matches(rule.key, key)?)));
                let line = rule
                    .zip(pin_number(value))
                    .and_then(|((rule, number), pin)| line_of(param, rule, key, number, pin, mapping));
                line.into_iter().for_each(&mut add);
            }
        }
    }
    let driver = two_wire(param, mapping);
    if let Some(driver) = driver {
        for (key, role, what) in [("iicscl", driver.clock, "clock"), ("iicsda", driver.data, "data")] {
            if let Some(pin) = param.get(key).and_then(pin_number) {
                let reason = format!("{key}: {what} of the light driver {}, which its currents tell", driver.name);
                add(Line { pin, role, channel: 0, key: key.to_owned(), reason });
            }
        }
    }
    template.lines = lines.into_values().collect();
    template.commands = commands(param, mapping, driver, &template);
    if mapping == Mapping::Recommended {
        renumber_two_colours(&mut template);
        template.notes = notes(param, driver);
    }
    template
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

fn line_of(param: &UserParam, rule: &'static Rule, key: &str, number: u8, pin: u8, mapping: Mapping) -> Option<Line> {
    let level = level_of(param, key);
    let (role, channel) = match mapping {
        Mapping::Gui => rule.gui?,
        // The web importer knows relays 0 to 9 and one latching relay only.
        Mapping::Web if rule.key.starts_with("rl_o") && number != 1 => return None,
        Mapping::Web if rule.key.starts_with("rl#") && number > 9 => return None,
        Mapping::Web => rule.web?,
        Mapping::Recommended => {
            let (roles, channel) = rule.best?;
            let role = match level {
                Some(1) => roles.high,
                Some(_) => roles.low,
                None => roles.unknown,
            };
            (role, channel)
        }
    };
    let channel = match (channel, mapping) {
        (Channel::Fixed(channel), _) => channel,
        (Channel::Number, _) => number,
        (Channel::Colour(colour), Mapping::Gui) => colour,
        (Channel::Colour(colour), _) => colour + 1,
    };
    let numbered = if rule.key.contains('#') { format!(" {number}") } else { String::new() };
    let active = match (level, mapping) {
        (Some(1), Mapping::Recommended) => ", active high",
        (Some(_), Mapping::Recommended) => ", active low",
        (Some(_), _) => ", its active level is not looked at",
        (None, _) => "",
    };
    let reason = format!("{key}: {}{numbered}{active}", rule.what);
    Some(Line { pin, role, channel, key: key.to_owned(), reason })
}

fn two_wire(param: &UserParam, mapping: Mapping) -> Option<&'static TwoWire> {
    param.get("iicscl").or(param.get("iicsda"))?;
    let there = |keys: &[&str]| keys.iter().any(|key| param.get(key).is_some());
    TWO_WIRE.iter().find(|driver| match mapping {
        Mapping::Gui => there(driver.marks),
        Mapping::Web => driver.web && (there(driver.marks) || there(driver.web_marks)),
        Mapping::Recommended => there(driver.marks) || there(driver.web_marks),
    })
}

fn commands(param: &UserParam, mapping: Mapping, driver: Option<&TwoWire>, template: &Template) -> Vec<String> {
    let mut commands = Vec::new();
    let recommended = mapping == Mapping::Recommended;
    let has = |role: &str| template.lines.iter().any(|line| line.role.starts_with(role));
    if recommended && has("BL0937") {
        commands.push("startDriver BL0937".to_owned());
    }
    // Meter chip 3 is the BL0942; the web importer starts its driver for any serial meter.
    let serial_meter = param.get("ele_rx").is_some() || param.get("ele_tx").is_some();
    if serial_meter && (mapping == Mapping::Web || (recommended && param.number("chip_type") == Some(3))) {
        commands.push("startDriver BL0942".to_owned());
    }
    if let Some(driver) = driver {
        if recommended {
            commands.push(format!("startDriver {}", driver.name));
        }
        if mapping != Mapping::Web {
            commands.extend(current_command(param, driver, recommended));
        }
        let order: Option<Vec<String>> = ["iicr", "iicg", "iicb", "iicc", "iicw"]
            .iter()
            .map(|key| param.number(key).map(|number| number.to_string()))
            .collect();
        // The web importer puts the order into a script instead.
        commands.extend(order.filter(|_| mapping != Mapping::Web).map(|order| format!("LED_Map {}", order.join(" "))));
    }
    if recommended && has("SM16703P") {
        commands.push("startDriver SM16703P".to_owned());
        commands.extend(param.number("LedNum").map(|leds| format!("SM16703P_Init {leds}")));
    }
    if mapping != Mapping::Web {
        commands.extend(param.number("pwmhz").map(|hertz| format!("PWMFrequency {hertz}")));
    }
    commands
}

fn current_command(param: &UserParam, driver: &TwoWire, in_milliampere: bool) -> Option<String> {
    let found =
        driver.currents.iter().find_map(|(colour, white)| Some((*colour, param.number(colour)?, param.number(white)?)));
    let (key, colour, white) = found?;
    // campere and wampere are milliampere, the SM2135's other two pairs steps of 5 above 10 (formats.md §10).
    let steps = in_milliampere && matches!(key, "iicccur" | "ehccur");
    let current = |value: i64| if steps { value.saturating_mul(5).saturating_add(10) } else { value };
    Some(format!("{}_Current {} {}", driver.name, current(colour), current(white)))
}

/// OpenBeken drives a light with two outputs on its first two channels, cold white first.
fn renumber_two_colours(template: &mut Template) {
    let is_colour = |line: &Line| matches!(line.role, "PWM" | "PWM_n");
    let whites = |line: &Line| matches!(line.key.as_str(), "c_pin" | "w_pin");
    let colours: Vec<&Line> = template.lines.iter().filter(|line| is_colour(line)).collect();
    if colours.len() != 2 || !colours.iter().all(|line| whites(line)) {
        return;
    }
    for line in template.lines.iter_mut().filter(|line| is_colour(line)) {
        line.channel = if line.key == "c_pin" { 1 } else { 2 };
        line.reason.push_str("; a light with two outputs uses channels 1 (cold) and 2 (warm)");
    }
}

fn notes(param: &UserParam, driver: Option<&TwoWire>) -> Vec<String> {
    let mut notes = Vec::new();
    for (key, value) in &param.pairs {
        let known = NO_ROLE.iter().find(|(name, _)| name == key);
        if let (Some((_, what)), Some(pin)) = (known, value.number()) {
            notes.push(format!("{key}, pin {pin}: {what}"));
        }
        if value.number().is_some_and(|pin| pin > HIGHEST_PIN) && key.ends_with("_pin") {
            notes.push(format!("{key} names a pin that does not exist"));
        }
    }
    if driver.is_none() && param.get("iicscl").is_some() {
        notes.push("iicscl and iicsda: a two-wire light driver that nothing in the pin map names".to_owned());
    }
    if param.number("cwtype") == Some(1) {
        notes.push("cwtype 1: c is brightness and w colour temperature; set the flag for that in OpenBeken".to_owned());
    }
    notes
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
