//! What is on the line when no loader answers, and how far the link came with it: the port opens, bytes come, a link check
//! is answered. Each picture has its own cause and remedy (uart-protocol.md §3).

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::watch::Watch;
use super::heard::Heard;
use super::link_up::START_BAUD;
use super::port::Port;
use super::voices;
use crate::link::{LinkError, Pins, WireName};
use crate::units::{hex_text, time_text};

/// The link check, as it comes back from a bridged line.
const OWN: [u8; 5] = [0x01, 0xE0, 0xFC, 0x01, 0x00];
/// The rates applications log and talk at, the likeliest first (formats.md, Tuya `baud_cfg`; OpenBeken's console; the ROM of
/// the ESP8266; the SDK of the BL602).
pub(super) const RATES: [u32; 6] = [START_BAUD, 9_600, 921_600, 460_800, 74_880, 2_000_000];
/// How long each of them is listened to: a firmware says something every second or two.
const LISTEN: Duration = Duration::from_millis(2200);
/// Bytes that are enough to tell what they are.
const ENOUGH: usize = 48;
/// Longest piece of a log that is shown.
const SHOWN: usize = 60;
/// So few bytes are a glitch: a wire that was touched, a supply that was switched on.
const GLITCH: usize = 2;
/// Boots that follow each other faster than this without anybody's doing are a boot loop.
const LOOP: Duration = Duration::from_millis(2500);
/// How many such boots make one.
const LOOPS: usize = 2;
/// A firmware that said nothing for so long has stopped talking.
const STOPPED: Duration = Duration::from_secs(10);

/// What the line shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    /// No byte at all.
    Silence,
    /// A byte or two, and nothing before or after.
    Glitch { at: Duration, bytes: Vec<u8> },
    /// What was sent comes back.
    Echo,
    /// The line is low all the time.
    HeldLow,
    /// Bytes come although the chip is held in reset.
    SomebodyElse(Vec<u8>),
    /// The chip boots again and again by itself.
    BootLoop { boot: Boot, every: Duration },
    /// The chip's boot banner is heard, after resets or once.
    Boot(Boot),
    /// The application runs and logs.
    Log { baud: u32, firmware: Option<&'static str>, text: String },
    /// A program prints one character again and again.
    Repeats { baud: u32, what: char, times: usize },
    /// A chip that is not Beken's.
    OtherChip { maker: &'static str, baud: u32, text: String },
    /// A computer's console.
    Console { baud: u32, text: String },
    /// The module itself asks for its second controller in frames of `55 AA`.
    Module { baud: u32 },
    /// A second controller talks in frames of `55 AA`; the module too, where that is heard.
    Controller { baud: u32, module: bool },
    /// Link checks are answered, but not each by one answer.
    Unsteady(Between),
    /// Bytes that are none of this at any rate.
    Noise(Vec<u8>),
}

/// A boot that was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Boot {
    pub chip: Option<String>,
    pub firmware: Option<&'static str>,
    /// Boots heard.
    pub times: usize,
    pub first: Duration,
    /// Of so many resets by the link's own line, so many were followed by one.
    pub after_line: Option<(usize, usize)>,
    /// How long the firmware has been silent at the end, where that is worth a word.
    pub silent: Option<Duration>,
}

/// What came between the answers to link checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Between {
    /// Nothing that tells anything.
    Nothing,
    /// Frames of a second controller.
    Controller,
    /// A loader's answers to somebody else's requests.
    Answers(usize),
    /// Something else.
    Bytes(Vec<u8>),
}

/// Listens at the usual rates, without sending, until what is heard makes sense.
pub(super) fn look(port: &mut Port, heard: &mut Heard, watch: &mut dyn Watch) -> Result<Picture, DeviceError> {
    let now = heard.age(port.clock().now());
    if let Some(picture) = judge(heard, now) {
        return Ok(picture);
    }
    for baud in RATES {
        match port.set_baud(baud) {
            Ok(()) => {}
            Err(LinkError::Unsupported { .. }) => continue,
            Err(other) => return Err(other.into()),
        }
        port.quiet()?;
        listen(port, heard, LISTEN, watch)?;
        if let Some(picture) = judge(heard, now) {
            return Ok(picture);
        }
        // Where nothing is said at one rate, nothing is at another.
        if heard.count() <= GLITCH {
            return Ok(quiet(heard));
        }
    }
    let zeros = heard.pieces().flat_map(|piece| &piece.bytes).filter(|byte| **byte == 0).count();
    Ok(match heard.in_reset() {
        bytes if bytes.iter().any(|byte| *byte != 0) => Picture::SomebodyElse(bytes),
        _ if zeros * 10 >= heard.count() * 9 => Picture::HeldLow,
        _ => Picture::Noise(heard.pieces().flat_map(|piece| piece.bytes.iter().copied()).collect()),
    })
}

