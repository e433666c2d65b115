//! The adapter that a method ended with, as the files of a checkpoint: factors, ranks and scales by layer.

use crate::Error;
use crate::checkpoint::Files;
use mars_lora::{Adapter, AdapterConfig, Factors};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

const TENSORS: &str = "adapter.safetensors";
const LAYERS: &str = "layers.json";

#[derive(Serialize, Deserialize)]
struct Layers {
    /// Every layer that the method acted on, 0 where nothing is left.
    ranks: BTreeMap<String, usize>,
    scales: BTreeMap<String, f64>,
    /// The layers of rank 1 and more, in the model's order.
    order: Vec<String>,
}

fn bad(name: &str, why: String) -> Error {
    Error::Corrupt { path: Path::new(name).into(), why }
}

/// The files.
pub(super) fn write(adapter: &Adapter) -> Result<Files, Error> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let parts: Vec<(String, [usize; 2], Vec<u8>)> = adapter
        .factors
        .iter()
        .flat_map(|f| {
            [
                (format!("{}.a", f.path), [f.rank, f.inputs], bytes(&f.a)),
                (format!("{}.b", f.path), [f.outputs, f.rank], bytes(&f.b)),
            ]
        })
        .collect();
    let mut views = Vec::with_capacity(parts.len());
    for (name, shape, data) in &parts {
        let view =
            TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(|e| bad(TENSORS, e.to_string()))?;
        views.push((name, view));
    }
    let tensors = safetensors::serialize(views, None).map_err(|e| bad(TENSORS, e.to_string()))?;
    let layers = Layers {
        ranks: adapter.config.layer_ranks.clone(),
        scales: adapter.config.layer_scales.clone(),
        order: adapter.factors.iter().map(|f| f.path.clone()).collect(),
    };
    let layers = serde_json::to_vec(&layers).map_err(|e| bad(LAYERS, e.to_string()))?;
    Ok(Files::from([(TENSORS.to_string(), tensors), (LAYERS.to_string(), layers)]))
}

/// The adapter; `plain` is the configuration that the method began with.
pub(super) fn read(files: &Files, plain: AdapterConfig) -> Result<Adapter, Error> {
    let file =
        |name: &str| files.get(name).ok_or_else(|| bad(name, "missing from the checkpoint".to_string()));
    let layers: Layers = serde_json::from_slice(file(LAYERS)?).map_err(|e| bad(LAYERS, e.to_string()))?;
    let tensors = SafeTensors::deserialize(file(TENSORS)?).map_err(|e| bad(TENSORS, e.to_string()))?;
    let matrix = |name: String| -> Result<([usize; 2], Vec<f32>), Error> {
        let tensor = tensors.tensor(&name).map_err(|e| bad(TENSORS, format!("`{name}`: {e}")))?;
        let [rows, columns] = tensor.shape() else {
            return Err(bad(TENSORS, format!("`{name}` has shape {:?}, expected a matrix", tensor.shape())));
        };
        let words = tensor.data().chunks_exact(4);
        Ok(([*rows, *columns], words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()))
    };
    let factors = layers.order.into_iter().map(|path| {
        let ([rank, inputs], a) = matrix(format!("{path}.a"))?;
        let ([outputs, _], b) = matrix(format!("{path}.b"))?;
        Ok(Factors { path, rank, inputs, outputs, a, b, magnitude: None })
    });
    let factors = factors.collect::<Result<_, Error>>()?;
    let config = AdapterConfig { layer_ranks: layers.ranks, layer_scales: layers.scales, ..plain };
    Ok(Adapter { config, factors, offset: Vec::new() })
}
