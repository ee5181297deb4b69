//! The recommended template: the device's own active levels, the outputs its module has, and a note for every pin that is
//! left out or decided.

use std::collections::BTreeMap;

use super::boards::{self, Board};
use super::keys::{self, Channel, Key, Kind, Meaning};
use super::limits::{self, HIGHEST_PIN};
use super::roles::number_of;
use super::wires::{self, Told, WIRES};
use super::{Line, Mapping, Template, chip, device, raw_level};
use crate::image::family::Family;
use crate::image::openbeken::encode::DEFAULT_FLAGS;
use crate::image::tuya::param::UserParam;

/// The colours of a light, in the order of their channels.
const COLOURS: [(char, &str); 5] = [('r', "r_pin"), ('g', "g_pin"), ('b', "b_pin"), ('c', "c_pin"), ('w', "w_pin")];
/// "Alternate CW light mode": one white output for the temperature, the other for the brightness (OpenBeken, flag 8).
const ALTERNATE_CW: u64 = 1 << 8;

/// A line in the making.
struct Draft {
    line: Line,
    kind: Kind,
}

/// Maps a pin map.
pub fn map(param: &UserParam, family: Option<Family>) -> Template {
    let board = param.text("module").map(str::to_owned);
    let mut maker = Maker {
        param,
        board: board.as_deref().and_then(boards::by_name),
        template: Template { chip: chip(board.as_deref(), Mapping::Recommended, family), board, ..Template::default() },
        drafts: BTreeMap::new(),
    };
    let colours = maker.colours();
    for (place, (key, _)) in param.pairs.iter().enumerate() {
        // Of one name twice the last counts, in the place of the first.
        if param.pairs[..place].iter().all(|(earlier, _)| earlier != key) {
            maker.key(key, &colours);
        }
    }
    let driver = wires::driver(param);
    maker.wires(driver);
    maker.finish(&colours, driver)
}

/// The outputs of a light: which of its colours count, and on which channel each is.
struct Colours {
    /// Colours that the light does not have, whatever pins stand there.
    absent: Vec<&'static str>,
    /// Channel by key.
    channels: BTreeMap<&'static str, u8>,
    /// Whether one white output is the temperature and the other the brightness.
    alternate: bool,
}

struct Maker<'a> {
    param: &'a UserParam,
    board: Option<&'static Board>,
    template: Template,
    drafts: BTreeMap<u8, Draft>,
}

