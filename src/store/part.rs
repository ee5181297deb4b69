//! A backup that is being made: a file with what was read so far, which becomes the backup itself when all is read, and
//! a map beside it that tells how often each range was read. A line of the map counts only while its bytes still have
//! their checksum, so that nothing has to be forced to the disk in between.
//!
//! Both are called after the backup, the chip and its size: `plug.bin.bkbench-1a2b3c4d.part`. What stands under such a name
//! counts only when it is a file of this user with the map of this chip; anything else is left alone, and the next name
//! is taken.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::files::{LARGEST, beside, folder_of, sync_folder};
use crate::disk::{self, DiskError};
use crate::image::sha256_hex;
use crate::units::Span;

/// First word of a map.
const MARK: &str = "bkbench-part-2";
/// In the name of every started backup.
const IN_NAME: &str = ".bkbench-";
/// No map is as large as this, in bytes.
const LARGEST_MAP: u64 = 4 * 1024 * 1024;
/// Names tried, when others are taken.
const MOST: u32 = 100;

/// A started backup. No other process works at it.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    /// The lock is on this one; it is the process's, so that [`Part::take`] gets it from the job before.
    data: File,
    map: File,
}

/// What an earlier run has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The whole chip; only what the two lists name counts.
    pub bytes: Vec<u8>,
    /// Ranges read once.
    pub once: Vec<Span>,
    /// Ranges read twice, with the same result.
    pub twice: Vec<Span>,
}

/// Whether a file of this name may be a started backup.
pub fn is_named_so(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.to_string_lossy();
        name.contains(IN_NAME) && name.ends_with(".part") && !name.starts_with(IN_NAME)
    })
}

impl Part {
    /// Starts, or goes on with, the backup of the chip `chip_key` with `size` bytes that will be named `name`. Room for
    /// all of it, and for `beside` bytes more, is taken on the disk.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Missing`] for the folder, [`StoreError::Denied`], otherwise the disk's.
    pub fn open(name: &Path, chip_key: &str, size: u32, beside: u64) -> Result<(Self, Kept), StoreError> {
        let head = head(chip_key, size);
        for path in names(name, &head) {
            let (part, kept) = match Self::adopt(&path, &head, size) {
                Adopted::Ours(part, kept) => (part, kept),
                Adopted::Nothing => match Self::create(&path, &head)? {
                    Some(part) => (part, Kept::default()),
                    None => continue,
                },
                Adopted::Taken => continue,
            };
            if let Err(error) = disk::allocate(&part.data, size.into()).and_then(|()| disk::room(&part.data, beside)) {
                let error = StoreError::from_io(&part.path, "write", error);
                if kept.bytes.is_empty() {
                    part.discard();
                }
                return Err(error);
            }
            return Ok((part, kept));
        }
        Err(StoreError::Exists { path: beside_of(name, &head, 1) })
    }

    /// The started backup of that name, if there is one. The job of this process that filled it may have it yet, and must
    /// be done with it.
    pub(super) fn take(name: &Path, chip_key: &str, size: u32) -> Option<Self> {
        let head = head(chip_key, size);
        for path in names(name, &head) {
            match Self::adopt(&path, &head, size) {
                Adopted::Ours(part, _) => return Some(part),
                Adopted::Nothing => return None,
                Adopted::Taken => {}
            }
        }
        None
    }

    fn adopt(path: &Path, head: &str, size: u32) -> Adopted {
        let map = match disk::change_own(&map_of(path)) {
            Ok(map) => map,
            // Data without its map would be somebody else's.
            Err(error) if error.is_missing() && fs::symlink_metadata(path).is_err() => return Adopted::Nothing,
            Err(_) => return Adopted::Taken,
        };
        let Some((lines, map)) = lines_of(map, head) else { return Adopted::Taken };
        let data = match disk::change_own(path) {
            Err(error) if error.is_missing() => disk::create(path).map_err(DiskError::from),
            opened => opened,
        };
        let Ok(data) = data else { return Adopted::Taken };
        if !disk::is_ours_alone(&data).unwrap_or(false) || !disk::lock_for_process(&data) {
            return Adopted::Taken;
        }
        let part = Self { path: path.to_path_buf(), data, map };
        match part.kept(&lines, size) {
            Some(kept) => Adopted::Ours(part, kept),
            None => Adopted::Taken,
        }
    }

    /// What counts of the content. `None` when it cannot be that of a chip of this size.
    fn kept(&self, lines: &str, size: u32) -> Option<Kept> {
        let bytes = disk::all_of(&self.data, LARGEST).ok()?;
        // Killed before its room was taken.
        if bytes.is_empty() {
            return Some(Kept::default());
        }
        let kept = (bytes.len() == size as usize).then(|| read(bytes, lines))?;
        let nothing = kept.once.is_empty() && kept.twice.is_empty();
        Some(if nothing { Kept::default() } else { kept })
    }

