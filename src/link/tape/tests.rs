//! Transcripts without a file of their own, and from hand-made text.

use std::time::Duration;

use super::line::{Event, Failure, Line};
use crate::link::contract::{Link, LinkError, SerialLink, Wire};
use crate::link::spec::LinkSpec;

#[test]
fn every_line_comes_back_as_it_was() {
    let events = [
        Event::Sent(vec![0x01, 0xE0, 0xFC]),
        Event::Received(vec![0xFF; 40]),
        Event::Received(vec![]),
        Event::Exchanged(vec![0x9F, 0], vec![0xFF, 0xEB]),
        Event::Baud(921_600),
        Event::Clock(8_000_000, 7_812_500),
        Event::Mode(3),
        Event::Discard,
        Event::Sleep,
        Event::Hold(true),
        Event::Hold(false),
        Event::Idle,
        Event::End,
    ];
    let failures = [
        None,
        Some(Failure::Gone("the port closed".to_owned())),
        Some(Failure::Unsupported("3 baud: never".to_owned())),
        Some(Failure::NotFound("plug it in".to_owned())),
        Some(Failure::Other("weird".to_owned())),
    ];
    for event in events {
        for failure in &failures {
            for at in [None, Some(Duration::new(12, 345)), Some(Duration::from_millis(1))] {
                let line = Line { at, event: event.clone(), failure: failure.clone() };
                assert_eq!(Line::parse(&line.to_string()), Ok(line.clone()), "{line}");
            }
        }
    }
}

#[test]
fn lines_that_mean_nothing_are_named() {
    assert!(Line::parse("> 01 E0 GG").unwrap_err().contains("GG"));
    assert!(Line::parse("spi 01").is_err());
    assert!(Line::parse("baud fast").is_err());
    assert!(Line::parse("~ 1").unwrap_err().contains('~'));
    assert!(Line::parse("< 04 0E  +4096 bytes sha256 76b8").unwrap_err().contains("left out"));
    assert_eq!(Line::parse("< (nothing)").unwrap().event, Event::Received(vec![]));
}

fn opened(folder: &tempfile::TempDir, text: &str) -> Result<Link, LinkError> {
    let path = folder.path().join("t.txt");
    std::fs::write(&path, text).unwrap();
    super::open(&LinkSpec::parse(&format!("replay:{}", path.display())).unwrap())
}

fn serial(link: Link) -> Box<dyn SerialLink> {
    let Wire::Serial(serial) = link.wire else { panic!("a serial wire") };
    serial
}

#[test]
fn a_hand_made_transcript_answers_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let text = "# link check\n> 01 E0 FC 01 00\n< 04 0E 05 01\n< E0 FC 01 00\n# silence\n> 01\n< (nothing)\n> 02\n";
    let mut port = serial(opened(&folder, text).unwrap());
    let wait = Duration::from_millis(5);
    let mut got = [0; 3];
    port.send(&[0x01, 0xE0, 0xFC, 0x01, 0x00]).unwrap();
    assert_eq!((port.receive(&mut got, wait).unwrap(), got), (3, [0x04, 0x0E, 0x05]), "as much as there is room for");
    assert_eq!(port.receive(&mut got, wait).unwrap(), 1);
    assert_eq!(port.receive(&mut got, wait).unwrap(), 3);
    assert_eq!(port.receive(&mut got, wait).unwrap(), 1);
    assert_eq!(port.receive(&mut got, wait).unwrap(), 0, "then the line is quiet");
    port.send(&[0x01]).unwrap();
    assert_eq!(port.receive(&mut got, wait).unwrap(), 0);
    let Err(LinkError::Tape(error)) = port.send(&[0x03]) else { panic!("02 was recorded") };
    let words = error.to_string();
    assert!(words.contains("line 8") && words.contains("> 02") && words.contains("> 03"), "{words}");
    assert_eq!(error.explain().code, "E233");
    port.send(&[0x02]).unwrap();
    assert!(port.send(&[0x02]).unwrap_err().to_string().contains("nothing more"));
}

#[test]
fn a_sign_of_life_between_two_pauses_may_be_left_out_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let text = "1.000000000 > 01\n1.1 idle\n1.2 > AA\n1.3 < AB\n1.4 idle\n1.5 > 02\n1.6 > 03\n";
    let mut port = serial(opened(&folder, text).unwrap());
    port.send(&[0x01]).unwrap();
    port.send(&[0x02]).unwrap();
    assert!(port.send(&[0x04]).is_err());
    let mut port = serial(opened(&folder, text).unwrap());
    assert!(port.send(&[0x02]).is_err(), "there is no pause before 01");
}

#[test]
fn failures_come_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut port =
        serial(opened(&folder, "0.5 baud 3000000 ! unsupported: 3000000 baud\n0.6 < ! gone: pulled\n").unwrap());
    assert!(matches!(port.set_baud(3_000_000), Err(LinkError::Unsupported { .. })));
    assert!(matches!(port.receive(&mut [0; 4], Duration::ZERO), Err(LinkError::Gone { .. })));
}

#[test]
fn a_file_that_is_no_transcript_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let Err(LinkError::Tape(error)) = opened(&folder, "# fine\n> 01\nnonsense\n") else { panic!("no transcript") };
    assert_eq!(error.explain().code, "E234");
    assert!(error.to_string().contains("line 3"), "{error}");
    assert!(super::open(&LinkSpec::parse("replay:/nowhere/t.txt").unwrap()).is_err());
}
