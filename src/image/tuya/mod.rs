//! What Tuya firmware keeps in flash: the encrypted store, the protected blocks, the plain file area and the
//! fast-connect record (formats.md §8 to §10). Everything is found by content, so that a part of a dump is enough.

pub mod cipher;
pub mod datapoints;
pub mod fast_connect;
pub mod files;
pub mod kv;
pub mod meaning;
pub mod param;
pub mod protected;
pub mod report;
pub mod secrets;

mod place;

#[cfg(test)]
mod tests;

pub use place::FlashMap;

use memchr::memmem;
use serde::Serialize;

use self::datapoints::Schema;
use self::fast_connect::Record;
use self::files::FileArea;
use self::kv::{BlockState, Store};
use self::param::UserParam;
use self::protected::Protected;
use super::app;
use super::bytes::{Address, cut, u32_le};
use super::code::{self, APP_LOGICAL, BLOCK, BLOCK_CODE};
use super::family::{BOOT_LOADER_LEN, Family};
use super::finding::Finding;
use super::kind::Kind;
use super::text;
use crate::units::Span;

/// Whether `sector` starts like a key block or a protected block of the store.
pub fn is_key_block(sector: &[u8]) -> bool {
    let first = cipher::decrypt(&cipher::MASTER_KEY, cut(sector, 0, 16));
    u32_le(&first, 0) == Some(cipher::KEY_MAGIC) && first.len() == 16
}

/// Where a pin map was found, in the order of trust (formats.md §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In the encrypted store.
    Kv,
    /// In a deleted or replaced value of the encrypted store.
    KvStale,
    /// In the plain file area.
    FileArea,
    /// In the decrypted application.
    AppImage,
    /// In the open, somewhere in the file.
    PlainText,
    /// The file is the pin map.
    Text,
}

impl Source {
    /// The place in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kv => "the store",
            Self::KvStale => "a deleted value of the store",
            Self::FileArea => "the plain file area",
            Self::AppImage => "the decrypted application",
            Self::PlainText => "plain text in the file",
            Self::Text => "the text itself",
        }
    }
}

/// A pin map with the place it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundParam {
    /// Where it was found.
    pub source: Source,
    /// What it says.
    pub param: UserParam,
    /// The text as it stands there.
    pub text: Vec<u8>,
    /// Where the text's bytes stand in the file, in their order.
    pub places: Vec<Span>,
}

impl FoundParam {
    /// File offset of the byte `at` of the text.
    pub fn offset_of(&self, at: usize) -> Option<u32> {
        let mut left = u32::try_from(at).ok()?;
        for place in &self.places {
            if left < place.len {
                return Some(place.start + left);
            }
            left -= place.len;
        }
        self.places.last().map(Span::end)
    }
}

/// Everything Tuya in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Tuya {
    /// How file offsets and flash addresses belong together.
    pub map: FlashMap,
    /// The encrypted store.
    pub store: Option<Store>,
    /// Protected blocks.
    pub protected: Vec<Protected>,
    /// The plain file area.
    pub files: Option<FileArea>,
    /// The pin map.
    pub param: Option<FoundParam>,
    /// File offsets of texts that equal the pin map byte for byte.
    pub copies: Vec<usize>,
    /// The data points.
    pub schema: Option<Schema>,
    /// The fast-connect record.
    pub fast_connect: Option<Record>,
    /// What is wrong.
    pub problems: Vec<Finding>,
}

impl Tuya {
    /// Whether anything was found at all.
    pub fn is_empty(&self) -> bool {
        self.store.is_none() && self.protected.is_empty() && self.files.is_none() && self.param.is_none()
    }

    /// The live value of `name`, as text.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        let entry = self.store.as_ref()?.value(name).filter(|entry| entry.good)?;
        std::str::from_utf8(entry.text().split(|byte| *byte == 0).next()?).ok()
    }

    /// Whether a second processor has the pins, and this one only talks to it (formats.md §8).
    pub fn is_tuyamcu(&self) -> bool {
        let speaks = |name| self.store.as_ref().is_some_and(|store| store.live().any(|entry| entry.name == name));
        let pins = self.param.as_ref().is_some_and(|found| found.param.has_pins());
        !pins && (speaks("baud_cfg") || speaks("uart_adapt_params"))
    }

    /// The rate towards the second processor, in baud.
    pub fn baud(&self) -> Option<i64> {
        let rate = |name: &str, field: &str| param::parse(self.text_of(name)?.as_bytes()).number(field);
        rate("baud_cfg", "baud").or_else(|| rate("uart_adapt_params", "uart_baud"))
    }

    /// What the store says about the chip: family and evidence (formats.md §6).
    pub fn votes(&self) -> Vec<(Family, String)> {
        let mut votes = Vec::new();
        let sound = self.param.as_ref().filter(|found| found.param.repairs.is_empty());
        if let Some(module) = sound.and_then(|found| found.param.text("module")) {
            votes.extend(module_family(module).map(|family| (family, format!("module {module} in user_param_key"))));
        }
        if let Some(platform) = self.text_of("em_sys_env") {
            let family = match platform {
                "BK7231S_2M" => Some(Family::Bk7231T),
                "bk7231n" => Some(Family::Bk7231N),
                "bk7231" => Some(Family::Other),
                _ => None,
            };
            votes.extend(family.map(|family| (family, format!("em_sys_env {platform}"))));
        }
        votes
    }
}

