//! The settings that count when a task is opened, and not once it is there.

use super::{DataConfig, ModelConfig, RunConfig, SearchConfig, chosen, key, stored::table};
use crate::Error;
use mars_kernels::Compute;
use serde::Serialize;

/// What of a configuration counts when a task is opened.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Opened {
    model: ModelConfig,
    data: DataConfig,
    run: OpenedRun,
}

#[derive(Clone, Debug, Serialize)]
struct OpenedRun {
    device: String,
    #[serde(serialize_with = "chosen::text::serialize")]
    compute: Option<Compute>,
    feature_cache: usize,
}

impl Opened {
    /// The settings of a task that is opened with `config`.
    pub(crate) fn of(config: &SearchConfig) -> Self {
        let RunConfig { device, compute, feature_cache, .. } = config.run.clone();
        let run = OpenedRun { device, compute, feature_cache };
        Self { model: config.model.clone(), data: config.data.clone(), run }
    }

    /// Those of a task of one's own, in a search with `config`: defaults with products in f32, but for the device on which its model is, on
    /// which the defaults of other settings depend.
    pub(crate) fn own(config: &SearchConfig) -> Self {
        let own = Self::of(&SearchConfig::default());
        let run = OpenedRun { device: config.run.device.clone(), compute: Some(Compute::F32), ..own.run };
        Self { run, ..own }
    }

    /// `config` with these settings.
    ///
    /// # Errors
    /// An error of usage for a value of `config` that is neither the default nor the one here: it would change nothing.
    pub(crate) fn within(&self, config: &SearchConfig) -> Result<SearchConfig, Error> {
        let (own, defaults) = (table(self)?, table(&Self::of(&SearchConfig::default()))?);
        for (key, asked) in key::leaves(&table(&Self::of(config))?) {
            let of = |settings| key::example(settings, &key).unwrap_or_else(|| "".into());
            let (own, default) = (of(&own), of(&defaults));
            if asked != own && asked != default {
                return Err(Error::usage(format!(
                    "{key} is {asked}, and {own} for the task: it counts when a task is opened, and changes nothing afterwards; \
                     open the task with it, or leave it at {default}"
                )));
            }
        }
        let OpenedRun { device, compute, feature_cache } = self.run.clone();
        let run = RunConfig { device, compute, feature_cache, ..config.run.clone() };
        Ok(SearchConfig { model: self.model.clone(), data: self.data.clone(), run, ..config.clone() })
    }
}
