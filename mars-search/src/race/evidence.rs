//! Evidence within a budget as a rule of a race: at each evaluation the paired losses, and then the budget, say which
//! go on.
//!
//! At a cut at step `s`, in this order:
//!
//! 1. Evidence. The leader has the lowest handicapped loss. Another is dropped when the one-sided paired t test of
//!    "it is no worse than the leader" has `p < error_rate / (looks * (entrants - 1))`, where `looks = ceil(steps /
//!    eval_every)` is the number of cuts that the race can have. That is Bonferroni's correction over cuts and
//!    entrants; it holds under any dependence of the tests, and is conservative for tests as correlated as these.
//! 2. Budget. With `c` the cost per step and `e` the cost per evaluation of an entrant's run so far, a fine-tune at its
//!    ranks costs `F = c * steps + e * evaluations(steps)`. What is left is the least over the running of
//!    `fine_tunes * F - spent - (F - own run)`, the next stretch costs the largest `c * (next - s) + e`, and
//!    `floor(left / stretch)` may go on beside the leader. If that is two or more, half of what is left is kept for
//!    later cuts. Where a trainer begins again at step 0, nothing of a run is paid for in advance: what is to come is `F`,
//!    the next stretch costs `c * next + e * evaluations(next)`, and the leader's own is taken off what is left.
//!
//! The test is textbook; its use as a rule of a race, the correction and the budget are ours. At the end of the
//! final run the lowest loss wins, within the tolerance of the race.

use super::{Against, Cut, DropReason, DropRule, Race, Spent, Standing, counts_flops, paired::Paired, rungs};

/// Drops those that the paired evidence is against, then those whose next stretch the budget does not pay for.
pub(crate) struct EvidenceRule {
    /// The step of the first cut.
    /// Optimizer steps; a race of one has no cut.
    pub(crate) first_cut: usize,
    /// What the whole search may cost, in fine-tunes.
    /// At least 1: FLOPs of all trials, evaluations included, over those of one final run.
    pub(crate) fine_tunes: f64,
    /// Probability that the evidence drops the best, over the whole race; between 0 and 1.
    pub(crate) error_rate: f64,
}

impl DropRule for EvidenceRule {
    fn first_step(&self, race: &Race<'_>) -> usize {
        if race.entrants.len() == 1 { race.budget.steps } else { self.first_cut }
    }

    fn drop_entrants(&self, race: &Race<'_>, cut: &mut Cut<'_>) {
        if cut.step == race.budget.steps {
            for &entrant in &cut.running[1..] {
                cut.standings[entrant].dropped = Some((cut.step, DropReason::Outranked));
            }
            cut.running.truncate(1);
        } else {
            self.by_evidence(race, cut);
            self.by_budget(race, cut);
        }
    }

    fn next_step(&self, race: &Race<'_>, step: usize, left: usize) -> usize {
        if left == 1 { race.budget.steps } else { rungs::on_grid(step + 1, race.budget) }
    }

    fn revival(&self, race: &Race<'_>, _: usize) -> (usize, usize) {
        (1, race.budget.steps)
    }
}

impl EvidenceRule {
    /// Drops those that are worse than the leader beyond the stated error rate: Bonferroni over all comparisons that
    /// the race can make.
    fn by_evidence(&self, race: &Race<'_>, cut: &mut Cut<'_>) {
        let looks = race.budget.steps.div_ceil(race.budget.eval_every).max(1);
        let level = self.error_rate / (looks * (race.entrants.len() - 1).max(1)) as f64;
        let leader = cut.standings[cut.running[0]].clone();
        let (step, standings) = (cut.step, &mut *cut.standings);
        cut.running.retain(|&entrant| {
            let against = against(&standings[entrant], &leader).filter(|against| against.p < level);
            if let Some(against) = against {
                standings[entrant].dropped = Some((step, DropReason::Evidence(against)));
            }
            against.is_none()
        });
    }

    /// Drops those whose next stretch the budget does not pay for, and while it pays for two or more beside the
    /// leader, keeps half of it for later.
    fn by_budget(&self, race: &Race<'_>, cut: &mut Cut<'_>) {
        let places = self.affordable(race, cut).saturating_add(1);
        let leader = cut.standings[cut.running[0]].clone();
        for &entrant in cut.running.iter().skip(places) {
            let against = against(&cut.standings[entrant], &leader);
            cut.standings[entrant].dropped = Some((cut.step, DropReason::Budget(against)));
        }
        cut.running.truncate(places);
    }

    /// How many may go on beside the leader.
    fn affordable(&self, race: &Race<'_>, cut: &Cut<'_>) -> usize {
        let (steps, step) = (race.budget.steps, cut.step);
        let next = rungs::on_grid(step + 1, race.budget);
        let counted = counts_flops(cut.records);
        let calibration = cut.records.results().filter(|result| result.trial.role.is_calibration());
        // What the race has spent up to this cut: the records may reach beyond it.
        let spent: f64 = calibration
            .map(|result| Spent::of(result, 0, counted))
            .chain(cut.standings.iter().map(|standing| standing.spent))
            .map(|spent| spent.training + spent.evaluation)
            .sum();
        // The cap is in fine-tunes at the winner's ranks, whoever that will be: the least that any leaves. The next
        // stretch is priced as the most expensive one.
        let (mut left, mut stretch, mut again) = (f64::INFINITY, 0.0_f64, false);
        for &entrant in cut.running.iter() {
            let Standing { run: own, restarts, trained, .. } = &cut.standings[entrant];
            let evaluations =
                |at: usize| race.budget.evaluations(at, race.entrants[entrant].evaluate_from) as f64;
            // Where costs are counted in steps, those that a run did not train are counted too.
            let trained = if counted { (*trained).max(1) } else { step };
            let (per_step, evaluation) =
                (own.training / trained as f64, own.evaluation / evaluations(trained));
            let fine_tune = per_step * steps as f64 + evaluation * evaluations(steps);
            let (to_come, further) = if *restarts {
                (fine_tune, per_step * next as f64 + evaluation * evaluations(next))
            } else {
                let done = own.training + own.evaluation;
                (fine_tune - done, per_step * (next - step) as f64 + evaluation)
            };
            left = left.min(self.fine_tunes * fine_tune - spent - to_come);
            stretch = stretch.max(further);
            again |= *restarts;
        }
        // The leader trains the stretch too, and its end from step 0.
        if again {
            left -= stretch;
        }
        let places = |cost: f64| (cost / stretch * (1.0 + 1e-9)).floor().max(0.0) as usize;
        match places(left) {
            n if n >= 2 => places(left / 2.0).max(1),
            n => n,
        }
    }
}

/// How sure it is that it is worse than the leader; `None` where the blocks do not say.
fn against(standing: &Standing, leader: &Standing) -> Option<Against> {
    let paired = Paired::of(&standing.blocks, &leader.blocks)?;
    let handicapped = (standing.handicap - leader.handicap).abs() > 0.0;
    Some(Against { p: paired.p_worse(0.0), handicapped })
}
