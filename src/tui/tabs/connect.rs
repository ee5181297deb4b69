//! Tab 2: links, connecting, who the chip is, backup.

use std::time::Duration;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Tab, TabId};
use crate::archive;
use crate::device::Level;
use crate::image::rf::MacState;
use crate::job::backup::BackupSpec;
use crate::job::{ConnectSpec, Identity, JobSpec};
use crate::link::host::fix::command;
use crate::link::{Endpoint, WireKind};
use crate::problem::{Explain, Problem};
use crate::session::LinkState;
use crate::tui::effect::{Act, Effect, Response, Task};
use crate::tui::glyph;
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::msg::Done;
use crate::tui::overlay::{Choose, ProblemBox, Reader};
use crate::tui::shared::{BackupState, Shared, usual};
use crate::tui::theme::Role;
use crate::tui::widgets::away;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::gauge;
use crate::tui::widgets::header::speed_text;
use crate::tui::widgets::sheet::{Sheet, column_rule, cut, split_columns, split_rows, wrap};
use crate::units::{clock_text, size_text};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Up,
    Down,
    Connect,
    Disconnect,
    Type,
    Speed,
    Backup,
    Evidence,
    Rescan,
    Reboot,
    CopyRemedy,
}

const KEYS: &[Bind<Action>] = &[
    bind("enter", "connect", "Connect to the link under the cursor.", Action::Connect),
    bind("b", "back up", "Read the whole chip twice and keep it as a proven backup.", Action::Backup),
    bind("d", "disconnect", "Let the chip go and close the link.", Action::Disconnect),
    bind("t", "type a link", "Type or paste a link, such as spi:0.0?cen=22.", Action::Type),
    bind("i", "evidence", "Everything that speaks for this chip being what it is called.", Action::Evidence),
    bind("s", "speed…", "Choose the speed of the next connect.", Action::Speed),
    bind("r", "rescan", "Look for links again.", Action::Rescan),
    bind("S", "start chip", "Let the firmware on the chip start; the link is closed.", Action::Reboot),
    bind(
        "y",
        "copy remedy",
        "Send what helps with the link under the cursor to the terminal's clipboard; works over SSH.",
        Action::CopyRemedy,
    ),
    bind("up k", "↓ move", "One row up.", Action::Up),
    bind("down j", "down", "One row down.", Action::Down),
];

/// Speeds to choose from: words, and Hz or baud.
const SPI_SPEEDS: [Option<u32>; 8] = [
    None,
    Some(100_000),
    Some(500_000),
    Some(1_000_000),
    Some(4_000_000),
    Some(8_000_000),
    Some(12_000_000),
    Some(16_000_000),
];
const UART_SPEEDS: [Option<u32>; 6] =
    [None, Some(115_200), Some(230_400), Some(460_800), Some(921_600), Some(1_500_000)];

/// State of the tab.
#[derive(Default)]
pub struct Connect {
    row: usize,
    field: Option<Field>,
    /// A link that was typed; listed first.
    typed: Option<String>,
    /// The link of the last connect.
    used: Option<String>,
}

impl Connect {
    /// Links to choose from: the typed one, then those found.
    fn links(&self, cx: &Shared) -> Vec<Endpoint> {
        let given = self.typed.clone().or_else(|| cx.first_link.clone());
        let found = cx.links.clone().unwrap_or_default();
        let extra = given.filter(|link| !found.iter().any(|endpoint| endpoint.link == *link)).map(|link| Endpoint {
            link,
            about: "as typed".to_owned(),
            obstacle: None,
            device: None,
        });
        extra.into_iter().chain(found).collect()
    }

    /// What stands in the way of the link under the cursor.
    fn obstacle(&self, cx: &Shared) -> Option<Problem> {
        let links = self.links(cx);
        links.get(self.row.min(links.len().saturating_sub(1)))?.obstacle.clone()
    }

    fn connect(&mut self, link: &str, cx: &Shared) -> Act {
        self.used = Some(link.to_owned());
        match ConnectSpec::new(link, cx.speed, &usual(&cx.settings)) {
            Ok(spec) => Act::start(JobSpec::Connect(archive::remembering(&cx.settings, spec))),
            Err(error) => Act::Open(Box::new(ProblemBox::new("connect", error.explain()))),
        }
    }

