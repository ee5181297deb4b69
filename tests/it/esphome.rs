//! `template --esphome` over the pin texts of public devices, against what another program makes of them, and through
//! ESPHome's own checker.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use bkbench::image::esphome::{Source, configuration};
use bkbench::image::inspect::inspect;
use bkbench::image::tuya::param;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use crate::support::public::esphome;
use crate::support::{folder, sample};

/// Name, configuration and what the other program makes of it. The texts are parsed as they stand: two of the oldest kind
/// carry no mark that tells them in a dump.
fn devices() -> Vec<(String, String, Value)> {
    let Some(path) = sample("cases/pinmaps.jsonl") else { return Vec::new() };
    let text = fs::read_to_string(path).expect("the cases");
    let cases = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a case"));
    let made = cases.map(|case| {
        let param = param::parse(case["text"].as_str().expect("a text").as_bytes());
        let text = configuration(&Source { param: Some(&param), ..Source::default() });
        (case["name"].as_str().expect("a name").to_owned(), text.unwrap_or_default(), case["esphome"].clone())
    });
    made.collect()
}

fn parsed(name: &str, text: &str) -> serde_json::Value {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    assert_eq!(documents.len(), 1, "{name}");
    as_json(&documents[0])
}

fn as_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(scalar) => match scalar {
            saphyr::Scalar::String(text) => Value::String(text.to_string()),
            saphyr::Scalar::Integer(number) => (*number).into(),
            saphyr::Scalar::FloatingPoint(number) => number.into_inner().into(),
            saphyr::Scalar::Boolean(truth) => (*truth).into(),
            saphyr::Scalar::Null => Value::Null,
        },
        Yaml::Sequence(list) => list.iter().map(as_json).collect(),
        Yaml::Mapping(map) => Value::Object(map.iter().map(|(key, value)| (text_of(key), as_json(value))).collect()),
        Yaml::Tagged(_, inner) => as_json(inner),
        other => panic!("{other:?}"),
    }
}

