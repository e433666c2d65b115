//! What a race costs with a trainer that begins every run at step 0.

use super::rehearsal::rehearsed_steps;
use mars_search::{Budget, PolicySpec, Space};

/// What is probably not meant about a command without `{continues}`: runs of `policy` are expected to train steps again
/// that shorter ones have trained. `None` where they are not.
pub(crate) fn restarts(policy: &PolicySpec, space: &Space, budget: &Budget) -> Option<String> {
    // A caution must not end the search: where its runs cannot be told, nothing is said.
    let [from_zero, continued] =
        [false, true].map(|continues| rehearsed_steps(policy, space, budget, continues).unwrap_or(0));
    if from_zero <= continued {
        return None;
    }
    let allowed = match policy {
        PolicySpec::Guided(options) => {
            let steps = (options.fine_tunes * budget.steps as f64) as u64;
            let relation = if from_zero > steps { "more than" } else { "within" };
            format!(", {relation} the {steps} that search.budget = {} allows", options.fine_tunes)
        }
        _ => String::new(),
    };
    Some(format!(
        "trainer.command has no {{continues}}: every run starts at step 0, so a race repeats its first steps at each cut, \
         about {from_zero} steps instead of {continued}{allowed}"
    ))
}

#[cfg(test)]
mod tests {
    use super::restarts;
    use crate::config::SearchConfig;
    use mars_search::PolicySpec;

    fn of(policy: &str) -> Option<String> {
        let mut config = SearchConfig::default().resolved(1000, 0);
        config.search.policy = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error}"));
        let policy: PolicySpec = config.policy();
        restarts(&policy, &config.space(Default::default()), &config.budget(1000, 0))
    }

    #[test]
    fn policies_that_go_on_from_shorter_runs_are_warned_of() {
        for policy in ["guided", "halving"] {
            let said = of(policy).unwrap_or_else(|| panic!("nothing is said of {policy}"));
            assert!(said.contains("no {continues}"), "{said}");
            assert_eq!(said.contains("search.budget = 1.39"), policy == "guided", "{said}");
        }
    }

    #[test]
    fn policies_without_cuts_are_not() {
        for policy in ["paper", "grid", "fixed:8x16"] {
            assert_eq!(of(policy), None, "{policy}");
        }
    }
}
