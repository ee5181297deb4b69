//! What is said and known behind a change of the chip, also one that ended early.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{bkbench, code, document, folder, sample, succeed};

const T_DUMP: &str = "dumps/ds-101jl-4gang-switch-t.bin";
const T_IMAGE: &str = "firmware/OpenBK7231T_QIO_1.18.300.bin";

fn run(at: &Path, link: &str, args: &[&str]) -> std::process::Output {
    bkbench(at, &[&["--link", link], args, &["--json"]].concat())
}

fn error(output: &std::process::Output) -> Value {
    document(output)["error"].clone()
}

fn registers(at: &Path) -> String {
    fs::read_to_string(at.join("chip.bin.state.toml")).expect("the registers")
}

#[test]
fn protect_off_is_put_back_without_a_backup_because_the_change_was_recorded() {
    for link in ["sim:wb2s?chip=chip.bin", "sim:cb3s?chip=chip.bin", "sim:cb3s?wire=uart&chip=chip.bin"] {
        let folder = folder();
        let at = folder.path();
        succeed(&run(at, link, &["info"]));
        let before = registers(at);
        let unknown = run(at, link, &["protect", "restore"]);
        assert_eq!((code(&unknown), error(&unknown)["code"].as_str()), (4, Some("E521")), "nothing was changed yet");
        succeed(&run(at, link, &["protect", "off"]));
        assert_ne!(registers(at), before, "{link}");
        // Once more finds it open: that is not what it was.
        succeed(&run(at, link, &["protect", "off"]));
        succeed(&run(at, link, &["protect", "restore"]));
        assert_eq!(registers(at), before, "{link}");
    }
}

#[test]
fn a_refused_change_of_the_protection_names_its_one_cause() {
    let folder = folder();
    let at = folder.path();
    let basic = error(&run(at, "sim:wb2s?wire=uart", &["protect", "off"]));
    assert_eq!(basic["code"], "E503");
    assert!(basic["cause"].as_str().expect("a cause").contains("boot loader"), "{basic}");
    assert!(basic["remedy"].as_str().expect("a remedy").contains("SPI"), "{basic}");

    // SRP1 is set: only the supply ends that lock.
    let link = "sim:wb2s?chip=chip.bin";
    succeed(&run(at, link, &["info"]));
    let state = registers(at);
    let locked =
        state.replace(state.lines().find(|line| line.starts_with("status")).expect("a line"), "status = [128, 65, 0]");
    fs::write(at.join("chip.bin.state.toml"), locked).expect("the registers");
    let refused = run(at, link, &["protect", "off"]);
    let refused_error = error(&refused);
    assert_eq!((code(&refused), refused_error["code"].as_str()), (4, Some("E503")), "{refused_error}");
    let cause = refused_error["cause"].as_str().expect("a cause");
    assert!(cause.contains("SRP1") && cause.contains("E330"), "{refused_error}");
    assert!(!refused_error["remedy"].as_str().expect("a remedy").contains("basic boot loader"), "{refused_error}");
}

#[test]
fn an_erase_of_the_boot_loader_over_spi_is_refused_without_a_word_of_one_that_serves_the_link() {
    for link in ["sim:wb2s?wire=spi", "sim:cb3s?wire=spi", "sim:cb3s?wire=uart"] {
        let folder = folder();
        let at = folder.path();
        let erase = ["erase", "--start", "0x1000", "--length", "4K", "--yes"];
        let refused = run(at, link, &erase);
        let refused_error = error(&refused);
        assert_eq!((code(&refused), refused_error["code"].as_str()), (4, Some("E412")), "{link}: {refused_error}");
        let words = refused_error.to_string();
        assert!(
            !words.contains("serves this") && !words.contains("use SPI") && !words.contains("--at"),
            "{link}: {words}"
        );
    }
    let folder = folder();
    let refused = run(folder.path(), "sim:wb2s?wire=uart", &["erase", "--start", "0x1000", "--length", "4K", "--yes"]);
    assert!(error(&refused).to_string().contains("serves this very link"));
}

