//! Carrying out a status register change, the same way over both wires (spi-flash.md §6, uart-protocol.md §7.2).

use super::error::DeviceError;
use crate::codec::nor::{StatusBytes, StatusChange, StatusWrite};

/// Commands one form may need: SR1, then SR2, then SR2 again when the first write cleared it.
const WRITES_PER_FORM: usize = 3;

/// Reading and writing single status registers.
pub(super) trait StatusAccess {
    /// All registers of the part.
    fn read_registers(&mut self) -> Result<StatusBytes, DeviceError>;
    /// One write command, with its own WREN, waited for.
    fn write_register(&mut self, write: StatusWrite) -> Result<(), DeviceError>;
}

/// Writes in the part's own form, reads back, and tries the other documented forms until the registers hold what was
/// wanted.
pub(super) fn carry_out(access: &mut dyn StatusAccess, change: &StatusChange) -> Result<StatusBytes, DeviceError> {
    let mut now = access.read_registers()?;
    if change.took(now) {
        return Ok(now);
    }
    if !change.starts_from(now) {
        return Err(DeviceError::StatusMoved { was: change.before().to_string(), is: now.to_string() });
    }
    for form in change.forms() {
        for _ in 0..WRITES_PER_FORM {
            let Some(write) = change.next_write(form, now) else { break };
            access.write_register(write)?;
            let before = std::mem::replace(&mut now, access.read_registers()?);
            if change.took(now) {
                return Ok(now);
            }
            if now == before {
                break;
            }
        }
    }
    Err(DeviceError::StatusNotTaken { wanted: change.after().to_string(), is: now.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::{Part, part_named};

    /// Registers with quirks, and a record of what was written to them.
    struct Registers {
        now: StatusBytes,
        takes_two_bytes: bool,
        takes_31h: bool,
        locked: bool,
        written: Vec<(u8, usize)>,
    }

    impl Registers {
        fn new(value: u32) -> Self {
            let now = StatusBytes { sr1: 0, sr2: Some(0), sr3: None }.with_value(value);
            Self { now, takes_two_bytes: true, takes_31h: true, locked: false, written: Vec::new() }
        }
    }

    impl StatusAccess for Registers {
        fn read_registers(&mut self) -> Result<StatusBytes, DeviceError> {
            Ok(self.now)
        }

        fn write_register(&mut self, write: StatusWrite) -> Result<(), DeviceError> {
            self.written.push((write.opcode, write.values().len()));
            match (write.opcode, write.values()) {
                _ if self.locked => {}
                (0x01, [sr1]) => self.now = StatusBytes { sr1: *sr1, sr2: Some(0), sr3: None },
                (0x01, [sr1, sr2]) if self.takes_two_bytes => {
                    self.now = StatusBytes { sr1: *sr1, sr2: Some(*sr2), sr3: None };
                }
                (0x31, [sr2]) if self.takes_31h => self.now.sr2 = Some(*sr2),
                _ => {}
            }
            Ok(())
        }
    }

    fn opening(part: &Part, registers: &Registers) -> StatusChange {
        part.open(registers.now).expect("allowed").expect("something to do")
    }

    fn th25q16hb() -> &'static Part {
        part_named("TH25Q16HB").expect("in the table")
    }

    #[test]
    fn the_parts_own_form_is_enough_where_it_works() {
        let mut registers = Registers::new(0x4204);
        let change = opening(th25q16hb(), &registers);
        let after = carry_out(&mut registers, &change).expect("taken");
        assert_eq!((after.value(), registers.written), (0x0200, vec![(0x01, 2)]));
    }

    #[test]
    fn a_part_that_drops_two_bytes_is_written_one_register_at_a_time() {
        let mut registers = Registers { takes_two_bytes: false, ..Registers::new(0x4204) };
        let change = opening(th25q16hb(), &registers);
        let after = carry_out(&mut registers, &change).expect("taken");
        assert_eq!(after.value(), 0x0200, "QE came back although the one-byte write cleared it");
        assert_eq!(registers.written, [(0x01, 2), (0x01, 1), (0x31, 1)]);
    }

    #[test]
    fn registers_that_take_nothing_are_named() {
        let mut registers = Registers { locked: true, ..Registers::new(0x4204) };
        let change = opening(th25q16hb(), &registers);
        match carry_out(&mut registers, &change) {
            Err(DeviceError::StatusNotTaken { wanted, is }) => {
                assert_eq!((wanted.as_str(), is.as_str()), ("SR1 00 SR2 02", "SR1 04 SR2 42"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_made_from_other_registers_is_not_carried_out() {
        let mut registers = Registers::new(0x4004);
        let change = opening(th25q16hb(), &registers);
        registers.now.sr2 = Some(0x42);
        assert!(matches!(carry_out(&mut registers, &change), Err(DeviceError::StatusMoved { .. })));
        assert_eq!(registers.written, []);
    }

    #[test]
    fn registers_that_are_right_already_are_left_alone() {
        let mut registers = Registers::new(0x4004);
        let change = opening(th25q16hb(), &registers);
        registers.now = change.after();
        assert_eq!(carry_out(&mut registers, &change).expect("nothing to do"), change.after());
        assert_eq!(registers.written, []);
    }
}
