//! What the placeholders of an external trainer tell its command.

use super::{CommandOptions, Template, options::Prepared};
use crate::Error;

/// A placeholder of a module in a text of [`CommandOptions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulePlaceholder {
    /// Where it stands.
    pub place: Place,
    /// As it is written, as in `{r.llm}`.
    pub text: String,
    /// The module that it names.
    pub module: String,
}

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// [`CommandOptions::template`].
    Template,
    /// The variable of this name in [`CommandOptions::environment`].
    Environment(String),
    /// The path of [`CommandOptions::curve`].
    Curve,
}

impl CommandOptions {
    /// Every placeholder that names a module: which modules there are, is not known here.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn module_placeholders(&self) -> Result<Vec<ModulePlaceholder>, Error> {
        let prepared = Prepared::of(self)?;
        let variables = prepared.environment.iter();
        let variables = variables.map(|(name, value)| (Place::Environment(name.clone()), value));
        let texts = [(Place::Template, &prepared.command), (Place::Curve, &prepared.curve)];
        let named = texts.into_iter().chain(variables).flat_map(|(place, template)| {
            let own = move |(text, module): (String, &str)| {
                let (place, module) = (place.clone(), module.to_owned());
                ModulePlaceholder { place, text, module }
            };
            template.modules().map(own)
        });
        Ok(named.collect())
    }

    /// Whether command or environment have the rank of `module`.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn tells_rank(&self, module: &str) -> Result<bool, Error> {
        self.tells(&format!("r.{module}"))
    }

    /// Whether command or environment have the placeholder of this name, as in `lr.llm` and `warmup`.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn tells(&self, name: &str) -> Result<bool, Error> {
        let prepared = Prepared::of(self)?;
        Ok(prepared.command.has(name) || prepared.environment.values().any(|value| value.has(name)))
    }

    /// Whether command or environment have the directory or the id of the run.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn tells_run(&self) -> Result<bool, Error> {
        let prepared = Prepared::of(self)?;
        Ok(prepared.command.names_the_run() || prepared.environment.values().any(Template::names_the_run))
    }
}
