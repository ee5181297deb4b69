//! Where OpenBeken's file system lies: it ends at a fixed place and begins its configured size before it (`our_lfs.c`).

use super::read::FileSystem;
use super::{BLOCK, MAGIC};
use crate::image::family::Family;
use crate::image::firmware;
use crate::image::kind::{self, Kind};
use crate::image::openbeken::{self, Config};
use crate::image::tuya::FlashMap;
use crate::units::{SECTOR, Span};

/// Size where the configuration names none, in bytes.
const USUAL: u32 = 0x8000;
/// The smallest that OpenBeken accepts, in bytes.
const SMALLEST: u32 = 0x4000;

/// Lower limit and end, in flash addresses; `None` for chips whose builds were not looked at.
const fn limits(family: Family) -> Option<Span> {
    match family {
        Family::Bk7231T => Some(Span::between(0x13_3000, 0x1B_3000)),
        Family::Bk7231N => Some(Span::between(0x12_B000, 0x1D_0000)),
        Family::Other => None,
    }
}

/// The file area in flash addresses: from the end and the configured size. A size that OpenBeken does not accept counts
/// as the usual one, as it does there.
pub fn area_of(family: Family, config: Option<&Config>) -> Option<Span> {
    let limits = limits(family)?;
    let wanted = config.map_or(0, Config::littlefs_size) / SECTOR * SECTOR;
    let size = if (SMALLEST..=limits.len).contains(&wanted) { wanted } else { USUAL };
    Some(Span::new(limits.end() - size, size))
}

/// Whether OpenBeken can be configured to have its file area there.
pub fn may_lie(family: Family, span: Span) -> bool {
    limits(family).is_some_and(|limits| {
        span.end() == limits.end() && span.start.is_multiple_of(SECTOR) && (SMALLEST..=limits.len).contains(&span.len)
    })
}

/// A file area that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// File offset of its first byte.
    pub offset: usize,
    /// Flash address of its first byte.
    pub address: u32,
    /// Bytes, as the file system says.
    pub len: u32,
    /// Whether it lies where the configuration says, or where it lies usually.
    pub expected: bool,
    /// What is in it.
    pub files: FileSystem,
}

/// Looks for a file system: at the places that the chip and its configuration name, then at every sector.
pub fn find(bytes: &[u8], map: FlashMap, family: Option<Family>, config: Option<&Config>) -> Option<Area> {
    let families = family.map_or_else(|| vec![Family::Bk7231T, Family::Bk7231N], |family| vec![family]);
    let places = families.iter().flat_map(|family| [area_of(*family, config), area_of(*family, None)]).flatten();
    let expected = places.filter_map(|place| map.offset(place.start)).map(|offset| (offset, true));
    let first = map.first_sector();
    let marked = memchr::memmem::find_iter(bytes, MAGIC).filter_map(|at| at.checked_sub(8));
    // The name stands in both blocks of the first pair; the file system begins at the first of them.
    let starts = |at: usize| {
        let before = at.checked_sub(BLOCK);
        // One block of a pair may be damaged: then the one that is left may be either of them.
        let whole = bytes.get(at..).is_some_and(FileSystem::has_whole_pair);
        if whole { [Some(at), before] } else { [before, Some(at)] }
    };
    let anywhere = marked.filter(|at| at % BLOCK == first % BLOCK).flat_map(starts).flatten();
    let places = expected.chain(anywhere.map(|offset| (offset, false)));
    places.into_iter().find_map(|(offset, expected)| {
        let files = FileSystem::read(bytes.get(offset..)?)?;
        let len = files.blocks.saturating_mul(SECTOR);
        Some(Area { offset, address: map.address(offset), len, expected, files })
    })
}

/// The file area of a whole flash in flash order.
pub fn read_area(flash: &[u8], family: Family) -> Option<Area> {
    let place = family.config_sector()?;
    let config = Config::read(flash.get(place.start as usize..)?, place.start as usize);
    let map = FlashMap::new(flash.len(), Kind::Dump, None);
    find(flash, map, Some(family), config.filter(|config| config.good).as_ref())
}

/// The sectors of a whole flash in flash order that hold a file system of OpenBeken, in flash addresses: what a write has to
/// keep, or to say that it goes. `None` where there is none.
pub fn sectors(flash: &[u8], family: Family) -> Option<Span> {
    let found = read_area(flash, family)?;
    Some(Span::between(found.address, found.address.saturating_add(found.len).min(flash.len() as u32)))
}

impl Area {
    /// The configuration and the file area of a dump, whatever kind of dump it is.
    pub fn of_dump(bytes: &[u8]) -> Option<Self> {
        let kind = kind::recognise(bytes);
        let found = firmware::identify(bytes);
        let map = FlashMap::new(bytes.len(), kind, None);
        let config = openbeken::find(bytes, kind, map).filter(|config| config.good);
        find(bytes, map, found.family, config.as_ref())
    }
}
