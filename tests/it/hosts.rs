//! `links` and `doctor` on computers that are not at hand: Raspberry Pi 3, 4 and 5, and a board with plain Debian.

use bkbench::link::Endpoint;
use bkbench::link::WireKind;
use bkbench::link::host::Host;
use bkbench::link::host::board::{Board, Uart};
use bkbench::link::host::doctor::{self, Diagnosis, State, Surroundings, Terminal};
use bkbench::link::host::{buses, ports};

use crate::support::hosts::{Computer, changed, computer};

fn serial(computer: &Computer) -> Vec<Endpoint> {
    ports::endpoints(&computer.host)
}

fn spi(computer: &Computer) -> Vec<Endpoint> {
    buses::endpoints(&computer.host, 22)
}

fn links(endpoints: &[Endpoint]) -> Vec<&str> {
    endpoints.iter().map(|endpoint| endpoint.link.as_str()).collect()
}

fn codes(endpoints: &[Endpoint]) -> Vec<Option<&str>> {
    endpoints.iter().map(|endpoint| endpoint.obstacle.as_ref().map(|problem| problem.code)).collect()
}

#[test]
fn boards_are_known_by_their_device_tree() {
    let pi = |name: &str| Board::of(&computer(name).host).pi;
    assert_eq!(pi("pi3-bookworm"), Some(3));
    assert_eq!(pi("pi4-bookworm"), Some(4));
    assert_eq!(pi("pi5-bookworm"), Some(5));
    assert_eq!(pi("pi5-trixie"), Some(5));
    assert_eq!(pi("debian-board"), None);
    let words = Board::of(&computer("pi4-bookworm").host).words();
    assert_eq!(words, "Raspberry Pi 4 Model B Rev 1.4, Debian GNU/Linux 12 (bookworm), kernel 6.6.51+rpt-rpi-v8");
}

#[test]
fn the_boot_eeprom_is_never_listed() {
    assert_eq!(links(&spi(&computer("pi4-bookworm"))), ["spi:0.0?cen=22", "spi:0.1?cen=22"]);
    assert_eq!(links(&spi(&computer("pi4-recovery"))), [""; 0]);
    assert_eq!(links(&spi(&computer("pi5-bookworm"))), ["spi:0.0?cen=22"]);
    assert_eq!(links(&spi(&computer("pi5-trixie"))), ["spi:0.0?cen=22"]);
}

/// What is refused, whatever asks for it (product.md rule 11); the drivers ask this before they open a bus.
#[test]
fn the_boot_eeprom_of_every_board_is_known() {
    use bkbench::link::boot_eeprom::is_boot_eeprom;
    let refused = |name: &str| -> Vec<(u32, u8)> {
        let computer = computer(name);
        let all = (0..=10).flat_map(|bus| [(bus, 0), (bus, 1)]);
        all.filter(|(bus, select)| is_boot_eeprom(computer.host.root(), *bus, *select)).collect()
    };
    assert_eq!(
        refused("pi4-recovery"),
        [(0, 0), (0, 1), (10, 0), (10, 1)],
        "the header's controller, routed to the EEPROM"
    );
    assert_eq!(refused("pi4-bookworm"), [(10, 0), (10, 1)], "there is no bus 10, and nothing else has that number");
    for name in ["pi5-bookworm", "pi5-trixie"] {
        assert_eq!(refused(name), [(10, 0), (10, 1)], "{name}");
    }
}

#[test]
fn a_bus_says_which_pins_it_is_on() {
    let about = |name: &str| spi(&computer(name)).into_iter().map(|bus| bus.about).collect::<Vec<_>>();
    assert_eq!(
        about("pi4-bookworm"),
        ["header SPI0, pins 19 21 23, CE0 on 24", "header SPI0, pins 19 21 23, CE1 on 26"]
    );
    assert_eq!(about("pi5-trixie"), ["header SPI0, pins 19 21 23, CE0 on 24"]);
    assert_eq!(about("debian-board"), ["SPI bus 0, chip select 0"]);
}

