//! `attach`: shows a job that runs in another process, and ends as it ends. Only watches.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::Bar;
use super::out::{Out, print, print_aside};
use crate::outlive::find::{Process, running};
use crate::outlive::newest_report;
use crate::problem::{Class, Problem};
use crate::store;

/// How long to wait before a process that dropped this watcher is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// Watches a running job to its end; the exit code is that of the job.
pub(super) fn run(out: Out, pid: Option<u32>) -> ExitCode {
    match choose(pid).and_then(|process| Watch::new(out, &process).follow(process)) {
        Ok(end) => {
            end.show(out);
            ExitCode::from(end.exit)
        }
        Err(problem) => {
            out.problem(&problem, None);
            ExitCode::from(problem.class.exit_code())
        }
    }
}

fn choose(pid: Option<u32>) -> Result<Process, Problem> {
    let mut found = running();
    if let Some(pid) = pid {
        found.retain(|process| process.pid == pid);
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        return Err(Problem::new(
            Class::Usage,
            "E607",
            format!("{} jobs are running:\n  {}", found.len(), names.join("\n  ")),
            "each process runs one job, and one can be watched at a time",
            "choose one with --pid",
        ));
    }
    found.pop().ok_or_else(|| {
        let remedy = match newest_report() {
            Some(path) => format!("the newest report of a job that changed a chip is {}", path.display()),
            None => "start one, for example `bkbench write IMAGE`; no job has left a report yet".to_owned(),
        };
        let which = pid.map_or_else(|| "no job is running".to_owned(), |pid| format!("process {pid} runs no job"));
        Problem::new(Class::NoDevice, "E606", which, "it ended, or was never started by this user", remedy)
    })
}

/// How a watched job ended.
struct End {
    name: String,
    pid: u32,
    exit: u8,
    error: Value,
    report: Value,
}

impl End {
    fn show(&self, out: Out) {
        if self.exit != 0 && !out.json {
            let part = |name: &str| self.error[name].as_str().unwrap_or("not told").to_owned();
            print_aside(&format!(
                "{} {}\n  cause:  {}\n  remedy: {}",
                part("code"),
                part("what"),
                part("cause"),
                part("remedy")
            ));
        }
        let document = json!({
            "pid": self.pid, "watched": self.name, "exit": self.exit, "error": self.error, "report": self.report,
        });
        out.result(document, || {
            let report = self.report.as_str().map_or_else(String::new, |path| format!("\nreport: {path}"));
            match self.exit {
                0 => format!("{} of process {}: done{report}", self.name, self.pid),
                code => format!("{} of process {}: ended with exit code {code}{report}", self.name, self.pid),
            }
        });
    }
}

/// What is watched, and how it is shown.
struct Watch {
    out: Out,
    bar: Bar,
    name: String,
    pid: u32,
    /// The job of a workbench; `None` to follow a headless command to the end of its process.
    job: Option<Value>,
    phase: String,
    total: u64,
    tenths: Option<u64>,
}

impl Watch {
    fn new(out: Out, process: &Process) -> Self {
        let running = &process.snapshot["job"];
        let title = running["title"].as_str().unwrap_or("job");
        Self {
            out,
            bar: Bar::new(out),
            name: process.command().unwrap_or(title).to_owned(),
            pid: process.pid,
            job: process.command().is_none().then(|| running["job"].clone()),
            phase: String::new(),
            total: 0,
            tenths: (!out.events && !std::io::stderr().is_terminal()).then_some(0),
        }
    }

    fn follow(mut self, mut process: Process) -> Result<End, Problem> {
        self.out.say_aside(format!("watching {process}; Ctrl-C ends only the watching"));
        loop {
            if let Some(end) = self.catch_up(&process.snapshot) {
                return Ok(end);
            }
            while let Ok(Some(event)) = process.next_event() {
                if let Some(end) = self.take(&event) {
                    self.bar.end();
                    return Ok(end);
                }
            }
            // Too slow, and let go; or the process is no more.
            std::thread::sleep(AGAIN);
            process = match Process::connect(self.pid) {
                Ok(process) => process,
                Err(_) => return self.reported().ok_or_else(|| self.gone()),
            };
        }
    }

    fn catch_up(&mut self, snapshot: &Value) -> Option<End> {
        self.raw(snapshot);
        let (running, last) = (&snapshot["job"], &snapshot["last"]);
        if self.job.as_ref().is_some_and(|job| running["job"] != *job) {
            return Some(self.end(last));
        }
        self.begin(running);
        self.progress(running);
        None
    }

    fn take(&mut self, event: &Value) -> Option<End> {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let own = self.job.as_ref().is_some_and(|job| event["job"] == *job);
        match text("event") {
            "ended" => return Some(self.end(event)),
            "finished" if own => {
                self.raw(event);
                return Some(self.end(event));
            }
            "phase" => self.begin(event),
            "progress" => self.progress(event),
            "link" if text("state") == "away" => self.bar.away(text("why"), event["left_s"].as_u64().unwrap_or(0)),
            "link" => self.bar.back(),
            "retried" => self.bar.line(text("what")),
            "log" if text("level") != "info" => self.bar.line(text("text")),
            "started" => self.bar.line(&format!("{}:", text("title"))),
            "finished" | "crashed" => self.bar.end(),
            _ => {}
        }
        self.raw(event);
        None
    }

    fn begin(&mut self, phase: &Value) {
        let Some(word) = phase["phase"].as_str() else { return };
        self.phase = word.replace('-', " ");
        self.total = phase["total"].as_u64().unwrap_or(0);
        self.tenths = self.tenths.map(|_| 0);
        self.bar.begin(&self.phase, self.total);
    }

    fn progress(&mut self, progress: &Value) {
        let done = progress["done"].as_u64().unwrap_or(0);
        self.bar.progress(done);
        let tenths = done.saturating_mul(10).checked_div(self.total).unwrap_or(0).min(10);
        if self.tenths.is_some_and(|before| tenths > before) {
            self.tenths = Some(tenths);
            print_aside(&format!("{} {} %", self.phase, tenths * 10));
        }
    }

    fn raw(&self, line: &Value) {
        if self.out.events {
            print(&line.to_string());
        }
    }

    fn end(&self, event: &Value) -> End {
        // Whatever a process cannot tell is a fault of the program.
        let exit = event["exit"].as_u64().and_then(|exit| u8::try_from(exit).ok()).unwrap_or(1);
        let (error, report) = (event["error"].clone(), event["report"].clone());
        End { name: self.name.clone(), pid: self.pid, exit, error, report }
    }

    /// The end as the process itself reported it on the disk.
    fn reported(&self) -> Option<End> {
        let path = newest_report()?;
        let report: Value = serde_json::from_slice(&store::read_file(&path).ok()?).ok()?;
        let mut end = self.end(&report);
        end.report = path.display().to_string().into();
        (report["pid"] == self.pid).then_some(end)
    }

    fn gone(&self) -> Problem {
        Problem::new(
            Class::NoDevice,
            "E608",
            format!("process {} ended, and how was not heard", self.pid),
            "it was killed, or this watcher was stopped for too long",
            "`bkbench resume` goes on with an unfinished write; `bkbench info` says whether there is one",
        )
    }
}
