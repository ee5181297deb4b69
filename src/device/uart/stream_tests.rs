//! What a line carries when no loader answers, and what is said about it: a table of streams, each played into a port, and
//! the streams of the shared folder where that is at hand.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::device::{AttachOptions, Unwatched, attach};
use crate::link::sim::{Pace, SimClock};
use crate::link::{Clock, Link, LinkError, LinkInfo, LinkSpec, Pins, ResetLine, SerialLink, Wire, WireKind};
use crate::problem::{Explain, Problem};

const START: u32 = 115_200;

/// Bytes at a time, sent at a rate.
#[derive(Clone)]
struct Said {
    at: Duration,
    baud: u32,
    bytes: Vec<u8>,
}

/// A port at which somebody speaks, whatever is sent to it.
struct Player {
    clock: Rc<SimClock>,
    said: Vec<Said>,
    next: usize,
    baud: u32,
    echo: bool,
    echoed: Vec<u8>,
    /// Says something a moment after each reset.
    released: Rc<Cell<u32>>,
    answered: u32,
    after_reset: Option<Vec<u8>>,
}

impl Player {
    /// What a receiver at another rate makes of a byte: the same number of bits, cut anew.
    fn garbled(said: &Said, baud: u32) -> Vec<u8> {
        let count = (said.bytes.len() as u64 * u64::from(baud) / u64::from(said.baud)).clamp(1, 200) as usize;
        (0..count).map(|place| said.bytes[place % said.bytes.len()].wrapping_mul(29).rotate_left(3) | 0x81).collect()
    }
}

impl SerialLink for Player {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        if self.echo {
            self.echoed.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        let until = self.clock.now() + wait;
        let mut came = std::mem::take(&mut self.echoed);
        if let Some(text) = self.after_reset.clone().filter(|_| self.released.get() > self.answered) {
            self.answered = self.released.get();
            came.extend(text);
        }
        if came.is_empty() {
            let due = self.said.get(self.next).filter(|said| said.at <= until);
            match due {
                Some(said) => {
                    self.clock.advance_to(said.at);
                    came = if said.baud == self.baud { said.bytes.clone() } else { Self::garbled(said, self.baud) };
                    self.next += 1;
                }
                None => self.clock.advance_to(until),
            }
        }
        let count = came.len().min(into.len());
        into[..count].copy_from_slice(&came[..count]);
        self.echoed = came.split_off(count);
        Ok(count)
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        self.baud = baud;
        Ok(())
    }

    fn baud(&self) -> u32 {
        self.baud
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        self.echoed.clear();
        Ok(())
    }
}

struct Line(Rc<Cell<u32>>);

impl ResetLine for Line {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        self.0.set(self.0.get() + u32::from(!reset));
        Ok(())
    }

    fn describe(&self) -> String {
        "a line".to_owned()
    }
}

