//! The host's end of the UART: a serial port with a driver that gathers bytes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, LinkError, SerialLink};

use super::board::Board;
use super::uart::byte_time;

/// Bytes the host's driver takes before a write has to wait.
const PORT_BUFFER: u32 = 4096;
/// How long an adapter gathers bytes before it hands them over (one USB frame).
const GATHER: Duration = Duration::from_millis(1);

/// The host's serial port.
pub(super) struct SimSerial {
    board: Rc<RefCell<Board>>,
}

impl SimSerial {
    pub(super) fn new(board: Rc<RefCell<Board>>) -> Self {
        board.borrow_mut().uart.opened = true;
        Self { board }
    }

    /// Runs the board up to the present and lends it.
    fn with_board<T>(&self, work: impl FnOnce(&mut Board) -> T) -> Result<T, LinkError> {
        let mut board = self.board.borrow_mut();
        let now = board.clock.now();
        board.run(now);
        board.check()?;
        Ok(work(&mut board))
    }

    /// Another program has switched its rate, whatever is still on its way: it had the choice to wait.
    pub(super) fn set_line_rate(&self, baud: u32) -> Result<(), LinkError> {
        self.with_board(|board| board.uart.host_rate = baud)
    }

    fn advance_to(&self, then: Duration) -> Result<(), LinkError> {
        let clock = self.board.borrow().clock.clone();
        clock.advance_to(then);
        self.with_board(|_| ())
    }
}

impl SerialLink for SimSerial {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let accepted = self.with_board(|board| {
            board.host_sends(bytes);
            let buffered = byte_time(board.uart.host_rate) * PORT_BUFFER;
            board.uart.host_line_free.saturating_sub(buffered)
        })?;
        self.advance_to(accepted)
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        if into.is_empty() {
            return Ok(0);
        }
        let mut deadline = self.with_board(|board| board.clock.now().saturating_add(wait))?;
        let mut gathering = false;
        loop {
            let (have, next) = self.with_board(|board| (board.uart.received.len(), board.next_moment()))?;
            if have > 0 && !gathering {
                gathering = true;
                let now = self.board.borrow().clock.now();
                deadline = deadline.min(now + GATHER);
            }
            if have >= into.len() {
                break;
            }
            // Once something is there only bytes already on the line are waited for.
            let next = if gathering { self.board.borrow().last_within(deadline, into.len() - have) } else { next };
            match next.filter(|at| *at <= deadline) {
                Some(at) => self.advance_to(at)?,
                None if gathering => break,
                None => {
                    self.advance_to(deadline)?;
                    if self.board.borrow().uart.received.is_empty() {
                        return Ok(0);
                    }
                }
            }
        }
        self.with_board(|board| {
            let len = into.len().min(board.uart.received.len());
            for (place, byte) in into.iter_mut().zip(board.uart.received.drain(..len)) {
                *place = byte;
            }
            len
        })
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        if !(300..=4_000_000).contains(&baud) {
            let name = self.board.borrow().name.clone();
            return Err(LinkError::Unsupported { name, what: format!("{baud} baud") });
        }
        let drained = self.with_board(|board| board.uart.host_line_free)?;
        self.advance_to(drained)?;
        self.with_board(|board| board.uart.host_rate = baud)
    }

    fn baud(&self) -> u32 {
        self.board.borrow().uart.host_rate
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        self.with_board(|board| board.uart.received.clear())
    }
}
