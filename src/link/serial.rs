//! `uart:` links: a serial port of this computer, through the `serialport` crate.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serialport::{ClearBuffer, SerialPort};

use super::claim;
use super::clock::SystemClock;
use super::contract::{Endpoint, Link, LinkError, LinkInfo, ResetLine, SerialLink, Wire, WireKind};
use super::errno;
use super::host::{Host, owners};
use super::pins::Pins;
use super::spec::LinkSpec;

/// Rate of every boot loader at link time (uart-protocol.md §2).
pub(super) const LINK_BAUD: u32 = 115_200;
/// Bytes handed to the port at once. The crate's own timeout guards only the wait before a write, so one large write
/// to a port that nobody drains would block for ever.
const CHUNK: usize = 64;
/// How long a port may take no byte before it counts as stalled.
const STALL: Duration = Duration::from_secs(2);

struct Port {
    name: String,
    port: Box<dyn SerialPort>,
    baud: u32,
    _claim: PortClaim,
}

/// Opens `uart:/dev/ttyUSB0?reset=dtr|rts|hand|gpio:22`. The key `baud` is for the attach step.
pub(super) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&["baud", "reset"])?;
    let name = spec.target.clone();
    if name.is_empty() {
        return Err(spec.bad("there is no port behind uart:, such as /dev/ttyUSB0"));
    }
    let (mut port, claim) = open_port(&name, LINK_BAUD, Duration::from_millis(1), "plug the adapter in")?;
    let_go(port.as_mut());
    let reset = reset_line(spec, &name, port.as_ref())?;
    let how = reset.as_ref().map_or_else(|| "reset by hand".to_owned(), |line| line.describe());
    Ok(Link {
        wire: Wire::Serial(Box::new(Port { name: name.clone(), port, baud: LINK_BAUD, _claim: claim })),
        reset,
        probe: None,
        clock: Rc::new(SystemClock::new()),
        record: None,
        info: LinkInfo {
            name: spec.name(),
            wire: WireKind::Uart,
            detail: format!("{name}, {how}"),
            pins: Pins::here(spec),
            simulated: false,
        },
    })
}

/// What is kept with an open port: the file that other programs look at.
#[cfg(unix)]
pub(super) type PortClaim = Option<claim::PortFile>;
/// Elsewhere the system gives a port to one process only.
#[cfg(not(unix))]
pub(super) type PortClaim = ();

/// Opens a serial port for this process alone, whoever's the others are: by the file that programs for such ports agree on,
/// by the system's exclusive mode, and by a lock on its node. `missing` is what to do when it is not there.
pub(super) fn open_port(
    name: &str,
    baud: u32,
    timeout: Duration,
    missing: &str,
) -> Result<(Box<dyn SerialPort>, PortClaim), LinkError> {
    must_be_port(name)?;
    // A console or login prompt takes no exclusive lock: the port would open, and half of the bytes go missing.
    if let Some(owner) = owners::of_path(&Host::here(), name) {
        let ours = owner.pid.and_then(|pid| claim::by_own_program(&Host::here(), pid, name));
        return Err(ours.unwrap_or_else(|| LinkError::Busy { name: name.to_owned(), by: Some(Box::new(owner)) }));
    }
    #[cfg(unix)]
    let claim = claim::PortFile::take(Path::new(name))?;
    #[cfg(not(unix))]
    let claim = ();
    let port = serialport::new(name, baud).timeout(timeout).open();
    Ok((port.map_err(|error| open_error(name, &error, missing))?, claim))
}

/// Where ports are files, a pipe or a plain file under the name of one is none, and opening it might wait.
fn must_be_port(name: &str) -> Result<(), LinkError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if let Ok(there) = std::fs::metadata(name)
            && !there.file_type().is_char_device()
        {
            let why = "it is not a serial port".to_owned();
            return Err(LinkError::BadLink { link: name.to_owned(), why });
        }
    }
    let _ = name;
    Ok(())
}

/// Opening a port asserts DTR and RTS: a module whose CEN is wired to one of them would be held in reset until the port is
/// closed. A port without modem lines has none to let go.
fn let_go(port: &mut dyn SerialPort) {
    let _ = port.write_data_terminal_ready(false);
    let _ = port.write_request_to_send(false);
}

fn open_error(name: &str, error: &serialport::Error, missing: &str) -> LinkError {
    use serialport::ErrorKind as Serial;
    let why = error.description.clone();
    // The driver keeps only the words of most numbers.
    let number = match error.kind() {
        // The one kind that means two things: root is told of the container.
        Serial::Io(ErrorKind::PermissionDenied) => Some(std::io::Error::from_raw_os_error(errno::EACCES)),
        _ => errno::from_words(&why),
    };
    if let Some(told) = number.and_then(|number| errno::opening(name, &number)) {
        return told;
    }
    let name = name.to_owned();
    let not_found = |name| LinkError::NotFound {
        name,
        remedy: format!("{missing}; `bkbench links` lists the ports that are here"),
    };
    match error.kind() {
        Serial::Io(ErrorKind::NotFound) => not_found(name),
        Serial::Io(ErrorKind::PermissionDenied) => super::host::denied(&name, "dialout"),
        // The crate reports a port held by somebody else as a missing device.
        Serial::NoDevice if Path::new(&name).exists() => claim::refused(Path::new(&name), name.clone()),
        Serial::NoDevice => not_found(name),
        _ => LinkError::Io { name, why },
    }
}

