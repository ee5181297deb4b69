//! What a linked loader can do, request by request, with retries where asking twice does no harm.

use super::super::error::DeviceError;
use super::super::watch::{Unwatched, Watch};
use super::link_up::link_up;
use super::port::Port;
use super::speed::{self, Met};
use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Answer, Reply, Request, status_meaning};
use crate::link::ResetLine;
use crate::units::{BLOCK, SECTOR};

/// Tries of a request that changes nothing (§13).
const TRIES: u32 = 3;
/// Tries of a sector read (§13).
const READ_TRIES: u32 = 5;

/// Status bytes of a frame that did not arrive as it was sent (§5).
const WRONG_LENGTH: u8 = 0x04;
const BYTES_MISSING: u8 = 0x05;
/// What a disturbed read weighs against good ones, and the sum from which a lower rate is worth a try: more than one
/// read in five fails for a while.
const FAULT_WEIGHT: u32 = 4;
const TROUBLE: u32 = 24;

/// The two dialects (§1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Download code inside the flash-resident boot loader.
    Basic,
    /// Download code in mask ROM.
    Full,
}

impl Dialect {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Full => "full",
        }
    }

    /// First address a host may erase or write (§1, §8). Loaders guard less than that or nothing at all; this is where
    /// the boot loader's container ends.
    pub const fn first_writable(self) -> u32 {
        match self {
            Self::Basic => 0x1_1000,
            Self::Full => 0,
        }
    }
}

/// How a request that changes the flash ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Answered with status 00. No proof of a change (§5).
    Answered,
    /// An answer came and cannot be read: the request was carried out in full, one way or the other.
    Garbled,
    /// No answer: it may have been carried out, or half of it may still be in the loader's parser.
    Silence,
}

/// What is known about sending a read request while the answer to the one before is still coming. Basic loaders keep
/// 512 bytes while they work (§21), full ones drop them (§4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// Not tried on this connection.
    Untried,
    /// It was answered.
    Proven,
    /// It was not, or the dialect forbids it.
    Never,
}

/// What the loader does with an erase request that reaches it one byte short, when zeros complete it: its address is
/// then made of bytes of the true one and ends in zeros, so it lies below 0x10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LowErase {
    /// It is refused: the loaders of the BK7231T (§21).
    Refused,
    /// Nobody knows, or it is carried out.
    Unknown,
}

/// A linked loader.
pub(super) struct Loader {
    pub port: Port,
    pub reset: Option<Box<dyn ResetLine>>,
    pub dialect: Dialect,
    /// Flash size in bytes.
    pub size: u32,
    /// The rate to come back to after a reset.
    pub speed: u32,
    /// A basic loader's flash is, or may be, locked: the next erase needs a link check in front of it (§7.1).
    pub locked: bool,
    /// Whether requests are sent ahead of the answers to earlier ones.
    pub ahead: Ahead,
    /// Counts disturbed sector reads up and good ones down; a high count asks for a lower rate.
    pub faults: u32,
    /// How often the chip was reset since it was identified.
    pub resets: u32,
    /// What becomes of an erase below 0x10000.
    pub low_erase: LowErase,
    /// How often an answer was missing or could not be read.
    pub lost: u32,
    /// An erase request may lie half read in a basic loader, and the next byte sent would complete its address with
    /// anything. Nothing is sent any more until the chip has been reset.
    pub mute: bool,
}

impl Loader {
    /// How often question and answer lost each other, or the loader may have left unseen, on this connection.
    pub fn losses(&self) -> u32 {
        self.lost + self.port.gaps + u32::from(self.port.left_alone())
    }

    pub fn link_check(&mut self) -> Result<(), DeviceError> {
        self.ask(&Request::LinkCheck, 0).map(|_| ())
    }

    /// The chip's CRC. On a basic loader it locks the flash.
    pub fn crc(&mut self, start: u32, len: u32) -> Result<u32, DeviceError> {
        let request = Request::Crc { start, len };
        self.locked = true;
        let reply = self.ask(&request, start)?;
        match request.accepts(&reply) {
            Some(Answer::Crc(crc)) => Ok(crc),
            _ => Err(DeviceError::NoAnswer { request: request.name(), at: start }),
        }
    }

    /// Reads one sector. Below the guard a basic loader is asked for the same cells behind the end of the flash, where
    /// it does not refuse (§8): reads may do that, writes and erases never.
    pub fn read_sector(
        &mut self,
        at: u32,
        into: &mut [u8; SECTOR as usize],
        retried: &mut dyn FnMut(String),
    ) -> Result<(), DeviceError> {
        let request = self.read_request(at);
        for attempt in 1..=READ_TRIES {
            if self.read_once(at, into)? {
                self.faults = self.faults.saturating_sub(1);
                return Ok(());
            }
            self.faults += FAULT_WEIGHT;
            retried(format!("read at 0x{at:06X}, attempt {attempt}: no whole answer"));
            self.find_again(request.name(), at)?;
        }
        Err(DeviceError::NoAnswer { request: request.name(), at })
    }

