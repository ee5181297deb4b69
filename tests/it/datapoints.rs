//! TuyaMCU data points out of real dumps: the list, what OpenBeken is told of them, and where they are shown.

use std::fs;

use serde_json::Value;

use crate::support::{bkbench, code, document, folder, sample, succeed};

const METER: &str = "pc321-three-phase-meter-tuyamcu-n";
const SWITCH: &str = "ten-gang-switch-tuyamcu-n";

fn expected(name: &str) -> Option<(String, Value)> {
    let dump = sample(&format!("dumps-more/{name}.bin"))?;
    let text = fs::read(dump.with_extension("datapoints.json")).expect("what is expected");
    Some((dump.display().to_string(), serde_json::from_slice(&text).expect("JSON")))
}

#[test]
fn the_data_points_of_both_dumps_are_the_expected_ones() {
    let folder = folder();
    for name in [METER, SWITCH] {
        let Some((dump, expected)) = expected(name) else { continue };
        let found = succeed(&bkbench(folder.path(), &["inspect", &dump, "--json"]));
        assert_eq!(found["tuya"]["schema_key"], expected["schema_key"], "{name}");
        assert_eq!(found["tuya"]["data_points"], expected["data_points"], "{name}");
        let meanings = found["tuya"]["data_point_meanings"].as_array().expect("meanings");
        assert!(!meanings.is_empty(), "{name}");
        let sure = |meaning: &Value| ["likely", "unsure"].contains(&meaning["verdict"].as_str().unwrap_or_default());
        assert!(meanings.iter().all(sure), "{name}: what a point means is likely at most");
    }
}

#[test]
fn the_points_that_people_mapped_by_hand_are_in_the_script_with_their_scale() {
    let folder = folder();
    let Some((dump, _)) = expected(METER) else { return };
    let found = succeed(&bkbench(folder.path(), &["template", &dump, "--script", "--json"]));
    let script = found["script"].as_str().expect("a script");
    assert!(script.contains("startDriver TuyaMCU\n") && script.contains("tuyaMcu_setBaudRate 115200\n"), "{script}");
    // A public script for this meter maps these: voltage, current, power and factor of three phases, total, power, frequency.
    for (point, decimals) in [
        (101, "_div10"),
        (102, "_div1000"),
        (103, "_div1000"),
        (104, "_div100"),
        (111, "_div10"),
        (112, "_div1000"),
        (113, "_div1000"),
        (114, "_div100"),
        (121, "_div10"),
        (122, "_div1000"),
        (123, "_div1000"),
        (124, "_div100"),
        (131, "_div100"),
        (133, "_div1000"),
        (135, ""),
    ] {
        let start = format!("linkTuyaMCUOutputToChannel {point} val ");
        let line = script.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{point}\n{script}"));
        let channel = line.strip_prefix(&start).expect("a channel");
        assert!(script.contains(&format!("setChannelType {channel} ReadOnly{decimals}\n")), "{point}: {script}");
    }
}

#[test]
fn a_switch_gets_its_whole_script_as_start_up_command() {
    let folder = folder();
    let Some((dump, _)) = expected(SWITCH) else { return };
    let found = succeed(&bkbench(folder.path(), &["template", &dump, "--json"]));
    let command = found["template"]["command"].as_str().expect("a command");
    for wanted in [
        "backlog startDriver TuyaMCU; tuyaMcu_setBaudRate 9600; ",
        "setChannelType 1 Toggle; linkTuyaMCUOutputToChannel 1 bool 1; ",
        "setChannelType 7 OffOnRemember; linkTuyaMCUOutputToChannel 14 enum 7; ",
        "SetChannelEnum 8 0:none 1:relay 2:pos; linkTuyaMCUOutputToChannel 15 enum 8; ",
        "linkTuyaMCUOutputToChannel 105 bool 12",
    ] {
        assert!(command.contains(wanted), "{wanted}\n{command}");
    }
    assert!(command.len() < 1568, "OpenBeken's field holds it");
}

#[test]
fn a_device_without_a_second_processor_has_no_script() {
    let folder = folder();
    let Some(dump) = sample("dumps/ds-101jl-4gang-switch-t.bin") else { return };
    let none = bkbench(folder.path(), &["template", &dump.display().to_string(), "--script", "--json"]);
    assert_eq!((code(&none), document(&none)["error"]["code"].as_str()), (2, Some("E780")));
}
