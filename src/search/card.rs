//! What the card of an adapter says of the search.

use super::SearchCost;
use crate::quantity;
use mars_search::{Decision, DecisionOutcome, Gain, PolicySpec};

/// The paragraphs of the adapter's card: first of all that it is of no use, where it is not.
pub(super) fn card(decision: &Decision, policy: &PolicySpec, cost: SearchCost) -> String {
    let warning = match decision.outcome {
        DecisionOutcome::Unimproved => {
            "**This adapter is no improvement over the model before training.**\n\n"
        }
        _ => "",
    };
    let gain =
        decision.gain.filter(Gain::is_improvement).map_or_else(String::new, |gain| format!("{gain}\n\n"));
    format!(
        "{warning}Ranks chosen by `mars` {} with policy `{policy}`: {}\n\n{gain}Cost of the search: {} fine-tunes.",
        env!("CARGO_PKG_VERSION"),
        decision.reason,
        quantity::number(cost.fine_tunes)
    )
}
