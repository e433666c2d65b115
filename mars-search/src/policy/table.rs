//! Policies as tables: the form in which they are serialised, with all their options.

use super::{FixedRanks, GuidedOptions, PolicySpec, RaceOptions, asha};
use crate::Method;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::fmt;

/// `{policy = "halving", eta = 2}`
#[derive(Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "kebab-case", deny_unknown_fields)]
enum Table {
    // Braces, so that unknown keys are refused where there are no settings, too.
    Fixed {
        ranks: FixedRanks,
    },
    Grid {},
    Random {
        trials: usize,
    },
    Halving {
        #[serde(default = "default_eta")]
        eta: usize,
    },
    Asha {
        #[serde(default = "default_workers")]
        workers: usize,
    },
    Paper {},
    Surface {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        runs: Option<usize>,
    },
    Guided(GuidedOptions),
    Race(RaceOptions),
    #[serde(rename = "adalora")]
    AdaLora {},
    #[serde(rename = "geolora")]
    GeoLora {},
    HydraStyle {},
    Eva {},
    DiffLr {
        #[serde(default = "default_ratio")]
        ratio: u32,
    },
}

fn default_eta() -> usize {
    2
}

fn default_workers() -> usize {
    asha::WORKERS
}

fn default_ratio() -> u32 {
    Method::RATIO
}

impl From<PolicySpec> for Table {
    fn from(spec: PolicySpec) -> Self {
        match spec {
            PolicySpec::Fixed(ranks) => Self::Fixed { ranks },
            PolicySpec::Grid => Self::Grid {},
            PolicySpec::Random { trials } => Self::Random { trials },
            PolicySpec::Halving { eta } => Self::Halving { eta },
            PolicySpec::Asha { workers } => Self::Asha { workers },
            PolicySpec::Paper => Self::Paper {},
            PolicySpec::Surface { runs } => Self::Surface { runs },
            PolicySpec::Guided(options) => Self::Guided(options),
            PolicySpec::Race(options) => Self::Race(options),
            PolicySpec::Method(Method::AdaLora) => Self::AdaLora {},
            PolicySpec::Method(Method::GeoLora) => Self::GeoLora {},
            PolicySpec::Method(Method::HydraStyle) => Self::HydraStyle {},
            PolicySpec::Method(Method::Eva) => Self::Eva {},
            PolicySpec::Method(Method::DiffLr(ratio)) => Self::DiffLr { ratio },
        }
    }
}

impl From<Table> for PolicySpec {
    fn from(table: Table) -> Self {
        match table {
            Table::Fixed { ranks } => Self::Fixed(ranks),
            Table::Grid {} => Self::Grid,
            Table::Random { trials } => Self::Random { trials },
            Table::Halving { eta } => Self::Halving { eta },
            Table::Asha { workers } => Self::Asha { workers },
            Table::Paper {} => Self::Paper,
            Table::Surface { runs } => Self::Surface { runs },
            Table::Guided(options) => Self::Guided(options),
            Table::Race(options) => Self::Race(options),
            Table::AdaLora {} => Self::Method(Method::AdaLora),
            Table::GeoLora {} => Self::Method(Method::GeoLora),
            Table::HydraStyle {} => Self::Method(Method::HydraStyle),
            Table::Eva {} => Self::Method(Method::Eva),
            Table::DiffLr { ratio } => Self::Method(Method::DiffLr(ratio)),
        }
    }
}

impl Serialize for PolicySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Table::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PolicySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTable)
    }
}

/// Reads a policy in either form; its settings are checked.
struct TextOrTable;

impl<'de> Visitor<'de> for TextOrTable {
    type Value = PolicySpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy as text, such as \"halving:3\", or as a table, such as { policy = \"halving\", eta = 3 }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PolicySpec, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PolicySpec, A::Error> {
        let spec = PolicySpec::from(Table::deserialize(MapAccessDeserializer::new(map))?);
        spec.check().map_err(A::Error::custom)?;
        Ok(spec)
    }
}
