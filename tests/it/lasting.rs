//! The cable is pulled in the middle of a job and put back, in the module's own time: the job goes on with the same chip
//! and with no other, and ends with a name when nothing comes back.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bkbench::archive::unfinished;
use bkbench::device::Level;
use bkbench::image::rf::MacState;
use bkbench::job::{BackupProof, BackupRead, Change, JobSpec, Outcome, Phase, WriteReport, WriteSpec};
use bkbench::link::sim::{Cen, Effect, Faults, Module, Setup};
use bkbench::link::{LinkSpec, WireKind};
use bkbench::problem::{Class, Problem};
use bkbench::session::{Command, LinkState, What};

use crate::support::bench::{Bench, connect_at, image};
use crate::support::{Numbers, cases};

/// Where the data of the writes goes: begins and ends inside sectors, and spans several blocks.
const AT: u32 = 0x14_0800;

fn module(name: &str, cen: Cen, seed: u64) -> Module {
    Module::new(Setup::new(name).expect("a module").wire(WireKind::Uart).cen(cen).seed(seed)).expect("a module")
}

/// A session over whatever module the cell holds; 921600 baud, or about as many hertz. The chip file is a name only: it makes the link one
/// that can come back.
fn session(folder: &Path, module: &Rc<RefCell<Module>>) -> Bench {
    let plugged = Rc::clone(module);
    let mut bench = Bench::with_opener(Box::new(move |_| Ok(plugged.borrow().link())));
    let link = format!("sim:uart?chip={}", folder.join("chip.bin").display());
    bench.run(connect_at(&link, Some(921_600))).unwrap_or_else(|problem| panic!("{problem}"));
    bench
}

/// Puts the cable back when the job has waited so long.
fn put_back_after(bench: &mut Bench, module: &Rc<RefCell<Module>>, wait: Duration) {
    let plugged = Rc::clone(module);
    bench.on_event(move |event, _| match &event.what {
        What::Link(LinkState::Away { left, .. }) if *left + wait <= Duration::from_secs(60) => {
            plugged.borrow().plug_in();
        }
        What::Log(Level::Ask, text) if text.starts_with("touch CEN") => plugged.borrow().pulse_cen(),
        _ => {}
    });
}

fn moved(module: &Module) -> u64 {
    module.traffic().uart_sent + module.traffic().uart_received
}

fn back_up(bench: &mut Bench) -> Result<Arc<BackupRead>, Problem> {
    match bench.run(JobSpec::Backup(Default::default()))? {
        Outcome::Backup(read) => Ok(read),
        other => panic!("{other:?}"),
    }
}

/// A write of `content` with a journal in `folder`.
fn write(bench: &mut Bench, folder: &Path, content: &[u8], backup: &BackupProof) -> Result<Arc<WriteReport>, Problem> {
    let spec = image(content, Some(AT), backup);
    let agreed = bench.plan(&spec)?.hash.clone();
    start_write(bench, folder, spec, agreed)
}

fn start_write(bench: &mut Bench, folder: &Path, spec: WriteSpec, agreed: String) -> Result<Arc<WriteReport>, Problem> {
    let key = bench.view().identity.expect("identified").chip_key.clone();
    let journal = Some(unfinished::journal(&folder.join("journal"), &folder.join("writes"), &key));
    match bench.run(JobSpec::Write { spec, agreed, journal })? {
        Outcome::Written(report) => Ok(report),
        other => panic!("{other:?}"),
    }
}

/// A T or an N, with and without a line to its CEN.
fn kind(case: u32) -> (&'static str, Cen) {
    let cen = if (case / 2).is_multiple_of(2) { Cen::Line } else { Cen::Hand };
    (if case.is_multiple_of(2) { "wb2s" } else { "cb3s" }, cen)
}

