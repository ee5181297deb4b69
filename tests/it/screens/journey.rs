//! The main job, key by key.

use bkbench::job::{BYPASS_PHRASE, JobSpec, Phase, ShelfHandle};
use bkbench::link::sim::{Module, Setup};
use bkbench::session::{Event, LinkState, What};

use super::desk::{Desk, PretendedShelf, openbeken, phase};
use crate::support::folder;

/// A desk with the plan of an OpenBeken image on the screen; `None` without the sample.
fn planned(link: &str, chip: &str) -> Option<Desk> {
    let image = openbeken(chip)?;
    let mut desk = Desk::at_work(link);
    desk.keys("5 o").types(&image.display().to_string()).keys("enter");
    desk.shows("hash …");
    Some(desk)
}

/// The four characters that the question asks for.
fn asked(desk: &Desk) -> String {
    let screen = desk.screen();
    let at = screen.find("To agree, type ").expect("the question") + "To agree, type ".len();
    screen[at..at + 4].to_owned()
}

fn wrote(desk: &Desk) -> bool {
    desk.started().iter().any(|spec| matches!(spec, JobSpec::Write { .. }))
}

#[test]
fn from_six_wires_to_a_verified_image() {
    let Some(image) = openbeken("BK7231T") else { return };
    let mut desk = Desk::new(None);
    desk.keys("1").shows("Tick the two lines above first");
    desk.keys("down down down").shows("▶ · everything is 3.3 V");
    desk.keys("up space enter enter").shows("GND: GND (pin 25) → GND");
    desk.keys("enter enter enter enter enter enter enter").shows("every wire ticked by eye");

    desk.keys("2").shows("▶ sim:wb2s");
    desk.keys("enter").shows("BK7231T ✔").shows("none of this chip").shows("locked ✘");
    desk.keys("b").shows("proven, 18:02").shows("backup ✔ 18:02");

    desk.keys("3").shows("✔ proven").shows("00000000  ");
    desk.keys("/").shows("text pin");
    desk.keys("enter").shows("hit 1 of 8  \"pin\"").shows("The text around this hit").shows("rl1_pin:26");
    desk.keys("N").shows("hit 8 of 8");
    desk.keys("n n").shows("hit 2 of 8");

    desk.keys("4").shows("locked: 0x000000–0x1EFFFF");
    desk.keys("u").shows("after  SR1 00 SR2 00   nothing protected");
    desk.keys("y").shows("open ✔").shows("before  SR1 04 SR2 40").shows("after   ✔ SR1 00 SR2 00");

    desk.keys("5").shows("▶ · o  choose the image");
    desk.keys("o").types(&image.display().to_string()).keys("enter").shows("goes to  0x000000–0x0FFFFF");
    desk.keys("f");
    let hash = asked(&desk);
    desk.types(&hash).keys("enter");
    desk.shows("✔ written").shows("✔ verified").shows("· boots").shows("not checked").shows("OpenBK7231T_XXXXXXXX");
    desk.keys("S").shows("no link").shows("●●●●●●●").shows("started; whether the firmware runs was not checked");
}

#[test]
fn the_picture_of_a_plan_and_of_its_question() {
    let Some(mut desk) = planned("sim:wb2s", "BK7231T") else { return };
    insta::assert_snapshot!("flash_planned", desk.screen());
    desk.keys("f");
    insta::assert_snapshot!("flash_asks", desk.screen());
}

#[test]
fn the_picture_of_a_write_and_of_its_end() {
    let Some(mut desk) = planned("sim:wb2s", "BK7231T") else { return };
    desk.at(|event| matches!(&event.what, What::Sectors { span, .. } if span.start >= 0x80000), "");
    desk.keys("f");
    let hash = asked(&desk);
    desk.types(&hash).keys("enter");
    insta::assert_snapshot!("flash_writing", desk.shots().first().expect("a screen in the middle"));
    insta::assert_snapshot!("flash_ended", desk.screen());
    insta::assert_snapshot!("flash_ended_60x16", desk.screen_of(60, 16));
}

#[test]
fn enter_alone_never_starts_a_write() {
    let Some(mut desk) = planned("sim:wb2s", "BK7231T") else { return };
    for _ in 0..20 {
        desk.keys("enter");
    }
    desk.shows("That was something else");
    assert!(!wrote(&desk));
    desk.types("zzzz").keys("enter").shows("That was something else");
    assert!(!wrote(&desk));
    desk.keys("esc").shows("f flash…");
}

