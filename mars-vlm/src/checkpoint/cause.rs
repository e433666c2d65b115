//! Why a checkpoint probably does not fit its `config.json`, read off the names and shapes.

/// What to do where nothing more is known.
const ONE_MODEL: &str = "config.json and weights are of different models; take both from one";

/// Why `name` is not among `names`.
pub(super) fn of_missing<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(cause) = of_names(names.clone()) {
        return cause;
    }
    if name.ends_with("lm_head.weight") {
        return "tie_word_embeddings is false in config.json, but the file has no output layer of its own: set it \
                to true, or take config.json and weights from one model"
            .to_string();
    }
    let digits = |name: &str| -> String { name.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let (kind, mut names) = (digits(name), names);
    if kind.len() < name.len() && names.any(|other| digits(other) == kind) {
        return "config.json asks for more layers than the file has; take both from one model".to_string();
    }
    if name.ends_with(".bias") {
        return "config.json asks for biases that the file does not have; take both from one model"
            .to_string();
    }
    ONE_MODEL.to_string()
}

/// Why a tensor has the shape `found`.
pub(super) fn of_shape(name: &str, expected: &[usize], found: &[usize]) -> String {
    let sorted = |shape: &[usize]| {
        let mut shape = shape.to_vec();
        shape.sort_unstable();
        shape
    };
    if expected.len() > 1 && sorted(expected) == sorted(found) {
        return "its dimensions are in another order: the file was written by another program; take the original"
            .to_string();
    }
    let table = name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
    if table && expected.get(1..) == found.get(1..) {
        return "tokens were added or removed after config.json was written: set its vocab_size to the number of \
                rows, and take the tokenizer of the same model"
            .to_string();
    }
    ONE_MODEL.to_string()
}

/// Why tensors of these names are left over.
pub(super) fn of_extra(names: &[String]) -> String {
    if let Some(cause) = of_names(names.iter().map(String::as_str)) {
        return cause;
    }
    if names.iter().all(|name| name.ends_with(".bias")) {
        return "the file has biases that config.json switches off; take both from one model".to_string();
    }
    if names.iter().any(|name| name.contains("layers.") || name.contains("blocks.")) {
        return "config.json asks for fewer layers than the file has, or for others; take both from one model"
            .to_string();
    }
    ONE_MODEL.to_string()
}

/// A cause that the names alone give away.
fn of_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let any = |parts: &[&str]| names.clone().any(|name| parts.iter().any(|part| name.contains(part)));
    let all_begin = |start: &str| {
        let mut names = names.clone().peekable();
        names.peek().is_some() && names.all(|name| name.starts_with(start))
    };
    if any(&[".lora_A.", ".lora_B.", ".base_layer."]) {
        return Some(
            "the file holds an adapter beside the weights: merge it into its base and give the result"
                .to_string(),
        );
    }
    if any(&[".qweight", ".qzeros", ".weight_scale", ".quant_state", ".absmax", ".SCB"]) {
        return Some("the checkpoint is quantised; take the original".to_string());
    }
    let wrapped = ["module.", "_orig_mod."].into_iter().find(|start| all_begin(start));
    wrapped.map(|start| {
        format!(
            "all names begin with `{start}`, as a wrapper of the model left them; save the model inside of it"
        )
    })
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
            assert!(found.contains(part), "{part}: {found}");
        }
    }
}