/// The family of a Tuya module by its name (formats.md §6): W is T, C and T34 are N, WR, WBR and CR are Realtek.
pub fn module_family(module: &str) -> Option<Family> {
    match module.as_bytes() {
        [b'W' | b'C', b'R', ..] | [b'W', b'B', b'R', ..] => Some(Family::Other),
        [b'W', ..] => Some(Family::Bk7231T),
        [b'C', ..] | [b'T', b'3', b'4', ..] => Some(Family::Bk7231N),
        _ => None,
    }
}

/// Looks for everything Tuya in a file. `kind` and `family` are what its code says; the store is found without them.
pub fn read(bytes: &[u8], kind: Kind, family: Option<Family>) -> Tuya {
    let store = if bytes.len() > u32::MAX as usize { None } else { kv::find(bytes) };
    let map = FlashMap::new(bytes.len(), kind, store.as_ref().map(|store| store.key_block.offset));
    let first = map.first_sector();
    let files = files::find(bytes, first, |offset| map.address(offset));
    let mut tuya = Tuya {
        map,
        protected: protected::find_all(bytes, first),
        fast_connect: record(bytes, map, family),
        files,
        store,
        param: None,
        copies: Vec::new(),
        schema: None,
        problems: Vec::new(),
    };
    tuya.param = tuya.find_param(bytes, kind);
    tuya.copies = tuya.find_copies(bytes);
    tuya.schema = datapoints::find(&tuya);
    tuya.judge();
    tuya
}

fn record(bytes: &[u8], map: FlashMap, family: Option<Family>) -> Option<Record> {
    let addresses: &[u32] = match family {
        Some(Family::Bk7231T) => &[0x1E_2000],
        Some(Family::Bk7231N) => &[0x1D_1000],
        _ => &[0x1E_2000, 0x1D_1000],
    };
    addresses.iter().find_map(|address| fast_connect::read(bytes, map.offset(*address)?))
}

impl Tuya {
    fn find_param(&self, bytes: &[u8], kind: Kind) -> Option<FoundParam> {
        if kind.is_text() {
            let (param, text) = text::pin_map(bytes).filter(|_| matches!(kind, Kind::PinText | Kind::DeviceJson))?;
            return Some(FoundParam { source: Source::Text, param, text: text.into_bytes(), places: Vec::new() });
        }
        let whole = |found: &FoundParam| found.param.repairs.is_empty() && !found.param.pairs.is_empty();
        let own: [&dyn Fn() -> Option<FoundParam>; 2] = [&|| self.param_of_store(), &|| self.param_of_files(bytes)];
        let constant: &dyn Fn() -> Option<FoundParam> = &|| param_of_app(bytes, kind, self.map);
        let leftovers: [&dyn Fn() -> Option<FoundParam>; 2] = [&|| self.param_of_stale(), &|| param_in_the_open(bytes)];
        // What the application holds is the firmware's default: right only where the store surely has none of its own.
        let intact = self.store.as_ref().is_some_and(Store::is_intact);
        let rest = if intact { [constant, leftovers[0], leftovers[1]] } else { [leftovers[0], leftovers[1], constant] };
        let places = own.into_iter().chain(rest);
        // An undamaged text of a lesser place is better than a damaged one of the best.
        let mut damaged = None;
        for place in places {
            match place() {
                Some(found) if whole(&found) => return Some(found),
                found => damaged = damaged.or(found),
            }
        }
        damaged
    }

    fn param_of_store(&self) -> Option<FoundParam> {
        let entry = self.store.as_ref()?.value("user_param_key")?;
        Some(found_in(Source::Kv, entry))
    }

    /// A deleted pin map counts only where nothing else is left.
    fn param_of_stale(&self) -> Option<FoundParam> {
        let entries = &self.store.as_ref()?.entries;
        let entry = entries.iter().find(|entry| !entry.live && entry.good && entry.name == "user_param_key")?;
        Some(found_in(Source::KvStale, entry))
    }

    fn param_of_files(&self, bytes: &[u8]) -> Option<FoundParam> {
        let area = self.files.as_ref()?;
        ["oem_cfg", "user_param_key", "json"].into_iter().find_map(|name| {
            let file = area.files.iter().find(|file| file.name == name)?;
            let start = self.map.offset(area.address_of(file)?)?;
            let end = start.checked_add(file.size as usize)?.min(bytes.len());
            let found = plain(bytes, start..end, Source::FileArea);
            found.param.has_pins().then_some(found)
        })
    }

