//! The lines of an SPI bus on a Raspberry Pi's header: which one is chip select, and who else has claimed one of them.

use super::Host;
use super::buses::{self, Bus};
use super::firmware::Settings;
use super::lines::Chip;
use crate::link::gpio::line_name;

/// The lines of a bus by BCM number (raspberrypi/linux, device trees).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusLines {
    /// Its number on the header: SPI0, SPI1.
    pub bus: u32,
    /// Clock.
    pub sck: u8,
    /// Into the module.
    pub mosi: u8,
    /// Out of the module.
    pub miso: u8,
    /// The usual chip selects.
    pub selects: &'static [u8],
}

/// The buses that reach the header, by the address of their controller: on the chip of a Pi 1 to 4, and in the RP1.
const BUSES: [(&str, &str, BusLines); 7] = [
    ("spi@7e204000", "", BusLines { bus: 0, sck: 11, mosi: 10, miso: 9, selects: &[8, 7] }),
    ("spi@50000", "rp1", BusLines { bus: 0, sck: 11, mosi: 10, miso: 9, selects: &[8, 7] }),
    ("spi@7e215080", "", BusLines { bus: 1, sck: 21, mosi: 20, miso: 19, selects: &[18, 17, 16] }),
    ("spi@54000", "rp1", BusLines { bus: 1, sck: 21, mosi: 20, miso: 19, selects: &[18, 17, 16] }),
    ("spi@7e204600", "", BusLines { bus: 3, sck: 3, mosi: 2, miso: 1, selects: &[0, 24] }),
    ("spi@7e204800", "", BusLines { bus: 4, sck: 7, mosi: 6, miso: 5, selects: &[4, 25] }),
    ("spi@7e204a00", "", BusLines { bus: 5, sck: 15, mosi: 14, miso: 13, selects: &[12, 26] }),
];

impl BusLines {
    /// The lines of the bus whose controller has this device-tree path; `None` for one that is not on the header.
    pub fn of_node(path: &str) -> Option<Self> {
        BUSES.iter().find(|(node, within, _)| path.contains(node) && path.contains(within)).map(|(_, _, lines)| *lines)
    }

    /// The lines of a bus of this computer.
    pub fn of(host: &Host, bus: u32, select: u8) -> Option<Self> {
        Self::of_node(&buses::node_of(host, bus, select))
    }

    /// Every line, chip selects last.
    pub fn all(&self) -> impl Iterator<Item = u8> {
        [self.mosi, self.miso, self.sck].into_iter().chain(self.selects.iter().copied())
    }
}

/// Which line is the chip select of a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// This BCM line.
    Line(u8),
    /// No line at all: the kernel transfers, and no chip is selected.
    NoLine,
    /// The computer does not say.
    NotTold,
}

/// The chip select of a bus: the line that the kernel labels so, else what the firmware's settings say.
pub fn select(host: &Host, settings: &Settings, chips: &[Chip], bus: &Bus) -> Select {
    let Some(lines) = BusLines::of(host, bus.bus, bus.select) else { return Select::NotTold };
    let header = chips.iter().find(|chip| chip.is_header()).filter(|chip| !chip.used.is_empty());
    if let Some(header) = header {
        let label = format!("spi{} CS{}", bus.bus, bus.select);
        let labelled = header.used.iter().find(|line| line.by == label);
        // Device trees without cs-gpios: the driver takes the usual line itself, under its own name.
        let usual = lines.selects.get(usize::from(bus.select)).copied();
        let driver = usual.filter(|line| header.user_of((*line).into()) == Some("spi-bcm2835"));
        return match labelled.and_then(|line| u8::try_from(line.number).ok()).or(driver) {
            Some(line) => Select::Line(line),
            None => Select::NoLine,
        };
    }
    let overlay = settings.overlay(&format!("spi{}-", lines.bus));
    match overlay.map(|line| line.text.as_str()) {
        Some(text) if text.contains("-0cs") => Select::NoLine,
        Some(text) => {
            let key = format!("cs{}_pin=", bus.select);
            let moved = text.split(',').find_map(|part| part.trim().strip_prefix(key.as_str())?.parse().ok());
            moved.map_or(Select::NotTold, Select::Line)
        }
        None => Select::NotTold,
    }
}

/// Somebody else at the lines of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The line; `None` when it is the whole bus.
    pub line: Option<u8>,
    /// Who, by the kernel's word.
    pub by: String,
}

impl Claim {
    /// In words.
    pub fn words(&self) -> String {
        match self.line {
            Some(line) => format!("{} is claimed by {}", line_name(line), self.by),
            None => self.by.clone(),
        }
    }
}

/// Overlays of screens that take the whole header for their pixels.
const PIXELS: [&str; 3] = ["dpi", "vc4-kms-dpi", "hyperpixel"];

/// The first that somebody else has of `wanted`, lines of `bus` on the header.
pub fn claimed(host: &Host, settings: &Settings, chips: &[Chip], bus: u32, wanted: &[u8]) -> Option<Claim> {
    let header = chips.iter().find(|chip| chip.is_header());
    let own = |by: &str| by.starts_with(&format!("spi{bus} CS")) || by.starts_with("spi-bcm2835");
    let by_kernel = wanted.iter().find_map(|&line| {
        let by = header?.user_of(line.into()).filter(|by| !own(by))?;
        Some(Claim { line: Some(line), by: by.to_owned() })
    });
    let by_mux = || wanted.iter().find_map(|&line| Some(Claim { line: Some(line), by: mux_owner(host, line)? }));
    let by_screen = || {
        let screen = PIXELS.iter().find_map(|name| settings.overlay(name))?;
        Some(Claim { line: None, by: format!("{} takes the header's lines for a screen", screen.text) })
    };
    by_kernel.or_else(by_mux).or_else(by_screen)
}

/// What the pin controller says of a line, where this user may read it: the driver that uses it, unless it is SPI.
fn mux_owner(host: &Host, line: u8) -> Option<String> {
    let folder = "sys/kernel/debug/pinctrl";
    let tables = host.names(folder).into_iter().filter_map(|name| host.text(&format!("{folder}/{name}/pinmux-pins")));
    let wanted = format!("(gpio{line}):");
    let owner = tables.flat_map(|table| {
        let lines = table.lines().filter(|text| text.contains(&wanted)).map(str::to_owned);
        lines.collect::<Vec<_>>()
    });
    let owner = owner.filter_map(|text| text.split(&wanted).nth(1)?.split_whitespace().next().map(str::to_owned));
    let mut owner = owner.filter(|name| !name.starts_with('(') && !name.contains("spi"));
    owner.next()
}

/// The name of the HAT on the header, where it has one.
pub fn hat(host: &Host) -> Option<String> {
    host.text(&host.tree("hat/product"))
}
