//! One line of a transcript, to text and back.

use std::fmt::Write;
use std::time::Duration;

use crate::link::contract::LinkError;
use crate::units::time_text;

/// What happened on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Sent(Vec<u8>),
    Received(Vec<u8>),
    Exchanged(Vec<u8>, Vec<u8>),
    Baud(u32),
    Clock(u32, u32),
    Mode(u8),
    Discard,
    Sleep,
    Hold(bool),
    Idle,
    End,
}

/// How a call failed, as far as it makes a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Gone(String),
    Unsupported(String),
    NotFound(String),
    Other(String),
}

impl Failure {
    pub(super) fn of(error: &LinkError) -> Self {
        match error {
            LinkError::Gone { why, .. } => Self::Gone(why.clone()),
            LinkError::Stalled { waited, .. } => Self::Gone(format!("took no bytes for {}", time_text(*waited))),
            LinkError::Unsupported { what, .. } => Self::Unsupported(what.clone()),
            LinkError::NotFound { remedy, .. } => Self::NotFound(remedy.clone()),
            other => Self::Other(other.to_string()),
        }
    }

    pub(super) fn error(&self, name: &str) -> LinkError {
        let name = name.to_owned();
        match self.clone() {
            Self::Gone(why) => LinkError::Gone { name, why },
            Self::Unsupported(what) => LinkError::Unsupported { name, what },
            Self::NotFound(remedy) => LinkError::NotFound { name, remedy },
            Self::Other(why) => LinkError::Io { name, why },
        }
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Gone(words) => ("gone", words),
            Self::Unsupported(words) => ("unsupported", words),
            Self::NotFound(words) => ("missing", words),
            Self::Other(words) => ("failed", words),
        }
    }
}

/// An event with its time and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) at: Option<Duration>,
    pub(super) event: Event,
    pub(super) failure: Option<Failure>,
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sent(bytes) => write!(f, ">{}", hex(bytes)),
            Self::Received(bytes) => write!(f, "<{}", hex(bytes)),
            Self::Exchanged(sent, got) => write!(f, "spi{} /{}", hex(sent), hex(got)),
            Self::Baud(baud) => write!(f, "baud {baud}"),
            Self::Clock(asked, got) => write!(f, "clock {asked} {got}"),
            Self::Mode(mode) => write!(f, "mode {mode}"),
            Self::Discard => f.write_str("discard"),
            Self::Sleep => f.write_str("sleep"),
            Self::Hold(true) => f.write_str("hold"),
            Self::Hold(false) => f.write_str("release"),
            Self::Idle => f.write_str("idle"),
            Self::End => f.write_str("end"),
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{}.{:09} ", at.as_secs(), at.subsec_nanos())?;
        }
        write!(f, "{}", self.event)?;
        if let Some((kind, words)) = self.failure.as_ref().map(Failure::parts) {
            write!(f, " ! {kind}: {}", words.replace(['\n', '\r'], " "))?;
        }
        Ok(())
    }
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// A sentence about what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (at, rest) = match text.split_once(' ').and_then(|(first, rest)| Some((time(first)?, rest))) {
            Some((at, rest)) => (Some(at), rest),
            None => (None, text),
        };
        let (body, failure) = match rest.split_once(" ! ") {
            Some((body, failure)) => (body, Some(parse_failure(failure))),
            None => (rest, None),
        };
        let mut words = body.split_whitespace();
        let word = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).ok_or("a number is missing");
        let event = match word {
            ">" => Event::Sent(bytes(body.get(1..).unwrap_or_default())?),
            "<" => Event::Received(bytes(body.get(1..).unwrap_or_default())?),
            "spi" => {
                let (sent, got) = body.get(3..).and_then(|both| both.split_once('/')).ok_or("there is no /")?;
                Event::Exchanged(bytes(sent)?, bytes(got)?)
            }
            "baud" => Event::Baud(number()?),
            "clock" => Event::Clock(number()?, number()?),
            "mode" => Event::Mode(u8::try_from(number()?).map_err(|_| "there is no such mode")?),
            "discard" => Event::Discard,
            "sleep" => Event::Sleep,
            "hold" => Event::Hold(true),
            "release" => Event::Hold(false),
            "idle" => Event::Idle,
            "end" => Event::End,
            other => return Err(format!("{other:?} is no word of a transcript")),
        };
        Ok(Self { at, event, failure })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 3), |mut text, byte| {
        // A string takes everything.
        let _ = write!(text, " {byte:02X}");
        text
    })
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    if text.trim() == "(nothing)" {
        return Ok(Vec::new());
    }
    if text.contains('+') {
        return Err("bytes are left out here (+ … bytes)".to_owned());
    }
    text.split_whitespace()
        .map(|word| u8::from_str_radix(word, 16).map_err(|_| format!("{word:?} is no byte in hex")))
        .collect()
}

fn time(text: &str) -> Option<Duration> {
    let (seconds, nanos) = text.split_once('.')?;
    let digits = (1..=9).contains(&nanos.len()) && nanos.bytes().all(|byte| byte.is_ascii_digit());
    let nanos: u32 = digits.then(|| format!("{nanos:0<9}").parse().ok())??;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

fn parse_failure(text: &str) -> Failure {
    let (kind, words) = text.split_once(": ").unwrap_or(("failed", text));
    let words = words.to_owned();
    match kind {
        "gone" => Failure::Gone(words),
        "unsupported" => Failure::Unsupported(words),
        "missing" => Failure::NotFound(words),
        _ => Failure::Other(words),
    }
}
