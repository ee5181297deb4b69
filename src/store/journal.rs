//! The record of a write that has not come to its end, one file per chip (product.md rule 9).
//!
//! `journal/CHIP.journal` begins with one line of JSON, the [`Head`]; each further line is `start` or `done` with the
//! spans of one group, on the disk before the chip is touched and after it was verified. What shall be written lies
//! beside it, so that no other file is needed to finish.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::backup::rfc3339;
use super::files;
use crate::disk;
use crate::image::{Family, sha256_hex};
use crate::units::Span;

/// Version of the head's shape.
pub const SCHEMA: u32 = 1;
/// No record is as large as this, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;
/// What the name of an image's copy has between the chip and the sum of its content.
const IMAGE: &str = ".image";
/// Digits of that sum in the name.
const SUM_DIGITS: usize = 16;

/// What is known about the write from its beginning on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name and version of the program that began it.
    pub program: String,
    /// When it began; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub time: Timestamp,
    /// The chip.
    pub chip_key: String,
    /// JEDEC id of its flash, where the link shows it.
    pub jedec: Option<String>,
    /// SHA-256 of the unique id of its flash, where the link shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_hash: Option<String>,
    /// Size of its flash in bytes; records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The chip family, as it was identified before the first write that was cut off.
    pub chip: Option<Family>,
    /// Hash of the plan.
    pub plan: String,
    /// `image`, `erase`, `restore` or `rf-block`.
    pub change: String,
    /// What people call the image.
    pub name: String,
    /// What it is, in words.
    pub about: String,
    /// The flash offset that was asked for.
    pub at: Option<u32>,
    /// First offset and end of the range that changes.
    pub range: (u32, u32),
    /// SHA-256 of the image, in hex.
    pub image_sha256: String,
    /// Whether the protection is put back at the end.
    pub protect_after: bool,
    /// Status registers 1, 2, 3 to put back; `None` where the link does not show them.
    #[serde(rename = "status_registers")]
    pub status: Option<[Option<u8>; 3]>,
    /// The proven backup that stands behind the write.
    pub backup: Option<PathBuf>,
    /// The phrase that was typed in place of a backup.
    pub phrase: Option<String>,
    /// A person said that the backup is of this chip, which shows no MAC.
    pub mac_lost: bool,
    /// The phrase that was typed because content did not show that the backup is this chip's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// Whole sectors that the image covers only in part: offset and what they shall hold, in hex.
    pub edges: Vec<(u32, String)>,
    /// Ranges that earlier writes left torn, as offset and end.
    pub torn_before: Vec<(u32, u32)>,
    /// Sectors that are laid over the image: offset and what they shall hold, in hex. May hold passwords.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlays: Vec<(u32, String)>,
    /// CRC of every sector before the first of the writes that were cut off, eight hex digits each. Records of earlier
    /// versions have them only where a request could go astray.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    /// CRC of every sector as the write shall leave it; records of earlier versions have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after: String,
    /// Whether a damaged request could hit any sector; in records of earlier versions the same as having `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub astray: Option<bool>,
    /// Sectors that the plan changes.
    pub sectors: u32,
}

/// The record of one chip's write.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    image_path: PathBuf,
    file: Option<File>,
}

/// A write that has not come to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// How it began.
    pub head: Head,
    /// What shall be written.
    pub image: Arc<[u8]>,
    /// Ranges that were begun and not proven done, in order.
    pub torn: Vec<Span>,
    /// Sectors that were written and proven.
    pub done: u32,
    /// Whether any sector was touched at all.
    pub touched: bool,
    /// The file.
    pub path: PathBuf,
}

impl Journal {
    /// The record of the chip `chip_key` in `folder`; neither need exist yet.
    pub fn new(folder: &Path, chip_key: &str) -> Self {
        let (path, image_path) = paths(folder, chip_key);
        Self { path, image_path, file: None }
    }

