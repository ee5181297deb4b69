//! The public Python tools against `bkbench sim uart`: other people's view of the protocol. They come from PyPI into an
//! environment of their own under the target folder; where PyPI cannot be reached the tests say so and skip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::support::served::SimUart;
use crate::support::{Numbers, cases, folder, sample};

/// The versions that uart-protocol.md §18 speaks of.
const TOOLS: [&str; 2] = ["bk7231tools==2.1.2", "ltchiptool==4.15.0"];

/// A pseudo terminal has no modem lines, and pyserial calls that an error. Real adapters have them; the served module
/// does without.
const NO_MODEM_LINES: &str = "
import errno
from serial import Serial
def without(change):
    def changed(port):
        try:
            change(port)
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise
    return changed
Serial._update_rts_state = without(Serial._update_rts_state)
Serial._update_dtr_state = without(Serial._update_dtr_state)
";

/// The folder of the tools; `None`, said loudly, where they cannot be had.
fn tools() -> Option<&'static Path> {
    static TOOLS_AT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = TOOLS_AT.get_or_init(|| match install(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(folder) => Some(folder),
        Err(why) => {
            eprintln!("SKIPPED: the public tools cannot be had ({why}); python3, its venv module and PyPI are needed");
            None
        }
    });
    found.as_deref()
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    let venv = folder.join("public-tools");
    let tools = venv.join("bin");
    if !tools.join("ltchiptool").exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = ["install", "--quiet", "--disable-pip-version-check", "--timeout", "10", "--retries", "1"];
        done(Command::new(tools.join("pip")).args(pip).args(TOOLS))?;
    }
    let patch = folder.join("no-modem-lines");
    fs::create_dir_all(&patch).map_err(|error| error.to_string())?;
    fs::write(patch.join("sitecustomize.py"), NO_MODEM_LINES).map_err(|error| error.to_string())?;
    Ok(tools)
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().last().unwrap_or("no word of why").to_owned();
    if output.status.success() { Ok(()) } else { Err(last) }
}

/// Runs a tool in a folder and returns all it says.
fn run(at: &Path, tool: &str, args: &[&str]) -> String {
    let tools = tools().expect("installed by now");
    let output: Output = Command::new(tools.join(tool))
        .args(args)
        .current_dir(at)
        .env("PYTHONPATH", tools.join("../../no-modem-lines"))
        .output()
        .expect("the tool runs");
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{tool} {args:?}:\n{words}");
    words
}

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
