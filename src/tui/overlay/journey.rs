//! The way from six wires to a plug that runs other firmware, as a list.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response};
use crate::tui::glyph;
use crate::tui::keys;
use crate::tui::shared::{Shared, Step};
use crate::tui::theme::Role;
use crate::tui::widgets::sheet::Sheet;

/// The list.
pub struct JourneyList;

impl Overlay for JourneyList {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        if ["esc", "J", "q", "enter"].iter().any(|name| keys::is(&key, name)) {
            return Response::act(Act::Close);
        }
        Response::nothing()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let inside = window("The way", 60, Step::ALL.len() as u16 + 2, area, buf, cx);
        let next = cx.journey.next();
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        for step in Step::ALL {
            let (word, place) = step.words();
            let done = cx.journey.reached(step);
            let mark = if next == Some(step) { glyph::HERE } else { " " };
            sheet.put(Role::Overlay, mark).put(Role::Overlay, " ");
            sheet.put(if done { Role::Ok } else { Role::Dim }, if done { glyph::STEP_DONE } else { glyph::STEP_AHEAD });
            sheet.put(Role::Overlay, format!(" {word}")).to(18).line(Role::Dim, place);
        }
        sheet.end().put(Role::Key, "Esc").put(Role::Overlay, " back");
    }
}
