//! CEN at a GPIO line of this computer. The line is named, never counted: chip numbers move from kernel to kernel.

use super::contract::{LinkError, ResetLine};

/// Header pin of each BCM line on the 40-pin header, index = BCM number.
const HEADER_PIN: [u8; 28] =
    [27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13];

/// The header pin of a BCM line; `None` for a line that is not on the header.
pub fn header_pin(gpio: u8) -> Option<u8> {
    HEADER_PIN.get(usize::from(gpio)).copied()
}

/// How people name a header line: `GPIO22 (pin 15)`.
pub fn line_name(gpio: u8) -> String {
    match header_pin(gpio) {
        Some(pin) => format!("GPIO{gpio} (pin {pin})"),
        None => format!("GPIO{gpio}"),
    }
}

/// The BCM number that a text names on a Raspberry Pi: `22`, `GPIO22` or, by header pin, `pin15`.
pub(super) fn bcm_number(text: &str) -> Option<u8> {
    let text = text.to_ascii_lowercase();
    if let Some(pin) = text.strip_prefix("pin") {
        let pin: u8 = pin.parse().ok()?;
        return HEADER_PIN.iter().zip(0..).find(|(known, _)| **known == pin).map(|(_, gpio)| gpio);
    }
    let number = text.strip_prefix("gpio").unwrap_or(&text).parse().ok()?;
    (usize::from(number) < HEADER_PIN.len()).then_some(number)
}

/// What works a line, and the bus beside it.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    /// `rppal`, on the Raspberry Pis it knows.
    Rppal,
    /// The kernel's own interfaces, on every Linux board.
    Linux,
}

#[cfg(target_os = "linux")]
impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rppal => "rppal",
            Self::Linux => "linux",
        })
    }
}

/// Whether `rppal` knows this computer's GPIO: a Raspberry Pi of before its last release.
#[cfg(target_os = "linux")]
pub(super) fn rppal_knows_this_board() -> bool {
    rppal::system::DeviceInfo::new().is_ok()
}

