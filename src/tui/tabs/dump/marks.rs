//! Bookmarks: kept by the content of the file, shown in its rows and in the scroll bar.

use std::sync::Arc;

use super::prompt::Prompt;
use super::{Dump, look};
use crate::store::Notes;
use crate::tui::effect::{Act, Response};
use crate::tui::look::{Look, Seen};
use crate::tui::overlay::JumpList;

impl Dump {
    /// Asks for the note of a bookmark at the cursor.
    pub(super) fn ask_note(&mut self, seen: &Seen) -> Response {
        match seen.offset(self.place.cursor) {
            Some(offset) => {
                let note = self.notes.at(offset).map(|bookmark| bookmark.note.as_str());
                self.prompt = Some(Prompt::note(offset, note));
                Response::nothing()
            }
            None => Response::act(Act::Say("this place is not in the file".to_owned())),
        }
    }

    /// Keeps a bookmark, or takes it away; the screen shows it when it is on the disk.
    pub(super) fn keep_note(&self, seen: &Seen, offset: u32, note: Option<&str>) -> Response {
        let mut notes = Notes { file: seen.file.name.clone(), ..self.notes.clone() };
        match note {
            Some(note) => notes.set(offset, note),
            None => notes.remove(offset),
        }
        Response::act(look(Look::Keep(Arc::clone(&seen.file), notes)))
    }

    /// Finds the places of the bookmarks in what is seen.
    pub(super) fn find_marks(&mut self) {
        let Some(seen) = &self.seen else { return };
        self.marks = self.notes.bookmarks.iter().filter_map(|bookmark| seen.at_offset(bookmark.at)).collect();
        self.marks.sort_unstable();
    }

    /// The note at a place.
    pub(super) fn note_at(&self, seen: &Seen, at: u32) -> Option<&str> {
        self.notes.at(seen.offset(at)?).map(|bookmark| bookmark.note.as_str())
    }

    /// Lists the bookmarks.
    pub(super) fn marks_list(&self, seen: &Arc<Seen>) -> Response {
        if self.notes.bookmarks.is_empty() {
            return Response::act(Act::Say("no bookmark yet: m puts one here".to_owned()));
        }
        let rows: Vec<(u32, String)> =
            self.notes.bookmarks.iter().map(|bookmark| (bookmark.at, bookmark.note.clone())).collect();
        let places: Vec<Option<u32>> = rows.iter().map(|(offset, _)| seen.at_offset(*offset)).collect();
        let count = rows.len();
        let line = move |index: usize| {
            rows.get(index).map(|(offset, note)| format!("0x{offset:06X}  {note}")).unwrap_or_default()
        };
        let pick = move |index: usize| match places.get(index) {
            Some(Some(at)) => vec![Act::Show(*at)],
            _ => vec![Act::Say("this bookmark is not in what is shown; x or c goes back to the file".to_owned())],
        };
        Response::act(Act::Open(Box::new(JumpList::new("Bookmarks, by file offset", count, 0, line, pick))))
    }
}
