//! What a user can ask for, and what comes back. Everything a job needs is decided before it starts; no job asks a
//! question in its middle.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::already::AlreadyThere;
use super::backup::BackupSpec;
use super::clocks::ClocksHandle;
use super::identify::{BackupsHandle, Identity};
use super::interruption::Interruption;
use super::journal::JournalHandle;
use super::plan::Plan;
use super::prepare::{PrepareSpec, Prepared};
use super::protect::Protection;
use super::wiring::{WiringReport, WiringSpec};
use crate::codec::nor::StatusBytes;
use crate::image::Family;
use crate::image::plausible::Rule;
use crate::link::tape::recorded_link;
use crate::link::{LinkError, LinkSpec, supply};
use crate::units::{Span, Verdict, seconds};

/// One job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobSpec {
    /// Opens a link, finds the chip, identifies it and reads its protection.
    Connect(ConnectSpec),
    /// Lets the chip go and closes the link.
    Disconnect,
    /// Identifies the chip anew.
    Identify,
    /// Reads the status registers and decodes them.
    Protection,
    /// Reads the whole chip in two independent passes.
    Backup(BackupSpec),
    /// Reads a range once and compares it once: an extract.
    Read(Span),
    /// Makes a wish to change the chip ready: finds or makes what stands behind it, and plans. Changes nothing.
    Prepare(PrepareSpec),
    /// Surveys the chip and makes the plan of a write; changes nothing.
    Plan(WriteSpec),
    /// Carries out the plan with this hash, after identifying the chip and planning again.
    Write {
        /// What to write.
        spec: WriteSpec,
        /// The hash of the plan that was shown and agreed to.
        agreed: String,
        /// Where the work is recorded as it goes on, so that a later start can finish it. `None` keeps no record.
        journal: Option<JournalHandle>,
    },
    /// Looks whether the chip, as connecting has identified it, holds an image already; reads only.
    AlreadyThere {
        /// The write that would then have nothing to do; its backup does not matter.
        spec: WriteSpec,
        /// Who the chip is.
        identity: Arc<Identity>,
    },
    /// Compares the flash from `at` with `expected`.
    Verify {
        /// Flash offset of the first byte.
        at: u32,
        /// What should stand there.
        expected: Arc<[u8]>,
    },
    /// Changes the protected range.
    SetProtection(ProtectGoal),
    /// Lets the firmware start; the link is closed.
    Reboot,
    /// Measures the wires of a link; an open link is closed first.
    Wiring(WiringSpec),
}

impl JobSpec {
    /// The job's name for people: in the log, in refusals and above the gauge.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Disconnect => "disconnect",
            Self::Identify => "identify",
            Self::Protection => "read protection",
            Self::Backup(_) => "back up",
            Self::Read(_) => "read",
            Self::Prepare(_) | Self::Plan(_) => "plan",
            Self::Write { spec, .. } => match spec.change {
                Change::Image => "write",
                Change::Erase => "erase",
                Change::Restore => "restore",
                Change::RfBlock => "rebuild RF block",
                Change::Config => "configure",
            },
            Self::AlreadyThere { .. } => "compare",
            Self::Verify { .. } => "verify",
            Self::SetProtection(ProtectGoal::Off) => "unlock",
            Self::SetProtection(ProtectGoal::On) => "lock",
            Self::SetProtection(ProtectGoal::Restore(_)) => "restore protection",
            Self::Reboot => "reboot",
            Self::Wiring(_) => "check wires",
        }
    }

    /// Whether the job can change the chip. Leaving the program during such a job asks first.
    pub fn changes_chip(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::SetProtection(_))
    }

    /// What stands behind a write, in words.
    pub fn backup(&self) -> Option<String> {
        match self {
            Self::Write { spec, .. } => Some(spec.backup.words()),
            _ => None,
        }
    }
}

/// Where to connect to, and how fast.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectSpec {
    /// The link.
    pub link: LinkSpec,
    /// Bit clock in Hz (SPI) or rate in baud (UART); `None` finds the fastest clock that proves right over SPI, and takes
    /// the usual rate over UART.
    pub speed: Option<u32>,
    /// Bit clock of the first SPI entry attempt in Hz.
    pub entry_clock: Option<u32>,
    /// Where the SPI clocks that worked over this link are remembered.
    pub clocks: Option<ClocksHandle>,
    /// The backups of chips known from before. Where the chip computes CRCs, they spare reading what still stands there.
    pub backups: Option<BackupsHandle>,
}

