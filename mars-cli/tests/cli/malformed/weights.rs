//! `model.safetensors`: broken headers, and tensors that are not what the model needs.

use super::case::{Base::Whole, Case, Target};
use serde_json::{Value, json};

const WEIGHTS: &str = "model/model.safetensors";
const NORM: &str = "model.text_model.norm.weight";
const HEAD: &str = "lm_head.weight";

fn broken(name: &'static str, says: &'static str, spoil: fn(&Target)) -> Case {
    Case::new(Whole, WEIGHTS, name, says, spoil)
}

/// The header and the data.
pub(super) fn parts(file: &Target) -> (Value, Vec<u8>) {
    let bytes = file.bytes();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
}

/// Writes a file with this text as header.
pub(super) fn write(file: &Target, header: &str, data: &[u8]) {
    file.put([&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat());
}

/// Changes the header.
fn header(name: &'static str, says: &'static str, change: fn(&mut Value)) -> Case {
    Case::new(Whole, WEIGHTS, name, says, move |file| {
        let (mut header, data) = parts(file);
        change(&mut header);
        write(file, &header.to_string(), &data);
    })
}

/// Removes a tensor and closes the gap.
pub(super) fn without(file: &Target, name: &str) {
    let (mut header, mut data) = parts(file);
    let entry = header.as_object_mut().unwrap().remove(name).unwrap();
    let [start, end] = [0, 1].map(|n| entry["data_offsets"][n].as_u64().unwrap());
    data.drain(start as usize..end as usize);
    for (_, entry) in header.as_object_mut().unwrap().iter_mut().filter(|(name, _)| *name != "__metadata__") {
        for n in [0, 1] {
            let at = entry["data_offsets"][n].as_u64().unwrap();
            entry["data_offsets"][n] = (if at >= end { at - (end - start) } else { at }).into();
        }
    }
    write(file, &header.to_string(), &data);
}

/// Adds a tensor of bytes at the end.
pub(super) fn with(file: &Target, name: &str, dtype: &str, shape: &[usize], values: &[u8]) {
    let (mut header, data) = parts(file);
    header[name] =
        json!({"dtype": dtype, "shape": shape, "data_offsets": [data.len(), data.len() + values.len()]});
    write(file, &header.to_string(), &[&data[..], values].concat());
}

/// Overwrites the first bytes of a tensor.
pub(super) fn patch(file: &Target, name: &str, values: &[u8]) {
    let (header, mut data) = parts(file);
    let start = header[name]["data_offsets"][0].as_u64().unwrap() as usize;
    data[start..start + values.len()].copy_from_slice(values);
    write(file, &header.to_string(), &data);
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = broken_files();
    all.extend(broken_headers());
    all.extend(wrong_tensors());
    all
}

fn broken_files() -> Vec<Case> {
    vec![
        broken("missing", "cannot read", |file| file.remove()),
        broken("a pickle instead", "safe_serialization=True", |file| file.rename("pytorch_model.bin")),
        broken("a folder", "it is a folder", |file| file.make_folder()),
        broken("empty", "it has 0 bytes", |file| file.put("")),
        broken("seven bytes", "it has 7 bytes", |file| file.cut(7)),
        broken("a length alone", "the file is truncated", |file| file.cut(8)),
        broken("half a header", "the file is truncated", |file| file.cut(2000)),
        broken("cut in half", "the file is truncated", |file| file.halve()),
        broken("one byte short", "the file is truncated", |file| file.cut(file.bytes().len() - 1)),
        broken("one byte more", "1 bytes behind the last tensor", |file| {
            file.put([&file.bytes()[..], b"x"].concat());
        }),
        broken("prose", "the file is truncated", |file| file.put("a file of weights, or so it seems")),
        broken("a length beyond counting", "18446744073709551615 bytes", |file| {
            file.put([&[255; 8][..], &file.bytes()[8..]].concat());
        }),
        broken("a header of a hundred million bytes", "more than the 5000000", |file| {
            file.put(100_000_000u64.to_le_bytes());
            file.stretch(100_000_008);
        }),
        broken("a header of brackets", "its header", |file| write(file, &"{\"a\":".repeat(1_000_000), &[])),
        broken("a header of ones", "its header", |file| {
            write(file, &format!("[{}1]", "1,".repeat(2_000_000)), &[])
        }),
        broken("a header that is cut off", "EOF", |file| write(file, "{\"a\": {\"dtype\"", &[])),
        broken("a header of zeros", "its header", |file| write(file, &"\0".repeat(64), &[])),
        broken("an archive", "a pickle of torch.save", |file| {
            file.put(b"PK\x03\x04\x14\x00\x00\x00\x08\x00abcdefgh")
        }),
    ]
}

fn broken_headers() -> Vec<Case> {
    vec![
        broken("a name twice", "occurs twice", |file| {
            let (header, data) = parts(file);
            let first = format!("{{\"{NORM}\":{},", header[NORM]);
            write(file, &header.to_string().replacen('{', &first, 1), &data);
        }),
        broken("sizes that overflow when they are added", "ends at byte 2305843009213693951", |file| {
            let most = (1u64 << 61) - 1;
            let entry =
                |n: u64| json!({"dtype": "U8", "shape": [most], "data_offsets": [n * most, (n + 1) * most]});
            let header: serde_json::Map<String, Value> =
                (0..8).map(|n| (format!("t{n}"), entry(n))).collect();
            write(file, &Value::Object(header).to_string(), &[0; 16]);
        }),
        broken("two hundred thousand empty tensors", "its header is", |file| {
            let entry = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
            let all: Vec<String> = (0..200_000).map(|n| format!("\"tensor.number.{n}\":{entry}")).collect();
            write(file, &format!("{{{}}}", all.join(",")), &[]);
        }),
        header("no tensors", "bytes behind the last tensor", |header| *header = json!({})),
        header("a shape that overflows", "more than can be counted", |header| {
            header[NORM]["shape"] = json!([u64::MAX, u64::MAX]);
        }),
        header("a shape that overflows behind a zero", "more than can be counted", |header| {
            header[NORM]["shape"] = json!([0, u64::MAX, u64::MAX]);
        }),
        header("a negative side", NORM, |header| header[NORM]["shape"] = json!([-96])),
        header("half a side", NORM, |header| header[NORM]["shape"] = json!([96.5])),
        header("a text as shape", NORM, |header| header[NORM]["shape"] = json!("96")),
        header("no shape", NORM, |header| header[NORM] = json!({"dtype": "F32", "data_offsets": [0, 384]})),
        header("no place", NORM, |header| header[NORM] = json!({"dtype": "F32", "shape": [96]})),
        header("one end", NORM, |header| header[NORM]["data_offsets"] = json!([0])),
        header("an end before the beginning", NORM, |header| {
            let [start, end] = [0, 1].map(|n| header[NORM]["data_offsets"][n].clone());
            header[NORM]["data_offsets"] = json!([end, start]);
        }),
        header("a place behind the file", NORM, |header| header[NORM]["data_offsets"] = json!([0, u64::MAX])),
        header("a place of another tensor", "overlaps", |header| {
            let place = header["model.vision_model.post_layernorm.bias"]["data_offsets"].clone();
            header["model.vision_model.post_layernorm.weight"]["data_offsets"] = place;
        }),
        header("a gap between tensors", "leaves a hole", |header| {
            header.as_object_mut().unwrap().remove("model.vision_model.post_layernorm.bias");
        }),
        header("an unknown type", "F12", |header| header[NORM]["dtype"] = json!("F12")),
        header("a number as type", NORM, |header| header[NORM]["dtype"] = json!(16)),
        header("more values than bytes", "asks for", |header| header[NORM]["dtype"] = json!("F64")),
        header("a number as metadata", "__metadata__", |header| header["__metadata__"] = json!(1)),
        header("metadata that are no texts", "__metadata__", |header| {
            header["__metadata__"] = json!({"a": [1]})
        }),
    ]
}

fn wrong_tensors() -> Vec<Case> {
    const INFINITE: [u8; 8] = [0, 0, 0, 0, 0, 0, 0x80, 0x7f];
    vec![
        broken("a value that is no number", "holds NaN at [0]", |file| {
            patch(file, NORM, &[0, 0, 0xc0, 0x7f])
        }),
        broken("an infinite value", "holds inf at [0, 1]", |file| patch(file, HEAD, &INFINITE)),
        broken("no norm", "`model.text_model.norm.weight` of shape [96] is missing", |file| {
            without(file, NORM)
        }),
        broken("no output layer", "tie_word_embeddings is false", |file| without(file, HEAD)),
        broken("a tensor that no layer takes", "audio_model.weight", |file| {
            with(file, "audio_model.weight", "F32", &[1], &[0; 4]);
        }),
        broken("an adapter in it", "merge it into its base", |file| {
            with(file, "model.text_model.layers.0.mlp.up_proj.lora_A.weight", "F32", &[1], &[0; 4]);
        }),
        broken("quantised", "quantised", |file| {
            without(file, NORM);
            with(file, "model.text_model.layers.0.mlp.up_proj.qweight", "I8", &[1], &[0]);
        }),
        header("another order of dimensions", "another order", |header| {
            header[HEAD]["shape"] = json!([96, 72]);
        }),
        header("one dimension more", "has shape [96, 1]", |header| header[NORM]["shape"] = json!([96, 1])),
        header("whole numbers", "is I32, expected F32", |header| header[NORM]["dtype"] = json!("I32")),
        header("names of a wrapped model", "`module.`", |header| {
            let all = header.as_object().unwrap().clone();
            let renamed = all.into_iter().map(|(name, entry)| match name.as_str() {
                "__metadata__" => (name, entry),
                _ => (format!("module.{name}"), entry),
            });
            *header = Value::Object(renamed.collect());
        }),
    ]
}
