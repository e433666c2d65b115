//! The number of a calibration run, as schedulers give it to the tasks of an array.

use mars::Error;

/// The variables that hold an index, the first of them that is set counts. HyperQueue comes before Slurm, within whose jobs
/// its workers run.
const VARIABLES: [&str; 5] = [OWN, "HQ_TASK_ID", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", FROM_ONE];

/// Ours, for everything else.
pub(crate) const OWN: &str = "MARS_INDEX";

/// Grid Engine counts from 1, and sets a word outside of arrays.
const FROM_ONE: &str = "SGE_TASK_ID";

/// An index with the variable that it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) value: usize,
    pub(crate) variable: &'static str,
}

/// The index that a scheduler has set; `None` outside of arrays.
pub(crate) fn given(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Index>, Error> {
    for name in VARIABLES {
        let Some(text) = variable(name).filter(|text| !text.is_empty() && text != "undefined") else {
            continue;
        };
        let number = text.parse::<usize>().ok();
        let value = if name == FROM_ONE { number.and_then(|number| number.checked_sub(1)) } else { number };
        let refused = || {
            let from = usize::from(name == FROM_ONE);
            Error::usage(format!("{name} is {text}, not a number from {from}; unset it, or give --index"))
        };
        return Ok(Some(Index { value: value.ok_or_else(refused)?, variable: name }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Index, given};

    fn of(all: &[(&str, &str)]) -> Result<Option<Index>, mars::Error> {
        given(|name| all.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn every_scheduler_gives_its_index() {
        for (variable, text, value) in [
            ("MARS_INDEX", "0", 0),
            ("HQ_TASK_ID", "11", 11),
            ("SLURM_ARRAY_TASK_ID", "23", 23),
            ("JOB_COMPLETION_INDEX", "7", 7),
            ("SGE_TASK_ID", "1", 0),
            ("SGE_TASK_ID", "24", 23),
        ] {
            assert_eq!(of(&[(variable, text)]).unwrap(), Some(Index { value, variable }));
        }
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&[("SGE_TASK_ID", "undefined"), ("MARS_INDEX", "")]).unwrap(), None);
    }

    #[test]
    fn the_inner_scheduler_counts() {
        let within = of(&[("SLURM_ARRAY_TASK_ID", "3"), ("HQ_TASK_ID", "5")]).unwrap().unwrap();
        assert_eq!((within.value, within.variable), (5, "HQ_TASK_ID"));
        let own = of(&[("SLURM_ARRAY_TASK_ID", "3"), ("MARS_INDEX", "9")]).unwrap().unwrap();
        assert_eq!(own.value, 9);
    }

    #[test]
    fn what_is_no_index_is_refused_with_its_variable() {
        for (variable, text) in [
            ("SLURM_ARRAY_TASK_ID", "x"),
            ("JOB_COMPLETION_INDEX", "-1"),
            ("SGE_TASK_ID", "0"),
            ("MARS_INDEX", "1.5"),
        ] {
            let error = of(&[(variable, text)]).unwrap_err();
            assert!(error.to_string().contains(variable), "{error}");
            assert_eq!(error.kind(), mars::ErrorKind::Usage);
        }
    }
}
