//! The measured side of the Wiring tab.

use bkbench::session::What;

use super::desk::Desk;

/// The Wiring tab with both safety lines ticked, over a link that may be bad: the box about a failed connect is closed.
fn at_the_wires(link: &str) -> Desk {
    let mut desk = Desk::new(Some(link));
    desk.keys("esc 1 space enter enter");
    desk
}

#[test]
fn a_good_harness_is_all_good_in_every_size() {
    let mut desk = at_the_wires("sim:wb2s");
    desk.keys("c");
    insta::assert_snapshot!("wires_good_80x24", desk.screen_of(80, 24));
    insta::assert_snapshot!("wires_good_60x16", desk.screen_of(60, 16));
    insta::assert_snapshot!("wires_good_160x45", desk.screen_of(160, 45));
}

#[test]
fn an_open_wire_is_named_with_pad_and_pin_in_every_size() {
    let mut desk = at_the_wires("sim:wb2s?wires=csn-open");
    desk.keys("c");
    insta::assert_snapshot!("wires_csn_80x24", desk.screen_of(80, 24));
    insta::assert_snapshot!("wires_csn_60x16", desk.screen_of(60, 16));
    insta::assert_snapshot!("wires_csn_160x45", desk.screen_of(160, 45));
    assert_eq!(desk.bells(), 0);
}

#[test]
fn exchanged_wires_are_named_both() {
    let mut desk = at_the_wires("sim:wb2s?wires=sck-si-swapped");
    desk.keys("c");
    insta::assert_snapshot!("wires_swapped_80x24", desk.screen());
}

#[test]
fn a_live_check_rings_once_when_all_is_good_and_stops_with_the_same_key() {
    let mut desk = at_the_wires("sim:wb2s");
    desk.at(|event| matches!(&event.what, What::Wiring(_)), "down");
    desk.at(
        |event| matches!(&event.what, What::Wiring(report) if report.stability.is_some_and(|it| it.looks == 3)),
        "v",
    );
    desk.keys("v");
    assert_eq!(desk.bells(), 1);
    let shots = desk.shots();
    insta::assert_snapshot!("wires_live_80x24", shots.last().expect("a screen in the middle"));
    desk.shows("was 100 %");
}

#[test]
fn nothing_is_measured_before_mains_and_voltage_are_answered_for() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    desk.keys("1 c").shows("tick the two lines above first");
    assert!(!desk.started().iter().any(|job| job.title() == "check wires"));
}

#[test]
fn without_a_link_one_is_asked_for() {
    let mut desk = Desk::new(None);
    desk.keys("1 space enter enter c").shows("Measure over");
    desk.keys("enter").shows("carries the id");
}

#[test]
fn a_module_without_the_pads_leads_to_uart() {
    let mut desk = Desk::new(Some("sim:cb2s"));
    desk.keys("1 w space enter enter");
    desk.shows("This module does not bring out");
    desk.keys("c").shows("E431");
    desk.keys("esc w space enter enter c").shows("the answer came");
}
