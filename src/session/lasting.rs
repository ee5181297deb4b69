//! A link that goes away in the middle of a job and comes back. The device is let go, reset line included; the same port
//! is looked for, the chip attached and identified anew, and the job begun again on what it had proven
//! ([`crate::job::Interruption`]).
//!
//! | wait | limit |
//! |---|---|
//! | for the port and the chip | 60 s, with a look at least every second |
//! | before a port is opened during a job that changes the chip | 4 s |
//! | for the chip, once the last look found the port | as [`attach`] documents: about 70 s where a hand has to reset it |
//! | losses in one job | 10 |

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::actor::{Connection, Known, Opener};
use super::event::{LinkState, What};
use super::runner::Runner;
use crate::device::{AttachOptions, DeviceError, Watch, WriteFlash, attach};
use crate::image::rf::MacState;
use crate::job::{Identity, JobError, JobSpec, Reporter, identify, protect};
use crate::link::{LinkError, Lock};
use crate::problem::Explain;

/// How long a link may be away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time to the first look for it; each further one takes twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(250);
/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(1);
/// Time between two looks at the inbox.
const NAP: Duration = Duration::from_millis(50);
/// Silence after a change was cut off. Half of its request may lie in a basic loader, which would complete it with what
/// comes next; without traffic it resets itself after one to two seconds (uart-protocol.md §3.1, §21).
const SILENCE: Duration = Duration::from_secs(4);
/// How often a link may be lost in one job.
const LOSSES: usize = 10;

/// Whether this ended the job by taking its link away.
pub(super) fn is_loss(error: &JobError) -> bool {
    matches!(error, JobError::Device(DeviceError::Link(LinkError::Gone { .. } | LinkError::Stalled { .. })))
}

/// Whether the job can be begun again on what it had proven. A change of the protection cannot, and is short.
fn goes_on(spec: &JobSpec) -> bool {
    match spec {
        JobSpec::Connect(_) | JobSpec::Disconnect | JobSpec::Wiring(_) | JobSpec::Reboot => false,
        JobSpec::SetProtection(_) => false,
        JobSpec::Identify | JobSpec::Protection | JobSpec::Backup(_) | JobSpec::Read(_) => true,
        JobSpec::Prepare(_) => true,
        JobSpec::Plan(_) | JobSpec::Write { .. } | JobSpec::AlreadyThere { .. } | JobSpec::Verify { .. } => true,
    }
}

/// Why a look did not bring the chip back.
enum Missed {
    /// It may be there at the next look.
    Yet(JobError),
    /// Another chip, unless it was misread.
    Other(DeviceError),
    /// The job is over.
    ForGood(JobError),
}

impl From<LinkError> for Missed {
    fn from(error: LinkError) -> Self {
        Self::Yet(error.into())
    }
}

impl From<DeviceError> for Missed {
    fn from(error: DeviceError) -> Self {
        JobError::from(error).into()
    }
}

impl From<JobError> for Missed {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Device(DeviceError::Cancelled) => Self::ForGood(error),
            JobError::Device(other @ DeviceError::OtherChip { .. }) => Self::Other(other),
            _ => Self::Yet(error),
        }
    }
}

/// Waits for the link of a job to come back. On success the connection leads to the same chip in the same state.
///
/// # Errors
/// `lost` itself where nothing can come back; [`JobError::NotBack`], [`JobError::TooOften`], what attaching failed with
/// last, [`DeviceError::OtherChip`], [`DeviceError::StatusMoved`], [`DeviceError::Cancelled`]. The connection is closed
/// then, and that was told.
pub(super) fn come_back(
    spec: &JobSpec,
    lost: JobError,
    connection: &mut Option<Connection>,
    opener: &mut Opener,
    runner: &mut Runner<'_>,
) -> Result<(), JobError> {
    if !goes_on(spec) || connection.as_ref().is_none_or(|was| was.known.way_back.is_none()) {
        return Err(lost);
    }
    let Some(Connection { device, known }) = connection.take() else { return Err(lost) };
    let speed = device.facts().speed;
    // The port and the reset line have to be free before they can be had again.
    drop(device);
    match wait(spec, lost, known, speed, opener, runner) {
        Ok(back) => {
            *connection = Some(back);
            Ok(())
        }
        Err(error) => {
            runner.emit(What::Link(LinkState::Lost(error.explain())));
            Err(error)
        }
    }
}

