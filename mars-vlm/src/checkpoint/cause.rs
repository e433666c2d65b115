//! Why a checkpoint probably does not fit its `config.json`, concluded from names and shapes of its tensors.

use crate::Misfit;
use mars_lora::stored::quantised;

/// Why `name` is not among `names`.
pub(super) fn of_missing<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Misfit {
    if let Some(cause) = of_names(names.clone()) {
        return cause;
    }
    if name.ends_with("lm_head.weight") {
        return Misfit::OutputLayer;
    }
    let without_digits = |name: &str| -> String { name.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let (kind, mut names) = (without_digits(name), names);
    if kind.len() < name.len() && names.any(|other| without_digits(other) == kind) {
        return Misfit::FewerLayers;
    }
    if name.ends_with(".bias") { Misfit::NoBiases } else { Misfit::OtherModel }
}

/// Why a tensor has the shape `found`.
pub(super) fn of_shape(name: &str, expected: &[usize], found: &[usize]) -> Misfit {
    let sorted = |shape: &[usize]| {
        let mut shape = shape.to_vec();
        shape.sort_unstable();
        shape
    };
    if expected.len() > 1 && sorted(expected) == sorted(found) {
        return Misfit::Order;
    }
    let table = name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
    if table && expected.get(1..) == found.get(1..) { Misfit::Vocabulary } else { Misfit::OtherModel }
}

/// Why tensors of these names are left over.
pub(super) fn of_extra(names: &[String]) -> Misfit {
    if let Some(cause) = of_names(names.iter().map(String::as_str)) {
        return cause;
    }
    if names.iter().all(|name| name.ends_with(".bias")) {
        return Misfit::Biases;
    }
    let of_layer = |name: &String| name.contains("layers.") || name.contains("blocks.");
    if names.iter().any(of_layer) { Misfit::OtherLayers } else { Misfit::OtherModel }
}

/// A cause that the names alone give away.
fn of_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<Misfit> {
    let any = |parts: &[&str]| names.clone().any(|name| parts.iter().any(|part| name.contains(part)));
    let all_begin = |start: &str| {
        let mut names = names.clone().peekable();
        names.peek().is_some() && names.all(|name| name.starts_with(start))
    };
    if any(&[".lora_A.", ".lora_B.", ".base_layer."]) {
        return Some(Misfit::Adapter);
    }
    if let Some(method) = quantised(names.clone().map(|name| (name, ""))) {
        return Some(Misfit::Quantised(method));
    }
    ["module.", "_orig_mod."].into_iter().find(|start| all_begin(start)).map(Misfit::Wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        let missing = |name: &str, names: &[&str]| of_missing(name, names.iter().copied());
        for (found, part) in [
            (missing("a.layers.3.q.weight", &["a.layers.0.q.weight"]), "more layers"),
            (missing("a.layers.3.q.weight", &["b.q.weight"]), "different models"),
            (missing("a.q.bias", &["a.q.weight"]), "biases"),
            (missing("lm_head.weight", &["a.q.weight"]), "tie_word_embeddings"),
            (missing("a.q.weight", &["a.q.qweight"]), "quantised"),
            (missing("a.q.weight", &["a.q.base_layer.weight", "a.q.lora_A.weight"]), "adapter"),
            (missing("a.q.weight", &["module.a.q.weight"]), "`module.`"),
            (missing("a.q.weight", &[]), "different models"),
            (of_shape("a.q.weight", &[3, 4], &[4, 3]), "another order"),
            (of_shape("a.embed_tokens.weight", &[30, 4], &[31, 4]), "vocab_size"),
            (of_shape("a.q.weight", &[30, 4], &[31, 4]), "different models"),
            (of_shape("a.q.bias", &[30], &[31]), "different models"),
            (of_extra(&["a.layers.9.q.weight".to_string()]), "fewer layers"),
            (of_extra(&["a.layers.9.q.bias".to_string()]), "biases"),
            (of_extra(&["audio.weight".to_string()]), "different models"),
        ] {
            assert!(found.to_string().contains(part), "{part}: {found}");
        }
    }
}
