//! Boot loader and application: made-up code, really encrypted and packed (formats.md §3 to §5).

use super::super::chance::Chance;
use super::super::modules::Silicon;
use super::super::sums::{CRC32_START, crc16, crc32};
use super::{Map, put};

/// Where the application begins in the flash, and for the CPU.
const APP: (usize, u32) = (0x1_1000, 0x1_0000);
/// Lengths of the two containers in the flash.
const BOOT_CONTAINER: usize = 0x1_1000;
const APP_CONTAINER: usize = 0x11_8F70;
/// Bytes of the boot loaders of real plugs.
const BOOT_T: usize = 56_592;
const BOOT_N: usize = 59_932;
/// Bytes of the application; a real one has half as many again.
const APP_CODE: usize = 655_376;
/// The code key of Tuya parts.
pub(super) const KEY: [u32; 4] = [0x510F_B093, 0xA3CB_EADC, 0x5993_A17E, 0xC7AD_EB03];
/// When the made-up firmware was built: 2022-01-01.
const BUILT: u32 = 1_640_995_200;

/// The keystream word for a code address (formats.md §4).
pub(super) fn keystream(key: [u32; 4], address: u32) -> u32 {
    let [c0, c1, c2, c3] = key;
    if matches!(c3 >> 24, 0x00 | 0xFF) || c3 & 0xF == 0xF {
        return 0;
    }
    let swap_if = |half: u16, bit: u32| if c3 >> bit & 1 == 1 { half.swap_bytes() } else { half };
    let nibble = |bits: u32, ones: u32| (0..8).fold(0, |all, place| all | bits << (4 * place)) & ones;
    let pn15 = {
        let mixed = swap_if((address >> 16) as u16, 6) ^ swap_if(address as u16, 5) ^ (c1 >> 16) as u16;
        u32::from(mixed.rotate_left(9)) ^ nibble(u32::from(mixed) >> 5 & 0xF, 0x6371)
    };
    let pn16 = {
        let shifted = address >> (c3 >> 8 & 3) & 0x1_FFFF;
        let mixed = shifted ^ ((c1 >> 8 & 0xFF) << 9 | (c3 >> 4 & 1) << 8 | c1 & 0xFF);
        let bit = |at: u32| mixed >> at & 1;
        let four = bit(1) << 3 | bit(5) << 2 | bit(9) << 1 | bit(13);
        let turned = (mixed & 0x3FF) << 7 | mixed >> 10;
        turned ^ (bit(4) << 16 | nibble(four, 0xFFFF)) & 0x1_3659
    };
    let pn32 = {
        let mixed = address.rotate_right(8 * (c3 >> 11 & 3)) ^ c0;
        mixed.rotate_left(17) ^ nibble(mixed >> 2 & 0xF, 0xE519_A4F1)
    };
    // The low nibble of c3 switches the parts off one by one.
    let part = |off: u32, value: u32| if c3 >> off & 1 == 1 { 0 } else { value };
    part(2, pn32) ^ (part(0, pn15) << 16 | part(1, pn16) & 0xFFFF) ^ part(3, c2)
}

/// Encrypts or decrypts code that begins at a code address, in place. A rest shorter than a word stays as it is.
pub(super) fn encrypt(code: &mut [u8], address: u32) {
    for (index, word) in code.chunks_exact_mut(4).enumerate() {
        let stream = keystream(KEY, address.wrapping_add(4 * index as u32)).to_le_bytes();
        word.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
    }
}

/// Writes code as blocks of 32 bytes with their CRC; the last one is filled up with FF.
fn pack(flash: &mut [u8], code: &[u8]) {
    for (block, piece) in flash.chunks_exact_mut(34).zip(code.chunks(32)) {
        block[..32].fill(0xFF);
        block[..piece.len()].copy_from_slice(piece);
        let crc = crc16(&block[..32]).to_be_bytes();
        block[32..].copy_from_slice(&crc);
    }
}

