//! A command line with placeholders, split into arguments without a shell.
//!
//! Blanks separate arguments. `'...'` is taken literally; in `"..."` and outside quotes a backslash takes
//! the next character literally. Placeholders are filled in after splitting, so a value never splits an
//! argument. `{{` and `}}` are a literal brace. There is no expansion of `$`, `*`, `~` and no piping:
//! who needs a shell says `sh -c '...'`.

use crate::{Error, RunSpec};
use std::path::Path;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Vec<Segment>>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    Value(Placeholder),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Placeholder {
    Rank(String),
    Alpha(String),
    LearningRate(String),
    Samples,
    Seed,
    Batch,
    Steps,
    Horizon,
    EvalEvery,
    Warmup,
    DecayFraction,
    Validation,
    Id,
    Out,
    Continues,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`Error::Template`] for an open quote or brace, an unknown placeholder, or an empty command.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::of_arguments(&split(text)?)
    }

    /// A template whose arguments are split already.
    ///
    /// # Errors
    /// [`Error::Template`] for an open brace, an unknown placeholder, or no arguments.
    pub fn of_arguments(arguments: &[String]) -> Result<Self, Error> {
        if arguments.is_empty() {
            return Err(template("it is empty; it must name a command"));
        }
        arguments.iter().map(|argument| segments(argument)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the text differs from run to run: it holds the output directory or the id.
    pub(super) fn names_the_run(&self) -> bool {
        let own = |segment: &Segment| matches!(segment, Segment::Value(Placeholder::Out | Placeholder::Id));
        self.0.iter().flatten().any(own)
    }

    /// Whether it has the placeholder of this name, as in `lr.llm`.
    pub(super) fn has(&self, name: &str) -> bool {
        let wanted = Placeholder::parse(name);
        let is_it =
            |segment: &Segment| matches!(segment, Segment::Value(one) if Some(one) == wanted.as_ref());
        self.0.iter().flatten().any(is_it)
    }

    /// The placeholders that name a module, as they are written, with the module.
    pub(super) fn modules(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().flatten().filter_map(|segment| match segment {
            Segment::Value(Placeholder::Rank(module)) => Some((format!("{{r.{module}}}"), module.as_str())),
            Segment::Value(Placeholder::Alpha(module)) => {
                Some((format!("{{alpha.{module}}}"), module.as_str()))
            }
            Segment::Value(Placeholder::LearningRate(module)) => {
                Some((format!("{{lr.{module}}}"), module.as_str()))
            }
            _ => None,
        })
    }

    /// Whether it tells the command which run to continue.
    pub(super) fn continues(&self) -> bool {
        self.0.iter().flatten().any(|segment| matches!(segment, Segment::Value(Placeholder::Continues)))
    }

    /// The arguments for one run, the program first.
    pub fn arguments(&self, spec: &RunSpec, out: &Path) -> Vec<String> {
        let fill = |segment: &Segment| match segment {
            Segment::Text(text) => text.clone(),
            Segment::Value(placeholder) => placeholder.value(spec, out),
        };
        self.0.iter().map(|argument| argument.iter().map(fill).collect()).collect()
    }
}

impl Placeholder {
    fn parse(name: &str) -> Option<Self> {
        let module = |module: &str| (!module.is_empty()).then(|| module.to_owned());
        Some(match name {
            "samples" => Self::Samples,
            "seed" => Self::Seed,
            "batch" => Self::Batch,
            "steps" => Self::Steps,
            "horizon" => Self::Horizon,
            "eval_every" => Self::EvalEvery,
            "warmup" => Self::Warmup,
            "decay_fraction" => Self::DecayFraction,
            "validation" => Self::Validation,
            "id" => Self::Id,
            "out" => Self::Out,
            "continues" => Self::Continues,
            _ => match name.split_once('.')? {
                ("r", name) => Self::Rank(module(name)?),
                ("alpha", name) => Self::Alpha(module(name)?),
                ("lr", name) => Self::LearningRate(module(name)?),
                _ => return None,
            },
        })
    }

    fn value(&self, spec: &RunSpec, out: &Path) -> String {
        match self {
            Self::Rank(module) => spec.ranks.get(module).to_string(),
            Self::Alpha(module) => {
                let rank = spec.ranks.get(module);
                (spec.scale.scale(rank) * rank as f64).to_string()
            }
            Self::LearningRate(module) => spec.learning_rates.get(module).copied().unwrap_or(0.0).to_string(),
            Self::Samples => spec.samples.to_string(),
            Self::Seed => spec.seed.to_string(),
            Self::Batch => spec.batch.to_string(),
            Self::Steps => spec.steps.to_string(),
            Self::Horizon => spec.horizon.to_string(),
            Self::EvalEvery => spec.eval_every.to_string(),
            Self::Warmup => spec.optim.warmup.to_string(),
            Self::DecayFraction => spec.optim.decay_fraction.to_string(),
            Self::Validation => spec.validation.unwrap_or(0).to_string(),
            Self::Id => spec.id().to_string(),
            Self::Out => out.display().to_string(),
            Self::Continues => {
                let earlier = spec.continues.as_ref().map(|id| out.with_file_name(id.as_str()));
                earlier.map_or(String::new(), |earlier| earlier.display().to_string())
            }
        }
    }
}

fn template(why: impl Into<String>) -> Error {
    Error::Template { why: why.into() }
}

/// Splits at blanks, honouring quotes.
fn split(text: &str) -> Result<Vec<String>, Error> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => current.get_or_insert_default().push(c),
            (_, '\\') => {
                let next =
                    characters.next().ok_or_else(|| template("a backslash at its end escapes nothing"))?;
                current.get_or_insert_default().push(next);
            }
            (None, '\'' | '"') => {
                current.get_or_insert_default();
                quote = Some(c);
            }
            (None, c) if c.is_whitespace() => arguments.extend(current.take()),
            (_, c) => current.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(template(format!("the quote {open} is never closed")));
    }
    arguments.extend(current);
    Ok(arguments)
}

