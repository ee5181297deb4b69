//! Rights to use a device node.

use super::boot::nix;
use super::{Groups, Host, Init, System};
use crate::link::host::reach::{Membership, Process, Reach, membership};

/// The folder of udev's own rules.
const RULES: &str = "/etc/udev/rules.d";
/// A CH341A in SPI mode, for udev.
const CH341: &str = "SUBSYSTEM==\"usb\", ATTR{idVendor}==\"1a86\", ATTR{idProduct}==\"5512\"";

impl System {
    pub(super) fn rights(&self, host: &Host, node: &str, usual: &str, reach: &Reach) -> String {
        match reach {
            Reach::Ready => String::new(),
            Reach::Missing => self.make_node(host),
            Reach::LoginAgain { group } => self.login_again(host, group),
            Reach::NotInGroup { group } => self.join(host, group),
            Reach::OwnerOnly { .. } => self.hand_over(host, node, usual),
        }
    }

    /// The kernel knows the device, and there is no node for it.
    fn make_node(&self, host: &Host) -> String {
        match () {
            () if self.has_udev(host) => {
                format!("{} && {}", self.as_root("udevadm trigger"), self.as_root("udevadm settle"))
            }
            () if host.has("etc/mdev.conf") => self.as_root("mdev -s"),
            () => "plug the device in again, or restart the computer".to_owned(),
        }
    }

    fn login_again(&self, host: &Host, group: &str) -> String {
        let newgrp = ["usr/bin/newgrp", "bin/newgrp"].iter().any(|file| host.has(file));
        match newgrp || (self.distribution.groups == Groups::Usermod && self.known()) {
            true => format!("log out and in again; until then `newgrp {group}` opens a shell that has the group"),
            false => "log out and in again".to_owned(),
        }
    }

    fn user(host: &Host) -> String {
        Process::of(host).user_name(host).unwrap_or_else(|| "USER".to_owned())
    }

    /// The command that adds this user to a group.
    fn add_to(&self, host: &Host, group: &str) -> Option<String> {
        let busybox = || self.as_root(&format!("addgroup $USER {group}"));
        let has = |name: &str| {
            ["usr/sbin", "sbin", "usr/bin", "bin"].iter().any(|folder| host.has(&format!("{folder}/{name}")))
        };
        match self.distribution.groups {
            Groups::Usermod => Some(self.as_root(&format!("usermod -aG {group} $USER"))),
            Groups::Addgroup if has("usermod") => Some(self.as_root(&format!("usermod -aG {group} $USER"))),
            Groups::Addgroup => Some(busybox()),
            Groups::Nix | Groups::RootOnly => None,
        }
    }

    fn join(&self, host: &Host, group: &str) -> String {
        match self.add_to(host, group) {
            Some(command) => format!("`{command}`, then log out and in again"),
            None if self.distribution.groups == Groups::Nix => {
                let option = format!("users.users.{}.extraGroups = [ \"{group}\" ];", Self::user(host));
                format!("{}; then log out and in again", nix(&option, false))
            }
            None => "run bkbench as root".to_owned(),
        }
    }

    fn has_udev(&self, host: &Host) -> bool {
        let there = ["etc/udev", "usr/lib/udev", "lib/udev"].iter().any(|folder| host.has(folder));
        // WSL without systemd has the folders, and nobody reads them.
        (self.init == Init::Systemd && !self.wsl) || (there && !(self.wsl && self.init != Init::Systemd))
    }

