//! The flash parts of flash-chips.toml.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::timing::{Defaults, Timing};
use crate::codec::nor::{Scheme, StatusLayout, WriteForm};
use crate::units::Verdict;

/// How far the protection scheme of a part is backed by evidence, `scheme_confidence` in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Confidence {
    /// The register bits and the arithmetic of this very id were checked against another program's table.
    #[serde(rename = "verified")]
    Verified,
    /// It agrees with the values the vendor's firmware writes to this id.
    #[serde(rename = "sdk")]
    Sdk,
    /// The vendor's values and sibling parts agree.
    #[serde(rename = "sdk+sibling")]
    SdkAndSibling,
    /// The vendor's values contain something that does not fit.
    #[serde(rename = "sdk-odd")]
    SdkOdd,
    /// Family resemblance only.
    #[serde(rename = "inferred")]
    Inferred,
    /// There is no scheme.
    #[serde(rename = "n/a")]
    None,
}

impl Confidence {
    /// The verdict on a protected range computed with this scheme. It is never *proven*: only a test erase could do that.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Verified | Self::Sdk | Self::SdkAndSibling => Verdict::Likely,
            Self::SdkOdd | Self::Inferred => Verdict::Unsure,
            Self::None => Verdict::NotChecked,
        }
    }

    /// Where the scheme comes from, in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Verified => "register bits of this id checked against another program's table",
            Self::Sdk => "agrees with the values the vendor's firmware writes",
            Self::SdkAndSibling => "agrees with the vendor's firmware and with sibling parts",
            Self::SdkOdd => "the vendor's firmware writes values that do not quite fit",
            Self::Inferred => "inferred from the family",
            Self::None => "unknown",
        }
    }
}

/// Status values the vendor's firmware writes to a part; SR2 in the upper byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct SdkValues {
    /// How many register bytes it writes.
    pub sr_bytes: u8,
    /// Nothing protected.
    pub none: u32,
    /// Everything protected.
    pub all: u32,
    /// Half of the chip.
    pub half: u32,
    /// What the firmware writes on every start: all but the last 64 KiB, if the value is right.
    pub unprotect_last_block: u32,
    /// The bits it changes.
    pub mask: u32,
}

impl SdkValues {
    /// The bits of the registers that the firmware's write reaches: its mask, cut to the bytes it sends.
    pub const fn written(&self) -> u32 {
        if self.sr_bytes <= 1 { self.mask & 0xFF } else { self.mask & 0xFFFF }
    }
}

/// One flash part: everything the program knows about it before it is touched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// JEDEC id in the order the chip returns it after 9F.
    pub id: [u8; 3],
    /// Name in the table.
    pub name: String,
    /// Other names of the same id.
    pub aliases: Vec<String>,
    /// Maker.
    pub vendor: String,
    /// Size in bytes.
    pub size: u32,
    /// Its status registers.
    #[serde(skip)]
    pub layout: &'static StatusLayout,
    /// Its protection bits.
    #[serde(skip)]
    pub scheme: &'static Scheme,
    /// How sure the scheme is.
    pub scheme_confidence: Confidence,
    /// How it takes a status write.
    pub wrsr: WriteForm,
    /// The form in words, with its source.
    pub wrsr_note: String,
    /// Whether 50 before a status write changes the volatile copies only.
    pub vsr_50h: bool,
    /// Whether opcode 52 erases 32 KiB.
    pub block_erase_32k: bool,
    /// Whether opcodes 13, 0C, 12, 21 and DC take a four-byte address.
    pub four_byte_opcodes: bool,
    /// Whether opcode 4B reads an id that no other part of this kind has.
    pub unique_id: bool,
    /// Highest bit clock of opcode 03 in Hz; the table's floor where nothing is known.
    pub max_clock_03_hz: u32,
    /// Highest bit clock of opcode 0B in Hz; the table's floor where nothing is known.
    pub max_clock_0b_hz: u32,
    /// Where the clocks come from; `None` when they are the floor.
    pub clock_source: Option<String>,
    /// Values of the vendor's SDK for this family of chips, or else of its newer SDK.
    pub sdk: Option<SdkValues>,
    /// Where the entry comes from.
    pub sources: Vec<String>,
    /// What to know about it.
    pub notes: Vec<String>,
}

impl Part {
    /// How far the program's handling of this part has been tried. No entry was tried on silicon yet.
    pub const fn tested(&self) -> &'static str {
        "simulated"
    }
}

/// All parts of the table, in its order: by size, then by id.
pub fn parts() -> &'static [Part] {
    &PARTS
}

/// The part with this JEDEC id.
pub fn part(id: [u8; 3]) -> Option<&'static Part> {
    parts().iter().find(|part| part.id == id)
}

/// The part with this name, alias or id (`TH25Q16HB`, `EB6015`, `EB 60 15`), whatever the case.
pub fn part_named(name: &str) -> Option<&'static Part> {
    let name = name.trim();
    let by_name = parts()
        .iter()
        .find(|part| part.aliases.iter().chain([&part.name]).any(|known| known.eq_ignore_ascii_case(name)));
    by_name.or_else(|| {
        let digits: String = name.chars().filter(|c| !matches!(c, ' ' | ':' | '-')).collect();
        let value = (digits.len() == 6).then(|| u32::from_str_radix(&digits, 16).ok())??;
        let [_, first, second, third] = value.to_be_bytes();
        part([first, second, third])
    })
}

