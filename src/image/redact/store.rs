//! Blanking inside the encrypted store and the protected blocks. What the store still needs keeps its place and its
//! length; everything else in a data block becomes erased pages.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Work;
use crate::image::tuya::Tuya;
use crate::image::tuya::cipher;
use crate::image::tuya::kv::{Block, Entry, PAGE_LEN, PAGES, Store};
use crate::image::tuya::secrets::{self, BLANK, Secrecy};
use crate::units::SECTOR;

/// Blanks the store's secrets in every copy.
pub(super) fn blank_store(work: &mut Work, tuya: &Tuya) {
    let Some(store) = &tuya.store else { return };
    let kept: Vec<&Entry> = kept(store);
    let pages: BTreeSet<usize> = kept.iter().flat_map(|entry| pages_of(entry)).collect();
    let key = store.data_key();
    let mut plains: Vec<Vec<u8>> = store.blocks.iter().map(|block| block.plain.clone()).collect();
    for (block, plain) in store.blocks.iter().zip(&mut plains) {
        blank_pages(work, block, plain, &pages);
    }
    for entry in &kept {
        blank_value(work, store, &mut plains, entry);
    }
    for (block, plain) in store.blocks.iter().zip(&mut plains) {
        blank_slack(work, block, plain, &kept);
    }
    for (block, mut plain) in store.blocks.iter().zip(plains) {
        // A damaged block stays recognisable as damaged.
        if block.good {
            let sum = cipher::sector_sum(&plain).to_le_bytes();
            plain[4..8].copy_from_slice(&sum);
        }
        let place = block.offset..block.offset + plain.len();
        work.bytes[place].copy_from_slice(&cipher::encrypt(&key, &plain));
    }
    for offset in &store.unreadable {
        // What cannot be decrypted cannot be judged.
        work.fill("sector of the store that cannot be read", *offset..*offset + SECTOR as usize, 0xFF);
    }
}

/// The live values, and what stands in for damaged ones.
fn kept(store: &Store) -> Vec<&Entry> {
    let stand_ins = store.live().filter(|entry| !entry.good).filter_map(|entry| store.value(&entry.name));
    let mut kept: Vec<&Entry> = store.live().chain(stand_ins).collect();
    if !kept.iter().any(|entry| entry.name == "user_param_key") {
        // A deleted pin map may be the only one left, and is no secret.
        kept.extend(store.entries.iter().find(|entry| entry.good && entry.name == "user_param_key"));
    }
    kept.sort_by_key(|entry| entry.index);
    kept.dedup_by_key(|entry| entry.index);
    kept
}

/// File offsets of the pages a value needs.
fn pages_of(entry: &Entry) -> impl Iterator<Item = usize> {
    let value = entry.places.iter().flat_map(|place| (place.start as usize..place.end() as usize).step_by(PAGE_LEN));
    std::iter::once(entry.index).chain(value)
}

/// Erases the pages that no kept value needs, and takes them out of the map.
fn blank_pages(work: &mut Work, block: &Block, plain: &mut [u8], kept: &BTreeSet<usize>) {
    let mut run: Option<Range<usize>> = None;
    for page in 1..PAGES {
        let at = usize::from(page) * PAGE_LEN;
        let bytes = &mut plain[at..at + PAGE_LEN];
        if kept.contains(&(block.offset + at)) || bytes.iter().all(|byte| *byte == 0xFF) {
            continue;
        }
        bytes.fill(0xFF);
        let map = usize::from(plain[14]).min(4);
        if usize::from(page / 8) < map {
            plain[15 + usize::from(page / 8)] &= !(1 << (page % 8));
        }
        let place = block.offset + at..block.offset + at + PAGE_LEN;
        match &mut run {
            Some(run) if run.end == place.start => run.end = place.end,
            _ => {
                let done = run.replace(place);
                done.into_iter().for_each(|done| work.tell("deleted or replaced values of the store", done));
            }
        }
    }
    run.into_iter().for_each(|run| work.tell("deleted or replaced values of the store", run));
}

