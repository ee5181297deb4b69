//! The sample dumps and firmware images for tests: real files with expected results, not part of the project.
//! `BKBENCH_SAMPLES` names their folder, else `../shared`; where they are absent, tests say so and pass.

use std::path::PathBuf;

use serde_json::Value;

pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
    pub expected: Value,
}

/// A folder of the samples.
pub fn folder(kind: &str) -> PathBuf {
    let root = std::env::var_os("BKBENCH_SAMPLES").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    root.join(kind)
}

fn load(kind: &str) -> Vec<Sample> {
    let folder = folder(kind);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no samples in {}; set BKBENCH_SAMPLES", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    let sample = |path: PathBuf| Sample {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        bytes: std::fs::read(&path).unwrap(),
        expected: serde_json::from_slice(&std::fs::read(path.with_extension("expected.json")).unwrap()).unwrap(),
    };
    paths.into_iter().map(sample).collect()
}

/// How many cases of a property are tried: many with `BKBENCH_LONG=1`.
pub fn cases(usual: usize, many: usize) -> usize {
    if std::env::var_os("BKBENCH_LONG").is_some() { many } else { usual }
}

pub fn dumps() -> Vec<Sample> {
    load("dumps")
}

pub fn firmware() -> Vec<Sample> {
    load("firmware")
}

pub fn all() -> Vec<Sample> {
    dumps().into_iter().chain(firmware()).collect()
}

pub fn dump(name: &str) -> Option<Sample> {
    dumps().into_iter().find(|sample| sample.name == name)
}

pub fn firmware_named(name: &str) -> Option<Sample> {
    firmware().into_iter().find(|sample| sample.name.starts_with(name))
}
