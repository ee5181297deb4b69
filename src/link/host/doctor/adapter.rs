//! SPI without a bus of the computer's own: a CH341A, or a programmer that speaks serprog. A check only where one is
//! plugged in.

use super::Check;
use super::spi::rights;
use crate::link::contract::LinkError;
use crate::link::host::Host;
use crate::link::host::owners::{Processes, of_port};
use crate::link::host::ports::ports;
use crate::link::host::reach::{Reach, reach};
use crate::problem::Explain;

/// Where the kernel lists what is plugged in.
const USB: &str = "sys/bus/usb/devices";
/// A CH341A in SPI mode.
const CH341: (&str, &str) = ("1a86", "5512");
/// The lasting name of the check.
pub(super) const ID: &str = "spi.adapter";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks: Vec<Check> = host.names(USB).into_iter().filter_map(|place| ch341(host, &place)).collect();
    checks.extend(serprog(host));
    checks
}

fn check() -> Check {
    Check::spi(ID, "SPI adapter on USB")
}

fn ch341(host: &Host, place: &str) -> Option<Check> {
    let text = |name: &str| host.text(&format!("{USB}/{place}/{name}"));
    if (text("idVendor")?.as_str(), text("idProduct")?.as_str()) != CH341 {
        return None;
    }
    let number = |name: &str| text(name)?.parse::<u16>().ok();
    let node = format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?);
    Some(match reach(host, &node) {
        Reach::Ready => check().pass(format!("CH341A at USB {place}: --link ch341:")),
        Reach::LoginAgain { .. } | Reach::NotInGroup { .. } => rights(check(), host, &node, "plugdev"),
        Reach::Missing | Reach::OwnerOnly { .. } => {
            let problem = LinkError::UsbDenied { name: format!("CH341A at USB {place}") }.explain();
            check().fail(problem.what, problem.remedy)
        }
    })
}

/// Serial ports whose adapter calls itself a serprog programmer.
fn serprog(host: &Host) -> Vec<Check> {
    let processes = Processes::of(host);
    let says_so = |product: &String| product.to_ascii_lowercase().contains("serprog");
    let found = ports(host).into_iter().filter_map(|port| {
        let product = port.usb.as_ref()?.product.clone().filter(says_so)?;
        let node = port.node();
        let owner = of_port(host, &processes, &port.name).into_iter().next();
        Some(match (owner, reach(host, &node)) {
            (Some(owner), _) => check().fail(format!("{node} is in use by {}", owner.who), owner.remedy),
            (None, Reach::Ready) => check().pass(format!("{product} at {node}: --link serprog:{node}")),
            (None, _) => rights(check(), host, &node, "dialout"),
        })
    });
    found.collect()
}
