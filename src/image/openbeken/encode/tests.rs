use super::*;
use crate::image::template::Line;

const MAC_ADDRESS: [u8; 6] = [0x10, 0x20, 0x30, 0xAB, 0xCD, 0xEF];

fn wanted() -> Settings {
    let texts =
        [("wifi_ssid", "net"), ("wifi_password", "not a secret"), ("mqtt_host", "broker"), ("long_name", "plug")];
    Settings {
        texts: texts.into_iter().map(|(name, text)| (name, text.to_owned())).collect(),
        mqtt_port: Some(8883),
        flags: Some(1 << 40 | 3),
        pins: Some(vec![
            PinSetting { pin: 26, role: 1, channel: 1, channel2: None },
            PinSetting { pin: 10, role: 3, channel: 1, channel2: None },
        ]),
        start_up: Some("startDriver BL0937".to_owned()),
    }
}

#[test]
fn every_field_stands_where_the_layout_has_it() {
    let bytes = sector(&[0xFF; 4096], Family::Bk7231T, Some(MAC_ADDRESS), &wanted()).unwrap();
    assert_eq!(bytes.len(), 4096);
    let text =
        |at: usize, text: &str| assert_eq!(bytes[at..=at + text.len()], *[text.as_bytes(), &[0]].concat(), "{at:X}");
    // The table of formats.md §12, once more and by hand.
    assert_eq!(&bytes[..3], b"CFG");
    assert_eq!(bytes[4..8], [5, 0, 0, 0]);
    assert_eq!(bytes[8..16], [3, 0, 0, 0, 0, 1, 0, 0]);
    assert_eq!(bytes[0x10..0x14], [1, 0, 0, 0]);
    text(0x14, "net");
    text(0x54, "not a secret");
    text(0x94, "broker");
    text(0x194, "obk30ABCDEF");
    text(0x1D4, "homeassistant");
    text(0x214, "qqqqqqqqqq");
    assert_eq!(bytes[0x294..0x298], [0xB3, 0x22, 0, 0]);
    text(0x298, "https://openbekeniot.github.io/webapp/");
    assert_eq!(bytes[0x2D8..0x2DE], MAC_ADDRESS);
    text(0x2DE, "obk30ABCDEF");
    text(0x2FE, "plug");
    assert_eq!((bytes[0x33E + 26], bytes[0x35E + 26], bytes[0x37E + 26]), (1, 1, 0));
    assert_eq!((bytes[0x33E + 10], bytes[0x35E + 10]), (3, 1));
    assert_eq!(bytes[0x33E..0x35E].iter().filter(|role| **role != 0).count(), 2);
    text(0x478, "217.147.223.78");
    assert_eq!(bytes[0x4B8..0x4BB], [3, 10, 5]);
    // As OpenBeken 1.18.300 itself wrote them in the emulator.
    let white = [0x00, 0x00, 0x80, 0x3F];
    assert_eq!(bytes[0x53C..0x548], [white, white, white].concat());
    assert_eq!(bytes[0x548..0x554], [0xCD, 0xCC, 0x0C, 0x40, 0xCD, 0xCC, 0xCC, 0x3D, 0xCD, 0xCC, 0xCC, 0x3D]);
    text(0x554, "bekens_t");
    assert_eq!(bytes[0x597], 5);
    text(0x5A0, "192.168.0.1");
    text(0x5E0, "startDriver BL0937");
    assert_eq!(bytes[3], crc8(&bytes[4..3584]));
    assert!(bytes[3584..].iter().all(|byte| *byte == 0xFF));
}

