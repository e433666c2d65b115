//! Adapters of other kinds, and settings of LoRA that change what it computes in ways that are not known here: what to do
//! instead.

use serde_json::{Map, Value};

/// Kinds whose work is added to the weights of the base, so that PEFT can merge them.
const MERGEABLE: [&str; 15] = [
    "ADALORA",
    "BOFT",
    "BONE",
    "C3A",
    "FOURIERFT",
    "HRA",
    "IA3",
    "LOHA",
    "LOKR",
    "LN_TUNING",
    "MISS",
    "OFT",
    "RANDLORA",
    "VBLORA",
    "VERA",
];
/// How what cannot be read here becomes what can.
const MERGE: &str =
    "merge it with PEFT (merge_and_unload, then save_pretrained) and give the result as the model";

/// Initialisations that leave the base weights as they are.
const HARMLESS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Fields that count unless they are null, false or empty: the name, and what to do about it.
const FIELDS: [(&str, &str); 12] = [
    (
        "alora_invocation_tokens",
        "the adapter acts behind certain tokens only, which is not computed here; train a plain LoRA",
    ),
    (
        "arrow_config",
        "several adapters are mixed by a router, which is not computed here; save one of them on its own",
    ),
    ("kasa_config", MERGE),
    ("layer_replication", MERGE),
    ("megatron_config", "save the adapter with megatron_config null, in the layout of transformers"),
    ("monteclora_config", MERGE),
    ("target_parameters", MERGE),
    ("use_bdlora", MERGE),
    ("use_qalora", MERGE),
    ("velora_config", MERGE),
    (
        "loftq_config",
        "the adapter belongs to a base that LoftQ changed: give that base, and set loftq_config to null",
    ),
    (
        "corda_config",
        "the adapter belongs to a base that CorDA changed: save it again with PEFT's \
      `path_initial_model_for_weight_conversion`, which makes it a plain LoRA",
    ),
];

/// The message for another `peft_type`.
pub(super) fn kind(found: &Value) -> String {
    let remedy = match found.as_str() {
        Some(kind) if MERGEABLE.contains(&kind.to_uppercase().as_str()) => MERGE,
        _ => "it is no change of weights that could be merged, or not known: train a LoRA",
    };
    format!("peft_type is {found}, expected \"LORA\"; {remedy}")
}

/// What of the first values and of the fields that have no names of their own is not known here, if anything.
///
/// # Errors
/// A message with the fields, and what to do about the first.
pub(super) fn check(init: &Value, other: &Map<String, Value>) -> Result<(), String> {
    if !init.is_boolean() && !init.as_str().is_some_and(|name| HARMLESS.contains(&name)) {
        return Err(format!(
            "init_lora_weights is {init}: the adapter belongs to a changed base; save it again with PEFT's \
             `path_initial_model_for_weight_conversion`, which makes it a plain LoRA"
        ));
    }
    let is_set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => true,
    };
    let set = || FIELDS.iter().filter(|(field, _)| other.get(*field).is_some_and(is_set));
    let Some((_, remedy)) = set().next() else { return Ok(()) };
    let names: Vec<&str> = set().map(|(field, _)| *field).collect();
    Err(format!("these fields change the adapter in ways not known here: {}; {remedy}", names.join(", ")))
}
