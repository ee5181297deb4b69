//! A SPI bus of any Linux board, through the kernel's `/dev/spidev` and nothing else.

use spidev::{SpiModeFlags, Spidev, SpidevOptions, SpidevTransfer};

use super::claim::Claims;
use super::contract::{LinkError, SpiLink};
use super::errno;
use super::spidev::{ENTRY_HZ, Node, bufsiz, frames_in_message, longest_frame, open_error};

struct Bus {
    name: String,
    spi: Spidev,
    clock: u32,
    bufsiz: usize,
    /// Keep everybody else off the bus.
    _claims: Claims,
}

/// Opens the node.
pub(super) fn open(node: Node, claims: Claims) -> Result<Box<dyn SpiLink>, LinkError> {
    let mut spi = Spidev::open(node.to_string()).map_err(|error| open_error(node, &error))?;
    let options = SpidevOptions::new().bits_per_word(8).max_speed_hz(ENTRY_HZ).mode(SpiModeFlags::SPI_MODE_0).build();
    spi.configure(&options).map_err(|error| errno::running(&node.to_string(), &error))?;
    Ok(Box::new(Bus { name: node.to_string(), spi, clock: ENTRY_HZ, bufsiz: bufsiz(), _claims: claims }))
}

impl Bus {
    /// One message to the kernel; chip select rises between the frames.
    fn message(&self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        let last = frames.len().saturating_sub(1);
        let mut parts: Vec<SpidevTransfer<'_, '_>> = Vec::with_capacity(frames.len());
        for (index, frame) in frames.iter_mut().enumerate() {
            let mut part = SpidevTransfer::read_write_in_place(frame);
            part.cs_change = u8::from(index < last);
            parts.push(part);
        }
        self.spi.transfer_multiple(&mut parts).map_err(|error| errno::running(&self.name, &error))
    }

    fn configure(&mut self, options: &SpidevOptions, what: String) -> Result<(), LinkError> {
        self.spi
            .configure(options)
            .map_err(|error| LinkError::Unsupported { name: self.name.clone(), what: format!("{what} ({error})") })
    }
}

impl SpiLink for Bus {
    fn exchange(&mut self, frame: &mut [u8]) -> Result<(), LinkError> {
        self.message(&mut [frame])
    }

    fn exchange_all(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        let mut rest = frames;
        while !rest.is_empty() {
            let (now, after) = rest.split_at_mut(frames_in_message(rest, self.bufsiz));
            self.message(now)?;
            rest = after;
        }
        Ok(())
    }

    fn set_clock(&mut self, hz: u32) -> Result<u32, LinkError> {
        let options = SpidevOptions { max_speed_hz: Some(hz), ..SpidevOptions::default() };
        self.configure(&options, format!("a clock of {hz} Hz"))?;
        self.clock = hz;
        Ok(hz)
    }

    fn clock(&self) -> u32 {
        self.clock
    }

    fn set_mode(&mut self, mode: u8) -> Result<(), LinkError> {
        let wanted = if mode == 3 { SpiModeFlags::SPI_MODE_3 } else { SpiModeFlags::SPI_MODE_0 };
        let options = SpidevOptions { spi_mode: Some(wanted), ..SpidevOptions::default() };
        self.configure(&options, format!("SPI mode {mode}"))
    }

    fn longest_frame(&self) -> usize {
        longest_frame(self.bufsiz)
    }
}
