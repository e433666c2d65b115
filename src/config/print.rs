//! A configuration as TOML, every setting with its documentation, and as JSON.

use super::{SearchConfig, layers, section, stored::table};
use crate::Error;
use documented::DocumentedFields;
use std::fmt::Write;
use toml::{Table, Value};

/// Width of the comments.
const WIDTH: usize = 118;

/// A section with the names and the documentation of its settings, in order.
struct Section {
    path: &'static str,
    names: &'static [&'static str],
    docs: &'static [&'static str],
}

const fn section<S: DocumentedFields>(path: &'static str) -> Section {
    Section { path, names: S::FIELD_NAMES, docs: S::FIELD_DOCS }
}

const SECTIONS: [Section; 11] = [
    section::<section::ModelConfig>("model"),
    section::<section::DataConfig>("data"),
    section::<section::LoraConfig>("lora"),
    section::<section::ScaleConfig>("lora.scale"),
    section::<section::TrainConfig>("train"),
    section::<section::OptimConfig>("train.optim"),
    section::<section::CalibrationConfig>("calibration"),
    section::<section::SearchSection>("search"),
    section::<section::RunConfig>("run"),
    section::<section::TrainerConfig>("trainer"),
    section::<section::OutConfig>("out"),
];

impl SearchConfig {
    /// The configuration as TOML that [`Layers`](super::Layers) reads back. A setting that is left to mars is a comment,
    /// and the documentation above it says what mars will choose.
    ///
    /// # Errors
    /// An error of usage for values that TOML cannot hold: numbers of 2^63 and above, and paths that are not UTF-8.
    pub fn to_toml(&self) -> Result<String, Error> {
        let (all, defaults) = (table(self)?, table(&Self::default())?);
        let preset = if layers::is_embedded(&all) { layers::preset() } else { Table::new() };
        let mut text = String::new();
        for section in &SECTIONS {
            let (mut tables, mut settings) = (String::new(), String::new());
            for (name, docs, value) in section.settings(&all) {
                let is_left =
                    is_left_to_mars(docs, value) && at(&defaults, section.path, name) == Some(value);
                match value {
                    // Sections of their own.
                    Value::Table(_) if SECTIONS.iter().any(|other| other.path == path(section, name)) => {}
                    Value::Table(entries) => {
                        let _ = writeln!(tables, "{}\n[{}]", comment(docs), path(section, name));
                        for (key, value) in entries {
                            let _ = writeln!(tables, "{} = {value}", Value::String(key.clone()));
                        }
                        tables.push('\n');
                    }
                    _ if is_left && at(&preset, section.path, name).is_none() => {
                        let _ = writeln!(settings, "{}\n# {name} is not set", comment(docs));
                    }
                    value => {
                        let _ = writeln!(settings, "{}\n{name} = {value}", comment(docs));
                    }
                }
            }
            let _ = writeln!(text, "[{}]\n{settings}\n{tables}", section.path);
        }
        Ok(text.replace("\n\n\n", "\n\n").trim_end().to_owned() + "\n")
    }

    /// The configuration as JSON; a setting that is left to mars is null.
    ///
    /// # Errors
    /// An error of usage as for [`to_toml`](Self::to_toml).
    pub fn to_json(&self) -> Result<serde_json::Value, Error> {
        let (all, defaults) = (table(self)?, table(&Self::default())?);
        let mut json = serde_json::to_value(self)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        for section in &SECTIONS {
            for (name, docs, value) in section.settings(&all) {
                if is_left_to_mars(docs, value) && at(&defaults, section.path, name) == Some(value) {
                    let own = section.path.split('.').fold(&mut json, |json, key| &mut json[key]);
                    own[name] = serde_json::Value::Null;
                }
            }
        }
        Ok(json)
    }
}

impl Section {
    /// Name, documentation and value of each setting.
    fn settings<'a>(
        &self,
        all: &'a Table,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'a Value)> + use<'a> {
        let path = self.path;
        let documented = self.names.iter().zip(self.docs);
        documented.filter_map(move |(name, docs)| Some((*name, *docs, at(all, path, name)?)))
    }
}

/// The value of a setting in a table of all.
fn at<'a>(all: &'a Table, section: &str, name: &str) -> Option<&'a Value> {
    let section = section.split('.').try_fold(all, |table, key| table.get(key)?.as_table());
    section?.get(name)
}

fn path(section: &Section, name: &str) -> String {
    format!("{}.{name}", section.path)
}

/// Documentation as comment lines, without a line end.
fn comment(docs: &str) -> String {
    let (mut text, mut line) = (String::new(), "#".to_owned());
    for word in docs.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            text = text + &line + "\n";
            "#".clone_into(&mut line);
        }
        line = line + " " + word;
    }
    text + &line
}

/// Whether `value` stands for "left to mars": its documentation says so, as in `0: three passes over the training set.`
fn is_left_to_mars(docs: &str, value: &Value) -> bool {
    let marker = match value {
        Value::Integer(0) => "0:",
        Value::Float(number) if *number == 0.0 => "0:",
        Value::String(text) if text.is_empty() => "\"\":",
        Value::Array(items) if items.is_empty() => "[]:",
        _ => return false,
    };
    docs.split_whitespace().any(|word| word == marker)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Layers, SearchConfig, key};
    use toml::Table;

    fn read(text: &str) -> SearchConfig {
        let mut layers = Layers::new();
        layers.text(text, "printed").unwrap();
        layers.config().unwrap()
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let mut config = SearchConfig::embedded();
        assert_eq!(read(&config.to_toml().unwrap()), config);
        config.data.train = Some("a \"b\".json".into());
        config.train.learning_rates.insert("ve".into(), 3e-5);
        config.train.optim.clip_norm = None;
        config.search.candidates.insert("llm".into(), vec![8, 16]);
        config.trainer.environment.insert("CUDA_VISIBLE_DEVICES".into(), "0".into());
        assert_eq!(read(&config.to_toml().unwrap()), config);
    }

    #[test]
    fn defaults_are_read_back_where_the_embedded_preset_would_override_them() {
        let config = SearchConfig::default();
        assert_eq!(read(&config.to_toml().unwrap()), config);
        let json = config.to_json().unwrap();
        assert!(json["train"]["steps"].is_null() && json["calibration"]["sizes"].is_null(), "{json}");
        assert_eq!((&json["train"]["seed"], &json["lora"]["dropout"]), (&0.into(), &0.0.into()));
        let json = SearchConfig::embedded().to_json().unwrap();
        assert_eq!((&json["train"]["steps"], &json["data"]["train"]), (&3200.into(), &().into()));
    }

    #[test]
    fn every_setting_is_printed_with_its_documentation() {
        let text = SearchConfig::default().to_toml().unwrap();
        for (key, _) in key::leaves(&Table::try_from(SearchConfig::default()).unwrap()) {
            let name = key.rsplit('.').next().unwrap();
            let (set, unset) = (format!("{name} = "), format!("# {name} is not set"));
            let at = text.lines().position(|line| line.starts_with(&set) || line == unset);
            let before = at.and_then(|at| text.lines().nth(at - 1));
            assert!(before.is_some_and(|line| line.starts_with("# ")), "{key}");
        }
    }

    #[test]
    fn what_is_left_to_mars_is_a_comment() {
        let mut config = SearchConfig::default();
        config.model.dir = Some("model".into());
        let text = config.to_toml().unwrap();
        assert!(text.contains("\n# steps is not set\n") && text.contains("\n# sizes is not set\n"), "{text}");
        assert!(text.contains("\nseed = 0\n") && text.contains("\ndropout = 0.0\n"), "{text}");
    }
}
