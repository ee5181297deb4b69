//! The cells and registers of a 25-series NOR flash, and the rules by which they change (spi-flash.md §4, §6 and §12).
//! One flash serves both wires: SPI frames reach it through [`super::nor`], the boot loaders through the calls here.

use std::ops::Range;
use std::time::Duration;

use crate::link::contract::LinkError;
use crate::units::{BLOCK, PAGE, SECTOR};

use super::backing::{Backing, State};
use super::chance::Chance;
use super::cut;
use super::faults::Faults;
use super::nor::Frame;
use super::part::{Part, WriteForm};
use super::uid::Uid;

/// Bit WIP of status register 1.
pub(super) const WIP: u8 = 1;
/// Bit WEL of status register 1.
pub(super) const WEL: u8 = 2;

/// How long a sag of the supply lasts.
const SAG: Duration = Duration::from_millis(300);

/// One command as the flash received it, whichever wire it came over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When it began to act, on the link's clock.
    pub at: Duration,
    /// The NOR opcode.
    pub opcode: u8,
    /// The address, for commands that have one.
    pub address: Option<u32>,
    /// Bytes behind opcode and address.
    pub len: usize,
    /// What became of it.
    pub effect: Effect,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It acted.
    Done,
    /// Dropped: the flash was busy.
    Busy,
    /// Dropped: no write enable before it.
    NotEnabled,
    /// Dropped: the target is protected.
    Protected,
    /// Dropped: the frame has another length than the command, or ended inside a byte.
    WrongLength,
    /// Dropped: SRP locks the status registers.
    Locked,
    /// Dropped: the part does not know the opcode.
    Unknown,
    /// Dropped: the part sleeps, or is still in continuous read.
    Asleep,
    /// It seemed to act and changed nothing, because a fault says so.
    Lost,
}

/// How often the flash was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Erases of each sector.
    pub erases: Vec<u32>,
    /// Page programs that acted.
    pub programs: u64,
    /// Status register writes that acted.
    pub status_writes: u64,
    /// Write enables sent while the flash was busy, and lost.
    pub lost_write_enables: u64,
    /// Programs and erases dropped for protection.
    pub protected: u64,
}

/// What an erase command erases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Page,
    Sector,
    Block32,
    Block64,
    Chip,
}

/// The flash part of a module.
#[derive(Debug)]
pub(super) struct Flash {
    pub(super) part: &'static Part,
    pub(super) cells: Vec<u8>,
    /// The copies that survive without power.
    pub(super) stored: [u8; 3],
    /// The copies in force.
    pub(super) live: [u8; 3],
    pub(super) enabled: bool,
    pub(super) volatile_enabled: bool,
    pub(super) asleep: bool,
    pub(super) continuous_read: bool,
    pub(super) reset_armed: bool,
    /// Addresses of the three-byte opcodes have four bytes (opcodes B7 and E9).
    pub(super) four_byte_mode: bool,
    /// The extended address register (opcodes C5 and C8): the top byte of three-byte addresses.
    pub(super) extended: u8,
    /// Winbond's per-sector locks, all together: open after opcode 98.
    pub(super) sector_locks_open: bool,
    busy_until: Duration,
    working: bool,
    /// The cells the running operation works on; empty for a status register write.
    at_work: Range<u32>,
    pub(super) frame: Frame,
    pub(super) faults: Faults,
    pub(super) rules: Rules,
    pub(super) counters: Counters,
    operations: Option<Vec<Operation>>,
    changes: u64,
    /// Commands so far, reads included.
    commands: u64,
    sags_until: Duration,
    /// The supply is too low for this command: FF for an answer, and nothing is done.
    pub(super) sagging: bool,
    /// The supply is gone.
    pub(super) dead: bool,
    backing: Option<Backing>,
    /// Why the link is gone, once it is.
    pub(super) gone: Option<String>,
    pub(super) file_error: Option<String>,
    chance: Chance,
    pub(super) uid: Uid,
}

/// Where data sheets differ and the part table is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A command dropped for protection leaves WEL set.
    pub protected_leaves_wel: bool,
    /// Writing status register 1 alone clears register 2 (older GD25Q-B and W25Q-BV, spi-flash.md §4).
    pub one_byte_clears_second: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { protected_leaves_wel: true, one_byte_clears_second: false }
    }
}

