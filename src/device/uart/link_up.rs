//! Getting the loader's attention: a reset, and link checks without a pause until one is answered (§3). Where none is,
//! [`super::picture`] says how far it came.

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::guard::wait;
use super::super::watch::{Level, Watch};
use super::heard::Heard;
use super::picture;
use super::port::Port;
use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Decoder, Request};
use crate::link::{LinkError, ResetLine};
use crate::units::time_text;

/// The rate every loader starts with.
pub(super) const START_BAUD: u32 = 115_200;
/// The rate some applications have their console at.
const CONSOLE_BAUD: u32 = 921_600;
/// Time between two link checks of the flood.
const BEAT: Duration = Duration::from_millis(2);
/// How long CEN is held low before the flood begins.
const HOLD: Duration = Duration::from_millis(100);
/// How long the flood runs before CEN is released.
const AHEAD: Duration = Duration::from_millis(10);
/// How long one reset is given to be answered.
const ROUND: Duration = Duration::from_secs(1);
/// Resets tried.
const ROUNDS: u32 = 6;
/// How long the program floods while a person resets the chip by hand.
const BY_HAND: Duration = Duration::from_secs(60);
/// Time between two software resets in that flood.
const SOFT_RESET_EVERY: Duration = Duration::from_secs(3);

/// How long another rate is listened to after each of those, where what is heard makes no sense at the first one.
const ELSEWHERE: Duration = Duration::from_millis(1100);

/// Links up with the loader. Returns one line of evidence. `cut_off` is the rate at which a request that changes the flash
/// may have been cut off: without a reset line it is filled up first.
pub(super) fn link_up(
    port: &mut Port,
    reset: Option<&mut (dyn ResetLine + 'static)>,
    cut_off: Option<u32>,
    watch: &mut dyn Watch,
) -> Result<String, DeviceError> {
    port.set_baud(START_BAUD)?;
    if let (None, Some(rate)) = (&reset, cut_off) {
        port.fill_up(rate)?;
    }
    let started = port.clock().now();
    let mut flood = Flood { port, decoder: Decoder::new(), heard: Heard::since(started) };
    let how = match reset {
        Some(reset) => flood.with_line(reset, watch)?,
        None => flood.by_hand(watch)?,
    };
    let Flood { port, mut heard, .. } = flood;
    let waited = port.clock().now().saturating_sub(started);
    match how {
        Some(how) => Ok(format!("loader linked at {START_BAUD} baud, {how}, after {}", time_text(waited))),
        None => {
            watch.note(Level::Info, "no loader answers; listening to what is on the line instead".to_owned());
            let picture = picture::look(port, &mut heard, watch)?;
            port.set_baud(START_BAUD)?;
            Err(picture.explain(waited, &port.pins))
        }
    }
}

struct Flood<'p> {
    port: &'p mut Port,
    decoder: Decoder,
    heard: Heard,
}

