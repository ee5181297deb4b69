//! Putting back what a chip held: whole, or the RF block alone; and keeping it where another chip's dump is written.

use std::fs;
use std::path::{Path, PathBuf};

use bkbench::job::CONSENT_PHRASE;
use bkbench::link::sim::{Module, Setup};

use crate::support::bench::{Bench, image};
use crate::support::{Numbers, bkbench, code, document, folder, succeed};

const LINK: &str = "sim:wb2s?chip=chip.bin";
const RF: std::ops::Range<usize> = 0x1E_0000..0x1E_1000;

/// A chip in a file, with a proven backup `b.bin` of it.
fn chip() -> (tempfile::TempDir, Vec<u8>) {
    let folder = folder();
    succeed(&bkbench(folder.path(), &["--link", LINK, "read", "-o", "b.bin", "--json"]));
    let content = fs::read(folder.path().join("chip.bin")).expect("the chip");
    (folder, content)
}

fn run(at: &Path, args: &[&str]) -> std::process::Output {
    bkbench(at, &[&["--link", LINK], args, &["--json"]].concat())
}

fn refused(at: &Path, args: &[&str]) -> String {
    let before = fs::read(at.join("chip.bin")).expect("the chip");
    let output = run(at, args);
    assert_eq!(code(&output), 4, "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before, "the chip was changed");
    document(&output)["error"]["code"].as_str().expect("a code").to_owned()
}

fn change_chip(at: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut content = fs::read(at.join("chip.bin")).expect("the chip");
    change(&mut content);
    fs::write(at.join("chip.bin"), &content).expect("the chip");
    content
}

#[test]
fn a_backup_is_put_back_byte_for_byte_and_the_protection_with_it() {
    let (folder, before) = chip();
    let at = folder.path();
    let status = fs::read(at.join("chip.bin.state.toml")).expect("the registers");
    change_chip(at, |chip| {
        chip[0x2_0000..0x3_0000].fill(0);
        chip[0x1F_0123] ^= 0xFF;
        // Calibration that something overwrote; the MAC is still there.
        chip[RF.start + 0x200] ^= 0x55;
    });
    // The application was changed by somebody else, which a person has to vouch for; and the calibration too.
    assert_eq!(refused(at, &["restore", "b.bin", "--yes"]), "E444");
    assert_eq!(refused(at, &["restore", "b.bin", "--yes", "--this-chip", "yes"]), "E444");
    let report = succeed(&run(at, &["restore", "b.bin", "--yes", "--this-chip", CONSENT_PHRASE]));
    assert_eq!((&report["report"]["verified"], &report["report"]["kept_proven"]), (&true.into(), &true.into()));
    assert_eq!(report["report"]["plan"]["change"], "restore");
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before);
    assert!(fs::read(at.join("chip.bin.state.toml")).expect("the registers") == status);
}

#[test]
fn only_a_proven_backup_of_this_very_chip_is_put_back() {
    let (folder, before) = chip();
    let at = folder.path();
    // Another chip of the same kind: another MAC.
    succeed(&bkbench(at, &["--link", "sim:wb2s?seed=77", "read", "-o", "other.bin", "--json"]));
    assert!(fs::read(at.join("other.bin")).expect("it") != before);
    assert_eq!(refused(at, &["restore", "other.bin", "--yes"]), "E415");
    assert_eq!(
        refused(at, &["restore", "other.bin", "--mac-lost", "--yes"]),
        "E415",
        "there is a MAC, and it is another"
    );
    assert_eq!(refused(at, &["rf", "rebuild", "other.bin", "--yes"]), "E415");

    // Another flash part.
    succeed(&bkbench(at, &["--link", "sim:wb2s?flash=ef4015", "read", "-o", "part.bin", "--json"]));
    assert_eq!(refused(at, &["restore", "part.bin", "--yes"]), "E422");

    // Changed on disk, and without manifest.
    let mut changed = before.clone();
    changed[0x5000] ^= 1;
    fs::write(at.join("b.bin"), changed).expect("written");
    let output = run(at, &["restore", "b.bin", "--yes"]);
    assert_eq!((code(&output), document(&output)["error"]["code"].as_str()), (2, Some("E124")));
    fs::write(at.join("plain.bin"), &before).expect("written");
    let output = run(at, &["restore", "plain.bin", "--yes"]);
    assert_eq!((code(&output), document(&output)["error"]["code"].as_str()), (2, Some("E124")));
}

