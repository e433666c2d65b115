//! What a campaign was started with (`campaign.toml`): resolved configuration, fingerprints, version.

use super::OnChange;
use crate::Error;
use crate::files;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use toml::{Table, Value};

const FILE: &str = "campaign.toml";

/// What a campaign was started with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The resolved configuration that all its runs share.
    pub config: Table,
    /// What may change from one call to the next, such as the plan of runs: written down, not compared.
    pub plan: Table,
    /// Digests of what run specs do not name, by what they are of: `model`, `train`, `targets`, ...
    pub fingerprints: BTreeMap<String, String>,
    /// Digests of what no run depends on, but what is reported of the result does, such as `test`: compared with those of the next
    /// call, and no part of the ids of runs. What only one side has is not compared.
    pub compared: BTreeMap<String, String>,
}

impl Settings {
    /// One digest of all fingerprints, part of the id of every run of the campaign.
    /// The first 16 hexadecimal digits of the BLAKE3 hash of names and digests, each with its length, in the
    /// order of the names.
    pub fn fingerprint(&self) -> String {
        let mut hash = blake3::Hasher::new();
        for (of, digest) in &self.fingerprints {
            hash.update(format!("{}:{of}={}:{digest};", of.len(), digest.len()).as_bytes());
        }
        hash.finalize().to_hex()[..16].to_owned()
    }

    /// What differs, one line for each key: `key: old -> new`.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let compared = &new.compared;
        let flat = |settings: &Self| {
            let mut all = BTreeMap::new();
            flatten("", &settings.config, &mut all);
            for (of, digest) in &settings.fingerprints {
                all.insert(format!("fingerprint of {of}"), digest.clone());
            }
            all
        };
        let (mut old, mut new) = (flat(self), flat(new));
        for (of, digest) in &self.compared {
            if let Some(other) = compared.get(of) {
                old.insert(format!("fingerprint of {of}"), digest.clone());
                new.insert(format!("fingerprint of {of}"), other.clone());
            }
        }
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let value = |from: &BTreeMap<String, String>, key: &String| {
            from.get(key).cloned().unwrap_or("not set".into())
        };
        keys.into_iter()
            .filter(|key| old.get(*key) != new.get(*key))
            .map(|key| format!("  {key}: {} -> {}", value(&old, key), value(&new, key)))
            .collect()
    }

    /// The settings of the campaign in `directory`; `None` if there is none yet.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the file is there but is not what this crate writes; [`Error::Io`] when it cannot be read.
    pub fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(FILE);
        let corrupt = |why: &str| Error::Corrupt {
            path: path.clone(),
            why: format!("{why}; restore the file, or use another directory"),
        };
        let text = match files::read_text(&path) {
            Err(Error::Corrupt { why, .. }) => return Err(corrupt(&why)),
            text => text?,
        };
        let Some(text) = text else { return Ok(None) };
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| corrupt(e.message()))?;
        let version =
            table.get("campaign").and_then(|section| section.get("version")).and_then(Value::as_str);
        match version.map(release) {
            Some(Some(written)) if Some(written) <= release(env!("CARGO_PKG_VERSION")) => {}
            Some(Some(_)) => {
                let why = "it was written by a newer version of mars";
                let version = version.unwrap_or_default();
                let why = format!("{why} ({version}); use that version or a later one, or another directory");
                return Err(Error::Corrupt { path, why });
            }
            _ => return Err(corrupt("it is not that of a campaign: [campaign] has no version")),
        }
        let written =
            table.remove("campaign").and_then(|section| section.get("checksum")?.as_str().map(str::to_owned));
        let found = checksum(&table);
        let mut section = |name: &str| match table.remove(name) {
            Some(Value::Table(section)) => Ok(section),
            _ => Err(corrupt(&format!("there is no [{name}] section"))),
        };
        let config = section("config")?;
        let digests = |section: Table| {
            let digest = |(of, digest)| match digest {
                Value::String(digest) => Ok((of, digest)),
                other => Err(corrupt(&format!("fingerprint `{of}` is {other}, not a string"))),
            };
            section.into_iter().map(digest).collect::<Result<BTreeMap<_, _>, _>>()
        };
        let fingerprints = digests(section("fingerprints")?)?;
        // Campaigns of before it was kept have none.
        let compared = match table.remove("compared") {
            Some(Value::Table(section)) => digests(section)?,
            _ => BTreeMap::new(),
        };
        let plan = match table.remove("plan") {
            Some(Value::Table(plan)) => plan,
            _ => Table::new(),
        };
        // Campaigns of before there was one have none.
        if written.is_some_and(|written| written != found) {
            return Err(corrupt("the content does not match its checksum: it was cut, or edited"));
        }
        Ok(Some(Self { config, plan, fingerprints, compared }))
    }

    /// Makes these the settings of the campaign in `directory`, if it has none or may have others.
    ///
    /// # Errors
    /// [`Error::Changed`] when `on_change` refuses; as [`read`](Self::read).
    pub(super) fn settle(&self, directory: &Path, on_change: OnChange) -> Result<(), Error> {
        match Self::read(directory)? {
            Some(old) if old == *self => Ok(()),
            Some(old) if on_change == OnChange::Refuse && !old.changes(self).is_empty() => {
                Err(Error::Changed { path: directory.to_owned(), changes: old.changes(self) })
            }
            _ => self.write(directory),
        }
    }

    /// Sections `[campaign]` (version of this crate, and a checksum of the others), `[fingerprints]`, `[compared]`, `[config]` and `[plan]`; replaces the
    /// file as a whole.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn write(&self, directory: &Path) -> Result<(), Error> {
        let mut all = Table::new();
        for (section, digests) in [("fingerprints", &self.fingerprints), ("compared", &self.compared)] {
            let digests = digests.iter().map(|(of, digest)| (of.clone(), Value::from(digest.as_str())));
            let digests: Table = digests.collect();
            if section == "fingerprints" || !digests.is_empty() {
                all.insert(section.into(), Value::Table(digests));
            }
        }
        all.insert("config".into(), Value::Table(self.config.clone()));
        all.insert("plan".into(), Value::Table(self.plan.clone()));
        let head = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("checksum", checksum(&all))];
        let head: Table = head.map(|(key, value)| (key.to_owned(), Value::from(value))).into_iter().collect();
        all.insert("campaign".into(), Value::Table(head));
        files::write(&directory.join(FILE), all.to_string().as_bytes())
    }
}

/// The first 32 hexadecimal digits of the BLAKE3 hash of all sections but `[campaign]`, as TOML.
fn checksum(sections: &Table) -> String {
    blake3::hash(sections.to_string().as_bytes()).to_hex()[..32].to_owned()
}

/// Major and minor number of a version, which tell formats apart; `None` for what is none.
fn release(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn flatten(prefix: &str, table: &Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, into),
            value => {
                into.insert(key, value.to_string());
            }
        }
    }
}
