//! `user_param_key`: the pin map of a Tuya device, in a notation like JSON without quotes (formats.md §10). The parser
//! takes damaged text too and tells what it left out and where.

use std::ops::Range;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::image::bytes::grow;

/// Levels of brackets that are followed; real texts have three.
const DEEPEST: usize = 8;
/// Longest text looked at around a mark, each way.
const LONGEST: usize = 4096;
/// What stands in such a text and hardly anywhere else (formats.md §9).
const MARKS: [&[u8]; 8] =
    [b",crc:", b"{crc:", b",module:", b"{module:", b"Jsonver:", b"\"crc\":", b"\"module\":", b"\"Jsonver\":"];

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A decimal integer without leading zero.
    Number(i64),
    /// Everything else.
    Text(String),
    /// `[…]`
    List(Vec<Value>),
    /// `{…}`
    Object(Vec<(String, Value)>),
}

impl Value {
    fn from_token(token: &str) -> Self {
        let digits = token.strip_prefix('-').unwrap_or(token);
        let plain = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match token.parse() {
            Ok(number) if plain => Self::Number(number),
            _ => Self::Text(token.to_owned()),
        }
    }

    /// The number; numbers in old nested texts may be `true` and `false`.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(pairs) => serialize_pairs(pairs, serializer),
        }
    }
}

fn serialize_pairs<S: Serializer>(pairs: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(pairs.len()))?;
    for (name, value) in pairs {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// A place where the text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Offset in the text.
    pub at: usize,
    /// What is wrong there, and what was done.
    pub what: &'static str,
}

/// A parsed text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserParam {
    /// Names and values in their order; a name may stand there twice.
    pub pairs: Vec<(String, Value)>,
    /// What was wrong.
    pub repairs: Vec<Repair>,
    /// Of the oldest kind, which wraps all of it in `sw` and every value in `value`.
    pub wrapped: bool,
}

impl UserParam {
    /// The last value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The last value of `name`, when it is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.number()
    }

    /// The last value of `name`, when it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it names at least one pin, and so is more than a chance find.
    pub fn has_pins(&self) -> bool {
        self.pairs.iter().any(|(name, value)| {
            // `rl1_pin`, and `rlypin2` of the oldest generation.
            let named = name.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with("pin")
                || matches!(name.as_str(), "iicscl" | "iicsda" | "ir" | "mosi");
            named && value.number().is_some_and(|pin| (0..64).contains(&pin))
        })
    }
}

impl Serialize for UserParam {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_pairs(&self.pairs, serializer)
    }
}

/// Parses a text; what stands behind its closing brace is ignored.
pub fn parse(text: &[u8]) -> UserParam {
    let mut parser = Parser { text, at: 0, repairs: Vec::new() };
    match text.iter().position(|byte| *byte == b'{') {
        Some(start) => {
            if start > 0 && text[..start].iter().any(|byte| !byte.is_ascii_whitespace()) {
                parser.repair(0, "left out: text before the opening brace");
            }
            parser.at = start + 1;
        }
        None => parser.repair(0, "the opening brace is missing"),
    }
    let pairs = parser.object(0);
    let nested = pairs.iter().any(|(_, value)| matches!(value, Value::Object(_)));
    let wrapped = matches!(pairs.as_slice(), [(name, Value::Object(_))] if name == "sw");
    let pairs = if nested { flattened(pairs) } else { pairs };
    UserParam { pairs, repairs: parser.repairs, wrapped }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    repairs: Vec<Repair>,
}

/// A token, and whether it is whole.
enum Token {
    Whole(String),
    Damaged,
    CutOff,
}

