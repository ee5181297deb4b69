//! What the two public importers make of a pin map (formats.md §11): the desktop flasher BK7231GUIFlashTool, which goes by
//! the order of the text, and the web importer of OpenBeken's web app (`templateParser.js`), which goes by its own. Both
//! ignore active levels; of two keys on one pin the later wins in both. What they do is copied here with their mistakes:
//! it is there to be compared with.

use std::collections::BTreeMap;

use super::wires::{OUTPUTS, TWO_WIRE, TwoWire, Unit, WIRES};
use super::{Line, Mapping, Template, chip, level_of, pin_number};
use crate::image::family::Family;
use crate::image::tuya::param::{UserParam, Value};

/// Channel of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Always this one.
    Fixed(u8),
    /// The number inside the key.
    Number,
}

use Channel::{Fixed, Number};

/// What an importer makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The key; `#` stands for a number.
    pub key: &'static str,
    /// Role.
    pub role: &'static str,
    /// Channel.
    pub channel: Channel,
}

const fn rule(key: &'static str, role: &'static str, channel: Channel) -> Rule {
    Rule { key, role, channel }
}

/// The rules of the desktop flasher; their order does not matter.
const GUI: &[Rule] = &[
    rule("rl#_pin", "Rel", Number),
    rule("rl", "Rel", Fixed(0)),
    rule("rl_on#_pin", "Rel", Number),
    rule("rl_off#_pin", "Rel_n", Number),
    rule("bt#_pin", "Btn", Number),
    rule("bt_pin", "Btn", Fixed(0)),
    rule("bt", "Btn", Fixed(0)),
    rule("k#pin_pin", "Btn", Number),
    rule("total_bt_pin", "Btn_Tgl_All", Fixed(0)),
    rule("reset_pin", "Btn", Fixed(0)),
    rule("onoff#", "TglChanOnTgl", Number),
    rule("led#_pin", "LED", Number),
    rule("netled_pin", "WifiLED_n", Fixed(0)),
    rule("netled#_pin", "WifiLED_n", Fixed(0)),
    rule("wfst_pin", "WifiLED_n", Fixed(0)),
    rule("wfst", "WifiLED_n", Fixed(0)),
    rule("status_led_pin", "WifiLED_n", Fixed(0)),
    rule("backlit_io_pin", "LED", Fixed(0)),
    rule("door#_magt_pin", "dInput", Number),
    rule("gate_sensor_pin_pin", "dInput", Fixed(0)),
    rule("basic_pin_pin", "dInput", Fixed(0)),
    rule("ele_pin", "BL0937CF", Fixed(0)),
    rule("epin", "BL0937CF", Fixed(0)),
    rule("vi_pin", "BL0937CF1", Fixed(0)),
    rule("ivpin", "BL0937CF1", Fixed(0)),
    rule("sel_pin_pin", "BL0937SEL", Fixed(0)),
    rule("ivcpin", "BL0937SEL", Fixed(0)),
    rule("r_pin", "PWM", Fixed(0)),
    rule("g_pin", "PWM", Fixed(1)),
    rule("b_pin", "PWM", Fixed(2)),
    rule("c_pin", "PWM", Fixed(3)),
    rule("w_pin", "PWM", Fixed(4)),
    rule("irpin", "IRRecv", Fixed(0)),
    rule("infrr", "IRRecv", Fixed(0)),
    rule("infre", "IRSend", Fixed(0)),
    rule("remote_io", "RCRecv", Fixed(0)),
    rule("samp_pin", "BAT_ADC", Fixed(0)),
    rule("samp_sw_pin", "BAT_Relay", Fixed(0)),
    rule("mosi", "SM16703P_DIN", Fixed(0)),
];

