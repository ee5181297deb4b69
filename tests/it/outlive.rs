//! Jobs that outlive their terminal: the binary is hung up on, stopped, killed and watched in mid-write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;

/// Where the image goes, and how long it is: enough sectors that a write takes a while in real time.
const AT: usize = 0x14_0000;
const LEN: usize = 0x2_8000;
const SECTOR: usize = 4096;
/// What may take this long at most; on the usual machine everything takes a tenth.
const PATIENCE: Duration = Duration::from_secs(120);

/// A chip in a folder of its own, and an image to write to it.
struct Place {
    folder: tempfile::TempDir,
    before: Vec<u8>,
    image: Vec<u8>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let image: Vec<u8> = (0..LEN).map(|at| (at * 7 + at / 251) as u8 & 0x7F).collect();
        fs::write(folder.path().join("image.bin"), &image).expect("the image");
        fs::create_dir(folder.path().join("run")).expect("a runtime folder");
        let mut place = Self { folder, before: Vec::new(), image };
        let made = place.run(&["--link", "sim:wb2s?chip=chip.bin", "info", "--json"]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        place.before = place.chip();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn variables(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("XDG_RUNTIME_DIR", self.path("run")),
            ("BKBENCH_DATA_DIR", self.path("data")),
            ("BKBENCH_CONFIG_DIR", self.path("config")),
        ]
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bkbench"));
        command.args(args).current_dir(self.folder.path()).envs(self.variables()).env_remove("BKBENCH_LINK");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("the binary runs")
    }

    /// Starts a write that runs in real time.
    fn write(&self) -> Child {
        self.start(&WRITE)
    }

    fn chip(&self) -> Vec<u8> {
        fs::read(self.path("chip.bin")).unwrap_or_default()
    }

    /// How many sectors of the image are on the chip.
    fn sectors_there(&self) -> usize {
        let chip = self.chip();
        let there =
            |index: &usize| chip.get(AT + index * SECTOR..).is_some_and(|rest| rest.starts_with(self.sector(*index)));
        (0..LEN / SECTOR).filter(there).count()
    }

    fn sector(&self, index: usize) -> &[u8] {
        &self.image[index * SECTOR..(index + 1) * SECTOR]
    }

    fn wait_for_mid_write(&self) {
        wait_until("the write is in its middle", || self.sectors_there() >= 2);
        assert!(self.sectors_there() < LEN / SECTOR, "the write was over before the test could look");
    }

    fn is_written(&self) -> bool {
        let mut wanted = self.before.clone();
        wanted[AT..AT + LEN].copy_from_slice(&self.image);
        self.chip() == wanted
    }

    /// What a process tells about the bus it holds.
    fn bus_of(&self, pid: u32) -> Option<Value> {
        let entries = fs::read_dir(self.path("run/bkbench")).ok()?;
        let texts = entries.filter_map(|entry| fs::read(entry.ok()?.path()).ok());
        texts.filter_map(|text| serde_json::from_slice(&text).ok()).find(|holder: &Value| holder["pid"] == pid)
    }

    fn reports(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("data/reports")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// The one report that there is.
    fn report(&self) -> Value {
        use std::os::unix::fs::PermissionsExt;
        let reports = self.reports();
        let [path] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!(fs::metadata(path).expect("a report").permissions().mode() & 0o777, 0o600);
        serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON")
    }

    fn assert_written_and_reported(&self) {
        assert!(self.is_written(), "{} of {} sectors are there", self.sectors_there(), LEN / SECTOR);
        let report = self.report();
        assert_eq!(report["outcome"], "verified", "{report:#}");
        assert_eq!(report["report"]["kept_proven"], true);
        assert_eq!(report["plan_hash"], report["plan"]["hash"]);
        assert_eq!(report["backup"], "none; typed instead: I can lose this firmware");
        assert_eq!(report["left"].as_array().map(Vec::len), Some(0));
    }
}

const LIVE: &str = "sim:wb2s?chip=chip.bin&pace=line&wire=spi&faults=clock:50M";
const WRITE: [&str; 11] = [
    "--link",
    LIVE,
    "--speed",
    "48M",
    "write",
    "image.bin",
    "--at",
    "0x140000",
    "--yes",
    "--no-backup",
    "I can lose this firmware",
];

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}\n{}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn a_write_goes_on_after_a_hang_up_when_nobody_reads_what_it_says() {
    let place = Place::new();
    let mut write = place.write();
    place.wait_for_mid_write();
    drop((write.stdout.take(), write.stderr.take()));
    signal("-HUP", write.id());
    assert_eq!(write.wait().expect("it ends").code(), Some(0));
    place.assert_written_and_reported();
}

