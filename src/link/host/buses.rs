//! The SPI buses of a computer, without the one that carries its own boot flash. Opens nothing.

use super::cen::Cen;
use super::firmware::Settings;
use super::fix::Fix;
use super::lines::{Chip, chips};
use super::no_bus::{self, Reason};
use super::owners::{Processes, of_node};
use super::reach::reach;
use super::select::{BusLines, Select, claimed, hat, select};
use super::system::System;
use super::{Device, Host};
use crate::link::boot_eeprom::is_boot_eeprom;
use crate::link::contract::{Endpoint, LinkError};
use crate::link::gpio::header_pin;
use crate::problem::Explain;

/// Drivers of memories that a board starts from: nobody takes those away.
const OWN_MEMORY: [&str; 3] = ["spi-nor", "m25p80", "spi-nand"];

/// A chip select of an SPI bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// Number of the bus; some boards count down from 32767.
    pub bus: u32,
    /// Number of the chip select.
    pub select: u8,
    /// Where it leads, for people.
    pub about: String,
}

impl Bus {
    /// Its node.
    pub fn node(&self) -> String {
        format!("/dev/spidev{}.{}", self.bus, self.select)
    }
}

/// The chip selects that programs can use. The boot EEPROM's is never among them (product.md rule 11).
pub fn buses(host: &Host) -> Vec<Bus> {
    let found = all(host).into_iter().filter(|&(bus, select)| !is_boot_eeprom(host.root(), bus, select));
    let mut found: Vec<Bus> = found.map(|(bus, select)| Bus { bus, select, about: about(host, bus, select) }).collect();
    if !found.is_empty() {
        let look = Look::at(host);
        found.iter_mut().for_each(|bus| told(host, &look, bus));
    }
    found
}

/// The chip selects that lead to the computer's own boot EEPROM, so that the doctor can say they are left alone.
pub fn hidden(host: &Host) -> Vec<Bus> {
    let found = all(host).into_iter().filter(|&(bus, select)| is_boot_eeprom(host.root(), bus, select));
    found.map(|(bus, select)| Bus { bus, select, about: "boot EEPROM".to_owned() }).collect()
}

