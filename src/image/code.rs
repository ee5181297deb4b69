//! Code as it stands in flash: 34-byte CRC blocks (formats.md §3) of words encrypted by their address (§4).

use crc::{CRC_16_CMS, Crc, Table};

use super::bytes::{all, u32_le};
use super::family::BOOT_LOADER_LEN;

/// Bytes of a code block in flash: 32 bytes of code and a CRC.
pub const BLOCK: usize = 34;
/// Bytes of code in a block.
pub const BLOCK_CODE: usize = 32;
/// Logical address of the first byte of the application (formats.md §1).
pub const APP_LOGICAL: u32 = 0x10000;
/// The second instruction of every boot loader and application, before encryption: the reset vector's neighbour
/// (formats.md §4 and §6).
pub const VECTOR: u32 = 0xE59F_F014;

static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_CMS);

/// The CRC of a block's 32 bytes; it follows them in flash, big-endian.
pub fn block_crc(code: &[u8]) -> u16 {
    CRC.checksum(code)
}

/// What one 34-byte block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// The CRC matches.
    Good,
    /// The CRC does not match, or the block is cut off.
    Bad,
    /// 34 bytes of 0xFF.
    Erased,
}

/// Judges one block of 34 bytes.
pub fn block_state(block: &[u8]) -> BlockState {
    match block.split_at_checked(BLOCK_CODE) {
        Some((code, crc)) if crc == block_crc(code).to_be_bytes() => BlockState::Good,
        Some((_, crc)) if crc.len() == 2 && all(block, 0xFF) => BlockState::Erased,
        _ => BlockState::Bad,
    }
}

/// How many blocks of a container are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BlockStats {
    /// Blocks whose CRC matches.
    pub good: u32,
    /// Blocks whose CRC does not match.
    pub bad: u32,
    /// Erased blocks.
    pub erased: u32,
    /// Offset of the first bad block from the container's first byte; its block number is this divided by 34.
    pub first_bad: Option<u32>,
}

impl BlockStats {
    fn add(&mut self, number: usize, state: BlockState) {
        match state {
            BlockState::Good => self.good += 1,
            BlockState::Erased => self.erased += 1,
            BlockState::Bad => {
                self.bad += 1;
                self.first_bad.get_or_insert((number * BLOCK) as u32);
            }
        }
    }
}

/// Counts all whole blocks of `container`; its first byte starts the grid.
pub fn count_blocks(container: &[u8]) -> BlockStats {
    let mut stats = BlockStats::default();
    for (number, block) in container.chunks_exact(BLOCK).enumerate() {
        stats.add(number, block_state(block));
    }
    stats
}

/// Counts the blocks from the start of `container` up to the first erased one, where the code ends. Bad blocks do
/// not end it, so that a damaged byte in the middle is told apart from the end.
pub fn count_code(container: &[u8]) -> BlockStats {
    let mut stats = BlockStats::default();
    for (number, block) in container.chunks_exact(BLOCK).enumerate() {
        match block_state(block) {
            BlockState::Erased => break,
            state => stats.add(number, state),
        }
    }
    stats
}

/// Takes the CRCs out: the 32 bytes of every whole block, checked or not.
pub fn strip(container: &[u8]) -> Vec<u8> {
    container.chunks_exact(BLOCK).flat_map(|block| &block[..BLOCK_CODE]).copied().collect()
}

/// Puts the CRCs in: the form that stands in flash. The last block is filled up with 0xFF.
pub fn pack(code: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(code.len().div_ceil(BLOCK_CODE) * BLOCK);
    for piece in code.chunks(BLOCK_CODE) {
        let mut block = [0xFF; BLOCK_CODE];
        block[..piece.len()].copy_from_slice(piece);
        packed.extend_from_slice(&block);
        packed.extend_from_slice(&block_crc(&block).to_be_bytes());
    }
    packed
}

/// The four coefficients a chip's code is encrypted with (formats.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodeKey(pub [u32; 4]);

impl CodeKey {
    /// The default of Tuya and Beken, on both T and N.
    pub const TUYA: Self = Self([0x510F_B093, 0xA3CB_EADC, 0x5993_A17E, 0xC7AD_EB03]);
    /// No encryption: BK7231M, U, 7238, 7252.
    pub const NONE: Self = Self([0; 4]);
    /// N devices of one maker; from public tools, not seen by us.
    pub const UASCENT: Self = Self([0x4862_379A, 0x8612_784B, 0x85C5_E258, 0x7575_4528]);
    /// Every key known, the common ones first.
    pub const KNOWN: [Self; 3] = [Self::TUYA, Self::NONE, Self::UASCENT];

