//! What stands behind the bytes: code without its CRCs and decrypted, at the addresses the chip runs it from, and the
//! Tuya store decrypted in its place.

use memchr::memmem;

use super::app;
use super::bytes::{all, cut};
use super::code::{self, APP_LOGICAL, BLOCK, BLOCK_CODE, CodeKey};
use super::family::BOOT_LOADER_LEN;
use super::kind::{self, Kind};
use super::search::{self, Pattern};
use super::tuya::FlashMap;
use super::tuya::{cipher, kv, protected};
use crate::units::{SECTOR, Span};

/// A container of code in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `boot loader` or `application`.
    pub name: &'static str,
    /// The 34-byte blocks, in file offsets.
    pub file: Span,
    /// The same without CRCs, in code addresses.
    pub code: Span,
    /// The key that opens it.
    pub key: CodeKey,
}

/// The containers of code in a file, by rising code address without a gap between them: of a dump, a rotated dump, a
/// QIO or a UA. Empty where no known key opens one.
pub fn parts(bytes: &[u8]) -> Vec<Part> {
    let turned_start = bytes.len().saturating_sub(BOOT_LOADER_LEN as usize);
    let (boot_loader, application) = match kind::recognise(bytes) {
        Kind::Dump | Kind::Qio => (Some(0), BOOT_LOADER_LEN as usize),
        Kind::RotatedDump => (Some(turned_start), 0),
        Kind::Ua | Kind::FromApplication => (None, 0),
        _ => return Vec::new(),
    };
    let part = |name, start: usize, len: u32, address| {
        let container = cut(bytes, start, start + len as usize);
        let key = code::key_of(container, address)?;
        let blocks = (container.len() / BLOCK) as u32;
        let file = Span::new(start as u32, blocks * BLOCK as u32);
        Some(Part { name, file, code: Span::new(address, blocks * BLOCK_CODE as u32), key })
    };
    let boot_loader = boot_loader.and_then(|start| part("boot loader", start, BOOT_LOADER_LEN, 0));
    let application = part("application", application, app::CONTAINER_LEN, APP_LOGICAL);
    boot_loader.into_iter().chain(application).collect()
}

/// The code address that a file offset belongs to; a CRC belongs to the last byte it covers.
pub fn address_of(parts: &[Part], offset: u32) -> Option<u32> {
    let part = parts.iter().find(|part| part.file.contains(offset))?;
    let (block, within) = ((offset - part.file.start) / BLOCK as u32, (offset - part.file.start) % BLOCK as u32);
    Some(part.code.start + block * BLOCK_CODE as u32 + within.min(BLOCK_CODE as u32 - 1))
}

/// The file offset of a code address.
pub fn offset_of(parts: &[Part], address: u32) -> Option<u32> {
    let part = parts.iter().find(|part| part.code.contains(address))?;
    let inside = address - part.code.start;
    Some(part.file.start + inside / BLOCK_CODE as u32 * BLOCK as u32 + inside % BLOCK_CODE as u32)
}

/// The plain code of all parts, one behind the other. What is not encrypted in flash stays as it is: erased blocks,
/// the partition table, the headers at the ends of the containers.
pub fn code(bytes: &[u8], parts: &[Part]) -> Vec<u8> {
    let mut code = Vec::new();
    for part in parts {
        let stripped = code::strip(cut(bytes, part.file.start as usize, part.file.end() as usize));
        let start = code.len();
        code.extend_from_slice(&stripped);
        let plain = &mut code[start..];
        part.key.apply(plain, part.code.start);
        for open in unencrypted(&stripped) {
            plain[open.clone()].copy_from_slice(&stripped[open]);
        }
    }
    code
}

/// Entries of the partition table, and bytes of one.
const TABLE: (usize, usize) = (3, 64);
/// Bytes of the header at the end of a container.
const HEADER: usize = 96;
/// Code address at which N boot loaders keep their name in the open, and the name.
const NAME: (usize, &[u8]) = (0x100, b"BK7231\0\0");

/// What is not encrypted in flash, in offsets of the stripped container (formats.md §4).
fn unencrypted(stripped: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut open = Vec::new();
    if let Some(at) = memmem::find(stripped, b"01PE") {
        open.push(at..(at + TABLE.0 * TABLE.1).min(stripped.len()));
    }
    if stripped.get(NAME.0..).is_some_and(|rest| rest.starts_with(NAME.1)) {
        open.push(NAME.0..NAME.0 + NAME.1.len());
    }
    if let Some(header) = stripped.len().checked_sub(HEADER)
        && stripped[header..].starts_with(b"RBL\0")
    {
        open.push(header..stripped.len());
    }
    let blank = stripped.chunks(BLOCK_CODE).enumerate().filter(|(_, block)| all(block, 0xFF));
    open.extend(blank.map(|(number, block)| number * BLOCK_CODE..number * BLOCK_CODE + block.len()));
    open
}

