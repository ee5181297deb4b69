//! Who speaks on a line, by what is said: boot banners, firmwares by their log, chips of other makers, consoles, and the
//! frames of a Tuya module and its controller.

use std::collections::BTreeSet;

/// What the boot loader of a Beken chip begins its banner with, then what the application prints when it starts. All go
/// to the log pad (public logs of Tuya and OpenBeken devices).
const BANNERS: [&str; 4] = ["V:BK72", "bk_misc_init_start_type", "prvHeapInit-start", "LibreTiny v"];

/// Firmwares, by what their logs alone have. The first that fits counts.
const FIRMWARES: [(&str, &[&str]); 5] = [
    ("OpenBeken", &["OpenBK", "OpenBeken", "Info:MAIN:", "Info:CFG:", "Info:GEN:", "Info:CMD:", "initLog()"]),
    ("Tuya", &["TUYA N]", "TUYA E]", "TUYA D]", "TUYA I]", "TUYA W]", "TUYA IOT", "tuya_main.c", "tuya_device.c"]),
    ("ESPHome", &["ESPHome", "[C][", "[D][", "[I][", "[W]["]),
    ("LibreTiny", &["LibreTiny", " lt_"]),
    ("Beken SDK", &["bk_misc_init", "SDK Rev:", "rwnxl_init", "prvHeapInit"]),
];

/// Chips that are none of Beken's, by what their boot loaders and SDKs print.
const OTHERS: [(&str, &[&str]); 6] = [
    (
        "Realtek",
        &["Rtl87", "RTL87", "Rtl8195", "RTL8195", "Realtek", "Ameba", "IMG1 ENTRY", "IMG1 DATA", "#calibration_ok"],
    ),
    ("Bouffalo Lab (BL602 family)", &["BL602", "BL604", "BL606", "BL616", "BL618", "bl602", "Bouffalo", "bl_iot_sdk"]),
    (
        "Espressif (ESP)",
        &[
            "ets Jan ",
            "ets Jun ",
            "ets Jul ",
            "ESP-ROM:",
            "ESP32",
            "ESP8266",
            "ESP-IDF",
            "rst:0x",
            "rst cause:",
            "Tasmota",
        ],
    ),
    ("Lightning (LN882H)", &["LN882", "ln882"]),
    ("Winner Micro (W600, W800)", &["W800", "W600", "WinnerMicro", "Winner Micro"]),
    ("Xradio (XR809)", &["XR809", "XRADIO", "xradio"]),
];

/// What the console of a computer prints.
const CONSOLES: [&str; 8] =
    ["login:", "Password:", "Last login", "Linux version", "systemd[1]", "U-Boot", "root@", "GNU/Linux"];

/// The text in bytes; what is no printable character becomes a line's end.
pub(super) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '\n' }).collect()
}

/// Whether nearly all bytes are text, and enough of them to say so.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let printable = |byte: &&u8| (0x20..0x7F).contains(*byte) || matches!(**byte, b'\r' | b'\n' | b'\t' | 0x1B);
    bytes.len() >= 8 && bytes.iter().filter(printable).count() * 10 > bytes.len() * 9
}

/// The beginning of a boot banner that stands in a text.
pub(super) fn banner(text: &str) -> Option<&'static str> {
    BANNERS.into_iter().find(|mark| text.contains(mark))
}

/// The Beken chip that a text names, as it is sold: `BK7231N`, `BK7238`.
pub(super) fn beken_chip(text: &str) -> Option<String> {
    let at = text.find("BK72")?;
    let name: String = text.get(at..)?.chars().take_while(char::is_ascii_alphanumeric).take(8).collect();
    // The loader of the T calls itself by another letter (uart-protocol.md §1).
    Some(if name == "BK7231S" { "BK7231T".to_owned() } else { name }).filter(|name| name.len() > 5)
}

/// The firmware whose log a text is.
pub(super) fn firmware(text: &str) -> Option<&'static str> {
    FIRMWARES.into_iter().find(|(_, marks)| marks.iter().any(|mark| text.contains(mark))).map(|(name, _)| name)
}

/// The maker of another chip whose boot loader or SDK speaks.
pub(super) fn other_chip(text: &str) -> Option<&'static str> {
    // A LibreTiny or ESPHome log on a Beken chip may name other boards.
    if beken_chip(text).is_some() {
        return None;
    }
    OTHERS.into_iter().find(|(_, marks)| marks.iter().any(|mark| text.contains(mark))).map(|(name, _)| name)
}

/// Whether a computer's console speaks.
pub(super) fn is_console(text: &str) -> bool {
    CONSOLES.into_iter().any(|mark| text.contains(mark))
}

