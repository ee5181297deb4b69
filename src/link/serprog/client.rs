//! The protocol's commands, as far as an SPI programmer needs them.

use std::time::Duration;

use super::super::contract::{LinkError, SpiLink};
use super::pipe::Pipe;

const ACK: u8 = 0x06;
const NAK: u8 = 0x15;

const NOP: u8 = 0x00;
const Q_VERSION: u8 = 0x01;
const Q_COMMANDS: u8 = 0x02;
const Q_NAME: u8 = 0x03;
const Q_BUFFER: u8 = 0x04;
const Q_BUSES: u8 = 0x05;
const Q_LONGEST_WRITE: u8 = 0x08;
const SYNC: u8 = 0x10;
const Q_LONGEST_READ: u8 = 0x11;
const S_BUS: u8 = 0x12;
const SPI: u8 = 0x13;
const S_CLOCK: u8 = 0x14;
const S_DRIVERS: u8 = 0x15;

/// The bit of SPI among the bus types.
const BUS_SPI: u8 = 0x08;
/// How often a programmer is asked to fall in step.
const SYNC_TRIES: u32 = 8;
/// How long it has for each answer to that.
const SYNC_WAIT: Duration = Duration::from_millis(250);
/// Most bytes thrown away while waiting for silence.
const MOST_NOISE: usize = 64 * 1024;
/// What a programmer that says nothing buffers, in bytes (protocol text).
const LEAST_BUFFER: usize = 16;
/// Longest frame used, however much more is offered.
const LONGEST: usize = 64 * 1024;
/// Clock that is told where the programmer neither takes nor tells one, in Hz.
const UNKNOWN_CLOCK: u32 = 1_000_000;

/// A programmer in step.
pub(super) struct Client {
    pipe: Box<dyn Pipe>,
    name: String,
    commands: [u8; 32],
    programmer: String,
    clock: u32,
    longest_write: usize,
    longest_read: usize,
    buffer: usize,
}

impl Client {
    /// Falls in step with the programmer and asks what it can do. Uses no command that it does not list.
    pub fn start(pipe: Box<dyn Pipe>, name: String) -> Result<Self, LinkError> {
        let mut client = Self {
            pipe,
            name,
            commands: [0; 32],
            programmer: String::new(),
            clock: UNKNOWN_CLOCK,
            longest_write: LONGEST,
            longest_read: LONGEST,
            buffer: LEAST_BUFFER,
        };
        client.fall_in_step()?;
        let [low, high] = client.ask(&[Q_VERSION])?;
        let version = u16::from_le_bytes([low, high]);
        if version != 1 {
            return Err(client.refuse(format!("it speaks version {version} of the protocol, not 1")));
        }
        client.commands = client.ask(&[Q_COMMANDS])?;
        if !client.knows(SPI) {
            return Err(client.refuse("it has no command for SPI".to_owned()));
        }
        client.learn()?;
        Ok(client)
    }

    fn learn(&mut self) -> Result<(), LinkError> {
        if self.knows(Q_BUSES) {
            let [buses] = self.ask(&[Q_BUSES])?;
            if buses & BUS_SPI == 0 {
                return Err(self.refuse(format!("it has no SPI bus (bus types {buses:02X})")));
            }
        }
        if self.knows(S_BUS) {
            let [] = self.ask(&[S_BUS, BUS_SPI])?;
        }
        if self.knows(Q_NAME) {
            let name: [u8; 16] = self.ask(&[Q_NAME])?;
            // Bytes of a device never reach the terminal raw (product.md rule 12).
            let plain = name.iter().take_while(|byte| **byte != 0).filter(|byte| (0x20..0x7F).contains(*byte));
            self.programmer = plain.map(|byte| char::from(*byte)).collect();
        }
        if self.knows(Q_BUFFER) {
            let [low, high] = self.ask(&[Q_BUFFER])?;
            self.buffer = usize::from(u16::from_le_bytes([low, high])).max(LEAST_BUFFER);
        }
        if self.knows(Q_LONGEST_WRITE) {
            self.longest_write = self.ask(&[Q_LONGEST_WRITE]).map(longest)?;
        }
        if self.knows(Q_LONGEST_READ) {
            self.longest_read = self.ask(&[Q_LONGEST_READ]).map(longest)?;
        }
        if self.knows(S_DRIVERS) {
            let [] = self.ask(&[S_DRIVERS, 1])?;
        }
        Ok(())
    }

    /// What it is, for people.
    pub fn about(&self) -> String {
        let name = if self.programmer.is_empty() { "unnamed" } else { &self.programmer };
        let clock = if self.knows(S_CLOCK) { "" } else { ", which sets the clock by itself" };
        format!("programmer {name}{clock}")
    }

    fn knows(&self, command: u8) -> bool {
        self.commands.get(usize::from(command / 8)).is_some_and(|byte| byte >> (command % 8) & 1 == 1)
    }