#[test]
fn a_backup_whose_cable_is_pulled_anywhere_goes_on_and_reads_nothing_twice() {
    let mut numbers = Numbers(31);
    for case in 0..cases(25, 200) {
        let (name, cen) = kind(case);
        let folder = tempfile::tempdir().expect("a folder");
        let whole = Rc::new(RefCell::new(module(name, cen, 1)));
        let mut bench = session(folder.path(), &whole);
        let before = moved(&whole.borrow());
        back_up(&mut bench).expect("a backup");
        let all = moved(&whole.borrow()) - before;
        drop(bench);

        let module = Rc::new(RefCell::new(module(name, cen, 1)));
        let mut bench = session(folder.path(), &module);
        let (cut, wait) = (u64::from(numbers.below(all as u32)), Duration::from_secs(numbers.below(50).into()));
        let text = format!("case {case}: {name} {cen:?}, pulled after {cut} of {all} bytes, back after {wait:?}");
        put_back_after(&mut bench, &module, wait);
        let before = moved(&module.borrow());
        module.borrow().unplug_after(cut);
        let read = back_up(&mut bench).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        assert!(read.proven() && *read.bytes == *module.borrow().flash(), "{text}");
        assert_eq!(read.interruptions.len(), 1, "{text}");
        assert!(read.interruptions[0].away >= wait, "{text}: {:?}", read.interruptions);
        // One block, what identifies the chip, and the questions for CRCs.
        let more = (moved(&module.borrow()) - before).saturating_sub(all);
        assert!(more < 0x4_8000, "{text}: {more} bytes more than without");
        assert!(matches!(bench.view().link, LinkState::Open { .. }), "{text}");
    }
}

#[test]
fn a_write_whose_cable_is_pulled_anywhere_goes_on_and_is_byte_exact() {
    let content = Numbers(8).bytes(0x3_1234);
    let mut numbers = Numbers(32);
    for case in 0..cases(25, 200) {
        let (name, cen) = kind(case);
        let folder = tempfile::tempdir().expect("a folder");
        let module = Rc::new(RefCell::new(module(name, cen, 1)));
        let mut bench = session(folder.path(), &module);
        let backup = bench.back_up();
        let spec = image(&content, Some(AT), &backup);
        let agreed = bench.plan(&spec).expect("a plan").hash.clone();
        let mut wanted = module.borrow().flash();
        wanted[AT as usize..AT as usize + content.len()].copy_from_slice(&content);
        // The content goes over the wire once; around it are survey and proof.
        let (cut, wait) =
            (u64::from(numbers.below(content.len() as u32 + 0x2000)), Duration::from_secs(numbers.below(50).into()));
        let text = format!("case {case}: {name} {cen:?}, pulled after {cut} bytes, back after {wait:?}");
        put_back_after(&mut bench, &module, wait);
        module.borrow().unplug_after(cut);
        let report = start_write(&mut bench, folder.path(), spec, agreed.clone())
            .unwrap_or_else(|problem| panic!("{text}: {problem}"));
        assert!(module.borrow().flash() == wanted, "{text}: the chip does not hold what it shall");
        assert!(report.verified && report.kept_proven, "{text}");
        assert_eq!((report.interruptions.len(), &report.plan.hash), (1, &agreed), "{text}");
        let left = std::fs::read_dir(folder.path().join("journal")).expect("a folder").count();
        assert_eq!(left, 0, "{text}: the record is still there");
    }
}

#[test]
fn progress_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = Rc::new(RefCell::new(module("cb3s", Cen::Line, 1)));
    let mut bench = session(folder.path(), &module);
    let (plugged, seen) = (Rc::clone(&module), Rc::new(RefCell::new(Vec::new())));
    let phases = Rc::clone(&seen);
    bench.on_event(move |event, _| match &event.what {
        What::Link(LinkState::Away { .. }) => plugged.borrow().plug_in(),
        What::Phase { phase: Phase::Read, done, total, .. } => phases.borrow_mut().push((*done, *total)),
        _ => {}
    });
    module.borrow().unplug_after(0xC_0000);
    back_up(&mut bench).expect("a backup");
    let seen = seen.borrow();
    assert_eq!((seen.len(), seen[0]), (2, (0, 0x20_0000)), "{seen:?}");
    assert!(seen[1].0 >= 0xA_0000 && seen[1].1 == 0x20_0000, "{seen:?}");
    let ended = bench.view().last.expect("a job").job.finished;
    assert_eq!(ended.iter().filter(|(phase, _)| *phase == Phase::Read).count(), 1, "{ended:?}");
}

