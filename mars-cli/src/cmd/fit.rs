//! `mars fit`: laws, intervals, goodness of fit and choice of form.

use crate::{args, exit::Exit, output};
use mars::{
    Error,
    mars_laws::{FitOutput, FitRequest, Form, Interval, Loss, Observations, analyse},
    quantity::number,
    search::observations,
};
use std::{fs, path::Path};

pub(crate) fn run(args: &args::Fit, json: bool) -> Result<Exit, Error> {
    let (form, loss) = (form(&args.form)?, loss(&args.loss)?);
    let (observations, mut request) = match &args.campaign {
        Some(directory) => {
            let (observations, config) = measured(directory)?;
            (observations, config.fit_request())
        }
        None => (tables(args)?, FitRequest::default()),
    };
    (request.form, request.fit_up_to, request.predict) = (form, args.fit_up_to, args.predict.clone());
    (request.law_c.loss, request.law_p.loss) = (loss, loss);
    let fitted = analyse(&observations, &request)?;
    if json {
        output::json(&fitted)?
    } else {
        output::text(describe(&fitted))?
    }
    Ok(Exit::Done)
}

/// What the campaign in `directory` has measured, which must be something.
fn measured(directory: &Path) -> Result<(Observations, mars::SearchConfig), Error> {
    let (observations, config) = observations(directory)?;
    if observations.convergence.is_empty() && observations.performance.is_empty() {
        return Err(Error::input(format!(
            "{0} holds no finished calibration run; `mars calibrate --campaign {0}` does them",
            directory.display()
        )));
    }
    Ok((observations, config))
}

fn tables(args: &args::Fit) -> Result<Observations, Error> {
    let mut all = Observations::default();
    for path in &args.runs {
        let text = fs::read_to_string(path).map_err(|error| {
            Error::input(format!("cannot read the table {}", path.display())).because(error)
        })?;
        let table = Observations::from_csv(&text)
            .map_err(|error| Error::input(path.display().to_string()).because(error))?;
        all.extend(table);
    }
    Ok(all)
}

fn form(text: &str) -> Result<Option<Form>, Error> {
    match Form::ALL.into_iter().find(|form| form.as_str() == text) {
        None if text == "auto" => Ok(None),
        None => Err(Error::usage(format!("--form {text}: there are published, overfit, surface and auto"))),
        known => Ok(known),
    }
}

fn loss(text: &str) -> Result<Loss, Error> {
    let (name, size) = text.split_once(':').unwrap_or((text, ""));
    let size = size.parse::<f64>().ok().filter(|size| *size > 0.0 && size.is_finite());
    Ok(match (name, size) {
        ("plain", None) if text == "plain" => Loss::Plain,
        ("huber", Some(size)) => Loss::Huber(size),
        ("cauchy", Some(size)) => Loss::Cauchy(size),
        _ => {
            return Err(Error::usage(format!(
                "--loss {text}: give plain, huber:SIZE or cauchy:SIZE, SIZE > 0"
            )));
        }
    })
}

/// The fit for people.
fn describe(fit: &FitOutput) -> String {
    let mut parts = Vec::new();
    if !fit.law_c.is_empty() {
        let header = ["module", "k", "gamma", "delta", "offset", "R2 (log)", "points", "fit"];
        let rows = fit.law_c.iter().map(|(module, law)| {
            let with = |name: &str, value: f64| format!("{value:.4}{}", interval(law.interval.get(name)));
            vec![
                module.clone(),
                with("k", law.k),
                with("gamma", law.gamma),
                with("delta", law.delta),
                with("offset", law.offset),
                format!("{:.4}", law.r2_log),
                law.points.to_string(),
                law.reason.to_string(),
            ]
        });
        parts.push("Convergence: steps = k * rank^gamma * samples^delta + offset".to_owned());
        parts.push(output::table(&header, rows));
    }
    if let Some(law) = &fit.law_p {
        let params: Vec<String> = law
            .params
            .iter()
            .map(|(name, value)| format!("{name} = {value:.5}{}", interval(law.interval.get(name))))
            .collect();
        parts.push(format!(
            "Performance: form {} (rms {:.4}, {} points, {})",
            law.form, law.rms, law.points, law.reason
        ));
        parts.push(format!("  {}", params.join("\n  ")));
        let header = ["form", "rms", "rms larger sizes", "best rank right", "rolling rms", "AICc"];
        let rows = law.scores.iter().map(|score| {
            vec![
                score.form.to_string(),
                number(score.rms),
                number(score.rms_larger),
                format!("{} of {}", score.best_right, score.best_of),
                number(score.rolling_rms),
                number(score.aicc),
            ]
        });
        parts.push(output::table(&header, rows));
    }
    if !fit.balanced.is_empty() {
        let rows = fit.balanced.iter().map(|balanced| {
            let ranks: Vec<String> =
                balanced.ranks.iter().map(|(module, rank)| format!("{module}={rank}")).collect();
            vec![
                ranks.join(","),
                balanced.samples.to_string(),
                balanced.outcome.to_string(),
                number(balanced.raw),
                interval(balanced.interval.as_ref()).trim().to_owned(),
            ]
        });
        let header = ["balanced", "samples", "outcome", "before rounding", "interval"];
        parts.push(output::table(&header, rows));
    }
    if !fit.best_rank_by_size.is_empty() {
        let rows = fit.best_rank_by_size.iter().map(|best| {
            vec![
                best.samples.to_string(),
                if best.fitted { "fitted" } else { "held out" }.to_owned(),
                best.measured.to_string(),
                best.predicted.to_string(),
                if best.right { "yes" } else { "no" }.to_owned(),
            ]
        });
        let header = ["samples", "", "best measured", "best predicted", "right"];
        parts.push(output::table(&header, rows));
    }
    for prediction in &fit.predictions {
        parts.push(format!("At {} samples:", prediction.samples));
        for steps in &prediction.steps {
            let within = interval(Some(&steps.interval));
            parts.push(format!("  {} rank {}: {:.1} steps{within}", steps.module, steps.rank, steps.steps));
        }
        for contender in &prediction.perplexity {
            parts.push(format!("  {}: perplexity {:.4}", contender.ranks, contender.perplexity));
        }
    }
    parts.join("\n\n").replace("\n\n  ", "\n  ")
}

fn interval(interval: Option<&Interval>) -> String {
    match interval {
        Some(interval) if interval.lo.is_finite() && interval.hi.is_finite() => {
            format!(" [{:.3}, {:.3}]", interval.lo, interval.hi)
        }
        _ => String::new(),
    }
}
