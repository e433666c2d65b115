//! The decision in plain words: what, how sure, at what price, and what would change it.

use super::{data::ReportData, number::maybe, svg::escape, tables};
use mars_laws::OverfittingVerdict;
use mars_search::{Confidence, DecisionOutcome, fine_tunes};

/// Below this probability of being the best, a choice is called a close one.
const CLOSE: f64 = 0.8;

/// A paragraph of HTML.
pub(crate) fn paragraph(data: &ReportData) -> String {
    let chosen = tables::ranks(data, &data.decision.ranks);
    let mut words = match data.decision.outcome {
        DecisionOutcome::Fallback => format!("The search kept the default ranks {chosen}."),
        // Before anything else: whatever was chosen is of no use.
        DecisionOutcome::Unimproved => {
            let gain = data.decision.gain.map_or_else(String::new, |gain| format!("{gain} "));
            format!("{gain}The search chose ranks {chosen} all the same.")
        }
        _ => format!("The search chose ranks {chosen}."),
    };
    if let Some(beyond) = data.decision.chosen().and_then(|chosen| chosen.beyond(&data.space)) {
        words += &format!(" {beyond}: the search chose among those there are.");
    }
    if let Some(sure) = &data.decision.confidence {
        words += &confidence(sure);
    }
    match data.decision.gain {
        Some(gain) if gain.is_improvement() => words += &format!(" {gain}"),
        Some(_) => {}
        None => {
            words += " It is unknown whether training improved the model: it was not evaluated before the first step.";
        }
    }
    words += &cost(data);
    if let Some(overfitting) =
        data.overfitting.as_ref().filter(|one| one.verdict == OverfittingVerdict::After)
    {
        words += &format!(" Its data are used up before its end: {overfitting}.");
    }
    if let Some(past) = data.past_best {
        words += &format!(" Warning: {past}.");
    }
    if let Some(exchanged) = data.exchanged_images {
        words += &format!(" On the test data, {exchanged}.");
    }
    for change in changes(data) {
        words += &format!(" {change}");
    }
    let class = match data.decision.outcome {
        DecisionOutcome::Unimproved => "summary unimproved",
        _ => "summary",
    };
    format!("<p class=\"{class}\">{}</p>", escape(&words))
}

/// How sure the choice is, as sentences.
fn confidence(sure: &Confidence) -> String {
    let mut words = format!(
        " At step {}, the last at which {} were compared, they lead{} with a probability of {} over the choice of {} \
         samples (expected regret {}){}; what later steps or another seed would say is not in this figure.",
        sure.step,
        sure.compared,
        if sure.is_handicapped() { " after the handicap" } else { "" },
        sure.certainty(),
        if sure.margin.is_some_and(|margin| margin.training.is_some()) { "training" } else { "validation" },
        sure.regret(),
        sure.unhandicapped.map_or_else(String::new, |measured| format!(
            ", by the measured losses alone {} (expected regret {})",
            measured.certainty(),
            measured.regret()
        ))
    );
    if let Some(margin) = sure.margin {
        let samples = margin.samples.map_or_else(String::new, |samples| match margin.training {
            Some((from, to)) => {
                format!(" On the {samples} training samples of steps {from} to {to}, new to each:")
            }
            None => format!(" On {samples} samples:"),
        });
        words += &format!("{samples} {}.", margin.to_string().trim_end_matches(';'));
    }
    words
}

/// What the search cost, beside the grid, as a sentence.
fn cost(data: &ReportData) -> String {
    let (total, unit) = tables::costs(data);
    let cost = fine_tunes(&total, &unit);
    let grid = cost.zip(data.space.grid().ok()).map(|(cost, grid)| match data.grid {
        Some(price) => {
            let times = price / cost;
            let times = if times >= 1.05 { format!(", {times:.1} times as much") } else { String::new() };
            format!("; the full grid of {} would have cost {price:.1}{times}", grid.len())
        }
        None => format!("; the full grid is {} final runs", grid.len()),
    });
    format!(" It cost {} fine-tunes{}.", maybe(cost, 2), grid.unwrap_or_default())
}

