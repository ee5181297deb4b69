//! The map of a file: which bytes are what (formats.md §1), checked against the bytes themselves.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::bytes::{Address, all, cut};
use super::code::{self, APP_LOGICAL};
use super::family::{BOOT_LOADER_LEN, FLASH_SIZE, Family, TUYA_STORE};
use super::kind::{self, Kind};
use super::{app, bootloader, libretiny, littlefs, rf, tuya, votes};
use crate::units::{BLOCK, Span};

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionKind {
    /// Boot loader.
    BootLoader,
    /// Application.
    Application,
    /// Over-the-air download area.
    Download,
    /// Plain files of the Tuya firmware.
    Files,
    /// RF calibration and MAC address.
    Rf,
    /// Network parameters, fast-connect record, OpenBeken configuration.
    Network,
    /// Tuya store and protected blocks, OpenBeken's EasyFlash.
    Store,
    /// Erased flash.
    Empty,
    /// Nobody knows.
    Unknown,
}

impl RegionKind {
    /// The word people see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BootLoader => "boot loader",
            Self::Application => "application",
            Self::Download => "download",
            Self::Files => "files",
            Self::Rf => "RF",
            Self::Network => "network",
            Self::Store => "store",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }
}

/// A run of bytes with one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Name for people.
    pub name: String,
    /// Where it is, in flash addresses for [`Family::layout`] and in file offsets for [`regions`].
    pub span: Span,
    /// What it is for.
    pub kind: RegionKind,
}

impl Region {
    /// A region from its parts.
    pub fn new(name: impl Into<String>, span: Span, kind: RegionKind) -> Self {
        Self { name: name.into(), span, kind }
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Region", 4)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("start", &Address(self.span.start))?;
        fields.serialize_field("end", &Address(self.span.end()))?;
        fields.serialize_field("kind", &self.kind)?;
        fields.end()
    }
}

/// The regions of a file in file offsets: sorted, without gaps, from the first byte to the last. The map comes from
/// the recognised chip family; a region whose bytes do not bear it out is called unknown.
pub fn regions(bytes: &[u8]) -> Vec<Region> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let kind = kind::recognise(bytes);
    let flash = kind::in_flash_order(bytes, kind);
    match kind {
        Kind::Dump | Kind::Qio => from_map(&flash, 0, family_of(&flash)),
        Kind::FromApplication => behind_boot_loader(from_map(&flash, 0, family_of(&flash))),
        Kind::RotatedDump => turned(from_map(&flash, 0, family_of(&flash)), BOOT_LOADER_LEN, len),
        Kind::Ua => from_map(bytes, BOOT_LOADER_LEN, Some(Family::Other)),
        Kind::ConfigOnly => from_map(bytes, TUYA_STORE, Some(Family::Bk7231T)),
        Kind::ObkConfig => vec![Region::new("OpenBeken configuration", Span::new(0, len), RegionKind::Network)],
        Kind::Uf2 => vec![Region::new("UF2 package", Span::new(0, len), RegionKind::Unknown)],
        Kind::PinText | Kind::DeviceJson | Kind::Template | Kind::DeviceList => {
            vec![Region::new(kind.name(), Span::new(0, len), RegionKind::Unknown)]
        }
        Kind::Ug | Kind::Rbl => vec![Region::new("over-the-air package", Span::new(0, len), RegionKind::Download)],
        Kind::Erased => vec![Region::new("empty", Span::new(0, len), RegionKind::Empty)],
        Kind::RawCode | Kind::Part | Kind::Unknown => joined(split_empty(bytes, unknown(Span::new(0, len)))),
    }
}

fn unknown(span: Span) -> Region {
    Region::new("unknown", span, RegionKind::Unknown)
}

/// The family, as cheaply as possible: the application is decrypted only when nothing else speaks.
fn family_of(flash: &[u8]) -> Option<Family> {
    let boot_loader = bootloader::read(flash);
    let quick = votes::votes(boot_loader.as_ref(), Some(flash), None);
    if quick.is_empty() { votes::decide(&votes::flash_votes(flash)).0 } else { votes::decide(&quick).0 }
}

/// Lays the family's map over `bytes`, whose first byte has the flash address `base`.
fn from_map(bytes: &[u8], base: u32, family: Option<Family>) -> Vec<Region> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let whole = Span::between(base, base.saturating_add(len));
    let Some(family) = family else { return joined(split_empty(bytes, unknown(Span::new(0, len)))) };
    let mut found = Vec::new();
    let layout = laid_over(family.layout(whole.end().max(FLASH_SIZE)), libretiny::regions(bytes, family, base));
    let files = if base == 0 { littlefs::sectors(bytes, family) } else { None };
    let files = files.map(|span| Region::new("OpenBeken files (littlefs)", span, RegionKind::Files));
    let layout = laid_over(layout, files.into_iter().collect());
    for region in layout {
        let span = region.span.intersection(whole);
        if span.is_empty() {
            continue;
        }
        let span = Span::new(span.start - base, span.len);
        found.extend(proven(bytes, Region { span, ..region }, family, base));
    }
    joined(found)
}

