//! What SPI needs: a bus, the right to use it, a line for CEN, and a kernel without known faults.

use super::Check;
use crate::link::gpio::line_name;
use crate::link::host::Host;
use crate::link::host::board::Board;
use crate::link::host::buses::{Bus, buses, hidden, taken};
use crate::link::host::lines::{Chip, chips};
use crate::link::host::owners::{Processes, config_file, of_node};
use crate::link::host::reach::{Reach, reach};

/// The kernel's default of spidev's longest message, in bytes.
const BUFSIZ: u32 = 4096;
/// SPI0 on the header: SCLK, MOSI and MISO by BCM number.
const SPI0: [u8; 3] = [11, 10, 9];
/// The last Pi 5 kernels seen to raise chip select between words (raspberrypi/linux issue 6354).
const CS_KERNEL: (u32, u32, u32) = (6, 6, 45);

pub(super) fn checks(host: &Host, board: &Board, cen: u8) -> Vec<Check> {
    let buses = buses(host);
    let mut checks = vec![bus(host, board, &buses), access(host, &buses)];
    checks.extend(users(host, &buses));
    checks.push(bufsiz(host, &buses));
    let chips = chips(host);
    checks.push(cen_line(host, board, &chips, cen));
    checks.extend(bus_lines(&chips));
    checks.extend(kernel(board, &chips));
    checks.extend(boot_eeprom(host));
    checks
}

fn bus(host: &Host, board: &Board, buses: &[Bus]) -> Check {
    let check = Check::spi("spi.bus", "SPI bus").needed();
    if let Some(first) = buses.first() {
        return check.pass(format!("{}: {}", first.node(), first.about));
    }
    if let Some((bus, driver)) = taken(host).first() {
        let remedy = format!("take the overlay that uses it out of {}, then reboot", config_file(host));
        return check.fail(format!("the driver {driver} uses bus {}.{}", bus.bus, bus.select), remedy);
    }
    let config = host.text(config_file(host)).unwrap_or_default();
    let asks = |word: &str| config.lines().any(|line| line.trim_start().starts_with(word));
    let file = config_file(host);
    if asks("dtoverlay=spi-gpio40-45") {
        let found = "the only SPI bus is routed to this computer's own boot EEPROM, which is never opened";
        return check.fail(found, format!("take dtoverlay=spi-gpio40-45 out of {file}, then reboot"));
    }
    let remedy = match (board.pi, asks("dtparam=spi=on")) {
        (Some(_), true) => "SPI is switched on but not active yet: sudo reboot".to_owned(),
        (Some(_), false) if Board::has_raspi_config(host) => {
            "sudo raspi-config nonint do_spi 0, then sudo reboot".to_owned()
        }
        (Some(_), false) => format!("echo dtparam=spi=on | sudo tee -a {file}, then sudo reboot"),
        (None, _) => "use UART, or switch on an overlay of the board that puts spidev on its SPI bus".to_owned(),
    };
    check.fail("there is no /dev/spidev node", remedy)
}

fn access(host: &Host, buses: &[Bus]) -> Check {
    let check = Check::spi("spi.access", "right to use the bus").needed();
    let Some(node) = buses.first().map(Bus::node) else { return check.not_checked("there is no bus") };
    rights(check, host, &node, "spi")
}

/// Fills a check about the right to use a node.
pub(super) fn rights(check: Check, host: &Host, node: &str, usual: &'static str) -> Check {
    let reach = reach(host, node);
    let found = match &reach {
        Reach::Ready => return check.pass(format!("{node} may be read and written")),
        Reach::Missing => format!("{node} is not there"),
        Reach::LoginAgain { group } => {
            format!("{node}: your user is in the group {group}, but this session is older than that")
        }
        Reach::NotInGroup { group } => format!("{node}: your user is not in the group {group}"),
        Reach::OwnerOnly { owner } => format!("{node}: only {owner} may use it"),
    };
    check.fail(found, reach.remedy(node, usual).unwrap_or_default())
}

fn users(host: &Host, buses: &[Bus]) -> Option<Check> {
    let node = buses.first()?.node();
    let check = Check::spi("spi.users", "users of the bus").needed();
    let owner = of_node(&Processes::of(host), &node).into_iter().next()?;
    Some(check.fail(format!("{node} is held by {}", owner.who), owner.remedy))
}

fn bufsiz(host: &Host, buses: &[Bus]) -> Check {
    let check = Check::spi("spi.bufsiz", "longest message (bufsiz)");
    let value = host.text("sys/module/spidev/parameters/bufsiz").and_then(|text| text.parse::<u32>().ok());
    match value {
        None if buses.is_empty() => check.not_checked("spidev is not loaded"),
        None => check.not_checked(format!("the kernel does not tell; {BUFSIZ} bytes are taken")),
        Some(bytes) if bytes < BUFSIZ => check.unsure(
            format!("{bytes} bytes: reading takes longer"),
            format!("add spidev.bufsiz={BUFSIZ} to the kernel's command line, then reboot"),
        ),
        Some(bytes) => check.pass(format!("{bytes} bytes; longer reads are cut to it")),
    }
}

fn cen_line(host: &Host, board: &Board, chips: &[Chip], cen: u8) -> Check {
    let check = Check::spi("spi.cen", "GPIO line for CEN").needed();
    if let Some(header) = chips.iter().find(|chip| chip.is_header()) {
        return match header.user_of(cen.into()) {
            None => check.pass(format!("{} is free, on {}", line_name(cen), header.node)),
            Some(user) => check.fail(
                format!("{} is claimed by {user}", line_name(cen)),
                format!("take the overlay or program behind {user} away, or wire CEN elsewhere and add cen=NUMBER to the link"),
            ),
        };
    }
    // Without the right to ask, the kernel lists no lines.
    let nodes: Vec<String> = host.nodes("gpiochip").iter().map(|name| format!("/dev/{name}")).collect();
    let denied = nodes.iter().find(|node| !matches!(reach(host, node), Reach::Ready | Reach::Missing));
    match denied {
        Some(node) => rights(check, host, node, "gpio"),
        None if nodes.is_empty() => check.fail("this computer has no GPIO lines", "use UART, or an SPI adapter on USB"),
        None if board.pi.is_some() => check.not_checked("the header's GPIO chip was not found"),
        None => check.unsure(
            "this is no Raspberry Pi: which line CEN is wired to is not known",
            "give the line with the link: --link 'spi:0.0?cen=…'",
        ),
    }
}

fn bus_lines(chips: &[Chip]) -> Option<Check> {
    let header = chips.iter().find(|chip| chip.is_header())?;
    let check = Check::spi("spi.lines", "SPI lines of the header").needed();
    let claimed = SPI0.iter().find_map(|&line| Some((line, header.user_of(line.into())?)));
    Some(match claimed {
        None => check.pass("nobody else has claimed them"),
        Some((line, user)) => check.fail(
            format!("{} is claimed by {user}", line_name(line)),
            format!("take the overlay or program behind {user} away, then reboot"),
        ),
    })
}

/// Faults that kernels of this board were reported to have (users.md 24 to 26).
fn kernel(board: &Board, chips: &[Chip]) -> Option<Check> {
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
                    "sudo apt update && sudo apt full-upgrade, then reboot",
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
