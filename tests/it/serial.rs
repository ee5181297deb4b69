//! `uart:` links over a real pseudo terminal, with a served module at its other end.

use std::fs;
use std::path::Path;
use std::process::Command;

use bkbench::job::{JobSpec, Outcome, Phase};
use bkbench::problem::Class;
use bkbench::session::{LinkState, What};
use bkbench::units::Span;

use crate::support::bench::{Bench, connect_to, image};
use crate::support::served::SimUart;
use crate::support::{Numbers, bkbench, code, document, folder, succeed};

fn connected(port: &str) -> Bench {
    let mut bench = Bench::new();
    bench.run(connect_to(&format!("uart:{port}?reset=hand"))).unwrap_or_else(|problem| panic!("{problem}"));
    bench
}

#[test]
fn a_module_at_a_pseudo_terminal_is_identified_and_read_at_the_pace_of_the_line() {
    let folder = folder();
    let served = SimUart::start(folder.path(), &["--module", "cb3s", "--pace", "line"]);
    let mut bench = connected(&served.port);
    let identity = bench.view().identity.expect("identified");
    assert_eq!(identity.chip.map(|chip| chip.name()), Some("BK7231N"), "{:?}", identity.evidence);
    let Ok(Outcome::Extract(extract)) = bench.run(JobSpec::Read(Span::new(0x1D_0000, 0x4000))) else {
        panic!("no extract")
    };
    assert!(extract.bytes.starts_with(b"TLV\0"));
}

#[test]
fn a_module_that_is_gone_ends_a_job_that_does_not_wait_with_a_name_and_closes_the_link() {
    let folder = folder();
    let served = SimUart::start(folder.path(), &["--module", "cb3s", "--pace", "virtual"]);
    let mut bench = connected(&served.port);
    let (pid, id) = (served.pid().to_string(), bench.next_id());
    bench.on_event(move |event, commands| match event.what {
        What::Progress { done, .. } if done > 0x4000 => {
            Command::new("kill").args(["-KILL", &pid]).status().expect("kill runs");
        }
        What::Link(LinkState::Away { .. }) => {
            commands.send(bkbench::session::Command::Cancel(id)).expect("a session");
        }
        _ => {}
    });
    let problem = bench.run(JobSpec::Read(Span::new(0, 0x20_0000))).expect_err("the module is gone");
    assert_eq!(problem.class, Class::Cancelled, "{problem}");
    assert!(matches!(bench.view().link, LinkState::Lost(_)), "{:?}", bench.view().link);
}

/// Runs a job; `cut` ends when the job is well under way, and `mend` brings it back once the job waits for it.
pub fn interrupted<T: 'static>(bench: &mut Bench, spec: JobSpec, cut: T, mend: impl Fn() -> T + 'static) -> Outcome {
    let (mut held, mut phase, mut done_once) = (Some(cut), Phase::Opening, false);
    bench.on_event(move |event, _| match &event.what {
        What::Phase { phase: now, .. } => phase = *now,
        What::Progress { done, .. } if !done_once && *done >= 0x2_0000 && phase != Phase::Survey => {
            done_once = true;
            held = None;
        }
        What::Link(LinkState::Away { .. }) if held.is_none() => held = Some(mend()),
        _ => {}
    });
    bench.run(spec).unwrap_or_else(|problem| panic!("{problem}"))
}

/// A backup and a write over `link`, each with an interruption of what `serve` makes, byte-exact against `chip.bin`.
pub fn interrupted_jobs<T: 'static>(at: &Path, link: &str, serve: impl Fn() -> T + Clone + 'static) {
    let chip = || fs::read(at.join("chip.bin")).expect("the chip");
    let served = serve();
    let mut bench = Bench::connect(link);
    let Outcome::Backup(read) = interrupted(&mut bench, JobSpec::Backup(Default::default()), served, serve.clone())
    else {
        panic!("a backup")
    };
    assert!(read.proven(), "{:?} {:?}", read.rules, read.unstable);
    assert_eq!(read.interruptions.len(), 1);
    assert!(*read.bytes == *chip());
    drop(bench);

    let served = serve();
    let mut bench = Bench::connect(link);
    let backup = bench.back_up();
    let data = Numbers(9).bytes(0x6_0000);
    let spec = image(&data, Some(0x14_0000), &backup);
    let agreed = bench.plan(&spec).expect("a plan").hash.clone();
    let mut wanted = chip();
    wanted[0x14_0000..0x1A_0000].copy_from_slice(&data);
    let Outcome::Written(report) =
        interrupted(&mut bench, JobSpec::Write { spec, agreed, journal: None }, served, serve)
    else {
        panic!("a report")
    };
    assert!(report.verified && report.kept_proven);
    assert_eq!(report.interruptions.len(), 1);
    assert!(chip() == wanted);
}

