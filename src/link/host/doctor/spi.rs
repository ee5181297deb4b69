//! What SPI needs: a bus, the right to use it, its lines, a line for CEN, and a kernel without known faults.

use super::{Check, Wanted};
use crate::link::gpio::line_name;
use crate::link::host::Host;
use crate::link::host::board::Board;
use crate::link::host::buses::{Bus, Look, buses, hidden};
use crate::link::host::cen::Cen;
use crate::link::host::fix::Fix;
use crate::link::host::lines::Chip;
use crate::link::host::no_bus;
use crate::link::host::owners::{Processes, of_node};
use crate::link::host::reach::{Reach, reach};
use crate::link::host::select::{self, Select};
use crate::link::host::system::System;

/// The kernel's default of spidev's longest message, in bytes.
const BUFSIZ: u32 = 4096;
/// The last Pi 5 kernels seen to raise chip select between words (raspberrypi/linux issue 6354).
const CS_KERNEL: (u32, u32, u32) = (6, 6, 45);

pub(super) fn checks(host: &Host, board: &Board, wanted: &Wanted) -> Vec<Check> {
    let look = Look::at(host);
    let mut buses = buses(host);
    // The bus of the link in question comes first.
    if let Some(place) = buses.iter().position(|bus| Some((bus.bus, bus.select)) == wanted.bus) {
        buses.swap(0, place);
    }
    let mut checks = vec![bus(host, &look.system, &buses, wanted), access(host, &look.system, &buses)];
    checks.extend(users(host, &look.system, &buses));
    checks.push(bufsiz(host, &look.system, &buses));
    checks.push(cen_line(host, board, &look.system, wanted));
    checks.extend(chip_select(host, &look, &buses));
    checks.extend(bus_lines(host, &look, &buses));
    checks.extend(kernel(host, &look.system, board, &look.chips));
    checks.extend(boot_eeprom(host));
    checks
}

fn bus(host: &Host, system: &System, buses: &[Bus], wanted: &Wanted) -> Check {
    let check = Check::spi("spi.bus", "SPI bus").needed();
    match buses.first() {
        Some(first) if wanted.bus.is_some_and(|bus| bus != (first.bus, first.select)) => {
            let (bus, select) = wanted.bus.unwrap_or_default();
            let have: Vec<String> = buses.iter().map(Bus::node).collect();
            let remedy = format!("use a bus that is here: --link 'spi:{}.{}'", first.bus, first.select);
            check.fail(format!("/dev/spidev{bus}.{select} is not here; there is {}", have.join(", ")), remedy)
        }
        Some(first) => check.pass(format!("{}: {}", first.node(), first.about)),
        None => {
            let reason = no_bus::reason(host, system);
            check.fail(reason.found(host), reason.remedy(host, system))
        }
    }
}

fn access(host: &Host, system: &System, buses: &[Bus]) -> Check {
    let check = Check::spi("spi.access", "right to use the bus").needed();
    let Some(node) = buses.first().map(Bus::node) else { return check.not_checked("there is no bus") };
    rights(check, host, system, &node, "spi")
}

/// Fills a check about the right to use a node.
pub(super) fn rights(check: Check, host: &Host, system: &System, node: &str, usual: &str) -> Check {
    let reach = reach(host, node);
    let found = match &reach {
        Reach::Ready => return check.pass(format!("{node} may be read and written")),
        Reach::Missing if system.container.is_some() => format!("{node} was not passed into this container"),
        Reach::Missing => format!("{node} is not there"),
        Reach::LoginAgain { group } => {
            format!("{node}: your user is in the group {group}, but this session is older than that")
        }
        Reach::NotInGroup { group } => format!("{node}: your user is not in the group {group}"),
        Reach::OwnerOnly { owner } => format!("{node}: only {owner} may use it"),
    };
    check.fail(found, system.fix(host, Fix::Rights(node, usual, &reach)))
}

fn users(host: &Host, system: &System, buses: &[Bus]) -> Option<Check> {
    let node = buses.first()?.node();
    let check = Check::spi("spi.users", "users of the bus").needed();
    let owner = of_node(host, system, &Processes::of(host), &node).into_iter().next()?;
    Some(check.fail(format!("{node} is held by {}", owner.who), owner.remedy))
}

fn bufsiz(host: &Host, system: &System, buses: &[Bus]) -> Check {
    let check = Check::spi("spi.bufsiz", "longest message (bufsiz)");
    let value = host.text("sys/module/spidev/parameters/bufsiz").and_then(|text| text.parse::<u32>().ok());
    match value {
        None if buses.is_empty() => check.not_checked("spidev is not loaded"),
        None => check.not_checked(format!("the kernel does not tell; {BUFSIZ} bytes are taken")),
        Some(bytes) if bytes < BUFSIZ => {
            check.unsure(format!("{bytes} bytes: reading takes longer"), system.fix(host, Fix::BufSize(BUFSIZ)))
        }
        Some(bytes) => check.pass(format!("{bytes} bytes; longer reads are cut to it")),
    }
}

