//! Kernel modules as far as files tell: loaded, kept out by a blacklist, or gone with the kernel they belong to.

use super::Host;

/// Folders that hold what `modprobe` obeys.
const RULES: [&str; 4] = ["etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"];
/// Folders of modules; one is a link to the other on most systems.
const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// The kernel release whose modules are missing while others are there: the kernel was updated and still runs as it was.
pub fn gone(host: &Host) -> Option<Gone> {
    let running = host.text("proc/sys/kernel/osrelease")?;
    let there: Vec<String> = MODULES.iter().flat_map(|folder| host.names(folder)).collect();
    if there.is_empty() || there.contains(&running) {
        return None;
    }
    // A folder that is no release says nothing.
    let installed = there.into_iter().rfind(|name| name.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(Gone { running, installed })
}

/// A kernel that runs without its modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The release that runs.
    pub running: String,
    /// The newest release that has modules.
    pub installed: String,
}

impl Gone {
    /// In words.
    pub fn words(&self) -> String {
        format!(
            "kernel {} runs, but only the modules of {} are installed: it was updated and not restarted",
            self.running, self.installed
        )
    }
}

/// The file that keeps a module from being loaded.
pub fn blacklisted(host: &Host, module: &str) -> Option<String> {
    let same = |name: &str| name.replace('-', "_") == module.replace('-', "_");
    let forbids = |line: &str| {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("blacklist"), Some(name), _) => same(name),
            (Some("install"), Some(name), Some(program)) => {
                same(name) && program.ends_with("/false") || same(name) && program.ends_with("/true")
            }
            _ => false,
        }
    };
    RULES.iter().find_map(|folder| {
        let files = host.names(folder).into_iter().map(|name| format!("{folder}/{name}"));
        files.into_iter().find(|file| host.text(file).is_some_and(|text| text.lines().any(forbids)))
    })
}

/// Whether the module is loaded or built in, as far as the kernel shows it.
pub fn loaded(host: &Host, module: &str) -> bool {
    host.has(&format!("sys/module/{}", module.replace('-', "_")))
}

/// Whether the running kernel has the module at all; `None` when its list cannot be read.
pub fn available(host: &Host, module: &str) -> Option<bool> {
    let running = host.text("proc/sys/kernel/osrelease")?;
    let wanted = module.replace('-', "_");
    let lists = MODULES
        .iter()
        .flat_map(|folder| ["modules.dep", "modules.builtin"].map(|name| format!("{folder}/{running}/{name}")));
    let texts: Vec<String> = lists.filter_map(|file| host.long_text(&file)).collect();
    (!texts.is_empty()).then(|| {
        let names = texts.iter().flat_map(|text| text.lines());
        let mut names = names.filter_map(|line| line.split(':').next()?.rsplit('/').next()?.split(".ko").next());
        names.any(|name| name.replace('-', "_") == wanted)
    })
}
