//! The wiring check as a script sees it.

use crate::support::{bkbench, code, document, folder, succeed};

const CHECK: [&str; 6] = ["wiring", "--module", "wb2s", "--check", "--json", "--link"];

fn check(link: &str) -> std::process::Output {
    let folder = folder();
    let args: Vec<&str> = CHECK.into_iter().chain([link]).collect();
    bkbench(folder.path(), &args)
}

#[test]
fn a_good_harness_passes_wire_by_wire() {
    let found = succeed(&check("sim:wb2s"));
    assert_eq!((&found["schema"], &found["usable"]), (&1.into(), &true.into()));
    assert_eq!((found["module"].as_str(), found["id"].as_str()), (Some("WB2S"), Some("EB 60 15")));
    let rows = found["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 7);
    for row in rows {
        let proven = ["CEN", "SCK", "CSN", "SI", "SO"].contains(&row["signal"].as_str().unwrap());
        assert_eq!(row["finding"], "pass", "{row}");
        assert_eq!(row["verdict"], if proven { "proven" } else { "likely" }, "{row}");
        assert!(!row["measured"].as_str().unwrap().is_empty());
    }
    // The practice module's wires carry so much and no more, which is a remark and no wire's fault.
    assert_eq!((&found["suspect"]["fault"], &found["suspect"]["wires"]), (&"clock".into(), &serde_json::json!([])));
}

#[test]
fn a_bad_wire_is_the_error_and_every_wire_is_still_told() {
    for (wires, signal) in [("cen-open", "CEN"), ("csn-open", "CSN"), ("3v3-open", "3V3"), ("so-short-gnd", "SO")] {
        let output = check(&format!("sim:wb2s?wires={wires}"));
        assert_eq!(code(&output), 3, "{wires}");
        let found = document(&output);
        assert_eq!(found["error"]["code"], "E750", "{wires}");
        assert_eq!(found["suspect"]["wires"], serde_json::json!([signal]), "{wires}");
        let remedy = found["error"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("(pin "), "{wires}: {remedy}");
        assert_eq!(found["rows"].as_array().map(Vec::len), Some(7), "{wires}");
    }
}

#[test]
fn exchanged_wires_are_proven_by_the_order_that_works() {
    let found = document(&check("sim:wb2s?wires=csn-so-swapped"));
    assert_eq!((&found["suspect"]["fault"], &found["suspect"]["verdict"]), (&"swapped".into(), &"proven".into()));
    assert_eq!(found["suspect"]["wires"], serde_json::json!(["CSN", "SO"]));
}

#[test]
fn what_cannot_be_checked_is_said_with_a_way_out() {
    let folder = folder();
    let run = |args: &[&str]| document(&bkbench(folder.path(), args))["error"]["code"].clone();
    let spi = ["wiring", "--module", "cb2s", "--wire", "spi", "--check", "--json", "--link", "sim:cb2s"];
    assert_eq!(run(&spi), "E431", "no pads");
    assert_eq!(
        run(&["wiring", "--module", "wb2s", "--wire", "uart", "--check", "--json", "--link", "sim:wb2s?wire=spi"]),
        "E432"
    );
    assert_eq!(run(&["wiring", "--module", "wb9s", "--check", "--json", "--link", "sim:wb2s"]), "E430");
    let uart = ["wiring", "--module", "cb2s", "--check", "--json", "--link", "sim:cb2s"];
    let found = succeed(&bkbench(folder.path(), &uart));
    assert!(found["rows"].as_array().unwrap().iter().any(|row| row["signal"] == "TX1" && row["finding"] == "pass"));
}

#[test]
fn the_check_follows_the_wire_of_the_link() {
    let folder = folder();
    for (args, signal) in [
        (&["--link", "sim:wb2s?wire=uart", "wiring", "--check", "--json"][..], "TX1"),
        (&["--link", "sim:wb2s", "wiring", "--wire", "uart", "--check", "--json"], "TX1"),
        (&["--link", "sim:cb2s", "wiring", "--check", "--json"], "TX1"),
        (&["--link", "sim:wb2s", "wiring", "--check", "--json"], "SO"),
    ] {
        let found = succeed(&bkbench(folder.path(), args));
        let rows = found["rows"].as_array().expect("rows");
        assert!(rows.iter().any(|row| row["signal"] == signal && row["finding"] == "pass"), "{args:?}: {rows:?}");
    }
}

#[test]
fn wires_that_are_held_together_give_back_what_is_sent() {
    let folder = folder();
    let args = ["--link", "sim:wb2s?wire=uart&faults=echo", "wiring", "--check", "--loop-back", "--json"];
    let found = succeed(&bkbench(folder.path(), &args));
    assert_eq!((&found["loop_back"], &found["usable"]), (&true.into(), &true.into()));
    let first = found["evidence"][0].as_str().expect("a sentence");
    assert!(first.starts_with("At 115200 baud 1 KiB each came back without an error"), "{first}");
    let spi = bkbench(folder.path(), &["--link", "sim:wb2s?wire=spi", "wiring", "--check", "--loop-back", "--json"]);
    assert_eq!(document(&spi)["error"]["code"], "E432");
}

#[test]
fn good_wires_get_no_advice_and_slow_ones_do() {
    let folder = folder();
    let text = |link: &str| {
        let output = bkbench(folder.path(), &["--link", link, "wiring", "--check"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let good = text("sim:wb2s");
    assert!(good.contains("The wires carry 8 MHz, which is plenty.") && !good.contains("Shorten"), "{good}");
    let slow = text("sim:wb2s?faults=clock:4M");
    assert!(slow.contains("Shorten the wires") && !slow.contains("plenty"), "{slow}");
}
