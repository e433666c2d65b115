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
    law::{CalibrationSet, LawC, LawCFit, fit_law_c_each, registered_law_c},
    observation::Observations,
    registration::RegistrationOptions,
    uncertainty::check_level,
};
use std::collections::{BTreeMap, BTreeSet};

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
/// ranks by size; a law without observations is absent from the report. Too few observations of a module or of the joint runs
/// (also after `fit_up_to`) and curves that determine no law are told in the report beside the laws that there are.
///
/// # Errors
/// Where no law is determined, why the first is not; bad values, mixed conventions, bad options.
pub fn analyse(observations: &Observations, request: &FitRequest) -> Result<FitOutput, Error> {
    request.predict.iter().try_for_each(|samples| check_samples("predict", *samples))?;
    request.fit_up_to.map_or(Ok(()), |samples| check_samples("fit_up_to", samples))?;
    check_level(request.balance.level)?;
    let limit = request.fit_up_to.unwrap_or(usize::MAX);
    let registered = |module: &str| observations.curves.iter().any(|one| one.module == module);
    let timed = || observations.convergence.iter().filter(|o| !registered(&o.module));
    let times: Vec<_> = timed().filter(|o| o.samples <= limit).cloned().collect();
    let known: BTreeSet<&str> = times.iter().map(|o| o.module.as_str()).collect();
    let beyond: BTreeSet<&str> =
        timed().map(|o| o.module.as_str()).filter(|module| !known.contains(module)).collect();
    let too_few = |module: &str| {
        let law = format!("law-c of {module}");
        (module.to_owned(), Err(Error::TooFewObservations { law, needed: 3, found: 0 }))
    };
    let mut fits: Fits = beyond.into_iter().map(too_few).collect();
    fits.extend(fit_law_c_each(&times, &request.law_c));
    fits.extend(register_all(observations, limit, request, known.len()));
    let (mut law_c, mut refused) = (BTreeMap::new(), Vec::new());
    for (module, fit) in fits {
        match fit {
            Ok(fit) => _ = law_c.insert(module, fit),
            Err(error) => match error.undetermined() {
                Some(why) => refused.push((module, why, error)),
                None => return Err(error),
            },
        }
    }
    let performance = &observations.performance;
    let law_p = (!performance.is_empty()).then(|| Performance::fit(performance, limit, request));
    let (law_p, refused_law_p) = match law_p.transpose() {
        Ok(law_p) => (law_p, None),
        Err(error) => match error.undetermined() {
            Some(why) => (None, Some((why, error))),
            None => return Err(error),
        },
    };
    if law_c.is_empty() && law_p.is_none() {
        let errors = refused.into_iter().map(|(_, _, error)| error);
        let mut errors = errors.chain(refused_law_p.map(|(_, error)| error));
        return errors.next().map_or_else(|| Ok(FitOutput::default()), Err);
    }
    let sizes = if request.predict.is_empty() {
        let fitted = |module: &str| law_c.contains_key(module);
        let curves = observations.curves.iter().filter(|one| fitted(&one.module));
        let sets =
            curves.flat_map(|one| &one.sets).map(|set| set.samples).filter(|samples| *samples <= limit);
        let sizes = times.iter().filter(|o| fitted(&o.module)).map(|o| o.samples).chain(sets);
        sizes.max().into_iter().collect()
    } else {
        request.predict.clone()
    };
    let predictions = request.predict.iter().map(|d| predict(&law_c, law_p.as_ref(), *d, request));
    Ok(FitOutput {
        balanced: sizes.iter().flat_map(|d| balanced(&law_c, *d, request)).collect(),
        unbalanced: unbalanced(&law_c, request),
        best_rank_by_size: law_p.as_ref().map_or(Ok(Vec::new()), Performance::best_ranks)?,
        predictions: predictions.collect::<Result<_, _>>()?,
        law_p: law_p.map(Performance::into_output),
        law_c: law_c.iter().map(|(module, fit)| (module.clone(), fit.into())).collect(),
        unfitted: refused.into_iter().map(|(module, why, _)| (module, why)).collect(),
        unfitted_law_p: refused_law_p.map(|(why, _)| why),
    })
}

/// Law-C of each module, or why it has none.
type Fits = Vec<(String, Result<LawCFit, Error>)>;

/// Law-C of the modules that have curves; their streams of random numbers come after `others`.
fn register_all(observations: &Observations, limit: usize, request: &FitRequest, others: usize) -> Fits {
    let bootstrap = &request.law_c.bootstrap;
    let each = observations.curves.iter().enumerate().map(|(index, one)| {
        let sets: Vec<CalibrationSet> = one.sets.iter().filter(|set| set.samples <= limit).cloned().collect();
        let options = RegistrationOptions {
            level: bootstrap.level,
            ..RegistrationOptions::of_module(bootstrap.seed, others + index)
        };
        let refused = |why| Error::NoRegistration { module: one.module.clone(), why };
        let found = registered_law_c(&one.module, &sets, &options);
        (one.module.clone(), found.and_then(|found| found.law.map_err(refused)))
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

/// Why ranks cannot be balanced by the laws that there are.
fn unbalanced(laws: &BTreeMap<String, LawCFit>, request: &FitRequest) -> Option<String> {
    let reference = &request.reference;
    let names: Vec<&str> = laws.keys().map(String::as_str).collect();
    match (laws.contains_key(reference), names.len()) {
        (_, 0) => None,
        (false, _) => {
            Some(format!("the reference {reference} has no Law-C; there is one of {}", names.join(", ")))
        }
        (true, 1) => Some(format!("there is a Law-C of {reference} alone, and none to balance against it")),
        (true, _) if request.balance.candidates.is_empty() => {
            Some(format!("there are no candidate ranks at which to take the reference {reference}"))
        }
        _ => None,
    }
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
