//! Bytes with wildcards: many places are compared at once, one byte of the pattern after the other, until no place is
//! left. What the bytes are like makes no difference to how long it takes.

use super::Hits;

/// Places that are compared at once.
const PLACES: usize = 64;

/// One byte of a pattern: its place, its value and the bits that count.
struct Part {
    at: usize,
    value: u8,
    mask: u8,
}

/// Adds every hit of `needle` to `hits`.
pub(super) fn find(bytes: &[u8], needle: &[(u8, u8)], keep: usize, hits: &mut Hits) {
    let Some(last) = bytes.len().checked_sub(needle.len()).filter(|_| !needle.is_empty()) else { return };
    let parts = parts(needle);
    let mut start = 0;
    while start + PLACES <= last + 1 {
        let mut alive = [true; PLACES];
        let mut left = true;
        for part in &parts {
            left = false;
            let window = bytes.get(start + part.at..start + part.at + PLACES).unwrap_or_default();
            for (alive, byte) in alive.iter_mut().zip(window) {
                *alive &= byte & part.mask == part.value;
                left |= *alive;
            }
            if !left {
                break;
            }
        }
        if left {
            add(&alive, start, needle.len(), keep, hits);
        }
        start += PLACES;
    }
    for at in start..=last {
        if parts.iter().all(|part| bytes[at + part.at] & part.mask == part.value) {
            hits.add(at, needle.len(), keep);
        }
    }
}

fn add(alive: &[bool; PLACES], start: usize, len: usize, keep: usize, hits: &mut Hits) {
    if hits.offsets.len() >= keep {
        hits.total += alive.iter().filter(|alive| **alive).count();
        return;
    }
    for (number, _) in alive.iter().enumerate().filter(|(_, alive)| **alive) {
        hits.add(start + number, len, keep);
    }
}

/// What has to be compared, that which rules out most places first: whole bytes before nibbles, and those that fill
/// erased or blank flash last.
fn parts(needle: &[(u8, u8)]) -> Vec<Part> {
    let mut parts: Vec<Part> = needle
        .iter()
        .enumerate()
        .filter(|(_, (_, mask))| *mask != 0)
        .map(|(at, (value, mask))| Part { at, value: value & mask, mask: *mask })
        .collect();
    parts.sort_by_key(|part| (std::cmp::Reverse(part.mask.count_ones()), matches!(part.value, 0x00 | 0xFF)));
    parts
}