/// The rules of the web importer, in the order it applies them. It counts single digits only.
const WEB: &[Rule] = &[
    rule("rl#_pin", "Rel", Number),
    rule("netled_pin", "WifiLED_n", Fixed(0)),
    rule("netled#_pin", "WifiLED_n", Fixed(0)),
    rule("door#_magt_pin", "dInput", Number),
    rule("led#_pin", "LED", Number),
    rule("bt#_pin", "Btn", Number),
    rule("onoff#", "TglChanOnTgl", Number),
    rule("gate_sensor_pin_pin", "dInput", Fixed(0)),
    rule("ele_pin", "BL0937CF", Fixed(0)),
    rule("vi_pin", "BL0937CF1", Fixed(0)),
    rule("sel_pin_pin", "BL0937SEL", Fixed(0)),
    rule("wfst_pin", "WifiLED_n", Fixed(0)),
    rule("infrr", "IRRecv", Fixed(0)),
    rule("infre", "IRSend", Fixed(0)),
    rule("remote_io", "RCRecv", Fixed(0)),
    rule("r_pin", "PWM", Fixed(1)),
    rule("g_pin", "PWM", Fixed(2)),
    rule("b_pin", "PWM", Fixed(3)),
    rule("c_pin", "PWM", Fixed(4)),
    rule("w_pin", "PWM", Fixed(5)),
    rule("total_bt_pin", "Btn_Tgl_All", Fixed(0)),
    rule("reset_pin", "Btn", Fixed(0)),
    rule("key_pin", "Btn_Tgl_All", Fixed(0)),
    rule("mic", "ADC", Fixed(0)),
    rule("firstpin_pin", "PWM", Fixed(1)),
    rule("secpin_pin", "PWM", Fixed(2)),
    rule("rl_on1_pin", "BridgeFWD", Fixed(1)),
    rule("rl_off1_pin", "BridgeREV", Fixed(1)),
];

/// What the desktop flasher makes of a pin map.
pub fn gui(param: &UserParam, family: Option<Family>) -> Template {
    let mut lines = BTreeMap::new();
    for (key, value) in &param.pairs {
        let line = GUI.iter().find_map(|rule| line(param, rule, key, value));
        lines.extend(line.map(|line| (line.pin, line)));
    }
    let driver = marked(param, |_| true);
    lines.extend(driver.into_iter().flat_map(|driver| wire_lines(param, driver)).map(|line| (line.pin, line)));
    let mut template = finished(param, Mapping::Gui, family, lines);
    let current = driver.and_then(|driver| plain_current(param, driver));
    if let Some((driver, unit)) = driver.zip(current.as_ref().map(|(_, unit)| *unit))
        && unit != driver.unit
    {
        template.notes.push(format!(
            "this importer writes {}_Current in mA, and the firmware takes codes: the LEDs burn. Use the recommended template",
            driver.name
        ));
    }
    template.commands.extend(current.map(|(command, _)| command));
    let order: Option<Vec<String>> =
        OUTPUTS.iter().map(|key| param.number(key).map(|output| output.to_string())).collect();
    template.commands.extend(driver.and(order).map(|order| format!("LED_Map {}", order.join(" "))));
    template.commands.extend(param.number("pwmhz").map(|hertz| format!("PWMFrequency {hertz}")));
    template
}

/// What the web importer makes of a pin map.
pub fn web(param: &UserParam, family: Option<Family>) -> Template {
    let mut lines = BTreeMap::new();
    // It does not look inside the oldest texts.
    for rule in WEB.iter().filter(|_| !param.wrapped) {
        // It looks for one number after the other, each with one digit; of the same name twice the last counts.
        let one_digit = |key: &&String| key.len() == rule.key.len();
        let keys = param.pairs.iter().map(|(key, _)| key).filter(one_digit);
        let mut found: Vec<(u8, &String)> = keys.filter_map(|key| Some((matches(rule.key, key)?, key))).collect();
        found.sort();
        found.dedup();
        for (_, key) in found {
            let line = param.get(key).and_then(|value| line(param, rule, key, value));
            lines.extend(line.map(|line| (line.pin, line)));
        }
    }
    let driver = marked(param, |driver| driver.web);
    lines.extend(driver.into_iter().flat_map(|driver| wire_lines(param, driver)).map(|line| (line.pin, line)));
    let mut template = finished(param, Mapping::Web, family, lines);
    if param.get("ele_rx").is_some() {
        template.commands.push("startDriver BL0942".to_owned());
    }
    template
}

