//! What is compared with `transformers` and PEFT on a tiny random checkpoint: logits, losses, operations, parts of the model, and with an
//! adapter of PEFT also its gradients. `tests/oracle/tiny.py` says what is in the fixtures.

use crate::kit::fixture;
use burn::tensor::Device;
use mars_lora::{
    Activations, AdamWConfig, AdapterConfig, AdapterStack, Factors, LearningRates, Model, SiteKind,
    StackedAdamW,
};
use mars_testkit::device::device;
use mars_vlm::chat::SpecialTokens;
use mars_vlm::model::{AnyModel, Sequence, VlmBatch};
use mars_vlm::processor::{EncodedText, ImageProcessor, Pixels, images_of_dir};
use safetensors::SafeTensors;
use std::path::Path;
use std::sync::Arc;

const TOLERANCE: f32 = 1e-4;

pub(crate) fn processor(dir: &Path) -> (Box<dyn ImageProcessor>, u32) {
    let config = std::fs::read(dir.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let token = ["image_token_id", "image_token_index"].iter().find_map(|key| config[key].as_u64()).unwrap();
    (images_of_dir(dir, &SpecialTokens::default()).unwrap(), token as u32)
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Option<Vec<f32>> {
    let tensor = file.tensor(name).ok()?;
    Some(tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Option<Vec<usize>> {
    let tensor = file.tensor(name).ok()?;
    Some(tensor.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize).collect())
}

fn samples(file: &SafeTensors<'_>) -> Vec<String> {
    let mut names: Vec<String> =
        file.names().iter().filter_map(|n| n.strip_suffix(".input_ids")).map(String::from).collect();
    names.sort();
    assert!(!names.is_empty());
    names
}

/// A sample of a fixture, laid out by our processor.
fn sequence(file: &SafeTensors<'_>, sample: &str, images: &dyn ImageProcessor, token: u32) -> Arc<Sequence> {
    let ids: Vec<u32> =
        numbers(file, &format!("{sample}.input_ids")).unwrap().into_iter().map(|id| id as u32).collect();
    let answers =
        file.tensor(&format!("{sample}.answers")).unwrap().data().iter().map(|mark| *mark == 1).collect();
    let sizes = numbers(file, &format!("{sample}.image_sizes")).unwrap_or_default();
    let sizes: Vec<(usize, usize)> = sizes.chunks_exact(2).map(|size| (size[1], size[0])).collect();
    let layouts = images.layouts(&sizes).unwrap();
    let positions = images.positions(&ids, token, &layouts);
    let pixels = floats(file, &format!("{sample}.pixel_values"))
        .map(|values| Arc::new(Pixels { values, tile_shape: images.tile_shape(), images: layouts }));
    let text = EncodedText { ids, answers, positions, image_tokens: 0 };
    Arc::new(Sequence { text, pixels })
}

/// The largest absolute value; infinite if one is no number.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

fn assert_close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    let worst = largest(found.iter().zip(expected).map(|(a, b)| a - b));
    let size = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(size > 0.1, "{what}: the fixture is degenerate, largest value {size}");
    assert!(worst < TOLERANCE, "{what}: differs by {worst}, largest value {size}");
}

/// Rows of logits of one sample in a batch, without padding.
fn logits(model: &AnyModel, batch: &VlmBatch, stack: &AdapterStack, row: usize, tokens: usize) -> Vec<f32> {
    let logits = model.logits(batch, stack).narrow(0, row, 1).narrow(1, 0, tokens);
    logits.into_data().iter::<f32>().collect()
}

fn losses(model: &AnyModel, batch: &VlmBatch, stack: &AdapterStack) -> Vec<f32> {
    model.forward(batch, stack, false).mean().into_data().iter::<f32>().collect()
}

pub(crate) fn check(case: &str) {
    let (dir, device) = (fixture(case), device());
    let model = AnyModel::from_dir(&dir, &device).unwrap();
    let (images, token) = processor(&dir);
    let bytes = std::fs::read(dir.join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let names = samples(&file);
    let base = AdapterStack::base(1, &model);
    let of = |name: &str| sequence(&file, name, images.as_ref(), token);
    let expected = |name: &str, what: &str| floats(&file, &format!("{name}.{what}")).unwrap();
    assert_eq!(
        model.modules().iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["ve", "projector", "llm"]
    );
    for (index, site) in model.sites().iter().enumerate() {
        let of = model.modules().iter().find(|module| module.name == site.module).unwrap();
        let pattern = regex::Regex::new(&format!(r"^(.*\.)?({})$", of.pattern)).unwrap();
        assert!(pattern.is_match(&site.path), "{} is not of {}", site.path, of.pattern);
        let dims = model.weight(index).map(|weight| weight.dims());
        assert_eq!(dims, Some([site.inputs, site.outputs]), "{}", site.path);
    }
    for name in &names {
        let sequence = of(name);
        let tokens = sequence.text.ids.len();
        let batch = VlmBatch::new(&[vec![sequence]], token, &device).unwrap();
        let flops = file.tensor(&format!("{name}.flops")).unwrap();
        let flops = f64::from_le_bytes(flops.data().try_into().unwrap());
        let found = model.flops(&batch, base.ranks())[0];
        assert_eq!((found.forward, found.backward), (flops, 0.0), "{case} {name}");
        assert_close(
            &format!("{case} {name} logits"),
            &logits(&model, &batch, &base, 0, tokens),
            &expected(name, "logits"),
        );
        assert_close(&format!("{case} {name} loss"), &losses(&model, &batch, &base), &expected(name, "loss"));
    }
    // All samples in one batch, in every place of a stack: padding and other images change nothing.
    let own: Vec<Arc<Sequence>> = names.iter().map(|name| of(name)).collect();
    let reversed: Vec<Arc<Sequence>> = own.iter().rev().cloned().collect();
    let batch = VlmBatch::new(&[own.clone(), reversed], token, &device).unwrap();
    let stack = AdapterStack::base(2, &model);
    for (n, (name, sequence)) in names.iter().zip(&own).enumerate() {
        for row in [n, 2 * names.len() - 1 - n] {
            let found = logits(&model, &batch, &stack, row, sequence.text.ids.len());
            assert_close(&format!("{case} {name} stacked logits"), &found, &expected(name, "logits"));
        }
    }
    // EVA begins every linear layer with what it reads, the encoder's, which are computed once for all adapters, too.
    let batch = VlmBatch::new(&[own], token, &device).unwrap();
    let activations = Activations::of(&model, [batch], 2, 0).unwrap();
    let linear = |index: usize| model.sites()[index].kind == SiteKind::Linear;
    let missed = (0..model.sites().len()).filter(|index| linear(*index) && !activations.reached(*index));
    let missed: Vec<&str> = missed.map(|index| model.sites()[index].path.as_str()).collect();
    // Features of an earlier layer leave the last one out.
    let earlier = ["mqa_layer", "clip_llama", "next_mistral"].iter().any(|end| case.ends_with(end));
    let behind = |path: &&str| earlier && path.contains("encoder.layers.2.");
    assert!(missed.iter().all(behind), "{case}: {missed:?}");
    let config = AdapterConfig::new([("ve", 2), ("projector", 2), ("llm", 2)], 0);
    activations.adapter(config, &model).unwrap();
}

/// Logits, losses and gradients with the adapter that PEFT wrote, beside another one, healthy or diverged.
pub(crate) fn check_adapter<const N: usize>(case: &str, ranks: [(&str, usize); N]) {
    for factor in [0.3, f32::NAN] {
        check_beside(case, ranks, factor);
    }
}

pub(crate) fn check_beside<const N: usize>(case: &str, ranks: [(&str, usize); N], spoilt: f32) {
    let (dir, device) = (fixture(case), device());
    let model = AnyModel::from_dir(&dir, &device).unwrap();
    let (images, token) = processor(&dir);
    let inputs = std::fs::read(dir.join("expected.safetensors")).unwrap();
    let inputs = SafeTensors::deserialize(&inputs).unwrap();
    let bytes = std::fs::read(dir.join("adapter.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let named = mars_vlm::checkpoint::names_of_dir(&dir).unwrap();
    let peft_base = mars_lora::peft::Base::of(&model).with_namings(&named.namings);
    let adapter = mars_lora::peft::read(&dir.join("adapter"), &peft_base).unwrap();
    let expected: Vec<(String, usize)> = ranks.map(|(name, rank)| (name.to_string(), rank)).into();
    assert_eq!(adapter.config.ranks.clone().into_iter().collect::<Vec<_>>(), expected);
    // Another adapter in the stack, with images of its own, must not matter.
    let mut other = adapter.clone();
    other.factors.iter_mut().for_each(|f| f.b.iter_mut().for_each(|b| *b *= spoilt));
    let stack = AdapterStack::new(&[other, adapter], &model).unwrap();
    let own: Vec<Arc<Sequence>> =
        samples(&inputs).iter().map(|name| sequence(&inputs, name, images.as_ref(), token)).collect();
    let batch = VlmBatch::new(&[vec![own[0].clone(); own.len()], own.clone()], token, &device).unwrap();
    for (n, (name, sequence)) in samples(&inputs).iter().zip(&own).enumerate() {
        let found = logits(&model, &batch, &stack, own.len() + n, sequence.text.ids.len());
        let expected = floats(&file, &format!("{name}.logits")).unwrap();
        assert_close(&format!("{case} {name} logits with the adapter"), &found, &expected);
        let alone = VlmBatch::new(&[vec![sequence.clone()], vec![sequence.clone()]], token, &device).unwrap();
        let expected = floats(&file, &format!("{name}.loss")).unwrap();
        assert_close(
            &format!("{case} {name} loss with the adapter"),
            &losses(&model, &alone, &stack)[1..],
            &expected,
        );
    }

    // The first moments after one step are the gradients times 1 - beta1.
    let tracked = stack.tracked();
    let mut gradients = model.forward(&batch, &tracked, false).mean().sum().backward();
    let gradients = tracked.gradients(&mut gradients);
    let config = AdamWConfig { clip_norm: None, ..AdamWConfig::default() };
    let rates = LearningRates { by_module: [].into(), default: 1e-3, b_ratio: 1.0 };
    let mut stack = stack;
    let mut optimizer = StackedAdamW::new(config.clone(), &stack, &[rates.clone(), rates]).unwrap();
    optimizer.step(&mut stack, gradients, &[1.0, 1.0]);
    let moments = optimizer.moments(&stack);
    let (mut compared, mut steepest) = (0, 0.0f32);
    // Sums of GPUs round more coarsely.
    let tolerance = if device == Device::flex() { 1e-3 } else { 4e-3 };
    for Factors { path, a, b, .. } in &moments[1].first {
        for (factor, moment) in [("lora_A", a), ("lora_B", b)] {
            // As another version of transformers calls the layer, if not as we do.
            let theirs = named.namings.iter().map(|naming| naming.spell(path)).chain([path.clone()]);
            let expected =
                theirs.rev().find_map(|path| floats(&file, &format!("grad.{path}.{factor}"))).unwrap();
            let scale = 1.0 / (1.0 - config.beta1) as f32;
            let size = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let worst = largest(moment.iter().zip(&expected).map(|(m, g)| m * scale - g));
            assert!(worst <= tolerance * size + 1e-7, "{case} {path} {factor}: {worst} of {size}");
            (compared, steepest) = (compared + 1, steepest.max(size));
        }
    }
    assert_eq!(compared, file.names().iter().filter(|name| name.starts_with("grad.")).count());
    assert!(steepest > 1e-2, "{steepest}");
}
