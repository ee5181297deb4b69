//! The modules of modules.toml, and the wires from their pads to the header of a Raspberry Pi.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::link::WireKind;

/// Where a pad sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PadKind {
    /// On the edge, numbered.
    Edge,
    /// On the back.
    TestPad,
}

/// One pad of a module.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Pad {
    /// Edge number as text, or `T` and a label for a test pad.
    pub pin: String,
    /// Edge or back.
    pub kind: PadKind,
    /// Name as printed or as the data sheet has it.
    pub name: String,
    /// The chip's pin, such as `P20`.
    pub gpio: Option<String>,
    /// What it can do: `reset.cen`, `spi_flash.sck`, `uart1.rx`, `power.3v3`, …
    pub functions: Vec<String>,
    /// Distance from the left edge in the back view; for drawing, not for measuring.
    pub x_mm: Option<f64>,
    /// Distance from the upper edge in the back view.
    pub y_mm: Option<f64>,
}

impl Pad {
    /// Whether the pad can do this.
    pub fn has(&self, function: &str) -> bool {
        self.functions.iter().any(|known| known == function)
    }

    /// Where it is, in words: `edge 10`, `test pad`, `test pad TP2`.
    fn place(&self) -> String {
        match self.kind {
            PadKind::Edge => format!("edge {}", self.pin),
            PadKind::TestPad if self.pin.starts_with("TP") && self.pin.ends_with(|c: char| c.is_ascii_digit()) => {
                format!("test pad {}", self.pin)
            }
            PadKind::TestPad => "test pad".to_owned(),
        }
    }
}

/// A module: a chip with its pads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Module {
    /// Name, such as `WB2S`.
    pub name: String,
    /// Its chip, such as `BK7231T`.
    pub chip: String,
    /// All pads.
    pub pads: Vec<Pad>,
    /// Functions that SPI access needs and that are on no pad; empty where all are.
    pub spi_missing: Vec<String>,
    /// The maker's data sheet.
    pub datasheet: Option<String>,
    /// What to know about it.
    pub notes: Vec<String>,
    /// Where the pads come from.
    pub source: String,
    /// How sure the source is.
    pub confidence: String,
}

impl Module {
    /// Whether all wires of SPI access have a pad.
    pub fn has_spi(&self) -> bool {
        self.spi_missing.is_empty()
    }

    /// The wire to start with: SPI where all its pads exist, else UART.
    pub fn default_wire(&self) -> WireKind {
        if self.has_spi() { WireKind::Spi } else { WireKind::Uart }
    }

    /// The signals of SPI access that are on no pad, in words: `SCK (P20)`.
    pub fn spi_missing_words(&self) -> Vec<String> {
        SPI_WIRES
            .iter()
            .filter(|wire| self.spi_missing.iter().any(|missing| missing == wire.function))
            .map(|wire| wire.chip_pin.map_or_else(|| wire.signal.to_owned(), |pin| format!("{} ({pin})", wire.signal)))
            .collect()
    }

    /// The pads with a function, in the table's order.
    pub fn pads_with(&self, function: &str) -> impl Iterator<Item = &Pad> {
        self.pads.iter().filter(move |pad| pad.has(function))
    }
}

/// One wire from a module to a Raspberry Pi.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WireRow {
    /// `GND`, `3V3`, `CEN`, `SCK`, `CSN`, `SI`, `SO`, `RX1` or `TX1`.
    pub signal: &'static str,
    /// The module's end: `CEN (edge 10, test pad)`, or `no pad`.
    pub pad: String,
    /// The Pi's end: `GPIO22 (pin 15)`.
    pub pi: &'static str,
    /// Header pin, 1 to 40.
    pub pi_pin: u8,
    /// What to know about this wire; empty where nothing is.
    pub note: String,
    /// Whether the module has a pad for it.
    pub reachable: bool,
}

/// Names of the 40-pin header, pin 1 first (Raspberry Pi documentation; GPIO numbers are BCM).
pub const HEADER: [&str; 40] = [
    "3V3", "5V", "GPIO2", "5V", "GPIO3", "GND", "GPIO4", "GPIO14", "GND", "GPIO15", "GPIO17", "GPIO18", "GPIO27",
    "GND", "GPIO22", "GPIO23", "3V3", "GPIO24", "GPIO10", "GND", "GPIO9", "GPIO25", "GPIO11", "GPIO8", "GND", "GPIO7",
    "GPIO0", "GPIO1", "GPIO5", "GND", "GPIO6", "GPIO12", "GPIO13", "GND", "GPIO19", "GPIO16", "GPIO26", "GPIO20",
    "GND", "GPIO21",
];

struct Wire {
    signal: &'static str,
    function: &'static str,
    chip_pin: Option<&'static str>,
    pi: &'static str,
    pi_pin: u8,
    note: &'static str,
}

