//! A line of text that can be edited.

use crossterm::event::{Event, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use crate::tui::theme::{Role, Theme};

/// A text field. Keys it does not know are left to others.
#[derive(Clone, Debug, Default)]
pub struct Field {
    input: Input,
    /// The text was put there by the program: the first character typed replaces it.
    fresh: bool,
}

impl Field {
    /// A field with a text that the first character typed replaces.
    pub fn prefilled(text: &str) -> Self {
        Self { input: Input::new(text.to_owned()), fresh: !text.is_empty() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Empties the field.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a key; false when the key means nothing to a text field.
    pub fn key(&mut self, key: &KeyEvent) -> bool {
        use crossterm::event::{KeyCode, KeyModifiers};
        let typed = matches!(key.code, KeyCode::Char(_))
            && !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        if self.fresh && typed {
            self.input.reset();
        }
        let taken = self.input.handle_event(&Event::Key(*key)).is_some();
        self.fresh &= !taken;
        taken
    }

    /// Inserts pasted text without its control characters.
    pub fn paste(&mut self, text: &str) {
        if std::mem::take(&mut self.fresh) {
            self.input.reset();
        }
        for c in text.chars().filter(|c| !c.is_control()) {
            self.input.handle(tui_input::InputRequest::InsertChar(c));
        }
    }

    /// Draws the field with its cursor as a reversed cell, so that it is seen without colour and without the
    /// terminal's own cursor.
    pub fn render(&self, area: Rect, buf: &mut Buffer, theme: &Theme) {
        let area = Rect { height: 1, ..area }.intersection(buf.area);
        if area.width < 2 || area.height == 0 {
            return;
        }
        let style = theme.style(Role::Field);
        buf.set_string(area.x, area.y, " ".repeat(area.width.into()), style);
        let scroll = self.input.visual_scroll(usize::from(area.width) - 1);
        let shown: String = self.input.value().chars().skip(scroll).collect();
        buf.set_stringn(area.x, area.y, shown, usize::from(area.width), style);
        let cursor = area.x + (self.input.visual_cursor().saturating_sub(scroll) as u16).min(area.width - 1);
        if let Some(cell) = buf.cell_mut((cursor, area.y)) {
            cell.set_style(style.add_modifier(Modifier::REVERSED));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::press;

    #[test]
    fn the_first_character_typed_replaces_a_prefilled_text() {
        let mut field = Field::prefilled("pin");
        assert_eq!(field.text(), "pin");
        field.key(&press("x"));
        field.key(&press("y"));
        assert_eq!(field.text(), "xy");
    }

    #[test]
    fn a_prefilled_text_can_be_edited_instead() {
        let mut field = Field::prefilled("pin");
        field.key(&press("backspace"));
        field.key(&press("t"));
        assert_eq!(field.text(), "pit");
    }

    #[test]
    fn pasted_control_characters_are_dropped() {
        let mut field = Field::default();
        field.paste("a\x1b[31mb\n");
        assert_eq!(field.text(), "a[31mb");
    }
}
