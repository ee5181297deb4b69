//! Reading littlefs. Whatever the bytes are, nothing is followed twice and nothing is read outside of them; what cannot be
//! read is told as a [`Fault`], and what is whole is still listed.

use std::collections::BTreeSet;

use super::tag::{self, Tag};
use super::{BLOCK, CRC, MAGIC};
use crate::image::bytes::{cut, u32_be, u32_le};

/// Folders inside folders that are followed.
const DEEPEST: usize = 16;
/// Files that are listed at most.
const MOST: usize = 10_000;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path from the root, with slashes; letters that cannot be shown are left as they are.
    pub path: String,
    /// What is in it; `None` when its blocks cannot be read.
    pub content: Option<Vec<u8>>,
    /// Its length in bytes.
    pub len: u32,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of what it belongs to.
    pub path: String,
    /// What is wrong.
    pub what: String,
}

/// A file system that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Version of the format.
    pub version: u32,
    /// Blocks that it says it has.
    pub blocks: u32,
    /// Blocks in use: metadata and contents.
    pub used: usize,
    /// The files, folder by folder, in their order.
    pub files: Vec<File>,
    /// Folders, with their paths.
    pub folders: Vec<String>,
    /// What could not be read.
    pub faults: Vec<Fault>,
}

impl FileSystem {
    /// Reads the file system that starts at the first byte; `None` when there is none, or of another block size.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let root = Pair::read(bytes, [0, 1])?;
        let block = superblock(&root)?;
        let (version, size, blocks) = (u32_le(block, 0)?, u32_le(block, 4)?, u32_le(block, 8)?);
        if version >> 16 != 2 || size as usize != BLOCK || blocks < 2 {
            return None;
        }
        let len = bytes.len().min((blocks as usize).saturating_mul(BLOCK));
        let mut reader = Reader {
            bytes: &bytes[..len],
            seen: BTreeSet::new(),
            used: BTreeSet::new(),
            state: 0,
            found: Self::empty(version, blocks),
        };
        if len == bytes.len() && blocks as usize > len / BLOCK {
            reader.fault("/", format!("it has {blocks} blocks, and the dump ends after {}", bytes.len() / BLOCK));
        }
        reader.folder([0, 1], "", 0);
        // A type in it says that a file was being moved: it stands in two places.
        if reader.state >> 20 & 0x7FF != 0 {
            reader.fault("/", "a change of the files was cut off; OpenBeken finishes it when it starts");
        }
        reader.found.used = reader.used.len();
        Some(reader.found)
    }

    /// Whether these bytes are a whole file system without a fault, from the first to the last.
    pub fn fills(bytes: &[u8]) -> bool {
        Self::read(bytes).is_some_and(|found| found.faults.is_empty() && found.blocks as usize == bytes.len() / BLOCK)
    }

    /// Whether both blocks of the first pair can be read.
    pub(super) fn has_whole_pair(bytes: &[u8]) -> bool {
        let block = |number: usize| bytes.get(number * BLOCK..(number + 1) * BLOCK);
        [0, 1].into_iter().all(|number| block(number).is_some_and(|block| Pair::of_block(block).is_some()))
    }

    const fn empty(version: u32, blocks: u32) -> Self {
        Self { version, blocks, used: 0, files: Vec::new(), folders: Vec::new(), faults: Vec::new() }
    }

    /// The file of a path, as it is written in OpenBeken: with or without a slash in front.
    pub fn file(&self, path: &str) -> Option<&File> {
        let path = path.trim_start_matches('/');
        self.files.iter().find(|file| file.path == path)
    }
}

/// What the superblock entry holds; it is the first entry of the first pair.
fn superblock(root: &Pair) -> Option<&[u8]> {
    let entry = root.entries.first().filter(|entry| entry.kind == tag::SUPERBLOCK && entry.name == MAGIC)?;
    match &entry.body {
        Body::Inline(block) if block.len() >= 24 => Some(block),
        _ => None,
    }
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    Nothing,
    Inline(Vec<u8>),
    Ctz { head: u32, len: u32 },
    Folder([u32; 2]),
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kind: u16,
    name: Vec<u8>,
    body: Body,
}

