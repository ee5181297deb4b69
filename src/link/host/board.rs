//! What board this is, and where its UARTs lead. Decided by the device tree, never by names that moved between models.

use serde::Serialize;

use super::Host;
use crate::link::gpio::header_pin;

/// The computer as people call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Board {
    /// The model as the device tree or the firmware has it; `None` when neither says.
    pub model: Option<String>,
    /// The Raspberry Pi generation, 1 to 5; a Zero counts as 1, a Zero 2 as 3, a 500 as 5. `None` for anything else.
    pub pi: Option<u8>,
    /// The system's own name: `Debian GNU/Linux 12 (bookworm)`.
    pub system: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
}

/// The chips of the Raspberry Pi generations (raspberrypi/linux, device trees).
const PI_CHIPS: [(&str, u8); 6] = [
    ("brcm,bcm2712", 5),
    ("brcm,bcm2711", 4),
    ("brcm,bcm2837", 3),
    ("brcm,bcm2836", 2),
    ("brcm,bcm2835", 1),
    ("brcm,bcm2708", 1),
];

impl Board {
    /// The board of a computer.
    pub fn of(host: &Host) -> Self {
        let compatible = host.texts(&host.tree("compatible"));
        let pi = compatible.iter().any(|text| text.starts_with("raspberrypi,")).then_some(()).and_then(|()| {
            PI_CHIPS.iter().find(|(chip, _)| compatible.iter().any(|text| text == chip)).map(|(_, number)| *number)
        });
        let system = Some(super::system::release(host, "PRETTY_NAME")).filter(|name| !name.is_empty());
        let model = host.text(&host.tree("model")).or_else(|| host.text("sys/class/dmi/id/product_name"));
        Self { model, pi, system, kernel: host.text("proc/sys/kernel/osrelease") }
    }

    /// Board and system in one line.
    pub fn words(&self) -> String {
        let model = self.model.clone().unwrap_or_else(|| "unknown computer".to_owned());
        let parts = [Some(model), self.system.clone(), self.kernel.as_ref().map(|kernel| format!("kernel {kernel}"))];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Where a UART of the board leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uart {
    /// The 40-pin header: GPIO14 (pin 8) sends, GPIO15 (pin 10) receives.
    Header,
    /// The header, driven by the mini-UART, whose rate follows the core clock.
    HeaderMini,
    /// One of the further UARTs, on these lines of the header by BCM number.
    Extra {
        /// Sends.
        tx: u8,
        /// Receives.
        rx: u8,
    },
    /// The board's own Bluetooth chip.
    Bluetooth,
    /// The three-pin debug connector of a Pi 5, which is not on the header.
    Debug,
}

impl Uart {
    /// What it is, for lists.
    pub fn words(self) -> String {
        match self {
            Self::Header => "header UART, pins 8 (TX) and 10 (RX)".to_owned(),
            Self::HeaderMini => "header UART (mini-UART), pins 8 (TX) and 10 (RX)".to_owned(),
            Self::Extra { tx, rx } => {
                let pin = |line| header_pin(line).unwrap_or_default();
                format!("header UART, pins {} (TX, GPIO{tx}) and {} (RX, GPIO{rx})", pin(tx), pin(rx))
            }
            Self::Bluetooth => "the board's Bluetooth".to_owned(),
            Self::Debug => "debug connector of the Pi 5, not the header".to_owned(),
        }
    }

    /// Whether a module can be wired to it.
    pub const fn is_wire(self) -> bool {
        matches!(self, Self::Header | Self::HeaderMini | Self::Extra { .. })
    }

    /// Where the tty called `name` leads; `None` for a port that is no UART of a Raspberry Pi, or when the device tree
    /// does not tell.
    pub fn of(host: &Host, name: &str) -> Option<Self> {
        let tty = format!("sys/class/tty/{name}/device");
        let node = host
            .real(&format!("{tty}/of_node"))
            // Newer kernels put a port device between the tty and its UART.
            .or_else(|| host.real(&format!("{tty}/../../of_node")));
        let Some(path) = node else { return Self::by_device(host, &tty) };
        let (path, node) = (path.as_str(), path.rsplit('/').next()?);
        if let Some((_, tx, rx)) = EXTRA.iter().find(|(known, _, _)| *known == node && !path.contains("rp1")) {
            return Some(Self::Extra { tx: *tx, rx: *rx });
        }
        if let Some((_, tx, rx)) = EXTRA_RP1.iter().find(|(known, _, _)| *known == node && path.contains("rp1")) {
            return Some(Self::Extra { tx: *tx, rx: *rx });
        }
        match node {
            // Pi 5: the UARTs of the header are in the RP1, uart0 first; the chip's own are debug and Bluetooth.
            "serial@30000" if path.contains("rp1") => Some(Self::Header),
            "serial@7d001000" => Some(Self::Debug),
            "serial@7d50c000" => Some(Self::Bluetooth),
            // Pi 1 to 4: the PL011 and the mini-UART can be on the header or on the Bluetooth chip.
            "serial@7e201000" => match pins(host, "uart0_pins").as_slice() {
                [] => None,
                pins if pins.contains(&14) => Some(Self::Header),
                _ => Some(Self::Bluetooth),
            },
            "serial@7e215040" => match pins(host, "uart1_pins").as_slice() {
                [] => primary(host, node).then_some(Self::HeaderMini),
                pins if pins.contains(&14) => Some(Self::HeaderMini),
                _ => Some(Self::Bluetooth),
            },
            _ => None,
        }
    }
}

/// The further UARTs of a Pi 4 (raspberrypi/linux, overlays uart2 to uart5): address, TX and RX.
const EXTRA: [(&str, u8, u8); 4] =
    [("serial@7e201400", 0, 1), ("serial@7e201600", 4, 5), ("serial@7e201800", 8, 9), ("serial@7e201a00", 12, 13)];
/// The further UARTs in the RP1 of a Pi 5 (overlays uart1-pi5 to uart4-pi5).
const EXTRA_RP1: [(&str, u8, u8); 4] =
    [("serial@34000", 0, 1), ("serial@38000", 4, 5), ("serial@3c000", 8, 9), ("serial@40000", 12, 13)];

impl Uart {
    /// By the address in the name of the device, where the kernel keeps no way back to the device tree:
    /// `fe201a00.serial` on a Pi 4.
    fn by_device(host: &Host, tty: &str) -> Option<Self> {
        let device = host.real(tty)?;
        let address = device.split('/').find_map(|part| part.strip_suffix(".serial"))?;
        let extra = EXTRA.iter().find(|(node, _, _)| {
            node.strip_prefix("serial@7e").is_some_and(|low| address.strip_prefix("fe") == Some(low))
        });
        extra.map(|(_, tx, rx)| Self::Extra { tx: *tx, rx: *rx })
    }
}

/// The GPIO lines of a pin group of a Pi 1 to 4.
fn pins(host: &Host, group: &str) -> Vec<u8> {
    let cells = host.bytes(&host.tree(&format!("soc/gpio@7e200000/{group}/brcm,pins"))).unwrap_or_default();
    let pin = |cell: &[u8]| match cell {
        [0, 0, 0, pin] => Some(*pin),
        _ => None,
    };
    cells.chunks_exact(4).filter_map(pin).collect()
}

/// Whether the board calls this UART its first one.
fn primary(host: &Host, node: &str) -> bool {
    host.text(&host.tree("aliases/serial0")).is_some_and(|path| path.ends_with(node))
}
