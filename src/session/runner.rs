//! A job's link to the world while it runs: events out, commands in.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::actor::{Command, busy};
use super::event::{Event, JobId, What};
use crate::device::{Cancelled, Level, Watch};
use crate::job::{Identity, Interruption, Phase, Plan, Protection, Reporter, SectorState, WiringReport};
use crate::link::Clock;
use crate::link::supply::{Record, SUSPECT, Supply, Watcher};
use crate::units::{SECTOR, Span, time_text};

/// Numbers and dates events. While a link is open its own clock counts, so that rates over a simulated module are
/// those of the module; time never goes back.
pub(super) struct Timeline {
    sink: Box<dyn FnMut(Event)>,
    seq: u64,
    passed: Duration,
    since: Instant,
    link: Option<(Rc<dyn Clock>, Duration)>,
}

impl Timeline {
    pub fn new(sink: Box<dyn FnMut(Event)>) -> Self {
        Self { sink, seq: 0, passed: Duration::ZERO, since: Instant::now(), link: None }
    }

    pub fn emit(&mut self, what: What) {
        self.seq += 1;
        let at = self.now();
        (self.sink)(Event { seq: self.seq, at, what });
    }

    pub fn now(&self) -> Duration {
        match &self.link {
            Some((clock, start)) => self.passed + clock.now().saturating_sub(*start),
            None => self.passed + self.since.elapsed(),
        }
    }

    pub fn attach(&mut self, clock: Rc<dyn Clock>) {
        self.passed = self.now();
        let start = clock.now();
        self.link = Some((clock, start));
    }

    pub fn detach(&mut self) {
        self.passed = self.now();
        self.since = Instant::now();
        self.link = None;
    }
}

/// The reporter of one job.
pub(super) struct Runner<'a> {
    id: JobId,
    title: &'static str,
    inbox: &'a Receiver<Command>,
    timeline: &'a mut Timeline,
    done: u64,
    retries: u32,
    sectors: Vec<SectorState>,
    cancelled: bool,
    stopping: bool,
    supply: Option<Watcher<'a>>,
    protection: Option<Arc<Protection>>,
    interruptions: Vec<Interruption>,
    repaired: BTreeSet<u32>,
    speed: Option<u32>,
}

impl<'a> Runner<'a> {
    pub fn new(id: JobId, title: &'static str, inbox: &'a Receiver<Command>, timeline: &'a mut Timeline) -> Self {
        Self {
            id,
            title,
            inbox,
            timeline,
            done: 0,
            retries: 0,
            sectors: Vec::new(),
            cancelled: false,
            stopping: false,
            supply: None,
            protection: None,
            interruptions: Vec::new(),
            repaired: BTreeSet::new(),
            speed: None,
        }
    }

    /// Looks at the supply from now on, and says when it is too low.
    pub fn watch_supply(&mut self, supply: Option<&'a Supply>) {
        self.supply = supply.map(Watcher::new);
        self.look_at_supply(false);
    }

    fn look_at_supply(&mut self, urgent: bool) {
        let Some(watcher) = &mut self.supply else { return };
        watcher.look(urgent);
        if let Some(warning) = watcher.warning() {
            let (id, record) = (self.id, watcher.record());
            self.emit(What::Log(Level::Warning, warning));
            self.emit(What::Supply { id, record });
        }
    }

    /// What is said beside a read error: nothing, unless the supply is the first suspect.
    fn suspect(&mut self) -> &'static str {
        self.look_at_supply(true);
        if self.supply.as_ref().is_some_and(Watcher::dipped) { SUSPECT } else { "" }
    }

    pub fn emit(&mut self, what: What) {
        self.timeline.emit(what);
    }

    pub fn attach_clock(&mut self, clock: Rc<dyn Clock>) {
        self.timeline.attach(clock);
    }

    pub fn detach_clock(&mut self) {
        self.timeline.detach();
    }

    /// The speed this job has told last, where it has told one.
    pub fn speed_told(&self) -> Option<u32> {
        self.speed
    }

    /// The protection as this job has read it last.
    pub fn protection_seen(&self) -> Option<&Protection> {
        self.protection.as_deref()
    }

    /// The link has gone. Returns how often it has in this job.
    pub fn lose(&mut self, why: String) -> usize {
        let at = self.timeline.now();
        self.interruptions.push(Interruption { at, away: Duration::ZERO, why, redone: String::new() });
        self.interruptions.len()
    }

    /// The same chip answers again.
    pub fn back(&mut self) {
        let now = self.timeline.now();
        let Some(last) = self.interruptions.last_mut() else { return };
        last.away = now.saturating_sub(last.at);
        let words = format!("the link is back after {}, and it is the same chip", time_text(last.away));
        self.retried(words);
    }

    /// Whether the session shall end after this job.
    pub fn stopping(&self) -> bool {
        self.stopping
    }

    /// Every sector the plan changes, as runs of the same state.
    pub fn left(&self) -> Vec<(Span, SectorState)> {
        let mut runs: Vec<(Span, SectorState)> = Vec::new();
        for (index, &state) in self.sectors.iter().enumerate() {
            let at = index as u32 * SECTOR;
            match runs.last_mut() {
                Some((span, last)) if *last == state && span.end() == at => span.len += SECTOR,
                _ => runs.push((Span::new(at, SECTOR), state)),
            }
        }
        runs.retain(|(_, state)| *state != SectorState::Kept);
        runs
    }
}

