//! The reducer that turns events into what can be shown; shared by the screen and the command line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, JobId, LinkState, What};
use crate::device::Level;
use crate::job::{Identity, Outcome, Phase, Plan, Protection, SectorState, WiringReport};
use crate::link::WireKind;
use crate::link::supply::Record;
use crate::problem::{Class, Problem};
use crate::units::{SECTOR, Span};

/// Log lines kept; older ones are dropped.
const LOG_LINES: usize = 500;

/// Everything the session has told so far, folded into one state.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// The link.
    pub link: LinkState,
    /// The chip, as long as the link is open.
    pub identity: Option<Arc<Identity>>,
    /// The protection as last read.
    pub protection: Option<Arc<Protection>>,
    /// The protection as first read on this connection: what `restore` goes back to.
    pub protection_before: Option<Arc<Protection>>,
    /// The wires as last looked at.
    pub wiring: Option<Arc<WiringReport>>,
    /// The job that runs.
    pub job: Option<JobView>,
    /// The job that ended last.
    pub last: Option<Ended>,
    /// The newest log lines.
    pub log: VecDeque<LogLine>,
    /// The session ended.
    pub closed: bool,
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Time since the session began.
    pub at: Duration,
    /// How loud.
    pub level: Level,
    /// The text; already free of control characters.
    pub text: String,
}

/// A running job.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// Its name.
    pub title: &'static str,
    /// Whether it can change the chip.
    pub changes_chip: bool,
    /// The wire of the link that was open when it began; SPI where none was.
    pub wire: WireKind,
    /// What stands behind a write: the backup's path, or the typed phrase.
    pub backup: Option<String>,
    /// The plan it carries out.
    pub plan: Option<Arc<Plan>>,
    /// The present phase.
    pub phase: Option<PhaseView>,
    /// Phases that ended, with their durations.
    pub finished: Vec<(Phase, Duration)>,
    /// Times something had to be done again.
    pub retries: u32,
    /// What was seen of the computer's supply, as far as it was told; `None` where the computer tells nothing.
    pub supply: Option<Record>,
    /// One state per sector of the chip; empty until a plan is known.
    pub sectors: Vec<SectorState>,
    /// The offset last worked on.
    pub at: Option<u32>,
    /// When it began.
    pub started: Duration,
    /// Time of the newest event.
    pub now: Duration,
}

/// A phase that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseView {
    /// Which.
    pub phase: Phase,
    /// Bytes that were done before it began.
    pub from: u64,
    /// Bytes done.
    pub done: u64,
    /// Bytes to do; 0 when nobody knows.
    pub total: u64,
    /// When it began.
    pub started: Duration,
}

impl PhaseView {
    /// Share done, 0.0 to 1.0.
    pub fn share(&self) -> f64 {
        if self.total == 0 { 0.0 } else { (self.done as f64 / self.total as f64).clamp(0.0, 1.0) }
    }

    /// Bytes per second so far; `None` in the first moment.
    pub fn rate(&self, now: Duration) -> Option<f64> {
        let seconds = now.saturating_sub(self.started).as_secs_f64();
        (seconds > 0.05 && self.done > self.from).then(|| (self.done - self.from) as f64 / seconds)
    }

    /// Time left at the present rate.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let rate = self.rate(now)?;
        (self.total > 0).then(|| Duration::from_secs_f64(self.total.saturating_sub(self.done) as f64 / rate))
    }
}

/// A job that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The job as it stood at its end.
    pub job: JobView,
    /// How it ended.
    pub result: Result<Outcome, Problem>,
    /// Where a write stopped.
    pub left: Vec<(Span, SectorState)>,
}

impl Ended {
    /// Whether the user stopped it.
    pub fn cancelled(&self) -> bool {
        matches!(&self.result, Err(problem) if problem.class == Class::Cancelled)
    }
}

impl Default for SessionView {
    fn default() -> Self {
        Self {
            link: LinkState::Closed,
            identity: None,
            protection: None,
            protection_before: None,
            wiring: None,
            job: None,
            last: None,
            log: VecDeque::new(),
            closed: false,
        }
    }
}

