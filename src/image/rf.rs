//! The RF calibration block, "TLV", which also holds the MAC address (formats.md §7).

use std::fmt;

use serde::Serialize;

use super::bytes::{sha256_hex, u32_le};

const MAGIC: &[u8; 4] = b"TLV\0";
const GROUP: u32 = 0x1111_1100;
const MAC: u32 = 0x1111_1102;

/// What a chip shows that has no MAC of its own: those that the field reports from chips whose RF block was lost or made from a
/// template (beyond.md §6), and the one that Beken's SDK falls back to (its `mac.c`).
const DEFAULTS: [[u8; 6]; 3] =
    [[0xC8, 0x47, 0x8C, 0x42, 0x88, 0x48], [0xC8, 0x47, 0x8C, 0x00, 0x00, 0x00], [0xC8, 0x47, 0x8C, 0x00, 0x00, 0x18]];

/// What a MAC address says about whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MacState {
    /// There is none: no RF block, none in it, or an erased one.
    None,
    /// One that many chips show: their RF block was lost, or made from a template.
    Default,
    /// None of the known defaults. Evidence, not proof: whole batches share one.
    Own,
}

impl MacState {
    /// What this MAC is worth.
    pub fn of(mac: Option<&[u8; 6]>) -> Self {
        match mac {
            None => Self::None,
            Some(mac) if DEFAULTS.contains(mac) => Self::Default,
            Some(_) => Self::Own,
        }
    }
}

/// A block that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct RfBlock {
    /// Flash offset of its first byte.
    pub offset: u32,
    /// The MAC address; `None` when it is missing or erased.
    pub mac: Option<[u8; 6]>,
    /// Flash offset of the MAC address.
    pub mac_offset: Option<u32>,
    /// Length of the items in bytes, as the header says.
    pub len: u32,
}

impl fmt::Debug for RfBlock {
    /// Leaves the MAC address out: it is a secret and Debug text ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mac = self.mac.as_ref().map(mac_hash);
        f.debug_struct("RfBlock")
            .field("offset", &self.offset)
            .field("mac_sha256", &mac)
            .field("len", &self.len)
            .finish()
    }
}

/// The block at flash offset `at`; `None` when there is none, or its length cannot be right for one sector.
pub fn find(flash: &[u8], at: u32) -> Option<RfBlock> {
    let block = flash.get(at as usize..)?;
    let block = &block[..block.len().min(0x1000)];
    let len = u32_le(block, 4).filter(|_| block.starts_with(MAGIC)).filter(|len| (1..0x1000).contains(len))?;
    let place = mac_place(block);
    let mac = place.and_then(|place| block[place..].first_chunk::<6>().copied());
    let mac = mac.filter(|mac| *mac != [0; 6] && *mac != [0xFF; 6]);
    let mac_offset = mac.and(place).map(|place| at.saturating_add(place as u32));
    Some(RfBlock { offset: at, mac, mac_offset, len })
}

/// Walks the items of the first group to the MAC item.
fn mac_place(block: &[u8]) -> Option<usize> {
    let group = 8;
    if u32_le(block, group)? != GROUP {
        return None;
    }
    let end = (group + 8).checked_add(u32_le(block, group + 4)? as usize)?.min(block.len());
    let mut item = group + 8;
    while item + 8 <= end {
        let (id, len) = (u32_le(block, item)?, u32_le(block, item + 4)? as usize);
        if id == MAC {
            return (len == 6 && item + 14 <= end).then_some(item + 8);
        }
        item = (item + 8).checked_add(len)?;
    }
    None
}

/// The SHA-256 of a MAC address in hex: names a chip without giving its address away.
pub fn mac_hash(mac: &[u8; 6]) -> String {
    sha256_hex(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(mac: [u8; 6]) -> Vec<u8> {
        let mut block = b"TLV\0".to_vec();
        for word in [0x1E0u32, GROUP, 0x5A, 0x1111_1101, 4, 0, MAC, 6] {
            block.extend(word.to_le_bytes());
        }
        block.extend(mac);
        block.resize(0x1000, 0);
        block
    }

    #[test]
    fn the_mac_stands_at_offset_0x24() {
        let found = find(&block([2, 0, 0, 0, 0, 1]), 0).unwrap();
        assert_eq!(found.mac_offset, Some(0x24));
        assert_eq!(found.mac, Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(found.len, 0x1E0);
    }

    #[test]
    fn an_erased_mac_is_no_mac() {
        let found = find(&block([0xFF; 6]), 0).unwrap();
        assert_eq!((found.mac, found.mac_offset), (None, None));
    }

    #[test]
    fn a_mac_that_many_chips_show_is_told_from_an_own_one() {
        let worth = |mac| MacState::of(find(&block(mac), 0).and_then(|block| block.mac).as_ref());
        for default in DEFAULTS {
            assert_eq!(worth(default), MacState::Default);
        }
        assert_eq!(worth([0xC8, 0x47, 0x8C, 0x42, 0x88, 0x49]), MacState::Own);
        assert_eq!(worth([2, 0, 0, 0, 0, 1]), MacState::Own);
        assert_eq!(worth([0xFF; 6]), MacState::None);
        assert_eq!(worth([0; 6]), MacState::None);
        assert_eq!(MacState::of(None), MacState::None);
    }

    #[test]
    fn debug_text_does_not_show_the_mac() {
        let found = find(&block([0xC8, 0x47, 0x8C, 1, 2, 3]), 0).unwrap();
        let text = format!("{found:?}");
        assert!(!text.contains("200, 71") && text.contains(&mac_hash(&[0xC8, 0x47, 0x8C, 1, 2, 3])));
    }

    #[test]
    fn damaged_blocks_are_no_blocks() {
        let good = block([1; 6]);
        assert!(find(&good[1..], 0).is_none());
        assert!(find(&good[..7], 0).is_none());
        assert!(find(&good, u32::MAX).is_none());
        let mut endless = good.clone();
        endless[4..8].copy_from_slice(&[0xFF; 4]);
        assert!(find(&endless, 0).is_none());
        let mut wild = good;
        wild[20..24].copy_from_slice(&[0xFF; 4]);
        assert_eq!(find(&wild, 0).unwrap().mac, None);
    }
}
