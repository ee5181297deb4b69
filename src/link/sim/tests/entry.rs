//! Getting into SPI mode, and what bad wires look like from the host.

use std::time::Duration;

use super::*;
use crate::link::sim::{Faults, Wires};

fn setup() -> Setup {
    Setup::new("wb2s").unwrap().image(vec![0x5A; 0x20_0000])
}

fn host(setup: Setup) -> (Module, Host) {
    let module = Module::new(setup).unwrap();
    let host = Host::at(module.link());
    (module, host)
}

const ID: [u8; 3] = [0xEB, 0x60, 0x15];

#[test]
fn a_running_module_ignores_spi() {
    let (_, mut host) = host(setup());
    assert_eq!(host.frame(&[0xD2; 4]), [0xFF; 4]);
    assert_eq!(host.id(), [0xFF; 3]);
}

#[test]
fn d2_in_the_window_opens_spi_mode_and_echoes_once() {
    let (_, mut host) = host(setup());
    let echo = host.enter();
    assert_eq!(echo[0], 0xD2);
    assert!(echo[1..].iter().all(|byte| *byte == 0));
    assert_eq!(host.id(), ID);
    assert_eq!(host.read(0, 4), [0x5A; 4]);
}

#[test]
fn the_flash_is_silent_right_after_entry() {
    let (_, mut host) = host(setup());
    host.pulse(Duration::ZERO);
    host.frame(&[0xD2; 8]);
    assert_eq!(host.id(), [0, 0, 0]);
    host.clock.sleep(Duration::from_millis(50));
    assert_eq!(host.id(), ID);
}

#[test]
fn d2_after_the_window_is_too_late() {
    let (module, mut host) = host(setup());
    host.pulse(Duration::from_millis(101));
    assert_eq!(host.frame(&[0xD2; 250]), [0xFF; 250]);
    assert_eq!(host.id(), [0xFF; 3]);
    assert!(module.is_running());
}

#[test]
fn a_late_listener_misses_the_first_pattern() {
    let (_, mut host) = host(setup().faults(Faults::parse("late-entry").unwrap()));
    host.pulse(Duration::ZERO);
    host.frame(&[0xD2; 250]);
    host.clock.sleep(Duration::from_millis(20));
    assert_ne!(host.id(), ID);
    host.pulse(Duration::from_millis(50));
    host.frame(&[0xD2; 250]);
    host.clock.sleep(Duration::from_millis(20));
    assert_eq!(host.id(), ID);
}

#[test]
fn a_reset_leaves_spi_mode() {
    let (_, mut host) = host(setup());
    host.enter();
    host.reset.hold(true).unwrap();
    assert_eq!(host.id(), [0xFF; 3]);
    host.reset.hold(false).unwrap();
    assert_ne!(host.id(), ID);
}

#[test]
fn a_reset_of_the_chip_does_not_stop_the_flash() {
    let (module, mut host) = host(setup().locked(false));
    host.enter();
    host.frame(&[0x06]);
    host.frame(&[0xC7]);
    host.enter();
    assert_eq!(host.status() & 1, 1, "a chip erase goes on for ten seconds");
    host.wait_idle();
    assert!(module.flash().iter().all(|byte| *byte == 0xFF));
}

#[test]
fn a_boot_of_the_firmware_protects_the_flash_again() {
    let (module, mut host) = host(Setup::new("wb2s").unwrap());
    host.enter();
    host.write(&[0x01, 0x00, 0x00]);
    assert_eq!(module.status(), [0, 0, 0]);
    host.pulse(Duration::from_secs(1));
    assert_eq!(module.status(), [0x04, 0x40, 0]);
    let (module, mut host) = self::host(setup().status([0, 0, 0]));
    host.pulse(Duration::from_secs(1));
    assert_eq!(module.status(), [0, 0, 0], "without firmware nobody does");
}

#[test]
fn a_dropped_reset_line_is_released() {
    let module = Module::new(setup()).unwrap();
    let mut link = module.link();
    link.reset.as_mut().unwrap().hold(true).unwrap();
    drop(link);
    module.sleep(Duration::from_secs(1));
    assert!(module.is_running());
}

#[test]
fn above_the_clock_limit_bits_shift_and_below_it_they_do_not() {
    let (_, mut host) = host(setup().faults(Faults::parse("clock:4M").unwrap()));
    host.enter();
    host.spi.set_clock(4_000_000).unwrap();
    assert_eq!(host.id(), ID);
    host.spi.set_clock(8_000_000).unwrap();
    assert_eq!(host.id(), [0xF5, 0xB0, 0x0A], "the id one bit late, behind the ones of a floating line");
    host.spi.set_clock(20_000_000).unwrap();
    assert!((0..20).any(|_| host.id() != [0xF5, 0xB0, 0x0A]), "far above it bits flip too");
}

