//! Backups: the flash as a raw file, and beside it `NAME.json`, the manifest that says of which chip, how it was read
//! and how far it is proven. A backup without its manifest, or whose bytes do not match it, does not count.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::files::{self, beside};
use super::part::{self, Kept, Part};
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
    /// Name and version of the program that read it.
    pub program: String,
    /// When it was read; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub time: Timestamp,
    /// Counts the backups of a folder: a higher number is newer, whatever the clock said. 0 in backups of earlier versions.
    #[serde(default)]
    pub sequence: u64,
    /// Bytes of the file.
    pub size: u64,
    sha256: String,
    block_sha256: Vec<String>,
    /// Where the bytes came from.
    #[serde(flatten)]
    pub provenance: Provenance,
}

/// Where a backup came from and how far it is proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The chip family.
    pub chip: Option<Family>,
    /// How sure the family is.
    #[serde(rename = "chip_verdict")]
    pub verdict: Verdict,
    /// Identifies this very chip; never the MAC address itself.
    pub chip_key: String,
    /// JEDEC id of the flash in hex; `None` when the link cannot read it.
    pub jedec: Option<String>,
    /// SHA-256 of the flash's unique id; `None` when the link or the part shows none, and in older manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_hash: Option<String>,
    /// Part name from the flash table.
    pub part: Option<String>,
    /// Status registers 1, 2, 3 as they were; `None` for those that the part has not or the link cannot read.
    #[serde(rename = "status_registers")]
    pub status: Option<[Option<u8>; 3]>,
    /// The link it was read over.
    pub link: String,
    /// Whether the chip was a simulated one.
    pub simulated: bool,
    /// SPI clock in Hz, or UART rate in baud, of the first and the second pass.
    pub speeds: (u32, u32),
    /// Reads that had to be repeated.
    pub retries: u32,
    /// What was seen of the computer's supply meanwhile, in words; `None` where the computer does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply: Option<String>,
    /// Times that the link was gone meanwhile, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interruptions: Vec<String>,
    /// Sectors that never read the same twice.
    pub unstable: Vec<u32>,
    /// What the plausibility rules found.
    #[serde(rename = "plausibility")]
    pub rules: Vec<Rule>,
    /// Whether it counts as a proven backup: whole chip, read twice and equal, plausible.
    pub proven: bool,
}

impl Manifest {
    /// A manifest of now. The checksums are filled in when it is saved with its bytes.
    pub fn new(provenance: Provenance) -> Self {
        Self {
            schema: SCHEMA,
            program: concat!("bkbench ", env!("CARGO_PKG_VERSION")).to_owned(),
            time: Timestamp::now(),
            sequence: 0,
            size: 0,
            sha256: String::new(),
            block_sha256: Vec::new(),
            provenance,
        }
    }

    /// SHA-256 of the whole file, in hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// SHA-256 of every 64 KiB, in hex: tells where a changed file differs.
    pub fn block_sha256(&self) -> &[String] {
        &self.block_sha256
    }

    /// The status registers as they were.
    pub fn status(&self) -> Option<[Option<u8>; 3]> {
        self.provenance.status
    }

    fn describe(&mut self, bytes: &[u8]) {
        self.size = bytes.len() as u64;
        self.sha256 = sha256_hex(bytes);
        self.block_sha256 = bytes.chunks(BLOCK as usize).map(sha256_hex).collect();
    }
}

/// Where a backup went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The file with the flash contents.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest_path: PathBuf,
    /// SHA-256 of the content, in hex.
    pub sha256: String,
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
    pub bytes: Arc<[u8]>,
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

/// What [`look_for_backup`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The newest proven backup of the chip whose bytes are unchanged.
    pub backup: Option<StoredBackup>,
    /// Newer ones, and others in the folder, that do not count.
    pub skipped: Vec<Skipped>,
}