fn text_of(key: &Yaml<'_>) -> String {
    match as_json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Section, platform, key, pin and whether it is inverted, of every pin: as `pinmaps.jsonl` has them.
fn pins(document: &Value) -> BTreeSet<(String, String, String, u64, bool)> {
    let mut found = BTreeSet::new();
    for (section, body) in document.as_object().expect("sections") {
        let components: Vec<&Value> = body.as_array().map_or_else(|| vec![body], |list| list.iter().collect());
        for component in components {
            let platform = component["platform"].as_str().unwrap_or_default().to_owned();
            for (key, value) in component.as_object().into_iter().flatten().filter(|(key, _)| key.ends_with("pin")) {
                let (number, inverted) = match value {
                    Value::Object(pin) => (&pin["number"], pin.get("inverted") == Some(&Value::Bool(true))),
                    plain => (plain, false),
                };
                // RX1 and TX1 are names of the board, not pins of the map.
                let number = number.as_str().and_then(|text| text.strip_prefix('P')?.parse().ok());
                found.extend(number.map(|number| (section.clone(), platform.clone(), key.clone(), number, inverted)));
            }
        }
    }
    found
}

fn wanted(esphome: &Value) -> BTreeSet<(String, String, String, u64, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pins = esphome.as_array().expect("pins").iter();
    pins.map(|pin| (text(&pin[0]), text(&pin[1]), text(&pin[2]), pin[3].as_u64().unwrap(), pin[4].as_bool().unwrap()))
        .collect()
}

/// Pins of the other program that are left out, with the reason: start of the device's name, pins, why.
const LEFT_OUT: &[(&str, &[u64], &str)] = &[
    ("lexi-apt01-string-light-controller", &[8, 9, 19], "cmod cw: the maker's usual pins for colours that it has not"),
    ("ultrapro-wfd3001-rocker", &[6, 8, 18, 19], "cmod c: the maker's usual pins for colours that it has not"),
    ("ultrapro-wfd3002-toggle", &[6, 8, 18, 19], "cmod c: the maker's usual pins for colours that it has not"),
    ("spectrum-sli029045", &[16], "ir and k2pin on one pin, irfunc 1 and keynumber 0: the receiver has it"),
    ("tuya-generic-2-gang-touch-switch-v1.1.2", &[31], "no module has P31, and level 2 says that it is not fitted"),
];

/// Keys that the other program does not know, or knows only beside a relay.
const MORE: &[(&str, &str)] = &[
    ("bt_pin", "button without a number"),
    ("basic_pin_pin", "digital input"),
    ("status_led_pin", "status LED"),
    ("irpin", "another spelling of ir"),
    ("firstpin_pin", "output of a dimmer"),
    ("secpin_pin", "output of a dimmer"),
    ("gate_sensor_pin_pin", "gate contact"),
    ("reset_pin", "pairing button"),
    ("bt2_pin", "second button of a curtain, which has no relay of its own"),
    ("k4pin_pin", "fourth button of a light"),
    ("rlypin", "relay in the oldest spelling"),
    ("rlypin2", "relay in the oldest spelling"),
    ("btpin", "button in the oldest spelling"),
];

/// Key that a line of the text names behind its pin.
fn key_of(text: &str, pin: u64) -> &str {
    let after = text.split(&format!("P{pin}  # ")).nth(1).unwrap_or_default();
    after.split([',', '\n']).next().unwrap_or_default()
}

#[test]
fn the_pins_of_public_devices_agree_with_the_other_program_but_for_named_ones() {
    let (mut all, mut agreed, mut unexplained) = (0, 0, Vec::new());
    for (name, text, esphome) in devices() {
        let theirs = wanted(&esphome);
        let ours = if text.is_empty() { BTreeSet::new() } else { pins(&parsed(&name, &text)) };
        all += theirs.len();
        agreed += ours.intersection(&theirs).count();
        let excused = |pin: u64| LEFT_OUT.iter().any(|(start, pins, _)| name.starts_with(start) && pins.contains(&pin));
        for pin in theirs.difference(&ours).filter(|pin| !excused(pin.3)) {
            unexplained.push(format!("{name}: only theirs: {pin:?}"));
        }
        for pin in ours.difference(&theirs) {
            let key = key_of(&text, pin.3);
            if !MORE.iter().any(|(known, _)| *known == key) {
                unexplained.push(format!("{name}: only ours: {pin:?}, {key}"));
            }
        }
        for (_, pins, _) in LEFT_OUT.iter().filter(|(start, ..)| name.starts_with(start)) {
            let said = |pin: &u64| text.contains(&format!("(P{pin}): ")) || text.contains(&format!("P{pin}  # "));
            assert!(pins.iter().all(said), "{name}: what is left out has its reason in the text\n{text}");
        }
    }
    if all == 0 {
        return;
    }
    eprintln!("{agreed} of {all} pins agree");
    assert!(unexplained.is_empty(), "{agreed} of {all}\n{}", unexplained.join("\n"));
    assert!(agreed * 100 >= all * 99, "{agreed} of {all}");
}

/// Names of devices that show a kind each: plug, strip, lights of all sorts, infrared, sensor, latching relay.
const KINDS: [&str; 14] = [
    "3stone-ebe-baw550",
    "abie-g99631",
    "adelid-mpd-z-curtain",
    "aubess-ir-remote",
    "lexi-apt01",
    "eightree-et31",
    "maxcom-shls111w-switch-ota1",
    "tuya-generic-aw201",
    "tuya-generic-pir-motion",
    "tuya-generic-ir-8-function",
    "ultrapro-wfd3001",
    "tuya-generic-2-gang-touch-switch",
    "ineox-lzww-3",
    "spectrum-sli029045",
];

/// A text of every set of components, so that each driver and light is among them.
fn one_of_each(found: &mut Vec<(String, String)>) {
    let mut seen = BTreeSet::new();
    for (name, text, esphome) in devices() {
        let kinds: BTreeSet<String> = wanted(&esphome).into_iter().map(|pin| format!("{} {}", pin.0, pin.1)).collect();
        // Without a module the board is a guess, and pins of another chip are refused.
        let has_board = !text.is_empty() && !text.contains("not checked: no chip is named");
        if has_board && (seen.insert(kinds) || KINDS.iter().any(|kind| name.starts_with(kind))) {
            found.push((name, text));
        }
    }
}

#[test]
fn esphomes_own_checker_accepts_a_sample_of_all_kinds() {
    let mut configurations = Vec::new();
    one_of_each(&mut configurations);
    for dump in ["pc321-three-phase-meter-tuyamcu-n", "ten-gang-switch-tuyamcu-n"] {
        let Some(path) = sample(&format!("dumps-more/{dump}.bin")) else { continue };
        let found = inspect(&fs::read(path).expect("a dump"));
        configurations.push((dump.to_owned(), found.esphome().expect("a configuration")));
    }
    let Some(esphome) = esphome().filter(|_| !configurations.is_empty()) else { return };
    let folder = folder();
    fs::write(folder.path().join("secrets.yaml"), "wifi_ssid: net\nwifi_password: password\n").expect("a file");
    let mut files = Vec::new();
    for (number, (_, text)) in configurations.iter().enumerate() {
        let file = format!("{number}.yaml");
        fs::write(folder.path().join(&file), text).expect("a file");
        files.push(file);
    }
    let output = Command::new(esphome).arg("config").args(&files).current_dir(folder.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let failed: Vec<&String> = configurations
        .iter()
        .enumerate()
        .filter(|(number, _)| said.contains(&format!("Failed config {number}.yaml")))
        .map(|(_, (name, _))| name)
        .collect();
    eprintln!("{} configurations checked by ESPHome", configurations.len());
    assert!(output.status.success(), "{failed:?}\n{said}");
}

#[test]
fn data_points_become_components_of_their_kind() {
    let Some(path) = sample("dumps-more/pc321-three-phase-meter-tuyamcu-n.bin") else { return };
    let text = inspect(&fs::read(path).expect("a dump")).esphome().expect("a configuration");
    let document = parsed("pc321", &text);
    assert_eq!(document["uart"]["baud_rate"], 115_200);
    let sensors = document["sensor"].as_array().expect("sensors");
    let voltage = sensors.iter().find(|sensor| sensor["sensor_datapoint"] == 101).expect("data point 101");
    assert_eq!((&voltage["accuracy_decimals"], &voltage["filters"][0]["multiply"]), (&1.into(), &0.1.into()));
    let points: Vec<u64> = sensors.iter().filter_map(|sensor| sensor["sensor_datapoint"].as_u64()).collect();
    // Mapped by hand in a public script for this meter.
    for point in [101, 102, 103, 104, 111, 112, 113, 114, 121, 122, 123, 124, 131, 133, 135] {
        assert!(points.contains(&point), "{point}");
    }
}
