//! Writing littlefs: a file area is always made anew, with every file in it. Metadata stands in one commit; files of more
//! than a few bytes have blocks of their own, since OpenBeken's buffer for files inside the metadata is that small.

use std::collections::BTreeMap;

use super::read::{FileSystem, pointers};
use super::tag::{self, Tag};
use super::{ATTR_MAX, BLOCK, CRC, FILE_MAX, MAGIC, NAME_MAX, VERSION};
use crate::problem::{Class, Explain, Problem};

/// The largest file that stands inside the metadata, in bytes: OpenBeken's `cache_size`.
const INLINE_MAX: usize = 16;
/// Bytes of metadata that a pair holds at most, so that OpenBeken has room for its own changes in it.
const PAIR_MAX: usize = BLOCK / 2;
/// Blocks that stay free: OpenBeken needs some to change a file.
const SPARE: usize = 2;

/// Why a file area cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The files need more blocks than there are.
    #[error("the files need {needed} blocks of 4 KiB, and the file area has {blocks}")]
    Full {
        /// Blocks that are needed, spare ones included.
        needed: usize,
        /// Blocks that there are.
        blocks: usize,
    },
    /// A name is empty, too long, or holds a slash at the wrong place.
    #[error("{path:?} is not a usable path")]
    Path {
        /// The path.
        path: String,
    },
    /// A file would have to be a folder too.
    #[error("{path:?} is both a file and a folder")]
    Twice {
        /// The path.
        path: String,
    },
    /// The size is not a number of blocks that OpenBeken accepts.
    #[error("a file area of {len} bytes is not possible")]
    Size {
        /// The size in bytes.
        len: usize,
    },
    /// What was made does not read back; a fault of the program.
    #[error("the file area that was made does not read back")]
    NotReadBack,
}

impl Explain for WriteError {
    fn explain(&self) -> Problem {
        let (cause, remedy) = match self {
            Self::Full { .. } => {
                ("files and folders take whole blocks, and two blocks stay free", "use fewer or smaller files")
            }
            Self::Path { .. } => ("names have 1 to 255 bytes; folders are separated by one slash", "rename the file"),
            Self::Twice { .. } => ("two files of the list need the same name", "rename one of them"),
            Self::Size { .. } => ("OpenBeken accepts 16 KiB or more, in steps of 4 KiB", "use the usual size, 32 KiB"),
            Self::NotReadBack => ("a bug in bkbench", "please report it"),
        };
        let class = if *self == Self::NotReadBack { Class::Internal } else { Class::Usage };
        Problem::new(class, "E781", self.to_string(), cause, remedy)
    }
}

/// A folder that is being made.
#[derive(Default)]
struct Folder<'a> {
    files: BTreeMap<String, &'a [u8]>,
    folders: BTreeMap<String, Folder<'a>>,
}

impl<'a> Folder<'a> {
    fn add(&mut self, path: &str, content: &'a [u8], whole: &str) -> Result<(), WriteError> {
        let bad = || WriteError::Path { path: whole.to_owned() };
        let twice = || WriteError::Twice { path: whole.to_owned() };
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let plain =
            !name.is_empty() && name.len() <= NAME_MAX as usize && !matches!(name, "." | "..") && !name.contains('\0');
        if !plain {
            return Err(bad());
        }
        match rest {
            Some(_) if self.files.contains_key(name) => Err(twice()),
            Some(rest) => self.folders.entry(name.to_owned()).or_default().add(rest, content, whole),
            None if self.folders.contains_key(name) => Err(twice()),
            None => self.files.insert(name.to_owned(), content).map_or(Ok(()), |_| Err(twice())),
        }
    }
}

