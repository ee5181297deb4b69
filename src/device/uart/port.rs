//! Asking and being answered: one request, one answer, and the way back to a common beat after a fault.

use std::rc::Rc;
use std::time::Duration;

use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Answer, Decoder, Reply, Request};
use crate::link::{Clock, LinkError, SerialLink};

/// CRC speed assumed before it has been measured, in bytes per second: half of what the tools count on. A slower guess
/// would let a basic loader that lost an answer fall asleep meanwhile (§3.1).
const ASSUMED_CRC_RATE: u32 = 200_000;
/// The line is quiet when nothing came for this long (uart-protocol.md §14).
const SILENCE: Duration = Duration::from_millis(20);
/// The longest the program listens for silence: a talking application never stops.
const NO_SILENCE: Duration = Duration::from_millis(500);
/// Link checks sent before filler.
const QUICK_CHECKS: u32 = 5;
/// Filler portions of 256 bytes: more than any frame can still want.
const FILLERS: u32 = 17;
/// Filler programs nothing when it lands in a torn write, and starts no frame.
const FILLER: [u8; 256] = [0xFF; 256];

/// The wire with a loader at its end.
pub(super) struct Port {
    wire: Box<dyn SerialLink>,
    clock: Rc<dyn Clock>,
    decoder: Decoder,
    out: Vec<u8>,
    /// Bytes received since the last request.
    heard: usize,
    /// An address other than the one asked for, that the chip reported success for.
    misdirected: Option<u32>,
    /// The chip's CRC speed in bytes per second, for time limits.
    pub crc_rate: u32,
}

impl Port {
    pub fn new(wire: Box<dyn SerialLink>, clock: Rc<dyn Clock>) -> Self {
        Self {
            wire,
            clock,
            decoder: Decoder::new(),
            out: Vec::new(),
            heard: 0,
            misdirected: None,
            crc_rate: ASSUMED_CRC_RATE,
        }
    }

    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Bytes that came in answer to the last request, whole frames or not.
    pub fn heard(&self) -> usize {
        self.heard
    }

    /// The address the chip reported success for in place of that of the last request.
    pub fn misdirected(&self) -> Option<u32> {
        self.misdirected
    }

    pub fn baud(&self) -> u32 {
        self.wire.baud()
    }

    pub fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        self.wire.set_baud(baud)
    }

    /// Hands a request to the wire and waits for nothing.
    pub fn tell(&mut self, request: &Request<'_>) -> Result<(), LinkError> {
        self.out.clear();
        request.encode(&mut self.out);
        self.wire.send(&self.out)
    }

    /// Raw bytes that are no frame.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.wire.send(bytes)
    }

    /// Whatever comes within `wait`.
    pub fn receive_raw(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        self.wire.receive(into, wait)
    }

    /// One request and its answer; `None` when none came in time. Answers to earlier requests are dropped.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Option<Reply>, LinkError> {
        self.ask_within(request, request.limit(self.baud(), self.crc_rate))
    }

    /// As [`Port::ask`] with a time limit of its own, counted from the end of the request.
    pub fn ask_within(&mut self, request: &Request<'_>, limit: Duration) -> Result<Option<Reply>, LinkError> {
        self.forget_input()?;
        self.tell(request)?;
        self.answer_to(request, limit)
    }

    /// Waits for the answer to a request that was sent before.
    pub fn answer_to(&mut self, request: &Request<'_>, limit: Duration) -> Result<Option<Reply>, LinkError> {
        let until = self.clock.now() + limit;
        let mut buffer = [0_u8; 4096];
        self.heard = 0;
        self.misdirected = None;
        loop {
            let left = until.saturating_sub(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            let got = self.wire.receive(&mut buffer, left)?;
            self.heard += got;
            self.decoder.push(buffer.get(..got).unwrap_or_default());
            while let Some(reply) = self.decoder.next() {
                if request.accepts(&reply).is_some() {
                    return Ok(Some(reply));
                }
                self.misdirected = self.misdirected.or_else(|| request.misdirected(&reply));
            }
        }
    }

    /// Whether a link check is answered within `limit`.
    pub fn link_check(&mut self, limit: Duration) -> Result<bool, LinkError> {
        let request = Request::LinkCheck;
        Ok(self.ask_within(&request, limit)?.is_some_and(|reply| request.accepts(&reply) == Some(Answer::Done)))
    }

    /// Reads and drops until the line has been silent for 20 ms, for a bounded time.
    pub fn quiet(&mut self) -> Result<(), LinkError> {
        let until = self.clock.now() + NO_SILENCE;
        let mut buffer = [0_u8; 4096];
        while self.clock.now() < until && self.wire.receive(&mut buffer, SILENCE)? > 0 {}
        self.forget_input()
    }

    /// Finds the common beat again (§14): silence, then link checks, then filler with link checks in between. Filler
    /// comes at once after a torn write, since link checks would leave their bytes in the flash.
    pub fn resync(&mut self, torn_write: bool) -> Result<bool, LinkError> {
        self.quiet()?;
        let quick = byte_times(13, self.baud()) + Duration::from_millis(5);
        if !torn_write {
            for _ in 0..QUICK_CHECKS {
                if self.link_check(quick)? {
                    return Ok(true);
                }
            }
        }
        // A request with a byte missing takes one from the next frame, and may then send a whole sector.
        let patient = byte_times(4200, self.baud()) + Duration::from_millis(50);
        for round in 0..FILLERS {
            self.wire.send(&FILLER)?;
            if self.link_check(if round + 1 == FILLERS { patient } else { quick })? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn forget_input(&mut self) -> Result<(), LinkError> {
        self.decoder.clear();
        self.wire.discard_input()
    }
}
