//! Backups: the flash as a raw file, and beside it `NAME.json`, the manifest that says of which chip, how it was read
//! and how far it is proven. A backup without its manifest, or whose bytes do not match it, does not count.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files::{self, beside};
use crate::image::plausible::Rule;
use crate::image::{Family, sha256_hex};
use crate::units::{BLOCK, Verdict};

/// Version of the manifest's shape.
pub const SCHEMA: u32 = 1;
/// What is appended to a backup's name to name its manifest.
const MANIFEST_SUFFIX: &str = ".json";
/// No manifest is as large as this, in bytes.
const LARGEST_MANIFEST: u64 = 4 * 1024 * 1024;

/// What is known about a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The chip family.
    pub chip: Option<Family>,
    /// How sure the family is.
    pub chip_verdict: Verdict,
    /// Identifies this very chip; never the MAC address itself.
    pub chip_key: String,
    /// The flash it was read from.
    pub flash: FlashFacts,
    /// Status registers 1, 2, 3 as they were, as many as the part has and the link can read.
    pub status_registers: Vec<u8>,
    /// SHA-256 of the whole file, in hex. Filled in by [`save_backup`].
    pub sha256: String,
    /// SHA-256 of every 64 KiB, in hex, to tell where a changed file differs. Filled in by [`save_backup`].
    pub block_sha256: Vec<String>,
    /// The link it was read over.
    pub link: String,
    /// SPI clock in Hz, or UART rate in baud.
    pub speed: u32,
    /// Reads that had to be repeated.
    pub retries: u32,
    /// Name and version of the program that read it.
    pub program: String,
    /// When it was read; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub time: Timestamp,
    /// What the plausibility rules found.
    pub plausibility: Vec<Rule>,
    /// Whether it counts as a proven backup: whole chip, read twice and equal, plausible.
    pub proven: bool,
    /// Whether the chip was a simulated one.
    pub simulated: bool,
}

/// The flash part a backup was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashFacts {
    /// JEDEC id in hex, such as `EB6015`; `None` when the link cannot read it.
    pub jedec_id: Option<String>,
    /// Part name from the flash table.
    pub part: Option<String>,
    /// Size in bytes.
    pub size: u32,
}

/// Where a backup went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The file with the flash contents.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest_path: PathBuf,
    /// The same content of the same chip was there already; nothing was written.
    pub already_had: bool,
}

/// A backup whose bytes match its manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredBackup {
    /// The file with the flash contents.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// The flash contents.
    pub bytes: Vec<u8>,
}

/// A backup as listed: its manifest was read, its bytes were not.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The file with the flash contents.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

/// A file that looks like a backup and does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why it does not count.
    pub why: String,
}

/// What a folder of backups holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Backups with a manifest, newest first.
    pub entries: Vec<Entry>,
    /// What does not count.
    pub skipped: Vec<Skipped>,
}

/// What [`find_backup`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The newest proven backup of the chip whose bytes are unchanged.
    pub backup: Option<StoredBackup>,
    /// Newer ones, and others in the folder, that do not count.
    pub skipped: Vec<Skipped>,
}

/// Writes a backup and its manifest. `place` is a folder, where the backup gets a name from date, chip and chip key,
/// or the path of the new file. The manifest's checksums are filled in. Content that is there already for the same
/// chip is recognised and not written again.
///
/// # Errors
/// [`StoreError::Exists`] when `place` names a file with other content; otherwise as [`files::write_new`].
pub fn save_backup(place: &Path, bytes: &[u8], mut manifest: Manifest) -> Result<Saved, StoreError> {
    manifest.sha256 = sha256_hex(bytes);
    manifest.block_sha256 = bytes.chunks(BLOCK as usize).map(sha256_hex).collect();
    if place.is_dir() {
        if let Some(entry) = same_content(place, &manifest)? {
            return Ok(Saved {
                manifest_path: beside(&entry.path, MANIFEST_SUFFIX),
                path: entry.path,
                already_had: true,
            });
        }
        let path = free_path(place, &default_name(&manifest));
        return write(path, bytes, &manifest);
    }
    match read_entry(place) {
        Ok(entry) if says_the_same(&entry.manifest, &manifest) && is_unchanged(&entry).is_ok() => {
            let (path, manifest_path) = (place.to_path_buf(), beside(place, MANIFEST_SUFFIX));
            Ok(Saved { path, manifest_path, already_had: true })
        }
        _ => write(place.to_path_buf(), bytes, &manifest),
    }
}

/// The data first, the manifest last: only with it the backup counts.
fn write(path: PathBuf, bytes: &[u8], manifest: &Manifest) -> Result<Saved, StoreError> {
    let manifest_path = beside(&path, MANIFEST_SUFFIX);
    if manifest_path.exists() {
        return Err(StoreError::Exists { path: manifest_path });
    }
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| StoreError::Manifest { path: path.clone(), text: error.to_string() })?;
    json.push(b'\n');
    files::write_new(&path, bytes)?;
    files::write_new(&manifest_path, &json)?;
    Ok(Saved { path, manifest_path, already_had: false })
}

/// `2026-02-03-140506-BK7231T-1a2b3c4d`, in local time.
fn default_name(manifest: &Manifest) -> String {
    let time = manifest.time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d-%H%M%S").to_string();
    let chip = manifest.chip.map_or("unknown", Family::name);
    let key: String = manifest.chip_key.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{time}-{chip}-{key}")
}

