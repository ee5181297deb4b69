//! Where the workbench meets the world: terminal, input, signals, the session, the worker. The only file of the
//! workbench that waits.

use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event as Input, MouseEventKind};

use super::app::{App, Options};
use super::effect::{Effect, Task};
use super::glyph;
use super::msg::{Done, Msg};
use super::terminal::{Screen, give_back};
use super::theme::Theme;
use super::worker;
use crate::archive;
use crate::device::Level;
use crate::image::structures::Structures;
use crate::job::{Identity, JobSpec, ProtectGoal};
use crate::outlive::{Server, Signals};
use crate::problem::{Class, Explain, Problem};
use crate::session::Session;
use crate::store::paths::Folders;
use crate::store::{self, Settings};

/// Least time between two frames: about 60 a second.
const FRAME: Duration = Duration::from_millis(16);
/// How often it is looked whether the terminal is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How often a running job is looked at that says nothing.
const TICK: Duration = Duration::from_millis(500);

/// What the workbench is started with.
pub struct Start {
    /// The link to connect to at once.
    pub link: Option<String>,
    /// Speed in Hz or baud; `None` is the usual one.
    pub speed: Option<u32>,
    /// Settings in force.
    pub settings: Settings,
}

/// What reaches the screen's thread.
enum Incoming {
    Msg(Msg),
    /// The process goes on after it was stopped.
    Continued,
}

/// Runs the workbench until the person leaves.
///
/// # Errors
/// A theme that cannot be used, a terminal that is none, a system out of threads.
pub fn run(start: Start) -> Result<(), Problem> {
    let theme = theme(&start.settings)?;
    let (sender, inbox) = channel();
    let server = Server::start(None);
    let signals = Signals::register().map_err(no_thread)?;
    let session = session(&sender, &server)?;
    store::tidy();
    let tasks = spawn_worker(start.settings.clone(), sender.clone())?;
    let mouse = start.settings.mouse;
    let ascii = !glyph::is_utf8(["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).ok()));
    let screen = Screen::take(mouse, ascii)?;
    watch_signals(&sender)?;
    let watcher = sender.clone();
    spawn("terminal", move || watch_terminal(&watcher))?;
    spawn("input", move || read_input(&sender))?;

    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let shelf = archive::shelf(&start.settings)?;
    // A file that cannot be read is told where it would be shown.
    let structures = match store::own_text(Folders::structures) {
        Ok(found) => found.map(|(_, text)| Structures::parse(&text)).unwrap_or_default(),
        Err(error) => Structures::unreadable(error.to_string()),
    };
    let options = Options {
        link: start.link,
        speed: start.speed,
        settings: start.settings,
        theme,
        folder,
        ascii,
        shelf,
        structures,
    };
    let (app, effects) = App::new(options);
    let mut bench = Bench { app, screen, session, server, signals, tasks, open: true };
    bench.resized();
    bench.carry_out(effects);
    bench.serve(&inbox);
    bench.close();
    Ok(())
}

fn theme(settings: &Settings) -> Result<Theme, Problem> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Ok(Theme::mono());
    }
    Theme::load(&settings.theme).map_err(|error| error.explain())
}

fn no_thread(error: std::io::Error) -> Problem {
    Problem::new(
        Class::Host,
        "E135",
        format!("the workbench cannot start: {error}"),
        "the system gives no more threads or signal handlers",
        "close other programs and try again",
    )
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Problem> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop).map_err(no_thread)
}

fn session(sender: &Sender<Incoming>, server: &Server) -> Result<Session, Problem> {
    let (sender, server) = (sender.clone(), server.clone());
    Session::spawn(Box::new(move |event| {
        server.feed(&event);
        // A screen that is gone needs no events.
        let _ = sender.send(Incoming::Msg(Msg::Session(Box::new(event))));
    }))
    .map_err(no_thread)
}