impl Maker<'_> {
    fn note(&mut self, text: String) {
        self.template.notes.push(text);
    }

    /// Which colours the light has, and their channels.
    fn colours(&self) -> Colours {
        let has = |key: &&str| self.param.number(key).is_some();
        let kind = self.param.text("cmod").filter(|kind| kind.chars().all(|c| "rgbcw".contains(c)));
        let of_kind = |letter: char| kind.is_none_or(|kind| kind.contains(letter));
        // Only where every colour that the light has is there, the others are surely left over from a default.
        let whole = COLOURS.iter().all(|(letter, key)| !of_kind(*letter) || kind.is_none() || has(key));
        let absent: Vec<&str> = COLOURS
            .iter()
            .filter(|(letter, key)| whole && !of_kind(*letter) && has(key))
            .map(|(_, key)| *key)
            .collect();
        let there: Vec<&str> =
            COLOURS.iter().map(|(_, key)| *key).filter(|key| has(key) && !absent.contains(key)).collect();
        let both_whites = there.contains(&"c_pin") && there.contains(&"w_pin");
        let alternate = both_whites && self.param.number("cwtype") == Some(1);
        let white_only = there.iter().all(|key| matches!(*key, "c_pin" | "w_pin"));
        let first_white = if white_only { 1 } else { 4 };
        let mut channels: BTreeMap<&str, u8> =
            COLOURS.iter().zip(1..).map(|((_, key), channel)| (*key, channel)).collect();
        if both_whites || white_only {
            // OpenBeken puts the temperature, or else cold white, on the first of the two.
            let (first, second) = if alternate { ("w_pin", "c_pin") } else { ("c_pin", "w_pin") };
            channels.insert(first, first_white);
            channels.insert(second, if both_whites { first_white + 1 } else { first_white });
        }
        Colours { absent, channels, alternate }
    }

    /// One key of the pin map.
    fn key(&mut self, key: &str, colours: &Colours) {
        let beside = |name: &str| self.param.get(name).is_some();
        let Some(number) = self.param.number(key) else { return };
        match keys::meaning(key, beside) {
            None => {}
            // The wires come with their driver.
            Some(Meaning::NoRole(_)) if WIRES.contains(&key) => {}
            Some(Meaning::NoRole(what)) => self.note(format!("{key}, pin {number}: {what}")),
            Some(Meaning::Unknown) if number < 0 => {}
            Some(Meaning::Unknown) => {
                self.note(format!("{key}, pin {number}: looks like a pin; what it does is not known, find it by hand"));
            }
            Some(Meaning::Role(known, within)) => {
                if let Some(pin) = self.pin(key, number) {
                    self.role(key, known, within, pin, colours);
                }
            }
        }
    }

    /// The GPIO of a key, unless the device cannot have it.
    fn pin(&mut self, key: &str, number: i64) -> Option<u8> {
        let exists = u8::try_from(number).ok().filter(|pin| *pin <= HIGHEST_PIN);
        if let Some(level @ 2..) = raw_level(self.param, key) {
            self.note(format!("{key}, pin {number}: level {level} stands for not fitted; left out"));
            return None;
        }
        let Some(pin) = exists else {
            self.note(format!("{key} names pin {number}, which does not exist; left out"));
            return None;
        };
        if let Some(board) = self.board.filter(|board| !board.has(pin)) {
            self.note(format!("{key}, pin {pin}: a {} has no pad for it; left out", board.name));
            return None;
        }
        Some(pin)
    }

    /// A pin whose key has a role.
    fn role(&mut self, key: &str, known: &'static Key, within: u8, pin: u8, colours: &Colours) {
        if colours.absent.contains(&known.key) {
            let kind = self.param.text("cmod").unwrap_or_default();
            return self.note(format!(
                "{key}, pin {pin}: the light is of kind {kind:?} and has no {}; a default that is left out, unsure",
                known.what
            ));
        }
        if known.kind == Kind::Key && self.beyond_the_keys(known, within) {
            let keys = self.param.number("knum").unwrap_or_default();
            return self.note(format!("{key}, pin {pin}: knum says {keys}; there is no such button, left out"));
        }
        let level = raw_level(self.param, key);
        let mut role = match level {
            Some(1) => known.roles.high,
            Some(_) => known.roles.low,
            None => known.roles.unknown,
        };
        let mut channel = match known.channel {
            Channel::Fixed(channel) => channel,
            Channel::Number => within,
        };
        channel = colours.channels.get(known.key).copied().unwrap_or(channel);
        let numbered = if known.key.contains('#') { format!(" {within}") } else { String::new() };
        let active = match level {
            Some(1) => ", active high",
            Some(_) => ", active low",
            None => "",
        };
        let mut reason = format!("{key}: {}{numbered}{active}", known.what);
        let mut kind = known.kind;
        if known.kind == Kind::Coil {
            (role, kind) = self.coil(key, within, (role, kind), &mut reason);
        }
        if colours.alternate && matches!(known.key, "c_pin" | "w_pin") {
            let what = if known.key == "w_pin" { "colour temperature" } else { "brightness of white" };
            reason = format!("{key}: {what}{active} (cwtype 1); polarity unsure");
        }
        if known.by_name {
            reason.push_str("; likely, by its name alone");
            self.note(format!("{key}, pin {pin}: taken for a {} by its name alone, likely", known.what));
        }
        self.place(Draft { line: Line { pin, role, channel, key: key.to_owned(), reason }, kind });
    }

    /// Whether a button's number is above the number of buttons.
    fn beyond_the_keys(&self, known: &Key, within: u8) -> bool {
        let number = if known.channel == Channel::Number { i64::from(within) } else { 1 };
        self.param.number("knum").is_some_and(|keys| number > keys)
    }

    /// A coil whose other coil is missing is an ordinary relay.
    fn coil(
        &mut self,
        key: &str,
        within: u8,
        usual: (&'static str, Kind),
        reason: &mut String,
    ) -> (&'static str, Kind) {
        let both = ["rl_on", "rl_off"].iter().all(|coil| self.param.get(&format!("{coil}{within}_pin")).is_some());
        let level = raw_level(self.param, key);
        if both {
            if level == Some(0) {
                self.note(format!("{key}: a coil that is active low; the bridge driver knows active high only"));
            }
            return usual;
        }
        // The relay is on while an rl_on pin is active, and off while an rl_off pin is.
        let on = key.starts_with("rl_on");
        *reason = format!("{key}: relay {within}, as its other coil is missing");
        (if on == (level != Some(0)) { "Rel" } else { "Rel_n" }, Kind::Relay)
    }

    /// The two wires of a light driver.
    fn wires(&mut self, driver: Option<Told>) {
        for key in WIRES {
            let Some(number) = self.param.number(key) else { continue };
            let Some(told) = driver else {
                let what = match self.param.number("dmod") {
                    // The one of Tuya's drivers that OpenBeken does not know.
                    Some(1) => "the two-wire light driver is an SM16726B, and OpenBeken has no driver for it",
                    _ => "a two-wire light driver that nothing in the pin map names",
                };
                self.note(format!("{key}, pin {number}: {what}"));
                continue;
            };
            let Some(pin) = self.pin(key, number) else { continue };
            let (role, what) = if key == WIRES[0] { (told.driver.clock, "clock") } else { (told.driver.data, "data") };
            let tells = if told.by_currents { "which its currents tell" } else { "likely, which dmod tells" };
            let reason = format!("{key}: {what} of the light driver {}, {tells}", told.driver.name);
            self.place(Draft { line: Line { pin, role, channel: 0, key: key.to_owned(), reason }, kind: Kind::Light });
        }
    }

    /// Whether the pin map switches the function of a key off.
    fn switched_off(&self, draft: &Draft) -> bool {
        let off = |name: &str| self.param.number(name) == Some(0);
        match draft.kind {
            Kind::Key => off("keyfunc"),
            Kind::Remote => draft.line.role.starts_with("IR") && off("irfunc"),
            _ => false,
        }
    }

    /// Puts a line on its pin. Two keys on one pin are decided: a function that is switched off gives way, then the lesser
    /// one; what stays and what goes is a note.
    fn place(&mut self, new: Draft) {
        let pin = new.line.pin;
        let Some(old) = self.drafts.remove(&pin) else {
            self.drafts.insert(pin, new);
            return;
        };
        let weight = |draft: &Draft| (!self.switched_off(draft), draft.kind);
        let why = match weight(&new).0 == weight(&old).0 {
            true if new.line.value() == old.line.value() => "they say the same",
            true => "what would be lost otherwise weighs more",
            false => "the other is switched off in the pin map",
        };
        let (stays, goes) = if weight(&new) > weight(&old) { (new, old) } else { (old, new) };
        self.note(format!(
            "pin {pin} is named twice: {} ({}) stays, {} ({}) goes; {why}",
            stays.line.key,
            stays.line.value(),
            goes.line.key,
            goes.line.value()
        ));
        self.drafts.insert(pin, stays);
    }

    fn finish(mut self, colours: &Colours, driver: Option<Told>) -> Template {
        let family = if self.template.chip.as_deref() == Some(Family::Bk7231N.name()) {
            Family::Bk7231N
        } else {
            Family::Bk7231T
        };
        let light = self.drafts.values().any(|draft| draft.kind == Kind::Light);
        let drafts = std::mem::take(&mut self.drafts);
        let mut lines: Vec<Line> = Vec::new();
        for Draft { mut line, kind } in drafts.into_values() {
            if kind == Kind::Key && light && line.role.starts_with("Btn") && line.channel > 0 {
                // On a light, channel N is a colour.
                self.template.notes.push(format!(
                    "{}, pin {}: its channel would switch one colour; without a function of its own it fires events only, \
                     Btn_NextColor or Btn_NextDimmer may fit",
                    line.key, line.pin
                ));
                line.role = if line.role.ends_with("_n") { "Btn_ScriptOnly_n" } else { "Btn_ScriptOnly" };
            }
            if let Some(role) = number_of(line.role)
                && let Err(misfit) = limits::check(family, line.pin, role, [line.channel, 0])
            {
                self.template.notes.push(format!("{}: {misfit}", line.key));
            }
            lines.push(line);
        }
        self.template.lines = lines;
        if colours.alternate && self.template.lines.iter().any(|line| line.key == "w_pin") {
            self.template.flags |= ALTERNATE_CW;
            self.template.notes.push(
                "cwtype 1: flag 8 puts the colour temperature on the first white channel and the brightness on the second; \
                 where warm and cold or bright and dark change places, make the pin PWM_n"
                    .to_owned(),
            );
        }
        self.commands(driver);
        device::add(self.param, &mut self.template);
        if self.template.flags != 0 {
            // An import sets all flags, and would clear the one that the firmware starts with.
            self.template.flags |= DEFAULT_FLAGS;
        }
        self.template
    }

    /// The commands of light drivers and strips.
    fn commands(&mut self, driver: Option<Told>) {
        let param = self.param;
        if let Some(Told { driver, .. }) = driver {
            self.template.commands.push(format!("startDriver {}", driver.name));
            for said in [driver.current(param), driver.order(param)] {
                self.template.commands.extend(said.command);
                self.template.notes.extend(said.notes);
            }
        }
        if self.template.lines.iter().any(|line| line.role.starts_with("SM16703P")) {
            self.template.commands.push("startDriver SM16703P".to_owned());
            self.template.commands.extend(param.number("LedNum").map(|leds| format!("SM16703P_Init {leds}")));
        }
        self.template.commands.extend(param.number("pwmhz").map(|hertz| format!("PWMFrequency {hertz}")));
    }
}
