//! A fault at each operation of a call in turn, each followed by the same call without one.

use crate::{Done, Fault, Instrument, Operation, Scenario, tree};
use anyhow::{Context, Result, bail};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Exit status of `mars` when the system refuses to read or write.
const IO: i32 = 74;

/// What came of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first call ended as it must, and after the second all files are those of a call without faults, to the bit.
    Same,
    /// The call has met the error at an [operation that does not matter](harmless) and went on to the same end.
    Harmless,
    /// The call had fewer operations this time.
    Unmet,
    /// What was wrong.
    Wrong(String),
}

/// A fault at an operation, and what came of it.
#[derive(Clone, Debug)]
pub struct Point {
    /// The fault.
    pub fault: Fault,
    /// The operation at which it happened.
    pub operation: Operation,
    /// What came of it.
    pub verdict: Verdict,
}

/// All points of a scenario.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Its name.
    pub scenario: &'static str,
    /// Operations of a call without faults.
    pub operations: usize,
    /// The points.
    pub points: Vec<Point>,
}

impl Sweep {
    /// The points at which something was wrong.
    pub fn wrong(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| matches!(point.verdict, Verdict::Wrong(_)))
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { number, name, path } = &self.operation;
        write!(f, "{} {number} ({name} {path}): ", self.fault)?;
        match &self.verdict {
            Verdict::Same => f.write_str("same"),
            Verdict::Harmless => f.write_str("harmless"),
            Verdict::Unmet => f.write_str("not met"),
            Verdict::Wrong(why) => f.write_str(why),
        }
    }
}

/// Sweeps `scenario` with `faults`, `jobs` calls at a time; of the operations those at which `chosen` is true.
/// `observe` is called after each point with the number of all.
///
/// # Errors
/// When a call without faults fails or does not do the same twice.
pub fn sweep(
    instrument: &Instrument,
    scenario: &Scenario,
    faults: &[Fault],
    jobs: usize,
    chosen: impl Fn(&Operation) -> bool,
    observe: impl Fn(&Point, usize) + Sync,
) -> Result<Sweep> {
    let place = tempfile::tempdir()?;
    scenario.prepare(place.path())?;
    let straight = instrument.call(scenario, place.path(), None)?;
    if straight.code != Some(0) {
        bail!("{} fails without a fault: {}", scenario.name, straight.stderr);
    }
    let expected = left(place.path())?;
    let all: Vec<(Fault, Operation)> = faults
        .iter()
        .flat_map(|fault| {
            thinned(fault.among(&straight.operations)).into_iter().map(move |one| (*fault, one))
        })
        .filter(|(_, operation)| chosen(operation))
        .collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some((fault, operation)) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
            let point = point(instrument, scenario, *fault, operation, &expected)
                .with_context(|| format!("{fault} operation {}", operation.number))?;
            observe(&point, all.len());
            done.lock().unwrap_or_else(PoisonError::into_inner).push(point);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let mut points = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    points
        .sort_by_key(|point| (faults.iter().position(|fault| *fault == point.fault), point.operation.number));
    Ok(Sweep { scenario: scenario.name, operations: straight.operations.len(), points })
}

/// Of operations of one kind on one file that follow each other, as readings of a long one, the first, the middle and the last.
fn thinned(mut operations: Vec<Operation>) -> Vec<Operation> {
    let alike = |one: &Operation, other: &Operation| one.name == other.name && one.path == other.path;
    let some = |run: &'_ [Operation]| [0, run.len() / 2, run.len() - 1].map(|at| run[at].number);
    let chosen: BTreeSet<usize> = operations.chunk_by(alike).flat_map(some).collect();
    operations.retain(|operation| chosen.contains(&operation.number));
    operations
}

