//! Puts the modules of an adapter to the sites of a model: each of them, or an error with the names.

use super::files::{AdapterFiles, Module};
use super::keys::{self, Part};
use super::naming::canonical;
use super::{Base, CONFIG_FILE, Naming, Partial};
use crate::stored::StoredTensor;
use crate::{Error, Factors, Site, SiteKind};
use std::collections::{BTreeMap, BTreeSet};

/// Of adapters on the patch embedding of models that read films.
const SPATIAL: &str = "adapters of a 3-D convolution of patches are neither trained nor applied, only merged: merge the \
                       adapter into its base and use the result, or train it without that layer";
/// Of adapters on the output layer.
const HEAD: &str = "adapters of the output layer are neither trained nor applied, only merged: merge the adapter into its \
                    base and use the result";

/// A module of an adapter at its place in a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// Index of the site.
    pub site: usize,
    /// The module's name in the file.
    pub name: String,
    /// Rank.
    pub rank: usize,
    /// Scale of the low-rank product.
    pub scale: f64,
    /// Whether it has a magnitude (DoRA).
    pub dora: bool,
}

impl AdapterFiles {
    /// The place, rank and scale of every module, in site order.
    ///
    /// # Errors
    /// [`Error::Partial`] with all names if a tensor is missing, left over or of another shape;
    /// [`Error::BadFile`] for an empty adapter, and for a pattern that is no regular expression, or one
    /// that asks for too much memory.
    pub fn bind(&self, base: &Base<'_>) -> Result<Vec<Bound>, Error> {
        self.bound(base).map_err(|error| match error {
            // The pattern stands in the file, not in what the caller said.
            pattern @ (Error::BadPattern { .. } | Error::LargePattern { .. }) => {
                Error::BadFile { path: self.path.join(CONFIG_FILE), why: pattern.to_string() }
            }
            other => other,
        })
    }

    fn bound(&self, base: &Base<'_>) -> Result<Vec<Bound>, Error> {
        let matcher = self.config.matcher()?;
        let mut partial = Partial {
            path: self.path.clone(),
            missing: Vec::new(),
            unexpected: Vec::new(),
            wrong: Vec::new(),
            cause: None,
        };
        let mut by_site: BTreeMap<String, &str> = BTreeMap::new();
        let mut double = BTreeSet::new();
        for name in self.modules.keys() {
            if by_site.insert(canonical(name, base.namings), name).is_some() {
                double.insert(name.as_str());
            }
        }
        let style = self.naming(base);
        let (mut all, mut placed) = (Vec::new(), BTreeSet::new());
        for (index, site) in base.sites.iter().enumerate() {
            let found =
                by_site.get(&canonical(&site.path, base.namings)).filter(|name| !double.contains(**name));
            let Some(name) = found else {
                let name = style.map_or_else(|| site.path.clone(), |naming| naming.spell(&site.path));
                if matcher.adapts(&name, site.kind)? {
                    let [a, b, magnitude] = keys::names(&name, site.kind);
                    partial.missing.extend([a, b]);
                    partial.missing.extend(self.config.use_dora.then_some(magnitude));
                }
                continue;
            };
            if !matcher.adapts(name, site.kind)? {
                continue;
            }
            placed.insert(*name);
            let bound = Bound {
                site: index,
                name: (*name).to_string(),
                rank: matcher.rank(name)?,
                scale: matcher.scale(name)?,
                dora: self.config.use_dora,
            };
            self.check(&bound, site, &mut partial);
            all.push(bound);
        }
        for (name, module) in self.modules.iter().filter(|(name, _)| !placed.contains(name.as_str())) {
            let spatial = self.tensors(module).any(|tensor| tensor.shape.len() == 5);
            let head = name == "lm_head" || name.ends_with(".lm_head");
            partial.cause = match (spatial, head) {
                (true, _) => Some(SPATIAL),
                (_, true) => Some(HEAD),
                _ => partial.cause,
            };
            partial.unexpected.extend(self.tensors(module).map(|tensor| tensor.name.clone()));
        }
        if !(partial.missing.is_empty() && partial.unexpected.is_empty() && partial.wrong.is_empty()) {
            return Err(Error::Partial(Box::new(partial)));
        }
        if all.is_empty() {
            let why = "it holds no tensors, and target_modules selects no layer of the model".to_string();
            return Err(Error::BadFile { path: self.weights.path.clone(), why });
        }
        Ok(all)
    }

