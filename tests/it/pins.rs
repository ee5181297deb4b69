//! Where the wires of a link end is said in one way: by `wiring`, the Wiring tab, errors, `links` and `doctor`.

use bkbench::chip;
use bkbench::device::{AttachOptions, Unwatched, attach};
use bkbench::link::host::doctor::{Surroundings, Wanted, examine};
use bkbench::link::host::{Host, buses};
use bkbench::link::sim::{Module, Setup, Wires};
use bkbench::link::{LinkSpec, Pins, WireKind, WireName};
use bkbench::problem::Explain;
use bkbench::store::Settings;
use bkbench::tui::theme::Theme;
use bkbench::tui::{App, Options};

use crate::support::hosts::computer;
use crate::support::{bkbench, folder, succeed};

const LINKS: [&str; 15] = [
    "spi:0.0?cen=22",
    "spi:0.0?cen=17",
    "spi:0.1?cen=GPIO17",
    "spi:1.0?cen=pin11",
    "spi:1.2?cen=5",
    "spi:0.0?cen=hand",
    "spi:0.1?cen=none",
    "ch341:",
    "ch341:?cen=hand",
    "serprog:192.0.2.1:4000?cen=hand",
    "uart:/dev/ttyUSB0?reset=rts",
    "uart:/dev/ttyUSB0?reset=gpio:17",
    "uart:/dev/serial0?reset=gpio:5",
    "tcp:192.0.2.1:4001",
    "rfc2217:192.0.2.1:4002?reset=dtr",
];

fn pins(link: &str) -> Pins {
    Pins::here(&LinkSpec::parse(link).unwrap())
}