/// Nothing, or next to nothing.
fn quiet(heard: &Heard) -> Picture {
    let bytes: Vec<u8> = heard.pieces().flat_map(|piece| piece.bytes.iter().copied()).collect();
    match heard.pieces().next() {
        Some(first) => Picture::Glitch { at: first.at, bytes },
        None => Picture::Silence,
    }
}

/// Takes in what comes for a while, without sending.
pub(super) fn listen(
    port: &mut Port,
    heard: &mut Heard,
    time: Duration,
    watch: &mut dyn Watch,
) -> Result<(), DeviceError> {
    let (baud, from) = (port.baud(), port.clock().now());
    let (until, mut buffer, mut came) = (from + time, [0_u8; 256], 0);
    while came < ENOUGH {
        watch.checkpoint()?;
        let left = until.saturating_sub(port.clock().now());
        if left.is_zero() {
            break;
        }
        let got = port.receive_raw(&mut buffer, left.min(Duration::from_millis(50)))?;
        heard.take(port.clock().now(), baud, false, buffer.get(..got).unwrap_or_default());
        came += got;
    }
    Ok(())
}

/// Whether what was heard lately, by a person's ear, would make sense at the first rate.
pub(super) fn makes_sense(bytes: &[u8]) -> bool {
    bytes.len() <= GLITCH
        || bytes.iter().all(|byte| *byte == 0)
        || bytes.windows(OWN.len()).any(|window| window == OWN)
        || voices::is_text(bytes)
        || !voices::mcu_versions(bytes).is_empty()
        || voices::one_character(&voices::text_of(bytes)).is_some()
        || voices::banner(&voices::text_of(bytes)).is_some()
}

/// What bytes heard between link checks are, for a person who is working on the wires meanwhile.
pub(super) fn words(bytes: &[u8]) -> String {
    let text = voices::text_of(bytes);
    if bytes.is_empty() {
        return "nothing is heard".to_owned();
    }
    if bytes.windows(OWN.len()).any(|window| window == OWN) {
        return "what is sent comes back: TX and RX touch".to_owned();
    }
    if let Some(maker) = voices::other_chip(&text) {
        return format!("a chip by {maker} is heard, which is not a Beken chip");
    }
    if voices::banner(&text).is_some() {
        return "the chip is heard starting: the reset works, and this is its log pad (TX2), not TX1".to_owned();
    }
    let versions = voices::mcu_versions(bytes);
    if versions.iter().any(|version| *version != 0) {
        return "a second controller is heard".to_owned();
    }
    if versions.contains(&0) {
        return "the module asks for its controller, so it was not reset yet".to_owned();
    }
    if bytes.len() <= GLITCH {
        return "one short disturbance is heard".to_owned();
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return "RX of the adapter is held low".to_owned();
    }
    if voices::is_text(bytes) {
        return "the application is heard, so it was not reset yet".to_owned();
    }
    format!("{} bytes are heard that make no sense", bytes.len())
}

/// What everything heard so far is, when that can be told.
fn judge(heard: &Heard, now: Duration) -> Option<Picture> {
    if heard.answered {
        return Some(Picture::Unsteady(between(heard)));
    }
    let first = heard.at_rate(START_BAUD, Duration::ZERO);
    let echo = first.windows(OWN.len()).any(|window| window == OWN);
    let known = heard.rates().into_iter().find_map(|baud| speaker(heard, baud, now));
    let in_reset = heard.in_reset();
    match known {
        Some(picture @ (Picture::Console { .. } | Picture::OtherChip { .. })) => Some(picture),
        _ if echo => Some(Picture::Echo),
        // The module itself is silent in reset, and a line that is low is low then too.
        Some(Picture::Log { .. } | Picture::Boot(_) | Picture::BootLoop { .. } | Picture::Repeats { .. })
            if in_reset.iter().any(|byte| *byte != 0) =>
        {
            Some(Picture::SomebodyElse(in_reset))
        }
        Some(picture) => Some(picture),
        None => held_low(heard).then_some(Picture::HeldLow),
    }
}

