//! Names of tensors in an adapter file.

use crate::SiteKind;

pub(super) const PREFIX: &str = "base_model.model.";

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    A,
    B,
    EmbeddingA,
    EmbeddingB,
    Magnitude,
    /// The bias of B, of `lora_bias`.
    BiasB,
}

const PARTS: [(&str, Part); 5] = [
    ("lora_A", Part::A),
    ("lora_B", Part::B),
    ("lora_embedding_A", Part::EmbeddingA),
    ("lora_embedding_B", Part::EmbeddingB),
    ("lora_magnitude_vector", Part::Magnitude),
];

/// A tensor name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) module: &'a str,
    pub(super) part: Part,
    /// The name of the adapter, which some writers leave in.
    pub(super) adapter: Option<&'a str>,
}

/// Takes `name` apart; nothing if it is no name of a LoRA tensor.
///
/// `base_model.model.` may be absent, the adapter's name may stand before the end, and magnitudes come with
/// `.weight` or without: PEFT's own versions and the tools around it differ in this.
pub(super) fn parse(name: &str) -> Option<Key<'_>> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let (at, part, length) = PARTS.into_iter().find_map(|(text, part)| {
        let at = name.rfind(&format!(".{text}"))?;
        let rest = &name[at + 1 + text.len()..];
        (rest.is_empty() || rest.starts_with('.')).then_some((at, part, text.len()))
    })?;
    let rest = name[at + 1 + length..].strip_prefix('.').unwrap_or("");
    let (part, rest) = match (part, rest.strip_suffix("bias")) {
        (Part::B, Some("")) => (Part::BiasB, ""),
        (Part::B, Some(adapter)) if adapter.ends_with('.') => (Part::BiasB, adapter.trim_end_matches('.')),
        _ => (part, rest),
    };
    let (adapter, weight) = match rest.strip_suffix(".weight") {
        Some(adapter) => (adapter, true),
        None if rest == "weight" => ("", true),
        None => (rest, false),
    };
    let fits = match part {
        Part::A | Part::B => weight,
        Part::EmbeddingA | Part::EmbeddingB | Part::BiasB => !weight,
        Part::Magnitude => true,
    };
    let adapter = (!adapter.is_empty()).then_some(adapter);
    (fits && adapter.is_none_or(|name| !name.contains('.'))).then_some(Key {
        module: &name[..at],
        part,
        adapter,
    })
}

/// The tensor names of A, B and the magnitude at a module path.
///
/// PEFT itself writes magnitudes without `.weight`, but `load_adapter` of transformers 5.23 then drops them without
/// a warning; with it, every version loads them.
pub(super) fn names(path: &str, kind: SiteKind) -> [String; 3] {
    let [a, b] = match kind {
        SiteKind::Embedding => ["lora_embedding_A", "lora_embedding_B"],
        SiteKind::Linear | SiteKind::Convolution { .. } => ["lora_A.weight", "lora_B.weight"],
    };
    [a, b, "lora_magnitude_vector.weight"].map(|part| format!("{PREFIX}{path}.{part}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_taken_apart() {
        for kind in [SiteKind::Linear, SiteKind::Embedding] {
            let parts = match kind {
                SiteKind::Embedding => [Part::EmbeddingA, Part::EmbeddingB, Part::Magnitude],
                _ => [Part::A, Part::B, Part::Magnitude],
            };
            for (name, part) in names("model.layers.0.q_proj", kind).iter().zip(parts) {
                let key = Key { module: "model.layers.0.q_proj", part, adapter: None };
                assert_eq!(parse(name), Some(key));
            }
        }
    }

    #[test]
    fn other_writers_are_understood() {
        let of = |name| parse(name).map(|key| (key.module, key.part, key.adapter));
        assert_eq!(of("base_model.model.m.q.lora_A.default.weight"), Some(("m.q", Part::A, Some("default"))));
        assert_eq!(of("m.q.lora_B.weight"), Some(("m.q", Part::B, None)));
        assert_eq!(of("m.q.lora_magnitude_vector.weight"), Some(("m.q", Part::Magnitude, None)));
        assert_eq!(of("m.q.lora_magnitude_vector.one.weight"), Some(("m.q", Part::Magnitude, Some("one"))));
        assert_eq!(of("m.e.lora_embedding_A.one"), Some(("m.e", Part::EmbeddingA, Some("one"))));
        assert_eq!(of("m.q.lora_B.bias"), Some(("m.q", Part::BiasB, None)));
        assert_eq!(of("m.q.lora_B.one.bias"), Some(("m.q", Part::BiasB, Some("one"))));
        for name in
            ["m.q.weight", "m.q.lora_A.bias", "m.q.lora_A", "m.e.lora_embedding_A.weight", "lora_A.weight"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
