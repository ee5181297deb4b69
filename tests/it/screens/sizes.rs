//! Every tab in every size of window, as plain text.

use super::desk::{Desk, openbeken};

const TABS: [(&str, &str); 6] =
    [("1", "wiring"), ("2", "connect"), ("3", "dump"), ("4", "protect"), ("5", "flash"), ("6", "config")];

/// A desk in the middle of its work.
fn with_desk(test: impl FnOnce(&mut Desk)) {
    let mut desk = Desk::at_work("sim:wb2s");
    desk.keys("1 space enter enter enter enter");
    test(&mut desk);
}

#[test]
fn every_tab_at_the_home_size() {
    with_desk(|desk| {
        for (key, name) in TABS {
            desk.keys(key);
            insta::assert_snapshot!(format!("{name}_80x24"), desk.screen_of(80, 24));
        }
    });
}

#[test]
fn every_tab_with_room_to_spare() {
    with_desk(|desk| {
        for (key, name) in TABS {
            desk.keys(key);
            insta::assert_snapshot!(format!("{name}_160x45"), desk.screen_of(160, 45));
        }
    });
}

#[test]
fn every_tab_in_a_small_window() {
    with_desk(|desk| {
        for (key, name) in TABS {
            desk.keys(key);
            insta::assert_snapshot!(format!("{name}_60x16"), desk.screen_of(60, 16));
        }
    });
}

#[test]
fn a_window_that_is_too_small_says_so_on_every_tab_and_loses_nothing() {
    with_desk(|desk| {
        for (key, _) in TABS {
            desk.keys(key);
            let before = desk.screen();
            insta::assert_snapshot!("too_small_39x9", desk.screen_of(39, 9));
            assert_eq!(desk.screen(), before);
        }
    });
}

#[test]
fn no_size_of_window_is_a_fault() {
    let mut desk = Desk::at_work("sim:wb2s");
    if let Some(image) = openbeken("BK7231T") {
        desk.keys("5 o").types(&image.display().to_string()).keys("enter");
    }
    for keys in [
        "1", "2", "3", "4", "5", "6", "Q", "esc", "t", "esc", "?", "esc", "J", "esc", "o", "esc", "1 m", "esc 3 r",
        "esc t", "esc 4 u",
    ] {
        desk.keys(keys);
        for (width, height) in [(1, 1), (2, 30), (30, 2), (40, 10), (41, 12), (80, 10), (200, 60), (500, 11), (40, 200)]
        {
            desk.screen_of(width, height);
        }
    }
}

#[test]
fn before_anything_is_connected_every_tab_says_what_to_do() {
    let mut desk = Desk::new(None);
    for (key, name) in TABS {
        desk.keys(key);
        insta::assert_snapshot!(format!("{name}_at_the_start"), desk.screen());
    }
}

#[test]
fn the_header_writes_what_is_unknown_as_unknown() {
    let desk = Desk::new(None);
    let header = desk.screen().lines().next().expect("a header").to_owned();
    for words in ["chip unknown", "no link", "backup unknown", "lock unknown"] {
        assert!(header.contains(words), "{words:?} is not in {header:?}");
    }
}

#[test]
fn without_colour_and_in_ascii_the_selection_is_seen() {
    let mut desk = Desk::themed(Some("sim:wb2s"), "mono");
    desk.keys("1 space enter enter");
    let screen = desk.ascii_screen(80, 24);
    assert!(screen.is_ascii());
    assert!(screen.contains("[1 Wiring]"), "the tab is in brackets:\n{screen}");
    assert!(screen.lines().any(|line| line.contains(" > . GND (pin 25)")), "the row has a mark:\n{screen}");
    let buf = desk.buffer(80, 24);
    assert!(buf.content.iter().all(|cell| cell.fg == ratatui::style::Color::Reset), "no colour is used");
    let reversed = |cell: &&ratatui::buffer::Cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED);
    assert!(buf.content.iter().filter(reversed).count() > 20, "the row is reversed too");
    insta::assert_snapshot!("wiring_without_colour", screen);
}

/// The most bytes that the terminal gets for one page down, of forty.
fn dearest_page(desk: &mut Desk, (width, height): (u16, u16)) -> usize {
    use ratatui::Terminal;
    use ratatui::backend::CrosstermBackend;
    use std::cell::RefCell;
    use std::io::Write;
    use std::rc::Rc;

    struct Tap(Rc<RefCell<usize>>);
    impl Write for Tap {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            *self.0.borrow_mut() += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let sent = Rc::new(RefCell::new(0));
    let area = ratatui::layout::Rect::new(0, 0, width, height);
    let options = ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(area) };
    let mut terminal =
        Terminal::with_options(CrosstermBackend::new(Tap(Rc::clone(&sent))), options).expect("a terminal");
    crossterm::style::force_color_output(true);
    let mut most = 0;
    for number in 0..41 {
        let page = desk.keys("pgdn").buffer(width, height);
        *sent.borrow_mut() = 0;
        terminal.draw(|frame| *frame.buffer_mut() = page).expect("a frame");
        // The first frame is the whole window.
        most = if number == 0 { 0 } else { most.max(*sent.borrow()) };
    }
    assert!(most > 500, "pages do change");
    most
}

/// A file in which every byte changes from page to page, and letters, blanks and others take turns.
fn restless() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes = Vec::new();
    while bytes.len() < 0x10000 {
        let kind = random() % 3;
        // Four of a kind are the shortest run with a colour of its own.
        bytes.extend((0..4 + random() % 4).map(|_| match kind {
            0 => 0,
            1 => b'a' + random() % 26,
            _ => random(),
        }));
    }
    let path = folder.path().join("restless.bin");
    std::fs::write(&path, bytes).expect("a file");
    (folder, path.display().to_string())
}

#[test]
fn a_page_of_hex_is_few_bytes_on_the_wire() {
    for (size, limit) in [((80, 24), 8 * 1024), ((160, 45), 20 * 1024)] {
        let mut desk = Desk::at_work("sim:wb2s");
        desk.keys("3 esc home");
        let bytes = dearest_page(&mut desk, size);
        assert!(bytes < limit, "{bytes} bytes for one page of a dump at {size:?}");
    }
}

#[test]
fn a_page_of_the_most_restless_bytes_is_few_bytes_on_the_wire_too() {
    let (_folder, path) = restless();
    for (size, limit) in [((80, 24), 8 * 1024), ((160, 45), 20 * 1024)] {
        let mut desk = Desk::new(None);
        desk.keys("3 o").types(&path).keys("enter");
        // Hits give one byte in sixteen a colour of its own on top.
        desk.keys("/ tab").types("?7").keys("enter").shows("hit 1 of");
        desk.buffer(size.0, size.1);
        let bytes = dearest_page(&mut desk, size);
        println!("{bytes} bytes at {size:?}");
        assert!(bytes < limit, "{bytes} bytes for one page at {size:?}");
    }
}
