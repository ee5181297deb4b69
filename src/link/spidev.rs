//! `spi:` links: a SPI bus of this computer with CEN at one of its GPIO lines. Two drivers do the work, `rppal` on the
//! Raspberry Pis it knows and the kernel's own interfaces (`linux`) on every other board; both end at `/dev/spidev`.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::boot_eeprom::is_boot_eeprom;
use super::cen::Cen;
use super::claim::{self, Claims};
use super::clock::SystemClock;
use super::contract::{Endpoint, Link, LinkError, LinkInfo, ProbeLines, ResetLine, SpiLink, Wire, WireKind};
use super::gpio::{self, Backend};
use super::pins::{BusPins, Pins, USUAL_CEN};
use super::rpi_lines::HeaderLines;
use super::spec::LinkSpec;
use super::{linux, rpi};
use crate::disk;

/// Clock while the chip is being found (spi-flash.md §11, step 7), in Hz.
pub(super) const ENTRY_HZ: u32 = 1_000_000;
/// Default of the kernel's spidev, in bytes; messages must not be longer than the parameter says.
const DEFAULT_BUFSIZ: usize = 4096;
/// The kernel rounds the length of each part of a message up to this before it adds them (arm64, the widest).
const ROUNDED_TO: usize = 128;
/// Parts of one message. The system call's own limit is 511.
const MOST_PARTS: usize = 64;
/// Chip selects of one bus that are looked for.
const MOST_SELECTS: u8 = 8;

/// A spidev node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub bus: u32,
    pub select: u8,
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/dev/spidev{}.{}", self.bus, self.select)
    }
}

impl Node {
    fn parse(text: &str) -> Option<Self> {
        let (bus, select) = text.split_once('.')?;
        Some(Self { bus: bus.parse().ok()?, select: select.parse().ok()? })
    }
}

/// Opens `spi:BUS.SELECT?cen=LINE&driver=rppal|linux`. `cen=none` is a bare flash chip without a module around it,
/// `cen=hand` a module whose CEN a person pulls low.
pub(super) fn open(spec: &LinkSpec) -> Result<Link, LinkError> {
    open_below(Path::new("/"), spec)
}

/// As [`open`]; `root` holds the device tree and `sys`, and is another one in tests.
fn open_below(root: &Path, spec: &LinkSpec) -> Result<Link, LinkError> {
    spec.only_keys(&["cen", "clock", "driver"])?;
    let node = Node::parse(&spec.target).ok_or_else(|| spec.bad("write bus and chip select, such as spi:0.0"))?;
    let backends = backends(spec, node)?;
    let cen = Cen::of(spec, Cen::Line(None))?;
    if is_boot_eeprom(root, node.bus, node.select) {
        return Err(LinkError::BootEeprom { name: node.to_string() });
    }
    let claims = claim::nodes(&nodes_of(root, node))?;
    // The bus first: from then on chip select is high, and a rising CEN finds it so (spi-flash.md §9).
    let (backend, wire) = open_bus(&backends, node, claims)?;
    let Opened { reset, probe, how } = open_cen(&backends, &cen, node)?;
    let detail = format!("{node} through {backend}, {how}");
    Ok(Link {
        wire: if cen == Cen::Bare { Wire::Nor(wire) } else { Wire::Spi(wire) },
        reset,
        probe,
        clock: Rc::new(SystemClock::new()),
        record: None,
        info: LinkInfo { name: spec.name(), wire: WireKind::Spi, detail, pins: Pins::here(spec), simulated: false },
    })
}

/// The drivers to try, best first.
fn backends(spec: &LinkSpec, node: Node) -> Result<Vec<Backend>, LinkError> {
    match spec.get("driver") {
        Some("rppal") => Ok(vec![Backend::Rppal]),
        Some("linux") => Ok(vec![Backend::Linux]),
        Some(other) => Err(spec.bad(format!("driver={other:?} is neither rppal nor linux"))),
        None if gpio::rppal_knows_this_board() && rpi::has(node) => Ok(vec![Backend::Rppal, Backend::Linux]),
        None => Ok(vec![Backend::Linux]),
    }
}

/// Every node of the bus that may be opened: its chips share three wires.
fn nodes_of(root: &Path, node: Node) -> Vec<PathBuf> {
    let others = (0..MOST_SELECTS).filter(|select| *select != node.select);
    let nodes = std::iter::once(node.select).chain(others).map(|select| Node { select, ..node });
    let open = nodes.filter(|node| !is_boot_eeprom(root, node.bus, node.select));
    open.map(|node| PathBuf::from(node.to_string())).collect()
}

fn open_bus(backends: &[Backend], node: Node, claims: Claims) -> Result<(Backend, Box<dyn SpiLink>), LinkError> {
    let backend = backends.first().copied().unwrap_or(Backend::Linux);
    let wire = match backend {
        Backend::Rppal => rpi::open(node, claims)?,
        Backend::Linux => linux::open(node, claims)?,
    };
    Ok((backend, wire))
}

/// CEN, the single lines beside it, and how CEN is reached in words.
struct Opened {
    reset: Option<Box<dyn ResetLine>>,
    probe: Option<Box<dyn ProbeLines>>,
    how: String,
}

/// Single lines can be reached through the registers of a Raspberry Pi: there a pin may leave the controller for a while.
fn open_cen(backends: &[Backend], cen: &Cen, node: Node) -> Result<Opened, LinkError> {
    let Cen::Line(line) = cen else { return Ok(Opened { reset: None, probe: None, how: cen.words().to_owned() }) };
    let line = line.clone().unwrap_or_else(|| USUAL_CEN.to_string());
    if backends.first() == Some(&Backend::Rppal)
        && let Some(pins) = BusPins::of(node.bus, node.select)
        && let Ok((reset, pin)) = gpio::registers::open_shared(&line)
    {
        let how = reset.describe();
        return Ok(Opened { reset: Some(reset), probe: Some(Box::new(HeaderLines::new(pins, pin))), how });
    }
    let reset = gpio::open(&line, backends)?;
    let how = reset.describe();
    Ok(Opened { reset: Some(reset), probe: None, how })
}

