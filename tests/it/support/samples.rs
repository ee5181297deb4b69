//! Where sample dumps and firmware images lie.

use std::path::{Path, PathBuf};

/// A sample dump or firmware image, such as `dumps/ds-101jl-4gang-switch-t.bin`. `None`, said loudly, where the
/// samples are not at hand: set `BKBENCH_SAMPLES` to their folder.
pub fn sample(name: &str) -> Option<PathBuf> {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("BKBENCH_SAMPLES").map_or_else(usual, PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: the sample {name} is not in {}; set BKBENCH_SAMPLES", folder.display());
    None
}
