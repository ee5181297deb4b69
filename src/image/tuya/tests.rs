//! A store built by hand, for what no sample dump shows.

use super::kv::{MAGIC, MAGIC_TUYAOS, PAGE_LEN};
use super::*;

const KEY: [u8; 16] = *b"sixteen byte key";
const SECTOR_LEN: usize = 0x1000;

fn sealed(key: &[u8; 16], mut plain: Vec<u8>) -> Vec<u8> {
    let sum = cipher::sector_sum(&plain).to_le_bytes();
    plain[4..8].copy_from_slice(&sum);
    cipher::encrypt(key, &plain)
}

fn key_block() -> Vec<u8> {
    let mut plain = vec![0xFF; SECTOR_LEN];
    plain[..4].copy_from_slice(&cipher::KEY_MAGIC.to_le_bytes());
    plain[4..8].copy_from_slice(&cipher::sum(&KEY).to_le_bytes());
    plain[8..24].copy_from_slice(&KEY);
    cipher::encrypt(&cipher::MASTER_KEY, &plain)
}

/// A value in a block under construction: name, index page, parts as (block, first, last), text, live.
type Value<'a> = (&'a str, u8, &'a [(u16, u8, u8)], &'a str, bool);

fn block(magic: u32, id: u16, generation: u32, values: &[Value<'_>]) -> Vec<u8> {
    let mut plain = vec![0xFF; SECTOR_LEN];
    plain[..4].copy_from_slice(&magic.to_le_bytes());
    plain[8..10].copy_from_slice(&id.to_le_bytes());
    plain[10..14].copy_from_slice(&generation.to_le_bytes());
    plain[14..19].copy_from_slice(&[4, 0, 0, 0, 0]);
    for (name, page, parts, text, live) in values {
        let at = usize::from(*page) * PAGE_LEN;
        let index = &mut plain[at..at + PAGE_LEN];
        index[..4].copy_from_slice(&cipher::sum(text.as_bytes()).to_le_bytes());
        index[4..8].copy_from_slice(&(text.len() as u32).to_le_bytes());
        index[8..10].copy_from_slice(&id.to_le_bytes());
        index[10] = *page;
        index[11..13].copy_from_slice(&(parts.len() as u16).to_le_bytes());
        index[17] = name.len() as u8 + 1;
        index[18..18 + name.len()].copy_from_slice(name.as_bytes());
        index[18 + name.len()] = 0;
        let mut left = text.as_bytes();
        for (number, (home, first, last)) in parts.iter().enumerate() {
            let part = 19 + name.len() + number * 4;
            plain[at + part..at + part + 2].copy_from_slice(&home.to_le_bytes());
            plain[at + part + 2..at + part + 4].copy_from_slice(&[*first, *last]);
            let start = usize::from(*first) * PAGE_LEN;
            let here = left.len().min(usize::from(last - first + 1) * PAGE_LEN);
            plain[start..start + here].copy_from_slice(&left[..here]);
            left = &left[here..];
        }
        if *live {
            plain[15 + usize::from(page / 8)] |= 1 << (page % 8);
        }
    }
    sealed(&cipher::data_key(&KEY), plain)
}

fn store(blocks: &[Vec<u8>]) -> Vec<u8> {
    [key_block()].iter().chain(blocks).flatten().copied().collect()
}

fn live(bytes: &[u8], name: &str) -> String {
    let found = kv::find(bytes).unwrap();
    String::from_utf8_lossy(&found.value(name).unwrap().value).into_owned()
}

#[test]
fn a_key_block_is_known_by_its_magic() {
    let mut sector = key_block();
    assert!(is_key_block(&sector));
    sector[0] ^= 1;
    assert!(!is_key_block(&sector));
    assert!(!is_key_block(&[0; 15]));
}

#[test]
fn the_highest_generation_counts_wherever_it_stands_and_older_values_are_kept_apart() {
    for magic in [MAGIC, MAGIC_TUYAOS] {
        let copy = |generation, text| block(magic, 3, generation, &[("em_sys_env", 1, &[(3, 2, 2)], text, true)]);
        let bytes = store(&[copy(7, "old"), copy(9, "new"), copy(8, "older")]);
        let found = kv::find(&bytes).unwrap();
        assert_eq!(live(&bytes, "em_sys_env"), "new");
        let states: Vec<BlockState> = found.blocks.iter().map(|block| block.state).collect();
        assert_eq!(states, [BlockState::Older, BlockState::Newest, BlockState::Older]);
        let stale: Vec<&[u8]> = found.entries.iter().filter(|entry| !entry.live).map(|entry| &*entry.value).collect();
        assert_eq!(stale, [&b"older"[..], b"old"], "the one replaced last comes first");
    }
}

#[test]
fn a_value_in_parts_over_pages_that_do_not_follow_one_another_is_joined() {
    let text: String = ('a'..='z').cycle().take(300).collect();
    let bytes = store(&[block(MAGIC, 0, 1, &[("timer_arr", 4, &[(0, 9, 9), (0, 2, 3)], &text, true)])]);
    assert_eq!(live(&bytes, "timer_arr"), text);
}

#[test]
fn a_cleared_page_is_no_live_value() {
    let bytes = store(&[block(MAGIC, 0, 1, &[("gw_wsm", 1, &[(0, 2, 2)], "{}", false)])]);
    let found = kv::find(&bytes).unwrap();
    assert_eq!(found.live().count(), 0);
    assert_eq!(found.entries[0].name, "gw_wsm");
    assert!(found.value("gw_wsm").is_none(), "what was deleted is not brought back");
}

#[test]
fn a_damaged_newest_copy_gives_way_to_a_good_older_one_and_is_named() {
    let copy = |generation, text| block(MAGIC, 3, generation, &[("em_sys_env", 1, &[(3, 2, 2)], text, true)]);
    let mut bytes = store(&[copy(7, "BK7231S_2M"), copy(9, "bk7231n")]);
    let last = bytes.len() - 100;
    bytes[last] ^= 0x10;
    assert_eq!(live(&bytes, "em_sys_env"), "BK7231S_2M");
    let tuya = read(&bytes, Kind::ConfigOnly, None);
    assert!(tuya.problems.iter().any(|problem| problem.code == Finding::BAD_STORE_BLOCK));
    assert!(!tuya.store.as_ref().unwrap().is_intact());
}

#[test]
fn a_value_whose_sum_is_wrong_is_told_and_proves_nothing() {
    let mut plain = cipher::decrypt(
        &cipher::data_key(&KEY),
        &block(MAGIC, 3, 1, &[("em_sys_env", 1, &[(3, 2, 2)], "bk7231n", true)]),
    );
    plain[2 * PAGE_LEN] ^= 1;
    let bytes = store(&[sealed(&cipher::data_key(&KEY), plain)]);
    let tuya = read(&bytes, Kind::ConfigOnly, None);
    assert!(tuya.problems.iter().any(|problem| problem.code == Finding::BAD_STORE_VALUE));
    assert_eq!(tuya.votes(), []);
    assert_eq!(tuya.text_of("em_sys_env"), None);
}

#[test]
fn a_store_is_found_off_the_sector_grid() {
    let pins = "{rl1_pin:26,module:WB2S,crc:5,}";
    let inner = store(&[block(MAGIC, 0, 1, &[("user_param_key", 1, &[(0, 2, 2)], pins, true)])]);
    let bytes = [&[0x5A; 0x123][..], &inner].concat();
    let tuya = read(&bytes, Kind::Unknown, None);
    assert_eq!(tuya.store.as_ref().unwrap().key_block.offset, 0x123);
    let found = tuya.param.as_ref().unwrap();
    assert_eq!((found.source, found.param.number("rl1_pin")), (Source::Kv, Some(26)));
    assert_eq!(found.offset_of(1), Some(0x123 + 0x1000 + 2 * PAGE_LEN as u32 + 1));
    assert_eq!(tuya.votes(), [(Family::Bk7231T, "module WB2S in user_param_key".to_owned())]);
}

#[test]
fn a_serial_rate_without_pins_means_a_second_processor() {
    let rate = ("uart_adapt_params", 1, &[(0, 2, 2)][..], "{\"uart_baud\":115200}", true);
    let tuya = read(&store(&[block(MAGIC, 0, 1, &[rate])]), Kind::ConfigOnly, None);
    assert!(tuya.is_tuyamcu());
    assert_eq!(tuya.baud(), Some(115_200));
    let pins = ("user_param_key", 5, &[(0, 6, 6)][..], "{rl1_pin:26,}", true);
    let tuya = read(&store(&[block(MAGIC, 0, 1, &[rate, pins])]), Kind::ConfigOnly, None);
    assert!(!tuya.is_tuyamcu());
}

#[test]
fn a_protected_block_is_opened_and_sealed_again() {
    let mut inner = vec![0xFF; SECTOR_LEN - protected::HEADER_LEN];
    inner[..4].copy_from_slice(&9_u32.to_le_bytes());
    inner[4..36].fill(0);
    inner[4..9].copy_from_slice(b"gw_bi");
    inner[36..45].copy_from_slice(b"{\"a\":\"b\"}");
    let mut outer = vec![0xFF; protected::HEADER_LEN];
    outer[..4].copy_from_slice(&cipher::KEY_MAGIC.to_le_bytes());
    outer[8..24].copy_from_slice(&KEY);
    outer[24..28].copy_from_slice(&45_u32.to_le_bytes());
    outer.extend(cipher::encrypt(&cipher::data_key(&KEY), &inner));
    let sector = sealed(&cipher::MASTER_KEY, outer);
    let found = protected::find_all(&sector, 0);
    assert_eq!(found.len(), 1);
    assert!(found[0].good);
    assert_eq!(found[0].entries, [("gw_bi".to_owned(), 36..45)]);
    assert_eq!(found[0].sealed(&sector), sector);
    assert!(kv::find(&sector).is_none(), "a protected block is no store");
}
