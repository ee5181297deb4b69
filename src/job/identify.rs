//! Who the chip is: what the link tells and what the flash content tells, as evidence with a verdict. Never a menu
//! choice (product.md rule 10).

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::journal::Handed;
use super::patience::meanwhile;
use super::plan::hex;
use super::refusal::Refusal;
use super::report::{JobError, Phase, Reporter};
use super::stray::sector_crcs;
use crate::device::{Abilities, DeviceError, EntryTry, Facts, ReadFlash, Tie, UniqueId};
use crate::image::code::CodeKey;
use crate::image::family::Family;
use crate::image::firmware::{self, Firmware};
use crate::image::rf::{self, MacState};
use crate::image::votes;
use crate::link::{LinkInfo, WireKind, WireName};
use crate::units::{BLOCK, SECTOR, Span, Verdict, hex_text};

/// Boot loader and the first sectors of the application: version text, partition table, code key (formats.md §1).
const START: Span = Span::new(0, 0x12000);
/// Boot loader and application, read whole where that is cheap: tells the firmware's version too.
const CODE: Span = Span::new(0, 0x12A000);

/// A connected chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identity {
    /// The chip; `None` while nothing points to one.
    pub chip: Option<Family>,
    /// How sure that is.
    pub verdict: Verdict,
    /// What speaks for it, one measurement a line.
    pub evidence: Vec<String>,
    /// Every try to get the flash to answer over SPI, the successful ones too, each with all that came back.
    pub entry: Vec<EntryTry>,
    /// The flash.
    pub flash: FlashIdentity,
    /// How it is known that this is the chip that is meant.
    pub tie: Tie,
    /// The CEN wire with the host's end of it, in words.
    #[serde(skip)]
    pub cen: String,
    /// The wire.
    pub wire: WireKind,
    /// The link's name.
    pub link: String,
    /// True for the embedded module: says nothing about silicon.
    pub simulated: bool,
    /// Bit clock in Hz or rate in baud.
    pub speed: u32,
    /// `basic` or `full` boot loader; `None` over SPI.
    pub dialect: Option<&'static str>,
    /// The boot loader's version text.
    pub boot_version: Option<String>,
    /// The firmware inside, as far as its content tells.
    pub firmware: Option<String>,
    /// Name of the key that the code on the chip decrypts with.
    pub code_key: Option<String>,
    /// SHA-256 of the MAC in the RF block; the MAC itself is never kept.
    pub mac_hash: Option<String>,
    /// What the MAC is worth as evidence.
    pub mac_state: MacState,
    /// Tells this very chip from any other of its kind.
    pub chip_key: String,
    /// Where RF calibration and MAC lie: found there, or where this chip keeps them.
    pub rf_block: Option<Span>,
    /// Nothing but FF, or nothing but 00, was read where boot loader, application and RF block begin: a blank chip, or one that
    /// does not answer.
    pub blank: bool,
    /// What the link can do.
    pub abilities: Abilities,
    /// Offset and CRC of every sector that was read for this: tells by content whose backup and whose record there may be.
    #[serde(skip)]
    pub seen: Vec<(u32, u32)>,
}

/// The flash of a chip.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlashIdentity {
    /// `EB 60 15`; basic boot loaders do not show it.
    pub jedec: Option<String>,
    /// SHA-256 of the unique id of this very part, where the link and the part show one; the id itself is never kept.
    pub unique_hash: Option<String>,
    /// The part's name in the table.
    pub part: Option<String>,
    /// Its vendor.
    pub vendor: Option<String>,
    /// Size in bytes.
    pub size: u32,
    /// Independent sources of the size.
    pub size_sources: Vec<String>,
}

