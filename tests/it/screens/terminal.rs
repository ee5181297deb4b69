//! The real program in a pseudo-terminal: it leaves the terminal as it found it, and is silent when idle.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(80).unwrap();
/// No step of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

struct Pty {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    raw: Vec<u8>,
    home: tempfile::TempDir,
}

impl Pty {
    fn start(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_bkbench"));
        command.args(arguments);
        command.env_clear();
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        command.env("BKBENCH_DATA_DIR", home.path());
        command.env("BKBENCH_CONFIG_DIR", home.path());
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the program");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = reader.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().expect("a writer");
        let screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        Self { master: pair.master, child, keys, output, screen, raw: Vec::new(), home }
    }

    fn hear(&mut self, wait: Duration) -> Result<(), RecvTimeoutError> {
        let bytes = self.output.recv_timeout(wait)?;
        self.screen.process(&bytes);
        self.raw.extend(bytes);
        Ok(())
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |pty| pty.screen.screen().contents().contains(text));
    }

    #[track_caller]
    fn wait_until(&mut self, what: &str, come: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !come(self) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what:?} did not come:\n{}", self.screen.screen().contents());
            let _ = self.hear(left.min(Duration::from_millis(100)));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys");
        self.keys.flush().expect("keys");
    }

    /// Waits for the end; returns the exit code.
    #[track_caller]
    fn end(&mut self) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child") {
                while self.hear(Duration::from_millis(100)).is_ok() {}
                return status.exit_code();
            }
            assert!(Instant::now() < until, "it did not end:\n{}", self.screen.screen().contents());
            let _ = self.hear(Duration::from_millis(50));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.process_id().expect("a process").to_string();
        let status = std::process::Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(status.success());
    }

    /// The modes that matter: canonical input and echo, as the line discipline has them.
    fn modes(&self) -> String {
        let path = self.master.tty_name().expect("a name");
        let output = std::process::Command::new("stty").arg("-F").arg(path).arg("-a").output().expect("stty");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    fn is_as_it_was(&self, modes: &str) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is seen");
        assert!(!screen.bracketed_paste(), "paste is plain");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is let go");
        assert_eq!(self.modes(), modes, "the line discipline is as it was");
    }
}

#[test]
fn quitting_leaves_the_terminal_as_it_was_found() {
    let mut pty = Pty::start(&[], &["--demo"]);
    let before = fresh_modes();
    pty.wait_for("BK7231T ✔");
    pty.wait_for("connect: done");
    assert!(pty.screen.screen().alternate_screen());
    assert_ne!(pty.modes(), before, "the workbench has the terminal");
    pty.press("q");
    assert_eq!(pty.end(), 0);
    pty.is_as_it_was(&before);
}

#[test]
fn being_told_to_end_leaves_the_terminal_as_it_was_found() {
    for signal in ["TERM", "HUP", "INT"] {
        let mut pty = Pty::start(&[], &["--demo"]);
        let before = fresh_modes();
        pty.wait_for("BK7231T ✔");
        pty.signal(signal);
        assert_eq!(pty.end(), 0, "{signal}");
        pty.is_as_it_was(&before);
    }
}

#[test]
fn being_told_to_end_in_the_middle_of_a_job_ends_the_job_first() {
    let mut pty = Pty::start(&[], &["--link", "sim:wb2s?pace=line"]);
    let before = fresh_modes();
    pty.wait_for("BK7231T ✔");
    pty.press("b");
    pty.wait_for("back up · read");
    pty.signal("TERM");
    assert_eq!(pty.end(), 0);
    pty.is_as_it_was(&before);
}

#[test]
fn stopped_and_continued_it_gives_the_terminal_back_and_takes_it_again() {
    let mut pty = Pty::start(&[], &["--demo"]);
    let before = fresh_modes();
    pty.wait_for("connect: done");
    pty.press("\x1a");
    pty.wait_until("the screen to be left", |pty| !pty.screen.screen().alternate_screen());
    pty.wait_until("the modes to be those of before", |pty| pty.modes() == before);
    pty.signal("CONT");
    pty.wait_for("connect: done");
    assert!(pty.screen.screen().alternate_screen());
    pty.press("q");
    assert_eq!(pty.end(), 0);
    pty.is_as_it_was(&before);
}

#[test]
fn a_theme_that_is_none_leaves_the_terminal_alone() {
    let mut pty = Pty::start(&[], &["--demo", "--theme", "no-such-theme"]);
    let before = fresh_modes();
    assert_eq!(pty.end(), 2);
    assert!(pty.screen.screen().contents().contains("E130"), "{}", pty.screen.screen().contents());
    assert!(!String::from_utf8_lossy(&pty.raw).contains("\u{1b}[?1049h"), "the screen was never taken");
    pty.is_as_it_was(&before);
}

