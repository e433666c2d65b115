//! A task opened and checked: a model with training, validation and test data.
mod exchanged;
mod files;
mod fingerprints;
mod given;
mod left_out;
mod memory;
mod names;
mod overlap;
mod ranks;
mod samples;
mod score;
mod settled;
mod sources;
mod start;
mod storage;

pub use exchanged::ExchangedImages;
pub(crate) use exchanged::Pairs;
pub use files::TaskFiles;
pub(crate) use given::check_given;
pub use left_out::LeftOut;
pub(crate) use memory::check_weights;
pub(crate) use names::Names;
pub(crate) use samples::{Part, Source};
pub use score::Score;
pub use sources::training_samples;
pub(crate) use storage::{storage, with_arithmetic};

use crate::{
    Error,
    config::{Opened, SearchConfig},
    device::DeviceList,
    event::{Event, Observer, Silent},
    plan::Memory,
};
use mars_lora::{Adapter, Examples, Model, peft::Base};
use mars_vlm::{
    data::{self, Fingerprints, ImageStore, Lengths},
    model::{AnyModel, EncodedExamples},
    processor::Processor,
};
use ranks::check_ranks;
use score::Exchange;
use sources::{Parts, Sources};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A model, and the data that it is to be fine-tuned on.
///
/// [`open`](Task::open) reads a Hugging Face directory and a data set; [`new`](Task::new) takes any model that implements
/// [`Model`], with [`Examples`] that make its batches.
pub struct Task<M = AnyModel, E = EncodedExamples> {
    pub(crate) model: M,
    /// The same model on further devices.
    pub(crate) replicas: Vec<M>,
    pub(crate) train: E,
    pub(crate) val: E,
    pub(crate) test: E,
    exchange: Exchange<E>,
    /// Digests of model and data: what determines results and is not part of a run's specification.
    pub(crate) fingerprints: BTreeMap<String, String>,
    /// The digest of the test data, on which no run depends.
    pub(crate) compared: BTreeMap<String, String>,
    /// Samples of its data sets that cannot be used.
    pub(crate) left_out: Vec<LeftOut>,
    /// The base model and the data as the user knows them.
    pub(crate) model_name: String,
    pub(crate) data_name: String,
    /// What the adapter's configuration names as its base.
    pub(crate) base_name: String,
    /// Tokens that the model can answer with, where that is known.
    pub(crate) vocabulary: Option<usize>,
    names: Names,
    /// The settings that it was opened with; `None` for one of one's own.
    opened: Option<Opened>,
    /// The adapter that training goes on from.
    pub(crate) start: Option<Arc<Adapter>>,
    pub(crate) memory: MemoryEstimate<M, E>,
    images: Option<Images>,
}

/// Estimates the memory that a search on a task takes; `None` where the model does not say.
pub(crate) type MemoryEstimate<M, E> = fn(&Task<M, E>, &SearchConfig) -> Result<Option<Memory>, Error>;

/// What is needed to look at the images of a task again.
struct Images {
    processor: Arc<Processor>,
    store: Arc<ImageStore>,
}

impl Task {
    /// Opens the model in the Hugging Face directory `model` and the data set `train`, with default settings; validation
    /// and test data are those splits of the data set if it has them, otherwise parts of it.
    ///
    /// # Errors
    /// The first defect of the model or the data, by file, field or line.
    pub fn open(model: impl AsRef<Path>, train: impl AsRef<Path>) -> Result<Self, Error> {
        let mut config = SearchConfig::default();
        config.model.dir = Some(model.as_ref().to_owned());
        config.data.train = Some(train.as_ref().to_owned());
        Self::open_with(&config, &TaskFiles::of(&config)?, &mut Silent)
    }