#[test]
fn noise_comes_at_its_rate_and_is_the_same_for_a_seed() {
    let damage = |seed| {
        let (_, mut host) = host(setup().faults(Faults::parse("noise:1/1000").unwrap()).seed(seed));
        host.enter();
        (0..20).flat_map(|block| host.read(block * 4000, 4000)).filter(|byte| *byte != 0x5A).count()
    };
    assert!((40..160).contains(&damage(3)), "{} of 80000", damage(3));
    assert_eq!(damage(3), damage(3));
}

#[test]
fn time_on_the_bus_is_bits_by_clock() {
    let (module, mut host) = host(setup());
    host.enter();
    host.spi.set_clock(8_000_000).unwrap();
    let before = (module.now(), module.traffic());
    for block in 0..10 {
        host.read(block * 4092, 4092);
    }
    let after = (module.now(), module.traffic());
    assert_eq!(after.1.spi_time - before.1.spi_time, Duration::from_micros(40_960));
    assert_eq!(after.0 - before.0, Duration::from_micros(40_960 + 10 * 100));
    assert_eq!(after.1.spi_messages - before.1.spi_messages, 10);
}

#[test]
fn frames_handed_over_together_cost_one_message() {
    let (module, mut host) = host(setup());
    host.enter();
    let before = module.traffic().spi_messages;
    host.spi.exchange_all(&mut [&mut [0x06], &mut [0x05, 0], &mut [0x04]]).unwrap();
    assert_eq!(module.traffic().spi_messages - before, 1);
}

#[test]
fn frames_beyond_the_limit_are_an_error() {
    let (_, mut host) = host(setup());
    assert!(host.spi.exchange(&mut [0; 4097]).is_err());
    assert_eq!(host.spi.longest_frame(), 4096);
}

#[test]
fn both_modes_work_and_others_do_not() {
    let (_, mut host) = host(setup());
    host.spi.set_mode(3).unwrap();
    host.enter();
    assert_eq!(host.id(), ID);
    assert!(host.spi.set_mode(1).is_err());
}

#[test]
fn each_bad_wire_has_its_own_picture() {
    let picture = |wires: &str| {
        let (_, mut host) = host(setup().wires(Wires::parse(wires).unwrap()));
        let echo = host.enter();
        (echo[0], host.id())
    };
    assert_eq!(picture(""), (0xD2, ID.to_vec()));
    assert_eq!(picture("so-open"), (0xFF, vec![0xFF; 3]));
    assert_eq!(picture("so-short-gnd"), (0x00, vec![0x00; 3]));
    assert_eq!(picture("so-short-3v3"), (0xFF, vec![0xFF; 3]));
    assert_eq!(picture("3v3-open"), (0xFF, vec![0xFF; 3]), "fed through its lines, it does not answer all the same");
    assert_eq!(picture("sck-open"), (0x00, vec![0x00; 3]), "SO is low in the window until a clock comes");
    assert_eq!(picture("si-open"), (0x7F, vec![0xFF; 3]), "the chip echoes the ones it reads on a floating SI");
    assert_eq!(picture("si-short-gnd"), (0x00, vec![0x00; 3]));
    assert_eq!(picture("csn-open"), (0x52, vec![0x00; 3]), "entry needs no chip select, the flash does");
    assert_eq!(picture("cen-open"), (0xFF, vec![0xFF; 3]), "without a reset the firmware goes on");
    assert_eq!(picture("cen-short-gnd"), (0xFF, vec![0xFF; 3]));
    assert_eq!(picture("si-so-bridged"), (0xD2, vec![0; 3]), "a bridge answers what was sent");
    for pair in ["sck-csn", "sck-si", "sck-so", "csn-si", "csn-so", "si-so"] {
        assert_ne!(picture(&format!("{pair}-swapped")).1, ID.to_vec(), "{pair}");
    }
}

#[test]
fn a_bad_harness_that_is_mended_works() {
    let (module, mut host) = host(setup().wires(Wires::parse("si-so-swapped").unwrap()));
    host.enter();
    assert_ne!(host.id(), ID);
    module.set_wires(Wires::default());
    host.enter();
    assert_eq!(host.id(), ID);
}

#[test]
fn a_sound_harness_gives_the_same_through_bytes_and_edges() {
    let (_, mut bytes) = host(setup());
    let (module, mut edges) = host(setup());
    bytes.enter();
    edges.enter();
    // Swapped twice is straight, yet goes the way of a bad harness.
    module.set_wires(Wires::parse("sck-csn-swapped,sck-csn-swapped").unwrap());
    for frame in [&[0x9F, 0, 0, 0][..], &[0x03, 0, 0, 0, 0, 0], &[0x05, 0, 0]] {
        assert_eq!(bytes.frame(frame), edges.frame(frame));
    }
}

#[test]
fn a_missing_ground_makes_the_id_change() {
    let (_, mut host) = host(setup().wires(Wires::parse("gnd-open").unwrap()));
    host.enter();
    let ids: std::collections::HashSet<Vec<u8>> = (0..10).map(|_| host.id()).collect();
    assert!(ids.len() > 5);
}
