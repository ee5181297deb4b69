//! What is on the line when no loader answers, and how far the link came with it: the port opens, bytes come, a link check
//! is answered. Each picture has its own cause and remedy (uart-protocol.md §3).

use std::time::Duration;

use super::super::error::DeviceError;
use super::super::watch::Watch;
use super::link_up::START_BAUD;
use super::port::Port;
use crate::units::hex_text;

/// Received bytes kept of each kind.
const KEPT: usize = 512;
/// The link check, as it comes back from a bridged line.
const OWN: [u8; 5] = [0x01, 0xE0, 0xFC, 0x01, 0x00];
/// The rates applications log and talk at, the likeliest first (formats.md, Tuya `baud_cfg`; OpenBeken's console).
const RATES: [u32; 4] = [START_BAUD, 921_600, 9_600, 460_800];
/// How long each of them is listened to: a firmware says something every second or two.
const LISTEN: Duration = Duration::from_millis(2200);
/// Bytes that are enough to tell what they are.
const ENOUGH: usize = 48;
/// Longest piece of a log that is shown.
const SHOWN: usize = 60;

/// What was heard while the program asked for the loader.
#[derive(Debug, Default)]
pub(super) struct Heard {
    reset: Vec<u8>,
    flood: Vec<u8>,
    /// A link check was answered at least once.
    pub answered: bool,
}

impl Heard {
    pub fn in_reset(&mut self, bytes: &[u8]) {
        keep(&mut self.reset, bytes);
    }

    pub fn flooding(&mut self, bytes: &[u8]) {
        keep(&mut self.flood, bytes);
    }
}

/// Keeps the first bytes of what comes.
pub(super) fn keep(kept: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT.saturating_sub(kept.len());
    kept.extend(bytes.iter().take(room));
}

/// What the line shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Picture {
    /// No byte at all.
    Silence,
    /// What was sent comes back.
    Echo,
    /// The line is low all the time.
    HeldLow,
    /// Bytes come although the chip is held in reset.
    SomebodyElse(Vec<u8>),
    /// The application runs and logs.
    Log { baud: u32, text: String },
    /// The application talks to a second controller in frames of `55 AA`.
    TuyaMcu { baud: u32 },
    /// Link checks are answered, but not each by one answer.
    Unsteady,
    /// Bytes that are none of this at any rate.
    Noise(Vec<u8>),
}

/// Listens at the usual rates, without sending, until what is heard makes sense.
pub(super) fn look(port: &mut Port, heard: &Heard, watch: &mut dyn Watch) -> Result<Picture, DeviceError> {
    if heard.answered {
        return Ok(Picture::Unsteady);
    }
    if heard.flood.windows(OWN.len()).any(|window| window == OWN) {
        return Ok(Picture::Echo);
    }
    let in_reset = heard.reset.iter().any(|byte| *byte != 0);
    if let Some(picture) = sense(&heard.flood, START_BAUD).filter(|_| !in_reset) {
        return Ok(picture);
    }
    let mut noise = if heard.flood.is_empty() { heard.reset.clone() } else { heard.flood.clone() };
    for baud in RATES {
        port.set_baud(baud)?;
        port.quiet()?;
        let bytes = listen(port, watch)?;
        if let Some(picture) = sense(&bytes, baud) {
            let foreign = in_reset && !matches!(picture, Picture::TuyaMcu { .. });
            return Ok(if foreign { Picture::SomebodyElse(bytes) } else { picture });
        }
        keep(&mut noise, &bytes);
        // Where nothing is said at one rate, nothing is at another.
        if noise.is_empty() {
            return Ok(Picture::Silence);
        }
    }
    Ok(if in_reset { Picture::SomebodyElse(noise) } else { Picture::Noise(noise) })
}

fn listen(port: &mut Port, watch: &mut dyn Watch) -> Result<Vec<u8>, DeviceError> {
    let until = port.clock().now() + LISTEN;
    let (mut bytes, mut buffer) = (Vec::new(), [0_u8; 256]);
    while bytes.len() < ENOUGH {
        watch.checkpoint()?;
        let left = until.saturating_sub(port.clock().now());
        if left.is_zero() {
            break;
        }
        let got = port.receive_raw(&mut buffer, left.min(Duration::from_millis(50)))?;
        keep(&mut bytes, buffer.get(..got).unwrap_or_default());
    }
    Ok(bytes)
}

