//! Parity with `transformers` on tiny random checkpoints (made by `tests/oracle/idefics3.py`).

use burn::tensor::{Tensor, TensorData};
use mars_lora::{AdamWConfig, AdapterStack, LearningRates, Model, StackedAdamW};
use mars_testkit::device::device;
use mars_vlm::model::{Idefics3, Sequence, VlmBatch};
use mars_vlm::processor::{EncodedText, Grid, ImageLayout, ImageShape, Pixels};
use safetensors::SafeTensors;
use std::path::PathBuf;
use std::sync::Arc;

const TOLERANCE: f32 = 1e-4;

fn fixture(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/idefics3").join(case)
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
    let tensor = file.tensor(name).ok()?;
    let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Some((tensor.shape().to_vec(), values))
}

/// The largest absolute value; infinite if one is no number.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

fn assert_close<const D: usize>(what: &str, found: Tensor<D>, expected: &(Vec<usize>, Vec<f32>)) {
    assert_eq!(found.dims().to_vec(), expected.0, "{what}: shape");
    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
    let worst = largest(found.iter().zip(&expected.1).map(|(a, b)| a - b));
    let size = expected.1.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(size > 0.1, "{what}: the fixture is degenerate, largest value {size}");
    assert!(worst < TOLERANCE, "{what}: differs by {worst}, largest value {size}");
}

#[test]
fn an_adapter_of_peft() {
    // Made by `tests/oracle/peft_adapter.py`: ranks and alphas differ between the towers.
    let (dir, device) = (fixture("gqa_split"), device());
    let model = Idefics3::from_dir(&dir, &device).unwrap();
    let directory = dir.join("../../peft_adapter");
    let adapter = mars_lora::peft::read(&directory, &mars_lora::peft::Base::of(&model)).unwrap();
    assert_eq!(adapter.config.ranks, [("llm".to_string(), 6), ("ve".to_string(), 3)].into());
    let stack = AdapterStack::new(&[adapter], &model).unwrap();
    let inputs = std::fs::read(dir.join("expected.safetensors")).unwrap();
    let inputs = SafeTensors::deserialize(&inputs).unwrap();
    let expected = std::fs::read(directory.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let mut all = Vec::new();
    for sample in samples(&inputs) {
        let sequence = sequence(&inputs, &sample);
        all.push(sequence.clone());
        let batch = VlmBatch::new(&[vec![sequence]], model.config.image_token_id, &device).unwrap();
        let logits = model.logits(&batch, &stack).squeeze_dim::<2>(0);
        assert_close("logits", logits, &floats(&expected, &format!("{sample}.logits")).unwrap());
    }

    // The first moments after one step are the gradients times 1 - beta1.
    let batch = VlmBatch::new(&[all], model.config.image_token_id, &device).unwrap();
    let tracked = stack.tracked();
    let mut gradients = model.forward(&batch, &tracked, false).mean().sum().backward();
    let gradients = tracked.gradients(&mut gradients);
    let adam = AdamWConfig { clip_norm: None, ..AdamWConfig::default() };
    let rates = LearningRates { by_module: [].into(), default: 1e-3, b_ratio: 1.0 };
    let mut stack = stack;
    let mut optimizer = StackedAdamW::new(adam.clone(), &stack, &[rates]).unwrap();
    optimizer.step(&mut stack, gradients, &[1.0]);
    let mut compared = 0;
    for factors in &optimizer.moments(&stack)[0].first {
        for (factor, moment) in [("lora_A", &factors.a), ("lora_B", &factors.b)] {
            let (_, expected) = floats(&expected, &format!("grad.{}.{factor}", factors.path)).unwrap();
            let scale = 1.0 / (1.0 - adam.beta1) as f32;
            let size = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let worst = largest(moment.iter().zip(&expected).map(|(m, g)| m * scale - g));
            assert!(size > 0.0 && worst <= 1e-3 * size, "{} {factor}: {worst} of {size}", factors.path);
            compared += 1;
        }
    }
    assert_eq!(compared, expected.names().iter().filter(|name| name.starts_with("grad.")).count());
}

fn samples(file: &SafeTensors<'_>) -> Vec<String> {
    let names = file.names();
    let samples: Vec<String> =
        names.iter().filter_map(|n| n.strip_suffix(".input_ids")).map(String::from).collect();
    assert!(!samples.is_empty());
    samples
}

/// A sample of a fixture.
fn sequence(file: &SafeTensors<'_>, sample: &str) -> Arc<Sequence> {
    let ids = file.tensor(&format!("{sample}.input_ids")).unwrap();
    let ids: Vec<u32> =
        ids.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect();
    let features = floats(file, &format!("{sample}.connector")).map_or(1, |(shape, _)| shape[1]);
    let pixels = floats(file, &format!("{sample}.pixel_values")).map(|(shape, values)| {
        let tile = ImageLayout::plain(ImageShape { grid: Grid::default(), tiles: 1, features });
        Arc::new(Pixels { values, tile_shape: shape[1..].to_vec(), images: vec![tile; shape[0]] })
    });
    let text = EncodedText { answers: vec![true; ids.len()], ids, ..EncodedText::default() };
    Arc::new(Sequence { text, pixels })
}

fn check(case: &str) {
    let dir = fixture(case);
    let device = device();
    let model = Idefics3::from_dir(&dir, &device).unwrap();
    let bytes = std::fs::read(dir.join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let base = AdapterStack::base(1, &model);
    for sample in samples(&file) {
        let pixels = floats(&file, &format!("{sample}.pixel_values"));
        if let Some((shape, values)) = &pixels {
            let shape: [usize; 4] = shape.clone().try_into().unwrap();
            let tiles = Tensor::<4>::from_data(TensorData::new(values.clone(), shape), &device);
            let vision = model.net.vision.forward(tiles.clone(), &base);
            assert_close("vision", vision, &floats(&file, &format!("{sample}.vision")).unwrap());
            let connector = model.net.image_features(tiles, &base);
            assert_close("connector", connector, &floats(&file, &format!("{sample}.connector")).unwrap());
        }
        let sequence = sequence(&file, &sample);
        let image = model.config.image_token_id;
        let batch = VlmBatch::new(&[vec![sequence.clone()]], image, &device).unwrap();
        let expected = floats(&file, &format!("{sample}.logits")).unwrap();
        assert_close("logits", model.logits(&batch, &base).squeeze_dim::<2>(0), &expected);

        // The same sample in every place of a stack of three adapters that do nothing.
        let stack = AdapterStack::base(3, &model);
        let rows = vec![vec![sequence.clone(), sequence.clone()]; 3];
        let batch = VlmBatch::new(&rows, image, &device).unwrap();
        let logits = model.logits(&batch, &stack);
        for row in 0..6 {
            let own = logits.clone().narrow(0, row, 1).squeeze_dim::<2>(0);
            assert_close("stacked logits", own, &expected);
        }
    }
}

#[test]
fn grouped_queries_untied_several_tiles() {
    check("gqa_split");
}

#[test]
fn multi_head_tied_single_tile() {
    check("mha_tied");
}

#[test]
fn bf16_shards() {
    check("sharded_bf16");
}

#[test]
fn rotary_positions_of_llama_3_1() {
    check("llama3_bands");
}

#[test]
fn partial_grid_spreads_positions() {
    check("odd_grid");
}