#[test]
fn over_uart_the_image_leaves_the_boot_loader_alone() {
    let Some(mut desk) = planned("sim:wb2s?wire=uart", "BK7231T") else { return };
    desk.shows("goes to  0x011000–0x0FFFFF").shows("not readable here");
    desk.keys("f");
    let hash = asked(&desk);
    desk.types(&hash).keys("enter").shows("✔ verified");
}

#[test]
fn a_write_whose_cable_is_pulled_says_what_to_do_and_goes_on_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let chip = folder.path().join("chip.bin");
    // Each connection to this chip is lost after so many changes of its flash.
    let link = format!("sim:cb3s?wire=uart&chip={}&faults=unplug:1500", chip.display());
    let Some(mut desk) = planned(&link, "BK7231N") else { return };
    let left = |wanted: u64| move |event: &Event| matches!(event.what, What::Link(LinkState::Away { left, .. }) if left.as_secs() == wanted);
    desk.at(left(58), "").at(left(57), "2");
    desk.keys("f");
    let hash = asked(&desk);
    desk.types(&hash).keys("enter");
    let shots = desk.shots();
    assert_eq!(shots.len(), 2);
    for wanted in [
        "link away, 58 s left",
        "cable was pulled",
        "Put the cable back: the job goes on by itself. 58 s left; Esc",
        "write waits for its cable",
    ] {
        assert!(shots[0].contains(wanted), "{wanted:?}:\n{}", shots[0]);
    }
    for wanted in ["The link has gone", "Put the cable back", "57 s left; Esc"] {
        assert!(shots[1].contains(wanted), "{wanted:?}:\n{}", shots[1]);
    }
    desk.keys("5").shows("✔ written").shows("✔ verified");
}

#[test]
fn an_image_for_another_chip_is_refused_with_the_rule() {
    let Some(image) = openbeken("BK7231N") else { return };
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("5 o").types(&image.display().to_string()).keys("enter");
    desk.shows("✘ E4").shows("BK7231N").shows("cause").shows("remedy");
    desk.keys("esc").shows("✘ E4");
    desk.keys("f").shows("make the plan first");
    assert!(!wrote(&desk));
}

#[test]
fn without_a_backup_the_tab_offers_one_and_the_phrase_is_asked_for() {
    let Some(image) = openbeken("BK7231T") else { return };
    let mut desk = Desk::new(Some("sim:wb2s"));
    desk.keys("5 o").types(&image.display().to_string()).keys("enter").shows("none of this chip: b makes one");
    desk.keys("X").shows(BYPASS_PHRASE);
    desk.types("i can lose this firmware").keys("enter").shows("That was something else");
    desk.types(BYPASS_PHRASE).keys("enter p").shows("NONE: the phrase was typed").shows("hash …");
}

#[test]
fn a_stopped_write_names_what_every_sector_holds() {
    let Some(mut desk) = planned("sim:wb2s", "BK7231T") else { return };
    desk.at(|event| matches!(&event.what, What::Sectors { span, .. } if span.start >= 0x40000), "esc x");
    desk.keys("f");
    let hash = asked(&desk);
    desk.types(&hash).keys("enter");
    desk.shows("Stopped as you asked").shows("The chip now: ").shows("sectors  ");
    insta::assert_snapshot!("flash_stopped", desk.screen());
    desk.keys("p").shows("hash …");
}

#[test]
fn a_second_job_is_refused_by_name() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    desk.at(phase(Phase::SecondPass), "4 r");
    desk.keys("2 b").shows("E601").shows("read protection was not started: back up is running");
}

#[test]
fn a_silent_chip_is_called_silent_and_no_frozen_bar_is_shown() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    desk.at(phase(Phase::SecondPass), "silence");
    desk.keys("2 b");
    assert!(desk.shots()[0].contains("waiting for the chip (3 s)"), "{}", desk.shots()[0]);
    assert!(!desk.screen().contains("waiting for the chip"), "the next word ends the silence");
}

#[test]
fn leaving_while_nothing_runs_asks_nothing() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    assert!(desk.keys("q").left());
}

#[test]
fn leaving_in_the_middle_of_a_job_asks() {
    for key in ["q", "ctrl-c"] {
        let mut desk = Desk::new(Some("sim:wb2s"));
        desk.at(phase(Phase::SecondPass), if key == "q" { "q" } else { "ctrl-c" });
        desk.keys("2 b");
        assert!(desk.shots()[0].contains("s stay   x stop at the next safe point and leave"), "{}", desk.shots()[0]);
        assert!(!desk.left(), "the question alone does nothing");
    }
}

#[test]
fn staying_lets_the_job_go_on() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    desk.at(phase(Phase::SecondPass), "q s");
    desk.keys("2 b").shows("proven, 18:02");
    assert!(!desk.left());
}

