//! `mars choose`: what a policy makes of what a campaign has measured, without training anything.

use crate::{
    args,
    cluster::shell,
    cmd::{Context, must_have_campaign},
    exit::Exit,
    output,
};
use mars::{
    Error,
    mars_laws::Ranks,
    mars_search::Decision,
    search::{self, Choice, choose},
};
use serde::Serialize;

/// What `mars choose --json` prints.
#[derive(Debug, Serialize)]
struct Chosen {
    policy: String,
    /// The chosen ranks; `null` while several are in the race.
    ranks: Option<Ranks>,
    reason: String,
    /// The rank choices still in the race.
    candidates: Vec<Ranks>,
    decision: Option<Decision>,
}

pub(crate) fn run(context: &Context, args: &args::Choose) -> Result<Exit, Error> {
    let policy = args.policy.as_deref().map(str::parse).transpose()?;
    must_have_campaign(&args.campaign)?;
    let search::Chosen { policy, choice, warnings, .. } = choose(&args.campaign, policy.as_ref())?;
    warnings.iter().for_each(|warning| context.console.warn(warning));
    let chosen = match choice {
        Choice::Decided(decision) => Chosen {
            policy,
            ranks: Some(decision.ranks.clone()),
            reason: decision.reason.clone(),
            candidates: Vec::new(),
            decision: Some(*decision),
        },
        Choice::Uncalibrated { missing, of } => {
            return Err(Error::failed(format!(
                "{missing} of the {of} calibration runs of {policy} are missing; `mars calibrate --campaign {} --policy {policy}` \
                 trains them",
                shell::path(&args.campaign)
            )));
        }
        Choice::Racing(candidates) => {
            let (ranks, reason) = match candidates.as_slice() {
                [one] => {
                    let reason =
                        format!("{policy} continues with {one}; the fine-tune itself is still missing");
                    (Some(one.clone()), reason)
                }
                _ => (None, format!("{policy} would train {} competing candidates", candidates.len())),
            };
            Chosen { policy, ranks, reason, candidates, decision: None }
        }
        other => {
            return Err(Error::failed(format!("{policy} is in a state that cannot be shown: {other:?}")));
        }
    };
    if context.common.json {
        output::json(&chosen)?;
    } else {
        let candidates = chosen.candidates.iter().map(ToString::to_string).collect::<Vec<_>>();
        let ranks = chosen.ranks.as_ref().map_or_else(|| candidates.join("  or  "), ToString::to_string);
        output::text(format!("ranks  {ranks}\nwhy    {}", chosen.reason))?;
    }
    Ok(Exit::Done)
}
