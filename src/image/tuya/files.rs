//! The plain file area: an index sector, kept twice, and files that start at a sector each (formats.md §9).

use super::cipher;
use crate::image::bytes::{cut, text_to_nul, u32_le};
use crate::image::family::{FLASH_SIZE, Family};
use crate::units::SECTOR;

const SECTOR_LEN: usize = SECTOR as usize;
/// First word of an index sector.
pub const MAGIC: u32 = 0x9876_4321;
const HEADER: usize = 16;
const ENTRY: usize = 100;
/// Entries that fit into an index sector.
const MOST_FILES: usize = (SECTOR_LEN - HEADER) / ENTRY;

/// A file that the index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub size: u32,
    /// Number of its first sector within the area.
    pub sector: u32,
}

/// A file area that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileArea {
    /// File offset of the newest good index sector.
    pub offset: usize,
    /// Flash address of the area's first sector.
    pub start: u32,
    /// Whether the checksum of the index matches.
    pub good: bool,
    /// Counts up with every change.
    pub generation: u32,
    /// The files in the order of the index.
    pub files: Vec<File>,
}

impl FileArea {
    /// Flash address of a file's first byte (formats.md §9); on the T a second segment follows the eleventh sector.
    pub fn address_of(&self, file: &File) -> Option<u32> {
        let at = |start: u32, sector: u32| sector.checked_mul(SECTOR)?.checked_add(start).filter(|at| *at < FLASH_SIZE);
        match file.sector {
            sector if self.start == start_of(Family::Bk7231T) && sector >= 11 => at(0x1D_8000, sector - 11),
            sector => at(self.start, sector),
        }
    }
}

const fn start_of(family: Family) -> u32 {
    match family {
        Family::Bk7231N => 0x1D_2000,
        Family::Bk7231T | Family::Other => 0x1E_3000,
    }
}

/// The file area, with the newest of its index sectors. `flash_of` turns file offsets into flash addresses.
pub fn find(bytes: &[u8], first: usize, flash_of: impl Fn(usize) -> u32) -> Option<FileArea> {
    let indexes = (first..bytes.len()).step_by(SECTOR_LEN).filter_map(|offset| {
        let sector = bytes.get(offset..offset + SECTOR_LEN)?;
        if u32_le(sector, 0)? != MAGIC {
            return None;
        }
        let address = flash_of(offset);
        let starts = [Family::Bk7231T, Family::Bk7231N].map(start_of);
        let start = starts.into_iter().find(|start| address == *start || address == start + SECTOR).unwrap_or(address);
        Some(FileArea {
            offset,
            start,
            good: u32_le(sector, 4)? == cipher::sector_sum(sector),
            generation: u32_le(sector, 8)?,
            files: files(sector),
        })
    });
    // Of equals the first one.
    let indexes: Vec<FileArea> = indexes.collect();
    indexes.into_iter().rev().max_by_key(|area| (area.good, area.generation))
}

fn files(sector: &[u8]) -> Vec<File> {
    let count = sector.get(14..16).map_or(0, |count| usize::from(u16::from_le_bytes([count[0], count[1]])));
    let entries = cut(sector, HEADER, sector.len()).chunks_exact(ENTRY).take(count.min(MOST_FILES));
    let files = entries.filter_map(|entry| {
        let name = text_to_nul(cut(entry, 0, 32));
        let file = File { name, size: u32_le(entry, 32)?, sector: u32_le(entry, 36)? };
        (!file.name.is_empty()).then_some(file)
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(generation: u32, name: &str, size: u32, sector: u32) -> Vec<u8> {
        let mut bytes = vec![0; SECTOR_LEN];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&generation.to_le_bytes());
        bytes[14] = 1;
        bytes[16..16 + name.len()].copy_from_slice(name.as_bytes());
        bytes[48..52].copy_from_slice(&size.to_le_bytes());
        bytes[52..56].copy_from_slice(&sector.to_le_bytes());
        let sum = cipher::sector_sum(&bytes).to_le_bytes();
        bytes[4..8].copy_from_slice(&sum);
        bytes
    }

    #[test]
    fn the_newest_good_index_counts() {
        let mut damaged = index(9, "json", 1, 2);
        damaged[17] ^= 1;
        let bytes = [index(3, "old", 1, 2), index(4, "oem_cfg", 300, 12), damaged].concat();
        let found = find(&bytes, 0, |at| at as u32 + 0x1E_3000).unwrap();
        assert_eq!((found.offset, found.start, found.generation, found.good), (0x1000, 0x1E_3000, 4, true));
        assert_eq!(found.files[0].name, "oem_cfg");
        assert_eq!(found.address_of(&found.files[0]), Some(0x1D_9000));
    }

    #[test]
    fn a_sector_number_out_of_range_has_no_address() {
        let found = find(&index(1, "x", 1, u32::MAX), 0, |at| at as u32 + 0x1D_2000).unwrap();
        assert_eq!(found.address_of(&found.files[0]), None);
    }
}
