//! The chip families and where each keeps what in its flash (formats.md §1).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::region::{Region, RegionKind};
use crate::units::Span;

/// Physical length of the boot loader container, and with it the flash address of the application (formats.md §1).
pub const BOOT_LOADER_LEN: u32 = 0x11000;
/// Flash size of every BK7231T and BK7231N module seen so far (formats.md §1).
pub const FLASH_SIZE: u32 = 0x20_0000;
/// Flash address of the Tuya store's key block, on the T and on the N (formats.md §1).
pub const TUYA_STORE: u32 = 0x1E_E000;

/// A chip family as far as flash contents can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// BK7231T, called BK7231S inside its own firmware.
    #[serde(rename = "BK7231T")]
    Bk7231T,
    /// BK7231N.
    #[serde(rename = "BK7231N")]
    Bk7231N,
    /// Some other Beken chip: M, Q, U, 7238, 7252.
    #[serde(rename = "other")]
    Other,
}

impl Family {
    /// The name people and JSON see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bk7231T => "BK7231T",
            Self::Bk7231N => "BK7231N",
            Self::Other => "other",
        }
    }

    /// The sector with RF calibration and MAC address; none known for other chips.
    pub const fn rf_block(self) -> Option<Span> {
        match self {
            Self::Bk7231T => Some(Span::new(0x1E_0000, 0x1000)),
            Self::Bk7231N => Some(Span::new(0x1D_0000, 0x1000)),
            Self::Other => None,
        }
    }

    /// The sector that holds the OpenBeken configuration, and the SDK's network parameters before (formats.md §12).
    pub const fn config_sector(self) -> Option<Span> {
        match self {
            Self::Bk7231T => Some(Span::new(0x1E_1000, 0x1000)),
            Self::Bk7231N => Some(Span::new(0x1D_1000, 0x1000)),
            Self::Other => None,
        }
    }

    /// The download (over-the-air) area of the boot loader's partition table.
    pub const fn download_area(self) -> Option<Span> {
        match self {
            Self::Bk7231T => Some(Span::new(0x13_2000, 0xA_6000)),
            Self::Bk7231N => Some(Span::new(0x12_A000, 0xA_6000)),
            Self::Other => None,
        }
    }

    /// The flash map: sorted, without gaps, from 0 to `flash_size` bytes. Bytes the map says nothing about are
    /// [`RegionKind::Unknown`].
    pub fn layout(self, flash_size: u32) -> Vec<Region> {
        let map: &[(u32, &str, RegionKind)] = match self {
            Self::Bk7231T => &[
                (0, "boot loader", RegionKind::BootLoader),
                (BOOT_LOADER_LEN, "application", RegionKind::Application),
                (0x13_2000, "download area", RegionKind::Download),
                (0x1D_8000, "file area, second segment", RegionKind::Files),
                (0x1E_0000, "RF calibration and MAC", RegionKind::Rf),
                (0x1E_1000, "network parameters", RegionKind::Network),
                (0x1E_2000, "fast-connect record", RegionKind::Network),
                (0x1E_3000, "file area, first segment", RegionKind::Files),
                (TUYA_STORE, "Tuya store", RegionKind::Store),
                (FLASH_SIZE, "unknown", RegionKind::Unknown),
            ],
            Self::Bk7231N => &[
                (0, "boot loader", RegionKind::BootLoader),
                (BOOT_LOADER_LEN, "application", RegionKind::Application),
                (0x12_A000, "download area", RegionKind::Download),
                (0x1D_0000, "RF calibration and MAC", RegionKind::Rf),
                (0x1D_1000, "network parameters", RegionKind::Network),
                (0x1D_2000, "file area", RegionKind::Files),
                (0x1E_D000, "protected block", RegionKind::Store),
                (TUYA_STORE, "Tuya store", RegionKind::Store),
                (FLASH_SIZE, "unknown", RegionKind::Unknown),
            ],
            Self::Other => &[
                (0, "boot loader", RegionKind::BootLoader),
                (BOOT_LOADER_LEN, "application", RegionKind::Application),
                (0x13_2000, "unknown", RegionKind::Unknown),
            ],
        };
        let ends = map.iter().skip(1).map(|(start, ..)| *start).chain([u32::MAX]);
        map.iter()
            .zip(ends)
            .map(|((start, name, kind), end)| Region::new(*name, Span::between(*start, end.min(flash_size)), *kind))
            .filter(|region| !region.span.is_empty())
            .collect()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_covers_the_flash_without_gaps() {
        for family in [Family::Bk7231T, Family::Bk7231N, Family::Other] {
            for size in [0, 0x1000, 0x11000, 0x1D_0800, 0x20_0000, 0x40_0000, u32::MAX] {
                let mut at = 0;
                for region in family.layout(size) {
                    assert_eq!(region.span.start, at, "{family} {size:#X}: {}", region.name);
                    assert!(!region.span.is_empty());
                    at = region.span.end();
                }
                assert_eq!(at, size, "{family}");
            }
        }
    }

    #[test]
    fn the_map_and_the_single_facts_agree() {
        for family in [Family::Bk7231T, Family::Bk7231N] {
            let layout = family.layout(FLASH_SIZE);
            let span_of = |kind| layout.iter().find(|region| region.kind == kind).map(|region| region.span);
            assert_eq!(span_of(RegionKind::Rf), family.rf_block());
            assert_eq!(span_of(RegionKind::Network), family.config_sector());
            assert_eq!(span_of(RegionKind::Download), family.download_area());
        }
    }
}
