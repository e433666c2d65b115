//! Recipes that make what `assets/` holds: `cargo run --release -p xtask -- digits`.

use std::path::Path;

use anyhow::{Result, bail};
use xtask::digits;

fn main() -> Result<()> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    match std::env::args().nth(1).as_deref() {
        Some("digits") => digits::write(&assets),
        _ => bail!("usage: xtask digits"),
    }
}
