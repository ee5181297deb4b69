//! The program: reads the arguments and picks a front end.

use std::process::ExitCode;

use bkbench::cli::{self, Args};
use bkbench::problem::{Explain, Problem};
use bkbench::store::Settings;
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
    match workbench(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(problem.class.exit_code())
        }
    }
}

/// Opens the workbench; flags go before the settings.
fn workbench(args: Args) -> Result<(), Problem> {
    let mut settings = Settings::load().map_err(|error| error.explain())?.settings;
    let link = cli::link_text(&args, &settings);
    settings.mouse &= !args.no_mouse;
    settings.theme = args.theme.unwrap_or(settings.theme);
    tui::run(Start { link, speed: args.speed, settings })
}
