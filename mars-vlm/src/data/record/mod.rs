//! One JSON object of a data file, in LLaVA, OpenAI or Cauldron form, to one sample.
//!
//! LLaVA: `{"id", "image": "a.jpg" | [..], "system", "conversations": [{"from": "human", "value": ".."}, ..]}`.
//! OpenAI: `{"messages": [{"role": "user", "content": ".." | [parts]}, ..], "images": [..]}`.
//! Cauldron: `{"texts": [{"user": "..", "assistant": ".."}, ..], "images": [..]}`, whose images come first.
//!
//! A key whose value is null is absent, in every form. `system`, or `system_prompt`, is the text of a system turn
//! before the others.

mod absent;
mod defect;
mod learnt;
mod source;
mod turn;
mod unused;

pub(crate) use absent::{is_absent, transpose};
pub use unused::UnusedKeys;

use super::{
    content::PLACEHOLDER,
    origin::Origin,
    problem::{Problem, ProblemKind},
    sample::{ImageRef, Role, Sample, Turn},
};
use absent::present;
use defect::{Defect, Parsed, defect, kind};
use serde_json::{Map, Value, json};
use turn::Reading;

/// The keys with turns.
pub(crate) const TURNS: [&str; 3] = ["messages", "conversations", "texts"];
/// Keys of a text for a system turn.
const SYSTEM: [&str; 2] = ["system", "system_prompt"];
/// Keys of media that no model here takes.
const MEDIA: [&str; 4] = ["video", "videos", "audio", "audios"];

/// Whether a key of a record is read.
pub(crate) fn is_read(key: &str) -> bool {
    let others = ["id", "image", "images", learnt::MASK];
    TURNS.contains(&key) || SYSTEM.contains(&key) || MEDIA.contains(&key) || others.contains(&key)
}

/// Reads one record; `origin` goes into the sample or into the problem, keys that are passed over into `keys`.
///
/// # Errors
/// A [`Problem`] with what was expected, what was found and the remedy.
pub(crate) fn parse(value: &Value, origin: Origin, keys: &mut UnusedKeys) -> Result<Sample, Box<Problem>> {
    let id = match value.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => format!("item {}", origin.index),
    };
    match turns_and_images(value, keys) {
        Ok((turns, images)) => Ok(Sample { id, turns, images, origin }),
        Err(Defect(expected, actual, remedy)) => {
            Err(Box::new(Problem::new(&origin, &id, ProblemKind::Format, expected, actual, remedy)))
        }
    }
}

/// The conversation of a record with its images in the order of their placeholders; images beyond these come last.
fn turns_and_images(value: &Value, keys: &mut UnusedKeys) -> Parsed<(Vec<Turn>, Vec<ImageRef>)> {
    let Value::Object(record) = value else {
        return defect("a JSON object", kind(value), "write each sample as {..}");
    };
    let names = || TURNS.into_iter().filter(|key| present(record, key).is_some());
    let Some(name) = names().find(|key| !is_empty(&record[*key])).or_else(|| names().next()) else {
        let keys: Vec<&str> = record.keys().map(String::as_str).take(20).collect();
        return defect(
            "a key \"conversations\" (LLaVA), \"messages\" (OpenAI) or \"texts\" (Cauldron)",
            format!("keys {keys:?}"),
            "convert the file to one of these formats",
        );
    };
    if let Some(key) =
        MEDIA.into_iter().find(|key| present(record, key).is_some_and(|media| !is_empty(media)))
    {
        return defect(
            "images and text only",
            format!("{key:?}"),
            "remove the sample, or give frames of a video as images: other media are not supported",
        );
    }
    keys.of_sample(record, |key| key == name || is_read(key) && !TURNS.contains(&key));
    let mut unused = source::listed(record)?;
    let list = turns(&record[name], name, unused.len(), keys)?;
    let mask = learnt::mask(record, list.len())?;
    // Where images are typed parts, or there are none, a text that says `<image>` means these seven letters.
    let literal = unused.is_empty() || list.iter().any(turn::has_typed_image);
    unused.reverse();
    let mut reading = Reading { unused, images: Vec::new(), literal, keys };
    let mut turns = Vec::with_capacity(list.len() + 1);
    for (k, turn) in list.iter().enumerate().filter(|(_, turn)| !is_absent(turn)) {
        turns.push(turn::parse(turn, k, mask.and_then(|mask| mask.get(k)), &mut reading)?);
    }
    add_system(record, &mut turns)?;
    let Reading { unused, mut images, .. } = reading;
    images.extend(unused.into_iter().rev());
    Ok((turns, images))
}

/// Whether a value is a list or a text of nothing.
fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(is_absent)) || value.as_str() == Some("")
}

/// The list of turns under `name`, from columns where it is stored so, and from pairs of texts.
fn turns(value: &Value, name: &str, images: usize, keys: &mut UnusedKeys) -> Parsed<Vec<Value>> {
    if value.as_object().is_some_and(|columns| columns.contains_key("0")) {
        let remedy = "the file is a table by columns: save it by rows (in pandas orient=\"records\")";
        return defect("a list of turns", "an object of numbered values", remedy);
    }
    let list = match (transpose(value), value) {
        (Some(Value::Array(list)), _) => list,
        (_, Value::Array(list)) => list.clone(),
        (_, other) => return defect("a list of turns", kind(other), "write the turns as [..]"),
    };
    if name == "texts" { from_pairs(&list, images, keys) } else { Ok(list) }
}

/// The turns of pairs of texts as messages; the images come before the first question, unless a turn has placeholders
/// for them.
fn from_pairs(pairs: &[Value], images: usize, keys: &mut UnusedKeys) -> Parsed<Vec<Value>> {
    let mut turns = Vec::with_capacity(2 * pairs.len());
    for (k, pair) in pairs.iter().enumerate().filter(|(_, pair)| !is_absent(pair)) {
        for role in ["user", "assistant"] {
            let Some(Value::String(text)) = pair.get(role) else {
                let actual = pair.get(role).map_or("none", kind);
                return defect(format!("a text \"{role}\" in pair {k}"), actual, "write each pair whole");
            };
            turns.push(json!({"role": role, "content": text}));
        }
        if let Some(pair) = pair.as_object() {
            keys.of_turn(pair, |key| ["user", "assistant", "source"].contains(&key));
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
    Ok(turns)
}

/// Puts the system text of the record before the turns.
fn add_system(record: &Map<String, Value>, turns: &mut Vec<Turn>) -> Parsed<()> {
    for key in SYSTEM {
        let Some(value) = present(record, key).filter(|value| !is_empty(value)) else { continue };
        let Value::String(text) = value else {
            return defect(format!("{key:?} as a text"), kind(value), "write the text of the system turn");
        };
        let own = Turn::text(Role::System, text.as_str());
        match turns.first() {
            Some(first) if first.role == Role::System && *first == own => {}
            Some(first) if first.role == Role::System => {
                let actual = format!("{key:?} beside a system turn of another text");
                return defect("one system text", actual, "keep one of the two");
            }
            _ => turns.insert(0, own),
        }
    }
    Ok(())
}
