//! What a `tokenizer.json` may ask for, checked before the library reads it.
//!
//! Steps of a tokenizer can multiply a text: a few dozen that double it exceed any memory. Published tokenizers
//! multiply it by at most some tens (NFKC by up to 11, a replaced blank by 3, bytes as characters by 2).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// Most bytes that the steps may make of one, all together.
const MOST_GROWTH: f64 = 4096.0;
/// Longest word that WordPiece looks through: its time grows with the square. Published: 100.
const LONGEST_WORD: u64 = 10_000;

#[derive(Deserialize)]
struct Parts<'f> {
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    #[serde(borrow)]
    model: Option<&'f RawValue>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<Value>,
    continuing_subword_prefix: Option<Value>,
    max_input_chars_per_word: Option<Value>,
}

#[derive(Deserialize)]
struct Merges {
    merges: Vec<Value>,
}

/// Checks a tokenizer; what is no tokenizer at all is left to the library to refuse.
///
/// # Errors
/// With the part, its value and what is expected.
pub(super) fn check(text: &str) -> Result<(), String> {
    let Ok(parts) = serde_json::from_str::<Parts<'_>>(text) else { return Ok(()) };
    let mut growth = 1.0;
    for (name, part) in
        [("normalizer", parts.normalizer), ("pre_tokenizer", parts.pre_tokenizer), ("decoder", parts.decoder)]
    {
        // Texts are decoded on their own, after they were encoded.
        let before = if name == "decoder" { 1.0 } else { growth };
        growth =
            before * part.map_or(Ok(1.0), |part| of_step(&part)).map_err(|why| format!("{name}: {why}"))?;
        enough(name, growth)?;
    }
    let tokens = parts.post_processor.map_or(Ok(1.0), |part| of_step(&part));
    enough("post_processor", tokens.map_err(|why| format!("post_processor: {why}"))?)?;
    parts.model.map_or(Ok(()), |model| of_model(model.get())).map_err(|why| format!("model: {why}"))
}

fn enough(name: &str, growth: f64) -> Result<(), String> {
    if growth <= MOST_GROWTH {
        return Ok(());
    }
    Err(format!(
        "{name} may make {growth:.0} bytes of one, more than {MOST_GROWTH}: take the tokenizer of the checkpoint"
    ))
}

/// Most bytes that a step makes of one.
fn of_step(step: &Value) -> Result<f64, String> {
    let list = |name: &str| step.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| step.get(name).and_then(Value::as_u64).unwrap_or(0);
    match step.get("type").and_then(Value::as_str).unwrap_or_default() {
        "Sequence" => {
            let parts = ["normalizers", "pretokenizers", "processors", "decoders"].map(list).concat();
            // A second normal form of Unicode finds nothing left to take apart.
            let (forms, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| is_normal_form(part));
            let first = forms
                .into_iter()
                .map(of_step)
                .try_fold(1.0, |most, one| Ok::<_, String>(f64::max(most, one?)))?;
            others.into_iter().try_fold(first, |growth, part| Ok(growth * of_step(part)?))
        }
        "Replace" => {
            let found = step.get("pattern").and_then(|pattern| pattern.get("String")).and_then(Value::as_str);
            let content = text("content").len() as f64;
            // What a regular expression finds may be empty, and so before every byte.
            let each = match found.map_or(0, str::len) {
                0 => 1.0 + content,
                len => content / len as f64,
            };
            Ok(each.max(1.0))
        }
        // Put before each part of a text, which has a byte at least.
        "Prepend" => Ok(1.0 + text("prepend").len() as f64),
        "ByteLevel" | "Lowercase" | "BertNormalizer" => Ok(2.0),
        "NFC" | "NFD" => Ok(3.0),
        // U+FDFA: 3 bytes to 33.
        "NFKC" | "NFKD" => Ok(11.0),
        "Metaspace" => Ok(1.0 + text("replacement").len() as f64),
        "Precompiled" => precompiled(text("precompiled_charsmap")),
        "FixedLength" if number("length") == 0 => {
            Err("FixedLength: length is 0, expected a number from 1".into())
        }
        "Strip" if number("start") > 0 || number("stop") > 0 => {
            let (start, stop) = (number("start"), number("stop"));
            if start > 1 || stop > 1 {
                return Err(format!("Strip: start {start} and stop {stop}, expected 0 or 1"));
            }
            Ok(1.0)
        }
        "TemplateProcessing" => template(list("single")),
        _ => Ok(1.0),
    }
}

fn is_normal_form(step: &Value) -> bool {
    matches!(step.get("type").and_then(Value::as_str), Some("NFC" | "NFD" | "NFKC" | "NFKD"))
}

/// Copies of a text that a template makes.
fn template(pieces: &[Value]) -> Result<f64, String> {
    let mut copies = 0.0;
    for piece in pieces {
        match piece.get("Sequence").and_then(|sequence| sequence.get("id")).and_then(Value::as_str) {
            Some("A") => copies += 1.0,
            Some(other) => {
                return Err(format!("TemplateProcessing: single has the text {other}, expected A only"));
            }
            None => {}
        }
    }
    Ok(f64::max(copies, 1.0))
}

/// A table of characters: the number of bytes of a trie, the trie in words of 32 bits, texts ended by zeros.
fn precompiled(table: &str) -> Result<f64, String> {
    let broken = |what: &str| {
        format!("Precompiled: precompiled_charsmap {what}: copy the file from the checkpoint again")
    };
    let bytes = STANDARD.decode(table).map_err(|e| broken(&e.to_string()))?;
    let Some((size, rest)) = bytes.split_first_chunk::<4>() else { return Err(broken("is cut off")) };
    let size = u32::from_le_bytes(*size) as usize;
    if size < 1024 || !size.is_multiple_of(4) || size > rest.len() {
        return Err(broken(&format!("says that its trie has {size} bytes, of {} that follow", rest.len())));
    }
    let texts = rest[size..].split(|byte| *byte == 0);
    Ok(texts.map(<[u8]>::len).max().unwrap_or(1).max(1) as f64)
}

fn of_model(text: &str) -> Result<(), String> {
    let Ok(model) = serde_json::from_str::<Model>(text) else { return Ok(()) };
    if let Some(longest) = model.max_input_chars_per_word.and_then(|longest| longest.as_u64())
        && longest > LONGEST_WORD
    {
        return Err(format!("max_input_chars_per_word is {longest}, expected at most {LONGEST_WORD}"));
    }
    let prefix = model.continuing_subword_prefix;
    let prefix = prefix.as_ref().and_then(Value::as_str).unwrap_or_default();
    let is_bpe = model.kind.is_none_or(|kind| kind == "BPE");
    if prefix.is_empty() || !is_bpe {
        return Ok(());
    }
    let Ok(Merges { merges }) = serde_json::from_str(text) else { return Ok(()) };
    for merge in &merges {
        let second = match merge {
            Value::String(pair) => pair.split(' ').nth(1),
            pair => pair.get(1).and_then(Value::as_str),
        };
        if let Some(second) = second.filter(|second| !second.starts_with(prefix)) {
            return Err(format!(
                "merges has {merge}, whose {second:?} does not begin with {prefix:?}, as \
                 continuing_subword_prefix says"
            ));
        }
    }
    Ok(())
}
