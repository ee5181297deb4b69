//! Tab 3: a file as hex and text, searched, with the text around each hit and what stands behind its encryption.

mod actions;
mod compare;
mod hits;
mod lists;
mod marks;
mod pane;
mod place;
mod prompt;
mod select;
mod view;

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::actions::{Action, KEYS};
use self::hits::Found;
use self::place::Place;
use self::prompt::{Answer, Prompt};
use self::select::Selection;
use super::{Tab, TabId};
use crate::image::search::How;
use crate::image::sums::Sums;
use crate::store::Notes;
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys::{self, KeyLine};
use crate::tui::look::{self, Lens, Look, Looked, Seen};
use crate::tui::msg::{Done, Target};
use crate::tui::overlay::{PickFile, ProblemBox, Reader};
use crate::tui::shared::{OpenFile, Shared, Step};
use crate::units::Span;

/// State of the tab.
#[derive(Default)]
pub struct Dump {
    seen: Option<Arc<Seen>>,
    place: Place,
    found: Option<Found>,
    /// A search whose answer is awaited.
    searching: bool,
    prompt: Option<Prompt>,
    /// What was searched last, for the next prompt.
    last: Option<(String, How)>,
    /// The pane with the bytes as numbers is open.
    inspecting: bool,
    selection: Option<Selection>,
    /// Checksums of the selection, once they are made.
    sums: Option<(Span, Sums)>,
    /// The piece whose checksums are awaited.
    summing: Option<Span>,
    notes: Notes,
    /// Places of the bookmarks in what is seen, by rising offset.
    marks: Vec<u32>,
}

impl Dump {
    /// Begins anew with the file that is open now.
    fn reset(&mut self, cx: &Shared) {
        let (last, inspecting) = (self.last.take(), self.inspecting);
        let seen = cx.dump.as_ref().map(|file| Arc::new(Seen::file(file)));
        *self = Self { seen, last, inspecting, ..Self::default() };
    }

    /// Offset and length of the current hit, when the cursor is on it.
    fn on_hit(&self) -> Option<(u32, u32)> {
        let here = self.found.as_ref().and_then(Found::here);
        here.filter(|(at, len)| (*at..at.saturating_add(*len)).contains(&self.place.cursor))
    }

    fn jump(&mut self, at: u32) {
        if let Some(seen) = &self.seen {
            self.place.jump(at, seen.last());
        }
    }

    fn visit_hit(&mut self, step: i64) {
        let Some(found) = &mut self.found else { return };
        found.step(step, self.place.cursor);
        if let Some((at, _)) = found.here() {
            self.jump(at);
        }
    }

    fn prompt_key(&mut self, key: &KeyEvent) -> Response {
        let (Some(prompt), Some(seen)) = (&mut self.prompt, &self.seen) else {
            self.prompt = None;
            return Response::nothing();
        };
        match prompt.key(key) {
            Answer::Editing => {}
            Answer::Closed => self.prompt = None,
            Answer::Goto(at) => {
                self.prompt = None;
                self.jump(at);
                return self.draw_selection();
            }
            Answer::Note(offset, note) => {
                let seen = Arc::clone(seen);
                self.prompt = None;
                return self.keep_note(&seen, offset, note.as_deref());
            }
            Answer::Search { text, how, pattern } => {
                let search = Arc::new(look::Search { seen: Arc::clone(seen), text: text.clone(), how, pattern });
                self.prompt = None;
                self.searching = true;
                self.last = Some((text, how));
                return Response::act(look(Look::Find(search)));
            }
        }
        Response::nothing()
    }

    /// Sees the file through this lens, or as it stands when it is seen so already.
    fn through(&self, lens: Lens) -> Response {
        let Some(seen) = &self.seen else { return Response::nothing() };
        let lens = if seen.lens == lens { Lens::File } else { lens };
        Response::act(look(Look::Through(Arc::clone(&seen.file), lens)))
    }

    /// Shows the same place in another way of seeing the file.
    fn see(&mut self, seen: Arc<Seen>) {
        let offset = self.seen.as_ref().and_then(|before| before.offset(self.place.cursor));
        let at = offset.and_then(|offset| seen.at_offset(offset)).unwrap_or(0);
        self.found = None;
        self.selection = None;
        self.seen = Some(seen);
        self.find_marks();
        self.place.top = 0;
        self.place.cursor = 0;
        self.jump(at);
    }

    /// Names that can be gone to.
    fn names(&self, seen: &Seen) -> Vec<(String, u32)> {
        let regions = seen.regions.iter().map(|region| (region.name.clone(), region.span.start));
        let noted = self.notes.bookmarks.iter().filter(|bookmark| !bookmark.note.is_empty());
        regions
            .chain(noted.filter_map(|bookmark| Some((bookmark.note.clone(), seen.at_offset(bookmark.at)?))))
            .collect()
    }

