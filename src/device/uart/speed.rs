//! Changing the rate, and proving the new one before it is used (§10).

use std::time::Duration;

use super::super::contract::{DeviceError, Watch};
use super::link_up::START_BAUD;
use super::loader::Loader;
use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Request, chip_crc};
use crate::units::SECTOR;

/// Rate when nobody asks for another one.
pub(super) const DEFAULT_BAUD: u32 = 921_600;
/// Steps down when a rate does not prove right. 3 M is missing: the chip's divider cannot make it (§2).
const LADDER: [u32; 5] = [1_500_000, 921_600, 460_800, 230_400, START_BAUD];
/// Pause of the chip between switching and answering, in ms.
const SETTLE_MS: u8 = 20;
/// Link checks at a rate that stays silent.
const CHECKS: u32 = 3;
/// How long each of them waits.
const CHECK: Duration = Duration::from_millis(100);
/// The sector a new rate is tried on.
const SAMPLE: u32 = 0x1_1000;

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
    Ok(if meets(loader, CHECKS)? { Met::Old } else { Met::Nowhere })
}

/// Settles on the highest rate, not above `asked`, at which a sector arrives as the chip's own CRC has it.
pub(super) fn settle(
    loader: &mut Loader,
    asked: u32,
    evidence: &mut Vec<String>,
    watch: &mut dyn Watch,
) -> Result<u32, DeviceError> {
    let steps = std::iter::once(asked).chain(LADDER.into_iter().filter(|step| *step < asked));
    for step in steps {
        watch.checkpoint()?;
        let met = change(loader, step)?;
        // A reset on the way brings the loader back to where it started, and that is not the rate to be proven.
        if met == Met::New && proven(loader)? && loader.port.baud() == step {
            evidence.push(format!("a sector read at {step} baud has the chip's own CRC"));
            loader.speed = step;
            return Ok(step);
        }
        let what = if met == Met::New { "misreads" } else { "does not answer" };
        watch.retried(format!("rate: {what} at {step} baud"));
        evidence.push(format!("{what} at {step} baud"));
        if met == Met::Nowhere {
            loader.link_again()?;
        }
    }
    Err(DeviceError::NoAnswer { request: "test read", at: SAMPLE })
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

/// Whether a sector arrives right at the present rate, at the first or second try.
fn proven(loader: &mut Loader) -> Result<bool, DeviceError> {
    let mut sector = [0; SECTOR as usize];
    for _ in 0..2 {
        match loader.read_sector(SAMPLE, &mut sector, &mut |_| {}) {
            Ok(()) if loader.crc(SAMPLE, SECTOR)? == chip_crc(&sector) => return Ok(true),
            Ok(()) | Err(DeviceError::NoAnswer { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(false)
}
