//! From observations to a full report in one call.

use super::{
    FitRequest,
    output::{BalancedOutput, FitOutput, PredictionOutput, StepsOutput},
    performance::Performance,
};
use crate::{
    Error,
    choose::{Outcome, balance, contenders},
    error::check_samples,
    law::{CalibrationSet, LawC, LawCFit, fit_law_c_all, registered_law_c},
    observation::Observations,
    registration::RegistrationOptions,
    uncertainty::check_level,
};
use std::collections::BTreeMap;

/// Reads one CSV table of observations and reports on it.
///
/// # Errors
/// As [`Observations::from_csv`] and [`analyse`].
///
/// ```
/// use mars_laws::{FitRequest, analyse_csv};
///
/// # fn main() -> Result<(), mars_laws::Error> {
/// let table = "rank,dataset_size,steps\n8,64,50\n8,256,125\n16,64,45\n16,256,95\n32,64,35\n32,256,75\n";
/// let report = analyse_csv(table, &FitRequest { predict: vec![1024], ..FitRequest::default() })?;
/// let law = &report.law_c["llm"].summary;
/// assert!(law.reason.is_ok() && law.law.gamma < 0.0);
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
pub fn analyse_csv(text: &str, request: &FitRequest) -> Result<FitOutput, Error> {
    analyse(&Observations::from_csv(text)?, request)
}

/// Fits the laws that the observations allow, balances ranks, and compares predicted with measured best ranks.
///
/// Convergence times, or curves where a module has them, give Law-C and balanced ranks, perplexities give Law-P and best
/// ranks by size; a law without observations is absent from the report.
///
/// # Errors
/// Too few observations of a module or of the joint runs (also after `fit_up_to`), curves that determine no law, bad values,
/// mixed conventions, bad options.
pub fn analyse(observations: &Observations, request: &FitRequest) -> Result<FitOutput, Error> {
    request.predict.iter().try_for_each(|samples| check_samples("predict", *samples))?;
    check_level(request.balance.level)?;
    let limit = request.fit_up_to.unwrap_or(usize::MAX);
    let registered = |module: &str| observations.curves.iter().any(|one| one.module == module);
    let timed = || observations.convergence.iter().filter(|o| !registered(&o.module));
    let times: Vec<_> = timed().filter(|o| o.samples <= limit).cloned().collect();
    if let Some(o) = timed().find(|o| !times.iter().any(|t| t.module == o.module)) {
        return Err(Error::TooFewObservations { law: format!("law-c of {}", o.module), needed: 3, found: 0 });
    }
    let mut law_c = fit_law_c_all(&times, &request.law_c)?;
    law_c.extend(register_all(observations, limit, request, law_c.len())?);
    let performance = &observations.performance;
    let law_p =
        if performance.is_empty() { None } else { Some(Performance::fit(performance, limit, request)?) };
    let sizes = if request.predict.is_empty() {
        let sets = observations.curves.iter().flat_map(|one| &one.sets).map(|set| set.samples);
        let sizes = times.iter().map(|o| o.samples).chain(sets.filter(|samples| *samples <= limit));
        sizes.max().into_iter().collect()
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

/// Law-C of the modules that have curves; their streams of random numbers come after `others`.
fn register_all(
    observations: &Observations,
    limit: usize,
    request: &FitRequest,
    others: usize,
) -> Result<BTreeMap<String, LawCFit>, Error> {
    let bootstrap = &request.law_c.bootstrap;
    let each = observations.curves.iter().enumerate().map(|(index, one)| {
        let sets: Vec<CalibrationSet> = one.sets.iter().filter(|set| set.samples <= limit).cloned().collect();
        let options = RegistrationOptions {
            level: bootstrap.level,
            ..RegistrationOptions::of_module(bootstrap.seed, others + index)
        };
        let law = registered_law_c(&one.module, &sets, &options)?.law;
        let refused = |why| Error::NoRegistration { module: one.module.clone(), why };
        Ok((one.module.clone(), law.map_err(refused)?))
    });
    each.collect()
}

fn balanced(laws: &BTreeMap<String, LawCFit>, samples: usize, request: &FitRequest) -> Vec<BalancedOutput> {
    let Some(reference) = laws.get(&request.reference) else { return Vec::new() };
    let mut all = Vec::new();
    for rank in &request.balance.candidates {
        for (module, other) in laws.iter().filter(|(module, _)| **module != request.reference) {
            let found = balance(reference, *rank, other, samples, &request.balance);
            all.push(BalancedOutput {
                ranks: [(request.reference.clone(), *rank), (module.clone(), found.rank)].into(),
                outcome: found.outcome.kind(),
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
            let at = |law: &LawC| law.predict(*rank as f64, samples as f64);
            let interval = fit.interval_of(request.law_c.bootstrap.level, at).at_least(0.0);
            steps.push(StepsOutput { module: module.clone(), rank: *rank, steps: at(&fit.law), interval });
        }
    }
    let perplexity = match performance {
        None => Vec::new(),
        Some(p) => contenders(&p.fit, &p.ranks(|_| true), samples, p.level)?,
    };
    Ok(PredictionOutput { samples, steps, perplexity })
}
