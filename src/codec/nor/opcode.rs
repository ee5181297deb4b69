//! Command frames of the 25-series (spi-flash.md §4). One frame is one chip-select period. Chip erase and the OTP
//! commands are missing on purpose: what has no frame cannot be sent.

use crate::units::PAGE;

/// Write enable: sets WEL; lost while the part is busy.
pub const WRITE_ENABLE: u8 = 0x06;
/// Write disable: clears WEL.
pub const WRITE_DISABLE: u8 = 0x04;
/// Write enable for the volatile copies of the status registers.
pub const WRITE_ENABLE_VOLATILE: u8 = 0x50;
/// Read status register 1: bit 0 WIP, bit 1 WEL.
pub const READ_STATUS_1: u8 = 0x05;
/// Read with no dummy byte, up to the part's 03h limit.
pub const READ: u8 = 0x03;
/// Read with one dummy byte.
pub const FAST_READ: u8 = 0x0B;
/// Program 1 to 256 bytes of one page.
pub const PAGE_PROGRAM: u8 = 0x02;
/// Erase 4 KiB.
pub const ERASE_SECTOR: u8 = 0x20;
/// Erase 32 KiB; missing on some parts.
pub const ERASE_BLOCK_32K: u8 = 0x52;
/// Erase 64 KiB.
pub const ERASE_BLOCK: u8 = 0xD8;
/// Read the JEDEC id.
pub const READ_ID: u8 = 0x9F;
/// Read the serial flash discoverable parameters.
pub const READ_SFDP: u8 = 0x5A;
/// Read the unique id; not on Eon parts.
pub const READ_UNIQUE_ID: u8 = 0x4B;
/// Release from deep power-down.
pub const RELEASE: u8 = 0xAB;
/// Deep power-down.
pub const DEEP_POWER_DOWN: u8 = 0xB9;
/// First half of a software reset.
pub const RESET_ENABLE: u8 = 0x66;
/// Second half of a software reset; aborts a running erase.
pub const RESET: u8 = 0x99;
/// [`READ`] with a four-byte address, on parts above 16 MiB (JESD216).
pub const READ_4: u8 = 0x13;
/// [`FAST_READ`] with a four-byte address.
pub const FAST_READ_4: u8 = 0x0C;
/// [`PAGE_PROGRAM`] with a four-byte address.
pub const PAGE_PROGRAM_4: u8 = 0x12;
/// [`ERASE_SECTOR`] with a four-byte address.
pub const ERASE_SECTOR_4: u8 = 0x21;
/// [`ERASE_BLOCK`] with a four-byte address.
pub const ERASE_BLOCK_4: u8 = 0xDC;
/// Unlocks all sectors of a part with per-sector locks.
pub const GLOBAL_UNLOCK: u8 = 0x98;

/// Status register 1: the part is busy with a program, erase or status write.
pub const WIP: u8 = 0x01;
/// Status register 1: write enable is set.
pub const WEL: u8 = 0x02;

/// Bytes in front of the answer of SFDP and unique id: opcode, three address bytes, one dummy byte.
pub const PARAMETER_HEADER: usize = 5;
/// Most bytes of a read frame in front of the data.
pub const LONGEST_READ_HEADER: usize = 6;

/// How many bytes an address has. Four go out with opcodes of their own, so the part's address mode does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// Three bytes: the first 16 MiB.
    #[default]
    Three,
    /// Four bytes.
    Four,
}

impl Addressing {
    /// Opcode and address, most significant byte first.
    fn put(self, frame: &mut Vec<u8>, three: u8, four: u8, at: u32) {
        let [top, low @ ..] = at.to_be_bytes();
        match self {
            Self::Three => frame.push(three),
            Self::Four => frame.extend([four, top]),
        }
        frame.extend(low);
    }

    fn frame(self, three: u8, four: u8, at: u32) -> Vec<u8> {
        let mut frame = Vec::with_capacity(5 + PAGE as usize);
        self.put(&mut frame, three, four, at);
        frame
    }
}

/// Reads one status register: the answer is byte 1.
pub const fn read_status(opcode: u8) -> [u8; 2] {
    [opcode, 0]
}

/// Reads the JEDEC id: the answer is bytes 1 to 3.
pub const fn read_id() -> [u8; 4] {
    [READ_ID, 0, 0, 0]
}

/// Starts a read of `len` bytes at `at`: fills `frame` with header and room for the answer, and returns the length of
/// the header. Fast reads carry one dummy byte.
pub fn read(frame: &mut Vec<u8>, fast: bool, addressing: Addressing, at: u32, len: usize) -> usize {
    let (three, four) = if fast { (FAST_READ, FAST_READ_4) } else { (READ, READ_4) };
    frame.clear();
    addressing.put(frame, three, four, at);
    let header = frame.len() + usize::from(fast);
    frame.resize(header + len, 0);
    header
}

