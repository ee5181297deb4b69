//! Key tables. Each place on the screen has one; dispatch, the line of hints and the help all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// One row of a key table.
#[derive(Clone, Copy, Debug)]
pub struct Bind<A: 'static> {
    /// The keys, with a blank between them: `enter`, `up k`, `ctrl-c`, `space`, or the character itself.
    pub keys: &'static str,
    /// One or two words for the line of hints.
    pub name: &'static str,
    /// One sentence for the help.
    pub help: &'static str,
    /// What it does.
    pub action: A,
}

/// Builds a row.
pub const fn bind<A>(keys: &'static str, name: &'static str, help: &'static str, action: A) -> Bind<A> {
    Bind { keys, name, help, action }
}

/// A row as help and hints show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The keys as people read them.
    pub keys: String,
    /// Short name.
    pub name: &'static str,
    /// Sentence.
    pub help: &'static str,
}

/// The action of a key press.
pub fn find<A: Copy>(table: &[Bind<A>], key: &KeyEvent) -> Option<A> {
    table.iter().find(|row| row.keys.split(' ').any(|name| is(key, name))).map(|row| row.action)
}

/// Every row, for the help.
pub fn lines<A>(table: &[Bind<A>]) -> Vec<KeyLine> {
    table.iter().map(|row| line(row, usize::MAX)).collect()
}

/// The rows of these actions in this order, each with its first key only: for the line of hints.
pub fn hints<A: Copy + PartialEq>(table: &[Bind<A>], actions: &[A]) -> Vec<KeyLine> {
    actions.iter().filter_map(|action| table.iter().find(|row| row.action == *action)).map(|row| line(row, 1)).collect()
}

fn line<A>(row: &Bind<A>, most: usize) -> KeyLine {
    let keys: Vec<&str> = row.keys.split(' ').take(most).map(label).collect();
    KeyLine { keys: keys.join(" "), name: row.name, help: row.help }
}

fn label(name: &str) -> &str {
    match name {
        "enter" => "Enter",
        "esc" => "Esc",
        "tab" => "Tab",
        "shift-tab" => "Shift-Tab",
        "space" => "Space",
        "up" => "↑",
        "down" => "↓",
        "left" => "←",
        "right" => "→",
        "pgup" => "PgUp",
        "pgdn" => "PgDn",
        "home" => "Home",
        "end" => "End",
        "backspace" => "Backspace",
        "ctrl-c" => "Ctrl-C",
        "ctrl-z" => "Ctrl-Z",
        other => other,
    }
}

/// Whether a key press is the key of this name.
pub fn is(key: &KeyEvent, name: &str) -> bool {
    if key.kind == KeyEventKind::Release {
        return false;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if let Some(letter) = name.strip_prefix("ctrl-") {
        return control && matches!(key.code, KeyCode::Char(c) if letter.chars().eq([c]));
    }
    if control || key.modifiers.contains(KeyModifiers::ALT) {
        return false;
    }
    match name {
        "enter" => key.code == KeyCode::Enter,
        "esc" => key.code == KeyCode::Esc,
        "tab" => key.code == KeyCode::Tab && !key.modifiers.contains(KeyModifiers::SHIFT),
        "shift-tab" => key.code == KeyCode::BackTab,
        "space" => key.code == KeyCode::Char(' '),
        "up" => key.code == KeyCode::Up,
        "down" => key.code == KeyCode::Down,
        "left" => key.code == KeyCode::Left,
        "right" => key.code == KeyCode::Right,
        "pgup" => key.code == KeyCode::PageUp,
        "pgdn" => key.code == KeyCode::PageDown,
        "home" => key.code == KeyCode::Home,
        "end" => key.code == KeyCode::End,
        "backspace" => key.code == KeyCode::Backspace,
        _ => matches!(key.code, KeyCode::Char(c) if name.chars().eq([c])),
    }
}

/// The key press of this name, for tests and for the mouse wheel.
pub fn press(name: &str) -> KeyEvent {
    if let Some(letter) = name.strip_prefix("ctrl-").and_then(|rest| rest.chars().next()) {
        return KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    }
    let code = match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "shift-tab" => KeyCode::BackTab,
        "space" => KeyCode::Char(' '),
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "backspace" => KeyCode::Backspace,
        other => other.chars().next().map_or(KeyCode::Null, KeyCode::Char),
    };
    KeyEvent::new(code, KeyModifiers::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Bind<u8>] = &[
        bind("up k", "up", "One row up.", 1),
        bind("enter", "open", "Open it.", 2),
        bind("G", "end", "To the end.", 3),
    ];

    #[test]
    fn each_key_of_a_row_finds_its_action() {
        for (name, action) in [("up", 1), ("k", 1), ("enter", 2), ("G", 3)] {
            assert_eq!(find(TABLE, &press(name)), Some(action), "{name}");
        }
        assert_eq!(find(TABLE, &press("g")), None, "case matters");
        assert_eq!(find(TABLE, &press("ctrl-k")), None, "Ctrl makes another key of it");
    }

    #[test]
    fn hints_keep_the_order_asked_for_and_show_the_first_key() {
        let shown: Vec<String> =
            hints(TABLE, &[2, 1]).into_iter().map(|hint| format!("{} {}", hint.keys, hint.name)).collect();
        assert_eq!(shown, ["Enter open", "↑ up"]);
        assert_eq!(lines(TABLE)[0].keys, "↑ k");
    }
}