#[test]
fn a_port_that_comes_back_lets_a_backup_and_a_write_go_on() {
    for module in ["wb2s", "cb3s"] {
        let folder = folder();
        let at = folder.path().to_owned();
        let serve = move || {
            // A process that was killed leaves the name behind, as no adapter does.
            let _ = fs::remove_file(at.join("tty"));
            SimUart::start(&at, &["--module", module, "--chip", "chip.bin", "--path", "tty", "--pace", "virtual"])
        };
        interrupted_jobs(folder.path(), &format!("uart:{}", folder.path().join("tty").display()), serve);
    }
}

#[test]
fn another_module_behind_the_same_name_is_not_taken_for_the_one_before() {
    let folder = folder();
    let at = folder.path().to_owned();
    let serve = move |chip: &str, seed: &str| {
        let _ = fs::remove_file(at.join("tty"));
        let options = ["--module", "cb3s", "--chip", chip, "--seed", seed, "--path", "tty", "--pace", "virtual"];
        SimUart::start(&at, &options)
    };
    let served = serve("first.bin", "1");
    let mut bench = connected(&served.port);
    let mut held = Some(served);
    bench.on_event(move |event, _| match &event.what {
        What::Progress { done, .. } if *done == 0x2_0000 => held = None,
        What::Link(LinkState::Away { .. }) if held.is_none() => held = Some(serve("other.bin", "2")),
        _ => {}
    });
    let problem = bench.run(JobSpec::Backup(Default::default())).expect_err("another chip");
    assert_eq!(problem.code, "E313", "{problem}");
}

/// Identifies, backs up, writes and verifies over a link that leads to the chip in `chip.bin`.
pub fn main_job(at: &Path, link: &str, chip: &str) {
    let info = succeed(&bkbench(at, &["--link", link, "info", "--json"]));
    assert_eq!((info["chip"].as_str(), info["verdict"].as_str()), (Some(chip), Some("proven")), "{info}");
    let before = fs::read(at.join("chip.bin")).expect("the chip");
    let read = succeed(&bkbench(at, &["--link", link, "read", "-o", "b.bin", "--json"]));
    assert_eq!(read["proven"], true);
    assert!(fs::read(at.join("b.bin")).expect("the backup") == before);
    let data = Numbers(7).bytes(0x1_2345);
    fs::write(at.join("data.bin"), &data).expect("a file");
    let written = succeed(&bkbench(at, &["--link", link, "write", "data.bin", "--at", "0x142000", "--yes", "--json"]));
    assert_eq!((&written["report"]["verified"], &written["report"]["kept_proven"]), (&true.into(), &true.into()));
    let mut wanted = before;
    wanted[0x14_2000..0x14_2000 + data.len()].copy_from_slice(&data);
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == wanted);
    let verified = succeed(&bkbench(at, &["--link", link, "verify", "data.bin", "--at", "0x142000", "--json"]));
    assert_eq!(verified["verified"], true);
}

#[test]
fn the_main_job_runs_over_a_pseudo_terminal() {
    for (module, chip) in [("wb2s", "BK7231T"), ("cb3s", "BK7231N")] {
        let folder = folder();
        let options = ["--module", module, "--chip", "chip.bin", "--pace", "virtual"];
        let served = SimUart::start(folder.path(), &options);
        main_job(folder.path(), &format!("uart:{}", served.port), chip);
    }
}

#[test]
fn a_served_module_has_another_name_as_long_as_it_runs_and_keeps_its_chip_to_itself() {
    let folder = folder();
    let at = folder.path();
    let options = ["--chip", "chip.bin", "--pace", "virtual", "--path", "tty"];
    let served = SimUart::start(at, &options);
    assert_eq!(served.port, at.join("tty").display().to_string());
    assert!(at.join("tty").exists());
    let output = bkbench(at, &["--link", "sim:wb2s?chip=chip.bin", "info", "--json"]);
    assert_eq!(document(&output)["error"]["code"], "E212");
    let second = bkbench(at, &["sim", "uart", "--path", "tty", "--json"]);
    assert_eq!((code(&second), document(&second)["error"]["code"].clone()), (6, "E761".into()));
    assert!(served.stop().success());
    assert!(!at.join("tty").is_symlink(), "the name goes with the module");
    succeed(&bkbench(at, &["--link", "sim:wb2s?chip=chip.bin", "info", "--json"]));
}

