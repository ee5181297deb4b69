//! How file offsets and flash addresses belong together in dumps, rotated dumps and parts of dumps.

use crate::image::family::{FLASH_SIZE, TUYA_STORE};
use crate::image::kind::Kind;
use crate::units::SECTOR;

/// The flash address of file offset 0, and how far the file reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashMap {
    base: usize,
    len: usize,
    wraps: bool,
}

impl FlashMap {
    /// The map of a file of `len` bytes. Where its kind does not tell, the place of the store's key block does: it
    /// always stands at the same flash address.
    pub fn new(len: usize, kind: Kind, key_block: Option<usize>) -> Self {
        let flash_size = FLASH_SIZE as usize;
        let by_store = |offset: usize| (TUYA_STORE as usize + flash_size).wrapping_sub(offset) % flash_size;
        let base = match (kind, key_block) {
            (Kind::RotatedDump, _) => kind.rotation() as usize,
            (Kind::Dump | Kind::Qio, _) => 0,
            (_, Some(offset)) if len <= flash_size && offset < flash_size => by_store(offset),
            (_, _) => kind.natural_address().unwrap_or(0) as usize,
        };
        Self { base, len, wraps: len <= flash_size }
    }

    /// Flash address of a file offset.
    pub const fn address(&self, offset: usize) -> u32 {
        let address = self.base + offset;
        (if self.wraps { address % FLASH_SIZE as usize } else { address }) as u32
    }

    /// File offset of a flash address; `None` when the file does not hold it.
    pub fn offset(&self, address: u32) -> Option<usize> {
        let offset = match (address as usize).checked_sub(self.base) {
            Some(offset) => offset,
            None if self.wraps => address as usize + FLASH_SIZE as usize - self.base,
            None => return None,
        };
        (offset < self.len).then_some(offset)
    }

    /// File offset of the first whole sector.
    pub const fn first_sector(&self) -> usize {
        (SECTOR as usize - self.base % SECTOR as usize) % SECTOR as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_maps_both_ways() {
        let rotated = FlashMap::new(0x20_0000, Kind::RotatedDump, Some(0x1D_D000));
        assert_eq!((rotated.address(0), rotated.offset(0)), (0x11000, Some(0x1E_F000)));
        assert_eq!(rotated.address(0x1D_D000), TUYA_STORE);
        let config = FlashMap::new(0x12000, Kind::ConfigOnly, Some(0));
        assert_eq!((config.address(0), config.offset(TUYA_STORE)), (TUYA_STORE, Some(0)));
        assert_eq!(config.offset(0x1D_1000), None);
        let part = FlashMap::new(0x30123, Kind::Unknown, Some(0x1123));
        assert_eq!(part.address(0x1123), TUYA_STORE);
        assert_eq!((part.first_sector(), part.offset(0x1E_D000)), (0x123, Some(0x123)));
        let large = FlashMap::new(0x40_0000, Kind::Dump, None);
        assert_eq!(large.offset(0x30_0000), Some(0x30_0000));
    }
}
