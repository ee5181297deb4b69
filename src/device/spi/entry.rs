//! Getting the flash onto the pins: CEN low, CEN high, D2 at once, and an id that stays the same (spi-flash.md §2).
//! The ways without a reset line are in `hand` and `bare`.

use std::time::Duration;

use super::super::attach::AttachOptions;
use super::super::error::DeviceError;
use super::super::guard::wait;
use super::super::tie::Tie;
use super::super::tried::{EntryOutcome, EntryTry};
use super::super::watch::{Level, Watch};
use super::bus::NorBus;
use super::evidence::{Seen, failure, plausible};
use super::{Access, ID_READS, bare, hand};
use crate::codec::nor::opcode;
use crate::link::{Clock, LinkError, Pins, ResetLine};
use crate::units::{clock_text, hex_text};

/// The byte that selects SPI mode.
const KNOCK: u8 = 0xD2;
/// How long a silent flash is asked again after a good D2 answer.
const WAKE_TIME: Duration = Duration::from_millis(2500);
/// Pause between two such questions.
const WAKE_STEP: Duration = Duration::from_millis(50);

/// Looks at a line that nobody drives before a chip that echoed D2 is given up: each one follows a call to wake.
const FLOATING_LOOKS: u32 = 3;

/// How the D2 bytes are packed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Knock {
    /// One frame of so many D2.
    One(usize),
    /// Ten frames of 25 D2.
    Ten,
    /// 150 frames of one D2 and zeros.
    Padded,
}

impl Knock {
    /// For the record of a try.
    fn words(self) -> String {
        match self {
            Self::One(len) => format!("{len} × D2"),
            Self::Ten => "10 frames of 25 × D2".to_owned(),
            Self::Padded => "150 frames of D2 and zeros".to_owned(),
        }
    }
}

/// One way to try.
#[derive(Clone, Copy)]
pub(super) struct Attempt {
    pub clock: u32,
    pub mode: u8,
    /// How long CEN is held low.
    pub low: Duration,
    /// Pause between CEN rising and the first D2.
    pub delay: Duration,
    pub knock: Knock,
}

const fn attempt(clock: u32, mode: u8, low_ms: u64, delay_ms: u64, knock: Knock) -> Attempt {
    Attempt { clock, mode, low: Duration::from_millis(low_ms), delay: Duration::from_millis(delay_ms), knock }
}

/// The sweep: what worked for somebody comes first.
pub(super) const ATTEMPTS: [Attempt; 10] = [
    attempt(1_000_000, 0, 150, 0, Knock::One(250)),
    attempt(1_000_000, 0, 150, 5, Knock::One(250)),
    attempt(500_000, 0, 250, 0, Knock::Ten),
    attempt(500_000, 0, 250, 20, Knock::Padded),
    attempt(50_000, 0, 500, 0, Knock::One(64)),
    attempt(1_000_000, 3, 500, 0, Knock::One(250)),
    attempt(500_000, 3, 500, 5, Knock::Ten),
    attempt(50_000, 3, 1000, 0, Knock::One(64)),
    attempt(1_000_000, 0, 1000, 50, Knock::One(250)),
    attempt(1_000_000, 0, 1000, 100, Knock::Padded),
];

/// A flash that answers.
pub(in crate::device) struct Entered {
    pub id: [u8; 3],
    pub tie: Tie,
    pub evidence: Vec<String>,
    pub tries: Vec<EntryTry>,
}

/// Gets the flash to answer until the same plausible id is read five times in a row.
pub(super) fn enter(
    bus: &mut NorBus,
    access: &mut Access,
    clock: &dyn Clock,
    pins: &Pins,
    options: &AttachOptions,
    watch: &mut dyn Watch,
) -> Result<Entered, DeviceError> {
    let door = Door { bus, clock, seen: Seen::new(pins.clone()) };
    match access {
        Access::Line(reset) => door.with_line(reset.as_mut(), options, watch),
        Access::Hand => hand::enter(door, options, watch),
        Access::Bare => bare::find(door, options, watch),
    }
}

/// The bus, and everything seen on it so far.
pub(super) struct Door<'d> {
    pub bus: &'d mut NorBus,
    pub clock: &'d dyn Clock,
    pub seen: Seen,
}

