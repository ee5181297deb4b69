//! `write IMAGE --config FILE`: a module that comes up configured, over both wires, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use bkbench::image::Family;
use bkbench::image::inspect::{Secrets, inspect, inspect_with};
use bkbench::image::openbeken::provision;
use bkbench::image::openbeken::provisioning::{Passwords, ProvisioningFile};
use serde_json::Value;

use crate::support::{bkbench, code, document, folder, sample, succeed};

const PASSWORD: &str = "correct horse battery";
const MQTT_PASSWORD: &str = "tr0ub4dor&3";
const WISH: &str = "name = \"kitchen-plug\"\nshort_name = \"kplug\"\n[wifi]\nssid = \"somewhere\"\npassword_file = \"wifi.txt\"\n\
                    [mqtt]\nhost = \"192.168.1.2\"\nport = 1884\nuser = \"plugs\"\npassword_file = \"mqtt.txt\"\n";

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("rights");
}

/// A folder with the wish and its passwords.
fn desk() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("plug.toml"), WISH).expect("the wish");
    private(&folder.path().join("wifi.txt"), &format!("{PASSWORD}\n"));
    private(&folder.path().join("mqtt.txt"), MQTT_PASSWORD);
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Over one wire, from a factory module to one that OpenBeken finds configured.
fn configured(dump: &str, image: &str, module: &str, wire: &str, sector: usize, rf: usize) {
    let (Some(dump), Some(image)) = (sample(dump), sample(image)) else { return };
    let folder = desk();
    let at = folder.path();
    let link = format!("sim:{module}?image={}&chip=chip.bin&wire={wire}", dump.display());
    let image = image.canonicalize().expect("the image").display().to_string();
    let write = |more: &[&str]| {
        let args = [&["--link", &link, "write", &image, "--config", "plug.toml", "--json"], more].concat();
        bkbench(at, &args)
    };

    let before = fs::read(&dump).expect("the dump");
    let shown = write(&["--dry-run"]);
    for text in [&shown.stdout, &shown.stderr] {
        assert!(
            !holds(text, PASSWORD) && !holds(text, MQTT_PASSWORD) && !holds(text, "somewhere"),
            "a secret is shown"
        );
    }
    let shown = succeed(&shown);
    let start = format!("0x{sector:06X}");
    let runs = shown["plan"]["runs"].as_array().expect("runs");
    assert!(runs.iter().any(|run| run["span"]["start"] == start.as_str() && run["action"] != "keep"), "{runs:?}");
    let changes = shown["config"]["changes"].to_string();
    assert!(changes.contains("kitchen-plug") && !changes.contains(PASSWORD), "every changed field is shown, masked");
    assert_eq!(shown["config"]["sets"]["wifi_password"], "***");
    assert_eq!(shown["config"]["sets"]["long_name"], "kitchen-plug");
    let reasons = shown["config"]["reasons"].as_array().expect("reasons");
    assert!(
        reasons.iter().any(|reason| reason.as_str().is_some_and(|text| text.contains("rl1_pin: relay 1"))),
        "{reasons:?}"
    );
    if let Ok(chip) = fs::read(at.join("chip.bin")) {
        assert!(chip == before, "a dry run changed the chip");
    }

    // What is agreed to covers the configuration: another password is another hash.
    private(&at.join("wifi.txt"), "another password");
    let other = succeed(&write(&["--dry-run"]));
    assert_ne!(other["plan"]["hash"], shown["plan"]["hash"]);
    let stale = write(&["--plan", shown["plan"]["hash"].as_str().expect("a hash")]);
    assert_eq!((code(&stale), document(&stale)["error"]["code"].as_str()), (4, Some("E103")));
    private(&at.join("wifi.txt"), PASSWORD);

    let written = write(&["--plan", shown["plan"]["hash"].as_str().expect("a hash")]);
    for text in [&written.stdout, &written.stderr] {
        assert!(!holds(text, PASSWORD) && !holds(text, MQTT_PASSWORD), "a secret is shown");
    }
    let written = succeed(&written);
    assert_eq!(written["report"]["verified"], true);
    assert_eq!(written["config"]["read_back"], true);

    let after = fs::read(at.join("chip.bin")).expect("the chip");
    let flashed = fs::read(&image).expect("the image");
    // The boot loader of a T serves the link and is left alone; an N is served by its ROM.
    let from = if wire == "uart" && module == T[2] { 0x11000 } else { 0 };
    let mut wanted = before.clone();
    wanted[from..flashed.len()].copy_from_slice(&flashed[from..]);
    wanted[sector..sector + 4096].copy_from_slice(&after[sector..sector + 4096]);
    assert!(after == wanted, "something besides image and configuration changed");
    assert!(after[rf..rf + 4096] == before[rf..rf + 4096]);

    let config = inspect_with(&after, Secrets::Shown).openbeken_config.expect("a configuration");
    let expected = [
        ("wifi_ssid", "somewhere"),
        ("wifi_password", PASSWORD),
        ("mqtt_host", "192.168.1.2"),
        ("mqtt_user", "plugs"),
        ("mqtt_password", MQTT_PASSWORD),
        ("short_name", "kplug"),
        ("long_name", "kitchen-plug"),
    ];
    for (name, text) in expected {
        assert!(config[name] == text, "{name} differs");
    }
    let client_id = config["mqtt_client_id"].as_str().expect("a client id");
    assert!(client_id.starts_with("obk") && client_id.len() == 11, "a short name alone is not the client id");
    assert_eq!((config["crc_ok"].clone(), config["version"].clone()), (Value::from(true), Value::from(5)));
    assert_eq!(config["mqtt_port"], 1884);
    // The pins are those of the template, and the template of the module is now that of its configuration.
    let template = inspect(&before).template_recommended.expect("a template");
    let pins = inspect(&after).template_configured.expect("a template").pins();
    assert_eq!(pins, template.pins());

    // Nothing that stays on the disk has a password: no report, no record.
    for path in files(&at.join("data")) {
        let bytes = fs::read(&path).expect("a file");
        assert!(!holds(&bytes, PASSWORD) && !holds(&bytes, MQTT_PASSWORD), "{} holds a password", path.display());
    }

    let again = succeed(&write(&["--yes"]));
    assert_eq!(again["report"]["sectors"]["programmed"], 0, "the same again changes nothing");
}

