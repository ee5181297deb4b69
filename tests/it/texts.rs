//! Texts that people have instead of a dump, given to the program as files.

use std::fs;

use serde_json::{Value, json};

use crate::support::{bkbench, code, document, folder, sample, succeed};

const PINS: &str = "{rl1_pin:26,rl1_lv:1,bt1_pin:10,bt1_lv:0,module:WB2S,crc:104,}";

#[test]
fn a_pin_text_the_json_of_a_device_and_a_part_of_a_dump_give_the_same_template() {
    let folder = folder();
    let at = folder.path();
    let part = [&[0xFF; 256][..], &[0; 16], PINS.as_bytes(), &[0; 64]].concat();
    fs::write(at.join("part.bin"), part).expect("written");
    fs::write(at.join("pins.txt"), format!("{PINS}\r\n")).expect("written");
    let device = json!({"name": "Plug", "device_configuration":
        {"rl1_pin": 26, "rl1_lv": 1, "bt1_pin": 10, "bt1_lv": 0, "module": "WB2S", "crc": 104}});
    fs::write(at.join("device.json"), device.to_string()).expect("written");
    for (file, kind) in [("part.bin", "part of a dump"), ("pins.txt", "pin text"), ("device.json", "device JSON")] {
        let made = succeed(&bkbench(at, &["template", file, "--json"]));
        assert_eq!(made["template"]["pins"], json!({"10": "Btn;1", "26": "Rel;1"}), "{file}");
        assert_eq!(
            (&made["template"]["chip"], &made["template"]["board"]),
            (&json!("BK7231T"), &json!("WB2S")),
            "{file}"
        );
        let seen = succeed(&bkbench(at, &["inspect", file, "--json"]));
        assert_eq!((&seen["kind"], &seen["verdict"]), (&json!(kind), &json!("likely")), "{file}");
        assert!(!seen["problems"].to_string().contains("E700"), "{file}: {}", seen["problems"]);
    }
    let named = succeed(&bkbench(at, &["template", "device.json", "--json"]));
    assert_eq!(named["template"]["name"], "Plug");
}

#[test]
fn nothing_is_linted_as_what_it_is_not() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("pins.txt"), PINS).expect("written");
    fs::write(at.join("note.txt"), "buy milk\n").expect("written");
    fs::write(at.join("list.json"), r#"{"devices": [{"name": "n", "chip": "BK7231T", "pins": {"26": "Rel;1"}}]}"#)
        .expect("written");
    fs::write(at.join("plug.json"), r#"{"pins": {"26": "Rel;1"}}"#).expect("written");
    fs::write(at.join("kick.uf2"), [&[0x55, 0x46, 0x32, 0x0A, 0x57, 0x51, 0x5D, 0x9E][..], &[0; 504]].concat())
        .expect("written");
    let error = |args: &[&str]| {
        let output = bkbench(at, args);
        assert_eq!(code(&output), 2, "{args:?}");
        document(&output)["error"].clone()
    };
    assert_eq!(error(&["template", "note.txt", "--json"])["code"], "E730");
    assert_eq!(error(&["template", "list.json", "--json"])["code"], "E730");
    assert_eq!(error(&["template", "kick.uf2", "--json"])["code"], "E730");
    assert_eq!(error(&["template", "pins.txt", "--check", "pins.txt", "--json"])["code"], "E777");
    assert_eq!(error(&["template", "pins.txt", "--match", "plug.json", "--json"])["code"], "E778");
    let uf2 = succeed(&bkbench(at, &["inspect", "kick.uf2", "--json"]));
    assert_eq!((&uf2["kind"], &uf2["problems"][0]["code"]), (&json!("UF2"), &json!("E717")));
    let checked = succeed(&bkbench(at, &["template", "plug.json", "--json"]));
    assert_eq!(checked["usable"], Value::Bool(true));
}

#[test]
fn a_list_in_the_data_folder_is_found_and_a_missing_one_is_asked_for() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("pins.txt"), PINS).expect("written");
    let missing = bkbench(at, &["template", "pins.txt", "--json", "--match"]);
    let error = &document(&missing)["error"];
    assert_eq!((code(&missing), &error["code"]), (2, &json!("E779")));
    assert!(error["remedy"].as_str().is_some_and(|remedy| remedy.contains("devices.json")), "{error}");
    fs::create_dir_all(at.join("data")).expect("a folder");
    let list = r#"{"devices": [{"vendor": "V", "name": "Plug", "chip": "BK7231T", "board": "WB2S",
        "pins": {"10": "Btn;1", "26": "Rel;1"}}]}"#;
    fs::write(at.join("data/devices.json"), list).expect("a list");
    let found = succeed(&bkbench(at, &["template", "pins.txt", "--json", "--match"]));
    assert_eq!((&found["similar"][0]["score"], &found["similar"][0]["name"]), (&json!(100), &json!("Plug")));
    // A template is compared as it stands.
    fs::write(at.join("plug.json"), r#"{"chip": "BK7231T", "pins": {"10": "Btn;1", "26": "Rel;2"}}"#).expect("written");
    let given = succeed(&bkbench(at, &["template", "plug.json", "--json", "--match"]));
    assert_eq!(given["similar"][0]["score"], 87);
}

#[test]
fn a_dump_without_pins_names_the_next_thing_to_do() {
    let Some(image) = sample("firmware/OpenBK7231T_QIO_1.18.300.bin") else { return };
    let folder = folder();
    let at = folder.path();
    let mut flash = fs::read(image).expect("an image");
    flash.resize(0x20_0000, 0xFF);
    fs::write(at.join("dump.bin"), flash).expect("written");
    let error = document(&bkbench(at, &["template", "dump.bin", "--json"]))["error"].clone();
    let remedy = error["remedy"].as_str().unwrap_or_default();
    assert!(error["code"] == "E730" && remedy.contains("bkbench pins") && !remedy.contains("give a dump"), "{error}");
    let Some(configured) = sample("dumps-more/openbeken-configured-bl0942-t.bin") else { return };
    let configured = configured.display().to_string();
    let error = document(&bkbench(at, &["template", &configured, "--json"]))["error"].clone();
    assert!(error["remedy"].as_str().is_some_and(|remedy| remedy.contains("--mapping configured")), "{error}");
    succeed(&bkbench(at, &["template", &configured, "--mapping", "configured", "--json"]));
}