/// Writes a backup and its manifest to `output`, else into `folder` under a name from date, chip and chip key; the
/// folder is made when it is missing. The manifest's checksums are filled in. What is there already for the same chip
/// with the same content is recognised and not written again.
///
/// # Errors
/// [`StoreError::Exists`] when `output` is there with other content; otherwise as [`files::write_new`].
pub fn save_backup(
    folder: &Path,
    output: Option<&Path>,
    bytes: &[u8],
    mut manifest: Manifest,
) -> Result<Saved, StoreError> {
    manifest.describe(bytes);
    let known = list(folder)?.entries;
    manifest.sequence = known.iter().map(|entry| entry.manifest.sequence).max().unwrap_or(0) + 1;
    let stored = match output {
        Some(path) => read_entry(path).ok().filter(|entry| makes_superfluous(entry, &manifest)),
        None => {
            files::make_folder(folder)?;
            known.into_iter().find(|entry| makes_superfluous(entry, &manifest))
        }
    };
    let already_had = stored.is_some();
    let path = match (stored, output) {
        (Some(entry), _) => entry.path,
        (None, Some(path)) => path.to_path_buf(),
        (None, None) => free_path(folder, &default_name(&manifest)),
    };
    let manifest_path = beside(&path, MANIFEST_SUFFIX);
    let chip_key = &manifest.provenance.chip_key;
    let part = Part::take(&started_as(folder, output, chip_key), chip_key, bytes.len() as u32);
    match part {
        Some(part) if already_had => part.discard(),
        None if already_had => {}
        part => write(&path, &manifest_path, bytes, &manifest, part)?,
    }
    Ok(Saved { path, manifest_path, sha256: manifest.sha256, already_had })
}

/// Starts, or goes on with, the backup that [`save_backup`] is to keep: what is read is kept on the disk meanwhile. The
/// names and the room for it and its manifest are made sure of, so that a job of minutes does not fail at its end.
///
/// # Errors
/// [`StoreError::Exists`] when `output` or its manifest is there; [`StoreError::Full`]; otherwise as [`Part::open`].
pub fn start_backup(
    folder: &Path,
    output: Option<&Path>,
    chip_key: &str,
    size: u32,
) -> Result<(Part, Kept), StoreError> {
    match output {
        Some(output) => must_be_new(output)?,
        None => files::make_folder(folder)?,
    }
    Part::open(&started_as(folder, output, chip_key), chip_key, size, manifest_room(size))
}

/// That neither a backup nor its manifest stands at `output`, and that its folder is there.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Missing`].
pub fn must_be_new(output: &Path) -> Result<(), StoreError> {
    files::must_be_new(output)?;
    files::must_be_new(&beside(output, MANIFEST_SUFFIX))
}

/// What a backup is called after while it is made: its own name, else the chip's key.
fn started_as(folder: &Path, output: Option<&Path>, chip_key: &str) -> PathBuf {
    output.map_or_else(|| folder.join(chip_key), Path::to_path_buf)
}

/// Bytes that a manifest takes at most, but for what a job of many troubles has to tell.
fn manifest_room(size: u32) -> u64 {
    64 * 1024 + u64::from(size.div_ceil(BLOCK)) * 80
}

/// The data first, the manifest last: only with it the backup counts. Before the data has its name the manifest is on the
/// disk already, and without one.
fn write(
    path: &Path,
    manifest_path: &Path,
    bytes: &[u8],
    manifest: &Manifest,
    part: Option<Part>,
) -> Result<(), StoreError> {
    let mut json = serde_json::to_vec_pretty(manifest)
        .map_err(|error| StoreError::Manifest { path: path.to_path_buf(), text: error.to_string() })?;
    json.push(b'\n');
    let manifest = files::NewFile::reserve(manifest_path, json.len() as u64)?.filled(&json)?;
    let started = match part {
        Some(part) => Some(part.finish(path, bytes)?),
        None => {
            files::write_new(path, bytes)?;
            None
        }
    };
    manifest.appear()?;
    if let Some(started) = started {
        started.forget();
    }
    Ok(())
}

