//! Sweeps of faults over the operations on files of small searches; `cargo xtask reliability` calls it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::{Context, Result, bail};
use mars_reliability::{Fault, Instrument, Scenario, Verdict, sweep, table};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

struct Options {
    program: PathBuf,
    calls: Vec<String>,
    faults: Vec<Fault>,
    every: usize,
    jobs: usize,
    table: Option<PathBuf>,
}

fn options() -> Result<Options> {
    let mut options = Options {
        program: PathBuf::from("mars"),
        calls: Vec::new(),
        faults: Vec::new(),
        every: 1,
        jobs: 2,
        table: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        let number = || {
            value
                .parse::<usize>()
                .ok()
                .filter(|n| *n > 0)
                .context(format!("{name} {value}: not a number from 1"))
        };
        match name.as_str() {
            "--program" => options.program = PathBuf::from(value),
            "--call" => options.calls.extend(value.split(',').map(str::to_owned)),
            "--fault" => {
                for word in value.split(',') {
                    options.faults.extend(faults(word)?);
                }
            }
            "--every" => options.every = number()?,
            "--jobs" => options.jobs = number()?,
            "--table" => options.table = Some(PathBuf::from(value)),
            _ => bail!("{name} is no option; there are --call, --fault, --every, --jobs and --table"),
        }
    }
    if options.calls.is_empty() {
        options.calls = ["native", "resumed", "command", "unpack", "merge"].map(str::to_owned).to_vec();
    }
    if options.faults.is_empty() {
        options.faults = Fault::ALL.to_vec();
    }
    Ok(options)
}

fn faults(word: &str) -> Result<Vec<Fault>> {
    let of = |like: fn(Fault) -> bool| Fault::ALL.into_iter().filter(|fault| like(*fault)).collect();
    Ok(match word {
        "kill" => of(Fault::kills),
        "full" => of(|fault| matches!(fault, Fault::FullOnce | Fault::FullForGood)),
        "broken" => of(|fault| matches!(fault, Fault::BrokenOnce | Fault::BrokenForGood)),
        _ => bail!("--fault {word}: there are kill, full and broken"),
    })
}

/// The call of this name. What `merge` merges is made by a search.
fn scenario(name: &str, instrument: &Instrument, assets: &Path) -> Result<Scenario> {
    Ok(match name {
        "native" => Scenario::native(assets)?,
        "resumed" => Scenario::resumed(&Scenario::native(assets)?, instrument)?,
        "command" => Scenario::command(),
        "unpack" => Scenario::unpack(),
        "merge" => {
            let place = tempfile::tempdir()?;
            let search = Scenario::native(assets)?;
            search.prepare(place.path())?;
            let done = instrument.call(&search, place.path(), None)?;
            Scenario::merge(assets, &place.path().join("out/adapter")).context(done.stderr)?
        }
        _ => bail!("--call {name}: there are native, resumed, command, unpack and merge"),
    })
}

fn run() -> Result<bool> {
    let options = options()?;
    let instrument = match Instrument::new(&options.program) {
        Ok(instrument) => instrument,
        Err(why) => {
            println!("skipped: {why:#}");
            return Ok(true);
        }
    };
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let mut sweeps = Vec::new();
    for name in &options.calls {
        let scenario = scenario(name, &instrument, &assets)?;
        let done = AtomicUsize::new(0);
        let observe = |point: &mars_reliability::Point, all: usize| {
            let done = done.fetch_add(1, Ordering::SeqCst) + 1;
            if matches!(point.verdict, Verdict::Wrong(_)) || done.is_multiple_of(100) {
                eprintln!("{name} {done}/{all}: {point}");
            }
        };
        let chosen = |operation: &mars_reliability::Operation| operation.number.is_multiple_of(options.every);
        sweeps.push(sweep(&instrument, &scenario, &options.faults, options.jobs, chosen, observe)?);
    }
    let text = table(&sweeps);
    println!("{text}");
    if let Some(path) = &options.table {
        fs::write(path, &text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(sweeps.iter().all(|sweep| sweep.wrong().next().is_none()))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
