//! Reads observations from CSV text with a header line.
//!
//! | law | required columns | optional columns |
//! |---|---|---|
//! | Law-C | `rank`, `dataset_size`, `steps` | `module` (default `llm`), `weight` (1), `convention` (empty) |
//! | Law-P | `<module>_rank` for each module, or `rank` of `llm`; `dataset_size`, `perplexity` | `weight`, `convention` |
//!
//! Columns may be in any order. Lines that begin with `#` are comments.

use super::{ConvergenceObservation, PerformanceObservation, Ranks};
use crate::{Error, law::CalibrationSet};
use csv::StringRecord;
use std::{collections::HashSet, str::FromStr};

/// The module of a table that names none.
const MODULE: &str = "llm";

/// Observations for both laws.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations {
    /// Convergence times, of any number of modules.
    pub convergence: Vec<ConvergenceObservation>,
    /// Perplexities of joint runs.
    pub performance: Vec<PerformanceObservation>,
    /// Validation curves of modules alone, one entry for each module. Law-C of these modules comes from their curves laid on one
    /// another, as by [`registered_law_c`](crate::registered_law_c), and not from their convergence times above.
    pub curves: Vec<ModuleCurves>,
}

/// The runs of one module alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleCurves {
    /// The module.
    pub module: String,
    /// Its runs by size.
    pub sets: Vec<CalibrationSet>,
}

impl Observations {
    /// Reads one table of observations; a column `steps` makes it one of Law-C, `perplexity` one of Law-P.
    ///
    /// The columns are `rank`, `dataset_size`, `steps` and optionally `module` (default `llm`), or a `<module>_rank` for
    /// each module (or one `rank`, of `llm`), `dataset_size`, `perplexity`; both with optional `weight` (default 1) and
    /// `convention` (default empty). Lines that begin with `#` are comments.
    ///
    /// # Errors
    /// [`Error::Csv`] with line and column: a missing, repeated or unknown column, a cell that is not a number or out
    /// of range, a line of the wrong length, no observation at all.
    pub fn from_csv(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| csv_fault(text, &e))?.clone();
        let columns = Columns::of(&header, line_of(text, header.position()))?;
        let mut observations = Self::default();
        for record in reader.records() {
            let record = record.map_err(|e| csv_fault(text, &e))?;
            let row = Row { record: &record, line: line_of(text, record.position()) };
            columns.read(&row, &mut observations)?;
        }
        if observations.convergence.is_empty() && observations.performance.is_empty() {
            return Err(fault(
                2,
                1,
                "no observation follows the header; add one line for each measurement".into(),
            ));
        }
        Ok(observations)
    }

    /// Adds the observations of another table.
    pub fn extend(&mut self, other: Self) {
        self.convergence.extend(other.convergence);
        self.performance.extend(other.performance);
        self.curves.extend(other.curves);
    }

    /// How many convergence times and perplexities are equal to an earlier one in all that is stated of them. A fit takes each for
    /// a measurement of its own, and its intervals are narrower for it.
    pub fn copies(&self) -> usize {
        let mut times = HashSet::new();
        let again = self.convergence.iter().filter(|o| {
            let numbers = (o.rank, o.samples, o.steps.to_bits(), o.weight.to_bits());
            !times.insert((&o.module, &o.convention, numbers))
        });
        let mut joint = HashSet::new();
        let again_joint = self.performance.iter().filter(|o| {
            let numbers = (o.samples, o.perplexity.to_bits(), o.weight.to_bits());
            !joint.insert((&o.ranks, &o.convention, numbers))
        });
        again.count() + again_joint.count()
    }
}

fn fault(line: u64, column: usize, message: String) -> Error {
    Error::Csv { line, column, message }
}

fn csv_fault(text: &str, error: &csv::Error) -> Error {
    let line = line_of(text, error.position());
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => fault(
            line,
            *expected_len.min(len) as usize + 1,
            format!("{len} cells where the header has {expected_len}"),
        ),
        _ => fault(line, 1, error.to_string()),
    }
}

/// Line of a record, from 1; the reader's own position is before the comments and empty lines that it skipped.
fn line_of(text: &str, position: Option<&csv::Position>) -> u64 {
    let start = position.map_or(0, |p| p.byte() as usize).min(text.len());
    let (before, rest) = text.as_bytes().split_at(start);
    let newlines = before.iter().filter(|byte| **byte == b'\n').count();
    let skipped = rest
        .split(|byte| *byte == b'\n')
        .take_while(|line| line.trim_ascii().is_empty() || line.starts_with(b"#"))
        .count();
    let last = text.lines().count().max(1);
    (1 + newlines + skipped).min(last) as u64
}

