//! Linking, rates, wires and faults: what a host meets on the line before it asks for anything.

use super::frames::*;
use super::*;
use crate::link::contract::WireKind;
use crate::link::sim::{Effect, Faults, Pace, Wires};

#[test]
fn a_running_module_does_not_link() {
    for (_, mut port) in [t_module(|s| s), n_module(|s| s)] {
        port.serial.send(LINK_CHECK).unwrap();
        let heard = port.hear(Duration::from_millis(500));
        assert!(!heard.windows(2).any(|pair| pair == [0x04, 0x0E]));
    }
}

#[test]
fn the_firmware_talks_now_and_then() {
    let (_, mut port) = t_module(|s| s);
    let heard = port.hear(Duration::from_secs(5));
    assert!(heard.starts_with(b"[TUYA"), "{heard:02X?}");
}

#[test]
fn a_link_check_in_the_window_links_and_one_after_it_does_not() {
    for open in [|| t_module(|s| s), || n_module(|s| s)] {
        let (_, mut port) = open();
        port.pulse();
        port.clock.sleep(Duration::from_millis(45));
        assert_eq!(port.ask(LINK_CHECK), LINKED);
        let (_, mut port) = open();
        port.pulse();
        port.clock.sleep(Duration::from_millis(60));
        port.serial.send(LINK_CHECK).unwrap();
        assert_eq!(port.hear(Duration::from_millis(100)), b"");
    }
}

#[test]
fn a_flood_links_whenever_the_reset_comes() {
    for (_, mut port) in [t_module(|s| s), n_module(|s| s)] {
        port.reset.hold(true).unwrap();
        let mut heard: Vec<u8> = Vec::new();
        for round in 0..100 {
            if round == 37 {
                port.reset.hold(false).unwrap();
            }
            port.serial.send(LINK_CHECK).unwrap();
            let mut piece = [0; 64];
            let len = port.serial.receive(&mut piece, Duration::from_millis(2)).unwrap();
            heard.extend(&piece[..len]);
        }
        let answers = heard.windows(8).filter(|piece| *piece == LINKED).count();
        assert!(answers > 40, "{answers} answers");
    }
}

#[test]
fn the_firmware_can_be_asked_to_restart() {
    for (text, wait) in [(&b"reboot\r\n"[..], 2), (&[0x01, 0xE0, 0xFC, 0x05, 0xFE, 0x95, 0x27, 0x95, 0x27], 105)] {
        let (_, mut port) = t_module(|s| s);
        port.serial.send(text).unwrap();
        port.clock.sleep(Duration::from_millis(wait));
        assert_eq!(port.ask(LINK_CHECK), LINKED);
    }
}

#[test]
fn an_idle_boot_loader_resets_itself_and_the_rom_does_not() {
    let (_, mut port) = t_module(|s| s);
    port.link();
    port.clock.sleep(Duration::from_millis(1400));
    assert_eq!(port.ask(LINK_CHECK), LINKED);
    port.clock.sleep(Duration::from_secs(3));
    port.serial.send(LINK_CHECK).unwrap();
    assert!(!port.hear(Duration::from_millis(100)).starts_with(&LINKED[..2]));
    let (_, mut port) = n_module(|s| s);
    port.link();
    port.clock.sleep(Duration::from_secs(100));
    assert_eq!(port.ask(LINK_CHECK), LINKED);
}

#[test]
fn noise_keeps_the_boot_loader_for_a_while() {
    let (module, mut port) = t_module(|s| s);
    port.pulse();
    port.serial.send(&[0x55]).unwrap();
    module.sleep(Duration::from_millis(700));
    assert!(!module.is_running());
    module.sleep(Duration::from_millis(200));
    assert!(module.is_running());
}

#[test]
fn a_t_without_boot_loader_is_deaf_and_an_n_is_not() {
    let (_, mut port) = t_module(|s| s.image(Vec::new()));
    port.pulse();
    assert_eq!(port.ask(LINK_CHECK), b"");
    let (_, mut port) = n_module(|s| s.image(Vec::new()));
    port.link();
}

#[test]
fn answers_take_their_time_on_the_line() {
    let (module, mut port) = n_module(|s| s);
    port.link();
    let before = module.now();
    port.serial.send(&with_address(&[0x09], 0x11000, &[])).unwrap();
    let mut got = 0;
    while got < 4111 {
        let mut piece = [0; 4111];
        got += port.serial.receive(&mut piece, Duration::from_secs(1)).unwrap();
    }
    let took = (module.now() - before).as_secs_f64();
    let line = (12.0 + 4111.0) * 10.0 / 115_200.0;
    assert!((line..line * 1.01).contains(&took), "{took} s, the line needs {line} s");
}

