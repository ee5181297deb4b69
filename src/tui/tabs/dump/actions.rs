//! What the keys of the Dump tab do.

use crate::tui::keys::{Bind, bind};

/// What a key does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Search,
    Next,
    Previous,
    Hits,
    Goto,
    Text,
    Inspect,
    Strings,
    Store,
    Code,
    Open,
    Backup,
    Regions,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Top,
    End,
    Facts,
    Clear,
}

/// The key table.
pub const KEYS: &[Bind<Action>] = &[
    bind("/", "search", "Search text, hex, UTF-16 or a regular expression; starts with pin.", Action::Search),
    bind("n", "next", "Go to the next hit.", Action::Next),
    bind("N p", "previous", "Go to the previous hit.", Action::Previous),
    bind("f", "hits…", "List every hit of the search, and go to one.", Action::Hits),
    bind("t enter", "whole text", "Show the whole text around this place.", Action::Text),
    bind("g :", "go to", "Go to an address, c:code address, +100, or a region by name.", Action::Goto),
    bind("r", "regions…", "List what is where in this file, and go there.", Action::Regions),
    bind("i", "inspector", "Show what the bytes here are as numbers and times.", Action::Inspect),
    bind("s", "strings…", "List the texts in what is shown; typing filters.", Action::Strings),
    bind("x", "store", "See the Tuya store decrypted in its place, and back.", Action::Store),
    bind("c", "code", "See the code decrypted, without CRCs, at code addresses, and back.", Action::Code),
    bind("I", "what it is", "What the content of this file says about it.", Action::Facts),
    bind("o", "open…", "Open a file: any dump or image.", Action::Open),
    bind("b", "backup", "Show the backup of the connected chip.", Action::Backup),
    bind("up k", "up", "One row up.", Action::Up),
    bind("down j", "down", "One row down.", Action::Down),
    bind("left", "left", "One byte back.", Action::Left),
    bind("right", "right", "One byte on.", Action::Right),
    bind("pgup", "page up", "One page up.", Action::PageUp),
    bind("pgdn space", "page down", "One page down.", Action::PageDown),
    bind("home", "start", "To the first byte.", Action::Top),
    bind("end G", "end", "To the last byte.", Action::End),
    bind("esc", "clear", "Forget the hits.", Action::Clear),
];