fn spawn_worker(settings: Settings, sender: Sender<Incoming>) -> Result<Sender<Task>, Problem> {
    let (tasks, inbox) = channel::<Task>();
    spawn("worker", move || {
        while let Ok(task) = inbox.recv() {
            let done = catch_unwind(AssertUnwindSafe(|| worker::perform(task, &settings))).unwrap_or_else(|_| {
                Done::Failed(Problem::new(
                    Class::Internal,
                    "E134",
                    "work on a file failed",
                    "a fault of the program",
                    "please report which file it was",
                ))
            });
            if sender.send(Incoming::Msg(Msg::Done(Box::new(done)))).is_err() {
                break;
            }
        }
    })?;
    Ok(tasks)
}

/// Ends the program when the terminal went away without a signal: the library that reads it would spin for ever then,
/// and tell nobody.
fn watch_terminal(sender: &Sender<Incoming>) {
    while std::io::stdout().is_terminal() {
        thread::sleep(LOOK);
    }
    // Nobody is left to tell when this fails.
    let _ = sender.send(Incoming::Msg(Msg::Terminate));
}

/// Reads the terminal. A terminal that is gone ends the program.
fn read_input(sender: &Sender<Incoming>) {
    loop {
        let msg = match event::read() {
            Ok(Input::Key(key)) => Msg::Key(key),
            Ok(Input::Paste(text)) => Msg::Paste(text),
            // A mouse that only moves must not wake anybody.
            Ok(Input::Mouse(mouse)) if mouse.kind == MouseEventKind::Moved => continue,
            Ok(Input::Mouse(mouse)) => Msg::Mouse(mouse),
            Ok(Input::Resize(width, height)) => Msg::Resize(width, height),
            Ok(Input::FocusGained | Input::FocusLost) => continue,
            Err(_) => Msg::Terminate,
        };
        let last = matches!(msg, Msg::Terminate);
        if sender.send(Incoming::Msg(msg)).is_err() || last {
            return;
        }
    }
}

#[cfg(unix)]
fn watch_signals(sender: &Sender<Incoming>) -> Result<(), Problem> {
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGHUP, SIGINT, SIGCONT]).map_err(no_thread)?;
    let sender = sender.clone();
    spawn("signals", move || {
        for signal in signals.forever() {
            let incoming = if signal == SIGCONT { Incoming::Continued } else { Incoming::Msg(Msg::Terminate) };
            if sender.send(incoming).is_err() {
                return;
            }
        }
    })
}

#[cfg(not(unix))]
fn watch_signals(_: &Sender<Incoming>) -> Result<(), Problem> {
    Ok(())
}

/// The app with its surroundings.
struct Bench {
    app: App,
    screen: Screen,
    session: Session,
    server: Server,
    signals: Signals,
    tasks: Sender<Task>,
    open: bool,
}

impl Bench {
    /// Serves messages until the end. Draws when something changed, at most once in [`FRAME`]; with nothing to do it
    /// sleeps.
    fn serve(&mut self, inbox: &Receiver<Incoming>) {
        let mut drawn: Option<Instant> = None;
        let mut heard = Instant::now();
        let mut dirty = true;
        while self.open {
            let due = drawn.map_or(Duration::ZERO, |drawn| FRAME.saturating_sub(drawn.elapsed()));
            if dirty && due.is_zero() {
                if self.screen.draw(&self.app).is_err() {
                    // The terminal is gone: the same as being told to end.
                    let effects = self.app.update(Msg::Terminate);
                    self.carry_out(effects);
                }
                dirty = false;
                drawn = Some(Instant::now());
                continue;
            }
            let busy = self.app.shared.session.busy();
            let first = match (dirty, busy) {
                (true, _) => inbox.recv_timeout(due),
                (false, true) => inbox.recv_timeout(TICK),
                (false, false) => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let mut next = match first {
                Ok(incoming) => Some(incoming),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if !dirty {
                        let before = self.app.shared.quiet;
                        let _ = self.app.update(Msg::Tick(heard.elapsed()));
                        dirty =
                            before.map(|quiet| quiet.as_secs()) != self.app.shared.quiet.map(|quiet| quiet.as_secs());
                    }
                    None
                }
            };
            let began = Instant::now();
            while let Some(incoming) = next {
                dirty = true;
                if matches!(&incoming, Incoming::Msg(Msg::Session(_))) {
                    heard = Instant::now();
                }
                self.hear(incoming);
                // A flood of events must not keep the screen from being drawn.
                next = if self.open && began.elapsed() < FRAME { inbox.try_recv().ok() } else { None };
            }
        }
    }

