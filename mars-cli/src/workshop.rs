//! A task opened and checked: model, processor, training, validation and test data, fingerprints.

use crate::{
    cmd::devices,
    config::Config,
    console::Console,
    embedded, hub,
    sources::{Part, Parts, Sources},
};
use anyhow::Result;
use burn::tensor::Device;
use mars_lora::{AdapterConfig, Model};
use mars_vlm::{
    checkpoint::{self, Precision},
    data::{self, ImageStore, Lengths},
    hub::Need,
    model::{AnyModel, EncodedExamples},
    processor::Processor,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Everything a search needs but its campaign.
pub(crate) struct Workshop {
    pub(crate) model: AnyModel,
    pub(crate) train: EncodedExamples,
    pub(crate) val: EncodedExamples,
    pub(crate) test: EncodedExamples,
    processor: Arc<Processor>,
    store: Arc<ImageStore>,
    /// Digests of what determines results but stands in no run spec.
    pub(crate) fingerprints: BTreeMap<String, String>,
    /// The model and the data, as the user knows them.
    pub(crate) model_name: String,
    pub(crate) data_name: String,
}

/// Where the files of a task are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) model: PathBuf,
    pub(crate) train: PathBuf,
    pub(crate) val: Option<PathBuf>,
    pub(crate) test: Option<PathBuf>,
    pub(crate) images: Option<PathBuf>,
}

impl Files {
    /// The files that the settings name; the embedded ones, unpacked, where they name none.
    pub(crate) fn of(config: &Config, console: Console) -> Result<Self> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let model = path(&config.model.dir);
        let model = model.map(|model| hub::folder(&model, Need::Weights, console)).transpose()?;
        let data = &config.data;
        let given = path(&data.train);
        if let (Some(train), Some(model)) = (&given, &model) {
            let (val, test, images) = (path(&data.val), path(&data.test), path(&data.images));
            return Ok(Self { model: model.clone(), train: train.clone(), val, test, images });
        }
        let unpacked = embedded::unpack(&config.out.dir)?;
        let model = model.unwrap_or(unpacked.model);
        Ok(match given {
            Some(train) => Self {
                model,
                train,
                val: path(&data.val),
                test: path(&data.test),
                images: path(&data.images),
            },
            None => Self {
                model,
                train: unpacked.train,
                val: Some(unpacked.val),
                test: Some(unpacked.test),
                images: Some(unpacked.images),
            },
        })
    }
}

/// The device that a name stands for.
pub(crate) fn device(name: &str) -> Result<Device> {
    devices::check(name)?;
    Ok(Device::flex())
}

impl Workshop {
    /// Opens the task of `config`, and settles what depends on the amount of data.
    ///
    /// # Errors
    /// Whatever is wrong with the model or the data: the first defect, by file and line.
    pub(crate) fn open(config: &mut Config, console: Console) -> Result<Self> {
        let device = device(&config.run.device)?;
        let files = Files::of(config, console)?;
        let processor = Arc::new(config.processor(&files.model)?);
        let model = AnyModel::load(&files.model, config.model.dtype, &device)?;
        check_ranks(config, &model)?;

        let parts = Sources::of(config, &files)?.read(config, &files, &processor, console)?;
        let store = parts.train.store.clone();
        let Parts { train, val, test } = parts;
        config.settle(train.samples.len(), val.samples.len());
        console.say(format!(
            "reading {} training, {} validation and {} test samples",
            train.samples.len(),
            val.samples.len(),
            test.samples.len()
        ));
        let encode = |part: Part| -> Result<(EncodedExamples, String)> {
            let store = part.store.clone();
            let examples = EncodedExamples::new(processor.clone(), part.store, part.samples)?;
            let digest = data::fingerprint(examples.samples(), &store)?;
            Ok((examples, digest))
        };
        let ((train, train_digest), (val, val_digest), (test, _)) =
            (encode(train)?, encode(val)?, encode(test)?);
        let fingerprints = [
            ("model", model_digest(&files.model, config.model.dtype)?),
            ("targets", config.lora.targets.clone()),
            ("train", train_digest),
            ("val", val_digest),
            ("validation_samples", config.run.validation_samples.to_string()),
        ];
        let shown =
            |text: &str, embedded: &str| if text.is_empty() { embedded.to_owned() } else { text.to_owned() };
        Ok(Self {
            train,
            val,
            test,
            fingerprints: fingerprints.into_iter().map(|(of, digest)| (of.to_owned(), digest)).collect(),
            model_name: shown(&config.model.dir, "the embedded tiny Idefics3 model"),
            data_name: shown(&config.data.train, "the embedded digits"),
            processor,
            store,
            model,
        })
    }

    /// How many tokens the images of a training sample take.
    pub(crate) fn image_tokens(&self) -> Result<Option<Lengths>> {
        let counts = self
            .train
            .samples()
            .iter()
            .map(|sample| Ok(self.processor.token_count(sample, &self.store)?.image));
        Ok(Lengths::new(counts.collect::<Result<_>>()?))
    }

    /// Adapter parameters per unit of rank, for each module.
    pub(crate) fn parameters_per_rank(&self, config: &Config) -> Result<BTreeMap<String, u64>> {
        let targets = config.targets()?;
        let mut all = BTreeMap::new();
        for site in self.model.sites().iter().filter(|site| targets.contain(site)) {
            *all.entry(site.component.clone()).or_insert(0) += site.parameters_per_rank() as u64;
        }
        Ok(all)
    }
}

/// Digest of a model as it is loaded.
fn model_digest(dir: &Path, dtype: Precision) -> Result<String> {
    let files = checkpoint::fingerprint(dir)?;
    Ok(if dtype == Precision::F32 { files } else { format!("{files} {dtype}") })
}

/// Finds ranks that do not fit the model before anything is trained.
fn check_ranks(config: &Config, model: &AnyModel) -> Result<()> {
    let space = config.space(BTreeMap::new());
    let adapted = config.lora.modules.iter().map(|module| {
        let largest =
            [space.ranks_of(module), config.calibration.ranks.clone(), vec![config.search.default_rank]];
        (module.clone(), largest.into_iter().flatten().max().unwrap_or(0))
    });
    let largest = AdapterConfig { targets: config.targets()?, ..AdapterConfig::new(adapted, 0) };
    largest.useful_ranks(model.components(), model.sites())?;
    Ok(())
}
