//! The driver against a fake adapter that knows packets, lines and a flash of three bytes of id.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// What happened at the adapter's pins.
#[derive(Debug, PartialEq, Eq)]
enum Pin {
    Lines(u8),
    Directions(u8),
    Frame(Vec<u8>),
}

/// Takes the packets apart again, by the chip's rules: a command at the start of each 32 bytes.
struct Fake {
    seen: Rc<RefCell<Vec<Pin>>>,
    broken: Rc<RefCell<bool>>,
}

impl Fake {
    fn take(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shifted = Vec::new();
        for packet in bytes.chunks(32) {
            match packet {
                [0xA8, data @ ..] => shifted.extend(data.iter().map(|byte| byte.reverse_bits())),
                [0xAB, steps @ ..] => {
                    for step in steps.iter().take_while(|step| **step != 0x20) {
                        let pin = if step & 0x80 != 0 { Pin::Lines(step & 0x3F) } else { Pin::Directions(step & 0x3F) };
                        self.seen.borrow_mut().push(pin);
                    }
                }
                [0xAA, ..] => {}
                other => panic!("no command: {other:02X?}"),
            }
        }
        if !shifted.is_empty() {
            self.seen.borrow_mut().push(Pin::Frame(shifted.clone()));
        }
        shifted
    }
}

impl Endpoints for Fake {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        assert!(self.take(bytes).is_empty(), "bytes were shifted that nobody reads");
        Ok(())
    }

    fn exchange(&mut self, bytes: &[u8], back: &mut [u8], most: usize) -> Result<(), LinkError> {
        assert_eq!(most, 31);
        if *self.broken.borrow() {
            return Err(LinkError::Gone { name: "ch341:".to_owned(), why: "pulled".to_owned() });
        }
        let sent = self.take(bytes);
        assert_eq!(sent.len(), back.len());
        let answer: &[u8] = if sent[0] == 0x9F { &[0xFF, 0xEB, 0x60, 0x15] } else { &sent };
        for (place, byte) in back.iter_mut().zip(answer) {
            *place = byte.reverse_bits();
        }
        Ok(())
    }
}

struct Bench {
    link: Link,
    seen: Rc<RefCell<Vec<Pin>>>,
    broken: Rc<RefCell<bool>>,
}

fn bench(text: &str) -> Bench {
    let (seen, broken) = (Rc::default(), Rc::default());
    let fake = Fake { seen: Rc::clone(&seen), broken: Rc::clone(&broken) };
    let spec = LinkSpec::parse(text).unwrap();
    let cen = Cen::of(&spec, Cen::Line(None)).unwrap();
    Bench { link: link(&spec, &cen, Box::new(fake)).unwrap(), seen, broken }
}

fn spi(wire: &mut Wire) -> &mut dyn SpiLink {
    match wire {
        Wire::Spi(spi) | Wire::Nor(spi) => spi.as_mut(),
        Wire::Serial(_) => panic!("no SPI"),
    }
}

#[test]
fn the_adapter_starts_with_every_select_high_and_lets_its_lines_go_at_the_end() {
    let Bench { link, seen, .. } = bench("ch341:");
    assert_eq!(*seen.borrow(), [Pin::Lines(0x37), Pin::Directions(0x3F)]);
    seen.borrow_mut().clear();
    drop(link);
    assert_eq!(seen.borrow().last(), Some(&Pin::Directions(0)));
}

#[test]
fn a_frame_stands_between_two_edges_of_chip_select() {
    let Bench { mut link, seen, .. } = bench("ch341:");
    seen.borrow_mut().clear();
    let mut frame = [0x9F, 0, 0, 0];
    spi(&mut link.wire).exchange(&mut frame).unwrap();
    assert_eq!(frame, [0xFF, 0xEB, 0x60, 0x15]);
    assert_eq!(*seen.borrow(), [Pin::Lines(0x36), Pin::Frame(vec![0x9F, 0, 0, 0]), Pin::Lines(0x37)]);
}

#[test]
fn cen_falls_and_rises_with_chip_select_high_and_stays_low_through_a_frame() {
    let Bench { mut link, seen, .. } = bench("ch341:");
    seen.borrow_mut().clear();
    let reset = link.reset.as_mut().expect("D2");
    reset.hold(true).unwrap();
    spi(&mut link.wire).exchange(&mut [0x9F, 0, 0, 0]).unwrap();
    link.reset.as_mut().unwrap().hold(false).unwrap();
    let lines: Vec<u8> =
        seen.borrow().iter().filter_map(|pin| if let Pin::Lines(lines) = pin { Some(*lines) } else { None }).collect();
    assert_eq!(lines, [0x33, 0x32, 0x33, 0x37]);
}

#[test]
fn long_frames_come_back_whole() {
    let Bench { mut link, .. } = bench("ch341:?cen=none");
    assert!(link.reset.is_none() && matches!(link.wire, Wire::Nor(_)));
    let sent: Vec<u8> = (0..4096).map(|place| (place * 7) as u8 | 1).collect();
    let mut frame = sent.clone();
    spi(&mut link.wire).exchange(&mut frame).unwrap();
    assert!(frame == sent);
}

#[test]
fn a_frame_that_fails_lets_chip_select_rise_and_a_drop_lets_cen_go() {
    let Bench { mut link, seen, broken } = bench("ch341:");
    link.reset.as_mut().unwrap().hold(true).unwrap();
    *broken.borrow_mut() = true;
    seen.borrow_mut().clear();
    assert!(matches!(spi(&mut link.wire).exchange(&mut [0x05, 0]), Err(LinkError::Gone { .. })));
    assert_eq!(*seen.borrow(), [Pin::Lines(0x33)], "chip select high, CEN as it was");
    drop(link);
    assert!(seen.borrow().contains(&Pin::Lines(0x37)));
}

#[test]
fn there_is_one_clock_and_one_mode() {
    let Bench { mut link, .. } = bench("ch341:?cen=hand");
    let spi = spi(&mut link.wire);
    assert_eq!((spi.set_clock(8_000_000).unwrap(), spi.clock()), (1_400_000, 1_400_000));
    assert!(spi.set_mode(0).is_ok() && matches!(spi.set_mode(3), Err(LinkError::Unsupported { .. })));
}

#[test]
fn links_are_read() {
    for (text, word) in [("ch341:?cen=22", "D2"), ("ch341:first", "ch341:1"), ("ch341:?baud=9600", "baud")] {
        let refused = open(&LinkSpec::parse(text).unwrap()).err().expect("refused").to_string();
        assert!(refused.contains(word), "{refused}");
    }
}
