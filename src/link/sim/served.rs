//! A module for programs outside this process: bytes in, bytes out, and the time until something happens. Whoever owns
//! the port (a pseudo terminal) moves the bytes and does the waiting.
//!
//! Such a port has no line to CEN, and a chip listens only for a moment after a reset. So the module is reset when a
//! program opens the port, and again while link checks come and no loader answers, as a person does who touches CEN
//! with a wire while the tool keeps asking.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, LinkError, SerialLink};

use super::board::{Board, Phase};
use super::clock::Pace;
use super::module::Module;
use super::serial::SimSerial;
use super::uart::{byte_time, rates_differ};

/// How long an adapter gathers bytes before it hands them over (one USB frame).
const GATHER: Duration = Duration::from_millis(1);
/// Bytes of the host that may still be on their way before no more are taken.
const BACKLOG: u32 = 4096;
/// How long the firmware runs on under link checks before somebody touches CEN.
const PATIENCE_RUNNING: Duration = Duration::from_millis(100);
/// The same where a loader should answer and does not: longer than any way back to a common beat takes.
const PATIENCE_LOADER: Duration = Duration::from_millis(1500);
/// How long CEN is held low.
const TOUCH: Duration = Duration::from_millis(5);
/// A host program that was kept from running switches its rate this much later than it meant to.
const LATE_SWITCH: Duration = Duration::from_millis(500);
/// A link check as it goes over the wire (uart-protocol.md §3.3).
const LINK_CHECK: [u8; 5] = [0x01, 0xE0, 0xFC, 0x01, 0x00];
/// What every answer of a loader begins with.
const ANSWER: [u8; 2] = [0x04, 0x0E];

/// The chip's end of a port that other programs use.
pub struct Served {
    board: Rc<RefCell<Board>>,
    pace: Pace,
    port: SimSerial,
    /// The rate that the other program has set, in baud.
    host_rate: u32,
    /// The last bytes of the host, for link checks that come in pieces.
    tail: Vec<u8>,
    /// Since when link checks come that nobody answers.
    asking_since: Option<Duration>,
}

impl Served {
    /// Puts a module behind a port that nobody has opened yet.
    pub fn new(module: &Module) -> Self {
        let board = module.board();
        let port = SimSerial::new(Rc::clone(&board));
        board.borrow_mut().uart.opened = false;
        board.borrow_mut().uart.late_switch = LATE_SWITCH;
        let pace = board.borrow().clock.pace();
        Self { board, pace, port, host_rate: 115_200, tail: Vec::new(), asking_since: None }
    }

    /// A program opened the port: the module is reset, and what was on the lines is gone.
    ///
    /// # Errors
    /// [`LinkError`] when the module lost its supply or its file.
    pub fn opened(&mut self) -> Result<(), LinkError> {
        self.tail.clear();
        self.port.discard_input()?;
        self.board.borrow_mut().uart.opened = true;
        self.touch_cen()
    }

    /// The program closed the port. The chip stays as it is.
    pub fn closed(&mut self) {
        let mut board = self.board.borrow_mut();
        board.uart.opened = false;
        board.uart.received.clear();
        self.asking_since = None;
    }

    /// Whether the line takes more bytes of the host at present.
    pub fn takes_more(&self) -> bool {
        let board = self.board.borrow();
        let backlog = byte_time(board.uart.host_rate) * BACKLOG;
        board.uart.host_line_free <= board.clock.now() + backlog
    }

    /// The program has sent these bytes; `baud` is the rate it has set by now. Bytes that are read together with a
    /// change of the rate may be older than the change: they go out at the rate that the chip has.
    ///
    /// # Errors
    /// [`LinkError`] when the module lost its supply or its file.
    pub fn host_sent(&mut self, bytes: &[u8], baud: u32) -> Result<(), LinkError> {
        if baud != self.host_rate && self.matches_chip(self.host_rate) {
            self.send(bytes)?;
            return self.host_rate_is(baud);
        }
        self.host_rate_is(baud)?;
        self.send(bytes)
    }

