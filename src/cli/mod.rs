//! The headless commands: arguments to jobs, events to lines or JSON, problems to exit codes.

mod args;
#[cfg(unix)]
mod attach;
mod client;
mod configure;
mod device;
mod doctor;
mod extract;
mod files;
mod host;
mod made;
mod out;
#[cfg(unix)]
mod serprog;
#[cfg(unix)]
mod serve;
mod share;
mod template;
mod wiring;
mod write;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub use args::Args;
use args::{Command, ConfigAction, Consent, RfAction};
use out::Out;

use crate::archive;
use crate::job::ConnectSpec;
use crate::outlive::Server;
use crate::problem::{Class, Explain, Problem};
use crate::store::{self, Loaded, Settings};

/// Reads the command line; prints help or a usage error and tells the exit code where there is nothing to run.
///
/// # Errors
/// The exit code: 0 after help, 2 after a usage error.
pub fn parse() -> Result<Args, ExitCode> {
    Args::try_parse().map_err(|error| {
        // Nothing is left to do when even this cannot be printed.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(Class::Usage.exit_code()) } else { ExitCode::SUCCESS }
    })
}

/// What every command needs.
struct Context {
    args: Args,
    settings: Settings,
    loaded: Loaded,
    out: Out,
    name: String,
    server: OnceCell<Server>,
}

impl Context {
    /// What shows this command's jobs to `attach`, from the first job on.
    fn server(&self) -> &Server {
        self.server.get_or_init(|| Server::start(Some(&self.name)))
    }

    /// The link to use: the command line's, else the settings'.
    fn link(&self) -> Result<ConnectSpec, Problem> {
        let text = link_text(&self.args, &self.settings).ok_or_else(|| {
            Problem::new(
                Class::Usage,
                "E101",
                "no link was given",
                "a command that talks to a chip has to know which one",
                "give --link, for example --link sim:wb2s; `bkbench links` lists what is here",
            )
        })?;
        let wanted = ConnectSpec::new(&text, self.args.speed, &archive::usual(&self.settings));
        let wanted = wanted.map_err(|error| error.explain())?;
        Ok(archive::remembering(&self.settings, wanted))
    }
}

impl Consent {
    /// Whether the protection is put back: the command line's word, else the settings'.
    fn protection(&self, context: &Context) -> bool {
        self.protect_after || (context.settings.write.protect_after && !self.no_protect_after)
    }
}

/// A problem, with what else there is to say about it in JSON.
struct Failure {
    problem: Problem,
    aside: Option<Box<serde_json::Value>>,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem, aside: None }
    }
}

/// The link that the command line or the settings name.
pub fn link_text(args: &Args, settings: &Settings) -> Option<String> {
    let demo = args.demo.then(|| "sim:wb2s".to_owned());
    let link =
        demo.or_else(|| args.link.clone()).or_else(|| Some(settings.link.clone()).filter(|link| !link.is_empty()))?;
    Some(match &args.record {
        Some(file) => format!("{link}{}record={file}", if link.contains('?') { '&' } else { '?' }),
        None => link,
    })
}

/// The settings in force: file, environment, then the command line.
///
/// # Errors
/// The store's problem when the settings file cannot be used.
pub fn settings(args: &Args) -> Result<Settings, Problem> {
    let mut settings = Settings::load().map_err(|error| error.explain())?.settings;
    if let Some(theme) = &args.theme {
        settings.theme.clone_from(theme);
    }
    settings.mouse &= !args.no_mouse;
    settings.find_devices();
    Ok(settings)
}

/// Runs a headless command, prints its result, and returns the exit code.
pub fn run(args: Args) -> ExitCode {
    let out = Out { json: args.json, events: args.events };
    #[cfg(unix)]
    if let Some(Command::Attach { pid }) = args.command {
        return attach::run(out, pid);
    }
    match dispatch(args, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { problem, aside }) => {
            out.problem(&problem, aside.map(|aside| *aside));
            ExitCode::from(problem.class.exit_code())
        }
    }
}

