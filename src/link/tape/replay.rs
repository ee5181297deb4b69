//! `replay:FILE`: a link that answers as a recorded one did, for as long as it is asked the same.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::TapeError;
use super::line::{Event, Line};
use crate::disk;
use crate::link::contract::{Clock, Link, LinkError, LinkInfo, ResetLine, SerialLink, SpiLink, Wire, WireKind};
use crate::link::pins::{Pins, USUAL_CEN};
use crate::link::spec::LinkSpec;

/// The longest stretch between two pauses that may be left out, in lines: a sign of life for the loader.
const LEFT_OUT: usize = 12;
/// No transcript is as large as this, in bytes: a byte of the link takes three of them.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// The longest SPI frame of a transcript that does not say.
const LONGEST: usize = 4096;

/// What stands above the events.
#[derive(Debug, Default)]
struct Head {
    link: Option<String>,
    wire: String,
    detail: String,
    simulated: bool,
    reset: Option<String>,
    longest: Option<usize>,
}

/// Opens `replay:FILE`.
pub(in crate::link) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&[])?;
    let (head, lines) = read(spec)?;
    let tape = Rc::new(Tape {
        file: spec.target.clone(),
        lines,
        next: Cell::new(0),
        now: Cell::new(Duration::ZERO),
        strayed: RefCell::new(None),
    });
    let spi = || {
        let longest = head.longest.unwrap_or(LONGEST);
        Box::new(Spi { tape: Rc::clone(&tape), clock: 0, longest })
    };
    let (wire, kind) = match head.wire.as_str() {
        "spi" => (Wire::Spi(spi()), WireKind::Spi),
        "nor" => (Wire::Nor(spi()), WireKind::Spi),
        _ => {
            let port = Serial { tape: Rc::clone(&tape), baud: 115_200, rest: VecDeque::new() };
            (Wire::Serial(Box::new(port)), WireKind::Uart)
        }
    };
    let recorded = head.link.as_deref().and_then(|text| LinkSpec::parse(text).ok());
    let pins = recorded.map_or_else(|| Pins::usual(kind, USUAL_CEN), |link| Pins::here(&link));
    Ok(Link {
        wire,
        reset: head.reset.map(|words| Box::new(Reset { tape: Rc::clone(&tape), words }) as Box<dyn ResetLine>),
        probe: None,
        clock: tape,
        record: None,
        info: LinkInfo { name: spec.name(), wire: kind, detail: head.detail, pins, simulated: head.simulated },
    })
}

/// The link that a transcript was recorded from; `None` when it does not say.
///
/// # Errors
/// [`TapeError::Unreadable`]; [`LinkError::BadLink`] when what it says is no link.
pub fn recorded_link(spec: &LinkSpec) -> Result<Option<LinkSpec>, LinkError> {
    read(spec)?.0.link.as_deref().map(LinkSpec::parse).transpose()
}

fn read(spec: &LinkSpec) -> Result<(Head, Vec<(usize, Line)>), LinkError> {
    let file = spec.target.clone();
    let unreadable = |line: usize, why: String| TapeError::Unreadable { file: file.clone(), line, why };
    let text = disk::text(Path::new(&file), LARGEST).map_err(|error| unreadable(0, error.to_string()))?;
    let (mut head, mut lines) = (Head::default(), Vec::new());
    for (number, text) in text.lines().enumerate().map(|(index, text)| (index + 1, text.trim())) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "" | "#" => {}
            _ if word.starts_with('#') => {}
            "link" => head.link = Some(rest.to_owned()),
            "wire" => rest.clone_into(&mut head.wire),
            "detail" => rest.clone_into(&mut head.detail),
            "simulated" => head.simulated = rest == "yes",
            "reset" => head.reset = Some(rest.to_owned()),
            "longest" => head.longest = rest.parse().ok().filter(|longest| *longest > 0),
            _ => lines.push((number, Line::parse(text).map_err(|why| unreadable(number, why))?)),
        }
    }
    Ok((head, lines))
}

/// The events, and how far they have been played.
struct Tape {
    file: String,
    lines: Vec<(usize, Line)>,
    next: Cell<usize>,
    now: Cell<Duration>,
    /// A difference at a place that cannot fail: the next call names it.
    strayed: RefCell<Option<String>>,
}

impl Tape {
    /// The next event, pauses passed over.
    fn peek(&self) -> Option<&(usize, Line)> {
        let rest = self.lines.get(self.next.get()..)?;
        let skip = rest.iter().take_while(|(_, line)| line.event == Event::Idle).count();
        rest.get(skip)
    }

    /// Plays the next event, which has to pass `fits`. Where the program was elsewhere when it was recorded, one sign
    /// of life may be left out.
    fn play(&self, does: &Event, fits: impl Fn(&Event) -> bool) -> Result<&Line, LinkError> {
        let strayed = self.strayed.borrow_mut().take();
        if let Some(instead) = strayed {
            return Err(self.deviation(&instead));
        }
        let start = self.next.get();
        loop {
            match self.peek() {
                Some((_, line)) if fits(&line.event) => {
                    let index = self.index_of(line);
                    self.next.set(index + 1);
                    self.now.set(line.at.unwrap_or_else(|| self.now.get()));
                    return Ok(line);
                }
                _ if self.leave_out() => {}
                _ => {
                    self.next.set(start);
                    return Err(self.deviation(&does.to_string()));
                }
            }
        }
    }

