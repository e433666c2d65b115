//! Layers of settings, each overriding the one before: defaults, file, environment, assignments, flags.

use super::{
    SearchConfig, key,
    origin::{Origin, Origins},
};
use crate::Error;
use mars_lora::stored::regular;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// With what variables of the environment begin that are settings.
const PREFIX: &str = "MARS_";

/// What suits the embedded task.
const EMBEDDED: &str = include_str!("embedded.toml");

/// The defaults with whatever overrides them so far.
///
/// Where the layers name neither a model nor data, the settings of the embedded task lie between the defaults and
/// the layers.
#[derive(Clone, Debug)]
pub struct Layers {
    pub(super) defaults: Table,
    settings: Table,
    /// Where each of the settings comes from.
    pub(super) origins: Origins,
    warnings: Vec<String>,
}

impl Default for Layers {
    fn default() -> Self {
        Self::new()
    }
}

impl Layers {
    /// The defaults.
    pub fn new() -> Self {
        let defaults = Table::try_from(SearchConfig::default())
            .expect("a default configuration is numbers, texts, lists and tables: a test writes it");
        Self { defaults, settings: Table::new(), origins: Origins::new(), warnings: Vec::new() }
    }

    /// Oddities that the user should know of.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Overrides settings by a TOML text; `source` names it in messages.
    ///
    /// # Errors
    /// An error of usage for text that is not TOML, unknown keys and values of another type.
    pub fn text(&mut self, text: &str, source: &str) -> Result<(), Error> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            Error::usage(format!("{source}: {}", error.to_string().trim_end().replace('\n', "\n  ")))
        })?;
        self.table(&table, source)
    }

    /// Overrides settings by a table, as [`text`](Self::text).
    pub(super) fn table(&mut self, table: &Table, source: &str) -> Result<(), Error> {
        for (key, value) in key::leaves(table) {
            self.put(&key, value, source)?;
        }
        Ok(())
    }

    /// Overrides settings by a file.
    ///
    /// # Errors
    /// An error of usage when it is no file that can be read, one of reading when the system fails, and as for
    /// [`text`](Self::text).
    pub fn file(&mut self, path: &Path) -> Result<(), Error> {
        let text = regular::read_text(path, regular::LONGEST_CONFIG).map_err(|error| {
            let stated = Error::usage(format!("cannot read the configuration {}", path.display()));
            Error::reading(path, error, stated)
        })?;
        self.text(&text, &path.display().to_string())
    }

    /// Overrides settings by the variables `MARS_SECTION_KEY` among `variables`. Others that begin with `MARS_` may
    /// belong to other programs, or be misspelt: they become warnings.
    ///
    /// # Errors
    /// An error of usage for a value of another type.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), Error> {
        for (name, text) in variables {
            match self.setting_of(&name) {
                Some(key) => self.parse(&key, &text, &format!("environment variable {name}"))?,
                None if name.starts_with(PREFIX) => self
                    .warnings
                    .push(format!("environment variable {name} names no setting and is not used")),
                None => {}
            }
        }
        Ok(())
    }

    /// The key of the setting that the environment variable `name` sets; `None` for a variable of another program.
    pub fn setting_of(&self, name: &str) -> Option<String> {
        let rest = name.strip_prefix(PREFIX)?;
        let known = key::leaves(&self.defaults).into_iter().map(|(key, _)| key);
        let mut all = known.chain(key::RENAMED.iter().map(|(old, _)| (*old).to_owned()));
        all.find(|key| key.to_uppercase().replace('.', "_") == rest)
    }

    /// Overrides one setting by `key=value`.
    ///
    /// # Errors
    /// An error of usage for another form, an unknown key, or a value of another type.
    pub fn assignment(&mut self, text: &str) -> Result<(), Error> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Error::usage(format!("--set {text}: give section.key=value, as in train.batch=4")));
        };
        self.parse(key.trim(), value.trim(), &format!("--set {text}"))
    }

    /// Overrides one setting by the value of the flag `name`, as in `--policy`.
    ///
    /// # Errors
    /// An error of usage for an unknown key or a value of another type.
    pub fn option(&mut self, key: &str, value: impl Into<Value>, name: &str) -> Result<(), Error> {
        self.put(key, value.into(), name)
    }

    /// Takes a value as text: as it is for settings that are text, otherwise as TOML.
    fn parse(&mut self, key: &str, text: &str, source: &str) -> Result<(), Error> {
        let is_text = matches!(key::example(&self.defaults, key::current(key)), Some(Value::String(_)));
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

    fn put(&mut self, key: &str, value: Value, source: &str) -> Result<(), Error> {
        let key = key::current(key);
        let Some(example) = key::example(&self.defaults, key) else {
            let hint = match key::nearest(&self.defaults, key) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known: {}", key::sections(&self.defaults)),
            };
            return Err(Error::usage(format!("{source}: unknown setting `{key}`; {hint}")));
        };
        let value = match (&example, value) {
            (Value::Float(_), Value::Integer(whole)) => Value::Float(whole as f64),
            (_, value) => value,
        };
        if !same_type(&example, &value) {
            return Err(Error::usage(format!(
                "{source}: {key} is {value}, but must be {}",
                describe(&example)
            )));
        }
        if let Value::Float(number) = value
            && !number.is_finite()
        {
            return Err(Error::usage(format!("{source}: {key} is {number}; it must be finite")));
        }
        key::put(&mut self.settings, key, value);
        self.origins.insert(key.to_owned(), Origin::Set(source.to_owned()));
        Ok(())
    }

    /// The settings, typed and checked: all that a search under them uses.
    ///
    /// # Errors
    /// An error of usage for values that no type takes, such as a negative count or an unknown policy, and those of
    /// [`SearchConfig::check`]; with the origin of the settings that it names.
    pub fn config(&self) -> Result<SearchConfig, Error> {
        self.checked(SearchConfig::check)
    }

    /// The same for the settings of a campaign.
    pub(super) fn stored(&self) -> Result<SearchConfig, Error> {
        self.checked(SearchConfig::check_stored)
    }

    /// The settings, typed, of which those for reading a model and data are checked.
    ///
    /// # Errors
    /// As for [`config`](Self::config), but for [`SearchConfig::check_reading`].
    pub fn reading(&self) -> Result<SearchConfig, Error> {
        self.checked(SearchConfig::check_reading)
    }

    fn checked(&self, check: fn(&SearchConfig) -> Result<(), Error>) -> Result<SearchConfig, Error> {
        let mut all = self.defaults.clone();
        if self.is_embedded() {
            merge(&mut all, &preset());
        }
        merge(&mut all, &self.settings);
        let typed = Value::Table(all).try_into().map_err(|error: toml::de::Error| {
            Error::usage(format!("settings: {}", error.to_string().trim_end().replace('\n', " ")))
        });
        let checked = typed.and_then(|config: SearchConfig| check(&config).map(|()| config));
        checked.map_err(|error| self.with_origins(error))
    }

    /// Lays `upper` over these.
    pub(super) fn lay(&mut self, upper: Self) {
        merge(&mut self.settings, &upper.settings);
        self.origins.extend(upper.origins);
        self.warnings.extend(upper.warnings);
    }

    /// The directory of the campaign, `out.dir`.
    pub fn directory(&self) -> PathBuf {
        let set = |table| key::get(table, "out.dir").and_then(Value::as_str);
        set(&self.settings).or_else(|| set(&self.defaults)).map(PathBuf::from).unwrap_or_default()
    }

    /// Whether they are about the embedded task.
    pub(super) fn is_embedded(&self) -> bool {
        is_embedded(&self.settings)
    }
}

/// Whether settings name neither a model nor data nor a command: then they are about the embedded task.
pub(super) fn is_embedded(settings: &Table) -> bool {
    let named = |section: &str, key: &str| {
        let value = settings.get(section).and_then(|section| section.get(key));
        value.and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    };
    !named("data", "train") && !named("model", "dir") && !named("trainer", "command")
}

/// The settings of the embedded task.
pub(super) fn preset() -> Table {
    EMBEDDED.parse().expect("the embedded preset is TOML: a test reads it")
}

fn merge(into: &mut Table, from: &Table) {
    for (key, value) in key::leaves(from) {
        key::put(into, &key, value);
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
