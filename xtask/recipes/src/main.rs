//! The recipes from the command line; `cargo xtask digits`, `pretrain`, `suite DIR`, `pictures DATA DIR` and
//! `pretrain-pictures DATA DIR` call it.

use std::path::Path;

use anyhow::{Result, bail};
use mars_recipes::{digits, pictures};

fn main() -> Result<()> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["digits"] => digits::write(&assets),
        #[cfg(feature = "pretrain")]
        ["pretrain"] => mars_recipes::pretrain::run(&assets, &mars_recipes::pretrain::Recipe::default()),
        ["suite", place] => digits::write_suite(Path::new(place)),
        ["pictures", data, place] => pictures::task::write(Path::new(data), Path::new(place)),
        #[cfg(feature = "pretrain")]
        ["pretrain-pictures", data, place] => {
            let model = Path::new(place).join("model");
            pictures::model::write(Path::new(data), &model, &pictures::model::recipe())
        }
        _ => bail!(
            "usage: mars-recipes digits | pretrain | suite DIR | pictures DATA DIR | pretrain-pictures DATA DIR"
        ),
    }
}
