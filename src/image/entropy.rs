//! How much each sector says: Shannon's entropy in bits per byte. Code and text lie between 5 and 7, what is encrypted
//! or packed near 8, erased flash at 0.

use crate::units::SECTOR;

/// The entropy of every sector of 4 KiB, 0.0 to 8.0 bits per byte; the last one may be shorter.
pub fn sectors(bytes: &[u8]) -> Vec<f32> {
    let table: Vec<f32> = (0..=SECTOR).map(|count| count as f32 * (count.max(1) as f32).log2()).collect();
    bytes.chunks(SECTOR as usize).map(|sector| of(sector, &table)).collect()
}

/// The mean entropy of the sectors that overlap `start..end`, in offsets of the file.
pub fn mean(sectors: &[f32], start: u32, end: u32) -> f32 {
    let first = (start / SECTOR) as usize;
    let last = (end.div_ceil(SECTOR) as usize).min(sectors.len());
    let part = sectors.get(first..last).unwrap_or_default();
    part.iter().sum::<f32>() / part.len().max(1) as f32
}

/// `table` holds `n * log2(n)`.
fn of(sector: &[u8], table: &[f32]) -> f32 {
    // Four tables, so that equal bytes in a row do not wait for each other.
    let mut counts = [[0_u16; 256]; 4];
    let (fours, rest) = sector.as_chunks::<4>();
    for four in fours {
        for (counts, byte) in counts.iter_mut().zip(four) {
            counts[usize::from(*byte)] += 1;
        }
    }
    for byte in rest {
        counts[0][usize::from(*byte)] += 1;
    }
    let [a, b, c, d] = &counts;
    let sum: f32 = (0..256)
        .map(|value| usize::from(a[value] + b[value] + c[value] + d[value]))
        .map(|count| table.get(count).copied().unwrap_or_default())
        .sum();
    let len = sector.len().max(1) as f32;
    (len.log2() - sum / len).clamp(0.0, 8.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::samples;

    #[test]
    fn known_contents_have_known_entropies() {
        let all: Vec<u8> = (0..4096_u32).map(|at| at as u8).collect();
        let half: Vec<u8> = (0..4096_u32).map(|at| (at % 2) as u8).collect();
        let found = sectors(&[vec![0xFF; 4096], all, half, vec![7; 3]].concat());
        assert_eq!(found, [0.0, 8.0, 1.0, 0.0]);
        assert!(sectors(&[]).is_empty());
        assert!((mean(&found, 0, 8192) - 4.0).abs() < 1e-6);
        assert!(mean(&found, 0x90_0000, 0x90_0001).abs() < 1e-6, "behind the end is nothing");
    }

    #[test]
    fn the_encrypted_store_says_more_than_erased_flash() {
        for sample in samples::dumps().into_iter().filter(|sample| sample.name.contains("ds-101jl")) {
            let found = sectors(&sample.bytes);
            assert!(found[0x1E_F000 / 4096] > 6.5, "{}", found[0x1E_F000 / 4096]);
            assert!(found.iter().any(|entropy| *entropy < 0.01));
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition(bytes in prop::collection::vec(0u8..6, 1..4097)) {
            let share = |value| bytes.iter().filter(|byte| **byte == value).count() as f64 / bytes.len() as f64;
            let naive: f64 = (0..=255).map(share).filter(|share| *share > 0.0).map(|share| -share * share.log2()).sum();
            prop_assert!((f64::from(sectors(&bytes)[0]) - naive).abs() < 1e-3);
        }
    }
}
