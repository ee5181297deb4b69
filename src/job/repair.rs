//! Putting back what a damaged request changed. Frames of the download protocol have no check sum: a byte lost on the
//! line can send an erase or a write to another place (uart-protocol.md §4.2). The answer's address and the chip's CRC
//! tell, and what stood there is known from the survey.

use super::journal::JournalHandle;
use super::patience::{back_off, record};
use super::report::{JobError, Reporter};
use super::survey::confirmed;
use crate::device::{DeviceError, EraseUnit, Level, SectorData, Uncounted, WriteFlash};
use crate::units::{SECTOR, Span};

/// How often a sector is put back before that counts as failed.
const ATTEMPTS: u32 = 4;
/// How often the whole chip is looked at: putting back can go astray too.
const ROUNDS: u32 = 3;

/// Compares the whole chip with `expected` and puts every other sector back, those that `exempt` names left out, which
/// somebody else is about to write. Returns how many there were.
///
/// # Errors
/// [`JobError::OutOfReach`] when a sector was hit that this link may not write, [`JobError::KeptChanged`] when one
/// cannot be put back, [`JobError::Journal`], [`JobError::Device`].
pub(super) fn put_back(
    device: &mut dyn WriteFlash,
    expected: &[u8],
    exempt: impl Fn(u32) -> bool,
    journal: Option<&JournalHandle>,
    run: &mut dyn Reporter,
) -> Result<usize, JobError> {
    let mut count = 0;
    for _ in 0..ROUNDS {
        let mut hit = device.compare(0, expected, &mut Uncounted(run))?;
        hit.retain(|at| !exempt(*at));
        let hit = confirmed(device, hit, expected, run)?;
        let Some(&first) = hit.first() else { return Ok(count) };
        if let Some(&at) = hit.iter().find(|at| **at < device.abilities().first_writable) {
            return Err(JobError::OutOfReach { count: hit.len(), at });
        }
        count += hit.len();
        let words = format!("{} sectors were changed by a damaged request, the first at 0x{first:06X}", hit.len());
        run.note(Level::Error, format!("{words}; they are put back"));
        let spans: Vec<Span> = hit.iter().map(|at| Span::new(*at, SECTOR)).collect();
        record(device, journal, |journal| journal.group_started(&spans))?;
        for at in &hit {
            let Some(content) = sector(expected, *at) else { continue };
            put(device, *at, content, run)?;
            run.repaired(*at);
        }
        record(device, journal, |journal| journal.group_done(&spans))?;
    }
    let left = device.compare(0, expected, &mut Uncounted(run))?;
    match left.iter().find(|at| !exempt(**at)) {
        Some(&at) => Err(JobError::KeptChanged { count: left.len(), at }),
        None => Ok(count),
    }
}

fn put(device: &mut dyn WriteFlash, at: u32, content: &SectorData, run: &mut dyn Reporter) -> Result<(), JobError> {
    for attempt in 0..ATTEMPTS {
        run.retried(format!("sector 0x{at:06X} is put back"));
        if attempt > 0 {
            back_off(device, attempt, run)?;
        }
        let written = device.erase(EraseUnit::Sector, at).and_then(|()| device.program(at, content));
        match written {
            Ok(()) => {}
            // What a request that went astray again has hit is found in the next round.
            Err(error) if error.may_pass() || matches!(error, DeviceError::Misdirected { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        if device.compare(at, content, &mut Uncounted(run))?.is_empty() {
            return Ok(());
        }
    }
    Err(JobError::KeptChanged { count: 1, at })
}

fn sector(bytes: &[u8], at: u32) -> Option<&SectorData> {
    bytes.get(at as usize..)?.first_chunk()
}
