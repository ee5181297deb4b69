//! `spi:` links: the SPI bus of a Raspberry Pi's header, through `rppal`.

use std::rc::Rc;

use rppal::spi::{Bus, Mode, SlaveSelect, Spi};

use super::boot_eeprom::is_boot_eeprom;
use super::clock::SystemClock;
use super::contract::{Endpoint, Link, LinkError, LinkInfo, SpiLink, Wire, WireKind};
use super::spec::LinkSpec;

/// Clock while the chip is being found (spi-flash.md §11, step 7).
const ENTRY_HZ: u32 = 1_000_000;
/// Default of the kernel's spidev; messages must not be longer than the parameter says.
const DEFAULT_BUFSIZ: usize = 4096;
/// Line for CEN where the link names none (modules.toml).
const DEFAULT_CEN: u8 = 22;

struct Header {
    name: String,
    spi: Spi,
    clock: u32,
    longest: usize,
    sent: Vec<u8>,
}

/// Opens `spi:BUS.SELECT?cen=GPIO`. `cen=none` is a bare flash chip without a module around it.
pub(super) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&["cen", "clock", "driver"])?;
    if spec.get("driver").is_some_and(|driver| driver != "rppal") {
        return Err(spec.bad("this build opens SPI through rppal only: driver=rppal"));
    }
    let (bus, select) = numbers(spec)?;
    let name = format!("/dev/spidev{bus}.{select}");
    if is_boot_eeprom(std::path::Path::new("/"), bus, select) {
        return Err(LinkError::BootEeprom { name });
    }
    let reset = match spec.get("cen") {
        Some("none") => None,
        Some(text) => {
            let gpio = text.parse().map_err(|_| spec.bad(format!("cen={text:?} is neither a GPIO number nor none")))?;
            Some(super::gpio::reset_line(gpio)?)
        }
        None => Some(super::gpio::reset_line(DEFAULT_CEN)?),
    };
    let spi = Spi::new(bus_of(bus, spec)?, select_of(select, spec)?, ENTRY_HZ, Mode::Mode0)
        .map_err(|error| open_error(&name, &error))?;
    let how = reset.as_ref().map_or_else(|| "no CEN line".to_owned(), |line| line.describe());
    let wire = Header { name: name.clone(), spi, clock: ENTRY_HZ, longest: bufsiz(), sent: Vec::new() };
    Ok(Link {
        wire: Wire::Spi(Box::new(wire)),
        reset,
        probe: None,
        clock: Rc::new(SystemClock::new()),
        info: LinkInfo { name: spec.name(), wire: WireKind::Spi, detail: format!("{name}, {how}"), simulated: false },
    })
}

fn numbers(spec: &LinkSpec) -> Result<(u8, u8), LinkError> {
    let pair = spec.target.split_once('.').and_then(|(bus, select)| Some((bus.parse().ok()?, select.parse().ok()?)));
    pair.ok_or_else(|| spec.bad("write bus and chip select, such as spi:0.0"))
}

fn bus_of(bus: u8, spec: &LinkSpec) -> Result<Bus, LinkError> {
    match bus {
        0 => Ok(Bus::Spi0),
        1 => Ok(Bus::Spi1),
        other => Err(spec.bad(format!("bus {other} is not on the header; 0 and 1 are"))),
    }
}

fn select_of(select: u8, spec: &LinkSpec) -> Result<SlaveSelect, LinkError> {
    match select {
        0 => Ok(SlaveSelect::Ss0),
        1 => Ok(SlaveSelect::Ss1),
        2 => Ok(SlaveSelect::Ss2),
        other => Err(spec.bad(format!("there is no chip select {other} on the header"))),
    }
}

fn open_error(name: &str, error: &rppal::spi::Error) -> LinkError {
    let name = name.to_owned();
    match error {
        rppal::spi::Error::Io(io) if io.kind() == std::io::ErrorKind::NotFound => LinkError::NotFound {
            name,
            remedy: "switch SPI on: sudo raspi-config nonint do_spi 0, then reboot".to_owned(),
        },
        rppal::spi::Error::Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => {
            LinkError::Denied { name, group: "spi" }
        }
        other => LinkError::Io { name, why: other.to_string() },
    }
}

/// The kernel counts sent and received bytes of a message against this.
fn bufsiz() -> usize {
    let text = std::fs::read_to_string("/sys/module/spidev/parameters/bufsiz").unwrap_or_default();
    text.trim().parse().unwrap_or(DEFAULT_BUFSIZ)
}

impl SpiLink for Header {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.sent.clear();
        self.sent.extend_from_slice(frame);
        let moved = self
            .spi
            .transfer(frame, &self.sent)
            .map_err(|error| LinkError::Io { name: self.name.clone(), why: error.to_string() })?;
        if moved == frame.len() {
            Ok(())
        } else {
            Err(LinkError::Io { name: self.name.clone(), why: format!("{moved} of {} bytes were moved", frame.len()) })
        }
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        self.spi.set_clock_speed(hz).map_err(|error| LinkError::Unsupported {
            name: self.name.clone(),
            what: format!("a clock of {hz} Hz ({error})"),
        })?;
        self.clock = hz;
        Ok(hz)
    }

    fn clock(&self) -> u32 {
        self.clock
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        let wanted = if mode == 3 { Mode::Mode3 } else { Mode::Mode0 };
        self.spi.set_mode(wanted).map_err(|error| LinkError::Unsupported {
            name: self.name.clone(),
            what: format!("SPI mode {mode} ({error})"),
        })
    }

    fn longest_frame(&self) -> usize {
        self.longest
    }
}

/// The SPI nodes of this computer. The boot EEPROM's is not among them.
pub(super) fn endpoints() -> Vec<Endpoint> {
    super::host::buses::endpoints(&super::host::Host::here(), DEFAULT_CEN)
}
