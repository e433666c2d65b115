//! How the factors of an adapter begin.

use serde::{Deserialize, Serialize};

/// First values of the factors A `[rank, inputs]` and B `[outputs, rank]` of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// A uniform in ±1/sqrt(inputs), B zero: PEFT's `init_lora_weights = true`.
    ///
    /// PEFT calls `kaiming_uniform_(a = sqrt(5))` on A, whose bound is
    /// sqrt(6 / ((1 + 5) * inputs)) = 1 / sqrt(inputs).
    #[default]
    Uniform,
    /// A normal with standard deviation 1/rank, B zero: PEFT's `"gaussian"`.
    Gaussian,
    /// The strongest directions of the frozen weight, taken out of it: PiSSA (arXiv 2404.02948), PEFT's `"pissa"`.
    Pissa,
    /// A from the strongest directions of the layer's inputs, and ranks by layer where these explain most, in each module as many in
    /// all as its rank times its layers: EVA (arXiv 2410.07170). The directions are read from data (with the
    /// feature `burn` by `Activations`); a layer that no data reach begins as [`Uniform`](Self::Uniform).
    Eva,
}