/// A file with its Tuya store and protected blocks decrypted in their places, and where they are; `None` when it holds
/// none.
pub fn store(bytes: &[u8]) -> Option<(Vec<u8>, Vec<Span>)> {
    let store = kv::find(bytes);
    let map = FlashMap::new(bytes.len(), kind::recognise(bytes), store.as_ref().map(|store| store.key_block.offset));
    let mut pieces: Vec<(usize, Vec<u8>)> = Vec::new();
    if let Some(store) = store {
        let key_block = store.key_block.offset;
        let sector = cut(bytes, key_block, key_block + SECTOR as usize);
        pieces.push((key_block, cipher::decrypt(&cipher::MASTER_KEY, sector)));
        pieces.extend(store.blocks.into_iter().map(|block| (block.offset, block.plain)));
    }
    for block in protected::find_all(bytes, map.first_sector()) {
        let header = cut(bytes, block.offset, block.offset + protected::HEADER_LEN);
        pieces.push((block.offset, cipher::decrypt(&cipher::MASTER_KEY, header)));
        pieces.push((block.offset + protected::HEADER_LEN, block.plain));
    }
    if pieces.is_empty() {
        return None;
    }
    pieces.sort_by_key(|(at, _)| *at);
    let mut plain = bytes.to_vec();
    let mut places: Vec<Span> = Vec::new();
    for (at, piece) in pieces {
        if let Some(place) = plain.get_mut(at..at + piece.len()) {
            place.copy_from_slice(&piece);
            match places.last_mut() {
                Some(last) if last.end() as usize == at => last.len += piece.len() as u32,
                _ => places.push(Span::new(at as u32, piece.len() as u32)),
            }
        }
    }
    Some((plain, places))
}

/// How often a pattern is found behind the encryption only: in the decrypted store, and in the decrypted code.
pub fn count_behind(bytes: &[u8], pattern: &Pattern) -> (usize, usize) {
    let count = |plain: &[u8]| search::find_all(plain, pattern, 0).total;
    let in_store = store(bytes).map_or(0, |(plain, places)| {
        places.iter().map(|place| count(cut(&plain, place.start as usize, place.end() as usize))).sum()
    });
    (in_store, count(&code(bytes, &parts(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::samples;

    #[test]
    fn code_of_every_sample_maps_both_ways() {
        for sample in samples::all() {
            let parts = parts(&sample.bytes);
            let plain = code(&sample.bytes, &parts);
            assert_eq!(plain.len() as u32, parts.iter().map(|part| part.code.len).sum::<u32>());
            for part in &parts {
                for address in [part.code.start, part.code.start + 31, part.code.start + 32, part.code.end() - 1] {
                    let offset = offset_of(&parts, address).expect("inside");
                    assert_eq!(address_of(&parts, offset), Some(address), "{} {address:#X}", sample.name);
                }
                assert_eq!(address_of(&parts, part.file.start + 33), Some(part.code.start + 31), "a CRC");
                let vector = (part.code.start - parts[0].code.start) as usize + 4;
                assert_eq!(plain[vector..vector + 4], code::VECTOR.to_le_bytes(), "{}", sample.name);
            }
            assert_eq!(offset_of(&parts, u32::MAX), None);
        }
    }

    #[test]
    fn what_is_open_in_flash_stays_as_it_is() {
        for sample in samples::dumps() {
            let parts = parts(&sample.bytes);
            let plain = code(&sample.bytes, &parts);
            let [boot_loader, application] = parts.as_slice() else { continue };
            assert_eq!((boot_loader.code.end(), application.code.start), (0x10000, 0x10000), "no gap");
            let text = |wanted: &[u8]| memmem::find(&plain, wanted).is_some();
            assert!(text(b"01PEbootloader"), "{}", sample.name);
            assert!(text(b"RBL\0"), "{}: the boot loader's header", sample.name);
        }
    }

    #[test]
    fn the_pin_map_of_an_encrypted_store_stands_in_the_open() {
        for name in ["ds-101jl-4gang-switch-t", "pc44ha-tuya-config-t", "arlec-razer-strip-tuyaos3-n"] {
            let Some(sample) = samples::dump(name) else { return };
            let (plain, places) = store(&sample.bytes).expect("a store");
            assert_eq!(plain.len(), sample.bytes.len());
            assert!(memmem::find(&sample.bytes, b"user_param_key").is_none(), "{name}: it is encrypted");
            let at = memmem::find(&plain, b"user_param_key").expect("decrypted") as u32;
            assert!(places.iter().any(|place| place.contains(at)), "{name}");
            let outside = (0..plain.len()).filter(|at| !places.iter().any(|place| place.contains(*at as u32)));
            assert!(outside.step_by(97).all(|at| plain[at] == sample.bytes[at]), "{name}: the rest is as it was");
        }
    }

    #[test]
    fn files_without_code_or_store_have_neither() {
        for bytes in [&[][..], &[0xFF; 5000], b"hello", &[0x55; 70000]] {
            assert!(parts(bytes).is_empty() && code(bytes, &[]).is_empty());
            assert_eq!(store(bytes), None);
        }
    }
}
