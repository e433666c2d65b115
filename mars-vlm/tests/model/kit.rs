//! Tiny checkpoints with the samples of their fixtures, and adapters that do something.

use burn::tensor::Device;
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Parts, Pass, Targets};
use mars_testkit::device::device;
use mars_vlm::chat::SpecialTokens;
use mars_vlm::model::{AnyModel, Sequence, VlmBatch};
use mars_vlm::processor::{
    EncodedText, Grid, ImageLayout, ImageProcessor, ImageShape, Pixels, images_of_dir,
};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One checkpoint of every family and form.
pub(crate) const CASES: &[&str] = &[
    "idefics3/gqa_split",
    "idefics3/mha_tied",
    "llava/clip_full",
    "llava/clip_llama",
    "llava/next_mistral",
    "llava/next_qwen2",
    "llava_onevision/gqa_tied",
    "llava_onevision/mqa_layer",
    "llava_onevision/two_layers",
    "qwen2_vl/windows_tied",
    "qwen2_vl/mha_untied",
    "qwen2_vl/older_tied",
    "qwen3_vl/tied_grouped",
    "qwen3_vl/three_deep",
    "internvl/qwen2_tied",
    "internvl/stretched",
    "gemma3/grouped_local",
    "gemma3/longer_than_window",
];

pub(crate) fn fixture(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(case)
}

/// The samples of a fixture.
pub(crate) struct Samples {
    pub(crate) sequences: Vec<Arc<Sequence>>,
    token: u32,
}

