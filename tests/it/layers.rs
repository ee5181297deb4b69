//! The layer table of the crate docs as a test: a module imports only what is below it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Who may import whom. A folder that is not in here fails the test, so that the table stays complete.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("problem", &[]),
    ("disk", &[]),
    ("codec", &["units", "problem"]),
    ("image", &["units", "problem"]),
    ("chip", &["units", "problem", "codec", "image", "link"]),
    ("link", &["units", "problem", "disk"]),
    ("store", &["units", "problem", "disk", "image"]),
    ("device", &["units", "problem", "codec", "image", "chip", "link"]),
    ("job", &["units", "problem", "codec", "image", "chip", "link", "device"]),
    ("session", &["units", "problem", "codec", "image", "chip", "link", "device", "job"]),
    ("archive", &["units", "problem", "codec", "image", "store", "device", "job"]),
    ("outlive", &["units", "problem", "link", "store", "device", "job", "session"]),
    (
        "cli",
        &[
            "outlive", "archive", "units", "problem", "codec", "image", "chip", "link", "store", "device", "job",
            "session",
        ],
    ),
    (
        "tui",
        &[
            "outlive", "archive", "units", "problem", "codec", "image", "chip", "link", "store", "device", "job",
            "session", "disk",
        ],
    ),
    ("lib", &[]),
    ("main", &["cli", "tui", "problem"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("src is readable").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The first path segments behind `crate::` or `bkbench::` in code; documentation and other comments do not count.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        for marker in ["crate::", "bkbench::"] {
            for rest in code.split(marker).skip(1) {
                match rest.strip_prefix('{') {
                    Some(list) => found.extend(list.split([',', '}']).map(first_word).filter(|word| !word.is_empty())),
                    None => found.push(first_word(rest)),
                }
            }
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn every_module_imports_only_what_is_below_it() {
    let src = root().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 50, "only {} sources found", files.len());

    let mut wrong = Vec::new();
    for file in files {
        let place = file.strip_prefix(&src).expect("inside src");
        let module = place.iter().next().and_then(|part| part.to_str()).expect("a name").trim_end_matches(".rs");
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{} belongs to no layer", place.display()));
            continue;
        };
        let text = fs::read_to_string(&file).expect("a source");
        for import in imports(&text) {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", place.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_simulator_shares_no_code_with_what_it_tests() {
    let mut files = Vec::new();
    sources(&root().join("src/link/sim"), &mut files);
    assert!(files.len() > 5);
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        for import in imports(&text) {
            assert!(
                ["link", "units", "problem", "disk"].contains(&import.as_str()),
                "{} imports {import}",
                file.display()
            );
        }
    }
}

#[test]
fn read_jobs_cannot_name_a_write() {
    for job in ["backup.rs", "survey.rs", "verify.rs", "identify.rs"] {
        let text = fs::read_to_string(root().join("src/job").join(job)).expect("a job");
        assert!(!text.contains("WriteFlash"), "{job} holds a device that can write");
    }
}

#[test]
fn every_error_code_has_one_meaning_and_one_place() {
    use std::collections::BTreeMap;
    let src = root().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.to_string_lossy().ends_with("tests.rs")) {
        let text = fs::read_to_string(file).expect("a source");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in code.split('"').filter(|word| is_code(word)) {
            let place = file.strip_prefix(&src).expect("inside src").display().to_string();
            let known = places.entry(word.to_owned()).or_default();
            if !known.contains(&place) {
                known.push(place);
            }
        }
    }
    assert!(places.len() > 60, "only {} codes found", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(twice.is_empty(), "codes used in two places: {twice:?}");
}

fn is_code(word: &str) -> bool {
    word.len() == 4 && word.starts_with('E') && word[1..].chars().all(|c| c.is_ascii_digit())
}
