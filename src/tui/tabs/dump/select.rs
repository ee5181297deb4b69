//! Selecting bytes, and the forms they are copied in. What is copied is text without any control character, whatever
//! the bytes are; the terminal gets it encoded besides (OSC 52).

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::pane::Line;
use super::{Dump, look};
use crate::tui::effect::{Act, Effect, Response};
use crate::tui::look::{Look, Seen};
use crate::tui::overlay::{JumpList, SaveAs};
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::units::Span;

/// The longest text that is copied, in bytes: terminals take 74 KiB and more.
pub const MOST_COPIED: usize = 64 * 1024;

/// A selection, from where it began to where it was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    anchor: u32,
    end: u32,
    /// The cursor draws it on.
    pub open: bool,
}

impl Selection {
    /// A selection of one byte that follows the cursor.
    pub const fn begin(at: u32) -> Self {
        Self { anchor: at, end: at, open: true }
    }

    /// Draws it to the cursor.
    pub const fn draw(&mut self, cursor: u32) {
        self.end = cursor;
    }

    /// Whether Shift and an arrow go on with it from this place.
    pub const fn ends_at(&self, cursor: u32) -> bool {
        self.end == cursor
    }

    /// The bytes, both ends included.
    pub const fn span(&self) -> Span {
        let (first, last) = if self.anchor < self.end { (self.anchor, self.end) } else { (self.end, self.anchor) };
        Span::new(first, last - first + 1)
    }
}

/// Whether a key moves while Shift is held.
pub fn is_shifted(key: &KeyEvent) -> bool {
    use KeyCode::{Down, End, Home, Left, PageDown, PageUp, Right, Up};
    let moves = matches!(key.code, Up | Down | Left | Right | PageUp | PageDown | Home | End);
    moves && key.modifiers.contains(KeyModifiers::SHIFT)
}

/// A form in which bytes are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `7B 73 65`.
    Hex,
    /// `7b7365`.
    PlainHex,
    /// Letters as they are, other bytes as `\xNN`.
    Text,
    /// Rows of address, hex and letters.
    Rows,
}

impl Form {
    /// Every form, in the order they are offered.
    pub const ALL: [Self; 4] = [Self::Text, Self::Hex, Self::PlainHex, Self::Rows];

    /// The form in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex with blanks: 7B 73 65",
            Self::PlainHex => "hex without blanks: 7b7365",
            Self::Text => "text; what is no letter as \\xNN",
            Self::Rows => "rows of address, hex and text",
        }
    }

    /// The bytes, whose first one has the address `address`; `None` when the text is longer than [`MOST_COPIED`].
    pub fn text(self, bytes: &[u8], address: u32) -> Option<String> {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ");
        if bytes.len() > MOST_COPIED {
            return None;
        }
        let text = match self {
            Self::Hex => hex(bytes),
            Self::PlainHex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Text => escaped(bytes),
            Self::Rows => {
                let rows = bytes.chunks(16).zip((address..).step_by(16)).map(|(row, address)| {
                    let letter = |byte: &u8| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '.' };
                    let letters: String = row.iter().map(letter).collect();
                    format!("{address:08X}  {:<47}  {letters}\n", hex(row))
                });
                rows.collect()
            }
        };
        (text.len() <= MOST_COPIED).then_some(text)
    }
}

/// Valid UTF-8 as it is, but for control characters.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() {
                let mut units = [0; 4];
                text.extend(letter.encode_utf8(&mut units).bytes().map(|byte| format!("\\x{byte:02X}")));
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    text
}

impl Dump {
    /// Begins a selection that follows the cursor, or lets it stand.
    pub(super) fn toggle_selection(&mut self) -> Response {
        match &mut self.selection {
            Some(selection) if selection.open => selection.open = false,
            _ => self.selection = Some(Selection::begin(self.place.cursor)),
        }
        Response::Taken(self.want_sums())
    }

    /// Draws an open selection to the cursor.
    pub(super) fn draw_selection(&mut self) -> Response {
        if let Some(selection) = self.selection.as_mut().filter(|selection| selection.open) {
            selection.draw(self.place.cursor);
        }
        Response::Taken(self.want_sums())
    }

    /// Begins a selection for Shift and an arrow, unless the one there goes on here.
    pub(super) fn begin_shifted(&mut self) {
        let cursor = self.place.cursor;
        if !self.selection.is_some_and(|selection| selection.ends_at(cursor)) {
            self.selection = Some(Selection { open: false, ..Selection::begin(cursor) });
        }
    }

    /// Draws a selection to the cursor, open or not.
    pub(super) fn draw_shifted(&mut self) -> Response {
        if let Some(selection) = &mut self.selection {
            selection.draw(self.place.cursor);
        }
        Response::Taken(self.want_sums())
    }

    /// Asks for the checksums of the selection; one request at a time, however fast it is drawn.
    pub(super) fn want_sums(&mut self) -> Vec<Act> {
        let (Some(selection), Some(seen)) = (self.selection, &self.seen) else { return Vec::new() };
        let span = selection.span();
        if self.summing.is_some() || self.sums.as_ref().is_some_and(|(known, _)| *known == span) {
            return Vec::new();
        }
        self.summing = Some(span);
        vec![look(Look::Sums(Arc::clone(seen), span))]
    }

