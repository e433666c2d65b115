//! How ranks and scales that differ between modules are written for PEFT.

use super::config::Parts;
use super::selector::Selector;
use super::{Base, Patterns, PeftConfig};
use crate::{Adapter, Error, Factors, SiteKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

/// The two layouts of an adapter directory. Both load in every version of PEFT and compute the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeftLayout {
    /// Every module has its own rank, by `rank_pattern` and `alpha_pattern`. The smallest file.
    #[default]
    Pattern,
    /// All modules have the largest rank, filled up with zeros, and one scale, the rest of which is multiplied
    /// into B: for programs that do not know the patterns (vLLM, llama.cpp's converter).
    Uniform,
}

impl fmt::Display for PeftLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pattern => "pattern",
            Self::Uniform => "uniform",
        })
    }
}

impl FromStr for PeftLayout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "pattern" => Ok(Self::Pattern),
            "uniform" => Ok(Self::Uniform),
            _ => Err(format!("adapter layout `{text}`; there are pattern and uniform")),
        }
    }
}

/// The factors of one module as they are written.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) site: usize,
    pub(super) scale: f64,
    pub(super) factors: Factors,
}

/// The configuration and the tensors of `adapter` in a layout.
///
/// # Errors
/// [`Error::Mismatch`] if the adapter does not belong to the base, or no rule of PEFT selects exactly its layers.
pub(super) fn lay_out(
    adapter: &Adapter,
    base: &Base<'_>,
    layout: PeftLayout,
    base_model: &str,
) -> Result<(PeftConfig, Vec<Entry>), Error> {
    let mut entries = entries(adapter, base)?;
    if layout == PeftLayout::Uniform {
        make_uniform(&mut entries);
    }
    let rslora = layout == PeftLayout::Pattern && adapter.config.scale.is_rslora();
    let config = describe(&entries, base, rslora, adapter, base_model)?;
    verify(&config, &entries, base)?;
    Ok((config, entries))
}

/// Factors by site; an offset is joined on as more rank, `s (B A - B0 A0) = s [B, -B0] [A; A0]`.
fn entries(adapter: &Adapter, base: &Base<'_>) -> Result<Vec<Entry>, Error> {
    let mut all = Vec::with_capacity(adapter.factors.len());
    for own in adapter.factors.iter().filter(|own| own.rank > 0) {
        let bad = |why: String| Error::Mismatch { why: format!("layer `{}` {why}", own.path) };
        let Some(site) = base.sites.iter().position(|site| site.path == own.path) else {
            return Err(bad("of the adapter is not a layer of the model".to_string()));
        };
        let Factors { rank, inputs, outputs, .. } = *own;
        let known = &base.sites[site];
        if (inputs, outputs) != (known.inputs, known.outputs) {
            let (i, o) = (known.inputs, known.outputs);
            return Err(bad(format!("is {inputs} to {outputs} in the adapter, {i} to {o} in the model")));
        }
        if own.magnitude.is_some() != adapter.config.dora {
            return Err(bad("has a magnitude and the others have none, or the other way round".to_string()));
        }
        let scale = adapter.config.site_scale(&own.path, rank);
        let factors = match adapter.offset.iter().find(|offset| offset.path == own.path) {
            Some(offset) => joined(own, offset),
            None => own.clone(),
        };
        let counts = [factors.a.len() == factors.rank * inputs, factors.b.len() == factors.rank * outputs];
        if counts != [true, true] || factors.magnitude.as_ref().is_some_and(|m| m.len() != outputs) {
            return Err(bad(format!("has factors of other sizes than rank {rank} asks for")));
        }
        all.push(Entry { site, scale, factors });
    }
    if all.is_empty() {
        return Err(Error::NothingAdapted { why: "the adapter has no factors".to_string() });
    }
    all.sort_by_key(|entry| entry.site);
    Ok(all)
}

fn joined(own: &Factors, offset: &Factors) -> Factors {
    let rank = own.rank + offset.rank;
    let a = own.a.iter().chain(&offset.a).copied().collect();
    let rows = own.b.chunks_exact(own.rank.max(1)).zip(offset.b.chunks_exact(offset.rank.max(1)));
    let b = rows.flat_map(|(plus, minus)| plus.iter().copied().chain(minus.iter().map(|x| -x))).collect();
    Factors { rank, a, b, ..own.clone() }
}

/// Fills all ranks up to the largest and moves what differs of the scales into B.
/// With the common scale S, that of most parameters, and a module's own scale s: `B' = (s / S) B`, so `S B' A =
/// s B A` up to rounding in f32. Ranks are filled with rows of zeros in A and columns of zeros in B.
fn make_uniform(entries: &mut [Entry]) {
    let rank = entries.iter().map(|entry| entry.factors.rank).max().unwrap_or(1);
    let scale = commonest(entries.iter().map(|entry| (entry.scale, entry.factors.b.len())));
    for Entry { scale: own_scale, factors, .. } in entries {
        let factor = *own_scale / scale;
        let mut b = Vec::with_capacity(factors.outputs * rank);
        for row in factors.b.chunks_exact(factors.rank) {
            b.extend(row.iter().map(|x| if factor == 1.0 { *x } else { (f64::from(*x) * factor) as f32 }));
            b.extend(std::iter::repeat_n(0.0, rank - factors.rank));
        }
        factors.b = b;
        factors.a.resize(rank * factors.inputs, 0.0);
        (factors.rank, *own_scale) = (rank, scale);
    }
}

