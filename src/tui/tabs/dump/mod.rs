//! Tab 3: a file as hex and text, searched, with the text around each hit.

mod search;
mod view;

use std::cell::Cell;
use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::search::{Found, Prompt};
use super::{Tab, TabId};
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::msg::{Done, Target};
use crate::tui::overlay::{Choose, PickFile, Reader};
use crate::tui::shared::{OpenFile, Shared, Step};
use crate::units::size_text;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Search,
    Next,
    Previous,
    Goto,
    Text,
    Open,
    Backup,
    Regions,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Top,
    End,
    Facts,
    Clear,
}

const KEYS: &[Bind<Action>] = &[
    bind("/", "search", "Search text, hex, UTF-16 or a regular expression; starts with pin.", Action::Search),
    bind("n", "next", "Go to the next hit.", Action::Next),
    bind("N p", "previous", "Go to the previous hit.", Action::Previous),
    bind("t enter", "whole text", "Show the whole text around this place.", Action::Text),
    bind("g :", "go to", "Go to an address.", Action::Goto),
    bind("o", "open…", "Open a file: any dump or image.", Action::Open),
    bind("b", "backup", "Show the backup of the connected chip.", Action::Backup),
    bind("r", "regions…", "List what is where in this file, and go there.", Action::Regions),
    bind("i", "what it is", "What the content of this file says about it.", Action::Facts),
    bind("up k", "up", "One row up.", Action::Up),
    bind("down j", "down", "One row down.", Action::Down),
    bind("left", "left", "One byte back.", Action::Left),
    bind("right", "right", "One byte on.", Action::Right),
    bind("pgup", "page up", "One page up.", Action::PageUp),
    bind("pgdn space", "page down", "One page down.", Action::PageDown),
    bind("home", "start", "To the first byte.", Action::Top),
    bind("end G", "end", "To the last byte.", Action::End),
    bind("esc", "clear", "Forget the hits.", Action::Clear),
];

/// State of the tab.
#[derive(Default)]
pub struct Dump {
    cursor: u32,
    top: u32,
    found: Option<Found>,
    /// A search whose answer is awaited.
    searching: bool,
    prompt: Option<Prompt>,
    /// What was searched last, for the next prompt.
    last: Option<(String, search::How)>,
    /// Rows and bytes per row as last drawn.
    drawn: Cell<(u32, u32)>,
}

impl Dump {
    fn reset(&mut self) {
        let last = self.last.take();
        *self = Self { last, ..Self::default() };
    }

    fn page(&self) -> (u32, u32) {
        let (rows, per_row) = self.drawn.get();
        (rows.max(1), per_row.max(1))
    }

    /// Moves the cursor and scrolls as little as needed.
    fn move_to(&mut self, at: i64, file: &OpenFile) {
        let last = file.bytes.len().saturating_sub(1) as i64;
        self.cursor = at.clamp(0, last.max(0)) as u32;
        let (rows, per_row) = self.page();
        let row = self.cursor / per_row;
        let first = self.top / per_row;
        let first = if row < first {
            row
        } else if row >= first + rows {
            row + 1 - rows
        } else {
            first
        };
        self.top = first * per_row;
    }

    /// Moves the cursor to a place that was jumped to, with some rows above it.
    fn jump(&mut self, at: u32, file: &OpenFile) {
        let (rows, per_row) = self.page();
        self.cursor = at.min(file.bytes.len().saturating_sub(1) as u32);
        let row = self.cursor / per_row;
        let first = self.top / per_row;
        if row < first || row >= first + rows {
            self.top = row.saturating_sub(rows / 3) * per_row;
        }
    }

    fn visit_hit(&mut self, step: i64, file: &OpenFile) {
        let Some(found) = &mut self.found else { return };
        found.step(step, self.cursor);
        if let Some((at, _)) = found.here() {
            self.jump(at, file);
        }
    }

