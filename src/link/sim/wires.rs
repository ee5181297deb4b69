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
    Supply,
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
            "3v3" => Self::Supply,
            "rx" => Self::Rx,
            "tx" => Self::Tx,
            _ => return None,
        })
    }

    const fn is_signal(self) -> bool {
        !matches!(self, Self::Gnd | Self::Supply)
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
                    "wire fault {item:?} is unknown; write for example so-open, cen-open, gnd-open, 3v3-open, so-short-gnd, \
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
            [pad, "short", "gnd"] => self.low.push(Pad::named(pad).filter(|pad| pad.is_signal())?),
            [pad, "short", "3v3"] => self.high.push(Pad::named(pad).filter(|pad| pad.is_signal())?),
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
            && !self.supply_open()
            && !self.open.iter().chain(&self.low).chain(&self.high).any(|pad| pad.is_spi())
            && !self.swapped.iter().chain(&self.bridged).any(|(one, _)| one.is_spi())
    }

    /// Without a common ground every level is uncertain.
    pub(super) fn ground_open(&self) -> bool {
        self.open.contains(&Pad::Gnd)
    }

    /// Whether the module is kept in reset, or dead for want of supply, while the host pulls CEN low (`hold`) or not. The
    /// module's own pull-up keeps an open CEN high.
    pub(super) fn reset_reaches(&self, hold: bool) -> bool {
        let pulled = hold && !self.open.contains(&Pad::Cen) && !self.high.contains(&Pad::Cen);
        self.supply_open() || self.low.contains(&Pad::Cen) || pulled
    }

    /// Without the 3V3 wire the module has no supply of its own.
    pub(super) fn supply_open(&self) -> bool {
        self.open.contains(&Pad::Supply)
    }

    /// The level at the host's CEN pin while it only listens. `supplied` says whether the module's pull-up has a supply.
    pub(super) fn cen_at_host(&self, pulled: bool, supplied: bool) -> bool {
        match self.stuck(Pad::Cen) {
            Some(level) => level,
            None if self.open.contains(&Pad::Cen) => pulled,
            None => supplied,
        }
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

    /// The level at a pad that the module reads. A pad that nobody drives or pulls floats to `floats_high`.
    pub(super) fn at_module(&self, pad: Pad, host: &HostPins, floats_high: bool) -> bool {
        if let Some(level) = self.stuck(pad) {
            return level;
        }
        if self.open.contains(&pad) {
            return floats_high;
        }
        let pin = host.at(self.wire_at(pad));
        pin.driven().or(pin.pulled()).unwrap_or(floats_high)
    }

    /// The level that the host reads on one of its bus pins. `module` is what the module drives on SO, `None` when it does
    /// not; `dead` says that the module has no supply, so that its pads draw a pulled-up line down.
    pub(super) fn at_host(&self, pin: Pad, module: Option<bool>, host: &HostPins, dead: bool) -> bool {
        let pad = self.wire_at(pin);
        if let Some(level) = self.stuck(pad) {
            return level;
        }
        let held = host.at(pin);
        if let Some(level) = held.driven() {
            return level;
        }
        // A host output is stronger than the module's pad.
        let neighbour = self.bridged.iter().find_map(|(one, other)| match pad {
            pad if pad == *one => Some(*other),
            pad if pad == *other => Some(*one),
            _ => None,
        });
        if let Some(level) = neighbour.and_then(|pad| host.at(self.wire_at(pad)).driven()) {
            return level;
        }
        let free = held.pulled().unwrap_or(host.floating);
        if self.open.contains(&pad) {
            return free;
        }
        if dead {
            return false;
        }
        if pad == Pad::So || neighbour == Some(Pad::So) { module.unwrap_or(free) } else { free }
    }

    /// Whether a pin that the host drives high reaches a pad of the module.
    pub(super) fn feeds(&self, host: &HostPins) -> bool {
        [Pad::Sck, Pad::Csn, Pad::Si, Pad::So]
            .into_iter()
            .any(|pad| !self.open.contains(&pad) && host.at(self.wire_at(pad)) == Held::High)
    }
}

/// What the host does with one of its pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Low,
    High,
    Up,
    Down,
    Free,
}

impl Held {
    const fn driven(self) -> Option<bool> {
        match self {
            Self::Low => Some(false),
            Self::High => Some(true),
            _ => None,
        }
    }