    fn typed(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        let Some(field) = &mut self.field else { return Response::Ignored };
        if keys::is(&key, "esc") {
            self.field = None;
        } else if keys::is(&key, "enter") {
            let text = field.text().trim().to_owned();
            self.field = None;
            if !text.is_empty() {
                let act = self.connect(&text, cx);
                self.typed = Some(text);
                self.row = 0;
                return Response::act(act);
            }
        } else {
            field.key(&key);
        }
        Response::nothing()
    }

    fn list(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let links = self.links(cx);
        let mut sheet = Sheet::new(area, buf, &cx.theme);
        sheet.line(Role::Strong, "Links");
        if let Some(field) = &self.field {
            sheet.put(Role::Key, "link ");
            let place = Rect { x: area.x + 5, width: area.width.saturating_sub(5), ..sheet.rest() };
            field.render(place, sheet.buffer(), &cx.theme);
            sheet.end().line(Role::Dim, "sim:wb2s  spi:0.0?cen=22  uart:/dev/ttyUSB0").end();
        }
        if cx.links.is_none() && links.is_empty() {
            sheet.line(Role::Dim, "  looking …");
        } else if links.is_empty() {
            sheet.paragraph(Role::Dim, 2, "Nothing was found. t types a link; sim:wb2s is a module to practise on.");
        }
        let row = self.row.min(links.len().saturating_sub(1));
        // While no link is open, the other pane has room for what stands in the way.
        let closed = matches!(cx.session.link, LinkState::Closed);
        let beside = |link: &Endpoint| link.device.iter().flat_map(|device| device.remarks()).collect();
        let remarks: Vec<String> =
            links.get(row).map_or_else(Vec::new, if closed { beside } else { Endpoint::remarks });
        let needed: usize = remarks.iter().map(|text| wrap(text, sheet.width()).len()).sum();
        let ready = links.get(row).is_none_or(|link| link.obstacle.is_none());
        // A row for what is not shown and two for the speed, and room for the remarks; the list keeps half of the pane.
        let below = if needed == 0 { 3 } else { (needed + 4).min(usize::from(area.height / 2).max(3)) as u16 };
        let rows = usize::from(sheet.rows_left().saturating_sub(below)).max(1);
        let first = row.saturating_sub(rows - 1);
        let name_width = links.iter().map(|link| link.link.len() as u16).max().unwrap_or(0).min(area.width / 2).max(10);
        for (number, link) in links.iter().enumerate().skip(first).take(rows) {
            let here = number == row && self.field.is_none();
            let role = if here { Role::Selected } else { Role::Text };
            let mark = if here { glyph::HERE } else { " " };
            let open = matches!(cx.session.link, LinkState::Open { .. }) && self.used.as_ref() == Some(&link.link);
            let state = match (&link.obstacle, open) {
                (Some(_), _) => (Role::Danger, glyph::FAILED),
                (None, true) => (Role::Ok, glyph::PROVEN),
                (None, false) => (Role::Text, " "),
            };
            sheet.put(role, mark).put(state.0, state.1).put(role, cut(&link.link, name_width)).to(name_width + 3);
            sheet.line(Role::Dim, &link.about);
        }
        let more = links.len().saturating_sub(first + rows);
        if more > 0 {
            sheet.line(Role::Dim, format!("  ↓ {more} more"));
        }
        if !remarks.is_empty() {
            sheet.end();
        }
        for text in &remarks {
            sheet.paragraph(if ready { Role::Dim } else { Role::Warn }, 0, text);
        }
        if ready {
            let speed = match cx.speed {
                None => usual_words(cx),
                Some(speed) if cx.wire == WireKind::Uart => format!("{speed} baud"),
                Some(speed) => clock_text(speed),
            };
            sheet.down_to(area.height.saturating_sub(2));
            sheet.put(Role::Dim, "next connect at ").line(Role::Text, speed);
            let cen = cx.settings.cen;
            sheet.put(Role::Dim, "CEN ").line(Role::Text, format!("GPIO{cen}"));
        }
    }

