//! The encrypted Tuya store: key block, data blocks with live and stale copies, and the protected block of the N
//! (formats.md §8 and §9).

use aes::Aes128;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};

use super::super::chance::Chance;
use super::super::modules::Silicon;
use super::code::VERSION;
use super::data::NETWORK_BASE64;
use super::{put, sum};

/// Where the key block stands; the data blocks follow.
pub(super) const KEY_BLOCK: usize = 0x1E_E000;
/// Where the N keeps its second copy of the identity.
pub(super) const PROTECTED_BLOCK: usize = 0x1E_D000;

const SECTOR: usize = 4096;
const PAGE: usize = 128;
const MASTER_KEY: &[u8; 16] = b"qwertyuiopasdfgh";
const KEY_MAGIC: u32 = 0x1357_9753;
const DATA_MAGIC: u32 = 0x9876_1234;
/// Blocks that are live; three stale copies follow them.
const LIVE: usize = 14;

/// The identity of a device that does not exist.
pub(super) struct Identity {
    key: [u8; 16],
    gw_bi: String,
    gw_wsm: String,
    gw_ai: String,
}

impl Identity {
    pub(super) fn made_up(chance: &mut Chance) -> Self {
        let mut text = |len: usize| -> String {
            (0..len).map(|_| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[chance.below(32) as usize])).collect()
        };
        let gw_bi = format!(
            "{{\"uuid\":\"practice{}\",\"psk_key\":\"{}\",\"auth_key\":\"{}\",\"ap_ssid\":\"SmartLife\",\"ap_passwd\":null,\
             \"country_code\":\"XX\",\"bt_mac\":null,\"bt_hid\":null,\"prod_test\":false,\"fac_pin\":\"practice{}\" }}",
            text(8),
            text(37),
            text(32),
            text(8)
        );
        let gw_ai = format!(
            "{{\"key\":\"{}\",\"lckey\":\"{}\",\"h_url\":\"http://cloud.invalid/d.json\",\"h_ip\":\"192.0.2.1\",\"hs_psk\":\"{}\",\
             \"mq_url\":\"mq.cloud.invalid\",\"mq_ip\":\"192.0.2.2\",\"mq_psk\":\"{}\",\"time_z\":\"+00:00\",\"psk21_key\":\"{}\"}}",
            text(16),
            text(16),
            text(28),
            text(18),
            text(37)
        );
        let gw_wsm = settings(NETWORK_BASE64.0, NETWORK_BASE64.1, &text(8));
        Self { key: std::array::from_fn(|_| chance.byte()), gw_bi, gw_wsm, gw_ai }
    }
}

/// The Wi-Fi settings as they are kept.
fn settings(ssid: &str, password: &str, token: &str) -> String {
    format!(
        "{{\"nc_tp\":1,\"ssid\":\"{ssid}\",\"passwd\":\"{password}\",\"md\":0,\"random\":0,\"wfb64\":1,\"stat\":2,\
         \"token\":\"{token}\",\"region\":\"XX\",\"reg_key\":\"prac\",\"dns_prio\":0 }}"
    )
}

/// Where a value lives: its index page, and the runs of pages with its bytes.
struct Place {
    index: (u16, u8),
    runs: &'static [(u16, u8, u8)],
}

/// Blocks before encryption, each with its generation.
struct Store {
    blocks: Vec<[u8; SECTOR]>,
    generations: [u32; LIVE],
}

impl Store {
    fn new() -> Self {
        Self { blocks: vec![[0xFF; SECTOR]; LIVE], generations: [21, 10, 27, 7, 3, 2, 3, 2, 1, 0, 0, 0, 0, 0] }
    }

    /// Writes a value and its index page, as a plug does: the value need not follow its index, nor lie in one piece.
    fn put(&mut self, name: &str, value: &[u8], place: &Place) {
        let mut rest = value;
        for (block, first, last) in place.runs {
            for page in *first..=*last {
                let (piece, more) = rest.split_at(rest.len().min(PAGE));
                put(&mut self.blocks[usize::from(*block)][usize::from(page) * PAGE..], piece);
                rest = more;
            }
        }
        let (block, page) = place.index;
        let mut index = sum(value).to_le_bytes().to_vec();
        index.extend((value.len() as u32).to_le_bytes());
        index.extend(block.to_le_bytes());
        index.push(page);
        index.extend((place.runs.len() as u16).to_le_bytes());
        // A pointer into the RAM of long ago.
        index.extend((0x0041_0000 + u32::from(page) * 0x40).to_le_bytes());
        index.push(name.len() as u8 + 1);
        index.extend(name.bytes());
        index.push(0);
        for (block, first, last) in place.runs {
            index.extend(block.to_le_bytes());
            index.extend([*first, *last]);
        }
        let target = &mut self.blocks[usize::from(block)];
        put(&mut target[usize::from(page) * PAGE..], &index);
        // The page map stands at 15; until the header is written it is built up from zero.
        if target[14] == 0xFF {
            target[14..19].copy_from_slice(&[4, 0, 0, 0, 0]);
        }
        target[15 + usize::from(page / 8)] |= 1 << (page % 8);
    }