/// The one character that is printed again and again; `None` for anything else.
pub(super) fn one_character(text: &str) -> Option<char> {
    let mut marks = text.chars().filter(|c| !c.is_whitespace());
    let first = marks.next()?;
    (text.len() >= 4 && marks.all(|c| c == first)).then_some(first)
}

/// The versions of the whole frames `55 AA version command length data sum` among the bytes. Version 0 is what a Tuya module
/// sends; its controller answers with 1 or 3 (Tuya serial protocol).
pub(super) fn mcu_versions(bytes: &[u8]) -> BTreeSet<u8> {
    let heads = bytes.windows(2).enumerate().filter(|(_, head)| *head == [0x55, 0xAA]);
    heads
        .filter_map(|(at, _)| {
            let [_, _, version, _, high, low, rest @ ..] = bytes.get(at..)? else { return None };
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (frame, sum) = bytes.get(at..at + 6 + len).zip(rest.get(len))?;
            (frame.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == *sum).then_some(*version)
        })
        .collect()
}

/// The line worth showing, without anything a terminal could take for a command.
pub(super) fn telling_line(text: &str, longest: usize) -> String {
    // What a person pastes into a forum must not hold the name or the key of a network.
    let private = |line: &str| {
        let line = line.to_ascii_lowercase();
        ["ssid", "passw", "psk", "pwd", "token", "key"].iter().any(|word| line.contains(word))
    };
    let line = text.lines().map(str::trim).filter(|line| !private(line)).max_by_key(|line| line.len());
    let line = line.unwrap_or_default();
    line.chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_and_firmwares_are_named_by_their_own_words() {
        assert_eq!(beken_chip("\nV:BK7231N_1.0.1\n").as_deref(), Some("BK7231N"));
        assert_eq!(beken_chip("V:BK7231S_1.0.5").as_deref(), Some("BK7231T"));
        assert_eq!(beken_chip("V:BK7238_1.0.14").as_deref(), Some("BK7238"));
        assert_eq!(beken_chip("a log"), None);
        for (text, name) in [
            ("[01-01 00:00:00 TUYA N][lr:0x4eb2b] reset info", "Tuya"),
            ("[TUYA N][mqc_app.c] heap free", "Tuya"),
            ("Info:MAIN:Main_Init_Before_Delay", "OpenBeken"),
            ("I [      0.000] LibreTiny v1.5.1 on cb2s", "LibreTiny"),
            ("[C][wifi:400]: WiFi:", "ESPHome"),
            ("chip id=7231c\nSDK Rev: 3.0.78", "Beken SDK"),
        ] {
            assert_eq!(firmware(text), Some(name), "{text}");
        }
        for (text, name) in [
            ("== Rtl8710c IoT Platform ==", "Realtek"),
            ("Booting BL602 Chip...", "Bouffalo"),
            ("ets Jan  8 2013,rst cause:2, boot mode:(3,6)", "Espressif"),
            ("ESP-ROM:esp32c3-api1-20210207", "Espressif"),
        ] {
            assert!(other_chip(text).is_some_and(|found| found.starts_with(name)), "{text}");
        }
        assert_eq!(other_chip("ESPHome on BK7231N, not on an ESP32"), None);
    }

    #[test]
    fn frames_are_known_by_their_sum_and_the_speaker_by_the_version() {
        let of = |bytes: &[u8]| mcu_versions(bytes).into_iter().collect::<Vec<_>>();
        assert_eq!(of(&[0x99, 0x55, 0xAA, 0, 0, 0, 0, 0xFF]), [0]);
        assert!(of(&[0x99, 0x55, 0xAA, 0, 0, 0, 0, 0xFE]).is_empty());
        assert!(of(&[0x55, 0xAA, 0, 0, 0xFF, 0xFF, 0xFE]).is_empty(), "longer than what there is");
        assert_eq!(of(&[0x55, 0xAA, 3, 7, 0, 1, 0x42, 0x4C]), [3]);
    }

    #[test]
    fn a_log_is_shown_without_its_control_bytes() {
        let text = text_of(b"\x1b[31m\r\n[01-01 18:12:15 TUYA N][lr:0x40f95] boot\r\n");
        assert_eq!(telling_line(&text, 60), "[01-01 18:12:15 TUYA N][lr:0x40f95] boot");
        assert_eq!(telling_line("boot\nconnect ssid=home of somebody", 60), "boot", "no network is named");
        assert!(is_text(b"[TUYA N] boot\r\n") && !is_text(b"ab") && !is_text(&[0x80, 0xFE, 0, 0x1C, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn dots_are_one_character_and_a_word_is_not() {
        assert_eq!(one_character("......\n......"), Some('.'));
        assert_eq!(one_character("done"), None);
        assert_eq!(one_character("..."), None, "too few to say");
    }
}