    fn chip(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let mut sheet = Sheet::new(area, buf, &cx.theme);
        match &cx.session.link {
            LinkState::Lost(problem) => {
                sheet.put(Role::Danger, "✘ ").line(Role::Danger, "The link was lost").paragraph(
                    Role::Text,
                    0,
                    &problem.what,
                );
                sheet.paragraph(Role::Dim, 0, &problem.cause).end().paragraph(Role::Text, 0, &problem.remedy);
            }
            LinkState::Away { .. } => {
                sheet.line(Role::Strong, "The link has gone").end();
                away::notice(&mut sheet, &cx.session);
            }
            LinkState::Opening(name) => {
                sheet.line(Role::Strong, format!("Opening {name} …"));
                sheet.paragraph(Role::Dim, 0, "Esc stops it.").end();
                let since = cx.session.job.as_ref().map_or(Duration::ZERO, |job| job.started);
                let asked = cx.session.log.iter().rev().find(|line| line.level == Level::Ask && line.at >= since);
                if let Some(line) = asked {
                    sheet.paragraph(Role::Strong, 0, &line.text);
                }
            }
            LinkState::Closed if self.obstacle(cx).is_some() => {
                self.obstacle(cx).iter().for_each(|problem| obstacle_rows(&mut sheet, problem));
            }
            LinkState::Closed => {
                sheet.line(Role::Strong, "Not connected").end();
                sheet.paragraph(
                    Role::Text,
                    0,
                    "Choose a link with ↑↓ and press Enter. Connecting reads only: nothing on the chip changes.",
                );
                sheet.end().paragraph(Role::Dim, 0, "No hardware yet? sim:wb2s is a module to practise on.");
            }
            LinkState::Open { info, speed } => {
                sheet.put(Role::Strong, "Connected: ").line(Role::Strong, &info.name);
                if info.simulated {
                    sheet.line(Role::Dim, "a simulated module: says nothing about silicon");
                }
                if let Some(identity) = cx.session.identity.as_deref() {
                    chip_rows(&mut sheet, identity, *speed);
                    state_rows(&mut sheet, cx);
                    content_rows(&mut sheet, identity);
                }
            }
        }
    }
}

const LABEL: u16 = 10;

/// Why a link is not ready and what helps, whole: what is cut cannot be typed.
fn obstacle_rows(sheet: &mut Sheet<'_>, problem: &Problem) {
    sheet.put(Role::Danger, "✘ ").line(Role::Strong, "Not ready").paragraph(Role::Text, 0, &problem.what);
    sheet.end().line(Role::Dim, "what helps").paragraph(Role::Warn, 0, &problem.remedy);
    sheet.end().put(Role::Key, "y").line(Role::Dim, " copies it");
}

fn chip_rows(sheet: &mut Sheet<'_>, identity: &Identity, speed: u32) {
    let (symbol, role) = glyph::verdict(identity.verdict);
    let name = identity.chip.map_or("unknown", |chip| chip.name());
    sheet.put(Role::Dim, "chip").to(LABEL).put(Role::Strong, name);
    sheet.put(Role::Text, "  ").put(role, symbol).line(role, format!(" {}", identity.verdict));
    let flash = &identity.flash;
    let jedec = flash.jedec.as_deref().unwrap_or("no id over this link");
    sheet.pair("flash", LABEL, Role::Text, format!("{jedec}  {}", size_text(flash.size.into())));
    let part = flash.part.clone().unwrap_or_else(|| "part unknown".to_owned());
    let vendor = flash.vendor.as_ref().map(|vendor| format!(" ({vendor})")).unwrap_or_default();
    sheet.pair("", LABEL, Role::Text, part + &vendor);
    sheet.pair("speed", LABEL, Role::Text, speed_text(identity.wire, speed));
}

