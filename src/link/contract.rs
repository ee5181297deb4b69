//! What a transport is: bytes, waiting, a reset line and a clock. Nothing in here knows about flash.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::errno::SysError;
use super::host::Device;
use super::host::owners::Owner;
use super::lock::Holder;
use super::net::NetError;
use super::pins::Pins;
use super::tape::{Recording, TapeError};
use crate::disk::{DiskError, Kind};
use crate::problem::{Class, Explain, Problem};
use crate::units::time_text;

/// Code of a port or bus that somebody else holds.
const BUSY: &str = "E204";

/// A serial port, 8N1, as far as the boot loaders need one (uart-protocol.md §2).
pub trait SerialLink {
    /// Hands all bytes to the wire, in order. Returns when the last one has been accepted by the port; the caller
    /// counts byte times itself where it matters.
    ///
    /// # Errors
    /// [`LinkError::Gone`] when the port vanished, [`LinkError::Stalled`] when it takes no bytes any more.
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError>;

    /// Reads what has arrived, at most `into.len()` bytes, waiting up to `wait` for the first one. `Ok(0)` means
    /// that the line stayed quiet for the whole wait.
    ///
    /// # Errors
    /// [`LinkError::Gone`] when the port vanished.
    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError>;

    /// Switches the host's rate, in baud. Bytes already sent leave at the old rate first.
    ///
    /// # Errors
    /// [`LinkError::Unsupported`] when the adapter cannot do it.
    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError>;

    /// The host's present rate in baud.
    fn baud(&self) -> u32;

    /// Throws away everything received and not read yet.
    ///
    /// # Errors
    /// [`LinkError::Gone`] when the port vanished.
    fn discard_input(&mut self) -> Result<(), LinkError>;
}

/// An SPI bus with one chip select, as far as a NOR flash needs one (spi-flash.md §3).
pub trait SpiLink {
    /// One chip-select frame, full duplex: sends `frame` and overwrites it with what came back.
    /// `frame.len()` must not exceed [`SpiLink::longest_frame`].
    ///
    /// # Errors
    /// [`LinkError::Gone`] or [`LinkError::Io`] from the driver.
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError>;

    /// Several frames in a row, chip select rising between them. Drivers that can hand all of them to the kernel
    /// at once override this.
    ///
    /// # Errors
    /// As [`SpiLink::exchange`]; frames after the failed one were not sent.
    fn exchange_all(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        for frame in frames {
            self.exchange(frame)?;
        }
        Ok(())
    }

    /// Asks for a bit clock in Hz; the driver rounds down to what it can do. Returns the clock now in force.
    ///
    /// # Errors
    /// [`LinkError::Unsupported`] when the driver has no clock that slow.
    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError>;

    /// The bit clock in force, in Hz.
    fn clock(&self) -> u32;

    /// SPI mode 0 or 3, the two a 25-series flash takes (data sheet).
    ///
    /// # Errors
    /// [`LinkError::Unsupported`] when the driver has only one of them.
    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError>;

    /// The longest frame one call may carry, in bytes: command, address and data together.
    fn longest_frame(&self) -> usize;
}

/// The line that holds the chip in reset: CEN at a GPIO, or DTR/RTS wired to it. Dropping it releases the chip.
pub trait ResetLine {
    /// `true` pulls CEN low and holds the chip in reset; `false` lets it go.
    ///
    /// # Errors
    /// [`LinkError`] from the driver.
    fn hold(&mut self, reset: bool) -> Result<(), LinkError>;

    /// Both ends of the line for reports, such as `GPIO22 (pin 15) → CEN`.
    fn describe(&self) -> String;
}

/// A line of an SPI harness, by the name of the module's pad that the host's pin should be wired to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Line {
    /// Reset of the chip.
    Cen,
    /// Clock.
    Sck,
    /// Chip select.
    Csn,
    /// Into the module.
    Si,
    /// Out of the module.
    So,
}

/// What a host's pin does to its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Drives it low.
    Low,
    /// Drives it high. CEN is never driven high: there it is the same as [`Hold::PullUp`].
    High,
    /// Listens, with a pull-up of some ten kilohms.
    PullUp,
    /// Listens, with a pull-down of some ten kilohms.
    PullDown,
}

