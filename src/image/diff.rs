//! Where two files differ, as ranges and summed up by region. A rotated dump is turned back first, so that two dumps of
//! one chip compare whatever way they were read.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::bytes::Address;
use super::kind;
use super::region::{self, Region};
use crate::units::Span;

/// Equal bytes that do not end a range, so that a changed record is one range and not twenty.
const BRIDGE: usize = 8;

/// A run of differing bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where, in flash order.
    pub span: Span,
    /// Differing bytes in it.
    pub differing: u32,
    /// The region of the first file it starts in.
    pub region: String,
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Range", 4)?;
        fields.serialize_field("start", &Address(self.span.start))?;
        fields.serialize_field("end", &Address(self.span.end()))?;
        fields.serialize_field("differing_bytes", &self.differing)?;
        fields.serialize_field("region", &self.region)?;
        fields.end()
    }
}

/// A region of the first file and how much of it differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionDifference {
    /// The region, in flash order.
    #[serde(flatten)]
    pub region: Region,
    /// Differing bytes.
    pub differing_bytes: u32,
    /// Ranges that start in it.
    pub ranges: usize,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Whether both are equal, length included.
    pub equal: bool,
    /// Differing bytes in the part that both have.
    pub differing_bytes: u64,
    /// Bytes that only the first file has, at its end.
    pub only_in_first: u64,
    /// Bytes that only the second file has, at its end.
    pub only_in_second: u64,
    /// Whether the first or the second was turned back.
    pub turned_back: [bool; 2],
    /// The regions that differ.
    pub regions: Vec<RegionDifference>,
    /// The differing ranges.
    pub ranges: Vec<Range>,
}

/// Two files in one order: when just one of them is a rotated dump it is turned back. The second value says which was.
pub fn in_one_order<'a>(first: &'a [u8], second: &'a [u8]) -> ([Cow<'a, [u8]>; 2], [bool; 2]) {
    let kinds = [kind::recognise(first), kind::recognise(second)];
    // Only a dump of the same length can be the same flash in another order.
    let rotated = kinds.map(|kind| first.len() == second.len() && kind.rotation() != 0);
    let turn = rotated.map(|rotated_one| rotated_one && rotated != [true, true]);
    let in_order = |bytes: &'a [u8], kind, turn| if turn { kind::in_flash_order(bytes, kind) } else { bytes.into() };
    ([in_order(first, kinds[0], turn[0]), in_order(second, kinds[1], turn[1])], turn)
}

/// Compares two files.
pub fn compare(first: &[u8], second: &[u8]) -> Comparison {
    let ([a, b], turned_back) = in_one_order(first, second);
    let regions = region::regions(&a);
    let mut ranges = ranges(&a, &b);
    let mut by_region: Vec<RegionDifference> =
        regions.into_iter().map(|region| RegionDifference { region, differing_bytes: 0, ranges: 0 }).collect();
    for range in &mut ranges {
        let home = by_region.iter_mut().find(|home| home.region.span.contains(range.span.start));
        if let Some(home) = home {
            home.ranges += 1;
            range.region.clone_from(&home.region.name);
        }
        // A range may go over the end of a region.
        for home in by_region.iter_mut().filter(|home| home.region.span.overlaps(range.span)) {
            let shared = home.region.span.intersection(range.span);
            let place = shared.start as usize..shared.end() as usize;
            let differing = a[place.clone()].iter().zip(&b[place]).filter(|(a, b)| a != b).count();
            home.differing_bytes += differing as u32;
        }
    }
    by_region.retain(|home| home.differing_bytes > 0);
    Comparison {
        equal: a == b,
        differing_bytes: ranges.iter().map(|range| u64::from(range.differing)).sum(),
        only_in_first: a.len().saturating_sub(b.len()) as u64,
        only_in_second: b.len().saturating_sub(a.len()) as u64,
        turned_back,
        regions: by_region,
        ranges,
    }
}

fn ranges(a: &[u8], b: &[u8]) -> Vec<Range> {
    let mut found: Vec<Range> = Vec::new();
    for (at, _) in a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b) {
        match found.last_mut() {
            Some(last) if at <= last.span.end() as usize + BRIDGE => {
                last.span.len = at as u32 + 1 - last.span.start;
                last.differing += 1;
            }
            _ => found.push(Range { span: Span::new(at as u32, 1), differing: 1, region: String::new() }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::samples;

    #[test]
    fn near_differences_are_one_range() {
        let a = vec![0; 100];
        let mut b = a.clone();
        for at in [10, 14, 40] {
            b[at] = 1;
        }
        let found = compare(&a, &b);
        let spans: Vec<(u32, u32, u32)> =
            found.ranges.iter().map(|range| (range.span.start, range.span.len, range.differing)).collect();
        assert_eq!(spans, [(10, 5, 2), (40, 1, 1)]);
        assert!(!found.equal && compare(&a, &a).equal);
        let longer = compare(&a, &[&a[..], b"tail"].concat());
        assert_eq!((longer.equal, longer.only_in_second, longer.differing_bytes), (false, 4, 0));
    }

    #[test]
    fn a_rotated_dump_equals_itself_turned_back_and_changes_are_named_by_region() {
        let Some(sample) = samples::dump("led-moon-cct-rotated-t") else { return };
        let mut flash = sample.bytes.clone();
        flash.rotate_right(0x11000);
        let same = compare(&sample.bytes, &flash);
        assert!(same.equal, "{} bytes differ", same.differing_bytes);
        assert_eq!(same.turned_back, [true, false]);
        flash[0x1E_0024] ^= 1;
        flash[0x1F_0000] ^= 1;
        let found = compare(&sample.bytes, &flash);
        let names: Vec<&str> = found.regions.iter().map(|home| home.region.name.as_str()).collect();
        assert_eq!(names, ["RF calibration and MAC", "Tuya store"]);
        assert_eq!(found.ranges[0].span.start, 0x1E_0024);
    }

    proptest! {
        #[test]
        fn every_differing_byte_is_in_exactly_one_range(
            a in prop::collection::vec(0..3_u8, 0..200),
            b in prop::collection::vec(0..3_u8, 0..200),
        ) {
            let found = compare(&a, &b);
            let naive = a.iter().zip(&b).filter(|(a, b)| a != b).count() as u64;
            prop_assert_eq!(found.differing_bytes, naive);
            for (at, _) in a.iter().zip(&b).enumerate().filter(|(_, (a, b))| a != b) {
                let homes = found.ranges.iter().filter(|range| range.span.contains(at as u32)).count();
                prop_assert_eq!(homes, 1);
            }
        }
    }
}
