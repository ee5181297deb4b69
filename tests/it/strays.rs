//! A request damaged on its way hits another sector, and the process ends before that is put back: the next start finds it,
//! says so in the plan, and puts it back, or names what it may not write.

use std::path::Path;
use std::sync::Arc;

use bkbench::archive::unfinished;
use bkbench::device::Level;
use bkbench::job::{Action, BackupProof, JobSpec, Outcome, Phase, Plan, WriteReport, WriteSpec};
use bkbench::link::WireKind;
use bkbench::link::sim::{Faults, Module, Setup};
use bkbench::problem::Problem;
use bkbench::session::{Command, Event, What};
use bkbench::units::{SECTOR, Span};

use crate::support::bench::{Bench, connect_at, connect_to, image};
use crate::support::{Numbers, cases};

const AT: u32 = 0x14_0800;
const LEN: u32 = 0x3_1234;

fn module(name: &str, seed: u64) -> Module {
    Module::new(Setup::new(name).expect("a module").wire(WireKind::Uart).seed(seed)).expect("a module")
}

fn session(module: &Module) -> Bench {
    Bench::try_over(module, connect_at("sim:uart", Some(921_600))).unwrap_or_else(|problem| panic!("{problem}"))
}

fn run(bench: &mut Bench, folder: &Path, spec: WriteSpec, plan: &Plan) -> Result<Arc<WriteReport>, Problem> {
    let identity = bench.view().identity.expect("identified");
    let left = unfinished::find(folder, &identity).expect("readable");
    let key = left.map_or(identity.chip_key.clone(), |left| left.chip_key);
    let journal = Some(unfinished::journal(folder, &folder.join("writes"), &key));
    match bench.run(JobSpec::Write { spec, agreed: plan.hash.clone(), journal })? {
        Outcome::Written(report) => Ok(report),
        other => panic!("{other:?}"),
    }
}

fn over_spi(module: &Module) -> Bench {
    let module = module.clone();
    let mut bench = Bench::with_opener(Box::new(move |_| Ok(module.link_over(WireKind::Spi))));
    bench.run(connect_to("sim:wb2s")).unwrap_or_else(|problem| panic!("{problem}"));
    bench
}

/// What is left to do on the connected chip, with its backup.
fn left(bench: &Bench, folder: &Path, backup: &BackupProof) -> Option<WriteSpec> {
    let identity = bench.view().identity.expect("identified");
    let left = unfinished::find(folder, &identity).expect("a readable record")?;
    let spec = left.spec;
    Some(WriteSpec { backup: backup.clone(), ..spec })
}

/// A write that is ended, without a word to the chip, at an event that `now` picks; `then` happens at that moment.
fn cut_off(
    bench: &mut Bench,
    folder: &Path,
    spec: WriteSpec,
    mut now: impl FnMut(&Event) -> bool + 'static,
    mut then: impl FnMut() + 'static,
) -> bool {
    let plan = bench.plan(&spec).expect("a plan");
    let (id, mut done) = (bench.next_id(), false);
    bench.on_event(move |event, commands| {
        if !done && now(event) {
            done = true;
            then();
            commands.send(Command::Cancel(id)).expect("a session");
        }
    });
    let ended = run(bench, folder, spec, &plan);
    bench.no_hook();
    ended.is_err_and(|problem| problem.code == "E501")
}

/// An event in the middle of the work.
fn written(wanted: u64) -> impl FnMut(&Event) -> bool {
    let mut phase = Phase::Opening;
    move |event| match event.what {
        What::Phase { phase: now, .. } => {
            phase = now;
            false
        }
        What::Progress { done, .. } => phase == Phase::Write && done >= wanted,
        _ => false,
    }
}

#[test]
fn a_plan_over_uart_says_that_a_damaged_request_is_put_back() {
    for (wire, says) in [(WireKind::Uart, true), (WireKind::Spi, false)] {
        let module = Module::new(Setup::new("wb2s").expect("a module").wire(wire)).expect("a module");
        let mut bench = Bench::over(&module);
        let backup = bench.back_up();
        let plan = bench.plan(&image(&[7; 5000], Some(AT), &backup)).expect("a plan");
        assert_eq!(plan.notes.iter().any(|note| note.contains("a damaged request may hit another sector")), says);
    }
}

