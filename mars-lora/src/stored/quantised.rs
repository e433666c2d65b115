//! Quantised weights, recognised by the names and types of their tensors.

/// What the names of tensors of a method hold, and what the method is called in messages.
const BY_NAME: [(&[&str], &str); 9] = [
    (&[".quant_state.bitsandbytes__", ".absmax", ".nested_absmax"], "bitsandbytes, 4 bits"),
    (&[".SCB", ".weight_format"], "bitsandbytes, 8 bits"),
    (&[".g_idx"], "GPTQ"),
    (&[".qweight", ".qzeros"], "AWQ"),
    (&[".weight_packed"], "compressed-tensors"),
    (&[".W_q"], "HQQ"),
    (&[".weight._data"], "quanto"),
    (&[".weight_scale_2"], "NVFP4"),
    (&[".weight_scale", ".activation_scale", ".input_scale"], "fp8"),
];

/// The method by which weights were quantised that have `tensors`, each with its name and its type in the header; none if
/// they are not, as far as that shows.
pub fn quantised<'a>(tensors: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Option<&'static str> {
    let named =
        |parts: &[&str]| tensors.clone().any(|(name, _)| parts.iter().any(|part| name.contains(part)));
    if let Some((_, method)) = BY_NAME.iter().find(|(parts, _)| named(parts)) {
        return Some(method);
    }
    let of_type = |types: &[&str]| {
        let mut weights = tensors.clone().filter(|(name, _)| name.ends_with("weight"));
        weights.any(|(_, dtype)| types.iter().any(|start| dtype.starts_with(start)))
    };
    if of_type(&["U32"]) && named(&[".scales"]) {
        return Some("MLX");
    }
    if of_type(&["F8_"]) {
        return Some("fp8");
    }
    of_type(&["U8", "I8", "F4", "F6_"]).then_some("8 bits or fewer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_told_apart() {
        for (tensors, method) in [
            (&[("a.q.weight", "U8"), ("a.q.weight.absmax", "U8")][..], Some("bitsandbytes, 4 bits")),
            (
                &[("a.q.weight", "U8"), ("a.q.weight.quant_state.bitsandbytes__nf4", "U8")],
                Some("bitsandbytes, 4 bits"),
            ),
            (&[("a.q.weight", "I8"), ("a.q.SCB", "F32")], Some("bitsandbytes, 8 bits")),
            (&[("a.q.qweight", "I32"), ("a.q.g_idx", "I32")], Some("GPTQ")),
            (&[("a.q.qweight", "I32"), ("a.q.qzeros", "I32")], Some("AWQ")),
            (&[("a.q.weight", "F8_E4M3")], Some("fp8")),
            (&[("a.q.weight", "F8_E4M3"), ("a.q.weight_scale_inv", "F32")], Some("fp8")),
            (&[("a.q.weight_packed", "I32"), ("a.q.weight_scale", "BF16")], Some("compressed-tensors")),
            (&[("a.q.weight", "U32"), ("a.q.scales", "F16"), ("a.q.biases", "F16")], Some("MLX")),
            (&[("a.q.weight", "I8")], Some("8 bits or fewer")),
            (&[("a.q.weight", "BF16"), ("a.position_ids", "I64"), ("a.logit_scale", "F32")], None),
            (&[], None),
        ] {
            assert_eq!(quantised(tensors.iter().copied()), method, "{tensors:?}");
        }
    }
}
