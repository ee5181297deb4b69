//! The rules of a write: where an image belongs, and what is refused (product.md §4, rules 2 to 4).

use std::borrow::Cow;

use super::ownership::{Ownership, RfMatch, is_of_other_flash, ownership};
use super::plan::{Action, Run, Situation};
use super::protect::Range;
use super::refusal::Refusal;
use super::spec::{
    BYPASS_PHRASE, BackupProof, CONSENT_PHRASE, Change, Overlay, ProvenBackup, STRONG_CONSENT_PHRASE, WriteSpec,
};
use super::stray::Strays;
use crate::image::Kind;
use crate::image::family::Family;
use crate::image::finding::{Finding, Severity};
use crate::image::firmware::{self, Firmware};
use crate::image::littlefs::{self, FileSystem};
use crate::image::openbeken::{Config, encode};
use crate::link::WireKind;
use crate::units::{SECTOR, Span, Verdict};

/// Where the application begins on every chip of the family, behind the boot loader (formats.md §1).
pub const APPLICATION: u32 = 0x11000;

/// An image with its place on the chip.
pub(super) struct Placed<'a> {
    /// Where it goes.
    pub span: Span,
    /// The bytes that go there.
    pub image: Cow<'a, [u8]>,
    /// What it is, in words.
    pub about: String,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// Decides where the image goes and whether it may go there at all.
pub(super) fn place<'a>(spec: &'a WriteSpec, situation: &Situation<'_>) -> Result<Placed<'a>, Refusal> {
    let identity = situation.identity;
    if let Some(refusal) = identity.unfit_for_writing() {
        return Err(refusal);
    }
    if let (Some(jedec), None) = (&identity.flash.jedec, &identity.flash.part) {
        return Err(Refusal::UnknownFlash { jedec: jedec.clone() });
    }
    let placed = match spec.change {
        Change::Erase => {
            known_chip(spec, situation)?;
            place_erase(spec)?
        }
        Change::Image => place_image(spec, situation, known_chip(spec, situation)?)?,
        Change::Restore | Change::RfBlock => place_backup(spec, situation)?,
        Change::Config => place_config(spec, known_chip(spec, situation)?)?,
    };
    let size = identity.flash.size;
    if u64::from(placed.span.start) + placed.image.len() as u64 > u64::from(size) || placed.image.is_empty() {
        return Err(Refusal::PastEnd { span: placed.span, size });
    }
    for over in &spec.overlays {
        check_overlay(spec, over, known_chip(spec, situation)?)?;
    }
    Ok(placed)
}

/// What is laid over an image is OpenBeken's configuration, in its one sector, or its file area: whole and intact.
fn check_overlay(spec: &WriteSpec, over: &Overlay, chip: Family) -> Result<(), Refusal> {
    if over.span().to_sectors() != over.span() {
        return Err(Refusal::NotSectors { span: over.span() });
    }
    if littlefs::may_lie(chip, over.span()) && FileSystem::fills(&over.bytes) {
        return Ok(());
    }
    let good = chip.config_sector() == Some(over.span()) && Config::read(&over.bytes, over.at as usize).is_some();
    if good && encode::is_known(&over.bytes) { Ok(()) } else { Err(Refusal::NotAConfig { image: spec.name.clone() }) }
}

/// The chip, sure enough to write to it. A chip in the middle of an interrupted write cannot show all of its marks, so
/// what was known of it before counts.
fn known_chip(spec: &WriteSpec, situation: &Situation<'_>) -> Result<Family, Refusal> {
    let identity = situation.identity;
    let sure = identity.chip.filter(|_| identity.verdict >= Verdict::Likely);
    let before = || spec.interrupted.as_ref()?.chip;
    // Another read of an erased chip, and a chip behind a loader, could tell more.
    let erased = || identity.wire == WireKind::Spi && situation.current.iter().all(|byte| *byte == 0xFF);
    let said = || spec.said_chip.filter(|_| erased());
    sure.or_else(before)
        .or_else(said)
        .ok_or_else(|| if erased() { Refusal::ErasedChip } else { Refusal::UnknownChip { verdict: identity.verdict } })
}

