//! The supply of the computer as jobs see it: recorded with each, and the first suspect of read errors.

use std::fs;
use std::path::{Path, PathBuf};

use bkbench::job::{BackupSpec, JobSpec, Outcome, Phase};
use bkbench::link::host::Host;
use bkbench::link::sim::{Faults, Module, Setup};
use bkbench::link::supply::Supply;
use bkbench::problem::Class;
use bkbench::session::What;
use tempfile::TempDir;

use crate::support::bench::{Bench, image};
use crate::support::{Numbers, folder};

/// A computer whose firmware's word can be set.
struct Board {
    folder: TempDir,
}

impl Board {
    fn new() -> Self {
        let board = Self { folder: folder() };
        fs::create_dir_all(board.file().parent().expect("a folder")).expect("a folder");
        board.says("0\n");
        board
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("sys/devices/platform/soc/soc:firmware/get_throttled")
    }

    fn says(&self, word: &str) {
        fs::write(self.file(), word).expect("a file");
    }

    fn supply(&self) -> Option<Supply> {
        Supply::of(&Host::copied(self.folder.path()))
    }
}

fn desk(board: &Board) -> (Module, Bench) {
    let module = Module::new(Setup::new("wb2s").expect("a module")).expect("a module");
    let mut bench = Bench::over(&module);
    bench.watch_supply(board.supply());
    (module, bench)
}

/// Writes the word when a phase begins.
fn says_in(bench: &mut Bench, phase: Phase, file: PathBuf, word: &'static str) {
    bench.on_event(move |event, _| {
        if matches!(event.what, What::Phase { phase: now, .. } if now == phase) {
            fs::write(&file, word).expect("a file");
        }
    });
}

fn log(bench: &Bench) -> Vec<String> {
    bench.view().log.iter().map(|line| line.text.clone()).collect()
}

#[test]
fn a_good_supply_is_recorded_and_not_talked_about() {
    let board = Board::new();
    let (_, mut bench) = desk(&board);
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(BackupSpec::default())) else { panic!("a backup") };
    let record = read.supply.expect("a record");
    assert!(record.samples >= 2 && !record.dipped(), "{record:?}");
    assert!(record.words().starts_with("no under-voltage"));
    assert!(log(&bench).iter().all(|line| !line.contains("supply")));
    assert!(bench.view().last.as_ref().expect("a job").job.supply.is_some(), "for the job's report on disk");
}

#[test]
fn a_dip_in_mid_job_is_recorded_though_it_is_over_at_the_end() {
    let board = Board::new();
    let (_, mut bench) = desk(&board);
    // The firmware remembers that there was one.
    says_in(&mut bench, Phase::SecondPass, board.file(), "50000\n");
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(BackupSpec::default())) else { panic!("a backup") };
    let record = read.supply.expect("a record");
    assert!(record.dipped() && !record.before.low_before && record.after.low_before, "{record:?}");
    // The next job knows that it was before.
    bench.no_hook();
    bench.run(JobSpec::Identify).expect("identified");
    let next = bench.view().last.as_ref().expect("a job").job.supply.expect("a record");
    assert!(!next.dipped() && next.before.low_before);
}

#[test]
fn read_errors_under_a_low_supply_name_it_as_the_first_suspect() {
    let board = Board::new();
    board.says("50005\n");
    let (module, mut bench) = desk(&board);
    module.set_faults(Faults { clock_limit: Some(6_000_000), ..Faults::default() });
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(BackupSpec::default())) else { panic!("a backup") };
    assert!(read.retries > 0 && read.supply.is_some_and(|record| record.low > 0));
    let lines = log(&bench);
    let told = lines.iter().filter(|line| line.starts_with("suspect the supply first")).count();
    assert_eq!(told, 1, "said once: {lines:?}");
    let again: Vec<_> = lines.iter().filter(|line| line.contains("0x")).collect();
    assert!(again.iter().any(|line| line.ends_with("suspect the supply first: under-voltage")), "{lines:?}");
    // The same errors with a good supply do not.
    board.says("0\n");
    bench.run(JobSpec::Backup(BackupSpec::default())).expect("a backup");
    let later: Vec<_> = log(&bench).into_iter().skip(lines.len()).collect();
    assert!(later.iter().all(|line| !line.contains("supply")), "{later:?}");
}

#[test]
fn a_failure_of_the_wires_names_a_low_supply_before_them() {
    let board = Board::new();
    let (module, mut bench) = desk(&board);
    let backup = bench.back_up();
    let content = Numbers(4).bytes(0x2000);
    module.set_faults(Faults { ignore_program: true, ..Faults::default() });
    let spec = image(&content, Some(0x14_0000), &backup);
    let good = bench.write(spec.clone()).expect_err("nothing is written");
    assert!(!good.cause.contains("supply first"), "{good}");
    board.says("50005\n");
    let low = bench.write(spec).expect_err("nothing is written");
    assert_eq!((low.code, low.class), (good.code, Class::Verification));
    assert!(low.cause.starts_with("suspect the supply first"), "{low}");
}

#[test]
fn a_report_and_a_manifest_hold_it() {
    let board = Board::new();
    board.says("50000\n");
    let (_, mut bench) = desk(&board);
    let backup = bench.back_up();
    let report = bench.write(image(&Numbers(5).bytes(0x1000), Some(0x14_0000), &backup)).expect("written");
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["supply"]["before"]["low_before"], true);
    assert_eq!(json["supply"]["low"], 0);
}

#[test]
fn a_computer_that_tells_nothing_is_not_talked_about() {
    let empty = folder();
    assert!(Supply::of(&Host::copied(Path::new(empty.path()))).is_none());
    let module = Module::new(Setup::new("wb2s").expect("a module")).expect("a module");
    let mut bench = Bench::over(&module);
    bench.watch_supply(None);
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(BackupSpec::default())) else { panic!("a backup") };
    assert_eq!(read.supply, None);
}
