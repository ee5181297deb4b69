//! The two layers of AES-128-ECB under the store, and its plain sums (formats.md §8). Blocks of 16 bytes are
//! encrypted one by one, so that every byte keeps its place.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use crate::image::bytes::cut;

/// The key of every key block and protected block.
pub const MASTER_KEY: [u8; 16] = *b"qwertyuiopasdfgh";
/// First word of a decrypted key block or protected block.
pub const KEY_MAGIC: u32 = 0x1357_9753;
/// 16 erased bytes under the master key. They stand 32 bytes behind the start of every key block.
pub const ERASED_UNDER_MASTER: [u8; 16] =
    [0x46, 0xDC, 0xED, 0x0E, 0x67, 0x2F, 0x3B, 0x70, 0xAE, 0x12, 0x76, 0xA3, 0xF8, 0x71, 0x2E, 0x03];

const PLATFORM: &[u8; 4] = b"8710";
const SALT: &[u8; 16] = b"HHRRQbyemofrtytf";

/// The key that data blocks are encrypted with, from the key that a key block or protected block holds.
pub fn data_key(key: &[u8; 16]) -> [u8; 16] {
    let mut derived = *key;
    for (number, byte) in derived.iter_mut().enumerate() {
        *byte = byte.wrapping_add(PLATFORM[number % 4]).wrapping_add(SALT[number]);
    }
    derived
}

/// Decrypts whole blocks of 16 bytes; a shorter rest stays as it is.
pub fn decrypt(key: &[u8; 16], bytes: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(key.into());
    let mut plain = bytes.to_vec();
    for piece in plain.as_chunks_mut::<16>().0 {
        let mut block = (*piece).into();
        cipher.decrypt_block(&mut block);
        *piece = block.into();
    }
    plain
}

/// The reverse of [`decrypt`].
pub fn encrypt(key: &[u8; 16], bytes: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(key.into());
    let mut hidden = bytes.to_vec();
    for piece in hidden.as_chunks_mut::<16>().0 {
        let mut block = (*piece).into();
        cipher.encrypt_block(&mut block);
        *piece = block.into();
    }
    hidden
}

/// The plain sum of all bytes, as every checksum of the store and the file area is one.
pub fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum: u32, byte| sum.wrapping_add(u32::from(*byte)))
}

/// The sum that a whole sector carries at offset 4: over everything behind it.
pub fn sector_sum(sector: &[u8]) -> u32 {
    sum(cut(sector, 8, sector.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_cipher_text_of_erased_bytes_comes_out() {
        assert_eq!(encrypt(&MASTER_KEY, &[0xFF; 16]), ERASED_UNDER_MASTER);
        assert_eq!(decrypt(&MASTER_KEY, &ERASED_UNDER_MASTER), [0xFF; 16]);
    }

    #[test]
    fn the_documented_data_key_of_an_empty_key_comes_out() {
        let text: String = data_key(&[0; 16]).iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(text, "807F83828999AA95A5A697A2ACB0A596");
    }

    #[test]
    fn an_incomplete_block_stays_as_it_is() {
        let bytes: Vec<u8> = (0..37).collect();
        let hidden = encrypt(&MASTER_KEY, &bytes);
        assert_eq!(hidden[32..], bytes[32..]);
        assert_eq!(decrypt(&MASTER_KEY, &hidden), bytes);
    }
}
