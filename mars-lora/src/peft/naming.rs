//! What other versions of `transformers`, and checkpoint files, call the modules of a model.

/// Module paths of another version, by their beginnings.
///
/// The paths of `transformers` 4.57 are the own ones of this crate. Under another naming, the first pair whose
/// first text begins the own path replaces it by the second; other paths are the same under both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// Who uses these names, for messages.
    pub used_by: String,
    /// Own beginning, other beginning.
    pub prefixes: Vec<(String, String)>,
    /// Whether adapters written here must load under these names too.
    pub supported: bool,
}

impl Naming {
    /// A naming from pairs of beginnings.
    pub fn new(used_by: &str, prefixes: &[(&str, &str)], supported: bool) -> Self {
        let prefixes =
            prefixes.iter().map(|(own, other)| ((*own).to_string(), (*other).to_string())).collect();
        Self { used_by: used_by.to_string(), prefixes, supported }
    }

    /// The other name of the module at the own `path`.
    pub fn spell(&self, path: &str) -> String {
        for (own, other) in &self.prefixes {
            if let Some(rest) = path.strip_prefix(own.as_str()) {
                return format!("{other}{rest}");
            }
        }
        path.to_string()
    }

    /// The own name of the module at the other `path`; own names stay.
    fn own(&self, path: &str) -> Option<String> {
        if self.prefixes.iter().any(|(own, _)| path.starts_with(own.as_str())) {
            return None;
        }
        let (own, rest) = self
            .prefixes
            .iter()
            .find_map(|(own, other)| path.strip_prefix(other.as_str()).map(|rest| (own, rest)))?;
        Some(format!("{own}{rest}"))
    }
}

/// The own name of a module, whichever of the `namings` the path is of.
pub fn canonical(path: &str, namings: &[Naming]) -> String {
    namings.iter().fold(path.to_string(), |path, naming| naming.own(&path).unwrap_or(path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn qwen() -> Vec<Naming> {
        let old = [("model.language_model.", "model."), ("model.visual.", "visual.")];
        vec![Naming::new("4.51", &old, false)]
    }

    fn llava() -> Vec<Naming> {
        let old =
            [("model.language_model.", "language_model.model."), ("model.vision_tower.", "vision_tower.")];
        let new = [("model.vision_tower.vision_model.", "model.vision_tower.")];
        vec![Naming::new("4.51", &old, false), Naming::new("5", &new, true)]
    }

    #[test]
    fn every_spelling_has_one_own_name() {
        for (namings, own) in [
            (qwen(), "model.language_model.layers.3.mlp.up_proj"),
            (qwen(), "model.visual.blocks.0.attn.qkv"),
            (llava(), "model.language_model.layers.3.mlp.up_proj"),
            (llava(), "model.vision_tower.vision_model.encoder.layers.1.mlp.fc1"),
            (llava(), "lm_head"),
        ] {
            assert_eq!(canonical(own, &namings), own);
            for naming in &namings {
                assert_eq!(canonical(&naming.spell(own), &namings), own, "{}", naming.used_by);
            }
        }
        let both_changes = "vision_tower.encoder.layers.1.mlp.fc1";
        assert_eq!(
            canonical(both_changes, &llava()),
            "model.vision_tower.vision_model.encoder.layers.1.mlp.fc1"
        );
    }
}
