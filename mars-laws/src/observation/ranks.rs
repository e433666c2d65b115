//! The ranks of one LoRA configuration, one per adapted module.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// LoRA rank of each module, keyed by module name (`ve`, `llm`, ...).
///
/// A module that is absent, or has rank 0, is not adapted. Ordered by name, so that equal choices of ranks compare,
/// print and serialise equally.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, usize>")]
pub struct Ranks(BTreeMap<String, usize>);

impl From<BTreeMap<String, usize>> for Ranks {
    fn from(ranks: BTreeMap<String, usize>) -> Self {
        ranks.into_iter().collect()
    }
}

impl Ranks {
    /// No module adapted.
    pub fn new() -> Self {
        Self::default()
    }

    /// This choice with `module` at `rank`; rank 0 removes the module.
    #[must_use]
    pub fn with(mut self, module: impl Into<String>, rank: usize) -> Self {
        let module = module.into();
        if rank == 0 {
            self.0.remove(&module);
        } else {
            self.0.insert(module, rank);
        }
        self
    }

    /// The rank of `module`, 0 if it is not adapted.
    pub fn get(&self, module: &str) -> usize {
        self.0.get(module).copied().unwrap_or(0)
    }

    /// The adapted modules and their ranks, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.iter().map(|(module, rank)| (module.as_str(), *rank))
    }

    /// The adapted modules, by name.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Number of adapted modules.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no module is adapted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: Into<String>> FromIterator<(S, usize)> for Ranks {
    fn from_iter<I: IntoIterator<Item = (S, usize)>>(ranks: I) -> Self {
        ranks.into_iter().fold(Self::new(), |all, (module, rank)| all.with(module, rank))
    }
}

/// `llm=16,ve=8`
impl fmt::Display for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (module, rank)) in self.iter().enumerate() {
            write!(f, "{}{module}={rank}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
