//! A list of malformed inputs: each is an error that names its file, with the exit code of bad input, and none a panic.

mod adapters;
mod bombs;
mod bounds;
mod case;
mod configs;
mod contradictions;
mod data;
mod foreign;
mod gemma3;
mod images;
mod index;
mod internvl;
mod llava;
mod open;
mod preprocessors;
mod qwen3;
mod records;
mod templates;
mod tokenizers;
mod weights;

use crate::kit::mars;
use case::{Base, Case, Place};
use mars::ErrorKind;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(target_os = "linux")]
use std::{
    process::Stdio,
    time::{Duration, Instant},
};

fn all() -> Vec<Case> {
    let kinds = [
        configs::cases(),
        contradictions::cases(),
        tokenizers::cases(),
        templates::cases(),
        bounds::cases(),
        bombs::cases(),
        preprocessors::cases(),
        llava::cases(),
        qwen3::cases(),
        internvl::cases(),
        gemma3::cases(),
        images::cases(),
        data::cases(),
        records::cases(),
        weights::cases(),
        index::cases(),
        adapters::cases(),
        foreign::cases(),
    ];
    kinds.into_iter().flatten().collect()
}

/// What is wrong with the answer to a case, if anything.
fn verdict(case: &Case) -> Result<(), String> {
    let place = Place::new(case.base);
    (case.spoil)(&place.target(case.path));
    let result = catch_unwind(AssertUnwindSafe(|| open::everything(&place)));
    let error = match result {
        Err(_) => return Err("it panics".to_owned()),
        Ok(Ok(())) => return Err("it is accepted".to_owned()),
        Ok(Err(error)) => error,
    };
    let (message, kind) = (error.messages().join("\n"), error.kind());
    if kind != ErrorKind::Input {
        return Err(format!("an error of kind {kind:?} instead of Input: {message}"));
    }
    let missing = [case.file(), case.says].into_iter().find(|part| !message.contains(part));
    missing.map_or(Ok(()), |part| Err(format!("`{part}` is not in: {message}")))
}

#[test]
fn each_is_an_error_that_names_its_file() {
    let cases = all();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = verdict(case) {
                        wrong.lock().unwrap().push(format!("{}: {}: {why}", case.path, case.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_list_is_long_and_says_nothing_twice() {
    let cases = all();
    let names: BTreeSet<(&str, &str)> = cases.iter().map(|case| (case.path, case.name)).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 200, "{}", cases.len());
}

#[test]
fn what_they_are_made_of_is_accepted() {
    for &base in Base::ALL {
        open::everything(&Place::new(base)).unwrap_or_else(|error| panic!("{base:?}: {error}"));
    }
}

/// The program itself on every eighth of those that it can be given.
#[test]
fn the_program_says_the_same() {
    let cases: Vec<Case> = all().into_iter().filter(|case| case.base == Base::Whole).step_by(8).collect();
    assert!(cases.len() >= 20, "{}", cases.len());
    for case in cases {
        let place = Place::new(case.base);
        (case.spoil)(&place.target(case.path));
        let done = mars(&["eval", "--model", &place.text("model"), "--data", &place.text("data/train.json")]);
        let context = format!("{}: {}: {}", case.path, case.name, done.stderr);
        assert_eq!(done.code, Some(3), "{context}");
        assert!(!done.stderr.contains("panicked"), "{context}");
        let errors = done.stderr.lines().filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{context}");
        assert!(done.stderr.contains(case.file()), "{context}");
    }
}

/// Exit code, time and greatest memory in kB of the program on these arguments.
#[cfg(target_os = "linux")]
fn watched(arguments: &[&str]) -> (Option<i32>, Duration, u64) {
    let mut command = crate::kit::command(arguments);
    let started = Instant::now();
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let (mut peak, status) = (0, format!("/proc/{}/status", child.id()));
    loop {
        // The kernel's own peak, which only grows.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = found.and_then(|kb| kb.parse().ok()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), started.elapsed(), peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every input that the program can be given, by itself: under 10 s and 1 GB. Prints the greatest of both.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
#[ignore = "minutes; run it alone, with --nocapture, for the figures in docs/results"]
fn the_program_takes_little_of_everything() {
    let cases: Vec<Case> = all().into_iter().filter(|case| case.base == Base::Whole).collect();
    let (mut slowest, mut largest) = ((Duration::ZERO, String::new()), (0, String::new()));
    for case in &cases {
        let place = Place::new(case.base);
        (case.spoil)(&place.target(case.path));
        let (model, data) = (place.text("model"), place.text("data/train.json"));
        let (code, took, peak) = watched(&["eval", "--model", &model, "--data", &data]);
        let name = format!("{}: {}", case.path, case.name);
        assert_eq!(code, Some(3), "{name}");
        assert!(took < Duration::from_secs(10) && peak < 1_000_000, "{name}: {took:?}, {peak} kB");
        slowest = slowest.max((took, name.clone()));
        largest = largest.max((peak, name));
    }
    println!("{} of {} inputs; slowest {slowest:?}; largest {largest:?} kB", cases.len(), all().len());
}

/// Colour profiles and texts of a PNG are not unpacked: half a gigabyte of them takes no more than any image.
#[cfg(target_os = "linux")]
#[test]
fn what_is_not_read_is_not_unpacked() {
    use std::io::Write;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    (0..512).for_each(|_| packed.write_all(&[0; 1 << 20]).unwrap());
    let packed = packed.finish().unwrap();
    for kind in [b"iCCP", b"zTXt"] {
        let place = Place::new(Base::Whole);
        let file = place.target("data/square.png");
        // After the signature and the header, which takes 25 bytes.
        let (bytes, at) = (file.bytes(), 8 + 25);
        let chunk = images::chunk(kind, &[b"x\0\0", packed.as_slice()].concat());
        file.put([&bytes[..at], &chunk, &bytes[at..]].concat());
        let (model, data) = (place.text("model"), place.text("data/train.json"));
        let (code, took, peak) = watched(&["eval", "--model", &model, "--data", &data]);
        assert_eq!(code, Some(0), "{kind:?}");
        assert!(took < Duration::from_secs(10) && peak < 300_000, "{kind:?}: {took:?}, {peak} kB");
    }
}
