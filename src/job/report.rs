//! What a job tells its runner, and what it can fail with.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::identify::Identity;
use super::interruption::Interruption;
use super::plan::Plan;
use super::protect::Protection;
use super::refusal::Refusal;
use super::spec::SectorState;
use super::wiring::{WiringError, WiringReport};
use crate::device::{Cancelled, DeviceError, Watch};
use crate::image::littlefs;
use crate::image::openbeken::encode::EncodeError;
use crate::link::{LinkError, supply};
use crate::problem::{Class, Explain, Problem};
use crate::units::{Span, time_text};

/// Code of the failure after which nothing on the chip may be believed: sectors outside the plan changed.
pub(super) const KEPT_CHANGED: &str = "E511";
/// Code of the failure after which something that this link may not write is damaged.
pub(super) const OUT_OF_REACH: &str = "E435";
/// Code of a change of the protection that is not made.
pub(super) const PROTECTION_REFUSED: &str = "E503";

/// The phases of a job, in the order a write passes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Opening the link and finding the chip.
    Opening,
    /// Finding out who the chip is.
    Identify,
    /// Reading.
    Read,
    /// Reading again, independently.
    SecondPass,
    /// Looking at what stands on the chip now.
    Survey,
    /// Lifting the protection.
    Unlock,
    /// Erasing, programming and reading back, sector by sector.
    Write,
    /// Comparing the whole chip, kept sectors too.
    Verify,
    /// Putting the protection back.
    Lock,
}

impl Phase {
    /// The word on the screen and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opening => "open",
            Self::Identify => "identify",
            Self::Read => "read",
            Self::SecondPass => "second pass",
            Self::Survey => "survey",
            Self::Unlock => "unlock",
            Self::Write => "write",
            Self::Verify => "verify",
            Self::Lock => "lock",
        }
    }
}

/// Where a job reports to: the session's actor, or a test.
pub trait Reporter: Watch {
    /// A phase of `total` bytes begins; 0 when nobody knows.
    fn phase(&mut self, phase: Phase, total: u64) {
        self.phase_from(phase, 0, total);
    }
    /// A phase of `total` bytes is gone on with, `done` of which were done before.
    fn phase_from(&mut self, phase: Phase, done: u64, total: u64);
    /// Sectors changed their state.
    fn sectors(&mut self, span: Span, state: SectorState);
    /// The plan about to be carried out.
    fn planned(&mut self, plan: Arc<Plan>);
    /// The chip was identified.
    fn identity(&mut self, identity: Arc<Identity>);
    /// The protection was read.
    fn protection(&mut self, protection: Arc<Protection>);
    /// The wires asked for a lower speed: bit clock in Hz or rate in baud from now on.
    fn slowed(&mut self, speed: u32);
    /// How often something had to be done again in this job so far.
    fn retries(&self) -> u32;
    /// A look at the wires.
    fn wiring(&mut self, report: Arc<WiringReport>);
    /// Lets time pass outside of the link, where only a person can change anything; ends early when it is asked to.
    ///
    /// # Errors
    /// [`Cancelled`] when the job shall stop.
    fn pause(&mut self, time: Duration) -> Result<(), Cancelled>;
    /// Time on the link's clock.
    fn now(&self) -> Duration;
    /// A kept sector was hit by a damaged request, and was put back.
    fn repaired(&mut self, at: u32);
    /// Those sectors so far, in order.
    fn repairs(&self) -> Vec<u32>;
    /// Times that the link was gone in this job so far.
    fn interruptions(&self) -> Vec<Interruption>;
    /// What was found and done again after the last of them, in words.
    fn redone(&mut self, what: String);
    /// What was seen of the computer's supply in this job so far, with a look at it now; `None` where it tells nothing.
    fn supply(&mut self) -> Option<supply::Record> {
        None
    }
}