    /// The program has set this rate, in baud.
    ///
    /// # Errors
    /// [`LinkError`] when the module lost its supply or its file.
    pub fn host_rate_is(&mut self, baud: u32) -> Result<(), LinkError> {
        self.host_rate = baud;
        self.port.set_line_rate(baud)
    }

    /// Takes what has arrived at the host by now.
    ///
    /// # Errors
    /// [`LinkError`] when the module lost its supply or its file.
    pub fn to_host(&mut self, into: &mut Vec<u8>) -> Result<(), LinkError> {
        let mut buffer = [0; 4096];
        loop {
            if self.pace == Pace::Virtual {
                self.hurry();
            }
            let got = self.port.receive(&mut buffer, Duration::ZERO)?;
            let bytes = buffer.get(..got).unwrap_or_default();
            if bytes.windows(ANSWER.len()).any(|two| two == ANSWER) {
                self.asking_since = None;
            }
            into.extend_from_slice(bytes);
            if got < buffer.len() {
                break;
            }
        }
        self.touch_cen_when_due()
    }

    /// How long nothing can happen, unless the program sends something; `None` when nothing will.
    pub fn quiet_for(&self) -> Option<Duration> {
        let board = self.board.borrow();
        let touch = self.asking_since.map(|since| since + self.patience(board.phase));
        let then = [board.next_hand_over(GATHER), touch].into_iter().flatten().min()?;
        Some(then.saturating_sub(board.clock.now()))
    }

    /// Lets the time pass that was waited. A real clock has done so by itself.
    pub fn pass(&self, waited: Duration) {
        let clock = self.board.borrow().clock.clone();
        if self.pace == Pace::Virtual {
            clock.sleep(waited);
        }
        self.board.borrow_mut().run(clock.now());
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.tail.extend_from_slice(bytes);
        let asks = self.tail.windows(LINK_CHECK.len()).any(|frame| frame == LINK_CHECK);
        let keep = self.tail.len().saturating_sub(LINK_CHECK.len() - 1);
        self.tail.drain(..keep);
        if asks && self.asking_since.is_none() {
            self.asking_since = Some(self.board.borrow().clock.now());
        }
        let mut board = self.board.borrow_mut();
        let now = board.clock.now();
        board.run(now);
        board.check()?;
        // Without the wait of a full port: whoever serves the module looks at `takes_more` instead.
        board.host_sends(bytes);
        Ok(())
    }

    fn matches_chip(&self, rate: u32) -> bool {
        !rates_differ(rate, self.board.borrow().uart.chip_rate())
    }

    /// On a clock of its own the module need not wait for its own bytes and computations.
    fn hurry(&self) {
        let clock = self.board.borrow().clock.clone();
        loop {
            let Some(then) = self.board.borrow().next_on_line() else { return };
            clock.advance_to(then);
            self.board.borrow_mut().run(clock.now());
        }
    }

    fn patience(&self, phase: Phase) -> Duration {
        if matches!(phase, Phase::Running { .. }) { PATIENCE_RUNNING } else { PATIENCE_LOADER }
    }

    fn touch_cen_when_due(&mut self) -> Result<(), LinkError> {
        let (now, phase) = {
            let board = self.board.borrow();
            (board.clock.now(), board.phase)
        };
        match self.asking_since {
            Some(since) if now >= since + self.patience(phase) => self.touch_cen(),
            _ => Ok(()),
        }
    }

    fn touch_cen(&mut self) -> Result<(), LinkError> {
        self.asking_since = None;
        let clock = {
            let mut board = self.board.borrow_mut();
            board.check()?;
            board.hold(true);
            board.clock.clone()
        };
        clock.sleep(TOUCH);
        self.board.borrow_mut().hold(false);
        Ok(())
    }
}
