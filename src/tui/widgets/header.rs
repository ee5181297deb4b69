//! The two lines above every tab: what chip, over what link, is there a backup, is it locked; tabs and journey.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::sheet::{Sheet, cut};
use crate::job::Range;
use crate::link::WireKind;
use crate::session::LinkState;
use crate::tui::glyph;
use crate::tui::shared::{BackupState, Shared, Step};
use crate::tui::theme::Role;
use crate::units::{Verdict, clock_text};

/// The chip with the symbol of its verdict.
fn chip(cx: &Shared) -> (String, Role) {
    match cx.session.identity.as_deref() {
        None => ("chip unknown".to_owned(), Role::Dim),
        Some(identity) => {
            let (symbol, role) = glyph::verdict(identity.verdict);
            let name = identity.chip.map_or("chip unknown", |chip| chip.name());
            (format!("{name} {symbol}"), role)
        }
    }
}

/// A speed with the unit of its wire.
pub fn speed_text(wire: WireKind, speed: u32) -> String {
    match wire {
        WireKind::Spi => clock_text(speed),
        WireKind::Uart => format!("{speed} baud"),
    }
}

fn link(cx: &Shared) -> (String, Role) {
    match &cx.session.link {
        LinkState::Closed => ("no link".to_owned(), Role::Dim),
        LinkState::Opening(name) => (format!("opening {name}"), Role::Warn),
        LinkState::Open { info, speed } => (format!("{} · {}", info.name, speed_text(info.wire, *speed)), Role::Text),
        LinkState::Away { left, .. } => (format!("link away, {} s left", left.as_secs()), Role::Warn),
        LinkState::Lost(_) => (format!("link lost {}", glyph::FAILED), Role::Danger),
    }
}

/// Backup state in a few words.
pub fn backup(cx: &Shared) -> (String, Role) {
    match &cx.backup {
        BackupState::Unknown => ("backup unknown".to_owned(), Role::Dim),
        BackupState::None => (format!("backup none {}", glyph::FAILED), Role::Warn),
        BackupState::Unproven { .. } => (format!("backup {}", Verdict::Unsure.word()), Role::Warn),
        BackupState::Proven(backup) => (format!("backup {} {}", glyph::PROVEN, backup.when), Role::Ok),
    }
}

/// Protection state in a few words.
pub fn protection(cx: &Shared) -> (String, Role) {
    let Some(protection) = cx.session.protection.as_deref() else {
        return ("lock unknown".to_owned(), Role::Dim);
    };
    match protection.range {
        Range::Open => (format!("open {}", glyph::PROVEN), Role::Ok),
        Range::Protected(_) => (format!("locked {}", glyph::FAILED), Role::Warn),
        Range::Unknown => ("lock unknown".to_owned(), Role::Warn),
        Range::Unreadable => ("lock unreadable".to_owned(), Role::Dim),
    }
}

/// Draws both lines into the first two rows of `area`. `tabs` are the titles, `active` the one shown.
pub fn render(tabs: &[&str], active: usize, cx: &Shared, area: Rect, buf: &mut Buffer) {
    let mut sheet = Sheet::new(area, buf, &cx.theme);
    let parts = [chip(cx), link(cx), backup(cx), protection(cx)];
    let lead = if area.width >= 76 { " bkbench  " } else { " " };
    sheet.put(Role::Strong, lead);
    // Fixed places, so that the eye finds them; a text that is longer pushes the next one right.
    let room = sheet.width().saturating_sub(sheet.column());
    let shares: [u16; 4] = [18, 36, 28, 18];
    let start = sheet.column();
    let mut at = start;
    let mut behind: u16 = parts.iter().map(|(text, _)| text.width() as u16 + 1).sum();
    for ((text, role), share) in parts.into_iter().zip(shares) {
        behind -= text.width() as u16 + 1;
        let most = sheet.width().saturating_sub(sheet.column() + behind).max(6);
        if sheet.column() < at {
            sheet.to(at.min(sheet.width().saturating_sub(text.width() as u16 + behind).max(sheet.column())));
        } else if sheet.column() > start {
            sheet.put(Role::Text, " ");
        }
        sheet.put(role, cut(&text, most));
        at += room * share / 100;
    }
    sheet.end();

    for (text, _, here) in tab_texts(tabs, active, area.width) {
        sheet.put(if here { Role::Tab } else { Role::Text }, text);
    }
    let dots: String = Step::ALL
        .iter()
        .map(|step| if cx.journey.reached(*step) { glyph::STEP_DONE } else { glyph::STEP_AHEAD })
        .collect();
    let start = area.width.saturating_sub(Step::ALL.len() as u16 + 1);
    if sheet.column() < start {
        sheet.to(start).put(Role::Ok, dots);
    }
}

/// The tabs as written: text, first column, whether it is the active one.
fn tab_texts(tabs: &[&str], active: usize, width: u16) -> Vec<(String, u16, bool)> {
    let gap = if width >= 72 { " " } else { "" };
    let mut at = 0;
    tabs.iter()
        .enumerate()
        .map(|(index, title)| {
            let here = index == active;
            let title = if here || width >= 60 { *title } else { "" };
            let text = if title.is_empty() {
                format!(" {} ", index + 1)
            } else if here {
                format!("[{} {title}]{gap}", index + 1)
            } else {
                format!(" {} {title} {gap}", index + 1)
            };
            let start = at;
            at += text.width() as u16;
            (text, start, here)
        })
        .collect()
}

/// The tab under a column of the second row, for the mouse.
pub fn tab_at(tabs: &[&str], active: usize, width: u16, column: u16) -> Option<usize> {
    let texts = tab_texts(tabs, active, width);
    texts.iter().position(|(text, start, _)| (*start..*start + text.width() as u16).contains(&column))
}