fn all(host: &Host) -> Vec<(u32, u8)> {
    let mut names = host.names("sys/class/spidev");
    names.extend(host.nodes("spidev"));
    let mut found: Vec<(u32, u8)> = names.iter().filter_map(|name| numbers(name.strip_prefix("spidev")?)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Chip selects that a kernel driver uses, so that programs cannot: the driver's name with each.
pub fn taken(host: &Host) -> Vec<(Bus, String)> {
    let folder = "sys/bus/spi/devices";
    let devices = host.names(folder).into_iter().filter_map(|name| {
        let (bus, select) = numbers(name.strip_prefix("spi")?)?;
        let driver = host.target(&format!("{folder}/{name}/driver"))?;
        let driver = driver.rsplit('/').next()?.to_owned();
        let bus = Bus { bus, select, about: about(host, bus, select) };
        (driver != "spidev" && !OWN_MEMORY.contains(&driver.as_str())).then_some((bus, driver))
    });
    devices.filter(|(bus, _)| !is_boot_eeprom(host.root(), bus.bus, bus.select)).collect()
}

fn numbers(text: &str) -> Option<(u32, u8)> {
    let (bus, select) = text.split_once('.')?;
    Some((bus.parse().ok()?, select.parse().ok()?))
}

/// SPI devices that no driver took, on the header's buses or those of another board: `spi0.0`.
pub fn without_driver(host: &Host) -> Vec<String> {
    let folder = "sys/bus/spi/devices";
    let idle = host.names(folder).into_iter().filter(|name| {
        let numbers = name.strip_prefix("spi").and_then(numbers);
        // A memory of the board's own, with the name of its chip, is nobody's to take.
        let compatible = host.texts(&format!("{folder}/{name}/of_node/compatible"));
        let memory = compatible.iter().any(|text| text.contains("spi-nor") || text.contains("eeprom"));
        !memory
            && numbers.is_some_and(|(bus, select)| !is_boot_eeprom(host.root(), bus, select))
            && host.target(&format!("{folder}/{name}/driver")).is_none()
    });
    idle.collect()
}

/// The device-tree path of a bus's controller or device; empty when the system does not tell.
pub(super) fn node_of(host: &Host, bus: u32, select: u8) -> String {
    let places = [
        format!("sys/bus/spi/devices/spi{bus}.{select}/of_node"),
        format!("sys/class/spi_master/spi{bus}/of_node"),
        format!("sys/class/spi_master/spi{bus}/device/of_node"),
    ];
    places.iter().find_map(|place| host.real(place)).unwrap_or_default()
}

/// Where a bus leads: its lines on the header, and the pin that is its chip select by the kernel's word.
fn about(host: &Host, bus: u32, select: u8) -> String {
    let Some(lines) = BusLines::of(host, bus, select) else { return format!("SPI bus {bus}, chip select {select}") };
    let pin = |line: u8| header_pin(line).unwrap_or_default();
    let place = format!("header SPI{}, pins {} {} {}", lines.bus, pin(lines.mosi), pin(lines.miso), pin(lines.sck));
    match lines.selects.get(usize::from(select)) {
        Some(line) => format!("{place}, CE{select} on {}", pin(*line)),
        None => format!("{place}, chip select {select}"),
    }
}

/// The bus with its chip select as the kernel has it.
fn told(host: &Host, look: &Look, bus: &mut Bus) {
    let usual =
        BusLines::of(host, bus.bus, bus.select).and_then(|lines| lines.selects.get(usize::from(bus.select)).copied());
    match select(host, &look.settings, &look.chips, bus) {
        Select::Line(line) if Some(line) != usual => {
            let place = bus.about.split(", CE").next().unwrap_or_default().to_owned();
            bus.about = format!("{place}, CE{} on {}", bus.select, header_pin(line).unwrap_or_default());
        }
        Select::NoLine => {
            let place = bus.about.split(", CE").next().unwrap_or_default().to_owned();
            bus.about = format!("{place}, no chip select");
        }
        Select::Line(_) | Select::NotTold => {}
    }
}

/// What is looked at once for all buses.
pub struct Look {
    /// The system.
    pub system: System,
    /// The firmware's settings.
    pub settings: Settings,
    /// The GPIO chips.
    pub chips: Vec<Chip>,
}

impl Look {
    /// Looks at a computer.
    pub fn at(host: &Host) -> Self {
        let system = System::of(host);
        Self { settings: Settings::of(host, &system), chips: chips(host), system }
    }

    /// What is wrong with a bus beside rights and users: no chip select, or lines that somebody else has.
    pub fn fault(&self, host: &Host, bus: &Bus) -> Option<Fault> {
        let lines = BusLines::of(host, bus.bus, bus.select)?;
        let chosen = select(host, &self.settings, &self.chips, bus);
        if chosen == Select::NoLine {
            return Some(self.no_select(host, bus));
        }
        let shared = taken(host).into_iter().find(|(other, _)| other.bus == bus.bus);
        if let Some((other, driver)) = shared {
            let device = format!("spi{}.{}", other.bus, other.select);
            let reason = Reason::Driver { overlay: no_bus::overlay_of(&self.settings, &driver), driver, device };
            let found = format!("{} on the same lines", reason.found(host));
            return Some(Fault { found, remedy: reason.remedy(host, &self.system) });
        }
        let own = match chosen {
            Select::Line(line) => Some(line),
            _ => lines.selects.get(usize::from(bus.select)).copied(),
        };
        let wanted: Vec<u8> = [lines.sck, lines.mosi, lines.miso].into_iter().chain(own).collect();
        let claim = claimed(host, &self.settings, &self.chips, bus.bus, &wanted)?;
        let overlay = claim.line.and_then(|line| self.settings.overlay_with(line)).cloned();
        let hat = hat(host).map(|name| format!("; the HAT {name} is on the header")).unwrap_or_default();
        let found = format!("{}{hat}", claim.words());
        let remedy = Reason::LineTaken { claim, overlay }.remedy(host, &self.system);
        Some(Fault { found, remedy })
    }

    fn no_select(&self, host: &Host, bus: &Bus) -> Fault {
        let overlay = self.settings.overlay(&format!("spi{}-0cs", bus.bus));
        let why = overlay.map(|line| format!(" ({} in /{})", line.text, line.file)).unwrap_or_default();
        let found = format!("no line is chip select {}{why}: the module is never selected", bus.select);
        let remedy = match overlay {
            Some(line) => self.system.fix(host, Fix::NoSetting(line)),
            None => self.system.fix(host, Fix::Setting("dtoverlay=spi0-2cs")),
        };
        Fault { found, remedy }
    }
}

/// Something wrong with a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was found.
    pub found: String,
    /// What helps.
    pub remedy: String,
}

/// The SPI buses as links, with who uses them and what stands in the way; `cen` is the GPIO line offered for CEN.
pub fn endpoints(host: &Host, cen: u8) -> Vec<Endpoint> {
    let buses = buses(host);
    if buses.is_empty() {
        return Vec::new();
    }
    let look = Look::at(host);
    // Looking at every process is worth it only when there is something to hold.
    let processes = Processes::of(host);
    let line = Cen::of(host, &look.system, cen);
    let endpoint = |bus: Bus| {
        let node = bus.node();
        let owners = of_node(host, &look.system, &processes, &node);
        let access = reach(host, &node).obstacle(host, &look.system, &node, "spi");
        let fault = || {
            let fault = look.fault(host, &bus)?;
            Some(LinkError::BusFault { name: node.clone(), why: fault.found, remedy: fault.remedy })
        };
        let obstacle = access.or_else(fault).or_else(|| line.obstacle(cen));
        let device = Device { node: node.clone(), stable: None, usb: None, owners, notes: Vec::new() };
        super::endpoint(format!("spi:{}.{}?cen={cen}", bus.bus, bus.select), bus.about.clone(), device, obstacle)
    };
    buses.into_iter().map(endpoint).collect()
}

/// The line of a list that says why there is no bus; `None` where there is one, or none was ever to be expected.
pub fn missing(host: &Host, cen: u8) -> Option<Endpoint> {
    let board = host.has(&host.tree("compatible"));
    if !board || !buses(host).is_empty() {
        return None;
    }
    let system = System::of(host);
    let reason = no_bus::reason(host, &system);
    let (why, remedy) = (reason.found(host), reason.remedy(host, &system));
    Some(Endpoint {
        link: format!("spi:0.0?cen={cen}"),
        about: "SPI bus of this computer: none".to_owned(),
        obstacle: Some(LinkError::NoBus { name: "the SPI bus".to_owned(), why, remedy }.explain()),
        device: None,
    })
}