impl Parser<'_> {
    fn repair(&mut self, at: usize, what: &'static str) {
        self.repairs.push(Repair { at, what });
    }

    /// The next byte; NULs and erased bytes end the text.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.text.get(self.at).copied().filter(|_| !self.ended())
    }

    fn ended(&self) -> bool {
        match self.text.get(self.at..) {
            None | Some([] | [0] | [0xFF]) => true,
            Some([first, second, ..]) => first == second && matches!(first, 0 | 0xFF),
            Some(_) => false,
        }
    }

    fn object(&mut self, depth: usize) -> Vec<(String, Value)> {
        let mut pairs = Vec::new();
        loop {
            let start = self.at;
            match self.peek() {
                None => {
                    self.repair(start, "the text is cut off: its closing brace is missing");
                    return pairs;
                }
                Some(b'}') => {
                    self.at += 1;
                    return pairs;
                }
                Some(b',') => self.at += 1,
                Some(b':' | b'[' | b']' | b'{') => {
                    self.repair(self.at, "left out: a stray bracket or colon");
                    self.at += 1;
                }
                Some(_) => pairs.extend(self.pair(depth)),
            }
        }
    }

    fn pair(&mut self, depth: usize) -> Option<(String, Value)> {
        let start = self.at;
        let name = self.token();
        if self.peek() != Some(b':') {
            self.repair(start, "left out: a name without a value");
            return None;
        }
        self.at += 1;
        let value = match self.peek() {
            Some(b'{') if depth < DEEPEST => {
                self.at += 1;
                Some(Value::Object(self.object(depth + 1)))
            }
            Some(b'[') if depth < DEEPEST => {
                self.at += 1;
                Some(Value::List(self.list(depth + 1)))
            }
            Some(b',' | b'}') | None => None,
            Some(_) => match self.token() {
                Token::Whole(token) => Some(Value::from_token(&token)),
                Token::Damaged => None,
                Token::CutOff => {
                    self.repair(start, "left out: the last value may be cut off");
                    return None;
                }
            },
        };
        match (name, value) {
            (Token::Whole(name), Some(value)) => Some((name, value)),
            _ => {
                self.repair(start, "left out: a pair with damaged bytes or without a value");
                None
            }
        }
    }

    fn list(&mut self, depth: usize) -> Vec<Value> {
        let mut values = Vec::new();
        loop {
            let start = self.at;
            match self.peek() {
                None => {
                    self.repair(start, "the text is cut off inside a list");
                    return values;
                }
                Some(b']') => {
                    self.at += 1;
                    return values;
                }
                Some(b'}') => {
                    self.repair(start, "the closing bracket of a list is missing");
                    return values;
                }
                Some(b',') => self.at += 1,
                Some(b'[') if depth < DEEPEST => {
                    self.at += 1;
                    let inner = self.list(depth + 1);
                    values.push(Value::List(inner));
                }
                Some(b'{') if depth < DEEPEST => {
                    self.at += 1;
                    let inner = self.object(depth + 1);
                    values.push(Value::Object(inner));
                }
                Some(b':' | b'[' | b'{') => {
                    self.repair(start, "left out: a stray bracket or colon");
                    self.at += 1;
                }
                Some(_) => match self.token() {
                    Token::Whole(token) => values.push(Value::from_token(&token)),
                    Token::Damaged | Token::CutOff => self.repair(start, "left out: a damaged value in a list"),
                },
            }
        }
    }

    /// Bytes up to the next bracket, colon or comma; between quotes, if it starts with one, up to the other.
    fn token(&mut self) -> Token {
        let quoted = self.text.get(self.at) == Some(&b'"');
        if quoted {
            self.at += 1;
        }
        let start = self.at;
        let mut damaged = false;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' if quoted => {
                    let token = &self.text[start..self.at];
                    self.at += 1;
                    return finished(token, damaged);
                }
                b'{' | b'}' | b'[' | b']' | b':' | b',' if !quoted => break,
                _ if self.ended() => break,
                0x20..0x7F => self.at += 1,
                _ => {
                    damaged = true;
                    self.at += 1;
                }
            }
        }
        if self.at >= self.text.len() || self.ended() {
            return Token::CutOff;
        }
        finished(&self.text[start..self.at], damaged)
    }
}

fn finished(token: &[u8], damaged: bool) -> Token {
    match std::str::from_utf8(token) {
        Ok(text) if !damaged && !text.trim().is_empty() => Token::Whole(text.trim().to_owned()),
        _ => Token::Damaged,
    }
}

/// The old nested style in the names of the flat one (formats.md §10).
fn flattened(pairs: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    flatten("", pairs, &mut flat);
    flat
}

fn flatten(prefix: &str, pairs: Vec<(String, Value)>, flat: &mut Vec<(String, Value)>) {
    for (name, value) in pairs {
        let name = if prefix.is_empty() { name } else { format!("{prefix}_{name}") };
        match value {
            Value::Object(inner) => flatten(&name, inner, flat),
            Value::List(values) if values.iter().any(|value| matches!(value, Value::Object(_))) => {
                let numbered = values.into_iter().enumerate().map(|(number, value)| (number.to_string(), value));
                flatten(&name, numbered.collect(), flat);
            }
            Value::Text(text) if text == "true" => flat.push((renamed(&name), Value::Number(1))),
            Value::Text(text) if text == "false" => flat.push((renamed(&name), Value::Number(0))),
            value => flat.push((renamed(&name), value)),
        }
    }
}

fn renamed(name: &str) -> String {
    // The oldest texts wrap all of it in `sw`, and every value in `value`.
    let name = name.strip_prefix("sw_").unwrap_or(name);
    let name = name.strip_suffix("_value").unwrap_or(name);
    const WHOLE: [(&str, &str); 6] = [
        ("dltj_epin_pin", "ele_pin"),
        ("dltj_ivpin_pin", "vi_pin"),
        ("dltj_ivcpin_pin", "sel_pin_pin"),
        ("dltj_ivcpin_lv", "sel_pin_lv"),
        ("dltj_ct", "chip_type"),
        ("dltj_ri", "resistor"),
    ];
    if let Some((_, new)) = WHOLE.iter().find(|(old, _)| *old == name) {
        return (*new).to_owned();
    }
    if let Some(rest) = name.strip_prefix("net_wfst") {
        return format!("netled{rest}");
    }
    let channel = name.strip_prefix("ch_").and_then(|rest| {
        let (number, rest) = rest.split_once('_')?;
        let number: u8 = number.parse().ok().filter(|number| *number < 4)?;
        let (kind, rest) = rest.split_at_checked(2).filter(|(kind, _)| matches!(*kind, "rl" | "bt"))?;
        Some(format!("{kind}{}{rest}", number + 1))
    });
    channel.unwrap_or_else(|| name.to_owned())
}

