//! The clock that tunes itself, and how long the work takes at it, on the simulated module's own clock: exact figures.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bkbench::device::EraseUnit;
use bkbench::job::{JobSpec, Outcome};
use bkbench::link::sim::{Effect, Faults, Module, Setup};
use bkbench::session::What;

use crate::support::bench::{Bench, image};
use crate::support::model::{on_a_pi, public_tool};
use crate::support::{Numbers, bkbench, folder, sample, succeed};

fn limited(limit: u32, seed: u64) -> Module {
    let faults = Faults { clock_limit: Some(limit), ..Faults::default() };
    Module::new(Setup::new("wb2s").expect("a module").faults(faults).seed(seed)).expect("a module")
}

fn clock(bench: &Bench) -> u32 {
    bench.view().open_link().expect("an open link").1
}

/// Clock limits from 100 kHz to 40 MHz: every step of a geometric row, a little off the preferred numbers each time.
fn limits() -> impl Iterator<Item = (u32, u64)> {
    (0..=52_u32).map(|step| {
        let limit = 100_000.0 * 400_f64.powf(f64::from(step) / 52.0);
        (limit.round() as u32, u64::from(step) + 1)
    })
}

#[test]
fn the_clock_lands_between_two_fifths_and_nineteen_twentieths_of_what_the_wires_carry() {
    for (limit, seed) in limits().flat_map(|(limit, seed)| [(limit, seed), (limit, seed + 100)]) {
        let found = f64::from(clock(&Bench::over(&limited(limit, seed)))) / f64::from(limit);
        assert!((0.4..=0.95).contains(&found), "{found:.3} of {limit} Hz, seed {seed}");
    }
}

#[test]
fn a_backup_at_the_tuned_clock_is_proven() {
    for (limit, seed) in limits().step_by(4) {
        let module = limited(limit, seed);
        let mut bench = Bench::over(&module);
        let Ok(Outcome::Backup(read)) = bench.run(JobSpec::Backup(Default::default())) else { panic!("a backup") };
        assert!(read.proven() && *read.bytes == *module.flash(), "{limit} Hz: {:?}", read.unstable);
        assert_eq!(read.retries, 0, "{limit} Hz, seed {seed}: the margin spares the work any misread");
    }
}

#[test]
fn each_step_tells_how_long_a_backup_would_take() {
    let module = limited(9_000_000, 1);
    let mut bench = Bench::over(&module);
    let log: Vec<String> = bench.view().log.iter().map(|line| line.text.clone()).collect();
    for text in [
        "clock: 2 MHz reads right: a proven backup would take 25 s",
        "misreads",
        "working at 7.1 MHz, a proven backup takes 7.2 s",
    ] {
        assert!(log.iter().any(|line| line.contains(text)), "{text}: {log:#?}");
    }
    let before = module.now();
    bench.back_up();
    let took = (module.now() - before).as_secs_f64();
    assert!((took - 7.2).abs() < 0.2, "{took}");
}

#[test]
fn above_the_limit_of_the_plain_read_the_fast_one_is_used() {
    let module = limited(50_000_000, 1);
    let mut bench = Bench::over(&module);
    assert!(clock(&bench) > 33_000_000, "{}", clock(&bench));
    module.clear_operations();
    bench.back_up();
    let count = |opcode| module.operations().iter().filter(|operation| operation.opcode == opcode).count();
    assert!(count(0x0B) > 500, "the first pass");
    assert!(count(0x03) > 500, "the second, at half the clock");
}

#[test]
fn a_clock_in_the_link_is_not_tuned() {
    let folder = folder();
    let output = bkbench(folder.path(), &["--link", "sim:wb2s?clock=2000000", "info", "--json"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("reads right"));
    assert_eq!(succeed(&output)["speed"], 2_000_000);
}

#[test]
fn what_worked_with_a_module_is_remembered_and_proven_again() {
    let folder = folder();
    let memory = folder.path().join("data/clocks.toml");
    let remembered = || std::fs::read_to_string(&memory).expect("a memory");
    let read = |faults: &str, name: &str| {
        let link = format!("sim:wb2s?faults={faults}");
        let args = ["--link", &link, "read", "-o", name, "--start", "0", "--length", "4K", "--json"];
        let output = bkbench(folder.path(), &args);
        succeed(&output);
        let clock: Option<u32> =
            remembered().lines().filter_map(|line| line.strip_prefix("hz = ")?.parse().ok()).next_back();
        let looks = String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("clock:")).count();
        (clock.expect("a clock"), looks)
    };
    let (first, looks) = read("clock:8M", "a.bin");
    assert_eq!(first, 6_300_000);
    let (second, fewer) = read("clock:8M", "b.bin");
    assert_eq!(second, first);
    assert!(fewer == 3 && looks > 5, "{looks} looks, then {fewer}");
    assert!(remembered().contains("sim:wb2s") && remembered().matches("[[clock]]").count() == 1, "{}", remembered());
    assert_eq!(read("clock:3M", "c.bin").0, 2_240_000, "worse wires are noticed");
    assert_eq!(read("clock:20M", "d.bin").0, 16_000_000, "better ones too");
    // One that a person asks for says nothing about the module.
    succeed(&bkbench(folder.path(), &["--link", "sim:wb2s", "--speed", "1M", "info", "--json"]));
    assert!(!remembered().contains("hz = 1000000\n"));
}