/// What the content of the flash tells; what finds no room is a key away.
fn content_rows(sheet: &mut Sheet<'_>, identity: &Identity) {
    let unknown = || "unknown".to_owned();
    sheet.pair("loader", LABEL, Role::Text, identity.boot_version.clone().unwrap_or_else(unknown));
    sheet.pair("running", LABEL, Role::Text, identity.firmware.clone().unwrap_or_else(unknown));
    sheet.pair("code key", LABEL, Role::Text, identity.code_key.clone().unwrap_or_else(unknown));
    if identity.rf_fault().is_some() {
        let default = identity.mac_state == MacState::Default;
        let words = if default { "default MAC: lost, or a template" } else { "lost: no calibration, no MAC" };
        sheet.pair("RF block", LABEL, Role::Warn, words);
    } else if let Some(rf) = identity.rf_block {
        sheet.pair("RF block", LABEL, Role::Text, format!("0x{:06X}", rf.start));
    }
    let lines = usize::from(sheet.rows_left().saturating_sub(1)).min(identity.evidence.len());
    for (number, line) in identity.evidence.iter().take(lines).enumerate() {
        sheet.put(Role::Dim, if number == 0 { "evidence" } else { "" }).to(LABEL).line(Role::Dim, line);
    }
    let more = identity.evidence.len() - lines;
    if more > 0 {
        sheet.to(LABEL).put(Role::Dim, format!("{more} more lines of evidence: ")).line(Role::Key, "i");
    }
}

fn state_rows(sheet: &mut Sheet<'_>, cx: &Shared) {
    let protection = cx.session.protection.as_deref().map_or("unknown", |protection| protection.sentence.as_str());
    sheet.put(Role::Dim, "locked").to(LABEL);
    let width = sheet.width();
    sheet.line(Role::Text, cut(protection, width.saturating_sub(LABEL)));
    sheet.put(Role::Dim, "backup").to(LABEL);
    match &cx.backup {
        BackupState::Unknown => sheet.line(Role::Dim, "unknown"),
        BackupState::None => {
            sheet.put(Role::Warn, "none of this chip: ").put(Role::Key, "b").line(Role::Text, " makes one")
        }
        BackupState::Unproven { why, .. } => sheet.line(Role::Warn, why),
        BackupState::Proven(known) => {
            sheet.put(Role::Ok, "✔ proven, ").put(Role::Ok, &known.when).put(Role::Dim, "  (").put(Role::Key, "3");
            sheet.line(Role::Dim, " shows it)")
        }
    };
}

impl Tab for Connect {
    fn id(&self) -> TabId {
        TabId::Connect
    }

