//! Exhaustive search over all combinations of candidate ranks for the lowest perplexities that Law-P predicts.
//!
//! With the ranks of all modules but the last fixed, every form of Law-P (the surface: its logarithm) is
//! u f(r) + v g(r) + w in the rank r of the last module, so a combination costs two multiplications.

use crate::{
    Error,
    error::check_samples,
    law::{Form, LawPFit, LawPForm},
    observation::Ranks,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ranks and the perplexity predicted for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredRanks {
    /// The ranks.
    pub ranks: Ranks,
    /// Predicted perplexity.
    pub perplexity: f64,
}

/// The `keep` combinations of lowest predicted perplexity at `samples`, best first; of equals, lower ranks first.
///
/// `candidates` maps each module of the law to the ranks to try. Runs in parallel; the result does not
/// depend on the number of threads.
///
/// # Errors
/// A module of the law without candidates, a candidate 0, 0 samples, or more than 2^40 combinations.
///
/// ```
/// use mars_laws::{Form, LawPOptions, PerformanceObservation, Ranks, best_ranks, fit_law_p};
///
/// # fn main() -> Result<(), mars_laws::Error> {
/// // Perplexities with their minimum at ve = 16, llm = 32.
/// let mut runs = Vec::new();
/// for ve in [4, 8, 16, 32, 64] {
///     for llm in [4, 8, 16, 32, 64] {
///         let (x, y) = ((ve as f64).log2() - 4.0, (llm as f64).log2() - 5.0);
///         let ranks = Ranks::new().with("ve", ve).with("llm", llm);
///         runs.push(PerformanceObservation::new(ranks, 1024, 3.0 * (0.02 * x * x + 0.01 * y * y).exp()));
///     }
/// }
/// let fit = fit_law_p(&runs, Form::Surface, &LawPOptions::default())?;
/// let candidates = ["ve", "llm"].map(|module| (module.to_string(), (1..=64).collect())).into();
/// let best = best_ranks(&fit, &candidates, 1024, 3)?;
/// assert_eq!(best[0].ranks.to_string(), "llm=32,ve=16");
/// assert!(best[0].perplexity <= best[1].perplexity);
/// # Ok(())
/// # }
/// ```
pub fn best_ranks(
    fit: &LawPFit,
    candidates: &BTreeMap<String, Vec<usize>>,
    samples: usize,
    keep: usize,
) -> Result<Vec<ScoredRanks>, Error> {
    check_samples("samples", samples)?;
    let axes = axes(&fit.law.modules, candidates)?;
    let Some((last, prefix)) = axes.split_last() else { return Ok(Vec::new()) };
    let slices = Slices::new(&fit.law, &fit.fit.parameters, prefix, last, samples as f64);
    let prefixes: usize = prefix.iter().map(Vec::len).product();
    const CHUNK: usize = 4096;
    let best = (0..prefixes.div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| {
            let mut best = Best::new(keep);
            for at in chunk * CHUNK..((chunk + 1) * CHUNK).min(prefixes) {
                let (u, v, w) = slices.of(at);
                for (j, (f, g)) in slices.inner.iter().enumerate() {
                    best.offer(u * f + v * g + w, at * last.len() + j);
                }
            }
            best
        })
        .reduce(|| Best::new(keep), Best::merge);
    let ranks = |mut at: usize| -> Ranks {
        let mut chosen = Vec::with_capacity(axes.len());
        for (module, axis) in fit.law.modules.iter().zip(&axes).rev() {
            chosen.push((module.clone(), axis[at % axis.len()]));
            at /= axis.len();
        }
        chosen.into_iter().collect()
    };
    let value = |score: f64| if fit.law.form == Form::Surface { score.exp() } else { score };
    Ok(best.kept.into_iter().map(|(s, at)| ScoredRanks { ranks: ranks(at), perplexity: value(s) }).collect())
}

/// Sorted candidates of each module, in the order of the law.
fn axes(modules: &[String], candidates: &BTreeMap<String, Vec<usize>>) -> Result<Vec<Vec<usize>>, Error> {
    let bad = |value: String, allowed| Err(Error::BadOption { name: "candidates", value, allowed });
    let mut axes = Vec::with_capacity(modules.len());
    let mut count = 1_usize;
    for module in modules {
        let mut axis = candidates.get(module).cloned().unwrap_or_default();
        axis.sort_unstable();
        axis.dedup();
        if axis.first().is_none_or(|rank| *rank == 0) {
            return bad(format!("{module}: {axis:?}"), "one or more ranks >= 1 for every module of the law");
        }
        count = count.saturating_mul(axis.len());
        axes.push(axis);
    }
    if count > 1 << 40 {
        return bad(format!("{count} combinations"), "at most 2^40 combinations");
    }
    Ok(axes)
}

/// A law as a function of the rank of its last module.
struct Slices {
    form: Form,
    /// For each module before the last, its contributions at each candidate.
    outer: Vec<Vec<[f64; 2]>>,
    /// f and g at each candidate of the last module.
    inner: Vec<(f64, f64)>,
    /// The surface's coefficients, terms as in [`LawPForm`].
    surface: Vec<f64>,
    /// The factors and the constant that do not depend on ranks.
    base: [f64; 3],
}

impl Slices {
    fn new(law: &LawPForm, parameters: &[f64], prefix: &[Vec<usize>], last: &[usize], samples: f64) -> Self {
        let n = law.modules.len();
        let form = law.form;
        if form == Form::Surface {
            let log = |rank: &usize| (*rank as f64).log2();
            let size = if law.sized { parameters[parameters.len() - 1] * samples.log2() } else { 0.0 };
            return Self {
                form,
                outer: prefix.iter().map(|axis| axis.iter().map(|r| [log(r), 0.0]).collect()).collect(),
                inner: last.iter().map(|r| (log(r), log(r) * log(r))).collect(),
                surface: parameters[1..parameters.len() - usize::from(law.sized)].to_vec(),
                base: [0.0, 0.0, parameters[0] + size],
            };
        }
        let parameters = law.complete(parameters);
        let rising = |i: usize| if form == Form::Overfit { parameters[n + 4 + i] } else { 0.0 };
        let powers =
            |i: usize, rank: usize| [(rank as f64).powf(-parameters[1 + i]), (rank as f64).powf(rising(i))];
        let outer =
            prefix.iter().enumerate().map(|(i, axis)| axis.iter().map(|r| powers(i, *r)).collect()).collect();
        let factor = if form == Form::Overfit { parameters[n + 3] * samples.powf(rising(n)) } else { 0.0 };
        Self {
            form,
            outer,
            inner: last.iter().map(|r| powers(n - 1, *r).into()).collect(),
            surface: Vec::new(),
            base: [parameters[0] * samples.powf(-parameters[n + 1]), factor, parameters[n + 2]],
        }
    }

    /// u, v, w of the `at`-th combination of the modules before the last.
    fn of(&self, mut at: usize) -> (f64, f64, f64) {
        let [mut u, mut v, mut w] = self.base;
        if self.form != Form::Surface {
            for axis in self.outer.iter().rev() {
                let [falling, rising] = axis[at % axis.len()];
                at /= axis.len();
                u *= falling;
                v *= rising;
            }
            return (u, v, w);
        }
        let n = self.outer.len() + 1;
        let mut logs = vec![0.0; n - 1];
        for (log, axis) in logs.iter_mut().zip(&self.outer).rev() {
            *log = axis[at % axis.len()][0];
            at /= axis.len();
        }
        // Coefficient of log2 r_i log2 r_j, i <= j: rows of the upper triangle follow the n linear ones.
        let cross = |i: usize, j: usize| self.surface[n + i * n - i * (i + 1) / 2 + j];
        u = self.surface[n - 1];
        v = cross(n - 1, n - 1);
        for (i, a) in logs.iter().enumerate() {
            w += self.surface[i] * a;
            w += logs[i..].iter().enumerate().map(|(d, b)| cross(i, i + d) * a * b).sum::<f64>();
            u += cross(i, n - 1) * a;
        }
        (u, v, w)
    }
}

/// The lowest scores seen, ascending; of equals, the earlier first. NaN is never kept.
struct Best {
    keep: usize,
    limit: f64,
    kept: Vec<(f64, usize)>,
}

impl Best {
    fn new(keep: usize) -> Self {
        Self { keep, limit: if keep == 0 { f64::NEG_INFINITY } else { f64::INFINITY }, kept: Vec::new() }
    }

    fn offer(&mut self, score: f64, at: usize) {
        if score < self.limit {
            let place = self.kept.partition_point(|(s, i)| (*s, *i) < (score, at));
            self.kept.insert(place, (score, at));
            self.kept.truncate(self.keep);
            if self.kept.len() == self.keep {
                self.limit = self.kept[self.keep - 1].0;
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.kept.extend(other.kept);
        self.kept.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.kept.truncate(self.keep);
        self
    }
}
