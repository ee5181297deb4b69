//! The SPI buses of a computer, without the one that carries its own boot flash. Opens nothing.

use super::owners::{Processes, of_node};
use super::reach::reach;
use super::{Device, Host};
use crate::link::boot_eeprom::is_boot_eeprom;
use crate::link::contract::Endpoint;

/// A chip select of an SPI bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// Number of the bus.
    pub bus: u8,
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
    found.map(|(bus, select)| Bus { bus, select, about: about(host, bus, select) }).collect()
}

/// The chip selects that lead to the computer's own boot EEPROM, so that the doctor can say they are left alone.
pub fn hidden(host: &Host) -> Vec<Bus> {
    let found = all(host).into_iter().filter(|&(bus, select)| is_boot_eeprom(host.root(), bus, select));
    found.map(|(bus, select)| Bus { bus, select, about: "boot EEPROM".to_owned() }).collect()
}

fn all(host: &Host) -> Vec<(u8, u8)> {
    let mut names = host.names("sys/class/spidev");
    names.extend(host.nodes("spidev"));
    let mut found: Vec<(u8, u8)> = names.iter().filter_map(|name| numbers(name.strip_prefix("spidev")?)).collect();
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
        (driver != "spidev").then_some((bus, driver))
    });
    devices.filter(|(bus, _)| !is_boot_eeprom(host.root(), bus.bus, bus.select)).collect()
}

fn numbers(text: &str) -> Option<(u8, u8)> {
    let (bus, select) = text.split_once('.')?;
    Some((bus.parse().ok()?, select.parse().ok()?))
}

/// Where a bus leads, by the device-tree node of its controller (raspberrypi/linux, device trees).
fn about(host: &Host, bus: u8, select: u8) -> String {
    let places = [
        format!("sys/bus/spi/devices/spi{bus}.{select}/of_node"),
        format!("sys/class/spi_master/spi{bus}/of_node"),
        format!("sys/class/spi_master/spi{bus}/device/of_node"),
    ];
    let node = places.iter().find_map(|place| host.real(place)).unwrap_or_default();
    let in_rp1 = node.contains("rp1");
    let (pins, selects): (&str, &[&str]) = if node.contains("spi@7e204000") || (in_rp1 && node.contains("spi@50000")) {
        ("header SPI0, pins 19 21 23", &["24", "26"])
    } else if node.contains("spi@7e215080") || (in_rp1 && node.contains("spi@54000")) {
        ("header SPI1, pins 38 35 40", &["12", "11", "36"])
    } else {
        return format!("SPI bus {bus}, chip select {select}");
    };
    match selects.get(usize::from(select)) {
        Some(pin) => format!("{pins}, CE{select} on {pin}"),
        None => format!("{pins}, chip select {select}"),
    }
}

/// The SPI buses as links, with who uses them and what stands in the way; `cen` is the GPIO line offered for CEN.
pub fn endpoints(host: &Host, cen: u8) -> Vec<Endpoint> {
    let buses = buses(host);
    // Looking at every process is worth it only when there is something to hold.
    let processes = if buses.is_empty() { Processes::default() } else { Processes::of(host) };
    let endpoint = |bus: Bus| {
        let node = bus.node();
        let owners = of_node(&processes, &node);
        let denied = reach(host, &node).obstacle(&node, "spi");
        let device = Device { node, stable: None, usb: None, owners, notes: Vec::new() };
        super::endpoint(format!("spi:{}.{}?cen={cen}", bus.bus, bus.select), bus.about, device, denied)
    };
    buses.into_iter().map(endpoint).collect()
}
