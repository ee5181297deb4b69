//! The flash itself over SPI, once the chip has put it on its pins (spi-flash.md).

#[cfg(test)]
mod access_tests;
mod bare;
mod bus;
#[cfg(test)]
mod busy_tests;
mod entry;
mod evidence;
mod hand;
mod setup;
#[cfg(test)]
mod tests;
mod tune;

use std::rc::Rc;
use std::time::Duration;

pub(super) use self::bus::NorBus;
use self::bus::{Busy, Change};
pub(super) use self::entry::Entered;
pub(super) use self::evidence::plausible;
use super::again::{Again, LookAgain, insist};
use super::attach::AttachOptions;
use super::contract::{Abilities, EraseUnit, Facts, ReadFlash, SectorData, WriteFlash};
use super::error::DeviceError;
use super::guard::{in_range, may_erase, wait};
use super::status::{StatusAccess, carry_out};
use super::tie::Tie;
use super::watch::{Unwatched, Watch};
use crate::chip::{Limits, Part, Typical};
use crate::codec::nor::opcode;
use crate::codec::nor::{StatusBytes, StatusChange, StatusWrite};
use crate::link::{Clock, LinkInfo, Pins, ResetLine, SpiLink, WireName};
use crate::units::{BLOCK, PAGE, SECTOR, Span, clock_text, hex_text};

/// Id reads that have to agree (spi-flash.md §2).
const ID_READS: usize = 5;
/// Rounds of write enable and write disable that have to be taken (spi-flash.md §11).
const ENABLE_ROUNDS: usize = 64;
/// Commands in doubt that are made again, once reading back shows that they were not carried out.
const DOUBTS: u32 = 5;
/// How long CEN is held low to start the firmware (spi-flash.md §2: 100 ms is enough).
const RESET_PULSE: Duration = Duration::from_millis(100);

/// How the flash gets onto the pins.
pub(super) enum Access {
    /// The program pulls CEN.
    Line(Box<dyn ResetLine>),
    /// A person pulls CEN.
    Hand,
    /// It is there: a flash chip by itself.
    Bare,
}

/// Brings the flash onto the pins and nothing more: its id, and the evidence for it.
///
/// # Errors
/// [`DeviceError::NoEntry`] and [`DeviceError::UnstableId`] with what was seen; [`DeviceError::Link`].
pub(super) fn bring_up(
    bus: &mut NorBus,
    access: &mut Access,
    clock: &dyn Clock,
    pins: &Pins,
    options: &AttachOptions,
    watch: &mut dyn Watch,
) -> Result<Entered, DeviceError> {
    entry::enter(bus, access, clock, pins, options, watch)
}

/// A NOR flash at the end of six wires.
pub(super) struct SpiFlash {
    bus: NorBus,
    access: Access,
    clock: Rc<dyn Clock>,
    facts: Facts,
    /// The CEN wire with the host's end of it, in words.
    cen: String,
    limits: Limits,
    /// How long this part takes: its family's times at first, then what was seen.
    usual: Typical,
    /// Bit clock that was proven to read right, in Hz.
    working_clock: u32,
    /// Highest bit clock at which write enable was proven to be taken, in Hz; 0 before.
    write_clock: u32,
}

impl SpiFlash {
    /// Brings the chip into SPI mode, identifies the flash and finds a clock that reads right.
    pub(super) fn attach(
        wire: Box<dyn SpiLink>,
        mut access: Access,
        clock: Rc<dyn Clock>,
        info: &LinkInfo,
        options: &AttachOptions,
        watch: &mut dyn Watch,
    ) -> Result<Self, DeviceError> {
        let mut bus = NorBus::new(wire, Rc::clone(&clock));
        let entered = entry::enter(&mut bus, &mut access, clock.as_ref(), &info.pins, options, watch)?;
        let setup = setup::set_up(&mut bus, entered, options, info, watch)?;
        Ok(Self {
            bus,
            access,
            clock,
            limits: setup.facts.part.map_or_else(Limits::of_any_part, |part| part.limits()),
            usual: usual(setup.facts.part),
            working_clock: setup.facts.speed,
            write_clock: 0,
            cen: info.pins.at(WireName::Cen),
            facts: setup.facts,
        })
    }

