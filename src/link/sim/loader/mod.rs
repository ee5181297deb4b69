//! The two download programs a chip can have: the boot loader in the flash of the T, the ROM of the N.

mod basic;
mod program;
mod rom;

use std::time::Duration;

use super::flash::Flash;
use super::setup::Knobs;

pub(super) use basic::Basic;
pub use program::Program;
pub(super) use rom::Rom;

/// What a download program does after a byte.
#[derive(Debug, Default)]
pub(super) struct Action {
    /// When it is done computing and begins to answer.
    pub(super) ready: Duration,
    /// The answer; may be empty.
    pub(super) answer: Vec<u8>,
    /// A new UART rate that holds before the answer.
    pub(super) baud: Option<u32>,
    /// What comes after the answer.
    pub(super) then: Then,
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    /// The next frame.
    #[default]
    Listen,
    /// The host is linked: no start of the firmware any more.
    Linked,
    /// A reset of the chip.
    Reset,
    /// Nothing until a reset: the program hangs.
    Wedged,
}

impl Action {
    fn answer(ready: Duration, answer: Vec<u8>) -> Option<Self> {
        Some(Self { ready, answer, ..Self::default() })
    }

    fn then(ready: Duration, then: Then) -> Option<Self> {
        Some(Self { ready, then, ..Self::default() })
    }
}

/// The download program of a chip.
#[derive(Debug)]
pub(super) enum Loader {
    Basic(Basic),
    Rom(Rom),
}

impl Loader {
    pub(super) fn of(program: Program, seed: u64) -> Self {
        if program.is_basic() { Self::Basic(Basic::new(program)) } else { Self::Rom(Rom::new(program, seed)) }
    }

    /// Forgets the frame under way, as a reset does.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Basic(basic) => basic.reset(),
            Self::Rom(rom) => rom.reset(),
        }
    }

    /// A byte comes in while the program listens.
    pub(super) fn byte(&mut self, byte: u8, now: Duration, flash: &mut Flash, knobs: &Knobs) -> Option<Action> {
        match self {
            Self::Basic(basic) => basic.byte(byte, now, flash, knobs),
            Self::Rom(rom) => rom.byte(byte, now, flash, knobs),
        }
    }
}

/// `01 E0 FC`, in front of every request and inside every answer.
const PREFIX: [u8; 3] = [0x01, 0xE0, 0xFC];

/// A short answer: `04 0E RR 01 E0 FC OP data`.
fn short(opcode: u8, data: &[u8]) -> Vec<u8> {
    let mut answer = vec![0x04, 0x0E, 4 + data.len() as u8];
    answer.extend(PREFIX);
    answer.push(opcode);
    answer.extend(data);
    answer
}

/// A long answer: `04 0E FF 01 E0 FC F4 NN NN OP ST data`.
fn long(opcode: u8, status: u8, data: &[u8]) -> Vec<u8> {
    let mut answer = vec![0x04, 0x0E, 0xFF];
    answer.extend(PREFIX);
    answer.push(0xF4);
    answer.extend((2 + data.len() as u16).to_le_bytes());
    answer.extend([opcode, status]);
    answer.extend(data);
    answer
}

/// Bytes a second that the chip's CRC goes over.
fn crc_speed(program: Program, knobs: &Knobs) -> f64 {
    f64::from(knobs.crc_speed.unwrap_or(program.crc_speed()))
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// The rate that comes of a wish: 26 MHz by a whole number, 5 at least (uart-protocol.md §2).
fn real_rate(wish: u32) -> u32 {
    let wish = wish.max(1);
    26_000_000 / ((26_000_000 + wish / 2) / wish).max(5)
}

/// When the flash is free for the next operation, or `None` when it never will be.
fn free(flash: &Flash, now: Duration) -> Option<Duration> {
    flash.free_at().map(|free| free.max(now))
}

/// Sends a write enable and a program for each page of `data`, each after the end of the one before. Returns the end of
/// the last one.
fn program(flash: &mut Flash, address: u32, data: &[u8], now: Duration) -> Option<Duration> {
    let mut at = free(flash, now)?;
    let mut address = address;
    let mut rest = data;
    while !rest.is_empty() {
        let room = 256 - (address % 256) as usize;
        let (piece, next) = rest.split_at(room.min(rest.len()));
        let [_, high, middle, low] = address.to_be_bytes();
        let mut frame = vec![0x02, high, middle, low];
        frame.extend(piece);
        at = write(flash, &mut frame, at)?;
        address = address.wrapping_add(piece.len() as u32);
        rest = next;
    }
    Some(at)
}

/// Sends a write enable and a write-type frame to the flash, and waits for its end.
fn write(flash: &mut Flash, frame: &mut [u8], now: Duration) -> Option<Duration> {
    let at = free(flash, now)?;
    flash.transfer(&mut [0x06], at);
    flash.transfer(frame, at);
    free(flash, at)
}

/// An erase command with a 24-bit address.
fn erase(flash: &mut Flash, opcode: u8, address: u32, now: Duration) -> Option<Duration> {
    let [_, high, middle, low] = address.to_be_bytes();
    write(flash, &mut [opcode, high, middle, low], now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_divider() {
        for (wish, real) in [(115_200, 115_044), (460_800, 464_285), (921_600, 928_571), (1_500_000, 1_529_411)] {
            assert_eq!(real_rate(wish), real);
        }
        assert_eq!(real_rate(2_000_000), 2_000_000);
        assert_eq!(real_rate(9_000_000), 5_200_000);
    }
}
