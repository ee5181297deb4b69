//! `inspect`, `template` and `identify` against the expected results beside the samples.

use std::fs;

use serde_json::Value;

use crate::support::{bkbench, folder, sample, succeed};

#[test]
fn inspect_template_and_identify_reproduce_the_expected_results() {
    let folder = folder();
    let read =
        |path: &std::path::Path| -> Value { serde_json::from_slice(&fs::read(path).expect("a result")).expect("JSON") };
    let beside = |name: &str| {
        let folder = sample(name)?.parent()?.to_path_buf();
        let mut files: Vec<_> = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "bin"));
        Some(files)
    };
    for path in beside("dumps/lspa9-clone-first-n.bin").unwrap_or_default() {
        let expected = read(&path.with_extension("expected.json"));
        let file = path.display().to_string();
        let found = succeed(&bkbench(folder.path(), &["inspect", &file, "--json"]));
        for field in ["size", "sha256", "chip", "rotation", "active_levels", "wifi_credentials_present"] {
            assert_eq!(found[field], expected[field], "{file}: {field}");
        }
        for field in ["keys", "data_blocks", "bad_blocks", "block_magic", "user_param_key", "user_param_key_source"] {
            assert!(found["tuya"][field] == expected["tuya"][field], "{file}: tuya.{field}");
        }
        assert_eq!(found["template_web_importer"]["pins"], expected["template_web_importer"]["pins"], "{file}");
        let template =
            succeed(&bkbench(folder.path(), &["template", &file, "--mapping", "gui", "--json"]))["template"].clone();
        assert_eq!(template["pins"], expected["template"]["pins"], "{file}");
        assert_eq!(template["command"], expected["template"]["command"], "{file}");
    }
    for path in beside("firmware/OpenBK7231N_QIO_1.18.300.bin").unwrap_or_default() {
        let expected = read(&path.with_extension("expected.json"));
        let found = succeed(&bkbench(folder.path(), &["identify", &path.display().to_string(), "--json"]));
        for field in ["file", "size", "sha256", "chip", "kind", "openbeken", "libretiny"] {
            assert_eq!(found[field], expected[field], "{}: {field}", path.display());
        }
    }
}
