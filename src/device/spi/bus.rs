//! Single NOR commands on the bus, and the two waits that go with them.

use std::rc::Rc;
use std::time::Duration;

use super::super::error::DeviceError;
use crate::codec::nor::opcode::{self, Addressing};
use crate::link::{Clock, LinkError, SpiLink};

/// A status register that reads FF is no busy part, it is no part (spi-flash.md §4).
const NOBODY: u8 = 0xFF;
/// Reads of FF in a row that are believed.
const NOBODY_READS: u32 = 3;
/// How long one look at WIP lasts: the register may be read on and on in one frame (spi-flash.md §4).
const LOOK_TIME: Duration = Duration::from_micros(64);
/// A frame of a read takes at most this long, so that a job can be stopped between two of them.
const FRAME_TIME: Duration = Duration::from_millis(50);

/// Pauses before a transfer that a busy computer gave up is made again.
const PAUSES: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// What became of a command that changes the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It went out whole behind a write enable.
    Made,
    /// It went out, or a part of it, or nothing.
    Doubtful,
}

/// What is waited for, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Busy {
    pub request: &'static str,
    pub at: u32,
    pub limit: Duration,
    /// Pause between two looks at WIP.
    pub poll: Duration,
}

/// How a wait for WIP ended.
struct End {
    /// When the look began that saw WIP at 0.
    last_look: Duration,
    /// Which look that was, from 1.
    looks: u32,
    /// WIP was 0 from the beginning of that look on.
    at_once: bool,
}

/// The bus with a flash on it.
pub(in crate::device) struct NorBus {
    wire: Box<dyn SpiLink>,
    clock: Rc<dyn Clock>,
    frame: Vec<u8>,
    /// The frame as it went out, for the case that it has to go out again.
    sent: Vec<u8>,
    /// Transfers that the system gave up and that were made again.
    repeated: u32,
    /// Highest clock of the plain read command; above it a dummy byte is needed.
    pub plain_read_limit: u32,
    /// How many address bytes reads, programs and erases carry.
    pub addressing: Addressing,
}

impl NorBus {
    pub fn new(wire: Box<dyn SpiLink>, clock: Rc<dyn Clock>) -> Self {
        Self {
            wire,
            clock,
            frame: Vec::new(),
            sent: Vec::new(),
            repeated: 0,
            plain_read_limit: u32::MAX,
            addressing: Addressing::Three,
        }
    }

    /// One frame; the answer is as long as the question.
    pub fn transfer(&mut self, question: &[u8]) -> Result<&[u8], LinkError> {
        self.frame.clear();
        self.frame.extend_from_slice(question);
        self.exchange()?;
        Ok(&self.frame)
    }

    /// The frame that was put together, again after a pause where a busy computer gave the transfer up. Only for frames that
    /// may go out twice: reads, and what changes nothing.
    fn exchange(&mut self) -> Result<(), LinkError> {
        self.sent.clone_from(&self.frame);
        for pause in PAUSES {
            match self.wire.exchange(&mut self.frame) {
                Err(LinkError::TimedOut { .. }) => {
                    self.repeated += 1;
                    self.clock.sleep(pause);
                    self.frame.clone_from(&self.sent);
                }
                other => return other,
            }
        }
        self.wire.exchange(&mut self.frame)
    }

    /// How many transfers were made again since the last call.
    pub fn take_repeated(&mut self) -> u32 {
        std::mem::take(&mut self.repeated)
    }

