//! Which pin each wire of a link ends at on the host's side. One answer for the wiring table, the doctor, lists of links
//! and every text of an error.

use serde::Serialize;

use super::cen::Cen;
use super::contract::{Line, WireKind};
use super::gpio::{bcm_number, header_pin, line_name};
use super::host::Host;
use super::host::board::{Board, Uart};
use super::host::buses::{Bus, Look};
use super::host::select::{self, BusLines, Select};
use super::spec::LinkSpec;
use super::{sim, tape};

/// Line for CEN where neither the link nor the settings name one (modules.toml), by BCM number.
pub const USUAL_CEN: u8 = 22;
/// Ground pins of the 40-pin header (Raspberry Pi documentation).
const GROUNDS: [u8; 8] = [6, 9, 14, 20, 25, 30, 34, 39];
/// The first pin of the 40-pin header that carries 3.3 V.
const SUPPLY_PIN: u8 = 1;

/// A wire between host and module, by the name of the wiring table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WireName {
    /// Ground.
    Gnd,
    /// Supply.
    #[serde(rename = "3V3")]
    Supply,
    /// Reset.
    Cen,
    /// SPI clock.
    Sck,
    /// Chip select.
    Csn,
    /// Into the module.
    Si,
    /// Out of the module.
    So,
    /// The module's UART input.
    Rx1,
    /// The module's UART output.
    Tx1,
}

impl WireName {
    /// The wires of SPI access, in the order of the wiring table.
    pub const SPI: [Self; 7] = [Self::Gnd, Self::Supply, Self::Cen, Self::Sck, Self::Csn, Self::Si, Self::So];
    /// The wires of the serial download.
    pub const UART: [Self; 5] = [Self::Gnd, Self::Supply, Self::Cen, Self::Rx1, Self::Tx1];

    /// The wires of a kind of link, in the order of the wiring table.
    pub const fn of(kind: WireKind) -> &'static [Self] {
        match kind {
            WireKind::Spi => &Self::SPI,
            WireKind::Uart => &Self::UART,
        }
    }

    /// The signal's name in the wiring table.
    pub const fn signal(self) -> &'static str {
        match self {
            Self::Gnd => "GND",
            Self::Supply => "3V3",
            Self::Cen => "CEN",
            Self::Sck => "SCK",
            Self::Csn => "CSN",
            Self::Si => "SI",
            Self::So => "SO",
            Self::Rx1 => "RX1",
            Self::Tx1 => "TX1",
        }
    }
}

impl From<Line> for WireName {
    fn from(line: Line) -> Self {
        match line {
            Line::Cen => Self::Cen,
            Line::Sck => Self::Sck,
            Line::Csn => Self::Csn,
            Line::Si => Self::Si,
            Line::So => Self::So,
        }
    }
}

/// The host's end of a wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// In words: `GPIO17 (pin 11)`, `D3 SCK`, `TX of /dev/ttyUSB0`, `by hand`.
    pub name: String,
    /// The pin of the 40-pin header of a Raspberry Pi, 1 to 40; `None` where the wire ends elsewhere.
    pub header: Option<u8>,
}

/// The host's ends of all wires of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pins {
    /// What they are pins of: `Raspberry Pi`, `CH341A`, `serial adapter`, …
    pub host: &'static str,
    /// The kind of the wires.
    pub wire: WireKind,
    ends: Vec<(WireName, End)>,
}

impl Pins {
    /// The pins of a link that is opened on `host`. Opens nothing; a link that cannot be understood gets the pins of the
    /// usual one of its kind.
    pub fn of(link: &LinkSpec, host: &Host) -> Self {
        match link.scheme.as_str() {
            "spi" => spi(link, host),
            "ch341" => ch341(link),
            "serprog" => programmer(link),
            "uart" => uart(link, host),
            "tcp" | "rfc2217" => port("serial port of another computer", &link.target, link),
            "sim" => Self::usual(sim::wire_of(link), USUAL_CEN).with_cen(cen_end(link, Cen::Line(None), None)),
            // A transcript has the wires of the link it was recorded from.
            "replay" => match tape::recorded_link(link) {
                Ok(Some(recorded)) if recorded.scheme != "replay" => Self::of(&recorded, host),
                _ => Self::usual(WireKind::Spi, USUAL_CEN),
            },
            _ => Self::usual(WireKind::Spi, USUAL_CEN),
        }
    }

