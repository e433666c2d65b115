//! The arithmetic of a search where it is left to mars, and the machine is not all that counts.

use mars::{
    Error, SearchConfig,
    config::{TrainerKind, arithmetic_of_campaign},
    mars_kernels::Compute,
    task::TaskFiles,
};
use std::path::Path;

/// `config` with the arithmetic of the campaign in its directory, where it names none: runs in another would be none of that campaign. Left
/// open where the device or the type of weights has no such arithmetic: then these are what differs from the campaign.
pub(super) fn of_campaign(config: &SearchConfig) -> Result<SearchConfig, Error> {
    config.out.check_dir()?;
    let mut config = config.clone();
    if config.run.compute.is_none()
        && let Some(compute) = arithmetic_of_campaign(&config.out.dir)?
        && TaskFiles::has_arithmetic(&config, compute)?
    {
        config.run.compute = Some(compute);
        TaskFiles::check_machine(&config).map_err(|error| {
            Error::usage(format!(
                "products of the campaign in {} are in {compute}, and it goes on with no others; go on where they can be had, or \
                 search in another directory, with --compute f32 where machines differ",
                config.out.dir.display()
            ))
            .because(error)
        })?;
    }
    Ok(config)
}

/// What jobs on other machines are told, where `config` names no arithmetic: that of the campaign, if its directory is here, else f32, which all
/// of them have. Each would choose that of its own processor. `None` where a command trains.
pub(super) fn of_jobs(config: &SearchConfig, campaign: Option<&Path>) -> Result<Option<Compute>, Error> {
    if config.run.compute.is_some() || config.trainer.kind == TrainerKind::Command {
        return Ok(None);
    }
    let stored = campaign.map(arithmetic_of_campaign).transpose()?.flatten();
    Ok(Some(stored.unwrap_or(Compute::F32)))
}
