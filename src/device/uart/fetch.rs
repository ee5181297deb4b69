//! Bringing in content and its proof by the cheapest road (uart-protocol.md §17): the chip's own CRC of a block is asked
//! first. Where it is that of content known from before, or of erased flash, nothing has to be read; where it is not,
//! the CRC that was just had proves what is read then.
//!
//! Two different pieces of evidence stand behind every sector that counts as proven: its bytes, read now or in an
//! earlier proven backup, and the chip's CRC of now; or, for erased flash, the CRC of the block and those of its sectors.

use std::time::Duration;

use super::super::contract::Seen;
use super::super::error::DeviceError;
use super::super::watch::{Uncounted, Watch};
use super::UartFlash;
use crate::codec::beken::request::byte_times;
use crate::codec::beken::{Request, chip_crc};
use crate::units::{BLOCK, SECTOR};

/// How often a sector is read anew that is not what the chip's CRC says.
const READS: u32 = 3;
/// The share of sectors, in percent, that turn out erased inside a block that is not erased as a whole: public dumps have
/// 40 % erased sectors, most of them in erased blocks (uart-protocol.md §17).
const ERASED_INSIDE: u32 = 10;
/// The share, in percent, that is still as in an earlier backup inside a block that has changed.
const KNOWN_INSIDE: u32 = 50;
/// Reads that may arrive as erases in one stretch; each takes a flipped bit at one place.
const ERASES: u32 = 3;
/// Bytes other than FF that no disturbed answer puts into an erased sector: a sector with as many was not erased.
const NOT_ERASED: usize = 64;

impl UartFlash {
    /// [`super::super::ReadFlash::fetch`].
    pub(super) fn fetch_proven(
        &mut self,
        at: u32,
        known: &[&[u8]],
        into: &mut [u8],
        watch: &mut dyn Watch,
    ) -> Result<Seen, DeviceError> {
        let len = into.len() as u32;
        if !at.is_multiple_of(SECTOR) || len == 0 || !len.is_multiple_of(SECTOR) || len > BLOCK {
            return self.read_plainly(at, into, watch);
        }
        watch.checkpoint()?;
        let says = self.loader.crc(at, len)?;
        if let Some(known) = known.iter().find(|known| chip_crc(known) == says) {
            into.copy_from_slice(known);
            watch.advance(len.into());
            return Ok(Seen::Proven);
        }
        let erased = says == chip_crc(&[0xFF; BLOCK as usize][..len as usize]);
        let share = if known.is_empty() { ERASED_INSIDE } else { KNOWN_INSIDE };
        if erased || self.probing_pays(share) {
            return self.fetch_sectors(at, says, known, into, watch);
        }
        self.read_plainly(at, into, watch)?;
        // An answer can be damaged on its way as well as the data: it is asked for once more.
        let is = chip_crc(into);
        if is == says || self.loader.crc(at, len)? == is {
            return Ok(Seen::Proven);
        }
        self.mend(at, into, watch)
    }

