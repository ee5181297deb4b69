//! The program: reads the arguments and picks a front end.

use std::process::ExitCode;

use bkbench::cli;

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
    ExitCode::FAILURE
}
