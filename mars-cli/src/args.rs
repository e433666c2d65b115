//! The command line.

use crate::cluster::args as cluster;
use clap::{ArgGroup, Args, Parser, Subcommand};
use mars::{mars_lora::merge::Float, mars_search::POLICY_FORMS};
use std::{num::NonZeroUsize, path::PathBuf};

/// Chooses LoRA ranks for a multimodal language model by measurement, within the cost of little more than one fine-tune:
/// rank choices race inside it, and calibration runs with scaling laws are added where the budget pays for them. Without a
/// command: the whole search on the embedded task.
#[derive(Debug, Parser)]
#[command(name = "mars", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every command understands.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Common {
    /// Settings from a TOML file (`mars config` prints all of them with their defaults)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, as in --set train.batch=4; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more; twice for the log of the libraries as well
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The model and the data.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Task {
    /// Hugging Face directory of the base model, or OWNER/NAME in the local cache [default: the embedded tiny model]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Training data: LLaVA JSON, messages as JSON or JSON lines, ScienceQA, Parquet [default: the embedded digits]
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Validation data [default: that part of the training data, or split off from them by images]
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) val: Option<PathBuf>,
    /// Test data, seen by nothing but the final evaluation [default: split off likewise]
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) test: Option<PathBuf>,
    /// Folder or zip archive of the images [default: the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Device on which to compute; see `mars devices`
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
    /// Who trains: native, or a command that trains one run, with placeholders, as in 'python train.py --ve {r.ve} --llm
    /// {r.llm} --steps {steps} --out {out}' (`mars config` lists them)
    #[arg(long, value_name = "COMMAND")]
    pub(crate) trainer: Option<String>,
    /// Train with much less memory and about a third more time: compute each block of the model twice
    #[arg(long)]
    pub(crate) gradient_checkpointing: bool,
}

/// Where the campaign is kept.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Place {
    /// Directory of the campaign, its adapter and its report [default: mars-out]
    #[arg(long, visible_alias = "campaign", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Continue in a directory whose campaign has other settings; runs that are the same under both are used again
    #[arg(long)]
    pub(crate) accept_changes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the data, calibrate, choose ranks, fine-tune, write the adapter and a report
    Search(Search),
    /// Print what a search would do and cost, without training
    Plan(Plan),
    /// Do the calibration runs that are not done yet
    Calibrate(Calibrate),
    /// Fit the scaling laws to a campaign or to a table
    Fit(Fit),
    /// Print which ranks a policy chooses on what a campaign has measured
    Choose(Choose),
    /// Fine-tune once at given ranks
    Tune(Tune),
    /// Measure loss, perplexity and accuracy of a model on data
    Eval(Eval),
    /// Merge an adapter into the weights of its base, as a new model directory
    Merge(Merge),
    /// Check that an adapter fits its base: every tensor, rank and scale, and the losses
    Verify(Verify),
    /// Compare policies on one task: quality, regret, cost
    Compare(Compare),
    /// Check data sets
    #[command(subcommand)]
    Data(Data),
    /// Write the report of a finished search again
    Report(Report),
    /// Show how far a search is: done, running, waiting and failed runs, time and cost left
    Status(cluster::Status),
    /// Write scripts for Slurm: an array for the calibration, and the search after it
    Slurm(cluster::Slurm),
    /// Print a job for Kubernetes: an Indexed Job for the calibration, or that of the search
    K8s(cluster::Kubernetes),
    /// List the devices that this program can compute on
    Devices,
    /// Print all settings as they would be used
    Config(Task),
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) task: Task,
    #[command(flatten)]
    pub(crate) place: Place,
    /// How to choose ranks
    #[arg(long, value_name = "POLICY", long_help = policy_help())]
    pub(crate) policy: Option<String>,
    /// Seed of data order and initialisation
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// How the adapter states ranks that differ: pattern (rank_pattern) or uniform (for vLLM, llama.cpp)
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) adapter_layout: Option<String>,
    /// Exit with code 5 if the search fell back to the default ranks, or training did not improve the model
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) task: Task,
    /// How to choose ranks, as in `mars search`
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    pub(crate) task: Task,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Whose calibration runs; `paper` also asks for joint runs
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// Only run number I of the plan, counted from 0 [default: that of the job array, if this is a task of one and no
    /// --at-once is given: MARS_INDEX, HQ_TASK_ID, SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, SGE_TASK_ID]
    #[arg(long, value_name = "I")]
    pub(crate) index: Option<usize>,
    /// Take at most N runs at a time, and leave the others to further processes on the same campaign [default: all, of a
    /// command 1]
    #[arg(long, value_name = "N")]
    pub(crate) at_once: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("source").required(true).args(["campaign", "runs"])))]
