//! Which calibration by registration the cap of `guided` pays for, beside the final run and its race.

use crate::{Budget, GuidedOptions, Space, calibration::Design, race::rungs, records::Draft};
use serde::Serialize;
use std::fmt;

/// The first cut of the race falls after one part in so many of the final run, at its next evaluation.
const CUT: usize = 20;

/// How much more another choice may cost than the estimate, for the cap to hold.
const COST_RATIO: f64 = 1.15;

/// Choices beside the first that more than the smallest calibration must leave the money for.
const CHOICES: usize = 3;

/// Final runs of more steps than this are not looked at for the number from which on a law could be fitted.
const LONGEST: usize = 1 << 30;

/// A calibration that the cap of `guided` does not pay for, so that no law is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnaffordableCalibration {
    /// Price of the smallest design, in fine-tunes.
    pub price: f64,
    /// What the cap leaves beside the final run, in fine-tunes; the race takes its part of it.
    pub left: f64,
    /// Optimizer steps of the final run, with the same number of evaluations, from which on the cap pays; `None` where no
    /// length is enough.
    pub from_steps: Option<usize>,
}

impl fmt::Display for UnaffordableCalibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { price, left, from_steps } = self;
        write!(
            f,
            "the smallest calibration would cost {price:.2} fine-tunes, but only {left:.2} are left beside the final run, \
             for calibration and race together, so no law is fitted"
        )?;
        from_steps.map_or(Ok(()), |steps| {
            write!(f, " (affordable from about {steps} steps, with the same number of evaluations)")
        })
    }
}

impl GuidedOptions {
    /// What `guided` cannot calibrate on `budget`; `None` where its cap pays for a calibration, where none is asked for (with one
    /// module, or by another rule than registration), where the final run is evaluated at its end only, so that with a cap of less
    /// than two and more whole runs nothing can be compared, where there is one choice or one rank to calibrate, and on a budget of
    /// which no search begins: [`Budget::check`] or [`CalibrationPlan::check`](crate::CalibrationPlan::check) refuses it.
    #[must_use]
    pub fn unaffordable_calibration(
        &self,
        space: &Space,
        budget: &Budget,
    ) -> Option<UnaffordableCalibration> {
        let begins = budget.check().is_ok() && budget.calibration.check(budget.samples).is_ok();
        (begins && by_registration(space, budget) && !is_evaluated_once(budget))
            .then(|| affordable(space, budget, self.fine_tunes - 1.0).err())
            .flatten()
    }
}

/// Whether the final run is evaluated at its end only: there is no step at which choices could be compared.
pub(super) fn is_evaluated_once(budget: &Budget) -> bool {
    budget.eval_every >= budget.steps
}

/// Whether modules are calibrated by the registration of their first steps: where there is something to balance, and two ranks
/// of which the exponent can come.
pub(super) fn by_registration(space: &Space, budget: &Budget) -> bool {
    let plan = &budget.calibration;
    space.modules.len() > 1 && plan.window.is_some() && plan.ranks.len() > 1 && !space.is_one_choice()
}

/// The most informative design that `extra` fine-tunes pay for with three more choices in the race, or the smallest with one.
pub(super) fn affordable(
    space: &Space,
    budget: &Budget,
    extra: f64,
) -> Result<Vec<Draft>, UnaffordableCalibration> {
    let designs = Design::all(&budget.calibration);
    let found = designs.iter().enumerate().find(|(at, design)| {
        let least = at + 1 == designs.len();
        pays(space, budget, extra, design, if least { 1 } else { CHOICES })
    });
    let least = designs.last();
    found.map(|(_, design)| design.runs(space, budget)).ok_or_else(|| UnaffordableCalibration {
        price: least.map_or(0.0, |design| price(budget, &design.runs(space, budget))),
        left: extra,
        from_steps: least.and_then(|design| affordable_from(space, budget, extra, design)),
    })
}

/// The first cut of the race.
pub(super) fn cut(budget: &Budget) -> usize {
    rungs::on_grid(budget.steps.div_ceil(CUT), budget)
}

/// What a calibration run to step `steps` costs, in fine-tunes.
pub(super) fn calibration_share(budget: &Budget, steps: usize) -> f64 {
    budget.calibration_price(steps) / budget.price(budget.steps, 0)
}

/// What one more choice costs up to the cut, in fine-tunes.
pub(super) fn price_of_choice(budget: &Budget, cut: usize) -> f64 {
    COST_RATIO * budget.price(cut, cut) / budget.price(budget.steps, 0)
}

/// What these calibration runs cost, in fine-tunes.
fn price(budget: &Budget, drafts: &[Draft]) -> f64 {
    drafts.iter().map(|draft| calibration_share(budget, draft.steps)).sum()
}

/// Whether calibration at one of the designs leaves the price of so many choices beside the first.
fn pays(space: &Space, budget: &Budget, extra: f64, design: &Design, choices: usize) -> bool {
    let choices = choices as f64 * price_of_choice(budget, cut(budget));
    price(budget, &design.runs(space, budget)) <= extra - choices
}

/// The fewest steps of a final run, with as many evaluations as this one, that pay for the smallest calibration.
fn affordable_from(space: &Space, budget: &Budget, extra: f64, least: &Design) -> Option<usize> {
    let pays = |steps: usize| {
        // An interval beyond the run is one evaluation, at its end.
        let eval_every = budget.eval_every.min(budget.steps).saturating_mul(steps).div_ceil(budget.steps);
        let longer =
            Budget { steps, eval_every, calibration: budget.calibration.of_a_longer_run(), ..budget.clone() };
        pays(space, &longer, extra, least, 1)
    };
    if budget.steps > LONGEST {
        return None;
    }
    let (mut not, mut enough) = (budget.steps, 2 * budget.steps);
    while !pays(enough) {
        (not, enough) = (enough, 2 * enough);
        if enough > LONGEST {
            return None;
        }
    }
    while enough - not > 1 + not / 256 {
        let middle = not + (enough - not) / 2;
        if pays(middle) { enough = middle } else { not = middle }
    }
    Some(enough)
}
