//! Which steps are wanted.

use super::steps::STEPS;
use crate::command::Failure;

/// The arguments of `cargo xtask check`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Print the steps instead of running them.
    pub(crate) list: bool,
    only: Vec<String>,
    skip: Vec<String>,
}

impl Options {
    /// # Errors
    /// When an argument or a step is unknown, or a step is missing.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (key, value) = match argument.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let steps = match (key, value) {
                ("--list", None) => {
                    options.list = true;
                    continue;
                }
                ("--only" | "--skip", value) => value.or_else(|| arguments.next().cloned()),
                _ => {
                    return Err(format!("unknown argument {argument:?}; see --list, --only, --skip").into());
                }
            };
            let steps = steps.ok_or_else(|| format!("{key} needs the name of a step; {}", known()))?;
            let chosen = if key == "--only" { &mut options.only } else { &mut options.skip };
            for step in steps.split(',') {
                if !STEPS.iter().any(|known| known.name == step) {
                    return Err(format!("there is no step {step:?}; {}", known()).into());
                }
                chosen.push(step.to_owned());
            }
        }
        Ok(options)
    }

    /// Whether a step is to be run.
    pub(crate) fn includes(&self, step: &str) -> bool {
        let named = |steps: &[String]| steps.iter().any(|name| name == step);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

fn known() -> String {
    let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
    format!("steps: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Options::parse(&arguments).map_err(|failure| failure.to_string())
    }

    fn included(text: &str) -> Vec<&'static str> {
        let options = parse(text).unwrap();
        STEPS.iter().map(|step| step.name).filter(|name| options.includes(name)).collect()
    }

    #[test]
    fn steps_are_chosen_and_left_out() {
        assert_eq!(included("").len(), STEPS.len());
        assert_eq!(included("--only format,lints"), ["format", "lints"]);
        assert_eq!(included("--only format --only=lints --skip lints"), ["format"]);
        assert!(!included("--skip tests").contains(&"tests"));
        assert!(parse("--list").unwrap().list);
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_names_that_are_known() {
        assert!(parse("--only lint").unwrap_err().contains("no step \"lint\"; steps: format, "));
        assert!(parse("--only").unwrap_err().contains("needs the name of a step"));
        assert!(parse("--fast").unwrap_err().contains("see --list, --only, --skip"));
        assert!(parse("--list=yes").is_err());
    }

    #[test]
    fn names_of_steps_are_unique() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}