/// What is put back comes from the backup byte by byte; a whole one fits the chip exactly.
fn place_backup<'a>(spec: &'a WriteSpec, situation: &Situation<'_>) -> Result<Placed<'a>, Refusal> {
    let size = situation.identity.flash.size;
    let refused = || Refusal::NotTheBackup { image: spec.name.clone(), size };
    let BackupProof::Proven(backup) = &spec.backup else { return Err(Refusal::NoBackup) };
    let at = spec.at.unwrap_or(0);
    let span = Span::new(at, spec.image.len() as u32);
    let in_backup = backup.bytes.get(at as usize..(at as usize).saturating_add(spec.image.len()));
    let whole = backup.bytes.len() as u64 == u64::from(size) && (spec.change == Change::RfBlock || span.len == size);
    if !whole || in_backup != Some(&*spec.image) {
        return Err(refused());
    }
    let mut notes = vec![format!("from the backup {}", backup.path.display())];
    let about = match spec.change {
        Change::RfBlock if rf_places().any(|place| place == span) => "RF calibration and MAC of this chip".to_owned(),
        Change::RfBlock => return Err(refused()),
        _ => "backup of this chip".to_owned(),
    };
    if spec.mac_lost {
        notes.push(
            "the chip shows no MAC: that the backup is of this chip was said by a person, not measured".to_owned(),
        );
    }
    if spec.consent.is_some() {
        let words = owner(spec, situation).map(|owner| owner.words()).unwrap_or_default();
        notes.push(format!("that the backup is of this chip was said by a person, against what was measured: {words}"));
    }
    Ok(Placed { span, image: Cow::Borrowed(&spec.image), about, notes })
}

pub(super) fn rf_places() -> impl Iterator<Item = Span> {
    [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block)
}

fn place_erase(spec: &WriteSpec) -> Result<Placed<'_>, Refusal> {
    let span = Span::new(spec.at.unwrap_or(0), spec.image.len() as u32);
    if spec.at.is_none() || span.is_empty() || span.to_sectors() != span {
        return Err(Refusal::NotSectors { span });
    }
    let (image, about) = (Cow::Borrowed(&*spec.image), "empty flash".to_owned());
    Ok(Placed { span, image, about, notes: Vec::new() })
}

/// A configuration goes to the one sector that OpenBeken keeps it in on this chip, whole and intact.
fn place_config(spec: &WriteSpec, chip: Family) -> Result<Placed<'_>, Refusal> {
    let refused = || Refusal::NotAConfig { image: spec.name.clone() };
    let span = chip.config_sector().ok_or_else(refused)?;
    let exact = spec.at == Some(span.start) && spec.image.len() as u64 == u64::from(span.len);
    let config = Config::read(&spec.image, span.start as usize).filter(|_| exact && encode::is_known(&spec.image));
    let config = config.ok_or_else(refused)?;
    let about = format!("OpenBeken configuration, version {}, {} pins", config.version, config.pins().len());
    Ok(Placed { span, image: Cow::Borrowed(&spec.image), about, notes: config.summary(false) })
}

/// Whether OpenBeken's configuration can be written behind this image: its layout was read for the versions 1.18.
///
/// # Errors
/// [`Refusal::NotOpenBeken`], [`Refusal::UnknownVersion`].
pub fn check_openbeken(name: &str, image: &[u8]) -> Result<(), Refusal> {
    let firmware = firmware::identify(image);
    let Some(version) = firmware.openbeken() else { return Err(Refusal::NotOpenBeken { image: name.to_owned() }) };
    let number = version.rsplit('_').next().unwrap_or(version);
    let known = number.starts_with("1.18.");
    if known { Ok(()) } else { Err(Refusal::UnknownVersion { version: number.to_owned() }) }
}

