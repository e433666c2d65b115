//! What an adapter's file holds beside factors: whole tensors of the base, and rows of its embeddings.
//!
//! PEFT writes modules of `modules_to_save` and the biases of `bias` under the names of the base; copies of embeddings
//! (`save_embedding_layers`) come with `.base_layer` or without; `trainable_token_indices` makes rows of a table. When it
//! loads a file, each of them takes the place of what the base has.

use super::keys::PREFIX;
use super::targets::ends_with;
use super::{Naming, PeftConfig, canonical};
use crate::Error;
use crate::stored::{Shards, TensorFile};

/// Modules of which PEFT saves copies: `EMBEDDING_LAYER_NAMES`.
const COPIED: [&str; 2] = ["embed_tokens", "lm_head"];
/// The end of the name of trained rows of embeddings.
const ROWS: &str = ".token_adapter.trainable_tokens_delta";

/// A tensor of the file that is no factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// The module of the base, as the file names it.
    pub(crate) module: String,
    /// `weight` or `bias`.
    pub(crate) leaf: &'static str,
    /// The rows that it replaces; none: all of the tensor.
    pub(crate) rows: Option<Vec<usize>>,
    /// Its place in the file.
    pub(crate) tensor: usize,
}

impl Whole {
    /// What the tensor `name`, number `tensor` of the file, replaces in the base; nothing if the configuration does not
    /// ask for it.
    pub(super) fn parse(name: &str, tensor: usize, config: &PeftConfig) -> Option<Self> {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        if let Some(module) = name.strip_suffix(ROWS) {
            let rows = config.token_rows(module)?;
            return Some(Self { module: module.to_string(), leaf: "weight", rows: Some(rows), tensor });
        }
        let (path, end) = name.rsplit_once('.')?;
        let leaf = ["weight", "bias"].into_iter().find(|leaf| *leaf == end)?;
        let (module, copied) = match path.strip_suffix(".base_layer") {
            Some(module) => (module.strip_suffix(".token_adapter").unwrap_or(module), true),
            None => (path, false),
        };
        // Older versions leave the wrapper's name in, and the adapter's after it.
        let module = match module.split_once(".modules_to_save.") {
            Some((before, "default")) => before.to_string(),
            Some((before, after)) => {
                format!("{before}.{}", after.strip_prefix("default.").unwrap_or(after))
            }
            None => module.strip_suffix(".modules_to_save").unwrap_or(module).to_string(),
        };
        let wanted = copied
            || config.saved().iter().any(|saved| is_in(&module, saved))
            || leaf == "bias" && config.trains_biases()
            || COPIED.iter().any(|name| ends_with(&module, name));
        wanted.then_some(Self { module, leaf, rows: None, tensor })
    }
}

impl Whole {
    /// The file of the base and the tensor in it that this replaces.
    pub(crate) fn place(&self, base: &Shards, namings: &[Naming]) -> Option<(usize, usize)> {
        let own = canonical(&self.module, namings);
        base.find(|name| {
            let parts = name.rsplit_once('.').filter(|(_, leaf)| *leaf == self.leaf);
            parts.is_some_and(|(module, _)| canonical(module, namings) == own)
        })
    }

    /// Whether it has the values of the base.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn is_copy(
        &self,
        adapter: &TensorFile,
        base: &Shards,
        namings: &[Naming],
    ) -> Result<bool, Error> {
        let (Some((file, tensor)), None) = (self.place(base, namings), &self.rows) else { return Ok(false) };
        let file = &base.files()[file];
        adapter.same(&adapter.tensors[self.tensor], file, &file.tensors[tensor])
    }
}

/// Whether the path of `module`, or of one that it is a part of, ends with `name`, even within a word: `projector` is
/// `multi_modal_projector` too.
pub(super) fn is_in(module: &str, name: &str) -> bool {
    let parents = module.match_indices('.').map(|(at, _)| &module[..at]);
    parents.chain([module]).any(|path| path.ends_with(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(fields: serde_json::Value) -> PeftConfig {
        let mut all =
            serde_json::json!({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q"]});
        for (name, value) in fields.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn what_the_configuration_asks_for_is_read_and_nothing_else() {
        let saved = config(serde_json::json!({"modules_to_save": ["head", "proj"]}));
        let biases = config(serde_json::json!({"bias": "all"}));
        let rows = config(serde_json::json!({"trainable_token_indices": {"embed_tokens": [3, 1]}}));
        let plain = config(serde_json::json!({}));
        let of = |name: &str, config: &PeftConfig| {
            Whole::parse(name, 0, config)
                .map(|whole| format!("{}|{}|{:?}", whole.module, whole.leaf, whole.rows))
        };
        let some = |text: &str| Some(text.to_string());
        assert_eq!(of("base_model.model.m.head.weight", &saved), some("m.head|weight|None"));
        assert_eq!(of("base_model.model.m.proj.linear_1.bias", &saved), some("m.proj.linear_1|bias|None"));
        assert_eq!(of("m.head.modules_to_save.default.weight", &saved), some("m.head|weight|None"));
        assert_eq!(of("m.head.modules_to_save.weight", &saved), some("m.head|weight|None"));
        assert_eq!(of("m.proj.modules_to_save.default.fc.weight", &saved), some("m.proj.fc|weight|None"));
        assert_eq!(of("m.lm_head.weight", &saved), some("m.lm_head|weight|None"));
        assert_eq!(of("m.mm_proj.fc.weight", &saved), some("m.mm_proj.fc|weight|None"));
        assert_eq!(of("m.heads.weight", &saved), None);
        assert_eq!(of("m.projector.weight", &saved), None);
        assert_eq!(of("m.norm.bias", &biases), some("m.norm|bias|None"));
        assert_eq!(of("m.norm.weight", &biases), None);
        assert_eq!(of("m.q.base_layer.weight", &plain), some("m.q|weight|None"));
        assert_eq!(of("m.embed_tokens.weight", &plain), some("m.embed_tokens|weight|None"));
        assert_eq!(of("m.norm.weight", &plain), None);
        let delta = "m.embed_tokens.token_adapter.trainable_tokens_delta";
        assert_eq!(of(delta, &rows), some("m.embed_tokens|weight|Some([3, 1])"));
        assert_eq!(of(delta, &plain), None);
    }
}
