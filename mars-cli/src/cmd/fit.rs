//! `mars fit`: laws, intervals, goodness of fit and choice of form.

use crate::{
    args,
    cluster::shell,
    cmd::{Context, must_have_campaign},
    exit::Exit,
    output,
};
use mars::{
    Error,
    mars_laws::{FitRequest, Form, Loss, Observations, analyse},
    mars_lora::stored::regular,
    search::observations,
};
use std::{collections::BTreeSet, fs, path::Path};

pub(crate) fn run(context: &Context, args: &args::Fit) -> Result<Exit, Error> {
    let (form, loss) = (form(&args.form)?, loss(&args.loss)?);
    let (observations, mut request) = match &args.campaign {
        Some(directory) => {
            let (observations, config) = measured(directory)?;
            (observations, config.fit_request())
        }
        None => {
            let observations = tables(context, args)?;
            let request = of_tables(&observations, args)?;
            (observations, request)
        }
    };
    if form.is_some() && observations.performance.is_empty() {
        return Err(Error::usage(format!(
            "--form {}: no perplexity was measured, so there is no performance law to fit; leave --form out",
            args.form
        )));
    }
    (request.form, request.fit_up_to, request.predict) = (form, args.fit_up_to, args.predict.clone());
    (request.law_c.loss, request.law_p.loss) = (loss, loss);
    let fitted = analyse(&observations, &request)?;
    if let Some(other) = fitted.law_c.keys().next()
        && args.campaign.is_none()
        && !fitted.law_c.contains_key(&request.reference)
    {
        let reference = &request.reference;
        context.console.warn(format!(
            "no ranks are balanced: {reference} has no law; --reference names another module, as in --reference {other}"
        ));
    }
    if context.common.json {
        output::json(&fitted)?
    } else {
        output::text(fitted.to_string().trim_end())?
    }
    Ok(Exit::Done)
}

/// What the campaign in `directory` has measured, which must be something.
fn measured(directory: &Path) -> Result<(Observations, mars::SearchConfig), Error> {
    must_have_campaign(directory)?;
    let (observations, config) = observations(directory)?;
    if observations.convergence.is_empty() && observations.performance.is_empty() {
        return Err(Error::input(format!(
            "{} holds no finished calibration run; `mars calibrate --campaign {}` trains those of its policy, and with \
             `--policy paper` those of the published method, whatever search.budget is",
            directory.display(),
            shell::path(directory)
        )));
    }
    Ok((observations, config))
}

/// What to fit to tables: the reference and the candidates that are given, otherwise the ranks that were measured.
fn of_tables(observations: &Observations, args: &args::Fit) -> Result<FitRequest, Error> {
    let mut request = FitRequest::default();
    let times = &observations.convergence;
    if times.is_empty() && (args.reference.is_some() || !args.ranks.is_empty()) {
        return Err(Error::usage(
            "--reference and --ranks apply to balanced ranks, but the tables contain no convergence times (a column `steps`); leave \
             them out",
        ));
    }
    if let Some(reference) = &args.reference {
        if !times.iter().any(|one| one.module == *reference) {
            let modules: BTreeSet<&str> = times.iter().map(|one| one.module.as_str()).collect();
            let modules: Vec<&str> = modules.into_iter().collect();
            return Err(Error::usage(format!(
                "--reference {reference}: the tables have no such module; they have {}",
                modules.join(", ")
            )));
        }
        request.reference.clone_from(reference);
    }
    let mut ranks: Vec<usize> = args.ranks.iter().map(|rank| rank.get()).collect();
    if ranks.is_empty() {
        ranks = times.iter().map(|one| one.rank).collect();
    }
    ranks.sort_unstable();
    ranks.dedup();
    request.balance.candidates = ranks;
    Ok(request)
}

/// The observations of all tables, each of which counts once.
fn tables(context: &Context, args: &args::Fit) -> Result<Observations, Error> {
    let mut all = Observations::default();
    let mut known = Vec::new();
    for path in &args.runs {
        // A table that is not there is refused when it is read.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        if known.contains(&place) {
            return Err(Error::usage(format!(
                "--runs {}: the table is given twice, and its rows would count as further measurements; give it once",
                path.display()
            )));
        }
        known.push(place);
        let text = regular::read_text(path, u64::MAX).map_err(|error| {
            Error::reading(path, error, Error::input(format!("cannot read the table {}", path.display())))
        })?;
        let table = Observations::from_csv(&text)
            .map_err(|error| Error::input(path.display().to_string()).because(error))?;
        all.extend(table);
    }
    let (copies, rows) = (all.copies(), all.convergence.len() + all.performance.len());
    if copies > 0 {
        context.console.warn(format!(
            "{copies} of {rows} rows duplicate an earlier one; each is counted as a separate measurement, which makes intervals too \
             narrow if it is not"
        ));
    }
    Ok(all)
}

fn form(text: &str) -> Result<Option<Form>, Error> {
    match text {
        "auto" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            Error::usage(format!("--form {text}: must be one of published, tied, overfit, surface and auto"))
        }),
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
