//! What a search costs by the choice of ranks that wins, which only the search can tell.

use super::rehearsal::{Price, Rehearsed};
use crate::Error;
use mars_laws::Ranks;
use mars_search::{Budget, Space, Trial, run_cost};
use serde::Serialize;

/// The cheapest and the most expensive end of a search.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CostRange {
    /// If the lowest candidate ranks win, or the cheapest of those that are trained in full whatever is measured.
    pub cheapest: PlannedCost,
    /// If the highest do, or the most expensive.
    pub most_expensive: PlannedCost,
}

/// A search whose final run has given ranks.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlannedCost {
    /// These ranks.
    pub ranks: Ranks,
    /// FLOPs of all runs.
    pub total_flops: f64,
    /// FLOPs of one fine-tune: of the final run.
    pub fine_tune_flops: f64,
    /// Cost of all runs in units of one fine-tune.
    pub fine_tunes: f64,
    /// Time of all runs on this machine in seconds.
    pub seconds: f64,
}

/// The range of the search that was `foreseen`, whose trials cost what `price` says, at so many FLOPs per second; `None` where
/// one choice alone can win.
///
/// Calibration and race are taken as foreseen. Where one run alone goes on to the end, that stretch has the ranks of the winner.
///
/// # Errors
/// Those of `price`.
pub(super) fn cost_range(
    foreseen: &Rehearsed,
    (space, budget): (&Space, &Budget),
    price: &Price<'_>,
    rate: f64,
) -> Result<Option<CostRange>, Error> {
    let decided = foreseen.decision.trial;
    let Some(last) = foreseen.trials.iter().find(|step| step.trial.id == decided) else { return Ok(None) };
    let flops = |ranks: &Ranks, from: usize| -> Result<f64, Error> {
        Ok(price(&Trial { ranks: ranks.clone(), ..last.trial.clone() }, from)?.total_flops())
    };
    let whole: Vec<_> = foreseen
        .trials
        .iter()
        .filter(|step| !step.trial.role.is_calibration() && step.trial.steps == budget.steps)
        .collect();
    let (lowest, highest) = if whole.iter().all(|step| step.round == 0) {
        // Measurements add no others: one of these wins.
        let priced = whole.iter().map(|step| {
            let ranks = &step.trial.ranks;
            flops(ranks, 0).map(|own| (own, ranks))
        });
        let mut priced = priced.collect::<Result<Vec<_>, Error>>()?;
        priced.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let [(_, first), ..] = priced[..] else { return Ok(None) };
        (first.clone(), priced[priced.len() - 1].1.clone())
    } else {
        let end = |pick: fn(&[usize]) -> Option<&usize>| -> Ranks {
            let modules = space.modules.iter();
            modules.filter_map(|module| Some((module.clone(), *pick(&space.ranks_of(module))?))).collect()
        };
        (end(<[usize]>::first), end(<[usize]>::last))
    };
    if lowest == highest {
        return Ok(None);
    }
    let total: f64 = foreseen.results.iter().map(|result| result.cost.total_flops()).sum();
    let unit = run_cost(&foreseen.results, decided).total_flops();
    let own = (flops(&last.trial.ranks, last.from)?, flops(&last.trial.ranks, 0)?);
    let goes_on_alone = whole.len() == 1;
    let at = |ranks: Ranks| -> Result<PlannedCost, Error> {
        let total_flops = if goes_on_alone { total - own.0 + flops(&ranks, last.from)? } else { total };
        let fine_tune_flops = unit * flops(&ranks, 0)? / own.1;
        Ok(PlannedCost {
            ranks,
            total_flops,
            fine_tune_flops,
            fine_tunes: total_flops / fine_tune_flops,
            seconds: total_flops / rate,
        })
    };
    Ok(Some(CostRange { cheapest: at(lowest)?, most_expensive: at(highest)? }))
}

