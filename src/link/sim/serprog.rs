//! A simulated flash behind flashrom's serial flasher protocol, version 1 (spi-flash.md §13): bytes of the host in,
//! answers out. Whoever owns the socket moves the bytes.

use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, LinkError, SpiLink};

use super::clock::{Pace, SimClock};
use super::module::Module;
use super::spi::SimSpi;

const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
/// The commands served, as the bitmap tells them.
const COMMANDS: [u8; 13] = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15];
/// The bus type SPI, the only one here.
const SPI: u8 = 0x08;
const NAME: &[u8; 16] = b"bkbench sim\0\0\0\0\0";
/// Bytes that may be on their way; TCP holds more than any 16-bit number says.
const BUFFER: u16 = 0xFFFF;
/// The longest command and the longest answer of one SPI operation, in bytes.
const LONGEST: u32 = 0x1_0000;
/// How far a virtual clock jumps when the host has seen the flash busy: what the host does meanwhile costs real time.
const JUMP: Duration = Duration::from_millis(10);

/// The programmer's end of the protocol.
pub struct Serprog {
    wire: SimSpi,
    /// The clock is virtual, so that a busy flash needs help to get done.
    jumps: Option<Rc<SimClock>>,
    input: Vec<u8>,
}

impl Serprog {
    /// Serves the flash of a module on its SPI pins.
    pub fn new(module: &Module) -> Self {
        let board = module.board();
        // This programmer cuts no frames.
        board.borrow_mut().knobs.longest_frame = 2 * LONGEST as usize;
        let clock = Rc::clone(&board.borrow().clock);
        let jumps = (clock.pace() == Pace::Virtual).then_some(clock);
        Self { wire: SimSpi::new(board), jumps, input: Vec::new() }
    }

    /// Another host: what the last one did not finish is forgotten.
    pub fn connected(&mut self) {
        self.input.clear();
    }

