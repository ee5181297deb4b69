//! `sim`: an embedded module for other programs, at a pseudo terminal, until it is stopped.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::out::Out;
use crate::link::sim::{Module, Served, Setup};
use crate::link::{LinkSpec, Lock};
use crate::outlive::Signals;
use crate::problem::{Class, Explain, Problem};

/// How often a pseudo terminal that nobody has open is looked at: the system does not tell of an opening.
const LOOK: Duration = Duration::from_millis(10);
/// The longest wait for the port; a signal that comes just before it is seen after this time.
const LONGEST: Duration = Duration::from_millis(500);
/// Bytes for a program that reads nothing; more are lost, as in an adapter whose buffer is full.
const BUFFER: usize = 64 * 1024;

/// Serves the module at a pseudo terminal, which is named on stdout, until SIGINT or SIGTERM.
///
/// # Errors
/// The link's problem with module, image or chip file; E760 when the system gives no pseudo terminal, E761 when the
/// other name cannot be made.
pub(super) fn uart(out: Out, spec: &LinkSpec, name: Option<&Path>) -> Result<(), Problem> {
    let signals = Signals::register().map_err(|error| no_terminal("no signal handler", &error))?;
    let _lock = Lock::take(spec, "sim uart").map_err(|error| error.explain())?;
    let setup = Setup::from_spec(spec).map_err(|error| error.explain())?;
    let module = Module::quiet(setup).map_err(|error| error.explain())?;
    let terminal = Terminal::open().map_err(|error| no_terminal("no pseudo terminal", &error.into()))?;
    let other = name.map(|name| OtherName::make(name, &terminal.path)).transpose()?;
    let path = other.as_ref().map_or(&terminal.path, |other| &other.path);
    let detail = module.link().info.detail;
    out.result(json!({"port": path.display().to_string(), "module": detail}), || path.display().to_string());
    out.say_aside(format!("{detail}; Ctrl-C ends it"));
    serve(&mut Served::new(&module), &terminal, &signals)
}

fn no_terminal(what: &str, error: &std::io::Error) -> Problem {
    Problem::new(
        Class::Host,
        "E760",
        format!("{what}: {error}"),
        "the system is out of them, or this is a container without /dev/pts",
        "close other terminals; in a container mount devpts",
    )
}

/// Moves bytes between the terminal and the module. Waits in `poll`, so that nothing spins.
fn serve(module: &mut Served, terminal: &Terminal, signals: &Signals) -> Result<(), Problem> {
    let (mut in_use, mut pending, mut buffer) = (false, Vec::new(), vec![0; 4096]);
    while !signals.stop() && !signals.hung_up() {
        module.to_host(&mut pending).map_err(|error| error.explain())?;
        pending.truncate(BUFFER);
        let began = Instant::now();
        let wait = module.quiet_for().map_or(LONGEST, |quiet| quiet.min(LONGEST));
        let seen = if in_use {
            terminal.wait(module.takes_more(), !pending.is_empty(), wait)
        } else {
            std::thread::sleep(wait.clamp(Duration::from_millis(1), LOOK));
            terminal.wait(true, false, Duration::ZERO)
        };
        let seen = seen.map_err(|error| no_terminal("the pseudo terminal failed", &error.into()))?;
        module.pass(began.elapsed());
        let got = if seen.readable { terminal.read(&mut buffer) } else { 0 };
        let open = got > 0 || !seen.hung_up;
        if open != in_use {
            pending.clear();
            if open { module.opened().map_err(|error| error.explain())? } else { module.closed() }
        }
        in_use = open;
        if got > 0 {
            module
                .host_sent(buffer.get(..got).unwrap_or_default(), terminal.baud())
                .map_err(|error| error.explain())?;
        } else if in_use {
            module.host_rate_is(terminal.baud()).map_err(|error| error.explain())?;
        }
        if seen.writable {
            let written = terminal.write(&pending);
            pending.drain(..written);
        }
    }
    Ok(())
}

/// What a look at the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    readable: bool,
    writable: bool,
    /// No program has the other end open.
    hung_up: bool,
}

/// The module's end of a pseudo terminal.
struct Terminal {
    master: OwnedFd,
    path: PathBuf,
}

impl Terminal {
    fn open() -> Result<Self, Errno> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let flags = rustix::fs::fcntl_getfl(&master)?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
        // Opened and closed once: before the first opening the system does not tell that nobody has it open. And raw,
        // for programs that send before they set anything.
        let host = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut settings = tcgetattr(&host)?;
        settings.make_raw();
        settings.set_speed(115_200)?;
        tcsetattr(&host, OptionalActions::Now, &settings)?;
        Ok(Self { master, path })
    }

    fn wait(&self, read: bool, write: bool, wait: Duration) -> Result<Seen, Errno> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, read);
        wanted.set(PollFlags::OUT, write);
        let mut ports = [PollFd::new(&self.master, wanted)];
        let limit = Timespec::try_from(wait).ok();
        match poll(&mut ports, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let is = ports[0].revents();
        let hung_up = is.contains(PollFlags::HUP);
        Ok(Seen { readable: is.contains(PollFlags::IN), writable: is.contains(PollFlags::OUT) && !hung_up, hung_up })
    }

    /// What is there to read; a program that closed its end leaves nothing.
    fn read(&self, buffer: &mut [u8]) -> usize {
        rustix::io::read(&self.master, buffer).unwrap_or(0)
    }

    /// How much of it the other end had room for.
    fn write(&self, bytes: &[u8]) -> usize {
        rustix::io::write(&self.master, bytes).unwrap_or(0)
    }

    /// The rate that the other end was set to. Both ends share their settings.
    fn baud(&self) -> u32 {
        tcgetattr(&self.master).map_or(115_200, |settings| settings.output_speed())
    }
}

/// A link of a name that stays the same from run to run, gone when dropped.
struct OtherName {
    path: PathBuf,
    target: PathBuf,
}

impl OtherName {
    fn make(path: &Path, target: &Path) -> Result<Self, Problem> {
        // What a killed run left is a link to a terminal that is no more. Anything else stays.
        if fs::read_link(path).is_ok_and(|target| target.starts_with("/dev/pts")) && !path.exists() {
            let _ = fs::remove_file(path);
        }
        symlink(target, path).map_err(|error| {
            Problem::new(
                Class::Host,
                "E761",
                format!("{} cannot be made: {error}", path.display()),
                "something is there already, or its folder cannot be written",
                "choose another name",
            )
        })?;
        Ok(Self { path: path.to_owned(), target: target.to_owned() })
    }
}

impl Drop for OtherName {
    fn drop(&mut self) {
        if fs::read_link(&self.path).is_ok_and(|target| target == self.target) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
