use proptest::prelude::*;

use super::*;
use crate::image::openbeken::encode::PinSetting;
use crate::image::openbeken::provisioning::{Passwords, ProvisioningFile};
use crate::problem::Explain;

const CHIP: Family = Family::Bk7231T;
const MAC: Option<[u8; 6]> = Some([0x10, 0x20, 0x30, 0xAB, 0xCD, 0xEF]);
const ERASED: [u8; 4096] = [0xFF; 4096];

/// A file of a provisioning, with its passwords in it.
fn wanted(text: &str) -> Provisioning {
    let file = ProvisioningFile::parse(text.as_bytes()).unwrap();
    let wifi = file.wifi.as_ref().and_then(|wifi| wifi.password.clone());
    let mqtt = file.mqtt.as_ref().and_then(|mqtt| mqtt.password.clone());
    file.resolve(&Passwords { wifi, wifi2: None, mqtt }, None).unwrap()
}

/// A dump that holds nothing but a pin map.
fn factory(pins: &str) -> Vec<u8> {
    let mut dump = vec![0; 0x4000];
    dump[0x1000..0x1000 + pins.len()].copy_from_slice(pins.as_bytes());
    dump
}

fn plug() -> Vec<u8> {
    factory("{rl1_pin:26,rl1_lv:1,bt1_pin:10,bt1_lv:0,ele_pin:7,sel_pin_pin:24,vi_pin:6,sel_pin_lv:1,module:WB2S}")
}

fn made(base: &[u8], text: &str, factory: Option<&[u8]>) -> Configured {
    sector(base, CHIP, MAC, &wanted(text), factory).unwrap()
}

fn read(sector: &[u8]) -> Config {
    Config::read(sector, 0).filter(|config| config.good).unwrap()
}

fn pins_of(sector: &[u8]) -> Vec<String> {
    read(sector).pins().iter().map(|pin| format!("P{} {};{}", pin.pin, pin.role, pin.channel)).collect()
}

const FACTORY_PINS: [&str; 5] = ["P6 BL0937CF1;0", "P7 BL0937CF;0", "P10 Btn;1", "P24 BL0937SEL;0", "P26 Rel;1"];

#[test]
fn a_new_configuration_takes_pins_and_command_of_the_factory_firmware() {
    let new = made(&ERASED, "name = \"plug\"", Some(&plug()));
    assert_eq!(pins_of(&new.sector), FACTORY_PINS);
    assert_eq!(read(&new.sector).start_up(), "startDriver BL0937");
    assert!(!new.replaced_damaged);
    assert!(new.reasons.iter().any(|reason| reason.contains("rl1_pin: relay 1")), "{:?}", new.reasons);
    let names = "short name, MQTT client id: OpenBeken's default, made from the MAC address";
    assert!(new.reasons.iter().any(|reason| reason == names), "{:?}", new.reasons);
    let without = made(&ERASED, "name = \"plug\"", None);
    assert_eq!(pins_of(&without.sector), [""; 0]);
}

#[test]
fn what_the_file_omits_stays_as_it_is() {
    let first = "name = \"one\"\ncommand = \"echo mine\"\n[pins]\n8 = \"WifiLED_n\"\n11 = \"Rel;5\"";
    let base = made(&ERASED, first, None).sector;
    let kept = ["P8 WifiLED_n;0", "P11 Rel;5"];
    for (file, pins, command) in [
        ("name = \"two\"", &kept[..], "echo mine"),
        ("short_name = \"two\"", &kept, "echo mine"),
        ("command = \"echo other\"", &kept, "echo other"),
        ("command = \"\"", &kept, ""),
        ("flags = 3", &kept, "echo mine"),
        ("[mqtt]\nhost = \"broker\"", &kept, "echo mine"),
        ("pins = \"factory\"", &FACTORY_PINS, "startDriver BL0937"),
        ("pins = \"factory\"\ncommand = \"echo\"", &FACTORY_PINS, "echo"),
        ("[pins]\n26 = \"Rel;1\"", &["P26 Rel;1"], "echo mine"),
    ] {
        let after = made(&base, file, Some(&plug())).sector;
        assert_eq!(pins_of(&after), pins, "{file}");
        assert_eq!(read(&after).start_up(), command, "{file}");
    }
    // A configuration without pins stays without, and is told how to get some.
    let empty = made(&ERASED, "name = \"one\"", None).sector;
    let again = made(&empty, "name = \"two\"", Some(&plug()));
    assert_eq!(pins_of(&again.sector), [""; 0]);
    assert!(again.reasons[0].contains("pins = \"factory\""), "{:?}", again.reasons);
}

#[test]
fn a_short_name_alone_changes_nothing_but_the_short_name() {
    let base = made(&ERASED, "[mqtt]\nclient_id = \"mine\"", None).sector;
    let after = made(&base, "short_name = \"kplug\"", None);
    let fields: Vec<&str> = after.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["change counter", "short name"]);
}

