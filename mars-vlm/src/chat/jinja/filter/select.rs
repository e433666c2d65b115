//! Filters that take another filter, a test or an attribute for each item.

use super::super::{
    fault::Fault,
    run::{Given, Machine},
    value::Value,
};

impl Machine<'_> {
    pub(super) fn select_filter(&self, name: &str, value: Value, mut given: Given) -> Result<Value, Fault> {
        // A value that is false has no items, whatever it is.
        let items = if value.is_true() { self.walk(&value)? } else { Vec::new() };
        let mut taken = Vec::new();
        if name == "map" {
            if given.plain.is_empty() {
                let [attribute, default] = given.bind(name, ["attribute", "default"])?;
                let Some(path) = attribute else {
                    return Err(Fault::new("map requires a filter or an attribute"));
                };
                let default = default.filter(|default| !matches!(default, Value::None));
                for item in items {
                    taken.push(self.at_path(&item, &path, default.as_ref())?);
                }
                return Value::generator(taken);
            }
            let filter = self.word(&mut given, "a filter")?;
            for item in items {
                self.budget.values(1 + given.plain.len() + given.named.len())?;
                taken.push(self.budget.deeper(|| self.filter(&filter, item, given.clone()))?);
            }
            return Value::generator(taken);
        }
        let path = if name.ends_with("attr") {
            if given.plain.is_empty() {
                return Err(Fault::new(format!("{name} requires an attribute")));
            }
            Some(given.plain.remove(0))
        } else {
            None
        };
        let test = if given.plain.is_empty() { None } else { Some(self.word(&mut given, "a test")?) };
        for item in items {
            let seen = match &path {
                Some(path) => self.at_path(&item, path, None)?,
                None => item.clone(),
            };
            let holds = match &test {
                Some(test) => {
                    self.budget.values(1 + given.plain.len() + given.named.len())?;
                    self.test(test, &seen, given.clone())?
                }
                None => seen.is_true(),
            };
            if holds != name.starts_with("reject") {
                taken.push(item);
            }
        }
        Value::generator(taken)
    }

    /// Takes the name of a filter or test from the arguments.
    fn word(&self, given: &mut Given, what: &str) -> Result<std::sync::Arc<str>, Fault> {
        match given.plain.remove(0) {
            Value::Str(name) => Ok(name),
            other => Err(Fault::new(format!(
                "expected the name of {what}, not a value of type '{}'",
                other.kind()
            ))),
        }
    }
}
