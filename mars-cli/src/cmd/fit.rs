//! `mars fit`: laws, intervals, goodness of fit and choice of form.

use crate::{
    args,
    failure::{Exit, Failure},
    observed, output, quantity,
};
use anyhow::{Context, Result};
use mars_laws::{FitOutput, FitRequest, Form, Interval, LawCSummary, Loss, Observations, analyse};
use std::fs;

pub(crate) fn run(args: &args::Fit, json: bool) -> Result<Exit> {
    let (form, loss) = (form(&args.form)?, loss(&args.loss)?);
    let (observations, mut request) = match &args.campaign {
        Some(directory) => {
            let (observations, config) = observed::of_campaign(directory)?;
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

fn tables(args: &args::Fit) -> Result<Observations> {
    let mut all = Observations::default();
    for path in &args.runs {
        let text = fs::read_to_string(path)
            .with_context(|| Failure::input(format!("cannot read the table {}", path.display())))?;
        let table =
            Observations::from_csv(&text).with_context(|| Failure::input(path.display().to_string()))?;
        all.extend(table);
    }
    Ok(all)
}

fn form(text: &str) -> Result<Option<Form>> {
    match Form::ALL.into_iter().find(|form| form.as_str() == text) {
        None if text == "auto" => Ok(None),
        None => {
            Err(Failure::usage(format!("--form {text}: there are published, overfit, surface and auto"))
                .into())
        }
        known => Ok(known),
    }
}

fn loss(text: &str) -> Result<Loss> {
    let (name, size) = text.split_once(':').unwrap_or((text, ""));
    let size = size.parse::<f64>().ok().filter(|size| *size > 0.0 && size.is_finite());
    Ok(match (name, size) {
        ("plain", None) if text == "plain" => Loss::Plain,
        ("huber", Some(size)) => Loss::Huber(size),
        ("cauchy", Some(size)) => Loss::Cauchy(size),
        _ => {
            return Err(Failure::usage(format!(
                "--loss {text}: give plain, huber:SIZE or cauchy:SIZE, SIZE > 0"
            ))
            .into());
        }
    })
}

/// The fit for people.
pub(crate) fn describe(fit: &FitOutput) -> String {
    let mut parts = Vec::new();
    if !fit.law_c.is_empty() {
        let header =
            ["module", "k", "gamma", "delta", "offset", "R2 (log)", "points", "fit"].map(String::from);
        let rows = fit.law_c.iter().map(|(module, output)| {
            let LawCSummary { law, r2_log, interval: intervals, reason } = &output.summary;
            let with = |name: &str, value: f64| format!("{value:.4}{}", interval(intervals.get(name)));
            vec![
                module.clone(),
                with("k", law.k),
                with("gamma", law.gamma),
                with("delta", law.delta),
                with("offset", law.offset),
                format!("{:.4}", r2_log),
                output.points.to_string(),
                reason.to_string(),
            ]
        });
        parts.push("Convergence: steps = k * rank^gamma * samples^delta + offset".to_owned());
        parts.push(output::table(
            &[vec![header.to_vec()], rows.map(|row| vec![row]).collect::<Vec<_>>().concat()].concat(),
        ));
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
        let header =
            ["form", "rms", "rms larger sizes", "best rank right", "rolling rms", "AICc"].map(String::from);
        let rows = law.scores.iter().map(|score| {
            vec![
                score.form.to_string(),
                quantity::number(score.rms),
                quantity::number(score.rms_larger),
                format!("{} of {}", score.best_right, score.best_of),
                quantity::number(score.rolling_rms),
                quantity::number(score.aicc),
            ]
        });
        parts.push(output::table(&std::iter::once(header.to_vec()).chain(rows).collect::<Vec<_>>()));
    }
    if !fit.balanced.is_empty() {
        let rows = fit.balanced.iter().map(|balanced| {
            let ranks: Vec<String> =
                balanced.ranks.iter().map(|(module, rank)| format!("{module}={rank}")).collect();
            vec![
                ranks.join(","),
                balanced.samples.to_string(),
                balanced.outcome.to_string(),
                quantity::number(balanced.raw),
                interval(balanced.interval.as_ref()).trim().to_owned(),
            ]
        });
        let header = ["balanced", "samples", "outcome", "before rounding", "interval"].map(String::from);
        parts.push(output::table(&std::iter::once(header.to_vec()).chain(rows).collect::<Vec<_>>()));
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
        let header = ["samples", "", "best measured", "best predicted", "right"].map(String::from);
        parts.push(output::table(&std::iter::once(header.to_vec()).chain(rows).collect::<Vec<_>>()));
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
