//! Tab 4: the status registers bit by bit, what they protect, and changing it.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Tab, TabId};
use crate::chip::{Part, part_named};
use crate::codec::nor::{StatusBytes, StatusChange, StatusRefusal};
use crate::job::{JobSpec, Outcome, ProtectGoal, Protection, Range, RegisterBits};
use crate::session::{Event, LinkState, What};
use crate::tui::effect::{Act, Response};
use crate::tui::glyph;
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::overlay::Confirm;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::chip_bar;
use crate::tui::widgets::gauge;
use crate::tui::widgets::sheet::{Sheet, split_rows};
use crate::units::{Span, size_text};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Unlock,
    Lock,
    Restore,
    Read,
}

const KEYS: &[Bind<Action>] = &[
    bind("u", "unlock…", "Take all write protection away; asks first.", Action::Unlock),
    bind("o", "lock…", "Protect as the factory firmware does at each start; asks first.", Action::Lock),
    bind(
        "z",
        "put back…",
        "Put back the protection found at the start, or recorded in the backup; asks first.",
        Action::Restore,
    ),
    bind("r enter", "read again", "Read the status registers again.", Action::Read),
];

/// State of the tab.
#[derive(Default)]
pub struct Protect {
    /// The last change: before and after.
    change: Option<(Arc<Protection>, Arc<Protection>)>,
}

/// What the registers were before anything was changed: as read at the start of this connection, else as the backup
/// has them.
fn earlier(cx: &Shared) -> Option<(StatusBytes, &'static str)> {
    let recorded = cx.backup.proven().and_then(|known| known.status).map(|status| (status, "recorded in the backup"));
    let first = cx.session.protection_before.as_deref().and_then(|protection| protection.status);
    recorded.or_else(|| first.map(|status| (status, "found when connecting")))
}

/// What a change would write, as the part's table has it.
fn preview(goal: ProtectGoal, part: &Part, now: StatusBytes) -> Result<Option<StatusChange>, StatusRefusal> {
    match goal {
        ProtectGoal::Off => part.open(now),
        ProtectGoal::On => part.factory(now),
        ProtectGoal::Restore(earlier) => part.back_to(now, earlier),
    }
}

fn in_words(span: Option<Span>, size: u32) -> String {
    match span {
        None => "unknown".to_owned(),
        Some(span) if span.is_empty() => "nothing protected".to_owned(),
        Some(span) if span.len == size => "the whole chip protected".to_owned(),
        Some(span) => format!("{span} protected"),
    }
}

/// The question before a change: registers and protected range, now and afterwards.
fn question(goal: ProtectGoal, cx: &Shared) -> Option<Act> {
    let identity = cx.session.identity.as_deref()?;
    let now = cx.session.protection.as_deref()?.status?;
    let part = identity.flash.part.as_deref().and_then(part_named)?;
    let size = identity.flash.size;
    let title = match goal {
        ProtectGoal::Off => "Unlock?",
        ProtectGoal::On => "Lock as the factory does?",
        ProtectGoal::Restore(_) => "Put the protection back?",
    };
    // A refusal is the job's to tell, with its code and remedy; so is a change that is none.
    let change = preview(goal, part, now).ok().flatten()?;
    let text = vec![
        format!("now    {now}   {}", in_words(part.protected(now), size)),
        format!("after  {}   {}", change.after(), in_words(part.protected(change.after()), size)),
        String::new(),
        "Only these protection bits are written; lock, one-time and QE bits are kept. The result is read back. No content of the flash changes.".to_owned(),
        if goal == ProtectGoal::Off { "z puts it back at any time.".to_owned() } else { String::new() },
    ];
    Some(Act::Open(Box::new(Confirm::yes(title, text, vec![Act::start(JobSpec::SetProtection(goal))]))))
}

impl Protect {
    fn registers(sheet: &mut Sheet<'_>, registers: &[RegisterBits]) {
        for register in registers {
            let names: Vec<&str> = register.bits.iter().map(|(name, _)| name.as_str()).collect();
            let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(1).max(4) + 1;
            sheet.put(Role::Strong, register.name).to(5);
            for name in &names {
                sheet.put(Role::Dim, format!("{name:>width$}"));
            }
            sheet.end().put(Role::Strong, format!(" {:02X}", register.value)).to(5);
            for (_, set) in &register.bits {
                let role = if *set { Role::Warn } else { Role::Dim };
                sheet.put(role, format!("{:>width$}", if *set { "[1]" } else { " 0 " }));
            }
            sheet.end();
        }
    }

    fn state(&self, sheet: &mut Sheet<'_>, protection: &Protection, size: u32, cx: &Shared) {
        let (symbol, role) = glyph::verdict(protection.verdict);
        match protection.range {
            Range::Open => {
                sheet.put(Role::Ok, "✔ open: ").line(Role::Strong, "nothing is protected, everything can be written")
            }
            Range::Protected(span) => {
                sheet
                    .put(Role::Warn, "✘ locked: ")
                    .put(Role::Strong, format!("{span} ({})", size_text(span.len.into())));
                sheet.line(Role::Text, format!("   open: {}", size_text((size - span.len.min(size)).into())))
            }
            Range::Unknown | Range::Unreadable => sheet.put(Role::Warn, "? ").line(Role::Strong, &protection.sentence),
        };
        if matches!(protection.range, Range::Open | Range::Protected(_)) {
            sheet.put(role, symbol).put(role, format!(" {}", protection.verdict));
            sheet.put(Role::Dim, ": ").line(Role::Dim, &protection.confidence);
            if sheet.rows_left() > 4 {
                sheet.end();
            }
            let locked = match protection.range {
                Range::Protected(span) => Some(span),
                _ => None,
            };
            let end = format!(" 0x{size:06X}");
            let rest = sheet.rest();
            sheet.put(Role::Address, "0x000000 ");
            let bar = Rect {
                x: rest.x + 9,
                width: rest.width.saturating_sub(9 + end.len() as u16),
                height: 1.min(rest.height),
                ..rest
            };
            chip_bar::protection(locked, size, bar, sheet.buffer(), &cx.theme);
            sheet.to(rest.width.saturating_sub(end.len() as u16)).line(Role::Address, end);
        }
        if protection.registers_locked {
            sheet.line(Role::Warn, "SRP1 is set: the registers themselves are locked until the supply is cut.");
        }
    }

