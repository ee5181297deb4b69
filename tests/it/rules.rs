//! The safety rules, seen from the flash: what its operation log shows while the program works.

use bkbench::job::{JobSpec, ProtectGoal};
use bkbench::link::WireKind;
use bkbench::link::sim::{Effect, Module, Setup};

use crate::support::bench::{Bench, image};

/// Opcodes that change flash, status registers or write enable (spi-flash.md §4).
const CHANGES: [u8; 13] = [0x01, 0x02, 0x06, 0x11, 0x20, 0x31, 0x50, 0x52, 0x60, 0x81, 0x98, 0xC7, 0xD8];

fn module(name: &str, wire: WireKind) -> Module {
    Module::new(Setup::new(name).expect("a module").wire(wire)).expect("a module")
}

#[test]
fn a_backup_sends_no_opcode_that_could_change_the_chip() {
    let module = module("wb2s", WireKind::Spi);
    let mut bench = Bench::over(&module);
    module.clear_operations();
    bench.back_up();
    let operations = module.operations();
    assert!(operations.len() > 500, "{} operations", operations.len());
    for operation in operations {
        assert!(!CHANGES.contains(&operation.opcode), "{operation:?}");
    }
}

#[test]
fn connecting_changes_neither_flash_nor_registers() {
    for wire in [WireKind::Spi, WireKind::Uart] {
        let module = module("cb3s", wire);
        let (flash, status) = (module.flash(), module.status());
        Bench::over(&module);
        assert!(module.flash() == flash);
        assert_eq!(module.status(), status, "{wire}");
    }
}

#[test]
fn every_write_enable_is_heard_and_no_command_meets_a_protected_or_busy_chip() {
    let module = module("wb2s", WireKind::Spi);
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    module.clear_operations();
    let content: Vec<u8> = (0..0x2_3000_u32).map(|at| (at % 251) as u8).collect();
    bench.write(image(&content, Some(0x14_0123), &backup)).expect("written");
    let counters = module.counters();
    assert_eq!(counters.lost_write_enables, 0);
    assert_eq!(counters.protected, 0);
    let changed = module.operations().into_iter().filter(|operation| [0x02, 0x20, 0xD8].contains(&operation.opcode));
    for operation in changed {
        assert_eq!(operation.effect, Effect::Done, "{operation:?}");
    }
}

#[test]
fn an_open_chip_gets_no_status_write() {
    let module = Module::new(Setup::new("wb2s").expect("a module").locked(false)).expect("a module");
    let mut bench = Bench::over(&module);
    let before = module.counters().status_writes;
    bench.run(JobSpec::SetProtection(ProtectGoal::Off)).expect("nothing to do");
    let backup = bench.back_up();
    bench.write(image(b"data", Some(0x14_0000), &backup)).expect("written");
    assert_eq!(module.counters().status_writes, before);
}

#[test]
fn changing_one_byte_rewrites_one_sector() {
    let module = module("wb2s", WireKind::Spi);
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    let mut content = vec![0x5A; 0x1_8000];
    bench.write(image(&content, Some(0x14_0000), &backup)).expect("written");
    content[0x5678] = 0xA5;
    let report = bench.write(image(&content, Some(0x14_0000), &backup)).expect("written");
    assert_eq!((report.sectors.erased, report.sectors.programmed), (1, 1));
}

#[test]
fn a_proven_backup_costs_little_more_than_the_bus_time_of_its_reads() {
    let module = module("wb2s", WireKind::Spi);
    let mut bench = Bench::over(&module);
    let (start, bus) = (module.now(), module.traffic().spi_time);
    bench.back_up();
    let took = (module.now() - start).as_secs_f64();
    let bus = (module.traffic().spi_time - bus).as_secs_f64();
    assert!(bus > 6.0, "two passes over 2 MiB at 8 and 4 MHz need {bus} s");
    assert!(took <= 1.15 * bus, "{took} s for {bus} s of bus time");
}

#[test]
fn a_write_over_the_t_s_loader_never_touches_its_own_range() {
    let module = module("wb2s", WireKind::Uart);
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    let before = module.bytes(0, 0x1_1000);
    let problem = bench.plan(&image(&before[..0x1000], Some(0), &backup)).expect_err("code below the guard");
    assert_eq!(problem.class.exit_code(), 4, "{problem}");
    bench.write(image(b"data", Some(0x14_0000), &backup)).expect("written");
    assert!(module.bytes(0, 0x1_1000) == before);
}

/// What opens, makes or replaces a file by its name.
const OPENS: [&str; 9] = [
    "fs::read(",
    "fs::read_to_string(",
    "fs::write(",
    "fs::copy(",
    "File::open(",
    "File::create(",
    "File::options(",
    "OpenOptions",
    "tempfile_in(",
];

/// Whether the code has that call; `PickFile::open` is another one.
fn calls(code: &str, call: &str) -> bool {
    code.match_indices(call).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn files_are_opened_in_one_place_and_nowhere_else() {
    let src = crate::support::root().join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("sources").map(|entry| entry.expect("an entry").path()) {
            let place = entry.strip_prefix(&src).expect("inside src").display().to_string();
            // Tests, and what reads samples for them.
            let of_tests = place.ends_with("tests.rs") || place.contains("/tests/");
            let of_tests = of_tests || ["image/samples.rs", "codec/beken/transcripts.rs"].contains(&place.as_str());
            if entry.is_dir() {
                folders.push(entry);
            } else if !place.starts_with("disk/") && !of_tests && place.ends_with(".rs") {
                seen += 1;
                let text = std::fs::read_to_string(&entry).expect("a source");
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                wrong.extend(OPENS.iter().filter(|call| calls(code, call)).map(|call| format!("{place}: {call}")));
            }
        }
    }
    assert!(seen > 150, "only {seen} sources found");
    assert!(wrong.is_empty(), "files are opened through the module disk: {wrong:?}");
}
