//! Section `[out]`.

use crate::Error;
use documented::DocumentedFields;
use mars_lora::{peft::PeftLayout, stored::regular};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct OutConfig {
    /// Directory of the campaign, its adapter and its report.
    pub dir: PathBuf,
    /// How the adapter stores unequal ranks: pattern (rank_pattern and alpha_pattern), or uniform (one rank and scale,
    /// padded with zeros, for programs that ignore the patterns: vLLM, llama.cpp).
    pub adapter_layout: PeftLayout,
}

impl OutConfig {
    /// Refuses a directory that never can be one: a file is in its place, or in that of a directory above it.
    ///
    /// # Errors
    /// An error of usage that names what is in the way; of reading when the system fails.
    pub fn check_dir(&self) -> Result<(), Error> {
        for place in self.dir.ancestors() {
            match regular::kind(place).map_err(Error::io("read", place))? {
                Some(kind) if kind.is_dir() => break,
                Some(_) => {
                    return Err(Error::usage(format!(
                        "out.dir is \"{}\", but {} is not a directory; choose another path or move it away",
                        self.dir.display(),
                        place.display()
                    )));
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Default for OutConfig {
    fn default() -> Self {
        Self { dir: PathBuf::from("mars-out"), adapter_layout: PeftLayout::default() }
    }
}
