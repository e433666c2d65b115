//! What a model computes for an adapter of a stack is what it computes for it alone, to the bit.

use crate::kit::{CASES, Samples, fixture, has_layers};
use burn::tensor::Device;
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Model, Parts, Share, Targets};
use mars_vlm::model::AnyModel;

const ALL: [&str; 3] = ["ve", "projector", "llm"];

/// An adapter that changes what the model computes.
fn adapter(model: &AnyModel, modules: &[&str], targets: &Targets, k: usize, ranks: [usize; 3]) -> Adapter {
    let ranks = modules.iter().copied().zip(ranks);
    let config = AdapterConfig { targets: targets.clone(), ..AdapterConfig::new(ranks, k as u64) };
    let mut adapter = Adapter::fresh(config, model).unwrap();
    let mut state = 0x9E37_79B9_u32.wrapping_add(k as u32);
    for b in adapter.factors.iter_mut().flat_map(|factors| &mut factors.b) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *b = (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32 * 0.4;
    }
    adapter
}

/// Losses and bits of the gradients of each adapter, in training and in evaluation.
fn found(
    model: &AnyModel,
    samples: &Samples,
    parts: &Parts,
    adapters: &[Adapter],
    rows: &[Vec<usize>],
) -> Vec<(f64, Vec<u32>, Vec<u32>)> {
    let stack = AdapterStack::new(adapters, model).unwrap();
    let shares = parts.shares(rows).into_iter();
    let batches = shares.map(|Share { adapters, rows }| (adapters, samples.of(&rows))).collect();
    let pass = parts.pass(model, batches, &stack, None).unwrap();
    let bits = |v: &f32| if *v == 0.0 { 0 } else { v.to_bits() };
    let gradients = stack
        .unpad(&pass.gradients)
        .into_iter()
        .map(|own| own.iter().flat_map(|f| f.a.iter().chain(&f.b)).map(bits).collect::<Vec<u32>>());
    // In evaluation every adapter has the same samples.
    let scored = model.forward(&samples.of(&vec![rows[0].clone(); adapters.len()]), &stack, true).losses;
    let width = scored.dims()[1];
    let scored: Vec<u32> = scored.into_data().iter::<f32>().map(|v| bits(&v)).collect();
    let scored = scored.chunks(width).map(<[u32]>::to_vec);
    pass.losses.into_iter().zip(gradients).zip(scored).map(|((loss, g), s)| (loss, g, s)).collect()
}

fn check(case: &str, modules: &[&str], targets: &Targets, recompute: bool) {
    let dir = fixture(case);
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let samples = Samples::read(&dir);
    let ranks = [[2, 2, 2], [3, 2, 4], [3, 2, 4], [1, 3, 8]];
    let adapters: Vec<Adapter> =
        ranks.iter().enumerate().map(|(k, ranks)| adapter(&model, modules, targets, k, *ranks)).collect();
    // The first two see the same samples, the others others: longer ones, more images, other answers.
    let count = samples.sequences.len();
    let rows: Vec<Vec<usize>> =
        [0, 0, 1, 2].iter().map(|from| (0..3).map(|i| (from + i) % count).collect()).collect();
    let parts = |count: usize| Parts::new(count).unwrap().recomputing(recompute);
    let pick = |members: &[usize], parts: &Parts| {
        let own: Vec<Adapter> = members.iter().map(|k| adapters[*k].clone()).collect();
        let rows: Vec<Vec<usize>> = members.iter().map(|k| rows[*k].clone()).collect();
        found(&model, &samples, parts, &own, &rows)
    };
    let alone: Vec<_> = (0..4).map(|k| pick(&[k], &parts(1)).swap_remove(0)).collect();
    for count in [1, 2, 3] {
        for members in [&[0, 1][..], &[2, 1], &[0, 1, 2], &[3, 1, 2, 0]] {
            let together = pick(members, &parts(count));
            for (place, k) in members.iter().enumerate() {
                let what = format!("{case} {modules:?}: adapter {k} of {members:?} in {count} parts");
                assert_eq!(together[place].0, alone[*k].0, "loss of {what}");
                assert!(together[place].1 == alone[*k].1, "gradients of {what}");
                if members[0] == *k {
                    assert!(together[place].2 == alone[*k].2, "evaluation of {what}");
                }
            }
        }
    }
    assert!(alone.iter().all(|(loss, gradient, _)| *loss > 0.1 && gradient.len() > 8));
}

#[test]
fn every_family_with_adapters_everywhere() {
    for case in [
        "idefics3/mha_tied",
        "llava/clip_full",
        "llava_onevision/gqa_tied",
        "qwen2_vl/older_tied",
        "qwen3_vl/tied_grouped",
        "internvl/qwen3_untied",
        "gemma3/longer_than_window",
    ] {
        check(case, &ALL, &Targets::all_linear(), false);
    }
}

#[test]
fn every_form_with_one_module_adapted_and_with_blocks_computed_twice() {
    for (case, module) in CASES.iter().copied().zip(ALL.into_iter().cycle()) {
        let module = if has_layers(case, module) { module } else { "ve" };
        check(case, &[module], &Targets::all_linear(), module == "llm");
    }
}

#[test]
fn adapters_on_embeddings_patches_and_some_layers() {
    for (case, targets) in [
        ("idefics3/gqa_split", ".*"),
        ("llava/clip_full", ".*"),
        ("llava_onevision/mqa_layer", r".*(q_proj|v_proj|qkv|up_proj)"),
        ("qwen2_vl/windows_tied", r".*(layers|blocks)\.1\..*"),
        ("qwen2_vl/mha_untied", ".*"),
        ("qwen3_vl/three_deep", ".*"),
        ("internvl/stretched", ".*"),
        ("internvl/qwen2_tied", r".*(layer|layers)\.1\..*"),
        ("gemma3/grouped_local", ".*"),
        ("gemma3/all_local", r".*(q_proj|out_proj|up_proj)"),
        ("qwen3_vl/untied_mha", r".*(layers|blocks|deepstack_merger_list)\.0\..*"),
    ] {
        check(case, &ALL, &Targets::matching(targets).unwrap(), false);
    }
}
