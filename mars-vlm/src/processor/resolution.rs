//! Sizes of images that a user sets, instead of those in the files of a model.

use std::fmt;

/// How large images are made; what is `None` is left as the model's files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Fewest pixels of a resized image (Qwen2-VL to Qwen3-VL).
    pub min_pixels: Option<usize>,
    /// Most pixels of a resized image (Qwen2-VL to Qwen3-VL), or of a grid of tiles (LLaVA-NeXT, LLaVA-OneVision,
    /// InternVL3).
    pub max_pixels: Option<usize>,
    /// Longer side in pixels: of a resized image (Idefics3), or at most of a grid of tiles (LLaVA-NeXT,
    /// LLaVA-OneVision).
    pub longest_edge: Option<usize>,
}

impl Resolution {
    /// What is set, by name.
    pub fn set(&self) -> Vec<(&'static str, usize)> {
        let all = [
            ("min_pixels", self.min_pixels),
            ("max_pixels", self.max_pixels),
            ("longest_edge", self.longest_edge),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Refuses what a family of these models does not have.
    ///
    /// # Errors
    /// A few words with what it has instead.
    pub(crate) fn only(&self, known: &[&str], models: &[&str]) -> Result<(), String> {
        let Some((name, value)) = self.set().into_iter().find(|(name, _)| !known.contains(name)) else {
            return Ok(());
        };
        let models = models.join(" and ");
        Err(match known {
            [] => format!("{name} is {value}, but the size of images of {models} cannot be set"),
            known => {
                format!("{name} is {value}, but images of {models} are sized by {}", known.join(" and "))
            }
        })
    }
}

impl fmt::Display for Resolution {
    /// `min_pixels 3136, max_pixels 50176`; nothing where nothing is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<String> = self.set().iter().map(|(name, value)| format!("{name} {value}")).collect();
        f.write_str(&set.join(", "))
    }
}
