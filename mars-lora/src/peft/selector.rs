//! The one place where regular expressions for groups of modules are made.
//!
//! Paths of modules differ between versions of `transformers`, so a group is described as loosely as can be: by
//! its module, by the last names of its layers, by the ends that all versions share, and only then in full.
//! Each description is tried on the names of every supported version and kept if it selects the group and nothing
//! else there.

use super::Base;
use super::allowance::Allowance;
use super::python::PythonRegex;
use super::targets::{TargetModules, ends_with};
use crate::{AdaptedModule, Error};
use std::collections::{BTreeMap, BTreeSet};

/// How closely a group is described, loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Module,
    Leaf,
    LongLeaf,
    Tail,
    Full,
}

/// Modules under the names of all supported versions.
pub(super) struct Selector<'a> {
    base: &'a Base<'a>,
    /// For each version, the names of all sites.
    sites: Vec<Vec<String>>,
    /// For each version, names of modules that are no sites.
    others: Vec<BTreeSet<String>>,
}

impl<'a> Selector<'a> {
    pub(super) fn new(base: &'a Base<'a>) -> Self {
        let supported = base.namings.iter().filter(|naming| naming.supported);
        let styles: Vec<_> = std::iter::once(None).chain(supported.map(Some)).collect();
        let spell = |path: &String, style: usize| match styles[style] {
            Some(naming) => naming.spell(path),
            None => path.clone(),
        };
        let sites: Vec<Vec<String>> = (0..styles.len())
            .map(|style| base.sites.iter().map(|site| spell(&site.path, style)).collect())
            .collect();
        let others = (0..styles.len()).map(|style| {
            let known = sites[style].iter().map(String::as_str);
            let parents =
                known.flat_map(|path| path.match_indices('.').map(|(at, _)| path[..at].to_string()));
            let mut others: BTreeSet<String> = parents.collect();
            others.extend(base.others.iter().map(|path| spell(path, style)));
            let sites: BTreeSet<&String> = sites[style].iter().collect();
            others.retain(|path| !sites.contains(path));
            others
        });
        let others = others.collect();
        Self { base, sites, others }
    }

    /// `target_modules` for the sites of `group`: a list of path ends if one is exact, else an expression.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if no expression selects exactly the group.
    pub(super) fn targets(&self, group: &[bool]) -> Result<TargetModules, Error> {
        for level in [Level::Leaf, Level::LongLeaf] {
            let ends: BTreeSet<&str> =
                self.members(group).map(|site| leaf(&self.base.sites[site].path, level)).collect();
            let selects = |path: &str| Ok(ends.iter().any(|end| ends_with(path, end)));
            if self.exact(group, None, true, selects)? {
                return Ok(TargetModules::Suffixes(ends.into_iter().map(str::to_string).collect()));
            }
        }
        let mut parts = Vec::new();
        for module in self.modules(group) {
            parts.push(self.part(module, group, None)?);
        }
        Ok(TargetModules::Pattern(format!(r"(?:.*\.)?(?:{})", parts.join("|"))))
    }

    /// Keys for `rank_pattern` or `alpha_pattern` that select, of the sites of `within`, those of `group`.
    ///
    /// No site matches two keys of disjoint groups, so their order does not matter.
    ///
    /// # Errors
    /// As [`targets`](Self::targets).
    pub(super) fn keys(&self, group: &[bool], within: &[bool]) -> Result<Vec<String>, Error> {
        self.modules(group).into_iter().map(|module| self.part(module, group, Some(within))).collect()
    }

    fn members(&self, group: &[bool]) -> impl Iterator<Item = usize> {
        (0..group.len()).filter(|site| group[*site])
    }

