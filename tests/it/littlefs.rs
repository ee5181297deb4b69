//! The file area of OpenBeken: `files`, and the format against littlefs-python, which wraps the original code, both ways.

use std::fs;
use std::path::Path;
use std::process::Command;

use bkbench::image::littlefs::{FileSystem, image, image_with};

use crate::support::public::littlefs;
use crate::support::{Numbers, bkbench, code, document, folder, sample, succeed};

/// Reads an image with OpenBeken's own settings, lists every file with its content in hex, then changes the files as a
/// running module does, and leaves the changed image beside it.
const READ: &str = r#"
import sys, json
from littlefs import LittleFS, UserContext
data = open(sys.argv[1], "rb").read()
fs = LittleFS(block_size=4096, block_count=len(data) // 4096, read_size=1, prog_size=1, cache_size=16,
              lookahead_size=16, block_cycles=500, mount=False)
fs.context.buffer = bytearray(data)
fs.mount()
found = {}
for folder, _, files in fs.walk("/"):
    for name in files:
        path = (folder.rstrip("/") + "/" + name).lstrip("/")
        with fs.open(path, "rb") as f:
            found[path] = f.read().hex()
if len(sys.argv) > 2:
    with fs.open("autoexec.bat", "ab") as f:
        f.write(b"added by the device\n")
    with fs.open("new.txt", "wb") as f:
        f.write(b"new" * 2000)
    fs.unmount()
    open(sys.argv[2], "wb").write(bytes(fs.context.buffer))
print(json.dumps(found))
"#;

/// Makes an image with folders, changes, deletions and renames, in the version of the format that is named.
const WRITE: &str = r#"
import sys
from littlefs import LittleFS
fs = LittleFS(block_size=4096, block_count=16, read_size=1, prog_size=1, cache_size=int(sys.argv[2]), lookahead_size=16,
              disk_version=int(sys.argv[3], 16))
with fs.open("autoexec.bat", "w") as f:
    f.write("startDriver BL0942\n")
fs.makedirs("a/b")
with fs.open("a/b/large.bin", "wb") as f:
    f.write(bytes(range(256)) * 60)
for number in range(40):
    with fs.open("gone.txt", "w") as f:
        f.write("x" * number)
fs.remove("gone.txt")
with fs.open("old.txt", "w") as f:
    f.write("renamed")
fs.rename("old.txt", "a/new.txt")
for number in range(30):
    with fs.open("many-%02d" % number, "w") as f:
        f.write(str(number))
with fs.open("autoexec.bat", "a") as f:
    f.write("PowerSave 1\n")
fs.unmount()
open(sys.argv[1], "wb").write(bytes(fs.context.buffer))
"#;

fn python(at: &Path, script: &str, args: &[&str]) -> Option<String> {
    let python = littlefs()?;
    let output = Command::new(python).arg("-c").arg(script).args(args).current_dir(at).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_original_code_reads_and_changes_what_is_written_here() {
    let folder = folder();
    let mut numbers = Numbers(14);
    for (len, count) in [(0x8000, 2), (0x2_0000, 9), (0x8_0000, 60)] {
        let mut files =
            vec![("autoexec.bat".to_owned(), b"startDriver TuyaMCU\n".to_vec()), ("empty".to_owned(), Vec::new())];
        files.extend((0..count).map(|number| {
            let size = numbers.below(if len == 0x8000 { 900 } else { 5000 }) / (1 + count / 40);
            let path = if number % 3 == 2 {
                format!("folder/{}/file {number}", number % 5)
            } else {
                format!("file {number}.txt")
            };
            (path, numbers.bytes(size))
        }));
        fs::write(folder.path().join("image.bin"), image(len, &files).expect("an image")).expect("a file");
        let Some(found) = python(folder.path(), READ, &["image.bin", "changed.bin"]) else { return };
        let found: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&found).expect("JSON");
        assert_eq!(found.len(), files.len());
        for (path, content) in &files {
            assert_eq!(found[path], hex(content), "{path}");
        }
        let changed =
            FileSystem::read(&fs::read(folder.path().join("changed.bin")).expect("a file")).expect("a file system");
        assert_eq!(changed.faults, []);
        let script = changed.file("autoexec.bat").and_then(|file| file.content.clone()).expect("a script");
        assert_eq!(script, b"startDriver TuyaMCU\nadded by the device\n");
        assert_eq!(changed.file("new.txt").map(|file| file.len), Some(6000));
        assert_eq!(changed.files.len(), files.len() + 1);
    }
}

#[test]
fn what_the_original_code_writes_is_read_here_in_both_versions() {
    let folder = folder();
    for (version, cache) in [("0x00020000", "16"), ("0x00020001", "16"), ("0x00020001", "1024")] {
        if python(folder.path(), WRITE, &["theirs.bin", cache, version]).is_none() {
            return;
        }
        let bytes = fs::read(folder.path().join("theirs.bin")).expect("a file");
        let found = FileSystem::read(&bytes).expect("a file system");
        assert_eq!(format!("{:#010x}", found.version), version);
        assert_eq!(found.faults, []);
        let content = |path: &str| found.file(path).and_then(|file| file.content.clone());
        assert_eq!(content("autoexec.bat").as_deref(), Some(&b"startDriver BL0942\nPowerSave 1\n"[..]));
        assert_eq!(content("a/b/large.bin"), Some((0..=255).collect::<Vec<u8>>().repeat(60)));
        assert_eq!(content("a/new.txt").as_deref(), Some(&b"renamed"[..]));
        assert_eq!(content("many-29").as_deref(), Some(&b"29"[..]));
        assert_eq!((found.files.len(), content("gone.txt"), content("old.txt")), (33, None, None));

        let added = vec![("autoexec.bat".to_owned(), b"new".to_vec())];
        fs::write(folder.path().join("ours.bin"), image_with(&bytes, bytes.len(), &added).expect("an image"))
            .expect("a file");
        let again = python(folder.path(), READ, &["ours.bin"]).expect("it was there");
        let again: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&again).expect("JSON");
        assert_eq!((again.len(), &again["autoexec.bat"]), (33, &hex(b"new").into()));
    }
}

