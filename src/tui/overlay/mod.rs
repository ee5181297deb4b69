//! What lies on top of a tab and takes every key until it is closed.

mod choose;
mod confirm;
mod help;
mod journey;
mod jump_list;
mod pick_file;
mod problem;
mod qr;
mod quit;
mod reader;
mod save_as;

pub use choose::Choose;
pub use confirm::Confirm;
pub use help::Help;
pub use journey::JourneyList;
pub use jump_list::JumpList;
pub use pick_file::PickFile;
pub use problem::ProblemBox;
pub use qr::QrCode;
pub use quit::Quit;
pub use reader::Reader;
pub use save_as::SaveAs;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::effect::{Act, Response};
use super::msg::Done;
use super::shared::Shared;
use super::theme::Role;
use super::widgets::sheet::Sheet;

/// The contract of an overlay.
pub trait Overlay {
    /// Takes a key. `Esc` closes without harm.
    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response;

    /// Takes pasted text.
    fn paste(&mut self, _text: &str) {}

    /// Hears that a worker finished something.
    fn done(&mut self, _done: &Done, _cx: &Shared) -> Vec<Act> {
        Vec::new()
    }

    /// Draws itself over `area`, the whole window.
    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared);
}

/// Clears a box in the middle of `area` and frames it; returns its inside. Where the window is small the box takes
/// all of it.
fn window(title: &str, width: u16, height: u16, area: Rect, buf: &mut Buffer, cx: &Shared) -> Rect {
    let width = (width + 4).min(area.width);
    let height = (height + 2).min(area.height);
    let outer = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let style = cx.theme.style(Role::Overlay);
    for y in outer.top()..outer.bottom() {
        for x in outer.left()..outer.right() {
            if let Some(cell) = buf.cell_mut((x, y)) {
                cell.reset();
                cell.set_style(style);
            }
        }
    }
    let edge = |left: &str, right: &str| format!("{left}{}{right}", "─".repeat(usize::from(width.saturating_sub(2))));
    let mut sheet = Sheet::new(outer, buf, &cx.theme);
    sheet.line(Role::Overlay, edge("┌", "┐"));
    for _ in 2..height {
        sheet.put(Role::Overlay, "│").to(width - 1).line(Role::Overlay, "│");
    }
    sheet.put(Role::Overlay, edge("└", "┘"));
    let mut top = Sheet::new(Rect { x: outer.x + 2, width: width.saturating_sub(4), ..outer }, buf, &cx.theme);
    top.put(Role::Strong, format!(" {title} "));
    Rect { x: outer.x + 2, y: outer.y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) }
}
