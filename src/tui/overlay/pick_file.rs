//! Choosing a file: name, size, and what it is by its content. Typing filters; a path can be typed or pasted too.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{Overlay, window};
use crate::problem::Problem;
use crate::tui::effect::{Act, Response, Task};
use crate::tui::glyph;
use crate::tui::keys;
use crate::tui::msg::{Done, FolderEntry, Target};
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::sheet::{Sheet, cut, cut_front};
use crate::units::size_text;

/// The picker.
pub struct PickFile {
    target: Target,
    folder: PathBuf,
    entries: Option<Result<Vec<FolderEntry>, Problem>>,
    /// What files are, by name, as far as they were looked at.
    about: BTreeMap<String, String>,
    filter: Field,
    row: usize,
    page: Cell<usize>,
}

impl PickFile {
    /// A picker that starts in `folder`, and the act that opens it.
    pub fn open(target: Target, folder: &Path) -> Vec<Act> {
        let picker = Self {
            target,
            folder: folder.to_path_buf(),
            entries: None,
            about: BTreeMap::new(),
            filter: Field::default(),
            row: 0,
            page: Cell::new(1),
        };
        vec![Act::Open(Box::new(picker)), Act::work(Task::List(folder.to_path_buf()))]
    }

    fn shown(&self) -> Vec<&FolderEntry> {
        let wanted = self.filter.text().to_lowercase();
        let Some(Ok(entries)) = &self.entries else { return Vec::new() };
        entries.iter().filter(|entry| entry.name.to_lowercase().contains(&wanted)).collect()
    }

    /// The path that was typed, when what was typed is one.
    fn typed_path(&self) -> Option<PathBuf> {
        let text = self.filter.text();
        if let Some(rest) = text.strip_prefix("~/") {
            let home = directories::BaseDirs::new()?;
            return Some(home.home_dir().join(rest));
        }
        text.contains('/').then(|| self.folder.join(text))
    }

    fn enter_folder(&mut self, folder: PathBuf) -> Response {
        self.folder = folder.clone();
        self.entries = None;
        self.about.clear();
        self.filter.clear();
        self.row = 0;
        Response::act(Act::work(Task::List(folder)))
    }

    fn up(&mut self) -> Response {
        match self.folder.parent().map(Path::to_path_buf) {
            Some(parent) => self.enter_folder(parent),
            None => Response::nothing(),
        }
    }

    fn choose(&mut self) -> Response {
        if let Some(path) = self.typed_path() {
            // Looking at the file system takes a moment on a slow card; a folder is told by its trailing slash.
            return if self.filter.text().ends_with('/') { self.enter_folder(path) } else { self.load(path) };
        }
        let row = self.row;
        match self.shown().get(row).map(|entry| (entry.name.clone(), entry.folder)) {
            Some((name, true)) => {
                let folder = self.folder.join(name);
                self.enter_folder(folder)
            }
            Some((name, false)) => {
                let path = self.folder.join(name);
                self.load(path)
            }
            None => Response::nothing(),
        }
    }

    fn load(&self, path: PathBuf) -> Response {
        Response::Taken(vec![Act::Close, Act::Folder(self.folder.clone()), Act::work(Task::Load(self.target, path))])
    }

    /// Asks what the next file on the screen is that nobody looked at yet, the current one first.
    fn next_peek(&self) -> Vec<Act> {
        let shown = self.shown();
        let from_row = shown.iter().skip(self.row).chain(shown.iter());
        let unknown = from_row.into_iter().find(|entry| !entry.folder && !self.about.contains_key(&entry.name));
        unknown.map(|entry| Act::work(Task::Peek(self.folder.join(&entry.name)))).into_iter().collect()
    }
}

impl Overlay for PickFile {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        let last = self.shown().len().saturating_sub(1);
        let page = self.page.get().max(1);
        match key.code {
            KeyCode::Esc if self.filter.text().is_empty() => return Response::act(Act::Close),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up => self.row = self.row.saturating_sub(1),
            KeyCode::Down => self.row = (self.row + 1).min(last),
            KeyCode::PageUp => self.row = self.row.saturating_sub(page),
            KeyCode::PageDown => self.row = (self.row + page).min(last),
            KeyCode::Left if self.filter.text().is_empty() => return self.up(),
            KeyCode::Backspace if self.filter.text().is_empty() => return self.up(),
            _ if keys::is(&key, "enter") => return self.choose(),
            _ if self.filter.key(&key) => self.row = 0,
            _ => {}
        }
        Response::nothing()
    }

    fn paste(&mut self, text: &str) {
        self.filter.paste(text);
        self.row = 0;
    }

    fn done(&mut self, done: &Done, _cx: &Shared) -> Vec<Act> {
        match done {
            Done::Listed(folder, entries) if *folder == self.folder => {
                self.entries = Some(entries.clone());
                self.next_peek()
            }
            Done::Peeked(path, about) if path.parent() == Some(&self.folder) => {
                if let Some(name) = path.file_name() {
                    self.about.insert(name.to_string_lossy().into_owned(), about.clone());
                }
                self.next_peek()
            }
            _ => Vec::new(),
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let title = match self.target {
            Target::Dump => "Open a file",
            Target::Image => "Choose an image",
            Target::Second => "Compare with which file?",
            Target::Template => "Check which template?",
            Target::List => "Which list of devices?",
        };
        let inside = window(title, area.width.min(110), area.height.saturating_sub(4).min(34), area, buf, cx);
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        sheet.line(Role::Dim, cut_front(&self.folder.display().to_string(), inside.width));
        let rows = usize::from(inside.height.saturating_sub(3));
        self.page.set(rows);
        match &self.entries {
            None => {
                sheet.line(Role::Dim, "looking …");
            }
            Some(Err(problem)) => {
                sheet.paragraph(Role::Danger, 0, &problem.what).paragraph(Role::Overlay, 0, &problem.remedy);
            }
            Some(Ok(_)) => {
                let shown = self.shown();
                let longest = shown.iter().map(|entry| entry.name.width() as u16 + 1).max().unwrap_or(0);
                let name_width = longest.clamp(12, (inside.width / 2).max(12));
                let first = self.row.saturating_sub(rows.saturating_sub(1));
                for (number, entry) in shown.iter().enumerate().skip(first).take(rows) {
                    let here = number == self.row;
                    let role = if here { Role::Selected } else { Role::Overlay };
                    let name = if entry.folder { format!("{}/", entry.name) } else { entry.name.clone() };
                    sheet.put(role, if here { glyph::HERE } else { " " }).put(role, " ");
                    sheet.put(role, cut(&name, name_width)).to(name_width + 3);
                    if !entry.folder {
                        let about = self.about.get(&entry.name).map_or("…", String::as_str);
                        sheet.put(Role::Dim, format!("{:>9}", size_text(entry.size))).put(Role::Overlay, "  ");
                        sheet.put(Role::Overlay, about);
                    }
                    sheet.end();
                }
                if shown.is_empty() && self.typed_path().is_none() {
                    sheet.line(Role::Dim, "nothing here has this in its name");
                }
            }
        }
        let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
        if self.filter.text().is_empty() {
            let mut sheet = Sheet::new(bottom, buf, &cx.theme);
            for (key, name) in [("Enter", "open"), ("←", "folder above"), ("Esc", "back")] {
                sheet.put(Role::Key, key).put(Role::Overlay, format!(" {name}   "));
            }
            sheet.put(Role::Overlay, "type to filter, or a path");
        } else {
            self.filter.render(bottom, buf, &cx.theme);
        }
    }
}
