//! Whether a turn is learnt: the keys by which data sets of other trainers leave answers out of the loss.
//!
//! | key of a turn | trainer |
//! |---|---|
//! | `weight`: 0 or 1 | OpenAI, axolotl |
//! | `loss`: a truth value | ms-swift, ChatGLM |
//! | `train`, `training`: a truth value | axolotl |
//!
//! LLaMA-Factory's `loss_mask` is a list of the record, with a value for each turn. An answer without any of them is
//! learnt. Weights are 0 or 1: a fraction is refused, and so is a question that is to be learnt.

use super::{
    absent::{is_absent, present},
    defect::{Parsed, defect, kind},
};
use crate::data::sample::Role;
use serde_json::{Map, Value};

/// The keys of a turn.
pub(super) const KEYS: [&str; 4] = ["weight", "loss", "train", "training"];
/// Keys that leave out parts of a turn.
const PARTS: [&str; 3] = ["train_detail", "training_detail", "loss_scale"];
/// The key of a record.
pub(super) const MASK: &str = "loss_mask";

/// Whether the turn at position `k`, by `role`, is learnt. `mask` is its value in the record's list.
pub(super) fn learnt(turn: &Map<String, Value>, k: usize, role: Role, mask: Option<&Value>) -> Parsed<bool> {
    if let Some(key) = PARTS.into_iter().find(|key| present(turn, key).is_some()) {
        let expected = format!("turn {k} learnt as a whole or not at all");
        return defect(expected, format!("{key:?}"), "set \"train\" of the turn instead");
    }
    let mut found: Option<(&str, bool)> = None;
    for key in KEYS {
        let Some(value) = present(turn, key) else { continue };
        let flag = flag(value, key, k)?;
        if flag && role != Role::Assistant {
            let expected = format!("no loss on turn {k} by the {}: answers alone are learnt", role.name());
            return defect(expected, format!("{key:?}: {value}"), "set it to false or remove it");
        }
        if let Some((other, before)) = found
            && before != flag
        {
            let actual = format!("{other:?} and {key:?}, which contradict each other");
            return defect(format!("one word on whether turn {k} is learnt"), actual, "keep one of them");
        }
        found = Some((key, flag));
    }
    let masked = mask.map(|value| flag(value, MASK, k)).transpose()?.unwrap_or(true);
    Ok(role == Role::Assistant && masked && found.is_none_or(|(_, flag)| flag))
}

/// The values of the record's list, one for each of its `turns` turns; none without the list.
pub(super) fn mask(record: &Map<String, Value>, turns: usize) -> Parsed<Option<&Vec<Value>>> {
    match present(record, MASK) {
        None => Ok(None),
        Some(Value::Array(mask)) if mask.len() == turns => Ok(Some(mask)),
        Some(Value::Array(mask)) => {
            let actual = mask.len().to_string();
            defect(format!("{turns} values in {MASK:?}, one for each turn"), actual, "correct the list")
        }
        Some(other) => defect(format!("{MASK:?} as a list"), kind(other), "write a value for each turn"),
    }
}

/// A truth value, or 0 or 1. Nothing is as good as 1.
fn flag(value: &Value, key: &str, k: usize) -> Parsed<bool> {
    let number = match value {
        nothing if is_absent(nothing) => return Ok(true),
        Value::Bool(flag) => return Ok(*flag),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    match number {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        _ => {
            let actual = if number.is_some() { value.to_string() } else { kind(value).to_owned() };
            let remedy = "weights between, above or below are not supported: write 0 or 1";
            defect(format!("{key:?} of turn {k} as 0, 1, false or true"), actual, remedy)
        }
    }
}
