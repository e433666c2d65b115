//! Where an image of a record is: a path, an address, or the record itself.

use super::{
    absent::{is_absent, present},
    defect::{Parsed, defect, kind},
};
use crate::data::sample::ImageRef;
use serde_json::{Map, Value};
use std::path::Path;

/// The images under the keys `image` and `images`.
pub(super) fn listed(record: &Map<String, Value>) -> Parsed<Vec<ImageRef>> {
    let mut images = Vec::new();
    for value in ["image", "images"].iter().filter_map(|key| present(record, key)) {
        match value {
            Value::Array(list) => {
                for value in list.iter().filter(|value| !is_absent(value)) {
                    images.push(image(value)?);
                }
            }
            one => images.push(image(one)?),
        }
    }
    Ok(images)
}

/// The image that a part itself names, if it names one.
pub(super) fn of_part(part: &Map<String, Value>) -> Parsed<Option<ImageRef>> {
    for key in ["path", "image", "url", "image_url", "base64", "data", "bytes"] {
        match present(part, key) {
            Some(Value::String(text)) if matches!(key, "base64" | "data" | "bytes") => {
                return Ok(Some(ImageRef::Inline(text.as_str().into())));
            }
            None => {}
            Some(value) => return image(value).map(Some),
        }
    }
    Ok(None)
}

/// One image: a path, a `data:` or `file:` address, or an object with `path`, `url` or `bytes`.
fn image(value: &Value) -> Parsed<ImageRef> {
    match value {
        Value::String(text) => address(text),
        Value::Object(object) => {
            if let Some(Value::String(bytes)) = present(object, "bytes") {
                return Ok(ImageRef::Inline(bytes.as_str().into()));
            }
            match present(object, "url").or_else(|| present(object, "path")) {
                Some(Value::String(text)) => address(text),
                _ => defect(
                    "an image object with \"url\", \"path\" or base64 \"bytes\"",
                    format!("keys {:?}", object.keys().collect::<Vec<_>>()),
                    "name the image file",
                ),
            }
        }
        other => defect("an image as a path or an address", kind(other), "name the image file"),
    }
}

/// The image at an address on this machine or inside the text itself.
fn address(text: &str) -> Parsed<ImageRef> {
    let scheme = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if let Some(name) =
        ["http://", "https://", "ftp://", "s3://", "gs://", "hf://"].into_iter().find(|name| scheme(name))
    {
        let short: String = text.chars().take(200).collect();
        let remedy = "download it and name the file";
        return defect("an image on this machine", format!("{short:?}, which is at {name}"), remedy);
    }
    if scheme("data:") {
        return match text.split_once(";base64,") {
            Some((_, encoded)) => Ok(ImageRef::Inline(encoded.into())),
            None => defect(
                "a data address with \";base64,\"",
                format!("{:?}", text["data:".len()..].chars().take(24).collect::<String>()),
                "encode the image as base64",
            ),
        };
    }
    if scheme("file:") {
        return file(&text["file:".len()..]).map(ImageRef::Path);
    }
    Ok(ImageRef::Path(text.to_string()))
}

/// The path in a `file:` address (RFC 8089), whose `%20` and the like stand for bytes. A relative path after `file://`,
/// where the address has the name of a machine, is taken as it is meant.
fn file(rest: &str) -> Parsed<String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(path);
    let Some(path) = unescape(path) else {
        let expected = "a file address whose escapes (%20) give UTF-8 text";
        return defect(expected, format!("{path:?}"), "write the path itself");
    };
    // `file:///C:/a.png` names a drive, not a folder of the root.
    let drive = path.strip_prefix('/').filter(|path| cfg!(windows) && Path::new(path).is_absolute());
    Ok(drive.unwrap_or(&path).to_string())
}

/// The text with its escapes `%XX` as the bytes that they stand for; a `%` that begins none stays.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_addresses_are_unescaped_and_paths_are_not() {
        for (text, path) in [
            ("file:///data/a%20b.png", "/data/a b.png"),
            ("file://localhost/data/%e6%9d%b1.png", "/data/東.png"),
            ("file:/data/100%25.png", "/data/100%.png"),
            ("FILE:///x.png", "/x.png"),
            ("file://cat.png", "cat.png"),
            ("file://50%.png", "50%.png"),
            ("a%20b.png", "a%20b.png"),
            ("file.png", "file.png"),
            ("localhost/a.png", "localhost/a.png"),
        ] {
            let Ok(ImageRef::Path(found)) = address(text) else { panic!("{text}") };
            assert_eq!(found, path, "{text}");
        }
        for refused in ["file:///%ff.png", "https://a.b/c.png", "S3://bucket/a.png", "data:image/png,abc"] {
            assert!(address(refused).is_err(), "{refused}");
        }
    }
}
