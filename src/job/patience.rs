//! What a job does before it tries something again, and while this computer is busy with something else.

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use super::journal::{Journal, JournalHandle};
use super::report::{JobError, Reporter};
use crate::device::{Level, ReadFlash, Uncounted, WriteFlash};
use crate::problem::Problem;

/// How often the device is looked after meanwhile.
const LOOK: Duration = Duration::from_millis(1);
/// How long the first pause is; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Waits before try number `round` (from 1), longer each time; from the second on at a lower speed.
pub(super) fn back_off<D: ReadFlash + ?Sized>(
    device: &mut D,
    round: u32,
    run: &mut dyn Reporter,
) -> Result<(), JobError> {
    device.rest(FIRST_PAUSE * (1 << round.min(6)), &mut Uncounted(run))?;
    if round > 1
        && let Some(speed) = device.slow_down()?
    {
        run.note(Level::Warning, format!("going slower: {speed} from now on"));
        run.slowed(speed);
    }
    Ok(())
}

/// Makes sure that commands reach the chip right before the first one that changes it, at a lower speed where that helps.
pub(super) fn prove_write_path(device: &mut dyn WriteFlash, run: &mut dyn Reporter) -> Result<(), JobError> {
    let before = device.facts().speed;
    device.prove_write_path(run)?;
    let now = device.facts().speed;
    if now != before {
        run.slowed(now);
    }
    Ok(())
}

/// Does something that takes this computer a while, a disk's sync or a long computation, and does not let the link fall
/// asleep over it (uart-protocol.md §3.1).
pub fn meanwhile<D: ReadFlash + ?Sized, T: Send>(device: &mut D, work: impl FnOnce() -> T + Send) -> T {
    if !device.needs_keep_alive() {
        return work();
    }
    thread::scope(|scope| {
        let working = scope.spawn(work);
        while !working.is_finished() {
            thread::sleep(LOOK);
            device.sign_of_life();
        }
        working.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Tells the journal something, where there is one, and waits until it is on the disk.
///
/// # Errors
/// [`JobError::Journal`].
pub(super) fn record<D: ReadFlash + ?Sized>(
    device: &mut D,
    journal: Option<&JournalHandle>,
    tell: impl FnOnce(&mut dyn Journal) -> Result<(), Problem> + Send,
) -> Result<(), JobError> {
    let Some(journal) = journal else { return Ok(()) };
    meanwhile(device, || tell(&mut *journal.get())).map_err(JobError::Journal)
}