/// `2026-02-03-140506-BK7231T-1a2b3c4d`, in local time.
fn default_name(manifest: &Manifest) -> String {
    let time = manifest.time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d-%H%M%S").to_string();
    let chip = manifest.provenance.chip.map_or("unknown", Family::name);
    let key: String = manifest.provenance.chip_key.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{time}-{chip}-{key}")
}

fn free_path(folder: &Path, name: &str) -> PathBuf {
    let named = |name: String| folder.join(name + ".bin");
    let free = |path: &PathBuf| must_be_new(path).is_ok();
    let numbered = (2..1000).map(|number| named(format!("{name}-{number}")));
    let first = named(name.to_owned());
    std::iter::once(first.clone()).chain(numbered).find(free).unwrap_or(first)
}

/// Whether a stored backup, unchanged on disk, says all that a new one of the same bytes would say.
fn makes_superfluous(stored: &Entry, new: &Manifest) -> bool {
    let (old, now) = (&stored.manifest.provenance, &new.provenance);
    old.chip_key == now.chip_key
        && stored.manifest.sha256 == new.sha256
        && old.simulated == now.simulated
        && old.status == now.status
        && old.proven >= now.proven
        && unchanged_bytes(stored).is_ok()
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
            Some("part") if part::is_named_so(&path) => {
                listing.skipped.push(skipped("a backup that was cut off; the next one of that chip goes on with it"))
            }
            Some("bin") => match read_entry(&path) {
                Ok(entry) => listing.entries.push(entry),
                Err(why) => listing.skipped.push(Skipped { path, why }),
            },
            _ => {}
        }
    }
    listing.entries.sort_by_key(|entry| std::cmp::Reverse((entry.manifest.sequence, entry.manifest.time)));
    Ok(listing)
}

/// The newest proven backup of the chip `chip_key` in `folder` whose bytes still match its manifest. A changed or
/// truncated one is skipped and reported.
///
/// # Errors
/// As [`list`].
pub fn look_for_backup(folder: &Path, chip_key: &str) -> Result<Found, StoreError> {
    let listing = list(folder)?;
    let mut skipped = listing.skipped;
    let proven = |entry: &Entry| entry.manifest.provenance.proven && entry.manifest.provenance.chip_key == chip_key;
    for entry in listing.entries.into_iter().filter(proven) {
        match unchanged_bytes(&entry) {
            Ok(bytes) => {
                let backup = Some(StoredBackup { path: entry.path, manifest: entry.manifest, bytes: bytes.into() });
                return Ok(Found { backup, skipped });
            }
            Err(why) => skipped.push(Skipped { path: entry.path, why }),
        }
    }
    Ok(Found { backup: None, skipped })
}

/// [`look_for_backup`] for callers that only want the backup: a folder that cannot be read holds none.
pub fn find_backup(folder: &Path, chip_key: &str) -> Option<StoredBackup> {
    look_for_backup(folder, chip_key).ok()?.backup
}

/// Reads one backup by its path, checked against its manifest; the reason in words when it does not count.
///
/// # Errors
/// A sentence for people: no manifest, a damaged one, or bytes that do not match it.
pub fn read_backup(path: &Path) -> Result<StoredBackup, String> {
    let entry = read_entry(path)?;
    let bytes = unchanged_bytes(&entry)?;
    Ok(StoredBackup { path: entry.path, manifest: entry.manifest, bytes: bytes.into() })
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

pub(super) mod rfc3339 {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::store) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(in crate::store) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// The bytes of a backup when they match the manifest, else where they differ.
fn unchanged_bytes(entry: &Entry) -> Result<Vec<u8>, String> {
    let manifest = &entry.manifest;
    let bytes = files::read_file(&entry.path).map_err(|error| error.to_string())?;
    if bytes.len() as u64 != manifest.size {
        return Err(format!("it has {} bytes instead of {}", bytes.len(), manifest.size));
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
