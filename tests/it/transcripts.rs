//! `--record` on any link, and `replay:` of what it wrote.

use std::fs;

use serde_json::Value;

use crate::support::{bkbench, code, document, folder, succeed};

/// All but the name of the link, which is that of the transcript.
fn without_link(mut document: Value) -> Value {
    document.as_object_mut().expect("fields").remove("link");
    document
}

#[test]
fn a_recorded_command_played_back_gives_the_same_on_both_wires() {
    for (link, options) in [
        ("sim:wb2s", &["--speed", "4M"][..]),
        ("sim:wb2s?wire=uart", &[]),
        ("sim:cb3s?wire=uart&faults=noise:1/3000&seed=5", &[]),
    ] {
        let folder = folder();
        let at = folder.path();
        let run = |args: &[&str]| bkbench(at, &[args, options].concat());
        let live = succeed(&run(&["--link", link, "--record", "t.txt", "info", "--json"]));
        let text = fs::read_to_string(at.join("t.txt")).expect("a transcript");
        assert!(text.starts_with("# bkbench transcript 1\n") && text.trim_end().ends_with("end"), "{link}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(at.join("t.txt")).expect("a transcript").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "it holds flash content");
        }
        let played = succeed(&run(&["--link", "replay:t.txt", "info", "--json"]));
        assert_eq!(played["link"], "replay:t.txt");
        assert_eq!(without_link(played), without_link(live), "{link}");
        assert_eq!(fs::read_to_string(at.join("t.txt")).expect("a transcript"), text, "playing writes nothing");
    }
}

#[test]
fn a_recorded_read_played_back_gives_the_same_bytes() {
    let folder = folder();
    let at = folder.path();
    let read = ["read", "--start", "0x1D0000", "--length", "8K", "--json", "-o"];
    succeed(&bkbench(at, &[&["--link", "sim:cb3s?wire=uart", "--record", "t.txt"], &read[..], &["a.bin"]].concat()));
    succeed(&bkbench(at, &[&["--link", "replay:t.txt"], &read[..], &["b.bin"]].concat()));
    assert!(fs::read(at.join("a.bin")).expect("bytes") == fs::read(at.join("b.bin")).expect("bytes"));
}

#[test]
fn another_command_deviates_and_the_first_difference_is_named() {
    let folder = folder();
    let at = folder.path();
    succeed(&bkbench(at, &["--link", "sim:wb2s?wire=uart", "--record", "t.txt", "info", "--json"]));
    let other = bkbench(at, &["--link", "replay:t.txt", "read", "--start", "0x20000", "--length", "4K", "--json"]);
    let error = &document(&other)["error"];
    assert_eq!((code(&other), error["code"].as_str()), (6, Some("E233")), "{error}");
    assert!(error["what"].as_str().expect("words").contains("t.txt, line"), "{error}");
}

#[test]
fn a_second_recording_takes_another_name_and_a_bad_place_is_named() {
    let folder = folder();
    let at = folder.path();
    for _ in 0..2 {
        succeed(&bkbench(at, &["--link", "sim:wb2s?wire=uart", "--record", "t.txt", "info", "--json"]));
    }
    assert!(at.join("t.txt.2").is_file());
    let output = bkbench(at, &["--link", "sim:wb2s", "--record", "no/t.txt", "info", "--json"]);
    assert_eq!(document(&output)["error"]["code"], "E235");
}