/// The table as it stands in the file. A table that cannot be read is empty; a test sees to it that it can.
#[derive(Deserialize, Default)]
pub(super) struct Table {
    pub(super) defaults: Defaults,
    pub(super) timing: Vec<Timing>,
    sr_layout: Vec<StatusLayout>,
    scheme: Vec<Scheme>,
    chip: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: [u8; 3],
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    vendor: String,
    size: u32,
    sr_layout: String,
    scheme: String,
    scheme_confidence: Confidence,
    wrsr: WriteForm,
    wrsr_note: String,
    #[serde(default)]
    vsr_50h: bool,
    #[serde(default = "yes")]
    block_erase_32k: bool,
    four_byte: Option<FourByte>,
    #[serde(default = "yes")]
    unique_id: bool,
    max_clock_03_mhz: Option<u32>,
    max_clock_0b_mhz: Option<u32>,
    clock_source: Option<String>,
    sdk: Option<SdkValues>,
    sdk_armino: Option<SdkValues>,
    sources: Vec<String>,
    #[serde(default)]
    notes: Vec<String>,
}

/// How a part above 16 MiB is addressed.
#[derive(Deserialize)]
struct FourByte {
    opcodes: bool,
}

const fn yes() -> bool {
    true
}

pub(super) fn read_table(text: &str) -> Result<Table, toml::de::Error> {
    toml::from_str(text)
}

pub(super) const TABLE_TEXT: &str = include_str!("flash-chips.toml");
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| read_table(TABLE_TEXT).unwrap_or_default());
static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| {
    let table: &'static Table = &TABLE;
    table.chip.iter().filter_map(|entry| entry.resolve(table)).collect()
});

impl Entry {
    /// Puts references in the place of the names; `None` when a name has no entry.
    fn resolve(&self, table: &'static Table) -> Option<Part> {
        Some(Part {
            id: self.id,
            name: self.name.clone(),
            aliases: self.aliases.clone(),
            vendor: self.vendor.clone(),
            size: self.size,
            layout: table.sr_layout.iter().find(|layout| layout.name == self.sr_layout)?,
            scheme: table.scheme.iter().find(|scheme| scheme.name == self.scheme)?,
            scheme_confidence: self.scheme_confidence,
            wrsr: self.wrsr,
            wrsr_note: self.wrsr_note.clone(),
            vsr_50h: self.vsr_50h,
            block_erase_32k: self.block_erase_32k,
            four_byte_opcodes: self.four_byte.as_ref().is_some_and(|four| four.opcodes),
            unique_id: self.unique_id,
            max_clock_03_hz: self.max_clock_03_mhz.unwrap_or(table.defaults.max_clock_03_mhz) * 1_000_000,
            max_clock_0b_hz: self.max_clock_0b_mhz.unwrap_or(table.defaults.max_clock_0b_mhz) * 1_000_000,
            clock_source: self.clock_source.clone(),
            sdk: self.sdk.or(self.sdk_armino),
            sources: self.sources.clone(),
            notes: self.notes.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_chip_of_the_table_becomes_a_part() {
        let table = read_table(TABLE_TEXT).expect("the table parses");
        assert_eq!(table.chip.len(), 101);
        assert_eq!(parts().len(), 101);
    }

    #[test]
    fn every_id_is_there_once_and_gives_its_size() {
        let ids: BTreeSet<_> = parts().iter().map(|part| part.id).collect();
        assert_eq!(ids.len(), parts().len());
        for part in parts().iter().filter(|part| part.name != "BK") {
            assert_eq!(part.size, 1 << part.id[2], "{}", part.name);
        }
    }

    #[test]
    fn a_part_is_found_by_id_name_alias_and_hex() {
        let by_id = part([0xEB, 0x60, 0x15]).expect("TH25Q16HB");
        assert_eq!(by_id.name, "TH25Q16HB");
        for name in ["th25q16hb", "TH25Q_16HB", "EB6015", "eb 60 15"] {
            assert_eq!(part_named(name), Some(by_id), "{name}");
        }
        assert_eq!(part_named("EB601"), None);
        assert_eq!(part([0, 0, 0]), None);
    }

    #[test]
    fn clocks_that_nobody_stated_are_the_floor_of_the_table() {
        let part = part_named("TH25Q16HB").expect("in the table");
        assert_eq!((part.max_clock_03_hz, part.max_clock_0b_hz), (33_000_000, 50_000_000));
        assert_eq!(part.clock_source, None);
        assert_eq!(part_named("W25Q80").expect("in the table").max_clock_03_hz, 50_000_000);
    }

    #[test]
    fn every_bit_of_a_scheme_has_a_protection_name_in_the_layout() {
        for part in parts() {
            for (bit, name) in part.layout.bits().filter(|(bit, _)| part.scheme.mask() >> bit & 1 == 1) {
                assert!(
                    matches!(name, "BP0" | "BP1" | "BP2" | "BP3" | "BP4" | "TB" | "SEC" | "CMP"),
                    "{}: bit {bit} is {name}",
                    part.name
                );
            }
            assert_eq!(part.scheme.mask() & part.layout.volatile(), 0, "{}", part.name);
        }
    }
}