    /// One frame whose answer does not matter.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.transfer(bytes).map(|_| ())
    }

    /// The JEDEC id as one read of it gives it.
    pub fn id(&mut self) -> Result<[u8; 3], LinkError> {
        let answer = self.transfer(&opcode::read_id())?;
        Ok(answer.get(1..4).and_then(|id| id.try_into().ok()).unwrap_or_default())
    }

    /// One status register.
    pub fn status(&mut self, register: u8) -> Result<u8, LinkError> {
        let answer = self.transfer(&opcode::read_status(register))?;
        Ok(answer.get(1).copied().unwrap_or(NOBODY))
    }

    /// Serial flash discoverable parameters.
    pub fn sfdp(&mut self, at: u32, len: usize) -> Result<Vec<u8>, LinkError> {
        let answer = self.transfer(&opcode::read_sfdp(at, len))?;
        Ok(answer.get(opcode::PARAMETER_HEADER..).unwrap_or_default().to_vec())
    }

    /// The first `len` bytes of the unique id.
    pub fn unique_id(&mut self, len: usize) -> Result<Vec<u8>, LinkError> {
        let answer = self.transfer(&opcode::read_unique_id(len))?;
        Ok(answer.get(opcode::PARAMETER_HEADER..).unwrap_or_default().to_vec())
    }

    /// One frame of flash content, at most [`NorBus::read_room`] bytes.
    pub fn read(&mut self, at: u32, into: &mut [u8]) -> Result<(), LinkError> {
        let fast = self.wire.clock() > self.plain_read_limit;
        let header = opcode::read(&mut self.frame, fast, self.addressing, at, into.len());
        self.exchange()?;
        if let Some(data) = self.frame.get(header..) {
            into.copy_from_slice(data);
        }
        Ok(())
    }

    /// Data bytes one read frame may carry at the present clock.
    pub fn read_room(&self) -> usize {
        let by_time = u64::from(self.wire.clock() / 8) * FRAME_TIME.as_millis() as u64 / 1000;
        let by_driver = self.wire.longest_frame().saturating_sub(opcode::LONGEST_READ_HEADER);
        by_driver.min(by_time as usize).max(32)
    }

    /// Asks for a clock; returns the one in force.
    pub fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        self.wire.set_clock(hz)
    }

    /// The clock in force.
    pub fn clock_hz(&self) -> u32 {
        self.wire.clock()
    }

    /// SPI mode 0 or 3.
    pub fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        self.wire.set_mode(mode)
    }

    /// The driver's limit for one frame.
    pub fn longest_frame(&self) -> usize {
        self.wire.longest_frame()
    }

    /// Lets so much time pass.
    pub fn pause(&self, time: Duration) {
        self.clock.sleep(time);
    }

    /// Waits until WIP is 0.
    pub(super) fn wait_idle(&mut self, busy: Busy) -> Result<(), DeviceError> {
        self.follow(busy).map(|_| ())
    }

    /// Sends WREN to an idle part, a look whether it took, and one command that needs it, and waits for the end of its
    /// work. The three go out together: without WEL the part drops the command by itself.
    ///
    /// `usual` is how long such work takes until it is worth looking; it follows what is seen.
    ///
    /// A transfer that the system gave up is not made again blindly: what began goes to its end first. If write enable still
    /// stands then, the command did not act, and all three go out again; else only reading back can tell.
    pub(super) fn change(&mut self, command: &[u8], busy: Busy, usual: &mut Duration) -> Result<Change, DeviceError> {
        for pause in PAUSES {
            match self.change_once(command, busy, usual) {
                Err(DeviceError::Link(LinkError::TimedOut { .. })) => {
                    self.repeated += 1;
                    self.clock.sleep(pause);
                    self.follow(busy)?;
                    if self.status(opcode::READ_STATUS_1)? & opcode::WEL == 0 {
                        return Ok(Change::Doubtful);
                    }
                    self.send(&[opcode::WRITE_DISABLE])?;
                }
                other => return other.map(|()| Change::Made),
            }
        }
        self.change_once(command, busy, usual).map(|()| Change::Made)
    }

    fn change_once(&mut self, command: &[u8], busy: Busy, usual: &mut Duration) -> Result<(), DeviceError> {
        let (mut enable, mut look) = ([opcode::WRITE_ENABLE], opcode::read_status(opcode::READ_STATUS_1));
        self.frame.clear();
        self.frame.extend_from_slice(command);
        self.wire.exchange_all(&mut [&mut enable, &mut look, &mut self.frame])?;
        let begun = self.clock.now();
        let [_, status] = look;
        if status & (opcode::WIP | opcode::WEL) != opcode::WEL {
            return Err(DeviceError::NoWriteEnable { at: busy.at, status });
        }
        self.clock.sleep(*usual);
        let end = self.follow(busy)?;
        if end.looks > 1 {
            *usual = end.last_look.saturating_sub(begun);
        } else if end.at_once {
            // It may have been over for a while.
            *usual -= *usual / 16;
        }
        Ok(())
    }

    /// Looks at WIP until it is 0.
    fn follow(&mut self, busy: Busy) -> Result<End, DeviceError> {
        let until = self.clock.now() + busy.limit;
        let bytes = u64::from(self.wire.clock() / 8) * LOOK_TIME.as_micros() as u64 / 1_000_000;
        let room = self.longest_frame().saturating_sub(1).max(1);
        let (mut nobody, mut looks) = (0, 0);
        loop {
            let last_look = self.clock.now();
            looks += 1;
            self.frame.clear();
            self.frame.resize(1 + (bytes as usize).clamp(1, room), 0);
            if let Some(first) = self.frame.first_mut() {
                *first = opcode::READ_STATUS_1;
            }
            self.exchange()?;
            let status = self.frame.last().copied().unwrap_or(NOBODY);
            if status & opcode::WIP == 0 {
                let at_once = self.frame.get(1).is_some_and(|first| first & opcode::WIP == 0);
                return Ok(End { last_look, looks, at_once });
            }
            nobody = if status == NOBODY { nobody + 1 } else { 0 };
            if nobody == NOBODY_READS {
                return Err(DeviceError::NoAnswer { request: busy.request, at: busy.at });
            }
            if self.clock.now() >= until {
                return Err(DeviceError::StillBusy { request: busy.request, at: busy.at, waited: busy.limit });
            }
            self.clock.sleep(busy.poll);
        }
    }

    /// Sets WEL and clears it again, over and over; the status register that was not as it should be, if one was. Touches
    /// no cell and leaves WEL cleared.
    pub fn enable_rounds(&mut self, rounds: usize) -> Result<Result<(), u8>, LinkError> {
        let look = opcode::read_status(opcode::READ_STATUS_1);
        for _ in 0..rounds {
            let (mut enable, mut disable) = ([opcode::WRITE_ENABLE], [opcode::WRITE_DISABLE]);
            let (mut set, mut clear) = (look, look);
            match self.wire.exchange_all(&mut [&mut enable, &mut set, &mut disable, &mut clear]) {
                // The next round begins with the same, whatever went out of this one.
                Err(LinkError::TimedOut { .. }) => {
                    self.repeated += 1;
                    self.clock.sleep(PAUSES[0]);
                    self.send(&[opcode::WRITE_DISABLE])?;
                    continue;
                }
                other => other?,
            }
            for ([_, status], wanted) in [(set, opcode::WEL), (clear, 0)] {
                if status & (opcode::WIP | opcode::WEL) != wanted {
                    self.send(&[opcode::WRITE_DISABLE])?;
                    return Ok(Err(status));
                }
            }
        }
        Ok(Ok(()))
    }
}