/// Where each column is, from 0.
struct Columns {
    /// Module and column of each rank.
    ranks: Vec<(String, usize)>,
    module: Option<usize>,
    size: usize,
    steps: Option<usize>,
    perplexity: Option<usize>,
    weight: Option<usize>,
    convention: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord, line: u64) -> Result<Self, Error> {
        let find = |name: &str| header.iter().position(|cell| cell == name);
        let (steps, perplexity) = (find("steps"), find("perplexity"));
        let missing = |name: &str| fault(line, header.len() + 1, format!("column `{name}` is missing"));
        match (steps, perplexity) {
            (None, None) => {
                let message = "neither a column `steps` (Law-C) nor a column `perplexity` (Law-P)";
                return Err(fault(line, header.len() + 1, message.into()));
            }
            (Some(_), Some(at)) => {
                let message = "`steps` and `perplexity` in one table; give each law a table of its own";
                return Err(fault(line, at + 1, message.into()));
            }
            _ => {}
        }
        let mut ranks = Vec::new();
        for (at, name) in header.iter().enumerate() {
            if header.iter().take(at).any(|before| before == name) {
                return Err(fault(line, at + 1, format!("column `{name}` appears twice")));
            }
            match name {
                "rank" => ranks.push((MODULE.to_string(), at)),
                "dataset_size" | "steps" | "perplexity" | "weight" | "convention" => {}
                "module" if steps.is_some() => {}
                other => match other.strip_suffix("_rank").filter(|m| !m.is_empty() && steps.is_none()) {
                    Some(module) => ranks.push((module.to_string(), at)),
                    None => {
                        let expected = if steps.is_some() {
                            "`module`, `rank`, `dataset_size`, `steps`, `weight`, `convention`"
                        } else {
                            "`rank` or `<module>_rank`s, `dataset_size`, `perplexity`, `weight`, `convention`"
                        };
                        return Err(fault(
                            line,
                            at + 1,
                            format!("unknown column `{name}`; known: {expected}"),
                        ));
                    }
                },
            }
        }
        if let Some(at) = find("rank").filter(|_| ranks.len() > 1) {
            let message = "both `rank` and a `<module>_rank`; name the module of each rank column";
            return Err(fault(line, at + 1, message.into()));
        }
        if ranks.is_empty() {
            return Err(missing("rank"));
        }
        Ok(Self {
            ranks,
            module: find("module"),
            size: find("dataset_size").ok_or_else(|| missing("dataset_size"))?,
            steps,
            perplexity,
            weight: find("weight"),
            convention: find("convention"),
        })
    }

    fn read(&self, row: &Row<'_>, into: &mut Observations) -> Result<(), Error> {
        let samples = row.count(self.size)?;
        let weight = self.weight.map_or(Ok(1.0), |at| row.positive(at))?;
        let convention = self.convention.map(|at| row.text(at).to_string()).unwrap_or_default();
        if let Some(at) = self.steps {
            let module =
                match self.module.map(|at| (at, row.text(at))) {
                    Some((at, "")) => return Err(fault(
                        row.line,
                        at + 1,
                        "the module has no name; write one, such as `llm`, or leave out the column `module`"
                            .into(),
                    )),
                    Some((_, name)) => name.to_string(),
                    None => MODULE.to_string(),
                };
            let (rank, steps) = (row.count(self.ranks[0].1)?, row.positive(at)?);
            into.convergence.push(ConvergenceObservation {
                module,
                rank,
                samples,
                steps,
                weight,
                convention,
            });
        } else if let Some(at) = self.perplexity {
            let ranks = self.ranks.iter().map(|(module, at)| Ok((module.clone(), row.count(*at)?)));
            let ranks: Ranks = ranks.collect::<Result<Vec<_>, Error>>()?.into_iter().collect();
            // exp of a loss, which is no less than 0.
            let perplexity =
                row.parse(at, |value: &f64| *value >= 1.0 && value.is_finite(), "a finite perplexity >= 1")?;
            into.performance.push(PerformanceObservation { ranks, samples, perplexity, weight, convention });
        }
        Ok(())
    }
}

/// One line; cells are read with errors that name line and column.
struct Row<'a> {
    record: &'a StringRecord,
    line: u64,
}

impl Row<'_> {
    fn text(&self, at: usize) -> &str {
        self.record.get(at).unwrap_or_default()
    }

    fn parse<T: FromStr>(&self, at: usize, accept: impl Fn(&T) -> bool, wanted: &str) -> Result<T, Error> {
        let text = self.text(at);
        text.parse().ok().filter(accept).ok_or_else(|| {
            let found = if text.is_empty() { "an empty cell".into() } else { format!("`{text}`") };
            fault(self.line, at + 1, format!("{found} is not {wanted}"))
        })
    }

    fn count(&self, at: usize) -> Result<usize, Error> {
        self.parse(at, |count| *count >= 1, "a whole number >= 1")
    }

    fn positive(&self, at: usize) -> Result<f64, Error> {
        self.parse(at, |value: &f64| *value > 0.0 && value.is_finite(), "a finite number > 0")
    }
}
