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
/// Unlocks all sectors of a part with per-sector locks.
pub const GLOBAL_UNLOCK: u8 = 0x98;

/// Status register 1: the part is busy with a program, erase or status write.
pub const WIP: u8 = 0x01;
/// Status register 1: write enable is set.
pub const WEL: u8 = 0x02;

/// Bytes of a [`READ`] frame in front of the data.
pub const READ_HEADER: usize = 4;
/// Bytes of a [`FAST_READ`] frame in front of the data.
pub const FAST_READ_HEADER: usize = 5;

/// Opcode and address, most significant byte first.
const fn addressed(opcode: u8, at: u32) -> [u8; 4] {
    let [_, high, middle, low] = at.to_be_bytes();
    [opcode, high, middle, low]
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
pub fn read(frame: &mut Vec<u8>, fast: bool, at: u32, len: usize) -> usize {
    let header = if fast { FAST_READ_HEADER } else { READ_HEADER };
    frame.clear();
    frame.extend_from_slice(&addressed(if fast { FAST_READ } else { READ }, at));
    frame.resize(header + len, 0);
    header
}

/// Programs `data` at `at`; `None` when the data is empty, longer than a page or would cross a page's end, where the
/// part would wrap around and overwrite the page's beginning.
pub fn page_program(at: u32, data: &[u8]) -> Option<Vec<u8>> {
    let room = (PAGE - at % PAGE) as usize;
    if data.is_empty() || data.len() > room {
        return None;
    }
    let mut frame = Vec::with_capacity(4 + data.len());
    frame.extend_from_slice(&addressed(PAGE_PROGRAM, at));
    frame.extend_from_slice(data);
    Some(frame)
}

/// Erases the 4 KiB sector that holds `at`.
pub const fn erase_sector(at: u32) -> [u8; 4] {
    addressed(ERASE_SECTOR, at)
}

/// Erases the 32 KiB block that holds `at`.
pub const fn erase_block_32k(at: u32) -> [u8; 4] {
    addressed(ERASE_BLOCK_32K, at)
}

/// Erases the 64 KiB block that holds `at`.
pub const fn erase_block(at: u32) -> [u8; 4] {
    addressed(ERASE_BLOCK, at)
}

/// Reads `len` bytes of SFDP at `at`: the answer starts at byte [`FAST_READ_HEADER`].
pub fn read_sfdp(at: u32, len: usize) -> Vec<u8> {
    let mut frame = addressed(READ_SFDP, at).to_vec();
    frame.resize(FAST_READ_HEADER + len, 0);
    frame
}

/// Reads a unique id of `len` bytes: the answer starts at byte [`FAST_READ_HEADER`].
pub fn read_unique_id(len: usize) -> Vec<u8> {
    let mut frame = vec![READ_UNIQUE_ID];
    frame.resize(FAST_READ_HEADER + len, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_out_most_significant_byte_first() {
        assert_eq!(erase_sector(0x0012_A000), [0x20, 0x12, 0xA0, 0x00]);
        assert_eq!(erase_block(0x001E_0000), [0xD8, 0x1E, 0x00, 0x00]);
        assert_eq!(erase_block_32k(0x0000_8000), [0x52, 0x00, 0x80, 0x00]);
        assert_eq!(page_program(0x0001_0203, &[0xAA]), Some(vec![0x02, 0x01, 0x02, 0x03, 0xAA]));
    }

    #[test]
    fn a_fast_read_has_one_dummy_byte_and_a_plain_one_has_none() {
        let mut frame = Vec::new();
        assert_eq!(read(&mut frame, false, 0x1000, 2), 4);
        assert_eq!(frame, [0x03, 0x00, 0x10, 0x00, 0, 0]);
        assert_eq!(read(&mut frame, true, 0x1000, 2), 5);
        assert_eq!(frame, [0x0B, 0x00, 0x10, 0x00, 0, 0, 0]);
    }

    #[test]
    fn a_program_that_would_wrap_inside_its_page_has_no_frame() {
        assert!(page_program(0x10, &[0; 240]).is_some());
        assert_eq!(page_program(0x10, &[0; 241]), None);
        assert_eq!(page_program(0x00, &[0; 257]), None);
        assert_eq!(page_program(0x00, &[]), None);
    }

    #[test]
    fn a_unique_id_is_read_behind_four_dummy_bytes() {
        let frame = read_unique_id(8);
        assert_eq!((frame.len(), frame[0]), (13, 0x4B));
        assert_eq!(read_sfdp(0x30, 4), [0x5A, 0, 0, 0x30, 0, 0, 0, 0, 0]);
    }
}
