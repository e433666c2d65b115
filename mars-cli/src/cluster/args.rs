//! The arguments of `mars status`, `mars slurm` and `mars k8s`.

use crate::args::Job;
use clap::Args;
use std::{num::NonZeroUsize, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A campaign directory
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Print again on every change until the search is done; poll every SECONDS [default: 2]
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86400)
    )]
    pub(crate) watch: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Slurm {
    #[command(flatten)]
    pub(crate) job: Job,
    /// Directory for the scripts and the logs of their jobs [default: slurm in the directory of the campaign]
    #[arg(long, value_name = "DIR")]
    pub(crate) scripts: Option<PathBuf>,
    /// An sbatch option for all jobs, e.g. --sbatch=--gpus=1 or --sbatch=--time=04:00:00; may be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) sbatch: Vec<String>,
    /// Run at most N tasks of the array at the same time
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
    /// Use N tasks that share the runs instead of one task per run: the built-in trainer trains several runs in one pass
    #[arg(long, value_name = "N", conflicts_with_all = ["limit", "pending"])]
    pub(crate) workers: Option<NonZeroUsize>,
    /// With --workers: take at most N runs at a time [default: run.stack; 1 with an external trainer]
    #[arg(long, value_name = "N", requires = "workers")]
    pub(crate) at_once: Option<NonZeroUsize>,
    /// Save a checkpoint and requeue the job SECONDS before its time limit
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=65535))]
    pub(crate) warn: u32,
    /// Only the calibration runs of the existing campaign that are neither done nor being trained
    #[arg(long)]
    pub(crate) pending: bool,
    /// Submit the scripts with sbatch; the search starts when the calibration has ended
    #[arg(long)]
    pub(crate) submit: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Kubernetes {
    #[command(flatten)]
    pub(crate) job: Job,
    /// Container image with `mars`, and with the external trainer if there is one
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: String,
    /// PersistentVolumeClaim with data and campaign, which all pods can write to (ReadWriteMany)
    #[arg(long, value_name = "NAME")]
    pub(crate) claim: String,
    /// Mount point of the claim; relative paths are resolved there
    #[arg(long, value_name = "PATH", default_value = "/data")]
    pub(crate) mount: String,
    /// Name of the job
    #[arg(long, value_name = "NAME", default_value = "mars")]
    pub(crate) name: String,
    /// Print the job of the search, to be applied when the calibration job has ended
    #[arg(long, conflicts_with_all = ["runs", "parallelism"])]
    pub(crate) search: bool,
    /// Number of calibration runs [default: counted by opening model and data here]
    #[arg(long, value_name = "N")]
    pub(crate) runs: Option<NonZeroUsize>,
    /// Maximum number of parallel pods [default: one per run]
    #[arg(long, value_name = "N")]
    pub(crate) parallelism: Option<NonZeroUsize>,
    /// GPUs of a pod (nvidia.com/gpu)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) gpus: u32,
    /// Retries per run
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub(crate) retries: u32,
    /// Seconds a pod has to save a checkpoint when it is evicted
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) grace: u32,
}
