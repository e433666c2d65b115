//! Output layers that are the table of embeddings: which models `transformers` ties, and what is merged into them.

use burn::tensor::{Device, Tensor};
use mars_lora::merge::{Direction, MergeOptions, inspect, merge};
use mars_lora::{AdapterStack, Error};
use mars_vlm::checkpoint::{Named, names_of_dir, save};
use mars_vlm::model::AnyModel;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

use crate::kit::{Samples, fixture};

/// A `config.json` of each family and layout, and whether `transformers` 4.57.3 ties it
/// (`mars-vlm/tests/oracle/tie_flags.py`).
fn rows() -> Vec<Value> {
    serde_json::from_slice(&fs::read(fixture("tie_flags.json")).unwrap()).unwrap()
}

fn tensor(name: &str, rows: usize, columns: usize) -> Named {
    (name.to_string(), vec![rows, columns], (0..rows * columns).map(|n| n as f32 / 7.0).collect())
}

/// A base of an embedding, an output layer if `head`, and one linear layer.
fn base(dir: &Path, config: &Value, head: bool) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut tensors = vec![
        tensor("model.language_model.embed_tokens.weight", 6, 4),
        tensor("model.language_model.layers.0.mlp.up_proj.weight", 5, 4),
    ];
    tensors.extend(head.then(|| tensor("lm_head.weight", 6, 4)));
    save(&dir.join("model.safetensors"), &tensors, false).unwrap();
}

/// An adapter of rank 1 on one module.
fn adapter(dir: &Path, module: &str, [a, b]: [&str; 2], inputs: usize, outputs: usize) {
    fs::create_dir_all(dir).unwrap();
    let leaf = module.rsplit('.').next().unwrap();
    let config = json!({"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": [leaf]});
    fs::write(dir.join("adapter_config.json"), config.to_string()).unwrap();
    let name = |part: &str| format!("base_model.model.{module}.{part}");
    let tensors = [tensor(&name(a), 1, inputs), tensor(&name(b), outputs, 1)];
    save(&dir.join("adapter_model.safetensors"), &tensors, false).unwrap();
}

const HEAD: &str = "lm_head";
const TABLE: &str = "model.language_model.embed_tokens";

/// An adapter of each end of the model, and one between.
fn adapters(dir: &Path) {
    let linear = ["lora_A.weight", "lora_B.weight"];
    adapter(&dir.join("head"), HEAD, linear, 4, 6);
    adapter(&dir.join("table"), TABLE, ["lora_embedding_A", "lora_embedding_B"], 6, 4);
    adapter(&dir.join("between"), "model.language_model.layers.0.mlp.up_proj", linear, 4, 5);
}

#[test]
fn what_a_tied_model_would_lose_is_refused() {
    let place = tempfile::tempdir().unwrap();
    adapters(place.path());
    let mut refused = 0;
    for (n, row) in rows().iter().enumerate() {
        let config = &row["config"];
        for head in [true, false] {
            let dir = place.path().join(format!("{n}{head}"));
            base(&dir, config, head);
            let names = names_of_dir(&dir).unwrap();
            let options = MergeOptions { names: &names, dtype: None, direction: Direction::Merge };
            let merged = |adapter: &str| {
                let out = place.path().join(format!("{n}{head}{adapter}"));
                merge(&place.path().join(adapter), &dir, &out, &options, &mut |_, _| ())
            };
            // Version 5 ties by the top level, too.
            let top = config["tie_word_embeddings"] == true;
            let tied = row["tied"] == true || top || !head;
            refused += usize::from(tied);
            let verified = inspect(&place.path().join("head"), &dir, &names);
            if tied {
                let context = format!("{config} {head}");
                assert!(matches!(verified, Err(Error::Tied { path, .. }) if path == HEAD), "{context}");
                assert!(matches!(merged("head"), Err(Error::Tied { path, .. }) if path == HEAD), "{context}");
                assert!(
                    matches!(merged("table"), Err(Error::Tied { path, .. }) if path == TABLE),
                    "{context}"
                );
                let cautions = inspect(&place.path().join("table"), &dir, &names).unwrap().cautions;
                assert!(cautions.iter().any(|one| one.contains("cannot be merged")), "{cautions:?}");
            } else {
                assert!(verified.is_ok(), "{config}");
                assert_eq!(merged("head").unwrap().tensors, ["lm_head.weight"], "{config}");
                assert_eq!(merged("table").unwrap().tensors, [format!("{TABLE}.weight")], "{config}");
            }
            assert_eq!(merged("between").unwrap().tensors.len(), 1);
        }
    }
    assert!(refused > 80, "{refused}");
}

/// Logits of a copy of an untied checkpoint with other flags.
fn logits(case: &str, change: impl Fn(&mut Value)) -> Tensor<3> {
    let place = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixture(case)).unwrap().map(|entry| entry.unwrap()) {
        if file.path().is_file() {
            fs::copy(file.path(), place.path().join(file.file_name())).unwrap();
        }
    }
    let path = place.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
    let model = AnyModel::from_dir(place.path(), &Device::flex()).unwrap();
    let batch = Samples::read(&fixture(case)).batch(1);
    model.logits(&batch, &AdapterStack::base(1, &model))
}

/// `transformers` 4.57.3 gives both the same logits: those of the fixture, which are untied.
#[test]
fn the_top_level_does_not_tie_where_the_decoder_has_a_configuration() {
    for case in [
        "idefics3/gqa_split",
        "llava/clip_llama",
        "llava_onevision/mqa_layer",
        "qwen2_vl/mha_untied",
        "qwen3_vl/untied_mha",
        "internvl/qwen3_untied",
        "gemma3/untied_mha",
    ] {
        let same = |a: &Tensor<3>, b: &Tensor<3>| (a.clone() - b.clone()).abs().max().into_scalar::<f32>();
        let untied = logits(case, |_| ());
        let top = logits(case, |config| config["tie_word_embeddings"] = true.into());
        assert_eq!(same(&untied, &top), 0.0, "{case}");
        let decoder = logits(case, |config| config["text_config"]["tie_word_embeddings"] = true.into());
        assert!(same(&untied, &decoder) > 0.1, "{case}");
    }
}
