//! What UART needs: a port that may be used and that nobody else uses.

use super::Check;
use super::spi::rights;
use crate::link::host::Host;
use crate::link::host::board::{Board, Uart};
use crate::link::host::owners::{BRLTTY_REMEDY, Kind, Owner, Processes, config_file, of_port};
use crate::link::host::ports::{Port, ports, taken_by_brltty};
use crate::link::host::reach::{Reach, reach};

/// A port with all that decides whether it can be used.
struct Seen {
    port: Port,
    owners: Vec<Owner>,
    reach: Reach,
}

impl Seen {
    /// Whether a module can be wired to it, as far as the computer knows.
    fn usable(&self) -> bool {
        self.reach == Reach::Ready
            && self.owners.is_empty()
            && !matches!(self.port.uart, Some(Uart::Debug | Uart::Bluetooth))
    }
}

pub(super) fn checks(host: &Host, board: &Board) -> Vec<Check> {
    let processes = Processes::of(host);
    let all = ports(host);
    let lost = taken_by_brltty(host, &processes, &all).len();
    let seen = all.into_iter().map(|port| Seen {
        owners: of_port(host, &processes, &port.name),
        reach: reach(host, &port.node()),
        port,
    });
    let seen: Vec<Seen> = seen.collect();
    let mut checks = vec![port(host, board, &seen), access(host, &seen), users(&processes, &seen)];
    checks.extend(header(host, board, &seen));
    checks.push(modem_manager(&processes));
    checks.push(brltty(&processes, lost));
    checks
}

fn port(host: &Host, board: &Board, seen: &[Seen]) -> Check {
    let check = Check::uart("uart.port", "serial port").needed();
    if let Some(usable) = seen.iter().find(|seen| seen.usable()) {
        return check.pass(format!("{}: {}", usable.port.node(), usable.port.words()));
    }
    // The port that is nearest to being usable tells what to do.
    if let Some(nearest) = seen.iter().find(|seen| !matches!(seen.port.uart, Some(Uart::Debug | Uart::Bluetooth))) {
        let node = nearest.port.node();
        return match nearest.owners.first() {
            Some(owner) => check.fail(format!("{node} is in use by {}", owner.who), owner.remedy.clone()),
            None => rights(check, host, &node, "dialout"),
        };
    }
    let adapter = "plug in a USB serial adapter".to_owned();
    let remedy = match board.pi {
        Some(_) => format!("{}; or {adapter}", switch_on(host, board)),
        None => adapter,
    };
    check.fail("there is no serial port to wire a module to", remedy)
}

/// How the UART of a Raspberry Pi's header is switched on.
fn switch_on(host: &Host, board: &Board) -> String {
    if Board::has_raspi_config(host) {
        return "sudo raspi-config nonint do_serial_hw 0, then sudo reboot".to_owned();
    }
    let line = if board.pi == Some(5) { "dtparam=uart0=on" } else { "enable_uart=1" };
    format!("echo {line} | sudo tee -a {}, then sudo reboot", config_file(host))
}

fn access(host: &Host, seen: &[Seen]) -> Check {
    let check = Check::uart("uart.access", "right to use the ports");
    match seen.iter().find(|seen| seen.reach != Reach::Ready) {
        Some(denied) => rights(check, host, &denied.port.node(), "dialout"),
        None if seen.is_empty() => check.not_checked("there is no port"),
        None => check.pass("every port may be read and written"),
    }
}

fn users(processes: &Processes, seen: &[Seen]) -> Check {
    let check = Check::uart("uart.users", "users of the ports");
    // The console of a Pi 5's debug connector is in nobody's way.
    let owned = seen.iter().filter(|seen| seen.port.uart != Some(Uart::Debug));
    let owned = owned.flat_map(|seen| seen.owners.iter().map(|owner| (seen.port.node(), owner)));
    let owned: Vec<(String, &Owner)> = owned.filter(|(_, owner)| owner.kind != Kind::Bluetooth).collect();
    if let Some((_, first)) = owned.first() {
        let found = owned.iter().map(|(node, owner)| format!("{node}: {}", owner.who)).collect::<Vec<_>>().join("; ");
        return check.fail(found, first.remedy.clone());
    }
    match processes.hidden() {
        _ if seen.is_empty() => check.not_checked("there is no port"),
        0 => check.pass("nobody"),
        hidden => check.pass(format!("nobody seen; {hidden} of other users' processes do not show their files")),
    }
}

fn header(host: &Host, board: &Board, seen: &[Seen]) -> Option<Check> {
    let check = Check::uart("uart.header", "UART of the header");
    let pi = board.pi?;
    let on = seen.iter().find(|seen| matches!(seen.port.uart, Some(Uart::Header | Uart::HeaderMini)));
    Some(match on {
        Some(seen) if seen.port.uart == Some(Uart::HeaderMini) => check.unsure(
            format!("{} is the mini-UART: its rate follows the core clock", seen.port.node()),
            format!("echo dtoverlay=disable-bt | sudo tee -a {}, then sudo reboot", config_file(host)),
        ),
        Some(seen) => check.pass(format!("{}, pins 8 and 10", seen.port.node())),
        None => {
            let debug = seen.iter().any(|seen| seen.port.uart == Some(Uart::Debug));
            let found = if pi == 5 && debug { "off; serial0 is the debug connector, not the header" } else { "off" };
            check.unsure(found, switch_on(host, board))
        }
    })
}

fn modem_manager(processes: &Processes) -> Check {
    let check = Check::uart("uart.modemmanager", "ModemManager");
    match processes.named("ModemManager") {
        None => check.pass("does not run"),
        Some(_) => check.unsure(
            "runs: it may talk to an adapter for half a minute after it is plugged in",
            "sudo systemctl disable --now ModemManager",
        ),
    }
}

fn brltty(processes: &Processes, lost: usize) -> Check {
    let check = Check::uart("uart.brltty", "brltty");
    match (processes.named("brltty"), lost) {
        (None, _) => check.pass("does not run"),
        (Some(_), 0) => check.unsure("runs: it takes common USB adapters for braille displays", BRLTTY_REMEDY),
        (Some(_), count) => check.fail(format!("took {count} USB serial adapter(s)"), BRLTTY_REMEDY),
    }
}
