//! The actor: owns the link, runs one job at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::event::{Event, JobId, LinkState, What};
use super::runner::{Runner, Timeline};
use super::{dispatch, lasting};
use crate::codec::nor::StatusBytes;
use crate::device::WriteFlash;
use crate::job::{Identity, JobError, JobSpec, Outcome, Remembered, Reporter, meanwhile};
use crate::link::supply::{Record, SUSPECT, Supply};
use crate::link::tape::Recording;
use crate::link::{Clock, Link, LinkError, LinkInfo, LinkSpec, Lock};
use crate::problem::{Class, Explain, Problem};

/// How often a link that would fall asleep is looked after; uart-protocol.md §3.1 asks for at most 100 ms, and the device
/// knows what it needs.
const KEEP_ALIVE: Duration = Duration::from_millis(20);

/// What a client may say.
pub enum Command {
    /// Start a job.
    Start(JobId, Box<JobSpec>),
    /// Stop a job at its next safe point.
    Cancel(JobId),
    /// End the session.
    Shutdown,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends.
    Stop,
}

/// Opens a link text; exchanged in tests.
pub type Opener = Box<dyn FnMut(&LinkSpec) -> Result<Link, LinkError>>;

/// The one owner of the link. [`super::Session`] runs it on a thread; tests step it with [`Actor::handle`].
pub struct Actor {
    inbox: Receiver<Command>,
    timeline: Timeline,
    connection: Option<Connection>,
    opener: Opener,
    supply: Option<Supply>,
}

/// An attached device.
pub(super) struct Connection {
    pub device: Box<dyn WriteFlash>,
    /// After the device, so that the bus is free only when the chip was let go.
    pub known: Known,
}

/// What is known of a connection besides its device: enough to find it again when its link has gone.
pub(super) struct Known {
    pub info: LinkInfo,
    /// The chip as it was identified last.
    pub identity: Arc<Identity>,
    /// The status registers as they were read last.
    pub status: Option<StatusBytes>,
    /// The link's clock.
    pub clock: Rc<dyn Clock>,
    /// What to open to find the same port again; `None` where nothing can come back.
    pub way_back: Option<LinkSpec>,
    /// Bit clock of the first SPI entry attempt, in Hz.
    pub entry_clock: Option<u32>,
    /// Where the clock that works is remembered.
    pub clocks: Option<Remembered>,
    /// Where the link is written down.
    pub record: Option<Recording>,
    /// Keeps other processes off the bus.
    pub lock: Option<Lock>,
}

impl Actor {
    /// An actor that takes commands from `inbox` and tells `sink`.
    pub fn new(inbox: Receiver<Command>, sink: Box<dyn FnMut(Event)>) -> Self {
        Self::with_opener(inbox, sink, Box::new(crate::link::open))
    }

    /// As [`Actor::new`], with another way to open links.
    pub fn with_opener(inbox: Receiver<Command>, sink: Box<dyn FnMut(Event)>, opener: Opener) -> Self {
        Self { inbox, timeline: Timeline::new(sink), connection: None, opener, supply: Supply::here() }
    }

    /// Watches another supply than this computer's while jobs run; `None` watches none.
    pub fn watch_supply(&mut self, supply: Option<Supply>) {
        self.supply = supply;
    }

    /// Serves commands until the session ends.
    pub fn run(mut self) {
        while let Some(command) = self.next_command() {
            if self.handle(command) == Flow::Stop {
                break;
            }
        }
        self.connection = None;
        self.timeline.emit(What::Closed);
    }

