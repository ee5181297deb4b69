//! Templates that are there already: what OpenBeken's configuration on a module has set, and a template's text.

use super::roles::{ROLES, Spelling, by_name};
use super::{Line, Template, lint};
use crate::image::family::Family;
use crate::image::openbeken::Config;

impl Template {
    /// The pins, flags and start-up command of a configuration. A start-up command that sets a password stays out; a
    /// note says so.
    pub fn configured(config: &Config, chip: Option<Family>) -> Self {
        let mut template = Self {
            chip: chip.filter(|chip| *chip != Family::Other).map(|chip| chip.name().to_owned()),
            flags: config.flags(),
            ..Self::default()
        };
        for set in config.pins() {
            let Some(role) = ROLES.get(usize::from(set.role_number)) else {
                let what = format!("pin {}: role {} is newer than this program and is left out", set.pin, set.role);
                template.notes.push(what);
                continue;
            };
            if set.channel2 != 0 {
                template.notes.push(format!("pin {}: second channel {} is left out", set.pin, set.channel2));
            }
            let reason = format!("pin {}: set in OpenBeken's configuration", set.pin);
            let key = format!("pin {}", set.pin);
            template.lines.push(Line { pin: set.pin, role, channel: set.channel, key, reason });
        }
        if config.start_up_is_secret() {
            template.notes.push("the start-up command sets a password and is left out".to_owned());
        } else {
            template.commands.extend(Some(config.start_up()).filter(|command| !command.is_empty()));
        }
        template
    }

    /// The template that a text is; what cannot be read of it is left out, and what the linter says is a note.
    pub fn given(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_start_matches('\u{feff}');
        let checked = lint::check(text, None);
        let whole: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let word = |name: &str| whole[name].as_str().map(str::to_owned).filter(|word| !word.is_empty());
        let line = |(pin, value): (&u8, &String)| {
            let mut parts = value.split(';');
            let (Spelling::Right(role) | Spelling::Odd(role)) = by_name(parts.next()?) else { return None };
            let channel = parts.next().and_then(|channel| channel.parse().ok()).unwrap_or(0);
            let key = format!("pin {pin}");
            Some(Line { pin: *pin, role, channel, reason: format!("{key}: as the template says"), key })
        };
        Some(Self {
            chip: word("chip"),
            board: word("board"),
            lines: checked.pins.iter().filter_map(line).collect(),
            commands: word("command").into_iter().collect(),
            flags: word("flags").and_then(|flags| flags.parse().ok()).unwrap_or(0),
            tuyamcu: text.to_lowercase().contains("tuyamcu"),
            notes: checked.lints.into_iter().map(|lint| format!("line {}: {}", lint.line, lint.what)).collect(),
        })
        .filter(|given| !given.lines.is_empty() || given.tuyamcu || !given.commands.is_empty())
    }
}
