//! A template as the device database of OpenBeken's web app has it (formats.md §13).

use serde_json::{Value, json};

use super::Template;

impl Template {
    /// The entry for the device database; what only the owner knows is left for them to fill in.
    pub fn to_database_entry(&self, name: Option<&str>) -> Value {
        let keywords: &[&str] = if self.tuyamcu { &["TuyaMCU"] } else { &[] };
        json!({
            "vendor": "Tuya",
            "bDetailed": "0",
            "name": name.unwrap_or("unnamed device"),
            "model": "",
            "chip": self.chip.as_deref().unwrap_or("unknown"),
            "board": self.board.as_deref().unwrap_or("unknown"),
            "flags": self.flags.to_string(),
            "keywords": keywords,
            "pins": self.pins(),
            "command": self.command(),
            "image": "",
            "wiki": "",
        })
    }

    /// Pins and start-up command alone, which is all that OpenBeken needs.
    pub fn to_short(&self) -> Value {
        let mut short = json!({"pins": self.pins()});
        if !self.commands.is_empty() {
            short["command"] = self.command().into();
        }
        short
    }
}