/// The lower-level way to an SPI link: each pin by itself, as the checks of spi-flash.md §10 need it. From the first
/// [`ProbeLines::hold`] until [`ProbeLines::release`] the SPI controller is off the pins and [`SpiLink`] must not be used.
/// Dropping it releases the lines.
pub trait ProbeLines {
    /// Sets what the host's pin of this line does from now on.
    ///
    /// # Errors
    /// [`LinkError`] from the driver.
    fn hold(&mut self, line: Line, how: Hold) -> Result<(), LinkError>;

    /// The level on the host's pin of this line: `true` is high.
    ///
    /// # Errors
    /// [`LinkError`] from the driver.
    fn level(&mut self, line: Line) -> Result<bool, LinkError>;

    /// Gives the pins back to the SPI controller, chip select high, and lets CEN go.
    ///
    /// # Errors
    /// [`LinkError`] from the driver.
    fn release(&mut self) -> Result<(), LinkError>;
}

/// Time as the link lives it: the system's, or the simulator's own.
pub trait Clock {
    /// Time since the link was opened.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn sleep(&self, time: Duration);
}

/// The two kinds of wire a chip can be reached over.
pub enum Wire {
    /// TX and RX.
    Serial(Box<dyn SerialLink>),
    /// SCK, CSN, SI and SO of a module, whose chip has to be brought into SPI mode first.
    Spi(Box<dyn SpiLink>),
    /// The same four wires to a flash chip by itself: desoldered, or under a clip.
    Nor(Box<dyn SpiLink>),
}

/// The kind of a wire, for people and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WireKind {
    /// The serial download protocol.
    Uart,
    /// The flash itself.
    Spi,
}

impl std::fmt::Display for WireKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uart => "UART",
            Self::Spi => "SPI",
        })
    }
}

/// What an open link is, for the header, reports and errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The link as typed, without its query: `spi:0.0`, `sim:wb2s`.
    pub name: String,
    /// The wire.
    pub wire: WireKind,
    /// One line for people: `embedded WB2S, factory-like image, virtual clock`.
    pub detail: String,
    /// Where its wires end on this side.
    pub pins: Pins,
    /// True for the embedded module. Nothing seen over such a link is a statement about silicon.
    pub simulated: bool,
}

/// An open link: a wire, perhaps a reset line, and the clock to wait by.
pub struct Link {
    /// The bytes.
    pub wire: Wire,
    /// `None` means that a person has to pull CEN by hand, or that there is none ([`Wire::Nor`]).
    pub reset: Option<Box<dyn ResetLine>>,
    /// Each pin by itself, where the driver can do that; `None` over UART and over adapters without free lines.
    pub probe: Option<Box<dyn ProbeLines>>,
    /// The clock of this link.
    pub clock: Rc<dyn Clock>,
    /// Where it is written down; `None` for a link that is not.
    pub record: Option<Recording>,
    /// What it is.
    pub info: LinkInfo,
}

/// Something a link can be opened to, as `links` and the Connect tab list it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Endpoint {
    /// The text to give to `--link`.
    pub link: String,
    /// What it is: `/dev/spidev0.0`, `CP2102 USB to UART`, `embedded practice module`.
    pub about: String,
    /// What stands in the way of using it, with its remedy; `None` when it is ready.
    pub obstacle: Option<Problem>,
    /// What the computer knows about the device behind it; `None` where there is none, as behind a simulated module.
    pub device: Option<Box<Device>>,
}

