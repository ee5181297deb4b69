//! Which GPIOs a module brings out to a pad, by the module's name: the short form of the pads in the module table, which
//! lies in a layer above this one; a test there holds the two together.

use crate::image::family::Family;

/// A module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name as Tuya writes it.
    pub name: &'static str,
    /// Its chip.
    pub family: Family,
    /// GPIOs with a pad, on the edge or on the back.
    pub pins: &'static [u8],
}

impl Board {
    /// Whether the module has a pad for this GPIO.
    pub fn has(&self, pin: u8) -> bool {
        self.pins.contains(&pin)
    }
}

const fn board(name: &'static str, family: Family, pins: &'static [u8]) -> Board {
    Board { name, family, pins }
}

/// The modules whose pads are known.
pub const BOARDS: [Board; 19] = [
    board("WB2S", Family::Bk7231T, &[0, 1, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 26]),
    board("CB2S", Family::Bk7231N, &[0, 1, 6, 7, 8, 10, 11, 21, 23, 24, 26]),
    board("WB3S", Family::Bk7231T, &[0, 1, 6, 7, 8, 9, 10, 11, 14, 20, 21, 22, 23, 24, 26]),
    board("CB3S", Family::Bk7231N, &[0, 6, 7, 8, 9, 10, 11, 14, 20, 21, 22, 23, 24, 26]),
    board("CB3SE", Family::Bk7231N, &[0, 1, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 20, 22, 23, 24, 26]),
    board("WB2L", Family::Bk7231T, &[0, 1, 6, 7, 8, 10, 11, 20, 21, 22, 23, 24, 26]),
    board("WB2L_M1", Family::Bk7231N, &[0, 1, 6, 7, 8, 10, 11, 20, 21, 22, 23, 24, 26]),
    board("CB2L", Family::Bk7231N, &[0, 6, 7, 8, 10, 11, 21, 24, 26]),
    board("CBU", Family::Bk7231N, &[0, 1, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 20, 21, 22, 23, 24, 26, 28]),
    board("WB1S", Family::Bk7231T, &[0, 1, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 26]),
    board("CB1S", Family::Bk7231N, &[0, 1, 6, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 26]),
    board("WBLC5", Family::Bk7231T, &[0, 1, 6, 10, 11, 20, 21, 22, 23, 24, 26]),
    board("CBLC5", Family::Bk7231N, &[0, 1, 6, 10, 11, 21, 24, 26]),
    board("WB3L", Family::Bk7231T, &[0, 1, 6, 7, 8, 9, 10, 11, 14, 16, 20, 21, 22, 23, 24, 26]),
    board("CB3L", Family::Bk7231N, &[0, 6, 7, 8, 9, 10, 11, 14, 21, 23, 24, 26]),
    board("WA2", Family::Other, &[0, 4, 6, 7, 8, 10, 11, 18, 19, 20, 21, 22, 23]),
    board("LSC_LMA35_N", Family::Bk7231N, &[0, 1, 6, 7, 8, 9, 10, 11, 14, 16, 21, 22, 23, 24, 26]),
    board("LSC_LMA35_T", Family::Bk7231T, &[0, 1, 6, 7, 8, 9, 10, 11, 14, 16, 21, 22, 23, 24, 26]),
    board("WB8P", Family::Bk7231T, &[0, 7, 8, 9, 10, 11, 20, 21, 22, 23, 24, 26]),
];

/// The module of this name, in whatever case it is written; one with an antenna socket has the pads of the one without.
pub fn by_name(name: &str) -> Option<&'static Board> {
    let name = name.trim().to_ascii_uppercase().replace('-', "_");
    let name = name.strip_suffix("_IPEX").unwrap_or(&name);
    BOARDS.iter().find(|board| board.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_however_its_name_is_written() {
        for (name, found) in
            [("cb3s", Some("CB3S")), ("WB2L-M1", Some("WB2L_M1")), ("CBU-IPEX", Some("CBU")), ("WR3", None)]
        {
            assert_eq!(by_name(name).map(|board| board.name), found, "{name}");
        }
        assert!(by_name("CB3S").is_some_and(|board| board.has(24) && !board.has(19)));
    }
}
