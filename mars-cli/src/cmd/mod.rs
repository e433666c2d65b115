//! The commands, one file each.
mod arithmetic;
pub(crate) mod calibrate;
pub(crate) mod choose;
pub(crate) mod compare;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod eval;
pub(crate) mod families;
pub(crate) mod fit;
mod introduction;
pub(crate) mod k8s;
pub(crate) mod merge;
pub(crate) mod plan;
mod probe;
pub(crate) mod report;
mod roles;
pub(crate) mod search;
pub(crate) mod slurm;
pub(crate) mod status;
pub(crate) mod tune;
pub(crate) mod verify;

use crate::{
    allocator,
    args::{Common, Job, Place, Task},
    cluster::shell,
    console::Console,
    environment, exit, hub,
    progress::Reporter,
    signal::Signals,
};
use mars::{
    Error, Search, SearchConfig,
    config::{DataConfig, Layers, TrainerKind},
    embedded,
    evaluate::{DataFiles, check_files},
    mars_calib::Settings,
    mars_kernels::Compute,
    mars_vlm::hub::Need,
    task::TaskFiles,
};
use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

/// What every command is given.
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) console: Console,
    pub(crate) signals: Signals,
    /// The settings in layers, once they are put together.
    pub(crate) settings: RefCell<Option<Layers>>,
}

impl Context {
    /// The settings: default < preset of the embedded task < file < environment < `--set` < flags of `task`.
    pub(crate) fn layers(&self, task: &Task) -> Result<Layers, Error> {
        let mut layers = Layers::new();
        if let Some(path) = &self.common.config {
            layers.file(path)?;
        }
        layers.environment(environment::settings(std::env::vars_os())?)?;
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
            set_path(&mut layers, key, path)?;
        }
        set(&mut layers, "run.device", &task.device)?;
        set(&mut layers, "run.compute", &task.compute)?;
        if task.gradient_checkpointing {
            layers.option("run.gradient_checkpointing", true, "--gradient-checkpointing")?;
        }
        match task.trainer.as_deref() {
            None => {}
            Some("native") => {
                layers.option("trainer.kind", "native", "--trainer")?;
                layers.option("trainer.command", "", "--trainer")?;
            }
            Some(command) => {
                layers.option("trainer.kind", "command", "--trainer")?;
                layers.option("trainer.command", command, "--trainer")?;
            }
        }
        layers.warnings().iter().for_each(|warning| self.console.warn(warning));
        self.keep(&layers);
        Ok(layers)
    }

    /// The error with the origin of every setting that it is about.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match &*self.settings.borrow() {
            Some(layers) => exit::explained(error, |error| layers.with_origins(error)),
            None => error,
        }
    }

    /// Keeps the settings for messages, with what flags of a command have added.
    pub(crate) fn keep(&self, layers: &Layers) {
        self.settings.replace(Some(layers.clone()));
    }

    /// The task of a configuration, opened.
    pub(crate) fn open(&self, config: &SearchConfig) -> Result<mars::Task, Error> {
        config.check_native()?;
        let config = &arithmetic::of_campaign(config)?;
        let task = mars::Task::open_with(config, &self.files(config)?, &mut self.reporter())?;
        // What loading took and freed is as large as the weights.
        allocator::give_back();
        Ok(task)
    }

    /// The files of a configuration; a model that is named by an id is looked up.
    pub(crate) fn files(&self, config: &SearchConfig) -> Result<TaskFiles, Error> {
        // Before a model is looked up or unpacked.
        TaskFiles::check(config)?;
        let mut local = config.clone();
        local.model.dir = self.named_model(config, config.model.adapter.as_deref())?;
        TaskFiles::of(&local)
    }

    /// The local directory of the model that the settings name, if they do; refused where it and `adapter` are swapped.
    fn named_model(&self, config: &SearchConfig, adapter: Option<&Path>) -> Result<Option<PathBuf>, Error> {
        let model = config.model.dir.as_deref().map(|model| self.model(model)).transpose()?;
        if let (Some(adapter), Some(model)) = (adapter, &model) {
            roles::check(adapter, model)?;
        }
        Ok(model)
    }

    /// The local directory of the model that the user names.
    pub(crate) fn model(&self, model: &Path) -> Result<PathBuf, Error> {
        hub::folder(model, Need::Weights, self.console)
    }

    /// A search that reports to the console and stops on a signal.
    pub(crate) fn search<'a>(
        &self,
        config: &SearchConfig,
        place: &Place,
        reporter: &'a mut Reporter,
    ) -> Search<'a> {
        let search = Search::new(config.clone()).interrupt(self.signals.interrupt());
        search.accept_changes(place.accept_changes).observe(reporter)
    }

    /// Who reports to the console.
    pub(crate) fn reporter(&self) -> Reporter {
        Reporter::new(self.console)
    }
}

