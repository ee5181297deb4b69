//! The computers of `tests/hosts`, unpacked into folders that stand for `/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use bkbench::link::host::Host;
use tempfile::TempDir;

use super::{folder, root};

/// A computer, with the folder that holds it.
pub struct Computer {
    pub host: Host,
    /// Removed when the computer is dropped.
    pub folder: TempDir,
}

/// The computer of this name.
pub fn computer(name: &str) -> Computer {
    changed(name, |tree| tree)
}

/// The computer of this name after a change of its `tree.txt`.
pub fn changed(name: &str, change: impl Fn(String) -> String) -> Computer {
    let tree = fs::read_to_string(root().join("tests/hosts").join(name).join("tree.txt")).expect("a tree");
    unpacked(&change(tree), name)
}

/// A computer of these lines, with the device nodes of the one of this name.
pub fn unpacked(tree: &str, name: &str) -> Computer {
    let source = root().join("tests/hosts").join(name);
    let place = folder();
    unpack(tree, place.path());
    fs::copy(source.join("nodes.toml"), place.path().join("nodes.toml")).expect("nodes");
    Computer { host: Host::copied(place.path()), folder: place }
}

fn unpack(tree: &str, place: &Path) {
    for line in tree.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let put = |path: &str| {
            let path = place.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            path
        };
        if let Some((path, target)) = line.split_once(" -> ") {
            // A path that is there already came from a broken tree.
            let _ = symlink(target, put(path));
        } else if let Some((path, target)) = line.split_once(" => ") {
            let _ = symlink(place.join(target), put(path));
        } else if let Some((path, text)) = line.split_once(": ") {
            fs::write(put(path), plain(text)).expect("a file");
        } else {
            fs::create_dir_all(place.join(line.trim_end_matches('/'))).expect("a folder");
        }
    }
}

/// Text with `\0`, `\n`, `\t`, `\\` and `\xNN` as bytes.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next().expect("something behind the backslash") {
                '0' => bytes.push(0),
                'n' => bytes.push(b'\n'),
                't' => bytes.push(b'\t'),
                'x' => {
                    let digits: String = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
                }
                other => bytes.push(other as u8),
            },
            other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// A computer put together from files of `tests/hosts`, with device nodes and GPIO lines as `nodes.toml` has them.
pub fn composed(parts: &[&str], nodes: &[&str], gpio: &str) -> Computer {
    let read = |part: &&str| fs::read_to_string(root().join(format!("tests/hosts/{part}.txt"))).expect("a part");
    let tree: Vec<String> = parts.iter().map(read).collect();
    let place = folder();
    unpack(&tree.join("\n"), place.path());
    let list: Vec<String> = nodes.iter().map(|node| format!("\"{node}\"")).collect();
    fs::write(place.path().join("nodes.toml"), format!("nodes = [{}]\n{gpio}", list.join(", "))).expect("nodes");
    Computer { host: Host::copied(place.path()), folder: place }
}