#[test]
fn a_missing_permission_names_what_helps() {
    let remedy = |endpoint: &Endpoint| endpoint.obstacle.as_ref().map(|problem| problem.remedy.clone());
    // Added to the group, and not logged in again since.
    let pi4 = spi(&computer("pi4-bookworm"));
    assert_eq!(codes(&pi4), [Some("E220"), Some("E220")]);
    assert!(remedy(&pi4[0]).expect("a remedy").starts_with("log out and in again"));
    // Not in the group.
    let outside = changed("pi4-bookworm", |tree| tree.replace("spi:x:989:maker", "spi:x:989:"));
    assert_eq!(codes(&spi(&outside)), [Some("E203"), Some("E203")]);
    assert!(remedy(&spi(&outside)[0]).expect("a remedy").starts_with("`sudo usermod -aG spi $USER`"));
    // In the group, in this session too.
    let inside = changed("pi4-bookworm", |tree| tree.replace("Groups:\\t20 1000", "Groups:\\t20 989 1000"));
    assert_eq!(codes(&spi(&inside)), [None, None]);
    // Debian hands spidev to nobody.
    let board = spi(&computer("debian-board"));
    assert_eq!(codes(&board), [Some("E222")]);
    assert!(remedy(&board[0]).expect("a remedy").contains("SUBSYSTEM==\"spidev\", GROUP=\"spi\", MODE=\"0660\""));
    // Root may do everything.
    let root = changed("debian-board", |tree| tree.replace("Uid:\\t1000\\t1000", "Uid:\\t0\\t0"));
    assert_eq!(codes(&spi(&root)), [None]);
}

#[test]
fn a_port_names_its_owner() {
    let pi4 = serial(&computer("pi4-bookworm"));
    assert_eq!(links(&pi4), ["uart:/dev/ttyUSB0", "uart:/dev/ttyS0"]);
    assert_eq!(codes(&pi4), [Some("E204"), Some("E204")]);
    let owners = |endpoint: &Endpoint| -> Vec<String> {
        let device = endpoint.device.as_ref().expect("a device");
        device.owners.iter().map(|owner| owner.who.clone()).collect()
    };
    assert_eq!(owners(&pi4[0]), ["picocom (process 2203)"]);
    assert_eq!(owners(&pi4[1]), ["the system's console (kernel messages)", "a login prompt (serial-getty@ttyS0)"]);
    let problem = pi4[1].obstacle.as_ref().expect("an obstacle");
    assert_eq!(problem.what, "/dev/ttyS0 is in use by the system's console (kernel messages)");
    assert_eq!(problem.remedy, "sudo raspi-config nonint do_serial_cons 1 && sudo reboot");

    let board = serial(&computer("debian-board"));
    let console = board.iter().find(|port| port.link.ends_with("ttyS0")).expect("ttyS0");
    assert!(console.device.as_ref().expect("a device").owners.len() == 2, "console and login prompt: {console:?}");
}

#[test]
fn the_kernels_command_line_counts_where_its_list_is_missing() {
    let silent = changed("pi4-bookworm", |tree| {
        let lines = tree.lines().filter(|line| !line.contains("console/active"));
        lines.collect::<Vec<_>>().join("\n").replace("console=ttyS0,115200", "console=serial0,115200")
    });
    let device = serial(&silent).remove(1).device.expect("a device");
    assert_eq!(device.owners[0].who, "the system's console (kernel messages)");
}

#[test]
fn a_port_opened_by_any_of_its_names_has_the_same_owner() {
    use bkbench::link::host::owners::{Kind, of_path};
    let pi = computer("pi4-bookworm");
    let kind = |path: &str| of_path(&pi.host, path).map(|owner| owner.kind);
    assert_eq!(kind("/dev/ttyS0"), Some(Kind::Console));
    assert_eq!(kind("/dev/serial0"), Some(Kind::Console));
    let by_id = "/dev/serial/by-id/usb-Silicon_Labs_CP2102_USB_to_UART_Bridge_Controller_0001-if00-port0";
    assert_eq!(kind(by_id), Some(Kind::Process));
    assert_eq!(kind("/dev/pts/0"), None);
    assert_eq!(kind("/dev/ttyUSB7"), None);
}

#[test]
fn usb_adapters_have_their_words_and_a_stable_name() {
    let port = serial(&computer("pi4-bookworm")).remove(0);
    assert_eq!(port.about, "CP2102 USB to UART Bridge Controller (10C4:EA60)");
    let device = port.device.expect("a device");
    let stable = "/dev/serial/by-id/usb-Silicon_Labs_CP2102_USB_to_UART_Bridge_Controller_0001-if00-port0";
    assert_eq!(device.stable.as_deref(), Some(stable));
    let pi = computer("pi4-bookworm");
    let node = |node: &str| bkbench::link::host::ports::stable_node(&pi.host, node);
    assert_eq!((node("/dev/ttyUSB0").as_deref(), node(stable), node("/dev/ttyS0")), (Some(stable), None, None));
    let usb = device.usb.expect("an adapter");
    assert_eq!((usb.vendor.as_deref(), usb.serial.as_deref()), (Some("Silicon Labs"), Some("0001")));
    assert_eq!(usb.place, "1-1.3");
}