/// What a link takes where neither the link nor the command line says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// Bit clock for reading and writing, in Hz; `None` finds the fastest that proves right.
    pub spi_clock: Option<u32>,
    /// Bit clock of the first SPI entry attempt, in Hz.
    pub spi_entry_clock: u32,
    /// UART rate in baud; `None` finds the highest that shows no error.
    pub uart_baud: Option<u32>,
    /// GPIO (BCM number) that CEN is wired to.
    pub cen: u8,
}

impl ConnectSpec {
    /// The job's wish for a link text: `speed` before the link's own key before what is usual.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] when the text is no link, or its speed no number.
    pub fn new(text: &str, speed: Option<u32>, usual: &Usual) -> Result<Self, LinkError> {
        let mut link = LinkSpec::parse(text)?;
        if link.scheme == "spi" && link.get("cen").is_none() {
            link.query.push(("cen".to_owned(), usual.cen.to_string()));
        }
        // A transcript is played at the speed that its link was asked for.
        let recorded = if link.scheme == "replay" { recorded_link(&link)? } else { None };
        let like = recorded.as_ref().unwrap_or(&link);
        let spi = matches!(like.scheme.as_str(), "spi" | "ch341" | "serprog")
            || (like.scheme == "sim" && like.get("wire") != Some("uart"));
        let key = if spi { "clock" } else { "baud" };
        let own = match like.get(key).map(str::parse) {
            None => None,
            Some(Ok(speed)) => Some(speed),
            Some(Err(_)) => return Err(link.bad(format!("{key} is no whole number"))),
        };
        // A simulated module shows its favourite wire, which may not be the one guessed here: the device knows.
        let fallback = match like.scheme.as_str() {
            "spi" | "serprog" => usual.spi_clock,
            "uart" | "rfc2217" => usual.uart_baud,
            // Raw TCP stays at the rate that every loader starts with.
            "tcp" => Some(115_200),
            _ => None,
        };
        Ok(Self {
            link,
            speed: speed.or(own).or(fallback),
            entry_clock: spi.then_some(usual.spi_entry_clock),
            clocks: None,
            backups: None,
        })
    }
}

/// What a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Puts the image there.
    Image,
    /// Leaves the range erased. Must be whole sectors.
    Erase,
    /// Puts a proven backup of this very chip back, whole.
    Restore,
    /// Puts the sector with RF calibration and MAC back, from a proven backup of this very chip, and nothing else.
    RfBlock,
    /// Puts the sector with OpenBeken's configuration there, and nothing else.
    Config,
}

impl Change {
    /// The word for files and JSON; the same as the serialised form.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Erase => "erase",
            Self::Restore => "restore",
            Self::RfBlock => "rf-block",
            Self::Config => "config",
        }
    }

    /// The change with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Image, Self::Erase, Self::Restore, Self::RfBlock, Self::Config];
        all.into_iter().find(|change| change.word() == word)
    }

    /// Whether what is written is this very chip's own backup, which alone may hold RF calibration and MAC (rule 3).
    pub const fn from_backup(self) -> bool {
        matches!(self, Self::Restore | Self::RfBlock)
    }
}

/// A write before it is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteSpec {
    /// What is changed.
    pub change: Change,
    /// What people call the image: the file's name, or `erase`.
    pub name: String,
    /// Flash offset of the first byte. `None` lets the content of the image decide.
    pub at: Option<u32>,
    /// The bytes that shall stand there afterwards; FF bytes for an erase.
    pub image: Arc<[u8]>,
    /// The proven backup of this very chip, or the phrase typed instead of one.
    pub backup: BackupProof,
    /// Put the protection found before back at the end, also after a failure.
    pub protect_after: bool,
    /// Whole sectors that are laid over the image: OpenBeken's configuration, its files. One plan holds both.
    pub overlays: Vec<Overlay>,
    /// What an earlier write that never came to its end left on this chip.
    pub interrupted: Option<Interrupted>,
    /// The chip shows no MAC any more, or a default one, and the person says that the backup is of this chip all the same.
    /// Counts for [`Change::Restore`] and [`Change::RfBlock`] only, and never against a MAC of the chip's own.
    pub mac_lost: bool,
    /// The phrase that was typed because the content of the chip does not show that the backup is its own.
    pub consent: Option<String>,
    /// The chip as a person named it. Counts only where nothing on the chip can tell, because its flash is wholly erased.
    pub said_chip: Option<Family>,
    /// What recorded writes left on chips with this backup: the CRC of every sector after each.
    pub history: Arc<Vec<Vec<u32>>>,
}

