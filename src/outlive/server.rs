//! What one process tells others about the job it runs, and the reports it writes.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Zoned;
use serde_json::{Value, json};

use super::record::{self, Chip, Report};
use super::signals::Signals;
#[cfg(unix)]
use super::socket::Socket;
use crate::problem::{Explain, Problem};
use crate::session::{Event, Session, SessionView, What, runs_json};

/// How often a process without a terminal looks whether it was asked to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How moments are written for people, in local time.
const MOMENT: &str = "%Y-%m-%d %H:%M:%S";

/// The process's side of `bkbench attach`. A clone is the same server. Watchers only watch: nothing they send is read.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

/// How a report gets to the disk; exchanged in tests.
type Writer = fn(&Report) -> Written;
/// Where a report is, or why there is none.
type Written = Result<PathBuf, Problem>;

struct Shared {
    state: Mutex<State>,
    writer: Writer,
    job_ended: Condvar,
    /// Empty when the system gave none.
    #[cfg(unix)]
    socket: OnceLock<Socket>,
}

struct State {
    /// The headless command of this process; `None` for the workbench.
    command: Option<String>,
    started: Zoned,
    view: SessionView,
    seq: u64,
    job_began: Zoned,
    /// The chip and the link of the job, which its report names also after they went away.
    chip: Chip,
    /// Of the job that changed the chip last.
    report: Option<Arc<Pending>>,
}

/// A report on its way to the disk, on a thread of its own: the session's has a boot loader to keep awake.
struct Pending {
    thread: Mutex<Option<JoinHandle<()>>>,
    written: Arc<OnceLock<Written>>,
}

impl Pending {
    fn start(report: Report, writer: Writer, before: Option<Arc<Self>>) -> Self {
        let (written, report) = (Arc::new(OnceLock::new()), Arc::new(report));
        let (done, what) = (Arc::clone(&written), Arc::clone(&report));
        let write = move || {
            // One after the other, and the one before is waited for here and not where it was replaced.
            drop(before);
            // Set once, so it was not set yet.
            let _ = done.set(writer(&what));
        };
        let thread = thread::Builder::new().name("report".to_owned()).spawn(write);
        if thread.is_err() {
            // A system without threads: a report is worth a moment.
            let _ = written.set(writer(&report));
        }
        Self { thread: Mutex::new(thread.ok()), written }
    }

    /// Waits for the disk.
    fn wait(&self) -> Option<Written> {
        if let Some(thread) = lock(&self.thread).take() {
            // A panic in it left nothing to tell.
            let _ = thread.join();
        }
        self.written.get().cloned()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.wait();
    }
}

impl Server {
    /// Starts serving. `command` names the headless command that the process exists for; `None` stands for the
    /// workbench, where a watcher follows one job and not the whole process.
    ///
    /// A system that gives no socket leaves a job that runs, is reported and cannot be watched.
    pub fn start(command: Option<&str>) -> Self {
        let server = Self::new(command);
        #[cfg(unix)]
        server.serve();
        server
    }

    fn new(command: Option<&str>) -> Self {
        Self::with_writer(command, |report| record::write(report).map_err(|error| error.explain()))
    }