impl Runner<'_> {
    /// A command that arrives while the job runs.
    fn take(&mut self, command: Command) {
        match command {
            Command::Cancel(id) => self.cancelled |= id == self.id,
            Command::Start(id, spec) => {
                let problem = busy(spec.title(), self.title);
                self.emit(What::Refused { id, problem });
            }
            Command::Shutdown => self.leave(),
        }
    }

    fn leave(&mut self) {
        self.stopping = true;
        self.cancelled = true;
    }
}

impl Watch for Runner<'_> {
    fn advance(&mut self, bytes: u64) {
        self.look_at_supply(false);
        self.done += bytes;
        let (id, done) = (self.id, self.done);
        self.emit(What::Progress { id, done });
    }

    fn note(&mut self, level: Level, text: String) {
        self.emit(What::Log(level, text));
    }

    fn retried(&mut self, what: String) {
        self.retries += 1;
        let what = match self.suspect() {
            "" => what,
            suspect => format!("{what}; {suspect}: under-voltage"),
        };
        let (id, count) = (self.id, self.retries);
        self.emit(What::Retried { id, count, what });
    }

    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        self.look_at_supply(false);
        loop {
            match self.inbox.try_recv() {
                Ok(command) => self.take(command),
                Err(TryRecvError::Disconnected) => {
                    self.leave();
                    break;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        if self.cancelled { Err(Cancelled) } else { Ok(()) }
    }
}

impl Reporter for Runner<'_> {
    fn phase_from(&mut self, phase: Phase, done: u64, total: u64) {
        self.done = done;
        let id = self.id;
        self.emit(What::Phase { id, phase, done, total });
    }

    fn sectors(&mut self, span: Span, state: SectorState) {
        let first = (span.start / SECTOR) as usize;
        let last = (span.end().div_ceil(SECTOR) as usize).min(self.sectors.len());
        if let Some(sectors) = self.sectors.get_mut(first..last) {
            sectors.fill(state);
        }
        let id = self.id;
        self.emit(What::Sectors { id, span, state });
    }

    fn planned(&mut self, plan: Arc<Plan>) {
        self.sectors = plan.sector_states();
        let id = self.id;
        self.emit(What::Planned { id, plan });
    }

    fn identity(&mut self, identity: Arc<Identity>) {
        self.emit(What::Identity(identity));
    }

    fn protection(&mut self, protection: Arc<Protection>) {
        self.protection = Some(Arc::clone(&protection));
        self.emit(What::Protection(protection));
    }

    fn slowed(&mut self, speed: u32) {
        self.speed = Some(speed);
        self.emit(What::Slowed(speed));
    }

    fn wiring(&mut self, report: Arc<WiringReport>) {
        self.emit(What::Wiring(report));
    }

    fn pause(&mut self, time: Duration) -> Result<(), Cancelled> {
        let until = Instant::now() + time;
        loop {
            self.checkpoint()?;
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(command) => self.take(command),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => self.leave(),
            }
        }
    }

    fn retries(&self) -> u32 {
        self.retries
    }

    fn supply(&mut self) -> Option<Record> {
        self.supply.as_mut().map(Watcher::end)
    }

    fn now(&self) -> Duration {
        self.timeline.now()
    }

    fn repaired(&mut self, at: u32) {
        self.repaired.insert(at);
    }

    fn repairs(&self) -> Vec<u32> {
        self.repaired.iter().copied().collect()
    }

    fn interruptions(&self) -> Vec<Interruption> {
        self.interruptions.clone()
    }

    fn redone(&mut self, what: String) {
        self.note(Level::Warning, format!("going on: {what}"));
        if let Some(last) = self.interruptions.last_mut() {
            last.redone = what;
        }
    }
}
