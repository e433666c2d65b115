//! Adapter directories: `adapter_config.json` and `adapter_model.safetensors`.

use super::case::{Base::Llava, Case, Target};
use super::weights::{parts, patch, with, without, write};
use serde_json::{Value, json};

const CONFIG: &str = "adapter/adapter_config.json";
const WEIGHTS: &str = "adapter/adapter_model.safetensors";
const ONE: &str = "base_model.model.model.multi_modal_projector.linear_1.lora_A.weight";

fn config(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Llava, CONFIG, name, says, spoil)
}

fn weights(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Llava, WEIGHTS, name, says, spoil)
}

fn value(at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(Llava, CONFIG, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        config("missing", "adapter_config.json", |file| file.remove()),
        config("empty", "EOF", |file| file.put("")),
        config("cut in half", "EOF", |file| file.halve()),
        config("a list", "peft_type", |file| file.put("[]")),
        config("not text", "not JSON", |file| file.put(b"{\"peft_type\": \"\xff\"}")),
        config("a folder", "adapter_config.json", |file| file.make_folder()),
        config("of a terabyte", "bytes long", |file| file.stretch(1 << 40)),
        config("no kind", "peft_type is missing", |file| file.unset("peft_type")),
        config("no rank", "`r`", |file| file.unset("r")),
        config("no targets", "target_modules is null", |file| file.unset("target_modules")),
    ];
    let values = [
        ("peft_type", json!("VERA"), "another kind", "VERA"),
        ("r", json!(0), "a rank of zero", "a rank is 0"),
        ("r", json!(-2), "a negative rank", "-2"),
        ("r", json!("2"), "a text as rank", "\"2\""),
        ("r", json!(u64::MAX), "a rank beyond counting", "a rank is 18446744073709551615"),
        ("lora_alpha", json!(0), "an alpha of zero", "an alpha is 0"),
        ("lora_alpha", Value::Null, "no alpha", "null"),
        ("lora_dropout", json!(1.5), "dropout above one", "lora_dropout is 1.5"),
        ("target_modules", json!(7), "a number as targets", "target_modules"),
        ("target_modules", json!("(unclosed"), "targets that are no pattern", "`(unclosed`"),
        ("target_modules", json!("(.+)+\\1z"), "targets without end", "backtracking"),
        ("exclude_modules", json!("[z-a]"), "exclusions that are no pattern", "`[z-a]`"),
        ("rank_pattern", json!([2]), "a list of ranks", "regular expressions"),
        ("rank_pattern", json!({"*": 2}), "a rank for no pattern", "`*`"),
        ("rank_pattern", json!({"\\w{100000}": 2}), "a rank for gigabytes of an automaton", "MiB of memory"),
        ("rank_pattern", json!({"vision_tower\\..*": 0}), "a rank of zero for some", "a rank is 0"),
        ("alpha_pattern", json!({"vision_tower\\..*": "4"}), "a text as alpha", "4"),
        ("bias", json!("all"), "trained biases", "bias is \"all\""),
        ("modules_to_save", json!(["lm_head"]), "whole modules", "lm_head"),
        ("init_lora_weights", json!("pissa"), "a changed base", "pissa"),
        ("layers_to_transform", json!("first"), "a text as layers", "OneOrMore"),
        ("use_dora", json!("no"), "a text as truth value", "boolean"),
        ("trainable_token_indices", json!([1, 2]), "trained tokens", "trainable_token_indices"),
    ];
    all.extend(values.map(|(at, new, name, says)| value(at, new, name, says)));
    // What contradicts the tensors names the directory.
    let against = [
        ("use_dora", json!(true), "magnitudes that are not there", "magnitude"),
        ("r", json!(4), "another rank than the tensors", "instead of"),
        ("target_modules", json!(["q_proj"]), "fewer targets than tensors", "without a place"),
        ("target_modules", json!(["q_proj", "norm"]), "other targets than tensors", "without a place"),
    ];
    all.extend(against.map(|(at, new, name, says)| value(at, new, name, says).naming("adapter")));
    all.extend([
        weights("missing", "adapter_model.safetensors", |file| file.remove()),
        weights("a pickle instead", "safe_serialization=True", |file| file.rename("adapter_model.bin")),
        weights("empty", "it has 0 bytes", |file| file.put("")),
        weights("cut in half", "truncated", |file| file.halve()),
        weights("a header beyond the file", "its header says", |file| {
            file.put([&[255; 8][..], &file.bytes()[8..]].concat());
        }),
        weights("nothing in it", "missing in the file", |file| write(file, "{}", &[])).naming("adapter"),
        weights("a value that is no number", "holds NaN at [0, 0]", |file| {
            patch(file, ONE, &[0, 0, 0xc0, 0x7f])
        }),
        weights("no factor A of a layer", ONE, |file| without(file, ONE)).naming("adapter"),
        weights("a layer that the model lacks", "audio.lora_A.weight", |file| {
            with(file, "base_model.model.audio.lora_A.weight", "F32", &[1, 1], &[0; 4]);
        })
        .naming("adapter"),
        weights("a tensor of the base", "no LoRA factors", |file| {
            with(file, "model.norm.weight", "F32", &[1], &[0; 4]);
        }),
        weights("two adapters", "several adapters", |file| {
            with(file, "base_model.model.a.lora_A.other.weight", "F32", &[1, 1], &[0; 4]);
        }),
        weights("another shape", "of another shape", |file| {
            let (mut header, data) = parts(file);
            header[ONE]["shape"].as_array_mut().unwrap().reverse();
            write(file, &header.to_string(), &data);
        })
        .naming("adapter"),
        weights("whole numbers", "of another shape", |file| {
            let (mut header, data) = parts(file);
            header[ONE]["dtype"] = json!("I32");
            write(file, &header.to_string(), &data);
        })
        .naming("adapter"),
        weights("a name twice", "occurs twice", |file| {
            let (header, data) = parts(file);
            let first = format!("{{\"{ONE}\":{},", header[ONE]);
            write(file, &header.to_string().replacen('{', &first, 1), &data);
        }),
    ]);
    all
}