fn place_image<'a>(spec: &'a WriteSpec, situation: &Situation<'_>, chip: Family) -> Result<Placed<'a>, Refusal> {
    let firmware = firmware::identify(&spec.image);
    let image = || spec.name.clone();
    let kind = firmware.kind.name().to_owned();
    if matches!(firmware.kind, Kind::Ug | Kind::Rbl | Kind::RawCode | Kind::RotatedDump) {
        return Err(Refusal::NotForFlash { image: image(), kind });
    }
    let mut notes = Vec::new();
    if situation.identity.chip.is_none() && spec.said_chip == Some(chip) {
        notes.push(format!("the flash is wholly erased: that this is a {chip} was said by a person, not measured"));
    }
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
    let (at, bytes) = match behind_loader(&firmware, spec.image.len(), spec.at, situation.abilities.first_writable) {
        Some(left) => {
            notes.push(format!(
                "the boot loader serves this link and is left as it is; the image's first 0x{:X} bytes are not written",
                left.len
            ));
            (left.end(), spec.image.get(left.len as usize..).unwrap_or_default())
        }
        None => (at, &*spec.image),
    };
    let span = Span::new(at, bytes.len() as u32);
    let mut placed = Placed { span, image: Cow::Borrowed(bytes), about: about(&firmware), notes };
    if firmware.kind == Kind::Dump {
        keep_own_rf(&mut placed, situation, chip);
    }
    Ok(placed)
}

/// What a write of an image leaves alone because the boot loader there serves the link: where no address was asked for, code
/// that begins with its own boot loader goes behind the one that is there.
pub fn behind_loader(firmware: &Firmware, len: usize, asked: Option<u32>, first_writable: u32) -> Option<Span> {
    let holds_code = matches!(firmware.kind, Kind::Qio | Kind::Ua | Kind::Dump);
    let at = firmware.natural_address.filter(|at| asked.is_none() && holds_code && *at < first_writable)?;
    Some(Span::between(at, APPLICATION)).filter(|left| len > left.len as usize)
}