    /// Begins a record, in place of an earlier one of the same chip.
    ///
    /// # Errors
    /// The disk's; an earlier record is then still there.
    pub fn begin(&mut self, head: &Head, image: &[u8]) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(head)
            .map_err(|error| StoreError::Journal { path: self.path.clone(), text: error.to_string() })?;
        line.push(b'\n');
        files::make_folder(files::folder_of(&self.path))?;
        // So that nobody tidies the image away before its record is there.
        let _at_work = lock(files::folder_of(&self.path));
        // The image goes first, under a name of its own content: whichever record is in force finds what belongs to it.
        keep_image(&named_by_content(&self.image_path, &head.image_sha256), image)?;
        files::replace_own(&self.path, &line)?;
        let file = disk::append_own(&self.path);
        self.file = Some(file.map_err(|error| StoreError::from_disk(&self.path, "write", error))?);
        Ok(())
    }

    /// Records that work on these ranges begins.
    ///
    /// # Errors
    /// The disk's.
    pub fn start(&mut self, spans: &[Span]) -> Result<(), StoreError> {
        self.append("start", spans)
    }

    /// Records that these ranges were proven right.
    ///
    /// # Errors
    /// The disk's.
    pub fn done(&mut self, spans: &[Span]) -> Result<(), StoreError> {
        self.append("done", spans)
    }

    fn append(&mut self, word: &str, spans: &[Span]) -> Result<(), StoreError> {
        let failed = |error| StoreError::from_io(&self.path, "write", error);
        let Some(file) = &mut self.file else { return Err(failed(ErrorKind::NotFound.into())) };
        let mut line = word.to_owned();
        for span in spans {
            line.push_str(&format!(" {:06x}-{:06x}", span.start, span.end()));
        }
        line.push('\n');
        file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
    }

    /// Removes the record.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(&mut self) -> Result<(), StoreError> {
        self.file = None;
        files::remove_own(&self.path)?;
        let own = self.image_path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for (path, image) in images(files::folder_of(&self.path)) {
            if image.of == own && is_copy(&path, &image) {
                files::remove_own(&path)?;
            }
        }
        Ok(())
    }
}

/// Puts a copy of what shall be written there. What has the name already has to be that.
fn keep_image(path: &Path, image: &[u8]) -> Result<(), StoreError> {
    match files::read_own(path, files::LARGEST) {
        Ok(there) if there == image => Ok(()),
        Ok(_) | Err(StoreError::TooLarge { .. }) => Err(StoreError::Exists { path: path.to_path_buf() }),
        Err(StoreError::Missing { .. }) => files::write_new(path, image),
        Err(error) => Err(error),
    }
}

/// A copy of an image by its name: `CHIP.image-0123456789abcdef`.
struct ImageName {
    /// `CHIP.image`.
    of: String,
    /// The first digits of its SHA-256.
    sum: String,
}

/// Whether a file holds what its name says. A file of the user does not.
fn is_copy(path: &Path, image: &ImageName) -> bool {
    files::read_own(path, files::LARGEST).is_ok_and(|bytes| sha256_hex(&bytes).starts_with(&image.sum))
}

/// What is called as copies of images are, in a folder.
fn images(folder: &Path) -> Vec<(PathBuf, ImageName)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let image = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (of, sum) = name.rsplit_once('-')?;
        let is_sum = sum.len() == SUM_DIGITS && sum.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        (is_sum && of.ends_with(IMAGE) && entry.file_type().ok()?.is_file())
            .then(|| (entry.path(), ImageName { of: of.to_owned(), sum: sum.to_owned() }))
    };
    entries.filter_map(image).collect()
}

/// Removes copies of images that no record needs, and what killed processes left unfinished. A record that cannot be read
/// needs every copy of its chip.
pub fn tidy(folder: &Path) {
    let Some(_alone) = lock(folder) else { return };
    files::sweep(folder);
    for (path, image) in images(folder) {
        let record = folder.join(format!("{}.journal", image.of.trim_end_matches(IMAGE)));
        let needed = match head_of(&record) {
            Ok(head) => head.image_sha256.starts_with(&image.sum),
            Err(StoreError::Missing { .. }) => false,
            Err(_) => true,
        };
        if !needed && is_copy(&path, &image) {
            // What cannot be removed now is removed by a later start.
            let _ = files::remove_own(&path);
        }
    }
}