    fn hear(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Continued => self.take_again(),
            Incoming::Msg(msg) => {
                let effects = self.app.update(msg);
                self.carry_out(effects);
            }
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Start(spec) => self.start(*spec),
                Effect::Cancel(id) => self.session.cancel(id),
                Effect::Work(task) => {
                    // The worker ends only with this program.
                    let _ = self.tasks.send(task);
                }
                Effect::Copy(text) => {
                    // A terminal that is gone is noticed when the next frame is drawn.
                    let _ = self.screen.copy(&text);
                }
                Effect::Bell => {
                    // A terminal that is gone rings no bell.
                    let _ = std::io::stdout().write_all(b"\x07").and_then(|()| std::io::stdout().flush());
                }
                Effect::Suspend => self.suspend(),
                Effect::Quit => self.open = false,
            }
        }
    }

    /// Starts a job. A write gets its journal here, and what an earlier write left on the chip; a backup the place it is
    /// kept in while it is made.
    fn start(&mut self, spec: JobSpec) {
        let identity = self.app.shared.session.identity.clone();
        match identity.map_or(Ok(spec.clone()), |identity| self.with_record(spec, &identity)) {
            Ok(spec) => {
                let _ = self.session.start(spec);
            }
            Err(problem) => {
                let effects = self.app.update(Msg::Done(Box::new(Done::Failed(problem))));
                self.carry_out(effects);
            }
        }
    }

    fn with_record(&mut self, spec: JobSpec, identity: &Identity) -> Result<JobSpec, Problem> {
        Ok(match spec {
            JobSpec::SetProtection(goal) => {
                let now = self.app.shared.session.protection.as_ref().and_then(|protection| protection.status);
                if let (false, Some(now)) = (matches!(goal, ProtectGoal::Restore(_)), now) {
                    archive::protection::remember(identity, now)?;
                }
                JobSpec::SetProtection(goal)
            }
            JobSpec::Backup(_) => JobSpec::Backup(archive::backup_spec(&self.app.shared.settings, None, identity)?),
            other => other,
        })
    }

    fn suspend(&mut self) {
        give_back();
        #[cfg(unix)]
        if let Err(error) = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP) {
            self.app.note(Level::Warning, format!("cannot stop: {error}"));
        }
        self.take_again();
    }

    fn take_again(&mut self) {
        if self.screen.take_again().is_err() {
            let effects = self.app.update(Msg::Terminate);
            self.carry_out(effects);
        }
        self.resized();
    }

    fn resized(&mut self) {
        let (width, height) = self.screen.size();
        let _ = self.app.update(Msg::Resize(width, height));
    }

    /// Gives the terminal back first: the session may take a moment to reach a point that is safe for the chip.
    fn close(self) {
        let Self { app, screen, session, server, signals, .. } = self;
        if std::io::stdout().is_terminal() {
            drop(screen);
        } else {
            // Giving a terminal back that is gone would end in the library's panic over the words it cannot say.
            std::mem::forget(screen);
        }
        if let Some(job) = &app.shared.session.job {
            let what = if job.changes_chip && !signals.stop() {
                format!("{} goes on to its verified end without the screen; `bkbench attach` shows it", job.title)
            } else {
                format!("stopping {} at the next point that is safe for the chip", job.title)
            };
            // A terminal that is gone hears nothing, and that is no failure.
            let _ = writeln!(std::io::stderr(), "{what} …");
        }
        server.after_terminal(&session, &signals);
        drop(session);
        server.end(None);
    }
}
