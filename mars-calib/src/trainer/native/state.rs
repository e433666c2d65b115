//! The state of a run between two steps, as the files of a checkpoint.

use crate::checkpoint::Files;
use crate::{Error, RunRecord};
use mars_lora::{Adapter, Factors, Moments};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::BTreeMap;
use std::path::Path;

const TENSORS: &str = "state.safetensors";
const RECORD: &str = "record.json";
const KINDS: [&str; 3] = ["factor", "first", "second"];
const BEST: &str = "best.safetensors";
const BEST_STEP: &str = "best.json";
const UNEVALUATED: &str = "unevaluated";

/// The adapter with the lowest validation loss so far.
#[derive(Clone, Debug)]
pub(super) struct Best {
    /// Optimizer steps done when it was evaluated.
    pub(super) step: usize,
    pub(super) factors: Vec<Factors>,
}

/// What a checkpoint holds beside the adapter.
pub(super) struct State {
    pub(super) moments: Moments,
    pub(super) record: RunRecord,
    /// `None` where it is the adapter itself, or none was kept.
    pub(super) best: Option<Best>,
}

/// Factors, moments, the record so far, and the best adapter, where it is another.
/// `state.safetensors` holds f32 tensors `factor|first|second.<path>.a` `[rank, inputs]`, `.b` `[outputs,
/// rank]` and, with DoRA, `.magnitude` `[outputs]`; `record.json` the record; `best.safetensors` the tensors `factor` of the best adapter
/// and `best.json` its step; an empty `unevaluated` tells a state whose evaluation a stop has left out from the same one with it.
pub(super) fn write(
    adapter: &Adapter,
    moments: &Moments,
    record: &RunRecord,
    best: Option<&Best>,
    evaluated: bool,
) -> Result<Files, Error> {
    let own = KINDS.into_iter().zip([&adapter.factors, &moments.first, &moments.second]);
    let record = serde_json::to_vec(record).map_err(|e| bad(RECORD, e.to_string()))?;
    let mut files = Files::from([(TENSORS.to_string(), tensors(own)?), (RECORD.to_string(), record)]);
    if let Some(Best { step, factors }) = best {
        let step = serde_json::to_vec(step).map_err(|e| bad(BEST_STEP, e.to_string()))?;
        files.extend([(BEST.to_string(), tensors([(KINDS[0], factors)])?), (BEST_STEP.to_string(), step)]);
    }
    if !evaluated {
        files.insert(UNEVALUATED.to_string(), Vec::new());
    }
    Ok(files)
}

/// The groups of factors as a safetensors file.
fn tensors<'a>(groups: impl IntoIterator<Item = (&'static str, &'a Vec<Factors>)>) -> Result<Vec<u8>, Error> {
    let bad = |why: String| Error::Corrupt { path: TENSORS.into(), why };
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut parts: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (kind, factors) in groups {
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
    safetensors::serialize(views, None).map_err(|e| bad(e.to_string()))
}

/// Fills `adapter` (fresh, of the right shapes) and gives back what else the checkpoint holds; `step` is the checkpoint's.
pub(super) fn read(files: &Files, step: usize, adapter: &mut Adapter) -> Result<State, Error> {
    let record: RunRecord =
        serde_json::from_slice(file(files, RECORD)?).map_err(|e| bad(RECORD, e.to_string()))?;
    let best = match files.get(BEST_STEP) {
        None => None,
        Some(step) => {
            let step = serde_json::from_slice(step).map_err(|e| bad(BEST_STEP, e.to_string()))?;
            Some(Best { step, factors: Tensors::of(files, BEST)?.group(KINDS[0], &adapter.factors)? })
        }
    };
    let own = Tensors::of(files, TENSORS)?;
    let [factor, first, second] = KINDS.map(|kind| own.group(kind, &adapter.factors));
    adapter.factors = factor?;
    Ok(State { moments: Moments { steps: step, first: first?, second: second? }, record, best })
}

/// The rank of each layer of the adapter of a checkpoint, by its path; layers of rank 0 are left out.
pub(super) fn ranks(files: &Files) -> Result<BTreeMap<String, usize>, Error> {
    let own = Tensors::of(files, TENSORS)?;
    let rank = |(name, tensor): (&str, TensorView<'_>)| {
        let path = name.strip_prefix(KINDS[0])?.strip_prefix('.')?.strip_suffix(".a")?;
        Some((path.to_string(), *tensor.shape().first()?))
    };
    Ok(own.all.iter().filter_map(rank).collect())
}

fn bad(name: &str, why: String) -> Error {
    Error::Corrupt { path: Path::new(name).into(), why }
}

fn file<'a>(files: &'a Files, name: &str) -> Result<&'a Vec<u8>, Error> {
    files.get(name).ok_or_else(|| bad(name, "missing from the checkpoint".to_string()))
}

/// A safetensors file of a checkpoint.
struct Tensors<'a> {
    name: &'static str,
    all: SafeTensors<'a>,
}

impl<'a> Tensors<'a> {
    fn of(files: &'a Files, name: &'static str) -> Result<Self, Error> {
        let all = SafeTensors::deserialize(file(files, name)?).map_err(|e| bad(name, e.to_string()))?;
        Ok(Self { name, all })
    }

    fn values(&self, tensor: &str, length: usize) -> Result<Vec<f32>, Error> {
        let found = self.all.tensor(tensor).map_err(|e| bad(self.name, format!("`{tensor}`: {e}")))?;
        let words = found.data().chunks_exact(4);
        let values: Vec<f32> = words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if values.len() == length {
            Ok(values)
        } else {
            let why = format!("`{tensor}` has {} values, expected {length}", values.len());
            Err(bad(self.name, why))
        }
    }

    /// The factors of a kind, in the shapes of `like`.
    fn group(&self, kind: &str, like: &[Factors]) -> Result<Vec<Factors>, Error> {
        let read = like.iter().map(|f| {
            Ok(Factors {
                a: self.values(&format!("{kind}.{}.a", f.path), f.a.len())?,
                b: self.values(&format!("{kind}.{}.b", f.path), f.b.len())?,
                magnitude: match &f.magnitude {
                    Some(own) => Some(self.values(&format!("{kind}.{}.magnitude", f.path), own.len())?),
                    None => None,
                },
                ..f.clone()
            })
        });
        read.collect()
    }
}
