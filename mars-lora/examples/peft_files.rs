//! A PEFT directory written and read back, without burn: `cargo run -p mars-lora --example peft_files`.
#![allow(clippy::print_stdout)]

use mars_lora::peft::{Base, PeftLayout, Provenance, read, write};
use mars_lora::{AdaptedModule, Adapter, AdapterConfig, Error, Factors, ScaleConvention, Site};

fn main() -> Result<(), Error> {
    // The base model by its names: one adapted module with two linear layers of 16 inputs and 8 outputs.
    let modules = [AdaptedModule { name: "llm".into(), pattern: r"model\.layers\..*".into() }];
    let paths = ["model.layers.0.q_proj", "model.layers.1.q_proj"];
    let sites = paths.map(|path| Site::linear(path, "llm", 16, 8));
    let base = Base::new(&modules, &sites);

    // Ranks 4 and 2, with the scale 16 / sqrt(rank) of rsLoRA.
    let mut config = AdapterConfig::new([("llm", 4)], 0);
    config.scale = ScaleConvention::AlphaOverSqrtRank { alpha: 16.0 };
    config.layer_ranks.insert(paths[1].into(), 2);
    let factors = paths.iter().zip([4, 2]).map(|(path, rank)| Factors {
        path: (*path).into(),
        rank,
        inputs: 16,
        outputs: 8,
        a: vec![0.5; rank * 16],
        b: vec![0.25; 8 * rank],
        magnitude: None,
    });
    let adapter = Adapter { config, factors: factors.collect(), offset: Vec::new() };

    let directory = std::env::temp_dir().join(format!("mars-lora-example-{}", std::process::id()));
    let provenance = Provenance { base_model: "owner/name".into(), ..Provenance::default() };
    write(&directory, &adapter, &base, PeftLayout::Pattern, &provenance)?;
    let back = read(&directory, &base)?;
    assert_eq!(back.factors, adapter.factors);
    for own in &back.factors {
        println!("{}: rank {}, scale {}", own.path, own.rank, back.config.site_scale(&own.path, own.rank));
    }
    std::fs::remove_dir_all(&directory).map_err(|source| Error::Io { path: directory, source })
}
