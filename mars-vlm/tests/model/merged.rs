//! A model with an adapter computes what the model computes that the adapter is merged into.

use burn::tensor::Tensor;
use mars_lora::merge::{Direction, MergeOptions, merge};
use mars_lora::peft::{self, Base, PeftLayout, Provenance};
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Init, Model, SiteKind, Targets};
use mars_testkit::device::device;
use mars_vlm::checkpoint::names_of_type;
use mars_vlm::model::{Idefics3, Sequence, VlmBatch};
use mars_vlm::processor::{EncodedText, Grid, ImageLayout, ImageShape, Pixels};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn numbers(count: usize, period: usize, size: f32) -> Vec<f32> {
    (0..count).map(|i| size * (((i * 7919 + 13) % period) as f32 / period as f32 - 0.5)).collect()
}

/// A prompt around one picture of a full tile.
fn sequence(model: &Idefics3) -> Arc<Sequence> {
    let (v, scale) = (&model.config.vision_config, model.config.scale_factor);
    let features = (v.image_size / v.patch_size).pow(2) / scale.pow(2);
    let image = model.config.image_token_id;
    let text = (1..9).map(|i| if i == image { i + 10 } else { i });
    let ids: Vec<u32> = text.clone().chain(vec![image; features]).chain(text).collect();
    let tile_shape = vec![v.num_channels, v.image_size, v.image_size];
    let values = numbers(tile_shape.iter().product(), 101, 2.0);
    let tile = ImageLayout::plain(ImageShape { grid: Grid::default(), tiles: 1, features });
    let pixels = Some(Arc::new(Pixels { values, tile_shape, images: vec![tile] }));
    let text = EncodedText { answers: vec![true; ids.len()], ids, ..EncodedText::default() };
    Arc::new(Sequence { text, pixels })
}

fn logits(model: &Idefics3, adapters: &[Adapter]) -> Tensor<2> {
    let stack = match adapters {
        [] => AdapterStack::base(1, model),
        some => AdapterStack::new(some, model).unwrap(),
    };
    let batch = VlmBatch::new(&[vec![sequence(model)]], model.config.image_token_id, &device()).unwrap();
    model.logits(&batch, &stack).squeeze_dim(0)
}

