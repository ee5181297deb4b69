//! A copy of a dump that is safe to share (formats.md §14). Every copy of a secret is blanked: live, deleted and older
//! values of the Tuya store, protected blocks, the fast-connect record, logs, OpenBeken's configuration, and whatever
//! a search for the same values finds elsewhere. Checksums and encryption are put right again, so the store stays
//! readable. In the end the result is searched for every value that was blanked.

mod collect;
mod search;
mod store;

use std::ops::Range;

use memchr::memmem;
use serde::Serialize;

use self::collect::Known;
use super::bytes::{Address, all, cut};
use super::family::Family;
use super::kind::{self, Kind};
use super::openbeken;
use super::rf;
use super::tuya::files::FileArea;
use super::tuya::secrets::{self, BLANK};
use super::tuya::{self, Tuya, fast_connect};
use crate::units::SECTOR;

/// What to blank beyond the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// OpenBeken's start-up command too; it may hold passwords.
    pub start_up_command: bool,
}

/// A place that was blanked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What stood there.
    pub kind: String,
    /// File offset.
    pub offset: Address,
    /// Bytes.
    pub length: usize,
}

/// The search for what was blanked, in the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Different values searched for.
    pub values: usize,
    /// Values of fewer than [`SHORTEST`] bytes: chance finds them everywhere, so they were only blanked in their place.
    pub too_short: usize,
    /// The ways each value was written.
    pub encodings: Vec<&'static str>,
    /// Where was searched.
    pub searched: Vec<&'static str>,
    /// Where a value is left: kind and file offset. Empty, or the copy must not be shared.
    pub left: Vec<Removed>,
}

impl Proof {
    /// Whether nothing is left.
    pub fn holds(&self) -> bool {
        self.left.is_empty()
    }
}

/// What was done. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was blanked, in file order.
    pub removed: Vec<Removed>,
    /// The search for it in the result.
    pub proof: Proof,
    /// What was left as it is and may be worth a look.
    pub notes: Vec<String>,
}

/// The shortest value that is searched for, in bytes.
pub const SHORTEST: usize = 5;

/// Makes the copy.
pub fn redact(bytes: &[u8], options: Options) -> (Vec<u8>, Report) {
    let kind = kind::recognise(bytes);
    let tuya = tuya::read(bytes, kind, None);
    let known = collect::known(bytes, kind, &tuya);
    let mut work = Work { bytes: bytes.to_vec(), removed: Vec::new(), notes: Vec::new() };
    store::blank_store(&mut work, &tuya);
    store::blank_protected(&mut work, &tuya);
    work.network_sectors(&tuya);
    work.files(&tuya);
    work.openbeken(kind, &tuya, options);
    work.mac(&tuya);
    work.plain_fields(kind);
    work.found_elsewhere(kind, &known);
    work.download_area(kind, &tuya);
    if work.removed.is_empty() {
        work.notes.push("no place was found where a secret is known to stand".to_owned());
    }
    let proof = prove(&work.bytes, &known);
    work.removed.sort_by_key(|removed| removed.offset);
    (work.bytes, Report { removed: work.removed, proof, notes: work.notes })
}

/// Searches the finished copy as a stranger would: raw, decrypted, in every way a value may be written.
fn prove(bytes: &[u8], known: &[Known]) -> Proof {
    let kind = kind::recognise(bytes);
    let tuya = tuya::read(bytes, kind, None);
    let views = search::views(bytes, kind, &tuya);
    let long: Vec<&Known> = known.iter().filter(|known| known.value.len() >= SHORTEST).collect();
    let hits = search::find(&views, &long);
    let mut searched: Vec<&'static str> = Vec::new();
    for view in &views {
        if !searched.contains(&view.name) {
            searched.push(view.name);
        }
    }
    let left = hits.into_iter().map(|hit| Removed {
        kind: format!("{} in {}", long[hit.known].kind, hit.view),
        offset: Address(hit.offset as u32),
        length: hit.len,
    });
    Proof {
        values: long.len(),
        too_short: known.len() - long.len(),
        encodings: search::ENCODINGS.to_vec(),
        searched,
        left: left.collect(),
    }
}

