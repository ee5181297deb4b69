//! The chip around the flash: reset, the entry window, SPI mode, and what its pins do in each of these
//! (spi-flash.md §12, uart-protocol.md §3).

use std::rc::Rc;
use std::time::Duration;

use crate::link::contract::{Clock, LinkError};

use super::chance::Chance;
use super::clock::SimClock;
use super::faults::Faults;
use super::flash::Flash;
use super::hand::Cen;
use super::loader::Program;
use super::probe::{Rail, Taken};
use super::setup::Knobs;
use super::spi::Pins;
use super::sums::crc16;
use super::uart::Uart;
use super::wires::Wires;

/// What the chip does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// CEN is low.
    Reset,
    /// CEN has risen; download requests are listened for. `seen` counts D2 bytes in a row.
    Starting { since: Duration, seen: u32 },
    /// The flash stands on the pins.
    SpiMode { since: Duration },
    /// The download program has the UART. The loader of the T stays for a while even when it has only heard noise.
    Download { since: Duration, linked: bool },
    /// The firmware runs, or the chip is stuck for lack of one.
    Running { firmware: bool },
}

/// What a pin does during a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drive {
    Floating,
    /// SO copies SI.
    Echo,
    Byte(u8),
}

/// How much has gone over the wires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Time the SPI clock ran: bits by clock, without the cost of messages.
    pub spi_time: Duration,
    /// Messages handed to the SPI driver.
    pub spi_messages: u64,
    /// Bytes in SPI frames, one direction.
    pub spi_bytes: u64,
    /// Bytes from the host to the chip's UART.
    pub uart_sent: u64,
    /// Bytes from the chip's UART to the host.
    pub uart_received: u64,
    /// Time those bytes took on their wires.
    pub uart_time: Duration,
}

/// One module with everything that belongs to it.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) name: String,
    pub(super) clock: Rc<SimClock>,
    pub(super) program: Program,
    pub(super) flash: Flash,
    pub(super) knobs: Knobs,
    pub(super) wires: Wires,
    pub(super) phase: Phase,
    pub(super) pins: Pins,
    pub(super) uart: Uart,
    pub(super) traffic: Traffic,
    pub(super) chance: Chance,
    pub(super) cen: Cen,
    /// The flash chip alone: always on the pins, and CEN leads nowhere.
    pub(super) bare: bool,
    pub(super) held: bool,
    /// The host's pins, while it has taken them from its controller.
    pub(super) taken: Option<Taken>,
    pub(super) rail: Rail,
    /// Bytes moved by the flash since the supply gave way last.
    pub(super) drawn: u64,
    pub(super) locked: bool,
    /// The cable is pulled when so many bytes went over it.
    pub(super) unplug_at: Option<u64>,
}

impl Board {
    /// The faults in force.
    pub(super) fn faults(&self) -> &Faults {
        &self.flash.faults
    }

    /// The highest SPI clock in Hz that the wires carry.
    pub(super) fn clock_limit(&self) -> u32 {
        self.faults().clock_limit.unwrap_or(self.knobs.clock_limit)
    }

