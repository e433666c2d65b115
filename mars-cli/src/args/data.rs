//! Arguments of `mars data`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Validate every sample before training
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The data: LLaVA JSON, messages as JSON or JSON lines, ScienceQA, Parquet
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Folder or zip archive of the images [default: the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Also check that the samples fit this model (Hugging Face directory, or OWNER/NAME in the local cache)
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
}
