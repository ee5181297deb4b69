//! A link that went away in the middle of a job: what to do, and how long the job waits.

use super::sheet::Sheet;
use crate::device::Level;
use crate::session::{LinkState, SessionView};
use crate::tui::glyph;
use crate::tui::theme::Role;

/// The one line for the foot of the screen; `None` while no job waits for its link.
pub fn line(session: &SessionView) -> Option<String> {
    let LinkState::Away { left, .. } = &session.link else { return None };
    let title = session.job.as_ref().map_or("job", |job| job.title);
    Some(format!("{title} waits for its cable, {} s left; Esc ends it", left.as_secs()))
}

/// Writes the notice where the job's progress stands; nothing while no job waits for its link.
pub fn notice(sheet: &mut Sheet<'_>, session: &SessionView) {
    let LinkState::Away { why, left, .. } = &session.link else { return };
    sheet.put(Role::Danger, glyph::FAILED).put(Role::Danger, " ").paragraph(Role::Danger, 2, why);
    let text = format!("Put the cable back: the job goes on by itself. {} s left; Esc ends it.", left.as_secs());
    sheet.paragraph(Role::Strong, 2, text);
    // The port may be back already, and the chip be waiting for a hand on its reset line.
    if let Some(asked) = session.log.back().filter(|line| line.level == Level::Ask) {
        sheet.paragraph(Role::Strong, 2, &asked.text);
    }
}