/// A whole dump brings the RF calibration and MAC of the chip it was read from; this chip keeps its own (rule 3).
fn keep_own_rf(placed: &mut Placed<'_>, situation: &Situation<'_>, chip: Family) {
    let Some(rf) = situation.identity.rf_block.or_else(|| chip.rf_block()) else { return };
    let part = rf.intersection(placed.span);
    let from = part.start.saturating_sub(placed.span.start) as usize;
    let own = situation.current.get(part.start as usize..part.end() as usize);
    let theirs = placed.image.get(from..from + part.len as usize);
    if part.is_empty() || own == theirs {
        return;
    }
    if let (Some(own), Some(place)) = (own, placed.image.to_mut().get_mut(from..from + part.len as usize)) {
        place.copy_from_slice(own);
        placed.notes.push(format!(
            "the file holds the RF calibration and MAC of another chip; {rf} keeps what this chip has there"
        ));
    }
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
    let damage = firmware.problems.iter().find(|finding| forbids(finding));
    match firmware.family {
        None if firmware.votes.is_empty() => {
            // A file that was cut short may have lost its evidence with its end: the damage is the better reason.
            let nothing_known = [Finding::NO_EVIDENCE, Finding::UNKNOWN];
            let cut = damage.filter(|finding| !nothing_known.contains(&finding.code));
            return Err(cut.map_or_else(
                || Refusal::UnknownImage { image: image() },
                |finding| Refusal::Damaged { image: image(), why: finding.what.clone() },
            ));
        }
        Some(family) if family == chip => {}
        _ => {
            let votes: Vec<&str> = firmware.votes.iter().map(|vote| vote.evidence.as_str()).collect();
            let name = firmware.family.map_or("contradicting chips", Family::name);
            let image_chip = format!("{name} ({})", votes.join("; "));
            return Err(Refusal::OtherChip { image: image(), image_chip, chip: chip.name() });
        }
    }
    if let Some(finding) = damage {
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

/// Whether a finding forbids writing. Damaged code in a dump may be what a chip really held, and putting it back is
/// what a restore is for; onto another chip it is not written.
fn forbids(finding: &Finding) -> bool {
    finding.severity == Severity::Error || [Finding::BAD_BLOCK, Finding::CUT_OFF].contains(&finding.code)
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
    written: &[Span],
    runs: &[Run],
    strays: &Strays,
) -> Result<(), Refusal> {
    let changes = |span: Span| runs.iter().any(|run| run.action != Action::Keep && run.span.overlaps(span));
    if !spec.change.from_backup()
        && let Some(rf) = guarded(spec, situation).filter(|rf| changes(*rf))
    {
        return Err(Refusal::RfBlock { span: rf });
    }
    let torn = spec.interrupted.iter().flat_map(|interrupted| &interrupted.distrusted);
    let left_torn = |sector: Span| !written.iter().any(|span| span.covers(sector)) && !strays.settles(sector.start);
    if let Some(span) = torn.copied().find(|torn| torn.pieces(SECTOR).any(left_torn)) {
        return Err(Refusal::LeavesTorn { span });
    }
    let first = situation.abilities.first_writable;
    if changes(Span::between(0, first)) {
        return Err(Refusal::BootLoader { first });
    }
    if spec.change == Change::Erase && changes(Span::between(0, APPLICATION.max(SECTOR))) {
        return Err(Refusal::ErasedBootLoader { first: APPLICATION });
    }
    match &spec.backup {
        BackupProof::None => return Err(Refusal::NoBackup),
        BackupProof::Bypassed(phrase) if phrase != BYPASS_PHRASE => return Err(Refusal::WrongPhrase),
        BackupProof::Proven(backup) => check_owner(spec, situation, backup)?,
        _ => {}
    }
    match situation.protection.range {
        Range::Protected(span) if changes(span) && situation.protection.registers_locked => {
            Err(Refusal::Locked { span, why: "the lock bits of the status registers are set".to_owned() })
        }
        _ => Ok(()),
    }
}

/// Where RF calibration and MAC lie on this chip.
pub(super) fn guarded(spec: &WriteSpec, situation: &Situation<'_>) -> Option<Span> {
    let before = || spec.interrupted.as_ref().and_then(|left| left.chip).and_then(Family::rf_block);
    situation.identity.rf_block.or_else(before)
}

/// How the backup behind a write stands to what the chip holds.
fn owner(spec: &WriteSpec, situation: &Situation<'_>) -> Option<Ownership> {
    let BackupProof::Proven(backup) = &spec.backup else { return None };
    let left = spec.interrupted.as_ref();
    Some(ownership(backup, situation.current, situation.identity, &spec.history, left))
}

/// Refuses a backup that the content of the chip does not show to be its own (rule 2). Where a backup is put back, a person
/// may vouch for what cannot be measured; for another RF block nobody can.
fn check_owner(spec: &WriteSpec, situation: &Situation<'_>, backup: &ProvenBackup) -> Result<(), Refusal> {
    let path = || backup.path.display().to_string();
    if is_of_other_flash(backup, situation.identity) {
        return Err(Refusal::OtherFlash { path: path() });
    }
    let Some(owner) = owner(spec, situation) else { return Ok(()) };
    if owner.is_proven() {
        return Ok(());
    }
    if !spec.change.from_backup() {
        return Err(Refusal::NotThisChip { path: path(), words: owner.words() });
    }
    let lost = owner.rf == RfMatch::Lost;
    if owner.rf == RfMatch::Other
        || owner.same_flash == Some(false)
        || (lost && !spec.mac_lost && spec.consent.is_none())
    {
        return Err(Refusal::ForeignBackup { path: path(), words: owner.words(), lost });
    }
    if owner.is_explained() {
        return Ok(());
    }
    let tied = owner.same_flash == Some(true) || (owner.rf == RfMatch::Equal && !owner.default_mac);
    let phrase = if tied { CONSENT_PHRASE } else { STRONG_CONSENT_PHRASE };
    match spec.consent.as_deref() {
        Some(typed) if typed == phrase || typed == STRONG_CONSENT_PHRASE => Ok(()),
        _ => Err(Refusal::ConsentNeeded { path: path(), words: owner.words(), phrase }),
    }
}
