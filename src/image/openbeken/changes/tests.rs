use proptest::prelude::*;

use super::*;
use crate::image::openbeken::crc8;
use crate::image::openbeken::encode::{self, PinSetting, Settings};

const CHIP: Family = Family::Bk7231N;
const ADDRESS: [u8; 6] = [0x10, 0x20, 0x30, 0xAB, 0xCD, 0xEF];

fn sector(texts: &[(&'static str, &str)], start_up: &str, pins: &[(u8, u8, u8)]) -> Vec<u8> {
    let settings = Settings {
        texts: texts.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
        start_up: Some(start_up.to_owned()),
        pins: Some(
            pins.iter()
                .map(|(pin, role, channel)| PinSetting { pin: *pin, role: *role, channel: *channel, channel2: None })
                .collect(),
        ),
        ..Settings::default()
    };
    encode::sector(&[0xFF; 4096], CHIP, Some(ADDRESS), &settings).unwrap()
}

fn sealed(mut sector: Vec<u8>) -> Vec<u8> {
    sector[3] = crc8(&sector[4..LEN]);
    sector
}

fn told(before: &[u8], after: &[u8]) -> Vec<String> {
    changes(before, after, CHIP).iter().map(ToString::to_string).collect()
}

#[test]
fn every_kind_of_field_is_told_in_words() {
    let base = sector(&[("long_name", "plug")], "echo 1", &[(26, 1, 1)]);
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = base.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        sealed(changed)
    };
    for (at, bytes, expected) in [
        (4, &[4][..], "version: 5 → 4"),
        (9, &[0], "flag 10 (MQTT: send the whole state on connecting): on → off"),
        (0xC, &[1], "flag 32 (light: linear brightness): off → on"),
        (0xF, &[0x80], "flag 63 (not known): off → on"),
        (0x10, &[9, 0], "change counter: 1 → 9"),
        (0x12, &[0, 1], "OTA counter: 0 → 256"),
        (0x14, b"net", "Wi-Fi name: empty → set"),
        (0x94, b"broker", "MQTT server: empty → set"),
        (0x194, b"O", "MQTT client id: set → changed"),
        (0x1D4, b"\0", "MQTT user: set → empty"),
        (0x214, b"x", "MQTT password: set → changed"),
        (0x294, &[0xB3, 0x22], "MQTT port: 1883 → 8883"),
        (0x2FE, b"slug", "name: plug → slug"),
        (0x33E + 26, &[3], "P26: Rel;1 → Btn;1"),
        (0x35E + 26, &[2], "P26: Rel;1 → Rel;2"),
        (0x37E + 26, &[2], "P26: Rel;1 → Rel;1;2"),
        (0x33E + 26, &[0], "P26: Rel;1 → none"),
        (0x33E + 8, &[200], "P8: none → 200;0"),
        (0x39E + 5, &[3], "type of channel 5: 0 → 3"),
        (0x3DE + 10, &[0xFF, 0xFF], "start value of channel 5: 0 → -1"),
        (0x498, &[0, 0, 0x80, 0x3F], "calibration of voltage: 0 → 1"),
        (0x498, &[1, 0, 0, 0], "calibration of voltage: 0 → 1e-45"),
        (0x4B9, &[15], "button, long press: 1.0 s → 1.5 s"),
        (0x4BC, &[0, 0x80, 0, 0], "LittleFS size: 0x0 → 0x8000"),
        (0x527, &[192, 168, 1, 2], "static IP address: 0.0.0.0 → 192.168.1.2"),
        (0x537, &[2, 1, 0, 3, 4], "LED order: 0 0 0 0 0 → 2 1 0 3 4"),
        (0x597, &[30], "time until a start counts as good: 5 s → 30 s"),
        (0x5E0, b"echo 1\necho 2", "start-up command: echo 1 → echo 1\\necho 2"),
        (0xC40, b"12345678", "second Wi-Fi password: empty → set"),
        (0xC84, b"admin", "web page password: empty → set"),
        (0xCA5, &[1], "MQTT over TLS: off → on"),
        (0xCBB, &[1], "web server: on → off"),
        (0xCBC, &[1, 2], "bytes without a setting: present → 2 changed"),
        (0x300 + 10, b"x", "bytes without a setting: present → 1 changed"),
        (0x35E + 3, &[7], "bytes without a setting: present → 1 changed"),
    ] {
        let told = told(&base, &with(at, bytes));
        assert_eq!(told, [expected], "0x{at:X}");
    }
}

#[test]
fn a_sector_without_a_configuration_says_so() {
    let new = sector(&[("wifi_ssid", "hunternet")], "", &[(26, 1, 1)]);
    let from_erased = told(&[0xFF; 4096], &new);
    assert_eq!(from_erased[0], "configuration: none → intact");
    for line in ["version: none → 5", "Wi-Fi name: none → set", "P26: none → Rel;1", "MQTT port: none → 1883"] {
        assert!(from_erased.contains(&line.to_owned()), "{line} in {from_erased:?}");
    }
    assert!(!from_erased.iter().any(|line| line.starts_with("second Wi-Fi name")), "what stays empty is not told");
    assert_eq!(told(&[0x55; 4096], &new)[0], "configuration: none; the sector holds other data → intact");
    assert_eq!(told(&new, &[0xFF; 4096])[0], "configuration: intact → none");
    assert!(told(&new, &[0xFF; 4096]).contains(&"P26: Rel;1 → none".to_owned()));
    let mut damaged = new.clone();
    damaged[3] ^= 1;
    assert_eq!(told(&damaged, &new), ["configuration: damaged (wrong checksum) → intact"]);
    assert!(told(&[0xFF; 4096], &[0xFF; 4096]).is_empty() && told(&new, &new).is_empty());
    assert!(told(&[], &[]).is_empty() && !told(&[], &new).is_empty());
    assert!(changes(&damaged, &new, Family::Other).is_empty(), "where such a chip keeps it is not known");
}

#[test]
fn no_secret_is_in_any_line() {
    let secrets = [
        ("wifi_ssid", "hunternet"),
        ("wifi_password", "hunter22pass"),
        ("wifi_ssid2", "hunter2nd"),
        ("wifi_password2", "hunter2ndpass"),
        ("mqtt_host", "hunter.example"),
        ("mqtt_client_id", "hunterid"),
        ("mqtt_user", "hunteruser"),
        ("mqtt_password", "hunterpass"),
        ("web_password", "hunterweb"),
    ];
    let with = sector(&secrets, "WiFiPassword hunter", &[]);
    let without = sector(&[], "echo", &[]);
    let mut other_mac = without.clone();
    other_mac[0x2DD] = 0x77;
    for (before, after) in
        [(&without, &with), (&with, &without), (&with, &vec![0xFF; 4096]), (&without, &sealed(other_mac))]
    {
        let lines = told(before, after);
        assert!(!lines.is_empty());
        for line in lines {
            assert!(!line.contains("hunter") && !line.contains("30ABCDEF"), "{line}");
        }
    }
    assert!(told(&without, &with).contains(&"start-up command: set, not shown → changed".to_owned()));
    assert!(told(&[0xFF; 4096], &without).contains(&"short name: none → obk…".to_owned()));
}

proptest! {
    #[test]
    fn no_changed_byte_is_silent(at in 4..LEN, value in any::<u8>()) {
        let base = sector(&[("long_name", "plug"), ("wifi_ssid", "net")], "echo 1", &[(26, 1, 1), (10, 3, 1)]);
        let mut changed = base.clone();
        changed[at] = value;
        prop_assert_eq!(told(&base, &sealed(changed.clone())).is_empty(), base[at] == value);
        prop_assert_eq!(told(&base, &changed).is_empty(), base[at] == value);
    }

    #[test]
    fn any_two_sectors_are_compared_without_panic(before in proptest::collection::vec(any::<u8>(), 0..4100), after in proptest::collection::vec(any::<u8>(), 0..4100), magic in any::<bool>()) {
        let mut before = before;
        if magic && before.len() > 8 {
            before[..8].copy_from_slice(b"CFG\0\x05\0\0\0");
        }
        changes(&before, &after, CHIP);
    }
}
