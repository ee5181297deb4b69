//! What the host says about a device node, without opening it.

use std::path::Path;

use super::contract::LinkError;

/// What keeps this user from a device node; `None` when nothing seems to. Never opens the node: opening a serial
/// port moves its modem lines.
pub(super) fn access(node: &Path, group: &'static str) -> Option<LinkError> {
    let name = node.display().to_string();
    let Ok(meta) = std::fs::metadata(node) else {
        return Some(LinkError::NotFound { name, remedy: "the node went away; look again".to_owned() });
    };
    writable(&meta).then_some(()).map_or(Some(LinkError::Denied { name, group }), |()| None)
}

#[cfg(target_os = "linux")]
fn writable(meta: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = |key: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let user = ids("Uid:").get(1).copied().unwrap_or(u32::MAX);
    let mut groups = ids("Groups:");
    groups.extend(ids("Gid:"));
    let mode = meta.mode();
    user == 0
        || (meta.uid() == user && mode & 0o200 != 0)
        || (groups.contains(&meta.gid()) && mode & 0o020 != 0)
        || mode & 0o002 != 0
}

#[cfg(not(target_os = "linux"))]
fn writable(_: &std::fs::Metadata) -> bool {
    true
}
