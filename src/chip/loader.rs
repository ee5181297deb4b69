//! Boot loaders and chips that answer over UART (uart-protocol.md §1, §11).

/// The chip id registers, most common first; the second and third are asked only when the first gives nothing known.
pub const CHIP_ID_REGISTERS: [u32; 3] = [0x0080_0000, 0x4401_0004, 0x3401_0004];

/// Chips by the value of their id register.
const CHIPS: [(u32, &str); 4] = [
    (0x0007_231C, "BK7231N or BK7231M"),
    (0x0000_7238, "BK7238"),
    (0x0007_252A, "BK7252N"),
    (0x0000_7236, "BK7236 or BK7258"),
];

/// Loaders by the zlib CRC of their first 256 bytes; of the first 257 where the table says so (a full-dialect chip
/// asked by a tool that did not know its dialect yet).
const LOADERS: [(u32, u32, &str); 12] = [
    (0xE141_91BA, 257, "BK7231N 1.0.1"),
    (0xC1EC_A871, 256, "BK7231T 1.0.1"),
    (0x4B31_E44D, 256, "BK7231T 1.0.3"),
    (0xBA54_C1B8, 256, "BK7231T 1.0.5"),
    (0xE5CB_C953, 256, "BK7231T 1.0.6"),
    (0x2739_019F, 256, "BK7231U 1.0.6"),
    (0xF023_1EF6, 256, "BK7231Q"),
    (0xFF5A_3EAC, 256, "BK7231Q"),
    (0x39F9_B50C, 256, "BK7252 0.1.3"),
    (0xE3A2_7C26, 256, "BK7252 SDK"),
    (0xF42F_8C32, 257, "BK7238 T1 2.0.0"),
    (0x6BEB_0924, 257, "BK7238 1.0.14"),
];

/// The chip with this id register value.
pub fn chip_by_id(id: u32) -> Option<&'static str> {
    CHIPS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}

/// The loader whose first `len` bytes have this CRC in zlib form. Loaders outside the table are common.
pub fn loader_by_crc(zlib: u32, len: u32) -> Option<&'static str> {
    LOADERS.iter().find(|(crc, bytes, _)| (*crc, *bytes) == (zlib, len)).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_is_known_by_crc_and_length() {
        assert_eq!(loader_by_crc(!0x45AB_3E47, 256), Some("BK7231T 1.0.5"), "the value of the recorded exchange");
        assert_eq!(loader_by_crc(0xE141_91BA, 257), Some("BK7231N 1.0.1"));
        assert_eq!(loader_by_crc(0xE141_91BA, 256), None);
        assert_eq!(chip_by_id(0x7231C), Some("BK7231N or BK7231M"));
    }
}