    fn advice(&self, sheet: &mut Sheet<'_>, protection: &Protection) {
        let text = match protection.range {
            Range::Protected(_) => {
                "To write below the open part, the lock has to go: u unlocks now, or the write does it as a step of its \
                 plan. The chip locks itself again whenever its factory firmware starts."
            }
            Range::Open => "A write needs nothing more. The factory firmware locks the chip again whenever it starts.",
            Range::Unknown => "A write says after each sector whether it took: everything is read back.",
            Range::Unreadable => {
                "This link cannot show the registers. The boot loader lifts the protection by itself while it writes; over SPI \
                 the registers can be read and changed."
            }
        };
        sheet.paragraph(Role::Text, 0, text);
    }
}

impl Tab for Protect {
    fn id(&self) -> TabId {
        TabId::Protect
    }

    fn title(&self) -> &'static str {
        "Protect"
    }

    fn keys(&self) -> Vec<KeyLine> {
        keys::lines(KEYS)
    }

    fn hints(&self, cx: &Shared) -> Vec<KeyLine> {
        let actions: &[Action] = match cx.session.protection.as_deref().map(|protection| &protection.range) {
            None | Some(Range::Unreadable) => &[Action::Read],
            Some(Range::Protected(_)) => &[Action::Unlock, Action::Restore, Action::Lock, Action::Read],
            Some(Range::Open | Range::Unknown) => &[Action::Restore, Action::Lock, Action::Unlock, Action::Read],
        };
        keys::hints(KEYS, actions)
    }

    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        let Some(action) = keys::find(KEYS, &key) else { return Response::Ignored };
        let goal = match action {
            Action::Unlock => ProtectGoal::Off,
            Action::Lock => ProtectGoal::On,
            Action::Restore => match earlier(cx) {
                Some((status, _)) => ProtectGoal::Restore(status),
                None => {
                    return Response::act(Act::Say("it is not known what the protection was before".to_owned()));
                }
            },
            Action::Read => return Response::act(Act::start(JobSpec::Protection)),
        };
        Response::act(question(goal, cx).unwrap_or_else(|| Act::start(JobSpec::SetProtection(goal))))
    }

    fn heard(&mut self, event: &Event, _cx: &Shared) -> Vec<Act> {
        match &event.what {
            What::Finished { result: Ok(Outcome::ProtectionSet { before, after }), .. } => {
                self.change = Some((Arc::clone(before), Arc::clone(after)));
            }
            What::Link(LinkState::Open { .. } | LinkState::Opening(_)) => self.change = None,
            _ => {}
        }
        Vec::new()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let job = cx.session.job.as_ref();
        let (area, bottom) = split_rows(area, area.height - u16::from(job.is_some()));
        if let Some(job) = job {
            let mut sheet = Sheet::new(bottom, buf, &cx.theme);
            match &job.phase {
                Some(phase) => gauge::row(&mut sheet, job, phase, cx.quiet),
                None => {
                    sheet.line(Role::Strong, job.title);
                }
            }
        }
        let mut sheet = Sheet::new(area, buf, &cx.theme);
        let (Some(protection), Some(identity)) = (cx.session.protection.as_deref(), cx.session.identity.as_deref())
        else {
            sheet.end().line(Role::Strong, "The protection is unknown").end();
            sheet
                .put(Role::Text, "Connect first: ")
                .put(Role::Key, "2")
                .line(Role::Text, ". Connecting reads it and changes nothing.");
            return;
        };
        let part = identity.flash.part.as_deref().unwrap_or("unknown part");
        let roomy = area.height >= 16;
        if !protection.registers.is_empty() {
            sheet.put(Role::Strong, "Status registers").line(Role::Dim, format!("   {part}"));
        }
        Self::registers(&mut sheet, &protection.registers);
        if roomy {
            sheet.end();
        }
        self.state(&mut sheet, protection, identity.flash.size, cx);
        if let Some((before, after)) = &self.change {
            let words = |protection: &Protection| {
                let registers = protection.status.map_or_else(|| "unreadable".to_owned(), |status| status.to_string());
                format!("{registers}   {}", protection.sentence)
            };
            if roomy {
                sheet.end();
            }
            sheet.put(Role::Dim, "before  ").line(Role::Text, words(before));
            sheet.put(Role::Dim, "after   ").put(Role::Ok, "✔ ").line(Role::Text, words(after));
        }
        if roomy {
            sheet.end();
        }
        self.advice(&mut sheet, protection);
        if let Some((status, source)) = earlier(cx)
            && protection.status.is_some_and(|now| now != status)
            && sheet.rows_left() > 0
        {
            sheet.put(Role::Key, "z").line(Role::Text, format!(" puts back {status}, {source}"));
        }
    }
}
