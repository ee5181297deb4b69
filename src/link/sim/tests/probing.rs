//! The lines one by one, as a host without its SPI controller sees them.

use std::time::Duration;

use crate::link::contract::{Clock, Hold, Line, ProbeLines, SpiLink, Wire};
use crate::link::sim::{Echo, Electrics, Faults, Knobs, Module, Setup, Wires};

struct Hands {
    probe: Box<dyn ProbeLines>,
    spi: Box<dyn SpiLink>,
    clock: std::rc::Rc<dyn Clock>,
}

impl Hands {
    fn on(setup: Setup) -> (Module, Self) {
        let module = Module::new(setup.image(vec![0x5A; 0x20_0000])).unwrap();
        let link = module.link();
        let Wire::Spi(spi) = link.wire else { panic!("not an SPI link") };
        (module, Self { probe: link.probe.unwrap(), spi, clock: link.clock })
    }

    fn with(wires: &str) -> Self {
        Self::on(Setup::new("wb2s").unwrap().wires(Wires::parse(wires).unwrap())).1
    }

    fn hold(&mut self, line: Line, how: Hold) {
        self.probe.hold(line, how).unwrap();
    }

    /// The levels with a pull-up and with a pull-down.
    fn pulls(&mut self, line: Line) -> (bool, bool) {
        self.hold(line, Hold::PullUp);
        let up = self.probe.level(line).unwrap();
        self.hold(line, Hold::PullDown);
        (up, self.probe.level(line).unwrap())
    }

    fn reset(&mut self) {
        self.hold(Line::Cen, Hold::Low);
        self.hold(Line::Csn, Hold::High);
        self.hold(Line::Sck, Hold::Low);
        self.clock.sleep(Duration::from_millis(100));
        self.hold(Line::Cen, Hold::PullUp);
    }

    fn bytes(&mut self, out: Line, back: Line, bytes: &[u8]) -> Vec<u8> {
        self.hold(Line::Csn, Hold::Low);
        let mut answer = Vec::new();
        for byte in bytes {
            let mut seen = 0;
            for place in (0..8).rev() {
                self.hold(Line::Sck, Hold::Low);
                self.hold(out, if byte >> place & 1 == 1 { Hold::High } else { Hold::Low });
                seen = seen << 1 | u8::from(self.probe.level(back).unwrap());
                self.hold(Line::Sck, Hold::High);
            }
            answer.push(seen);
        }
        self.hold(Line::Sck, Hold::Low);
        self.hold(Line::Csn, Hold::High);
        answer
    }
}

const FOLLOWS: (bool, bool) = (true, false);

#[test]
fn a_chip_in_reset_leaves_its_pads_to_the_pulls_and_its_reset_line_is_pulled_up() {
    let mut hands = Hands::with("");
    assert_eq!(hands.pulls(Line::Cen), (true, true));
    hands.hold(Line::Cen, Hold::Low);
    assert_eq!(hands.pulls(Line::So), FOLLOWS);
    assert_eq!(Hands::with("so-short-gnd").pulls(Line::So), (false, false));
    assert_eq!(Hands::with("so-short-3v3").pulls(Line::So), (true, true));
    assert_eq!(Hands::with("cen-open").pulls(Line::Cen), FOLLOWS);
}

#[test]
fn a_module_without_supply_draws_its_lines_down_until_it_is_fed_through_them() {
    let mut hands = Hands::with("3v3-open");
    for line in [Line::Cen, Line::Csn, Line::Sck, Line::Si] {
        hands.hold(line, Hold::Low);
    }
    hands.clock.sleep(Duration::from_millis(300));
    for line in [Line::Csn, Line::Sck, Line::Si, Line::So, Line::Cen] {
        assert_eq!(hands.pulls(line), (false, false), "{line:?}");
    }
    hands.hold(Line::Csn, Hold::High);
    hands.clock.sleep(Duration::from_millis(100));
    assert_eq!(hands.pulls(Line::Cen), (true, true), "fed through CSN");
}

#[test]
fn bytes_by_hand_enter_spi_mode_and_read_the_id() {
    let mut hands = Hands::with("");
    hands.reset();
    hands.hold(Line::So, Hold::PullUp);
    assert_eq!(hands.bytes(Line::Si, Line::So, &[0xD2; 4]), [0x52, 0, 0, 0], "SO is low until the first clock");
    hands.clock.sleep(Duration::from_millis(20));
    assert_eq!(hands.bytes(Line::Si, Line::So, &[0x9F, 0, 0, 0])[1..], [0xEB, 0x60, 0x15]);
    hands.probe.release().unwrap();
    let mut frame = [0x9F, 0, 0, 0];
    hands.spi.exchange(&mut frame).unwrap();
    assert_eq!(frame[1..], [0xEB, 0x60, 0x15], "the controller goes on where the hands stopped");
}

#[test]
fn exchanged_wires_work_by_hand_in_exchanged_roles() {
    let mut hands = Hands::with("si-so-swapped");
    hands.reset();
    hands.hold(Line::Si, Hold::PullUp);
    assert_eq!(hands.bytes(Line::So, Line::Si, &[0xD2; 4]), [0x52, 0, 0, 0]);
}

#[test]
fn the_controller_is_off_its_pins_while_they_are_taken_and_a_drop_gives_them_back() {
    let mut hands = Hands::with("");
    hands.hold(Line::Sck, Hold::Low);
    assert!(hands.spi.exchange(&mut [0x9F, 0, 0, 0]).is_err());
    let Hands { probe, mut spi, .. } = hands;
    drop(probe);
    assert!(spi.exchange(&mut [0x9F, 0, 0, 0]).is_ok());
}

#[test]
fn so_in_the_entry_window_is_as_the_board_has_it() {
    let before_any_clock = |echo| {
        let electrics = Electrics { echo, ..Electrics::default() };
        let (_, mut hands) = Hands::on(Setup::new("wb2s").unwrap().knobs(Knobs { electrics, ..Knobs::default() }));
        hands.reset();
        hands.hold(Line::Si, Hold::High);
        hands.pulls(Line::So)
    };
    assert_eq!(before_any_clock(Echo::AtOnce), (true, true));
    assert_eq!(before_any_clock(Echo::Clocked), (false, false));
    assert_eq!(before_any_clock(Echo::ClockedQuiet), FOLLOWS);
}

#[test]
fn a_weak_supply_starts_the_chip_anew_after_so_many_bytes() {
    let faults = Faults::parse("weak-supply:40").unwrap();
    let (_, mut hands) = Hands::on(Setup::new("wb2s").unwrap().faults(faults));
    hands.reset();
    hands.bytes(Line::Si, Line::So, &[0xD2; 4]);
    hands.clock.sleep(Duration::from_millis(20));
    let ids: Vec<Vec<u8>> = (0..20).map(|_| hands.bytes(Line::Si, Line::So, &[0x9F, 0, 0, 0])).collect();
    assert_eq!(ids[0][1..], [0xEB, 0x60, 0x15]);
    assert_ne!(ids[19][1..], [0xEB, 0x60, 0x15]);
}

#[test]
fn seeds_choose_among_boards() {
    let boards: std::collections::HashSet<String> =
        (0..40).map(|seed| format!("{:?}", Electrics::varied(seed).echo)).collect();
    assert_eq!(boards.len(), 3);
    assert_eq!(Electrics::varied(7), Electrics::varied(7));
}
