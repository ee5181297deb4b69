//! A list to choose one thing from, filtered by typing.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response};
use crate::tui::glyph;
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::sheet::Sheet;

/// A list of lines, and what choosing one does.
pub struct Choose {
    title: &'static str,
    rows: Vec<String>,
    pick: Box<dyn Fn(usize) -> Act>,
    filter: Field,
    row: usize,
}

impl Choose {
    /// A list; `pick` is given the index of the line chosen. `row` is where the cursor starts.
    pub fn new(title: &'static str, rows: Vec<String>, row: usize, pick: impl Fn(usize) -> Act + 'static) -> Self {
        Self { title, rows, pick: Box::new(pick), filter: Field::default(), row }
    }

    fn shown(&self) -> Vec<usize> {
        let wanted = self.filter.text().to_lowercase();
        (0..self.rows.len()).filter(|index| self.rows[*index].to_lowercase().contains(&wanted)).collect()
    }
}

impl Overlay for Choose {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        let shown = self.shown();
        let last = shown.len().saturating_sub(1);
        match key.code {
            KeyCode::Esc => return Response::act(Act::Close),
            KeyCode::Up => self.row = self.row.min(last).saturating_sub(1),
            KeyCode::Down => self.row = (self.row + 1).min(last),
            KeyCode::PageUp => self.row = self.row.saturating_sub(10),
            KeyCode::PageDown => self.row = (self.row + 10).min(last),
            KeyCode::Enter if keys::is(&key, "enter") => {
                return match shown.get(self.row.min(last)) {
                    Some(index) => Response::Taken(vec![Act::Close, (self.pick)(*index)]),
                    None => Response::nothing(),
                };
            }
            _ if self.filter.key(&key) => self.row = 0,
            _ => {}
        }
        Response::nothing()
    }

    fn paste(&mut self, text: &str) {
        self.filter.paste(text);
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let shown = self.shown();
        let width = self.rows.iter().map(|line| line.width() as u16 + 4).max().unwrap_or(0).max(44);
        let inside = window(self.title, width, self.rows.len() as u16 + 2, area, buf, cx);
        let list_rows = usize::from(inside.height.saturating_sub(2));
        let row = self.row.min(shown.len().saturating_sub(1));
        let first = row.saturating_sub(list_rows.saturating_sub(1));
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        for (number, index) in shown.iter().enumerate().skip(first).take(list_rows) {
            let Some(line) = self.rows.get(*index) else { continue };
            if number == row {
                sheet.put(Role::Selected, glyph::HERE).put(Role::Selected, format!(" {line} ")).end();
            } else {
                sheet.put(Role::Overlay, "  ").line(Role::Overlay, line);
            }
        }
        if shown.is_empty() {
            sheet.line(Role::Dim, "  nothing has this in its name");
        }
        let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
        let mut line = Sheet::new(bottom, buf, &cx.theme);
        if self.filter.text().is_empty() {
            line.put(Role::Key, "↑↓")
                .put(Role::Overlay, " move   ")
                .put(Role::Key, "Enter")
                .put(Role::Overlay, " choose   ");
            line.put(Role::Key, "Esc").put(Role::Overlay, " back   type to filter");
        } else {
            self.filter.render(bottom, buf, &cx.theme);
        }
    }
}
