//! Which modules PEFT adapts, with which rank and scale.
//!
//! The rules are those of `check_target_module_exists` and `get_pattern_key` of peft 0.18 to 0.21.

use super::PeftConfig;
use super::allowance::Allowance;
use super::patterns::Compiled;
use super::python::PythonRegex;
use super::targets::{OneOrMore, TargetModules, ends_with};
use crate::{Error, SiteKind};

/// Modules by a rule.
#[derive(Clone, Debug)]
enum Rule {
    AllLinear,
    Pattern(PythonRegex),
    Suffixes(Vec<String>),
}

impl Rule {
    fn new(modules: &TargetModules, allowance: &mut Allowance) -> Result<Self, Error> {
        Ok(match modules {
            TargetModules::Pattern(text) if text.eq_ignore_ascii_case("all-linear") => Self::AllLinear,
            TargetModules::Pattern(text) => Self::Pattern(PythonRegex::full(text, allowance)?),
            TargetModules::Suffixes(all) => Self::Suffixes(all.clone()),
        })
    }
}

/// A [`PeftConfig`] ready to be asked about modules.
#[derive(Clone, Debug)]
pub struct Matcher {
    targets: Rule,
    exclude: Option<Rule>,
    /// Modules that are trained as a whole, and what is in them.
    whole: Vec<PythonRegex>,
    layers: Option<Vec<usize>>,
    layer_patterns: Vec<PythonRegex>,
    ranks: Compiled<usize>,
    alphas: Compiled<f64>,
    r: usize,
    lora_alpha: f64,
    rslora: bool,
}

impl Matcher {
    pub(super) fn new(config: &PeftConfig) -> Result<Self, Error> {
        let some = |layers: &OneOrMore<usize>| match layers {
            OneOrMore::More(all) if all.is_empty() => None,
            _ => Some(layers.as_slice().to_vec()),
        };
        let mut allowance = Allowance::default();
        let names = config.layers_pattern.as_ref().map_or(&[][..], OneOrMore::as_slice);
        let mut layer_patterns: Vec<PythonRegex> = names
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| PythonRegex::start(&format!(r".*\.{name}\.(\d+)\."), allowance.of("layers_pattern")))
            .collect::<Result<_, _>>()?;
        if layer_patterns.is_empty() {
            layer_patterns.push(PythonRegex::start(r".*\.[^.]*\.(\d+)\.", &mut allowance)?);
        }
        Ok(Self {
            targets: Rule::new(&config.target_modules, allowance.of("target_modules"))?,
            exclude: config
                .exclude_modules
                .as_ref()
                .map(|modules| Rule::new(modules, allowance.of("exclude_modules")))
                .transpose()?,
            whole: config
                .saved()
                .iter()
                .map(|name| {
                    PythonRegex::start(&format!(r"(^|.*\.){name}($|\..*)"), allowance.of("modules_to_save"))
                })
                .collect::<Result<_, _>>()?,
            layers: config.layers_to_transform.as_ref().and_then(some),
            layer_patterns,
            ranks: config.rank_pattern.compile(allowance.of("rank_pattern"))?,
            alphas: config.alpha_pattern.compile(allowance.of("alpha_pattern"))?,
            r: config.r,
            lora_alpha: config.lora_alpha,
            rslora: config.use_rslora,
        })
    }

    /// Whether PEFT would adapt the module at `path`.
    /// In PEFT's order: a module that `exclude_modules` matches is not adapted, nor is one that `modules_to_save` names or
    /// that is part of such a one; `all-linear` means every linear layer; a text must match the whole path (`re.fullmatch`); a list matches the path itself, or its end
    /// after a dot, and only in the latter case do `layers_to_transform` and `layers_pattern` restrict it, by
    /// the number after the pattern (by default the last number between dots that a greedy `.*` leaves).
    ///
    /// # Errors
    /// [`Error::BadPattern`] for a pattern that backtracks without end; as for the other methods.
    pub fn adapts(&self, path: &str, kind: SiteKind) -> Result<bool, Error> {
        let excluded = match &self.exclude {
            None | Some(Rule::AllLinear) => false,
            Some(Rule::Pattern(regex)) => regex.matches(path)?,
            Some(Rule::Suffixes(suffixes)) => suffixes.iter().any(|s| ends_with(path, s)),
        };
        if excluded {
            return Ok(false);
        }
        for whole in &self.whole {
            if whole.matches(path)? {
                return Ok(false);
            }
        }
        match &self.targets {
            Rule::AllLinear => Ok(kind == SiteKind::Linear),
            Rule::Pattern(regex) => regex.matches(path),
            Rule::Suffixes(suffixes) if suffixes.iter().any(|s| s == path) => Ok(true),
            Rule::Suffixes(suffixes) if suffixes.iter().any(|s| ends_with(path, s)) => self.in_layers(path),
            Rule::Suffixes(_) => Ok(false),
        }
    }

    fn in_layers(&self, path: &str) -> Result<bool, Error> {
        let Some(layers) = &self.layers else { return Ok(true) };
        for pattern in &self.layer_patterns {
            if let Some(layer) = pattern.number(path)? {
                return Ok(layers.contains(&layer));
            }
        }
        Ok(false)
    }

    /// The rank that PEFT gives the module at `path`.
    /// The value of the first key of `rank_pattern`, in the order of the file, that matches; else `r`. Whether
    /// the module is adapted at all is not asked.
    ///
    /// # Errors
    /// As [`adapts`](Self::adapts).
    pub fn rank(&self, path: &str) -> Result<usize, Error> {
        Ok(self.ranks.first(path)?.unwrap_or(self.r))
    }

    /// The scale that PEFT gives the module at `path`.
    /// `alpha / r`, or `alpha / sqrt(r)` with `use_rslora`, where alpha is that of `alpha_pattern` or
    /// `lora_alpha`, by the same rule as the rank.
    ///
    /// # Errors
    /// As [`adapts`](Self::adapts).
    pub fn scale(&self, path: &str) -> Result<f64, Error> {
        let alpha = self.alphas.first(path)?.unwrap_or(self.lora_alpha);
        let rank = self.rank(path)? as f64;
        Ok(alpha / if self.rslora { rank.sqrt() } else { rank })
    }
}

impl PeftConfig {
    /// The rules of this configuration, ready for many modules.
    ///
    /// # Errors
    /// [`Error::BadPattern`]; [`Error::LargePattern`] if all expressions together ask for more memory than they may.
    pub fn matcher(&self) -> Result<Matcher, Error> {
        Matcher::new(self)
    }
}
