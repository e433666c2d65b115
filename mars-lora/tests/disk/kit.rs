//! Helpers: random adapters, files by tensor.

use crate::families::Family;
use mars_lora::peft::{self, PeftConfig, PeftLayout, Provenance};
use mars_lora::{Adapter, AdapterConfig, Factors, ScaleConvention};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// An adapter with `ranks[site]` and random factors.
pub(crate) fn adapter(family: &Family, ranks: &[usize], scale: ScaleConvention, dora: bool) -> Adapter {
    let mut config = AdapterConfig { scale, dora, ..AdapterConfig::new(Vec::<(String, usize)>::new(), 0) };
    let mut factors = Vec::new();
    for (index, (site, &rank)) in family.sites.iter().zip(ranks).enumerate() {
        config.layer_ranks.insert(site.path.clone(), rank);
        if rank > 0 {
            let seed = index as u64;
            factors.push(Factors {
                path: site.path.clone(),
                rank,
                inputs: site.inputs,
                outputs: site.outputs,
                a: numbers(3 * seed, rank * site.inputs),
                b: numbers(3 * seed + 1, rank * site.outputs),
                magnitude: dora.then(|| numbers(3 * seed + 2, site.outputs)),
            });
        }
    }
    Adapter { config, factors, offset: Vec::new() }
}

/// The rank of each site, by its module.
pub(crate) fn ranks(family: &Family, of: &[(&str, usize)]) -> Vec<usize> {
    let rank = |module: &str| of.iter().find(|(name, _)| *name == module).map_or(0, |(_, rank)| *rank);
    family.sites.iter().map(|site| rank(&site.module)).collect()
}

pub(crate) fn write(dir: &Path, family: &Family, adapter: &Adapter, layout: PeftLayout) -> PeftConfig {
    let provenance = Provenance { base_model: "org/base".into(), summary: "A test.".into() };
    peft::write(dir, adapter, &family.base(), layout, &provenance).unwrap()
}

/// `s B A` of each layer, row-major `[outputs, inputs]`.
pub(crate) fn products(adapter: &Adapter) -> BTreeMap<String, Vec<f64>> {
    let offset = |path: &str| adapter.offset.iter().find(|f| f.path == path);
    let scaled = |f: &Factors| {
        let scale = adapter.config.site_scale(&f.path, f.rank);
        let plus = product(f);
        match offset(&f.path) {
            Some(minus) => plus.iter().zip(product(minus)).map(|(p, m)| scale * (p - m)).collect(),
            None => plus.iter().map(|p| scale * p).collect(),
        }
    };
    adapter.factors.iter().map(|f| (f.path.clone(), scaled(f))).collect()
}

fn product(f: &Factors) -> Vec<f64> {
    let mut out = vec![0.0; f.outputs * f.inputs];
    for o in 0..f.outputs {
        for r in 0..f.rank {
            for i in 0..f.inputs {
                out[o * f.inputs + i] += f64::from(f.b[o * f.rank + r]) * f64::from(f.a[r * f.inputs + i]);
            }
        }
    }
    out
}

/// Shape and values of every tensor of a file.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub(crate) fn load(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => {
                    data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
                }
                Dtype::BF16 => data
                    .chunks_exact(2)
                    .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
                    .collect(),
                Dtype::F16 => data
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).to_f32())
                    .collect(),
                other => panic!("{other:?}"),
            };
            (name.to_string(), (view.shape().to_vec(), values))
        })
        .collect()
}

pub(crate) fn save(path: &Path, tensors: &Tensors, dtype: Dtype) {
    let bytes = |values: &[f32]| -> Vec<u8> {
        match dtype {
            Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Dtype::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
            Dtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
            other => panic!("{other:?}"),
        }
    };
    let data: Vec<_> =
        tensors.iter().map(|(name, (shape, values))| (name, shape.clone(), bytes(values))).collect();
    let views =
        data.iter().map(|(name, shape, data)| (*name, TensorView::new(dtype, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

/// A random checkpoint with a weight for every site, under other names if asked.
pub(crate) fn base(dir: &Path, family: &Family, naming: Option<usize>, dtype: Dtype) -> PathBuf {
    std::fs::create_dir_all(dir).unwrap();
    let mut tensors = Tensors::new();
    for (index, site) in family.sites.iter().enumerate() {
        let path = naming.map_or_else(|| site.path.clone(), |n| family.namings[n].spell(&site.path));
        let values = numbers(1000 + index as u64, site.inputs * site.outputs);
        tensors.insert(format!("{path}.weight"), (vec![site.outputs, site.inputs], values));
        tensors.insert(format!("{path}.bias"), (vec![site.outputs], numbers(index as u64, site.outputs)));
    }
    tensors.insert("lm_head.weight".into(), (vec![4, 6], numbers(7, 24)));
    save(&dir.join("model.safetensors"), &tensors, dtype);
    std::fs::write(dir.join("config.json"), r#"{"model_type": "x", "torch_dtype": "float32"}"#).unwrap();
    dir.to_path_buf()
}