    /// One try to read a sector, at the port's present rate.
    pub fn read_once(&mut self, at: u32, into: &mut [u8; SECTOR as usize]) -> Result<bool, DeviceError> {
        let request = self.read_request(at);
        let reply = self.ask_once(&request, at)?;
        Ok(take_sector(&request, reply.as_ref(), into))
    }

    /// Reads whole sectors from `at` on. On a basic loader one request is on its way while the answer to the one before
    /// comes in, which hides the host's latency (§21); what fails that way is read again one by one. `done` counts the
    /// sectors that are in `into`, also when it ends in an error.
    pub fn read_sectors(
        &mut self,
        at: u32,
        into: &mut [[u8; SECTOR as usize]],
        done: &mut usize,
        watch: &mut dyn Watch,
    ) -> Result<(), DeviceError> {
        let mut sent = false;
        let mut places = (at..).step_by(SECTOR as usize).zip(into.iter_mut()).peekable();
        while let Some((at, sector)) = places.next() {
            watch.checkpoint()?;
            let next = places.peek().map(|(next, _)| *next).filter(|_| self.ahead != Ahead::Never && !self.mute);
            let request = self.read_request(at);
            if !sent && next.is_some() {
                self.port.begin()?;
                self.port.tell(&request)?;
                sent = true;
            }
            if sent {
                if let Some(next) = next {
                    self.port.tell(&self.read_request(next))?;
                }
                let reply = self.port.answer_to(&request, request.limit(self.port.baud(), self.port.crc_rate))?;
                self.no_stray(request.name(), at)?;
                sent = next.is_some();
                if take_sector(&request, reply.as_ref(), sector) {
                    self.faults = self.faults.saturating_sub(1);
                    if self.ahead == Ahead::Untried && next.is_none() {
                        self.ahead = Ahead::Proven;
                    }
                    *done += 1;
                    watch.advance(SECTOR.into());
                    continue;
                }
                // What comes after a fault is not told apart from what was sent ahead: everything is asked for anew.
                self.ahead = if self.ahead == Ahead::Untried { Ahead::Never } else { self.ahead };
                self.faults += FAULT_WEIGHT;
                watch.retried(format!("read at 0x{at:06X}: no whole answer"));
                self.find_again(request.name(), at)?;
                sent = false;
            }
            self.read_sector(at, sector, &mut |what| watch.retried(what))?;
            *done += 1;
            watch.advance(SECTOR.into());
        }
        Ok(())
    }