    fn title(&self) -> &'static str {
        "Connect"
    }

    fn keys(&self) -> Vec<KeyLine> {
        keys::lines(KEYS)
    }

    fn hints(&self, cx: &Shared) -> Vec<KeyLine> {
        match (&cx.session.link, &cx.backup) {
            (LinkState::Open { .. } | LinkState::Away { .. }, BackupState::Proven(_)) => keys::hints(
                KEYS,
                &[Action::Evidence, Action::Disconnect, Action::Backup, Action::Connect, Action::Speed],
            ),
            (LinkState::Open { .. } | LinkState::Away { .. }, _) => keys::hints(
                KEYS,
                &[Action::Backup, Action::Evidence, Action::Disconnect, Action::Connect, Action::Speed],
            ),
            _ => keys::hints(KEYS, &[Action::Connect, Action::Up, Action::Type, Action::Speed, Action::Rescan]),
        }
    }

    fn typing(&self) -> bool {
        self.field.is_some()
    }

    fn paste(&mut self, text: &str) {
        if let Some(field) = &mut self.field {
            field.paste(text);
        }
    }

    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        if self.typing() {
            return self.typed(key, cx);
        }
        let Some(action) = keys::find(KEYS, &key) else { return Response::Ignored };
        let links = self.links(cx);
        let last = links.len().saturating_sub(1);
        match action {
            Action::Up => self.row = self.row.min(last).saturating_sub(1),
            Action::Down => self.row = (self.row + 1).min(last),
            Action::Connect => {
                if let Some(link) = links.get(self.row.min(last)) {
                    return Response::act(self.connect(&link.link, cx));
                }
            }
            Action::Disconnect => return Response::act(Act::start(JobSpec::Disconnect)),
            Action::Type => {
                let before = self.typed.clone().or_else(|| cx.first_link.clone()).unwrap_or_default();
                self.field = Some(Field::prefilled(&before));
            }
            Action::Speed => return Response::act(Act::Open(Box::new(speeds(cx)))),
            Action::Backup => return Response::act(Act::start(JobSpec::Backup(BackupSpec::default()))),
            Action::Evidence => {
                let text = match cx.session.identity.as_deref() {
                    Some(identity) => evidence(identity),
                    None => vec!["No chip is connected.".to_owned()],
                };
                return Response::act(Act::Open(Box::new(Reader::new("Evidence", text))));
            }
            Action::Rescan => return Response::act(Act::work(Task::Links)),
            Action::Reboot => return Response::act(Act::start(JobSpec::Reboot)),
            Action::CopyRemedy => {
                return match self.obstacle(cx) {
                    Some(problem) => Response::Taken(vec![
                        Act::Effect(Effect::Copy(command(&problem.remedy).to_owned())),
                        Act::Say(
                            "sent to the terminal's clipboard; tmux passes it on with set-clipboard on".to_owned(),
                        ),
                    ]),
                    None => Response::act(Act::Say("nothing stands in the way of this link".to_owned())),
                };
            }
        }
        Response::nothing()
    }

    fn done(&mut self, done: &Done, cx: &Shared) -> Vec<Act> {
        // The cursor stays on the link in use when the list around it changes.
        if matches!(done, Done::Links(_))
            && let Some(row) = self.links(cx).iter().position(|link| self.used.as_ref() == Some(&link.link))
        {
            self.row = row;
        }
        // Before anything was chosen it stands on hardware that is ready, where there is some.
        let chosen = self.row > 0 || self.used.is_some() || self.typed.is_some() || cx.first_link.is_some();
        if matches!(done, Done::Links(_)) && !chosen {
            let real = |link: &Endpoint| link.obstacle.is_none() && !link.link.starts_with("sim:");
            self.row = self.links(cx).iter().position(real).unwrap_or(0);
        }
        Vec::new()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let job = cx.session.job.as_ref();
        let running = u16::from(job.is_some());
        let (area, bottom) = split_rows(area, area.height - running);
        if let Some(job) = job {
            let mut sheet = Sheet::new(bottom, buf, &cx.theme);
            match &job.phase {
                Some(phase) => gauge::row(&mut sheet, job, phase, cx.quiet),
                None => {
                    sheet.line(Role::Strong, job.title);
                }
            }
        }
        // The chip's pane needs its width more than the list does.
        let (left, right) = split_columns(area, (area.width * 2 / 5).clamp(24, 66).min(area.width));
        self.list(Rect { width: left.width.saturating_sub(1), ..left }, buf, cx);
        column_rule(right, buf, &cx.theme);
        self.chip(Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right }, buf, cx);
    }
}

fn evidence(identity: &Identity) -> Vec<String> {
    let mut lines = vec![format!("{}; what speaks for it:", identity.chip_text()), String::new()];
    lines.extend(identity.evidence.iter().map(|line| format!("· {line}")));
    lines.push(String::new());
    lines.push(format!("size of the flash: {}", identity.flash.size_sources.join(", ")));
    lines.extend(identity.rf_fault());
    lines.push(format!("this very chip is known as {}", identity.chip_key));
    lines
}

/// What is connected at when nobody chooses.
fn usual_words(cx: &Shared) -> String {
    match (cx.wire, cx.settings.spi.fixed_clock()) {
        (WireKind::Spi, None) => "fastest safe clock".to_owned(),
        (WireKind::Spi, Some(clock)) => clock_text(clock),
        (WireKind::Uart, _) => "usual speed".to_owned(),
    }
}

fn speeds(cx: &Shared) -> Choose {
    match cx.wire {
        WireKind::Spi => {
            let lines = SPI_SPEEDS.iter().map(|speed| speed.map_or_else(|| usual_words(cx), clock_text)).collect();
            let row = SPI_SPEEDS.iter().position(|speed| *speed == cx.speed).unwrap_or(0);
            Choose::new("SPI clock", lines, row, |index| Act::Speed(SPI_SPEEDS.get(index).copied().flatten()))
        }
        WireKind::Uart => {
            let usual = || usual_words(cx);
            let lines =
                UART_SPEEDS.iter().map(|speed| speed.map_or_else(usual, |baud| format!("{baud} baud"))).collect();
            let row = UART_SPEEDS.iter().position(|speed| *speed == cx.speed).unwrap_or(0);
            Choose::new("UART rate", lines, row, |index| Act::Speed(UART_SPEEDS.get(index).copied().flatten()))
        }
    }
}