    /// A block with its header and check sum, as it is encrypted.
    fn sealed(&self, block: usize, generation: u32) -> [u8; SECTOR] {
        let mut sealed = self.blocks[block];
        if sealed[14] == 0xFF {
            sealed[14..19].copy_from_slice(&[4, 0, 0, 0, 0]);
        }
        put(&mut sealed, &DATA_MAGIC.to_le_bytes());
        put(&mut sealed[8..], &(block as u16).to_le_bytes());
        put(&mut sealed[10..], &generation.to_le_bytes());
        let check = sum(&sealed[8..]).to_le_bytes();
        put(&mut sealed[4..], &check);
        sealed
    }
}

const SETTINGS: Place = Place { index: (2, 5), runs: &[(0, 17, 18)] };

/// Writes key block and data blocks.
pub(super) fn storage(at: &mut [u8], silicon: Silicon, pins: &str, identity: &Identity) {
    let platform: &[u8] = match silicon {
        Silicon::T => b"BK7231S_2M\0\0\0\0\0\0\0\0\0\0",
        Silicon::N => b"bk7231n\0\0\0\0\0\0\0\0\0\0\0\0\0",
    };
    let gw_di = format!(
        "{{\"abi\":0,\"id\":null,\"swv\":\"{VERSION}\",\"bv\":\"40.00\",\"pv\":\"2.2\",\"lpv\":\"3.3\",\
         \"pk\":\"keypracticeplug0\",\"firmk\":\"keypracticefirm0\",\"cadv\":\"1.0.2\",\"cdv\":\"1.0.0\",\
         \"dev_swv\":\"{VERSION}\",\"s_id\":null,\"dtp\":0,\"sync\":0,\"attr_num\":1,\"mst_tp_0\":9,\
         \"mst_ver_0\":\"{VERSION}\",\"mst_md5_0\":null,\"mst_tp_1\":0,\"mst_ver_1\":null,\"mst_md5_1\":null}}\0"
    );
    let mut store = Store::new();
    let mut place = |name: &str, value: &[u8], index, runs| store.put(name, value, &Place { index, runs });
    place("gw_bi", identity.gw_bi.as_bytes(), (1, 1), &[(2, 13, 15)]);
    place("gw_di", gw_di.as_bytes(), (1, 2), &[(0, 10, 11), (0, 14, 16)]);
    place("tls_ca_cnt", b"0\0\0\0\0", (1, 7), &[(1, 8, 8)]);
    place("wf_start_md", b"3\0", (2, 7), &[(2, 8, 8)]);
    place("gw_ai", identity.gw_ai.as_bytes(), (3, 11), &[(0, 5, 9)]);
    place("user_param_key", format!("{pins}\0").as_bytes(), (3, 16), &[(3, 17, 18), (3, 20, 21)]);
    place("em_sys_env", platform, (6, 14), &[(6, 15, 15)]);
    place("mf_test_close", b"true\0", (8, 27), &[(8, 28, 28)]);
    // First the settings of a network before the present one: they stay behind in the stale copies.
    store.put("gw_wsm", settings("Rm9ybWVyLU5ldHdvcms=", "Zm9ybWVyLXBhc3N3b3Jk", "").as_bytes(), &SETTINGS);
    let stale = [(2, 25), (0, 20), (2, 26)].map(|(block, generation)| store.sealed(block, generation));
    store.put("gw_wsm", identity.gw_wsm.as_bytes(), &SETTINGS);
    let live = (0..LIVE).map(|block| store.sealed(block, store.generations[block]));

    let key_check: u32 = sum(&identity.key);
    let mut key_block = [0xFF; SECTOR];
    put(&mut key_block, &KEY_MAGIC.to_le_bytes());
    put(&mut key_block[4..], &key_check.to_le_bytes());
    put(&mut key_block[8..], &identity.key);
    encrypt(&mut key_block, MASTER_KEY);
    put(at, &key_block);

    let data_key = data_key(&identity.key);
    for (sector, mut block) in at[SECTOR..].chunks_exact_mut(SECTOR).zip(live.chain(stale)) {
        encrypt(&mut block, &data_key);
        sector.copy_from_slice(&block);
    }
}