fn cen_line(host: &Host, board: &Board, system: &System, wanted: &Wanted) -> Check {
    let check = Check::spi("spi.cen", "GPIO line for CEN").needed();
    let Some(cen) = wanted.cen else { return check.pass("the link works no line for CEN") };
    match Cen::of(host, system, cen) {
        Cen::Free(node) => check.pass(format!("{} is free, on {node}", line_name(cen))),
        Cen::Claimed { by, remedy } => check.fail(format!("{} is claimed by {by}", line_name(cen)), remedy),
        Cen::Denied(node, _) => rights(check, host, system, &node, "gpio"),
        Cen::NoLines if system.container.is_some() => rights(check, host, system, "/dev/gpiochip0", "gpio"),
        Cen::NoLines => check.fail("this computer has no GPIO lines", "use UART, or an SPI adapter on USB"),
        Cen::NotTold if board.pi.is_some() => check.not_checked("the header's GPIO chip was not found"),
        Cen::NotTold | Cen::OtherBoard => check.unsure(
            "this is not a Raspberry Pi: which line CEN is wired to is unknown",
            "give the line with the link: --link 'spi:0.0?cen=…'",
        ),
    }
}

fn chip_select(host: &Host, look: &Look, buses: &[Bus]) -> Option<Check> {
    let bus = buses.first()?;
    let check = Check::spi("spi.select", "chip select of the bus").needed();
    match select::select(host, &look.settings, &look.chips, bus) {
        Select::Line(line) => {
            Some(check.pass(format!("{} is chip select {} of {}", line_name(line), bus.select, bus.node())))
        }
        Select::NoLine => {
            let fault = look.fault(host, bus)?;
            Some(check.fail(fault.found, fault.remedy))
        }
        Select::NotTold => None,
    }
}

fn bus_lines(host: &Host, look: &Look, buses: &[Bus]) -> Option<Check> {
    let check = Check::spi("spi.lines", "SPI lines of the header").needed();
    let Some(bus) = buses.first() else {
        // Without a bus the reason for that stands elsewhere.
        return None;
    };
    // Whoever has no chip select hears of that, and of nothing else.
    if select::select(host, &look.settings, &look.chips, bus) == Select::NoLine {
        return None;
    }
    match look.fault(host, bus) {
        Some(fault) => Some(check.fail(fault.found, fault.remedy)),
        None => look.chips.iter().any(Chip::is_header).then(|| check.pass("nobody else has claimed them")),
    }
}

/// Faults that kernels of this board were reported to have (users.md 24 to 26).
fn kernel(host: &Host, system: &System, board: &Board, chips: &[Chip]) -> Option<Check> {
    let check = Check::spi("spi.kernel", "known faults of the kernel");
    let release = board.kernel.clone().unwrap_or_default();
    let header = chips.iter().find(|chip| chip.is_header()).map(|chip| chip.node.as_str());
    match board.pi? {
        5 => {
            let number = version(&release);
            let old = number.is_some_and(|number| number <= CS_KERNEL);
            let moved = match header {
                Some("/dev/gpiochip4") => "; the header is gpiochip4 here, and gpiochip0 on newer kernels",
                _ => "",
            };
            Some(match (old, number) {
                (true, _) => check.unsure(
                    format!("kernels as old as {release} were seen to raise chip select between words{moved}"),
                    system.fix(host, Fix::UpdateKernel),
                ),
                (false, Some(_)) => check.pass(format!("none known of {release}{moved}")),
                (false, None) => check.not_checked("the kernel's release is not known"),
            })
        }
        4 => Some(check.pass(
            "some Pi 4 kernels raise chip select early when it is held between messages; every request here is one message",
        )),
        _ => None,
    }
}

/// The first three numbers of a kernel release.
fn version(release: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

fn boot_eeprom(host: &Host) -> Option<Check> {
    let node = hidden(host).into_iter().next()?.node();
    let check = Check::spi("spi.boot-eeprom", "boot EEPROM");
    Some(check.pass(format!("{node} leads to this computer's own boot EEPROM; it is never listed and never opened")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_are_read() {
        assert_eq!(version("6.6.31+rpt-rpi-2712"), Some((6, 6, 31)));
        assert_eq!(version("6.12.0-rc1"), Some((6, 12, 0)));
        assert_eq!(version("unknown"), None);
        assert!(version("6.12.47+rpt") > Some(CS_KERNEL));
    }
}
