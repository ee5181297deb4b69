//! Who the chip is: its unique id, and what its MAC is worth.

use std::fs;

use serde_json::Value;

use crate::support::{bkbench, code, document, folder, succeed};

const LINK: &str = "sim:wb2s?chip=chip.bin";

fn info(at: &std::path::Path, link: &str) -> Value {
    succeed(&bkbench(at, &["--link", link, "info", "--json"]))
}

#[test]
fn the_unique_id_goes_out_as_a_hash_over_spi_and_into_the_manifest_and_uart_shows_none() {
    let folder = folder();
    let at = folder.path();
    let seen = info(at, LINK);
    let hash = seen["flash"]["unique_hash"].as_str().expect("a hash").to_owned();
    assert_eq!(hash.len(), 64);
    assert_eq!(info(at, &format!("{LINK}&wire=uart"))["flash"]["unique_hash"], Value::Null);

    succeed(&bkbench(at, &["--link", LINK, "read", "-o", "b.bin", "--json"]));
    let manifest = fs::read_to_string(at.join("b.bin.json")).expect("the manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["unique_hash"], hash.as_str());

    // The id itself stands in the state file of the practice module and nowhere in what the program says.
    let state = fs::read_to_string(at.join("chip.bin.state.toml")).expect("the state");
    let id = state.lines().find_map(|line| line.strip_prefix("unique_id = ")).expect("an id").trim_matches('"');
    for text in [seen.to_string(), manifest.to_string()] {
        assert!(!text.to_lowercase().contains(id));
    }
}

/// Changes the RF sector of the chip in `chip.bin`.
fn change_rf(at: &std::path::Path, change: impl FnOnce(&mut [u8])) {
    let mut content = fs::read(at.join("chip.bin")).expect("the chip");
    change(&mut content[0x1E_0000..0x1E_1000]);
    fs::write(at.join("chip.bin"), content).expect("the chip");
}

fn info_text(at: &std::path::Path) -> String {
    let output = bkbench(at, &["--link", LINK, "info"]);
    assert_eq!(code(&output), 0);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_chip_with_its_own_mac_is_not_told_that_its_rf_block_is_lost() {
    let folder = folder();
    let at = folder.path();
    assert_eq!(info(at, LINK)["mac_state"], "own");
    assert!(!info_text(at).contains("RF block"));
}

#[test]
fn a_lost_rf_block_is_named_with_what_restores_it_and_the_chip_stays_the_same_by_its_unique_id() {
    let folder = folder();
    let at = folder.path();
    let before = info(at, LINK);
    change_rf(at, |rf| rf.fill(0xFF));
    let after = info(at, LINK);
    assert_eq!((&before["mac_state"], &after["mac_state"]), (&"own".into(), &"none".into()));
    assert_ne!(before["chip_key"], after["chip_key"]);
    assert_eq!(before["flash"]["unique_hash"], after["flash"]["unique_hash"]);
    let text = info_text(at);
    for words in ["RF block lost", "0x1E0000", "rf rebuild BACKUP --mac-lost", "restore BACKUP --mac-lost"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_default_mac_is_no_mac_of_this_chip() {
    for mac in [[0xC8, 0x47, 0x8C, 0x42, 0x88, 0x48], [0xC8, 0x47, 0x8C, 0, 0, 0]] {
        let folder = folder();
        let at = folder.path();
        info(at, LINK);
        change_rf(at, |rf| rf[0x24..0x2A].copy_from_slice(&mac));
        assert_eq!(info(at, LINK)["mac_state"], "default");
        let text = info_text(at);
        assert!(text.contains("a default MAC: RF block lost or restored from a template"), "{text}");
        assert!(text.contains("--mac-lost"), "{text}");
    }
}

#[test]
fn whoever_names_the_backup_of_another_chip_is_not_told_to_make_one_of_a_chip_without_rf_block() {
    let folder = folder();
    let at = folder.path();
    succeed(&bkbench(at, &["--link", LINK, "read", "-o", "b.bin", "--json"]));
    change_rf(at, |rf| rf.fill(0xFF));
    let output = bkbench(at, &["--link", LINK, "restore", "b.bin", "--yes", "--json"]);
    assert_eq!(code(&output), 4);
    let error = document(&output)["error"].to_string();
    assert!(error.contains("--mac-lost") && !error.contains("make a backup"), "{error}");
}