/// A dump of a module that runs OpenBeken, with these files.
fn dump(files: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut dump = fs::read(sample("dumps-more/openbeken-configured-bl0942-t.bin")?).expect("a dump");
    let files: Vec<(String, Vec<u8>)> =
        files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
    dump[0x1A_B000..0x1B_3000].copy_from_slice(&image(0x8000, &files).expect("an image"));
    Some(dump)
}

#[test]
fn files_lists_and_extracts_and_writes_over_nothing() {
    let folder = folder();
    let Some(bytes) = dump(&[("autoexec.bat", b"startDriver BL0942\n"), ("web/index.htm", b"<html>")]) else { return };
    fs::write(folder.path().join("dump.bin"), bytes).expect("a file");
    let found = succeed(&bkbench(folder.path(), &["files", "dump.bin", "--json"]));
    assert_eq!((&found["offset"], &found["size"]), (&"0x1AB000".into(), &0x8000.into()));
    assert_eq!(found["files"][0], serde_json::json!({"path": "autoexec.bat", "size": 19, "readable": true}));
    assert_eq!(found["files"][1]["path"], "web/index.htm");

    let extract = ["files", "dump.bin", "--extract", "out", "--json"];
    let found = succeed(&bkbench(folder.path(), &extract));
    assert_eq!(found["extracted"].as_array().map(Vec::len), Some(2));
    assert_eq!(fs::read(folder.path().join("out/autoexec.bat")).expect("extracted"), b"startDriver BL0942\n");
    assert_eq!(fs::read(folder.path().join("out/web/index.htm")).expect("extracted"), b"<html>");
    let again = bkbench(folder.path(), &extract);
    assert_eq!((code(&again), document(&again)["error"]["code"].as_str()), (2, Some("E114")));
}

#[cfg(unix)]
#[test]
fn extraction_follows_no_link_and_leaves_its_folder_on_no_path() {
    let folder = folder();
    let Some(bytes) = dump(&[("autoexec.bat", b"x"), ("web/index.htm", b"<html>")]) else { return };
    fs::write(folder.path().join("dump.bin"), &bytes).expect("a file");
    fs::create_dir_all(folder.path().join("elsewhere")).expect("a folder");
    for (link, target) in [("out/web", "../elsewhere"), ("out/autoexec.bat", "../elsewhere/victim")] {
        let _ = fs::remove_dir_all(folder.path().join("out"));
        fs::create_dir(folder.path().join("out")).expect("a folder");
        std::os::unix::fs::symlink(target, folder.path().join(link)).expect("a link");
        let refused = bkbench(folder.path(), &["files", "dump.bin", "--extract", "out", "--json"]);
        assert_eq!(code(&refused), 2, "{link}");
        assert_eq!(fs::read_dir(folder.path().join("elsewhere")).expect("a folder").count(), 0, "{link}");
        assert!(!folder.path().join("out/web/index.htm").exists() || link != "out/web");
    }
    let _ = fs::remove_dir_all(folder.path().join("out"));
    std::os::unix::fs::symlink("elsewhere", folder.path().join("out")).expect("a link");
    assert_eq!(code(&bkbench(folder.path(), &["files", "dump.bin", "--extract", "out"])), 2);

    // A name that leads out of the folder, as no honest firmware writes it: as long as the one it replaces.
    let at = bytes.windows(12).position(|name| name == b"autoexec.bat").expect("a name");
    let mut hostile = bytes;
    for pair in [0, 4096] {
        hostile[at + pair..at + pair + 12].copy_from_slice(b"../evil.bat\0");
        let start = (at + pair) / 4096 * 4096;
        repaired(&mut hostile[start..start + 4096]);
    }
    fs::write(folder.path().join("hostile.bin"), hostile).expect("a file");
    let refused = bkbench(folder.path(), &["files", "hostile.bin", "--extract", "safe", "--json"]);
    assert_eq!((code(&refused), document(&refused)["error"]["code"].as_str()), (2, Some("E783")));
    assert!(!folder.path().join("evil.bat").exists());
}

/// Puts the right checksum behind the one commit of a block.
fn repaired(block: &mut [u8]) {
    let (mut at, mut previous) = (4, u32::MAX);
    loop {
        let word = u32::from_be_bytes(block[at..at + 4].try_into().unwrap()) ^ previous;
        if word >> 20 & 0x780 == 0x500 {
            break;
        }
        (at, previous) = (at + 4 + (word & 0x3FF) as usize, word);
    }
    let sum = crc::Crc::<u32>::new(&crc::CRC_32_JAMCRC).checksum(&block[..at + 4]);
    block[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_dump_without_files_is_told_apart_from_one_without_openbeken() {
    let folder = folder();
    if let Some(path) = sample("dumps-more/openbeken-configured-bl0942-t.bin") {
        let none = bkbench(folder.path(), &["files", &path.display().to_string(), "--json"]);
        let said = document(&none)["error"].clone();
        assert_eq!((code(&none), said["code"].as_str()), (2, Some("E782")), "{said}");
    }
}
