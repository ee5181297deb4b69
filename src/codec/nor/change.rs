//! Changes of the status registers. A [`StatusChange`] can be made only here, from what was read, and only by moving
//! bits of the part's protection scheme: lock bits, one-time programmable bits, QE and the like cannot be expressed.

use serde::{Deserialize, Serialize};

use super::status::{RegisterOpcodes, Scheme, StatusBytes, StatusLayout, protected_span};
use crate::problem::{Class, Explain, Problem};
use crate::units::Span;

/// How a part takes a status write, `wrsr` in flash-chips.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteForm {
    /// 01 with one byte; nothing else holds protection bits.
    OneByte,
    /// 01 with SR1 and SR2.
    TwoByte,
    /// 01 with SR1, then 31 with SR2, each after its own WREN.
    #[serde(rename = "separate_31h")]
    Separate,
    /// As [`WriteForm::Separate`]; the two-byte form was seen not to work on this part.
    #[serde(rename = "sr1_1byte_then_31h")]
    OneByteThen31h,
    /// The part has no status register that could be written.
    None,
}

/// What the arithmetic has to know of a part.
#[derive(Clone, Copy, Debug)]
pub struct Registers<'a> {
    /// Bit names and opcodes.
    pub layout: &'a StatusLayout,
    /// Which bits protect what.
    pub scheme: &'a Scheme,
    /// How the part takes a write.
    pub form: WriteForm,
    /// Size of the part in bytes.
    pub size: u32,
}

impl Registers<'_> {
    /// The protected bytes, as [`protected_span`] has them; `None` also when per-sector locks have taken the place of
    /// the block protection bits (WPS = 1).
    pub fn protected(&self, status: StatusBytes) -> Option<Span> {
        if self.layout.is_set("WPS", status) { None } else { protected_span(self.scheme, status, self.size) }
    }

    /// Every range the bits can protect, the empty one included, short ones first and each once.
    pub fn ranges(&self) -> Vec<Span> {
        let all = StatusBytes { sr1: 0, sr2: Some(0), sr3: Some(0) };
        let mut ranges: Vec<Span> = subsets(self.scheme.mask())
            .filter_map(|bits| protected_span(self.scheme, all.with_value(bits), self.size))
            .collect();
        ranges.sort_by_key(|span| (span.len, span.start));
        ranges.dedup();
        ranges
    }
}

/// One status write command: WREN goes in front of it, the end of WIP behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusWrite {
    /// 01, 31 or 11.
    pub opcode: u8,
    values: [u8; 2],
    len: usize,
}

impl StatusWrite {
    const fn one(opcode: u8, value: u8) -> Self {
        Self { opcode, values: [value, 0], len: 1 }
    }

    const fn two(opcode: u8, first: u8, second: u8) -> Self {
        Self { opcode, values: [first, second], len: 2 }
    }

    /// The one or two values behind the opcode.
    pub fn values(&self) -> &[u8] {
        self.values.get(..self.len).unwrap_or(&self.values)
    }
}

/// A wanted change of the status registers: what was read, and what shall stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusChange {
    before: StatusBytes,
    after: StatusBytes,
    form: WriteForm,
    write: RegisterOpcodes,
    volatile: u32,
    mask: u32,
}

impl StatusChange {
    /// Takes all protection away; `None` when nothing is protected.
    ///
    /// # Errors
    /// [`StatusRefusal`] when the scheme is unknown, the register is locked, or per-sector locks are on.
    pub fn open(part: &Registers<'_>, current: StatusBytes) -> Result<Option<Self>, StatusRefusal> {
        let span = Self::known_span(part, current)?;
        if span.is_empty() {
            return Ok(None);
        }
        Self::to_value(part, current, 0)
    }

