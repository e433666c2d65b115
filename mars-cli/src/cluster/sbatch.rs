//! Scripts for Slurm.

use super::{Invocation, invocation, shell};
use mars::Error;
use std::{fmt::Write, path::Path};

/// The array of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Array {
    /// One task for each of these calibration runs; at most so many at a time.
    Runs(Vec<usize>, Option<usize>),
    /// So many tasks that share all runs; each takes at most so many at a time.
    Workers(usize, usize),
}

impl Array {
    /// The value of `--array`.
    pub(crate) fn ids(&self) -> String {
        match self {
            Self::Runs(runs, limit) => {
                let limit = limit.map_or_else(String::new, |limit| format!("%{limit}"));
                format!("{}{limit}", ranges(runs))
            }
            Self::Workers(workers, _) => format!("0-{}", workers.saturating_sub(1)),
        }
    }

    /// What `mars calibrate` is given beside the settings; to be read by the shell.
    fn arguments(&self) -> String {
        match self {
            Self::Runs(..) => r#" --index "$SLURM_ARRAY_TASK_ID""#.to_owned(),
            Self::Workers(_, at_once) => format!(" --at-once {at_once}"),
        }
    }
}

/// Ascending numbers as Slurm lists them: `0-3,7`.
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => parts.push((*number, *number)),
        }
    }
    let part = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

/// What scripts have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scripts<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// Where it is called.
    pub(crate) directory: &'a Path,
    /// Where the logs go.
    pub(crate) logs: &'a Path,
    /// Its settings.
    pub(crate) invocation: &'a Invocation,
    /// Further options of sbatch.
    pub(crate) options: &'a [String],
    /// Seconds before the time limit at which a job is warned.
    pub(crate) warn: u32,
}

impl Scripts<'_> {
    /// The calibration.
    pub(crate) fn calibrate(&self, array: &Array) -> Result<String, Error> {
        let nothing_left = match array {
            // Another task trains this run: look again later.
            Array::Runs(..) => "",
            // The other tasks train all that is left.
            Array::Workers(..) => "75) exit 0 ;;\n",
        };
        let header = format!("#SBATCH --array={}\n", array.ids());
        self.script("calibrate", "%A_%a", &header, &array.arguments(), nothing_left)
    }

    /// The search, which goes on from the calibration.
    pub(crate) fn search(&self) -> Result<String, Error> {
        self.script("search", "%j", "", "", "")
    }

    fn script(
        &self,
        command: &str,
        log: &str,
        header: &str,
        arguments: &str,
        codes: &str,
    ) -> Result<String, Error> {
        let (exports, call) = self.invocation.script(self.program, command)?;
        let directory = shell::word(invocation::text(self.directory)?);
        let logs = invocation::text(self.logs)?;
        if logs.contains(UNQUOTABLE) {
            return Err(Error::usage(format!(
                "the path {logs:?} cannot be used in an sbatch script, as it has a quote, a backslash or a line break; give another \
                 directory for scripts and logs (--scripts)"
            )));
        }
        let logs = logs.replace('%', "%%");
        let output = option(&format!("--output={logs}/{command}-{log}.log"))?;
        let mut script = format!(
            "#!/bin/bash\n\
             # Written by `mars slurm`. What is finished is told by the campaign, never by the scheduler.\n\
             #SBATCH --job-name=mars-{command}\n\
             {header}\
             #SBATCH {output}\n\
             #SBATCH --open-mode=append\n\
             #SBATCH --requeue\n\
             #SBATCH --signal=B:USR1@{}\n",
            self.warn
        );
        for text in self.options {
            // Cannot fail: a string takes everything.
            let _ = writeln!(script, "#SBATCH {}", option(text)?);
        }
        script += &format!("cd {directory} || exit 74\n{exports}{call}{arguments} &\n");
        script += &REST.replace("CODES\n", codes);
        Ok(script)
    }
}

/// Waits for the call in the background, which only so can be warned by Slurm, and queues the job again where that helps.
const REST: &str = r#"mars=$!
# Ahead of the time limit Slurm warns this shell. Told so, `mars` saves its state and ends with 85.
warned=
trap 'warned=1; kill -USR1 "$mars" 2>/dev/null' USR1
trap 'warned=1; kill -TERM "$mars" 2>/dev/null' TERM
wait "$mars"
code=$?
while [ "$warned" ]; do
    warned=
    wait "$mars"
    code=$?
done
case $code in
CODES
85 | 138) most=1000 ;; # warned, 138 before it could listen
74 | 75) most=10 ;; # the disk, or another process that trains the same, is in the way
*) exit "$code" ;;
esac
if [ "${SLURM_RESTART_COUNT:-0}" -lt "$most" ]; then
    if [ "$SLURM_ARRAY_JOB_ID" ]; then
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    else
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$code"
"#;

/// What no quotes help against in a line for sbatch.
const UNQUOTABLE: [char; 4] = ['\n', '\r', '"', '\\'];

/// An option as a line of a script can hold it: one word, and its name and its value are not two.
fn option(text: &str) -> Result<String, Error> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if !name.starts_with('-') || name.contains(char::is_whitespace) || text.contains(UNQUOTABLE) {
        let rule = "give one option of sbatch, with = before its value, as in --time=04:00:00, without quotes, backslashes and line breaks";
        return Err(Error::usage(format!("{text:?} cannot be used in an sbatch script; {rule}")));
    }
    let plain = |c: char| !c.is_whitespace() && !"'#;".contains(c);
    if text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Ok(match value {
        Some(value) => format!("{name}=\"{value}\""),
        None => format!("\"{text}\""),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Array, option, ranges};

    #[test]
    fn arrays_are_listed_as_slurm_reads_them() {
        assert_eq!(ranges(&[0, 1, 2, 3]), "0-3");
        assert_eq!(ranges(&[0, 2, 3, 7, 8, 9, 11]), "0,2-3,7-9,11");
        assert_eq!(Array::Runs(vec![4], Some(2)).ids(), "4%2");
        assert_eq!(Array::Workers(3, 1).ids(), "0-2");
    }

    #[test]
    fn options_that_are_none_are_refused() {
        assert_eq!(option("--gpus=1").unwrap(), "--gpus=1");
        assert_eq!(option("--comment=two words").unwrap(), "--comment=\"two words\"");
        assert_eq!(option("-pgpu").unwrap(), "-pgpu");
        for bad in [
            "gpus=1",
            "",
            "--x=\n#SBATCH --y",
            "--x=\"",
            "--x=\\",
            "-p gpu",
            "--mem 4G",
            "--comment two=words",
        ] {
            assert!(option(bad).is_err(), "{bad:?}");
        }
    }
}
