//! Files of Gemma 3 in which one value is not what it should be, or contradicts the weights.

use super::case::{Base::Gemma3, Case};
use serde_json::{Value, json};

const CONFIG: &str = "model/config.json";
const IMAGES: &str = "model/preprocessor_config.json";
const PROCESSOR: &str = "model/processor_config.json";
const WEIGHTS: &str = "model.safetensors";

fn value(path: &'static str, at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(Gemma3, path, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let config = [
        (
            "model_type",
            json!("gemma3_text"),
            "Gemma 3: words only",
            "it is the decoder of Gemma 3 alone; take a Gemma 3 with its vision encoder",
        ),
        ("model_type", json!("llava_onevision"), "Gemma 3: another family", "Gemma3ImageProcessor"),
        (
            "model_type",
            json!("gemma4"),
            "Gemma 3: a family that is not read",
            "supported is Gemma 3 (`gemma3`)",
        ),
        ("text_config", json!([1]), "Gemma 3: a list as decoder", "text_config is [1]"),
        ("text_config/model_type", json!("gemma2"), "Gemma 3: another decoder", "is `gemma2`"),
        (
            "text_config/layer_types",
            json!(["full_attention"]),
            "Gemma 3: one kind of layer",
            "has 1 entries, expected 4",
        ),
        (
            "text_config/layer_types/1",
            json!("chunked_attention"),
            "Gemma 3: an unknown kind of layer",
            "`chunked_attention`",
        ),
        ("text_config/layer_types", json!("full"), "Gemma 3: a text as kinds of layers", "layer_types"),
        ("text_config/sliding_window", json!(0), "Gemma 3: a window of nothing", "sliding_window is 0"),
        ("text_config/sliding_window", json!(-4), "Gemma 3: a negative window", "sliding_window"),
        (
            "text_config/sliding_window",
            json!(1u64 << 40),
            "Gemma 3: a window beyond counting",
            "sliding_window is",
        ),
        (
            "text_config/sliding_window_pattern",
            json!(0),
            "Gemma 3: a pattern of nothing",
            "sliding_window_pattern is 0",
        ),
        (
            "text_config/query_pre_attn_scalar",
            json!(0),
            "Gemma 3: no scale of queries",
            "query_pre_attn_scalar is 0",
        ),
        ("text_config/query_pre_attn_scalar", json!(-256), "Gemma 3: a negative scale of queries", "is -256"),
        ("text_config/rope_theta", json!(0), "Gemma 3: no base of positions", "rope_theta is 0"),
        (
            "text_config/rope_local_base_freq",
            json!(-1.5),
            "Gemma 3: a negative local base",
            "rope_theta is -1.5",
        ),
        ("text_config/rope_scaling/rope_type", json!("yarn"), "Gemma 3: positions by another rule", "`yarn`"),
        (
            "text_config/rope_scaling/factor",
            Value::Null,
            "Gemma 3: linear without a factor",
            "without a factor",
        ),
        ("text_config/rope_scaling/factor", json!(0), "Gemma 3: a factor of nothing", "factor is 0"),
        ("text_config/rope_scaling", json!(8.0), "Gemma 3: a number as scaling", "rope_scaling"),
        (
            "text_config/rope_parameters",
            json!({"sliding_attention": {"rope_type": "llama3", "factor": 2.0}}),
            "Gemma 3: local positions by another rule",
            "`llama3`",
        ),
        (
            "text_config/use_bidirectional_attention",
            json!(true),
            "Gemma 3: text that sees what follows",
            "use_bidirectional_attention is true",
        ),
        (
            "text_config/hidden_activation",
            json!("elu"),
            "Gemma 3: another activation",
            "hidden_activation is `elu`",
        ),
        ("text_config/num_key_value_heads", json!(3), "Gemma 3: key heads that do not divide", "4 / 3"),
        ("text_config/head_dim", json!(7), "Gemma 3: an odd head", "head_dim is 7"),
        (
            "text_config/num_hidden_layers",
            json!(1u64 << 40),
            "Gemma 3: layers beyond counting",
            "num_hidden_layers is",
        ),
        ("mm_tokens_per_image", json!(0), "Gemma 3: no tokens", "mm_tokens_per_image is 0"),
        ("vision_config/num_attention_heads", json!(5), "Gemma 3: vision heads that do not divide", "12 / 5"),
        ("vision_config/patch_size", json!(9), "Gemma 3: a patch larger than the image", "patch_size 9"),
        ("vision_config/layer_norm_eps", json!(0), "Gemma 3: no epsilon", "layer_norm_eps is 0"),
        (
            "vision_config/hidden_act",
            json!("elu"),
            "Gemma 3: another vision activation",
            "hidden_act is `elu`",
        ),
    ];
    // Sound by themselves, but not of these weights.
    let contradictions = [
        ("text_config/attention_bias", json!(true), "Gemma 3: biases that are not there", "biases"),
        ("vision_config/hidden_size", json!(24), "Gemma 3: another width of the encoder", "24"),
        ("vision_config/num_hidden_layers", json!(3), "Gemma 3: more vision layers", "layers.2"),
        ("text_config/intermediate_size", json!(20), "Gemma 3: another inner width", "20"),
    ];
    let images = [
        ("size", json!(8), "Gemma 3: a number as size", "size is 8"),
        ("size/height", json!(16), "Gemma 3: an image that is no square", "the same height and width"),
        ("size", json!({"height": 16, "width": 16}), "Gemma 3: another size than the model", "size is 16"),
        ("do_resize", json!(false), "Gemma 3: images of any size", "do_resize is false"),
        ("do_pan_and_scan", json!(1), "Gemma 3: a number as switch", "do_pan_and_scan is 1"),
        (
            "image_processor_type",
            json!("SiglipImageProcessor"),
            "Gemma 3: another processor",
            "SiglipImageProcessor",
        ),
        ("image_std", json!([0.5, 0.0, 0.5]), "Gemma 3: no deviation", "image_std"),
    ];
    let tokens = [
        ("image_seq_length", json!(256), "Gemma 3: other tokens than the model", "image_seq_length is 256"),
        ("image_seq_length", json!("4"), "Gemma 3: a text as number of tokens", "image_seq_length is \"4\""),
        ("image_seq_length", json!(1u64 << 40), "Gemma 3: tokens beyond counting", "image_seq_length is"),
    ];
    let crops = [
        ("pan_and_scan_min_crop_size", json!(0), "Gemma 3: crops of nothing"),
        ("pan_and_scan_max_num_crops", json!(1u64 << 40), "Gemma 3: crops beyond counting"),
        ("pan_and_scan_min_ratio_to_activate", json!(-1), "Gemma 3: a negative ratio"),
    ];
    let mut all = Vec::new();
    all.extend(config.map(|(at, new, name, says)| value(CONFIG, at, new, name, says)));
    all.extend(
        contradictions.map(|(at, new, name, says)| value(CONFIG, at, new, name, says).naming(WEIGHTS)),
    );
    all.extend(images.map(|(at, new, name, says)| value(IMAGES, at, new, name, says)));
    all.extend(tokens.map(|(at, new, name, says)| value(PROCESSOR, at, new, name, says)));
    all.extend(crops.map(|(at, new, name)| {
        Case::new(Gemma3, IMAGES, name, at, move |file| {
            file.set("do_pan_and_scan", true);
            file.set(at, new.clone());
        })
    }));
    // Another number of tokens than the squares of patches allow, in both files.
    all.push(Case::new(
        Gemma3,
        CONFIG,
        "Gemma 3: tokens that are no squares",
        "the square of a divisor",
        |file| {
            file.set("mm_tokens_per_image", 9);
            file.beside("processor_config.json").set("image_seq_length", 9);
        },
    ));
    all
}