    /// Waits for a command; keeps a link awake meanwhile that would fall asleep. `None` when every client is gone.
    fn next_command(&mut self) -> Option<Command> {
        loop {
            // A transcript falls asleep for nobody, and has its own signs of life in it.
            let awake = self.connection.as_ref().is_some_and(|connection| {
                connection.device.needs_keep_alive() && !connection.known.info.name.starts_with("replay:")
            });
            if !awake {
                return self.inbox.recv().ok();
            }
            match self.inbox.recv_timeout(KEEP_ALIVE) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.keep_alive(),
            }
        }
    }

    fn keep_alive(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if let Err(error) = connection.device.keep_alive() {
            self.lose(error.explain());
        }
    }

    fn lose(&mut self, problem: Problem) {
        self.connection = None;
        self.timeline.emit(What::Link(LinkState::Lost(problem)));
        self.timeline.detach();
    }

    /// Handles one command to its end. Commands that arrive meanwhile are taken from the inbox by the job itself.
    pub fn handle(&mut self, command: Command) -> Flow {
        match command {
            Command::Shutdown => Flow::Stop,
            Command::Cancel(_) => Flow::Continue,
            Command::Start(id, spec) => self.start(id, &spec),
        }
    }

    fn start(&mut self, id: JobId, spec: &JobSpec) -> Flow {
        let (title, changes_chip) = (spec.title(), spec.changes_chip());
        self.tell_lock(Some(title));
        self.timeline.emit(What::Started { id, title, changes_chip, backup: spec.backup() });
        let mut runner = Runner::new(id, title, &self.inbox, &mut self.timeline);
        runner.watch_supply(self.supply.as_ref());
        let (connection, opener) = (&mut self.connection, &mut self.opener);
        let ended = catch_unwind(AssertUnwindSafe(|| dispatch::run(spec, connection, opener, &mut runner)));
        let (stopping, left, supply) = (runner.stopping(), runner.left(), runner.supply());
        self.tell_lock(None);
        if let Some(record) = supply {
            self.timeline.emit(What::Supply { id, record });
        }
        match ended {
            Ok(result) => self.finish(id, spec, result, left, supply),
            Err(panic) => self.crash(title, panic.as_ref()),
        }
        if stopping { Flow::Stop } else { Flow::Continue }
    }

    fn tell_lock(&mut self, job: Option<&str>) {
        let Some(Connection { device, known }) = &mut self.connection else { return };
        if let Some(lock) = &known.lock {
            meanwhile(device.as_mut(), || lock.set_job(job));
        }
    }

    fn finish(
        &mut self,
        id: JobId,
        spec: &JobSpec,
        result: Result<Outcome, JobError>,
        left: Vec<(crate::units::Span, crate::job::SectorState)>,
        supply: Option<Record>,
    ) {
        let problem = result.as_ref().err().map(|error| suspected(error.explain(), supply));
        let lost = result.as_ref().is_err_and(lasting::is_loss);
        let failed_to_connect = matches!(spec, JobSpec::Connect(_)) && result.is_err();
        if let Some(problem) = problem.as_ref().filter(|_| lost && !failed_to_connect) {
            self.lose(problem.clone());
        } else if failed_to_connect {
            self.connection = None;
            self.timeline.emit(What::Link(LinkState::Closed));
            self.timeline.detach();
        }
        if self.connection.is_none() {
            self.timeline.detach();
        }
        let left = if problem.is_some() { left } else { Vec::new() };
        let result = match (result, problem) {
            (Ok(outcome), _) => Ok(outcome),
            (Err(error), problem) => Err(problem.unwrap_or_else(|| error.explain())),
        };
        self.timeline.emit(What::Finished { id, result, left });
    }

    /// The device may be in any state after a panic, so the link is released.
    fn crash(&mut self, title: &'static str, panic: &(dyn std::any::Any + Send)) {
        let words = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        let problem = Problem::new(
            Class::Internal,
            "E602",
            format!("{title}: the program failed inside the job ({words})"),
            "a fault of the program; the link was released",
            "connect again; please report this with the log",
        );
        self.connection = None;
        self.timeline.emit(What::Crashed(problem.clone()));
        self.lose(problem);
    }
}

/// A failure of the wires, with the supply named before them when it was too low meanwhile.
fn suspected(mut problem: Problem, supply: Option<Record>) -> Problem {
    let of_wires = matches!(problem.class, Class::NoDevice | Class::Verification);
    if let Some(record) = supply.filter(|record| of_wires && record.dipped()) {
        problem.cause = format!("{SUSPECT}: {}; else {}", record.words(), problem.cause);
    }
    problem
}

/// The refusal of a job while another one runs.
pub(super) fn busy(asked: &'static str, running: &'static str) -> Problem {
    Problem::new(
        Class::Refused,
        "E601",
        format!("{asked} was not started: {running} is running"),
        "one link does one job at a time",
        format!("wait for {running} to end, or stop it with Esc"),
    )
}
