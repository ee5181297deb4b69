//! Status registers: their bytes, the names of their bits, and the byte range that the protection bits stand for
//! (spi-flash.md §6, `[[sr_layout]]` and `[[scheme]]` of flash-chips.toml).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// The status registers as read. A register that the part does not have, or that was not read, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct StatusBytes {
    /// Status register 1: busy, write enable, block protection.
    pub sr1: u8,
    /// Status register 2, or the configuration register of Macronix parts.
    pub sr2: Option<u8>,
    /// Status register 3.
    pub sr3: Option<u8>,
}

impl StatusBytes {
    /// All registers as one number: SR1 in bits 0..7, SR2 in 8..15, SR3 in 16..23; absent registers read as 0.
    pub const fn value(self) -> u32 {
        let sr2 = if let Some(sr2) = self.sr2 { sr2 } else { 0 };
        let sr3 = if let Some(sr3) = self.sr3 { sr3 } else { 0 };
        u32::from_le_bytes([self.sr1, sr2, sr3, 0])
    }

    /// The bits of [`StatusBytes::value`] that stand for registers which are present.
    pub const fn present(self) -> u32 {
        let sr2 = if self.sr2.is_some() { 0xFF } else { 0 };
        let sr3 = if self.sr3.is_some() { 0xFF } else { 0 };
        u32::from_le_bytes([0xFF, sr2, sr3, 0])
    }

    /// The same registers holding another value; bits of absent registers are dropped.
    pub const fn with_value(self, value: u32) -> Self {
        let [sr1, sr2, sr3, _] = value.to_le_bytes();
        Self {
            sr1,
            sr2: if self.sr2.is_some() { Some(sr2) } else { None },
            sr3: if self.sr3.is_some() { Some(sr3) } else { None },
        }
    }
}

impl fmt::Display for StatusBytes {
    /// Writes `SR1 04 SR2 40`, present registers only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SR1 {:02X}", self.sr1)?;
        if let Some(sr2) = self.sr2 {
            write!(f, " SR2 {sr2:02X}")?;
        }
        if let Some(sr3) = self.sr3 {
            write!(f, " SR3 {sr3:02X}")?;
        }
        Ok(())
    }
}

/// One opcode per register, for reading or for writing them one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct RegisterOpcodes {
    /// Opcode of status register 1.
    pub sr1: u8,
    /// Opcode of status register 2.
    #[serde(default)]
    pub sr2: Option<u8>,
    /// Opcode of status register 3.
    #[serde(default)]
    pub sr3: Option<u8>,
}

/// Which bits a family of parts keeps in its status registers, and how they are reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct StatusLayout {
    /// Id in the table, such as `gd2`.
    pub name: String,
    /// The family in words.
    pub title: String,
    /// Bit names of SR1, bit 0 first.
    pub sr1: [String; 8],
    /// Bit names of SR2, bit 0 first.
    #[serde(default)]
    pub sr2: Option<[String; 8]>,
    /// Bit names of SR3, bit 0 first.
    #[serde(default)]
    pub sr3: Option<[String; 8]>,
    /// How to read each register.
    pub read: RegisterOpcodes,
    /// How to write each register by itself.
    pub write: RegisterOpcodes,
    /// Names of bits that must keep their value in any write.
    pub preserve: Vec<String>,
    /// What to beware of; empty where nothing is known.
    pub warning: String,
}

impl StatusLayout {
    /// Every bit with its number as in [`StatusBytes::value`] and its name, registers in order.
    pub fn bits(&self) -> impl Iterator<Item = (u8, &str)> {
        [Some(&self.sr1), self.sr2.as_ref(), self.sr3.as_ref()]
            .into_iter()
            .zip([0_u8, 8, 16])
            .filter_map(|(names, first)| names.map(|names| (names, first)))
            .flat_map(|(names, first)| names.iter().zip(first..).map(|(name, bit)| (bit, name.as_str())))
    }