    /// The pins of a link that is opened on this computer.
    pub fn here(link: &LinkSpec) -> Self {
        Self::of(link, &Host::here())
    }

    /// The pins of a Raspberry Pi's own SPI0 or UART, with CEN at a BCM line.
    pub fn usual(wire: WireKind, cen: u8) -> Self {
        match wire {
            WireKind::Spi => header_spi(BusPins([11, 8, 10, 9]), ["SCLK", "CE0", "MOSI", "MISO"], bcm_end(cen)),
            WireKind::Uart => header_uart(14, 15, bcm_end(cen)),
        }
    }

    /// The end of one wire; `None` for a wire that the link does not have.
    pub fn end(&self, wire: WireName) -> Option<&End> {
        self.ends.iter().find(|(known, _)| *known == wire).map(|(_, end)| end)
    }

    /// Every wire with its end, in the order of the wiring table.
    pub fn ends(&self) -> impl Iterator<Item = (WireName, &End)> {
        self.ends.iter().map(|(wire, end)| (*wire, end))
    }

    /// A wire with its end, for a sentence: `CEN at GPIO17 (pin 11)`, `GND (pin 25)`.
    pub fn at(&self, wire: WireName) -> String {
        let signal = wire.signal();
        match self.end(wire) {
            None => signal.to_owned(),
            Some(end) if end.name.starts_with(signal) => end.name.clone(),
            Some(end) if end.name == BY_HAND || end.name == NOBODY => format!("{signal} ({})", end.name),
            Some(end) => format!("{signal} at {}", end.name),
        }
    }

    /// A line that can work CEN over such a link, as `cen=` takes it; `None` where only a hand can.
    pub fn line_for_cen(&self) -> Option<String> {
        match self.host {
            CH341A => Some("d2".to_owned()),
            PROGRAMMER => None,
            _ => Some(USUAL_CEN.to_string()),
        }
    }

    fn new(host: &'static str, wire: WireKind, ends: Vec<End>) -> Self {
        Self { host, wire, ends: WireName::of(wire).iter().copied().zip(ends).collect() }
    }

    /// The same with a CEN that a person moves.
    pub(super) fn by_hand(self) -> Self {
        self.with_cen(end(BY_HAND))
    }

    /// The same for a flash chip without a module around it.
    pub(super) fn without_cen(self) -> Self {
        self.with_cen(end(NOBODY))
    }

    fn with_cen(mut self, cen: End) -> Self {
        self.set(WireName::Cen, cen);
        self
    }

    fn set(&mut self, wire: WireName, to: End) {
        if let Some((_, end)) = self.ends.iter_mut().find(|(known, _)| *known == wire) {
            *end = to;
        }
    }
}

/// Hosts with pins of their own.
const CH341A: &str = "CH341A";
const PROGRAMMER: &str = "flash programmer";
/// The words for a CEN that a person moves.
const BY_HAND: &str = "by hand";
/// The words for a flash chip without a CEN.
const NOBODY: &str = "a bare flash chip has none";

fn end(name: impl Into<String>) -> End {
    End { name: name.into(), header: None }
}

/// A line of the 40-pin header, with what it does there.
fn header_end(gpio: u8, role: &str) -> End {
    match header_pin(gpio) {
        Some(pin) => End { name: format!("GPIO{gpio} {role} (pin {pin})"), header: Some(pin) },
        None => end(format!("GPIO{gpio} {role}")),
    }
}

fn bcm_end(gpio: u8) -> End {
    End { name: line_name(gpio), header: header_pin(gpio) }
}

/// The ground pin nearest to another pin of the header.
fn ground_near(pin: Option<u8>) -> End {
    let place = |pin: u8| (i32::from((pin - 1) / 2), i32::from((pin - 1) % 2));
    let far = |from: u8, to: u8| {
        let ((row, column), (other_row, other_column)) = (place(from), place(to));
        (row - other_row).pow(2) + (column - other_column).pow(2)
    };
    let [first, ..] = GROUNDS;
    let nearest = pin.and_then(|pin| GROUNDS.into_iter().min_by_key(|ground| far(pin, *ground)));
    let pin = nearest.unwrap_or(first);
    End { name: format!("GND (pin {pin})"), header: Some(pin) }
}

fn supply_end() -> End {
    End { name: format!("3V3 (pin {SUPPLY_PIN})"), header: Some(SUPPLY_PIN) }
}

