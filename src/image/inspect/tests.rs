use serde_json::Value;

use super::*;
use crate::image::samples;

/// Asserts that every field of `expected` is in `found`, without printing either side.
fn assert_holds(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                assert_holds(found.get(name).unwrap_or(&Value::Null), value, &format!("{place}.{name}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}: number of elements");
            for (number, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_holds(found, expected, &format!("{place}[{number}]"));
            }
        }
        _ => assert!(found == expected, "{place} differs"),
    }
}

/// What an expected result tells about a file and other tools rather than of the file: its public name and place, what
/// other programs make of it, remarks. The evidence is compared by itself, without the one that is no evidence to us.
fn told(field: &str) -> bool {
    ["file", "origin", "extractable_by", "notes", "chip_evidence"].contains(&field)
}

#[test]
fn every_sample_dump_gives_the_expected_result() {
    for sample in samples::dumps() {
        let found = serde_json::to_value(inspect_with(&sample.bytes, Secrets::Shown)).unwrap();
        for (field, expected) in sample.expected.as_object().unwrap().iter().filter(|(field, _)| !told(field)) {
            assert_holds(&found[field], expected, &format!("{}: {field}", sample.name));
        }
        // Pins and keys must be exactly these, not these among others.
        for (part, field) in [("template", "pins"), ("template_web_importer", "pins"), ("tuya", "user_param_key")] {
            assert_eq!(found[part][field], sample.expected[part][field], "{}: {part}.{field}", sample.name);
        }
        assert_eq!(found["active_levels"], sample.expected["active_levels"], "{}", sample.name);
        // File names are no evidence to us.
        let by_name = Value::from("original file name");
        let evidence = sample.expected["chip_evidence"].as_array().unwrap().iter().filter(|text| **text != by_name);
        assert_eq!(found["chip_evidence"], evidence.cloned().collect::<Value>(), "{}", sample.name);
    }
}

#[test]
fn masked_results_hold_no_secret() {
    for sample in samples::dumps() {
        let json = serde_json::to_string(&inspect(&sample.bytes)).unwrap();
        let shown = serde_json::to_value(inspect_with(&sample.bytes, Secrets::Shown)).unwrap();
        let lists = [&shown["secrets_in_live_kv"], &shown["wifi_credentials"]["kv_occurrences"]];
        let record = &shown["wifi_credentials"]["fast_connect_record"];
        let mut values: Vec<&str> = lists
            .into_iter()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .filter_map(|secret| secret["value"].as_str())
            .collect();
        values.extend([&record["ssid"], &record["password"]].into_iter().filter_map(Value::as_str));
        assert!(!values.is_empty(), "{}", sample.name);
        for (number, value) in values.into_iter().enumerate().filter(|(_, value)| value.len() > 4) {
            assert!(!json.contains(value), "{}: secret {number} shows", sample.name);
        }
    }
}

#[test]
fn factory_dumps_are_intact() {
    for sample in samples::dumps() {
        let found = inspect(&sample.bytes);
        let expected: &[&str] = match sample.name.as_str() {
            "led-moon-cct-rotated-t" => &[Finding::ROTATED],
            "arlec-razer-strip-tuyaos3-n" => &[Finding::NO_HEADER],
            _ => &[],
        };
        let codes: Vec<&str> = found.problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, expected, "{}: {:?}", sample.name, found.problems);
        assert_eq!(found.verdict, Verdict::Proven, "{}", sample.name);
    }
}

#[test]
fn the_mac_address_never_appears() {
    for sample in samples::dumps() {
        let kind = kind::recognise(&sample.bytes);
        let flash = kind::in_flash_order(&sample.bytes, kind);
        let families = [Family::Bk7231T, Family::Bk7231N];
        let block = families.iter().find_map(|family| rf::find(&flash, family.rf_block()?.start));
        let Some(mac) = block.and_then(|block| block.mac) else { continue };
        let json = serde_json::to_string(&inspect(&sample.bytes)).unwrap().to_lowercase();
        for separator in ["", ":", "-", " "] {
            let text: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!json.contains(&text.join(separator)), "{}", sample.name);
        }
    }
}

fn more(name: &str) -> Option<Vec<u8>> {
    let path = samples::folder("dumps-more").join(name);
    let found = std::fs::read(&path).ok();
    if found.is_none() {
        eprintln!("SKIPPED: no {}; set BKBENCH_SAMPLES", path.display());
    }
    found
}