impl SessionView {
    /// Folds one event in. Total: any event in any order is taken.
    pub fn apply(&mut self, event: &Event) {
        if let Some(job) = &mut self.job {
            job.now = event.at;
        }
        let away = matches!(self.link, LinkState::Away { .. });
        match &event.what {
            What::Link(state) => self.link_changed(state, event.at),
            What::Identity(identity) => self.identity = Some(Arc::clone(identity)),
            What::Protection(protection) => {
                self.protection_before.get_or_insert_with(|| Arc::clone(protection));
                self.protection = Some(Arc::clone(protection));
            }
            What::Started { id, title, changes_chip, backup } => {
                self.job = Some(JobView {
                    id: *id,
                    title,
                    changes_chip: *changes_chip,
                    wire: self.open_link().map_or(WireKind::Spi, |(info, _)| info.wire),
                    backup: backup.clone(),
                    plan: None,
                    phase: None,
                    finished: Vec::new(),
                    retries: 0,
                    supply: None,
                    sectors: Vec::new(),
                    at: None,
                    started: event.at,
                    now: event.at,
                });
            }
            What::Planned { id, plan } => self.with_job(*id, |job| {
                job.sectors = plan.sector_states();
                job.plan = Some(Arc::clone(plan));
            }),
            What::Phase { id, phase, done, total } => self.with_job(*id, |job| {
                if away {
                    // It was cut off, not ended.
                    job.phase = None;
                }
                job.end_phase();
                let (from, started) = (*done, job.now);
                job.phase = Some(PhaseView { phase: *phase, from, done: from, total: *total, started });
            }),
            What::Progress { id, done } => self.with_job(*id, |job| {
                if let Some(phase) = &mut job.phase {
                    phase.done = *done;
                }
            }),
            What::Sectors { id, span, state } => self.with_job(*id, |job| {
                job.at = Some(span.start);
                let first = (span.start / SECTOR) as usize;
                let last = (span.end().div_ceil(SECTOR) as usize).min(job.sectors.len());
                if let Some(sectors) = job.sectors.get_mut(first..last) {
                    sectors.fill(*state);
                }
            }),
            What::Retried { id, count, what } => {
                self.with_job(*id, |job| job.retries = *count);
                self.log_line(event.at, Level::Warning, what);
            }
            What::Supply { id, record } => self.with_job(*id, |job| job.supply = Some(*record)),
            What::Slowed(now) => {
                if let LinkState::Open { speed, .. } = &mut self.link {
                    *speed = *now;
                }
            }
            What::Finished { id, result, left } => self.finish(*id, result, left, event.at),
            What::Refused { problem, .. } => self.log_line(event.at, Level::Warning, &problem.what),
            What::Wiring(report) => self.wiring = Some(Arc::clone(report)),
            What::Log(level, text) => self.log_line(event.at, *level, text),
            What::Crashed(problem) => {
                self.log_line(event.at, Level::Error, &problem.what);
                if let Some(mut job) = self.job.take() {
                    job.end_phase();
                    self.last = Some(Ended { job, result: Err(problem.clone()), left: Vec::new() });
                }
            }
            What::Closed => self.closed = true,
        }
    }

    /// The link's name and speed while it is open.
    pub fn open_link(&self) -> Option<(&crate::link::LinkInfo, u32)> {
        match &self.link {
            LinkState::Open { info, speed } => Some((info, *speed)),
            _ => None,
        }
    }

    /// Whether a job runs.
    pub fn busy(&self) -> bool {
        self.job.is_some()
    }

    fn link_changed(&mut self, state: &LinkState, at: Duration) {
        let again = matches!((&self.link, state), (LinkState::Away { .. }, LinkState::Away { .. }));
        if !matches!(state, LinkState::Open { .. } | LinkState::Away { .. }) {
            self.identity = None;
            self.protection = None;
            self.protection_before = None;
        }
        let text = match state {
            LinkState::Closed => "link closed".to_owned(),
            LinkState::Opening(name) => format!("opening {name}"),
            LinkState::Open { info, .. } => format!("{} open: {}", info.name, info.detail),
            LinkState::Away { why, left, .. } => format!("{why}; waiting {} s for it to come back", left.as_secs()),
            LinkState::Lost(problem) => problem.what.clone(),
        };
        let level = match state {
            LinkState::Lost(_) => Level::Error,
            LinkState::Away { .. } => Level::Warning,
            _ => Level::Info,
        };
        // It is told every second how long is left.
        if !again {
            self.log_line(at, level, &text);
        }
        self.link = state.clone();
    }

    fn finish(&mut self, id: JobId, result: &Result<Outcome, Problem>, left: &[(Span, SectorState)], at: Duration) {
        let Some(mut job) = self.job.take_if(|job| job.id == id) else { return };
        job.end_phase();
        match result {
            Ok(_) => self.log_line(at, Level::Info, &format!("{}: done", job.title)),
            Err(problem) => {
                self.log_line(at, Level::Error, &format!("{}: {} {}", job.title, problem.code, problem.what));
            }
        }
        self.last = Some(Ended { job, result: result.clone(), left: left.to_vec() });
    }

    fn with_job(&mut self, id: JobId, change: impl FnOnce(&mut JobView)) {
        if let Some(job) = self.job.as_mut().filter(|job| job.id == id) {
            change(job);
        }
    }

    fn log_line(&mut self, at: Duration, level: Level, text: &str) {
        if self.log.len() == LOG_LINES {
            self.log.pop_front();
        }
        let text = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
        self.log.push_back(LogLine { at, level, text });
    }
}

impl JobView {
    /// The sectors as runs of the same state.
    pub fn sector_runs(&self) -> Vec<(Span, SectorState)> {
        let mut runs: Vec<(Span, SectorState)> = Vec::new();
        for (index, &state) in self.sectors.iter().enumerate() {
            match runs.last_mut() {
                Some((span, last)) if *last == state => span.len += SECTOR,
                _ => runs.push((Span::new(index as u32 * SECTOR, SECTOR), state)),
            }
        }
        runs
    }

    fn end_phase(&mut self) {
        if let Some(phase) = self.phase.take() {
            self.finished.push((phase.phase, self.now.saturating_sub(phase.started)));
        }
    }
}