/// How the port is reset.
enum Reset {
    Hand,
    /// By a line of the adapter that the link names.
    Line(&'static str),
}

fn play(said: Vec<Said>, reset: &Reset, echo: bool, after_reset: Option<&str>) -> Problem {
    let clock = Rc::new(SimClock::new(Pace::Virtual));
    let released = Rc::new(Cell::new(0));
    let query = if let Reset::Line(name) = reset { format!("?reset={name}") } else { String::new() };
    let spec = LinkSpec::parse(&format!("uart:/dev/ttyUSB0{query}")).unwrap();
    let player = Player {
        clock: Rc::clone(&clock),
        said,
        next: 0,
        baud: START,
        echo,
        echoed: Vec::new(),
        released: Rc::clone(&released),
        answered: 0,
        after_reset: after_reset.map(|text| text.as_bytes().to_vec()),
    };
    let link = Link {
        wire: Wire::Serial(Box::new(player)),
        reset: matches!(reset, Reset::Line(_)).then(|| Box::new(Line(released)) as Box<dyn ResetLine>),
        probe: None,
        clock,
        record: None,
        info: LinkInfo {
            name: spec.name(),
            wire: WireKind::Uart,
            detail: String::new(),
            pins: Pins::here(&spec),
            simulated: false,
        },
    };
    let error = attach(link, &AttachOptions::default(), &mut Unwatched).err().expect("no loader answers");
    let problem = error.explain();
    assert_eq!(problem.code, "E311", "{problem}");
    problem
}

fn at(seconds: f64, baud: u32, bytes: &[u8]) -> Said {
    Said { at: Duration::from_secs_f64(seconds), baud, bytes: bytes.to_vec() }
}

/// The same again and again, from a moment on, for a minute and a half.
fn every(from: f64, step: f64, baud: u32, bytes: &[u8]) -> Vec<Said> {
    let times = ((90.0 - from) / step) as usize;
    (0..times).map(|index| at(from + step * index as f64, baud, bytes)).collect()
}

const BANNER: &str =
    "\r\nV:BK7231N_1.0.1\r\nREG:cpsr spsr r13 r14\r\nST:00000000\r\nJ 0x10000\r\nbk_misc_init_start_type 0 0\r\n";
const TUYA: &str = "[01-01 00:00:02 TUYA N][lr:0x49335] switch state:1\r\n";
const ASKING: [u8; 7] = [0x55, 0xAA, 0x00, 0x00, 0x00, 0x00, 0xFF];
const CONTROLLER: [u8; 8] = [0x55, 0xAA, 0x03, 0x00, 0x00, 0x01, 0x01, 0x04];
const ANSWER: [u8; 8] = [0x04, 0x0E, 0x05, 0x01, 0xE0, 0xFC, 0x01, 0x00];
const CRC_ANSWER: [u8; 11] = [0x04, 0x0E, 0x08, 0x01, 0xE0, 0xFC, 0x10, 1, 2, 3, 4];

/// A stream, what the problem has to say, and what it must not say.
struct Case {
    name: &'static str,
    said: Vec<Said>,
    says: &'static [&'static str],
    never: &'static [&'static str],
}