/// What could make another search decide otherwise.
fn changes(data: &ReportData) -> Vec<String> {
    let decision = &data.decision;
    let mut changes = Vec::new();
    if decision.confidence.is_some_and(|sure| sure.probability < CLOSE) {
        changes.push(
            "This was close: more validation samples, or a larger search.budget, which lets the choices race \
             longer, may turn it."
                .to_owned(),
        );
    }
    if decision.confidence.and_then(|sure| sure.margin).is_some_and(|margin| margin.is_by_handicap()) {
        changes.push(
            "The handicap decided, which is less at later steps: a larger search.budget, which lets the choices race longer, \
             may turn it."
                .to_owned(),
        );
    }
    for module in &data.space.modules {
        let (ranks, rank) = (data.space.ranks_of(module), decision.ranks.get(module));
        if ranks.len() > 1 && ranks.last() == Some(&rank) {
            changes.push(format!("{rank} is the largest candidate of {module}: larger ones were not tried."));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::{
        super::{page::page, sample::search, tables::costs},
        paragraph,
    };
    use mars_search::{
        CandidateSource, Confidence, DecisionOutcome, Gain, Margin, Unhandicapped, Verdict, fine_tunes,
    };

    #[test]
    fn it_says_how_sure_and_what_would_change_it() {
        let mut data = search("guided", 0.02);
        let margin = Margin {
            steps: 320,
            samples: Some(128),
            training: None,
            difference: -0.02,
            handicap: 0.0,
            error: 0.005,
            resolvable: 0.011,
        };
        let sure = Confidence {
            step: 40,
            probability: 0.97,
            expected_regret: 0.001,
            unhandicapped: None,
            compared: 2,
            margin: Some(margin),
        };
        data.decision.confidence = Some(sure);
        let words = paragraph(&data);
        assert!(
            words.contains("the last at which 2 were compared, they lead with a probability of 97 %"),
            "{words}"
        );
        assert!(words.contains("On 128 samples: 0.0200 nats per token below the best other"), "{words}");
        assert!(words.contains("Training lowered the validation loss from"), "{words}");
        // Other ranks cost other FLOPs: without them the runs of the grid are counted and not priced.
        assert!(words.contains("fine-tunes; the full grid is 16 final runs."), "{words}");
        let (total, unit) = costs(&data);
        let cost = fine_tunes(&total, &unit).unwrap_or_default();
        for (price, told) in
            [(8.0 * cost, format!("{:.1}, 8.0 times as much.", 8.0 * cost)), (cost, format!("{cost:.1}."))]
        {
            data.grid = Some(price);
            let words = paragraph(&data);
            assert!(words.contains(&format!("the full grid of 16 would have cost {told}")), "{words}");
        }
        assert!(!words.contains("This was close"));
        data.decision.confidence = Some(Confidence { probability: 0.55, ..sure });
        data.decision.ranks = mars_laws::Ranks::new().with("ve", 8).with("llm", 32);
        let words = paragraph(&data);
        assert!(
            words.contains("This was close") && words.contains("32 is the largest candidate of llm"),
            "{words}"
        );
        assert!(!words.contains("candidate of ve"));
        let measured = Unhandicapped { probability: 0.004, expected_regret: 0.03 };
        data.decision.confidence = Some(Confidence { unhandicapped: Some(measured), ..sure });
        let words = paragraph(&data);
        assert!(words.contains("they lead after the handicap with a probability of 97 %"), "{words}");
        let told =
            ", by the measured losses alone less than 1 % (expected regret 3.0 % of perplexity); what later";
        assert!(words.contains(told), "{words}");
        // Of three the lowest by measure, though on less than half of the redrawn sets: no handicap made it the choice.
        let measured = Unhandicapped { probability: 0.45, expected_regret: 0.002 };
        let lowest = Margin { difference: -0.003, handicap: -0.004, ..margin };
        let three = Confidence { unhandicapped: Some(measured), compared: 3, margin: Some(lowest), ..sure };
        for (margin, decided) in [
            (lowest, false),
            (Margin { difference: 0.003, ..lowest }, true),
            // Within the tolerance, the one with fewer parameters is the choice.
            (Margin { difference: 0.005, ..lowest }, false),
        ] {
            data.decision.confidence = Some(Confidence { margin: Some(margin), ..three });
            let words = paragraph(&data);
            assert_eq!(words.contains("The handicap decided"), decided, "{margin:?}: {words}");
        }
    }

    #[test]
    fn a_balance_beyond_the_candidates_is_told() {
        let mut data = search("race", 0.02);
        let trial = data.decision.trial;
        let chosen = data.decision.candidates.iter_mut().find(|one| one.trial == Some(trial));
        let chosen = chosen.unwrap_or_else(|| panic!("the choice is a candidate"));
        (chosen.source, chosen.outcome) = (CandidateSource::Balanced, Some(DecisionOutcome::Clamped));
        chosen.raw = [("ve".to_owned(), 190.753)].into();
        data.decision.outcome = DecisionOutcome::Clamped;
        let page = page(&data);
        assert!(page.contains("<span class=\"badge clamped\">clamped</span>"), "{page}");
        let told =
            "The balance lies beyond the candidates, at ve = 190.8: the search chose among those there are.";
        assert!(paragraph(&data).contains(told), "{}", paragraph(&data));
        assert!(!paragraph(&search("race", 0.02)).contains("beyond"));
    }

    #[test]
    fn that_training_did_not_help_is_said_first() {
        let mut data = search("guided", 0.02);
        data.decision.outcome = DecisionOutcome::Unimproved;
        let gain = data.decision.gain.unwrap_or(Gain {
            kept: None,
            before: 2.0,
            after: 3.0,
            error: None,
            samples: None,
            chance: None,
            verdict: Verdict::Worse,
        });
        data.decision.gain = Some(Gain { before: 2.0, after: 3.0, verdict: Verdict::Worse, ..gain });
        let words = paragraph(&data);
        assert!(
            words.starts_with("<p class=\"summary unimproved\">Training made the model worse"),
            "{words}"
        );
        data.decision.gain = None;
        assert!(paragraph(&data).contains("It is unknown whether training improved"));
    }
}
