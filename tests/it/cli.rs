//! The binary as a script sees it: documents, exit codes, files left behind.

use std::fs;

use serde_json::Value;

use crate::support::{bkbench, code, document, folder, sample, succeed};

struct Sample {
    dump: &'static str,
    image: &'static str,
    module: &'static str,
    chip: &'static str,
    rf_block: usize,
}

const T: Sample = Sample {
    dump: "dumps/ds-101jl-4gang-switch-t.bin",
    image: "firmware/OpenBK7231T_QIO_1.18.300.bin",
    module: "wb2s",
    chip: "BK7231T",
    rf_block: 0x1E_0000,
};
const N: Sample = Sample {
    dump: "dumps/lspa9-clone-first-n.bin",
    image: "firmware/OpenBK7231N_QIO_1.18.300.bin",
    module: "cb3s",
    chip: "BK7231N",
    rf_block: 0x1D_0000,
};

/// The whole main job over one wire: identify, back up, write, and look at what is left on the chip.
fn main_job(sample_chip: &Sample, wire: &str, from: usize) {
    let (Some(dump), Some(image)) = (sample(sample_chip.dump), sample(sample_chip.image)) else { return };
    let folder = folder();
    let at = folder.path();
    let link = format!("sim:{}?image={}&chip=chip.bin&wire={wire}", sample_chip.module, dump.display());

    let info = succeed(&bkbench(at, &["--link", &link, "info", "--json"]));
    assert_eq!(info["schema"], 1);
    assert_eq!(info["chip"], sample_chip.chip);
    assert_eq!(info["verdict"], "proven");
    if wire == "spi" {
        assert!(info["flash"]["part"].is_string(), "{info}");
        assert!(info["protection"]["range"]["span"]["end"].is_string(), "{info}");
    }

    let read = succeed(&bkbench(at, &["--link", &link, "read", "-o", "b.bin", "--json"]));
    let before = fs::read(&dump).expect("the sample");
    assert!(fs::read(at.join("b.bin")).expect("the backup") == before, "the backup is not the dump");
    assert_eq!(read["proven"], true);
    assert_eq!(read["sha256"], bkbench::image::sha256_hex(&before));

    let whole = fs::read(&image).expect("the image");
    let content = &whole[from..];
    fs::write(at.join("image.bin"), content).expect("the image");
    let address = format!("0x{from:X}");
    let mut args = vec!["--link", &link, "write", "image.bin", "--yes", "--json"];
    if from > 0 {
        args.extend(["--at", &address]);
    }
    let written = succeed(&bkbench(at, &args));
    assert_eq!(written["report"]["verified"], true);
    assert_eq!(written["report"]["kept_proven"], true);

    let mut wanted = before.clone();
    wanted[from..from + content.len()].copy_from_slice(content);
    let after = fs::read(at.join("chip.bin")).expect("the chip");
    assert!(after == wanted, "the chip does not hold image and old bytes");
    let rf = sample_chip.rf_block;
    assert!(after[rf..rf + 4096] == before[rf..rf + 4096]);

    let again = succeed(&bkbench(at, &args));
    assert!(again["report"].is_null(), "the same image again is no write: {again}");
    let there = &again["already_there"];
    assert_eq!(there["sha256"], bkbench::image::sha256_hex(content));
    assert_eq!(there["span"]["start"], format!("0x{from:06X}"));
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == after);
    args.push("--dry-run");
    let dry = succeed(&bkbench(at, &args));
    assert!(dry["plan"]["runs"].is_array() && dry["already_there"].is_null(), "a dry run shows the plan: {dry}");
}

#[test]
fn the_main_job_runs_on_a_t_over_spi() {
    main_job(&T, "spi", 0);
}

#[test]
fn the_main_job_runs_on_a_t_over_uart_with_the_application_part() {
    main_job(&T, "uart", 0x11000);
}

#[test]
fn the_main_job_runs_on_an_n_over_spi() {
    main_job(&N, "spi", 0);
}

#[test]
fn the_main_job_runs_on_an_n_over_uart() {
    main_job(&N, "uart", 0);
}

#[test]
fn a_whole_image_over_the_t_s_own_boot_loader_leaves_that_loader_alone() {
    let (Some(dump), Some(image)) = (sample(T.dump), sample(T.image)) else { return };
    let folder = folder();
    let at = folder.path();
    let link = format!("sim:wb2s?image={}&chip=chip.bin&wire=uart", dump.display());
    succeed(&bkbench(at, &["--link", &link, "write", &image.display().to_string(), "--yes", "--json"]));
    let (before, image) = (fs::read(&dump).expect("dump"), fs::read(&image).expect("image"));
    let after = fs::read(at.join("chip.bin")).expect("the chip");
    assert!(after[..0x11000] == before[..0x11000]);
    assert!(after[0x11000..image.len()] == image[0x11000..]);
}

