//! Who the chip is: its unique id, and what its MAC is worth.

use std::fs;

use serde_json::Value;

use crate::support::{bkbench, folder, succeed};

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
