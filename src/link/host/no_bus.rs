//! Why a computer has no SPI bus for programs, from what its files say, and what helps.

use super::Host;
use super::board::Board;
use super::buses::{self, hidden, taken};
use super::firmware::{Line, Settings, Switch};
use super::fix::{Fix, quoted};
use super::lines::chips;
use super::modules;
use super::select::{BusLines, Claim, claimed};
use super::system::System;

/// The reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A container or WSL, to which none was given.
    NotPassedIn,
    /// A kernel driver has the device: a display, a touch screen, a radio.
    Driver {
        /// Its name.
        driver: String,
        /// The device: `spi0.0`.
        device: String,
        /// The overlay that brought it.
        overlay: Option<Line>,
    },
    /// The header's controller is routed to the boot EEPROM by an overlay.
    Eeprom(Line),
    /// The kernel's modules are gone.
    Modules(modules::Gone),
    /// A file keeps the module out.
    Blacklisted {
        /// The file.
        file: String,
        /// The module.
        module: String,
    },
    /// The controller is switched on, and its driver could not start: somebody has one of its lines.
    LineTaken {
        /// Who.
        claim: Claim,
        /// The overlay that brought it.
        overlay: Option<Line>,
    },
    /// The controller is switched on, and its driver did not start; nobody is seen to have its lines.
    NotStarted,
    /// There is a device, and no driver took it: `spi0.0`.
    NoDriver(String),
    /// This kernel has no spidev.
    NoSpidev,
    /// The controller runs, and no device hangs on it.
    NoDevice,
    /// The boot partition is not mounted.
    Unmounted,
    /// The line stands under a filter of another board.
    Filtered(Line),
    /// The line stands in a file that the firmware does not read.
    WrongFile {
        /// Where it stands.
        there: String,
        /// What is read.
        read: String,
    },
    /// Switched on since the start, or nobody can tell when: this file, and whether it is surely newer than the start.
    NotRestarted {
        /// The file.
        file: String,
        /// It was changed after the start.
        newer: bool,
    },
    /// Switched on before the start, and the firmware did not do it.
    Ignored(Line),
    /// Only the bus of the boot EEPROM is there.
    OnlyEeprom,
    /// Off.
    Off,
}

/// The reason, for a computer without a bus.
pub fn reason(host: &Host, system: &System) -> Reason {
    // A PC has no SPI for programs, whatever hangs on its own: the memory with its firmware.
    if !host.has(&host.tree("compatible")) && !system.wsl {
        return Reason::Off;
    }
    if system.container.is_some() || system.wsl {
        return Reason::NotPassedIn;
    }
    let settings = Settings::of(host, system);
    if let Some((bus, driver)) = taken(host).into_iter().next() {
        let overlay = overlay_of(&settings, &driver);
        return Reason::Driver { driver, device: format!("spi{}.{}", bus.bus, bus.select), overlay };
    }
    if let Some(line) = settings.overlay("spi-gpio40-45") {
        return Reason::Eeprom(line.clone());
    }
    if let Some(gone) = modules::gone(host) {
        return Reason::Modules(gone);
    }
    // What the settings say counts for a Raspberry Pi; NixOS and Armbian have settings of their own.
    let pi = Board::of(host).pi.is_some();
    let switch = if pi { settings.spi(host) } else { Switch::Off };
    running(host, &settings, &switch).unwrap_or_else(|| off(host, system, &settings, pi, switch))
}

/// What the kernel shows of a controller that is switched on.
fn running(host: &Host, settings: &Settings, switch: &Switch) -> Option<Reason> {
    if let Some(device) = buses::without_driver(host).into_iter().next() {
        return Some(match modules::blacklisted(host, "spidev") {
            Some(file) => Reason::Blacklisted { file, module: "spidev".to_owned() },
            None if modules::available(host, "spidev") == Some(false) => Reason::NoSpidev,
            None => Reason::NoDriver(device),
        });
    }
    let (node, started) = controller(host)?;
    if started {
        return None;
    }
    for module in ["spi_bcm2835", "spi_dw_mmio", "spidev"] {
        if let Some(file) = modules::blacklisted(host, module) {
            return Some(Reason::Blacklisted { file, module: module.to_owned() });
        }
    }
    let lines = BusLines::of_node(&node)?;
    let wanted: Vec<u8> = lines.all().collect();
    if let Some(claim) = claimed(host, settings, &chips(host), lines.bus, &wanted) {
        let overlay = claim.line.and_then(|line| settings.overlay_with(line)).cloned();
        return Some(Reason::LineTaken { claim, overlay });
    }
    // Without a sign of it being switched on, a controller that does not run is one that is off.
    matches!(switch, Switch::On(_)).then_some(Reason::NotStarted)
}

