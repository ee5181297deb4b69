//! A link that writes down everything that goes over it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::TapeError;
use super::line::{Event, Failure, Line};
use crate::disk;
use crate::link::contract::{Clock, Link, LinkError, ResetLine, SerialLink, SpiLink, Wire};
use crate::link::spec::LinkSpec;

/// A pause between two calls that counts as the program being elsewhere: shorter than that between signs of life.
const ELSEWHERE: Duration = Duration::from_millis(25);
/// How often what was written reaches the disk.
const FLUSH: Duration = Duration::from_secs(1);
/// Recordings of one name, numbered: a workbench opens its link again and again.
const MOST: u32 = 1000;

/// Puts a recorder around a link. Its lines of other pins are left out: a recording has none.
pub(in crate::link) fn record(link: Link, spec: &LinkSpec, file: &str) -> Result<Link, LinkError> {
    let Link { wire, reset, clock, mut info, .. } = link;
    let (path, out) = create(Path::new(file))?;
    let now = clock.now();
    let state = State { out, now, last: Instant::now(), flushed: Instant::now(), failed: None };
    let tape = Rc::new(Tape { clock, path: path.clone(), state: RefCell::new(state) });
    let longest = match &wire {
        Wire::Spi(spi) | Wire::Nor(spi) => Some(spi.longest_frame()),
        Wire::Serial(_) => None,
    };
    let kind = match &wire {
        Wire::Spi(_) => "spi",
        Wire::Nor(_) => "nor",
        Wire::Serial(_) => "uart",
    };
    let mut head = vec![
        "# bkbench transcript 1".to_owned(),
        "# It holds flash content, and with it Wi-Fi passwords and keys: nothing to hand on.".to_owned(),
        format!("link {spec}"),
        format!("wire {kind}"),
        format!("detail {}", info.detail),
        format!("simulated {}", if info.simulated { "yes" } else { "no" }),
    ];
    head.extend(reset.as_ref().map(|line| format!("reset {}", line.describe())));
    head.extend(longest.map(|longest| format!("longest {longest}")));
    head.iter().for_each(|line| tape.write(line));
    if let Some(error) = tape.look() {
        return Err(error.into());
    }
    let renamed = (path != Path::new(file)).then(|| file.to_owned());
    info.detail = format!("{}; recorded to {}", info.detail, path.display());
    Ok(Link {
        wire: match wire {
            Wire::Serial(inner) => Wire::Serial(Box::new(Serial { inner, tape: Rc::clone(&tape) })),
            Wire::Spi(inner) => Wire::Spi(Box::new(Spi { inner, tape: Rc::clone(&tape) })),
            Wire::Nor(inner) => Wire::Nor(Box::new(Spi { inner, tape: Rc::clone(&tape) })),
        },
        reset: reset.map(|inner| Box::new(Reset { inner, tape: Rc::clone(&tape) }) as Box<dyn ResetLine>),
        probe: None,
        clock: Rc::clone(&tape) as Rc<dyn Clock>,
        record: Some(Recording { tape, renamed }),
        info,
    })
}

/// What a recording tells while its link is open.
#[derive(Clone)]
pub struct Recording {
    tape: Rc<Tape>,
    renamed: Option<String>,
}

impl Recording {
    /// What there is to say when the file has another name than was asked for.
    pub fn renamed(&self) -> Option<String> {
        let asked = self.renamed.as_ref()?;
        Some(format!("recording to {}: {asked} is there already", self.tape.path.display()))
    }

    /// Why not everything was written down, once that is so. What is on its way to the disk is written for it.
    pub fn failed(&self) -> Option<TapeError> {
        self.tape.look()
    }
}

/// Makes the file, or one with a number behind its name; never over another.
fn create(path: &Path) -> Result<(PathBuf, BufWriter<File>), LinkError> {
    let mut why = "there are too many recordings of this name".to_owned();
    for number in 1..MOST {
        let mut name = path.as_os_str().to_owned();
        if number > 1 {
            name.push(format!(".{number}"));
        }
        match disk::create(Path::new(&name)) {
            Ok(file) => return Ok((PathBuf::from(name), BufWriter::new(file))),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                why = error.to_string();
                break;
            }
        }
    }
    Err(TapeError::NotRecorded { file: path.display().to_string(), why }.into())
}

