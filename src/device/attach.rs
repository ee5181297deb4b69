//! From an open link to a flash that is known.

use super::contract::WriteFlash;
use super::error::DeviceError;
use super::spi::{Access, SpiFlash};
use super::uart::UartFlash;
use super::watch::Watch;
use crate::link::{Link, Wire};

/// What may be chosen about attaching; everything has a sensible default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// Working speed: bit clock in Hz over SPI, rate in baud over UART; when absent the fastest that proves right. A lower
    /// one is used when this one does not prove right.
    pub speed: Option<u32>,
    /// Bit clock of the first SPI entry attempt in Hz; the sweep of the others follows all the same.
    pub entry_clock: Option<u32>,
    /// SPI clocks that were worked at over this link before, the latest last. They shorten the search and are proven
    /// again.
    pub known: Vec<KnownClock>,
    /// A request that changes the flash may have been cut off right before, at this rate in baud: half of it may lie in a
    /// boot loader, waiting for the rest.
    pub cut_off: Option<u32>,
}

/// An SPI clock or UART rate that was worked at before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownClock {
    /// The flash it was worked at with; [`KnownClock::ADAPTER`] for a UART rate, which is a matter of the adapter.
    pub jedec: [u8; 3],
    /// Bit clock in Hz, or rate in baud.
    pub hz: u32,
}

impl KnownClock {
    /// Stands in the place of a flash's id, which is never this.
    pub const ADAPTER: [u8; 3] = [0; 3];
}

/// Gets the chip's attention, identifies the flash and finds a speed that works. Waits for a board, or for a person's
/// hand on CEN, for a bounded time, with checkpoints on the way.
///
/// # Errors
/// [`DeviceError::NoEntry`], [`DeviceError::NoLoader`] or [`DeviceError::UnstableId`] with the evidence of what was
/// seen; [`DeviceError::Cancelled`]; [`DeviceError::Link`].
pub fn attach(link: Link, options: &AttachOptions, watch: &mut dyn Watch) -> Result<Box<dyn WriteFlash>, DeviceError> {
    let Link { wire, reset, clock, info, .. } = link;
    match wire {
        Wire::Spi(wire) => {
            let access = reset.map_or(Access::Hand, Access::Line);
            Ok(Box::new(SpiFlash::attach(wire, access, clock, &info, options, watch)?))
        }
        Wire::Nor(wire) => Ok(Box::new(SpiFlash::attach(wire, Access::Bare, clock, &info, options, watch)?)),
        Wire::Serial(wire) => Ok(Box::new(UartFlash::attach(wire, reset, clock, &info, options, watch)?)),
    }
}