#[test]
fn a_configured_module_shows_its_pins_flags_and_command_and_no_secret() {
    let Some(bytes) = more("openbeken-configured-bl0942-t.bin") else { return };
    let found = inspect(&bytes);
    let config = found.openbeken_config.as_ref().expect("a configuration");
    let (text, json) = (found.text(), serde_json::to_value(&found).unwrap());
    let command = config["start_up_command"].as_str().unwrap();
    assert!(!command.is_empty() && text.contains(command.lines().next().unwrap()), "the start-up command shows");
    for pin in config["pins"].as_array().unwrap() {
        let shown = format!("P{} {};{}", pin["pin"], pin["role"].as_str().unwrap(), pin["channel"]);
        assert!(text.contains(&shown), "{shown} in:\n{text}");
    }
    let flags = config["flags"].as_u64().unwrap();
    for flag in (0..64).filter(|flag| flags >> flag & 1 == 1) {
        assert!(text.contains(&format!("flag {flag}: ")), "{flag} in:\n{text}");
    }
    assert!(text.contains("--mapping configured"), "{text}");
    assert_eq!(json["openbeken_config"]["flags"], config["flags"]);
    // What the owner typed does not show, in neither form.
    let shown = inspect_with(&bytes, Secrets::Shown).openbeken_config.unwrap();
    for name in
        ["wifi_ssid", "wifi_password", "wifi_ssid2", "wifi_password2", "web_password", "mqtt_host", "mqtt_password"]
    {
        let value = shown[name].as_str().unwrap_or_default();
        if value.len() > 4 {
            assert!(!text.contains(value) && !json.to_string().contains(value), "{name} shows");
        }
    }
    let password = ["wifi_password", "wifi_password2"]
        .iter()
        .any(|name| shown[*name].as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(found.wifi_credentials_present, password);
    assert_eq!(text.contains("secrets"), shown["mqtt_password"] != "" || password, "{text}");
    assert!(found.openbeken.is_some(), "its development build has a name");
}

#[test]
fn other_chips_have_no_partitions_made_of_log_text_and_no_missing_header() {
    let Ok(entries) = std::fs::read_dir(samples::folder("firmware-more")) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let found = inspect(&std::fs::read(&path).unwrap());
        let partitions =
            found.firmware.iter().filter_map(|inside| inside.bootloader.as_ref()).flat_map(|found| &found.partitions);
        for partition in partitions {
            assert!(
                ["bootloader", "app", "download"].contains(&partition.name.as_str()),
                "{}: {partition:?}",
                path.display()
            );
        }
        let codes: Vec<&str> = found.problems.iter().map(|problem| problem.code).collect();
        assert!(!codes.contains(&Finding::NO_HEADER), "{}: {:?}", path.display(), found.problems);
    }
}

#[test]
fn a_flash_read_twice_or_without_its_boot_loader_is_named() {
    let Some(sample) = samples::dump("lspa9-clone-first-n") else { return };
    let codes = |bytes: &[u8]| inspect(bytes).problems.into_iter().map(|problem| problem.code).collect::<Vec<_>>();
    let whole = inspect(&sample.bytes);
    let twice = [&sample.bytes[..], &sample.bytes[..]].concat();
    assert_eq!(codes(&twice), [Finding::REPEATED]);
    let rest = inspect(&sample.bytes[0x11000..]);
    assert_eq!(rest.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [Finding::FROM_APPLICATION]);
    assert_eq!((rest.kind, rest.chip, rest.verdict), (Kind::FromApplication, whole.chip, Verdict::Proven));
    assert_eq!(rest.template_recommended, whole.template_recommended);
    let store = |inspection: &Inspection| inspection.tuya.as_ref().unwrap().storage_flash_offset;
    assert_eq!(store(&rest), store(&whole));
    let shifted: Vec<_> =
        whole.regions.iter().skip(1).map(|region| (region.name.clone(), region.span.start - 0x11000)).collect();
    assert_eq!(rest.regions.iter().map(|region| (region.name.clone(), region.span.start)).collect::<Vec<_>>(), shifted);
}

#[test]
fn a_part_of_a_dump_is_called_so_and_its_pins_are_those_of_the_whole() {
    let Some(sample) = samples::dump("lspa9-clone-first-n") else { return };
    let whole = inspect(&sample.bytes);
    for start in [0x1E_0000, 0x1E_D800] {
        let part = inspect(&sample.bytes[start..]);
        assert_eq!((part.kind, &part.problems[..]), (Kind::Part, &[][..]), "{start:#X}");
        let pins = |inspection: &Inspection| inspection.template_recommended.as_ref().unwrap().pins();
        assert_eq!(pins(&part), pins(&whole), "{start:#X}");
    }
}

#[test]
fn pins_are_read_from_whatever_text_has_them() {
    for (text, kind) in [
        ("{rl1_pin:26,rl1_lv:1,bt1_pin:10,bt1_lv:0,module:WB2S,crc:104,}", Kind::PinText),
        (r#"{"rl1_pin": 26, "rl1_lv": 1, "bt1_pin": 10, "bt1_lv": 0, "module": "WB2S"}"#, Kind::PinText),
        (
            r#"{"device_configuration": {"rl1_pin": 26, "rl1_lv": 1, "bt1_pin": 10, "bt1_lv": 0, "module": "WB2S"}}"#,
            Kind::DeviceJson,
        ),
    ] {
        let found = inspect(text.as_bytes());
        assert_eq!((found.kind, found.problems.len(), found.chip), (kind, 0, Some(Family::Bk7231T)), "{text}");
        let pins = found.template_recommended.expect("a template").pins();
        assert_eq!(serde_json::to_string(&pins).unwrap(), r#"{"10":"Btn;1","26":"Rel;1"}"#, "{text}");
    }
    let template =
        inspect(br#"{"chip": "BK7231N", "board": "CB2S", "pins": {"26": "Rel;1"}, "command": "startDriver NTP"}"#);
    assert_eq!((template.kind, template.choices()), (Kind::Template, vec![Choice::Given]));
    let given = template.template_given.unwrap();
    assert_eq!((given.lines[0].value().as_str(), given.command().as_str()), ("Rel;1", "startDriver NTP"));
    let package = inspect(&[&kind::UF2_MAGIC[..], &[0; 504]].concat());
    assert_eq!((package.kind, package.problems[0].code), (Kind::Uf2, Finding::UF2));
}
