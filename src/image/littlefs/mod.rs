//! littlefs, the file system in which OpenBeken keeps `autoexec.bat` and other files: found in a dump, read, and written
//! anew. The format is that of littlefs's own SPEC.md; disk version 2.0 is what OpenBeken writes and the only one that it
//! mounts, 2.1 is read too. There is no kept crate for it that is pure Rust, hence these three files.
//!
//! Where it lies is fixed by its end and the configured size (`our_lfs.c`): see [`place`].

mod place;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use place::{Area, area_of, find, may_lie, read_area, sectors};
pub use read::{Fault, File, FileSystem};
pub use write::{WriteError, image, image_with};

/// Bytes of a block, which is an erase sector.
pub const BLOCK: usize = 4096;
/// Version of the format that is written: major in the upper half, minor in the lower.
const VERSION: u32 = 0x0002_0000;
/// The longest name, in bytes.
const NAME_MAX: u32 = 255;
/// The largest file, in bytes.
const FILE_MAX: u32 = 2_147_483_647;
/// The largest attribute, in bytes.
const ATTR_MAX: u32 = 1022;
/// What stands at the start of every file system, eight bytes into its first or second block.
const MAGIC: &[u8; 8] = b"littlefs";

/// Types of the tags that metadata is made of.
mod tag {
    pub(super) const REG: u16 = 0x001;
    pub(super) const DIR: u16 = 0x002;
    pub(super) const SUPERBLOCK: u16 = 0x0FF;
    pub(super) const DIR_STRUCT: u16 = 0x200;
    pub(super) const INLINE: u16 = 0x201;
    pub(super) const CTZ: u16 = 0x202;
    pub(super) const CREATE: u16 = 0x401;
    pub(super) const DELETE: u16 = 0x4FF;
    pub(super) const CRC: u16 = 0x500;
    pub(super) const SOFT_TAIL: u16 = 0x600;
    pub(super) const HARD_TAIL: u16 = 0x601;
    pub(super) const MOVE_STATE: u16 = 0x7FF;

    /// A tag in its parts: type, id, length of its data.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Tag {
        pub(super) kind: u16,
        pub(super) id: u16,
        pub(super) len: u16,
    }

    impl Tag {
        /// The id of what belongs to no file.
        pub(super) const NO_ID: u16 = 0x3FF;
        /// The length that says that something was deleted.
        pub(super) const DELETED: u16 = 0x3FF;

        pub(super) const fn new(kind: u16, id: u16, len: u16) -> Self {
            Self { kind, id, len }
        }

        /// Out of its word; `None` for one whose first bit says that it is not written.
        pub(super) const fn from_word(word: u32) -> Option<Self> {
            if word >> 31 != 0 {
                return None;
            }
            Some(Self {
                kind: (word >> 20 & 0x7FF) as u16,
                id: (word >> 10 & 0x3FF) as u16,
                len: (word & 0x3FF) as u16,
            })
        }

        pub(super) const fn word(self) -> u32 {
            (self.kind as u32) << 20 | (self.id as u32) << 10 | self.len as u32
        }

        /// Bytes of its data.
        pub(super) const fn data_len(self) -> usize {
            if self.len == Self::DELETED { 0 } else { self.len as usize }
        }
    }
}

/// CRC-32 as littlefs computes it: reflected, started with all ones, not inverted at the end.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_JAMCRC);