impl Flood<'_> {
    fn with_line(&mut self, reset: &mut dyn ResetLine, watch: &mut dyn Watch) -> Result<Option<String>, DeviceError> {
        for round in 1..=ROUNDS {
            reset.hold(true)?;
            self.listen_in_reset(watch)?;
            // Nobody can answer yet: the flood only has to be under way when the chip is let go.
            self.run(AHEAD, watch)?;
            self.decoder.clear();
            reset.hold(false)?;
            self.heard.reset(self.port.clock().now(), true);
            if self.run(ROUND, watch)? && self.settle()? {
                return Ok(Some(format!("reset {round} by {}", reset.describe())));
            }
            watch.retried(format!("link up: no answer after reset {round}"));
        }
        Ok(None)
    }

    /// The chip is held in reset: what comes now is not from it.
    fn listen_in_reset(&mut self, watch: &mut dyn Watch) -> Result<(), DeviceError> {
        // What was on its way when the line fell is no evidence.
        wait(self.port.clock(), HOLD / 2, watch)?;
        let mut buffer = [0_u8; 256];
        while self.port.receive_raw(&mut buffer, Duration::ZERO)? == buffer.len() {
            watch.checkpoint()?;
        }
        wait(self.port.clock(), HOLD / 2, watch)?;
        let got = self.port.receive_raw(&mut buffer, Duration::ZERO)?;
        self.heard.take(self.port.clock().now(), START_BAUD, true, buffer.get(..got).unwrap_or_default());
        Ok(())
    }

    fn by_hand(&mut self, watch: &mut dyn Watch) -> Result<Option<String>, DeviceError> {
        // A loader that was left linked answers without any reset.
        if self.run(Duration::from_millis(50), watch)? && self.settle()? {
            return Ok(Some("without a reset".to_owned()));
        }
        let mut asked = false;
        let until = self.port.clock().now() + BY_HAND;
        let mut console = [START_BAUD, CONSOLE_BAUD].into_iter().cycle();
        let mut others = picture::RATES.into_iter().filter(|rate| *rate != START_BAUD).cycle();
        while self.port.clock().now() < until {
            let since = self.heard.age(self.port.clock().now());
            self.soft_reset(console.next().unwrap_or(START_BAUD))?;
            if self.run(SOFT_RESET_EVERY, watch)? && self.settle()? {
                if asked {
                    watch.note(Level::Ask, "the boot loader answers; leave CEN alone from now on".to_owned());
                }
                return Ok(Some("after a reset by software or by hand".to_owned()));
            }
            // A firmware that takes a reset by software needs no hand.
            asked = true;
            let left = until.saturating_sub(self.port.clock().now()).as_secs();
            let what = "touch CEN to GND with a wire and let go, now or later";
            let lately = self.heard.at_rate(START_BAUD, since);
            watch.note(Level::Ask, format!("{what}: {left} s left; {}", picture::words(&lately)));
            if !picture::makes_sense(&lately)
                && let Some(rate) = others.next()
            {
                self.listen_at(rate, watch)?;
            }
        }
        Ok(None)
    }

    /// What makes no sense at one rate may do so at another; whoever speaks there may be silent later.
    fn listen_at(&mut self, rate: u32, watch: &mut dyn Watch) -> Result<(), DeviceError> {
        match self.port.set_baud(rate) {
            Ok(()) => {}
            Err(LinkError::Unsupported { .. }) => return Ok(()),
            Err(other) => return Err(other.into()),
        }
        self.port.quiet()?;
        picture::listen(self.port, &mut self.heard, ELSEWHERE, watch)?;
        self.port.set_baud(START_BAUD)?;
        Ok(())
    }

    /// Asks a running application to reboot, in every way known to work (§3.2).
    fn soft_reset(&mut self, console_baud: u32) -> Result<(), DeviceError> {
        const TEXT: &[u8] = b"reboot\r\n";
        match self.port.set_baud(console_baud) {
            Ok(()) => {
                self.port.send_raw(TEXT)?;
                self.port.clock().sleep(byte_times(TEXT.len(), console_baud));
                self.port.set_baud(START_BAUD)?;
            }
            // A port of one rate reaches the consoles that have it.
            Err(LinkError::Unsupported { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        self.port.tell(&Request::ResetApplication)?;
        self.heard.reset(self.port.clock().now(), false);
        Ok(())
    }

    /// Sends link checks for `time`, or until one is answered.
    fn run(&mut self, time: Duration, watch: &mut dyn Watch) -> Result<bool, DeviceError> {
        let until = self.port.clock().now() + time;
        let mut buffer = [0_u8; 256];
        while self.port.clock().now() < until {
            watch.checkpoint()?;
            self.port.tell(&Request::LinkCheck)?;
            let next = self.port.clock().now() + BEAT;
            loop {
                let left = next.saturating_sub(self.port.clock().now());
                if left.is_zero() {
                    break;
                }
                let got = self.port.receive_raw(&mut buffer, left)?;
                let bytes = buffer.get(..got).unwrap_or_default();
                self.decoder.push(bytes);
                self.heard.take(self.port.clock().now(), START_BAUD, false, bytes);
                while let Some(reply) = self.decoder.next() {
                    if Request::LinkCheck.accepts(&reply).is_some() {
                        self.heard.answered = true;
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// After the first answer more are on their way: wait for silence, then require exactly one answer to one check.
    fn settle(&mut self) -> Result<bool, DeviceError> {
        self.decoder.clear();
        self.port.quiet()?;
        if !self.port.link_check(Duration::from_millis(300))? {
            return Ok(false);
        }
        let mut byte = [0_u8; 16];
        Ok(self.port.receive_raw(&mut byte, Duration::from_millis(5))? == 0)
    }
}
