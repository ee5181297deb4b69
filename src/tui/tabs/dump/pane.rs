//! The rows below the bytes: where the cursor is, the text around a hit, the bytes as numbers.

use std::ops::Range;

use super::{Dump, compare, select};
use crate::image::structures::Structures;
use crate::image::{search, values};
use crate::tui::look::{Lens, Seen};
use crate::tui::theme::Role;

/// Longest text shown around a place, in bytes.
const LONGEST_TEXT: usize = 8192;

/// A row as pieces of text, each with its role.
pub type Line = Vec<(Role, String)>;

/// A readable text around a place.
pub struct Text {
    /// Where it stands and what it is.
    pub title: String,
    /// The text; ASCII, or one sign for each byte.
    pub text: String,
    /// Which letter the place is.
    pub at: usize,
    /// Letters for each byte of the file.
    pub bytes_per_letter: u32,
}

/// The text around a place: the pin map whole where it stands in pieces, else all printable bytes around it, also as
/// UTF-16; `None` when there is no text here.
pub fn text_at(seen: &Seen, at: u32) -> Option<Text> {
    if let Some(text) = pin_map_at(seen, at) {
        return Some(text);
    }
    let region = seen.region(at).map_or("", |region| region.name.as_str());
    let text = search::text_around(&seen.bytes, at, LONGEST_TEXT);
    if text.text.len() > 1 {
        let title = format!("0x{:06X}, {} bytes, {region}", seen.address(text.span.start), text.span.len);
        return Some(Text { title, text: text.text, at: (at - text.span.start) as usize, bytes_per_letter: 1 });
    }
    let letter = |at: u32| match seen.bytes.get(at as usize..)?.first_chunk::<2>()? {
        [byte @ 0x20..0x7F, 0] => Some(char::from(*byte)),
        _ => None,
    };
    letter(at)?;
    let most = LONGEST_TEXT as u32 / 2;
    let before = (1..most).take_while(|step| at.checked_sub(step * 2).and_then(letter).is_some()).count() as u32;
    let start = at - before * 2;
    let text: String = (0..most).map_while(|step| letter(start + step * 2)).collect();
    let title = format!("0x{:06X}, {} letters of UTF-16, {region}", seen.address(start), text.len());
    Some(Text { title, text, at: before as usize, bytes_per_letter: 2 })
}

fn pin_map_at(seen: &Seen, at: u32) -> Option<Text> {
    let (text, places) = seen.pin_map.as_ref()?;
    let number = places.iter().position(|place| place.contains(at))?;
    let before: u32 = places[..number].iter().map(|place| place.len).sum();
    let title = format!("user_param_key of the store, {} bytes", text.chars().count());
    let at = before + at - places[number].start;
    let text = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    Some(Text { title, text, at: at as usize, bytes_per_letter: 1 })
}

/// The rows, at most `most` of them, `width` columns wide.
pub fn lines(tab: &Dump, seen: &Seen, structures: &Structures, width: u16, most: u16) -> Vec<Line> {
    let mut lines = vec![place(tab, seen)];
    if let Some(selection) = tab.selection {
        lines.extend(select::summary(tab, seen, selection));
    } else if tab.inspecting {
        lines.extend(inspector(seen, tab.place.cursor, width));
        lines.extend(own_structures(seen, structures, tab.place.cursor));
    } else if let Some((at, len)) = tab.on_hit()
        && let Some(text) = text_at(seen, tab.place.cursor.max(at))
    {
        lines = around(&text, tab.place.cursor - at, len, width, most);
    } else if let Some(pair) = &seen.pair {
        lines.extend(compare::summary(pair));
    }
    lines
}

/// Where the cursor is.
fn place(tab: &Dump, seen: &Seen) -> Line {
    let at = tab.place.cursor;
    let mut line = vec![(Role::Dim, "at ".to_owned()), (Role::Address, format!("0x{:06X}", seen.address(at)))];
    if let Some(region) = seen.region(at) {
        let inside = at - region.span.start;
        line.push((Role::Text, format!("  {}", region.name)));
        line.push((Role::Dim, format!("  0x{inside:X} from its start")));
    }
    match (seen.lens, seen.offset(at), seen.code_address(at)) {
        (Lens::Code, Some(offset), _) => line.push((Role::Dim, format!("  = file 0x{offset:06X}"))),
        (_, _, Some(address)) => line.push((Role::Dim, format!("  = code 0x{address:06X}"))),
        _ => {}
    }
    if let Some(note) = tab.note_at(seen, at) {
        line.extend([(Role::Key, "  ● ".to_owned()), (Role::Strong, note.to_owned())]);
    }
    line
}

