//! What a flash is to a job, however it is reached. Reading and writing are two traits, so that a read job is given
//! a handle that cannot express a write (product.md rule 5).

use std::time::Duration;

use super::tie::Tie;
use super::tried::EntryTry;
use crate::chip::Part;
use crate::codec::nor::{StatusBytes, StatusChange};
use crate::image::code::CodeKey;
use crate::link::{LinkError, WireKind};
use crate::problem::{Class, Explain, Problem};
use crate::units::{BLOCK, SECTOR, hex_text};

/// One sector of flash content.
pub type SectorData = [u8; SECTOR as usize];

/// The user, or the end of the program, asked to stop. Seen only where stopping is safe for the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Something was overcome, or deserves a look.
    Warning,
    /// Something failed.
    Error,
    /// A person has to do something with their hands, now.
    Ask,
}

/// What a device tells while it works, and where it asks whether to go on.
pub trait Watch {
    /// So many more bytes of the present phase are done.
    fn advance(&mut self, bytes: u64);
    /// A line for the log.
    fn note(&mut self, level: Level, text: String);
    /// Something had to be done again.
    fn retried(&mut self, what: String);
    /// Called only where the chip may be left alone: between frames of a read, between sectors of a write.
    ///
    /// # Errors
    /// [`Cancelled`] when the job shall stop here.
    fn checkpoint(&mut self) -> Result<(), Cancelled>;
}

/// Hands everything on but the byte counts, for looks inside something that counts by itself: reading back must
/// not move the gauge of a write.
pub struct Uncounted<'a>(pub &'a mut dyn Watch);

impl Watch for Uncounted<'_> {
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, level: Level, text: String) {
        self.0.note(level, text);
    }
    fn retried(&mut self, what: String) {
        self.0.retried(what);
    }
    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        self.0.checkpoint()
    }
}

/// A watch that hears nothing and never stops a job.
pub struct Unwatched;

impl Watch for Unwatched {
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, _: Level, _: String) {}
    fn retried(&mut self, _: String) {}
    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        Ok(())
    }
}

/// The two erase commands every loader and part has (uart-protocol.md §21, spi-flash.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EraseUnit {
    /// 4 KiB.
    Sector,
    /// 64 KiB.
    Block,
}

impl EraseUnit {
    /// The unit's size in bytes.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Sector => SECTOR,
            Self::Block => BLOCK,
        }
    }
}

/// What this connection can and cannot do. Asked instead of guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Abilities {
    /// Status registers can be read and written. Basic loaders cannot (uart-protocol.md §7.1).
    pub status_registers: bool,
    /// The chip computes a CRC over a range itself.
    pub chip_crc: bool,
    /// Sectors below this flash offset must not be written over this link: the loader that we talk to lives there.
    /// 0 where nothing is guarded.
    pub first_writable: u32,
    /// Reading is so slow beside the chip's own CRC that known content should be compared, not read.
    pub prefer_crc: bool,
}

/// How well [`ReadFlash::fetch`] knows what it brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Read once; a second look ([`ReadFlash::compare`]) is still to come.
    Once,
    /// Two independent pieces of evidence agree on every byte.
    Proven,
}

/// What attaching found out, before anything of the flash was interpreted.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The wire.
    pub wire: WireKind,
    /// JEDEC id, where the wire shows it.
    pub jedec: Option<[u8; 3]>,
    /// The part of the table with this id.
    pub part: Option<&'static Part>,
    /// Flash size in bytes, and the independent sources that agree on it (`JEDEC id`, `SFDP`, `address wrap`).
    pub size: u32,
    /// Where the size comes from.
    pub size_sources: Vec<String>,
    /// The loader's version text, where it answers.
    pub boot_version: Option<String>,
    /// Chip id register, full dialect only (`0x7231C` for the N).
    pub chip_id: Option<u32>,
    /// `basic` or `full` loader; `None` over SPI.
    pub dialect: Option<&'static str>,
    /// The code key in the eFuse, where the loader shows it. May be a secret: it is named, never shown.
    pub code_key: Option<CodeKey>,
    /// Bit clock in Hz or rate in baud, now in force.
    pub speed: u32,
    /// How it is known that this is the flash that is meant.
    pub tie: Tie,
    /// Evidence in words, one line per measurement (`five JEDEC id reads agree: EB 60 15`).
    pub evidence: Vec<String>,
    /// Every try to get the flash to answer, the successful ones too; empty over UART.
    pub tries: Vec<EntryTry>,
}

