//! The commands, one file each.
mod adapter;
pub(crate) mod calibrate;
pub(crate) mod choose;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod eval;
pub(crate) mod fit;
pub(crate) mod merge;
pub(crate) mod plan;
mod recording;
pub(crate) mod report;
mod result;
pub(crate) mod search;
mod session;
pub(crate) mod tune;
pub(crate) mod verify;

use crate::{
    args::{Common, Place, Task},
    config::{Config, Layers},
    console::Console,
    embedded, observed,
};
use anyhow::{Context as _, Result};
use mars_calib::Settings;
use std::path::Path;
use toml::Table;

/// What every command is given.
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) console: Console,
}

impl Context {
    /// The settings: default < preset of the embedded task < file < environment < `--set` < flags.
    pub(crate) fn config(&self, task: &Task, flags: &[(&str, toml::Value)]) -> Result<Config> {
        let layers = self.layers(task, flags, None)?;
        layers.warnings.iter().for_each(|warning| self.console.warn(warning));
        if layers.is_empty("data", "train") && layers.is_empty("model", "dir") {
            let preset = embedded::PRESET.parse().context("the settings of the embedded example")?;
            return self.layers(task, flags, Some(&preset))?.config();
        }
        layers.config()
    }

    /// The settings of the campaign in `directory`, if there is one, under those of this call.
    pub(crate) fn config_of(
        &self,
        directory: &Path,
        task: &Task,
        flags: &[(&str, toml::Value)],
    ) -> Result<Config> {
        match Settings::read(directory)? {
            Some(settings) => self.layers(task, flags, Some(&observed::stored(&settings)))?.config(),
            None => self.config(task, flags),
        }
    }

    fn layers(&self, task: &Task, flags: &[(&str, toml::Value)], base: Option<&Table>) -> Result<Layers> {
        let mut layers = Layers::new();
        if let Some(base) = base {
            layers.table(base, "the settings of the example or campaign")?;
        }
        if let Some(path) = &self.common.config {
            layers.file(path)?;
        }
        layers.environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )?;
        for assignment in &self.common.set {
            layers.assignment(assignment)?;
        }
        let paths = [
            ("model.dir", &task.model),
            ("data.train", &task.data),
            ("data.val", &task.val),
            ("data.test", &task.test),
            ("data.images", &task.images),
        ];
        for (key, path) in paths {
            if let Some(path) = path {
                layers.flag(key, text(path)?)?;
            }
        }
        if let Some(device) = &task.device {
            layers.flag("run.device", device.as_str())?;
        }
        if task.gradient_checkpointing {
            layers.flag("run.gradient_checkpointing", true)?;
        }
        for (key, value) in flags {
            layers.flag(key, value.clone())?;
        }
        Ok(layers)
    }
}

/// The flags of a campaign's place as settings.
pub(crate) fn place_flags(place: &Place) -> Result<Vec<(&'static str, toml::Value)>> {
    place.out.iter().map(|out| Ok(("out.dir", text(out)?.into()))).collect()
}

/// A path as a setting, which is text.
pub(crate) fn text(path: &Path) -> Result<&str> {
    use crate::failure::Failure;
    let refused = || Failure::usage(format!("the path {} is not UTF-8; settings are text", path.display()));
    Ok(path.to_str().ok_or_else(refused)?)
}
