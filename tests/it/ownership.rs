//! Whose chip it is, by content: which backup counts, what explains a difference, what a person has to vouch for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use bkbench::job::{CONSENT_PHRASE, STRONG_CONSENT_PHRASE};
use serde_json::Value;

use crate::support::{bkbench, code, document, folder, sample, succeed};

const LINK: &str = "sim:wb2s?chip=chip.bin";
const RF: std::ops::Range<usize> = 0x1E_0000..0x1E_1000;
/// A sector of the application.
const APPLICATION: usize = 0x4_0000;
/// A sector of the Tuya store.
const STORE: usize = 0x1F_0000;
/// An erase in the over-the-air area, the smallest change there is.
const ERASE: [&str; 6] = ["erase", "--start", "0x140000", "--length", "4K", "--yes"];

fn run(at: &Path, link: &str, args: &[&str]) -> Output {
    bkbench(at, &[&["--json", "--link", link], args].concat())
}

/// A chip in a file, with a backup of it where backups are kept.
fn chip() -> tempfile::TempDir {
    let folder = folder();
    succeed(&run(folder.path(), LINK, &["read"]));
    folder
}

fn change(at: &Path, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let path = at.join("chip.bin");
    let mut content = fs::read(&path).expect("the chip");
    change(&mut content);
    fs::write(&path, &content).expect("the chip");
    content
}

fn backups(at: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(at.join("data/backups")).expect("the backups").filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|is| is == "bin")).collect()
}

/// The backup that a report names.
fn behind(report: &Value) -> PathBuf {
    report["report"]["backup"].as_str().expect("a backup").into()
}

fn error(output: &Output) -> (i32, String) {
    (code(output), document(output)["error"]["code"].as_str().expect("a code").to_owned())
}

/// Something to erase, so that there is work to do.
fn with_work(chip: &mut [u8]) {
    chip[0x14_0000..0x14_1000].fill(0x55);
}

#[test]
fn a_backup_of_one_chip_never_counts_for_another_with_the_same_rf_block() {
    let (Some(one), Some(other)) =
        (sample("dumps/ds-101jl-4gang-switch-t.bin"), sample("dumps/daybetter-rgb-strip-t.bin"))
    else {
        return;
    };
    let (one, mut other) = (fs::read(one).expect("a dump"), fs::read(other).expect("a dump"));
    other[RF].copy_from_slice(&one[RF]);
    with_work(&mut other);
    for wire in ["spi", "uart"] {
        let folder = folder();
        let at = folder.path();
        fs::write(at.join("one.bin"), &one).expect("a chip");
        fs::write(at.join("chip.bin"), &other).expect("a chip");
        let link = |chip: &str| format!("sim:wb2s?wire={wire}&chip={chip}.bin");
        let first = succeed(&run(at, &link("one"), &["read"]));
        let first = PathBuf::from(first["file"].as_str().expect("a file"));

        let info = succeed(&run(at, &link("chip"), &["info"]));
        assert_eq!(info["backup"], Value::Null, "{wire}: {info}");
        let report = succeed(&run(at, &link("chip"), &ERASE));
        assert_ne!(behind(&report), first, "{wire}");
        assert!(fs::read(behind(&report)).expect("a backup") == other, "{wire}: the backup is of the chip as it was");
        assert_eq!(backups(at).len(), 2, "{wire}");

        let before = fs::read(at.join("chip.bin")).expect("the chip");
        let restore = run(at, &link("chip"), &["restore", first.to_str().expect("a name"), "--yes"]);
        // Over UART the boot loader, which differs too, is out of reach anyway.
        let refusal = if wire == "uart" { "E412" } else { "E444" };
        assert_eq!(error(&restore), (4, refusal.to_owned()), "{wire}");
        assert!(fs::read(at.join("chip.bin")).expect("the chip") == before, "{wire}: nothing changed");
    }
}

#[test]
fn an_edited_chip_key_does_not_make_a_backup_this_chips() {
    let folder = chip();
    let at = folder.path();
    let own = succeed(&run(at, LINK, &["info"]))["chip_key"].as_str().expect("a key").to_owned();
    succeed(&bkbench(at, &["--link", "sim:wb2s?seed=77", "read", "-o", "other.bin", "--json"]));
    let manifest = at.join("other.bin.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).expect("a manifest")).expect("JSON");
    json["chip_key"] = own.into();
    json.as_object_mut().expect("fields").remove("unique_hash");
    fs::write(&manifest, json.to_string()).expect("written");
    let before = fs::read(at.join("chip.bin")).expect("the chip");
    for args in [&["restore", "other.bin", "--yes"][..], &["rf", "rebuild", "other.bin", "--yes"]] {
        assert_eq!(error(&run(at, LINK, args)), (4, "E415".to_owned()), "{args:?}");
        let vouched = [args, &["--this-chip", STRONG_CONSENT_PHRASE]].concat();
        assert_eq!(error(&run(at, LINK, &vouched)).0, 4, "nobody can vouch for another chip's RF block");
    }
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before);
}

