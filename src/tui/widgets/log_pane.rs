//! The newest log lines, the last one at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::sheet::Sheet;
use crate::device::Level;
use crate::session::{LogLine, SessionView};
use crate::tui::theme::{Role, Theme};

/// Time of a log line: minutes, seconds and tenths since the program began.
pub fn stamp(line: &LogLine) -> String {
    let tenths = line.at.as_millis() / 100;
    format!("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

/// The role of a level.
pub const fn role(level: Level) -> Role {
    match level {
        Level::Info => Role::Text,
        Level::Warning | Level::Ask => Role::Warn,
        Level::Error => Role::Danger,
    }
}

/// The mark before a line that deserves a look; the colour alone would not do.
const fn mark(level: Level) -> &'static str {
    match level {
        Level::Info => " ",
        Level::Warning => "!",
        Level::Error => "✘",
        Level::Ask => "»",
    }
}

/// Draws the pane under a rule. `back` is how many lines it is scrolled back.
pub fn render(view: &SessionView, back: usize, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut sheet = Sheet::new(area, buf, theme);
    sheet.rule();
    let rows = usize::from(sheet.rows_left());
    let end = view.log.len().saturating_sub(back).max(rows.min(view.log.len()));
    let start = end.saturating_sub(rows);
    for line in view.log.range(start..end) {
        sheet.put(Role::Dim, stamp(line)).put(role(line.level), format!(" {} ", mark(line.level)));
        sheet.line(role(line.level), &line.text);
    }
}