    fn movement(&mut self, action: Action, last: u32) -> bool {
        let (rows, per_row) = self.place.page();
        let (at, row) = (i64::from(self.place.cursor), i64::from(per_row));
        let page = row * i64::from(rows.saturating_sub(1).max(1));
        let to = match action {
            Action::Up => at - row,
            Action::Down => at + row,
            Action::Left => at - 1,
            Action::Right => at + 1,
            Action::PageUp => at - page,
            Action::PageDown => at + page,
            Action::Top => 0,
            Action::End => i64::MAX,
            _ => return false,
        };
        self.place.move_to(to, last);
        true
    }

    fn inspect(&mut self, seen: &Seen) -> Response {
        // Where the pane would be cut, the numbers get a window of their own.
        if (1..16).contains(&self.place.drawn.get().rows) {
            let lines = pane::inspector(seen, self.place.cursor, 72);
            let text = lines.into_iter().map(|line| line.into_iter().map(|(_, text)| text).collect()).collect();
            return Response::act(Act::Open(Box::new(Reader::new("The bytes here", text))));
        }
        self.inspecting = !self.inspecting;
        Response::nothing()
    }

    /// What a search found; says so where it is not where it was searched.
    fn take(&mut self, search: &look::Search, found: &look::Found) -> Vec<Act> {
        self.searching = false;
        if !Arc::ptr_eq(&search.seen, &found.seen) {
            self.see(Arc::clone(&found.seen));
        }
        self.found = Some(Found::new(&search.text, found, self.place.cursor));
        self.visit_hit(0);
        let say = |text: String| vec![Act::Say(text)];
        let lens = found.seen.lens;
        if found.hits.total == 0 {
            return say(format!("{:?} is nowhere in {}", search.text, lens.name()));
        }
        if lens != search.seen.lens {
            return say(format!("found in {} only; {} goes back", lens.name(), lens.key()));
        }
        let more = found.behind.iter().map(|(lens, count)| format!("{count} in {} ({})", lens.name(), lens.key()));
        let more: Vec<String> = more.collect();
        if more.is_empty() { Vec::new() } else { say(format!("more: {}", more.join(", "))) }
    }
}

const fn look(look: Look) -> Act {
    Act::work(Task::Look(look))
}

impl Tab for Dump {
    fn id(&self) -> TabId {
        TabId::Dump
    }

