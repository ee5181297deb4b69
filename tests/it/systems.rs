//! The same faults on every system that is known: each remedy names only programs, groups, files and steps that the system
//! has, and following the doctor on a fresh one ends at a computer that is ready.

use std::collections::BTreeSet;
use std::path::Path;

use bkbench::link::WireKind;
use bkbench::link::host::doctor::{self, Diagnosis, State, Surroundings, Wanted};
use bkbench::link::host::endpoints;
use bkbench::link::host::system::{DISTRIBUTIONS, System};

use crate::support::hosts::{Computer, composed};

/// A system, the board it runs on, the groups of its nodes (spidev, serial port, GPIO), and a word of the remedy for SPI that
/// is off.
struct Known {
    system: &'static str,
    board: &'static str,
    groups: [&'static str; 3],
    spi_on: &'static str,
}

const fn pi(system: &'static str, groups: [&'static str; 3], spi_on: &'static str) -> Known {
    Known { system, board: "pi4", groups, spi_on }
}

const KNOWN: &[Known] = &[
    pi("raspberry-pi-os-bullseye", ["spi", "dialout", "gpio"], "sudo raspi-config nonint do_spi 0 && sudo reboot"),
    pi("raspberry-pi-os-bookworm", ["spi", "dialout", "gpio"], "sudo raspi-config nonint do_spi 0 && sudo reboot"),
    pi("raspberry-pi-os-trixie", ["spi", "dialout", "gpio"], "sudo raspi-config nonint do_spi 0 && sudo reboot"),
    pi("ubuntu", ["dialout", "dialout", "dialout"], "tee -a /boot/firmware/config.txt"),
    pi("dietpi", ["spi", "dialout", "gpio"], "tee -a /boot/config.txt"),
    Known {
        system: "armbian",
        board: "orange-pi",
        groups: ["dialout"; 3],
        spi_on: "sed -i '/^overlays=/ s/$/ spi-spidev/' /boot/armbianEnv.txt",
    },
    pi(
        "debian-raspi-firmware",
        ["dialout"; 3],
        "tee -a /etc/default/raspi-firmware-custom && sudo update-initramfs -u",
    ),
    pi("opensuse", ["dialout"; 3], "tee -a /boot/efi/extraconfig.txt"),
    pi("arch", ["uucp"; 3], "tee -a /boot/config.txt"),
    pi("fedora", ["dialout"; 3], "tee -a /boot/efi/config.txt"),
    pi(
        "alpine",
        ["dialout"; 3],
        "doas mount -o remount,rw /media/mmcblk0p1 && echo dtparam=spi=on | doas tee -a /media/mmcblk0p1/usercfg.txt && doas reboot",
    ),
    pi("nixos", ["dialout"; 3], "hardware.deviceTree.overlays"),
    pi("home-assistant", ["root"; 3], "options of the add-on"),
    Known { system: "wsl", board: "no-board", groups: ["root", "dialout", "root"], spi_on: "usbipd" },
    pi("container", ["root"; 3], "--device /dev/spidev0.0"),
    pi("openwrt", ["root"; 3], "echo dtparam=spi=on | tee -a /boot/config.txt && reboot"),
    pi("unknown", ["dialout"; 3], "add dtparam=spi=on to config.txt on the boot partition"),
];

const LINES: &str = "[[gpio]]\nnode = \"/dev/gpiochip0\"\nlabel = \"pinctrl-bcm2711\"\nlines = 58\n\
                     used = [{ number = 8, by = \"spi0 CS0\" }, { number = 7, by = \"spi0 CS1\" }]\n";

impl Known {
    fn put_together(&self, parts: &[&str], nodes: &[&str], gpio: &str) -> Computer {
        let mut all = vec![format!("systems/{}", self.system), format!("parts/{}", self.board)];
        all.extend(parts.iter().map(|part| format!("parts/{part}")));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        composed(&all, nodes, gpio)
    }

    fn node(&self, name: &str, mode: u32, group: usize) -> String {
        format!("dev/{name} {mode} root {}", self.groups[group])
    }

