//! Settings of training that are allowed and probably not meant.

use super::{SearchConfig, resolve::EVALUATIONS};
use mars_calib::Keep;
use mars_search::PolicySpec;

/// Peak learning rates above this are beyond reason for AdamW, which moves every value by about the rate in each step:
/// factors A begin at a few hundredths. Usual are 1e-5 to 1e-2.
const HIGHEST_RATE: f64 = 0.1;

/// A factor that all steps together can move by less than this, times the scale, changes nothing beside weights in f32.
const LEAST_REACH: f64 = 1e-6;

/// Scales beyond these let rounding or nothing through. Usual are 0.1 to 64.
const SCALES: std::ops::RangeInclusive<f64> = 1e-4..=1e3;

/// An epsilon above this is larger than the root of the second moment of a clipped gradient.
const HIGHEST_EPSILON: f64 = 1e-2;

/// Passes over the data beyond which a run probably over-fits: where few samples were trained on for long, validation loss was lowest
/// after 4 (the highest ranks) to 18 passes (the lowest), docs/results/mars-by-default.md.
const MOST_PASSES: f64 = 20.0;

impl SearchConfig {
    /// What of a [resolved](Self::resolved) configuration for so many training samples is probably not meant, a sentence for each:
    /// training under it would do nothing, or harm. Of a search by a command, which has its own optimizer, what the command is not
    /// told, for which the configuration may also be as it was given: what is filled in counts as set.
    pub fn cautions(&self, samples: usize) -> Vec<String> {
        let mut all = Vec::new();
        if self.trainer.command_options().is_some() {
            return self.untold();
        }
        self.comparisons(&mut all);
        self.warm_up(&mut all);
        self.passes(samples, &mut all);
        self.rates(&mut all);
        self.scales(&mut all);
        let epsilon = self.train.optim.epsilon;
        if epsilon > HIGHEST_EPSILON {
            all.push(format!(
                "train.optim.epsilon is {epsilon:e}: above {HIGHEST_EPSILON:e} it dominates the gradients, and steps become \
                 much smaller than the learning rate; the usual value is 1e-8"
            ));
        }
        all
    }

    /// A final run that is evaluated before its first step and at its end only, where a policy compares choices on the way.
    fn comparisons(&self, all: &mut Vec<String>) {
        let (steps, every) = (self.train.steps.unwrap_or(0), self.train.eval_every.unwrap_or(0));
        let lost = match &self.search.policy {
            PolicySpec::Guided(_) if self.search.budget < 2.0 => "no race is possible, and no law is fitted",
            PolicySpec::Guided(_)
            | PolicySpec::Race(_)
            | PolicySpec::Halving { .. }
            | PolicySpec::Asha { .. } => "no choice is dropped before its end",
            _ => return,
        };
        if every >= steps && steps > 1 {
            all.push(format!(
                "train.eval_every is {every}, but the final run has train.steps = {steps}: it is evaluated at its end only, so that {lost}; \
                 set train.eval_every to {} or less, a twentieth of the run",
                steps.div_ceil(EVALUATIONS)
            ));
        }
    }

    /// A warm-up that is not over when a run is.
    fn warm_up(&self, all: &mut Vec<String>) {
        let warmup = self.train.optim.warmup;
        let calibrates = matches!(self.search.policy, PolicySpec::Paper | PolicySpec::Race(_));
        let runs = [
            ("the final run has train.steps", self.train.steps),
            ("calibration runs have calibration.steps", self.calibration.steps.filter(|_| calibrates)),
        ];
        for (runs, steps) in runs {
            let Some(steps) = steps.filter(|steps| warmup >= *steps) else { continue };
            let highest = highest_factor(self, steps);
            all.push(format!(
                "train.optim.warmup is {warmup} steps, but {runs} = {steps}: the learning rate reaches only \
                 {:.0} % of its peak",
                100.0 * highest
            ));
        }
    }

