//! Transports: bytes, waiting, a reset line and a clock. Nothing in here knows about flash.

pub mod boot_eeprom;
mod cen;
mod ch341;
mod claim;
mod clock;
pub mod contract;
pub mod errno;
pub mod gpio;
#[cfg(target_os = "linux")]
mod gpiochip;
pub mod host;
#[cfg(target_os = "linux")]
mod linux;
pub mod lock;
pub mod net;
pub mod pins;
#[cfg(target_os = "linux")]
mod rpi;
#[cfg(target_os = "linux")]
mod rpi_lines;
mod serial;
mod serprog;
pub mod sim;
pub mod spec;
#[cfg(target_os = "linux")]
mod spidev;
pub mod supply;
pub mod tape;

pub use contract::{
    Clock, Endpoint, Hold, Line, Link, LinkError, LinkInfo, ProbeLines, ResetLine, SerialLink, SpiLink, Wire, WireKind,
};
pub use host::Device;
pub use lock::Lock;
pub use pins::{End, Pins, WireName};
pub use spec::LinkSpec;

/// A transport: what stands before the colon of a link, and how to open and list such links.
pub struct Driver {
    /// The scheme.
    pub scheme: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Opens a link of this scheme.
    pub open: fn(&LinkSpec) -> Result<Link, LinkError>,
    /// What can be opened here and now; with the GPIO line that is offered for CEN. Opens nothing.
    pub endpoints: fn(u8) -> Vec<Endpoint>,
}

/// Every transport of this build, in the order they are listed to people.
pub const DRIVERS: &[Driver] = &[
    #[cfg(target_os = "linux")]
    Driver { scheme: "spi", about: "SPI bus of this computer", open: spidev::open, endpoints: spidev::endpoints },
    Driver { scheme: "uart", about: "serial port", open: serial::open, endpoints: serial::endpoints },
    Driver { scheme: "ch341", about: "CH341A USB adapter", open: ch341::open, endpoints: ch341::endpoints },
    Driver {
        scheme: "serprog",
        about: "serprog flash programmer",
        open: serprog::open,
        endpoints: |_| serprog::endpoints(),
    },
    Driver {
        scheme: "tcp",
        about: "serial port of another computer, raw bytes",
        open: net::tcp::open,
        endpoints: |_| Vec::new(),
    },
    Driver {
        scheme: "rfc2217",
        about: "serial port of another computer, with its settings",
        open: net::rfc2217::open,
        endpoints: |_| Vec::new(),
    },
    Driver { scheme: "replay", about: "transcript of another link", open: tape::open, endpoints: |_| Vec::new() },
    Driver { scheme: "sim", about: "embedded simulated module", open: sim::open, endpoints: |_| sim::endpoints() },
];

/// Opens a link; with `record=FILE` among its keys one that is written down ([`tape`]).
///
/// # Errors
/// [`LinkError::BadLink`] for a scheme that no driver serves, else what the driver says.
pub fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    if let Some(file) = spec.get("record") {
        let spec = spec.without("record");
        return tape::record(open(&spec)?, &spec, file);
    }
    match DRIVERS.iter().find(|driver| driver.scheme == spec.scheme) {
        Some(driver) => (driver.open)(spec),
        None => {
            let known: Vec<String> = DRIVERS.iter().map(|driver| format!("{}:", driver.scheme)).collect();
            Err(spec.bad(format!("this build opens {} links", known.join(", "))))
        }
    }
}

/// The link to open once a link has gone in the middle of a job: the same port, by the name that its adapter keeps however
/// it is plugged in, where it has one. To be asked while the port is there. `None` where nothing can come back: a bus that
/// is soldered on, a transcript, a simulated module that nothing outlives.
pub fn way_back(spec: &LinkSpec) -> Option<LinkSpec> {
    match spec.scheme.as_str() {
        // A second opening would begin the record anew.
        _ if spec.get("record").is_some() => None,
        "uart" => {
            let stable = host::ports::stable_node(&host::Host::here(), &spec.target);
            Some(LinkSpec { target: stable.unwrap_or_else(|| spec.target.clone()), ..spec.clone() })
        }
        "tcp" | "rfc2217" | "serprog" => Some(spec.clone()),
        "sim" => spec.get("chip").map(|_| spec.clone()),
        _ => None,
    }
}

/// Everything that can be opened here and now; `cen` is the GPIO line offered for CEN. Opens nothing.
pub fn endpoints(cen: u8) -> Vec<Endpoint> {
    DRIVERS.iter().flat_map(|driver| (driver.endpoints)(cen)).collect()
}
