//! Computers whose set-up went wrong: for each the cause that has to be named and the remedy that helps there, and what must
//! never be said.

use bkbench::link::WireKind;
use bkbench::link::host::doctor::{self, Diagnosis, State, Surroundings, Wanted};
use bkbench::link::host::endpoints;

use crate::support::hosts::{Computer, changed, computer};

/// What a check has to say.
struct Says(&'static str, State, &'static [&'static str], &'static [&'static str]);

/// One computer: its folder, whether it is ready for SPI and for UART, what is said, and what is never said.
struct Case {
    name: &'static str,
    ready: (bool, bool),
    says: &'static [Says],
    never: &'static [&'static str],
}

use State::{Fail, Pass, Unsure};

const ADD_SPI: &str = "dtparam=spi=on";
/// What is never right on any of them.
const NEVER: [&str; 3] = ["kill ", "wait for ever", "usermod -aG ping"];

const CASES: &[Case] = &[
    Case {
        name: "spi-under-a-filter",
        ready: (false, true),
        says: &[Says(
            "spi.bus",
            Fail,
            &[ADD_SPI, "/boot/firmware/config.txt", "[pi02]", "not for this board"],
            &["[all]\\ndtparam=spi=on"],
        )],
        never: &["do_spi"],
    },
    Case {
        name: "filter-at-the-end",
        ready: (false, true),
        says: &[Says("spi.bus", Fail, &["SPI is off"], &["[all]\\ndtparam=spi=on", "/boot/firmware/config.txt"])],
        never: &["echo dtparam", "echo dtoverlay", "raspi-config"],
    },
    Case {
        name: "gpio7-taken",
        ready: (false, true),
        says: &[Says(
            "spi.bus",
            Fail,
            &["could not start", "GPIO7 (pin 26)", "scl"],
            &["i2c-rtc-gpio", "/boot/firmware/config.txt"],
        )],
        never: &["do_spi", "GPIO6"],
    },
    Case {
        name: "two-config-files",
        ready: (false, true),
        says: &[Says(
            "spi.bus",
            Fail,
            &["/boot/config.txt", "reads /boot/firmware/config.txt"],
            &["tee -a /boot/firmware/config.txt"],
        )],
        never: &["tee -a /boot/config.txt", "raspi-config"],
    },
    Case {
        name: "nixos-spi-off",
        ready: (false, false),
        says: &[
            Says("spi.bus", Fail, &["SPI is off"], &["hardware.deviceTree.overlays", "nixos-rebuild"]),
            Says("uart.port", Fail, &["dialout"], &["users.users.maker.extraGroups", "nixos-rebuild"]),
        ],
        never: &["usermod", "tee", "config.txt", "raspi-config", " apt "],
    },
    Case {
        name: "nixos-rights",
        ready: (false, false),
        says: &[Says(
            "spi.access",
            Fail,
            &["only root"],
            &["services.udev.extraRules", "spidev", "nixos-rebuild switch"],
        )],
        never: &["usermod", "tee", "config.txt", " apt "],
    },
    Case {
        name: "bullseye-console",
        ready: (false, false),
        says: &[Says("uart.port", Fail, &["/dev/ttyS0", "console"], &["raspi-config nonint do_serial 2"])],
        never: &["do_serial_cons", "do_serial_hw"],
    },
    Case {
        name: "bullseye-uart-off",
        ready: (false, false),
        says: &[Says("uart.port", Fail, &["no serial port"], &["raspi-config nonint do_serial 2"])],
        never: &["do_serial_cons", "do_serial_hw"],
    },
    Case {
        name: "no-chip-select",
        ready: (false, true),
        says: &[
            Says("spi.select", Fail, &["no line is chip select", "spi0-0cs"], &["dtoverlay=spi0-0cs", "reboot"]),
            Says("spi.bus", Pass, &["no chip select"], &[]),
        ],
        never: &["CE0 on 24"],
    },
    Case {
        name: "display-on-spi",
        ready: (false, true),
        says: &[Says("spi.lines", Fail, &["fb_ili9341", "spi0.0"], &["pitft28-resistive", "reboot"])],
        never: &[],
    },
    Case {
        name: "arch-brltty",
        ready: (false, false),
        says: &[
            Says("uart.port", Fail, &["1A86:7523", "brltty"], &["pacman -R brltty"]),
            Says("uart.brltty", Fail, &["took 1 USB serial adapter"], &["pacman -R brltty"]),
        ],
        never: &[" apt ", "plug in a USB"],
    },
    Case {
        name: "arch-uucp",
        ready: (false, false),
        says: &[Says("uart.port", Fail, &["group uucp"], &["sudo usermod -aG uucp $USER", "log out"])],
        never: &["dialout", "plug in a USB"],
    },
    Case {
        name: "wsl-no-driver",
        ready: (false, false),
        says: &[Says("uart.port", Fail, &["1A86:7523", "no driver ch341"], &["wsl --update"])],
        never: &["plug in a USB", "reboot", "config.txt"],
    },
    Case {
        name: "ch341-probe-failed",
        ready: (false, false),
        says: &[
            Says("uart.port", Fail, &["1A86:7523", "probe failed"], &["another USB port", "apt full-upgrade"]),
            Says("uart.adapter", Fail, &["1A86:7523", "ch341"], &["full-upgrade"]),
        ],
        never: &["plug in a USB"],
    },
    Case {
        name: "fedora-ch341a",
        ready: (false, false),
        says: &[Says("spi.adapter", Fail, &["CH341A"], &["uaccess", "1a86", "5512"])],
        never: &["plugdev", " apt "],
    },
    Case {
        name: "ch341a-at-uart",
        ready: (false, true),
        says: &[
            Says("spi.adapter", Unsure, &["1A86:5523", "jumper stands on UART"], &["jumper to SPI"]),
            Says("uart.port", Pass, &["/dev/ttyUSB0"], &[]),
        ],
        never: &[],
    },
    Case {
        name: "laptop-management-port",
        ready: (false, false),
        says: &[Says("uart.port", Fail, &["/dev/ttyS4", "management engine"], &["plug in a USB serial adapter"])],
        never: &[],
    },
    Case {
        name: "docker-other-group",
        ready: (false, false),
        says: &[Says("spi.access", Fail, &["/dev/spidev0.0"], &["--device /dev/spidev0.0", "--group-add 999"])],
        never: &["usermod", "addgroup $USER", "config.txt", "raspi-config"],
    },
    Case {
        name: "docker-no-device",
        ready: (false, false),
        says: &[
            Says("uart.port", Fail, &["/dev/ttyUSB0", "not passed into this container"], &["--device /dev/ttyUSB0"]),
            Says("spi.access", Fail, &["not passed into this container"], &["--device /dev/spidev0.0"]),
        ],
        never: &["went away", "look again", "plug in", "usermod"],
    },
    Case {
        name: "armbian-bus-32766",
        ready: (false, false),
        says: &[
            Says("spi.bus", Pass, &["/dev/spidev32766.0"], &[]),
            Says("spi.access", Fail, &["group dialout"], &["usermod -aG dialout"]),
        ],
        never: &["raspi-config", "config.txt"],
    },
    Case {
        name: "armbian-spi-off",
        ready: (false, false),
        says: &[Says("spi.bus", Fail, &["SPI is off"], &["armbian-config", "/boot/armbianEnv.txt", "spi-spidev"])],
        never: &["raspi-config", "config.txt"],
    },
    Case {
        name: "home-assistant-addon",
        ready: (false, false),
        says: &[Says("spi.bus", Fail, &["no SPI bus was given"], &["options of the add-on", "devices:"])],
        never: &["sudo", "raspi-config", "config.txt", "reboot", "apk"],
    },
    Case {
        name: "ubuntu-rights",
        ready: (false, true),
        says: &[Says(
            "spi.access",
            Fail,
            &["only root"],
            &["groupadd -f spi", "usermod -aG spi $USER", "SUBSYSTEM==\"spidev\""],
        )],
        never: &["raspi-config"],
    },
    Case {
        name: "openwrt-only-eeprom",
        ready: (false, true),
        says: &[
            Says(
                "spi.bus",
                Fail,
                &["boot EEPROM", "the header's is off"],
                &["echo dtparam=spi=on | tee -a /boot/config.txt"],
            ),
            Says("spi.boot-eeprom", Pass, &["/dev/spidev10.0", "never opened"], &[]),
        ],
        never: &["sudo", "raspi-config", "no /dev/spidev node", "spi:10"],
    },
    Case {
        name: "pi5-header-uart-off",
        ready: (true, false),
        says: &[
            Says("uart.port", Fail, &["no serial port"], &["raspi-config nonint do_serial_hw 0"]),
            Says("uart.header", Unsure, &["serial0 is the debug connector"], &["do_serial_hw 0"]),
        ],
        never: &[],
    },
    Case {
        name: "cen-exported",
        ready: (false, true),
        says: &[Says(
            "spi.cen",
            Fail,
            &["GPIO22 (pin 15) is claimed by sysfs"],
            &["/sys/class/gpio/unexport", "echo 534", "cen=NUMBER"],
        )],
        never: &[],
    },
    Case {
        name: "pi4-uart5",
        ready: (true, true),
        says: &[Says("uart.port", Pass, &["/dev/ttyAMA5", "pins 32 (TX, GPIO12) and 33 (RX, GPIO13)"], &[])],
        never: &[],
    },
    Case {
        name: "login-prompt-left-620",
        ready: (true, false),
        says: &[
            Says(
                "uart.port",
                Fail,
                &["login prompt", "group tty", "620"],
                &["systemctl disable --now serial-getty@ttyS0"],
            ),
            Says("uart.access", Fail, &["login prompt"], &["serial-getty@ttyS0"]),
        ],
        never: &["usermod"],
    },
    Case {
        name: "modules-gone",
        ready: (false, false),
        says: &[
            Says("spi.bus", Fail, &["5.10.60-v7l+", "5.10.63-v7l+", "not restarted"], &["sudo reboot"]),
            Says("uart.port", Fail, &["FT232R", "not restarted"], &["sudo reboot"]),
        ],
        never: &["do_spi", "plug in a USB"],
    },
    Case {
        name: "hidden-holder",
        ready: (true, true),
        says: &[Says("uart.users", Pass, &["open files", "are hidden", "octoprint.service", "ser2net"], &[])],
        never: &[],
    },
    Case {
        name: "opensuse-spi-off",
        ready: (false, true),
        says: &[Says("spi.bus", Fail, &["SPI is off"], &["tee -a /boot/efi/extraconfig.txt"])],
        never: &["efi/config.txt", "/boot/config.txt", "raspi-config", " apt "],
    },
    Case {
        name: "spi-on-not-restarted",
        ready: (false, true),
        says: &[Says("spi.bus", Fail, &["switched on in /boot/firmware/config.txt"], &["sudo reboot"])],
        never: &["do_spi", ADD_SPI],
    },
    Case {
        name: "free-adapter-console-elsewhere",
        ready: (false, true),
        says: &[
            Says("uart.port", Pass, &["/dev/ttyUSB0", "CP2102"], &[]),
            Says("uart.users", Pass, &["nobody on /dev/ttyUSB0", "/dev/ttyS0"], &[]),
        ],
        never: &[],
    },
];

fn examine(computer: &Computer) -> Diagnosis {
    examine_for(computer, Wanted::of(None, 22))
}

fn examine_for(computer: &Computer, wanted: Wanted) -> Diagnosis {
    doctor::examine(&computer.host, &Surroundings { wanted, ..Surroundings::default() })
}

fn ready(found: &Diagnosis) -> (bool, bool) {
    (found.ready(WireKind::Spi), found.ready(WireKind::Uart))
}

/// Everything that is said about a computer: checks and lists.
fn words(computer: &Computer, found: &Diagnosis) -> Vec<String> {
    let checks =
        found.checks.iter().map(|check| format!("{} → {}", check.found, check.remedy.as_deref().unwrap_or_default()));
    let links = endpoints(&computer.host, 22).into_iter();
    let links = links.map(|link| format!("{} {} {}", link.link, link.about, link.remarks().join(" / ")));
    checks.chain(links).collect()
}

#[test]
fn every_computer_gets_its_cause_and_a_remedy_that_works_there() {
    let mut wrong = Vec::new();
    for Case { name, ready: wanted, says, never } in CASES {
        let computer = computer(name);
        let found = examine(&computer);
        if ready(&found) != *wanted {
            wrong.push(format!("{name}: ready is {:?}", ready(&found)));
        }
        for Says(id, state, cause, remedy) in *says {
            let said = found.checks.iter().any(|check| {
                let helps = check.remedy.as_deref().unwrap_or_default();
                check.id == *id
                    && check.state == *state
                    && cause.iter().all(|word| check.found.contains(word))
                    && remedy.iter().all(|word| helps.contains(word))
            });
            if !said {
                let checks: Vec<_> = found.checks.iter().filter(|check| check.id == *id).collect();
                wrong.push(format!("{name}: {id} does not say {cause:?} → {remedy:?}: {checks:#?}"));
            }
        }
        for said in words(&computer, &found) {
            for word in never.iter().chain(&NEVER) {
                if said.contains(word) {
                    wrong.push(format!("{name}: says {word:?}: {said}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every folder stands in the table, and every remedy of the doctor is also in the list of links.
#[test]
fn no_computer_is_left_out() {
    let folder = crate::support::root().join("tests/hosts");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("hosts")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !["README.md", "parts", "systems"].contains(&name.as_str()))
        .collect();
    names.sort();
    let mut known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    known.extend(["pi3-bookworm", "pi4-bookworm", "pi4-recovery", "pi5-bookworm", "pi5-trixie", "debian-board"]);
    known.sort_unstable();
    assert_eq!(names, known);
}

/// `links` and `doctor` say the same about CEN, for the line of the settings and for that of a link.
#[test]
fn links_and_doctor_agree_on_cen() {
    use bkbench::link::LinkSpec;
    let pi = computer("cen-exported");
    let listed = |cen: u8| endpoints(&pi.host, cen).remove(0).obstacle.map(|problem| (problem.code, problem.remedy));
    let check = |wanted: Wanted| {
        let found = examine_for(&pi, wanted);
        let check = found.checks.into_iter().find(|check| check.id == "spi.cen").expect("a check");
        (check.state, check.found, check.remedy)
    };
    let (state, found, remedy) = check(Wanted::of(None, 22));
    assert_eq!((state, found.as_str()), (Fail, "GPIO22 (pin 15) is claimed by sysfs"));
    assert_eq!(listed(22), Some(("E215", remedy.expect("a remedy"))));
    assert_eq!(listed(17), None);
    assert_eq!(check(Wanted::of(None, 17)).1, "GPIO17 (pin 11) is free, on /dev/gpiochip0");
    // A link names its own line, in any of its ways; without one the settings' line counts.
    for (link, cen) in [
        ("spi:0.1?cen=17", "GPIO17"),
        ("spi:0.0?cen=pin11", "GPIO17"),
        ("spi:0.0", "GPIO22"),
        ("spi:0.0?cen=GPIO22", "GPIO22"),
    ] {
        let spec = LinkSpec::parse(link).expect("a link");
        assert!(check(Wanted::of(Some(&spec), 22)).1.starts_with(cen), "{link}");
    }
    let by_hand = LinkSpec::parse("spi:0.0?cen=hand").expect("a link");
    assert_eq!(check(Wanted::of(Some(&by_hand), 22)).0, Pass);
    // And the bus of the link is the one that is looked at.
    let second = LinkSpec::parse("spi:0.1?cen=17").expect("a link");
    let found = examine_for(&pi, Wanted::of(Some(&second), 22));
    let bus = found.checks.iter().find(|check| check.id == "spi.bus").expect("a check");
    assert!(bus.found.contains("/dev/spidev0.1") && bus.found.contains("CE1 on 26"), "{}", bus.found);
}

/// The tree of a computer with its GPIO lines exchanged.
fn with_lines(name: &str, change: impl Fn(String) -> String, used: &str) -> Computer {
    let mut computer = changed(name, change);
    let file = computer.folder.path().join("nodes.toml");
    let text = std::fs::read_to_string(&file).expect("nodes");
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("used")).collect();
    std::fs::write(&file, format!("{}\nused = [{used}]\n", kept.join("\n"))).expect("nodes");
    computer.host = bkbench::link::host::Host::copied(computer.folder.path());
    computer
}

fn check(computer: &Computer, id: &str) -> (State, String, String) {
    let found = examine(computer);
    let check = found.checks.into_iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no check {id}"));
    (check.state, check.found, check.remedy.unwrap_or_default())
}

#[test]
fn a_chip_select_that_was_moved_is_said_and_drawn() {
    let moved = with_lines(
        "pi4-uart5",
        |tree| tree.replace("enable_uart=1", "dtoverlay=spi0-1cs,cs0_pin=5"),
        "{ number = 5, by = \"spi0 CS0\" }",
    );
    let (state, found, _) = check(&moved, "spi.select");
    assert_eq!((state, found.as_str()), (Pass, "GPIO5 (pin 29) is chip select 0 of /dev/spidev0.0"));
    assert!(check(&moved, "spi.bus").1.ends_with("CE0 on 29"));
    assert_eq!(endpoints(&moved.host, 22)[0].about, "header SPI0, pins 19 21 23, CE0 on 29");
}

#[test]
fn every_line_of_the_bus_is_looked_at_for_other_owners() {
    for (line, by) in [(9, "onewire@9"), (10, "gpio-fan@0"), (11, "lirc"), (8, "interrupt")] {
        let mut used = format!("{{ number = {line}, by = \"{by}\" }}");
        if line != 8 {
            used.push_str(", { number = 8, by = \"spi0 CS0\" }");
        }
        let claimed = with_lines("pi4-uart5", |tree| tree, &used);
        let found = examine(&claimed);
        assert!(!found.ready(WireKind::Spi), "{line}");
        let link = endpoints(&claimed.host, 22).remove(0);
        assert_eq!(link.obstacle.map(|problem| problem.code), Some("E224"), "{line}");
        let said = found.checks.iter().any(|check| check.state == Fail && (check.found.contains(by) || line == 8));
        assert!(said, "{line} {by}");
    }
    // The overlay that brought it is named.
    let one_wire = with_lines(
        "pi4-uart5",
        |tree| tree.replace("enable_uart=1", "dtoverlay=w1-gpio,gpiopin=10"),
        "{ number = 10, by = \"onewire@a\" }, { number = 8, by = \"spi0 CS0\" }",
    );
    assert!(check(&one_wire, "spi.lines").2.contains("w1-gpio,gpiopin=10"));
    // A screen on the whole header, which claims no line by the kernel's word.
    let screen = with_lines(
        "pi4-uart5",
        |tree| tree.replace("enable_uart=1", "dtoverlay=vc4-kms-dpi-generic"),
        "{ number = 8, by = \"spi0 CS0\" }",
    );
    assert_eq!(check(&screen, "spi.lines").0, Fail);
}

#[test]
fn restarting_is_advised_only_after_a_change() {
    // The copied file is newer than a start long ago, and older than a start that is still to come.
    let at = |seconds: u64| {
        changed("spi-on-not-restarted", move |tree| format!("{tree}\nproc/stat: cpu 1 2\\nbtime {seconds}\\n\n"))
    };
    let (_, found, remedy) = check(&at(1_000_000_000), "spi.bus");
    assert!(found.contains("after the last start"), "{found}");
    assert_eq!(remedy, "sudo reboot");
    let (_, found, remedy) = check(&at(4_000_000_000), "spi.bus");
    assert!(
        !found.contains("not active") && !remedy.contains("reboot;") && remedy != "sudo reboot",
        "{found}: {remedy}"
    );
}

#[test]
fn settings_are_read_as_the_firmware_reads_them() {
    let with = |config: &str| {
        let config = config.to_owned();
        let change = move |tree: String| {
            let lines = tree.lines().filter(|line| !line.starts_with("boot/firmware/"));
            format!("{}\nboot/firmware/config.txt: {config}", lines.collect::<Vec<_>>().join("\n"))
        };
        check(&changed("spi-under-a-filter", change), "spi.bus")
    };
    // Filters of this board, of others, of several kinds, and the end of all.
    for on in [
        "dtparam=spi=on\\n",
        "[pi4]\\ndtparam=spi=on\\n",
        "[pi02]\\n[all]\\ndtparam=spi\\n",
        "[pi02]\\nx=1\\n[pi4]\\ndtparam=spi=on\\n",
        "dtparam=i2c_arm=on,spi=on\\n",
        "device_tree_param=spi=1\\n",
        "dtoverlay=spi0-1cs\\n",
        "dtparam=spi=off\\ndtparam=spi=on\\n",
        "  dtparam=spi=on  \\x0d\\n",
        "[EDID=VSC-TD2220]\\ndtparam=spi=on\\n",
    ] {
        assert!(with(on).1.contains("switched on in /boot/firmware/config.txt"), "{on}: {:?}", with(on));
    }
    for off in [
        "",
        "#dtparam=spi=on\\n",
        "dtparam=spi=off\\n",
        "dtparam=spi=on\\ndtparam=spi=off\\n",
        "dtparam=spidev=on\\n",
        "include other.txt\\n",
    ] {
        assert!(with(off).1.contains("SPI is off"), "{off}: {:?}", with(off));
    }
    for filtered in [
        "[pi5]\\ndtparam=spi=on\\n",
        "[none]\\ndtparam=spi=on\\n",
        "[cm4]\\ndtparam=spi=on\\n",
        "[pi400]\\ndtparam=spi=on\\n",
        "[tryboot]\\ndtparam=spi=on\\n",
    ] {
        let (_, found, remedy) = with(filtered);
        assert!(
            found.contains("not for this board") && remedy.contains("[all]\\ndtparam=spi=on"),
            "{filtered}: {found} {remedy}"
        );
    }
    // An included file counts, and so does a filter that is left open in it.
    let included = with("include user.txt\\n\nboot/firmware/user.txt: dtparam=spi=on\\n");
    assert!(included.1.contains("/boot/firmware/user.txt"), "{included:?}");
    let open = with("include user.txt\\n\nboot/firmware/user.txt: [pi5]\\n");
    assert!(open.2.contains("[all]\\n"), "{open:?}");
    // A last line without an end is not run into.
    assert!(with("arm_64bit=1").2.contains("printf '\\ndtparam=spi=on\\n'"), "{:?}", with("arm_64bit=1"));
}

#[test]
fn a_bus_without_a_driver_and_one_that_failed_are_told_apart() {
    // The controller runs, its device has no driver.
    let lines = "sys/devices/platform/soc/fe204000.spi/spi_master/spi0/spi0.0/of_node => sys/firmware/devicetree/base/soc/spi@7e204000/spidev@0\n\
                 sys/bus/spi/devices/spi0.0 => sys/devices/platform/soc/fe204000.spi/spi_master/spi0/spi0.0";
    let idle = changed("spi-on-not-restarted", |tree| format!("{tree}\n{lines}\n"));
    let (_, found, remedy) = check(&idle, "spi.bus");
    assert!(
        found.contains("spi0.0") && remedy.contains("modprobe spidev") && remedy.contains("driver_override"),
        "{found} {remedy}"
    );
    let loaded = changed("spi-on-not-restarted", |tree| {
        format!("{tree}\n{lines}\nsys/module/spidev/parameters/bufsiz: 4096\\n\n")
    });
    let (_, _, remedy) = check(&loaded, "spi.bus");
    assert!(!remedy.contains("modprobe") && remedy.contains("/sys/bus/spi/drivers/spidev/bind"), "{remedy}");
    let blocked = changed("spi-on-not-restarted", |tree| {
        format!("{tree}\n{lines}\netc/modprobe.d/raspi-blacklist.conf: blacklist spidev\\n\n")
    });
    let (_, found, remedy) = check(&blocked, "spi.bus");
    assert!(found.contains("raspi-blacklist.conf") && remedy.contains("modprobe spidev"), "{found} {remedy}");
    // The controller did not start, and nobody has its lines.
    let failed = with_lines("gpio7-taken", |tree| tree, "{ number = 42, by = \"ACT\" }");
    let (_, found, remedy) = check(&failed, "spi.bus");
    assert!(found.contains("did not start") && remedy.contains("dmesg"), "{found} {remedy}");
}

#[test]
fn a_boot_partition_that_is_not_mounted_and_settings_without_effect_are_named() {
    let moved = "boot/config.txt: DO NOT EDIT THIS FILE\\n\\nThe file you are looking for has moved to /boot/firmware/config.txt\\n";
    let unmounted = changed("spi-under-a-filter", |tree| {
        let lines = tree.lines().filter(|line| !line.starts_with("boot/firmware/"));
        format!("{}\n{moved}\n", lines.collect::<Vec<_>>().join("\n"))
    });
    let (_, found, remedy) = check(&unmounted, "spi.bus");
    assert!(found.contains("not mounted"), "{found}");
    assert_eq!(remedy, "sudo mount /boot/firmware");
    // The header's UART was switched on before the last start, and is not there.
    let at = |seconds: u64| {
        changed("bullseye-uart-off", move |tree| {
            format!(
                "{}\nproc/stat: btime {seconds}\\n\n",
                tree.replace("dtparam=spi=on", "dtparam=spi=on\\nenable_uart=1")
            )
        })
    };
    assert_eq!(check(&at(1_000_000_000), "uart.header").2, "sudo reboot");
    let remedy = check(&at(4_000_000_000), "uart.header").2;
    assert!(!remedy.contains("reboot") && remedy.contains("had no effect"), "{remedy}");
}

#[test]
fn groups_without_a_number_in_a_container_are_not_passed_on() {
    let docker = |change: &dyn Fn(String) -> String| {
        let mut computer = changed("docker-other-group", change);
        let file = computer.folder.path().join("nodes.toml");
        std::fs::write(&file, "nodes = [\"dev/spidev0.0 660 65534 65534\"]\n").expect("nodes");
        computer.host = bkbench::link::host::Host::copied(computer.folder.path());
        check(&computer, "spi.access").2
    };
    assert!(docker(&|tree| tree).contains("--device /dev/spidev0.0 --group-add keep-groups"));
    let lxc = docker(&|tree| {
        tree.replace(".dockerenv: \\n", "run/systemd/container: lxc\\n").replace("ping:x:999:", "spi:x:999:")
    });
    assert!(lxc.contains("lxc config device add") && lxc.contains("gid=999"), "{lxc}");
}

#[test]
fn an_adapter_without_a_port_is_listed_with_the_reason() {
    let reason = |change: fn(String) -> String| {
        let links = endpoints(&changed("ch341-probe-failed", change).host, 22);
        let lost = links.into_iter().find(|link| link.link == "uart:").expect("the adapter");
        let problem = lost.obstacle.expect("an obstacle");
        (problem.code, format!("{} {}", problem.what, problem.remedy))
    };
    let unbound =
        |tree: String| tree.lines().filter(|line| !line.contains("usb/drivers/ch341")).collect::<Vec<_>>().join("\n");
    assert_eq!(reason(|tree| tree).0, "E225");
    let not_loaded =
        reason(|tree| tree.lines().filter(|line| !line.contains("usb/drivers/ch341")).collect::<Vec<_>>().join("\n"));
    assert!(not_loaded.1.contains("not loaded") && not_loaded.1.contains("modprobe ch341"), "{not_loaded:?}");
    let blocked =
        changed("ch341-probe-failed", |tree| format!("{}\netc/modprobe.d/x.conf: blacklist ch341\\n\n", unbound(tree)));
    let links = endpoints(&blocked.host, 22);
    let lost = links.iter().find(|link| link.link == "uart:").expect("the adapter").remarks().join(" ");
    assert!(lost.contains("/etc/modprobe.d/x.conf"), "{lost}");
    let none = changed("ch341-probe-failed", |tree| {
        format!(
            "{}\nlib/modules/6.12.34+rpt-rpi-v8/modules.dep: kernel/drivers/usb/serial/ftdi_sio.ko.xz:\\n\n",
            unbound(tree)
        )
    });
    let links = endpoints(&none.host, 22);
    let lost = links.iter().find(|link| link.link == "uart:").expect("the adapter").remarks().join(" ");
    assert!(lost.contains("has no driver ch341"), "{lost}");
}

/// Who holds a port by its control group, and how that is stopped; a program of somebody's own is ended by its number.
#[test]
fn a_service_is_stopped_and_not_killed() {
    let holder = |group: &str| {
        let group = group.to_owned();
        let pi = changed("hidden-holder", move |tree| {
            format!(
                "{}\nproc/901/cgroup: {group}\\n\nproc/901/fd/3 -> /dev/ttyUSB0\n",
                tree.replace("proc/901/cgroup", "proc/901/other")
            )
        });
        endpoints(&pi.host, 22)
            .into_iter()
            .find(|link| link.link.contains("ttyUSB0"))
            .and_then(|link| link.obstacle)
            .expect("an owner")
            .remedy
    };
    assert_eq!(holder("0::/system.slice/octoprint.service"), "sudo systemctl stop octoprint.service");
    assert_eq!(holder("0::/system.slice/system-zigbee.slice/zigbee@1.service"), "sudo systemctl stop zigbee@1.service");
    assert_eq!(
        holder("0::/system.slice/system-zigbee.slice/zigbee@dev-serial-by\\\\x2did.service"),
        "sudo systemctl stop 'zigbee@dev-serial-by\\x2did.service'"
    );
    assert_eq!(holder("1:name=systemd:/system.slice/ser2net.service"), "sudo systemctl stop ser2net.service");
    assert_eq!(
        holder("0::/user.slice/user-1000.slice/user@1000.service/app.slice/klipper.service"),
        "systemctl --user stop klipper.service"
    );
    let number = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    assert_eq!(holder(&format!("0::/system.slice/docker-{number}.scope")), "sudo docker stop 0123456789ab");
    assert_eq!(holder("0::/user.slice/user-1000.slice/session-3.scope"), "end it: `kill 901`");
}

#[test]
fn ports_that_are_no_wire_make_no_computer_ready() {
    let laptop = |lines: &str| changed("laptop-management-port", |tree| format!("{tree}\n{lines}\n"));
    let port = |lines: &str| {
        let found = examine(&laptop(lines));
        found.ready(WireKind::Uart)
    };
    assert!(!port(""), "serial over LAN");
    assert!(
        !port(
            "sys/devices/pnp0/00:01/tty/ttyS0/type: 4\\n\nsys/devices/pnp0/00:01/tty/ttyS0/device => sys/devices/pnp0/00:01\nsys/class/tty/ttyS0 => sys/devices/pnp0/00:01/tty/ttyS0"
        ),
        "RS-232"
    );
    let stick = "sys/devices/usb1/1-9/idVendor: 10c4\\n\nsys/devices/usb1/1-9/idProduct: ea60\\n\nsys/devices/usb1/1-9/product: Sonoff Zigbee 3.0 USB Dongle Plus\\n\n\
                 sys/devices/usb1/1-9/1-9:1.0/x: 1\nsys/class/tty/ttyUSB0/device => sys/devices/usb1/1-9/1-9:1.0";
    assert!(!port(stick), "a radio stick");
    for link in endpoints(&laptop("").host, 22) {
        assert_eq!(link.obstacle.map(|problem| problem.code), Some("E219"), "{}", link.link);
    }
}
