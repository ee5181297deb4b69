//! Whose chip this is, told by content (product.md rule 2). A MAC is evidence and not identity: whole batches share one, and
//! a chip whose RF block was lost shows a default. A backup belongs to a chip only if every sector that differs from it is
//! explained: by a recorded write of ours, or because firmware itself writes there.

use super::identify::Identity;
use super::spec::{Interrupted, ProvenBackup};
use super::stray::sector_crcs;
use super::unfinished::FEW;
use crate::codec::beken::chip_crc;
use crate::image::region::RegionKind;
use crate::image::rf::{self, MacState};
use crate::image::tuya::{self, param};
use crate::image::{Family, Kind};
use crate::units::{SECTOR, Span};

/// How the RF block of the chip stands to the one of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RfMatch {
    /// Byte for byte the same, or neither has one.
    Equal,
    /// The same MAC, other calibration.
    SameMac,
    /// The chip shows no MAC, or one that chips show when theirs was lost.
    Lost,
    /// The chip has a MAC of its own, and it is another.
    Other,
}

/// What a comparison of a backup with a whole chip says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The RF blocks of the two.
    pub rf: RfMatch,
    /// Whether the chip's MAC is one that many chips show.
    pub default_mac: bool,
    /// Offsets of the sectors outside the RF block that differ from the backup, with nothing to explain it.
    pub unexplained: Vec<u32>,
    /// The two hold the Tuya stores of two devices.
    pub other_device: bool,
    /// Whether the flash has the unique id that the backup's had; `None` where one of the two does not show it.
    pub same_flash: Option<bool>,
}

impl Ownership {
    /// Whether the backup is this chip's beyond doubt.
    pub fn is_proven(&self) -> bool {
        self.is_explained() && self.rf == RfMatch::Equal
    }

    /// Whether everything outside the RF block is explained.
    pub fn is_explained(&self) -> bool {
        self.unexplained.is_empty() && !self.other_device && self.same_flash != Some(false)
    }

    /// What does not fit, in words.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        match self.rf {
            RfMatch::Equal => {}
            RfMatch::SameMac => words.push("the RF calibration differs under the same MAC".to_owned()),
            RfMatch::Lost if self.default_mac => words.push("the chip shows a default MAC".to_owned()),
            RfMatch::Lost => words.push("the chip shows no MAC".to_owned()),
            RfMatch::Other => words.push("the RF block and its MAC are another chip's".to_owned()),
        }
        if self.same_flash == Some(false) {
            words.push("the flash has another unique id".to_owned());
        }
        if let Some(first) = self.unexplained.first() {
            words.push(match self.unexplained.len() {
                1 => format!("1 sector (0x{first:06X}) differs, and no recorded write explains it"),
                many => {
                    format!("{many} sectors (the first at 0x{first:06X}) differ, and no recorded write explains them")
                }
            });
        }
        if self.other_device {
            words.push("the Tuya store is another device's".to_owned());
        }
        words.join("; ")
    }
}

/// Compares a backup with what the whole chip holds. `after` are contents that recorded writes left, as sector CRCs;
/// `left` is what an unfinished write recorded.
pub fn ownership(
    backup: &ProvenBackup,
    current: &[u8],
    identity: &Identity,
    after: &[Vec<u32>],
    left: Option<&Interrupted>,
) -> Ownership {
    let (same_flash, backup) = (same_flash(backup, identity), &*backup.bytes);
    let rf = identity.rf_block;
    let torn_rf = |rf: Span| left.is_some_and(|left| left.distrusted.iter().any(|torn| torn.overlaps(rf)));
    let (mut rf_match, default_mac) = rf_match(backup, current, rf);
    // Torn, it shows anything.
    if rf.is_some_and(torn_rf) {
        rf_match = RfMatch::Equal;
    }
    let living = living(identity.chip, current.len() as u32);
    let before = left.map(|left| &left.before).filter(|before| !before.is_empty());
    let wanted = left.map(|left| &left.after).filter(|after| !after.is_empty());
    let crcs = sector_crcs(current);
    let explained = |index: usize| {
        let at = index as u32 * SECTOR;
        let recorded = |known: &Vec<u32>| known.get(index) == crcs.get(index);
        living.iter().any(|span| span.contains(at))
            || left.is_some_and(|left| left.distrusts(at))
            || after.iter().any(recorded)
            || before.is_some_and(recorded)
            || wanted.is_some_and(recorded)
    };
    let pairs = backup.chunks(SECTOR as usize).zip(current.chunks(SECTOR as usize)).enumerate();
    let differing = pairs.filter(|(_, (was, is))| was != is).map(|(index, _)| index);
    let outside_rf = differing.filter(|index| rf.is_none_or(|rf| !rf.contains(*index as u32 * SECTOR)));
    let mut unexplained: Vec<u32> =
        outside_rf.filter(|index| !explained(*index)).map(|index| index as u32 * SECTOR).collect();
    // What a damaged request of the unfinished write hit is put back, and named in the plan.
    if left.is_some_and(|left| left.astray) && unexplained.len() <= FEW {
        unexplained.clear();
    }
    let other_device = device_of(backup).zip(device_of(current)).is_some_and(|(was, is)| was != is);
    Ownership { rf: rf_match, default_mac, unexplained, other_device, same_flash }
}