#[test]
fn another_module_on_the_same_cable_is_named_and_never_written_to() {
    for name in ["wb2s", "cb3s"] {
        for writing in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let module_in = Rc::new(RefCell::new(module(name, Cen::Line, 1)));
            let mut bench = session(folder.path(), &module_in);
            let backup = if writing { bench.back_up() } else { BackupProof::None };
            let other = module(name, Cen::Line, 2);
            other.clear_operations();
            let before = other.flash();
            let (plugged, next) = (Rc::clone(&module_in), other.clone());
            bench.on_event(move |event, _| {
                if matches!(event.what, What::Link(LinkState::Away { .. })) {
                    *plugged.borrow_mut() = next.clone();
                }
            });
            let problem = if writing {
                let content = Numbers(8).bytes(0x2_0000);
                let spec = image(&content, Some(AT), &backup);
                let agreed = bench.plan(&spec).expect("a plan").hash.clone();
                module_in.borrow().unplug_after(0x1_0000);
                start_write(&mut bench, folder.path(), spec, agreed).err()
            } else {
                module_in.borrow().unplug_after(0x8_0000);
                back_up(&mut bench).err()
            };
            let problem = problem.expect("another module");
            assert_eq!(problem.code, "E313", "{name}: {problem}");
            assert!(other.flash() == before, "{name}");
            let changes = [0x02, 0x20, 0x52, 0xD8, 0x01, 0x31, 0x11];
            let changed: Vec<_> = other
                .operations()
                .into_iter()
                .filter(|operation| changes.contains(&operation.opcode) && operation.effect != Effect::Protected)
                .collect();
            // A basic loader locks its flash with every CRC by itself.
            let own = changed.iter().all(|operation| name == "wb2s" && operation.opcode == 0x01);
            assert!(own, "{name}: {changed:?}");
            assert!(matches!(bench.view().link, LinkState::Lost(_)), "{:?}", bench.view().link);
        }
    }
}

#[test]
fn a_cable_that_is_never_put_back_ends_the_job_with_a_name_in_time() {
    for (name, writing) in [("wb2s", false), ("cb3s", true), ("wb2s", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        let module = Rc::new(RefCell::new(module(name, Cen::Line, 1)));
        let mut bench = session(folder.path(), &module);
        let backup = if writing { bench.back_up() } else { BackupProof::None };
        let lost_at = Rc::new(Cell::new(None));
        let (clock, at) = (Rc::clone(&module), Rc::clone(&lost_at));
        bench.on_event(move |event, _| {
            if matches!(event.what, What::Link(LinkState::Away { .. })) && at.get().is_none() {
                at.set(Some(clock.borrow().now()));
            }
        });
        let content = Numbers(8).bytes(0x2_0000);
        module.borrow().unplug_after(0x1_0000);
        let problem =
            if writing { write(&mut bench, folder.path(), &content, &backup).err() } else { back_up(&mut bench).err() };
        let problem = problem.expect("nothing came back");
        assert_eq!((problem.code, problem.class), ("E506", Class::NoDevice), "{problem}");
        let waited = module.borrow().now() - lost_at.get().expect("a loss");
        assert!((60..62).contains(&waited.as_secs()), "{waited:?}");
        assert!(matches!(bench.view().link, LinkState::Lost(_)), "{:?}", bench.view().link);
        // A later start finds it all as after a killed process.
        module.borrow().plug_in();
        bench.no_hook();
        let link = format!("sim:uart?chip={}", folder.path().join("chip.bin").display());
        bench.run(connect_at(&link, Some(921_600))).expect("connected");
        let left = unfinished::find(&folder.path().join("journal"), &bench.view().identity.expect("identified"));
        assert!(!writing || left.expect("readable").is_some() || module.borrow().bytes(AT, 0x100) != content[..0x100]);
    }
}

#[test]
fn who_does_not_want_to_wait_stops_the_job_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = Rc::new(RefCell::new(module("cb3s", Cen::Line, 1)));
    let mut bench = session(folder.path(), &module);
    let id = bench.next_id();
    let began = Rc::new(Cell::new(Duration::ZERO));
    let (clock, lost_at) = (Rc::clone(&module), Rc::clone(&began));
    bench.on_event(move |event, commands| {
        if matches!(event.what, What::Link(LinkState::Away { left, .. }) if left <= Duration::from_secs(50)) {
            lost_at.set(clock.borrow().now());
            commands.send(Command::Cancel(id)).expect("a session");
        }
    });
    module.borrow().unplug_after(0x8_0000);
    let problem = back_up(&mut bench).expect_err("stopped");
    assert_eq!(problem.class, Class::Cancelled, "{problem}");
    let took = module.borrow().now() - began.get();
    assert!(took <= Duration::from_millis(100), "{took:?}");
    assert!(matches!(bench.view().link, LinkState::Lost(_)), "{:?}", bench.view().link);
}

