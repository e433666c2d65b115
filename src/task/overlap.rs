//! Samples that are in a data set more than once, or in two of them.

use crate::{
    Error,
    event::{Event, Observer},
};
use mars_vlm::data::{Fingerprints, Sample};
use std::{collections::HashSet, path::Path};

/// The samples of a part, in order, and their digests.
type Contents<'a> = (&'a [Sample], &'a Fingerprints);

/// The parts in their order, and the settings that name them.
const PARTS: [(&str, &str); 3] =
    [("training", "data.train"), ("validation", "data.val"), ("test", "data.test")];

/// Refuses training data that are validation or test data, and warns of test data that are validation data, of validation and
/// test samples that are trained on, and of validation samples that are copies of others. Samples are equal where their turns and
/// the contents of their images are. `given` says which parts have files of their own.
pub(super) fn check(
    parts: [Contents<'_>; 3],
    given: [bool; 3],
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    refuse_training(parts, 1, given[1])?;
    refuse_training(parts, 2, given[2])?;
    if are_equal(parts[1], parts[2]) {
        observer.event(&Event::Warning(
            "validation and test data are the same samples: what is chosen by their losses (ranks, the kept adapter) looks better on \
             them than on other data",
        ));
    }
    let trained: HashSet<[u8; 16]> = parts[0].1.samples.iter().copied().collect();
    for part in [1, 2] {
        let (samples, digests) = parts[part];
        let shared = || digests.samples.iter().zip(samples).filter(|(digest, _)| trained.contains(*digest));
        if let Some((_, first)) = shared().next() {
            observer.event(&Event::Warning(&format!(
                "{} of {} {} samples are training samples too, with the same images and turns; the first is {}: what is learnt \
                 by heart counts as if it were understood",
                shared().count(),
                samples.len(),
                PARTS[part].0,
                first.origin
            )));
        }
    }
    let (samples, digests) = parts[1];
    let different = digests.samples.iter().collect::<HashSet<_>>().len();
    if different < samples.len() {
        observer.event(&Event::Warning(&format!(
            "{} of {} validation samples are copies of others, with the same images and turns; standard errors of validation \
             losses count each for itself, and are too small",
            samples.len() - different,
            samples.len()
        )));
    }
    Ok(())
}

/// Whether two parts are the same samples in the same order; parts without samples are not.
fn are_equal((samples, digests): Contents<'_>, (_, others): Contents<'_>) -> bool {
    !samples.is_empty() && digests.samples == others.samples
}

/// Refuses a part that is the training data: the fault of the settings where both are from one file, otherwise that of the files.
/// What is not `given` is a part of the data set by its name: what is split off has no sample of the training data.
fn refuse_training(parts: [Contents<'_>; 3], part: usize, given: bool) -> Result<(), Error> {
    let ((trained, _), (samples, _)) = (parts[0], parts[part]);
    let (Some(first), Some(other), true) =
        (trained.first(), samples.first(), are_equal(parts[0], parts[part]))
    else {
        return Ok(());
    };
    let ((name, key), (other_name, other_key)) = (PARTS[0], PARTS[part]);
    let (file, other_file): (&Path, &Path) = (&first.origin.file, &other.origin.file);
    let remedy = if given {
        format!(
            "give other samples with {other_key}, or leave {other_key} empty: then they are a split or part of the training data"
        )
    } else {
        format!(
            "{other_key} is empty, so that the {other_name} split of the data set is taken: give other samples with {other_key}"
        )
    };
    let (count, path) = (samples.len(), file.display());
    Err(if given && file == other_file {
        Error::usage(format!(
            "{key} and {other_key} are the same {count} samples of {path}, but {name} and {other_name} need different ones; {remedy}"
        ))
    } else {
        Error::input(format!(
            "{path} ({key}) and {} ({other_key}) hold the same {count} samples, but {name} and {other_name} need different ones; \
             {remedy}",
            other_file.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{ErrorKind, event::Silent};
    use mars_vlm::data::{Origin, Role, Turn, Unit};

    /// File and digests of each part.
    type Parts<'a> = [(&'a str, &'a [u8]); 3];

    /// Samples of a file, one for each digest.
    fn part(file: &str, contents: &[u8]) -> (Vec<Sample>, Fingerprints) {
        let sample = |(index, content): (usize, &u8)| Sample {
            id: index.to_string(),
            turns: vec![Turn::text(Role::Assistant, content.to_string())],
            images: Vec::new(),
            origin: Origin { file: Path::new(file).into(), unit: Unit::Line, line: index + 1, index },
        };
        let samples = contents.iter().enumerate().map(sample).collect();
        let digests = contents.iter().map(|content| [*content; 16]).collect();
        (samples, Fingerprints { all: String::new(), samples: digests })
    }

    fn checked(parts: Parts<'_>, observer: &mut dyn Observer) -> Result<(), Error> {
        checked_given(parts, [true; 3], observer)
    }

    fn checked_given(parts: Parts<'_>, given: [bool; 3], observer: &mut dyn Observer) -> Result<(), Error> {
        let parts = parts.map(|(file, contents)| part(file, contents));
        let parts = [&parts[0], &parts[1], &parts[2]].map(|(samples, digests)| (&samples[..], digests));
        check(parts, given, observer)
    }

    #[derive(Default)]
    struct Warnings(Vec<String>);

    impl Observer for Warnings {
        fn event(&mut self, event: &Event<'_>) {
            if let Event::Warning(text) = event {
                self.0.push((*text).to_owned());
            }
        }
    }

    #[test]
    fn training_data_that_are_held_out_data_are_refused_by_file_and_setting() {
        let cases: [(Parts<'_>, ErrorKind, [&str; 2]); 2] = [
            ([("a", &[1, 2]), ("a", &[1, 2]), ("c", &[3])], ErrorKind::Usage, ["data.train", "data.val"]),
            (
                [("a", &[1, 2]), ("b", &[3]), ("c", &[1, 2])],
                ErrorKind::Input,
                ["a (data.train)", "c (data.test)"],
            ),
        ];
        for (parts, kind, named) in cases {
            let error = checked(parts, &mut Silent).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(named.iter().all(|name| error.to_string().contains(name)), "{error}");
        }
        // Parts that are empty are not equal.
        checked([("a", &[1]), ("b", &[]), ("c", &[])], &mut Silent).unwrap();
    }

    #[test]
    fn what_is_empty_is_not_to_be_left_empty() {
        let parts: [(&str, &[u8]); 3] = [("a", &[1, 2]), ("b", &[1, 2]), ("c", &[3])];
        let told = |given| checked_given(parts, [true, given, true], &mut Silent).unwrap_err();
        assert!(told(true).to_string().contains("or leave data.val empty"), "{}", told(true));
        let split = told(false);
        assert_eq!(split.kind(), ErrorKind::Input);
        assert!(split.to_string().ends_with("give other samples with data.val"), "{split}");
        assert!(!split.to_string().contains("leave"), "{split}");
    }

    #[test]
    fn shared_samples_and_copies_are_warned_of() {
        let mut seen = Warnings::default();
        checked([("a", &[1, 2, 3]), ("b", &[4, 4, 2, 4]), ("c", &[1, 3, 5])], &mut seen).unwrap();
        let starts = [
            "1 of 4 validation samples are training samples too, with the same images and turns; the first is b line 3 (item 2)",
            "2 of 3 test samples are training samples too, with the same images and turns; the first is c line 1 (item 0)",
            "2 of 4 validation samples are copies of others",
        ];
        assert_eq!(seen.0.len(), starts.len(), "{:?}", seen.0);
        for (warning, start) in seen.0.iter().zip(starts) {
            assert!(warning.starts_with(start), "{warning}");
        }
        let mut equal = Warnings::default();
        checked([("a", &[1]), ("b", &[2, 3]), ("b", &[2, 3])], &mut equal).unwrap();
        assert!(equal.0[0].starts_with("validation and test data are the same samples"), "{:?}", equal.0);
        let mut none = Warnings::default();
        checked([("a", &[1, 1]), ("b", &[2, 3]), ("c", &[4, 4])], &mut none).unwrap();
        assert!(none.0.is_empty(), "{:?}", none.0);
    }
}
