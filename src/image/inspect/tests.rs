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
