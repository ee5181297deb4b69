//! The boot loader of the BK7231T and its relatives, as the code of the T behaves (uart-protocol.md §21 and the recorded exchanges).

use std::time::Duration;

use super::super::flash::Flash;
use super::super::setup::Knobs;
use super::super::sums::{CRC32_START, crc32};
use super::{Action, Program, Then, crc_speed, erase, free, long, program, real_rate, short, word};

/// Flash ids the loader knows how to lock. 1C 70 15 was seen; that there are 15 and that EB 60 15 is none of them too;
/// the others are those of the vendor's early lists.
const KNOWN: [[u8; 3]; 15] = [
    [0x1C, 0x70, 0x15],
    [0x1C, 0x70, 0x16],
    [0x1C, 0x41, 0x16],
    [0x0B, 0x40, 0x14],
    [0x0B, 0x40, 0x15],
    [0x0B, 0x40, 0x16],
    [0x0B, 0x40, 0x17],
    [0x0E, 0x40, 0x16],
    [0x5E, 0x40, 0x14],
    [0x51, 0x40, 0x14],
    [0xC2, 0x23, 0x15],
    [0xC8, 0x40, 0x13],
    [0xC8, 0x40, 0x15],
    [0xC8, 0x40, 0x16],
    [0x85, 0x60, 0x15],
];
/// The longest body the loader has room for.
const LONGEST: usize = 4200;

/// The loader's state.
#[derive(Debug)]
pub(in crate::link::sim) struct Basic {
    program: Program,
    place: Place,
    /// A link check has come since the last erase: the next erase unlocks.
    armed: bool,
}

#[derive(Debug, Default)]
enum Place {
    /// Looking for `01 E0 FC`; the number of its bytes seen.
    #[default]
    Hunt0,
    Hunt1,
    Hunt2,
    Length,
    /// The F4 behind a length of FF.
    Escape,
    LongLength(Vec<u8>),
    Body {
        left: usize,
        bytes: Vec<u8>,
        long: bool,
    },
    /// Inside the data of a sector write. The count goes down a page at a time and never notices that it has passed
    /// zero, so that a length that is no multiple of 256 never ends.
    Sector {
        start: u32,
        at: u32,
        left: u16,
        page: Vec<u8>,
    },
}

impl Basic {
    pub(super) fn new(program: Program) -> Self {
        Self { program, place: Place::default(), armed: false }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(self.program);
    }

    pub(super) fn byte(&mut self, byte: u8, now: Duration, flash: &mut Flash, knobs: &Knobs) -> Option<Action> {
        let mut action = None;
        self.place = match (std::mem::take(&mut self.place), byte) {
            (Place::Hunt0, 0x01) => Place::Hunt1,
            (Place::Hunt1, 0xE0) => Place::Hunt2,
            (Place::Hunt2, 0xFC) => Place::Length,
            // A byte out of order starts the hunt anew and is itself not looked at again: a stray 01 swallows a frame.
            (Place::Hunt0 | Place::Hunt1 | Place::Hunt2, _) => Place::Hunt0,
            (Place::Length, 0x00) => Place::Hunt0,
            (Place::Length, 0xFF) => Place::Escape,
            (Place::Length, len) => Place::Body { left: len.into(), bytes: Vec::new(), long: false },
            (Place::Escape, 0xF4) => Place::LongLength(Vec::new()),
            (Place::Escape, _) => Place::Hunt0,
            (Place::LongLength(mut bytes), byte) => {
                bytes.push(byte);
                match *bytes {
                    [low, high] => match u16::from_le_bytes([low, high]) {
                        0 => Place::Hunt0,
                        len => Place::Body { left: len.into(), bytes: Vec::new(), long: true },
                    },
                    _ => Place::LongLength(bytes),
                }
            }
            (Place::Body { left, mut bytes, long }, byte) => {
                if bytes.len() < LONGEST {
                    bytes.push(byte);
                }
                if long && bytes.len() == 5 && bytes[0] == 0x07 && left > 1 {
                    let start = word(&bytes[1..]);
                    Place::Sector { start, at: start, left: (left - 1) as u16, page: Vec::new() }
                } else if left > 1 {
                    Place::Body { left: left - 1, bytes, long }
                } else {
                    action = if long {
                        self.long_frame(&bytes, now, flash)
                    } else {
                        self.short_frame(&bytes, now, flash, knobs)
                    };
                    Place::Hunt0
                }
            }
            (Place::Sector { start, at, left, mut page }, byte) => {
                page.push(byte);
                if page.len() < 256 {
                    Place::Sector { start, at, left, page }
                } else {
                    let (next, done) = sector_page(self.program, (start, at, left), &page, now, flash);
                    action = done;
                    next
                }
            }
        };
        action
    }

