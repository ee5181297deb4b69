//! The fast-connect record: the network the module was on last, plain or XOR-ed (formats.md §9).

use std::ops::Range;

use crate::image::bytes::all;

/// Bytes of a record.
pub const LEN: usize = 171;
/// The bytes newer N firmware XORs a record with, over and over.
const MASK: [u8; 8] = [0x55, 0xAA, 0x5A, 0x55, 0xA5, 0x4D, 0x63, 0x7F];

const SSID: Range<usize> = 0..33;
const PMK: Range<usize> = 41..106;
const PASSWORD: Range<usize> = 106..171;

/// How a record stands in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// XOR-ed with eight bytes.
    Xor8,
}

impl Encoding {
    /// The word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Xor8 => "xor8",
        }
    }
}

/// A record that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// File offset.
    pub offset: usize,
    /// How it stands there.
    pub encoding: Encoding,
    /// Network name.
    pub ssid: Vec<u8>,
    /// Password as it stands; a hash of it in some firmware.
    pub password: Vec<u8>,
    /// Key made from name and password, as text of 64 hex digits; as good as the password.
    pub pmk: Option<Vec<u8>>,
}

impl Record {
    /// Whether the password is text and not some hash or key.
    pub fn password_is_text(&self) -> bool {
        self.password.iter().all(|byte| (0x20..0x7F).contains(byte))
    }
}

/// Masks, or unmasks, bytes that stand `shift` bytes behind the start of a record.
pub fn masked(bytes: &[u8], shift: usize) -> Vec<u8> {
    bytes.iter().zip(MASK.iter().cycle().skip(shift % MASK.len())).map(|(byte, mask)| byte ^ mask).collect()
}

/// The record at file offset `offset`; `None` when nothing convincing stands there.
pub fn read(bytes: &[u8], offset: usize) -> Option<Record> {
    let raw = bytes.get(offset..offset.checked_add(LEN)?)?;
    if all(raw, 0xFF) || raw.starts_with(b"CFG") {
        return None;
    }
    [Encoding::Plain, Encoding::Xor8].into_iter().find_map(|encoding| {
        let plain: Vec<u8> = match encoding {
            Encoding::Plain => raw.to_vec(),
            Encoding::Xor8 => masked(raw, 0),
        };
        let ssid = to_nul(&plain[SSID]);
        let pmk = to_nul(&plain[PMK]);
        let pmk = (pmk.len() == 64 && pmk.iter().all(u8::is_ascii_hexdigit)).then(|| pmk.to_vec());
        let readable = |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| !text.chars().any(char::is_control));
        // Either mark alone is enough for a damaged record; chance gives neither.
        let named = !ssid.is_empty() && ssid.len() < SSID.len() && readable(ssid) && plain[SSID.end - 1] == 0;
        let convincing = pmk.is_some() || (named && plain[PASSWORD.end - 1] == 0 && plain[PMK.end - 1] == 0);
        convincing.then(|| Record {
            offset,
            encoding,
            ssid: ssid.to_vec(),
            password: to_nul(&plain[PASSWORD]).to_vec(),
            pmk,
        })
    })
}

fn to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let mut record = vec![0; LEN];
        record[..7].copy_from_slice(b"network");
        record[PMK.start..PMK.start + 64].copy_from_slice(&[b'a'; 64]);
        record[PASSWORD.start..PASSWORD.start + 8].copy_from_slice(b"password");
        record
    }

    #[test]
    fn a_record_is_read_plain_and_masked() {
        for (bytes, encoding) in [(record(), Encoding::Plain), (masked(&record(), 0), Encoding::Xor8)] {
            let found = read(&bytes, 0).unwrap();
            assert_eq!(found.encoding, encoding);
            assert_eq!((found.ssid.as_slice(), found.password.as_slice()), (&b"network"[..], &b"password"[..]));
            assert!(found.pmk.is_some() && found.password_is_text());
        }
    }

    #[test]
    fn erased_flash_zeroes_and_a_configuration_are_no_record() {
        assert!(read(&[0xFF; LEN], 0).is_none());
        assert!(read(&[0; LEN], 0).is_none());
        assert!(read(&record()[..LEN - 1], 0).is_none());
        let mut config = record();
        config[..3].copy_from_slice(b"CFG");
        assert!(read(&config, 0).is_none());
    }
}