/// Whether zeros come, and nothing but zeros, more than a glitch has.
fn held_low(heard: &Heard) -> bool {
    heard.count() > GLITCH && heard.pieces().all(|piece| piece.bytes.iter().all(|byte| *byte == 0))
}

/// Who speaks at a rate, when that can be told.
fn speaker(heard: &Heard, baud: u32, now: Duration) -> Option<Picture> {
    let bytes = heard.at_rate(baud, Duration::ZERO);
    let versions = voices::mcu_versions(&bytes);
    if versions.iter().any(|version| *version != 0) {
        return Some(Picture::Controller { baud, module: versions.contains(&0) });
    }
    if versions.contains(&0) {
        return Some(Picture::Module { baud });
    }
    let text = voices::text_of(&bytes);
    let line = || voices::telling_line(&text, SHOWN);
    if let Some(maker) = voices::other_chip(&text) {
        return Some(Picture::OtherChip { maker, baud, text: line() });
    }
    if let Some(mark) = voices::banner(&text) {
        return Some(boots(heard, mark, baud, &text, now));
    }
    let firmware = voices::firmware(&text);
    if firmware.is_none() && voices::is_console(&text) {
        return Some(Picture::Console { baud, text: line() });
    }
    if let Some(what) = voices::one_character(&text).filter(|_| !bytes.contains(&0)) {
        return Some(Picture::Repeats { baud, what, times: text.chars().filter(|c| *c == what).count() });
    }
    (firmware.is_some() || voices::is_text(&bytes)).then(|| Picture::Log { baud, firmware, text: line() })
}

/// A boot, or one after the other without anybody's doing.
fn boots(heard: &Heard, mark: &str, baud: u32, text: &str, now: Duration) -> Picture {
    let times = heard.times_of(mark.as_bytes(), baud);
    let by_itself: Vec<Duration> = times
        .iter()
        .zip(times.iter().skip(1))
        .filter(|(from, to)| !heard.was_reset_between(**from, **to))
        .map(|(from, to)| to.saturating_sub(*from))
        .filter(|gap| *gap <= LOOP)
        .collect();
    let silent = heard.last_at().map(|last| now.saturating_sub(last)).filter(|silent| *silent >= STOPPED);
    let boot = Boot {
        chip: voices::beken_chip(text),
        firmware: voices::firmware(text),
        times: times.len().max(1),
        first: times.first().copied().unwrap_or_default(),
        after_line: (heard.by_line > 0).then(|| (heard.by_line, heard.answered_resets(&times).min(heard.by_line))),
        silent: silent.filter(|_| times.len() <= 1),
    };
    match by_itself.as_slice() {
        [shortest, ..] if by_itself.len() >= LOOPS => {
            let every = by_itself.iter().min().copied().unwrap_or(*shortest);
            Picture::BootLoop { boot, every }
        }
        _ => Picture::Boot(boot),
    }
}

/// What came between the answers of a loader.
fn between(heard: &Heard) -> Between {
    let (rest, others) = heard.besides_answers();
    if !voices::mcu_versions(&rest).is_empty() {
        Between::Controller
    } else if others > 0 {
        Between::Answers(others)
    } else if rest.len() > GLITCH {
        Between::Bytes(rest)
    } else {
        Between::Nothing
    }
}

impl Boot {
    /// `the boot loader of a BK7231N and Tuya's firmware`.
    fn who(&self) -> String {
        match (&self.chip, self.firmware) {
            (Some(chip), Some(firmware)) => format!("a {chip} that starts {firmware}"),
            (Some(chip), None) => format!("a {chip}"),
            (None, Some(firmware)) => format!("a Beken chip that starts {firmware}"),
            (None, None) => "a Beken chip".to_owned(),
        }
    }

