//! Candidates on the balance curve: rank of a module over rank of the reference, in log2.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, nothing},
    data::ReportData,
    number::plain,
    svg::Shape,
};
use mars_laws::solve_rank;
use mars_search::{Candidate, CandidateSource, DecisionOutcome};

/// One chart for each module beside the reference.
pub(crate) fn figures(data: &ReportData) -> String {
    let reference = &data.space.reference;
    let others: Vec<_> = data.space.modules.iter().filter(|module| *module != reference).collect();
    if others.is_empty() {
        return nothing("Balance", "A single module has nothing to be balanced with.");
    }
    others.iter().enumerate().map(|(i, module)| figure(&format!("balance-{i}"), module, data)).collect()
}

/// Shape and words of how a candidate came about.
fn kind(candidate: &Candidate) -> (Shape, &'static str) {
    match (candidate.outcome, candidate.source) {
        (Some(DecisionOutcome::Solved), _) => (Shape::Circle, "balanced"),
        (Some(DecisionOutcome::Clamped), _) => (Shape::Triangle, "clamped"),
        (Some(DecisionOutcome::Fallback | DecisionOutcome::Unimproved), _)
        | (_, CandidateSource::Default) => (Shape::Square, "default"),
        _ => (Shape::Diamond, "candidate"),
    }
}

fn figure(id: &str, module: &str, data: &ReportData) -> String {
    let reference = &data.space.reference;
    let fitted = data.decision.laws.is_some();
    let title = format!("{} of {module} with {reference}", if fitted { "Balance" } else { "Choice" });
    let place =
        |candidate: &Candidate| (candidate.ranks.get(reference) as f64, candidate.ranks.get(module) as f64);
    let candidates = &data.decision.candidates;
    let ranks_of = |module: &str| -> Vec<f64> {
        data.space.ranks_of(module).into_iter().map(|rank| rank as f64).collect()
    };
    let (across, up) = (ranks_of(reference), ranks_of(module));
    let raws = candidates.iter().filter_map(|candidate| candidate.raw.get(module).copied());
    // Raw solutions up to two octaves outside the candidates are shown; the formula can be far off.
    let near = |raw: &f64| up.iter().any(|rank| (raw / rank).log2().abs() <= 2.0);
    let columns = across.iter().copied().chain(candidates.iter().map(|c| place(c).0));
    let rows = up.iter().copied().chain(candidates.iter().map(|c| place(c).1)).chain(raws.filter(near));
    let x = Axis::over(&format!("rank of {reference}"), Scale::Log, columns);
    let y = Axis::over(&format!("rank of {module}"), Scale::Log, rows);
    let (Some(x), Some(y)) = (x, y) else { return nothing(&title, "There is no candidate.") };
    let (left, right) = x.range();
    let at_ranks = |axis: Axis, ranks: &[f64]| axis.ticks_at(ranks.iter().copied());
    let mut chart = Chart::new(id, at_ranks(x, &across), at_ranks(y, &up));

    let laws = data.decision.laws.as_ref();
    let law = |module: &str| laws.and_then(|laws| laws.law_c.get(module)).map(|law| law.summary.law);
    let mut legend = Vec::new();
    if let (Some(base), Some(other)) = (law(reference), law(module)) {
        let samples = data.budget.samples as f64;
        let curve = (0..=64)
            .map(|i| left * (right / left).powf(f64::from(i) / 64.0))
            .map(|rank| (rank, solve_rank(&base, rank, &other, samples, data.kappa).unwrap_or(f64::NAN)));
        chart.line(curve, "line s0");
        let text = format!("equal times (κ = {})", plain(data.kappa));
        legend.push(Key { text, class: "s0".to_owned(), shape: None, line: true });
    }
    let mut kinds: Vec<(Shape, &str)> = Vec::new();
    let mut rounded = false;
    for candidate in candidates {
        let (shape, word) = kind(candidate);
        let at = place(candidate);
        if let (Some(raw), true) = (candidate.raw.get(module), word != "default") {
            chart.line([(at.0, *raw), at], "line rounding");
            rounded = true;
        }
        let chosen = candidate.ranks == data.decision.ranks;
        let fill = if candidate.trial.is_some() { "mark s1" } else { "mark hollow s1" };
        let hint = format!("{}: {word}{}", candidate.ranks, if chosen { ", chosen" } else { "" });
        if chosen {
            chart.mark(Shape::Circle, at, 11.0, "ring", &hint);
        }
        chart.mark(shape, at, 5.5, fill, &hint);
        if !kinds.contains(&(shape, word)) {
            kinds.push((shape, word));
        }
    }
    let key = |text: &str, class: &str, shape| Key {
        text: text.to_owned(),
        class: class.to_owned(),
        shape: Some(shape),
        line: false,
    };
    legend.extend(kinds.iter().map(|(shape, word)| key(word, "s1", *shape)));
    if candidates.iter().any(|candidate| candidate.trial.is_none()) {
        legend.push(key("not trained", "hollow s1", Shape::Circle));
    }
    legend.push(key("chosen", "ring", Shape::Circle));
    let description = format!(
        "Rank of {module} against rank of {reference} on log2 axes: {} candidates, the chosen one is {}.",
        candidates.len(),
        data.decision.ranks
    );
    let caption = if rounded { "Thin vertical lines: rounding to the nearest candidate." } else { "" };
    chart.figure(&title, &description, &legend, caption)
}
