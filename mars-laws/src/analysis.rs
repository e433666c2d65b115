//! From observations to everything `mars fit` reports, in one call.

use crate::{
    BalanceOptions, Error, Form, LawCFit, LawCOptions, LawPFit, LawPOptions, Loss, Observations, Outcome,
    PerformanceObservation, Ranks, balance,
    choice::{DecidedBy, FormChoice, choose_with_fits},
    contender::contenders,
    fit_law_c::fit_law_c_all,
    fit_law_p::fit_law_p,
    output::*,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What to fit and to report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitRequest {
    /// Form of Law-P; `None` (the default) chooses by held-out sizes and AICc.
    pub form: Option<Form>,
    /// How to fit Law-C.
    pub law_c: LawCOptions,
    /// How to fit Law-P.
    pub law_p: LawPOptions,
    /// How ranks are balanced; its candidates are also the ranks of the reference module.
    pub balance: BalanceOptions,
    /// The module against which the others are balanced; `llm` by default.
    pub reference: String,
    /// Largest number of samples that is fitted; `None` fits all, larger ones only score.
    pub fit_up_to: Option<usize>,
    /// Numbers of samples to predict and to balance at; empty balances at the largest measured.
    pub predict: Vec<usize>,
}

impl Default for FitRequest {
    fn default() -> Self {
        Self {
            form: None,
            law_c: LawCOptions::default(),
            law_p: LawPOptions::default(),
            balance: BalanceOptions::default(),
            reference: "llm".into(),
            fit_up_to: None,
            predict: Vec::new(),
        }
    }
}

/// Reads one table of observations and reports on it: what `mars fit --runs FILE.csv` prints.
///
/// # Errors
/// As [`Observations::from_csv`] and [`analyse`].
pub fn analyse_csv(text: &str, request: &FitRequest) -> Result<FitOutput, Error> {
    analyse(&Observations::from_csv(text)?, request)
}

/// Fits the laws that the observations allow, balances ranks, and compares predicted with measured best ranks.
///
/// # Errors
/// Too few observations of a module or of the joint runs (also after `fit_up_to`), bad values, mixed
/// conventions, bad options.
pub fn analyse(observations: &Observations, request: &FitRequest) -> Result<FitOutput, Error> {
    let limit = request.fit_up_to.unwrap_or(usize::MAX);
    let times: Vec<_> = observations.convergence.iter().filter(|o| o.samples <= limit).cloned().collect();
    if let Some(o) = observations.convergence.iter().find(|o| !times.iter().any(|t| t.module == o.module)) {
        return Err(Error::TooFewObservations { law: format!("law-c of {}", o.module), needed: 3, found: 0 });
    }
    let law_c = fit_law_c_all(&times, &request.law_c)?;
    let performance = &observations.performance;
    let law_p =
        if performance.is_empty() { None } else { Some(Performance::fit(performance, limit, request)?) };
    let sizes = if request.predict.is_empty() {
        times.iter().map(|o| o.samples).max().into_iter().collect()
    } else {
        request.predict.clone()
    };
    let predictions = request.predict.iter().map(|d| predict(&law_c, law_p.as_ref(), *d, request));
    Ok(FitOutput {
        balanced: sizes.iter().flat_map(|d| balanced(&law_c, *d, request)).collect(),
        best_rank_by_size: law_p.as_ref().map_or(Ok(Vec::new()), Performance::best_ranks)?,
        predictions: predictions.collect::<Result<_, _>>()?,
        law_p: law_p.map(Performance::into_output),
        law_c: law_c.iter().map(|(module, fit)| (module.clone(), fit.into())).collect(),
    })
}

impl FitRequest {
    /// The same with one loss for both laws; its size is in ln(steps) for Law-C and in perplexity for Law-P.
    #[must_use]
    pub fn with_loss(mut self, loss: Loss) -> Self {
        self.law_c.loss = loss;
        self.law_p.loss = loss;
        self
    }
}

impl From<&LawCFit> for LawCOutput {
    fn from(fit: &LawCFit) -> Self {
        Self {
            k: fit.law.k,
            gamma: fit.law.gamma,
            delta: fit.law.delta,
            offset: fit.law.offset,
            r2_log: fit.r2_log,
            interval: fit.interval.clone(),
            reason: fit.reason,
            points: fit.fit.goodness.points,
            rms_log: fit.fit.goodness.rms_log,
            aicc: fit.fit.goodness.aicc,
        }
    }
}

fn balanced(laws: &BTreeMap<String, LawCFit>, samples: usize, request: &FitRequest) -> Vec<BalancedOutput> {
    let Some(reference) = laws.get(&request.reference) else { return Vec::new() };
    let mut all = Vec::new();
    for rank in &request.balance.candidates {
        for (module, other) in laws.iter().filter(|(module, _)| **module != request.reference) {
            let found = balance(reference, *rank, other, samples, &request.balance);
            all.push(BalancedOutput {
                ranks: [(request.reference.clone(), *rank), (module.clone(), found.rank)].into(),
                outcome: found.outcome.as_str().into(),
                interval: found.interval,
                samples,
                module: module.clone(),
                raw: found.raw,
                fallback: match found.outcome {
                    Outcome::Fallback(reason) => Some(reason),
                    _ => None,
                },
            });
        }
    }
    all
}

fn predict(
    laws: &BTreeMap<String, LawCFit>,
    performance: Option<&Performance<'_>>,
    samples: usize,
    request: &FitRequest,
) -> Result<PredictionOutput, Error> {
    let mut steps = Vec::new();
    for (module, fit) in laws {
        for rank in &request.balance.candidates {
            let at = |law: &crate::LawC| law.predict(*rank as f64, samples as f64);
            let interval = fit.interval_of(request.law_c.bootstrap.level, at).at_least(0.0);
            steps.push(StepsOutput { module: module.clone(), rank: *rank, steps: at(&fit.law), interval });
        }
    }
    let perplexity = match performance {
        None => Vec::new(),
        Some(p) => contenders(&p.fit, &p.ranks(|_| true), samples, request.law_p.bootstrap.level)?,
    };
    Ok(PredictionOutput { samples, steps, perplexity })
}

/// Law-P fitted, beside all that was measured.
struct Performance<'a> {
    observations: &'a [PerformanceObservation],
    limit: usize,
    level: f64,
    choice: FormChoice,
    /// Fits of all forms that could be made, in the order of the scores.
    rivals: Vec<Option<LawPFit>>,
    fit: LawPFit,
}

