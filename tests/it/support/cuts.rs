//! A command whose module loses its power in a flash operation, or whose process is killed; and what the next starts make
//! of it. The chip's file, its registers and every folder are looked at from outside: no word of the program counts.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Numbers, document};

/// How often `resume` is given at most until it has nothing left to do.
const RESUMES: u32 = 5;

/// A chip in a file, a command that changes it, and what the chip shall hold afterwards.
pub struct Trial {
    /// For messages.
    pub name: String,
    /// The folder as it is before the command.
    before: TempDir,
    link: String,
    args: Vec<String>,
    chip_before: Vec<u8>,
    wanted: Vec<u8>,
    status: String,
    runtime: BTreeSet<PathBuf>,
}

/// What became of a command whose module was to lose its power in operation N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has fewer operations.
    Whole,
    /// It was cut off, and the next starts made everything right.
    Ended,
}

impl Trial {
    /// A trial of the command `args` on the module behind `link`, whose chip file is `chip.bin`. `prepare` fills the folder;
    /// the command is then carried out once without harm, and what it leaves is what every cut has to lead to.
    pub fn new(name: &str, link: &str, args: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let before = super::folder();
        fs::create_dir(before.path().join("run")).expect("a folder");
        prepare(before.path());
        let mut trial = Self {
            name: name.to_owned(),
            link: link.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            chip_before: fs::read(before.path().join("chip.bin")).expect("the chip"),
            before,
            wanted: Vec::new(),
            status: String::new(),
            runtime: BTreeSet::new(),
        };
        let desk = trial.desk();
        let output = trial.run(desk.path(), None, &trial.args).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output));
        trial.wanted = fs::read(desk.path().join("chip.bin")).expect("the chip");
        trial.status = status(desk.path());
        trial.runtime = files(&desk.path().join("run"));
        assert_eq!(trial.litter(desk.path()), Vec::<PathBuf>::new(), "{name}: litter without any harm");
        trial
    }

    /// The chip after the command.
    pub fn wanted(&self) -> &[u8] {
        &self.wanted
    }

    /// The status registers' file before the command.
    pub fn status_before(&self) -> String {
        status(self.before.path())
    }

    /// The status registers' file after the command.
    pub fn status_wanted(&self) -> &str {
        &self.status
    }

    /// A folder of its own for one case.
    fn desk(&self) -> TempDir {
        let desk = super::folder();
        copy(self.before.path(), desk.path());
        desk
    }

    fn run(&self, desk: &Path, fault: Option<String>, args: &[String]) -> Command {
        let mut command = Command::new(program());
        let faults = fault.map(|fault| format!("&faults={fault}")).unwrap_or_default();
        command.args(["--link", &format!("{}&chip=chip.bin{faults}", self.link)]).args(args).arg("--json");
        command.current_dir(desk).env("XDG_RUNTIME_DIR", desk.join("run")).env_remove("BKBENCH_LINK");
        command.env("BKBENCH_DATA_DIR", desk.join("data")).env("BKBENCH_CONFIG_DIR", desk.join("config"));
        command.stdin(Stdio::null());
        command
    }

    /// Cuts the power in operation `n` of the command, and in operation `again` of the first `resume`, where there is
    /// one.
    ///
    /// # Errors
    /// What is wrong at the end.
    pub fn cut(&self, n: u64, again: Option<u64>) -> Result<Fate, String> {
        let desk = self.desk();
        let at = desk.path();
        let cut = self.run(at, Some(format!("power-cut:{n}&seed={n}")), &self.args).output().expect("the binary runs");
        let whole = fs::read(at.join("chip.bin")).expect("the chip") == self.wanted && status(at) == self.status;
        match cut.status.code() {
            Some(0) if whole => return Ok(Fate::Whole),
            Some(0) => return Err("it ended with 0, and the chip is not what it should be".to_owned()),
            Some(3) => {}
            code => return Err(format!("no power is no answer, exit 3, but it ended with {code:?}: {}", error(&cut))),
        }
        if let Some(again) = again {
            // However this one ends, the next has to make it right.
            self.resume(at, Some(format!("power-cut:{again}&seed={n}"))).output().expect("the binary runs");
        }
        self.end(at).map(|()| Fate::Ended)
    }

    fn resume(&self, desk: &Path, fault: Option<String>) -> Command {
        self.run(desk, fault, &["resume", "--yes"].map(str::to_owned))
    }

    /// Resumes until nothing is unfinished, and looks at what is left. A command that was cut off before it had changed
    /// a byte left nothing to resume: it is given again.
    fn end(&self, at: &Path) -> Result<(), String> {
        let mut resumed = 0;
        loop {
            let output = self.resume(at, None).output().expect("the binary runs");
            if output.status.code() != Some(0) {
                return Err(format!("resume {resumed}: {}", error(&output)));
            }
            if document(&output).get("unfinished").is_some_and(serde_json::Value::is_null) {
                break;
            }
            resumed += 1;
            if resumed == RESUMES {
                return Err(format!("not finished after {RESUMES} resumes"));
            }
        }
        let chip = fs::read(at.join("chip.bin")).expect("the chip");
        if resumed == 0 && chip == self.chip_before && self.chip_before != self.wanted {
            let output = self.run(at, None, &self.args).output().expect("the binary runs");
            if output.status.code() != Some(0) {
                return Err(format!("nothing was changed, and the same command fails: {}", error(&output)));
            }
        }
        self.look(at)
    }

    /// Whether everything is as it should be.
    fn look(&self, at: &Path) -> Result<(), String> {
        let chip = fs::read(at.join("chip.bin")).expect("the chip");
        let differs = chip.iter().zip(&self.wanted).position(|(is, wanted)| is != wanted);
        if let Some(first) = differs.or((chip.len() != self.wanted.len()).then_some(0)) {
            return Err(format!("the chip is wrong from 0x{first:06X} on"));
        }
        if status(at) != self.status {
            return Err(format!("the registers are {:?}, not {:?}", status(at), self.status));
        }
        let litter = self.litter(at);
        if litter.is_empty() { Ok(()) } else { Err(format!("litter: {litter:?}")) }
    }

    /// Files that nobody asked for.
    fn litter(&self, at: &Path) -> Vec<PathBuf> {
        let given = files(self.before.path());
        let expected = |file: &PathBuf| {
            let name = file.to_string_lossy();
            let backup = name.strip_suffix(".json").unwrap_or(&name);
            given.contains(file)
                || name == "chip.bin.state.toml"
                || name == "data/clocks.toml"
                || (name.starts_with("data/writes/") && name.ends_with(".writes"))
                || (name.starts_with("data/reports/") && name.ends_with(".json"))
                || (backup.starts_with("data/backups/") && backup.ends_with(".bin") && at.join(backup).is_file())
                || (name.starts_with("data/protection/") && self.args.first().is_some_and(|arg| arg == "protect"))
                || file.strip_prefix("run").is_ok_and(|file| self.runtime.contains(file))
        };
        files(at).into_iter().filter(|file| !expected(file)).collect()
    }

    /// Every cut of the command, one after the other, until it runs through. Returns how many there were.
    ///
    /// # Panics
    /// Names every cut that does not end well.
    pub fn every_cut(&self) -> u64 {
        let mut wrong = Vec::new();
        let mut whole = 0;
        let mut n = 0;
        // A cut that changes nothing any more looks like none: two in a row are the end.
        while whole < 2 {
            n += 1;
            match self.cut(n, None) {
                Ok(Fate::Whole) => whole += 1,
                Ok(Fate::Ended) => whole = 0,
                Err(why) => {
                    whole = 0;
                    wrong.push(format!("cut {n}: {why}"));
                }
            }
            assert!(n < 20_000, "{}: without end", self.name);
        }
        let cuts = n - 2;
        // The resume loses its power too.
        let mut numbers = Numbers(cuts);
        for n in (1..=cuts).step_by(5) {
            let again = 1 + u64::from(numbers.below(cuts as u32));
            if let Err(why) = self.cut(n, Some(again)) {
                wrong.push(format!("cut {n}, then the resume in {again}: {why}"));
            }
        }
        assert!(wrong.is_empty(), "{}: {} of {cuts} cuts: {wrong:#?}", self.name, wrong.len());
        assert!(cuts >= 2, "{}: only {cuts} cuts", self.name);
        eprintln!("{}: {cuts} cuts, all ended well", self.name);
        cuts
    }

    /// Every cut of a long command, several at a time, as far as `until` allows. Each is written down in `record` as it
    /// ends, and those that stand there already are not done again. Returns how many ran now, and what was wrong.
    ///
    /// # Panics
    /// When the record cannot be read or written.
    pub fn long_run(&self, record: &Path, until: Instant) -> (u64, Vec<String>) {
        let known = fs::read_to_string(record).unwrap_or_default();
        let done: BTreeSet<u64> = known.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
        let file = fs::OpenOptions::new().append(true).create(true).open(record).expect("the record");
        let (file, next, ran, whole) =
            (Mutex::new(file), AtomicU64::new(1), AtomicU64::new(0), AtomicU64::new(u64::MAX));
        let wrong = Mutex::new(Vec::new());
        let work = || {
            while Instant::now() < until {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n > whole.load(Ordering::Relaxed) {
                    break;
                }
                if done.contains(&n) {
                    continue;
                }
                let word = match self.cut(n, None) {
                    Ok(Fate::Whole) => {
                        // The last operation may look like none; the one behind it is none.
                        whole.fetch_min(n + 1, Ordering::Relaxed);
                        "whole".to_owned()
                    }
                    Ok(Fate::Ended) => "ended".to_owned(),
                    Err(why) => {
                        wrong.lock().expect("a list").push(format!("cut {n}: {why}"));
                        format!("WRONG {why}")
                    }
                };
                ran.fetch_add(1, Ordering::Relaxed);
                writeln!(file.lock().expect("the record"), "{n} {}", word.replace('\n', " ")).expect("written");
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        (ran.into_inner(), wrong.into_inner().expect("a list"))
    }

    /// Cuts the power in each status write of `protect off`; then the protection is put back, without any backup.
    ///
    /// # Panics
    /// Names every cut after which the registers are not what they were.
    pub fn every_cut_of_protect_off(&self) {
        let mut wrong = Vec::new();
        let mut cuts = 0;
        for n in 1.. {
            let desk = self.desk();
            let at = desk.path();
            let off =
                self.run(at, Some(format!("power-cut:{n}&seed={n}")), &self.args).output().expect("the binary runs");
            let whole = off.status.code() == Some(0);
            if !whole && off.status.code() != Some(3) {
                wrong.push(format!("cut {n}: {}", error(&off)));
            }
            let restore = ["protect", "restore"].map(str::to_owned);
            for args in [["resume", "--yes"].map(str::to_owned), restore] {
                let output = self.run(at, None, &args).output().expect("the binary runs");
                if output.status.code() != Some(0) {
                    wrong.push(format!("cut {n}, {args:?}: {}", error(&output)));
                }
            }
            let litter = self.litter(at);
            if status(at) != self.status_before() || !litter.is_empty() {
                wrong.push(format!("cut {n}: {:?}, litter {litter:?}", status(at)));
            }
            let chip = fs::read(at.join("chip.bin")).expect("the chip");
            assert!(chip == self.chip_before, "{}, cut {n}: the content changed", self.name);
            if whole {
                break;
            }
            cuts += 1;
        }
        assert!(wrong.is_empty(), "{}: {wrong:#?}", self.name);
        assert!(cuts > 0, "{}: no cut", self.name);
    }

    /// Kills the command at a random time, sometimes its resume too, `count` times.
    ///
    /// # Panics
    /// Names every kill that does not end well.
    pub fn kills(&self, count: u32, seed: u64) {
        let mut numbers = Numbers(seed);
        let mut wrong = Vec::new();
        let mut unfinished = 0;
        for case in 0..count {
            let desk = self.desk();
            let at = desk.path();
            let wait = Duration::from_micros(numbers.below(60_000).into());
            self.kill(self.run(at, None, &self.args), at, wait);
            let mut what = format!("seed {seed} case {case}, killed {wait:?} after its record");
            unfinished += u32::from(has_record(at));
            if case % 3 == 0 && has_record(at) {
                let wait = Duration::from_micros(numbers.below(200_000).into());
                what.push_str(&format!(", the resume {wait:?} after its start"));
                self.kill(self.resume(at, None), at, wait);
            }
            if let Err(why) = self.end(at) {
                wrong.push(format!("{what}: {why}"));
            }
        }
        assert!(wrong.is_empty(), "{}: {} of {count} kills: {wrong:#?}", self.name, wrong.len());
        assert!(unfinished * 4 > count, "{}: only {unfinished} of {count} were killed in the middle", self.name);
        eprintln!("{}: {count} kills, {unfinished} in the middle, all ended well", self.name);
    }

    /// Kills a process this long after its record of the change has come up.
    fn kill(&self, mut command: Command, at: &Path, wait: Duration) {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        while !has_record(at) && is_running(&mut child) {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(wait);
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
}

/// The program under test: this build's, or the one that `BKBENCH_BIN` names.
pub fn program() -> PathBuf {
    std::env::var_os("BKBENCH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_bkbench").into(), PathBuf::from)
}

fn is_running(child: &mut Child) -> bool {
    child.try_wait().expect("a process").is_none()
}

fn has_record(at: &Path) -> bool {
    fs::read_dir(at.join("data/journal")).is_ok_and(|mut entries| entries.next().is_some())
}

fn status(at: &Path) -> String {
    fs::read_to_string(at.join("chip.bin.state.toml")).expect("the registers")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Code and words of a failure.
fn error(output: &Output) -> String {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { return text(output) };
    let word = |key: &str| document["error"][key].as_str().unwrap_or_default().to_owned();
    format!("exit {:?}, {} {}", output.status.code(), word("code"), word("what"))
}

/// Every file below a folder, named from there.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    fn walk(folder: &Path, root: &Path, into: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, root, into);
            } else {
                into.extend(path.strip_prefix(root).map(Path::to_path_buf));
            }
        }
    }
    let mut all = BTreeSet::new();
    walk(folder, folder, &mut all);
    all
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir_all(&target).expect("a folder");
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}
