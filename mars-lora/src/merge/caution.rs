//! What other programs do with an adapter without saying so.
//!
//! From their sources: vLLM has one scale, `lora_alpha / r`, for all modules and compares `r` with its limit;
//! llama.cpp's converter scales by `lora_alpha` over the rank of each tensor.

use super::Inspected;
use crate::peft::{PeftConfig, TargetModules};

/// vLLM's default for `max_lora_rank`.
const VLLM_RANK: usize = 16;
/// Parts of a model that programs for language models do not adapt.
const LANGUAGE: [&str; 2] = ["llm", "other"];

/// One sentence for each program and difference.
pub(super) fn cautions(config: &PeftConfig, modules: &[Inspected], naming: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    let differs = |scale: f64, from: f64| (scale - from).abs() > 1e-9 * from.abs();
    let r = config.r as f64;
    let one = config.lora_alpha / if config.use_rslora { r.sqrt() } else { r };
    let count = |other: &dyn Fn(&Inspected) -> bool| modules.iter().filter(|module| other(module)).count();
    let in_all = modules.len();

    let vllm = count(&|module| differs(module.scale, one));
    if vllm > 0 {
        all.push(format!(
            "vLLM ignores rank_pattern and alpha_pattern: {vllm} of {in_all} modules would get scale {one} instead of \
             their own; write the adapter with layout `uniform`"
        ));
    }
    if config.r > VLLM_RANK {
        all.push(format!("vLLM needs --max-lora-rank {} for this adapter (default {VLLM_RANK})", config.r));
    }
    let llama = count(&|module| differs(module.scale, config.lora_alpha / module.rank as f64));
    if llama > 0 {
        all.push(format!(
            "llama.cpp's converter scales by lora_alpha over the rank of each tensor: {llama} of {in_all} modules would \
             get another scale; write the adapter with layout `uniform`"
        ));
    }
    if config.use_dora {
        all.push(
            "vLLM refuses DoRA and llama.cpp drops its magnitudes; merge the adapter for them".to_string(),
        );
    }
    let elsewhere = count(&|module| !LANGUAGE.contains(&module.module.as_str()));
    if elsewhere > 0 {
        all.push(format!(
            "{elsewhere} of {in_all} modules are outside of the language model: vLLM drops them unless it runs with \
             --enable-tower-connector-lora and supports that for the model; llama.cpp cannot apply them"
        ));
    }
    if let Some(naming) = naming {
        all.push(format!(
            "the tensors are named as in {naming}; other versions of transformers load only a part of them, \
             without an error. `mars` reads all of them"
        ));
    }
    if let TargetModules::Suffixes(names) = &config.target_modules
        && names.iter().any(|name| modules.iter().any(|module| module.path == *name))
    {
        all.push(
            "target_modules lists full paths, which differ between versions of transformers: another version drops \
             tensors without an error"
                .to_string(),
        );
    }
    all
}
