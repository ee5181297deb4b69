//! The Connect tab on computers that are not at hand: what uses a port, and what is missing.

use bkbench::link::host::endpoints;
use bkbench::tui::msg::Done;

use super::desk::Desk;
use crate::support::hosts::computer;

#[test]
fn connect_names_owners_adapters_and_remedies() {
    for name in ["pi4-bookworm", "pi5-trixie", "debian-board"] {
        let mut desk = Desk::new(None);
        desk.keys("2");
        let links = endpoints(&computer(name).host, 22);
        let last = links.len() - 1;
        desk.hands(Done::Links(links));
        insta::assert_snapshot!(format!("{name}_80x24"), desk.screen_of(80, 24));
        insta::assert_snapshot!(format!("{name}_160x45"), desk.screen_of(160, 45));
        for _ in 0..last {
            desk.keys("down");
        }
        insta::assert_snapshot!(format!("{name}_last_80x24"), desk.screen_of(80, 24));
    }
}
