//! Services and programs that are in the way, and lines they left claimed.

use super::boot::nix;
use super::{Distribution, Groups, Host, Init, Packages, Service, System};

impl System {
    /// Stops a service by its name, without an ending.
    fn stop_service(&self, name: &str) -> String {
        match self.init {
            Init::Systemd => self.as_root(&format!("systemctl stop {name}.service")),
            Init::OpenRc => self.as_root(&format!("rc-service {name} stop")),
            Init::Runit => self.as_root(&format!("sv down {name}")),
            Init::Procd => self.as_root(&format!("/etc/init.d/{name} stop")),
            Init::Other => format!("stop the service {name}"),
        }
    }

    pub(super) fn stop(&self, service: &Service) -> String {
        match service {
            // The shell would read what stands behind a backslash.
            Service::System(unit) if unit.contains('\\') => self.as_root(&format!("systemctl stop '{unit}'")),
            Service::System(unit) => match unit.strip_suffix(".service") {
                Some(name) => self.stop_service(name),
                None if self.init == Init::Systemd => self.as_root(&format!("systemctl stop {unit}")),
                None => self.stop_service(unit),
            },
            Service::User(unit) => format!("systemctl --user stop {unit}"),
            Service::Container(name) => self.as_root(&format!("docker stop {name}")),
            Service::Process { pid, foreign: true } => format!("end it: `{}`", self.as_root(&format!("kill {pid}"))),
            Service::Process { pid, foreign: false } => format!("end it: `kill {pid}`"),
        }
    }

    pub(super) fn no_getty(&self, host: &Host, port: &str) -> String {
        let Distribution { groups, .. } = self.distribution;
        match self.init {
            _ if *groups == Groups::Nix => {
                nix(&format!("systemd.services.\"serial-getty@{port}\".enable = false;"), false)
            }
            Init::Systemd => self.as_root(&format!("systemctl disable --now serial-getty@{port}.service")),
            _ if host.text("etc/inittab").is_some_and(|text| text.contains(port)) => {
                format!("{} && {}", self.as_root(&format!("sed -i '/{port}/ s/^/#/' /etc/inittab")), self.reboot())
            }
            Init::Runit => self.as_root(&format!("sv down agetty-{port}")),
            _ => format!("switch the login prompt on {port} off, then restart the computer"),
        }
    }

    pub(super) fn remove(&self, name: &str) -> String {
        let root = |command: &str| self.as_root(&format!("{command} {name}"));
        match self.distribution.packages {
            Packages::Apt => root("apt remove"),
            Packages::Dnf => root("dnf remove"),
            Packages::Zypper => root("zypper remove"),
            Packages::Pacman => root("pacman -R"),
            Packages::Apk => root("apk del"),
            Packages::Opkg => root("opkg remove"),
            Packages::Nix => nix(&format!("services.{name}.enable = false;"), false),
            Packages::None => self.stop_service(name),
        }
    }

    /// A line that a script exported stays claimed until somebody takes the export back.
    pub(super) fn unexport(&self, host: &Host, line: u8) -> String {
        let number = u32::from(line) + sysfs_base(host);
        format!("echo {number} | {}", self.as_root("tee /sys/class/gpio/unexport"))
    }
}

/// The first number of the header's lines in `/sys/class/gpio`: the chip's own, else what the kernel's release has. Raspberry
/// Pi kernels count from 512 since 6.6, from 0 before.
fn sysfs_base(host: &Host) -> u32 {
    let folder = "sys/class/gpio";
    let header = host.names(folder).into_iter().find_map(|name| {
        let label = host.text(&format!("{folder}/{name}/label"))?;
        crate::link::host::lines::HEADERS.contains(&label.as_str()).then_some(())?;
        host.text(&format!("{folder}/{name}/base"))?.parse().ok()
    });
    let release = host.text("proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    header.unwrap_or(match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= (6, 6) => 512,
        _ => 0,
    })
}
