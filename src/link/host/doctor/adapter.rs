//! SPI without a bus of the computer's own: a CH341A, or a programmer that speaks serprog. A check only where one is
//! plugged in.

use super::Check;
use super::spi::rights;
use crate::link::host::Host;
use crate::link::host::adapters::{Programmer, jumpers, programmers};
use crate::link::host::owners::{Processes, of_port};
use crate::link::host::ports::ports;
use crate::link::host::reach::{Reach, reach};
use crate::link::host::system::System;

/// The lasting name of the check.
pub(super) const ID: &str = "spi.adapter";

pub(super) fn checks(host: &Host, system: &System) -> Vec<Check> {
    let mut checks: Vec<Check> = programmers(host).iter().map(|found| ch341(host, system, found)).collect();
    checks.extend(jumpers(host).into_iter().map(|place| jumper(&place)));
    checks.extend(serprog(host, system));
    checks
}

fn check() -> Check {
    Check::spi(ID, "SPI adapter on USB")
}

fn ch341(host: &Host, system: &System, found: &Programmer) -> Check {
    let name = format!("CH341A at USB {}", found.place);
    match found.obstacle(host, system, &name) {
        None => check().pass(format!("{name}: --link ch341:")),
        Some(error) => {
            use crate::problem::Explain;
            let problem = error.explain();
            check().fail(problem.what, problem.remedy)
        }
    }
}

fn jumper(place: &str) -> Check {
    check().unsure(
        format!("CH341A at USB {place} in UART mode (1A86:5523): its jumper stands on UART, or it is a serial cable"),
        "for SPI set the adapter's jumper to SPI (then it is 1A86:5512) and plug it in again",
    )
}

/// Serial ports whose adapter calls itself a serprog programmer.
fn serprog(host: &Host, system: &System) -> Vec<Check> {
    let processes = Processes::of(host);
    let says_so = |product: &String| product.to_ascii_lowercase().contains("serprog");
    let found = ports(host).into_iter().filter_map(|port| {
        let product = port.usb.as_ref()?.product.clone().filter(says_so)?;
        let node = port.node();
        let owner = of_port(host, system, &processes, &port.name).into_iter().next();
        Some(match (owner, reach(host, &node)) {
            (Some(owner), _) => check().fail(format!("{node} is in use by {}", owner.who), owner.remedy),
            (None, Reach::Ready) => check().pass(format!("{product} at {node}: --link serprog:{node}")),
            (None, _) => rights(check(), host, system, &node, "dialout"),
        })
    });
    found.collect()
}