    /// Hands a kind of node to a group, where the system has no rule for it (Debian has none for spidev).
    fn hand_over(&self, host: &Host, node: &str, group: &str) -> String {
        let name = node.rsplit('/').next().unwrap_or(node);
        // Arch and a few others have another group for serial ports.
        let missing = |group: &str| membership(host, group) == Membership::NoGroup;
        let group = if group == "dialout" && missing(group) && !missing("uucp") { "uucp" } else { group };
        let (matching, pattern) = match name {
            _ if name.starts_with("spidev") => ("SUBSYSTEM==\"spidev\"", "spidev[0-9.]*"),
            _ if name.starts_with("gpiochip") => ("SUBSYSTEM==\"gpio\", KERNEL==\"gpiochip*\"", "gpiochip[0-9]*"),
            _ if name.starts_with("tty") => ("SUBSYSTEM==\"tty\", KERNEL==\"tty[A-Z]*[0-9]\"", "tty[A-Z]*[0-9]"),
            _ => return self.as_root(&format!("chmod a+rw {node}")),
        };
        let rule = format!("{matching}, GROUP=\"{group}\", MODE=\"0660\"");
        if self.distribution.groups == Groups::Nix {
            let user = Self::user(host);
            let options = format!(
                "services.udev.extraRules = ''{rule}''; users.groups.{group} = {{ }}; users.users.{user}.extraGroups = [ \"{group}\" ];"
            );
            return format!("{}; then log out and in again", nix(&options, false));
        }
        let exists = membership(host, group) != Membership::NoGroup;
        let make = match (exists, self.distribution.groups) {
            (true, _) | (_, Groups::Nix | Groups::RootOnly) => None,
            (false, Groups::Usermod) => Some(self.as_root(&format!("groupadd -f {group}"))),
            (false, Groups::Addgroup) => Some(self.as_root(&format!("addgroup -S {group}"))),
        };
        let Some(add) = self.add_to(host, group) else { return "run bkbench as root".to_owned() };
        let hand = if self.has_udev(host) {
            let write = self.as_root(&format!("tee {RULES}/60-bkbench-{group}.rules"));
            let (reload, trigger) = (self.as_root("udevadm control --reload"), self.as_root("udevadm trigger"));
            format!("echo '{rule}' | {write} && {reload} && {trigger}")
        } else if host.has("etc/mdev.conf") {
            let write = self.as_root("tee -a /etc/mdev.conf");
            format!("echo '{pattern} root:{group} 0660' | {write} && {}", self.as_root("mdev -s"))
        } else {
            let (owner, mode) =
                (self.as_root(&format!("chgrp {group} {node}")), self.as_root(&format!("chmod 660 {node}")));
            format!("{owner} && {mode}")
        };
        let steps: Vec<String> = [make, Some(add), Some(hand)].into_iter().flatten().collect();
        format!("`{}`, then log out and in again", steps.join(" && "))
    }

    /// The right to use a CH341A, for which the kernel has no driver by itself.
    pub(super) fn usb_rights(&self, host: &Host, node: &str) -> String {
        let again = "then unplug the adapter and plug it in again";
        let plugdev = membership(host, "plugdev");
        // A tag hands it to whoever sits at the computer; a group also to who logs in from afar.
        let rule = match plugdev {
            Membership::NoGroup => format!("{CH341}, TAG+=\"uaccess\""),
            _ => format!("{CH341}, MODE=\"0660\", GROUP=\"plugdev\", TAG+=\"uaccess\""),
        };
        if self.distribution.groups == Groups::Nix {
            return format!("{}, {again}", nix(&format!("services.udev.extraRules = ''{rule}'';"), false));
        }
        if !self.has_udev(host) {
            return format!(
                "`{}`; that lasts until the adapter is unplugged",
                self.as_root(&format!("chmod a+rw {node}"))
            );
        }
        let write = self.as_root(&format!("tee {RULES}/60-bkbench-ch341.rules"));
        let reload = self.as_root("udevadm control --reload");
        let add = self.add_to(host, "plugdev").filter(|_| plugdev == Membership::Not).map(|add| format!(" && {add}"));
        let login = if add.is_some() { ", log out and in again" } else { "" };
        format!("`echo '{rule}' | {write} && {reload}{}`, {again}{login}", add.unwrap_or_default())
    }
}