/// What bytes heard between link checks are, for a person who is working on the wires meanwhile.
pub(super) fn words(bytes: &[u8]) -> String {
    if bytes.windows(OWN.len()).any(|window| window == OWN) {
        return "what is sent comes back: TX and RX touch".to_owned();
    }
    match sense(bytes, START_BAUD) {
        _ if bytes.is_empty() => "nothing is heard".to_owned(),
        Some(Picture::HeldLow) => "RX of the adapter is held low".to_owned(),
        Some(Picture::Log { .. }) => "the application is heard, so it was not reset yet".to_owned(),
        Some(Picture::TuyaMcu { .. }) => "a second controller is heard".to_owned(),
        _ => format!("{} bytes are heard that make no sense", bytes.len()),
    }
}

/// What bytes are, when that can be told.
fn sense(bytes: &[u8], baud: u32) -> Option<Picture> {
    if bytes.is_empty() {
        return None;
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Some(Picture::HeldLow);
    }
    if has_mcu_frame(bytes) {
        return Some(Picture::TuyaMcu { baud });
    }
    let printable = |byte: &u8| (0x20..0x7F).contains(byte) || matches!(byte, b'\r' | b'\n' | b'\t');
    let text = bytes.len() >= 8 && bytes.iter().filter(|byte| printable(byte)).count() * 10 > bytes.len() * 9;
    text.then(|| Picture::Log { baud, text: first_line(bytes) })
}

/// Whether a frame `55 AA version command length data sum` is among the bytes.
fn has_mcu_frame(bytes: &[u8]) -> bool {
    bytes.windows(2).enumerate().filter(|(_, head)| *head == [0x55, 0xAA]).any(|(at, _)| {
        let Some([_, _, _, _, high, low, rest @ ..]) = bytes.get(at..) else { return false };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((frame, sum)) = bytes.get(at..at + 6 + len).zip(rest.get(len)) else { return false };
        frame.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == *sum
    })
}

/// The first line worth showing, without anything a terminal could take for a command.
fn first_line(bytes: &[u8]) -> String {
    let text: String =
        bytes.iter().map(|byte| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '\n' }).collect();
    let line = text.lines().map(str::trim).max_by_key(|line| line.len()).unwrap_or_default();
    line.chars().take(SHOWN).collect()
}

