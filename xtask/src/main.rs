//! `cargo xtask`: the checks of the workspace (`check`), and the recipes of `assets/` (`digits`, `pretrain`, `suite`).
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod check;
mod command;
mod place;

use std::{env, process::ExitCode};

use command::Outcome;
use place::Place;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check [--list] [--only STEP]... [--skip STEP]...
                what must hold before a change lands; several steps as A,B
  digits        write assets/digits, and assets/model except for the weights
  pretrain      train the embedded model and write its weights
  suite DIR     write the tasks of the comparison suite";

fn run(arguments: &[String]) -> Outcome {
    let place = Place::find()?;
    match arguments.split_first() {
        Some((name, rest)) if name == "check" => check::run(&check::Options::parse(rest)?, &place),
        // What makes data and configuration needs no burn.
        Some((name, _)) if ["digits", "suite"].contains(&name.as_str()) => {
            recipe(&place, &["--no-default-features"], arguments)
        }
        Some((name, _)) if name == "pretrain" => recipe(&place, &[], arguments),
        _ => Err(USAGE.into()),
    }
}

fn recipe(place: &Place, features: &[&str], arguments: &[String]) -> Outcome {
    place
        .cargo(&["run", "--release", "--package", "mars-recipes"])
        .args(features)
        .args(&["--"])
        .args(arguments)
        .run()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
