//! The flash parts a module can carry: registers, protection scheme and busy times, read from the part table.

use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use serde::Deserialize;

/// The facts, shared as data only: the program reads the same table with other code.
const TABLE: &str = include_str!("../../chip/flash-chips.toml");

/// One flash part.
#[derive(Clone, Debug)]
pub struct Part {
    /// The three bytes after opcode 9F.
    pub id: [u8; 3],
    /// `TH25Q16HB`.
    pub name: String,
    aliases: Vec<String>,
    /// Bytes.
    pub size: u32,
    /// The status registers this part has, lowest first.
    pub(super) registers: Vec<Register>,
    /// Which frames the status registers are written with.
    pub(super) form: WriteForm,
    /// Whether opcode 50 opens the volatile copies.
    pub(super) volatile_status: bool,
    /// Whether opcode 52 exists.
    pub(super) block32: bool,
    /// How addresses above 16 MiB are reached.
    pub(super) four_byte: Option<FourByte>,
    /// Opcode of Puya's 256-byte erase.
    pub(super) page_erase: Option<u8>,
    /// Whether opcode 4B exists.
    pub(super) unique_id: bool,
    /// Status value the factory firmware writes at each boot, register 1 in the low bits.
    pub(super) factory_status: u32,
    /// Status value that locks the whole part (the loader of the BK7231T writes it after a CRC).
    pub(super) locked_status: u32,
    /// The bits that protection is made of, CMP included.
    pub(super) protect_mask: u32,
    /// How long the part is busy.
    pub(super) times: Times,
    scheme: SchemeRow,
}

/// One status register: its bits by name and its opcodes.
#[derive(Clone, Debug)]
pub(super) struct Register {
    pub(super) bits: Vec<String>,
    pub(super) read: u8,
    pub(super) write: Option<u8>,
}

impl Register {
    /// Bits with one of these names.
    pub(super) fn mask(&self, is: impl Fn(&str) -> bool) -> u8 {
        self.bits.iter().enumerate().filter(|(_, name)| is(name)).fold(0, |mask, (bit, _)| mask | 1 << bit)
    }

    /// Bits that a write cannot change.
    pub(super) fn fixed(&self) -> u8 {
        self.mask(|name| name.starts_with("WIP") || name == "WEL" || name.starts_with("SUS") || name == "RES")
    }

    /// Bits that can be set once and never cleared (spi-flash.md §6).
    pub(super) fn one_time(&self) -> u8 {
        self.mask(|name| name.starts_with("LB") || name.ends_with("_OTP"))
    }
}

/// The frames a part takes for its status registers (key `wrsr` of the table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WriteForm {
    /// 01 with one or two bytes.
    TwoByte,
    /// 01 with one byte; Macronix takes a second byte for its configuration register.
    OneByte,
    /// 01 with one byte for the first register, 31 (and 11) for the others.
    #[serde(rename = "separate_31h")]
    Separate,
    /// The same as [`WriteForm::Separate`].
    #[serde(rename = "sr1_1byte_then_31h")]
    FirstThenSecond,
    /// There is no status register to write.
    None,
}

/// What a part above 16 MiB knows beside three-byte addresses.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct FourByte {
    /// 13, 0C, 12, 21, 5C and DC carry four address bytes in any mode.
    pub(super) opcodes: bool,
    /// B7 and E9 are dropped without a write enable before them.
    pub(super) enter_needs_wren: bool,
    /// The status bit that shows the mode; bit 8 is the first of register 2.
    pub(super) mode_bit: Option<u32>,
}

/// Typical busy times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) page: Duration,
    pub(super) sector: Duration,
    pub(super) block32: Duration,
    pub(super) block64: Duration,
    pub(super) chip: Duration,
    pub(super) status: Duration,
}

#[derive(Deserialize)]
struct Table {
    chip: Vec<ChipRow>,
    sr_layout: Vec<LayoutRow>,
    scheme: Vec<SchemeRow>,
    timing: Vec<TimingRow>,
}

