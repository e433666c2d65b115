//! The recipes from the command line; `cargo xtask digits`, `pretrain` and `suite DIR` call it.

use std::path::Path;

use anyhow::{Result, bail};
use mars_recipes::digits;

fn main() -> Result<()> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    match std::env::args().nth(1).as_deref() {
        Some("digits") => digits::write(&assets),
        #[cfg(feature = "pretrain")]
        Some("pretrain") => mars_recipes::pretrain::run(&assets, &mars_recipes::pretrain::Recipe::default()),
        Some("suite") => match std::env::args().nth(2) {
            Some(place) => digits::write_suite(Path::new(&place)),
            None => bail!("usage: mars-recipes suite DIR"),
        },
        _ => bail!("usage: mars-recipes digits | pretrain | suite DIR"),
    }
}
