//! Writes adapters of many kinds for a base model whose layers are listed in a file; for `tests/oracle/peft_exchange.py`.
//!
//! `cargo run -p mars-vlm --example adapters_on_disk -- BASE SITES.json OUT`: SITES.json holds `sites`, a list of `path`,
//! `module`, `kind`, `inputs` and `outputs` (and `kernel` for a convolution), and `others`, the paths of all other
//! modules. For every case and layout OUT receives `CASE-LAYOUT/`, and once `CASE.truth.safetensors` with the same
//! factors by their own module paths, `PATH.a`, `PATH.b`, `PATH.m`, and `CASE.truth.json` with ranks and scales.

use anyhow::{Context, Result};
use mars_lora::merge::ModelNames;
use mars_lora::peft::{self, Base, PeftLayout, Provenance};
use mars_lora::{Adapter, AdapterConfig, Factors, ScaleConvention, Site, SiteKind};
use mars_vlm::checkpoint::names_of_dir;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Listed {
    sites: Vec<ListedSite>,
    others: Vec<String>,
}

#[derive(Deserialize)]
struct ListedSite {
    path: String,
    module: String,
    kind: String,
    inputs: usize,
    outputs: usize,
    #[serde(default)]
    kernel: [usize; 3],
}

impl ListedSite {
    fn site(&self) -> Site {
        let [channels, height, width] = self.kernel;
        let kind = match self.kind.as_str() {
            "embedding" => SiteKind::Embedding,
            "convolution" => SiteKind::Convolution { channels, height, width },
            _ => SiteKind::Linear,
        };
        Site { kind, ..Site::linear(&*self.path, &*self.module, self.inputs, self.outputs) }
    }
}

/// Rank by module, index and kind.
type Ranks = fn(&Site, usize) -> usize;

struct Case {
    name: &'static str,
    ranks: Ranks,
    scale: ScaleConvention,
    dora: bool,
    /// A further scale of the third adapted layer.
    odd_scale: bool,
}

fn linear(site: &Site, ve: usize, projector: usize, llm: usize) -> usize {
    match (site.kind, site.module.as_str()) {
        (SiteKind::Linear, "ve") => ve,
        (SiteKind::Linear, "projector") => projector,
        (SiteKind::Linear, "llm") => llm,
        _ => 0,
    }
}

fn cases() -> Vec<Case> {
    let constant = ScaleConvention::Constant { scale: 2.0 };
    let case = |name, ranks: Ranks| Case { name, ranks, scale: constant, dora: false, odd_scale: false };
    vec![
        case("ve", |site, _| linear(site, 4, 0, 0)),
        case("llm", |site, _| linear(site, 0, 0, 4)),
        case("both", |site, _| linear(site, 2, 0, 5)),
        case("ve-larger", |site, _| linear(site, 6, 3, 2)),
        case("projector", |site, _| linear(site, 0, 3, 0)),
        Case {
            scale: ScaleConvention::AlphaOverRank { alpha: 7.0 },
            ..case("alpha", |s, _| linear(s, 2, 3, 5))
        },
        Case {
            scale: ScaleConvention::AlphaOverSqrtRank { alpha: 3.0 },
            ..case("rslora", |s, _| linear(s, 2, 0, 5))
        },
        Case { dora: true, ..case("dora", |site, _| linear(site, 2, 0, 5)) },
        // As an adaptive method leaves it: every layer its own rank, some none.
        Case {
            odd_scale: true,
            ..case("by-layer", |site, index| linear(site, 1, 1, 1) * ((index * 7 + index / 3) % 5))
        },
        case("embedding-convolution", |site, _| match site.kind {
            SiteKind::Linear => linear(site, 2, 0, 4),
            SiteKind::Embedding | SiteKind::Convolution { .. } => 3,
        }),
    ]
}

fn adapter(case: &Case, sites: &[Site]) -> Adapter {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let mut config = AdapterConfig {
        scale: case.scale,
        dora: case.dora,
        ..AdapterConfig::new(Vec::<(String, usize)>::new(), 0)
    };
    let mut factors = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let rank = (case.ranks)(site, index).min(site.max_rank());
        config.layer_ranks.insert(site.path.clone(), rank);
        if rank == 0 {
            continue;
        }
        let mut numbers = |count: usize, low: f32, high: f32| -> Vec<f32> {
            (0..count).map(|_| rng.random_range(low..high)).collect()
        };
        factors.push(Factors {
            path: site.path.clone(),
            rank,
            inputs: site.inputs,
            outputs: site.outputs,
            a: numbers(rank * site.inputs, -0.2, 0.2),
            b: numbers(rank * site.outputs, -0.2, 0.2),
            magnitude: case.dora.then(|| numbers(site.outputs, 0.5, 1.5)),
        });
    }
    if case.odd_scale
        && let Some(third) = factors.get(2)
    {
        config.layer_scales.insert(third.path.clone(), 0.75);
    }
    Adapter { config, factors, offset: Vec::new() }
}

fn truth(out: &Path, case: &str, adapter: &Adapter) -> Result<()> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let (mut parts, mut told) = (Vec::new(), serde_json::Map::new());
    for f in &adapter.factors {
        parts.push((format!("{}.a", f.path), vec![f.rank, f.inputs], bytes(&f.a)));
        parts.push((format!("{}.b", f.path), vec![f.outputs, f.rank], bytes(&f.b)));
        if let Some(magnitude) = &f.magnitude {
            parts.push((format!("{}.m", f.path), vec![f.outputs], bytes(magnitude)));
        }
        let scale = adapter.config.site_scale(&f.path, f.rank);
        told.insert(f.path.clone(), serde_json::json!({"rank": f.rank, "scale": scale}));
    }
    let views = parts
        .iter()
        .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    serialize_to_file(views, None, &out.join(format!("{case}.truth.safetensors")))?;
    std::fs::write(out.join(format!("{case}.truth.json")), serde_json::to_string_pretty(&told)?)?;
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [base_dir, listed, out] = &arguments[..] else { anyhow::bail!("give BASE SITES.json OUT") };
    let text = std::fs::read_to_string(listed).with_context(|| listed.display().to_string())?;
    let Listed { sites, others } = serde_json::from_str(&text)?;
    let sites: Vec<Site> = sites.iter().map(ListedSite::site).collect();
    let ModelNames { modules, namings, .. } = names_of_dir(base_dir)?;
    let base = Base::new(&modules, &sites).with_namings(&namings).with_others(&others);
    std::fs::create_dir_all(out)?;
    for case in cases() {
        let adapter = adapter(&case, &sites);
        // The projector of Gemma 3 has no layers.
        if adapter.factors.is_empty() {
            continue;
        }
        truth(out, case.name, &adapter)?;
        for layout in [PeftLayout::Pattern, PeftLayout::Uniform] {
            let provenance =
                Provenance { base_model: base_dir.display().to_string(), summary: case.name.to_owned() };
            let dir = out.join(format!("{}-{layout}", case.name));
            peft::write(&dir, &adapter, &base, layout, &provenance)
                .with_context(|| dir.display().to_string())?;
        }
    }
    Ok(())
}
