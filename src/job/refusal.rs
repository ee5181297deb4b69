//! Why a write is not planned: the rule, the facts that contradict each other, and the next thing to do.

use super::spec::{BYPASS_PHRASE, chip_phrase};
use crate::image::Family;
use crate::problem::{Class, Explain, Problem};
use crate::units::{Span, Verdict};

/// Why a write is not planned. Each names the rule and the facts that contradict each other.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The image is for another chip.
    #[error("{image} is for {image_chip}, the chip here is {chip}")]
    OtherChip {
        /// The image.
        image: String,
        /// Its chip, with evidence.
        image_chip: String,
        /// The chip here.
        chip: &'static str,
    },
    /// The chip here is not known well enough.
    #[error("the chip is {verdict}, not proven or likely")]
    UnknownChip {
        /// The verdict.
        verdict: Verdict,
    },
    /// Nothing is on the flash that could tell which chip it is.
    #[error("the flash is wholly erased, so nothing on it tells which chip this is")]
    ErasedChip,
    /// The chip that answers is not the one behind the reset line.
    #[error("CEN has no effect on the chip that answers")]
    NotBehindCen {
        /// The CEN wire with the host's end of it, in words.
        cen: String,
    },
    /// The flash part is not in the table: nobody knows its protection bits or its limits.
    #[error("the flash {jedec} is not in the table of parts")]
    UnknownFlash {
        /// Its JEDEC id.
        jedec: String,
    },
    /// Nothing tells what the image is.
    #[error("nothing in {image} tells for which chip it is")]
    UnknownImage {
        /// The image.
        image: String,
    },
    /// The image is damaged.
    #[error("{image} is damaged: {why}")]
    Damaged {
        /// The image.
        image: String,
        /// What is wrong, with block number or field.
        why: String,
    },
    /// The image's code is encrypted for another key than the chip's.
    #[error("{image} holds code for the key {image_key}, the code on the chip has the key {chip_key}")]
    OtherKey {
        /// The image.
        image: String,
        /// Key of the image's code.
        image_key: String,
        /// Key of the chip's code.
        chip_key: String,
    },
    /// This kind of file is not written to flash as it is.
    #[error("{image} is {kind}, which is not written to the flash directly")]
    NotForFlash {
        /// The image.
        image: String,
        /// Its kind in words.
        kind: String,
    },
    /// The address does not fit the kind.
    #[error("{image} is {kind} and belongs at 0x{natural:06X}, not at 0x{asked:06X}")]
    WrongPlace {
        /// The image.
        image: String,
        /// Its kind in words.
        kind: String,
        /// Where it belongs.
        natural: u32,
        /// Where it was to go.
        asked: u32,
    },
    /// No address was given, and the content tells none.
    #[error("no address given for {image}, and its content tells none")]
    NoPlace {
        /// The image.
        image: String,
    },
    /// The range ends behind the chip.
    #[error("{span} reaches past the end of the chip at 0x{size:06X}")]
    PastEnd {
        /// The range.
        span: Span,
        /// The chip's size.
        size: u32,
    },
    /// The range is empty or, for an erase, not whole sectors.
    #[error("{span} is not a range of whole sectors")]
    NotSectors {
        /// The range.
        span: Span,
    },
    /// A configuration was to be written for firmware that is none of OpenBeken's.
    #[error("{image} is not OpenBeken, so there is no configuration for it")]
    NotOpenBeken {
        /// The image.
        image: String,
    },
    /// Nobody looked how this version keeps its configuration.
    #[error("how OpenBeken {version} keeps its configuration is not known here")]
    UnknownVersion {
        /// Version text of the image.
        version: String,
    },
    /// The bytes are no intact configuration of a known layout, or they were to go elsewhere.
    #[error("{image} is no sector of OpenBeken's configuration for this chip")]
    NotAConfig {
        /// What people call it.
        image: String,
    },
    /// RF calibration and MAC would change.
    #[error("the plan would change the RF calibration and MAC at {span}")]
    RfBlock {
        /// The block.
        span: Span,
    },
    /// The boot loader that serves this link would change.
    #[error("the plan would change the boot loader below 0x{first:06X}, which serves this very link")]
    BootLoader {
        /// First offset that may be written.
        first: u32,
    },
    /// The boot loader would be erased, over a link that does not need it.
    #[error("the erase would leave the module without a boot loader, which lies below 0x{first:06X}")]
    ErasedBootLoader {
        /// First offset behind it.
        first: u32,
    },
    /// Nothing stands behind the write.
    #[error("there is no proven backup of this chip")]
    NoBackup,
    /// The typed phrase is not the one.
    #[error("the phrase typed instead of a backup is not {BYPASS_PHRASE:?}")]
    WrongPhrase,
    /// The backup is another chip's, or nothing tells that it is this one's.
    #[error("the backup {path} cannot be put back onto this chip: {words}")]
    ForeignBackup {
        /// The backup.
        path: String,
        /// What does not fit.
        words: String,
        /// The chip shows no MAC of its own.
        lost: bool,
    },
    /// What the chip holds is not explained by the backup.
    #[error("the backup {path} does not hold what is on this chip: {words}")]
    NotThisChip {
        /// The backup.
        path: String,
        /// What does not fit.
        words: String,
    },
    /// The backup was read from another flash.
    #[error("the backup {path} was read from a flash of another kind or size")]
    OtherFlash {
        /// The backup.
        path: String,
    },
    /// The chip has changed since the backup in a way that no record explains: a person has to vouch for it.
    #[error("the chip has changed since the backup {path}: {words}")]
    ConsentNeeded {
        /// The backup.
        path: String,
        /// What differs.
        words: String,
        /// What has to be typed.
        phrase: &'static str,
    },
    /// The file is no backup of the connected chip's size, or not what the backup holds.
    #[error("{image} is not a whole backup of a chip of {size} bytes")]
    NotTheBackup {
        /// The file.
        image: String,
        /// The chip's size in bytes.
        size: u32,
    },
    /// An earlier write was cut off, and this one would leave torn sectors behind.
    #[error("{span} was being changed when an earlier write was cut off, and is not part of this one")]
    LeavesTorn {
        /// The first of those ranges.
        span: Span,
    },
    /// An earlier write was cut off, and this is another one.
    #[error("an earlier write of this chip is not finished: {sentence}")]
    Unfinished {
        /// The earlier write.
        sentence: String,
        /// The backup that stood behind it.
        backup: Option<String>,
    },
    /// No backup is named, and none is found.
    #[error("there is no proven backup of this chip in the folder of backups")]
    NoneOfThisChip,
    /// The backup holds no RF block to put back.
    #[error("{path} holds no RF block at 0x1E0000 (T) or 0x1D0000 (N)")]
    NoRfBlock {
        /// The backup.
        path: String,
    },
    /// A damaged request of the earlier write hit what this one may not write.
    #[error("0x{at:06X} changed since the write began, and may not be written by it")]
    HitGuarded {
        /// The sector.
        at: u32,
    },
    /// The protection is in the way and cannot be lifted.
    #[error("{span} is write-protected and the protection cannot be lifted: {why}")]
    Locked {
        /// The protected range.
        span: Span,
        /// Why.
        why: String,
    },
}

