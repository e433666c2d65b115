//! The main job on a tiny random model of every family.

use crate::kit::{SmallTask, assets, json, mars, strs};
use burn::tensor::Device;
use mars_vlm::{
    Error, checkpoint,
    model::{
        Network, Vlm, gemma3::Gemma3Net, internvl::InternVlNet, llava::LlavaNet,
        llava_onevision::LlavaOnevisionNet, qwen2_vl::Qwen2VlNet, qwen3_vl::Qwen3VlNet,
    },
};
use safetensors::SafeTensors;
use serde_json::{Value, json as value};
use std::{fs, path::Path};

/// Weights that need not mean anything: spread by their fan-in, the same for every call.
struct Arbitrary(u64);

impl checkpoint::Source for Arbitrary {
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let count: usize = shape.iter().product();
        if shape.len() == 1 {
            return Ok(vec![
                if name.contains("norm") && name.ends_with("weight") || name.contains("lambda") {
                    1.0
                } else {
                    0.0
                };
                count
            ]);
        }
        let spread = 1.5 / ((count / shape[0]) as f32).sqrt();
        let mut draw = || {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        Ok((0..count).map(|_| spread * draw()).collect())
    }
}

/// A copy of the embedded model's directory with other settings and weights.
fn model<N: Network + burn::module::Module>(
    task: &SmallTask,
    config: Value,
    images: Value,
) -> std::path::PathBuf {
    let directory = task.model_copy();
    for name in ["model.safetensors", "processor_config.json"] {
        fs::remove_file(directory.join(name)).unwrap();
    }
    fs::write(directory.join("preprocessor_config.json"), images.to_string()).unwrap();
    let embedded: Value =
        serde_json::from_slice(&fs::read(assets().join("model/config.json")).unwrap()).unwrap();
    let mut config = config;
    config["text_config"]["vocab_size"] = embedded["text_config"]["vocab_size"].clone();
    for key in ["image_token_id", "image_token_index"] {
        config[key] = embedded["image_token_id"].clone();
    }
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
    // The tokenizer is that of the embedded model, so its image token is the one to be named.
    let path = directory.join("tokenizer_config.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    tokenizer["image_token"] = "<image>".into();
    tokenizer["context_image_token"] = "<image>".into();
    fs::write(&path, tokenizer.to_string()).unwrap();
    let config = N::config(&directory).unwrap();
    let model = Vlm::<N>::from_source(config, &mut Arbitrary(7), &Device::flex()).unwrap();
    let tensors = checkpoint::export(&model.net, &model.stored);
    checkpoint::save(&directory.join("model.safetensors"), &tensors, false).unwrap();
    directory
}

fn text(more: Value) -> Value {
    let mut text = value!({
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": true,
    });
    text.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    text
}

/// Plans, searches, and measures the adapter that is found; returns its tensors' names.
fn search(task: &SmallTask, model: &Path, policy: &str, layers: [u64; 3], image_tokens: u64) -> Vec<String> {
    let named = ["ve", "projector", "llm"].into_iter().zip(layers).filter(|(_, layers)| *layers > 0);
    let modules = format!("lora.modules={:?}", named.map(|(module, _)| module).collect::<Vec<_>>());
    let all = ["--set", &modules];
    let plan =
        json(&strs(&task.with_model("plan", model, &[&all[..], &["--policy", "paper", "--json"]].concat())));
    let count = |n: usize| plan["modules"][n]["layers"].as_u64().unwrap();
    assert_eq!([0, 1, 2].map(count), layers, "{plan}");
    assert_eq!(plan["image_tokens"]["min"], image_tokens);
    assert_eq!(plan["image_tokens"]["max"], image_tokens);
    let part = |name: &str| plan["memory"][name].as_f64().unwrap();
    let bytes = fs::metadata(model.join("model.safetensors")).unwrap().len() as f64;
    assert!((part("weights") / bytes - 1.0).abs() < 0.2, "{} of {bytes}", part("weights"));
    assert!(
        (["weights", "program", "adapters", "features", "activations"].map(part).iter().sum::<f64>()
            - part("total"))
        .abs()
            < 1.0
    );

    let out = task.path("out");
    let done = mars(&strs(&task.with_model("search", model, &["--policy", policy, "--out", &out, "--json"])));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    for module in ["ve", "llm"] {
        assert!([2, 4].contains(&summary["ranks"][module].as_u64().unwrap()), "{summary}");
    }
    let images = assets().join("digits/images.zip");
    let test = task.path("test.json");
    let tuned = json(&[
        "eval",
        "--model",
        model.to_str().unwrap(),
        "--data",
        &test,
        "--images",
        images.to_str().unwrap(),
        "--adapter",
        summary["adapter"].as_str().unwrap(),
        "--json",
    ]);
    let (found, expected) = (&tuned["perplexity"], &summary["test"]["perplexity"]);
    assert!((found.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-6, "{tuned} {summary}");
    let path = Path::new(summary["adapter"].as_str().unwrap()).join("adapter_model.safetensors");
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.names().iter().map(|name| name.to_string()).collect()
}

/// Makes sure that names with these paths are there, and two for each layer in all.
fn assert_names(names: &[String], paths: &[&str], layers: usize) {
    for path in paths {
        for factor in ["lora_A", "lora_B"] {
            let name = format!("base_model.model.{path}.{factor}.weight");
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
    }
    assert_eq!(names.len(), 2 * layers);
}

#[test]
fn llava_onevision_from_plan_to_adapter() {
    let task = SmallTask::new();
    let config = value!({
        "model_type": "llava_onevision", "text_config": text(value!({})), "vision_aspect_ratio": "anyres_max_9",
        "image_grid_pinpoints": [[24, 24], [24, 48]],
        "vision_config": {
            "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 24, "patch_size": 8,
        },
    });
    let images = value!({
        "image_processor_type": "LlavaOnevisionImageProcessor", "size": {"height": 24, "width": 24},
        "image_grid_pinpoints": [[24, 24], [24, 48]],
    });
    let model = model::<LlavaOnevisionNet>(&task, config, images);
    // Nine features of the whole image, the same of its only tile, and three newlines.
    let names = search(&task, &model, "paper", [12, 2, 14], 21);
    let paths = [
        "model.vision_tower.vision_model.encoder.layers.1.self_attn.out_proj",
        "model.language_model.layers.0.mlp.gate_proj",
    ];
    assert_names(&names, &paths, 12 + 14);
}

/// Settings of LLaVA and LLaVA-NeXT: tiles of 24 pixels.
fn llava(task: &SmallTask, config: Value, processor: &str) -> std::path::PathBuf {
    let mut config = config;
    config["vision_config"] = value!({
        "model_type": "clip_vision_model", "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 2, "image_size": 24, "patch_size": 8,
    });
    let mut images = value!({
        "image_processor_type": processor, "size": {"shortest_edge": 24}, "do_center_crop": true,
        "crop_size": {"height": 24, "width": 24},
    });
    if let Some(points) = config.get("image_grid_pinpoints") {
        images["image_grid_pinpoints"] = points.clone();
    }
    model::<LlavaNet>(task, config, images)
}

#[test]
fn llava_from_plan_to_adapter() {
    let task = SmallTask::new();
    let config = value!({"model_type": "llava", "text_config": text(value!({"model_type": "llama"}))});
    let model = llava(&task, config, "CLIPImageProcessor");
    // One feature for each patch; the last block of the encoder is there, but does not run.
    let names = search(&task, &model, "guided", [18, 2, 14], 9);
    let paths = [
        "model.vision_tower.vision_model.encoder.layers.1.mlp.fc2",
        "model.language_model.layers.0.mlp.gate_proj",
    ];
    assert_names(&names, &paths, 18 + 14);
}

#[test]
fn llava_next_from_plan_to_adapter() {
    let task = SmallTask::new();
    let config = value!({
        "model_type": "llava_next", "image_grid_pinpoints": [[24, 24], [24, 48]],
        "text_config": text(value!({"model_type": "mistral", "sliding_window": null})),
    });
    let model = llava(&task, config, "LlavaNextImageProcessor");
    // Nine features of the whole image, the same of its only tile, and three newlines.
    let names = search(&task, &model, "fixed:4x2", [18, 2, 14], 21);
    let paths = [
        "model.vision_tower.vision_model.encoder.layers.0.self_attn.out_proj",
        "model.language_model.layers.1.self_attn.v_proj",
    ];
    assert_names(&names, &paths, 18 + 14);
}

#[test]
fn qwen2_5_vl_from_plan_to_adapter() {
    let task = SmallTask::new();
    let config = value!({
        "model_type": "qwen2_5_vl",
        "text_config": text(value!({"rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]}})),
        "vision_config": {
            "depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "patch_size": 6,
            "window_size": 12, "fullatt_block_indexes": [1], "out_hidden_size": 32,
        },
    });
    let images =
        value!({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 6, "min_pixels": 144});
    let model = model::<Qwen2VlNet>(&task, config, images);
    let names = search(&task, &model, "halving", [10, 2, 14], 4);
    let paths = [
        "model.visual.blocks.0.attn.qkv",
        "model.visual.blocks.1.mlp.down_proj",
        "model.language_model.layers.1.self_attn.v_proj",
    ];
    assert_names(&names, &paths, 10 + 14);
}

/// A tiny Qwen2-VL, each of whose tokens is 12 by 12 pixels.
pub(crate) fn qwen2_vl(task: &SmallTask) -> std::path::PathBuf {
    let config = value!({
        "model_type": "qwen2_vl",
        "text_config": text(value!({"rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]}})),
        "vision_config": {
            "depth": 2, "embed_dim": 16, "hidden_size": 32, "mlp_ratio": 2, "num_heads": 2, "patch_size": 6,
        },
    });
    let images =
        value!({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 6, "min_pixels": 144});
    model::<Qwen2VlNet>(task, config, images)
}

#[test]
fn qwen2_vl_from_plan_to_adapter() {
    let task = SmallTask::new();
    let model = qwen2_vl(&task);
    let names = search(&task, &model, "fixed:4x2", [8, 2, 14], 4);
    let paths = ["model.visual.blocks.0.attn.proj", "model.visual.blocks.1.mlp.fc2"];
    assert_names(&names, &paths, 8 + 14);
}

#[test]
fn qwen3_vl_from_plan_to_adapter() {
    let task = SmallTask::new();
    let rope = value!({"rope_type": "default", "mrope_interleaved": true, "mrope_section": [2, 2, 2]});
    let config = value!({
        "model_type": "qwen3_vl", "tie_word_embeddings": true,
        "text_config": text(value!({"rope_scaling": rope, "head_dim": 12})),
        "vision_config": {
            "depth": 2, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2, "patch_size": 6,
            "out_hidden_size": 32, "num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1],
        },
    });
    let images = value!({
        "image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": 6,
        "size": {"shortest_edge": 144, "longest_edge": 10000}, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    });
    let model = model::<Qwen3VlNet>(&task, config, images);
    let all = ["--set", "run.gradient_checkpointing=true"];
    let plan = json(&strs(&task.with_model("plan", &model, &[&all[..], &["--json"]].concat())));
    assert!(plan["memory"]["activations"].as_f64().unwrap() > 0.0, "{plan}");
    // Three mergers of two layers each.
    let names = search(&task, &model, "guided", [8, 6, 14], 4);
    let paths = [
        "model.visual.blocks.0.attn.qkv",
        "model.visual.blocks.1.mlp.linear_fc2",
        "model.language_model.layers.1.self_attn.v_proj",
    ];
    assert_names(&names, &paths, 8 + 14);
}

#[test]
fn gemma3_from_plan_to_adapter() {
    let task = SmallTask::new();
    let decoder =
        value!({"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6, "sliding_window_pattern": 2});
    let config = value!({
        "model_type": "gemma3", "text_config": text(decoder), "mm_tokens_per_image": 9,
        "vision_config": {
            "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 24, "patch_size": 8,
        },
    });
    let images =
        value!({"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 24, "width": 24}});
    let model = model::<Gemma3Net>(&task, config, images);
    // What stands for an image in the template is not what stands for its features.
    let change = |name: &str, changes: &[(&str, Value)]| {
        let path = model.join(name);
        let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        changes.iter().for_each(|(key, new)| file[*key] = new.clone());
        fs::write(path, file.to_string()).unwrap();
    };
    let tokenizer: Value = serde_json::from_slice(&fs::read(model.join("tokenizer.json")).unwrap()).unwrap();
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let id = &added.iter().find(|token| token["content"] == "<global-img>").unwrap()["id"];
    change("config.json", &[("image_token_index", id.clone()), ("image_token_id", id.clone())]);
    let tokens = [("boi_token", "<image>"), ("image_token", "<global-img>"), ("eoi_token", "<image>")];
    change("tokenizer_config.json", &tokens.map(|(key, token)| (key, token.into())));

    // A rank of a module without layers would change nothing.
    let all = ["--set", r#"lora.modules=["ve","projector","llm"]"#];
    let refused = mars(&strs(&task.with_model("plan", &model, &all)));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    for word in ["`projector`", "no linear layer", r#"["ve", "llm"]"#] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    let names = search(&task, &model, "guided", [12, 0, 14], 9);
    let paths = [
        "model.vision_tower.vision_model.encoder.layers.1.mlp.fc2",
        "model.language_model.layers.1.self_attn.v_proj",
    ];
    assert_names(&names, &paths, 12 + 14);
}

#[test]
fn internvl_from_plan_to_adapter() {
    let task = SmallTask::new();
    let config = value!({
        "model_type": "internvl", "text_config": text(value!({"model_type": "qwen3", "head_dim": 12})),
        "vision_config": {
            "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": [12, 12], "patch_size": [3, 3], "use_qk_norm": true, "norm_type": "rms_norm",
        },
    });
    let images = value!({
        "image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 12, "width": 12},
        "crop_to_patches": false, "max_patches": 4, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    });
    let model = model::<InternVlNet>(&task, config, images);
    let all = ["--set", "run.gradient_checkpointing=true"];
    let plan = json(&strs(&task.with_model("plan", &model, &[&all[..], &["--json"]].concat())));
    assert!(plan["memory"]["activations"].as_f64().unwrap() > 0.0, "{plan}");
    // Four tiles and the whole image, two tokens by two each.
    let names = search(&task, &model, "guided", [12, 2, 14], 20);
    let paths = [
        "model.vision_tower.encoder.layer.0.attention.projection_layer",
        "model.vision_tower.encoder.layer.1.mlp.fc2",
        "model.language_model.layers.1.self_attn.v_proj",
    ];
    assert_names(&names, &paths, 12 + 14);
}
