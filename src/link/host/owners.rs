//! Who uses a serial port or bus already: the kernel's console, a login prompt, Bluetooth, or any process.

use serde::Serialize;

use super::Host;
use super::board::{Board, Uart};

/// Most processes looked at.
const MOST: usize = 32_768;

/// Somebody who uses a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// What kind of user it is.
    pub kind: Kind,
    /// Who, for people: `a login prompt (serial-getty@ttyAMA0)`.
    pub who: String,
    /// The process, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What makes it let go.
    pub remedy: String,
}

/// Kinds of users of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The kernel writes its messages there.
    Console,
    /// A login prompt.
    Getty,
    /// The board's own Bluetooth chip.
    Bluetooth,
    /// ModemManager asks new ports whether they are modems.
    ModemManager,
    /// The driver of braille displays, which takes common USB adapters for one.
    Brltty,
    /// Any other process.
    Process,
}

impl Kind {
    /// Why such an owner is in the way.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Console => "the kernel writes its messages there: they would go to the chip",
            Self::Getty => "a login prompt reads and writes there",
            Self::Bluetooth => "the port is wired to the board's Bluetooth chip, not to the header",
            Self::ModemManager => "ModemManager tries whether a modem answers there",
            Self::Brltty => "brltty takes the adapter for a braille display",
            Self::Process => "a program has it open",
        }
    }
}

/// A process, as far as this user may look at it.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its number.
    pub pid: u32,
    /// Its short name.
    pub name: String,
    /// The system's unit it belongs to, and its arguments.
    about: String,
    /// The device nodes it has open; `None` when this user may not see them.
    holds: Option<Vec<String>>,
}

/// What runs on a computer.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// All processes.
    pub all: Vec<Running>,
}

