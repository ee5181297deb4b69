//! What a host may ask of a loader (uart-protocol.md §6). Chip erase (0A) is missing on purpose, the raw SPI transfer
//! (0E) can only ask for the flash id, and a status write takes only what a [`StatusChange`] makes: what has no
//! request cannot be sent.
//!
//! [`StatusChange`]: crate::codec::nor::StatusChange

use std::time::Duration;

use crate::codec::nor::StatusWrite;
use crate::units::{BLOCK, PAGE, SECTOR};

/// The first three bytes of every request.
const COMMAND: [u8; 3] = [0x01, 0xE0, 0xFC];
/// What stands in the place of the length in a long request.
const LONG: [u8; 2] = [0xFF, 0xF4];

/// Size codes of the erase request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EraseCode {
    /// 20: 4 KiB, on every loader.
    Sector,
    /// 52: 32 KiB, on the full dialect; the basic one answers OK and does nothing (§21).
    Block32k,
    /// D8: 64 KiB, on every loader.
    Block,
}

impl EraseCode {
    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Sector => 0x20,
            Self::Block32k => 0x52,
            Self::Block => 0xD8,
        }
    }

    /// Bytes erased.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Sector => SECTOR,
            Self::Block32k => BLOCK / 2,
            Self::Block => BLOCK,
        }
    }
}

/// 1 to 256 bytes for one short write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageBytes<'a>(&'a [u8]);

impl<'a> PageBytes<'a> {
    /// The bytes, when there is at least one and at most a page of them.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= PAGE as usize).then_some(Self(bytes))
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// One request. Addresses are 32-bit flash addresses as the loader takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// 00: is somebody there? On a basic loader it also arms the unlock of the next erase (§7.1).
    LinkCheck,
    /// 01: writes a 32-bit register; full dialect.
    WriteReg {
        /// Register address.
        at: u32,
        /// Value.
        value: u32,
    },
    /// 03: reads a 32-bit register; full dialect.
    ReadReg {
        /// Register address.
        at: u32,
    },
    /// 0E: reboots; not acknowledged.
    Reboot,
    /// 0F: changes the rate; the answer comes at the new rate, `settle_ms` later.
    SetBaud {
        /// The new rate.
        baud: u32,
        /// Pause between switching and answering, in ms.
        settle_ms: u8,
    },
    /// 10: the chip's CRC of `len` bytes from `start`. Locks the flash of a basic loader. On the wire the range ends at
    /// its last byte, which both dialects understand when `len` is a multiple of 256 (§9).
    Crc {
        /// First address.
        start: u32,
        /// Bytes, at least 1; 0 is sent as 1, since an end before the start hangs the loader (§21).
        len: u32,
    },
    /// 11: the loader's version text; BK7231T.
    BootVersion,
    /// 70: resets; full dialect, not acknowledged.
    Reset,
    /// AA: asks a boot ROM to stay; full dialect.
    StayRom,
    /// FE: resets older chips, and applications with Beken's debug service; not acknowledged.
    ResetApplication,
    /// 06: programs up to 256 bytes.
    Write {
        /// Flash address.
        at: u32,
        /// The bytes.
        data: PageBytes<'a>,
    },
    /// 07: programs a whole sector. A shorter one would wedge a basic loader (§4.3), so there is none.
    Write4k {
        /// Flash address, a multiple of 256.
        at: u32,
        /// The sector.
        data: &'a [u8; SECTOR as usize],
    },
    /// 08: reads up to 255 bytes; full dialect.
    Read {
        /// Flash address.
        at: u32,
        /// Bytes.
        len: u8,
    },
    /// 09: reads a sector.
    Read4k {
        /// Flash address.
        at: u32,
    },
    /// 0B: erases 4 KiB; full dialect.
    EraseSector {
        /// Flash address.
        at: u32,
    },
    /// 0C: reads a status register; full dialect.
    ReadStatus {
        /// The flash's own read opcode of that register: 05, 35 or 15.
        register: u8,
    },
    /// 0D: writes a status register; full dialect.
    WriteStatus(StatusWrite),
    /// 0E with 9F: the JEDEC id; full dialect.
    FlashId,
    /// 0F: erases one unit.
    Erase {
        /// The unit.
        code: EraseCode,
        /// Flash address.
        at: u32,
    },
}