fn same_flash(backup: &ProvenBackup, identity: &Identity) -> Option<bool> {
    backup.unique_hash.as_ref().zip(identity.flash.unique_hash.as_ref()).map(|(then, now)| then == now)
}

/// Whether a backup was read from a flash of another kind or size.
pub(super) fn is_of_other_flash(backup: &ProvenBackup, identity: &Identity) -> bool {
    let flash = &identity.flash;
    let other_kind = backup.jedec.as_ref().zip(flash.jedec.as_ref()).is_some_and(|(then, now)| then != now);
    other_kind || backup.bytes.len() as u64 != u64::from(flash.size)
}

/// Whether a backup may be the chip's, by what identifying it has read: rules out what a look at the whole chip would rule
/// out, at no cost.
pub fn may_be_of(backup: &ProvenBackup, identity: &Identity, after: &[Vec<u32>]) -> bool {
    let flash = &identity.flash;
    if is_of_other_flash(backup, identity) || same_flash(backup, identity) == Some(false) {
        return false;
    }
    let living = living(identity.chip, flash.size);
    let free = |at: u32| {
        living.iter().any(|span| span.contains(at))
            || (!identity.has_own_mac() && identity.rf_block.is_some_and(|rf| rf.contains(at)))
    };
    let equal = |at: u32, crc: u32| {
        let index = (at / SECTOR) as usize;
        let was = backup.bytes.get(at as usize..(at + SECTOR) as usize).map(chip_crc);
        was == Some(crc) || after.iter().any(|known| known.get(index) == Some(&crc))
    };
    identity.seen.iter().all(|(at, crc)| free(*at) || equal(*at, *crc))
}

fn rf_match(backup: &[u8], current: &[u8], place: Option<Span>) -> (RfMatch, bool) {
    let Some(place) = place else { return (RfMatch::Equal, false) };
    let range = place.start as usize..place.end() as usize;
    let mac = |flash: &[u8]| rf::find(flash, place.start).and_then(|block| block.mac);
    let (was, is) = (mac(backup), mac(current));
    let default_mac = MacState::of(is.as_ref()) == MacState::Default;
    let equal = backup.get(range.clone()) == current.get(range);
    let rf = match (was, is) {
        _ if equal => RfMatch::Equal,
        (Some(was), Some(is)) if was == is => RfMatch::SameMac,
        (_, Some(_)) if !default_mac => RfMatch::Other,
        _ => RfMatch::Lost,
    };
    (rf, default_mac)
}

/// Where firmware itself writes while it runs: the over-the-air area, files, network parameters with OpenBeken's
/// configuration, the stores (formats.md §1).
pub(super) fn living(chip: Option<Family>, size: u32) -> Vec<Span> {
    let layout = chip.map(|chip| chip.layout(size)).unwrap_or_default();
    let kinds = [RegionKind::Download, RegionKind::Files, RegionKind::Network, RegionKind::Store];
    layout.into_iter().filter(|region| kinds.contains(&region.kind)).map(|region| region.span).collect()
}

/// The device that a Tuya store names. It is given in the factory and never changes.
pub(super) fn device_of(flash: &[u8]) -> Option<String> {
    let store = tuya::read(flash, Kind::Dump, None);
    let identity = store.text_of("gw_bi")?.to_owned();
    param::parse(identity.as_bytes()).text("uuid").map(str::to_owned)
}
