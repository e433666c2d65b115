//! Where the files of a task are.

use super::{
    check_given,
    storage::{self, storage},
};
use crate::{Error, config::SearchConfig, device::DeviceList, embedded};
use mars_kernels::Compute;
use mars_vlm::hub::ModelId;
use std::path::{Path, PathBuf};

/// The files of a task.
#[derive(Clone, Debug)]
pub struct TaskFiles {
    /// Hugging Face directory of the model.
    pub model: PathBuf,
    /// Training data.
    pub train: PathBuf,
    /// Validation data; `None`: a split or part of the training data.
    pub val: Option<PathBuf>,
    /// Test data; `None`: a split or part of the training data.
    pub test: Option<PathBuf>,
    /// Folder or zip archive of the images; `None`: where the data are.
    pub images: Option<PathBuf>,
}

impl TaskFiles {
    /// Refuses devices and arithmetic that cannot be had.
    ///
    /// # Errors
    /// An error of usage for devices that cannot be meant, and for arithmetic that needs another device, type of weights or processor.
    pub fn check_machine(config: &SearchConfig) -> Result<(), Error> {
        DeviceList::parse(&config.run.device)?;
        storage(config).map(drop)
    }

    /// Whether products with frozen weights can be in `compute` on the device that the settings name, with weights of their type, if the
    /// processor is one that can.
    ///
    /// # Errors
    /// An error of usage for devices that cannot be meant.
    pub fn has_arithmetic(config: &SearchConfig, compute: Compute) -> Result<bool, Error> {
        storage::has_arithmetic(config, compute)
    }

    /// Refuses devices, arithmetic and data that the settings name and that cannot be those of a task, before a model is looked up or
    /// unpacked for them.
    ///
    /// # Errors
    /// As [`check_machine`](Self::check_machine); an error of usage where validation data, test data or images are named, but no training
    /// data; data or images that are not there or of another kind.
    pub fn check(config: &SearchConfig) -> Result<(), Error> {
        Self::check_machine(config)?;
        let data = &config.data;
        let (train, val, test) = (data.train.as_deref(), data.val.as_deref(), data.test.as_deref());
        let images = data.images.as_deref();
        let without = [("val", val), ("test", test), ("images", images)];
        let without = without.into_iter().find_map(|(key, path)| Some((key, path?)));
        if let (None, Some((key, path))) = (train, without) {
            return Err(Error::usage(format!(
                "data.{key} is \"{}\", but data.train is empty, and the embedded data already include it; set data.train \
                 too, or leave data.{key} empty",
                path.display()
            )));
        }
        let sets: Vec<&Path> = [train, val, test].into_iter().flatten().collect();
        check_given(config, &sets, images, None)
    }

    /// The files that the settings name; those of the embedded task, unpacked under `out.dir`, where they name none.
    /// `model.dir` must be a directory: ids of the Hugging Face hub are looked up with [`mars_vlm::hub`], which needs to
    /// know where the cache is.
    ///
    /// # Errors
    /// As [`check`](Self::check); an adapter that is not there or of another kind; when the embedded files cannot be
    /// written.
    pub fn of(config: &SearchConfig) -> Result<Self, Error> {
        Self::check(config)?;
        check_given(config, &[], None, config.model.adapter.as_deref())?;
        let data = &config.data;
        let given = |model: PathBuf, train: PathBuf| Self {
            model,
            train,
            val: data.val.clone(),
            test: data.test.clone(),
            images: data.images.clone(),
        };
        let unpacked = || {
            config.out.check_dir()?;
            embedded::unpack(&config.out.dir)
        };
        Ok(match (config.model.dir.clone(), data.train.clone()) {
            (Some(model), Some(train)) => given(model, train),
            (None, Some(train)) => given(unpacked()?.model, train),
            (model, None) => {
                let unpacked = unpacked()?;
                Self {
                    model: model.unwrap_or(unpacked.model),
                    train: unpacked.train,
                    val: Some(unpacked.val),
                    test: Some(unpacked.test),
                    images: Some(unpacked.images),
                }
            }
        })
    }

    /// What an adapter names as its base: the hub's id where the model was named by it or lies in a hub cache, otherwise the
    /// absolute path of the directory, so that the adapter loads wherever on the machine it is used.
    pub(super) fn base_name(&self, named: Option<&Path>) -> String {
        let Some(named) = named else { return "mars-embedded-idefics3".to_owned() };
        let id = named.to_str().and_then(|text| text.parse::<ModelId>().ok());
        if let Some(id) = id.filter(|_| named != self.model) {
            return id.path();
        }
        let absolute = std::path::absolute(&self.model).unwrap_or_else(|_| self.model.clone());
        cached_id(&absolute).unwrap_or_else(|| absolute.display().to_string())
    }
}

/// The id of a model whose directory is a snapshot in a Hugging Face cache: `models--OWNER--NAME/snapshots/REVISION`.
fn cached_id(directory: &Path) -> Option<String> {
    let snapshots = directory.parent()?;
    let repository = snapshots.parent()?.file_name()?.to_str()?;
    let (owner, name) = repository.strip_prefix("models--")?.split_once("--")?;
    (snapshots.file_name()? == "snapshots").then(|| format!("{owner}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_names_the_hubs_id_or_an_absolute_path() {
        let files = |model: &str| TaskFiles {
            model: model.into(),
            train: PathBuf::new(),
            val: None,
            test: None,
            images: None,
        };
        let base = |model: &str, named: &str| files(model).base_name(Some(Path::new(named)));
        assert_eq!(base("/cache/models--a--b-c/snapshots/0f", "a/b-c"), "a/b-c");
        let snapshot = "/cache/models--a--b-c/snapshots/0f";
        assert_eq!(base(snapshot, snapshot), "a/b-c");
        assert_eq!(base("/models/own", "/models/own"), "/models/own");
        assert!(Path::new(&base("models/own", "models/own")).is_absolute());
        assert_eq!(files("/x").base_name(None), "mars-embedded-idefics3");
    }
}
