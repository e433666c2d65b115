//! `config.json` that is no JSON, or in which one value is not what it should be.

use super::case::{
    Base::{self, Llava, Qwen2, Qwen25, Whole},
    Case, Target,
};
use serde_json::{Value, json};

const CONFIG: &str = "model/config.json";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, CONFIG, name, says, spoil)
}

fn value(base: Base, at: &'static str, value: Value, name: &'static str, says: &'static str) -> Case {
    Case::new(base, CONFIG, name, says, move |file| file.set(at, value.clone()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = vec![
        broken("missing", "no such file", |file| file.remove()).naming("config.json"),
        broken("empty", "EOF", |file| file.put("")),
        broken("cut in half", "EOF", |file| file.halve()),
        broken("prose", "expected ident", |file| file.put("this is a model")),
        broken("a list", "no JSON object", |file| file.put("[1, 2]")),
        broken("a number", "no JSON object", |file| file.put("7")),
        broken("null", "no JSON object", |file| file.put("null")),
        broken("latin-1", "not UTF-8", |file| file.put(b"{\"model_type\": \"id\xe9fics3\"}")),
        broken("a byte order mark", "expected value", |file| {
            file.put([b"\xef\xbb\xbf".to_vec(), file.bytes()].concat());
        }),
        broken("a folder", "it is a folder", |file| file.make_folder()),
        broken("very deep", "recursion limit", |file| file.put("{\"a\":".repeat(100_000))),
        broken("two objects", "trailing characters", |file| file.put([file.bytes(), file.bytes()].concat())),
        broken("NaN for a number", "expected value", |file| file.swap("0.00001", "NaN")),
        broken("a comment", "key must be a string", |file| file.swap("{", "{ // the model")),
        broken("nothing in it", "model_type", |file| file.put("{}")),
        broken("no family", "model_type is ``", |file| file.unset("model_type")),
    ];
    let whole = [
        ("model_type", json!("bert"), "another family", "bert"),
        ("model_type", json!(3), "a number as family", "model_type is ``"),
        ("text_config", json!([]), "a list as language model", "text_config is []"),
        ("vision_config", json!("siglip"), "a text as vision encoder", "vision_config is"),
        ("text_config/hidden_size", json!("96"), "a text as width", "hidden_size"),
        ("text_config/hidden_size", json!(-96), "a negative width", "-96"),
        ("text_config/hidden_size", json!(96.5), "a fraction as width", "96.5"),
        ("text_config/hidden_size", json!(0), "no width", "hidden_size is 0"),
        (
            "text_config/hidden_size",
            json!(1u64 << 63),
            "a width beyond counting",
            "hidden_size is 9223372036854775808",
        ),
        ("text_config/hidden_size", json!(1e30), "a width beyond whole numbers", "hidden_size"),
        ("text_config/intermediate_size", json!(0), "no feed-forward width", "intermediate_size is 0"),
        ("text_config/num_hidden_layers", json!(0), "no layers", "num_hidden_layers is 0"),
        (
            "text_config/num_hidden_layers",
            json!(1u64 << 40),
            "layers beyond counting",
            "num_hidden_layers is",
        ),
        ("text_config/num_hidden_layers", json!([4]), "a list of layers", "num_hidden_layers"),
        ("text_config/num_attention_heads", json!(0), "no heads", "num_attention_heads is 0"),
        (
            "text_config/num_key_value_heads",
            json!(3),
            "heads that do not divide",
            "num_key_value_heads is 4 / 3",
        ),
        ("text_config/num_key_value_heads", json!(0), "no key heads", "num_key_value_heads is 0"),
        ("text_config/head_dim", json!(23), "an odd head", "head_dim is 23"),
        ("text_config/head_dim", json!(0), "an empty head", "head_dim is 0"),
        ("text_config/vocab_size", json!(0), "no vocabulary", "vocab_size is 0"),
        ("text_config/vocab_size", json!(-1), "a negative vocabulary", "vocab_size is -1"),
        ("text_config/max_position_embeddings", json!(0), "no positions", "max_position_embeddings is 0"),
        (
            "text_config/max_position_embeddings",
            json!("256"),
            "a text as positions",
            "max_position_embeddings is",
        ),
        ("text_config/hidden_act", json!("softplus"), "another activation", "softplus"),
        ("text_config/rms_norm_eps", json!(-1e-5), "a negative epsilon", "rms_norm_eps is -0.00001"),
        ("text_config/rms_norm_eps", json!("1e-5"), "a text as epsilon", "rms_norm_eps"),
        ("text_config/rope_theta", json!(0.0), "no rotary base", "rope_theta is 0"),
        ("text_config/rope_scaling", json!({"rope_type": "yarn"}), "scaled positions", "yarn"),
        (
            "text_config/rope_scaling",
            json!({"rope_type": "default", "type": "yarn"}),
            "scaled positions by the older name",
            "yarn",
        ),
        (
            "text_config/rope_scaling",
            json!({"rope_type": "linear", "factor": 0}),
            "positions divided by nothing",
            "factor is 0",
        ),
        (
            "text_config/rope_scaling",
            json!({"rope_type": "llama3", "factor": 8}),
            "bands without a length",
            "`llama3` without original_max_position_embeddings",
        ),
        (
            "text_config/rope_scaling",
            json!({
                "rope_type": "llama3", "factor": 8, "original_max_position_embeddings": 64, "low_freq_factor": 4,
                "high_freq_factor": 4,
            }),
            "bands of nothing",
            "high_freq_factor is 4",
        ),
        (
            "text_config/rope_parameters",
            json!({"rope_type": "linear", "type": "default", "factor": 2}),
            "two kinds of positions",
            "two things",
        ),
        ("text_config/model_type", json!("granite"), "another decoder", "is `granite`, expected `llama`"),
        ("text_config/rope_scaling", json!({"mrope_section": [1, 2]}), "two sections", "mrope_section"),
        ("text_config/use_sliding_window", json!(true), "sliding windows", "sliding-window"),
        ("text_config/tie_word_embeddings", json!("no"), "a text as truth value", "tie_word_embeddings"),
        ("vision_config/patch_size", json!(0), "no patch", "patch_size 0"),
        ("vision_config/image_size", json!(0), "no image", "image_size is 0"),
        ("vision_config/image_size", json!(1u64 << 40), "an image beyond counting", "image_size is"),
        ("vision_config/num_channels", json!(1), "grey images", "num_channels is 1"),
        ("vision_config/num_attention_heads", json!(5), "vision heads that do not divide", "64 / 5"),
        ("vision_config/num_hidden_layers", json!(0), "no vision layers", "num_hidden_layers is 0"),
        ("vision_config/hidden_act", json!(7), "a number as activation", "hidden_act"),
        ("vision_config/layer_norm_eps", json!(0), "no epsilon", "layer_norm_eps is 0"),
        ("scale_factor", json!(0), "no scale factor", "scale_factor 0"),
        ("scale_factor", json!("2"), "a text as scale factor", "scale_factor"),
        ("image_token_id", json!(-6), "a negative image token", "image_token_id is -6"),
        ("image_token_id", json!("6"), "a text as image token", "image_token_id is \"6\""),
        ("image_token_id", json!(1u64 << 40), "an image token beyond u32", "image_token_id is 1099511627776"),
    ];
    all.extend(whole.map(|(at, new, name, says)| value(Whole, at, new, name, says)));
    let families = [
        (Llava, "text_config/model_type", json!("mistral"), "another language model", "mistral"),
        (Llava, "vision_feature_layer", json!(99), "a layer that is not there", "vision_feature_layer is 99"),
        (
            Llava,
            "vision_feature_layer",
            json!("last"),
            "a text as layer",
            "expected a whole number or a list of them",
        ),
        (Llava, "vision_feature_select_strategy", json!("default"), "another selection", "`default`"),
        (Llava, "projector_hidden_act", json!("relu6"), "another projector", "relu6"),
        (Llava, "multimodal_projector_bias", json!("yes"), "a text as bias", "boolean"),
        (Llava, "vision_config/intermediate_size", json!(0), "no inner width", "intermediate_size is 0"),
        (Qwen2, "rope_scaling", Value::Null, "no sections", "mrope_section"),
        (
            Qwen2,
            "rope_scaling",
            json!({"rope_type": "linear", "factor": 2, "mrope_section": [1, 2, 1]}),
            "three stretched axes",
            "three axes",
        ),
        (Qwen2, "rope_scaling/mrope_section", json!([1, 2, 2]), "sections of another sum", "[1, 2, 2]"),
        (
            Qwen2,
            "rope_scaling/mrope_section",
            json!([u64::MAX, 1, 4]),
            "sections beyond counting",
            "mrope_section",
        ),
        (Qwen2, "vision_config/embed_dim", json!(0), "no vision width", "embed_dim is 0"),
        (Qwen2, "vision_config/embed_dim", json!(6), "heads of an odd width", "6 / 2 heads"),
        (Qwen2, "vision_config/mlp_ratio", json!(-2.0), "a negative ratio", "mlp_ratio is -2"),
        (Qwen2, "vision_config/mlp_ratio", json!(1e300), "a ratio beyond counting", "mlp_ratio is"),
        (Qwen2, "vision_config/in_channels", json!(4), "four colours", "in_channels is 4"),
        (Qwen2, "vision_config/depth", json!(0), "no blocks", "depth is 0"),
        (Qwen2, "vision_config/num_heads", json!(0), "no vision heads", "num_heads is 0"),
        (Qwen25, "vision_config/window_size", json!(1), "a window smaller than a token", "window_size is"),
        (
            Qwen25,
            "vision_config/fullatt_block_indexes",
            json!(1),
            "a number as list",
            "fullatt_block_indexes",
        ),
        (Qwen25, "vision_config/hidden_act", json!("elu"), "another vision activation", "elu"),
        (
            Qwen25,
            "vision_config/out_hidden_size",
            json!(8),
            "a width that the decoder lacks",
            "out_hidden_size is 8",
        ),
    ];
    all.extend(families.map(|(base, at, new, name, says)| value(base, at, new, name, says)));
    all
}
