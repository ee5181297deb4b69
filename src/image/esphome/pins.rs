//! Relays, buttons, switches, LEDs, sensors and infrared: the pins that stand alone.

use std::collections::BTreeMap;

use super::yaml::{Document, Line, line};
use crate::image::template::keys::{self, Meaning};
use crate::image::tuya::param::UserParam;

/// Pins with a PWM unit (BK7231T and BK7231N).
const PWM: [u8; 6] = [6, 7, 8, 9, 24, 26];
/// Pins that ESPHome knows on the boards of Tuya's modules.
const KNOWN: [u8; 19] = [0, 1, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 20, 21, 22, 23, 24, 26, 28];
/// Numbers that keys carry.
const NUMBERS: std::ops::RangeInclusive<u8> = 0..=9;
/// Milliseconds that a coil of a latching relay is driven where the pin map names no time.
const PULSE: i64 = 100;

/// A pin that was found.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    pub(super) number: u8,
    pub(super) key: String,
    /// 1 active high, 0 active low, as the pin map tells.
    pub(super) level: Option<i64>,
}

impl Pin {
    pub(super) fn is_low(&self) -> bool {
        self.level == Some(0)
    }

    /// `rl1_pin, active high`
    pub(super) fn why(&self) -> String {
        let level = match self.level {
            Some(1) => ", active high",
            Some(_) => ", active low",
            None => "",
        };
        format!("{}{level}", self.key)
    }
}

/// The pin map, and which pins are given away.
pub(super) struct Pins<'a> {
    pub(super) param: &'a UserParam,
    /// Whether the pins are those of a Beken chip on a Tuya module.
    beken: bool,
    taken: BTreeMap<u8, String>,
    remarks: Vec<String>,
}

impl<'a> Pins<'a> {
    pub(super) fn new(param: &'a UserParam, beken: bool) -> Self {
        Self { param, beken, taken: BTreeMap::new(), remarks: Vec::new() }
    }

    /// What has to be looked at by hand, and which keys were left out and why.
    pub(super) fn remarks(self) -> Vec<String> {
        let unnamed = self.param.pairs.iter().filter_map(|(key, value)| {
            let pin = value.number().filter(|pin| (0..64).contains(pin))?;
            let said = |remark: &String| remark.contains(&format!("{key} "));
            let used =
                u8::try_from(pin).is_ok_and(|pin| self.taken.contains_key(&pin)) || self.remarks.iter().any(said);
            let what = match keys::meaning(key, |other| self.param.get(other).is_some())? {
                Meaning::Role(known, _) => format!("{}; ESPHome's component for it is not chosen here", known.what),
                Meaning::NoRole(what) => what.to_owned(),
                Meaning::Unknown => "it looks like a pin; what for is not known".to_owned(),
            };
            (!used).then(|| format!("left out: {key} (P{pin}): {what}"))
        });
        let unnamed: Vec<String> = unnamed.collect();
        [self.remarks, unnamed].concat()
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remarks.push(text.into());
    }

    /// The pin of a key, given away to its first user; a later key for the same pin is left out, with a remark.
    pub(super) fn take(&mut self, key: &str) -> Option<Pin> {
        let number = u8::try_from(self.param.number(key)?).ok().filter(|pin| *pin < 32)?;
        let level = keys::level_keys(key).into_iter().flatten().find_map(|level| self.param.number(&level));
        if self.beken && !KNOWN.contains(&number) {
            self.remark(format!("left out: {key} (P{number}): no module has this pin"));
            return None;
        }
        if level.is_some_and(|level| !matches!(level, 0 | 1)) {
            self.remark(format!(
                "left out: {key} (P{number}): its level {} says that it is not fitted",
                level.unwrap_or(0)
            ));
            return None;
        }
        if let Some(other) = self.taken.get(&number) {
            self.remarks.push(format!("left out: {key} (P{number}): {other} has this pin"));
            return None;
        }
        self.taken.insert(number, key.to_owned());
        Some(Pin { number, key: key.to_owned(), level })
    }
}

/// A pin without more to say about it, or with its polarity.
pub(super) fn plain(name: &str, pin: &Pin, inverted: bool, why: impl AsRef<str>) -> Vec<Line> {
    if !inverted {
        return vec![line(0, format!("{name}: P{}", pin.number), why)];
    }
    vec![
        line(0, format!("{name}:"), ""),
        line(1, format!("number: P{}", pin.number), why),
        line(1, "inverted: true", "active low"),
    ]
}

/// A pin that is read: active low ones have a pull-up, the others a pull-down.
fn read(pin: &Pin, low: bool, why: &str) -> Vec<Line> {
    let mut lines = vec![line(0, "pin:", ""), line(1, format!("number: P{}", pin.number), why)];
    if low {
        lines.push(line(1, "inverted: true", "active low"));
    }
    let (mode, why) =
        if low { ("INPUT_PULLUP", "it closes to ground") } else { ("INPUT_PULLDOWN", "it closes to 3.3 V") };
    lines.push(line(1, format!("mode: {mode}"), why));
    lines
}

