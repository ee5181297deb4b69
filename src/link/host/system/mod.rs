//! What system a computer runs, decided by its files: the distribution, whether it is a container or WSL, what starts its
//! services and how a command gets root's rights. Every remedy is made from this.

mod table;

pub use table::{DISTRIBUTIONS, Distribution, Groups, Grub, Init, Packages, UNKNOWN};

use super::Host;
use super::reach::Process;

/// A container the program runs in: it sees the host's devices only as far as it was given them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Docker, Podman and what is started like them.
    Docker,
    /// LXC and Incus.
    Lxc,
    /// An add-on of Home Assistant.
    Addon,
}

/// The system of a computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Its line of the table.
    pub distribution: &'static Distribution,
    /// The container around this program; `None` on the computer itself.
    pub container: Option<Container>,
    /// Linux inside Windows.
    pub wsl: bool,
    /// What starts services.
    pub init: Init,
    /// The program runs as root.
    pub root: bool,
    /// The release's name: `bullseye`.
    pub codename: String,
    elevate: &'static str,
}

impl System {
    /// The system of a computer.
    pub fn of(host: &Host) -> Self {
        let distribution = distribution(host);
        Self {
            distribution,
            container: container(host),
            wsl: host.text("proc/sys/kernel/osrelease").is_some_and(|text| text.to_lowercase().contains("microsoft")),
            init: init(host, distribution),
            root: Process::of(host).user == Some(0),
            codename: release(host, "VERSION_CODENAME"),
            elevate: elevate(host, distribution),
        }
    }

    /// A command as this user has to type it to run it as root.
    pub fn as_root(&self, command: &str) -> String {
        match self.root || self.elevate.is_empty() {
            true => command.to_owned(),
            false => format!("{} {command}", self.elevate),
        }
    }

    /// Restarts the computer.
    pub fn reboot(&self) -> String {
        match (self.container, self.wsl) {
            (Some(_), _) => "restart the computer that runs the container".to_owned(),
            (None, true) => "`wsl --shutdown` in Windows, then open the terminal again".to_owned(),
            (None, false) => self.as_root("reboot"),
        }
    }

    /// Whether the table knows the system.
    pub fn known(&self) -> bool {
        self.distribution != &UNKNOWN
    }
}

/// A value of `/etc/os-release`, without quotes; empty when it has none.
pub(super) fn release(host: &Host, key: &str) -> String {
    let text = host.text("etc/os-release").or_else(|| host.text("usr/lib/os-release")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
}

fn distribution(host: &Host) -> &'static Distribution {
    let (id, like) = (release(host, "ID").to_lowercase(), release(host, "ID_LIKE").to_lowercase());
    let names = format!("{} {}", release(host, "NAME"), release(host, "PRETTY_NAME"));
    let kernel = host.text("proc/sys/kernel/osrelease").unwrap_or_default();
    if kernel.contains("haos") {
        // Inside an add-on the files are those of the add-on; the kernel is the host's.
        if let Some(home) = DISTRIBUTIONS.iter().find(|line| line.ids.contains(&"haos")) {
            return home;
        }
    }
    let marked = |line: &&Distribution| {
        line.marks.iter().any(|mark| host.has(mark)) || (!line.word.is_empty() && names.contains(line.word))
    };
    // Marks tell systems apart that call themselves Debian. Another distribution may have installed their programs.
    let debian = id.is_empty() || id == "debian" || like.contains("debian") || id == "raspbian";
    let by_mark = DISTRIBUTIONS.iter().filter(|line| debian && id != "ubuntu" || !line.word.is_empty()).find(marked);
    let by_id = |wanted: &str| DISTRIBUTIONS.iter().find(|line| line.ids.contains(&wanted));
    by_mark
        .or_else(|| by_id(&id))
        .or_else(|| like.split_whitespace().find_map(by_id))
        .or_else(|| DISTRIBUTIONS.iter().find(marked).filter(|_| id.is_empty()))
        .unwrap_or(&UNKNOWN)
}

fn container(host: &Host) -> Option<Container> {
    let groups = host.text("proc/1/cgroup").unwrap_or_default();
    let named = host.text("run/systemd/container").unwrap_or_default();
    let within = |words: &[&str]| words.iter().any(|word| groups.contains(word) || named == *word);
    let docker = host.has(".dockerenv")
        || host.has("run/.containerenv")
        || within(&["docker", "kubepods", "containerd", "libpod", "podman"]);
    let lxc = within(&["lxc", "incus"]) || host.has("dev/lxd") || host.has("dev/.lxc");
    let kernel = host.text("proc/sys/kernel/osrelease").unwrap_or_default();
    match (docker, lxc) {
        (true, _) if kernel.contains("haos") || host.has("data/options.json") => Some(Container::Addon),
        (true, _) => Some(Container::Docker),
        (false, true) => Some(Container::Lxc),
        (false, false) => None,
    }
}

/// What starts services: the first process tells, else the system's own folders, else what the distribution has.
fn init(host: &Host, distribution: &Distribution) -> Init {
    if host.has("sbin/procd") {
        return Init::Procd;
    }
    if host.has("sbin/openrc") || host.has("run/openrc") {
        return Init::OpenRc;
    }
    match host.text("proc/1/comm").as_deref() {
        Some("systemd") => Init::Systemd,
        Some("runit") => Init::Runit,
        Some("procd") => Init::Procd,
        Some("init") if distribution.init == Init::Systemd && !host.has("run/systemd/system") => Init::Other,
        _ => distribution.init,
    }
}

/// The program that lends root's rights: the one that is there, else the distribution's.
fn elevate(host: &Host, distribution: &Distribution) -> &'static str {
    let has =
        |name: &str| ["usr/bin", "bin", "run/wrappers/bin"].iter().any(|folder| host.has(&format!("{folder}/{name}")));
    match (has("sudo"), has("doas")) {
        (true, _) => "sudo",
        (false, true) => "doas",
        (false, false) if distribution.groups == Groups::RootOnly => "",
        (false, false) => distribution.elevate,
    }
}
