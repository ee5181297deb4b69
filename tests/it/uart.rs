//! The UART engine over disturbed and hopeless lines, and its times against those of the line. Time is the module's own,
//! so that every figure here is exact.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bkbench::device::KnownClock;
use bkbench::job::{
    AlreadyThere, BackupProof, BackupRead, BackupSpec, Backups, BackupsHandle, ClockMemory, ClocksHandle, ConnectSpec,
    Interrupted, JobSpec, Outcome, Phase, WriteSpec,
};
use bkbench::link::WireKind;
use bkbench::link::sim::{Faults, Knobs, Module, Program, Setup, Wires};
use bkbench::problem::Problem;
use bkbench::session::What;
use bkbench::units::Span;

use crate::support::bench::{Bench, connect_at, image};
use crate::support::{Numbers, cases};

/// Bytes on the wire of a read of 2 MiB and its time at 921600 baud (uart-protocol.md §15).
const READ_AT_921600: f64 = 22.91;
/// Noise as a bad line has it: bytes dropped, flipped and doubled, answers late, and stalls.
const NOISE: &str = "noise:1/20000,late:1/500,stall:1/1500";

/// Seconds of the simulated chip's CRC over so many bytes.
fn crc_time(name: &str, bytes: u32) -> f64 {
    let program = if name == "wb2s" { Program::T } else { Program::N };
    f64::from(bytes) / f64::from(program.crc_speed())
}

fn module(name: &str, seed: u64) -> Module {
    Module::new(Setup::new(name).expect("a module").wire(WireKind::Uart).seed(seed)).expect("a module")
}

fn session(module: &Module, baud: Option<u32>) -> Result<Bench, Problem> {
    Bench::try_over(module, connect_at("sim:uart", baud))
}

/// A module's name, a T and an N in turn.
fn t_or_n(seed: u32) -> &'static str {
    if seed.is_multiple_of(2) { "wb2s" } else { "cb3s" }
}

/// The application's place with new content: long enough for whole blocks and single sectors, blank stretches included.
fn new_application(seed: u32) -> Vec<u8> {
    let mut content = Numbers(u64::from(seed)).bytes(0x2_3000);
    content.resize(0x8_0000, 0xFF);
    content.extend(Numbers(u64::from(seed) + 1000).bytes(0x1800));
    content
}

#[test]
fn backups_over_a_noisy_line_are_byte_exact() {
    let mut worst = Duration::ZERO;
    for seed in 0..cases(4, 200) {
        let module = module(t_or_n(seed), u64::from(seed) + 1);
        let mut bench = session(&module, Some(921_600)).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        module.set_faults(Faults::parse(NOISE).expect("faults"));
        let began = module.now();
        let outcome = bench.run(JobSpec::Backup(Default::default()));
        let Ok(Outcome::Backup(read)) = outcome else { panic!("seed {seed}: {outcome:?}") };
        assert!(*read.bytes == *module.flash(), "seed {seed}");
        assert!(read.proven() && read.retries > 0, "seed {seed}: {:?}", read.rules);
        worst = worst.max(module.now() - began);
    }
    println!("the slowest backup took {worst:?}");
    assert!(worst < Duration::from_secs(240), "{worst:?}");
}

