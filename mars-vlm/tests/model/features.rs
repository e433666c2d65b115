//! Features of images that are kept are those that are computed, to the bit on the CPU.

use crate::kit::{CASES, Samples, fixture, gaps, pass, stack};
use burn::tensor::Device;
use mars_lora::{Activations, AdapterConfig, AdapterStack, Model, Pass, Targets};
use mars_testkit::device::device;
use mars_vlm::chat::SpecialTokens;
use mars_vlm::model::{AnyModel, LlavaOnevision, Sequence, VISION_ENCODER, VlmBatch};
use mars_vlm::processor::{
    EncodedText, Grid, ImageLayout, ImageProcessor, ImageShape, Pixels, qwen2_vl::Qwen2VlImages,
};
use std::sync::Arc;

fn same(what: &str, found: &Pass, expected: &Pass) {
    let (loss, gradient) = gaps(found, expected);
    let most = if device() == Device::flex() { 0.0 } else { 1e-6 };
    assert!(loss <= most && gradient <= most, "{what}: losses differ by {loss:e}, gradients by {gradient:e}");
}

/// One of each kind of vision encoder.
const FOUR: [&str; 4] =
    ["idefics3/gqa_split", "llava/clip_full", "qwen2_vl/windows_tied", "qwen3_vl/three_deep"];

/// The samples of a case, its model, and the same that keeps all features.
fn plain_and_keeping(case: &str) -> (Samples, AnyModel, AnyModel) {
    let dir = fixture(case);
    let model = || AnyModel::from_dir(&dir, &device()).unwrap();
    let (plain, mut keeping) = (model(), model());
    keeping.keep_features(1 << 30);
    (Samples::read(&dir), plain, keeping)
}

/// Batches that see images anew, again, in another order and together with unknown ones.
fn rows(samples: usize) -> Vec<Vec<Vec<usize>>> {
    let last = samples - 1;
    vec![
        vec![vec![0], vec![last]],
        vec![vec![0], vec![0]],
        vec![(0..samples).collect(), (0..samples).rev().collect()],
        vec![(0..samples).rev().collect(), (0..samples).collect()],
    ]
}

#[test]
fn losses_and_gradients_do_not_know_where_features_come_from() {
    for &case in CASES {
        let dir = fixture(case);
        let samples = Samples::read(&dir);
        let plain = AnyModel::from_dir(&dir, &device()).unwrap();
        let stack = stack(&plain, &["llm"], &Targets::all_linear(), 0.0);
        let expected: Vec<[Pass; 2]> = rows(samples.sequences.len())
            .iter()
            .map(|rows| [false, true].map(|again| pass(&plain, &samples.of(rows), &stack, again)))
            .collect();
        let mut kept = Vec::new();
        // Room for all features, for those of one image or so, and for none.
        for bytes in [1 << 30, 4096, 1] {
            let mut model = AnyModel::from_dir(&dir, &device()).unwrap();
            model.keep_features(bytes);
            for (rows, expected) in rows(samples.sequences.len()).iter().zip(&expected) {
                for (again, expected) in [false, true].into_iter().zip(expected) {
                    let found = pass(&model, &samples.of(rows), &stack, again);
                    same(&format!("{case}, {bytes} bytes, {rows:?}"), &found, expected);
                }
            }
            assert!(model.kept_features() <= bytes);
            kept.push(model.kept_features());
        }
        assert!(kept[0] > 0 && kept[0] >= kept[1] && kept[2] == 0, "{case}: {kept:?} bytes");
    }
}

#[test]
fn adapters_on_what_makes_them_never_see_kept_features() {
    for case in FOUR {
        let (samples, plain, model) = plain_and_keeping(case);
        let batch = samples.batch(2);
        pass(&model, &batch, &stack(&model, &["llm"], &Targets::all_linear(), 0.0), false);
        assert!(model.kept_features() > 0);
        for module in ["ve", "projector"] {
            let stack = stack(&plain, &[module, "llm"], &Targets::all_linear(), 0.0);
            same(case, &pass(&model, &batch, &stack, false), &pass(&plain, &batch, &stack, false));
        }
    }
}

/// The adapters that begin with activations are the same whatever was kept before.
#[test]
fn activations_of_every_layer_are_read_whatever_is_kept() {
    for case in FOUR {
        let (samples, plain, model) = plain_and_keeping(case);
        let start = |model: &AnyModel| {
            let batches = [0, 1].map(|at| samples.of(&[vec![at % samples.sequences.len()]]));
            let activations = Activations::of(model, batches, 2, 7).unwrap();
            let mut sites = model.sites().iter().enumerate();
            assert!(sites.any(|(at, site)| site.module == VISION_ENCODER && activations.reached(at)));
            let config = AdapterConfig::new([("ve", 2), ("projector", 2), ("llm", 2)], 3);
            activations.adapter(config, model).unwrap().factors
        };
        let expected = start(&plain);
        assert_eq!(start(&model), expected, "{case}");
        pass(&model, &samples.batch(2), &stack(&model, &["llm"], &Targets::all_linear(), 0.0), false);
        assert!(model.kept_features() > 0);
        assert_eq!(start(&model), expected, "{case}, kept");
    }
}

/// Those that nothing counts on would stand for those of later images.
#[test]
#[should_panic(expected = "features of the encoder")]
fn an_encoder_gives_as_many_features_as_are_laid_out() {
    let (dir, image) = (fixture("qwen2_vl/older_tied"), 36);
    let model = AnyModel::from_dir(&dir, &device()).unwrap();
    let mut images = Qwen2VlImages::from_dir(&dir, &SpecialTokens::default()).unwrap();
    images.merge *= 2;
    let layouts = images.layouts(&[(8, 8)]).unwrap();
    assert_eq!((layouts[0].shape.tiles, layouts[0].shape.features), (16, 1));
    let tile_shape = images.tile_shape();
    let values = vec![0.5; layouts[0].shape.tiles * tile_shape[0]];
    let ids = vec![1, image, 2, 3];
    let positions = images.positions(&ids, image, &layouts);
    let pixels = Some(Arc::new(Pixels { values, tile_shape, images: layouts }));
    let text = EncodedText { ids, answers: vec![false, false, false, true], positions, image_tokens: 1 };
    let batch = VlmBatch::new(&[vec![Arc::new(Sequence { text, pixels })]], image, &device()).unwrap();
    let losses = model.forward(&batch, &AdapterStack::base(1, &model), false);
    assert_eq!(losses.tokens, [[1]]);
}

/// Only Idefics3 spreads the positions of a full tile over another.
#[test]
#[should_panic(expected = "expected 3 x 3")]
fn positions_of_a_full_tile_are_for_full_tiles() {
    let model = LlavaOnevision::from_dir(&fixture("llava_onevision/gqa_tied"), &device()).unwrap();
    let shape = ImageShape { grid: Grid::default(), tiles: 1, features: 4 };
    let (values, tile_shape) = (vec![0.5; 3 * 4 * 4], vec![3, 4, 4]);
    let pixels = Pixels { values, tile_shape, images: vec![ImageLayout::plain(shape)] };
    let ids = vec![1, 37, 37, 37, 37, 2];
    let answers = ids.iter().map(|id| *id == 2).collect();
    let text = EncodedText { ids, answers, ..EncodedText::default() };
    let sequence = Sequence { text, pixels: Some(Arc::new(pixels)) };
    let batch = VlmBatch::new(&[vec![Arc::new(sequence)]], 37, &device()).unwrap();
    let losses = model.forward(&batch, &AdapterStack::base(1, &model), false);
    assert_eq!(losses.tokens, [[1]]);
}