    const fn pulled(self) -> Option<bool> {
        match self {
            Self::Down => Some(false),
            Self::Up => Some(true),
            _ => None,
        }
    }

    pub(super) const fn drive(level: bool) -> Self {
        if level { Self::High } else { Self::Low }
    }
}

/// What the host does on its bus pins at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostPins {
    pub(super) sck: Held,
    pub(super) csn: Held,
    pub(super) si: Held,
    pub(super) so: Held,
    /// What the host reads from a pin that nobody drives or pulls.
    pub(super) floating: bool,
}

impl HostPins {
    /// The pins as an SPI controller holds them: SO only listens.
    pub(super) const fn controller(sck: bool, csn: bool, si: bool, floating: bool) -> Self {
        Self { sck: Held::drive(sck), csn: Held::drive(csn), si: Held::drive(si), so: Held::Free, floating }
    }

    /// What the host does on one of its pins.
    const fn at(&self, pin: Pad) -> Held {
        match pin {
            Pad::Sck => self.sck,
            Pad::Csn => self.csn,
            Pad::Si => self.si,
            Pad::So => self.so,
            _ => Held::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINS: HostPins = HostPins::controller(true, false, false, true);

    fn so(wires: &str, module: bool) -> bool {
        Wires::parse(wires).unwrap().at_host(Pad::So, Some(module), &PINS, false)
    }

    #[test]
    fn a_good_harness_is_straight_through() {
        let wires = Wires::default();
        assert!(wires.spi_sound());
        assert!(wires.at_module(Pad::Sck, &PINS, true));
        assert!(!wires.at_module(Pad::Csn, &PINS, true));
        assert!(!so("", false));
        assert!(wires.reset_reaches(true) && !wires.reset_reaches(false));
    }

    #[test]
    fn swapped_wires_exchange_levels() {
        let wires = Wires::parse("sck-csn-swapped").unwrap();
        assert!(!wires.at_module(Pad::Sck, &PINS, true));
        assert!(wires.at_module(Pad::Csn, &PINS, true));
        assert!(!wires.spi_sound());
    }

    #[test]
    fn what_the_module_says_arrives_at_the_pin_its_wire_ends_at() {
        let wires = Wires::parse("si-so-swapped").unwrap();
        let listening = HostPins { si: Held::Up, so: Held::High, ..PINS };
        assert!(!wires.at_host(Pad::Si, Some(false), &listening, false));
        assert!(wires.at_module(Pad::Si, &listening, false));
    }

    #[test]
    fn shorts_and_bridges_win_over_the_module() {
        assert!(!so("so-short-gnd", true));
        assert!(so("so-short-3v3", false));
        assert!(!so("si-so-bridged", true));
        assert!(so("so-open", false));
    }

    #[test]
    fn an_open_line_follows_the_pull_and_a_dead_module_draws_it_down() {
        let with = |so| HostPins { so, ..PINS };
        let open = Wires::parse("so-open").unwrap();
        for (held, level) in [(Held::Up, true), (Held::Down, false)] {
            assert_eq!(open.at_host(Pad::So, Some(!level), &with(held), false), level);
        }
        assert!(!Wires::default().at_host(Pad::So, None, &with(Held::Up), true));
        assert!(Wires::default().cen_at_host(false, true) && !Wires::default().cen_at_host(true, false));
        assert!(!Wires::parse("cen-open").unwrap().cen_at_host(false, true));
    }

    #[test]
    fn an_open_reset_wire_never_resets() {
        assert!(!Wires::parse("cen-open").unwrap().reset_reaches(true));
        assert!(Wires::parse("cen-short-gnd").unwrap().reset_reaches(false));
        assert!(Wires::parse("3v3-open").unwrap().reset_reaches(false), "without supply nothing runs");
    }

    #[test]
    fn nonsense_is_named() {
        for text in
            ["so-broken", "so", "gnd-short-gnd", "3v3-short-gnd", "si-rx-swapped", "si-si-swapped", "tx-rx-bridged"]
        {
            assert!(Wires::parse(text).unwrap_err().contains(text), "{text}");
        }
        assert!(Wires::parse("so-open,cen-open,3v3-open").is_ok());
    }
}
