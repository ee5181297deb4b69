//! The flash through the download code of the chip (uart-protocol.md).

#[cfg(test)]
mod damage;
mod efuse;
mod explain;
mod fetch;
mod heard;
mod identify;
mod link_up;
mod loader;
mod picture;
mod port;
mod seen;
mod speed;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
mod voices;

use std::rc::Rc;
use std::time::Duration;

use self::link_up::START_BAUD;
use self::loader::{Changed, Dialect, Loader};
use self::port::{AWAKE, Port};
use self::seen::Seen as SeenFlash;
use super::again::{Again, LookAgain, insist};
use super::attach::{AttachOptions, KnownClock};
use super::contract::{Abilities, EraseUnit, Facts, ReadFlash, SectorData, Seen, WriteFlash};
use super::error::DeviceError;
use super::guard::{in_range, may_erase, wait};
use super::spi::plausible;
use super::status::{StatusAccess, carry_out};
use super::tie::Tie;
use super::watch::Watch;
use crate::codec::beken::{EraseCode, Request, chip_crc};
use crate::codec::nor::{StatusBytes, StatusChange, StatusWrite};
use crate::link::{Clock, LinkInfo, ResetLine, SerialLink, WireKind};
use crate::units::{BLOCK, SECTOR, Span};

/// Tries of an erase or write (uart-protocol.md §13).
const TRIES: u32 = 3;
/// Bytes whose CRC tells one boot loader from another.
const FIRST_PAGE: u32 = 256;
/// A register write that was not taken is answered with this status (§5).
const NOT_TAKEN: u8 = 0x03;
/// Where in a sector or block the address of an erase points: a second address byte from 07 to F7.
const MIDDLE: u32 = 0x700;
/// How long CEN is held low to start the firmware.
const RESET_PULSE: Duration = Duration::from_millis(100);

/// A flash behind a loader.
pub(super) struct UartFlash {
    loader: Loader,
    facts: Facts,
    /// CRC of the first page; `None` once this program has changed that.
    first_page: Option<u32>,
    /// What was seen on this connection.
    seen: SeenFlash,
    /// Nobody knows what this loader does with an erase or a write.
    read_only: bool,
    /// What was erased last.
    erased: Option<u32>,
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
        let mut port = Port::new(wire, clock, info.pins.clone());
        let linked = link_up::link_up(&mut port, reset.as_deref_mut(), options.cut_off, watch)?;
        let (mut loader, identity) = identify::identify(port, reset, watch)?;
        let mut evidence = vec![linked];
        evidence.extend(identity.evidence);
        let crc_rate = loader.measure_crc_rate()?;
        let speed = speed::settle(&mut loader, options.speed, remembered(options), &mut evidence, watch)?;
        evidence.push(format!("the chip computes a CRC over {} KiB per second", crc_rate / 1024));
        loader.link_check()?;
        let code_key = efuse::code_key(&mut loader, identity.chip_id, watch)?;
        evidence.extend(code_key.map(efuse::words));
        if identity.unknown {
            evidence.push("this loader is not in the table: it is only read from, nothing is written".to_owned());
        }
        if info.simulated {
            evidence.push("embedded module: nothing here is a statement about silicon".to_owned());
        }
        let facts = Facts {
            wire: WireKind::Uart,
            jedec: identity.jedec,
            unique_id: None,
            part: identity.part,
            size: loader.size,
            size_sources: identity.size_sources,
            boot_version: identity.boot_version,
            chip_id: identity.chip_id,
            dialect: Some(loader.dialect.name()),
            code_key,
            speed,
            tie: Tie::Measured,
            evidence,
            tries: Vec::new(),
        };
        let seen = SeenFlash::new(facts.size);
        Ok(Self { loader, facts, seen, first_page: Some(identity.boot_crc), read_only: identity.unknown, erased: None })
    }

    fn guard(&self) -> u32 {
        if self.read_only { self.facts.size } else { self.loader.dialect.first_writable() }
    }

    /// Whether the chip's CRC of a range is that of the expected bytes; a mismatch is asked twice.
    fn same(&mut self, at: u32, expected: &[u8]) -> Result<bool, DeviceError> {
        let wanted = chip_crc(expected);
        let len = expected.len() as u32;
        Ok(self.loader.crc(at, len)? == wanted || self.loader.crc(at, len)? == wanted)
    }
}