fn cases() -> Vec<Case> {
    let case = |name, said, says, never| Case { name, said, says, never };
    let boot_and_log = || {
        let mut said = every(0.0, 8.0, START, [BANNER, TUYA].concat().as_bytes());
        said.extend(every(3.05, 3.05, START, TUYA.as_bytes()));
        said.sort_by_key(|one| one.at);
        said
    };
    vec![
        case("nothing", vec![], &["nothing came back", "reset=rts or reset=dtr"], &[]),
        case(
            "one glitch",
            vec![at(5.05, START, &[0])],
            &["glitch", "after 5.", "swap the wires RX1 at TX of /dev/ttyUSB0"],
            &["all the time", "shorted"],
        ),
        case("held low", every(0.5, 0.5, START, &[0; 4]), &["low all the time", "3.3 V"], &["glitch"]),
        case(
            "Tuya boots on the log pad",
            boot_and_log(),
            &["BK7231N", "Tuya", "log pad (TX2)", "TX1 (P11)", "RX of /dev/ttyUSB0"],
            &["boot loop", "check CEN"],
        ),
        case(
            "a boot after each reset by hand",
            every(15.0, 15.0, START, BANNER.as_bytes()),
            &["boot banner", "CEN is right", "log pad (TX2)"],
            &["not reset yet", "boot loop", "missed"],
        ),
        case(
            "boot loop",
            every(0.0, 0.42, START, BANNER.as_bytes()),
            &["boot loop", "supply", "image on it is damaged", "measure 3.3 V"],
            &["missed", "check CEN"],
        ),
        case(
            "boot loop that was heard for two seconds only",
            every(0.0, 0.42, START, BANNER.as_bytes()).into_iter().take(6).collect(),
            &["boot loop", "supply"],
            &["missed"],
        ),
        case(
            "started and stopped",
            vec![at(
                4.05,
                START,
                [BANNER, "Entering initLog()...\r\nInfo:MAIN:Main_Init_Before_Delay\r\n"].concat().as_bytes(),
            )],
            &["OpenBeken", "once, after 4.", "stopped talking"],
            &["boot loop"],
        ),
        case(
            "a BK7238 boots",
            every(2.0, 9.0, START, b"\r\nV:BK7238_1.0.14\r\nREG:cpsr spsr\r\nJ 0x10000\r\n"),
            &["BK7238", "log pad"],
            &["not a Beken chip"],
        ),
        case(
            "Tuya logs and is never reset",
            every(0.3, 3.0, START, TUYA.as_bytes()),
            &["Tuya", "logs at 115200 baud", "boot window was missed", "RX1 at TX of /dev/ttyUSB0"],
            &["boot banner"],
        ),
        case(
            "OpenBeken logs",
            every(0.3, 1.0, START, b"Info:MAIN:Time 42, idle 91011/s, free 76888, MQTT 0\r\n"),
            &["OpenBeken", "boot window was missed"],
            &[],
        ),
        case(
            "ESPHome logs at 921600 baud",
            every(
                0.3,
                1.0,
                921_600,
                b"[D][sensor:094]: 'Power': Sending state 1.20000 W with 1 decimals of accuracy\r\n",
            ),
            &["ESPHome", "921600"],
            &[],
        ),
        case(
            "LibreTiny starts",
            every(5.0, 30.0, START, b"I [      0.000] LibreTiny v1.5.1 on cb2s, compiled\r\n"),
            &["LibreTiny"],
            &["Beken SDK"],
        ),
        case(
            "the module asks for its controller at 9600 baud",
            every(0.0, 1.0, 9600, &ASKING),
            &["55 AA at 9600 baud with version 00", "reset was missed", "leave RX1 and TX1"],
            &["cut RX1"],
        ),
        case(
            "it asks at 9600 baud and goes silent when the program ends",
            every(0.0, 1.0, 9600, &ASKING).into_iter().take(59).collect(),
            &["55 AA at 9600 baud with version 00", "reset was missed"],
            &["cut RX1"],
        ),
        case(
            "the module asks for its controller at 115200 baud",
            every(0.0, 1.0, START, &ASKING),
            &["version 00", "reset was missed"],
            &["cut RX1"],
        ),
        case(
            "a controller talks",
            every(0.0, 1.0, 9600, &CONTROLLER),
            &["second controller", "cut RX1 and TX1"],
            &["reset was missed"],
        ),
        case(
            "module and controller talk",
            every(0.0, 1.0, START, &[&ASKING[..], &CONTROLLER].concat()),
            &["from a Tuya module and from its second controller", "cut RX1 and TX1"],
            &[],
        ),
        case(
            "dots",
            every(0.0, 0.22, START, b"......"),
            &["prints \".\" again and again at 115200 baud"],
            &["no frames"],
        ),
        case(
            "a Realtek with Tuya's firmware",
            every(
                0.0,
                3.0,
                START,
                b"\r\n== Rtl8710c IoT Platform ==\r\nROM Version: v2.1\r\n[01-01 18:12:15 TUYA N] SDK\r\n",
            ),
            &["Realtek", "not a Beken chip"],
            &["CEN", "RX1"],
        ),
        case(
            "a BL602 at 2 Mbaud",
            every(0.0, 1.0, 2_000_000, b"Booting BL602 Chip...\r\nBuild Version: release_bl_iot_sdk_1.6.11\r\n"),
            &["BL602", "not a Beken chip"],
            &["CEN"],
        ),
        case(
            "an ESP8266 at the rate of its ROM",
            every(
                0.0,
                1.5,
                74_880,
                b"\r\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\nload 0x40100000, len 1856\r\n",
            ),
            &["ESP", "not a Beken chip", "74880"],
            &["CEN"],
        ),
        case(
            "a login prompt",
            every(0.5, 3.0, START, b"\r\nDebian GNU/Linux 12 raspberrypi ttyS0\r\n\r\nraspberrypi login: "),
            &["computer's console", "115200"],
            &["boot window"],
        ),
        case(
            "a controller between the answers",
            {
                let mut said = every(0.2, 3.0, START, &ANSWER);
                said.extend(every(0.7, 1.0, START, &CONTROLLER));
                said.sort_by_key(|one| one.at);
                said
            },
            &["stage 3", "between the answers come frames of 55 AA", "second controller", "cut RX1 and TX1"],
            &[],
        ),
        case(
            "somebody else talks to the loader",
            every(0.2, 1.0, START, &[&ANSWER[..], &CRC_ANSWER].concat()),
            &["stage 3", "did not make", "second program", "close the other program"],
            &[],
        ),
        case(
            "noise",
            every(0.1, 0.4, START, &[0x80, 0xFE, 0x12, 0x1C, 0x99, 0xE7]),
            &["no frames at any rate"],
            &["glitch"],
        ),
    ]
}