    /// A name for people; JSON carries it under `encryption`, coefficients included.
    pub fn name(&self) -> String {
        let [c0, c1, c2, c3] = self.0;
        let kind = match *self {
            Self::NONE => return "none".to_owned(),
            Self::TUYA => "tuya/beken default",
            Self::UASCENT => "uascent",
            _ => "other",
        };
        format!("{kind} coefficients {c0:08x} {c1:08x} {c2:08x} {c3:08x}")
    }

    /// Whether code stays as it is.
    pub const fn is_none(&self) -> bool {
        let c3 = self.0[3];
        matches!((c3 >> 24) as u8, 0x00 | 0xFF) || c3 & 0xF == 0xF
    }

    /// The word that the word at logical address `at` is XOR-ed with.
    pub const fn keystream(&self, at: u32) -> u32 {
        if self.is_none() {
            return 0;
        }
        let [c0, c1, c2, c3] = self.0;
        let mut word = 0;
        if c3 & 1 == 0 {
            word ^= pn15(at, c1, c3) << 16;
        }
        if c3 & 2 == 0 {
            word ^= pn16(at, c1, c3);
        }
        if c3 & 4 == 0 {
            word ^= pn32(at, c0, c3);
        }
        if c3 & 8 == 0 {
            word ^= c2;
        }
        word
    }

    /// Encrypts or decrypts `code` in place; its first byte has the logical address `at`, a multiple of 4. A last
    /// piece shorter than a word stays as it is.
    pub fn apply(&self, code: &mut [u8], at: u32) {
        if self.is_none() {
            return;
        }
        for (number, word) in code.chunks_exact_mut(4).enumerate() {
            let stream = self.keystream(at.wrapping_add(number as u32 * 4)).to_le_bytes();
            for (byte, key) in word.iter_mut().zip(stream) {
                *byte ^= key;
            }
        }
    }
}

/// One nibble in every nibble of a 32-bit word.
const fn repeated(nibble: u32) -> u32 {
    nibble * 0x1111_1111
}

const fn pn15(at: u32, c1: u32, c3: u32) -> u32 {
    let high = (at >> 16) as u16;
    let low = at as u16;
    let high = if c3 & 0x40 != 0 { high.swap_bytes() } else { high };
    let low = if c3 & 0x20 != 0 { low.swap_bytes() } else { low };
    let input = high ^ low ^ (c1 >> 16) as u16;
    let mask = repeated((input as u32 >> 5) & 0xF) as u16;
    (input.rotate_left(9) ^ (0x6371 & mask)) as u32
}

const fn pn16(at: u32, c1: u32, c3: u32) -> u32 {
    let key = ((c1 >> 8) & 0xFF) << 9 | ((c3 >> 4) & 1) << 8 | (c1 & 0xFF);
    let input = ((at >> ((c3 >> 8) & 3)) & 0x1_FFFF) ^ key;
    let nibble = (input >> 1 & 1) << 3 | (input >> 5 & 1) << 2 | (input >> 9 & 1) << 1 | (input >> 13 & 1);
    let mask = (input >> 4 & 1) << 16 | (repeated(nibble) & 0xFFFF);
    (((input & 0x3FF) << 7 | input >> 10) ^ (0x1_3659 & mask)) & 0xFFFF
}

const fn pn32(at: u32, c0: u32, c3: u32) -> u32 {
    let input = at.rotate_right(8 * ((c3 >> 11) & 3)) ^ c0;
    input.rotate_left(17) ^ (0xE519_A4F1 & repeated((input >> 2) & 0xF))
}

/// Which known key makes the code at the start of `container` begin like the program whose first byte has the
/// logical address `at`: 0 for a boot loader, [`APP_LOGICAL`] for an application. Without encryption the two look
/// alike, and the first block's CRC must be good, or it is linker output.
pub fn key_of(container: &[u8], at: u32) -> Option<CodeKey> {
    let vector = u32_le(container, 4)?;
    let crc_good = container.get(..BLOCK).is_some_and(|block| block_state(block) == BlockState::Good);
    CodeKey::KNOWN
        .into_iter()
        .find(|key| vector ^ key.keystream(at.wrapping_add(4)) == VECTOR && (crc_good || !key.is_none()))
}