impl Picture {
    /// The failure: the stage that was reached, what was seen, its cause and the next thing to do.
    pub fn explain(&self, waited: Duration) -> DeviceError {
        let some = |bytes: &[u8]| hex_text(bytes.get(..8).unwrap_or(bytes));
        let (seen, cause, remedy) = match self {
            Self::Silence => (
                "stage 1, the port opens: nothing came back at any time".to_owned(),
                "RX and TX are swapped, the module has no supply, or its boot window was missed because the chip was not \
                 reset",
                "swap RX1 and TX1; check 3.3 V and GND; pull CEN to GND for a moment while the program tries. To tell the \
                 adapter from the module: take the module off and join the adapter's TX and RX, then its echo is reported",
            ),
            Self::Echo => (
                "stage 2, bytes come: the line gives back what is sent, and nothing else".to_owned(),
                "TX and RX touch each other, or the adapter is looped back",
                "with the module off and TX joined to RX this is the good result: the adapter works; else look for a bridge \
                 between RX1 and TX1",
            ),
            Self::HeldLow => (
                "stage 2, bytes come: only zeros, so the line into the adapter is low all the time".to_owned(),
                "the module has no supply, or TX1 is shorted to GND",
                "measure 3.3 V at the module; look for a bridge from TX1 to GND",
            ),
            Self::SomebodyElse(bytes) => (
                format!("stage 2, bytes come: also while CEN holds the chip in reset, such as {}", some(bytes)),
                "a second chip drives the same line, or CEN does not reach the chip",
                "check the CEN wire first; then cut off whatever else is on RX1 and TX1, or use SPI",
            ),
            Self::Log { baud, text } => (
                format!("stage 2, bytes come: the application logs at {baud} baud: \"{text}\""),
                "the application runs: its boot window was missed because the reset does not reach the chip or the wire to \
                 RX1 is open, or this is the log port (TX2)",
                "check the CEN wire, and that the wires go to RX1 and TX1",
            ),
            Self::TuyaMcu { baud } => (
                format!(
                    "stage 2, bytes come: frames of 55 AA at {baud} baud, as a Tuya module and its second controller speak"
                ),
                "a TuyaMCU device: the second controller is on the same RX1 and TX1 and may hold the lines",
                "cut RX1 and TX1 to the controller, or hold it in reset; else use SPI, which it does not share",
            ),
            Self::Unsteady => (
                "stage 3, a link check is answered: but not each by exactly one answer".to_owned(),
                "the line is disturbed, or a second program talks on the same port",
                "check GND, shorten the wires, close other programs on this port",
            ),
            Self::Noise(bytes) => (
                format!("stage 2, bytes come: {} that are no frames at any rate, such as {}", bytes.len(), some(bytes)),
                "the rate is wrong, or the line is disturbed",
                "check GND, shorten the wires, cut off a second chip that drives the same lines",
            ),
        };
        DeviceError::NoLoader { waited, seen, cause: cause.to_owned(), remedy: remedy.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_shown_without_its_control_bytes() {
        let log = b"\x1b[31m\r\n[01-01 18:12:15 TUYA N][lr:0x40f95] boot\r\n";
        let picture = sense(log, 921_600).unwrap();
        assert_eq!(
            picture,
            Picture::Log { baud: 921_600, text: "[01-01 18:12:15 TUYA N][lr:0x40f95] boot".to_owned() }
        );
    }

    #[test]
    fn frames_of_a_second_controller_are_known_by_their_sum() {
        assert_eq!(sense(&[0x99, 0x55, 0xAA, 0, 0, 0, 0, 0xFF], 9600), Some(Picture::TuyaMcu { baud: 9600 }));
        assert_eq!(sense(&[0x99, 0x55, 0xAA, 0, 0, 0, 0, 0xFE], 9600), None);
        assert_eq!(sense(&[0x55, 0xAA, 0, 0, 0xFF, 0xFF, 0xFE], 9600), None, "longer than what there is");
        assert_eq!(sense(&[0x55, 0xAA, 3, 7, 0, 1, 0x42, 0x4C], 9600), Some(Picture::TuyaMcu { baud: 9600 }));
    }

    #[test]
    fn zeros_are_a_line_held_low_and_few_bytes_are_nothing() {
        assert_eq!(sense(&[0; 3], START_BAUD), Some(Picture::HeldLow));
        assert_eq!(sense(b"ab", START_BAUD), None);
        assert_eq!(sense(&[0x80, 0xFE, 0x00, 0x1C], START_BAUD), None);
    }

    #[test]
    fn a_person_is_told_what_is_heard_meanwhile() {
        for (bytes, told) in [
            (&b""[..], "nothing is heard"),
            (&OWN, "what is sent comes back: TX and RX touch"),
            (&[0; 9], "RX of the adapter is held low"),
            (b"[01-01 18:12:15 TUYA N] boot\r\n", "the application is heard, so it was not reset yet"),
            (&[0x80, 0xFE, 0x00, 0x1C], "4 bytes are heard that make no sense"),
        ] {
            assert_eq!(words(bytes), told);
        }
    }

    #[test]
    fn each_picture_has_a_stage_a_cause_and_a_remedy_of_its_own() {
        let all = [
            Picture::Silence,
            Picture::Echo,
            Picture::HeldLow,
            Picture::SomebodyElse(vec![1]),
            Picture::Log { baud: 9600, text: "x".to_owned() },
            Picture::TuyaMcu { baud: 9600 },
            Picture::Unsteady,
            Picture::Noise(vec![1]),
        ];
        let told: std::collections::BTreeSet<String> = all
            .iter()
            .map(|picture| match picture.explain(LISTEN) {
                DeviceError::NoLoader { seen, remedy, .. } if seen.starts_with("stage ") => remedy,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told.len(), all.len());
    }
}
