//! The download programs of the Beken chips, as far as they differ (uart-protocol.md §1, §11, §12 and §21).

use std::ops::Range;

/// Which download program a chip has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Boot loader of the BK7231T.
    T,
    /// Boot loader of the BK7231Q.
    Q,
    /// Boot loader of the BK7231U.
    U,
    /// Boot loader of the BK7252.
    Bk7252,
    /// ROM of the BK7231N.
    N,
    /// ROM of the BK7231M: that of the N, without a code key.
    M,
    /// ROM of the BK7238.
    Bk7238,
    /// ROM of the BK7252N.
    Bk7252N,
    /// ROM of the BK7236.
    Bk7236,
    /// ROM of the BK7258.
    Bk7258,
    /// ROM of the BK7256, of which nothing but the id is known.
    Bk7256,
}

/// All of them, by the word of `loader=`.
const ALL: [(&str, Program); 11] = [
    ("t", Program::T),
    ("q", Program::Q),
    ("u", Program::U),
    ("7252", Program::Bk7252),
    ("n", Program::N),
    ("m", Program::M),
    ("7238", Program::Bk7238),
    ("7252n", Program::Bk7252N),
    ("7236", Program::Bk7236),
    ("7258", Program::Bk7258),
    ("7256", Program::Bk7256),
];

/// The code key of Tuya parts, as it stands in the first 16 eFuse bytes.
const TUYA_KEY: [u32; 4] = [0x510F_B093, 0xA3CB_EADC, 0x5993_A17E, 0xC7AD_EB03];

impl Program {
    /// The program with this word.
    pub fn find(word: &str) -> Option<Self> {
        ALL.iter().find(|(name, _)| *name == word).map(|(_, program)| *program)
    }

    /// The words there are.
    pub fn words() -> Vec<&'static str> {
        ALL.iter().map(|(name, _)| *name).collect()
    }

    /// Whether it is a boot loader in the flash, with few opcodes and a guard.
    pub const fn is_basic(self) -> bool {
        matches!(self, Self::T | Self::Q | Self::U | Self::Bk7252)
    }

    /// The version reply; only that of the T answers (§21).
    pub(super) const fn version(self) -> Option<[u8; 16]> {
        match self {
            Self::T => Some(*b"BK7231S_1.0.5\0\0\0"),
            _ => None,
        }
    }

    /// Bytes a second of its CRC. For a boot loader in the flash that is computed, not measured: version 1.0.5 of the T
    /// sets the CPU to 480 MHz / 4 and the flash to dual reads at 60 MHz, and fetches and sums up a byte in 17.9
    /// instructions (27.9 cycles of an ARM9E-S) with 4.6 accesses to memory, counted over real code. Without wait states
    /// that is 3.2 MB/s; with what firmware for these chips takes for its delay loops, 3.5 times as many cycles, 1.3 MB/s.
    /// This is one wait state at each instruction and access, between the two. Of the ROMs nothing is published: the
    /// 400 kB/s that tools reckon with (uart-protocol.md §13).
    pub const fn crc_speed(self) -> u32 {
        if self.is_basic() { 2_000_000 } else { 400_000 }
    }

    /// Addresses at which reads, erases and small writes are refused (§21; of the Q nobody knows, it has that of its
    /// nearest relative).
    pub(super) const fn guard(self) -> Range<u32> {
        match self {
            Self::T => 0..0x1_0000,
            Self::Bk7252 => 1..0x20E0,
            _ => 0..0x2000,
        }
    }

    /// Addresses at which sector writes are refused (§21).
    pub(super) const fn sector_guard(self) -> Range<u32> {
        match self {
            Self::T => 0..0x20E0,
            other => other.guard(),
        }
    }

    /// The register with the chip id, and the id (§1).
    pub(super) const fn chip_id(self) -> (u32, u32) {
        match self {
            Self::Bk7238 => (0x0080_0000, 0x7238),
            Self::Bk7256 => (0x0080_0000, 0x7256),
            Self::Bk7252N => (0x0080_0000, 0x0007_252A),
            Self::Bk7236 | Self::Bk7258 => (0x4401_0004, 0x7236),
            _ => (0x0080_0000, 0x0007_231C),
        }
    }

    /// Whether one address byte of a register answer comes back one too high (§6.1).
    pub(super) const fn echoes_one_too_high(self) -> bool {
        matches!(self, Self::Bk7236 | Self::Bk7258)
    }

    /// Whether the eFuse is reached through the registers of the N (§12).
    pub(super) const fn has_efuse(self) -> bool {
        matches!(self, Self::N | Self::M | Self::Bk7238 | Self::Bk7252N)
    }

    /// A byte of the eFuse.
    pub(super) fn efuse(self, index: usize) -> u8 {
        let words = match self {
            Self::N => TUYA_KEY,
            Self::Bk7238 | Self::Bk7252N => [0x3A5C_0F12; 4],
            _ => [0; 4],
        };
        words.iter().flat_map(|word| word.to_le_bytes()).nth(index).unwrap_or(0)
    }
}
