//! Reads an adapter directory, all of it or an error that lists the names.

use super::{CONFIG_FILE, PREFIX, PeftConfig, WEIGHTS_FILE, tensor_names};
use crate::{Adapter, AdapterConfig, Component, Error, Factors, ScaleConvention, Site, Targets};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The adapter in `dir` for a model with these sites.
///
/// # Errors
/// [`Error::Io`] and [`Error::BadFile`] for unreadable files; [`Error::Mismatch`] when a tensor is missing, left
/// over or of another shape, or when the adapter uses what this version does not compute (DoRA, other types).
pub fn read(dir: &Path, components: &[Component], sites: &[Site]) -> Result<Adapter, Error> {
    let config = read_config(&dir.join(CONFIG_FILE))?;
    let path = dir.join(WEIGHTS_FILE);
    let bytes = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
    let bad = |why: String| Error::BadFile { path: path.clone(), why };
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|e| bad(format!("not a whole safetensors file: {e}")))?;

    let mut left: BTreeSet<&str> = tensors.names().into_iter().collect();
    let mut factors = Vec::new();
    let (mut missing, mut ranks) = (Vec::new(), vec![0; sites.len()]);
    for (index, site) in sites.iter().enumerate() {
        if !config.adapts(&site.path)? {
            continue;
        }
        let rank = config.rank(&site.path)?;
        let (name_a, name_b) = tensor_names(&site.path);
        let (Ok(a), Ok(b)) = (tensors.tensor(&name_a), tensors.tensor(&name_b)) else {
            missing.push(format!("{PREFIX}{}.lora_A/lora_B.weight", site.path));
            continue;
        };
        left.remove(name_a.as_str());
        left.remove(name_b.as_str());
        factors.push(Factors {
            path: site.path.clone(),
            rank,
            inputs: site.inputs,
            outputs: site.outputs,
            a: values(&a, &name_a, [rank, site.inputs]).map_err(bad)?,
            b: values(&b, &name_b, [site.outputs, rank]).map_err(bad)?,
            magnitude: None,
        });
        ranks[index] = rank;
    }
    if !missing.is_empty() || !left.is_empty() {
        let why = format!("{} missing: {missing:?}; without a layer: {left:?}", path.display());
        return Err(Error::Mismatch { why });
    }
    let config = adapter_config(&config, components, sites, &ranks)?;
    Ok(Adapter { config, factors, offset: Vec::new() })
}

fn read_config(path: &Path) -> Result<PeftConfig, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    let bad = |why: String| Error::BadFile { path: path.to_path_buf(), why };
    let config: PeftConfig = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
    if config.peft_type != "LORA" {
        return Err(bad(format!("peft_type is `{}`, expected `LORA`", config.peft_type)));
    }
    if config.use_dora {
        return Err(bad("use_dora is true; DoRA adapters are not supported yet".to_string()));
    }
    if config.r == 0 || config.rank_pattern.values().any(|rank| *rank == 0) {
        return Err(bad("a rank is 0, expected 1 or more".to_string()));
    }
    Ok(config)
}

/// The configuration that gives every component its rank and every layer its scale.
fn adapter_config(
    config: &PeftConfig,
    components: &[Component],
    sites: &[Site],
    ranks: &[usize],
) -> Result<AdapterConfig, Error> {
    let mut by_component = BTreeMap::new();
    let mut scales = Vec::new();
    for (site, rank) in sites.iter().zip(ranks).filter(|(_, rank)| **rank > 0) {
        let known = *by_component.entry(site.component.clone()).or_insert(*rank);
        if known != *rank {
            let why = format!(
                "layers of module `{}` have ranks {known} and {rank}; one rank for each module is supported",
                site.component
            );
            return Err(Error::Mismatch { why });
        }
        scales.push((*rank, config.scale(&site.path)?));
    }
    let Some(&(rank, scale)) = scales.first() else {
        let why = "target_modules of the adapter selects no layer of the model".to_string();
        return Err(Error::NothingAdapted { why });
    };
    let alpha = if config.use_rslora { scale * (rank as f64).sqrt() } else { scale * rank as f64 };
    let candidates = [
        if config.use_rslora {
            ScaleConvention::AlphaOverSqrtRank { alpha }
        } else {
            ScaleConvention::AlphaOverRank { alpha }
        },
        ScaleConvention::Constant { scale },
    ];
    let fits = |c: &ScaleConvention| scales.iter().all(|(r, s)| (c.scale(*r) - s).abs() <= 1e-9 * s.abs());
    let Some(scale) = candidates.into_iter().find(fits) else {
        let why = format!("scales {scales:?} (rank, scale) follow no convention over the ranks");
        return Err(Error::Mismatch { why });
    };
    let adapted = sites.iter().zip(ranks).filter(|(_, rank)| **rank > 0);
    let paths: Vec<String> = adapted.map(|(site, _)| regex::escape(&site.path)).collect();
    let whole =
        sites.iter().zip(ranks).all(|(s, rank)| *rank > 0 || !by_component.contains_key(&s.component));
    let targets = if whole { Targets::all_linear() } else { Targets::matching(&paths.join("|"))? };
    let config = AdapterConfig { scale, targets, ..AdapterConfig::new(by_component, 0) };
    if config.site_ranks(components, sites)? != ranks {
        let why = format!("its ranks by layer cannot be said by modules: {:?}", config.ranks);
        return Err(Error::Mismatch { why });
    }
    Ok(config)
}

fn values(tensor: &TensorView<'_>, name: &str, shape: [usize; 2]) -> Result<Vec<f32>, String> {
    if tensor.shape() != shape {
        return Err(format!("tensor `{name}` has shape {:?}, expected {shape:?}", tensor.shape()));
    }
    if tensor.dtype() != Dtype::F32 {
        return Err(format!("tensor `{name}` is {:?}, expected F32", tensor.dtype()));
    }
    let words = tensor.data().chunks_exact(4);
    Ok(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
