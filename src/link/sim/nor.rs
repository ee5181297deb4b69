//! The flash as its pins see it: frames between chip selects, byte by byte (spi-flash.md §4).

use std::time::Duration;

use super::flash::{Effect, Flash, Unit};
use super::part::WriteForm;

/// A frame that is under way.
#[derive(Debug, Default)]
pub(super) struct Frame {
    talk: Talk,
    opcode: u8,
    argument: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Talk {
    /// Chip select is high.
    #[default]
    Idle,
    /// The next byte is the opcode.
    Opcode,
    /// Bytes are collected; a read starts after `head` of them.
    Collect { head: usize, then: Source },
    /// The flash drives SO.
    Answer { source: Source, place: u32 },
    /// The frame is not for this part, or came at a wrong time.
    Deaf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A write-type command: nothing is answered, the frame acts at its end.
    Nothing,
    Cells,
    Status(usize),
    Identity,
    Parameters,
    Unique,
    Electronic,
    Extended,
}

impl Flash {
    /// Chip select falls.
    pub(super) fn select(&mut self, now: Duration) {
        self.command(now);
        self.frame.talk = Talk::Opcode;
        self.frame.argument.clear();
    }

    /// What the flash drives during the byte that begins now; `None` while SO is high-Z.
    pub(super) fn output(&mut self, now: Duration) -> Option<u8> {
        if self.dead {
            return None;
        }
        if self.sagging {
            return Some(0xFF);
        }
        let Talk::Answer { source, place } = self.frame.talk else { return None };
        Some(match source {
            Source::Cells => self.cell(place),
            Source::Status(register) => self.status(register, now),
            Source::Identity => match self.faults.dead_id {
                Some(byte) => byte,
                None => *self.part.id.get(place as usize)?,
            },
            Source::Parameters => self.parameter(place),
            Source::Unique => self.uid.byte(place)?,
            Source::Electronic => self.part.id[2].wrapping_sub(1),
            Source::Extended => self.extended,
            Source::Nothing => return None,
        })
    }

    /// A byte has come in completely; `now` is the time of its last bit.
    pub(super) fn input(&mut self, byte: u8, now: Duration) {
        match self.frame.talk {
            Talk::Idle => (),
            Talk::Deaf if self.frame.argument.len() < 8 => self.frame.argument.push(byte),
            Talk::Deaf => (),
            Talk::Opcode => {
                self.frame.opcode = byte;
                self.frame.talk = self.decode(byte, now);
            }
            Talk::Collect { head, then } => {
                self.frame.argument.push(byte);
                if then != Source::Nothing && self.frame.argument.len() == head {
                    let place = self.answer_address(then).unwrap_or(0);
                    self.frame.talk = Talk::Answer { source: then, place };
                }
            }
            Talk::Answer { source, place } => {
                let next = if source == Source::Cells { (place + 1) % self.part.size } else { place + 1 };
                self.frame.talk = Talk::Answer { source, place: next };
            }
        }
    }

    /// Whether the rest of this frame is read from the array. Then [`Flash::stream`] gives in one go what a byte at a
    /// time would give.
    pub(super) fn is_streaming(&self) -> bool {
        matches!(self.frame.talk, Talk::Answer { source: Source::Cells, .. })
    }

    /// The next bytes of a read from the array; addresses wrap at the size.
    pub(super) fn stream(&mut self, into: &mut [u8]) {
        if let Talk::Answer { source: Source::Cells, place } = &mut self.frame.talk {
            for byte in into {
                *byte = self.cells[*place as usize];
                *place = if *place + 1 == self.part.size { 0 } else { *place + 1 };
            }
        }
    }

    /// Chip select rises. `whole` says whether the clocks made whole bytes; anything else drops a write-type command.
    pub(super) fn deselect(&mut self, whole: bool, now: Duration) {
        let talk = std::mem::take(&mut self.frame.talk);
        let opcode = self.frame.opcode;
        match talk {
            Talk::Idle | Talk::Opcode => (),
            Talk::Deaf => {
                // Four bytes FF take a flash out of continuous read, whatever else they mean (spi-flash.md §2).
                let ones = self.frame.argument.len() >= 3 && self.frame.argument.iter().all(|byte| *byte == 0xFF);
                self.continuous_read &= !(opcode == 0xFF && ones);
            }
            Talk::Answer { source, place } => {
                let read = self.answer_address(source);
                if source == Source::Electronic {
                    self.asleep = false;
                }
                self.note(now, opcode, read, place as usize, Effect::Done);
            }
            Talk::Collect { .. } => self.act(opcode, whole, now),
        }
    }

    /// One whole frame at once, as the boot ROM's controller sends it. What comes back replaces `frame`; 00 stands for
    /// bytes that the flash does not drive.
    pub(super) fn transfer(&mut self, frame: &mut [u8], now: Duration) {
        self.select(now);
        for byte in frame.iter_mut() {
            let back = self.output(now).unwrap_or(0);
            self.input(*byte, now);
            *byte = back;
        }
        self.deselect(true, now);
    }

