//! A long text to scroll through: evidence, the string around a hit, a plan.

use std::cell::Cell;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response};
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::sheet::{Sheet, wrap};

/// A text with a title.
pub struct Reader {
    title: String,
    text: Vec<String>,
    top: usize,
    /// Lines and rows as last drawn, for the end of the scroll.
    drawn: Cell<(usize, usize)>,
}

impl Reader {
    /// Shows `text`, one entry a line; long lines are broken.
    pub fn new(title: impl Into<String>, text: Vec<String>) -> Self {
        Self { title: title.into(), text, top: 0, drawn: Cell::new((0, 1)) }
    }
}

impl Overlay for Reader {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        let (lines, rows) = self.drawn.get();
        let last = lines.saturating_sub(rows);
        let is = |names: &[&str]| names.iter().any(|name| keys::is(&key, name));
        if is(&["esc", "q", "enter"]) {
            return Response::act(Act::Close);
        }
        if is(&["down", "j"]) {
            self.top = (self.top + 1).min(last);
        } else if is(&["up", "k"]) {
            self.top = self.top.saturating_sub(1);
        } else if is(&["pgdn", "space"]) {
            self.top = (self.top + rows).min(last);
        } else if is(&["pgup"]) {
            self.top = self.top.saturating_sub(rows);
        } else if is(&["home", "g"]) {
            self.top = 0;
        } else if is(&["end", "G"]) {
            self.top = last;
        }
        Response::nothing()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let width = area.width.saturating_sub(8).min(110);
        let lines: Vec<String> = self.text.iter().flat_map(|line| wrap(line, width)).collect();
        let inside = window(&self.title, width, lines.len() as u16 + 2, area, buf, cx);
        let rows = usize::from(inside.height.saturating_sub(2)).max(1);
        self.drawn.set((lines.len(), rows));
        let top = self.top.min(lines.len().saturating_sub(rows));
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        for line in lines.iter().skip(top).take(rows) {
            sheet.line(Role::Overlay, line);
        }
        sheet.down_to(inside.height.saturating_sub(1));
        sheet.put(Role::Key, "↑↓").put(Role::Overlay, " scroll   ").put(Role::Key, "Esc").put(Role::Overlay, " back");
        if lines.len() > rows {
            sheet.put(Role::Dim, format!("   {}–{} of {}", top + 1, (top + rows).min(lines.len()), lines.len()));
        }
    }
}
