//! Faults of the line and of the chip that are overcome, and those that are not but leave a state that is named.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;

use bkbench::job::{BackupSpec, Earlier, JobSpec, Keeper, KeeperHandle, Outcome, Phase, WriteSpec};
use bkbench::link::WireKind;
use bkbench::link::sim::{Faults, Module, Setup};
use bkbench::problem::{Class, Problem};
use bkbench::session::{Command, What};
use bkbench::units::{SECTOR, Span};

use crate::support::bench::{Bench, image};
use crate::support::{Numbers, bkbench, code, document, folder, succeed};

fn module() -> Module {
    Module::new(Setup::new("wb2s").expect("a module")).expect("a module")
}

/// Switches a fault on when a phase begins.
fn fault_in(bench: &mut Bench, module: &Module, phase: Phase, faults: Faults) {
    let module = module.clone();
    bench.on_event(move |event, _| {
        if matches!(event.what, What::Phase { phase: now, .. } if now == phase) {
            module.set_faults(faults.clone());
        }
    });
}

#[test]
fn a_page_that_was_lost_is_written_again_and_counted() {
    let module = module();
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    module.set_faults(Faults { drop_page: Some(7), ..Faults::default() });
    let content = Numbers(1).bytes(0x8000);
    let report = bench.write(image(&content, Some(0x14_0000), &backup)).expect("written");
    assert!(report.verified && report.retries > 0, "{} retries", report.retries);
    assert_eq!(report.speed, 8_000_000, "once is no reason to go slower");
    assert_eq!(module.bytes(0x14_0000, 0x8000), content);
}

#[test]
fn a_clock_that_becomes_too_fast_in_mid_write_is_lowered() {
    let module = module();
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    fault_in(&mut bench, &module, Phase::Write, Faults { clock_limit: Some(6_000_000), ..Faults::default() });
    let content = Numbers(2).bytes(0x8000);
    let report = bench.write(image(&content, Some(0x14_0000), &backup)).expect("written");
    assert!(report.speed <= 4_000_000 && report.retries > 0, "{} Hz, {} retries", report.speed, report.retries);
    assert_eq!(bench.view().open_link().expect("open").1, report.speed, "the header shows the speed in force");
    assert_eq!(module.bytes(0x14_0000, 0x8000), content);
}

#[test]
fn a_clock_that_becomes_too_fast_in_mid_backup_is_lowered() {
    let module = module();
    let mut bench = Bench::over(&module);
    fault_in(&mut bench, &module, Phase::Read, Faults { clock_limit: Some(6_000_000), ..Faults::default() });
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(BackupSpec::default())) else { panic!("a backup") };
    assert!(read.proven(), "{:?}", read.unstable);
    assert!(*read.bytes == *module.flash());
    assert!(read.retries > 0 && read.speeds.1 < 4_000_000);
}

#[test]
fn a_chip_that_never_reads_the_same_twice_gives_no_proven_backup() {
    let module = module();
    let mut bench = Bench::over(&module);
    fault_in(&mut bench, &module, Phase::Read, Faults { noise: Some(300), ..Faults::default() });
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(BackupSpec::default())) else { panic!("a backup") };
    assert!(!read.unstable.is_empty() && !read.proven());
}

#[test]
fn a_lost_answer_over_uart_costs_a_retry_and_no_more() {
    let module = Module::new(Setup::new("cb3s").expect("a module").wire(WireKind::Uart)).expect("a module");
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    let content = Numbers(3).bytes(0x8000);
    fault_in(&mut bench, &module, Phase::Write, Faults { noise: Some(20_000), ..Faults::default() });
    let report = bench.write(image(&content, Some(0x14_0000), &backup)).expect("written");
    assert!(report.verified);
    assert_eq!(module.bytes(0x14_0000, 0x8000), content);
}

#[test]
fn a_failed_write_puts_the_protection_back_and_says_what_to_do() {
    let folder = folder();
    let at = folder.path();
    succeed(&bkbench(at, &["--link", "sim:wb2s?chip=chip.bin", "read", "--json"]));
    fs::write(at.join("data.bin"), Numbers(4).bytes(0x3000)).expect("a file");
    let status = fs::read(at.join("chip.bin.state.toml")).expect("the registers");
    let link = "sim:wb2s?chip=chip.bin&faults=ignore-program";
    let output = bkbench(at, &["--link", link, "write", "data.bin", "--at", "0x1E3000", "--yes", "--json"]);
    assert_eq!(code(&output), 5, "{}", String::from_utf8_lossy(&output.stderr));
    let document = document(&output);
    assert!(document["left"].as_array().is_some_and(|left| !left.is_empty()), "{document}");
    assert!(document["next"].as_str().expect("a next step").contains("bkbench resume"), "{document}");
    assert!(fs::read(at.join("chip.bin.state.toml")).expect("the registers") == status);
    let resumed = succeed(&bkbench(at, &["--link", "sim:wb2s?chip=chip.bin", "resume", "--yes", "--json"]));
    assert_eq!(resumed["report"]["verified"], true);
    let nothing = succeed(&bkbench(at, &["--link", "sim:wb2s?chip=chip.bin", "resume", "--yes", "--json"]));
    assert!(nothing["unfinished"].is_null());
}

#[test]
fn leaving_the_protection_open_has_to_be_asked_for() {
    let folder = folder();
    let at = folder.path();
    let link = "sim:wb2s?chip=chip.bin";
    let args = ["--link", link, "erase", "--start", "0x1E3000", "--length", "4K", "--yes", "--json"];
    let done = succeed(&bkbench(at, &[&args[..], &["--no-protect-after"]].concat()));
    assert!(done["report"]["protection"].as_str().expect("words").contains("left open"), "{done}");
    let status = succeed(&bkbench(at, &["--link", link, "protect", "status", "--json"]));
    assert_eq!(status["protection"]["range"]["state"], "open");
}

