//! What a command that trains cannot be told.

use super::{OutConfig, RunConfig, ScaleConfig, SearchConfig, TrainConfig};
use crate::Error;
use mars_calib::command::CommandOptions;
use mars_kernels::Compute;
use mars_lora::Variant;
use mars_search::{Method, PolicySpec};

impl SearchConfig {
    /// Refuses what no placeholder of `trainer.command` carries, where a command trains: it would train plain LoRA on layers of its own,
    /// and the report would say otherwise.
    pub(super) fn check_told(&self) -> Result<(), Error> {
        let Some(options) = self.trainer.command_options() else { return Ok(()) };
        let (lora, plain) = (self.lora.variant(), Variant::default());
        let own = [
            ("lora.targets", self.lora.targets.is_some()),
            ("lora.dropout", lora.dropout != plain.dropout),
            ("lora.dora", lora.dora != plain.dora),
            ("lora.init", lora.init != plain.init),
            ("lora.b_ratio", lora.b_ratio != plain.b_ratio),
        ];
        if let Some((setting, _)) = own.into_iter().find(|(_, is_set)| *is_set) {
            return Err(Error::usage(format!(
                "{setting} is set, but a command trains (trainer.kind), and no placeholder passes it on; remove {setting} and put \
                 its value into trainer.command"
            )));
        }
        match &self.search.policy {
            PolicySpec::Method(Method::AdaLora | Method::GeoLora | Method::HydraStyle | Method::Eva) => {
                Err(Error::usage(format!(
                    "search.policy is {}, which the built-in trainer can do; a command (trainer.kind) trains plain LoRA: choose another \
                     policy, or trainer.kind = native",
                    self.search.policy
                )))
            }
            PolicySpec::Method(Method::DiffLr(_)) => self.check_rates_told(&options),
            _ => Ok(()),
        }
    }

    /// Refuses a policy of learning rates where the command does not learn them.
    fn check_rates_told(&self, options: &CommandOptions) -> Result<(), Error> {
        for module in &self.lora.modules {
            if !options.tells(&format!("lr.{module}"))? {
                return Err(Error::usage(format!(
                    "search.policy is {}, but trainer.command has no {{lr.{module}}}, so the trainer would not get the learning rate \
                     of `{module}`; write {{lr.{module}}} into trainer.command or trainer.environment, or choose another policy",
                    self.search.policy
                )));
            }
        }
        Ok(())
    }

