//! Tab 3: a file as hex and text, searched, with the text around each hit and what stands behind its encryption.

mod actions;
mod hits;
mod pane;
mod place;
mod prompt;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::actions::{Action, KEYS};
use self::hits::Found;
use self::place::Place;
use self::prompt::{Answer, Prompt};
use super::{Tab, TabId};
use crate::image::entropy;
use crate::image::search::{How, text_around};
use crate::image::strings;
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys::{self, KeyLine};
use crate::tui::look::{self, Lens, Look, Looked, Seen};
use crate::tui::msg::{Done, Target};
use crate::tui::overlay::{Choose, JumpList, PickFile, Reader};
use crate::tui::shared::{OpenFile, Shared, Step};
use crate::tui::widgets::entropy_bar;
use crate::units::size_text;

/// Letters of the text shown for a hit in the list.
const GLIMPSE: usize = 80;

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
        self.seen = Some(seen);
        self.place.top = 0;
        self.place.cursor = 0;
        self.jump(at);
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

/// What the content of a file says about it.
fn facts(seen: &Seen) -> Vec<String> {
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
        if !self.movement(action, seen.last()) {
            match action {
                Action::Search => self.prompt = Some(Prompt::search(self.last.as_ref())),
                Action::Goto => {
                    let names = seen.regions.iter().map(|region| (region.name.clone(), region.span.start)).collect();
                    self.prompt = Some(Prompt::goto(&seen, names, self.place.cursor));
                }
                Action::Next | Action::Previous | Action::Hits if self.found.is_none() => {
                    self.prompt = Some(Prompt::search(self.last.as_ref()));
                }
                Action::Next => self.visit_hit(1),
                Action::Previous => self.visit_hit(-1),
                Action::Hits => return Response::Taken(self.hits_list(&seen)),
                Action::Text => {
                    let text = whole_text(&seen, self.place.cursor);
                    return Response::act(Act::Open(Box::new(Reader::new("The text here", text))));
                }
                Action::Inspect => return self.inspect(&seen),
                Action::Strings => return Response::act(look(Look::Strings(seen))),
                Action::Store => return self.through(Lens::Store),
                Action::Code => return self.through(Lens::Code),
                Action::Regions => return Response::act(Act::Open(Box::new(regions(&seen, self.place.cursor)))),
                Action::Facts => {
                    let reader = Reader::new(seen.file.name.clone(), facts(&seen));
                    return Response::act(Act::Open(Box::new(reader)));
                }
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
            Done::Loaded(Target::Dump, Ok(_)) | Done::Saved { .. } => self.reset(cx),
            Done::Looked(Looked::Found(search, found)) if same(&search.seen) => return self.take(search, found),
            Done::Looked(Looked::Through(file, lens, seen)) if current(file) => match seen {
                Some(seen) => self.see(Arc::clone(seen)),
                None => return vec![Act::Say(format!("{} is not in this file", lens.name()))],
            },
            Done::Looked(Looked::Strings(seen, texts)) if same(seen) => {
                return vec![Act::Open(Box::new(strings_list(seen, texts, self.place.cursor)))];
            }
            _ => {}
        }
        Vec::new()
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

impl Dump {
    fn hits_list(&self, seen: &Arc<Seen>) -> Vec<Act> {
        let Some(found) = &self.found else { return Vec::new() };
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
        vec![Act::Open(Box::new(JumpList::new(title, found.hits.offsets.len(), row, line, pick)))]
    }
}

/// The text at a place, for the reader.
fn whole_text(seen: &Seen, at: u32) -> Vec<String> {
    match pane::text_at(seen, at) {
        Some(text) => vec![text.title, String::new(), text.text],
        None => vec![format!("There is no text at 0x{:06X}.", seen.address(at))],
    }
}

fn regions(seen: &Seen, cursor: u32) -> Choose {
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

fn strings_list(seen: &Arc<Seen>, texts: &Arc<[strings::Text]>, cursor: u32) -> JumpList {
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
