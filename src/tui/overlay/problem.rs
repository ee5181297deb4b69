//! A failure: what happened, the likely cause, what to do, and its code.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::problem::Problem;
use crate::tui::effect::{Act, Response};
use crate::tui::glyph;
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::sheet::{Sheet, wrap};

/// A failure on the screen.
pub struct ProblemBox {
    title: String,
    problem: Problem,
    /// What was seen on the way is shown too.
    told: bool,
    top: usize,
}

impl ProblemBox {
    /// A failure of `what was tried`.
    pub fn new(title: impl Into<String>, problem: Problem) -> Self {
        Self { title: title.into(), problem, told: false, top: 0 }
    }

    fn lines(&self, width: u16) -> Vec<(Role, &'static str, String)> {
        let parts = [
            (Role::Strong, "", &self.problem.what),
            (Role::Overlay, "cause", &self.problem.cause),
            (Role::Overlay, "remedy", &self.problem.remedy),
        ];
        let mut lines = Vec::new();
        for (role, label, text) in parts {
            let indent = if label.is_empty() { 0 } else { 8 };
            for (number, line) in wrap(text, width.saturating_sub(indent)).into_iter().enumerate() {
                lines.push((role, if number == 0 { label } else { "" }, line));
            }
            lines.push((Role::Overlay, "", String::new()));
        }
        let details = if self.told { &*self.problem.details } else { &[] };
        for (number, detail) in details.iter().enumerate() {
            for (row, line) in wrap(detail, width.saturating_sub(8)).into_iter().enumerate() {
                lines.push((Role::Dim, if number + row == 0 { "seen" } else { "" }, line));
            }
        }
        lines
    }
}

impl Overlay for ProblemBox {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        if ["esc", "enter", "q", "space"].iter().any(|name| keys::is(&key, name)) {
            return Response::act(Act::Close);
        }
        if keys::is(&key, "d") {
            self.told = !self.told;
        } else if keys::is(&key, "down") || keys::is(&key, "j") {
            self.top += 1;
        } else if keys::is(&key, "up") || keys::is(&key, "k") {
            self.top = self.top.saturating_sub(1);
        }
        Response::nothing()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let width = 66.min(area.width.saturating_sub(4));
        let lines = self.lines(width);
        let title = format!("{} {} {}", glyph::FAILED, self.problem.code, self.title);
        let inside = window(&title, width, lines.len() as u16 + 1, area, buf, cx);
        let rows = usize::from(inside.height.saturating_sub(1));
        let top = self.top.min(lines.len().saturating_sub(rows));
        let label_column = if width >= 40 { 8 } else { 0 };
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        let mut indented = false;
        for (number, (role, label, text)) in lines.iter().enumerate() {
            indented = (indented || !label.is_empty()) && !(text.is_empty() && label.is_empty());
            if number < top || number >= top + rows {
                continue;
            }
            if !label.is_empty() {
                sheet.put(Role::Dim, *label);
            }
            if indented {
                sheet.to(label_column);
            }
            sheet.line(*role, text);
        }
        let bottom = Rect { y: inside.bottom().saturating_sub(1), height: 1, ..inside };
        let mut sheet = Sheet::new(bottom, buf, &cx.theme);
        sheet.put(Role::Key, "Esc").put(Role::Overlay, " back");
        if !self.problem.details.is_empty() {
            sheet.put(Role::Key, "   d").put(Role::Overlay, " details");
        }
        if lines.len() > rows + top {
            sheet.put(Role::Dim, "   ↓ more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Class;

    #[test]
    fn all_four_texts_are_on_the_screen() {
        let problem = Problem::new(Class::NoDevice, "E210", "what happened", "why it did", "what to do");
        let lines = ProblemBox::new("connect", problem).lines(60);
        let text: Vec<String> = lines.iter().map(|(_, label, text)| format!("{label} {text}")).collect();
        assert_eq!(text[0].trim(), "what happened");
        assert!(text.contains(&"cause why it did".to_owned()));
        assert!(text.contains(&"remedy what to do".to_owned()));
    }

    #[test]
    fn what_was_seen_on_the_way_is_there_on_request() {
        let problem = Problem::new(Class::NoDevice, "E210", "what", "why", "do").with_details(vec!["try 1".to_owned()]);
        let mut shown = ProblemBox::new("connect", problem);
        let has = |shown: &ProblemBox| shown.lines(60).iter().any(|(_, _, text)| text == "try 1");
        assert!(!has(&shown));
        shown.told = true;
        assert!(has(&shown));
    }
}
