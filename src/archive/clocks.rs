//! The SPI clocks that modules were worked at: from jobs to the store and back.

use std::path::PathBuf;

use crate::device::KnownClock;
use crate::job::{ClockMemory, ClocksHandle};
use crate::problem::Problem;
use crate::store::clocks::{self, ModuleClock};
use crate::store::paths::Folders;
use crate::units::{hex_text, parse_hex};

/// The memory of the clocks over a link, by the link's name without its query; `None` where there is no data folder to
/// keep one in.
pub fn memory(link: String) -> Option<ClocksHandle> {
    let path = Folders::find().ok()?.clocks();
    Some(ClocksHandle::new(OnDisk { path, link }))
}

struct OnDisk {
    path: PathBuf,
    link: String,
}

impl ClockMemory for OnDisk {
    fn known(&self) -> Vec<KnownClock> {
        let own = clocks::load(&self.path).into_iter().filter(|clock| clock.link == self.link);
        own.filter_map(|clock| {
            let jedec = parse_hex(&clock.jedec.replace(' ', ""))?.try_into().ok()?;
            Some(KnownClock { jedec, hz: clock.hz })
        })
        .collect()
    }

    fn keep(&mut self, chip_key: &str, clock: KnownClock) -> Result<(), Problem> {
        let KnownClock { jedec, hz } = clock;
        let clock = ModuleClock { link: self.link.clone(), chip_key: chip_key.to_owned(), jedec: hex_text(&jedec), hz };
        Ok(clocks::keep(&self.path, clock)?)
    }
}