/// What a transport can fail with.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The link text cannot be understood.
    #[error("link {link:?}: {why}")]
    BadLink {
        /// The text.
        link: String,
        /// What is wrong with it.
        why: String,
    },
    /// The device node is not there.
    #[error("{name} does not exist")]
    NotFound {
        /// The node.
        name: String,
        /// What to do about it.
        remedy: String,
    },
    /// The user may not open it.
    #[error("{name}: permission denied")]
    Denied {
        /// The node.
        name: String,
        /// The group that would help.
        group: String,
        /// How to join it on this system.
        remedy: String,
    },
    /// Somebody else holds it.
    #[error("{name} is in use by {}", .by.as_ref().map_or("another program", |owner| owner.who.as_str()))]
    Busy {
        /// The node.
        name: String,
        /// Who holds it, where that is known.
        by: Option<Box<Owner>>,
    },
    /// The user is in the node's group, and this session is older than that.
    #[error("{name}: this session does not have the group {group} yet")]
    LoginAgain {
        /// The node.
        name: String,
        /// The group.
        group: String,
        /// What starts a session with it.
        remedy: String,
    },
    /// The node belongs to a group that such nodes usually do not belong to, and the user is not in it.
    #[error("{name}: only the group {group} may use it")]
    OtherGroup {
        /// The node.
        name: String,
        /// The group.
        group: String,
        /// How to join it on this system.
        remedy: String,
    },
    /// The node belongs to its owner alone.
    #[error("{name}: only {owner} may use it")]
    OwnerOnly {
        /// The node.
        name: String,
        /// The owner.
        owner: String,
        /// How to hand it to a group.
        remedy: String,
    },
    /// This computer has no SPI bus for programs.
    #[error("{name} is not there: {why}")]
    NoBus {
        /// The node.
        name: String,
        /// Why, from what the computer says.
        why: String,
        /// What helps on this system.
        remedy: String,
    },
    /// The bus is there, and a module cannot be worked with over it.
    #[error("{name}: {why}")]
    BusFault {
        /// The node.
        name: String,
        /// What is wrong: no chip select, lines that somebody else has.
        why: String,
        /// What helps.
        remedy: String,
    },
    /// An adapter is plugged in and has no serial port.
    #[error("{name} has no port: {why}")]
    NoPort {
        /// The adapter.
        name: String,
        /// Why, from what the computer says.
        why: String,
        /// What helps on this system.
        remedy: String,
    },
    /// The port exists, and no module can be wired to it.
    #[error("{name} is not for a module: {why}")]
    NotAWire {
        /// The node.
        name: String,
        /// What it is.
        why: String,
        /// What to use instead.
        remedy: String,
    },
    /// A program took the adapter, so that it has no port.
    #[error("{name} has no port: {by} took it")]
    Taken {
        /// The adapter.
        name: String,
        /// The program.
        by: String,
        /// What makes it let go.
        remedy: String,
    },
    /// Another process of this program has it open.
    #[error("{name} is in use by {}", .holder.as_ref().map_or_else(|| "another process of this program".to_owned(), ToString::to_string))]
    Held {
        /// The link.
        name: String,
        /// Who has it; `None` when that could not be read.
        holder: Option<Holder>,
    },
    /// The folder of locks cannot be used.
    #[error("no lock can be kept in {folder}: {why}")]
    NoLock {
        /// The folder.
        folder: String,
        /// The system's words.
        why: String,
    },
    /// It was open and is no longer there.
    #[error("{name} went away: {why}")]
    Gone {
        /// The node.
        name: String,
        /// The driver's words.
        why: String,
    },
    /// The port takes no more bytes.
    #[error("{name} took no more bytes for {}", time_text(*.waited))]
    Stalled {
        /// The node.
        name: String,
        /// How long the program tried.
        waited: Duration,
    },
    /// The driver cannot do what was asked.
    #[error("{name} cannot do {what}")]
    Unsupported {
        /// The node.
        name: String,
        /// What was asked.
        what: String,
    },
    /// The bus carries the computer's own boot flash. There is no way around this one (product.md rule 11).
    #[error("{name} carries this computer's own boot EEPROM")]
    BootEeprom {
        /// The node.
        name: String,
    },
    /// No GPIO line of this computer is meant.
    #[error("no GPIO line {line:?}: {why}")]
    NoLine {
        /// The line as typed.
        line: String,
        /// Why it was not found.
        why: String,
    },
    /// Somebody else works the GPIO line.
    #[error("the GPIO line {line} is claimed by {consumer}")]
    LineInUse {
        /// The line.
        line: String,
        /// Who has it, by the kernel's word.
        consumer: String,
        /// What frees it.
        remedy: String,
    },
    /// A flash programmer answers in a way that cannot be worked with.
    #[error("{name}: {why}")]
    Programmer {
        /// The link.
        name: String,
        /// What it did.
        why: String,
    },
    /// The user may not write to the USB adapter.
    #[error("{name}: this user may not use the USB adapter")]
    UsbDenied {
        /// The link.
        name: String,
        /// How to get the right on this system.
        remedy: String,
    },
    /// No flash programmer is reached at that address.
    #[error("{name} is not reached: {why}")]
    NoProgrammer {
        /// The link.
        name: String,
        /// The system's words.
        why: String,
    },
    /// A file behind the link cannot be used.
    #[error("{name}: {why}")]
    File {
        /// The file.
        name: String,
        /// The system's words.
        why: String,
    },
    /// Something else stands where a file behind the link is needed.
    #[error("{name} is {is}")]
    NotAFile {
        /// The path.
        name: String,
        /// What stands there.
        is: Kind,
    },
    /// A serial port behind a network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A transcript.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// The kernel refused, with a number that tells why.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The system gave a transfer up because it took too long. How much of it went out is not known.
    #[error("{name}: a transfer took too long: {why}")]
    TimedOut {
        /// The node.
        name: String,
        /// The driver's words.
        why: String,
    },
    /// Anything else the driver said.
    #[error("{name}: {why}")]
    Io {
        /// The node.
        name: String,
        /// The driver's words.
        why: String,
    },
}