fn header_spi(BusPins([sck, csn, si, so]): BusPins, [sclk, select, mosi, miso]: [&str; 4], cen: End) -> Pins {
    let csn = header_end(csn, select);
    let ends = vec![
        ground_near(header_pin(sck)),
        supply_end(),
        cen,
        header_end(sck, sclk),
        csn,
        header_end(si, mosi),
        header_end(so, miso),
    ];
    Pins::new("Raspberry Pi", WireKind::Spi, ends)
}

/// A UART on the header that sends and receives on these lines.
fn header_uart(tx: u8, rx: u8, cen: End) -> Pins {
    let ends = vec![ground_near(header_pin(tx)), supply_end(), cen, header_end(tx, "TXD"), header_end(rx, "RXD")];
    Pins::new("Raspberry Pi", WireKind::Uart, ends)
}

/// BCM numbers of a bus, in the order SCLK, chip select, MOSI, MISO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BusPins(pub [u8; 4]);

impl BusPins {
    /// The pins of a bus that every Raspberry Pi with 40 pins has (Raspberry Pi documentation); `None` for others.
    pub(super) const fn of(bus: u32, select: u8) -> Option<Self> {
        match (bus, select) {
            (0, 0) => Some(Self([11, 8, 10, 9])),
            (0, 1) => Some(Self([11, 7, 10, 9])),
            (1, 0) => Some(Self([21, 18, 20, 19])),
            (1, 1) => Some(Self([21, 17, 20, 19])),
            (1, 2) => Some(Self([21, 16, 20, 19])),
            _ => None,
        }
    }

    /// The pins of a bus on a generation of the Raspberry Pi: the further buses of the Pi 4 and the Pi 5 lie side by side,
    /// chip select, MISO, MOSI and SCLK (README of the device-tree overlays spi2 to spi6).
    fn of_generation(bus: u32, select: u8, generation: Option<u8>) -> Option<Self> {
        let first = match (generation, bus) {
            (_, 0 | 1) => return Self::of(bus, select),
            (Some(5), 2) | (Some(4), 3) => 0,
            (Some(5), 3) | (Some(4), 4) => 4,
            (Some(4 | 5), 5) => 12,
            (Some(4), 6) => 18,
            _ => return None,
        };
        let second = match first {
            0 => 24,
            4 => 25,
            12 => 26,
            _ => 27,
        };
        let select = match select {
            0 => first,
            1 => second,
            _ => return None,
        };
        Some(Self([first + 3, select, first + 2, first + 1]))
    }
}

/// Whether this computer's header is that of a Raspberry Pi: the device tree says so, or there is none, as on a PC where
/// somebody looks the wires up for later.
fn has_header(host: &Host) -> bool {
    let compatible = host.texts(&host.tree("compatible"));
    compatible.is_empty() || compatible.iter().any(|text| text.starts_with("raspberrypi,"))
}

fn spi(link: &LinkSpec, host: &Host) -> Pins {
    let (bus, select) = link.target.split_once('.').unwrap_or((&link.target, ""));
    let (number, select) = (bus.parse::<u32>().ok(), select.parse::<u8>().ok());
    let header = has_header(host);
    let cen = cen_end(link, Cen::Line(None), Some(header));
    let chip_select = select.map_or_else(|| "CE".to_owned(), |select| format!("CE{select}"));
    let place = number.zip(select).filter(|_| header);
    if let Some((pins, chosen)) = place.and_then(|(bus, select)| header_bus(host, bus, select)) {
        let mut pins = header_spi(pins, ["SCLK", &chip_select, "MOSI", "MISO"], cen);
        if chosen == Select::NoLine {
            pins.set(WireName::Csn, end("no pin: this bus has no chip select"));
        }
        return pins;
    }
    let line = |role: &str| end(format!("{role} of SPI bus {bus}"));
    let (ground, supply) = (end("GND of the board"), end("3V3 of the board"));
    let ends = vec![ground, supply, cen, line("SCLK"), line(&chip_select), line("MOSI"), line("MISO")];
    Pins::new(if header { "Raspberry Pi" } else { "board" }, WireKind::Spi, ends)
}