#[test]
fn the_rf_block_is_rebuilt_from_the_backup_and_nothing_else_is_touched() {
    let (folder, before) = chip();
    let at = folder.path();
    let damaged = change_chip(at, |chip| {
        chip[RF.start + 0x300] ^= 0xFF;
        chip[0x14_0000] ^= 0xFF;
    });
    let report = succeed(&run(at, &["rf", "rebuild", "b.bin", "--yes"]));
    assert_eq!(report["report"]["sectors"]["erased"], 1);
    assert_eq!(report["report"]["sectors"]["programmed"], 1);
    let mut wanted = damaged;
    wanted[RF].copy_from_slice(&before[RF]);
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == wanted);
}

#[test]
fn a_chip_that_lost_its_mac_gets_it_back_on_a_person_s_word_only() {
    let (folder, before) = chip();
    let at = folder.path();
    change_chip(at, |chip| chip[RF].fill(0xFF));
    assert_eq!(refused(at, &["rf", "rebuild", "--yes"]), "E423");
    assert_eq!(refused(at, &["rf", "rebuild", "b.bin", "--yes"]), "E415");
    assert_eq!(refused(at, &["restore", "b.bin", "--yes"]), "E415");
    let report = succeed(&run(at, &["rf", "rebuild", "b.bin", "--mac-lost", "--yes"]));
    assert!(report["report"]["plan"]["notes"].to_string().contains("said by a person"), "{report}");
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before);
}

#[test]
fn the_rf_block_is_taken_out_of_a_backup_without_a_chip() {
    let (folder, before) = chip();
    let at = folder.path();
    let done = succeed(&bkbench(at, &["rf", "extract", "b.bin", "-o", "rf.bin", "--json"]));
    assert_eq!(done["span"]["start"], "0x1E0000");
    assert!(fs::read(at.join("rf.bin")).expect("the block") == before[RF]);
    let again = bkbench(at, &["rf", "extract", "b.bin", "-o", "rf.bin", "--json"]);
    assert_eq!(code(&again), 2, "nothing is overwritten");
}

#[test]
fn a_dump_of_another_chip_is_written_with_this_chip_s_own_rf_block() {
    let module = |seed| Module::new(Setup::new("wb2s").expect("a module").seed(seed)).expect("a module");
    let (module, mut foreign) = (module(1), module(2).flash());
    let own = module.flash();
    assert!(own[RF] != foreign[RF], "two modules share a MAC");
    // Something to write.
    foreign[0x14_0000..0x14_5000].copy_from_slice(&Numbers(1).bytes(0x5000));
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    let report = bench.write(image(&foreign, None, &backup)).expect("written");
    assert!(report.plan.notes.iter().any(|note| note.contains("keeps what this chip has")), "{:?}", report.plan.notes);
    assert!(report.guarded.contains("RF calibration and MAC equal to the backup"), "{}", report.guarded);
    foreign[RF].copy_from_slice(&own[RF]);
    assert!(module.flash() == foreign);
}

#[test]
fn what_the_chip_will_hold_is_written_to_a_file_on_request() {
    let (folder, before) = chip();
    let at = folder.path();
    let out: PathBuf = at.join("afterwards.bin");
    let args = ["erase", "--start", "0x140000", "--length", "4K", "--dry-run", "--image-out", "afterwards.bin"];
    succeed(&run(at, &args));
    let mut wanted = before.clone();
    wanted[0x14_0000..0x14_1000].fill(0xFF);
    assert!(fs::read(out).expect("the file") == wanted);
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before, "a dry run changes nothing");
}