/// The file, and the time as the program sees it: it stands still between two calls, so that a program that is played
/// the same answers at the same times decides the same.
struct Tape {
    clock: Rc<dyn Clock>,
    path: PathBuf,
    state: RefCell<State>,
}

struct State {
    out: BufWriter<File>,
    now: Duration,
    last: Instant,
    flushed: Instant,
    /// Why nothing more is written down.
    failed: Option<String>,
}

impl Tape {
    /// Before a call: whether the program was elsewhere.
    fn begin(&self) {
        if self.state.borrow().last.elapsed() > ELSEWHERE {
            self.put(Event::Idle, None);
        }
    }

    /// After a call.
    fn end<T>(&self, event: Event, result: Result<T, LinkError>) -> Result<T, LinkError> {
        self.put(event, result.as_ref().err().map(Failure::of));
        result
    }

    fn put(&self, event: Event, failure: Option<Failure>) {
        let now = self.clock.now();
        self.write(&Line { at: Some(now), event, failure }.to_string());
        let mut state = self.state.borrow_mut();
        (state.now, state.last) = (now, Instant::now());
        if state.flushed.elapsed() > FLUSH {
            state.flush();
        }
    }

    /// A full disk ends the recording and not what goes over the link, which may be in the middle of a write. It is told
    /// by [`Recording::failed`], and by the missing last line.
    fn write(&self, line: &str) {
        let mut state = self.state.borrow_mut();
        if state.failed.is_none() {
            state.failed = writeln!(state.out, "{line}").err().map(|error| error.to_string());
        }
    }

    fn look(&self) -> Option<TapeError> {
        let mut state = self.state.borrow_mut();
        state.flush();
        let why = state.failed.clone()?;
        Some(TapeError::CutShort { file: self.path.display().to_string(), why })
    }
}

impl State {
    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.out.flush().err().map(|error| error.to_string());
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.put(Event::End, None);
        self.state.borrow_mut().flush();
    }
}

impl Clock for Tape {
    fn now(&self) -> Duration {
        self.state.borrow().now
    }

    fn sleep(&self, time: Duration) {
        self.begin();
        self.clock.sleep(time);
        self.put(Event::Sleep, None);
    }
}

struct Serial {
    inner: Box<dyn SerialLink>,
    tape: Rc<Tape>,
}

impl SerialLink for Serial {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.tape.begin();
        let sent = self.inner.send(bytes);
        self.tape.end(Event::Sent(bytes.to_vec()), sent)
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        self.tape.begin();
        let got = self.inner.receive(into, wait);
        let bytes = into.get(..*got.as_ref().unwrap_or(&0)).unwrap_or_default().to_vec();
        self.tape.end(Event::Received(bytes), got)
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        self.tape.begin();
        let set = self.inner.set_baud(baud);
        self.tape.end(Event::Baud(baud), set)
    }

    fn baud(&self) -> u32 {
        self.inner.baud()
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        self.tape.begin();
        let done = self.inner.discard_input();
        self.tape.end(Event::Discard, done)
    }
}

struct Spi {
    inner: Box<dyn SpiLink>,
    tape: Rc<Tape>,
}

impl SpiLink for Spi {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.exchange_all(&mut [frame])
    }

    fn exchange_all(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        self.tape.begin();
        let sent: Vec<Vec<u8>> = frames.iter().map(|frame| frame.to_vec()).collect();
        let done = self.inner.exchange_all(frames);
        // Which of several frames failed is not known: the first one stands for all.
        let count = if done.is_ok() { sent.len() } else { 1 };
        for (sent, got) in sent.into_iter().zip(frames.iter()).take(count) {
            self.tape.put(Event::Exchanged(sent, got.to_vec()), done.as_ref().err().map(Failure::of));
        }
        done
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        self.tape.begin();
        let got = self.inner.set_clock(hz);
        let in_force = *got.as_ref().unwrap_or(&0);
        self.tape.end(Event::Clock(hz, in_force), got)
    }

    fn clock(&self) -> u32 {
        self.inner.clock()
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        self.tape.begin();
        let done = self.inner.set_mode(mode);
        self.tape.end(Event::Mode(mode), done)
    }

    fn longest_frame(&self) -> usize {
        self.inner.longest_frame()
    }
}

struct Reset {
    inner: Box<dyn ResetLine>,
    tape: Rc<Tape>,
}

impl ResetLine for Reset {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        self.tape.begin();
        let done = self.inner.hold(reset);
        self.tape.end(Event::Hold(reset), done)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
