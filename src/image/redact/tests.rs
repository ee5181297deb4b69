use std::collections::BTreeSet;

use proptest::strategy::{Strategy, ValueTree};
use serde_json::Value;

use super::*;
use crate::image::bytes::sha256_hex;
use crate::image::inspect::{Secrets, inspect, inspect_with};
use crate::image::samples::{self, Sample};

/// Length and hash of every credential the expected results know of.
fn hashed(sample: &Sample) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    let mut add = |length: &Value, hash: &Value| {
        if let (Some(length), Some(hash)) = (length.as_u64(), hash.as_str()) {
            found.insert((length as usize, hash.to_owned()));
        }
    };
    let expected = &sample.expected;
    for secret in expected["secrets_in_live_kv"].as_array().into_iter().flatten() {
        add(&secret["length"], &secret["sha256"]);
    }
    let credentials = &expected["wifi_credentials"];
    for occurrence in credentials["kv_occurrences"].as_array().into_iter().flatten() {
        add(&occurrence["length"], &occurrence["sha256"]);
    }
    let record = &credentials["fast_connect_record"];
    add(&record["ssid_length"], &record["ssid_sha256"]);
    add(&record["password_length"], &record["password_sha256"]);
    found
}

/// The credentials themselves, as the original shows them on request; never printed.
fn values(original: &[u8]) -> Vec<Vec<u8>> {
    let shown = serde_json::to_value(inspect_with(original, Secrets::Shown)).unwrap();
    let lists = [&shown["secrets_in_live_kv"], &shown["wifi_credentials"]["kv_occurrences"]];
    let record = &shown["wifi_credentials"]["fast_connect_record"];
    let texts = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten()).map(|secret| &secret["value"]);
    let texts = texts.chain([&record["ssid"], &record["password"]]).filter_map(Value::as_str);
    texts.map(|text| text.as_bytes().to_vec()).filter(|text| text.len() > 4).collect()
}

/// Everything in a file that is encrypted, decrypted.
fn decrypted(bytes: &[u8]) -> Vec<Vec<u8>> {
    let tuya = tuya::read(bytes, kind::recognise(bytes), None);
    let mut views: Vec<Vec<u8>> = Vec::new();
    if let Some(store) = &tuya.store {
        views.push(store.blocks.iter().flat_map(|block| block.plain.clone()).collect());
        views.extend(store.entries.iter().map(|entry| entry.value.clone()));
    }
    views.extend(tuya.protected.iter().map(|block| block.plain.clone()));
    for address in [0x1E_2000, 0x1D_1000] {
        if let Some(start) = tuya.map.offset(address) {
            let sector = cut(bytes, start, start + 0x1000);
            views.push(fast_connect::masked(sector, 0));
            views.push(sector.to_vec());
        }
    }
    views
}

/// The decrypted application.
fn application(bytes: &[u8]) -> Option<Vec<u8>> {
    let flash = kind::in_flash_order(bytes, kind::recognise(bytes));
    let container = crate::image::app::container(&flash, 0x1_1000);
    let key = crate::image::code::key_of(container, crate::image::code::APP_LOGICAL)?;
    Some(crate::image::app::decrypted(container, key))
}

/// A value in every way that a file may hold it, made here and not by what is tested.
fn written(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> = value.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    // Whole groups of six bits only: what stands behind may be padding or more text.
    let base64 = bits.chunks_exact(6).map(|six| DIGITS[six.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit))]);
    let hex = |upper: bool| {
        let digits = value.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>().into_bytes()
    };
    vec![
        ("plain text", value.to_vec()),
        ("UTF-16, low byte first", value.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16, high byte first", value.iter().flat_map(|byte| [0, *byte]).collect()),
        ("Base64", base64.collect()),
        ("hex", hex(false)),
        ("hex in capitals", hex(true)),
    ]
}

/// Whether a text with one of the hashes stands anywhere in `view`. Texts are printable, so most places are skipped.
fn holds_hash(view: &[u8], wanted: &BTreeSet<(usize, String)>) -> bool {
    let printable: Vec<bool> = view.iter().map(|byte| (0x20..0x7F).contains(byte) && *byte != BLANK).collect();
    let lengths: BTreeSet<usize> = wanted.iter().map(|(length, _)| *length).filter(|length| *length > 0).collect();
    lengths.into_iter().any(|length| {
        (0..view.len().saturating_sub(length - 1)).any(|at| {
            let all = printable[at..at + length].iter().all(|printable| *printable);
            all && wanted.contains(&(length, sha256_hex(&view[at..at + length])))
        })
    })
}

