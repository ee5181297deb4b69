//! The SPI bus of a Raspberry Pi's header, through `rppal`.

use rppal::spi::{Bus, Error, Mode, Segment, SlaveSelect, Spi};

use super::claim::Claims;
use super::contract::{LinkError, SpiLink};
use super::errno;
use super::spidev::{ENTRY_HZ, Node, bufsiz, frames_in_message, longest_frame, open_error};

struct Header {
    name: String,
    spi: Spi,
    clock: u32,
    bufsiz: usize,
    /// Keep everybody else off the bus.
    _claims: Claims,
    sent: Vec<u8>,
}

/// Whether this driver serves the node: SPI0 and SPI1 are on the header.
pub(super) fn has(node: Node) -> bool {
    place(node).is_some()
}

fn place(node: Node) -> Option<(Bus, SlaveSelect)> {
    let bus = match node.bus {
        0 => Bus::Spi0,
        1 => Bus::Spi1,
        _ => return None,
    };
    let select = match node.select {
        0 => SlaveSelect::Ss0,
        1 => SlaveSelect::Ss1,
        2 => SlaveSelect::Ss2,
        _ => return None,
    };
    Some((bus, select))
}

/// Opens the node.
pub(super) fn open(node: Node, claims: Claims) -> Result<Box<dyn SpiLink>, LinkError> {
    let (bus, select) = place(node).ok_or_else(|| LinkError::Unsupported {
        name: node.to_string(),
        what: "buses other than 0 and 1 through rppal; driver=linux does".to_owned(),
    })?;
    let spi = Spi::new(bus, select, ENTRY_HZ, Mode::Mode0).map_err(|error| match error {
        Error::Io(io) => open_error(node, &io),
        other => LinkError::Io { name: node.to_string(), why: other.to_string() },
    })?;
    Ok(Box::new(Header {
        name: node.to_string(),
        spi,
        clock: ENTRY_HZ,
        bufsiz: bufsiz(),
        sent: Vec::new(),
        _claims: claims,
    }))
}

impl Header {
    /// One message to the kernel; chip select rises between the frames.
    fn message(&mut self, frames: &mut [&mut [u8]]) -> Result<(), LinkError> {
        self.sent.clear();
        for frame in frames.iter() {
            self.sent.extend_from_slice(frame);
        }
        let mut rest = self.sent.as_slice();
        let last = frames.len().saturating_sub(1);
        let mut segments = Vec::with_capacity(frames.len());
        for (index, frame) in frames.iter_mut().enumerate() {
            let (sent, after) = rest.split_at(frame.len());
            rest = after;
            let mut segment = Segment::new(frame, sent);
            segment.set_ss_change(index < last);
            segments.push(segment);
        }
        self.spi.transfer_segments(&segments).map_err(|error| match error {
            Error::Io(io) => errno::running(&self.name, &io),
            other => LinkError::Io { name: self.name.clone(), why: other.to_string() },
        })
    }
}

impl SpiLink for Header {
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
        longest_frame(self.bufsiz)
    }
}
