//! The code of the real BK7231T boot loader, taken out of a sample dump and run in a CPU emulator, at the other end of a
//! pseudo terminal. What is asked of it goes through its own parser, its own guards and its own lock; nobody's reading of
//! them, and no simulator of ours, stands in between. `support/loader.py` says what is modelled around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bkbench::codec::beken::chip_crc;
use bkbench::link::sim::Program;

use crate::support::public::emulator;
use crate::support::served::SimUart;
use crate::support::{bkbench, cases, code, document, folder, root, sample, succeed};

/// A dump of a T that carries loader 1.0.5, and what is written to it.
const DUMP: &str = "dumps/ds-101jl-4gang-switch-t.bin";
const IMAGE: &str = "firmware/OpenBK7231T_QIO_1.18.300.bin";
/// What runs it.
const LOADER: &str = "tests/it/support/loader.py";
/// Where the application begins.
const APPLICATION: usize = 0x1_1000;

/// What the tests need: a Python with the emulator, the dump, and the application.
fn needed() -> Option<(&'static Path, PathBuf, Vec<u8>)> {
    let (dump, image) = (sample(DUMP)?, sample(IMAGE)?);
    Some((emulator()?, dump, fs::read(image).expect("the image").split_off(APPLICATION)))
}

/// The loader behind a pseudo terminal.
struct Chip {
    served: SimUart,
    folder: PathBuf,
}

impl Chip {
    /// Starts it with a flash of this id, behind a line that disturbs one byte in so many.
    fn start(python: &Path, folder: &Path, dump: &Path, id: &str, one_in: u32, seed: u32) -> Self {
        let mut command = Command::new(python);
        command.arg(root().join(LOADER)).arg("serve").arg(dump).arg("chip.bin");
        command.args([id, &one_in.to_string(), &seed.to_string()]);
        Self { served: SimUart::run(command, folder), folder: folder.to_owned() }
    }

    /// Runs this program against it.
    fn bkbench(&self, args: &[&str]) -> Output {
        let link = format!("uart:{}?baud=921600", self.served.port);
        bkbench(&self.folder, &[&["--json", "--link", &link], args].concat())
    }

    /// Ends it, and tells what its flash holds.
    fn end(self) -> Vec<u8> {
        assert!(self.served.stop().success());
        fs::read(self.folder.join("chip.bin")).expect("the flash")
    }
}

/// The dump with the application in its place.
fn written(dump: &Path, app: &[u8]) -> Vec<u8> {
    let mut wanted = fs::read(dump).expect("the dump");
    wanted[APPLICATION..APPLICATION + app.len()].copy_from_slice(app);
    wanted
}

#[test]
fn the_main_job_runs_through_the_loaders_own_code() {
    let Some((python, dump, app)) = needed() else { return };
    // A flash that the loader has in its own table, which it locks after a CRC, and one that it does not know.
    for id in ["1C7015", "EB6015"] {
        let folder = folder();
        fs::write(folder.path().join("app.bin"), &app).expect("written");
        let chip = Chip::start(python, folder.path(), &dump, id, 0, 1);
        let read = succeed(&chip.bkbench(&["read", "-o", "backup.bin"]));
        assert_eq!(read["proven"], true, "{id}: {read}");
        let backup = fs::read(folder.path().join("backup.bin")).expect("the backup");
        assert!(backup == fs::read(&dump).expect("the dump"), "{id}: the backup is the dump");
        let write = ["write", "app.bin", "--at", "0x11000", "--yes"];
        let report = succeed(&chip.bkbench(&write));
        assert_eq!(report["report"]["kept_proven"], true, "{id}: {report}");
        assert!(succeed(&chip.bkbench(&write))["already_there"].is_object(), "{id}");
        assert!(chip.end() == written(&dump, &app), "{id}: what the flash holds");
    }
}

/// How a write over a disturbed line ended.
#[derive(Debug, PartialEq)]
enum End {
    /// Byte-exact, after so many starts.
    Written(usize),
    /// The boot loader itself was hit, and that was said (E435): only SPI helps.
    Alarm,
}

/// Writes over a line that disturbs one byte in 20,000, and starts again after each named end. There is no reset line: a
/// loader that waits for the rest of a long frame needs a hand.
fn noisy_write(python: &Path, dump: &Path, app: &[u8], id: &str, seed: u32) -> End {
    let folder = folder();
    fs::write(folder.path().join("app.bin"), app).expect("written");
    let chip = Chip::start(python, folder.path(), dump, id, 20_000, seed);
    for start in 1..=8 {
        let ended = chip.bkbench(&["write", "app.bin", "--at", "0x11000", "--yes"]);
        let said = document(&ended);
        if code(&ended) == 0 {
            assert!(chip.end() == written(dump, app), "{id}, seed {seed}: said to be proven: {said}");
            return End::Written(start);
        }
        println!("{id}, seed {seed}: {} {}", said["error"]["code"], said["error"]["what"]);
        if said["error"]["code"] == "E435" {
            return End::Alarm;
        }
    }
    panic!("{id}, seed {seed}: no end")
}

#[test]
fn noise_in_front_of_the_loaders_own_code_does_no_harm() {
    let Some((python, dump, app)) = needed() else { return };
    let seeds = cases(0, 20);
    if seeds == 0 {
        eprintln!("SKIPPED: every byte takes its time, so that it takes minutes; BKBENCH_LONG=1 runs it");
        return;
    }
    let ends: Vec<End> = (1..=seeds)
        .map(|seed| noisy_write(python, &dump, &app, ["EB6015", "1C7015"][seed as usize % 2], seed))
        .collect();
    let (again, alarms) = ends.iter().fold((0, 0), |(again, alarms), end| match end {
        End::Written(1) => (again, alarms),
        End::Written(_) => (again + 1, alarms),
        End::Alarm => (again, alarms + 1),
    });
    println!("{seeds} writes: {alarms} alarms, {again} needed another start, all others byte-exact at once");
    assert!(alarms * 10 <= seeds, "{ends:?}");
}

#[test]
fn the_simulated_loader_computes_its_crc_at_the_speed_of_the_real_code() {
    let Some((python, dump, _)) = needed() else { return };
    let counted = Command::new(python).arg(root().join(LOADER)).arg("count").arg(&dump).output();
    let words = String::from_utf8(counted.expect("python runs").stdout).expect("text");
    let [crc, instructions, accesses] = words.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{words:?}") };
    let flash = fs::read(&dump).expect("the dump");
    let summed = &flash[APPLICATION..APPLICATION + 0x4000];
    assert_eq!(crc.parse(), Ok(chip_crc(summed)), "the code that was counted is the CRC");
    let (instructions, accesses): (f64, f64) =
        (instructions.parse().expect("a number"), accesses.parse().expect("one"));
    // 27.9 cycles of an ARM9E-S for 17.9 instructions, a wait state at each instruction and at each access, 120 MHz; and
    // 152 clocks of 60 MHz for a dual read of 32 bytes.
    assert!((instructions - 17.9).abs() < 0.1 && (accesses - 4.6).abs() < 0.1, "{words}");
    let byte = (27.9 + instructions + accesses) / 120e6 + 152.0 / 60e6 / 32.0;
    let model = f64::from(Program::T.crc_speed());
    assert!((model * byte - 1.0).abs() < 0.05, "{model} bytes a second, computed {}", 1.0 / byte);
}
