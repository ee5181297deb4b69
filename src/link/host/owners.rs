//! Who uses a serial port or bus already: the kernel's console, a login prompt, Bluetooth, or any process.

use serde::Serialize;

use super::Host;
use super::adapters::brltty_remedy;
use super::board::Uart;
use super::fix::{Fix, Service, quoted};
use super::reach::{Process, number_of};
use super::system::System;

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
    /// Who keeps it running.
    service: Service,
    /// The device nodes it has open; `None` when this user may not see them.
    holds: Option<Vec<String>>,
}

/// What runs on a computer.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// All processes.
    pub all: Vec<Running>,
}

impl Running {
    /// Whether its open files are not this user's to see.
    pub fn hides(&self) -> bool {
        self.holds.is_none()
    }

    /// Who keeps it running.
    pub fn service(&self) -> &Service {
        &self.service
    }
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
            let groups = host.text(&format!("proc/{pid}/cgroup")).unwrap_or_default();
            let about = if name.contains("getty") || name == "login" {
                format!("{groups} {}", host.texts(&format!("proc/{pid}/cmdline")).join(" "))
            } else {
                String::new()
            };
            let service = service(host, pid, &groups);
            Some(Running { pid, name, about, service, holds })
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

/// Who keeps a process running, by its control group: a unit of the system or of a user, a container, or nobody.
fn service(host: &Host, pid: u32, groups: &str) -> Service {
    let paths = groups.lines().filter_map(|line| line.rsplit(':').next()).map(str::trim);
    for path in paths {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let user = parts.iter().any(|part| part.starts_with("user@"));
        let container = parts.iter().find_map(|part| {
            let name = part.strip_suffix(".scope").unwrap_or(part);
            let number = name.strip_prefix("docker-").or_else(|| name.strip_prefix("libpod-"));
            number.or_else(|| path.contains("/docker/").then_some(name).filter(|name| name.len() == 64))
        });
        if let Some(number) = container {
            return Service::Container(number.chars().take(12).collect());
        }
        if let Some(name) = parts.iter().position(|part| *part == "openrc").and_then(|at| parts.get(at + 1)) {
            return Service::System((*name).to_owned());
        }
        if let Some(name) = parts.iter().find_map(|part| part.strip_prefix("openrc.")) {
            return Service::System(name.to_owned());
        }
        // The innermost unit; the instance of a user is not what is to be stopped.
        let unit = parts.iter().rev().find(|part| part.ends_with(".service") && !part.starts_with("user@"));
        if let Some(unit) = unit {
            let unit = (*unit).to_owned();
            return if user { Service::User(unit) } else { Service::System(unit) };
        }
    }
    let status = host.text(&format!("proc/{pid}/status")).unwrap_or_default();
    let owner =
        status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()?.parse::<u32>().ok());
    let own = Process::of(host).user;
    let foreign = owner.is_some() && own != Some(0) && owner != own;
    Service::Process { pid, foreign }
}

/// Everybody known to use the tty called `port`, the most telling first. Says nothing about processes of other users
/// whose open files this user may not see ([`Processes::hidden`]).
pub fn of_port(host: &Host, system: &System, processes: &Processes, port: &str) -> Vec<Owner> {
    let mut owners = Vec::new();
    if is_console(host, port) {
        owners.push(Owner {
            kind: Kind::Console,
            who: "the system's console (kernel messages)".to_owned(),
            pid: None,
            remedy: system.fix(host, Fix::NoConsole(port)),
        });
    }
    if let Some(getty) = getty(host, system, processes, port).or_else(|| left_by_getty(host, system, port)) {
        owners.push(getty);
    }
    if Uart::of(host, port) == Some(Uart::Bluetooth) {
        owners.push(Owner {
            kind: Kind::Bluetooth,
            who: "the board's Bluetooth".to_owned(),
            pid: None,
            remedy: format!("use another port, or {}", quoted(&system.fix(host, Fix::Setting("dtoverlay=disable-bt")))),
        });
    }
    let prompt = owners.iter().any(|owner| owner.kind == Kind::Getty);
    let holding = of_node(host, system, processes, &format!("/dev/{port}"));
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
    of_port(host, &System::of(host), &Processes::of(host), name).into_iter().next()
}

/// Every process seen to have a device node open.
pub fn of_node(host: &Host, system: &System, processes: &Processes, node: &str) -> Vec<Owner> {
    let holding = processes
        .all
        .iter()
        .filter(|process| process.holds.as_ref().is_some_and(|open| open.iter().any(|target| target == node)));
    holding.map(|process| Owner::process(host, system, process)).collect()
}

impl Owner {
    fn process(host: &Host, system: &System, process: &Running) -> Self {
        let (pid, name) = (process.pid, process.name.as_str());
        let unit = |unit: &str| system.fix(host, Fix::Stop(&Service::System(unit.to_owned())));
        let stop = || system.fix(host, Fix::Stop(&process.service));
        let (kind, remedy) = match name {
            "ModemManager" => (Kind::ModemManager, unit("ModemManager.service")),
            "brltty" => (Kind::Brltty, brltty_remedy(host, system)),
            "agetty" | "getty" | "login" => (Kind::Getty, format!("log out there, or {}", quoted(&stop()))),
            _ => (Kind::Process, stop()),
        };
        let who = match &process.service {
            Service::System(unit) | Service::User(unit) if kind == Kind::Process => {
                format!("{name} (process {pid}, {unit})")
            }
            Service::Container(number) => format!("{name} (process {pid}, container {number})"),
            _ => format!("{name} (process {pid})"),
        };
        Self { kind, who, pid: Some(pid), remedy }
    }
}

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

/// The login prompt on the port: its unit, a process of that unit, or a process with the port in its arguments.
fn getty(host: &Host, system: &System, processes: &Processes, port: &str) -> Option<Owner> {
    let unit = format!("serial-getty@{port}.service");
    let process = processes
        .all
        .iter()
        .find(|process| process.about.contains(&unit) || process.about.split_whitespace().any(|word| word == port));
    let folders = ["sys/fs/cgroup/system.slice/system-serial\\x2dgetty.slice", "sys/fs/cgroup/systemd/system.slice"];
    let running = process.is_some() || folders.iter().any(|folder| host.has(&format!("{folder}/{unit}")));
    running.then(|| prompt(host, system, port, process.map(|process| process.pid)))
}

/// A login prompt.
fn prompt(host: &Host, system: &System, port: &str, pid: Option<u32>) -> Owner {
    let fix = if is_console(host, port) { Fix::NoConsole(port) } else { Fix::NoGetty(port) };
    let who = format!("a login prompt (serial-getty@{port})");
    Owner { kind: Kind::Getty, who, pid, remedy: system.fix(host, fix) }
}

/// A login prompt that is not seen, but left its mark: it hands its port to the group tty, writable for that group only.
fn left_by_getty(host: &Host, system: &System, port: &str) -> Option<Owner> {
    let node = host.node(&format!("dev/{port}"))?;
    let its = Some(node.group) == number_of(host, "etc/group", "tty") && matches!(node.mode & 0o777, 0o620 | 0o600);
    its.then(|| {
        let prompt = prompt(host, system, port, None);
        let who = format!("a login prompt: it set /dev/{port} to the group tty and mode {:o}", node.mode & 0o777);
        let restarts = prompt.remedy.contains("reboot") || prompt.remedy.contains("restart");
        let remedy = if restarts { prompt.remedy.clone() } else { format!("{} && {}", prompt.remedy, system.reboot()) };
        Owner { who, remedy, ..prompt }
    })
}
