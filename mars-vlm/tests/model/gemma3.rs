//! What Gemma 3 has beside other families: an adapter of PEFT on embeddings with a scale, a projector without layers,
//! and settings that are refused (`tests/oracle/gemma3.py`).

use crate::kit::{Samples, fixture};
use burn::tensor::Device;
use mars_lora::peft::{self, Base};
use mars_lora::{Adapter, AdapterConfig, AdapterStack, Model, SiteKind, Targets};
use mars_vlm::checkpoint::names_of_dir;
use mars_vlm::model::gemma3::Gemma3Config;
use mars_vlm::model::{AnyModel, Work};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::fs;

#[test]
fn an_adapter_of_the_embeddings_is_scaled_as_they_are() {
    let dir = fixture("gemma3/grouped_local");
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let names = names_of_dir(&dir).unwrap();
    let adapter = peft::read(&dir.join("embedding"), &Base::of(&model).with_namings(&names.namings)).unwrap();
    let kinds = |kind: fn(&SiteKind) -> bool| {
        let site = |path: &str| model.sites().iter().find(|site| site.path == path).unwrap();
        adapter.factors.iter().filter(|f| kind(&site(&f.path).kind)).count()
    };
    assert_eq!(kinds(|kind| *kind == SiteKind::Embedding), 1);
    assert_eq!(kinds(|kind| matches!(kind, SiteKind::Convolution { .. })), 1);
    let stack = AdapterStack::new(&[adapter], &model).unwrap();
    let logits = model.logits(&Samples::read(&dir).batch(1), &stack);
    let bytes = fs::read(dir.join("embedding.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (row, name) in ["one", "two", "words"].into_iter().enumerate() {
        let expected = file.tensor(&format!("{name}.logits")).unwrap();
        let found = logits.clone().narrow(0, row, 1).narrow(1, 0, expected.shape()[0]).into_data();
        let expected = expected.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let gaps = found.iter::<f32>().zip(expected).map(|(a, b)| (a - b).abs());
        let worst = gaps.map(|gap| if gap.is_nan() { f32::INFINITY } else { gap }).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{name}: {worst}");
    }
}

#[test]
fn the_projector_has_no_layer_that_an_adapter_acts_on() {
    let model = AnyModel::from_dir(&fixture("gemma3/grouped_local"), &Device::flex()).unwrap();
    assert!(model.sites().iter().all(|site| site.module != "projector"));
    // Seven linear layers in each block of the decoder, six in each of the encoder.
    let linear = |module: &str| {
        let own = model.sites().iter().filter(|site| site.module == module && site.kind == SiteKind::Linear);
        own.count()
    };
    assert_eq!((linear("llm"), linear("ve")), (4 * 7, 2 * 6));
    let config =
        AdapterConfig { targets: Targets::all_linear(), ..AdapterConfig::new([("projector", 2)], 0) };
    let error = Adapter::fresh(config, &model).unwrap_err().to_string();
    assert!(error.contains("projector=2"), "{error}");
}

#[test]
fn estimates_count_masks_norms_and_the_frozen_projection() {
    let dir = fixture("gemma3/grouped_local");
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let sizes = model.sizes();
    assert_eq!((sizes.projection, sizes.norms_after, sizes.masks), (12 * 16, true, 2));
    // All parameters of the file; the output layer is the table of embeddings.
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let count: usize = file.tensors().iter().map(|(_, t)| t.shape().iter().product::<usize>()).sum();
    assert_eq!((sizes.parameters, sizes.bytes), (count, 4 * count));
    // Two masks of f32 for each sequence, but not the weights of its four heads.
    let ranks = model.block_ranks(&Targets::all_linear(), |_| 0);
    let bytes = |adapters, positions| {
        let kind = mars_vlm::model::PassKind::Evaluation;
        let images = &[];
        model.pass_bytes(&Work { kind, adapters, batch: 1, positions, answers: 1, images, ranks: &ranks })
    };
    let (one, two) = (bytes(1, 1000), bytes(2, 1000));
    assert!((2 * 4_000_000..(2 + 4) * 4_000_000).contains(&(two - one)), "{one} {two}");
}

/// The settings of a case with changes.
fn read(change: impl Fn(&mut Value)) -> Result<Gemma3Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("gemma3/grouped_local/config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut config);
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    Gemma3Config::from_dir(dir.path()).map_err(|error| error.to_string())
}

#[test]
fn published_files_leave_out_what_has_its_default() {
    let config = read(|config| {
        config["text_config"] = json!({
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
        });
        config["vision_config"] = json!({
            "hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "model_type": "siglip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": false,
        });
        config["mm_tokens_per_image"] = json!(256);
    });
    let config = config.unwrap();
    let (text, gemma) = (&config.text_config, config.text_config.gemma.as_ref().unwrap());
    assert_eq!(
        (text.num_attention_heads, text.kv_heads(), text.head_width(), text.vocab_size),
        (8, 4, 256, 262_208)
    );
    assert!(config.tie_word_embeddings && config.tokens_per_side == 16);
    let globals: Vec<usize> = (0..34).filter(|layer| !gemma.local[*layer]).collect();
    assert_eq!(globals, [5, 11, 17, 23, 29]);
    assert_eq!((gemma.window, gemma.query_scalar), (1024, 256.0));
    assert_eq!((gemma.global_rope.base, gemma.global_rope.stretch), (1e6, 8.0));
    assert_eq!((gemma.local_rope.base, gemma.local_rope.stretch), (1e4, 1.0));
}

#[test]
fn files_of_both_versions_say_the_same_of_rotary_positions() {
    let older = read(|_| ()).unwrap().text_config.gemma;
    let newer = read(|config| {
        let text = config["text_config"].as_object_mut().unwrap();
        for key in ["rope_theta", "rope_local_base_freq", "rope_scaling"] {
            text.remove(key).unwrap();
        }
        text.insert(
            "rope_parameters".into(),
            json!({
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            }),
        );
    });
    assert_eq!(newer.unwrap().text_config.gemma, older);
}

#[test]
fn the_decoder_decides_whether_the_output_layer_is_tied_and_does_so_unless_told_otherwise() {
    for (top, decoder, tied) in [
        (json!(null), json!(null), true),
        (json!(true), json!(false), false),
        (json!(false), json!(true), true),
        (json!(false), json!(null), false),
    ] {
        let config = read(|config| {
            config["tie_word_embeddings"] = top.clone();
            config["text_config"]["tie_word_embeddings"] = decoder.clone();
        });
        assert_eq!(config.unwrap().tie_word_embeddings, tied, "{top} {decoder}");
    }
}