fn off(host: &Host, system: &System, settings: &Settings, pi: bool, switch: Switch) -> Reason {
    if pi && settings.unmounted {
        return Reason::Unmounted;
    }
    let only_eeprom = || if hidden(host).is_empty() { Reason::Off } else { Reason::OnlyEeprom };
    // Its settings file is not what NixOS goes by.
    if system.distribution.groups == super::system::Groups::Nix {
        return only_eeprom();
    }
    match switch {
        Switch::Filtered(line) => Reason::Filtered(line),
        Switch::Elsewhere(there) => match settings.file() {
            Some(read) => Reason::WrongFile { there: format!("/{there}"), read },
            None => only_eeprom(),
        },
        Switch::Off => only_eeprom(),
        Switch::On(line) => {
            let newer = host.booted().and_then(|start| Some(host.changed(&line.file)? > start));
            match newer {
                Some(false) if controller(host).is_some() => Reason::NoDevice,
                Some(false) => Reason::Ignored(line),
                newer => Reason::NotRestarted { file: format!("/{}", line.file), newer: newer == Some(true) },
            }
        }
    }
}

/// The device-tree path of a header controller that the system made a device of, and whether its driver runs.
fn controller(host: &Host) -> Option<(String, bool)> {
    let folders = [
        "sys/devices/platform/soc",
        "sys/devices/platform",
        "sys/bus/platform/devices",
        "sys/devices/platform/axi/1000120000.pcie",
    ];
    let devices = folders.iter().flat_map(|folder| {
        let names = host.names(folder).into_iter().filter(|name| name.ends_with(".spi"));
        names.map(|name| format!("{folder}/{name}")).collect::<Vec<_>>()
    });
    let mut found = devices.filter_map(|device| {
        let node = host.real(&format!("{device}/of_node"))?;
        let on_header = BusLines::of_node(&node).is_some_and(|lines| lines.bus == 0);
        on_header.then(|| (node, host.target(&format!("{device}/driver")).is_some()))
    });
    found.next()
}

/// The overlay that brought a driver, by what their names share: `pitft28-resistive` and `fb_ili9341` share nothing but the
/// bus, so that the overlay of a known kind of screen counts too.
pub(super) fn overlay_of(settings: &Settings, driver: &str) -> Option<Line> {
    const SCREENS: [&str; 9] =
        ["pitft", "tft", "waveshare", "lcd", "piscreen", "fbtft", "adafruit", "rpi-display", "mipi-dbi"];
    let bare = driver.trim_start_matches("fb_");
    let named = settings.overlays().find(|line| line.text.contains(bare));
    let screen = || settings.overlays().find(|line| SCREENS.iter().any(|name| line.text.contains(name)));
    named.or_else(screen).cloned()
}