/// Where in `bytes` such texts stand in the open, by their marks, widened to the bytes that cannot belong to them.
pub fn find_texts(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for mark in MARKS {
        for at in memchr::memmem::find_iter(bytes, mark) {
            if found.iter().any(|place| place.contains(&at)) {
                continue;
            }
            let around = grow(bytes, at, LONGEST, |byte| (0x20..0x7F).contains(&byte));
            let before = &bytes[around.start..at + 1];
            let start = before.iter().position(|byte| *byte == b'{').map_or(around.start, |brace| around.start + brace);
            let text = start..around.end;
            if parse(&bytes[text.clone()]).has_pins() {
                found.push(text);
            }
        }
    }
    found.sort_by_key(|place| place.start);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: i64) -> Value {
        Value::Number(value)
    }

    fn pairs(text: &str) -> Vec<(String, Value)> {
        parse(text.as_bytes()).pairs
    }

    #[test]
    fn integers_without_leading_zero_are_numbers_all_else_is_text() {
        let found = parse(b"{a:5,b:0,c:0505,d:1.0.5,e:1e,f:false,g:-3,2235ccur:2,}\0\0");
        assert_eq!(found.repairs, []);
        for (name, value) in [("a", 5), ("b", 0), ("g", -3), ("2235ccur", 2)] {
            assert_eq!(found.number(name), Some(value), "{name}");
        }
        for (name, value) in [("c", "0505"), ("d", "1.0.5"), ("e", "1e"), ("f", "false")] {
            assert_eq!(found.text(name), Some(value), "{name}");
        }
    }

    #[test]
    fn arrays_nest_and_regular_json_reads_the_same() {
        let bare = pairs("{irfunset:[[6,02],[7,1e],],module:CBU,rl1_pin:26}");
        let quoted = pairs(r#"{ "irfunset": [[6,"02"], [7,"1e"]], "module": "CBU", "rl1_pin": 26 }"#);
        assert_eq!(bare, quoted);
        let text = |text: &str| Value::Text(text.into());
        let rows = vec![Value::List(vec![number(6), text("02")]), Value::List(vec![number(7), text("1e")])];
        assert_eq!(bare[0].1, Value::List(rows));
    }

    #[test]
    fn a_cut_off_text_loses_only_its_last_pair() {
        for cut in ["{rl1_pin:26,bt1_pin:1", "{rl1_pin:26,bt1_pi", "{rl1_pin:26,bt1_pin:"] {
            let found = parse(cut.as_bytes());
            assert_eq!(found.pairs, [("rl1_pin".to_owned(), number(26))], "{cut}");
            assert!(found.repairs.iter().any(|repair| repair.at >= 12), "{cut}: {:?}", found.repairs);
        }
    }

    #[test]
    fn a_damaged_pair_is_left_out_with_its_offset() {
        let found = parse(b"{rl1_pin:26,bt1\x80pin:10,led1_pin:\x01,ele_pin:7,}");
        let names: Vec<&str> = found.pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["rl1_pin", "ele_pin"]);
        assert_eq!(found.repairs.iter().map(|repair| repair.at).collect::<Vec<_>>(), [12, 23]);
    }

    #[test]
    fn the_old_nested_style_gets_the_names_of_the_flat_one() {
        let found =
            pairs("{ch:[{rl:{pin:26,lv:true},bt:{pin:10}}],net:{wfst:{pin:8,lv:false}},dltj:{ivcpin:{pin:24}}}");
        let expected = [("rl1_pin", 26), ("rl1_lv", 1), ("bt1_pin", 10), ("netled_pin", 8), ("netled_lv", 0)];
        for (name, value) in expected {
            assert!(found.contains(&(name.to_owned(), number(value))), "{name} in {found:?}");
        }
        assert!(found.contains(&("sel_pin_pin".to_owned(), number(24))));
    }

    #[test]
    fn texts_are_found_by_their_marks() {
        let mut bytes = vec![0x80; 100];
        bytes.extend(b"{rl1_pin:26,module:WB2S,crc:5,}ZZZZ");
        bytes.resize(300, 0);
        bytes.extend(b"the word ,module: alone proves nothing");
        let found = find_texts(&bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].start, 100);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            parse(&bytes);
            find_texts(&bytes);
        }

        #[test]
        fn a_cut_never_invents_a_value(cut in 0_usize..64) {
            let whole = b"{rl1_pin:26,bt1_pin:10,irfunset:[[6,02],[7,1e],],module:WB2S,c:1,}";
            let full = parse(whole);
            for (name, value) in parse(&whole[..cut]).pairs {
                if name != "irfunset" {
                    prop_assert_eq!(Some(&value), full.get(&name));
                }
            }
        }
    }
}