impl Entry {
    const fn new() -> Self {
        Self { kind: 0, name: Vec::new(), body: Body::Nothing }
    }
}

/// A pair of metadata blocks, as its newer block has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    entries: Vec<Entry>,
    tail: Option<[u32; 2]>,
    /// Whether the next pair belongs to the same folder.
    hard: bool,
    /// Its share of the state that all pairs keep together.
    state: u32,
}

impl Pair {
    fn read(bytes: &[u8], blocks: [u32; 2]) -> Option<Self> {
        let read = |block: u32| {
            let start = (block as usize).checked_mul(BLOCK)?;
            let block = bytes.get(start..start.checked_add(BLOCK)?)?;
            Some((u32_le(block, 0)?, Self::of_block(block)?))
        };
        match (read(blocks[0]), read(blocks[1])) {
            // Numbers go round: the newer one is ahead by less than half of the circle.
            (Some((first, one)), Some((second, other))) => {
                Some(if first.wrapping_sub(second).cast_signed() >= 0 { one } else { other })
            }
            (Some((_, one)), None) | (None, Some((_, one))) => Some(one),
            (None, None) => None,
        }
    }

    /// The state after the last whole commit of a block; `None` when not even the first one is whole.
    fn of_block(block: &[u8]) -> Option<Self> {
        let mut done = None;
        let mut pair = Self { entries: Vec::new(), tail: None, hard: false, state: 0 };
        let (mut at, mut previous, mut start) = (4, u32::MAX, 0);
        while let Some(stored) = u32_be(block, at) {
            let word = stored ^ previous;
            let Some(tag) = Tag::from_word(word) else { break };
            let data = at + 4;
            let Some(bytes) = block.get(data..data + tag.data_len()) else { break };
            previous = word;
            at = data + tag.data_len();
            if tag.kind & 0x780 != tag::CRC {
                pair.apply(tag, bytes);
                continue;
            }
            let good = u32_le(bytes, 0) == Some(CRC.checksum(cut(block, start, data)));
            if !good {
                break;
            }
            // The lowest bit of its type turns the first bit of the tag that follows.
            previous ^= u32::from(tag.kind & 1) << 31;
            start = at;
            done = Some(pair.clone());
        }
        done
    }

    fn apply(&mut self, tag: Tag, data: &[u8]) {
        let id = usize::from(tag.id);
        match tag.kind {
            tag::CREATE if id <= self.entries.len() => self.entries.insert(id, Entry::new()),
            tag::DELETE if id < self.entries.len() => drop(self.entries.remove(id)),
            tag::SOFT_TAIL | tag::HARD_TAIL => {
                self.tail = pair_of(data);
                self.hard = tag.kind == tag::HARD_TAIL;
            }
            tag::MOVE_STATE => self.state = u32_le(data, 0).unwrap_or(0),
            0x000..=0x0FF => {
                // An entry may begin with its name alone.
                if id == self.entries.len() {
                    self.entries.push(Entry::new());
                }
                if let Some(entry) = self.entries.get_mut(id) {
                    (entry.kind, entry.name) = (tag.kind, data.to_vec());
                }
            }
            0x200..=0x2FF => {
                if let Some(entry) = self.entries.get_mut(id) {
                    entry.body = body(tag, data);
                }
            }
            _ => {}
        }
    }
}

fn body(tag: Tag, data: &[u8]) -> Body {
    match tag.kind {
        tag::INLINE => Body::Inline(data.to_vec()),
        tag::CTZ => match (u32_le(data, 0), u32_le(data, 4)) {
            (Some(head), Some(len)) => Body::Ctz { head, len },
            _ => Body::Nothing,
        },
        tag::DIR_STRUCT => pair_of(data).map_or(Body::Nothing, Body::Folder),
        _ => Body::Nothing,
    }
}

