//! The pin roles of OpenBeken: fixed numbers, names, and the spellings found in the wild (formats.md §12 and §13).

use std::borrow::Cow;

/// Names by number. Numbers never change, new roles are appended.
pub const ROLES: [&str; 99] = [
    "None",
    "Rel",
    "Rel_n",
    "Btn",
    "Btn_n",
    "LED",
    "LED_n",
    "PWM",
    "WifiLED",
    "WifiLED_n",
    "Btn_Tgl_All",
    "Btn_Tgl_All_n",
    "dInput",
    "dInput_n",
    "TglChanOnTgl",
    "dInput_NoPullUp",
    "dInput_NoPullUp_n",
    "BL0937SEL",
    "BL0937CF",
    "BL0937CF1",
    "ADC",
    "SM2135DAT",
    "SM2135CLK",
    "BP5758D_DAT",
    "BP5758D_CLK",
    "BP1658CJ_DAT",
    "BP1658CJ_CLK",
    "PWM_n",
    "IRRecv",
    "IRSend",
    "Btn_NextColor",
    "Btn_NextColor_n",
    "Btn_NextDimmer",
    "Btn_NextDimmer_n",
    "AlwaysHigh",
    "AlwaysLow",
    "UCS1912_DIN",
    "SM16703P_DIN",
    "Btn_NextTemperature",
    "Btn_NextTemperature_n",
    "Btn_ScriptOnly",
    "Btn_ScriptOnly_n",
    "DHT11",
    "DHT12",
    "DHT21",
    "DHT22",
    "CHT83XX_SDA",
    "CHT83XX_SCK",
    "SHT3X_SDA",
    "SHT3X_SCK",
    "SoftSDA",
    "SoftSCL",
    "SM2235DAT",
    "SM2235CLK",
    "BridgeFWD",
    "BridgeREV",
    "Btn_SmartLED",
    "Btn_SmartLED_n",
    "DoorSnsrWSleep",
    "DoorSnsrWSleep_nPup",
    "BAT_ADC",
    "BAT_Relay",
    "TM1637_DIO",
    "TM1637_CLK",
    "BL0937SEL_n",
    "DoorSnsrWSleep_pd",
    "SGP_CLK",
    "SGP_DAT",
    "ADC_Button",
    "GN6932_CLK",
    "GN6932_DAT",
    "GN6932_STB",
    "TM1638_CLK",
    "TM1638_DAT",
    "TM1638_STB",
    "BAT_Relay_n",
    "KP18058_CLK",
    "KP18058_DAT",
    "DS1820_IO",
    "PWM_ScriptOnly",
    "PWM_ScriptOnly_n",
    "Counter_f",
    "Counter_r",
    "IRRecv_nPup",
    "StripState",
    "StripState_n",
    "HLW_8112_SCSN",
    "RCRecv",
    "RCRecv_nPup",
    "Btn_pd",
    "Btn_pd_n",
    "TglChanOnTgl_pd",
    "ShutterA",
    "ShutterB",
    "BtnShutterUp",
    "BtnShutterDown",
    "BL0939_SCLK",
    "BL0939_MOSI",
    "BL0939_MISO",
];

/// Old spellings, with the role they stand for.
const OLD: [(&str, &str); 8] = [
    ("Button", "Btn"),
    ("Button_n", "Btn_n"),
    ("Relay", "Rel"),
    ("Relay_n", "Rel_n"),
    ("SM2135_DAT", "SM2135DAT"),
    ("SM2135_CLK", "SM2135CLK"),
    ("SM2235_DAT", "SM2235DAT"),
    ("SM2235_CLK", "SM2235CLK"),
];

/// The name of a role; a number that is not known here stays a number.
pub fn name_of(number: u8) -> Cow<'static, str> {
    ROLES.get(usize::from(number)).map_or_else(|| Cow::Owned(number.to_string()), |name| Cow::Borrowed(*name))
}

/// The number of a role by its exact name.
pub fn number_of(name: &str) -> Option<u8> {
    ROLES.iter().position(|known| *known == name).and_then(|number| u8::try_from(number).ok())
}

/// How a text names a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As OpenBeken writes it.
    Right(&'static str),
    /// With other case, blanks around it, or an old name.
    Odd(&'static str),
    /// No role; the one that looks most like it.
    Unknown(&'static str),
}

/// Looks a role up by name.
pub fn by_name(text: &str) -> Spelling {
    let trimmed = text.trim();
    if let Some(name) = ROLES.iter().find(|name| **name == text) {
        return Spelling::Right(name);
    }
    let old = OLD.iter().find(|(old, _)| old.eq_ignore_ascii_case(trimmed)).map(|(_, new)| *new);
    if let Some(name) = ROLES.iter().find(|name| name.eq_ignore_ascii_case(trimmed)).copied().or(old) {
        return Spelling::Odd(name);
    }
    let alike = ROLES.iter().min_by_key(|name| distance(&name.to_lowercase(), &trimmed.to_lowercase()));
    Spelling::Unknown(alike.copied().unwrap_or("None"))
}

/// Letters to change, add or take away to make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (number, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], number + 1);
        for (at, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[at + 1];
            row[at + 1] = change.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_firmware() {
        for (number, name) in [(1, "Rel"), (17, "BL0937SEL"), (27, "PWM_n"), (64, "BL0937SEL_n"), (98, "BL0939_MISO")] {
            assert_eq!(name_of(number), name);
        }
        assert_eq!(name_of(99), "99");
        assert_eq!(name_of(255), "255");
    }

    #[test]
    fn old_and_odd_spellings_are_understood_and_typos_get_a_suggestion() {
        assert_eq!(by_name("Btn"), Spelling::Right("Btn"));
        assert_eq!(by_name("Button_n"), Spelling::Odd("Btn_n"));
        assert_eq!(by_name("WiFiLED "), Spelling::Odd("WifiLED"));
        assert_eq!(by_name("BL0937SLE"), Spelling::Unknown("BL0937SEL"));
        assert_eq!(by_name("Relay2"), Spelling::Unknown("Rel"));
    }
}
