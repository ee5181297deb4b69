//! What a job does before it tries something again.

use std::time::Duration;

use super::report::{JobError, Reporter};
use crate::device::{Level, ReadFlash, Uncounted, WriteFlash};

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
