//! Lights: outputs driven by PWM or by a two-wire driver chip, and the light made of them.

use super::pins::{Pins, plain};
use super::yaml::{Document, line};

/// Colours with the letter in their keys; `cwtype 1` makes brightness and colour temperature of the two whites.
const COLOURS: [(&str, char); 5] = [("red", 'r'), ("green", 'g'), ("blue", 'b'), ("cold", 'c'), ("warm", 'w')];

/// A light of ESPHome for a set of outputs: outputs, platform, names of the outputs in it, further lines.
type Light = (&'static [&'static str], &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const TEMPERATURES: [&str; 2] = ["cold_white_color_temperature: 6500 K", "warm_white_color_temperature: 2700 K"];
const TEMPERATURES_INTERLOCKED: [&str; 3] = ["color_interlock: true", TEMPERATURES[0], TEMPERATURES[1]];
const RGB: [(&str, &str); 3] = [("red", "red"), ("green", "green"), ("blue", "blue")];

const LIGHTS: [Light; 9] = [
    (&["red", "green", "blue"], "rgb", &RGB, &[]),
    (&["red", "green", "blue", "warm"], "rgbw", &[RGB[0], RGB[1], RGB[2], ("white", "warm")], &[]),
    (&["red", "green", "blue", "cold"], "rgbw", &[RGB[0], RGB[1], RGB[2], ("white", "cold")], &[]),
    (
        &["red", "green", "blue", "cold", "warm"],
        "rgbww",
        &[RGB[0], RGB[1], RGB[2], ("cold_white", "cold"), ("warm_white", "warm")],
        &TEMPERATURES_INTERLOCKED,
    ),
    (
        &["red", "green", "blue", "brightness", "temperature"],
        "rgbct",
        &[RGB[0], RGB[1], RGB[2], ("white_brightness", "brightness"), ("color_temperature", "temperature")],
        &TEMPERATURES_INTERLOCKED,
    ),
    (&["cold", "warm"], "cwww", &[("cold_white", "cold"), ("warm_white", "warm")], &TEMPERATURES),
    (
        &["brightness", "temperature"],
        "color_temperature",
        &[("brightness", "brightness"), ("color_temperature", "temperature")],
        &TEMPERATURES,
    ),
    (&["cold"], "monochromatic", &[("output", "cold")], &[]),
    (&["warm"], "monochromatic", &[("output", "warm")], &[]),
];

/// Adds the light, if there is one.
pub(super) fn add(document: &mut Document, pins: &mut Pins<'_>) {
    let by_pwm = pwm(document, pins);
    let found = if by_pwm.is_empty() { two_wire(document, pins) } else { by_pwm };
    if found.is_empty() {
        return;
    }
    let Some((_, platform, names, more)) = LIGHTS.iter().find(|(wanted, ..)| *wanted == found) else {
        pins.remark(format!("no light is made: ESPHome has none for the outputs {}", found.join(", ")));
        return;
    };
    let why = format!("outputs {}", found.join(", "));
    let mut lines =
        vec![line(0, format!("platform: {platform}"), why), line(0, "id: light_main", ""), line(0, "name: Light", "")];
    lines.extend(names.iter().map(|(name, output)| line(0, format!("{name}: output_{output}"), "")));
    let reason = |text: &str| {
        if text.starts_with("color_interlock") { "colour and white are never on together" } else { "usual values" }
    };
    lines.extend(more.iter().map(|text| line(0, *text, reason(text))));
    document.item("light", lines);
}

