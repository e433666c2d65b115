//! Filters on lists and mappings.

use super::super::{
    fault::Fault,
    run::{Given, Machine, whole},
    value::{self, Value},
};

impl Machine<'_> {
    pub(super) fn list_filter(&self, name: &str, value: Value, given: Given) -> Result<Value, Fault> {
        match name {
            "first" => {
                let [] = given.bind(name, [])?;
                Ok(self.walk(&value)?.into_iter().next().unwrap_or_else(Value::undefined))
            }
            "last" => {
                let [] = given.bind(name, [])?;
                if let Value::Generator(_) = value {
                    return Err(Fault::new("'generator' object is not reversible"));
                }
                Ok(self.walk(&value)?.pop().unwrap_or_else(Value::undefined))
            }
            "list" => {
                let [] = given.bind(name, [])?;
                Value::list(self.walk(&value)?)
            }
            "reverse" => {
                let [] = given.bind(name, [])?;
                let mut items = self.walk(&value)?;
                items.reverse();
                match value {
                    Value::Str(_) => self.joined(&items, ""),
                    Value::Generator(_) => Value::list(items),
                    _ => Value::generator(items),
                }
            }
            "batch" => {
                let [count, fill] = given.bind(name, ["linecount", "fill_with"])?;
                let count = self.part_count(name, count)?;
                let mut groups = Vec::new();
                for part in self.walk(&value)?.chunks(count) {
                    let mut part = part.to_vec();
                    if let Some(fill) = fill.as_ref().filter(|fill| !matches!(fill, Value::None)) {
                        self.budget.values(count)?;
                        part.resize(count, fill.clone());
                    }
                    groups.push(Value::list(part)?);
                }
                Value::generator(groups)
            }
            "slice" => {
                let [count, fill] = given.bind(name, ["slices", "fill_with"])?;
                let count = self.part_count(name, count)?;
                self.budget.values(count)?;
                let items = self.walk(&value)?;
                let (each, extra) = (items.len() / count, items.len() % count);
                let mut rest = items.as_slice();
                let mut groups = Vec::new();
                for k in 0..count {
                    let (part, after) = rest.split_at(each + usize::from(k < extra));
                    let fill = fill.clone().filter(|fill| k >= extra && !matches!(fill, Value::None));
                    groups.push(Value::list(part.iter().cloned().chain(fill).collect())?);
                    rest = after;
                }
                Value::generator(groups)
            }
            "items" => {
                let [] = given.bind(name, [])?;
                match &value {
                    Value::Undefined(_) => Value::generator(Vec::new()),
                    Value::Dict(dict) => {
                        self.budget.values(3 * dict.entries().len())?;
                        let pairs = dict
                            .entries()
                            .iter()
                            .map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()]));
                        Value::generator(pairs.collect::<Result<_, _>>()?)
                    }
                    _ => Err(Fault::new("items are those of a mapping")),
                }
            }
            _ => {
                let [between, attribute] = given.bind(name, ["d", "attribute"])?;
                let between = match between {
                    None => "".into(),
                    Some(between) => self.as_text(&between)?,
                };
                let mut items = self.walk(&value)?;
                if let Some(path) = attribute.filter(|path| !matches!(path, Value::None)) {
                    for item in &mut items {
                        *item = self.at_path(item, &path, None)?;
                    }
                }
                self.joined(&items, &between)
            }
        }
    }

    /// Items in print with a text between them.
    pub(in super::super) fn joined(&self, items: &[Value], between: &str) -> Result<Value, Fault> {
        let mut text = String::new();
        for (k, item) in items.iter().enumerate() {
            if k > 0 {
                self.budget.bytes(between.len())?;
                text.push_str(between);
            }
            match item {
                Value::Str(part) => {
                    self.budget.bytes(part.len())?;
                    text.push_str(part);
                }
                other => text.push_str(&value::plain(other, self)?),
            }
        }
        Ok(Value::text(text))
    }

    fn part_count(&self, name: &str, count: Option<Value>) -> Result<usize, Fault> {
        match usize::try_from(whole(count, 0)?) {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Fault::new(format!("{name} takes a whole number from 1"))),
        }
    }
}
