//! The program: reads the arguments and picks a front end.

use std::io::Write;
use std::process::ExitCode;

use bkbench::cli::{self, Args};
use bkbench::problem::Problem;
use bkbench::tui::{self, Start};

fn main() -> ExitCode {
    install_hooks();
    let args = match cli::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    if args.command.is_some() {
        return cli::run(args);
    }
    match workbench(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::from(problem.class.exit_code())
        }
    }
}

/// Panics are shown with their place. The terminal may be gone by then: a hook that panics itself would end the process
/// in the middle of a job.
fn install_hooks() {
    let (panics, errors) = color_eyre::config::HookBuilder::default().into_hooks();
    std::panic::set_hook(Box::new(move |info| {
        let _ = writeln!(std::io::stderr(), "{}", panics.panic_report(info));
    }));
    if let Err(report) = errors.install() {
        let _ = writeln!(std::io::stderr(), "bkbench: {report}");
    }
}

/// Opens the workbench.
fn workbench(args: &Args) -> Result<(), Problem> {
    let settings = cli::settings(args)?;
    let link = cli::link_text(args, &settings);
    tui::run(Start { link, speed: args.speed, settings })
}