    fn decode(&mut self, opcode: u8, now: Duration) -> Talk {
        let refuse = |flash: &mut Self, effect| {
            flash.note(now, opcode, None, 0, effect);
            Talk::Deaf
        };
        let collect = |head, then| Talk::Collect { head, then };
        let answer = |source| Talk::Answer { source, place: 0 };
        if self.dead || self.sagging {
            return refuse(self, Effect::Lost);
        }
        if self.continuous_read || (self.asleep && opcode != 0xAB) {
            return refuse(self, Effect::Asleep);
        }
        if let Some(register) = self.part.registers.iter().position(|register| register.read == opcode) {
            return answer(Source::Status(register));
        }
        if !matches!(opcode, 0x66 | 0x99) && self.is_busy(now) {
            return refuse(self, Effect::Busy);
        }
        if opcode != 0x99 {
            self.reset_armed = false;
        }
        let four_byte = self.part.four_byte;
        let own_opcodes = four_byte.is_some_and(|four| four.opcodes);
        let width = self.address_width(opcode);
        match opcode {
            0x03 => collect(width, Source::Cells),
            0x0B => collect(width + 1, Source::Cells),
            0x13 if own_opcodes => collect(width, Source::Cells),
            0x0C if own_opcodes => collect(width + 1, Source::Cells),
            0xC8 if four_byte.is_some() => answer(Source::Extended),
            0xB7 | 0xE9 | 0xC5 if four_byte.is_some() => collect(0, Source::Nothing),
            0x12 | 0x21 | 0x5C | 0xDC if own_opcodes => collect(0, Source::Nothing),
            0x9F => answer(Source::Identity),
            0x5A => collect(4, Source::Parameters),
            0x4B if self.has_uid() => collect(4, Source::Unique),
            0xAB => collect(3, Source::Electronic),
            0x50 if !self.part.volatile_status => refuse(self, Effect::Unknown),
            0x52 if !self.part.block32 => refuse(self, Effect::Unknown),
            0x06 | 0x04 | 0x50 | 0xB9 | 0x66 | 0x99 | 0x98 | 0x02 | 0x20 | 0x52 | 0xD8 | 0xC7 | 0x60 => {
                collect(0, Source::Nothing)
            }
            _ if self.part.page_erase == Some(opcode) || self.status_register(opcode).is_some() => {
                collect(0, Source::Nothing)
            }
            _ => refuse(self, Effect::Unknown),
        }
    }

    /// The register that a write opcode starts at, if this part takes the opcode.
    fn status_register(&self, opcode: u8) -> Option<usize> {
        let register = self.part.registers.iter().position(|register| register.write == Some(opcode))?;
        match self.part.form {
            WriteForm::None => None,
            WriteForm::TwoByte | WriteForm::OneByte => (register == 0).then_some(0),
            WriteForm::Separate | WriteForm::FirstThenSecond => Some(register),
        }
    }

    /// Whether a status register write of this many bytes is one the part takes.
    fn status_length_fits(&self, register: usize, len: usize) -> bool {
        let longest = match self.part.form {
            WriteForm::TwoByte => self.part.registers.len().min(2),
            // Macronix: the second byte is the configuration register, which has no write opcode of its own.
            WriteForm::OneByte => self.part.registers.len().min(2),
            WriteForm::Separate | WriteForm::FirstThenSecond | WriteForm::None => 1,
        };
        (1..=if register == 0 { longest } else { 1 }).contains(&len)
    }

    /// Address bytes behind an opcode.
    fn address_width(&self, opcode: u8) -> usize {
        match opcode {
            0x13 | 0x0C | 0x12 | 0x21 | 0x5C | 0xDC => 4,
            // Parameters have addresses of their own, always of three bytes.
            0x5A => 3,
            _ if self.four_byte_mode => 4,
            _ => 3,
        }
    }

    /// The address that these bytes give; three of them get their top byte from the extended address register.
    fn address(&self, bytes: &[u8]) -> u32 {
        let top = if bytes.len() == 3 { u32::from(self.extended) } else { 0 };
        bytes.iter().fold(top, |address, byte| address << 8 | u32::from(*byte)) % self.part.size
    }

    /// Where an answer from cells or parameters begins.
    fn answer_address(&self, source: Source) -> Option<u32> {
        let bytes = self.frame.argument.get(..self.address_width(self.frame.opcode))?;
        match source {
            Source::Cells => Some(self.address(bytes)),
            Source::Parameters => Some(bytes.iter().fold(0, |address, byte| address << 8 | u32::from(*byte))),
            _ => None,
        }
    }

