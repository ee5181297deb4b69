//! What the Dump tab shows in windows of their own: hits, texts, regions, facts.

use std::sync::Arc;

use super::hits::Found;
use super::pane;
use crate::image::search::text_around;
use crate::image::{entropy, strings};
use crate::tui::effect::Act;
use crate::tui::look::Seen;
use crate::tui::overlay::{Choose, JumpList};
use crate::tui::widgets::entropy_bar;
use crate::units::size_text;

/// Letters of the text shown for a hit.
const GLIMPSE: usize = 80;

/// Every hit of a search.
pub fn hits(seen: &Arc<Seen>, found: &Found) -> JumpList {
    let hits: Arc<[(u32, u32)]> = found.hits.offsets.clone().into();
    let kept = if hits.len() < found.hits.total { format!(", the first {}", hits.len()) } else { String::new() };
    let title = format!("{} hits of {:?}{kept}", found.hits.total, found.text);
    let (rows, seen) = (Arc::clone(&hits), Arc::clone(seen));
    let line = move |index: usize| {
        let at = rows.get(index).map_or(0, |(at, _)| *at);
        let region = seen.region(at).map_or("", |region| region.name.as_str());
        let text = text_around(&seen.bytes, at, GLIMPSE).text;
        format!("0x{:06X}  {:<20.20}  {text}", seen.address(at), region)
    };
    let pick = move |index: usize| vec![Act::Show(hits.get(index).map_or(0, |(at, _)| *at))];
    let row = found.number().saturating_sub(1);
    JumpList::new(title, found.hits.offsets.len(), row, line, pick)
}

/// The text at a place, for the reader.
pub fn whole_text(seen: &Seen, at: u32) -> Vec<String> {
    match pane::text_at(seen, at) {
        Some(text) => vec![text.title, String::new(), text.text],
        None => vec![format!("There is no text at 0x{:06X}.", seen.address(at))],
    }
}

/// What is where, with its entropy.
pub fn regions(seen: &Seen, cursor: u32) -> Choose {
    let lines = seen.regions.iter().map(|region| {
        let bits = entropy::mean(&seen.entropy, region.span.start, region.span.end());
        let start = seen.address(region.span.start);
        let size = size_text(region.span.len.into());
        format!("0x{start:06X}  {size:>9}  {} {bits:.1} bits  {}", entropy_bar::sign(bits), region.name)
    });
    let row = seen.regions.iter().position(|region| region.span.contains(cursor)).unwrap_or(0);
    let starts: Vec<u32> = seen.regions.iter().map(|region| region.span.start).collect();
    Choose::new("Regions, with their entropy per byte", lines.collect(), row, move |index| {
        Act::Show(starts.get(index).copied().unwrap_or(0))
    })
}

/// The texts, filtered by typing.
pub fn texts(seen: &Arc<Seen>, texts: &Arc<[strings::Text]>, cursor: u32) -> JumpList {
    let row = texts.partition_point(|text| text.offset <= cursor as usize).saturating_sub(1);
    let (seen, lines, fits) = (Arc::clone(seen), Arc::clone(texts), Arc::clone(texts));
    let picks = Arc::clone(texts);
    let line = move |index: usize| {
        let Some(text) = lines.get(index) else { return String::new() };
        let wide = if text.encoding == strings::Encoding::Utf16 { "16 " } else { "   " };
        format!("0x{:06X} {wide} {}", seen.address(text.offset as u32), text.text)
    };
    let pick = move |index: usize| vec![Act::Show(picks.get(index).map_or(0, |text| text.offset as u32))];
    JumpList::new(format!("{} texts", texts.len()), texts.len(), row, line, pick)
        .filtered(move |index, wanted| fits.get(index).is_some_and(|text| text.text.to_lowercase().contains(wanted)))
}

/// What the content of a file says about it.
pub fn facts(seen: &Seen) -> Vec<String> {
    let file = &seen.file;
    let firmware = &file.firmware;
    let mut lines = vec![
        file.path.display().to_string(),
        format!("{}, {}", size_text(file.bytes.len() as u64), file.about),
        format!("SHA-256 {}", firmware.sha256),
        String::new(),
    ];
    if let Some(family) = firmware.family {
        lines.push(format!("chip {} ({})", family.name(), firmware.verdict));
    }
    lines.extend(firmware.votes.iter().map(|vote| format!("· {}", vote.evidence)));
    if let Some(at) = firmware.natural_address {
        lines.push(format!("belongs at flash address 0x{at:06X}"));
    }
    for part in &seen.parts {
        let (file, code) = (part.file, part.code);
        lines.push(format!(
            "{}: file 0x{:06X} to 0x{:06X} is code 0x{:06X} to 0x{:06X}, key {}",
            part.name,
            file.start,
            file.end(),
            code.start,
            code.end(),
            part.key.name()
        ));
    }
    if !firmware.problems.is_empty() {
        lines.push(String::new());
        lines.extend(firmware.problems.iter().map(|problem| format!("✘ {}", problem.what)));
    }
    lines
}
