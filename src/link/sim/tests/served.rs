//! A module behind a port that other programs use.

use super::*;
use crate::link::sim::{Pace, Served};

const SET_BAUD: &[u8] = &[0x01, 0xE0, 0xFC, 0x06, 0x0F, 0x00, 0x10, 0x0E, 0x00, 0x14];

fn served(module: &str) -> (Module, Served) {
    let module = Module::new(Setup::new(module).unwrap().pace(Pace::Virtual)).unwrap();
    let served = Served::new(&module);
    (module, served)
}

fn ask(served: &mut Served, bytes: &[u8], baud: u32) -> Vec<u8> {
    served.host_sent(bytes, baud).unwrap();
    let mut answer = Vec::new();
    served.to_host(&mut answer).unwrap();
    answer
}

#[test]
fn opening_the_port_resets_the_module_so_that_a_tool_links() {
    for name in ["wb2s", "cb3s"] {
        let (module, mut served) = served(name);
        assert!(module.is_running());
        served.opened().unwrap();
        assert_eq!(ask(&mut served, LINK_CHECK, 115_200), LINKED, "{name}");
        served.closed();
        served.opened().unwrap();
        assert_eq!(ask(&mut served, LINK_CHECK, 115_200), LINKED, "{name}, the second program");
    }
}

#[test]
fn a_module_left_at_another_rate_is_reset_by_the_next_program_that_opens_the_port() {
    let (_, mut served) = served("cb3s");
    served.opened().unwrap();
    ask(&mut served, LINK_CHECK, 115_200);
    ask(&mut served, SET_BAUD, 115_200);
    assert_eq!(ask(&mut served, LINK_CHECK, 921_600), LINKED);
    served.closed();
    served.opened().unwrap();
    assert_eq!(ask(&mut served, LINK_CHECK, 115_200), LINKED);
}

#[test]
fn somebody_touches_cen_while_link_checks_meet_a_running_firmware() {
    for name in ["wb2s", "cb3s"] {
        let (module, mut served) = served(name);
        served.opened().unwrap();
        served.pass(Duration::from_secs(1));
        assert!(module.is_running(), "the window went by");
        let mut tries = 0;
        while ask(&mut served, LINK_CHECK, 115_200) != LINKED {
            served.pass(Duration::from_millis(5));
            tries += 1;
            assert!(tries < 60, "{name}: nobody touches CEN");
        }
        assert!(tries > 5, "{name}: not before the tool has asked for a while");
    }
}

#[test]
fn what_is_no_link_check_does_not_reset_the_module() {
    let (module, mut served) = served("wb2s");
    served.opened().unwrap();
    served.pass(Duration::from_secs(1));
    for _ in 0..100 {
        ask(&mut served, b"help\r\n", 115_200);
        served.pass(Duration::from_millis(20));
    }
    assert!(module.is_running());
}

#[test]
fn a_program_that_switches_its_rate_late_still_reads_the_answer() {
    for name in ["wb2s", "cb3s"] {
        let (_, mut served) = served(name);
        served.opened().unwrap();
        ask(&mut served, LINK_CHECK, 115_200);
        // The answer at the new rate is there before the program has switched.
        let answer = ask(&mut served, SET_BAUD, 115_200);
        assert_eq!(answer, [0x04, 0x0E, 0x09, 0x01, 0xE0, 0xFC, 0x0F, 0x00, 0x10, 0x0E, 0x00, 0x14], "{name}");
        assert_eq!(ask(&mut served, LINK_CHECK, 921_600), LINKED, "{name}");
        served.host_rate_is(115_200).unwrap();
        assert_ne!(ask(&mut served, LINK_CHECK, 115_200), LINKED, "{name}: the old rate is noise by now");
    }
}

#[test]
fn a_request_that_was_read_together_with_the_switch_after_it_goes_out_at_the_old_rate() {
    let (_, mut served) = served("cb3s");
    served.opened().unwrap();
    ask(&mut served, LINK_CHECK, 115_200);
    assert_eq!(ask(&mut served, SET_BAUD, 921_600).len(), 12);
    assert_eq!(ask(&mut served, LINK_CHECK, 921_600), LINKED);
}

#[test]
fn a_wait_ends_when_something_happens() {
    let (_, mut served) = served("wb2s");
    served.opened().unwrap();
    ask(&mut served, LINK_CHECK, 115_200);
    // A linked boot loader resets itself when nobody talks to it (uart-protocol.md §3.1).
    let idle = served.quiet_for().unwrap();
    assert!(idle > Duration::from_secs(1) && idle < Duration::from_secs(2), "{idle:?}");
    served.pass(idle);
    assert_ne!(served.quiet_for().unwrap(), Duration::ZERO, "what was due is done");
}

#[test]
fn a_line_that_is_full_takes_no_more() {
    let module = Module::new(Setup::new("cb3s").unwrap().pace(Pace::Line)).unwrap();
    let mut served = Served::new(&module);
    served.opened().unwrap();
    assert!(served.takes_more());
    // At 115200 baud 4096 bytes take a third of a second, and four times that is more than a second.
    for _ in 0..4 {
        served.host_sent(&[0x55; 4096], 115_200).unwrap();
    }
    assert!(!served.takes_more());
    assert!(served.quiet_for().unwrap() < Duration::from_millis(10), "and it is looked at again soon");
}