/// Finds the placeholders of one argument.
fn segments(argument: &str) -> Result<Vec<Segment>, Error> {
    let mut segments = Vec::new();
    let mut text = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        text += &rest[..at];
        let doubled = &rest[at..];
        if doubled.starts_with("{{") || doubled.starts_with("}}") {
            text += &doubled[..1];
            rest = &doubled[2..];
        } else if let Some(open) = doubled.strip_prefix('{') {
            let (name, after) =
                open.split_once('}').ok_or_else(|| template(format!("`{{{open}` has no closing brace")))?;
            let placeholder = Placeholder::parse(name).ok_or_else(|| {
                template(format!(
                    "`{{{name}}}` is no placeholder; there are {{r.MODULE}}, {{alpha.MODULE}}, {{lr.MODULE}}, \
                     {{samples}}, {{seed}}, {{batch}}, {{steps}}, {{horizon}}, {{eval_every}}, {{warmup}}, \
                     {{decay_fraction}}, {{validation}}, {{id}}, {{out}} and {{continues}}"
                ))
            })?;
            if !text.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut text)));
            }
            segments.push(Segment::Value(placeholder));
            rest = after;
        } else {
            return Err(template(format!(
                "`{argument}` has a closing brace without an opening one; write }}}}"
            )));
        }
    }
    text += rest;
    if !text.is_empty() {
        segments.push(Segment::Text(text));
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quoting_follows_the_documented_rules() {
        let cases: [(&str, &[&str]); 6] = [
            ("a  b\tc\n", &["a", "b", "c"]),
            (r"a\ b c\\d", &["a b", r"c\d"]),
            (r#"'a "b\' "c 'd\" e""#, &[r#"a "b\"#, r#"c 'd" e"#]),
            (r#"x'y z'"w"  '' "#, &["xy zw", ""]),
            ("--p=$HOME *", &["--p=$HOME", "*"]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn broken_templates_say_what_is_wrong() {
        for (text, part) in [
            ("", "empty"),
            ("  ", "empty"),
            ("run 'a", "never closed"),
            ("run a\\", "backslash"),
            ("run {samples", "closing brace"),
            ("run samples}", "opening"),
            ("run {rank.ve}", "{rank.ve}"),
            ("run {r.}", "{r.}"),
        ] {
            let error = Template::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
