//! What a policy makes of what a campaign has measured, without training anything.

use super::snapshot::SnapshotRunner;
use crate::{Error, config::SearchConfig};
use mars_calib::Campaign;
use mars_laws::Ranks;
use mars_search::{Decision, Outcome, PolicySpec, Trial};
use std::path::Path;

/// What a policy chooses on a campaign.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Chosen {
    /// Name of the policy.
    pub policy: String,
    /// How far the choice is.
    pub choice: Choice,
    /// What had to be passed over when the campaign was read.
    pub warnings: Vec<String>,
}

/// How far a choice is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Choice {
    /// All runs are recorded: the decision.
    Decided(Box<Decision>),
    /// Calibration runs are missing.
    Uncalibrated {
        /// How many.
        missing: usize,
        /// Of how many.
        of: usize,
    },
    /// The choices that would be trained on next; one where the ranks are settled and only the fine-tune is missing.
    Racing(Vec<Ranks>),
}

/// What `policy` chooses on the campaign in `directory`, whether or not another process works on it; `None` is the policy
/// that the campaign was started with. The options of `guided` and `race` are those of the campaign's configuration.
///
/// # Errors
/// When there is no campaign, or the policy cannot be built on its settings.
pub fn choose(directory: &Path, policy: Option<&PolicySpec>) -> Result<Chosen, Error> {
    let snapshot = Campaign::read(directory)?;
    let (config, facts) = SearchConfig::of_campaign(&snapshot.settings)?;
    let policy = config.search.with_options(policy.unwrap_or(&config.search.policy));
    let space = config.space(facts.parameters_per_rank);
    let budget = config.budget(facts.samples, config.train.seed);
    let mut started = policy.build(&space, &budget)?;
    let mut runner = SnapshotRunner::new(directory, &snapshot, &config);
    let choice = match mars_search::search(&mut *started, &mut runner)?.outcome {
        Outcome::Decided(decision) => Choice::Decided(decision),
        Outcome::Missing { asked, missing } => undecided(&asked, missing.len()),
    };
    let warnings = snapshot.warnings.iter().map(ToString::to_string).collect();
    Ok(Chosen { policy: started.name(), choice, warnings })
}

/// What the trials that a policy asks for next, of which some are `missing`, say about its choice.
fn undecided(asked: &[Trial], missing: usize) -> Choice {
    if asked.iter().any(|trial| trial.role.is_calibration()) {
        return Choice::Uncalibrated { missing, of: asked.len() };
    }
    let mut candidates: Vec<Ranks> = asked.iter().map(|trial| trial.ranks.clone()).collect();
    candidates.dedup();
    Choice::Racing(candidates)
}