    /// A write-type frame has ended.
    fn act(&mut self, opcode: u8, whole: bool, now: Duration) {
        let argument = std::mem::take(&mut self.frame.argument);
        let width = self.address_width(opcode);
        let address = argument.get(..width).map(|bytes| self.address(bytes));
        let mut target = address;
        let effect = if !whole {
            Effect::WrongLength
        } else if let Some(register) = self.status_register(opcode) {
            target = None;
            self.write_status_frame(register, &argument, now)
        } else {
            // With a four-byte address of its own an opcode does the same thing.
            let plain = match opcode {
                0x12 => 0x02,
                0x21 => 0x20,
                0x5C => 0x52,
                0xDC => 0xD8,
                other => other,
            };
            match (plain, argument.len()) {
                (0xB7 | 0xE9, 0) => self.switch_address_mode(opcode == 0xB7),
                (0xC5, 1) => {
                    target = None;
                    self.if_enabled(|flash| {
                        flash.enabled = false;
                        flash.set(|flash| flash.extended = argument[0])
                    })
                }
                (0x06, 0) => self.set(|flash| flash.enabled = true),
                (0x04, 0) => self.set(|flash| flash.enabled = false),
                (0x50, 0) => self.set(|flash| flash.volatile_enabled = true),
                (0xB9, 0) => self.set(|flash| flash.asleep = true),
                (0xAB, _) => self.set(|flash| flash.asleep = false),
                (0x66, 0) => self.set(|flash| flash.reset_armed = true),
                (0x99, 0) if self.reset_armed => self.set(|flash| flash.soft_reset(now)),
                (0x98, 0) => self.if_enabled(|flash| flash.set(|flash| flash.sector_locks_open = true)),
                (0x02, len) if len > width => {
                    let data = &argument[width..];
                    // Beyond 256 bytes the page buffer keeps the last 256.
                    let kept = data.len().saturating_sub(256);
                    let start = address.unwrap_or_default();
                    let first = start & !0xFF | (start + kept as u32) & 0xFF;
                    self.if_enabled(|flash| flash.program(first, &data[kept..], now))
                }
                (0x20, len) if len == width => self.erase_frame(Unit::Sector, address, now),
                (0x52, len) if len == width => self.erase_frame(Unit::Block32, address, now),
                (0xD8, len) if len == width => self.erase_frame(Unit::Block64, address, now),
                (0xC7 | 0x60, 0) => self.erase_frame(Unit::Chip, Some(0), now),
                (_, len) if len == width && self.part.page_erase == Some(opcode) => {
                    self.erase_frame(Unit::Page, address, now)
                }
                _ => Effect::WrongLength,
            }
        };
        self.note(now, opcode, target, argument.len().saturating_sub(target.map_or(0, |_| width)), effect);
    }

    fn switch_address_mode(&mut self, four: bool) -> Effect {
        if self.part.four_byte.is_some_and(|facts| facts.enter_needs_wren) && !self.enabled {
            return Effect::NotEnabled;
        }
        self.enabled = false;
        self.set(|flash| flash.four_byte_mode = four)
    }

    fn set(&mut self, change: impl FnOnce(&mut Self)) -> Effect {
        change(self);
        Effect::Done
    }

    fn if_enabled(&mut self, change: impl FnOnce(&mut Self) -> Effect) -> Effect {
        if self.enabled { change(self) } else { Effect::NotEnabled }
    }

    fn erase_frame(&mut self, unit: Unit, address: Option<u32>, now: Duration) -> Effect {
        self.if_enabled(|flash| flash.erase(unit, address.unwrap_or_default(), now))
    }

    fn write_status_frame(&mut self, register: usize, values: &[u8], now: Duration) -> Effect {
        if !self.status_length_fits(register, values.len()) {
            return Effect::WrongLength;
        }
        let volatile = std::mem::take(&mut self.volatile_enabled);
        if !volatile && !self.enabled {
            return Effect::NotEnabled;
        }
        self.write_status(register, values, volatile, now)
    }

    /// Serial flash discoverable parameters: header, one parameter header, nine double words (JESD216).
    fn parameter(&self, place: u32) -> u8 {
        const HEADER: [u8; 16] =
            [0x53, 0x46, 0x44, 0x50, 0x00, 0x01, 0x00, 0xFF, 0x00, 0x00, 0x01, 0x09, 0x30, 0x00, 0x00, 0xFF];
        let bits = u64::from(self.part.size) * 8 - 1;
        // Bit 17: addresses of three or of four bytes.
        let first = if self.part.four_byte.is_some() { 0xFFF3_20E5 } else { 0xFFF1_20E5 };
        let (types, more) = if self.part.block32 { (0x520F_200C, 0xFF00_D810) } else { (0xD810_200C, 0xFF00_FF00) };
        let table: [u32; 9] =
            [first, bits as u32, 0x0000_FF44, 0x0000_FF08, 0xFFFF_FFEE, 0xFF00_FFFF, 0xFF00_FFFF, types, more];
        match place {
            0..16 => HEADER[place as usize],
            0x30..0x54 => table[(place as usize - 0x30) / 4].to_le_bytes()[place as usize % 4],
            _ => 0xFF,
        }
    }
}
