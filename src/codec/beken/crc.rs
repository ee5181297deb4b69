//! The CRC the chip computes over its flash (uart-protocol.md §9): CRC-32/JAMCRC, the complement of the zlib value.

use crc::{CRC_32_JAMCRC, Crc, Table};

const JAMCRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_JAMCRC);

/// The value the chip gives for these bytes.
pub fn chip_crc(bytes: &[u8]) -> u32 {
    JAMCRC.checksum(bytes)
}

/// The zlib value that belongs to a chip value, and the other way round: they are complements.
pub const fn zlib_of(chip: u32) -> u32 {
    !chip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_algorithm_comes_out() {
        assert_eq!(chip_crc(b"123456789"), 0x340B_C6D9);
        assert_eq!(zlib_of(chip_crc(b"123456789")), 0xCBF4_3926);
        assert_eq!(chip_crc(&[]), 0xFFFF_FFFF);
    }

    #[test]
    fn erased_flash_has_the_known_values() {
        for (len, chip) in [
            (256, 0x0157_57DE),
            (4096, 0x0EAB_98F5),
            (32768, 0xE4BC_1542),
            (65536, 0x2154_81B1),
            (0x10_0000, 0x6A94_538B),
            (0x20_0000, 0x65BE_F61A),
        ] {
            assert_eq!(chip_crc(&vec![0xFF; len]), chip, "{len} bytes");
        }
    }
}