/// A file area of `len` bytes with these files: path and content. The same files make the same bytes.
///
/// # Errors
/// [`WriteError`].
pub fn image(len: usize, files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, WriteError> {
    if !len.is_multiple_of(BLOCK) || len < 4 * BLOCK {
        return Err(WriteError::Size { len });
    }
    let mut root = Folder::default();
    for (path, content) in files {
        root.add(path.trim_start_matches('/'), content, path)?;
    }
    let mut writer = Writer { bytes: vec![0xFF; len], next: 2, blocks: len / BLOCK };
    writer.tree(&root)?;
    let needed = writer.next + SPARE;
    if needed > writer.blocks {
        return Err(WriteError::Full { needed, blocks: writer.blocks });
    }
    let read = FileSystem::read(&writer.bytes).ok_or(WriteError::NotReadBack)?;
    let same =
        |(path, content): &(String, Vec<u8>)| read.file(path).and_then(|file| file.content.as_ref()) == Some(content);
    let good = read.faults.is_empty() && read.files.len() == files.len() && files.iter().all(same);
    if good { Ok(writer.bytes) } else { Err(WriteError::NotReadBack) }
}

/// The file area with these files added to those that it has; a file of the same path is replaced. `old` may hold no file
/// system at all. What cannot be read of it is not in the new one: see [`FileSystem::faults`].
///
/// # Errors
/// [`WriteError`].
pub fn image_with(old: &[u8], len: usize, added: &[(String, Vec<u8>)]) -> Result<Vec<u8>, WriteError> {
    let plain = |path: &str| path.trim_start_matches('/').to_owned();
    let new: BTreeMap<String, &Vec<u8>> = added.iter().map(|(path, content)| (plain(path), content)).collect();
    let kept = FileSystem::read(old).map(|old| old.files).unwrap_or_default().into_iter();
    let kept = kept.filter(|file| !new.contains_key(&file.path)).filter_map(|file| Some((file.path, file.content?)));
    let mut all: Vec<(String, Vec<u8>)> = kept.collect();
    all.extend(new.iter().map(|(path, content)| (path.clone(), (*content).clone())));
    image(len, &all)
}

struct Writer {
    bytes: Vec<u8>,
    /// The first block that is free; those before it are given away, without a gap.
    next: usize,
    blocks: usize,
}

/// A tag with its data.
type Item = (Tag, Vec<u8>);

impl Writer {
    fn take(&mut self) -> u32 {
        self.next += 1;
        (self.next - 1) as u32
    }

    fn take_pair(&mut self) -> [u32; 2] {
        [self.take(), self.take()]
    }

    /// Writes the whole tree. All pairs stand in one chain: a folder's own by hard tails, the last one of a folder to the
    /// first one of the next folder by a soft tail.
    fn tree(&mut self, root: &Folder<'_>) -> Result<(), WriteError> {
        let mut chain: Vec<([u32; 2], Vec<Item>, bool)> = Vec::new();
        self.folder(root, [0, 1], true, &mut chain)?;
        let pairs: Vec<[u32; 2]> = chain.iter().map(|(pair, ..)| *pair).collect();
        for (number, (pair, mut items, more)) in chain.into_iter().enumerate() {
            if let Some(next) = pairs.get(number + 1) {
                let kind = if more { tag::HARD_TAIL } else { tag::SOFT_TAIL };
                items.push((Tag::new(kind, Tag::NO_ID, 8), words(next)));
            }
            self.commit(pair, &items);
        }
        Ok(())
    }

    /// Lays out a folder and those inside it.
    fn folder(
        &mut self,
        folder: &Folder<'_>,
        first: [u32; 2],
        is_root: bool,
        chain: &mut Vec<([u32; 2], Vec<Item>, bool)>,
    ) -> Result<(), WriteError> {
        let mut pairs: Vec<Vec<Item>> = vec![if is_root { self.superblock() } else { Vec::new() }];
        let mut inside = Vec::new();
        // littlefs keeps the names of a folder sorted, files and folders alike.
        let mut names: Vec<&String> = folder.files.keys().chain(folder.folders.keys()).collect();
        names.sort();
        for name in names {
            let made = match folder.files.get(name) {
                Some(content) => [(tag::REG, name.as_bytes().to_vec()), self.content(content)?],
                None => {
                    let pair = self.take_pair();
                    inside.extend(folder.folders.get(name).map(|folder| (folder, pair)));
                    [(tag::DIR, name.as_bytes().to_vec()), (tag::DIR_STRUCT, words(&pair))]
                }
            };
            self.room()?;
            add_entry(&mut pairs, made);
        }
        let count = pairs.len();
        for (number, items) in pairs.into_iter().enumerate() {
            let pair = if number == 0 { first } else { self.take_pair() };
            chain.push((pair, items, number + 1 < count));
        }
        self.room()?;
        for (folder, pair) in inside {
            self.folder(folder, pair, false, chain)?;
        }
        Ok(())
    }

    fn room(&self) -> Result<(), WriteError> {
        let needed = self.next + SPARE;
        if needed > self.blocks { Err(WriteError::Full { needed, blocks: self.blocks }) } else { Ok(()) }
    }

    fn superblock(&self) -> Vec<Item> {
        let fields = [VERSION, BLOCK as u32, self.blocks as u32, NAME_MAX, FILE_MAX, ATTR_MAX];
        vec![(Tag::new(tag::SUPERBLOCK, 0, 8), MAGIC.to_vec()), (Tag::new(tag::INLINE, 0, 24), words(&fields))]
    }

    /// The content of a file: inside the metadata, or as a skip list.
    fn content(&mut self, content: &[u8]) -> Result<(u16, Vec<u8>), WriteError> {
        if content.len() <= INLINE_MAX {
            return Ok((tag::INLINE, content.to_vec()));
        }
        let (mut blocks, mut left): (Vec<u32>, &[u8]) = (Vec::new(), content);
        while !left.is_empty() {
            self.room()?;
            let (index, block) = (blocks.len(), self.take());
            let mut data: Vec<u8> = Vec::with_capacity(BLOCK);
            for power in 0..pointers(index) {
                data.extend(blocks[index - (1 << power)].to_le_bytes());
            }
            let (now, later) = left.split_at(left.len().min(BLOCK - data.len()));
            data.extend(now);
            self.put(block, &data);
            blocks.push(block);
            left = later;
        }
        let head = blocks.last().copied().unwrap_or(0);
        Ok((tag::CTZ, words(&[head, content.len() as u32])))
    }

    fn put(&mut self, block: u32, data: &[u8]) {
        let start = block as usize * BLOCK;
        if let Some(place) = self.bytes.get_mut(start..start + data.len()) {
            place.copy_from_slice(data);
        }
    }

    /// Writes a pair: both blocks hold the same, the second one with the higher number, as after littlefs's own format.
    fn commit(&mut self, pair: [u32; 2], items: &[Item]) {
        for (revision, block) in (1_u32..).zip(pair) {
            self.put(block, &commit(revision, items));
        }
    }
}

/// Bytes that an entry takes in the metadata.
fn size(items: &[Item]) -> usize {
    items.iter().map(|(_, data)| 4 + data.len()).sum()
}

/// Adds an entry to the last pair of a folder, or to a new one when that is full.
fn add_entry(pairs: &mut Vec<Vec<Item>>, [(kind, name), (form, body)]: [(u16, Vec<u8>); 2]) {
    let needed = 8 + name.len() + body.len();
    if pairs.last().is_some_and(|items| size(items) + needed > PAIR_MAX) {
        pairs.push(Vec::new());
    }
    if let Some(items) = pairs.last_mut() {
        // A block that was made in one go names its files without creating them first.
        let id = items.iter().filter(|(tag, _)| tag.kind <= tag::SUPERBLOCK).count() as u16;
        items.push((Tag::new(kind, id, name.len() as u16), name));
        items.push((Tag::new(form, id, body.len() as u16), body));
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A block with one commit.
fn commit(revision: u32, items: &[Item]) -> Vec<u8> {
    let mut bytes = revision.to_le_bytes().to_vec();
    let mut previous = u32::MAX;
    let push = |bytes: &mut Vec<u8>, previous: &mut u32, tag: Tag| {
        bytes.extend((tag.word() ^ *previous).to_be_bytes());
        *previous = tag.word();
    };
    for (tag, data) in items {
        push(&mut bytes, &mut previous, *tag);
        bytes.extend(data);
    }
    // What follows is erased: its first bit reads 1. The tag that stands there is compared with this one, whose first bit
    // is 0, so it fails as it should without a turn of that bit.
    push(&mut bytes, &mut previous, Tag::new(tag::CRC, Tag::NO_ID, 4));
    let sum = CRC.checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}