/// Writes over a noisy line; how the session is had for a module is the caller's.
fn noisy_writes(
    count: u32,
    name: impl Fn(u32) -> &'static str,
    session: impl Fn(&Module) -> Result<Bench, Problem>,
) -> Vec<u32> {
    let (mut alarms, mut resets, mut worst) = (Vec::new(), Vec::new(), Duration::ZERO);
    for seed in 0..count {
        let module = module(name(seed), u64::from(seed) + 1);
        let connect = || session(&module).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        let mut bench = connect();
        let backup = bench.back_up();
        let content = new_application(seed);
        let spec = || image(&content, Some(0x13_2000), &backup);
        let mut expected = module.flash();
        expected[0x13_2000..0x13_2000 + content.len()].copy_from_slice(&content);
        module.set_faults(Faults::parse(NOISE).expect("faults"));
        let began = module.now();
        let mut result = bench.write(spec());
        // A damaged CRC request can keep a basic loader busy for long or hang it (§9, §21). Where no line can reset it a
        // hand has to, and the write is started again.
        if result.as_ref().is_err_and(|problem| problem.code == "E314") {
            resets.push(seed);
            module.set_faults(Faults::default());
            bench = connect();
            module.set_faults(Faults::parse(NOISE).expect("faults"));
            result = bench.write(spec());
        }
        match result {
            Ok(report) => {
                assert!(
                    report.verified && *module.flash() == expected,
                    "seed {seed}: written, and not as it should be"
                );
            }
            // The loader of the T lies in the flash and has no check of its own: what hits it is named, never silent.
            Err(problem) => {
                assert_eq!(problem.code, "E435", "seed {seed}: {problem}");
                assert_eq!(name(seed), "wb2s", "seed {seed}: an N can always be put right");
                alarms.push(seed);
            }
        }
        worst = worst.max(module.now() - began);
    }
    println!(
        "{} of {count} writes byte-exact, alarms at seeds {alarms:?}, resets by hand at {resets:?}, the slowest took {worst:?}",
        count as usize - alarms.len()
    );
    assert!(alarms.len() as u32 * 20 <= count, "alarms at {alarms:?}");
    assert!(worst < Duration::from_secs(600), "{worst:?}");
    resets
}

#[test]
fn writes_over_a_noisy_line_are_byte_exact_or_end_in_an_alarm() {
    let resets = noisy_writes(cases(4, 200), t_or_n, |module| session(module, Some(921_600)));
    assert!(resets.is_empty(), "there is a reset line");
}

#[test]
fn writes_over_a_noisy_line_need_no_reset_line() {
    let connect = || connect_at("sim:uart", Some(921_600));
    let count = cases(2, 100);
    let resets = noisy_writes(count, |_| "wb2s", |module| Bench::over_without_a_reset_line(module, connect()));
    assert!(resets.len() as u32 * 6 <= count, "resets at {resets:?}");
}

/// A module whose flash has no erased sector that could be skipped.
fn full_module(name: &str) -> Module {
    let mut content = module(name, 1).flash();
    let mut numbers = Numbers(7);
    for sector in content.chunks_mut(4096).filter(|sector| sector.iter().all(|byte| *byte == 0xFF)) {
        sector.copy_from_slice(&numbers.bytes(4096));
        sector[0] = 0x5A;
    }
    let setup = Setup::new(name).expect("a module").wire(WireKind::Uart).image(content);
    Module::new(setup).expect("a module")
}

fn back_up(bench: &mut Bench, spec: BackupSpec) -> Arc<BackupRead> {
    match bench.run(JobSpec::Backup(spec)) {
        Ok(Outcome::Backup(read)) => read,
        other => panic!("{other:?}"),
    }
}

fn seconds(module: &Module, work: impl FnOnce()) -> f64 {
    let began = module.now();
    work();
    (module.now() - began).as_secs_f64()
}

#[test]
fn a_proven_backup_takes_the_time_of_the_line_and_of_the_chips_crc() {
    for (baud, line, factor) in [(921_600, READ_AT_921600, 1.02), (2_000_000, 10.55, 1.15)] {
        for name in ["cb3s", "wb2s"] {
            let module = full_module(name);
            let mut bench = session(&module, Some(baud)).expect("connected");
            let took = seconds(&module, || {
                let read = back_up(&mut bench, BackupSpec::default());
                assert!(*read.bytes == *module.flash() && read.unstable.is_empty());
            });
            let limit = line + crc_time(name, 0x20_0000);
            println!("{name} at {baud}: {took:.2} s, {:.3} of {line} s and the CRC", took / limit);
            assert!(took <= factor * limit, "{name} at {baud}: {took} s");
        }
    }
}

