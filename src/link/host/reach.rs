//! Whether this user may use a device node, and if not, what would help: a group, or a new login.

use serde::Serialize;

use super::Host;
use super::fix::Fix;
use super::system::System;
use crate::link::contract::LinkError;

/// How far this process gets with a device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Reach {
    /// It may read and write it.
    Ready,
    /// There is no such node.
    Missing,
    /// The user is in the node's group, but was added after this session began.
    LoginAgain {
        /// The group.
        group: String,
    },
    /// The user is not in the node's group.
    NotInGroup {
        /// The group.
        group: String,
    },
    /// No group would help: the node belongs to its owner alone.
    OwnerOnly {
        /// The owner.
        owner: String,
    },
}

/// User and groups of a process, as `/proc/self/status` has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The effective user; `None` when the system does not say.
    pub user: Option<u32>,
    /// The effective group and the supplementary ones.
    pub groups: Vec<u32>,
}

impl Process {
    /// This process.
    pub fn of(host: &Host) -> Self {
        let status = host.text("proc/self/status").unwrap_or_default();
        let ids = |key: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        let mut groups = ids("Groups:");
        groups.extend(ids("Gid:").get(1));
        Self { user: ids("Uid:").get(1).copied(), groups }
    }

    /// The name of its user.
    pub fn user_name(&self, host: &Host) -> Option<String> {
        name_of(host, "etc/passwd", self.user?)
    }
}

/// One line of `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// The users added to it.
    pub members: Vec<String>,
}

/// The groups of a computer.
pub fn groups(host: &Host) -> Vec<Group> {
    let text = host.text("etc/group").unwrap_or_default();
    let line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let number = fields.nth(1)?.trim().parse().ok()?;
        let members = fields.next().unwrap_or_default().split(',').map(str::trim);
        let members = members.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some(Group { name, number, members })
    };
    text.lines().filter_map(line).collect()
}

/// How a process stands to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It has the group.
    Has,
    /// The user is in the group, the process is not: the session is older than the change.
    LoginAgain,
    /// The user is not in the group.
    Not,
    /// There is no such group.
    NoGroup,
}

/// How this process stands to the group called `name`.
pub fn membership(host: &Host, name: &str) -> Membership {
    let process = Process::of(host);
    match groups(host).iter().find(|group| group.name == name) {
        None => Membership::NoGroup,
        Some(group) if process.groups.contains(&group.number) => Membership::Has,
        Some(group) if added(host, &process, group) => Membership::LoginAgain,
        Some(_) => Membership::Not,
    }
}

/// Whether the user database has the process's user in the group.
fn added(host: &Host, process: &Process, group: &Group) -> bool {
    process.user_name(host).is_some_and(|user| group.members.contains(&user))
}

/// How far this process gets with a device node. Never opens it.
pub fn reach(host: &Host, path: &str) -> Reach {
    let Some(node) = host.node(path) else { return Reach::Missing };
    // The system knows of access lists and capabilities that the permission bits do not show.
    if host.is_here() && system_allows(path) {
        return Reach::Ready;
    }
    let process = Process::of(host);
    let mine = process.user == Some(node.user) && node.mode & 0o600 == 0o600;
    let by_group = node.mode & 0o060 == 0o060;
    if !host.is_here()
        && (process.user == Some(0)
            || mine
            || node.mode & 0o006 == 0o006
            || (by_group && process.groups.contains(&node.group)))
    {
        return Reach::Ready;
    }
    let group = groups(host).into_iter().find(|group| group.number == node.group);
    match group {
        // A group of the system's own, such as root, is nothing to join.
        Some(group) if by_group && group.number != 0 => {
            if added(host, &process, &group) && !process.groups.contains(&group.number) {
                Reach::LoginAgain { group: group.name }
            } else {
                Reach::NotInGroup { group: group.name }
            }
        }
        _ => Reach::OwnerOnly { owner: name_of(host, "etc/passwd", node.user).unwrap_or_else(|| "root".to_owned()) },
    }
}

#[cfg(unix)]
fn system_allows(path: &str) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
fn system_allows(_: &str) -> bool {
    true
}

impl Reach {
    /// The obstacle as a link would report it; `None` when there is none. `usual` is the group such nodes usually
    /// belong to.
    pub fn obstacle(&self, host: &Host, system: &System, node: &str, usual: &str) -> Option<LinkError> {
        let name = node.to_owned();
        let remedy = system.fix(host, Fix::Rights(node, usual, self));
        match self {
            Self::Ready => None,
            Self::Missing => Some(LinkError::NotFound { name, remedy }),
            Self::LoginAgain { group } => Some(LinkError::LoginAgain { name, group: group.clone(), remedy }),
            Self::NotInGroup { group } if group == usual => {
                Some(LinkError::Denied { name, group: group.clone(), remedy })
            }
            Self::NotInGroup { group } => Some(LinkError::OtherGroup { name, group: group.clone(), remedy }),
            Self::OwnerOnly { owner } => Some(LinkError::OwnerOnly { name, owner: owner.clone(), remedy }),
        }
    }
}

/// The number of a user or group by its name, from a file with `name:x:number:` lines.
pub(super) fn number_of(host: &Host, file: &str, name: &str) -> Option<u32> {
    let text = host.text(file)?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        fields.nth(1)?.trim().parse().ok()
    })
}

fn name_of(host: &Host, file: &str, number: u32) -> Option<String> {
    let text = host.text(file)?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.trim().parse() == Ok(number)).then(|| name.to_owned())
    })
}