    /// A run that is many times as long as its data last.
    fn passes(&self, samples: usize, all: &mut Vec<String>) {
        let steps = self.train.steps.unwrap_or(0);
        let passes = steps as f64 * self.train.batch as f64 / samples.max(1) as f64;
        if passes > MOST_PASSES {
            let then = match self.train.keep {
                Keep::Best => {
                    "train.keep = \"best\" ends the run once that is certain and keeps the best adapter"
                }
                Keep::Last => "train.keep = \"last\" keeps the last adapter all the same",
            };
            all.push(format!(
                "train.steps = {steps} is {passes:.0} passes over {samples} samples: it will probably over-fit, the sooner the higher \
                 the ranks; {then}; use fewer steps or more data"
            ));
        }
    }

    /// Rates with which AdamW throws the factors about, or does not move them.
    fn rates(&self, all: &mut Vec<String>) {
        let steps = self.train.steps.unwrap_or(0);
        for (module, rate) in self.learning_rates() {
            let named = self.train.learning_rates.contains_key(&module);
            let setting =
                if named { format!("train.learning_rates.{module}") } else { "train.learning_rate".into() };
            let decay = rate * self.train.optim.weight_decay;
            // No step is taken at more than the peak.
            let reach = rate * steps as f64 * highest_factor(self, steps) * self.largest_scale();
            let caution = if rate > HIGHEST_RATE {
                format!(
                    "{setting} is {rate:e}: AdamW changes every value by about that much in each step; usual values are 1e-5 to 1e-2, \
                     and above {HIGHEST_RATE} training ends worse than it began"
                )
            } else if reach < LEAST_REACH {
                format!(
                    "{setting} is {rate:e}: in {steps} steps no value changes enough to affect what the model computes in f32; \
                     usual values are 1e-5 to 1e-2"
                )
            } else if decay >= 1.0 {
                format!(
                    "{setting} times train.optim.weight_decay is {decay}: each step decays every factor to zero"
                )
            } else {
                continue;
            };
            if !all.contains(&caution) {
                all.push(caution);
            }
        }
    }

    /// Scales of the candidate ranks that are out of all proportion.
    fn scales(&self, all: &mut Vec<String>) {
        let scale = self.largest_scale();
        if !SCALES.contains(&scale) {
            all.push(format!(
                "the scale of an adapter is {scale:e} by lora.scale; usual values are 0.1 to 64, and outside {:e} to {:e} training has no \
                 effect or does harm",
                SCALES.start(),
                SCALES.end()
            ));
        }
    }

    /// The largest scale of a candidate rank, that of the lowest one; of a fixed choice that of its ranks.
    fn largest_scale(&self) -> f64 {
        let space = self.space(std::collections::BTreeMap::new());
        let lowest = match &self.search.policy {
            PolicySpec::Fixed(fixed) => {
                fixed.resolve(&space).ok().and_then(|ranks| ranks.iter().map(|(_, rank)| rank).min())
            }
            _ => self.lora.modules.iter().flat_map(|module| space.ranks_of(module)).min(),
        };
        self.lora.scale.convention().scale(lowest.unwrap_or(1).max(1))
    }
}

