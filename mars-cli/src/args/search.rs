//! Arguments of the commands of a search.

use super::{Place, Task};
use clap::{ArgGroup, Args};
use mars::mars_search::POLICY_FORMS;
use std::{num::NonZeroUsize, path::PathBuf};

/// A search, whoever runs it: this process, or the jobs that are written for it.
#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct Job {
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
}

#[derive(Debug, Default, PartialEq, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) job: Job,
    /// How the adapter stores unequal ranks: pattern (PEFT's rank_pattern) or uniform (padded to one rank, for vLLM and
    /// llama.cpp)
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
    /// Directory of a campaign on the same model and data, from whose runs the onset of over-fitting is estimated [default:
    /// mars-out]
    #[arg(long, visible_alias = "campaign", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// How to choose ranks, as in `mars search`
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// Train a few steps of each kind of run to estimate time, cost and memory of the search and of the full grid; also works
    /// with an external trainer
    #[arg(long)]
    pub(crate) probe: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    #[command(flatten)]
    pub(crate) task: Task,
    #[command(flatten)]
    pub(crate) place: Place,
    /// Policy whose calibration runs to train; `paper` also needs joint runs
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// Seed of data order and initialisation
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// Train only run number I of the plan, counted from 0 [default in a task of a job array, without --at-once: the index of
    /// the task, from MARS_INDEX, HQ_TASK_ID, SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or SGE_TASK_ID]
    #[arg(long, value_name = "I")]
    pub(crate) index: Option<usize>,
    /// Take at most N runs at a time and leave the rest to other processes on the same campaign [default: all; 1 with an
    /// external trainer]
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
    /// Module of the tables against which the others are balanced [default: llm]
    #[arg(long, value_name = "MODULE", conflicts_with = "campaign")]
    pub(crate) reference: Option<String>,
    /// Candidate ranks, e.g. 4,8,16 [default: those of the tables]
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "campaign")]
    pub(crate) ranks: Vec<NonZeroUsize>,
    /// Form of the performance law: published, tied, overfit, surface or auto
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) form: String,
    /// Loss function for the residuals: plain, huber:0.02 or cauchy:0.02
    #[arg(long, value_name = "LOSS", default_value = "plain")]
    pub(crate) loss: String,
    /// Fit only sizes up to D; larger sizes are held out to score the fit
    #[arg(long, value_name = "D")]
    pub(crate) fit_up_to: Option<usize>,
    /// Predict and balance ranks at this number of samples; may be repeated
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
    /// Rank of each module, e.g. ve=8,llm=16 [default: those of --adapter]
    #[arg(long, value_name = "RANKS", required_unless_present = "adapter")]
    pub(crate) ranks: Option<String>,
    /// PEFT adapter to continue training from, with its factors, ranks and scales
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// How the adapter stores unequal ranks: pattern (PEFT's rank_pattern) or uniform (padded to one rank, for vLLM and
    /// llama.cpp)
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) adapter_layout: Option<String>,
    /// Seed of data order and initialisation
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// Exit with code 5 if training did not improve the model
    #[arg(long)]
    pub(crate) strict: bool,
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
        default_value = "guided,fixed:8x8,fixed:16x16,diff-lr,adalora,geolora,hydra-style,eva,halving,paper,race,grid"
    )]
    pub(crate) policies: String,
    /// Number of seeds [default: 3; with --replay at most those recorded]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seeds: Option<u32>,
    /// Also write every run of the campaign, with its curve and test perplexity, into this recording
    #[arg(long, value_name = "FILE.json.gz", conflicts_with = "replay")]
    pub(crate) record: Option<PathBuf>,
    /// Train nothing: replay the policies on this recording; may be repeated
    #[arg(long, value_name = "FILE.json.gz", conflicts_with_all = ["model", "data", "val", "test", "images", "device", "trainer", "out",
        "compute", "gradient_checkpointing", "accept_changes"])]
    pub(crate) replay: Vec<PathBuf>,
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