fn largest(tensor: Tensor<2>) -> f32 {
    let values = tensor.into_data();
    values.iter::<f32>().map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

fn trained(model: &Idefics3, config: AdapterConfig) -> Adapter {
    let mut adapter = Adapter::fresh(config, model).unwrap();
    for (n, f) in adapter.factors.iter_mut().enumerate() {
        f.b.iter_mut().zip(numbers(f.outputs * f.rank, 53 + n, 0.2)).for_each(|(b, move_by)| *b += move_by);
        f.a.iter_mut().zip(numbers(f.inputs * f.rank, 59 + n, 0.2)).for_each(|(a, move_by)| *a += move_by);
        if let Some(magnitude) = &mut f.magnitude {
            magnitude.iter_mut().zip(numbers(f.outputs, 31, 0.5)).for_each(|(m, move_by)| *m += move_by);
        }
    }
    adapter
}

#[test]
fn with_an_adapter_and_merged_are_the_same_model() {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/idefics3/gqa_split");
    let device = device();
    let model = Idefics3::from_dir(&base, &device).unwrap();
    let names = names_of_type("idefics3").unwrap();
    let untouched = logits(&model, &[]);
    let all = || AdapterConfig::new([("ve", 3), ("projector", 2), ("llm", 4)], 5);
    let everything = Targets::matching(r".*(_proj|fc\d|proj|embed_tokens|patch_embedding)").unwrap();
    let cases = [
        ("plain", all()),
        ("DoRA", AdapterConfig { dora: true, ..all() }),
        ("PiSSA", AdapterConfig { init: Init::Pissa, ..all() }),
        ("embeddings and patches", AdapterConfig { targets: everything, ..all() }),
    ];
    for (case, config) in cases {
        let adapter = trained(&model, config);
        let kinds = |kind: fn(&SiteKind) -> bool| model.sites().iter().filter(|s| kind(&s.kind)).count();
        assert_eq!(kinds(|k| *k == SiteKind::Embedding), 1);
        assert_eq!(kinds(|k| matches!(k, SiteKind::Convolution { .. })), 1);
        let expected = logits(&model, std::slice::from_ref(&adapter));
        let moved = largest(expected.clone() - untouched.clone());
        assert!(moved > 1e-2, "{case}: the adapter does nothing ({moved})");
        for layout in [PeftLayout::Pattern, PeftLayout::Uniform] {
            let place = tempfile::tempdir().unwrap();
            let (written, merged) = (place.path().join("adapter"), place.path().join("merged"));
            write(&written, &adapter, &model, layout);
            let read = peft::read(&written, &Base::of(&model).with_namings(&names.namings)).unwrap();
            let gap = largest(logits(&model, &[read]) - expected.clone());
            assert!(gap < 1e-4, "{case} {layout:?}: read back, {gap}");

            let options = MergeOptions { names: &names, dtype: None, direction: Direction::Merge };
            merge(&written, &base, &merged, &options, &mut |_, _| ()).unwrap();
            let merged = Idefics3::from_dir(&merged, &device).unwrap();
            let gap = largest(logits(&merged, &[]) - expected.clone());
            assert!(gap < 1e-4, "{case} {layout:?}: merged, {gap}");
        }
    }
}

fn write(place: &Path, adapter: &Adapter, model: &Idefics3, layout: PeftLayout) {
    let names = names_of_type("idefics3").unwrap();
    let provenance = Provenance { base_model: "org/base".into(), summary: "A test.".into() };
    peft::write(place, adapter, &Base::of(model).with_namings(&names.namings), layout, &provenance).unwrap();
}

#[test]
fn embeddings_and_patches_get_the_gradients_of_their_definition() {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/idefics3/gqa_split");
    let model = Idefics3::from_dir(&base, &device()).unwrap();
    let targets = Targets::matching(r".*(embed_tokens|patch_embedding)").unwrap();
    let adapter =
        trained(&model, AdapterConfig { targets, ..AdapterConfig::new([("ve", 2), ("llm", 2)], 5) });
    assert_eq!(adapter.factors.len(), 2);
    let stack = AdapterStack::new(std::slice::from_ref(&adapter), &model).unwrap();
    let tracked = stack.tracked();
    let batch = VlmBatch::new(&[vec![sequence(&model)]], model.config.image_token_id, &device()).unwrap();
    let mut gradients = model.forward(&batch, &tracked, false).mean().sum().backward();
    let found = stack.unpad(&tracked.gradients(&mut gradients)).swap_remove(0);
    let loss = |adapter: &Adapter| {
        let stack = AdapterStack::new(std::slice::from_ref(adapter), &model).unwrap();
        let loss: Vec<f32> = model.forward(&batch, &stack, false).mean().into_data().iter::<f32>().collect();
        f64::from(loss[0])
    };
    for (n, gradient) in found.iter().enumerate() {
        // Along the gradient itself the loss rises by its squared length.
        let moved = |step: f32| {
            let mut moved = adapter.clone();
            let f = &mut moved.factors[n];
            f.a.iter_mut().zip(&gradient.a).for_each(|(a, g)| *a += step * g);
            f.b.iter_mut().zip(&gradient.b).for_each(|(b, g)| *b += step * g);
            loss(&moved)
        };
        let square: f64 = gradient.a.iter().chain(&gradient.b).map(|g| f64::from(*g).powi(2)).sum();
        let step = (1e-2 / square.sqrt()) as f32;
        let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        assert!(square > 0.0 && (slope / square - 1.0).abs() < 2e-2, "{}: {slope} {square}", gradient.path);
    }
}