    /// A new one; `None` when somebody else took the name.
    fn create(path: &Path, head: &str) -> Result<Option<Self>, StoreError> {
        use std::io::ErrorKind::AlreadyExists;
        let failed = |error| StoreError::from_io(path, "write", error);
        // The map first: data without a map would be taken for somebody else's.
        let map_path = map_of(path);
        let mut map = match disk::create(&map_path) {
            Err(error) if error.kind() == AlreadyExists => return Ok(None),
            made => made.map_err(failed)?,
        };
        let made = map.write_all(format!("{head}\n").as_bytes()).and_then(|()| disk::create(path));
        let data = match made {
            Ok(data) => data,
            Err(error) => {
                // The map was made a moment ago, by this very call.
                let _ = fs::remove_file(&map_path);
                return if error.kind() == AlreadyExists { Ok(None) } else { Err(failed(error)) };
            }
        };
        // Another process may have looked between the two, and has it now.
        Ok(disk::lock_for_process(&data).then(|| Self { path: path.to_path_buf(), data, map }))
    }

    /// Keeps what was read from `at` on.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&mut self, at: u32, bytes: &[u8], twice: bool) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io(&self.path, "write", error);
        self.data.seek(SeekFrom::Start(at.into())).and_then(|_| self.data.write_all(bytes)).map_err(failed)?;
        let word = if twice { "twice" } else { "once" };
        // A line break first: the line before may have been cut off.
        let line = format!("\n{word} {at:06x}-{:06x} {}\n", at as usize + bytes.len(), sha256_hex(bytes));
        self.map.write_all(line.as_bytes()).map_err(failed)
    }

    /// Lets it become the file `name` with this content. Its map stays until [`Finished::forget`].
    ///
    /// # Errors
    /// [`StoreError::Exists`]; otherwise the disk's. The started backup is still there then.
    pub(super) fn finish(mut self, name: &Path, bytes: &[u8]) -> Result<Finished, StoreError> {
        self.complete(bytes).map_err(|error| StoreError::from_io(&self.path, "write", error))?;
        let renamed = if disk::is_at(&self.data, &self.path) {
            disk::rename_new(&self.path, name)
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        };
        renamed.map_err(|error| StoreError::from_io(name, "write", error))?;
        sync_folder(folder_of(name));
        Ok(Finished { map: map_of(&self.path) })
    }

    /// Makes the content what was read, of which all but a little is there.
    fn complete(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.data.seek(SeekFrom::Start(0))?;
        if !disk::all_of(&self.data, LARGEST).is_ok_and(|there| there == bytes) {
            self.data.seek(SeekFrom::Start(0))?;
            self.data.write_all(bytes)?;
            self.data.set_len(bytes.len() as u64)?;
        }
        self.data.sync_all()
    }

    /// Removes it: what it holds is somewhere else.
    pub(super) fn discard(self) {
        if disk::is_at(&self.data, &self.path) {
            // What cannot be removed is told by the next listing of the folder.
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(map_of(&self.path));
        }
    }
}

/// A backup that has its own name now, and a map that nobody needs.
pub(super) struct Finished {
    map: PathBuf,
}

impl Finished {
    pub(super) fn forget(self) {
        let _ = fs::remove_file(self.map);
    }
}

enum Adopted {
    /// A started backup of this chip.
    Ours(Part, Kept),
    /// The name is free.
    Nothing,
    /// Somebody else has the name, or is at work.
    Taken,
}

fn head(chip_key: &str, size: u32) -> String {
    format!("{MARK} {chip_key} {size}")
}

fn names<'a>(name: &'a Path, head: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    (1..=MOST).map(move |number| beside_of(name, head, number))
}

fn beside_of(name: &Path, head: &str, number: u32) -> PathBuf {
    let sum = sha256_hex(head.as_bytes());
    let tail = if number == 1 { String::new() } else { format!("-{number}") };
    beside(name, &format!("{IN_NAME}{}{tail}.part", sum.get(..8).unwrap_or_default()))
}

fn map_of(path: &Path) -> PathBuf {
    beside(path, ".map")
}

/// The lines of a map behind its head, and the map with its end as its place; `None` when it is another's.
fn lines_of(mut map: File, head: &str) -> Option<(String, File)> {
    if !disk::is_ours_alone(&map).ok()? {
        return None;
    }
    let text = disk::all_of(&map, LARGEST_MAP).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (first, rest) = text.split_once('\n')?;
    map.seek(SeekFrom::End(0)).ok()?;
    (first == head).then(|| (rest.to_owned(), map))
}