/// A flash that can be read. There is no way to change one byte of it through this trait.
pub trait ReadFlash {
    /// What attaching found out.
    fn facts(&self) -> &Facts;

    /// What this connection can do.
    fn abilities(&self) -> Abilities;

    /// Reads `into.len()` bytes from flash offset `at`; advances the watch by the bytes read and passes checkpoints.
    ///
    /// # Errors
    /// [`DeviceError`]; `into` then holds nothing of use.
    fn read(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<(), DeviceError>;

    /// Brings the content of `at..at + into.len()`, at most 64 KiB of whole sectors, by the cheapest safe road, where
    /// `known` are contents, of the same length, that may stand there: an earlier proven look, an image written since.
    /// Over UART the chip's own CRC tells whether anything has to be read at all, and proves what is. Advances the watch
    /// by the bytes brought.
    ///
    /// # Errors
    /// As [`ReadFlash::read`].
    fn fetch(&mut self, at: u32, known: &[&[u8]], into: &mut [u8], watch: &mut dyn Watch) -> Result<Seen, DeviceError> {
        let _ = known;
        self.read(at, into, watch)?;
        Ok(Seen::Once)
    }

    /// Compares the flash with `expected`, which starts at `at` (both whole sectors), by a road independent of an
    /// earlier [`ReadFlash::read`]: over SPI a second read at half the clock, over UART the chip's own CRC.
    /// Returns the offsets of the sectors that differ, in order. Advances the watch by the bytes compared.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn compare(&mut self, at: u32, expected: &[u8], watch: &mut dyn Watch) -> Result<Vec<u32>, DeviceError>;

    /// What `at..at + len` holds for certain, without asking: it was proven on this connection, nothing was changed since,
    /// and the boot loader, the only thing that runs on the chip, was never out of touch. `None` where one of the three
    /// cannot be said, as over SPI.
    fn still(&self, at: u32, len: u32) -> Option<&[u8]> {
        let _ = (at, len);
        None
    }

    /// How often question and answer lost each other on this connection. While the number stays the same every command
    /// was answered at once and for its own address, so that none went astray. `None` where commands are not answered,
    /// as over SPI.
    fn losses(&self) -> Option<u32> {
        None
    }

    /// The status registers, raw; `None` where the link cannot show them.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn read_status(&mut self) -> Result<Option<StatusBytes>, DeviceError>;

    /// Asks the chip again who it is, five times over SPI.
    ///
    /// # Errors
    /// [`DeviceError::OtherChip`] when the answer is not the one of [`ReadFlash::facts`].
    fn identify_again(&mut self) -> Result<(), DeviceError>;

    /// Keeps the link from falling asleep; called at least every 100 ms while nothing else happens
    /// (uart-protocol.md §3.1). Costs nothing where it is not needed.
    ///
    /// # Errors
    /// [`DeviceError`] when the chip no longer answers.
    fn keep_alive(&mut self) -> Result<(), DeviceError>;

    /// Goes one step down in speed after faults that a lower one may cure. Returns the bit clock in Hz or the rate in baud
    /// now in force, or `None` when there is no lower step; [`Facts::speed`] follows.
    ///
    /// # Errors
    /// [`DeviceError`] when the chip does not follow.
    fn slow_down(&mut self) -> Result<Option<u32>, DeviceError>;

    /// Lets time pass on the link's clock before something is tried again, without letting the link fall asleep.
    ///
    /// # Errors
    /// [`DeviceError::Cancelled`]; [`DeviceError`] when the chip no longer answers.
    fn rest(&mut self, time: Duration, watch: &mut dyn Watch) -> Result<(), DeviceError>;

    /// Whether [`ReadFlash::keep_alive`] does anything on this link.
    fn needs_keep_alive(&self) -> bool;
}

/// A flash that can also be changed.
pub trait WriteFlash: ReadFlash {
    /// Proves, without touching a cell, that commands reach the chip right at the present speed, and lowers it until they
    /// do. Costs nothing where a protocol confirms each command, and nothing the second time at the same speed.
    ///
    /// # Errors
    /// [`DeviceError::NoWriteEnable`] when they do not at any speed.
    fn prove_write_path(&mut self, watch: &mut dyn Watch) -> Result<(), DeviceError>;

