//! Tables of the report: decision, candidates, cost, provenance.

use super::{
    data::ReportData,
    number::{fixed, maybe, plain},
    svg::escape,
};
use crate::quantity::{duration, flops};
use mars_search::{Candidate, Cost, Gain, Role, TrialEnd, fine_tunes, run_cost, total_cost};

/// Rows of (name, value), both text.
fn facts(caption: &str, rows: &[(String, String)]) -> String {
    let rows: String = rows
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(name), escape(value))
        })
        .collect();
    format!(
        "<table class=\"facts\"><caption class=\"aside\">{}</caption><tbody>{rows}</tbody></table>",
        escape(caption)
    )
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Cell {
    /// Short words, kept on one line.
    Word,
    /// Numbers, aligned right.
    Number,
    /// Sentences.
    Text,
}

/// A table with a head; all cells are escaped.
fn table(caption: &str, head: &[(&str, Cell)], rows: &[(bool, Vec<String>)]) -> String {
    let class = |cell: Cell| match cell {
        Cell::Word => "",
        Cell::Number => " class=\"number\"",
        Cell::Text => " class=\"text\"",
    };
    let titles: String = head
        .iter()
        .map(|(title, cell)| format!("<th scope=\"col\"{}>{}</th>", class(*cell), escape(title)))
        .collect();
    let body: String = rows
        .iter()
        .map(|(strong, cells)| {
            let cells: String = cells
                .iter()
                .zip(head)
                .map(|(text, (_, cell))| format!("<td{}>{}</td>", class(*cell), escape(text)))
                .collect();
            format!("<tr{}>{cells}</tr>", if *strong { " class=\"strong\"" } else { "" })
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table><caption>{}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>",
        escape(caption)
    )
}

/// Ranks in the order of the space, `ve = 8, llm = 16`.
pub(crate) fn ranks(data: &ReportData, of: &mars_laws::Ranks) -> String {
    let modules = data.space.modules.iter();
    modules.map(|module| format!("{module} = {}", of.get(module))).collect::<Vec<_>>().join(", ")
}

/// What the whole search cost, and one fine-tune.
pub(crate) fn costs(data: &ReportData) -> (Cost, Cost) {
    (total_cost(&data.results), run_cost(&data.results, data.decision.trial))
}

/// What was decided and what it is worth.
pub(crate) fn decision(data: &ReportData) -> String {
    let (total, unit) = costs(data);
    let score = |pick: fn(&super::TestScore) -> String| {
        let show = |score: &Option<super::TestScore>| score.as_ref().map_or("–".to_owned(), pick);
        format!("{} → {}", show(&data.base), show(&data.tuned))
    };
    let tested = data.base.is_some() || data.tuned.is_some();
    let tested = |text: String| if tested { text } else { String::new() };
    let pair = |name: &str, value: String| (name.to_owned(), value);
    facts(
        "Decision",
        &[
            pair("Ranks", ranks(data, &data.decision.ranks)),
            pair("Outcome", data.decision.outcome.to_string()),
            pair("Policy", data.policy.clone()),
            pair("Why", data.decision.reason.clone()),
            pair("Validation loss, before → after training", gained(data)),
            pair("Over-fitting", data.overfitting.as_ref().map_or_else(String::new, ToString::to_string)),
            pair("Adapter parameters", parameters(data)),
            pair("Test perplexity, base → tuned", tested(score(|score| fixed(score.perplexity, 4)))),
            pair("Test accuracy, base → tuned", tested(score(|score| percent(score.accuracy)))),
            pair(
                "Cost of the search",
                format!(
                    "{} fine-tunes, {}, {} summed over trials",
                    maybe(fine_tunes(&total, &unit), 2),
                    told_flops(&total),
                    duration(total.wall_s)
                ),
            ),
            pair("One fine-tune", format!("{}, {}", told_flops(&unit), duration(unit.wall_s))),
        ],
    )
}

/// A trainer that counts no FLOPs says nothing of them.
fn told_flops(cost: &Cost) -> String {
    if cost.total_flops() == 0.0 { "FLOPs unknown".to_owned() } else { flops(cost.total_flops()) }
}

fn gained(data: &ReportData) -> String {
    let error = |gain: &Gain| {
        gain.error.map_or_else(String::new, |error| format!(", standard error {}", fixed(error, 4)))
    };
    data.decision.gain.as_ref().map_or_else(
        || "not measured".to_owned(),
        |gain| format!("{} → {}{}", fixed(gain.before, 4), fixed(gain.after, 4), error(gain)),
    )
}

fn parameters(data: &ReportData) -> String {
    if data.space.parameters_per_rank.is_empty() {
        return String::new();
    }
    data.space.parameters(&data.decision.ranks).to_string()
}

fn percent(share: Option<f64>) -> String {
    share
        .filter(|share| share.is_finite())
        .map_or("–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

/// Every rank choice that was considered.
pub(crate) fn candidates(data: &ReportData) -> String {
    let mut head: Vec<(&str, Cell)> = vec![("choice", Cell::Word)];
    head.extend(data.space.modules.iter().map(|module| (module.as_str(), Cell::Number)));
    head.extend([
        ("source", Cell::Word),
        ("balance", Cell::Word),
        ("before rounding", Cell::Word),
        ("validation loss", Cell::Number),
        ("perplexity", Cell::Number),
        ("trained to", Cell::Word),
        ("note", Cell::Text),
    ]);
    let rows: Vec<_> = data
        .decision
        .candidates
        .iter()
        .map(|candidate| {
            let chosen = candidate.trial == Some(data.decision.trial);
            (chosen, row(data, candidate, chosen))
        })
        .collect();
    table("Candidates", &head, &rows)
}

fn row(data: &ReportData, candidate: &Candidate, chosen: bool) -> Vec<String> {
    let raw: Vec<_> = candidate.raw.iter().map(|(module, raw)| format!("{module} {}", plain(*raw))).collect();
    let until = match (candidate.trial, candidate.dropped_at) {
        (None, _) => "not trained".to_owned(),
        (_, Some(step)) if step < data.budget.steps => format!("step {step}, dropped"),
        (Some(trial), _) => trained(data, trial),
    };
    let mut cells = vec![if chosen { "chosen" } else { "" }.to_owned()];
    cells.extend(data.space.modules.iter().map(|module| candidate.ranks.get(module).to_string()));
    cells.extend([
        candidate.source.to_string(),
        candidate.outcome.map_or("–".to_owned(), |outcome| outcome.to_string()),
        if raw.is_empty() { "–".to_owned() } else { raw.join(", ") },
        maybe(candidate.last_loss, 4),
        maybe(candidate.last_loss.map(f64::exp), 4),
        until,
        candidate.note.clone().unwrap_or_default(),
    ]);
    cells
}

/// Up to where a trial was trained: to its end, to the step at which it over-fitted for certain, or diverged. A trainer may
/// log its last loss before its last step.
fn trained(data: &ReportData, trial: u32) -> String {
    let Some(result) = data.results.iter().find(|result| result.trial.id == trial) else {
        return format!("step {}", data.budget.steps);
    };
    let planned = result.trial.steps;
    let early = result.val_curve.last().map(|(last, _)| *last).filter(|last| *last < planned);
    match (&result.end, early) {
        (TrialEnd::Finished, Some(last)) if result.kept.is_some() => {
            format!("step {last} of {planned}, over-fitted")
        }
        (TrialEnd::Finished, Some(last)) => format!("step {planned}, last loss at step {last}"),
        (TrialEnd::Finished, None) => format!("step {planned}"),
        (TrialEnd::Diverged { step }, _) => format!("step {step} of {planned}, diverged"),
        (TrialEnd::Failed { .. }, _) => "failed".to_owned(),
    }
}

/// Cost by what it was spent on.
pub(crate) fn cost(data: &ReportData) -> String {
    let (total, unit) = costs(data);
    let of = |roles: &[Role]| -> (usize, Cost) {
        let spent = data.results.iter().filter(|result| roles.contains(&result.trial.role));
        (spent.clone().count(), spent.map(|result| &result.cost).sum())
    };
    let line = |name: &str, (trials, cost): (usize, Cost)| {
        let cells = vec![
            name.to_owned(),
            trials.to_string(),
            flops(cost.flops),
            flops(cost.eval_flops),
            duration(cost.wall_s),
            maybe(fine_tunes(&cost, &unit), 2),
        ];
        (name == "total", cells)
    };
    let parts = [
        ("each module alone (Law-C)", of(&[Role::Alone])),
        ("joint runs (Law-P)", of(&[Role::Joint])),
        ("candidates and final run", of(&[Role::Race, Role::Final])),
    ];
    let mut rows: Vec<_> = parts
        .into_iter()
        .filter(|(_, (trials, _))| *trials > 0)
        .map(|(name, part)| line(name, part))
        .collect();
    rows.push(line("total", (data.results.len(), total)));
    let head = [
        ("spent on", Cell::Word),
        ("trials", Cell::Number),
        ("training", Cell::Number),
        ("evaluation", Cell::Number),
        ("time, summed over trials", Cell::Number),
        ("fine-tunes", Cell::Number),
    ];
    table("Cost", &head, &rows)
}

/// Model, data, seed, version and what else there is.
pub(crate) fn provenance(data: &ReportData) -> String {
    let from = &data.provenance;
    let mut rows: Vec<(String, String)> = [
        ("Model", from.model.clone()),
        ("Data", from.data.clone()),
        ("Training samples", data.budget.samples.to_string()),
        ("Steps × batch", format!("{} × {}", data.budget.steps, data.budget.batch)),
        ("Seed", data.budget.seed.to_string()),
        ("Adapter", from.adapter.clone()),
        ("Version", from.version.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    rows.extend(from.more.iter().cloned());
    facts("Provenance", &rows)
}
