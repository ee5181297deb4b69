//! The systems that are known, one line each: how a computer is told to run it, where it keeps what, and the source of
//! that. A system that is not in here gets sentences without names.

/// What adds a user to a group, and where rights are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Groups {
    /// `usermod -aG`, and rules of udev.
    Usermod,
    /// Busybox: `addgroup`, and `mdev.conf` or rules of udev.
    Addgroup,
    /// Options of `configuration.nix`.
    Nix,
    /// Nobody but root works there.
    RootOnly,
}

/// What installs and removes packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packages {
    /// Debian and what is made of it.
    Apt,
    /// Fedora.
    Dnf,
    /// openSUSE.
    Zypper,
    /// Arch.
    Pacman,
    /// Alpine.
    Apk,
    /// OpenWrt.
    Opkg,
    /// Options of `configuration.nix`.
    Nix,
    /// The system is one image, or unknown.
    None,
}

/// What starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// `systemctl`
    Systemd,
    /// `rc-service`
    OpenRc,
    /// `sv`
    Runit,
    /// `/etc/init.d/NAME stop`
    Procd,
    /// Not known.
    Other,
}

/// How a kernel command line is changed where grub starts the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grub {
    /// `/etc/default/grub`, then this command.
    File(&'static str),
    /// `grubby`
    Grubby,
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Distribution {
    /// The name people know.
    pub name: &'static str,
    /// `ID` and `ID_LIKE` of `/etc/os-release`.
    pub ids: &'static [&'static str],
    /// Files and folders that only this system has.
    pub marks: &'static [&'static str],
    /// A word of `NAME` or `PRETTY_NAME`.
    pub word: &'static str,
    /// Where a Raspberry Pi's firmware settings are, best first, when it is not one of the usual places.
    pub settings: &'static [&'static str],
    /// The file for settings of one's own, where the system overwrites the other one.
    pub own_settings: Option<&'static str>,
    /// What makes the system take over a changed settings file.
    pub refresh: Option<&'static str>,
    /// Rights.
    pub groups: Groups,
    /// The program that lends root's rights.
    pub elevate: &'static str,
    /// Packages.
    pub packages: Packages,
    /// Services.
    pub init: Init,
    /// The kernel's command line with grub.
    pub grub: Grub,
    /// Where this line comes from.
    pub source: &'static str,
}

/// What Debian has, and most systems made of it; the other lines say what they have instead.
const DEBIAN: Distribution = Distribution {
    name: "Debian",
    ids: &["debian"],
    marks: &[],
    word: "",
    settings: &[],
    own_settings: None,
    refresh: None,
    groups: Groups::Usermod,
    elevate: "sudo",
    packages: Packages::Apt,
    init: Init::Systemd,
    grub: Grub::File("update-grub"),
    source: "wiki.debian.org/SystemGroups; update-grub(8)",
};

/// A system that is not in the table: nothing is taken for granted.
pub const UNKNOWN: Distribution = Distribution {
    name: "this system",
    ids: &[],
    packages: Packages::None,
    init: Init::Other,
    source: "nothing is known",
    ..DEBIAN
};

