//! A long list of places in a file to jump to: hits, texts, differences. Rows are made when they are drawn, because
//! there may be very many.

use std::cell::Cell;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response};
use crate::tui::glyph;
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::sheet::Sheet;

/// Makes row `index`.
type Row = Box<dyn Fn(usize) -> String>;
/// Whether row `index` holds a text, given in lower case.
type Fits = Box<dyn Fn(usize, &str) -> bool>;

/// The list.
pub struct JumpList {
    title: String,
    count: usize,
    line: Row,
    pick: Box<dyn Fn(usize) -> Vec<Act>>,
    /// Asked about every row when the filter changes; lists without it cannot be filtered.
    fits: Option<Fits>,
    filter: Field,
    /// Rows that pass the filter, while there is one.
    shown: Option<Vec<u32>>,
    row: usize,
    page: Cell<usize>,
    /// What Enter does.
    verb: &'static str,
}

impl JumpList {
    /// A list of `count` rows with the cursor at `row`; `line` makes a row, `pick` says what choosing it does.
    pub fn new(
        title: impl Into<String>,
        count: usize,
        row: usize,
        line: impl Fn(usize) -> String + 'static,
        pick: impl Fn(usize) -> Vec<Act> + 'static,
    ) -> Self {
        Self {
            title: title.into(),
            count,
            line: Box::new(line),
            pick: Box::new(pick),
            fits: None,
            filter: Field::default(),
            shown: None,
            row,
            page: Cell::new(1),
            verb: "go there",
        }
    }

    /// Lets typing narrow the list down to rows that hold a text.
    pub fn filtered(mut self, fits: impl Fn(usize, &str) -> bool + 'static) -> Self {
        self.fits = Some(Box::new(fits));
        self
    }

    /// Says what Enter does, where it does not go to a place.
    pub const fn verb(mut self, verb: &'static str) -> Self {
        self.verb = verb;
        self
    }

    fn rows(&self) -> usize {
        self.shown.as_ref().map_or(self.count, Vec::len)
    }

    fn index(&self, row: usize) -> Option<usize> {
        match &self.shown {
            Some(shown) => shown.get(row).map(|index| *index as usize),
            None => (row < self.count).then_some(row),
        }
    }

    fn refilter(&mut self, before: &str) {
        let Some(fits) = &self.fits else { return };
        let wanted = self.filter.text().to_lowercase();
        let narrower = wanted.contains(before) && !before.is_empty();
        self.shown = match self.shown.take() {
            _ if wanted.is_empty() => None,
            // A longer filter lets nothing back in.
            Some(shown) if narrower => Some(shown.into_iter().filter(|index| fits(*index as usize, &wanted)).collect()),
            _ => Some((0..self.count as u32).filter(|index| fits(*index as usize, &wanted)).collect()),
        };
        self.row = 0;
    }
}

impl Overlay for JumpList {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        let last = self.rows().saturating_sub(1);
        let page = self.page.get().max(1);
        match key.code {
            KeyCode::Esc if !self.filter.text().is_empty() => {
                self.filter.clear();
                self.shown = None;
            }
            KeyCode::Esc => return Response::act(Act::Close),
            KeyCode::Up => self.row = self.row.min(last).saturating_sub(1),
            KeyCode::Down => self.row = (self.row + 1).min(last),
            KeyCode::PageUp => self.row = self.row.saturating_sub(page),
            KeyCode::PageDown => self.row = (self.row + page).min(last),
            KeyCode::Home => self.row = 0,
            KeyCode::End => self.row = last,
            _ if keys::is(&key, "enter") => {
                let picked = self.index(self.row).map(|index| (self.pick)(index));
                return Response::Taken(
                    picked.map_or_else(Vec::new, |acts| std::iter::once(Act::Close).chain(acts).collect()),
                );
            }
            _ if self.fits.is_some() => {
                let before = self.filter.text().to_lowercase();
                if self.filter.key(&key) && self.filter.text().to_lowercase() != before {
                    self.refilter(&before);
                }
            }
            _ => {}
        }
        Response::nothing()
    }

    fn paste(&mut self, text: &str) {
        if self.fits.is_some() {
            self.filter.paste(text);
            self.refilter("");
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let rows = self.rows();
        let width = area.width.saturating_sub(8).min(120);
        let inside = window(&self.title, width, (self.count as u16).saturating_add(2).min(40), area, buf, cx);
        let list_rows = usize::from(inside.height.saturating_sub(2));
        self.page.set(list_rows);
        let row = self.row.min(rows.saturating_sub(1));
        let first = row.saturating_sub(list_rows / 2).min(rows.saturating_sub(list_rows));
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        for number in first..(first + list_rows).min(rows) {
            let Some(index) = self.index(number) else { continue };
            let line = (self.line)(index);
            if number == row {
                sheet.put(Role::Selected, glyph::HERE).put(Role::Selected, format!(" {line} ")).end();
            } else {
                sheet.put(Role::Overlay, "  ").line(Role::Overlay, line);
            }
        }
        if rows == 0 {
            sheet.line(Role::Dim, "  nothing");
        }
        let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
        let count = if rows == 0 { String::new() } else { format!("{} of {rows}", row + 1) };
        if self.filter.text().is_empty() {
            let mut line = Sheet::new(bottom, buf, &cx.theme);
            line.put(Role::Key, "↑↓").put(Role::Overlay, " move   ");
            line.put(Role::Key, "Enter").put(Role::Overlay, format!(" {}   ", self.verb));
            line.put(Role::Key, "Esc").put(Role::Overlay, " back   ");
            if self.fits.is_some() {
                line.put(Role::Overlay, "type to filter   ");
            }
            line.put(Role::Dim, count);
        } else {
            let room = inside.width.saturating_sub(count.len() as u16 + 2);
            self.filter.render(Rect { width: room, ..bottom }, buf, &cx.theme);
            let right = Rect { x: bottom.x + room + 2, width: inside.width.saturating_sub(room + 2), ..bottom };
            Sheet::new(right, buf, &cx.theme).put(Role::Dim, count);
        }
    }
}
