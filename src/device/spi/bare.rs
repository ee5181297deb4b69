//! A flash chip by itself, desoldered or under a clip: it is asked for its id at once, no D2 and no CEN.

use super::super::attach::AttachOptions;
use super::super::error::DeviceError;
use super::super::tie::Tie;
use super::super::tried::EntryOutcome;
use super::super::watch::Watch;
use super::ID_READS;
use super::entry::{ATTEMPTS, Attempt, Door, Entered};
use super::evidence::{bare_failure, plausible};
use crate::units::{clock_text, hex_text};

/// Asks at the clocks and modes of the entry sweep until the same plausible id is read five times in a row.
pub(super) fn find(mut door: Door<'_>, options: &AttachOptions, watch: &mut dyn Watch) -> Result<Entered, DeviceError> {
    let asked = options.entry_clock.map(|clock| Attempt { clock, ..ATTEMPTS[0] });
    let mut tried = 0;
    for attempt in asked.into_iter().chain(ATTEMPTS) {
        tried += 1;
        watch.checkpoint()?;
        let mode = door.prepare(&attempt)?;
        door.begin(tried, mode, None, None);
        door.wake()?;
        let id = door.bus.id()?;
        door.seen.id(id);
        let agreed = if plausible(id) {
            door.agreed(id)?
        } else {
            door.seen.end(EntryOutcome::NoId);
            None
        };
        if let Some(id) = agreed {
            let evidence = vec![
                format!("a bare flash chip answers at {}, mode {}", clock_text(attempt.clock), attempt.mode),
                format!("{ID_READS} JEDEC id reads agree: {}", hex_text(&id)),
            ];
            return Ok(Entered { id, tie: Tie::Bare, evidence, tries: door.seen.take_tries() });
        }
        watch.retried(format!("bare chip {tried}: {}", door.seen.try_words()));
    }
    let looped_back = door.loop_back()?;
    Err(bare_failure(&door.seen, looped_back, tried))
}
