//! The command line's side of a session: starts a job, shows how it goes, waits for its end.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::out::{Out, print_aside};
use crate::device::Level;
use crate::job::{JobSpec, Outcome};
use crate::outlive::{Server, Signals};
use crate::problem::{Class, Problem};
use crate::session::{self, Event, LinkState, Session, SessionView, What};

/// How often a waiting client looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A session with its events folded, and a progress display.
pub struct Client {
    session: Session,
    events: Receiver<Event>,
    /// What the session has told so far.
    pub view: SessionView,
    signals: Signals,
    /// Also shows what is only worth knowing.
    pub notes: bool,
    /// The terminal went away during a job that changes the chip: what belongs to it is carried to its end.
    alone: bool,
    server: Server,
    out: Out,
    bar: Bar,
}

impl Client {
    /// Starts a session. SIGINT and SIGTERM ask the running job to stop at its next safe point, SIGHUP only one that
    /// does not change the chip. Every event goes to `server` before it is shown.
    ///
    /// # Errors
    /// A host problem when the system gives no thread or no signal handler.
    pub fn new(out: Out, server: &Server) -> Result<Self, Problem> {
        let host = |error: std::io::Error| {
            Problem::new(
                Class::Host,
                "E105",
                format!("the session cannot start: {error}"),
                "the system is out of threads",
                "close other programs and try again",
            )
        };
        let (sender, events) = channel();
        let feed = server.clone();
        let session = Session::spawn(Box::new(move |event| {
            feed.feed(&event);
            // A client that is gone needs no events.
            let _ = sender.send(event);
        }))
        .map_err(host)?;
        let signals = Signals::register().map_err(host)?;
        let (view, server) = (SessionView::default(), server.clone());
        Ok(Self { session, events, view, signals, notes: false, alone: false, server, bar: Bar::new(out), out })
    }

    /// Runs one job to its end.
    ///
    /// # Errors
    /// The job's problem.
    pub fn run(&mut self, spec: JobSpec) -> Result<Outcome, Problem> {
        // A terminal that went away before the change began stops it; one that goes away during it does not.
        let goes_on = spec.changes_chip() && !self.signals.hung_up();
        let id = self.session.start(spec);
        let mut cancelled = false;
        loop {
            self.alone |= goes_on && self.signals.hung_up();
            if (self.signals.stop() || self.signals.hung_up() && !self.alone) && !cancelled {
                cancelled = true;
                self.bar.line("stopping at the next point that is safe for the chip …");
                self.session.cancel(id);
            }
            let event = match self.events.recv_timeout(LOOK) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(session::ended()),
            };
            self.view.apply(&event);
            self.show(&event);
            match event.what {
                What::Finished { id: ended, result, .. } if ended == id => {
                    self.name_report();
                    return result;
                }
                What::Refused { id: ended, problem } if ended == id => return Err(problem),
                What::Crashed(problem) => {
                    self.name_report();
                    return Err(problem);
                }
                What::Closed => return Err(session::ended()),
                _ => {}
            }
        }
    }

    /// Waits for a line from the terminal; `None` when the process is asked to stop meanwhile, or the terminal is gone.
    pub fn ask(&self) -> Option<String> {
        let (sender, answer) = channel();
        // The system's read cannot be interrupted from here, so it has a thread of its own that ends with the process.
        std::thread::spawn(move || {
            let mut line = String::new();
            if std::io::stdin().read_line(&mut line).is_ok_and(|count| count > 0) {
                // Nobody waits any more when the process was asked to stop.
                let _ = sender.send(line);
            }
        });
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(line) => return Some(line),
                Err(RecvTimeoutError::Timeout) if !self.signals.stop() && !self.signals.hung_up() => {}
                Err(_) => return None,
            }
        }
    }

    fn name_report(&self) {
        let job = self.view.last.as_ref().filter(|ended| ended.job.changes_chip);
        match job.and_then(|_| self.server.report()) {
            None => {}
            Some(Ok(path)) => self.out.say_aside(format!("report: {}", path.display())),
            Some(Err(problem)) => self.out.say_aside(format!("no report was written: {problem}")),
        }
    }

    fn show(&mut self, event: &Event) {
        self.out.event(event);
        match &event.what {
            What::Phase { phase, done, total, .. } => {
                self.bar.begin(phase.word(), *total);
                self.bar.start_at(*done);
            }
            What::Link(LinkState::Away { why, left, .. }) => self.bar.away(why, left.as_secs()),
            What::Link(LinkState::Open { .. }) => self.bar.back(),
            What::Progress { done, .. } => self.bar.progress(*done),
            What::Retried { what, .. } => self.bar.line(what),
            What::Log(level, text) if self.notes || *level != Level::Info => self.bar.line(text),
            What::Finished { .. } | What::Crashed(_) => self.bar.end(),
            _ => {}
        }
    }
}

/// A progress bar on a terminal, a plain line per phase elsewhere. Always on stderr.
pub(super) struct Bar {
    terminal: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    /// The link is away, and that was said.
    away: bool,
}

impl Bar {
    pub(super) fn new(out: Out) -> Self {
        Self { terminal: std::io::stderr().is_terminal(), quiet: out.events, bar: None, away: false }
    }

    pub(super) fn begin(&mut self, phase: &str, total: u64) {
        self.end();
        if self.quiet {
            return;
        }
        if !self.terminal {
            print_aside(&format!("{phase} …"));
            return;
        }
        let bar = ProgressBar::with_draw_target((total > 0).then_some(total), ProgressDrawTarget::stderr_with_hz(10));
        let template = if total > 0 {
            "{msg:<12} {bar:30} {percent:>3} % {binary_bytes_per_sec:>12} {eta:>4} left"
        } else {
            "{msg:<12} {spinner}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(phase.to_owned());
        self.bar = Some(bar);
    }

    /// Bytes of the phase that were done before it began count for no rate.
    fn start_at(&self, done: u64) {
        if let Some(bar) = self.bar.as_ref().filter(|_| done > 0) {
            bar.set_position(done);
            bar.reset_eta();
        }
    }

    /// The link is away and waited for; told once, and counted down where a terminal shows it.
    pub(super) fn away(&mut self, why: &str, left: u64) {
        if !self.away {
            self.away = true;
            self.line(&format!(
                "{why}\nput the cable back: the job goes on by itself; Ctrl-C ends it; it waits for {left} s"
            ));
            self.begin("waiting", 0);
        }
        if let Some(bar) = &self.bar {
            bar.set_message(format!("waiting {left} s"));
            bar.tick();
        }
    }

    /// The link is there again.
    pub(super) fn back(&mut self) {
        if std::mem::take(&mut self.away) {
            self.end();
        }
    }

    pub(super) fn progress(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.quiet => {}
            None => print_aside(text),
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