    fn seen(&self) -> String {
        let after = match self.after_line {
            Some((resets, followed)) if followed > 0 => format!(", after {followed} of {resets} resets by the link"),
            _ => String::new(),
        };
        let times = if self.times == 1 {
            format!("once, after {}", time_text(self.first))
        } else {
            format!("{} times", self.times)
        };
        let silent =
            self.silent.map(|time| format!("; then it stopped talking, {} ago", time_text(time))).unwrap_or_default();
        format!("stage 2, bytes come: the boot banner of {}, {times}{after}{silent}", self.who())
    }
}

impl Picture {
    /// The failure: the stage that was reached, what was seen, its cause and the next thing to do with these pins.
    pub fn explain(&self, waited: Duration, pins: &Pins) -> DeviceError {
        let (seen, cause, remedy) = (self.seen(), self.cause(), self.remedy(pins));
        DeviceError::NoLoader { waited, seen, cause, remedy }
    }

    fn seen(&self) -> String {
        let some = |bytes: &[u8]| hex_text(bytes.get(..8).unwrap_or(bytes));
        let quoted = |text: &str| if text.is_empty() { String::new() } else { format!(": \"{text}\"") };
        match self {
            Self::Silence => "stage 1, the port opens: nothing came back at any time".to_owned(),
            Self::Glitch { at, bytes } => format!(
                "stage 1, the port opens: nothing came back but {} after {}, a glitch",
                some(bytes),
                time_text(*at)
            ),
            Self::Echo => "stage 2, bytes come: the line gives back what is sent, and nothing else".to_owned(),
            Self::HeldLow => {
                "stage 2, bytes come: only zeros, so the line into the adapter is low all the time".to_owned()
            }
            Self::SomebodyElse(bytes) => {
                format!("stage 2, bytes come: also while CEN holds the chip in reset, such as {}", some(bytes))
            }
            Self::Boot(boot) => boot.seen(),
            Self::BootLoop { boot, every } => {
                format!("{}, by itself about every {}: a boot loop", boot.seen(), time_text(*every))
            }
            Self::Log { baud, firmware, text } => {
                let who =
                    firmware.map_or_else(|| "the application".to_owned(), |name| format!("the application, {name},"));
                format!("stage 2, bytes come: {who} logs at {baud} baud{}", quoted(text))
            }
            Self::Repeats { baud, what, times } => {
                format!(
                    "stage 2, bytes come: a program prints \"{what}\" again and again at {baud} baud, {times} times"
                )
            }
            Self::OtherChip { maker, baud, text } => {
                format!("stage 2, bytes come: a chip by {maker} speaks at {baud} baud{}", quoted(text))
            }
            Self::Console { baud, text } => {
                format!("stage 2, bytes come: a computer's console asks at {baud} baud{}", quoted(text))
            }
            Self::Module { baud } => format!(
                "stage 2, bytes come: frames of 55 AA at {baud} baud with version 00, as a Tuya module asks for its controller"
            ),
            Self::Controller { baud, module: false } => format!(
                "stage 2, bytes come: frames of 55 AA at {baud} baud with the version of a Tuya module's second controller"
            ),
            Self::Controller { baud, module: true } => format!(
                "stage 2, bytes come: frames of 55 AA at {baud} baud, from a Tuya module and from its second controller"
            ),
            Self::Unsteady(between) => {
                let between = match between {
                    Between::Nothing => String::new(),
                    Between::Controller => "; between the answers come frames of 55 AA".to_owned(),
                    Between::Answers(count) => {
                        format!("; between the answers come {count} answers to requests that this program did not make")
                    }
                    Between::Bytes(bytes) => format!("; between the answers come other bytes, such as {}", some(bytes)),
                };
                format!("stage 3, a link check is answered: but not each by exactly one answer{between}")
            }
            Self::Noise(bytes) => {
                format!("stage 2, bytes come: {} that are no frames at any rate, such as {}", bytes.len(), some(bytes))
            }
        }
    }