/// The settings of a search.
pub(crate) fn job_layers(context: &Context, job: &Job) -> Result<Layers, Error> {
    let mut layers = context.layers(&job.task)?;
    set_path(&mut layers, "out.dir", &job.place.out)?;
    set(&mut layers, "search.policy", &job.policy)?;
    set_seed(&mut layers, job.seed)?;
    Ok(layers)
}

/// The configuration of the search that jobs are written for.
pub(crate) fn job_config(context: &Context, job: &Job) -> Result<SearchConfig, Error> {
    let layers = job_layers(context, job)?;
    context.keep(&layers);
    layers.config()
}

/// The number of calibration runs of a search; model and data are opened for it, unless a command trains.
pub(crate) fn planned_runs(context: &Context, config: &SearchConfig) -> Result<usize, Error> {
    let mut config = config.clone();
    // Runs are counted, not trained: the processor of those who train them need not be this one's.
    if config.run.compute.map_or(Ok(true), |compute| TaskFiles::has_arithmetic(&config, compute))? {
        config.run.compute = Some(Compute::F32);
    }
    let planning = Search::new(config.clone());
    let planned = match config.trainer.kind {
        TrainerKind::Native => planning.planned_calibration(&context.open(&config)?)?,
        TrainerKind::Command => planning.planned_command_calibration(search::samples(&config)?)?,
    };
    Ok(planned.len())
}

/// Refuses a directory without a campaign, with what makes one.
pub(crate) fn must_have_campaign(directory: &Path) -> Result<(), Error> {
    if Settings::read(directory)?.is_some() {
        return Ok(());
    }
    Err(Error::input(format!(
        "there is no campaign in {}; `mars search --out {}` starts one",
        directory.display(),
        shell::path(directory)
    )))
}

/// Overrides a setting by a flag, if it is given.
pub(crate) fn set(layers: &mut Layers, key: &str, value: &Option<String>) -> Result<(), Error> {
    value.iter().try_for_each(|value| layers.option(key, value.as_str(), flag_of(key)))
}

/// The flag that sets `key`.
fn flag_of(key: &str) -> &'static str {
    match key {
        "model.dir" => "--model",
        "data.train" => "--data",
        "data.val" => "--val",
        "data.test" => "--test",
        "data.images" => "--images",
        "run.device" => "--device",
        "run.compute" => "--compute",
        "search.policy" => "--policy",
        "out.dir" => "--out",
        "out.adapter_layout" => "--adapter-layout",
        _ => "a flag",
    }
}

/// Overrides a setting by a path, if it is given.
pub(crate) fn set_path(layers: &mut Layers, key: &str, path: &Option<PathBuf>) -> Result<(), Error> {
    path.iter().try_for_each(|path| {
        let refused = || Error::usage(format!("the path {} is not UTF-8; settings are text", path.display()));
        layers.option(key, path.to_str().ok_or_else(refused)?, flag_of(key))
    })
}

/// Overrides the seed, if it is given.
pub(crate) fn set_seed(layers: &mut Layers, seed: Option<u32>) -> Result<(), Error> {
    seed.map_or(Ok(()), |seed| layers.option("train.seed", i64::from(seed), "--seed"))
}

/// The model, and the data to measure it on with `adapter`: those given, those that the settings name, or the embedded test split
/// where neither names any.
pub(crate) fn data_or_embedded(
    context: &Context,
    config: &SearchConfig,
    adapter: Option<&Path>,
    data: Option<&PathBuf>,
    images: Option<&PathBuf>,
) -> Result<(PathBuf, DataFiles), Error> {
    let DataConfig { train, val, test, images: set, .. } = &config.data;
    let given = data.or(test.as_ref()).cloned();
    let given = given.map(|data| DataFiles { data, images: images.or(set.as_ref()).cloned() });
    let named = [
        ("--images", images),
        ("data.train", train.as_ref()),
        ("data.val", val.as_ref()),
        ("data.images", set.as_ref()),
    ];
    let named = named.into_iter().find_map(|(name, path)| Some((name, path?)));
    if let (None, Some((name, path))) = (&given, named) {
        return Err(Error::usage(format!(
            "{name} is \"{}\", but no evaluation data are given; use --data or set data.test",
            path.display()
        )));
    }
    check_files(config, None, given.as_ref())?;
    TaskFiles::check_machine(config)?;
    match (context.named_model(config, adapter)?, given) {
        (Some(model), Some(data)) => Ok((model, data)),
        (model, given) => {
            config.out.check_dir()?;
            check_files(config, adapter, None)?;
            let unpacked = embedded::unpack(&config.out.dir)?;
            let own = || DataFiles { data: unpacked.test, images: Some(unpacked.images) };
            Ok((model.unwrap_or(unpacked.model), given.unwrap_or_else(own)))
        }
    }
}
