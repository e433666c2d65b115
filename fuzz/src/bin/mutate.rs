//! A seeded loop of mutations over the targets: `mutate [--seconds N] [--seed N] [TARGET]...`; with `--corpus` it writes the
//! well-formed inputs to `corpus/TARGET/`, where cargo-fuzz looks for them, and ends.
//!
//! An input that panics, or takes more than five seconds, is written to `artifacts/` and ends the call with code 1. The input
//! under way lies in `artifacts/TARGET.last`, for what ends the process.

use mars_fuzz::{Target, targets};
use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

/// What breaks readers more often than random bytes do.
const WORDS: [&[u8]; 22] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"18446744073709551615",
    b"9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"{{",
    b"}}",
    b"{%",
    b"\n",
];
/// Longest input, bytes.
const LONGEST: usize = 1 << 16;
const SLOW: Duration = Duration::from_secs(5);

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next() % limit as u64) as usize }
    }
}

fn mutated(random: &mut Random, pool: &[Vec<u8>]) -> Vec<u8> {
    let mut input = pool[random.below(pool.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(input.len() + 1);
        let length = random.below(16.min(input.len() + 1 - at));
        match random.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
            2 => drop(input.drain(at..at + length)),
            3 => {
                let part = input[at..at + length].to_vec();
                let times = 1 + random.below(32);
                input.splice(at..at, part.repeat(times));
            }
            4 => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            5 => {
                let word = WORDS[random.below(WORDS.len())];
                input.splice(at..at + length, word.iter().copied());
            }
            6 => input.truncate(at),
            _ => {
                let other = &pool[random.below(pool.len())];
                let from = random.below(other.len());
                let to = from + random.below(other.len() - from);
                input.splice(at..at, other[from..to].iter().copied());
            }
        }
    }
    input.truncate(LONGEST);
    input
}

/// Inputs that were tried, and the file of one that broke the target.
fn fuzz(target: &Target, seconds: u64, random: &mut Random) -> (u64, Option<String>) {
    let last = format!("artifacts/{}.last", target.name);
    let mut pool = target.seeds.clone();
    let (started, mut tried) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(seconds) {
        let input = mutated(random, &pool);
        let _ = fs::write(&last, &input);
        let began = Instant::now();
        let whole = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_ok();
        tried += 1;
        if !whole || began.elapsed() > SLOW {
            let what = if whole { "slow" } else { "panic" };
            let kept = format!("artifacts/{}-{what}-{tried}", target.name);
            let _ = fs::rename(&last, &kept);
            return (tried, Some(kept));
        }
        // A mutant now and then, so that what is far from the seeds is met too.
        if tried % 64 == 0 {
            if pool.len() < 256 {
                pool.push(input)
            } else {
                pool[target.seeds.len() + random.below(64)] = input
            }
        }
    }
    let _ = fs::remove_file(&last);
    (tried, None)
}

/// Writes the inputs that mutations of `target` begin with to `corpus/`.
fn write_corpus(target: &Target) -> io::Result<()> {
    let folder = Path::new("corpus").join(target.name);
    fs::create_dir_all(&folder)?;
    target
        .seeds
        .iter()
        .enumerate()
        .try_for_each(|(at, seed)| fs::write(folder.join(format!("seed-{at}")), seed))
}

fn main() -> ExitCode {
    let (mut seconds, mut seed, mut corpus, mut names) = (60, 1, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--seconds" => seconds = number().unwrap_or(seconds),
            "--seed" => seed = number().unwrap_or(seed),
            "--corpus" => corpus = true,
            name => names.push(name.to_owned()),
        }
    }
    if fs::create_dir_all("artifacts").is_err() {
        eprintln!("error: artifacts/ cannot be made");
        return ExitCode::FAILURE;
    }
    let mut broken = false;
    for target in
        targets().into_iter().filter(|one| names.is_empty() || names.iter().any(|name| name == one.name))
    {
        if corpus {
            if let Err(error) = write_corpus(&target) {
                eprintln!("error: corpus/{}: {error}", target.name);
                return ExitCode::FAILURE;
            }
            continue;
        }
        let (tried, found) = fuzz(&target, seconds, &mut Random(seed | 1 << 40));
        println!(
            "{}: {tried} inputs in {seconds} s, {}",
            target.name,
            found.as_deref().unwrap_or("none broke it")
        );
        broken |= found.is_some();
    }
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
