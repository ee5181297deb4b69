//! The Config tab: pins, reasons and the template of a dump, and the ways out of the program.

use bkbench::image::template::lint;
use bkbench::tui::msg::Msg;

use super::desk::Desk;
use crate::support::{folder, sample};

/// A desk with a sample dump open, and its Config tab on the screen; `None` without the sample.
fn opened(name: &str) -> Option<Desk> {
    let dump = sample(&format!("dumps/{name}.bin"))?.canonicalize().ok()?;
    let mut desk = Desk::new(None);
    desk.keys("3 o").types(&dump.display().to_string()).keys("enter 6");
    Some(desk)
}

#[test]
fn from_a_dump_over_the_search_for_pin_to_a_saved_template() {
    let Some(dump) = sample("dumps/lspa9-clone-first-n.bin").and_then(|path| path.canonicalize().ok()) else { return };
    let folder = folder();
    let file = folder.path().join("plug.json");
    let mut desk = Desk::new(None);
    desk.keys("3").shows("o open…");
    desk.keys("o").types(&dump.display().to_string()).keys("enter").shows("oem_bk7231n_plug 1.1.15");
    desk.keys("/ enter").shows("hit 1 of").shows("The text around this hit");
    desk.keys("n n N").shows("hit 2 of");
    desk.keys("6").shows("from the store").shows("P26  rl1_pin").shows("Rel;1").shows("\"26\": \"Rel;1\"");
    desk.keys("w").shows("lspa9-clone-first-n-template.json");
    desk.types(&file.display().to_string()).keys("enter").shows("written: ");
    let saved = std::fs::read_to_string(&file).expect("the template");
    assert_eq!(lint::check(&saved, None).lints, []);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
    }
    // A second time under the same name: what is there stays.
    std::fs::write(&file, "mine").expect("a file");
    desk.keys("w").types(&file.display().to_string()).keys("enter").shows("✘").shows("remedy");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "mine");
    desk.keys("esc y").shows("sent to the terminal's clipboard");
    assert_eq!(desk.copied(), Some(saved));
}

#[test]
fn pictures_of_the_config_tab() {
    for name in ["lspa9-clone-first-n", "arlec-razer-strip-tuyaos3-n"] {
        let Some(mut desk) = opened(name) else { return };
        desk.keys("down");
        for (width, height) in [(80, 24), (160, 45), (60, 16)] {
            insta::assert_snapshot!(format!("config_{name}_{width}x{height}"), desk.screen_of(width, height));
        }
    }
}

#[test]
fn lines_that_the_importers_make_otherwise_are_marked_and_the_mapping_can_be_switched() {
    let Some(mut desk) = opened("arlec-razer-strip-tuyaos3-n") else { return };
    desk.shows("≠ PWM;1").shows("≠ the importers: desktop flasher PWM;3, web");
    desk.keys("enter").shows("c_pin is active high").shows("the importers make it otherwise");
    desk.keys("esc");
    desk.keys("m").shows("as the desktop flasher makes it").shows("PWM;3");
    desk.keys("m").shows("as the web importer makes it").shows("PWM;4");
    desk.keys("m").shows("recommended: as the device's own levels say").shows("PWM;1");
}

#[test]
fn the_qr_code_fits_the_home_size_or_says_what_it_takes() {
    let Some(mut desk) = opened("lspa9-clone-first-n") else { return };
    desk.keys("Q").shows("Holds pins and start-up").shows("█▀▀▀▀▀█");
    assert!(desk.screen_of(160, 45).contains("Holds the whole template."));
    let small = desk.screen_of(60, 16);
    assert!(small.contains("takes 47 columns") && small.contains("and 24 rows"), "{small}");
    // Plain blocks are blank cells in two colours, twice as wide and twice as high.
    desk.keys("b").shows("takes 94 columns");
    let plain = desk.ascii_screen(140, 60);
    assert!(plain.is_ascii() && !plain.contains("??") && plain.contains("Esc back"), "{plain}");
    desk.keys("esc").shows("at start: startDriver BL0937");
}

