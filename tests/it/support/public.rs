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

/// The folder of the tools; `None`, said loudly, where they cannot be had.
pub fn tools() -> Option<&'static Path> {
    static TOOLS_AT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = TOOLS_AT.get_or_init(|| match install(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(folder) => Some(folder),
        Err(why) => {
            eprintln!("SKIPPED: the public tools cannot be had ({why}); python3, its venv module and PyPI are needed");
            None
        }
    });
    found.as_deref()
}

fn install(folder: &Path) -> Result<PathBuf, String> {
    let venv = folder.join("public-tools");
    let tools = venv.join("bin");
    if !tools.join("ltchiptool").exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let pip = ["install", "--quiet", "--disable-pip-version-check", "--timeout", "10", "--retries", "1"];
        done(Command::new(tools.join("pip")).args(pip).args(TOOLS))?;
    }
    let patch = folder.join("no-modem-lines");
    fs::create_dir_all(&patch).map_err(|error| error.to_string())?;
    fs::write(patch.join("sitecustomize.py"), NO_MODEM_LINES).map_err(|error| error.to_string())?;
    Ok(tools)
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