/// A title and the text around a hit, wrapped, with the hit marked. Where not all of it fits, the rows around the hit
/// are the ones to show.
fn around(text: &Text, into_hit: u32, len: u32, width: u16, most: u16) -> Vec<Line> {
    let rows = usize::from(most.saturating_sub(1)).max(1);
    let pieces = pieces(&text.text, usize::from(width.saturating_sub(2).max(1)));
    let mut title = match pieces.len() > rows {
        true => vec![(Role::Key, "t".to_owned()), (Role::Dim, " shows all of it: ".to_owned())],
        false => vec![(Role::Dim, "The text around this hit: ".to_owned())],
    };
    title.push((Role::Text, text.title.clone()));
    let per_letter = text.bytes_per_letter.max(1);
    let start = text.at.saturating_sub((into_hit / per_letter) as usize);
    let end = (start + (len / per_letter) as usize).min(text.text.len());
    let line_of_hit = pieces.partition_point(|piece| piece.end <= start);
    let first = line_of_hit.saturating_sub(rows / 2).min(pieces.len().saturating_sub(rows));
    let mut lines = vec![title];
    for piece in pieces.into_iter().skip(first).take(rows) {
        let (a, b) = (start.clamp(piece.start, piece.end), end.clamp(piece.start, piece.end));
        // The text is ASCII, so every index is a border of characters.
        let part = |role, from: usize, to: usize| (role, text.text.get(from..to).unwrap_or_default().to_owned());
        lines.push(vec![
            (Role::Text, "  ".to_owned()),
            part(Role::ByteText, piece.start, a),
            part(Role::ByteHere, a, b),
            part(Role::ByteText, b, piece.end),
        ]);
    }
    lines
}

/// Breaks a text of ASCII into lines of at most `width` letters, behind commas, semicolons and blanks where it can.
fn pieces(text: &str, width: usize) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let end = (start + width).min(bytes.len());
        let window = bytes.get(start + width / 2..end).unwrap_or_default();
        let cut = window.iter().rposition(|byte| matches!(byte, b',' | b';' | b' ')).filter(|_| end < bytes.len());
        let end = cut.map_or(end, |cut| start + width / 2 + cut + 1);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// The bytes at the cursor as numbers and times.
pub fn inspector(seen: &Seen, at: u32, width: u16) -> Vec<Line> {
    let Some(byte) = seen.bytes.get(at as usize) else { return Vec::new() };
    let letter = if (0x20..0x7F).contains(byte) { format!("  '{}'", char::from(*byte)) } else { String::new() };
    let bits = format!("{byte:02X}  {:04b} {:04b}{letter}", byte >> 4, byte & 0xF);
    let column = usize::from(width.saturating_sub(11) / 2).clamp(1, 48);
    let heads = format!("  {:<9}{bits:<column$}", "byte");
    let mut lines = Vec::new();
    for value in values::at(&seen.bytes, at as usize) {
        let two = if value.little == value.big { String::new() } else { value.big };
        lines.push(vec![
            (Role::Dim, format!("  {:<9}", value.name)),
            (Role::Strong, format!("{:<column$}", value.little)),
            (Role::Text, two),
        ]);
    }
    let titles = vec![(Role::Text, heads)];
    let orders = vec![(Role::Dim, format!("  {:<9}{:<column$}big endian", "", "little endian"))];
    lines.insert(0, titles);
    lines.insert(2, orders);
    lines
}

/// The user's own structures at the cursor.
pub fn own_structures(seen: &Seen, structures: &Structures, at: u32) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    if let Some(fault) = &structures.fault {
        lines.push(vec![(Role::Warn, format!("structures.toml: {fault}"))]);
    }
    for (name, fields) in structures.at(&seen.bytes, at as usize) {
        lines.push(vec![(Role::Key, format!("  {name}"))]);
        lines.extend(fields.into_iter().map(|(offset, name, value)| {
            vec![(Role::Dim, format!("  +0x{offset:03X}  {name:<16} ")), (Role::Strong, value)]
        }));
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_end_behind_commas() {
        let text = "{rl1_pin:26,bt1_pin:10,netled1_pin:6}";
        let lines: Vec<&str> = pieces(text, 16).into_iter().map(|piece| &text[piece]).collect();
        assert_eq!(lines, ["{rl1_pin:26,", "bt1_pin:10,", "netled1_pin:6}"]);
    }

    proptest! {
        #[test]
        fn no_letter_is_lost_and_no_line_too_long(text in "[a-c, ]{0,200}", width in 1usize..30) {
            let pieces = pieces(&text, width);
            let joined: String = pieces.iter().map(|piece| &text[piece.clone()]).collect();
            prop_assert_eq!(joined, &text[..]);
            prop_assert!(pieces.iter().all(|piece| (1..=width).contains(&piece.len())));
        }
    }
}
