//! What holds for every key table.

use std::collections::BTreeSet;

use bkbench::tui::keys::KeyLine;
use bkbench::tui::tabs;

use super::desk::Desk;

/// Keys that a tab takes before the program does, on purpose.
const SHADOWED: [(&str, &str); 2] = [("Dump", "Esc"), ("Config", "Esc")];

fn each(lines: &[KeyLine]) -> Vec<String> {
    lines.iter().flat_map(|line| line.keys.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_action_has_a_key_without_a_modifier_and_a_sentence_of_help() {
    for tab in tabs::all() {
        for line in tab.keys() {
            assert!(line.keys.split(' ').any(|key| !key.contains('-')), "{}: {}", tab.title(), line.name);
            assert!(line.help.ends_with('.') && line.help.len() > 8, "{}: {:?}", tab.title(), line.help);
            assert!(line.name.chars().count() <= 14, "{}: {:?} is long for a hint", tab.title(), line.name);
        }
    }
}

#[test]
fn no_key_means_two_things_in_one_place() {
    let everywhere = each(&bkbench::tui::global_keys());
    for tab in tabs::all() {
        let own = each(&tab.keys());
        let mut seen = BTreeSet::new();
        for key in &own {
            assert!(seen.insert(key), "{}: {key} is bound twice", tab.title());
            let on_purpose = SHADOWED.contains(&(tab.title(), key));
            assert!(on_purpose || !everywhere.contains(key), "{}: {key} hides a key of the program", tab.title());
        }
    }
}

#[test]
fn every_hint_is_a_row_of_the_help() {
    let mut desk = Desk::at_work("sim:wb2s");
    for number in ["1", "2", "3", "4", "5", "6"] {
        desk.keys(number);
        let hints = desk.hints();
        let help: Vec<String> = desk.all_keys().iter().map(|line| line.name.to_owned()).collect();
        assert!(!hints.is_empty());
        for hint in hints {
            assert!(help.contains(&hint.name.to_owned()), "{} is in no key table", hint.name);
        }
    }
}

#[test]
fn help_shows_the_keys_of_this_place_first_and_can_be_filtered() {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("4 ?").shows("Help: Protect").shows("Take all write protection away");
    insta::assert_snapshot!("help", desk.screen());
    desk.keys("/").types("lock").shows("Protect as the factory firmware does");
    assert!(!desk.screen().contains("Help, searched"));
    assert!(!desk.screen().contains("To the next tab."));
    desk.keys("esc esc").shows("Status registers");
}