/// A lock on a folder of records, held by who begins a record and who tidies; `None` when another has it, or where the
/// system locks no folders.
fn lock(folder: &Path) -> Option<File> {
    const PATIENCE: Duration = Duration::from_secs(2);
    let file = disk::folder(folder).ok()?;
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(2)),
            Err(_) => return None,
        }
    }
}

/// How a record began, without what came of it.
fn head_of(path: &Path) -> Result<Head, StoreError> {
    let bytes = files::read_own(path, LARGEST)?;
    let damaged = |text: String| StoreError::Journal { path: path.to_path_buf(), text };
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    serde_json::from_slice(first).map_err(|error| damaged(error.to_string()))
}

/// The unfinished write of the chip `chip_key`, if there is one.
///
/// # Errors
/// [`StoreError::Journal`] for a record that cannot be read, or whose image is missing or changed; otherwise as
/// [`files::read_file`].
pub fn unfinished(folder: &Path, chip_key: &str) -> Result<Option<Unfinished>, StoreError> {
    let (path, image_path) = paths(folder, chip_key);
    let bytes = match files::read_own(&path, LARGEST) {
        Ok(bytes) => bytes,
        Err(StoreError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = |text: String| StoreError::Journal { path: path.clone(), text };
    let text = String::from_utf8_lossy(&bytes);
    let (first, rest) = text.split_once('\n').ok_or_else(|| damaged("its first line is not whole".to_owned()))?;
    let head: Head = serde_json::from_str(first).map_err(|error| damaged(error.to_string()))?;
    if head.schema != SCHEMA {
        return Err(damaged(format!("it has version {}; this program reads version {SCHEMA}", head.schema)));
    }
    let image = match files::read_own(&named_by_content(&image_path, &head.image_sha256), files::LARGEST) {
        Err(StoreError::Missing { .. }) => Err(damaged("the image beside it is missing".to_owned())),
        Err(StoreError::TooLarge { .. } | StoreError::NotAFile { .. }) => {
            Err(damaged("the image beside it was changed".to_owned()))
        }
        read => read,
    }?;
    if sha256_hex(&image) != head.image_sha256 {
        return Err(damaged("the image beside it was changed".to_owned()));
    }
    let mut state = State::after(&head.torn_before);
    // A last line without its end was never acted on.
    for line in rest.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        state.apply(line).ok_or_else(|| damaged(format!("the line {:?} is not understood", line.trim_end())))?;
    }
    let State { torn, done, touched } = state;
    Ok(Some(Unfinished { head, image: image.into(), torn, done, touched, path }))
}

/// Every unfinished write in `folder`. Records that cannot be read are left out; asking for their chip tells why.
pub fn all(folder: &Path) -> Vec<Unfinished> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let keys = names.filter_map(|name| name.to_str()?.strip_suffix(".journal").map(str::to_owned));
    keys.filter_map(|key| unfinished(folder, &key).ok().flatten()).collect()
}

/// What the lines of a record add up to.
struct State {
    torn: Vec<Span>,
    done: u32,
    touched: bool,
}

impl State {
    fn after(torn_before: &[(u32, u32)]) -> Self {
        let torn: Vec<Span> = torn_before.iter().map(|(start, end)| Span::between(*start, *end)).collect();
        Self { touched: !torn.is_empty(), torn, done: 0 }
    }

    fn apply(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_whitespace();
        let word = words.next().filter(|word| ["start", "done"].contains(word))?;
        for span in words {
            let (start, end) = span.split_once('-')?;
            let span = Span::between(u32::from_str_radix(start, 16).ok()?, u32::from_str_radix(end, 16).ok()?);
            match word {
                "start" => self.torn.push(span),
                _ => {
                    self.torn = self.torn.iter().flat_map(|torn| without(*torn, span)).collect();
                    self.done += span.len / crate::units::SECTOR;
                }
            }
        }
        self.touched = true;
        self.torn.sort();
        self.torn.dedup();
        Some(())
    }
}

/// What is left of `span` when `taken` is taken away.
fn without(span: Span, taken: Span) -> impl Iterator<Item = Span> {
    let before = Span::between(span.start, span.end().min(taken.start));
    let after = Span::between(span.start.max(taken.end()), span.end());
    let pieces = if span.overlaps(taken) { [before, after] } else { [span, Span::default()] };
    pieces.into_iter().filter(|piece| !piece.is_empty())
}