/// A map with other regions laid over it; what they cover of the map's own is cut away.
fn laid_over(map: Vec<Region>, over: Vec<Region>) -> Vec<Region> {
    let mut found = map;
    for region in over {
        let cut = found.into_iter().flat_map(|old| {
            let before = Span::between(old.span.start, old.span.end().min(region.span.start));
            let behind = Span::between(old.span.start.max(region.span.end()), old.span.end());
            [before, behind].map(|span| Region { span, ..old.clone() })
        });
        found = cut.filter(|old| !old.span.is_empty()).collect();
        found.push(region);
        found.sort_by_key(|region| region.span.start);
    }
    found
}

/// What the bytes of a mapped region bear out: the region itself, its used and its empty part, or unknown.
fn proven(bytes: &[u8], region: Region, family: Family, base: u32) -> Vec<Region> {
    let Span { start, .. } = region.span;
    let content = cut(bytes, start as usize, region.span.end() as usize);
    if all(content, 0xFF) {
        return vec![Region::new("empty", region.span, RegionKind::Empty)];
    }
    let flash_start = start + base;
    let good = match region.kind {
        RegionKind::BootLoader => code::key_of(content, 0).is_some(),
        RegionKind::Application => return application(bytes, region),
        RegionKind::Rf => rf::find(bytes, start).is_some(),
        // LibreTiny's store is on the map only where its magic word was seen.
        RegionKind::Store => region.name.starts_with("LibreTiny") || tuya::is_key_block(content),
        RegionKind::Network if content.starts_with(b"CFG") => {
            return vec![Region::new("OpenBeken configuration", region.span, RegionKind::Network)];
        }
        RegionKind::Files if region.name.starts_with("LibreTiny") || region.name.starts_with("OpenBeken") => true,
        RegionKind::Files if flash_start <= EASY_FLASH.start => return files(bytes, region, base),
        RegionKind::Unknown => return split_empty(bytes, region),
        RegionKind::Network | RegionKind::Download | RegionKind::Files | RegionKind::Empty => true,
    };
    match (good, family) {
        (true, _) => vec![region],
        (false, _) => split_empty(
            bytes,
            Region::new(format!("unknown (place of {})", region.name), region.span, RegionKind::Unknown),
        ),
    }
}

/// OpenBeken keeps its key-value store here once it has run (formats.md §12).
const EASY_FLASH: Span = Span::new(0x1E_5000, 0x8000);

/// The file area, which OpenBeken's EasyFlash takes a part of.
fn files(bytes: &[u8], region: Region, base: u32) -> Vec<Region> {
    let easy_flash = Span::new(EASY_FLASH.start.saturating_sub(base), EASY_FLASH.len).intersection(region.span);
    let marked = cut(bytes, easy_flash.start as usize + 4, easy_flash.start as usize + 8) == b"EF40";
    if !marked || easy_flash.is_empty() {
        return vec![region];
    }
    let part = |span, name: &str, kind| Region::new(name, span, kind);
    let parts = [
        part(Span::between(region.span.start, easy_flash.start), &region.name, RegionKind::Files),
        part(easy_flash, "OpenBeken EasyFlash", RegionKind::Store),
        part(Span::between(easy_flash.end(), region.span.end()), &region.name, RegionKind::Files),
    ];
    parts.into_iter().filter(|part| !part.span.is_empty()).collect()
}

/// The application, and the erased flash behind its last code block.
fn application(bytes: &[u8], region: Region) -> Vec<Region> {
    let content = cut(bytes, region.span.start as usize, region.span.end() as usize);
    if code::key_of(content, APP_LOGICAL).is_none() {
        let name = "unknown (place of the application)";
        return split_empty(bytes, Region::new(name, region.span, RegionKind::Unknown));
    }
    let container = app::CONTAINER_LEN.min(region.span.len);
    let used = Span::new(region.span.start, container);
    let rest = Span::between(used.end(), region.span.end());
    let mut found = vec![Region { span: used, ..region }];
    if !rest.is_empty() {
        found.extend(split_empty(bytes, unknown(rest)));
    }
    found
}

/// Cuts the erased runs of at least 64 KiB out of a region, and the erased whole.
fn split_empty(bytes: &[u8], region: Region) -> Vec<Region> {
    let content = |span: Span| cut(bytes, span.start as usize, span.end() as usize);
    if all(content(region.span), 0xFF) {
        return vec![Region::new("empty", region.span, RegionKind::Empty)];
    }
    let pieces = region.span.pieces(BLOCK).map(|span| {
        if span.len == BLOCK && all(content(span), 0xFF) {
            Region::new("empty", span, RegionKind::Empty)
        } else {
            Region { span, ..region.clone() }
        }
    });
    joined(pieces.collect())
}