impl Reason {
    /// What was found, for people.
    pub fn found(&self, host: &Host) -> String {
        match self {
            Self::NotPassedIn => "no SPI bus was given to this system".to_owned(),
            Self::Driver { driver, device, .. } => format!("the driver {driver} uses {device}"),
            Self::Eeprom(_) => {
                "the only SPI bus is routed to this computer's own boot EEPROM, which is never opened".to_owned()
            }
            Self::Modules(gone) => gone.words(),
            Self::Blacklisted { file, module } => format!("/{file} keeps the module {module} from being loaded"),
            Self::LineTaken { claim, .. } => {
                format!("SPI is switched on, and its driver could not start: {}", claim.words())
            }
            Self::NotStarted => "SPI is switched on, and the driver of its controller did not start".to_owned(),
            Self::NoDriver(device) => format!("{device} is there, and no driver took it"),
            Self::NoSpidev => "the bus is there, and this kernel has no spidev".to_owned(),
            Self::NoDevice => "the controller of SPI0 runs, and no device hangs on it".to_owned(),
            Self::Unmounted => "the boot partition with config.txt is not mounted".to_owned(),
            Self::Filtered(line) => {
                format!("{} in /{} stands under {}, which is not for this board", line.text, line.file, line.filter)
            }
            Self::WrongFile { there, read } => format!("SPI is switched on in {there}, but the firmware reads {read}"),
            Self::NotRestarted { file, newer: true } => format!("SPI was switched on in {file} after the last start"),
            Self::NotRestarted { file, newer: false } => format!("SPI is switched on in {file}, but not active"),
            Self::Ignored(line) => {
                format!("{} stands in /{} since before the last start, and had no effect", line.text, line.file)
            }
            Self::OnlyEeprom => {
                "only the bus of this computer's own boot EEPROM is there, which is never opened; the header's is off"
                    .to_owned()
            }
            Self::Off if host.has(&host.tree("compatible")) || Board::of(host).pi.is_some() => {
                "SPI is off (no /dev/spidev node)".to_owned()
            }
            Self::Off => "this computer has no SPI bus for programs".to_owned(),
        }
    }

    /// What helps on this system.
    pub fn remedy(&self, host: &Host, system: &System) -> String {
        match self {
            Self::NotPassedIn | Self::OnlyEeprom | Self::Off => system.fix(host, Fix::SpiOn),
            Self::Driver { overlay: Some(line), .. } | Self::Eeprom(line) => system.fix(host, Fix::NoSetting(line)),
            Self::Driver { overlay: None, driver, .. } => {
                format!("take the overlay that brings the driver {driver} away, then {}", quoted(&system.reboot()))
            }
            Self::Modules(_) => system.fix(host, Fix::Restart),
            Self::Blacklisted { file, module } => system.fix(host, Fix::Unblock(file, module)),
            Self::LineTaken { overlay: Some(line), .. } => {
                format!(
                    "{}; or give {} another line",
                    quoted(&system.fix(host, Fix::NoSetting(line))),
                    overlay_name(line)
                )
            }
            Self::LineTaken { claim, overlay: None } => {
                format!("take the overlay or HAT behind {} away, then {}", claim.by, quoted(&system.reboot()))
            }
            Self::NotStarted => format!("{} shows why", quoted(&system.as_root("dmesg | grep -i spi"))),
            Self::NoDriver(device) => match modules::loaded(host, "spidev") {
                true => system.fix(host, Fix::Bind(device)),
                false => format!(
                    "{}; if no node appears: {}",
                    quoted(&system.fix(host, Fix::Load("spidev"))),
                    quoted(&system.fix(host, Fix::Bind(device)))
                ),
            },
            Self::NoSpidev => system.fix(host, Fix::InstallModule("spidev")),
            Self::NoDevice => system.fix(host, Fix::Setting("dtoverlay=spi0-2cs")),
            Self::Unmounted => system.fix(host, Fix::MountBoot),
            Self::Filtered(_) | Self::WrongFile { .. } => system.fix(host, Fix::Setting("dtparam=spi=on")),
            Self::NotRestarted { newer: true, .. } => system.fix(host, Fix::Restart),
            Self::NotRestarted { newer: false, .. } => format!(
                "{}; if SPI stays away after that: {} shows why",
                quoted(&system.fix(host, Fix::Restart)),
                quoted(&system.as_root("dmesg | grep -i spi"))
            ),
            Self::Ignored(line) => format!(
                "look whether the firmware starts from the partition with /{}: {} shows its settings",
                line.file, "`vcgencmd get_config str`"
            ),
        }
    }
}

/// The overlay's own name.
fn overlay_name(line: &Line) -> &str {
    line.text.trim_start_matches("dtoverlay=").split(',').next().unwrap_or("it")
}
