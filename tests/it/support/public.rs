//! The public Python tools: other people's view of the protocol. They come from PyPI into an environment of their own under
//! the target folder; where PyPI cannot be reached that is said, and what needs them skips.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The versions that uart-protocol.md §18 speaks of.
const TOOLS: [&str; 2] = ["bk7231tools==2.1.2", "ltchiptool==4.15.0"];

/// A pseudo terminal has no modem lines, and pyserial calls that an error. Real adapters have them; the served module
/// does without.
const NO_MODEM_LINES: &str = "
import errno
from serial import Serial
def without(change):
    def changed(port):
        try:
            change(port)
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise
    return changed
Serial._update_rts_state = without(Serial._update_rts_state)
Serial._update_dtr_state = without(Serial._update_dtr_state)
";

/// A CPU emulator with a Python interface.
const EMULATOR: [&str; 1] = ["unicorn==2.1.4"];

/// Where everything is installed.
const TARGET: &str = env!("CARGO_TARGET_TMPDIR");

/// The folder of the tools; `None`, said loudly, where they cannot be had.
pub fn tools() -> Option<&'static Path> {
    static TOOLS_AT: OnceLock<Option<PathBuf>> = OnceLock::new();
    TOOLS_AT.get_or_init(|| had("the public tools", install_tools())).as_deref()
}

/// A Python that can emulate a CPU; `None`, said loudly, where it cannot be had.
pub fn emulator() -> Option<&'static Path> {
    static EMULATOR_AT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = || Ok(install("emulator", &EMULATOR)?.join("python"));
    EMULATOR_AT.get_or_init(|| had("the CPU emulator", python())).as_deref()
}

/// The public littlefs library for Python, which wraps the original code: a Python that has it; `None`, said loudly.
pub fn littlefs() -> Option<&'static Path> {
    static LITTLEFS_AT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = || Ok(install("littlefs", &["littlefs-python==0.19.0"])?.join("python"));
    LITTLEFS_AT.get_or_init(|| had("littlefs-python", python())).as_deref()
}

/// ESPHome's own program, whose `config` command is its checker; `None`, said loudly, where it cannot be had.
pub fn esphome() -> Option<&'static Path> {
    static ESPHOME_AT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = || Ok(install("esphome", &["esphome"])?.join("esphome"));
    ESPHOME_AT.get_or_init(|| had("ESPHome", program())).as_deref()
}

fn had(what: &str, installed: Result<PathBuf, String>) -> Option<PathBuf> {
    let skipped = |why: &String| {
        eprintln!("SKIPPED: {what} cannot be had ({why}); python3, its venv module and PyPI are needed");
    };
    installed.inspect_err(skipped).ok()
}

fn install_tools() -> Result<PathBuf, String> {
    let tools = install("public-tools", &TOOLS)?;
    let patch = Path::new(TARGET).join("no-modem-lines");
    fs::create_dir_all(&patch).map_err(|error| error.to_string())?;
    fs::write(patch.join("sitecustomize.py"), NO_MODEM_LINES).map_err(|error| error.to_string())?;
    Ok(tools)
}

/// The programs of an environment with these packages in it.
fn install(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let venv = Path::new(TARGET).join(name);
    let (programs, complete) = (venv.join("bin"), venv.join("complete"));
    if !complete.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = ["install", "--quiet", "--disable-pip-version-check", "--timeout", "10", "--retries", "1"];
        done(Command::new(programs.join("pip")).args(pip).args(packages))?;
        fs::write(complete, "").map_err(|error| error.to_string())?;
    }
    Ok(programs)
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().last().unwrap_or("no word of why").to_owned();
    if output.status.success() { Ok(()) } else { Err(last) }
}

/// Runs a tool in a folder and returns all it says.
pub fn run(at: &Path, tool: &str, args: &[&str]) -> String {
    let tools = tools().expect("installed by now");
    let output: Output = Command::new(tools.join(tool))
        .args(args)
        .current_dir(at)
        .env("PYTHONPATH", tools.join("../../no-modem-lines"))
        .output()
        .expect("the tool runs");
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{tool} {args:?}:\n{words}");
    words
}
