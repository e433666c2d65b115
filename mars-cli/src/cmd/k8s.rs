//! `mars k8s`: jobs for Kubernetes.

use crate::{
    cluster::{Invocation, args::Kubernetes, kubernetes, yaml},
    cmd::{Context, arithmetic, job_config, planned_runs},
    exit::Exit,
    output,
};
use mars::Error;

pub(crate) fn run(context: &Context, args: &Kubernetes) -> Result<Exit, Error> {
    let config = job_config(context, &args.job)?;
    // The directory of the campaign is on the claim.
    let compute = arithmetic::of_jobs(&config, None)?;
    let call = Invocation::of(&context.common, &args.job, &config.search.policy, compute)?;
    let job = if args.search {
        kubernetes::search(args, &call)?
    } else {
        let runs = match args.runs {
            Some(_) if !config.may_calibrate() => 0,
            Some(runs) => runs.get(),
            None => planned_runs(context, &config)?,
        };
        if runs == 0 {
            return Err(Error::usage(
                "the policy asks for no calibration; --search prints the job of the search",
            ));
        }
        kubernetes::calibration(args, &call, runs)?
    };
    if context.common.json {
        output::json(&job)?;
    } else {
        output::text(yaml(&job).trim_end())?;
    }
    Ok(Exit::Done)
}