#[test]
fn brltty_and_modem_manager_are_named() {
    let board = serial(&computer("debian-board"));
    let adapter = &board[0];
    assert_eq!(adapter.link, "uart:/dev/ttyUSB0");
    assert!(adapter.device.as_ref().expect("a device").notes[0].starts_with("ModemManager runs"));
    let taken = board.last().expect("an adapter");
    let problem = taken.obstacle.as_ref().expect("an obstacle");
    assert_eq!(problem.code, "E223");
    assert!(problem.what.contains("1A86:7523") && problem.what.contains("brltty"), "{}", problem.what);
    let without = changed("debian-board", |tree| tree.replace("brltty", "bash"));
    // Without brltty the adapter is still there without a port, and for another reason.
    assert_eq!(codes(&serial(&without)).last(), Some(&Some("E225")));
}

#[test]
fn ports_that_do_not_exist_are_not_listed() {
    // Room the old driver keeps (type 0), and virtual consoles.
    let names: Vec<String> = ports::ports(&computer("debian-board").host).into_iter().map(|port| port.name).collect();
    assert_eq!(names, ["ttyUSB0", "ttyS0"]);
}

#[test]
fn the_headers_uart_goes_by_its_real_name() {
    let uart = |computer: &Computer, name: &str| Uart::of(&computer.host, name);
    assert_eq!(uart(&computer("pi3-bookworm"), "ttyS0"), Some(Uart::HeaderMini));
    assert_eq!(uart(&computer("pi5-trixie"), "ttyAMA0"), Some(Uart::Header));
    assert_eq!(uart(&computer("pi5-trixie"), "ttyAMA10"), Some(Uart::Debug), "whatever serial0 says");
    assert_eq!(links(&serial(&computer("pi5-trixie"))), ["uart:/dev/ttyAMA0", "uart:/dev/ttyAMA10"]);
    let notes = |endpoint: &Endpoint| endpoint.device.as_ref().expect("a device").notes.join(" ");
    assert!(notes(&serial(&computer("pi3-bookworm"))[0]).contains("core clock"));
    assert!(notes(&serial(&computer("pi5-bookworm"))[0]).contains("ttyAMA0"));
    // Without pins in the device tree the alias decides.
    let bare = changed("pi3-bookworm", |tree| {
        tree.lines().filter(|line| !line.contains("uart1_pins")).collect::<Vec<_>>().join("\n")
    });
    assert_eq!(uart(&bare, "ttyS0"), Some(Uart::HeaderMini));
}

#[test]
fn the_command_looks_at_copies_of_another_computer() {
    let pi = computer("pi4-bookworm");
    let place = crate::support::folder();
    let root = pi.folder.path().to_str().expect("a path");
    let run = |args: &[&str]| crate::support::bkbench(place.path(), args);
    let found = crate::support::succeed(&run(&["links", "--root", root, "--json"]));
    assert_eq!(found["schema"], 1);
    let port = &found["links"][3];
    assert_eq!(port["link"], "uart:/dev/ttyS0");
    assert_eq!(port["device"]["owners"][1]["kind"], "getty");
    assert_eq!(port["device"]["owners"][1]["pid"], 612);
    assert_eq!(found["links"][2]["device"]["usb"]["id"], "10C4:EA60");
    let text = String::from_utf8(run(&["links", "--root", root]).stdout).expect("text");
    insta::assert_snapshot!(text);
    assert_eq!(crate::support::code(&run(&["links", "--root", "nowhere"])), 2);
}

#[test]
fn an_empty_computer_has_nothing_and_breaks_nothing() {
    let empty = crate::support::folder();
    let host = bkbench::link::host::Host::copied(empty.path());
    assert!(ports::endpoints(&host).is_empty() && buses::endpoints(&host, 22).is_empty());
    assert_eq!(Board::of(&host).words(), "unknown computer");
}

fn doctor(computer: &Computer) -> Diagnosis {
    let terminal = Terminal {
        size: Some((80, 24)),
        term: Some("xterm-256color".to_owned()),
        locale: Some("en_GB.UTF-8".to_owned()),
        ..Terminal::default()
    };
    let disk = Some(("/home/maker/.local/share/bkbench/backups".into(), 5 << 30));
    doctor::examine(&computer.host, &Surroundings { terminal, disk, wanted: doctor::Wanted::of(None, 22) })
}