#[test]
fn erased_flash_and_what_an_earlier_backup_knows_are_not_read() {
    for name in ["cb3s", "wb2s"] {
        let module = module(name, 1);
        let mut bench = session(&module, Some(921_600)).expect("connected");
        let before = module.traffic().uart_received;
        let mut first = None;
        let took = seconds(&module, || first = Some(back_up(&mut bench, BackupSpec::default())));
        let first = first.expect("a backup");
        assert!(first.proven() && *first.bytes == *module.flash());
        let received = module.traffic().uart_received - before;
        println!("{name}: first backup {took:.2} s, {received} bytes received");
        assert!(received < 0x14_0000, "{received} bytes for a chip that is half erased");
        // The chip has changed a little since.
        module.poke(0x1E_5000, b"something new");
        let spec = BackupSpec { known: Some(Arc::clone(&first.bytes)), ..BackupSpec::default() };
        let mut again = None;
        let took = seconds(&module, || again = Some(back_up(&mut bench, spec)));
        let again = again.expect("a backup");
        println!("{name}: second backup {took:.2} s");
        assert!(again.proven() && *again.bytes == *module.flash());
        assert!(took < crc_time(name, 0x20_0000) * 1.1 + 0.5, "{took} s");
    }
}

/// Looks whether an image is there, without a backup.
fn already_there(bench: &mut Bench, spec: WriteSpec) -> Option<Arc<AlreadyThere>> {
    let identity = bench.view().identity.expect("connected");
    let spec = WriteSpec { backup: BackupProof::None, ..spec };
    match bench.run(JobSpec::AlreadyThere { spec, identity }).expect("a comparison") {
        Outcome::AlreadyThere(there) => there,
        other => panic!("{other:?}"),
    }
}

/// 512 KiB of data, with an end inside a sector.
const LEN: u32 = 0x7_F123;

#[test]
fn an_image_that_is_there_is_told_by_comparing_it_alone() {
    for name in ["wb2s", "cb3s"] {
        let module = module(name, 1);
        let mut bench = session(&module, Some(921_600)).expect("connected");
        let backup = bench.back_up();
        let content = Numbers(5).bytes(LEN);
        let wish = || image(&content, Some(0x13_2000), &backup);
        let missing = seconds(&module, || assert!(already_there(&mut bench, wish()).is_none()));
        bench.write(wish()).expect("written");
        let before = (module.flash(), module.counters());
        let again = seconds(&module, || {
            let there = already_there(&mut bench, wish()).expect("there");
            assert_eq!(there.sha256, bkbench::image::sha256_hex(&content));
            assert_eq!(there.span, Span::new(0x13_2000, LEN));
        });
        let counters = module.counters();
        assert!(module.flash() == before.0, "{name}: nothing may change");
        assert_eq!((counters.programs, counters.erases), (before.1.programs, before.1.erases));
        println!("{name}: {LEN} bytes, missing {missing:.3} s, there {again:.3} s");
        // A write with work to do loses next to nothing; else the chip's CRC over the image is all there is to wait for.
        assert!(missing < 0.1, "{name}: {missing} s");
        assert!(again < crc_time(name, LEN) + 0.2, "{name}: {again} s");

        // An earlier write that was cut off has to be ended, whatever reads right.
        let cut_off = WriteSpec { interrupted: Some(Interrupted::default()), ..wish() };
        assert!(already_there(&mut bench, cut_off).is_none());
        module.poke(0x15_0777, &[!content[0x15_0777 - 0x13_2000]]);
        assert!(already_there(&mut bench, wish()).is_none(), "{name}: one byte in the middle");
    }
}

#[test]
fn an_image_for_another_chip_is_never_called_there() {
    let module = module("wb2s", 1);
    let mut bench = session(&module, Some(921_600)).expect("connected");
    // The chip's own boot loader and application, which this link may not write as a whole; then one of an N.
    let own = module.bytes(0, 0x2_0000);
    assert!(already_there(&mut bench, image(&own[..0x1_1000], Some(0), &BackupProof::None)).is_none());
    let other = self::module("cb3s", 1).bytes(0x1_1000, 0x1_0000);
    module.poke(0x1_1000, &other);
    assert!(already_there(&mut bench, image(&other, Some(0x1_1000), &BackupProof::None)).is_none());
}

