//! Changing the rate, and proving the new one before it is used (§10).

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::watch::Watch;
use super::link_up::START_BAUD;
use super::loader::Loader;
use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Request, chip_crc};
use crate::units::SECTOR;

/// Rates the chip's divider makes exactly enough (§2), fastest first. 3 M is missing: its error is 3.7 %. An adapter that
/// cannot do one of them says so.
const LADDER: [u32; 8] = [3_250_000, 2_600_000, 2_000_000, 1_500_000, 921_600, 460_800, 230_400, START_BAUD];
/// Where climbing begins when nothing is known about the adapter: what nearly every adapter and wire carries.
pub(super) const FIRST_STEP: u32 = 921_600;
/// The highest rate to write at on basic loaders, which program while the next page comes in (§15).
pub(super) const BASIC_WRITE_LIMIT: u32 = 1_500_000;
/// Sectors that have to arrive right at a rate, in different places.
const SAMPLES: [u32; 3] = [0x1_1000, 0x1_5000, 0x2_0000];
/// Pause of the chip between switching and answering, in ms.
const SETTLE_MS: u8 = 20;
/// Link checks at a rate that stays silent.
const CHECKS: u32 = 3;
/// How long each of them waits.
const CHECK: Duration = Duration::from_millis(100);

/// Where loader and host met after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// At the new rate.
    New,
    /// At the rate before.
    Old,
    /// Nowhere: only a reset helps.
    Nowhere,
}

/// Asks for a rate, and finds out at which one the loader is afterwards.
pub(super) fn change(loader: &mut Loader, to: u32) -> Result<Met, DeviceError> {
    let from = loader.port.baud();
    if from == to {
        return Ok(Met::New);
    }
    // An adapter that cannot do the rate has to say so before the chip has switched.
    let able = loader.port.set_baud(to);
    loader.port.set_baud(from)?;
    if able.is_err() {
        return Ok(Met::Old);
    }
    let request = Request::SetBaud { baud: to, settle_ms: SETTLE_MS };
    loader.port.quiet()?;
    loader.port.tell(&request)?;
    let leave = byte_times(request.wire_len(), from) + Duration::from_millis(u64::from(SETTLE_MS) / 2);
    loader.port.clock().sleep(leave);
    loader.port.set_baud(to)?;
    let limit = request.limit(to, loader.port.crc_rate);
    let answered = loader.port.answer_to(&request, limit)?.is_some();
    // The link check confirms the rate even where the answer itself got lost in the switch.
    if meets(loader, if answered { 1 } else { CHECKS })? || meets(loader, CHECKS)? {
        return Ok(Met::New);
    }
    loader.port.set_baud(from)?;
    if meets(loader, CHECKS)? {
        return Ok(Met::Old);
    }
    // The loader may have switched and be heard no more: it is told to come back, over a line that may carry this once.
    let back = Request::SetBaud { baud: from, settle_ms: SETTLE_MS };
    for _ in 0..CHECKS {
        loader.port.set_baud(to)?;
        loader.port.tell(&back)?;
        let settled = byte_times(back.wire_len(), to) + Duration::from_millis(2 * (u64::from(SETTLE_MS) + 1));
        loader.port.clock().sleep(settled);
        loader.port.set_baud(from)?;
        loader.port.quiet()?;
        if meets(loader, 1)? {
            return Ok(Met::Old);
        }
    }
    Ok(Met::Nowhere)
}

