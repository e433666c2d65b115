//! Recipes that create the contents of `assets/` and the tasks on which policies are compared; the binary runs them.

pub mod archive;
pub mod digits;
pub mod idefics3;
pub mod normal;
pub mod pictures;
#[cfg(feature = "pretrain")]
pub mod pretrain;
pub mod stream;

use std::path::Path;

use anyhow::{Context, Result};

fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    std::fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}