#[test]
fn the_same_again_changes_no_byte() {
    let files = [
        "name = \"one\"\nshort_name = \"s\"\nflags = 1024\ncommand = \"a\\nb\"\n[wifi]\nssid = \"net\"\npassword = \"12345678\"\n[pins]\n26 = \"Rel;1;2\"\n10 = \"Btn;1\"",
        "pins = \"factory\"",
        "[mqtt]\nhost = \"h\"\nport = 1884\nuser = \"u\"\nclient_id = \"c\"\ngroup = \"g\"\npassword = \"p\"",
    ];
    for file in files {
        let once = made(&ERASED, file, Some(&plug())).sector;
        let twice = made(&once, file, Some(&plug()));
        assert!(twice.sector == once && twice.changes.is_empty(), "{file}");
    }
    // Remains of a longer text behind the NUL, as OpenBeken leaves them, and channels of a pin without a role.
    let mut odd = made(&ERASED, files[0], None).sector;
    odd[0x2FE + 8..0x2FE + 12].copy_from_slice(b"rest");
    odd[0x35E + 3] = 9;
    odd[3900] = 0x55;
    odd[3] = super::super::crc8(&odd[4..3584]);
    assert!(made(&odd, files[0], None).sector == odd);
    let changed = made(&odd, "name = \"other\"", None).sector;
    assert_eq!(changed[3900], 0x55, "what stands behind the configuration stays");
}

#[test]
fn a_damaged_configuration_is_replaced_and_that_is_said() {
    let mut base = made(&ERASED, "name = \"one\"\ncommand = \"echo\"\n[pins]\n8 = \"LED;1\"", None).sector;
    base[0x300] ^= 1;
    let after = made(&base, "short_name = \"two\"", Some(&plug()));
    assert!(after.replaced_damaged);
    assert!(after.reasons[0].contains("damaged"), "{:?}", after.reasons);
    assert_eq!(pins_of(&after.sector), FACTORY_PINS, "as on a module without a configuration");
    let told: Vec<String> = after.changes.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "configuration: damaged (wrong checksum) → intact");
    assert!(told.contains(&"P8: LED;1 → none".to_owned()), "{told:?}");
    assert!(!made(&ERASED, "", None).replaced_damaged);
    assert!(!made(&[0x55; 4096], "", None).replaced_damaged, "other data is not a configuration");
}

#[test]
fn what_the_chip_or_openbeken_does_not_have_is_refused_with_the_reason() {
    for (file, why) in [
        ("[pins]\n10 = \"PWM;1\"", "P10 cannot be PWM: on BK7231T only P6, P7, P8, P9, P24, P26 have PWM"),
        ("[pins]\n20 = \"PWM_n;1\"", "P20 cannot be PWM_n"),
        ("[pins]\n26 = \"BAT_ADC;1\"", "P26 cannot be BAT_ADC: on BK7231T only P2, P3, P4, P5, P12, P13, P23"),
        ("[pins]\n29 = \"Rel;1\"", "P29 does not exist: BK7231T has P0 to P28"),
        ("[pins]\n255 = \"Rel;1\"", "P255 does not exist"),
        ("[pins]\n26 = \"Rel;64\"", "P26: channel 64 does not exist, channels are 0 to 63"),
        ("[pins]\n26 = \"Btn;1;200\"", "P26: channel 200 does not exist"),
        ("[mqtt]\nport = 0", "the MQTT port is 0"),
        ("[mqtt]\nclient_id = \"\"", "MQTT client id is empty"),
        ("short_name = \"\"", "short name is empty"),
        ("name = \"\"", ": name is empty"),
        ("name = \"a\\nb\"", ": name holds a control character"),
        ("command = \"a\\u0007b\"", "start-up command holds a control character"),
        ("name = \"台所のスイッチ台所のスイッチ台所のスイッチ台\"", ": name has 66 bytes, and 63 bytes fit"),
        ("short_name = \"台所のスイッチ台所のス\"", "short name has 33 bytes, and 31 bytes fit"),
        ("[wifi]\nssid = \"ččččččččččččččččč\"\npassword = \"\"", "Wi-Fi name has 34 bytes, and 32 bytes fit"),
        ("[wifi]\nssid = \"a\"\npassword = \"čč\"", "Wi-Fi password has 4 bytes; a Wi-Fi password has 8 to 63 bytes"),
        ("pins = \"factory\"", "pins = \"factory\": there is no backup"),
    ] {
        let refused = sector(&ERASED, CHIP, MAC, &wanted(file), None).err();
        let refused = refused.unwrap_or_else(|| panic!("{file} was accepted")).explain().what;
        assert!(refused.contains(why), "{file}: {refused}");
    }
    let none = sector(&ERASED, CHIP, MAC, &wanted("pins = \"factory\""), Some(&[0; 4096])).err().unwrap();
    assert_eq!((none.explain().code, none.explain().class), ("E150", crate::problem::Class::Usage));
    assert!(none.to_string().contains("the backup holds no pin map"));
}