const T: [&str; 3] = ["dumps/ds-101jl-4gang-switch-t.bin", "firmware/OpenBK7231T_QIO_1.18.300.bin", "wb2s"];
const N: [&str; 3] = ["dumps/lspa9-clone-first-n.bin", "firmware/OpenBK7231N_QIO_1.18.300.bin", "cb3s"];

#[test]
fn a_t_comes_up_configured_over_spi() {
    configured(T[0], T[1], T[2], "spi", 0x1E_1000, 0x1E_0000);
}

#[test]
fn a_t_comes_up_configured_over_uart() {
    configured(T[0], T[1], T[2], "uart", 0x1E_1000, 0x1E_0000);
}

#[test]
fn an_n_comes_up_configured_over_spi() {
    configured(N[0], N[1], N[2], "spi", 0x1D_1000, 0x1D_0000);
}

#[test]
fn an_n_comes_up_configured_over_uart() {
    configured(N[0], N[1], N[2], "uart", 0x1D_1000, 0x1D_0000);
}

#[test]
fn what_cannot_be_configured_is_refused_before_the_chip_is_touched() {
    let Some(image) = sample(T[1]).and_then(|path| path.canonicalize().ok()) else { return };
    let folder = desk();
    let at = folder.path();
    let refused = |image: &str, config: &str| {
        let output = bkbench(at, &["--link", "sim:wb2s", "write", image, "--config", config, "--yes", "--json"]);
        let error = document(&output)["error"].clone();
        assert!(!error.to_string().contains(PASSWORD));
        (code(&output), error["code"].as_str().expect("a code").to_owned())
    };
    let image = image.display().to_string();
    fs::write(at.join("factory.bin"), &fs::read(&image).expect("the image")[..0x2_0000]).expect("a part");
    assert_eq!(refused("factory.bin", "plug.toml"), (4, "E438".to_owned()));
    fs::write(at.join("open.toml"), "[wifi]\nssid = \"a\"\npassword = \"12345678\"").expect("a wish");
    assert_eq!(refused(&image, "open.toml"), (4, "E615".to_owned()), "others may read the password");
    private(&at.join("short.toml"), "[wifi]\nssid = \"a\"\npassword = \"1234567\"");
    assert_eq!(refused(&image, "short.toml"), (2, "E147".to_owned()));
    fs::write(at.join("typo.toml"), "nmae = \"a\"").expect("a wish");
    assert_eq!(refused(&image, "typo.toml"), (2, "E148".to_owned()));
    fs::write(at.join("ask.toml"), "[wifi]\nssid = \"a\"").expect("a wish");
    assert_eq!(refused(&image, "ask.toml"), (2, "E771".to_owned()), "there is no terminal to ask on");
    fs::write(at.join("broken.json"), "{\"pins\": {\"6\": \"Rel;1\" \"7\": \"Btn;1\"}}").expect("a template");
    fs::write(at.join("broken.toml"), "template = \"broken.json\"").expect("a wish");
    assert_eq!(refused(&image, "broken.toml"), (2, "E772".to_owned()));
    private(&at.join("empty.txt"), "\n");
    for (text, expected) in [
        ("[wifi]\nssid = \"a\"\npassword_file = \"empty.txt\"", "E773"),
        ("[mqtt]\nport = 0", "E147"),
        ("[mqtt]\nclient_id = \"\"", "E147"),
        ("[pins]\n10 = \"PWM;1\"", "E147"),
        ("[pins]\n29 = \"Rel;1\"", "E147"),
        ("[pins]\n26 = \"Rel;64\"", "E147"),
    ] {
        fs::write(at.join("bad.toml"), text).expect("a file");
        assert_eq!(refused(&image, "bad.toml"), (2, expected.to_owned()), "{text}");
    }
}

