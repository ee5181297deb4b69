//! What tests of devices share: an image worth reading, and a watch that remembers.

use crc::{CRC_16_CMS, Crc};

use super::watch::{Cancelled, Level, Watch};

/// 2 MiB in which every sector differs from every other one, with blank stretches in between. Boot loader and
/// application begin with a good block of code (formats.md §3), so that the simulated chip starts them.
pub(super) fn image() -> Vec<u8> {
    let mut image = vec![0xFF; 0x20_0000];
    for (index, sector) in image.chunks_mut(4096).enumerate().filter(|(index, _)| index % 7 != 3) {
        for (place, byte) in sector.iter_mut().enumerate() {
            *byte = (place.wrapping_mul(31) ^ index.wrapping_mul(0x9E37) >> 5 ^ place >> 8) as u8;
        }
    }
    for block in [0, 0x1_1000] {
        let crc = Crc::<u16>::new(&CRC_16_CMS).checksum(&image[block..block + 32]);
        image[block + 32..block + 34].copy_from_slice(&crc.to_be_bytes());
    }
    image
}

/// A sector that does not occur in [`image`].
pub(super) fn sector(seed: u8) -> [u8; 4096] {
    std::array::from_fn(|place| (place as u8).wrapping_mul(7).wrapping_add(seed) ^ (place >> 8) as u8)
}

/// Counts, remembers and, if told so, stops a job at a checkpoint.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) advanced: u64,
    pub(super) notes: Vec<(Level, String)>,
    pub(super) retries: Vec<String>,
    pub(super) checkpoints: u32,
    pub(super) stop_after: Option<u32>,
}

impl Watch for Recorder {
    fn advance(&mut self, bytes: u64) {
        self.advanced += bytes;
    }

    fn note(&mut self, level: Level, text: String) {
        self.notes.push((level, text));
    }

    fn retried(&mut self, what: String) {
        self.retries.push(what);
    }

    fn checkpoint(&mut self) -> Result<(), Cancelled> {
        self.checkpoints += 1;
        if self.stop_after.is_some_and(|stop| self.checkpoints > stop) { Err(Cancelled) } else { Ok(()) }
    }
}