/// Programs `data` at `at`; `None` when the data is empty, longer than a page or would cross a page's end, where the
/// part would wrap around and overwrite the page's beginning.
pub fn page_program(addressing: Addressing, at: u32, data: &[u8]) -> Option<Vec<u8>> {
    let room = (PAGE - at % PAGE) as usize;
    if data.is_empty() || data.len() > room {
        return None;
    }
    let mut frame = addressing.frame(PAGE_PROGRAM, PAGE_PROGRAM_4, at);
    frame.extend_from_slice(data);
    Some(frame)
}

/// Erases the 4 KiB sector that holds `at`.
pub fn erase_sector(addressing: Addressing, at: u32) -> Vec<u8> {
    addressing.frame(ERASE_SECTOR, ERASE_SECTOR_4, at)
}

/// Erases the 64 KiB block that holds `at`.
pub fn erase_block(addressing: Addressing, at: u32) -> Vec<u8> {
    addressing.frame(ERASE_BLOCK, ERASE_BLOCK_4, at)
}

/// Reads `len` bytes of SFDP at `at`: the answer starts at byte [`PARAMETER_HEADER`].
pub fn read_sfdp(at: u32, len: usize) -> Vec<u8> {
    let mut frame = Addressing::Three.frame(READ_SFDP, READ_SFDP, at);
    frame.resize(PARAMETER_HEADER + len, 0);
    frame
}

/// Reads a unique id of `len` bytes: the answer starts at byte [`PARAMETER_HEADER`].
pub fn read_unique_id(len: usize) -> Vec<u8> {
    let mut frame = vec![READ_UNIQUE_ID];
    frame.resize(PARAMETER_HEADER + len, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_out_most_significant_byte_first() {
        use Addressing::{Four, Three};
        assert_eq!(erase_sector(Three, 0x0012_A000), [0x20, 0x12, 0xA0, 0x00]);
        assert_eq!(erase_block(Three, 0x001E_0000), [0xD8, 0x1E, 0x00, 0x00]);
        assert_eq!(page_program(Three, 0x0001_0203, &[0xAA]), Some(vec![0x02, 0x01, 0x02, 0x03, 0xAA]));
        assert_eq!(erase_sector(Four, 0x0112_A000), [0x21, 0x01, 0x12, 0xA0, 0x00]);
        assert_eq!(erase_block(Four, 0x001E_0000), [0xDC, 0x00, 0x1E, 0x00, 0x00]);
        assert_eq!(page_program(Four, 0x0101_0203, &[0xAA]), Some(vec![0x12, 0x01, 0x01, 0x02, 0x03, 0xAA]));
    }

    #[test]
    fn a_fast_read_has_one_dummy_byte_and_a_plain_one_has_none() {
        use Addressing::{Four, Three};
        let mut frame = Vec::new();
        assert_eq!(read(&mut frame, false, Three, 0x1000, 2), 4);
        assert_eq!(frame, [0x03, 0x00, 0x10, 0x00, 0, 0]);
        assert_eq!(read(&mut frame, true, Three, 0x1000, 2), 5);
        assert_eq!(frame, [0x0B, 0x00, 0x10, 0x00, 0, 0, 0]);
        assert_eq!(read(&mut frame, false, Four, 0x0100_1000, 2), 5);
        assert_eq!(frame, [0x13, 0x01, 0x00, 0x10, 0x00, 0, 0]);
        assert_eq!(read(&mut frame, true, Four, 0x0100_1000, 2), LONGEST_READ_HEADER);
        assert_eq!(frame, [0x0C, 0x01, 0x00, 0x10, 0x00, 0, 0, 0]);
    }

    #[test]
    fn a_program_that_would_wrap_inside_its_page_has_no_frame() {
        let program = |at, len: usize| page_program(Addressing::Three, at, &vec![0; len]);
        assert!(program(0x10, 240).is_some());
        assert_eq!(program(0x10, 241), None);
        assert_eq!(program(0x00, 257), None);
        assert_eq!(program(0x00, 0), None);
    }

    #[test]
    fn a_unique_id_is_read_behind_four_dummy_bytes() {
        let frame = read_unique_id(8);
        assert_eq!((frame.len(), frame[0]), (13, 0x4B));
        assert_eq!(read_sfdp(0x30, 4), [0x5A, 0, 0, 0x30, 0, 0, 0, 0, 0]);
    }
}