    /// The number of the bit with this name.
    pub fn bit(&self, name: &str) -> Option<u8> {
        self.bits().find(|(_, known)| *known == name).map(|(bit, _)| bit)
    }

    /// Whether the named bit exists and is set.
    pub fn is_set(&self, name: &str, status: StatusBytes) -> bool {
        self.bit(name).is_some_and(|bit| status.value() >> bit & 1 == 1)
    }

    /// The bits that the chip changes by itself, or that cannot be written: WIP, WEL and the suspend flags.
    pub fn volatile(&self) -> u32 {
        self.bits()
            .filter(|(_, name)| matches!(*name, "WIP" | "WEL" | "SUS" | "SUS1" | "SUS2"))
            .fold(0, |mask, (bit, _)| mask | 1 << bit)
    }
}

/// How protection bits are turned into a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// The arithmetic of the 25-series, as written out in flash-chips.toml.
    Spi25,
    /// Unknown: nothing can be said about ranges.
    None,
}

/// Which status bits select the protected range, numbered as in [`StatusBytes::value`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Scheme {
    /// Id in the table, such as `bp3_tb_sec_cmp`.
    pub name: String,
    /// The scheme in words.
    pub title: String,
    /// The arithmetic.
    pub algorithm: Algorithm,
    /// Block protection bits, lowest first.
    pub bp_bits: Vec<u8>,
    /// Set: count from the bottom of the chip.
    #[serde(default)]
    pub tb_bit: Option<u8>,
    /// Set: count sectors of 4 KiB instead of blocks of 64 KiB.
    #[serde(default)]
    pub sec_bit: Option<u8>,
    /// Set: the range is turned inside out.
    #[serde(default)]
    pub cmp_bit: Option<u8>,
    /// Whether a set `cmp_bit` also inverts the block protection bits (some Macronix).
    pub inverts_bp: bool,
    /// How the arithmetic was checked.
    pub check: String,
}

impl Scheme {
    /// The bits this scheme looks at. No status write of this program touches any other bit.
    pub fn mask(&self) -> u32 {
        self.bp_bits
            .iter()
            .copied()
            .chain([self.tb_bit, self.sec_bit, self.cmp_bit].into_iter().flatten())
            .fold(0, |mask, bit| mask | bit_mask(bit))
    }
}

/// A number with one bit set; 0 for a bit beyond the three registers.
const fn bit_mask(bit: u8) -> u32 {
    if bit < 24 { 1 << bit } else { 0 }
}

/// The bytes that the status registers protect on a part of `size` bytes: at most one range, at the top or the bottom.
/// `None` when the scheme is unknown, or looks at a register that was not read.
pub fn protected_span(scheme: &Scheme, status: StatusBytes, size: u32) -> Option<Span> {
    if scheme.algorithm == Algorithm::None || scheme.mask() & !status.present() != 0 {
        return None;
    }
    let set = |bit: Option<u8>| bit.is_some_and(|bit| status.value() & bit_mask(bit) != 0);
    let highest = (1_u32 << scheme.bp_bits.len().min(5)) - 1;
    let complement = set(scheme.cmp_bit);
    let mut bp =
        scheme.bp_bits.iter().zip(0..5).fold(0_u32, |bp, (bit, place)| bp | u32::from(set(Some(*bit))) << place);
    if complement && scheme.inverts_bp {
        bp ^= highest;
    }
    let mut len = match bp {
        0 => 0,
        all if all == highest => u64::from(size),
        _ if set(scheme.sec_bit) => (4096_u64 << (bp - 1)).min(32768),
        _ => {
            let smallest = (u64::from(size) >> 1 >> (highest - 2)).max(65536);
            smallest << (bp - 1)
        }
    }
    .min(u64::from(size)) as u32;
    let mut top = !set(scheme.tb_bit);
    if complement {
        len = size - len;
        top = !top;
    }
    Some(Span::new(if top && len > 0 { size - len } else { 0 }, len))
}