impl Flash {
    /// A flash just powered up. `cells` are cut or filled with FF to the size of the part.
    pub(super) fn new(part: &'static Part, mut cells: Vec<u8>, stored: [u8; 3], seed: u64) -> Self {
        cells.resize(part.size as usize, 0xFF);
        let uid = Uid::of(&cells);
        let sectors = (part.size / SECTOR) as usize;
        let mut flash = Self {
            part,
            cells,
            stored,
            live: stored,
            enabled: false,
            volatile_enabled: false,
            asleep: false,
            continuous_read: false,
            reset_armed: false,
            four_byte_mode: false,
            extended: 0,
            sector_locks_open: false,
            busy_until: Duration::ZERO,
            working: false,
            at_work: 0..0,
            frame: Frame::default(),
            faults: Faults::default(),
            rules: Rules::default(),
            counters: Counters { erases: vec![0; sectors], ..Counters::default() },
            operations: None,
            changes: 0,
            commands: 0,
            sags_until: Duration::ZERO,
            sagging: false,
            dead: false,
            backing: None,
            gone: None,
            file_error: None,
            chance: Chance::new(seed ^ 0x00F1_A511),
            uid,
        };
        flash.power_up();
        flash
    }

    /// Whether opcode 4B answers.
    pub(super) fn has_uid(&self) -> bool {
        self.part.unique_id && self.uid != Uid::None
    }

    /// Keeps every operation from now on.
    pub(super) fn keep_log(&mut self) {
        self.operations.get_or_insert_default();
    }

    /// The operations kept so far.
    pub(super) fn log(&self) -> &[Operation] {
        self.operations.as_deref().unwrap_or_default()
    }

    /// Forgets the operations kept so far.
    pub(super) fn clear_log(&mut self) {
        if let Some(kept) = &mut self.operations {
            kept.clear();
        }
    }

    /// Writes every change through to a file from now on.
    pub(super) fn back_with(&mut self, backing: Backing) {
        self.backing = Some(backing);
    }

    /// What the supply coming back does: volatile copies are reloaded, nothing is enabled or busy.
    pub(super) fn power_up(&mut self) {
        // A power cycle ends the lock that SRP1 alone means; with SRP0 it is for ever (spi-flash.md §6).
        if let Some(second) = self.part.registers.get(1) {
            let lock = second.mask(|name| name == "SRP1");
            if self.stored[0] & 0x80 == 0 {
                self.stored[1] &= !lock;
            }
        }
        self.live = self.stored;
        self.enabled = false;
        self.volatile_enabled = false;
        self.asleep = false;
        self.reset_armed = false;
        self.four_byte_mode = false;
        self.extended = 0;
        self.sector_locks_open = false;
        self.busy_until = Duration::ZERO;
        self.working = false;
        self.frame = Frame::default();
    }

    /// Opcodes 66 and 99: the volatile state only. A running erase or program is torn.
    pub(super) fn soft_reset(&mut self, now: Duration) {
        if self.is_busy(now) {
            for at in self.at_work.clone() {
                self.cells[at as usize] &= self.chance.byte();
            }
            self.save(self.at_work.clone());
        }
        self.power_up();
    }

    /// Whether the flash works on something at this time.
    pub(super) fn is_busy(&mut self, now: Duration) -> bool {
        if now >= self.busy_until && self.working {
            self.working = false;
            self.enabled = false;
        }
        now < self.busy_until
    }

    /// When the flash is free again; a time in the past when it is free already. `None` when it never ends.
    pub(super) fn free_at(&self) -> Option<Duration> {
        (self.busy_until < Duration::MAX).then_some(self.busy_until)
    }

    /// A status register as opcode 05, 35 or 15 reads it.
    pub(super) fn status(&mut self, register: usize, now: Duration) -> u8 {
        let mut value = self.live[register];
        if let Some(bit) =
            self.part.four_byte.and_then(|four| four.mode_bit).filter(|bit| *bit as usize / 8 == register)
        {
            value = value & !(1 << (bit % 8)) | u8::from(self.four_byte_mode) << (bit % 8);
        }
        if register == 0 {
            value &= !(WIP | WEL);
            if self.is_busy(now) {
                value |= WIP;
            }
            if self.enabled {
                value |= WEL;
            }
        }
        value
    }