/// Settles on a rate at which sectors arrive as the chip's own CRC has them: on `asked`, or, when nobody asks, on the
/// highest that shows no error, starting with what worked with this adapter `before`. Falls back to lower ones.
pub(super) fn settle(
    loader: &mut Loader,
    asked: Option<u32>,
    before: Option<u32>,
    evidence: &mut Vec<String>,
    watch: &mut dyn Watch,
) -> Result<u32, DeviceError> {
    let first = asked.or(before).unwrap_or(FIRST_STEP);
    let downwards = std::iter::once(first).chain(LADDER.into_iter().filter(|step| *step < first));
    // A line that disturbs a byte now and then does so at every rate: then the one with the fewest errors is taken.
    let mut fair: Option<(usize, u32)> = None;
    let mut best = None;
    for step in downwards {
        match try_step(loader, step, evidence, watch)? {
            Some(0) => {
                best = Some(step);
                break;
            }
            Some(errors) if errors < SAMPLES.len() => fair = fair.min(Some((errors, step))).or(Some((errors, step))),
            _ => {}
        }
    }
    // A rate that fails can cost the link, and only a reset line brings that back without a hand.
    if best == Some(first) && asked.is_none() && before.is_none() && loader.reset.is_some() {
        for step in LADDER.into_iter().rev().filter(|step| *step > first) {
            if try_step(loader, step, evidence, watch)? != Some(0) {
                break;
            }
            best = Some(step);
        }
    }
    let best = best.or(fair.map(|(_, step)| step)).ok_or(DeviceError::NoRate { lowest: START_BAUD })?;
    come_to(loader, best)?;
    evidence.push(format!("sectors read at {best} baud have the chip's own CRC"));
    loader.speed = best;
    Ok(best)
}

/// Brings the loader to a rate that it has been at before.
fn come_to(loader: &mut Loader, rate: u32) -> Result<(), DeviceError> {
    loader.speed = rate;
    match change(loader, rate)? {
        Met::New => Ok(()),
        Met::Old | Met::Nowhere => loader.link_again(),
    }
}

/// Tries a rate. Returns the number of samples that did not arrive right in the better of two rounds; `None` when loader
/// and host do not meet there.
fn try_step(
    loader: &mut Loader,
    step: u32,
    evidence: &mut Vec<String>,
    watch: &mut dyn Watch,
) -> Result<Option<usize>, DeviceError> {
    watch.checkpoint()?;
    let errors = match change(loader, step)? {
        Met::New => match count_errors(loader, step, watch)? {
            Some(0) => Some(0),
            first => count_errors(loader, step, watch)?.min(first).or(first),
        },
        Met::Old => None,
        Met::Nowhere => {
            loader.link_again()?;
            None
        }
    };
    let what = match errors {
        Some(0) => return Ok(errors),
        Some(errors) => format!("{errors} of {} sectors were misread at {step} baud", SAMPLES.len()),
        None => format!("no answer at {step} baud"),
    };
    watch.retried(format!("rate: {what}"));
    evidence.push(what);
    Ok(errors)
}

/// The next lower rate; `None` at the one every connection starts at.
pub(super) fn step_below(baud: u32) -> Option<u32> {
    LADDER.into_iter().find(|step| *step < baud)
}

fn meets(loader: &mut Loader, checks: u32) -> Result<bool, DeviceError> {
    for _ in 0..checks {
        if loader.port.link_check(CHECK)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many of the samples do not arrive as the chip's CRC has them; `None` when the loader got lost over it.
fn count_errors(loader: &mut Loader, step: u32, watch: &mut dyn Watch) -> Result<Option<usize>, DeviceError> {
    let mut sector = [0; SECTOR as usize];
    let mut errors = 0;
    for at in SAMPLES {
        watch.checkpoint()?;
        let resets = loader.resets;
        let right = match loader.read_once(at, &mut sector) {
            Ok(true) => match loader.crc(at, SECTOR) {
                Ok(crc) => crc == chip_crc(&sector),
                Err(DeviceError::NoAnswer { .. }) => false,
                Err(other) => return Err(other),
            },
            Ok(false) => {
                // The next sample needs a loader that listens again.
                match loader.find_again("test read", at) {
                    Ok(()) | Err(DeviceError::NoAnswer { .. }) => {}
                    Err(other) => return Err(other),
                }
                false
            }
            Err(DeviceError::NoAnswer { .. }) => false,
            Err(other) => return Err(other),
        };
        // A reset on the way brings the loader back to where it started, and that is not the rate to be proven.
        if loader.resets != resets && loader.port.baud() != step {
            return Ok(None);
        }
        errors += usize::from(!right);
    }
    Ok(Some(errors))
}
