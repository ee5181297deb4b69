//! The download program in the mask ROM of the BK7231N and its relatives: every opcode, no guard, no frame ahead of an answer
//! (uart-protocol.md §4 to §10 and §12).

use std::collections::HashMap;
use std::time::Duration;

use super::super::chance::Chance;
use super::super::flash::Flash;
use super::super::setup::Knobs;
use super::super::sums::{CRC32_START, crc32};
use super::{Action, PREFIX, Program, Then, crc_speed, erase, free, long, program, real_rate, short, word, write};

/// eFuse control and result registers.
const EFUSE: (u32, u32) = (0x0080_0074, 0x0080_0078);
/// A frame that announces this much or more is dropped.
const TOO_LONG: u16 = 4200;

const BUSY: u8 = 0x03;
const WRONG_LENGTH: u8 = 0x04;
const BAD_PARAMETER: u8 = 0x06;
const UNKNOWN: u8 = 0x07;

/// The ROM's state.
#[derive(Debug)]
pub(in crate::link::sim) struct Rom {
    program: Program,
    frame: Vec<u8>,
    last_byte: Duration,
    registers: HashMap<u32, u32>,
    seed: u64,
}

impl Rom {
    pub(super) fn new(program: Program, seed: u64) -> Self {
        Self { program, frame: Vec::new(), last_byte: Duration::ZERO, registers: HashMap::new(), seed }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(self.program, self.seed);
    }

    /// When the frame under way is given up, if there is one whose length is known.
    pub(in crate::link::sim) fn gives_up_at(&self, knobs: &Knobs) -> Option<Duration> {
        (self.frame.len() > 3).then(|| self.last_byte + knobs.frame_timeout)
    }

    /// Gives the frame under way up: status 05 in place of the opcode.
    pub(in crate::link::sim) fn give_up(&mut self, now: Duration) -> Option<Action> {
        let long_frame = self.frame.get(3) == Some(&0xFF);
        self.frame.clear();
        let mut answer = vec![0x04, 0x0E];
        if long_frame {
            answer.push(0xFF);
            answer.extend(PREFIX);
            answer.extend([0xF4, 0x01, 0x00, 0x05]);
        } else {
            answer.push(0x04);
            answer.extend(PREFIX);
            answer.push(0x05);
        }
        Action::answer(now, answer)
    }

    pub(super) fn byte(&mut self, byte: u8, now: Duration, flash: &mut Flash, knobs: &Knobs) -> Option<Action> {
        self.last_byte = now;
        self.frame.push(byte);
        let have = self.frame.len();
        if have <= 3 {
            if byte != PREFIX[have - 1] {
                self.frame.clear();
                if byte == PREFIX[0] {
                    self.frame.push(byte);
                }
            }
            return None;
        }
        let (head, len) = match (self.frame[3], self.frame.get(4..7)) {
            (0xFF, Some(&[0xF4, low, high])) => (7, u16::from_le_bytes([low, high])),
            (0xFF, Some(_)) => return self.drop_frame(),
            (0xFF, None) => return None,
            (len, _) => (4, u16::from(len)),
        };
        if len == 0 || len >= TOO_LONG {
            return self.drop_frame();
        }
        if have < head + usize::from(len) {
            return None;
        }
        let frame = std::mem::take(&mut self.frame);
        let body = &frame[head..];
        if head == 7 { long_frame(body, now, flash) } else { self.short_frame(body, now, flash, knobs) }
    }

    fn drop_frame(&mut self) -> Option<Action> {
        self.frame.clear();
        None
    }

    fn short_frame(&mut self, body: &[u8], now: Duration, flash: &mut Flash, knobs: &Knobs) -> Option<Action> {
        let (opcode, rest) = body.split_first()?;
        let linked = |answer| Some(Action { ready: now, answer, then: Then::Linked, ..Action::default() });
        match (opcode, rest) {
            (0x00, []) => linked(short(0x01, &[0x00])),
            (0x01, [_, _, _, _, _, _, _, _]) => {
                self.write_register(word(rest), word(&rest[4..]));
                Action::answer(now, short(0x01, rest))
            }
            (0x03, [_, _, _, _]) => {
                let value = self.read_register(word(rest));
                let mut echo = [rest, &value.to_le_bytes()].concat();
                if self.program.echoes_one_too_high() {
                    echo[0] = echo[0].wrapping_add(1);
                }
                Action::answer(now, short(0x03, &echo))
            }
            (0x0E, [0xA5]) | (0x70, [0x53, 0x45, 0x41, 0x4E]) => Action::then(now, Then::Reset),
            (0x0E | 0x70, _) => Action::answer(now, short(*opcode, rest)),
            (0x0F, [_, _, _, _, delay]) => Some(Action {
                ready: now + Duration::from_millis(u64::from(*delay)),
                answer: short(0x0F, rest),
                baud: Some(real_rate(word(rest))),
                then: Then::Listen,
            }),
            (0x10, [_, _, _, _, _, _, _, _]) => {
                let (start, end) = (word(rest), word(&rest[4..]));
                let len = end.wrapping_sub(start).wrapping_add(1);
                // A reversed range is a count of thousands of millions to the ROM: it computes for hours.
                if end < start || len > 1 << 28 {
                    return Action::then(now, Then::Wedged);
                }
                flash.command(now);
                let begin = free(flash, now)?;
                let crc = crc32(CRC32_START, (0..len).map(|offset| flash.cell(start.wrapping_add(offset))));
                let time = Duration::from_secs_f64(f64::from(len) / crc_speed(self.program, knobs));
                Action::answer(begin + time, short(0x10, &crc.to_le_bytes()))
            }
            (0xAA, [0x55]) => linked(short(0xAA, &[0x55])),
            _ => Action::answer(now, short(*opcode, &[UNKNOWN])),
        }
    }

