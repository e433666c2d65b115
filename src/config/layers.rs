//! Layers of settings, each over the one before: default, preset, file, environment, `--set`, flags.

use super::{Config, key};
use crate::failure::Failure;
use anyhow::{Context, Result};
use std::{fs, path::Path};
use toml::{Table, Value};

/// The defaults with whatever was put over them so far.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    defaults: Table,
    settings: Table,
    /// Oddities to tell the user about.
    pub(crate) warnings: Vec<String>,
}

impl Layers {
    /// The defaults.
    pub(crate) fn new() -> Self {
        let defaults: Table =
            include_str!("default.toml").parse().expect("default.toml is TOML: a test reads it");
        Self { settings: defaults.clone(), defaults, warnings: Vec::new() }
    }

    /// Puts a TOML text over what is there; `source` names it in messages.
    ///
    /// # Errors
    /// A usage failure for text that is not TOML, unknown keys and values of another type.
    pub(crate) fn text(&mut self, text: &str, source: &str) -> Result<()> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            Failure::usage(format!("{source}: {}", error.to_string().trim_end()))
        })?;
        self.table(&table, source)
    }

    /// Puts a table over what is there, as [`text`](Self::text).
    pub(crate) fn table(&mut self, table: &Table, source: &str) -> Result<()> {
        for (key, value) in key::leaves(table) {
            self.put(&key, value, source)?;
        }
        Ok(())
    }

    /// Puts a file over what is there.
    pub(crate) fn file(&mut self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path)
            .with_context(|| Failure::usage(format!("cannot read the configuration {}", path.display())))?;
        self.text(&text, &path.display().to_string())
    }

    /// Puts the variables `MARS_SECTION_KEY` over what is there. Other variables that begin with `MARS_`
    /// are none of our business, but may be misspelt: they become warnings.
    pub(crate) fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<()> {
        let known: Vec<String> = key::leaves(&self.defaults).into_iter().map(|(key, _)| key).collect();
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("MARS_") else { continue };
            match known.iter().find(|key| key.to_uppercase().replace('.', "_") == rest) {
                Some(key) => self.parse(key, &text, &format!("environment variable {name}"))?,
                None => self
                    .warnings
                    .push(format!("environment variable {name} names no setting and is not used")),
            }
        }
        Ok(())
    }

    /// Puts `key=value` over what is there.
    pub(crate) fn assignment(&mut self, text: &str) -> Result<()> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(
                Failure::usage(format!("--set {text}: give section.key=value, as in train.batch=4")).into()
            );
        };
        self.parse(key.trim(), value.trim(), &format!("--set {text}"))
    }

    /// Puts a flag's value over what is there.
    pub(crate) fn flag(&mut self, key: &str, value: impl Into<Value>) -> Result<()> {
        self.put(key, value.into(), "a flag")
    }

    /// The value of a string setting as it stands.
    pub(crate) fn is_empty(&self, section: &str, key: &str) -> bool {
        let value = self.settings.get(section).and_then(|section| section.get(key));
        value.and_then(Value::as_str).is_none_or(str::is_empty)
    }

    /// Takes a value as text: as it is for settings that are text, else as TOML.
    fn parse(&mut self, key: &str, text: &str, source: &str) -> Result<()> {
        let is_text = matches!(key::example(&self.defaults, key), Some(Value::String(_)));
        let value = if is_text {
            let quoted = text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
            Value::String(quoted.unwrap_or(text).to_owned())
        } else {
            let parsed = format!("value = {text}").parse::<Table>().ok();
            parsed
                .and_then(|mut table| table.remove("value"))
                .unwrap_or_else(|| Value::String(text.to_owned()))
        };
        self.put(key, value, source)
    }

    fn put(&mut self, key: &str, value: Value, source: &str) -> Result<()> {
        let Some(example) = key::example(&self.defaults, key) else {
            let hint = match key::nearest(&self.defaults, key) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`mars config` lists all settings".to_owned(),
            };
            return Err(Failure::usage(format!("{source}: there is no setting `{key}`; {hint}")).into());
        };
        let value = match (&example, value) {
            (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
            (_, value) => value,
        };
        if !same_type(&example, &value) {
            let message = format!("{source}: {key} is {value}, but must be {}", describe(&example));
            return Err(Failure::usage(message).into());
        }
        if let Value::Float(number) = value
            && !number.is_finite()
        {
            return Err(Failure::usage(format!("{source}: {key} is {number}; it must be finite")).into());
        }
        key::put(&mut self.settings, key, value);
        Ok(())
    }

    /// The settings, typed.
    ///
    /// # Errors
    /// A usage failure for values that no type takes, such as a negative count or an unknown policy.
    pub(crate) fn config(&self) -> Result<Config> {
        let usage = |message: String| Failure::usage(message);
        let mut config: Config = Value::Table(self.settings.clone())
            .try_into()
            .map_err(|error: toml::de::Error| usage(format!("settings: {}", error.to_string().trim_end())))?;
        if config.train.optim.clip_norm == Some(0.0) {
            config.train.optim.clip_norm = None;
        }
        config.table = self.settings.clone();
        config.check()?;
        Ok(config)
    }
}