/// Writes the N's protected block: the identity once more, under two layers.
pub(super) fn protected_block(at: &mut [u8], identity: &Identity) {
    let mut inner = Vec::new();
    for (name, value) in [("gw_bi", &identity.gw_bi), ("gw_wsm", &identity.gw_wsm)] {
        let mut head = [0; 36];
        put(&mut head, &(value.len() as u32).to_le_bytes());
        put(&mut head[4..], name.as_bytes());
        inner.extend(head);
        inner.extend(value.bytes());
    }
    let len = inner.len() as u32;
    inner.resize(SECTOR - 32, 0xFF);
    encrypt(&mut inner, &data_key(&identity.key));
    let mut block = [0xFF; SECTOR];
    put(&mut block, &KEY_MAGIC.to_le_bytes());
    put(&mut block[8..], &identity.key);
    put(&mut block[24..], &len.to_le_bytes());
    put(&mut block[32..], &inner);
    let check = sum(&block[8..]).to_le_bytes();
    put(&mut block[4..], &check);
    encrypt(&mut block, MASTER_KEY);
    put(at, &block);
}

/// The key of the data blocks: platform, a text of the maker, and the key block's bytes, added up.
fn data_key(key: &[u8; 16]) -> [u8; 16] {
    std::array::from_fn(|place| b"8710"[place % 4].wrapping_add(b"HHRRQbyemofrtytf"[place]).wrapping_add(key[place]))
}

