//! Files of Qwen3-VL in which one value is not what it should be, or contradicts the weights.

use super::case::{Base::Qwen3, Case};
use serde_json::{Value, json};

const CONFIG: &str = "model/config.json";
const IMAGES: &str = "model/preprocessor_config.json";
const WEIGHTS: &str = "model.safetensors";

fn value(path: &'static str, at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(Qwen3, path, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let config = [
        (
            "model_type",
            json!("qwen3_vl_moe"),
            "Qwen3-VL: a mixture of experts",
            "Qwen3-VL with dense layers (`qwen3_vl`)",
        ),
        (
            "model_type",
            json!("qwen3_5"),
            "Qwen3-VL: a family that is not read",
            "nearest model that is supported is Qwen3-VL",
        ),
        ("text_config", json!([1]), "Qwen3-VL: a list as decoder", "text_config is [1]"),
        ("text_config/rope_scaling", Value::Null, "Qwen3-VL: no sections", "no mrope_section"),
        (
            "text_config/rope_scaling/mrope_section",
            json!([2, 2, 1]),
            "Qwen3-VL: sections of another sum",
            "[2, 2, 1]",
        ),
        ("text_config/rope_scaling/mrope_section", json!([6]), "Qwen3-VL: a single section", "mrope_section"),
        (
            "text_config/rope_scaling/mrope_interleaved",
            json!(false),
            "Qwen3-VL: axes one behind the other",
            "mrope_interleaved is false",
        ),
        ("text_config/rope_scaling/rope_type", json!("yarn"), "Qwen3-VL: stretched positions", "`yarn`"),
        ("text_config/head_dim", json!(11), "Qwen3-VL: an odd head", "head_dim is 11"),
        ("text_config/num_key_value_heads", json!(3), "Qwen3-VL: more key heads than query heads", "2 / 3"),
        (
            "text_config/rms_norm_eps",
            json!(-1e-6),
            "Qwen3-VL: a negative epsilon",
            "rms_norm_eps is -0.000001",
        ),
        (
            "vision_config/out_hidden_size",
            json!(8),
            "Qwen3-VL: a width that the decoder lacks",
            "out_hidden_size is 8",
        ),
        ("vision_config/hidden_size", json!(6), "Qwen3-VL: vision heads of an odd width", "6 / 2 heads"),
        ("vision_config/num_heads", json!(0), "Qwen3-VL: no vision heads", "num_heads is 0"),
        (
            "vision_config/depth",
            json!(1),
            "Qwen3-VL: too few blocks for the features",
            "names block 2, expected 0 to 0",
        ),
        ("vision_config/in_channels", json!(4), "Qwen3-VL: four colours", "in_channels is 4"),
        ("vision_config/patch_size", json!(1u64 << 40), "Qwen3-VL: a patch beyond counting", "patch_size is"),
        (
            "vision_config/hidden_act",
            json!("elu"),
            "Qwen3-VL: another vision activation",
            "hidden_act is `elu`",
        ),
        (
            "vision_config/num_position_embeddings",
            json!(0),
            "Qwen3-VL: no positions",
            "num_position_embeddings is 0",
        ),
        (
            "vision_config/num_position_embeddings",
            json!(1u64 << 40),
            "Qwen3-VL: positions beyond counting",
            "num_position",
        ),
        (
            "vision_config/deepstack_visual_indexes",
            json!(1),
            "Qwen3-VL: a number as list",
            "deepstack_visual_indexes",
        ),
        (
            "vision_config/deepstack_visual_indexes",
            json!([-1]),
            "Qwen3-VL: a negative block",
            "deepstack_visual_indexes",
        ),
        (
            "vision_config/deepstack_visual_indexes",
            json!([0, 3]),
            "Qwen3-VL: a block that is not there",
            "names block 3",
        ),
        (
            "vision_config/deepstack_visual_indexes",
            json!([1, 1]),
            "Qwen3-VL: a block twice",
            "names block 1 twice",
        ),
    ];
    // Sound by themselves, but not of these weights.
    let contradictions = [
        ("model_type", json!("qwen2_5_vl"), "Qwen3-VL: the family before", "gate_proj"),
        (
            "vision_config/num_position_embeddings",
            json!(36),
            "Qwen3-VL: another table of positions",
            "pos_embed",
        ),
        (
            "vision_config/deepstack_visual_indexes",
            json!([0, 1, 2]),
            "Qwen3-VL: more features",
            "deepstack_merger_list.2",
        ),
        (
            "vision_config/deepstack_visual_indexes",
            json!([0]),
            "Qwen3-VL: fewer features",
            "deepstack_merger_list.1",
        ),
        ("text_config/attention_bias", json!(true), "Qwen3-VL: biases that are not there", "biases"),
        ("text_config/num_hidden_layers", json!(4), "Qwen3-VL: more layers", "more layers"),
    ];
    let images = [
        ("resample", json!(2), "Qwen3-VL: a bilinear filter", "Bilinear"),
        ("patch_size", json!(4), "Qwen3-VL: another patch than the model", "patch_size is 4"),
        ("merge_size", json!(0), "Qwen3-VL: no merge", "merge_size is 0"),
        ("size", json!(1024), "Qwen3-VL: a number as size", "size is 1024"),
        ("size/longest_edge", json!(2), "Qwen3-VL: limits that cross", "min_pixels is 4, max_pixels 2"),
        (
            "image_processor_type",
            json!("Gemma3ImageProcessor"),
            "Qwen3-VL: another processor",
            "Gemma3ImageProcessor",
        ),
        ("image_std", json!([0.5, 0.0, 0.5]), "Qwen3-VL: no deviation", "image_std"),
    ];
    let mut all = Vec::new();
    all.extend(config.map(|(at, new, name, says)| value(CONFIG, at, new, name, says)));
    all.extend(
        contradictions.map(|(at, new, name, says)| value(CONFIG, at, new, name, says).naming(WEIGHTS)),
    );
    all.extend(images.map(|(at, new, name, says)| value(IMAGES, at, new, name, says)));
    let decoder = |file: &super::case::Target| file.set("text_config/num_hidden_layers", 1);
    all.push(Case::new(
        Qwen3,
        CONFIG,
        "Qwen3-VL: fewer layers than features",
        "expected at most the 1",
        decoder,
    ));
    all
}
