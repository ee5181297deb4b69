//! What was seen on this connection, and how far it still holds without being asked for again.

use crate::units::SECTOR;

/// How well one sector is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Nothing,
    /// Read at some time; the chip's CRC of now tells whether it is that.
    Read,
    /// The chip's own CRC has agreed with it, and since then nothing was changed and the loader was never out of touch.
    Sure,
}

/// The content of a flash as this connection has seen it.
pub(super) struct Seen {
    bytes: Vec<u8>,
    known: Vec<Known>,
    /// The losses of the connection when the sure sectors became so.
    losses: u32,
}

impl Seen {
    pub fn new(size: u32) -> Self {
        let (size, sectors) = (size as usize, (size / SECTOR) as usize);
        Self { bytes: vec![0xFF; size], known: vec![Known::Nothing; sectors], losses: 0 }
    }

    /// These whole sectors were read, with nothing to confirm them.
    pub fn read(&mut self, at: u32, content: &[u8]) {
        self.take(at, content, Known::Read);
    }

    /// These whole sectors are what the chip's own CRC says, after so many losses of the connection.
    pub fn proven(&mut self, at: u32, content: &[u8], losses: u32) {
        if losses != self.losses {
            self.changed();
            self.losses = losses;
        }
        self.take(at, content, Known::Sure);
    }

    /// The chip was told to change something: from now on every sector has to be asked for again.
    pub fn changed(&mut self) {
        for known in &mut self.known {
            *known = (*known).min(Known::Read);
        }
    }

    /// What was seen of a range, where all of it was. The chip's CRC has to tell whether it still stands there.
    pub fn of(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.at_least(Known::Read, at, len)
    }

    /// What a range holds for certain.
    pub fn still(&self, at: u32, len: u32, losses: u32) -> Option<&[u8]> {
        self.at_least(Known::Sure, at, len).filter(|_| losses == self.losses)
    }

    fn take(&mut self, at: u32, content: &[u8], known: Known) {
        if !at.is_multiple_of(SECTOR) {
            return;
        }
        let first = (at / SECTOR) as usize;
        for (sector, content) in (first..).zip(content.chunks_exact(SECTOR as usize)) {
            let start = sector * SECTOR as usize;
            let place = self.bytes.get_mut(start..start + content.len());
            if let (Some(place), Some(is)) = (place, self.known.get_mut(sector).filter(|is| **is <= known)) {
                place.copy_from_slice(content);
                *is = known;
            }
        }
    }

    fn at_least(&self, wanted: Known, at: u32, len: u32) -> Option<&[u8]> {
        let end = at.checked_add(len)?;
        let sectors = self.known.get((at / SECTOR) as usize..end.div_ceil(SECTOR) as usize)?;
        let known = sectors.iter().all(|known| *known >= wanted);
        self.bytes.get(at as usize..end as usize).filter(|_| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 8 * SECTOR;

    #[test]
    fn only_what_was_confirmed_counts_without_asking() {
        let mut seen = Seen::new(SIZE);
        assert_eq!(seen.of(0, SECTOR), None);
        seen.read(SECTOR, &[1; 2 * SECTOR as usize]);
        assert_eq!(seen.of(SECTOR, 2 * SECTOR), Some(&[1; 2 * SECTOR as usize][..]));
        assert_eq!(seen.of(0, 2 * SECTOR), None, "a range that was seen in part");
        assert_eq!(seen.still(SECTOR, SECTOR, 0), None, "read once is not confirmed");
        seen.proven(SECTOR, &[2; SECTOR as usize], 0);
        assert_eq!(seen.still(SECTOR, SECTOR, 0), Some(&[2; SECTOR as usize][..]));
        seen.read(SECTOR, &[3; SECTOR as usize]);
        assert_eq!(seen.still(SECTOR, SECTOR, 0), Some(&[2; SECTOR as usize][..]), "a read is the weaker evidence");
    }

    #[test]
    fn a_change_or_a_loss_ends_all_certainty() {
        let mut seen = Seen::new(SIZE);
        seen.proven(0, &[1; SIZE as usize], 3);
        assert!(seen.still(0, SIZE, 3).is_some());
        assert_eq!(seen.still(0, SIZE, 4), None, "the connection lost its beat");
        seen.proven(0, &[1; SECTOR as usize], 4);
        assert!(seen.still(0, SECTOR, 4).is_some());
        assert_eq!(seen.still(SECTOR, SECTOR, 4), None, "confirmed before the loss");
        seen.changed();
        assert_eq!(seen.still(0, SECTOR, 4), None);
        assert!(seen.of(0, SECTOR).is_some(), "still worth a question");
    }

    #[test]
    fn what_lies_outside_or_across_sectors_is_not_taken() {
        let mut seen = Seen::new(SIZE);
        seen.read(7, &[1; SECTOR as usize]);
        seen.read(SIZE - SECTOR, &[1; 2 * SECTOR as usize]);
        assert_eq!(seen.of(0, SECTOR), None);
        assert!(seen.of(SIZE - SECTOR, SECTOR).is_some());
        assert_eq!(seen.of(SIZE - SECTOR, 2 * SECTOR), None);
        assert_eq!(seen.of(u32::MAX, SECTOR), None);
    }
}
