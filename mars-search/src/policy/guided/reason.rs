//! The decision in words.

use super::{Guided, afforded::is_evaluated_once, field::Field};
use crate::{
    Candidate, Confidence, DecisionOutcome,
    policy::words,
    race::{Against, DropReason, RaceResult},
};

/// Who won against how many, how sure that is, and who was ahead at the last cut, in sentences for the user.
pub(super) fn of(
    policy: &Guided,
    field: &Field,
    won: &RaceResult,
    confidence: Option<&Confidence>,
    candidates: &[Candidate],
) -> String {
    let Guided { options, space, budget, .. } = policy;
    let chosen = &candidates[field.racing[won.winner]];
    let (ranks, others) = (&chosen.ranks, field.racing.len() - 1);
    let mut reason = match others {
        0 if space.is_one_choice() => format!("Ranks {ranks}: there is one choice of ranks."),
        0 if is_evaluated_once(budget) => {
            format!("Ranks {ranks} ({}): nothing can be compared before the end of the run.", chosen.source)
        }
        0 => format!("Ranks {ranks} ({}): the cap leaves no budget for other choices.", chosen.source),
        n => {
            let clamped = if chosen.is_clamped() { ", clamped" } else { "" };
            let source = chosen.source;
            format!("Ranks {ranks} ({source}{clamped}) won the race against {n} other choice{}", plural(n))
        }
    };
    if others > 0 {
        reason.push('.');
    }
    if let Some(beyond) = chosen.beyond(space) {
        reason += &format!(" {beyond}: the race chose among those there are.");
    }
    if let Some(cut) = &won.last_cut {
        reason += &format!(" {}", cut.in_words(confidence, budget));
    }
    let by_training = won.last_cut.as_ref().is_some_and(|cut| cut.training.is_some());
    if let Some(runner_up) = won.runner_up {
        reason += &format!(
            " {} was ahead then, but by no more than {} % of perplexity{}, and has more adapter parameters.",
            candidates[field.racing[runner_up]].ranks,
            100.0 * options.tolerance,
            if by_training { " or one standard error" } else { "" }
        );
    }
    let dropped = |by: fn(&DropReason) -> bool| {
        won.standings.iter().filter_map(|s| s.dropped.as_ref()).filter(|(_, drop)| by(drop)).count()
    };
    let evidence = dropped(|drop| matches!(drop, DropReason::Evidence(_)));
    if evidence > 0 {
        let handicapped =
            dropped(|drop| matches!(drop, DropReason::Evidence(Against { handicapped: true, .. })));
        reason += &format!(
            " {evidence} {} dropped on paired evidence ({}error rate {} over the race).",
            if evidence == 1 { "was" } else { "were" },
            if handicapped > 0 { "after the handicap; " } else { "" },
            options.error_rate
        );
    }
    let failed = won.standings.iter().filter(|standing| standing.fault.is_some()).count();
    if failed > 0 {
        reason += &format!(" {failed} choice{} diverged or failed.", plural(failed));
    }
    reason += &words::untried(space, candidates);
    let notes = field.notes.join("; ");
    let races = |outcome| field.racing.iter().any(|&at| candidates[at].outcome == Some(outcome));
    let balanced = races(DecisionOutcome::Solved);
    let without_laws = budget.calibration.window.is_some() && !balanced && space.modules.len() > 1;
    match (notes.is_empty(), without_laws) {
        (true, _) => reason,
        (false, true) if races(DecisionOutcome::Clamped) => {
            format!("Chosen without balanced ranks that lie within the candidates: {notes}. {reason}")
        }
        (false, true) => format!("Chosen without balanced ranks: {notes}. {reason}"),
        (false, false) => format!("{reason} Note: {notes}."),
    }
}

/// Why a candidate did not go on after `step`.
pub(super) fn of_drop(step: usize, why: &DropReason) -> String {
    let after = |against: &Against| if against.handicapped { " after the handicap" } else { "" };
    match why {
        DropReason::Evidence(against) => {
            format!("worse than the leader at step {step}{}, p = {:.1e}", after(against), against.p)
        }
        DropReason::Budget(Some(against)) => format!(
            "no budget to train on after step {step}; p = {:.2} that it is no worse{}",
            against.p,
            after(against)
        ),
        DropReason::Budget(None) => format!("no budget to train on after step {step}"),
        DropReason::Outranked => format!("not chosen at step {step}"),
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
