//! Entry without a reset line: a person with a wire between CEN and GND, told when to let go, while the program
//! knocks all the time (spi-flash.md §13, way 4).

use std::time::Duration;

use super::super::attach::AttachOptions;
use super::super::error::DeviceError;
use super::super::guard::wait;
use super::super::tie::Tie;
use super::super::watch::{Level, Watch};
use super::ID_READS;
use super::entry::{ATTEMPTS, Attempt, Door, Entered};
use super::evidence::failure;
use crate::units::{clock_text, hex_text};

/// How often a person is counted in before the program gives up.
const ROUNDS: u32 = 8;
/// The count before CEN is let go, in seconds.
const COUNT: u32 = 3;
/// How long the program goes on knocking after "now": slow hands included.
const AFTER: Duration = Duration::from_secs(4);
/// Pause between two knocks. The window after CEN rises is tens of milliseconds wide (spi-flash.md §2).
const PAUSE: Duration = Duration::from_millis(5);

/// Knocks until an id is read, while a person is counted in.
pub(super) fn enter(
    mut door: Door<'_>,
    options: &AttachOptions,
    watch: &mut dyn Watch,
) -> Result<Entered, DeviceError> {
    let attempt = Attempt { clock: options.entry_clock.unwrap_or(ATTEMPTS[0].clock), ..ATTEMPTS[0] };
    let mode = door.prepare(&attempt)?;
    let mut tried = 0;
    for round in 1..=ROUNDS {
        let say = |watch: &mut dyn Watch, text: String| watch.note(Level::Ask, text);
        say(watch, format!("round {round} of {ROUNDS}: hold CEN to GND with a wire"));
        let count = (1..=COUNT).rev().map(|left| (format!("let go in {left} …"), Duration::from_secs(1)));
        for (text, time) in count.chain([("let go NOW".to_owned(), AFTER)]) {
            say(watch, text);
            if let Some(id) = knock_for(&mut door, (&attempt, mode), time, &mut tried, watch)? {
                say(watch, "the chip is in SPI mode; leave CEN alone from now on".to_owned());
                let evidence = vec![
                    format!(
                        "SPI mode entered by hand in round {round}, {}, mode {}",
                        clock_text(attempt.clock),
                        attempt.mode
                    ),
                    format!("{ID_READS} JEDEC id reads agree: {}", hex_text(&id)),
                ];
                return Ok(Entered { id, tie: Tie::ByHand, evidence, tries: door.seen.take_tries() });
            }
        }
    }
    let looped_back = door.loop_back()?;
    Err(failure(&door.seen, looped_back, tried, false))
}

/// Knocks for so long; the id as soon as there is one.
fn knock_for(
    door: &mut Door<'_>,
    (attempt, mode): (&Attempt, u8),
    time: Duration,
    tried: &mut u32,
    watch: &mut dyn Watch,
) -> Result<Option<[u8; 3]>, DeviceError> {
    let until = door.clock.now() + time;
    while door.clock.now() < until {
        *tried += 1;
        door.begin(*tried, mode, None, Some(attempt.knock));
        if let Some(id) = door.knock_and_look(attempt, Duration::ZERO, watch)? {
            return Ok(Some(id));
        }
        wait(door.clock, PAUSE, watch)?;
    }
    Ok(None)
}
