//! Which modules can be simulated, and which wires they expose, read from the module table.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// The facts, shared as data only: the program reads the same table with other code.
const TABLE: &str = include_str!("../../chip/modules.toml");

/// The chips that are simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silicon {
    /// BK7231T: the download code is the boot loader in the flash.
    T,
    /// BK7231N: the download code is in the mask ROM.
    N,
}

impl std::fmt::Display for Silicon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::T => "BK7231T",
            Self::N => "BK7231N",
        })
    }
}

/// A module as far as its simulation is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Board {
    /// `WB2S`.
    pub(super) name: String,
    pub(super) silicon: Silicon,
    /// What SPI access lacks, such as `spi_flash.sck`; empty when every pad is there.
    pub(super) spi_missing: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    module: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Row {
    chip: String,
    #[serde(default)]
    spi_flash_missing: Vec<String>,
}

/// Every module of the table with a chip that is simulated, WB2S and CB3S first.
pub(super) fn all() -> &'static [Board] {
    static MODULES: OnceLock<Vec<Board>> = OnceLock::new();
    MODULES.get_or_init(|| {
        let mut all: Vec<Board> = toml::from_str::<Table>(TABLE).map(boards).unwrap_or_default();
        all.sort_by_key(|board| match board.name.as_str() {
            "WB2S" => 0,
            "CB3S" => 1,
            _ => 2,
        });
        all
    })
}

/// The module of this name, however it is capitalised.
pub(super) fn find(name: &str) -> Option<&'static Board> {
    all().iter().find(|board| board.name.eq_ignore_ascii_case(name))
}

fn boards(table: Table) -> Vec<Board> {
    let known = |chip: &str| match chip {
        "BK7231T" => Some(Silicon::T),
        "BK7231N" => Some(Silicon::N),
        _ => None,
    };
    let rows = table.module.into_iter();
    rows.filter_map(|(name, row)| Some(Board { name, silicon: known(&row.chip)?, spi_missing: row.spi_flash_missing }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_t_and_n_module_is_there() {
        let rows = TABLE.matches("chip = \"BK7231T\"").count() + TABLE.matches("chip = \"BK7231N\"").count();
        assert_eq!(all().len(), rows);
        assert_eq!(all()[0].name, "WB2S");
        assert_eq!(all()[1].name, "CB3S");
    }

    #[test]
    fn a_module_is_found_however_it_is_written() {
        assert_eq!(find("cBu").map(|board| board.silicon), Some(Silicon::N));
        assert_eq!(find("wb3s").map(|board| board.silicon), Some(Silicon::T));
        assert!(find("wa2").is_none(), "a BK7231Q is not simulated");
        assert_eq!(find("cb2s").map(|board| board.spi_missing.len()), Some(2));
    }
}
