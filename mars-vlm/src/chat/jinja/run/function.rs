//! The functions of the language.

use super::{
    super::{
        fault::Fault,
        value::{self, Dict, Value},
    },
    given::{Given, whole},
    machine::Machine,
};
use std::rc::Rc;

/// Longest list that `range` makes, as in Hugging Face's sandbox.
const LONGEST_RANGE: i128 = 100_000;

/// The function of this name.
pub(super) fn named(name: &str) -> Option<Value> {
    let all = ["range", "dict", "namespace", "raise_exception", "strftime_now"];
    all.into_iter().find(|one| *one == name).map(Value::Function)
}

impl Machine<'_> {
    pub(super) fn function(&self, name: &str, given: Given) -> Result<Value, Fault> {
        match name {
            "range" => {
                let mut bounds = [None; 3];
                if given.plain.is_empty() || given.plain.len() > 3 || !given.named.is_empty() {
                    return Err(Fault::new("range takes 1 to 3 whole numbers"));
                }
                for (bound, value) in bounds.iter_mut().zip(given.plain) {
                    *bound = Some(i128::from(whole(Some(value), 0)?));
                }
                self.range(bounds)
            }
            "dict" => Ok(Value::Dict(Rc::new(Dict::new(self.pairs(given)?, &self.budget)?))),
            "namespace" => {
                let pairs = self.pairs(given)?;
                let Value::Dict(dict) = Value::Dict(Rc::new(Dict::new(pairs, &self.budget)?)) else {
                    return Ok(Value::undefined());
                };
                let named = dict.entries().iter().map(|(key, value)| match key {
                    Value::Str(name) => Ok((name.clone(), value.clone())),
                    other => Err(Fault::new(format!("a namespace has names, not '{}'", other.kind()))),
                });
                self.new_namespace(named.collect::<Result<_, _>>()?)
            }
            "raise_exception" => {
                let [message] = given.bind(name, ["message"])?;
                Err(Fault::new(value::plain(&message.unwrap_or(Value::undefined()), self)?))
            }
            _ => {
                let [format] = given.bind(name, ["format"])?;
                let Some(Value::Str(format)) = format else {
                    return Err(Fault::new("strftime_now takes a text"));
                };
                self.budget.bytes(format.len().saturating_mul(2))?;
                let text =
                    self.date.format(&format).map_err(|why| Fault::new(format!("strftime_now: {why}")))?;
                self.budget.bytes(text.len())?;
                Ok(Value::text(text))
            }
        }
    }

    fn range(&self, bounds: [Option<i128>; 3]) -> Result<Value, Fault> {
        let (start, stop) = match bounds {
            [Some(stop), None, _] => (0, stop),
            [start, stop, _] => (start.unwrap_or(0), stop.unwrap_or(0)),
        };
        let step = bounds[2].unwrap_or(1);
        if step == 0 {
            return Err(Fault::new("range: the step must not be zero"));
        }
        let distance = if step > 0 { stop - start } else { start - stop };
        let len = (distance + step.abs() - 1).div_euclid(step.abs()).max(0);
        if len > LONGEST_RANGE {
            return Err(Fault::new(format!("range of {len} numbers, more than the {LONGEST_RANGE} allowed")));
        }
        self.budget.values(len as usize)?;
        Value::list((0..len).map(|k| Value::Int((start + k * step) as i64)).collect())
    }

    /// The entries of `dict(...)`.
    fn pairs(&self, given: Given) -> Result<Vec<(Value, Value)>, Fault> {
        let mut pairs = Vec::new();
        if given.plain.len() > 1 {
            return Err(Fault::new(format!("expected at most 1 argument, got {}", given.plain.len())));
        }
        match given.plain.into_iter().next() {
            None => {}
            Some(Value::Dict(dict)) => {
                self.budget.values(2 * dict.entries().len())?;
                pairs.extend(dict.entries().iter().cloned());
            }
            Some(list) => {
                self.budget.values(2 * list.items_len())?;
                let kind = list.kind();
                let items =
                    list.items().ok_or_else(|| Fault::new(format!("'{kind}' object is not iterable")))?;
                for item in items {
                    self.budget.values(item.items_len())?;
                    match item.items().map(<[Value; 2]>::try_from) {
                        Some(Ok([key, value])) => pairs.push((key, value)),
                        _ => return Err(Fault::new("a mapping is made of pairs")),
                    }
                }
            }
        }
        pairs.extend(given.named.into_iter().map(|(name, value)| (Value::Str(name), value)));
        Ok(pairs)
    }
}
