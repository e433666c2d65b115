//! Arguments of `mars data`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Check every sample before anything is trained
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
    /// Also check that the samples fit this model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
}