#[test]
fn a_plan_right_behind_a_backup_asks_for_nothing_again() {
    for name in ["wb2s", "cb3s"] {
        let module = module(name, 1);
        let mut bench = session(&module, Some(921_600)).expect("connected");
        let backup = bench.back_up();
        let wish = image(&Numbers(6).bytes(0x1_8000), Some(0x13_2000), &backup);
        let plan = |bench: &mut Bench| bench.plan(&wish).expect("a plan");
        let hash = plan(&mut bench).hash.clone();
        let at_once = seconds(&module, || assert_eq!(plan(&mut bench).hash, hash));
        // Left alone longer than a loader is sure to wait, the chip may have run: everything is looked at again. A loader
        // that did leave is found again through the reset line.
        module.sleep(Duration::from_millis(600));
        let later = seconds(&module, || assert_eq!(plan(&mut bench).hash, hash));
        println!("{name}: at once {at_once:.3} s, later {later:.3} s");
        assert!(at_once < 0.05, "{name}: {at_once} s");
        assert!(later > crc_time(name, 0x20_0000), "{name}: {later} s");
        // And so after a change.
        bench.write(wish.clone()).expect("written");
        module.poke(0x1F_0123, b"changed behind the program's back");
        let second = image(&Numbers(7).bytes(0x1000), Some(0x14_0000), &backup);
        let report = bench.write(second).expect("written");
        assert!(report.kept_proven);
    }
}

#[test]
fn the_whole_chip_is_compared_at_the_end_where_the_line_was_disturbed() {
    for (faults, disturbed) in [("", false), ("noise:1/20000", true)] {
        let module = module("cb3s", 1);
        let mut bench = session(&module, Some(921_600)).expect("connected");
        let backup = bench.back_up();
        let content = Numbers(8).bytes(0x2_3000);
        let wish = image(&content, Some(0x13_2000), &backup);
        let agreed = bench.plan(&wish).expect("a plan").hash.clone();
        let verified = Rc::new(Cell::new(0));
        let to = Rc::clone(&verified);
        let (target, faults) = (module.clone(), Faults::parse(faults).expect("faults"));
        bench.on_event(move |event, _| {
            if let What::Phase { phase, total, .. } = event.what {
                if phase == Phase::Write {
                    target.set_faults(faults.clone());
                }
                to.set(if phase == Phase::Verify { total } else { 0 });
            }
        });
        bench.run(JobSpec::Write { spec: wish, agreed, journal: None }).expect("written");
        assert!(module.bytes(0x13_2000, 0x2_3000) == content);
        let whole = 0x20_0000;
        assert_eq!(verified.get(), if disturbed { whole } else { whole - 0x2_3000 });
    }
}

/// Codes that a disturbed or dead line may end in; each has a cause and a remedy of its own.
const NAMED: [&str; 9] = ["E311", "E314", "E315", "E316", "E320", "E324", "E350", "E435", "E520"];

#[test]
fn a_dead_line_ends_a_job_with_a_name_in_time() {
    for name in ["wb2s", "cb3s"] {
        for phase in [Phase::Read, Phase::Write] {
            let module = module(name, 1);
            let mut bench = session(&module, Some(921_600)).expect("connected");
            let backup = if phase == Phase::Write { bench.back_up() } else { BackupProof::None };
            let cut = module.clone();
            bench.on_event(move |event, _| {
                if matches!(event.what, What::Phase { phase: now, .. } if now == phase) {
                    cut.set_wires(Wires::parse("tx-open").expect("wires"));
                }
            });
            let began = module.now();
            let problem = match phase {
                Phase::Write => bench.write(image(&Numbers(1).bytes(0x4000), Some(0x13_2000), &backup)).err(),
                _ => bench.run(JobSpec::Backup(Default::default())).err(),
            };
            let problem = problem.expect("the line is dead");
            let took = module.now() - began;
            println!("{name} {phase:?}: {} after {took:?}", problem.code);
            assert!(NAMED.contains(&problem.code), "{problem}");
            assert!(
                took < Duration::from_secs(if phase == Phase::Write { 120 } else { 20 }),
                "{name} {phase:?}: {took:?}"
            );
        }
    }
}

