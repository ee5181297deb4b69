//! The SPI end of a module: frames from the host's controller, through the wires, to the chip's pins.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, LinkError, SpiLink};

use super::board::{Board, Drive, Phase};
use super::electrics::{Echo, Electrics};
use super::wires::{Held, HostPins, Pad};

/// The highest clock the simulated controller offers, in Hz.
const FASTEST: u32 = 50_000_000;
/// The lowest, in Hz.
const SLOWEST: u32 = 4_000;

/// The chip's view of its SPI pins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pins {
    csn: bool,
    /// `None` until the clock pin is looked at for the first time after a reset: a level that stands is no edge.
    sck: Option<bool>,
    bits: u32,
    shifted: u8,
    drive: Drive,
    /// Whether a clock edge came since the chip was reset.
    pub(super) clocked: bool,
    /// Whether the flash follows this frame.
    pub(super) reaches_flash: bool,
}

impl Default for Pins {
    fn default() -> Self {
        Self { csn: true, sck: None, bits: 0, shifted: 0, drive: Drive::Floating, clocked: false, reaches_flash: false }
    }
}

/// The host's SPI controller.
pub(super) struct SimSpi {
    pub(super) board: Rc<RefCell<Board>>,
    hz: u32,
    mode: u8,
}

impl SimSpi {
    pub(super) fn new(board: Rc<RefCell<Board>>) -> Self {
        Self { board, hz: 1_000_000, mode: 0 }
    }
}

impl SpiLink for SimSpi {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.exchange_all(&mut [frame])
    }

    fn exchange_all(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        let mut board = self.board.borrow_mut();
        let longest = board.knobs.longest_frame;
        for frame in frames.iter() {
            if frame.len() > longest {
                let why = format!("message of {} bytes is too long, the limit is {longest}", frame.len());
                return Err(LinkError::Io { name: board.name.clone(), why });
            }
        }
        board.check()?;
        if board.taken.is_some() {
            let why = "the pins are taken for probing, the controller is off them".to_owned();
            return Err(LinkError::Io { name: board.name.clone(), why });
        }
        board.work_hand();
        let mut now = board.clock.now() + board.knobs.message_latency;
        board.traffic.spi_messages += 1;
        for frame in frames.iter_mut() {
            now = board.spi_frame(frame, now, self.hz, self.mode);
            board.check()?;
        }
        let clock = board.clock.clone();
        drop(board);
        clock.advance_to(now);
        Ok(())
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        if hz < SLOWEST {
            let name = self.board.borrow().name.clone();
            return Err(LinkError::Unsupported { name, what: format!("an SPI clock of {hz} Hz") });
        }
        self.hz = hz.min(FASTEST);
        Ok(self.hz)
    }

    fn clock(&self) -> u32 {
        self.hz
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        if !matches!(mode, 0 | 3) {
            let name = self.board.borrow().name.clone();
            return Err(LinkError::Unsupported { name, what: format!("SPI mode {mode}") });
        }
        self.mode = mode;
        Ok(())
    }

    fn longest_frame(&self) -> usize {
        self.board.borrow().knobs.longest_frame
    }
}

impl Board {
    /// One frame; returns the time of its end.
    fn spi_frame(&mut self, frame: &mut [u8], start: Duration, hz: u32, mode: u8) -> Duration {
        let bit = 1_000_000_000 / u64::from(hz.max(1));
        let byte = u64::from(self.knobs.clocks_per_byte) * 1_000_000_000 / u64::from(hz.max(1));
        self.disturb_sent(frame, hz);
        if self.wires.spi_sound() {
            self.bytes(frame, start, byte);
            self.draw(frame.len() as u64, start + Duration::from_nanos(byte * frame.len() as u64));
        } else {
            self.edges(frame, start, bit, mode);
        }
        self.disturb_received(frame, hz);
        let time = Duration::from_nanos(byte * frame.len() as u64);
        self.traffic.spi_time += time;
        self.traffic.spi_bytes += frame.len() as u64;
        start + time
    }

    /// A sound harness: whole bytes arrive as they are.
    fn bytes(&mut self, frame: &mut [u8], start: Duration, byte_ns: u64) {
        let floating = self.knobs.floating;
        self.chip_select(start);
        let mut end = start;
        for place in 0..frame.len() {
            if self.pins.reaches_flash && self.flash.is_streaming() {
                self.flash.stream(&mut frame[place..]);
                end = start + Duration::from_nanos(byte_ns * frame.len() as u64);
                break;
            }
            let begin = end;
            end = start + Duration::from_nanos(byte_ns * (place as u64 + 1));
            let sent = frame[place];
            frame[place] = match self.chip_output(begin) {
                Drive::Floating => floating,
                Drive::Echo => sent,
                Drive::Byte(back) => back,
            };
            self.chip_input(sent, end);
        }
        self.chip_deselect(true, end);
    }

