//! The list of public device templates, `devices.json` of OpenBeken's web app (formats.md §13), and the devices in it
//! that look most like this one. Nothing is fetched: the person has the file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Template;
use super::roles::{self, Spelling};
use crate::problem::{Class, Explain, Problem};

/// How many devices are named.
const BEST: usize = 5;
/// Points of a pin with the same role and channel, and of a pin with the same role alone.
const SAME: u32 = 4;
const SAME_ROLE: u32 = 3;
/// Points of a pin whose role does the same with the other active level.
const SAME_KIND: u32 = 2;

/// A list of devices.
#[derive(Clone, Debug)]
pub struct PublicList {
    devices: Vec<Device>,
    /// Entries that are no devices, or name no pins.
    pub unusable: usize,
}

/// A device of the list.
#[derive(Clone, Debug)]
struct Device {
    vendor: String,
    name: String,
    model: String,
    chip: String,
    board: String,
    wiki: String,
    tuyamcu: bool,
    /// Role and channel by GPIO number, in today's spelling.
    pins: BTreeMap<u8, (String, u8)>,
}

/// Why a file is no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is no JSON, or other JSON.
    #[error("the list of devices cannot be read: {0}")]
    Malformed(String),
    /// It holds no device with pins.
    #[error("the list of devices holds no device")]
    Empty,
}

impl Explain for ListError {
    fn explain(&self) -> Problem {
        let (code, cause) = match self {
            Self::Malformed(_) => ("E145", "the file was cut off or edited, or is something else"),
            Self::Empty => ("E146", "the file is JSON, but no entry under \"devices\" has pins"),
        };
        let remedy =
            "save devices.json of OpenBeken's web app again: {\"devices\": [{\"vendor\": …, \"pins\": {…}}, …]}";
        Problem::new(Class::Usage, code, self.to_string(), cause, remedy)
    }
}

/// A device that looks like this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Similar {
    /// Likeness in percent: 100 means every pin has the same role and channel.
    pub score: u32,
    /// Vendor.
    pub vendor: String,
    /// Name.
    pub name: String,
    /// Model.
    pub model: String,
    /// Chip, as the list has it.
    pub chip: String,
    /// Module.
    pub board: String,
    /// Where it is described.
    pub wiki: String,
    /// Pins that differ.
    pub differing: Vec<DifferingPin>,
}

/// A pin that two templates make different use of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DifferingPin {
    /// GPIO number.
    pub pin: u8,
    /// Role and channel here.
    pub here: Option<String>,
    /// Role and channel there.
    pub there: Option<String>,
}

impl Similar {
    /// Vendor, name and model in one line.
    pub fn title(&self) -> String {
        let parts = [&self.vendor, &self.name, &self.model].into_iter().filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The differing pins in one line: `P8 WifiLED_n;0 there LED_n;1`.
    pub fn differences(&self) -> String {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let pins =
            self.differing.iter().map(|pin| format!("P{} {}, there {}", pin.pin, word(&pin.here), word(&pin.there)));
        pins.collect::<Vec<_>>().join("; ")
    }
}

#[derive(Deserialize)]
struct File {
    devices: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    vendor: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    chip: String,
    #[serde(default)]
    board: String,
    #[serde(default)]
    wiki: String,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default)]
    command: String,
    pins: BTreeMap<String, String>,
}