/// The key of the chip a flash was read from, by trial on its boot loader, else on its application.
pub fn key_of_flash(flash: &[u8]) -> Option<CodeKey> {
    let app = flash.get(BOOT_LOADER_LEN as usize..).unwrap_or(&[]);
    key_of(flash, 0).or_else(|| key_of(app, APP_LOGICAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_crcs_have_the_documented_values() {
        assert_eq!(block_crc(b"123456789"), 0xAEE7);
        assert_eq!(block_crc(&[0; 32]), 0x8029);
        assert_eq!(block_crc(&[0xFF; 32]), 0x000C);
    }

    #[test]
    fn the_default_keystream_has_the_documented_words() {
        let documented = [
            (0, 0x7CB5_0721),
            (4, 0x7CB5_0F21),
            (0x100, 0x7CB7_0721),
            (0x10000, 0x7EB5_0721),
            (0x10004, 0x7EB5_0F21),
            (0x11_86FC, 0x5EA9_FF30),
        ];
        for (at, word) in documented {
            assert_eq!(CodeKey::TUYA.keystream(at), word, "at {at:#X}");
        }
    }

    #[test]
    fn the_vector_word_is_encrypted_to_the_documented_bytes() {
        let encrypted = |key: CodeKey, at: u32| (VECTOR ^ key.keystream(at)).to_le_bytes();
        assert_eq!(encrypted(CodeKey::TUYA, 4), [0x35, 0xFF, 0x2A, 0x99]);
        assert_eq!(encrypted(CodeKey::TUYA, 0x10004), [0x35, 0xFF, 0x2A, 0x9B]);
        assert_eq!(encrypted(CodeKey::UASCENT, 4), [0x0C, 0x70, 0xB6, 0xCA]);
        assert_eq!(encrypted(CodeKey::UASCENT, 0x10004), [0x2E, 0x70, 0xB6, 0xC8]);
        assert_eq!(encrypted(CodeKey::NONE, 4), [0x14, 0xF0, 0x9F, 0xE5]);
    }

    #[test]
    fn a_key_with_the_bypass_marks_changes_nothing() {
        for c3 in [0x00AD_EB00, 0xFFAD_EB00, 0x12AD_EB0F] {
            assert!(CodeKey([1, 2, 3, c3]).is_none(), "{c3:08X}");
            assert_eq!(CodeKey([1, 2, 3, c3]).keystream(0x1234), 0);
        }
        assert!(!CodeKey::TUYA.is_none());
    }

    #[test]
    fn packing_adds_crcs_and_stripping_takes_them_out() {
        let code: Vec<u8> = (0..64).collect();
        let packed = pack(&code);
        assert_eq!(packed.len(), 68);
        assert_eq!(strip(&packed), code);
        assert_eq!(count_blocks(&packed), BlockStats { good: 2, ..BlockStats::default() });
        assert_eq!(pack(&code[..33]).len(), 68);
    }

    #[test]
    fn a_flipped_bit_names_its_block_and_erased_blocks_end_the_code() {
        let mut flash = pack(&[7; 96]);
        flash.extend([0xFF; 34]);
        flash.extend(pack(&[9; 32]));
        flash[34 + 5] ^= 0x10;
        assert_eq!(count_code(&flash), BlockStats { good: 2, bad: 1, erased: 0, first_bad: Some(34) });
        assert_eq!(count_blocks(&flash), BlockStats { good: 3, bad: 1, erased: 1, first_bad: Some(34) });
    }

    #[test]
    fn a_short_block_is_bad() {
        assert_eq!(block_state(&[0xFF; 33]), BlockState::Bad);
        assert_eq!(block_state(&[0xFF; 32]), BlockState::Bad);
        assert_eq!(block_state(&[]), BlockState::Bad);
    }

    #[test]
    fn trial_decryption_tells_the_key_and_where_the_code_belongs() {
        for key in CodeKey::KNOWN {
            for at in [0, APP_LOGICAL] {
                let mut code = [VECTOR.to_le_bytes(); 16].concat();
                key.apply(&mut code, at);
                let packed = pack(&code);
                assert_eq!(key_of(&packed, at), Some(key));
                if !key.is_none() {
                    assert_eq!(key_of(&packed, at ^ APP_LOGICAL), None);
                }
            }
        }
        assert_eq!(key_of(&VECTOR.to_le_bytes().repeat(9), 0), None, "linker output has no CRCs");
    }

    #[test]
    fn a_flash_without_its_boot_loader_still_tells_its_key() {
        let mut code = VECTOR.to_le_bytes().repeat(8);
        CodeKey::TUYA.apply(&mut code, APP_LOGICAL);
        let flash = [vec![0xFF; 0x11000], pack(&code)].concat();
        assert_eq!(key_of_flash(&flash), Some(CodeKey::TUYA));
        assert_eq!(key_of_flash(&[0xFF; 99]), None);
    }

    #[test]
    fn encrypting_twice_gives_the_code_back() {
        let code: Vec<u8> = (0..=255).collect();
        let mut twice = code.clone();
        CodeKey::UASCENT.apply(&mut twice, 0x10000);
        assert_ne!(twice, code);
        CodeKey::UASCENT.apply(&mut twice, 0x10000);
        assert_eq!(twice, code);
    }
}