#[test]
fn an_idle_workbench_draws_nothing() {
    let mut pty = Pty::start(&[], &["--demo"]);
    pty.wait_for("BK7231T ✔");
    pty.wait_for("connect: done");
    // What is still on its way is drawn first: the store's answer.
    pty.wait_for("backup none");
    while pty.hear(Duration::from_millis(500)).is_ok() {}
    let before = pty.raw.len();
    assert_eq!(pty.hear(Duration::from_secs(2)), Err(RecvTimeoutError::Timeout));
    assert_eq!(pty.raw.len(), before);
}

#[test]
fn without_colour_not_one_colour_is_sent_and_the_row_is_still_reversed() {
    let mut pty = Pty::start(&[("NO_COLOR", "1")], &["--demo"]);
    pty.wait_for("BK7231T ✔");
    pty.wait_for("connect: done");
    let sent = String::from_utf8_lossy(&pty.raw).into_owned();
    assert!(!sent.contains("38;5;") && !sent.contains("48;5;") && !sent.contains("38;2;"));
    assert!(sent.contains("\u{1b}[7m"), "reverse video marks the row");
    assert!(!sent.contains("\u{1b}[;m"), "no bare reset takes it away again");
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn where_the_locale_has_no_utf8_only_ascii_is_sent() {
    let mut pty = Pty::start(&[("LANG", "C")], &["--demo"]);
    pty.wait_for("BK7231T +");
    pty.wait_for("connect: done");
    assert!(pty.raw.is_ascii());
    pty.press("q");
    assert_eq!(pty.end(), 0);
}

#[test]
fn a_backup_that_dies_with_the_workbench_is_gone_on_with() {
    let link = "sim:wb2s?pace=line&wire=spi";
    let mut pty = Pty::start(&[], &["--link", link, "--speed", "20M"]);
    pty.wait_for("BK7231T ✔");
    pty.press("b");
    pty.wait_for("second pass");
    pty.signal("KILL");
    pty.end();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bkbench"))
        .args(["--link", "sim:wb2s?wire=spi", "read"])
        .env("BKBENCH_DATA_DIR", pty.home.path())
        .env("BKBENCH_CONFIG_DIR", pty.home.path())
        .output()
        .expect("the binary runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words}");
    let left = std::fs::read_dir(pty.home.path().join("backups")).expect("the backups");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    assert!(!left.iter().any(|name| name.contains(".part")), "{left:?}");
    assert!(words.contains("going on with a backup that was cut off"), "{words}");
}

#[test]
fn a_terminal_that_goes_away_without_a_signal_ends_the_workbench() {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let path = pair.master.tty_name().expect("a name");
    let end = || std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("the terminal");
    let home = tempfile::tempdir().expect("a folder");
    // Not the controlling terminal of the process, so that its end sends no signal.
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_bkbench"))
        .arg("--demo")
        .env("TERM", "xterm-256color")
        .env("BKBENCH_DATA_DIR", home.path())
        .env("BKBENCH_CONFIG_DIR", home.path())
        .stdin(end())
        .stdout(end())
        .stderr(end())
        .spawn()
        .expect("the program");
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().expect("a reader");
    let mut screen = vt100::Parser::new(ROWS, COLUMNS, 0);
    while !screen.screen().contents().contains("BK7231T") {
        let mut bytes = [0; 4096];
        let count = reader.read(&mut bytes).expect("a screen");
        screen.process(&bytes[..count]);
    }
    drop((reader, pair.master));
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child") {
            break status;
        }
        assert!(Instant::now() < until, "it goes on without a terminal");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_question_of_the_command_line_is_left_with_ctrl_c() {
    let arguments = [
        "--link",
        "sim:wb2s",
        "erase",
        "--start",
        "0x20000",
        "--length",
        "4K",
        "--no-backup",
        "I can lose this firmware",
    ];
    let mut pty = Pty::start(&[], &arguments);
    pty.wait_for("type the last four characters");
    pty.press("\x03");
    assert_eq!(pty.end(), 130);
    let screen = pty.screen.screen().contents();
    assert!(screen.contains("E107") && screen.contains("nothing was changed"), "{screen}");
}

/// The modes of a pseudo-terminal that nobody touched.
fn fresh_modes() -> String {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let path = pair.master.tty_name().expect("a name");
    let output = std::process::Command::new("stty").arg("-F").arg(path).arg("-a").output().expect("stty");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
