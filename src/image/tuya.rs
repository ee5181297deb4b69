//! Recognising the Tuya store, which stands encrypted sector by sector in the flash (formats.md §8).

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, KeyInit};

/// The key of every key block.
const MASTER_KEY: &[u8; 16] = b"qwertyuiopasdfgh";
/// First word of a decrypted key block or protected block.
const KEY_BLOCK: [u8; 4] = 0x1357_9753_u32.to_le_bytes();

/// Whether `sector` starts like a key block or a protected block of the store.
pub fn is_key_block(sector: &[u8]) -> bool {
    let Some(first) = sector.first_chunk::<16>() else { return false };
    let mut block = (*first).into();
    Aes128::new(MASTER_KEY.into()).decrypt_block(&mut block);
    block.starts_with(&KEY_BLOCK)
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockCipherEncrypt;

    use super::*;

    fn encrypted(plain: [u8; 16]) -> [u8; 16] {
        let mut block = plain.into();
        Aes128::new(MASTER_KEY.into()).encrypt_block(&mut block);
        block.into()
    }

    #[test]
    fn the_documented_cipher_text_of_erased_bytes_comes_out() {
        let documented = [0x46DC_ED0E_u32, 0x672F_3B70, 0xAE12_76A3, 0xF871_2E03];
        assert_eq!(encrypted([0xFF; 16]).to_vec(), documented.map(u32::to_be_bytes).concat());
    }

    #[test]
    fn a_key_block_is_known_by_its_magic() {
        let mut plain = [0x5A; 16];
        plain[..4].copy_from_slice(&[0x53, 0x97, 0x57, 0x13]);
        assert!(is_key_block(&encrypted(plain)));
        plain[0] ^= 1;
        assert!(!is_key_block(&encrypted(plain)));
        assert!(!is_key_block(&[0; 15]));
    }
}
