//! The header of a safetensors file: which tensor lies where.
//!
//! Files come from untrusted sources and from interrupted downloads, so all sizes are checked before anything is added up or
//! allocated: the header itself is short, names occur once, every tensor has the bytes of its type and shape, and
//! the tensors cover the data without holes and overlaps, as the format demands.

use super::Float;
use super::unique::{Unique, once};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;

/// The longest header that is read, bytes: room for about 40,000 tensors in one file. The format allows twenty times as
/// much, but no model comes near, and a header is time and memory that a stranger asks for.
pub const LONGEST_HEADER: u64 = 5_000_000;
/// No tensor has more dimensions.
const MOST_DIMENSIONS: usize = 64;
/// Longer names are shortened in messages.
const LONGEST_NAME: usize = 512;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Its name.
    pub name: String,
    /// As the header has it, for example `BF16`.
    pub dtype: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// First byte, counted from the beginning of the data.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl StoredTensor {
    /// Its type, if it holds floating-point numbers that weights come in.
    pub fn float(&self) -> Option<Float> {
        Float::from_header(&self.dtype)
    }

    /// Its length on disk.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// What contradicts itself in this entry of a file with `data` bytes, if anything does.
    fn check(&self, data: u64) -> Result<(), String> {
        let Self { name, dtype, shape, start, end } = self;
        // Messages must be short enough to read.
        if name.len() > LONGEST_NAME {
            let (length, name) = (name.len(), short(name));
            return Err(format!(
                "the name of a tensor, `{name}`, has {length} bytes, expected at most {LONGEST_NAME}"
            ));
        }
        if shape.len() > MOST_DIMENSIONS {
            let found = shape.len();
            return Err(format!(
                "tensor `{name}` has {found} dimensions, expected at most {MOST_DIMENSIONS}"
            ));
        }
        if start > end {
            return Err(format!("tensor `{name}` begins at byte {start} and ends at {end}"));
        }
        if *end > data {
            return Err(format!("tensor `{name}` ends at byte {end} of {data}: the file is truncated"));
        }
        let Some(bits) = bits(dtype) else {
            return Err(format!("tensor `{name}` has the unknown type `{}`", short(dtype)));
        };
        // Sides that are zero hide others from the product, which is taken in parts later on.
        let fits = shape.iter().try_fold(1_usize, |n, side| n.checked_mul((*side).max(1)));
        let count = fits.map(|_| shape.iter().product::<usize>() as u64);
        let expected = count.and_then(|n| n.checked_mul(bits)).map(|bits| bits.div_ceil(8));
        if expected != Some(end - start) {
            let found = end - start;
            let expected = expected.map_or("more than can be counted".to_string(), |n| n.to_string());
            return Err(format!(
                "tensor `{name}` {dtype} {shape:?} has {found} bytes, its shape asks for {expected}"
            ));
        }
        Ok(())
    }
}

/// The beginning of a text that may be long.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Bits of one value.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E5M2FNUZ" | "F8_E4M3FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// A header that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Header {
    /// In the order of their bytes.
    pub(super) tensors: Vec<StoredTensor>,
    /// `__metadata__`, texts by name.
    pub(super) metadata: Option<Value>,
}

impl Header {
    /// The header `text` of a file with `data` bytes behind it; the error says what is wrong.
    pub(super) fn parse(text: &[u8], data: u64) -> Result<Self, String> {
        let raw: Raw =
            serde_json::from_slice(text).map_err(|e| format!("its header is not what it should be: {e}"))?;
        let mut tensors: Vec<StoredTensor> = raw.tensors;
        tensors.iter().try_for_each(|tensor| tensor.check(data))?;
        once(tensors.iter().map(|tensor| tensor.name.as_str()))
            .map_err(|e| format!("in its header {e}: which of them counts is not known"))?;
        tensors.sort_by_key(|tensor| (tensor.start, tensor.end));
        let mut covered = 0;
        for StoredTensor { name, start, end, .. } in &tensors {
            if *start != covered {
                let what = if *start < covered { "overlaps the one before" } else { "leaves a hole" };
                return Err(format!(
                    "tensor `{name}` begins at byte {start} and {what}, which ends at {covered}"
                ));
            }
            covered = *end;
        }
        if covered != data {
            return Err(format!("{} bytes behind the last tensor belong to none", data - covered));
        }
        let metadata = raw.metadata.map(|all| {
            Value::Object(all.0.into_iter().map(|(name, text)| (name, Value::String(text))).collect())
        });
        Ok(Self { tensors, metadata })
    }
}