const fn wire(signal: &'static str, function: &'static str, pi: &'static str, pi_pin: u8, note: &'static str) -> Wire {
    Wire { signal, function, chip_pin: None, pi, pi_pin, note }
}

const fn chip_wire(
    signal: &'static str,
    function: &'static str,
    chip_pin: &'static str,
    pi: &'static str,
    pi_pin: u8,
    note: &'static str,
) -> Wire {
    Wire { signal, function, chip_pin: Some(chip_pin), pi, pi_pin, note }
}

/// spi-flash.md §9.
const SPI_WIRES: [Wire; 7] = [
    wire("GND", "power.gnd", "GND (pin 25)", 25, "the pin next to SCK and CSN; the shield can is ground too"),
    wire("3V3", "power.3v3", "3V3 (pin 1)", 1, "never 5 V, and no second supply at the same time"),
    wire("CEN", "reset.cen", "GPIO22 (pin 15)", 15, "resets the chip; without it there is no way into SPI mode"),
    chip_wire("SCK", "spi_flash.sck", "P20", "GPIO11 SCLK (pin 23)", 23, ""),
    chip_wire("CSN", "spi_flash.csn", "P21", "GPIO8 CE0 (pin 24)", 24, "must be high while CEN rises"),
    chip_wire("SI", "spi_flash.si", "P22", "GPIO10 MOSI (pin 19)", 19, "into the module"),
    chip_wire("SO", "spi_flash.so", "P23", "GPIO9 MISO (pin 21)", 21, "out of the module"),
];

/// spi-flash.md §9, part UART.
const UART_WIRES: [Wire; 5] = [
    wire("GND", "power.gnd", "GND (pin 6)", 6, ""),
    wire("3V3", "power.3v3", "3V3 (pin 1)", 1, "never 5 V, and no second supply at the same time"),
    wire("CEN", "reset.cen", "GPIO22 (pin 15)", 15, "resets the chip; by hand, touch it to GND for a moment"),
    chip_wire("RX1", "uart1.rx", "P10", "GPIO14 TXD (pin 8)", 8, "the Pi sends, the module receives"),
    chip_wire("TX1", "uart1.tx", "P11", "GPIO15 RXD (pin 10)", 10, "the module sends, the Pi receives"),
];

/// Every wire between a module and a Raspberry Pi, in the order to solder them. A signal that the module has no pad
/// for is listed all the same, and says so.
pub fn wiring(module: &Module, kind: WireKind) -> Vec<WireRow> {
    let wires: &[Wire] = match kind {
        WireKind::Spi => &SPI_WIRES,
        WireKind::Uart => &UART_WIRES,
    };
    wires.iter().map(|wire| wire.row(module)).collect()
}

impl Wire {
    fn row(&self, module: &Module) -> WireRow {
        let pads: Vec<&Pad> = module.pads_with(self.function).collect();
        let (pad, note) = match (pads.is_empty(), self.chip_pin) {
            (false, _) => (pads_in_words(&pads), self.note.to_owned()),
            (true, Some(pin)) => (
                "no pad".to_owned(),
                format!("{pin} is on no pad of this module; only a wire to the chip itself helps"),
            ),
            (true, None) => ("no pad".to_owned(), format!("no pad is known for {} on this module", self.signal)),
        };
        WireRow { signal: self.signal, pad, pi: self.pi, pi_pin: self.pi_pin, note, reachable: !pads.is_empty() }
    }
}

/// `CEN (edge 10, test pad)`; pads of several names are joined by `or`.
fn pads_in_words(pads: &[&Pad]) -> String {
    let mut names: Vec<(&str, Vec<String>)> = Vec::new();
    for pad in pads {
        match names.iter_mut().find(|(name, _)| *name == pad.name) {
            Some((_, places)) => places.push(pad.place()),
            None => names.push((&pad.name, vec![pad.place()])),
        }
    }
    names.into_iter().map(|(name, places)| format!("{name} ({})", places.join(", "))).collect::<Vec<_>>().join(" or ")
}

/// All modules of the table, in its order.
pub fn modules() -> &'static [Module] {
    &MODULES
}

/// The module with this name, whatever the case.
pub fn module(name: &str) -> Option<&'static Module> {
    modules().iter().find(|module| module.name.eq_ignore_ascii_case(name.trim()))
}

