//! One JSON object of a data file, in LLaVA, OpenAI or Cauldron form, to one sample.
//!
//! LLaVA: `{"id", "image": "a.jpg" | [..], "conversations": [{"from": "human", "value": ".."}, ..]}`.
//! OpenAI: `{"messages": [{"role": "user", "content": ".." | [parts]}, ..], "images": [..]}`.
//! Cauldron: `{"texts": [{"user": "..", "assistant": ".."}, ..], "images": [..]}`, whose images come first.

use super::{
    content::{PLACEHOLDER, split_marks},
    origin::Origin,
    problem::{Problem, ProblemKind},
    sample::{ImageRef, Part, Role, Sample, Turn},
};
use serde_json::{Map, Value, json};

/// What a record should have had, what it has, and the remedy.
struct Defect(String, String, &'static str);

type Parsed<T> = Result<T, Defect>;

/// The error of a record that should have had `expected` and has `actual`.
fn defect<T>(expected: impl Into<String>, actual: impl Into<String>, remedy: &'static str) -> Parsed<T> {
    Err(Defect(expected.into(), actual.into(), remedy))
}

/// Reads one record; `origin` goes into the sample or into the problem.
///
/// # Errors
/// A [`Problem`] with what was expected, what was found and the remedy.
pub(crate) fn parse(value: &Value, origin: Origin) -> Result<Sample, Box<Problem>> {
    let id = match value.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => format!("item {}", origin.index),
    };
    match turns_and_images(value) {
        Ok((turns, images)) => Ok(Sample { id, turns, images, origin }),
        Err(Defect(expected, actual, remedy)) => {
            Err(Box::new(Problem::new(&origin, &id, ProblemKind::Format, expected, actual, remedy)))
        }
    }
}

/// The conversation of a record with its images in the order of their placeholders; images beyond these come last.
fn turns_and_images(value: &Value) -> Parsed<(Vec<Turn>, Vec<ImageRef>)> {
    let Value::Object(record) = value else {
        return defect("a JSON object", kind(value), "write each sample as {..}");
    };
    let present = |key: &str| record.get(key).filter(|value| !value.is_null());
    let from_texts;
    let list = if let Some(list) = present("messages").or_else(|| present("conversations")) {
        list
    } else if let Some(texts) = present("texts") {
        from_texts = messages(texts, listed(record)?.len())?;
        &from_texts
    } else {
        let keys: Vec<&str> = record.keys().map(String::as_str).collect();
        return defect(
            "a key \"conversations\" (LLaVA), \"messages\" (OpenAI) or \"texts\" (Cauldron)",
            format!("keys {keys:?}"),
            "convert the file to one of these formats",
        );
    };
    let Value::Array(list) = list else {
        return defect("a list of turns", kind(list), "write the turns as [..]");
    };
    let mut unused = listed(record)?;
    unused.reverse();
    let mut images = Vec::new();
    let mut turns = Vec::with_capacity(list.len());
    for (k, turn) in list.iter().enumerate() {
        turns.push(parse_turn(turn, k, &mut unused, &mut images)?);
    }
    images.extend(unused.into_iter().rev());
    Ok((turns, images))
}

/// The turns of the pairs `texts` as messages; the images come before the first question, unless a turn has
/// placeholders for them.
fn messages(texts: &Value, images: usize) -> Parsed<Value> {
    let Value::Array(pairs) = texts else {
        return defect("\"texts\" as a list", kind(texts), "write the pairs as [..]");
    };
    let mut turns = Vec::with_capacity(2 * pairs.len());
    for (k, pair) in pairs.iter().enumerate() {
        for role in ["user", "assistant"] {
            let Some(Value::String(text)) = pair.get(role) else {
                let actual = pair.get(role).map_or("none", kind);
                return defect(format!("a text \"{role}\" in pair {k}"), actual, "write each pair whole");
            };
            turns.push(json!({"role": role, "content": text}));
        }
    }
    let placed = |turn: &Value| turn["content"].as_str().is_some_and(|text| text.contains(PLACEHOLDER));
    if let Some(first) = turns.first()
        && !turns.iter().any(placed)
    {
        let text = json!({"type": "text", "text": first["content"]});
        let parts = std::iter::repeat_n(json!({"type": "image"}), images).chain([text]);
        turns[0]["content"] = parts.collect();
    }
    Ok(Value::Array(turns))
}

/// The images under the keys `image` and `images`.
fn listed(record: &Map<String, Value>) -> Parsed<Vec<ImageRef>> {
    let mut images = Vec::new();
    for value in ["image", "images"].iter().filter_map(|key| record.get(*key)) {
        image_list(value, &mut images)?;
    }
    Ok(images)
}