#[derive(Deserialize)]
struct ChipRow {
    id: [u8; 3],
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    size: u32,
    sr_layout: String,
    scheme: String,
    wrsr: WriteForm,
    vsr_50h: Option<bool>,
    block_erase_32k: Option<bool>,
    page_erase_256_opcode: Option<u8>,
    four_byte: Option<FourByte>,
    unique_id: Option<bool>,
    sdk: Option<SdkRow>,
}

#[derive(Deserialize)]
struct SdkRow {
    sr_bytes: u8,
    all: u32,
    mask: u32,
    unprotect_last_block: u32,
}

#[derive(Deserialize)]
struct LayoutRow {
    name: String,
    sr1: Vec<String>,
    sr2: Option<Vec<String>>,
    sr3: Option<Vec<String>>,
    read: Opcodes,
    write: Opcodes,
}

#[derive(Deserialize)]
struct Opcodes {
    sr1: u8,
    sr2: Option<u8>,
    sr3: Option<u8>,
}

#[derive(Clone, Debug, Deserialize)]
struct SchemeRow {
    name: String,
    bp_bits: Vec<u32>,
    tb_bit: Option<u32>,
    sec_bit: Option<u32>,
    cmp_bit: Option<u32>,
    inverts_bp: bool,
}

#[derive(Deserialize)]
struct TimingRow {
    family: String,
    page_program_ms: Option<Typical>,
    sector_4k_ms: Option<Typical>,
    block_32k_ms: Option<Typical>,
    block_64k_ms: Option<Typical>,
    chip_2mib_s: Option<Typical>,
    wrsr_ms: Option<Typical>,
}

#[derive(Clone, Copy, Deserialize)]
struct Typical {
    typ: f64,
}

impl Part {
    /// All parts of the table. Empty only if the table cannot be read, which a test rules out.
    pub fn all() -> &'static [Part] {
        static PARTS: OnceLock<Vec<Part>> = OnceLock::new();
        PARTS.get_or_init(|| read_table().unwrap_or_default())
    }

    /// The part with this name, one of its other names, or this id in hex (`eb6015`, `EB 60 15`).
    pub fn find(text: &str) -> Option<&'static Part> {
        let wanted = text.trim();
        let hex: String = wanted.chars().filter(|c| !c.is_whitespace()).collect();
        Self::all().iter().find(|part| {
            let mut names = part.name.split(" / ").chain(part.aliases.iter().map(String::as_str));
            names.any(|name| name.eq_ignore_ascii_case(wanted)) || part.hex().eq_ignore_ascii_case(&hex)
        })
    }

    /// The id as the link text writes it: `eb6015`.
    pub fn hex(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How long the part works on a command, by its opcode; nothing for one that keeps it from nothing.
    pub fn busy_time(&self, opcode: u8) -> Duration {
        match opcode {
            0x02 | 0x12 => self.times.page,
            0x20 | 0x21 => self.times.sector,
            0x52 | 0x5C => self.times.block32,
            0xD8 | 0xDC => self.times.block64,
            0x60 | 0xC7 => self.times.chip,
            0x01 | 0x11 | 0x31 => self.times.status,
            _ => Duration::ZERO,
        }
    }

    /// The protected bytes for a status value (register 1 in the low bits), as the data sheets' tables give them:
    /// BP counts blocks in powers of two from the top, TB counts from the bottom instead, SEC counts sectors, CMP turns
    /// the range inside out.
    pub(super) fn protected(&self, status: u32) -> Range<u32> {
        let scheme = &self.scheme;
        let bit = |at: Option<u32>| at.is_some_and(|at| status >> at & 1 == 1);
        if scheme.bp_bits.is_empty() {
            return 0..0;
        }
        let levels = (1u32 << scheme.bp_bits.len()) - 1;
        let complement = bit(scheme.cmp_bit);
        let mut level =
            scheme.bp_bits.iter().enumerate().fold(0, |level, (place, at)| level | (status >> at & 1) << place);
        if scheme.inverts_bp && complement {
            level ^= levels;
        }
        let part_of_chip = match level {
            0 => 0,
            all if all == levels => self.size,
            some if bit(scheme.sec_bit) => (4096u32 << (some - 1)).min(32768),
            // The steps end at half the chip: the highest level below "all" is half of it, each lower one half of that,
            // never less than one 64 KiB block.
            some => {
                let block = (self.size >> (levels - 1)).max(65536);
                block.checked_shl(some - 1).unwrap_or(self.size).min(self.size)
            }
        };
        let from_top = !bit(scheme.tb_bit);
        let (len, at_top) = if complement { (self.size - part_of_chip, !from_top) } else { (part_of_chip, from_top) };
        if at_top && len > 0 { self.size - len..self.size } else { 0..len }
    }
}