/// Erases what stands behind the end of values, of index pages and of the block's header: it belongs to values that
/// had the page before.
fn blank_slack(work: &mut Work, block: &Block, plain: &mut [u8], kept: &[&Entry]) {
    let header = 15 + usize::from(plain[14]).min(4);
    let mut slack: Vec<Range<usize>> = std::iter::once(header..PAGE_LEN).collect();
    let within = |offset: usize| offset.checked_sub(block.offset).filter(|at| *at < block.plain.len());
    for entry in kept {
        if let Some(at) = within(entry.index) {
            slack.push(at + block.index_len(at).unwrap_or(PAGE_LEN)..at + PAGE_LEN);
        }
        for place in &entry.places {
            if let Some(at) = within(place.start as usize) {
                let end = at + place.len as usize;
                slack.push(end..end.next_multiple_of(PAGE_LEN));
            }
        }
    }
    for place in slack {
        let Some(bytes) = plain.get_mut(place.clone()) else { continue };
        if bytes.iter().any(|byte| *byte != 0xFF) {
            bytes.fill(0xFF);
            work.tell("rest of deleted values of the store", block.offset + place.start..block.offset + place.end);
        }
    }
}

/// Blanks what is secret in a value and puts the checksum in its index page right.
fn blank_value(work: &mut Work, store: &Store, plains: &mut [Vec<u8>], entry: &Entry) {
    let ranges = secret_ranges(&entry.name, &entry.value, entry.good);
    if ranges.is_empty() {
        return;
    }
    let mut value = entry.value.clone();
    for range in &ranges {
        value[range.clone()].fill(BLANK);
    }
    let mut write = |offset: usize, bytes: &[u8]| {
        let home =
            store.blocks.iter().position(|block| (block.offset..block.offset + block.plain.len()).contains(&offset));
        if let Some(home) = home {
            let at = offset - store.blocks[home].offset;
            plains[home][at..at + bytes.len()].copy_from_slice(bytes);
        }
    };
    let mut done = 0;
    for place in &entry.places {
        let piece = &value[done..done + place.len as usize];
        write(place.start as usize, piece);
        done += piece.len();
    }
    if entry.good {
        write(entry.index, &cipher::sum(&value).to_le_bytes());
    }
    for range in ranges {
        let at = entry.places.iter().scan(0, |start, place| {
            let first = *start;
            *start += place.len as usize;
            Some((first, place))
        });
        let home = at.filter(|(first, _)| *first <= range.start).last();
        let offset = home.map_or(entry.index, |(first, place)| place.start as usize + range.start - first);
        work.tell(format!("store: {}", entry.name), offset..offset + range.len());
    }
}

/// What is secret in a value of the store.
fn secret_ranges(name: &str, value: &[u8], good: bool) -> Vec<Range<usize>> {
    let end = value.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let texts = || secrets::json_texts(value).into_iter();
    let ranges: Vec<Range<usize>> = match secrets::secrecy(name) {
        Secrecy::Open => {
            let fields = texts().filter(|text| secrets::is_secret_field(&value[text.name.clone()]));
            fields.map(|text| text.text).collect()
        }
        Secrecy::Field(field) if good => {
            texts().filter(|text| value[text.name.clone()] == *field.as_bytes()).map(|text| text.text).collect()
        }
        Secrecy::Whole if good && value.starts_with(b"{") => texts().map(|text| text.text).collect(),
        // No JSON, or JSON with holes: nothing of it can be told apart.
        Secrecy::Field(_) | Secrecy::Whole => std::iter::once(0..end).collect(),
    };
    ranges.into_iter().filter(|range| !secrets::is_blank(&value[range.clone()])).collect()
}

/// Blanks the texts in the protected blocks, whose two values are secret as a whole.
pub(super) fn blank_protected(work: &mut Work, tuya: &Tuya) {
    for block in &tuya.protected {
        let sector = block.offset..block.offset + SECTOR as usize;
        let mut blanked = block.clone();
        let end = block.entries.iter().map(|(_, place)| place.end).max().unwrap_or(0);
        for (name, place) in &block.entries {
            let value = &block.plain[place.clone()];
            for range in secret_ranges(name, value, block.good) {
                let within = place.start + range.start..place.start + range.end;
                blanked.plain[within.clone()].fill(BLANK);
                let start = block.offset + crate::image::tuya::protected::HEADER_LEN;
                work.tell(format!("protected block: {name}"), start + within.start..start + within.end);
            }
        }
        blanked.plain[end..].fill(0xFF);
        if block.good {
            let sealed = blanked.sealed(&work.bytes[sector.clone()]);
            work.bytes[sector].copy_from_slice(&sealed);
        } else {
            work.fill("damaged protected block", sector, 0xFF);
        }
    }
}
