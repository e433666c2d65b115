//! The configuration in a campaign's settings: what all its runs share, and what may change from call to call.

use super::{Layers, SearchConfig};
use crate::Error;
use mars_calib::{Keep, Settings};
use mars_kernels::Compute;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use toml::{Table, Value};

/// Facts of a campaign's task, for calls that open neither model nor data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Training samples.
    pub(crate) samples: usize,
    /// Adapter parameters per unit of rank, by module.
    pub(crate) parameters_per_rank: BTreeMap<String, u64>,
}

/// Their section in the plan.
const FACTS: &str = "facts";

/// What determines the results of all runs of a campaign, so that runs under other values are refused. Paths are not among
/// it: models and data are known by their fingerprints.
#[derive(Serialize)]
struct Shared<'a> {
    lora: &'a super::LoraConfig,
    train: &'a super::TrainConfig,
}

/// What may change from one call to the next.
#[derive(Serialize)]
struct Plan<'a> {
    model: &'a super::ModelConfig,
    data: &'a super::DataConfig,
    calibration: &'a super::CalibrationConfig,
    search: &'a super::SearchSection,
    run: &'a super::RunConfig,
    trainer: &'a super::TrainerConfig,
    out: &'a super::OutConfig,
    facts: &'a Facts,
}

impl SearchConfig {
    /// The settings of a campaign with this configuration.
    pub(crate) fn settings(
        &self,
        facts: &Facts,
        fingerprints: BTreeMap<String, String>,
    ) -> Result<Settings, Error> {
        let Self { model, data, lora, train, calibration, search, run, trainer, out } = self;
        // Variables of the environment may be secrets.
        let trainer = &super::TrainerConfig { environment: BTreeMap::new(), ..trainer.clone() };
        let plan = Plan { model, data, calibration, search, run, trainer, out, facts };
        let (mut config, plan) = (table(&Shared { lora, train })?, table(&plan)?);
        // Campaigns of before there was a choice agree with its default.
        if let (Keep::Best, Some(Value::Table(train))) = (train.keep, config.get_mut("train")) {
            train.remove("keep");
        }
        Ok(Settings { config, plan, fingerprints, ..Settings::default() })
    }

    /// The configuration, and the facts, that a campaign was started with.
    pub(crate) fn of_campaign(settings: &Settings) -> Result<(Self, Facts), Error> {
        let facts = settings.plan.get(FACTS).cloned();
        let facts = facts.and_then(|facts| facts.try_into().ok()).unwrap_or_default();
        Ok((Layers::of_campaign(settings)?.stored()?, facts))
    }
}

/// The arithmetic of the campaign in `directory`, where there is one that says which: runs in another are none of its own.
///
/// # Errors
/// When there is a campaign that cannot be read.
pub fn arithmetic_of_campaign(directory: &Path) -> Result<Option<Compute>, Error> {
    let Some(settings) = Settings::read(directory)? else { return Ok(None) };
    let Some(run) = settings.plan.get("run") else { return Ok(None) };
    // Campaigns of before there was a choice were in f32.
    let Some(stored) = run.get("compute") else { return Ok(Some(Compute::F32)) };
    match stored.as_str() {
        Some("") => Ok(None),
        Some(name) if let Ok(compute) = name.parse() => Ok(Some(compute)),
        _ => {
            let names = Compute::ALL.map(Compute::name).join(", ");
            let directory = directory.display();
            Err(Error::input(format!(
                "the campaign in {directory} has run.compute = {stored}, which is none of {names}; go on with the version that \
                 wrote it, or search in another directory"
            )))
        }
    }
}

impl Layers {
    /// The settings of a campaign as a first layer, without its directory: it may have been moved since it was started.
    ///
    /// # Errors
    /// As for [`text`](Self::text).
    pub fn of_campaign(settings: &Settings) -> Result<Self, Error> {
        let sections = settings.plan.iter().filter(|(section, _)| *section != FACTS).chain(&settings.config);
        let mut table: Table = sections.map(|(section, values)| (section.clone(), values.clone())).collect();
        if let Some(Value::Table(out)) = table.get_mut("out") {
            out.remove("dir");
        }
        let mut layers = Self::new();
        layers.table(&table, "campaign.toml")?;
        Ok(layers)
    }

    /// These settings over those of the campaign in their [`directory`](Self::directory), but for its arithmetic: that is
    /// [`arithmetic_of_campaign`], for a task to be opened with or to be told that it cannot be had here.
    ///
    /// # Errors
    /// As for [`of_campaign`](Self::of_campaign).
    pub fn over_campaign(self, settings: &Settings) -> Result<Self, Error> {
        let mut settings = settings.clone();
        if let Some(Value::Table(run)) = settings.plan.get_mut("run") {
            run.remove("compute");
        }
        let mut all = Self::of_campaign(&settings)?;
        all.lay(self);
        Ok(all)
    }
}

/// A configuration, or a part of it, as TOML.
///
/// # Errors
/// An error of usage for values that TOML cannot hold: numbers of 2^63 and above, and paths that are not UTF-8.
pub(super) fn table(value: &impl Serialize) -> Result<Table, Error> {
    Table::try_from(value)
        .map_err(|error| Error::usage("the configuration cannot be written as TOML").because(error))
}
