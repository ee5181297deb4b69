//! Where output goes: a JSON document or text on stdout; text for people on stderr when stdout carries JSON.

use std::io::Write;

use serde_json::{Value, json};

use crate::problem::Problem;
use crate::session::Event;

/// How this run prints.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// JSON on stdout.
    pub json: bool,
    /// One object per line, as things happen.
    pub events: bool,
}

impl Out {
    /// A line for people beside the result: on stderr.
    pub fn say_aside(self, line: impl AsRef<str>) {
        print_aside(line.as_ref());
    }

    /// The result: `document` as JSON with `schema` in front, or `text` for people.
    pub fn result(self, document: Value, text: impl FnOnce() -> String) {
        if !self.json {
            print(clean(&text()).trim_end());
            return;
        }
        let mut whole = json!({"schema": 1});
        if let (Some(whole), Value::Object(fields)) = (whole.as_object_mut(), document) {
            whole.extend(fields);
        }
        self.document(&whole);
    }

    /// A failure, with further fields for the document.
    pub fn problem(self, problem: &Problem, aside: Option<Value>) {
        if self.json {
            let mut whole = json!({"schema": 1, "error": problem});
            if let (Some(whole), Some(Value::Object(fields))) = (whole.as_object_mut(), aside) {
                whole.extend(fields);
            }
            self.document(&whole);
        }
        print_aside(&problem.to_string());
    }

    /// An event, when events are wanted.
    pub fn event(self, event: &Event) {
        if self.events
            && let Some(value) = event.json()
        {
            print(&value.to_string());
        }
    }

    fn document(self, value: &Value) {
        let text = if self.events { value.to_string() } else { format!("{value:#}") };
        print(&text);
    }
}

/// A reader that went away (`| head`) is no failure of ours.
pub(super) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// A line on stderr, which may be a terminal that was closed long ago.
pub(super) fn print_aside(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", clean(text));
}

/// Bytes from a device or a file never reach the terminal raw (product.md rule 12).
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '·' } else { c }).collect()
}
