//! Getting the loader's attention: a reset, and link checks without a pause until one is answered (§3).

use std::time::Duration;

use super::super::contract::{DeviceError, Level, Watch};
use super::super::guard::wait;
use super::port::Port;
use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Decoder, Request};
use crate::link::ResetLine;
use crate::units::hex_text;

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
/// Received bytes kept as evidence.
const KEPT: usize = 256;

/// Links up with the loader. Returns one line of evidence.
pub(super) fn link_up(
    port: &mut Port,
    reset: Option<&mut (dyn ResetLine + 'static)>,
    watch: &mut dyn Watch,
) -> Result<String, DeviceError> {
    port.set_baud(START_BAUD)?;
    let started = port.clock().now();
    let mut flood = Flood { port, decoder: Decoder::new(), heard: Vec::new() };
    let how = match reset {
        Some(reset) => flood.with_line(reset, watch)?,
        None => flood.by_hand(watch)?,
    };
    let Flood { port, heard, .. } = flood;
    let waited = port.clock().now().saturating_sub(started);
    match how {
        Some(how) => Ok(format!("loader linked at {START_BAUD} baud, {how}, after {} ms", waited.as_millis())),
        None => Err(no_loader(&heard, waited)),
    }
}

struct Flood<'p> {
    port: &'p mut Port,
    decoder: Decoder,
    heard: Vec<u8>,
}

impl Flood<'_> {
    fn with_line(&mut self, reset: &mut dyn ResetLine, watch: &mut dyn Watch) -> Result<Option<String>, DeviceError> {
        for round in 1..=ROUNDS {
            reset.hold(true)?;
            wait(self.port.clock(), HOLD, watch)?;
            // Nobody can answer yet: what comes now is not from this chip.
            self.run(AHEAD, watch)?;
            self.decoder.clear();
            reset.hold(false)?;
            if self.run(ROUND, watch)? && self.settle()? {
                return Ok(Some(format!("reset {round} by {}", reset.describe())));
            }
            watch.retried(format!("link up: no answer after reset {round}"));
        }
        Ok(None)
    }

    fn by_hand(&mut self, watch: &mut dyn Watch) -> Result<Option<String>, DeviceError> {
        // A loader that was left linked answers without any reset.
        if self.run(Duration::from_millis(50), watch)? && self.settle()? {
            return Ok(Some("without a reset".to_owned()));
        }
        watch.note(Level::Info, "no reset line: touch CEN to GND and let go, the program keeps asking".to_owned());
        let until = self.port.clock().now() + BY_HAND;
        let mut console = [START_BAUD, CONSOLE_BAUD].into_iter().cycle();
        while self.port.clock().now() < until {
            self.soft_reset(console.next().unwrap_or(START_BAUD))?;
            if self.run(SOFT_RESET_EVERY, watch)? && self.settle()? {
                return Ok(Some("after a reset by software or by hand".to_owned()));
            }
        }
        Ok(None)
    }

    /// Asks a running application to reboot, in every way known to work (§3.2).
    fn soft_reset(&mut self, console_baud: u32) -> Result<(), DeviceError> {
        const TEXT: &[u8] = b"reboot\r\n";
        self.port.set_baud(console_baud)?;
        self.port.send_raw(TEXT)?;
        self.port.clock().sleep(byte_times(TEXT.len(), console_baud));
        self.port.set_baud(START_BAUD)?;
        self.port.tell(&Request::ResetApplication)?;
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
                let room = KEPT.saturating_sub(self.heard.len());
                self.heard.extend(bytes.iter().take(room));
                while let Some(reply) = self.decoder.next() {
                    if Request::LinkCheck.accepts(&reply).is_some() {
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

fn no_loader(heard: &[u8], waited: Duration) -> DeviceError {
    let own = [0x01, 0xE0, 0xFC, 0x01, 0x00];
    let printable = heard.iter().filter(|byte| (0x20..0x7F).contains(*byte) || matches!(byte, b'\r' | b'\n')).count();
    let (seen, cause, remedy) = if heard.is_empty() {
        (
            "nothing came back".to_owned(),
            "the chip was not reset, RX and TX are swapped, or the module has no supply",
            "pull CEN to GND for a moment while the program tries; swap RX1 and TX1; check 3.3 V and GND",
        )
    } else if heard.windows(own.len()).any(|window| window == own) {
        (
            "the line gives back what is sent".to_owned(),
            "TX and RX touch each other, or the adapter is looped back",
            "look for a bridge between RX1 and TX1",
        )
    } else if printable * 10 > heard.len() * 9 {
        (
            "text came instead of frames".to_owned(),
            "the application runs: the reset does not reach the chip, or this is the log port (TX2)",
            "check the CEN wire, and that the wires go to RX1 and TX1",
        )
    } else {
        (
            format!("{} bytes that are no frames, such as {}", heard.len(), hex_text(heard.get(..8).unwrap_or(heard))),
            "the rate is wrong, or the line is disturbed",
            "check GND, shorten the wires, cut off a second chip that drives the same lines",
        )
    };
    DeviceError::NoLoader { waited, seen, cause: cause.to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(heard: &[u8]) -> String {
        match no_loader(heard, ROUND) {
            DeviceError::NoLoader { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_picture_has_its_own_cause() {
        assert!(cause(&[]).contains("swapped"));
        assert!(cause(&[0x01, 0xE0, 0xFC, 0x01, 0x00, 0x01]).contains("touch each other"));
        assert!(cause(b"[01-01 18:12:15 TUYA N][lr:0x40f95] boot\r\n").contains("application runs"));
        assert!(cause(&[0x80, 0xFE, 0x00, 0x1C]).contains("rate is wrong"));
    }
}
