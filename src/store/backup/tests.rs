use tempfile::TempDir;

use super::*;

const SIZE: usize = 0x3_0000;

fn manifest(chip_key: &str, seconds: i64) -> Manifest {
    let provenance = Provenance {
        chip: Some(Family::Bk7231T),
        verdict: Verdict::Proven,
        chip_key: chip_key.to_owned(),
        jedec: Some("EB 60 15".into()),
        unique_hash: None,
        part: Some("TH25Q16HB".into()),
        status: Some([Some(0x14), Some(0), None]),
        link: "sim:wb2s".into(),
        simulated: true,
        speeds: (8_000_000, 4_000_000),
        supply: None,
        interruptions: Vec::new(),
        retries: 0,
        unstable: Vec::new(),
        rules: vec![Rule { name: "boot loader".into(), verdict: Verdict::NotChecked, what: "-".into() }],
        proven: true,
    };
    Manifest { time: Timestamp::from_second(1_770_000_000 + seconds).unwrap(), ..Manifest::new(provenance) }
}

fn flash(value: u8) -> Vec<u8> {
    (0..SIZE).map(|at| value ^ (at / 251) as u8).collect()
}

fn folder_with(backups: &[(&str, i64, u8)]) -> (TempDir, Vec<Saved>) {
    let folder = tempfile::tempdir().unwrap();
    let save = |(key, seconds, value): &(&str, i64, u8)| {
        save_backup(folder.path(), None, &flash(*value), manifest(key, *seconds)).unwrap()
    };
    let saved = backups.iter().map(save).collect();
    (folder, saved)
}

#[test]
fn a_backup_comes_back_with_its_manifest() {
    let (folder, saved) = folder_with(&[("0a1b2c3d4e5f", 0, 1)]);
    let name = saved[0].path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("2026-02-0") && name.ends_with("-BK7231T-0a1b2c3d.bin"), "{name}");
    assert_eq!(saved[0].manifest_path, folder.path().join(format!("{name}.json")));
    let backup = find_backup(folder.path(), "0a1b2c3d4e5f").unwrap();
    assert_eq!(&backup.bytes[..], flash(1));
    assert_eq!((backup.manifest.sha256(), backup.manifest.size), (&*sha256_hex(&flash(1)), SIZE as u64));
    assert_eq!(saved[0].sha256, backup.manifest.sha256());
    assert_eq!(backup.manifest.block_sha256().len(), 3);
    assert_eq!(backup.manifest.provenance, manifest("0a1b2c3d4e5f", 0).provenance);
    assert_eq!(backup.manifest.status(), Some([Some(0x14), Some(0), None]));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&saved[0].manifest_path).unwrap()).unwrap();
    assert_eq!(json["chip_verdict"], "proven");
    assert_eq!((json["time"].as_str(), json["chip"].as_str()), (Some("2026-02-02T02:40:00Z"), Some("BK7231T")));
}

#[test]
fn the_newest_backup_of_this_very_chip_is_found() {
    let (folder, saved) = folder_with(&[("chip-a", 0, 1), ("chip-a", 60, 2), ("chip-b", 120, 3)]);
    let found = find_backup(folder.path(), "chip-a").unwrap();
    assert_eq!(found.path, saved[1].path);
    assert_eq!(look_for_backup(folder.path(), "chip-c").unwrap(), Found::default());
}

#[test]
fn the_same_content_of_the_same_chip_is_not_written_twice() {
    let (folder, saved) = folder_with(&[("chip-a", 0, 1), ("chip-a", 60, 1), ("chip-b", 60, 1)]);
    assert!(!saved[0].already_had);
    assert_eq!((saved[1].already_had, &saved[1].path), (true, &saved[0].path));
    assert!(!saved[2].already_had);
    assert_eq!(list(folder.path()).unwrap().entries.len(), 2);
}

