//! The write protection of a part, in terms of its own registers (spi-flash.md §6).

use super::part::Part;
use crate::codec::nor::{Registers, StatusBytes, StatusChange, StatusRefusal};
use crate::units::Span;

impl Part {
    /// What the status arithmetic has to know of this part.
    pub fn registers(&self) -> Registers<'static> {
        Registers { layout: self.layout, scheme: self.scheme, form: self.wrsr, size: self.size }
    }

    /// The bytes the registers protect; `None` when that cannot be told: no known scheme, a register not read, or
    /// per-sector locks (WPS = 1).
    pub fn protected(&self, status: StatusBytes) -> Option<Span> {
        self.registers().protected(status)
    }

    /// Every range this part can protect, short ones first; empty when its scheme is unknown.
    pub fn protectable(&self) -> Vec<Span> {
        self.registers().ranges()
    }

    /// The change that takes all protection away; `None` when there is none.
    ///
    /// # Errors
    /// As [`StatusChange::open`].
    pub fn open(&self, current: StatusBytes) -> Result<Option<StatusChange>, StatusRefusal> {
        StatusChange::open(&self.registers(), current)
    }

    /// The change that protects exactly `wanted`; `None` when that is so already.
    ///
    /// # Errors
    /// As [`StatusChange::close_to`].
    pub fn close_to(&self, current: StatusBytes, wanted: Span) -> Result<Option<StatusChange>, StatusRefusal> {
        StatusChange::close_to(&self.registers(), current, wanted)
    }

    /// The change to the protection the vendor's firmware sets on every start; `None` when that is so already.
    ///
    /// # Errors
    /// [`StatusRefusal::NoFactoryValue`] when the vendor's firmware does not list the part; else as
    /// [`StatusChange::factory`].
    pub fn factory(&self, current: StatusBytes) -> Result<Option<StatusChange>, StatusRefusal> {
        let sdk = self.sdk.ok_or(StatusRefusal::NoFactoryValue)?;
        StatusChange::factory(&self.registers(), current, sdk.unprotect_last_block, sdk.written())
    }

    /// The change back to the protection bits of `earlier`; `None` when they are the same.
    ///
    /// # Errors
    /// As [`StatusChange::back_to`].
    pub fn back_to(&self, current: StatusBytes, earlier: StatusBytes) -> Result<Option<StatusChange>, StatusRefusal> {
        StatusChange::back_to(&self.registers(), current, earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::super::part::{part_named, parts};
    use super::*;
    use crate::codec::nor::WriteForm;

    /// Parts that differ in anything the arithmetic looks at: one of each kind stands for all.
    fn kinds() -> Vec<&'static Part> {
        let mut kinds: Vec<&'static Part> = Vec::new();
        for part in parts() {
            let key = |part: &Part| (&part.layout.name, &part.scheme.name, part.size, part.wrsr);
            if !kinds.iter().any(|known| key(known) == key(part)) {
                kinds.push(part);
            }
        }
        assert!(kinds.len() > 20);
        kinds
    }

    /// The registers of a part holding `value`.
    fn registers(part: &Part, value: u32) -> StatusBytes {
        StatusBytes { sr1: 0, sr2: part.layout.sr2.as_ref().map(|_| 0), sr3: part.layout.sr3.as_ref().map(|_| 0) }
            .with_value(value)
    }

    fn protected(name: &str, value: u32) -> Option<Span> {
        let part = part_named(name).expect("in the table");
        part.protected(registers(part, value))
    }

    #[test]
    fn factory_registers_decode_to_the_ranges_seen_in_the_field() {
        assert_eq!(protected("TH25Q16HB", 0x4004), Some(Span::between(0, 0x1F_0000)));
        assert_eq!(protected("EN25QH16B", 0x5C), Some(Span::between(0, 0x20_0000)));
        assert_eq!(protected("EN25QH16B", 0x34), Some(Span::between(0, 0x10_0000)));
        assert_eq!(protected("P25Q16HB", 0x0004), Some(Span::between(0x1F_0000, 0x20_0000)));
        assert_eq!(protected("MX25V1635F", 0x38), Some(Span::between(0, 0x1F_0000)));
    }

    #[test]
    fn vendor_values_decode_to_what_their_names_promise() {
        for part in parts().iter().filter(|part| matches!(part.name.as_str(), "GD25Q16B" | "TH25Q16HB" | "XT25F16B")) {
            let sdk = part.sdk.expect("listed by the vendor");
            let span = |value| part.protected(registers(part, value));
            assert_eq!(span(sdk.none), Some(Span::new(0, 0)), "{}", part.name);
            assert_eq!(span(sdk.all), Some(Span::new(0, part.size)), "{}", part.name);
            assert_eq!(span(sdk.half).map(|span| span.len), Some(part.size / 2), "{}", part.name);
            assert_eq!(span(sdk.unprotect_last_block), Some(Span::between(0, part.size - 0x1_0000)), "{}", part.name);
        }
    }

    #[test]
    fn sector_counts_and_complement_follow_the_data_sheet_of_the_gd25q16() {
        assert_eq!(protected("GD25Q16B", 0x44), Some(Span::between(0x1F_F000, 0x20_0000)));
        assert_eq!(protected("GD25Q16B", 0x64), Some(Span::between(0, 0x1000)));
        assert_eq!(protected("GD25Q16B", 0x50), Some(Span::between(0x1F_8000, 0x20_0000)));
        assert_eq!(protected("GD25Q16B", 0x08), Some(Span::between(0x1E_0000, 0x20_0000)));
        assert_eq!(protected("GD25Q16B", 0x28), Some(Span::between(0, 0x2_0000)));
        assert_eq!(protected("GD25Q16B", 0x4000), Some(Span::new(0, 0x20_0000)));
        assert_eq!(protected("GD25Q16B", 0x401C), Some(Span::new(0, 0)));
    }

    #[test]
    fn opening_leaves_nothing_protected_and_every_other_bit_alone_or_is_refused() {
        for part in kinds() {
            let highest = registers(part, 0x00FF_FFFF).value() & 0x4_FFFF;
            for value in (0..=highest).filter(|value| registers(part, *value).value() == *value) {
                let current = registers(part, value);
                let locked = part.layout.is_set("SRP1", current) || part.layout.is_set("WPS", current);
                match part.open(current) {
                    Ok(Some(change)) => {
                        assert!(!locked, "{} {current}", part.name);
                        assert_eq!(part.protected(change.after()), Some(Span::new(0, 0)), "{} {current}", part.name);
                        assert_eq!(change.changed_bits() & !part.scheme.mask(), 0, "{} {current}", part.name);
                    }
                    Ok(None) => assert_eq!(part.protected(current), Some(Span::new(0, 0)), "{} {current}", part.name),
                    Err(StatusRefusal::UnknownScheme) => assert_eq!(part.scheme.name, "none"),
                    Err(_) => assert!(locked, "{} {current}", part.name),
                }
            }
        }
    }

    #[test]
    fn every_range_a_part_can_protect_is_reached_from_every_other_one() {
        for part in kinds() {
            let mask = part.scheme.mask();
            let values: Vec<u32> = (0..=mask).filter(|value| value & !mask == 0).collect();
            for from in &values {
                for to in &values {
                    let current = registers(part, from | 0x0200);
                    let Some(wanted) = part.protected(registers(part, *to)) else { continue };
                    let after =
                        part.close_to(current, wanted).expect("reachable").map_or(current, |change| change.after());
                    assert_eq!(part.protected(after), Some(wanted), "{} {from:04X} to {to:04X}", part.name);
                    assert_eq!((after.value() ^ current.value()) & !mask, 0);
                }
            }
        }
    }

    #[test]
    fn the_list_of_ranges_is_what_the_bits_can_say() {
        let ranges = |name: &str| part_named(name).expect("in the table").protectable();
        assert_eq!(ranges("EN25QH16B").len(), 12, "nothing, all, and five powers of two at either end");
        assert!(ranges("TH25Q16HB").contains(&Span::between(0, 0x1F_0000)));
        assert_eq!(ranges("BK"), []);
        for part in kinds().into_iter().filter(|part| part.scheme.mask() != 0) {
            assert_eq!(part.protectable().first(), Some(&Span::new(0, 0)), "{}", part.name);
            assert_eq!(part.protectable().last(), Some(&Span::new(0, part.size)), "{}", part.name);
        }
    }

    #[test]
    fn a_range_that_no_setting_covers_is_refused() {
        let part = part_named("TH25Q16HB").expect("in the table");
        let wanted = Span::new(0x1_0000, 0x1_0000);
        assert_eq!(part.close_to(registers(part, 0), wanted), Err(StatusRefusal::NoSuchRange { wanted }));
    }

    #[test]
    fn lock_and_quad_bits_survive_every_change() {
        let part = part_named("EN25QH16B").expect("in the table");
        let change = part.open(registers(part, 0xDC)).expect("allowed").expect("something to do");
        assert_eq!(change.after().sr1, 0xC0, "SRP and WHDIS_QE stay");
        let part = part_named("TH25Q16HB").expect("in the table");
        let change = part.open(registers(part, 0x7A84)).expect("allowed").expect("something to do");
        assert_eq!(change.after().value(), 0x3A80, "QE, LB1 to LB3 and SRP0 stay");
    }

    #[test]
    fn the_factory_value_is_the_vendor_firmwares_own_slip_included() {
        let after = |name: &str, current: u32| {
            let part = part_named(name).expect("in the table");
            part.factory(registers(part, current)).expect("allowed").expect("something to do").after().value()
        };
        assert_eq!(after("TH25Q16HB", 0x0200), 0x4204);
        assert_eq!(after("EN25QH16B", 0x40), 0x74, "bit 6 is not protection");
        assert_eq!(after("P25Q16HB", 0x0000), 0x0004, "only one byte is written to this part");
        let unlisted = part_named("W25Q80").expect("in the table");
        assert_eq!(unlisted.factory(registers(unlisted, 0)), Err(StatusRefusal::NoFactoryValue));
    }

    #[test]
    fn going_back_takes_only_the_protection_bits_of_the_earlier_registers() {
        let part = part_named("TH25Q16HB").expect("in the table");
        let change =
            part.back_to(registers(part, 0x0200), registers(part, 0x7C84)).expect("allowed").expect("a change");
        assert_eq!(change.after().value(), 0x4204);
    }

    #[test]
    fn a_register_that_was_not_read_makes_the_range_unknown() {
        let part = part_named("TH25Q16HB").expect("in the table");
        let half_read = StatusBytes { sr1: 0x04, sr2: None, sr3: None };
        assert_eq!(part.protected(half_read), None);
        assert_eq!(part.open(half_read), Err(StatusRefusal::UnknownScheme));
        assert_eq!(part.back_to(half_read, registers(part, 0)), Err(StatusRefusal::UnknownScheme));
    }

    #[test]
    fn per_sector_locks_are_neither_decoded_nor_opened() {
        let part = part_named("W25Q16").expect("in the table");
        let current = registers(part, 0x04_0000);
        assert_eq!(part.protected(current), None);
        assert_eq!(part.open(current), Err(StatusRefusal::SectorLocks));
    }

    /// Plays the commands of one form against registers that take them as the data sheet says.
    fn play(change: &StatusChange, form: WriteForm, mut now: StatusBytes, drops_sr2: bool) -> StatusBytes {
        for _ in 0..3 {
            let Some(write) = change.next_write(form, now) else { break };
            match (write.opcode, write.values()) {
                (0x01, [sr1]) => {
                    now.sr1 = *sr1;
                    if drops_sr2 {
                        now.sr2 = now.sr2.map(|_| 0);
                    }
                }
                (0x01, [sr1, sr2]) => (now.sr1, now.sr2) = (*sr1, Some(*sr2)),
                (0x31, [sr2]) => now.sr2 = Some(*sr2),
                other => panic!("{other:?}"),
            }
        }
        now
    }

    #[test]
    fn every_form_of_a_change_ends_at_the_wanted_registers() {
        for part in kinds().into_iter().filter(|part| part.scheme.mask() != 0) {
            let current = registers(part, 0x427F);
            let Ok(Some(change)) = part.open(current) else { continue };
            for form in change.forms() {
                for drops_sr2 in [false, part.layout.write.sr2.is_some()] {
                    let now = play(&change, form, current, drops_sr2);
                    assert!(change.took(now), "{} {form:?}: {now} instead of {}", part.name, change.after());
                    assert_eq!(now.sr1 & 0x03, 0, "read-only bits are sent as 0");
                }
            }
        }
    }

    #[test]
    fn the_parts_own_form_is_tried_first_and_none_twice() {
        let forms = |name: &str, value: u32| {
            let part = part_named(name).expect("in the table");
            part.open(registers(part, value)).expect("allowed").expect("a change").forms()
        };
        assert_eq!(forms("TH25Q16HB", 0x4004), [WriteForm::TwoByte, WriteForm::Separate]);
        assert_eq!(forms("GT25Q16B", 0x04), [WriteForm::Separate, WriteForm::TwoByte]);
        assert_eq!(forms("P25Q16HB", 0x04), [WriteForm::OneByteThen31h, WriteForm::TwoByte]);
        assert_eq!(forms("EN25QH16B", 0x5C), [WriteForm::OneByte]);
        assert_eq!(forms("MX25V1635F", 0x38), [WriteForm::OneByte], "the configuration register holds an OTP bit");
    }
}
