//! The key-value store itself: a key block, then data blocks of 4 KiB with 31 pages each (formats.md §8). Every block
//! keeps a generation counter; older copies of a block and cleared pages keep what was deleted.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::cipher::{self, ERASED_UNDER_MASTER, KEY_MAGIC, MASTER_KEY};
use crate::image::bytes::{all, cut, u32_le};
use crate::units::{SECTOR, Span};

const SECTOR_LEN: usize = SECTOR as usize;
/// Bytes of a page; page 0 holds the block's own header.
pub const PAGE_LEN: usize = 128;
/// Pages of a block, the header's included.
pub const PAGES: u8 = 32;
/// First word of a data block of the older Tuya SDK.
pub const MAGIC: u32 = 0x9876_1234;
/// First word of a data block of TuyaOS 3.
pub const MAGIC_TUYAOS: u32 = 0x1357_26AB;
/// Data blocks of a store on T and N.
pub const DATA_BLOCKS: usize = 17;
/// The most data blocks looked at, for other platforms.
const MOST_BLOCKS: usize = 32;

/// The key block of a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyBlock {
    /// File offset.
    pub offset: usize,
    /// The key that the data blocks' key is made from.
    pub key: [u8; 16],
    /// Whether the checksum over the key matches.
    pub good: bool,
}

/// What a data block is to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockState {
    /// The newest copy of its block id.
    Newest,
    /// An older copy.
    Older,
    /// Its checksum does not match; used only where no good copy is left.
    Damaged,
}

/// A data block, decrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    /// File offset.
    pub offset: usize,
    /// First word: [`MAGIC`] or [`MAGIC_TUYAOS`].
    pub magic: u32,
    /// Block id; several blocks may carry the same one.
    pub id: u16,
    /// Counts up with every copy.
    pub generation: u32,
    /// Whether the checksum matches.
    pub good: bool,
    /// What it is to the store.
    pub state: BlockState,
    /// The whole sector, decrypted.
    pub plain: Vec<u8>,
}

impl Block {
    fn read(bytes: &[u8], offset: usize, key: &[u8; 16]) -> Option<Self> {
        let sector = bytes.get(offset..offset.checked_add(SECTOR_LEN)?)?;
        let magic = u32_le(&cipher::decrypt(key, &sector[..16]), 0)?;
        if !matches!(magic, MAGIC | MAGIC_TUYAOS) {
            return None;
        }
        let plain = cipher::decrypt(key, sector);
        Some(Self {
            offset,
            magic,
            id: u16_le(&plain, 8)?,
            generation: u32_le(&plain, 10)?,
            good: u32_le(&plain, 4) == Some(cipher::sector_sum(&plain)),
            state: BlockState::Older,
            plain,
        })
    }

    /// The bytes of a page; empty for a number above 31.
    pub fn page(&self, page: u8) -> &[u8] {
        let at = usize::from(page) * PAGE_LEN;
        cut(&self.plain, at, at + PAGE_LEN)
    }

    /// Whether the map names `page` as a live index page.
    pub fn is_live(&self, page: u8) -> bool {
        let map = cut(&self.plain, 15, 15 + usize::from(self.plain.get(14).copied().unwrap_or(0)).min(4));
        map.get(usize::from(page / 8)).is_some_and(|byte| byte >> (page % 8) & 1 == 1)
    }

    /// Bytes of the index page at offset `at` that say something; the rest belongs to an older value.
    pub fn index_len(&self, at: usize) -> Option<usize> {
        let page = cut(&self.plain, at, at + PAGE_LEN);
        let len = 18 + usize::from(*page.get(17)?) + usize::from(u16_le(page, 11)?) * 4;
        (len <= PAGE_LEN).then_some(len)
    }

    /// What an index page at `page` says; `None` when it is none.
    fn index(&self, page: u8) -> Option<Index> {
        let bytes = self.page(page);
        let name_len = usize::from(*bytes.get(17)?);
        let name = bytes.get(18..18 + name_len)?.split(|byte| *byte == 0).next()?;
        let printable = !name.is_empty() && name.iter().all(|byte| (0x21..0x7F).contains(byte));
        let here = u16_le(bytes, 8) == Some(self.id) && bytes.get(10) == Some(&page);
        if !printable || !here {
            return None;
        }
        let count = usize::from(u16_le(bytes, 11)?);
        let parts = (0..count).map_while(|number| {
            let part = bytes.get(18 + name_len + number * 4..)?.first_chunk::<4>()?;
            let (first, last) = (part[2], part[3]);
            let sane = (1..PAGES).contains(&first) && (first..PAGES).contains(&last);
            sane.then(|| Part { block: u16::from_le_bytes([part[0], part[1]]), first, last })
        });
        let parts: Vec<Part> = parts.collect();
        Some(Index {
            name: String::from_utf8_lossy(name).into_owned(),
            sum: u32_le(bytes, 0)?,
            len: u32_le(bytes, 4)? as usize,
            whole: parts.len() == count,
            parts,
        })
    }
}

