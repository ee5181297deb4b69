//! The flash through the download code of the chip (uart-protocol.md).

mod identify;
mod link_up;
mod loader;
mod port;
mod speed;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use self::link_up::START_BAUD;
use self::loader::{Changed, Dialect, Loader};
use self::port::Port;
use super::attach::AttachOptions;
use super::contract::{Abilities, DeviceError, EraseUnit, Facts, ReadFlash, SectorData, Watch, WriteFlash};
use super::guard::{in_range, may_erase, wait};
use super::status::{StatusAccess, carry_out};
use super::tie::Tie;
use crate::codec::beken::{EraseCode, Request, chip_crc};
use crate::codec::nor::{StatusBytes, StatusChange, StatusWrite};
use crate::link::{Clock, LinkInfo, ResetLine, SerialLink, WireKind};
use crate::units::{BLOCK, SECTOR, Span};

/// Tries of an erase or write (uart-protocol.md §13).
const TRIES: u32 = 3;
/// A register write that was not taken is answered with this status (§5).
const NOT_TAKEN: u8 = 0x03;
/// A loader that hears nothing for 100 ms may fall asleep (uart-protocol.md §3.1).
const AWAKE: Duration = Duration::from_millis(80);
/// How long CEN is held low to start the firmware.
const RESET_PULSE: Duration = Duration::from_millis(100);

/// A flash behind a loader.
pub(super) struct UartFlash {
    loader: Loader,
    facts: Facts,
    boot_crc: u32,
}

impl UartFlash {
    /// Links up, identifies chip and flash, and settles on a rate.
    pub(super) fn attach(
        wire: Box<dyn SerialLink>,
        mut reset: Option<Box<dyn ResetLine>>,
        clock: Rc<dyn Clock>,
        info: &LinkInfo,
        options: &AttachOptions,
        watch: &mut dyn Watch,
    ) -> Result<Self, DeviceError> {
        let mut port = Port::new(wire, clock);
        let linked = link_up::link_up(&mut port, reset.as_deref_mut(), watch)?;
        let (mut loader, identity) = identify::identify(port, reset, watch)?;
        let mut evidence = vec![linked];
        evidence.extend(identity.evidence);
        let asked = options.speed.unwrap_or(speed::DEFAULT_BAUD);
        let speed = speed::settle(&mut loader, asked, &mut evidence, watch)?;
        let crc_rate = loader.measure_crc_rate()?;
        evidence.push(format!("the chip computes a CRC over {} KiB per second", crc_rate / 1024));
        loader.link_check()?;
        if info.simulated {
            evidence.push("embedded module: nothing here is a statement about silicon".to_owned());
        }
        let facts = Facts {
            wire: WireKind::Uart,
            jedec: identity.jedec,
            part: identity.part,
            size: loader.size,
            size_sources: identity.size_sources,
            boot_version: identity.boot_version,
            chip_id: identity.chip_id,
            dialect: Some(loader.dialect.name()),
            speed,
            tie: Tie::Measured,
            evidence,
        };
        Ok(Self { loader, facts, boot_crc: identity.boot_crc })
    }

    fn guard(&self) -> u32 {
        self.loader.dialect.first_writable()
    }

    /// Whether the chip's CRC of a range is that of the expected bytes; a mismatch is asked twice.
    fn same(&mut self, at: u32, expected: &[u8]) -> Result<bool, DeviceError> {
        let wanted = chip_crc(expected);
        let len = expected.len() as u32;
        Ok(self.loader.crc(at, len)? == wanted || self.loader.crc(at, len)? == wanted)
    }
}

/// Names of the changing requests in errors.
const ERASE: &str = "erase";
const WRITE: &str = "sector write";

