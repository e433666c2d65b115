//! Law-P fitted up to a size, compared with everything that was measured, larger sizes included.

use super::{
    FitRequest,
    output::{BestRankOutput, LawPOutput, ScoreOutput},
};
use crate::{
    Error,
    choose::{DecidedBy, FormChoice, choose_with_fits, contenders},
    law::{Form, LawPFit, fit_law_p},
    observation::{PerformanceObservation, Ranks},
};
use std::collections::BTreeSet;

/// Law-P fitted up to a size, and all observations.
pub(super) struct Performance<'a> {
    observations: &'a [PerformanceObservation],
    limit: usize,
    pub(super) level: f64,
    choice: FormChoice,
    /// The fits of all forms, in the order of the scores; `None` where a form could not be fitted.
    form_fits: Vec<Option<LawPFit>>,
    pub(super) fit: LawPFit,
}

impl<'a> Performance<'a> {
    pub(super) fn fit(
        observations: &'a [PerformanceObservation],
        limit: usize,
        request: &FitRequest,
    ) -> Result<Self, Error> {
        let known: Vec<_> = observations.iter().filter(|o| o.samples <= limit).cloned().collect();
        let mut forms = Form::ALL.to_vec();
        forms.extend(request.form.filter(|form| !Form::ALL.contains(form)));
        let (mut choice, form_fits) = choose_with_fits(&known, &forms, &request.law_p)?;
        if let Some(form) = request.form {
            choice.form = form;
            choice.decided_by = DecidedBy::Request;
        }
        let fit = fit_law_p(&known, choice.form, &request.law_p)?;
        Ok(Self { observations, limit, level: request.law_p.bootstrap.level, choice, form_fits, fit })
    }

    fn sizes(&self) -> BTreeSet<usize> {
        self.observations.iter().map(|o| o.samples).collect()
    }

    /// The distinct ranks of the observations for which `keep` holds.
    pub(super) fn ranks(&self, keep: impl Fn(&PerformanceObservation) -> bool) -> Vec<Ranks> {
        let kept: BTreeSet<&Ranks> = self.observations.iter().filter(|o| keep(o)).map(|o| &o.ranks).collect();
        kept.into_iter().cloned().collect()
    }

    /// Weighted mean of the perplexities measured at given ranks and size.
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

    /// Sizes at which more than one choice of ranks was measured.
    fn compared_sizes(&self) -> Vec<usize> {
        self.sizes().into_iter().filter(|d| self.ranks(|o| o.samples == *d).len() > 1).collect()
    }

    pub(super) fn best_ranks(&self) -> Result<Vec<BestRankOutput>, Error> {
        let mut all = Vec::new();
        for samples in self.compared_sizes() {
            let choices = contenders(&self.fit, &self.ranks(|o| o.samples == samples), samples, self.level)?;
            let best = choices.iter().min_by(|a, b| a.perplexity.total_cmp(&b.perplexity));
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

    /// Weighted root mean square error on the sizes that were not fitted, in perplexity.
    fn rms_larger(&self, fit: &LawPFit) -> Option<f64> {
        let larger = self.observations.iter().filter(|o| o.samples > self.limit);
        let (sum, weight) = larger.fold((0.0, 0.0), |(sum, weight), o| {
            let error = fit.predict(&o.ranks, o.samples) - o.perplexity;
            (sum + o.weight * error * error, weight + o.weight)
        });
        (weight > 0.0).then(|| (sum / weight).sqrt())
    }

    pub(super) fn into_output(self) -> LawPOutput {
        let sizes = self.compared_sizes();
        let right = |fit: &LawPFit| {
            sizes.iter().filter(|d| self.best_measured(**d) == self.best_predicted(fit, **d)).count()
        };
        let scores = self
            .choice
            .scores
            .iter()
            .zip(&self.form_fits)
            .map(|(score, fit)| ScoreOutput {
                form: score.form,
                rms: score.rms,
                rms_larger: fit.as_ref().and_then(|f| self.rms_larger(f)),
                best_right: fit.as_ref().map_or(0, right),
                best_of: sizes.len(),
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