#[test]
fn an_image_for_another_chip_is_refused_over_both_wires_whatever_its_name() {
    for (chip, image) in [(&T, N.image), (&N, T.image)] {
        let (Some(dump), Some(image)) = (sample(chip.dump), sample(image)) else { return };
        for wire in ["spi", "uart"] {
            let folder = folder();
            let at = folder.path();
            let name = format!("Open{}_QIO.bin", chip.chip);
            fs::copy(&image, at.join(&name)).expect("copied");
            let link = format!("sim:{}?image={}&chip=chip.bin&wire={wire}", chip.module, dump.display());
            let output = bkbench(at, &["--link", &link, "write", &name, "--yes", "--json"]);
            assert_eq!(code(&output), 4, "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(document(&output)["error"]["code"], "E401");
            assert!(fs::read(at.join("chip.bin")).expect("the chip") == fs::read(&dump).expect("the dump"));
        }
    }
}

#[test]
fn a_chip_that_ignores_writes_is_caught_by_reading_back_and_its_protection_is_named() {
    let (Some(dump), Some(image)) = (sample(T.dump), sample(T.image)) else { return };
    for wire in ["spi", "uart"] {
        let folder = folder();
        let at = folder.path();
        let link =
            format!("sim:wb2s?image={}&chip=chip.bin&wire={wire}&faults=ignore-program,ignore-erase", dump.display());
        let output = bkbench(at, &["--link", &link, "write", &image.display().to_string(), "--yes", "--json"]);
        assert_eq!(code(&output), 5, "{}", String::from_utf8_lossy(&output.stderr));
        let error = &document(&output)["error"];
        assert!(error["cause"].as_str().expect("a cause").contains("protection"), "{error}");
    }
}

#[test]
fn a_plan_is_carried_out_only_when_it_is_agreed_to() {
    let folder = folder();
    let at = folder.path();
    let erase = ["--link", "sim:wb2s?chip=chip.bin", "erase", "--start", "0x1E3000", "--length", "4K", "--json"];
    let output = bkbench(at, &erase);
    assert_eq!(code(&output), 4);
    assert_eq!(document(&output)["error"]["code"], "E103");

    let dry = succeed(&bkbench(at, &[&erase[..], &["--dry-run"]].concat()));
    let hash = dry["plan"]["hash"].as_str().expect("a hash").to_owned();
    let wrong = bkbench(at, &[&erase[..], &["--plan", "0000000000"]].concat());
    assert_eq!(code(&wrong), 4);
    succeed(&bkbench(at, &[&erase[..], &["--plan", &hash]].concat()));
}

#[test]
fn a_search_lists_what_a_plain_byte_search_finds() {
    let Some(dump) = sample("dumps/lspa9-clone-first-n.bin") else { return };
    let folder = folder();
    let found = succeed(&bkbench(folder.path(), &["search", &dump.display().to_string(), "pin", "--json"]));
    let bytes = fs::read(&dump).expect("the sample");
    let naive: Vec<String> = bytes
        .windows(3)
        .enumerate()
        .filter(|(_, window)| *window == b"pin")
        .map(|(at, _)| format!("0x{at:06X}"))
        .collect();
    let hits: Vec<&str> =
        found["hits"].as_array().expect("hits").iter().map(|hit| hit["offset"].as_str().expect("an offset")).collect();
    assert!(!naive.is_empty());
    assert_eq!(hits, naive);
    assert_eq!(found["count"], naive.len());
    assert!(
        found["hits"]
            .as_array()
            .expect("hits")
            .iter()
            .all(|hit| hit["context"].as_str().is_some_and(|text| text.contains("pin")))
    );
}

#[test]
fn the_factory_image_shows_its_pin_map_to_a_search() {
    let folder = folder();
    let at = folder.path();
    succeed(&bkbench(at, &["--link", "sim:wb2s", "read", "-o", "b.bin", "--json"]));
    let found = succeed(&bkbench(at, &["search", "b.bin", "pin", "--json"]));
    assert!(found["hits"].to_string().contains("rl1_pin"), "{found}");
}

#[test]
fn backups_are_never_overwritten() {
    let folder = folder();
    let at = folder.path();
    succeed(&bkbench(at, &["--link", "sim:wb2s", "read", "-o", "b.bin", "--json"]));
    fs::write(at.join("precious.bin"), b"precious").expect("written");
    let output = bkbench(at, &["--link", "sim:wb2s", "read", "-o", "precious.bin", "--json"]);
    assert_ne!(code(&output), 0);
    assert_eq!(fs::read(at.join("precious.bin")).expect("still there"), b"precious");
}

#[test]
fn failures_carry_a_code_a_cause_and_a_remedy() {
    let folder = folder();
    let at = folder.path();
    for (args, exit) in [
        (vec!["info", "--json"], 2),
        (vec!["--link", "nonsense", "info", "--json"], 2),
        (vec!["--link", "sim:wb2s?colour=red", "info", "--json"], 2),
        (vec!["--link", "uart:/dev/not-here", "info", "--json"], 3),
        (vec!["--link", "sim:wb2s?wires=so-open", "info", "--json"], 3),
        (vec!["inspect", "missing.bin", "--json"], 2),
    ] {
        let output = bkbench(at, &args);
        assert_eq!(code(&output), exit, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let error = &document(&output)["error"];
        for field in ["code", "what", "cause", "remedy"] {
            assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{args:?}: {field} in {error}");
        }
    }
    assert_eq!(code(&bkbench(at, &["no-such-command"])), 2);
}

#[test]
fn protection_is_shown_lifted_and_put_back() {
    let folder = folder();
    let at = folder.path();
    let link = "sim:wb2s?chip=chip.bin";
    succeed(&bkbench(at, &["--link", link, "read", "-o", "b.bin", "--json"]));
    succeed(&bkbench(at, &["--link", link, "read", "--json"]));
    let status = |args: &[&str]| succeed(&bkbench(at, &[&["--link", link], args, &["--json"]].concat()));
    let before = status(&["protect", "status"]);
    assert_eq!(before["protection"]["range"]["state"], "protected");
    let off = status(&["protect", "off"]);
    assert_eq!(off["after"]["range"]["state"], "open");
    let restored = status(&["protect", "restore"]);
    assert_eq!(restored["after"]["range"], before["protection"]["range"]);
}

#[test]
fn events_are_one_object_per_line_and_end_with_the_result() {
    let folder = folder();
    let output = bkbench(folder.path(), &["--link", "sim:wb2s", "info", "--json", "--events"]);
    assert_eq!(code(&output), 0);
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert!(lines.iter().any(|line| line["event"] == "phase"));
    assert_eq!(lines.last().expect("a result")["schema"], 1);
}

#[test]
fn settings_tell_where_each_value_comes_from() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir_all(at.join("config")).expect("a folder");
    fs::write(at.join("config/config.toml"), "theme = \"light\"\n").expect("settings");
    let shown = succeed(&bkbench(at, &["config", "show", "--json"]));
    let settings = shown["settings"].as_array().expect("settings");
    let theme = settings.iter().find(|setting| setting["key"] == "theme").expect("the theme");
    assert!(theme["value"].as_str().expect("a value").contains("light"));
    assert!(theme["from"].as_str().expect("an origin").contains("config.toml"));

    fs::write(at.join("config/config.toml"), "thema = \"light\"\n").expect("settings");
    let output = bkbench(at, &["config", "show", "--json"]);
    assert_eq!(code(&output), 2);
}

#[test]
fn a_template_is_recovered_from_a_dump_and_checked() {
    let Some(dump) = sample("dumps/lspa9-clone-first-n.bin") else { return };
    let dump = dump.display().to_string();
    let folder = folder();
    let at = folder.path();
    let made = succeed(&bkbench(at, &["template", &dump, "--mapping", "gui", "-o", "plug.json", "--json"]));
    assert_eq!(made["template"]["pins"]["26"], "Rel;1");
    let written: Value = serde_json::from_slice(&fs::read(at.join("plug.json")).expect("written")).expect("JSON");
    assert_eq!(written, made["template"]);
    let checked = succeed(&bkbench(at, &["template", "plug.json", "--json"]));
    assert_eq!((&checked["usable"], &checked["lints"]), (&Value::Bool(true), &serde_json::json!([])));
    let again = bkbench(at, &["template", &dump, "-o", "plug.json", "--json"]);
    assert_ne!(code(&again), 0, "an existing file is never replaced");

    let broken = fs::read_to_string(at.join("plug.json")).expect("text").replacen("BL0937CF1;0\",", "BL0937CF1;0\"", 1);
    fs::write(at.join("broken.json"), broken.replace("BL0937SEL;0", "BL0937SEL_n;0")).expect("written");
    let checked = bkbench(at, &["template", &dump, "--check", "broken.json", "--json"]);
    assert_eq!(code(&checked), 2, "what is not usable is not a success");
    let checked = document(&checked);
    assert_eq!(checked["error"]["code"], "E774");
    let lints = checked["lints"].to_string();
    assert!(lints.contains("comma is missing") && lints.contains("BL0937SEL_n"), "{lints}");
    assert_eq!(checked["usable"], false);
    let alone = bkbench(at, &["template", "broken.json"]);
    assert_eq!(code(&alone), 2);
    assert!(String::from_utf8_lossy(&alone.stdout).contains("comma is missing"), "the mistakes are named");
}

#[test]
fn a_file_without_a_pin_map_says_what_was_searched() {
    let folder = folder();
    fs::write(folder.path().join("zero.bin"), [0; 8192]).expect("written");
    let output = bkbench(folder.path(), &["template", "zero.bin", "--json"]);
    assert_eq!(code(&output), 2);
    assert_eq!(document(&output)["error"]["code"], "E730");
}

#[test]
fn a_redacted_dump_differs_only_outside_the_code_and_shows_the_same_pins() {
    let Some(dump) = sample("dumps/feconn-mr16-rgbcct-n.bin") else { return };
    let dump = dump.display().to_string();
    let folder = folder();
    let at = folder.path();
    let report = succeed(&bkbench(at, &["redact", &dump, "-o", "share.bin", "--json"]));
    assert_eq!(report["proof"]["left"], serde_json::json!([]));
    let compared = bkbench(at, &["diff", &dump, "share.bin", "--json"]);
    let difference = document(&compared);
    assert_eq!(
        (code(&compared), difference["error"]["code"].as_str()),
        (5, Some("E446")),
        "files that differ end with 5"
    );
    assert_eq!(code(&bkbench(at, &["diff", &dump, &dump, "--json"])), 0, "equal files end with 0");
    let changes = difference["changes"].as_array().expect("changes");
    assert!(changes.iter().any(|change| change["area"] == "Tuya store"), "{changes:?}");
    assert!(difference["sectors"]["equal"].as_u64() > Some(300));
    let names: Vec<&str> =
        difference["regions"].as_array().expect("regions").iter().filter_map(|home| home["name"].as_str()).collect();
    assert!(!names.is_empty() && !names.contains(&"application") && !names.contains(&"boot loader"), "{names:?}");
    let [before, after] = [dump.as_str(), "share.bin"].map(|file| succeed(&bkbench(at, &["inspect", file, "--json"])));
    assert_eq!(before["template_recommended"], after["template_recommended"]);
    assert_eq!(
        (&before["wifi_credentials_present"], &after["wifi_credentials_present"]),
        (&true.into(), &false.into())
    );
    let strings = succeed(&bkbench(at, &["strings", "share.bin", "--min", "12", "--json"]));
    assert!(strings["strings"].to_string().contains("module:CBLC9"));
}

#[test]
fn a_template_is_matched_against_a_list_and_shown_as_a_code() {
    let Some(dump) = sample(N.dump) else { return };
    let folder = folder();
    let at = folder.path();
    let list = r#"{"version": 0.1, "devices": [{"vendor": "V", "name": "Plug", "model": "M", "chip": "BK7231N", "board": "CB2S",
        "pins": {"6": "BL0937CF1;0", "7": "BL0937CF;0", "8": "WifiLED_n;0", "10": "Btn;1", "24": "BL0937SEL;0",
        "26": "Rel;2"}, "wiki": "https://example.org"}]}"#;
    fs::write(at.join("devices.json"), list).expect("a list");
    let dump = dump.display().to_string();
    let found = succeed(&bkbench(at, &["template", &dump, "--match", "devices.json", "--json"]));
    assert_eq!(found["similar"][0]["score"], 95);
    let differing = serde_json::json!([{"pin": 26, "here": "Rel;1", "there": "Rel;2"}]);
    assert_eq!(found["similar"][0]["differing"], differing);
    // The settings may name the list instead.
    fs::create_dir(at.join("config")).expect("a folder");
    let path = at.join("devices.json");
    fs::write(at.join("config/config.toml"), format!("[paths]\ndevices = {:?}\n", path.display().to_string()))
        .expect("settings");
    assert_eq!(succeed(&bkbench(at, &["template", &dump, "--json", "--match"]))["similar"], found["similar"]);

    let code = succeed(&bkbench(at, &["template", &dump, "--qr", "--json"]));
    assert_eq!(code["qr"]["holds"], "the whole template");
    assert!(code["qr"]["rows"].as_array().is_some_and(|rows| rows.len() > 20));
    let configured = bkbench(at, &["template", &dump, "--mapping", "configured", "--json"]);
    assert_eq!(document(&configured)["error"]["code"], "E770", "factory firmware has no configuration of OpenBeken");
}

#[test]
fn a_search_says_what_only_decryption_shows() {
    let Some(dump) = sample(T.dump) else { return };
    let folder = folder();
    let path = dump.display().to_string();
    let found = succeed(&bkbench(folder.path(), &["search", &path, "user_param_key", "--json"]));
    assert_eq!(found["count"], 0);
    assert!(found["count_in_decrypted_store"].as_u64() > Some(0), "{}", found["count_in_decrypted_store"]);
}