struct Part {
    block: u16,
    first: u8,
    last: u8,
}

struct Index {
    name: String,
    sum: u32,
    len: usize,
    parts: Vec<Part>,
    whole: bool,
}

/// A value with its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// File offset of its index page.
    pub index: usize,
    /// Where the value's bytes stand in the file, in their order.
    pub places: Vec<Span>,
    /// The value, as long as it could be read.
    pub value: Vec<u8>,
    /// Whether length and checksum match.
    pub good: bool,
    /// Whether the newest copy of its block names it; the others were deleted or replaced.
    pub live: bool,
}

impl Entry {
    /// The value without the NULs it ends in.
    pub fn text(&self) -> &[u8] {
        let len = self.value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &self.value[..len]
    }
}

/// A store that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Store {
    /// The key block.
    pub key_block: KeyBlock,
    /// The data blocks in file order.
    pub blocks: Vec<Block>,
    /// File offsets of sectors inside the store that hold neither a data block nor erased flash.
    pub unreadable: Vec<usize>,
    /// Data blocks that the file ends before.
    pub missing: usize,
    /// Every value of every copy: live ones first, then what was deleted or replaced.
    pub entries: Vec<Entry>,
}

impl Store {
    /// The key of the data blocks.
    pub fn data_key(&self) -> [u8; 16] {
        cipher::data_key(&self.key_block.key)
    }

    /// The live values.
    pub fn live(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.live)
    }

    /// The live value of `name`; when it is damaged, an undamaged older one is taken instead.
    pub fn value(&self, name: &str) -> Option<&Entry> {
        let live = self.live().find(|entry| entry.name == name);
        match live {
            Some(entry) if entry.good => Some(entry),
            _ => self.entries.iter().find(|entry| entry.name == name && entry.good).filter(|_| live.is_some()).or(live),
        }
    }

    /// First word of the data blocks: that of the first one.
    pub fn magic(&self) -> Option<u32> {
        self.blocks.first().map(|block| block.magic)
    }

    /// Whether every block and every live value is as it was written.
    pub fn is_intact(&self) -> bool {
        self.bad_blocks() == 0 && self.missing == 0 && self.live().all(|entry| entry.good)
    }

    /// Data blocks with a bad checksum, and sectors that are no block at all.
    pub fn bad_blocks(&self) -> usize {
        self.unreadable.len() + self.blocks.iter().filter(|block| !block.good).count()
    }
}

/// Finds the store wherever it is; of several the one with the most good data blocks.
pub fn find(bytes: &[u8]) -> Option<Store> {
    let stores = key_blocks(bytes).into_iter().map(|key_block| read(bytes, key_block));
    // A protected block looks like a key block whose checksum is wrong; no data block opens with its key.
    let stores = stores.filter(|store| store.key_block.good || !store.blocks.is_empty());
    stores.max_by_key(|store| (store.blocks.iter().filter(|block| block.good).count(), store.key_block.good))
}

/// Key blocks anywhere in the file: at the start of a sector, or in front of erased bytes under the master key.
fn key_blocks(bytes: &[u8]) -> Vec<KeyBlock> {
    let behind = memmem::find_iter(bytes, &ERASED_UNDER_MASTER).filter_map(|erased| erased.checked_sub(32));
    let starts: BTreeSet<usize> = behind.chain((0..bytes.len()).step_by(SECTOR_LEN)).collect();
    starts.into_iter().filter_map(|start| key_block_at(bytes, start)).collect()
}

