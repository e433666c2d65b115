//! Section `[data]`.

use crate::{Error, config::chosen};
use documented::DocumentedFields;
use mars_vlm::data::{Format, LeaveOut, PromptFormat, ReadOptions};
use mars_vlm::processor::{Processor, Resolution};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Training, validation and test data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Conversations about images: LLaVA JSON, messages as JSON or JSON lines, ScienceQA (its folder or problems.json),
    /// Parquet files or a folder of them. A split of ScienceQA, or of a folder of Parquet files, is named after a #, as in
    /// "ScienceQA#minival". "": the embedded data.
    #[serde(with = "chosen::path")]
    pub train: Option<PathBuf>,
    /// Validation data. "": the split of this name, where the training data have splits; otherwise a part of the training
    /// data, taken by images, of the size given by val_fraction.
    #[serde(with = "chosen::path")]
    pub val: Option<PathBuf>,
    /// Test data, used only for the final evaluation. "": as for val, with test_fraction.
    #[serde(with = "chosen::path")]
    pub test: Option<PathBuf>,
    /// Folder or zip archive of the images. "": the folder of the data; of ScienceQA its folder images.
    #[serde(with = "chosen::path")]
    pub images: Option<PathBuf>,
    /// Part of the training data that becomes validation data where none are given, > 0; val_fraction + test_fraction < 1.
    pub val_fraction: f64,
    /// Part of the training data that becomes test data where none are given, > 0.
    pub test_fraction: f64,
    /// Seed of the train/validation/test split.
    pub split_seed: u64,
    /// Format of the data files: json, scienceqa or parquet. "": detected for each file.
    #[serde(with = "chosen::text")]
    pub format: Option<Format>,
    /// What ScienceQA's questions show and its answers say, in the letters of LLaVA's converter: Question, Context (hint),
    /// Options (M), Lecture, Explanation (solution), Answer. QCM-A asks for the letter alone.
    #[serde(with = "chosen::spelled")]
    pub scienceqa: PromptFormat,
    /// Maximum sequence length in tokens, including image tokens. 0: the limit of the model.
    #[serde(with = "chosen::number")]
    pub max_tokens: Option<usize>,
    /// Minimum number of pixels of a resized image (Qwen2-VL, Qwen2.5-VL, Qwen3-VL). 0: from the model's files.
    #[serde(with = "chosen::number")]
    pub min_pixels: Option<usize>,
    /// Maximum number of pixels of a resized image (Qwen2-VL, Qwen2.5-VL, Qwen3-VL), or of a grid of tiles (LLaVA-NeXT,
    /// LLaVA-OneVision, InternVL3). 0: from the model's files.
    #[serde(with = "chosen::number")]
    pub max_pixels: Option<usize>,
    /// Longest edge in pixels of a resized image (Idefics3, SmolVLM); the maximum for a grid of tiles (LLaVA-NeXT,
    /// LLaVA-OneVision). 0: from the model's files.
    #[serde(with = "chosen::number")]
    pub longest_edge: Option<usize>,
    /// What happens to longer samples: error, or drop, which lists them and leaves them out. Samples are never cut.
    pub too_long: Unusable,
    /// What happens to samples that cannot be used for another reason, e.g. a missing or unreadable image, or turns that make
    /// no conversation: error, or drop, which lists them and leaves them out.
    pub bad_sample: Unusable,
}

/// What happens to a sample that cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unusable {
    /// It is an error.
    #[default]
    Error,
    /// It is left out, with a warning.
    Drop,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            train: None,
            val: None,
            test: None,
            images: None,
            val_fraction: 0.1,
            test_fraction: 0.1,
            split_seed: 0,
            format: None,
            scienceqa: PromptFormat::default(),
            max_tokens: None,
            min_pixels: None,
            max_pixels: None,
            longest_edge: None,
            too_long: Unusable::Error,
            bad_sample: Unusable::Error,
        }
    }
}

impl DataConfig {
    /// How large images are made.
    pub fn resolution(&self) -> Resolution {
        let Self { min_pixels, max_pixels, longest_edge, .. } = *self;
        Resolution { min_pixels, max_pixels, longest_edge }
    }

    /// The processor with images of the size that is set.
    ///
    /// # Errors
    /// A setting that the model's family does not have, or a size that contradicts the model's files, by the setting's name.
    pub(in crate::config) fn resized(&self, processor: Processor) -> Result<Processor, Error> {
        let resolution = self.resolution();
        processor.with_resolution(&resolution).map_err(|error| {
            let named = resolution
                .set()
                .into_iter()
                .fold(error.to_string(), |text, (name, _)| text.replace(name, &format!("data.{name}")));
            Error::usage(named)
        })
    }

    /// How data sets are read.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions { format: self.format, science_qa: self.scienceqa.clone(), ..ReadOptions::default() }
    }

    /// Which samples are left out rather than being an error.
    pub fn leave_out(&self) -> LeaveOut {
        LeaveOut { too_long: self.too_long == Unusable::Drop, bad: self.bad_sample == Unusable::Drop }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let (val, test) = (self.val_fraction, self.test_fraction);
        // What is given is not split off.
        let given = |path: &Option<PathBuf>| path.is_some();
        let (needs_val, needs_test) = (!given(&self.val), !given(&self.test));
        let sum = if needs_val { val } else { 0.0 } + if needs_test { test } else { 0.0 };
        if (!needs_val || val > 0.0) && (!needs_test || test > 0.0) && sum < 1.0 {
            return Ok(());
        }
        Err(Error::usage(format!(
            "data.val_fraction is {val} and data.test_fraction {test}; both must be greater than 0, their sum below 1"
        )))
    }
}
