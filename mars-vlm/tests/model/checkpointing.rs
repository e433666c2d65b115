//! Gradient checkpointing finds the losses and gradients of the pass that keeps everything.

use crate::kit::{CASES, Samples, fixture, gaps, has_layers, pass, stack};
use burn::tensor::Device;
use mars_lora::{Model, Targets};
use mars_vlm::model::{AnyModel, VlmBatch};
use std::sync::Arc;

const ALL: [&str; 3] = ["ve", "projector", "llm"];

fn check(case: &str, modules: &[&str], targets: &Targets, dropout: f64) {
    let dir = fixture(case);
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let batch = Samples::read(&dir).batch(2);
    let stack = stack(&model, modules, targets, dropout);
    assert!(model.chain(&batch, &stack).is_some());
    let (plain, again) = (pass(&model, &batch, &stack, false), pass(&model, &batch, &stack, true));
    assert_eq!(plain.tokens, again.tokens);
    let (loss, gradient) = gaps(&plain, &again);
    assert!(loss <= 1e-6 && gradient <= 1e-6, "{case} {modules:?}: losses {loss:e}, gradients {gradient:e}");
}

#[test]
fn every_family_with_adapters_everywhere() {
    for case in CASES {
        check(case, &ALL, &Targets::all_linear(), 0.0);
    }
}

#[test]
fn every_family_with_one_module_adapted() {
    for case in CASES {
        for module in ALL.into_iter().filter(|module| has_layers(case, module)) {
            check(case, &[module], &Targets::all_linear(), 0.0);
        }
    }
}

#[test]
fn adapters_on_embeddings_patches_and_single_blocks() {
    for case in CASES {
        for targets in [
            ".*",
            ".*embed_tokens",
            r".*(layers|blocks)\.1\..*",
            r".*(language_model|text_model)\.layers\.1\.mlp\.down_proj",
        ] {
            check(case, &ALL, &Targets::matching(targets).unwrap(), 0.0);
        }
    }
    check("idefics3/gqa_split", &["ve"], &Targets::matching(".*patch_embedding").unwrap(), 0.0);
}

#[test]
fn dropout_drops_the_same_inputs_twice() {
    for case in [
        "idefics3/gqa_split",
        "llava_onevision/gqa_tied",
        "qwen2_vl/windows_tied",
        "qwen3_vl/three_deep",
        "gemma3/all_local",
    ] {
        check(case, &ALL, &Targets::all_linear(), 0.3);
    }
}

#[test]
fn samples_without_images() {
    for case in ["qwen2_vl/windows_tied", "gemma3/grouped_local"] {
        check_text(case);
    }
}

fn check_text(case: &str) {
    let dir = fixture(case);
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let samples = Samples::read(&dir);
    let text: Vec<_> = samples.sequences.iter().filter(|s| s.pixels.is_none()).cloned().collect();
    assert!(!text.is_empty(), "the fixture has no such sample");
    let image = u32::MAX;
    let batch = VlmBatch::new(&[text.clone(), text.iter().map(Arc::clone).collect()], image, &Device::flex());
    let batch = batch.unwrap();
    for modules in [&["llm"][..], &ALL] {
        let stack = stack(&model, modules, &Targets::all_linear(), 0.0);
        let (loss, gradient) =
            gaps(&pass(&model, &batch, &stack, false), &pass(&model, &batch, &stack, true));
        assert!(loss <= 1e-6 && gradient <= 1e-6, "losses {loss:e}, gradients {gradient:e}");
    }
}