#[test]
fn a_hopeless_line_ends_in_a_named_error_within_its_time() {
    for seed in 0..cases(4, 40) {
        for noise in ["noise:1/30", "noise:1/300", "noise:1/1500"] {
            let module = module(t_or_n(seed), u64::from(seed) + 1);
            module.set_faults(Faults::parse(noise).expect("faults"));
            let began = module.now();
            let ended = session(&module, None)
                .and_then(|mut bench| bench.run(JobSpec::Backup(Default::default())))
                .map(|outcome| match outcome {
                    Outcome::Backup(read) => assert!(!read.proven() || *read.bytes == *module.flash()),
                    other => panic!("{other:?}"),
                });
            let took = module.now() - began;
            println!("{} {noise}: {:?} after {took:?}", t_or_n(seed), ended.as_ref().map_err(|problem| problem.code));
            if let Err(problem) = ended {
                assert!(NAMED.contains(&problem.code), "{problem}");
            }
            assert!(took < Duration::from_secs(900), "{took:?}");
        }
    }
}

/// What a front end remembers of an adapter, in memory.
#[derive(Clone, Default)]
struct Remembers(Arc<Mutex<Vec<KnownClock>>>);

impl ClockMemory for Remembers {
    fn known(&self) -> Vec<KnownClock> {
        self.0.lock().expect("no panic").clone()
    }

    fn keep(&mut self, _: &str, clock: KnownClock) -> Result<(), Problem> {
        self.0.lock().expect("no panic").push(clock);
        Ok(())
    }
}

impl Remembers {
    fn rate(hz: u32) -> Self {
        Self(Arc::new(Mutex::new(vec![KnownClock { jedec: KnownClock::ADAPTER, hz }])))
    }

    fn last(&self) -> Option<u32> {
        self.known().last().map(|known| known.hz)
    }

    /// A session that remembers here, and the rate it works at.
    fn connect(&self, module: &Module, speed: Option<u32>) -> (Bench, u32) {
        let JobSpec::Connect(spec) = connect_at("sim:uart", speed) else { panic!("a connect") };
        let clocks = Some(ClocksHandle::new(self.clone()));
        let bench = Bench::try_over(module, JobSpec::Connect(ConnectSpec { clocks, ..spec })).expect("connected");
        let rate = bench.view().open_link().expect("a link").1;
        (bench, rate)
    }
}

#[test]
fn the_best_rate_of_an_adapter_is_remembered_and_proven_again() {
    for name in ["wb2s", "cb3s"] {
        let memory = Remembers::default();
        let first = module(name, 1);
        let (_, found) = memory.connect(&first, None);
        assert!(found > 921_600 && memory.last() == Some(found), "{name}: {found}");
        // The next connection goes there without the steps before it.
        let second = module(name, 2);
        assert_eq!(memory.connect(&second, None).1, found);
        assert!(second.now() < first.now(), "{name}: {:?} and {:?}", second.now(), first.now());
        // What a person chose says nothing about the adapter.
        assert_eq!(memory.connect(&module(name, 3), Some(230_400)).1, 230_400);
        assert_eq!(memory.last(), Some(found));
        // A rate that fails today is left, and one that a bad day has left slow is not held on to.
        assert_eq!(Remembers::rate(3_000_000).connect(&module(name, 4), None).1, 2_600_000);
        assert_eq!(Remembers::rate(115_200).connect(&module(name, 5), None).1, found);
    }
}

/// The backup of one chip.
struct OneBackup {
    chip_key: String,
    content: Arc<[u8]>,
}

impl Backups for OneBackup {
    fn newest(&self, chip_key: &str) -> Option<Arc<[u8]>> {
        (chip_key == self.chip_key).then(|| Arc::clone(&self.content))
    }
}