pub(crate) struct Fit {
    /// A campaign directory
    #[arg(long, value_name = "DIR")]
    pub(crate) campaign: Option<PathBuf>,
    /// A table: module,rank,dataset_size,steps or ve_rank,llm_rank,dataset_size,perplexity; may be repeated
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) runs: Vec<PathBuf>,
    /// Form of the performance law: published, overfit, surface or auto
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) form: String,
    /// Loss on residuals: plain, huber:0.02 or cauchy:0.02
    #[arg(long, value_name = "LOSS", default_value = "plain")]
    pub(crate) loss: String,
    /// Fit sizes up to D only; larger ones score the fit
    #[arg(long, value_name = "D")]
    pub(crate) fit_up_to: Option<usize>,
    /// Predict, and balance, at this number of samples; may be repeated
    #[arg(long, value_name = "D")]
    pub(crate) predict: Vec<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Choose {
    /// A campaign directory
    #[arg(long, visible_alias = "out", value_name = "DIR")]
    pub(crate) campaign: PathBuf,
    /// How to choose [default: the policy of the campaign]
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Tune {
    #[command(flatten)]
    pub(crate) task: Task,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Rank of each module, as in ve=8,llm=16 [default: those of --adapter]
    #[arg(long, value_name = "RANKS", required_unless_present = "adapter")]
    pub(crate) ranks: Option<String>,
    /// PEFT adapter of the model to go on from: its factors, ranks and scales
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// How the adapter states ranks that differ: pattern (rank_pattern) or uniform (for vLLM, llama.cpp)
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) adapter_layout: Option<String>,
    /// Seed of data order and initialisation
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// Exit with code 5 if training did not improve the model
    #[arg(long)]
    pub(crate) strict: bool,
}

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
    /// Adapter and base, however they were given.
    fn resolve(&self) -> (Option<&PathBuf>, Option<&PathBuf>) {
        let Self { adapter_flag, base_flag, adapter_position, base_position } = self;
        (adapter_flag.as_ref().or(adapter_position.as_ref()), base_flag.as_ref().or(base_position.as_ref()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    #[command(flatten)]
    adapted: Adapted,
    /// New directory for the merged model
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Type of the weights: f32, f16 or bf16 [default: that of each weight of the base]
    #[arg(long, value_name = "TYPE")]
    pub(crate) dtype: Option<Float>,
    /// Subtract the adapter from a merged model again
    #[arg(long)]
    pub(crate) unmerge: bool,
}

impl Merge {
    pub(crate) fn adapter(&self) -> Option<&PathBuf> {
        self.adapted.resolve().0
    }

    pub(crate) fn base(&self) -> Option<&PathBuf> {
        self.adapted.resolve().1
    }
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    // Without a base model: the embedded one, and its test split.
    #[command(flatten)]
    adapted: Adapted,
    /// Data on which the adapter and the merged model must have the same losses
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Folder or zip archive of the images [default: the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Largest relative difference of a sample's loss
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    pub(crate) tolerance: f64,
    /// Device on which to compute; see `mars devices`
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
}

impl Verify {
    pub(crate) fn adapter(&self) -> Option<&PathBuf> {
        self.adapted.resolve().0
    }

    pub(crate) fn base(&self) -> Option<&PathBuf> {
        self.adapted.resolve().1
    }
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// Hugging Face directory of the base model, or OWNER/NAME in the local cache [default: the embedded tiny model]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Data to measure on [default: the embedded test split]
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Folder or zip archive of the images [default: the folder of the data file]
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// PEFT adapter to put on the model
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Device on which to compute; see `mars devices`
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) task: Task,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Policies and methods, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        default_value = "fixed:8x8,fixed:16x16,diff-lr,adalora,geolora,hydra-style,eva,halving,paper,race,grid"
    )]
    pub(crate) policies: String,
    /// Number of seeds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seeds: u32,
    /// Also write every run of the campaign, with its curve and test perplexity, into this recording
    #[arg(long, value_name = "FILE.json.gz", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Train nothing: play the policies on this recording; may be repeated
    #[arg(long, value_name = "FILE.json.gz", conflicts_with_all = ["model", "data", "val", "test", "images", "device", "trainer", "out"])]
    pub(crate) replay: Vec<PathBuf>,
}

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

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A campaign directory with a finished search
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Also write every chart as an SVG file into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) svg: Option<PathBuf>,
}

/// Every policy with what it does, in lines that fit a terminal of 80 columns behind clap's indentation.
fn policy_help() -> String {
    const FORM: usize = 18;
    const LINE: usize = 68;
    let mut help = "How to choose ranks:".to_owned();
    for (form, meaning) in POLICY_FORMS {
        let mut line = format!("{form:FORM$}");
        for word in meaning.split_whitespace() {
            if line.len() + word.len() >= LINE {
                help += &format!("\n{line}");
                line = " ".repeat(FORM);
            }
            line += &format!(" {word}");
        }
        help += &format!("\n{line}");
    }
    help
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