/// What opening a node failed with.
pub(super) fn open_error(node: Node, error: &std::io::Error) -> LinkError {
    use std::io::ErrorKind;
    let name = node.to_string();
    if let Some(told) = super::errno::opening(&name, error) {
        return told;
    }
    match error.kind() {
        ErrorKind::NotFound => super::host::no_bus(name),
        ErrorKind::PermissionDenied => super::host::denied(&name, "spi"),
        ErrorKind::ResourceBusy => {
            let by = super::host::owners::of_path(&super::host::Host::here(), &name).map(Box::new);
            LinkError::Busy { name, by }
        }
        _ => LinkError::Io { name, why: error.to_string() },
    }
}

/// The most bytes the kernel takes in one message.
pub(super) fn bufsiz() -> usize {
    let text = disk::text(Path::new("/sys/module/spidev/parameters/bufsiz"), 64).unwrap_or_default();
    text.trim().parse().unwrap_or(DEFAULT_BUFSIZ)
}

/// The longest frame that fits a message of `bufsiz` bytes.
pub(super) const fn longest_frame(bufsiz: usize) -> usize {
    let whole = bufsiz / ROUNDED_TO * ROUNDED_TO;
    if whole == 0 { bufsiz } else { whole }
}

/// How many of the first frames go into one message of `bufsiz` bytes: at least one, so that the kernel can say what
/// is wrong with it.
pub(super) fn frames_in_message(frames: &[&mut [u8]], bufsiz: usize) -> usize {
    let sums = frames.iter().take(MOST_PARTS).scan(0_usize, |sum, frame| {
        *sum = sum.saturating_add(frame.len().next_multiple_of(ROUNDED_TO));
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= bufsiz).count().clamp(1, frames.len().max(1))
}

/// The SPI nodes of this computer. The boot EEPROM's is not among them.
pub(super) fn endpoints(cen: u8) -> Vec<Endpoint> {
    super::host::spi_endpoints(&super::host::Host::here(), cen)
}

#[cfg(test)]
mod tests {
    use super::super::boot_eeprom::tree;
    use super::*;

    fn frames(lens: &[usize]) -> Vec<Vec<u8>> {
        lens.iter().map(|len| vec![0; *len]).collect()
    }

    fn fit(lens: &[usize], bufsiz: usize) -> usize {
        let mut frames = frames(lens);
        let parts: Vec<&mut [u8]> = frames.iter_mut().map(Vec::as_mut_slice).collect();
        frames_in_message(&parts, bufsiz)
    }

    #[test]
    fn a_message_never_holds_more_than_the_kernel_takes() {
        assert_eq!(fit(&[1, 2], 4096), 2, "write enable and the look at it");
        assert_eq!(fit(&[4096, 1], 4096), 1);
        assert_eq!(fit(&[3968, 128], 4096), 2);
        assert_eq!(fit(&[3969, 1], 4096), 1, "3969 counts as 4096");
        assert_eq!(fit(&[1; 40], 4096), 32, "each counts as 128");
        assert_eq!(fit(&[1; 200], 1 << 20), 64);
        assert_eq!(fit(&[8000, 1], 4096), 1, "too long: the kernel says so");
    }

    #[test]
    fn the_longest_frame_fits_after_rounding() {
        assert_eq!([4096, 65536, 65535, 5000, 100].map(longest_frame), [4096, 65536, 65408, 4992, 100]);
        for bufsiz in [4096, 65535, 5000, 129] {
            assert!(longest_frame(bufsiz).next_multiple_of(128) <= bufsiz);
        }
    }

    #[test]
    fn a_bus_with_the_boot_eeprom_is_refused_whatever_the_driver() {
        let pi_4 = tree(&[(0, "soc/spi@7e204000")], &[40, 41, 42]);
        let pi_5 = tree(&[(10, "soc@107c000000/spi@7d004000"), (0, "axi/pcie@1000120000/rp1/spi@50000")], &[]);
        for (root, bus) in [(&pi_4, "0.0"), (&pi_5, "10.0")] {
            for query in ["", "?driver=rppal", "?driver=linux", "?cen=none", "?driver=linux&cen=hand"] {
                let spec = LinkSpec::parse(&format!("spi:{bus}{query}")).unwrap();
                let refused = open_below(root.path(), &spec).err().expect("refused");
                assert!(matches!(refused, LinkError::BootEeprom { .. }), "{spec}: {refused}");
            }
        }
        let header = LinkSpec::parse("spi:0.0?cen=none&driver=linux").unwrap();
        let opened = open_below(pi_5.path(), &header);
        assert!(!matches!(opened, Err(LinkError::BootEeprom { .. })), "the header's bus of a Pi 5 is free");
    }

    #[test]
    fn nonsense_in_a_link_is_named() {
        for (text, word) in [
            ("spi:0", "spi:0.0"),
            ("spi:zero.0", "spi:0.0"),
            ("spi:0.0?driver=bcm", "driver"),
            ("spi:0.0?speed=4", "speed"),
        ] {
            let refused = open(&LinkSpec::parse(text).unwrap()).err().expect("refused");
            assert!(matches!(refused, LinkError::BadLink { .. }) && refused.to_string().contains(word), "{refused}");
        }
    }
}