/// The lines of a bus on the header: as the device tree has them, else those of such a bus on a Raspberry Pi. The chip
/// select is the one that the kernel or the firmware's settings name, if they do.
fn header_bus(host: &Host, bus: u32, select: u8) -> Option<(BusPins, Select)> {
    let BusPins([sck, usual, si, so]) = match BusLines::of(host, bus, select) {
        Some(lines) => {
            let usual = lines.selects.get(usize::from(select)).copied()?;
            BusPins([lines.sck, usual, lines.mosi, lines.miso])
        }
        None => BusPins::of_generation(bus, select, Board::of(host).pi)?,
    };
    let look = Look::at(host);
    let wanted = Bus { bus, select, about: String::new() };
    let chosen = select::select(host, &look.settings, &look.chips, &wanted);
    let csn = if let Select::Line(line) = chosen { line } else { usual };
    Some((BusPins([sck, csn, si, so]), chosen))
}

/// CEN as a link has it. `header` says whether numbers are lines of a Raspberry Pi's header; `None` where the usual line is
/// meant whatever its name.
fn cen_end(link: &LinkSpec, usual: Cen, header: Option<bool>) -> End {
    match Cen::of(link, usual) {
        Ok(Cen::Hand) => end(BY_HAND),
        Ok(Cen::Bare) => end(NOBODY),
        Ok(Cen::Line(Some(name))) if header.is_some() => named_line(&name, header == Some(true)),
        _ if header == Some(false) => end("a GPIO line of the board (cen=NAME)"),
        _ => bcm_end(USUAL_CEN),
    }
}

/// A GPIO line by the text that a link names it with.
fn named_line(name: &str, header: bool) -> End {
    match bcm_number(name).filter(|_| header) {
        Some(gpio) => bcm_end(gpio),
        None => end(format!("line {name}")),
    }
}

/// spi-flash.md §13.
fn ch341(link: &LinkSpec) -> Pins {
    let cen = match Cen::of(link, Cen::Line(None)) {
        Ok(Cen::Hand) => end(BY_HAND),
        Ok(Cen::Bare) => end(NOBODY),
        _ => end("D2"),
    };
    let ends = vec![end("GND"), end("3V3"), cen, end("D3 (SCK)"), end("D0 (CS0)"), end("D5 (MOSI)"), end("D7 (MISO)")];
    Pins::new(CH341A, WireKind::Spi, ends)
}

fn programmer(link: &LinkSpec) -> Pins {
    let cen = if link.get("cen") == Some("hand") { end(BY_HAND) } else { end(NOBODY) };
    let ends = vec![end("GND"), end("3V3"), cen, end("SCK"), end("CS"), end("MOSI"), end("MISO")];
    Pins::new(PROGRAMMER, WireKind::Spi, ends)
}

fn uart(link: &LinkSpec, host: &Host) -> Pins {
    let path = link.target.trim_start_matches('/');
    let name = host.target(path).unwrap_or_else(|| path.to_owned());
    let name = name.rsplit('/').next().unwrap_or_default();
    let at_header = match Uart::of(host, name) {
        Some(Uart::Header | Uart::HeaderMini) => Some((14, 15)),
        Some(Uart::Extra { tx, rx }) => Some((tx, rx)),
        Some(Uart::Bluetooth | Uart::Debug) => None,
        // The names that a Raspberry Pi gives its header, where its device tree is not at hand.
        None => (has_header(host) && (name == "serial0" || name == "ttyAMA0")).then_some((14, 15)),
    };
    if let Some((tx, rx)) = at_header {
        return header_uart(tx, rx, reset_end(link, &link.target));
    }
    let what = if name.starts_with("ttyUSB") || name.starts_with("ttyACM") { "serial adapter" } else { "serial port" };
    port(what, &link.target, link)
}

/// A serial port with wires of its own.
fn port(host: &'static str, name: &str, link: &LinkSpec) -> Pins {
    let of = |role: &str| end(format!("{role} of {name}"));
    let supply = end("3V3 of a regulator");
    Pins::new(host, WireKind::Uart, vec![of("GND"), supply, reset_end(link, name), of("TX"), of("RX")])
}

