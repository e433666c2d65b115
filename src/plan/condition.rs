//! What a number of a plan depends on.

use super::rehearsal::RehearsedTrial;
use crate::search::RunTemplate;
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a number is conditional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// At most: runs end before their last step once they converge, or over-fit, for certain.
    AtMost,
    /// If convergence times and losses follow usual laws: which choices are trained, and how far, follows from earlier runs.
    IfAsUsual,
}

impl Condition {
    /// That of a run by `template` which is expected to be asked for.
    pub(super) fn of(step: &RehearsedTrial, template: &RunTemplate) -> Option<Self> {
        if step.round > 0 {
            return Some(Self::IfAsUsual);
        }
        let spec = template.spec(&step.trial, &BTreeMap::new(), "");
        (spec.stop_when_converged || spec.stop_when_overfit).then_some(Self::AtMost)
    }
}

#[cfg(test)]
mod tests {
    use super::Condition::{self, AtMost, IfAsUsual};
    use crate::{config::SearchConfig, plan::rehearse};
    use mars_calib::Keep;

    /// Of the runs of `policy`, without repetitions.
    fn conditions(policy: &str, keep: Keep) -> Vec<Option<Condition>> {
        let mut config = SearchConfig::default().resolved(4096, 256);
        config.search.policy = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error}"));
        config.train.keep = keep;
        let (space, budget) = (config.space(Default::default()), config.budget(4096, 0));
        let all = rehearse(&config.policy(), &space, &budget);
        let all = all.unwrap_or_else(|error| panic!("{policy}: {error}"));
        let template = config.run_template();
        let mut found: Vec<_> = all.iter().map(|step| Condition::of(step, &template)).collect();
        found.dedup();
        found
    }

    #[test]
    fn runs_that_may_end_early_are_told_at_most() {
        for policy in ["fixed:4x4", "grid", "eva"] {
            assert_eq!(conditions(policy, Keep::Best), [Some(AtMost)], "{policy}");
            assert_eq!(conditions(policy, Keep::Last), [None], "{policy}");
        }
        // No plain LoRA: it moves ranks until its end.
        assert_eq!(conditions("adalora", Keep::Best), [None]);
        for keep in [Keep::Best, Keep::Last] {
            assert_eq!(conditions("guided", keep).last(), Some(&Some(IfAsUsual)), "{keep:?}");
        }
    }
}
