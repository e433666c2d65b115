//! The state of a run between two steps, as the files of a checkpoint.

use crate::checkpoint::Files;
use crate::{Error, RunRecord};
use mars_lora::{Adapter, Factors, Moments};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::path::Path;

const TENSORS: &str = "state.safetensors";
const RECORD: &str = "record.json";
const KINDS: [&str; 3] = ["factor", "first", "second"];

/// Factors, moments, and the record so far.
/// `state.safetensors` holds f32 tensors `factor|first|second.<path>.a` `[rank, inputs]`, `.b` `[outputs,
/// rank]` and, with DoRA, `.magnitude` `[outputs]`; `record.json` the record.
pub(super) fn write(adapter: &Adapter, moments: &Moments, record: &RunRecord) -> Result<Files, Error> {
    let bad = |why: String| Error::Corrupt { path: TENSORS.into(), why };
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut parts: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (kind, factors) in KINDS.iter().zip([&adapter.factors, &moments.first, &moments.second]) {
        for f in factors {
            parts.push((format!("{kind}.{}.a", f.path), vec![f.rank, f.inputs], bytes(&f.a)));
            parts.push((format!("{kind}.{}.b", f.path), vec![f.outputs, f.rank], bytes(&f.b)));
            if let Some(magnitude) = &f.magnitude {
                parts.push((format!("{kind}.{}.magnitude", f.path), vec![f.outputs], bytes(magnitude)));
            }
        }
    }
    let mut views = Vec::with_capacity(parts.len());
    for (name, shape, data) in &parts {
        let view = TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| bad(e.to_string()))?;
        views.push((name, view));
    }
    let tensors = safetensors::serialize(views, None).map_err(|e| bad(e.to_string()))?;
    let record = serde_json::to_vec(record).map_err(|e| bad(e.to_string()))?;
    Ok(Files::from([(TENSORS.to_string(), tensors), (RECORD.to_string(), record)]))
}

/// Fills `adapter` (fresh, of the right shapes) and gives back moments and record; `step` is the checkpoint's.
pub(super) fn read(files: &Files, step: usize, adapter: &mut Adapter) -> Result<(Moments, RunRecord), Error> {
    let bad = |name: &str, why: String| Error::Corrupt { path: Path::new(name).into(), why };
    let file =
        |name: &str| files.get(name).ok_or_else(|| bad(name, "missing from the checkpoint".to_string()));
    let record: RunRecord = serde_json::from_slice(file(RECORD)?).map_err(|e| bad(RECORD, e.to_string()))?;
    let tensors = SafeTensors::deserialize(file(TENSORS)?).map_err(|e| bad(TENSORS, e.to_string()))?;
    let values = |name: String, length: usize| -> Result<Vec<f32>, Error> {
        let tensor = tensors.tensor(&name).map_err(|e| bad(TENSORS, format!("`{name}`: {e}")))?;
        let words = tensor.data().chunks_exact(4);
        let values: Vec<f32> = words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if values.len() == length {
            Ok(values)
        } else {
            Err(bad(TENSORS, format!("`{name}` has {} values, expected {length}", values.len())))
        }
    };
    let group = |kind: &str, like: &[Factors]| -> Result<Vec<Factors>, Error> {
        let read = like.iter().map(|f| {
            Ok(Factors {
                a: values(format!("{kind}.{}.a", f.path), f.a.len())?,
                b: values(format!("{kind}.{}.b", f.path), f.b.len())?,
                magnitude: match &f.magnitude {
                    Some(own) => Some(values(format!("{kind}.{}.magnitude", f.path), own.len())?),
                    None => None,
                },
                ..f.clone()
            })
        });
        read.collect()
    };
    let [factor, first, second] = KINDS.map(|kind| group(kind, &adapter.factors));
    adapter.factors = factor?;
    Ok((Moments { steps: step, first: first?, second: second? }, record))
}