#[test]
fn a_chip_with_a_backup_is_known_again_by_its_crcs() {
    for name in ["wb2s", "cb3s"] {
        let module = module(name, 1);
        let connect = |backups| {
            let JobSpec::Connect(spec) = connect_at("sim:uart", Some(921_600)) else { panic!("a connect") };
            let before = module.traffic().uart_received;
            let connected = Bench::try_over(&module, JobSpec::Connect(ConnectSpec { backups, ..spec }));
            let identity = connected.expect("connected").view().identity.expect("an identity");
            (identity, module.traffic().uart_received - before)
        };
        let (first, all) = connect(None);
        let backup = |content: Vec<u8>| {
            Some(BackupsHandle::new(OneBackup { chip_key: first.chip_key.clone(), content: content.into() }))
        };
        let (again, few) = connect(backup(module.flash().to_vec()));
        assert!(few + 0x1_0000 < all, "{name}: {few} bytes instead of {all}");
        assert_eq!((again.chip, again.verdict, &again.chip_key), (first.chip, first.verdict, &first.chip_key));
        assert_eq!((&again.firmware, &again.code_key), (&first.firmware, &first.code_key));
        assert_eq!(again.evidence.len(), first.evidence.len(), "{name}: {:?} and {:?}", again.evidence, first.evidence);
        // A backup that is not what the chip holds now changes nothing about what is seen.
        let (other, _) = connect(backup(vec![0x5A; 0x20_0000]));
        assert_eq!((other.chip, other.verdict, &other.firmware), (first.chip, first.verdict, &first.firmware));
        assert_eq!(connect(backup(vec![0x5A; 0x1000])).1, all, "{name}: one of another size");
    }
}

#[test]
fn a_loader_that_falls_asleep_within_a_tenth_of_a_second_is_kept_awake() {
    let knobs = Knobs {
        idle_reset: Duration::from_millis(93),
        boot_window: Duration::from_millis(3),
        crc_speed: Some(3_200_000),
        ..Knobs::default()
    };
    let mut alarms = 0;
    for seed in 0..cases(3, 100) {
        let noise = if seed == 0 { Faults::default() } else { Faults::parse("noise:1/20000").expect("faults") };
        let setup = Setup::new("wb2s").expect("wb2s").wire(WireKind::Uart).faults(noise);
        let module = Module::new(setup.knobs(knobs.clone()).seed(u64::from(seed) + 1)).expect("a module");
        let mut bench = session(&module, Some(921_600)).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        let backup = bench.back_up();
        let report = match bench.write(image(&new_application(seed), Some(0x13_2000), &backup)) {
            // A damaged request hit the boot loader, and that was said.
            Err(problem) if seed > 0 && problem.code == "E435" => {
                alarms += 1;
                continue;
            }
            ended => ended.unwrap_or_else(|problem| panic!("seed {seed}: {problem}")),
        };
        assert!(seed > 0 || report.retries == 0, "{} retries on a quiet line", report.retries);
        assert!(*report.plan.wanted == *module.flash(), "seed {seed}");
    }
    assert!(alarms <= 2, "{alarms} alarms");
}

#[test]
fn a_rate_that_is_lost_in_a_backup_is_left_and_that_is_remembered() {
    for (name, noise) in [("wb2s", "noise:1/4000"), ("cb3s", "noise:1/4000"), ("wb2s", "noise:1/6000")] {
        let memory = Remembers::default();
        let module = module(name, 1);
        let (mut bench, found) = memory.connect(&module, None);
        module.set_faults(Faults::parse(noise).expect("faults"));
        let read = back_up(&mut bench, BackupSpec::default());
        // So much noise may leave a sector unsettled, which is then named.
        assert!(!read.proven() || *read.bytes == *module.flash(), "{name}: {:?} {:?}", read.unstable, read.rules);
        println!("{name}: {} retries, unstable {:?}", read.retries, read.unstable);
        let now = bench.view().open_link().expect("a link").1;
        assert!(now < found && memory.last() == Some(now), "{name}: {now} after {found}");
    }
}