impl LinkError {
    /// What opening or reading the file at `path` failed with.
    pub(super) fn of_file(path: &Path, error: &DiskError) -> Self {
        let name = path.display().to_string();
        match error {
            DiskError::NotAFile(is) => Self::NotAFile { name, is: *is },
            other => Self::File { name, why: other.to_string() },
        }
    }
}

impl Explain for LinkError {
    fn explain(&self) -> Problem {
        let what = self.to_string();
        match self {
            Self::BadLink { .. } => Problem::new(
                Class::Usage,
                "E201",
                what,
                "the link text does not follow one of the known forms",
                "write for example sim:wb2s, spi:0.0?cen=22 or uart:/dev/ttyUSB0?baud=921600; `bkbench links` lists what is here",
            ),
            Self::NotFound { remedy, .. } => {
                Problem::new(Class::NoDevice, "E202", what, "the device node is missing", remedy.clone())
            }
            Self::Denied { group, remedy, .. } => Problem::new(
                Class::Host,
                "E203",
                what,
                format!("your user is not in the group {group}"),
                remedy.clone(),
            ),
            Self::NoBus { remedy, .. } => {
                Problem::new(Class::NoDevice, "E202", what, "the kernel offers no SPI bus to programs", remedy.clone())
            }
            Self::BusFault { remedy, .. } => Problem::new(
                Class::Host,
                "E224",
                what,
                "the bus is shared or set up for something else",
                remedy.clone(),
            ),
            Self::NotAWire { remedy, .. } => {
                Problem::new(Class::Host, "E219", what, "it leads somewhere else than to a 3.3 V wire", remedy.clone())
            }
            Self::NoPort { remedy, .. } => Problem::new(
                Class::Host,
                "E225",
                what,
                "no driver of the kernel made a serial port of it",
                remedy.clone(),
            ),
            Self::Busy { by: Some(owner), .. } => {
                Problem::new(Class::Host, BUSY, what, owner.kind.cause(), owner.remedy.clone())
            }
            Self::Busy { by: None, .. } => Problem::new(
                Class::Host,
                BUSY,
                what,
                "another program holds the port (a serial console, ModemManager or a second bkbench)",
                "close it, then connect again",
            ),
            Self::LoginAgain { group, remedy, .. } => Problem::new(
                Class::Host,
                "E220",
                what,
                format!("your user is in the group {group}, but was added after this session began"),
                remedy.clone(),
            ),
            Self::OtherGroup { remedy, .. } => {
                Problem::new(Class::Host, "E221", what, "your user is not in that group", remedy.clone())
            }
            Self::OwnerOnly { remedy, .. } => Problem::new(
                Class::Host,
                "E222",
                what,
                "no rule of this system hands the node to a group",
                remedy.clone(),
            ),
            Self::Taken { remedy, .. } => Problem::new(
                Class::Host,
                "E223",
                what,
                "it takes common USB serial chips for something of its own",
                remedy.clone(),
            ),
            Self::Held { holder, .. } => Problem::new(
                Class::Host,
                "E212",
                what,
                "one bus does one job at a time",
                match holder {
                    Some(Holder { pid, user: Some(user), .. }) => format!(
                        "wait for its end, or let {user} end it with `kill {pid}`: it stops at the next point that is safe for the chip"
                    ),
                    Some(Holder { pid, .. }) => format!(
                        "`bkbench attach --pid {pid}` shows it live; wait for its end, or `kill {pid}`: it stops at the next point that is safe for the chip"
                    ),
                    None => "`bkbench attach` shows it live; wait for its end".to_owned(),
                },
            ),
            Self::NoLock { .. } => Problem::new(
                Class::Host,
                "E213",
                what,
                "without a lock two processes could work on one chip at the same time",
                "let XDG_RUNTIME_DIR name a folder of your own that can be written",
            ),
            Self::Gone { .. } => Problem::new(
                Class::NoDevice,
                "E205",
                what,
                "the cable was pulled, or the adapter lost its power",
                "put the adapter back and connect again; an unfinished write can be repeated, equal sectors are kept",
            ),
            Self::Stalled { .. } => Problem::new(
                Class::NoDevice,
                "E206",
                what,
                "the adapter stopped draining its buffer",
                "unplug the adapter, plug it in again and connect",
            ),
            Self::Unsupported { .. } => Problem::new(
                Class::Host,
                "E207",
                what,
                "the driver or adapter lacks it",
                "choose another speed or another adapter",
            ),
            Self::BootEeprom { .. } => Problem::new(
                Class::Refused,
                "E208",
                what,
                "its device-tree path or pins are those of the boot EEPROM; writing there would stop the computer from starting",
                "use the header's own bus, spi:0.0 (`bkbench wiring --link spi:0.0` shows its pins); this refusal cannot be overridden",
            ),
            Self::NoLine { .. } => Problem::new(
                Class::Usage,
                "E214",
                what,
                "lines are found by the name the board gives them; numbers and header pins are those of a Raspberry Pi",
                "`gpioinfo` (package gpiod) lists the names: write for example cen=GPIO22 or cen=con1-15",
            ),
            Self::LineInUse { remedy, .. } => Problem::new(
                Class::Host,
                "E215",
                what,
                "a driver, a device-tree overlay or another program holds it",
                remedy.clone(),
            ),
            Self::Programmer { .. } => Problem::new(
                Class::NoDevice,
                "E216",
                what,
                "it is no programmer of this kind, it lacks a command, or bytes were lost on the way",
                "check address, port and rate (baud=); unplug the programmer, plug it in again and connect",
            ),
            Self::UsbDenied { remedy, .. } => Problem::new(
                Class::Host,
                "E218",
                what,
                "USB devices without a driver belong to root until a rule of udev says otherwise",
                remedy.clone(),
            ),
            Self::NoProgrammer { .. } => Problem::new(
                Class::NoDevice,
                "E217",
                what,
                "the programmer's server does not run, the name or port is wrong, or a firewall is in between",
                "start the server, then check host and port: serprog:HOST:PORT",
            ),
            Self::File { .. } => Problem::new(
                Class::Host,
                "E209",
                what,
                "the file named in the link cannot be read or written",
                "check the path and its permissions",
            ),
            Self::NotAFile { .. } => Problem::new(
                Class::Usage,
                "E239",
                what,
                "only a regular file can stand there",
                "name a regular file; a serial port is uart:/dev/…",
            ),
            Self::Net(error) => error.explain(),
            Self::Tape(error) => error.explain(),
            Self::Sys(error) => error.explain(),
            Self::TimedOut { .. } | Self::Io { .. } => {
                let (cause, remedy) = match self {
                    Self::TimedOut { .. } => (
                        "the computer was too busy to carry the transfer out in time, again and again",
                        "end other programs, or use a higher clock: the kernel allows a slow one hardly more than its own time",
                    ),
                    _ => ("the system's driver reported an error", "run `bkbench links` to see what the port needs"),
                };
                Problem::new(Class::Host, "E211", what, cause, remedy)
            }
        }
    }
}