#[test]
fn a_write_goes_on_after_its_terminal_was_closed() {
    let place = Place::new();
    let pty = native_pty_system().openpty(PtySize::default()).expect("a terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_bkbench"));
    command.args(WRITE);
    command.cwd(place.folder.path());
    for (name, value) in place.variables() {
        command.env(name, value);
    }
    let mut write = pty.slave.spawn_command(command).expect("the binary runs");
    drop(pty.slave);
    // Nobody reads what it draws, either.
    place.wait_for_mid_write();
    drop(pty.master);
    let status = write.wait().expect("it ends");
    assert_eq!(status.exit_code(), 0, "{status:?}");
    place.assert_written_and_reported();
}

#[test]
fn a_write_that_is_asked_to_stop_ends_between_two_sectors_and_says_what_they_hold() {
    let place = Place::new();
    let write = place.write();
    place.wait_for_mid_write();
    signal("-TERM", write.id());
    let output = write.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(!place.is_written());

    let report = place.report();
    assert_eq!(report["outcome"], "stopped");
    let chip = place.chip();
    let number = |value: &Value| {
        let digits = value.as_str().expect("an offset").trim_start_matches("0x").to_owned();
        usize::from_str_radix(&digits, 16).expect("hex")
    };
    let mut states = Vec::new();
    for run in report["left"].as_array().expect("sectors") {
        let (start, end) = (number(&run["span"]["start"]), number(&run["span"]["end"]));
        for at in (start..end).step_by(SECTOR) {
            let is = &chip[at..at + SECTOR];
            match run["state"].as_str().expect("a state") {
                "waiting" => assert!(is == &place.before[at..at + SECTOR], "0x{at:06X}"),
                "written" | "verified" => assert!(is == place.sector((at - AT) / SECTOR), "0x{at:06X}"),
                other => panic!("0x{at:06X} is {other}: a sector was cut in two"),
            }
            states.push(run["state"].clone());
        }
    }
    assert_eq!(states.len(), LEN / SECTOR, "every sector of the plan is named");
    assert!(states.contains(&"waiting".into()), "{states:?}");
}

#[test]
fn a_second_process_watches_the_job_and_cannot_have_its_bus() {
    let place = Place::new();
    let write = place.write();
    wait_until("the job can be watched", || place.path("run/bkbench").join(format!("{}.sock", write.id())).exists());
    let lines = place.start(&["attach"]);
    let file = fs::File::create(place.path("events")).expect("a file");
    let mut events = place.command(&["attach", "--json", "--events"]).stdout(file).spawn().expect("the binary runs");
    place.wait_for_mid_write();

    let alias = format!("sim:wb2s?chip={}", place.path("chip.bin").display());
    let refused = place.run(&["--link", &alias, "info", "--json"]);
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused.stderr));
    let error = document(&refused)["error"].clone();
    assert_eq!(error["code"], "E212");
    let what = error["what"].as_str().expect("what happened");
    assert!(what.contains(&format!("process {} (write, since 20", write.id())), "{what}");

    let (pid, late) = (write.id().to_string(), place.run(&["attach", "--pid", &write.id().to_string(), "--json"]));
    assert_eq!(late.status.code(), Some(0), "{}", text(&late.stderr));
    let (end, reports) = (document(&late), place.reports());
    assert_eq!((end["watched"].as_str(), end["exit"].as_u64()), (Some("write"), Some(0)));
    assert_eq!(end["pid"].to_string(), pid);
    assert_eq!(end["report"].as_str().map(Path::new), reports.first().map(PathBuf::as_path));

    let lines = lines.wait_with_output().expect("it ends");
    assert_eq!(lines.status.code(), Some(0));
    let (told, result) = (text(&lines.stderr), text(&lines.stdout));
    assert!(told.contains(&format!("watching process {pid}: write")), "{told}");
    assert!(told.contains("write …") && told.contains("verify 100 %"), "{told}");
    assert!(result.starts_with(&format!("write of process {pid}: done")), "{result}");

    assert_eq!(events.wait().expect("it ends").code(), Some(0));
    let events = fs::read_to_string(place.path("events")).expect("lines");
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(events.first().expect("a line")["event"], "snapshot");
    assert!(events.iter().any(|event| event["event"] == "sectors" && event["state"] == "verified"));
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "no event was lost");
    assert_eq!(events.last().expect("a result")["exit"], 0);

    let ended = write.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    place.assert_written_and_reported();
    let left: Vec<_> = fs::read_dir(place.path("run/bkbench")).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nothing_that_a_watcher_sends_or_leaves_unread_disturbs_the_job() {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    let place = Place::new();
    let write = place.write();
    let socket = place.path("run/bkbench").join(format!("{}.sock", write.id()));
    wait_until("the job can be watched", || socket.exists());
    let mut loud = UnixStream::connect(&socket).expect("a watcher");
    let silent = UnixStream::connect(&socket).expect("a watcher that never reads");
    for line in ["{\"cancel\":3}\n", "stop\n", "\0\u{7}\n"] {
        loud.write_all(line.as_bytes()).expect("it may speak");
    }
    drop(UnixStream::connect(&socket).expect("a watcher that leaves at once"));
    place.wait_for_mid_write();
    let ended = write.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    place.assert_written_and_reported();
    drop((loud, silent));
}

