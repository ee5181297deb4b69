//! Tab 1: which pad goes to which pin, wire by wire, and what is measured on each.

mod measured;

use std::collections::BTreeSet;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{Tab, TabId};
use crate::chip::{self, Module, Pad, WireRow};
use crate::link::{WireKind, WireName};
use crate::session::Event;
use crate::tui::effect::{Act, Response};
use crate::tui::glyph;
use crate::tui::keys::{self, Bind, KeyLine, bind};
use crate::tui::overlay::Choose;
use crate::tui::shared::{Shared, Step};
use crate::tui::theme::Role;
use crate::tui::widgets::pins::{self, HEADER_WIDTH, Use};
use crate::tui::widgets::sheet::{Sheet, column_rule, cut, split_columns};

/// Columns of the module's drawing where there is room for it beside the table.
const MODULE_WIDTH: u16 = 54;

/// The two ticks that come before any wire.
const TICKS: [&str; 2] = ["unplugged from the mains, for all of this", "everything is 3.3 V, nothing is 5 V"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Up,
    Down,
    Next,
    Tick,
    Module,
    Wire,
    Check,
    Live,
}

const KEYS: &[Bind<Action>] = &[
    bind("enter n", "next wire", "Tick this row as seen, and go to the next one.", Action::Next),
    bind("space", "tick", "Tick this row as seen, or take the tick away.", Action::Tick),
    bind("up k", "↓ move", "One row up.", Action::Up),
    bind("down j", "down", "One row down.", Action::Down),
    bind(
        "c",
        "check",
        "Measure every wire once and name the first suspect; changes nothing on the chip.",
        Action::Check,
    ),
    bind(
        "v",
        "live",
        "SPI: look several times a second while you wiggle or solder, with a bell when all is good; v again stops. UART: test \
         the adapter and both wires alone, the module off and the wires' ends held together.",
        Action::Live,
    ),
    bind("m", "module…", "Choose the module: the name printed on its shield.", Action::Module),
    bind("w", "SPI/UART", "Switch between the SPI wires and the UART wires.", Action::Wire),
];

/// State of the tab.
#[derive(Default)]
pub struct Wiring {
    ticks: [bool; TICKS.len()],
    seen: BTreeSet<&'static str>,
    row: usize,
    /// Whether the last look at the wires was good.
    good: bool,
    /// What the ticks belong to; another module or wire starts anew.
    of: Option<(&'static str, WireKind)>,
}

fn rows(cx: &Shared) -> Vec<WireRow> {
    cx.module().map(|module| chip::wiring(module, &cx.pins)).unwrap_or_default()
}

/// The pad function behind a signal of the wiring table.
fn function(signal: &str) -> &'static str {
    let named = WireName::SPI.into_iter().chain(WireName::UART).find(|wire| wire.signal() == signal);
    named.map_or("", chip::function)
}

impl Wiring {
    fn safe(&self) -> bool {
        self.ticks.iter().all(|tick| *tick)
    }