impl UartFlash {
    /// One step down the ladder.
    fn go_slower(&mut self) -> Result<Option<u32>, DeviceError> {
        let Some(step) = speed::step_below(self.loader.speed).filter(|_| !self.loader.mute) else { return Ok(None) };
        match speed::change(&mut self.loader, step)? {
            speed::Met::New => {}
            speed::Met::Old => return Ok(None),
            speed::Met::Nowhere => {
                self.loader.speed = step;
                self.loader.link_again()?;
            }
        }
        self.loader.faults = 0;
        (self.loader.speed, self.facts.speed) = (step, step);
        Ok(Some(step))
    }

    /// What was seen there is not what stands there from now on.
    fn changes(&mut self, at: u32) {
        self.seen.changed();
        if at < FIRST_PAGE {
            self.first_page = None;
        }
    }

    /// The address an erase is asked for by. NOR flash takes any address inside the sector or block (data sheets), and a
    /// doubled byte moves the second address byte into the third: taken from the middle of the unit it leads past the boot
    /// loader of a T, into flash that can be put back, where 0 would lead into it. A unit that is erased once more gets
    /// its plain address, in case this loader wants that.
    fn inside(&mut self, at: u32) -> u32 {
        let again = self.erased.replace(at) == Some(at);
        if self.loader.dialect == Dialect::Basic && !again { at + MIDDLE } else { at }
    }

    /// Comes down to a rate that a basic loader can write at.
    fn write_speed(&mut self) -> Result<(), DeviceError> {
        while self.loader.dialect == Dialect::Basic
            && self.loader.speed > speed::BASIC_WRITE_LIMIT
            && self.go_slower()?.is_some()
        {}
        Ok(())
    }
}

/// Names of the changing requests in errors.
const ERASE: &str = "erase";
const WRITE: &str = "sector write";

/// The rate that worked with this adapter before. One that a bad day has left slow is not held on to.
fn remembered(options: &AttachOptions) -> Option<u32> {
    let own = options.known.iter().rev().find(|known| known.jedec == KnownClock::ADAPTER);
    own.map(|known| known.hz).filter(|rate| *rate > speed::FIRST_STEP)
}

