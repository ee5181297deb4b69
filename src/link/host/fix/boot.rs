//! What takes effect at the next start: firmware settings, kernel modules, the kernel's command line.

use super::{Groups, Host, Init, Line, Packages, Settings, System};
use crate::link::host::board::Board;
use crate::link::host::firmware::{Switch, ends_filtered};
use crate::link::host::modules;
use crate::link::host::system::Grub;

/// Where NixOS keeps everything.
const NIX: &str = "/etc/nixos/configuration.nix";
/// Armbian's settings for the boot loader.
const ARMBIAN: &str = "boot/armbianEnv.txt";
/// The program of Raspberry Pi OS that changes settings.
const RASPI_CONFIG: &str = "usr/bin/raspi-config";

/// What an option of NixOS is followed by.
pub(super) fn nix(option: &str, boot: bool) -> String {
    let then = if boot { "`sudo nixos-rebuild boot && sudo reboot`" } else { "`sudo nixos-rebuild switch`" };
    format!("add `{option}` to {NIX}, then {then}")
}

/// Whether a line put behind the end of a file stands by itself.
fn ends_whole(host: &Host, file: &str) -> bool {
    host.bytes(file).is_none_or(|bytes| bytes.last().is_none_or(|last| *last == b'\n'))
}

/// An overlay of the Raspberry Pi's firmware, as NixOS takes it.
fn nix_overlay(name: &str) -> String {
    format!(
        "hardware.deviceTree.overlays = [ {{ name = \"{name}\"; dtboFile = \"${{pkgs.device-tree_rpi.overlays}}/{name}.dtbo\"; }} ];"
    )
}

impl System {
    pub(super) fn spi_on(&self, host: &Host) -> String {
        let board = Board::of(host);
        match board.pi {
            _ if self.wsl => "Linux in Windows has no SPI: use UART, or a CH341A that is passed in (`usbipd attach --wsl --busid BUSID` in Windows)".to_owned(),
            _ if self.distribution.groups == Groups::Nix => nix(&nix_overlay("spi0-1cs"), true),
            Some(_) => {
                let settings = Settings::of(host, self);
                let simple = settings.spi(host) == Switch::Off;
                match self.raspi_config(host, &settings, "do_spi 0") {
                    Some(command) if simple => command,
                    _ => self.setting(host, "dtparam=spi=on"),
                }
            }
            None if self.distribution.name == "Armbian" => self.armbian_spi(host),
            None if host.has(&host.tree("compatible")) => {
                "switch on the device-tree overlay that puts spidev on the board's SPI bus (the board's documentation names it), or use UART".to_owned()
            }
            None => "use UART, or an SPI adapter on USB such as a CH341A".to_owned(),
        }
    }

    pub(super) fn uart_on(&self, host: &Host, pi: u8) -> String {
        let settings = Settings::of(host, self);
        let wanted = if self.old_raspi_config(host) { "do_serial 2" } else { "do_serial_hw 0" };
        let line = if pi == 5 { "dtparam=uart0=on" } else { "enable_uart=1" };
        let simple = settings.uart(pi) == Switch::Off;
        match self.raspi_config(host, &settings, wanted) {
            Some(command) if simple => command,
            _ if self.distribution.groups == Groups::Nix => nix(&nix_overlay("uart0"), true),
            _ => self.setting(host, line),
        }
    }

    /// A step of raspi-config, where it is there and does not write its line under a filter or onto the end of another.
    fn raspi_config(&self, host: &Host, settings: &Settings, step: &str) -> Option<String> {
        let file = settings.own.as_ref()?;
        let fits = host.has(RASPI_CONFIG)
            && settings.own == settings.main
            && !ends_filtered(host, file)
            && ends_whole(host, file);
        fits.then(|| format!("{} && {}", self.as_root(&format!("raspi-config nonint {step}")), self.reboot()))
    }

    /// Whether raspi-config is older than Debian 12: one switch for UART and console. Its own text tells, else the
    /// system's release.
    pub(super) fn old_raspi_config(&self, host: &Host) -> bool {
        let text = host.text(RASPI_CONFIG).unwrap_or_default();
        match text.contains("do_serial") {
            true => !text.contains("do_serial_hw"),
            false => ["buster", "stretch", "bullseye"].contains(&self.codename.as_str()),
        }
    }

