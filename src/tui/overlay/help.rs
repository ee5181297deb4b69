//! Every key of this place, from the tables that dispatch them.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response};
use crate::tui::keys::{self, KeyLine};
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::sheet::{Sheet, wrap};

/// What the symbols mean; the words are fixed.
const LEGEND: &str = "✔ proven   ~ likely   ? unsure   · not checked   ✘ failed   ▶ here";

/// Columns of the keys.
const KEYS_WIDTH: u16 = 13;

/// The help of one tab and of the whole program.
pub struct Help {
    title: String,
    lines: Vec<KeyLine>,
    top: usize,
    filter: Option<Field>,
}

impl Help {
    /// The help for a tab: its own keys first.
    pub fn new(tab: &str, own: Vec<KeyLine>, everywhere: Vec<KeyLine>) -> Self {
        let lines = own.into_iter().chain(everywhere).collect();
        Self { title: format!("Help: {tab}"), lines, top: 0, filter: None }
    }

    fn shown(&self) -> Vec<&KeyLine> {
        let wanted = self.filter.as_ref().map(|field| field.text().to_lowercase()).unwrap_or_default();
        let fits =
            |line: &&KeyLine| format!("{} {} {}", line.keys, line.name, line.help).to_lowercase().contains(&wanted);
        self.lines.iter().filter(fits).collect()
    }
}

impl Overlay for Help {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        let last = self.shown().len().saturating_sub(1);
        match key.code {
            KeyCode::Esc if self.filter.is_some() => self.filter = None,
            KeyCode::Esc => return Response::act(Act::Close),
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::Down => self.top = (self.top + 1).min(last),
            KeyCode::PageUp => self.top = self.top.saturating_sub(10),
            KeyCode::PageDown => self.top = (self.top + 10).min(last),
            _ => match &mut self.filter {
                Some(field) => {
                    field.key(&key);
                    self.top = 0;
                }
                None if keys::is(&key, "/") => self.filter = Some(Field::default()),
                None if keys::is(&key, "?") || keys::is(&key, "q") => return Response::act(Act::Close),
                None => {}
            },
        }
        Response::nothing()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let widest = self.lines.iter().map(|line| line.help.width() as u16).max().unwrap_or(0);
        let inside = window(&self.title, widest + KEYS_WIDTH + 1, self.lines.len() as u16 + 3, area, buf, cx);
        let rows = usize::from(inside.height.saturating_sub(3));
        let shown: Vec<(&str, String)> = self
            .shown()
            .into_iter()
            .flat_map(|line| {
                let help = wrap(line.help, inside.width.saturating_sub(KEYS_WIDTH));
                help.into_iter()
                    .enumerate()
                    .map(|(number, text)| (if number == 0 { line.keys.as_str() } else { "" }, text))
            })
            .collect();
        let top = self.top.min(shown.len().saturating_sub(rows));
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        for (keys, help) in shown.iter().skip(top).take(rows) {
            sheet.put(Role::Key, keys).to(KEYS_WIDTH).line(Role::Overlay, help);
        }
        let bottom = Rect { y: inside.bottom().saturating_sub(2), height: 2.min(inside.height), ..inside };
        let mut sheet = Sheet::new(bottom, buf, &cx.theme);
        sheet.line(Role::Dim, LEGEND);
        match &self.filter {
            Some(field) => {
                sheet.put(Role::Key, "/");
                let place = Rect { x: bottom.x + 1, width: bottom.width.saturating_sub(1), ..sheet.rest() };
                field.render(place, sheet.buffer(), &cx.theme);
            }
            None => {
                let more = shown.len().saturating_sub(top + rows);
                let below = if more > 0 { format!("   ↓ {more} more") } else { String::new() };
                sheet
                    .put(Role::Key, "/")
                    .put(Role::Overlay, " filter   ")
                    .put(Role::Key, "Esc")
                    .put(Role::Overlay, " back");
                sheet.put(Role::Dim, below);
            }
        }
    }
}
