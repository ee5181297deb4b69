//! Texts that people have instead of a dump: a pin map as it is copied out of a hex view, the JSON of a device, the
//! template of one, the list of many. Known by content, never by name.

use serde_json::{Map, Value};

use super::tuya::param::{self, UserParam};

/// Longest text that is looked at, in bytes; the public list of devices has less than a tenth of it.
const LONGEST: usize = 8 * 1024 * 1024;
/// Names under which the JSON of a device keeps its pin map.
const PIN_MAPS: [&str; 2] = ["user_param_key", "device_configuration"];

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// A pin map, bare or as JSON.
    Pins,
    /// JSON of a device with its pin map inside.
    Device,
    /// A template of OpenBeken, whole or in part.
    Template,
    /// A list of templates.
    List,
}

/// What a text is; `None` when it is none of these, or no text at all.
pub fn recognise(bytes: &[u8]) -> Option<TextKind> {
    let text = text_of(bytes)?;
    if let Ok(Value::Object(map)) = serde_json::from_str(text) {
        return of_json(&map);
    }
    // Broken JSON, or the bare notation: by the marks that only one of them has.
    if param::parse(text.as_bytes()).has_pins() {
        let device = PIN_MAPS.iter().any(|name| text.contains(name));
        return Some(if device { TextKind::Device } else { TextKind::Pins });
    }
    if text.contains("\"devices\"") {
        return Some(TextKind::List);
    }
    (text.contains("\"pins\"") || names_a_role(text)).then_some(TextKind::Template)
}

/// The text of a file, without the mark of its byte order.
fn text_of(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // A short look first: most files are no text.
    if bytes.len() > LONGEST || bytes.iter().take(256).any(|byte| *byte == 0) {
        return None;
    }
    std::str::from_utf8(bytes).ok().filter(|text| !text.trim().is_empty() && !text.contains('\0'))
}

fn of_json(map: &Map<String, Value>) -> Option<TextKind> {
    if map.get("devices").is_some_and(Value::is_array) {
        return Some(TextKind::List);
    }
    if map.get("pins").is_some_and(Value::is_object) {
        return Some(TextKind::Template);
    }
    if inner(map).is_some() {
        return Some(TextKind::Device);
    }
    let fragment = !map.is_empty() && map.iter().all(|(pin, role)| pin.parse::<u8>().is_ok() && role.is_string());
    if fragment {
        return Some(TextKind::Template);
    }
    let text = serde_json::to_string(map).ok()?;
    param::parse(text.as_bytes()).has_pins().then_some(TextKind::Pins)
}

/// `"26": "Rel;1"`, as in a fragment of a template.
fn names_a_role(text: &str) -> bool {
    text.split('"').collect::<Vec<_>>().windows(3).any(|parts| {
        let pin = parts[0].trim().parse::<u8>().is_ok();
        pin && parts[1].trim() == ":" && parts[2].contains(';')
    })
}

/// The pin map inside the JSON of a device.
fn inner(map: &Map<String, Value>) -> Option<&Value> {
    PIN_MAPS.iter().find_map(|name| map.get(*name)).filter(|value| value.is_object() || value.is_string())
}

/// The pin map of a text, and the text it was read from.
pub fn pin_map(bytes: &[u8]) -> Option<(UserParam, String)> {
    let text = text_of(bytes)?;
    let text = match serde_json::from_str(text) {
        Ok(Value::Object(map)) => match inner(&map) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => text.to_owned(),
        },
        _ => PIN_MAPS.iter().find_map(|name| after(text, name)).unwrap_or(text).to_owned(),
    };
    let found = param::parse(text.as_bytes());
    found.has_pins().then_some((found, text))
}

/// What stands behind a name in broken JSON.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let behind = &text[text.find(name)? + name.len()..];
    behind.find('{').map(|brace| &behind[brace..])
}

/// What a device calls itself in its JSON: maker and name.
pub fn device_name(bytes: &[u8]) -> Option<String> {
    let Ok(Value::Object(map)) = serde_json::from_str(text_of(bytes)?) else { return None };
    let word = |name: &str| map.get(name).and_then(Value::as_str).filter(|word| !word.trim().is_empty());
    let words: Vec<&str> = [word("manufacturer").or(word("vendor")), word("name")].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_by_its_content() {
        for (text, kind) in [
            ("{rl1_pin:26,rl1_lv:1,module:WB2S,crc:104,}", Some(TextKind::Pins)),
            ("user data: {rl1_pin:26,rl1_lv:1,}\r\n", Some(TextKind::Pins)),
            ("\u{feff}{\"rl1_pin\": 26, \"module\": \"WB2S\"}", Some(TextKind::Pins)),
            ("{rlypin:6,btpin:26,module:CB3S}", Some(TextKind::Pins)),
            ("{\"device_configuration\": {\"rl1_pin\": 26}}", Some(TextKind::Device)),
            ("{\"name\": \"plug\", \"user_param_key\": \"{rl1_pin:26,crc:1,}\"}", Some(TextKind::Device)),
            ("{\"device_configuration\": {\"rl1_pin\": 26, \"rl1_", Some(TextKind::Device)),
            ("{\"pins\": {\"26\": \"Rel;1\"}}", Some(TextKind::Template)),
            ("\"pins\": {\"26\": \"Rel;1\"", Some(TextKind::Template)),
            ("\"26\": \"Rel;1\", \"8\": \"Btn;1\"", Some(TextKind::Template)),
            ("{\"26\": \"Rel;1\"}", Some(TextKind::Template)),
            ("{\"version\": 1, \"devices\": []}", Some(TextKind::List)),
            ("hello", None),
            ("{\"a\": 1}", None),
            ("", None),
            ("rl1_pin:26\0", None),
        ] {
            assert_eq!(recognise(text.as_bytes()), kind, "{text}");
        }
        assert_eq!(recognise(&[0xFF; 300]), None);
    }

    #[test]
    fn the_pins_are_read_however_they_are_wrapped() {
        for text in [
            "{rl1_pin:26,rl1_lv:1,module:WB2S,crc:104,}",
            "{\"rl1_pin\": 26, \"rl1_lv\": 1, \"module\": \"WB2S\"}",
            "{\"name\": \"x\", \"device_configuration\": {\"rl1_pin\": 26, \"rl1_lv\": 1, \"module\": \"WB2S\"}}",
            "{\"user_param_key\": \"{rl1_pin:26,rl1_lv:1,module:WB2S,}\"}",
            "{\"device_configuration\": {\"rl1_pin\": 26, \"rl1_lv\": 1, \"module\": \"WB2S\", \"cr",
        ] {
            let (found, _) = pin_map(text.as_bytes()).expect(text);
            assert_eq!(
                (found.number("rl1_pin"), found.number("rl1_lv"), found.text("module")),
                (Some(26), Some(1), Some("WB2S")),
                "{text}"
            );
        }
    }

    #[test]
    fn the_name_of_a_device_is_that_of_its_json() {
        let text = br#"{"manufacturer": "Acme", "name": "Plug", "device_configuration": {"rl1_pin": 26}}"#;
        assert_eq!(device_name(text).as_deref(), Some("Acme Plug"));
        assert_eq!(device_name(b"{rl1_pin:26}"), None);
    }
}
