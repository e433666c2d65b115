//! Ranks as they are given to the policy `fixed`.

use crate::{Error, Space};
use mars_laws::Ranks;
use serde::{Deserialize, Serialize};

/// Given ranks, as written: by position (`[8, 16]`) or by module name (`{ ve = 8, llm = 16 }`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FixedRanks {
    /// One rank for each module of the space, in its order; 0 leaves a module unadapted.
    Positional(Vec<usize>),
    /// Ranks by module name; modules that are not named are not adapted.
    Named(Ranks),
}

impl FixedRanks {
    /// Whether no rank is above 0.
    pub(crate) fn adapts_nothing(&self) -> bool {
        match self {
            Self::Positional(ranks) => ranks.iter().all(|rank| *rank == 0),
            Self::Named(ranks) => ranks.is_empty(),
        }
    }

    /// The ranks in `space`.
    ///
    /// # Errors
    /// [`Error::Space`] when a module is unknown, the number of ranks is not the number of modules, or
    /// no module is adapted.
    pub fn resolve(&self, space: &Space) -> Result<Ranks, Error> {
        let modules = space.modules.join(", ");
        let ranks: Ranks = match self {
            Self::Positional(ranks) if ranks.len() != space.modules.len() => {
                return Err(Error::Space {
                    why: format!(
                        "{} fixed ranks for {} modules ({modules})",
                        ranks.len(),
                        space.modules.len()
                    ),
                });
            }
            Self::Positional(ranks) => {
                space.modules.iter().map(String::as_str).zip(ranks.iter().copied()).collect()
            }
            Self::Named(ranks) => ranks.clone(),
        };
        if let Some(unknown) = ranks.modules().find(|module| !space.modules.iter().any(|m| m == module)) {
            return Err(Error::Space {
                why: format!("fixed rank for `{unknown}`, which is not one of the modules {modules}"),
            });
        }
        if ranks.is_empty() {
            return Err(Error::Space { why: "fixed ranks of 0 adapt no module".to_owned() });
        }
        Ok(ranks)
    }
}
