//! What UART needs: a port that may be used and that nobody else uses.

use super::Check;
use super::spi::rights;
use crate::link::host::Host;
use crate::link::host::adapters::{Lost, Why, brltty_remedy, hidden_suspects, lost};
use crate::link::host::board::{Board, Uart};
use crate::link::host::fix::{Fix, Service, quoted};
use crate::link::host::owners::{Kind, Owner, Processes, of_port};
use crate::link::host::ports::{Port, ports};
use crate::link::host::reach::{Reach, reach};
use crate::link::host::system::System;
use crate::units::counted;

/// A port with all that decides whether it can be used.
struct Seen {
    port: Port,
    owners: Vec<Owner>,
    reach: Reach,
}

impl Seen {
    /// Whether a module can be wired to it now, as far as the computer knows.
    fn usable(&self) -> bool {
        self.reach == Reach::Ready && self.owners.is_empty() && self.wire()
    }

    /// Whether a module can be wired to it at all.
    fn wire(&self) -> bool {
        self.port.no_wire.is_none()
    }
}

/// What was found on one computer.
struct Scene<'a> {
    host: &'a Host,
    system: &'a System,
    board: &'a Board,
    processes: Processes,
    seen: Vec<Seen>,
    lost: Vec<Lost>,
}

pub(super) fn checks(host: &Host, board: &Board, system: &System) -> Vec<Check> {
    let processes = Processes::of(host);
    let all = ports(host);
    let lost = lost(host, system, &processes, &all);
    let seen = all.into_iter().map(|port| Seen {
        owners: of_port(host, system, &processes, &port.name),
        reach: reach(host, &port.node()),
        port,
    });
    let seen = seen.collect();
    let scene = Scene { host, system, board, processes, seen, lost };
    let mut checks = vec![scene.port(), scene.access(), scene.users()];
    checks.extend(scene.lost_adapters());
    checks.extend(scene.header());
    checks.push(scene.modem_manager());
    checks.push(scene.brltty());
    checks
}

