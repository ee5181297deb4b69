//! A question before something changes. Either `y`, or a text that has to be typed; Enter alone never agrees.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Overlay, window};
use crate::tui::effect::{Act, Response};
use crate::tui::keys;
use crate::tui::shared::Shared;
use crate::tui::theme::Role;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::sheet::{Sheet, wrap};

/// Makes what follows from the text typed.
type Then = Box<dyn FnOnce(String) -> Vec<Act>>;

/// How a person agrees.
enum Agree {
    /// With `y`.
    Yes,
    /// By typing this text.
    Typed { wanted: String, field: Field, wrong: bool },
}

/// A question with what happens after it is agreed to.
pub struct Confirm {
    title: String,
    text: Vec<String>,
    agree: Agree,
    then: Option<Then>,
}

impl Confirm {
    /// A question that is answered with `y`.
    pub fn yes(title: impl Into<String>, text: Vec<String>, then: Vec<Act>) -> Self {
        Self { title: title.into(), text, agree: Agree::Yes, then: Some(Box::new(|_| then)) }
    }

    /// A question that is answered by typing `wanted`.
    pub fn typed(
        title: impl Into<String>,
        text: Vec<String>,
        wanted: impl Into<String>,
        then: impl FnOnce(String) -> Vec<Act> + 'static,
    ) -> Self {
        let agree = Agree::Typed { wanted: wanted.into(), field: Field::default(), wrong: false };
        Self { title: title.into(), text, agree, then: Some(Box::new(then)) }
    }

    fn agreed(&mut self, typed: String) -> Response {
        let mut acts = vec![Act::Close];
        if let Some(then) = self.then.take() {
            acts.extend(then(typed));
        }
        Response::Taken(acts)
    }
}

impl Overlay for Confirm {
    fn key(&mut self, key: KeyEvent, _cx: &Shared) -> Response {
        if keys::is(&key, "esc") {
            return Response::act(Act::Close);
        }
        match &mut self.agree {
            Agree::Yes => {
                if keys::is(&key, "y") {
                    return self.agreed(String::new());
                }
                if keys::is(&key, "n") {
                    return Response::act(Act::Close);
                }
            }
            Agree::Typed { wanted, field, wrong } => {
                if keys::is(&key, "enter") {
                    let typed = field.text().trim().to_owned();
                    // A hash has no capitals, so they do not matter there; a phrase is typed as it stands.
                    if typed == *wanted || typed.to_ascii_lowercase() == *wanted {
                        return self.agreed(typed);
                    }
                    *wrong = true;
                    field.clear();
                } else if field.key(&key) {
                    *wrong = false;
                }
            }
        }
        Response::nothing()
    }

    fn paste(&mut self, text: &str) {
        if let Agree::Typed { field, .. } = &mut self.agree {
            field.paste(text);
        }
    }

    fn view(&self, area: Rect, buf: &mut Buffer, cx: &Shared) {
        let width = 64.min(area.width.saturating_sub(4));
        let lines: Vec<String> = self.text.iter().flat_map(|text| wrap(text, width)).collect();
        let inside = window(&self.title, width, lines.len() as u16 + 4, area, buf, cx);
        // What has to be pressed is never pushed out by what is explained.
        let (text, answer) = crate::tui::widgets::sheet::split_rows(inside, inside.height.saturating_sub(3));
        let mut sheet = Sheet::new(text, buf, &cx.theme);
        for line in &lines {
            sheet.line(Role::Overlay, line);
        }
        let mut sheet = Sheet::new(answer, buf, &cx.theme);
        match &self.agree {
            Agree::Yes => {
                sheet.end().put(Role::Key, "y").put(Role::Overlay, " do it   ");
            }
            Agree::Typed { wanted, field, wrong } => {
                let role = if *wrong { Role::Danger } else { Role::Overlay };
                let lead = if *wrong { "That was something else. Type" } else { "To agree, type" };
                sheet.put(role, format!("{lead} {wanted} and press Enter")).end();
                sheet.put(Role::Overlay, "> ");
                let place = Rect { x: answer.x + 2, width: answer.width.saturating_sub(2), ..sheet.rest() };
                field.render(place, sheet.buffer(), &cx.theme);
                sheet.end();
            }
        }
        if matches!(self.agree, Agree::Typed { .. }) {
            sheet.put(Role::Key, "Enter").put(Role::Overlay, " agree   ");
        }
        sheet.put(Role::Key, "Esc").put(Role::Overlay, " back, nothing is changed");
    }
}