/// Names as people have them, the longest password and a start-up command of three lines, on the practice module's flash.
#[test]
fn names_in_any_script_come_back_byte_for_byte_and_inspect_shows_them() {
    let command = "startDriver BL0937\nbacklog setChannel 1 1; echo přízemí 🍳\necho 台所";
    let password = format!("{}heslo", "🛜ř台".repeat(6) + "1234");
    assert_eq!(password.len(), 63);
    for (module, chip, place) in [("wb2s", Family::Bk7231T, 0x1E_1000), ("cb3s", Family::Bk7231N, 0x1D_1000)] {
        for name in ["Kuchyňský vypínač", "台所のスイッチ", "🍳 kitchen 👩‍🍳"] {
            let folder = folder();
            let at = folder.path();
            succeed(&bkbench(at, &["--link", &format!("sim:{module}?chip=chip.bin"), "info", "--json"]));
            let mut dump = fs::read(at.join("chip.bin")).expect("a chip");
            let text = serde_json::json!({
                "name": name, "short_name": "台所", "command": command, "wifi": {"ssid": "síť 🛜", "password": password},
            });
            let file = ProvisioningFile::parse(text.to_string().as_bytes()).expect("a provisioning file");
            let passwords = Passwords { wifi: Some(password.clone()), ..Passwords::default() };
            let wanted = file.resolve(&passwords, None).expect("a provisioning");
            let made = provision::sector(&dump[place..place + 4096], chip, None, &wanted, Some(&dump));
            let made = made.unwrap_or_else(|error| panic!("{error}"));
            let pins = inspect(&dump).template_recommended.expect("a pin map").pins();
            dump[place..place + 4096].copy_from_slice(&made.sector);
            fs::write(at.join("dump.bin"), &dump).expect("a dump");

            let shown = succeed(&bkbench(at, &["inspect", "dump.bin", "--show-secrets", "--json"]));
            let config = &shown["openbeken_config"];
            let expected = [
                ("long_name", name),
                ("short_name", "台所"),
                ("start_up_command", command),
                ("wifi_ssid", "síť 🛜"),
                ("wifi_password", &password),
            ];
            for (field, text) in expected {
                assert_eq!(config[field], text, "{module}");
            }
            assert_eq!(config["crc_ok"], true);
            assert_eq!(inspect(&dump).template_configured.expect("a template").pins(), pins);
            let masked = bkbench(at, &["inspect", "dump.bin"]);
            assert!(holds(&masked.stdout, name) && holds(&masked.stdout, "přízemí 🍳\\necho 台所"), "{module}");
            assert!(!holds(&masked.stdout, &password) && !holds(&masked.stdout, "síť"), "a secret is shown");
        }
    }
}

#[test]
fn files_go_into_the_file_area_in_the_same_plan_and_the_plan_says_when_they_go() {
    use bkbench::image::littlefs::{Area, image};
    let (Some(dump), Some(image_file)) = (sample(T[0]), sample(T[1])) else { return };
    let folder = desk();
    let at = folder.path();
    // The module has two files already.
    let mut before = fs::read(&dump).expect("the dump");
    let old = [("autoexec.bat".to_owned(), b"old".to_vec()), ("keep.txt".to_owned(), b"kept".to_vec())];
    before[0x1A_B000..0x1B_3000].copy_from_slice(&image(0x8000, &old).expect("an image"));
    fs::write(at.join("module.bin"), &before).expect("a file");
    fs::write(at.join("autoexec.bat"), b"startDriver BL0942\n").expect("a file");
    fs::write(at.join("plug.toml"), format!("files = [\"autoexec.bat\"]\n{WISH}")).expect("the wish");
    let link = format!("sim:{}?image=module.bin&chip=chip.bin&wire=spi", T[2]);
    let flash = image_file.canonicalize().expect("the image").display().to_string();
    let args = ["--link", &link, "write", &flash, "--config", "plug.toml", "--yes", "--json"];
    let written = succeed(&bkbench(at, &args));
    assert_eq!(written["report"]["verified"], true);
    let reasons = written["config"]["reasons"].to_string();
    assert!(
        reasons.contains("file autoexec.bat: 19 bytes, added") && reasons.contains("file keep.txt: 4 bytes, kept"),
        "{reasons}"
    );
    let after = fs::read(at.join("chip.bin")).expect("the chip");
    let area = Area::of_dump(&after).expect("a file area");
    assert!(area.expected);
    let content = |path: &str| area.files.file(path).and_then(|file| file.content.clone());
    assert_eq!(content("autoexec.bat").as_deref(), Some(&b"startDriver BL0942\n"[..]));
    assert_eq!(content("keep.txt").as_deref(), Some(&b"kept"[..]));
    assert!(after[0x1E_0000..0x1E_1000] == before[0x1E_0000..0x1E_1000], "the RF block is as it was");

    let erase = ["--link", &link, "erase", "--start", "0x1AB000", "--length", "32K", "--dry-run", "--json"];
    let plan = succeed(&bkbench(at, &erase));
    let notes = plan["plan"]["notes"].to_string();
    assert!(notes.contains("autoexec.bat, keep.txt"), "{notes}");
}