impl Samples {
    pub(crate) fn read(dir: &Path) -> Self {
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap();
        let token = ["image_token_id", "image_token_index"].iter().find_map(|key| config[key].as_u64());
        let token = token.unwrap() as u32;
        let special = SpecialTokens::default();
        let images: Option<Box<dyn ImageProcessor>> = match config["model_type"].as_str().unwrap() {
            "idefics3" => None,
            _ => Some(images_of_dir(dir, &special).unwrap()),
        };
        let bytes = std::fs::read(dir.join("expected.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<&str> =
            file.names().into_iter().filter_map(|name| name.strip_suffix(".input_ids")).collect();
        names.sort_unstable();
        let sequences = names.into_iter().map(|name| match &images {
            Some(images) => laid_out(&file, name, images.as_ref(), token),
            None => tiles(&file, name),
        });
        Self { sequences: sequences.map(Arc::new).collect(), token }
    }

    /// Samples `rows[k]` for adapter k.
    pub(crate) fn of(&self, rows: &[Vec<usize>]) -> VlmBatch {
        let own = |own: &Vec<usize>| own.iter().map(|row| Arc::clone(&self.sequences[*row])).collect();
        VlmBatch::new(&rows.iter().map(own).collect::<Vec<_>>(), self.token, &device()).unwrap()
    }

    /// All samples for each of `adapters` adapters, in another order for each.
    pub(crate) fn batch(&self, adapters: usize) -> VlmBatch {
        self.batch_on(adapters, &device())
    }

    /// The same on a device of one's own.
    pub(crate) fn batch_on(&self, adapters: usize, device: &Device) -> VlmBatch {
        let turned = |k: usize| {
            let mut own = self.sequences.clone();
            own.rotate_left(k % self.sequences.len());
            own
        };
        let all: Vec<_> = (0..adapters).map(turned).collect();
        VlmBatch::new(&all, self.token, device).unwrap()
    }
}

/// A sample of a family whose images our processor lays out.
fn laid_out(file: &SafeTensors<'_>, name: &str, images: &dyn ImageProcessor, token: u32) -> Sequence {
    let ids = ids(file, name);
    let answers = file.tensor(&format!("{name}.answers")).unwrap();
    let answers = answers.data().iter().map(|mark| *mark == 1).collect();
    let sizes = numbers(file, &format!("{name}.image_sizes")).unwrap_or_default();
    let sizes: Vec<(usize, usize)> =
        sizes.chunks_exact(2).map(|size| (size[1] as usize, size[0] as usize)).collect();
    let layouts = images.layouts(&sizes).unwrap();
    let positions = images.positions(&ids, token, &layouts);
    let pixels = floats(file, &format!("{name}.pixel_values"))
        .map(|(_, values)| Arc::new(Pixels { values, tile_shape: images.tile_shape(), images: layouts }));
    Sequence { text: EncodedText { ids, answers, positions, image_tokens: 0 }, pixels }
}

/// A sample whose every tile is an image.
fn tiles(file: &SafeTensors<'_>, name: &str) -> Sequence {
    let ids = ids(file, name);
    let features = floats(file, &format!("{name}.connector")).map_or(1, |(shape, _)| shape[1]);
    let pixels = floats(file, &format!("{name}.pixel_values")).map(|(shape, values)| {
        let tile = ImageLayout::plain(ImageShape { grid: Grid::default(), tiles: 1, features });
        Arc::new(Pixels { values, tile_shape: shape[1..].to_vec(), images: vec![tile; shape[0]] })
    });
    Sequence { text: EncodedText { answers: vec![true; ids.len()], ids, ..EncodedText::default() }, pixels }
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
    let tensor = file.tensor(name).ok()?;
    let values = tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    Some((tensor.shape().to_vec(), values))
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Option<Vec<i64>> {
    let tensor = file.tensor(name).ok()?;
    Some(tensor.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect())
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    numbers(file, &format!("{name}.input_ids")).unwrap().into_iter().map(|id| id as u32).collect()
}

/// Whether adapters can act on a module of the model of a case: the projector of Gemma 3 has no layers.
pub(crate) fn has_layers(case: &str, module: &str) -> bool {
    module != "projector" || !case.starts_with("gemma3")
}

/// Adapters of rank 2 and 3 at `modules` that change what the model computes.
pub(crate) fn stack(model: &AnyModel, modules: &[&str], targets: &Targets, dropout: f64) -> AdapterStack {
    let adapter = |(k, rank): (usize, usize)| {
        let ranks = modules.iter().map(|module| (*module, rank));
        let config =
            AdapterConfig { targets: targets.clone(), dropout, ..AdapterConfig::new(ranks, k as u64) };
        let mut adapter = Adapter::fresh(config, model).unwrap();
        let mut state = 0x9E37_79B9_u32.wrapping_add(k as u32);
        for b in adapter.factors.iter_mut().flat_map(|factors| &mut factors.b) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *b = (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32 * 0.4;
        }
        adapter
    };
    let adapters: Vec<Adapter> = [2, 3].into_iter().enumerate().map(adapter).collect();
    AdapterStack::new(&adapters, model).unwrap()
}

/// A training pass over one batch.
pub(crate) fn pass(model: &AnyModel, batch: &VlmBatch, stack: &AdapterStack, checkpointing: bool) -> Pass {
    let parts = Parts::new(1).unwrap().recomputing(checkpointing);
    let draws: Vec<u64> = (0..stack.len() as u64).collect();
    parts.pass(model, vec![(0..stack.len(), batch.clone())], stack, Some(&draws)).unwrap()
}

/// Largest relative differences of losses and of the gradients of an adapter, by their norm.
pub(crate) fn gaps(a: &Pass, b: &Pass) -> (f64, f64) {
    let rows = |pass: &Pass| -> Vec<Vec<f64>> {
        let width = pass.gradients.dims()[1];
        let values: Vec<f64> = pass.gradients.clone().into_data().iter::<f64>().collect();
        values.chunks(width).map(<[f64]>::to_vec).collect()
    };
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let losses = a.losses.iter().zip(&b.losses).map(|(x, y)| (x - y).abs() / x.abs());
    let gradients = rows(a).into_iter().zip(rows(b)).map(|(x, y)| {
        let size = norm(&mut x.iter().copied());
        assert!(size > 1e-3, "the gradient is {size}");
        norm(&mut x.iter().zip(&y).map(|(x, y)| x - y)) / size
    });
    // A NaN is no small difference.
    let largest = |values: &mut dyn Iterator<Item = f64>| {
        values.fold(0.0, |most: f64, v| if v.is_nan() { f64::INFINITY } else { most.max(v) })
    };
    (largest(&mut { losses }), largest(&mut { gradients }))
}