impl ReadFlash for UartFlash {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            status_registers: self.loader.dialect == Dialect::Full && self.facts.part.is_some(),
            chip_crc: true,
            first_writable: self.guard(),
            // Wire bytes per second against the chip's own speed.
            prefer_crc: self.loader.port.crc_rate / 2 > self.facts.speed / 10,
        }
    }

    fn read(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<(), DeviceError> {
        in_range("read", at, into.len(), 0, self.facts.size)?;
        let wanted = Span::new(at, into.len() as u32);
        let mut sector = [0_u8; SECTOR as usize];
        let mut rest = into;
        for piece in wanted.pieces(SECTOR) {
            watch.checkpoint()?;
            let first = piece.start / SECTOR * SECTOR;
            self.loader.read_sector(first, &mut sector, &mut |what| watch.retried(what))?;
            let (into, later) = std::mem::take(&mut rest).split_at_mut(piece.len as usize);
            let from = (piece.start - first) as usize;
            if let Some(bytes) = sector.get(from..from + into.len()) {
                into.copy_from_slice(bytes);
            }
            rest = later;
            watch.advance(u64::from(piece.len));
        }
        Ok(())
    }

    fn compare(&mut self, at: u32, expected: &[u8], watch: &mut dyn Watch) -> Result<Vec<u32>, DeviceError> {
        in_range("compare", at, expected.len(), 0, self.facts.size)?;
        let mut differing = Vec::new();
        let mut rest = expected;
        for block in Span::new(at, expected.len() as u32).pieces(BLOCK) {
            watch.checkpoint()?;
            let (bytes, later) = rest.split_at(block.len as usize);
            rest = later;
            if !self.same(block.start, bytes)? {
                for (sector, bytes) in (block.start..).step_by(SECTOR as usize).zip(bytes.chunks(SECTOR as usize)) {
                    watch.checkpoint()?;
                    if !self.same(sector, bytes)? {
                        differing.push(sector);
                    }
                }
            }
            watch.advance(u64::from(block.len));
        }
        Ok(differing)
    }

    fn read_status(&mut self) -> Result<Option<StatusBytes>, DeviceError> {
        if self.abilities().status_registers { self.read_registers().map(Some) } else { Ok(None) }
    }

    fn identify_again(&mut self) -> Result<(), DeviceError> {
        let is = self.loader.crc(0, 256)?;
        self.loader.link_check()?;
        if is != self.boot_crc {
            return Err(DeviceError::OtherChip {
                was: format!("boot loader CRC {:08X}", self.boot_crc),
                is: format!("{is:08X}"),
            });
        }
        let Some(was) = self.facts.jedec else { return Ok(()) };
        match self.loader.flash_id()? {
            is if is == was => Ok(()),
            is => {
                Err(DeviceError::OtherChip { was: DeviceError::id_text(Some(was)), is: DeviceError::id_text(Some(is)) })
            }
        }
    }

    fn keep_alive(&mut self) -> Result<(), DeviceError> {
        self.loader.link_check()
    }

    fn slow_down(&mut self) -> Result<Option<u32>, DeviceError> {
        let Some(step) = speed::step_below(self.loader.speed).filter(|_| !self.loader.mute) else { return Ok(None) };
        match speed::change(&mut self.loader, step)? {
            speed::Met::New => {}
            speed::Met::Old => return Ok(None),
            speed::Met::Nowhere => {
                self.loader.speed = step;
                self.loader.link_again()?;
            }
        }
        (self.loader.speed, self.facts.speed) = (step, step);
        Ok(Some(step))
    }

    fn rest(&mut self, time: Duration, watch: &mut dyn Watch) -> Result<(), DeviceError> {
        let mut left = time;
        while !left.is_zero() {
            let nap = left.min(AWAKE);
            wait(self.loader.port.clock(), nap, watch)?;
            left -= nap;
            // A loader that may be in the middle of a frame is left in peace.
            if !self.loader.mute {
                self.loader.link_check()?;
            }
        }
        Ok(())
    }

    fn needs_keep_alive(&self) -> bool {
        true
    }
}