    fn read_request(&self, at: u32) -> Request<'static> {
        let guarded = self.dialect == Dialect::Basic && at < self.dialect.first_writable();
        Request::Read4k { at: if guarded { at + self.size } else { at } }
    }

    /// Whether reads have failed so often lately that a lower rate is worth a try.
    pub fn is_troubled(&self) -> bool {
        self.faults >= TROUBLE
    }

    /// A status register of the flash; full dialect.
    pub fn status_register(&mut self, register: u8) -> Result<u8, DeviceError> {
        let request = Request::ReadStatus { register };
        let reply = self.ask(&request, 0)?;
        match request.accepts(&reply) {
            Some(Answer::StatusRegister(value)) => Ok(value),
            _ => Err(DeviceError::NoAnswer { request: request.name(), at: 0 }),
        }
    }

    /// The JEDEC id of the flash; full dialect.
    pub fn flash_id(&mut self) -> Result<[u8; 3], DeviceError> {
        let request = Request::FlashId;
        let reply = self.ask(&request, 0)?;
        match request.accepts(&reply) {
            Some(Answer::FlashId(id)) => Ok(id),
            _ => Err(DeviceError::NoAnswer { request: request.name(), at: 0 }),
        }
    }

    /// Sends a request that changes the flash, once.
    pub fn change(&mut self, request: &Request<'_>, at: u32) -> Result<Changed, DeviceError> {
        let reply = self.ask_once(request, at)?;
        Ok(match reply {
            Some(_) => Changed::Answered,
            None if self.port.heard() * 2 >= request.answer_len() => Changed::Garbled,
            None => Changed::Silence,
        })
    }

    /// Measures how fast the chip computes a CRC.
    pub fn measure_crc_rate(&mut self) -> Result<u32, DeviceError> {
        let request = Request::Crc { start: 2 * BLOCK, len: BLOCK };
        let started = self.port.clock().now();
        self.crc(2 * BLOCK, BLOCK)?;
        let on_wire = byte_times(request.wire_len() + request.answer_len(), self.port.baud());
        let took = self.port.clock().now().saturating_sub(started).saturating_sub(on_wire);
        let rate = u64::from(BLOCK) * 1_000_000 / (took.as_micros() as u64).max(1000);
        self.port.crc_rate = u32::try_from(rate).unwrap_or(u32::MAX);
        Ok(self.port.crc_rate)
    }

    /// Asks until answered, finding the common beat again in between. Only for requests that change nothing.
    pub fn ask(&mut self, request: &Request<'_>, at: u32) -> Result<Reply, DeviceError> {
        for attempt in 0..TRIES {
            self.port.patience = 1 << attempt;
            let reply = self.ask_once(request, at);
            self.port.patience = 1;
            if let Some(reply) = reply? {
                return Ok(reply);
            }
            self.find_again(request.name(), at)?;
        }
        Err(DeviceError::NoAnswer { request: request.name(), at })
    }

    /// Finds the common beat again after a request that changes nothing; with a reset if need be and there is a line.
    pub fn find_again(&mut self, request: &'static str, at: u32) -> Result<(), DeviceError> {
        self.lost += 1;
        let found = self.port.resync(false, self.reset.is_none())?;
        self.no_stray(request, at)?;
        if found {
            return Ok(());
        }
        let lost = DeviceError::NoAnswer { request, at };
        if self.reset.is_some() { self.link_again().map_err(|_| lost) } else { Err(lost) }
    }

    /// Resets the chip and comes back to the working rate.
    pub fn link_again(&mut self) -> Result<(), DeviceError> {
        self.locked = true;
        self.resets += 1;
        self.lost += 1;
        link_up(&mut self.port, self.reset.as_deref_mut(), None, &mut Unwatched)?;
        match speed::change(self, self.speed)? {
            Met::New => Ok(()),
            Met::Old | Met::Nowhere => Err(DeviceError::NoAnswer { request: "baud rate change", at: 0 }),
        }
    }

    /// After a request that changes the flash was answered with something that cannot be read.
    pub fn resync_after(&mut self, request: &'static str, at: u32) -> Result<(), DeviceError> {
        self.locked = true;
        self.find_again(request, at)
    }

    /// After a request that changes the flash stayed unanswered. On a basic loader the frame may lie half read in the
    /// parser, where the next byte would complete it. A torn write is filled up with FF, which programs nothing, and the
    /// answer then tells where it went: a loader whose own code was hit must not be reset before that is known. A torn
    /// erase is filled up with zeros where the loader is known to refuse what they can make of it. Elsewhere its address
    /// would be completed with anything, the boot loader's included: there a reset is the only clean way out.
    pub fn recover(&mut self, request: &Request<'_>, at: u32) -> Result<(), DeviceError> {
        // Zeros have completed a torn erase, and have programmed nothing.
        let filled_up = matches!(request, Request::Write4k { .. }) || self.zeros_complete(request);
        let request = request.name();
        self.locked = true;
        self.lost += 1;
        let lost = DeviceError::NoAnswer { request, at };
        if self.dialect == Dialect::Full {
            return self.find_again(request, at);
        }
        if filled_up {
            let found = self.port.resync(true, self.reset.is_none())?;
            self.no_stray(request, at)?;
            if found {
                return Ok(());
            }
        }
        if self.reset.is_some() {
            return self.link_again().map_err(|_| lost);
        }
        self.mute = true;
        Err(lost)
    }

    /// Whether a torn erase is to be completed with zeros: the loader is known to refuse what they can make of it, and
    /// there is no line that would reset it.
    fn zeros_complete(&self, request: &Request<'_>) -> bool {
        let erase = matches!(request, Request::Erase { .. });
        erase && self.low_erase == LowErase::Refused && self.reset.is_none()
    }

    /// Fails when the loader has reported a change at an address nobody asked for.
    fn no_stray(&mut self, request: &'static str, at: u32) -> Result<(), DeviceError> {
        match self.port.take_stray() {
            Some(instead) => {
                self.locked = true;
                Err(DeviceError::Misdirected { request, at, instead })
            }
            None => Ok(()),
        }
    }

    /// One question. A refusal by status byte is an error; silence is not.
    fn ask_once(&mut self, request: &Request<'_>, at: u32) -> Result<Option<Reply>, DeviceError> {
        if self.mute {
            return Err(DeviceError::NoAnswer { request: request.name(), at });
        }
        let mut reply = match self.zeros_complete(request) {
            true => self.port.ask_to_erase(request)?,
            false => self.port.ask(request)?,
        };
        // A status or an opcode can be damaged like any other byte: a question that is refused is asked once more.
        let refused = |reply: &Reply| matches!(request.accepts(reply), Some(Answer::Refused(_) | Answer::Unsupported));
        if !request.changes_flash() && reply.as_ref().is_some_and(refused) {
            reply = self.port.ask(request)?;
        }
        self.no_stray(request.name(), at)?;
        match reply.as_ref().and_then(|reply| request.accepts(reply)) {
            // The frame arrived damaged (§5); nothing was done.
            Some(Answer::Refused(WRONG_LENGTH | BYTES_MISSING)) => Ok(None),
            Some(Answer::Refused(status)) => {
                Err(DeviceError::Status { request: request.name(), at, status, meaning: status_meaning(status) })
            }
            Some(Answer::Unsupported) => {
                let status = 7;
                Err(DeviceError::Status { request: request.name(), at, status, meaning: status_meaning(status) })
            }
            _ => Ok(reply),
        }
    }
}

/// Takes the sector out of the answer to its own request.
fn take_sector(request: &Request<'_>, reply: Option<&Reply>, into: &mut [u8; SECTOR as usize]) -> bool {
    match reply.and_then(|reply| request.accepts(reply)) {
        Some(Answer::Data(data)) if data.len() == into.len() => {
            into.copy_from_slice(data);
            true
        }
        _ => false,
    }
}