fn check(name: &str, problem: &Problem, says: &[&str], never: &[&str]) {
    let text = format!("{} | {} | {}", problem.what, problem.cause, problem.remedy);
    for word in says {
        assert!(text.contains(word), "{name} does not say {word:?}: {text}");
    }
    for word in never {
        assert!(!text.contains(word), "{name} says {word:?}: {text}");
    }
}

#[test]
fn every_stream_is_told_for_what_it_is() {
    for Case { name, said, says, never } in cases() {
        let problem = play(said, &Reset::Hand, false, None);
        check(name, &problem, says, never);
    }
}

#[test]
fn an_echo_is_an_echo_whatever_else_is_said() {
    let problem = play(every(1.0, 3.0, START, TUYA.as_bytes()), &Reset::Hand, true, None);
    check("echo", &problem, &["gives back what is sent", "TX and RX touch"], &["boot window"]);
}

#[test]
fn a_banner_after_each_reset_of_the_line_proves_cen() {
    let problem = play(Vec::new(), &Reset::Line("rts"), false, Some(BANNER));
    let says = ["6 times", "after 6 of 6 resets by the link", "CEN works", "leave CEN as it is", "TX1 (P11)"];
    check("banner", &problem, &says, &["boot loop", "reset=dtr"]);
}

#[test]
fn where_nothing_comes_the_reset_line_and_its_polarity_are_named() {
    for (line, end, other) in [("rts", "RTS of /dev/ttyUSB0", "reset=dtr"), ("dtr", "DTR of /dev/ttyUSB0", "reset=rts")]
    {
        let problem = play(Vec::new(), &Reset::Line(line), false, None);
        check(line, &problem, &[end, other, "asserted it pulls CEN low", "reset=hand"], &[]);
    }
    let problem = play(Vec::new(), &Reset::Line("gpio:17"), false, None);
    check("gpio", &problem, &["CEN at GPIO17 (pin 11)"], &["GPIO22"]);
}

/// What has to be said of each stream of the shared folder.
const SHARED: [(&str, &[&str], &[&str]); 9] = [
    ("s01", &["Tuya", "log pad (TX2)", "TX1"], &["boot loop"]),
    ("s02", &["boot loop", "supply", "damaged"], &["missed"]),
    ("s04", &["OpenBeken", "stopped talking"], &[]),
    ("s05", &["55 AA", "9600", "reset was missed"], &["cut RX1"]),
    ("s06", &["55 AA", "115200", "reset was missed"], &["cut RX1"]),
    ("s08", &["\".\"", "115200"], &[]),
    ("s10", &["Realtek", "not a Beken chip"], &["CEN"]),
    ("s13", &["glitch"], &["all the time"]),
    ("s22", &["CEN is right", "log pad (TX2)"], &["not reset yet"]),
];

#[test]
fn the_shared_streams_are_told_for_what_they_are() {
    let folder = std::env::var_os("BKBENCH_SAMPLES").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("cases/streams.jsonl")) else {
        eprintln!("SKIPPED: no streams in {}; the table above has the same kinds", folder.display());
        return;
    };
    let mut known = 0;
    for line in text.lines() {
        let stream: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = stream["name"].as_str().unwrap();
        let Some((_, says, never)) = SHARED.iter().find(|(start, ..)| name.starts_with(start)) else { continue };
        let said = stream["events"].as_array().unwrap().iter().map(|event| {
            let bytes = crate::units::parse_hex(event[2].as_str().unwrap()).unwrap();
            at(event[0].as_f64().unwrap(), event[1].as_u64().unwrap() as u32, &bytes)
        });
        let problem = play(said.collect(), &Reset::Hand, false, None);
        println!("{name}: {} | {} | {}\n", problem.what, problem.cause, problem.remedy);
        check(name, &problem, says, never);
        known += 1;
    }
    assert!(known >= 9, "only {known} streams are known");
}
