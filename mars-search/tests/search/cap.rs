//! The cap of a guided search where costs rise with the ranks and the cheaper of the first pair wins.

use crate::{
    kit::ve_llm,
    lawful::{cost, guided, raced, task},
};
use mars_laws::Ranks;
use mars_search::{Budget, CalibrationPlan};

/// As `mars` resolves so many steps with an evaluation every 160, taken for free.
fn budget(steps: usize) -> Budget {
    let window = steps.div_ceil(8).clamp(8, CalibrationPlan::FULL_WINDOW);
    let plain = Budget::new(steps, 8192, 16);
    let calibration = CalibrationPlan {
        sizes: vec![1024, 4096],
        steps: steps.div_ceil(30).max((7 * window).div_ceil(4)),
        window: Some(window),
        eval_every: window.div_ceil(16),
        ..plain.calibration.clone()
    };
    Budget { eval_every: 160, training_losses: true, calibration, ..plain }
}

/// The highest ranks cost 1.5 and 1.6 times the middle.
#[test]
fn the_cap_holds_where_the_middle_wins_against_ranks_that_cost_more() {
    let mut without_highest = 0;
    for (base, per_rank) in [(0.86, 0.005), (0.8, 0.00625)] {
        let price = move |ranks: &Ranks| base + per_rank * (ranks.get("ve") + ranks.get("llm")) as f64;
        for steps in [1400, 1457, 1470, 1500, 2000] {
            let task = task(-0.4, ve_llm(16, 16)).noisy(2e-3).priced(price);
            let played = guided(1.39, &budget(steps), &task);
            let (cost, reason) = (cost(&played), &played.decision.reason);
            assert!(cost <= 1.39, "{cost} at {steps} steps: {reason}");
            assert!(played.decision.laws.is_some(), "{steps} steps: {reason}");
            // In fewer steps calibration at these costs leaves nothing to race for.
            assert!(steps < 1500 || raced(&played).len() > 1, "{steps} steps: {reason}");
            without_highest += usize::from(!raced(&played).contains(&ve_llm(64, 64)));
        }
    }
    assert!(without_highest > 0, "the cap pays for every pair");
}