#[test]
fn no_hashed_credential_is_left_in_any_sample_raw_or_decrypted() {
    for sample in samples::dumps() {
        let wanted = hashed(&sample);
        assert!(!wanted.is_empty(), "{}", sample.name);
        let before = decrypted(&sample.bytes).iter().any(|view| holds_hash(view, &wanted));
        assert!(before, "{}: the search finds nothing in the original either", sample.name);
        let (result, report) = redact(&sample.bytes, Options::default());
        assert_eq!(result.len(), sample.bytes.len(), "{}", sample.name);
        for (number, view) in decrypted(&result).iter().enumerate() {
            assert!(!holds_hash(view, &wanted), "{}: a credential is left in view {number}", sample.name);
        }
        let data = cut(&result, if result.len() > 0x12_A000 { 0x12_A000 } else { 0 }, result.len());
        assert!(!holds_hash(data, &wanted), "{}: a credential is left in the open", sample.name);
        let mut views = decrypted(&result);
        views.extend(application(&result));
        views.push(result);
        for (number, value) in values(&sample.bytes).into_iter().enumerate() {
            for (way, form) in written(&value) {
                let left = views.iter().any(|view| memmem::find(view, &form).is_some());
                assert!(!left, "{}: credential {number} is left in {way}", sample.name);
            }
        }
        assert!(report.proof.holds(), "{}: {:?}", sample.name, report.proof.left);
        assert!(report.proof.values > 0 && !report.removed.is_empty(), "{}", sample.name);
    }
}

#[test]
fn the_copy_still_inspects_to_the_same_pins_keys_chip_and_template() {
    for sample in samples::dumps() {
        let (result, _) = redact(&sample.bytes, Options::default());
        let [before, after] = [&sample.bytes, &result].map(|bytes| serde_json::to_value(inspect(bytes)).unwrap());
        let same = ["chip", "verdict", "template", "template_web_importer", "template_recommended", "active_levels"];
        for field in same.into_iter().chain(["kind", "rotation", "regions", "problems"]) {
            if field == "regions" && before[field].as_array().unwrap().len() != after[field].as_array().unwrap().len() {
                // The sector of the fast-connect record is empty now.
                continue;
            }
            if field != "regions" {
                assert_eq!(before[field], after[field], "{}: {field}", sample.name);
            }
        }
        for field in ["keys", "data_blocks", "bad_blocks", "user_param_key", "device_info", "file_area", "uart"] {
            assert!(before["tuya"][field] == after["tuya"][field], "{}: tuya.{field} differs", sample.name);
        }
        assert_eq!(after["wifi_credentials_present"], false, "{}", sample.name);
        assert_eq!(after["secrets_in_live_kv"], serde_json::json!([]), "{}", sample.name);
        assert_eq!(after["firmware"]["rf_tlv"]["mac_sha256"], Value::Null, "{}", sample.name);
        assert_eq!(before["firmware"]["app"], after["firmware"]["app"], "{}", sample.name);
    }
}

#[test]
fn a_redacted_copy_has_nothing_left_to_redact() {
    for sample in samples::dumps() {
        let (once, _) = redact(&sample.bytes, Options::default());
        let (twice, report) = redact(&once, Options::default());
        assert_eq!(report.removed, [], "{}", sample.name);
        assert!(once == twice, "{}", sample.name);
    }
}

#[test]
fn the_report_names_kinds_and_places_but_no_value() {
    let Some(sample) = samples::dump("feconn-mr16-rgbcct-n") else { return };
    let (_, report) = redact(&sample.bytes, Options::default());
    let kinds: BTreeSet<&str> = report.removed.iter().map(|removed| removed.kind.as_str()).collect();
    for kind in [
        "MAC address",
        "network parameters and fast-connect record",
        "store: gw_wsm",
        "store: gw_ai",
        "store: ble_beaconkey",
        "deleted or replaced values of the store",
        "protected block: gw_bi",
        "log file log_seq_stat",
    ] {
        assert!(kinds.contains(kind), "{kind} is missing in {kinds:?}");
    }
    let text = serde_json::to_string(&report).unwrap();
    for (number, value) in values(&sample.bytes).into_iter().enumerate() {
        assert!(!text.contains(&*String::from_utf8_lossy(&value)), "value {number} shows in the report");
    }
}

#[test]
fn openbeken_secrets_go_and_the_rest_of_the_configuration_stays() {
    let mut flash = vec![0xFF; 0x20_0000];
    flash[0x1E_0000..0x1E_0008].copy_from_slice(b"TLV\0\xE0\x01\0\0");
    let mut config = vec![0; 0xE00];
    config[..3].copy_from_slice(b"CFG");
    config[4] = 5;
    config[0x14..0x1E].copy_from_slice(b"NameOfANet");
    config[0x54..0x5E].copy_from_slice(b"ItsPass123");
    config[0x33E + 26] = 1;
    config[0x5E0..0x5F2].copy_from_slice(b"startDriver BL0937");
    config[3] = openbeken::crc8(&config[4..]);
    flash[0x1E_1000..0x1E_1E00].copy_from_slice(&config);
    // A copy far away, in UTF-16.
    let copy: Vec<u8> = b"ItsPass123".iter().flat_map(|byte| [*byte, 0]).collect();
    flash[0x1A_0000..0x1A_0014].copy_from_slice(&copy);
    flash[0x1E_5004..0x1E_5008].copy_from_slice(b"EF40");
    flash[0x1E_5100..0x1E_5104].copy_from_slice(&16_u32.to_le_bytes());
    flash[0x1E_5104..0x1E_510A].copy_from_slice(b"fcdata");
    flash[0x1E_510A..0x1E_511A].copy_from_slice(b"0123456789abcdef");

    let (result, report) = redact(&flash, Options::default());
    let config = openbeken::Config::read(&result[0x1E_1000..], 0).unwrap();
    assert!(config.good);
    assert_eq!((config.pins().len(), config.start_up().as_str()), (1, "startDriver BL0937"));
    assert_eq!(memmem::find(&result, b"ItsPass123"), None);
    assert_eq!(memmem::find(&result, &copy), None);
    assert_eq!(memmem::find(&result, b"0123456789abcdef"), None);
    assert!(report.notes.iter().any(|note| note.contains("start-up command was kept")));
    assert!(report.proof.holds());
    let (result, _) = redact(&flash, Options { start_up_command: true });
    assert_eq!(openbeken::Config::read(&result[0x1E_1000..], 0).unwrap().start_up(), "");
}

