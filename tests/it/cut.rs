//! Writes that are cut off: the process killed at random points, the supply gone in the middle of an erase or a
//! program. The next start finds what is unfinished and ends it, byte-exact; the RF block never changes on the way.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bkbench::archive::unfinished;
use bkbench::job::{BackupProof, Change, JobSpec, Outcome, Plan, WriteSpec};
use bkbench::link::WireKind;
use bkbench::link::sim::{Effect, Faults, Module, Setup};
use bkbench::problem::Problem;
use bkbench::units::{BLOCK, SECTOR, Span};

use crate::support::bench::{Bench, image};
use crate::support::{Numbers, bkbench, cases, code, sample, succeed};

const T_DUMP: &str = "dumps/ds-101jl-4gang-switch-t.bin";
const T_IMAGE: &str = "firmware/OpenBK7231T_QIO_1.18.300.bin";
const RF: Span = Span::new(0x1E_0000, SECTOR);

fn rf(flash: &[u8]) -> &[u8] {
    &flash[RF.start as usize..RF.end() as usize]
}

/// A write of the real binary to a chip in a file, which can be killed.
struct Killable {
    folder: tempfile::TempDir,
    link: String,
    image: PathBuf,
    before: Vec<u8>,
    wanted: Vec<u8>,
    status: Vec<u8>,
}