    fn short_frame(&mut self, body: &[u8], now: Duration, flash: &mut Flash, knobs: &Knobs) -> Option<Action> {
        match *body {
            [0x00, ..] => {
                self.armed = true;
                Some(Action { ready: now, answer: short(0x01, &[0x00]), then: Then::Linked, ..Action::default() })
            }
            [0x0E, 0xA5, ..] => Action::then(now, Then::Reset),
            [0x0F, ref wish @ ..] if wish.len() >= 5 => {
                let ticks = u64::from(wish[4]) + 1;
                Some(Action {
                    ready: now + Duration::from_millis(2 * ticks),
                    answer: short(0x0F, &wish[..5]),
                    baud: Some(real_rate(word(wish))),
                    then: Then::Listen,
                })
            }
            [0x10, ref span @ ..] if span.len() >= 8 => {
                let (start, end) = (word(span), word(&span[4..]));
                let blocks = end.wrapping_sub(start).wrapping_add(1) >> 8;
                // They are counted in 16 bits: an end before the start, or 16 MiB behind it, never comes.
                if blocks > 0xFFFF {
                    return Action::then(now, Then::Wedged);
                }
                let bytes = blocks * 256;
                let start = start & 0xFF_FFFF;
                flash.command(now);
                let Some(begin) = free(flash, now) else { return Action::then(now, Then::Wedged) };
                let crc =
                    crc32(CRC32_START, (0..bytes).map(|offset| flash.cell(start.wrapping_add(offset) & 0xFF_FFFF)));
                let end = begin + Duration::from_secs_f64(f64::from(bytes) / crc_speed(self.program, knobs));
                match protect(flash, true, end) {
                    Some(ready) => Action::answer(ready, short(0x10, &crc.to_le_bytes())),
                    None => Action::then(end, Then::Wedged),
                }
            }
            [0x11, ..] => Action::answer(now, short(0x11, &self.program.version()?)),
            _ => None,
        }
    }

    fn long_frame(&mut self, body: &[u8], now: Duration, flash: &mut Flash) -> Option<Action> {
        let done = |ready: Option<Duration>, answer: Vec<u8>| match ready {
            Some(ready) => Action::answer(ready, answer),
            None => Action::then(now, Then::Wedged),
        };
        match *body {
            [0x06, ref rest @ ..] if rest.len() >= 4 => {
                let (address, data) = (word(rest), &rest[4..]);
                let mut echo = rest[..4].to_vec();
                echo.push(data.len() as u8);
                if self.program.guard().contains(&address) {
                    return Action::answer(now, long(0x06, 0x06, &echo));
                }
                done(program(flash, address & 0xFF_FFFF, data, now), long(0x06, 0x00, &echo))
            }
            [0x09, ref rest @ ..] if rest.len() >= 4 => {
                let address = word(rest);
                let mut data = rest[..4].to_vec();
                if self.program.guard().contains(&address) {
                    data.push(0x00);
                    return Action::answer(now, long(0x09, 0x06, &data));
                }
                flash.command(now);
                let ready = free(flash, now);
                data.extend(flash.read(address & 0xFF_FFFF, 4096));
                done(ready, long(0x09, 0x00, &data))
            }
            [0x0F, size, ref rest @ ..] if rest.len() >= 4 => {
                let address = word(rest);
                let echo = [&[size], &rest[..4]].concat();
                if self.program.guard().contains(&address) {
                    return Action::answer(now, long(0x0F, 0x06, &echo));
                }
                let unlocked = if self.armed || !knows(flash) { protect(flash, false, now) } else { Some(now) };
                self.armed = false;
                let ready = unlocked.and_then(|at| match size {
                    0x20 | 0xD8 => erase(flash, size, address & 0xFF_FFFF, at),
                    _ => Some(at),
                });
                done(ready, long(0x0F, 0x00, &echo))
            }
            _ => None,
        }
    }
}

/// A full page of a sector write: programmed at once, while the rest still comes in.
fn sector_page(
    program_of: Program,
    (start, at, left): (u32, u32, u16),
    page: &[u8],
    now: Duration,
    flash: &mut Flash,
) -> (Place, Option<Action>) {
    let refused = program_of.sector_guard().contains(&start);
    let ready = if refused { Some(now) } else { program(flash, at & 0xFF_FFFF, page, now) };
    let Some(ready) = ready else { return (Place::Hunt0, Action::then(now, Then::Wedged)) };
    let left = left.wrapping_sub(256);
    if left == 0 {
        let status = if refused { 0x06 } else { 0x00 };
        return (Place::Hunt0, Action::answer(ready, long(0x07, status, &start.to_le_bytes())));
    }
    let next = Place::Sector { start, at: at.wrapping_add(256), left, page: Vec::new() };
    (next, Action::answer(ready, Vec::new()))
}

fn knows(flash: &Flash) -> bool {
    KNOWN.contains(&flash.part.id)
}

/// Locks or unlocks a flash the loader knows; writes 0 into the status register of any other, whatever was asked.
fn protect(flash: &mut Flash, lock: bool, now: Duration) -> Option<Duration> {
    let now = free(flash, now)?;
    let live = u32::from_le_bytes([flash.live[0], flash.live[1], flash.live[2], 0]);
    let wanted = match (knows(flash), lock) {
        (true, true) => live & !flash.part.protect_mask | flash.part.locked_status,
        (true, false) => live & !flash.part.protect_mask,
        (false, _) => 0,
    };
    if wanted != live {
        flash.force_status(wanted, now);
    }
    free(flash, now)
}