/// What a call in `place` has left, with another name for that directory, which each call has for itself.
fn left(place: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let own = place.canonicalize()?.to_string_lossy().into_owned();
    let renamed = |content: Vec<u8>| match String::from_utf8(content) {
        Ok(text) => text.replace(&own, "PLACE").into_bytes(),
        Err(other) => other.into_bytes(),
    };
    let files = tree::files(&place.join(Scenario::OUT))?.into_iter();
    Ok(files.map(|(name, content)| (name, renamed(content))).collect())
}

/// Operations whose failure changes nothing: what they are for, by name and end of the path.
const HARMLESS: [(&str, &str, &str); 0] = [];

/// Why a call may go on when this operation fails; `None` where it may not.
pub fn harmless(operation: &Operation) -> Option<&'static str> {
    let named =
        HARMLESS.iter().find(|(name, end, _)| operation.name == *name && operation.path.ends_with(end));
    named.map(|(_, _, why)| *why)
}

/// One call with a fault, one without, and what they leave. `planned` is the operation as a call without faults does it: where
/// threads share the work, another may have its number.
fn point(
    instrument: &Instrument,
    scenario: &Scenario,
    fault: Fault,
    planned: &Operation,
    expected: &BTreeMap<String, Vec<u8>>,
) -> Result<Point> {
    let place = tempfile::tempdir()?;
    scenario.prepare(place.path())?;
    let first = instrument.call(scenario, place.path(), Some((fault, planned.number)))?;
    let (met, verdict) = match first.operations.iter().find(|one| one.number == planned.number) {
        Some(met) => (met, judge(instrument, scenario, place.path(), fault, met, &first, expected)?),
        // A wait was shorter this time.
        None if fault.counts_reading() && first.code == Some(0) => (planned, Verdict::Unmet),
        None => (planned, Verdict::Wrong(format!("the call ends with {:?} before it", first.code))),
    };
    Ok(Point { fault, operation: met.clone(), verdict })
}

/// What came of the `first` call, in which `fault` befell `met`, and of one without a fault.
fn judge(
    instrument: &Instrument,
    scenario: &Scenario,
    place: &Path,
    fault: Fault,
    met: &Operation,
    first: &Done,
    expected: &BTreeMap<String, Vec<u8>>,
) -> Result<Verdict> {
    let wrong = |why: String| Ok(Verdict::Wrong(why));
    if first.stderr.contains("panicked") {
        return wrong(format!("it panics: {}", first.stderr));
    }
    let went_on = !fault.kills() && first.code == Some(0);
    let said = last_line(&first.stderr);
    if fault.kills() && !first.was_killed() {
        return wrong(format!("it was not killed, but ended with {:?}: {said}", first.code));
    }
    if !fault.kills() && !went_on && (first.code != Some(IO) || !first.stderr.contains(fault.cause())) {
        return wrong(format!("it ends with {:?} instead of {IO}, saying: {said}", first.code));
    }
    if went_on {
        return match differing(place, expected)? {
            None if harmless(met).is_some() => Ok(Verdict::Harmless),
            None => wrong("it goes on without a word, to the same end".to_owned()),
            Some(why) => wrong(format!("it goes on without a word, and {why}")),
        };
    }
    let second = instrument.call(scenario, place, None)?;
    let done = !scenario.done_already.is_empty() && second.stderr.contains(scenario.done_already);
    if second.code != Some(0) && !done {
        return wrong(format!("the second call ends with {:?}: {}", second.code, last_line(&second.stderr)));
    }
    Ok(match differing(place, expected)? {
        None => Verdict::Same,
        Some(why) => Verdict::Wrong(why),
    })
}

/// What is not as expected of what calls in `place` have left.
fn differing(place: &Path, expected: &BTreeMap<String, Vec<u8>>) -> Result<Option<String>> {
    let differ = tree::differences(&left(place)?, expected);
    Ok((!differ.is_empty()).then(|| format!("other or left over: {}", differ.join(", "))))
}

fn last_line(text: &str) -> &str {
    text.trim().rsplit("error: ").next().unwrap_or(text)
}
