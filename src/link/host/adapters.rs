//! USB adapters by their numbers: the serial ones that have no port, each with the reason, and the CH341A in SPI mode.

use super::fix::{Fix, Service, quoted};
use super::modules;
use super::owners::{Processes, of_node};
use super::ports::{Port, Usb};
use super::reach::{Reach, reach};
use super::system::System;
use super::{Device, Host};
use crate::link::contract::{Endpoint, LinkError};
use crate::problem::{Explain, Problem};

/// Where the kernel lists what is plugged in.
const USB: &str = "sys/bus/usb/devices";

/// A chip that becomes a serial port.
pub struct Chip {
    /// Vendor and product number.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The kernel's driver.
    pub driver: &'static str,
}

const fn chip(id: &'static str, name: &'static str, driver: &'static str) -> Chip {
    Chip { id, name, driver }
}

/// Chips of common adapters (linux: drivers/usb/serial, drivers/usb/class/cdc-acm.c).
const CHIPS: &[Chip] = &[
    chip("1A86:7523", "CH340", "ch341"),
    chip("1A86:7522", "CH340K", "ch341"),
    chip("1A86:E523", "CH330", "ch341"),
    chip("1A86:5523", "CH341 as serial port", "ch341"),
    chip("4348:5523", "CH341 as serial port", "ch341"),
    chip("9986:7523", "CH340", "ch341"),
    chip("1A86:55D2", "CH342", "cdc_acm"),
    chip("1A86:55D3", "CH343", "cdc_acm"),
    chip("1A86:55D4", "CH9102", "cdc_acm"),
    chip("1A86:55D5", "CH344", "cdc_acm"),
    chip("1A86:55D8", "CH9101", "cdc_acm"),
    chip("10C4:EA60", "CP210x", "cp210x"),
    chip("10C4:EA63", "CP2102N", "cp210x"),
    chip("10C4:EA70", "CP2105", "cp210x"),
    chip("10C4:EA71", "CP2108", "cp210x"),
    chip("0403:6001", "FT232R", "ftdi_sio"),
    chip("0403:6010", "FT2232", "ftdi_sio"),
    chip("0403:6011", "FT4232H", "ftdi_sio"),
    chip("0403:6014", "FT232H", "ftdi_sio"),
    chip("0403:6015", "FT231X", "ftdi_sio"),
    chip("067B:2303", "PL2303", "pl2303"),
    chip("067B:2304", "PL2303", "pl2303"),
    chip("067B:23A3", "PL2303GC", "pl2303"),
    chip("067B:23B3", "PL2303GB", "pl2303"),
    chip("067B:23C3", "PL2303GT", "pl2303"),
    chip("067B:23D3", "PL2303GL", "pl2303"),
    chip("067B:23E3", "PL2303GE", "pl2303"),
    chip("067B:23F3", "PL2303GS", "pl2303"),
    chip("04D8:00DD", "MCP2221", "cdc_acm"),
    chip("04D8:000A", "MCP2200", "cdc_acm"),
    chip("04D8:00DF", "MCP2200", "cdc_acm"),
    chip("2E8A:000C", "Debug Probe", "cdc_acm"),
];

/// A CH341A in SPI mode, and with its jumper at UART.
pub const CH341_SPI: &str = "1A86:5512";
/// The same adapter with its jumper at UART. Plain serial cables have the number too.
pub const CH341_UART: &str = "1A86:5523";

/// The chip with this number.
pub fn chip_of(id: &str) -> Option<&'static Chip> {
    CHIPS.iter().find(|chip| chip.id == id)
}

/// Everything plugged in, sorted by place.
fn plugged(host: &Host) -> Vec<Usb> {
    host.names(USB).into_iter().filter_map(|place| Usb::of(host, &format!("{USB}/{place}"))).collect()
}

/// Why an adapter has no port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// brltty took it for a braille display.
    Brltty,
    /// A program works it by itself.
    Program(Option<String>),
    /// The modules of the running kernel are gone.
    Modules(modules::Gone),
    /// A file keeps its driver out.
    Blacklisted(String),
    /// The kernel has no driver for it.
    NoDriver,
    /// The driver is not loaded.
    NotLoaded,
    /// The driver found it and could not start it.
    ProbeFailed,
}

/// A serial adapter without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The adapter.
    pub usb: Usb,
    /// Its driver.
    pub driver: &'static str,
    /// Why there is no port.
    pub why: Why,
}

