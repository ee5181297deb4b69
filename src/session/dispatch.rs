//! From a job's specification to the job.

use std::rc::Rc;
use std::sync::Arc;

use super::actor::{Connection, Known, Opener};
use super::event::{LinkState, What};
use super::lasting;
use super::runner::Runner;
use crate::device::{AttachOptions, Level, Watch, attach};
use crate::job::{
    self, ConnectSpec, Halfway, JobError, JobSpec, Outcome, Passes, Phase, Remembered, Reporter, WiringSpec, identify,
    protect,
};
use crate::link::tape::Recording;
use crate::link::{Link, LinkError, Lock, way_back};

/// Runs one job to its end.
pub(super) fn run(
    spec: &JobSpec,
    connection: &mut Option<Connection>,
    opener: &mut Opener,
    runner: &mut Runner<'_>,
) -> Result<Outcome, JobError> {
    match spec {
        JobSpec::Connect(wanted) => return connect(wanted, connection, opener, runner),
        JobSpec::Wiring(wanted) => return check_wires(wanted, connection, opener, runner),
        JobSpec::Disconnect => {
            close(connection, runner);
            return Ok(Outcome::Disconnected);
        }
        _ => {}
    }
    let mut so_far = SoFar::default();
    let began_at = connection.as_ref().map(|open| open.device.facts().speed);
    let result = loop {
        match work(spec, connection, &mut so_far, runner) {
            Err(error) if lasting::is_loss(&error) => match lasting::come_back(spec, error, connection, opener, runner)
            {
                Ok(()) => {}
                Err(error) => break Err(error),
            },
            ended => break ended,
        }
    };
    if let Some(Connection { device, known }) = connection {
        known.status = runner.protection_seen().map_or(known.status, |seen| seen.status);
        // The wires may have asked for a lower clock.
        let speed = device.facts().speed;
        if runner.speed_told().or(began_at) != Some(speed) {
            runner.slowed(speed);
        }
        if let Some(clocks) = &mut known.clocks {
            clocks.update(device.as_mut(), runner);
        }
        recorded(known.record.as_ref(), spec.changes_chip(), runner).and(result)
    } else {
        result
    }
}

/// What a job leaves for itself, should its link go away and come back.
#[derive(Default)]
struct SoFar {
    passes: Passes,
    halfway: Option<Halfway>,
}

/// A job of an open link.
fn work(
    spec: &JobSpec,
    connection: &mut Option<Connection>,
    so_far: &mut SoFar,
    runner: &mut Runner<'_>,
) -> Result<Outcome, JobError> {
    let Some(Connection { device, known: Known { info, identity, .. } }) = connection.as_mut() else {
        return Err(JobError::NotConnected { job: spec.title() });
    };
    let device = device.as_mut();
    match spec {
        // They open and close the link themselves.
        JobSpec::Connect(_) | JobSpec::Disconnect | JobSpec::Wiring(_) => Ok(Outcome::Disconnected),
        JobSpec::Identify => {
            device.identify_again()?;
            Ok(Outcome::Identified(Arc::new(identify::identify(device, info, None, runner)?)))
        }
        JobSpec::Protection => {
            let protection = Arc::new(protect::read(device)?);
            runner.protection(Arc::clone(&protection));
            Ok(Outcome::Protection(protection))
        }
        JobSpec::Backup(spec) => {
            Ok(Outcome::Backup(Arc::new(job::back_up(device, info, spec, &mut so_far.passes, runner)?)))
        }
        JobSpec::Read(span) => Ok(Outcome::Extract(Arc::new(job::extract(device, *span, runner)?))),
        JobSpec::Prepare(wish) => {
            let passes = &mut so_far.passes;
            Ok(Outcome::Prepared(job::prepare(device, info, identity, wish, passes, runner)?))
        }
        JobSpec::Plan(write) => Ok(Outcome::Planned(Arc::new(job::make_plan(device, info, write, runner)?))),
        JobSpec::Write { spec, agreed, journal } => {
            let halfway = &mut so_far.halfway;
            Ok(Outcome::Written(Arc::new(job::write(device, info, spec, agreed, journal.as_ref(), halfway, runner)?)))
        }
        JobSpec::AlreadyThere { spec, identity } => {
            let there = job::already_there(device, spec, identity, runner)?;
            Ok(Outcome::AlreadyThere(there.map(Arc::new)))
        }
        JobSpec::Verify { at, expected } => job::verify(device, *at, expected, runner),
        JobSpec::SetProtection(goal) => protect::set(device, *goal, runner),
        JobSpec::Reboot => {
            device.reboot()?;
            close(connection, runner);
            Ok(Outcome::Rebooted)
        }
    }
}