/// Reads one turn; images in it, or that its placeholders take from the list, go to `images`.
fn parse_turn(
    value: &Value,
    k: usize,
    unused: &mut Vec<ImageRef>,
    images: &mut Vec<ImageRef>,
) -> Parsed<Turn> {
    let Value::Object(turn) = value else {
        return defect(format!("turn {k} as an object"), kind(value), "write each turn as {..}");
    };
    let role = match turn.get("role").or_else(|| turn.get("from")) {
        Some(Value::String(role)) => match role.as_str() {
            "system" | "developer" => Role::System,
            "user" | "human" => Role::User,
            "assistant" | "gpt" | "model" => Role::Assistant,
            other => {
                return defect(
                    format!("turn {k} by system, user (human) or assistant (gpt)"),
                    format!("{other:?}"),
                    "rename the role or remove the turn",
                );
            }
        },
        _ => return defect(format!("turn {k} with a \"role\" or \"from\""), "none", "name the speaker"),
    };
    let mut parts = Vec::new();
    match turn.get("content").or_else(|| turn.get("value")) {
        Some(Value::String(text)) => parts = split_marks(text),
        Some(Value::Array(list)) => {
            for part in list {
                parse_part(part, k, &mut parts, images, unused)?;
            }
            return Ok(Turn { role, parts });
        }
        Some(Value::Null) | None => {
            return defect(format!("turn {k} with \"content\" or \"value\""), "none", "write its text");
        }
        Some(other) => {
            return defect(format!("the content of turn {k} as text or a list"), kind(other), "correct it");
        }
    }
    take(&parts, unused, images);
    Ok(Turn { role, parts })
}

/// Gives the image placeholders of `parts` the next images of the record's list, as far as it goes.
fn take(parts: &[Part], unused: &mut Vec<ImageRef>, images: &mut Vec<ImageRef>) {
    let count = parts.iter().filter(|part| matches!(part, Part::Image)).count();
    images.extend((0..count).map_while(|_| unused.pop()));
}

/// Reads one part of a turn's content: text, which may hold placeholders, or an image; appends it to `parts`, and its
/// images to `images`.
fn parse_part(
    value: &Value,
    k: usize,
    parts: &mut Vec<Part>,
    images: &mut Vec<ImageRef>,
    unused: &mut Vec<ImageRef>,
) -> Parsed<()> {
    let text = match value {
        Value::String(text) => Some(text),
        Value::Object(part) => match part.get("type").and_then(Value::as_str) {
            Some("text" | "input_text" | "output_text") => match part.get("text") {
                Some(Value::String(text)) => Some(text),
                _ => return defect(format!("text in a text part of turn {k}"), "none", "write its \"text\""),
            },
            Some("image" | "image_url" | "input_image") => {
                parts.push(Part::Image);
                match part_source(part)? {
                    Some(image) => images.push(image),
                    None => images.extend(unused.pop()),
                }
                None
            }
            other => {
                return defect(
                    format!("parts of type text, image or image_url in turn {k}"),
                    other.map_or("no type".into(), |other| format!("{other:?}")),
                    "remove the part: other media are not supported",
                );
            }
        },
        other => {
            return defect(format!("a part of turn {k} as an object"), kind(other), "write it as {..}");
        }
    };
    if let Some(text) = text {
        let found = split_marks(text);
        take(&found, unused, images);
        parts.extend(found);
    }
    Ok(())
}

/// The image that a part itself names, if it names one.
fn part_source(part: &Map<String, Value>) -> Parsed<Option<ImageRef>> {
    for key in ["path", "image", "url", "image_url", "base64", "data"] {
        match part.get(key) {
            Some(Value::String(text)) if matches!(key, "base64" | "data") => {
                return Ok(Some(ImageRef::Inline(text.as_str().into())));
            }
            Some(Value::Null) | None => {}
            Some(value) => return image(value).map(Some),
        }
    }
    Ok(None)
}

/// The images under the keys `image` and `images`: null, one, or a list.
fn image_list(value: &Value, images: &mut Vec<ImageRef>) -> Parsed<()> {
    match value {
        Value::Null => {}
        Value::Array(list) => {
            for value in list {
                images.push(image(value)?);
            }
        }
        one => images.push(image(one)?),
    }
    Ok(())
}

/// One image: a path, a `data:` or `file://` address, or an object with `path`, `url` or `bytes`.
fn image(value: &Value) -> Parsed<ImageRef> {
    match value {
        Value::String(text) => address(text),
        Value::Object(object) => {
            if let Some(Value::String(bytes)) = object.get("bytes") {
                return Ok(ImageRef::Inline(bytes.as_str().into()));
            }
            match object.get("url").or_else(|| object.get("path")) {
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
    if text.starts_with("http://") || text.starts_with("https://") {
        return defect("an image on this machine", format!("{text:?}"), "download it and name the file");
    }
    if let Some(rest) = text.strip_prefix("data:") {
        return match rest.split_once(";base64,") {
            Some((_, encoded)) => Ok(ImageRef::Inline(encoded.into())),
            None => defect(
                "a data address with \";base64,\"",
                format!("{:?}", rest.chars().take(24).collect::<String>()),
                "encode the image as base64",
            ),
        };
    }
    Ok(ImageRef::Path(text.strip_prefix("file://").unwrap_or(text).to_string()))
}

/// The type of a JSON value, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