fn dispatch(mut args: Args, out: Out) -> Result<(), Failure> {
    store::tidy();
    let loaded = Settings::load().map_err(|error| error.explain())?;
    let command = args.command.take();
    // Before the minutes that the chip takes.
    if let Some(file) = command.as_ref().and_then(Command::new_file) {
        store::must_be_new(file).map_err(Problem::from)?;
    }
    let name = command.as_ref().map_or_else(String::new, Command::name);
    let mut settings = loaded.settings.clone();
    settings.find_devices();
    let context = Context { args, settings, loaded, out, name, server: OnceCell::new() };
    let result = match command {
        None => Ok(()),
        Some(Command::Write { file, at, config, consent }) => {
            write::image(&context, &file, at, config.as_deref(), &consent)
        }
        Some(Command::Configure { file, consent }) => configure::configure(&context, &file, &consent),
        Some(Command::Erase { start, length, consent }) => write::erase(&context, start, length, &consent),
        Some(Command::Resume { consent }) => write::resume(&context, &consent),
        Some(Command::Restore { backup, mac_lost, consent }) => write::restore(&context, &backup, mac_lost, &consent),
        Some(Command::Rf { action: RfAction::Rebuild { backup, mac_lost, consent } }) => {
            write::rebuild(&context, backup.as_deref(), mac_lost, &consent)
        }
        Some(Command::Doctor { root }) => doctor::doctor(&context, root.as_deref()),
        Some(Command::Wiring { module, wire, check: true, loop_back }) => {
            wiring::check(&context, module.as_deref(), wire.map(Into::into), loop_back)
        }
        Some(Command::Diff { first, second }) => files::diff(&context, &first, &second),
        Some(Command::Template { file, output, esphome: true, .. }) => {
            made::esphome(&context, &file, output.as_deref()).map_err(Failure::from)
        }
        Some(Command::Template { file, output, script: true, .. }) => {
            made::script(&context, &file, output.as_deref()).map_err(Failure::from)
        }
        Some(Command::Template { file, check: Some(text), .. }) => template::check(&context, Some(&file), &text),
        Some(Command::Template { file, mapping, output, qr, r#match: list, .. }) => {
            // `--match` alone means the list that the settings name.
            let usual = || PathBuf::from(&context.settings.paths.devices);
            let list = list.map(|list| list.unwrap_or_else(usual));
            let wishes = template::Wishes { output: output.as_deref(), qr, list: list.as_deref() };
            template::template(&context, &file, mapping.into(), wishes)
        }
        Some(other) => look(&context, other).map_err(Failure::from),
    };
    if let Some(server) = context.server.get() {
        server.end(result.as_ref().err().map(|failure| &failure.problem));
    }
    result
}

/// Commands that change no content of a chip, and so leave nothing behind when they fail.
fn look(context: &Context, command: Command) -> Result<(), Problem> {
    match command {
        // Handled where it is dispatched.
        Command::Write { .. }
        | Command::Configure { .. }
        | Command::Erase { .. }
        | Command::Resume { .. }
        | Command::Restore { .. } => Ok(()),
        Command::Rf { action: RfAction::Rebuild { .. } } | Command::Doctor { .. } => Ok(()),
        Command::Template { .. } | Command::Diff { .. } => Ok(()),
        #[cfg(unix)]
        Command::Attach { .. } => Ok(()),
        Command::Rf { action: RfAction::Extract { backup, output } } => {
            write::extract(context, backup.as_deref(), output.as_deref())
        }
        Command::Links { root } => host::links(context, root.as_deref()),
        Command::Wiring { module, wire, .. } => wiring::show(context, module.as_deref(), wire.map(Into::into)),
        Command::Info => device::info(context),
        Command::Read { output, start, length } => match (start, length) {
            (Some(start), Some(length)) => device::extract(context, output, start, length),
            _ => device::back_up(context, output),
        },
        Command::Verify { file, at } => device::verify(context, &file, at),
        Command::Protect { action } => device::protect(context, action),
        Command::Reboot => device::reboot(context),
        Command::Inspect { file, show_secrets } => files::inspect(context, &file, show_secrets),
        Command::Files { dump, extract } => extract::files(context, &dump, extract.as_deref()),
        Command::Redact { file, output, start_up_command } => share::redact(context, &file, &output, start_up_command),
        Command::Strings { file, min, encoding } => {
            let encodings: Vec<_> = encoding.into_iter().map(Into::into).collect();
            files::strings(context, &file, min, &encodings)
        }
        Command::Identify { file } => files::identify(context, &file),
        Command::Search { file, pattern, hex, regex, utf16 } => {
            files::search(context, &file, &pattern, files::how(hex, regex, utf16))
        }
        #[cfg(unix)]
        Command::Sim { what: args::SimAction::Uart { module, path } } => {
            serve::uart(context.out, &module.link(crate::link::WireKind::Uart), path.as_deref())
        }
        #[cfg(unix)]
        Command::Sim { what: args::SimAction::Serprog { module, flash, port } } => {
            let mut link = module.link(crate::link::WireKind::Spi);
            link.query.extend(flash.map(|flash| ("flash".to_owned(), flash)));
            serprog::serprog(context.out, &link, port)
        }
        Command::Config { action: ConfigAction::Show } => host::config(context),
        Command::Completions { shell } => host::completions(shell),
        Command::Man => host::man(),
    }
}