impl Refusal {
    /// Code of the refusal that a typed phrase answers ([`Refusal::ConsentNeeded`]).
    pub const CONSENT_NEEDED: &str = "E444";
    /// Code of the refusal after a damaged request has hit what may not be written ([`Refusal::HitGuarded`]).
    pub const HIT_GUARDED: &str = "E436";
    /// Code of the refusal that is answered by naming the chip ([`Refusal::ErasedChip`]).
    pub const CHIP_NEEDED: &str = "E448";
}

impl Explain for Refusal {
    fn explain(&self) -> Problem {
        let what = self.to_string();
        if matches!(self, Self::NoRfBlock { .. }) {
            let cause =
                "the backup was made when the block was gone already, or it is of a chip that keeps it elsewhere";
            return Problem::new(Class::Usage, "E125", what, cause, "name an older backup of the same chip");
        }
        let (code, cause, remedy): (&'static str, &str, String) = match self {
            Self::OtherChip { chip, .. } => (
                "E401",
                "an image for another chip does not start, and over UART the module would be lost (rule 4)",
                format!("take the image whose content is for {chip}; the file's name does not matter"),
            ),
            Self::UnknownChip { .. } => (
                "E402",
                "the evidence is too thin or contradicts itself (rule 4)",
                "connect again at a lower speed; look at the evidence on the Connect tab".to_owned(),
            ),
            Self::ErasedChip => (
                Self::CHIP_NEEDED,
                "over SPI the chip shows itself by its content only (rule 4)",
                format!(
                    "read the name off the module's chip and vouch for it: `--erased-chip \"{}\"`, or \"{}\"",
                    chip_phrase(Family::Bk7231T),
                    chip_phrase(Family::Bk7231N)
                ),
            ),
            Self::NotBehindCen { cen } => (
                "E337",
                "its id is still read while CEN is held low: the CEN wire is open or at another pad, or another chip is on \
                 the bus; writing could hit the wrong one",
                format!("check {cen} and connect again; a flash chip by itself is written with cen=none"),
            ),
            Self::UnknownFlash { .. } => (
                "E417",
                "its protection bits, command set and limits are unknown; reading is safe, writing is not",
                "read it, and report the id with the part's marking so that it can be added".to_owned(),
            ),
            Self::UnknownImage { .. } => (
                "E403",
                "where code runs, only recognised and intact code is written (rule 4)",
                "take an OpenBeken QIO or UA image; data files go to data areas only".to_owned(),
            ),
            Self::Damaged { .. } => (
                "E404",
                "the file was cut off or changed on its way",
                "download the image again and compare its hash".to_owned(),
            ),
            Self::OtherKey { .. } => (
                "E405",
                "the chip decrypts code with its own key; code for another key is noise to it (rule 4)",
                "take the build for this key, for example the M build for a chip without key".to_owned(),
            ),
            Self::NotForFlash { .. } => (
                "E406",
                "update packages are unpacked by the boot loader, dumps that were read with an offset are rotated",
                "take the QIO image for SPI, or the UA image for UART".to_owned(),
            ),
            Self::WrongPlace { natural, .. } => (
                "E407",
                "code runs only at the address it was built for",
                format!("leave --at out, or give --at 0x{natural:X}"),
            ),
            Self::NoPlace { .. } => ("E408", "it is no known firmware image", "give --at ADDRESS".to_owned()),
            Self::PastEnd { .. } => (
                "E409",
                "flash addresses wrap: bytes past the end would land on the boot loader (rule 3)",
                "check file and address".to_owned(),
            ),
            Self::NotSectors { .. } => (
                "E410",
                "the flash erases whole sectors of 4 KiB only",
                "give a start and a length that are multiples of 4K".to_owned(),
            ),
            Self::NotOpenBeken { .. } => (
                "E438",
                "other firmware would take the sector for something else",
                "leave --config out, or take an OpenBeken image".to_owned(),
            ),
            Self::UnknownVersion { .. } => (
                "E439",
                "fields at guessed places would leave the module with wrong settings",
                "leave --config out and set the module up over its access point, or take OpenBeken 1.18".to_owned(),
            ),
            Self::NotAConfig { .. } => (
                "E440",
                "only an intact configuration goes to that sector, and nowhere else (rule 3)",
                "use `bkbench write IMAGE --config FILE`, which makes it".to_owned(),
            ),
            Self::RfBlock { .. } => (
                "E411",
                "calibration and MAC are unique to this chip and exist nowhere else (rule 3)",
                "leave that sector out".to_owned(),
            ),
            Self::BootLoader { .. } => (
                "E412",
                "a module without boot loader answers no UART any more (rule 3)",
                "begin at 0x11000, or use SPI".to_owned(),
            ),
            Self::ErasedBootLoader { first } => (
                "E412",
                "a module without boot loader starts no firmware (rule 3)",
                format!("begin the erase at 0x{first:X}, or write a whole image, which replaces the boot loader"),
            ),
            Self::NoBackup => (
                "E413",
                "what a write destroys must be there to put back (rule 2)",
                format!(
                    "make a backup first: key b on the Connect tab, or `bkbench read`; where none can be proven any more, as of a \
                     bricked chip, go without: `--no-backup \"{BYPASS_PHRASE}\"`, or X on the Flash tab"
                ),
            ),
            Self::WrongPhrase => {
                ("E414", "going without a backup has to be meant", format!("type exactly: {BYPASS_PHRASE}"))
            }
            Self::ForeignBackup { lost: true, .. } => (
                "E415",
                "the RF block, which holds the MAC, is lost or a template's, so that nothing measured ties the backup to this \
                 chip (rule 2)",
                "if you know that the backup is of this chip, add --mac-lost".to_owned(),
            ),
            Self::ForeignBackup { .. } => (
                "E415",
                "RF calibration and MAC are a chip's own; a backup of another chip would overwrite them (rule 2)",
                "name a backup of this chip; `bkbench info` shows the newest".to_owned(),
            ),
            Self::NotThisChip { .. } => (
                "E443",
                "the chip was written to by something else since, or the backup is of another chip with the same MAC (rule 2)",
                "make a backup of this chip as it is now: key b on the Connect tab, or `bkbench read`".to_owned(),
            ),
            Self::OtherFlash { .. } => (
                "E422",
                "the backup is of another chip (rule 2)",
                "name a backup of this chip; `bkbench info` shows the newest".to_owned(),
            ),
            Self::ConsentNeeded { phrase, .. } => (
                Self::CONSENT_NEEDED,
                "firmware updated itself over the air, another tool wrote to the chip, or the backup is of another chip with \
                 the same MAC (rule 2)",
                format!("if you know that the backup is of this chip, add --this-chip {phrase:?}"),
            ),
            Self::NotTheBackup { .. } => (
                "E418",
                "a restore puts back what a backup of this very chip holds, byte by byte",
                "name a backup that this program made of this chip; other images go through `bkbench write`".to_owned(),
            ),
            Self::LeavesTorn { .. } => (
                "E419",
                "sectors that were torn in mid-erase may read right now and wrong later (rule 9)",
                "finish the earlier write with `bkbench resume`, over the wire it was begun on, or put the backup back \
                 with `bkbench restore`"
                    .to_owned(),
            ),
            Self::Unfinished { backup, .. } => (
                "E420",
                "sectors that were being changed when it was cut off cannot be trusted until they are written again (rule 9)",
                format!(
                    "finish it with `bkbench resume`, or put the backup back with `bkbench restore {}`",
                    backup.as_deref().unwrap_or("BACKUP")
                ),
            ),
            Self::NoneOfThisChip | Self::NoRfBlock { .. } => (
                "E423",
                "a chip that lost its RF block cannot be found by its MAC",
                "name the backup: `bkbench rf rebuild BACKUP --mac-lost`".to_owned(),
            ),
            Self::HitGuarded { .. } => (
                Self::HIT_GUARDED,
                "a damaged request hit the boot loader, or RF calibration and MAC (rule 3)",
                super::advice::LOADER_HIT.to_owned(),
            ),
            Self::Locked { .. } => (
                "E416",
                "the status registers do not accept a change until the supply was off",
                "take the supply away for a few seconds, connect again and retry".to_owned(),
            ),
        };
        Problem::new(Class::Refused, code, what, cause, remedy)
    }
}
