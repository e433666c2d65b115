//! One turn of a record.

use super::{
    absent::{is_absent, present},
    defect::{Parsed, defect, kind},
    learnt, source,
    unused::UnusedKeys,
};
use crate::data::{
    content::split_marks,
    sample::{ImageRef, Part, Role, Turn},
};
use serde_json::{Map, Value};

/// Keys that are read.
const KEYS: [&str; 4] = ["role", "from", "content", "value"];
const PART_KEYS: [&str; 9] = ["type", "text", "path", "image", "url", "image_url", "base64", "data", "bytes"];
/// Turns of the protocol by which models call tools.
const TOOLS: &str =
    "remove the turns about tools, or write what they say as text of the user or the assistant";

/// What the turns of a record share while they are read.
pub(super) struct Reading<'a> {
    /// Images of the record's list that no placeholder has taken, the next one last.
    pub(super) unused: Vec<ImageRef>,
    /// Images of the placeholders so far.
    pub(super) images: Vec<ImageRef>,
    /// Whether `<image>` in the text of a typed part is text like any other.
    pub(super) literal: bool,
    /// Keys that were passed over.
    pub(super) keys: &'a mut UnusedKeys,
}

/// Reads the turn at position `k`; `mask` is its value in the record's list of what is learnt.
pub(super) fn parse(
    value: &Value,
    k: usize,
    mask: Option<&Value>,
    reading: &mut Reading<'_>,
) -> Parsed<Turn> {
    let Value::Object(turn) = value else {
        return defect(format!("turn {k} as an object"), kind(value), "write each turn as {..}");
    };
    let role = role(turn, k)?;
    for key in ["tool_calls", "function_call"] {
        if present(turn, key).is_some_and(|calls| calls.as_array().is_none_or(|calls| !calls.is_empty())) {
            return defect(
                format!("turn {k} as text: calls of tools are not supported"),
                format!("{key:?}"),
                TOOLS,
            );
        }
    }
    let learnt = learnt::learnt(turn, k, role, mask)?;
    reading.keys.of_turn(turn, |key| KEYS.contains(&key) || learnt::KEYS.contains(&key));
    let Some(content) = present(turn, "content").or_else(|| present(turn, "value")) else {
        return defect(format!("turn {k} with \"content\" or \"value\""), "none", "write its text");
    };
    Ok(Turn { role, parts: content_parts(content, k, reading)?, learnt })
}

/// The parts of a content: a text with placeholders, or a list of parts.
fn content_parts(content: &Value, k: usize, reading: &mut Reading<'_>) -> Parsed<Vec<Part>> {
    let mut parts = Vec::new();
    match content {
        Value::String(text) => {
            parts = split_marks(text);
            take(&parts, reading);
        }
        Value::Array(list) => {
            for part in list.iter().filter(|part| !is_absent(part)) {
                parse_part(part, k, &mut parts, reading)?;
            }
        }
        other => {
            return defect(format!("the content of turn {k} as text or a list"), kind(other), "correct it");
        }
    }
    Ok(parts)
}

/// Whether a turn has images among typed parts.
pub(super) fn has_typed_image(turn: &Value) -> bool {
    let content =
        turn.as_object().and_then(|turn| present(turn, "content").or_else(|| present(turn, "value")));
    let parts = content.and_then(Value::as_array);
    parts.is_some_and(|parts| parts.iter().any(|part| part.get("type").is_some_and(is_image)))
}

fn is_image(kind: &Value) -> bool {
    matches!(kind.as_str(), Some("image" | "image_url" | "input_image"))
}

fn role(turn: &Map<String, Value>, k: usize) -> Parsed<Role> {
    let role = match present(turn, "role").or_else(|| present(turn, "from")) {
        Some(Value::String(role)) => role.as_str(),
        Some(other) => {
            return defect(format!("turn {k} with a \"role\" or \"from\""), kind(other), "name the speaker");
        }
        None => return defect(format!("turn {k} with a \"role\" or \"from\""), "none", "name the speaker"),
    };
    Ok(match role {
        "system" | "developer" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "model" => Role::Assistant,
        other => {
            let tools =
                ["tool", "tools", "function", "function_call", "observation", "tool_call", "tool_response"];
            let remedy = if tools.contains(&other) { TOOLS } else { "rename the role or remove the turn" };
            let expected = format!("turn {k} by system, user (human) or assistant (gpt)");
            return defect(expected, format!("{other:?}"), remedy);
        }
    })
}

/// Gives the image placeholders of `parts` the next images of the record's list, as far as it goes.
fn take(parts: &[Part], reading: &mut Reading<'_>) {
    let count = parts.iter().filter(|part| matches!(part, Part::Image)).count();
    let Reading { unused, images, .. } = reading;
    images.extend((0..count).map_while(|_| unused.pop()));
}

/// Reads one part of a turn's content, text or an image; appends it to `parts`, and its images to those of `reading`.
fn parse_part(value: &Value, k: usize, parts: &mut Vec<Part>, reading: &mut Reading<'_>) -> Parsed<()> {
    let text = match value {
        Value::String(text) => text,
        Value::Object(part) => {
            reading.keys.of_part(part, |key| PART_KEYS.contains(&key));
            match present(part, "type") {
                Some(Value::String(kind))
                    if matches!(kind.as_str(), "text" | "input_text" | "output_text") =>
                {
                    match present(part, "text") {
                        Some(Value::String(text)) => text,
                        _ => {
                            let expected = format!("text in a text part of turn {k}");
                            return defect(expected, "none", "write its \"text\"");
                        }
                    }
                }
                Some(kind) if is_image(kind) => {
                    parts.push(Part::Image);
                    match source::of_part(part)? {
                        Some(image) => reading.images.push(image),
                        None => reading.images.extend(reading.unused.pop()),
                    }
                    return Ok(());
                }
                other => {
                    return defect(
                        format!("parts of type text, image or image_url in turn {k}"),
                        other.map_or("no type".into(), Value::to_string),
                        "remove the part, or give frames of a video as images: other media are not supported",
                    );
                }
            }
        }
        other => {
            return defect(format!("a part of turn {k} as an object"), kind(other), "write it as {..}");
        }
    };
    if reading.literal {
        parts.push(Part::Text(text.clone()));
    } else {
        let found = split_marks(text);
        take(&found, reading);
        parts.extend(found);
    }
    Ok(())
}
