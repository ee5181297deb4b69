//! The modules of modules.toml, what holds for any of them, and the wires from their pads to the pins of a link.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::link::{Pins, WireKind, WireName};

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
        let missing = WireName::SPI.into_iter().filter(|wire| self.spi_missing.iter().any(|it| it == function(*wire)));
        missing.map(signal_with_chip_pin).collect()
    }

    /// Whether this stands for any module, not for one of the table.
    pub fn is_any(&self) -> bool {
        self.name == ANY
    }

    /// The pads with a function, in the table's order.
    pub fn pads_with(&self, function: &str) -> impl Iterator<Item = &Pad> {
        self.pads.iter().filter(move |pad| pad.has(function))
    }
}

/// One wire from a module to the host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WireRow {
    /// `GND`, `3V3`, `CEN`, `SCK`, `CSN`, `SI`, `SO`, `RX1` or `TX1`.
    pub signal: &'static str,
    /// The module's end: `CEN (edge 10, test pad)`, or `no pad`.
    pub pad: String,
    /// The host's end: `GPIO22 (pin 15)`, `D3 (SCK)`, `TX of /dev/ttyUSB0`.
    pub host: String,
    /// Pin of the 40-pin header, 1 to 40; `None` where the wire ends elsewhere.
    pub pin: Option<u8>,
    /// What to know about this wire; empty where nothing is.
    pub note: String,
    /// Whether the module has a pad for it, as far as is known.
    pub reachable: bool,
}

/// Names of the 40-pin header, pin 1 first (Raspberry Pi documentation; GPIO numbers are BCM).
pub const HEADER: [&str; 40] = [
    "3V3", "5V", "GPIO2", "5V", "GPIO3", "GND", "GPIO4", "GPIO14", "GND", "GPIO15", "GPIO17", "GPIO18", "GPIO27",
    "GND", "GPIO22", "GPIO23", "3V3", "GPIO24", "GPIO10", "GND", "GPIO9", "GPIO25", "GPIO11", "GPIO8", "GND", "GPIO7",
    "GPIO0", "GPIO1", "GPIO5", "GND", "GPIO6", "GPIO12", "GPIO13", "GND", "GPIO19", "GPIO16", "GPIO26", "GPIO20",
    "GND", "GPIO21",
];

/// The function of modules.toml behind a wire.
pub const fn function(wire: WireName) -> &'static str {
    match wire {
        WireName::Gnd => "power.gnd",
        WireName::Supply => "power.3v3",
        WireName::Cen => "reset.cen",
        WireName::Sck => "spi_flash.sck",
        WireName::Csn => "spi_flash.csn",
        WireName::Si => "spi_flash.si",
        WireName::So => "spi_flash.so",
        WireName::Rx1 => "uart1.rx",
        WireName::Tx1 => "uart1.tx",
    }
}

/// The chip's pin behind a wire (spi-flash.md §9, uart-protocol.md §2); `None` for reset and supply.
const fn chip_pin(wire: WireName) -> Option<&'static str> {
    match wire {
        WireName::Sck => Some("P20"),
        WireName::Csn => Some("P21"),
        WireName::Si => Some("P22"),
        WireName::So => Some("P23"),
        WireName::Rx1 => Some("P10"),
        WireName::Tx1 => Some("P11"),
        WireName::Gnd | WireName::Supply | WireName::Cen => None,
    }
}

/// `SCK (P20)`, or the signal alone where it is not a GPIO of the chip.
fn signal_with_chip_pin(wire: WireName) -> String {
    chip_pin(wire).map_or_else(|| wire.signal().to_owned(), |pin| format!("{} ({pin})", wire.signal()))
}