    /// Passes over what stands between this pause and the next one, if it is short; false when that is not so.
    fn leave_out(&self) -> bool {
        let from = self.next.get();
        let paused = self.lines.get(from).is_some_and(|(_, line)| line.event == Event::Idle);
        let rest = self.lines.get(from + 1..).unwrap_or_default();
        let len = rest.iter().take(LEFT_OUT).position(|(_, line)| line.event == Event::Idle);
        match len.filter(|_| paused) {
            Some(len) => {
                self.next.set(from + 1 + len);
                true
            }
            None => false,
        }
    }

    fn index_of(&self, line: &Line) -> usize {
        let from = self.next.get();
        let rest = self.lines.get(from..).unwrap_or_default();
        from + rest.iter().position(|(_, other)| std::ptr::eq(other, line)).unwrap_or(0)
    }

    fn deviation(&self, instead: &str) -> LinkError {
        let (line, at, recorded) = match self.peek() {
            Some((number, line)) => (*number, line.at, short(&line.event.to_string())),
            None => (self.lines.last().map_or(0, |(number, _)| *number), None, "nothing more".to_owned()),
        };
        let at = at.unwrap_or_else(|| self.now.get());
        TapeError::Deviation { file: self.file.clone(), line, at, recorded, instead: short(instead) }.into()
    }

    /// The end of a played event: what it failed with, if it did.
    fn end(&self, line: &Line) -> Result<(), LinkError> {
        line.failure.as_ref().map_or(Ok(()), |failure| Err(failure.error(&self.file)))
    }
}

/// Enough of an event to find it.
fn short(text: &str) -> String {
    let start: String = text.chars().take(48).collect();
    if start.len() < text.len() { format!("\"{start} …\"") } else { format!("\"{start}\"") }
}

impl Clock for Tape {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn sleep(&self, time: Duration) {
        let timed = self.lines.first().is_some_and(|(_, line)| line.at.is_some());
        if !timed {
            self.now.set(self.now.get() + time);
        } else if self.play(&Event::Sleep, |event| *event == Event::Sleep).is_err() {
            *self.strayed.borrow_mut() = Some(Event::Sleep.to_string());
        }
    }
}

struct Serial {
    tape: Rc<Tape>,
    baud: u32,
    /// Of a recorded look, what a smaller one left over.
    rest: VecDeque<u8>,
}

impl SerialLink for Serial {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let sent = Event::Sent(bytes.to_vec());
        self.tape.end(self.tape.play(&sent, |event| *event == sent)?)
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        if self.rest.is_empty() {
            // Hand-made transcripts have no line for a look that brought nothing.
            if self.tape.peek().is_some_and(|(_, line)| line.at.is_none() && !matches!(line.event, Event::Received(_)))
            {
                self.tape.now.set(self.tape.now.get() + wait);
                return Ok(0);
            }
            let does = Event::Received(Vec::new());
            let line = self.tape.play(&does, |event| matches!(event, Event::Received(_)))?;
            if let Event::Received(bytes) = &line.event {
                self.rest.extend(bytes);
            }
            if line.at.is_none() && self.rest.is_empty() {
                self.tape.now.set(self.tape.now.get() + wait);
            }
            self.tape.end(line)?;
        }
        let len = into.len().min(self.rest.len());
        for (place, byte) in into.iter_mut().zip(self.rest.drain(..len)) {
            *place = byte;
        }
        Ok(len)
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        let does = Event::Baud(baud);
        self.tape.end(self.tape.play(&does, |event| *event == does)?)?;
        self.baud = baud;
        Ok(())
    }

    fn baud(&self) -> u32 {
        self.baud
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        self.rest.clear();
        self.tape.end(self.tape.play(&Event::Discard, |event| *event == Event::Discard)?)
    }
}

struct Spi {
    tape: Rc<Tape>,
    clock: u32,
    longest: usize,
}

impl SpiLink for Spi {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        let does = Event::Exchanged(frame.to_vec(), Vec::new());
        let line = self.tape.play(&does, |event| matches!(event, Event::Exchanged(sent, _) if *sent == *frame))?;
        if let Event::Exchanged(_, got) = &line.event {
            frame.iter_mut().zip(got).for_each(|(place, byte)| *place = *byte);
        }
        self.tape.end(line)
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        let does = Event::Clock(hz, 0);
        let line = self.tape.play(&does, |event| matches!(event, Event::Clock(asked, _) if *asked == hz))?;
        self.tape.end(line)?;
        if let Event::Clock(_, got) = line.event {
            self.clock = got;
        }
        Ok(self.clock)
    }

    fn clock(&self) -> u32 {
        self.clock
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        let does = Event::Mode(mode);
        self.tape.end(self.tape.play(&does, |event| *event == does)?)
    }

    fn longest_frame(&self) -> usize {
        self.longest
    }
}

struct Reset {
    tape: Rc<Tape>,
    words: String,
}

impl ResetLine for Reset {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        let does = Event::Hold(reset);
        self.tape.end(self.tape.play(&does, |event| *event == does)?)
    }

    fn describe(&self) -> String {
        self.words.clone()
    }
}
