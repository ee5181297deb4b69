//! The serial ports of a computer: USB adapter or header, stable name, and who uses them. Opens nothing.

use serde::Serialize;

use super::adapters::{self, CH341_UART, chip_of};
use super::board::{Board, Uart};
use super::fix::{Fix, Service, quoted};
use super::owners::{Processes, of_port};
use super::reach::reach;
use super::system::System;
use super::{Device, Host};
use crate::link::contract::{Endpoint, LinkError};

/// What a USB device says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usb {
    /// Vendor and product number, hex: `10C4:EA60`.
    pub id: String,
    /// The maker's name, as the device has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// The product's name, as the device has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Its serial number. Cheap adapters have none, or all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Where it is plugged in: `1-1.3`.
    pub place: String,
}

impl Usb {
    /// The device in a folder of `/sys`; `None` when that is no USB device.
    pub(super) fn of(host: &Host, folder: &str) -> Option<Self> {
        let id = |name: &str| host.text(&format!("{folder}/{name}")).map(|text| text.to_ascii_uppercase());
        Some(Self {
            id: format!("{}:{}", id("idVendor")?, id("idProduct")?),
            vendor: host.text(&format!("{folder}/manufacturer")),
            product: host.text(&format!("{folder}/product")),
            serial: host.text(&format!("{folder}/serial")),
            place: folder.rsplit('/').next().unwrap_or_default().to_owned(),
        })
    }

    /// What it is, for lists: `CP2102 USB to UART (10C4:EA60)`.
    pub fn words(&self) -> String {
        let product = self.product.clone().or_else(|| chip_of(&self.id).map(|chip| chip.name.to_owned()));
        format!("{} ({})", product.unwrap_or_else(|| "USB serial adapter".to_owned()), self.id)
    }
}

/// A serial port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name without a folder: `ttyUSB0`.
    pub name: String,
    /// The adapter, when it is one on USB.
    pub usb: Option<Usb>,
    /// Where it leads on a Raspberry Pi.
    pub uart: Option<Uart>,
    /// Its name that does not change with the order of plugging in.
    pub stable: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
    /// Why no module can be wired to it; `None` where one can.
    pub no_wire: Option<&'static str>,
}

/// What makes a serial port that is no wire, by its driver: modems.
const MODEMS: [&str; 6] = ["option", "qcserial", "sierra", "hso", "ipw", "option1"];
/// Words by which radio sticks call themselves: their serial chip leads to a radio on the same board.
const RADIOS: [&str; 8] = ["zigbee", "z-wave", "zwave", "z-stick", "conbee", "skyconnect", "zbt-", "thread"];

/// Why no module can be wired to a port, by what the computer says of it.
fn no_wire(
    host: &Host,
    name: &str,
    device: &str,
    usb: Option<&Usb>,
    driver: Option<&str>,
    uart: Option<Uart>,
) -> Option<&'static str> {
    let says = |words: &[&str]| {
        let text = usb.map(|usb| {
            format!("{} {}", usb.vendor.as_deref().unwrap_or_default(), usb.product.as_deref().unwrap_or_default())
        });
        text.is_some_and(|text| words.iter().any(|word| text.to_lowercase().contains(word)))
    };
    let pc = !host.has(&host.tree("compatible")) && host.has("sys/class/dmi/id");
    match uart {
        Some(uart) => (!uart.is_wire()).then_some("not on the header"),
        None if usb.is_some() && driver.is_some_and(|driver| MODEMS.contains(&driver)) => Some("a modem"),
        None if says(&RADIOS) => Some("a radio stick, whose pins are not brought out"),
        None if usb.is_some() => None,
        None if name.starts_with("ttyGS") => Some("this computer as a USB device"),
        None if name.starts_with("rfcomm") => Some("a Bluetooth connection"),
        None if name.starts_with("hvc") || device.contains("virtio") || name.starts_with("ttyprintk") => {
            Some("a console of a virtual machine")
        }
        // Intel puts serial over LAN at this place on every chipset.
        None if device.contains(":16.3") => Some("the management engine's port (serial over LAN)"),
        None if pc => Some("a port of the computer itself: RS-232 levels or no pins at all, never for a 3.3 V module"),
        None => None,
    }
}

impl Port {
    /// Its node.
    pub fn node(&self) -> String {
        format!("/dev/{}", self.name)
    }

    /// What it is, for lists.
    pub fn words(&self) -> String {
        match (&self.usb, self.uart) {
            (Some(usb), _) => usb.words(),
            (None, Some(uart)) => uart.words(),
            (None, None) => match (&self.driver, self.no_wire) {
                (_, Some(why)) => format!("serial port: {why}"),
                (Some(driver), None) => format!("serial port ({driver})"),
                (None, None) => "serial port".to_owned(),
            },
        }
    }

