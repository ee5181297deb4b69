//! The rules of a write: where an image belongs, and what is refused (product.md §4, rules 2 to 4).

use super::plan::{Action, Run, Situation};
use super::protect::Range;
use super::spec::{BYPASS_PHRASE, BackupProof, Change, WriteSpec};
use crate::image::Kind;
use crate::image::family::Family;
use crate::image::finding::Severity;
use crate::image::firmware::{self, Firmware};
use crate::problem::{Class, Explain, Problem};
use crate::units::{SECTOR, Span, Verdict};

/// Where the application begins on every chip of the family, behind the boot loader (formats.md §1).
pub const APPLICATION: u32 = 0x11000;

/// An image with its place on the chip.
pub(super) struct Placed<'a> {
    /// Where it goes.
    pub span: Span,
    /// The bytes that go there.
    pub image: &'a [u8],
    /// What it is, in words.
    pub about: String,
    /// What the person should know.
    pub notes: Vec<String>,
}

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
    /// Nothing stands behind the write.
    #[error("there is no proven backup of this chip")]
    NoBackup,
    /// The typed phrase is not the one.
    #[error("the phrase typed instead of a backup is not {BYPASS_PHRASE:?}")]
    WrongPhrase,
    /// The backup is another chip's.
    #[error("the backup {path} is of another chip")]
    ForeignBackup {
        /// The backup.
        path: String,
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

/// Decides where the image goes and whether it may go there at all.
pub(super) fn place<'a>(spec: &'a WriteSpec, situation: &Situation<'_>) -> Result<Placed<'a>, Refusal> {
    let identity = situation.identity;
    let Some(chip) = identity.chip.filter(|_| identity.verdict >= Verdict::Likely) else {
        return Err(Refusal::UnknownChip { verdict: identity.verdict });
    };
    if let (Some(jedec), None) = (&identity.flash.jedec, &identity.flash.part) {
        return Err(Refusal::UnknownFlash { jedec: jedec.clone() });
    }
    let placed = match spec.change {
        Change::Erase => place_erase(spec)?,
        Change::Image => place_image(spec, situation, chip)?,
    };
    let size = identity.flash.size;
    if u64::from(placed.span.start) + placed.image.len() as u64 > u64::from(size) || placed.image.is_empty() {
        return Err(Refusal::PastEnd { span: placed.span, size });
    }
    Ok(placed)
}

fn place_erase(spec: &WriteSpec) -> Result<Placed<'_>, Refusal> {
    let span = Span::new(spec.at.unwrap_or(0), spec.image.len() as u32);
    if spec.at.is_none() || span.is_empty() || span.to_sectors() != span {
        return Err(Refusal::NotSectors { span });
    }
    Ok(Placed { span, image: &spec.image, about: "empty flash".to_owned(), notes: Vec::new() })
}

fn place_image<'a>(spec: &'a WriteSpec, situation: &Situation<'_>, chip: Family) -> Result<Placed<'a>, Refusal> {
    let firmware = firmware::identify(&spec.image);
    let image = || spec.name.clone();
    let kind = firmware.kind.name().to_owned();
    if matches!(firmware.kind, Kind::Ug | Kind::Rbl | Kind::RawCode | Kind::RotatedDump) {
        return Err(Refusal::NotForFlash { image: image(), kind });
    }
    let mut notes = Vec::new();
    let natural = firmware.natural_address;
    let at = match (spec.at, natural) {
        (Some(asked), Some(natural)) if asked != natural => {
            return Err(Refusal::WrongPlace { image: image(), kind, natural, asked });
        }
        (Some(asked), _) => asked,
        (None, Some(natural)) => natural,
        (None, None) => return Err(Refusal::NoPlace { image: image() }),
    };
    let holds_code = matches!(firmware.kind, Kind::Qio | Kind::Ua | Kind::Dump);
    if holds_code {
        check_code(spec, &firmware, situation, chip)?;
    } else if Span::new(at, spec.image.len() as u32).overlaps(code_area(chip)) {
        // Data may go to a data area; where code runs, only recognised code goes.
        return Err(Refusal::UnknownImage { image: image() });
    }
    let (at, bytes) = match spec.image.get(APPLICATION as usize..) {
        Some(application) if spec.at.is_none() && at < situation.abilities.first_writable && holds_code => {
            notes.push(format!(
                "the boot loader serves this link and is left as it is; the image's first 0x{APPLICATION:X} bytes are not written"
            ));
            (APPLICATION, application)
        }
        _ => (at, &*spec.image),
    };
    Ok(Placed { span: Span::new(at, bytes.len() as u32), image: bytes, about: about(&firmware), notes })
}