    /// Takes bytes of the host, carries out every command that is complete, and appends the answers.
    ///
    /// # Errors
    /// [`LinkError`] when the flash lost its supply or its file.
    pub fn take(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> Result<(), LinkError> {
        self.input.extend_from_slice(bytes);
        while let Some(&command) = self.input.first() {
            let Some(end) = self.length(command) else { break };
            if self.input.len() < end {
                break;
            }
            let rest = self.input.split_off(end);
            let whole = std::mem::replace(&mut self.input, rest);
            self.carry_out(command, whole.get(1..).unwrap_or_default(), answers)?;
        }
        Ok(())
    }

    /// Bytes of the command at the front, itself included; `None` while that cannot be told.
    fn length(&self, command: u8) -> Option<usize> {
        Some(match command {
            0x12 | 0x15 => 2,
            0x14 => 5,
            0x13 => 7 + number(self.input.get(1..4)?) as usize,
            _ => 1,
        })
    }

    fn carry_out(&mut self, command: u8, arguments: &[u8], answers: &mut Vec<u8>) -> Result<(), LinkError> {
        let mut ack = |more: &[u8]| {
            answers.push(ACK);
            answers.extend_from_slice(more);
        };
        match command {
            0x00 => ack(&[]),
            0x01 => ack(&1_u16.to_le_bytes()),
            0x02 => ack(&bitmap()),
            0x03 => ack(NAME),
            0x04 => ack(&BUFFER.to_le_bytes()),
            0x05 => ack(&[SPI]),
            0x08 | 0x11 => ack(&LONGEST.to_le_bytes()[..3]),
            0x10 => answers.extend([NAK, ACK]),
            0x12 if arguments.iter().all(|types| types & SPI != 0) => ack(&[]),
            // There are no drivers to switch off.
            0x15 => ack(&[]),
            0x14 => match self.wire.set_clock(number(arguments)) {
                Ok(hz) => ack(&hz.to_le_bytes()),
                Err(_) => answers.push(NAK),
            },
            0x13 => {
                let (lengths, sent) = arguments.split_at(6.min(arguments.len()));
                let wanted = number(lengths.get(3..).unwrap_or_default());
                if sent.len() as u32 > LONGEST || wanted > LONGEST {
                    answers.push(NAK);
                } else {
                    let answer = self.operation(sent, wanted as usize)?;
                    ack(&answer);
                }
            }
            _ => answers.push(NAK),
        }
        Ok(())
    }

    /// One chip-select frame: `sent` goes out, then `wanted` bytes come in.
    fn operation(&mut self, sent: &[u8], wanted: usize) -> Result<Vec<u8>, LinkError> {
        let mut frame = sent.to_vec();
        frame.resize(sent.len() + wanted, 0);
        self.wire.exchange(&mut frame)?;
        let answer = frame.split_off(sent.len());
        let busy = matches!(sent, [0x05]) && answer.last().is_some_and(|status| status & 1 == 1);
        if let Some(clock) = self.jumps.as_ref().filter(|_| busy) {
            clock.sleep(JUMP);
        }
        Ok(answer)
    }
}

/// A number, least significant byte first.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn bitmap() -> [u8; 32] {
    let mut map = [0; 32];
    for command in COMMANDS {
        if let Some(byte) = map.get_mut(usize::from(command / 8)) {
            *byte |= 1 << (command % 8);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::super::setup::Setup;
    use super::*;

    fn served() -> (Module, Serprog) {
        let setup = Setup::new("wb2s").unwrap().part("c84016").unwrap().bare(true).locked(false);
        let module = Module::new(setup).unwrap();
        let server = Serprog::new(&module);
        (module, server)
    }

    fn ask(server: &mut Serprog, bytes: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        server.take(bytes, &mut answers).unwrap();
        answers
    }

    fn operation(sent: &[u8], wanted: u8) -> Vec<u8> {
        [&[0x13, sent.len() as u8, 0, 0, wanted, 0, 0], sent].concat()
    }

    #[test]
    fn a_client_finds_version_name_bus_and_commands() {
        let (_, mut server) = served();
        assert_eq!(ask(&mut server, &[0x10, 0x00, 0x01]), [NAK, ACK, ACK, ACK, 1, 0]);
        let map = ask(&mut server, &[0x02]);
        assert_eq!((map.len(), map[1], map[3], map[4]), (33, 0x3F, 0x3F, 0));
        assert_eq!(&ask(&mut server, &[0x03])[1..12], b"bkbench sim");
        assert_eq!(ask(&mut server, &[0x05, 0x12, 0x08, 0x12, 0x01]), [ACK, 8, ACK, NAK]);
        assert_eq!(ask(&mut server, &[0x14, 0, 9, 61, 0]), [ACK, 0, 9, 61, 0], "4 MHz");
        assert_eq!(ask(&mut server, &[0x14, 0, 0, 0, 0]), [NAK]);
        assert_eq!(ask(&mut server, &[0x77]), [NAK]);
    }

    #[test]
    fn frames_reach_the_flash_however_they_are_cut() {
        let (module, mut server) = served();
        assert_eq!(ask(&mut server, &operation(&[0x9F], 3)), [ACK, 0xC8, 0x40, 0x16]);
        let read = operation(&[0x03, 0, 0, 0x10], 20);
        let answers: Vec<u8> = read.iter().flat_map(|byte| ask(&mut server, &[*byte])).collect();
        assert_eq!(answers, [vec![ACK], module.bytes(0x10, 20)].concat());
        ask(&mut server, &read[..9]);
        server.connected();
        assert_eq!(ask(&mut server, &[0x00]), [ACK], "half a command of the last client is gone");
    }

    #[test]
    fn a_virtual_clock_goes_on_while_the_host_polls() {
        let (module, mut server) = served();
        ask(&mut server, &operation(&[0x06], 0));
        ask(&mut server, &operation(&[0x20, 0, 0x10, 0], 0));
        let polls = (1..100).find(|_| ask(&mut server, &operation(&[0x05], 1))[1] & 1 == 0);
        assert!(polls.is_some_and(|polls| polls > 1), "{polls:?}");
        assert!(module.bytes(0x1000, 0x1000).iter().all(|byte| *byte == 0xFF));
    }

    #[test]
    fn what_is_too_long_is_refused_and_swallowed() {
        let (_, mut server) = served();
        let long = vec![0xFF; 0x1_0001];
        let mut bytes = vec![0x13, 1, 0, 1, 0, 0, 0];
        bytes.extend(long);
        bytes.push(0x00);
        assert_eq!(ask(&mut server, &bytes), [NAK, ACK]);
    }
}