/// What a job can fail with.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The device failed, or the job was cancelled.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The wires cannot be checked.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// A rule forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The configuration cannot be made.
    #[error(transparent)]
    Configuration(#[from] EncodeError),
    /// The file area cannot be made.
    #[error(transparent)]
    Files(#[from] littlefs::WriteError),
    /// No link is open.
    #[error("{job}: no link is open")]
    NotConnected {
        /// What was asked.
        job: &'static str,
    },
    /// The protection cannot be changed.
    #[error("the protection was not changed: {}", .0.what)]
    ProtectionRefused(Problem),
    /// The record of the write could not be kept.
    #[error("the record of this write could not be kept: {}", .0.what)]
    Journal(Problem),
    /// What was kept of chips cannot be had, or a backup cannot be kept.
    #[error("{}", .0.what)]
    Shelf(Problem),
    /// The plan made right before the first erase is not the one agreed to.
    #[error("the plan changed since it was agreed to: {agreed} then, {now} now")]
    PlanChanged {
        /// The last characters of the hash agreed to.
        agreed: String,
        /// Those of the plan made now.
        now: String,
    },
    /// Written sectors do not read back as they should.
    #[error("{count} of the written sectors are wrong, the first at 0x{at:06X} (expected {expected}, read {read})")]
    VerifyFailed {
        /// How many.
        count: usize,
        /// First offset that differs.
        at: u32,
        /// Bytes expected there.
        expected: String,
        /// Bytes read there.
        read: String,
        /// The likely cause, from evidence.
        cause: String,
        /// The next thing to do.
        remedy: String,
    },
    /// Sectors outside the plan changed.
    #[error("{count} sectors that should have been kept changed, the first at 0x{at:06X}")]
    KeptChanged {
        /// How many.
        count: usize,
        /// The first one.
        at: u32,
    },
    /// A damaged request hit what this link may not write, so that it cannot be put back from here.
    #[error("{count} sectors that should have been kept changed, and 0x{at:06X} cannot be put back over this link")]
    OutOfReach {
        /// How many.
        count: usize,
        /// The first one out of reach.
        at: u32,
    },
    /// The link went away in mid-job and did not come back in time.
    #[error("{lost}; it did not come back within {}", time_text(*.waited))]
    NotBack {
        /// How it was lost.
        lost: String,
        /// How long the job waited for it.
        waited: Duration,
        /// What the last look showed, in words.
        seen: String,
    },
    /// The link went away in mid-job more often than a job goes on after it.
    #[error("{lost}; that was loss number {times}")]
    TooOften {
        /// How it was lost last.
        lost: String,
        /// How often.
        times: usize,
    },
    /// The flash does not hold what was expected (the verify job).
    #[error("{count} of {of} sectors differ, the first at 0x{at:06X}")]
    Differs {
        /// How many sectors.
        count: usize,
        /// Of how many.
        of: usize,
        /// The first one.
        at: u32,
    },
    /// A sector that never reads the same twice.
    #[error("sector 0x{at:06X} never reads the same twice")]
    Unsettled {
        /// Its offset.
        at: u32,
    },
    /// A range outside the chip.
    #[error("{span} is not inside the chip, which ends at 0x{size:06X}")]
    OutsideChip {
        /// The range.
        span: Span,
        /// The chip's size.
        size: u32,
    },
}

impl JobError {
    /// The plan made now has another hash than the one agreed to.
    pub(super) fn changed(agreed: &str, now: &str) -> Self {
        let tail = |hash: &str| hash.get(hash.len().saturating_sub(4)..).unwrap_or(hash).to_owned();
        Self::PlanChanged { agreed: tail(agreed), now: tail(now) }
    }
}

impl From<LinkError> for JobError {
    fn from(error: LinkError) -> Self {
        Self::Device(DeviceError::Link(error))
    }
}

impl From<Cancelled> for JobError {
    fn from(cancelled: Cancelled) -> Self {
        Self::Device(cancelled.into())
    }
}

impl Explain for JobError {
    fn explain(&self) -> Problem {
        let what = self.to_string();
        match self {
            Self::Device(inner) => inner.explain(),
            Self::Refused(inner) => inner.explain(),
            Self::Wiring(inner) => inner.explain(),
            Self::Configuration(inner) => inner.explain(),
            Self::Files(inner) => inner.explain(),
            Self::NotConnected { .. } => Problem::new(
                Class::NoDevice,
                "E502",
                what,
                "nothing is connected yet",
                "connect first: choose a link on the Connect tab, or give --link",
            ),
            // The one of several causes that it is, with its own code.
            Self::ProtectionRefused(why) => Problem::new(
                Class::Refused,
                "E503",
                what,
                if why.code == PROTECTION_REFUSED {
                    why.cause.clone()
                } else {
                    format!("{} ({})", why.cause, why.code)
                },
                why.remedy.clone(),
            ),
            Self::Journal(problem) => Problem::new(
                problem.class,
                "E505",
                what,
                format!(
                    "without the record on the disk a write that is cut off could not be finished: {}",
                    problem.cause
                ),
                problem.remedy.clone(),
            ),
            Self::Shelf(problem) => problem.clone(),
            Self::PlanChanged { .. } => Problem::new(
                Class::Refused,
                "E504",
                what,
                "the content or the protection of the chip changed in between, or another chip is connected",
                "look at the new plan and agree to it",
            ),
            Self::VerifyFailed { cause, remedy, .. } => {
                Problem::new(Class::Verification, "E510", what, cause.clone(), remedy.clone())
            }
            Self::KeptChanged { .. } => Problem::new(
                Class::Verification,
                KEPT_CHANGED,
                what,
                "the chip took a command for another address: a disturbed line or an address wrap",
                "lower the speed, check the wires, then write the backup's sectors back",
            ),
            Self::OutOfReach { .. } => Problem::new(
                Class::Verification,
                OUT_OF_REACH,
                what,
                "a byte was damaged on the line, and the loader acted on its own range; frames have no check sum",
                super::advice::LOADER_HIT,
            ),
            Self::NotBack { seen, .. } => Problem::new(
                Class::NoDevice,
                "E506",
                what,
                format!("the cable is out, the adapter or the server is off; last seen: {seen}"),
                "put the cable back and give the same command again: what is proven already is not done twice",
            ),
            Self::TooOften { .. } => Problem::new(
                Class::NoDevice,
                "E507",
                what,
                "a loose plug, or an adapter that loses its power",
                "use another cable or USB port, then give the same command again: what is proven already is not done twice",
            ),
            Self::Differs { .. } => Problem::new(
                Class::Verification,
                "E512",
                what,
                "the flash holds something else there",
                "check that the file and the address are the right ones",
            ),
            Self::Unsettled { .. } => Problem::new(
                Class::Verification,
                "E514",
                what,
                "a disturbed line, a clock too fast for the wires, or a sector torn by a power cut",
                "lower the speed, check ground and supply, then try again; nothing was changed",
            ),
            Self::OutsideChip { .. } => Problem::new(
                Class::Usage,
                "E513",
                what,
                "the range reaches past the end of the chip",
                "give a range inside the chip",
            ),
        }
    }
}
