//! Samples that were left out of a data set because they cannot be used.

use mars_vlm::data::Problem;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::Path};

/// Messages that are kept.
const SHOWN: usize = 20;

/// Samples that were left out of one data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// What the data set is used as: `train`, `val`, `test` or `data`.
    pub part: String,
    /// The data file.
    pub file: String,
    /// Samples in the file.
    pub samples: usize,
    /// Of them, those that were left out.
    pub left_out: usize,
    /// Their number by reason, as [`mars_vlm::data::ProblemKind::title`] words it.
    pub reasons: BTreeMap<String, usize>,
    /// What is wrong with the first 20, by file, line and id.
    pub first: Vec<String>,
    /// Digest of which samples were left out, and why; 16 hexadecimal digits (64 bits of BLAKE3).
    pub digest: String,
}

impl LeftOut {
    /// What `problems` say of `samples` samples; `None` if nothing was left out.
    pub(crate) fn new(part: &str, file: &Path, samples: usize, problems: &[Problem]) -> Option<Self> {
        if problems.is_empty() {
            return None;
        }
        let mut reasons = BTreeMap::new();
        let mut digest = blake3::Hasher::new();
        for problem in problems {
            *reasons.entry(problem.kind.title().to_owned()).or_insert(0) += 1;
            digest
                .update(&(problem.index as u64).to_le_bytes())
                .update(problem.kind.title().as_bytes())
                .update(&[0]);
        }
        Some(Self {
            part: part.to_owned(),
            file: file.display().to_string(),
            samples,
            left_out: problems.len(),
            reasons,
            first: problems.iter().take(SHOWN).map(ToString::to_string).collect(),
            digest: digest.finalize().to_hex()[..16].to_owned(),
        })
    }

    /// Digests by what they are of, for a campaign to notice that other samples are left out.
    pub(crate) fn fingerprints(all: &[Self]) -> impl Iterator<Item = (String, String)> + '_ {
        all.iter().map(|one| (format!("samples left out of {}", one.part), one.digest.clone()))
    }
}

/// `3 of 100 samples are left out (2 image missing, 1 too long), the first: ...`
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
        write!(f, "{} of {} samples are left out ({})", self.left_out, self.samples, reasons.join(", "))?;
        self.first.first().map_or(Ok(()), |first| write!(f, ", the first: {first}"))
    }
}