/// Writes a container: the packed code at its start, the RBL header in its last three blocks (formats.md §5).
fn container(flash: &mut [u8], code: &[u8], name: &str) {
    pack(flash, code);
    let raw = code.len() as u32;
    let package = raw.next_multiple_of(32);
    let pad = package - raw;
    let filled = code.iter().copied().chain(std::iter::repeat_n(pad as u8, pad as usize));
    let mut header = [0; 96];
    put(&mut header, b"RBL\0");
    put(&mut header[8..], &BUILT.to_le_bytes());
    put(&mut header[12..], name.as_bytes());
    put(&mut header[28..], b"1.00");
    put(&mut header[52..], &[b'0'; 23]);
    put(&mut header[76..], &(!crc32(CRC32_START, filled)).to_le_bytes());
    put(&mut header[80..], &fnv1a(code).to_le_bytes());
    put(&mut header[84..], &raw.to_le_bytes());
    put(&mut header[88..], &package.to_le_bytes());
    let check = !crc32(CRC32_START, header[..92].iter().copied());
    put(&mut header[92..], &check.to_le_bytes());
    let end = flash.len();
    pack(&mut flash[end - 102..], &header);
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Something that looks like ARM code: the vectors, then instructions with changing registers.
fn machine_code(len: usize, base: u32, entry: u32, chance: &mut Chance) -> Vec<u8> {
    const SHAPES: [u32; 12] = [
        0xE92D_4010,
        0xE8BD_8010,
        0xE1A0_0000,
        0xE3A0_0000,
        0xE590_0000,
        0xE580_0000,
        0xEB00_0000,
        0xE350_0000,
        0x0A00_0000,
        0xE12F_FF1E,
        0xE59F_0000,
        0xE280_0000,
    ];
    let mut words = vec![0xEA00_0000 | entry];
    words.extend([0xE59F_F014; 7]);
    words.extend((0..8).map(|vector| base + 0x3000 + vector * 0x20));
    words.push(0xDEAD_BEEF);
    while words.len() * 4 < len {
        let shape = SHAPES[chance.below(12) as usize];
        let register = chance.below(13) << 12 | chance.below(13) << 16;
        words.push(match shape >> 24 {
            0xEB | 0x0A => shape | chance.below(0x4000),
            0xE3 | 0xE5 | 0xE2 => shape | register | chance.below(256) & !3,
            _ => shape,
        });
    }
    let mut code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    code.truncate(len);
    code
}

/// The boot loader container at the start of the flash.
pub(super) fn boot_loader(flash: &mut [u8], silicon: Silicon, map: &Map, chance: &mut Chance) {
    let (len, entry, version) = match silicon {
        Silicon::T => (BOOT_T, 0xE62, "BK7231S_1.0.5"),
        Silicon::N => (BOOT_N, 0xB48, "BK7231N_1.0.1"),
    };
    let table = partition_table(map);
    let mut code = machine_code(len - table.len(), 0, entry, chance);
    put(&mut code[0x80..], b"0123456789ABCDEF\0\0\0\0\0\0\0\0");
    put(&mut code[0x98..], format!("{version}\0\0\0").as_bytes());
    encrypt(&mut code, 0);
    if silicon == Silicon::N {
        // The ROM looks for this text, so it stands unencrypted.
        put(&mut code[0x100..], b"BK7231\0\0");
    }
    code.extend(table);
    container(&mut flash[..BOOT_CONTAINER], &code, "bootloader");
}

/// The boot loader's partition table, never encrypted (formats.md §1).
fn partition_table(map: &Map) -> Vec<u8> {
    let entries = [
        ("bootloader", "beken_onchip_crc", 0, APP.1),
        ("app", "beken_onchip_crc", APP.1, 0x10_8700),
        ("download", "beken_onchip", map.download.0, map.download.1),
    ];
    let mut table = Vec::new();
    for (name, device, offset, len) in entries {
        let mut entry = [0; 64];
        put(&mut entry, b"01PE");
        put(&mut entry[4..], name.as_bytes());
        put(&mut entry[28..], device.as_bytes());
        put(&mut entry[52..], &u32::to_le_bytes(offset));
        put(&mut entry[56..], &u32::to_le_bytes(len));
        table.extend(entry);
    }
    table
}

/// The application container behind the boot loader.
pub(super) fn application(flash: &mut [u8], silicon: Silicon, map: &Map, chance: &mut Chance) {
    let mut code = machine_code(APP_CODE, APP.1, 0x0E, chance);
    let (name, platform) = match silicon {
        Silicon::T => ("oem_bk7231s_plug", "BK7231S_2M"),
        Silicon::N => {
            put(&mut code[0x100..], b"BK7231\0\0");
            ("oem_bk7231n_plug", "bk7231n")
        }
    };
    put(&mut code[0x8_8000..], &sdk_table(map));
    let texts = format!(
        "bootloader\0application\0ota\0rf_firmware\0net_param\0\
         < TUYA IOT SDK V:1.0.8 BS:40.00_PT:2.2_LAN:3.3_CAD:1.0.2_CD:1.0.0 >\0{platform}\0{name}\0{VERSION}\0\
         mf_init succ\0gw_wsm\0user_param_key\0oem_cfg\0heap free %d, network idle\0"
    );
    put(&mut code[0x8_9000..], texts.as_bytes());
    encrypt(&mut code, APP.1);
    container(&mut flash[APP.0..APP.0 + APP_CONTAINER], &code, "app");
}

/// The version of the made-up application.
pub(super) const VERSION: &str = "1.1.8";

/// The SDK's partition table inside the application (formats.md §6): owner, description, start, length, options.
fn sdk_table(map: &Map) -> Vec<u8> {
    let rf = map.rf as u32;
    let parts =
        [(0, 0x1_1000), (0x1_1000, 0x12_1000), (map.download.0, map.download.2), (rf, 0x1000), (rf + 0x1000, 0x1000)];
    let records = parts.iter().zip(0u32..).map(|((start, len), index)| [0, 0x9_9000 + 12 * index, *start, *len, 1]);
    records.flatten().flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a container without their CRCs; every block is checked on the way.
    fn unpack(flash: &[u8]) -> Vec<u8> {
        let blocks = flash.chunks_exact(34);
        blocks
            .flat_map(|block| {
                assert_eq!(crc16(&block[..32]).to_be_bytes(), block[32..], "block CRC");
                block[..32].to_vec()
            })
            .collect()
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    fn plug(name: &str) -> Vec<u8> {
        super::super::image(crate::link::sim::modules::find(name).unwrap(), 1)
    }

    #[test]
    fn the_keystream_gives_the_published_words() {
        let published = [
            (0, 0x7CB5_0721),
            (4, 0x7CB5_0F21),
            (0x100, 0x7CB7_0721),
            (0x1_0000, 0x7EB5_0721),
            (0x1_0004, 0x7EB5_0F21),
            (0x11_86FC, 0x5EA9_FF30),
        ];
        for (address, stream) in published {
            assert_eq!(keystream(KEY, address), stream, "{address:X}");
        }
        assert_eq!(keystream([0; 4], 0x1234), 0);
        let uascent = [0x4862_379A, 0x8612_784B, 0x85C5_E258, 0x7575_4528];
        assert_eq!((0xE59F_F014 ^ keystream(uascent, 4)).to_le_bytes(), [0x0C, 0x70, 0xB6, 0xCA]);
        assert_eq!((0xE59F_F014 ^ keystream(uascent, 0x1_0004)).to_le_bytes(), [0x2E, 0x70, 0xB6, 0xC8]);
    }

    #[test]
    fn real_boot_loaders_decrypt_to_their_vectors() {
        let names = ["ds-101jl-4gang-switch-t", "lspa9-clone-first-n", "feconn-mr16-rgbcct-n"];
        for name in names {
            let Some(dump) = crate::link::sim::tests::sample(&format!("dumps/{name}.bin")) else { return };
            for (physical, logical) in [(0, 0), (0x1_1000, 0x1_0000)] {
                let mut code = unpack(&dump[physical..physical + 34]);
                encrypt(&mut code, logical);
                assert_eq!(word(&code, 4), 0xE59F_F014, "{name}");
            }
        }
    }

    #[test]
    fn first_bytes_are_those_of_real_plugs() {
        for (name, boot) in [("wb2s", [0x43, 0x09, 0xB5, 0x96]), ("cb3s", [0x69, 0x0C, 0xB5, 0x96])] {
            let plug = plug(name);
            assert_eq!(plug[..4], boot);
            assert_eq!(plug[4..8], [0x35, 0xFF, 0x2A, 0x99]);
            assert_eq!(plug[0x1_1000..0x1_1008], [0x2F, 0x07, 0xB5, 0x94, 0x35, 0xFF, 0x2A, 0x9B]);
            assert_eq!(&plug[0x110..0x118] == b"BK7231\0\0", name == "cb3s");
        }
    }

    #[test]
    fn container_headers_and_their_sums_are_right() {
        let header_at = |flash: &[u8], at: usize| unpack(&flash[at..at + 102]);
        let mut checked = 0;
        let samples = ["ds-101jl-4gang-switch-t", "lspa9-clone-first-n"].map(|name| format!("dumps/{name}.bin"));
        let real = samples.iter().filter_map(|name| crate::link::sim::tests::sample(name));
        for flash in [plug("wb2s"), plug("cb3s")].into_iter().chain(real) {
            for (start, at, name) in [(0, 0x1_0F9A, "bootloader"), (0x1_1000, 0x12_9F0A, "app")] {
                let header = header_at(&flash, at);
                assert_eq!(&header[..4], b"RBL\0");
                assert!(header[12..].starts_with(name.as_bytes()));
                assert_eq!(!crc32(CRC32_START, header[..92].iter().copied()), word(&header, 92));
                let (raw, package) = (word(&header, 84) as usize, word(&header, 88) as usize);
                let body = unpack(&flash[start..start + package / 32 * 34]);
                let pad = package - raw;
                let filled = body[..raw].iter().copied().chain(std::iter::repeat_n(pad as u8, pad));
                assert_eq!(!crc32(CRC32_START, filled), word(&header, 76), "{name} body");
                assert_eq!(fnv1a(&body[..raw]), word(&header, 80), "{name} hash");
                assert!(body[raw..].iter().all(|byte| *byte == 0xFF));
                checked += 1;
            }
        }
        assert!(checked >= 4);
    }

    #[test]
    fn version_partitions_and_application_name_can_be_read() {
        for (name, blocks, version, download, app) in [
            ("wb2s", 1769, &b"BK7231S_1.0.5"[..], 0x13_2000u32, &b"oem_bk7231s_plug"[..]),
            ("cb3s", 1873, b"BK7231N_1.0.1", 0x12_A000, b"oem_bk7231n_plug"),
        ] {
            let plug = plug(name);
            let mut boot = unpack(&plug[..blocks * 34]);
            let table = memchr::memmem::find(&boot, b"01PE").unwrap();
            assert_eq!(word(&boot, table + 128 + 52), download);
            encrypt(&mut boot, 0);
            assert!(boot[0x98..].starts_with(version));
            let mut code = unpack(&plug[0x1_1000..0x1_1000 + 20_000 * 34]);
            encrypt(&mut code, 0x1_0000);
            assert!(memchr::memmem::find(&code, app).is_some());
            let table = [0x1_1000u32.to_le_bytes(), 0x12_1000u32.to_le_bytes()].concat();
            let at = memchr::memmem::find(&code, &table).unwrap();
            assert_eq!(word(&code, at + 20), download);
        }
    }
}
