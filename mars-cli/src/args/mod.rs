//! The command line.

mod adapter;
mod data;
mod search;

pub(crate) use adapter::{Eval, Merge, Verify};
pub(crate) use data::{Check, Data};
pub(crate) use search::{Calibrate, Choose, Compare, Fit, Job, Plan, Report, Search, Tune};

use crate::cluster::args as cluster;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Chooses LoRA ranks for a multimodal language model by measurement, at the cost of little more than one fine-tune.
/// Candidate ranks race inside that fine-tune; if the budget allows, calibration runs and scaling laws select the candidates.
/// Without a command, `mars` runs `mars search`, by default on the embedded task.
#[derive(Debug, Parser)]
#[command(name = "mars", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) common: Common,
    /// What is to be searched where no command is given.
    #[command(flatten, next_help_heading = "Search options (when no command is given)")]
    pub(crate) search: Search,
}

/// What every command understands.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// Settings from a TOML file (`mars config` prints all of them with their defaults)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting, e.g. --set train.batch=4; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Do not print progress, only the result, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more details; -vv also prints library logs
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The model and the data.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct Task {
    /// Hugging Face directory of the base model, or OWNER/NAME in the local cache [default: the embedded tiny model]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Training data: LLaVA JSON, messages as JSON or JSON lines, ScienceQA, Parquet [default: the embedded digits]
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Validation data [default: the validation split of the data set, or a part of the training data, split by images]
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) val: Option<PathBuf>,
    /// Test data, used only for the final evaluation [default: as for --val]
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) test: Option<PathBuf>,
    /// Folder or zip archive of the images [default: the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Device to use, or several of one kind, separated by commas; see `mars devices`
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Trainer: native, or a command with placeholders that trains one run, e.g. 'python train.py --ve {r.ve} --llm {r.llm}
    /// --steps {steps} --out {out}' (`mars config` lists the placeholders)
    #[arg(long, value_name = "COMMAND")]
    pub(crate) trainer: Option<String>,
    /// Arithmetic of matrix products with the frozen weights: f32; bf16x2 or bf16 on a CPU with amx-bf16, or one of AMD with avx512-bf16
    /// [default: that of the campaign; else bf16x2 where the CPU has it and the weights are bf16, which gives the losses of f32 to 1e-5]
    #[arg(long, value_name = "ARITHMETIC")]
    pub(crate) compute: Option<String>,
    /// Gradient checkpointing: much less memory for about a third more time
    #[arg(long)]
    pub(crate) gradient_checkpointing: bool,
}

/// Where the campaign is kept.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub(crate) struct Place {
    /// Output directory: campaign, adapter and report [default: mars-out]
    #[arg(long, visible_alias = "campaign", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Continue a campaign that was started with other settings; runs that are identical under both are reused
    #[arg(long)]
    pub(crate) accept_changes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the data, calibrate, choose ranks, fine-tune, write the adapter and a report
    Search(Search),
    /// Print what a search would do and cost before it starts
    Plan(Plan),
    /// Train the missing calibration runs
    Calibrate(Calibrate),
    /// Fit the scaling laws to a campaign or to a table
    Fit(Fit),
    /// Print which ranks a policy chooses from the results of a campaign
    Choose(Choose),
    /// Fine-tune once at given ranks
    Tune(Tune),
    /// Evaluate loss, perplexity and accuracy of a model on a data set
    Eval(Eval),
    /// Merge an adapter into the weights of its base, as a new model directory
    Merge(Merge),
    /// Check that an adapter fits its base: every tensor, rank and scale, and the losses
    Verify(Verify),
    /// Compare policies on one task: quality, regret, cost
    Compare(Compare),
    /// Validate data sets
    #[command(subcommand)]
    Data(Data),
    /// Regenerate the report of a finished search
    Report(Report),
    /// Show the progress of a search: runs done, running, waiting and failed; time and cost left
    Status(cluster::Status),
    /// Write scripts for Slurm: an array for the calibration, and the search after it
    Slurm(cluster::Slurm),
    /// Print a Kubernetes Job: an Indexed Job for the calibration, or the job of the search
    K8s(cluster::Kubernetes),
    /// List the supported model types and the reference implementation that each family was compared with
    Families,
    /// List the devices that this program can compute on
    Devices,
    /// Print all settings with their effective values and documentation
    Config(Task),
}

impl Command {
    /// What decides in place of settings, for a command that reads none; under its name.
    pub(crate) fn settled_by(&self) -> Option<(&'static str, &'static str)> {
        let campaign = "the settings of the campaign decide, and --help lists what can be chosen";
        let tables =
            "the tables decide, and --help lists what can be chosen, such as --reference and --ranks";
        let nothing = "there is nothing to set";
        match self {
            Self::Fit(fit) => Some(("fit", if fit.campaign.is_some() { campaign } else { tables })),
            Self::Choose(_) => Some(("choose", campaign)),
            Self::Report(_) => Some(("report", campaign)),
            Self::Status(_) => Some(("status", campaign)),
            Self::Merge(_) => Some(("merge", "the adapter and its base decide")),
            Self::Families => Some(("families", nothing)),
            Self::Devices => Some(("devices", nothing)),
            Self::Search(_)
            | Self::Plan(_)
            | Self::Calibrate(_)
            | Self::Tune(_)
            | Self::Eval(_)
            | Self::Verify(_)
            | Self::Compare(_)
            | Self::Data(_)
            | Self::Slurm(_)
            | Self::K8s(_)
            | Self::Config(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
