//! The Dump tab: searched, seen through its encryption, read as numbers.

use super::desk::Desk;
use crate::support::sample;

/// A workbench with a sample dump open; `None`, said aloud, where the samples are absent.
fn open(name: &str) -> Option<Desk> {
    let path = sample(&format!("dumps/{name}.bin"))?.canonicalize().ok()?;
    let mut desk = Desk::new(None);
    desk.keys("3 o").types(&path.display().to_string()).keys("enter");
    desk.shows(&format!("{name}.bin"));
    Some(desk)
}

#[test]
fn the_pin_map_is_found_stepped_through_and_read_whole() {
    let Some(mut desk) = open("lspa9-clone-first-n") else { return };
    desk.keys("/").types("pin").keys("enter").shows("hit 1 of 8").shows("The text around this hit:");
    desk.keys("n n").shows("hit 3 of 8").shows("vi_pin:6").shows("crc:");
    desk.keys("N").shows("hit 2 of 8");
}

#[test]
fn a_pin_map_that_is_encrypted_is_found_all_the_same() {
    let Some(mut desk) = open("ds-101jl-4gang-switch-t") else { return };
    desk.keys("/").types("pin").keys("enter").shows("found in the decrypted store only; x goes back");
    desk.shows("the decrypted store of ds-101jl").shows("hit 1 of");
    desk.keys("/").types("rl1_pin").keys("enter").shows("user_param_key of the store").shows("crc:");
    desk.keys("x");
    assert!(!desk.screen().contains("the decrypted store of"), "{}", desk.screen());
}

#[test]
fn hits_are_listed_and_marked_in_the_scroll_bar() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 f").shows("8 hits of \"pin\"").shows("1 of 8");
    desk.keys("down down enter");
    desk.shows("hit 3 of 8");
    assert!(desk.screen().contains('▓') || desk.screen().contains('▒'), "{}", desk.screen());
}

#[test]
fn the_code_is_seen_at_its_own_addresses_and_both_ways() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc g").types("11022").keys("enter").shows("= code 0x010020");
    desk.keys("c");
    desk.shows("the decrypted code (tuya/beken default key)").shows("at 0x010020").shows("= file 0x011022");
    desk.keys("g").types("10004").keys("enter").shows("00010000  ").shows("= file 0x011004");
    insta::assert_snapshot!("dump_code", desk.screen());
    desk.keys("c").shows("at 0x011004");
}

#[test]
fn regions_are_gone_to_by_name_with_completion() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc g").types("rf").shows("Tab RF calibration");
    desk.keys("tab enter").shows("at 0x1E0000");
    desk.keys("g").types("+10").keys("enter").shows("at 0x1E0010");
    desk.keys("g").types("nowhere").keys("enter").shows("neither an address nor a region");
    desk.keys("esc r").shows("bits").shows("boot loader");
}

#[test]
fn the_bytes_are_numbers_too() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc").screen();
    desk.keys("i").shows("little endian").shows("time 64").shows("float 32");
    insta::assert_snapshot!("dump_inspector", desk.screen());
    insta::assert_snapshot!("dump_inspector_160x45", desk.screen_of(160, 45));
    desk.screen_of(60, 16);
    desk.keys("i i").shows("The bytes here").shows("time 64");
}

#[test]
fn texts_are_listed_filtered_and_jumped_to() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc home s").shows(" texts");
    desk.types("SEL_pin").shows("1 of 1");
    desk.keys("enter").shows("{sel_pin_pin");
}
