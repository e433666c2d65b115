//! Files and folders that are something else than what they stand for: git-lfs pointers, web pages, weights of other
//! programs, quantised weights.

use super::case::{
    Base::{self, Llava, Sharded, Whole},
    Case, Target,
};
use super::weights::{with, without};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:\
                       4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
const PAGE: &str = "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n";
const WEIGHTS: &str = "model/model.safetensors";
const LAYER: &str = "model.text_model.layers.0.mlp.up_proj";

fn pointer(base: Base, path: &'static str) -> Case {
    Case::new(base, path, "a git-lfs pointer", "`git lfs pull`", |file| file.put(POINTER))
}

fn page(base: Base, path: &'static str) -> Case {
    Case::new(base, path, "a web page", "a web page", |file| file.put(PAGE))
}

fn weights(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, WEIGHTS, name, says, spoil)
}

/// Removes a layer's weight and adds tensors of one byte in its place.
fn quantise(file: &Target, weight: &str, dtype: &str, bytes: usize, beside: &[&str]) {
    without(file, &format!("{LAYER}.weight"));
    with(file, &format!("{LAYER}.{weight}"), dtype, &[1], &vec![0; bytes]);
    for name in beside {
        with(file, &format!("{LAYER}.{name}"), "U8", &[1], &[0]);
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = pointers();
    all.extend(other_weights());
    all.extend(quantised());
    all
}

fn pointers() -> Vec<Case> {
    let mut all = vec![
        pointer(Whole, WEIGHTS),
        pointer(Whole, "model/config.json"),
        pointer(Whole, "model/tokenizer.json"),
        pointer(Whole, "model/tokenizer_config.json"),
        pointer(Whole, "model/preprocessor_config.json"),
        pointer(Whole, "data/train.json"),
        pointer(Whole, "data/square.png"),
        pointer(Whole, "data/turned.jpg"),
        pointer(Sharded, "model/model-00002-of-00002.safetensors"),
        pointer(Llava, "adapter/adapter_model.safetensors"),
        pointer(Llava, "adapter/adapter_config.json"),
        page(Whole, WEIGHTS),
        page(Whole, "model/tokenizer.json"),
        page(Whole, "data/train.json"),
        page(Whole, "data/lossless.webp"),
        page(Sharded, "model/model-00001-of-00002.safetensors"),
        page(Llava, "adapter/adapter_config.json"),
    ];
    all.push(Case::new(
        Sharded,
        "model/model.safetensors.index.json",
        "a git-lfs pointer",
        "git-lfs",
        |file| {
            file.put(POINTER);
        },
    ));
    all
}

fn other_weights() -> Vec<Case> {
    vec![
        weights("weights of llama.cpp", "llama.cpp", |file| file.rename("model-q4_k_m.gguf")),
        weights("weights of llama.cpp under this name", "GGUF", |file| {
            file.put([&b"GGUF"[..], &[3, 0, 0, 0], &[0; 64]].concat());
        }),
        weights("a divided pickle", "pytorch_model-00001-of-00002.bin, a pickle", |file| {
            file.rename("pytorch_model-00001-of-00002.bin");
        }),
        weights("weights of TensorFlow", "another framework", |file| file.rename("tf_model.h5")),
        weights("weights of another layout", "another program", |file| {
            file.rename("consolidated.safetensors")
        }),
        weights("a variant of the weights", "rename the file", |file| file.rename("model.fp16.safetensors")),
        Case::new(
            Sharded,
            "model/model.safetensors.index.json",
            "no index of divided weights",
            "only model-00001-of-00002.safetensors, a part of divided weights",
            |file| file.remove(),
        ),
        Case::new(
            Whole,
            "model/config.json",
            "the folder of an adapter",
            "the folder of an adapter",
            |file| {
                file.remove();
                file.beside("adapter_config.json").put(r#"{"base_model_name_or_path": "owner/name"}"#);
            },
        ),
        Case::new(
            Sharded,
            "model/config.json",
            "a folder above the model",
            "the folder deeper in it",
            |file| {
                std::fs::create_dir(file.path().with_file_name("deeper")).unwrap();
                file.rename("deeper/config.json");
            },
        ),
        Case::new(
            Llava,
            "adapter/adapter_config.json",
            "the folder of a model",
            "this is the folder of a model",
            |file| {
                file.remove();
                file.beside("adapter_model.safetensors").rename("model.safetensors");
                file.beside("config.json").put("{}");
            },
        ),
        Case::new(Llava, "adapter/adapter_config.json", "weights alone", "copy it as well", |file| {
            file.remove();
        }),
        Case::new(Llava, "adapter/adapter_config.json", "a folder above it", "checkpoint-20", |file| {
            for name in ["checkpoint-10", "checkpoint-20"] {
                let inner = file.path().with_file_name(name);
                std::fs::create_dir(&inner).unwrap();
                std::fs::copy(file.path(), inner.join("adapter_config.json")).unwrap();
            }
            file.remove();
        }),
    ]
}

fn quantised() -> Vec<Case> {
    vec![
        weights("bitsandbytes in 4 bits", "bitsandbytes, 4 bits", |file| {
            quantise(file, "weight", "U8", 1, &["weight.absmax", "weight.quant_state.bitsandbytes__nf4"]);
        }),
        weights("bitsandbytes in 8 bits", "bitsandbytes, 8 bits", |file| {
            quantise(file, "weight", "I8", 1, &["SCB"]);
        }),
        weights("GPTQ", "GPTQ", |file| quantise(file, "qweight", "I32", 4, &["qzeros", "scales", "g_idx"])),
        weights("AWQ", "AWQ", |file| quantise(file, "qweight", "I32", 4, &["qzeros", "scales"])),
        weights("fp8", "fp8", |file| quantise(file, "weight", "F8_E4M3", 1, &["weight_scale_inv"])),
        weights("fp8 without scales", "fp8", |file| quantise(file, "weight", "F8_E5M2", 1, &[])),
        weights("compressed tensors", "compressed-tensors", |file| {
            quantise(file, "weight_packed", "I32", 4, &["weight_scale"]);
        }),
        weights("MLX", "MLX", |file| quantise(file, "weight", "U32", 4, &["scales", "biases"])),
    ]
}
