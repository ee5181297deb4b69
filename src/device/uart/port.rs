//! Asking and being answered: one request, one answer, and the way back to a common beat after a fault.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Answer, Decoder, Reply, Request};
use crate::link::{Clock, LinkError, Pins, SerialLink};

/// CRC speed assumed before it has been measured, in bytes per second: half of what the tools count on. A slower guess
/// would let a basic loader that lost an answer fall asleep meanwhile (§3.1).
const ASSUMED_CRC_RATE: u32 = 200_000;
/// The line is quiet when nothing came for this long (uart-protocol.md §14).
const SILENCE: Duration = Duration::from_millis(20);
/// The longest the program listens for silence: a talking application never stops.
const NO_SILENCE: Duration = Duration::from_millis(500);
/// How long a basic loader is left without a byte at most. It resets the chip after 400,001 polls (§21) of 18 instructions
/// each, counted in version 1.0.5: at its 120 MHz that is 93 ms without any wait state, some hundred with those that there
/// may be.
const HUSH: Duration = Duration::from_millis(60);
/// How often a loader that is left alone is given a sign of life: twice in that time, nearly.
pub(super) const AWAKE: Duration = Duration::from_millis(40);
/// Link checks sent before filler.
const QUICK_CHECKS: u32 = 5;
/// Filler portions of 256 bytes: more than any frame can still want whose length arrived as it was sent.
const FILLERS: u32 = 17;
/// Filler portions of 4 KiB: more than a frame can want whose length has a bit flipped.
const LONG_FILLERS: u32 = 16;
/// More than an erase request holds behind its length.
const ZEROS: [u8; 8] = [0; 8];
/// Filler programs nothing when it lands in a torn write, and starts no frame.
const FILLER: [u8; 256] = [0xFF; 256];

/// How long a loader that hears nothing is sure to be there still: a basic one, and any other.
const SURE: [Duration; 2] = [Duration::from_millis(90), Duration::from_millis(400)];
/// Addresses of changing requests that an answer may still come for.
const REMEMBERED: usize = 64;

/// The wire with a loader at its end.
pub(super) struct Port {
    wire: Box<dyn SerialLink>,
    clock: Rc<dyn Clock>,
    decoder: Decoder,
    out: Vec<u8>,
    /// Bytes received since the last request.
    heard: usize,
    /// Every byte that came so far belonged to the answer it was waited for. Else what still lies about is looked at
    /// before the next request.
    clean: bool,
    /// Where this program has asked for a change, the latest last.
    meant: VecDeque<u32>,
    /// An address nobody asked for, that the chip reported a change at.
    stray: Option<u32>,
    /// The chip's CRC speed in bytes per second, for time limits.
    pub crc_rate: u32,
    /// The loader is a basic one, which resets the chip when it hears nothing for a while.
    pub falls_asleep: bool,
    /// How many times as long as usual is waited for it: a chip or a computer can be slower than it was.
    pub patience: u32,
    /// When the last answer came.
    answered: Duration,
    /// When the loader was last told something.
    told: Duration,
    /// How often the chip was left alone so long that its loader may have given up in between.
    pub gaps: u32,
    /// Where the wires end, for what a person is told.
    pub pins: Pins,
}

impl Port {
    pub fn new(wire: Box<dyn SerialLink>, clock: Rc<dyn Clock>, pins: Pins) -> Self {
        Self {
            wire,
            clock,
            decoder: Decoder::new(),
            out: Vec::new(),
            heard: 0,
            clean: false,
            meant: VecDeque::new(),
            stray: None,
            crc_rate: ASSUMED_CRC_RATE,
            falls_asleep: false,
            patience: 1,
            answered: Duration::ZERO,
            told: Duration::ZERO,
            gaps: 0,
            pins,
        }
    }

    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Bytes that came in answer to the last request, whole frames or not.
    pub fn heard(&self) -> usize {
        self.heard
    }

    /// An address that the chip reported a change at and that nobody asked for, once.
    pub fn take_stray(&mut self) -> Option<u32> {
        self.stray.take()
    }

