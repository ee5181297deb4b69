//! Leaving while a job runs: stay, or stop at the next safe point and leave.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::tui::effect::{Act, Effect, Response};
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::sheet::Sheet;

/// The question, with or without leaving afterwards.
pub struct Quit {
    leave: bool,
}

impl Quit {
    /// Asks before leaving.
    pub const fn leaving() -> Self {
        Self { leave: true }
    }

    /// Asks before stopping the running job.
    pub const fn stopping() -> Self {
        Self { leave: false }
    }
}

impl Overlay for Quit {
    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        let Some(job) = cx.session.job.as_ref() else {
            // The job ended while the question was on the screen.
            let leave = self.leave && keys::is(&key, "x");
            return Response::Taken(if leave { vec![Act::Close, Act::Effect(Effect::Quit)] } else { vec![Act::Close] });
        };
        if keys::is(&key, "x") {
            let stop = if self.leave { Act::Leave } else { Act::Effect(Effect::Cancel(job.id)) };
            return Response::Taken(vec![Act::Close, stop]);
        }
        if keys::is(&key, "s") || keys::is(&key, "esc") {
            return Response::act(Act::Close);
        }
        Response::nothing()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let Some(job) = cx.session.job.as_ref() else {
            let inside = window("The job has ended", 50, 3, area, buf, cx);
            let mut sheet = Sheet::new(inside, buf, &cx.theme);
            sheet.line(Role::Overlay, "There is nothing left to stop.").end();
            if self.leave {
                sheet.put(Role::Key, "x").put(Role::Overlay, " leave   ");
            }
            sheet.put(Role::Key, "Esc").put(Role::Overlay, " back");
            return;
        };
        let title = if self.leave { "Leave?" } else { "Stop?" };
        let inside = window(title, 62, 6, area, buf, cx);
        let mut sheet = Sheet::new(inside, buf, &cx.theme);
        sheet.put(Role::Strong, job.title).line(Role::Overlay, " is running.");
        let text = if job.changes_chip {
            "Stopping ends it at the next point that is safe for the chip; what every sector then holds is shown."
        } else {
            "It changes nothing on the chip; stopping loses only what was read so far."
        };
        sheet.paragraph(Role::Overlay, 0, text).end();
        let stop = if self.leave { " stop at the next safe point and leave" } else { " stop at the next safe point" };
        sheet.put(Role::Key, "s").put(Role::Overlay, " stay   ").put(Role::Key, "x").put(Role::Overlay, stop);
    }
}
