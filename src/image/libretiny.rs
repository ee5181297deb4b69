//! What LibreTiny, and ESPHome on it, keeps in flash: a key-value store of FlashDB, data of the user, and the place
//! where Tuya's store was (formats.md §1).

use super::bytes::cut;
use super::family::Family;
use super::region::{Region, RegionKind};
use crate::units::Span;

/// First bytes of the magic word in the header of a FlashDB sector; a table of states stands in front of it.
const MAGIC: &[u8] = b"FDB0";
/// The header's bytes up to the end of the magic word, at the widest granularity of writing that FlashDB has.
const HEADER: usize = 64;

/// Places of store and user data.
const fn places(family: Family) -> Option<(Span, Span)> {
    match family {
        Family::Bk7231N => Some((Span::new(0x1D_3000, 0x8000), Span::new(0x1D_B000, 0x1_2000))),
        Family::Bk7231T => Some((Span::new(0x1D_8000, 0x8000), Span::new(0x1E_3000, 0xA000))),
        Family::Other => None,
    }
}

/// The regions that LibreTiny uses, where its store is there; flash addresses. `bytes` begin at the address `base`.
pub fn regions(bytes: &[u8], family: Family, base: u32) -> Vec<Region> {
    let Some((store, user)) = places(family) else { return Vec::new() };
    let Some(at) = store.start.checked_sub(base).map(|at| at as usize) else { return Vec::new() };
    if !cut(bytes, at, at + HEADER).windows(MAGIC.len()).any(|window| window == MAGIC) {
        return Vec::new();
    }
    vec![
        Region::new("LibreTiny store", store, RegionKind::Store),
        Region::new("LibreTiny user data", user, RegionKind::Files),
    ]
}