impl Door<'_> {
    fn with_line(
        mut self,
        reset: &mut dyn ResetLine,
        options: &AttachOptions,
        watch: &mut dyn Watch,
    ) -> Result<Entered, DeviceError> {
        let asked = options.entry_clock.map(|clock| Attempt { clock, ..ATTEMPTS[0] });
        let mut tried = 0;
        for attempt in asked.into_iter().chain(ATTEMPTS) {
            tried += 1;
            let Some(id) = self.pulse_and_try(tried, reset, &attempt, watch)? else {
                watch.retried(format!("SPI entry {tried}: {}", self.seen.try_words()));
                continue;
            };
            let mut evidence = vec![
                format!("SPI mode entered at attempt {tried}, {}, mode {}", clock_text(attempt.clock), attempt.mode),
                format!("{ID_READS} JEDEC id reads agree: {}", hex_text(&id)),
            ];
            // The id has been seen; now it has to vanish with CEN low, and come back after another entry.
            reset.hold(true)?;
            wait(self.clock, attempt.low, watch)?;
            let in_reset = self.bus.id()?;
            if in_reset == id {
                reset.hold(false)?;
                let text = format!(
                    "CEN has no effect on the chip: its id is still read while {} is held low",
                    reset.describe()
                );
                watch.note(Level::Warning, format!("{text}; nothing will be written to it"));
                evidence.push(text);
                return Ok(Entered { id, tie: Tie::Loose, evidence, tries: self.seen.take_tries() });
            }
            evidence.push(format!("with CEN held low the id is gone ({})", hex_text(&in_reset)));
            if self.pulse_and_try(tried, reset, &attempt, watch)? == Some(id) {
                return Ok(Entered { id, tie: Tie::Measured, evidence, tries: self.seen.take_tries() });
            }
            watch.retried(format!("SPI entry {tried}: the id did not come back after a second reset"));
        }
        let looped_back = self.loop_back()?;
        Err(failure(&self.seen, looped_back, tried, true))
    }

    /// Sets clock and mode for try `number`; says which mode it is.
    pub fn prepare(&mut self, attempt: &Attempt) -> Result<u8, LinkError> {
        let clock = self.bus.set_clock(attempt.clock)?;
        self.seen.clock(clock);
        match self.bus.set_mode(attempt.mode) {
            // Adapters with one mode only are common; the sweep goes on in the mode they have.
            Err(LinkError::Unsupported { .. }) => Ok(0),
            other => other.map(|()| attempt.mode),
        }
    }

    /// Begins the record of try `number`, made over the bus as it is now. `times` are those of CEN and D2, where the
    /// program has a say in them.
    pub fn begin(&mut self, number: u32, mode: u8, times: Option<&Attempt>, knock: Option<Knock>) {
        let millis = |time: Duration| time.as_millis() as u64;
        self.seen.begin(EntryTry {
            number,
            times: 1,
            clock: self.bus.clock_hz(),
            mode,
            low_ms: times.map(|attempt| millis(attempt.low)),
            delay_ms: times.map(|attempt| millis(attempt.delay)),
            pattern: knock.map(Knock::words),
            answer: None,
            ids: Vec::new(),
            outcome: EntryOutcome::NoId,
        });
    }

    fn pulse_and_try(
        &mut self,
        number: u32,
        reset: &mut dyn ResetLine,
        attempt: &Attempt,
        watch: &mut dyn Watch,
    ) -> Result<Option<[u8; 3]>, DeviceError> {
        let mode = self.prepare(attempt)?;
        self.begin(number, mode, Some(attempt), Some(attempt.knock));
        reset.hold(true)?;
        wait(self.clock, attempt.low, watch)?;
        reset.hold(false)?;
        wait(self.clock, attempt.delay, watch)?;
        self.knock_and_look(attempt, WAKE_TIME, watch)
    }

    /// D2, then the frames that wake a flash left in a strange state, then the id.
    pub fn knock_and_look(
        &mut self,
        attempt: &Attempt,
        patience: Duration,
        watch: &mut dyn Watch,
    ) -> Result<Option<[u8; 3]>, DeviceError> {
        self.knock(attempt.knock, watch)?;
        self.wake()?;
        let until = self.clock.now() + patience;
        let mut floating = 0;
        loop {
            let id = self.bus.id()?;
            self.seen.id(id);
            if plausible(id) {
                return self.agreed(id);
            }
            // Only a chip that echoed D2 is worth waiting for; its flash may need some time, or some zeros, or it sleeps
            // and drives nothing.
            floating += u32::from(id == [0xFF; 3]);
            let silent = id == [0; 3] || (id == [0xFF; 3] && floating <= FLOATING_LOOKS);
            if !silent || !self.seen.knock_was_heard() || self.clock.now() >= until {
                self.seen.end(EntryOutcome::NoId);
                return Ok(None);
            }
            self.bus.send(&vec![0; self.bus.longest_frame().min(250)])?;
            // Nobody was there to hear the first call.
            self.wake()?;
            wait(self.clock, WAKE_STEP, watch)?;
        }
    }

    /// Ends a continuous read and a deep power-down, in which a flash answers nothing (spi-flash.md §2).
    pub fn wake(&mut self) -> Result<(), LinkError> {
        self.bus.send(&[0xFF; 4])?;
        self.bus.send(&[opcode::RELEASE])?;
        self.clock.sleep(Duration::from_millis(1));
        Ok(())
    }

    fn knock(&mut self, knock: Knock, watch: &mut dyn Watch) -> Result<(), DeviceError> {
        let longest = self.bus.longest_frame();
        let (frames, frame) = match knock {
            Knock::One(len) => (1, vec![KNOCK; len.min(longest)]),
            Knock::Ten => (10, vec![KNOCK; 25.min(longest)]),
            Knock::Padded => {
                let mut frame = vec![0; 150.min(longest)];
                if let Some(first) = frame.first_mut() {
                    *first = KNOCK;
                }
                (150, frame)
            }
        };
        for index in 0..frames {
            watch.checkpoint()?;
            let answer = self.bus.transfer(&frame)?;
            if index == 0 {
                self.seen.knock(answer);
            }
        }
        Ok(())
    }

    /// The id, if all further reads agree with the first.
    pub fn agreed(&mut self, id: [u8; 3]) -> Result<Option<[u8; 3]>, DeviceError> {
        let mut ids = vec![id];
        for _ in 1..ID_READS {
            ids.push(self.bus.id()?);
        }
        if ids.iter().all(|other| *other == id) {
            self.seen.end(EntryOutcome::Answered);
            return Ok(Some(id));
        }
        self.seen.unstable(&ids);
        self.seen.end(EntryOutcome::Unsteady);
        Ok(None)
    }

    /// Whether the line gives back what is sent, as it does when SI and SO are bridged.
    pub fn loop_back(&mut self) -> Result<bool, LinkError> {
        const PROBE: [u8; 4] = [opcode::READ_ID, 0xA5, 0x5A, 0x00];
        self.bus.transfer(&PROBE).map(|answer| answer == PROBE)
    }
}