impl PublicList {
    /// Reads a list; entries that are no devices are counted and passed over.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn parse(text: &[u8]) -> Result<Self, ListError> {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let file: File = serde_json::from_slice(text).map_err(|error| ListError::Malformed(error.to_string()))?;
        let all = file.devices.len();
        let entries = file.devices.into_iter().filter_map(|value| serde_json::from_value::<Entry>(value).ok());
        let devices: Vec<Device> = entries.map(Device::from).collect();
        if devices.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(Self { unusable: all - devices.len(), devices })
    }

    /// How many devices it has.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Similar devices of this list, as lines for people.
    pub fn lines(&self, similar: &[Similar]) -> Vec<String> {
        let mut lines = vec![format!("most alike of {} devices in the list:", self.len())];
        for device in similar {
            lines.push(format!("{:>3} %  {}  ({} {})", device.score, device.title(), device.chip, device.board));
            let more = [device.differences(), device.wiki.clone()];
            lines.extend(more.iter().filter(|text| !text.is_empty()).map(|text| format!("       {text}")));
        }
        if similar.is_empty() {
            lines.push("       none has a pin in common".to_owned());
        }
        lines
    }

    /// The devices most like `template`, best first. GPIO numbers mean the same on BK7231T and N only, so devices with
    /// another chip do not count; of devices that are equally alike, those with the same chip and module come first.
    pub fn similar(&self, template: &Template) -> Vec<Similar> {
        let here: BTreeMap<u8, (String, u8)> =
            template.lines.iter().map(|line| (line.pin, (line.role.to_owned(), line.channel))).collect();
        let mut found: Vec<(u32, u32, &Device)> = Vec::new();
        for device in self.devices.iter().filter(|device| device.comparable()) {
            let score = if here.is_empty() {
                // A second processor has the pins: only devices of that kind are alike, and none is proven to be.
                if template.tuyamcu && device.tuyamcu && device.pins.is_empty() { 50 } else { 0 }
            } else {
                likeness(&here, &device.pins)
            };
            let same =
                |one: &Option<String>, other: &str| one.as_deref().is_some_and(|one| one.eq_ignore_ascii_case(other));
            let closeness =
                2 * u32::from(same(&template.chip, &device.chip)) + u32::from(same(&template.board, &device.board));
            if score > 0 {
                found.push((score, closeness, device));
            }
        }
        found.sort_by_key(|(score, closeness, _)| std::cmp::Reverse((*score, *closeness)));
        found.into_iter().take(BEST).map(|(score, _, device)| device.similar(score, &here)).collect()
    }
}

impl From<Entry> for Device {
    fn from(entry: Entry) -> Self {
        let named = |text: &str| text.to_lowercase().contains("tuyamcu");
        let tuyamcu = entry.keywords.iter().any(|word| named(word)) || named(&entry.command);
        let pin = |(number, value): (String, String)| Some((number.trim().parse().ok()?, role_and_channel(&value)?));
        Self {
            vendor: entry.vendor,
            name: entry.name,
            model: entry.model,
            chip: entry.chip,
            board: entry.board,
            wiki: entry.wiki,
            tuyamcu,
            pins: entry.pins.into_iter().filter_map(pin).collect(),
        }
    }
}

impl Device {
    fn comparable(&self) -> bool {
        ["BK7231T", "BK7231N"].iter().any(|chip| self.chip.trim().eq_ignore_ascii_case(chip))
    }

    fn similar(&self, score: u32, here: &BTreeMap<u8, (String, u8)>) -> Similar {
        let all: BTreeSet<u8> = here.keys().chain(self.pins.keys()).copied().collect();
        let word = |pins: &BTreeMap<u8, (String, u8)>, pin: u8| {
            pins.get(&pin).map(|(role, channel)| format!("{role};{channel}"))
        };
        let differing = all.into_iter().filter_map(|pin| {
            let (here, there) = (word(here, pin), word(&self.pins, pin));
            (here != there).then_some(DifferingPin { pin, here, there })
        });
        Similar {
            score,
            vendor: self.vendor.clone(),
            name: self.name.clone(),
            model: self.model.clone(),
            chip: self.chip.clone(),
            board: self.board.clone(),
            wiki: self.wiki.clone(),
            differing: differing.collect(),
        }
    }
}

/// `Rel;1` and its relatives: old spellings, blanks, no channel at all.
fn role_and_channel(value: &str) -> Option<(String, u8)> {
    let mut parts = value.split(';');
    let name = parts.next()?;
    let role = match roles::by_name(name) {
        Spelling::Right(role) | Spelling::Odd(role) => role.to_owned(),
        Spelling::Unknown(_) => name.trim().to_owned(),
    };
    let channel = parts.next().and_then(|part| part.trim().parse().ok()).unwrap_or(0);
    (!role.is_empty() && role != "None").then_some((role, channel))
}