#[test]
fn a_configuration_that_is_there_is_changed_only_where_it_is_asked() {
    let mut before = sector(&[0xFF; 4096], Family::Bk7231N, Some(MAC_ADDRESS), &wanted()).unwrap();
    // What this program does not set: calibration, a second channel, the certificate's name. And what lies behind.
    before[0x498..0x4B8].fill(7);
    before[0x37E + 26] = 9;
    before[0xCB0] = b'x';
    before[3900] = 0x55;
    before[3] = crc8(&before[4..3584]);
    assert_eq!(
        sector(&before, Family::Bk7231N, None, &Settings::default()).unwrap(),
        before,
        "nothing asked, nothing changed"
    );
    let change = Settings { mqtt_port: Some(1884), ..Settings::default() };
    let after = sector(&before, Family::Bk7231N, None, &change).unwrap();
    let differing: Vec<usize> = (0..3584).filter(|at| before[*at] != after[*at]).collect();
    assert_eq!(differing, [3, 0x10, 0x294, 0x295], "checksum, change counter and port");
}

#[test]
fn a_configuration_of_version_4_keeps_its_version_and_others_are_refused() {
    let made = |version: u32| {
        let mut bytes = sector(&[0xFF; 4096], Family::Bk7231T, None, &wanted()).unwrap();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        let len = if version <= 3 { 2016 } else { 3584 };
        bytes[3] = crc8(&bytes[4..len]);
        bytes
    };
    let change = Settings { start_up: Some("x".to_owned()), ..Settings::default() };
    assert_eq!(sector(&made(4), Family::Bk7231T, None, &change).unwrap()[4], 4);
    for version in [3, 6, 77] {
        let refused = sector(&made(version), Family::Bk7231T, None, &change);
        assert_eq!(refused, Err(EncodeError::UnknownLayout(version)));
    }
    // A damaged one is none: the firmware starts afresh as well.
    let mut damaged = made(6);
    damaged[0x100] ^= 1;
    assert_eq!(sector(&damaged, Family::Bk7231T, None, &change).unwrap()[4], 5);
    assert_eq!(sector(&[0; 16], Family::Other, None, &change), Err(EncodeError::UnknownChip));
}

#[test]
fn texts_that_do_not_fit_are_refused_without_their_value() {
    let with = |name: &'static str, text: &str| {
        let settings = Settings { texts: [(name, text.to_owned())].into(), ..Settings::default() };
        sector(&[], Family::Bk7231T, None, &settings)
    };
    assert!(with("wifi_ssid", &"n".repeat(32)).is_ok());
    assert!(with("wifi_ssid", &"n".repeat(33)).is_err());
    assert!(with("wifi_password", &"a".repeat(64)).is_ok(), "a key of 64 hex digits");
    assert!(with("wifi_password", "").is_ok(), "an open network");
    assert_eq!(with("wifi_password", "1234567"), Err(EncodeError::ShortPassword { field: "Wi-Fi password", len: 7 }));
    assert_eq!(
        with("short_name", &"n".repeat(32)),
        Err(EncodeError::TooLong { field: "short name", len: 32, most: 31 })
    );
    assert_eq!(with("mqtt_host", "a\0b"), Err(EncodeError::ControlCharacter { field: "MQTT server" }));
    let pins = Settings {
        pins: Some(vec![PinSetting { pin: 32, role: 1, channel: 0, channel2: None }]),
        ..Settings::default()
    };
    assert_eq!(
        sector(&[], Family::Bk7231T, None, &pins),
        Err(EncodeError::Pin(PinMisfit::NoSuchPin { pin: 32, chip: Family::Bk7231T }))
    );
    assert!(!format!("{:?}", wanted()).contains("not a secret"));
}

#[test]
fn the_pins_of_a_template_become_numbers() {
    let line = |pin, role, channel| Line { pin, role, channel, key: String::new(), reason: String::new() };
    let template = Template { lines: vec![line(24, "BL0937SEL", 0), line(8, "WifiLED_n", 2)], ..Template::default() };
    let expected = [
        PinSetting { pin: 24, role: 17, channel: 0, channel2: None },
        PinSetting { pin: 8, role: 9, channel: 2, channel2: None },
    ];
    assert_eq!(pins_of(&template), expected);
}