impl<'a> Performance<'a> {
    fn fit(
        observations: &'a [PerformanceObservation],
        limit: usize,
        request: &FitRequest,
    ) -> Result<Self, Error> {
        let known: Vec<_> = observations.iter().filter(|o| o.samples <= limit).cloned().collect();
        let (mut choice, rivals) = choose_with_fits(&known, &Form::ALL, &request.law_p)?;
        if let Some(form) = request.form {
            choice.form = form;
            choice.decided_by = DecidedBy::Request;
        }
        let fit = fit_law_p(&known, choice.form, &request.law_p)?;
        Ok(Self { observations, limit, level: request.law_p.bootstrap.level, choice, rivals, fit })
    }

    fn sizes(&self) -> BTreeSet<usize> {
        self.observations.iter().map(|o| o.samples).collect()
    }

    /// Different ranks among the observations that `keep` keeps.
    fn ranks(&self, keep: impl Fn(&PerformanceObservation) -> bool) -> Vec<Ranks> {
        let kept: BTreeSet<&Ranks> = self.observations.iter().filter(|o| keep(o)).map(|o| &o.ranks).collect();
        kept.into_iter().cloned().collect()
    }

    /// Weighted mean of the perplexities measured at ranks and size.
    fn measured(&self, ranks: &Ranks, samples: usize) -> f64 {
        let same = self.observations.iter().filter(|o| o.samples == samples && o.ranks == *ranks);
        let (sum, weight) =
            same.fold((0.0, 0.0), |(sum, weight), o| (sum + o.weight * o.perplexity, weight + o.weight));
        sum / weight
    }

    fn best_measured(&self, samples: usize) -> Option<Ranks> {
        let ranks = self.ranks(|o| o.samples == samples);
        ranks.into_iter().min_by(|a, b| self.measured(a, samples).total_cmp(&self.measured(b, samples)))
    }

    fn best_predicted(&self, fit: &LawPFit, samples: usize) -> Option<Ranks> {
        let ranks = self.ranks(|o| o.samples == samples);
        ranks.into_iter().min_by(|a, b| fit.predict(a, samples).total_cmp(&fit.predict(b, samples)))
    }

    /// Sizes at which there is a best rank to find.
    fn contested(&self) -> Vec<usize> {
        self.sizes().into_iter().filter(|d| self.ranks(|o| o.samples == *d).len() > 1).collect()
    }

    fn best_ranks(&self) -> Result<Vec<BestRankOutput>, Error> {
        let mut all = Vec::new();
        for samples in self.contested() {
            let field = contenders(&self.fit, &self.ranks(|o| o.samples == samples), samples, self.level)?;
            let best = field.iter().min_by(|a, b| a.perplexity.total_cmp(&b.perplexity));
            let (Some(best), Some(measured)) = (best, self.best_measured(samples)) else { continue };
            all.push(BestRankOutput {
                samples,
                fitted: samples <= self.limit,
                perplexity: self.measured(&measured, samples),
                right: best.ranks == measured,
                measured,
                predicted: best.ranks.clone(),
                predicted_perplexity: best.perplexity,
                probability: best.probability,
            });
        }
        Ok(all)
    }

    fn rms_larger(&self, fit: &LawPFit) -> Option<f64> {
        let larger = self.observations.iter().filter(|o| o.samples > self.limit);
        let (sum, weight) = larger.fold((0.0, 0.0), |(sum, weight), o| {
            let error = fit.predict(&o.ranks, o.samples) - o.perplexity;
            (sum + o.weight * error * error, weight + o.weight)
        });
        (weight > 0.0).then(|| (sum / weight).sqrt())
    }

    fn into_output(self) -> LawPOutput {
        let contested = self.contested();
        let right = |fit: &LawPFit| {
            contested.iter().filter(|d| self.best_measured(**d) == self.best_predicted(fit, **d)).count()
        };
        let scores = self
            .choice
            .scores
            .iter()
            .zip(&self.rivals)
            .map(|(score, fit)| ScoreOutput {
                form: score.form,
                rms: score.rms,
                rms_larger: fit.as_ref().and_then(|f| self.rms_larger(f)),
                best_right: fit.as_ref().map_or(0, right),
                best_of: contested.len(),
                rolling_rms: score.rolling_rms,
                rolling: score.rolling.clone(),
                aicc: score.aicc,
                reason: score.reason,
                error: score.error.clone(),
            })
            .collect();
        LawPOutput {
            form: self.choice.form,
            params: self.fit.parameters,
            rms: self.fit.rms,
            scores,
            decided_by: self.choice.decided_by,
            interval: self.fit.interval,
            reason: self.fit.reason,
            points: self.fit.fit.goodness.points,
        }
    }
}