/// Joins neighbours of the same name.
fn joined(regions: Vec<Region>) -> Vec<Region> {
    let mut joined: Vec<Region> = Vec::with_capacity(regions.len());
    for region in regions.into_iter().filter(|region| !region.span.is_empty()) {
        match joined.last_mut() {
            Some(last) if last.name == region.name && last.kind == region.kind => last.span.len += region.span.len,
            _ => joined.push(region),
        }
    }
    joined
}

/// Flash addresses as the file offsets of a dump without its boot loader.
fn behind_boot_loader(flash: Vec<Region>) -> Vec<Region> {
    let behind = |region: Region| {
        let start = region.span.start.max(BOOT_LOADER_LEN);
        let span = Span::between(start - BOOT_LOADER_LEN, region.span.end().saturating_sub(BOOT_LOADER_LEN));
        Region { span, ..region }
    };
    joined(flash.into_iter().map(behind).collect())
}

/// Turns flash addresses into the file offsets of a rotated dump; a region across the seam is cut.
fn turned(flash: Vec<Region>, rotation: u32, len: u32) -> Vec<Region> {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for region in flash {
        let before = region.span.intersection(Span::new(0, rotation));
        let behind = region.span.intersection(Span::between(rotation, len));
        first.push(Region { span: Span::new(behind.start.saturating_sub(rotation), behind.len), ..region.clone() });
        last.push(Region { span: Span::new(before.start + (len - rotation), before.len), ..region });
    }
    first.extend(last);
    joined(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::samples;

    fn assert_covers(regions: &[Region], len: usize) {
        let mut at = 0;
        for region in regions {
            assert_eq!(region.span.start, at, "{regions:#?}");
            assert!(!region.span.is_empty(), "{regions:#?}");
            at = region.span.end();
        }
        assert_eq!(at as usize, len);
    }

    #[test]
    fn the_regions_of_every_sample_cover_the_file() {
        for sample in samples::all() {
            let found = regions(&sample.bytes);
            assert_covers(&found, sample.bytes.len());
            assert!(found.iter().any(|region| region.kind != RegionKind::Unknown), "{}: {found:#?}", sample.name);
        }
    }

    #[test]
    fn a_rotated_dump_has_its_boot_loader_last() {
        let Some(sample) = samples::dump("led-moon-cct-rotated-t") else { return };
        let found = regions(&sample.bytes);
        assert_eq!(found[0].kind, RegionKind::Application);
        let last = found.last().unwrap();
        assert_eq!((last.kind, last.span), (RegionKind::BootLoader, Span::new(0x1E_F000, 0x11000)));
        let rf = found.iter().find(|region| region.kind == RegionKind::Rf).unwrap();
        assert_eq!(rf.span.start, 0x1E_0000 - 0x11000);
    }

    #[test]
    fn a_foreign_flash_is_called_unknown_and_its_erased_runs_empty() {
        let mut flash = vec![0x12; 0x40000];
        flash[0x20000..].fill(0xFF);
        let found = regions(&flash);
        assert_covers(&found, flash.len());
        let kinds: Vec<_> = found.iter().map(|region| region.kind).collect();
        assert_eq!(kinds, [RegionKind::Unknown, RegionKind::Empty]);
        assert_eq!(regions(&[]), []);
    }

    #[test]
    fn easy_flash_is_cut_out_of_the_file_area() {
        let mut flash = vec![0x5A; 0x20_0000];
        flash[0x1E_5004..0x1E_5008].copy_from_slice(b"EF40");
        let found = from_map(&flash, 0, Some(Family::Bk7231T));
        assert_covers(&found, flash.len());
        assert!(found.contains(&Region::new("OpenBeken EasyFlash", EASY_FLASH, RegionKind::Store)));
    }

    #[test]
    fn json_has_start_and_end() {
        let region = Region::new("RF calibration and MAC", Span::new(0x1E_0000, 0x1000), RegionKind::Rf);
        let json = r#"{"name":"RF calibration and MAC","start":"0x1E0000","end":"0x1E1000","kind":"rf"}"#;
        assert_eq!(serde_json::to_string(&region).unwrap(), json);
    }

    #[test]
    fn the_places_of_libretiny_are_named_where_its_store_is() {
        for (name, store, user) in
            [("lspa9-clone-first-n", 0x1D_3000, 0x1D_B000), ("ds-101jl-4gang-switch-t", 0x1D_8000, 0x1E_3000_u32)]
        {
            let Some(mut sample) = samples::dump(name) else { return };
            let named = |bytes: &[u8], name: &str| {
                let regions = regions(bytes);
                assert_covers(&regions, bytes.len());
                regions.into_iter().find(|region| region.name == name).map(|region| region.span.start)
            };
            assert_eq!(named(&sample.bytes, "LibreTiny store"), None);
            sample.bytes[store..store + 0x8000].fill(0xFF);
            sample.bytes[store + 24..store + 28].copy_from_slice(b"FDB0");
            assert_eq!(named(&sample.bytes, "LibreTiny store"), Some(store as u32));
            sample.bytes[user as usize] = 1;
            assert_eq!(named(&sample.bytes, "LibreTiny user data"), Some(user));
        }
    }
}