struct Raw {
    tensors: Vec<StoredTensor>,
    metadata: Option<Unique<String>>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Entry {
            dtype: String,
            shape: Vec<usize>,
            data_offsets: [u64; 2],
        }
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut raw = Raw { tensors: Vec::new(), metadata: None };
                while let Some(name) = map.next_key::<String>()? {
                    let named = |e| A::Error::custom(format!("`{}`: {e}", short(&name)));
                    if name == "__metadata__" {
                        if raw.metadata.replace(map.next_value().map_err(named)?).is_some() {
                            return Err(A::Error::custom("`__metadata__` occurs twice"));
                        }
                        continue;
                    }
                    let Entry { dtype, shape, data_offsets: [start, end] } =
                        map.next_value().map_err(named)?;
                    raw.tensors.push(StoredTensor { name, dtype, shape, start, end });
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Length and header of a file with these tensors, whose data lie at their `start..end`.
pub(crate) fn header(tensors: &[StoredTensor], metadata: Option<&Value>) -> Vec<u8> {
    let mut all = Map::new();
    if let Some(metadata) = metadata {
        all.insert("__metadata__".to_string(), metadata.clone());
    }
    for tensor in tensors {
        let entry = serde_json::json!({
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [tensor.start, tensor.end],
        });
        all.insert(tensor.name.clone(), entry);
    }
    let mut text = Value::Object(all).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(header: Value, data: u64) -> Result<Vec<String>, String> {
        let header = Header::parse(header.to_string().as_bytes(), data)?;
        Ok(header.tensors.into_iter().map(|tensor| tensor.name).collect())
    }

    fn tensor(dtype: &str, shape: &[u64], start: u64, end: u64) -> Value {
        serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]})
    }

    #[test]
    fn tensors_come_in_the_order_of_their_bytes() {
        let header = serde_json::json!({
            "b": tensor("F32", &[2], 4, 12), "a": tensor("BF16", &[2, 1], 0, 4), "none": tensor("F32", &[0], 12, 12),
            "__metadata__": {"format": "pt"},
        });
        assert_eq!(parse(header, 12).unwrap(), ["a", "b", "none"]);
        assert_eq!(parse(serde_json::json!({}), 0).unwrap(), Vec::<String>::new());
        assert_eq!(parse(serde_json::json!({"half": tensor("F4", &[3], 0, 2)}), 2).unwrap(), ["half"]);
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        let most = u64::MAX;
        for (header, data, part) in [
            (serde_json::json!({"a": tensor("F32", &[2], 0, 8)}), 7, "ends at byte 8 of 7"),
            (serde_json::json!({"a": tensor("F32", &[2], 8, 0)}), 8, "begins at byte 8"),
            (serde_json::json!({"a": tensor("F32", &[3], 0, 8)}), 8, "asks for 12"),
            (serde_json::json!({"a": tensor("U8", &[2], 0, 8)}), 8, "asks for 2"),
            (serde_json::json!({"a": tensor("F12", &[8], 0, 8)}), 8, "F12"),
            (serde_json::json!({"a": tensor("F32", &[most, 2], 0, 8)}), 8, "more than can be counted"),
            (serde_json::json!({"a": tensor("F32", &[0, most, most], 0, 0)}), 0, "more than can be counted"),
            (serde_json::json!({"a": tensor("U8", &[most], 0, most)}), 8, "truncated"),
            (serde_json::json!({"a": tensor("F32", &[1], 4, 8)}), 8, "leaves a hole"),
            (
                serde_json::json!({"a": tensor("F32", &[2], 0, 8), "b": tensor("F32", &[1], 4, 8)}),
                8,
                "overlaps",
            ),
            (serde_json::json!({"a": tensor("F32", &[1], 0, 4)}), 8, "4 bytes behind"),
            (serde_json::json!({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}), 4, "`a`"),
            (serde_json::json!({"a": {"dtype": "F32", "shape": [1]}}), 4, "data_offsets"),
            (serde_json::json!({"__metadata__": {"format": 1}}), 0, "`format`"),
            (serde_json::json!([]), 0, "an object of tensors"),
            (serde_json::json!({"a": tensor("F32", &[1; 1000], 0, 4)}), 4, "1000 dimensions"),
            (serde_json::json!({"a".repeat(1000): tensor("F32", &[1], 0, 4)}), 4, "has 1000 bytes"),
            (serde_json::json!({"a": tensor(&"F".repeat(1000), &[1], 0, 4)}), 4, "unknown type"),
            (serde_json::json!({"a".repeat(1000): 1}), 4, "`aaaa"),
        ] {
            let error = parse(header.clone(), data).unwrap_err();
            assert!(error.contains(part), "{header}: {error}");
            assert!(error.len() < 300, "{} bytes: {error}", error.len());
        }
    }

    #[test]
    fn names_that_occur_twice_are_refused() {
        let one = tensor("U8", &[4], 0, 4);
        for text in [
            format!(r#"{{"a": {one}, "a": {one}}}"#),
            format!(r#"{{"a": {one}, "\u0061": {one}}}"#),
            r#"{"__metadata__": {"a": "1", "a": "2"}}"#.to_string(),
            r#"{"__metadata__": {}, "__metadata__": {}}"#.to_string(),
            r#"{"a": {"dtype": "U8", "dtype": "I8", "shape": [4], "data_offsets": [0, 4]}}"#.to_string(),
        ] {
            let error = Header::parse(text.as_bytes(), 4).unwrap_err();
            assert!(error.contains("twice") || error.contains("duplicate"), "{text}: {error}");
        }
    }
}