impl WriteSpec {
    /// A write with nothing behind it yet.
    pub fn new(change: Change, name: impl Into<String>, at: Option<u32>, image: Arc<[u8]>) -> Self {
        Self {
            change,
            name: name.into(),
            at,
            image,
            backup: BackupProof::None,
            protect_after: false,
            overlays: Vec::new(),
            interrupted: None,
            mac_lost: false,
            consent: None,
            said_chip: None,
            history: Arc::default(),
        }
    }
}

/// Whole sectors that are laid over an image before it is planned.
#[derive(Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Flash offset of the first byte, at the start of a sector.
    pub at: u32,
    /// What shall stand there: whole sectors. May hold passwords.
    pub bytes: Arc<[u8]>,
}

impl Overlay {
    /// Where it lies.
    pub fn span(&self) -> Span {
        Span::new(self.at, self.bytes.len() as u32)
    }
}

impl std::fmt::Debug for Overlay {
    /// Leaves the content out: it may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("span", &self.span()).finish_non_exhaustive()
    }
}

/// What a write that was cut off left behind, as its journal has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupted {
    /// Sectors of groups that were begun and not proven done. A torn erase may read right now and wrong later, so they
    /// are erased again whatever they read.
    pub distrusted: Vec<Span>,
    /// Whole sectors, by offset, that the image covers only in part: what they were to hold in the end.
    pub edges: Vec<(u32, Vec<u8>)>,
    /// The CRC of every sector before the first of the writes that were cut off ([`super::sector_crcs`]); empty where
    /// none were recorded.
    pub before: Vec<u32>,
    /// The CRC of every sector as the write that was cut off should leave it; empty where none were recorded.
    pub after: Vec<u32>,
    /// Whether a request of the write may have gone astray, as over UART.
    pub astray: bool,
    /// What was to be laid over the image.
    pub overlays: Vec<Overlay>,
    /// The status registers before the first of the writes that were cut off.
    pub status: Option<StatusBytes>,
    /// The chip as it was identified before.
    pub chip: Option<Family>,
}

impl Interrupted {
    /// Whether the sector at `at` is distrusted.
    pub fn distrusts(&self, at: u32) -> bool {
        self.distrusted.iter().any(|span| span.contains(at))
    }
}

/// What stands behind a write (product.md rule 2).
#[derive(Clone, Debug, PartialEq)]
pub enum BackupProof {
    /// No backup: a write is refused.
    None,
    /// A proven backup, read from disk and checked against its manifest.
    Proven(Arc<ProvenBackup>),
    /// The typed phrase; recorded in the report.
    Bypassed(String),
}

impl BackupProof {
    /// The backup's path, or the phrase typed instead: what a report records.
    pub fn words(&self) -> String {
        match self {
            Self::Proven(backup) => backup.path.display().to_string(),
            Self::Bypassed(phrase) => format!("none; typed instead: {phrase}"),
            Self::None => "none".to_owned(),
        }
    }
}

/// The phrase that has to be typed to write without a proven backup.
pub const BYPASS_PHRASE: &str = "I can lose this firmware";
/// The phrase that has to be typed to put a backup back onto a chip that has changed since, in a way no record explains.
pub const CONSENT_PHRASE: &str = "this backup is of this chip";
/// The phrase for a chip whose MAC cannot tell that it is the backup's.
pub const STRONG_CONSENT_PHRASE: &str = "no MAC proves it, but this backup is of this chip";

/// The phrase that has to be typed to give a wholly erased chip its kind.
pub fn chip_phrase(chip: Family) -> String {
    format!("this erased chip is a {}", chip.name())
}

/// The chip that a typed phrase names.
pub fn said_chip(typed: &str) -> Option<Family> {
    [Family::Bk7231T, Family::Bk7231N].into_iter().find(|chip| chip_phrase(*chip) == typed.trim())
}

/// A proven backup as a write uses it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenBackup {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256 of the content, lower-case hex.
    pub sha256: String,
    /// The chip it was read from ([`Identity::chip_key`]). A name for people and files: whose it is, its content tells.
    pub chip_key: String,
    /// JEDEC id of its flash, where the link showed it.
    pub jedec: Option<String>,
    /// SHA-256 of the unique id of its flash, where the link showed it.
    pub unique_hash: Option<String>,
    /// The whole chip.
    pub bytes: Arc<[u8]>,
}

/// What the protection shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectGoal {
    /// Nothing protected.
    Off,
    /// As the factory firmware sets it at each start.
    On,
    /// What these registers, read earlier, protected.
    Restore(StatusBytes),
}