    /// Reads in frames as long as the driver takes them, with a checkpoint in front of each.
    fn read_frames(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<(), DeviceError> {
        let room = self.bus.read_room();
        let mut at = at;
        for piece in into.chunks_mut(room) {
            watch.checkpoint()?;
            self.bus.read(at, piece)?;
            at += piece.len() as u32;
            watch.advance(piece.len() as u64);
        }
        let repeated = self.bus.take_repeated();
        if repeated > 0 {
            watch.retried(format!("the computer was too busy: {repeated} transfers were made again"));
        }
        Ok(())
    }

    /// The sectors of `expected` that read differently at the present clock.
    fn differing(&mut self, at: u32, expected: &[u8], watch: &mut dyn Watch) -> Result<Vec<u32>, DeviceError> {
        let mut differing = Vec::new();
        let mut seen = vec![0_u8; BLOCK as usize];
        for (block, wanted) in (at..).step_by(BLOCK as usize).zip(expected.chunks(BLOCK as usize)) {
            let Some(seen) = seen.get_mut(..wanted.len()) else { continue };
            self.read_frames(block, seen, watch)?;
            let sectors = seen.chunks(SECTOR as usize).zip(wanted.chunks(SECTOR as usize));
            let wrong = (block..).step_by(SECTOR as usize).zip(sectors).filter(|(_, (seen, wanted))| seen != wanted);
            differing.extend(wrong.map(|(sector, _)| sector));
        }
        Ok(differing)
    }

    /// WREN, the proof that it took, one command, and the end of its work. Every change of the flash passes here.
    fn change(&mut self, command: &[u8], busy: Busy, usual: &mut Duration) -> Result<Change, DeviceError> {
        self.is_behind_cen()?;
        self.bus.change(command, busy, usual)
    }

    /// The same until the flash holds `wanted` at `busy.at`, where it is in doubt whether the command was carried out.
    fn change_to(
        &mut self,
        command: &[u8],
        busy: Busy,
        usual: &mut Duration,
        wanted: &[u8],
    ) -> Result<(), DeviceError> {
        for _ in 0..DOUBTS {
            if self.change(command, busy, usual)? == Change::Made
                || self.differing(busy.at, wanted, &mut Unwatched)?.is_empty()
            {
                return Ok(());
            }
        }
        Err(DeviceError::NoAnswer { request: busy.request, at: busy.at })
    }

    fn is_behind_cen(&self) -> Result<(), DeviceError> {
        if self.facts.tie == Tie::Loose { Err(DeviceError::NotBehindCen { cen: self.cen.clone() }) } else { Ok(()) }
    }
}

/// Well below what the part's family usually takes: too early is learned from at once, too late only bit by bit.
fn usual(part: Option<&Part>) -> Typical {
    let typical = part.map_or_else(Typical::of_any_part, Part::typical);
    Typical {
        page_program: typical.page_program / 8,
        sector_erase: typical.sector_erase / 8,
        block_erase: typical.block_erase / 8,
    }
}

impl ReadFlash for SpiFlash {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn abilities(&self) -> Abilities {
        Abilities { status_registers: self.facts.part.is_some(), chip_crc: None, first_writable: 0, prefer_crc: false }
    }

