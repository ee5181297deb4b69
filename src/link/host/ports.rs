//! The serial ports of a computer: USB adapter or header, stable name, and who uses them. Opens nothing.

use serde::Serialize;

use super::board::Uart;
use super::owners::{BRLTTY_REMEDY, Processes, of_port};
use super::reach::reach;
use super::{Device, Host};
use crate::link::contract::{Endpoint, LinkError};
use crate::problem::Explain;

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
    fn of(host: &Host, folder: &str) -> Option<Self> {
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
        let product = self.product.clone().or_else(|| chip_of(&self.id).map(str::to_owned));
        format!("{} ({})", product.unwrap_or_else(|| "USB serial adapter".to_owned()), self.id)
    }
}

/// Chips of common adapters, by USB number.
fn chip_of(id: &str) -> Option<&'static str> {
    const CHIPS: [(&str, &str); 8] = [
        ("1A86:7523", "CH340"),
        ("1A86:5523", "CH341 as serial port"),
        ("1A86:55D4", "CH9102"),
        ("10C4:EA60", "CP210x"),
        ("0403:6001", "FT232R"),
        ("0403:6010", "FT2232"),
        ("0403:6015", "FT231X"),
        ("067B:2303", "PL2303"),
    ];
    CHIPS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
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
            (None, Some(uart)) => uart.words().to_owned(),
            (None, None) => match &self.driver {
                Some(driver) => format!("serial port ({driver})"),
                None => "serial port".to_owned(),
            },
        }
    }

    /// What has to be known before it is used.
    fn notes(&self, processes: &Processes) -> Vec<String> {
        let mut notes = Vec::new();
        if self.uart == Some(Uart::HeaderMini) {
            notes.push(
                "the mini-UART's rate follows the core clock: stay at 115200 baud, or add dtoverlay=disable-bt and reboot"
                    .to_owned(),
            );
        }
        if self.uart == Some(Uart::Debug) {
            notes.push("the header's UART of a Pi 5 is ttyAMA0; dtparam=uart0=on switches it on".to_owned());
        }
        if self.usb.is_some() && processes.named("ModemManager").is_some() {
            notes.push(
                "ModemManager runs and may talk to the adapter for half a minute after it is plugged in: sudo systemctl stop ModemManager"
                    .to_owned(),
            );
        }
        notes
    }
}

/// The serial ports, USB adapters first.
pub fn ports(host: &Host) -> Vec<Port> {
    let mut ports: Vec<Port> = host.names("sys/class/tty").into_iter().filter_map(|name| port(host, name)).collect();
    ports.sort_by_key(|port| (port.usb.is_none(), port.uart != Some(Uart::Header)));
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
    Some(Port { name, usb, uart, stable, driver })
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

/// The serial ports as links, with what owns them and what stands in the way. Opens nothing.
pub fn endpoints(host: &Host) -> Vec<Endpoint> {
    let processes = Processes::of(host);
    let ports = ports(host);
    let mut found: Vec<Endpoint> = ports.iter().map(|port| endpoint(host, &processes, port)).collect();
    found.extend(taken_by_brltty(host, &processes, &ports));
    found
}

fn endpoint(host: &Host, processes: &Processes, port: &Port) -> Endpoint {
    let node = port.node();
    let device = Device {
        node: node.clone(),
        stable: port.stable.clone(),
        usb: port.usb.clone(),
        owners: of_port(host, processes, &port.name),
        notes: port.notes(processes),
    };
    let denied = reach(host, &node).obstacle(&node, "dialout");
    super::endpoint(format!("uart:{node}"), port.words(), device, denied)
}

/// USB serial adapters without a port while brltty runs: it has taken them for braille displays.
pub fn taken_by_brltty(host: &Host, processes: &Processes, ports: &[Port]) -> Vec<Endpoint> {
    if processes.named("brltty").is_none() {
        return Vec::new();
    }
    let folder = "sys/bus/usb/devices";
    let adapters = host.names(folder).into_iter().filter_map(|place| Usb::of(host, &format!("{folder}/{place}")));
    let lost = adapters.filter(|usb| {
        chip_of(&usb.id).is_some()
            && !ports.iter().any(|port| port.usb.as_ref().is_some_and(|known| known.place == usb.place))
    });
    lost.map(|usb| Endpoint {
        link: "uart:".to_owned(),
        about: usb.words(),
        obstacle: Some(
            LinkError::Taken {
                name: format!("the adapter {} at USB {}", usb.words(), usb.place),
                by: "brltty, the driver of braille displays".to_owned(),
                remedy: BRLTTY_REMEDY.to_owned(),
            }
            .explain(),
        ),
        device: None,
    })
    .collect()
}