#[track_caller]
fn check(found: &Diagnosis, id: &str) -> (State, String, String) {
    let check = found.checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no check {id}"));
    (check.state, check.found.clone(), check.remedy.clone().unwrap_or_default())
}

fn ready(found: &Diagnosis) -> (bool, bool) {
    (found.ready(WireKind::Spi), found.ready(WireKind::Uart))
}

/// The whole report of every computer, as a person sees it.
#[test]
fn every_computer_has_its_report() {
    for name in ["pi3-bookworm", "pi4-bookworm", "pi4-recovery", "pi5-bookworm", "pi5-trixie", "debian-board"] {
        let found = doctor(&computer(name));
        let lines = found.checks.iter().map(|check| {
            let remedy = check.remedy.as_ref().map(|remedy| format!("\n    {remedy}")).unwrap_or_default();
            format!("{} {}: {}{remedy}", check.state.word(), check.id, check.found)
        });
        let (spi, uart) = ready(&found);
        let report = format!("ready for SPI: {spi}, for UART: {uart}\n{}", lines.collect::<Vec<_>>().join("\n"));
        insta::assert_snapshot!(name, report);
    }
}

#[test]
fn every_fault_has_a_remedy_and_only_a_ready_computer_is_called_ready() {
    for (name, wanted) in [
        ("pi3-bookworm", (false, true)),
        ("pi4-bookworm", (false, false)),
        ("pi4-recovery", (false, false)),
        ("pi5-bookworm", (false, false)),
        ("pi5-trixie", (true, true)),
        ("debian-board", (false, false)),
    ] {
        let found = doctor(&computer(name));
        assert_eq!(ready(&found), wanted, "{name}");
        for check in &found.checks {
            let helps = check.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty());
            assert_eq!(helps, matches!(check.state, State::Fail | State::Unsure), "{name} {check:?}");
            assert!(!check.found.is_empty(), "{name} {check:?}");
        }
    }
}

#[test]
fn spi_that_is_off_set_but_not_active_or_taken_is_told_apart() {
    let off = computer("pi3-bookworm");
    assert!(check(&doctor(&off), "spi.bus").2.starts_with("sudo raspi-config nonint do_spi 0"));
    let set = changed("pi3-bookworm", |tree| tree.replace("#dtparam=spi=on", "dtparam=spi=on"));
    assert!(check(&doctor(&set), "spi.bus").2.contains("reboot"));
    let taken = changed("pi3-bookworm", |tree| {
        tree + "\nsys/bus/spi/devices/spi0.0/driver -> ../../../../bus/spi/drivers/ads7846\n"
    });
    let (state, found, _) = check(&doctor(&taken), "spi.bus");
    assert_eq!((state, found.as_str()), (State::Fail, "the driver ads7846 uses spi0.0"));
    let eeprom = doctor(&computer("pi4-recovery"));
    assert!(check(&eeprom, "spi.bus").1.contains("boot EEPROM"));
    assert!(check(&eeprom, "spi.boot-eeprom").1.contains("never opened"));
}

#[test]
fn a_claimed_line_names_who_has_it() {
    let (state, found, remedy) = check(&doctor(&computer("pi5-bookworm")), "spi.cen");
    assert_eq!((state, found.as_str()), (State::Fail, "GPIO22 (pin 15) is claimed by gpio-fan@0"));
    assert!(remedy.contains("cen=NUMBER"));
    let free = check(&doctor(&computer("pi5-trixie")), "spi.cen").1;
    assert_eq!(free, "GPIO22 (pin 15) is free, on /dev/gpiochip0");
}

/// The plain board, which has no SPI of its own, with an adapter plugged in.
fn with_adapter(tree: &str, node: &str) -> Diagnosis {
    let mut computer = changed("debian-board", |known| format!("{known}\n{tree}\n"));
    let nodes = computer.folder.path().join("nodes.toml");
    let text = std::fs::read_to_string(&nodes).expect("nodes");
    std::fs::write(&nodes, text.replace("nodes = [", &format!("nodes = [\n    \"{node}\","))).expect("nodes");
    computer.host = Host::copied(computer.folder.path());
    doctor(&computer)
}

