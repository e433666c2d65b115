//! Filters and tests.

pub(super) mod braces;
mod list;
mod number;
mod order;
pub(super) mod printf;
mod select;
pub(super) mod spec;
mod test;
mod text;

use super::{
    fault::Fault,
    run::{Given, Machine},
    value::{self, Layout, Value, tojson},
};
use std::sync::Arc;

impl Machine<'_> {
    /// The filter `name` on `value`.
    ///
    /// # Errors
    /// For a filter that there is not, arguments and values that do not fit, and beyond the budget.
    pub(super) fn filter(&self, name: &str, value: Value, given: Given) -> Result<Value, Fault> {
        match name {
            "default" | "d" => {
                let [default, boolean] = given.bind(name, ["default_value", "boolean"])?;
                let missing = matches!(value, Value::Undefined(_))
                    || boolean.is_some_and(|boolean| boolean.is_true()) && !value.is_true();
                Ok(if missing { default.unwrap_or_else(|| Value::text("")) } else { value })
            }
            "length" | "count" => {
                let [] = given.bind(name, [])?;
                self.budget.scan(value.as_str().map_or(0, |text| text.len()))?;
                let len = value.len();
                let refused = || Fault::new(format!("object of type '{}' has no len()", value.kind()));
                Ok(Value::count(len.ok_or_else(refused)?))
            }
            "attr" => {
                let [attribute] = given.bind(name, ["name"])?;
                match (attribute, &value) {
                    (Some(Value::Str(attribute)), Value::Namespace(_) | Value::Loop(_)) => {
                        value::attr(&value, &attribute, self)
                    }
                    (Some(Value::Str(attribute)), _) => {
                        let method = value::methods_of(&value).any(|method| method == &*attribute);
                        if method { value::attr(&value, &attribute, self) } else { Ok(Value::undefined()) }
                    }
                    _ => Err(Fault::new("attr takes the name of an attribute")),
                }
            }
            "tojson" => self.json(&value, given),
            "abs" | "int" | "float" | "round" | "sum" | "filesizeformat" => {
                self.number_filter(name, value, given)
            }
            "first" | "last" | "list" | "reverse" | "batch" | "slice" | "items" | "join" => {
                self.list_filter(name, value, given)
            }
            "map" | "select" | "reject" | "selectattr" | "rejectattr" => {
                self.select_filter(name, value, given)
            }
            "sort" | "unique" | "min" | "max" | "dictsort" | "groupby" => {
                self.order_filter(name, value, given)
            }
            _ => self.text_filter(name, value, given),
        }
    }

    /// Hugging Face's `tojson`.
    fn json(&self, value: &Value, given: Given) -> Result<Value, Fault> {
        let [ascii, indent, separators, sorted] =
            given.bind("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"])?;
        let indent = match indent {
            None | Some(Value::None) => None,
            Some(Value::Str(indent)) => Some(indent.to_string()),
            Some(other) => {
                let Some(width) = other.as_int() else {
                    return Err(Fault::new(format!(
                        "tojson: indent is {}, not a whole number",
                        other.kind()
                    )));
                };
                let width = usize::try_from(width).unwrap_or(0);
                self.budget.bytes(width)?;
                Some(" ".repeat(width))
            }
        };
        let usual = if indent.is_some() { [",", ": "] } else { [", ", ": "] };
        let separators = match separators {
            None | Some(Value::None) => usual.map(String::from),
            Some(pair) => match self.walk(&pair)?.as_slice() {
                [Value::Str(between), Value::Str(after)] => [between.to_string(), after.to_string()],
                _ => return Err(Fault::new("tojson: separators are two texts")),
            },
        };
        let is = |value: Option<Value>| value.is_some_and(|value| value.is_true());
        let layout = Layout { indent, separators, ascii: is(ascii), sorted: is(sorted) };
        Ok(Value::text(tojson(value, &layout, self)?))
    }

    /// The items of a walk through `value`.
    pub(super) fn walk(&self, value: &Value) -> Result<Vec<Value>, Fault> {
        self.budget.values(value.items_len())?;
        value.items().ok_or_else(|| Fault::new(format!("'{}' object is not iterable", value.kind())))
    }

    /// Python's `str(value)`, without copying a text.
    pub(super) fn as_text(&self, value: &Value) -> Result<Arc<str>, Fault> {
        match value {
            Value::Str(text) => Ok(text.clone()),
            other => Ok(value::plain(other, self)?.into()),
        }
    }

    /// What is at a path of names and numbers, as in `function.name`.
    pub(super) fn at_path(
        &self,
        value: &Value,
        path: &Value,
        default: Option<&Value>,
    ) -> Result<Value, Fault> {
        let mut found = value.clone();
        let parts = match path {
            Value::Str(path) => {
                self.budget.scan(path.len())?;
                self.budget.values(2 * path.split('.').count())?;
                path.split('.')
                    .map(|part| match part.parse::<i64>() {
                        Ok(index) if part.bytes().all(|c| c.is_ascii_digit()) => Value::Int(index),
                        _ => Value::text(part),
                    })
                    .collect()
            }
            Value::None => Vec::new(),
            other => vec![other.clone()],
        };
        for part in &parts {
            found = value::item(&found, part, self)?;
            if let (Some(default), Value::Undefined(_)) = (default, &found) {
                found = default.clone();
            }
        }
        Ok(found)
    }
}