    fn cause(&self) -> String {
        let text = match self {
            Self::Silence | Self::Glitch { .. } => {
                "RX and TX are swapped, the module has no supply, or its boot window was missed because the chip was not reset"
            }
            Self::Echo => "TX and RX touch each other, or the adapter is looped back",
            Self::HeldLow => "the module has no supply, or TX1 is shorted to GND",
            Self::SomebodyElse(_) => "a second chip drives the same line, or CEN does not reach the chip",
            Self::BootLoop { .. } => {
                "the chip starts anew by itself: its supply gives way, or the image on it is damaged; and this wire is on the \
                 log pad (TX2), not on TX1"
            }
            Self::Boot(Boot { silent: Some(_), .. }) => {
                "the chip starts, and its firmware hangs or waits; this wire is on the log pad (TX2), which does not answer \
                 link checks"
            }
            Self::Boot(Boot { after_line: Some((_, followed)), .. }) if *followed > 0 => {
                "CEN works; this wire is on the log pad (TX2), which does not answer link checks, and not on TX1"
            }
            Self::Boot(_) => {
                "the reset works, so CEN is right; this wire is on the log pad (TX2), which does not answer link checks, and \
                 not on TX1"
            }
            Self::Log { .. } => {
                "the application runs: its boot window was missed because the reset does not reach the chip or the wire to \
                 RX1 is open, or this is the log port (TX2)"
            }
            Self::Repeats { .. } => {
                "a program waits for something and shows it this way: the module was not reset, or this is the log port (TX2)"
            }
            Self::OtherChip { .. } => {
                "this is not a Beken chip: it has another boot loader, and nothing here can read or write it"
            }
            Self::Console { .. } => {
                "the port leads to a computer's console and not to a module: wrong port, or the wires end at another board's \
                 UART"
            }
            Self::Module { .. } => {
                "the module's application runs: its reset was missed, or CEN was not pulled low while the program asked"
            }
            Self::Controller { .. } => {
                "a TuyaMCU device: the second controller is on the same RX1 and TX1 and may hold the lines"
            }
            Self::Unsteady(Between::Controller) => {
                "the boot loader answers, and a TuyaMCU device's second controller talks on the same wires"
            }
            Self::Unsteady(Between::Answers(_)) => {
                "the boot loader answers, and a second program or a second adapter talks to it on the same wires"
            }
            Self::Unsteady(_) => "the line is disturbed, or a second program talks on the same port",
            Self::Noise(_) => "the rate is wrong, or the line is disturbed",
        };
        text.to_owned()
    }

    fn remedy(&self, pins: &Pins) -> String {
        let at = |wire| pins.at(wire);
        let (rx1, tx1, cen) = (at(WireName::Rx1), at(WireName::Tx1), at(WireName::Cen));
        let log_pad = || {
            let own = pins.end(WireName::Tx1).map_or_else(|| "RX".to_owned(), |end| end.name.clone());
            format!(
                "move the wire at {own} from the pad TX2 (chip pin P0) to TX1 (P11), and the other one to RX1 (P10)"
            )
        };
        match self {
            Self::Silence => format!(
                "swap RX1 and TX1 ({rx1}, {tx1}); check 3.3 V and GND; {}. To tell the adapter from the module: `bkbench wiring \
                 --check --loop-back`",
                reset_words(pins)
            ),
            Self::Glitch { .. } => format!(
                "the one glitch may be the supply or a hand at the wires; swap RX1 and TX1 ({rx1}, {tx1}); check 3.3 V and \
                 GND; {}",
                reset_words(pins)
            ),
            Self::Echo => format!(
                "with the module off and TX joined to RX this is the good result: the adapter works; else look for a bridge \
                 between {rx1} and {tx1}"
            ),
            Self::HeldLow => format!("measure 3.3 V at the module; look for a bridge from {tx1} to GND"),
            Self::SomebodyElse(_) => {
                format!("check {cen} first; then cut off whatever else is on RX1 and TX1, or use SPI")
            }
            Self::BootLoop { .. } => format!(
                "measure 3.3 V at the module while it starts and use a regulator of its own; if the supply holds, write a \
                 whole image over TX1: {}",
                log_pad()
            ),
            Self::Boot(Boot { silent: Some(_), .. }) => {
                format!("{}; then pull CEN to GND for a moment while the program tries", log_pad())
            }
            Self::Boot(_) => format!("{}; leave CEN as it is", log_pad()),
            Self::Log { .. } => format!("check {cen}, and that the wires go to {rx1} and {tx1}; {}", reset_words(pins)),
            Self::Repeats { .. } => {
                format!("{}; check that the wires go to {rx1} and {tx1}", reset_words(pins))
            }
            Self::OtherChip { .. } => {
                "look at the marking of the chip or module and take the tool of its maker".to_owned()
            }
            Self::Console { .. } => {
                format!("`bkbench links` lists the ports of this computer; check where the wires {rx1} and {tx1} end")
            }
            Self::Module { .. } => format!("leave RX1 and TX1 as they are; {}; check {cen}", reset_words(pins)),
            Self::Controller { .. } | Self::Unsteady(Between::Controller) => {
                "cut RX1 and TX1 to the controller, or hold it in reset; else use SPI, which it does not share"
                    .to_owned()
            }
            Self::Unsteady(Between::Answers(_)) => {
                "close the other program, take the second adapter off RX1 and TX1, then connect again".to_owned()
            }
            Self::Unsteady(_) => "check GND, shorten the wires, close other programs on this port".to_owned(),
            Self::Noise(_) => {
                "check GND, shorten the wires, cut off a second chip that drives the same lines".to_owned()
            }
        }
    }
}