#[test]
fn a_new_rate_holds_from_the_request_on() {
    for (open, wait) in [((|| t_module(|s| s)) as fn() -> (Module, Port), 42), (|| n_module(|s| s), 20)] {
        let (module, mut port) = open();
        port.link();
        let request = [&[0x01, 0xE0, 0xFC, 0x06, 0x0F][..], &921_600u32.to_le_bytes(), &[20]].concat();
        port.serial.send(&request).unwrap();
        let sent = module.now() + Duration::from_micros(868);
        port.clock.sleep(Duration::from_millis(10));
        port.serial.set_baud(921_600).unwrap();
        let echo = port.hear(Duration::from_secs(1));
        assert_eq!(echo[..3], [0x04, 0x0E, 0x09]);
        assert_eq!(echo[6..], request[4..]);
        let quiet = Duration::from_millis(50);
        let took = (module.now() - sent - quiet).as_millis();
        assert!((wait..wait + 2).contains(&took), "{took} ms");
        assert_eq!(port.ask(LINK_CHECK), LINKED);
        port.serial.set_baud(115_200).unwrap();
        assert_ne!(port.ask(LINK_CHECK), LINKED, "the old rate is noise now");
        port.pulse();
        assert_eq!(port.ask(LINK_CHECK), LINKED, "a reset brings 115200 back");
    }
}

#[test]
fn a_rate_beyond_the_tolerance_is_noise() {
    let (_, mut port) = n_module(|s| s);
    port.serial.set_baud(120_000).unwrap();
    port.pulse();
    assert_ne!(port.ask(LINK_CHECK), LINKED);
    port.serial.set_baud(113_000).unwrap();
    port.link();
}

#[test]
fn both_wires_lead_to_the_same_flash() {
    let (module, mut port) = serial(Setup::new("cb3s").unwrap().locked(false).image(bootable()));
    port.link();
    port.ask(&with_address(&[0x0F, 0x20], 0x40000, &[]));
    port.ask(&with_address(&[0x06], 0x40000, &[0x12, 0x34]));
    drop(port);
    let mut host = Host::at(module.link_over(WireKind::Spi));
    host.enter();
    assert_eq!(host.read(0x40000, 3), [0x12, 0x34, 0xFF]);
    host.write(&[0x02, 0x04, 0x00, 0x02, 0x56]);
    let mut port = Port::at(module.link());
    port.link();
    assert_eq!(answer(&port.ask(&with_address(&[0x08], 0x40000, &[3]))).1[4..], [0x12, 0x34, 0x56]);
    let programs = module.operations().iter().filter(|op| op.opcode == 0x02 && op.effect == Effect::Done).count();
    assert_eq!(programs, 2);
}

#[test]
fn bad_uart_wires_are_silent() {
    for wires in ["rx-open", "tx-open", "rx-tx-swapped", "cen-open"] {
        let (_, mut port) = t_module(|s| s.wires(Wires::parse(wires).unwrap()));
        port.pulse();
        port.serial.send(LINK_CHECK).unwrap();
        assert_eq!(port.hear(Duration::from_millis(100)), b"", "{wires}");
    }
}

#[test]
fn faults_of_the_line_show_on_the_line() {
    let linked = |faults: &str| {
        let (_, mut port) = n_module(|s| s.faults(Faults::parse(faults).unwrap()));
        port.pulse();
        let first = port.ask(LINK_CHECK);
        (first, port)
    };
    assert_eq!(linked("no-answer:1").0, b"");
    let (_, mut port) = linked("bad-status:1");
    assert_eq!(answer(&port.ask(&long(&[0x0C, 0x05]))).0, 0x03);
    assert_eq!(linked("echo").0, [LINK_CHECK, LINKED].concat());
    assert_ne!(linked("drift:5").0, LINKED);
    let (_, mut port) = n_module(|s| s.faults(Faults::parse("delay:20").unwrap()));
    port.pulse();
    port.serial.send(LINK_CHECK).unwrap();
    assert_eq!(port.hear(Duration::from_millis(15)), b"");
    assert_eq!(port.hear(Duration::from_millis(15)), LINKED);
    let (_, mut port) = linked("late-entry");
    assert_eq!(port.ask(LINK_CHECK), b"", "by then the window is over");
}

#[test]
fn line_noise_damages_bytes_at_its_rate() {
    let (module, mut port) = n_module(|s| s.faults(Faults::default()));
    port.link();
    module.set_faults(Faults::parse("noise:1/500").unwrap());
    let expected = module.bytes(0x20000, 4096);
    let damaged = (0..10).filter(|_| {
        let heard = port.ask(&with_address(&[0x09], 0x20000, &[]));
        heard.len() != 4111 || heard[15..] != expected
    });
    assert!(damaged.count() >= 8);
}

#[test]
fn a_pulled_cable_is_an_error_from_then_on() {
    let (module, mut port) = n_module(|s| s);
    port.link();
    module.set_faults(Faults::parse("unplug:1").unwrap());
    port.serial.send(&with_address(&[0x0F, 0x20], 0x30000, &[])).unwrap();
    assert!(port.serial.receive(&mut [0; 16], Duration::from_secs(1)).is_err());
    assert!(port.serial.send(LINK_CHECK).is_err());
    assert_eq!(module.bytes(0x30000, 4), [0xFF; 4]);
}

#[test]
fn at_the_pace_of_the_line_bytes_take_real_time() {
    let (_, mut port) = n_module(|s| s.pace(Pace::Line));
    port.link();
    let before = std::time::Instant::now();
    port.serial.send(&with_address(&[0x08], 0x11000, &[200])).unwrap();
    let mut got = 0;
    while got < 215 {
        got += port.serial.receive(&mut [0; 215], Duration::from_secs(1)).unwrap();
    }
    let line = Duration::from_secs_f64((13.0 + 215.0) * 10.0 / 115_200.0);
    assert!(before.elapsed() >= line, "{:?} is faster than the line", before.elapsed());
}
