//! Checks the text of a template as people paste it into forums: broken JSON, fragments, old role names, pins named
//! twice, meter pins that do not fit together (formats.md §13). Every complaint has a line, a column and a remedy.

mod scan;

use std::collections::BTreeMap;

use serde::Serialize;

use super::limits::{self, HIGHEST_CHANNEL, HIGHEST_PIN};
use super::roles::{self, Spelling};
use super::{Template, boards};
use crate::image::family::Family;
use crate::image::finding::Severity;
use crate::image::tuya::module_family;
use scan::{Node, Scanned};

/// Something wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// How much it weighs.
    pub severity: Severity,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What is wrong, in the order of the text.
    pub lints: Vec<Lint>,
    /// The pins that could be read: GPIO number to role and channels, in today's spelling.
    pub pins: BTreeMap<u8, String>,
}

impl Checked {
    /// Whether OpenBeken would take the text as it stands.
    pub fn is_usable(&self) -> bool {
        self.lints.iter().all(|lint| lint.severity != Severity::Error)
    }
}

const REQUIRED: [&str; 5] = ["vendor", "name", "chip", "board", "pins"];

/// Checks `text`. `factory` is the template recovered from the device's own dump, when there is one: pins that differ
/// from it are named.
pub fn check(text: &str, factory: Option<&Template>) -> Checked {
    let Scanned { root, errors } = scan::scan(text);
    let mut checker = Checker { text, lints: Vec::new(), pins: BTreeMap::new(), chip: None, board: None };
    for error in errors {
        checker.error(error.at, error.what, error.remedy);
    }
    match &root {
        Some(Node::Object { pairs, .. }) => checker.device(pairs),
        _ => checker.error(0, "no template in the text", "paste the whole text, from { to }"),
    }
    checker.board();
    checker.meter_pins(factory);
    if let Some(factory) = factory {
        checker.compare(factory);
    }
    checker.lints.sort_by_key(|(at, lint)| (*at, lint.severity == Severity::Warning));
    let pins = checker.pins.into_iter().map(|(pin, found)| (pin, found.value)).collect();
    Checked { lints: checker.lints.into_iter().map(|(_, lint)| lint).collect(), pins }
}

struct Pin {
    at: usize,
    role: Option<&'static str>,
    channel: Option<u8>,
    value: String,
}

struct Checker<'a> {
    text: &'a str,
    lints: Vec<(usize, Lint)>,
    pins: BTreeMap<u8, Pin>,
    chip: Option<(usize, String)>,
    board: Option<(usize, String)>,
}

