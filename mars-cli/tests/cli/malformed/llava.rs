//! Files of LLaVA-1.5 and LLaVA-NeXT in which one value is not what it should be, or contradicts the others.

use super::case::{
    Base::{self, Llava15, LlavaNext},
    Case,
};
use serde_json::{Value, json};

const CONFIG: &str = "model/config.json";
const IMAGES: &str = "model/preprocessor_config.json";
const PROCESSOR: &str = "model/processor_config.json";
const WEIGHTS: &str = "model.safetensors";

type Row = (Base, &'static str, Value, &'static str, &'static str);

fn cases_of(path: &'static str, rows: Vec<Row>) -> impl Iterator<Item = Case> {
    let case = move |(base, at, value, name, says): Row| {
        Case::new(base, path, name, says, move |file| file.set(at, value.clone()))
    };
    rows.into_iter().map(case)
}

pub(super) fn cases() -> Vec<Case> {
    let config = vec![
        (
            Llava15,
            "model_type",
            json!("mistral3"),
            "LLaVA: Mistral 3",
            "nearest model that is supported is LLaVA-1.5",
        ),
        (Llava15, "model_type", json!("llava_onevision2"), "LLaVA: a later one", "is LLaVA-OneVision"),
        (Llava15, "vision_config", json!("clip"), "LLaVA: a text as encoder", "vision_config is \"clip\""),
        (Llava15, "vision_config/model_type", json!("pixtral"), "LLaVA: another encoder", "`pixtral`"),
        (Llava15, "vision_config/model_type", json!(3), "LLaVA: a number as encoder", "model_type"),
        (Llava15, "vision_config/num_hidden_layers", json!(0), "LLaVA: no encoder", "num_hidden_layers is 0"),
        (Llava15, "vision_config/hidden_act", json!("elu"), "LLaVA: another vision activation", "`elu`"),
        (
            Llava15,
            "vision_config/image_size",
            json!(1u64 << 40),
            "LLaVA: tiles beyond counting",
            "image_size",
        ),
        (Llava15, "vision_config/patch_size", json!(8), "LLaVA: a patch larger than a tile", "patch_size 8"),
        (Llava15, "vision_config/num_attention_heads", json!(5), "LLaVA: heads of no width", "12 / 5"),
        (Llava15, "text_config/model_type", json!("gemma"), "LLaVA: another decoder", "`gemma`"),
        (
            Llava15,
            "text_config/sliding_window",
            json!(0),
            "LLaVA: a window of nothing",
            "sliding_window is 0",
        ),
        (Llava15, "text_config/sliding_window", json!("all"), "LLaVA: a text as window", "sliding_window"),
        (Llava15, "text_config/rope_theta", json!(-1.0), "LLaVA: a negative base", "rope_theta is -1"),
        (Llava15, "vision_feature_layer", json!(4), "LLaVA: a layer beyond", "is 4, but there are 3 layers"),
        (Llava15, "vision_feature_layer", json!([]), "LLaVA: no feature layer", "vision_feature_layer is []"),
        (Llava15, "vision_feature_layer", json!("last"), "LLaVA: a text as layer", "vision_feature_layer"),
        (Llava15, "vision_feature_layer", json!(i64::MIN), "LLaVA: a layer before all", "there are 3 layers"),
        (
            Llava15,
            "projector_hidden_act",
            json!("elu"),
            "LLaVA: another projector",
            "projector_hidden_act is `elu`",
        ),
        (LlavaNext, "vision_feature_select_strategy", json!("cls"), "LLaVA-NeXT: another strategy", "`cls`"),
        (LlavaNext, "image_token_index", json!("x"), "LLaVA-NeXT: a text as token", "image_token"),
    ];
    // Sound by themselves, but not with the files of the processor.
    let images = vec![
        (LlavaNext, "image_grid_pinpoints", json!([[6, 6]]), "LLaVA-NeXT: other resolutions", "differs"),
        (
            LlavaNext,
            "image_grid_pinpoints",
            json!([[6, 7]]),
            "LLaVA-NeXT: a resolution of no tiles",
            "(6, 7)",
        ),
        (LlavaNext, "image_grid_pinpoints", json!(6), "LLaVA-NeXT: a number as resolutions", "pinpoints 6"),
        (
            LlavaNext,
            "crop_size",
            json!({"height": 6, "width": 5}),
            "LLaVA-NeXT: a crop of two sides",
            "6 x 5",
        ),
        (LlavaNext, "size", json!("large"), "LLaVA-NeXT: a text as size", "size is \"large\""),
        (LlavaNext, "image_processor_type", json!("CLIPImageProcessor"), "LLaVA-NeXT: LLaVA's", "LlavaNext"),
        (Llava15, "size/shortest_edge", json!(0), "LLaVA: no size", "shortest_edge is 0"),
        (Llava15, "size/shortest_edge", json!(6), "LLaVA: less than the crop", "images of 6"),
        (Llava15, "do_center_crop", json!(false), "LLaVA: images that are not square", "square"),
        (
            Llava15,
            "image_processor_type",
            json!("PixtralImageProcessor"),
            "LLaVA: another processor",
            "Pixtral",
        ),
    ];
    let processor = vec![
        (Llava15, "patch_size", json!(14), "LLaVA: another patch", "patch_size is 14, but 2"),
        (Llava15, "num_additional_image_tokens", json!(0), "LLaVA: no class token", "is 0, but 1"),
        (
            Llava15,
            "vision_feature_select_strategy",
            json!("default"),
            "LLaVA: another strategy",
            "10 features",
        ),
        (
            LlavaNext,
            "vision_feature_select_strategy",
            json!("full"),
            "LLaVA-NeXT: all features",
            "9 features",
        ),
        (LlavaNext, "num_additional_image_tokens", json!("one"), "LLaVA-NeXT: a text as number", "\"one\""),
    ];
    // Sound by themselves, but not of these weights.
    let weights = vec![
        (Llava15, "vision_feature_layer", json!(-2), "LLaVA: one layer for two", "linear_1"),
        (Llava15, "multimodal_projector_bias", json!(true), "LLaVA: biases of the projector", "bias"),
        (LlavaNext, "text_config/num_hidden_layers", json!(1), "LLaVA-NeXT: fewer layers", "layers.1."),
        (
            LlavaNext,
            "vision_config/num_hidden_layers",
            json!(4),
            "LLaVA-NeXT: more vision layers",
            "layers.3.",
        ),
    ];
    let others = vec![
        (Llava15, "model_type", json!("llava_next"), "LLaVA: the next one", "takes LlavaNextImageProcessor"),
        (
            LlavaNext,
            "model_type",
            json!("llava"),
            "LLaVA-NeXT: the one before",
            "takes CLIPImageProcessor or",
        ),
    ];
    let mut all: Vec<Case> = cases_of(CONFIG, config).collect();
    all.extend(cases_of(IMAGES, images));
    all.extend(cases_of(PROCESSOR, processor));
    all.extend(cases_of(CONFIG, weights).map(|case| case.naming(WEIGHTS)));
    all.extend(cases_of(CONFIG, others).map(|case| case.naming("preprocessor_config.json")));
    all
}
