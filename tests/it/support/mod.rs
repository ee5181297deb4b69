//! What several tests need.

pub mod bench;

use std::path::{Path, PathBuf};

/// The root of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A sample dump or firmware image, such as `dumps/ds-101jl-4gang-switch-t.bin`. `None`, said loudly, where the
/// samples are not at hand: set `BKBENCH_SAMPLES` to their folder.
pub fn sample(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("BKBENCH_SAMPLES").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("SKIPPED: the sample {name} is not in {}; set BKBENCH_SAMPLES", folder.display());
    None
}
