//! What is on the line when no loader answers, and how far the link came with it: the port opens, bytes come, a link check
//! is answered. Each picture has its own cause and remedy (uart-protocol.md §3).

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::watch::Watch;
use super::heard::Heard;
use super::link_up::START_BAUD;
use super::port::Port;
use super::voices;
use crate::link::LinkError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
