//! A backup that is being made: `NAME.part` with what was read so far, and `NAME.part.map`, which tells how often each
//! range was read. A line of the map counts only while its bytes still have its checksum, so that nothing has to be
//! forced to the disk in between.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::files::{self, beside};
use crate::image::sha256_hex;
use crate::units::Span;

/// First word of a map.
const MARK: &str = "bkbench-part-1";
/// No map is as large as this, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A started backup.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
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

impl Part {
    /// Starts, or goes on with, the backup of the chip `chip_key` with `size` bytes that will be named `name`.
    ///
    /// # Errors
    /// [`StoreError::OtherPart`] when there is such a file and it is no started backup of this chip; otherwise the
    /// disk's.
    pub fn open(name: &Path, chip_key: &str, size: u32) -> Result<(Self, Kept), StoreError> {
        let (path, map_path) = (beside(name, ".part"), beside(name, ".part.map"));
        let head = format!("{MARK} {chip_key} {size}");
        let kept = match (path.exists(), files::read_up_to(&map_path, LARGEST)) {
            (true, Ok(map)) => read(&path, &String::from_utf8_lossy(&map), &head, size)?,
            (false, _) => Kept::default(),
            (true, Err(StoreError::Missing { .. })) => return Err(StoreError::OtherPart { path }),
            (true, Err(error)) => return Err(error),
        };
        let fresh = kept.bytes.is_empty();
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(fresh);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(path).map_err(|error| StoreError::from_io(path, "write", error))
        };
        let failed = |error| StoreError::from_io(&map_path, "write", error);
        // The map first: data without a map would be taken for somebody else's.
        let (mut map, data) = (open(&map_path)?, open(&path)?);
        if fresh {
            data.set_len(size.into()).map_err(failed)?;
            map.write_all(format!("{head}\n").as_bytes()).map_err(failed)?;
        } else {
            map.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        Ok((Self { path, data, map }, kept))
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
}

/// Removes a started backup of that name, after the whole one was written.
///
/// # Errors
/// The disk's.
pub fn remove(name: &Path) -> Result<(), StoreError> {
    files::remove_own(&beside(name, ".part.map"))?;
    files::remove_own(&beside(name, ".part"))
}

fn read(path: &Path, map: &str, head: &str, size: u32) -> Result<Kept, StoreError> {
    let mut lines = map.lines();
    if lines.next() != Some(head) {
        return Err(StoreError::OtherPart { path: path.to_path_buf() });
    }
    let mut kept = Kept { bytes: files::read_file(path)?, ..Kept::default() };
    if kept.bytes.len() != size as usize {
        return Err(StoreError::OtherPart { path: path.to_path_buf() });
    }
    for line in lines {
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
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        let (mut part, kept) = Part::open(&name, "mac-1", 0x4000).unwrap();
        assert_eq!(kept, Kept::default());
        part.keep(0, &[1; 0x1000], false).unwrap();
        part.keep(0x1000, &[2; 0x1000], false).unwrap();
        part.keep(0x1000, &[2; 0x1000], true).unwrap();
        drop(part);
        let (_, kept) = Part::open(&name, "mac-1", 0x4000).unwrap();
        assert_eq!(kept.once, [Span::new(0, 0x1000), Span::new(0x1000, 0x1000)]);
        assert_eq!(kept.twice, [Span::new(0x1000, 0x1000)]);
        assert_eq!(kept.bytes[0x1000..0x2000], [2; 0x1000]);
        remove(&name).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_the_disk_lost_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        let (mut part, _) = Part::open(&name, "mac-1", 0x2000).unwrap();
        part.keep(0, &[1; 0x2000], true).unwrap();
        drop(part);
        std::fs::write(folder.path().join("b.bin.part"), vec![0; 0x2000]).unwrap();
        let (_, kept) = Part::open(&name, "mac-1", 0x2000).unwrap();
        assert!(kept.once.is_empty() && kept.twice.is_empty());
    }

    #[test]
    fn a_backup_of_another_chip_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("b.bin");
        Part::open(&name, "mac-1", 0x2000).unwrap();
        assert!(matches!(Part::open(&name, "mac-2", 0x2000), Err(StoreError::OtherPart { .. })));
        std::fs::write(folder.path().join("c.bin.part"), b"of another program").unwrap();
        assert!(matches!(Part::open(&folder.path().join("c.bin"), "mac-1", 0x2000), Err(StoreError::OtherPart { .. })));
        assert_eq!(std::fs::read(folder.path().join("c.bin.part")).unwrap(), b"of another program");
    }
}