    fn refuse(&self, why: String) -> LinkError {
        LinkError::Programmer { name: self.name.clone(), why }
    }

    /// Whatever the programmer was in the middle of ends here.
    fn fall_in_step(&mut self) -> Result<(), LinkError> {
        self.pipe.send(&[NOP; 8])?;
        let mut noise = 0;
        while noise < MOST_NOISE && self.pipe.next(SYNC_WAIT)?.is_some() {
            noise += 1;
        }
        for _ in 0..SYNC_TRIES {
            self.pipe.send(&[SYNC])?;
            let mut last = None;
            for _ in 0..MOST_NOISE {
                let Some(byte) = self.pipe.next(SYNC_WAIT)? else { break };
                if (last, byte) == (Some(NAK), ACK) {
                    return Ok(());
                }
                last = Some(byte);
            }
        }
        Err(self.refuse("it does not answer as a serprog programmer does".to_owned()))
    }

    /// One command and its answer after the ACK.
    fn ask<const N: usize>(&mut self, command: &[u8]) -> Result<[u8; N], LinkError> {
        self.pipe.send(command)?;
        let mut answer = [0; N];
        self.answer(command.first().copied().unwrap_or_default(), &mut answer)?;
        Ok(answer)
    }

    fn answer(&mut self, command: u8, into: &mut [u8]) -> Result<(), LinkError> {
        let mut first = [0];
        self.pipe.receive(&mut first)?;
        match first {
            [ACK] => self.pipe.receive(into),
            [NAK] => Err(self.refuse(format!("it refused command {command:02X}"))),
            [other] => Err(self.refuse(format!("it answered command {command:02X} with {other:02X}"))),
        }
    }
}

/// A 24-bit length; 0 stands for the largest.
fn longest([low, middle, high]: [u8; 3]) -> usize {
    match u32::from_le_bytes([low, middle, high, 0]) {
        0 => LONGEST,
        len => (len as usize).min(LONGEST),
    }
}

/// Where the question of a frame ends and its answer begins. The programmer sends first and listens then, so it has to
/// be told; NOR commands are known by their first byte (spi-flash.md §4). Everything else is sent whole, and what comes
/// back meanwhile is not seen.
fn question_len(frame: &[u8]) -> usize {
    let header = match frame.first() {
        Some(0x05 | 0x15 | 0x35 | 0x9F) => 1,
        Some(0x03) => 4,
        Some(0x0B | 0x4B | 0x5A | 0x13) => 5,
        Some(0x0C) => 6,
        _ => frame.len(),
    };
    header.min(frame.len())
}

/// The bytes of one SPI operation.
fn operation(out: &mut Vec<u8>, frame: &[u8]) -> usize {
    let question = question_len(frame);
    let length = |len: usize| (len as u32).to_le_bytes();
    let ([s0, s1, s2, _], [r0, r1, r2, _]) = (length(question), length(frame.len() - question));
    out.extend([SPI, s0, s1, s2, r0, r1, r2]);
    out.extend(frame.get(..question).unwrap_or_default());
    question
}

impl SpiLink for Client {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.exchange_all(&mut [frame])
    }

    /// As many operations at once as the programmer buffers: the way there and back is paid once.
    fn exchange_all(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        let mut rest = frames;
        while !rest.is_empty() {
            let (mut sent, mut questions) = (Vec::new(), Vec::new());
            for frame in rest.iter() {
                let before = sent.len();
                let question = operation(&mut sent, frame);
                if question > self.longest_write || frame.len() - question > self.longest_read {
                    return Err(LinkError::Unsupported {
                        name: self.name.clone(),
                        what: format!("a frame of {} bytes", frame.len()),
                    });
                }
                if before > 0 && sent.len() > self.buffer {
                    sent.truncate(before);
                    break;
                }
                questions.push(question);
            }
            self.pipe.send(&sent)?;
            let (now, after) = rest.split_at_mut(questions.len());
            for (frame, question) in now.iter_mut().zip(questions) {
                let (sent, answer) = frame.split_at_mut(question);
                sent.fill(0xFF);
                self.answer(SPI, answer)?;
            }
            rest = after;
        }
        Ok(())
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        if self.knows(S_CLOCK) {
            let mut command = vec![S_CLOCK];
            command.extend(hz.to_le_bytes());
            self.clock = self.ask(&command).map(u32::from_le_bytes)?;
        }
        Ok(self.clock)
    }

    fn clock(&self) -> u32 {
        self.clock
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        if mode == 0 {
            return Ok(());
        }
        Err(LinkError::Unsupported { name: self.name.clone(), what: format!("SPI mode {mode}") })
    }

    fn longest_frame(&self) -> usize {
        self.longest_write.min(self.longest_read)
    }
}