    fn with_writer(command: Option<&str>, writer: Writer) -> Self {
        let now = Zoned::now();
        let state = State {
            command: command.map(str::to_owned),
            started: now.clone(),
            view: SessionView::default(),
            seq: 0,
            job_began: now,
            chip: Chip::default(),
            report: None,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            writer,
            job_ended: Condvar::new(),
            #[cfg(unix)]
            socket: OnceLock::new(),
        }))
    }

    #[cfg(unix)]
    fn serve(&self) {
        let Ok(socket) = Socket::bind() else { return };
        let shared = Arc::downgrade(&self.0);
        socket.serve(move |join| {
            let Some(shared) = shared.upgrade() else { return };
            // Under the lock, so that no event falls between the snapshot and the first line after it.
            let state = lock(&shared.state);
            join(state.snapshot().to_string());
        });
        // Only one is ever made, so there is none yet.
        let _ = self.0.socket.set(socket);
    }

    /// Takes one event of the session; to be called with every one of them, in order, on the session's thread. Never
    /// waits, for a watcher or for the disk. When a job that may have changed the chip has ended, its report is on its
    /// way to the disk; [`Server::report`] waits for it, and so does the end of the process.
    pub fn feed(&self, event: &Event) {
        let mut state = lock(&self.0.state);
        if matches!(event.what, What::Started { .. }) {
            state.job_began = Zoned::now();
            state.chip = Chip::default();
        }
        state.seq = event.seq;
        let ran = state.view.busy();
        state.view.apply(event);
        state.see_chip();
        if ran && !state.view.busy() {
            state.record(self.0.writer);
            self.0.job_ended.notify_all();
        }
        #[cfg(unix)]
        if let Some(socket) = self.0.socket.get() {
            socket.tell(|| event.json());
        }
    }

    /// The report of the last job of this process that may have changed the chip, once it is on the disk, or why there is
    /// none.
    pub fn report(&self) -> Option<Result<PathBuf, Problem>> {
        let pending = lock(&self.0.state).report.clone();
        pending.and_then(|pending| pending.wait())
    }

    /// For a front end that has to go, because its terminal is gone or a signal came: returns when no job that changes
    /// the chip runs any more. After a hang-up such a job goes on to its verified end; SIGINT and SIGTERM, before or
    /// meanwhile, stop it at its next safe point. The caller may then drop the session, which stops a job that only
    /// reads.
    pub fn after_terminal(&self, session: &Session, signals: &Signals) {
        let mut state = lock(&self.0.state);
        while let Some(job) = state.view.job.as_ref().filter(|job| job.changes_chip) {
            if signals.stop() {
                session.cancel(job.id);
            }
            let waited = self.0.job_ended.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        self.report();
    }

    /// Tells watchers how the process ended and stops serving. Waits for slow watchers a moment, not longer.
    pub fn end(&self, problem: Option<&Problem>) {
        #[cfg(unix)]
        if let Some(socket) = self.0.socket.get() {
            let report = self.report().and_then(Result::ok);
            let exit = problem.map_or(0, |problem| problem.class.exit_code());
            socket.tell(|| {
                let report = report.map(|path| path.display().to_string());
                Some(json!({"event": "ended", "exit": exit, "error": problem, "report": report}))
            });
            socket.close();
        }
        #[cfg(not(unix))]
        let _ = problem;
    }
}

impl State {
    fn see_chip(&mut self) {
        if let Some((info, speed)) = self.view.open_link() {
            self.chip.link = Some((info.name.clone(), speed));
        }
        if let Some(identity) = &self.view.identity {
            self.chip.identity = Some(Arc::clone(identity));
        }
    }

    /// Records the job that has just ended if it may have changed a chip.
    fn record(&mut self, writer: Writer) {
        let Some(ended) = self.view.last.as_ref().filter(|ended| ended.job.changes_chip) else { return };
        if self.chip.link.is_some() {
            let report = record::report(&self.view, ended, &self.chip, &self.job_began);
            self.report = Some(Arc::new(Pending::start(report, writer, self.report.take())));
        }
    }

    /// All that a late watcher has missed.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are no watchers"))]
    fn snapshot(&self) -> Value {
        let view = &self.view;
        let (link, speed) = view.open_link().map(|(info, speed)| (info.name.clone(), speed)).unzip();
        let job = view.job.as_ref().map(|job| {
            let phase = job.phase.as_ref();
            json!({
                "job": job.id,
                "title": job.title,
                "changes_chip": job.changes_chip,
                "since": self.job_began.strftime(MOMENT).to_string(),
                "backup": job.backup,
                "plan": job.plan.as_deref(),
                "phase": phase.map(|phase| phase.phase),
                "total": phase.map(|phase| phase.total),
                "done": phase.map(|phase| phase.done),
                "retries": job.retries,
                "sectors": runs_json(&job.sector_runs()),
            })
        });
        let last = view.last.as_ref().map(|ended| {
            let error = ended.result.as_ref().err();
            let exit = error.map_or(0, |problem| problem.class.exit_code());
            json!({"job": ended.job.id, "title": ended.job.title, "exit": exit, "error": error})
        });
        json!({
            "event": "snapshot",
            "schema": 1,
            "pid": std::process::id(),
            "command": self.command,
            "since": self.started.strftime(MOMENT).to_string(),
            "link": {"state": view.link.word(), "name": link, "speed": speed},
            "identity": view.identity.as_deref(),
            "protection": view.protection.as_deref(),
            "job": job,
            "last": last,
            "seq": self.seq,
        })
    }
}

