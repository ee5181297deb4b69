//! Where output goes: a JSON document or text on stdout; text for people on stderr when stdout carries JSON.

use std::io::Write;

use serde_json::{Value, json};

use crate::problem::Problem;
use crate::session::{Event, What};

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
        eprintln!("{}", clean(line.as_ref()));
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
        eprintln!("{}", clean(&problem.to_string()));
    }

    /// An event, when events are wanted.
    pub fn event(self, event: &Event) {
        if self.events
            && let Some(mut value) = event_json(&event.what)
            && let Some(fields) = value.as_object_mut()
        {
            fields.insert("seq".to_owned(), event.seq.into());
            fields.insert("at_ms".to_owned(), (event.at.as_millis() as u64).into());
            print(&value.to_string());
        }
    }

    fn document(self, value: &Value) {
        let text = if self.events { value.to_string() } else { format!("{value:#}") };
        print(&text);
    }
}

/// A reader that went away (`| head`) is no failure of ours.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Bytes from a device or a file never reach the terminal raw (product.md rule 12).
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '·' } else { c }).collect()
}

fn event_json(what: &What) -> Option<Value> {
    Some(match what {
        What::Link(state) => json!({"event": "link", "state": link_word(state)}),
        What::Identity(identity) => json!({"event": "identity", "identity": &**identity}),
        What::Protection(protection) => json!({"event": "protection", "protection": &**protection}),
        What::Started { id, title, .. } => json!({"event": "started", "job": id, "title": title}),
        What::Planned { id, plan } => json!({"event": "planned", "job": id, "plan": &**plan}),
        What::Phase { id, phase, total } => json!({"event": "phase", "job": id, "phase": phase, "total": total}),
        What::Progress { id, done } => json!({"event": "progress", "job": id, "done": done}),
        What::Sectors { id, span, state } => json!({"event": "sectors", "job": id, "span": span, "state": state}),
        What::Retried { id, count, what } => json!({"event": "retried", "job": id, "count": count, "what": what}),
        What::Slowed(speed) => json!({"event": "slowed", "speed": speed}),
        What::Finished { id, result, left } => {
            let left: Vec<Value> = left.iter().map(|(span, state)| json!({"span": span, "state": state})).collect();
            json!({"event": "finished", "job": id, "error": result.as_ref().err(), "left": left})
        }
        What::Refused { id, problem } => json!({"event": "refused", "job": id, "error": problem}),
        What::Log(level, text) => json!({"event": "log", "level": level, "text": text}),
        What::Crashed(problem) => json!({"event": "crashed", "error": problem}),
        What::Closed => return None,
    })
}

fn link_word(state: &crate::session::LinkState) -> &'static str {
    use crate::session::LinkState;
    match state {
        LinkState::Closed => "closed",
        LinkState::Opening(_) => "opening",
        LinkState::Open { .. } => "open",
        LinkState::Lost(_) => "lost",
    }
}