#[test]
fn an_adapter_makes_a_computer_ready_for_spi() {
    let place = "sys/bus/usb/devices/1-1.2";
    let ch341 = format!("{place}/idVendor: 1a86\n{place}/idProduct: 5512\n{place}/busnum: 1\n{place}/devnum: 4");
    let free = with_adapter(&ch341, "dev/bus/usb/001/004 666 root root");
    assert!(free.ready(WireKind::Spi) && free.only_by_adapter(WireKind::Spi));
    assert_eq!(check(&free, "spi.adapter").1, "CH341A at USB 1-1.2: --link ch341:");
    let roots = with_adapter(&ch341, "dev/bus/usb/001/004 664 root root");
    let (state, _, remedy) = check(&roots, "spi.adapter");
    assert!(state == State::Fail && remedy.contains("udev") && !roots.ready(WireKind::Spi), "{remedy}");

    let port = "sys/devices/usb1/1-1/1-1.4";
    let serprog = format!(
        "{port}/idVendor: cafe\n{port}/idProduct: 4001\n{port}/product: pico-serprog\n{port}/1-1.4:1.0/x: 1\n\
         sys/class/tty/ttyACM0/device => {port}/1-1.4:1.0"
    );
    let programmer = with_adapter(&serprog, "dev/ttyACM0 666 root dialout");
    assert!(programmer.ready(WireKind::Spi));
    assert_eq!(check(&programmer, "spi.adapter").1, "pico-serprog at /dev/ttyACM0: --link serprog:/dev/ttyACM0");
    // An adapter of another kind is none.
    let other = with_adapter(&serprog.replace("pico-serprog", "Pico"), "dev/ttyACM0 666 root dialout");
    assert!(!other.ready(WireKind::Spi));
}

#[test]
fn a_command_for_a_computer_without_any_wire_says_so_and_fails() {
    let (place, empty) = (crate::support::folder(), crate::support::folder());
    let root = empty.path().to_str().expect("a path");
    let output = crate::support::bkbench(place.path(), &["doctor", "--root", root, "--json"]);
    assert_eq!(crate::support::code(&output), 6);
    let document = crate::support::document(&output);
    assert_eq!(document["error"]["code"], "E758");
    assert_eq!(document["ready"], serde_json::json!({"spi": false, "uart": false}));
    let pi = computer("pi5-trixie");
    let root = pi.folder.path().to_str().expect("a path");
    let output = crate::support::bkbench(place.path(), &["doctor", "--root", root, "--json"]);
    let document = crate::support::succeed(&output);
    assert_eq!(document["ready"], serde_json::json!({"spi": true, "uart": true}));
    let text = crate::support::bkbench(place.path(), &["doctor", "--root", root]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("SPI: ready"));
}

/// Whatever stands in those files: no panic, and no readiness out of nothing.
#[test]
fn trees_of_rubbish_break_nothing() {
    use crate::support::{Numbers, bkbench, code, document, folder};
    let place = folder();
    let tree =
        std::fs::read_to_string(crate::support::root().join("tests/hosts/pi4-bookworm/tree.txt")).expect("a tree");
    let mut numbers = Numbers(7);
    for round in 0..40 {
        // Lines lost, cut, or with a file's text exchanged for noise; loops of links among them.
        let broken: Vec<String> = tree
            .lines()
            .filter_map(|line| match numbers.below(6) {
                0 => None,
                1 if line.contains(": ") => {
                    let path = line.split_once(": ")?.0;
                    let noise: String = numbers.bytes(40).iter().map(|byte| format!("\\x{byte:02x}")).collect();
                    Some(format!("{path}: {noise}"))
                }
                2 if line.contains(" => ") => {
                    let path = line.split_once(" => ")?.0;
                    Some(format!("{path} => {path}"))
                }
                _ => Some(line.to_owned()),
            })
            .collect();
        let computer = crate::support::hosts::unpacked(&broken.join("\n"), "pi4-bookworm");
        let found = doctor(&computer);
        assert!(found.checks.len() > 10);
        let _ = (serial(&computer), spi(&computer));
        if round < 3 {
            let root = computer.folder.path().to_str().expect("a path");
            for command in ["doctor", "links"] {
                let output = bkbench(place.path(), &[command, "--root", root, "--json"]);
                assert!([0, 6].contains(&code(&output)), "{command}: {output:?}");
                assert_eq!(document(&output)["schema"], 1);
            }
        }
    }
    // And this very computer, whatever it is.
    for command in ["doctor", "links"] {
        let output = bkbench(place.path(), &[command, "--json"]);
        assert!([0, 6].contains(&code(&output)), "{command}: {output:?}");
        assert_eq!(document(&output)["schema"], 1);
    }
}