impl WriteFlash for UartFlash {
    fn erase(&mut self, unit: EraseUnit, at: u32) -> Result<(), DeviceError> {
        may_erase(unit, at, self.guard(), self.facts.size)?;
        let code = match unit {
            EraseUnit::Sector => EraseCode::Sector,
            EraseUnit::Block => EraseCode::Block,
        };
        for _ in 0..TRIES {
            // A basic loader unlocks its flash only in an erase that follows a link check (§7.1).
            if self.loader.dialect == Dialect::Basic && self.loader.locked {
                self.loader.link_check()?;
            }
            match self.loader.change(&Request::Erase { code, at }, at)? {
                Changed::Answered => {
                    self.loader.locked = false;
                    return Ok(());
                }
                Changed::Garbled => self.loader.resync_after(ERASE, at)?,
                Changed::Silence => self.loader.recover(ERASE, at, false)?,
            }
        }
        Err(DeviceError::NoAnswer { request: ERASE, at })
    }

    fn program(&mut self, at: u32, data: &SectorData) -> Result<(), DeviceError> {
        let (first, end) = (self.guard(), self.facts.size);
        if !at.is_multiple_of(SECTOR) {
            return Err(DeviceError::OutOfRange { request: WRITE, at, first, end });
        }
        in_range(WRITE, at, data.len(), first, end)?;
        if data.iter().all(|byte| *byte == 0xFF) {
            return Ok(());
        }
        if self.loader.dialect == Dialect::Basic && self.loader.locked {
            self.erase(EraseUnit::Sector, at)?;
        }
        for _ in 0..TRIES {
            match self.loader.change(&Request::Write4k { at, data }, at)? {
                Changed::Answered => return Ok(()),
                Changed::Garbled => self.loader.resync_after(WRITE, at)?,
                Changed::Silence => self.loader.recover(WRITE, at, true)?,
            }
            // Part of the sector may be programmed, with anything.
            self.erase(EraseUnit::Sector, at)?;
        }
        Err(DeviceError::NoAnswer { request: WRITE, at })
    }

    fn write_status(&mut self, change: &StatusChange) -> Result<StatusBytes, DeviceError> {
        if !self.abilities().status_registers {
            return Err(DeviceError::Unable {
                what: "writing the status registers",
                remedy: "a basic loader unlocks its flash by itself before an erase; use SPI to change the protection",
            });
        }
        carry_out(self, change)
    }

    fn reboot(&mut self) -> Result<(), DeviceError> {
        match self.loader.reset.as_deref_mut() {
            Some(reset) => {
                reset.hold(true)?;
                self.loader.port.clock().sleep(RESET_PULSE);
                reset.hold(false)?;
            }
            // Not acknowledged, so it is sent as often as other tools send it (§6.1).
            None if self.loader.mute => return Err(DeviceError::NoAnswer { request: "reboot", at: 0 }),
            None => {
                for _ in 0..3 {
                    self.loader.port.tell(&Request::Reboot)?;
                    self.loader.port.clock().sleep(Duration::from_millis(10));
                }
            }
        }
        Ok(self.loader.port.set_baud(START_BAUD)?)
    }
}

impl StatusAccess for UartFlash {
    fn read_registers(&mut self) -> Result<StatusBytes, DeviceError> {
        let Some(part) = self.facts.part else {
            return Err(DeviceError::Unable {
                what: "reading the status registers of an unknown part",
                remedy: "its data sheet has to be added to the table first",
            });
        };
        let read = part.layout.read;
        let mut register = |opcode: Option<u8>| opcode.map(|opcode| self.loader.status_register(opcode)).transpose();
        Ok(StatusBytes {
            sr1: register(Some(read.sr1))?.unwrap_or_default(),
            sr2: register(read.sr2)?,
            sr3: register(read.sr3)?,
        })
    }

    fn write_register(&mut self, write: StatusWrite) -> Result<(), DeviceError> {
        match self.loader.change(&Request::WriteStatus(write), 0) {
            // What was taken is told by reading back.
            Ok(Changed::Answered) | Err(DeviceError::Status { status: NOT_TAKEN, .. }) => Ok(()),
            Ok(Changed::Garbled) => self.loader.resync_after("status register write", 0),
            Ok(Changed::Silence) => self.loader.recover("status register write", 0, false),
            Err(other) => Err(other),
        }
    }
}