#[test]
fn cut_and_damaged_samples_are_redacted_without_panic_and_proven() {
    let samples = samples::dumps();
    if samples.is_empty() {
        return;
    }
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let index = proptest::arbitrary::any::<proptest::sample::Index>;
    let strategy = (0..samples.len(), index(), proptest::collection::vec((index(), 0..8_u8), 0..12));
    for round in 0..samples::cases(10, 200) {
        let (number, len, flips) = strategy.new_tree(&mut runner).unwrap().current();
        let sample = &samples[number];
        let mut bytes = sample.bytes.clone();
        // Most of the interesting bytes are in the upper part.
        let tail = bytes.len().saturating_sub(0x3_0000);
        for (at, bit) in flips {
            let at = tail + at.index(bytes.len() - tail);
            bytes[at] ^= 1 << bit;
        }
        if round % 2 == 0 {
            bytes.truncate(tail + len.index(bytes.len() - tail));
        }
        let (result, report) = redact(&bytes, Options::default());
        assert_eq!(result.len(), bytes.len());
        assert!(report.proof.holds(), "{}, round {round}: {:?}", sample.name, report.proof.left);
        for view in decrypted(&result) {
            assert!(!holds_hash(&view, &hashed(sample)), "{}, round {round}", sample.name);
        }
    }
}

/// Writes another text of the same length over a field of a value of the store, and puts every checksum right.
fn overwrite(bytes: &mut [u8], (name, field): (&str, &[u8]), text: &[u8]) {
    let store = tuya::read(bytes, kind::recognise(bytes), None).store.expect("a store");
    let entry = store.value(name).expect("the value");
    let texts = secrets::json_texts(&entry.value);
    let place = texts.iter().find(|text| entry.value[text.name.clone()] == *field).expect("the field").text.clone();
    assert_eq!(place.len(), text.len(), "the field keeps its length");
    let mut value = entry.value.clone();
    value[place].copy_from_slice(text);
    let mut pieces = vec![(entry.index, tuya::cipher::sum(&value).to_le_bytes().to_vec())];
    let mut done = 0;
    for place in &entry.places {
        pieces.push((place.start as usize, value[done..done + place.len as usize].to_vec()));
        done += place.len as usize;
    }
    for block in &store.blocks {
        let mut plain = block.plain.clone();
        for (offset, piece) in &pieces {
            if let Some(at) = offset.checked_sub(block.offset).filter(|at| at + piece.len() <= plain.len()) {
                plain[at..at + piece.len()].copy_from_slice(piece);
            }
        }
        let sum = tuya::cipher::sector_sum(&plain).to_le_bytes();
        plain[4..8].copy_from_slice(&sum);
        let sealed = tuya::cipher::encrypt(&store.data_key(), &plain);
        bytes[block.offset..block.offset + sealed.len()].copy_from_slice(&sealed);
    }
}

#[test]
fn a_product_key_that_the_factory_wrote_into_a_field_of_its_own_is_no_secret() {
    let Some(mut sample) = samples::dump("lspa9-clone-first-n") else { return };
    let shown = serde_json::to_value(inspect_with(&sample.bytes, Secrets::Shown)).unwrap();
    let secret = |path: &str| {
        let mut all = shown["secrets_in_live_kv"].as_array().unwrap().iter();
        all.find(|secret| secret["path"] == path).and_then(|secret| secret["value"].as_str()).unwrap().to_owned()
    };
    let factory = secret("gw_bi.fac_pin");
    overwrite(&mut sample.bytes, ("gw_di", b"pk"), factory.as_bytes());
    let (copy, report) = redact(&sample.bytes, Options::default());
    assert!(report.proof.holds(), "{:?}", report.proof.left);
    let (after, before) = (inspect(&copy), inspect(&sample.bytes));
    assert!(after.secrets_in_live_kv.is_empty() && !before.secrets_in_live_kv.is_empty());
    let key = |inspection: &crate::image::inspect::Inspection| inspection.tuya.as_ref().unwrap().device_info.clone();
    assert!(key(&after).unwrap()["pk"] == key(&before).unwrap()["pk"], "the product key is kept");
}