impl Request<'_> {
    /// Appends the request's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&COMMAND);
        // Opcode, parameters and data are built in one go; the length field in front of them is set afterwards.
        let long = self.is_long();
        if long {
            out.extend_from_slice(&LONG);
        }
        let length_at = out.len();
        out.extend_from_slice(if long { &[0, 0] } else { &[0] });
        let body_at = out.len();
        out.push(self.opcode());
        self.encode_parameters(out);
        let [low, high] = u16::try_from(out.len() - body_at).unwrap_or(u16::MAX).to_le_bytes();
        for (place, byte) in out.iter_mut().skip(length_at).zip([low, high]).take(body_at - length_at) {
            *place = byte;
        }
    }

    fn encode_parameters(&self, out: &mut Vec<u8>) {
        match *self {
            Self::LinkCheck | Self::BootVersion => {}
            Self::WriteReg { at, value } => {
                out.extend_from_slice(&at.to_le_bytes());
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::ReadReg { at } | Self::Read4k { at } | Self::EraseSector { at } => {
                out.extend_from_slice(&at.to_le_bytes());
            }
            Self::Reboot => out.push(0xA5),
            Self::SetBaud { baud, settle_ms } => {
                out.extend_from_slice(&baud.to_le_bytes());
                out.push(settle_ms);
            }
            Self::Crc { start, len } => {
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&start.saturating_add(len.max(1) - 1).to_le_bytes());
            }
            Self::Reset => out.extend_from_slice(&[0x53, 0x45, 0x41, 0x4E]),
            Self::StayRom => out.push(0x55),
            Self::ResetApplication => out.extend_from_slice(&[0x95, 0x27, 0x95, 0x27]),
            Self::Write { at, data } => {
                out.extend_from_slice(&at.to_le_bytes());
                out.extend_from_slice(data.bytes());
            }
            Self::Write4k { at, data } => {
                out.extend_from_slice(&at.to_le_bytes());
                out.extend_from_slice(data);
            }
            Self::Read { at, len } => {
                out.extend_from_slice(&at.to_le_bytes());
                out.push(len);
            }
            Self::ReadStatus { register } => out.push(register),
            Self::WriteStatus(write) => {
                out.push(write.opcode);
                out.extend_from_slice(write.values());
            }
            Self::FlashId => out.extend_from_slice(&[0x9F, 0, 0, 0]),
            Self::Erase { code, at } => {
                out.push(code.byte());
                out.extend_from_slice(&at.to_le_bytes());
            }
        }
    }

    /// The opcode byte; short and long requests number theirs independently.
    pub const fn opcode(&self) -> u8 {
        match self {
            Self::LinkCheck => 0x00,
            Self::WriteReg { .. } => 0x01,
            Self::ReadReg { .. } => 0x03,
            Self::Write { .. } => 0x06,
            Self::Write4k { .. } => 0x07,
            Self::Read { .. } => 0x08,
            Self::Read4k { .. } => 0x09,
            Self::EraseSector { .. } => 0x0B,
            Self::ReadStatus { .. } => 0x0C,
            Self::WriteStatus(_) => 0x0D,
            Self::Reboot | Self::FlashId => 0x0E,
            Self::SetBaud { .. } | Self::Erase { .. } => 0x0F,
            Self::Crc { .. } => 0x10,
            Self::BootVersion => 0x11,
            Self::Reset => 0x70,
            Self::StayRom => 0xAA,
            Self::ResetApplication => 0xFE,
        }
    }

    /// Whether it is a long (flash) request.
    pub const fn is_long(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Write4k { .. }
                | Self::Read { .. }
                | Self::Read4k { .. }
                | Self::EraseSector { .. }
                | Self::ReadStatus { .. }
                | Self::WriteStatus(_)
                | Self::FlashId
                | Self::Erase { .. }
        )
    }

    /// The request in the field's words.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LinkCheck => "link check",
            Self::WriteReg { .. } => "register write",
            Self::ReadReg { .. } => "register read",
            Self::Reboot => "reboot",
            Self::SetBaud { .. } => "baud rate change",
            Self::Crc { .. } => "CRC",
            Self::BootVersion => "boot version",
            Self::Reset | Self::ResetApplication => "reset",
            Self::StayRom => "stay in boot ROM",
            Self::Write { .. } => "write",
            Self::Write4k { .. } => "sector write",
            Self::Read { .. } => "read",
            Self::Read4k { .. } => "sector read",
            Self::EraseSector { .. } => "sector erase",
            Self::ReadStatus { .. } => "status register read",
            Self::WriteStatus(_) => "status register write",
            Self::FlashId => "flash id",
            Self::Erase { code: EraseCode::Sector, .. } => "sector erase",
            Self::Erase { .. } => "block erase",
        }
    }

    /// Whether it can change the flash or its status registers: such a request is waited for to its end, and its
    /// address is checked by whoever sends it.
    pub const fn changes_flash(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Write4k { .. }
                | Self::EraseSector { .. }
                | Self::WriteStatus(_)
                | Self::Erase { .. }
        )
    }

    /// The flash address that is erased or programmed, for requests that do so.
    pub const fn changes_at(&self) -> Option<u32> {
        match self {
            Self::Write { at, .. } | Self::Write4k { at, .. } | Self::EraseSector { at } | Self::Erase { at, .. } => {
                Some(*at)
            }
            _ => None,
        }
    }

    /// Bytes of the request on the wire.
    pub fn wire_len(&self) -> usize {
        let parameters = match self {
            Self::LinkCheck | Self::BootVersion => 0,
            Self::Reboot | Self::StayRom | Self::ReadStatus { .. } => 1,
            Self::ReadReg { .. }
            | Self::Reset
            | Self::ResetApplication
            | Self::Read4k { .. }
            | Self::EraseSector { .. }
            | Self::FlashId => 4,
            Self::SetBaud { .. } | Self::Read { .. } | Self::Erase { .. } => 5,
            Self::WriteReg { .. } | Self::Crc { .. } => 8,
            Self::Write { data, .. } => 4 + data.bytes().len(),
            Self::Write4k { data, .. } => 4 + data.len(),
            Self::WriteStatus(write) => 1 + write.values().len(),
        };
        parameters + if self.is_long() { 8 } else { 5 }
    }

    /// Bytes of a good answer on the wire, the longest where it varies; 0 where there is none.
    pub fn answer_len(&self) -> usize {
        match self {
            Self::Reboot | Self::Reset | Self::ResetApplication => 0,
            Self::LinkCheck | Self::StayRom => 8,
            Self::WriteReg { .. } | Self::ReadReg { .. } => 15,
            Self::SetBaud { .. } => 12,
            Self::Crc { .. } => 11,
            Self::BootVersion => 7 + 64,
            Self::Write { .. } | Self::Erase { .. } => 16,
            Self::Write4k { .. } | Self::EraseSector { .. } | Self::FlashId => 15,
            Self::Read { len, .. } => 15 + usize::from(*len),
            Self::Read4k { .. } => 4111,
            Self::ReadStatus { .. } => 13,
            Self::WriteStatus(write) => 12 + write.values().len(),
        }
    }

    /// How long to wait for the answer, counted from handing the request to the port: the time on the wire of both, and
    /// what the chip may take (§13, column "Recommended"). `crc_rate` is the chip's CRC speed in bytes per second, as
    /// measured on this connection.
    pub fn limit(&self, baud: u32, crc_rate: u32) -> Duration {
        let chip = match self {
            Self::Read4k { .. } | Self::Read { .. } => Duration::from_millis(150),
            Self::Write4k { .. } | Self::Write { .. } => Duration::from_millis(300),
            Self::EraseSector { .. } | Self::Erase { code: EraseCode::Sector, .. } => Duration::from_secs(1),
            Self::Erase { .. } => Duration::from_secs(3),
            Self::Crc { len, .. } => {
                let expected = u64::from(*len) * 1000 / u64::from(crc_rate.max(1));
                Duration::from_millis(expected * 3).max(Duration::from_secs(1))
            }
            Self::SetBaud { settle_ms, .. } => Duration::from_millis(2 * (u64::from(*settle_ms) + 1) + 100),
            _ => Duration::from_millis(300),
        };
        byte_times(self.wire_len() + self.answer_len(), baud) + chip
    }
}