/// A panic elsewhere leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::job::Outcome;
    use crate::session::JobId;

    fn event(what: What) -> Event {
        Event { seq: 1, at: Duration::ZERO, what }
    }

    fn started(changes_chip: bool) -> Event {
        event(What::Started { id: JobId(7), title: "write", changes_chip, backup: None })
    }

    fn finished() -> Event {
        event(What::Finished { id: JobId(7), result: Ok(Outcome::Rebooted), left: Vec::new() })
    }

    #[test]
    fn without_a_terminal_a_change_is_waited_for_and_nothing_else() {
        let session = Session::spawn(Box::new(|_| {})).unwrap();
        let (server, signals) = (Server::new(None), Signals::default());
        server.after_terminal(&session, &signals);
        server.feed(&started(false));
        server.after_terminal(&session, &signals);
        server.feed(&finished());

        server.feed(&started(true));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| server.after_terminal(&session, &signals));
            let until = Instant::now() + 3 * LOOK;
            while Instant::now() < until {
                assert!(!waits.is_finished());
            }
            server.feed(&finished());
        });
        assert!(server.report().is_none(), "no chip was ever connected");
    }

    #[test]
    fn a_slow_disk_does_not_hold_the_thread_that_keeps_a_boot_loader_awake() {
        const SLOW: Duration = Duration::from_millis(300);
        // The silence after which a basic boot loader resets the chip.
        const ASLEEP: Duration = Duration::from_millis(93);
        let server = Server::with_writer(None, |_| {
            thread::sleep(SLOW);
            Ok(PathBuf::from("report.json"))
        });
        let info = crate::link::LinkInfo {
            name: "sim:wb2s".to_owned(),
            wire: crate::link::WireKind::Uart,
            detail: String::new(),
            pins: crate::link::Pins::usual(crate::link::WireKind::Uart, 22),
            simulated: true,
        };
        server.feed(&event(What::Link(crate::session::LinkState::Open { info, speed: 921_600 })));
        for _ in 0..2 {
            let began = Instant::now();
            server.feed(&started(true));
            server.feed(&finished());
            assert!(began.elapsed() < ASLEEP, "{:?}", began.elapsed());
        }
        let began = Instant::now();
        assert_eq!(server.report(), Some(Ok(PathBuf::from("report.json"))));
        assert!(began.elapsed() > SLOW, "both were waited for, one after the other");
    }

    #[test]
    fn a_late_watcher_is_told_where_the_job_stands() {
        let server = Server::new(Some("write"));
        server.feed(&started(true));
        server.feed(&event(What::Phase { id: JobId(7), phase: crate::job::Phase::Verify, done: 0, total: 200 }));
        server.feed(&event(What::Progress { id: JobId(7), done: 50 }));
        let snapshot = lock(&server.0.state).snapshot();
        assert_eq!(snapshot["command"], "write");
        assert_eq!(snapshot["pid"], std::process::id());
        let job = &snapshot["job"];
        assert_eq!((&job["title"], &job["phase"]), (&"write".into(), &"verify".into()));
        assert_eq!((job["done"].as_u64(), job["total"].as_u64()), (Some(50), Some(200)));
        server.feed(&finished());
        let snapshot = lock(&server.0.state).snapshot();
        assert!(snapshot["job"].is_null());
        assert_eq!(snapshot["last"]["exit"], 0);
    }
}