/// What to know about a wire (spi-flash.md §9).
const fn note(wire: WireName, kind: WireKind) -> &'static str {
    match (wire, kind) {
        (WireName::Gnd, WireKind::Spi) => "the shortest wire, next to SCK; the metal shield is also GND",
        (WireName::Gnd, WireKind::Uart) => "joins the grounds; the metal shield is also GND",
        (WireName::Supply, _) => "one 3.3 V supply only; never 5 V, never a second supply at the same time",
        (WireName::Cen, WireKind::Spi) => "resets the chip; without it there is no way into SPI mode",
        (WireName::Cen, WireKind::Uart) => "resets the chip; by hand, touch it to GND for a moment",
        (WireName::Csn, _) => "must be high while CEN rises",
        (WireName::Si, _) => "into the module",
        (WireName::So, _) => "out of the module",
        (WireName::Rx1, _) => "the host sends, the module receives",
        (WireName::Tx1, _) => "the module sends, the host receives",
        (WireName::Sck, _) => "",
    }
}

/// Every wire between a module and the pins of a link, in the order to solder them. A signal that the module has no pad
/// for is listed all the same, and says so.
pub fn wiring(module: &Module, pins: &Pins) -> Vec<WireRow> {
    let row = |(wire, end): (WireName, &crate::link::End)| {
        let (pad, note, reachable) = if module.is_any() {
            (usual_pad(wire), usual_place(wire), true)
        } else {
            pad_and_note(module, wire, pins.wire)
        };
        WireRow { signal: wire.signal(), pad, host: end.name.clone(), pin: end.header, note, reachable }
    };
    pins.ends().map(row).collect()
}

fn pad_and_note(module: &Module, wire: WireName, kind: WireKind) -> (String, String, bool) {
    let pads: Vec<&Pad> = module.pads_with(function(wire)).collect();
    match (pads.is_empty(), chip_pin(wire)) {
        (false, _) => (pads_in_words(&pads), note(wire, kind).to_owned(), true),
        (true, Some(pin)) => {
            let note = format!("{pin} is on no pad of this module; only a wire to the chip itself helps");
            ("no pad".to_owned(), note, false)
        }
        (true, None) => ("no pad".to_owned(), format!("no pad is known for {} on this module", wire.signal()), false),
    }
}

/// The pad to look for on a module that nobody named: `SCK (P20)`.
fn usual_pad(wire: WireName) -> String {
    signal_with_chip_pin(wire)
}

/// Where the modules of the table have a signal: `on the edge of 19, on the back of 8 of the 19 known modules; printed as
/// CEN, RST`.
fn usual_place(wire: WireName) -> String {
    let having = |kind: PadKind| {
        let has = |module: &&Module| module.pads_with(function(wire)).any(|pad| pad.kind == kind);
        modules().iter().filter(has).count()
    };
    let mut names: Vec<&str> = Vec::new();
    for pad in modules().iter().flat_map(|module| module.pads_with(function(wire))) {
        if !names.contains(&pad.name.as_str()) {
            names.push(&pad.name);
        }
    }
    let places = match (having(PadKind::Edge), having(PadKind::TestPad)) {
        (edge, 0) => format!("on the edge of {edge}"),
        (0, back) => format!("on the back of {back}"),
        (edge, back) => format!("on the edge of {edge}, on the back of {back}"),
    };
    format!("{places} of the {} known modules; printed {}", modules().len(), names.join(", "))
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

/// The module with this name, whatever the case; [`ANY`] is what holds for any of them.
pub fn module(name: &str) -> Option<&'static Module> {
    let named = |module: &&Module| module.name.eq_ignore_ascii_case(name.trim());
    modules().iter().find(named).or_else(|| Some(any_module()).filter(named))
}

/// The name of [`any_module`].
pub const ANY: &str = "any";

/// A module that nobody named: the signals to look for, and where they usually are.
pub fn any_module() -> &'static Module {
    &ANY_MODULE
}