impl ReadFlash for UartFlash {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            status_registers: self.loader.dialect == Dialect::Full && self.facts.part.is_some(),
            chip_crc: Some(self.loader.port.crc_rate),
            first_writable: self.guard(),
            // The chip's own speed against wire bytes per second.
            prefer_crc: self.loader.port.crc_rate > self.facts.speed / 10,
        }
    }

    fn read(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<(), DeviceError> {
        in_range("read", at, into.len(), 0, self.facts.size)?;
        self.read_patiently(at, into, watch)?;
        self.seen.read(at, into);
        Ok(())
    }

    fn fetch(&mut self, at: u32, known: &[&[u8]], into: &mut [u8], watch: &mut dyn Watch) -> Result<Seen, DeviceError> {
        in_range("read", at, into.len(), 0, self.facts.size)?;
        // Erased flash always gets its second look.
        let own = self.seen.of(at, into.len() as u32).filter(|own| own.iter().any(|byte| *byte != 0xFF));
        let own = own.map(<[u8]>::to_vec);
        let known: Vec<&[u8]> =
            known.iter().copied().chain(own.as_deref()).filter(|known| known.len() == into.len()).collect();
        let seen = self.fetch_proven(at, &known, into, watch)?;
        if seen == Seen::Proven {
            self.seen.proven(at, into, self.loader.losses());
        }
        Ok(seen)
    }

    fn still(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.seen.still(at, len, self.loader.losses())
    }

    fn losses(&self) -> Option<u32> {
        Some(self.loader.losses())
    }

    fn compare(&mut self, at: u32, expected: &[u8], watch: &mut dyn Watch) -> Result<Vec<u32>, DeviceError> {
        in_range("compare", at, expected.len(), 0, self.facts.size)?;
        let mut differing = Vec::new();
        let mut rest = expected;
        for block in Span::new(at, expected.len() as u32).pieces(BLOCK) {
            watch.checkpoint()?;
            let (bytes, later) = rest.split_at(block.len as usize);
            rest = later;
            if self.same(block.start, bytes)? {
                self.seen.proven(block.start, bytes, self.loader.losses());
            } else {
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
        insist(self)
    }

    fn keep_alive(&mut self) -> Result<(), DeviceError> {
        if !self.loader.mute && self.loader.port.since_answer() < AWAKE { Ok(()) } else { self.loader.link_check() }
    }

    fn sign_of_life(&mut self) {
        if !self.loader.mute && self.loader.port.since_answer() >= AWAKE {
            // The next request finds out what this has found.
            let _ = self.loader.port.link_check(AWAKE);
        }
    }

    fn slow_down(&mut self) -> Result<Option<u32>, DeviceError> {
        self.go_slower()
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

impl LookAgain for UartFlash {
    fn look_again(&mut self) -> Result<Again, DeviceError> {
        let is = self.loader.crc(0, FIRST_PAGE)?;
        self.loader.link_check()?;
        let was = *self.first_page.get_or_insert(is);
        if is != was {
            let blank = [0x00, 0xFF].into_iter().find(|byte| is == chip_crc(&[*byte; FIRST_PAGE as usize]));
            return Ok(match blank {
                Some(byte) => Again::Nobody(format!("its flash begins with nothing but {byte:02X}")),
                None => Again::Other { was: format!("boot loader CRC {was:08X}"), is: format!("{is:08X}") },
            });
        }
        let Some(was) = self.facts.jedec else { return Ok(Again::Same) };
        Ok(match self.loader.flash_id()? {
            is if is == was => Again::Same,
            is if plausible(is) => {
                Again::Other { was: DeviceError::id_text(Some(was)), is: DeviceError::id_text(Some(is)) }
            }
            is => Again::Nobody(format!("the JEDEC id of its flash reads {}", DeviceError::id_text(Some(is)))),
        })
    }
}

impl WriteFlash for UartFlash {
    fn prove_write_path(&mut self, _: &mut dyn Watch) -> Result<(), DeviceError> {
        // Every command is answered with its own address.
        Ok(())
    }

    fn erase(&mut self, unit: EraseUnit, at: u32) -> Result<(), DeviceError> {
        may_erase(unit, at, self.guard(), self.facts.size)?;
        self.changes(at);
        self.write_speed()?;
        let code = match unit {
            EraseUnit::Sector => EraseCode::Sector,
            EraseUnit::Block => EraseCode::Block,
        };
        let request = Request::Erase { code, at: self.inside(at) };
        for _ in 0..TRIES {
            // A basic loader unlocks its flash only in an erase that follows a link check (§7.1).
            if self.loader.dialect == Dialect::Basic && self.loader.locked {
                self.loader.link_check()?;
            }
            match self.loader.change(&request, at)? {
                Changed::Answered => {
                    self.loader.locked = false;
                    return Ok(());
                }
                Changed::Garbled => self.loader.resync_after(ERASE, at)?,
                Changed::Silence => self.loader.recover(&request, at)?,
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
        self.changes(at);
        self.write_speed()?;
        if self.loader.dialect == Dialect::Basic && self.loader.locked {
            self.erase(EraseUnit::Sector, at)?;
        }
        let request = Request::Write4k { at, data };
        for _ in 0..TRIES {
            match self.loader.change(&request, at)? {
                Changed::Answered => return Ok(()),
                Changed::Garbled => self.loader.resync_after(WRITE, at)?,
                Changed::Silence => self.loader.recover(&request, at)?,
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
        let request = Request::WriteStatus(write);
        match self.loader.change(&request, 0) {
            // What was taken is told by reading back.
            Ok(Changed::Answered) | Err(DeviceError::Status { status: NOT_TAKEN, .. }) => Ok(()),
            Ok(Changed::Garbled) => self.loader.resync_after("status register write", 0),
            Ok(Changed::Silence) => self.loader.recover(&request, 0),
            Err(other) => Err(other),
        }
    }
}
