//! RBL headers: name, version and checksums of a container or of an over-the-air package (formats.md §5).

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use serde::Serialize;

use super::bytes::{Address, Word, text_to_nul, u32_le};
use super::code::{self, BLOCK, BlockState};

/// Bytes of a header.
pub const HEADER_LEN: usize = 96;
/// Bytes of a header in code blocks, CRCs included.
pub const HEADER_PACKED: usize = 102;
/// The first bytes of a header.
pub const MAGIC: &[u8; 4] = b"RBL\0";

static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);

/// A parsed header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RblHeader {
    /// Partition name: `bootloader` or `app`.
    pub name: String,
    /// Version text; garbage behind its NUL is dropped.
    pub version: String,
    /// Unix time in seconds.
    pub timestamp: u32,
    /// Encryption in the low byte (0 none, 1 XOR, 2 AES-256), compression in the high byte (0 none, 1 gzip, 2 QuickLZ,
    /// 3 FastLZ).
    pub algorithm: u16,
    /// Bytes of the content.
    pub raw_size: u32,
    /// Bytes of the content as stored.
    pub package_size: u32,
    /// CRC-32 of the stored content.
    pub data_crc32: Word,
    /// FNV-1a of the content.
    pub fnv1a: Word,
    /// Whether the header's own CRC-32 matches.
    pub header_crc_ok: bool,
    /// Offset of the header's first byte in the file or flash it was found in.
    pub offset: Address,
}

/// Reads the 96 bytes at the start of `header`; `offset` is only noted. `None` when the magic is missing or the bytes
/// end too early.
pub fn parse(header: &[u8], offset: u32) -> Option<RblHeader> {
    let header = header.get(..HEADER_LEN)?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    let word = |at| u32_le(header, at);
    Some(RblHeader {
        name: text_to_nul(&header[12..28]),
        version: text_to_nul(&header[28..52]),
        timestamp: word(8)?,
        algorithm: u16::from_le_bytes([header[4], header[5]]),
        raw_size: word(84)?,
        package_size: word(88)?,
        data_crc32: Word(word(76)?),
        fnv1a: Word(word(80)?),
        header_crc_ok: word(92)? == CRC.checksum(&header[..92]),
        offset: Address(offset),
    })
}

/// What stands where a container's header is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Erased flash, or no such place: nobody wrote a header.
    Nothing,
    /// Bytes that are no header, or a header in blocks whose CRC does not match.
    Damaged,
    /// A header; its own CRC may still be wrong.
    Header(Box<RblHeader>),
}

/// Reads the header at flash offset `at`, three code blocks that need not be on the container's grid.
pub fn at_place(flash: &[u8], at: u32) -> Place {
    let Some(blocks) = flash.get(at as usize..).and_then(|rest| rest.get(..HEADER_PACKED)) else {
        return Place::Nothing;
    };
    let states: Vec<BlockState> = blocks.chunks_exact(BLOCK).map(code::block_state).collect();
    if states.iter().all(|state| *state == BlockState::Erased) {
        return Place::Nothing;
    }
    match parse(&code::strip(blocks), at) {
        Some(header) if states.iter().all(|state| *state == BlockState::Good) => Place::Header(Box::new(header)),
        _ => Place::Damaged,
    }
}

impl RblHeader {
    /// Whether the content in flash matches both checksums. `container` holds the code blocks from the container's
    /// first byte; `None` when it ends before the content does. The difference between package and raw size is
    /// filled with bytes of that number.
    pub fn container_matches(&self, container: &[u8]) -> Option<bool> {
        let blocks = (self.raw_size as usize).div_ceil(code::BLOCK_CODE).checked_mul(BLOCK)?;
        let mut raw = code::strip(container.get(..blocks)?);
        raw.truncate(self.raw_size as usize);
        let fill = self.package_size.checked_sub(self.raw_size).filter(|fill| *fill <= 0xFF);
        let Some(fill) = fill else { return Some(false) };
        let fnv = fnv1a(&raw);
        raw.extend(std::iter::repeat_n(fill as u8, fill as usize));
        Some(CRC.checksum(&raw) == self.data_crc32.0 && fnv == self.fnv1a.0)
    }