    /// The protected bytes.
    pub(super) fn protected(&self) -> Range<u32> {
        let per_sector = self.part.registers.get(2).map_or(0, |third| third.mask(|name| name == "WPS"));
        if self.live[2] & per_sector != 0 {
            return if self.sector_locks_open { 0..0 } else { 0..self.part.size };
        }
        self.part.protected(u32::from_le_bytes([self.live[0], self.live[1], self.live[2], 0]))
    }

    /// A command begins. It is here that a supply sags.
    pub(super) fn command(&mut self, now: Duration) {
        self.commands += 1;
        if self.faults.sag == Some(self.commands) {
            self.sags_until = now + SAG;
        }
        self.sagging = now < self.sags_until;
    }

    /// One byte of the array as the present command reads it; addresses wrap at the size.
    pub(super) fn cell(&self, address: u32) -> u8 {
        if self.sagging { 0xFF } else { self.cells[(address % self.part.size) as usize] }
    }

    /// `len` bytes of the array; addresses wrap at the size.
    pub(super) fn read(&self, address: u32, len: u32) -> Vec<u8> {
        (0..len).map(|offset| self.cell(address.wrapping_add(offset))).collect()
    }

    /// Notes a command in the log.
    pub(super) fn note(&mut self, at: Duration, opcode: u8, address: Option<u32>, len: usize, effect: Effect) {
        match (opcode, effect) {
            (0x06, Effect::Busy) => self.counters.lost_write_enables += 1,
            (_, Effect::Protected) => self.counters.protected += 1,
            _ => (),
        }
        if let Some(kept) = &mut self.operations {
            kept.push(Operation { at, opcode, address, len, effect });
        }
    }

    /// Program: `data` goes into the page buffer from the address' place in its page, wraps there, and clears bits.
    pub(super) fn program(&mut self, address: u32, data: &[u8], now: Duration) -> Effect {
        if self.dead {
            return Effect::Lost;
        }
        let address = address % self.part.size;
        let page = address / PAGE * PAGE;
        if overlaps(&self.protected(), &(page..page + PAGE)) {
            return self.refused();
        }
        let torn = self.begin(page..page + PAGE, self.part.times.page, now);
        self.counters.programs += 1;
        if self.faults.ignore_program || self.faults.drop_page == Some(self.counters.programs) {
            return Effect::Lost;
        }
        for (place, byte) in data.iter().enumerate() {
            let at = page + (address % PAGE + place as u32) % PAGE;
            // A supply drop leaves some of the bits unprogrammed.
            let spared = if torn { self.chance.byte() } else { 0 };
            self.cells[at as usize] &= byte | spared;
        }
        self.save(page..page + PAGE);
        if torn { Effect::Lost } else { Effect::Done }
    }

    /// Erase of the unit that holds the address.
    pub(super) fn erase(&mut self, unit: Unit, address: u32, now: Duration) -> Effect {
        if self.dead {
            return Effect::Lost;
        }
        let times = self.part.times;
        let (size, time) = match unit {
            Unit::Page => (PAGE, times.sector),
            Unit::Sector => (SECTOR, times.sector),
            Unit::Block32 => (BLOCK / 2, times.block32),
            Unit::Block64 => (BLOCK, times.block64),
            Unit::Chip => (self.part.size, times.chip),
        };
        let start = address % self.part.size / size * size;
        let target = start..(start + size).min(self.part.size);
        if overlaps(&self.protected(), &target) {
            return self.refused();
        }
        let torn = self.begin(target.clone(), time, now);
        for sector in target.start / SECTOR..target.end.div_ceil(SECTOR) {
            self.counters.erases[sector as usize] += 1;
        }
        if self.faults.ignore_erase {
            return Effect::Lost;
        }
        for at in target.clone() {
            // A supply drop leaves some of the bits unerased.
            self.cells[at as usize] |= if torn { self.chance.byte() } else { 0xFF };
        }
        self.save(target);
        if torn { Effect::Lost } else { Effect::Done }
    }