    fn read(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<(), DeviceError> {
        in_range("read", at, into.len(), 0, self.facts.size)?;
        self.read_frames(at, into, watch)
    }

    fn compare(&mut self, at: u32, expected: &[u8], watch: &mut dyn Watch) -> Result<Vec<u32>, DeviceError> {
        in_range("compare", at, expected.len(), 0, self.facts.size)?;
        self.bus.set_clock(self.working_clock / 2)?;
        let differing = self.differing(at, expected, watch);
        self.bus.set_clock(self.working_clock)?;
        differing
    }

    fn read_status(&mut self) -> Result<Option<StatusBytes>, DeviceError> {
        self.read_registers().map(Some)
    }

    fn identify_again(&mut self) -> Result<(), DeviceError> {
        insist(self)
    }

    fn keep_alive(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn slow_down(&mut self) -> Result<Option<u32>, DeviceError> {
        let Some(step) = tune::step_below(self.working_clock) else { return Ok(None) };
        let before = self.working_clock;
        self.working_clock = self.bus.set_clock(step)?;
        self.facts.speed = self.working_clock;
        // An adapter with one clock has no lower one.
        Ok((self.working_clock < before).then_some(self.working_clock))
    }

    fn rest(&mut self, time: Duration, watch: &mut dyn Watch) -> Result<(), DeviceError> {
        wait(self.clock.as_ref(), time, watch)
    }

    fn needs_keep_alive(&self) -> bool {
        false
    }
}

impl LookAgain for SpiFlash {
    fn look_again(&mut self) -> Result<Again, DeviceError> {
        let ids = (0..ID_READS).map(|_| self.bus.id()).collect::<Result<Vec<_>, _>>()?;
        let other = ids.iter().copied().find(|id| Some(*id) != self.facts.jedec);
        Ok(match other {
            None => Again::Same,
            Some(id) if plausible(id) && ids.iter().all(|again| *again == id) => {
                Again::Other { was: DeviceError::id_text(self.facts.jedec), is: DeviceError::id_text(Some(id)) }
            }
            Some(id) => Again::Nobody(format!("its JEDEC id reads {}", hex_text(&id))),
        })
    }
}

impl WriteFlash for SpiFlash {
    fn prove_write_path(&mut self, watch: &mut dyn Watch) -> Result<(), DeviceError> {
        self.is_behind_cen()?;
        let poll = Duration::from_millis(10);
        self.bus.wait_idle(Busy { request: "write enable", at: 0, limit: self.limits.block_erase, poll })?;
        while self.write_clock < self.working_clock {
            watch.checkpoint()?;
            let Err(status) = self.bus.enable_rounds(ENABLE_ROUNDS)? else {
                self.write_clock = self.working_clock;
                break;
            };
            let at = self.working_clock;
            let Some(lower) = self.slow_down()? else { return Err(DeviceError::NoWriteEnable { at: 0, status }) };
            let text = format!("write enable is not taken every time at {}", clock_text(at));
            watch.retried(format!("{text}; going on at {}", clock_text(lower)));
        }
        Ok(())
    }

    fn erase(&mut self, unit: EraseUnit, at: u32) -> Result<(), DeviceError> {
        may_erase(unit, at, 0, self.facts.size)?;
        let Typical { mut sector_erase, mut block_erase, .. } = self.usual;
        let addressing = self.bus.addressing;
        let (command, limit, poll, usual) = match unit {
            EraseUnit::Sector => (opcode::erase_sector(addressing, at), self.limits.sector_erase, 1, &mut sector_erase),
            EraseUnit::Block => (opcode::erase_block(addressing, at), self.limits.block_erase, 10, &mut block_erase),
        };
        let poll = Duration::from_millis(poll);
        self.bus.wait_idle(Busy { request: "erase", at, limit: self.limits.block_erase, poll })?;
        let erased = vec![0xFF; unit.bytes() as usize];
        self.change_to(&command, Busy { request: "erase", at, limit, poll }, usual, &erased)?;
        self.usual = Typical { sector_erase, block_erase, ..self.usual };
        Ok(())
    }

    fn program(&mut self, at: u32, data: &SectorData) -> Result<(), DeviceError> {
        if !at.is_multiple_of(SECTOR) {
            return Err(DeviceError::OutOfRange { request: "program", at, first: 0, end: self.facts.size });
        }
        in_range("program", at, data.len(), 0, self.facts.size)?;
        let busy = |at, limit| Busy { request: "program", at, limit, poll: Duration::from_micros(50) };
        self.bus.wait_idle(busy(at, self.limits.block_erase))?;
        for (page, bytes) in Span::new(at, SECTOR).pieces(PAGE).zip(data.chunks(PAGE as usize)) {
            if bytes.iter().all(|byte| *byte == 0xFF) {
                continue;
            }
            let command = opcode::page_program(self.bus.addressing, page.start, bytes)
                .ok_or(DeviceError::OutOfRange { request: "program", at: page.start, first: at, end: at + SECTOR })?;
            let busy = busy(page.start, self.limits.page_program);
            let mut usual = self.usual.page_program;
            self.change_to(&command, busy, &mut usual, bytes)?;
            self.usual.page_program = usual;
        }
        Ok(())
    }

    fn write_status(&mut self, change: &StatusChange) -> Result<StatusBytes, DeviceError> {
        if self.facts.part.is_none() {
            return Err(DeviceError::Unable {
                what: "writing the status registers of an unknown part",
                remedy: "the flash can be read; its data sheet has to be added to the table first",
            });
        }
        carry_out(self, change)
    }

    fn reboot(&mut self) -> Result<(), DeviceError> {
        let poll = Duration::from_millis(1);
        self.bus.wait_idle(Busy { request: "reboot", at: 0, limit: self.limits.block_erase, poll })?;
        self.bus.send(&[opcode::WRITE_DISABLE])?;
        let reset = match &mut self.access {
            Access::Line(reset) => reset,
            Access::Hand => {
                return Err(DeviceError::Unable {
                    what: "a reset",
                    remedy: "there is no reset line: touch CEN to GND for a moment, or take the supply away",
                });
            }
            Access::Bare => {
                return Err(DeviceError::Unable {
                    what: "a reset",
                    remedy: "a bare flash chip runs no firmware: solder it back to its module, or take the clip off",
                });
            }
        };
        reset.hold(true)?;
        self.clock.sleep(RESET_PULSE);
        reset.hold(false)?;
        Ok(())
    }
}

impl StatusAccess for SpiFlash {
    fn read_registers(&mut self) -> Result<StatusBytes, DeviceError> {
        let Some(part) = self.facts.part else {
            // Other read opcodes mean other things on other parts: 35 switches some Macronix parts to quad mode.
            return Ok(StatusBytes { sr1: self.bus.status(opcode::READ_STATUS_1)?, sr2: None, sr3: None });
        };
        let read = part.layout.read;
        let mut register = |opcode: Option<u8>| opcode.map(|opcode| self.bus.status(opcode)).transpose();
        Ok(StatusBytes {
            sr1: register(Some(read.sr1))?.unwrap_or_default(),
            sr2: register(read.sr2)?,
            sr3: register(read.sr3)?,
        })
    }

    fn write_register(&mut self, write: StatusWrite) -> Result<(), DeviceError> {
        let poll = Duration::from_millis(1);
        let busy = Busy { request: "status register write", at: 0, limit: self.limits.status_write, poll };
        self.bus.wait_idle(Busy { limit: self.limits.block_erase, ..busy })?;
        let mut command = vec![write.opcode];
        command.extend_from_slice(write.values());
        // Too rare to learn from.
        let mut usual = Duration::ZERO;
        // Whether it was carried out is read back from the registers in any case.
        self.change(&command, busy, &mut usual).map(|_| ())
    }
}
