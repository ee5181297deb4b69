//! What has to be done, as a value, and how it is typed on the system at hand. A remedy is nothing but its command where
//! that is all; where something stays to be done by hand, the command stands between backticks in the sentence.

mod boot;
mod rights;
mod services;

use super::Host;
use super::firmware::{Line, Settings};
use super::reach::{Reach, number_of};
use super::system::{Container, Distribution, Groups, Init, Packages, System};

/// What helps.
#[derive(Clone, Copy, Debug)]
pub enum Fix<'a> {
    /// Switch on the SPI bus that a module is wired to.
    SpiOn,
    /// Switch on the UART of a Raspberry Pi's header; with the generation.
    HeaderUartOn(u8),
    /// Add a line to the firmware's settings.
    Setting(&'a str),
    /// Take a line out of the firmware's settings.
    NoSetting(&'a Line),
    /// Make the boot partition visible.
    MountBoot,
    /// Restart the computer.
    Restart,
    /// Load a kernel module, now and at every start.
    Load(&'a str),
    /// Give an SPI device that no driver took to spidev: `spi0.0`.
    Bind(&'a str),
    /// Load a module that this file keeps out.
    Unblock(&'a str, &'a str),
    /// Install the package with a kernel module that this kernel lacks.
    InstallModule(&'a str),
    /// Newer kernel.
    UpdateKernel,
    /// spidev takes longer messages.
    BufSize(u32),
    /// The right to use a node, whose usual group is named.
    Rights(&'a str, &'a str, &'a Reach),
    /// The right to use a USB device without a driver, given by its node.
    UsbRights(&'a str),
    /// The kernel writes its messages to another port than this one.
    NoConsole(&'a str),
    /// No login prompt on this port.
    NoGetty(&'a str),
    /// Stop a service.
    Stop(&'a Service),
    /// Uninstall a program that runs as a service.
    Remove(&'a str),
    /// Free a GPIO line that was exported through `/sys/class/gpio`; with its BCM number.
    Unexport(u8),
    /// Let a USB device in: it is plugged into the computer, and this system does not see it.
    PassUsb,
}

/// Who keeps a process running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// A unit of the system: `octoprint.service`.
    System(String),
    /// A unit of a logged-in user.
    User(String),
    /// A container, by the beginning of its number or by its name.
    Container(String),
    /// Nobody: a program that was started by hand, and whether this user may end it.
    Process {
        /// Its number.
        pid: u32,
        /// It belongs to somebody else.
        foreign: bool,
    },
}

impl System {
    /// How the fix is done here: a command that can be copied as it stands, or words with their commands in backticks.
    pub fn fix(&self, host: &Host, fix: Fix<'_>) -> String {
        if let Some(words) = self.container.and_then(|kind| self.in_container(host, kind, fix)) {
            return words;
        }
        match fix {
            Fix::SpiOn => self.spi_on(host),
            Fix::HeaderUartOn(pi) => self.uart_on(host, pi),
            Fix::Setting(line) => self.setting(host, line),
            Fix::NoSetting(line) => self.no_setting(line),
            Fix::MountBoot => self.as_root("mount /boot/firmware"),
            Fix::Restart => self.reboot(),
            Fix::Load(module) => self.load(host, module),
            Fix::Bind(device) => self.bind(host, device),
            Fix::Unblock(file, module) => self.unblock(file, module),
            Fix::InstallModule(module) => self.install_module(host, module),
            Fix::UpdateKernel => self.update_kernel(),
            Fix::BufSize(bytes) => self.bufsiz(host, bytes),
            Fix::Rights(node, usual, reach) => self.rights(host, node, usual, reach),
            Fix::UsbRights(node) => self.usb_rights(host, node),
            Fix::NoConsole(port) => self.no_console(host, port),
            Fix::NoGetty(port) => self.no_getty(host, port),
            Fix::Stop(service) => self.stop(service),
            Fix::Remove(name) => self.remove(name),
            Fix::Unexport(line) => self.unexport(host, line),
            Fix::PassUsb => self.pass_usb(),
        }
    }

    /// In a container devices come from outside; `None` for what is the same there.
    fn in_container(&self, host: &Host, kind: Container, fix: Fix<'_>) -> Option<String> {
        match fix {
            Fix::SpiOn if !host.has(&host.tree("compatible")) => None,
            Fix::SpiOn => Some(pass_in(host, kind, &["/dev/spidev0.0", "/dev/gpiochip0"], None)),
            Fix::Rights(node, usual, reach) => (*reach != Reach::Ready).then(|| {
                let group = host.node(node).map(|node| node.group).filter(|group| *group != 0);
                // A group that has no number in here: what counts is the one that the node should have inside.
                let inside = number_of(host, "etc/group", usual).filter(|_| kind == Container::Lxc);
                pass_in(host, kind, &[node], if group == Some(NOBODY) { inside.or(group) } else { group })
            }),
            Fix::UsbRights(_) => Some(pass_in(host, kind, &["/dev/bus/usb"], None)),
            Fix::PassUsb => {
                Some(format!("plug in a USB serial adapter, then {}", pass_in(host, kind, &["/dev/ttyUSB0"], None)))
            }
            Fix::Stop(Service::Process { .. }) => None,
            Fix::HeaderUartOn(_) => Some(format!(
                "switch the header's UART on in the system of the computer itself, then {}",
                pass_in(host, kind, &["/dev/ttyAMA0"], None)
            )),
            // The kernel and its services are those of the computer around it.
            _ => Some(
                "do that on the computer that runs the container: its kernel, drivers and services are not in here"
                    .to_owned(),
            ),
        }
    }

    /// What makes a USB device appear in this system, where it is not on a bus of its own.
    fn pass_usb(&self) -> String {
        match self.wsl {
            true => "in a PowerShell of an administrator: `usbipd list`, `usbipd bind --busid BUSID`, then `usbipd attach --wsl --busid BUSID`".to_owned(),
            false => "plug in a USB serial adapter".to_owned(),
        }
    }
}

/// The number that stands for every group without a number in a container.
const NOBODY: u32 = 65_534;

/// The words by which a command begins that a remedy is made of.
const COMMANDS: [&str; 30] = [
    "sudo",
    "doas",
    "echo",
    "printf",
    "mount",
    "tee",
    "sed",
    "reboot",
    "kill",
    "docker",
    "modprobe",
    "systemctl",
    "sv",
    "rc-service",
    "raspi-config",
    "usermod",
    "groupadd",
    "addgroup",
    "chmod",
    "chgrp",
    "mdev",
    "udevadm",
    "apt",
    "dnf",
    "zypper",
    "pacman",
    "apk",
    "opkg",
    "update-initramfs",
    "dmesg",
];

/// Whether a text is nothing but a command.
fn is_command(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    COMMANDS.contains(&first) || first.starts_with("/etc/init.d/")
}

/// A remedy as it stands in a sentence: a command between backticks, words as they are.
pub fn quoted(remedy: &str) -> String {
    if is_command(remedy) && !remedy.contains('`') { format!("`{remedy}`") } else { remedy.to_owned() }
}

/// What of a remedy is typed into a shell: what stands between the first backticks, else all of it.
pub fn command(remedy: &str) -> &str {
    remedy.split('`').nth(1).unwrap_or(remedy)
}

/// How nodes come into a container; `group` is the number of the group they belong to.
fn pass_in(host: &Host, kind: Container, nodes: &[&str], group: Option<u32>) -> String {
    let list = |each: &dyn Fn(&str) -> String| nodes.iter().map(|node| each(node)).collect::<Vec<_>>().join(" ");
    match kind {
        Container::Docker => {
            let devices = list(&|node| format!("--device {node}"));
            let group = match group {
                // Podman without root: the groups of the user outside.
                Some(NOBODY) => " --group-add keep-groups".to_owned(),
                Some(group) => format!(" --group-add {group}"),
                None => String::new(),
            };
            format!("start the container with `{devices}{group}`")
        }
        Container::Lxc => {
            let name = host.text("etc/hostname").unwrap_or_else(|| "NAME".to_owned());
            let group = group.map(|group| format!(" gid={group}")).unwrap_or_default();
            let each = |node: &str| {
                let device = node.rsplit('/').next().unwrap_or(node);
                format!("`lxc config device add {name} {device} unix-char source={node}{group}`")
            };
            format!("on the computer that runs the container: {}", list(&each))
        }
        Container::Addon => {
            let serial = nodes.iter().all(|node| node.contains("tty"));
            let options = match (serial, nodes.iter().any(|node| node.contains("bus/usb"))) {
                (true, _) => "`uart: true`".to_owned(),
                (_, true) => "`usb: true`".to_owned(),
                _ => format!("`devices: [{}]`", nodes.join(", ")),
            };
            format!("add {options} to the options of the add-on (its config.yaml), then restart the add-on")
        }
    }
}
