//! Filters that sort.

use super::super::{
    fault::Fault,
    run::{Given, Machine},
    value::{Value, equal, order},
};
use std::{cmp::Ordering, collections::VecDeque};

impl Machine<'_> {
    pub(super) fn order_filter(&self, name: &str, value: Value, given: Given) -> Result<Value, Fault> {
        let is = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_true);
        match name {
            "sort" => {
                let [reverse, case, attribute] =
                    given.bind(name, ["reverse", "case_sensitive", "attribute"])?;
                let paths = match &attribute {
                    None | Some(Value::None) => vec![Value::None],
                    Some(Value::Str(paths)) => {
                        self.budget.scan(paths.len())?;
                        self.budget.values(2 * paths.split(',').count())?;
                        paths.split(',').map(Value::text).collect()
                    }
                    Some(other) => vec![other.clone()],
                };
                let mut keyed = Vec::new();
                for item in self.walk(&value)? {
                    self.budget.values(paths.len())?;
                    let keys: Result<Vec<_>, _> =
                        paths.iter().map(|path| self.key(&item, path, is(&case))).collect();
                    keyed.push((Value::list(keys?)?, item));
                }
                Value::list(self.sorted(keyed, is(&reverse))?)
            }
            "dictsort" => {
                let [case, by, reverse] = given.bind(name, ["case_sensitive", "by", "reverse"])?;
                let Value::Dict(dict) = value.defined()? else {
                    return Err(Fault::new(format!("dictsort takes a mapping, not '{}'", value.kind())));
                };
                let by_value = match by.as_ref().and_then(Value::as_str).map(|by| &**by) {
                    None | Some("key") => false,
                    Some("value") => true,
                    _ => return Err(Fault::new("dictsort: by is \"key\" or \"value\"")),
                };
                self.budget.values(3 * dict.entries().len())?;
                let mut keyed = Vec::new();
                for (key, value) in dict.entries() {
                    let sorted_by = if by_value { value } else { key };
                    let pair = Value::tuple(vec![key.clone(), value.clone()])?;
                    keyed.push((self.key(sorted_by, &Value::None, is(&case))?, pair));
                }
                Value::list(self.sorted(keyed, is(&reverse))?)
            }
            "groupby" => {
                let [attribute, default, case] =
                    given.bind(name, ["attribute", "default", "case_sensitive"])?;
                let path = attribute.ok_or_else(|| Fault::new("groupby requires an attribute"))?;
                self.grouped(&value, &path, default.as_ref(), is(&case))
            }
            _ => {
                let [case, attribute] = given.bind(name, ["case_sensitive", "attribute"])?;
                let path = attribute.unwrap_or(Value::None);
                let mut kept: Vec<(Value, Value)> = Vec::new();
                for item in self.walk(&value)? {
                    let key = self.key(&item, &path, is(&case))?;
                    if name == "unique" {
                        let mut seen = false;
                        for (other, _) in &kept {
                            seen = equal(other, &key, &self.budget)?;
                            if seen {
                                break;
                            }
                        }
                        if !seen {
                            kept.push((key, item));
                        }
                    } else {
                        let better = if name == "min" { Ordering::Less } else { Ordering::Greater };
                        let takes = match kept.first() {
                            None => true,
                            Some((best, _)) => order(&key, best, &self.budget)? == Some(better),
                        };
                        if takes {
                            kept = vec![(key, item)];
                        }
                    }
                }
                let mut items = kept.into_iter().map(|(_, item)| item);
                if name == "unique" {
                    return Value::generator(items.collect());
                }
                Ok(items.next().unwrap_or_else(Value::undefined))
            }
        }
    }

    /// What an item is sorted by.
    fn key(&self, item: &Value, path: &Value, case_sensitive: bool) -> Result<Value, Fault> {
        match self.at_path(item, path, None)? {
            Value::Str(text) if !case_sensitive => {
                self.budget.bytes(text.len())?;
                Ok(Value::text(text.to_lowercase()))
            }
            other => Ok(other),
        }
    }

    /// The items in the order of their keys; equal ones stay in place.
    ///
    /// Merged by hand: the sorting of the standard library may panic where an order is none, as with NaN.
    fn sorted(&self, keyed: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<Value>, Fault> {
        let mut runs: VecDeque<VecDeque<(Value, Value)>> =
            keyed.into_iter().map(|one| VecDeque::from([one])).collect();
        // Runs in the order of their items: each round merges all neighbours.
        while runs.len() > 1 {
            let mut merged = VecDeque::with_capacity(runs.len().div_ceil(2));
            while let Some(first) = runs.pop_front() {
                merged.push_back(match runs.pop_front() {
                    Some(second) => self.merged(first, second, reverse)?,
                    None => first,
                });
            }
            runs = merged;
        }
        Ok(runs.into_iter().flatten().map(|(_, item)| item).collect())
    }

    fn merged(
        &self,
        mut first: VecDeque<(Value, Value)>,
        mut second: VecDeque<(Value, Value)>,
        reverse: bool,
    ) -> Result<VecDeque<(Value, Value)>, Fault> {
        let mut all = VecDeque::with_capacity(first.len() + second.len());
        while let (Some((a, _)), Some((b, _))) = (first.front(), second.front()) {
            let earlier = if reverse { order(a, b, &self.budget)? } else { order(b, a, &self.budget)? };
            all.extend(if earlier == Some(Ordering::Less) { second.pop_front() } else { first.pop_front() });
        }
        all.append(&mut first);
        all.append(&mut second);
        Ok(all)
    }

    fn grouped(
        &self,
        value: &Value,
        path: &Value,
        default: Option<&Value>,
        case: bool,
    ) -> Result<Value, Fault> {
        let mut keyed = Vec::new();
        for item in self.walk(value)? {
            let found = self.at_path(&item, path, default)?;
            keyed.push((self.key(&found, &Value::None, case)?, item));
        }
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for item in self.sorted(keyed, false)? {
            let found = self.at_path(&item, path, default)?;
            let key = self.key(&found, &Value::None, case)?;
            let same = match groups.last() {
                Some((last, _)) => equal(&self.key(last, &Value::None, case)?, &key, &self.budget)?,
                None => false,
            };
            match groups.last_mut() {
                Some((_, group)) if same => group.push(item),
                _ => groups.push((found, vec![item])),
            }
        }
        let groups = groups.into_iter().map(|(key, group)| Value::tuple(vec![key, Value::list(group)?]));
        Value::list(groups.collect::<Result<_, _>>()?)
    }
}