/// Two block numbers; all ones stand for none.
fn pair_of(data: &[u8]) -> Option<[u32; 2]> {
    let pair = [u32_le(data, 0)?, u32_le(data, 4)?];
    pair.iter().all(|block| *block != u32::MAX).then_some(pair)
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// Pairs that were read, by their lower block.
    seen: BTreeSet<u32>,
    /// Blocks in use.
    used: BTreeSet<u32>,
    /// The state of all pairs together.
    state: u32,
    found: FileSystem,
}

impl Reader<'_> {
    fn fault(&mut self, path: &str, what: impl Into<String>) {
        self.found.faults.push(Fault { path: path.to_owned(), what: what.into() });
    }

    /// Reads a folder: its first pair and those that belong to it.
    fn folder(&mut self, first: [u32; 2], path: &str, depth: usize) {
        let mut next = Some(first);
        while let Some(blocks) = next {
            let shown = if path.is_empty() { "/" } else { path };
            if !self.seen.insert(blocks[0].min(blocks[1])) {
                return self.fault(shown, "its blocks point back at blocks that were read already");
            }
            let Some(pair) = Pair::read(self.bytes, blocks) else {
                return self.fault(shown, format!("its blocks {} and {} cannot be read", blocks[0], blocks[1]));
            };
            self.used.extend(blocks);
            for entry in &pair.entries {
                self.entry(entry, path, depth);
            }
            self.state ^= pair.state;
            next = pair.tail.filter(|_| pair.hard);
        }
    }

    fn entry(&mut self, entry: &Entry, folder: &str, depth: usize) {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if self.found.files.len() >= MOST {
            return;
        }
        match (entry.kind, &entry.body) {
            (tag::REG, Body::Inline(content)) => {
                let len = content.len() as u32;
                self.found.files.push(File { path, content: Some(content.clone()), len });
            }
            (tag::REG, Body::Ctz { head, len }) => {
                let content = self.chain(*head, *len);
                if content.is_none() {
                    self.fault(&path, "its blocks cannot be read");
                }
                self.found.files.push(File { path, content, len: *len });
            }
            (tag::REG, _) => {
                self.found.files.push(File { path, content: Some(Vec::new()), len: 0 });
            }
            (tag::DIR, Body::Folder(pair)) if depth < DEEPEST => {
                self.found.folders.push(path.clone());
                self.folder(*pair, &path, depth + 1);
            }
            (tag::DIR, _) => self.fault(&path, "the folder cannot be read"),
            // The superblock, and what later versions may add.
            _ => {}
        }
    }

    /// The content of a skip list: its blocks stand in reverse, each with pointers to earlier ones in front.
    fn chain(&mut self, head: u32, len: u32) -> Option<Vec<u8>> {
        let len = len as usize;
        if len == 0 || len > self.bytes.len() {
            return (len == 0).then(Vec::new);
        }
        let (last, within) = index_of(len - 1);
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut at = head;
        for index in (0..=last).rev() {
            let start = (at as usize).checked_mul(BLOCK)?;
            let block = self.bytes.get(start..start.checked_add(BLOCK)?)?;
            self.used.insert(at);
            let end = if index == last { within + 1 } else { BLOCK };
            pieces.push(block.get(pointers(index) * 4..end)?);
            at = u32_le(block, 0)?;
        }
        let content: Vec<u8> = pieces.into_iter().rev().flatten().copied().collect();
        (content.len() == len).then_some(content)
    }
}

/// Pointers in front of the data of a file's block: one for every power of two that divides its number.
pub(super) const fn pointers(index: usize) -> usize {
    if index == 0 { 0 } else { index.trailing_zeros() as usize + 1 }
}

/// Block of a file and offset within it (pointers included) of a byte of the file.
pub(super) fn index_of(byte: usize) -> (usize, usize) {
    let (mut index, mut before) = (0, 0);
    loop {
        let room = BLOCK - pointers(index) * 4;
        if byte < before + room {
            return (index, byte - before + pointers(index) * 4);
        }
        before += room;
        index += 1;
    }
}
