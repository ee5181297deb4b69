//! What a flash is to a job, however it is reached. Reading and writing are two traits, so that a read job is given
//! a handle that cannot express a write (product.md rule 5).

use std::time::Duration;

use super::error::DeviceError;
use super::tie::Tie;
use super::tried::EntryTry;
use super::unique::UniqueId;
use super::watch::Watch;
use crate::chip::Part;
use crate::codec::nor::{StatusBytes, StatusChange};
use crate::image::code::CodeKey;
use crate::link::WireKind;
use crate::units::{BLOCK, SECTOR};

/// One sector of flash content.
pub type SectorData = [u8; SECTOR as usize];

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
    /// How fast the chip computes a CRC over a range, in bytes per second, as measured; `None` where it computes none.
    pub chip_crc: Option<u32>,
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
    /// What opcode 4B reads, on parts that have it; `None` over UART.
    pub unique_id: Option<UniqueId>,
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

    /// Asks the chip again who it is, five times over SPI, and a few times more when the answer is not the one of
    /// [`ReadFlash::facts`].
    ///
    /// # Errors
    /// [`DeviceError::OtherChip`] when another chip answers every time; [`DeviceError::NobodyThere`] when nothing does, as
    /// with a supply that sags.
    fn identify_again(&mut self) -> Result<(), DeviceError>;

    /// Keeps the link from falling asleep, and finds out whether the chip is there; called every 20 ms while nothing else
    /// happens (uart-protocol.md §3.1). Costs nothing where, or as long as, it is not needed.
    ///
    /// # Errors
    /// [`DeviceError`] when the chip no longer answers.
    fn keep_alive(&mut self) -> Result<(), DeviceError>;

    /// Keeps the link from falling asleep in the middle of a job. Whatever comes of it, a lost link or a report of damage,
    /// is left to the next request, which knows what to do about it.
    fn sign_of_life(&mut self) {}

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