    /// Whether the package that follows the header of an over-the-air file matches its CRC-32; `None` when the file
    /// ends before the package does.
    pub fn package_matches(&self, after_header: &[u8]) -> Option<bool> {
        let package = after_header.get(..self.package_size as usize)?;
        Some(CRC.checksum(package) == self.data_crc32.0)
    }
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A header in the layout of formats.md §5 for `raw`, in the flash form (package rounded up to 32).
    pub(crate) fn header_for(name: &str, version: &str, raw: &[u8]) -> Vec<u8> {
        let package = raw.len().next_multiple_of(32);
        let fill = package - raw.len();
        let mut body = raw.to_vec();
        body.extend(std::iter::repeat_n(fill as u8, fill));
        let mut header = vec![0; 96];
        header[..4].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&1_600_000_000u32.to_le_bytes());
        header[12..12 + name.len()].copy_from_slice(name.as_bytes());
        header[28..28 + version.len()].copy_from_slice(version.as_bytes());
        header[76..80].copy_from_slice(&CRC.checksum(&body).to_le_bytes());
        header[80..84].copy_from_slice(&fnv1a(raw).to_le_bytes());
        header[84..88].copy_from_slice(&(raw.len() as u32).to_le_bytes());
        header[88..92].copy_from_slice(&(package as u32).to_le_bytes());
        let crc = CRC.checksum(&header[..92]);
        header[92..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    #[test]
    fn a_header_is_read_and_its_container_checked() {
        let raw: Vec<u8> = (0..80).collect();
        let mut header = header_for("app", "1.00", &raw);
        header[33..40].copy_from_slice(b"garbage");
        let crc = CRC.checksum(&header[..92]);
        header[92..].copy_from_slice(&crc.to_le_bytes());
        let parsed = parse(&header, 0x129F0A).unwrap();
        assert_eq!((parsed.name.as_str(), parsed.version.as_str()), ("app", "1.00"));
        assert!(parsed.header_crc_ok);
        assert_eq!((parsed.raw_size, parsed.package_size), (80, 96));

        let mut container = code::pack(&raw);
        assert_eq!(parsed.container_matches(&container), Some(true));
        container[3] ^= 1;
        assert_eq!(parsed.container_matches(&container), Some(false));
        assert_eq!(parsed.container_matches(&container[..40]), None);
    }

    #[test]
    fn a_place_is_empty_damaged_or_holds_a_header() {
        let header = header_for("bootloader", "1.00", &[1, 2, 3]);
        let mut flash = vec![0xFF; 7];
        flash.extend(code::pack(&header));
        assert!(matches!(at_place(&flash, 7), Place::Header(found) if found.offset == Address(7)));
        assert_eq!(at_place(&flash, 8), Place::Nothing, "cut off");
        flash[20] ^= 4;
        assert_eq!(at_place(&flash, 7), Place::Damaged);
        assert_eq!(at_place(&[0xFF; 102], 0), Place::Nothing);
        assert_eq!(at_place(&[], u32::MAX), Place::Nothing);
    }

    #[test]
    fn a_changed_header_fails_its_own_crc() {
        let mut header = header_for("app", "1.00", &[0; 32]);
        header[30] ^= 1;
        assert!(!parse(&header, 0).unwrap().header_crc_ok);
        assert_eq!(parse(&header[1..], 0), None);
    }

    #[test]
    fn absurd_sizes_are_refused_without_reading_them() {
        let mut header = header_for("app", "1.00", &[0; 32]);
        header[84..92].copy_from_slice(&[0xFF; 8]);
        let parsed = parse(&header, 0).unwrap();
        assert_eq!(parsed.container_matches(&[0; 68]), None);
        assert_eq!(parsed.package_matches(&[0; 68]), None);
    }
}