/// The copy in the making.
struct Work {
    bytes: Vec<u8>,
    removed: Vec<Removed>,
    notes: Vec<String>,
}

impl Work {
    fn tell(&mut self, kind: impl Into<String>, place: Range<usize>) {
        self.removed.push(Removed { kind: kind.into(), offset: Address(place.start as u32), length: place.len() });
    }

    /// Fills a place that is not erased yet, and tells.
    fn fill(&mut self, kind: &str, place: Range<usize>, value: u8) {
        let place = place.start..place.end.min(self.bytes.len());
        if let Some(bytes) = self.bytes.get_mut(place.clone())
            && !bytes.is_empty()
            && !all(bytes, value)
            && !all(bytes, 0xFF)
        {
            bytes.fill(value);
            self.tell(kind, place);
        }
    }

    /// The sectors of network parameters and of the fast-connect record, whole: behind the record stand older ones.
    fn network_sectors(&mut self, tuya: &Tuya) {
        for (family, addresses) in [(Family::Bk7231T, &[0x1E_1000, 0x1E_2000][..]), (Family::Bk7231N, &[0x1D_1000])] {
            let rf_block = family.rf_block().and_then(|span| tuya.map.offset(span.start));
            let is_family = rf_block.is_some_and(|at| rf::find(&self.bytes, at as u32).is_some());
            for start in addresses.iter().filter_map(|address| tuya.map.offset(*address)) {
                // Without the RF block in front, the sector may belong to something else on another chip.
                let record = fast_connect::read(&self.bytes, start).is_some();
                let config = cut(&self.bytes, start, start + 3) == openbeken::MAGIC;
                if !config && (record || is_family) {
                    self.fill("network parameters and fast-connect record", start..start + SECTOR as usize, 0xFF);
                }
            }
        }
    }

    /// Logs in the plain file area: the files themselves and what else stands in their sectors.
    fn files(&mut self, tuya: &Tuya) {
        let Some(area) = &tuya.files else { return };
        let sector = SECTOR as usize;
        for file in area.files.iter().filter(|file| is_log(&file.name)) {
            let Some(start) = area.address_of(file).and_then(|address| tuya.map.offset(address)) else { continue };
            let len = (file.size as usize).div_ceil(sector).max(1) * sector;
            if !keeps_others(area, tuya, start..start + len, &file.name) {
                self.fill(&format!("log file {}", file.name), start..start + len, 0xFF);
            }
        }
    }

    fn openbeken(&mut self, kind: Kind, tuya: &Tuya, options: Options) {
        for sector in [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::config_sector) {
            let start = if kind == Kind::ObkConfig { Some(0) } else { tuya.map.offset(sector.start) };
            let Some(start) = start else { continue };
            let Some(config) = self.bytes.get(start..).and_then(|bytes| openbeken::Config::read(bytes, start)) else {
                continue;
            };
            let secrets = config.secrets();
            let command = secrets.iter().any(|(name, _)| *name == "start_up_command");
            if command && !options.start_up_command {
                self.notes.push("OpenBeken's start-up command was kept; look whether it holds a password".to_owned());
            }
            let wanted =
                secrets.into_iter().filter(|(name, _)| *name != "start_up_command" || options.start_up_command);
            let wanted: Vec<_> = wanted.collect();
            let places: Vec<_> = wanted.iter().map(|(_, place)| place.clone()).collect();
            openbeken::blank(&mut self.bytes[start..], &places);
            for (name, place) in wanted {
                self.tell(format!("OpenBeken {name}"), start + place.start..start + place.end);
            }
        }
        self.easy_flash(tuya);
    }