#[test]
fn a_basic_loader_says_in_one_sentence_that_it_cannot_show_the_protection() {
    let module = Module::new(Setup::new("wb2s").expect("a module").wire(WireKind::Uart)).expect("a module");
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    let spec = WriteSpec { protect_after: true, ..image(b"data", Some(0x14_0000), &backup) };
    let report = bench.write(spec).expect("written");
    assert_eq!(report.protection, "this boot loader can neither show nor change the protection; SPI can");
    assert!(report.plan.notes.contains(&report.protection), "{:?}", report.plan.notes);
}

/// Keeps a backup in memory.
#[derive(Default)]
struct Shelf {
    sectors: BTreeMap<u32, (Vec<u8>, bool)>,
}

struct Kept(Arc<Mutex<Shelf>>);

impl Keeper for Kept {
    fn keep(&mut self, at: u32, bytes: &[u8], twice: bool) -> Result<(), Problem> {
        let mut shelf = self.0.lock().expect("a shelf");
        for (at, sector) in (at..).step_by(SECTOR as usize).zip(bytes.chunks(SECTOR as usize)) {
            shelf.sectors.insert(at, (sector.to_vec(), twice));
        }
        Ok(())
    }
}

/// A backup that is stopped after so many bytes of a phase, and what was kept of it.
fn stopped_backup(module: &Module, phase: Phase, after: u64) -> Earlier {
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    let mut bench = Bench::over(module);
    let id = bench.next_id();
    let now = Rc::new(RefCell::new(Phase::Opening));
    bench.on_event(move |event, commands| match event.what {
        What::Phase { phase, .. } => *now.borrow_mut() = phase,
        What::Progress { done, .. } if *now.borrow() == phase && done > after => {
            let _ = commands.send(Command::Cancel(id));
        }
        _ => {}
    });
    let spec = BackupSpec { keeper: Some(KeeperHandle::new(Kept(Arc::clone(&shelf)))), ..BackupSpec::default() };
    let problem = bench.run(JobSpec::Backup(spec)).expect_err("stopped");
    assert_eq!(problem.class, Class::Cancelled);
    let shelf = shelf.lock().expect("a shelf");
    let mut earlier = Earlier { bytes: vec![0; 0x20_0000], ..Earlier::default() };
    for (at, (bytes, twice)) in &shelf.sectors {
        earlier.bytes[*at as usize..(*at + SECTOR) as usize].copy_from_slice(bytes);
        let list = if *twice { &mut earlier.twice } else { &mut earlier.once };
        list.push(Span::new(*at, SECTOR));
    }
    earlier
}

/// Bytes on the bus of a backup with this start, and whether it is right and proven.
fn go_on(module: &Module, earlier: Earlier) -> (u64, bool) {
    let mut bench = Bench::over(module);
    let before = module.traffic().spi_bytes;
    let spec = BackupSpec { earlier: Some(Arc::new(earlier)), ..BackupSpec::default() };
    let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(spec)) else { panic!("a backup") };
    (module.traffic().spi_bytes - before, read.proven() && *read.bytes == *module.flash())
}

#[test]
fn a_backup_that_was_cut_off_reads_only_what_is_missing() {
    let module = module();
    let second = stopped_backup(&module, Phase::SecondPass, 0x18_0000);
    let twice: u32 = second.twice.iter().map(|span| span.len).sum();
    assert!(twice >= 0x17_0000, "{twice} bytes were read twice");
    let (read, right) = go_on(&module, second);
    assert!(right);
    assert!(read < 0xA_0000, "{read} bytes were read for {} missing ones", 0x20_0000 - twice);

    let first = stopped_backup(&module, Phase::Read, 0x10_0000);
    assert!(first.twice.is_empty() && first.once.len() > 200);
    let (read, right) = go_on(&module, first);
    assert!(right && read < 0x33_0000, "{read} bytes");
}

#[test]
fn what_changed_on_the_chip_in_between_is_not_taken_over() {
    let module = module();
    let earlier = stopped_backup(&module, Phase::SecondPass, 0x18_0000);
    let code: Vec<u8> = module.bytes(0x2_0000, 0x1_0000).iter().map(|byte| byte ^ 0x5A).collect();
    module.poke(0x2_0000, &code);
    let (read, right) = go_on(&module, earlier);
    assert!(right && read >= 0x40_0000, "{read} bytes: everything is read afresh");
}

#[test]
fn a_backup_that_was_killed_is_gone_on_with_by_the_next_one_to_the_same_place() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let folder = folder();
    let at = folder.path();
    let args = ["--link", "sim:wb2s?chip=chip.bin", "read", "-o", "b.bin", "--json"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_bkbench"))
        .args(args)
        .arg("--events")
        .current_dir(at)
        .env("BKBENCH_DATA_DIR", at.join("data"))
        .env("BKBENCH_CONFIG_DIR", at.join("config"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut second = false;
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
        second |= line.contains("second-pass");
        if second && line.contains("\"event\":\"progress\"") {
            break;
        }
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(parts(at) > 0 && !at.join("b.bin").exists());
    let output = bkbench(at, &args);
    let read = succeed(&output);
    assert!(String::from_utf8_lossy(&output.stderr).contains("going on with a backup"));
    assert_eq!(read["proven"], true);
    assert!(fs::read(at.join("b.bin")).expect("a backup") == fs::read(at.join("chip.bin")).expect("the chip"));
    assert_eq!(parts(at), 0);
}

/// Files of backups that are being made.
fn parts(at: &std::path::Path) -> usize {
    let names = fs::read_dir(at).expect("a folder").filter_map(Result::ok).map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().contains(".part")).count()
}