/// The value with the most weight.
fn commonest(values: impl Iterator<Item = (f64, usize)>) -> f64 {
    let mut weights: BTreeMap<u64, usize> = BTreeMap::new();
    for (value, weight) in values {
        *weights.entry(value.to_bits()).or_insert(0) += weight;
    }
    weights.into_iter().max_by_key(|(_, weight)| *weight).map_or(1.0, |(bits, _)| f64::from_bits(bits))
}

/// The configuration that holds the ranks and scales of `entries`.
///
/// `r` is the largest rank, which vLLM compares with its limit.
/// `alpha = scale * rank`, or `scale * sqrt(rank)` for rank-stabilised scales; `lora_alpha` is the commonest
/// alpha of the modules with the largest rank.
fn describe(
    entries: &[Entry],
    base: &Base<'_>,
    rslora: bool,
    adapter: &Adapter,
    base_model: &str,
) -> Result<PeftConfig, Error> {
    let alpha = |entry: &Entry| {
        let rank = entry.factors.rank as f64;
        tidy(entry.scale * if rslora { rank.sqrt() } else { rank })
    };
    let r = entries.iter().map(|entry| entry.factors.rank).max().unwrap_or(1);
    let widest = entries.iter().filter(|entry| entry.factors.rank == r);
    let lora_alpha = commonest(widest.map(|entry| (alpha(entry), 1)));
    let selector = Selector::new(base);
    let mark = |chosen: &dyn Fn(&Entry) -> bool| {
        let mut group = vec![false; base.sites.len()];
        entries.iter().filter(|entry| chosen(entry)).for_each(|entry| group[entry.site] = true);
        group
    };
    let adapted = mark(&|_| true);
    let mut rank_pattern = Patterns::default();
    let ranks: std::collections::BTreeSet<usize> = entries.iter().map(|entry| entry.factors.rank).collect();
    for rank in ranks.into_iter().filter(|rank| *rank != r) {
        let group = mark(&|entry| entry.factors.rank == rank);
        rank_pattern.0.extend(selector.keys(&group, &adapted)?.into_iter().map(|key| (key, rank)));
    }
    let mut alpha_pattern = Patterns::default();
    let alphas: std::collections::BTreeSet<u64> =
        entries.iter().map(|entry| alpha(entry).to_bits()).collect();
    for bits in alphas.into_iter().filter(|bits| *bits != lora_alpha.to_bits()) {
        let group = mark(&|entry| alpha(entry).to_bits() == bits);
        let value = f64::from_bits(bits);
        alpha_pattern.0.extend(selector.keys(&group, &adapted)?.into_iter().map(|key| (key, value)));
    }
    Ok(PeftConfig::new(Parts {
        alpha_pattern,
        base_model: base_model.to_string(),
        dropout: adapter.config.dropout,
        lora_alpha,
        r,
        rank_pattern,
        target_modules: selector.targets(&adapted)?,
        use_dora: adapter.config.dora,
        use_rslora: rslora,
    }))
}

/// A number without the last digits that arithmetic left, so that alpha 16 is written 16.
fn tidy(value: f64) -> f64 {
    let short: f64 = format!("{value:.13e}").parse().unwrap_or(value);
    if (short - value).abs() <= 1e-13 * value.abs() { short } else { value }
}

/// Asks the written rules about every layer, under the names of every supported version.
fn verify(config: &PeftConfig, entries: &[Entry], base: &Base<'_>) -> Result<(), Error> {
    let matcher = config.matcher()?;
    let supported = base.namings.iter().filter(|naming| naming.supported).map(Some);
    for naming in std::iter::once(None).chain(supported) {
        let mut own = entries.iter().peekable();
        for (index, site) in base.sites.iter().enumerate() {
            let path = naming.map_or_else(|| site.path.clone(), |naming| naming.spell(&site.path));
            let entry = own.next_if(|entry| entry.site == index);
            // A list or pattern names embeddings and convolutions as well.
            let adapts = matcher.adapts(&path, SiteKind::Linear)?;
            let configured = if adapts { Some((matcher.rank(&path)?, matcher.scale(&path)?)) } else { None };
            let right = match (entry, configured) {
                (None, None) => true,
                (Some(entry), Some((rank, scale))) => {
                    rank == entry.factors.rank && (scale - entry.scale).abs() <= 1e-12 * entry.scale
                }
                _ => false,
            };
            if !right {
                let found = configured.map(|(rank, scale)| format!("rank {rank}, scale {scale}"));
                let expected = entry.map(|e| format!("rank {}, scale {}", e.factors.rank, e.scale));
                let none = || "not adapted".to_string();
                let why = format!(
                    "the rules of PEFT give `{path}` {} instead of {}",
                    found.unwrap_or_else(none),
                    expected.unwrap_or_else(none)
                );
                return Err(Error::Mismatch { why });
            }
        }
    }
    Ok(())
}
