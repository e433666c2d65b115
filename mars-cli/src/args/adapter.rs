//! Arguments of the commands on one adapter.

use clap::Args;
use mars::mars_lora::merge::Float;
use std::path::PathBuf;

/// An adapter and its base model: as flags like everywhere, or by position.
#[derive(Debug, Args)]
pub(crate) struct Adapted {
    /// Directory of the PEFT adapter
    #[arg(long = "adapter", value_name = "DIR", conflicts_with = "adapter_position")]
    adapter_flag: Option<PathBuf>,
    /// Hugging Face directory of its base model, or OWNER/NAME in the local cache
    #[arg(long = "model", value_name = "DIR", conflicts_with = "base_position")]
    base_flag: Option<PathBuf>,
    /// The same as --adapter
    #[arg(value_name = "ADAPTER")]
    adapter_position: Option<PathBuf>,
    /// The same as --model
    #[arg(value_name = "BASE")]
    base_position: Option<PathBuf>,
}

impl Adapted {
    /// The adapter, however it was given.
    pub(crate) fn adapter(&self) -> Option<&PathBuf> {
        self.adapter_flag.as_ref().or(self.adapter_position.as_ref())
    }

    /// Its base, however it was given.
    pub(crate) fn base(&self) -> Option<&PathBuf> {
        self.base_flag.as_ref().or(self.base_position.as_ref())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    #[command(flatten)]
    pub(crate) adapted: Adapted,
    /// New directory for the merged model
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Data type of the weights: f32, f16, bf16 or f64 [default: as in the base]
    #[arg(long, value_name = "TYPE")]
    pub(crate) dtype: Option<Float>,
    /// Subtract the adapter from a merged model
    #[arg(long)]
    pub(crate) unmerge: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    // Without a base model: the embedded one, and its test split.
    #[command(flatten)]
    pub(crate) adapted: Adapted,
    /// Data on which the adapter and the merged model must give the same losses [default: data.test; for the embedded model,
    /// its test split]
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Folder or zip archive of the images [default: data.images, else the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Largest allowed relative difference of a sample's loss
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    pub(crate) tolerance: f64,
    /// Device to use; see `mars devices`
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// Hugging Face directory of the base model, or OWNER/NAME in the local cache [default: the embedded tiny model]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Data to evaluate on [default: data.test; if no data are set, the embedded test split]
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Folder or zip archive of the images [default: data.images, else the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// PEFT adapter to apply to the model
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Also evaluate with the images exchanged between samples, to test whether the answers depend on the images
    #[arg(long)]
    pub(crate) exchange_images: bool,
    /// Device to use; see `mars devices`
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
}