impl Processes {
    /// Looks at every process, without the one that looks.
    pub fn of(host: &Host) -> Self {
        let own = if host.is_here() { std::process::id() } else { 0 };
        let pids = host.names("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
        let all = pids.filter(|pid| *pid != own).take(MOST).filter_map(|pid| {
            let name = host.text(&format!("proc/{pid}/comm"))?;
            let folder = format!("proc/{pid}/fd");
            let holds = host.try_names(&folder).map(|open| {
                let targets = open.iter().filter_map(|fd| host.target(&format!("{folder}/{fd}")));
                targets.filter(|target| target.starts_with("/dev/")).collect()
            });
            let about = if name.contains("getty") || name == "login" {
                let unit = host.text(&format!("proc/{pid}/cgroup")).unwrap_or_default();
                format!("{unit} {}", host.texts(&format!("proc/{pid}/cmdline")).join(" "))
            } else {
                String::new()
            };
            Some(Running { pid, name, about, holds })
        });
        Self { all: all.collect() }
    }

    /// The first process of this name.
    pub fn named(&self, name: &str) -> Option<&Running> {
        self.all.iter().find(|process| process.name == name)
    }

    /// How many processes keep their open files to themselves.
    pub fn hidden(&self) -> usize {
        self.all.iter().filter(|process| process.holds.is_none()).count()
    }
}

/// Everybody known to use the tty called `port`, the most telling first. Says nothing about processes of other users
/// whose open files this user may not see ([`Processes::hidden`]).
pub fn of_port(host: &Host, processes: &Processes, port: &str) -> Vec<Owner> {
    let mut owners = Vec::new();
    if is_console(host, port) {
        owners.push(Owner {
            kind: Kind::Console,
            who: "the system's console (kernel messages)".to_owned(),
            pid: None,
            remedy: console_remedy(host, port),
        });
    }
    if let Some(getty) = getty(host, processes, port) {
        owners.push(getty);
    }
    if Uart::of(host, port) == Some(Uart::Bluetooth) {
        owners.push(Owner {
            kind: Kind::Bluetooth,
            who: "the board's Bluetooth".to_owned(),
            pid: None,
            remedy: format!("use another port, or add dtoverlay=disable-bt to {} and reboot", config_file(host)),
        });
    }
    let prompt = owners.iter().any(|owner| owner.kind == Kind::Getty);
    let holding = of_node(processes, &format!("/dev/{port}"));
    owners.extend(holding.into_iter().filter(|owner| !(prompt && owner.kind == Kind::Getty)));
    owners
}

/// The first known user of a serial port, given by any of its names: `/dev/ttyUSB0`, `/dev/serial/by-id/…`. A pseudo
/// terminal has none.
pub fn of_path(host: &Host, path: &str) -> Option<Owner> {
    let real = host.real(path).or_else(|| host.target(path));
    let real = real.as_deref().unwrap_or(path).trim_start_matches('/');
    let name = real.rsplit('/').next()?;
    // `/dev/pts/3` is no port of this name.
    if real.contains("pts/") || name.is_empty() {
        return None;
    }
    of_port(host, &Processes::of(host), name).into_iter().next()
}

/// Every process seen to have a device node open.
pub fn of_node(processes: &Processes, node: &str) -> Vec<Owner> {
    let holding = processes
        .all
        .iter()
        .filter(|process| process.holds.as_ref().is_some_and(|open| open.iter().any(|target| target == node)));
    holding.map(|process| Owner::process(process.pid, &process.name)).collect()
}

impl Owner {
    fn process(pid: u32, name: &str) -> Self {
        let (kind, remedy) = match name {
            "ModemManager" => (Kind::ModemManager, "sudo systemctl stop ModemManager".to_owned()),
            "brltty" => (Kind::Brltty, BRLTTY_REMEDY.to_owned()),
            "agetty" | "getty" | "login" => (Kind::Getty, format!("log out there, or sudo kill {pid}")),
            _ => (Kind::Process, format!("end it: kill {pid}")),
        };
        Self { kind, who: format!("{name} (process {pid})"), pid: Some(pid), remedy }
    }
}

/// What makes brltty leave USB adapters alone. Its owner may need it, so it is named before it is removed.
pub const BRLTTY_REMEDY: &str =
    "if nobody needs a braille display here: sudo apt remove brltty, then plug the adapter in again";

/// Whether the kernel writes its messages to the port.
fn is_console(host: &Host, port: &str) -> bool {
    // The kernel's own list is better than its command line, which may name ports that are not there.
    if let Some(active) = host.text("sys/class/tty/console/active") {
        return active.split_whitespace().any(|name| name == port);
    }
    let line = host.text("proc/cmdline").unwrap_or_default();
    let consoles = line.split_whitespace().filter_map(|word| word.strip_prefix("console="));
    consoles.filter_map(|value| value.split(',').next()).any(|name| name == port || alias(host, name, port))
}

/// Whether `/dev/serial0` and the like stand for the port.
fn alias(host: &Host, name: &str, port: &str) -> bool {
    host.target(&format!("dev/{name}")).is_some_and(|target| target.rsplit('/').next() == Some(port))
}

fn console_remedy(host: &Host, port: &str) -> String {
    if Board::of(host).pi.is_some() && Board::has_raspi_config(host) {
        "sudo raspi-config nonint do_serial_cons 1, then reboot".to_owned()
    } else if host.has("etc/default/grub") {
        format!("take console={port} out of /etc/default/grub, then sudo update-grub and reboot")
    } else {
        format!("take console={port} out of the kernel's command line, then reboot")
    }
}

/// The file that holds the board's firmware settings; it moved with Debian 12.
pub(super) fn config_file(host: &Host) -> &'static str {
    if host.has("boot/firmware/config.txt") { "/boot/firmware/config.txt" } else { "/boot/config.txt" }
}

/// The login prompt on the port: its unit, a process of that unit, or a process with the port in its arguments.
fn getty(host: &Host, processes: &Processes, port: &str) -> Option<Owner> {
    let unit = format!("serial-getty@{port}.service");
    let process = processes
        .all
        .iter()
        .find(|process| process.about.contains(&unit) || process.about.split_whitespace().any(|word| word == port));
    let folders = ["sys/fs/cgroup/system.slice/system-serial\\x2dgetty.slice", "sys/fs/cgroup/systemd/system.slice"];
    let running = process.is_some() || folders.iter().any(|folder| host.has(&format!("{folder}/{unit}")));
    running.then(|| Owner {
        kind: Kind::Getty,
        who: format!("a login prompt (serial-getty@{port})"),
        pid: process.map(|process| process.pid),
        remedy: if is_console(host, port) {
            console_remedy(host, port)
        } else {
            format!("sudo systemctl disable --now {unit}")
        },
    })
}
