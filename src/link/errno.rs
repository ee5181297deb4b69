//! What the kernel's error numbers mean for a port or bus: each its own cause and remedy.

use std::io::Error;

use super::contract::LinkError;
use super::host::reach::Process;
use super::host::{Host, owners};
use crate::problem::{Class, Problem};

/// Error numbers, the same on every Linux.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENXIO: i32 = 6;
pub(super) const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const EMSGSIZE: i32 = 90;
const ESHUTDOWN: i32 = 108;
const ETIMEDOUT: i32 = 110;

/// What the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not even rights help: a container or a control group keeps the device away.
    Forbidden,
    /// There is a node and no device behind it.
    Hollow,
    /// The driver does not take this speed, mode or length.
    Refused,
    /// The message is longer than the driver's limit.
    TooLong,
    /// The hardware did not carry it out.
    Failed,
    /// The device was taken from its driver.
    Unbound,
}

/// A refusal of the kernel, with its words.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {}: {why}", .fault.words())]
pub struct SysError {
    /// The node.
    pub name: String,
    /// What it was.
    pub fault: Fault,
    /// The kernel's words.
    pub why: String,
}

impl Fault {
    const fn words(self) -> &'static str {
        match self {
            Self::Forbidden => "this process may not use it",
            Self::Hollow => "no device is behind the node",
            Self::Refused => "the driver refuses this speed, mode or length",
            Self::TooLong => "the message is too long for the driver",
            Self::Failed => "the transfer failed in the hardware",
            Self::Unbound => "the device was taken from its driver",
        }
    }
}

impl SysError {
    /// The problem as people see it.
    pub(super) fn explain(&self) -> Problem {
        let (class, code, cause, remedy) = match self.fault {
            Fault::Forbidden => (
                Class::Host,
                "E227",
                "rights of user and group do not decide here: a container, a sandbox or a control group keeps the device from \
                 this process",
                format!(
                    "hand the device to the container (docker: --device {}), or run the program outside of it",
                    self.name
                ),
            ),
            Fault::Hollow => (
                Class::Host,
                "E228",
                "the node is left over: its driver has no device, or was unloaded",
                format!("`dmesg | tail` tells why the driver gave it up; `ls -l {}` shows when it was made", self.name),
            ),
            Fault::Refused => (
                Class::Host,
                "E229",
                "the controller or adapter cannot do what was asked of it",
                "give a lower speed (--speed, clock= or baud=), or take the other driver: driver=linux".to_owned(),
            ),
            Fault::TooLong => (
                Class::Host,
                "E236",
                "spidev takes no messages longer than its parameter bufsiz, and that is smaller than it says",
                "connect again; if it stays, put spidev.bufsiz=4096 on the kernel's command line and reboot".to_owned(),
            ),
            Fault::Failed => (
                Class::Host,
                "E237",
                "the controller or adapter reported an error of its own: a loose plug, a weak supply of the adapter, or a \
                 fault of its driver",
                "plug the adapter in again, at another socket and without a hub; `dmesg | tail` has the driver's words"
                    .to_owned(),
            ),
            Fault::Unbound => (
                Class::NoDevice,
                "E226",
                "its driver was unloaded or an overlay removed while the link was open",
                "put the overlay or driver back (`sudo modprobe spidev`), then connect again".to_owned(),
            ),
        };
        Problem::new(class, code, self.to_string(), cause, remedy)
    }
}

fn fault(name: &str, fault: Fault, error: &Error) -> LinkError {
    SysError { name: name.to_owned(), fault, why: error.to_string() }.into()
}

/// Whether this process is root, whom rights of user and group do not stop.
fn is_root() -> bool {
    Process::of(&Host::here()).user == Some(0)
}

/// What opening a node failed with, where the number alone tells; `None` for missing nodes, missing rights and nodes in use,
/// about which the computer knows more.
pub(super) fn opening(name: &str, error: &Error) -> Option<LinkError> {
    opening_as(name, error, is_root())
}

fn opening_as(name: &str, error: &Error, root: bool) -> Option<LinkError> {
    let found = match error.raw_os_error()? {
        EPERM => Fault::Forbidden,
        EACCES if root => Fault::Forbidden,
        ENODEV | ENXIO => Fault::Hollow,
        EINVAL => Fault::Refused,
        EIO => Fault::Failed,
        ESHUTDOWN => Fault::Unbound,
        _ => return None,
    };
    Some(fault(name, found, error))
}