fn key_block_at(bytes: &[u8], offset: usize) -> Option<KeyBlock> {
    let plain = cipher::decrypt(&MASTER_KEY, bytes.get(offset..offset.checked_add(32)?)?);
    if u32_le(&plain, 0)? != KEY_MAGIC {
        return None;
    }
    let key = *plain.get(8..)?.first_chunk::<16>()?;
    // A protected block has the same magic, and its checksum covers more than the key.
    let good = u32_le(&plain, 4)? == cipher::sum(&key);
    Some(KeyBlock { offset, key, good })
}

fn read(bytes: &[u8], key_block: KeyBlock) -> Store {
    let key = cipher::data_key(&key_block.key);
    let (mut blocks, mut unreadable, mut missing) = (Vec::new(), Vec::new(), 0);
    for number in 0..MOST_BLOCKS {
        let offset = key_block.offset + (number + 1) * SECTOR_LEN;
        match Block::read(bytes, offset, &key) {
            Some(block) => blocks.push(block),
            None if number >= DATA_BLOCKS => break,
            None if offset + SECTOR_LEN > bytes.len() => missing += 1,
            None if all(&bytes[offset..offset + SECTOR_LEN], 0xFF) => {}
            None => unreadable.push(offset),
        }
    }
    let newest = mark_newest(&mut blocks);
    let entries = entries(&blocks, &newest);
    Store { key_block, blocks, unreadable, missing, entries }
}

/// Marks the newest good copy of every id, or the newest damaged one where no good copy is left, and lists them.
fn mark_newest(blocks: &mut [Block]) -> BTreeMap<u16, usize> {
    let mut newest: BTreeMap<u16, usize> = BTreeMap::new();
    for (number, block) in blocks.iter().enumerate() {
        let rank = |block: &Block| (block.good, block.generation);
        match newest.get(&block.id) {
            Some(&other) if rank(&blocks[other]) >= rank(block) => {}
            _ => {
                newest.insert(block.id, number);
            }
        }
    }
    for (number, block) in blocks.iter_mut().enumerate() {
        block.state = match (block.good, newest.get(&block.id) == Some(&number)) {
            (false, _) => BlockState::Damaged,
            (true, true) => BlockState::Newest,
            (true, false) => BlockState::Older,
        };
    }
    newest
}

fn entries(blocks: &[Block], newest: &BTreeMap<u16, usize>) -> Vec<Entry> {
    let (mut live, mut rest): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
    // Younger copies first, so that what was replaced last is found first.
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|number| std::cmp::Reverse(blocks[*number].generation));
    for number in order {
        let block = &blocks[number];
        let chosen = newest.get(&block.id) == Some(&number);
        for page in 1..PAGES {
            let Some(index) = block.index(page) else { continue };
            let is_live = chosen && block.is_live(page);
            let mut entry = entry(block, page, index, blocks, newest);
            // Two live copies of one name occur only where a write was cut off; the better one counts.
            let twin = live.iter().position(|other: &Entry| other.name == entry.name);
            match (is_live, twin) {
                (true, None) => {
                    entry.live = true;
                    live.push(entry);
                }
                (true, Some(twin)) if entry.good && !live[twin].good => {
                    entry.live = true;
                    let mut worse = std::mem::replace(&mut live[twin], entry);
                    worse.live = false;
                    rest.push(worse);
                }
                _ => rest.push(entry),
            }
        }
    }
    live.sort_by(|a, b| a.name.cmp(&b.name));
    live.extend(rest);
    live
}

fn entry(block: &Block, page: u8, index: Index, blocks: &[Block], newest: &BTreeMap<u16, usize>) -> Entry {
    let (mut value, mut places) = (Vec::new(), Vec::new());
    let mut whole = index.whole;
    for part in &index.parts {
        // A part in the same block belongs to the same copy of it.
        let home = if part.block == block.id { Some(block) } else { newest.get(&part.block).map(|at| &blocks[*at]) };
        let Some(home) = home else {
            whole = false;
            break;
        };
        let (start, end) = (usize::from(part.first) * PAGE_LEN, (usize::from(part.last) + 1) * PAGE_LEN);
        let wanted = index.len.saturating_sub(value.len()).min(end - start);
        value.extend_from_slice(cut(&home.plain, start, start + wanted));
        places.push(Span::new((home.offset + start) as u32, wanted as u32));
    }
    whole &= value.len() == index.len;
    Entry {
        good: whole && cipher::sum(&value) == index.sum,
        name: index.name,
        index: block.offset + usize::from(page) * PAGE_LEN,
        places,
        value,
        live: false,
    }
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_le_bytes(*word))
}
