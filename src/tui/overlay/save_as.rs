//! Asks for the name of a file and writes it; a file that is there already is never replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response, Task};
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::sheet::{Sheet, cut_front};

/// The question.
pub struct SaveAs {
    title: &'static str,
    folder: PathBuf,
    bytes: Arc<[u8]>,
    field: Field,
}

impl SaveAs {
    /// Asks where in or below `folder` to put `bytes`; `name` is what stands in the field at first.
    pub fn new(title: &'static str, folder: &Path, name: &str, bytes: Arc<[u8]>) -> Self {
        Self { title, folder: folder.to_path_buf(), bytes, field: Field::prefilled(name) }
    }

    fn path(&self) -> PathBuf {
        let text = self.field.text().trim();
        let home = text.strip_prefix("~/").and_then(|rest| Some(directories::BaseDirs::new()?.home_dir().join(rest)));
        home.unwrap_or_else(|| self.folder.join(text))
    }
}

impl Overlay for SaveAs {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        if keys::is(&key, "esc") {
            return Response::act(Act::Close);
        }
        if !keys::is(&key, "enter") {
            self.field.key(&key);
            return Response::nothing();
        }
        if self.field.text().trim().is_empty() {
            return Response::nothing();
        }
        let task = Task::WriteFile(self.path(), Arc::clone(&self.bytes));
        Response::Taken(vec![Act::Close, Act::work(task)])
    }

    fn paste(&mut self, text: &str) {
        self.field.paste(text);
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let width = 64.min(area.width.saturating_sub(4));
        let inside = window(self.title, width, 4, area, buf, cx);
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        sheet.line(Role::Dim, cut_front(&format!("in {}", self.folder.display()), inside.width));
        sheet.put(Role::Overlay, "> ");
        let place = Rect { x: inside.x + 2, width: inside.width.saturating_sub(2), ..sheet.rest() };
        self.field.render(place, sheet.buffer(), &cx.theme);
        sheet.end().end();
        sheet.put(Role::Key, "Enter").put(Role::Overlay, " write a new file   ");
        sheet.put(Role::Key, "Esc").put(Role::Overlay, " back");
    }
}
