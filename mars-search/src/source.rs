//! Where a rank choice comes from.

use crate::Method;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where a rank choice comes from; in files as the text that it is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[non_exhaustive]
pub enum CandidateSource {
    /// `fixed`: given.
    Fixed,
    /// `grid`: a tuple of the full grid.
    Grid,
    /// `random`: drawn from the grid.
    Random,
    /// `surface`: measured for a surface through short runs, or chosen by it.
    Surface,
    /// `candidate`: a candidate rank of the only module.
    Candidate,
    /// `balanced`: balanced against a rank of the reference module.
    Balanced,
    /// `law-p`: probably best by Law-P.
    LawP,
    /// `default`: every module at the default rank.
    Default,
    /// `middle`: every module in the middle of its candidate ranks.
    Middle,
    /// `higher`: one candidate above the middle or the default.
    Higher,
    /// `lower`: two candidates below the middle or the default.
    Lower,
    /// `highest`: every module at its highest candidate rank.
    Highest,
    /// `mixed`: one module at its rank in a balanced tuple, the others in the middle.
    Mixed,
    /// `neighbour`: one candidate from the default, up or down.
    Neighbour,
    /// `adalora`, `diff-lr:10`, ...: the ranks are the budget of another method than plain LoRA.
    Method(Method),
}

impl CandidateSource {
    /// The sources of one word.
    const WORDS: [Self; 14] = [
        Self::Fixed,
        Self::Grid,
        Self::Random,
        Self::Surface,
        Self::Candidate,
        Self::Balanced,
        Self::LawP,
        Self::Default,
        Self::Middle,
        Self::Higher,
        Self::Lower,
        Self::Highest,
        Self::Mixed,
        Self::Neighbour,
    ];
}

impl fmt::Display for CandidateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Grid => "grid",
            Self::Random => "random",
            Self::Surface => "surface",
            Self::Candidate => "candidate",
            Self::Balanced => "balanced",
            Self::LawP => "law-p",
            Self::Default => "default",
            Self::Middle => "middle",
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Highest => "highest",
            Self::Mixed => "mixed",
            Self::Neighbour => "neighbour",
            Self::Method(method) => return method.fmt(f),
        })
    }
}

impl FromStr for CandidateSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = Self::WORDS.into_iter().find(|word| word.to_string() == text);
        let ratio = || text.strip_prefix("diff-lr:")?.parse().ok().map(Method::DiffLr);
        let method = || Method::named(text).or_else(ratio).map(Self::Method);
        word.or_else(method).ok_or_else(|| format!("`{text}` is no source of a rank choice"))
    }
}

impl TryFrom<String> for CandidateSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<CandidateSource> for String {
    fn from(source: CandidateSource) -> Self {
        source.to_string()
    }
}
