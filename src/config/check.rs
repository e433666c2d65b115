//! Checks on settings that need no data, and the values that follow from the size of the data.

use super::{Config, key};
use crate::failure::Failure;
use anyhow::Result;
use toml::Value;

impl Config {
    /// Checks what can be checked before any file is opened.
    pub(super) fn check(&self) -> Result<()> {
        let demand = |ok: bool, message: String| if ok { Ok(()) } else { Err(Failure::usage(message)) };
        let positive = |value: f64| value > 0.0;
        let (data, train, search) = (&self.data, &self.train, &self.search);
        demand(train.batch > 0, "train.batch is 0; it must be at least 1".into())?;
        demand(
            positive(train.learning_rate) && train.learning_rates.values().all(|rate| positive(*rate)),
            format!("train.learning_rate is {}; learning rates must be greater than 0", train.learning_rate),
        )?;
        for (key, value) in [("run.stack", self.run.stack), ("run.eval_batch", self.run.eval_batch)] {
            demand(value > 0, format!("{key} is 0; it must be at least 1"))?;
        }
        demand(!self.lora.modules.is_empty(), "lora.modules is empty; name at least one module".into())?;
        demand(
            data.val_fraction > 0.0
                && data.test_fraction > 0.0
                && data.val_fraction + data.test_fraction < 1.0,
            format!(
                "data.val_fraction is {} and data.test_fraction {}; both must be greater than 0, their sum below 1",
                data.val_fraction, data.test_fraction
            ),
        )?;
        for (key, ranks) in [("search.ranks", &search.ranks), ("calibration.ranks", &self.calibration.ranks)]
            .into_iter()
            .chain(search.candidates.values().map(|ranks| ("search.candidates", ranks)))
        {
            demand(
                !ranks.is_empty() && !ranks.contains(&0),
                format!("{key} is {ranks:?}; it must hold ranks of 1 or more"),
            )?;
        }
        let known = |module: &String| self.lora.modules.contains(module);
        demand(
            known(&search.reference),
            format!(
                "search.reference is \"{}\", which is not in lora.modules {:?}",
                search.reference, self.lora.modules
            ),
        )?;
        for (key, names) in [
            ("train.learning_rates", train.learning_rates.keys().collect::<Vec<_>>()),
            ("search.candidates", search.candidates.keys().collect()),
        ] {
            if let Some(stray) = names.into_iter().find(|name| !known(name)) {
                let modules = &self.lora.modules;
                return Err(Failure::usage(format!(
                    "{key}.{stray}: `{stray}` is not in lora.modules {modules:?}"
                ))
                .into());
            }
        }
        self.lora.scale.validate()?;
        train.optim.validate()?;
        demand(
            matches!(data.too_long.as_str(), "error" | "drop"),
            format!("data.too_long is \"{}\"; it must be error or drop", data.too_long),
        )?;
        self.reading()?;
        self.targets()?;
        self.rule()?;
        Ok(())
    }

    /// Fills in what was left to mars, for so many training and validation samples.
    pub(crate) fn settle(&mut self, samples: usize, validation: usize) {
        let evaluated = &mut self.run.validation_samples;
        *evaluated = if *evaluated == 0 { validation } else { validation.min(*evaluated) };

        let (train, calibration) = (&mut self.train, &mut self.calibration);
        if train.steps == 0 {
            train.steps = (3 * samples).div_ceil(train.batch).max(1);
        }
        if train.eval_every == 0 {
            train.eval_every = train.steps.div_ceil(20);
        }
        if calibration.steps == 0 {
            calibration.steps = train.steps.div_ceil(3);
        }
        if calibration.eval_every == 0 {
            calibration.eval_every = calibration.steps.div_ceil(40);
        }
        if calibration.sizes.is_empty() {
            calibration.sizes = [16, 8, 4].iter().map(|part| (samples / part).max(1)).collect();
            calibration.sizes.dedup();
        }
        let count = |value: usize| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
        let sizes = Value::Array(calibration.sizes.iter().copied().map(count).collect());
        for (name, value) in [
            ("train.steps", count(train.steps)),
            ("train.eval_every", count(train.eval_every)),
            ("calibration.steps", count(calibration.steps)),
            ("calibration.eval_every", count(calibration.eval_every)),
            ("calibration.sizes", sizes),
            ("run.validation_samples", count(self.run.validation_samples)),
        ] {
            key::put(&mut self.table, name, value);
        }
    }
}
