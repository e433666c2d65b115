//! Ways of fine-tuning other than plain LoRA at the same rates everywhere, as far as a policy needs to know them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A way of fine-tuning, which a trial asks for by name; its settings are the trainer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// AdaLoRA: triplets pruned by importance (arXiv 2303.10512).
    #[serde(rename = "adalora")]
    AdaLora,
    /// GeoLoRA: bases grown along the gradient (arXiv 2410.18720).
    #[serde(rename = "geolora")]
    GeoLora,
    /// A hierarchical rank scheduler after HyDRA (arXiv 2512.20674).
    HydraStyle,
    /// EVA: first values and ranks by layer from the layers' inputs (arXiv 2410.07170).
    Eva,
    /// Plain LoRA with the learning rate of all modules but the reference divided by this number, at least 1
    /// (LLaVA-OneVision trains its vision tower at a fifth).
    DiffLr(u32),
}

impl Method {
    /// The divisor of [`DiffLr`](Self::DiffLr) where none is given.
    pub(crate) const RATIO: u32 = 5;

    /// The method of this name; `None` for another name. [`DiffLr`](Self::DiffLr) has the default ratio.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::AdaLora, Self::GeoLora, Self::HydraStyle, Self::Eva, Self::DiffLr(Self::RATIO)]
            .into_iter()
            .find(|method| method.to_string() == name)
    }
}

/// `adalora`, `geolora`, `hydra-style`, `eva`, `diff-lr`, `diff-lr:10`
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdaLora => f.write_str("adalora"),
            Self::GeoLora => f.write_str("geolora"),
            Self::HydraStyle => f.write_str("hydra-style"),
            Self::Eva => f.write_str("eva"),
            Self::DiffLr(Self::RATIO) => f.write_str("diff-lr"),
            Self::DiffLr(ratio) => write!(f, "diff-lr:{ratio}"),
        }
    }
}
