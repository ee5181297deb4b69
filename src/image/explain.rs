//! What the differences of two dumps mean: firmware, RF block, keys of the Tuya store, OpenBeken's settings and files, and
//! how the use of sectors changed. Values that may be secret are told as different, never shown.

use std::collections::BTreeMap;

use serde::Serialize;

use super::bytes::all;
use super::family::Family;
use super::inspect::{Inspection, inspect};
use super::kind;
use super::littlefs::FileSystem;
use super::openbeken::changes::changes;
use super::tuya::{self, Tuya};
use crate::image::littlefs::Area;
use crate::units::SECTOR;

/// A difference in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it belongs to: `firmware`, `RF block`, `Tuya store`, `pin map`, `OpenBeken`, `files`.
    pub area: &'static str,
    /// Key, field or file.
    pub key: String,
    /// What the first file has; empty where it has nothing.
    pub before: String,
    /// What the second file has; empty where it has nothing.
    pub after: String,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: ", self.area, self.key)?;
        match (self.before.is_empty(), self.after.is_empty()) {
            (true, _) => write!(f, "new: {}", self.after),
            (false, true) => write!(f, "gone: {}", self.before),
            (false, false) => write!(f, "{} -> {}", self.before, self.after),
        }
    }
}

/// How sectors of 4 KiB are used, compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SectorUse {
    /// Equal sectors.
    pub equal: usize,
    /// Erased in the first file, used in the second.
    pub written: usize,
    /// Used in the first file, erased in the second.
    pub erased: usize,
    /// Used in both, with different content.
    pub changed: usize,
}

impl SectorUse {
    /// Compares what both files have; a last part of a sector counts as one.
    pub fn of(first: &[u8], second: &[u8]) -> Self {
        let mut found = Self::default();
        for (one, other) in first.chunks(SECTOR as usize).zip(second.chunks(SECTOR as usize)) {
            let count = match (one == other, all(one, 0xFF), all(other, 0xFF)) {
                (true, ..) => &mut found.equal,
                (false, true, _) => &mut found.written,
                (false, _, true) => &mut found.erased,
                (false, false, false) => &mut found.changed,
            };
            *count += 1;
        }
        found
    }
}

/// What differs, in words; empty where both hold the same, or nothing that is known.
pub fn explain(first: &[u8], second: &[u8]) -> Vec<Change> {
    let [a, b] = [inspect(first), inspect(second)];
    let mut found = firmware(&a, &b);
    let [one, other] =
        [(first, &a), (second, &b)].map(|(bytes, seen)| tuya::read(bytes, kind::recognise(bytes), seen.chip));
    found.extend(store(&one, &other));
    found.extend(pin_map(&a, &b));
    found.extend(openbeken([(first, &one), (second, &other)], a.chip.or(b.chip)));
    found.extend(files(first, second));
    found
}

fn change(area: &'static str, key: impl Into<String>, before: Option<String>, after: Option<String>) -> Option<Change> {
    let (key, before, after) = (key.into(), before.unwrap_or_default(), after.unwrap_or_default());
    (before != after).then_some(Change { area, key, before, after })
}

