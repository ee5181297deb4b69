//! `bkbench sim serprog` against flashrom itself: its reads, writes and protected ranges have to be ours.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use regex::Regex;

use crate::support::{Numbers, bkbench, folder, succeed};

/// A part that flashrom knows the write protection of.
struct Known {
    id: &'static str,
    kib: usize,
    /// The scheme that our table gives it.
    scheme: &'static str,
    /// What flashrom calls it, where several of its chips answer with this id.
    name: Option<&'static str>,
    /// Status registers as they stand when flashrom looks.
    registers: [[u8; 3]; 3],
    /// The flashrom 1.3 of Debian 12 knows its protection too.
    old: bool,
}

const fn known(id: &'static str, kib: usize, scheme: &'static str, registers: [[u8; 3]; 3]) -> Known {
    Known { id, kib, scheme, name: None, registers, old: false }
}

/// Every scheme that flashrom 1.4 shares with our table, of parts with one, two and three status registers and with every
/// way to write them.
const PARTS: [Known; 7] = [
    Known { old: true, ..known("c84017", 8192, "bp3_tb_sec_cmp", [[0x0C, 0x40, 0], [0x30, 0, 0], [0x48, 0, 0]]) },
    Known { old: true, ..known("ef4018", 16384, "bp3_tb_sec_cmp", [[0x04, 0x40, 0], [0x24, 0, 0], [0x44, 0, 0]]) },
    Known { old: true, ..known("c86018", 16384, "bp3_tb_sec_cmp", [[0x08, 0x40, 0], [0x28, 0, 0], [0x5C, 0, 0]]) },
    Known { name: Some("EN25QH32"), ..known("1c7016", 4096, "bp3_tb", [[0x08, 0, 0], [0x24, 0, 0], [0x1C, 0, 0]]) },
    known("c84019", 32768, "bp4_tb", [[0x04, 0, 0], [0x68, 0, 0], [0x2C, 0, 0]]),
    Known {
        name: Some("MX25L3206E/MX25L3208E"),
        ..known("c22016", 4096, "mx_bp3_inv", [[0x08, 0, 0], [0x38, 0, 0], [0x2C, 0, 0]])
    },
    known("c22515", 2048, "bp4", [[0x08, 0, 0], [0x14, 0, 0], [0x24, 0, 0]]),
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

    fn flashrom(&self, folder: &Path, part: &Known, args: &[&str]) -> Output {
        let programmer = format!("serprog:ip={}", self.address);
        let mut command = Command::new(program());
        command.args(["-p", &programmer]).args(args).current_dir(folder);
        if let Some(name) = part.name {
            command.args(["-c", name]);
        }
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

/// The flashrom that BKBENCH_FLASHROM names (`tests/flashrom.sh` fetches one), else the system's own.
fn program() -> OsString {
    std::env::var_os("BKBENCH_FLASHROM").unwrap_or_else(|| "flashrom".into())
}

/// The parts that the flashrom at hand knows; what is left out is said loudly.
fn parts() -> Vec<&'static Known> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let asked = Command::new(program()).arg("--version").env("PATH", path).output();
    let version = match &asked {
        Ok(output) => text(output),
        Err(_) => {
            eprintln!("SKIPPED: flashrom is not installed (apt-get install flashrom)");
            return Vec::new();
        }
    };
    // 1.3 calls itself "unknown" on Debian 12, and its options are those of before 1.4.
    let new = Regex::new(r"flashrom v?1\.([4-9]|\d\d)").expect("a pattern").is_match(&version);
    assert!(new || std::env::var_os("BKBENCH_FLASHROM").is_none(), "BKBENCH_FLASHROM names an old one: {version}");
    let (at_hand, left_out): (Vec<_>, Vec<_>) = PARTS.iter().partition(|part| new || part.old);
    for part in left_out {
        eprintln!("SKIPPED: {} ({}): needs flashrom 1.4 (tests/flashrom.sh)", part.id, part.scheme);
    }
    at_hand
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
fn the_parts_are_of_five_schemes_and_ours_by_the_table() {
    let schemes: BTreeSet<_> = PARTS.iter().map(|part| part.scheme).collect();
    assert!(schemes.len() >= 5);
    for part in &PARTS {
        let ours = bkbench::chip::part_named(part.id).expect("in the table");
        assert_eq!((ours.scheme.name.as_str(), ours.size as usize), (part.scheme, part.kib * 1024), "{}", part.id);
    }
}

#[test]
fn flashrom_reads_writes_and_verifies_the_served_flash() {
    for (index, part) in parts().into_iter().enumerate() {
        let (id, size) = (part.id, part.kib * 1024);
        let folder = folder();
        let at = folder.path();
        let mut content = vec![0xFF; size];
        let mut put_at = |place: usize, bytes: &[u8]| content[place..place + bytes.len()].copy_from_slice(bytes);
        // At both ends: the upper one of a large part is out of reach of three address bytes.
        put_at(0, &Numbers(index as u64 + 7).bytes(0x2_0000));
        put_at(size - 0x1_0000, &Numbers(index as u64 + 17).bytes(0x1_0000));
        put(at, id, &content, [0; 3]);
        let server = Served::start(at, id);
        good(&server.flashrom(at, part, &["-r", "read.bin"]));
        assert!(fs::read(at.join("read.bin")).expect("a read") == content, "{id}: read");

        let mut put_at = |place: usize, bytes: &[u8]| content[place..place + bytes.len()].copy_from_slice(bytes);
        put_at(0x1_2345, &Numbers(index as u64 + 77).bytes(0x3456));
        put_at(size - 0x5432, &Numbers(index as u64 + 87).bytes(0x1234));
        fs::write(at.join("new.bin"), &content).expect("a file");
        let written = good(&server.flashrom(at, part, &["-w", "new.bin"]));
        assert!(written.contains("VERIFIED"), "{id}: {written}");
        assert!(fs::read(at.join("chip.bin")).expect("the chip") == content, "{id}: written");
        good(&server.flashrom(at, part, &["-v", "new.bin"]));
        assert!(!server.flashrom(at, part, &["-v", "read.bin"]).status.success(), "{id}: the old content is gone");
        server.stop();
    }
}

#[test]
fn flashrom_and_we_read_the_same_protected_range_out_of_the_registers() {
    for part in parts() {
        let id = part.id;
        let folder = folder();
        let at = folder.path();
        let content = vec![0xFF; part.kib * 1024];
        for value in part.registers {
            put(at, id, &content, value);
            let server = Served::start(at, id);
            let printed = good(&server.flashrom(at, part, &["--wp-status"]));
            server.stop();
            let theirs = ranges(&printed);
            assert_eq!(theirs.len(), 1, "{id} {value:02X?}: {printed}");
            assert!(same(theirs[0], ours(at)), "{id} {value:02X?}: {printed}, we say {:X?}", ours(at));
        }
        // And the other way round: ranges that flashrom sets by its own table.
        put(at, id, &content, [0; 3]);
        let server = Served::start(at, id);
        let list = ranges(&good(&server.flashrom(at, part, &["--wp-list"])));
        server.stop();
        let mut wanted: Vec<(u64, u64)> = bkbench::chip::part_named(id)
            .expect("in the table")
            .protectable()
            .iter()
            .map(|span| if span.len == 0 { (0, 0) } else { (span.start.into(), span.len.into()) })
            .collect();
        let mut listed = list.clone();
        listed.iter_mut().filter(|range| range.1 == 0).for_each(|range| *range = (0, 0));
        wanted.sort_unstable();
        listed.sort_unstable();
        assert_eq!(listed, wanted, "{id}: every range that flashrom can set is one that we know, and no other");
        for range in [list[0], list[1], list[list.len() / 2], list[list.len() - 1]] {
            let wanted = format!("0x{:x},0x{:x}", range.0, range.1);
            let server = Served::start(at, id);
            good(&server.flashrom(at, part, &["--wp-range", &wanted]));
            server.stop();
            assert!(same(range, ours(at)), "{id}: flashrom set {range:X?}, we read {:X?}", ours(at));
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

#[test]
fn our_own_client_reaches_the_far_end_of_a_large_part() {
    let folder = folder();
    let at = folder.path();
    let server = Served::start(at, "c84019");
    let link = format!("serprog:{}", server.address);
    let run = |args: &[&str]| succeed(&bkbench(at, &[&["--link", &link, "--json"], args].concat()));
    let info = run(&["info"]);
    assert_eq!(info["flash"]["size"], 32 << 20, "{info}");
    let mut content = fs::read(at.join("chip.bin")).expect("the chip");
    assert_eq!(run(&["protect", "status"])["protection"]["range"]["state"], "protected");
    run(&["protect", "off"]);
    assert_eq!(run(&["protect", "status"])["protection"]["range"]["state"], "open");
    let data = Numbers(22).bytes(0x2345);
    fs::write(at.join("data.bin"), &data).expect("a file");
    let phrase = "I can lose this firmware";
    let written = run(&["write", "data.bin", "--at", "0x1FF0000", "--yes", "--no-backup", phrase]);
    assert_eq!(written["report"]["verified"], true, "{written}");
    run(&["verify", "data.bin", "--at", "0x1FF0000"]);
    server.stop();
    content[0x1FF_0000..0x1FF_0000 + data.len()].copy_from_slice(&data);
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == content);
}