fn read(bytes: Vec<u8>, lines: &str) -> Kept {
    let mut kept = Kept { bytes, ..Kept::default() };
    for line in lines.lines() {
        let mut words = line.split_whitespace();
        let (Some(word), Some(range), Some(sha256)) = (words.next(), words.next(), words.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let (Ok(start), Ok(end)) = (u32::from_str_radix(start, 16), u32::from_str_radix(end, 16)) else { continue };
        let unchanged = |bytes: &[u8]| sha256_hex(bytes) == sha256;
        if kept.bytes.get(start as usize..end as usize).is_some_and(unchanged) {
            let list = if word == "twice" { &mut kept.twice } else { &mut kept.once };
            list.push(Span::between(start, end));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn open(name: &Path, chip_key: &str, size: u32) -> (Part, Kept) {
        Part::open(name, chip_key, size, 0).unwrap()
    }

    #[test]
    fn what_was_read_is_found_again_and_becomes_the_backup() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        let (mut part, kept) = open(&name, "mac-1", 0x4000);
        assert_eq!(kept, Kept::default());
        part.keep(0, &[1; 0x1000], false).unwrap();
        part.keep(0x1000, &[2; 0x1000], false).unwrap();
        part.keep(0x1000, &[2; 0x1000], true).unwrap();
        assert!(is_named_so(&part.path));
        let inode = part.data.metadata().unwrap();
        drop(part);
        let (part, kept) = open(&name, "mac-1", 0x4000);
        assert_eq!(kept.once, [Span::new(0, 0x1000), Span::new(0x1000, 0x1000)]);
        assert_eq!(kept.twice, [Span::new(0x1000, 0x1000)]);
        assert_eq!(kept.bytes[0x1000..0x2000], [2; 0x1000]);
        part.finish(&name, &[3; 0x4000]).unwrap().forget();
        assert_eq!(names_in(folder.path()), ["b.bin"]);
        assert_eq!(fs::read(&name).unwrap(), [3; 0x4000]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&name).unwrap().ino(), inode.ino(), "it was renamed, not copied");
        }
    }

    #[test]
    fn what_the_disk_lost_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        let (mut part, _) = open(&name, "mac-1", 0x2000);
        part.keep(0, &[1; 0x2000], true).unwrap();
        let path = part.path.clone();
        drop(part);
        fs::write(&path, vec![0; 0x2000]).unwrap();
        let (_, kept) = open(&name, "mac-1", 0x2000);
        assert!(kept.once.is_empty() && kept.twice.is_empty());
    }

    #[test]
    fn another_chip_has_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        let (first, _) = open(&name, "mac-1", 0x2000);
        let (second, _) = open(&name, "mac-2", 0x2000);
        let (third, _) = open(&name, "mac-1", 0x4000);
        let paths = [&first.path, &second.path, &third.path];
        assert!(paths.iter().all(|path| paths.iter().filter(|other| other == &path).count() == 1), "{paths:?}");
        [first, second, third].into_iter().for_each(Part::discard);
        assert!(names_in(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_a_started_backup_of_this_chip_is_neither_followed_nor_changed() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (name, victim) = (folder.path().join("b.bin"), folder.path().join("victim"));
        fs::write(&victim, b"theirs").unwrap();
        let head = head("mac-1", 0x2000);
        let place = |number| beside_of(&name, &head, number);
        symlink(&victim, map_of(&place(1))).unwrap();
        symlink(&victim, place(2)).unwrap();
        fs::write(place(3), b"theirs").unwrap();
        fs::write(map_of(&place(4)), format!("{head}\n")).unwrap();
        symlink(&victim, place(4)).unwrap();
        fs::write(map_of(&place(5)), format!("{head}\n")).unwrap();
        fs::hard_link(&victim, place(5)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, map_of(&place(6)), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        fs::hard_link(&victim, map_of(&place(7))).unwrap();
        let before = names_in(folder.path());
        let (part, kept) = open(&name, "mac-1", 0x2000);
        assert_eq!((&part.path, kept), (&place(8), Kept::default()));
        // The job that filled it has it yet.
        Part::take(&name, "mac-1", 0x2000).unwrap().discard();
        drop(part);
        assert_eq!(names_in(folder.path()), before);
        assert_eq!(fs::read(&victim).unwrap(), b"theirs");
        assert_eq!(fs::read(place(3)).unwrap(), b"theirs");
    }

    #[test]
    fn a_process_killed_between_the_map_and_its_data_is_gone_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        let (part, _) = open(&name, "mac-1", 0x2000);
        let path = part.path.clone();
        drop(part);
        fs::remove_file(&path).unwrap();
        let (part, kept) = open(&name, "mac-1", 0x2000);
        assert_eq!((part.path, kept), (path, Kept::default()));
    }

    #[test]
    fn a_disk_without_room_is_told_before_anything_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        assert!(matches!(Part::open(&name, "mac-1", 0x2000, u64::MAX), Err(StoreError::Full { .. })));
        assert!(names_in(folder.path()).is_empty(), "and nothing is left");
        assert!(matches!(Part::open(&folder.path().join("no/b.bin"), "m", 1, 0), Err(StoreError::Missing { .. })));
    }
}
