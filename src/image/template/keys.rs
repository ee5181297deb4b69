//! What the keys of a Tuya pin map mean (formats.md §10), with the role of OpenBeken that does the same and honours the
//! active level.

use super::importers::matches;

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

/// How a pin gets its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Always this one.
    Fixed(u8),
    /// The number inside the key.
    Number,
}

/// What a pin is for. Of two keys on one pin the later kind of this list wins: what is lost is the lesser loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The Wi-Fi or status LED.
    WifiLed,
    /// An LED of a channel.
    Led,
    /// IR and radio.
    Remote,
    /// Buttons of a light.
    Key,
    /// Buttons, contacts, wall switches.
    Input,
    /// Battery measurement.
    Battery,
    /// Pins of a meter.
    Meter,
    /// An output of a light, or a wire of its driver.
    Light,
    /// One of the two coils of a latching relay.
    Coil,
    /// A relay.
    Relay,
}

/// A key with a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key; `#` stands for a number.
    pub key: &'static str,
    /// What it is, for the reason of a line.
    pub what: &'static str,
    /// What the pin is for.
    pub kind: Kind,
    /// The roles.
    pub roles: ByLevel,
    /// The channel.
    pub channel: Channel,
    /// Whether its name alone says what it is: no other program reads it, and no device with it was seen.
    pub by_name: bool,
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
const CONTACT: ByLevel = by_level("dInput", "dInput_n", "dInput");

use Channel::{Fixed, Number};

const fn key(key: &'static str, what: &'static str, kind: Kind, roles: ByLevel, channel: Channel) -> Key {
    Key { key, what, kind, roles, channel, by_name: false }
}

const fn named(key: &'static str, what: &'static str, kind: Kind, roles: ByLevel, channel: Channel) -> Key {
    Key { key, what, kind, roles, channel, by_name: true }
}