impl Identity {
    /// Puts together what the link told and what the flash holds. `flash` is the whole chip; areas that were not
    /// read are FF.
    pub fn from_flash(facts: &Facts, abilities: Abilities, link: &LinkInfo, flash: &[u8]) -> Self {
        let mut all = votes::flash_votes(flash);
        all.extend(link_votes(facts));
        let (chip, verdict) = votes::decide(&all);
        let mut evidence: Vec<String> = all.into_iter().map(|vote| vote.evidence).collect();
        evidence.extend(facts.evidence.iter().cloned());
        evidence.extend(facts.tie.doubt().map(str::to_owned));

        let content = firmware::identify(flash);
        let places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
        let found = places.into_iter().find_map(|place| Some((place, rf::find(flash, place.start)?)));
        let mac = found.as_ref().and_then(|(_, block)| block.mac);
        Self {
            chip,
            verdict: verdict.min(facts.tie.ceiling()),
            evidence,
            entry: facts.tries.clone(),
            flash: FlashIdentity {
                jedec: facts.jedec.map(|id| hex_text(&id)),
                unique_hash: facts.unique_id.as_ref().map(UniqueId::hash),
                part: facts.part.map(|part| part.name.clone()),
                vendor: facts.part.map(|part| part.vendor.clone()),
                size: facts.size,
                size_sources: facts.size_sources.clone(),
            },
            tie: facts.tie,
            cen: link.pins.at(WireName::Cen),
            wire: facts.wire,
            link: link.name.clone(),
            simulated: link.simulated,
            speed: facts.speed,
            dialect: facts.dialect,
            boot_version: facts.boot_version.clone().or_else(|| content.boot_loader.as_ref()?.version.clone()),
            firmware: firmware_text(&content),
            code_key: content.key.map(|key| key.name()),
            mac_hash: mac.as_ref().map(rf::mac_hash),
            mac_state: MacState::of(mac.as_ref()),
            chip_key: chip_key(mac.as_ref(), found.as_ref().map(|(place, _)| *place), facts, flash),
            rf_block: found.map(|(place, _)| place).or_else(|| chip.and_then(Family::rf_block)),
            blank: is_blank(flash),
            abilities,
            seen: (0..).step_by(SECTOR as usize).zip(sector_crcs(flash)).collect(),
        }
    }

    /// Whether the chip shows a MAC that no other chip should show.
    pub fn has_own_mac(&self) -> bool {
        self.mac_state == MacState::Own
    }

    /// Why nothing is written to this chip, whatever the image; `None` when nothing speaks against it.
    pub fn unfit_for_writing(&self) -> Option<Refusal> {
        (self.tie == Tie::Loose).then(|| Refusal::NotBehindCen { cen: self.cen.clone() })
    }

    /// What is wrong with the RF block, in words; `None` where there is one with a MAC of its own at the chip's place, and
    /// where nobody knows that place.
    pub fn rf_fault(&self) -> Option<String> {
        let place = self.chip.and_then(Family::rf_block)?;
        match self.mac_state {
            MacState::Own if self.rf_block == Some(place) => None,
            MacState::Default => Some("a default MAC: RF block lost or restored from a template".to_owned()),
            _ => Some(format!("RF block lost: there is no RF calibration with a MAC at 0x{:06X}", place.start)),
        }
    }

    /// Chip name and verdict for headers: `BK7231T proven`, `unknown`.
    pub fn chip_text(&self) -> String {
        self.chip.map_or_else(|| "unknown".to_owned(), |chip| format!("{} {}", chip.name(), self.verdict))
    }
}

/// Whether everything that identifies a chip by its content reads as one byte, FF or 00.
fn is_blank(flash: &[u8]) -> bool {
    let rf = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
    let whole = Span::new(0, flash.len() as u32);
    let mut read = rf.chain([START]).map(|span| span.intersection(whole));
    let first = flash.first().copied().filter(|byte| matches!(byte, 0x00 | 0xFF));
    let one_byte = |span: Span, first| {
        let bytes = flash.get(span.start as usize..span.end() as usize).unwrap_or_default();
        bytes.iter().all(|byte| *byte == first)
    };
    first.is_some_and(|first| read.all(|span| one_byte(span, first)))
}

/// What runs on the chip, as far as its content tells: OpenBeken and LibreTiny by their version texts, else the name
/// of the factory application.
fn firmware_text(content: &Firmware) -> Option<String> {
    let app = content.app.as_ref()?;
    let open = content.openbeken().map(str::to_owned).or_else(|| app.libretiny.clone());
    let tuya = || {
        let name = app.tuya_name.as_ref()?;
        Some(format!("Tuya {name} {}", app.tuya_version.as_deref().unwrap_or_default()).trim_end().to_owned())
    };
    open.or_else(tuya)
}

/// The MAC is what two chips never share. A chip without one is told by its flash and its RF calibration, which no
/// ordinary write changes; without that too, by its boot loader.
fn chip_key(mac: Option<&[u8; 6]>, rf_block: Option<Span>, facts: &Facts, flash: &[u8]) -> String {
    match mac {
        Some(mac) => format!("mac-{}", rf::mac_hash(mac).get(..16).unwrap_or_default()),
        None => {
            let mut hasher = Sha256::new();
            hasher.update(DeviceError::id_text(facts.jedec));
            let own = rf_block.unwrap_or(Span::new(0, SECTOR));
            hasher.update(flash.get(own.start as usize..own.end() as usize).unwrap_or_default());
            format!("nomac-{}", hex(&hasher.finalize()).get(..16).unwrap_or_default())
        }
    }
}