    /// Protects exactly `wanted` (a range at either end of the chip, or an empty one); `None` when that range is
    /// protected already. Of several values the one nearest to the present one is taken.
    ///
    /// # Errors
    /// [`StatusRefusal::NoSuchRange`] when no value of the bits protects exactly this range; else as
    /// [`StatusChange::open`].
    pub fn close_to(part: &Registers<'_>, current: StatusBytes, wanted: Span) -> Result<Option<Self>, StatusRefusal> {
        let same = |span: Span| span == wanted || (span.is_empty() && wanted.is_empty());
        if same(Self::known_span(part, current)?) {
            return Ok(None);
        }
        let mask = part.scheme.mask();
        subsets(mask)
            .filter(|bits| {
                let status = current.with_value(current.value() & !mask | bits);
                protected_span(part.scheme, status, part.size).is_some_and(same)
            })
            .min_by_key(|bits| ((bits ^ current.value() & mask).count_ones(), *bits))
            .ok_or(StatusRefusal::NoSuchRange { wanted })
            .and_then(|bits| Self::to_value(part, current, bits))
    }

    /// Puts the protection bits to a value that the vendor's firmware writes. `bits` is that value and `written` the
    /// bits of the registers which that firmware writes at all; bits outside the scheme are left alone.
    ///
    /// # Errors
    /// As [`StatusChange::open`].
    pub fn factory(
        part: &Registers<'_>,
        current: StatusBytes,
        bits: u32,
        written: u32,
    ) -> Result<Option<Self>, StatusRefusal> {
        Self::known_span(part, current)?;
        Self::to_value(part, current, current.value() & !written | bits & written)
    }

    /// Puts the protection bits back to those of `earlier`; every other bit stays as it is now.
    ///
    /// # Errors
    /// [`StatusRefusal::Locked`] or [`StatusRefusal::UnknownScheme`].
    pub fn back_to(
        part: &Registers<'_>,
        current: StatusBytes,
        earlier: StatusBytes,
    ) -> Result<Option<Self>, StatusRefusal> {
        if protected_span(part.scheme, earlier, part.size).is_none() {
            return Err(StatusRefusal::UnknownScheme);
        }
        Self::to_value(part, current, earlier.value())
    }

    /// The registers this change was made from.
    pub const fn before(&self) -> StatusBytes {
        self.before
    }

    /// What the registers shall hold.
    pub const fn after(&self) -> StatusBytes {
        self.after
    }

    /// The bits that change, numbered as in [`StatusBytes::value`].
    pub const fn changed_bits(&self) -> u32 {
        self.before.value() ^ self.after.value()
    }

    /// Whether registers read back hold what was wanted; flags the chip sets by itself do not count.
    pub const fn took(&self, read: StatusBytes) -> bool {
        (read.value() ^ self.after.value()) & !self.volatile & self.after.present() == 0
    }

    /// Whether the registers still are what this change was made from.
    pub const fn starts_from(&self, read: StatusBytes) -> bool {
        (read.value() ^ self.before.value()) & !self.volatile & self.before.present() == 0
    }

    /// The forms to try, the part's own first (spi-flash.md §6: one byte 01 then 31, then two-byte 01).
    pub fn forms(&self) -> Vec<WriteForm> {
        let two_registers = self.mask & 0xFF00 != 0;
        let mut forms = vec![self.form];
        if two_registers {
            forms.extend([WriteForm::Separate, WriteForm::TwoByte]);
        } else {
            forms.push(WriteForm::OneByte);
        }
        let mut seen = Vec::new();
        forms.retain(|form| {
            let form = match form {
                WriteForm::OneByteThen31h => WriteForm::Separate,
                other => *other,
            };
            // A form that would write SR2 is of no use, and a risk, where SR2 holds nothing of the scheme.
            let useful = form != WriteForm::None && (two_registers || form != WriteForm::TwoByte);
            let new = !seen.contains(&form);
            seen.push(form);
            useful && new
        });
        forms
    }

    /// The next command that brings registers which now read `now` nearer to the goal in this form; `None` when the
    /// form has nothing left to send. Asked anew after every command, since a one-byte 01 clears SR2 on some parts.
    pub fn next_write(&self, form: WriteForm, now: StatusBytes) -> Option<StatusWrite> {
        let differs = |now: u8, wanted: u8, shift: u32| u32::from(now ^ wanted) << shift & !self.volatile != 0;
        let sr1 = self.after.sr1 & !(self.volatile as u8);
        let sr1_differs = differs(now.sr1, self.after.sr1, 0);
        let sr2 = match (self.after.sr2, now.sr2) {
            (Some(wanted), Some(now)) => Some((wanted & !((self.volatile >> 8) as u8), differs(now, wanted, 8))),
            _ => None,
        };
        match (form, sr2, self.write.sr2) {
            (WriteForm::None, _, _) => None,
            (WriteForm::TwoByte, Some((sr2, sr2_differs)), _) => {
                (sr1_differs || sr2_differs).then(|| StatusWrite::two(self.write.sr1, sr1, sr2))
            }
            _ if sr1_differs => Some(StatusWrite::one(self.write.sr1, sr1)),
            (_, Some((sr2, true)), Some(opcode)) => Some(StatusWrite::one(opcode, sr2)),
            _ => None,
        }
    }