#[test]
fn similar_devices_come_out_of_a_list_on_disk() {
    let Some(mut desk) = opened("lspa9-clone-first-n") else { return };
    let folder = folder();
    let file = folder.path().join("devices.json");
    let list = r#"{"version": 0.1, "devices": [{"vendor": "Maker", "name": "Plug", "model": "P1", "chip": "BK7231N",
        "board": "CB2S", "pins": {"6": "BL0937CF1;0", "7": "BL0937CF;0", "8": "LED_n;1", "10": "Btn;1",
        "24": "BL0937SEL;0", "26": "Rel;1"}, "wiki": "https://example.org"}]}"#;
    std::fs::write(&file, list).expect("a list");
    desk.keys("f").shows("Which list of devices?");
    desk.types(&file.display().to_string());
    desk.keys("enter").shows("83 %  Maker Plug P1").shows("P8 WifiLED_n;0, there LED_n;1").shows("example.org");
    std::fs::write(&file, "[]").expect("no list");
    desk.keys("esc f").types(&file.display().to_string()).keys("enter").shows("✘ E145");
}

#[test]
fn a_template_from_a_forum_is_checked_against_the_device() {
    let Some(mut desk) = opened("lspa9-clone-first-n") else { return };
    let folder = folder();
    let file = folder.path().join("forum.json");
    let text = "{ \"vendor\": \"LEDVANCE\", \"name\": \"Plug\", \"chip\": \"BK7231N\", \"board\": \"CB2S\",\n  \"pins\": { \"6\": \"BL0937CF1;0\" \"7\": \"BL0937CF;0\",\n  \"8\": \"WifiLED_n;0\", \"10\": \"Btn;1\", \"24\": \"BL0937SEL_n;0\", \"26\": \"Rel;1\" } }";
    std::fs::write(&file, text).expect("a file");
    desk.keys("c").types(&file.display().to_string()).keys("enter");
    desk.shows("line 2, column 31: a comma is missing").shows("pin 24: BL0937SEL_n;0 differs from the device");
    desk.shows("not usable as it stands");
    desk.keys("esc").shows("from the store");
}

#[test]
fn a_dump_without_pins_says_what_it_holds_instead() {
    let Some(image) = super::desk::openbeken("BK7231T") else { return };
    let mut desk = Desk::new(None);
    desk.keys("6").shows("No dump is open.");
    desk.keys("o").types(&image.display().to_string()).keys("enter").shows("This file names no pins.");
    desk.keys("w").shows("there is no template");
    let Some(desk) = opened("elegrp-dpr10-tuyamcu-n") else { return };
    desk.shows("no pins: a second processor has them").shows("startDriver TuyaMCU");
}

#[test]
fn a_pasted_pin_map_becomes_a_template_and_anything_else_is_not_linted() {
    let mut desk = Desk::new(None);
    desk.keys("6").shows("No dump is open.");
    desk.hears(Msg::Paste("{module:CB2S,rl1_pin:26,rl1_lv:1,bt1_pin:10,bt1_lv:0,crc:104,}".to_owned()));
    desk.shows("from the text itself").shows("Rel;1").shows("Btn;1");
    desk.keys("m").shows("as the desktop flasher makes it");
    desk.hears(Msg::Paste("dear diary".to_owned()));
    desk.shows("not checked").shows("neither a template nor a pin map");
    desk.keys("esc").shows("from the text itself");
    desk.keys("esc").shows("No dump is open.");
    desk.hears(Msg::Paste(r#"{"device_configuration": {"rl1_pin": 26, "rl1_lv": 0, "module": "WB2S"}}"#.to_owned()));
    desk.shows("Rel_n;1");
}

#[test]
fn a_long_list_of_complaints_scrolls_to_its_end() {
    let mut desk = Desk::new(None);
    let pins: Vec<String> = (0..24).map(|pin| format!("\"{pin}\": \"Nonsense;{pin}\"")).collect();
    desk.keys("6").hears(Msg::Paste(format!("{{\"pins\": {{{}}}}}", pins.join(", "))));
    desk.shows("not usable as it stands").shows("more: ↓");
    assert!(!desk.screen().contains("pin 23: "), "{}", desk.screen());
    desk.keys("pgdn pgdn pgdn pgdn pgdn pgdn").shows("pin 23: ").shows("the end: ↑");
    desk.keys("pgup pgup pgup pgup pgup pgup").shows("not usable as it stands");
}