#[cfg(test)]
mod tests {
    use super::{CostRange, cost_range};
    use crate::{
        config::SearchConfig,
        plan::rehearsal::{Rehearsed, rehearse_priced},
    };
    use mars_laws::Ranks;
    use mars_search::{Cost, PolicySpec, Trial};

    /// What is foreseen, and the range.
    fn of(policy: &str) -> (Rehearsed, Option<CostRange>) {
        let policy: PolicySpec = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error}"));
        let mut config = SearchConfig::default();
        config.train.steps = Some(800);
        let config = config.resolved(4096, 256);
        let space = config.space([("ve".to_owned(), 400), ("llm".to_owned(), 600)].into());
        let budget = config.budget(4096, 0);
        let price = |trial: &Trial, from: usize| {
            let step = 64_000.0 + space.parameters(&trial.ranks) as f64;
            Ok(Cost { flops: (trial.steps - from) as f64 * step, ..Cost::default() })
        };
        let found = rehearse_priced(&policy, (&space, &budget), true, &price).and_then(|foreseen| {
            let range = cost_range(&foreseen, (&space, &budget), &price, 1e6)?;
            Ok((foreseen, range))
        });
        found.unwrap_or_else(|error| panic!("{policy}: {error}"))
    }

    fn total(foreseen: &Rehearsed) -> f64 {
        foreseen.results.iter().map(|result| result.cost.total_flops()).sum()
    }

    #[test]
    fn who_wins_decides_on_the_longest_stretch_and_on_the_unit() {
        let (foreseen, range) = of("guided");
        let CostRange { cheapest, most_expensive } = range.unwrap_or_else(|| panic!("no range"));
        assert_eq!((cheapest.ranks.get("ve"), most_expensive.ranks.get("llm")), (4, 32));
        let foreseen = total(&foreseen);
        assert!(
            (cheapest.total_flops..most_expensive.total_flops).contains(&foreseen),
            "{foreseen} {most_expensive:?}"
        );
        // At ranks 4 a step costs 68,000, at ranks 32 it costs 96,000.
        let units = most_expensive.fine_tune_flops / cheapest.fine_tune_flops;
        assert!((units - 96.0 / 68.0).abs() < 1e-9, "{units}");
        let totals = most_expensive.total_flops / cheapest.total_flops;
        assert!((1.1..units).contains(&totals), "{totals}");
        for one in [cheapest, most_expensive] {
            assert!((1.0..1.6).contains(&one.fine_tunes), "{one:?}");
            assert!((one.seconds * 1e6 / one.total_flops - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn runs_that_are_trained_whoever_wins_are_paid_in_any_case() {
        let (foreseen, range) = of("grid");
        let CostRange { cheapest, most_expensive } = range.unwrap_or_else(|| panic!("no range"));
        let foreseen = total(&foreseen);
        assert_eq!((cheapest.total_flops, most_expensive.total_flops), (foreseen, foreseen));
        assert!(
            most_expensive.fine_tunes < 16.0 && cheapest.fine_tunes > 16.0,
            "{cheapest:?} {most_expensive:?}"
        );
        assert!(of("fixed:4x4").1.is_none() && of("adalora").1.is_none());
    }

    #[test]
    fn one_of_those_that_were_drawn_wins() {
        let (foreseen, range) = of("random:3");
        let CostRange { cheapest, most_expensive } = range.unwrap_or_else(|| panic!("no range"));
        // A step costs 64,000, and 400 and 600 for a rank.
        let step = |ranks: &Ranks| 400 * ranks.get("ve") + 600 * ranks.get("llm");
        let mut drawn: Vec<&Ranks> = foreseen.trials.iter().map(|step| &step.trial.ranks).collect();
        drawn.sort_by_key(|ranks| step(ranks));
        assert_eq!(drawn.len(), 3);
        assert_eq!([step(&cheapest.ranks), step(&most_expensive.ranks)], [step(drawn[0]), step(drawn[2])]);
        assert!(drawn.contains(&&cheapest.ranks) && drawn.contains(&&most_expensive.ranks), "{drawn:?}");
        assert!(of("random:1").1.is_none());
    }
}