fn read_table() -> Result<Vec<Part>, toml::de::Error> {
    let table: Table = toml::from_str(TABLE)?;
    let mut parts = Vec::with_capacity(table.chip.len());
    for row in &table.chip {
        let layout = table.sr_layout.iter().find(|layout| layout.name == row.sr_layout);
        let scheme = table.scheme.iter().find(|scheme| scheme.name == row.scheme);
        let (Some(layout), Some(scheme)) = (layout, scheme) else { continue };
        let mut part = Part {
            id: row.id,
            name: row.name.clone(),
            aliases: row.aliases.clone(),
            size: row.size,
            registers: registers(layout),
            form: row.wrsr,
            volatile_status: row.vsr_50h.unwrap_or(layout.name == "win3"),
            block32: row.block_erase_32k.unwrap_or(true),
            page_erase: row.page_erase_256_opcode,
            four_byte: row.four_byte,
            unique_id: row.unique_id.unwrap_or(true),
            factory_status: 0,
            locked_status: 0,
            protect_mask: row.sdk.as_ref().map_or(0, |sdk| sdk.mask) | protect_mask(scheme),
            times: times(row, &table.timing),
            scheme: scheme.clone(),
        };
        // A vendor value that does not decode to everything is marked as odd in the table; the BP bits always do.
        let vendor = row.sdk.as_ref().map(|sdk| sdk.all).filter(|all| part.protected(*all) == (0..part.size));
        part.locked_status = vendor.unwrap_or_else(|| bp_bits(scheme));
        part.factory_status = factory_status(row, scheme);
        parts.push(part);
    }
    Ok(parts)
}

fn registers(layout: &LayoutRow) -> Vec<Register> {
    let mut all = vec![Register { bits: layout.sr1.clone(), read: layout.read.sr1, write: Some(layout.write.sr1) }];
    if let (Some(bits), Some(read)) = (&layout.sr2, layout.read.sr2) {
        all.push(Register { bits: bits.clone(), read, write: layout.write.sr2 });
    }
    if let (Some(bits), Some(read)) = (&layout.sr3, layout.read.sr3) {
        all.push(Register { bits: bits.clone(), read, write: layout.write.sr3 });
    }
    all
}

fn protect_mask(scheme: &SchemeRow) -> u32 {
    let more = [scheme.tb_bit, scheme.sec_bit, scheme.cmp_bit];
    more.into_iter().flatten().fold(bp_bits(scheme), |mask, bit| mask | 1 << bit)
}

fn bp_bits(scheme: &SchemeRow) -> u32 {
    scheme.bp_bits.iter().fold(0, |mask, bit| mask | 1 << bit)
}

/// What factory modules were seen with, else what the vendor SDK writes, else its usual value for the scheme
/// (spi-flash.md §6).
fn factory_status(row: &ChipRow, scheme: &SchemeRow) -> u32 {
    match (row.id, &row.sdk) {
        ([0x1C, 0x70, 0x15], _) => 0x5C,
        (_, Some(sdk)) if sdk.sr_bytes == 1 => sdk.unprotect_last_block & 0xFF,
        (_, Some(sdk)) => sdk.unprotect_last_block,
        (_, None) if scheme.cmp_bit == Some(14) => 0x4004,
        (_, None) => bp_bits(scheme),
    }
}

/// The family whose times stand for a part. A family the table has no times for gets those of GigaDevice.
fn family(id: [u8; 3]) -> &'static str {
    match id[0] {
        0x1C => "Eon EN25QH",
        0xEF | 0x20 => "Winbond",
        0x68 | 0xE0 => "Boya",
        0x0B => "XTX",
        0xC2 => "Macronix",
        0x85 => "Puya",
        _ => "GigaDevice GD25Q16",
    }
}

