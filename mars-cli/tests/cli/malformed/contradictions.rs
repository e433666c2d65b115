//! Files that are sound by themselves and contradict each other.

use super::case::{
    Base::{Llava, Qwen2, Whole},
    Case,
};
use serde_json::json;

const CONFIG: &str = "model/config.json";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(Whole, CONFIG, "more layers than weights", "more layers", |file| {
            file.set("text_config/num_hidden_layers", 5);
        })
        .naming("model.safetensors"),
        Case::new(Whole, CONFIG, "fewer layers than weights", "fewer layers", |file| {
            file.set("text_config/num_hidden_layers", 3);
        })
        .naming("model.safetensors"),
        Case::new(
            Whole,
            CONFIG,
            "fewer vision layers than weights",
            "vision_model.encoder.layers.3",
            |file| {
                file.set("vision_config/num_hidden_layers", 3);
            },
        )
        .naming("model.safetensors"),
        Case::new(Whole, CONFIG, "another feed-forward width", "mlp", |file| {
            file.set("text_config/intermediate_size", 128);
        })
        .naming("model.safetensors"),
        Case::new(Whole, CONFIG, "another image size", "position_embedding", |file| {
            file.set("vision_config/image_size", 60);
        })
        .naming("model.safetensors"),
        Case::new(Whole, CONFIG, "more tokens than embeddings", "vocab_size", |file| {
            file.set("text_config/vocab_size", 80);
        })
        .naming("model.safetensors"),
        Case::new(Whole, CONFIG, "fewer embeddings than tokens", "only 60 embeddings", |file| {
            file.set("text_config/vocab_size", 60);
        })
        .naming("tokenizer.json"),
        Case::new(Whole, CONFIG, "biases that the weights lack", "biases", |file| {
            file.set("text_config/mlp_bias", true);
        })
        .naming("model.safetensors"),
        Case::new(Whole, CONFIG, "another image token", "image_token_id 7", |file| {
            file.set("image_token_id", 7)
        })
        .naming("tokenizer.json"),
        Case::new(Whole, CONFIG, "a patch larger than a tile", "patch_size 31", |file| {
            file.set("vision_config/patch_size", 31);
        }),
        Case::new(Whole, CONFIG, "a scale that does not divide a tile", "scale_factor 3", |file| {
            file.set("scale_factor", 3);
        }),
        Case::new(Whole, CONFIG, "another number of image tokens", "image_seq_len is 4", |file| {
            file.set("scale_factor", 4);
        })
        .naming("processor_config.json"),
        Case::new(Llava, CONFIG, "another image size than the tiles", "image_size 8", |file| {
            file.set("vision_config/image_size", 8);
        })
        .naming("preprocessor_config.json"),
        Case::new(Llava, CONFIG, "other resolutions than the processor", "image_grid_pinpoints", |file| {
            file.set("image_grid_pinpoints", json!([[6, 6]]));
        })
        .naming("preprocessor_config.json"),
        Case::new(Llava, CONFIG, "another aspect than the processor", "anyres_max_4", |file| {
            file.set("vision_aspect_ratio", "anyres_max_4");
        }),
        Case::new(Llava, CONFIG, "an output layer that the weights lack", "tie_word_embeddings", |file| {
            file.set("text_config/tie_word_embeddings", false);
        })
        .naming("model.safetensors"),
        Case::new(Qwen2, CONFIG, "another patch than the processor", "patch_size 4", |file| {
            file.set("vision_config/patch_size", 4);
        })
        .naming("preprocessor_config.json"),
        Case::new(Qwen2, CONFIG, "another patch than by default", "the default patch_size 14", |file| {
            file.unset("vision_config/patch_size");
        })
        .naming("preprocessor_config.json"),
        Case::new(Qwen2, CONFIG, "another width than the decoder", "hidden_size is 24", |file| {
            file.set("vision_config/hidden_size", 24);
        }),
        Case::new(Qwen2, CONFIG, "the newer family", "hidden_size", |file| {
            file.set("model_type", "qwen2_5_vl")
        }),
    ]
}
