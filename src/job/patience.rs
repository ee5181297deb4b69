//! What a job does before it tries something again.

use std::time::Duration;

use super::report::{JobError, Reporter};
use crate::device::{Cancelled, Level, ReadFlash, Watch, WriteFlash};

/// How long the first pause is; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Waits before try number `round` (from 1), longer each time; from the second on at a lower speed.
pub(super) fn back_off<D: ReadFlash + ?Sized>(
    device: &mut D,
    round: u32,
    run: &mut dyn Reporter,
) -> Result<(), JobError> {
    device.rest(FIRST_PAUSE * (1 << round.min(6)), &mut Quiet(run))?;
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

/// Hands everything on but the byte counts: reading back must not move the gauge of the write.
pub(super) struct Quiet<'a>(pub &'a mut dyn Reporter);

impl Watch for Quiet<'_> {
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, level: Level, text: String) {
        self.0.note(level, text);
    }
    fn retried(&mut self, what: String) {
        self.0.retried(what);
    }
    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        self.0.checkpoint()
    }
}
