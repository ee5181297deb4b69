//! Serial flash discoverable parameters (JESD216): only what says how large the part is.

/// Bytes of the SFDP header and its first parameter header.
pub const HEADER_LEN: usize = 16;

/// Where the basic flash parameter table lies in SFDP space, and its length in bytes. `None` when `header`, read from
/// SFDP address 0, is not an SFDP header: many parts of this table answer with FF or 00.
pub fn basic_table(header: &[u8]) -> Option<(u32, usize)> {
    let header = header.get(..HEADER_LEN)?;
    let (signature, first) = header.split_at(8);
    if !signature.starts_with(b"SFDP") {
        return None;
    }
    let [id, _, _, words, low, middle, high, _] = *<&[u8; 8]>::try_from(first).ok()?;
    (id == 0 && words >= 2).then(|| (u32::from_le_bytes([low, middle, high, 0]), usize::from(words) * 4))
}

/// The part's size in bytes, from the second word of the basic flash parameter table: the number of bits less one, or,
/// with bit 31 set, the exponent of that number. `None` when it makes no sense for a part of 64 KiB to 2 GiB.
pub fn size(table: &[u8]) -> Option<u32> {
    let word = u32::from_le_bytes(*table.get(4..)?.first_chunk()?);
    let bits = match word.checked_sub(1 << 31) {
        None => u64::from(word) + 1,
        Some(exponent) if exponent < 40 => 1 << exponent,
        Some(_) => return None,
    };
    let bytes = u32::try_from(bits / 8).ok()?;
    (bits.is_power_of_two() && bytes >= 1 << 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 16] = [b'S', b'F', b'D', b'P', 0, 1, 1, 0xFF, 0, 0, 1, 9, 0x30, 0, 0, 0xFF];

    #[test]
    fn the_first_parameter_header_leads_to_the_basic_table() {
        assert_eq!(basic_table(&HEADER), Some((0x30, 36)));
    }

    #[test]
    fn a_part_without_sfdp_has_no_table() {
        assert_eq!(basic_table(&[0xFF; 16]), None);
        assert_eq!(basic_table(&[0; 16]), None);
        assert_eq!(basic_table(&HEADER[..15]), None);
    }

    #[test]
    fn sixteen_megabit_are_two_mebibytes() {
        let mut table = [0_u8; 36];
        table[4..8].copy_from_slice(&0x00FF_FFFF_u32.to_le_bytes());
        assert_eq!(size(&table), Some(0x20_0000));
    }

    #[test]
    fn parts_above_two_gigabit_give_the_exponent() {
        let mut table = [0_u8; 8];
        table[4..8].copy_from_slice(&(0x8000_0000_u32 | 32).to_le_bytes());
        assert_eq!(size(&table), Some(1 << 29));
    }

    #[test]
    fn a_size_that_is_no_power_of_two_is_not_believed() {
        let mut table = [0_u8; 8];
        table[4..8].copy_from_slice(&0x00FF_FFFE_u32.to_le_bytes());
        assert_eq!(size(&table), None);
        assert_eq!(size(&[0xFF; 8]), None);
        assert_eq!(size(&[0; 7]), None);
    }
}
