//! `adapter_config.json`: which layers, which rank and which scale, with PEFT's matching rules.

use crate::target::full_match;
use crate::{Adapter, Component, Error, Site};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The fields of PEFT's `LoraConfig` that old and new versions of PEFT accept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeftConfig {
    /// `lora_alpha` of modules whose value differs, by regular expression.
    #[serde(default)]
    pub alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    auto_mapping: Option<serde_json::Value>,
    /// Name or path of the base model.
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    #[serde(default = "none_text")]
    bias: String,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    inference_mode: bool,
    #[serde(default = "yes")]
    init_lora_weights: serde_json::Value,
    #[serde(default)]
    layers_pattern: Option<serde_json::Value>,
    #[serde(default)]
    layers_to_transform: Option<serde_json::Value>,
    /// Alpha of modules without a pattern.
    pub lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    modules_to_save: Option<serde_json::Value>,
    /// Always `LORA`.
    pub peft_type: String,
    /// Rank of modules without a pattern.
    pub r: usize,
    /// Rank of modules whose value differs, by regular expression.
    #[serde(default)]
    pub rank_pattern: BTreeMap<String, usize>,
    #[serde(default)]
    revision: Option<String>,
    /// The adapted layers.
    pub target_modules: TargetModules,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    pub(crate) use_dora: bool,
    /// Scale alpha / sqrt(r) instead of alpha / r.
    #[serde(default)]
    pub use_rslora: bool,
}

/// `target_modules`: a regular expression for the whole path, or a list of path ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// `re.fullmatch` on the module path.
    Pattern(String),
    /// Equal to the path, or to its end after a dot.
    Suffixes(Vec<String>),
}

fn none_text() -> String {
    "none".to_string()
}

fn yes() -> serde_json::Value {
    true.into()
}

impl PeftConfig {
    /// The configuration of layout `pattern` for `adapter`.
    ///
    /// `r` is the largest rank (vLLM checks it against its maximum); modules with other ranks get patterns.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if no rule of PEFT selects exactly the adapted layers.
    pub fn pattern(
        adapter: &Adapter,
        components: &[Component],
        sites: &[Site],
        base_model: &str,
    ) -> Result<Self, Error> {
        let ranks = adapter.config.site_ranks(components, sites)?;
        let r = ranks.iter().copied().max().unwrap_or(1);
        let scale = adapter.config.scale;
        let mut rank_pattern = BTreeMap::new();
        let mut alpha_pattern = BTreeMap::new();
        for component in components {
            let rank = adapter.config.ranks.get(&component.name).copied().unwrap_or(0);
            if rank > 0 && rank != r {
                rank_pattern.insert(component.pattern.clone(), rank);
                if scale.alpha(rank) != scale.alpha(r) {
                    alpha_pattern.insert(component.pattern.clone(), scale.alpha(rank));
                }
            }
        }
        let config = Self {
            alpha_pattern,
            auto_mapping: None,
            base_model_name_or_path: Some(base_model.to_string()),
            bias: none_text(),
            fan_in_fan_out: false,
            inference_mode: true,
            init_lora_weights: yes(),
            layers_pattern: None,
            layers_to_transform: None,
            lora_alpha: scale.alpha(r),
            lora_dropout: 0.0,
            modules_to_save: None,
            peft_type: "LORA".to_string(),
            r,
            rank_pattern,
            revision: None,
            target_modules: target_modules(components, sites, &ranks)?,
            task_type: Some("CAUSAL_LM".to_string()),
            use_dora: false,
            use_rslora: scale.is_rslora(),
        };
        for (site, rank) in sites.iter().zip(&ranks).filter(|(_, rank)| **rank > 0) {
            if config.rank(&site.path)? != *rank {
                let why = format!("no rank_pattern gives `{}` rank {rank}", site.path);
                return Err(Error::Mismatch { why });
            }
        }
        Ok(config)
    }

    /// Whether PEFT would adapt the layer at `path`.
    ///
    /// # Errors
    /// [`Error::BadPattern`].
    pub fn adapts(&self, path: &str) -> Result<bool, Error> {
        Ok(match &self.target_modules {
            TargetModules::Pattern(pattern) => full_match(pattern)?.is_match(path),
            TargetModules::Suffixes(suffixes) => suffixes.iter().any(|s| ends_with(path, s)),
        })
    }

    /// The rank that PEFT gives the layer at `path`.
    ///
    /// # Errors
    /// [`Error::BadPattern`].
    pub fn rank(&self, path: &str) -> Result<usize, Error> {
        Ok(first_match(&self.rank_pattern, path)?.unwrap_or(self.r))
    }

    /// The scale that PEFT gives the layer at `path`.
    ///
    /// # Errors
    /// [`Error::BadPattern`].
    pub fn scale(&self, path: &str) -> Result<f64, Error> {
        let alpha = first_match(&self.alpha_pattern, path)?.unwrap_or(self.lora_alpha);
        let rank = self.rank(path)? as f64;
        Ok(alpha / if self.use_rslora { rank.sqrt() } else { rank })
    }
}

fn ends_with(path: &str, suffix: &str) -> bool {
    path == suffix || path.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

/// PEFT's `get_pattern_key`: `(.*\.)?(key)$` at the beginning of the path.
fn first_match<T: Copy>(patterns: &BTreeMap<String, T>, path: &str) -> Result<Option<T>, Error> {
    for (key, value) in patterns {
        if full_match(&format!(r"(.*\.)?({key})"))?.is_match(path) {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

/// The loosest rule that selects exactly the layers with a rank: names survive other versions of
/// `transformers` best as suffixes, then as components with suffixes, and worst as full paths.
fn target_modules(components: &[Component], sites: &[Site], ranks: &[usize]) -> Result<TargetModules, Error> {
    let leaves = |component: Option<&str>| {
        let own = sites
            .iter()
            .zip(ranks)
            .filter(|(site, rank)| **rank > 0 && component.is_none_or(|name| site.component == name));
        let mut names: Vec<String> = own.map(|(site, _)| site.leaf().to_string()).collect();
        names.sort();
        names.dedup();
        names
    };
    let suffixes = leaves(None);
    let exact = |adapts: &dyn Fn(&str) -> Result<bool, Error>| -> Result<bool, Error> {
        for (site, rank) in sites.iter().zip(ranks) {
            if adapts(&site.path)? != (*rank > 0) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    if exact(&|path| Ok(suffixes.iter().any(|s| ends_with(path, s))))? {
        return Ok(TargetModules::Suffixes(suffixes));
    }
    let by_component = components.iter().filter(|c| !leaves(Some(&c.name)).is_empty()).map(|component| {
        let stem = component.pattern.strip_suffix(".*").unwrap_or(&component.pattern);
        format!(r"{stem}(?:.*\.)?(?:{})", leaves(Some(&component.name)).join("|"))
    });
    let pattern = format!(r"(?:.*\.)?(?:{})", by_component.collect::<Vec<_>>().join("|"));
    let regex = full_match(&pattern)?;
    if exact(&|path| Ok(regex.is_match(path)))? {
        return Ok(TargetModules::Pattern(pattern));
    }
    let adapted = sites.iter().zip(ranks).filter(|(_, rank)| **rank > 0);
    let paths: Vec<String> = adapted.map(|(site, _)| regex::escape(&site.path)).collect();
    Ok(TargetModules::Pattern(paths.join("|")))
}
