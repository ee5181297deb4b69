//! What the computer says about itself: files under `/sys`, `/proc`, `/etc` and `/dev`. Nothing in here opens a port or
//! a bus. Everything is a function over a [`Host`], a folder that stands for `/`, so that it is tested on the trees of
//! computers that are not at hand.

pub mod adapters;
pub mod board;
pub mod buses;
pub mod cen;
pub mod doctor;
pub mod firmware;
pub mod fix;
pub mod lines;
pub mod modules;
pub mod no_bus;
pub mod owners;
pub mod ports;
pub mod reach;
pub mod select;
pub mod system;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use self::system::System;
use super::contract::{Endpoint, LinkError};
use crate::disk;
use crate::problem::Explain;

/// Longest file read, in bytes. What is asked for here is small; a file that is not is not what it seems.
const LONGEST: u64 = 256 * 1024;
/// Longest list of kernel modules read, in bytes.
const LONGEST_LIST: u64 = 8 * 1024 * 1024;
/// Most entries of a folder looked at.
const MOST: usize = 16_384;
/// What a copied file tree cannot hold, beside it: device nodes and GPIO lines.
const NODES_FILE: &str = "nodes.toml";

/// A computer: this one, or the copy of another one's files.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
    copy: Option<Beside>,
}

/// `nodes.toml` of a copied tree.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beside {
    /// Device nodes as `PATH MODE USER GROUP`, the mode in octal: `dev/spidev0.0 660 root spi`.
    #[serde(default)]
    nodes: Vec<String>,
    /// GPIO chips in the order of their nodes.
    #[serde(default)]
    gpio: Vec<lines::Chip>,
}

/// Owner and rights of a device node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// Number of the user it belongs to.
    pub user: u32,
    /// Number of the group it belongs to.
    pub group: u32,
}

/// What a computer knows about a port or bus without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its node: `/dev/ttyUSB0`.
    pub node: String,
    /// A name of it that stays the same however adapters are plugged in: `/dev/serial/by-id/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// What the USB adapter says about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<ports::Usb>,
    /// Who uses it already, the most telling first.
    pub owners: Vec<owners::Owner>,
    /// What else has to be known before it is used.
    pub notes: Vec<String>,
}

impl Device {
    /// What there is to say about it beside the obstacle, which tells of the first owner: the lasting name, further
    /// owners, notes.
    pub fn remarks(&self) -> Vec<String> {
        let stable = self.stable.iter().map(|name| format!("always: uart:{name}"));
        let told = self.owners.first().map(|owner| owner.remedy.as_str());
        let owners = self.owners.iter().skip(1).map(|owner| match Some(owner.remedy.as_str()) == told {
            true => format!("also used by {}", owner.who),
            false => format!("also used by {}: {}", owner.who, owner.remedy),
        });
        stable.chain(owners).chain(self.notes.iter().cloned()).collect()
    }
}

impl Endpoint {
    /// What there is to say beside the line of a list: the obstacle with its remedy first.
    pub fn remarks(&self) -> Vec<String> {
        let obstacle = self.obstacle.iter().map(|problem| format!("{}: {}", problem.what, problem.remedy));
        obstacle.chain(self.device.iter().flat_map(|device| device.remarks())).collect()
    }
}

impl Host {
    /// This computer.
    pub fn here() -> Self {
        Self { root: PathBuf::from("/"), copy: None }
    }

    /// The copy of another computer's `/sys`, `/proc`, `/etc` and `/dev` in a folder. Device nodes and GPIO lines, which
    /// cannot be copied as files, stand in its `nodes.toml`; without that file there are none.
    pub fn copied(folder: &Path) -> Self {
        let root = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let text = read(&root.join(NODES_FILE)).unwrap_or_default();
        let copy = toml::from_str(&String::from_utf8_lossy(&text)).unwrap_or_default();
        Self { root, copy: Some(copy) }
    }

    /// The folder that stands for `/`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether this is the computer the program runs on.
    pub fn is_here(&self) -> bool {
        self.copy.is_none()
    }

