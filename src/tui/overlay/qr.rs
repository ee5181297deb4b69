//! A template as a QR code, as large as the window allows.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::{Overlay, window};
use crate::image::template::Template;
use crate::image::template::qr::{self, Fitting, Look, Unfit};
use crate::tui::effect::{Act, Response};
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::sheet::{Sheet, wrap};

/// The code of a template.
pub struct QrCode {
    template: Template,
    name: Option<String>,
    /// Chosen by hand; the terminal decides until then.
    plain: Option<bool>,
}

impl QrCode {
    /// The code of a template with the name of its device.
    pub fn new(template: Template, name: Option<&str>) -> Self {
        Self { template, name: name.map(str::to_owned), plain: None }
    }

    fn look(&self, cx: &Shared) -> Look {
        if self.plain.unwrap_or(cx.ascii) { Look::Plain } else { Look::Half }
    }
}

impl Overlay for QrCode {
    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response {
        if ["esc", "q", "enter", "Q"].iter().any(|name| keys::is(&key, name)) {
            return Response::act(Act::Close);
        }
        if keys::is(&key, "b") {
            self.plain = Some(self.look(cx) == Look::Half);
        }
        Response::nothing()
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let look = self.look(cx);
        match qr::fit(&self.template, self.name.as_deref(), look, (area.width.into(), area.height.into())) {
            Ok(fitting) => draw(&fitting, look, area, buf, cx),
            Err(unfit) => too_small(unfit, look, area, buf, cx),
        }
    }
}

/// The colours of a light and of a dark module. Without colours reverse video has to do, and then the terminal's own
/// ground decides which of the two is the light one.
fn styles(cx: &Shared) -> (Style, Style) {
    let coloured = cx.theme.style(Role::Danger).fg.is_some_and(|color| color != Color::Reset);
    if coloured {
        (Style::new().bg(Color::White), Style::new().bg(Color::Black))
    } else {
        (Style::new().add_modifier(Modifier::REVERSED), Style::new())
    }
}

fn draw(fitting: &Fitting, look: Look, area: Rect, buf: &mut Buffer, cx: &Shared) {
    for cell in area.positions().collect::<Vec<_>>() {
        if let Some(cell) = buf.cell_mut(cell) {
            cell.reset();
            cell.set_style(cx.theme.style(Role::Overlay));
        }
    }
    let (light, dark) = styles(cx);
    let (code, quiet) = (&fitting.code, fitting.quiet);
    let side = code.size() + 2 * quiet;
    let width = match look {
        Look::Half => {
            let ground = Style::new().fg(light.bg.unwrap_or(Color::Reset)).bg(dark.bg.unwrap_or(Color::Reset));
            for (y, row) in code.rows(quiet, look).iter().enumerate() {
                buf.set_string(area.x, area.y + y as u16, row, ground);
            }
            side
        }
        // Blank cells on a light or a dark ground need no symbol at all.
        Look::Plain => {
            for y in 0..side {
                for x in 0..side {
                    let style = if code.dark(x, y, quiet) { dark } else { light };
                    buf.set_string(area.x + 2 * x as u16, area.y + y as u16, "  ", style);
                }
            }
            2 * side
        }
    };
    let beside = Rect { x: area.x + width as u16 + 2, width: area.width.saturating_sub(width as u16 + 3), ..area };
    let mut sheet = Sheet::new(beside, buf, &cx.theme);
    sheet.line(Role::Strong, "Template").end();
    sheet.paragraph(Role::Overlay, 0, format!("Holds {}.", fitting.holds.words())).end();
    let how = "Scan it, copy the text, and paste it into OpenBeken's web app under Import.";
    sheet.paragraph(Role::Overlay, 0, how).end();
    let again = "No luck? Enlarge the font, press b for plain blocks, or use a dark ground.";
    sheet.paragraph(Role::Dim, 0, again).end();
    sheet.put(Role::Key, "b").put(Role::Overlay, " blocks  ").put(Role::Key, "Esc").put(Role::Overlay, " back");
}

fn too_small(unfit: Unfit, look: Look, area: Rect, buf: &mut Buffer, cx: &Shared) {
    let text = match unfit {
        Unfit::Window(columns, rows) => format!(
            "The smallest QR code of this template takes {columns} columns and {rows} rows, and the window has {} and {}. \
             Enlarge the window, or make the font smaller.",
            area.width, area.height
        ),
        Unfit::Text => "The template is longer than any QR code can hold.".to_owned(),
    };
    let width = 56.min(area.width.saturating_sub(4));
    let mut lines = wrap(&text, width);
    lines.extend(wrap("On the tab, y copies the template and w saves it.", width));
    let inside = window("QR code", width, lines.len() as u16 + 2, area, buf, cx);
    let mut sheet = Sheet::new(inside, buf, &cx.theme);
    for line in &lines {
        sheet.line(Role::Overlay, line);
    }
    sheet.down_to(inside.height.saturating_sub(1));
    if look == Look::Plain && !cx.ascii {
        sheet.put(Role::Key, "b").put(Role::Overlay, " half blocks   ");
    }
    sheet.put(Role::Key, "Esc").put(Role::Overlay, " back");
}
