//! Events and their parts as JSON objects: what `--events` prints and what a watcher of a job gets.

use serde_json::{Value, json};

use super::event::{Event, LinkState, What};
use crate::job::SectorState;
use crate::units::Span;

impl Event {
    /// The event as one object with its number and time; `None` for those that say nothing to others.
    pub fn json(&self) -> Option<Value> {
        let mut value = what_json(&self.what)?;
        let fields = value.as_object_mut()?;
        fields.insert("seq".to_owned(), self.seq.into());
        fields.insert("at_ms".to_owned(), (self.at.as_millis() as u64).into());
        Some(value)
    }
}

fn what_json(what: &What) -> Option<Value> {
    Some(match what {
        What::Link(state @ LinkState::Away { why, left, .. }) => {
            json!({"event": "link", "state": state.word(), "why": why, "left_s": left.as_secs()})
        }
        What::Link(state) => json!({"event": "link", "state": state.word()}),
        What::Identity(identity) => json!({"event": "identity", "identity": &**identity}),
        What::Protection(protection) => json!({"event": "protection", "protection": &**protection}),
        What::Started { id, title, changes_chip, .. } => {
            json!({"event": "started", "job": id, "title": title, "changes_chip": changes_chip})
        }
        What::Planned { id, plan } => json!({"event": "planned", "job": id, "plan": &**plan}),
        What::Phase { id, phase, done, total } => {
            json!({"event": "phase", "job": id, "phase": phase, "done": done, "total": total})
        }
        What::Progress { id, done } => json!({"event": "progress", "job": id, "done": done}),
        What::Sectors { id, span, state } => json!({"event": "sectors", "job": id, "span": span, "state": state}),
        What::Retried { id, count, what } => json!({"event": "retried", "job": id, "count": count, "what": what}),
        What::Slowed(speed) => json!({"event": "slowed", "speed": speed}),
        What::Supply { id, record } => json!({"event": "supply", "job": id, "supply": record}),
        What::Finished { id, result, left } => {
            let error = result.as_ref().err();
            let exit = error.map_or(0, |problem| problem.class.exit_code());
            json!({"event": "finished", "job": id, "exit": exit, "error": error, "left": runs_json(left)})
        }
        What::Refused { id, problem } => json!({"event": "refused", "job": id, "error": problem}),
        What::Wiring(report) => json!({"event": "wiring", "wiring": &**report}),
        What::Log(level, text) => json!({"event": "log", "level": level, "text": text}),
        What::Crashed(problem) => json!({"event": "crashed", "error": problem}),
        What::Closed => return None,
    })
}

/// Runs of sectors of the same state.
pub fn runs_json(runs: &[(Span, SectorState)]) -> Value {
    runs.iter().map(|(span, state)| json!({"span": span, "state": state})).collect()
}

impl LinkState {
    /// The word in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Opening(_) => "opening",
            Self::Open { .. } => "open",
            Self::Away { .. } => "away",
            Self::Lost(_) => "lost",
        }
    }
}