/// Who resets the module over a serial link (`reset=`).
fn reset_end(link: &LinkSpec, port: &str) -> End {
    match link.get("reset") {
        Some("dtr") => end(format!("DTR of {port}")),
        Some("rts") => end(format!("RTS of {port}")),
        Some(text) => match text.strip_prefix("gpio:").and_then(|number| number.parse().ok()) {
            Some(gpio) => bcm_end(gpio),
            None => end(BY_HAND),
        },
        None => end(BY_HAND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(link: &str) -> Pins {
        let empty = tempfile::tempdir().unwrap();
        Pins::of(&LinkSpec::parse(link).unwrap(), &Host::copied(empty.path()))
    }

    fn name(link: &str, wire: WireName) -> String {
        pins(link).end(wire).unwrap().name.clone()
    }

    #[test]
    fn the_pins_follow_bus_chip_select_and_cen_of_the_link() {
        use WireName::{Cen, Csn, Gnd, Sck, Si, So, Supply};
        let usual = ["GND (pin 25)", "3V3 (pin 1)", "GPIO22 (pin 15)", "GPIO11 SCLK (pin 23)", "GPIO8 CE0 (pin 24)"];
        assert_eq!([Gnd, Supply, Cen, Sck, Csn].map(|wire| name("spi:0.0", wire)), usual);
        assert_eq!([Csn, Cen].map(|wire| name("spi:0.1?cen=17", wire)), ["GPIO7 CE1 (pin 26)", "GPIO17 (pin 11)"]);
        let second = ["GND (pin 39)", "GPIO21 SCLK (pin 40)", "GPIO18 CE0 (pin 12)", "GPIO20 MOSI (pin 38)"];
        assert_eq!([Gnd, Sck, Csn, Si].map(|wire| name("spi:1.0", wire)), second);
        assert_eq!(name("spi:1.0", So), "GPIO19 MISO (pin 35)");
        assert_eq!(pins("spi:0.0?cen=pin11").end(Cen).unwrap().header, Some(11));
        assert_eq!(name("spi:0.0?cen=con1-15", Cen), "line con1-15");
    }

    #[test]
    fn adapters_have_pins_of_their_own() {
        use WireName::{Cen, Gnd, Rx1, Sck, Tx1};
        assert_eq!([Cen, Sck].map(|wire| name("ch341:", wire)), ["D2", "D3 (SCK)"]);
        assert_eq!(name("serprog:host:99", Cen), NOBODY);
        let usb = "uart:/dev/ttyUSB0?reset=rts";
        let ends = ["GND of /dev/ttyUSB0", "RTS of /dev/ttyUSB0", "TX of /dev/ttyUSB0", "RX of /dev/ttyUSB0"];
        assert_eq!([Gnd, Cen, Rx1, Tx1].map(|wire| name(usb, wire)), ends);
        assert_eq!(
            [Rx1, Tx1].map(|wire| name("uart:/dev/serial0", wire)),
            ["GPIO14 TXD (pin 8)", "GPIO15 RXD (pin 10)"]
        );
        assert_eq!(name("uart:/dev/ttyUSB0?reset=gpio:17", Cen), "GPIO17 (pin 11)");
        assert!(pins("ch341:").ends().all(|(_, end)| end.header.is_none()));
    }

    #[test]
    fn a_sentence_names_wire_and_pin_once() {
        assert_eq!(pins("spi:0.0").at(WireName::Cen), "CEN at GPIO22 (pin 15)");
        assert_eq!(pins("spi:0.0").at(WireName::Gnd), "GND (pin 25)");
        assert_eq!(pins("spi:0.0?cen=hand").at(WireName::Cen), "CEN (by hand)");
    }

    #[test]
    fn the_further_buses_of_newer_boards_lie_side_by_side() {
        assert_eq!(BusPins::of_generation(3, 0, Some(4)), Some(BusPins([3, 0, 2, 1])));
        assert_eq!(BusPins::of_generation(3, 1, Some(5)), Some(BusPins([7, 25, 6, 5])));
        assert_eq!(BusPins::of_generation(6, 0, Some(4)), Some(BusPins([21, 18, 20, 19])));
        assert_eq!(BusPins::of_generation(3, 0, None), None);
    }

    #[test]
    fn a_board_that_is_no_raspberry_pi_gets_no_pins_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::copied(folder.path());
        let tree = folder.path().join(host.tree("compatible").trim_start_matches('/'));
        std::fs::create_dir_all(tree.parent().unwrap()).unwrap();
        std::fs::write(tree, b"xunlong,orangepi-zero\0allwinner,sun8i-h3\0").unwrap();
        let pins = Pins::of(&LinkSpec::parse("spi:1.0").unwrap(), &host);
        assert_eq!(pins.at(WireName::Sck), "SCK at SCLK of SPI bus 1");
        assert!(pins.ends().all(|(_, end)| end.header.is_none()));
    }
}
