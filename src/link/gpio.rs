//! CEN at a GPIO of a Raspberry Pi, through `rppal`.

use super::contract::{LinkError, ResetLine};

/// Header pin of each BCM line on the 40-pin header, index = BCM number.
const HEADER_PIN: [u8; 28] =
    [27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13];

/// How people name a header line: `GPIO22 (pin 15)`.
pub fn line_name(gpio: u8) -> String {
    match HEADER_PIN.get(usize::from(gpio)) {
        Some(pin) => format!("GPIO{gpio} (pin {pin})"),
        None => format!("GPIO{gpio}"),
    }
}

#[cfg(target_os = "linux")]
struct Gpio {
    pin: rppal::gpio::IoPin,
    gpio: u8,
}

/// Opens a BCM line as open drain: low holds the chip in reset, input lets the module's own pull-up release it.
///
/// # Errors
/// [`LinkError`] when this is no Raspberry Pi or the line is not accessible.
#[cfg(target_os = "linux")]
pub(super) fn reset_line(gpio: u8) -> Result<Box<dyn ResetLine>, LinkError> {
    use rppal::gpio::{Error, Mode};
    let name = line_name(gpio);
    let explain = |error: Error| match error {
        Error::PermissionDenied(_) => LinkError::Denied { name: name.clone(), group: "gpio" },
        Error::UnknownModel => LinkError::Unsupported {
            name: name.clone(),
            what: "GPIO: this computer is no Raspberry Pi the driver knows".to_owned(),
        },
        other => LinkError::Io { name: name.clone(), why: other.to_string() },
    };
    let pin = rppal::gpio::Gpio::new().map_err(explain)?.get(gpio).map_err(explain)?;
    let mut pin = pin.into_io(Mode::Input);
    pin.set_low();
    Ok(Box::new(Gpio { pin, gpio }))
}

/// As on Linux, where there is a GPIO driver.
#[cfg(not(target_os = "linux"))]
pub(super) fn reset_line(gpio: u8) -> Result<Box<dyn ResetLine>, LinkError> {
    Err(LinkError::Unsupported { name: line_name(gpio), what: "GPIO on this system".to_owned() })
}

#[cfg(target_os = "linux")]
impl ResetLine for Gpio {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        use rppal::gpio::Mode;
        if reset {
            self.pin.set_mode(Mode::Output);
            self.pin.set_low();
        } else {
            self.pin.set_mode(Mode::Input);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("{} → CEN", line_name(self.gpio))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Gpio {
    fn drop(&mut self) {
        self.pin.set_mode(rppal::gpio::Mode::Input);
    }
}
