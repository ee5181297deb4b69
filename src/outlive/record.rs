//! The report that every job leaves behind that may have changed a chip.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Zoned;
use serde_json::{Value, json};

use crate::device::Level;
use crate::job::{Identity, Outcome};
use crate::problem::{Class, Problem};
use crate::session::{Ended, SessionView, runs_json};
use crate::store::StoreError;
use crate::store::files::{make_folder, write_new};
use crate::store::paths::Folders;

/// What a job worked on.
#[derive(Default)]
pub(super) struct Chip {
    /// The link's name, and its bit clock in Hz or rate in baud.
    pub link: Option<(String, u32)>,
    pub identity: Option<Arc<Identity>>,
}

/// A report that is not on the disk yet.
pub(super) struct Report {
    document: Value,
    name: String,
}

/// The report of the job that has just ended.
pub(super) fn report(view: &SessionView, ended: &Ended, chip: &Chip, began: &Zoned) -> Report {
    let name = format!("{}-{}", began.strftime("%Y-%m-%d-%H%M%S"), ended.job.title.replace(' ', "-"));
    Report { document: document(view, ended, chip, began), name }
}

/// Writes a report into the folder of reports, under a dated name.
///
/// # Errors
/// The store's problem: the disk is full, no permission.
pub(super) fn write(report: &Report) -> Result<PathBuf, StoreError> {
    let Report { document, name } = report;
    let folder = Folders::find()?.reports();
    make_folder(&folder)?;
    let text = format!("{document:#}\n");
    let mut number = 1;
    loop {
        let tail = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{name}{tail}.json"));
        match write_new(&path, text.as_bytes()) {
            Err(StoreError::Exists { .. }) if number < 1000 => number += 1,
            written => return written.map(|()| path),
        }
    }
}

/// The newest report of this user's data folder: its name begins with its date.
pub fn newest_report() -> Option<PathBuf> {
    let entries = std::fs::read_dir(Folders::find().ok()?.reports()).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).max()
}

fn document(view: &SessionView, ended: &Ended, chip: &Chip, began: &Zoned) -> Value {
    let (job, error) = (&ended.job, ended.result.as_ref().err());
    let plan = job.plan.as_deref();
    let (link, speed) = chip.link.clone().unzip();
    let now = Zoned::now();
    let warnings =
        view.log.iter().filter(|line| matches!(line.level, Level::Warning | Level::Error) && line.at >= job.started);
    let mut whole = json!({
        "schema": 1,
        "program": concat!("bkbench ", env!("CARGO_PKG_VERSION")),
        "pid": std::process::id(),
        "job": job.title,
        "began": began.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "ended": now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "outcome": outcome(ended),
        "exit": error.map_or(0, |problem| problem.class.exit_code()),
        "error": error,
        "left": runs_json(&ended.left),
        "link": link,
        "speed": speed,
        "identity": chip.identity.as_deref(),
        "plan_hash": plan.map(|plan| &plan.hash),
        "plan": plan,
        "backup": job.backup,
        "retries": job.retries,
        "supply": job.supply,
        "seconds": job.now.saturating_sub(job.started).as_secs_f64(),
        "warnings": warnings.map(|line| &line.text).collect::<Vec<_>>(),
    });
    let result = match &ended.result {
        Ok(Outcome::Written(report)) => {
            let mut report = json!(&**report);
            if let Some(fields) = report.as_object_mut() {
                fields.remove("plan");
            }
            Some(json!({"report": report}))
        }
        Ok(Outcome::ProtectionSet { before, after }) => {
            Some(json!({"protection_before": &**before, "protection_after": &**after}))
        }
        _ => None,
    };
    if let (Some(whole), Some(Value::Object(fields))) = (whole.as_object_mut(), result) {
        whole.extend(fields);
    }
    whole
}

/// One word for how it ended. `verified` is said of a write only: every written and every kept sector was compared.
fn outcome(ended: &Ended) -> &'static str {
    match &ended.result {
        Ok(Outcome::Written(_)) => "verified",
        Ok(_) => "done",
        Err(Problem { class: Class::Cancelled, .. }) => "stopped",
        Err(_) => "failed",
    }
}