    /// Erases one unit at flash offset `at` (a multiple of the unit) and waits for its end, bounded by the part's
    /// limits. Does not prove that anything was erased: a protected part ignores the command.
    ///
    /// # Errors
    /// [`DeviceError`]; the unit then holds undefined bits.
    fn erase(&mut self, unit: EraseUnit, at: u32) -> Result<(), DeviceError>;

    /// Programs one sector whose present content allows it: erased, or every changed bit going from 1 to 0.
    /// Pages of `data` that are all FF need no command. A basic loader that locked the flash since the last erase is
    /// unlocked by erasing this very sector first, since `data` is the sector's whole content (§7.1).
    ///
    /// # Errors
    /// [`DeviceError`]; the sector then holds an unknown mix.
    fn program(&mut self, at: u32, data: &SectorData) -> Result<(), DeviceError>;

    /// Carries out a change of the status registers in the part's own form and reads it back, trying the documented
    /// other forms when the first did not take (spi-flash.md §6). Returns the registers afterwards.
    ///
    /// # Errors
    /// [`DeviceError::StatusNotTaken`] when no form took.
    fn write_status(&mut self, change: &StatusChange) -> Result<StatusBytes, DeviceError>;

    /// Lets the firmware start: pulses CEN or sends the reboot frame. The link has to be attached again afterwards.
    ///
    /// # Errors
    /// [`DeviceError`].
    fn reboot(&mut self) -> Result<(), DeviceError>;
}

/// What a device can fail with. Every wait has a limit, and the limit has a name here.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The transport failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The job was asked to stop, at a safe point.
    #[error("stopped on request")]
    Cancelled,
    /// No flash answered the SPI entry.
    #[error("no answer to SPI entry ({attempts} attempts, {clock})")]
    NoEntry {
        /// Entry attempts made.
        attempts: u32,
        /// The clocks tried, in words.
        clock: String,
        /// What the last id reads and the D2 answer looked like, in words.
        seen: String,
        /// The likely cause, from what was seen.
        cause: String,
        /// The next thing to do.
        remedy: String,
        /// Every try, one by one.
        tries: Box<[EntryTry]>,
    },
    /// No bare flash chip answered.
    #[error("no flash chip answers ({attempts} attempts, {clock})")]
    NoBareChip {
        /// Attempts made.
        attempts: u32,
        /// The clocks tried, in words.
        clock: String,
        /// What the last id read looked like, in words.
        seen: String,
        /// The likely cause, from what was seen.
        cause: String,
        /// The next thing to do.
        remedy: String,
        /// Every try, one by one.
        tries: Box<[EntryTry]>,
    },
    /// The chip that answers does not care for CEN: it is not the one behind this link's reset line.
    #[error("CEN has no effect on the chip that answers, so nothing is written to it")]
    NotBehindCen,
    /// No loader answered a link check.
    #[error("no answer to link checks for {waited:?}")]
    NoLoader {
        /// How long the program tried.
        waited: Duration,
        /// What came back instead, in words.
        seen: String,
        /// The likely cause, from what was seen.
        cause: String,
        /// The next thing to do.
        remedy: String,
    },
    /// Five id reads in a row did not agree.
    #[error("the JEDEC id changes from read to read: {ids}")]
    UnstableId {
        /// The ids read.
        ids: String,
        /// Every try, one by one.
        tries: Box<[EntryTry]>,
    },
    /// Two reads of the same bytes differ although the id is stable.
    #[error("two reads at 0x{at:06X} differ, at {speed}")]
    UnstableRead {
        /// Flash offset.
        at: u32,
        /// Clock or rate of the reads.
        speed: String,
    },
    /// The chip that answers is not the one that was identified.
    #[error("another chip answers: {was} before, {is} now")]
    OtherChip {
        /// The identity at attach time.
        was: String,
        /// The identity now.
        is: String,
    },
    /// A request was not answered, after all retries.
    #[error("no answer to {request} at 0x{at:06X}")]
    NoAnswer {
        /// The request in the field's words.
        request: &'static str,
        /// Flash offset.
        at: u32,
    },
    /// The loader answered with a status other than 00.
    #[error("{request} at 0x{at:06X} was answered with status {status:02X} ({meaning})")]
    Status {
        /// The request.
        request: &'static str,
        /// Flash offset.
        at: u32,
        /// The status byte.
        status: u8,
        /// Its meaning (uart-protocol.md §5).
        meaning: &'static str,
    },
    /// No rate carries a sector from the chip undamaged.
    #[error("no rate down to {lowest} baud carries a sector undamaged")]
    NoRate {
        /// The lowest rate tried.
        lowest: u32,
    },
    /// The loader reported success for another address than the one it was given.
    #[error("{request} at 0x{at:06X} was answered for 0x{instead:06X}")]
    Misdirected {
        /// The request.
        request: &'static str,
        /// Flash offset that was meant.
        at: u32,
        /// Flash address in the answer.
        instead: u32,
    },
    /// WEL did not rise after WREN.
    #[error("write enable did not take at 0x{at:06X}: status register {status:02X}")]
    NoWriteEnable {
        /// Flash offset.
        at: u32,
        /// Status register 1 as read.
        status: u8,
    },
    /// WIP did not fall within the part's limit.
    #[error("the flash is still busy {waited:?} after {request} at 0x{at:06X}")]
    StillBusy {
        /// The command waited for.
        request: &'static str,
        /// Flash offset.
        at: u32,
        /// The limit.
        waited: Duration,
    },
    /// The status registers do not hold what was written, in no form.
    #[error("the status registers did not take {wanted}: they read {is}")]
    StatusNotTaken {
        /// What was written.
        wanted: String,
        /// What is read back.
        is: String,
    },
    /// The status registers are not the ones a change was made from.
    #[error("the status registers changed since they were read: {was} before, {is} now")]
    StatusMoved {
        /// What the change was made from.
        was: String,
        /// What is read now.
        is: String,
    },
    /// The link cannot do this at all.
    #[error("{what} is not possible over this link")]
    Unable {
        /// What was asked.
        what: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
    /// An address outside what may be touched; a fault of the program, stopped at the last gate.
    #[error("{request} at 0x{at:06X} is outside 0x{first:06X}..0x{end:06X}")]
    OutOfRange {
        /// The request.
        request: &'static str,
        /// Flash offset.
        at: u32,
        /// First offset allowed.
        first: u32,
        /// First offset after the allowed range.
        end: u32,
    },
}

impl From<Cancelled> for DeviceError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl DeviceError {
    /// Whether the same command may succeed when it is sent again: a disturbed line, a status register that is misread
    /// at this speed or a supply that dipped; not a refusal and not a link that is gone.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::NoWriteEnable { .. } | Self::NoAnswer { .. } | Self::StillBusy { .. })
    }