    /// Writes status registers from `first` on; `volatile` leaves the stored copies alone.
    pub(super) fn write_status(&mut self, first: usize, values: &[u8], volatile: bool, now: Duration) -> Effect {
        if self.dead {
            return Effect::Lost;
        }
        if self.status_locked() {
            return Effect::Locked;
        }
        let torn = !volatile && self.begin(0..0, self.part.times.status, now);
        if self.faults.ignore_status {
            return Effect::Lost;
        }
        let mut next = self.live;
        for (place, value) in values.iter().enumerate() {
            next[first + place] = *value;
        }
        if first == 0 && values.len() == 1 && self.rules.one_byte_clears_second {
            next[1] = 0;
        }
        for (place, register) in self.part.registers.iter().enumerate() {
            let fixed = register.fixed();
            next[place] = self.live[place] & fixed | next[place] & !fixed | self.live[place] & register.one_time();
            // A supply drop leaves the old value, the new one, or some bits of each.
            let spared = if torn { [0x00, 0xFF, self.chance.byte()][self.chance.below(3) as usize] } else { 0 };
            next[place] = next[place] & !spared | self.live[place] & spared;
        }
        self.live = next;
        if !volatile {
            self.stored = next;
            self.counters.status_writes += 1;
            self.save_status();
        }
        if torn { Effect::Lost } else { Effect::Done }
    }

    /// Puts a status value into the registers the way firmware does: all of them, non-volatile, waiting for the end.
    pub(super) fn force_status(&mut self, value: u32, now: Duration) {
        let [first, second, third, _] = value.to_le_bytes();
        let values = &[first, second, third][..self.part.registers.len().min(3)];
        if self.part.form == WriteForm::None {
            return;
        }
        let start = self.free_at().unwrap_or(now).max(now);
        let opcode = self.part.registers[0].write.unwrap_or(0x01);
        let effect = self.write_status(0, values, false, start);
        self.note(start, opcode, None, values.len(), effect);
    }

    fn status_locked(&self) -> bool {
        self.part.registers.get(1).is_some_and(|second| self.live[1] & second.mask(|name| name == "SRP1") != 0)
    }

    fn refused(&mut self) -> Effect {
        if !self.rules.protected_leaves_wel {
            self.enabled = false;
        }
        Effect::Protected
    }

    /// Starts an operation. True when the supply drops in the middle of it.
    fn begin(&mut self, target: Range<u32>, time: Duration, now: Duration) -> bool {
        self.changes += 1;
        let stuck = self.faults.stuck_busy == Some(self.changes);
        self.busy_until = if stuck { Duration::MAX } else { now + time };
        self.working = true;
        self.at_work = target;
        if self.faults.unplug == Some(self.changes) {
            self.gone = Some("the cable was pulled".to_owned());
        }
        let (dropped, cut) =
            (self.faults.power_loss == Some(self.changes), self.faults.power_cut == Some(self.changes));
        if dropped {
            self.gone = Some("the supply dropped in the middle of a flash operation".to_owned());
        }
        if let Some(backing) = self.backing.as_ref().filter(|_| cut) {
            cut::remember(backing.path(), self.changes);
        }
        // What runs now is the last thing that changes a cell.
        self.dead |= dropped || cut;
        dropped || cut
    }

    fn save(&mut self, changed: Range<u32>) {
        let Self { backing: Some(backing), cells, .. } = self else { return };
        let result = backing.put(changed.start, &cells[changed.start as usize..changed.end as usize]);
        self.keep_error(result);
    }

    /// Writes to the file beside the cells what outlives the program.
    pub(super) fn save_status(&mut self) {
        let state = self.state();
        let Some(backing) = &mut self.backing else { return };
        let result = backing.put_state(&state);
        self.keep_error(result);
    }

    fn keep_error(&mut self, result: Result<(), LinkError>) {
        if let Err(error) = result {
            self.file_error = Some(error.to_string());
        }
    }

    /// What outlives the program, apart from the cells.
    pub(super) fn state(&self) -> State {
        State { part: self.part.hex(), status: self.stored, unique_id: Some(self.uid) }
    }
}

fn overlaps(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.start < other.end && other.start < one.end && !one.is_empty()
}
