//! What the session tells. Events hold absolute numbers ("12 of 512"), so that losing or merging some is harmless.

use std::sync::Arc;
use std::time::Duration;

use crate::device::Level;
use crate::job::{Identity, Outcome, Phase, Plan, Protection, SectorState, WiringReport};
use crate::link::{LinkInfo, supply};
use crate::problem::Problem;
use crate::units::Span;

/// The number of a job, given by the handle before the job starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct JobId(pub u64);

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Counts up by one.
    pub seq: u64,
    /// Time since the session began, on the session's clock: the link's own while one is open.
    pub at: Duration,
    /// What happened.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum What {
    /// The link opened, closed or was lost.
    Link(LinkState),
    /// The chip was identified.
    Identity(Arc<Identity>),
    /// The protection was read.
    Protection(Arc<Protection>),
    /// A job began.
    Started {
        /// Which.
        id: JobId,
        /// Its name for people.
        title: &'static str,
        /// Whether it can change the chip.
        changes_chip: bool,
        /// What stands behind a write: the backup's path, or the typed phrase.
        backup: Option<String>,
    },
    /// The plan a write is about to carry out.
    Planned {
        /// Of which job.
        id: JobId,
        /// The plan.
        plan: Arc<Plan>,
    },
    /// A new phase began.
    Phase {
        /// Of which job.
        id: JobId,
        /// Which phase.
        phase: Phase,
        /// Bytes of it that were done before, in a job that goes on.
        done: u64,
        /// Bytes to do in it; 0 when nobody knows.
        total: u64,
    },
    /// So much of the phase is done.
    Progress {
        /// Of which job.
        id: JobId,
        /// Bytes done of the phase's total.
        done: u64,
    },
    /// Sectors changed their state.
    Sectors {
        /// Of which job.
        id: JobId,
        /// Which sectors.
        span: Span,
        /// Their state now.
        state: SectorState,
    },
    /// Something had to be done again.
    Retried {
        /// Of which job.
        id: JobId,
        /// How often so far.
        count: u32,
        /// What.
        what: String,
    },
    /// The link works at this speed from now on: bit clock in Hz or rate in baud.
    Slowed(u32),
    /// What was seen of the computer's supply: when it is first too low in a job, and right before the job's end.
    Supply {
        /// Of which job.
        id: JobId,
        /// What was seen.
        record: supply::Record,
    },
    /// A job ended.
    Finished {
        /// Which.
        id: JobId,
        /// How. A cancelled job ends with a problem of the class `Cancelled`.
        result: Result<Outcome, Problem>,
        /// Where a write stopped: every sector of the plan that is not simply old or verified, by state.
        /// Empty unless a write ended early.
        left: Vec<(Span, SectorState)>,
    },
    /// A job was not started, because another one runs; the problem names both.
    Refused {
        /// Which.
        id: JobId,
        /// Why.
        problem: Problem,
    },
    /// The wires were looked at.
    Wiring(Arc<WiringReport>),
    /// A line for the log.
    Log(Level, String),
    /// A job failed by a fault of the program; the link was released.
    Crashed(Problem),
    /// The session ended.
    Closed,
}

/// The link as the header shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// None open.
    Closed,
    /// Being opened.
    Opening(String),
    /// Open.
    Open {
        /// What it is.
        info: LinkInfo,
        /// Bit clock in Hz or rate in baud.
        speed: u32,
    },
    /// It went away in the middle of a job, which waits for it and goes on by itself.
    Away {
        /// What it is.
        info: LinkInfo,
        /// What was seen of the loss.
        why: String,
        /// How long the job waits for it yet.
        left: Duration,
    },
    /// It was open and went away.
    Lost(Problem),
}