    /// Why the link cannot be used any more, if so.
    pub(super) fn check(&self) -> Result<(), LinkError> {
        if let Some(why) = &self.flash.gone {
            return Err(LinkError::Gone { name: self.name.clone(), why: why.clone() });
        }
        match &self.flash.file_error {
            Some(why) => Err(LinkError::Io { name: self.name.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }

    /// The host moves CEN.
    pub(super) fn hold(&mut self, hold: bool) {
        let now = self.clock.now();
        self.run(now);
        self.held = hold;
        if self.bare {
            return;
        }
        let reset = self.is_off(hold);
        match (reset, self.phase == Phase::Reset) {
            (true, false) => self.reset(now),
            (false, true) => self.phase = Phase::Starting { since: now, seen: 0 },
            _ => (),
        }
    }

    /// The chip goes into reset; the flash keeps its power and goes on with what it does.
    pub(super) fn reset(&mut self, now: Duration) {
        if self.bare {
            return;
        }
        self.phase = Phase::Reset;
        self.pins = Pins::default();
        self.uart.reset(now);
    }

    /// How long after reset the chip is deaf.
    pub(super) fn listening_from(&self) -> Duration {
        self.faults().late_entry.unwrap_or_default()
    }

    /// The firmware starts. The vendor SDK writes its protection at every start (spi-flash.md §6).
    pub(super) fn boot(&mut self, now: Duration) {
        let firmware = self.has_firmware();
        self.phase = Phase::Running { firmware };
        self.uart.started(now);
        if self.locked && firmware {
            let value = self.flash.part.factory_status;
            self.flash.force_status(value, now);
            self.notice_cut(now);
        }
    }

    /// Whether boot loader and application begin with a good block of code.
    pub(super) fn has_firmware(&self) -> bool {
        code_block_is_good(&self.flash.cells, 0) && code_block_is_good(&self.flash.cells, 0x11000)
    }

    /// Whether there is anything that could listen on the UART: the N has it in ROM, the T in its flash.
    pub(super) fn has_download_code(&self) -> bool {
        !self.program.is_basic() || code_block_is_good(&self.flash.cells, 0)
    }

    /// Whether D2 bytes are looked for at this time.
    fn entry_is_open(&self, now: Duration) -> bool {
        let Phase::Starting { since, .. } = self.phase else { return false };
        let open = since + self.listening_from();
        now >= open && now <= open + self.knobs.entry_window
    }

    /// Chip select falls at the chip.
    pub(super) fn chip_select(&mut self, now: Duration) {
        self.run(now);
        match self.phase {
            _ if self.bare => {
                self.pins.reaches_flash = true;
                self.flash.select(now);
            }
            Phase::SpiMode { since } if now >= since + self.knobs.silent_after_entry => {
                self.pins.reaches_flash = true;
                self.flash.select(now);
            }
            _ => self.pins.reaches_flash = false,
        }
    }

    /// What SO does during the byte that begins now.
    pub(super) fn chip_output(&mut self, now: Duration) -> Drive {
        match self.phase {
            Phase::SpiMode { .. } if self.pins.reaches_flash => {
                self.flash.output(now).map_or(Drive::Floating, Drive::Byte)
            }
            Phase::SpiMode { .. } => Drive::Byte(0),
            Phase::Starting { .. } if self.entry_is_open(now) => Drive::Echo,
            _ => Drive::Floating,
        }
    }

    /// A byte has been clocked in at the chip.
    pub(super) fn chip_input(&mut self, byte: u8, now: Duration) {
        match self.phase {
            Phase::SpiMode { .. } if self.pins.reaches_flash => self.flash.input(byte, now),
            Phase::Starting { since, seen } => {
                if !self.entry_is_open(now) {
                    return self.run(now);
                }
                let seen = if byte == 0xD2 { seen + 1 } else { 0 };
                self.phase = if seen >= self.knobs.entry_bytes.max(1) {
                    Phase::SpiMode { since: now }
                } else {
                    Phase::Starting { since, seen }
                };
            }
            _ => (),
        }
    }

    /// Chip select rises at the chip.
    pub(super) fn chip_deselect(&mut self, whole: bool, now: Duration) {
        if self.pins.reaches_flash {
            self.flash.deselect(whole, now);
            self.pins.reaches_flash = false;
            self.notice_cut(now);
        }
    }

    /// Whether the chip is in reset, or without supply, while CEN is held low (`hold`) or not.
    pub(super) fn is_off(&self, hold: bool) -> bool {
        self.flash.dead || self.wires.reset_reaches(hold)
    }

    /// A supply that has just gone takes the chip with it.
    pub(super) fn notice_cut(&mut self, now: Duration) {
        if self.flash.dead && self.phase != Phase::Reset {
            self.reset(now);
        }
    }
}

/// Whether a 34-byte block of code stands at this place: not erased, and its CRC right (formats.md §3).
fn code_block_is_good(cells: &[u8], at: usize) -> bool {
    cells.get(at..at + 34).is_some_and(|block| block[32..] == crc16(&block[..32]).to_be_bytes())
}