fn connect(
    wanted: &ConnectSpec,
    connection: &mut Option<Connection>,
    opener: &mut Opener,
    runner: &mut Runner<'_>,
) -> Result<Outcome, JobError> {
    close(connection, runner);
    runner.emit(What::Link(LinkState::Opening(wanted.link.name())));
    runner.phase(Phase::Opening, 0);
    let lock = Lock::take(&wanted.link, "connect")?;
    let link = opener(&wanted.link)?;
    let record = tell_of_record(&link, runner);
    let (info, clock) = (link.info.clone(), Rc::clone(&link.clock));
    runner.attach_clock(Rc::clone(&clock));
    let known = wanted.clocks.as_ref().map(|clocks| clocks.get().known()).unwrap_or_default();
    let options = AttachOptions { speed: wanted.speed, entry_clock: wanted.entry_clock, known, cut_off: None };
    let mut device = attach(link, &options, runner)?;
    let speed = device.facts().speed;
    runner.emit(What::Link(LinkState::Open { info: info.clone(), speed }));
    let identity = identify::identify(device.as_mut(), &info, wanted.backups.as_ref(), runner)?;
    let protection = protect::read(device.as_mut())?;
    let status = protection.status;
    runner.protection(Arc::new(protection));
    // A clock that a person chose says nothing about the module.
    let clocks = wanted.clocks.clone().filter(|_| wanted.speed.is_none());
    let mut clocks = clocks.map(|clocks| Remembered::new(clocks, &identity));
    if let Some(clocks) = &mut clocks {
        clocks.update(device.as_mut(), runner);
    }
    recorded(record.as_ref(), false, runner)?;
    let (identity, way_back, entry_clock) = (Arc::new(identity), way_back(&wanted.link), wanted.entry_clock);
    let known =
        Known { info, identity: Arc::clone(&identity), status, clock, way_back, entry_clock, clocks, record, lock };
    *connection = Some(Connection { device, known });
    Ok(Outcome::Connected(identity))
}

/// The link is opened for the check alone and let go again.
fn check_wires(
    wanted: &WiringSpec,
    connection: &mut Option<Connection>,
    opener: &mut Opener,
    runner: &mut Runner<'_>,
) -> Result<Outcome, JobError> {
    wanted.module()?;
    close(connection, runner);
    runner.phase(Phase::Opening, 0);
    let lock = Lock::take(&wanted.link, "check wires")?;
    let link = opener(&wanted.link)?;
    let record = tell_of_record(&link, runner);
    runner.attach_clock(Rc::clone(&link.clock));
    let report = job::wiring::check(link, wanted, runner);
    drop(lock);
    recorded(record.as_ref(), false, runner)?;
    Ok(Outcome::Wired(Arc::new(report?)))
}

/// What writes the link down, and a word when that is not the file that was asked for.
fn tell_of_record(link: &Link, runner: &mut Runner<'_>) -> Option<Recording> {
    if let Some(words) = link.record.as_ref().and_then(Recording::renamed) {
        runner.note(Level::Warning, words);
    }
    link.record.clone()
}

/// A job whose link was not written down as asked for has failed. One that changes the chip is not stopped over it, and not
/// called failed: it is told all the same.
fn recorded(record: Option<&Recording>, changes_chip: bool, runner: &mut Runner<'_>) -> Result<(), JobError> {
    match record.and_then(Recording::failed) {
        Some(error) if changes_chip => {
            runner.note(Level::Error, error.to_string());
            Ok(())
        }
        Some(error) => Err(LinkError::from(error).into()),
        None => Ok(()),
    }
}

fn close(connection: &mut Option<Connection>, runner: &mut Runner<'_>) {
    if connection.take().is_some() {
        runner.emit(What::Link(LinkState::Closed));
    }
    runner.detach_clock();
}
