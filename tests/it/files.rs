//! Every name under which the program makes or reads a file, with a symbolic link, a file of the user, a named pipe, a
//! socket or a device in its place: nothing is followed, nothing overwritten, nothing waits.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bkbench::image::sha256_hex;
use serde_json::Value;

use crate::support::{code, document, folder, sample, succeed};

/// What may take this long at most; a command takes a second or two.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the user has somewhere, and what shall be there for ever.
const THEIRS: &[u8] = b"a letter of the user\n";
const PHRASE: &str = "I can lose this firmware";

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Obstacle {
    Link,
    Dangling,
    File,
    Pipe,
}

const ALL: [Obstacle; 4] = [Obstacle::Link, Obstacle::Dangling, Obstacle::File, Obstacle::Pipe];

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
}

/// A folder to work in, with an image and a file of the user.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(folder());
        fs::write(desk.at("victim"), THEIRS).expect("a file");
        fs::write(desk.at("image.bin"), image()).expect("an image");
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, obstacle: Obstacle) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        match obstacle {
            Obstacle::Link => symlink(self.at("victim"), path).expect("a link"),
            Obstacle::Dangling => symlink(self.at("nowhere"), path).expect("a link"),
            Obstacle::File => fs::write(path, THEIRS).expect("a file"),
            Obstacle::Pipe => pipe(&path),
        }
    }

    fn still_has(&self, name: &str, obstacle: Obstacle) -> bool {
        let path = self.at(name);
        let there = match obstacle {
            Obstacle::Link => fs::read_link(&path).is_ok_and(|target| target == self.at("victim")),
            Obstacle::Dangling => fs::read_link(&path).is_ok_and(|target| target == self.at("nowhere")),
            Obstacle::File => path.is_file() && fs::read(&path).is_ok_and(|bytes| bytes == THEIRS),
            Obstacle::Pipe => fs::symlink_metadata(&path).is_ok_and(|is| is.file_type().is_fifo()),
        };
        there && fs::read(self.at("victim")).is_ok_and(|bytes| bytes == THEIRS) && !self.at("nowhere").exists()
    }

    /// Runs the program, with a limit.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bkbench"));
        command.args(args).current_dir(self.0.path()).env_remove("BKBENCH_LINK").stdin(Stdio::null());
        command.env("BKBENCH_DATA_DIR", self.at("data")).env("BKBENCH_CONFIG_DIR", self.at("config"));
        command.env("XDG_RUNTIME_DIR", self.at("run"));
        let (out, err) = (self.0.path().join(".out"), self.0.path().join(".err"));
        command.stdout(fs::File::create(&out).expect("a file")).stderr(fs::File::create(&err).expect("a file"));
        let mut child = command.spawn().expect("the binary runs");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a status") {
                break status;
            }
            if began.elapsed() > PATIENCE {
                child.kill().expect("it can be killed");
                panic!("{args:?} hangs");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Output { status, stdout: fs::read(out).expect("output"), stderr: fs::read(err).expect("output") }
    }
}

fn image() -> Vec<u8> {
    (0..0x3000_u32).map(|at| (at * 7 + at / 251) as u8 & 0x7F).collect()
}

fn chip_key() -> String {
    let desk = Desk::new();
    let shown = succeed(&desk.run(&["--link", "sim:wb2s", "info", "--json"]));
    shown["chip_key"].as_str().expect("a key").to_owned()
}

const READ: [&str; 5] = ["--link", "sim:wb2s", "read", "-o", "b.bin"];
const WRITE: [&str; 9] =
    ["--link", "sim:wb2s", "write", "image.bin", "--at", "0x140000", "--yes", "--no-backup", PHRASE];
const KEPT: [&str; 3] = ["--link", "sim:wb2s?chip=chip.bin", "info"];

/// With every obstacle under `name` the command ends, and the obstacle and what is behind it stay. Returns how it ended.
fn try_all(name: &str, args: &[&str]) -> Vec<(Obstacle, i32, String)> {
    let tried = ALL.map(|obstacle| {
        let desk = Desk::new();
        desk.put(name, obstacle);
        let ended = desk.run(args);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(desk.still_has(name, obstacle), "{obstacle:?} at {name}: it was changed\n{said}");
        (obstacle, code(&ended), said)
    });
    tried.to_vec()
}