    /// Nothing is wrong with it.
    fn healthy(&self) -> Computer {
        // On a board of another kind there is no header to look at.
        let spi: &[&str] = if self.board == "pi4" { &["spi", "ch340"] } else { &["ch340"] };
        let nodes = [self.node("spidev0.0", 660, 0), self.node("ttyUSB0", 660, 1), self.node("gpiochip0", 660, 2)];
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        // Who has no group there is root, or was let in by everybody's rights.
        let open: Vec<String> = nodes.iter().map(|node| node.replace("660 root root", "666 root root")).collect();
        let open: Vec<&str> = open.iter().map(String::as_str).collect();
        self.put_together(spi, &open[if self.board == "pi4" { 0 } else { 1 }..], LINES)
    }

    /// SPI is off, and nothing else was looked at.
    fn spi_off(&self) -> Computer {
        self.put_together(&["spi-off"], &[], LINES)
    }

    /// Everything that can be wrong with it, a few faults that do not meet on each computer.
    fn faults(&self) -> Vec<(&'static str, Computer)> {
        let own = [
            "dev/spidev0.0 600 root root",
            "dev/ttyUSB0 600 root root",
            "dev/gpiochip0 600 root root",
            "dev/bus/usb/001/007 664 root root",
        ];
        let port = [self.node("ttyUSB0", 666, 1), self.node("ttyS0", 666, 1)];
        let port: Vec<&str> = port.iter().map(String::as_str).collect();
        let exported = LINES.replace("number = 8, by = \"spi0 CS0\"", "number = 22, by = \"sysfs\"");
        vec![
            (
                "SPI off, brltty, login prompt",
                self.put_together(&["spi-off", "ch340-brltty", "header-uart"], &["dev/ttyS0 620 root tty"], LINES),
            ),
            ("rights", self.put_together(&["spi", "ch340"], &own[..3], "")),
            ("USB rights, no port", self.put_together(&["ch341a"], &own[3..], "")),
            (
                "no driver, no chip select",
                self.put_together(&["ch340-no-driver", "spi"], &["dev/spidev0.0 666 root root"], &exported),
            ),
            ("service, console", self.put_together(&["ch340", "service", "header-uart", "console"], &port, "")),
        ]
    }
}

fn examine(computer: &Computer) -> Diagnosis {
    doctor::examine(&computer.host, &Surroundings { wanted: Wanted::of(None, 22), ..Surroundings::default() })
}

/// Every remedy that is given for a computer, by the doctor and in the list.
fn remedies(computer: &Computer) -> BTreeSet<String> {
    let checks = examine(computer).checks.into_iter().filter_map(|check| check.remedy);
    let links = endpoints(&computer.host, 22).into_iter();
    let links = links.flat_map(|link| {
        link.obstacle
            .map(|problem| problem.remedy)
            .into_iter()
            .chain(link.device.into_iter().flat_map(|device| device.remarks()))
    });
    checks.chain(links).collect()
}

/// What the shell has by itself.
const BUILT_IN: [&str; 3] = ["echo", "printf", "kill"];
/// Programs of other computers: Windows around WSL, and the computer around a container.
const ELSEWHERE: [&str; 4] = ["usbipd", "wsl", "lxc", "vcgencmd"];
/// Words by which a remedy or a part of it begins when it is a command.
const PROGRAMS: [&str; 26] = [
    "sudo",
    "doas",
    "echo",
    "printf",
    "mount",
    "tee",
    "sed",
    "reboot",
    "usermod",
    "groupadd",
    "apt",
    "systemctl",
    "modprobe",
    "opkg",
    "apk",
    "raspi-config",
    "kill",
    "newgrp",
    "udevadm",
    "chmod",
    "chgrp",
    "mdev",
    "usbipd",
    "wsl",
    "lxc",
    "dmesg",
];