    /// The fast-connect value of OpenBeken's own store. Its entry keeps a checksum that no longer matches, so that
    /// OpenBeken drops the entry.
    fn easy_flash(&mut self, tuya: &Tuya) {
        let span = openbeken::EASY_FLASH;
        let Some(start) = tuya.map.offset(span.start) else { return };
        let end = (start + span.len as usize).min(self.bytes.len());
        let marked = (start..end).step_by(SECTOR as usize).any(|at| cut(&self.bytes, at + 4, at + 8) == b"EF40");
        if !marked {
            return;
        }
        let places: Vec<Range<usize>> = memmem::find_iter(cut(&self.bytes, start, end), b"fcdata")
            .filter_map(|name| {
                // In front of the name: name length with padding, value length.
                let name = start + name;
                let len = super::bytes::u32_le(&self.bytes, name.checked_sub(4)?)? as usize;
                let value = name + b"fcdata".len();
                Some(value..(value + len.min(SECTOR as usize) + 4).min(end))
            })
            .collect();
        for place in places {
            self.fill("OpenBeken EasyFlash fcdata", place, 0);
        }
    }

    fn mac(&mut self, tuya: &Tuya) {
        for span in [Family::Bk7231T, Family::Bk7231N].into_iter().filter_map(Family::rf_block) {
            let Some(start) = tuya.map.offset(span.start) else { continue };
            let found = rf::find(&self.bytes, start as u32).and_then(|block| block.mac_offset);
            if let Some(place) = found {
                self.fill("MAC address", place as usize..place as usize + 6, 0xFF);
            }
        }
    }

    /// Secret fields of JSON in the open, such as in files that were deleted.
    fn plain_fields(&mut self, kind: Kind) {
        let places: Vec<Range<usize>> = secrets::json_texts(&self.bytes)
            .into_iter()
            .filter(|text| secrets::is_secret_field(&self.bytes[text.name.clone()]))
            .map(|text| text.text)
            .filter(|place| !is_code(kind, place))
            .collect();
        for place in places {
            self.fill("secret field in plain text", place, BLANK);
        }
    }

    /// The same values anywhere else in the file.
    fn found_elsewhere(&mut self, kind: Kind, known: &[Known]) {
        let long: Vec<&Known> = known.iter().filter(|known| known.value.len() >= SHORTEST).collect();
        let view = search::View::raw(&self.bytes);
        let hits = search::find(&[view], &long);
        for hit in hits {
            let place = hit.offset..hit.offset + hit.len;
            if is_code(kind, &place) {
                let what =
                    format!("{} at {} stands in code and was kept", long[hit.known].kind, Address(hit.offset as u32));
                self.notes.push(what);
            } else {
                self.fill(&format!("copy of {}", long[hit.known].kind), place, BLANK);
            }
        }
    }

    fn download_area(&mut self, kind: Kind, tuya: &Tuya) {
        if !kind.is_dump() {
            return;
        }
        let start = tuya.map.offset(0x13_2000);
        let used = start.is_some_and(|start| !all(cut(&self.bytes, start, start + 0x9_6000), 0xFF));
        if used {
            let what = "the download area is in use: it may hold an earlier firmware or files, and was searched only for the known values";
            self.notes.push(what.to_owned());
        }
    }
}

/// Files that log the set-up of the network (formats.md §14).
fn is_log(name: &str) -> bool {
    name == "netcfg_log" || name == "log_seq_stat" || name.starts_with("logseq")
}

/// Whether another file of the index stands in the same place, as where an index is damaged.
fn keeps_others(area: &FileArea, tuya: &Tuya, place: Range<usize>, name: &str) -> bool {
    let others = area.files.iter().filter(|file| file.name != name && file.size > 0 && !is_log(&file.name));
    let index = area.offset..area.offset + SECTOR as usize;
    let starts = others.filter_map(|file| tuya.map.offset(area.address_of(file)?));
    starts.into_iter().any(|start| place.contains(&start)) || place.contains(&index.start)
}

/// Whether a place belongs to boot loader or application, which a copy must not change.
fn is_code(kind: Kind, place: &Range<usize>) -> bool {
    match kind {
        Kind::Dump | Kind::Qio => place.start < 0x12_9F70,
        Kind::FromApplication => place.start < 0x11_8F70,
        Kind::RotatedDump => place.start < 0x11_8F70 || place.start >= 0x1E_F000,
        Kind::Ua => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