#[test]
fn no_output_that_a_user_names_replaces_or_follows_anything() {
    let desk = Desk::new();
    succeed(&desk.run(&[&READ[..], &["--json"]].concat()));
    let dump = desk.at("b.bin").display().to_string();
    let image_out = [&WRITE[..6], &["--dry-run", "--no-backup", PHRASE, "--image-out", "o.bin"]].concat();
    let cases: [(&str, Vec<&str>); 8] = [
        ("b.bin", READ.to_vec()),
        ("b.bin.json", READ.to_vec()),
        ("e.bin", vec!["--link", "sim:wb2s", "read", "--start", "0", "--length", "4K", "-o", "e.bin"]),
        ("o.bin", image_out),
        ("t.json", vec!["template", &dump, "-o", "t.json"]),
        ("r.bin", vec!["redact", &dump, "-o", "r.bin"]),
        ("rf.bin", vec!["rf", "extract", &dump, "-o", "rf.bin"]),
        ("tty", vec!["sim", "uart", "--path", "tty"]),
    ];
    for (name, args) in cases {
        for (obstacle, code, said) in try_all(name, &args) {
            let expected = if name == "tty" { (6, "E761") } else { (2, "E114") };
            assert_eq!(code, expected.0, "{obstacle:?} at {name}: {said}");
            assert!(said.contains(expected.1), "{obstacle:?} at {name}: {said}");
        }
    }
}

#[test]
fn an_existing_output_is_refused_before_the_chip_is_looked_at() {
    let desk = Desk::new();
    desk.put("b.bin.json", Obstacle::File);
    // There is no such port: nothing was opened.
    for command in [
        &["read", "-o", "b.bin"][..],
        &["read", "-o", "victim"],
        &["read", "--start", "0", "--length", "4K", "-o", "victim"],
        &["write", "image.bin", "--dry-run", "--image-out", "victim"],
        &["erase", "--start", "0x140000", "--length", "4K", "--image-out", "victim"],
        &["rf", "extract", "-o", "victim"],
    ] {
        let ended = desk.run(&[&["--link", "uart:/dev/no-port", "--json"], command].concat());
        assert_eq!(document(&ended)["error"]["code"], "E114", "{command:?}");
    }
}

#[test]
fn the_names_of_a_started_backup_are_nobodys() {
    for name in ["b.bin.part", "b.bin.part.map"] {
        for (obstacle, code, said) in try_all(name, &READ) {
            assert_eq!(code, 0, "{obstacle:?} at {name}: {said}");
        }
    }
}

#[test]
fn what_the_program_keeps_for_itself_neither_follows_nor_replaces_anything() {
    let key = chip_key();
    let journal = format!("data/journal/{key}.journal");
    let copy = format!("data/journal/{key}.image-{}", &sha256_hex(&image())[..16]);
    for name in [&journal, &copy] {
        for (obstacle, code, said) in try_all(name, &WRITE) {
            assert!(code != 0, "{obstacle:?} at {name}: {said}");
            // The copy is made when the write begins, the record is looked for before.
            let expected = if name == &copy { "E505" } else { "E1" };
            assert!(said.contains(expected), "{obstacle:?} at {name}: {said}");
        }
    }
    for (obstacle, code, said) in try_all("data/clocks.toml", &["--link", "sim:wb2s", "info"]) {
        assert_eq!(code, 0, "{obstacle:?}: {said}");
    }
    for (obstacle, code, said) in try_all("t.txt", &["--link", "sim:wb2s", "--record", "t.txt", "info"]) {
        assert_eq!(code, 0, "{obstacle:?}: {said}");
        assert!(said.contains("recording to t.txt.2: t.txt is there already"), "{obstacle:?}: {said}");
    }
}