    /// Copies of the pin map in the open; the text itself, not the NULs or the padding behind it.
    fn find_copies(&self, bytes: &[u8]) -> Vec<usize> {
        let Some(found) = self.param.as_ref().filter(|found| matches!(found.source, Source::Kv | Source::KvStale))
        else {
            return Vec::new();
        };
        let end = found.text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let text = &found.text[..end];
        if text.len() < 16 { Vec::new() } else { memmem::find_iter(bytes, text).collect() }
    }

    fn judge(&mut self) {
        if let Some(store) = &self.store {
            for block in store.blocks.iter().filter(|block| block.state == BlockState::Damaged) {
                let (id, at) = (block.id, Address(block.offset as u32));
                let what =
                    format!("store: block {id} at {at} has a bad checksum; an older copy is used where there is one");
                self.problems.push(Finding::warning(Finding::BAD_STORE_BLOCK, what));
            }
            for at in &store.unreadable {
                let what = format!("store: the sector at {} is no data block", Address(*at as u32));
                self.problems.push(Finding::warning(Finding::BAD_STORE_BLOCK, what));
            }
            if store.missing > 0 {
                let what =
                    format!("store: the file ends before {} of its {} data blocks", store.missing, kv::DATA_BLOCKS);
                self.problems.push(Finding::warning(Finding::CUT_OFF, what));
            }
            for entry in store.live().filter(|entry| !entry.good) {
                let (name, at) = (&entry.name, Address(entry.index as u32));
                let what = format!("store: the value of {name} (index page at {at}) is damaged");
                self.problems.push(Finding::warning(Finding::BAD_STORE_VALUE, what));
            }
        }
        for block in self.protected.iter().filter(|block| !block.good) {
            let what = format!("protected block at {}: bad checksum", Address(block.offset as u32));
            self.problems.push(Finding::warning(Finding::BAD_STORE_BLOCK, what));
        }
        if let Some(area) = self.files.as_ref().filter(|area| !area.good) {
            let what = format!("file area: the index at {} has a bad checksum", Address(area.offset as u32));
            self.problems.push(Finding::warning(Finding::BAD_STORE_BLOCK, what));
        }
        if let Some(found) = &self.param {
            for repair in &found.param.repairs {
                let at = Address(found.offset_of(repair.at).unwrap_or_default());
                let what = format!("pin map, recovered, check by hand: at {at} {}", repair.what);
                self.problems.push(Finding::warning(Finding::REPAIRED_PARAM, what));
            }
            if matches!(found.source, Source::FileArea | Source::PlainText) {
                let what =
                    format!("pin map: from {}, where no checksum covers it; check it by hand", found.source.name());
                self.problems.push(Finding::warning(Finding::UNCHECKED_PARAM, what));
            }
            if found.source == Source::AppImage && !self.store.as_ref().is_some_and(Store::is_intact) {
                let what = "pin map: the default of the firmware; the device's own may have been in the damaged store";
                self.problems.push(Finding::warning(Finding::UNCHECKED_PARAM, what));
            }
            if found.source == Source::KvStale {
                let what = "pin map: only a deleted value of the store is left";
                self.problems.push(Finding::warning(Finding::REPAIRED_PARAM, what));
            }
        }
    }
}

fn found_in(source: Source, entry: &kv::Entry) -> FoundParam {
    let mut param = param::parse(entry.text());
    if !entry.good {
        param.repairs.push(param::Repair { at: 0, what: "its checksum does not match" });
    }
    FoundParam { source, param, text: entry.value.clone(), places: entry.places.clone() }
}

fn plain(bytes: &[u8], place: std::ops::Range<usize>, source: Source) -> FoundParam {
    let text = cut(bytes, place.start, place.end).to_vec();
    let places = vec![Span::new(place.start as u32, text.len() as u32)];
    FoundParam { source, param: param::parse(&text), text, places }
}

fn param_in_the_open(bytes: &[u8]) -> Option<FoundParam> {
    let places = param::find_texts(bytes).into_iter().map(|place| plain(bytes, place, Source::PlainText));
    places.min_by_key(|found| found.param.repairs.len())
}

/// The pin map that some T firmware carries as a constant.
fn param_of_app(bytes: &[u8], kind: Kind, map: FlashMap) -> Option<FoundParam> {
    let start = match kind {
        Kind::Ua => 0,
        Kind::Dump | Kind::RotatedDump | Kind::FromApplication | Kind::Qio => map.offset(BOOT_LOADER_LEN)?,
        _ => return None,
    };
    let container = app::container(bytes, u32::try_from(start).ok()?);
    let code = app::decrypted(container, code::key_of(container, APP_LOGICAL)?);
    let place = param::find_texts(&code).into_iter().max_by_key(|place| place.len())?;
    let text = code[place.clone()].to_vec();
    // 32 bytes of code take 34 in flash.
    let in_blocks = Span::between(place.start as u32, place.end as u32).pieces(BLOCK_CODE as u32);
    let places = in_blocks.map(|piece| {
        let (block, within) = (piece.start as usize / BLOCK_CODE, piece.start as usize % BLOCK_CODE);
        Span::new((start + block * BLOCK + within) as u32, piece.len)
    });
    Some(FoundParam { source: Source::AppImage, param: param::parse(&text), places: places.collect(), text })
}
