//! Configuration, tokenizer and processor files of the tiny Idefics3, as `transformers` reads them.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{
    canvas::CANVAS,
    words::{self, AROUND_IMAGE, END, IMAGE, PAD, SPECIAL, START, UNKNOWN},
};

const PATCH: usize = 6;
const SCALE: usize = 2;
/// Patches along a side of the position table. One more than a canvas has (4): every version of
/// `transformers` then puts every patch at the same place, although they round differently at places
/// where the two grids meet (`tests/oracle/idefics3.py` has the details).
const POSITIONS: usize = CANVAS / PATCH + 1;
/// Tokens that a canvas becomes: one per cell.
const IMAGE_TOKENS: usize = (CANVAS / PATCH / SCALE).pow(2);
const CONTEXT: usize = 256;

/// Turns as SmolVLM writes them; `content` may be a string or a list of parts.
const CHAT_TEMPLATE: &str = "\
<|im_start|>
{%- for message in messages -%}
    {{- message['role'] | capitalize + ':' -}}
    {%- if message['content'] is string -%}
        {{- ' ' + message['content'] -}}
    {%- else -%}
        {%- for part in message['content'] -%}
            {%- if part['type'] == 'image' -%}
                {{- '<image>' -}}
            {%- else -%}
                {{- (' ' if loop.first else '') + part['text'] -}}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- '<end_of_utterance>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- 'Assistant:' -}}
{%- endif -%}
";

/// Writes every file but the weights into `directory`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path) -> Result<()> {
    for (name, content) in files() {
        super::write_file(&directory.join(name), content.as_bytes())?;
    }
    Ok(())
}

/// Name and content of every file but the weights.
pub fn files() -> Vec<(&'static str, String)> {
    let json = |value: Value| format!("{value:#}\n");
    vec![
        ("config.json", json(config())),
        ("generation_config.json", json(generation_config())),
        ("tokenizer.json", json(tokenizer())),
        ("tokenizer_config.json", json(tokenizer_config())),
        ("special_tokens_map.json", json(special_tokens_map())),
        ("preprocessor_config.json", json(preprocessor_config())),
        ("processor_config.json", json(processor_config())),
        ("chat_template.jinja", CHAT_TEMPLATE.into()),
    ]
}

fn id(token: &str) -> usize {
    words::all().iter().position(|&w| w == token).expect("special tokens are in the vocabulary")
}

fn config() -> Value {
    json!({
        "architectures": ["Idefics3ForConditionalGeneration"],
        "model_type": "idefics3",
        "torch_dtype": "float32",
        "image_token_id": id(IMAGE),
        "pad_token_id": id(PAD),
        "scale_factor": SCALE,
        "tie_word_embeddings": false,
        "use_cache": true,
        "vision_config": {
            "model_type": "idefics3_vision",
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_channels": 3,
            "image_size": POSITIONS * PATCH,
            "patch_size": PATCH,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "attention_dropout": 0.0,
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": words::table_size(),
            "hidden_size": 96,
            "intermediate_size": 256,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 24,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "max_position_embeddings": CONTEXT,
            "attention_bias": false,
            "mlp_bias": false,
            "bos_token_id": id(START),
            "eos_token_id": id(END),
            "pad_token_id": id(PAD),
            "tie_word_embeddings": false,
        },
    })
}

fn generation_config() -> Value {
    json!({"bos_token_id": id(START), "eos_token_id": id(END), "pad_token_id": id(PAD)})
}

fn added(token: &str) -> Map<String, Value> {
    let fields = json!({
        "content": token, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
    });
    fields.as_object().cloned().unwrap_or_default()
}

/// Whole words, single digits, newlines and punctuation; blanks only separate.
fn tokenizer() -> Value {
    let vocabulary: Map<String, Value> =
        words::all().into_iter().enumerate().map(|(id, word)| (word.to_string(), id.into())).collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .map(|token| {
            let mut entry = Map::from_iter([("id".to_string(), id(token).into())]);
            entry.extend(added(token));
            entry.into()
        })
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "[A-Za-z]+(?:-[A-Za-z]+)*|[0-9]|\\n|[^\\sA-Za-z0-9]"},
            "behavior": "Removed",
            "invert": true,
        },
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    })
}

fn tokenizer_config() -> Value {
    let decoder: Map<String, Value> =
        SPECIAL.iter().map(|token| (id(token).to_string(), added(token).into())).collect();
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Idefics3Processor",
        "added_tokens_decoder": decoder,
        "additional_special_tokens": [AROUND_IMAGE, IMAGE, END],
        "bos_token": START,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": UNKNOWN,
        "clean_up_tokenization_spaces": false,
        "model_max_length": CONTEXT,
        "padding_side": "right",
    })
}

fn special_tokens_map() -> Value {
    json!({
        "additional_special_tokens": [AROUND_IMAGE, IMAGE, END],
        "bos_token": START,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": UNKNOWN,
    })
}

/// A canvas is 24 x 24 already: it goes through unscaled.
fn preprocessor_config() -> Value {
    json!({
        "image_processor_type": "Idefics3ImageProcessor",
        "processor_class": "Idefics3Processor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": {"longest_edge": CANVAS},
        "resample": 1,
        "do_image_splitting": false,
        "max_image_size": {"longest_edge": CANVAS},
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_pad": true,
    })
}

fn processor_config() -> Value {
    json!({"processor_class": "Idefics3Processor", "image_seq_len": IMAGE_TOKENS})
}
