//! The command line's side of a session: starts a job, shows how it goes, waits for its end.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::out::Out;
use crate::device::Level;
use crate::job::{JobSpec, Outcome, Phase};
use crate::problem::{Class, Problem};
use crate::session::{self, Event, Session, SessionView, What};

/// How often a waiting client looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A session with its events folded, and a progress display.
pub struct Client {
    session: Session,
    events: Receiver<Event>,
    /// What the session has told so far.
    pub view: SessionView,
    stop: Arc<AtomicBool>,
    out: Out,
    bar: Bar,
}

impl Client {
    /// Starts a session. SIGINT, SIGTERM and SIGHUP ask the running job to stop at its next safe point.
    ///
    /// # Errors
    /// A host problem when the system gives no thread or no signal handler.
    pub fn new(out: Out) -> Result<Self, Problem> {
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
        let session = Session::spawn(Box::new(move |event| {
            // A client that is gone needs no events.
            let _ = sender.send(event);
        }))
        .map_err(host)?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(host)?;
        }
        Ok(Self { session, events, view: SessionView::default(), stop, bar: Bar::new(out), out })
    }

    /// Runs one job to its end.
    ///
    /// # Errors
    /// The job's problem.
    pub fn run(&mut self, spec: JobSpec) -> Result<Outcome, Problem> {
        let id = self.session.start(spec);
        let mut cancelled = false;
        loop {
            if self.stop.load(Ordering::Relaxed) && !cancelled {
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
                What::Finished { id: ended, result, .. } if ended == id => return result,
                What::Refused { id: ended, problem } if ended == id => return Err(problem),
                What::Crashed(problem) => return Err(problem),
                What::Closed => return Err(session::ended()),
                _ => {}
            }
        }
    }

    fn show(&mut self, event: &Event) {
        self.out.event(event);
        match &event.what {
            What::Phase { phase, total, .. } => self.bar.begin(*phase, *total),
            What::Progress { done, .. } => self.bar.progress(*done),
            What::Retried { what, .. } => self.bar.line(what),
            What::Log(level, text) if *level != Level::Info => self.bar.line(text),
            What::Finished { .. } | What::Crashed(_) => self.bar.end(),
            _ => {}
        }
    }
}

/// A progress bar on a terminal, a plain line per phase elsewhere. Always on stderr.
struct Bar {
    terminal: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
}

impl Bar {
    fn new(out: Out) -> Self {
        Self { terminal: std::io::stderr().is_terminal(), quiet: out.events, bar: None, phase: None }
    }

    fn begin(&mut self, phase: Phase, total: u64) {
        self.end();
        self.phase = Some(phase);
        if self.quiet {
            return;
        }
        if !self.terminal {
            eprintln!("{} …", phase.word());
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
        bar.set_message(phase.word());
        self.bar = Some(bar);
    }

    fn progress(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.quiet => {}
            None => eprintln!("{text}"),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.phase = None;
    }
}