    /// The modules with sites in `group`.
    fn modules(&self, group: &[bool]) -> Vec<&'a AdaptedModule> {
        let has = |c: &&AdaptedModule| self.members(group).any(|site| self.base.sites[site].module == c.name);
        self.base.modules.iter().filter(has).collect()
    }

    /// An expression for the sites of `group` in `module`.
    fn part(&self, module: &AdaptedModule, group: &[bool], within: Option<&[bool]>) -> Result<String, Error> {
        let own: Vec<bool> =
            (0..group.len()).map(|site| group[site] && self.base.sites[site].module == module.name).collect();
        // A whole module also holds modules that cannot be adapted, so it is no target.
        let levels = [Level::Module, Level::Leaf, Level::LongLeaf, Level::Tail, Level::Full];
        for level in levels.into_iter().skip(usize::from(within.is_none())) {
            let text = self.describe(module, &own, level);
            let regex = PythonRegex::tail(&text, &mut Allowance::default())?;
            if self.exact(&own, within, within.is_none(), |path| regex.matches(path))? {
                return Ok(text);
            }
        }
        let paths: Vec<&str> = self.members(&own).map(|site| self.base.sites[site].path.as_str()).collect();
        let why = format!("no pattern of PEFT selects exactly these layers: {}", paths.join(", "));
        Err(Error::Mismatch { why })
    }

    fn describe(&self, module: &AdaptedModule, own: &[bool], level: Level) -> String {
        let stem = module.pattern.strip_suffix(".*").unwrap_or("");
        let paths = self.members(own).map(|site| self.base.sites[site].path.as_str());
        match level {
            Level::Module => module.pattern.clone(),
            Level::Leaf | Level::LongLeaf => {
                let ends: BTreeSet<String> = paths.map(|path| regex::escape(leaf(path, level))).collect();
                format!(r"{stem}(?:.*\.)?(?:{})", ends.into_iter().collect::<Vec<_>>().join("|"))
            }
            Level::Tail => {
                let literal = stem.replace('\\', "");
                let tails = self.members(own).map(|site| {
                    let tail = self.common_end(site);
                    let beyond = if literal.is_empty() { None } else { tail.find(&literal) };
                    tail[beyond.map_or(0, |at| at + literal.len())..].to_string()
                });
                format!(r"{stem}(?:.*\.)?(?:{})", numbered(tails))
            }
            Level::Full => {
                let all = self
                    .members(own)
                    .flat_map(|site| self.sites.iter().map(move |names| names[site].clone()));
                numbered(all.collect::<BTreeSet<_>>().into_iter())
            }
        }
    }

    /// The end, of whole names, that a site's path has in every version.
    fn common_end(&self, site: usize) -> String {
        let own: Vec<&str> = self.sites[0][site].split('.').collect();
        let shared = self.sites.iter().map(|names| {
            let other = names[site].split('.').rev();
            own.iter().rev().zip(other).take_while(|(a, b)| **a == *b).count()
        });
        own[own.len() - shared.min().unwrap_or(0)..].join(".")
    }

    /// Whether `selects` holds, in every version, for the sites of `group` alone among those of `within` (all, if
    /// none) and, if `strict`, for no other module.
    fn exact(
        &self,
        group: &[bool],
        within: Option<&[bool]>,
        strict: bool,
        selects: impl Fn(&str) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for (names, others) in self.sites.iter().zip(&self.others) {
            for (site, name) in names.iter().enumerate() {
                if within.is_none_or(|within| within[site]) && selects(name)? != group[site] {
                    return Ok(false);
                }
            }
            if strict {
                for other in others {
                    if selects(other)? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// The last name of a path, with the names before it as long as it is a number, and with one more if `long`.
fn leaf(path: &str, level: Level) -> &str {
    let mut more = usize::from(level == Level::LongLeaf);
    for (at, _) in path.match_indices('.').collect::<Vec<_>>().into_iter().rev() {
        let end = &path[at + 1..];
        if end.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        if more == 0 {
            return end;
        }
        more -= 1;
    }
    path
}

/// Alternatives for `paths`, with those that differ in their first number alone written as one.
fn numbered(paths: impl Iterator<Item = String>) -> String {
    let mut groups: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    let mut plain = BTreeSet::new();
    for path in paths {
        let names: Vec<&str> = path.split('.').collect();
        match names.iter().position(|name| name.bytes().all(|b| b.is_ascii_digit())) {
            Some(at) => {
                let number = names[at].parse().unwrap_or(0);
                let key = (names[..at].join("."), names[at + 1..].join("."));
                groups.entry(key).or_default().insert(number);
            }
            None => {
                plain.insert(regex::escape(&path));
            }
        }
    }
    let grouped = groups.into_iter().map(|((before, after), numbers)| {
        let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
        let number =
            if numbers.len() == 1 { numbers[0].clone() } else { format!("(?:{})", numbers.join("|")) };
        let before = if before.is_empty() { String::new() } else { regex::escape(&before) + r"\." };
        let after = if after.is_empty() { String::new() } else { r"\.".to_string() + &regex::escape(&after) };
        format!("{before}{number}{after}")
    });
    plain.into_iter().chain(grouped).collect::<Vec<_>>().join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_names() {
        assert_eq!(leaf("model.layers.0.mlp.up_proj", Level::Leaf), "up_proj");
        assert_eq!(leaf("model.layers.0.mlp.up_proj", Level::LongLeaf), "mlp.up_proj");
        assert_eq!(leaf("model.visual.merger.mlp.0", Level::Leaf), "mlp.0");
        assert_eq!(leaf("model.visual.merger.mlp.0", Level::LongLeaf), "merger.mlp.0");
        assert_eq!(leaf("fc", Level::LongLeaf), "fc");
    }

    #[test]
    fn numbers_are_gathered() {
        let paths = ["layers.0.fc", "layers.10.fc", "layers.2.fc", "head", "blocks.3.attn.proj"];
        let text = numbered(paths.iter().map(|path| (*path).to_string()));
        assert_eq!(text, r"head|blocks\.3\.attn\.proj|layers\.(?:0|2|10)\.fc");
    }
}