/// The time `bytes` take on a line of 8N1 at `baud`.
pub fn byte_times(bytes: usize, baud: u32) -> Duration {
    Duration::from_nanos(bytes as u64 * 10_000_000_000 / u64::from(baud.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(request: Request<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        request.encode(&mut out);
        assert_eq!(out.len(), request.wire_len(), "{request:?}");
        out
    }

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect()
    }

    #[test]
    fn short_requests_are_the_bytes_of_the_reference() {
        for (request, expected) in [
            (Request::LinkCheck, "01 E0 FC 01 00"),
            (Request::WriteReg { at: 0x0080_0074, value: 0x0102_0304 }, "01 E0 FC 09 01 74 00 80 00 04 03 02 01"),
            (Request::ReadReg { at: 0x0080_0000 }, "01 E0 FC 05 03 00 00 80 00"),
            (Request::Reboot, "01 E0 FC 02 0E A5"),
            (Request::SetBaud { baud: 921_600, settle_ms: 20 }, "01 E0 FC 06 0F 00 10 0E 00 14"),
            (Request::Crc { start: 0x1_1000, len: 0x1000 }, "01 E0 FC 09 10 00 10 01 00 FF 1F 01 00"),
            (Request::BootVersion, "01 E0 FC 01 11"),
            (Request::Reset, "01 E0 FC 05 70 53 45 41 4E"),
            (Request::StayRom, "01 E0 FC 02 AA 55"),
            (Request::ResetApplication, "01 E0 FC 05 FE 95 27 95 27"),
        ] {
            assert_eq!(bytes(request), hex(expected), "{request:?}");
            assert!(!request.is_long() && !request.changes_flash());
        }
    }

    #[test]
    fn long_requests_are_the_bytes_of_the_reference() {
        for (request, expected) in [
            (Request::Read4k { at: 0x1_1000 }, "01 E0 FC FF F4 05 00 09 00 10 01 00"),
            (Request::Read { at: 0x1_1000, len: 16 }, "01 E0 FC FF F4 06 00 08 00 10 01 00 10"),
            (Request::EraseSector { at: 0x1_1000 }, "01 E0 FC FF F4 05 00 0B 00 10 01 00"),
            (Request::Erase { code: EraseCode::Sector, at: 0x1_1000 }, "01 E0 FC FF F4 06 00 0F 20 00 10 01 00"),
            (Request::Erase { code: EraseCode::Block, at: 0x1A_0000 }, "01 E0 FC FF F4 06 00 0F D8 00 00 1A 00"),
            (Request::Erase { code: EraseCode::Block32k, at: 0x8000 }, "01 E0 FC FF F4 06 00 0F 52 00 80 00 00"),
            (Request::FlashId, "01 E0 FC FF F4 05 00 0E 9F 00 00 00"),
            (Request::ReadStatus { register: 0x05 }, "01 E0 FC FF F4 02 00 0C 05"),
        ] {
            assert_eq!(bytes(request), hex(expected), "{request:?}");
            assert!(request.is_long());
        }
    }

    #[test]
    fn a_sector_write_is_always_4108_bytes() {
        let sector = [0xAB; 4096];
        let out = bytes(Request::Write4k { at: 0x1_1000, data: &sector });
        assert_eq!(out.len(), 4108);
        assert_eq!(out[..12], hex("01 E0 FC FF F4 05 10 07 00 10 01 00"));
        assert_eq!(out[12..], sector);
    }

    #[test]
    fn a_short_write_holds_one_page_at_most() {
        let data: Vec<u8> = (0..16).collect();
        let request = Request::Write { at: 0x1A_0000, data: PageBytes::new(&data).expect("fits") };
        assert_eq!(bytes(request)[..12], hex("01 E0 FC FF F4 15 00 06 00 00 1A 00"));
        assert!(request.changes_flash());
        assert_eq!(PageBytes::new(&[0; 257]), None);
        assert_eq!(PageBytes::new(&[]), None);
    }

    #[test]
    fn an_empty_crc_range_is_never_sent() {
        assert_eq!(bytes(Request::Crc { start: 0x100, len: 0 }), hex("01 E0 FC 09 10 00 01 00 00 00 01 00 00"));
    }

    #[test]
    fn limits_grow_with_the_wire_and_the_measured_crc_speed() {
        let read = Request::Read4k { at: 0 };
        assert_eq!(read.limit(115_200, 1).as_millis(), 4123 * 10_000 / 115_200 + 150);
        assert_eq!(read.limit(921_600, 1).as_millis(), 4123 * 10_000 / 921_600 + 150);
        let crc = Request::Crc { start: 0, len: 2 << 20 };
        assert!(crc.limit(115_200, 400_000) > Duration::from_secs(15));
        assert!(crc.limit(115_200, 40_000_000) < Duration::from_millis(1010));
    }
}