    fn read_register(&self, address: u32) -> u32 {
        let (register, id) = self.program.chip_id();
        if address == register {
            return id;
        }
        match self.registers.get(&address) {
            Some(value) => *value,
            // The mask ROM reads as code; nobody published it, so the words are made up.
            None if address < 0x4000 => Chance::new(self.seed ^ u64::from(address / 4)).next() as u32,
            None => 0,
        }
    }

    fn write_register(&mut self, address: u32, value: u32) {
        if address == EFUSE.0 && value & 1 == 1 && self.program.has_efuse() {
            let index = (value >> 8 & 0x1F) as usize;
            let byte = self.program.efuse(index);
            self.registers.insert(EFUSE.0, value & !1);
            self.registers.insert(EFUSE.1, 0x100 | u32::from(byte));
        } else if address >= 0x4000 {
            self.registers.insert(address, value);
        }
    }
}

fn long_frame(body: &[u8], now: Duration, flash: &mut Flash) -> Option<Action> {
    let (opcode, rest) = body.split_first()?;
    // A flash that never becomes free is answered for after a second.
    let done = |end: Option<Duration>, data: &[u8]| match end {
        Some(end) => Action::answer(end, long(*opcode, 0x00, data)),
        None => Action::answer(now + Duration::from_secs(1), long(*opcode, BUSY, data)),
    };
    match (opcode, rest) {
        (0x06, [_, _, _, _, data @ ..]) if (1..=256).contains(&data.len()) => {
            let mut echo = rest[..4].to_vec();
            echo.push(data.len() as u8);
            done(program(flash, word(rest), data, now), &echo)
        }
        (0x07, [low, _, _, _, data @ ..]) if data.len() == 4096 => {
            if *low != 0 {
                return Action::answer(now, long(0x07, BAD_PARAMETER, &rest[..4]));
            }
            done(program(flash, word(rest), data, now), &rest[..4])
        }
        (0x08, [_, _, _, _, count]) => {
            let mut data = rest[..4].to_vec();
            flash.command(now);
            data.extend(flash.read(word(rest), (*count).into()));
            done(free(flash, now), &data)
        }
        (0x09, [_, _, _, _]) => {
            let mut data = rest.to_vec();
            flash.command(now);
            data.extend(flash.read(word(rest), 4096));
            done(free(flash, now), &data)
        }
        (0x0A, [limit]) => {
            let end = write(flash, &mut [0xC7], now);
            done(end, &[*limit])
        }
        (0x0B, [_, _, _, _]) => done(erase(flash, 0x20, word(rest), now), rest),
        (0x0C, [register]) => {
            let mut frame = [*register, 0];
            flash.transfer(&mut frame, now);
            done(Some(now), &[*register, frame[1]])
        }
        (0x0D, [register, values @ ..]) if (1..=2).contains(&values.len()) => {
            let mut frame = [&[*register], values].concat();
            let end = write(flash, &mut frame, now);
            done(end, rest)
        }
        (0x0E, [_, ..]) => {
            let mut frame = rest.to_vec();
            flash.transfer(&mut frame, now);
            done(Some(now), &frame)
        }
        (0x0F, [size @ (0x20 | 0x52 | 0xD8), address @ ..]) if address.len() == 4 => {
            done(erase(flash, *size, word(address), now), rest)
        }
        (0x0F, [_, _, _, _, _]) => Action::answer(now, long(0x0F, BAD_PARAMETER, rest)),
        (0x06..=0x0F, _) => Action::answer(now, long(*opcode, WRONG_LENGTH, &[])),
        _ => Action::answer(now, long(*opcode, UNKNOWN, &[])),
    }
}