/// Adds everything that stands alone.
pub(super) fn add(document: &mut Document, pins: &mut Pins<'_>) {
    let shared = pins.param.number("netled_reuse") == Some(1) && has_status(pins.param);
    let relays: Vec<(u8, String)> = NUMBERS.filter_map(|number| relay(document, pins, number, shared)).collect();
    let lone = lone_relay(document, pins);
    let all: Vec<String> = relays.iter().map(|(_, id)| id.clone()).chain(lone.clone()).collect();
    infrared(document, pins);
    buttons(document, pins, &relays, lone.as_deref(), &all);
    status(document, pins, shared);
    contacts(document, pins);
}

const STATUS: [&str; 6] = ["netled_pin", "netled1_pin", "netledpin", "wfst_pin", "wfst", "status_led_pin"];

fn has_status(param: &UserParam) -> bool {
    STATUS.iter().any(|key| param.number(key).is_some())
}

/// A relay with its LED; returns the relay's id.
fn relay(document: &mut Document, pins: &mut Pins<'_>, number: u8, shared: bool) -> Option<(u8, String)> {
    let id = format!("relay_{number}");
    let plain = pins.take(&format!("rl{number}_pin")).or_else(|| pins.take(&format!("rlypin{number}")));
    let mut lines = match plain {
        Some(pin) => gpio_relay(&pin, &id, &format!("Relay {number}")),
        None => latching(pins, number, &id)?,
    };
    lines.extend(indicator(document, pins, number, shared));
    document.item("switch", lines);
    Some((number, id))
}

fn gpio_relay(pin: &Pin, id: &str, name: &str) -> Vec<Line> {
    let mut lines = vec![
        line(0, "platform: gpio", "relay"),
        line(0, format!("id: {id}"), ""),
        line(0, format!("name: {name}"), ""),
    ];
    lines.extend(plain("pin", pin, pin.is_low(), pin.why()));
    lines
}

/// A relay with one coil for on and one for off.
fn latching(pins: &mut Pins<'_>, number: u8, id: &str) -> Option<Vec<Line>> {
    let (on, off) = (format!("rl_on{number}_pin"), format!("rl_off{number}_pin"));
    let both = pins.param.number(&on).is_some() && pins.param.number(&off).is_some();
    if !both {
        // One coil alone is an ordinary relay.
        return pins.take(&on).map(|pin| gpio_relay(&pin, id, &format!("Relay {number}")));
    }
    let (on, off) = (pins.take(&on)?, pins.take(&off)?);
    let time = format!("rl{number}_drvtime");
    let named = pins.param.number(&time).filter(|time| (1..=5000).contains(time));
    let pulse = named.unwrap_or(PULSE);
    let why = if named.is_some() { time.as_str() } else { "the pin map names no time; this is usual" };
    let mut lines = vec![
        line(0, "platform: hbridge", "latching relay"),
        line(0, format!("id: {id}"), ""),
        line(0, format!("name: Relay {number}"), ""),
    ];
    lines.extend(plain("on_pin", &on, on.is_low(), on.why()));
    lines.extend(plain("off_pin", &off, off.is_low(), off.why()));
    lines.push(line(0, format!("pulse_length: {pulse}ms"), why));
    lines.push(line(0, format!("wait_time: {}ms", (pulse / 2).max(1)), "half of the pulse"));
    Some(lines)
}

/// The LED of a relay as a light of its own, and what the relay does with it.
fn indicator(document: &mut Document, pins: &mut Pins<'_>, number: u8, shared: bool) -> Vec<Line> {
    let key = format!("led{number}_pin");
    if shared {
        if pins.param.number(&key).is_some() {
            pins.remark(format!("left out: {key}: netled_reuse 1, the status LED shows the relay"));
        }
        return follows("light_status", "netled_reuse 1: the status LED shows the relay");
    }
    let Some(pin) = pins.take(&key) else { return Vec::new() };
    let output = format!("output_led_{number}");
    let id = format!("light_led_{number}");
    let (platform, light, why) = if PWM.contains(&pin.number) {
        ("libretiny_pwm", "monochromatic", "this pin can be dimmed")
    } else {
        ("gpio", "binary", "this pin cannot be dimmed")
    };
    let mut lines = vec![line(0, format!("platform: {platform}"), why), line(0, format!("id: {output}"), "")];
    lines.extend(plain("pin", &pin, pin.is_low(), pin.why()));
    document.item("output", lines);
    document.item(
        "light",
        vec![
            line(0, format!("platform: {light}"), format!("LED of relay {number}")),
            line(0, format!("id: {id}"), ""),
            line(0, format!("output: {output}"), ""),
        ],
    );
    follows(&id, "the LED shows the relay")
}

fn follows(light: &str, why: &str) -> Vec<Line> {
    vec![
        line(0, "on_turn_on:", why),
        line(1, format!("- light.turn_on: {light}"), ""),
        line(0, "on_turn_off:", ""),
        line(1, format!("- light.turn_off: {light}"), ""),
    ]
}

