//! What a loader answers, and which answer belongs to which request.

use super::request::Request;

/// A frame from the chip whose header and lengths are right. Whether it belongs to a request is for
/// [`Request::accepts`] to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `04 0E RR 01 E0 FC op data`.
    Short {
        /// Opcode.
        opcode: u8,
        /// What follows it.
        data: Vec<u8>,
    },
    /// `04 0E FF 01 E0 FC F4 NN NN op status data`.
    Long {
        /// Opcode.
        opcode: u8,
        /// Status byte, see [`status_meaning`].
        status: u8,
        /// What follows it.
        data: Vec<u8>,
    },
}

impl Reply {
    /// The flash address at which the loader says it has erased or programmed something; `None` for every other reply,
    /// refusals included. An address that nobody sent, or such a reply to a question, means that a byte of a request was
    /// damaged on its way: frames carry no check sum (§4.2). One flipped bit makes a sector read (09) a sector erase (0B),
    /// at the very address that was to be read; the same flip in the answer leaves a whole sector behind it, and is none.
    pub fn changed_at(&self) -> Option<u32> {
        let Self::Long { opcode, status: 0, data } = self else { return None };
        let echo = match (opcode, data.as_slice()) {
            (0x06, [echo @ .., _]) => echo,
            (0x07 | 0x0B, echo) => echo,
            (0x0F, [_, echo @ ..]) => echo,
            (0x0A, _) => return Some(0),
            _ => return None,
        };
        Some(u32::from_le_bytes(echo.try_into().ok()?))
    }
}

/// A reply that answers a request, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'r> {
    /// Done; nothing more to say. No proof that the flash changed (§5).
    Done,
    /// A register's value.
    Register(u32),
    /// The chip's CRC.
    Crc(u32),
    /// The loader's version, padding removed.
    Version(String),
    /// Flash content.
    Data(&'r [u8]),
    /// A status register of the flash.
    StatusRegister(u8),
    /// The JEDEC id.
    FlashId([u8; 3]),
    /// A status byte other than 00.
    Refused(u8),
    /// The loader does not know this opcode.
    Unsupported,
}

/// What a status byte means (§5).
pub const fn status_meaning(status: u8) -> &'static str {
    match status {
        0x00 => "OK",
        0x01 => "flash busy",
        0x02 => "SPI transfer timed out",
        0x03 => "flash operation timed out",
        0x04 => "length field wrong",
        0x05 => "fewer bytes arrived than announced",
        0x06 => "bad parameter, or inside the loader's own range",
        0x07 => "opcode not implemented",
        0x08 => "internal error",
        0x09 => "flash write error",
        0x0A => "protected area",
        _ => "unknown status",
    }
}

/// What an unknown short opcode is answered with.
const UNKNOWN_COMMAND: u8 = 0x07;

