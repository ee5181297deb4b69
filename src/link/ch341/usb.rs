//! The adapter's two bulk endpoints, through `nusb`.

use std::time::Duration;

use nusb::transfer::{Buffer, Bulk, In, Out, TransferError};
use nusb::{DeviceInfo, ErrorKind, Interface, MaybeFuture};

use super::super::contract::{Endpoint, LinkError};
use super::super::spec::LinkSpec;
use super::packets::PACKET;

/// The maker and the chip in SPI mode; in UART mode it is another product.
const VENDOR: u16 = 0x1A86;
const PRODUCT: u16 = 0x5512;
/// Bytes to the adapter.
const TO_ADAPTER: u8 = 0x02;
/// Bytes from the adapter.
const FROM_ADAPTER: u8 = 0x82;
/// How long one transfer may take; 4096 bytes need about 60 ms.
const LIMIT: Duration = Duration::from_secs(2);
/// Reads on their way at once: the adapter holds few bytes back.
const READS: usize = 8;

/// What the protocol needs of USB.
pub(super) trait Endpoints {
    /// Hands a transfer over.
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError>;
    /// Hands a transfer over while reading `back.len()` bytes, which come in packets of at most `most`.
    fn exchange(&mut self, bytes: &[u8], back: &mut [u8], most: usize) -> Result<(), LinkError>;
}

struct Bulks {
    name: String,
    out: nusb::Endpoint<Bulk, Out>,
    back: nusb::Endpoint<Bulk, In>,
    /// Keeps the claim.
    _interface: Interface,
}

/// Every adapter, in the order of its place on the USB.
fn adapters() -> Vec<DeviceInfo> {
    let Ok(devices) = nusb::list_devices().wait() else { return Vec::new() };
    let mut found: Vec<DeviceInfo> =
        devices.filter(|device| (device.vendor_id(), device.product_id()) == (VENDOR, PRODUCT)).collect();
    found.sort_by_key(|device| (device.bus_id().to_owned(), device.device_address()));
    found
}

/// Opens the only adapter, or the one with this number.
pub(super) fn open(spec: &LinkSpec, number: Option<usize>) -> Result<Box<dyn Endpoints>, LinkError> {
    let found = adapters();
    let name = spec.name();
    let Some(device) = found.get(number.unwrap_or(0)) else {
        let remedy = "plug the CH341A in, with its mode jumper at SPI (1A86:5512)".to_owned();
        return Err(LinkError::NotFound { name, remedy });
    };
    if number.is_none() && found.len() > 1 {
        return Err(spec.bad(format!("{} adapters are plugged in: write ch341:0, ch341:1 and so on", found.len())));
    }
    let failed = |error: nusb::Error| match error.kind() {
        ErrorKind::PermissionDenied => LinkError::UsbDenied { name: name.clone(), remedy: rights(device) },
        ErrorKind::Busy => LinkError::Busy { name: name.clone(), by: None },
        ErrorKind::Disconnected | ErrorKind::NotFound => LinkError::Gone { name: name.clone(), why: error.to_string() },
        _ => LinkError::Io { name: name.clone(), why: error.to_string() },
    };
    let interface = device.open().wait().map_err(failed)?.detach_and_claim_interface(0).wait().map_err(failed)?;
    let out = interface.endpoint::<Bulk, Out>(TO_ADAPTER).map_err(failed)?;
    let back = interface.endpoint::<Bulk, In>(FROM_ADAPTER).map_err(failed)?;
    Ok(Box::new(Bulks { name, out, back, _interface: interface }))
}

/// The adapters as links.
#[cfg(target_os = "linux")]
pub(super) fn endpoints() -> Vec<Endpoint> {
    super::super::host::adapters::endpoints(&super::super::host::Host::here())
}

/// The adapters as links.
#[cfg(not(target_os = "linux"))]
pub(super) fn endpoints() -> Vec<Endpoint> {
    let found = adapters();
    let several = found.len() > 1;
    let endpoint = |number: usize| Endpoint {
        link: if several { format!("ch341:{number}") } else { "ch341:".to_owned() },
        about: "CH341A USB adapter in SPI mode (1A86:5512), D2 → CEN".to_owned(),
        obstacle: None,
        device: None,
    };
    (0..found.len()).map(endpoint).collect()
}

/// What gives this user the right to an adapter.
#[cfg(target_os = "linux")]
fn rights(device: &DeviceInfo) -> String {
    use super::super::host::{Host, fix::Fix, system::System};
    let host = Host::here();
    let node = format!("/dev/bus/usb/{:03}/{:03}", device.busnum(), device.device_address());
    System::of(&host).fix(&host, Fix::UsbRights(&node))
}

#[cfg(not(target_os = "linux"))]
fn rights(_: &DeviceInfo) -> String {
    "give this user the right to use USB devices without a driver".to_owned()
}

impl Bulks {
    fn failed(&self, error: &TransferError) -> LinkError {
        let (name, why) = (self.name.clone(), error.to_string());
        match error {
            TransferError::Disconnected => LinkError::Gone { name, why },
            _ => LinkError::Io { name, why },
        }
    }

    fn sent(&mut self) -> Result<(), LinkError> {
        match self.out.wait_next_complete(LIMIT) {
            Some(done) => done.status.map_err(|error| self.failed(&error)),
            None => {
                self.out.cancel_all();
                Err(LinkError::Stalled { name: self.name.clone(), waited: LIMIT })
            }
        }
    }

    /// Reads until `back` is full. Every packet ends a read, because none is full.
    fn read(&mut self, back: &mut [u8], most: usize) -> Result<(), LinkError> {
        let mut asked = 0;
        let mut done = 0;
        while done < back.len() {
            while self.back.pending() < READS && asked < back.len() {
                self.back.submit(Buffer::new(PACKET));
                asked += most;
            }
            let Some(read) = self.back.wait_next_complete(LIMIT) else {
                return Err(LinkError::Stalled { name: self.name.clone(), waited: LIMIT });
            };
            read.status.map_err(|error| self.failed(&error))?;
            let bytes = read.buffer.get(..read.actual_len).unwrap_or_default();
            let place = back.get_mut(done..done + bytes.len()).filter(|_| !bytes.is_empty());
            let Some(place) = place else {
                let why = format!("it gave {} bytes where {} were due", bytes.len(), back.len() - done);
                return Err(LinkError::Io { name: self.name.clone(), why });
            };
            place.copy_from_slice(bytes);
            done += bytes.len();
        }
        Ok(())
    }
}

impl Endpoints for Bulks {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.out.submit(bytes.to_vec().into());
        self.sent()
    }

    fn exchange(&mut self, bytes: &[u8], back: &mut [u8], most: usize) -> Result<(), LinkError> {
        self.out.submit(bytes.to_vec().into());
        let read = self.read(back, most);
        if read.is_err() {
            // Reads that wait for bytes that never come must not take those of the next frame.
            self.back.cancel_all();
            while self.back.pending() > 0 && self.back.wait_next_complete(LIMIT).is_some() {}
        }
        self.sent()?;
        read
    }
}