/// The keys with a role.
pub const KEYS: &[Key] = &[
    key("rl#_pin", "relay", Kind::Relay, RELAY, Number),
    key("rl", "relay", Kind::Relay, RELAY, Fixed(0)),
    key("rlypin", "relay", Kind::Relay, RELAY, Fixed(1)),
    key("rlypin#", "relay", Kind::Relay, RELAY, Number),
    named("relay_pin", "relay", Kind::Relay, RELAY, Fixed(1)),
    named("relay#_pin", "relay", Kind::Relay, RELAY, Number),
    key("rl_on#_pin", "latching relay, coil for on", Kind::Coil, always("BridgeFWD"), Number),
    key("rl_off#_pin", "latching relay, coil for off", Kind::Coil, always("BridgeREV"), Number),
    key("bt#_pin", "button", Kind::Input, BUTTON, Number),
    key("bt_pin", "button", Kind::Input, BUTTON, Fixed(0)),
    key("bt", "button", Kind::Input, BUTTON, Fixed(0)),
    key("btpin", "button", Kind::Input, BUTTON, Fixed(1)),
    key("btpin#", "button", Kind::Input, BUTTON, Number),
    named("button_pin", "button", Kind::Input, BUTTON, Fixed(1)),
    key("key_pin", "button", Kind::Key, BUTTON_ALL, Fixed(0)),
    key("k#pin_pin", "button", Kind::Key, BUTTON, Number),
    named("key#_pin", "button", Kind::Key, BUTTON, Number),
    key("total_bt_pin", "button for all channels", Kind::Input, BUTTON_ALL, Fixed(0)),
    key("reset_pin", "pairing button", Kind::Input, BUTTON, Fixed(0)),
    key("onoff#", "wall switch input", Kind::Input, always("TglChanOnTgl"), Number),
    key("led#_pin", "indicator LED", Kind::Led, LED, Number),
    named("total_led_pin", "LED for all channels; it shows channel 1 only", Kind::Led, LED, Fixed(1)),
    key("netled_pin", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("netled#_pin", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("netledpin", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("netledpin#", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    named("net_led_pin", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    named("wifi_led_pin", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("wfst_pin", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("wfst", "Wi-Fi LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("status_led_pin", "status LED", Kind::WifiLed, WIFI_LED, Fixed(0)),
    key("backlit_io_pin", "back light", Kind::Led, LED, Fixed(0)),
    key("door#_magt_pin", "door contact", Kind::Input, CONTACT, Number),
    key("gate_sensor_pin_pin", "gate contact", Kind::Input, CONTACT, Fixed(0)),
    key("basic_pin_pin", "the sensor's own contact", Kind::Input, CONTACT, Fixed(0)),
    key("ele_pin", "meter, power pulses (CF)", Kind::Meter, always("BL0937CF"), Fixed(0)),
    key("epin", "meter, power pulses (CF)", Kind::Meter, always("BL0937CF"), Fixed(0)),
    key("vi_pin", "meter, voltage or current pulses (CF1)", Kind::Meter, always("BL0937CF1"), Fixed(0)),
    key("ivpin", "meter, voltage or current pulses (CF1)", Kind::Meter, always("BL0937CF1"), Fixed(0)),
    key("sel_pin_pin", "meter, voltage or current select (SEL)", Kind::Meter, SELECT, Fixed(0)),
    key("ivcpin", "meter, voltage or current select (SEL)", Kind::Meter, SELECT, Fixed(0)),
    key("r_pin", "red", Kind::Light, COLOUR, Fixed(1)),
    key("g_pin", "green", Kind::Light, COLOUR, Fixed(2)),
    key("b_pin", "blue", Kind::Light, COLOUR, Fixed(3)),
    key("c_pin", "cold white", Kind::Light, COLOUR, Fixed(4)),
    key("w_pin", "warm white", Kind::Light, COLOUR, Fixed(5)),
    key("firstpin_pin", "first light output", Kind::Light, COLOUR, Fixed(1)),
    key("secpin_pin", "second light output", Kind::Light, COLOUR, Fixed(2)),
    key("mosi", "data of an addressable strip", Kind::Light, always("SM16703P_DIN"), Fixed(0)),
    key("MOSI", "data of an addressable strip", Kind::Light, always("SM16703P_DIN"), Fixed(0)),
    key("irpin", "IR receiver", Kind::Remote, always("IRRecv"), Fixed(0)),
    key("infrr", "IR receiver", Kind::Remote, always("IRRecv"), Fixed(0)),
    key("ir", "IR receiver", Kind::Remote, always("IRRecv"), Fixed(0)),
    key("infre", "IR transmitter", Kind::Remote, always("IRSend"), Fixed(0)),
    key("remote_io", "433 MHz receiver", Kind::Remote, always("RCRecv"), Fixed(0)),
    key("samp_pin", "battery voltage", Kind::Battery, always("BAT_ADC"), Fixed(0)),
    key(
        "samp_sw_pin",
        "switch of the battery divider",
        Kind::Battery,
        by_level("BAT_Relay", "BAT_Relay_n", "BAT_Relay"),
        Fixed(0),
    ),
    key("mic", "microphone", Kind::Input, always("ADC"), Fixed(0)),
];

const SELECT: ByLevel = by_level("BL0937SEL", "BL0937SEL_n", "BL0937SEL");

/// Keys that name a pin for which OpenBeken has no role, or none that fits without a look at the board.
const NO_ROLE: &[(&str, &str)] = &[
    ("ctrl_pin", "enable output of the light driver; AlwaysHigh or AlwaysLow would keep the driver on"),
    ("micpin", "microphone"),
    ("buzzer_io", "buzzer"),
    ("bz_pin_pin", "buzzer; PWM on a channel of its own may fit"),
    ("i2c_scl_pin", "sensor bus; CHT83XX_SCK, SHT3X_SCK or SoftSCL may fit"),
    ("i2c_sda_pin", "sensor bus; CHT83XX_SDA, SHT3X_SDA or SoftSDA may fit"),
    ("alt_pin_pin", "sensor alert"),
    ("one_wire_pin", "sensor; DS1820_IO may fit"),
    ("SCL", "clock of the strip's bus; OpenBeken does not use it"),
    ("CS", "chip select of the strip's bus; OpenBeken does not use it"),
    ("miso", "input of the strip's bus; OpenBeken does not use it"),
    ("MISO", "input of the strip's bus; OpenBeken does not use it"),
    ("pirin_pin", "motion sensor; dInput and the PIR driver may fit"),
    ("pirsense_pin", "sensitivity of the motion sensor; PWM_ScriptOnly and the PIR driver may fit"),
    ("tamper_pin_pin", "tamper contact; dInput on a channel of its own may fit"),
    ("i_dctr#_pin", "second switch of a two-way circuit; dInput or TglChanOnTgl may fit"),
    ("ele_rx", "serial meter, receive; the meter's driver finds the UART by itself"),
    ("ele_tx", "serial meter, send; the meter's driver finds the UART by itself"),
    ("series_rx", "serial port towards another chip"),
    ("series_tx", "serial port towards another chip"),
    ("iicscl", "clock of a two-wire light driver"),
    ("iicsda", "data of a two-wire light driver"),
];

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A pin with a role, and the number inside the key.
    Role(&'static Key, u8),
    /// A pin without a role, and what it is.
    NoRole(&'static str),
    /// It looks like a pin, and nobody knows what for.
    Unknown,
}

/// What `key` means, if it is about a pin at all. `beside` tells whether another key stands in the same map.
pub fn meaning(key: &str, beside: impl Fn(&str) -> bool) -> Option<Meaning> {
    let role = KEYS.iter().find_map(|known| Some(Meaning::Role(known, matches(known.key, key)?)));
    let none = || NO_ROLE.iter().find(|(name, _)| matches(name, key).is_some()).map(|(_, what)| Meaning::NoRole(what));
    role.or_else(none).or_else(|| looks_like_a_pin(key, beside).then_some(Meaning::Unknown))
}

/// The keys that may hold the active level of `key`.
pub fn level_keys(key: &str) -> [Option<String>; 3] {
    let stem = key.strip_suffix("_pin").or(key.strip_suffix("_io"));
    let (name, number) = key.split_at(key.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let old = name.strip_suffix("pin").filter(|name| !name.is_empty() && !name.ends_with('_'));
    [stem.map(|stem| format!("{stem}_lv")), old.map(|old| format!("{old}lv{number}")), Some(format!("{key}_lv"))]
}

fn looks_like_a_pin(key: &str, beside: impl Fn(&str) -> bool) -> bool {
    let name = key.trim_end_matches(|c: char| c.is_ascii_digit()).to_ascii_lowercase();
    let ends = ["pin", "_io", "_gpio", "_rx", "_tx", "_scl", "_sda", "_clk", "_dat"];
    ends.iter().any(|end| name.ends_with(end)) || level_keys(key).into_iter().flatten().any(|level| beside(&level))
}

#[cfg(test)]
mod tests {
    use super::super::roles::{Spelling, by_name};
    use super::*;

    #[test]
    fn every_role_in_the_table_is_one_of_openbeken() {
        for key in KEYS {
            for role in [key.roles.high, key.roles.low, key.roles.unknown] {
                assert!(matches!(by_name(role), Spelling::Right(_)), "{role}");
            }
        }
    }

    #[test]
    fn no_two_rows_match_one_key() {
        let patterns: Vec<&str> = KEYS.iter().map(|key| key.key).chain(NO_ROLE.iter().map(|(name, _)| *name)).collect();
        for pattern in &patterns {
            let key = pattern.replace('#', "3");
            assert_eq!(patterns.iter().filter(|other| matches(other, &key).is_some()).count(), 1, "{key}");
        }
    }

    #[test]
    fn what_looks_like_a_pin_is_told_from_what_does_not() {
        for pin in ["pir_pin", "ledpin", "rlypin9x_pin", "alarmpin2", "fan_io", "dbg_tx", "red_pin"] {
            assert!(meaning(pin, |_| false).is_some(), "{pin}");
        }
        for other in
            ["pirlduty", "k2sfunc", "crc", "netled_reuse", "onoff_type", "irk1val", "category", "reset_t", "bt_type"]
        {
            assert_eq!(meaning(other, |_| false), None, "{other}");
        }
        assert_eq!(meaning("pump", |level| level == "pump_lv"), Some(Meaning::Unknown), "it has a level");
    }

    #[test]
    fn the_level_of_a_key_goes_by_its_name_old_and_new() {
        let levels = |key: &str| level_keys(key).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(levels("rl1_pin"), ["rl1_lv", "rl1_pin_lv"]);
        assert_eq!(levels("rlypin2"), ["rlylv2", "rlypin2_lv"]);
        assert_eq!(levels("btpin"), ["btlv", "btpin_lv"]);
        assert_eq!(levels("basic_pin_pin"), ["basic_pin_lv", "basic_pin_pin_lv"]);
        assert_eq!(levels("ir"), ["ir_lv"]);
    }
}
