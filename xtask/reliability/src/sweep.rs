//! A fault at each operation of a call in turn, each followed by the same call without one.

use crate::{Fault, Instrument, Operation, Scenario, tree};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
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
    /// The call has met the error and went on to the same end: nothing was lost by it.
    Harmless,
    /// What was wrong.
    Wrong(String),
}

/// A fault at an operation, and what came of it.
#[derive(Clone, Debug)]
pub struct Point {
    /// The fault.
    pub fault: Fault,
    /// The operation, as a call without faults does it.
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
    let expected = tree::files(&place.path().join(Scenario::OUT))?;
    let all: Vec<(Fault, &Operation)> = faults
        .iter()
        .flat_map(|fault| straight.operations.iter().map(move |operation| (*fault, operation)))
        .filter(|(fault, operation)| fault.befalls(&operation.name) && chosen(operation))
        .collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<()> {
        while let Some((fault, operation)) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
            let verdict = point(instrument, scenario, *fault, operation, &expected)
                .with_context(|| format!("{fault} operation {}", operation.number))?;
            let point = Point { fault: *fault, operation: (*operation).clone(), verdict };
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

/// One call with a fault, one without, and what they leave.
fn point(
    instrument: &Instrument,
    scenario: &Scenario,
    fault: Fault,
    operation: &Operation,
    expected: &BTreeMap<String, Vec<u8>>,
) -> Result<Verdict> {
    let place = tempfile::tempdir()?;
    scenario.prepare(place.path())?;
    let out = place.path().join(Scenario::OUT);
    let first = instrument.call(scenario, place.path(), Some((fault, operation.number)))?;
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
        return match differing(&out, expected)? {
            None => Ok(Verdict::Harmless),
            Some(why) => wrong(format!("it goes on without a word, and {why}")),
        };
    }
    let second = instrument.call(scenario, place.path(), None)?;
    let done = !scenario.done_already.is_empty() && second.stderr.contains(scenario.done_already);
    if second.code != Some(0) && !done {
        return wrong(format!("the second call ends with {:?}: {}", second.code, last_line(&second.stderr)));
    }
    Ok(match differing(&out, expected)? {
        None => Verdict::Same,
        Some(why) => Verdict::Wrong(why),
    })
}

/// What is not as expected in `out`.
fn differing(out: &Path, expected: &BTreeMap<String, Vec<u8>>) -> Result<Option<String>> {
    let differ = tree::differences(&tree::files(out)?, expected);
    Ok((!differ.is_empty()).then(|| format!("other or left over: {}", differ.join(", "))))
}

fn last_line(text: &str) -> &str {
    text.trim().rsplit("error: ").next().unwrap_or(text)
}