    /// Opens the embedded task: a tiny pre-trained Idefics3 model and questions about real handwritten digits, unpacked
    /// into `directory`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn embedded(directory: impl AsRef<Path>) -> Result<Self, Error> {
        let mut config = SearchConfig::embedded();
        config.out.dir = directory.as_ref().to_owned();
        Self::open_with(&config, &TaskFiles::of(&config)?, &mut Silent)
    }

    /// Opens `files` under the settings of `config`. Arithmetic that these leave open is the fastest of this machine for the model: for a search
    /// that goes on in a directory, name that of its campaign ([`arithmetic_of_campaign`](crate::config::arithmetic_of_campaign)).
    ///
    /// # Errors
    /// The first defect of the model or the data, by file, field or line; of a candidate rank that does not fit the model;
    /// parts of the data that have the same samples.
    pub fn open_with(
        config: &SearchConfig,
        files: &TaskFiles,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        config.check()?;
        let config = &with_arithmetic(config, &files.model)?;
        let devices = DeviceList::parse(&config.run.device)?;
        let opened = devices.open_for(config.model.dtype)?;
        let processor = Arc::new(config.processor(&files.model)?);
        let storage = storage(config)?;
        check_weights(&files.model, storage)?;
        let load = |device| AnyModel::load(&files.model, storage, device);
        let mut models = opened.iter().map(load).collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut model = models.next().ok_or_else(|| Error::usage("run.device names no device"))?;
        let mut replicas: Vec<AnyModel> = models.collect();
        check_ranks(config, &model)?;
        let names = Names::of(&files.model)?;
        names.warn(&processor.template, observer);
        let start = config.model.adapter.as_deref();
        let start = start.map(|dir| start::open(config, dir, &names.base(Base::of(&model)))).transpose()?;

        let Parts { train, val, test } =
            Sources::of(config, files)?.read(config, files, &processor, observer)?;
        let images = Images { processor: processor.clone(), store: train.store.clone() };
        observer.event(&Event::Samples {
            train: train.samples.len(),
            val: val.samples.len(),
            test: test.samples.len(),
        });
        let left_out: Vec<LeftOut> =
            [&train, &val, &test].into_iter().filter_map(|part| part.left_out.clone()).collect();
        let encode = |part: Part| -> Result<(EncodedExamples, Fingerprints), Error> {
            let store = part.store.clone();
            let examples = EncodedExamples::new(processor.clone(), part.store, part.samples)?;
            let mut digests = data::fingerprints(examples.samples(), &store)?;
            // Sizes that are not set leave the digest, and so the ids of runs, as they are.
            let resolution = config.data.resolution();
            if !resolution.set().is_empty() {
                digests.all = format!("{} {resolution}", digests.all);
            }
            Ok((examples, digests))
        };
        let [train, val, test] = [encode(train)?, encode(val)?, encode(test)?];
        let given = [true, files.val.is_some(), files.test.is_some()];
        overlap::check([&train, &val, &test].map(|(of, digests)| (of.samples(), digests)), given, observer)?;
        let ((train, train_digests), (val, val_digests), (test, test_digests)) = (train, val, test);
        let features = memory::feature_bytes(config, &model, [&train, &val])?;
        std::iter::once(&mut model).chain(&mut replicas).for_each(|model| model.keep_features(features));
        let (start, start_digest) = start.unzip();
        let parts = [train_digests.all, val_digests.all];
        let fingerprints = fingerprints::of(config, &files.model, parts, start_digest, &left_out)?;
        let shown = |path: &Option<std::path::PathBuf>, embedded: &str| {
            path.as_ref().map_or_else(|| embedded.to_owned(), |path| path.display().to_string())
        };
        Ok(Self {
            fingerprints,
            compared: [("test".to_owned(), test_digests.all)].into(),
            start,
            left_out,
            model_name: shown(&config.model.dir, "the embedded tiny Idefics3 model"),
            data_name: shown(&config.data.train, "the embedded digits"),
            base_name: files.base_name(config.model.dir.as_deref()),
            names,
            opened: Some(Opened::of(config)),
            memory: memory::estimate,
            images: Some(images),
            vocabulary: Some(model.sizes().vocabulary),
            model,
            replicas,
            train,
            val,
            test,
            exchange: score::exchange,
        })
    }

    /// How many tokens the images of a training sample take.
    pub(crate) fn image_tokens(&self) -> Result<Option<Lengths>, Error> {
        let Some(Images { processor, store }) = &self.images else { return Ok(None) };
        let samples = self.train.samples().iter();
        let counts = samples.map(|sample| Ok(processor.token_count(sample, store)?.image));
        Ok(Lengths::new(counts.collect::<Result<_, Error>>()?))
    }
}

impl<M, E> Task<M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// A task of one's own model and data. The test examples are seen by the final evaluation alone.
    ///
    /// What is in the model and in the data is not looked at: if a campaign is to notice that either has changed, say
    /// which they are with [`with_fingerprint`](Self::with_fingerprint).
    pub fn new(model: M, train: E, val: E, test: E) -> Self {
        Self {
            model,
            replicas: Vec::new(),
            train,
            val,
            test,
            exchange: |_| Ok(None),
            fingerprints: BTreeMap::new(),
            compared: BTreeMap::new(),
            left_out: Vec::new(),
            model_name: "a model of one's own".to_owned(),
            data_name: "data of one's own".to_owned(),
            base_name: "a model of one's own".to_owned(),
            names: Names::default(),
            opened: None,
            start: None,
            memory: |_, _| Ok(None),
            images: None,
            vocabulary: None,
        }
    }

    /// The same task with a digest, or any other text, that changes whenever `what` (`model`, `train`, `val`) does. Runs of
    /// tasks with other fingerprints are never taken for runs of this one.
    #[must_use]
    pub fn with_fingerprint(mut self, what: &str, digest: impl Into<String>) -> Self {
        self.fingerprints.insert(what.to_owned(), digest.into());
        self
    }

    /// The same task with its model on further devices, each of which trains runs of its own.
    #[must_use]
    pub fn with_replicas(mut self, replicas: Vec<M>) -> Self {
        self.replicas = replicas;
        self
    }

    /// The same task with names for the report and the adapter: of the base model, and of the data.
    #[must_use]
    pub fn named(mut self, model: impl Into<String>, data: impl Into<String>) -> Self {
        (self.model_name, self.data_name) = (model.into(), data.into());
        self.base_name.clone_from(&self.model_name);
        self
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Training, validation and test examples.
    pub fn examples(&self) -> (&E, &E, &E) {
        (&self.train, &self.val, &self.test)
    }

    /// Adapter parameters per unit of rank of each module, under the targets of `config`.
    ///
    /// # Errors
    /// When `lora.targets` is no regular expression.
    pub fn parameters_per_rank(&self, config: &SearchConfig) -> Result<BTreeMap<String, u64>, Error> {
        let targets = config.lora.targets()?;
        let mut all = BTreeMap::new();
        for site in self.model.sites().iter().filter(|site| targets.contain(site)) {
            *all.entry(site.module.clone()).or_insert(0) += site.parameters_per_rank() as u64;
        }
        Ok(all)
    }

    /// The model by the names of its layers, for adapters on disk.
    pub fn base(&self) -> Base<'_> {
        self.names.base(Base::of(&self.model))
    }
}