static ANY_MODULE: LazyLock<Module> = LazyLock::new(|| {
    Module {
    name: ANY.to_owned(),
    chip: "any BK7231".to_owned(),
    pads: Vec::new(),
    spi_missing: Vec::new(),
    datasheet: None,
    notes: vec![
        "the name on the metal shield tells the module: `bkbench wiring --module NAME` shows its own pads".to_owned(),
        "a signal without a pad is on the chip itself; QFN32: P20 pin 20, P21 pin 19, P22 pin 18, P23 pin 17, CEN pin 21".to_owned(),
        "before soldering, find each pad with a meter: GND beeps against the shield, 3V3 against the regulator"
            .to_owned(),
    ],
    source: format!("counted over the {} modules of the table", modules().len()),
    confidence: "medium".to_owned(),
}
});

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
            let rows = wiring(module, &Pins::usual(WireKind::Spi, 22));
            let unreachable: Vec<_> = rows.iter().filter(|row| !row.reachable).map(|row| row.signal).collect();
            let missing: Vec<String> = module.spi_missing_words();
            assert_eq!(unreachable.is_empty(), module.has_spi(), "{}: {unreachable:?}", module.name);
            assert_eq!(missing.len(), unreachable.len(), "{}: {missing:?} {unreachable:?}", module.name);
        }
    }

    #[test]
    fn the_wires_of_a_wb2s_end_where_the_tutorial_says() {
        let wb2s = module("wb2s").expect("in the table");
        let rows = wiring(wb2s, &Pins::usual(WireKind::Spi, 22));
        let row = |signal: &str| rows.iter().find(|row| row.signal == signal).expect("listed");
        assert_eq!((row("CEN").pad.as_str(), row("CEN").host.as_str()), ("CEN (edge 10, test pad)", "GPIO22 (pin 15)"));
        assert_eq!(row("SO").pad, "ADC/SO (edge 8) or ADC_SO (test pad)");
        assert_eq!(["SCK", "CSN", "SI", "SO"].map(|signal| row(signal).pin), [23, 24, 19, 21].map(Some));
        assert_eq!(wb2s.default_wire(), WireKind::Spi);
    }

    #[test]
    fn a_cb2s_says_which_pads_it_lacks_and_prefers_uart() {
        let cb2s = module("CB2S").expect("in the table");
        assert_eq!(cb2s.default_wire(), WireKind::Uart);
        assert_eq!(cb2s.spi_missing_words(), ["SCK (P20)", "SI (P22)"]);
        let rows = wiring(cb2s, &Pins::usual(WireKind::Spi, 22));
        assert!(rows.iter().any(|row| row.signal == "SCK" && row.pad == "no pad" && row.note.contains("P20")));
    }

    #[test]
    fn uart_wires_cross_over() {
        for module in modules() {
            let rows = wiring(module, &Pins::usual(WireKind::Uart, 22));
            let row = |signal: &str| rows.iter().find(|row| row.signal == signal).expect("listed");
            assert!(row("RX1").reachable && row("TX1").reachable, "{}", module.name);
            assert_eq!(
                ["RX1", "TX1"].map(|signal| row(signal).host.as_str()),
                ["GPIO14 TXD (pin 8)", "GPIO15 RXD (pin 10)"]
            );
        }
    }

    #[test]
    fn a_module_that_nobody_named_still_has_its_signals() {
        let any = module("any").expect("what holds for any");
        for kind in [WireKind::Spi, WireKind::Uart] {
            let rows = wiring(any, &Pins::usual(kind, 22));
            assert_eq!(rows.len(), WireName::of(kind).len());
            for row in &rows {
                assert!(row.pad.starts_with(row.signal) && row.note.contains("of the 19 known modules"), "{row:?}");
            }
        }
        let sck = wiring(any, &Pins::usual(WireKind::Spi, 22)).into_iter().find(|row| row.signal == "SCK").unwrap();
        assert_eq!(sck.pad, "SCK (P20)");
        assert!(modules().iter().all(|module| !module.is_any()));
    }

    #[test]
    fn every_wire_ends_at_the_header_pin_it_names() {
        for pins in [WireKind::Spi, WireKind::Uart].map(|kind| Pins::usual(kind, 17)) {
            for (_, end) in pins.ends() {
                let pin = end.header.expect("on the header");
                assert!(end.name.starts_with(HEADER[usize::from(pin) - 1]), "{end:?}");
                assert!(end.name.ends_with(&format!("(pin {pin})")), "{end:?}");
            }
        }
        assert_eq!(HEADER.iter().filter(|name| **name == "GND").count(), 8);
    }
}