fn times(row: &ChipRow, timing: &[TimingRow]) -> Times {
    let own = timing.iter().find(|entry| entry.family.starts_with(family(row.id)));
    let base = timing.iter().find(|entry| entry.family.starts_with("GigaDevice GD25Q16"));
    let pick = |get: fn(&TimingRow) -> Option<Typical>, unit: f64, missing: f64| {
        let typical = own.and_then(get).or_else(|| base.and_then(get)).map_or(missing, |time| time.typ);
        Duration::from_secs_f64(typical * unit)
    };
    let chip = pick(|row| row.chip_2mib_s, 1.0, 10.0);
    Times {
        page: pick(|row| row.page_program_ms, 1e-3, 0.7),
        sector: pick(|row| row.sector_4k_ms, 1e-3, 50.0),
        block32: pick(|row| row.block_32k_ms, 1e-3, 200.0),
        block64: pick(|row| row.block_64k_ms, 1e-3, 280.0),
        chip: if family(row.id) == "Puya" { chip } else { chip.mul_f64(f64::from(row.size) / 2_097_152.0) },
        status: pick(|row| row.wrsr_ms, 1e-3, 8.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> &'static Part {
        Part::find(text).unwrap()
    }

    #[test]
    fn every_row_of_the_table_becomes_a_part() {
        assert_eq!(Part::all().len(), TABLE.matches("[[chip]]").count());
    }

    #[test]
    fn a_part_is_found_by_id_and_by_name() {
        assert_eq!(part("eb6015").name, "TH25Q16HB");
        assert_eq!(part("EB 60 15").id, [0xEB, 0x60, 0x15]);
        assert_eq!(part("en25qh16b").hex(), "1c7015");
        assert!(Part::find("123456").is_none());
    }

    #[test]
    fn factory_protection_covers_what_the_field_logs_say() {
        let th = part("eb6015");
        assert_eq!(th.factory_status, 0x4004);
        assert_eq!(th.protected(0x4004), 0..0x1F_0000);
        let eon = part("1c7015");
        assert_eq!(eon.factory_status, 0x5C);
        assert_eq!(eon.protected(0x5C), 0..0x20_0000);
        assert_eq!(eon.protected(0x34), 0..0x10_0000);
        let puya = part("854215");
        assert_eq!(puya.protected(puya.factory_status), 0x1F_0000..0x20_0000);
        let mx = part("c22315");
        assert_eq!(mx.protected(mx.factory_status), 0..0x1F_0000);
    }

    #[test]
    fn the_vendor_values_for_all_and_none_decode_so() {
        for part in Part::all().iter().filter(|part| !part.scheme.bp_bits.is_empty()) {
            assert!(part.protected(0).is_empty(), "{}", part.name);
            assert_eq!(part.protected(part.locked_status), 0..part.size, "{}", part.name);
        }
    }

    #[test]
    fn sector_steps_and_complement_follow_the_data_sheet() {
        let gd = part("c84015");
        assert_eq!(gd.protected(1 << 6 | 1 << 2), 0x1F_F000..0x20_0000, "SEC, one sector at the top");
        assert_eq!(gd.protected(1 << 6 | 1 << 5 | 3 << 2), 0..0x4000, "SEC and TB, four sectors at the bottom");
        assert_eq!(gd.protected(1 << 6 | 6 << 2), 0x1F_8000..0x20_0000, "SEC stops at 32 KiB");
        assert_eq!(gd.protected(1 << 14), 0..0x20_0000, "CMP with BP 0 is everything");
        assert_eq!(gd.protected(5 << 2), 0x10_0000..0x20_0000, "BP 5 is the upper half of 2 MiB");
        assert!(gd.protected(1 << 14 | 7 << 2).is_empty(), "CMP with all BP bits is nothing");
    }

    #[test]
    fn busy_times_are_those_of_the_family() {
        assert_eq!(part("1c7015").times.page, Duration::from_micros(800));
        assert_eq!(part("ef4015").times.sector, Duration::from_millis(45));
        assert_eq!(part("eb6015").times.chip, Duration::from_secs(10));
    }
}