    /// What is set of the training, and not told to the command that trains, a sentence for each: a trainer may have it from
    /// elsewhere. Empty for the built-in trainer.
    pub(super) fn untold(&self) -> Vec<String> {
        let Some(options) = self.trainer.command_options() else { return Vec::new() };
        // A command that cannot be read is refused before.
        let lacks = |name: &str| !options.tells(name).unwrap_or(true);
        let (train, usual) = (&self.train, TrainConfig::default());
        let (optim, plain) = (&train.optim, &usual.optim);
        let (run, plain_run) = (&self.run, RunConfig::default());
        let mut all: Vec<(String, Option<String>)> = Vec::new();
        for (module, rate) in self.learning_rates() {
            let key = match train.learning_rates.contains_key(&module) {
                true => format!("train.learning_rates.{module}"),
                false => "train.learning_rate".to_owned(),
            };
            let (placeholder, is_known) =
                (format!("lr.{module}"), all.iter().any(|(known, _)| *known == key));
            if rate != usual.learning_rate && lacks(&placeholder) && !is_known {
                all.push((key, Some(placeholder)));
            }
        }
        if self.lora.scale.convention() != ScaleConfig::default().convention() {
            let mut placeholders = self.lora.modules.iter().map(|module| format!("alpha.{module}"));
            let first = placeholders.find(|placeholder| lacks(placeholder));
            all.extend(first.map(|placeholder| ("lora.scale".to_owned(), Some(placeholder))));
        }
        for (key, placeholder, is_set) in [
            ("train.batch", "batch", train.batch != usual.batch),
            ("train.seed", "seed", train.seed != usual.seed),
            ("train.optim.warmup", "warmup", optim.warmup != plain.warmup),
            ("train.optim.decay_fraction", "decay_fraction", optim.decay_fraction != plain.decay_fraction),
        ] {
            if is_set && lacks(placeholder) {
                all.push((key.to_owned(), Some(placeholder.to_owned())));
            }
        }
        for (key, is_set) in [
            ("model.dir", self.model.dir.is_some()),
            // Without trainer.samples the training samples are counted.
            ("data.train", self.data.train.is_some() && self.trainer.samples.is_some()),
            ("data.val", self.data.val.is_some()),
            ("data.test", self.data.test.is_some()),
            ("data.images", self.data.images.is_some()),
            ("train.optim.weight_decay", optim.weight_decay != plain.weight_decay),
            ("train.optim.beta1", optim.beta1 != plain.beta1),
            ("train.optim.beta2", optim.beta2 != plain.beta2),
            ("train.optim.epsilon", optim.epsilon != plain.epsilon),
            ("train.optim.clip_norm", optim.clip_norm != plain.clip_norm),
            ("run.device", run.device != plain_run.device),
            ("run.compute", run.compute.is_some_and(|compute| compute != Compute::F32)),
            ("run.gradient_checkpointing", run.gradient_checkpointing != plain_run.gradient_checkpointing),
            ("out.adapter_layout", self.out.adapter_layout != OutConfig::default().adapter_layout),
            ("run.validation_samples", self.run.validation_samples.is_some_and(|samples| samples > 0)),
        ] {
            if is_set {
                all.push((key.to_owned(), None));
            }
        }
        let sentence = |(key, placeholder): (String, Option<String>)| {
            let by = placeholder.map_or_else(
                || "is not passed to the command".to_owned(),
                |name| format!("trainer.command has no {{{name}}}"),
            );
            format!("{key} is set, but {by}; it has no effect unless the trainer gets it elsewhere")
        };
        all.into_iter().map(sentence).chain(self.lengths_untold(&options)).collect()
    }

    /// That the command does not learn how long a run is, where the policy has runs of several lengths.
    fn lengths_untold(&self, options: &CommandOptions) -> Option<String> {
        let has_one_length = matches!(
            self.search.policy,
            PolicySpec::Fixed(_) | PolicySpec::Grid | PolicySpec::Random { .. } | PolicySpec::Method(_)
        );
        if has_one_length || options.tells("steps").unwrap_or(true) {
            return None;
        }
        Some(format!(
            "trainer.command has no {{steps}}, but search.policy = {} has runs of several lengths: one that trains past its end, or \
             ends before it, has failed; write {{steps}} into trainer.command or trainer.environment",
            self.search.policy
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{SearchConfig, TrainerKind};

    #[test]
    fn a_command_that_does_not_learn_the_length_of_its_runs_is_warned_of_where_there_are_several() {
        let cautions = |policy: &str, command: &str| {
            let mut config = SearchConfig::default();
            config.search.policy = policy.parse().unwrap_or_else(|error| panic!("{policy}: {error}"));
            config.trainer.kind = TrainerKind::Command;
            config.trainer.command = Some(command.to_owned());
            let all = config.cautions(1000).into_iter();
            all.filter(|caution| caution.contains("no {steps}")).collect::<Vec<_>>()
        };
        let plain = "train {r.ve} {r.llm} {out}";
        for policy in ["guided", "race", "halving", "asha", "paper", "surface"] {
            for command in [plain, "train {r.ve} {r.llm} {horizon} {out}"] {
                let all = cautions(policy, command);
                assert!(all.len() == 1 && all[0].contains(policy), "{policy}: {all:?}");
            }
            assert_eq!(cautions(policy, "train {r.ve} {r.llm} {steps} {out}"), [] as [String; 0], "{policy}");
        }
        for policy in ["fixed:8x16", "grid", "random:3", "diff-lr:5"] {
            assert_eq!(cautions(policy, plain), [] as [String; 0], "{policy}");
        }
    }
}