/// Keys without a number: `rl_on` without `rl_off`, `rl_pin`, `rl`.
fn lone_relay(document: &mut Document, pins: &mut Pins<'_>) -> Option<String> {
    let pin = ["rl_pin", "rl", "rlypin", "rl_on_pin", "rl_on"].into_iter().find_map(|key| pins.take(key))?;
    document.item("switch", gpio_relay(&pin, "relay", "Relay"));
    Some("relay".to_owned())
}

fn button(document: &mut Document, pin: &Pin, low: bool, id: &str, event: &str, relays: &[String], why: &str) {
    let mut lines = vec![line(0, "platform: gpio", why), line(0, format!("id: {id}"), "")];
    lines.extend(read(pin, low, &pin.why()));
    if !relays.is_empty() {
        lines.push(line(0, format!("{event}:"), ""));
        lines.extend(relays.iter().map(|relay| line(1, format!("- switch.toggle: {relay}"), "")));
    }
    document.item("binary_sensor", lines);
}

/// Buttons and wall switches, each for its relay.
fn buttons(document: &mut Document, pins: &mut Pins<'_>, relays: &[(u8, String)], lone: Option<&str>, all: &[String]) {
    let of = |number: u8| -> Vec<String> {
        let own = relays.iter().filter(|(known, _)| *known == number).map(|(_, id)| id.clone());
        own.take(1).collect()
    };
    for number in NUMBERS {
        if let Some(pin) = pins.take(&format!("bt{number}_pin")).or_else(|| pins.take(&format!("btpin{number}"))) {
            button(document, &pin, pin.is_low(), &format!("button_{number}"), "on_press", &of(number), "button");
        }
        if let Some(pin) = pins.take(&format!("onoff{number}")) {
            button(document, &pin, true, &format!("wall_switch_{number}"), "on_state", &of(number), "wall switch");
        }
        if let Some(pin) = pins.take(&format!("k{number}pin_pin")) {
            button(document, &pin, pin.is_low(), &format!("key_{number}"), "on_press", &[], "button of a light");
        }
    }
    let first: Vec<String> = lone.map(str::to_owned).or_else(|| all.first().cloned()).into_iter().collect();
    for (key, id, toggled, what) in [
        ("bt_pin", "button", &first[..], "button"),
        ("bt", "button", &first[..], "button"),
        ("btpin", "button", &first[..], "button"),
        ("key_pin", "key", &[][..], "button of a light"),
        ("total_bt_pin", "button_all", all, "button for all relays"),
        ("reset_pin", "pairing_button", &[][..], "pairing button"),
    ] {
        if let Some(pin) = pins.take(key) {
            // Without a level: as OpenBeken's button, which closes to ground.
            let low = if key == "key_pin" || key == "total_bt_pin" { pin.is_low() } else { pin.level != Some(1) };
            button(document, &pin, low, id, "on_press", toggled, what);
        }
    }
}

/// The Wi-Fi LED; where it shows the relay too it has to be a light.
fn status(document: &mut Document, pins: &mut Pins<'_>, shared: bool) {
    let mut found: Option<Pin> = None;
    for key in STATUS {
        match &found {
            None => found = pins.take(key),
            Some(first) if pins.param.number(key).is_some() => {
                let remark = format!("left out: {key}: ESPHome has one status LED, and {} is it", first.key);
                pins.remark(remark);
            }
            Some(_) => {}
        }
    }
    let Some(pin) = found else { return };
    if shared {
        let mut lines =
            vec![line(0, "platform: status_led", "Wi-Fi LED, netled_reuse 1"), line(0, "id: light_status", "")];
        lines.extend(plain("pin", &pin, pin.is_low(), pin.why()));
        document.item("light", lines);
    } else {
        document.map("status_led", "Wi-Fi LED", plain("pin", &pin, pin.is_low(), pin.why()));
    }
}

/// Contacts and other inputs.
fn contacts(document: &mut Document, pins: &mut Pins<'_>) {
    let numbered =
        NUMBERS.map(|number| (format!("door{number}_magt_pin"), format!("contact_{number}"), "door contact"));
    let single = [
        ("gate_sensor_pin_pin".to_owned(), "gate_contact".to_owned(), "gate contact"),
        ("basic_pin_pin".to_owned(), "input".to_owned(), "digital input"),
    ];
    for (key, id, what) in numbered.chain(single) {
        if let Some(pin) = pins.take(&key) {
            button(document, &pin, pin.level != Some(1), &id, "on_press", &[], what);
        }
    }
}

/// Infrared receiver and transmitter.
fn infrared(document: &mut Document, pins: &mut Pins<'_>) {
    if let Some(pin) = ["ir", "infrr", "irpin"].into_iter().find_map(|key| pins.take(key)) {
        let mut lines = read(&pin, true, &pin.why());
        lines.push(line(0, "dump: all", "the log shows what the remote control sends"));
        document.map("remote_receiver", "IR receiver", lines);
    }
    if let Some(pin) = pins.take("infre") {
        let mut lines = plain("pin", &pin, false, pin.why());
        lines.push(line(0, "carrier_duty_percent: 50%", "usual for infrared"));
        document.map("remote_transmitter", "IR transmitter", lines);
    }
}