    /// Adds a line to the firmware's settings: never behind a filter of another board, never onto the end of a line.
    pub(super) fn setting(&self, host: &Host, line: &str) -> String {
        let settings = Settings::of(host, self);
        if settings.unmounted {
            return self.as_root("mount /boot/firmware");
        }
        if self.distribution.groups == Groups::Nix {
            return match line.strip_prefix("dtoverlay=") {
                Some(name) => nix(&nix_overlay(name), true),
                None => nix(&nix_overlay(line.trim_start_matches("dtparam=").split('=').next().unwrap_or(line)), true),
            };
        }
        let there = settings.lines.iter().find(|there| there.text == line && there.applies == Some(true));
        if let Some(there) = there {
            return self.stands_there(host, there);
        }
        let Some(file) = &settings.own else {
            return format!("add {line} to config.txt on the boot partition, then restart the computer");
        };
        let whole = ends_whole(host, file);
        let own_is_read_alone = settings.own != settings.main;
        let filtered = ends_filtered(host, file)
            || (own_is_read_alone && settings.main.as_deref().is_some_and(|main| ends_filtered(host, main)));
        let write = match (whole, filtered) {
            (true, false) => format!("echo {line}"),
            (_, filtered) => {
                let (start, all) = (if whole { "" } else { "\\n" }, if filtered { "[all]\\n" } else { "" });
                format!("printf '{start}{all}{line}\\n'")
            }
        };
        let append = format!("{write} | {}", self.as_root(&format!("tee -a /{file}")));
        let steps = [self.writable(host, file), Some(append), self.refresh(), Some(self.reboot())];
        steps.into_iter().flatten().collect::<Vec<_>>().join(" && ")
    }

    /// A setting that is there already only waits for a restart, unless there was one since.
    fn stands_there(&self, host: &Host, line: &Line) -> String {
        let why = format!("`{}` shows why", self.as_root("dmesg | grep -iE 'spi|uart|tty|overlay'"));
        let newer = host.booted().and_then(|start| Some(host.changed(&line.file)? > start));
        match newer {
            Some(true) => self.reboot(),
            Some(false) => {
                format!("{} stands in /{} since before the last start, and had no effect: {why}", line.text, line.file)
            }
            None => format!("`{}`; if nothing changes: {why}", self.reboot()),
        }
    }