#[test]
fn verify_behind_a_uart_write_of_a_qio_compares_what_the_write_was_meant_to_change() {
    let (Some(dump), Some(image)) = (sample(T_DUMP), sample(T_IMAGE)) else { return };
    let folder = folder();
    let at = folder.path();
    let image = image.canonicalize().expect("the image").display().to_string();
    let link = format!("sim:wb2s?wire=uart&image={}&chip=chip.bin", dump.display());
    succeed(&run(at, &link, &["write", &image, "--yes"]));
    let verified = succeed(&run(at, &link, &["verify", &image]));
    assert_eq!(verified["span"]["start"], "0x011000", "{verified}");
    assert_eq!(verified["left_alone"]["start"], "0x000000", "{verified}");
    assert_eq!(verified["left_alone"]["end"], "0x011000", "{verified}");
    // Over SPI the whole image counts, and the old boot loader is another one.
    let spi = run(at, &link.replace("wire=uart", "wire=spi"), &["verify", &image]);
    assert_eq!((code(&spi), error(&spi)["code"].as_str()), (5, Some("E512")));
    // What was asked for by name is compared as asked.
    let named = run(at, &link, &["verify", &image, "--at", "0"]);
    assert_eq!((code(&named), error(&named)["code"].as_str()), (5, Some("E512")));
}

#[test]
fn a_cut_in_a_boot_loader_over_spi_says_what_must_not_be_done_and_nothing_against_it() {
    let (Some(dump), Some(image)) = (sample(T_DUMP), sample(T_IMAGE)) else { return };
    let folder = folder();
    let at = folder.path();
    let image = image.canonicalize().expect("the image").display().to_string();
    let link = format!("sim:wb2s?wire=spi&image={}&chip=chip.bin", dump.display());
    succeed(&run(at, &link, &["read"]));
    let cut = run(at, &format!("{link}&faults=power-cut:5"), &["write", &image, "--yes"]);
    assert_eq!(code(&cut), 3, "{}", error(&cut));
    let next = document(&cut)["next"].as_str().expect("a next step").to_owned();
    assert!(next.starts_with("keep the module powered") && next.contains("only SPI reaches it"), "{next}");
    assert!(next.ends_with("connect again, then `bkbench resume`"), "{next}");
}

#[test]
fn a_wholly_erased_chip_over_spi_is_given_its_chip_by_a_typed_phrase_and_resumed_like_any_other() {
    let Some(image) = sample(T_IMAGE) else { return };
    let folder = folder();
    let at = folder.path();
    let image = image.canonicalize().expect("the image").display().to_string();
    std::fs::write(at.join("empty.bin"), vec![0xFF; 0x20_0000]).expect("an erased flash");
    let link = "sim:wb2s?wire=spi&image=empty.bin&chip=chip.bin";
    let bare = run(at, link, &["write", &image, "--yes"]);
    let words = error(&bare).to_string();
    assert_eq!(code(&bare), 5, "{words}");
    assert!(words.contains("I can lose this firmware"), "the phrase that helps here is named: {words}");
    let bypass = ["write", &image, "--yes", "--no-backup", "I can lose this firmware"];
    let unknown = run(at, link, &bypass);
    assert_eq!((code(&unknown), error(&unknown)["code"].as_str()), (4, Some("E448")), "{}", error(&unknown));
    let phrase = "this erased chip is a BK7231T";
    assert!(error(&unknown)["remedy"].as_str().expect("a remedy").contains(phrase));
    let wrong = [&bypass[..], &["--erased-chip", "this erased chip is a BK7231X"]].concat();
    assert_eq!(error(&run(at, link, &wrong))["code"], "E448");
    let other = [&bypass[..], &["--erased-chip", "this erased chip is a BK7231N"]].concat();
    assert_eq!(error(&run(at, link, &other))["code"], "E401", "the image is for a T");
    assert!(fs::read(at.join("chip.bin")).expect("the chip").iter().all(|byte| *byte == 0xFF));

    let meant = [&bypass[..], &["--erased-chip", phrase]].concat();
    let cut = run(at, &format!("{link}&faults=power-cut:900"), &meant);
    assert_eq!(code(&cut), 3, "{}", error(&cut));
    succeed(&run(at, link, &["resume", "--yes"]));
    let (chip, image) = (fs::read(at.join("chip.bin")).expect("the chip"), fs::read(&image).expect("the image"));
    assert!(chip[..image.len()] == image && chip[image.len()..].iter().all(|byte| *byte == 0xFF));

    // What holds anything at all is asked, and no phrase counts.
    fs::write(at.join("chip.bin"), [vec![0xFF; 0x1F_FFFF], vec![0x00]].concat()).expect("the chip");
    assert_eq!(error(&run(at, link, &meant))["code"], "E402");
}