#[test]
fn an_unproven_copy_does_not_stand_in_for_a_proven_backup() {
    let folder = tempfile::tempdir().unwrap();
    let mut unproven = manifest("chip-a", 0);
    unproven.provenance.proven = false;
    save_backup(folder.path(), None, &flash(1), unproven.clone()).unwrap();
    assert_eq!(find_backup(folder.path(), "chip-a"), None);
    assert!(!save_backup(folder.path(), None, &flash(1), manifest("chip-a", 0)).unwrap().already_had);
    assert!(find_backup(folder.path(), "chip-a").is_some());
    assert!(save_backup(folder.path(), None, &flash(1), unproven).unwrap().already_had);
}

#[test]
fn a_changed_backup_is_skipped_with_the_place_of_the_change() {
    let (folder, saved) = folder_with(&[("chip-a", 0, 1), ("chip-a", 60, 2)]);
    let mut bytes = flash(2);
    bytes[0x1_0005] ^= 1;
    fs::write(&saved[1].path, &bytes).unwrap();
    let found = look_for_backup(folder.path(), "chip-a").unwrap();
    assert_eq!(found.backup.unwrap().path, saved[0].path);
    assert_eq!(found.skipped.len(), 1);
    assert_eq!(found.skipped[0].why, "its content was changed, first in the 64 KiB from 0x010000");
}

#[test]
fn truncated_missing_and_damaged_ones_are_skipped() {
    let (folder, saved) = folder_with(&[("chip-a", 0, 1), ("chip-a", 60, 2), ("chip-a", 120, 3)]);
    fs::write(&saved[0].path, &flash(1)[..100]).unwrap();
    fs::write(&saved[1].manifest_path, b"{\"schema\": 1}").unwrap();
    fs::write(&saved[2].manifest_path, b"{\"schema\": 7, \"new\": 1}").unwrap();
    fs::write(folder.path().join("x.bin.bkbench-01234567.part"), b"half").unwrap();
    fs::write(folder.path().join("foreign.bin"), b"?").unwrap();
    let found = look_for_backup(folder.path(), "chip-a").unwrap();
    assert_eq!(found.backup, None);
    let why = |path: &Path| {
        let skipped = found.skipped.iter().find(|skipped| skipped.path == path);
        skipped.unwrap_or_else(|| panic!("{} is not reported", path.display())).why.clone()
    };
    assert_eq!(why(&saved[0].path), format!("it has 100 bytes instead of {SIZE}"));
    assert!(why(&saved[1].path).starts_with("its manifest is damaged: missing field"));
    assert_eq!(why(&saved[2].path), "its manifest has version 7; this program reads version 1");
    assert_eq!(why(&folder.path().join("foreign.bin")), "no manifest beside it");
    assert!(why(&folder.path().join("x.bin.bkbench-01234567.part")).contains("cut off"));
}

#[test]
fn a_named_file_is_written_once_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plug.bin");
    assert!(!save_backup(folder.path(), Some(&path), &flash(1), manifest("chip-a", 0)).unwrap().already_had);
    assert!(save_backup(folder.path(), Some(&path), &flash(1), manifest("chip-a", 9)).unwrap().already_had);
    let other = save_backup(folder.path(), Some(&path), &flash(2), manifest("chip-a", 9));
    assert!(matches!(other, Err(StoreError::Exists { .. })));
    assert_eq!(&read_backup(&path).unwrap().bytes[..], flash(1));
}

#[test]
fn two_backups_of_one_second_get_two_names() {
    let (folder, saved) = folder_with(&[("chip-a", 0, 1), ("chip-a", 0, 2)]);
    assert!(saved[1].path.to_str().unwrap().ends_with("-chipa-2.bin"));
    assert_eq!(list(folder.path()).unwrap().entries.len(), 2);
}

#[test]
fn a_folder_that_does_not_exist_holds_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(list(&folder.path().join("none")).unwrap(), Listing::default());
}

#[test]
fn a_missing_folder_is_made_when_a_backup_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("data/backups");
    save_backup(&deep, None, &flash(1), manifest("chip-a", 0)).unwrap();
    assert!(find_backup(&deep, "chip-a").is_some());
}