#[test]
fn a_plug_that_never_holds_ends_the_job_with_a_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = Rc::new(RefCell::new(module("cb3s", Cen::Line, 1)));
    let mut bench = session(folder.path(), &module);
    let plugged = Rc::clone(&module);
    bench.on_event(move |event, _| match event.what {
        What::Link(LinkState::Away { .. }) => plugged.borrow().plug_in(),
        What::Link(LinkState::Open { .. }) => plugged.borrow().unplug_after(0x2000),
        _ => {}
    });
    module.borrow().unplug_after(0x8_0000);
    let problem = back_up(&mut bench).expect_err("a loose plug");
    assert_eq!((problem.code, problem.class), ("E507", Class::NoDevice), "{problem}");
}

#[test]
fn a_write_over_a_programmer_s_spi_goes_on_too() {
    let content = Numbers(8).bytes(0x2_1234);
    let changes = |module: &Module| {
        let counters = module.counters();
        counters.programs + counters.status_writes + counters.erases.iter().map(|count| u64::from(*count)).sum::<u64>()
    };
    let mut all = 0;
    for case in 0..cases(4, 100) {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = Setup::new("wb2s").expect("a module").wire(WireKind::Spi).seed(1);
        let module = Rc::new(RefCell::new(Module::new(setup).expect("a module")));
        let mut bench = session(folder.path(), &module);
        let backup = bench.back_up();
        let spec = WriteSpec { protect_after: true, ..image(&content, Some(AT), &backup) };
        let agreed = bench.plan(&spec).expect("a plan").hash.clone();
        let mut wanted = module.borrow().flash();
        wanted[AT as usize..AT as usize + content.len()].copy_from_slice(&content);
        let status = module.borrow().stored_status();
        let so_far = changes(&module.borrow());
        let Some(cut) = (all > 0).then(|| so_far + 1 + u64::from(Numbers(u64::from(case) + 50).below(all as u32)))
        else {
            // The first one is left alone, and tells how many changes there are.
            start_write(&mut bench, folder.path(), spec, agreed).expect("written");
            all = changes(&module.borrow()) - so_far;
            assert!(all > 400, "{all} changes");
            continue;
        };
        module.borrow().set_faults(Faults { unplug: Some(cut), ..Faults::default() });
        let plugged = Rc::clone(&module);
        bench.on_event(move |event, _| {
            if matches!(event.what, What::Link(LinkState::Away { .. })) {
                plugged.borrow().plug_in();
            }
        });
        let text = format!("case {case}, pulled after change {cut}");
        let report =
            start_write(&mut bench, folder.path(), spec, agreed).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        assert_eq!(report.interruptions.len(), 1, "{text} of {all}");
        assert!(module.borrow().flash() == wanted, "{text}");
        assert_eq!(module.borrow().stored_status(), status, "{text}: the protection was not put back");
    }
}

/// A module whose RF block is damaged, and the write that rebuilds it from a proven backup.
struct Rebuild {
    folder: tempfile::TempDir,
    module: Rc<RefCell<Module>>,
    bench: Bench,
    spec: WriteSpec,
    agreed: String,
    wanted: Vec<u8>,
}

impl Rebuild {
    fn over(module: &str, wire: &str, uid: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let link = LinkSpec::parse(&format!("sim:{module}?locked=no&wire={wire}&uid={uid}")).expect("a link");
        let module = Module::new(Setup::from_spec(&link).expect("a module")).expect("a module");
        let wanted = module.flash();
        let module = Rc::new(RefCell::new(module));
        let mut bench = session(folder.path(), &module);
        let backup = bench.back_up();
        let place = bench.view().identity.expect("identified").rf_block.expect("an RF block");
        let damaged: Vec<u8> = wanted[place.start as usize + 0x30..][..16].iter().map(|byte| !byte).collect();
        // Connected anew: what was proven on a connection and left alone is not looked at again.
        drop(bench);
        module.borrow().poke(place.start + 0x30, &damaged);
        let mut bench = session(folder.path(), &module);
        let sector = &wanted[place.start as usize..place.end() as usize];
        let spec = WriteSpec { change: Change::RfBlock, ..image(sector, Some(place.start), &backup) };
        let agreed = bench.plan(&spec).expect("a plan").hash.clone();
        Self { folder, module, bench, spec, agreed, wanted }
    }