fn free_path(folder: &Path, name: &str) -> PathBuf {
    let named = |name: String| folder.join(name + ".bin");
    let free = |path: &PathBuf| !path.exists() && !beside(path, MANIFEST_SUFFIX).exists();
    let numbered = (2..1000).map(|number| named(format!("{name}-{number}")));
    let first = named(name.to_owned());
    std::iter::once(first.clone()).chain(numbered).find(free).unwrap_or(first)
}

fn same_content(folder: &Path, manifest: &Manifest) -> Result<Option<Entry>, StoreError> {
    let mut entries = list(folder)?.entries.into_iter();
    Ok(entries.find(|entry| says_the_same(&entry.manifest, manifest) && is_unchanged(entry).is_ok()))
}

/// Whether a stored backup makes a new one of the same bytes superfluous.
fn says_the_same(stored: &Manifest, new: &Manifest) -> bool {
    stored.chip_key == new.chip_key
        && stored.sha256 == new.sha256
        && stored.simulated == new.simulated
        && stored.status_registers == new.status_registers
        && stored.proven >= new.proven
}

/// The backups in `folder`, newest first, and what does not count. A folder that does not exist holds none.
///
/// # Errors
/// [`StoreError::Denied`], [`StoreError::Io`] for the folder itself.
pub fn list(folder: &Path) -> Result<Listing, StoreError> {
    let failed = |source| StoreError::from_io(folder, "read", source);
    let names = match fs::read_dir(folder) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Listing::default()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = names.map(|name| name.map(|name| name.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.sort();
    let mut listing = Listing::default();
    for path in paths {
        let skipped = |why: &str| Skipped { path: path.clone(), why: why.to_owned() };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("part") => listing.skipped.push(skipped("a backup that was not finished; it can be deleted")),
            Some("bin") => match read_entry(&path) {
                Ok(entry) => listing.entries.push(entry),
                Err(why) => listing.skipped.push(Skipped { path, why }),
            },
            _ => {}
        }
    }
    listing.entries.sort_by_key(|entry| std::cmp::Reverse(entry.manifest.time));
    Ok(listing)
}

/// The newest proven backup of the chip `chip_key` in `folder` whose bytes still match its manifest. A changed or
/// truncated one is skipped and reported.
///
/// # Errors
/// As [`list`].
pub fn find_backup(folder: &Path, chip_key: &str) -> Result<Found, StoreError> {
    let listing = list(folder)?;
    let mut skipped = listing.skipped;
    let proven = |entry: &Entry| entry.manifest.proven && entry.manifest.chip_key == chip_key;
    for entry in listing.entries.into_iter().filter(proven) {
        match is_unchanged(&entry) {
            Ok(bytes) => {
                let backup = Some(StoredBackup { path: entry.path, manifest: entry.manifest, bytes });
                return Ok(Found { backup, skipped });
            }
            Err(why) => skipped.push(Skipped { path: entry.path, why }),
        }
    }
    Ok(Found { backup: None, skipped })
}

/// Reads one backup by its path, checked against its manifest; the reason in words when it does not count.
///
/// # Errors
/// A sentence for people: no manifest, a damaged one, or bytes that do not match it.
pub fn read_backup(path: &Path) -> Result<StoredBackup, String> {
    let entry = read_entry(path)?;
    let bytes = is_unchanged(&entry)?;
    Ok(StoredBackup { path: entry.path, manifest: entry.manifest, bytes })
}

fn read_entry(path: &Path) -> Result<Entry, String> {
    let manifest_path = beside(path, MANIFEST_SUFFIX);
    let json = match files::read_up_to(&manifest_path, LARGEST_MANIFEST) {
        Ok(json) => json,
        Err(StoreError::Missing { .. }) => return Err("no manifest beside it".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let damaged = |error: serde_json::Error| format!("its manifest is damaged: {error}");
    let schema = serde_json::from_slice::<Schema>(&json).map_err(damaged)?.schema;
    if schema != SCHEMA {
        return Err(format!("its manifest has version {schema}; this program reads version {SCHEMA}"));
    }
    let manifest = serde_json::from_slice(&json).map_err(damaged)?;
    Ok(Entry { path: path.to_path_buf(), manifest })
}

mod rfc3339 {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// The bytes of a backup when they match the manifest, else where they differ.
fn is_unchanged(entry: &Entry) -> Result<Vec<u8>, String> {
    let manifest = &entry.manifest;
    let bytes = files::read(&entry.path).map_err(|error| error.to_string())?;
    if bytes.len() != manifest.flash.size as usize {
        return Err(format!("it has {} bytes instead of {}", bytes.len(), manifest.flash.size));
    }
    if sha256_hex(&bytes) == manifest.sha256 {
        return Ok(bytes);
    }
    let blocks = bytes.chunks(BLOCK as usize).zip(&manifest.block_sha256);
    let changed = blocks.enumerate().find(|(_, (block, sha256))| sha256_hex(block) != **sha256);
    Err(match changed {
        Some((number, _)) => {
            format!("its content was changed, first in the 64 KiB from 0x{:06X}", number * BLOCK as usize)
        }
        None => "its content does not match its checksum".to_owned(),
    })
}

#[cfg(test)]
mod tests;