#[test]
fn a_simulated_chip_lives_in_no_other_file_than_its_own() {
    for name in ["chip.bin", "chip.bin.state.toml"] {
        for (obstacle, code, said) in try_all(name, &KEPT) {
            assert_ne!(code, 0, "{obstacle:?} at {name}: {said}");
        }
    }
    for name in ["chip.bin.part", "chip.bin.state.toml.part"] {
        for (obstacle, code, said) in try_all(name, &KEPT) {
            assert_eq!(code, 0, "{obstacle:?} at {name}: {said}");
        }
    }
}

#[test]
fn a_lock_is_on_no_file_of_the_user() {
    for obstacle in ALL {
        for end in ["lock", "json"] {
            let desk = Desk::new();
            let chip = desk.0.path().canonicalize().expect("a folder").join("chip.bin");
            let sum = sha256_hex(chip.to_string_lossy().as_bytes());
            let name = format!("run/bkbench/bus-{}.{end}", &sum[..16]);
            desk.put(&name, obstacle);
            let ended = desk.run(&KEPT);
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(desk.still_has(&name, obstacle), "{obstacle:?} at {name}: {said}");
            assert_eq!((code(&ended), said.contains("E213")), (6, true), "{obstacle:?} at {name}: {said}");
        }
    }
}