    /// Whether the last answer, and the last word to it, are so long ago that the loader may have given up.
    pub fn left_alone(&self) -> bool {
        let [basic, any] = SURE;
        let heard = self.clock.now().saturating_sub(self.answered.max(self.told));
        heard > if self.falls_asleep { basic } else { any }
    }

    /// How long ago the last answer was.
    pub fn since_answer(&self) -> Duration {
        self.clock.now().saturating_sub(self.answered)
    }

    /// How long nothing at all may come before a request counts as lost: a loader that has read half of it waits for the
    /// rest, and falls asleep over that. One that computes or erases is deaf, and awake.
    fn hush(&self, request: &Request<'_>) -> Option<Duration> {
        match request {
            Request::Erase { .. } | Request::SetBaud { .. } => None,
            Request::Crc { len, .. } => {
                let computing = Duration::from_secs_f64(f64::from(*len) / f64::from(self.crc_rate.max(1)));
                Some(computing.mul_f64(1.2) + HUSH)
            }
            _ => Some(HUSH),
        }
        .filter(|_| self.falls_asleep)
        .map(|hush| hush * self.patience)
    }

    pub fn baud(&self) -> u32 {
        self.wire.baud()
    }

    pub fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        self.wire.set_baud(baud)
    }

    /// Hands a request to the wire and waits for nothing.
    pub fn tell(&mut self, request: &Request<'_>) -> Result<(), LinkError> {
        self.gaps += u32::from(self.left_alone());
        self.told = self.clock.now();
        if let Some(at) = request.changes_at() {
            self.meant.push_back(at);
            if self.meant.len() > REMEMBERED {
                self.meant.pop_front();
            }
        }
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
        self.clean = false;
        self.wire.receive(into, wait)
    }

    /// One request and its answer; `None` when none came in time. Answers to earlier requests are dropped.
    pub fn ask(&mut self, request: &Request<'_>) -> Result<Option<Reply>, LinkError> {
        self.ask_within(request, request.limit(self.baud(), self.crc_rate))
    }

    /// As [`Port::ask`] with a time limit of its own, counted from the end of the request.
    pub fn ask_within(&mut self, request: &Request<'_>, limit: Duration) -> Result<Option<Reply>, LinkError> {
        self.begin()?;
        self.tell(request)?;
        self.answer_to(request, limit)
    }

    /// Gets the input ready for an answer that starts with the next byte.
    pub fn begin(&mut self) -> Result<(), LinkError> {
        if self.clean && self.decoder.pending() == 0 { Ok(()) } else { self.drop_input() }
    }

    /// Waits for the answer to a request that was sent before, as long as `limit`, or until it is lost for certain.
    pub fn answer_to(&mut self, request: &Request<'_>, limit: Duration) -> Result<Option<Reply>, LinkError> {
        let until = self.clock.now() + limit;
        let hush = self.hush(request);
        let leaves = self.clock.now() + byte_times(request.wire_len(), self.baud());
        let mut lost = hush.map_or(until, |hush| leaves + hush);
        let mut buffer = [0_u8; 8192];
        self.heard = 0;
        let skipped = self.decoder.skipped();
        loop {
            while let Some(reply) = self.decoder.next() {
                if request.accepts(&reply).is_some() {
                    self.answered = self.clock.now();
                    self.clean &= self.decoder.skipped() == skipped;
                    return Ok(Some(reply));
                }
                self.clean = false;
                self.look_at(&reply);
            }
            let left = until.min(lost).saturating_sub(self.clock.now());
            if left.is_zero() {
                self.clean = false;
                return Ok(None);
            }
            let got = self.wire.receive(&mut buffer, left)?;
            self.heard += got;
            if let Some(hush) = hush.filter(|_| got > 0) {
                lost = self.clock.now() + hush;
            }
            self.decoder.push(buffer.get(..got).unwrap_or_default());
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
        while self.clock.now() < until && self.take_in(SILENCE)? > 0 {}
        self.drop_input()
    }

    /// As [`Port::ask`] for an erase, which may take longer than a loader stays awake that has read only half of it:
    /// zeros complete what may lie in its parser, and link checks keep it from its idle reset. A loader that is erasing
    /// keeps them for later.
    pub fn ask_to_erase(&mut self, request: &Request<'_>) -> Result<Option<Reply>, LinkError> {
        self.begin()?;
        self.tell(request)?;
        let limit = request.limit(self.baud(), self.crc_rate);
        let until = self.clock.now() + limit;
        let mut reply = self.answer_to(request, limit.min(HUSH))?;
        if reply.is_none() {
            self.wire.send(&ZEROS)?;
        }
        while reply.is_none() && self.clock.now() < until {
            self.tell(&Request::LinkCheck)?;
            reply = self.answer_to(request, AWAKE)?;
        }
        Ok(reply)
    }

    /// Finds the common beat again (§14): silence, then link checks, then filler with link checks in between. Filler
    /// comes at once after a torn frame, since link checks would leave their bytes in the flash. `last` means that there
    /// is no other way back: then even the longest frame is filled up.
    pub fn resync(&mut self, torn: bool, last: bool) -> Result<bool, LinkError> {
        self.quiet()?;
        let quick = byte_times(13, self.baud()) + Duration::from_millis(5);
        if !torn {
            for _ in 0..QUICK_CHECKS {
                if self.link_check(quick)? {
                    return self.quiet().map(|()| true);
                }
            }
        }
        // A request with a byte missing takes one from the next frame, and may then send a whole sector.
        let patient = byte_times(4200, self.baud()) + Duration::from_millis(50);
        for round in 0..FILLERS {
            self.wire.send(&FILLER)?;
            if self.link_check(if round + 1 == FILLERS { patient } else { quick })? {
                return self.quiet().map(|()| true);
            }
        }
        for _ in 0..if last { LONG_FILLERS } else { 0 } {
            for _ in 0..16 {
                self.wire.send(&FILLER)?;
            }
            if self.link_check(patient)? {
                return self.quiet().map(|()| true);
            }
        }
        Ok(false)
    }

    /// Fills up a request that may have been cut off at `rate`, before anything else is sent. Nothing that matters can come
    /// of that: filler programs nothing, is no erase size, and completes the address of an erase, which the loader cuts to
    /// 24 bits, to one in the last 64 KiB of the flash, where neither a boot loader nor an RF block lies (§21). At another
    /// rate the loader would take it for other bytes.
    pub fn fill_up(&mut self, rate: u32) -> Result<(), LinkError> {
        let before = self.baud();
        match self.set_baud(rate) {
            // A port of one rate was at that one before, too.
            Ok(()) | Err(LinkError::Unsupported { .. }) => {}
            Err(other) => return Err(other),
        }
        for _ in 0..FILLERS {
            self.wire.send(&FILLER)?;
            self.clock.sleep(byte_times(FILLER.len(), self.baud()));
        }
        self.quiet()?;
        if self.baud() == before { Ok(()) } else { self.set_baud(before) }
    }

    /// Takes in what comes within `wait` and looks at the frames in it.
    fn take_in(&mut self, wait: Duration) -> Result<usize, LinkError> {
        let mut buffer = [0_u8; 4096];
        let got = self.wire.receive(&mut buffer, wait)?;
        self.decoder.push(buffer.get(..got).unwrap_or_default());
        while let Some(reply) = self.decoder.next() {
            self.look_at(&reply);
        }
        Ok(got)
    }

    /// Drops what has come, but not without a look: an answer that came too late may be the only sign of damage.
    fn drop_input(&mut self) -> Result<(), LinkError> {
        let until = self.clock.now() + NO_SILENCE;
        while self.clock.now() < until && self.take_in(Duration::ZERO)? > 0 {}
        self.decoder.clear();
        self.wire.discard_input()?;
        self.clean = true;
        Ok(())
    }

    fn look_at(&mut self, reply: &Reply) {
        if let Some(at) = reply.changed_at().filter(|at| !self.meant.contains(at)) {
            self.stray.get_or_insert(at);
        }
    }
}