    /// The number of the flash operation that is the `number`-th erase or program from now on.
    fn operation(&self, number: u64) -> Option<u64> {
        let counters = self.module.borrow().counters();
        let erases: u64 = counters.erases.iter().map(|count| u64::from(*count)).sum();
        Some(counters.programs + counters.status_writes + erases + number)
    }

    fn start(&mut self) -> Result<Arc<WriteReport>, Problem> {
        start_write(&mut self.bench, self.folder.path(), self.spec.clone(), self.agreed.clone())
    }
}

#[test]
fn a_rebuild_of_the_rf_block_whose_supply_drops_in_the_middle_goes_on_with_the_same_chip() {
    // Without unique id only the job tells why the MAC is gone.
    for (module, wire, uid) in [("cb3s", "uart", "none"), ("wb2s", "spi", "none"), ("wb2s", "spi", "0123456789abcdef")]
    {
        for cut in [1, 2] {
            let text = format!("{module}, {wire}, uid={uid}, the supply drops in change {cut}");
            let mut rebuild = Rebuild::over(module, wire, uid);
            let faults = Faults { power_loss: rebuild.operation(cut), ..Faults::default() };
            rebuild.module.borrow().set_faults(faults);
            let (plugged, without_mac) = (Rc::clone(&rebuild.module), Rc::new(Cell::new(false)));
            let seen = Rc::clone(&without_mac);
            rebuild.bench.on_event(move |event, _| match &event.what {
                What::Link(LinkState::Away { .. }) => plugged.borrow().power_cycle(),
                What::Identity(identity) if identity.mac_state != MacState::Own => seen.set(true),
                _ => {}
            });
            let report = rebuild.start().unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!(report.interruptions.len(), 1, "{text}");
            assert!(rebuild.module.borrow().flash() == rebuild.wanted, "{text}");
            assert!(without_mac.get() || cut > 1, "{text}: the chip was to lose its MAC");
        }
    }
}

#[test]
fn a_chip_that_reads_as_blank_while_its_supply_sags_is_looked_for_again() {
    for uid in ["none", "0123456789abcdef"] {
        let mut rebuild = Rebuild::over("wb2s", "spi", uid);
        rebuild.module.borrow().set_faults(Faults { unplug: rebuild.operation(1), ..Faults::default() });
        let (plugged, held) = (Rc::clone(&rebuild.module), RefCell::new(None));
        rebuild.bench.on_event(move |event, _| {
            let What::Link(LinkState::Away { left, .. }) = &event.what else { return };
            let (module, mut held) = (plugged.borrow(), held.borrow_mut());
            if *left > Duration::from_secs(50) {
                let content = held.get_or_insert_with(|| module.flash());
                module.poke(0, &vec![0xFF; content.len()]);
                module.plug_in();
            } else if let Some(content) = held.take() {
                module.poke(0, &content);
            }
        });
        let report = rebuild.start().unwrap_or_else(|problem| panic!("uid={uid}: {problem}"));
        assert!(report.interruptions[0].away >= Duration::from_secs(9), "{:?}", report.interruptions);
        assert!(rebuild.module.borrow().flash() == rebuild.wanted, "uid={uid}");
    }
}

#[test]
fn a_chip_that_reads_as_blank_until_patience_ends_is_no_answer_and_not_another_chip() {
    let mut rebuild = Rebuild::over("wb2s", "spi", "none");
    rebuild.module.borrow().set_faults(Faults { unplug: rebuild.operation(1), ..Faults::default() });
    let plugged = Rc::clone(&rebuild.module);
    rebuild.bench.on_event(move |event, _| {
        if matches!(event.what, What::Link(LinkState::Away { .. })) {
            plugged.borrow().poke(0, &vec![0xFF; 0x20_0000]);
            plugged.borrow().plug_in();
        }
    });
    let problem = rebuild.start().expect_err("no chip");
    assert_eq!((problem.class, problem.code), (Class::NoDevice, "E325"), "{problem}");
}