fn finished(param: &UserParam, mapping: Mapping, family: Option<Family>, lines: BTreeMap<u8, Line>) -> Template {
    let board = param.text("module").map(str::to_owned);
    let chip = chip(board.as_deref(), mapping, family);
    Template { chip, board, lines: lines.into_values().collect(), ..Template::default() }
}

fn line(param: &UserParam, rule: &Rule, key: &str, value: &Value) -> Option<Line> {
    let number = matches(rule.key, key)?;
    let pin = pin_number(value)?;
    let channel = match rule.channel {
        Fixed(channel) => channel,
        Number => number,
    };
    let level = level_of(param, key).map_or("", |_| ", its active level is not looked at");
    Some(Line { pin, role: rule.role, channel, key: key.to_owned(), reason: format!("{key}: {}{level}", rule.role) })
}

/// The driver, by the keys that the importers know.
fn marked(param: &UserParam, known: impl Fn(&TwoWire) -> bool) -> Option<&'static TwoWire> {
    WIRES.iter().find_map(|key| param.get(key))?;
    // The web importer knows one key more.
    let there =
        |driver: &TwoWire, key: &&str| driver.marks.contains(key) || (*key == "2335ccur" && driver.name == "SM2235");
    let keys = || param.pairs.iter().map(|(key, _)| key.as_str());
    TWO_WIRE.iter().find(|driver| known(driver) && keys().any(|key| there(driver, &key)))
}

fn wire_lines(param: &UserParam, driver: &'static TwoWire) -> impl Iterator<Item = Line> {
    let both = [(WIRES[1], driver.data, "data"), (WIRES[0], driver.clock, "clock")];
    both.into_iter().filter_map(|(key, role, what)| {
        let pin = param.get(key).and_then(pin_number)?;
        let reason = format!("{key}: {what} of the light driver {}, which its currents tell", driver.name);
        Some(Line { pin, role, channel: 0, key: key.to_owned(), reason })
    })
}

/// The command with the numbers as they stand in the text, and what they count in.
fn plain_current(param: &UserParam, driver: &TwoWire) -> Option<(String, Unit)> {
    // Here milliampere come first.
    let mut pairs: Vec<_> = driver.currents.iter().collect();
    pairs.sort_by_key(|pair| pair.unit == Unit::Code);
    pairs.into_iter().find_map(|pair| {
        let (colour, white) = (param.number(pair.colour)?, param.number(pair.white.first()?)?);
        Some((format!("{}_Current {colour} {white}", driver.name), pair.unit))
    })
}

/// Whether `key` matches a rule's pattern, and the number in place of `#`.
pub fn matches(pattern: &str, key: &str) -> Option<u8> {
    match pattern.split_once('#') {
        None => (pattern == key).then_some(0),
        Some((before, behind)) => {
            let number = key.strip_prefix(before)?.strip_suffix(behind)?;
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            if digits { number.parse().ok() } else { None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::roles::{Spelling, by_name};
    use super::*;

    #[test]
    fn every_role_in_the_tables_is_one_of_openbeken() {
        for rule in GUI.iter().chain(WEB) {
            assert!(matches!(by_name(rule.role), Spelling::Right(_)), "{rule:?}");
        }
    }

    #[test]
    fn a_number_sign_stands_for_digits_only() {
        assert_eq!(matches("rl#_pin", "rl12_pin"), Some(12));
        assert_eq!(matches("onoff#", "onoff1"), Some(1));
        for (pattern, key) in
            [("rl#_pin", "rl_pin"), ("onoff#", "onoff_type"), ("onoff#", "onoffmode"), ("ir", "irpin")]
        {
            assert_eq!(matches(pattern, key), None, "{pattern} {key}");
        }
    }

    #[test]
    fn no_two_rules_of_one_importer_match_one_key() {
        for rules in [GUI, WEB] {
            for rule in rules {
                let key = rule.key.replace('#', "3");
                assert_eq!(rules.iter().filter(|other| matches(other.key, &key).is_some()).count(), 1, "{key}");
            }
        }
    }
}