    /// Takes a line out again by putting a comment sign before it.
    pub(super) fn no_setting(&self, line: &Line) -> String {
        let text: String =
            line.text.chars().flat_map(|c| if "/.*[]^$\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
        let change = self.as_root(&format!("sed -i 's/^{text}/#&/' /{}", line.file));
        let steps = [Some(change), self.refresh(), Some(self.reboot())];
        steps.into_iter().flatten().collect::<Vec<_>>().join(" && ")
    }

    fn refresh(&self) -> Option<String> {
        self.distribution.refresh.map(|command| self.as_root(command))
    }

    /// What makes the file system of a file writable, where it is mounted read-only.
    fn writable(&self, host: &Host, file: &str) -> Option<String> {
        let mounts = host.text("proc/mounts").unwrap_or_default();
        let path = format!("/{file}");
        let place = mounts.lines().filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (place, options) = (fields.next()?, fields.nth(1)?);
            let inside = path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
            inside.then(|| (place.to_owned(), options.split(',').any(|option| option == "ro")))
        });
        let nearest = place.max_by_key(|(place, _)| place.len());
        let read_only = match nearest {
            Some((place, read_only)) => read_only.then_some(place),
            // Without a list of mounts: these two are read-only as they come.
            None if file.starts_with("flash/") => Some("/flash".to_owned()),
            None if file.starts_with("media/") => file.rsplit_once('/').map(|(folder, _)| format!("/{folder}")),
            None => None,
        };
        read_only.map(|place| self.as_root(&format!("mount -o remount,rw {place}")))
    }

    fn armbian_spi(&self, host: &Host) -> String {
        let text = host.text(ARMBIAN).unwrap_or_default();
        let names: Vec<String> = ["boot/dtb", "boot/dtb/allwinner", "boot/dtb/rockchip", "boot/dtb/amlogic"]
            .iter()
            .flat_map(|folder| host.names(&format!("{folder}/overlay")))
            .filter(|name| name.contains("spidev"))
            .collect();
        let prefix = text.lines().find_map(|line| line.strip_prefix("overlay_prefix=")).unwrap_or_default();
        let fits = names.iter().find_map(|name| {
            Some(name.strip_prefix(prefix)?.trim_start_matches('-').split(".dtbo").next()?.to_owned())
        });
        let overlay = fits.unwrap_or_else(|| "spi-spidev".to_owned());
        let by_menu = ["usr/sbin/armbian-config", "usr/bin/armbian-config"].iter().any(|file| host.has(file));
        let edit = if text.lines().any(|line| line.starts_with("overlays=")) {
            self.as_root(&format!("sed -i '/^overlays=/ s/$/ {overlay}/' /{ARMBIAN}"))
        } else {
            format!("echo overlays={overlay} | {}", self.as_root(&format!("tee -a /{ARMBIAN}")))
        };
        let edit = format!("{edit} && {}", self.reboot());
        match by_menu {
            true => format!(
                "`{}` (System, Hardware): switch the overlay {overlay} on; or `{edit}`",
                self.as_root("armbian-config")
            ),
            false => edit,
        }
    }

    pub(super) fn load(&self, host: &Host, module: &str) -> String {
        if self.distribution.groups == Groups::Nix {
            return nix(&format!("boot.kernelModules = [ \"{module}\" ];"), false);
        }
        let now = self.as_root(&format!("modprobe {module}"));
        let keep = match self.init {
            Init::Systemd if host.has("etc/modules-load.d") => Some(format!("/etc/modules-load.d/{module}.conf")),
            _ if host.has("etc/modules") => Some("/etc/modules".to_owned()),
            _ => None,
        };
        match keep {
            Some(file) => format!("{now} && echo {module} | {}", self.as_root(&format!("tee -a {file}"))),
            None => now,
        }
    }

    pub(super) fn bind(&self, host: &Host, device: &str) -> String {
        let first = match modules::loaded(host, "spidev") {
            true => String::new(),
            false => format!("{} && ", self.as_root("modprobe spidev")),
        };
        let over = self.as_root(&format!("tee /sys/bus/spi/devices/{device}/driver_override"));
        let bind = self.as_root("tee /sys/bus/spi/drivers/spidev/bind");
        format!("{first}echo spidev | {over} && echo {device} | {bind}")
    }

    pub(super) fn unblock(&self, file: &str, module: &str) -> String {
        let name: String =
            module.chars().map(|c| if "-_".contains(c) { "[-_]".to_owned() } else { c.to_string() }).collect();
        let change = self.as_root(&format!("sed -i -E 's/^(blacklist|install) +{name}/#&/' /{file}"));
        format!("{change} && {}", self.as_root(&format!("modprobe {module}")))
    }

    pub(super) fn install_module(&self, host: &Host, module: &str) -> String {
        if self.wsl {
            return "update the kernel of WSL: `wsl --update` in Windows, then `wsl --shutdown`; then `sudo modprobe "
                .to_owned()
                + module
                + "`";
        }
        let package = match module {
            "spidev" => "kmod-spi-dev".to_owned(),
            "cdc_acm" => "kmod-usb-acm".to_owned(),
            "ftdi_sio" => "kmod-usb-serial-ftdi".to_owned(),
            other => format!("kmod-usb-serial-{other}"),
        };
        match self.distribution.packages {
            Packages::Opkg if host.has("usr/bin/apk") => {
                format!("{} && {}", self.as_root("apk update"), self.as_root(&format!("apk add {package}")))
            }
            Packages::Opkg => {
                format!("{} && {}", self.as_root("opkg update"), self.as_root(&format!("opkg install {package}")))
            }
            Packages::Apt if self.distribution.name == "Ubuntu" => {
                let install = self.as_root("apt install linux-modules-extra-$(uname -r)");
                format!("{install} && {}", self.as_root(&format!("modprobe {module}")))
            }
            _ => format!("use a kernel that has the driver {module}: the one of the distribution has it as a module"),
        }
    }

    pub(super) fn update_kernel(&self) -> String {
        let root = |command: &str| self.as_root(command);
        let update = match self.distribution.packages {
            Packages::Apt => format!("{} && {}", root("apt update"), root("apt full-upgrade")),
            Packages::Dnf => root("dnf upgrade"),
            Packages::Zypper => root("zypper update"),
            Packages::Pacman => root("pacman -Syu"),
            Packages::Apk => format!("{} && {}", root("apk update"), root("apk upgrade")),
            Packages::Nix => root("nixos-rebuild boot --upgrade"),
            Packages::Opkg | Packages::None => return "update the system, then restart the computer".to_owned(),
        };
        format!("{update} && {}", self.reboot())
    }

    pub(super) fn bufsiz(&self, host: &Host, bytes: u32) -> String {
        match self.cmdline(host) {
            _ if self.distribution.groups == Groups::Nix => {
                nix(&format!("boot.kernelParams = [ \"spidev.bufsiz={bytes}\" ];"), true)
            }
            Some(file) => format!(
                "{} && {}",
                self.as_root(&format!("sed -i '1 s/$/ spidev.bufsiz={bytes}/' /{file}")),
                self.reboot()
            ),
            None => format!("add spidev.bufsiz={bytes} to the kernel's command line, then restart the computer"),
        }
    }

    /// The file with the kernel's command line beside the firmware's settings.
    fn cmdline(&self, host: &Host) -> Option<String> {
        let settings = Settings::of(host, self);
        // Where the settings are made anew, so is this one.
        if settings.own != settings.main {
            return None;
        }
        let (folder, _) = settings.main.as_ref()?.rsplit_once('/')?;
        let file = format!("{folder}/cmdline.txt");
        host.has(&file).then_some(file)
    }

    /// Takes the kernel's messages off a port, in the place where this system keeps the kernel's command line.
    pub(super) fn no_console(&self, host: &Host, port: &str) -> String {
        let pi = Board::of(host).pi;
        let words = console_words(host, port);
        let restart = self.reboot();
        if self.distribution.groups == Groups::Nix {
            return format!(
                "take console={port} out of boot.kernelParams in {NIX}, then `sudo nixos-rebuild boot && {restart}`"
            );
        }
        if pi.is_some() && host.has(RASPI_CONFIG) {
            let step = if self.old_raspi_config(host) { "do_serial 2" } else { "do_serial_cons 1" };
            return format!("{} && {restart}", self.as_root(&format!("raspi-config nonint {step}")));
        }
        if let Some(file) = self.cmdline(host)
            && let Some(word) =
                words.iter().find(|word| host.text(&file).is_some_and(|text| text.contains(word.as_str())))
        {
            return format!("{} && {restart}", self.as_root(&format!("sed -i 's/{word} *//' /{file}")));
        }
        let raspi = "etc/default/raspi-firmware";
        if pi.is_some() && host.has(raspi) && self.distribution.refresh.is_some() {
            let change = self.as_root(&format!("sed -i -E 's/^#?CONSOLES=.*/CONSOLES=\"tty0\"/' /{raspi}"));
            let refresh = self.refresh().unwrap_or_default();
            return format!("{change} && {refresh} && {restart}");
        }
        if host.has(ARMBIAN) {
            let change = if host.text(ARMBIAN).is_some_and(|text| text.lines().any(|line| line.starts_with("console=")))
            {
                self.as_root(&format!("sed -i 's/^console=.*/console=display/' /{ARMBIAN}"))
            } else {
                format!("echo console=display | {}", self.as_root(&format!("tee -a /{ARMBIAN}")))
            };
            return format!("{change} && {restart}");
        }
        let extlinux = "boot/extlinux/extlinux.conf";
        if let Some(word) =
            words.iter().find(|word| host.text(extlinux).is_some_and(|text| text.contains(word.as_str())))
        {
            return format!("{} && {restart}", self.as_root(&format!("sed -i 's/{word} *//' /{extlinux}")));
        }
        match self.distribution.grub {
            Grub::Grubby if host.has("etc/default/grub") => {
                let word = words.first().cloned().unwrap_or_else(|| format!("console={port}"));
                format!("{} && {restart}", self.as_root(&format!("grubby --update-kernel=ALL --remove-args={word}")))
            }
            Grub::File(command) if self.known() && host.has("etc/default/grub") => {
                let word = words.first().cloned().unwrap_or_else(|| format!("console={port}"));
                let change = self.as_root(&format!("sed -i 's/{word} *//' /etc/default/grub"));
                format!("{change} && {} && {restart}", self.as_root(command))
            }
            _ => format!("take console={port} out of the kernel's command line, then restart the computer"),
        }
    }
}

/// The words of the kernel's command line that send its messages to a port, as they stand there or, for an alias, in the
/// file it is made from: `console=serial0,115200`.
fn console_words(host: &Host, port: &str) -> Vec<String> {
    let line = host.text("proc/cmdline").unwrap_or_default();
    let with_rate = line.split_whitespace().find_map(|word| {
        word.strip_prefix(&format!("console={port}")).filter(|rest| rest.is_empty() || rest.starts_with(','))
    });
    let rate = with_rate.unwrap_or(",115200");
    let alias = host.names("dev").into_iter().find(|name| {
        name.starts_with("serial")
            && host.target(&format!("dev/{name}")).is_some_and(|target| target.rsplit('/').next() == Some(port))
    });
    let names = [Some(port.to_owned()), alias];
    names
        .into_iter()
        .flatten()
        .flat_map(|name| [format!("console={name}{rate}"), format!("console={name},115200")])
        .collect()
}