#[test]
fn stopping_ends_the_job_and_then_the_program() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    desk.at(phase(Phase::SecondPass), "q x");
    desk.keys("2 b");
    assert!(desk.shots()[0].contains("leaving as soon as the chip is at a safe point"), "{}", desk.shots()[0]);
    assert!(desk.left());
    assert!(!desk.screen().contains("proven, 18:02"), "the backup did not come to its end");
}

#[test]
fn a_wire_that_is_open_is_named_with_cause_and_remedy() {
    let desk = Desk::new(Some("sim:wb2s?wires=so-open"));
    desk.shows("✘ E310 connect").shows("cause").shows("SO").shows("remedy").shows("no link");
    insta::assert_snapshot!("problem", desk.screen());
}

#[test]
fn a_link_is_typed_and_a_wrong_one_is_explained() {
    let mut desk = Desk::new(None);
    desk.keys("2 t").types("nonsense").keys("enter").shows("E201");
    desk.keys("esc t").types("sim:cb3s").keys("enter").shows("BK7231N ✔");
}

#[test]
fn text_fields_keep_their_keys() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 /").types("q1?l").shows("text q1?l");
    assert!(!desk.left());
    desk.keys("esc g").types("1EE000").keys("enter").shows("at 0x1EE000");
}

#[test]
fn hex_is_searched_with_wildcards_and_mistakes_are_explained() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("3 esc home / tab").types("70 ?? 6E").keys("enter").shows("hit 1 of");
    desk.keys("/").types("zz").keys("enter").shows("\"zz\" is not a byte in hex");
    desk.keys("esc / tab tab tab").types("nowhere at all").keys("enter").shows("no hit");
}

#[test]
fn the_log_is_shown_and_hidden() {
    let mut desk = Desk::new(Some("sim:wb2s"));
    assert!(!desk.screen().contains("a proven backup takes"));
    desk.keys("l").shows("a proven backup takes");
    desk.keys("l");
    assert!(!desk.screen().contains("a proven backup takes"));
}

#[test]
fn the_backup_of_this_chip_is_put_back_with_one_key() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("2 b 5 R").shows("nothing to do");
}

#[test]
fn a_lost_terminal_does_not_stop_a_job_from_the_screen() {
    use bkbench::session::{Event, JobId, What};
    use bkbench::tui::effect::Effect;
    use bkbench::tui::msg::Msg;
    use bkbench::tui::theme::Theme;
    use bkbench::tui::{App, Options};
    let options = Options {
        link: None,
        speed: None,
        settings: bkbench::store::Settings::default(),
        theme: Theme::load("dark").expect("a theme"),
        folder: "/".into(),
        ascii: false,
        shelf: ShelfHandle::new(PretendedShelf::default()),
        structures: Default::default(),
    };
    let (mut app, _) = App::new(options);
    let what = What::Started { id: JobId(7), title: "write", changes_chip: true, backup: None };
    app.update(Msg::Session(Box::new(Event { seq: 1, at: std::time::Duration::ZERO, what })));
    assert!(app.shared.session.busy());
    let effects = app.update(Msg::Terminate);
    assert!(matches!(effects.as_slice(), [Effect::Quit]), "{effects:?}");
}

#[test]
fn an_image_that_is_there_already_needs_neither_backup_nor_plan() {
    let Some(image) = openbeken("BK7231T") else { return };
    let folder = folder();
    let mut flash = Module::new(Setup::new("wb2s").expect("a module")).expect("a module").flash();
    let content = std::fs::read(&image).expect("the image");
    flash[..content.len()].copy_from_slice(&content);
    let chip = folder.path().join("flashed.bin");
    std::fs::write(&chip, flash).expect("written");
    let pick = |desk: &mut Desk| {
        desk.keys("5 o").types(&image.display().to_string()).keys("enter").shows("none of this chip");
        desk.keys("p");
    };
    let mut desk = Desk::new(Some(&format!("sim:wb2s?image={}", chip.display())));
    pick(&mut desk);
    desk.shows("already there; nothing was written, and no backup was made").shows("not checked: the rest of the chip");
    desk.keys("i").shows("SHA-256");
    assert!(!desk.started().iter().any(|spec| matches!(spec, JobSpec::Write { .. } | JobSpec::Backup(_))));
    // A chip that holds something else is backed up before its plan is made.
    let mut desk = Desk::new(Some("sim:wb2s"));
    pick(&mut desk);
    desk.shows("goes to  0x000000").shows("asks for it and writes");
}