    /// What has to be known before it is used.
    fn notes(&self, host: &Host, system: &System, processes: &Processes) -> Vec<String> {
        let mut notes = Vec::new();
        if self.uart == Some(Uart::HeaderMini) {
            notes.push(format!(
                "the mini-UART's rate follows the core clock: stay at 115200 baud, or {}",
                quoted(&system.fix(host, Fix::Setting("dtoverlay=disable-bt")))
            ));
        }
        if self.uart == Some(Uart::Debug) {
            notes.push("the header's UART of a Pi 5 is ttyAMA0".to_owned());
        }
        if self.usb.as_ref().is_some_and(|usb| usb.id == CH341_UART) {
            notes.push("if this is a CH341A programmer, its jumper stands on UART: for ch341: set it to SPI and plug it in again".to_owned());
        }
        if self.usb.is_some() && processes.named("ModemManager").is_some() {
            let stop = quoted(&system.fix(host, Fix::Stop(&Service::System("ModemManager.service".to_owned()))));
            notes.push(format!(
                "ModemManager runs and may talk to the adapter for half a minute after it is plugged in: {stop}"
            ));
        }
        notes
    }
}

/// The serial ports, USB adapters first.
pub fn ports(host: &Host) -> Vec<Port> {
    let mut ports: Vec<Port> = host.names("sys/class/tty").into_iter().filter_map(|name| port(host, name)).collect();
    ports.sort_by_key(|port| {
        (
            port.no_wire.is_some() && port.usb.is_some(),
            port.usb.is_none(),
            port.uart != Some(Uart::Header),
            port.no_wire.is_some(),
        )
    });
    ports
}

fn port(host: &Host, name: String) -> Option<Port> {
    let folder = format!("sys/class/tty/{name}");
    // Virtual consoles have no device behind them; ports that the old serial driver only keeps room for have type 0.
    if !host.has(&format!("{folder}/device")) || host.text(&format!("{folder}/type")).as_deref() == Some("0") {
        return None;
    }
    let real = host.real(&format!("{folder}/device"));
    let usb = real.as_deref().and_then(|path| usb_above(host, path));
    // Newer kernels put a port device, with a driver of the name `port`, between the tty and its UART.
    let drivers = ["device/driver", "device/../../driver"].into_iter();
    let drivers = drivers.filter_map(|path| host.target(&format!("{folder}/{path}")));
    let driver = drivers.filter_map(|path| path.rsplit('/').next().map(str::to_owned)).find(|name| name != "port");
    let uart = Uart::of(host, &name);
    let stable = stable_name(host, &name);
    let no_wire = no_wire(host, &name, real.as_deref().unwrap_or_default(), usb.as_ref(), driver.as_deref(), uart);
    Some(Port { name, usb, uart, stable, driver, no_wire })
}

/// The USB device that a folder of `/sys` belongs to.
fn usb_above(host: &Host, path: &str) -> Option<Usb> {
    let mut folder = path;
    loop {
        if let Some(usb) = Usb::of(host, folder) {
            return Some(usb);
        }
        folder = folder.rsplit_once('/')?.0;
    }
}

/// The name that the adapter behind a node keeps however it is plugged in: `/dev/serial/by-id/…`. `None` for a port that
/// has none, or that is named by it already.
pub fn stable_node(host: &Host, node: &str) -> Option<String> {
    stable_name(host, node.strip_prefix("/dev/")?)
}

fn stable_name(host: &Host, port: &str) -> Option<String> {
    let folder = "dev/serial/by-id";
    let leads_here = |name: &String| {
        host.target(&format!("{folder}/{name}")).is_some_and(|target| target.rsplit('/').next() == Some(port))
    };
    host.names(folder).into_iter().find(leads_here).map(|name| format!("/{folder}/{name}"))
}

/// The serial ports as links, with what owns them and what stands in the way; then the adapters that have no port. Opens
/// nothing.
pub fn endpoints(host: &Host) -> Vec<Endpoint> {
    let (processes, system) = (Processes::of(host), System::of(host));
    let ports = ports(host);
    let mut found: Vec<Endpoint> = ports.iter().map(|port| endpoint(host, &system, &processes, &ports, port)).collect();
    let lost = adapters::lost(host, &system, &processes, &ports);
    found.extend(lost.iter().map(|lost| lost.endpoint(host, &system)));
    found
}

/// What to use instead of a port that is no wire.
fn instead(host: &Host, system: &System, ports: &[Port]) -> String {
    if let Some(wire) = ports.iter().find(|port| port.no_wire.is_none()) {
        return format!("use {}: {}", wire.node(), wire.words());
    }
    match Board::of(host).pi.filter(|_| system.container.is_none()) {
        Some(pi) => {
            let on = quoted(&system.fix(host, Fix::HeaderUartOn(pi)));
            format!("switch the header's UART on: {on}; or plug in a USB serial adapter")
        }
        None => system.fix(host, Fix::PassUsb),
    }
}

fn endpoint(host: &Host, system: &System, processes: &Processes, ports: &[Port], port: &Port) -> Endpoint {
    let node = port.node();
    let device = Device {
        node: node.clone(),
        stable: port.stable.clone(),
        usb: port.usb.clone(),
        owners: of_port(host, system, processes, &port.name),
        notes: port.notes(host, system, processes),
    };
    let not_a_wire = port.no_wire.filter(|_| port.uart != Some(Uart::Bluetooth)).map(|why| LinkError::NotAWire {
        name: node.clone(),
        why: port.uart.map_or_else(|| why.to_owned(), Uart::words),
        remedy: instead(host, system, ports),
    });
    let denied = || reach(host, &node).obstacle(host, system, &node, "dialout");
    super::endpoint(format!("uart:{node}"), port.words(), device, not_a_wire.or_else(denied))
}
