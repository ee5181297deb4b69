//! Which values of the store are secrets (formats.md §9 and §14), and where they stand. Values never leave this
//! module in a Debug text.

use std::fmt;
use std::ops::Range;

use memchr::memmem;

use super::Tuya;
use super::kv::{PAGE_LEN, PAGES};
use crate::image::bytes::cut;

/// What every character of a blanked text is.
pub const BLANK: u8 = b'*';
/// Longest text looked at.
const LONGEST: usize = 512;

/// Names of fields that are secrets wherever they stand.
const FIELDS: [&str; 17] = [
    "ssid",
    "passwd",
    "pwsd",
    "password",
    "psk",
    "psk_key",
    "auth_key",
    "fac_pin",
    "uuid",
    "token",
    "reg_key",
    "lckey",
    "hs_psk",
    "mq_psk",
    "psk21_key",
    "ap_passwd",
    "bt_mac",
];

/// Fields of the live store whose path and length are told.
const PATHS: [(&str, &[&str]); 4] = [
    ("gw_bi", &["uuid", "psk_key", "auth_key", "fac_pin", "ap_passwd", "bt_mac"]),
    ("gw_wsm", &["ssid", "passwd", "token", "reg_key"]),
    ("gw_ai", &["key", "lckey", "hs_psk", "mq_psk", "psk21_key"]),
    ("gw_di", &["id"]),
];

/// How much of a value of the store is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Nothing.
    Open,
    /// One field.
    Field(&'static str),
    /// All of it.
    Whole,
}

/// How much of the value `name` is secret.
pub fn secrecy(name: &str) -> Secrecy {
    match name {
        "gw_di" => Secrecy::Field("id"),
        "gw_wsm" | "gw_ai" | "gw_bi" | "wf_pt" | "tuya_seed" | "ble_beaconkey" | "ap_info_v2" | "bt_encrpt_v2" => {
            Secrecy::Whole
        }
        name if name.starts_with("localkey") || name.starts_with("kv.") => Secrecy::Whole,
        _ => Secrecy::Open,
    }
}

/// Whether a field of this name is a secret wherever it stands.
pub fn is_secret_field(name: &[u8]) -> bool {
    FIELDS.iter().any(|field| field.as_bytes() == name)
}

/// A text value in JSON: `"name":"text"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where the name stands.
    pub name: Range<usize>,
    /// Where the text stands, without its quotes.
    pub text: Range<usize>,
}

/// Every text value in `bytes`, whether the JSON around it is whole or not. Empty texts are left out.
pub fn json_texts(bytes: &[u8]) -> Vec<Text> {
    memmem::find_iter(bytes, b"\":").filter_map(|colon| json_text(bytes, colon)).collect()
}

fn json_text(bytes: &[u8], colon: usize) -> Option<Text> {
    let before = cut(bytes, colon.saturating_sub(64), colon);
    let name = before.iter().rposition(|byte| *byte == b'"')?;
    let name = colon - before.len() + name + 1..colon;
    let blanks = bytes[colon + 2..].iter().take_while(|byte| **byte == b' ').count();
    let start = colon + 2 + blanks;
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let start = start + 1;
    let mut end = start;
    loop {
        match bytes.get(end)? {
            b'"' => break,
            b'\\' => end += 2,
            0 | 0xFF => return None,
            _ => end += 1,
        }
        if end > start + LONGEST {
            return None;
        }
    }
    (end > start && end <= bytes.len()).then_some(Text { name, text: start..end })
}

/// A network name or password in a page of the store, live or not.
#[derive(Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// `ssid` or `passwd`.
    pub field: &'static str,
    /// File offset; decryption keeps every byte in its place.
    pub offset: usize,
    /// The text as it stands there.
    pub text: Vec<u8>,
    /// What the text is the Base64 form of.
    pub decoded: Option<Vec<u8>>,
}

impl fmt::Debug for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes at {:#X}", self.field, self.text.len(), self.offset)
    }
}

/// Every network name and password in the pages of the store. Texts that go over two pages are left out.
pub fn occurrences(tuya: &Tuya) -> Vec<Occurrence> {
    let mut found = Vec::new();
    for block in tuya.store.iter().flat_map(|store| &store.blocks) {
        for page in 1..PAGES {
            let bytes = block.page(page);
            for text in json_texts(bytes) {
                let field = match &bytes[text.name] {
                    b"ssid" => "ssid",
                    b"passwd" => "passwd",
                    _ => continue,
                };
                let value = &bytes[text.text.clone()];
                if !is_blank(value) {
                    found.push(Occurrence {
                        field,
                        offset: block.offset + usize::from(page) * PAGE_LEN + text.text.start,
                        text: value.to_vec(),
                        decoded: base64_decoded(value),
                    });
                }
            }
        }
    }
    found
}

/// Whether a text was blanked already.
pub fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == BLANK)
}

/// A secret of the live store.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveSecret {
    /// Value and field: `gw_bi.uuid`.
    pub path: String,
    /// The text.
    pub text: Vec<u8>,
}

/// The identity and cloud values in the live store that redaction must remove.
pub fn live(tuya: &Tuya) -> Vec<LiveSecret> {
    let Some(store) = &tuya.store else { return Vec::new() };
    let mut found = Vec::new();
    for (name, fields) in PATHS {
        let Some(entry) = store.live().find(|entry| entry.name == name) else { continue };
        let texts = json_texts(&entry.value);
        for field in fields {
            let text = texts.iter().find(|text| entry.value[text.name.clone()] == *field.as_bytes());
            let text = text.map(|text| &entry.value[text.text.clone()]).filter(|text| !is_blank(text));
            found.extend(text.map(|text| LiveSecret { path: format!("{name}.{field}"), text: text.to_vec() }));
        }
    }
    found
}

/// Decodes Base64 with padding; `None` when it is none, or when what comes out is no text.
pub fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut decoded, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    let readable = std::str::from_utf8(&decoded).is_ok_and(|text| !text.chars().any(char::is_control));
    (readable && !decoded.is_empty()).then_some(decoded)
}

/// Encodes Base64 with padding.
pub fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for piece in bytes.chunks(3) {
        let byte = |at: usize| u32::from(piece.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let shown = digit <= piece.len();
            text.push(if shown { DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] } else { b'=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for (plain, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), text.as_bytes());
            assert_eq!(base64_decoded(text.as_bytes()).unwrap(), plain.as_bytes());
        }
        for none in ["", "Zg=", "Zm9", "Zm9\n", "AAAA"] {
            assert_eq!(base64_decoded(none.as_bytes()), None, "{none:?}");
        }
    }

    #[test]
    fn texts_are_found_in_whole_and_in_broken_json() {
        let bytes = br#"sid":"half","passwd": "a\"b","md":0,"token":null,"x":"cut"#;
        let found: Vec<(&[u8], &[u8])> =
            json_texts(bytes).into_iter().map(|text| (&bytes[text.name], &bytes[text.text])).collect();
        assert_eq!(found, [(&b"passwd"[..], &br#"a\"b"#[..])]);
    }

    #[test]
    fn the_documented_values_are_secret() {
        for name in ["gw_wsm", "gw_ai", "gw_bi", "tuya_seed", "localkey.meta.syn", "kv.meta.report", "wf_pt"] {
            assert_eq!(secrecy(name), Secrecy::Whole, "{name}");
        }
        assert_eq!(secrecy("gw_di"), Secrecy::Field("id"));
        for name in ["user_param_key", "baud_cfg", "em_sys_env"] {
            assert_eq!(secrecy(name), Secrecy::Open, "{name}");
        }
    }
}