/// Inputs: the arguments, with `X` for the file, and the exit code for what is no file.
fn inputs() -> Vec<(Vec<&'static str>, i32)> {
    let sim = |command: &[&'static str]| [&["--link", "sim:wb2s"], command].concat();
    vec![
        (vec!["inspect", "X"], 2),
        (vec!["identify", "X"], 2),
        (vec!["strings", "X"], 2),
        (vec!["search", "X", "a"], 2),
        (vec!["diff", "image.bin", "X"], 2),
        (vec!["template", "X"], 2),
        (vec!["template", "dump.bin", "--match", "X"], 2),
        (vec!["redact", "X", "-o", "out.bin"], 2),
        (vec!["rf", "extract", "X", "-o", "out.bin"], 2),
        (vec!["--link", "replay:X", "info"], 2),
        (vec!["--link", "sim:wb2s?image=X", "info"], 2),
        (vec!["--link", "sim:wb2s?chip=X", "info"], 2),
        (sim(&["verify", "X", "--at", "0x140000"]), 2),
        (sim(&["write", "X", "--at", "0x140000", "--yes"]), 2),
        (sim(&["restore", "X", "--yes"]), 2),
        (sim(&["restore", "pair.bin", "--yes"]), 2),
    ]
}

#[test]
fn pipes_sockets_devices_and_folders_are_refused_as_inputs_at_once() {
    let desk = Desk::new();
    let read = desk.run(&["--link", "sim:wb2s", "read", "-o", "dump.bin", "--json"]);
    succeed(&read);
    pipe(&desk.at("pipe"));
    pipe(&desk.at("pair.bin.json"));
    fs::write(desk.at("pair.bin"), b"x").expect("a file");
    let _socket = UnixListener::bind(desk.at("socket")).expect("a socket");
    fs::create_dir(desk.at("folder")).expect("a folder");
    for (args, expected) in inputs() {
        for input in ["pipe", "socket", "/dev/zero", "folder"] {
            let named: Vec<String> = args.iter().map(|arg| arg.replace('X', input)).collect();
            let named: Vec<&str> = named.iter().map(String::as_str).collect();
            let ended = desk.run(&named);
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(code(&ended), expected, "{named:?}: {said}");
        }
    }
}

#[test]
fn pipes_in_the_place_of_a_configuration_and_of_what_it_names_are_refused_at_once() {
    let Some(openbeken) = sample("firmware/OpenBK7231T_QIO_1.18.300.bin") else { return };
    let image = openbeken.canonicalize().expect("the image").display().to_string();
    let desk = Desk::new();
    pipe(&desk.at("pipe"));
    let wishes = ["[wifi]\nssid = \"a\"\npassword_file = \"pipe\"\n", "template = \"pipe\"\n"];
    for (number, wish) in wishes.iter().enumerate() {
        fs::write(desk.at(&format!("{number}.toml")), wish).expect("a wish");
    }
    for config in ["pipe", "0.toml", "1.toml"] {
        let args = ["--link", "sim:wb2s", "write", &image, "--config", config, "--dry-run", "--no-backup", PHRASE];
        let ended = desk.run(&[&args[..], &["--json"]].concat());
        let error = &document(&ended)["error"];
        assert_eq!((code(&ended), error["code"].as_str()), (2, Some("E112")), "{config}: {error}");
    }
}

#[test]
fn pipes_among_the_program_s_own_files_hold_nothing_up() {
    let key = chip_key();
    let settings = Desk::new();
    settings.put("config/config.toml", Obstacle::Pipe);
    assert_eq!(code(&settings.run(&["config", "show"])), 2);
    for name in ["data/backups/a.bin", "data/backups/a.bin.json", "data/clocks.toml"] {
        let desk = Desk::new();
        fs::create_dir_all(desk.at("data/backups")).expect("a folder");
        fs::write(desk.at("data/backups/a.bin"), b"x").expect("a file");
        let _ = fs::remove_file(desk.at(name));
        desk.put(name, Obstacle::Pipe);
        succeed(&desk.run(&["--link", "sim:wb2s", "info", "--json"]));
    }
    let journal = Desk::new();
    journal.put(&format!("data/journal/{key}.journal"), Obstacle::Pipe);
    let ended = journal.run(&["--link", "sim:wb2s", "resume", "--yes", "--json"]);
    assert_eq!(document(&ended)["error"]["code"], "E112");
    let root = Desk::new();
    root.put("root/nodes.toml", Obstacle::Pipe);
    succeed(&root.run(&["links", "--root", "root", "--json"]));
}

#[test]
fn a_pipe_is_no_serial_port() {
    let desk = Desk::new();
    pipe(&desk.at("tty"));
    let port = desk.at("tty").display().to_string();
    for link in [format!("uart:{port}"), format!("serprog:{port}")] {
        let ended = desk.run(&["--link", &link, "info", "--json"]);
        assert_eq!((code(&ended), document(&ended)["error"]["code"].clone()), (2, "E201".into()), "{link}");
    }
}

#[test]
fn a_read_needs_the_room_of_the_chip_once_and_leaves_no_litter() {
    use std::os::unix::fs::MetadataExt;
    let desk = Desk::new();
    let before = names(desk.0.path());
    let ended = desk.run(&[&READ[..], &["--json"]].concat());
    assert_eq!(succeed(&ended)["proven"], true);
    let made: Vec<String> = names(desk.0.path()).into_iter().filter(|name| !before.contains(name)).collect();
    let made: Vec<&str> = made.iter().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
    assert_eq!(made, ["b.bin", "b.bin.json", "data", "run"]);
    let is = fs::metadata(desk.at("b.bin")).expect("the backup");
    assert_eq!((is.mode() & 0o777, is.nlink()), (0o600, 1));
    assert!(names(&desk.at("run/bkbench")).is_empty());
}

#[test]
fn a_read_that_was_killed_goes_on_with_its_own_part_and_not_with_a_users_file() {
    let desk = Desk::new();
    let link = "sim:wb2s?chip=chip.bin&pace=line&wire=spi&faults=clock:50M";
    let mut command = Command::new(env!("CARGO_BIN_EXE_bkbench"));
    command.args(["--link", link, "--speed", "48M", "read", "-o", "b.bin"]).current_dir(desk.0.path());
    command.env("BKBENCH_DATA_DIR", desk.at("data")).env("BKBENCH_CONFIG_DIR", desk.at("config"));
    command.env("XDG_RUNTIME_DIR", desk.at("run")).env_remove("BKBENCH_LINK");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let map = || names(desk.0.path()).into_iter().find(|name| name.ends_with(".part.map"));
    let lines = || map().map_or(0, |map| fs::read_to_string(desk.at(&map)).map_or(0, |text| text.lines().count()));
    let began = Instant::now();
    while lines() < 8 {
        assert!(began.elapsed() < PATIENCE, "nothing is kept");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let part = map().expect("a map").trim_end_matches(".map").to_owned();
    assert!(part.starts_with("b.bin.bkbench-"), "{part}");

    let ended = desk.run(&["--link", "sim:wb2s?chip=chip.bin", "read", "-o", "b.bin", "--json"]);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(succeed(&ended)["proven"], true);
    assert!(said.contains("going on with a backup that was cut off"), "{said}");
    assert!(map().is_none() && !desk.at(&part).exists());
    assert!(fs::read(desk.at("b.bin")).expect("bytes") == fs::read(desk.at("chip.bin")).expect("bytes"));
}

#[test]
fn two_processes_with_chips_of_one_mac_do_not_share_a_started_backup() {
    let desk = Desk::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bkbench"));
    command.args(["--link", "sim:wb2s?pace=line", "read"]).current_dir(desk.0.path()).env_remove("BKBENCH_LINK");
    command.env("BKBENCH_DATA_DIR", desk.at("data")).env("BKBENCH_CONFIG_DIR", desk.at("config"));
    command.env("XDG_RUNTIME_DIR", desk.at("run"));
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
    let parts = || {
        let names = names(&desk.at("data/backups")).into_iter();
        names.filter(|name| name.contains(".bkbench-")).collect::<Vec<_>>()
    };
    let began = Instant::now();
    while parts().len() < 2 {
        assert!(began.elapsed() < PATIENCE, "nothing is kept");
        std::thread::sleep(Duration::from_millis(2));
    }
    let before = parts();
    let second = desk.run(&["--link", "sim:wb2s", "read", "--json"]);
    assert_eq!(succeed(&second)["proven"], true);
    assert_eq!(parts(), before, "the first one's is still there, and nothing else");
    first.kill().expect("it can be killed");
    first.wait().expect("it ends");
    let third = desk.run(&["--link", "sim:wb2s", "read", "--json"]);
    assert_eq!(succeed(&third)["already_had"], true);
    assert!(parts().is_empty(), "{:?}", parts());
}

#[test]
fn copies_of_images_without_a_record_are_gone_after_the_next_command_whatever_it_is() {
    let desk = Desk::new();
    desk.put(&format!("data/journal/mac-1.image-{}", &sha256_hex(THEIRS)[..16]), Obstacle::File);
    desk.put("data/journal/.bkbench-killed.part", Obstacle::File);
    desk.put("data/journal/holiday.jpg", Obstacle::File);
    desk.run(&["identify", "image.bin"]);
    assert_eq!(names(&desk.at("data/journal")), ["holiday.jpg"]);
}

/// The program with a limit on the size of files, as a full disk would set one.
fn with_full_disk(desk: &Desk, kib: u32, args: &[&str]) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_bkbench")]);
    command.args(args).current_dir(desk.0.path()).env_remove("BKBENCH_LINK").stdin(Stdio::null());
    command.env("BKBENCH_DATA_DIR", desk.at("data")).env("BKBENCH_CONFIG_DIR", desk.at("config"));
    command.env("XDG_RUNTIME_DIR", desk.at("run")).output().expect("bash runs")
}

#[test]
fn a_recording_on_a_full_disk_fails_loudly() {
    let desk = Desk::new();
    let ended = with_full_disk(&desk, 4, &["--link", "sim:wb2s?wire=uart", "--record", "t.txt", "info", "--json"]);
    let error = &document(&ended)["error"];
    assert_eq!((code(&ended), error["code"].as_str()), (6, Some("E238")), "{error}");
    assert!(error["what"].as_str().expect("words").contains("t.txt is not complete"), "{error}");
}

#[test]
fn a_disk_without_room_for_the_chip_is_told_before_the_first_byte_is_read() {
    let desk = Desk::new();
    let ended = with_full_disk(&desk, 1024, &["--link", "sim:wb2s", "read", "-o", "b.bin", "--json", "--events"]);
    let lines = String::from_utf8_lossy(&ended.stdout).into_owned();
    let last: Value = serde_json::from_str(lines.lines().last().expect("a line")).expect("an object");
    assert_eq!((code(&ended), last["error"]["code"].as_str()), (6, Some("E115")), "{last}");
    assert!(!lines.contains("\"back up\""), "the backup was begun");
    let litter = names(desk.0.path()).into_iter().filter(|name| name.starts_with("b.bin")).count();
    assert_eq!(litter, 0);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}
