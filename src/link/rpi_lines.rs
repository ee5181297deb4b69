//! The pins of a Raspberry Pi's SPI bus one by one: off the controller, driven and read through `rppal`, and given back
//! as they were.

use rppal::gpio::{Bias, IoPin, Mode};

use super::contract::{Hold, Line, LinkError, ProbeLines};
use super::gpio::STEEP;
use super::gpio::registers::{SharedPin, take};
use super::pins::BusPins;

/// The bus lines and CEN.
pub(super) struct HeaderLines {
    numbers: BusPins,
    cen: SharedPin,
    taken: Option<[IoPin; 4]>,
}

impl HeaderLines {
    pub(super) const fn new(numbers: BusPins, cen: SharedPin) -> Self {
        Self { numbers, cen, taken: None }
    }

    /// The bus pins, taken from the controller at the first call: chip select stays high, the others listen.
    fn pins(&mut self) -> Result<&mut [IoPin; 4], LinkError> {
        if self.taken.is_none() {
            let [sck, csn, si, so] = self.numbers.0;
            let mut csn = take(csn)?;
            csn.set_high();
            csn.set_mode(Mode::Output);
            self.taken = Some([take(sck)?, csn, take(si)?, take(so)?]);
        }
        self.taken.as_mut().ok_or_else(|| LinkError::Io {
            name: "SPI pins".to_owned(),
            why: "they could not be taken from the controller".to_owned(),
        })
    }
}

impl HeaderLines {
    /// CEN goes up as steeply as connecting does it, and is then only pulled.
    fn hold_cen(&self, how: Hold) {
        let mut cen = self.cen.borrow_mut();
        if how == Hold::Low {
            cen.set_low();
            cen.set_mode(Mode::Output);
            return;
        }
        if how != Hold::PullDown && cen.mode() == Mode::Output {
            cen.set_high();
            std::thread::sleep(STEEP);
        }
        cen.set_mode(Mode::Input);
        cen.set_bias(bias(how));
    }
}

/// Where a bus line stands among the pins; `None` for CEN.
const fn place(line: Line) -> Option<usize> {
    match line {
        Line::Cen => None,
        Line::Sck => Some(0),
        Line::Csn => Some(1),
        Line::Si => Some(2),
        Line::So => Some(3),
    }
}

const fn bias(how: Hold) -> Bias {
    match how {
        Hold::PullDown => Bias::PullDown,
        Hold::PullUp | Hold::High => Bias::PullUp,
        Hold::Low => Bias::Off,
    }
}

impl ProbeLines for HeaderLines {
    fn hold(&mut self, line: Line, how: Hold) -> Result<(), LinkError> {
        let Some(place) = place(line) else {
            self.hold_cen(how);
            return Ok(());
        };
        let Some(pin) = self.pins()?.get_mut(place) else { return Ok(()) };
        match how {
            // The level first, so that the line never shows another one.
            Hold::Low => {
                pin.set_low();
                pin.set_mode(Mode::Output);
            }
            Hold::High => {
                pin.set_high();
                pin.set_mode(Mode::Output);
            }
            Hold::PullUp | Hold::PullDown => {
                pin.set_mode(Mode::Input);
                pin.set_bias(bias(how));
            }
        }
        Ok(())
    }

    fn level(&mut self, line: Line) -> Result<bool, LinkError> {
        match place(line) {
            None => Ok(self.cen.borrow().is_high()),
            Some(place) => Ok(self.pins()?.get(place).is_some_and(IoPin::is_high)),
        }
    }

    fn release(&mut self) -> Result<(), LinkError> {
        if let Some([mut sck, mut csn, si, so]) = self.taken.take() {
            // A kernel that moves chip select as an ordinary output finds it high.
            sck.set_low();
            csn.set_high();
            csn.set_mode(Mode::Output);
            // Each goes back to the function it was found in, the pulls off.
            drop((sck, si, so, csn));
        }
        let mut cen = self.cen.borrow_mut();
        cen.set_mode(Mode::Input);
        cen.set_bias(Bias::Off);
        Ok(())
    }
}

impl Drop for HeaderLines {
    fn drop(&mut self) {
        // Gives the pins back; there is nobody to tell when it fails, and it does not.
        let _ = self.release();
    }
}