fn link_votes(facts: &Facts) -> Vec<votes::Vote> {
    let mut found = Vec::new();
    if let Some(id) = facts.chip_id {
        // BK7231N and M share it (uart-protocol.md §1); the code key tells them apart.
        let is_m = facts.code_key == Some(CodeKey::NONE);
        let family = if id == 0x0007_231C && !is_m { Family::Bk7231N } else { Family::Other };
        let key = if is_m && id == 0x0007_231C { ", code key zero as on the BK7231M" } else { "" };
        found.push(votes::Vote { family, evidence: format!("chip id register 0x{id:05X}{key}") });
    }
    if let Some(version) = &facts.boot_version {
        let family = if version.starts_with("BK7231S") {
            Family::Bk7231T
        } else if version.starts_with("BK7231N") {
            Family::Bk7231N
        } else {
            Family::Other
        };
        found.push(votes::Vote { family, evidence: format!("boot loader answers with version {version}") });
    }
    found
}

/// Finds what chips held when they were last backed up. Jobs open no file: the front end hands it in.
pub trait Backups: Send {
    /// The newest proven backup of the chip with this key ([`Identity::chip_key`]), whole.
    fn newest(&self, chip_key: &str) -> Option<Arc<[u8]>>;
}

/// The backups on their way into the session.
pub type BackupsHandle = Handed<dyn Backups>;

/// Reads what identification needs, decides who the chip is, and tells it. Where the chip computes CRCs faster than the
/// line carries bytes, what stands there as in one of the `backups` of this chip is told by its CRC.
///
/// # Errors
/// [`JobError::Device`].
pub fn identify(
    device: &mut dyn ReadFlash,
    link: &LinkInfo,
    backups: Option<&BackupsHandle>,
    run: &mut dyn Reporter,
) -> Result<Identity, JobError> {
    let identity = look(device, link, backups, run)?;
    run.identity(Arc::new(identity.clone()));
    Ok(identity)
}

/// As [`identify`], for somebody who has to know first whether it is the right chip.
///
/// # Errors
/// [`JobError::Device`].
pub fn look(
    device: &mut dyn ReadFlash,
    link: &LinkInfo,
    backups: Option<&BackupsHandle>,
    run: &mut dyn Reporter,
) -> Result<Identity, JobError> {
    let size = device.facts().size;
    let by_crc = device.abilities().prefer_crc;
    let code = if by_crc { START } else { CODE };
    let chip = Span::new(0, size);
    let within = |span: &Span| Some(span.intersection(chip)).filter(|span| !span.is_empty());
    let places = [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block);
    let places: Vec<Span> = places.filter_map(|place| within(&place)).collect();
    let code = within(&code).unwrap_or(chip);
    run.phase(Phase::Identify, places.iter().chain([&code]).map(|span| u64::from(span.len)).sum());

    // The MAC first: it tells whose backup there may be.
    let mut flash = vec![0xFF; size as usize];
    let read: Vec<Span> = places.iter().copied().chain([code]).collect();
    for span in places {
        if let Some(place) = part(&mut flash, span) {
            device.read(span.start, place, run)?;
        }
    }
    let backup = backups.filter(|_| by_crc).and_then(|backups| {
        let (facts, abilities) = (device.facts().clone(), device.abilities());
        let newest = || backups.get().newest(&Identity::from_flash(&facts, abilities, link, &flash).chip_key);
        meanwhile(device, newest).filter(|backup| backup.len() == size as usize)
    });
    match backup {
        Some(backup) => {
            for piece in code.pieces(BLOCK) {
                let known = backup.get(piece.start as usize..piece.end() as usize).unwrap_or_default();
                if let Some(place) = part(&mut flash, piece) {
                    device.fetch(piece.start, &[known], place, run)?;
                }
            }
        }
        None => {
            if let Some(place) = part(&mut flash, code) {
                device.read(code.start, place, run)?;
            }
        }
    }
    let (facts, abilities) = (device.facts().clone(), device.abilities());
    let mut identity = meanwhile(device, || Identity::from_flash(&facts, abilities, link, &flash));
    identity.seen.retain(|(at, _)| read.iter().any(|span| span.contains(*at)));
    Ok(identity)
}

fn part(flash: &mut [u8], span: Span) -> Option<&mut [u8]> {
    flash.get_mut(span.start as usize..span.end() as usize)
}
