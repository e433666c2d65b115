//! Recipes that make what `assets/` holds: `cargo run --release -p xtask -- digits`, then `-- pretrain`.

use std::path::Path;

use anyhow::{Result, bail};
use xtask::digits;

fn main() -> Result<()> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    match std::env::args().nth(1).as_deref() {
        Some("digits") => digits::write(&assets),
        #[cfg(feature = "pretrain")]
        Some("pretrain") => xtask::pretrain::run(&assets, &xtask::pretrain::Recipe::default()),
        _ => bail!("usage: xtask digits | pretrain"),
    }
}
