//! The Flash tab in the middle of a write and behind one that ended early: what it shows stays true whatever keys are
//! pressed.

use bkbench::job::Phase;
use bkbench::session::{Event, What};
use bkbench::tui::msg::Target;

use super::desk::{Desk, openbeken, phase};

/// A desk whose image is being written; keys are pressed in the middle of it as `at` says.
fn written(link: &str, chip: &str, at: &[(u32, &'static str)]) -> Option<Desk> {
    let image = openbeken(chip)?;
    let mut desk = Desk::at_work(link);
    desk.keys("5 o").types(&image.display().to_string()).keys("enter").shows("hash …");
    for (start, keys) in at.iter().copied() {
        desk.at(at_sector(start), keys);
    }
    desk.keys("f");
    agree(&mut desk);
    Some(desk)
}

fn at_sector(start: u32) -> impl Fn(&Event) -> bool {
    move |event| matches!(&event.what, What::Sectors { span, .. } if span.start >= start)
}

/// Types the four characters that the question asks for.
fn agree(desk: &mut Desk) {
    let screen = desk.screen();
    let place = screen.find("To agree, type ").expect("the question") + "To agree, type ".len();
    desk.types(&screen[place..place + 4]).keys("enter");
}

#[test]
fn a_refused_key_in_the_middle_of_a_write_leaves_the_sector_map_and_the_end_screen() {
    // Keys that ask for a job and are refused, and the next step.
    for (keys, close) in [("p", "esc"), ("S", "esc"), ("enter", "")] {
        let at = [(0x4_0000, keys), (0x6_0000, close), (0x8_0000, "")];
        let Some(desk) = written("sim:wb2s", "BK7231T", &at) else { return };
        let shots = desk.shots();
        let shot = shots.last().expect("a screen in the middle");
        assert!(shot.contains("at 0x08") && shot.contains("OpenBK7231T_QIO"), "{keys}:\n{shot}");
        desk.shows("✔ written").shows("✔ verified");
    }
}

#[test]
fn a_refused_key_behind_a_write_leaves_what_each_sector_holds() {
    let Some(mut desk) = written("sim:wb2s", "BK7231T", &[(0x4_0000, "esc x")]) else { return };
    desk.shows("Stopped as you asked").shows("verified").shows("old");
    // A backup runs, and a plan is asked for meanwhile.
    desk.at(phase(Phase::SecondPass), "p");
    desk.keys("b").keys("esc").shows("Stopped as you asked").shows("verified").shows("old");
}

#[test]
fn the_image_row_shows_what_is_being_written_when_another_image_is_chosen_meanwhile() {
    let (Some(mine), Some(other)) = (openbeken("BK7231T"), openbeken("BK7231N")) else { return };
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("5 o").types(&mine.display().to_string()).keys("enter").shows("hash …");
    desk.reads(Target::Image, &other).at(at_sector(0x6_0000), "loaded").keys("f");
    agree(&mut desk);
    let shots = desk.shots();
    assert!(shots[0].contains("OpenBK7231T_QIO") && !shots[0].contains("OpenBK7231N"), "{}", shots[0]);
    desk.shows("✔ written");
}

#[test]
fn the_progress_line_comes_back_after_a_notice() {
    // `y` on nothing, such as the missing details of a plan, is a notice; it stands for a moment.
    let Some(desk) = written("sim:wb2s", "BK7231T", &[(0x1_0000, "i"), (0x1_1000, ""), (0xF_0000, "")]) else { return };
    let shots = desk.shots();
    assert!(shots[1].contains("there is no plan yet"), "{}", shots[1]);
    let last = shots[2].lines().last().expect("the status line");
    assert!(last.contains("write · write") && !last.contains("no plan"), "{last}");
}

#[test]
fn a_write_stopped_in_its_boot_loader_says_first_what_must_not_be_done() {
    let Some(desk) = written("sim:wb2s", "BK7231T", &[(0x3000, "esc x")]) else { return };
    desk.shows("Stopped as you asked").shows("keep the module powered").shows("only SPI");
    let screen = desk.screen();
    assert!(!screen.contains("when you like") && !screen.contains("`bkbench"), "{screen}");
    let next = desk.screen_of(80, 24);
    assert!(next.find("keep the module powered") < next.find("go on with p"), "{next}");
}
