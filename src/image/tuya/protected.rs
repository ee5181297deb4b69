//! Protected blocks: a second, twice encrypted copy of `gw_bi` and `gw_wsm` in a sector of its own (formats.md §9).

use super::cipher::{self, KEY_MAGIC, MASTER_KEY};
use crate::image::bytes::{cut, u32_le};
use crate::units::SECTOR;

const SECTOR_LEN: usize = SECTOR as usize;
/// Bytes of a block in front of the twice encrypted part.
pub const HEADER_LEN: usize = 32;
/// Bytes of an entry in front of its value: length and name.
const ENTRY_HEADER: usize = 36;

/// A protected block, decrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Protected {
    /// File offset.
    pub offset: usize,
    /// Key the inner layer's key is made from.
    pub key: [u8; 16],
    /// Whether the checksum over the sector matches.
    pub good: bool,
    /// The twice encrypted part, plain.
    pub plain: Vec<u8>,
    /// Name and place in [`Self::plain`] of every value.
    pub entries: Vec<(String, std::ops::Range<usize>)>,
}

impl Protected {
    /// The inner layer's key.
    pub fn data_key(&self) -> [u8; 16] {
        cipher::data_key(&self.key)
    }

    /// The sector as it stands in flash, for the plain part as it is now.
    pub fn sealed(&self, sector: &[u8]) -> Vec<u8> {
        let mut outer = cipher::decrypt(&MASTER_KEY, sector);
        outer.truncate(HEADER_LEN);
        outer.extend(cipher::encrypt(&self.data_key(), &self.plain));
        let sum = cipher::sector_sum(&outer).to_le_bytes();
        outer[4..8].copy_from_slice(&sum);
        cipher::encrypt(&MASTER_KEY, &outer)
    }
}

/// Every protected block whose sector starts a multiple of 4 KiB behind `first`, which is below 4 KiB.
pub fn find_all(bytes: &[u8], first: usize) -> Vec<Protected> {
    (first..bytes.len()).step_by(SECTOR_LEN).filter_map(|offset| read(bytes, offset)).collect()
}

fn read(bytes: &[u8], offset: usize) -> Option<Protected> {
    let sector = bytes.get(offset..offset.checked_add(SECTOR_LEN)?)?;
    if u32_le(&cipher::decrypt(&MASTER_KEY, &sector[..16]), 0)? != KEY_MAGIC {
        return None;
    }
    let outer = cipher::decrypt(&MASTER_KEY, sector);
    let key = *outer.get(8..)?.first_chunk::<16>()?;
    let stored = u32_le(&outer, 4)?;
    if stored == cipher::sum(&key) {
        return None;
    }
    let plain = cipher::decrypt(&cipher::data_key(&key), cut(&outer, HEADER_LEN, SECTOR_LEN));
    let entries = entries(&plain, u32_le(&outer, 24)? as usize);
    let good = stored == cipher::sector_sum(&outer);
    (good || !entries.is_empty()).then_some(Protected { offset, key, good, plain, entries })
}

fn entries(plain: &[u8], len: usize) -> Vec<(String, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + ENTRY_HEADER <= len.min(plain.len()) {
        let Some(value_len) = u32_le(plain, at) else { break };
        let start = at + ENTRY_HEADER;
        let end = start.saturating_add(value_len as usize);
        let name = cut(plain, at + 4, start).split(|byte| *byte == 0).next().unwrap_or(&[]);
        let printable = !name.is_empty() && name.iter().all(|byte| (0x21..0x7F).contains(byte));
        if value_len == 0 || end > plain.len() || !printable {
            break;
        }
        found.push((String::from_utf8_lossy(name).into_owned(), start..end));
        at = end;
    }
    found
}
