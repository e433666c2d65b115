//! Recipes that make what `assets/` holds: `cargo run --release -p xtask -- digits`, then `-- pretrain`;
//! and the tasks that policies are compared on: `-- suite DIR`.

use std::path::Path;

use anyhow::{Result, bail};
use xtask::digits;

fn main() -> Result<()> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    match std::env::args().nth(1).as_deref() {
        Some("digits") => digits::write(&assets),
        #[cfg(feature = "pretrain")]
        Some("pretrain") => xtask::pretrain::run(&assets, &xtask::pretrain::Recipe::default()),
        Some("suite") => match std::env::args().nth(2) {
            Some(place) => digits::write_suite(Path::new(&place)),
            None => bail!("usage: xtask suite DIR"),
        },
        _ => bail!("usage: xtask digits | pretrain | suite DIR"),
    }
}