/// What a remedy names that the computer does not have.
fn missing(root: &Path, remedy: &str) -> Vec<String> {
    let folders = ["usr/bin", "usr/sbin", "bin", "sbin", "run/wrappers/bin", "run/current-system/sw/bin"];
    let has = |name: &str| match name.strip_prefix('/') {
        Some(path) => root.join(path).exists(),
        None => folders.iter().any(|folder| root.join(folder).join(name).exists()),
    };
    let words: Vec<&str> = remedy.split_whitespace().collect();
    let mut lacks = Vec::new();
    let mut before = "";
    for (at, word) in words.iter().enumerate() {
        let quoted = word.starts_with('`');
        let bare = word.trim_matches(['`', ',', ';', ':', '.', ')', '(']);
        let starts = ["sudo", "doas", "|", "&&"].contains(&before.trim_start_matches('`'))
            || ((at == 0 || quoted || ["or", "then", "it:"].contains(&before)) && PROGRAMS.contains(&bare));
        if starts && !BUILT_IN.contains(&bare) && !ELSEWHERE.contains(&bare) && !has(bare) {
            lacks.push(format!("the program {bare}"));
        }
        if before == "nonint"
            && !std::fs::read_to_string(root.join("usr/bin/raspi-config"))
                .is_ok_and(|text| text.contains(&format!("{bare}()")))
        {
            lacks.push(format!("the step {bare} of raspi-config"));
        }
        let path = bare.trim_matches(['\'', '"', '[', ']']);
        if path.starts_with('/')
            && !["/dev/", "/sys/"].iter().any(|folder| path.starts_with(folder))
            && !path.contains('^')
            && !path.ends_with('/')
        {
            let place = root.join(&path[1..]);
            let made = ["tee", "-a"].contains(&before) && place.parent().is_some_and(Path::exists);
            if !place.exists() && !made {
                lacks.push(format!("the file {path}"));
            }
        }
        before = word;
    }
    let groups = std::fs::read_to_string(root.join("etc/group")).unwrap_or_default();
    let made = |group: &str| {
        ["groupadd -f ", "addgroup -S ", "users.groups."].iter().any(|way| remedy.contains(&format!("{way}{group}")))
    };
    let named = ["usermod -aG ", "GROUP=\"", "extraGroups = [ \"", "addgroup $USER ", "newgrp "]
        .iter()
        .flat_map(|way| remedy.split(way).skip(1));
    for rest in named {
        let group: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        if !groups.lines().any(|line| line.split(':').next() == Some(&group)) && !made(&group) {
            lacks.push(format!("the group {group}"));
        }
    }
    lacks
}

#[test]
fn a_remedy_names_only_what_its_system_has() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for known in KNOWN {
        for (fault, computer) in known.faults() {
            for remedy in remedies(&computer) {
                looked_at += 1;
                let lacks = missing(computer.folder.path(), &remedy);
                if !lacks.is_empty() {
                    wrong.push(format!("{} ({fault}) lacks {}: {remedy}", known.system, lacks.join(", ")));
                }
                assert!(!remedy.is_empty(), "{} {fault}", known.system);
            }
        }
    }
    assert!(looked_at > 250, "only {looked_at} remedies");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The checker of the test above finds what is not there.
#[test]
fn the_look_at_remedies_finds_what_is_missing() {
    let arch = KNOWN.iter().find(|known| known.system == "arch").expect("arch").healthy();
    let lacks = |remedy: &str| missing(arch.folder.path(), remedy).join(", ");
    assert_eq!(lacks("sudo apt remove brltty"), "the program apt");
    assert_eq!(lacks("sudo usermod -aG dialout $USER, then log out and in again"), "the group dialout");
    assert_eq!(
        lacks("echo x | sudo tee -a /boot/firmware/config.txt && sudo reboot"),
        "the file /boot/firmware/config.txt"
    );
    assert_eq!(lacks("sudo raspi-config nonint do_spi 0"), "the program raspi-config, the step do_spi of raspi-config");
    assert_eq!(lacks("sudo groupadd -f spi && sudo usermod -aG spi $USER"), "");
}

#[test]
fn with_nothing_wrong_every_system_is_ready() {
    for known in KNOWN {
        let computer = known.healthy();
        let found = examine(&computer);
        let failed: Vec<_> = found
            .checks
            .iter()
            .filter(|check| check.state == State::Fail && check.wire == Some(WireKind::Uart))
            .collect();
        assert!(found.ready(WireKind::Uart) && failed.is_empty(), "{}: {failed:#?}", known.system);
        if known.board == "pi4" {
            let failed: Vec<_> = found.checks.iter().filter(|check| check.state == State::Fail).collect();
            assert!(found.ready(WireKind::Spi) && failed.is_empty(), "{}: {failed:#?}", known.system);
        }
    }
}

