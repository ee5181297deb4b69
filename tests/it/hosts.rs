//! `links` and `doctor` on computers that are not at hand: Raspberry Pi 3, 4 and 5, and a board with plain Debian.

use bkbench::link::Endpoint;
use bkbench::link::host::board::{Board, Uart};
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
    assert!(remedy(&spi(&outside)[0]).expect("a remedy").starts_with("sudo usermod -aG spi $USER"));
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
    assert_eq!(problem.remedy, "sudo raspi-config nonint do_serial_cons 1, then reboot");

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
fn usb_adapters_have_their_words_and_a_stable_name() {
    let port = serial(&computer("pi4-bookworm")).remove(0);
    assert_eq!(port.about, "CP2102 USB to UART Bridge Controller (10C4:EA60)");
    let device = port.device.expect("a device");
    let stable = "/dev/serial/by-id/usb-Silicon_Labs_CP2102_USB_to_UART_Bridge_Controller_0001-if00-port0";
    assert_eq!(device.stable.as_deref(), Some(stable));
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
    assert!(serial(&without).iter().all(|port| port.link != "uart:"));
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
