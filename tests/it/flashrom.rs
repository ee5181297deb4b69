//! `bkbench sim serprog` against flashrom itself: its reads, writes and protected ranges have to be ours.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use regex::Regex;

use crate::support::{Numbers, bkbench, folder, succeed};

/// Status registers as they stand when flashrom looks.
type Registers = [[u8; 3]; 3];

/// Parts that flashrom 1.3 knows the write protection of, of four makers' ways to wire it: id, size in KiB, registers.
const PARTS: [(&str, usize, Registers); 5] = [
    ("c84016", 4096, [[0x04, 0x40, 0], [0x24, 0, 0], [0x5C, 0, 0]]),
    ("c84017", 8192, [[0x0C, 0x40, 0], [0x30, 0, 0], [0x48, 0, 0]]),
    ("ef4018", 16384, [[0x04, 0x40, 0], [0x24, 0, 0], [0x44, 0, 0]]),
    ("c86018", 16384, [[0x08, 0x40, 0], [0x28, 0, 0], [0x5C, 0, 0]]),
    ("204018", 16384, [[0x08, 0x40, 0], [0x38, 0, 0], [0x50, 0x40, 0]]),
];
/// A served flash as a process of its own; ends with the value.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(folder: &Path, part: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bkbench"))
            .args(["sim", "serprog", "--flash", part, "--chip", "chip.bin", "--pace", "virtual"])
            .current_dir(folder)
            .env("BKBENCH_DATA_DIR", folder.join("data"))
            .env("BKBENCH_CONFIG_DIR", folder.join("config"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
        let address = first.trim().strip_prefix("serprog:").unwrap_or_else(|| panic!("{first:?}")).to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        Self { child, address }
    }

    fn flashrom(&self, folder: &Path, args: &[&str]) -> Output {
        let programmer = format!("serprog:ip={}", self.address);
        let mut command = Command::new("flashrom");
        command.args(["-p", &programmer]).args(args).current_dir(folder);
        command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        command.output().expect("flashrom runs")
    }

    /// Asks it to end, and looks that it does so in order.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether flashrom is here; said loudly where it is not.
fn flashrom_is_here() -> bool {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let found = Command::new("flashrom").arg("--version").env("PATH", path).output().is_ok();
    if !found {
        eprintln!("SKIPPED: flashrom is not installed (apt-get install flashrom)");
    }
    found
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    text(output)
}

fn put(folder: &Path, part: &str, content: &[u8], status: [u8; 3]) {
    fs::write(folder.join("chip.bin"), content).expect("a chip");
    fs::write(folder.join("chip.bin.state.toml"), format!("part = \"{part}\"\nstatus = {status:?}\n"))
        .expect("a state");
}

/// The protected range as `protect status` shows it: first byte and length.
fn ours(folder: &Path) -> (u64, u64) {
    let status = succeed(&bkbench(folder, &["--link", "sim:wb2s?chip=chip.bin", "protect", "status", "--json"]));
    let range = &status["protection"]["range"];
    match range["state"].as_str() {
        Some("open") => (0, 0),
        Some("protected") => {
            let number = |key: &str| {
                let digits = range["span"][key].as_str().expect("an offset").trim_start_matches("0x").to_owned();
                u64::from_str_radix(&digits, 16).expect("hex")
            };
            (number("start"), number("end") - number("start"))
        }
        other => panic!("{other:?} in {status}"),
    }
}

/// Ranges in what flashrom prints.
fn ranges(printed: &str) -> Vec<(u64, u64)> {
    let range = Regex::new(r"start=0x([0-9a-f]+) length=0x([0-9a-f]+)").expect("a pattern");
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("hex");
    range.captures_iter(printed).map(|found| (hex(&found[1]), hex(&found[2]))).collect()
}

fn same(one: (u64, u64), other: (u64, u64)) -> bool {
    one == other || (one.1 == 0 && other.1 == 0)
}

#[test]
fn flashrom_reads_writes_and_verifies_the_served_flash() {
    if !flashrom_is_here() {
        return;
    }
    for (index, (part, kib, _)) in PARTS.into_iter().enumerate() {
        let folder = folder();
        let at = folder.path();
        let mut content = vec![0xFF; kib * 1024];
        let mixed = Numbers(index as u64 + 7).bytes(0x2_0000);
        content[..mixed.len()].copy_from_slice(&mixed);
        put(at, part, &content, [0; 3]);
        let server = Served::start(at, part);
        good(&server.flashrom(at, &["-r", "read.bin"]));
        assert!(fs::read(at.join("read.bin")).expect("a read") == content, "{part}: read");

        let change = Numbers(index as u64 + 77).bytes(0x3456);
        content[0x1_2345..0x1_2345 + change.len()].copy_from_slice(&change);
        fs::write(at.join("new.bin"), &content).expect("a file");
        let written = good(&server.flashrom(at, &["-w", "new.bin"]));
        assert!(written.contains("VERIFIED"), "{part}: {written}");
        assert!(fs::read(at.join("chip.bin")).expect("the chip") == content, "{part}: written");
        good(&server.flashrom(at, &["-v", "new.bin"]));
        assert!(!server.flashrom(at, &["-v", "read.bin"]).status.success(), "{part}: the old content is gone");
        server.stop();
    }
}

#[test]
fn flashrom_and_we_read_the_same_protected_range_out_of_the_registers() {
    if !flashrom_is_here() {
        return;
    }
    for (part, kib, values) in PARTS {
        let folder = folder();
        let at = folder.path();
        let content = vec![0xFF; kib * 1024];
        for value in values {
            put(at, part, &content, value);
            let server = Served::start(at, part);
            let printed = good(&server.flashrom(at, &["--wp-status"]));
            server.stop();
            let theirs = ranges(&printed);
            assert_eq!(theirs.len(), 1, "{part} {value:02X?}: {printed}");
            assert!(same(theirs[0], ours(at)), "{part} {value:02X?}: {printed}, we say {:X?}", ours(at));
        }
        // And the other way round: ranges that flashrom sets by its own table.
        put(at, part, &content, [0; 3]);
        let server = Served::start(at, part);
        let list = ranges(&good(&server.flashrom(at, &["--wp-list"])));
        server.stop();
        assert!(list.len() > 5, "{part}: {list:X?}");
        for range in [list[0], list[1], list[list.len() / 2], list[list.len() - 1]] {
            let wanted = format!("0x{:x},0x{:x}", range.0, range.1);
            let server = Served::start(at, part);
            good(&server.flashrom(at, &["--wp-range", &wanted]));
            server.stop();
            assert!(same(range, ours(at)), "{part}: flashrom set {range:X?}, we read {:X?}", ours(at));
        }
    }
}

#[test]
fn our_own_client_does_the_whole_job_at_the_served_flash() {
    let folder = folder();
    let at = folder.path();
    let server = Served::start(at, "eb6015");
    let link = format!("serprog:{}", server.address);
    let run = |args: &[&str]| succeed(&bkbench(at, &[&["--link", &link, "--json"], args].concat()));

    let info = run(&["info"]);
    assert_eq!(info["flash"]["jedec"], "EB 60 15");
    assert_ne!(info["verdict"], "proven", "a bare flash chip is not proven to be of this module");
    let read = run(&["read", "-o", "backup.bin"]);
    assert_eq!(read["proven"], true, "{read}");
    let before = fs::read(at.join("chip.bin")).expect("the chip");
    assert!(fs::read(at.join("backup.bin")).expect("a backup") == before);

    assert_eq!(run(&["protect", "status"])["protection"]["range"]["state"], "protected");
    run(&["protect", "off"]);
    assert_eq!(run(&["protect", "status"])["protection"]["range"]["state"], "open");

    let data = Numbers(9).bytes(0x3210);
    fs::write(at.join("data.bin"), &data).expect("a file");
    let phrase = "I can lose this firmware";
    let written = run(&["write", "data.bin", "--at", "0x140000", "--yes", "--no-backup", phrase]);
    assert_eq!(written["report"]["verified"], true, "{written}");
    assert_eq!(written["report"]["kept_proven"], true);
    run(&["verify", "data.bin", "--at", "0x140000"]);
    server.stop();
    let mut wanted = before;
    wanted[0x14_0000..0x14_0000 + data.len()].copy_from_slice(&data);
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == wanted);
}