impl Request<'_> {
    /// The answer a reply holds for this request, or `None` when the reply belongs to another one (an answer to an
    /// earlier request that came too late is the common case, §14).
    pub fn accepts<'r>(&self, reply: &'r Reply) -> Option<Answer<'r>> {
        match reply {
            Reply::Short { opcode, data } if !self.is_long() => self.accepts_short(*opcode, data),
            Reply::Long { opcode, status, data } if self.is_long() && *opcode == self.opcode() => {
                self.accepts_long(*status, data)
            }
            _ => None,
        }
    }

    fn accepts_short(&self, opcode: u8, data: &[u8]) -> Option<Answer<'static>> {
        // The link check is answered with opcode 01, which it shares with the register write; the length tells (§6.1).
        if matches!(self, Self::LinkCheck) {
            return (opcode == 0x01 && data == [0]).then_some(Answer::Done);
        }
        if opcode != self.opcode() {
            return None;
        }
        if data == [UNKNOWN_COMMAND] {
            return Some(Answer::Unsupported);
        }
        match *self {
            Self::ReadReg { at } => {
                let (echo, value) = data.split_first_chunk::<4>()?;
                let value = <[u8; 4]>::try_from(value).ok()?;
                // The BK7236 boot ROM echoes one address byte one too high.
                let near = |(echoed, sent): (&u8, u8)| *echoed == sent || *echoed == sent.wrapping_add(1);
                let same = echo.iter().zip(at.to_le_bytes()).all(near);
                same.then(|| Answer::Register(u32::from_le_bytes(value)))
            }
            Self::WriteReg { at, value } => {
                let (echo, echoed) = data.split_first_chunk::<4>()?;
                (*echo == at.to_le_bytes() && *echoed == value.to_le_bytes()).then_some(Answer::Done)
            }
            Self::SetBaud { baud, settle_ms } => {
                let (echo, settle) = data.split_first_chunk::<4>()?;
                (*echo == baud.to_le_bytes() && *settle == [settle_ms]).then_some(Answer::Done)
            }
            Self::Crc { .. } => Some(Answer::Crc(u32::from_le_bytes(data.try_into().ok()?))),
            Self::BootVersion if data.len() > 1 => Some(Answer::Version(version_text(data))),
            Self::StayRom => (data == [0x55]).then_some(Answer::Done),
            _ => None,
        }
    }

    fn accepts_long<'r>(&self, status: u8, data: &'r [u8]) -> Option<Answer<'r>> {
        if status != 0 {
            return self.may_be_refused(data).then_some(Answer::Refused(status));
        }
        match *self {
            Self::Read4k { at } => addressed(data, at).filter(|data| data.len() == 4096).map(Answer::Data),
            Self::Read { at, len } => {
                addressed(data, at).filter(|data| data.len() == usize::from(len)).map(Answer::Data)
            }
            Self::Write { at, data: sent } => {
                // One byte of length: a full page shows as 00 (§6.2).
                let written = sent.bytes().len() as u8;
                addressed(data, at).filter(|rest| *rest == [written]).map(|_| Answer::Done)
            }
            Self::Write4k { at, .. } | Self::EraseSector { at } => {
                addressed(data, at).filter(|rest| rest.is_empty()).map(|_| Answer::Done)
            }
            Self::Erase { code, at } => {
                let (size, rest) = data.split_first()?;
                (*size == code.byte() && rest == at.to_le_bytes()).then_some(Answer::Done)
            }
            Self::ReadStatus { register } => match data {
                [echo, value] if *echo == register => Some(Answer::StatusRegister(*value)),
                _ => None,
            },
            Self::WriteStatus(write) => {
                let (register, values) = data.split_first()?;
                (*register == write.opcode && values == write.values()).then_some(Answer::Done)
            }
            // Byte 0 came in while the opcode went out. One tool accepts an answer without it.
            Self::FlashId => match data {
                [_, a, b, c] | [a, b, c] => Some(Answer::FlashId([*a, *b, *c])),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether an error answer with this body can belong to the request. The bodies are short, and the basic loader
    /// spoils the two low address bytes of a refused sector write.
    fn may_be_refused(&self, data: &[u8]) -> bool {
        let echoes = |data: &[u8], at: u32| {
            let [_, _, high, top] = at.to_le_bytes();
            data.get(2..4) == Some(&[high, top])
        };
        data.is_empty()
            || match *self {
                Self::Write4k { at, .. } => echoes(data, at),
                Self::Read4k { at } | Self::Read { at, .. } | Self::Write { at, .. } | Self::EraseSector { at } => {
                    addressed(data, at).is_some()
                }
                Self::Erase { at, .. } => data.get(1..5) == Some(&at.to_le_bytes()),
                Self::ReadStatus { register } => data.first() == Some(&register),
                Self::WriteStatus(write) => data.first() == Some(&write.opcode),
                _ => true,
            }
    }
}

/// What follows the echoed address, if the address is the expected one.
fn addressed(data: &[u8], at: u32) -> Option<&[u8]> {
    data.strip_prefix(&at.to_le_bytes())
}

/// Printable characters of a version reply; the rest is padding.
fn version_text(data: &[u8]) -> String {
    let text: String = data.iter().filter(|byte| (0x20..0x7F).contains(*byte)).map(|byte| char::from(*byte)).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::request::{EraseCode, PageBytes};
    use super::*;

    fn short(opcode: u8, data: &[u8]) -> Reply {
        Reply::Short { opcode, data: data.to_vec() }
    }

    fn long(opcode: u8, status: u8, data: &[u8]) -> Reply {
        Reply::Long { opcode, status, data: data.to_vec() }
    }

    #[test]
    fn a_link_check_takes_its_own_answer_and_not_that_of_a_register_write() {
        let written = short(0x01, &[0x74, 0, 0x80, 0, 1, 2, 3, 4]);
        assert_eq!(Request::LinkCheck.accepts(&short(0x01, &[0])), Some(Answer::Done));
        assert_eq!(Request::LinkCheck.accepts(&written), None);
        let write = Request::WriteReg { at: 0x0080_0074, value: 0x0403_0201 };
        assert_eq!(write.accepts(&written), Some(Answer::Done));
        assert_eq!(write.accepts(&short(0x01, &[0])), None);
    }

    #[test]
    fn a_register_echo_may_be_one_too_high_but_not_two() {
        let read = Request::ReadReg { at: 0x4401_0004 };
        let reply = |low: u8| short(0x03, &[low, 0, 1, 0x44, 0x36, 0x72, 0, 0]);
        assert_eq!(read.accepts(&reply(0x04)), Some(Answer::Register(0x7236)));
        assert_eq!(read.accepts(&reply(0x05)), Some(Answer::Register(0x7236)));
        assert_eq!(read.accepts(&reply(0x06)), None);
    }

    #[test]
    fn an_answer_for_another_address_is_dropped() {
        let mut body = 0x1_1000_u32.to_le_bytes().to_vec();
        body.extend_from_slice(&[0x5A; 4096]);
        let reply = long(0x09, 0, &body);
        assert_eq!(Request::Read4k { at: 0x1_1000 }.accepts(&reply), Some(Answer::Data(&[0x5A; 4096])));
        assert_eq!(Request::Read4k { at: 0x1_2000 }.accepts(&reply), None);
        assert_eq!(Request::Erase { code: EraseCode::Sector, at: 0x1_1000 }.accepts(&reply), None);
        let other = long(0x0F, 0, &[0x20, 0, 0x20, 1, 0]);
        assert_eq!(Request::Erase { code: EraseCode::Sector, at: 0x1_1000 }.accepts(&other), None);
    }

    #[test]
    fn a_change_is_reported_with_its_address_whatever_was_asked() {
        assert_eq!(long(0x0F, 0, &[0x20, 0x00, 0x20, 0x00, 0x00]).changed_at(), Some(0x2000));
        assert_eq!(long(0x0F, 6, &[0x20, 0x00, 0x20, 0x00, 0x00]).changed_at(), None, "it was refused");
        assert_eq!(long(0x07, 0, &[0x00, 0x20, 0x01, 0x00]).changed_at(), Some(0x1_2000));
        assert_eq!(long(0x0B, 0, &[0x00, 0x10, 0x00, 0x00]).changed_at(), Some(0x1000), "a read with a bit flipped");
        assert_eq!(long(0x0B, 0, &[0x5A; 4100]).changed_at(), None, "the answer to a read with a bit flipped");
        assert_eq!(long(0x09, 0, &[0x00, 0x10, 0x00, 0x00, 0x55]).changed_at(), None);
        assert_eq!(long(0x07, 0, &[0x00]).changed_at(), None, "its address is cut off");
    }

    #[test]
    fn a_page_of_256_bytes_is_acknowledged_with_00() {
        let page = [0; 256];
        let write = Request::Write { at: 0x1000, data: PageBytes::new(&page).expect("fits") };
        assert_eq!(write.accepts(&long(0x06, 0, &[0, 0x10, 0, 0, 0])), Some(Answer::Done));
        assert_eq!(write.accepts(&long(0x06, 0, &[0, 0x10, 0, 0, 16])), None);
    }

    #[test]
    fn a_guarded_address_is_answered_with_status_06_in_every_shape() {
        let read = Request::Read4k { at: 0 };
        assert_eq!(read.accepts(&long(0x09, 0x06, &[0, 0, 0, 0, 0])), Some(Answer::Refused(6)));
        let sector = [0; 4096];
        let write = Request::Write4k { at: 0x1000, data: &sector };
        assert_eq!(write.accepts(&long(0x07, 0x06, &[0x00, 0x20, 0, 0])), Some(Answer::Refused(6)));
        assert_eq!(write.accepts(&long(0x07, 0x06, &[0x00, 0x20, 1, 0])), None);
        assert_eq!(write.accepts(&long(0x07, 0x07, &[])), Some(Answer::Refused(7)));
        let erase = Request::Erase { code: EraseCode::Sector, at: 0x1000 };
        assert_eq!(erase.accepts(&long(0x0F, 0x06, &[0x20, 0, 0x10, 0, 0])), Some(Answer::Refused(6)));
    }

    #[test]
    fn the_flash_id_is_the_last_three_bytes() {
        assert_eq!(
            Request::FlashId.accepts(&long(0x0E, 0, &[0, 0xEB, 0x60, 0x15])),
            Some(Answer::FlashId([0xEB, 0x60, 0x15]))
        );
        assert_eq!(
            Request::FlashId.accepts(&long(0x0E, 0, &[0xEB, 0x60, 0x15])),
            Some(Answer::FlashId([0xEB, 0x60, 0x15]))
        );
    }

    #[test]
    fn a_version_loses_its_padding_and_a_single_07_means_unsupported() {
        let text = [b"BK7231S_1.0.5".as_slice(), &[0, 0, 0]].concat();
        assert_eq!(
            Request::BootVersion.accepts(&short(0x11, &text)),
            Some(Answer::Version("BK7231S_1.0.5".to_owned()))
        );
        assert_eq!(Request::BootVersion.accepts(&short(0x11, &[7])), Some(Answer::Unsupported));
        assert_eq!(Request::ReadReg { at: 0 }.accepts(&short(0x03, &[7])), Some(Answer::Unsupported));
    }

    #[test]
    fn short_and_long_frames_of_the_same_opcode_are_not_mixed_up() {
        let baud = Request::SetBaud { baud: 921_600, settle_ms: 20 };
        assert_eq!(baud.accepts(&short(0x0F, &[0, 0x10, 0x0E, 0, 0x14])), Some(Answer::Done));
        assert_eq!(baud.accepts(&long(0x0F, 0, &[0x20, 0, 0x10, 1, 0])), None);
        assert_eq!(baud.accepts(&short(0x0F, &[0, 0x10, 0x0E, 0, 0x15])), None);
    }
}