#[test]
fn the_wiring_table_has_the_pins_of_every_link() {
    let folder = folder();
    for link in LINKS {
        let found = succeed(&bkbench(folder.path(), &["--link", link, "wiring", "--json"]));
        let pins = pins(link);
        let rows = found["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), WireName::of(pins.wire).len(), "{link}");
        for (row, (wire, end)) in rows.iter().zip(pins.ends()) {
            assert_eq!(row["signal"], wire.signal(), "{link}");
            assert_eq!(row["raspberry_pi"], end.name.as_str(), "{link}");
            assert_eq!(row["pin"].as_u64(), end.header.map(u64::from), "{link}");
        }
        assert_eq!(found["host"], pins.host, "{link}");
    }
}

#[test]
fn the_table_names_chip_select_and_line_of_the_link_and_of_the_settings() {
    let folder = folder();
    let text = |args: &[&str]| String::from_utf8_lossy(&bkbench(folder.path(), args).stdout).into_owned();
    let other = text(&["--link", "spi:0.1?cen=17", "wiring", "--module", "wb2s"]);
    assert!(other.contains("GPIO7 CE1 (pin 26)") && other.contains("GPIO17 (pin 11)"), "{other}");
    assert!(!other.contains("GPIO22") && !other.contains("CE0"), "{other}");
    let any = text(&["--link", "ch341:", "wiring"]);
    assert!(any.contains("Any module over SPI") && any.contains("D3 (SCK)") && any.contains("SCK (P20)"), "{any}");
    assert!(any.contains("source of the pads:"), "{any}");
}

#[test]
fn the_wiring_tab_has_the_pins_of_every_link() {
    for link in LINKS {
        let options = Options {
            link: Some(link.to_owned()),
            speed: None,
            settings: Settings::default(),
            theme: Theme::load("dark").expect("a theme"),
            folder: "/".into(),
            ascii: false,
            shelf: bkbench::archive::shelf(&Settings::default()).expect("folders"),
            structures: Default::default(),
        };
        let (app, _) = App::new(options);
        assert_eq!(app.shared.pins, pins(link), "{link}");
        assert_eq!((app.shared.wire, app.shared.module), (pins(link).wire, chip::ANY), "{link}");
    }
}

/// A simulated module behind the pins of a real link.
fn failure(link: &str, wires: &str) -> String {
    let pins = pins(link);
    let setup = Setup::new("wb2s").unwrap().wire(pins.wire).wires(Wires::parse(wires).unwrap());
    let mut link = Module::new(setup).unwrap().link();
    link.info.pins = pins;
    let problem = attach(link, &AttachOptions::default(), &mut Unwatched).err().expect("a bad wire").explain();
    format!("{} {}", problem.cause, problem.remedy)
}

#[test]
fn errors_have_the_pins_of_every_link() {
    for link in LINKS {
        let pins = pins(link);
        let (wires, named) = match pins.wire {
            WireKind::Spi => ("so-open", WireName::So),
            WireKind::Uart => ("tx-open", WireName::Tx1),
        };
        let text = failure(link, wires);
        assert!(text.contains(&pins.at(named)), "{link}: {text}");
        let usual = Pins::usual(pins.wire, 22);
        for (wire, end) in usual.ends().filter(|(wire, end)| pins.end(*wire) != Some(*end)) {
            assert!(!text.contains(&end.name), "{link} is told of {} at {}: {text}", wire.signal(), end.name);
        }
    }
}

/// The header pins among the numbers of a text.
fn header_pins(text: &str) -> Vec<u8> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn links_and_doctor_have_the_pins_of_a_raspberry_pis_buses() {
    let mut checked = 0;
    for name in ["pi3-bookworm", "pi4-bookworm", "pi5-bookworm", "pi5-trixie"] {
        let computer = computer(name);
        for cen in [22, 17] {
            for endpoint in buses::endpoints(&computer.host, cen) {
                let link = LinkSpec::parse(&endpoint.link).unwrap();
                let pins = Pins::of(&link, &computer.host);
                assert_eq!(pins.end(WireName::Cen), Pins::usual(WireKind::Spi, cen).end(WireName::Cen), "{link}");
                let told = header_pins(&endpoint.about);
                for wire in [WireName::Sck, WireName::Csn, WireName::Si, WireName::So] {
                    let pin = pins.end(wire).and_then(|end| end.header).expect("on the header");
                    assert!(told.contains(&pin), "{name} {link}: {} at pin {pin}, {}", wire.signal(), endpoint.about);
                }
            }
            let link = LinkSpec::parse(&format!("spi:0.0?cen={cen}")).unwrap();
            let around = Surroundings { wanted: Wanted::of(Some(&link), 22), ..Surroundings::default() };
            let found = examine(&computer.host, &around);
            let line = found.checks.iter().find(|check| check.id == "spi.cen").expect("a check of CEN");
            let pins = Pins::usual(WireKind::Spi, cen);
            let end = &pins.end(WireName::Cen).expect("a line").name;
            // Where nobody may ask for the lines, none is named.
            if line.found.contains("GPIO") {
                assert!(line.found.contains(end.as_str()), "{name}: {}", line.found);
                checked += 1;
            }
        }
    }
    assert!(checked >= 4, "{checked} lines of doctor were compared");
}

#[test]
fn a_chip_select_that_the_kernel_has_elsewhere_or_not_at_all_is_followed() {
    let at = |line: u8, by: &str| {
        let computer = computer("pi4-bookworm");
        let header = format!(
            "[[gpio]]\nnode = \"/dev/gpiochip0\"\nlabel = \"pinctrl-bcm2711\"\nlines = 58\nused = [{{ number = {line}, by = \"{by}\" }}]\n"
        );
        std::fs::write(computer.folder.path().join("nodes.toml"), header).unwrap();
        let host = Host::copied(computer.folder.path());
        Pins::of(&LinkSpec::parse("spi:0.0").unwrap(), &host).at(WireName::Csn)
    };
    assert_eq!(at(8, "spi0 CS0"), "CSN at GPIO8 CE0 (pin 24)");
    assert_eq!(at(5, "spi0 CS0"), "CSN at GPIO5 CE0 (pin 29)");
    assert_eq!(at(5, "somebody else"), "CSN at no pin: this bus has no chip select");
}