/// What a finished job hands back.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The link is open and the chip identified.
    Connected(Arc<Identity>),
    /// The link is closed.
    Disconnected,
    /// The chip was identified anew.
    Identified(Arc<Identity>),
    /// The protection was read.
    Protection(Arc<Protection>),
    /// The whole chip was read.
    Backup(Arc<BackupRead>),
    /// A range was read.
    Extract(Arc<Extract>),
    /// A wish was made ready.
    Prepared(Prepared),
    /// The plan of a write.
    Planned(Arc<Plan>),
    /// A write was carried out and proven.
    Written(Arc<WriteReport>),
    /// The image stands on the chip already; `None` when it does not, or when only a plan can tell.
    AlreadyThere(Option<Arc<AlreadyThere>>),
    /// The flash holds what was expected.
    Verified(Span),
    /// The protection was changed.
    ProtectionSet {
        /// Before.
        before: Arc<Protection>,
        /// Afterwards, as read back.
        after: Arc<Protection>,
    },
    /// The firmware was started.
    Rebooted,
    /// The wires were measured.
    Wired(Arc<WiringReport>),
}

/// The whole chip as read, with all that a manifest needs.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupRead {
    /// The content.
    pub bytes: Arc<[u8]>,
    /// The chip it came from.
    pub identity: Arc<Identity>,
    /// The status registers at that time.
    pub status: Option<StatusBytes>,
    /// Speed of the first and of the second pass; the second is 0 where the chip's own CRC was the second pass.
    pub speeds: (u32, u32),
    /// Sectors that had to be read again.
    pub retries: u32,
    /// What was seen of the computer's supply meanwhile; `None` where the computer does not tell.
    pub supply: Option<supply::Record>,
    /// Times that the link was gone meanwhile.
    pub interruptions: Vec<Interruption>,
    /// Sectors that never settled. A backup with any of them is not proven.
    pub unstable: Vec<u32>,
    /// Whether the content is plausible, rule by rule.
    pub rules: Vec<Rule>,
    /// Time taken on the link's clock.
    pub took: Duration,
}

impl BackupRead {
    /// Whether two independent passes agree everywhere and the content is that of a real chip.
    pub fn proven(&self) -> bool {
        self.unstable.is_empty() && self.rules.iter().all(|rule| rule.verdict >= Verdict::Likely)
    }
}

/// A part of the flash as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Extract {
    /// Where.
    pub span: Span,
    /// What.
    pub bytes: Arc<[u8]>,
}

/// How a write ended. "Written", "verified" and "boots" are three different claims (product.md rule 7).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WriteReport {
    /// The plan carried out.
    pub plan: Arc<Plan>,
    /// Sectors erased, programmed and kept.
    pub sectors: SectorCounts,
    /// Every written sector was read back and is right.
    pub verified: bool,
    /// Every other sector of the chip was compared with what stood there before.
    pub kept_proven: bool,
    /// SHA-256 of the whole chip afterwards, lower-case hex.
    pub sha256: String,
    /// What had to be done again.
    pub retries: u32,
    /// Kept sectors that a damaged request had hit, by offset: each was put back and compared.
    pub repaired: Vec<u32>,
    /// What was seen of the computer's supply meanwhile; `None` where the computer does not tell.
    pub supply: Option<supply::Record>,
    /// Times that the link was gone meanwhile.
    pub interruptions: Vec<Interruption>,
    /// Bit clock in Hz or rate in baud at the end; lower than at the beginning when the wires asked for it.
    pub speed: u32,
    /// RF calibration and MAC, and over UART the boot loader, compared with the backup (rule 3), in words.
    pub guarded: String,
    /// What became of the protection, in words.
    pub protection: String,
    /// Time taken on the link's clock.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// What stood behind the write: the backup's path, or the typed phrase.
    pub backup: String,
    /// What was not checked, in words.
    pub not_checked: Vec<String>,
}

/// Counts of sectors by what happened to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SectorCounts {
    /// Erased, alone or as part of a block.
    pub erased: u32,
    /// Programmed.
    pub programmed: u32,
    /// Left as they were.
    pub kept: u32,
}

/// What one sector of the chip holds while a write runs, or where it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SectorState {
    /// Not part of the plan, or already right.
    Kept,
    /// Will be changed; still holds the old content.
    Waiting,
    /// Erased and not programmed yet.
    Erased,
    /// Programmed and not verified yet.
    Written,
    /// Read back and right.
    Verified,
    /// Holds something that is neither old nor new.
    Unknown,
}

impl SectorState {
    /// The word for lists and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Waiting => "old",
            Self::Erased => "erased",
            Self::Written => "written",
            Self::Verified => "verified",
            Self::Unknown => "unknown",
        }
    }
}
