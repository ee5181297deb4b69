//! The GPIO line that CEN is wired to, looked at in one way by `links`, `doctor` and the Connect tab.

use super::Host;
use super::board::Board;
use super::firmware::Settings;
use super::fix::{Fix, quoted};
use super::lines::chips;
use super::reach::{Reach, reach};
use super::system::System;
use crate::link::contract::LinkError;
use crate::link::gpio::line_name;

/// How the line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cen {
    /// Free, on this chip.
    Free(String),
    /// Somebody has it.
    Claimed {
        /// Who, by the kernel's word.
        by: String,
        /// What frees it.
        remedy: String,
    },
    /// The lines may not be looked at: the chip's node, and how far this user gets with it.
    Denied(String, Reach),
    /// There are no GPIO lines.
    NoLines,
    /// Not on a Raspberry Pi, where numbers are not those of a header.
    OtherBoard,
    /// The header's chip was not found.
    NotTold,
}

impl Cen {
    /// How the line of this BCM number stands.
    pub fn of(host: &Host, system: &System, cen: u8) -> Self {
        let chips = chips(host);
        if let Some(header) = chips.iter().find(|chip| chip.is_header()) {
            return match header.user_of(cen.into()) {
                None => Self::Free(header.node.clone()),
                Some(by) => Self::Claimed { by: by.to_owned(), remedy: free(host, system, cen, by) },
            };
        }
        // Without the right to ask, the kernel lists no lines.
        let nodes: Vec<String> = host.nodes("gpiochip").iter().map(|name| format!("/dev/{name}")).collect();
        let denied = nodes.iter().find_map(|node| {
            let reach = reach(host, node);
            (!matches!(reach, Reach::Ready | Reach::Missing)).then(|| Self::Denied(node.clone(), reach))
        });
        match denied {
            Some(denied) => denied,
            None if nodes.is_empty() => Self::NoLines,
            None if Board::of(host).pi.is_some() => Self::NotTold,
            None => Self::OtherBoard,
        }
    }

    /// What stands in the way of a link with this line; `None` while nothing is known to.
    pub fn obstacle(&self, cen: u8) -> Option<LinkError> {
        match self {
            Self::Claimed { by, remedy } => {
                Some(LinkError::LineInUse { line: line_name(cen), consumer: by.clone(), remedy: remedy.clone() })
            }
            _ => None,
        }
    }
}

/// What frees a claimed line, by who has it.
pub fn free(host: &Host, system: &System, line: u8, by: &str) -> String {
    let elsewhere = "or wire CEN elsewhere and add cen=NUMBER to the link";
    if by.starts_with("sysfs") {
        return format!("`{}`, {elsewhere}", system.fix(host, Fix::Unexport(line)));
    }
    if by.starts_with("spi") && by.contains(" CS") {
        return "it is a chip select of SPI: wire CEN elsewhere and add cen=NUMBER to the link".to_owned();
    }
    let settings = Settings::of(host, system);
    match settings.overlay_with(line).or_else(|| settings.overlay(by.split(['@', '_']).next().unwrap_or(by))) {
        Some(overlay) => format!("{}, {elsewhere}", quoted(&system.fix(host, Fix::NoSetting(overlay)))),
        None => format!("take the overlay or program behind {by} away, {elsewhere}"),
    }
}
