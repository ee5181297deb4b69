//! What one process tells others about the job it runs, and the reports it writes.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Zoned;
use serde_json::{Value, json};

use super::record::{self, Chip};
#[cfg(unix)]
use super::socket::Socket;
use crate::problem::{Explain, Problem};
use crate::session::{Event, SessionView, What, runs_json};

/// How moments are written for people, in local time.
const MOMENT: &str = "%Y-%m-%d %H:%M:%S";

/// The process's side of `bkbench attach`. A clone is the same server. Watchers only watch: nothing they send is read.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    job_ended: Condvar,
    /// `None` where the system has no such sockets, or gave none.
    #[cfg(unix)]
    socket: Option<Socket>,
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
    report: Option<Result<PathBuf, Problem>>,
}

impl Server {
    /// Starts serving. `command` names the headless command that the process exists for; `None` stands for the
    /// workbench, where a watcher follows one job and not the whole process.
    ///
    /// A system that gives no socket leaves a job that runs, is reported and cannot be watched.
    pub fn start(command: Option<&str>) -> Self {
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
        let server = Self(Arc::new(Shared {
            state: Mutex::new(state),
            job_ended: Condvar::new(),
            #[cfg(unix)]
            socket: Socket::bind().ok(),
        }));
        #[cfg(unix)]
        if let Some(socket) = &server.0.socket {
            let shared = Arc::downgrade(&server.0);
            socket.serve(move |join| {
                let Some(shared) = shared.upgrade() else { return };
                // Under the lock, so that no event falls between the snapshot and the first line after it.
                let state = lock(&shared.state);
                join(state.snapshot().to_string());
            });
        }
        server
    }

    /// Takes one event of the session; to be called with every one of them, in order, on the session's thread. Never
    /// waits for a watcher. When a job that may have changed the chip has ended, its report is on the disk before
    /// this returns.
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
            state.record();
            self.0.job_ended.notify_all();
        }
        #[cfg(unix)]
        if let Some(socket) = &self.0.socket {
            socket.tell(|| event.json());
        }
    }

    /// The report of the last job of this process that may have changed the chip, or why there is none.
    pub fn report(&self) -> Option<Result<PathBuf, Problem>> {
        lock(&self.0.state).report.clone()
    }

    /// For a front end whose terminal is gone: returns when no job that changes the chip runs any more. What is
    /// called afterwards may then drop the session; a job that only reads is stopped by that.
    pub fn after_terminal(&self) {
        let mut state = lock(&self.0.state);
        while state.view.job.as_ref().is_some_and(|job| job.changes_chip) {
            state = self.0.job_ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells watchers how the process ended and stops serving. Waits for slow watchers a moment, not longer.
    pub fn end(&self, problem: Option<&Problem>) {
        #[cfg(unix)]
        if let Some(socket) = &self.0.socket {
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
    fn record(&mut self) {
        let Some(ended) = self.view.last.as_ref().filter(|ended| ended.job.changes_chip) else { return };
        if self.chip.link.is_some() {
            let written = record::record(&self.view, ended, &self.chip, &self.job_began);
            self.report = Some(written.map_err(|error| error.explain()));
        }
    }

    /// All that a late watcher has missed.
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
