//! What bare `mars` says of the search that it begins.

use mars::{
    SearchConfig,
    mars_search::{PolicySpec, Role},
    plan::rehearse,
};
use std::collections::BTreeMap;

/// Lines about the search of the embedded task under `config`, with so many training and validation samples: what its policy
/// is expected to do within its budget.
pub(super) fn introduction(config: &SearchConfig, train: usize, validation: usize) -> Vec<String> {
    let (config, policy) = (config.resolved(train, validation), config.policy());
    // A policy that cannot be built is for the search to refuse.
    let runs = rehearse(&policy, &config.space(BTreeMap::new()), &config.budget(train, config.train.seed))
        .unwrap_or_default();
    let count = |role: Role| runs.iter().filter(|run| run.trial.role == role).count();
    let race = "race in the first steps of one fine-tune,";
    let result = "and the winner is trained to the end; its adapter is the result.";
    let (purpose, story) = match &policy {
        PolicySpec::Guided(_) | PolicySpec::Race(_) if count(Role::Alone) > 0 => (
            "choose LoRA ranks for",
            vec![
                format!(
                    "short runs of each module give its convergence law; candidates with balanced ranks {race}"
                ),
                result.to_owned(),
            ],
        ),
        PolicySpec::Guided(_) | PolicySpec::Race(_) if count(Role::Race) > 1 => {
            ("choose LoRA ranks for", vec![format!("candidate ranks {race}"), result.to_owned()])
        }
        PolicySpec::Fixed(_) | PolicySpec::Method(_) => {
            ("fine-tune", vec![format!("one run by the policy {policy}; its adapter is the result.")])
        }
        _ => {
            let some = if runs.len() > 1 { format!(", {} runs", runs.len()) } else { String::new() };
            (
                "choose LoRA ranks for",
                vec![format!("by the policy {policy}{some}; the adapter of the chosen ranks is the result.")],
            )
        }
    };
    let first = format!(
        "mars will now {purpose} its embedded tiny vision-language model, on real handwritten digits:"
    );
    let last = format!(
        "Everything is written to {}/. Stop with Ctrl-C at any time; the same command continues. See `mars --help`.",
        config.out.dir.display()
    );
    std::iter::once(first).chain(story).chain([last]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::introduction;
    use mars::SearchConfig;

    fn told(policy: &str, steps: usize) -> String {
        let mut config = SearchConfig::default();
        config.search.policy = policy.parse().unwrap();
        config.train.steps = Some(steps);
        introduction(&config, 4096, 256).join("\n")
    }

    #[test]
    fn what_is_told_is_what_the_policy_does() {
        let whole = told("guided", 6400);
        assert!(whole.contains("convergence law; candidates with balanced ranks race"), "{whole}");
        // Too short a run to calibrate within the budget.
        let short = told("guided", 40);
        assert!(
            !short.contains("law") && short.contains("\ncandidate ranks race in the first steps"),
            "{short}"
        );
        for policy in ["fixed:4x4", "adalora", "grid", "halving", "surface"] {
            let words = told(policy, 400);
            assert!(!words.contains("law") && !words.contains("race"), "{words}");
            assert!(words.contains(&format!("policy {policy}")) && words.contains("mars-out/"), "{words}");
        }
        let one = told("fixed:4x4", 400);
        assert!(one.starts_with("mars will now fine-tune") && one.contains("\none run by"), "{one}");
        assert!(told("grid", 400).contains(", 16 runs; the adapter of the chosen ranks is the result"));
    }
}