    /// The naming that explains most names of the file; none if the own one does.
    pub fn naming<'b>(&self, base: &Base<'b>) -> Option<&'b Naming> {
        let count = |naming: Option<&Naming>| {
            let spelled = |site: &&Site| {
                let name = naming.map_or_else(|| site.path.clone(), |naming| naming.spell(&site.path));
                self.modules.contains_key(&name)
            };
            base.sites.iter().filter(spelled).count()
        };
        let mut best = (None, count(None));
        for naming in base.namings {
            let explained = count(Some(naming));
            if explained > best.1 {
                best = (Some(naming), explained);
            }
        }
        best.0
    }

    fn tensors<'m>(&'m self, module: &'m Module) -> impl Iterator<Item = &'m StoredTensor> {
        module.parts.values().map(|index| &self.weights.tensors[*index])
    }

    /// Compares the tensors of a module with what its site and the configuration ask for.
    fn check(&self, bound: &Bound, site: &Site, partial: &mut Partial) {
        let module = &self.modules[&bound.name];
        let names = keys::names(&bound.name, site.kind);
        let rank = bound.rank;
        let parts = parts(site.kind);
        let expected = [vec![rank, site.inputs], vec![site.outputs, rank], vec![site.outputs]];
        for ((part, expected), name) in parts.into_iter().zip(&expected).zip(names) {
            match self.tensor(module, part) {
                None if part != Part::Magnitude || bound.dora => partial.missing.push(name),
                Some(tensor) if part == Part::Magnitude && !bound.dora => {
                    partial.unexpected.push(format!("{} (use_dora is false)", tensor.name));
                }
                Some(tensor) if !fits(tensor, part, site.kind, expected) => {
                    let StoredTensor { name, dtype, shape, .. } = tensor;
                    partial.wrong.push(format!("`{name}` {dtype} {shape:?} instead of floats {expected:?}"));
                }
                _ => (),
            }
        }
        if bound.dora && site.kind == SiteKind::Embedding {
            partial
                .unexpected
                .push(format!("magnitude of the embedding `{}`, which is not supported", bound.name));
        }
        let bias =
            |part: &Part| *part == Part::BiasB && self.config.lora_bias && site.kind != SiteKind::Embedding;
        let strange = module.parts.keys().filter(|part| !parts.contains(part) && !bias(part));
        partial.unexpected.extend(strange.map(|part| self.weights.tensors[module.parts[part]].name.clone()));
    }

    /// The factors of a module.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::BadFile`].
    pub fn factors(&self, bound: &Bound, site: &Site) -> Result<Factors, Error> {
        let module = &self.modules[&bound.name];
        let [a, b, magnitude] = parts(site.kind);
        let values = |part| -> Result<Vec<f32>, Error> {
            match self.tensor(module, part) {
                Some(tensor) => Ok(self.weights.values(tensor)?.into_iter().map(|x| x as f32).collect()),
                None => Ok(Vec::new()),
            }
        };
        Ok(Factors {
            path: site.path.clone(),
            rank: bound.rank,
            inputs: site.inputs,
            outputs: site.outputs,
            a: values(a)?,
            b: values(b)?,
            magnitude: if bound.dora { Some(values(magnitude)?) } else { None },
        })
    }

    /// The rank of a module without the components that [`Factors::without_zeros`] leaves out. The factors are not held.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn used_rank(&self, bound: &Bound, kind: SiteKind) -> Result<usize, Error> {
        let module = &self.modules[&bound.name];
        let [a, b, _] = parts(kind);
        let rank = bound.rank.max(1);
        let mut used = vec![false; rank];
        // Components are the rows of A and the columns of B.
        for (part, rows) in [(a, true), (b, false)] {
            let Some(tensor) = self.tensor(module, part) else { continue };
            let row = (tensor.count() / rank).max(1);
            let mut at = 0;
            self.weights.blocks(tensor, |values| {
                for value in values {
                    let component = if rows { at / row } else { at % rank };
                    used[component] |= *value as f32 != 0.0;
                    at += 1;
                }
            })?;
        }
        Ok(used.into_iter().filter(|used| *used).count().max(1))
    }
}

fn parts(kind: SiteKind) -> [Part; 3] {
    match kind {
        SiteKind::Embedding => [Part::EmbeddingA, Part::EmbeddingB, Part::Magnitude],
        SiteKind::Linear | SiteKind::Convolution { .. } => [Part::A, Part::B, Part::Magnitude],
    }
}

/// Whether a tensor has the shape, up to the kernel of a convolution and to ones.
fn fits(tensor: &StoredTensor, part: Part, kind: SiteKind, expected: &[usize]) -> bool {
    let shape = &tensor.shape[..];
    let count = tensor.count() == expected.iter().product::<usize>();
    let shaped = match (part, kind) {
        (Part::Magnitude, _) => true,
        (Part::A, SiteKind::Convolution { channels, height, width }) => match *shape {
            [rank, ..] if shape.len() == 4 => shape == [rank, channels, height, width] && rank == expected[0],
            // Frames of a patch have a dimension of their own there.
            [rank, own, ..] if shape.len() == 5 => (rank, own) == (expected[0], channels),
            _ => false,
        },
        (Part::B, SiteKind::Convolution { .. }) => shape.starts_with(expected),
        _ => shape == expected,
    };
    tensor.float().is_some() && count && shaped
}