#[test]
fn spi_that_is_off_is_switched_on_in_each_systems_own_way() {
    for known in KNOWN {
        let found = examine(&known.spi_off());
        let bus = found.checks.iter().find(|check| check.id == "spi.bus").expect("a check");
        let remedy = bus.remedy.clone().unwrap_or_default();
        assert!(bus.state == State::Fail && remedy.contains(known.spi_on), "{}: {remedy}", known.system);
    }
}

#[test]
fn each_system_is_known_by_its_files() {
    let names = KNOWN.iter().map(|known| (known.system, System::of(&known.healthy().host).distribution.name));
    let names: Vec<_> = names.collect();
    let wanted = [
        ("raspberry-pi-os-bullseye", "Raspberry Pi OS"),
        ("raspberry-pi-os-bookworm", "Raspberry Pi OS"),
        ("raspberry-pi-os-trixie", "Raspberry Pi OS"),
        ("ubuntu", "Ubuntu"),
        ("dietpi", "DietPi"),
        ("armbian", "Armbian"),
        ("debian-raspi-firmware", "Debian with raspi-firmware"),
        ("opensuse", "openSUSE"),
        ("arch", "Arch Linux"),
        ("fedora", "Fedora"),
        ("alpine", "Alpine Linux"),
        ("nixos", "NixOS"),
        ("home-assistant", "Home Assistant OS"),
        ("wsl", "Ubuntu"),
        ("container", "Debian"),
        ("openwrt", "OpenWrt"),
        ("unknown", "this system"),
    ];
    assert_eq!(names, wanted);
    for line in DISTRIBUTIONS {
        assert!(line.source.contains('.'), "{} has no source", line.name);
    }
}

/// A fresh Raspberry Pi OS with nothing switched on, on which somebody does what the doctor says and nothing else.
struct Fresh {
    spi: bool,
    groups: BTreeSet<&'static str>,
}

impl Fresh {
    fn computer(&self) -> Computer {
        let known = KNOWN.iter().find(|known| known.system == "raspberry-pi-os-trixie").expect("trixie");
        let part = if self.spi { "spi" } else { "spi-off" };
        let nodes = ["dev/spidev0.0 660 root spi", "dev/gpiochip0 660 root gpio"];
        let computer = known.put_together(
            &[part],
            &nodes[usize::from(!self.spi)..],
            if self.groups.contains("gpio") { LINES } else { "" },
        );
        let change = |file: &str, change: &dyn Fn(&str) -> String| {
            let path = computer.folder.path().join(file);
            std::fs::write(&path, change(&std::fs::read_to_string(&path).expect("a file"))).expect("a file");
        };
        let numbers = [("spi", "989"), ("gpio", "986")];
        for (group, number) in numbers.iter().filter(|(group, _)| !self.groups.contains(group)) {
            change("etc/group", &|text| {
                text.replace(&format!("{group}:x:{number}:maker"), &format!("{group}:x:{number}:"))
            });
            change("proc/self/status", &|text| text.replace(&format!(" {number}"), ""));
        }
        computer
    }

    /// Does what a remedy says.
    fn follow(&mut self, remedy: &str) {
        match remedy {
            "sudo raspi-config nonint do_spi 0 && sudo reboot" => self.spi = true,
            "`sudo usermod -aG spi $USER`, then log out and in again" => _ = self.groups.insert("spi"),
            "`sudo usermod -aG gpio $USER`, then log out and in again" => _ = self.groups.insert("gpio"),
            other => panic!("nobody would know what to do with {other:?}"),
        }
    }
}

#[test]
fn on_a_fresh_raspberry_pi_os_the_doctor_leads_to_ready_in_three_steps_at_most() {
    for groups in [BTreeSet::from(["spi", "gpio"]), BTreeSet::from(["spi"]), BTreeSet::new()] {
        let mut fresh = Fresh { spi: false, groups };
        let mut steps = Vec::new();
        loop {
            let computer = fresh.computer();
            let place = crate::support::folder();
            let root = computer.folder.path().to_str().expect("a path");
            let output = crate::support::bkbench(place.path(), &["doctor", "--root", root, "--json"]);
            let document = crate::support::document(&output);
            if document["ready"]["spi"] == true {
                break;
            }
            let remedy = document["error"]["remedy"].as_str().expect("a remedy").to_owned();
            fresh.follow(&remedy);
            steps.push(remedy);
            assert!(steps.len() <= 3, "{steps:?}");
        }
    }
}
