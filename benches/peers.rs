//! This program beside bk7231tools, the public tool for these chips: each as a process of its own, one after the other,
//! against `bkbench sim uart` at the pace of the line. `cargo bench --bench peers`; it takes some minutes, since every byte
//! takes its time, and wants an idle computer. Ends with an error when a bound is broken.
//!
//! Times are those of whole processes, from their start to their end. The flash of the simulated chip is busy for the usual
//! times of its part. An N computes its CRC at 400 kB/s, which is what tools reckon with; a T at the speed that follows
//! from the code of its boot loader (`Program::crc_speed`), and once more at those 400 kB/s.

#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run may stop")]

#[cfg(unix)]
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/it/support/public.rs"]
mod public;
#[cfg(unix)]
#[path = "../tests/it/support/samples.rs"]
mod samples;
#[cfg(unix)]
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/it/support/served.rs"]
mod served;

fn main() -> std::process::ExitCode {
    #[cfg(unix)]
    return peers::compare();
    #[cfg(not(unix))]
    {
        eprintln!("SKIPPED: there are no pseudo terminals here");
        std::process::ExitCode::SUCCESS
    }
}

#[cfg(unix)]
mod peers {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, ExitCode};
    use std::time::Instant;

    use bkbench::link::sim::{Module, Program, Setup};
    use serde_json::Value;

    use crate::public::{run, tools};
    use crate::samples::sample;
    use crate::served::SimUart;

    /// Bytes of the flash.
    const SIZE: u32 = 0x20_0000;
    /// What tools reckon with for the chip's CRC, in bytes a second.
    const RECKONED: u32 = 400_000;
    /// That CRC over all of the flash, in seconds.
    const CRC: f64 = SIZE as f64 / RECKONED as f64;
    /// 2 MiB on the wire, in seconds, by rate (uart-protocol.md §15).
    const WIRE: [(&str, f64); 2] = [("921600", 22.91), ("2000000", 10.55)];
    /// Where the application begins.
    const APPLICATION: usize = 0x1_1000;
    /// A dump of a T and the image whose application it gets.
    const T_DUMP: &str = "dumps/ds-101jl-4gang-switch-t.bin";
    const T_IMAGE: &str = "firmware/OpenBK7231T_QIO_1.18.300.bin";

    /// What is printed, and whether every bound held.
    #[derive(Default)]
    struct Sheet {
        broken: bool,
    }

    impl Sheet {
        fn row(&self, what: &str, who: &str, seconds: f64) {
            println!("{what:<38} {who:<12} {seconds:>7.2} s");
        }

        fn bound(&mut self, what: &str, value: f64, bound: f64) {
            let word = if value <= bound { "holds" } else { "BROKEN" };
            self.broken |= value > bound;
            println!("    {what:<58} {value:>6.3}, bound {bound:<5} {word}");
        }
    }

    pub fn compare() -> ExitCode {
        if tools().is_none() {
            return ExitCode::SUCCESS;
        }
        let mut sheet = Sheet::default();
        backups(&mut sheet);
        let computed = Program::T.crc_speed();
        writes(&mut sheet, computed, (0.75, 0.1));
        writes(&mut sheet, RECKONED, (1.05, 0.16));
        if sheet.broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// A module at a pseudo terminal, with nothing of an earlier run left.
    fn serve(at: &Path, module: &str, crc: u32, image: &Path) -> SimUart {
        // What is not there need not go.
        let _ = fs::remove_file(at.join("chip.bin"));
        let _ = fs::remove_file(at.join("chip.bin.state.toml"));
        let (image, crc) = (image.display().to_string(), crc.to_string());
        let chip = ["--chip", "chip.bin", "--pace", "line"];
        SimUart::start(at, &[&["--module", module, "--image", &image, "--crc", &crc], &chip[..]].concat())
    }

    /// Seconds of a run of bk7231tools.
    fn theirs(at: &Path, args: &[&str]) -> f64 {
        let began = Instant::now();
        run(at, "bk7231tools", args);
        began.elapsed().as_secs_f64()
    }

    /// Seconds of a run of this program, and its result.
    fn ours(at: &Path, port: &str, baud: &str, args: &[&str]) -> (f64, Value) {
        let began = Instant::now();
        let output = Command::new(env!("CARGO_BIN_EXE_bkbench"))
            .args(["--json", "--link", &format!("uart:{port}?baud={baud}")])
            .args(args)
            .current_dir(at)
            .env("BKBENCH_DATA_DIR", at.join("own"))
            .env("BKBENCH_CONFIG_DIR", at.join("own"))
            .env_remove("BKBENCH_LINK")
            .output()
            .expect("the binary runs");
        let seconds = began.elapsed().as_secs_f64();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        (seconds, serde_json::from_slice(&output.stdout).expect("a document"))
    }

    /// An N whose flash has no erased sector that could be skipped: what is read is the time of the line.
    fn backups(sheet: &mut Sheet) {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let mut content = Setup::new("cb3s").and_then(Module::new).expect("an embedded module").flash();
        for (index, sector) in
            content.chunks_mut(4096).enumerate().filter(|(_, it)| it.iter().all(|byte| *byte == 0xFF))
        {
            sector.fill(index as u8 & 0x7F);
        }
        let image = at.join("full.bin");
        fs::write(&image, &content).expect("written");

        let served = serve(at, "cb3s", RECKONED, &image);
        let their_time = theirs(at, &["read_flash", "-d", &served.port, "-b", "921600", "theirs.bin"]);
        assert!(fs::read(at.join("theirs.bin")).expect("a dump") == content, "bk7231tools reads what is there");
        drop(served);
        sheet.row("N, 2 MiB, read, 921600 baud", "bk7231tools", their_time);

        for (baud, wire) in WIRE {
            let served = serve(at, "cb3s", RECKONED, &image);
            let name = format!("ours-{baud}.bin");
            let (time, read) = ours(at, &served.port, baud, &["read", "-o", &name]);
            assert!(fs::read(at.join(&name)).expect("a backup") == content, "the backup is what is there");
            drop(served);
            sheet.row(&format!("N, 2 MiB, proven backup, {baud} baud"), "bkbench", time);
            let job = read["seconds"].as_f64().expect("the job's time");
            let factor = if baud == "921600" { 1.02 } else { 1.15 };
            sheet.bound("the job, of the line's and the CRC's time", job / (wire + CRC), factor);
            if baud == "921600" {
                sheet.bound("the whole command, of bk7231tools' time", time / their_time, 1.0);
            }
            // The next one is a first backup again.
            let _ = fs::remove_dir_all(at.join("own"));
        }
    }

    /// The OpenBeken application onto a T whose CRC has a speed, and the same once more, each in at most so much of the other
    /// tool's time. A backup of the chip is there before: this program makes one else, and the other tool none.
    fn writes(sheet: &mut Sheet, crc: u32, (first_bound, again_bound): (f64, f64)) {
        let (Some(dump), Some(image)) = (sample(T_DUMP), sample(T_IMAGE)) else { return };
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let mut wanted = fs::read(&dump).expect("the dump");
        let app = fs::read(image).expect("the image").split_off(APPLICATION);
        fs::write(at.join("app.bin"), &app).expect("written");
        wanted[APPLICATION..APPLICATION + app.len()].copy_from_slice(&app);
        let written = || fs::read(at.join("chip.bin")).expect("the chip") == wanted;

        let served = serve(at, "wb2s", crc, &dump);
        let write = ["write_flash", "-d", &served.port, "-b", "921600", "-s", "0x11000", "app.bin"];
        let theirs = [theirs(at, &write), theirs(at, &write)];
        assert!(written(), "what bk7231tools wrote");
        drop(served);

        let served = serve(at, "wb2s", crc, &dump);
        ours(at, &served.port, "921600", &["read"]);
        let write = ["write", "app.bin", "--at", "0x11000", "--yes"];
        let (first, report) = ours(at, &served.port, "921600", &write);
        assert!(written() && report["report"]["kept_proven"] == true, "{report}");
        let (again, report) = ours(at, &served.port, "921600", &write);
        assert!(written() && report["already_there"].is_object(), "{report}");
        drop(served);

        println!("a T whose CRC goes over {} kB/s, 921600 baud", crc / 1000);
        let what = ["T, application written", "T, the same again"];
        for ((what, theirs), ours) in what.into_iter().zip(theirs).zip([first, again]) {
            sheet.row(what, "bk7231tools", theirs);
            sheet.row(what, "bkbench", ours);
        }
        let chip = f64::from(SIZE) / f64::from(crc);
        println!("    of which the chip's CRC: over all of it {chip:.2} s, before and after a write");
        sheet.bound("writing, of bk7231tools' time", first / theirs[0], first_bound);
        sheet.bound("the same again, of bk7231tools' time", again / theirs[1], again_bound);
    }
}
