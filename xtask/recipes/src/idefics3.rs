//! Configuration and processor files of a small Idefics3, as `transformers` reads them.

use serde_json::{Map, Value, json};

/// Padding.
pub const PAD: &str = "<pad>";
/// What the tokenizer has no token for.
pub const UNKNOWN: &str = "<unk>";
/// Beginning of a conversation.
pub const START: &str = "<|im_start|>";
/// End of a turn.
pub const END: &str = "<end_of_utterance>";
/// Before and after the tokens of an image.
pub const AROUND_IMAGE: &str = "<fake_token_around_image>";
/// Before the tokens of a whole image.
pub const WHOLE_IMAGE: &str = "<global-img>";
/// Replaced by the features of the image.
pub const IMAGE: &str = "<image>";

/// Special tokens in the order of their ids, from 0; SmolVLM's.
pub const SPECIAL: [&str; 7] = [PAD, UNKNOWN, START, END, AROUND_IMAGE, WHOLE_IMAGE, IMAGE];

const CONTEXT: usize = 256;

/// Sizes of a model. Both modules have four blocks and four heads, the language model has two heads of keys; two by two
/// patches become an image token.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Pixels along a side of a picture.
    pub side: usize,
    /// Pixels along a side of a patch.
    pub patch: usize,
    /// Width of the vision encoder.
    pub vision: usize,
    /// Width of the language model.
    pub text: usize,
    /// Inner width of its feed-forward layers.
    pub inner: usize,
    /// Rows of the embedding table.
    pub table: usize,
}

const SCALE: usize = 2;

impl Shape {
    /// Patches along a side of the position table. One more than a picture has: every version of
    /// `transformers` then puts every patch at the same place, although they round differently at places
    /// where the two grids meet (`tests/oracle/idefics3.py` has the details).
    fn positions(&self) -> usize {
        self.side / self.patch + 1
    }

    /// Tokens that a picture becomes.
    pub fn image_tokens(&self) -> usize {
        (self.side / self.patch / SCALE).pow(2)
    }
}

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

/// Name and content of every file but the weights.
pub fn files(shape: &Shape, tokenizer: &Value) -> Vec<(&'static str, String)> {
    let json = |value: &Value| format!("{value:#}\n");
    vec![
        ("config.json", json(&config(shape))),
        ("generation_config.json", json(&generation_config())),
        ("tokenizer.json", json(tokenizer)),
        ("tokenizer_config.json", json(&tokenizer_config())),
        ("special_tokens_map.json", json(&special_tokens_map())),
        ("preprocessor_config.json", json(&preprocessor_config(shape))),
        ("processor_config.json", json(&processor_config(shape))),
        ("chat_template.jinja", CHAT_TEMPLATE.into()),
    ]
}

fn id(token: &str) -> usize {
    SPECIAL.iter().position(|&w| w == token).expect("only special tokens are asked for in this file")
}

/// Entries of `added_tokens` of a `tokenizer.json`.
pub fn added_tokens() -> Vec<Value> {
    let entry = |token: &&str| {
        let mut entry = Map::from_iter([("id".to_string(), id(token).into())]);
        entry.extend(added(token));
        entry.into()
    };
    SPECIAL.iter().map(entry).collect()
}

fn config(shape: &Shape) -> Value {
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
            "hidden_size": shape.vision,
            "intermediate_size": 4 * shape.vision,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_channels": 3,
            "image_size": shape.positions() * shape.patch,
            "patch_size": shape.patch,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "attention_dropout": 0.0,
        },
        "text_config": {
            "model_type": "llama",
            "vocab_size": shape.table,
            "hidden_size": shape.text,
            "intermediate_size": shape.inner,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": shape.text / 4,
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

/// A picture whose sides are `side` goes through unscaled.
fn preprocessor_config(shape: &Shape) -> Value {
    json!({
        "image_processor_type": "Idefics3ImageProcessor",
        "processor_class": "Idefics3Processor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": {"longest_edge": shape.side},
        "resample": 1,
        "do_image_splitting": false,
        "max_image_size": {"longest_edge": shape.side},
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_pad": true,
    })
}

fn processor_config(shape: &Shape) -> Value {
    json!({"processor_class": "Idefics3Processor", "image_seq_len": shape.image_tokens()})
}
