//! From the keys of a Tuya pin map to the roles of OpenBeken (formats.md §11). Two columns say what the public
//! importers make of a key, a third what its active level asks for.

/// Channel of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Always this one.
    Fixed(u8),
    /// The number inside the key.
    Number,
    /// A colour of a light: red 0, green 1, blue 2, cold white 3, warm white 4. Mappings count differently.
    Colour(u8),
}

/// Roles by active level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByLevel {
    /// When the level is 1.
    pub high: &'static str,
    /// When the level is 0.
    pub low: &'static str,
    /// When no level is given.
    pub unknown: &'static str,
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The key; `#` stands for a number.
    pub key: &'static str,
    /// What it is, for the reason of a line.
    pub what: &'static str,
    /// Role and channel of the desktop flasher.
    pub gui: Option<(&'static str, Channel)>,
    /// Role and channel of the web importer.
    pub web: Option<(&'static str, Channel)>,
    /// Roles and channel that honour the active level.
    pub best: Option<(ByLevel, Channel)>,
}

const fn by_level(high: &'static str, low: &'static str, unknown: &'static str) -> ByLevel {
    ByLevel { high, low, unknown }
}

const fn always(role: &'static str) -> ByLevel {
    by_level(role, role, role)
}

// A button of OpenBeken is active low with a pull-up, a relay or LED active high; `_n` is the opposite (§11).
const RELAY: ByLevel = by_level("Rel", "Rel_n", "Rel");
const BUTTON: ByLevel = by_level("Btn_n", "Btn", "Btn");
const BUTTON_ALL: ByLevel = by_level("Btn_Tgl_All_n", "Btn_Tgl_All", "Btn_Tgl_All");
const LED: ByLevel = by_level("LED", "LED_n", "LED");
const WIFI_LED: ByLevel = by_level("WifiLED", "WifiLED_n", "WifiLED_n");
const COLOUR: ByLevel = by_level("PWM", "PWM_n", "PWM");
const SELECT: ByLevel = by_level("BL0937SEL", "BL0937SEL_n", "BL0937SEL");

use Channel::{Colour, Fixed, Number};

type Column = Option<(&'static str, Channel)>;

const fn rule(
    key: &'static str,
    what: &'static str,
    gui: Column,
    web: Column,
    best: Option<(ByLevel, Channel)>,
) -> Rule {
    Rule { key, what, gui, web, best }
}

const fn some(role: &'static str, channel: Channel) -> Column {
    Some((role, channel))
}

/// A key that both importers and the active level agree about.
const fn agreed(key: &'static str, what: &'static str, role: &'static str, channel: Channel) -> Rule {
    rule(key, what, some(role, channel), some(role, channel), Some((always(role), channel)))
}

/// The table. The web importer applies it from top to bottom.
pub const RULES: &[Rule] = &[
    rule("rl#_pin", "relay", some("Rel", Number), some("Rel", Number), Some((RELAY, Number))),
    rule("rl", "relay", some("Rel", Fixed(0)), None, Some((RELAY, Fixed(0)))),
    rule(
        "rl_on#_pin",
        "latching relay, coil for on",
        some("Rel", Number),
        some("BridgeFWD", Number),
        Some((always("BridgeFWD"), Number)),
    ),
    rule(
        "rl_off#_pin",
        "latching relay, coil for off",
        some("Rel_n", Number),
        some("BridgeREV", Number),
        Some((always("BridgeREV"), Number)),
    ),
    rule("bt#_pin", "button", some("Btn", Number), some("Btn", Number), Some((BUTTON, Number))),
    rule("bt_pin", "button", some("Btn", Fixed(0)), None, Some((BUTTON, Fixed(0)))),
    rule("bt", "button", some("Btn", Fixed(0)), None, Some((BUTTON, Fixed(0)))),
    rule("k#pin_pin", "button", some("Btn", Number), None, Some((BUTTON, Number))),
    rule("key_pin", "button", None, some("Btn_Tgl_All", Fixed(0)), Some((BUTTON_ALL, Fixed(0)))),
    rule(
        "total_bt_pin",
        "button for all channels",
        some("Btn_Tgl_All", Fixed(0)),
        some("Btn_Tgl_All", Fixed(0)),
        Some((BUTTON_ALL, Fixed(0))),
    ),
    rule("reset_pin", "pairing button", some("Btn", Fixed(0)), some("Btn", Fixed(0)), Some((BUTTON, Fixed(0)))),
    agreed("onoff#", "wall switch input", "TglChanOnTgl", Number),
    rule("led#_pin", "indicator LED", some("LED", Number), some("LED", Number), Some((LED, Number))),
    rule(
        "netled_pin",
        "Wi-Fi LED",
        some("WifiLED_n", Fixed(0)),
        some("WifiLED_n", Fixed(0)),
        Some((WIFI_LED, Fixed(0))),
    ),
    rule(
        "netled#_pin",
        "Wi-Fi LED",
        some("WifiLED_n", Fixed(0)),
        some("WifiLED_n", Fixed(0)),
        Some((WIFI_LED, Fixed(0))),
    ),
    rule("wfst_pin", "Wi-Fi LED", some("WifiLED_n", Fixed(0)), some("WifiLED_n", Fixed(0)), Some((WIFI_LED, Fixed(0)))),
    rule("wfst", "Wi-Fi LED", some("WifiLED_n", Fixed(0)), None, Some((WIFI_LED, Fixed(0)))),
    rule("status_led_pin", "status LED", some("WifiLED_n", Fixed(0)), None, Some((WIFI_LED, Fixed(0)))),
    rule("backlit_io_pin", "back light", some("LED", Fixed(0)), None, Some((LED, Fixed(0)))),
    agreed("door#_magt_pin", "door contact", "dInput", Number),
    agreed("gate_sensor_pin_pin", "gate contact", "dInput", Fixed(0)),
    rule("basic_pin_pin", "digital input", some("dInput", Fixed(0)), None, Some((always("dInput"), Fixed(0)))),
    agreed("ele_pin", "meter, power pulses (CF)", "BL0937CF", Fixed(0)),
    rule("epin", "meter, power pulses (CF)", some("BL0937CF", Fixed(0)), None, Some((always("BL0937CF"), Fixed(0)))),
    agreed("vi_pin", "meter, voltage or current pulses (CF1)", "BL0937CF1", Fixed(0)),
    agreed("ivpin", "meter, voltage or current pulses (CF1)", "BL0937CF1", Fixed(0)),
    rule(
        "sel_pin_pin",
        "meter, voltage or current select (SEL)",
        some("BL0937SEL", Fixed(0)),
        some("BL0937SEL", Fixed(0)),
        Some((SELECT, Fixed(0))),
    ),
    rule(
        "ivcpin",
        "meter, voltage or current select (SEL)",
        some("BL0937SEL", Fixed(0)),
        some("BL0937SEL", Fixed(0)),
        Some((SELECT, Fixed(0))),
    ),
    rule("r_pin", "red", some("PWM", Colour(0)), some("PWM", Colour(0)), Some((COLOUR, Colour(0)))),
    rule("g_pin", "green", some("PWM", Colour(1)), some("PWM", Colour(1)), Some((COLOUR, Colour(1)))),
    rule("b_pin", "blue", some("PWM", Colour(2)), some("PWM", Colour(2)), Some((COLOUR, Colour(2)))),
    rule("c_pin", "cold white", some("PWM", Colour(3)), some("PWM", Colour(3)), Some((COLOUR, Colour(3)))),
    rule("w_pin", "warm white", some("PWM", Colour(4)), some("PWM", Colour(4)), Some((COLOUR, Colour(4)))),
    rule("firstpin_pin", "first light output", None, some("PWM", Fixed(1)), Some((COLOUR, Fixed(1)))),
    rule("secpin_pin", "second light output", None, some("PWM", Fixed(2)), Some((COLOUR, Fixed(2)))),
    rule("irpin", "IR receiver", some("IRRecv", Fixed(0)), None, Some((always("IRRecv"), Fixed(0)))),
    agreed("infrr", "IR receiver", "IRRecv", Fixed(0)),
    rule("ir", "IR receiver", None, None, Some((always("IRRecv"), Fixed(0)))),
    agreed("infre", "IR transmitter", "IRSend", Fixed(0)),
    rule("remote_io", "433 MHz receiver", some("RCRecv", Fixed(0)), None, Some((always("RCRecv"), Fixed(0)))),
    rule("samp_pin", "battery voltage", some("BAT_ADC", Fixed(0)), None, Some((always("BAT_ADC"), Fixed(0)))),
    rule(
        "samp_sw_pin",
        "switch of the battery divider",
        some("BAT_Relay", Fixed(0)),
        None,
        Some((by_level("BAT_Relay", "BAT_Relay_n", "BAT_Relay"), Fixed(0))),
    ),
    rule(
        "mosi",
        "data of an addressable strip",
        some("SM16703P_DIN", Fixed(0)),
        None,
        Some((always("SM16703P_DIN"), Fixed(0))),
    ),
    rule("mic", "microphone", None, some("ADC", Fixed(0)), Some((always("ADC"), Fixed(0)))),
];

/// Keys that name a pin for which OpenBeken has no role, or none that fits without a look at the board.
pub const NO_ROLE: &[(&str, &str)] = &[
    ("ctrl_pin", "enable output of the light driver; AlwaysHigh or AlwaysLow would keep the driver on"),
    ("micpin", "microphone"),
    ("buzzer_io", "buzzer"),
    ("buzzer_pwm", "buzzer"),
    ("bz_pin_pin", "buzzer"),
    ("i2c_scl_pin", "sensor bus; SoftSCL and a sensor driver may fit"),
    ("i2c_sda_pin", "sensor bus; SoftSDA and a sensor driver may fit"),
    ("alt_pin_pin", "sensor alert"),
    ("one_wire_pin", "sensor; DS1820_IO may fit"),
    ("SCL", "clock of the strip's bus; OpenBeken does not use it"),
    ("CS", "chip select of the strip's bus; OpenBeken does not use it"),
    ("miso", "input of the strip's bus; OpenBeken does not use it"),
    ("pirin_pin", "motion sensor"),
    ("pirsense_pin", "sensitivity of the motion sensor"),
];

/// A two-wire light driver: what tells it, its pins' roles, and its command for the currents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoWire {
    /// Name of the driver in commands.
    pub name: &'static str,
    /// Keys of which one is enough to tell it.
    pub marks: &'static [&'static str],
    /// Keys only the web importer, or neither importer, knows.
    pub web_marks: &'static [&'static str],
    /// Whether the web importer knows the driver at all.
    pub web: bool,
    /// Role of the clock pin.
    pub clock: &'static str,
    /// Role of the data pin.
    pub data: &'static str,
    /// Keys of the current for colours and for white, in the order of trust.
    pub currents: &'static [(&'static str, &'static str)],
}