fn same_type(example: &Value, value: &Value) -> bool {
    match (example, value) {
        (Value::Array(example), Value::Array(values)) => {
            // An empty default is a list of counts.
            let first = example.first().cloned().unwrap_or(Value::Integer(0));
            values.iter().all(|value| same_type(&first, value))
        }
        _ => example.same_type(value),
    }
}

fn describe(example: &Value) -> &'static str {
    match example {
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(items) if items.first().is_some_and(Value::is_str) => {
            "a list of texts, as in [\"ve\", \"llm\"]"
        }
        Value::Array(_) => "a list of whole numbers, as in [4, 8]",
        _ => "text",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(put: impl FnOnce(&mut Layers) -> Result<()>) -> String {
        format!("{:#}", put(&mut Layers::new()).unwrap_err())
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        let config = Layers::new().config().unwrap();
        assert_eq!((config.train.batch, config.search.policy.to_string().as_str()), (8, "guided"));
    }

    #[test]
    fn later_layers_go_before_earlier_ones() {
        let mut layers = Layers::new();
        layers.text("[train]\nbatch = 1\nsteps = 11\nseed = 1\nlearning_rate = 1", "file").unwrap();
        layers
            .environment([("MARS_TRAIN_BATCH".into(), "2".into()), ("MARS_TRAIN_STEPS".into(), "22".into())])
            .unwrap();
        layers.assignment("train.batch=3").unwrap();
        layers.assignment("search.policy=fixed:8x8").unwrap();
        layers.assignment("train.learning_rates.ve=1e-3").unwrap();
        layers.flag("train.seed", 9).unwrap();
        let config = layers.config().unwrap();
        let train = &config.train;
        assert_eq!((train.batch, train.steps, train.seed, train.learning_rate), (3, 22, 9, 1.0));
        assert_eq!(config.search.policy.to_string(), "fixed:8x8");
        assert_eq!(config.learning_rates()["ve"], 1e-3);
        assert_eq!(config.learning_rates()["llm"], 1.0);
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused_by_name() {
        assert!(error(|l| l.assignment("train.bacth=3")).contains("did you mean `train.batch`"));
        assert!(
            error(|l| l.text("[trian]\nbatch = 3", "my.toml"))
                .contains("my.toml: there is no setting `trian.batch`")
        );
        assert!(error(|l| l.assignment("train.batch=many")).contains("must be a whole number"));
        assert!(error(|l| l.assignment("train=3")).contains("there is no setting `train`"));
        assert!(error(|l| l.assignment("calibration.ranks=[4,\"x\"]")).contains("list of whole numbers"));
        assert!(error(|l| l.assignment("train.learning_rate=nan")).contains("finite"));
        assert!(error(|l| l.assignment("train.batch")).contains("section.key=value"));
        assert!(error(|l| l.text("a = [", "my.toml")).contains("my.toml"));
        let variable = ("MARS_TRAIN_BATCH".to_owned(), "x".to_owned());
        assert!(error(|l| l.environment([variable])).contains("MARS_TRAIN_BATCH"));
    }

    #[test]
    fn foreign_variables_are_only_warned_about() {
        let mut layers = Layers::new();
        layers.environment([("MARS_HOME".into(), "/x".into()), ("PATH".into(), "/bin".into())]).unwrap();
        assert_eq!(layers.warnings.len(), 1);
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (assignment, part) in [
            ("train.batch=-1", "batch"),
            ("train.batch=0", "train.batch"),
            ("train.learning_rate=0", "train.learning_rate"),
            ("lora.modules=[]", "lora.modules"),
            ("data.val_fraction=0.7", "data"),
            ("search.policy=best", "best"),
            ("search.ranks=[0]", "search.ranks"),
            ("search.reference=audio", "search.reference"),
            ("lora.scale.kind=sometimes", "sometimes"),
            ("calibration.rule=never", "never"),
            ("train.optim.beta1=1", "beta1"),
        ] {
            let mut layers = Layers::new();
            layers.assignment(assignment).unwrap();
            if assignment.contains("val_fraction") {
                layers.assignment("data.test_fraction=0.5").unwrap();
            }
            let message = format!("{:#}", layers.config().unwrap_err());
            assert!(message.contains(part), "{assignment}: {message}");
        }
    }
}