/// The table. The first line that fits counts, so that what is made of another system stands before it.
pub const DISTRIBUTIONS: &[Distribution] = &[
    Distribution {
        name: "Home Assistant OS",
        ids: &["haos", "hassos"],
        settings: &["mnt/boot/config.txt"],
        groups: Groups::RootOnly,
        packages: Packages::None,
        source: "developers.home-assistant.io/docs/add-ons/configuration",
        ..DEBIAN
    },
    Distribution {
        name: "NixOS",
        ids: &["nixos"],
        groups: Groups::Nix,
        packages: Packages::Nix,
        source: "search.nixos.org: hardware.deviceTree.overlays, services.udev.extraRules, users.users",
        ..DEBIAN
    },
    Distribution {
        name: "OpenWrt",
        ids: &["openwrt", "lede"],
        marks: &["etc/openwrt_release"],
        settings: &["boot/config.txt"],
        groups: Groups::RootOnly,
        packages: Packages::Opkg,
        init: Init::Procd,
        source: "openwrt.org/docs/techref/initscripts; openwrt.org/packages: kmod-spi-dev, kmod-usb-serial-*",
        ..DEBIAN
    },
    Distribution {
        name: "Armbian",
        ids: &["armbian"],
        marks: &["etc/armbian-release", "boot/armbianEnv.txt"],
        word: "Armbian",
        source: "docs.armbian.com/User-Guide_Armbian-Config/System; User-Guide_Armbian_overlays",
        ..DEBIAN
    },
    Distribution {
        name: "DietPi",
        ids: &["dietpi"],
        marks: &["boot/dietpi", "boot/dietpi.txt", "boot/firmware/dietpi.txt"],
        word: "DietPi",
        source: "dietpi.com/docs/hardware; github.com/MichaIng/DietPi/issues/7904",
        ..DEBIAN
    },
    Distribution {
        name: "OSMC",
        ids: &["osmc"],
        settings: &["boot/config.txt"],
        own_settings: Some("boot/config-user.txt"),
        source: "osmc.tv/wiki: config-user.txt",
        ..DEBIAN
    },
    Distribution {
        name: "LibreELEC",
        ids: &["libreelec", "coreelec"],
        settings: &["flash/config.txt"],
        groups: Groups::RootOnly,
        packages: Packages::None,
        source: "wiki.libreelec.tv/configuration/config_txt",
        ..DEBIAN
    },
    Distribution {
        name: "Raspberry Pi OS",
        ids: &["raspbian", "raspios"],
        marks: &["etc/rpi-issue", "usr/bin/raspi-config"],
        source: "raspberrypi.com/documentation/computers/configuration; github.com/RPi-Distro/raspi-config",
        ..DEBIAN
    },
    Distribution {
        name: "Debian with raspi-firmware",
        ids: &[],
        marks: &["etc/default/raspi-firmware", "etc/kernel/postinst.d/z50-raspi-firmware"],
        settings: &["boot/firmware/config.txt"],
        own_settings: Some("etc/default/raspi-firmware-custom"),
        refresh: Some("update-initramfs -u"),
        source: "raspi.debian.net/defaults-and-settings",
        ..DEBIAN
    },
    Distribution {
        name: "Ubuntu",
        ids: &["ubuntu"],
        source: "ubuntu.com/hardware/docs/boards: config.txt of the Raspberry Pi images",
        ..DEBIAN
    },
    Distribution {
        name: "openSUSE",
        ids: &["opensuse-leap", "opensuse-tumbleweed", "opensuse-microos", "opensuse", "suse", "sles"],
        settings: &["boot/efi/config.txt", "boot/vc/config.txt"],
        own_settings: Some("boot/efi/extraconfig.txt"),
        packages: Packages::Zypper,
        grub: Grub::File("grub2-mkconfig -o /boot/grub2/grub.cfg"),
        source: "en.opensuse.org/HCL:Raspberry_Pi4: extraconfig.txt",
        ..DEBIAN
    },
    Distribution {
        name: "Fedora",
        ids: &["fedora", "rhel", "centos", "rocky", "almalinux"],
        settings: &["boot/efi/config.txt"],
        packages: Packages::Dnf,
        grub: Grub::Grubby,
        source: "docs.fedoraproject.org: grubby, Raspberry Pi",
        ..DEBIAN
    },
    Distribution {
        name: "Arch Linux",
        ids: &["arch", "archarm", "manjaro", "manjaro-arm", "endeavouros"],
        settings: &["boot/config.txt"],
        packages: Packages::Pacman,
        grub: Grub::File("grub-mkconfig -o /boot/grub/grub.cfg"),
        source: "wiki.archlinux.org/title/Users_and_groups; archlinuxarm.org/platforms/armv8/broadcom/raspberry-pi-4",
        ..DEBIAN
    },
    Distribution {
        name: "Alpine Linux",
        ids: &["alpine", "postmarketos"],
        settings: &["media/mmcblk0p1/config.txt", "boot/config.txt"],
        own_settings: None,
        groups: Groups::Addgroup,
        elevate: "doas",
        packages: Packages::Apk,
        init: Init::OpenRc,
        grub: Grub::File("grub-mkconfig -o /boot/grub/grub.cfg"),
        source: "wiki.alpinelinux.org/wiki/Raspberry_Pi: usercfg.txt; wiki.alpinelinux.org/wiki/OpenRC",
        ..DEBIAN
    },
    Distribution {
        name: "Void Linux",
        ids: &["void"],
        packages: Packages::None,
        init: Init::Runit,
        grub: Grub::File("update-grub"),
        source: "docs.voidlinux.org/config/services",
        ..DEBIAN
    },
    DEBIAN,
];