/// Points of the pins that both have, out of the points that all pins of both could have, in percent. Channels are
/// chosen freely by whoever made an entry, so they count less than roles.
fn likeness(here: &BTreeMap<u8, (String, u8)>, there: &BTreeMap<u8, (String, u8)>) -> u32 {
    let all: BTreeSet<u8> = here.keys().chain(there.keys()).copied().collect();
    let points = |pin: &u8| match (here.get(pin), there.get(pin)) {
        (Some(one), Some(other)) if one == other => SAME,
        (Some((one, _)), Some((other, _))) if one == other => SAME_ROLE,
        (Some((one, _)), Some((other, _))) if one.trim_end_matches("_n") == other.trim_end_matches("_n") => SAME_KIND,
        _ => 0,
    };
    let most = all.len() as u32 * SAME;
    let got: u32 = all.iter().map(points).sum();
    (got * 100).checked_div(most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::template::{Mapping, map};
    use crate::image::tuya::param;

    /// The same fields as the public list has them, with its oddities: a number as version, an entry without pins,
    /// another chip with the same numbers, old spellings.
    const LIST: &str = r#"{ "version": 0.1, "devices": [
      { "vendor": "A", "bDetailed": "1", "name": "same pins, other module", "model": "A1", "chip": "BK7231N",
        "board": "CB3S", "keywords": ["switch"], "pins": { "6": "BL0937CF1;0", "7": "BL0937CF;0", "8": "WifiLED_n;0",
        "10": "Btn;1", "24": "BL0937SEL;0", "26": "Rel;1" }, "image": "", "wiki": "https://example.org/1" },
      { "vendor": "B", "bDetailed": "0", "name": "same pins, same module", "model": "B1", "chip": "BK7231N",
        "board": "CB2S", "flags": "1024", "keywords": [], "pins": { "6": "BL0937CF1;0", "7": "BL0937CF;0",
        "8": "WiFiLED_n ;0", "10": "Button;1", "24": "BL0937SEL;0", "26": "Relay;1" },
        "command": "startDriver BL0937", "image": "", "wiki": "" },
      { "vendor": "C", "name": "other LED", "chip": "BK7231T", "board": "WB2S", "keywords": [], "pins": {
        "6": "BL0937CF1;0", "7": "BL0937CF;0", "8": "WifiLED;0", "10": "Btn;0", "24": "BL0937SEL;0", "26": "Rel;1",
        "23": "LED_n;1" }, "image": "", "wiki": "" },
      { "vendor": "D", "name": "other chip", "chip": "BL602", "board": "SM-028", "pins": { "6": "BL0937CF1;0",
        "7": "BL0937CF;0", "8": "WifiLED_n;0", "10": "Btn;1", "24": "BL0937SEL;0", "26": "Rel;1" } },
      { "vendor": "E", "name": "nothing alike", "chip": "BK7231N", "board": "CB2S", "pins": { "14": "PWM;1" } },
      { "vendor": "F", "name": "dimmer", "chip": "BK7231N", "board": "WB3S", "keywords": ["TuyaMCU"], "pins": {} },
      { "vendor": "G", "name": "no pins at all", "chip": "BK7231N" },
      "not even an entry"
    ] }"#;

    fn plug() -> Template {
        let text = "{module:CB2S,rl1_pin:26,rl1_lv:1,bt1_pin:10,bt1_lv:0,ele_pin:7,vi_pin:6,sel_pin_pin:24,\
                    sel_pin_lv:1,netled1_pin:8,netled1_lv:0}";
        map(&param::parse(text.as_bytes()), Mapping::Recommended, None)
    }

    #[test]
    fn the_same_pins_score_highest_and_the_same_module_comes_first() {
        let list = PublicList::parse(LIST.as_bytes()).expect("a list");
        assert_eq!((list.len(), list.unusable), (6, 2));
        let found = list.similar(&plug());
        let names: Vec<(u32, &str)> = found.iter().map(|device| (device.score, device.name.as_str())).collect();
        let expected = [(100, "same pins, same module"), (100, "same pins, other module"), (75, "other LED")];
        assert_eq!(names, expected);
        assert_eq!(found[0].differing, []);
        assert_eq!(
            found[2].differences(),
            "P8 WifiLED_n;0, there WifiLED;0; P10 Btn;1, there Btn;0; P23 nothing, there LED_n;1"
        );
        assert_eq!(found[1].title(), "A same pins, other module A1");
    }

    #[test]
    fn a_device_with_a_second_processor_is_like_others_of_that_kind_and_like_nothing_for_sure() {
        let list = PublicList::parse(LIST.as_bytes()).expect("a list");
        let found = list.similar(&Template { tuyamcu: true, ..Template::default() });
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].score, found[0].name.as_str()), (50, "dimmer"));
        assert_eq!(list.similar(&Template::default()), []);
    }

    #[test]
    fn no_more_than_five_are_named() {
        let entry = r#"{"name": "n", "chip": "BK7231T", "pins": {"26": "Rel;1"}}"#;
        let text = format!("{{\"devices\": [{}]}}", [entry; 9].join(","));
        assert_eq!(PublicList::parse(text.as_bytes()).expect("a list").similar(&plug()).len(), 5);
    }

    #[test]
    fn what_is_no_list_is_told() {
        for (text, code) in [("", "E145"), ("[1, 2]", "E145"), ("{\"devices\": []}", "E146")] {
            assert_eq!(PublicList::parse(text.as_bytes()).expect_err("no list").explain().code, code, "{text}");
        }
    }
}
