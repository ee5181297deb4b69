//! Commands about the computer and the program: links, config, completions, man.

use std::path::Path;

use clap::CommandFactory;
use serde_json::{Value, json};

use super::{Args, Context};
use crate::link::host::Host;
use crate::link::{self, Endpoint};
use crate::problem::{Class, Problem};

/// `links`: everything that can be opened; of the copied files of another computer, its ports and buses.
pub(super) fn links(context: &Context, root: Option<&Path>) -> Result<(), Problem> {
    let found = match root {
        None => link::endpoints(context.settings.cen),
        Some(folder) => link::host::endpoints(&copied(folder)?, context.settings.cen),
    };
    context.out.result(json!({"links": &found}), || links_text(&found));
    Ok(())
}

/// The copied files of another computer.
pub(super) fn copied(folder: &Path) -> Result<Host, Problem> {
    if folder.is_dir() {
        return Ok(Host::copied(folder));
    }
    Err(Problem::new(
        Class::Usage,
        "E757",
        format!("{} is no folder", folder.display()),
        "--root takes a folder with copies of another computer's /sys, /proc, /etc and /dev",
        "leave --root out to look at this computer",
    ))
}

fn links_text(found: &[Endpoint]) -> String {
    let widest = found.iter().map(|endpoint| endpoint.link.len()).max().unwrap_or(0);
    let longest = found.iter().map(|endpoint| endpoint.about.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for endpoint in found {
        let state = endpoint.obstacle.as_ref().map_or_else(
            || "ready".to_owned(),
            |problem| format!("{} {}: {}", problem.code, problem.what, problem.remedy),
        );
        lines.push(format!("{:<widest$}  {:<longest$}  {state}", endpoint.link, endpoint.about));
        let remarks = endpoint.device.iter().flat_map(|device| device.remarks());
        lines.extend(remarks.map(|line| format!("    {line}")));
    }
    if found.is_empty() {
        lines.push("Nothing was found.".to_owned());
    }
    lines.join("\n")
}

/// `config show`
pub(super) fn config(context: &Context) -> Result<(), Problem> {
    let origins = &context.loaded.origins;
    let list: Vec<Value> = origins
        .iter()
        .map(|origin| json!({"key": origin.key, "value": origin.value, "from": origin.origin.to_string()}))
        .collect();
    context.out.result(json!({"settings": list}), || {
        let lines = origins.iter().map(|origin| format!("{:<20} {:<24} {}", origin.key, origin.value, origin.origin));
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

/// `completions`
pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Problem> {
    clap_complete::generate(shell, &mut Args::command(), "bkbench", &mut std::io::stdout());
    Ok(())
}

/// `man`
pub(super) fn man() -> Result<(), Problem> {
    clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout()).map_err(|error| {
        Problem::new(
            Class::Host,
            "E106",
            format!("the page cannot be written: {error}"),
            "stdout is closed or full",
            "send it to a file",
        )
    })
}