impl Scene<'_> {
    fn fix(&self, fix: Fix<'_>) -> String {
        self.system.fix(self.host, fix)
    }

    fn usable(&self) -> Option<&Seen> {
        self.seen.iter().find(|seen| seen.usable())
    }

    fn port(&self) -> Check {
        let check = Check::uart("uart.port", "serial port").needed();
        if let Some(usable) = self.usable() {
            return check.pass(format!("{}: {}", usable.port.node(), usable.port.words()));
        }
        // An adapter that is plugged in is nearer than a port that somebody else uses.
        let usb = |seen: &&Seen| seen.wire() && seen.port.usb.is_some();
        let nearest = self.seen.iter().find(usb);
        if let (None, Some(lost)) = (nearest, self.lost.first()) {
            let found = format!("the adapter {} has no port: {}", lost.name(), lost.reason());
            return check.fail(found, lost.remedy(self.host, self.system));
        }
        // The port that is nearest to being usable tells what to do.
        if let Some(nearest) = nearest.or_else(|| self.seen.iter().find(|seen| seen.wire())) {
            let node = nearest.port.node();
            return match nearest.owners.first() {
                Some(owner) => check.fail(format!("{node} is in use by {}", owner.who), owner.remedy.clone()),
                None => rights(check, self.host, self.system, &node, "dialout"),
            };
        }
        let adapter = self.fix(Fix::PassUsb);
        let remedy = match self.board.pi {
            Some(pi) if self.system.container.is_none() => {
                format!("{}; or {adapter}", quoted(&self.fix(Fix::HeaderUartOn(pi))))
            }
            _ => adapter,
        };
        let useless: Vec<String> = self
            .seen
            .iter()
            .map(|seen| format!("{} is {}", seen.port.node(), seen.port.no_wire.unwrap_or_default()))
            .collect();
        let found = match useless.is_empty() || self.board.pi.is_some() {
            true => "there is no serial port to wire a module to".to_owned(),
            false => format!("there is no serial port to wire a module to: {}", useless.join("; ")),
        };
        check.fail(found, remedy)
    }

    fn access(&self) -> Check {
        let check = Check::uart("uart.access", "right to use the ports");
        let wires = || self.seen.iter().filter(|seen| seen.wire());
        // With a port that may be used, the rights of the others do not matter.
        if let Some(usable) = self.usable() {
            return check.pass(format!("{} may be read and written", usable.port.node()));
        }
        match wires().find(|seen| seen.reach != Reach::Ready) {
            // A login prompt took them, and gives them back.
            Some(Seen { owners, port, .. }) if owners.first().is_some_and(|owner| owner.kind == Kind::Getty) => {
                let owner = owners.first();
                let found = format!("{}: {}", port.node(), owner.map(|owner| owner.who.clone()).unwrap_or_default());
                check.fail(found, owner.map(|owner| owner.remedy.clone()).unwrap_or_default())
            }
            Some(denied) => rights(check, self.host, self.system, &denied.port.node(), "dialout"),
            None if self.seen.is_empty() => check.not_checked("there is no port"),
            None => check.pass("every port may be read and written"),
        }
    }

    fn users(&self) -> Check {
        let check = Check::uart("uart.users", "users of the ports");
        // The console of a Pi 5's debug connector is in nobody's way.
        let owned = self.seen.iter().filter(|seen| seen.wire());
        let owned = owned.flat_map(|seen| seen.owners.iter().map(|owner| (seen.port.node(), owner)));
        let owned: Vec<(String, &Owner)> = owned.filter(|(_, owner)| owner.kind != Kind::Bluetooth).collect();
        let list = || owned.iter().map(|(node, owner)| format!("{node}: {}", owner.who)).collect::<Vec<_>>().join("; ");
        match (owned.first(), self.usable()) {
            (Some(_), Some(free)) => check.pass(format!("nobody on {}; {}", free.port.node(), list())),
            (Some((_, first)), None) => check.fail(list(), first.remedy.clone()),
            (None, _) if self.seen.is_empty() => check.not_checked("there is no port"),
            (None, _) => check.pass(self.nobody()),
        }
    }

    /// Nobody is seen; some processes keep their files to themselves, and some of them are known for holding ports.
    fn nobody(&self) -> String {
        let suspects = hidden_suspects(&self.processes);
        match (self.processes.hidden(), suspects.as_slice()) {
            (0, _) => "nobody".to_owned(),
            (hidden, []) => format!("nobody seen; the open files of {} are hidden", counted(hidden as u64, "process")),
            (hidden, suspects) => format!(
                "nobody seen; the open files of {} are hidden, among them {}",
                counted(hidden as u64, "process"),
                suspects.join(", ")
            ),
        }
    }

    fn lost_adapters(&self) -> Vec<Check> {
        let check = |lost: &Lost| {
            let check = Check::uart("uart.adapter", "serial adapter without a port");
            check.fail(format!("{}: {}", lost.name(), lost.reason()), lost.remedy(self.host, self.system))
        };
        // What brltty took has a check of its own.
        self.lost.iter().filter(|lost| lost.why != Why::Brltty).map(check).collect()
    }

    fn header(&self) -> Option<Check> {
        let check = Check::uart("uart.header", "UART of the header");
        let pi = self.board.pi.filter(|_| self.system.container.is_none())?;
        let on = self.seen.iter().find(|seen| matches!(seen.port.uart, Some(Uart::Header | Uart::HeaderMini)));
        Some(match on {
            Some(seen) if seen.port.uart == Some(Uart::HeaderMini) => check.unsure(
                format!("{} is the mini-UART: its rate follows the core clock", seen.port.node()),
                self.fix(Fix::Setting("dtoverlay=disable-bt")),
            ),
            Some(seen) => check.pass(format!("{}, pins 8 and 10", seen.port.node())),
            None => {
                let debug = self.seen.iter().any(|seen| seen.port.uart == Some(Uart::Debug));
                let found =
                    if pi == 5 && debug { "off; serial0 is the debug connector, not the header" } else { "off" };
                check.unsure(found, self.fix(Fix::HeaderUartOn(pi)))
            }
        })
    }

    fn modem_manager(&self) -> Check {
        let check = Check::uart("uart.modemmanager", "ModemManager");
        match self.processes.named("ModemManager") {
            None => check.pass("does not run"),
            Some(_) => check.unsure(
                "runs: it may talk to an adapter for half a minute after it is plugged in",
                self.fix(Fix::Stop(&Service::System("ModemManager.service".to_owned()))),
            ),
        }
    }

    fn brltty(&self) -> Check {
        let check = Check::uart("uart.brltty", "brltty");
        let remedy = || brltty_remedy(self.host, self.system);
        let taken = self.lost.iter().filter(|lost| lost.why == Why::Brltty).count();
        match (self.processes.named("brltty"), taken) {
            (None, _) => check.pass("does not run"),
            (Some(_), 0) => check.unsure("runs: it takes common USB adapters for braille displays", remedy()),
            (Some(_), count) => check.fail(format!("took {}", counted(count as u64, "USB serial adapter")), remedy()),
        }
    }
}