/// The drivers, in the order they are tried (formats.md §11).
pub const TWO_WIRE: [TwoWire; 5] = [
    TwoWire {
        name: "SM2135",
        marks: &["ehccur", "wampere", "iicccur"],
        web_marks: &[],
        web: true,
        clock: "SM2135CLK",
        data: "SM2135DAT",
        currents: &[("campere", "wampere"), ("iicccur", "iicwcur"), ("ehccur", "ehwcur")],
    },
    TwoWire {
        name: "BP5758D",
        marks: &["dccur"],
        web_marks: &[],
        web: true,
        clock: "BP5758D_CLK",
        data: "BP5758D_DAT",
        currents: &[("drgbcur", "dccur")],
    },
    TwoWire {
        name: "BP1658CJ",
        marks: &["cjwcur"],
        web_marks: &[],
        web: true,
        clock: "BP1658CJ_CLK",
        data: "BP1658CJ_DAT",
        currents: &[("cjccur", "cjwcur")],
    },
    TwoWire {
        name: "SM2235",
        marks: &["2235ccur"],
        web_marks: &["2335ccur"],
        web: true,
        clock: "SM2235CLK",
        data: "SM2235DAT",
        currents: &[("2235ccur", "2235wcur"), ("2335ccur", "2335wcur")],
    },
    TwoWire {
        name: "KP18058",
        marks: &["kp58wcur"],
        web_marks: &[],
        web: false,
        clock: "KP18058_CLK",
        data: "KP18058_DAT",
        currents: &[("kp58ccur", "kp58wcur")],
    },
];

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
    fn every_role_in_the_table_is_one_of_openbeken() {
        let known = |role: &str| assert!(matches!(by_name(role), Spelling::Right(_)), "{role}");
        for rule in RULES {
            [rule.gui, rule.web].into_iter().flatten().for_each(|(role, _)| known(role));
            if let Some((roles, _)) = rule.best {
                [roles.high, roles.low, roles.unknown].into_iter().for_each(known);
            }
        }
        TWO_WIRE.iter().flat_map(|driver| [driver.clock, driver.data]).for_each(known);
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
    fn no_two_rules_match_one_key() {
        for rule in RULES {
            let key = rule.key.replace('#', "3");
            assert_eq!(RULES.iter().filter(|other| matches(other.key, &key).is_some()).count(), 1, "{key}");
        }
    }
}