    /// The wire of the current row.
    fn wire<'a>(&self, rows: &'a [WireRow]) -> Option<&'a WireRow> {
        self.row.checked_sub(TICKS.len()).and_then(|index| rows.get(index))
    }

    /// The last row the cursor may go to: no wire before both ticks.
    fn last(&self, rows: &[WireRow]) -> usize {
        if self.safe() { TICKS.len() + rows.len() - 1 } else { TICKS.len() - 1 }
    }

    fn is_ticked(&self, rows: &[WireRow], row: usize) -> bool {
        match row.checked_sub(TICKS.len()) {
            None => self.ticks.get(row).copied().unwrap_or(false),
            Some(index) => rows.get(index).is_some_and(|wire| self.seen.contains(wire.signal)),
        }
    }

    fn tick(&mut self, rows: &[WireRow], on: bool) {
        match self.row.checked_sub(TICKS.len()) {
            None => {
                if let Some(tick) = self.ticks.get_mut(self.row) {
                    *tick = on;
                }
            }
            Some(index) => {
                let Some(wire) = rows.get(index) else { return };
                if on {
                    self.seen.insert(wire.signal);
                } else {
                    self.seen.remove(wire.signal);
                }
            }
        }
    }

    /// All wires that can be soldered were ticked.
    fn complete(&self, rows: &[WireRow]) -> bool {
        self.safe() && rows.iter().filter(|wire| wire.reachable).all(|wire| self.seen.contains(wire.signal))
    }

    fn table(&self, module: &Module, rows: &[WireRow], area: Rect, buf: &mut Buffer, cx: &Shared, drawn: bool) {
        let roomy = area.height >= 16;
        let mut sheet = Sheet::new(area, buf, &cx.theme);
        sheet
            .put(Role::Dim, "module ")
            .put(Role::Strong, &module.name)
            .put(Role::Dim, " (")
            .put(Role::Text, &module.chip);
        sheet.put(Role::Dim, ")   wire ").put(Role::Strong, cx.wire.to_string());
        let report = measured::report(cx).filter(|_| self.safe());
        measured::state(&mut sheet, report, cx);
        sheet.end();
        // Where rows are dear, the answered ticks make room for what was measured.
        let ticks = if report.is_some() && !roomy { 0 } else { TICKS.len() };
        for (index, text) in TICKS.iter().enumerate().take(ticks) {
            self.row_start(&mut sheet, index, rows);
            sheet.line(self.role(index), *text);
        }
        if roomy {
            sheet.end();
        }
        let heading = if self.safe() { Role::Dim } else { Role::Warn };
        let pi = rows.iter().map(|wire| wire.host.width() as u16).max().unwrap_or(0);
        if report.is_some() {
            if roomy {
                sheet.line(heading, "    wire  header  measured");
            }
        } else if self.safe() && roomy {
            sheet.put(heading, format!("    {}", cx.pins.host)).to(pi + 7).line(heading, "module pad");
        } else if !self.safe() {
            sheet.line(heading, "    Tick the two lines above first (Space).");
        }
        let places = rows.iter().map(|wire| measured::place(wire).width()).max().unwrap_or(0);
        for (index, wire) in rows.iter().enumerate() {
            let row = index + TICKS.len();
            if let Some(report) = report {
                measured::row(&mut sheet, self.role(row), wire, places, report);
                continue;
            }
            self.row_start(&mut sheet, row, rows);
            let role = self.role(row);
            sheet.put(role, format!("{:<width$} → ", wire.host, width = usize::from(pi)));
            let pad = if wire.reachable { Role::Text } else { Role::Warn };
            let role = if role == Role::Selected { role } else { pad };
            sheet
                .put(role, if wire.pad.starts_with(wire.signal) { wire.pad.clone() } else { self.pad_text(wire) })
                .end();
        }
        if roomy {
            sheet.end();
        }
        measured::asked(&mut sheet, cx);
        if let Some(report) = report {
            measured::verdict(&mut sheet, report);
        }
        if report.is_none_or(|_| sheet.rows_left() > 3) {
            self.note(module, rows, &mut sheet, cx);
        }
        if drawn && sheet.rows_left() >= 3 {
            if sheet.rows_left() > 4 {
                sheet.end();
            }
            let here = self.wire(rows).map(|wire| function(wire.signal));
            let used = |pad: &Pad| pad_use(pad, here, rows);
            let rest = sheet.rest();
            pins::module(module, used, rest, sheet.buffer(), &cx.theme);
        }
    }

    /// The signal and its pads; where a pad has another name than the signal, both are shown.
    fn pad_text(&self, wire: &WireRow) -> String {
        if wire.reachable {
            format!("{} = {}", wire.signal, wire.pad)
        } else {
            format!("{}: {}", wire.signal, wire.pad)
        }
    }

    fn row_start(&self, sheet: &mut Sheet<'_>, row: usize, rows: &[WireRow]) {
        let here = row == self.row;
        sheet.put(if here { Role::Selected } else { Role::Text }, if here { glyph::HERE } else { " " });
        // What a person said looks different from what was measured.
        let (role, mark) = match (self.is_ticked(rows, row), row < TICKS.len()) {
            (true, true) => (Role::Ok, glyph::PROVEN),
            (true, false) => (Role::Strong, glyph::SAID),
            (false, _) => (Role::Dim, "·"),
        };
        sheet.put(role, format!(" {mark} "));
    }

    fn role(&self, row: usize) -> Role {
        match (row == self.row, row < TICKS.len() || self.safe()) {
            (true, _) => Role::Selected,
            (false, true) => Role::Text,
            (false, false) => Role::Dim,
        }
    }

    /// What to know about the current row.
    fn note(&self, module: &Module, rows: &[WireRow], sheet: &mut Sheet<'_>, cx: &Shared) {
        match self.wire(rows) {
            None if self.row == 0 => {
                sheet.paragraph(
                    Role::Text,
                    0,
                    "A module in a plug is connected to the mains. Work on it only unplugged.",
                );
            }
            None => {
                sheet.paragraph(
                    Role::Text,
                    0,
                    "One 3.3 V supply only: the host's 3V3 pin or a regulator, never both. 5 V kills the module.",
                );
            }
            Some(wire) => {
                let note = if wire.note.is_empty() { "keep it short, like all of them" } else { &wire.note };
                // Where rows are dear, what to watch out for goes before the wire's two ends, which stand above too.
                if sheet.rows_left() > 2 {
                    let ends = format!("{}: {} → {}", wire.signal, wire.host, wire.pad);
                    sheet.paragraph(Role::Strong, 0, ends).paragraph(Role::Text, 0, note);
                } else {
                    sheet.paragraph(Role::Text, 0, note);
                }
            }
        }
        if sheet.rows_left() > 6 {
            sheet.paragraph(Role::Dim, 0, format!("pads: {} (confidence {})", module.source, module.confidence));
        }
        let missing = module.spi_missing_words();
        if cx.wire == WireKind::Spi && !missing.is_empty() {
            let text = format!("This module does not bring out {}: use UART (w).", missing.join(", "));
            sheet.paragraph(Role::Warn, 0, text);
        }
        if self.complete(rows) && measured::report(cx).is_none() {
            sheet.put(Role::Text, "• every wire ticked by eye; ").put(Role::Key, "c");
            sheet.put(Role::Text, " measures, ").put(Role::Key, "2").line(Role::Text, " connects");
        }
        if cx.wire == WireKind::Uart && sheet.rows_left() > 4 {
            sheet.line(Role::Dim, "RX and TX cross: what one side sends the other receives.");
        }
    }
}