/// The largest factor on the learning rate that a run of `steps` steps gets to, in [0, 1].
fn highest_factor(config: &SearchConfig, steps: usize) -> f64 {
    let optim = config.train.optim;
    // A product of a line up and a line down, both capped: its largest value is where one of them leaves its cap, or halfway.
    let decay = (optim.decay_fraction * steps as f64) as usize;
    let places = [optim.warmup.saturating_sub(1), steps.saturating_sub(decay), steps / 2, steps];
    let near = places.into_iter().flat_map(|step| [step.saturating_sub(1), step, step.saturating_add(1)]);
    near.map(|step| optim.factor(step.min(steps.saturating_sub(1)), steps)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::{SearchConfig, highest_factor};

    fn cautions(change: impl FnOnce(&mut SearchConfig)) -> Vec<String> {
        let mut config = SearchConfig::default().resolved(1000, 100);
        change(&mut config);
        config.cautions(1000)
    }

    #[test]
    fn what_is_usual_is_not_warned_of() {
        assert_eq!(cautions(|_| ()), [] as [String; 0]);
        assert_eq!(SearchConfig::embedded().resolved(4096, 256).cautions(4096), [] as [String; 0]);
        for rate in [1e-6, 1e-5, 1e-3, 1e-2, 5e-2] {
            assert_eq!(cautions(|config| config.train.learning_rate = rate), [] as [String; 0], "{rate}");
        }
        for alpha in [1.0, 16.0, 256.0] {
            let none = cautions(|config| {
                config.lora.scale.kind = crate::config::ScaleKind::AlphaOverRank;
                config.lora.scale.alpha = alpha;
            });
            assert_eq!(none, [] as [String; 0], "{alpha}");
        }
    }

    #[test]
    fn each_is_named_with_its_setting_and_value() {
        for (text, part) in [
            ("train.learning_rate=1e10", "train.learning_rate is 1e10"),
            ("train.learning_rate=0.5", "train.learning_rate is 5e-1"),
            ("train.learning_rate=1e-300", "train.learning_rate is 1e-300"),
            ("train.learning_rate=1e-12", "no value changes"),
            ("train.learning_rates.ve=3", "train.learning_rates.ve is 3e0"),
            ("train.optim.warmup=1000", "train.optim.warmup is 1000"),
            ("train.optim.warmup=375", "train.steps = 375"),
            ("train.optim.weight_decay=1e5", "decays every factor to zero"),
            ("train.optim.epsilon=10", "train.optim.epsilon is 1e1"),
            ("lora.scale.scale=1e30", "scale of an adapter is 1e30"),
            ("lora.scale.scale=1e-9", "scale of an adapter is 1e-9"),
        ] {
            let mut layers = crate::config::Layers::new();
            layers.option("data.train", "train.json", "--data").unwrap_or_else(|error| panic!("{error}"));
            layers.assignment(text).unwrap_or_else(|error| panic!("{error}"));
            let config = layers.config().unwrap_or_else(|error| panic!("{text}: {error}"));
            let all = config.resolved(1000, 100).cautions(1000);
            assert!(all.iter().any(|caution| caution.contains(part)), "{text}: {all:?}");
        }
    }

    #[test]
    fn a_run_that_is_evaluated_at_its_end_only_is_warned_of_where_choices_are_compared() {
        let at = |policy: &str, every: usize| {
            cautions(|config| {
                config.search.policy = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error}"));
                (config.train.steps, config.train.eval_every) = (Some(400), Some(every));
            })
        };
        for (policy, lost) in [
            ("guided", "no race is possible, and no law is fitted"),
            ("race", "no choice is dropped before its end"),
            ("halving", "no choice is dropped before its end"),
            ("asha", "no choice is dropped before its end"),
        ] {
            for every in [400, 401, usize::MAX] {
                let all = at(policy, every);
                let named = format!("train.eval_every is {every}, but the final run has train.steps = 400");
                assert!(
                    all.iter().any(|one| one.starts_with(&named) && one.contains(lost)),
                    "{policy}: {all:?}"
                );
                assert!(all[0].contains("set train.eval_every to 20 or less"), "{all:?}");
            }
            assert_eq!(at(policy, 399), [] as [String; 0], "{policy}");
        }
        for policy in ["grid", "paper", "fixed:8x16", "adalora"] {
            assert_eq!(at(policy, 1000), [] as [String; 0], "{policy}");
        }
    }

    #[test]
    fn many_passes_are_warned_of() {
        let at = |steps: usize, samples: usize| {
            let mut config = SearchConfig::embedded().resolved(samples, 64);
            config.train.steps = Some(steps);
            config.cautions(samples)
        };
        assert!(at(1200, 256)[0].contains("75 passes over 256 samples"));
        assert!(at(1200, 256)[0].contains("keeps the best adapter"));
        assert_eq!(at(320, 256), [] as [String; 0], "twenty passes");
        assert_eq!(at(usize::MAX, 0).len(), 1);
    }

    #[test]
    fn the_highest_rate_is_the_highest() {
        let mut config = SearchConfig::default();
        for (warmup, fraction) in [(0, 0.0), (10, 0.3), (60, 0.5), (100, 1.0), (1000, 0.3), (1000, 0.0)] {
            (config.train.optim.warmup, config.train.optim.decay_fraction) = (warmup, fraction);
            for steps in [1, 7, 100] {
                let all = (0..steps).map(|step| config.train.optim.factor(step, steps));
                let most = all.fold(0.0, f64::max);
                let found = highest_factor(&config, steps);
                assert!((found - most).abs() < 1e-9, "{warmup} {fraction} {steps}: {found} {most}");
            }
        }
    }
}