impl Port {
    fn gone(&self, error: impl std::fmt::Display) -> LinkError {
        LinkError::Gone { name: self.name.clone(), why: error.to_string() }
    }

    fn failed(&self, error: &std::io::Error) -> LinkError {
        errno::on_terminal(&self.name, error)
    }
}

impl SerialLink for Port {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        for chunk in bytes.chunks(CHUNK) {
            let mut rest = chunk;
            let began = Instant::now();
            while !rest.is_empty() {
                match self.port.write(rest) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                        if began.elapsed() > STALL {
                            return Err(LinkError::Stalled { name: self.name.clone(), waited: STALL });
                        }
                    }
                    Err(error) => return Err(self.failed(&error)),
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8], wait: Duration) -> Result<usize, LinkError> {
        // The crate rounds its timeout down to whole milliseconds; zero would spin.
        self.port.set_timeout(wait.max(Duration::from_millis(1))).map_err(|error| self.gone(error))?;
        match self.port.read(into) {
            // A serial port never ends; the end of a file is an adapter that was pulled.
            Ok(0) => Err(self.gone("the port closed")),
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), LinkError> {
        // Bytes on their way leave at the old rate: wait for the time they need on the wire.
        std::thread::sleep(Duration::from_secs_f64(
            self.port.bytes_to_write().unwrap_or(0) as f64 * 10.0 / f64::from(self.baud),
        ));
        self.port.set_baud_rate(baud).map_err(|error| LinkError::Unsupported {
            name: self.name.clone(),
            what: format!("{baud} baud ({})", error.description),
        })?;
        self.baud = baud;
        Ok(())
    }

    fn baud(&self) -> u32 {
        self.baud
    }

    fn discard_input(&mut self) -> Result<(), LinkError> {
        self.port.clear(ClearBuffer::Input).map_err(|error| self.gone(error))
    }
}

/// CEN wired to DTR or RTS: asserted means low at TTL level.
struct ModemLine {
    port: Box<dyn SerialPort>,
    dtr: bool,
    name: String,
}

impl ResetLine for ModemLine {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        let done =
            if self.dtr { self.port.write_data_terminal_ready(reset) } else { self.port.write_request_to_send(reset) };
        done.map_err(|error| LinkError::Unsupported {
            name: self.name.clone(),
            what: format!("modem lines ({})", error.description),
        })
    }

    fn describe(&self) -> String {
        format!("{} of {} → CEN", if self.dtr { "DTR" } else { "RTS" }, self.name)
    }
}

impl Drop for ModemLine {
    fn drop(&mut self) {
        // A port that is gone holds nothing any more.
        let _ = self.hold(false);
    }
}

fn reset_line(spec: &LinkSpec, name: &str, port: &dyn SerialPort) -> Result<Option<Box<dyn ResetLine>>, LinkError> {
    let modem = |dtr| -> Result<Option<Box<dyn ResetLine>>, LinkError> {
        let port = port.try_clone().map_err(|error| LinkError::Io { name: name.to_owned(), why: error.description })?;
        Ok(Some(Box::new(ModemLine { port, dtr, name: name.to_owned() })))
    };
    match spec.get("reset") {
        Some("dtr") => modem(true),
        Some("rts") => modem(false),
        _ => local_reset(spec),
    }
}

/// A reset line of this computer, or nobody's but a hand's, whatever the port is.
pub(super) fn local_reset(spec: &LinkSpec) -> Result<Option<Box<dyn ResetLine>>, LinkError> {
    match spec.get("reset") {
        None | Some("hand") => Ok(None),
        Some(other) => match other.strip_prefix("gpio:").map(str::parse) {
            Some(Ok(gpio)) => super::gpio::reset_line(gpio).map(Some),
            _ => {
                let lines = if spec.scheme == "tcp" { "gpio:NUMBER, hand" } else { "gpio:NUMBER, dtr, rts, hand" };
                Err(spec.bad(format!("reset={other:?} is none of {lines}")))
            }
        },
    }
}

/// The serial ports of this computer.
#[cfg(target_os = "linux")]
pub(super) fn endpoints(_: u8) -> Vec<Endpoint> {
    super::host::ports::endpoints(&super::host::Host::here())
}

/// The serial ports of this computer, as the driver lists them.
#[cfg(not(target_os = "linux"))]
pub(super) fn endpoints(_: u8) -> Vec<Endpoint> {
    let ports = serialport::available_ports().unwrap_or_default();
    let endpoint = |port: serialport::SerialPortInfo| {
        let about = match &port.port_type {
            serialport::SerialPortType::UsbPort(usb) => {
                let product = usb.product.as_deref().unwrap_or("USB serial adapter");
                format!("{product} ({:04X}:{:04X})", usb.vid, usb.pid)
            }
            _ => "serial port".to_owned(),
        };
        Endpoint { link: format!("uart:{}", port.port_name), about, obstacle: None, device: None }
    };
    ports.into_iter().map(endpoint).collect()
}
