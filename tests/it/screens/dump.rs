//! The Dump tab: searched, seen through its encryption, read as numbers.

use bkbench::tui::msg::Msg;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

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

#[test]
fn a_selection_has_its_checksums_and_is_copied_as_text_and_as_hex() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc v").keys("right right right right right right");
    desk.shows("7 bytes (0x7)").shows("CRC-16").shows("SHA-256").shows("y copy…");
    insta::assert_snapshot!("dump_selected", desk.screen());
    desk.keys("y").shows("Copy the selection as");
    desk.keys("enter").shows("7 bytes sent to the terminal's clipboard");
    assert_eq!(desk.copied().as_deref(), Some("pin_pin"));
    desk.keys("y down enter");
    assert_eq!(desk.copied().as_deref(), Some("70 69 6E 5F 70 69 6E"));
    desk.keys("v right").shows("7 bytes (0x7)");
    desk.keys("esc y").shows("nothing is selected");
}

#[test]
fn shift_and_the_mouse_select_too() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc").screen();
    for code in [KeyCode::Down, KeyCode::Right] {
        desk.hears(Msg::Key(KeyEvent::new(code, KeyModifiers::SHIFT)));
    }
    desk.shows("18 bytes (0x12)");
    desk.keys("esc").screen();
    let press = |kind, column, row| Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    let line = desk.screen().lines().position(|line| line.contains("001E5010")).expect("a row") as u16;
    desk.hears(press(MouseEventKind::Down(MouseButton::Left), 11, line));
    desk.shows("at 0x1E5010");
    desk.hears(press(MouseEventKind::Drag(MouseButton::Left), 17, line));
    desk.shows("selected 0x1E5010 to 0x1E5012").shows("3 bytes");
}

#[test]
fn a_selection_is_written_to_a_new_file_and_never_over_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("piece.bin");
    for expected in ["written:", "exists already"] {
        let mut desk = Desk::at_work("sim:wb2s");
        desk.keys("3 esc v right w").types(&path.display().to_string());
        desk.keys("enter").shows(expected);
        assert_eq!(std::fs::read(&path).expect("a file"), b"pi");
    }
}

#[test]
fn bookmarks_carry_notes_are_listed_and_taken_away() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc M").shows("no bookmark yet");
    desk.keys("m").types("the pins").keys("enter").shows("● the pins");
    assert!(desk.screen().contains("001E5000●"), "{}", desk.screen());
    desk.keys("home m enter M").shows("0x1E5005  the pins").shows("0x000000");
    desk.keys("down enter").shows("at 0x1E5005");
    desk.keys("home g").types("the p").keys("enter").shows("at 0x1E5005");
    desk.keys("m tab");
    assert!(!desk.screen().contains("the pins"), "{}", desk.screen());
}

#[test]
fn two_files_are_compared_side_by_side_or_one_above_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = vec![0x41_u8; 0x8000];
    std::fs::write(folder.path().join("a.bin"), &bytes).expect("a file");
    bytes[0x1234] = 0x42;
    bytes[0x5000..0x5010].fill(0x43);
    std::fs::write(folder.path().join("b.bin"), &bytes).expect("a file");
    let mut desk = Desk::new(None);
    desk.keys("3 o").types(&folder.path().join("a.bin").display().to_string());
    desk.keys("enter").shows("a.bin");
    desk.keys("]").shows("nothing to compare with yet");
    desk.keys("=").types(&folder.path().join("b.bin").display().to_string());
    desk.keys("enter").shows("a.bin compared with b.bin").shows("17 bytes differ in 2 ranges").shows("] next diff");
    desk.keys("]").shows("at 0x001234");
    insta::assert_snapshot!("dump_compared", desk.screen());
    insta::assert_snapshot!("dump_compared_160x45", desk.screen_of(160, 45));
    insta::assert_snapshot!("dump_compared_60x16", desk.screen_of(60, 16));
    desk.keys("n").shows("at 0x005000");
    desk.keys("]").shows("at 0x001234");
    desk.keys("[").shows("at 0x005000");
    desk.keys("d").shows("17 bytes differ in 2 ranges").shows("0x001234  1 of 1 differ");
    desk.keys("esc =");
    assert!(!desk.screen().contains("compared"), "{}", desk.screen());
}

#[test]
fn equal_files_are_called_equal() {
    let mut desk = Desk::at_work("sim:wb2s");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.bin"), b"the same").expect("a file");
    let path = folder.path().join("a.bin").display().to_string();
    desk.keys("3 o").types(&path).keys("enter");
    desk.keys("=").types(&path).keys("enter").shows("compared: equal");
    desk.keys("]").shows("no byte differs");
}