#[test]
fn a_sector_that_was_hit_unnoticed_is_in_the_plan_of_the_next_start_and_put_back() {
    let mut numbers = Numbers(41);
    let content = Numbers(8).bytes(LEN);
    for case in 0..cases(12, 200) {
        let name = if case.is_multiple_of(2) { "wb2s" } else { "cb3s" };
        let (module, folder) = (module(name, 1), tempfile::tempdir().expect("a folder"));
        let mut bench = session(&module);
        let backup = bench.back_up();
        let mut wanted = module.flash();
        wanted[AT as usize..(AT + LEN) as usize].copy_from_slice(&content);
        // Application, or data behind the image; not erased before.
        let areas = [Span::between(0x1_1000, 0x9_0000), Span::between(0x1E_2000, 0x1E_4000)];
        let area = areas[numbers.below(2) as usize];
        let hit = area.start + numbers.below(area.len / SECTOR) * SECTOR;
        let blank = module.bytes(hit, SECTOR).iter().all(|byte| *byte == 0xFF);
        let erased = numbers.below(2) == 0 && !blank;
        let damage = if erased { vec![0xFF; SECTOR as usize] } else { numbers.bytes(SECTOR) };
        let text = format!("case {case}: {name}, 0x{hit:06X}");
        let (chip, at) = (module.clone(), u64::from(numbers.below(LEN - 0x1_0000)));
        assert!(
            cut_off(&mut bench, folder.path(), image(&content, Some(AT), &backup), written(at), move || {
                chip.poke(hit, &damage);
            }),
            "{text}"
        );
        drop(bench);

        let mut bench = session(&module);
        let spec = left(&bench, folder.path(), &backup).expect("unfinished");
        let plan = bench.plan(&spec).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let outside: Vec<u32> = plan
            .runs
            .iter()
            .filter(|run| run.span.end() <= AT / SECTOR * SECTOR || run.span.start >= AT + LEN)
            .filter(|run| run.action != Action::Keep)
            .flat_map(|run| run.span.pieces(SECTOR))
            .map(|sector| sector.start)
            .collect();
        assert_eq!(outside, [hit], "{text}");
        let note = format!("outside the image 0x{hit:06X} changed");
        assert!(plan.notes.iter().any(|said| said.starts_with(&note)), "{text}: {:?}", plan.notes);
        run(&mut bench, folder.path(), spec, &plan).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        assert!(module.flash() == wanted, "{text}");
        assert_eq!(super::cut::journals(folder.path()), 0, "{text}");
    }
}

#[test]
fn a_guarded_sector_that_was_hit_unnoticed_is_named() {
    let content = Numbers(8).bytes(LEN);
    for hit in [0x2000, 0x1E_0000] {
        let (module, folder) = (module("wb2s", 1), tempfile::tempdir().expect("a folder"));
        let mut bench = session(&module);
        let backup = bench.back_up();
        let chip = module.clone();
        let spec = image(&content, Some(AT), &backup);
        // The end of the sector: the MAC of an RF block stays.
        assert!(
            cut_off(&mut bench, folder.path(), spec, written(0x1_0000), move || chip.poke(hit + 0xF00, &[0x5A; 16]))
        );
        drop(bench);
        let before = module.flash();
        let mut bench = session(&module);
        let spec = left(&bench, folder.path(), &backup).expect("unfinished");
        let problem = bench.plan(&spec).expect_err("guarded");
        assert_eq!(problem.code, "E436", "{problem}");
        assert!(problem.what.contains(&format!("0x{hit:06X}")) && problem.remedy.contains("do not reset"), "{problem}");
        assert!(module.flash() == before);
    }
}

#[test]
fn a_write_that_ends_between_a_stray_request_and_its_repair_is_ended_by_the_next_start() {
    let content = Numbers(8).bytes(LEN);
    let (mut cut, mut named) = (0, 0);
    for seed in 0..cases(30, 400) {
        let (module, folder) = (module("wb2s", u64::from(seed) + 1), tempfile::tempdir().expect("a folder"));
        let mut bench = session(&module);
        let backup = bench.back_up();
        let mut wanted = module.flash();
        wanted[AT as usize..(AT + LEN) as usize].copy_from_slice(&content);
        module.set_faults(Faults::parse("noise:1/3000").expect("faults"));
        let stray =
            |event: &Event| matches!(&event.what, What::Log(Level::Error, text) if text.contains("was answered for"));
        let spec = image(&content, Some(AT), &backup);
        let ended = cut_off(&mut bench, folder.path(), spec, stray, || {});
        module.set_faults(Faults::default());
        if !ended {
            continue;
        }
        cut += 1;
        drop(bench);
        // A boot loader that was hit does not start again: SPI reaches the chip all the same, and puts that back too.
        let loader_hit = module.bytes(0, 0x1_1000) != wanted[..0x1_1000];
        let mut bench = if loader_hit { over_spi(&module) } else { session(&module) };
        let spec = left(&bench, folder.path(), &backup).unwrap_or_else(|| panic!("seed {seed}: no record"));
        let done = bench.plan(&spec).and_then(|plan| run(&mut bench, folder.path(), spec.clone(), &plan));
        match done {
            Ok(_) => {
                named += u32::from(loader_hit);
                assert!(module.flash() == wanted, "seed {seed}");
            }
            Err(problem) => {
                assert_eq!(problem.code, "E436", "seed {seed}: {problem}");
                named += 1;
            }
        }
    }
    println!("{cut} writes ended at a stray request, {named} of them in a guarded range");
    assert!(cut > 0, "no request went astray");
}