fn wait(
    spec: &JobSpec,
    lost: JobError,
    mut known: Known,
    speed: u32,
    opener: &mut Opener,
    runner: &mut Runner<'_>,
) -> Result<Connection, JobError> {
    let why = lost.to_string();
    let losses = runner.lose(why.clone());
    if losses > LOSSES {
        return Err(JobError::TooOften { lost: why, times: losses });
    }
    let silence = if spec.changes_chip() { SILENCE } else { Duration::ZERO };
    let clock = Rc::clone(&known.clock);
    let began = clock.now();
    let (mut missed, mut pause) = (None, FIRST_LOOK);
    let mut told = None;
    loop {
        let look = clock.now() + pause;
        while clock.now() < look {
            let left = PATIENCE.saturating_sub(clock.now().saturating_sub(began));
            let left = Duration::from_secs(left.as_millis().div_ceil(1000) as u64);
            if told != Some(left) {
                told = Some(left);
                runner.emit(What::Link(LinkState::Away { info: known.info.clone(), why: why.clone(), left }));
            }
            runner.checkpoint()?;
            clock.sleep(NAP);
        }
        pause = (pause * 2).min(LONGEST);
        let away = clock.now().saturating_sub(began);
        if away >= silence {
            match look_for(spec, &mut known, speed, opener, runner) {
                Ok(device) => {
                    let info = known.info.clone();
                    let speed = device.facts().speed;
                    runner.emit(What::Link(LinkState::Open { info, speed }));
                    runner.back();
                    return Ok(Connection { device, known });
                }
                Err(Missed::ForGood(error)) => return Err(error),
                Err(Missed::Yet(error)) => missed = Some(error),
                Err(Missed::Other(error)) => {
                    // Two looks in a row that see the same other chip did not misread it.
                    let again = missed.is_some_and(|missed| missed.to_string() == error.to_string());
                    if again {
                        return Err(error.into());
                    }
                    missed = Some(error.into());
                }
            }
            // The clock that counts is the one of the link that was lost: others begin anew.
            runner.attach_clock(Rc::clone(&clock));
        }
        if clock.now().saturating_sub(began) >= PATIENCE {
            return Err(match missed {
                // The port is back and the chip is not: that has a cause and a remedy of its own.
                Some(JobError::Device(error)) if !matches!(error, DeviceError::Link(_)) => error.into(),
                missed => {
                    let seen = missed.map_or_else(|| "nothing".to_owned(), |missed| missed.to_string());
                    JobError::NotBack { lost: why, waited: PATIENCE, seen }
                }
            });
        }
    }
}

/// One look: opens, attaches, and makes sure that it is the same chip in the same state.
fn look_for(
    spec: &JobSpec,
    known: &mut Known,
    speed: u32,
    opener: &mut Opener,
    runner: &mut Runner<'_>,
) -> Result<Box<dyn WriteFlash>, Missed> {
    let Some(way_back) = known.way_back.clone() else {
        return Err(Missed::ForGood(JobError::NotConnected { job: spec.title() }));
    };
    if !known.lock.as_ref().is_some_and(|lock| lock.is_for(&way_back)) {
        let lock = Lock::take(&way_back, spec.title())?;
        known.lock = lock;
    }
    let link = opener(&way_back)?;
    let clock = Rc::clone(&link.clock);
    runner.attach_clock(Rc::clone(&clock));
    let options = AttachOptions {
        speed: Some(speed),
        entry_clock: known.entry_clock,
        cut_off: spec.changes_chip().then_some(speed),
        ..AttachOptions::default()
    };
    let mut device = attach(link, &options, runner)?;
    let identity = identify::look(device.as_mut(), &known.info, None, runner)?;
    // A supply may have sagged while that was read.
    device.identify_again()?;
    same_chip(spec, &known.identity, &identity)?;
    let protection = protect::read(device.as_mut())?;
    // A write knows what it has changed itself.
    let was = runner.protection_seen().map_or(known.status, |seen| seen.status);
    if !matches!(spec, JobSpec::Write { .. })
        && let (Some(was), Some(is)) = (was, protection.status)
        && !protect::same(was, is)
    {
        let moved = DeviceError::StatusMoved { was: was.to_string(), is: is.to_string() };
        return Err(Missed::ForGood(moved.into()));
    }
    runner.identity(Arc::new(identity.clone()));
    runner.protection(Arc::new(protection));
    (known.identity, known.clock) = (Arc::new(identity), clock);
    Ok(device)
}

/// Whether two looks saw the same chip: its unique id where both show one, else its MAC or what stands for it; and its flash
/// and its loader. The MAC may be gone, or another, where the job itself rewrites the RF block; that the rest of the chip is as
/// the job has left it is confirmed before it goes on ([`crate::job::Halfway`]).
fn same_chip(spec: &JobSpec, was: &Identity, is: &Identity) -> Result<(), DeviceError> {
    if is.blank && !was.blank {
        return Err(DeviceError::NobodyThere { seen: "its flash reads as if it were blank".to_owned() });
    }
    let rewrites_rf = matches!(spec, JobSpec::Write { spec, .. } if spec.change.from_backup());
    let tore_rf = matches!(spec, JobSpec::Write { .. }) && is.mac_state == MacState::None;
    let same_id = match (&was.flash.unique_hash, &is.flash.unique_hash) {
        (Some(was), Some(is)) => was == is,
        _ => was.chip_key == is.chip_key || rewrites_rf || tore_rf,
    };
    let flash = |identity: &Identity| (identity.dialect, identity.flash.jedec.clone(), identity.flash.size);
    if same_id && flash(was) == flash(is) {
        return Ok(());
    }
    Err(DeviceError::OtherChip { was: words(was), is: words(is) })
}

/// What tells a chip from another one.
fn words(identity: &Identity) -> String {
    let flash = &identity.flash;
    let id = flash.jedec.clone().unwrap_or_else(|| "no JEDEC id".to_owned());
    let unique = flash.unique_hash.as_ref().and_then(|hash| hash.get(..16));
    let unique = unique.map(|hash| format!(", unique id (hash {hash})")).unwrap_or_default();
    format!("{} with {} KiB, {id}{unique}", identity.chip_key, flash.size / 1024)
}

#[cfg(test)]
mod tests;