    /// The JEDEC id in words.
    pub fn id_text(id: Option<[u8; 3]>) -> String {
        id.map_or_else(|| "no JEDEC id".to_owned(), |id| hex_text(&id))
    }
}

/// Every try in a line, for those who ask.
fn told(tries: &[EntryTry]) -> Vec<String> {
    tries.iter().map(|one| format!("SPI entry {}: {}", one.number, one.words())).collect()
}

impl Explain for DeviceError {
    fn explain(&self) -> Problem {
        let what = self.to_string();
        match self {
            Self::Link(inner) => inner.explain(),
            Self::Cancelled => Problem::new(
                Class::Cancelled,
                "E501",
                what,
                "you asked for it, or the program is leaving",
                "start again when you like: a backup and a write go on where they stopped",
            ),
            Self::NoEntry { seen, cause, remedy, tries, .. } => {
                Problem::new(Class::NoDevice, "E310", format!("{what}; {seen}"), cause.clone(), remedy.clone())
                    .with_details(told(tries))
            }
            Self::NoBareChip { seen, cause, remedy, tries, .. } => {
                Problem::new(Class::NoDevice, "E336", format!("{what}; {seen}"), cause.clone(), remedy.clone())
                    .with_details(told(tries))
            }
            Self::NotBehindCen => Problem::new(
                Class::Refused,
                "E335",
                what,
                "its id is still read while CEN is held low: the CEN wire is open or at another pad, or another chip is on \
                 the bus",
                "check the CEN wire (pin 15); if this is a flash chip by itself, say so with cen=none",
            ),
            Self::NoLoader { seen, cause, remedy, .. } => {
                Problem::new(Class::NoDevice, "E311", format!("{what}; {seen}"), cause.clone(), remedy.clone())
            }
            Self::UnstableId { tries, .. } => Problem::new(
                Class::NoDevice,
                "E312",
                what,
                "a missing or thin ground, a loose contact, or a clock too fast for the wires",
                "check the ground wire (next to SCK), shorten the wires, lower the clock",
            )
            .with_details(told(tries)),
            Self::UnstableRead { .. } => Problem::new(
                Class::NoDevice,
                "E323",
                what,
                "a missing or thin ground, a loose contact, or a supply that sags",
                "check the ground wire and the 3.3 V supply, shorten the wires, then connect again",
            ),
            Self::OtherChip { .. } => Problem::new(
                Class::Refused,
                "E313",
                what,
                "the module was exchanged, or a contact is loose",
                "connect again, so that the chip is identified anew",
            ),
            Self::NoAnswer { .. } => Problem::new(
                Class::NoDevice,
                "E314",
                what,
                "the chip was reset, lost its supply, or the line is disturbed",
                "check supply and wires, connect again, lower the speed",
            ),
            Self::Status { status: 6, .. } => Problem::new(
                Class::Refused,
                "E315",
                what,
                "the loader guards its own range",
                "use SPI for the boot loader's range",
            ),
            Self::Status { .. } => Problem::new(
                Class::NoDevice,
                "E316",
                what,
                "the loader could not carry the command out",
                "connect again and repeat; if it stays, lower the speed or use SPI",
            ),
            Self::NoRate { .. } => Problem::new(
                Class::NoDevice,
                "E350",
                what,
                "the line is disturbed: a loose or long wire, a missing ground, or a second chip that drives the same lines",
                "check GND, shorten the wires, cut off the second chip; then connect again",
            ),
            Self::Misdirected { .. } => Problem::new(
                Class::Verification,
                "E324",
                what,
                "a byte was damaged on the line; the protocol has no check sum, so the loader may have acted at the \
                 other address",
                "do not restart the module; verify the whole flash against its backup, then lower the speed or use SPI",
            ),
            Self::NoWriteEnable { .. } => Problem::new(
                Class::Verification,
                "E317",
                what,
                "the write direction of the wires does not work, or the part is in deep power-down",
                "check SI and CSN, lower the clock",
            ),
            Self::StillBusy { .. } => Problem::new(
                Class::Verification,
                "E318",
                what,
                "the part is worn, loses its supply during erase, or SO is stuck high",
                "check the supply; connect again and look at the sector named",
            ),
            Self::StatusNotTaken { .. } => Problem::new(
                Class::Verification,
                "E319",
                what,
                "the WP pin or a lock bit (SRP) holds the registers",
                "nothing was erased; look at the SRP bits on the Protect tab, power-cycle the module and try again",
            ),
            Self::StatusMoved { .. } => Problem::new(
                Class::Refused,
                "E322",
                what,
                "the firmware ran in between and set its own protection, or a contact is loose",
                "read the protection again, look at what would change, then repeat",
            ),
            Self::Unable { remedy, .. } => {
                Problem::new(Class::Refused, "E320", what, "the loader has no command for it", *remedy)
            }
            Self::OutOfRange { .. } => Problem::new(
                Class::Refused,
                "E321",
                what,
                "a plan reached past what this link may touch; this is a fault of the program",
                "please report it with the log; nothing was sent to the chip",
            ),
        }
    }
}