#[test]
fn wires_that_carry_answers_but_no_commands_are_noticed_before_the_first_change() {
    let module = limited(11_000_000, 3);
    let mut bench = Bench::over(&module);
    let backup = bench.back_up();
    let content = Numbers(5).bytes(0x4000);
    let hand = module.clone();
    bench.on_event(move |event, _| {
        if matches!(event.what, What::Planned { .. }) {
            hand.set_faults(Faults { clock_limit: Some(3_000_000), ..Faults::default() });
            hand.clear_operations();
        }
    });
    let report = bench.write(image(&content, Some(0x14_0000), &backup)).expect("written");
    assert_eq!(report.speed, 2_000_000);
    assert_eq!(module.bytes(0x14_0000, 0x4000), content);
    let log: Vec<String> = bench.view().log.iter().map(|line| line.text.clone()).collect();
    assert!(log.iter().any(|line| line.contains("write enable is not taken every time at 8 MHz")), "{log:#?}");
    let missed = |opcode| module.operations().iter().any(|done| done.opcode == opcode && done.effect != Effect::Done);
    assert!(!missed(0x20) && !missed(0xD8) && !missed(0x01), "no change was tried before");
}

#[test]
fn a_proven_backup_at_an_8_mhz_limit_takes_under_ten_seconds() {
    let module = on_a_pi(Setup::new("wb2s").expect("a module"), 8_000_000);
    let once = public_tool(&module);
    assert!(once > Duration::from_secs(600), "one pass at 30 kHz in reads of 256 bytes: {once:?}");
    let mut bench = Bench::over(&module);
    let before = module.now();
    bench.back_up();
    let took = module.now() - before;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_firmware_write_takes_little_more_than_the_parts_own_times_and_the_bus() {
    let Some(path) = sample("firmware/OpenBK7231T_QIO_1.18.300.bin") else { return };
    let firmware = std::fs::read(path).expect("the image");
    for part in ["eb6015", "1c7015", "ef4015", "c84015", "854215"] {
        let setup = Setup::new("wb2s").and_then(|setup| setup.part(part)).expect("a part");
        let module = Module::new(setup).expect("a module");
        let mut bench = Bench::over(&module);
        let backup = bench.back_up();
        module.clear_operations();
        let plan = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&plan);
        bench.on_event(move |event, _| {
            if let What::Planned { plan, .. } = &event.what {
                *seen.borrow_mut() = Some(Arc::clone(plan));
            }
        });
        let report = bench.write(image(&firmware, None, &backup)).expect("written");
        assert!(report.verified && report.kept_proven && report.retries == 0);
        let plan = plan.borrow_mut().take().expect("a plan");
        // What the plan says has to be done, whatever was done: its erases, the pages of its sectors that are not empty.
        let count =
            |unit| plan.groups.iter().flat_map(|group| &group.erases).filter(|(one, _)| *one == unit).count() as u32;
        let (sectors, blocks) = (count(EraseUnit::Sector), count(EraseUnit::Block));
        let programs = plan.groups.iter().flat_map(|group| &group.programs);
        let pages = programs
            .flat_map(|at| plan.wanted[*at as usize..*at as usize + 4096].chunks(256))
            .filter(|page| page.iter().any(|byte| *byte != 0xFF))
            .count() as u32;
        assert!(pages > 2000 && sectors + blocks > 10, "{pages} pages, {sectors} sectors, {blocks} blocks");
        let done = |opcode| module.operations().into_iter().filter(|done| done.opcode == opcode).count() as u32;
        assert_eq!((done(0x20), done(0xD8), done(0x02)), (sectors, blocks, pages), "{part}: nothing beside the plan");
        let busy = |opcode, count: u32| module.part().busy_time(opcode) * count;
        let work = busy(0x20, sectors) + busy(0xD8, blocks) + busy(0x02, pages);
        // Survey, pages, the touched sectors read back, and the whole chip once more; the last two at half the clock.
        let size = f64::from(module.part().size);
        let touched: u32 = plan.groups.iter().flat_map(|group| group.sectors()).map(|span| span.len).sum();
        assert!(touched <= module.part().size - report.sectors.kept * 4096);
        let bytes = size + f64::from(pages) * 260.0 + 2.0 * (f64::from(touched) + size);
        let sum = work + Duration::from_secs_f64(bytes * 8.0 / f64::from(clock(&bench)));
        let ratio = report.took.as_secs_f64() / sum.as_secs_f64();
        println!("{part}: {:?} for {sum:?}, ratio {ratio:.3}", report.took);
        assert!(ratio <= 1.2, "{part}: {:?} for {sum:?}", report.took);
    }
}
