//! The soldering between the host and the module, right or wrong.

/// A wire of either kind of link. Names are the module's pads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    Sck,
    Csn,
    Si,
    So,
    Cen,
    Gnd,
    Rx,
    Tx,
}

impl Pad {
    fn named(text: &str) -> Option<Self> {
        Some(match text {
            "sck" => Self::Sck,
            "csn" => Self::Csn,
            "si" => Self::Si,
            "so" => Self::So,
            "cen" => Self::Cen,
            "gnd" => Self::Gnd,
            "rx" => Self::Rx,
            "tx" => Self::Tx,
            _ => return None,
        })
    }

    const fn is_spi(self) -> bool {
        matches!(self, Self::Sck | Self::Csn | Self::Si | Self::So)
    }
}

/// What is wrong with the wires. `Default` is a good harness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wires {
    open: Vec<Pad>,
    low: Vec<Pad>,
    high: Vec<Pad>,
    swapped: Vec<(Pad, Pad)>,
    bridged: Vec<(Pad, Pad)>,
}

impl Wires {
    /// Reads a comma list of `PAD-open`, `PAD-short-gnd`, `PAD-short-3v3`, `PAD-PAD-swapped`, `PAD-PAD-bridged`.
    ///
    /// # Errors
    /// A sentence that names the part that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut wires = Self::default();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            wires.add(item).ok_or_else(|| {
                format!(
                    "wire fault {item:?} is unknown; write for example so-open, cen-open, gnd-open, so-short-gnd, \
                     so-short-3v3, si-so-bridged, sck-csn-swapped, rx-open, tx-open or rx-tx-swapped"
                )
            })?;
        }
        Ok(wires)
    }

    fn add(&mut self, item: &str) -> Option<()> {
        let words: Vec<&str> = item.split('-').collect();
        match *words.as_slice() {
            [pad, "open"] => self.open.push(Pad::named(pad)?),
            [pad, "short", "gnd"] => self.low.push(Pad::named(pad).filter(|pad| *pad != Pad::Gnd)?),
            [pad, "short", "3v3"] => self.high.push(Pad::named(pad).filter(|pad| *pad != Pad::Gnd)?),
            [one, other, kind] => {
                let pair = (Pad::named(one)?, Pad::named(other)?);
                let same_link =
                    (pair.0.is_spi() && pair.1.is_spi()) || matches!(pair, (Pad::Rx, Pad::Tx) | (Pad::Tx, Pad::Rx));
                if pair.0 == pair.1 || !same_link {
                    return None;
                }
                match kind {
                    "swapped" => self.swapped.push(pair),
                    "bridged" if pair.0.is_spi() => self.bridged.push(pair),
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether the four SPI wires and ground are as they should be, so that bytes can pass without looking at edges.
    pub(super) fn spi_sound(&self) -> bool {
        !self.ground_open()
            && !self.open.iter().chain(&self.low).chain(&self.high).any(|pad| pad.is_spi())
            && !self.swapped.iter().chain(&self.bridged).any(|(one, _)| one.is_spi())
    }

    /// Without a common ground every level is uncertain.
    pub(super) fn ground_open(&self) -> bool {
        self.open.contains(&Pad::Gnd)
    }

    /// The level at the module's CEN while the host pulls it low (`hold`) or not. The module's own pull-up keeps an
    /// open CEN high.
    pub(super) fn reset_reaches(&self, hold: bool) -> bool {
        self.low.contains(&Pad::Cen) || (hold && !self.open.contains(&Pad::Cen) && !self.high.contains(&Pad::Cen))
    }

    /// Whether the host's TX reaches the module's RX.
    pub(super) fn host_heard(&self) -> bool {
        self.uart_pad_works(Pad::Rx)
    }

    /// Whether the module's TX reaches the host's RX.
    pub(super) fn module_heard(&self) -> bool {
        self.uart_pad_works(Pad::Tx)
    }

    fn uart_pad_works(&self, pad: Pad) -> bool {
        let cut = self.open.contains(&pad) || self.low.contains(&pad) || self.high.contains(&pad);
        !cut && !self.swapped.iter().any(|(one, _)| matches!(one, Pad::Rx | Pad::Tx))
    }

    /// The host wire that ends at this pad of the module.
    fn wire_at(&self, pad: Pad) -> Pad {
        self.swapped.iter().fold(pad, |pad, (one, other)| match pad {
            pad if pad == *one => *other,
            pad if pad == *other => *one,
            pad => pad,
        })
    }

    fn stuck(&self, pad: Pad) -> Option<bool> {
        if self.low.contains(&pad) { Some(false) } else { self.high.contains(&pad).then_some(true) }
    }

    /// The level at a pad that the module reads. A pad without a driver floats high.
    pub(super) fn at_module(&self, pad: Pad, host: &HostLevels) -> bool {
        if let Some(level) = self.stuck(pad) {
            return level;
        }
        if self.open.contains(&pad) {
            return true;
        }
        host.driven(self.wire_at(pad)).unwrap_or(true)
    }

    /// The level at the host's MISO. `module` is what the module drives on SO, `None` when it does not.
    pub(super) fn at_host(&self, module: Option<bool>, host: &HostLevels, floating: bool) -> bool {
        if let Some(level) = self.stuck(Pad::So) {
            return level;
        }
        // A host output is stronger than the module's pad.
        let neighbour = self.bridged.iter().find_map(|(one, other)| match (one, other) {
            (Pad::So, pad) | (pad, Pad::So) => Some(*pad),
            _ => None,
        });
        if let Some(level) = neighbour.and_then(|pad| host.driven(pad)) {
            return level;
        }
        if self.open.contains(&Pad::So) || self.wire_at(Pad::So) != Pad::So {
            return floating;
        }
        module.unwrap_or(floating)
    }
}

/// The levels the host drives at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostLevels {
    pub(super) sck: bool,
    pub(super) csn: bool,
    pub(super) si: bool,
}

impl HostLevels {
    /// The level on one of the host's wires, `None` where the host only listens.
    const fn driven(self, wire: Pad) -> Option<bool> {
        match wire {
            Pad::Sck => Some(self.sck),
            Pad::Csn => Some(self.csn),
            Pad::Si => Some(self.si),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: HostLevels = HostLevels { sck: true, csn: false, si: false };

    #[test]
    fn a_good_harness_is_straight_through() {
        let wires = Wires::default();
        assert!(wires.spi_sound());
        assert!(wires.at_module(Pad::Sck, &LEVELS));
        assert!(!wires.at_module(Pad::Csn, &LEVELS));
        assert!(!wires.at_host(Some(false), &LEVELS, true));
        assert!(wires.reset_reaches(true) && !wires.reset_reaches(false));
    }

    #[test]
    fn swapped_wires_exchange_levels() {
        let wires = Wires::parse("sck-csn-swapped").unwrap();
        assert!(!wires.at_module(Pad::Sck, &LEVELS));
        assert!(wires.at_module(Pad::Csn, &LEVELS));
        assert!(!wires.spi_sound());
    }

    #[test]
    fn shorts_and_bridges_win_over_the_module() {
        assert!(!Wires::parse("so-short-gnd").unwrap().at_host(Some(true), &LEVELS, true));
        assert!(Wires::parse("so-short-3v3").unwrap().at_host(Some(false), &LEVELS, false));
        assert!(!Wires::parse("si-so-bridged").unwrap().at_host(Some(true), &LEVELS, true));
        assert!(Wires::parse("so-open").unwrap().at_host(Some(false), &LEVELS, true));
    }

    #[test]
    fn an_open_reset_wire_never_resets() {
        assert!(!Wires::parse("cen-open").unwrap().reset_reaches(true));
        assert!(Wires::parse("cen-short-gnd").unwrap().reset_reaches(false));
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["so-broken", "so", "gnd-short-gnd", "si-rx-swapped", "si-si-swapped", "tx-rx-bridged"] {
            assert!(Wires::parse(text).unwrap_err().contains(text), "{text}");
        }
        assert!(Wires::parse("so-open,cen-open").is_ok());
    }
}
