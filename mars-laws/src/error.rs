//! The errors of this crate: each names the value at fault, what was expected, and what to change in the data.

/// Every error of `mars-laws`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer observations than the law has parameters.
    #[error(
        "{law}: {found} observation(s) for {needed} parameters; measure at least {needed} \
         different (rank, size) points or choose a form with fewer parameters"
    )]
    TooFewObservations {
        /// The law that was to be fitted.
        law: String,
        /// Least number of observations.
        needed: usize,
        /// Number of observations given.
        found: usize,
    },
    /// An observation holds a value that no law can use: not finite, zero or negative.
    #[error("observation {index}: {field} is {value}, but must be {allowed}; correct or drop it")]
    BadObservation {
        /// Position in the slice given, from 0.
        index: usize,
        /// The field at fault.
        field: String,
        /// Its value.
        value: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// Observations measured under different conventions were given to one fit.
    #[error(
        "observation {index} was measured under convention `{other}`, the ones before under `{first}`; \
         times and losses of different LoRA scales, learning rates or targets are not comparable: fit each \
         convention by itself"
    )]
    MixedConventions {
        /// Convention of the first observation.
        first: String,
        /// The one that differs.
        other: String,
        /// Position of the one that differs, from 0.
        index: usize,
    },
    /// Observations of different modules were given to the fit of one module.
    #[error(
        "observation {index} is of module `{other}`, the ones before of `{first}`; fit each module by itself"
    )]
    MixedModules {
        /// Module of the first observation.
        first: String,
        /// The one that differs.
        other: String,
        /// Position of the one that differs, from 0.
        index: usize,
    },
    /// A module that is adapted in some observations is missing from one.
    #[error(
        "observation {index} has no rank for module `{module}`, which other observations adapt; \
         Law-P needs a rank >= 1 of every module in every observation"
    )]
    MissingRank {
        /// Position in the slice given, from 0.
        index: usize,
        /// The module without a rank.
        module: String,
    },
    /// An option is out of its range.
    #[error("option `{name}` is {value}, but must be {allowed}")]
    BadOption {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        value: String,
        /// The values that are allowed.
        allowed: &'static str,
    },
    /// No start of the search led to finite parameters.
    #[error("{law}: none of {starts} start(s) led to finite parameters; check the data or give other starts")]
    NoFit {
        /// The law that was to be fitted.
        law: String,
        /// Number of starts tried.
        starts: usize,
    },
    /// The curves of a module determine no Law-C.
    #[error("law-c of {module}: none, {why}")]
    NoRegistration {
        /// The module.
        module: String,
        /// Why, as a sentence.
        why: String,
    },
    /// A CSV table could not be read.
    #[error("line {line}, column {column}: {message}")]
    Csv {
        /// Line in the file, from 1.
        line: u64,
        /// Column (field) in the line, from 1.
        column: usize,
        /// What was found there and what was expected.
        message: String,
    },
}

/// A number of samples at which to predict is at least 1.
pub(crate) fn check_samples(name: &'static str, samples: usize) -> Result<(), Error> {
    if samples > 0 {
        return Ok(());
    }
    Err(Error::BadOption { name, value: "0".into(), allowed: "1 or more samples" })
}

impl Error {
    /// Why the observations do not determine a law, without its name; `None` for an error that is about anything else.
    pub(crate) fn undetermined(&self) -> Option<String> {
        match self {
            Self::NoRegistration { why, .. } => Some(why.clone()),
            Self::TooFewObservations { law, .. } | Self::NoFit { law, .. } => {
                let text = self.to_string();
                Some(text.strip_prefix(&format!("{law}: ")).unwrap_or(&text).to_owned())
            }
            _ => None,
        }
    }

    /// The same error in terms of all observations, when it arose among those of `module`: `positions[i]` is the
    /// position, in the slice the caller gave, of the module's i-th observation.
    pub(crate) fn among(mut self, module: &str, positions: &[usize]) -> Self {
        match &mut self {
            Self::TooFewObservations { law, .. } | Self::NoFit { law, .. } => {
                law.push_str(&format!(" of {module}"))
            }
            Self::BadObservation { index, .. } | Self::MixedConventions { index, .. } => {
                *index = positions.get(*index).copied().unwrap_or(*index);
            }
            _ => {}
        }
        self
    }
}
