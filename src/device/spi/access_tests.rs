//! Chips that are not entered through a line: bare ones, a hand at CEN, and a line that leads nowhere.

use crate::device::testing::{Recorder, image, sector};
use crate::device::{AttachOptions, DeviceError, EraseUnit, Level, Tie, WriteFlash, attach};
use crate::link::sim::{Cen, Module, Setup, Wires};
use crate::problem::{Class, Explain};

fn setup() -> Setup {
    Setup::new("wb2s").unwrap().image(image())
}

fn try_attach(module: &Module, watch: &mut Recorder) -> Result<Box<dyn WriteFlash>, DeviceError> {
    attach(module.link(), &AttachOptions::default(), watch)
}

/// Commands that change anything.
const CHANGING: [u8; 11] = [0x01, 0x02, 0x06, 0x11, 0x20, 0x31, 0x50, 0x52, 0xC7, 0x60, 0xD8];

#[test]
fn a_bare_chip_is_asked_at_once_and_never_more_than_likely() {
    let module = Module::new(setup().cen(Cen::Nobody)).unwrap();
    let flash = try_attach(&module, &mut Recorder::default()).unwrap();
    assert_eq!((flash.facts().jedec, flash.facts().tie), (Some([0xEB, 0x60, 0x15]), Tie::Bare));
    assert!(module.operations().iter().all(|op| op.opcode != 0xD2), "no D2 for a chip that knows none");
    assert!(flash.facts().evidence[0].contains("bare"), "{:?}", flash.facts().evidence);
}

#[test]
fn a_bare_chip_is_read_opened_and_written() {
    let module = Module::new(setup().cen(Cen::Nobody)).unwrap();
    let mut flash = try_attach(&module, &mut Recorder::default()).unwrap();
    let mut content = vec![0; 0x20_0000];
    flash.read(0, &mut content, &mut Recorder::default()).unwrap();
    assert!(content == image());
    let status = flash.read_status().unwrap().unwrap();
    let opening = flash.facts().part.unwrap().open(status).unwrap().unwrap();
    flash.write_status(&opening).unwrap();
    flash.erase(EraseUnit::Sector, 0x4_2000).unwrap();
    flash.program(0x4_2000, &sector(7)).unwrap();
    assert_eq!(module.bytes(0x4_2000, 4096), sector(7));
    assert!(matches!(flash.reboot(), Err(DeviceError::Unable { .. })), "there is no firmware to start");
}

#[test]
fn a_module_is_no_bare_chip_and_the_error_says_what_to_write() {
    let module = Module::new(setup().cen(Cen::Nobody).bare(false)).unwrap();
    let error = try_attach(&module, &mut Recorder::default()).err().expect("a module answers nothing");
    assert!(matches!(error, DeviceError::NoBareChip { .. }), "{error}");
    let problem = error.explain();
    assert_eq!(problem.code, "E336");
    assert!(problem.remedy.contains("cen=22") && problem.remedy.contains("cen=hand"), "{}", problem.remedy);
    assert!(!problem.what.contains("D2"), "{}", problem.what);
}

#[test]
fn each_bad_contact_of_a_clip_is_refused_and_explained() {
    for (wires, word) in [("so-open", "contact"), ("so-short-gnd", "shorted"), ("si-so-bridged", "SI and SO")] {
        let setup = setup().cen(Cen::Nobody).wires(Wires::parse(wires).unwrap());
        let error = try_attach(&Module::new(setup).unwrap(), &mut Recorder::default()).err().expect("refused");
        let problem = error.explain();
        assert!(problem.cause.contains(word), "{wires}: {}", problem.cause);
    }
}

#[test]
fn a_line_without_effect_is_said_and_nothing_is_ever_written() {
    let module = Module::new(setup().locked(false).bare(true)).unwrap();
    let mut watch = Recorder::default();
    let mut flash = try_attach(&module, &mut watch).unwrap();
    assert_eq!(flash.facts().tie, Tie::Loose);
    assert!(watch.notes.iter().any(|(level, text)| *level == Level::Warning && text.contains("CEN has no effect")));
    let mut some = [0; 64];
    flash.read(0x1000, &mut some, &mut Recorder::default()).unwrap();
    assert_eq!(some, image()[0x1000..0x1040]);

    let factory = flash.facts().part.unwrap().factory(flash.read_status().unwrap().unwrap()).unwrap().unwrap();
    let refused = [
        flash.erase(EraseUnit::Sector, 0x4_2000).err(),
        flash.erase(EraseUnit::Block, 0x4_0000).err(),
        flash.program(0x4_2000, &sector(1)).err(),
        flash.write_status(&factory).err(),
    ];
    for error in refused {
        let error = error.expect("refused");
        assert!(matches!(error, DeviceError::NotBehindCen { .. }), "{error}");
        assert_eq!((error.explain().code, error.explain().class), ("E335", Class::Refused));
    }
    let sent: Vec<_> = module.operations().into_iter().filter(|op| CHANGING.contains(&op.opcode)).collect();
    assert_eq!(sent, [], "not even a write enable left the program");
    assert!(module.flash() == image());
}

#[test]
fn a_person_is_counted_in_and_the_chip_is_likely() {
    let module = Module::new(setup().cen(Cen::Hand)).unwrap();
    let mut watch = Recorder::default();
    let flash = try_attach(&module, &mut watch).unwrap();
    assert_eq!((flash.facts().jedec, flash.facts().tie), (Some([0xEB, 0x60, 0x15]), Tie::ByHand));
    let asked: Vec<&str> =
        watch.notes.iter().filter(|(level, _)| *level == Level::Ask).map(|(_, text)| text.as_str()).collect();
    assert!(asked[0].contains("hold CEN to GND"), "{asked:?}");
    assert_eq!(asked[1..4], ["let go in 3 …", "let go in 2 …", "let go in 1 …"]);
    assert!(asked.last().unwrap().contains("leave CEN alone"), "{asked:?}");
}

#[test]
fn a_person_who_never_comes_is_waited_for_so_long_and_no_longer() {
    let module = Module::new(setup().cen(Cen::Hand).wires(Wires::parse("cen-open").unwrap())).unwrap();
    let mut watch = Recorder::default();
    let error = try_attach(&module, &mut watch).err().expect("nobody let the chip in");
    assert!(matches!(error, DeviceError::NoEntry { .. }), "{error}");
    assert!((50..120).contains(&module.now().as_secs()), "{:?}", module.now());
    let problem = error.explain();
    assert!(problem.remedy.contains("CEN"), "{}", problem.remedy);
}

#[test]
fn waiting_for_a_hand_can_be_stopped() {
    let module = Module::new(setup().cen(Cen::Hand)).unwrap();
    let mut watch = Recorder { stop_after: Some(20), ..Recorder::default() };
    assert!(matches!(try_attach(&module, &mut watch), Err(DeviceError::Cancelled)));
    assert!(module.now().as_millis() < 1000, "{:?}", module.now());
}
