//! The contract of a tab.

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::session::Event;
use crate::tui::effect::{Act, Response};
use crate::tui::keys::KeyLine;
use crate::tui::msg::Done;
use crate::tui::shared::Shared;

/// Which tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TabId {
    /// Pads and pins.
    Wiring,
    /// Links and identity.
    Connect,
    /// Hex view and search.
    Dump,
    /// Status registers.
    Protect,
    /// Plan and write.
    Flash,
    /// Pins and template.
    Config,
}

/// A tab. Tabs never see each other: they read [`Shared`] and answer with [`Act`]s.
pub trait Tab {
    /// Which it is.
    fn id(&self) -> TabId;

    /// Its title.
    fn title(&self) -> &'static str;

    /// Its keys, for the help.
    fn keys(&self) -> Vec<KeyLine>;

    /// The keys that are most useful now, for the line of hints.
    fn hints(&self, cx: &Shared) -> Vec<KeyLine>;

    /// Takes a key.
    fn key(&mut self, key: KeyEvent, cx: &Shared) -> Response;

    /// Whether a text field has the keys, so that not even `q` or a number goes past it.
    fn typing(&self) -> bool {
        false
    }

    /// Takes pasted text.
    fn paste(&mut self, _text: &str) {}

    /// Hears what the session told; `cx` has it already.
    fn heard(&mut self, _event: &Event, _cx: &Shared) -> Vec<Act> {
        Vec::new()
    }

    /// Hears what a worker finished; `cx` has it already.
    fn done(&mut self, _done: &Done, _cx: &Shared) -> Vec<Act> {
        Vec::new()
    }

    /// Shows an offset; only the Dump tab can.
    fn show(&mut self, _at: u32, _cx: &Shared) {}

    /// Takes a press of the left mouse button, or its move while it is held.
    fn mouse(&mut self, _mouse: &MouseEvent, _cx: &Shared) -> Response {
        Response::Ignored
    }

    /// Draws itself.
    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared);
}