/// Kind, chip and version: `QIO for BK7231T, OpenBK7231T_1.18.300`.
fn about(firmware: &Firmware) -> String {
    let mut words = firmware.kind.name().to_owned();
    if let Some(family) = firmware.family {
        words.push_str(&format!(" for {family}"));
    }
    if let Some(version) = firmware.openbeken() {
        words.push_str(&format!(", {version}"));
    }
    words
}

fn check_code(spec: &WriteSpec, firmware: &Firmware, situation: &Situation<'_>, chip: Family) -> Result<(), Refusal> {
    let image = || spec.name.clone();
    match firmware.family {
        None if firmware.votes.is_empty() => return Err(Refusal::UnknownImage { image: image() }),
        Some(family) if family == chip => {}
        _ => {
            let votes: Vec<&str> = firmware.votes.iter().map(|vote| vote.evidence.as_str()).collect();
            let name = firmware.family.map_or("contradicting chips", Family::name);
            let image_chip = format!("{name} ({})", votes.join("; "));
            return Err(Refusal::OtherChip { image: image(), image_chip, chip: chip.name() });
        }
    }
    if let Some(finding) = firmware.problems.iter().find(|finding| finding.severity == Severity::Error) {
        return Err(Refusal::Damaged { image: image(), why: finding.what.clone() });
    }
    let image_key = firmware.key.map_or_else(|| "unknown".to_owned(), |key| key.name());
    match &situation.identity.code_key {
        Some(chip_key) if *chip_key != image_key => {
            Err(Refusal::OtherKey { image: image(), image_key, chip_key: chip_key.clone() })
        }
        _ => Ok(()),
    }
}

/// Boot loader and application: where only recognised code is written.
fn code_area(chip: Family) -> Span {
    // The download area begins where the application's partition ends (formats.md §1).
    let end = if chip == Family::Bk7231N { 0x12_A000 } else { 0x13_2000 };
    Span::between(0, end)
}

/// The rules that need to know which sectors would change.
pub(super) fn check(
    spec: &WriteSpec,
    situation: &Situation<'_>,
    placed: &Placed<'_>,
    runs: &[Run],
) -> Result<(), Refusal> {
    let changes = |span: Span| runs.iter().any(|run| run.action != Action::Keep && run.span.overlaps(span));
    if let Some(rf) = situation.identity.rf_block.filter(|rf| changes(*rf)) {
        return Err(Refusal::RfBlock { span: rf });
    }
    let first = situation.abilities.first_writable;
    if changes(Span::between(0, first)) {
        return Err(Refusal::BootLoader { first });
    }
    if spec.change == Change::Erase && changes(Span::between(0, APPLICATION.max(SECTOR))) {
        // An erased boot loader is a module that only SPI can repair.
        return Err(Refusal::BootLoader { first: APPLICATION });
    }
    debug_assert!(placed.span.end() <= situation.identity.flash.size);
    match &spec.backup {
        BackupProof::None => return Err(Refusal::NoBackup),
        BackupProof::Bypassed(phrase) if phrase != BYPASS_PHRASE => return Err(Refusal::WrongPhrase),
        BackupProof::Proven(backup) if backup.chip_key != situation.identity.chip_key => {
            return Err(Refusal::ForeignBackup { path: backup.path.display().to_string() });
        }
        _ => {}
    }
    match situation.protection.range {
        Range::Protected(span) if changes(span) && situation.protection.registers_locked => {
            Err(Refusal::Locked { span, why: "the lock bits of the status registers are set".to_owned() })
        }
        _ => Ok(()),
    }
}

impl Explain for Refusal {
    fn explain(&self) -> Problem {
        let what = self.to_string();
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
            Self::RfBlock { .. } => (
                "E411",
                "calibration and MAC are unique to this chip and exist nowhere else (rule 3)",
                "leave that sector out".to_owned(),
            ),
            Self::BootLoader { .. } => (
                "E412",
                "a module without boot loader answers no UART any more (rule 3)",
                "leave --at out so that writing begins at 0x11000, or use SPI".to_owned(),
            ),
            Self::NoBackup => (
                "E413",
                "what a write destroys must be there to put back (rule 2)",
                "make a backup first: key b on the Connect tab, or `bkbench read`".to_owned(),
            ),
            Self::WrongPhrase => {
                ("E414", "going without a backup has to be meant", format!("type exactly: {BYPASS_PHRASE}"))
            }
            Self::ForeignBackup { .. } => (
                "E415",
                "its MAC is not the one of the connected chip (rule 2)",
                "make a backup of this chip".to_owned(),
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
