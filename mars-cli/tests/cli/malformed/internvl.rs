//! Files of InternVL3 in which one value is not what it should be, or contradicts the weights.

use super::case::{Base::InternVl, Case};
use serde_json::{Value, json};

const CONFIG: &str = "model/config.json";
const IMAGES: &str = "model/preprocessor_config.json";
const PROCESSOR: &str = "model/processor_config.json";
const WEIGHTS: &str = "model.safetensors";

fn value(path: &'static str, at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(InternVl, path, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let config = [
        ("model_type", json!("internvl_chat"), "InternVL3: the remote code", "OpenGVLab/InternVL3-1B-hf"),
        (
            "model_type",
            json!("internvl_flash"),
            "InternVL3: a family that is not read",
            "InternVL3 (`internvl`)",
        ),
        ("text_config", json!("qwen3"), "InternVL3: a word as decoder", "text_config is \"qwen3\""),
        ("text_config/model_type", json!("qwen3_moe"), "InternVL3: a mixture of experts", "`qwen3_moe`"),
        ("text_config/model_type", json!(3), "InternVL3: a number as kind of decoder", "model_type"),
        (
            "text_config/rope_scaling",
            json!({"rope_type": "yarn"}),
            "InternVL3: stretched positions",
            "`yarn`",
        ),
        ("text_config/head_dim", json!(11), "InternVL3: an odd head", "head_dim is 11"),
        ("text_config/num_key_value_heads", json!(3), "InternVL3: more key heads than query heads", "2 / 3"),
        (
            "text_config/use_sliding_window",
            json!("yes"),
            "InternVL3: a word for a flag",
            "use_sliding_window",
        ),
        (
            "vision_config/image_size",
            json!([8, 16]),
            "InternVL3: oblong tiles",
            "[8, 16]), expected a square",
        ),
        ("vision_config/image_size", json!([8]), "InternVL3: one side of two", "image_size"),
        (
            "vision_config/image_size",
            json!([1, 1]),
            "InternVL3: a tile below a patch",
            "patch_size 2 exceeds",
        ),
        ("vision_config/image_size", json!(1u64 << 40), "InternVL3: a tile beyond counting", "image_size is"),
        (
            "vision_config/patch_size",
            json!([2, 4]),
            "InternVL3: oblong patches",
            "patch_size is Both([2, 4])",
        ),
        ("vision_config/patch_size", json!([0, 0]), "InternVL3: no patch", "patch_size 0"),
        ("vision_config/num_attention_heads", json!(5), "InternVL3: heads of a part", "12 / 5"),
        (
            "vision_config/num_attention_heads",
            json!(0),
            "InternVL3: no vision heads",
            "num_attention_heads is 0",
        ),
        ("vision_config/num_channels", json!(4), "InternVL3: four colours", "num_channels is 4"),
        ("vision_config/norm_type", json!("batch_norm"), "InternVL3: another norm", "`batch_norm`"),
        ("vision_config/layer_norm_eps", json!(0.0), "InternVL3: no epsilon", "layer_norm_eps is 0"),
        (
            "vision_config/hidden_act",
            json!("elu"),
            "InternVL3: another vision activation",
            "hidden_act is `elu`",
        ),
        (
            "projector_hidden_act",
            json!("tanh"),
            "InternVL3: another projector",
            "projector_hidden_act is `tanh`",
        ),
        ("vision_feature_layer", json!(-2), "InternVL3: an earlier layer", "vision_feature_layer is -2"),
        ("vision_feature_layer", json!([-1, -2]), "InternVL3: several layers", "vision_feature_layer"),
        ("vision_feature_select_strategy", json!("full"), "InternVL3: the class token too", "`full`"),
    ];
    // Processor and model read it.
    let ratios = [
        (json!(0.3), "InternVL3: a third of a patch", "downsample_ratio 0.3"),
        (json!(2.0), "InternVL3: more tokens than patches", "downsample_ratio 2"),
        (json!(0.125), "InternVL3: less than one token", "downsample_ratio 0.125"),
        (json!(-0.5), "InternVL3: a negative ratio", "downsample_ratio -0.5"),
        (json!(0.75), "InternVL3: three quarters of a patch", "downsample_ratio 0.75"),
    ];
    // Sound by themselves, but not of these weights.
    let contradictions = [
        ("vision_config/image_size", json!([12, 12]), "InternVL3: another table", "position_embeddings"),
        (
            "vision_config/use_absolute_position_embeddings",
            json!(false),
            "InternVL3: no table",
            "position_embeddings",
        ),
        ("vision_config/use_qk_norm", json!(false), "InternVL3: no norms of heads", "q_norm"),
        (
            "vision_config/norm_type",
            json!("layer_norm"),
            "InternVL3: norms with biases",
            "layernorm_before.bias",
        ),
        ("vision_config/use_mean_pooling", json!(false), "InternVL3: a last norm", "layernorm.weight"),
        ("vision_config/attention_bias", json!(true), "InternVL3: biases that are not there", "q_proj.bias"),
        ("vision_config/num_hidden_layers", json!(2), "InternVL3: fewer blocks", "encoder.layer.2"),
        ("text_config/model_type", json!("qwen2"), "InternVL3: the decoder before", "q_norm"),
        ("text_config/num_hidden_layers", json!(3), "InternVL3: more layers", "layers.2"),
    ];
    let images = [
        ("size", json!({"height": 8, "width": 16}), "InternVL3: oblong sizes", "tiles are square"),
        ("size", json!({"shortest_edge": 8}), "InternVL3: a shortest edge", "tiles are square"),
        ("size", json!(8), "InternVL3: a number as size", "size is 8"),
        ("size", json!({"height": 0, "width": 0}), "InternVL3: no size", "size.height is 0"),
        ("max_patches", json!(0), "InternVL3: no tiles", "max_patches is 0"),
        ("max_patches", json!(1u64 << 40), "InternVL3: tiles beyond counting", "max_patches is"),
        ("min_patches", json!(13), "InternVL3: limits that cross", "min_patches is 13, max_patches 12"),
        ("min_patches", json!("two"), "InternVL3: a word for a number", "min_patches is \"two\""),
        ("resample", json!(2), "InternVL3: a bilinear filter", "Bilinear"),
        ("do_center_crop", json!(true), "InternVL3: cropped tiles", "do_center_crop is true"),
        ("image_std", json!([0.5, 0.0, 0.5]), "InternVL3: no deviation", "image_std"),
        (
            "image_processor_type",
            json!("CLIPImageProcessor"),
            "InternVL3: another processor",
            "this model takes GotOcr2ImageProcessor",
        ),
    ];
    let processor = [
        (json!(256), "InternVL3: as many tokens as published models have", "image_seq_length is 256"),
        (json!("four"), "InternVL3: a word for a number of tokens", "image_seq_length is \"four\""),
    ];
    let mut all = Vec::new();
    all.extend(config.map(|(at, new, name, says)| value(CONFIG, at, new, name, says)));
    all.extend(ratios.map(|(new, name, says)| value(CONFIG, "downsample_ratio", new, name, says)));
    all.extend(
        contradictions.map(|(at, new, name, says)| value(CONFIG, at, new, name, says).naming(WEIGHTS)),
    );
    all.extend(images.map(|(at, new, name, says)| value(IMAGES, at, new, name, says)));
    all.extend(processor.map(|(new, name, says)| value(PROCESSOR, "image_seq_length", new, name, says)));
    let large = |file: &super::case::Target| {
        file.set("size", json!({"height": 16384, "width": 16384}));
        file.beside("processor_config.json").remove();
    };
    all.push(Case::new(InternVl, IMAGES, "InternVL3: tiles beyond the memory", "more than 67108864", large));
    all
}