    fn read_plainly(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<Seen, DeviceError> {
        self.read_patiently(at, into, watch)?;
        Ok(Seen::Once)
    }

    /// Each sector by its own CRC first; `whole` is the chip's CRC of all of them.
    fn fetch_sectors(
        &mut self,
        at: u32,
        whole: u32,
        known: &[&[u8]],
        into: &mut [u8],
        watch: &mut dyn Watch,
    ) -> Result<Seen, DeviceError> {
        let blank = chip_crc(&[0xFF; SECTOR as usize]);
        let mut seen = Seen::Proven;
        let sectors = (at..).step_by(SECTOR as usize).zip(into.chunks_mut(SECTOR as usize));
        for (index, (at, sector)) in sectors.enumerate() {
            watch.checkpoint()?;
            let says = self.loader.crc(at, SECTOR)?;
            let from = index * SECTOR as usize;
            let mut known = known.iter().filter_map(|known| known.get(from..from + sector.len()));
            if let Some(known) = known.find(|known| chip_crc(known) == says) {
                sector.copy_from_slice(known);
            } else if says == blank {
                sector.fill(0xFF);
            } else if !self.read_until_right(at, Some(says), sector, watch)? {
                seen = Seen::Once;
            }
            watch.advance(SECTOR.into());
        }
        // An erased sector rests on its own CRC so far; that of the whole block is the other one.
        let is = chip_crc(into);
        let agrees = seen == Seen::Proven && (is == whole || self.loader.crc(at, into.len() as u32)? == is);
        Ok(if agrees { Seen::Proven } else { Seen::Once })
    }

    /// Reads again those sectors of a block that was read whole which are not what the chip's CRC says.
    fn mend(&mut self, at: u32, into: &mut [u8], watch: &mut dyn Watch) -> Result<Seen, DeviceError> {
        let mut seen = Seen::Proven;
        for (at, sector) in (at..).step_by(SECTOR as usize).zip(into.chunks_mut(SECTOR as usize)) {
            watch.checkpoint()?;
            if !self.same(at, sector)? {
                watch.retried(format!("sector 0x{at:06X} was read with an error"));
                if !self.read_until_right(at, None, sector, watch)? {
                    seen = Seen::Once;
                }
            }
        }
        Ok(seen)
    }

    /// Reads a sector until the chip's CRC agrees.
    fn read_until_right(
        &mut self,
        at: u32,
        says: Option<u32>,
        sector: &mut [u8],
        watch: &mut dyn Watch,
    ) -> Result<bool, DeviceError> {
        for attempt in 0..READS {
            if attempt > 0 {
                watch.retried(format!("sector 0x{at:06X} was read with an error"));
            }
            self.read_patiently(at, sector, &mut Uncounted(watch))?;
            if says == Some(chip_crc(sector)) || self.same(at, sector)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether asking for the CRC of every sector costs less than reading those that need no reading: `share` of them, in
    /// percent (uart-protocol.md §17).
    fn probing_pays(&self, share: u32) -> bool {
        let baud = self.loader.port.baud();
        let read = Request::Read4k { at: 0 };
        let ask = Request::Crc { start: 0, len: SECTOR };
        let saved = byte_times(read.wire_len() + read.answer_len(), baud) * share / 100;
        let computing = Duration::from_secs_f64(f64::from(SECTOR) / f64::from(self.loader.port.crc_rate.max(1)));
        saved > computing + byte_times(ask.wire_len() + ask.answer_len(), baud) + TURN
    }

    /// Reads, and goes on at a lower rate where the present one fails: what was read stays.
    pub(super) fn read_patiently(
        &mut self,
        at: u32,
        into: &mut [u8],
        watch: &mut dyn Watch,
    ) -> Result<(), DeviceError> {
        let mut at = at;
        let mut rest = into;
        while !rest.is_empty() {
            let inside = at % SECTOR;
            if inside != 0 || rest.len() < SECTOR as usize {
                // A part of a sector is cut out of the whole one.
                let mut sector = [[0; SECTOR as usize]];
                self.read_slower(at - inside, &mut sector, &mut Uncounted(watch))?;
                let len = rest.len().min((SECTOR - inside) as usize);
                let (place, later) = std::mem::take(&mut rest).split_at_mut(len);
                if let Some(bytes) = sector[0].get(inside as usize..inside as usize + len) {
                    place.copy_from_slice(bytes);
                }
                watch.advance(len as u64);
                (at, rest) = (at + len as u32, later);
            } else {
                let whole = (rest.len() / SECTOR as usize).min((BLOCK / SECTOR) as usize) * SECTOR as usize;
                let (place, later) = std::mem::take(&mut rest).split_at_mut(whole);
                let (sectors, _) = place.as_chunks_mut();
                self.read_slower(at, sectors, watch)?;
                (at, rest) = (at + whole as u32, later);
            }
        }
        Ok(())
    }

    fn read_slower(
        &mut self,
        at: u32,
        sectors: &mut [[u8; SECTOR as usize]],
        watch: &mut dyn Watch,
    ) -> Result<(), DeviceError> {
        let (mut done, mut erases) = (0, 0);
        while let Some(left) = sectors.get_mut(done..).filter(|left| !left.is_empty()) {
            let from = at + done as u32 * SECTOR;
            match self.loader.read_sectors(from, left, &mut done, watch) {
                Ok(()) => {}
                // The request arrived as an erase of the sector it asked for. A protected flash does not mind.
                Err(DeviceError::Misdirected { request, at, instead }) if at == instead && erases < ERASES => {
                    erases += 1;
                    let mut sector = [0; SECTOR as usize];
                    self.loader.read_sector(at, &mut sector, &mut |what| watch.retried(what))?;
                    if sector.iter().filter(|byte| **byte != 0xFF).count() < NOT_ERASED {
                        return Err(DeviceError::Misdirected { request, at, instead });
                    }
                    watch
                        .retried(format!("{request} at 0x{at:06X} arrived as an erase, and the flash did not take it"));
                }
                Err(DeviceError::NoAnswer { request, at }) => {
                    let Some(step) = self.go_slower()? else { return Err(DeviceError::NoAnswer { request, at }) };
                    watch.retried(format!("rate: reads fail; going on at {step} baud"));
                    continue;
                }
                Err(other) => return Err(other),
            }
            if self.loader.is_troubled()
                && let Some(step) = self.go_slower()?
            {
                watch.retried(format!("rate: too many reads were disturbed; going on at {step} baud"));
            }
        }
        Ok(())
    }
}

/// What a request and its answer cost on top of the wire: two hand-overs of a USB adapter (uart-protocol.md §15.1).
const TURN: Duration = Duration::from_millis(1);