/// Outputs with a pin each.
fn pwm(document: &mut Document, pins: &mut Pins<'_>) -> Vec<&'static str> {
    let by_temperature = pins.param.number("cwtype") == Some(1);
    let frequency = pins.param.number("pwmhz").filter(|hertz| (1..=100_000).contains(hertz));
    let mut found = Vec::new();
    // A light of one or two whites keeps the maker's usual pins for the colours it does not have.
    let whites =
        pins.param.text("cmod").filter(|cmod| cmod.chars().all(|letter| "cw".contains(letter))).map(str::to_owned);
    for (colour, letter) in COLOURS {
        let key = format!("{letter}_pin");
        if let (Some(cmod), Some(number)) = (&whites, pins.param.number(&key))
            && !cmod.contains(letter)
        {
            pins.remark(format!("left out: {key} (P{number}): cmod {cmod} has no such output"));
            continue;
        }
        let Some(pin) = pins.take(&key) else { continue };
        let output = match colour {
            "cold" if by_temperature => "brightness",
            "warm" if by_temperature => "temperature",
            colour => colour,
        };
        let why = if output == colour { output.to_owned() } else { format!("{output}: cwtype 1") };
        let mut lines = vec![line(0, "platform: libretiny_pwm", why), line(0, format!("id: output_{output}"), "")];
        lines.extend(plain("pin", &pin, pin.is_low(), pin.why()));
        lines.extend(frequency.map(|hertz| line(0, format!("frequency: {hertz} Hz"), "pwmhz")));
        document.item("output", lines);
        found.push(output);
    }
    lone_outputs(document, pins, frequency);
    found
}

/// Dimmers of two light circuits name their outputs otherwise.
fn lone_outputs(document: &mut Document, pins: &mut Pins<'_>, frequency: Option<i64>) {
    for (key, id) in [("firstpin_pin", "first"), ("secpin_pin", "second")] {
        let Some(pin) = pins.take(key) else { continue };
        let mut lines =
            vec![line(0, "platform: libretiny_pwm", "dimmed output"), line(0, format!("id: output_{id}"), "")];
        lines.extend(plain("pin", &pin, pin.is_low(), pin.why()));
        lines.extend(frequency.map(|hertz| line(0, format!("frequency: {hertz} Hz"), "pwmhz")));
        document.item("output", lines);
        document.item(
            "light",
            vec![
                line(0, "platform: monochromatic", key),
                line(0, format!("id: light_{id}"), ""),
                line(0, format!("name: Light {id}"), ""),
                line(0, format!("output: output_{id}"), ""),
            ],
        );
    }
}

/// A two-wire driver of ESPHome: its name, and keys of which one tells it.
const DRIVERS: [(&str, &[&str]); 4] = [
    ("sm2235", &["2235ccur", "2235wcur", "2335ccur", "2335wcur"]),
    ("sm2135", &["ehccur", "ehwcur", "wampere", "campere", "iicccur", "iicwcur"]),
    ("bp5758d", &["dccur", "dwcur", "drgbcur"]),
    ("bp1658cj", &["cjccur", "cjwcur"]),
];

/// Outputs of a driver chip.
fn two_wire(document: &mut Document, pins: &mut Pins<'_>) -> Vec<&'static str> {
    if pins.param.get("iicscl").is_none() {
        return Vec::new();
    }
    let known = |keys: &[&str]| keys.iter().any(|key| pins.param.get(key).is_some());
    let Some(driver) = DRIVERS.iter().find(|(_, keys)| known(keys)).map(|(name, _)| *name) else {
        let chip = if known(&["kp58ccur", "kp58wcur"]) {
            "a KP18058, which ESPHome does not drive"
        } else {
            "a driver that nothing in the pin map names"
        };
        pins.remark(format!("left out: iicscl and iicsda: {chip}"));
        return Vec::new();
    };
    let (Some(clock), Some(data)) = (pins.take("iicscl"), pins.take("iicsda")) else { return Vec::new() };
    let mut lines = plain("clock_pin", &clock, false, clock.why());
    lines.extend(plain("data_pin", &data, false, data.why()));
    lines.extend(currents(pins, driver));
    document.map(driver, "light driver; its currents tell which one", lines);
    let mut found: Vec<&'static str> = Vec::new();
    let mut channels = Vec::new();
    for (colour, letter) in COLOURS {
        let key = format!("iic{letter}");
        let Some(channel) = pins.param.number(&key).filter(|channel| (0..5).contains(channel)) else { continue };
        if channels.contains(&channel) {
            pins.remark(format!("left out: {key} {channel}: another colour has this output of the driver"));
            continue;
        }
        channels.push(channel);
        let (channel, why) =
            if driver == "bp5758d" { (channel + 1, format!("{key}, counted from 1")) } else { (channel, key) };
        let mut lines = vec![
            line(0, format!("platform: {driver}"), ""),
            line(0, format!("id: output_{colour}"), ""),
            line(0, format!("channel: {channel}"), why),
        ];
        if driver == "bp5758d" {
            lines.extend(bp5758d_current(pins, colour));
        }
        document.item("output", lines);
        found.push(colour);
    }
    found
}

fn bp5758d_current(pins: &Pins<'_>, colour: &str) -> Option<super::yaml::Line> {
    let key = match colour {
        "cold" => "dccur",
        "warm" => "dwcur",
        _ => "drgbcur",
    };
    let current = pins.param.number(key).filter(|current| (1..=90).contains(current))?;
    Some(line(0, format!("current: {current}"), format!("{key}, in mA")))
}

/// Settings of the driver for the currents.
fn currents(pins: &mut Pins<'_>, driver: &str) -> Vec<super::yaml::Line> {
    match driver {
        "sm2135" => [
            ("rgb_current", ["ehccur", "iicccur"], "campere", 45),
            ("cw_current", ["ehwcur", "iicwcur"], "wampere", 60),
        ]
        .into_iter()
        .filter_map(|(name, codes, plain, most)| sm2135_current(pins, name, codes, plain, most))
        .collect(),
        "sm2235" => powers(pins, [["2235ccur", "2335ccur"], ["2235wcur", "2335wcur"]], 15),
        "bp1658cj" => powers(pins, [["cjccur", "cjccur"], ["cjwcur", "cjwcur"]], 15),
        _ => Vec::new(),
    }
}

/// The SM2135 takes steps of 5 mA from 10 mA on; colours end at 45 mA, white at 60 mA.
fn sm2135_current(
    pins: &mut Pins<'_>,
    name: &str,
    codes: [&str; 2],
    plain: &str,
    most: i64,
) -> Option<super::yaml::Line> {
    let by_code =
        codes.into_iter().find_map(|key| Some((key, pins.param.number(key)?.saturating_mul(5).saturating_add(10))));
    let (key, current) = by_code.or_else(|| Some((plain, pins.param.number(plain)?)))?;
    let steps = (current.clamp(10, most) - 10) / 5 * 5 + 10;
    if steps != current {
        pins.remark(format!("{key}: {current} mA is not a step of the SM2135; {steps} mA is used"));
    }
    Some(line(0, format!("{name}: {steps}mA"), format!("{key}: {current} mA")))
}

fn powers(pins: &mut Pins<'_>, keys: [[&str; 2]; 2], most: i64) -> Vec<super::yaml::Line> {
    let names = ["max_power_color_channels", "max_power_white_channels"];
    let mut lines = Vec::new();
    for (name, keys) in names.into_iter().zip(keys) {
        let Some((key, value)) = keys.into_iter().find_map(|key| Some((key, pins.param.number(key)?))) else {
            continue;
        };
        let used = value.clamp(0, most);
        if used != value {
            pins.remark(format!("{key}: {value} is beyond the driver's range; {used} is used"));
        }
        lines.push(line(0, format!("{name}: {used}"), key));
    }
    lines
}
