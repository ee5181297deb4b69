//! Writes that were cut off, and whose they are. A record is found by what the chip holds, whatever the chip is called now:
//! a write that tears, restores or rebuilds the RF block changes the very name it was filed under (product.md rule 9).

use super::identify::Identity;
use super::ownership::{device_of, living};
use super::policy::rf_places;
use super::spec::{BackupProof, Change, Interrupted, WriteSpec};
use super::stray::sector_crcs;
use crate::image::rf;
use crate::units::{SECTOR, Span};

/// More sectors than damaged requests, or a firmware that ran for a moment, would change outside of a write: beyond that the
/// chip is another one, or something else has worked on it.
pub(super) const FEW: usize = 40;

/// A write that was cut off, as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// The write, ready to be gone on with: its backup is [`BackupProof::None`] where what stood behind it is gone.
    pub spec: WriteSpec,
    /// The name it is filed under: what the chip was called when the write began.
    pub chip_key: String,
    /// JEDEC id of the flash, where the link showed it.
    pub jedec: Option<String>,
    /// Size of the flash in bytes, where it was recorded.
    pub size: Option<u32>,
    /// SHA-256 of the unique id of the flash, where the link showed it.
    pub unique_hash: Option<String>,
    /// Whether any sector was touched at all.
    pub touched: bool,
    /// The backup that was recorded, even where it is gone: for the remedy.
    pub backup: Option<String>,
    /// The write in one sentence.
    pub sentence: String,
}

impl Unfinished {
    /// What it left on the chip.
    pub fn left(&self) -> Interrupted {
        self.spec.interrupted.clone().unwrap_or_default()
    }

    /// Whether the connected chip may be the one, by what identifying it has read.
    pub fn may_be_of(&self, identity: &Identity) -> bool {
        self.fits(identity, &identity.seen, None)
    }

    /// Whether a chip with this content is the one.
    pub fn is_of(&self, identity: &Identity, current: &[u8]) -> bool {
        let sectors: Vec<(u32, u32)> = (0..).step_by(SECTOR as usize).zip(sector_crcs(current)).collect();
        self.fits(identity, &sectors, Some(current)) && !self.other_device(current)
    }

    /// Whether this is the change that is asked for. One with an own configuration is another than one without.
    pub fn is_same(&self, change: Change, at: Option<u32>, image: &[u8], configures: bool) -> bool {
        let place = at.is_none() || self.spec.at.is_none() || at == self.spec.at;
        let over = self.spec.overlays.is_empty() || configures;
        self.spec.change == change && place && over && *self.spec.image == *image
    }

    fn fits(&self, identity: &Identity, sectors: &[(u32, u32)], current: Option<&[u8]>) -> bool {
        let flash = &identity.flash;
        let contradict = |one: Option<&String>, other: Option<&String>| one.zip(other).is_some_and(|(a, b)| a != b);
        if contradict(self.jedec.as_ref(), flash.jedec.as_ref()) || self.size.is_some_and(|size| size != flash.size) {
            return false;
        }
        let same_part = self.unique_hash.as_ref().zip(flash.unique_hash.as_ref()).map(|(then, now)| then == now);
        if same_part == Some(false) {
            return false;
        }
        let left = self.left();
        if left.before.is_empty() && left.after.is_empty() {
            return self.chip_key == identity.chip_key || self.lost_its_mac(identity, &left);
        }
        let rf_fits = same_part == Some(true) || self.rf_fits(identity, sectors, &left, current);
        rf_fits && self.strangers(identity, sectors, &left) <= FEW
    }

    /// A record that holds no CRCs: only a torn RF block can explain that the chip is called otherwise.
    fn lost_its_mac(&self, identity: &Identity, left: &Interrupted) -> bool {
        let torn = rf_places().any(|rf| left.distrusted.iter().any(|torn| torn.overlaps(rf)));
        identity.mac_hash.is_none() && torn && (self.spec.change.from_backup() || left.astray)
    }

    /// The RF block holds what it held, what it shall hold, or was torn on the way; a MAC of the chip's own that is neither
    /// is another chip's.
    fn rf_fits(&self, identity: &Identity, sectors: &[(u32, u32)], left: &Interrupted, current: Option<&[u8]>) -> bool {
        if self.chip_key == identity.chip_key || !identity.has_own_mac() {
            return true;
        }
        let Some(rf) = identity.rf_block else { return true };
        let is = sectors.iter().find(|(at, _)| *at == rf.start).map(|(_, crc)| *crc);
        if is.is_some_and(|crc| recorded(left, rf.start, crc)) {
            return true;
        }
        let torn = left.distrusted.iter().any(|torn| torn.overlaps(rf));
        // Programming only clears bits, so a torn MAC still has every bit of the one it was to become.
        torn && current.is_none_or(|current| match (mac(current, rf.start), self.wanted_mac(rf)) {
            (Some(is), Some(wanted)) => is.iter().zip(wanted).all(|(is, wanted)| is & wanted == wanted),
            _ => true,
        })
    }

    fn wanted_mac(&self, rf: Span) -> Option<[u8; 6]> {
        mac(&self.spec.image, rf.start.checked_sub(self.spec.at.unwrap_or(0))?)
    }

    /// How many sectors hold neither what they held nor what they shall hold, outside of where firmware writes.
    fn strangers(&self, identity: &Identity, sectors: &[(u32, u32)], left: &Interrupted) -> usize {
        let living = living(identity.chip.or(left.chip), identity.flash.size);
        let explained = |at: u32, crc: u32| {
            left.distrusts(at) || living.iter().any(|span| span.contains(at)) || recorded(left, at, crc)
        };
        sectors.iter().filter(|(at, crc)| !explained(*at, *crc)).count()
    }

    fn other_device(&self, current: &[u8]) -> bool {
        let BackupProof::Proven(backup) = &self.spec.backup else { return false };
        device_of(&backup.bytes).zip(device_of(current)).is_some_and(|(was, is)| was != is)
    }
}

fn recorded(left: &Interrupted, at: u32, crc: u32) -> bool {
    let index = (at / SECTOR) as usize;
    [&left.before, &left.after].into_iter().any(|known| known.get(index) == Some(&crc))
}

fn mac(flash: &[u8], at: u32) -> Option<[u8; 6]> {
    rf::find(flash, at).and_then(|block| block.mac)
}