#[test]
fn analogue_inputs_are_those_of_the_chip() {
    let battery = wanted("[pins]\n26 = \"BAT_ADC;1\"");
    assert!(sector(&ERASED, Family::Bk7231T, MAC, &battery, None).is_err());
    assert!(sector(&ERASED, Family::Bk7231N, MAC, &battery, None).is_ok());
    assert!(battery.check().is_ok(), "the chip is not known yet");
    assert!(wanted("[pins]\n10 = \"PWM;1\"").check().is_err());
}

#[test]
fn where_another_chip_keeps_its_configuration_is_not_known() {
    let base = made(&ERASED, "", None).sector;
    for base in [&ERASED[..], &base] {
        let refused = sector(base, Family::Other, MAC, &wanted("name = \"x\""), None).err();
        assert_eq!(refused, Some(EncodeError::UnknownChip));
    }
}

#[test]
fn a_pin_of_the_factory_firmware_that_cannot_be_is_omitted_with_a_note() {
    let lamp = factory("{r_pin:20,r_lv:1,g_pin:24,g_lv:1,b_pin:26,b_lv:1,c_pin:6,c_lv:1,w_pin:8,w_lv:1,module:WB3L}");
    let new = made(&ERASED, "", Some(&lamp));
    assert!(!pins_of(&new.sector).iter().any(|pin| pin.starts_with("P20 ")), "{:?}", pins_of(&new.sector));
    assert_eq!(pins_of(&new.sector).len(), 4);
    assert!(new.reasons.iter().any(|reason| reason.contains("P20 cannot be PWM")), "{:?}", new.reasons);
}

/// Names, commands and passwords as people have them.
const TEXTS: [(&str, &str); 6] = [
    ("Kuchyňský vypínač – přízemí", "příkaz"),
    ("台所のスイッチ", "ネット"),
    ("🍳 kitchen 👩‍🍳", "🛜"),
    ("Żółć ẞ ñ", "Ωμέγα"),
    ("plain", "plain"),
    ("a\"b\\c'd", "<&>%s%n"),
];

#[test]
fn texts_are_written_and_read_back_byte_for_byte() {
    let command = "startDriver BL0937\r\nbacklog setChannel 1 1; echo přízemí 🍳\naddRepeatingEvent 5 -1 echo\t台所";
    let password = "př8 heslo 台所🍳 0123456789012345678901234567890123456789";
    let password = &format!("{password}{}", "x".repeat(63 - password.len()));
    assert_eq!(password.len(), 63);
    for chip in [Family::Bk7231T, Family::Bk7231N] {
        for (name, network) in TEXTS {
            let file = ProvisioningFile {
                name: Some(name.to_owned()),
                short_name: Some("台所".to_owned()),
                command: Some(command.to_owned()),
                wifi: Some(super::super::provisioning::Wifi {
                    ssid: network.to_owned(),
                    password: None,
                    password_file: None,
                }),
                ..ProvisioningFile::default()
            };
            let passwords = Passwords { wifi: Some(password.clone()), ..Passwords::default() };
            let wanted = file.resolve(&passwords, None).unwrap();
            let sector = sector(&ERASED, chip, MAC, &wanted, None).unwrap().sector;
            let shown = read(&sector).inside(true);
            for (field, text) in [
                ("long_name", name),
                ("wifi_ssid", network),
                ("wifi_password", password.as_str()),
                ("start_up_command", command),
            ] {
                assert_eq!(shown[field], text);
            }
            // By hand, from the layout of formats.md §12.
            for (at, text) in [(0x2FE, name), (0x14, network), (0x54, password), (0x5E0, command)] {
                assert_eq!(sector[at..=at + text.len()], *[text.as_bytes(), &[0]].concat(), "{at:X}");
            }
        }
    }
}

#[test]
fn a_factory_template_is_the_one_that_inspect_shows() {
    let dump = plug();
    let shown = crate::image::inspect::inspect(&dump).template_recommended.unwrap();
    assert_eq!(factory_template(&dump, CHIP).unwrap().pins(), shown.pins());
}

proptest! {
    #[test]
    fn any_name_that_fits_is_read_back_and_the_same_again_changes_nothing(name in "[^\\p{Cc}]{1,15}", pin in 0..29_u8, role in 1..99_u8) {
        let mut settings = Settings::default();
        settings.texts.insert("long_name", name.clone());
        settings.pins = Some(vec![PinSetting { pin, role, channel: 3, channel2: Some(4) }]);
        let wanted = Provisioning { settings, pins: PinSource::File, files: Vec::new() };
        if let Ok(first) = sector(&ERASED, CHIP, MAC, &wanted, None) {
            let shown = read(&first.sector).inside(true);
            prop_assert_eq!(shown["long_name"].as_str(), Some(name.as_str()));
            let again = sector(&first.sector, CHIP, MAC, &wanted, None).unwrap();
            prop_assert!(again.sector == first.sector);
        } else {
            prop_assert!(limits::check(CHIP, pin, role, [3, 4]).is_err());
        }
    }
}