    /// The place of `path`, given without a leading slash.
    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The bytes of a file; `None` when it cannot be read.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        read(&self.place(path))
    }

    /// The text of a file without zero bytes and space around it; `None` when there is none.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// As [`Host::text`], for the one kind of file that is long: a kernel's list of modules.
    pub(super) fn long_text(&self, path: &str) -> Option<String> {
        let bytes = read_up_to(&self.place(path), LONGEST_LIST)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The texts of a file that separates them by zero bytes, as the device tree and command lines do.
    pub fn texts(&self, path: &str) -> Vec<String> {
        let bytes = self.bytes(path).unwrap_or_default();
        let parts = bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// The names in a folder, sorted; empty when it cannot be read.
    pub fn names(&self, folder: &str) -> Vec<String> {
        self.try_names(folder).unwrap_or_default()
    }

    /// As [`Host::names`]; `None` when the folder cannot be read.
    pub fn try_names(&self, folder: &str) -> Option<Vec<String>> {
        let entries = fs::read_dir(self.place(folder)).ok()?;
        let names = entries.take(MOST).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort_by_key(|name| natural(name));
        Some(names)
    }

    /// Whether something is at this path.
    pub fn has(&self, path: &str) -> bool {
        self.place(path).exists()
    }

    /// When a file was changed; `None` when the system does not say, or names a time that is still to come.
    pub fn changed(&self, path: &str) -> Option<SystemTime> {
        let time = fs::metadata(self.place(path)).ok()?.modified().ok()?;
        (time <= SystemTime::now()).then_some(time)
    }

    /// When the kernel was started.
    pub fn booted(&self) -> Option<SystemTime> {
        let stat = self.text("proc/stat").unwrap_or_default();
        if let Some(time) = stat.lines().find_map(|line| line.strip_prefix("btime ")) {
            return SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.trim().parse().ok()?));
        }
        let up: f64 = self.text("proc/uptime")?.split_whitespace().next()?.parse().ok()?;
        SystemTime::now().checked_sub(Duration::try_from_secs_f64(up).ok()?)
    }

    /// What a symbolic link says, as it says it.
    pub fn target(&self, path: &str) -> Option<String> {
        Some(fs::read_link(self.place(path)).ok()?.to_string_lossy().into_owned())
    }

    /// The path behind all links, without a leading slash.
    pub fn real(&self, path: &str) -> Option<String> {
        let real = fs::canonicalize(self.place(path)).ok()?;
        let inside = real.strip_prefix(&self.root).ok()?;
        Some(inside.to_string_lossy().into_owned())
    }

    /// A device node; `None` when it is not there. In a copy, owner and group may be numbers.
    pub fn node(&self, path: &str) -> Option<Node> {
        match &self.copy {
            None => live_node(&self.place(path)),
            Some(copy) => {
                let wanted = path.trim_start_matches('/');
                copy.nodes.iter().find_map(|line| {
                    let mut words = line.split_whitespace();
                    (words.next()?.trim_start_matches('/') == wanted).then_some(())?;
                    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
                    let number =
                        |file: &str, name: &str| name.parse().ok().or_else(|| reach::number_of(self, file, name));
                    let user = number("etc/passwd", words.next()?)?;
                    Some(Node { mode, user, group: number("etc/group", words.next()?)? })
                })
            }
        }
    }

    /// The device nodes whose names begin with `prefix`, without a folder.
    pub fn nodes(&self, prefix: &str) -> Vec<String> {
        let mut names = match &self.copy {
            None => self.names("dev"),
            Some(copy) => {
                let paths = copy.nodes.iter().filter_map(|line| line.split_whitespace().next());
                paths.filter_map(|path| path.trim_start_matches('/').strip_prefix("dev/").map(str::to_owned)).collect()
            }
        };
        names.retain(|name| name.starts_with(prefix));
        names
    }

    /// What the device tree calls a file: `proc/device-tree` where it is, else the place of newer kernels.
    pub fn tree(&self, path: &str) -> String {
        let bases = ["sys/firmware/devicetree/base", "proc/device-tree"];
        let base = bases.into_iter().find(|base| self.has(base)).unwrap_or(bases[0]);
        format!("{base}/{path}")
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    read_up_to(path, LONGEST)
}

fn read_up_to(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    disk::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Names with numbers in the order of the numbers: `ttyUSB2` before `ttyUSB10`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(u64::MAX), name.to_owned())
}

#[cfg(unix)]
fn live_node(path: &Path) -> Option<Node> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).ok()?;
    Some(Node { mode: meta.mode() & 0o7777, user: meta.uid(), group: meta.gid() })
}

#[cfg(not(unix))]
fn live_node(path: &Path) -> Option<Node> {
    path.exists().then_some(Node { mode: 0o666, user: 0, group: 0 })
}

/// The ports, buses and adapters of a computer as links; `cen` is the GPIO line offered for CEN. Opens nothing.
pub fn endpoints(host: &Host, cen: u8) -> Vec<Endpoint> {
    let mut found = spi_endpoints(host, cen);
    found.extend(ports::endpoints(host));
    found.extend(adapters::endpoints(host));
    found
}

/// The SPI buses as links; where there is none and one may be expected, the reason. Opens nothing.
pub fn spi_endpoints(host: &Host, cen: u8) -> Vec<Endpoint> {
    let mut found = buses::endpoints(host, cen);
    found.extend(buses::missing(host, cen));
    found
}

/// The endpoint of a device: who uses it stands in the way first, then a missing permission.
fn endpoint(link: String, about: String, mut device: Device, denied: Option<LinkError>) -> Endpoint {
    let busy = device
        .owners
        .first()
        .map(|owner| LinkError::Busy { name: device.node.clone(), by: Some(Box::new(owner.clone())) }.explain());
    let denied = denied.map(|error| error.explain());
    // A login prompt takes the rights away with the port; whoever ends it gets both back.
    let prompt = device.owners.first().is_some_and(|owner| owner.kind == owners::Kind::Getty);
    if let (Some(_), Some(denied), false) = (&busy, &denied, prompt) {
        device.notes.insert(0, format!("{}: {}", denied.what, denied.remedy));
    }
    Endpoint { link, about, obstacle: busy.or(denied), device: Some(Box::new(device)) }
}

/// What keeps this user from a device node; `None` when nothing seems to. Never opens the node: opening a serial
/// port moves its modem lines. `group` is the usual one for such a node.
pub fn access(node: &Path, group: &str) -> Option<LinkError> {
    let (host, node) = (Host::here(), node.to_string_lossy());
    reach::reach(&host, &node).obstacle(&host, &System::of(&host), &node, group)
}

/// Why the system refused to open a node: the missing group, or the login that is older than it. `group` is the usual
/// one for such a node.
pub(super) fn denied(node: &str, group: &str) -> LinkError {
    access(Path::new(node), group).unwrap_or_else(|| LinkError::Denied {
        name: node.to_owned(),
        group: group.to_owned(),
        remedy: format!("ask the administrator for the right to use {node}"),
    })
}

/// Why there is no SPI bus on this computer.
pub(super) fn no_bus(name: String) -> LinkError {
    let host = Host::here();
    let system = System::of(&host);
    let reason = no_bus::reason(&host, &system);
    LinkError::NoBus { name, why: reason.found(&host), remedy: reason.remedy(&host, &system) }
}