#[derive(Deserialize, Default)]
struct Table {
    module: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    chip: String,
    spi_flash: SpiFlash,
    #[serde(default)]
    spi_flash_missing: Vec<String>,
    datasheet: Option<String>,
    source: String,
    confidence: String,
    #[serde(default)]
    notes: Vec<String>,
    pad: Vec<Pad>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SpiFlash {
    All,
    Incomplete,
}

const TABLE_TEXT: &str = include_str!("modules.toml");

fn read_table(text: &str) -> Result<Table, toml::de::Error> {
    toml::from_str(text)
}

static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| {
    let mut entries: Vec<_> = read_table(TABLE_TEXT).unwrap_or_default().module.into_iter().collect();
    // The reader sorts by name; the file puts the common ones first.
    entries.sort_by_key(|(name, _)| TABLE_TEXT.find(&format!("[module.{name}]")));
    entries
        .into_iter()
        .map(|(name, entry)| Module {
            name,
            chip: entry.chip,
            pads: entry.pad,
            spi_missing: if entry.spi_flash == SpiFlash::All { Vec::new() } else { entry.spi_flash_missing },
            datasheet: entry.datasheet,
            notes: entry.notes,
            source: entry.source,
            confidence: entry.confidence,
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_table_of_the_images_layer_has_the_same_modules_chips_and_pins() {
        use crate::image::template::boards::BOARDS;
        let of = |module: &Module| {
            let pins = module.pads.iter().filter_map(|pad| pad.gpio.as_deref()?.strip_prefix('P')?.parse::<u8>().ok());
            let mut pins: Vec<u8> = pins.collect();
            pins.sort_unstable();
            pins.dedup();
            (module.name.clone(), module.chip.clone(), pins)
        };
        let mut long: Vec<_> = modules().iter().map(of).collect();
        let chip = |board: &crate::image::template::boards::Board| match board.family {
            crate::image::Family::Other => "BK7231Q".to_owned(),
            family => family.name().to_owned(),
        };
        let mut short: Vec<_> =
            BOARDS.iter().map(|board| (board.name.to_owned(), chip(board), board.pins.to_vec())).collect();
        long.sort();
        short.sort();
        assert_eq!(long, short);
    }

    #[test]
    fn every_module_of_the_table_is_there_with_all_its_pads() {
        let table = read_table(TABLE_TEXT).expect("the table parses");
        assert_eq!(table.module.len(), 19);
        assert_eq!(modules().len(), 19);
        assert_eq!(modules().iter().map(|module| module.pads.len()).sum::<usize>(), 357);
        assert_eq!(modules()[0].name, "WB2S", "in the order of the file");
    }

    #[test]
    fn a_module_without_missing_pads_has_every_wire_of_spi() {
        for module in modules() {
            let rows = wiring(module, WireKind::Spi);
            let unreachable: Vec<_> = rows.iter().filter(|row| !row.reachable).map(|row| row.signal).collect();
            let missing: Vec<String> = module.spi_missing_words();
            assert_eq!(unreachable.is_empty(), module.has_spi(), "{}: {unreachable:?}", module.name);
            assert_eq!(missing.len(), unreachable.len(), "{}: {missing:?} {unreachable:?}", module.name);
        }
    }

    #[test]
    fn the_wires_of_a_wb2s_end_where_the_tutorial_says() {
        let wb2s = module("wb2s").expect("in the table");
        let rows = wiring(wb2s, WireKind::Spi);
        let row = |signal: &str| rows.iter().find(|row| row.signal == signal).expect("listed");
        assert_eq!((row("CEN").pad.as_str(), row("CEN").pi), ("CEN (edge 10, test pad)", "GPIO22 (pin 15)"));
        assert_eq!(row("SO").pad, "ADC/SO (edge 8) or ADC_SO (test pad)");
        assert_eq!([row("SCK").pi_pin, row("CSN").pi_pin, row("SI").pi_pin, row("SO").pi_pin], [23, 24, 19, 21]);
        assert_eq!(wb2s.default_wire(), WireKind::Spi);
    }

    #[test]
    fn a_cb2s_says_which_pads_it_lacks_and_prefers_uart() {
        let cb2s = module("CB2S").expect("in the table");
        assert_eq!(cb2s.default_wire(), WireKind::Uart);
        assert_eq!(cb2s.spi_missing_words(), ["SCK (P20)", "SI (P22)"]);
        let rows = wiring(cb2s, WireKind::Spi);
        assert!(rows.iter().any(|row| row.signal == "SCK" && row.pad == "no pad" && row.note.contains("P20")));
    }

    #[test]
    fn uart_wires_cross_over() {
        for module in modules() {
            let rows = wiring(module, WireKind::Uart);
            let row = |signal: &str| rows.iter().find(|row| row.signal == signal).expect("listed");
            assert!(row("RX1").reachable && row("TX1").reachable, "{}", module.name);
            assert_eq!((row("RX1").pi, row("TX1").pi), ("GPIO14 TXD (pin 8)", "GPIO15 RXD (pin 10)"));
        }
    }

    #[test]
    fn every_wire_ends_at_the_header_pin_it_names() {
        for wire in SPI_WIRES.iter().chain(&UART_WIRES) {
            let name = HEADER[usize::from(wire.pi_pin) - 1];
            assert!(wire.pi.starts_with(name), "{} is {name}", wire.pi);
            assert!(wire.pi.ends_with(&format!("(pin {})", wire.pi_pin)), "{}", wire.pi);
        }
        assert_eq!(HEADER.iter().filter(|name| **name == "GND").count(), 8);
    }
}
