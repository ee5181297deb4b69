//! The check sums of the chip and of its firmware containers.

/// CRC-32 as the chip computes it: reflected, all ones at the start, no inversion at the end (uart-protocol.md §9).
/// `crc` is the value so far.
pub(super) fn crc32(crc: u32, bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(crc, |crc, byte| CRC32_TABLE[((crc ^ u32::from(byte)) & 0xFF) as usize] ^ crc >> 8)
}

/// The value [`crc32`] starts with.
pub(super) const CRC32_START: u32 = 0xFFFF_FFFF;

const CRC32_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// CRC-16 over the 32 bytes of a code block (formats.md §3).
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_gives_the_published_values() {
        assert_eq!(crc32(CRC32_START, *b"123456789"), 0x340B_C6D9);
        assert_eq!(crc32(CRC32_START, vec![0xFF; 256]), 0x0157_57DE);
        assert_eq!(crc32(CRC32_START, vec![0xFF; 4096]), 0x0EAB_98F5);
    }

    #[test]
    fn crc16_gives_the_published_values() {
        assert_eq!(crc16(b"123456789"), 0xAEE7);
        assert_eq!(crc16(&[0; 32]), 0x8029);
        assert_eq!(crc16(&[0xFF; 32]), 0x000C);
    }
}