    /// The selected bytes and the address of the first one.
    fn selected<'a>(&self, seen: &'a Seen) -> Option<(Span, &'a [u8])> {
        let span = self.selection?.span();
        Some((span, seen.bytes.get(span.start as usize..span.end() as usize)?))
    }

    /// Asks in which form to copy the selection.
    pub(super) fn copy(&self, seen: &Arc<Seen>) -> Response {
        let Some((span, _)) = self.selected(seen) else { return nothing_selected() };
        let sha256 = self.sums.as_ref().filter(|(known, _)| *known == span).map(|(_, sums)| sums.sha256.clone());
        let seen = Arc::clone(seen);
        let line = |index: usize| Form::ALL.get(index).map_or("SHA-256 of it", |form| form.name()).to_owned();
        let pick = move |index: usize| {
            let bytes = seen.bytes.get(span.start as usize..span.end() as usize).unwrap_or_default();
            let text = match Form::ALL.get(index) {
                Some(form) => form.text(bytes, seen.address(span.start)),
                None => sha256.clone(),
            };
            let said = match &text {
                Some(_) => format!("{} bytes sent to the terminal's clipboard", span.len),
                None => "too much for a terminal's clipboard: w writes it to a file".to_owned(),
            };
            text.map(|text| Act::Effect(Effect::Copy(text))).into_iter().chain([Act::Say(said)]).collect()
        };
        let count = Form::ALL.len() + usize::from(self.sums.as_ref().is_some_and(|(known, _)| *known == span));
        Response::act(Act::Open(Box::new(JumpList::new("Copy the selection as", count, 0, line, pick).verb("copy"))))
    }

    /// Asks for the name of a new file for the selection.
    pub(super) fn save(&self, seen: &Seen, cx: &Shared) -> Response {
        let Some((span, bytes)) = self.selected(seen) else { return nothing_selected() };
        let stem = seen.file.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let name = format!("{stem}-{:06X}-{}.bin", seen.address(span.start), span.len);
        Response::act(Act::Open(Box::new(SaveAs::new("Save the selection", &cx.folder, &name, bytes.into()))))
    }
}

fn nothing_selected() -> Response {
    Response::act(Act::Say("nothing is selected: v, then move; or Shift and an arrow".to_owned()))
}

/// The selection and its checksums, for the pane.
pub fn summary(tab: &Dump, seen: &Seen, selection: Selection) -> Vec<Line> {
    let span = selection.span();
    let (first, last) = (seen.address(span.start), seen.address(span.end() - 1));
    let mut lines = vec![vec![
        (Role::Dim, "selected ".to_owned()),
        (Role::Address, format!("0x{first:06X} to 0x{last:06X}")),
        (Role::Strong, format!("  {} bytes (0x{:X})", span.len, span.len)),
        (Role::Dim, if selection.open { "  move, then v" } else { "" }.to_owned()),
    ]];
    let Some((_, sums)) = tab.sums.as_ref().filter(|(known, _)| *known == span) else {
        lines.push(vec![(Role::Dim, "  checksums …".to_owned())]);
        return lines;
    };
    let crc16: Vec<String> = sums.crc16.iter().map(|(name, value)| format!("{name} {value:04X}")).collect();
    let row = |label: &str, text: String| vec![(Role::Dim, format!("  {label:<9}")), (Role::Text, text)];
    lines.push(row("CRC-16", crc16.join("  ")));
    lines.push(row("CRC-32", format!("{:08X}   sum {:08X}", sums.crc32, sums.sum)));
    lines.push(row("SHA-256", sums.sha256.clone()));
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_selection_has_both_its_ends_whichever_way_it_is_drawn() {
        let mut selection = Selection::begin(10);
        assert_eq!(selection.span(), Span::new(10, 1));
        selection.draw(13);
        assert_eq!(selection.span(), Span::new(10, 4));
        selection.draw(7);
        assert_eq!(selection.span(), Span::new(7, 4));
        assert!(selection.ends_at(7) && !selection.ends_at(10));
    }

    #[test]
    fn each_form_is_as_its_name_says() {
        let bytes = b"{\"pin\":6}\0\x1B\xFF\xC3\xA9";
        assert_eq!(Form::Text.text(bytes, 0).as_deref(), Some("{\"pin\":6}\\x00\\x1B\\xFFé"));
        assert_eq!(Form::Hex.text(&bytes[..3], 0).as_deref(), Some("7B 22 70"));
        assert_eq!(Form::PlainHex.text(&bytes[..3], 0).as_deref(), Some("7b2270"));
        let rows = Form::Rows.text(&[0x41; 18], 0x1E_5000).unwrap();
        let lines: Vec<&str> = rows.lines().collect();
        assert_eq!(lines[0], format!("001E5000  {}  AAAAAAAAAAAAAAAA", ["41"; 16].join(" ")));
        assert!(lines[1].starts_with("001E5010  41 41  ") && lines[1].ends_with("  AA"));
    }

    #[test]
    fn what_is_too_long_for_a_clipboard_is_not_copied() {
        assert_eq!(Form::PlainHex.text(&vec![0; MOST_COPIED / 2 + 1], 0), None);
        assert!(Form::PlainHex.text(&vec![0; MOST_COPIED / 2], 0).is_some());
        assert_eq!(Form::Text.text(&vec![0x41; MOST_COPIED + 1], 0), None);
    }

    proptest! {
        #[test]
        fn no_control_character_is_ever_copied(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for form in Form::ALL {
                let text = form.text(&bytes, 0).unwrap();
                prop_assert!(text.chars().all(|c| c == '\n' && form == Form::Rows || !c.is_control()), "{form:?}");
            }
        }
    }
}
