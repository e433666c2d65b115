//! The call of `mars` that a job makes: the same search as that for which the job is written.

use super::shell;
use crate::{
    args::{Common, Job},
    environment,
};
use mars::{Error, config::Layers, mars_kernels::Compute, mars_search::PolicySpec};
use std::{env, ffi::OsString, path::Path};

/// Arguments and variables of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// Without the program and the command.
    pub(crate) arguments: Vec<String>,
    /// Settings of the environment, which a job may not inherit: name and value.
    pub(crate) variables: Vec<(String, String)>,
}

impl Invocation {
    /// The call with the settings of this one, and its `policy`, wherever that was set: the runs of a calibration are counted
    /// for it, while a call without a policy takes that of the campaign. Without a flag for it `compute` is its arithmetic.
    pub(crate) fn of(
        common: &Common,
        job: &Job,
        policy: &PolicySpec,
        compute: Option<Compute>,
    ) -> Result<Self, Error> {
        let mut arguments = Vec::new();
        let mut give = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                // One word, so that no value is taken for an option.
                arguments.push(format!("{name}={value}"));
            }
        };
        let Job { task, place, policy: _, seed } = job;
        give("--config", path(&common.config)?);
        common.set.iter().for_each(|assignment| give("--set", Some(assignment)));
        for (name, value) in [
            ("--model", &task.model),
            ("--data", &task.data),
            ("--val", &task.val),
            ("--test", &task.test),
            ("--images", &task.images),
            ("--out", &place.out),
        ] {
            give(name, path(value)?);
        }
        give("--device", task.device.as_deref());
        let compute = compute.map(Compute::name);
        give("--compute", task.compute.as_deref().or(compute));
        give("--trainer", task.trainer.as_deref());
        give("--policy", Some(&policy.to_string()));
        give("--seed", seed.map(|seed| seed.to_string()).as_deref());
        for (name, given) in [
            ("--gradient-checkpointing", task.gradient_checkpointing),
            ("--accept-changes", place.accept_changes),
        ] {
            arguments.extend(given.then(|| name.to_owned()));
        }
        Ok(Self { arguments, variables: variables(env::vars_os())? })
    }

    /// Lines of a shell script that set the variables, and the words of the call.
    pub(crate) fn script(&self, program: &Path, command: &str) -> Result<(String, String), Error> {
        let exports =
            self.variables.iter().map(|(name, value)| format!("export {name}={}\n", shell::word(value)));
        let start = [text(program)?, command].into_iter();
        let call = shell::words(start.chain(self.arguments.iter().map(String::as_str)));
        Ok((exports.collect(), call))
    }
}

/// The variables that are settings. Others are not ours to write into files, nor are their names for a shell.
fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, Error> {
    let layers = Layers::new();
    let mut own = environment::settings(all)?;
    own.retain(|(name, _)| layers.setting_of(name).is_some());
    own.sort();
    Ok(own)
}

fn path<P: AsRef<Path>>(path: &Option<P>) -> Result<Option<&str>, Error> {
    path.as_ref().map(|path| text(path.as_ref())).transpose()
}

/// A path as a script can hold it.
pub(super) fn text(path: &Path) -> Result<&str, Error> {
    let refused = || Error::usage(format!("the path {} is not UTF-8; scripts are text", path.display()));
    path.to_str().ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Invocation, variables};
    use crate::args::{Cli, Command};
    use clap::Parser;

    #[test]
    fn a_job_is_given_what_this_call_is_given_whatever_that_begins_with() {
        let given = [
            "mars",
            "slurm",
            "--out=-run",
            "--data=--train.json",
            "--images=-i",
            "--device=cpu",
            "--set=trainer.environment.A=-b",
            "--seed=3",
            "--accept-changes",
        ];
        let Cli { command: Some(Command::Slurm(args)), common, .. } = Cli::try_parse_from(given).unwrap()
        else {
            panic!("no slurm")
        };
        let call = Invocation::of(&common, &args.job, &"race".parse().unwrap(), None).unwrap();
        let words = ["mars", "calibrate"].map(str::to_owned).into_iter().chain(call.arguments.clone());
        let Some(Command::Calibrate(calibrate)) = Cli::try_parse_from(words).unwrap().command else {
            panic!("no calibrate")
        };
        assert_eq!((calibrate.policy.as_deref(), calibrate.seed), (Some("race"), Some(3)));
        let words = ["mars", "search"].map(str::to_owned).into_iter().chain(call.arguments);
        let again = Cli::try_parse_from(words).unwrap();
        let Some(Command::Search(search)) = again.command else { panic!("no search") };
        assert_eq!((search.job.task, search.job.place), (args.job.task, args.job.place));
        assert_eq!(again.common.set, common.set);
        assert_eq!((search.job.policy.as_deref(), search.job.seed), (Some("race"), Some(3)));
    }

    #[test]
    fn settings_of_the_environment_go_along() {
        let all = [
            ("PATH", "/bin"),
            ("MARS_TRAIN_STEPS", "4"),
            ("MARS_INDEX", "3"),
            ("MARS_API_TOKEN", "secret"),
            ("MARS_X;touch y;", "1"),
            ("MARS_TRAIN_BATCH", "a b"),
        ];
        let own = variables(all.into_iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
        let expected = [("MARS_TRAIN_BATCH", "a b"), ("MARS_TRAIN_STEPS", "4")];
        assert_eq!(own, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