impl Checker<'_> {
    fn push(&mut self, severity: Severity, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.lints.push((at, Lint { severity, line, column, what: what.into(), remedy: remedy.into() }));
    }

    fn error(&mut self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Error, at, what, remedy);
    }

    fn warning(&mut self, at: usize, what: impl Into<String>, remedy: impl Into<String>) {
        self.push(Severity::Warning, at, what, remedy);
    }

    fn device(&mut self, pairs: &[scan::Pair]) {
        let find = |name: &str| pairs.iter().find(|pair| pair.name == name);
        let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| find(name).is_none()).collect();
        if !missing.is_empty() {
            let what = format!("missing: {}", missing.join(", "));
            self.warning(0, what, "OpenBeken takes the pins alone; the device list wants all five fields");
        }
        for (number, pair) in pairs.iter().enumerate() {
            if pairs[..number].iter().any(|earlier| earlier.name == pair.name) {
                self.error(pair.at, format!("{} stands here twice", pair.name), "remove one of them");
            }
            match (pair.name.as_str(), &pair.value) {
                ("chip", Node::Text { text, .. }) => self.chip = Some((pair.at, text.clone())),
                ("board", Node::Text { text, .. }) => self.board = Some((pair.at, text.clone())),
                _ => {}
            }
            match (pair.name.as_str(), &pair.value) {
                ("pins", Node::Object { pairs, .. }) => self.pins(pairs),
                ("pins", _) => self.error(pair.at, "pins is no object", "write \"pins\": { \"6\": \"Rel;1\" }"),
                ("chip", Node::Text { text, .. }) if !text.starts_with("BK7") => {
                    let known = ["BL", "W8", "W6", "XR", "LN", "ESP", "TR", "RTL", "ECR", "RDA", "BL602"];
                    if !known.iter().any(|start| text.starts_with(start)) {
                        self.warning(pair.at, format!("{text:?} is no chip of OpenBeken"), "write BK7231T or BK7231N");
                    }
                }
                ("bDetailed", Node::Text { text, .. }) if !matches!(text.as_str(), "0" | "1") => {
                    self.warning(pair.at, "bDetailed is neither \"0\" nor \"1\"", "write \"0\"");
                }
                ("flags", Node::Text { text, .. }) if text.parse::<u64>().is_err() => {
                    self.warning(pair.at, "flags is no decimal number", "write \"0\", or the sum of the flags");
                }
                ("bDetailed" | "flags" | "chip" | "board" | "vendor" | "name", Node::Other) => {
                    let remedy = "put the value between quotes";
                    self.warning(pair.at, format!("{} is no text", pair.name), remedy);
                }
                _ => {}
            }
        }
    }

    fn pins(&mut self, pairs: &[scan::Pair]) {
        for pair in pairs {
            let pin = match pair.name.trim().parse::<u8>() {
                Ok(pin) if pin <= HIGHEST_PIN => pin,
                Ok(pin) => {
                    self.error(pair.at, format!("pin {pin} does not exist"), "BK7231T and BK7231N have pins 0 to 28");
                    continue;
                }
                Err(_) => {
                    self.error(
                        pair.at,
                        format!("{:?} is no pin number", pair.name),
                        "write the number, such as \"26\"",
                    );
                    continue;
                }
            };
            let Node::Text { text, at } = &pair.value else {
                self.error(pair.at, format!("pin {pin}: no role"), "write \"Role;channel\" between quotes");
                continue;
            };
            let found = self.pin(pin, text, *at);
            if self.pins.insert(pin, found).is_some() {
                self.error(pair.at, format!("pin {pin} stands here twice; the later line wins"), "remove one of them");
            }
        }
    }

    fn pin(&mut self, pin: u8, text: &str, at: usize) -> Pin {
        let mut parts = text.split(';');
        let name = parts.next().unwrap_or_default();
        let role = match roles::by_name(name) {
            Spelling::Right(role) => Some(role),
            Spelling::Odd(role) => {
                self.warning(at, format!("pin {pin}: {name:?} is written {role} today"), format!("write {role}"));
                Some(role)
            }
            Spelling::Unknown(alike) => {
                let what = format!("pin {pin}: {name:?} is no role of OpenBeken");
                self.error(at, what, format!("did you mean {alike}?"));
                None
            }
        };
        let mut numbers = Vec::new();
        for part in parts {
            match part.trim().parse::<u8>() {
                Ok(channel) if channel <= HIGHEST_CHANNEL => numbers.push(channel),
                _ => self.error(at, format!("pin {pin}: {part:?} is no channel"), "channels are 0 to 63"),
            }
        }
        if numbers.is_empty() {
            self.warning(at, format!("pin {pin}: no channel"), "write the channel behind a semicolon, such as Rel;1");
        } else if numbers.len() > 2 {
            self.error(at, format!("pin {pin}: more than two channels"), "write Role;channel or Role;channel;channel2");
        }
        let channels: Vec<String> = numbers.iter().map(u8::to_string).collect();
        let value = [&[role.unwrap_or(name).to_owned()], &channels[..]].concat().join(";");
        Pin { at, role, channel: numbers.first().copied(), value }
    }

    /// Chip, module and pins belong together.
    fn board(&mut self) {
        let chip = self.chip.take();
        let family = chip.as_ref().and_then(|(_, chip)| {
            [Family::Bk7231T, Family::Bk7231N]
                .into_iter()
                .find(|family| chip.trim().eq_ignore_ascii_case(family.name()))
        });
        let board = self.board.take();
        let known = board.as_ref().and_then(|(_, board)| boards::by_name(board));
        let of_board = known
            .map(|board| board.family)
            .or_else(|| module_family(&board.as_ref()?.1))
            .filter(|family| *family != Family::Other);
        if let (Some((at, _)), Some((_, name)), Some(family), Some(of_board)) = (&chip, &board, family, of_board)
            && family != of_board
        {
            let what = format!("board {name} has a {of_board}, and chip says {family}");
            self.warning(*at, what, format!("write chip {of_board}, or the board that is in the device"));
        }
        let lacking = known.map(|board| {
            let pins = self.pins.iter().filter(|(pin, _)| !board.has(**pin));
            (board.name, pins.map(|(pin, found)| (*pin, found.at)).collect::<Vec<_>>())
        });
        for (name, (pin, at)) in
            lacking.into_iter().flat_map(|(name, pins)| pins.into_iter().map(move |pin| (name, pin)))
        {
            let remedy = "check the number of the pin, and the board";
            self.warning(at, format!("pin {pin}: a {name} has no pad for it"), remedy);
        }
        let Some(family) = family.or(of_board) else { return };
        let misfits: Vec<(usize, String)> = self
            .pins
            .iter()
            .filter_map(|(pin, found)| {
                let role = roles::number_of(found.role?)?;
                limits::check(family, *pin, role, [0, 0]).err().map(|misfit| (found.at, misfit.to_string()))
            })
            .collect();
        for (at, what) in misfits {
            self.error(at, what, "give the role to a pin that has it, or another role to this pin");
        }
    }

    /// CF, CF1 and SEL belong together, and an inverted SEL is rare.
    fn meter_pins(&mut self, factory: Option<&Template>) {
        let place = |wanted: &str| self.pins.values().find(|pin| pin.role == Some(wanted)).map(|pin| pin.at);
        let (cf, cf1) = (place("BL0937CF"), place("BL0937CF1"));
        let (select, inverted) = (place("BL0937SEL"), place("BL0937SEL_n"));
        if let (Some(_), Some(at)) = (select, inverted) {
            self.error(at, "both BL0937SEL and BL0937SEL_n", "the meter has one select pin; keep one of them");
        } else if let Some(at) = inverted
            && !factory.is_some_and(|factory| factory.lines.iter().any(|line| line.role == "BL0937SEL_n"))
        {
            self.warning(
                at,
                "BL0937SEL_n inverts the select pin: voltage and current change places",
                "write BL0937SEL, unless the factory configuration says sel_pin_lv:0",
            );
        }
        let there = [cf, cf1, select.or(inverted)];
        if let Some(at) = there.into_iter().flatten().next()
            && there.contains(&None)
        {
            let remedy = "a BL0937 needs BL0937CF, BL0937CF1 and BL0937SEL";
            self.warning(at, "only a part of the meter's three pins", remedy);
        }
    }

    fn compare(&mut self, factory: &Template) {
        let mut differing: Vec<(usize, String, String)> = Vec::new();
        for line in &factory.lines {
            let says = format!("write {}, as the device's own configuration says ({})", line.value(), line.reason);
            match self.pins.get(&line.pin) {
                None => differing.push((0, format!("pin {} is missing", line.pin), says)),
                Some(pin)
                    if pin.role != Some(line.role) || pin.channel.is_some_and(|channel| channel != line.channel) =>
                {
                    differing.push((pin.at, format!("pin {}: {} differs from the device", line.pin, pin.value), says));
                }
                Some(_) => {}
            }
        }
        for (at, what, remedy) in differing {
            self.warning(at, what, remedy);
        }
        let extra: Vec<(usize, u8)> = self
            .pins
            .iter()
            .filter(|(pin, _)| factory.lines.iter().all(|line| line.pin != **pin))
            .map(|(pin, found)| (found.at, *pin))
            .collect();
        for (at, pin) in extra {
            let remedy = "check it by hand";
            self.warning(at, format!("pin {pin} is not in the device's own configuration"), remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::template::Line;

    fn whats(text: &str) -> Vec<String> {
        check(text, None).lints.into_iter().map(|lint| format!("{}:{} {}", lint.line, lint.column, lint.what)).collect()
    }

    const GOOD: &str = r#"{
  "vendor": "LEDVANCE", "bDetailed": "0", "name": "Plug", "model": "AC28208",
  "chip": "BK7231T", "board": "WB2S", "flags": "1024", "keywords": [],
  "pins": { "6": "BL0937CF1;0", "7": "BL0937CF;0", "24": "BL0937SEL;0", "26": "Rel;1" },
  "command": ""
}"#;

    #[test]
    fn a_good_template_has_no_complaints() {
        let checked = check(GOOD, None);
        assert_eq!(checked.lints, []);
        assert_eq!(checked.pins[&26], "Rel;1");
    }

    #[test]
    fn a_missing_comma_is_named_with_its_place_and_the_rest_is_still_read() {
        let text = GOOD.replace("\"BL0937CF;0\", \"24\"", "\"BL0937CF;0\" \"24\"");
        let checked = check(&text, None);
        assert_eq!(checked.lints.len(), 1, "{:?}", checked.lints);
        let lint = &checked.lints[0];
        assert_eq!((lint.line, lint.severity), (4, Severity::Error));
        assert!(lint.what.contains("comma"), "{lint:?}");
        assert_eq!(lint.column, text.lines().nth(3).unwrap().find(" \"24\"").unwrap() + 1);
        assert_eq!(checked.pins.len(), 4);
    }

    #[test]
    fn an_inverted_select_pin_is_doubted_and_proven_wrong_by_the_dump() {
        let text = GOOD.replace("BL0937SEL;0", "BL0937SEL_n;0");
        let doubted = check(&text, None);
        assert!(doubted.is_usable() && doubted.lints[0].what.contains("BL0937SEL_n"), "{doubted:?}");
        let line = |pin, role, channel| Line { pin, role, channel, key: String::new(), reason: String::new() };
        let lines = vec![line(6, "BL0937CF1", 0), line(7, "BL0937CF", 0), line(24, "BL0937SEL", 0), line(26, "Rel", 1)];
        let factory = Template { lines, ..Template::default() };
        let checked = check(&text, Some(&factory));
        assert!(checked.lints.iter().any(|lint| lint.what.contains("differs from the device")), "{checked:?}");
        assert_eq!(check(GOOD, Some(&factory)).lints, []);
        // Where the device itself says that its select pin is active low, there is nothing to doubt.
        let mut low = factory;
        low.lines[2].role = "BL0937SEL_n";
        assert_eq!(check(&text, Some(&low)).lints, []);
    }

    #[test]
    fn fragments_old_names_and_double_pins_are_told() {
        let found =
            whats("\"pins\": { \"6\": \"Button;1\", \"6\": \"Rel;1\", \"8\": \"Reley;2\", \"40\": \"Rel;1\", }");
        let expected = ["missing: vendor", "is written Btn today", "stands here twice", "is no role", "does not exist"];
        for part in expected {
            assert!(found.iter().any(|what| what.contains(part)), "{part} in {found:?}");
        }
        assert!(!check("hello", None).is_usable());
    }

    #[test]
    fn chip_board_and_pins_have_to_go_together() {
        for (from, to, what) in [
            ("BK7231T", "BK7231N", "board WB2S has a BK7231T, and chip says BK7231N"),
            ("WB2S", "CB3S", "board CB3S has a BK7231N, and chip says BK7231T"),
            ("WB2S", "CBXYZ", "board CBXYZ has a BK7231N, and chip says BK7231T"),
            ("\"26\": \"Rel;1\"", "\"14\": \"Rel;1\"", "pin 14: a WB2S has no pad for it"),
            ("\"26\": \"Rel;1\"", "\"10\": \"PWM;1\"", "P10 cannot be PWM"),
            ("\"26\": \"Rel;1\"", "\"26\": \"BAT_ADC;1\"", "P26 cannot be BAT_ADC"),
        ] {
            let found = whats(&GOOD.replace(from, to));
            assert!(found.iter().any(|found| found.contains(what)), "{what} in {found:?}");
        }
        for (from, to) in [("WB2S", "on PCB"), ("BK7231T", "BL602"), ("\"26\": \"Rel;1\"", "\"26\": \"PWM_n;1\"")] {
            assert_eq!(whats(&GOOD.replace(from, to)), [] as [String; 0], "{to}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_panic(text in "[\\{\\}\\[\\]\":,a-z0-9; \n\\\\é]{0,120}") {
            check(&text, None);
        }

        #[test]
        fn a_good_template_with_one_byte_gone_is_taken_without_panic(at in 0..GOOD.len()) {
            let mut text = GOOD.to_owned();
            text.remove(at);
            check(&text, None);
        }
    }
}
