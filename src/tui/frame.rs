//! Drawing the whole window: header, tabs, the active tab, hints, status line, overlays.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::app::App;
use super::theme::Role;
use super::widgets::sheet::{Sheet, cut, split_rows};
use super::widgets::{away, gauge, header, log_pane};

/// Below this the screen only says so.
const LEAST: (u16, u16) = (40, 10);
/// From here on there is room for the log pane.
const ROOMY: (u16, u16) = (120, 36);

/// Whether a window of this size has room to spare.
pub const fn is_roomy(width: u16, height: u16) -> bool {
    width >= ROOMY.0 && height >= ROOMY.1
}

impl App {
    /// Draws everything.
    pub fn view(&self, area: Rect, buf: &mut Buffer) {
        let cx = &self.shared;
        buf.set_style(area, cx.theme.style(Role::Text));
        if area.width < LEAST.0 || area.height < LEAST.1 {
            self.too_small(area, buf);
            return;
        }
        let (head, rest) = split_rows(area, 2);
        let titles: Vec<&str> = self.tabs.iter().map(|tab| tab.title()).collect();
        header::render(&titles, self.active, cx, head, buf);
        // The rule goes first where rows are dear.
        let ruled = u16::from(area.height >= 20);
        let (line, rest) = split_rows(rest, ruled);
        Sheet::new(line, buf, &cx.theme).rule();
        let (body, foot) = split_rows(rest, rest.height.saturating_sub(2));
        let log_rows = if self.log_shown((area.width, area.height)) {
            (body.height / 4).clamp(4, 12).min(body.height / 2)
        } else {
            0
        };
        let (body, log) = split_rows(body, body.height - log_rows);
        let body = Rect { x: body.x + 1, width: body.width.saturating_sub(2), ..body };
        if let Some(tab) = self.tabs.get(self.active) {
            tab.view(body, buf, cx);
        }
        if log_rows > 0 {
            log_pane::render(
                &cx.session,
                0,
                Rect { x: log.x + 1, width: log.width.saturating_sub(2), ..log },
                buf,
                &cx.theme,
            );
        }
        self.foot(foot, buf);
        for overlay in &self.overlays {
            overlay.view(area, buf, cx);
        }
    }

    /// The keys that are useful now, and below them the newest log line or the running job.
    fn foot(&self, area: Rect, buf: &mut Buffer) {
        let cx = &self.shared;
        let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let (hints, status) = split_rows(area, 1);
        Sheet::new(hints, buf, &cx.theme).hints(&self.hints());

        let keys = [("l", "log"), ("?", "help"), ("q", "quit")];
        let width: u16 = keys.iter().map(|(key, name)| (key.width() + name.width() + 3) as u16).sum();
        let room = status.width.saturating_sub(width);
        let mut sheet = Sheet::new(status, buf, &cx.theme);
        let (role, text) = self.status();
        sheet.put(role, cut(&text, room.saturating_sub(1))).to(room);
        for (key, name) in keys {
            sheet.put(Role::Key, key).put(Role::Text, format!(" {name}")).put(Role::Text, "  ");
        }
    }

    fn status(&self) -> (Role, String) {
        let cx = &self.shared;
        if cx.leaving {
            return (Role::Warn, "leaving as soon as the chip is at a safe point …".to_owned());
        }
        if let Some(said) = &self.said {
            return (Role::Strong, said.clone());
        }
        if let Some(waits) = away::line(&cx.session) {
            return (Role::Warn, waits);
        }
        if let Some(job) = &cx.session.job {
            let phase = job.phase.as_ref();
            let numbers = phase.map(|phase| format!("{}  {}", phase.phase.word(), gauge::numbers(job, phase)));
            return (Role::Text, format!("{} · {}", job.title, numbers.unwrap_or_default()));
        }
        match self.newest() {
            Some(line) => (log_pane::role(line.level), format!("{} {}", log_pane::stamp(line), line.text)),
            None => (Role::Dim, "nothing happened yet".to_owned()),
        }
    }

    fn too_small(&self, area: Rect, buf: &mut Buffer) {
        let mut sheet = Sheet::new(area, buf, &self.shared.theme);
        if let Some(job) = &self.shared.session.job {
            let share = job.phase.as_ref().filter(|phase| phase.total > 0).map(|phase| phase.share() * 100.0);
            let percent = share.map(|share| format!(" {share:.0} %")).unwrap_or_default();
            let phase = job.phase.as_ref().map_or("", |phase| phase.phase.word());
            sheet.line(Role::Strong, format!("{} {phase}{percent}", job.title));
        } else {
            sheet.line(Role::Strong, "bkbench");
        }
        sheet.paragraph(Role::Text, 0, format!("Please enlarge the window to {}×{} or more.", LEAST.0, LEAST.1));
        sheet.paragraph(Role::Dim, 0, "Nothing is lost; a job goes on.");
    }
}