fn pad_use(pad: &Pad, here: Option<&str>, rows: &[WireRow]) -> Use {
    if here.is_some_and(|function| !function.is_empty() && pad.has(function)) {
        Use::Here
    } else if rows.iter().any(|wire| pad.has(function(wire.signal))) {
        Use::Wired
    } else {
        Use::Free
    }
}

impl Tab for Wiring {
    fn id(&self) -> TabId {
        TabId::Wiring
    }

    fn title(&self) -> &'static str {
        "Wiring"
    }

    fn keys(&self) -> Vec<KeyLine> {
        keys::lines(KEYS)
    }

    fn hints(&self, _cx: &Shared) -> Vec<KeyLine> {
        let first = if self.safe() { Action::Next } else { Action::Tick };
        keys::hints(KEYS, &[first, Action::Check, Action::Live, Action::Up, Action::Module, Action::Wire])
    }

    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        let Some(action) = keys::find(KEYS, &key) else { return Response::Ignored };
        if self.of != Some((cx.module, cx.wire)) {
            self.of = Some((cx.module, cx.wire));
            self.seen.clear();
            self.row = self.row.min(TICKS.len());
        }
        let rows = rows(cx);
        match action {
            Action::Up => self.row = self.row.saturating_sub(1),
            Action::Down => self.row = (self.row + 1).min(self.last(&rows)),
            Action::Tick => {
                let on = !self.is_ticked(&rows, self.row);
                self.tick(&rows, on);
            }
            Action::Next => {
                self.tick(&rows, true);
                self.row = (self.row + 1).min(self.last(&rows));
            }
            Action::Check | Action::Live if !self.safe() => {
                return Response::act(Act::Say(
                    "tick the two lines above first: nothing is measured on mains".to_owned(),
                ));
            }
            Action::Check | Action::Live => return Response::act(measured::start(cx, action == Action::Live)),
            Action::Module => return Response::act(Act::Open(Box::new(modules(cx)))),
            Action::Wire => {
                let other = if cx.wire == WireKind::Spi { WireKind::Uart } else { WireKind::Spi };
                return Response::act(Act::Wire(other));
            }
        }
        Response::act(Act::Journey(Step::Wired, self.complete(&rows)))
    }

    fn heard(&mut self, event: &Event, _cx: &Shared) -> Vec<Act> {
        measured::heard(event, &mut self.good)
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let rows = rows(cx);
        let Some(module) = cx.module() else { return };
        // Below the home size the drawings go first; there is nothing to draw of an adapter.
        if area.width < 76 || rows.iter().all(|wire| wire.pin.is_none()) {
            self.table(module, &rows, area, buf, cx, false);
            return;
        }
        let (left, right) = split_columns(area, area.width - HEADER_WIDTH - 2);
        if left.width >= 110 && left.height >= 26 {
            let (table, drawing) = split_columns(left, left.width - MODULE_WIDTH);
            column_rule(drawing, buf, &cx.theme);
            let here = self.wire(&rows).map(|wire| function(wire.signal));
            let drawing = Rect { x: drawing.x + 1, width: drawing.width.saturating_sub(2), ..drawing };
            pins::module_with_edge(module, |pad| pad_use(pad, here, &rows), drawing, buf, &cx.theme);
            self.table(module, &rows, Rect { width: table.width.saturating_sub(1), ..table }, buf, cx, false);
        } else {
            self.table(module, &rows, Rect { width: left.width.saturating_sub(1), ..left }, buf, cx, true);
        }
        column_rule(right, buf, &cx.theme);
        let here = self.wire(&rows).and_then(|wire| wire.pin);
        let used = |pin: u8| {
            if here == Some(pin) {
                Use::Here
            } else if rows.iter().any(|wire| wire.pin == Some(pin)) {
                Use::Wired
            } else {
                Use::Free
            }
        };
        let right = Rect { x: right.x + 1, width: right.width.saturating_sub(1), ..right };
        let mut sheet = Sheet::new(right, buf, &cx.theme);
        sheet.line(Role::Strong, cut("Raspberry Pi, 40 pins", right.width));
        // 13 rows hold pins 1 to 26, where most wires end; the rest is drawn where there is room for it.
        let rest = sheet.rest();
        let drawing =
            if rest.height >= pins::HEADER_ROWS { rest } else { Rect { height: rest.height.min(13), ..rest } };
        pins::header(used, drawing, sheet.buffer(), &cx.theme);
        sheet.down_to(sheet.row() + drawing.height.min(pins::HEADER_ROWS));
        if sheet.rows_left() >= 3 {
            sheet.end().line(Role::Dim, "◉ a wire ends here").line(Role::Dim, "▣ the current wire");
        }
    }
}

fn modules(cx: &Shared) -> Choose {
    let all = || chip::modules().iter().chain([chip::any_module()]);
    let lines = all().map(|module| {
        let wires = match (module.is_any(), module.has_spi()) {
            (true, _) => "where its pads usually are",
            (false, true) => "SPI and UART",
            (false, false) => "UART only",
        };
        format!("{:<12} {:<10} {wires}", module.name, module.chip)
    });
    let row = all().position(|module| module.name == cx.module).unwrap_or(0);
    Choose::new("Module", lines.collect(), row, move |index| {
        let module = chip::modules().get(index).unwrap_or_else(|| chip::any_module());
        Act::Module(module.name.as_str())
    })
}
