//! The public Python tools against `bkbench sim uart`.

use std::fs;

use crate::support::public::{run, tools};
use crate::support::served::SimUart;
use crate::support::{Numbers, cases, folder, sample};

struct Chip {
    module: &'static str,
    name: &'static str,
    dump: &'static str,
    family: &'static str,
    /// Where the tools may write.
    first: usize,
    /// What they say about a real dump of it.
    words: &'static [&'static str],
}

const T: Chip = Chip {
    module: "wb2s",
    name: "BK7231T",
    dump: "dumps/ds-101jl-4gang-switch-t.bin",
    family: "bk7231t",
    first: 0x1_1000,
    words: &["BASIC_TUYA", "BK7231S_1.0.5"],
};
const N: Chip = Chip {
    module: "cb3s",
    name: "BK7231N",
    dump: "dumps/lspa9-clone-first-n.bin",
    family: "bk7231n",
    first: 0,
    words: &["FULL", "0x7231c"],
};

/// Links, identifies, reads the whole chip and writes with both tools; every byte is compared.
fn both_tools(chip: &Chip, pace: &str) {
    if tools().is_none() {
        return;
    }
    let folder = folder();
    let at = folder.path();
    // The tools know chips by the boot loaders of real dumps. Without one they guess, and the rest is the same.
    let dump = sample(chip.dump).map(|dump| dump.display().to_string());
    let mut options = vec!["--module", chip.module, "--chip", "chip.bin", "--pace", pace];
    options.extend(dump.iter().flat_map(|dump| ["--image", dump]));
    let served = SimUart::start(at, &options);
    let line = ["-d", &served.port, "-b", "921600"];
    let with = |args: &[&'static str]| [args, &line].concat();
    let held = || fs::read(at.join("chip.bin")).expect("the chip");

    let told = run(at, "bk7231tools", &with(&["chip_info"]));
    let info = run(at, "ltchiptool", &with(&["flash", "info", chip.family]));
    if dump.is_some() {
        assert!(told.contains(chip.name) && chip.words.iter().all(|word| told.contains(word)), "{told}");
        assert!(info.contains(chip.name) && info.contains("2 MiB"), "{info}");
    }

    let before = held();
    run(at, "bk7231tools", &with(&["read_flash", "first.bin"]));
    assert!(fs::read(at.join("first.bin")).expect("a dump") == before, "bk7231tools reads the whole chip");
    run(at, "ltchiptool", &with(&["flash", "read", chip.family, "second.bin"]));
    assert!(fs::read(at.join("second.bin")).expect("a dump") == before, "ltchiptool reads the whole chip");

    let mut wanted = before;
    let image = Numbers(11).bytes(cases(0x2_345A, 0x1E_F000));
    fs::write(at.join("image.bin"), &image).expect("a file");
    let first = format!("0x{:x}", chip.first);
    let write = [&["write_flash", "-s", &first][..], &line, if chip.first == 0 { &["-B"] } else { &[] }].concat();
    run(at, "bk7231tools", &[&write[..], &["image.bin"]].concat());
    wanted[chip.first..chip.first + image.len()].copy_from_slice(&image);
    erased_tail(&mut wanted, chip.first + image.len());
    assert!(held() == wanted, "what bk7231tools wrote");

    let image = Numbers(12).bytes(0x1_0000);
    fs::write(at.join("other.bin"), &image).expect("a file");
    run(at, "ltchiptool", &with(&["flash", "write", "other.bin", "-s", "0x40000", "-f", chip.family]));
    wanted[0x4_0000..0x5_0000].copy_from_slice(&image);
    assert!(held() == wanted, "what ltchiptool wrote");
}

/// The tools fill the last sector they write with FF.
fn erased_tail(chip: &mut [u8], end: usize) {
    chip[end..end.next_multiple_of(4096)].fill(0xFF);
}

#[test]
fn they_link_identify_read_and_write_on_a_t() {
    both_tools(&T, "virtual");
}

#[test]
fn they_link_identify_read_and_write_on_an_n() {
    both_tools(&N, "virtual");
}

/// Minutes each: every byte takes its time on the line.
#[test]
fn they_do_so_at_the_pace_of_the_line_too() {
    if std::env::var_os("BKBENCH_LONG").is_none() {
        eprintln!("SKIPPED: set BKBENCH_LONG=1 for the public tools at line rate");
        return;
    }
    both_tools(&T, "line");
    both_tools(&N, "line");
}