/// Opens a line that holds CEN low or lets it go, by the first of `backends` that can.
///
/// # Errors
/// What the last of them says.
#[cfg(target_os = "linux")]
pub(super) fn open(line: &str, backends: &[Backend]) -> Result<Box<dyn ResetLine>, LinkError> {
    let mut failed = LinkError::NoLine { line: line.to_owned(), why: "no driver was chosen".to_owned() };
    for backend in backends {
        let opened = match backend {
            Backend::Rppal => registers::open(line),
            Backend::Linux => super::gpiochip::open(line),
        };
        match opened {
            Ok(line) => return Ok(line),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Opens a BCM line, by whatever this computer has.
///
/// # Errors
/// [`LinkError`] when this computer has no such line or it is not accessible.
#[cfg(target_os = "linux")]
pub(super) fn reset_line(gpio: u8) -> Result<Box<dyn ResetLine>, LinkError> {
    let both = [Backend::Rppal, Backend::Linux];
    open(&gpio.to_string(), if rppal_knows_this_board() { &both } else { &both[1..] })
}

/// As on Linux, where there is a GPIO driver.
#[cfg(not(target_os = "linux"))]
pub(super) fn reset_line(gpio: u8) -> Result<Box<dyn ResetLine>, LinkError> {
    Err(LinkError::Unsupported { name: line_name(gpio), what: "GPIO on this system".to_owned() })
}

/// How both drivers work the line, as far as they can say it.
///
/// Low holds the chip in reset. The line becomes an output at the level that the module's pull-up gives it and falls
/// then: one edge and nothing before it. On release it is driven high for a moment, so that the edge is steep even where
/// the module has a capacitor at CEN, and then let go: a module without supply is not fed through it.
#[cfg(target_os = "linux")]
pub(super) trait Pin {
    /// Drives a level.
    fn drive(&mut self, high: bool) -> Result<(), LinkError>;
    /// Makes the line an input.
    fn let_go(&mut self) -> Result<(), LinkError>;
}

/// How long CEN is driven high: a capacitor of 0.1 µF takes about 20 µs at 16 mA.
#[cfg(target_os = "linux")]
pub(super) const STEEP: std::time::Duration = std::time::Duration::from_micros(50);

/// CEN at a pin. Dropping it lets the chip go, also in a panic.
#[cfg(target_os = "linux")]
pub(super) struct CenLine<P: Pin> {
    pub pin: P,
    /// What reports call this end of it.
    pub name: String,
    pub held: bool,
}

#[cfg(target_os = "linux")]
impl<P: Pin> ResetLine for CenLine<P> {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        if reset == self.held {
            return Ok(());
        }
        self.pin.drive(true)?;
        if reset {
            self.held = true;
            self.pin.drive(false)
        } else {
            std::thread::sleep(STEEP);
            self.pin.let_go()?;
            self.held = false;
            Ok(())
        }
    }

    fn describe(&self) -> String {
        format!("{} → CEN", self.name)
    }
}

#[cfg(target_os = "linux")]
impl<P: Pin> Drop for CenLine<P> {
    fn drop(&mut self) {
        // A line that takes no order any more is let go by the kernel with the process.
        let _ = self.hold(false);
        let _ = self.pin.let_go();
    }
}

/// Lines through the GPIO registers of a Raspberry Pi, by `rppal`.
#[cfg(target_os = "linux")]
pub(super) mod registers {
    use std::cell::RefCell;
    use std::rc::Rc;

    use rppal::gpio::{Error, Gpio, IoPin, Mode};

    use super::super::gpiochip;
    use super::{CenLine, LinkError, Pin, ResetLine, bcm_number, line_name};

    /// A pin that the reset line and the checks of the wires both move.
    pub(in crate::link) type SharedPin = Rc<RefCell<IoPin>>;

    struct RegisterPin {
        pin: SharedPin,
        /// The kernel gives the line to nobody else meanwhile.
        _claim: Option<gpiocdev::Request>,
    }

    impl Pin for RegisterPin {
        fn drive(&mut self, high: bool) -> Result<(), LinkError> {
            let mut pin = self.pin.borrow_mut();
            if high {
                pin.set_high()
            } else {
                pin.set_low()
            };
            if pin.mode() != Mode::Output {
                pin.set_mode(Mode::Output);
            }
            Ok(())
        }

        fn let_go(&mut self) -> Result<(), LinkError> {
            self.pin.borrow_mut().set_mode(Mode::Input);
            Ok(())
        }
    }

    pub(super) fn open(line: &str) -> Result<Box<dyn ResetLine>, LinkError> {
        open_shared(line).map(|(reset, _)| reset)
    }

    /// The line, and a second handle on its pin.
    ///
    /// # Errors
    /// [`LinkError`] when the name is none, or the line is not accessible.
    pub(in crate::link) fn open_shared(line: &str) -> Result<(Box<dyn ResetLine>, SharedPin), LinkError> {
        let Some(gpio) = bcm_number(line) else {
            let why = "rppal takes BCM numbers (22, GPIO22) and header pins (pin15) only".to_owned();
            return Err(LinkError::NoLine { line: line.to_owned(), why });
        };
        let claim = gpiochip::claim(line)?;
        let pin = Rc::new(RefCell::new(take(gpio)?));
        let own = RegisterPin { pin: Rc::clone(&pin), _claim: claim };
        let line = CenLine { pin: own, name: line_name(gpio), held: false };
        Ok((Box::new(line), pin))
    }

    /// A pin as an input; it goes back to the function it was found in when it is dropped.
    ///
    /// # Errors
    /// [`LinkError`] when this is no Raspberry Pi that the driver knows, or the line is not accessible.
    pub(in crate::link) fn take(gpio: u8) -> Result<IoPin, LinkError> {
        let name = line_name(gpio);
        let explain = |error: Error| match error {
            Error::PermissionDenied(_) => super::super::host::denied("/dev/gpiomem", "gpio"),
            Error::UnknownModel => LinkError::Unsupported {
                name: name.clone(),
                what: "GPIO: this computer is no Raspberry Pi that rppal knows; driver=linux works on every board"
                    .to_owned(),
            },
            other => LinkError::Io { name: name.clone(), why: other.to_string() },
        };
        Ok(Gpio::new().map_err(explain)?.get(gpio).map_err(explain)?.into_io(Mode::Input))
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    struct Recorder(Rc<RefCell<Vec<&'static str>>>);

    impl Pin for Recorder {
        fn drive(&mut self, high: bool) -> Result<(), LinkError> {
            self.0.borrow_mut().push(if high { "high" } else { "low" });
            Ok(())
        }
        fn let_go(&mut self) -> Result<(), LinkError> {
            self.0.borrow_mut().push("input");
            Ok(())
        }
    }

    fn line() -> (CenLine<Recorder>, Rc<RefCell<Vec<&'static str>>>) {
        let seen = Rc::new(RefCell::new(Vec::new()));
        (CenLine { pin: Recorder(Rc::clone(&seen)), name: line_name(22), held: false }, seen)
    }

    #[test]
    fn a_pulse_is_one_fall_and_one_steep_rise() {
        let (mut line, seen) = line();
        line.hold(true).unwrap();
        line.hold(true).unwrap();
        line.hold(false).unwrap();
        line.hold(false).unwrap();
        assert_eq!(*seen.borrow(), ["high", "low", "high", "input"]);
        assert_eq!(line.describe(), "GPIO22 (pin 15) → CEN");
    }

    #[test]
    fn a_line_that_is_dropped_lets_the_chip_go() {
        let (mut line, seen) = line();
        line.hold(true).unwrap();
        drop(line);
        assert_eq!(*seen.borrow(), ["high", "low", "high", "input", "input"]);
    }

    #[test]
    fn a_panic_lets_the_chip_go() {
        let (mut line, seen) = line();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            line.hold(true).unwrap();
            panic!("in the middle of a pulse");
        }));
        assert!(panicked.is_err());
        assert_eq!(seen.borrow().last(), Some(&"input"));
    }

    #[test]
    fn a_line_is_known_by_number_name_and_header_pin() {
        for text in ["22", "GPIO22", "gpio22", "pin15", "PIN15"] {
            assert_eq!(bcm_number(text), Some(22), "{text}");
        }
        for text in ["28", "GPIO99", "pin1", "PA10", "", "pin"] {
            assert_eq!(bcm_number(text), None, "{text}");
        }
    }
}