/// The serial adapters that are plugged in and have no port.
pub fn lost(host: &Host, system: &System, processes: &Processes, ports: &[Port]) -> Vec<Lost> {
    let known = |usb: &Usb| ports.iter().any(|port| port.usb.as_ref().is_some_and(|with| with.place == usb.place));
    let without = plugged(host).into_iter().filter(|usb| !known(usb));
    without
        .filter_map(|usb| {
            let driver = chip_of(&usb.id)?.driver;
            let why = why(host, system, processes, &usb, driver);
            Some(Lost { usb, driver, why })
        })
        .collect()
}

/// The drivers bound to the interfaces of a device.
fn bound(host: &Host, place: &str) -> Vec<String> {
    let device = host.real(&format!("{USB}/{place}")).unwrap_or_else(|| format!("{USB}/{place}"));
    let parts = host.names(&device).into_iter().filter(|name| name.starts_with(&format!("{place}:")));
    let drivers = parts.filter_map(|part| host.target(&format!("{device}/{part}/driver")));
    drivers.filter_map(|target| target.rsplit('/').next().map(str::to_owned)).collect()
}

fn why(host: &Host, system: &System, processes: &Processes, usb: &Usb, driver: &str) -> Why {
    let bound = bound(host, &usb.place);
    let brltty = processes.named("brltty").is_some();
    let driven = bound.iter().any(|name| name != "usbfs");
    if brltty && !driven {
        return Why::Brltty;
    }
    if bound.iter().any(|name| name == "usbfs") {
        let node = usb_node(host, &usb.place);
        let holder = node.and_then(|node| of_node(host, system, processes, &node).into_iter().next());
        return Why::Program(holder.map(|owner| owner.who));
    }
    if driven {
        return Why::ProbeFailed;
    }
    if system.container.is_none()
        && !system.wsl
        && let Some(gone) = modules::gone(host)
    {
        return Why::Modules(gone);
    }
    if let Some(file) = modules::blacklisted(host, driver) {
        return Why::Blacklisted(file);
    }
    // Its driver is there and did not take it.
    let there = ["usb", "usb-serial"].iter().any(|kind| host.has(&format!("sys/bus/{kind}/drivers/{driver}")));
    match modules::available(host, driver) {
        _ if there || modules::loaded(host, driver) => Why::ProbeFailed,
        Some(false) => Why::NoDriver,
        None if system.wsl => Why::NoDriver,
        _ => Why::NotLoaded,
    }
}

/// The node of a USB device.
fn usb_node(host: &Host, place: &str) -> Option<String> {
    let number = |name: &str| host.text(&format!("{USB}/{place}/{name}"))?.parse::<u16>().ok();
    Some(format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?))
}

impl Lost {
    /// The adapter, for people.
    pub fn name(&self) -> String {
        format!("{} at USB {}", self.usb.words(), self.usb.place)
    }

    /// Why it has no port, for people.
    pub fn reason(&self) -> String {
        let driver = self.driver;
        match &self.why {
            Why::Brltty => "brltty, the driver of braille displays, took it".to_owned(),
            Why::Program(Some(who)) => format!("{who} works it without the kernel's driver"),
            Why::Program(None) => "a program works it without the kernel's driver".to_owned(),
            Why::Modules(gone) => gone.words(),
            Why::Blacklisted(file) => format!("/{file} keeps its driver {driver} from being loaded"),
            Why::NoDriver => format!("this kernel has no driver {driver}"),
            Why::NotLoaded => format!("its driver {driver} is not loaded"),
            Why::ProbeFailed => format!("the driver {driver} could not start it (probe failed)"),
        }
    }

    /// What helps.
    pub fn remedy(&self, host: &Host, system: &System) -> String {
        match &self.why {
            Why::Brltty => brltty_remedy(host, system),
            Why::Program(_) => {
                "end the program that works it (a virtual machine, an IDE), then plug the adapter in again".to_owned()
            }
            Why::Modules(_) => system.fix(host, Fix::Restart),
            Why::Blacklisted(file) => system.fix(host, Fix::Unblock(file, self.driver)),
            Why::NoDriver => system.fix(host, Fix::InstallModule(self.driver)),
            Why::NotLoaded => system.fix(host, Fix::Load(self.driver)),
            Why::ProbeFailed => format!(
                "plug it into another USB port, without a hub; if that does not help, the kernel has a fault with it: {}",
                quoted(&system.fix(host, Fix::UpdateKernel))
            ),
        }
    }

