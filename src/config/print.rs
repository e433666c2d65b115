//! A configuration as TOML, every setting with its documentation.

use super::{SearchConfig, section};
use documented::DocumentedFields;
use std::fmt::Write;
use toml::{Table, Value};

/// Width of the comments.
const WIDTH: usize = 118;

impl SearchConfig {
    /// The configuration as TOML that [`Layers`](super::Layers) reads back. A setting that is left to mars is a comment,
    /// which says what mars will choose.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let table = |config: &Self| Table::try_from(config).unwrap_or_default();
        let (all, defaults) = (table(self), table(&Self::default()));
        let mut page = Page { text: &mut text, all: &all, defaults: &defaults };
        page.section::<section::ModelConfig>("model");
        page.section::<section::DataConfig>("data");
        page.section::<section::LoraConfig>("lora");
        page.section::<section::ScaleConfig>("lora.scale");
        page.section::<section::TrainConfig>("train");
        page.section::<section::OptimConfig>("train.optim");
        page.section::<section::CalibrationConfig>("calibration");
        page.section::<section::SearchSection>("search");
        page.section::<section::RunConfig>("run");
        page.section::<section::TrainerConfig>("trainer");
        page.section::<section::OutConfig>("out");
        text.trim_end().to_owned() + "\n"
    }
}

struct Page<'a> {
    text: &'a mut String,
    all: &'a Table,
    defaults: &'a Table,
}

impl Page<'_> {
    /// One section; tables of free keys within it follow its settings, nested sections are printed on their own.
    fn section<S: DocumentedFields>(&mut self, path: &str) {
        let Some(values) = table(self.all, path) else { return };
        self.line(format_args!("[{path}]"));
        let (mut tables, mut settings) = (Vec::new(), Vec::new());
        for (name, docs) in S::FIELD_NAMES.iter().zip(S::FIELD_DOCS) {
            match values.get(*name) {
                Some(Value::Table(table)) => tables.push((*name, *docs, table.clone())),
                Some(value) => settings.push((*name, *docs, value.clone())),
                None => {}
            }
        }
        for (name, docs, value) in settings {
            self.comment(docs);
            let default = table(self.defaults, path).and_then(|section| section.get(name));
            if default == Some(&value) && is_left_to_mars(docs, &value) {
                self.line(format_args!("# {name} is not set"));
            } else {
                self.line(format_args!("{name} = {value}"));
            }
        }
        self.text.push('\n');
        for (name, docs, table) in tables.into_iter().filter(|(name, ..)| !is_nested(path, name)) {
            self.comment(docs);
            self.line(format_args!("[{path}.{name}]"));
            for (key, value) in table {
                self.line(format_args!("{} = {value}", Value::String(key)));
            }
            self.text.push('\n');
        }
    }

    fn comment(&mut self, docs: &str) {
        let mut line = String::new();
        for word in docs.split_whitespace() {
            if !line.is_empty() && line.len() + word.len() >= WIDTH {
                self.line(format_args!("# {line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        self.line(format_args!("# {line}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}"); // writing to a string does not fail
    }
}

/// Sections with types of their own.
fn is_nested(path: &str, name: &str) -> bool {
    matches!((path, name), ("lora", "scale") | ("train", "optim"))
}

fn table<'a>(all: &'a Table, path: &str) -> Option<&'a Table> {
    path.split('.').try_fold(all, |table, key| table.get(key)?.as_table())
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
        assert_eq!(read(&config.to_toml()), config);
        config.data.train = Some("a \"b\".json".into());
        config.train.learning_rates.insert("ve".into(), 3e-5);
        config.train.optim.clip_norm = None;
        config.search.candidates.insert("llm".into(), vec![8, 16]);
        config.trainer.environment.insert("CUDA_VISIBLE_DEVICES".into(), "0".into());
        assert_eq!(read(&config.to_toml()), config);
    }

    #[test]
    fn every_setting_is_printed_with_its_documentation() {
        let text = SearchConfig::default().to_toml();
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
        let text = SearchConfig::default().to_toml();
        assert!(text.contains("\n# steps is not set\n") && text.contains("\n# sizes is not set\n"), "{text}");
        assert!(text.contains("\nseed = 0\n") && text.contains("\ndropout = 0.0\n"), "{text}");
    }
}