/// Processor time of a process so far, in the system's ticks of 10 ms.
#[cfg(target_os = "linux")]
fn ticks(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = text.rsplit(')').next().expect("fields").split_whitespace().collect();
    fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
}

#[test]
#[cfg(target_os = "linux")]
fn a_served_module_waits_without_spinning() {
    let folder = folder();
    let served = SimUart::start(folder.path(), &["--module", "wb2s", "--pace", "line"]);
    let idle = |what: &str| {
        let before = ticks(served.pid());
        std::thread::sleep(std::time::Duration::from_secs(1));
        let used = ticks(served.pid()) - before;
        assert!(used <= 10, "{what}: {used} ticks in a second");
    };
    idle("nobody has it open");
    let port = serialport::new(&served.port, 115_200).open().expect("the port opens");
    idle("a program has it open and is silent");
    drop(port);
    idle("closed again");
}

/// A process of another user: with a runtime folder of its own.
fn of_another_user(folder: &Path, name: &str, args: &[&str]) -> Command {
    let run = folder.join(name);
    fs::create_dir_all(&run).expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bkbench"));
    command.args(args).current_dir(folder).env("XDG_RUNTIME_DIR", run).env_remove("BKBENCH_LINK");
    command.env("BKBENCH_DATA_DIR", folder.join("data")).env("BKBENCH_CONFIG_DIR", folder.join("config"));
    command
}

/// The first of two users reads over `first`; the second one is refused by name over `second`, and gets in afterwards.
fn second_user_is_refused(folder: &Path, first: &str, second: &str) {
    use std::io::{BufRead, BufReader};
    let mut read = of_another_user(folder, "run-1", &["--link", first, "read", "--json", "--events"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(read.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));
    assert!(lines.any(|line| line.contains("\"event\":\"identity\"")), "the first user gets in");
    let info = ["--link", second, "info", "--json"];
    let refused = of_another_user(folder, "run-2", &info).output().expect("the binary runs");
    let error = document(&refused)["error"].clone();
    assert_eq!((code(&refused), error["code"].as_str()), (6, Some("E212")), "{error}");
    let words = error["what"].as_str().expect("words");
    assert!(words.contains(&format!("bkbench in process {} of user ", read.id())), "{words}");
    assert!(error["remedy"].as_str().expect("words").contains(&format!("kill {}", read.id())), "{error}");
    // As the remedy says.
    assert!(Command::new("kill").arg(read.id().to_string()).status().expect("kill runs").success());
    lines.for_each(drop);
    assert_eq!(read.wait().expect("it ends").code(), Some(130));
    succeed(&of_another_user(folder, "run-2", &info).output().expect("the binary runs"));
}

#[test]
fn two_users_cannot_have_one_serial_port() {
    let folder = folder();
    let served = SimUart::start(folder.path(), &["--module", "wb2s", "--pace", "line"]);
    let link = format!("uart:{}", served.port);
    second_user_is_refused(folder.path(), &link, &link);
    let number = served.port.rsplit('/').next().expect("a number");
    assert!(!Path::new(&format!("/run/lock/LCK..pts_{number}")).exists(), "its file for other programs is gone");
}

#[test]
fn two_users_cannot_have_one_simulated_chip() {
    let folder = folder();
    let chip = folder.path().join("chip.bin");
    let link = format!("sim:wb2s?chip={}", chip.display());
    second_user_is_refused(folder.path(), &format!("{link}&pace=line"), &link);
}

#[test]
fn a_port_that_another_program_has_by_its_lock_file_is_refused_by_that_name() {
    let folder = folder();
    let served = SimUart::start(folder.path(), &["--module", "wb2s"]);
    let number = served.port.rsplit('/').next().expect("a number");
    let file = format!("/run/lock/LCK..pts_{number}");
    if fs::write(&file, format!("{:>10}\n", std::process::id())).is_err() {
        // Not every system lets its users write there; then other programs do not, either.
        return;
    }
    let link = format!("uart:{}", served.port);
    let refused = bkbench(folder.path(), &["--link", &link, "info", "--json"]);
    fs::remove_file(&file).expect("the file is left alone");
    let error = &document(&refused)["error"];
    assert_eq!((code(&refused), error["code"].as_str()), (6, Some("E204")), "{error}");
    assert!(error["what"].as_str().expect("words").contains(&format!("process {}", std::process::id())), "{error}");
}