#[test]
fn a_watcher_that_was_stopped_too_long_learns_the_end_from_the_report() {
    let place = Place::new();
    let mut write = place.write();
    wait_until("the job can be watched", || place.path("run/bkbench").join(format!("{}.sock", write.id())).exists());
    let watcher = place.start(&["attach", "--json", "--events"]);
    // Nobody reads the watcher's output: it stands still, is let go, and finds no process any more.
    assert_eq!(write.wait().expect("it ends").code(), Some(0));
    let output = watcher.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let result = text(&output.stdout);
    let result: Value = serde_json::from_str(result.lines().last().expect("a result")).expect("an object");
    assert_eq!(result["report"].as_str().map(Path::new), place.reports().first().map(PathBuf::as_path));
}

#[test]
fn a_killed_process_frees_its_bus_and_is_not_watched() {
    let place = Place::new();
    let mut read = place.start(&["--link", LIVE, "read", "--json", "--events"]);
    let info = ["--link", "sim:wb2s?chip=chip.bin", "info", "--json"];
    wait_until("the bus is taken", || place.bus_of(read.id()).is_some());
    assert_eq!(place.run(&info).status.code(), Some(6));
    signal("-KILL", read.id());
    read.wait().expect("it ends");
    let free = place.run(&info);
    assert_eq!(free.status.code(), Some(0), "{}", text(&free.stderr));

    let nothing = place.run(&["attach", "--json"]);
    assert_eq!(nothing.status.code(), Some(3));
    let error = &document(&nothing)["error"];
    assert_eq!(error["code"], "E606");
    assert!(error["remedy"].as_str().expect("a remedy").contains("no job has left a report"), "{error}");
    fs::create_dir_all(place.path("data/reports")).expect("a folder");
    fs::write(place.path("data/reports/2026-01-01-000000-write.json"), "{}").expect("a report");
    fs::write(place.path("data/reports/2026-01-02-000000-erase.json"), "{}").expect("a report");
    let error = document(&place.run(&["attach", "--json"]))["error"].clone();
    assert!(error["remedy"].as_str().expect("a remedy").contains("2026-01-02-000000-erase.json"), "{error}");
}

#[test]
fn of_several_jobs_one_has_to_be_chosen_and_a_hang_up_stops_those_that_only_read() {
    let place = Place::new();
    let other = format!("{}&seed=2", LIVE.replace("chip.bin", "other.bin"));
    let mut reads = [place.start(&["--link", LIVE, "read"]), place.start(&["--link", &other, "read"])];
    let pids = reads.each_ref().map(|read| read.id().to_string());
    let mut error = Value::Null;
    wait_until("both can be watched", || {
        error = document(&place.run(&["attach", "--json", "--pid", "1"]))["error"].clone();
        pids.iter().all(|pid| place.path("run/bkbench").join(format!("{pid}.sock")).exists())
    });
    assert_eq!(error["code"], "E606", "a process that is none of ours");
    let several = place.run(&["attach", "--json"]);
    assert_eq!(several.status.code(), Some(2));
    let what = document(&several)["error"]["what"].as_str().expect("what happened").to_owned();
    assert!(pids.iter().all(|pid| what.contains(&format!("process {pid}: read"))), "{what}");

    let watcher = place.start(&["attach", "--pid", &pids[0], "--json", "--events"]);
    wait_until("both read", || {
        reads.iter().all(|read| place.bus_of(read.id()).is_some_and(|bus| bus["job"] == "back up"))
    });
    for read in &mut reads {
        signal("-HUP", read.id());
        assert_eq!(read.wait().expect("it ends").code(), Some(130));
    }
    let watched = watcher.wait_with_output().expect("it ends");
    assert_eq!(watched.status.code(), Some(130), "{}", text(&watched.stderr));
    assert!(place.reports().is_empty(), "nothing was changed");
}