/// What runs, and the RF block; the MAC address counts by its hash alone.
fn firmware(a: &Inspection, b: &Inspection) -> Vec<Change> {
    let part = |seen: &Inspection| seen.firmware.clone();
    let boot = |seen: &Inspection| {
        let found = part(seen)?.bootloader?;
        let crc = found.rbl.map(|rbl| format!(", CRC {}", rbl.payload_crc32)).unwrap_or_default();
        Some(format!("{}{crc}", found.version_string.unwrap_or_else(|| "without version".to_owned())))
    };
    let app = |seen: &Inspection| {
        let found = part(seen)?.app?;
        let name = seen.openbeken.clone().or(found.app_name).unwrap_or_else(|| "without version".to_owned());
        let crc = found.rbl.map(|rbl| format!(", CRC {}", rbl.payload_crc32)).unwrap_or_default();
        Some(format!("{name}{crc}"))
    };
    let mac = |seen: &Inspection| {
        let hash = part(seen)?.rf_tlv?.mac_sha256?;
        Some(format!("MAC address with hash {}", hash.get(..8).unwrap_or_default()))
    };
    let chip = |seen: &Inspection| seen.chip.map(|chip| chip.name().to_owned());
    [
        change("firmware", "chip", chip(a), chip(b)),
        change("firmware", "bootloader", boot(a), boot(b)),
        change("firmware", "application", app(a), app(b)),
        change(
            "firmware",
            "code key",
            part(a).and_then(|part| part.encryption),
            part(b).and_then(|part| part.encryption),
        ),
        change("RF block", "MAC address", mac(a), mac(b)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Live keys of the store: new, gone, or with another value, which is told by its length.
fn store(one: &Tuya, other: &Tuya) -> Vec<Change> {
    let live = |tuya: &Tuya| -> BTreeMap<String, Vec<u8>> {
        let entries = tuya.store.iter().flat_map(|store| store.live());
        entries.map(|entry| (entry.name.clone(), entry.text().to_vec())).collect()
    };
    let (a, b) = (live(one), live(other));
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let told = |value: Option<&Vec<u8>>| value.map(|value| format!("{} bytes", value.len()));
    let changes = names.into_iter().filter(|name| a.get(*name) != b.get(*name)).map(|name| {
        let (before, mut after) = (told(a.get(name)), told(b.get(name)));
        if before == after {
            after = after.map(|text| format!("{text}, another value"));
        }
        Change {
            area: "Tuya store",
            key: name.clone(),
            before: before.unwrap_or_default(),
            after: after.unwrap_or_default(),
        }
    });
    changes.collect()
}

/// The pairs of the pin map, which hold no secret.
fn pin_map(a: &Inspection, b: &Inspection) -> Vec<Change> {
    let pairs = |seen: &Inspection| -> BTreeMap<String, String> {
        let param = seen.tuya.as_ref().and_then(|tuya| tuya.user_param_key.as_ref());
        let text = |value| serde_json::to_string(value).unwrap_or_default();
        param.into_iter().flat_map(|param| param.pairs.iter().map(|(key, value)| (key.clone(), text(value)))).collect()
    };
    let (a, b) = (pairs(a), pairs(b));
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter_map(|name| change("pin map", name, a.get(name).cloned(), b.get(name).cloned())).collect()
}

/// The fields of OpenBeken's configuration; secrets are masked where they are compared.
fn openbeken(files: [(&[u8], &Tuya); 2], chip: Option<Family>) -> Vec<Change> {
    let families = chip.map_or_else(|| vec![Family::Bk7231T, Family::Bk7231N], |chip| vec![chip]);
    families
        .into_iter()
        .find_map(|chip| {
            let place = chip.config_sector()?;
            let sector = |(bytes, tuya): (&'_ [u8], &Tuya)| -> Option<Vec<u8>> {
                let start = tuya.map.offset(place.start)?;
                bytes.get(start..start + SECTOR as usize).map(<[u8]>::to_vec)
            };
            let [first, second] = files.map(sector);
            let (first, second) = (first?, second?);
            let any = [&first, &second].iter().any(|sector| sector.starts_with(super::openbeken::MAGIC));
            let fields = changes(&first, &second, chip).into_iter().filter(|_| any);
            let list: Vec<Change> = fields
                .map(|field| Change { area: "OpenBeken", key: field.field, before: field.before, after: field.after })
                .collect();
            (!list.is_empty()).then_some(list)
        })
        .unwrap_or_default()
}

/// The files of OpenBeken's file area.
fn files(first: &[u8], second: &[u8]) -> Vec<Change> {
    let [a, b] = [first, second].map(|bytes| Area::of_dump(bytes).map(|area| area.files));
    let names: std::collections::BTreeSet<&String> =
        [&a, &b].into_iter().flatten().flat_map(|files| files.files.iter().map(|file| &file.path)).collect();
    let changes = names.into_iter().filter_map(|name| {
        let of = |files: &Option<FileSystem>| files.as_ref().and_then(|files| files.file(name).cloned());
        let (before, after) = (of(&a), of(&b));
        if before == after {
            return None;
        }
        let told = |file: &super::littlefs::File| format!("{} bytes", file.len);
        let (was, mut is) = (before.as_ref().map(told), after.as_ref().map(told));
        if was == is {
            is = is.map(|text| format!("{text}, another content"));
        }
        change("files", name, was, is)
    });
    changes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{littlefs, samples};

    #[test]
    fn the_use_of_sectors_is_counted() {
        let (erased, one, two) = (vec![0xFF; 0x1000], vec![1; 0x1000], vec![2; 0x1000]);
        let first = [&erased[..], &one, &one, &one].concat();
        let second = [&one[..], &erased, &two, &one].concat();
        let found = SectorUse::of(&first, &second);
        assert_eq!(found, SectorUse { equal: 1, written: 1, erased: 1, changed: 1 });
    }

    #[test]
    fn a_changed_file_a_new_key_and_another_mac_are_named_without_secrets() {
        let Some(sample) = samples::dump("ds-101jl-4gang-switch-t") else { return };
        let mut changed = sample.bytes.clone();
        changed[0x1E_0024] ^= 1;
        let files = [("autoexec.bat".to_owned(), b"startDriver BL0937".to_vec())];
        let area = littlefs::image(0x8000, &files).unwrap();
        changed[0x1A_B000..0x1B_3000].copy_from_slice(&area);
        let found = explain(&sample.bytes, &changed);
        let told: Vec<String> = found.iter().map(Change::to_string).collect();
        assert!(told.iter().any(|text| text.starts_with("RF block: MAC address: MAC address with hash ")), "{told:?}");
        assert!(told.contains(&"files: autoexec.bat: new: 18 bytes".to_owned()), "{told:?}");
        assert_eq!(explain(&sample.bytes, &sample.bytes), []);
    }

    #[test]
    fn two_devices_differ_in_their_pin_maps_and_keys() {
        let (Some(one), Some(other)) =
            (samples::dump("ds-101jl-4gang-switch-t"), samples::dump("daybetter-rgb-strip-t"))
        else {
            return;
        };
        let found = explain(&one.bytes, &other.bytes);
        assert!(
            found.iter().any(|change| change.area == "pin map" && change.key == "rl1_pin" && change.after.is_empty())
        );
        assert!(found.iter().any(|change| change.area == "Tuya store" && change.key == "user_param_key"));
    }
}