#[test]
fn a_write_of_ours_and_what_firmware_writes_explain_a_difference() {
    let folder = chip();
    let at = folder.path();
    change(at, with_work);
    let args = ["write", "data.bin", "--at", "0x150000", "--yes"];
    fs::write(at.join("data.bin"), [0x5A; 8192]).expect("an image");
    let first = succeed(&run(at, LINK, &args));
    // The module ran meanwhile and used its store.
    change(at, |chip| chip[STORE + 16] ^= 0xFF);
    let second = succeed(&run(at, LINK, &ERASE));
    assert_eq!(behind(&first), behind(&second));
    assert_eq!(backups(at).len(), 1, "no other backup was needed");
}

#[test]
fn a_chip_that_went_on_living_is_backed_up_again_before_a_write() {
    let folder = chip();
    let at = folder.path();
    let old = backups(at).remove(0);
    let lived_on = change(at, |chip| {
        with_work(chip);
        chip[APPLICATION] ^= 0xFF;
    });
    let report = succeed(&run(at, LINK, &ERASE));
    assert_ne!(behind(&report), old);
    assert!(fs::read(behind(&report)).expect("a backup") == lived_on);
}

#[test]
fn a_backup_goes_back_onto_a_chip_that_went_on_living_only_on_a_typed_word_and_what_was_there_is_kept() {
    for (uid, phrase, other) in [("&uid=none", CONSENT_PHRASE, "yes"), ("", CONSENT_PHRASE, STRONG_CONSENT_PHRASE)] {
        let link = format!("{LINK}{uid}");
        let folder = folder();
        let at = folder.path();
        let read = succeed(&run(at, &link, &["read"]));
        let backup = read["file"].as_str().expect("a file").to_owned();
        let factory = fs::read(&backup).expect("the backup");
        let lived_on = change(at, |chip| chip[APPLICATION] ^= 0xFF);
        assert_eq!(error(&run(at, &link, &["restore", &backup, "--yes"])), (4, "E444".to_owned()));
        assert!(fs::read(at.join("chip.bin")).expect("the chip") == lived_on);
        assert!(backups(at).iter().any(|kept| fs::read(kept).expect("a backup") == lived_on), "what is there is kept");
        if other == "yes" {
            assert_eq!(error(&run(at, &link, &["restore", &backup, "--yes", "--this-chip", other])).0, 4);
        }
        let report = succeed(&run(at, &link, &["restore", &backup, "--yes", "--this-chip", phrase]));
        assert!(report["report"]["plan"]["notes"].to_string().contains("0x040000"), "{report}");
        assert!(fs::read(at.join("chip.bin")).expect("the chip") == factory);
    }
}

#[test]
fn a_default_mac_needs_the_stronger_word() {
    // Where MAC and name stand in the RF block of the factory-like image.
    let folder = folder();
    let at = folder.path();
    let link = format!("{LINK}&uid=none");
    succeed(&run(at, &link, &["info"]));
    let mac = RF.start + 0x24;
    change(at, |chip| chip[mac..mac + 6].copy_from_slice(&[0xC8, 0x47, 0x8C, 0x00, 0x00, 0x00]));
    let read = succeed(&run(at, &link, &["read"]));
    let backup = read["file"].as_str().expect("a file").to_owned();
    change(at, |chip| chip[APPLICATION] ^= 0xFF);
    for (phrase, ends) in [(CONSENT_PHRASE, 4), (STRONG_CONSENT_PHRASE, 0)] {
        let args = ["restore", &backup, "--yes", "--this-chip", phrase];
        assert_eq!(code(&run(at, &link, &args)), ends, "{phrase}");
    }
}

#[test]
fn a_backup_made_with_the_clock_in_2099_does_not_stay_the_newest() {
    let folder = chip();
    let at = folder.path();
    let old = backups(at).remove(0);
    let manifest = PathBuf::from(format!("{}.json", old.display()));
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).expect("a manifest")).expect("JSON");
    json["time"] = "2099-01-01T00:00:00Z".into();
    fs::write(&manifest, json.to_string()).expect("written");
    // Only the store changed: both backups may be this chip's.
    change(at, |chip| chip[STORE + 16] ^= 0xFF);
    let new = succeed(&run(at, LINK, &["read"]));
    assert_eq!(succeed(&run(at, LINK, &["info"]))["backup"], new["file"]);
}

#[test]
fn a_manifest_of_an_earlier_version_still_counts() {
    let folder = chip();
    let at = folder.path();
    let old = backups(at).remove(0);
    let manifest = PathBuf::from(format!("{}.json", old.display()));
    let mut json: Value = serde_json::from_slice(&fs::read(&manifest).expect("a manifest")).expect("JSON");
    for field in ["sequence", "unique_hash"] {
        json.as_object_mut().expect("fields").remove(field);
    }
    fs::write(&manifest, json.to_string()).expect("written");
    change(at, with_work);
    assert_eq!(behind(&succeed(&run(at, LINK, &ERASE))), old);
}