    /// A bad harness: every edge goes through the wires, and the chip makes of it what it can.
    fn edges(&mut self, frame: &mut [u8], start: Duration, bit_ns: u64, mode: u8) {
        let idle = mode == 3;
        let mut now = start;
        let mut host = HostPins::controller(idle, true, false, self.knobs.floating & 1 == 1);
        self.feed_rail(&host, now);
        self.levels(&host, now);
        host.csn = Held::Low;
        self.levels(&host, now);
        for byte in frame.iter_mut() {
            let mut back = 0;
            for place in (0..8).rev() {
                host.sck = Held::Low;
                host.si = Held::drive(*byte >> place & 1 == 1);
                self.levels(&host, now);
                let module = self.so_level(&host, now);
                let level = self.wires.at_host(Pad::So, module, &host, self.is_dead(now)) ^ self.misread();
                now += Duration::from_nanos(bit_ns);
                host.sck = Held::High;
                self.levels(&host, now);
                back = back << 1 | u8::from(level);
            }
            *byte = back;
        }
        host.sck = Held::drive(idle);
        self.levels(&host, now);
        host.csn = Held::High;
        self.levels(&host, now);
    }

    /// The chip sees new levels on its pins.
    pub(super) fn levels(&mut self, host: &HostPins, now: Duration) {
        let high = self.knobs.electrics.floats_high;
        let (csn, sck) = (self.wires.at_module(Pad::Csn, host, high), self.wires.at_module(Pad::Sck, host, high));
        let mut si = self.wires.at_module(Pad::Si, host, high);
        if csn != self.pins.csn {
            self.pins.csn = csn;
            if csn {
                self.chip_deselect(self.pins.bits.is_multiple_of(8), now);
            } else {
                self.pins.bits = 0;
                self.chip_select(now);
            }
            self.pins.drive = self.chip_output(now);
        }
        let before = self.pins.sck.replace(sck);
        if sck && before == Some(false) {
            self.pins.clocked = true;
            si ^= self.misread();
            self.pins.shifted = self.pins.shifted << 1 | u8::from(si);
            self.pins.bits += 1;
            if self.pins.bits.is_multiple_of(8) {
                self.chip_input(self.pins.shifted, now);
                self.pins.drive = self.chip_output(now);
                self.draw(1, now);
            }
        }
    }

    /// What the chip drives on SO at this moment; `None` while the pad is high-Z.
    pub(super) fn so_level(&mut self, host: &HostPins, now: Duration) -> Option<bool> {
        // Between two bytes, and outside of SPI mode, time alone may have changed it.
        if self.pins.bits.is_multiple_of(8) || !matches!(self.phase, Phase::SpiMode { .. }) {
            self.pins.drive = self.chip_output(now);
        }
        let Electrics { echo, floats_high, firmware_so, .. } = self.knobs.electrics;
        match self.pins.drive {
            Drive::Floating if matches!(self.phase, Phase::Running { firmware: true }) => firmware_so,
            Drive::Floating => None,
            Drive::Echo if self.pins.clocked || echo == Echo::AtOnce => {
                Some(self.wires.at_module(Pad::Si, host, floats_high))
            }
            Drive::Echo => (echo == Echo::Clocked).then_some(false),
            Drive::Byte(byte) => Some(byte >> (7 - self.pins.bits % 8) & 1 == 1),
        }
    }

    /// Whether a level is misread this time, for want of a common ground.
    pub(super) fn misread(&mut self) -> bool {
        self.wires.ground_open() && self.chance.one_in(self.knobs.electrics.ground_noise)
    }

    /// The flash has moved so many bytes: a supply that is too weak gives way after a while, and the chip starts anew.
    fn draw(&mut self, bytes: u64, now: Duration) {
        let Some(limit) = self.faults().weak_supply else { return };
        if !matches!(self.phase, Phase::SpiMode { .. }) {
            return;
        }
        self.drawn += bytes;
        if self.drawn >= limit {
            self.drawn = 0;
            self.reset(now);
            if !self.is_off(self.held) {
                self.phase = Phase::Starting { since: now, seen: 0 };
            }
        }
    }

    fn disturb_sent(&mut self, frame: &mut [u8], hz: u32) {
        let far_too_fast = hz / 2 > self.clock_limit();
        let noise = self.faults().noise.unwrap_or(0);
        if far_too_fast || noise > 0 {
            self.flip(frame, noise, far_too_fast);
        }
    }

    fn disturb_received(&mut self, frame: &mut [u8], hz: u32) {
        let late = lateness(hz, self.clock_limit());
        if late > 0 {
            // SO comes too late for the host's edge: each bit is seen one clock later.
            let mut carried = self.knobs.floating & 1;
            for byte in frame.iter_mut() {
                let next = *byte & 1;
                if self.chance.below(1000) < late {
                    *byte = *byte >> 1 | carried << 7;
                }
                carried = next;
            }
        }
        self.disturb_sent(frame, hz);
    }

    fn flip(&mut self, frame: &mut [u8], noise: u32, often: bool) {
        for byte in frame.iter_mut() {
            if self.chance.one_in(noise) || (often && self.chance.one_in(8)) {
                *byte ^= 1 << self.chance.below(8);
            }
        }
    }
}

/// How many of a thousand bytes come too late at this clock. A driver's delay varies a little, so the end of what the
/// wires carry is a slope: some bytes are hit right above the limit, and all of them a quarter above it.
fn lateness(hz: u32, limit: u32) -> u32 {
    let above = u64::from(hz.saturating_sub(limit));
    (above * 4000).div_ceil(u64::from(limit.max(1))).min(1000) as u32
}
