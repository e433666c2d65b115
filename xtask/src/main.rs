//! `cargo xtask`: the checks of the workspace (`check`), faults at every operation on files (`reliability`), searches on
//! real engines of clusters (`clusters`), and the recipes of `assets/` and of tasks (`digits`, `pretrain`, `suite`, `pictures`).
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod check;
mod clusters;
mod command;
mod mutants;
mod place;
mod reliability;
mod wheel;

use std::{env, process::ExitCode};

use command::Outcome;
use place::Place;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check [--list] [--only STEP]... [--skip STEP]...
                what must hold before a change lands; several steps as A,B
  reliability [--call CALL]... [--fault FAULT]... [--every N] [--jobs N] [--table FILE]
                kills `mars`, and lets the disk fail, at every operation on a file of small searches, and repeats the
                call: exit codes, messages and results are compared. Linux only. Calls are native, command, unpack and
                merge, faults kill, full and broken (default all); --every N takes every N-th operation (default 1),
                --jobs N calls run at a time (default 2). Nothing is written but the table into FILE, if asked for. Without
                options `clusters` follows
  reliability deep
                the tests that take minutes: 1,000 kills, 50 processes for 20 rounds, every file of a campaign cut at every byte
  reliability mutants [WORD]...
                deliberate faults of our own code, in a copy of the workspace: the tests must notice each; those whose
                names hold a word
  reliability fuzz [--seconds N] [--seed N] [TARGET]...
                random inputs for the readers of foreign files, N seconds for each (default 60)
  clusters [slurm] [hyperqueue]
                searches on two virtual nodes of a Slurm, and two workers of a HyperQueue, on this machine: nodes and
                controllers are killed, tasks reach their time limit; every run must end once, with the results of one
                process. What is not installed is skipped with a word
  wheel [--profile PROFILE] [--out DIR]
                the command as a wheel for pip, by maturin (default: release, into target/wheels)
  digits        write assets/digits, and assets/model except for the weights
  pretrain      train the embedded model and write its weights
  suite DIR     write the tasks of the comparison suite
  pictures DATA DIR
                write the tasks on published pictures, from what xtask/recipes/pictures.py made
  pretrain-pictures DATA DIR
                train their model and write it into DIR/model";

fn run(arguments: &[String]) -> Outcome {
    let place = Place::find()?;
    match arguments.split_first() {
        Some((name, rest)) if name == "check" => check::run(&check::Options::parse(rest)?, &place),
        Some((name, rest)) if name == "reliability" => {
            reliability::run(rest, &place)?;
            if rest.is_empty() { clusters::run(&[], &place) } else { Ok(()) }
        }
        Some((name, rest)) if name == "wheel" => wheel::run(rest, &place),
        Some((name, rest)) if name == "clusters" => clusters::run(rest, &place),
        // What makes data and configuration needs no burn.
        Some((name, _)) if ["digits", "suite", "pictures"].contains(&name.as_str()) => {
            recipe(&place, &["--no-default-features"], arguments)
        }
        Some((name, _)) if ["pretrain", "pretrain-pictures"].contains(&name.as_str()) => {
            recipe(&place, &[], arguments)
        }
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
