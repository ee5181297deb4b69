//! The program: reads the arguments and picks a front end.

use std::process::ExitCode;

use bkbench::cli::{self, Args};
use bkbench::problem::Problem;
use bkbench::tui::{self, Start};

fn main() -> ExitCode {
    if let Err(report) = color_eyre::install() {
        eprintln!("bkbench: {report}");
    }
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
            eprintln!("{problem}");
            ExitCode::from(problem.class.exit_code())
        }
    }
}

/// Opens the workbench.
fn workbench(args: &Args) -> Result<(), Problem> {
    let settings = cli::settings(args)?;
    let link = cli::link_text(args, &settings);
    tui::run(Start { link, speed: args.speed, settings })
}