/// The record and the beginning of its image's name.
fn paths(folder: &Path, chip_key: &str) -> (PathBuf, PathBuf) {
    // A key is made of letters, digits and hyphens; anything else could leave the folder.
    let name: String = chip_key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    (folder.join(format!("{name}.journal")), folder.join(format!("{name}{IMAGE}")))
}

fn named_by_content(image_path: &Path, sha256: &str) -> PathBuf {
    let tail: String = sha256.chars().filter(char::is_ascii_hexdigit).take(SUM_DIGITS).collect();
    files::beside(image_path, &format!("-{tail}"))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;
    use crate::problem::Explain;

    fn head(image: &[u8]) -> Head {
        Head {
            schema: SCHEMA,
            program: "test".to_owned(),
            time: Timestamp::UNIX_EPOCH,
            chip_key: "mac-1".to_owned(),
            jedec: None,
            unique_hash: None,
            size: None,
            chip: Some(Family::Bk7231T),
            plan: "hash".to_owned(),
            change: "image".to_owned(),
            name: "image.bin".to_owned(),
            about: "data".to_owned(),
            at: Some(0x1000),
            range: (0x1000, 0x3000),
            image_sha256: sha256_hex(image),
            protect_after: true,
            status: Some([Some(0x1C), None, None]),
            backup: None,
            phrase: None,
            mac_lost: false,
            consent: None,
            edges: Vec::new(),
            overlays: Vec::new(),
            torn_before: Vec::new(),
            before: String::new(),
            after: String::new(),
            astray: None,
            sectors: 2,
        }
    }

    #[test]
    fn what_was_begun_and_not_proven_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unfinished(folder.path(), "mac-1").unwrap(), None);
        let mut journal = Journal::new(folder.path(), "mac-1");
        journal.begin(&head(b"image"), b"image").unwrap();
        let left = unfinished(folder.path(), "mac-1").unwrap().unwrap();
        assert!(!left.touched && left.torn.is_empty());

        journal.start(&[Span::new(0x1000, 0x1000), Span::new(0x4000, 0x1000)]).unwrap();
        journal.done(&[Span::new(0x1000, 0x1000), Span::new(0x4000, 0x1000)]).unwrap();
        journal.start(&[Span::new(0x1_0000, 0x1_0000)]).unwrap();
        let left = unfinished(folder.path(), "mac-1").unwrap().unwrap();
        assert_eq!((left.torn, left.done, left.touched), (vec![Span::new(0x1_0000, 0x1_0000)], 2, true));
        assert_eq!(&*left.image, b"image");
        assert_eq!(all(folder.path()).len(), 1);

        journal.remove().unwrap();
        assert_eq!(unfinished(folder.path(), "mac-1").unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_new_record_takes_over_what_earlier_ones_left_torn() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(folder.path(), "mac-1");
        journal.begin(&head(b"one"), b"one").unwrap();
        let mut next = head(b"two");
        next.torn_before = vec![(0x1000, 0x4000)];
        journal.begin(&next, b"two").unwrap();
        journal.start(&[Span::new(0x2000, 0x1000)]).unwrap();
        journal.done(&[Span::new(0x2000, 0x1000)]).unwrap();
        let left = unfinished(folder.path(), "mac-1").unwrap().unwrap();
        assert_eq!(left.torn, [Span::new(0x1000, 0x1000), Span::new(0x3000, 0x1000)]);
        assert_eq!(&*left.image, b"two");
    }

    #[test]
    fn a_line_cut_off_by_a_power_cut_was_never_acted_on() {
        let folder = tempfile::tempdir().unwrap();
        Journal::new(folder.path(), "mac-1").begin(&head(b"image"), b"image").unwrap();
        let path = folder.path().join("mac-1.journal");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"start 001000-002000\nstart 0030").unwrap();
        let left = unfinished(folder.path(), "mac-1").unwrap().unwrap();
        assert_eq!(left.torn, [Span::new(0x1000, 0x1000)]);
    }

    #[test]
    fn a_damaged_record_is_an_error_and_not_a_clean_chip() {
        let folder = tempfile::tempdir().unwrap();
        Journal::new(folder.path(), "mac-1").begin(&head(b"image"), b"image").unwrap();
        let path = folder.path().join("mac-1.journal");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"nonsense\nstart 001000-002000\n").unwrap();
        assert!(matches!(unfinished(folder.path(), "mac-1"), Err(StoreError::Journal { .. })));
        std::fs::write(&path, b"{").unwrap();
        assert!(matches!(unfinished(folder.path(), "mac-1"), Err(StoreError::Journal { .. })));
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_missing_or_foreign_image_beside_a_record_is_e123() {
        let folder = tempfile::tempdir().unwrap();
        Journal::new(folder.path(), "mac-1").begin(&head(b"image"), b"image").unwrap();
        let image = images(folder.path()).remove(0).0;
        let why = || unfinished(folder.path(), "mac-1").unwrap_err().explain();
        std::fs::write(&image, b"other").unwrap();
        assert_eq!(why().code, "E123");
        std::fs::remove_file(&image).unwrap();
        let missing = why();
        assert_eq!(missing.code, "E123");
        assert!(missing.what.contains("the image beside it is missing"), "{missing}");
        std::fs::create_dir(&image).unwrap();
        assert_eq!(why().code, "E123");
    }

    #[test]
    fn copies_of_images_that_no_record_needs_are_tidied_away_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        Journal::new(folder.path(), "mac-1").begin(&head(b"image"), b"image").unwrap();
        let kept = names(folder.path());
        let sum = &sha256_hex(b"a password")[..SUM_DIGITS];
        let put = |name: &str| std::fs::write(folder.path().join(name), b"a password").unwrap();
        put(&format!("mac-1.image-{sum}"));
        put(&format!("mac-2.image-{sum}"));
        put(".bkbench-killed.part");
        tidy(folder.path());
        assert_eq!(names(folder.path()), kept);

        let others = ["mac-1.image-of my cat.png", "mac-1.image", "notes-0123456789abcdef", "mac-3.journal"];
        others.iter().for_each(|name| put(name));
        put(&format!("mac-3.image-{sum}"));
        put("mac-1.image-0123456789abcdef");
        let before = names(folder.path());
        tidy(folder.path());
        assert_eq!(names(folder.path()), before, "the record of mac-3 cannot be read, so its image is not let go");
        Journal::new(folder.path(), "mac-1").remove().unwrap();
        let left: Vec<String> = before.into_iter().filter(|name| !kept.contains(name)).collect();
        assert_eq!(names(folder.path()), left, "only what the record had");
    }

    #[test]
    fn an_image_is_not_tidied_away_before_its_record_is_there() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let tidies = scope.spawn(|| (0..400).for_each(|_| tidy(folder.path())));
            while !tidies.is_finished() {
                let mut journal = Journal::new(folder.path(), "mac-1");
                journal.begin(&head(b"image"), b"image").unwrap();
                assert!(unfinished(folder.path(), "mac-1").unwrap().is_some());
                journal.remove().unwrap();
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_record_follows_no_link_and_replaces_no_file_of_the_user() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("theirs"), b"theirs").unwrap();
        let image = format!("mac-1.image-{}", &sha256_hex(b"image")[..SUM_DIGITS]);
        let mut journal = Journal::new(folder.path(), "mac-1");
        for name in [image.as_str(), "mac-1.journal"] {
            std::os::unix::fs::symlink(at("theirs"), at(name)).unwrap();
            assert!(journal.begin(&head(b"image"), b"image").is_err(), "{name}");
            std::fs::remove_file(at(name)).unwrap();
        }
        assert_eq!(names(folder.path()), [image.clone(), "theirs".to_owned()]);
        tidy(folder.path());
        std::fs::write(at(&image), b"theirs").unwrap();
        assert!(matches!(journal.begin(&head(b"image"), b"image"), Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read(at(&image)).unwrap(), b"theirs");
        assert_eq!(std::fs::read(at("theirs")).unwrap(), b"theirs");
    }
}