/// How this link resets the module, and what else to try where that seems not to work.
fn reset_words(pins: &Pins) -> String {
    let end = pins.end(WireName::Cen).map_or("", |end| end.name.as_str());
    let other = match end.get(..4) {
        Some("RTS ") => "dtr",
        Some("DTR ") => "rts",
        _ if end.starts_with("GPIO") => return format!("check {}", pins.at(WireName::Cen)),
        _ => {
            return "pull CEN to GND for a moment while the program tries, or wire it to a line of the adapter and name that \
                    one: reset=rts or reset=dtr"
                .to_owned();
        }
    };
    format!(
        "check that CEN is wired to {end}: asserted it pulls CEN low, and a transistor in between turns that round; if it is \
         the adapter's other line, take reset={other}, else reset=hand and pull CEN to GND yourself"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::WireKind;

    #[test]
    fn a_person_is_told_what_is_heard_meanwhile() {
        for (bytes, told) in [
            (&b""[..], "nothing is heard"),
            (&OWN, "what is sent comes back: TX and RX touch"),
            (&[0; 9], "RX of the adapter is held low"),
            (&[0], "one short disturbance is heard"),
            (b"[01-01 18:12:15 TUYA N] boot\r\n", "the application is heard, so it was not reset yet"),
            (&[0x55, 0xAA, 0, 0, 0, 0, 0xFF], "the module asks for its controller, so it was not reset yet"),
            (&[0x55, 0xAA, 3, 0, 0, 1, 1, 4], "a second controller is heard"),
            (&[0x80, 0xFE, 0x00, 0x1C], "4 bytes are heard that make no sense"),
        ] {
            assert_eq!(words(bytes), told);
        }
        assert!(words(b"\r\nV:BK7231N_1.0.1\r\n").contains("log pad"));
    }

    #[test]
    fn each_picture_has_a_stage_and_a_remedy_of_its_own() {
        let pins = Pins::usual(WireKind::Uart, 22);
        let boot = Boot { times: 1, ..Boot::default() };
        let all = [
            Picture::Silence,
            Picture::Glitch { at: LISTEN, bytes: vec![0] },
            Picture::Echo,
            Picture::HeldLow,
            Picture::SomebodyElse(vec![1]),
            Picture::BootLoop { boot: boot.clone(), every: LISTEN },
            Picture::Boot(boot),
            Picture::Log { baud: 9600, firmware: None, text: "x".to_owned() },
            Picture::Repeats { baud: 9600, what: '.', times: 9 },
            Picture::OtherChip { maker: "x", baud: 9600, text: String::new() },
            Picture::Console { baud: 9600, text: String::new() },
            Picture::Module { baud: 9600 },
            Picture::Controller { baud: 9600, module: false },
            Picture::Unsteady(Between::Nothing),
            Picture::Unsteady(Between::Answers(2)),
            Picture::Noise(vec![1]),
        ];
        let told: std::collections::BTreeSet<String> = all
            .iter()
            .map(|picture| match picture.explain(LISTEN, &pins) {
                DeviceError::NoLoader { seen, remedy, .. } if seen.starts_with("stage ") => remedy,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told.len(), all.len());
    }
}