/// A record as earlier versions wrote it: nothing in it that they did not know.
fn as_earlier_versions_did(at: &Path) {
    let folder = at.join("data/journal");
    let names = fs::read_dir(&folder).expect("the journals").filter_map(Result::ok).map(|entry| entry.path());
    let path = names.into_iter().find(|path| path.extension().is_some_and(|is| is == "journal")).expect("a record");
    let text = fs::read_to_string(&path).expect("a record");
    let (head, rest) = text.split_once('\n').expect("a head");
    let mut head: Value = serde_json::from_str(head).expect("JSON");
    for field in ["unique_hash", "size", "overlays", "before", "after", "astray", "consent"] {
        head.as_object_mut().expect("fields").remove(field);
    }
    fs::write(&path, format!("{head}\n{rest}")).expect("written");
}

#[test]
fn an_unfinished_write_of_an_earlier_version_is_still_ended() {
    let mac_lost = |chip: &mut [u8]| chip[RF].fill(0xFF);
    let as_it_is = |_: &mut [u8]| {};
    type Damage = fn(&mut [u8]);
    let jobs: [(&[&str], Damage, usize); 2] = [
        (&["erase", "--start", "0x140000", "--length", "8K"], as_it_is, 0x14_0000),
        (&["rf", "rebuild", "b.bin", "--mac-lost"], mac_lost, RF.start),
    ];
    for (job, damage, place) in jobs {
        let folder = folder();
        let at = folder.path();
        let read = succeed(&run(at, LINK, &["read", "-o", "b.bin"]));
        assert_eq!(read["proven"], true);
        change(at, |chip| {
            with_work(chip);
            chip[0x14_1000..0x14_2000].fill(0x55);
        });
        // The backup behind the write is of the chip as it is.
        succeed(&run(at, LINK, &["read"]));
        let before = change(at, damage);
        let cut = run(at, &format!("{LINK}&faults=power-cut:4"), &[job, &["--yes"]].concat());
        assert_eq!(code(&cut), 3, "{}", String::from_utf8_lossy(&cut.stderr));
        as_earlier_versions_did(at);
        let report = succeed(&run(at, LINK, &["resume", "--yes"]));
        assert_eq!(report["report"]["verified"], true);
        let after = fs::read(at.join("chip.bin")).expect("the chip");
        assert!(after != before && after[place..place + 16] != [0x55; 16], "{job:?}");
        let factory = fs::read(at.join("b.bin")).expect("the backup");
        assert!(after[RF] == factory[RF], "{job:?}");
        assert_eq!(fs::read_dir(at.join("data/journal")).expect("the journals").count(), 0);
    }
}

#[test]
fn a_backup_does_not_cover_a_chip_with_another_flash() {
    use bkbench::job::BackupProof;
    use bkbench::job::ownership::may_be_of;
    use bkbench::link::sim::{Module, Setup};

    use crate::support::bench::Bench;

    let module = Module::new(Setup::new("wb2s").expect("a module")).expect("a module");
    let mut bench = Bench::over(&module);
    let BackupProof::Proven(backup) = bench.back_up() else { panic!("a backup") };
    let identity = bench.view().identity.expect("identified");
    assert!(may_be_of(&backup, &identity, &[]));
    let mut larger = (*identity).clone();
    larger.flash.size = 0x100_0000;
    assert!(!may_be_of(&backup, &larger, &[]), "another size under the same MAC");
    let mut other = (*identity).clone();
    other.flash.jedec = Some("C8 40 18".to_owned());
    assert!(!may_be_of(&backup, &other, &[]), "another part under the same MAC");
    let mut other = (*identity).clone();
    other.flash.unique_hash = Some("another".to_owned());
    assert!(!may_be_of(&backup, &other, &[]), "another unique id under the same MAC");
}

#[test]
fn the_record_of_a_torn_rf_block_is_not_taken_for_a_healthy_chip_of_the_same_batch() {
    let folder = folder();
    let at = folder.path();
    // Over UART, where no unique id tells the two apart.
    let link = |chip: &str| format!("sim:wb2s?wire=uart&chip={chip}.bin");
    let read = succeed(&run(at, &link("chip"), &["read"]));
    let backup = read["file"].as_str().expect("a file").to_owned();
    let mut other = fs::read(at.join("chip.bin")).expect("the chip");
    change(at, |chip| chip[RF].fill(0xFF));
    let cut =
        run(at, &format!("{}&faults=power-cut:2", link("chip")), &["rf", "rebuild", &backup, "--mac-lost", "--yes"]);
    assert_eq!(code(&cut), 3, "{}", String::from_utf8_lossy(&cut.stderr));
    // The same factory, the same firmware, another MAC.
    other[RF.start + 0x24 + 5] ^= 0x5A;
    fs::write(at.join("other.bin"), &other).expect("a chip");
    let resumed = succeed(&run(at, &link("other"), &["resume", "--yes"]));
    assert_eq!(resumed["unfinished"], Value::Null, "{resumed}");
    assert!(fs::read(at.join("other.bin")).expect("a chip") == other);
    succeed(&run(at, &link("chip"), &["resume", "--yes"]));
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == fs::read(&backup).expect("the backup"));
}
