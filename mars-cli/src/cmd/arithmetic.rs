//! The arithmetic of a search where it is left to mars, and the machine is not all that counts.

use mars::{
    Error, SearchConfig,
    config::{TrainerKind, arithmetic_of_campaign},
    mars_kernels::Compute,
    task::TaskFiles,
};

/// `config` with the arithmetic of the campaign in its directory, where it names none: runs in another would be none of that campaign.
pub(super) fn of_campaign(config: &SearchConfig) -> Result<SearchConfig, Error> {
    config.out.check_dir()?;
    let mut config = config.clone();
    if config.run.compute.is_none()
        && let Some(compute) = arithmetic_of_campaign(&config.out.dir)?
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

/// What jobs on other machines are told, where `config` names no arithmetic: that of the campaign, else f32, which all of them have. Each would
/// choose that of its own processor. `None` where a command trains.
pub(super) fn of_jobs(config: &SearchConfig) -> Result<Option<Compute>, Error> {
    if config.run.compute.is_some() || config.trainer.kind == TrainerKind::Command {
        return Ok(None);
    }
    config.out.check_dir()?;
    Ok(Some(arithmetic_of_campaign(&config.out.dir)?.unwrap_or(Compute::F32)))
}