    /// As a line of a list.
    pub fn endpoint(&self, host: &Host, system: &System) -> Endpoint {
        let (name, why, remedy) = (format!("the adapter {}", self.name()), self.reason(), self.remedy(host, system));
        let problem: Problem = match self.why {
            Why::Brltty => {
                LinkError::Taken { name, by: "brltty, the driver of braille displays,".to_owned(), remedy }.explain()
            }
            _ => LinkError::NoPort { name, why, remedy }.explain(),
        };
        Endpoint { link: "uart:".to_owned(), about: self.usb.words(), obstacle: Some(problem), device: None }
    }
}

/// What makes brltty leave USB adapters alone. Its owner may need it, so that it is named before it is removed.
pub fn brltty_remedy(host: &Host, system: &System) -> String {
    let remove = system.fix(host, Fix::Remove("brltty"));
    format!("if nobody needs a braille display here: {}, then plug the adapter in again", quoted(&remove))
}

/// A CH341A in SPI mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programmer {
    /// Where it is plugged in.
    pub place: String,
    /// Its node.
    pub node: String,
}

/// The CH341A adapters in SPI mode, in the order of their numbers: by bus and address.
pub fn programmers(host: &Host) -> Vec<Programmer> {
    let found = plugged(host).into_iter().filter(|usb| usb.id == CH341_SPI);
    let mut found: Vec<Programmer> =
        found.filter_map(|usb| Some(Programmer { node: usb_node(host, &usb.place)?, place: usb.place })).collect();
    found.sort_by(|a, b| a.node.cmp(&b.node));
    found
}

impl Programmer {
    /// What keeps this user from it.
    pub fn obstacle(&self, host: &Host, system: &System, link: &str) -> Option<LinkError> {
        (reach(host, &self.node) != Reach::Ready).then(|| LinkError::UsbDenied {
            name: link.to_owned(),
            remedy: system.fix(host, Fix::UsbRights(&self.node)),
        })
    }
}

/// The CH341A adapters as links.
pub fn endpoints(host: &Host) -> Vec<Endpoint> {
    let found = programmers(host);
    if found.is_empty() {
        return Vec::new();
    }
    let system = System::of(host);
    let processes = Processes::of(host);
    let several = found.len() > 1;
    let endpoint = |(number, programmer): (usize, &Programmer)| {
        let link = if several { format!("ch341:{number}") } else { "ch341:".to_owned() };
        let about = format!("CH341A USB adapter in SPI mode ({CH341_SPI}), D2 → CEN");
        let owners = of_node(host, &system, &processes, &programmer.node);
        let denied = programmer.obstacle(host, &system, &link);
        let device = Device { node: programmer.node.clone(), stable: None, usb: None, owners, notes: Vec::new() };
        super::endpoint(link, about, device, denied)
    };
    found.iter().enumerate().map(endpoint).collect()
}

/// Serial adapters with a jumper that makes them an SPI adapter: where they are plugged in.
pub fn jumpers(host: &Host) -> Vec<String> {
    // A maker's cable says CH341 only in its mode; the programmer's boards call themselves CH341A.
    plugged(host).into_iter().filter(|usb| usb.id == CH341_UART).map(|usb| usb.place).collect()
}

/// Services that are known for holding serial ports, among those whose open files this user may not see.
pub fn hidden_suspects(processes: &Processes) -> Vec<String> {
    const HOLDERS: [&str; 10] = [
        "octoprint",
        "zigbee2mqtt",
        "ser2net",
        "klipper",
        "moonraker",
        "nodered",
        "home-assistant",
        "zwave",
        "gpsd",
        "mosquitto_serial",
    ];
    let hidden = processes.all.iter().filter(|process| process.hides());
    let names = hidden.filter_map(|process| {
        let service = match process.service() {
            Service::System(unit) | Service::User(unit) => unit.clone(),
            Service::Container(_) | Service::Process { .. } => process.name.clone(),
        };
        let small = service.to_lowercase();
        HOLDERS.iter().any(|name| small.contains(name) || process.name.contains(name)).then_some(service)
    });
    let mut names: Vec<String> = names.collect();
    names.dedup();
    names
}