/// AES-128, block by block, in place.
fn encrypt(bytes: &mut [u8], key: &[u8; 16]) {
    let cipher = Aes128::new(key.into());
    for piece in bytes.chunks_exact_mut(16) {
        let mut block = Block::<Aes128>::default();
        block.copy_from_slice(piece);
        cipher.encrypt_block(&mut block);
        piece.copy_from_slice(&block);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aes::cipher::BlockCipherDecrypt;

    use super::*;

    fn decrypt(bytes: &[u8], key: &[u8; 16]) -> Vec<u8> {
        let cipher = Aes128::new(key.into());
        let blocks = bytes.chunks_exact(16).flat_map(|piece| {
            let mut block = Block::<Aes128>::default();
            block.copy_from_slice(piece);
            cipher.decrypt_block(&mut block);
            block.to_vec()
        });
        blocks.collect()
    }

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    fn u16_at(bytes: &[u8], at: usize) -> u16 {
        u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
    }

    /// A reader of its own, written after formats.md §8: the live values by name. Every sum is checked.
    fn read(flash: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let head = decrypt(&flash[KEY_BLOCK..KEY_BLOCK + SECTOR], MASTER_KEY);
        assert_eq!(u32_at(&head, 0), KEY_MAGIC);
        let key: [u8; 16] = head[8..24].try_into().unwrap();
        assert_eq!(u32_at(&head, 4), sum(&key));
        let mut newest: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        for sector in flash[KEY_BLOCK + SECTOR..KEY_BLOCK + 18 * SECTOR].chunks_exact(SECTOR) {
            let block = decrypt(sector, &data_key(&key));
            assert_eq!(u32_at(&block, 0), DATA_MAGIC);
            assert_eq!(u32_at(&block, 4), sum(&block[8..]));
            let kept = newest.entry(u16_at(&block, 8)).or_insert_with(|| block.clone());
            if u32_at(kept, 10) < u32_at(&block, 10) {
                *kept = block;
            }
        }
        let mut values = BTreeMap::new();
        for (id, block) in &newest {
            for page in (1..32usize).filter(|page| block[15 + page / 8] >> (page % 8) & 1 == 1) {
                let index = &block[page * PAGE..(page + 1) * PAGE];
                assert_eq!((u16_at(index, 8), usize::from(index[10])), (*id, page));
                let name_len = usize::from(index[17]);
                let name = String::from_utf8(index[18..18 + name_len - 1].to_vec()).unwrap();
                let mut value = Vec::new();
                for part in 0..usize::from(u16_at(index, 11)) {
                    let at = 18 + name_len + 4 * part;
                    let from = &newest[&u16_at(index, at)];
                    let (first, last) = (usize::from(index[at + 2]), usize::from(index[at + 3]));
                    value.extend(&from[first * PAGE..(last + 1) * PAGE]);
                }
                value.truncate(u32_at(index, 4) as usize);
                assert_eq!(value.len() as u32, u32_at(index, 4), "{name} fits its pages");
                assert_eq!(sum(&value), u32_at(index, 0), "{name}");
                values.insert(name, value);
            }
        }
        values
    }

    #[test]
    fn erased_bytes_of_the_key_block_encrypt_to_the_published_pattern() {
        let mut ones = [0xFF; 16];
        encrypt(&mut ones, MASTER_KEY);
        assert_eq!(u128::from_be_bytes(ones), 0x46DC_ED0E_672F_3B70_AE12_76A3_F871_2E03);
        let zero_key = u128::from_be_bytes(data_key(&[0; 16]));
        assert_eq!(zero_key, 0x807F_8382_8999_AA95_A5A6_97A2_ACB0_A596);
    }

    #[test]
    fn a_plug_of_ours_reads_like_a_real_one() {
        let plug = super::super::image(crate::link::sim::modules::find("wb2s").unwrap(), 1);
        let values = read(&plug);
        for key in ["gw_bi", "gw_di", "gw_wsm", "gw_ai", "user_param_key", "em_sys_env"] {
            assert!(values.contains_key(key), "{key}");
        }
        let pins = &values["user_param_key"];
        let plain = &plug[0x1E_5000..0x1E_5000 + pins.len() - 1];
        assert_eq!(&pins[..pins.len() - 1], plain, "the file area holds the same text");
        assert!(String::from_utf8_lossy(plain).contains("rl1_pin:26"));
        assert!(values["gw_wsm"].windows(24).any(|piece| piece == NETWORK_BASE64.0.as_bytes()));
        for json in ["gw_bi", "gw_di", "gw_wsm", "gw_ai"] {
            let text = values[json].strip_suffix(b"\0").unwrap_or(&values[json]);
            serde_json::from_slice::<serde_json::Value>(text).expect(json);
        }
    }

    #[test]
    fn the_reader_that_proves_it_reads_real_plugs_too() {
        let Some(dump) = crate::link::sim::tests::sample("dumps/lspa9-clone-first-n.bin") else { return };
        let keys: Vec<String> = read(&dump).into_keys().collect();
        for key in ["gw_bi", "gw_di", "gw_wsm", "user_param_key", "em_sys_env"] {
            assert!(keys.iter().any(|known| known == key), "{key} is not among {keys:?}");
        }
    }

    #[test]
    fn the_protected_block_holds_the_identity_under_two_layers() {
        let ours = super::super::image(crate::link::sim::modules::find("cb3s").unwrap(), 1);
        let real = crate::link::sim::tests::sample("dumps/lspa9-clone-first-n.bin");
        for flash in [Some(ours), real].into_iter().flatten() {
            let outer = decrypt(&flash[PROTECTED_BLOCK..PROTECTED_BLOCK + SECTOR], MASTER_KEY);
            assert_eq!(u32_at(&outer, 0), KEY_MAGIC);
            assert_eq!(u32_at(&outer, 4), sum(&outer[8..]));
            let inner = decrypt(&outer[32..], &data_key(outer[8..24].try_into().unwrap()));
            assert!(inner[4..].starts_with(b"gw_bi\0"));
            let second = 36 + u32_at(&inner, 0) as usize;
            assert!(inner[second + 4..].starts_with(b"gw_wsm\0"));
            assert_eq!(u32_at(&outer, 24) as usize, second + 36 + u32_at(&inner, second) as usize);
        }
    }

    #[test]
    fn the_former_network_is_left_in_stale_copies_only() {
        let plug = super::super::image(crate::link::sim::modules::find("wb2s").unwrap(), 1);
        let head = decrypt(&plug[KEY_BLOCK..KEY_BLOCK + SECTOR], MASTER_KEY);
        let key = data_key(head[8..24].try_into().unwrap());
        let holds = |sector: usize| {
            let at = KEY_BLOCK + (1 + sector) * SECTOR;
            let block = decrypt(&plug[at..at + SECTOR], &key);
            memchr::memmem::find(&block, b"Rm9ybWVyLU5ldHdvcms=").is_some()
        };
        assert!(!(0..LIVE).any(holds));
        assert!((LIVE..17).any(holds));
    }
}