impl Killable {
    /// A chip with a factory dump in its file, a proven backup of it, and the image that shall go onto it.
    fn new(wire: &str) -> Option<Self> {
        let (dump, image) = (sample(T_DUMP)?, sample(T_IMAGE)?);
        let folder = tempfile::tempdir().expect("a folder");
        let link = format!("sim:wb2s?image={}&chip=chip.bin&wire={wire}", dump.display());
        succeed(&bkbench(folder.path(), &["--link", &link, "read", "--json"]));
        let before = fs::read(&dump).expect("the dump");
        let content = fs::read(&image).expect("the image");
        let first = if wire == "uart" { 0x1_1000 } else { 0 };
        let mut wanted = before.clone();
        wanted[first..content.len()].copy_from_slice(&content[first..]);
        let status = fs::read(folder.path().join("chip.bin.state.toml")).expect("the registers");
        Some(Self { folder, link, image, before, wanted, status })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn args(&self, resume: bool) -> Vec<String> {
        let image = self.image.display().to_string();
        let what: &[&str] = if resume { &["resume"] } else { &["write", &image] };
        let all = [&["--link", &self.link][..], what, &["--yes", "--json", "--events"]].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    fn chip(&self) -> Vec<u8> {
        fs::read(self.path().join("chip.bin")).expect("the chip")
    }

    fn put(&self, flash: &[u8]) {
        fs::write(self.path().join("chip.bin"), flash).expect("the chip");
        fs::write(self.path().join("chip.bin.state.toml"), &self.status).expect("the registers");
    }

    /// Runs a command and kills it, without a word, after so many events about sectors and a little more. Returns how
    /// many there were.
    fn run_and_kill(&self, args: &[String], events: u32, wait: Duration) -> u32 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bkbench"))
            .args(args)
            .current_dir(self.path())
            .env("BKBENCH_DATA_DIR", self.path().join("data"))
            .env("BKBENCH_CONFIG_DIR", self.path().join("config"))
            .env_remove("BKBENCH_LINK")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
            seen += u32::from(line.contains("\"event\":\"sectors\""));
            if seen == events {
                std::thread::sleep(wait);
                break;
            }
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        seen
    }

    /// Ends the work and looks at everything that is left.
    fn end(&self, resume: bool, case: &str) {
        let args = self.args(resume);
        let output = bkbench(self.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(code(&output), 0, "{case}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(self.chip() == self.wanted, "{case}: the chip does not hold the image and the old rest");
        let left: Vec<_> = fs::read_dir(self.path().join("data/journal")).expect("a folder").collect();
        assert!(left.is_empty(), "{case}: the record is still there: {left:?}");
        let status = fs::read(self.path().join("chip.bin.state.toml")).expect("the registers");
        assert!(status == self.status, "{case}: the protection was not put back");
    }
}

fn killed_writes(wire: &str, count: u32, seed: u64) {
    let Some(bench) = Killable::new(wire) else { return };
    let all = bench.run_and_kill(&bench.args(false), u32::MAX, Duration::ZERO);
    assert!(all > 300, "{all} events");
    bench.end(false, "a write that nobody killed");
    let mut numbers = Numbers(seed);
    let mut unfinished = 0;
    for case in 0..count {
        bench.put(&bench.before);
        let (events, wait) = (1 + numbers.below(all), Duration::from_micros(numbers.below(3000).into()));
        bench.run_and_kill(&bench.args(false), events, wait);
        let case_text = format!("seed {seed} case {case}, killed after {events} events");
        assert!(rf(&bench.chip()) == rf(&bench.before), "{case_text}: the RF block changed");
        let journal = fs::read_dir(bench.path().join("data/journal")).expect("a folder").count() > 0;
        unfinished += u32::from(journal);
        if journal && case % 3 == 0 {
            // The second start is killed too.
            bench.run_and_kill(&bench.args(true), 1 + numbers.below(all / 2), wait);
            assert!(rf(&bench.chip()) == rf(&bench.before), "{case_text}: the RF block changed");
        }
        let journal = fs::read_dir(bench.path().join("data/journal")).expect("a folder").count() > 0;
        // `resume` goes on, and so does `write` of the same image by itself.
        bench.end(journal && case % 2 == 0, &case_text);
    }
    assert!(unfinished * 2 > count, "only {unfinished} of {count} writes were cut off in the middle");
}

#[test]
fn a_write_over_spi_that_is_killed_at_any_point_is_ended_by_the_next_start() {
    killed_writes("spi", cases(25, 200), 11);
}

#[test]
fn a_write_over_uart_that_is_killed_at_any_point_is_ended_by_the_next_start() {
    killed_writes("uart", cases(6, 60), 12);
}

#[test]
fn another_image_is_refused_while_a_write_is_unfinished_and_restore_ends_it() {
    let Some(bench) = Killable::new("spi") else { return };
    bench.run_and_kill(&bench.args(false), 120, Duration::ZERO);
    let at = bench.path();
    fs::write(at.join("other.bin"), [7; 5000]).expect("a file");
    let args = ["--link", &bench.link, "write", "other.bin", "--at", "0x140000", "--yes", "--json"];
    let refused = bkbench(at, &args);
    assert_eq!(code(&refused), 4);
    let error = &crate::support::document(&refused)["error"];
    assert_eq!(error["code"], "E420");
    assert!(error["what"].as_str().expect("what").contains("OpenBK7231T_QIO"), "{error}");
    assert!(error["remedy"].as_str().expect("a remedy").contains("bkbench resume"), "{error}");

    let info = succeed(&bkbench(at, &["--link", &bench.link, "info", "--json"]));
    assert!(info["unfinished"].as_str().expect("named").contains("OpenBK7231T_QIO"), "{info}");
    let meanwhile = bkbench(at, &["--link", &bench.link, "read", "-o", "meanwhile.bin", "--json"]);
    assert_eq!(code(&meanwhile), 5, "half old and half new is no proven backup");

    let mut backups =
        fs::read_dir(at.join("data/backups")).expect("backups").map(|entry| entry.expect("an entry").path());
    let backup = backups.find(|path| path.extension().is_some_and(|end| end == "bin")).expect("a backup");
    let restored =
        succeed(&bkbench(at, &["--link", &bench.link, "restore", &backup.display().to_string(), "--yes", "--json"]));
    assert_eq!(restored["report"]["verified"], true);
    assert!(bench.chip() == bench.before);
    assert_eq!(fs::read_dir(at.join("data/journal")).expect("a folder").count(), 0);
    succeed(&bkbench(at, &args));
}

/// Files in a folder of journals, besides what finished writes left.
pub fn journals(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("the journals").filter_map(Result::ok);
    entries.filter(|entry| entry.file_name() != "writes").count()
}

/// A session over the module, recording into `folder`.
struct Recorded<'a> {
    bench: Bench,
    folder: &'a Path,
    key: String,
}

impl<'a> Recorded<'a> {
    fn over(module: &Module, folder: &'a Path) -> Self {
        let bench = Bench::over(module);
        let key = bench.view().identity.expect("identified").chip_key.clone();
        Self { bench, folder, key }
    }

    fn write(&mut self, spec: WriteSpec) -> Result<std::sync::Arc<Plan>, Problem> {
        let plan = self.bench.plan(&spec)?;
        let journal = Some(unfinished::journal(self.folder, &self.folder.join("writes"), &self.key));
        match self.bench.run(JobSpec::Write { spec, agreed: plan.hash.clone(), journal })? {
            Outcome::Written(_) => Ok(plan),
            other => panic!("{other:?}"),
        }
    }

    fn left(&mut self) -> Option<WriteSpec> {
        let identity = self.bench.view().identity.expect("identified");
        let left = unfinished::find(self.folder, &identity).expect("a readable record")?;
        self.key = left.chip_key.clone();
        Some(left.spec)
    }
}

/// Erases and programs that reached the RF block.
fn meant_for_rf(module: &Module) -> usize {
    let target = |opcode: u8, at: u32| match opcode {
        0x20 => Span::new(at / SECTOR * SECTOR, SECTOR),
        0xD8 => Span::new(at / BLOCK * BLOCK, BLOCK),
        0x02 => Span::new(at, 256),
        _ => Span::default(),
    };
    let changes = module.operations().into_iter().filter(|operation| operation.effect != Effect::Protected);
    changes.filter(|operation| target(operation.opcode, operation.address.unwrap_or(0)).overlaps(RF)).count()
}

/// Power cuts of the module in the middle of a write of `content` at `at` onto `before`.
fn power_cuts(wire: WireKind, before: &[u8], content: &[u8], at: Option<u32>, count: u32, seed: u64) {
    let module = |seed: u64| {
        let setup = Setup::new("wb2s").expect("a module").wire(wire).image(before.to_vec()).seed(seed);
        Module::new(setup).expect("a module")
    };
    let whole = module(1);
    let mut bench = Bench::over(&whole);
    // Made once: every further module is the same chip.
    let backup = match bench.back_up() {
        BackupProof::Proven(mut backup) => {
            std::sync::Arc::make_mut(&mut backup).path = "gone.bin".into();
            BackupProof::Proven(backup)
        }
        other => other,
    };
    whole.clear_operations();
    let first = bench.write(WriteSpec { protect_after: true, ..image(content, at, &backup) }).expect("written");
    let wanted = whole.flash();
    let changes = [0x01, 0x02, 0x11, 0x20, 0x31, 0xD8];
    let all = whole.operations().iter().filter(|operation| changes.contains(&operation.opcode)).count() as u32;
    assert!(first.sectors.programmed > 10 && all > 100, "{all} operations");

    let mut numbers = Numbers(seed);
    let mut cut = 0;
    for case in 0..count {
        let folder = tempfile::tempdir().expect("a folder");
        let module = module(u64::from(case) + 2);
        let locked = module.stored_status();
        let at_operation = u64::from(1 + numbers.below(all));
        let case_text = format!("seed {seed} case {case}, power gone in operation {at_operation}");
        let mut spec = WriteSpec { protect_after: true, ..image(content, at, &backup) };
        let mut faults = Faults { power_loss: Some(at_operation), ..Faults::default() };
        for _ in 0..3 {
            let mut session = Recorded::over(&module, folder.path());
            // Connecting may change the registers too, and the module counts from its beginning.
            let so_far = module.operations().iter().filter(|operation| changes.contains(&operation.opcode)).count();
            faults.power_loss = faults.power_loss.map(|operation| operation + so_far as u64);
            module.set_faults(faults);
            let done = session.write(spec.clone());
            assert!(rf(&module.flash()) == rf(before), "{case_text}: the RF block changed");
            if done.is_ok() {
                break;
            }
            cut += 1;
            drop(session);
            module.set_faults(Faults::default());
            module.power_cycle();
            let mut session = Recorded::over(&module, folder.path());
            if let Some(left) = session.left() {
                // The backup's file is not there in this test: the proof is handed in again.
                spec = WriteSpec { backup: backup.clone(), ..left };
            }
            faults = Faults::default();
        }
        assert!(module.flash() == wanted, "{case_text}: the chip does not hold what it shall");
        assert_eq!(meant_for_rf(&module), 0, "{case_text}");
        if wire == WireKind::Spi {
            // A basic loader lifts the protection by itself, and nobody can see or change it over the UART.
            assert_eq!(module.stored_status(), locked, "{case_text}: the protection was not put back");
        }
        assert_eq!(journals(folder.path()), 0, "{case_text}");
    }
    assert!(cut * 2 > count, "only {cut} of {count} writes lost their supply");
}

#[test]
fn a_firmware_write_over_spi_that_loses_the_supply_anywhere_is_ended_by_the_next_start() {
    let (Some(dump), Some(image)) = (sample(T_DUMP), sample(T_IMAGE)) else { return };
    let (dump, image) = (fs::read(dump).expect("the dump"), fs::read(image).expect("the image"));
    power_cuts(WireKind::Spi, &dump, &image, None, cases(25, 200), 21);
}

#[test]
fn a_data_write_over_uart_that_loses_the_supply_anywhere_is_ended_by_the_next_start() {
    let before = Module::new(Setup::new("wb2s").expect("a module")).expect("a module").flash();
    // Begins and ends in the middle of sectors: what stands beside it there has to survive a torn erase.
    let content = Numbers(5).bytes(0x2_1234);
    power_cuts(WireKind::Uart, &before, &content, Some(0x1E_3123 - 0x9_0000), cases(10, 200), 22);
}

#[test]
fn a_data_write_over_spi_that_loses_the_supply_anywhere_is_ended_by_the_next_start() {
    let mut before = Module::new(Setup::new("wb2s").expect("a module")).expect("a module").flash();
    let old = Numbers(6).bytes(0x4_0000);
    before[0x14_0000..0x18_0000].copy_from_slice(&old);
    let content = Numbers(7).bytes(0x2_1234);
    power_cuts(WireKind::Spi, &before, &content, Some(0x14_0800), cases(25, 200), 23);
}

#[test]
fn an_rf_block_whose_rebuilding_loses_the_supply_is_still_rebuilt_by_the_next_start() {
    let whole = Module::new(Setup::new("wb2s").expect("a module")).expect("a module");
    let before = whole.flash();
    // The modules below come into being with a damaged block, and so with unique ids of their own.
    let backup = match Bench::over(&whole).back_up() {
        BackupProof::Proven(mut backup) => {
            std::sync::Arc::make_mut(&mut backup).unique_hash = None;
            BackupProof::Proven(backup)
        }
        other => other,
    };
    let mut damaged = before.clone();
    damaged[RF.start as usize + 0x300..][..64].fill(0x5A);
    let mut without_mac = 0;
    for at_operation in 1..=12 {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = Setup::new("wb2s").expect("a module").image(damaged.clone()).seed(at_operation);
        let module = Module::new(setup).expect("a module");
        let mut session = Recorded::over(&module, folder.path());
        let mut spec =
            WriteSpec { change: Change::RfBlock, protect_after: true, ..image(rf(&before), Some(RF.start), &backup) };
        module.set_faults(Faults { power_loss: Some(at_operation), ..Faults::default() });
        if session.write(spec.clone()).is_err() {
            module.set_faults(Faults::default());
            module.power_cycle();
            session = Recorded::over(&module, folder.path());
            without_mac += u32::from(session.bench.view().identity.expect("identified").mac_hash.is_none());
            if let Some(left) = session.left() {
                spec = WriteSpec { backup: backup.clone(), ..left };
            }
            session.write(spec).unwrap_or_else(|problem| panic!("power gone in operation {at_operation}: {problem}"));
        }
        assert!(module.flash() == before, "power gone in operation {at_operation}");
        assert_eq!(journals(folder.path()), 0);
    }
    assert!(without_mac > 0, "no case lost the MAC on the way");
}

#[test]
fn nothing_is_touched_when_the_record_cannot_be_kept() {
    let folder = crate::support::folder();
    let at = folder.path();
    let link = "sim:wb2s?chip=chip.bin";
    succeed(&bkbench(at, &["--link", link, "read", "--json"]));
    let before = fs::read(at.join("chip.bin")).expect("the chip");
    fs::write(at.join("data/journal"), b"in the way").expect("a file");
    let args = ["--link", link, "erase", "--start", "0x1E3000", "--length", "4K", "--yes", "--json"];
    assert_eq!(code(&bkbench(at, &args)), 6);
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before);
}

#[test]
fn a_record_that_cannot_be_read_stops_writes_and_nothing_else() {
    let folder = crate::support::folder();
    let at = folder.path();
    let link = "sim:wb2s?chip=chip.bin";
    let info = succeed(&bkbench(at, &["--link", link, "info", "--json"]));
    let key = info["chip_key"].as_str().expect("a key").to_owned();
    fs::create_dir_all(at.join("data/journal")).expect("a folder");
    fs::write(at.join(format!("data/journal/{key}.journal")), b"half a li").expect("a file");
    let info = succeed(&bkbench(at, &["--link", link, "info", "--json"]));
    assert!(info["unfinished"].as_str().expect("named").contains("cannot be read"), "{info}");
    let read = bkbench(at, &["--link", link, "read", "-o", "b.bin", "--json"]);
    assert_eq!(code(&read), 5, "what such a chip holds is no proven backup");
    assert!(at.join("b.bin").is_file());
    let args = ["--link", link, "erase", "--start", "0x1E3000", "--length", "4K", "--yes", "--json"];
    let erase = bkbench(at, &args);
    assert_eq!((code(&erase), crate::support::document(&erase)["error"]["code"].as_str()), (6, Some("E123")));
}