    fn prompt_key(&mut self, key: &KeyEvent, cx: &Shared) -> Response {
        let (Some(prompt), Some(file)) = (&mut self.prompt, &cx.dump) else {
            self.prompt = None;
            return Response::nothing();
        };
        match prompt.key(key) {
            search::Answer::Editing => Response::nothing(),
            search::Answer::Closed => {
                self.prompt = None;
                Response::nothing()
            }
            search::Answer::Goto(at) => {
                self.prompt = None;
                self.jump(at, file);
                Response::nothing()
            }
            search::Answer::Search { text, how, pattern } => {
                self.prompt = None;
                self.searching = true;
                self.last = Some((text.clone(), how));
                let search = crate::tui::msg::Search { file: Arc::clone(file), text, pattern };
                Response::act(Act::work(Task::Find(Arc::new(search))))
            }
        }
    }
}

/// What the content of a file says about it.
fn facts(file: &OpenFile) -> Vec<String> {
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
            (Some(_), None) => &[Action::Search, Action::Goto, Action::Regions, Action::Text, Action::Open],
            (Some(_), Some(_)) => &[Action::Next, Action::Previous, Action::Text, Action::Search, Action::Goto],
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
            return self.prompt_key(&key, cx);
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
        let Some(file) = cx.dump.clone() else {
            return if action == Action::Clear { Response::Ignored } else { Response::nothing() };
        };
        let (rows, per_row) = self.page();
        let (at, row) = (i64::from(self.cursor), i64::from(per_row));
        let page = row * i64::from(rows.saturating_sub(1).max(1));
        match action {
            Action::Up => self.move_to(at - row, &file),
            Action::Down => self.move_to(at + row, &file),
            Action::Left => self.move_to(at - 1, &file),
            Action::Right => self.move_to(at + 1, &file),
            Action::PageUp => self.move_to(at - page, &file),
            Action::PageDown => self.move_to(at + page, &file),
            Action::Top => self.move_to(0, &file),
            Action::End => self.move_to(i64::MAX, &file),
            Action::Search => self.prompt = Some(Prompt::search(self.last.as_ref())),
            Action::Goto => self.prompt = Some(Prompt::goto()),
            Action::Next | Action::Previous if self.found.is_none() => {
                self.prompt = Some(Prompt::search(self.last.as_ref()));
            }
            Action::Next => self.visit_hit(1, &file),
            Action::Previous => self.visit_hit(-1, &file),
            Action::Text => {
                let text = view::whole_text(&file, self.cursor);
                return Response::act(Act::Open(Box::new(Reader::new("The text here", text))));
            }
            Action::Regions => return Response::act(Act::Open(Box::new(regions(&file, self.cursor)))),
            Action::Facts => return Response::act(Act::Open(Box::new(Reader::new(file.name.clone(), facts(&file))))),
            Action::Clear if self.found.is_some() => self.found = None,
            Action::Clear => return Response::Ignored,
            Action::Open | Action::Backup => {}
        }
        Response::act(Act::Journey(Step::Read, true))
    }

    fn done(&mut self, done: &Done, cx: &Shared) -> Vec<Act> {
        match done {
            Done::Loaded(Target::Dump, Ok(_)) | Done::Saved { .. } => self.reset(),
            Done::Found(search, hits) => {
                let current = cx.dump.as_ref().is_some_and(|file| Arc::ptr_eq(file, &search.file));
                if current {
                    self.searching = false;
                    let found = Found::new(search, hits.clone(), self.cursor);
                    let none = found.here().is_none();
                    self.found = Some(found);
                    self.visit_hit(0, &search.file);
                    if none {
                        return vec![Act::Say(format!("{:?} is nowhere in this file", search.text))];
                    }
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn show(&mut self, at: u32, cx: &Shared) {
        if let Some(file) = &cx.dump {
            self.jump(at, file);
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        view::draw(self, area, buf, cx);
    }
}

fn regions(file: &OpenFile, cursor: u32) -> Choose {
    let lines = file.regions.iter().map(|region| {
        format!("0x{:06X}  {:>9}  {}", region.span.start, size_text(region.span.len.into()), region.name)
    });
    let row = file.regions.iter().position(|region| region.span.contains(cursor)).unwrap_or(0);
    let starts: Vec<u32> = file.regions.iter().map(|region| region.span.start).collect();
    Choose::new("Regions", lines.collect(), row, move |index| Act::Show(starts.get(index).copied().unwrap_or(0)))
}