    /// The protected range, or why there is none to speak of.
    fn known_span(part: &Registers<'_>, current: StatusBytes) -> Result<Span, StatusRefusal> {
        if part.layout.is_set("WPS", current) {
            return Err(StatusRefusal::SectorLocks);
        }
        protected_span(part.scheme, current, part.size).ok_or(StatusRefusal::UnknownScheme)
    }

    /// The one place where a change is put together: the scheme's bits from `bits`, all others as they are.
    fn to_value(part: &Registers<'_>, current: StatusBytes, bits: u32) -> Result<Option<Self>, StatusRefusal> {
        let mask = part.scheme.mask();
        if mask & !current.present() != 0 {
            return Err(StatusRefusal::UnknownScheme);
        }
        let after = current.with_value(current.value() & !mask | bits & mask);
        if after == current {
            return Ok(None);
        }
        if part.layout.is_set("SRP1", current) {
            return Err(StatusRefusal::Locked { status: current });
        }
        if part.form == WriteForm::None {
            return Err(StatusRefusal::UnknownScheme);
        }
        let volatile = part.layout.volatile();
        Ok(Some(Self { before: current, after, form: part.form, write: part.layout.write, volatile, mask }))
    }
}

/// Every value whose bits all lie in `mask`, 0 first.
fn subsets(mask: u32) -> impl Iterator<Item = u32> {
    let mut next = Some(0_u32);
    std::iter::from_fn(move || {
        let value = next?;
        next = (value != mask).then(|| value.wrapping_sub(mask) & mask);
        Some(value)
    })
}

/// Why a change of the status registers is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusRefusal {
    /// SRP1 is set: the registers cannot be written until the next power cycle, or ever.
    #[error("the status registers are locked by SRP1 ({status})")]
    Locked {
        /// The registers.
        status: StatusBytes,
    },
    /// Nothing is known about the part's protection bits, or a register of the scheme was not read.
    #[error("the protection bits of this part are not known")]
    UnknownScheme,
    /// WPS = 1: each sector has its own lock, and block protection bits have no effect.
    #[error("the part uses per-sector locks (WPS = 1)")]
    SectorLocks,
    /// No value of the bits protects exactly this range.
    #[error("no setting of the protection bits covers exactly {wanted}")]
    NoSuchRange {
        /// The range asked for.
        wanted: Span,
    },
    /// The table has no factory value for this part.
    #[error("the factory protection of this part is not known")]
    NoFactoryValue,
}

impl Explain for StatusRefusal {
    fn explain(&self) -> Problem {
        let (code, cause, remedy) = match self {
            Self::Locked { .. } => (
                "E330",
                "SRP1 = 1 locks the registers until the supply is taken away, and for ever on parts where SRP0 is set too",
                "take the 3.3 V supply off the module for ten seconds, connect again and look at the Protect tab",
            ),
            Self::UnknownScheme => (
                "E331",
                "the part is not in the table, or its table entry has no protection scheme",
                "the flash can be read; do not write to it before its data sheet has been added to the table",
            ),
            Self::SectorLocks => (
                "E332",
                "WPS = 1 was set by somebody; all sectors are locked after power-up and BP bits have no effect",
                "clear WPS with a tool made for this part; bkbench changes block protection bits only",
            ),
            Self::NoSuchRange { .. } => (
                "E333",
                "the bits can only express ranges of a power of two at one end of the chip, or their complement",
                "choose one of the ranges listed on the Protect tab",
            ),
            Self::NoFactoryValue => (
                "E334",
                "the vendor's firmware does not list this part",
                "put back the registers kept in the backup instead: `bkbench protect restore`",
            ),
        };
        Problem::new(Class::Refused, code, self.to_string(), cause, remedy)
    }
}
