//! Checksums of a piece of a file, as firmware and people use them.

use crc::{CRC_16_ARC, CRC_16_CMS, CRC_16_IBM_3740, CRC_16_MODBUS, CRC_16_XMODEM, CRC_32_ISO_HDLC, Crc, Table};

use super::bytes::sha256_hex;
use super::tuya::cipher;

/// The CRC-16 variants shown, by the names people know. CMS is that of the chip's code blocks.
const CRC16: [(&str, Crc<u16, Table<1>>); 5] = [
    ("CMS", Crc::<u16, Table<1>>::new(&CRC_16_CMS)),
    ("CCITT", Crc::<u16, Table<1>>::new(&CRC_16_IBM_3740)),
    ("XMODEM", Crc::<u16, Table<1>>::new(&CRC_16_XMODEM)),
    ("ARC", Crc::<u16, Table<1>>::new(&CRC_16_ARC)),
    ("MODBUS", Crc::<u16, Table<1>>::new(&CRC_16_MODBUS)),
];

static CRC32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// The checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sums {
    /// CRC-16, by variant.
    pub crc16: Vec<(&'static str, u16)>,
    /// CRC-32 as in zip files and RBL headers.
    pub crc32: u32,
    /// The plain sum of all bytes, as in the Tuya store.
    pub sum: u32,
    /// SHA-256, 64 hex digits.
    pub sha256: String,
}

/// All checksums of `bytes`.
pub fn of(bytes: &[u8]) -> Sums {
    Sums {
        crc16: CRC16.iter().map(|(name, crc)| (*name, crc.checksum(bytes))).collect(),
        crc32: CRC32.checksum(bytes),
        sum: cipher::sum(bytes),
        sha256: sha256_hex(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_values_of_the_catalogue() {
        let sums = of(b"123456789");
        let expected = [("CMS", 0xAEE7), ("CCITT", 0x29B1), ("XMODEM", 0x31C3), ("ARC", 0xBB3D), ("MODBUS", 0x4B37)];
        assert_eq!(sums.crc16, expected);
        assert_eq!((sums.crc32, sums.sum), (0xCBF4_3926, 477));
        assert!(sums.sha256.starts_with("15e2b0d3c33891eb"));
        assert_eq!(of(b"").sum, 0);
    }
}
