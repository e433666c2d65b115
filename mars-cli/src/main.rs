//! The command `mars`: arguments, one call of the library, text or JSON, exit code.
mod allocator;
mod args;
mod cluster;
mod cmd;
mod console;
mod environment;
mod escape;
mod exit;
mod hub;
mod output;
mod progress;
mod signal;

use args::{Cli, Command};
use clap::Parser;
use cmd::Context;
use console::{Console, Verbosity};
use exit::Exit;
use mars::ErrorKind;
use signal::Signals;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    allocator::keep_freed();
    let cli = Cli::try_parse().unwrap_or_else(|error| exit::usage(&error));
    let verbosity = match (cli.common.quiet, cli.common.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, 0) => Verbosity::Normal,
        _ => Verbosity::Verbose,
    };
    // wgpu tries OpenGL beside the interface that it then uses, and calls it an error where there is none.
    let level = if cli.common.verbose > 1 { "debug" } else { "error,wgpu_hal::gles=off" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let console = Console::new(verbosity);
    // burn panics where a device has no memory left.
    let done = catch_unwind(AssertUnwindSafe(|| run(cli, console)));
    let done = done.unwrap_or_else(|panic| match mars::out_of_memory(&*panic) {
        Some(error) => Err(error),
        None => resume_unwind(panic),
    });
    match done {
        Ok(exit) => exit.into(),
        Err(error) if exit::is_closed_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            console.error(exit::describe(&error));
            Exit::from(error.kind()).into()
        }
    }
}

fn run(cli: Cli, console: Console) -> Result<Exit, mars::Error> {
    let signals = Signals::listen(console)?;
    let context = Context { common: cli.common, console, signals, settings: RefCell::new(None) };
    let json = context.common.json;
    if cli.command.is_some() && cli.search != args::Search::default() {
        return Err(mars::Error::usage(
            "search options must follow the command, e.g. `mars search --device cpu`; only --config, --set, --json, --quiet \
             and --verbose may precede it",
        ));
    }
    if let Some((name, reason)) = cli.command.as_ref().and_then(Command::settled_by)
        && (context.common.config.is_some() || !context.common.set.is_empty())
    {
        let why =
            format!("`mars {name}` does not read settings, so --config and --set have no effect: {reason}");
        return Err(mars::Error::usage(why));
    }
    let done = match cli.command {
        None => cmd::search::bare(&context, &cli.search),
        Some(Command::Search(args)) => cmd::search::run(&context, &args),
        Some(Command::Plan(args)) => cmd::plan::run(&context, &args),
        Some(Command::Calibrate(args)) => cmd::calibrate::run(&context, &args),
        Some(Command::Fit(args)) => cmd::fit::run(&context, &args),
        Some(Command::Choose(args)) => cmd::choose::run(&context, &args),
        Some(Command::Tune(args)) => cmd::tune::run(&context, &args),
        Some(Command::Eval(args)) => cmd::eval::run(&context, &args),
        Some(Command::Merge(args)) => cmd::merge::run(&context, &args),
        Some(Command::Verify(args)) => cmd::verify::run(&context, &args),
        Some(Command::Compare(args)) => cmd::compare::run(&context, &args),
        Some(Command::Data(args::Data::Check(args))) => cmd::data::run(&context, &args),
        Some(Command::Report(args)) => cmd::report::run(&context, &args),
        Some(Command::Status(args)) => cmd::status::run(&context, &args),
        Some(Command::Slurm(args)) => cmd::slurm::run(&context, &args),
        Some(Command::K8s(args)) => cmd::k8s::run(&context, &args),
        Some(Command::Families) => cmd::families::run(json),
        Some(Command::Devices) => cmd::devices::run(json),
        Some(Command::Config(task)) => cmd::config::run(&context, &task),
    };
    match done.map_err(|error| context.explain(error)) {
        Err(error) if error.kind() == ErrorKind::Interrupted && context.signals.warned() => {
            console.error(exit::describe(&error));
            Ok(Exit::Requeue)
        }
        done => done,
    }
}