    fn title(&self) -> &'static str {
        "Dump"
    }

    fn keys(&self) -> Vec<KeyLine> {
        keys::lines(KEYS)
    }

    fn hints(&self, cx: &Shared) -> Vec<KeyLine> {
        let actions: &[Action] = match (&cx.dump, &self.found) {
            (None, _) => &[Action::Open, Action::Backup],
            _ if self.selection.is_some() => &[Action::Copy, Action::Save, Action::Select, Action::Clear],
            _ if self.pair().is_some() => &[
                Action::NextDifference,
                Action::PreviousDifference,
                Action::Differences,
                Action::Compare,
                Action::Goto,
            ],
            (Some(_), None) => &[Action::Search, Action::Goto, Action::Regions, Action::Strings, Action::Code],
            (Some(_), Some(_)) => &[Action::Next, Action::Previous, Action::Hits, Action::Text, Action::Search],
        };
        keys::hints(KEYS, actions)
    }

    fn typing(&self) -> bool {
        self.prompt.is_some()
    }

    fn paste(&mut self, text: &str) {
        if let Some(prompt) = &mut self.prompt {
            prompt.paste(text);
        }
    }

    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        if self.typing() {
            return self.prompt_key(&key);
        }
        let Some(action) = keys::find(KEYS, &key) else { return Response::Ignored };
        match action {
            Action::Open => return Response::Taken(PickFile::open(Target::Dump, &cx.folder)),
            Action::Backup => {
                return Response::act(match cx.backup.proven() {
                    Some(known) => Act::work(Task::ShowBackup(Arc::clone(known))),
                    None => Act::Say("there is no proven backup of a connected chip; 2, then b makes one".to_owned()),
                });
            }
            _ => {}
        }
        let Some(seen) = self.seen.clone() else {
            return if action == Action::Clear { Response::Ignored } else { Response::nothing() };
        };
        if select::is_shifted(&key) {
            self.begin_shifted();
        }
        if self.movement(action, seen.last()) {
            let drawn = if select::is_shifted(&key) { self.draw_shifted() } else { self.draw_selection() };
            if let Response::Taken(acts) = drawn
                && !acts.is_empty()
            {
                return Response::Taken(acts);
            }
        } else {
            match action {
                Action::Search => self.prompt = Some(Prompt::search(self.last.as_ref())),
                Action::Goto => {
                    let names = self.names(&seen);
                    self.prompt = Some(Prompt::goto(&seen, names, self.place.cursor));
                }
                Action::Next if self.found.is_none() && self.pair().is_some() => return self.visit_difference(1),
                Action::Previous if self.found.is_none() && self.pair().is_some() => return self.visit_difference(-1),
                Action::Next | Action::Previous | Action::Hits if self.found.is_none() => {
                    self.prompt = Some(Prompt::search(self.last.as_ref()));
                }
                Action::Next => self.visit_hit(1),
                Action::Previous => self.visit_hit(-1),
                Action::Hits => {
                    let list = self.found.as_ref().map(|found| Act::Open(Box::new(lists::hits(&seen, found))));
                    return Response::Taken(list.into_iter().collect());
                }
                Action::Select => return self.toggle_selection(),
                Action::Copy => return self.copy(&seen),
                Action::Save => return self.save(&seen, cx),
                Action::Mark => return self.ask_note(&seen),
                Action::Marks => return self.marks_list(&seen),
                Action::Compare => return self.compare(&seen, cx),
                Action::NextDifference => return self.visit_difference(1),
                Action::PreviousDifference => return self.visit_difference(-1),
                Action::Differences => return self.differences_list(),
                Action::Text => {
                    let text = lists::whole_text(&seen, self.place.cursor);
                    return Response::act(Act::Open(Box::new(Reader::new("The text here", text))));
                }
                Action::Inspect => return self.inspect(&seen),
                Action::Strings => return Response::act(look(Look::Strings(seen))),
                Action::Store => return self.through(Lens::Store),
                Action::Code => return self.through(Lens::Code),
                Action::Regions => return Response::act(Act::Open(Box::new(lists::regions(&seen, self.place.cursor)))),
                Action::Facts => {
                    let reader = Reader::new(seen.file.name.clone(), lists::facts(&seen));
                    return Response::act(Act::Open(Box::new(reader)));
                }
                Action::Clear if self.selection.is_some() => self.selection = None,
                Action::Clear if self.found.is_some() => self.found = None,
                Action::Clear => return Response::Ignored,
                _ => {}
            }
        }
        Response::act(Act::Journey(Step::Read, true))
    }

    fn done(&mut self, done: &Done, cx: &Shared) -> Vec<Act> {
        let current = |file: &Arc<OpenFile>| cx.dump.as_ref().is_some_and(|open| Arc::ptr_eq(open, file));
        let same = |seen: &Arc<Seen>| self.seen.as_ref().is_some_and(|now| Arc::ptr_eq(now, seen));
        match done {
            Done::Loaded(Target::Dump, Ok(_)) | Done::Saved { .. } => {
                self.reset(cx);
                return cx.dump.iter().map(|file| look(Look::Notes(Arc::clone(file)))).collect();
            }
            Done::Loaded(Target::Second, Ok(second)) => {
                return cx.dump.iter().map(|file| look(Look::Compare(Arc::clone(file), Arc::clone(second)))).collect();
            }
            Done::Looked(Looked::Notes(file, notes)) if current(file) => {
                self.notes = notes.clone();
                self.find_marks();
            }
            Done::Looked(Looked::NoNotes(file, problem)) if current(file) => {
                return vec![Act::Open(Box::new(ProblemBox::new("bookmarks", problem.clone())))];
            }
            Done::Looked(Looked::Sums(seen, span, sums)) if same(seen) => {
                self.sums = Some((*span, sums.clone()));
                self.summing = None;
                return self.want_sums();
            }
            Done::Looked(Looked::Found(search, found)) if same(&search.seen) => return self.take(search, found),
            Done::Looked(Looked::Through(file, lens, seen)) if current(file) => match seen {
                Some(seen) => self.see(Arc::clone(seen)),
                None => return vec![Act::Say(format!("{} is not in this file", lens.name()))],
            },
            Done::Looked(Looked::Strings(seen, texts)) if same(seen) => {
                return vec![Act::Open(Box::new(lists::texts(seen, texts, self.place.cursor)))];
            }
            _ => {}
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: &MouseEvent, _cx: &Shared) -> Response {
        let (Some(seen), Some(at)) = (&self.seen, self.place.at_cell(mouse.column, mouse.row)) else {
            return Response::Ignored;
        };
        let at = at.min(seen.last());
        if matches!(mouse.kind, MouseEventKind::Drag(_)) {
            self.begin_shifted();
            self.place.cursor = at;
            return self.draw_shifted();
        }
        self.place.cursor = at;
        self.draw_selection()
    }

    fn show(&mut self, at: u32, _cx: &Shared) {
        self.jump(at);
        if let Some(found) = &mut self.found {
            found.catch_up(at);
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        view::draw(self, area, buf, cx);
    }
}
