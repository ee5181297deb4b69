//! The boot loader container: version text, partition table and header (formats.md §1, §5 and §6).

use memchr::memmem;
use serde::Serialize;

use super::bytes::{Address, Word, cut, grow, text_to_nul, u32_le};
use super::code::{self, BlockStats, CodeKey};
use super::family::BOOT_LOADER_LEN;
use super::rbl::{self, Place};

/// Flash offset of the header in T and N boot loaders.
pub const HEADER: u32 = 0x1_0F9A;
/// Flash offset of the header in the boot loaders of U, 7238 and 7252.
pub const HEADER_OTHER: u32 = 0xFE9A;
/// Flash offset at which N boot loaders keep their name unencrypted.
const PLAIN_NAME: usize = 0x110;

/// One entry of the partition table (RT-Thread FAL).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// `bootloader`, `app` or `download`.
    pub name: String,
    /// `beken_onchip_crc` for logical, `beken_onchip` for physical addresses.
    pub device: String,
    /// Address of the first byte.
    pub offset: Address,
    /// Length in bytes.
    pub length: Address,
}

/// A boot loader that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootLoader {
    /// The key its code is encrypted with.
    pub key: CodeKey,
    /// The first word as it stands in flash.
    pub first_word: Word,
    /// Version text, such as `BK7231S_1.0.5`.
    pub version: Option<String>,
    /// The container's code blocks.
    pub blocks: BlockStats,
    /// What stands in the header's place.
    pub header: Place,
    /// The partition table; empty when there is none.
    pub partitions: Vec<Partition>,
    /// Whether the name `BK7231` stands unencrypted in the place where the N has it.
    pub plain_name: bool,
}

impl BootLoader {
    /// Offset of the download partition.
    pub fn download(&self) -> Option<Address> {
        self.partitions.iter().find(|partition| partition.name == "download").map(|partition| partition.offset)
    }
}

/// Reads the boot loader at the start of `flash`; `None` when no known key opens one there.
pub fn read(flash: &[u8]) -> Option<BootLoader> {
    let container = cut(flash, 0, BOOT_LOADER_LEN as usize);
    let key = code::key_of(container, 0)?;
    let stripped = code::strip(container);
    let partitions = partitions(&stripped);
    let mut plain = stripped;
    key.apply(&mut plain, 0);
    let header = match rbl::at_place(container, HEADER) {
        Place::Header(header) => Place::Header(header),
        usual => match rbl::at_place(container, HEADER_OTHER) {
            Place::Header(header) => Place::Header(header),
            _ => usual,
        },
    };
    Some(BootLoader {
        key,
        first_word: Word(u32_le(container, 0)?),
        version: version(&plain),
        blocks: code::count_blocks(container),
        header,
        partitions,
        plain_name: !key.is_none() && cut(container, PLAIN_NAME, PLAIN_NAME + 8) == b"BK7231\0\0",
    })
}

/// Looks for a text of the form `BK7231S_1.0.5` in the decrypted code.
fn version(plain: &[u8]) -> Option<String> {
    memmem::find_iter(plain, b"BK72").find_map(|at| {
        let end = grow(plain, at, 24, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).end;
        let (chip, number) = std::str::from_utf8(&plain[at..end]).ok()?.split_once('_')?;
        let numbered = number.split('.').count() >= 2
            && number.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        numbered.then(|| format!("{chip}_{number}"))
    })
}

/// Reads the partition table out of the stripped container; it is never encrypted.
fn partitions(stripped: &[u8]) -> Vec<Partition> {
    const MAGIC: &[u8; 4] = b"01PE";
    // The loaders of other chips have the same four letters in a text.
    let is_entry = |entry: &[u8]| entry.starts_with(MAGIC) && cut(entry, 28, 52).starts_with(b"beken_onchip");
    let table = memmem::find_iter(stripped, MAGIC).map(|at| &stripped[at..]).find(|table| is_entry(table));
    table
        .unwrap_or_default()
        .chunks_exact(64)
        .take_while(|entry| is_entry(entry))
        .filter_map(|entry| {
            Some(Partition {
                name: text_to_nul(&entry[4..28]),
                device: text_to_nul(&entry[28..52]),
                offset: Address(u32_le(entry, 52)?),
                length: Address(u32_le(entry, 56)?),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_texts_need_their_full_form() {
        assert_eq!(version(b"\0BK7231S_1.0.5\0"), Some("BK7231S_1.0.5".into()));
        assert_eq!(version(b"BK7231 BK7231_ BK7231N_x.y BK7231N_1..0 BK7231N_1.0.1"), Some("BK7231N_1.0.1".into()));
        assert_eq!(version(b"BK7231_2M"), None);
    }

    #[test]
    fn the_partition_table_ends_with_its_last_entry() {
        let mut entry = b"01PEdownload".to_vec();
        entry.resize(28, 0);
        entry.extend(b"beken_onchip");
        entry.resize(52, 0);
        entry.extend(0x12_A000u32.to_le_bytes());
        entry.extend(0xA_6000u32.to_le_bytes());
        entry.extend([0; 4]);
        let table = [&[0u8; 10][..], &entry, &[0; 64], &entry].concat();
        let found = partitions(&table);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].offset), ("download", Address(0x12_A000)));
    }
}