/// What a transfer over an open port or bus failed with.
pub(super) fn running(name: &str, error: &Error) -> LinkError {
    let (own, why) = (name.to_owned(), error.to_string());
    match error.raw_os_error() {
        // It was open, so it was there.
        Some(ENODEV | ENXIO | ENOENT) => LinkError::Gone { name: own, why },
        Some(EPERM | EACCES) => fault(name, Fault::Forbidden, error),
        Some(EINVAL) => fault(name, Fault::Refused, error),
        Some(EMSGSIZE) => fault(name, Fault::TooLong, error),
        Some(EIO) => fault(name, Fault::Failed, error),
        Some(ESHUTDOWN) => fault(name, Fault::Unbound, error),
        Some(EBUSY) => LinkError::Busy { by: owners::of_path(&Host::here(), name).map(Box::new), name: own },
        Some(ETIMEDOUT) => LinkError::TimedOut { name: own, why },
        _ if error.kind() == std::io::ErrorKind::TimedOut => LinkError::TimedOut { name: own, why },
        _ => LinkError::Io { name: own, why },
    }
}

/// What reading or writing an open serial port failed with. A terminal that was hung up says so with an I/O error.
pub(super) fn on_terminal(name: &str, error: &Error) -> LinkError {
    match error.raw_os_error() {
        Some(EIO) | None => LinkError::Gone { name: name.to_owned(), why: error.to_string() },
        Some(_) => running(name, error),
    }
}

/// The number behind the words of a driver that keeps only those.
pub(super) fn from_words(words: &str) -> Option<Error> {
    let number = match words {
        "Operation not permitted" => EPERM,
        "I/O error" | "Input/output error" => EIO,
        "No such device or address" => ENXIO,
        "No such device" | "Operation not supported by device" => ENODEV,
        "Invalid argument" => EINVAL,
        "Can't send after socket shutdown" | "Cannot send after transport endpoint shutdown" => ESHUTDOWN,
        _ => return None,
    };
    Some(Error::from_raw_os_error(number))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::problem::Explain;

    const ALL: [i32; 9] = [EPERM, EACCES, EINVAL, EMSGSIZE, EIO, ENODEV, ESHUTDOWN, EBUSY, ETIMEDOUT];

    #[test]
    fn every_number_has_a_cause_and_a_remedy_of_its_own() {
        let told: BTreeSet<(String, String)> = ALL
            .into_iter()
            .map(|number| {
                let problem = running("/dev/spidev0.0", &Error::from_raw_os_error(number)).explain();
                (problem.cause, problem.remedy)
            })
            .collect();
        // EPERM and EACCES on an open bus are the same thing.
        assert_eq!(told.len(), ALL.len() - 1, "{told:#?}");
    }

    #[test]
    fn nothing_goes_away_that_never_was_open() {
        for number in ALL {
            let error = Error::from_raw_os_error(number);
            for root in [true, false] {
                if let Some(failed) = opening_as("/dev/spidev0.0", &error, root) {
                    assert!(!failed.to_string().contains("went away"), "{number}: {failed}");
                }
            }
            let gone = running("/dev/spidev0.0", &error).to_string().contains("went away");
            assert_eq!(gone, number == ENODEV, "{number}");
        }
        let hollow =
            opening_as("/dev/spidev0.0", &Error::from_raw_os_error(ENODEV), false).expect("a number that tells");
        assert_eq!(hollow.explain().code, "E228");
    }

    #[test]
    fn root_is_told_of_the_container_and_others_of_their_group() {
        let denied = Error::from_raw_os_error(EACCES);
        assert!(opening_as("/dev/spidev0.0", &denied, false).is_none(), "the groups of the computer decide");
        let problem = opening_as("/dev/spidev0.0", &denied, true).expect("rights do not decide").explain();
        assert!(problem.cause.contains("container") && problem.remedy.contains("--device /dev/spidev0.0"), "{problem}");
        let refused = opening_as("/dev/spidev0.0", &Error::from_raw_os_error(EPERM), false).expect("a control group");
        assert_eq!(refused.explain().code, problem.code);
    }

    #[test]
    fn a_terminal_that_was_hung_up_is_gone_and_other_numbers_keep_their_meaning() {
        let of = |number| on_terminal("/dev/ttyUSB0", &Error::from_raw_os_error(number));
        assert!(matches!(of(EIO), LinkError::Gone { .. }) && matches!(of(ENODEV), LinkError::Gone { .. }));
        assert!(matches!(of(EINVAL), LinkError::Sys(_)) && matches!(of(EPERM), LinkError::Sys(_)));
        assert!(matches!(from_words("Operation not permitted").unwrap().raw_os_error(), Some(EPERM)));
    }
}
